"""What several test modules share."""

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Two workers share two cores: a matrix product that waits for a second thread takes far longer.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
LONGEST = (  # files that take half a minute or more, the longest first
    "test_differential.py",
    "test_sweep.py",
    "test_claims_08.py",
    "06_transfer_learning_with_xception.ipynb",
    "07_where_the_limit_moves.ipynb",
    "08_the_learning_rate_clinic.ipynb",
    "test_clinic.py",
    "test_exercises.py",
    "test_surroundings.py",
    "05_sweeps.ipynb",
    "03_keras_optimizers.ipynb",
    "04_decay_and_schedules.ipynb",
    "test_views.py",
)


TRIALS = (  # a sentence or the engine against many experiments: `make test-trials`
    "test_claims_*.py",
    "test_check_up.py",
    "test_curvature.py",
    "test_differential.py",
    "test_guides.py",
    "test_keep.py",
    "test_kinds.py",
    "test_range_test.py",
    "test_stopping.py",
    "test_sweep.py",
)


def pytest_configure():
    """Hear Ctrl-C in a run that a shell has started in the background, too; tests press it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items):
    """Mark the trials; begin with the longest files, so that two workers end at the same time."""
    for item in items:
        if any(item.path.match(pattern) for pattern in TRIALS):
            item.add_marker("trial")
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


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
