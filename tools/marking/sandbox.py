"""Run a submission's cells in a kernel that can neither see nor harm anything of the marker's."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from jupyter_core.utils import run_sync
from nbgrader.preprocessors import Execute
from traitlets import Integer

from . import canaries, clean

ROOT = Path(__file__).resolve().parents[2]
KERNELS = Path(__file__).parent  # holds kernels/sandboxed
TRUST = "yes-i-trust-my-students"
OUTPUT = 200_000  # characters of output that one cell may keep
FOLDER = 1_000_000  # bytes that may lie in the folder of the connection, which only needs sockets


class Refused(RuntimeError):
    """Students' code would run without a sandbox, and nobody has allowed that."""


def prepare(environment=os.environ):
    """Set the variables that the kernel's script and nbgrader read."""
    limits = {"MEMORY": 8 << 30, "FILE": 100 << 20, "CPU": 900, "PROCESSES": 512}
    for name, value in limits.items():
        environment.setdefault(f"MARKING_{name}", str(value))
    environment["MARKING_PYTHON"] = sys.executable
    environment["MARKING_PREFIX"] = sys.prefix
    environment["MARKING_BASE"] = sys.base_prefix
    environment["MARKING_COURSE"] = str(ROOT)
    for name, first in {"PATH": Path(sys.executable).parent, "JUPYTER_PATH": KERNELS}.items():
        rest = [part for part in environment.get(name, "").split(os.pathsep) if part]
        if str(first) not in rest:
            environment[name] = os.pathsep.join([str(first), *rest])


def obstacle():
    """Return why the sandbox does not work on this computer, or "" if it does."""
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed (apt install bubblewrap)"
    script = KERNELS / "kernels" / "sandboxed" / "kernel.sh"
    command = ["sh", script, "--try", sys.executable, "-c", "import ipykernel"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return "" if done.returncode == 0 else f"bubblewrap does not work here: {done.stderr.strip()}"


def kernel_name(trust=""):
    """Return the kernel to mark with.

    Parameters
    ----------
    trust : str
        `TRUST`, in these words, lets students' code run with the rights of whoever marks.

    Raises
    ------
    Refused
        If there is no sandbox and no such word.
    """
    why = obstacle()
    if not why:
        return "sandboxed"
    if trust == TRUST:
        return "python3"
    raise Refused(
        f"{why}.\nWithout a sandbox a submission can read and change everything that you can. To "
        f"mark nevertheless, say so: make mark ... TRUST={TRUST}"
    )


class RunInSandbox(Execute):
    """Executes a restored submission among canaries, and keeps what is safe to look at."""

    place = ""  # where folders for a submission are made; the system's temporary folder if empty
    total = Integer(600, help="seconds that a whole submission may take").tag(config=True)

    def preprocess(self, nb, resources):
        """Execute, judge the canaries, and clean the outputs."""
        self.replies = {}
        self.extra_arguments = []
        self._size = {}
        marked = dict(nb.metadata)
        planted = canaries.plant(nb)
        self._folder = Path(tempfile.mkdtemp(prefix="marking-", dir=self.place or None))
        self._over = threading.Event()
        self._why = ""
        watch = threading.Thread(target=self._watch, daemon=True)
        try:
            watch.start()
            nb, resources = super().preprocess(nb, resources)
        except Exception as error:
            raise RuntimeError(self._why or f"{type(error).__name__}: {error}") from error
        finally:
            self._over.set()
            watch.join()
            shutil.rmtree(self._folder, ignore_errors=True)
        found = canaries.judge(nb, planted, self.replies)
        canaries.remove(nb, planted)
        nb.metadata.clear()
        nb.metadata.update(marked)
        nb.metadata.marking["suspicious"] = found + canaries.hints(nb)
        clean.notebook(nb)
        return nb, resources

    def create_kernel_manager(self):
        """Give the kernel sockets in a folder of its own: there is no network to talk over."""
        manager = super().create_kernel_manager()
        manager.transport = "ipc"
        manager.ip = str(self._folder / "kernel")
        manager.connection_file = str(self._folder / "kernel.json")
        return manager

    async def async_start_new_kernel(self, **options):
        """Start it in the submission's own folder; the trusted find the course there, too."""
        if self.kernel_name != "sandboxed":
            for name in ("utils", "lrsweep", "course", "data", "notebooks", "pyproject.toml"):
                (self._folder / name).symlink_to(ROOT / name)
            options["env"] = {**os.environ, "COURSE_MARKING": "1"}
        await super().async_start_new_kernel(cwd=str(self._folder), **options)

    start_new_kernel = run_sync(async_start_new_kernel)

    def _cleanup_kernel(self):
        """Kill the kernel at once; asking it first takes as long as twenty cells."""
        self._kill()
        super()._cleanup_kernel()

    def _watch(self):
        """Kill the kernel when time is up, or when it fills the folder of the connection."""
        end = time.monotonic() + self.total
        while not self._over.wait(0.5):
            if time.monotonic() > end:
                self._why = f"stopped after {self.total} seconds"
            elif self.kernel_name == "sandboxed" and _bytes_in(self._folder) > FOLDER:
                self._why = "stopped: it wrote into the marker's folder"
            if self._why:
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

    def process_message(self, msg, cell, cell_index):
        """Keep no more output of a cell than anyone would read."""
        if msg["msg_type"] in ("stream", "display_data", "execute_result", "error"):
            size = self._size.get(cell_index, 0) + len(str(msg["content"]))
            self._size[cell_index] = size
            if size > OUTPUT and msg["msg_type"] != "error":
                return None
        return super().process_message(msg, cell, cell_index)


def _bytes_in(folder):
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size + 1000  # a name takes room, too
        except OSError:
            continue
    return total
