"""Mark on other computers: any executor of `concurrent.futures`, such as a Dask cluster's."""

import contextlib
import os
import shutil
import tempfile
import threading
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path

from . import sandbox
from .one import mark_one

RETRIES = 3  # how often a submission goes out again whose node was lost
PREFIX = "marking-"


@contextlib.contextmanager
def connected(address):
    """Give (an executor, a function that returns how many tasks it works on at a time).

    Parameters
    ----------
    address : str
        Of a Dask scheduler, such as "tcp://node1:8786". Each of its workers runs in a copy of the
        course's folder with the same requirements as here, and with bubblewrap.
    """
    try:
        from distributed import Client
    except ImportError:
        raise SystemExit("EXECUTOR needs Dask: .venv/bin/pip install distributed") from None
    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise SystemExit(f"EXECUTOR={address} does not answer ({error})") from None
    with client, client.get_executor(pure=False, retries=RETRIES) as executor:
        yield executor, lambda: sum(client.ncores().values())


def through(executor, size, tasks, started=lambda task: None, work=None):
    """Yield (task, result), or (task, a text that says why there is none).

    Parameters
    ----------
    executor : concurrent.futures.Executor
    size : callable
        Returns how many tasks are worked on at a time; twice as many are on their way.
    tasks : iterable
    started : callable
        Called with each task when it goes out.
    work : callable, optional
        `mark_there` without it.
    """
    tasks, running, more = iter(tasks), {}, True
    while more or running:
        while more and len(running) < 2 * max(1, size()):
            task = next(tasks, None)
            more = task is not None
            if more:
                started(task)
                running[executor.submit(work or mark_there, task)] = task
        done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
        for future in done:
            task, error = running.pop(future), future.exception()
            yield task, f"{type(error).__name__}: {error}" if error else future.result()


def mark_there(task):
    """Mark a submission on a node: in its own sandbox, without a common folder."""
    sandbox.prepare()
    _clear_up()
    folder = Path(tempfile.gettempdir(), f"{PREFIX}{os.getpid()}-{threading.get_ident()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        return mark_one(task._replace(place=str(folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear_up():
    """Remove what processes left here that are no more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}[0-9]*-[0-9]*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
