"""What costs too much fails and says so, inside the kernel and beside it, for root and others."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import marking_class as pupils
import nbformat
import pytest
from conftest import ROOT
from nbformat.v4 import new_markdown_cell

from tools.marking import (
    canaries,
    checks,
    clean,
    feedback,
    filter,
    layouts,
    marks,
    restore,
    run,
    sandbox,
    watch,
)
from tools.marking.__main__ import main
from tools.marking.classroom import Classroom, Lesson

sandbox.prepare()
WHY = sandbox.obstacle()
pytestmark = [pytest.mark.marking, pytest.mark.skipif(bool(WHY), reason=WHY or "it works")]
LESSON = Lesson(*pupils.NAME)


def tries(code):
    """Return a maker of submissions whose own cell prints what it could do."""

    def make(nb):
        pupils.answer(nb, pupils.RIGHT)
        pupils.own(nb, "answer_1", f"did = []\n{code}\nprint('did', did)")

    return make


def many_newlines(nb):
    pupils.answer(nb, {**pupils.RIGHT, "answer_1": "\n" * 99_000 + pupils.RIGHT["answer_1"]})


def long_answer(nb):
    pupils.answer(nb, {**pupils.RIGHT, "answer_1": "\n" * 300_000})


def many_cells(nb):
    pupils.answer(nb, pupils.RIGHT)
    nb.cells += [new_markdown_cell("x") for _ in range(60_000)]


def endless(nb):
    pupils.answer(nb, pupils.RIGHT)
    pupils.own(nb, "answer_1", "while True:\n    pass")


def many_messages(nb):
    pupils.answer(nb, pupils.RIGHT)
    for _ in range(30):  # each of them quick, and none too large
        code = "from IPython.display import display\n"
        pupils.own(nb, "answer_1", code + "display({'text/plain': 'x' * (5 << 20)}, raw=True)")


def brackets(nb):
    pupils.answer(nb, pupils.RIGHT, "[" * 80_000)


DEEP = """
import os
def deep(place):
    try:
        os.chdir(place)
        for _ in range(60):
            os.mkdir("n" * 200)
            os.chdir("n" * 200)
        open("deep", "wb").write(bytes(3 << 20))
        did.append("deep")
    except OSError as error:
        pass
    finally:
        os.chdir("/course/work")
deep("/run/kernel")
"""
LOCKED = """
import os
for place in ("/run/kernel", "/run", "/dev", "/"):
    try:
        os.mkdir(place + "/locked")
        for n in range(9):
            open(f"{place}/locked/{n}", "wb").write(bytes(1 << 20))
        os.chmod(place + "/locked", 0)
        did.append(place)
    except OSError:
        pass
"""
DEVICES = """
import os
for place in ("/dev/x", "/dev/mqueue/x", "/dev/pts/x", "/x", "/run/x", "/usr/x", "/proc/x"):
    try:
        open(place, "wb").write(bytes(1 << 20))
        did.append(place)
    except OSError:
        pass
"""
NAMESPACES = """
import ctypes, subprocess
libc = ctypes.CDLL(None, use_errno=True)
CALLS = {"user namespace": (272, 0x10000000), "mounts": (272, 0x20000),
         "memfd": (319, b"x", 0), "System V": (29, 5, 1 << 30, 0o1600), "clone3": (435, 0, 0),
         "queue": (68, 5, 0o1600), "io_uring": (425, 8, 0),
         "keys": (248, b"user", b"x", b"y", 1, -2)}
for name, call in CALLS.items():
    if libc.syscall(*call) >= 0:
        did.append(name)
done = subprocess.run(["unshare", "-Ur", "true"], capture_output=True)
if done.returncode == 0:
    did.append("unshare")
import threading
thread = threading.Thread(target=print)
thread.start()
thread.join()
"""
MANY = """
import os, time
for _ in range(30):
    if os.fork() == 0:
        kept = b"x" * (150 << 20)
        time.sleep(60)
time.sleep(6)
did.append("all")
"""
SHARED = """
import os, time
kept = b"x" * (300 << 20)
for _ in range(12):
    if os.fork() == 0:
        time.sleep(60)
time.sleep(1)
did.append("all")
"""
HUGE_MESSAGE = """
from IPython.display import display
display({"text/plain": "x" * (150 << 20)}, raw=True)
"""
ANOTHERS = """
kernel = get_ipython().kernel
head = {"header": {"msg_id": "another's", "msg_type": "x"}}
said = {"name": "stdout", "text": "x" * (1 << 20)}
for _ in range(150):
    kernel.session.send(kernel.iopub_socket, "stream", said, parent=head, ident=b"stream")
"""
BEHIND = """
kernel = get_ipython().kernel
names = kernel._parent_ident["shell"]
for _ in range(20):
    kernel.NAME.send_multipart([*names, bytes(40 << 20)])
"""
ENDLESS_MESSAGE = """
import time
kernel = get_ipython().kernel
names = kernel._parent_ident["shell"]
block = bytes(9 << 20)
kernel.shell_stream.socket.send_multipart([*names] + [block] * 300, copy=False)
time.sleep(8)
"""
BOUNDED = {
    "endless": (endless, "stopped after 8 seconds"),
    "deep_folders": (tries(DEEP), "did []"),
    "locked_folders": (tries(LOCKED), "did []"),
    "devices": (tries(DEVICES), "did []"),
    "namespaces": (tries(NAMESPACES), "did []"),
    "shared_memory": (tries(SHARED), "did ['all']"),
    "many_newlines": (many_newlines, None),
    "prints_50_megabytes": (pupils.prints_50_megabytes, None),
    "brackets": (brackets, None),
    "long_answer": (long_answer, "300000 characters"),
    "many_cells": (many_cells, "cells; a notebook may have 1000"),
    "much_memory": (tries(MANY), "of memory in sum"),
    "many_messages": (many_messages, "its output was more than 100 MB"),
    "anothers_messages": (tries(ANOTHERS), "its output was more than 100 MB"),
    "huge_message": (tries(HUGE_MESSAGE), None),  # the marker does not take it
}
FAIL = ("long_answer", "many_cells", "much_memory", "many_messages", "anothers_messages")
ROOT_TOO = pytest.param(0, marks=pytest.mark.long)  # the class of test_marking.py is marked as root
USERS = [65534, ROOT_TOO] if os.getuid() == 0 else [os.getuid()]


@pytest.fixture(scope="session")
def assigned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bounds")
    source = pupils.write_assignment(folder)
    Classroom(folder / "class").assign(source, 7)
    return folder / "class"


SHOW = """mkdir -p "$3"; mount --bind "$2" "$3"; mount --rbind "$1" "$4"; shift 4; exec "$@\""""


def as_user(user, line, folder):
    """Return a command that runs another as a user without rights.

    If that user may not enter the folder above Python, the command gets a view of it that it may.
    """
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    line = [*become, "--inh-caps=-all", "--bounding-set=-all", *line]
    base = Path(sys.base_prefix)
    closed = [it for it in base.parents if not it.stat().st_mode & 0o001]
    if not closed:
        return line
    view = folder / "view"
    inside = view / base.relative_to(closed[-1])
    show = ["sh", "-ec", SHOW, "show", str(view), str(base), str(inside), str(closed[-1])]
    return ["unshare", "--mount", "--propagation", "private", *show, *line]


def left_over():
    """Return the folders of markings; some may be another marking's, or of one that was killed."""
    places = {"/tmp", "/dev/shm", tempfile.gettempdir()}
    return {path for place in places for path in Path(place).glob("marking-*")}


@pytest.fixture(scope="session", params=USERS, ids=lambda user: f"user {user}")
def marked(request, assigned):
    """Mark all as one user; give the class, the table by student, and what folders it left."""
    user = request.param
    with tempfile.TemporaryDirectory(prefix="bounds-") as folder:
        os.chmod(folder, 0o755)
        room = Classroom(shutil.copytree(assigned, Path(folder) / "class"))
        release = nbformat.read(room.file("release", LESSON), as_version=4)
        for name, (make, _) in BOUNDED.items():
            nb = nbformat.reads(nbformat.writes(release), as_version=4)
            make(nb)
            path = room.file("submitted", LESSON, name)
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(nb), encoding="utf-8")
        before = left_over()
        line = [sys.executable, "-m", "tools.marking", "--class", str(room.folder)]
        line += ["mark", "1", "--workers", "2", "--seconds", "8", "--total", "60"]
        if user != os.getuid():
            subprocess.run(["chown", "-R", f"{user}:{user}", folder], check=True)
            line = as_user(user, line, Path(folder))
        environment = {**os.environ, "MARKING_SUM": str(2 << 30), "HOME": folder}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode and "bubblewrap does not work" in done.stderr:
            pytest.skip(done.stderr)
        assert done.returncode == 0, done.stdout + done.stderr
        rows = {row["student"]: row for row in marks.rows(room, LESSON)}
        yield room, rows, left_over() - before


@pytest.mark.parametrize("name", BOUNDED)
def test_a_submission_gets_no_more_than_it_may(marked, name):
    room, rows, _ = marked
    row, told = rows[name], BOUNDED[name][1]
    if name == "huge_message" and row["status"] == "failed":  # if its connection was dropped
        assert "larger than 100 MB" in row["notes"], row
        return
    if name in FAIL:
        assert row["status"] == "failed", row
        assert told in row["notes"], row
        return
    assert [row[it] for it in ("test_1a", "test_2a", "test_2b")] == [2, 1, 2], row
    text = room.file("autograded", LESSON, name).read_text(encoding="utf-8")
    if name == "endless":
        assert told in text
    elif told:
        assert re.findall(r"(did \[.*?\])\\n", text) == [told]


def test_the_sum_counts_the_sandboxs_files_and_not_the_computers():
    """Before bubblewrap has built the sandbox, its process still sees the computer's folders."""
    fill = "head -c 50000000 /dev/zero > /tmp/x; exec sleep 60"
    own = ["bwrap", "--dev-bind", "/", "/", "--size", "200000000", "--tmpfs", "/tmp"]
    own.append("--die-with-parent")
    for line, least in ((["sleep", "60"], 0), ([*own, "sh", "-c", fill], 50_000_000)):
        with subprocess.Popen(line) as process:
            try:
                end = time.monotonic() + 30
                while time.monotonic() < end:
                    sizes = [watch.memory(it, 1 << 40) for it in watch.processes(process.pid)]
                    assert max(sizes) < least + 30_000_000
                    if max(sizes) > least:
                        break
                    time.sleep(0.01)
                assert max(sizes) > least
            finally:
                process.kill()


MARK = """import pathlib, re, sys
from tools.marking import one, sandbox
sandbox.prepare()
texts = [pathlib.Path(it).read_text() for it in sys.argv[2:]]
task = one.Task("anna", pathlib.Path(sys.argv[1]).read_bytes(), *texts, seconds=4)
why = one.mark_one(task).why
print(why or "marked", *re.findall(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()))"""


@pytest.mark.parametrize(
    ("code", "said", "most"),
    [
        (BEHIND.replace("NAME", "control_stream.socket"), "marked", 250),
        (BEHIND.replace("NAME", "stdin_socket"), "marked", 250),
        (ENDLESS_MESSAGE, "stopped: its messages took more than 0.6 GB in the marker", 1_200),
    ],
    ids=["control", "stdin", "endless"],
)
def test_what_is_never_read_takes_little_memory_of_the_marker(assigned, tmp_path, code, said, most):
    room = Classroom(assigned)
    paths = [room.file(step, LESSON) for step in ("source", "release")]
    nb = nbformat.read(paths[1], as_version=4)
    tries(code)(nb)
    nbformat.write(nb, tmp_path / "it.ipynb")
    line = [sys.executable, "-c", MARK, str(tmp_path / "it.ipynb"), *map(str, paths)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    why, _, size = done.stdout.strip().rpartition(" ")
    assert why == said
    assert int(size) / 1_000 < most  # MB; about 130 without any message


def test_nothing_of_it_stays_on_the_computer(marked):
    room, _, left = marked
    assert not left
    size = sum(path.stat().st_size for path in room.folder.rglob("*") if path.is_file())
    assert size < 20_000_000
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            assert b"/run/connection.json" not in path.read_bytes()
    assert not pupils.dead_groups()


def test_a_page_of_brackets_is_made_at_once(marked):
    room, rows, _ = marked
    page = feedback.PageTask("brackets", str(room.folder), LESSON, rows["brackets"])
    begin = time.process_time()  # the computer may be busy
    assert "[[[[[" in feedback.make_page(page)[0]
    assert time.process_time() - begin < 10


def hints_of(code):
    cells = [nbformat.v4.new_code_cell(code, id="extra-1")]
    return canaries.hints(nbformat.v4.new_notebook(cells=cells))


@pytest.mark.parametrize("name", ["given", "answer_1", "test_1a"])
def test_code_that_is_deeper_than_python_reads_costs_nothing_else(assigned, name):
    """Such as a sum of thousands of numbers, which Python itself still runs."""
    room = Classroom(assigned)
    texts = [room.file(step, LESSON).read_text(encoding="utf-8") for step in ("source", "release")]
    nb = nbformat.reads(texts[1], as_version=4)
    total = "+".join(["1"] * 2_500)
    pupils.cell(nb, name).source = f"mine = {total}\ndef f():\n    return {total}\ndef g(): ..."
    result = restore.restored(nb, *restore.structure(*texts))
    assert canaries.hints(result) == []
    assert any("def g()" in it.source for it in result.cells)


@pytest.mark.parametrize("size", [100_000])
@pytest.mark.parametrize(
    ("work", "unit"),
    [
        (clean.text, "[" ), (clean.text, "<"), (clean.text, "&a"), (clean.text, "data "),
        (lambda text: clean.without_missing(text, {}), "attachment:"),
        (feedback.harmless, "<script"), (feedback.harmless, "<script </script"),
        (lambda text: checks.in_hidden_part(text, "BEGIN HIDDEN TESTS"), "<ipython-input"),
        (hints_of, "\n"), (hints_of, "testing.a"), (hints_of, "np."), (hints_of, "np.a "),
        (hints_of, "="), (hints_of, "!a\n"), (hints_of, "%time a\n"), (hints_of, "a = !b\n"),
        (hints_of, "\u0301\u0316"), (hints_of, "#\ufdfa"),
        (layouts.whose, "-"), (layouts.whose, " -"),
    ],
)  # fmt: skip
def test_no_pattern_takes_time_to_the_square(work, unit, size):
    text = unit * (size // len(unit) * 3)
    begin = time.process_time()
    work(text)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"{", "is damaged [(]it is no JSON from line 1 on"),
        (b'{"cells": [{}], "nbformat": 4, "nbformat_minor": 4}', "not as Jupyter writes it"),
        (b'{"cells": [1]}', "what it holds is not as Jupyter writes it: open it in JupyterLab"),
        (b"TOO LARGE 60000000", "the file has 60 MB; a notebook may have 10"),
        (b'{"cells": ' + b"[" * 200_000, "is damaged"),
        (b"[1]", "it has no cells"),
        (b'{"worksheets": [{"cells": []}]}', "a form of before 2015: open it in JupyterLab"),
    ],
)
def test_a_file_that_cannot_be_marked_says_why(content, why):
    with pytest.raises(RuntimeError, match=why):
        restore.read(content)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["assignment", "1", "--seed=-3"], "SEED=-3: a whole number"),
        (["assignment", "1", "--seed", "x"], "SEED=x"),
        (["assignment", "9"], "LESSON=9 has no exercises; there are 1"),
        (["assignment", ""], "LESSON=: say the number"),
        (["mark", "3"], "LESSON=3 is not assigned"),
        (["mark", "1", "--workers", "0"], "WORKERS=0"),
        (["collect", "1", "--from", "x"], "LESSON=1 is not assigned"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(tmp_path, words, why):
    with pytest.raises(SystemExit, match=why):
        main(["--class", str(tmp_path / "class"), *words])


def test_a_class_that_is_a_file_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "class").write_text("x")
    with pytest.raises(SystemExit, match="class is a file: give a folder"):
        main(["--class", str(tmp_path / "class"), "assignment", "1"])


def test_the_time_limit_is_the_one_that_was_set(assigned, tmp_path):
    room = Classroom(shutil.copytree(assigned, tmp_path / "class"))
    nb = nbformat.read(room.file("release", LESSON), as_version=4)
    pupils.catches_interrupt(nb)
    path = room.file("submitted", LESSON, "anna")
    path.parent.mkdir(parents=True)
    nbformat.write(nb, path)
    results = run.mark(room, LESSON, "sandboxed", seconds=2)
    assert results["anna"].startswith("a cell ran for more than 2 seconds and could not be")


def test_a_cell_that_stops_late_costs_nothing_but_its_own_points(assigned, tmp_path):
    """Such as one that is at work in a library for some seconds after it was interrupted."""
    room = Classroom(shutil.copytree(assigned, tmp_path / "class"))
    nb = nbformat.read(room.file("release", LESSON), as_version=4)
    pupils.answer(nb, pupils.RIGHT)
    pupils.own(
        nb,
        "answer_1",
        "import time\nend = time.monotonic() + 9\nwhile time.monotonic() < end:\n"
        "    try:\n        time.sleep(1)\n    except KeyboardInterrupt:\n        pass",
    )
    path = room.file("submitted", LESSON, "anna")
    path.parent.mkdir(parents=True)
    nbformat.write(nb, path)
    assert run.mark(room, LESSON, "sandboxed", seconds=2) == {"anna": ""}
    (row,) = marks.rows(room, LESSON)
    assert [row[name] for name in ("test_1a", "test_2a", "test_2b")] == [2, 1, 2]
    assert row["status"] == "needs marking"


def test_what_was_given_is_never_stopped_before_its_submission(tmp_path):
    """Importing Keras takes long on a busy computer; no answer is right where it was stopped."""
    setup = f"import time\ntime.sleep(6)\n{pupils.QUICK}"
    room = Classroom(tmp_path / "class")
    room.assign(pupils.write_assignment(tmp_path / "given", setup), 7)
    nb = nbformat.read(room.file("release", LESSON), as_version=4)
    pupils.answer(nb, {**pupils.RIGHT, "answer_2": "def limit(c):\n    while True: pass"})
    path = room.file("submitted", LESSON, "anna")
    path.parent.mkdir(parents=True)
    nbformat.write(nb, path)
    assert run.mark(room, LESSON, "sandboxed", seconds=4) == {"anna": ""}
    (row,) = marks.rows(room, LESSON)
    assert [row[name] for name in ("test_1a", "test_2a", "test_2b")] == [2, 0, 0]
    for name in ("test_2a", "test_2b"):
        assert f"{name} was stopped after 4 seconds" in row["notes"]
    assert "setup" not in row["notes"]


def test_the_filter_of_system_calls_is_whole():
    for machine in filter.ARCHITECTURES:
        program = filter.program(machine)
        assert len(program) == 8 * (len(program) // 8)
        assert len(program) // 8 == 4 + 2 * (len(filter.NUMBERS) + 1) + 5 + 2 * (
            machine == "x86_64"
        )
