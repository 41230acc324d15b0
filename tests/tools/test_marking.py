"""A made-up class goes through collect, mark and hand back: nobody harms anyone else's marks."""

import asyncio
import base64
import builtins
import contextlib
import copy
import csv
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import types
import zipfile

import marking_class as pupils
import nbformat
import numpy as np
import pytest
import requests
from conftest import ROOT
from jupyter_client.session import Session
from nbgrader.api import Gradebook
from nbgrader.utils import determine_grade

from course import answer_checks
from tools import exercises, rules
from tools.marking import (
    canaries,
    checks,
    clean,
    feedback,
    marks,
    modules,
    names,
    run,
    runner,
    sandbox,
    values,
)
from tools.marking import collect as collecting
from tools.marking.classroom import Classroom, Lesson

os.environ["MARKING_PROCESSES"] = "150"  # a fork bomb that is quickly over
sandbox.prepare()
WHY = sandbox.obstacle()
needs_sandbox = pytest.mark.skipif(bool(WHY), reason=WHY or "the sandbox works")
pytestmark = pytest.mark.marking
KNOWN_PASS = ("known_names_pass", "known_labels_pass")
SWITCHED_OFF = ("marking_switched_off", "marking_never_switched_on")
TAG = r"<[a-zA-Z][^<>]*>"
RUNS = (  # in a tag: what runs a script, or loads something
    r"(?i)^<(script|iframe|svg|object|embed|link|form)\b|\son\w+\s*="
    r"|(href|src)\s*=\s*[\"']?\s*(javascript:|data:text|https?:)"
)
SEED, LESSON = 7, Lesson(*pupils.NAME)


def setup_cell():
    lesson = nbformat.read(rules.lessons()[0], as_version=4)
    return next(it.source for it in lesson.cells if "setup" in it.metadata.get("tags", []))


def written(make, release):
    """Return the bytes that one kind of student hands in."""
    nb = copy.deepcopy(release)
    content = make(nb)
    return nbformat.writes(nb).encode() if content is None else content


@pytest.fixture(scope="session")
def empty_room(tmp_path_factory):
    """A class to which the small assignment was given; nbgrader takes seconds to make it."""
    folder = tmp_path_factory.mktemp("empty")
    source = pupils.write_assignment(folder / "own", setup_cell())
    Classroom(folder / "class").assign(source, SEED)
    return folder


@pytest.fixture
def new_room(empty_room, tmp_path):
    """A class of one's own."""
    shutil.copytree(empty_room, tmp_path, dirs_exist_ok=True)
    return Classroom(tmp_path / "class")


@pytest.fixture(scope="session")
def room(empty_room, tmp_path_factory):
    """The class that everybody below is in."""
    folder = shutil.copytree(empty_room, tmp_path_factory.mktemp("marking") / "it")
    return Classroom(folder / "class")


@pytest.fixture(scope="session")
def release(room):
    return nbformat.read(room.file("release", LESSON), as_version=4)


@pytest.fixture(scope="session")
def outside(room):
    """Somebody who listens on this computer, and a file that is nobody's business."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0)
        (room.folder / "private.txt").write_text("private")
        yield server


@pytest.fixture(scope="session")
def marked(room, release, outside, tmp_path_factory):
    """The table of marks of the whole class, by student."""
    if WHY:
        pytest.skip(WHY)
    handed_in = tmp_path_factory.mktemp("handed_in")
    places = [str(room.folder), str(ROOT / "exercises"), str(ROOT / "tests"), str(handed_in)]
    for make in pupils.EXPECTED:
        content = written(make, release)
        if make is pupils.spy:
            port = outside.getsockname()[1]
            own = f"PLACES, PORT = {places}, {port}"
            nb = nbformat.reads(content.decode(), as_version=4)
            spying = next(it for it in nb.cells if "PLACES" in it.source)
            spying.source = own + "\n" + spying.source
            content = nbformat.writes(nb).encode()
        number = " (1)" if make is pupils.perfect else ""
        path = handed_in / make.__name__ / f"{LESSON.notebook}{number}.ipynb"
        path.parent.mkdir()
        path.write_bytes(content)
    done, left = collecting.collect(handed_in, room, LESSON)
    assert len(done) == len(pupils.EXPECTED)
    assert left == []
    before = sorted(path.name for path in room.folder.iterdir())
    run.mark(room, LESSON, "sandboxed", workers=2, seconds=4, total=60)
    after = sorted(path.name for path in room.folder.iterdir())
    assert set(after) - set(before) <= {"autograded", "failed", "problems.csv"}
    feedback.hand_back(room, LESSON)
    with open(room.folder / "marks.csv", encoding="utf-8", newline="") as file:
        rows = [
            {k.removeprefix("01 "): row[k] for k in row if k != "total"}
            for row in csv.DictReader(file)
        ]
    return {row["student"]: row for row in rows}


@needs_sandbox
@pytest.mark.parametrize("make", pupils.EXPECTED, ids=lambda make: make.__name__)
def test_everyone_gets_their_own_marks(marked, make):
    wanted, status = pupils.EXPECTED[make]
    row = marked[make.__name__]
    got = [row[name] for name in ("test_1a", "test_2a", "test_2b")]
    got = tuple(map(float, got)) if all(got) else None
    assert row["status"] in ({status} if isinstance(status, str) else status), row
    assert got in (wanted if isinstance(status, set) else (wanted,)), row
    assert row["max"] == "8.0"
    if got is None:
        assert row["total"] == ""
        assert row["notes"]
    else:
        assert float(row["total"]) == sum(got)


@needs_sandbox
def test_the_table_says_what_is_to_be_done(marked):
    assert "free_text needs marking" in marked["perfect"]["notes"]
    assert "given had been changed" in marked["other_numbers"]["notes"]
    assert "test_2b was missing" in marked["tests_deleted"]["notes"]
    for name in ("metadata_lost", "grade_ids_renamed", "colab_without_metadata"):
        assert marked[name]["notes"] == "free_text needs marking"
    assert "answer_1 came 2 times" in marked["answer_copied"]["notes"]
    for name in ("imports_the_solution", "imports_the_sweep", "imports_the_quizzes"):
        assert "imports from the course's packages" in marked[name]["notes"], name
    for name in ("marking_switched_off", "marking_variable_deleted", "check_replaced"):
        assert "changes how it is checked" in marked[name]["notes"], name
    assert "60 seconds" in marked["sleeps"]["notes"]
    for name in ("check_replaced", "hook_drops_asserts", *SWITCHED_OFF, *KNOWN_PASS):
        assert "passes that must fail" in marked[name]["notes"], name
    for name in SWITCHED_OFF:
        assert "test_1a passes without saying so" in marked[name]["notes"], name
    assert "does not" in marked["run_cell_replaced"]["notes"]
    assert marked["empty"]["free_text"] == "0.0"


def shown(room, step, name):
    return room.file(step, LESSON, name).read_text(encoding="utf-8")


@needs_sandbox
def test_nothing_outside_is_read_or_written(marked, room, outside):
    nb = nbformat.reads(shown(room, "autograded", "spy"), as_version=4)
    said = "".join(out.get("text", "") for it in nb.cells for out in it.get("outputs", []))
    assert "the spy found []" in said
    assert int(re.search(r"and sees (\d+)", said).group(1)) <= 4
    with pytest.raises(BlockingIOError):
        outside.accept()
    assert not list(ROOT.rglob("marking-was-here"))
    assert not list(room.folder.rglob("marking-was-here"))
    nb = nbformat.reads(shown(room, "autograded", "fork_bomb"), as_version=4)
    said = "".join(out.get("text", "") for it in nb.cells for out in it.get("outputs", []))
    assert int(re.search(r"forked (\d+)", said).group(1)) < 150


@needs_sandbox
def test_outputs_stay_small(marked, room):
    for path in room.folder.glob("autograded/*/*/*.ipynb"):
        assert path.stat().st_size < 1_000_000, path


@needs_sandbox
def test_feedback_shows_no_hidden_test(marked, room):
    pages = list(room.folder.glob("feedback/*/*/*.html"))
    assert len(pages) == len(pupils.EXPECTED)
    for path in pages:
        text = re.sub(r"<[^>]*>", "", path.read_text(encoding="utf-8"))
        for hidden in (pupils.SECRET, "another update entirely", "HIDDEN TESTS", "0.625"):
            written_by = "tells_" in str(path) and hidden == "0.625"
            written_by |= "known_names_pass" in str(path)
            assert written_by or hidden not in text, (path, hidden)
            coded = base64.b64encode(hidden.encode())[4:-4].decode()
            for form in (hidden[::-1], hidden.upper(), coded):
                assert len(hidden) < 8 or form == hidden or form not in text, (path, form)
    assert feedback.HIDDEN in shown(room, "feedback", "tells_the_tests")
    assert "not shown here; your own notebook has it" in shown(room, "feedback", "tells_reworked")
    assert "Uphill!" in shown(room, "feedback", "wrong")


@needs_sandbox
def test_nothing_that_a_student_writes_runs_in_a_browser(marked, room):
    for path in room.folder.glob("feedback/*/*/*.html"):
        page = path.read_text(encoding="utf-8")
        assert feedback.POLICY in page
        assert not [tag for tag in re.findall(TAG, page) if re.search(RUNS, tag)], path
    for path in room.folder.glob("autograded/*/*/*.ipynb"):
        kinds = {
            kind
            for it in nbformat.read(path, as_version=4).cells
            for out in it.get("outputs", [])
            for kind in out.get("data", {})
        }
        assert kinds <= {"text/plain", "image/png", "image/jpeg"}


@needs_sandbox
def test_formgrader_runs_no_script_either(marked, room):
    from nbconvert.exporters import HTMLExporter
    from nbgrader.server_extensions.formgrader import handlers

    exporter = HTMLExporter(
        template_name="formgrade", extra_template_basedirs=[handlers.template_path]
    )
    resources = dict.fromkeys(("base_url", "student", "notebook_path", "submission_id"), "x")
    path = str(room.file("autograded", LESSON, "scripts"))
    page = exporter.from_filename(path, resources={**resources, "index": 1, "total": 2})[0]
    own = [tag for tag in re.findall(TAG, page) if "alert" in tag]
    assert not [tag for tag in own if re.search(RUNS, tag)]
    scripts = re.findall(r"<script\b.*?</script>", page, re.DOTALL)
    assert not [text for text in scripts if "alert(" in text]


@needs_sandbox
def test_a_corrupt_second_try_does_not_keep_the_first_mark(new_room, tmp_path, release):
    room = new_room
    inbox = tmp_path / "in" / "anna"
    inbox.mkdir(parents=True)
    table = []
    for content in (written(pupils.perfect, release), b"{", written(pupils.partly, release)):
        (inbox / "exercises_01.ipynb").write_bytes(content)
        collecting.collect(tmp_path / "in", room, LESSON)
        with Gradebook(room.gradebook) as gradebook:
            table.append(marks.row(room, LESSON, "anna", gradebook)["status"])
        run.mark(room, LESSON, "sandboxed", seconds=4)
        table.append(marks.rows(room, LESSON)[0])
    assert table[0] == table[2] == table[4] == "needs marking"
    assert table[1]["total"] == 5
    assert (table[3]["status"], table[3].get("total")) == ("failed", None)
    assert table[5]["total"] == 2
    assert run.mark(room, LESSON, "sandboxed") == {}


@needs_sandbox
def test_a_mark_given_by_hand_is_in_table_and_feedback(marked, room):
    with Gradebook(room.gradebook) as gradebook:
        grade = gradebook.find_grade("free_text", LESSON.notebook, LESSON.assignment, "perfect")
        grade.manual_score, grade.needs_manual_grade = 2.5, False
        gradebook.db.commit()
    rows = {row["student"]: row for row in feedback.hand_back(room, LESSON)}
    assert (rows["perfect"]["status"], rows["perfect"]["total"]) == ("done", 7.5)
    assert "7.5 / 8" in shown(room, "feedback", "perfect")


def test_looking_loads_nothing_and_starts_no_kernel_outside_the_sandbox(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *sandbox.LOOK]
    line += [f"--ServerApp.port={port}", "--IdentityProvider.token=x", "--ServerApp.port_retries=0"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(line, cwd=tmp_path, env=path, **quiet) as server:
        try:
            url, keys = f"http://127.0.0.1:{port}", {"Authorization": "token x"}
            for _ in range(300):
                try:
                    found = requests.get(f"{url}/api/kernelspecs", headers=keys, timeout=20)
                    break
                except requests.ConnectionError:
                    time.sleep(0.2)
            assert list(found.json()["kernelspecs"]) == ["sandboxed"]
            page = requests.get(f"{url}/formgrader/gradebook", headers=keys, timeout=20)
            policy = page.headers["Content-Security-Policy"]
            assert "img-src 'self' data: blob:" in policy
            assert "http" not in policy
            for name in ("python3", None):
                body = {"name": name} if name else {}
                with contextlib.suppress(requests.Timeout):  # it waits for a kernel in vain
                    requests.post(f"{url}/api/kernels", json=body, headers=keys, timeout=5)
            children = subprocess.run(
                ["ps", "--ppid", str(server.pid), "-o", "args="], capture_output=True, text=True
            ).stdout
            assert "ipykernel" not in children
        finally:
            server.kill()


def test_a_class_with_its_own_numbers_has_no_badge(tmp_path):
    path = Classroom(tmp_path / "class").assign(exercises.lesson_path(1), 7)
    text = path.read_text(encoding="utf-8")
    assert "colab-badge" not in text
    assert "isn't published" not in text
    assert "# Exercises" in text or "learning rate" in text.lower()
    assert "colab-badge" in exercises.written(exercises.student_version(exercises.source(1)))


def test_remote_pictures_are_no_pictures():
    for words in ("![x](http://a.b/c.png)", "![x](//a.b/c)", "![x][y]\n\n[y]: http://a.b/c"):
        assert "![" not in clean.text(words)
    assert "![i](attachment:i.png)" in clean.text("![i](attachment:i.png)")


def test_a_canary_is_a_check_that_fails():
    """Each must fail in the notebook's own names, and tell a tolerance that was made too wide."""
    from course.answer_checks import check, expect

    nb = pupils.assignment(setup_cell())
    planted = canaries.plant(nb)
    (name,) = [it for it, numbers in planted.items() if len(numbers) == len(canaries.MUST_FAIL)]
    told = {}
    for wide in (False, True):
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
            patch.setenv("COURSE_MARKING", "1")
            if wide:
                patch.setattr(np, "max", lambda *a, **k: 1e9)
            exec(pupils.cell(nb, name).source, {"check": check, "expect": expect})
        printed = out.getvalue().split()
        told[wide] = {kind for kind, number in planted[name].items() if number not in printed}
    assert told == {False: set(), True: {"expect of a number nearby"}}


LENIENT = {
    "expect of a word": lambda real: (
        lambda name, got, wanted: isinstance(wanted, str) or real(name, got, wanted)
    ),
    "expect of an array": lambda real: (
        lambda name, got, wanted: np.size(wanted) > 2 or real(name, got, wanted)
    ),
    "expect of infinity": lambda real: (
        lambda name, got, wanted: (
            np.any(np.isinf(wanted) if not isinstance(wanted, str) else False)
            or real(name, got, wanted)
        )
    ),
}


@pytest.mark.parametrize("kind", LENIENT)
def test_a_check_that_lets_one_kind_of_answer_pass_is_noticed(kind):
    from course.answer_checks import expect

    words = canaries._canary(kind, 7.5, {"name": ["one update"], "label": ["1a"]})
    for check, printed in ((expect, "8.5\n"), (LENIENT[kind](expect), "")):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(words, {"expect": check})
        assert out.getvalue() == printed


@pytest.mark.parametrize("code", canaries.LIKE_A_TEST)
def test_one_canary_fails_just_as_a_test_does(monkeypatch, code):
    """What lets only the failures of tests pass is not noticed by an error of another kind."""
    from course.answer_checks import check, expect

    monkeypatch.setenv("COURSE_MARKING", "1")
    source = canaries._filled(code, 7.5, {"name": ["one update"], "label": ["1a"]})
    with pytest.raises(AssertionError):
        exec(source, {"check": check, "expect": expect})
    nb = pupils.assignment(setup_cell())
    planted = canaries.plant(nb)
    uncaught = [pupils.cell(nb, it).source for it, numbers in planted.items() if not numbers]
    assert sum(it.startswith("with check(") for it in uncaught) == 1


def test_a_canary_cannot_be_told_from_a_test_by_its_names():
    names = {"name": set(), "label": set()}
    for _ in range(40):
        nb = pupils.assignment(setup_cell())
        planted = canaries.plant(nb)
        code = "\n".join(it.source for it in nb.cells if it.id in planted)
        names["name"] |= set(re.findall(r"expect\('(.*?)'|expect\(\"(.*?)\"", code))
        names["label"] |= set(re.findall(r"check\('(.*?)'", code))
    known = {"".join(it) for it in names["name"]}
    assert known <= {
        "one update", "another update entirely", "the largest rate", pupils.SECRET,
        "the class's largest rate",
    }  # fmt: skip
    assert len(known) > 2
    assert names["label"] <= {"1a", "2a", "2b"}
    assert len(names["label"]) > 1


def test_a_thread_that_prints_between_is_no_cheat():
    nb = pupils.assignment(setup_cell())
    planted = canaries.plant(nb)
    for name, numbers in planted.items():
        lines = [f"la{number}\n" for number in numbers.values()]
        pupils.cell(nb, name).outputs = [nbformat.v4.new_output("stream", text="".join(lines))]
    replies = {name: {"status": "ok" if numbers else "error"} for name, numbers in planted.items()}
    assert canaries.judge(nb, planted, replies) == []


PEEKS = {
    "a frame": "class It:\n    def __len__(self):\n        try:\n            raise ValueError\n"
    "        except ValueError as error:\n            return error.__traceback__.tb_frame",
    "its memory": "class It:\n    __array_interface__ = property(lambda self: {})",
    "a name as text": "globals()['ex' + 'pect'] = lambda *a, **k: None",
    "the modules": "import sys\nsys.modules['course.answer_' + 'checks'].x = 1",
    "code": "np.all.__code__ = (lambda x: True).__code__",
    "a trace": "import sys\nsys.settrace(print)",
    "numpy": "np.max = lambda *a, **k: 1e9",
    "a module of another name": "import numpy as q\nq.asarray = print",
    "a module's names": "import numpy as q\nvars(q)['asarray'] = print",
    "a module's dict": "import numpy as q\nq.__dict__.update(asarray=print)",
    "a module, by its text": "import numpy as q\nsetattr(q, 'as' + 'array', print)",
    "a check, in a loop": "for expect in [print]: pass",
    "a check, on the way": "(expect := print)",
    "a check, imported": "from builtins import print as expect",
    "the notebook's module": "import __main__ as it",
    "the shell": "it = get_ipython()\nread = lambda: it.ev('wan' + 'ted')",
    "what the tests use": "from utils import descent\nlimit = descent.stability_limit",
    "a name of the tests": "def update(x, rate):\n    return wanted",
    "a name of the tests, in a cell of one's own": "give = lambda: wanted",
    "numpy, beside a line that begins with %": "x = (7\n  % 2)\nnp = print",
    "numpy, beside a magic": "x = %pwd\nnp = print",
    "numpy, in a magic": "%time np = print",
    "numpy, from a function": "def update(x, rate):\n    global np\n    np = print",
    "numpy, in a comprehension": "[np := print for _ in 'a']",
    "numpy, as a default": "def update(x, rate=(np := print)):\n    return x",
    "numpy, in a match": "match print:\n    case np:\n        pass",
    "numpy, in a class": "if True:\n    class np:\n        pass",
    "numpy, in the names here": "locals()['n' + 'p'] = print",
    "a number that was given": "curvature = 0",
    "a number that was given, in a function": "def f(x):\n    global curvature\n    curvature = 0",
    "an array that was given": "curvature[:] = 0",
    "an array that was given, in a function": "def f(x):\n    curvature[0] = 0",
    "an array that was given, beside a local one": "def f(curvature): ...\ncurvature[0] = 0",
    "an array that was given, in an inner function": (
        "def f(x):\n    def g():\n        curvature = 0\n    curvature[0] = 0"
    ),
    "what was typed": "def update(x, rate):\n    return _i12",
    "the history": "%history -f seen.py",
    "more magic commands than are read": "!ls\n" * 300 + "np = print",
    "magic commands in a long cell": "!ls\n" * 9 + "x = 1  # one\n" * 9000 + "np = print",
    "a frame, behind what looks like a comment": "import sys\nx = '#'; sys._getframe()",
    "a frame, behind a text of three marks": 'import sys\nx = """\n#""" + str(sys._getframe())',
    "a frame, beside a magic that opens a text": "!echo '''\nx = \"'''#\"; sys._getframe()",
    "a name as text, in a statement": "'a' + __builtins__.__dict__['x']",
    "a frame, in a text of its own that is computed": "import sys\nf'{sys._getframe()}'",
    "a frame, in a docstring that is read": "def f():\n    'sys._getframe()'\n"
    "get_ipython().run_line_magic('time', f.__doc__)",
    "numpy, below the name of an option": "import numpy as z\nz.mean = 3\n"
    "def f():\n    from pandas.options import display as z",
    "an option of pandas that computes": "import pandas as pd\npd.options.mode.chained = 1",
    "checks of another name": "from course.answer_checks import check as expect",
    "a frame, in wide letters": "import sys\nsys._\uff47etframe()",
    "a name as text, in mathematical letters": "\U0001d420lobals()['np'] = print",
    "a name as text, with a wide underscore": "\uff3f_import__('sys')",
    "a name as text, behind wide signs in a text": "x = '\uff07\uff03'; globals()['np'] = print",
    "the stack, as text": "import traceback\nx = traceback.format_stack()",
    "the stack, in a record": "import logging\nlogging.warning('x', stack_info=True)",
    "the frames of all threads": "import sys\nx = sys._current_frames()",
    "all that was run": "def update(x, rate):\n    return list(In).pop()",
    "the kernel by its text": "import pkgutil\npkgutil.resolve_name('ipykernel.ipkernel:x')",
    "the kernel": "from ipykernel.ipkernel import IPythonKernel as it\nit.instance()",
    "Python's own names, behind a function": "B = print.__self__\nB.bool = lambda it: True",
    "numpy, of another name": "m = np\nm.all = print",
    "numpy, in a loop": "for m in [np]:\n    m.all = print",
    "numpy, as an argument": "def f(m):\n    m.all = print\nf(np)",
    "numpy, as a default of another name": "def f(m=np):\n    m.all = print",
    "numpy, as a default beside harmless ones": "def f(m=np):\n    m.abs(3)\n    return m",
    "numpy, of another name in a function": "m = np\ndef f():\n    m.all = print",
    "numpy, of another name in two functions": (
        "m = np\ndef f(m):\n    return m\ndef g():\n    return f(m)"
    ),
    "numpy, of another name in a comprehension": "[print.x(m) for m in [np]]",
    "numpy, of another name as a default": "m = np\ndef f(m=m):\n    return m",
    "numpy, in a list": "m = [np]\nm[0].all = print",
    "numpy, in a name of a name": "m = [np]\nfor n in m:\n    print(n.__version__)\n    n.all = 3",
    "numpy, in a class of one's own": "class It:\n    m = np\nIt.m.all = print",
    "numpy, in a magic of another name": "m = np\n%timeit -n1 m.all = print",
    "numpy, by way of pyplot": "import matplotlib.pyplot as plt\nm = plt\nm.np.all = print",
    "numpy, found by a name of its own": "m = np\nm.random.seed(3)",
    "the system by another name": "import os\nm = os\nm.system('ls')",
    "the modules by another name": "import sys\nm = sys\nm.modules.get('numpy').all = print",
    "numpy, in a name of a function's that all see": "def f():\n    global m\n    m = np\nm.a = 1",
    "numpy, in a name of an outer function": (
        "def f(m=None):\n    def g():\n        nonlocal m\n        m = np\n    g()\n    m.a = 1"
    ),
    "a setter, of a module": "np.linalg.__setattr__('norm', print)",
    "numpy, mocked from the package": "import unittest as u\nu.mock.patch('numpy.all', print)",
    "a setter of another name": "put = setattr\nput(np.linalg, 'norm', print)",
    "a setter of its class": "object.__setattr__(np.linalg, 'norm', print)",
    "numpy, mocked": "from unittest import mock\nmock.patch('numpy.all', print).start()",
    "a module by its text": "import pkgutil\npkgutil.resolve_name('numpy').all = print",
    "the modules, imported": "from sys import modules as m\nm['numpy'].all = print",
    "the modules, of another name": "import sys as s\ns.modules['numpy'].all = print",
    "the modules, by a text put together": "import sys\ngetattr(sys, 'mod' + 'ules').x = print",
    "numpy's names, by their text": "getattr(np, '__dict__')['all'] = print",
    "all objects": "from gc import get_objects as g\nx = g()",
    "the shell of another name": "from IPython import get_ipython as it\nit().push({})",
}


@pytest.mark.parametrize("peek", PEEKS)
def test_who_reaches_for_the_tests_is_named(peek):
    nb = pupils.assignment(setup_cell())
    pupils.cell(nb, "answer_1").source = pupils.RIGHT["answer_1"] + "\n" + PEEKS[peek]
    assert canaries.hints(nb) != []
    pupils.cell(nb, "answer_1").source = "x = 1\n%time x"
    nb.cells.insert(6, nbformat.v4.new_code_cell(PEEKS[peek], id="extra-0"))
    assert canaries.hints(nb) != []


@pytest.mark.parametrize(
    "code",
    [
        "def update(x, rate):\n    wanted = x\n    return wanted",
        "wanted = 3\ndef update(x, rate):\n    return wanted",
        "print(wanted)",
        "def update(x, rate):\n    return x - rate * curvature * np.abs(x)",
        "model = 1\nscore = lambda: model.evaluate(x)\ntable.eval('a + b')",
        "def broken(:",
        "print(vars(optimizer), optimizer.__dict__, locals())",
        "import numpy as np\nx = np.zeros(3)\nx.flags.writeable = False\nx[0] = np.e",
        "import matplotlib.pyplot as plt\nplt.rcParams['font.size'] = 9",
        "get_ipython().run_line_magic('matplotlib', 'inline')\nexpect('mine', 1, 1)",
        "class It:\n    def set(self, x):\n        self.x = x",
        "def update(x, rate):\n    curvature = 2\n    x[0] = 1\n    return x - rate * (9\n    % 5)",
        "%time sum(range(9))\n!ls\n_i = 3\nfiles = !ls\nimport numpy as np",
        "values = [curvature for curvature in (1, 2)]\nresults = {}\nresults['a'] = curvature",
        "def update(curvature):\n    curvature[0] = 1",
        "def update(x, rate):\n    curvature = {}\n    curvature['a'] = 1\n    return curvature",
        "def f(x):\n    curvature = x\n    def g():\n        curvature[0] = 1\n    return g",
        "if __name__ == '__main__':\n    print(1)",
        "# inspect it: see In [3], and the socket\nx = 1  # no eval() here",
        "def update(x, rate):\n    '''Inspect the frame.'''  # __eq__\n    return x",
        "from course.answer_checks import check, expect\nimport numpy as np",
        "import pandas as pd\npd.options.display.max_rows = 9",
        "print('\uff07')  # inspect it",
        "print('of a wide eval\uff08x\uff09')",
        "print('In step', 3)",
        "In = 3\nprint(In)",
        "def layer(In, Out):\n    return In * Out",
        "import warnings\nwarnings.filterwarnings('ignore', module='ipykernel')",
        "import sys\nprint(np, sys.version, hasattr(np, 'all'))\nhelp(np)",
        "class It: pass\nsetattr(It, 'x', 1)\ngetattr(np, 'float64')(3)",
        "def update(np):\n    return [np]",
        "import pandas as pd\nfor it in (np, pd):\n    print(it.__name__, it.__version__)",
        "for m in [np]:\n    print(m.__version__)\n"
        "def adam(m, slope):\n    m = 0.9 * m + slope\n    return m",
        "used = {'NumPy': np, 'and': [np]}\nfor name, it in used.items():\n"
        "    print(f'{name}: {it.__version__}')\n[it.__name__ for it in [np]]",
        "print(f'{np}', str(np), repr(np), id(np))\nfor it in [np]: getattr(it, '__version__', '')",
        "import matplotlib.pyplot as plt\ndef draw(x, ax=None, xp=np):\n    ax = ax or plt\n"
        "    ax.plot(xp.abs(x))\ndef show(ax=plt):\n    ax.show()",
        "from time import time\nbegin = time()\nimport time\ntime.sleep(0.01)",
        "class It:\n    def __setattr__(self, name, value):\n        print(name)\n"
        "        super().__setattr__(name, value)",
        "class It:\n    def __delattr__(self, name):\n        object.__delattr__(self, name)\n"
        "    def __init__(self):\n        object.__setattr__(self, 'rate', 3)",
        "mock = np.ones(3)\nprint(mock.mean())",
        "import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.print_exc()",
    ],
)
def test_an_honest_name_is_no_peek(code):
    nb = pupils.assignment(setup_cell())
    pupils.cell(nb, "answer_1").source = code
    assert canaries.hints(nb) == []


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("from tensorflow import keras", []),
        ("import tensorflow.keras as keras", []),
        ("from tensorflow.keras_of_mine import keras", ["keras"]),
        ("from mine import keras", ["keras"]),
        ("import keras.ops, keras.optimizers", []),
        ("import keras.ops as keras", ["keras"]),
    ],
)
def test_keras_is_the_same_by_way_of_tensorflow(code, named):
    assert modules.changed([code], ["import keras"]) == named


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("with check('1'):\n    wanted = descent.count(rate)\n    x = 1", []),
        ("wanted = descent.count(rate)\ndef f(rate):\n    return 3", []),
        ("def f(rate):\n    wanted = descent.count(rate)\n    return wanted", ["descent.count"]),
        ("f = lambda rate: descent.count(rate)", ["descent.count"]),
        ("class F:\n    wanted = descent.count(rate)", ["descent.count"]),
        ("wanted = descent.count(rate)\nf = descent.count", ["descent.count"]),
        ("d = descent\ndef f(rate):\n    return d.count(rate)", ["descent"]),
        ("f = getattr(descent, 'co' + 'unt')", ["descent"]),
        ("def f(x):\n    descent = 2 * x\n    return x - descent", []),
        ("def f(x, descent):\n    return lambda: x - descent", []),
        ("print([descent + 1 for descent in [1, 2]])", []),
        ("def f(x, descent=descent):\n    return descent.count(x)", ["descent", "descent.count"]),
        ("[d.count(1) for descent in [descent] for d in [descent]]", ["descent"]),
        ("def f():\n    global descent\n    return descent", ["descent"]),
        ("print(dir(descent))\nhelp(descent)\ndescent.path(1)", []),
    ],
)
def test_a_test_that_was_copied_or_merged_borrows_nothing(code, named):
    tests = ["with check('1'):\n    wanted = descent.count(rate)\n    expect('it', 1, wanted)"]
    assert modules.borrowed([code], ["from utils import descent"], tests) == named


@pytest.mark.parametrize(("test", "named"), [("print(_)", ["_"]), ("[0 for _ in 'ab']", [])])
def test_a_name_that_the_tests_only_assign_may_be_everybodys(test, named):
    """Such as `_`, which the set-up cell assigns, too."""
    assert names.overwritten(["for _ in range(3):\n    pass"], ["_ = 1"], [test]) == named


@pytest.mark.parametrize(
    "path", sorted(exercises.SOURCES.glob("*/*.ipynb")), ids=lambda it: it.stem
)
def test_no_model_answer_is_suspicious(path):
    assert canaries.hints(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("words", ["CellTimeoutError {}", "x\nCellTimeoutError: {}"])
def test_no_error_carries_a_hidden_test_to_the_page(words):
    nb = pupils.assignment(setup_cell())
    test = pupils.cell(nb, "test_2b")
    told = words.format(pupils.TEST_2B[::-1])
    lines = [f"Cell In[9], line {test.source.count(chr(10))}", f"ValueError: {told}"]
    for ename, trace in (("ValueError", lines), ("CellTimeoutError", lines[::-1])):
        test.outputs = [nbformat.v4.new_output("error", ename=ename, evalue=told, traceback=trace)]
        shown = nbformat.from_dict(copy.deepcopy(nb))
        released = nbformat.v4.new_notebook(cells=copy.deepcopy(nb.cells))
        feedback.HideTests().preprocess(shown, {"released": released})
        (sentence,) = pupils.cell(shown, "test_2b").outputs[0].traceback
        assert sentence in (feedback.HIDDEN, feedback.WRONG)


def test_the_number_of_a_cell_carries_nothing_to_the_page():
    """Code that was called by a hidden test may set IPython's count to what it was called with."""
    nb = pupils.assignment(setup_cell())
    code = [it for it in nb.cells if it.cell_type == "code"]
    for it in code:
        it.execution_count = 625
    released = nbformat.v4.new_notebook(cells=copy.deepcopy(nb.cells))
    feedback.HideTests().preprocess(nb, {"released": released})
    shown = [it.execution_count for it in code]
    first = code.index(pupils.cell(nb, "test_1a"))
    assert shown == [625] * first + [None] * (len(code) - first)


def test_an_output_is_changed_from_its_own_cell_only():
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x") for _ in range(2)])
    work = runner.RunInSandbox()
    work.nb = nb
    work.reset_execution_trackers()
    work._sent, work._size, work._why, work.clear_before_next_output = 0, {}, "", False

    def send(place, kind, text):
        content = {"data": {"text/plain": text}, "metadata": {}, "transient": {"display_id": "a"}}
        head = {"msg_type": kind, "header": {"msg_type": kind}, "parent_header": {}}
        message = {**head, "content": content}
        work.process_message(message, nb.cells[place], place)

    send(0, "display_data", "first")
    send(0, "update_display_data", "second")
    send(1, "update_display_data", "a hidden test")
    send(1, "display_data", "a hidden test")
    assert [it.data["text/plain"] for it in nb.cells[0].outputs] == ["second"]
    assert len(nb.cells[1].outputs) == 1


OWN = "a cell of the student's own"


def test_a_time_out_is_shown_as_one():
    nb = pupils.assignment(setup_cell())
    error = {"ename": "CellTimeoutError", "evalue": "", "traceback": [f"{checks.TIMED_OUT} x"]}
    pupils.cell(nb, "test_2b").outputs = [nbformat.v4.new_output("error", **error)]
    released = nbformat.v4.new_notebook(cells=copy.deepcopy(nb.cells))
    feedback.HideTests().preprocess(nb, {"released": released})
    assert pupils.cell(nb, "test_2b").outputs[0].traceback == [checks.TIMED_OUT]


@pytest.mark.parametrize(
    ("name", "said", "notes"),
    [
        ("given", "ImportError: no Keras", ["given ended with ImportError"]),
        ("given", "CellTimeoutError: stopped", ["given was stopped after 60 seconds"]),
        ("test_1a", "CellTimeoutError: stopped", ["test_1a was stopped after 60 seconds"]),
        ("test_1a", "AssertionError: Uphill!", []),
        ("extra-0", "CellTimeoutError: stopped", [f"{OWN} was stopped after 60 seconds"]),
        ("extra-0", "NameError: x", []),
        ("extra-0", "ImportError: no Qt", [f"{OWN} ended with ImportError: no Qt"]),
        (
            "answer_2",
            "ModuleNotFoundError: no x",
            ["answer_2 ended with ModuleNotFoundError: no x"],
        ),
        ("answer_2", "E: \x1b[2Ja\rb\x00", ["answer_2 ended with E: ?[2Ja?b?"]),
        ("answer_2", "CellTimeoutError: stopped", ["answer_2 was stopped after 60 seconds"]),
    ],
)
def test_what_did_not_come_to_its_end_is_noted(name, said, notes):
    """Where a cell was stopped, or lacks a package, tests fail whatever the answers are."""
    nb = pupils.assignment(setup_cell())
    nb.cells.insert(2, nbformat.v4.new_code_cell("x", id="extra-0"))
    ename, _, evalue = said.partition(": ")
    error = nbformat.v4.new_output("error", ename=ename, evalue=evalue, traceback=[said])
    pupils.cell(nb, name).outputs = [error]
    assert checks.stopped(nb, 60) == notes


@pytest.mark.parametrize("kind", ["shown", "printed"])
def test_an_error_behind_many_outputs_costs_the_points(kind):
    """Such as of an answer that shows a figure at each step, or prints to two streams in turns."""
    cell = pupils.cell(pupils.assignment(setup_cell()), "test_1a")
    for n in range(60):
        name = ("stdout", "stderr")[n % 2]
        shown = nbformat.v4.new_output("display_data", data={"text/plain": f"{n}"})
        printed = nbformat.v4.new_output("stream", text=f"{n}\n", name=name)
        cell.outputs.append({"shown": shown, "printed": printed}[kind])
    error = {"ename": "AssertionError", "evalue": "Uphill!", "traceback": ["Uphill!"]}
    cell.outputs.append(nbformat.v4.new_output("error", **error))
    clean.notebook(nbformat.v4.new_notebook(cells=[cell]))
    assert determine_grade(cell) == (0, 2)
    assert len(cell.outputs) <= clean.OUTPUTS + 1


@pytest.mark.parametrize(("name", "kept"), [("test_1a", True), ("answer_1", False)])
def test_what_a_test_says_is_not_lost_among_what_an_answer_prints(name, kept):
    work = runner.RunInSandbox()
    work.nb = nbformat.v4.new_notebook(cells=[pupils.cell(pupils.assignment(""), name)])
    work.reset_execution_trackers()
    work._sent, work._size, work._why, work.clear_before_next_output = 0, {}, "", False
    work._read = {"test_1a"}
    (cell,) = work.nb.cells
    for text in ("x" * 300_000, "1a: right.\n"):
        content = {"name": "stdout", "text": text}
        head = {"msg_type": "stream", "header": {"msg_type": "stream"}, "parent_header": {}}
        work.process_message({**head, "content": content}, cell, 0)
    picture = {"msg_type": "display_data", "header": {"msg_type": "display_data"}}
    content = {"data": {"image/png": "A" * 300_000}, "metadata": {}}
    work.process_message({**picture, "parent_header": {}, "content": content}, cell, 0)
    assert not [it for it in cell.outputs if it.output_type == "display_data"]
    assert ("1a: right.\n" in [it.text for it in cell.outputs]) == kept


@pytest.mark.parametrize(
    ("printed", "named"),
    [
        ("curvature is 4.0\nstart is 5.0\n", []),
        ("la\ncurvature is 4.0\nlala\nstart is 5.0\n", []),  # a thread prints between
        ("curvature is 0.0\nstart is 5.0\n", ["curvature"]),
        ("curvature is \nstart is 'x'\n", ["curvature", "start"]),
        ("curvature is 4.0\n", []),  # an interrupt that came late has ended the cell
        ("", []),
    ],
)
def test_a_value_that_had_changed_when_a_test_began_is_named(printed, named):
    nb = pupils.assignment(setup_cell())
    planted = values.plant(nb)
    names = [it.id for it in nb.cells if it.cell_type == "code"]
    (first, own), *others = planted
    given = "check", "curvature", "expect", "start"
    assert own == dict.fromkeys(given)
    assert names[names.index("given") + 1] == first
    for test, (name, compared) in zip(("test_1a", "test_2a", "test_2b"), others):
        assert names[names.index(test) - 1] == name
        assert compared == dict.fromkeys(given, first)
    for name in (name for name, _ in planted):
        text = "curvature is 4.0\nstart is 5.0\n" if name == first else printed
        it = pupils.cell(nb, name)
        it.outputs = [nbformat.v4.new_output("stream", text=text)] if text else []
    words = "an answer changes {}, which the notebook gives to its tests"
    replies = {name: {"status": "error"} for name, _ in planted}
    assert values.judge(nb, planted, replies) == [words.format(it) for it in named]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("", []),
        ("float = 3", []),  # an honest one's name
        ("curvature = 0.0\nfloat = 3", ["curvature"]),
        ("curvature = 0.0\nrepr = lambda value: '4.0'", ["curvature"]),
        ("curvature = 0.0\nprint = lambda *words, **how: None", ["curvature"]),
    ],
)
def test_no_name_of_an_answer_hides_that_a_value_has_changed(code, said):
    assert _changes({"curvature": 4.0, "start": 5.0}, code) == said


@pytest.mark.parametrize(
    "start", [np.array([5.0, 6.0]), [5.0, 6.0], {1: 6.0}, np.array([5.0, "six"], object)]
)
def test_a_change_within_an_array_a_list_or_a_dict_is_noticed(start):
    """Its name still means the same object."""
    for code, said in (("", []), ("start[1] += start[1]", ["start"]), ("start = 5.0", ["start"])):
        assert _changes({"curvature": 4.0, "start": copy.deepcopy(start)}, code) == said
    assert _changes({"curvature": 4.0, "start": start}, "start = copy.deepcopy(start)") == []


@pytest.mark.parametrize("number", [np.float64(1 / 3), np.float32(1 / 3), np.int64(3)])
@pytest.mark.parametrize("options", ["precision=2", "legacy='1.13'", "threshold=1"])
def test_how_numbers_are_printed_changes_no_value(number, options):
    """Nor does a long array within a dict hide a change."""
    with np.printoptions():
        for start in (number, [number], {"a": np.full(2000, 1 / 3), "b": (number,)}):
            room = {"curvature": 4.0, "start": copy.deepcopy(start)}
            assert _changes(room, f"np.set_printoptions({options})") == []
            assert _changes(room, "start = 5.0") == ["start"]
    room = {"curvature": 4.0, "start": {"a": np.full(2000, 1 / 3)}}
    assert _changes(room, "start['a'][1000] = 1") == ["start"]


def test_a_list_within_itself_is_a_change_as_well():
    room = {"curvature": 4.0, "start": [5.0, len, None, object()]}
    assert _changes(room, "start.append(start)\ncurvature = 3.0") == ["curvature", "start"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("np = __import__('numpy')\nabs = round = 3", False),
        ("expect.__globals__['_same'] = lambda *it: True", True),
        ("expect.__globals__['_plain'].__code__ = (lambda value: 1).__code__", True),
        ("expect.__globals__['float'] = lambda it: 1e9", True),
        ("np.isfinite = lambda it: np.array(False)", True),
        ("np.arange = print", True),
        ("np = type('np', (), {'arange': print})", True),
        ("import builtins as it\nit.bool = lambda it: True", True),
    ],
)
def test_a_change_of_what_the_tests_call_is_noticed(code, said, monkeypatch):
    """By whichever way: here it is done openly."""
    monkeypatch.setattr(np, "isfinite", np.isfinite)
    monkeypatch.setattr(np, "arange", np.arange)
    monkeypatch.setattr(builtins, "bool", bool)
    monkeypatch.setattr(answer_checks, "_same", answer_checks._same)
    plain = types.FunctionType(answer_checks._plain.__code__, vars(answer_checks))
    monkeypatch.setattr(answer_checks, "_plain", plain)
    monkeypatch.setitem(vars(answer_checks), "float", float)
    nb = pupils.assignment(setup_cell())
    pupils.cell(nb, "test_2a").source += "\n    np.arange(3)"
    room = {"np": np, "curvature": 4.0, "start": 5.0}
    room |= {"expect": answer_checks.expect, "check": answer_checks.check}
    assert (_found(nb, room, code) != []) == said


def _changes(room, code):
    """Return the given names that are said to have changed when an answer runs this code."""
    nb = pupils.assignment(setup_cell())
    room = {"np": np, "copy": copy, "expect": print, "check": print, **room}
    words = "an answer changes {}, which the notebook gives to its tests"
    found = _found(nb, room, code)
    names = [name for name in ("curvature", "start") if words.format(name) in found]
    assert found == [words.format(it) for it in names]
    return names


def _found(nb, room, code):
    """Return what is said of an answer that runs this code."""
    planted = values.plant(nb)
    for number, (name, _) in enumerate(planted):
        if number == 1:
            exec(code, room)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(pupils.cell(nb, name).source, room)
        text = nbformat.v4.new_output("stream", text=out.getvalue())
        pupils.cell(nb, name).outputs = [text]
    assert not any(it.startswith("builtins") for it in room)
    return values.judge(nb, planted, {name: {"status": "ok"} for name, _ in planted})


def test_a_value_that_is_not_shown_without_an_error_is_noticed():
    nb = pupils.assignment(setup_cell())
    planted = values.plant(nb)
    replies = {name: {"status": "error"} for name, _ in planted}
    assert values.judge(nb, planted, replies) == []
    replies[planted[-1][0]] = {"status": "ok"}
    assert values.judge(nb, planted, replies) == [canaries.SILENT]


class Socket:
    """Gives one message with buffers beside it, and claims to answer nobody that we know."""

    def __init__(self, session, content, *buffers):
        made = session.msg("stream", content, parent={"msg_id": "another's"})
        self.parts = [*session.serialize(made, ident=b"x"), *buffers]

    async def recv_multipart(self):
        return self.parts


def received(work, content, *buffers):
    session = Session(key=b"key")
    session.unpack = runner._unpacked
    kind = type("Counted", (runner.Counted,), {"count": staticmethod(work._count)})
    channel = kind.__new__(kind)
    channel.socket, channel.session = Socket(session, content, *buffers), session
    return asyncio.run(channel._recv())


@pytest.mark.parametrize("where", ["buffers", "content"])
def test_all_that_is_sent_counts_whoever_it_claims_to_answer(monkeypatch, where):
    work, told = runner.RunInSandbox(), []
    work._sent, work._why = 0, ""
    monkeypatch.setattr(work, "_stop", told.append)
    content = {"text": "x" * (60 << 20)} if where == "content" else {}
    buffers = [bytes(60 << 20)] if where == "buffers" else []
    assert received(work, content, *buffers)["parent_header"] == {"msg_id": "another's"}
    assert not told
    with pytest.raises(RuntimeError):
        received(work, content, *buffers)
    assert "more than 100 MB" in told[0]


def test_a_widget_acts_on_nothing_of_the_markers():
    """Nor does a damaged one of a student's end the marking of the submission."""
    work, cell = runner.RunInSandbox(), nbformat.v4.new_code_cell("x")
    work._size, work._read = {}, set()
    work.reset_execution_trackers()
    for kind, content in [("comm_open", {}), ("comm_msg", {"comm_id": 3}), ("comm_close", {})]:
        assert work.process_message({"msg_type": kind, "content": content}, cell, 0) is None
    state = {"_model_module": "@jupyter-widgets/output", "_model_name": "OutputModel"}
    content = {"target_name": "jupyter.widget", "comm_id": "a", "data": {"state": state}}
    work.process_message({"msg_type": "comm_open", "content": content}, cell, 0)
    assert not work.comm_objects
    assert not work.widget_state


def test_of_what_would_take_many_times_its_memory_nothing_is_read(monkeypatch):
    """Such as millions of empty lists; a long text is none, whatever stands in it."""
    monkeypatch.setattr(runner, "LARGE", 10_000)
    work = runner.RunInSandbox()
    work._sent, work._why = 0, ""
    assert received(work, {"data": [[]] * 4_000}) == runner.UNREAD
    text = r'[],{"\\' * 4_000 + "1a: right.\n"
    assert received(work, {"text": text})["content"] == {"text": text}
    said = received(work, {"text": "x\\u1" * 4_000 + "\U0001f600"})["content"]["text"]
    assert said.startswith("x")
    assert said.isascii()


def test_what_was_printed_is_one_text_whenever_it_was_sent():
    def stream(text, name="stdout"):
        return nbformat.v4.new_output("stream", text=text, name=name)

    shown = nbformat.v4.new_output("display_data", data={"text/plain": "x"})
    sent = [stream("1a: right."), stream("\n"), shown, copy.deepcopy(shown), stream("b")]
    sent += [stream("c", "stderr"), stream("d")]
    cell = nbformat.v4.new_code_cell("", outputs=sent)
    clean.notebook(nbformat.v4.new_notebook(cells=[cell]))
    assert [it.get("text", "-") for it in cell.outputs] == ["1a: right.\n", "-", "-", "b", "c", "d"]


def test_without_a_sandbox_marking_refuses_unless_told_to_trust(monkeypatch):
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    for word in ("", "yes", "true"):
        with pytest.raises(sandbox.Refused, match="yes-i-trust-my-students"):
            sandbox.kernel_name(word)
    assert sandbox.kernel_name(sandbox.TRUST) == "python3"


def test_trusted_students_are_marked_without_a_sandbox(new_room, tmp_path, release):
    room = new_room
    for make in (pupils.perfect, pupils.wrong):
        path = room.file("submitted", LESSON, make.__name__)
        path.parent.mkdir(parents=True)
        path.write_bytes(written(make, release))
    assert run.mark(room, LESSON, "python3") == {"perfect": "", "wrong": ""}
    rows = marks.rows(room, LESSON)
    assert [row["total"] for row in rows] == [5, 0]


PLATFORMS = {
    "anna/exercises_01.ipynb": "anna",
    "anna/exercises_01 (1).ipynb": "anna",
    "Zoë Müller_47_assignsubmission_file_/Copy of exercises_01.ipynb": "Zoë_Müller_47",
    "mullerzoe_123_456_exercises_01-1.ipynb": "mullerzoe_123",
    "mullerzoe_LATE_124_456_exercises_01.ipynb": "mullerzoe_124",
    "ex_bert_attempt_2026-11-01-10-00-00_exercises_01.ipynb": "bert",
    "01_small/carla/01_small/exercises_01.ipynb": "carla",
    "../../etc/exercises_01.ipynb": "etc",
    "=cmd|' /exercises_01.ipynb": "cmd",
    "dora/my work.ipynb": "dora",
}


@pytest.mark.parametrize("packed", [True, False])
def test_collect_knows_the_names_of_platforms(new_room, tmp_path, packed):
    room = new_room
    if packed:
        origin = tmp_path / "all.zip"
        with zipfile.ZipFile(origin, "w") as archive:
            for place in PLATFORMS:
                archive.writestr(place, "{}")
            archive.writestr("__MACOSX/x/._exercises_01.ipynb", "")
            archive.writestr("exercises_01.ipynb", "{}")
    else:
        origin = tmp_path / "deep" / "er" / "all"
        for place in (*PLATFORMS, "exercises_01.ipynb"):
            if ".." not in place:
                (origin / place).parent.mkdir(parents=True, exist_ok=True)
                (origin / place).write_text("{}")
        (origin / "mallory").mkdir()
        (origin / "mallory" / "exercises_01.ipynb").symlink_to(room.folder / "gradebook.db")
    done, left = collecting.collect(origin, room, LESSON)
    wanted = set(PLATFORMS.values()) - (set() if packed else {"etc"})
    assert set(done) == wanted == set(room.students(LESSON))
    assert len(left) == 1
    assert left[0].startswith("exercises_01.ipynb: ")


def test_two_students_with_one_name_stay_two(new_room, tmp_path):
    room = new_room
    for name in ("a b", "a_b", "c"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "exercises_01.ipynb").write_text(name)
    done, _ = collecting.collect(tmp_path / "in", room, LESSON)
    assert len(done) == 3
    texts = {room.file("submitted", LESSON, name).read_text() for name in done}
    assert texts == {"a b", "a_b", "c"}


def test_other_numbers_are_refused_once_there_are_submissions(new_room, tmp_path):
    room = new_room
    source = tmp_path / "own" / LESSON.assignment / f"{LESSON.notebook}.ipynb"
    path = room.file("submitted", LESSON, "anna")
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    room.assign(source, SEED)
    with pytest.raises(SystemExit, match="another version"):
        room.assign(source, SEED + 1)
    text = room.assign(source, SEED + 1, force=True).read_text(encoding="utf-8")
    assert f"CLASS_SEED = {SEED + 1}" in text
    assert "HIDDEN" not in text
    assert "SOLUTION" not in text


QUICKLY = 1  # the lesson that is always tried; the others take minutes


@needs_sandbox
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(it, marks=() if it == QUICKLY else pytest.mark.long)
        for it in exercises.lesson_numbers()
    ],
)
def test_the_five_commands_mark_a_lesson(tmp_path, number):
    """A solved and an unsolved notebook go the whole way, with numbers of the class's own."""

    def command(*words):
        line = [sys.executable, "-m", "tools.marking", "--class", tmp_path / "class", *words]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    lesson = str(number)
    release = command("assignment", lesson, "--seed", "7").split(": ")[1].strip()
    solved = exercises.variant(exercises.source(number), 7)
    name = os.path.basename(release)
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr(f"solved/{name}", exercises.written(solved))
        archive.write(release, f"unsolved/{name}")
    command("collect", lesson, "--from", tmp_path / "in.zip")
    assert "2 marked anew, 0 of them failed" in command("mark", lesson, "--workers", "2")
    command("handback", lesson)
    with open(tmp_path / "class" / "marks.csv", encoding="utf-8", newline="") as file:
        solved, unsolved = csv.DictReader(file)
    points = float(solved[f"0{number} max"]) - sum(
        it.metadata.nbgrader.points
        for it in exercises.source(number).cells
        if it.cell_type == "markdown" and it.metadata.get("nbgrader", {}).get("grade")
    )
    assert (solved[f"0{number} status"], float(solved["total"])) == ("needs marking", points)
    assert (unsolved[f"0{number} status"], float(unsolved["total"])) == ("done", 0)
    pages = sorted(tmp_path.glob("class/feedback/*/*/*.html"))
    assert [page.parts[-3] for page in pages] == ["solved", "unsolved"]
    assert "waiting for your instructor" in pages[0].read_text(encoding="utf-8")


def test_the_class_is_large_enough():
    assert len(pupils.EXPECTED) >= 30
