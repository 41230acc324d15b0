"""Other processes that mark: nothing of them is left, however the command ends."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.connection import wait as wait_for

SPAWN = multiprocessing.get_context("spawn")
BESIDE = 120  # seconds that a submission may take besides its kernel
CLEANER = 'trap "" HUP INT TERM; cat >/dev/null; rm -rf -- "$1"; sleep 2; rm -rf -- "$1"'


class Stopped(KeyboardInterrupt):
    """The command was told to stop: a closed terminal, Ctrl-C, or a signal of the system."""


@contextlib.contextmanager
def stoppable():
    """Turn the signals that end a command into an error, so that it can clear away first."""
    names = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    before = {}

    def stop(number, frame):
        for name in before:
            signal.signal(name, signal.SIG_IGN)
        raise Stopped(signal.Signals(number).name)

    for name in filter(None, names):
        before[name] = signal.signal(name, stop)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextlib.contextmanager
def scratch():
    """Give a temporary folder that goes away even if this process is killed.

    A shell in a session of its own waits for the end of a pipe, which the system closes when this
    process ends in whatever way; then it removes the folder.
    """
    folder = tempfile.mkdtemp(prefix="marking-")
    cleaner = subprocess.Popen(
        ["sh", "-c", CLEANER, "cleaner", folder], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["rm", "-rf", "--", folder], check=False)
        cleaner.kill()
        cleaner.wait()
        cleaner.stdin.close()


def in_processes(work, tasks, workers, seconds, started=lambda task: None):
    """Yield (task, result of `work(task)`); the result is a text if the task could not be done.

    A task that takes its process down, or does not come to an end, is tried once more alone.

    Parameters
    ----------
    work : callable
        A function of a module; it runs in another process.
    tasks : iterable
        It is read as tasks are begun.
    workers : int
        How many processes.
    seconds : float
        What a task may take before its process is ended.
    started : callable
        Called with each task when it begins.
    """
    _start_tracker()
    crowd, alone = _Queue(tasks), deque()
    while crowd:
        alone.extend((yield from _pooled(work, crowd, workers, seconds, started)))
    for task in alone:
        for _ in (yield from _pooled(work, _Queue([task]), 1, seconds, started)):
            yield task, "it ended the marking process, or took longer than a submission may"


def _start_tracker():
    """Start multiprocessing's own helper so that a closed terminal does not end it before us."""
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is None or threading.current_thread() is not threading.main_thread():
        return
    before = signal.signal(hang_up, signal.SIG_IGN)  # which the helper inherits
    try:
        resource_tracker.ensure_running()
    finally:
        signal.signal(hang_up, before)


class _Queue:
    """Tasks that are made when they are needed; it is false when there are no more."""

    def __init__(self, tasks):
        self.tasks, self.next = iter(tasks), deque()

    def __bool__(self):
        if not self.next:
            self.next.extend(task for task in [next(self.tasks, None)] if task is not None)
        return bool(self.next)

    def pop(self):
        return self.next.popleft()


def _pooled(work, queue, workers, seconds, started):
    """Yield results until the queue is empty or a process dies; return the tasks in question."""
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=SPAWN, initializer=_start_worker)
    running = {}
    try:
        while queue or running:
            while len(running) < workers and queue:
                task = queue.pop()
                started(task)
                running[pool.submit(work, task)] = task, time.monotonic()
            done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                if isinstance(future.exception(), BrokenProcessPool):
                    return [task for task, _ in running.values()]
                task, _ = running.pop(future)
                error = future.exception()
                yield task, f"{type(error).__name__}: {error}" if error else future.result()
            late = time.monotonic() - seconds
            if any(begun < late for _, begun in running.values()):
                return [task for task, _ in running.values()]
        return []
    except BrokenProcessPool:  # between two tasks: the one that was to begin is in question, too
        return [task for task, _ in running.values()] or [task]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        children = set(multiprocessing.active_children()) - before
        for child in children:
            child.kill()
        for child in children:
            child.join(10)


def _start_worker():
    """Leave Ctrl-C to the parent, and end when the parent ends; the kernel ends with us."""
    signal.signal(signal.SIGINT, lambda number, frame: None)
    parent = multiprocessing.parent_process().sentinel

    def watch():
        wait_for([parent])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
