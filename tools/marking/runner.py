"""Run a submission's cells in the sandbox, among canaries, and keep what is safe to look at."""

import json
import os
import re
import shutil
import signal
import tempfile
import time
from functools import partial
from pathlib import Path

import nbformat
import zmq
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.session import json_unpacker
from jupyter_core.utils import run_sync
from nbgrader.preprocessors import Execute
from nbgrader.utils import is_grade, is_solution
from traitlets import Integer

from . import canaries, cgroup, checks, clean, filter, values
from .sandbox import ROOT
from .watch import Watch, most_memory, too_much

OUTPUT = 200_000  # characters of output that a cell may keep that nothing is read from
STOPPED = 15  # seconds until a cell must have stopped, and its output be here
MESSAGES = 100_000_000  # bytes that the kernel may send in all
MESSAGE = 100 << 20  # bytes of one message; a longer one is dropped with its connection
LARGE = 10_000_000  # bytes of a part of a message; a larger one is read only if it is text
TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)  # of JSON
UNREAD = {"msg_type": "unread", "header": {}, "parent_header": {}, "content": {}}
INSIDE = "/run/kernel/k"  # where the sandboxed kernel has its sockets
WORK = "/course/work"  # where it begins
WAY_BACK = (  # a folder that was removed has a name, too; no name of the notebook's is changed
    "(lambda os, path: path.parent.exists()"
    " and any((it / 'course/setup_cell.py').exists() for it in path.parents)"
    " or os.chdir({folder!r}))(__import__('os'), "
    "__import__('pathlib').Path(__import__('os').readlink('/proc/self/cwd'), '_')) and None"
)


class Counted(AsyncZMQSocketChannel):
    """Calls `count(bytes)` of all that comes from the kernel, before anything of it is read."""

    async def _recv(self, **options):
        parts = await self.socket.recv_multipart(**options)
        self.count(sum(map(len, parts)) + 100 * len(parts))
        _, parts = self.session.feed_identities(parts)
        if all(map(_is_light, parts[1:5])):
            return self.session.deserialize(parts)
        return UNREAD


class RunInSandbox(Execute):
    """Executes a restored submission among canaries, and keeps what is safe to look at."""

    place = ""  # where folders for a submission are made; the system's temporary folder if empty
    total = Integer(600, help="seconds that a whole submission may take").tag(config=True)

    def preprocess(self, nb, resources):
        """Execute, judge the canaries, and clean the outputs."""
        self.replies, self.extra_arguments = {}, []
        self._size, self._sent, self._why = {}, 0, ""
        self.iopub_timeout = STOPPED
        self.error_on_timeout = {
            **self.error_on_timeout,
            "traceback": [f"{checks.TIMED_OUT} stopped after {self.timeout} seconds"],
        }
        marked = dict(nb.metadata)
        self._given = {it.id for it in nb.cells if _is_given(it)}
        self.timeout_func = self._seconds
        given = values.plant(nb)
        planted = canaries.plant(nb)
        self._read = {*planted, *dict(given), *(it.id for it in nb.cells if is_grade(it))}
        self._folder = Path(tempfile.mkdtemp(prefix="marking-", dir=self.place or None))
        back = self._way_back(nb)
        with cgroup.made(most_memory()) as self._group:
            nb, resources = self._watched(nb, resources)
        found = canaries.judge(nb, planted, self.replies)
        found += values.judge(nb, given, self.replies)
        canaries.remove(nb, {*planted, *dict(given), *back})
        nb.metadata.clear()
        nb.metadata.update(marked)
        nb.metadata.marking["suspicious"] = sorted({*found, *canaries.hints(nb)})
        nb.metadata.marking["notes"] += checks.stopped(nb, self.timeout)
        clean.notebook(nb)
        nb.metadata.marking["failed"] = checks.failed(nb)
        return nb, resources

    def _way_back(self, nb):
        """Let the set-up cell find the course where a student's cell before it went elsewhere.

        Returns
        -------
        list of str
            The ids of the cells that are put in for this.
        """
        for place, cell in enumerate(nb.cells):
            if "setup" in cell.metadata.get("tags", []):
                folder = WORK if self._sandboxed else str(self._folder)
                back = nbformat.v4.new_code_cell(WAY_BACK.format(folder=folder))
                nb.cells.insert(place, back)
                return [back.id]
        return []

    def _watched(self, nb, resources):
        """Execute, unless it takes more than it may."""
        self._watch = Watch(self.total, self._stop)
        try:
            self._watch.start()
            nb, resources = super().preprocess(nb, resources)
        except Exception as error:
            self._why = self._why or self._too_much() or self._words(error)
            raise RuntimeError(self._why) from error
        finally:
            self._watch.over.set()
            self._watch.join()
            shutil.rmtree(self._folder, ignore_errors=True)
        if why := self._why or self._too_much():
            raise RuntimeError(why)
        return nb, resources

    def _too_much(self):
        """Return what to say if the group's limit has killed a process, or ""."""
        return too_much() if self._group.full() else ""

    def _seconds(self, cell):
        """Return how long a cell may run; a given one has as long as the submission.

        On a busy computer the import of Keras alone may take a minute. If it were stopped, every
        test after it would fail, whatever the answers are.
        """
        return None if cell.id in self._given else self.timeout

    def _words(self, error):
        """Return what a person should know of an error of the client's."""
        kind = type(error).__name__
        if kind == "CellTimeoutError":
            return (
                f"a cell ran for more than {self.timeout} seconds and could not be stopped, "
                f"or one of its outputs was larger than {MESSAGE >> 20} MB"
            )
        if kind == "DeadKernelError":
            return "the kernel died: the code ended it, or it took more than it may"
        return f"{kind}: {error}"

    def create_kernel_manager(self):
        """Give the kernel sockets: in a small file system of the sandbox's own, or in a folder."""
        manager = super().create_kernel_manager()
        manager.transport = "ipc"
        manager.ip = INSIDE if self._sandboxed else str(self._folder / "kernel")
        manager.connection_file = str(self._folder / "kernel.json")
        if self._sandboxed:
            manager.context.setsockopt(zmq.MAXMSGSIZE, LARGE)  # of control, which nobody reads
            manager.context.setsockopt(zmq.RCVHWM, 1)
        new = manager.client

        def client(**options):
            made = new(**options)
            made.context.setsockopt(zmq.MAXMSGSIZE, MESSAGE)  # before its sockets are made
            if self._sandboxed:
                made.context.setsockopt(zmq.RCVHWM, 1)  # what waits to be read takes memory, too
            made.session.unpack = _unpacked
            kind = type("Counted", (Counted,), {"count": staticmethod(self._count)})
            made.shell_channel_class = made.iopub_channel_class = kind
            made.start_channels = partial(made.start_channels, stdin=False, hb=False, control=False)
            return made

        manager.client = client
        return manager

    @property
    def _sandboxed(self):
        return self.kernel_name == "sandboxed"

    async def async_start_new_kernel(self, **options):
        """Start it; the trusted find the course in the submission's own folder, too."""
        if self._sandboxed:
            (self._folder / "filter").write_bytes(filter.program())
            options["env"] = {**os.environ, **self._group.environment}
        else:
            for name in ("utils", "lrsweep", "course", "data", "notebooks", "pyproject.toml"):
                (self._folder / name).symlink_to(ROOT / name)
            told = {"COURSE_MARKING": "1", "NBGRADER_EXECUTION": "autograde"}
            options["env"] = {**os.environ, **told}
        await super().async_start_new_kernel(cwd=str(self._folder), **options)
        if self._sandboxed:
            self._watch.first = _first_process(self._folder / "info.json")
            self.km.ip = f"/proc/{self._watch.first}/root{INSIDE}"
            self.km._close_control_socket()  # it was connected to the path of the inside
            self.km._connect_control_socket()

    start_new_kernel = run_sync(async_start_new_kernel)

    def _cleanup_kernel(self):
        """Kill the kernel at once; asking it first takes as long as twenty cells."""
        self._kill()
        super()._cleanup_kernel()

    def _stop(self, why):
        self._why = self._why or why
        self._kill()

    def _kill(self):
        process = getattr(getattr(self.km, "provisioner", None), "process", None)
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def on_cell_executed(self, **event):
        """Keep the kernel's reply; it, and not the output, says whether a cell failed."""
        super().on_cell_executed(**event)
        self.replies[event["cell"].id] = event["execute_reply"]["content"]

    def _count(self, size):
        """Stop a submission that has sent too much, whatever its messages claim to be."""
        self._sent += size
        if self._sent > MESSAGES:
            self._stop(f"stopped: its output was more than {MESSAGES // 10**6} MB")
            raise RuntimeError(self._why)

    def process_message(self, msg, cell, cell_index):
        """Keep no more output of a cell than anyone would read.

        What the tests and the canaries print is read, so none of it is lost among other output.
        """
        if msg["msg_type"] not in ("status", "execute_input", "error"):
            size = _length(msg["content"]) + 500
            self._size[cell_index] = self._size.get(cell_index, 0) + size
            is_read = msg["msg_type"] == "stream" and cell.id in self._read
            if self._size[cell_index] > OUTPUT and not is_read:
                return None
        self._forget_elsewhere(msg["content"].get("transient"), cell_index)
        return super().process_message(msg, cell, cell_index)

    def handle_comm_msg(self, outs, msg, cell_index):
        """Keep nothing of a widget: what a person sees is text and pictures."""

    def _forget_elsewhere(self, transient, cell_index):
        """Let an output be changed from its own cell only; a later one may know hidden tests."""
        name = transient.get("display_id") if isinstance(transient, dict) else None
        if isinstance(name, str) and name in self._display_id_map:
            own = self._display_id_map[name].get(cell_index)
            self._display_id_map[name] = {} if own is None else {cell_index: own}


def _is_light(part):
    """Tell whether a part of a message takes little more memory when it is read, as text does."""
    return len(part) <= LARGE or len(TEXTS.sub(b"", part)) <= LARGE // 10


def _unpacked(part):
    """Return what a part of a message holds; nobody reads a long one letter by letter.

    A single letter that is not of the plainest makes each of them take four bytes.
    """
    if len(part) > LARGE:
        part = part.replace(b"\\u", b"\\/u").decode("ascii", "ignore")
    return json_unpacker(part)


def _is_given(cell):
    return not (is_grade(cell) or is_solution(cell) or cell.id.startswith("extra-"))


def _length(content):
    """Return how many characters a message's content has, without copying them."""
    if isinstance(content, str):
        return len(content)
    if isinstance(content, dict):
        return sum(_length(name) + _length(value) for name, value in content.items())
    return sum(map(_length, content)) if isinstance(content, (list, tuple)) else 20


def _first_process(path, seconds=20):
    """Return the id of the sandbox's first process, which bubblewrap writes into a file."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return int(json.loads(path.read_text())["child-pid"])
        except (OSError, ValueError, KeyError):
            time.sleep(0.01)
    raise RuntimeError("the sandbox did not start")
