"""Serve this working tree as if it were published, from a bare git repository on disk."""

import shutil
import subprocess

from tools import rules

PARTS = ("utils", "lrsweep", "course", "notebooks", "data", "exercises", "pyproject.toml")


def publish(folder):
    """Commit the working tree into a bare repository inside a folder and return its address.

    The only branch is the revision that the notebooks ask for.
    """
    tree, bare = folder / "tree", folder / "published.git"
    for part in PARTS:
        source = rules.ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, tree)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (
        ["git", "init", "-q", "-b", rules.revision(), str(tree)],
        ["git", "-C", str(tree), "add", "-A"],
        ["git", "-C", str(tree), *identity, "commit", "-qm", "published"],
        ["git", "clone", "-q", "--bare", str(tree), str(bare)],
    ):
        subprocess.run(command, check=True)
    shutil.rmtree(tree)
    return bare.as_uri()
