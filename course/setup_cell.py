"""The set-up cell's other half: make the course importable and say what the lesson runs on.

The cell runs this file by its path, so that no other file or package with the name of one of the
course's can stand in the way. Until that is done it imports nothing of the course.
"""

import contextlib
import importlib.abc
import importlib.metadata
import importlib.util
import logging
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("utils", "lrsweep", "course")  # other things may have these names
READING_ROOM = {"jupyterlab", "nbval"}  # for reading and testing; no lesson imports them
NOT_SAID = {
    "matplotlib": ("mkdir -p failed", "Matplotlib created a"),  # it keeps its cache elsewhere
    "matplotlib.font_manager": ("is building the font cache",),  # once on a computer
    "tensorflow": ("triggered tf.function retracing",),  # each new model is traced once
}
NEVER_INSTALLED = {"tensorflow", "keras", "numpy"}  # a second copy would break a running Colab


def lesson_requirements():
    """Return {package: version range} of what the lessons import, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = map(Requirement, project["dependencies"])
    return {w.name: w.specifier for w in wanted if w.name not in READING_ROOM}


def environment_report():
    """Return what the course finds here.

    Returns
    -------
    dict
        "python" and "cores", "colab" (bool), and the version of each package that the
        lessons use, or None where it is missing.
    """
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "cores": os.cpu_count(),
        "colab": _on_colab(),
        **{name: _version(name) for name in lesson_requirements()},
    }


def set_up():
    """Put the course's packages first, check versions, and say in one line what was found.

    Raises
    ------
    ImportError
        Names the package that is missing or too old, what was found and what is needed; or
        the backend on which Keras was started before.
    """
    _put_first(ROOT)
    _calm_tensorflow()
    _calm_loggers()
    if _is_being_installed():
        print(
            f"Ready for lessons 1 and 2, with NumPy {_version('numpy')}. TensorFlow, for the other "
            "lessons, is still being installed, which takes minutes. Then run this cell again. If "
            "it never ends, read .venv/rest.log, close JupyterLab, and type `make lab`."
        )
        return
    missing = [name for name in lesson_requirements() if _version(name) is None]
    installed = _install(missing) if missing and _on_colab() else ""
    _check_versions()
    _check_backend()
    found = environment_report()
    print(
        f"Ready: Python {found['python']}, Keras {found['keras']} on TensorFlow "
        f"{found['tensorflow']}, NumPy {found['numpy']}, {found['cores']} cores.{installed}"
    )


def _is_being_installed():
    """Return whether `make lab` opened JupyterLab before TensorFlow was there."""
    early, whole = (ROOT / ".venv" / name for name in (".early", ".lab"))
    return early.exists() and not whole.exists() and Path(sys.prefix) == ROOT / ".venv"


def _calm_tensorflow():
    """See that Keras starts TensorFlow, and that TensorFlow starts without its log lines."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" not in sys.modules:
        sys.meta_path[:] = [it for it in sys.meta_path if type(it).__name__ != "QuietImport"]
        sys.meta_path.insert(0, QuietImport())


def _calm_loggers():
    """Leave out what is said of a read-only home, a first figure, and cells that are run again."""
    for name, said in NOT_SAID.items():
        logger = logging.getLogger(name)
        for old in [it for it in logger.filters if type(it).__name__ == "LeftOut"]:
            logger.removeFilter(old)  # of an earlier run of this cell, and so of another class
        logger.addFilter(LeftOut(said))


class LeftOut(logging.Filter):
    """Keeps back the records that contain one of some phrases."""

    def __init__(self, said):
        super().__init__()
        self.said = said

    def filter(self, record):
        """Return whether the record is let through."""
        return not any(words in str(record.msg) for words in self.said)


class QuietImport(importlib.abc.MetaPathFinder):
    """Lets `import tensorflow` happen with the process's stderr closed.

    TensorFlow's compiled part writes several lines there before it reads any setting.
    Python's own errors are not affected.
    """

    def find_spec(self, name, path=None, target=None):
        """Answer for tensorflow, once; the ordinary search finds everything else."""
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            loud = spec.loader.exec_module

            def quiet(module):
                with _silent_stderr():
                    loud(module)

            spec.loader.exec_module = quiet
        return spec


@contextlib.contextmanager
def _silent_stderr():
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _check_versions():
    for name, wanted in lesson_requirements().items():
        found = _version(name)
        if found is None:
            raise ImportError(
                f"This course needs {name}{wanted}, which is not installed: run "
                f'%pip install "{name}{wanted}" in a cell, then run this cell again.'
            )
        floors = [part for part in wanted if part.operator == ">="]
        if not all(floor.contains(found, prereleases=True) for floor in floors):
            raise ImportError(
                f"This course needs {name} {floors[0].version} or newer, found {found}: run "
                f'%pip install "{name}{wanted}" in a cell, restart the kernel and try again.'
            )


def _check_backend():
    keras = sys.modules.get("keras")
    backend = keras.config.backend() if keras else "tensorflow"
    if backend != "tensorflow":
        raise ImportError(
            f"This course needs Keras on TensorFlow, but Keras was started on {backend}: "
            "restart the kernel and run this cell first."
        )


def _put_first(root):
    """Make `import utils` and the like find the course's, whatever else has these names."""
    for name in list(sys.modules):
        package = name.partition(".")[0]
        file = Path(str(getattr(sys.modules[name], "__file__", "")))
        if package in PACKAGES and root / package not in file.parents:
            del sys.modules[name]
    if str(root) in sys.path:
        sys.path.remove(str(root))
    sys.path.insert(0, str(root))


def _install(names):
    """Install packages that Colab lacks, never one that the running kernel depends on."""
    names = [name for name in names if name not in NEVER_INSTALLED]
    wanted = [f"{name}{lesson_requirements()[name]}" for name in names]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *wanted], check=False)
    importlib.invalidate_caches()
    return f" Installed {', '.join(names)}." if names else ""


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _on_colab():
    return "google.colab" in sys.modules or bool(
        importlib.util.find_spec("google") and importlib.util.find_spec("google.colab")
    )


if __name__ == "set_up":
    set_up()
    from course import name_errors

    name_errors.say_which_comes_first()
