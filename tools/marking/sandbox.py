"""Run a submission's cells in a kernel that can neither see nor harm anything of the marker's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

ROOT = Path(__file__).resolve().parents[2]
KERNELS = Path(__file__).parent  # holds kernels/sandboxed
TRUST = "yes-i-trust-my-students"

OFFLINE = (  # while one looks at students' work, the browser loads nothing but this server's
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' ws: wss:; worker-src 'self' blob:; frame-ancestors 'self'; "
    "form-action 'self'; base-uri 'self'"
)
LOOK = (  # arguments of JupyterLab: nothing from the network, and no kernel but the sandbox's
    "--ServerApp.tornado_settings=" + repr({"headers": {"Content-Security-Policy": OFFLINE}}),
    "--ServerApp.kernel_spec_manager_class=tools.marking.sandbox.NoOtherKernel",
    "--MultiKernelManager.default_kernel_name=sandboxed",
)


class NoOtherKernel(KernelSpecManager):
    """Knows the sandboxed kernel only; that one answers the marker and nobody else."""

    def find_kernel_specs(self):
        """Return where the kernel lies."""
        return {"sandboxed": str(KERNELS / "kernels" / "sandboxed")}

    def get_kernel_spec(self, kernel_name):
        """Refuse every other name."""
        if kernel_name != "sandboxed":
            raise NoSuchKernel(kernel_name)
        return super().get_kernel_spec(kernel_name)


class Refused(RuntimeError):
    """Students' code would run without a sandbox, and nobody has allowed that."""


def prepare(environment=os.environ):
    """Set the variables that the kernel's script and nbgrader read."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    in_sum = max(2 << 30, min(6 << 30, total // 2))
    limits = {"MEMORY": 8 << 30, "SUM": in_sum, "FILE": 100 << 20, "CPU": 900, "PROCESSES": 512}
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
