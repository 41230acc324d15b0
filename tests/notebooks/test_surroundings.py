"""Lessons in hostile surroundings: they work there, or say in one sentence what to change.

Each test runs real cells in a kernel of its own. The light cells (lesson 2: data, figures and a
quiz) are in `make test`; those that start TensorFlow are in `make test-long`. Offline and
read-only are bubblewrap's (bwrap): a network with nothing in it, a file system that refuses
every write but those in /tmp. Without bwrap, sockets are refused by a sitecustomize, and what
must be read-only is skipped.
"""

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT

from tools import rules

LESSONS = rules.lessons()
RUNNER = ROOT / "tests" / "run_lesson.py"
SET_UP, LIGHT, KERAS, PICTURES = (2, 1), (2, 8), (3, 11), (6, 8)  # lesson, and how many cells
KINDS = [
    pytest.param(LIGHT, id="light"),
    pytest.param(KERAS, id="keras", marks=pytest.mark.long),
    pytest.param(PICTURES, id="pictures", marks=pytest.mark.long),
]
UNWANTED = ("MPLCONFIGDIR", "KERAS_HOME", "KERAS_BACKEND", "IPYTHONDIR", "PYTHONIOENCODING")
SEALED = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-net"]
BWRAP = shutil.which("bwrap") and not subprocess.call([*SEALED, "true"], stderr=subprocess.DEVNULL)
needs_bwrap = pytest.mark.skipif(not BWRAP, reason="bubblewrap is not here or not allowed")
NO_SOCKETS = """
import socket, sys
def refuse(event, arguments):
    far = event == "socket.connect" and isinstance(arguments[1], tuple)
    if far and arguments[1][0] not in ("127.0.0.1", "::1") or event == "socket.getaddrinfo":
        raise OSError("there is no network")
sys.addaudithook(refuse)
"""


@pytest.fixture
def home(tmp_path):
    """Return an empty home."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def copy(tmp_path):
    """Return a function that copies the course into a new folder."""

    def make(name):
        for part in ("utils", "lrsweep", "course", "notebooks", "data"):
            unneeded = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, tmp_path / name / part, ignore=unneeded)
        shutil.copy(ROOT / "pyproject.toml", tmp_path / name)
        return tmp_path / name

    return make


def start(kind, home, course=ROOT, folder=None, around=(), wrapper=(), **variables):
    """Begin to run a lesson's first cells, and return the process."""
    (number, count), given = kind, {k: v for k, v in os.environ.items() if k not in UNWANTED}
    command = [*wrapper, sys.executable, RUNNER, course / "notebooks" / LESSONS[number - 1].name]
    return subprocess.Popen(
        [*command, folder or course / "notebooks", str(count), *around],
        env={**given, "HOME": str(home), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Return what the cells wrote and the error that ended them."""
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def run(*args, **options):
    return finish(start(*args, **options))


def works(result):
    """Assert that all cells ran, and that nothing but their own words was shown."""
    assert result["error"] is None
    assert result["stderr"] == ""
    assert "Ready: Python" in result["stdout"]
    return result


@contextlib.contextmanager
def offline(tmp_path):
    """Yield the beginning of a command, and variables, that leave it without a network."""
    if BWRAP:
        yield ["bwrap", "--dev-bind", "/", "/", "--unshare-net"], {}
    else:
        (tmp_path / "sitecustomize.py").write_text(NO_SOCKETS)
        yield [], {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize("kind", KINDS)
def test_offline(kind, home, tmp_path):
    """Works by itself, because data and weights are in the course; the cell fetches nothing."""
    with offline(tmp_path) as (wrapper, variables):
        works(run(kind, home, wrapper=wrapper, **variables))


@pytest.mark.parametrize("kind", KINDS)
def test_from_another_working_directory(kind, home, copy, tmp_path):
    """The cell looks for the course in all folders above; `course` finds its data by itself."""
    (deep := copy("course") / "mine" / "week 1").mkdir(parents=True)
    moved = f"import os; os.chdir({str(tmp_path)!r}); quiz.ask('0{kind[0]}_recall')\n"
    works(run(kind, home, tmp_path / "course", folder=deep, around=["", moved]))


@pytest.mark.parametrize("kind", KINDS)
def test_from_a_path_with_spaces_and_letters_of_all_kinds(kind, home, copy):
    """Works by itself: paths are never put together as text for a shell."""
    works(run(kind, home, copy("Kurs für Ωmega, 学习 'n' η")))


@needs_bwrap
@pytest.mark.parametrize("kind", KINDS)
def test_read_only_repository_and_home(kind, home, tmp_path):
    """The caches of Python, matplotlib and Keras cannot be written, and nobody hears of it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as scratch:
        places = [str(ROOT / "course"), str(home)]
        wrapper = [*SEALED, "--bind", scratch, scratch, "--chdir", "/"]
        around = [f"import os; assert not any(os.access(p, os.W_OK) for p in {places})"]
        works(run(kind, home, wrapper=wrapper, around=around, TMPDIR=scratch))
    assert not list(home.iterdir())


def test_leftovers_of_the_same_names_in_the_working_directory(home, copy):
    """The cell runs course/setup_cell.py by its path, and that puts the course first."""
    course = copy("course")
    for name in ("utils.py", "lrsweep.py", "course.py", "setup_cell.py"):
        (course / "notebooks" / name).write_text("raise RuntimeError('the wrong one')")
    works(run(LIGHT, home, course))


@pytest.mark.parametrize(
    ("where", "name"),
    [("elsewhere", "utils"), ("course/.venv/lib", "course"), ("course-2", "lrsweep")],
)
def test_an_installed_package_that_was_imported(where, name, home, copy, tmp_path):
    """Modules of another package are forgotten, even if they lie in the course's own .venv."""
    course, package = copy("course"), tmp_path / where / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "other.py").write_text("")
    seen = f"import {name}.other"
    then = "from course import quiz; import lrsweep, utils.checks; quiz.ask('02_recall')\n"
    then += f"import sys; assert '{name}.other' not in sys.modules"
    works(run(SET_UP, home, course, around=[seen, then], PYTHONPATH=str(package.parent)))


@pytest.mark.long
def test_another_backend_of_keras(home):
    """The cell chooses TensorFlow before Keras is imported, over the variable and the file."""
    (home / ".keras").mkdir()
    (home / ".keras" / "keras.json").write_text('{"backend": "jax"}')
    shown = "print('on', keras.backend.backend())"
    result = works(run(KERAS, home, around=["", shown], KERAS_BACKEND="torch"))
    assert result["stdout"].endswith("on tensorflow\n")


def test_keras_that_runs_on_another_backend_already(home):
    """Keras cannot change its backend any more, so the cell says what to do."""
    stub = "import sys, types; keras = sys.modules['keras'] = types.ModuleType('keras')\n"
    stub += "keras.config = types.SimpleNamespace(backend=lambda: 'torch')"
    name, message = run(LIGHT, home, around=[stub])["error"]
    assert name == "ImportError"
    assert "Keras was started on torch" in message
    assert "restart the kernel and run this cell first" in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_locale_that_is_not_utf_8(kind, home):
    """Works, because every file is opened with its encoding named."""
    seen = "import locale; assert 'utf' not in locale.getencoding().lower()"
    works(run(kind, home, around=[seen], LC_ALL="C", PYTHONUTF8="0"))


@pytest.mark.long
@pytest.mark.parametrize("devices", ["-1", "0"])
def test_a_gpu_that_is_hidden_or_promised(devices, home):
    """Works by itself: TensorFlow takes the processor, and says nothing about drivers."""
    works(run(KERAS, home, CUDA_VISIBLE_DEVICES=devices))


@pytest.mark.parametrize("kind", KINDS)
def test_twice_in_parallel(kind, home):
    """Works by itself, because nothing is written into the course."""
    both = [start(kind, home) for _ in range(2)]
    for process in both:
        works(finish(process))


OLD = "Metadata-Version: 2.1\nName: {}\nVersion: {}\n"


@pytest.mark.parametrize(
    ("lesson", "package", "version", "needed"),
    [
        (1, "keras", "3.9.1", "3.13.1"),
        (3, "keras", "2.15.0", "3.13.1"),
        (3, "numpy", "1.26.4", "2.1"),
    ],
)
def test_too_old_a_package_is_named_in_the_first_cell(
    lesson, package, version, needed, home, tmp_path
):
    """The versions are compared before anything is imported."""
    info = tmp_path / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(OLD.format(package, version))
    name, message = run((lesson, 1), home, PYTHONPATH=str(tmp_path))["error"]
    assert name == "ImportError"
    assert f"needs {package} {needed} or newer, found {version}: run %pip install" in message


LIMIT = 2 * 1024**3
GROUP = Path("/sys/fs/cgroup/memory")  # version 1; only the system's manager may use version 2
PEAK = """
import resource
who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
print("peak", sum(resource.getrusage(one).ru_maxrss for one in who))
"""


@contextlib.contextmanager
def limited_memory():
    """Yield the beginning of a command that has 2 GB of memory, where that can be arranged."""
    if not os.access(GROUP, os.W_OK) or not (GROUP / "memory.limit_in_bytes").exists():
        yield []
        return
    group = Path(tempfile.mkdtemp(prefix="lesson-", dir=GROUP))
    (group / "memory.limit_in_bytes").write_text(str(LIMIT))
    try:
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    finally:
        group.rmdir()


OURS = """
import warnings
packages = r"(utils|lrsweep|course|__main__)(\\.|$)"
for category in (DeprecationWarning, FutureWarning, PendingDeprecationWarning):
    warnings.filterwarnings("error", category=category, module=packages)
"""
PLANTED = {
    "a cell": "warnings.warn('planted', PendingDeprecationWarning)",
    "course": "exec(compile('warnings.warn(\"planted\", FutureWarning)', 'course', 'exec'), "
    "{'__name__': 'course.quiz', 'warnings': warnings})",
}


@functools.cache
def whole_lesson(path):
    """Run a lesson with 2 GB and deprecations as errors, up to its peak and a planted one."""
    with limited_memory() as wrapper, tempfile.TemporaryDirectory() as home:
        end = PEAK + PLANTED["a cell"]
        return run((int(path.name[:2]), 0), home, wrapper=wrapper, around=[OURS, end])


@pytest.mark.long
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_lesson_uses_what_is_deprecated(path):
    """A canary: a warning of our cells or packages is an error, as the planted one at the end."""
    assert whole_lesson(path)["error"] == ["PendingDeprecationWarning", "planted"]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB on Linux only")
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_lesson_with_2_gb_of_memory(path):
    """Works by itself: lesson 6 streams its pictures, sweeps train in chunks that fit.

    The largest resident memory of the kernel is measured. Where control groups may be made, the
    limit is real too, for everything that Jupyter starts, and the lesson is killed beyond it.
    """
    kilobytes = int(whole_lesson(path)["stdout"].split()[-1])
    print(f"{path.stem}: {kilobytes // 1024} MB")
    assert kilobytes * 1024 < LIMIT


@pytest.mark.parametrize("planted", PLANTED)
def test_the_canary_of_deprecated_things_can_sing(planted, home):
    """A warning in a cell or in a package ends the run."""
    error = run((1, 1), home, around=[OURS, "import warnings\n" + PLANTED[planted]])["error"]
    assert error[1] == "planted"
