"""Watch a submission from outside: its time, its processes' memory in sum, and the marker's own."""

import contextlib
import os
import threading
import time
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
FOLDERS = ("tmp", "course/work", "dev/shm", "run/kernel")  # file systems in the memory
EVERY = 0.2  # seconds
MEMORY = "MARKING_SUM"  # the variable that bounds the sum, in bytes
MARKER = 600 << 20  # bytes that the marker's own process may take for one submission


class Watch(threading.Thread):
    """Calls `stop(why)` once when a submission takes more than it may.

    Parameters
    ----------
    seconds : float
        What it may take in all.
    stop : callable
    """

    def __init__(self, seconds, stop):
        super().__init__(daemon=True)
        self.seconds, self.stop = seconds, stop
        self.first = 0  # the sandbox's first process, when it is known
        self.over = threading.Event()

    def run(self):
        """Look again and again until it is over."""
        end, most = time.monotonic() + self.seconds, most_memory()
        before = _resident("self")
        while not self.over.wait(EVERY):
            why = ""
            if time.monotonic() > end:
                why = f"stopped after {self.seconds} seconds"
            elif self.first and memory(self.first, most) > most:
                why = too_much()
            elif _resident("self") - before > MARKER * _watched():  # of a message without an end
                why = f"stopped: its messages took more than {MARKER / 1e9:.1f} GB in the marker"
            if why:
                self.stop(why)
                return


def _watched():
    """Return how many submissions this process marks at once, in threads."""
    return sum(isinstance(it, Watch) for it in threading.enumerate())


def most_memory():
    """Return how many bytes a submission may take."""
    return int(os.environ.get(MEMORY, 6 << 30))


def too_much():
    """Return what is said of a submission that took more."""
    most = most_memory() / 1e9
    return f"stopped: its processes took more than {most:.1f} GB of memory in sum"


def memory(first, enough):
    """Return the bytes that a sandbox takes: its processes, and its files in the memory.

    What processes share counts once; that is looked up only if the simple sum is over `enough`.
    """
    family = list(processes(first))
    files = sum(_files(first, name) for name in FOLDERS)
    simple = sum(map(_resident, family)) + files
    return simple if simple <= enough else sum(map(_proportional, family)) + files


def processes(first):
    """Yield the ids of a process and of all that descend from it."""
    waiting = [first]
    while waiting:
        pid = waiting.pop()
        yield pid
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())


def _resident(pid):
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return 0


def _proportional(pid):
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return _resident(pid)


def _files(first, name):
    """Return the bytes of a file system in the memory; the marker's own is not the sandbox's.

    While bubblewrap builds the sandbox, its process still sees the computer's folders.
    """
    with contextlib.suppress(OSError):
        place = os.open(f"/proc/{first}/root/{name}", os.O_PATH)
        try:
            found, device = os.fstatvfs(place), os.fstat(place).st_dev
        finally:
            os.close(place)
        if device in {os.stat(it).st_dev for it in ("/", f"/{name}") if os.path.exists(it)}:
            return 0
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        return used + (found.f_files - found.f_ffree) * 1024  # a name takes memory, too
    return 0
