"""A control group for each submission, where one may be made: an exact limit of its memory."""

import contextlib
import os
import signal
import tempfile
import time
from pathlib import Path

PREFIX = "marking-"
LIMITS = "memory.max", "memory.high", "cpu.max"  # of version 2
EVENTS = ("memory.oom_control", "memory.events")  # of version 1 and 2


@contextlib.contextmanager
def made(most):
    """Make a group of its own for one submission, and remove it with all that runs in it.

    Parameters
    ----------
    most : int
        Bytes that its processes and their files in the memory may take together.

    Yields
    ------
    Group
        Without a folder where none may be made; then it limits nothing.
    """
    group = Group(_new(most))
    try:
        yield group
    finally:
        group.remove()


class Group:
    """A control group, or none.

    Parameters
    ----------
    folder : Path or None
    """

    def __init__(self, folder):
        self.folder = folder

    @property
    def environment(self):
        """What the kernel's script must know to enter it."""
        return {"MARKING_GROUP": str(self.folder)} if self.folder else {}

    def full(self):
        """Tell whether it was at its limit and a process was killed for want of memory."""
        if not self.folder:
            return False
        lines = [it for name in EVENTS for it in _lines(self.folder / name)]
        told = {name: int(number) for name, _, number in (it.partition(" ") for it in lines)}
        return told.get("oom_kill", 0) > 0 and (told.get("oom", 0) > 0 or self._was_at_limit())

    def _was_at_limit(self):
        """Tell it for version 1; otherwise the computer's memory was full, or a group's above."""
        names = "memory.max_usage_in_bytes", "memory.limit_in_bytes"
        most, limit = (int(_read(self.folder / name) or 0) for name in names)
        return most > 0.99 * limit

    def remove(self, seconds=60):
        """Kill what is left in it, and remove it."""
        end = time.monotonic() + seconds
        while self.folder and not _removed(self.folder) and time.monotonic() < end:
            for pid in map(int, _lines(self.folder / "cgroup.procs")):
                with contextlib.suppress(OSError):
                    if pid:  # 0 is one that has no number here
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)


def _limits(most):
    """Return what to write into the files of version 1, and of version 2; the first must be."""
    processes = int(os.environ.get("MARKING_PROCESSES", 512)) + 16  # bubblewrap's own
    return (
        {"memory.limit_in_bytes": most, "memory.memsw.limit_in_bytes": most},
        {"memory.max": most, "memory.swap.max": 0, "memory.oom.group": 1, "pids.max": processes},
    )


def _new(most):
    """Return the folder of a new group that has its limits, or None."""
    for place in _places():
        _clear_up(place)
        mine = f"{PREFIX}{os.getpid()}-{_begin('self')}-"
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix=mine, dir=place))
            try:
                if _limited(folder, most):
                    return folder
            except OSError:
                pass
            _removed(folder)
    return None


def _limited(folder, most):
    """Write a group's limits; tell whether it is one that has a limit of memory."""
    for limits in _limits(most):
        if (folder / next(iter(limits))).exists():
            for name, value in limits.items():
                if (folder / name).exists():
                    (folder / name).write_text(str(value))
            return True
    return False


def _places(proc=Path("/proc/self")):
    """Yield the groups in which one may be made without escaping a limit of the marker's.

    In version 2 a group that has processes has no groups inside that bound their memory. So the
    next one above may do, up to the first that has a limit itself.
    """
    for own in _own(proc):
        if (own / "memory.limit_in_bytes").exists():
            if os.access(own, os.W_OK):
                yield own
            continue
        for place in (own, *own.parents):
            may = all(os.access(it, os.W_OK) for it in (place, place / "cgroup.procs"))
            if may and "memory" in _read(place / "cgroup.subtree_control").split():
                yield place
            if any(_read(place / it).split()[:1] not in ([], ["max"]) for it in LIMITS):
                break


def _own(proc):
    """Yield the marker's own groups, of version 1 and 2, where they are mounted."""
    groups = {}
    for line in _lines(proc / "cgroup"):
        _, controllers, path = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), path)  # that of version 2 has no name
    for line in _lines(proc / "mountinfo"):
        mount, _, system = line.partition(" - ")
        root, place = mount.split(" ")[3:5]
        kind, _, options = system.split(" ")[:3]
        name = {"cgroup": "memory", "cgroup2": ""}.get(kind)
        if name in groups and name in ("", *options.split(",")):
            folder = Path(place, os.path.relpath(groups[name], root))
            if str(os.getpid()) in _lines(folder / "cgroup.procs"):  # else it is another's
                yield folder


def _clear_up(place):
    """Remove the groups of processes that are no more."""
    for folder in place.glob(f"{PREFIX}[0-9]*-[0-9]*-*"):
        pid, begin = folder.name.removeprefix(PREFIX).split("-")[:2]
        if _begin(pid) != begin:
            _removed(folder)


def _begin(pid):
    """Return when a process began, or ""; another one that gets its number begins later."""
    return "".join(_read(Path("/proc", pid, "stat")).rpartition(")")[2].split()[19:20])


def _removed(folder):
    """Remove a group, and tell whether it is gone; it is not while a process in it still ends."""
    try:
        folder.rmdir()
    except OSError:
        return not folder.exists()
    return True


def _read(path):
    with contextlib.suppress(OSError):
        return os.fsdecode(path.read_bytes())  # a mounted folder may have any name
    return ""


def _lines(path):
    return [it for it in _read(path).split("\n") if it]
