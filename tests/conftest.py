"""What several test modules share."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def published(tmp_path):
    """Serve this working tree as if it were published, from a bare repository on disk.

    Returns the environment variables that make git answer the course's address with it.
    """
    from tools import rules

    tree = tmp_path / "tree"
    for part in ("utils", "notebooks", "data"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    bare = tmp_path / "published.git"
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (
        ["git", "init", "-q", "-b", "main", str(tree)],
        ["git", "-C", str(tree), "add", "-A"],
        ["git", "-C", str(tree), *identity, "commit", "-qm", "published"],
        ["git", "clone", "-q", "--bare", str(tree), str(bare)],
    ):
        subprocess.run(command, check=True)
    shutil.rmtree(tree)
    return {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{bare.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": rules.address(),
    }
