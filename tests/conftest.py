"""What several test modules share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def published(tmp_path):
    """Serve this working tree as if it were published, from a bare repository on disk.

    Returns the environment variables that make git answer the course's address with it.
    """
    from tools import published, rules

    address = published.publish(tmp_path)
    return {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{address}.insteadOf",
        "GIT_CONFIG_VALUE_0": rules.address(),
    }
