"""Marking that is killed goes on where it was; what a person did stays; nobody stops the others."""

import csv
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

import marking_class as pupils
import nbformat
import pytest
from conftest import ROOT
from jupyter_client.connect import write_connection_file
from nbgrader.api import Gradebook
from sqlalchemy.exc import OperationalError

from tools.marking import feedback, files, filter, marks, run, runner, sandbox
from tools.marking.__main__ import main
from tools.marking.classroom import Classroom, Lesson

sandbox.prepare()
WHY = sandbox.obstacle()
pytestmark = [pytest.mark.marking, pytest.mark.skipif(bool(WHY), reason=WHY or "it works")]
LESSON = Lesson(*pupils.NAME)
COUNTS = re.compile(  # how many canaries came before a cell is drawn anew each time
    r"\"execution_count\": \d+|In(&nbsp;|\s)*\[\d+\]|\[\d+\]:|<ipython-input-\d+"
)
SIGNALS = ("KILL", "HUP", "TERM", "INT")


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """A class of six who have handed in, nothing marked."""
    folder = tmp_path_factory.mktemp("quick")
    room = Classroom(folder / "class")
    room.assign(pupils.write_assignment(folder), 7)
    release = nbformat.read(room.file("release", LESSON), as_version=4)
    makers = (pupils.perfect, pupils.partly, pupils.wrong, pupils.leaves, pupils.pasted_picture)
    for make in (*makers, pupils.corrupt):
        nb = nbformat.from_dict(release)
        nb = nbformat.reads(nbformat.writes(nb), as_version=4)
        content = make(nb)
        path = room.file("submitted", LESSON, make.__name__)
        path.parent.mkdir(parents=True)
        path.write_bytes(nbformat.writes(nb).encode() if content is None else content)
    return folder


@pytest.fixture
def room(quick, tmp_path):
    shutil.copytree(quick, tmp_path, dirs_exist_ok=True)
    return Classroom(tmp_path / "class")


def result(room):
    """Return all that marking and handing back leave behind: tables, gradebook, pages, folders."""
    feedback.hand_back(room, LESSON)
    with Gradebook(room.gradebook) as gradebook:
        entries = [gradebook.assignment_submissions(it.assignment) for it in room.lessons()]
        grades = sorted(
            (entry.student_id, it.name, it.auto_score, it.manual_score, it.needs_manual_grade)
            for entry in chain(*entries)
            for it in entry.notebooks[0].grades
        )
    pages = {
        str(path.relative_to(room.folder)): COUNTS.sub("", path.read_text(encoding="utf-8"))
        for step in ("autograded", "feedback", "failed")
        for path in sorted((room.folder / step).rglob("*"))
        if path.is_file()
    }
    table = (room.folder / "marks.csv").read_text(encoding="utf-8")
    return table, grades, pages, sorted(path.name for path in room.folder.iterdir())


def own(room):
    """Return a folder for the temporary files of this room's commands; it tells their processes."""
    folder = room.folder.parent / "temporary"
    folder.mkdir(exist_ok=True)
    return folder


def left_behind(room):
    """Return the temporary folders and the processes of the room's commands that are there now."""
    wanted, processes = f"TMPDIR={own(room)}".encode(), set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                processes.add((folder / "cmdline").read_bytes().replace(b"\0", b" "))
        except OSError:
            continue
    return set(own(room).iterdir()), processes - {b""}


def start(room):
    line = [sys.executable, "-m", "tools.marking", "--class", str(room.folder)]
    return subprocess.Popen(
        [*line, "mark", "1", "--workers", "2", "--seconds", "20"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(own(room))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def killed(room, name, seconds, group):
    """Mark, and end it by a signal after some time; return what it printed."""
    process = start(room)
    time.sleep(seconds)
    kill = os.killpg if group else os.kill
    if process.poll() is None:
        kill(process.pid, getattr(signal, f"SIG{name}"))
    printed = process.communicate(timeout=60)[0]
    return process.returncode, printed


def undisturbed(room):
    process = start(room)
    printed = process.communicate(timeout=300)[0]
    assert process.returncode == 0, printed
    return printed


def kill_and_go_on(room, names, longest):
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    for name in names:
        moment, group = dice.uniform(0.5, longest), dice.random() < 0.5
        told = f"seed {seed}: SIG{name} after {moment:.1f} s, group {group}"
        code, printed = killed(room, name, moment, group)
        end = time.monotonic() + 15
        while any(now := left_behind(room)) and time.monotonic() < end:
            time.sleep(0.2)
        assert not any(now), (told, now)
        assert "Traceback" not in printed, (told, printed)
        assert code in (0, 130, -9, -getattr(signal, f"SIG{name}")), (told, code)
    undisturbed(room)
    assert not pupils.dead_groups()


@pytest.fixture(scope="session")
def wanted(quick, tmp_path_factory):
    """What an undisturbed run leaves behind, and how long it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(quick, folder, dirs_exist_ok=True)
    room, begin = Classroom(folder / "class"), time.monotonic()
    undisturbed(room)
    seconds = time.monotonic() - begin
    return result(room), seconds


def test_marking_killed_by_each_signal_ends_as_if_undisturbed(room, wanted):
    kill_and_go_on(room, SIGNALS, wanted[1])
    assert result(room) == wanted[0]


@pytest.mark.long
@pytest.mark.parametrize("name", SIGNALS)
def test_marking_killed_at_random_moments_ends_as_if_undisturbed(room, wanted, name):
    for _ in range(4):
        for step in ("autograded", "failed"):
            shutil.rmtree(room.folder / step, ignore_errors=True)
        kill_and_go_on(room, [name] * 5, wanted[1])
        assert result(room) == wanted[0]


def test_a_sandbox_that_begins_when_its_marker_is_gone_ends(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "filter").write_bytes(filter.program())
    connection = str(tmp_path / "kernel.json")
    write_connection_file(connection, transport="ipc", ip=runner.INSIDE)
    kernel = subprocess.Popen(
        ["sh", sandbox.KERNELS / "kernels" / "sandboxed" / "kernel.sh", connection],
        env={**os.environ, "JPY_PARENT_PID": str(gone.pid)},
        start_new_session=True,
    )
    try:
        assert kernel.wait(20) == -signal.SIGKILL
    finally:
        if kernel.poll() is None:
            os.killpg(kernel.pid, signal.SIGKILL)
            kernel.wait()


FAKE = """#!/bin/sh
setsid {child} 60 &
printf '{{\\n    "child-pid": %s\\n}}\\n' $! >&5
exec sleep 60
"""


@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["alone", "its group"])
@pytest.mark.parametrize("seconds", [0, 0.5])  # before and after its number has been read
def test_a_sandbox_that_is_left_when_bubblewrap_is_killed_ends(tmp_path, seconds, kill):
    """Bubblewrap's child, killed too late to have asked to die with it: here another program."""
    child, fake = tmp_path / "child" / "bwrap", tmp_path / "bin" / "bwrap"
    for path in (child, fake):
        path.parent.mkdir()
    shutil.copy(shutil.which("sleep"), child)
    fake.write_text(FAKE.format(child=child))
    fake.chmod(0o755)
    (tmp_path / "filter").write_bytes(b"")
    (tmp_path / "kernel.json").write_text("{}")
    places = {f"MARKING_{name}": "/" for name in ("BASE", "PREFIX", "COURSE", "PYTHON")}
    limits = {f"MARKING_{name}": "1" for name in ("MEMORY", "FILE", "CPU", "PROCESSES")}
    own = {"PATH": f"{fake.parent}:{os.environ['PATH']}", "JPY_PARENT_PID": str(os.getpid())}
    kernel = subprocess.Popen(
        ["sh", sandbox.KERNELS / "kernels" / "sandboxed" / "kernel.sh", tmp_path / "kernel.json"],
        env={**os.environ, **places, **limits, **own},
        start_new_session=True,
    )
    info = tmp_path / "info.json"
    wait_until(lambda: info.exists() and info.read_text().endswith("}\n"))
    left = json.loads(info.read_text())["child-pid"]
    try:
        wait_until(lambda: Path(f"/proc/{left}/comm").read_text() == "bwrap\n")
        time.sleep(seconds)
        kill(kernel.pid, signal.SIGKILL)
        kernel.wait()
        wait_until(lambda: not runs(left))
    finally:
        if runs(left):
            os.kill(left, signal.SIGKILL)


def runs(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(happens, seconds=20):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_result_that_is_half_kept_is_not_kept(room, monkeypatch):
    from tools.marking import keep

    def full(*arguments):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(keep, "write_whole", full)
        results = run.mark(room, LESSON, "sandboxed", only={"perfect", "partly"})
    assert all("no space left" in why for why in results.values())
    row = marks.rows(room, LESSON)[-2]
    assert (row["student"], row["status"]) == ("perfect", "needs marking")
    with open(room.folder / "problems.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["student"] for row in rows} == {"perfect", "partly"}
    assert all(row["what to do"] for row in rows)
    again = run.mark(room, LESSON, "sandboxed", only={"perfect", "partly"})
    assert again == {"perfect": "", "partly": ""}
    assert "perfect" not in (room.folder / "problems.csv").read_text()


def give(room, student, points, comment=None):
    with Gradebook(room.gradebook) as gradebook:
        names = LESSON.notebook, LESSON.assignment, student
        grade = gradebook.find_grade("free_text", *names)
        grade.manual_score, grade.needs_manual_grade = points, False
        gradebook.db.commit()


def change(room, student, name, text):
    path = room.file("submitted", LESSON, student)
    nb = nbformat.read(path, as_version=4)
    pupils.cell(nb, name).source = text
    nbformat.write(nb, path)


def of(room, student):
    return next(row for row in marks.rows(room, LESSON) if row["student"] == student)


def test_points_that_a_person_gave_survive_marking_anew(room):
    only = {"perfect"}
    run.mark(room, LESSON, "sandboxed", only=only)
    assert of(room, "perfect")["free_text"] is None
    give(room, "perfect", 2.5)
    change(room, "perfect", "answer_1", pupils.WRONG["answer_1"])
    run.mark(room, LESSON, "sandboxed", only=only)
    row = of(room, "perfect")
    assert (row["status"], row["free_text"], row["test_1a"], row["total"]) == ("done", 2.5, 0, 5.5)
    change(room, "perfect", "free_text", "Something else.")
    run.mark(room, LESSON, "sandboxed", only=only)
    row = of(room, "perfect")
    assert (row["status"], row["free_text"], row["total"]) == ("needs marking", 2.5, 5.5)
    assert "another answer" in row["notes"]
    feedback.hand_back(room, LESSON)
    table = list(csv.DictReader((room.folder / "marks.csv").open(encoding="utf-8")))
    line = next(row for row in table if row["student"] == "perfect")
    assert line["01 free_text"] == "2.5"


def test_the_table_keeps_earlier_lessons_and_pages_wait(room, tmp_path):
    run.mark(room, LESSON, "sandboxed", only={"perfect"})
    feedback.hand_back(room, LESSON)
    page = room.file("feedback", LESSON, "perfect").read_text(encoding="utf-8")
    assert "waiting for your instructor: / 3.0" in page
    assert "0.0 / 3.0" not in page
    assert "(Score so far: 5.0 / 8.0)" in page
    second = Lesson("02_small", "exercises_02")
    room.assign(pupils.write_assignment(tmp_path / "second", lesson=second), 7)
    path = room.file("submitted", second, "zoe")
    path.parent.mkdir(parents=True)
    shutil.copy(room.file("submitted", LESSON, "perfect"), path)
    run.mark(room, second, "sandboxed")
    feedback.hand_back(room, second)
    with open(room.folder / "marks.csv", encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert rows["perfect"]["01 total"] == rows["zoe"]["02 total"] == "5.0"
    assert rows["perfect"]["02 total"] == rows["zoe"]["01 total"] == ""
    assert "01 test_1a" in rows["zoe"]


def test_the_formgraders_own_button_marks_as_well(room):
    run.mark(room, LESSON, "sandboxed", only={"perfect"})
    before = of(room, "perfect")
    done = room.nbgrader().autograde(LESSON.assignment, "perfect", force=True)
    assert done["success"], done["error"]
    assert of(room, "perfect") == before
    assert run.mark(room, LESSON, "sandboxed", only={"perfect"}) == {}


def test_one_page_that_cannot_be_made_stops_nobody(room, capsys):
    run.mark(room, LESSON, "sandboxed")
    path = room.file("autograded", LESSON, "partly")
    nb = json.loads(path.read_text(encoding="utf-8"))
    nb["cells"][0]["source"] = "![x](attachment:nowhere.png)"
    path.write_text(json.dumps(nb), encoding="utf-8")
    feedback.hand_back(room, LESSON)
    assert len(list(room.folder.glob("feedback/*/*/*.html"))) == 6
    assert "your marks stand" in room.file("feedback", LESSON, "partly").read_text()
    assert "partly: InvalidNotebook" in capsys.readouterr().out
    with open(room.folder / "problems.csv", encoding="utf-8", newline="") as file:
        steps = {(row["step"], row["student"]) for row in csv.DictReader(file)}
    assert steps == {("handback", "partly"), ("mark", "leaves"), ("mark", "corrupt")}
    page = room.file("feedback", LESSON, "pasted_picture").read_text()
    assert page.count(pupils.PICTURE) == 2


def test_a_file_that_cannot_be_read_stops_nobody(room):
    room.file("submitted", LESSON, "ada").mkdir(parents=True)
    results = run.mark(room, LESSON, "sandboxed", only={"ada", "perfect"})
    assert results == {"ada": "the file cannot be read (Is a directory)", "perfect": ""}
    feedback.hand_back(room, LESSON)
    assert room.file("feedback", LESSON, "perfect").exists()
    assert of(room, "ada")["status"] == "failed"


def test_marking_one_student_keeps_what_failed_with_others(room):
    run.mark(room, LESSON, "sandboxed", only={"corrupt"})
    run.mark(room, LESSON, "sandboxed", only={"partly"}, force=True)
    (row,) = files.problems(room)
    assert row["student"] == "corrupt"
    assert str(room.file("submitted", LESSON, "corrupt")) in row["what to do"]
    assert "make points LESSON=1 STUDENT=corrupt QUESTION=... POINTS=..." in row["what to do"]


@pytest.mark.skipif("MARKING_TEST_DB" not in os.environ, reason="no empty PostgreSQL database")
def test_a_gradebook_in_postgresql_has_the_same_marks(room, tmp_path):
    """Set MARKING_TEST_DB=postgresql://user@host/database to run it; it fills the database."""
    students = {"perfect", "partly", "corrupt"}
    other = Classroom(tmp_path / "other")
    other.connect(os.environ["MARKING_TEST_DB"])
    other.assign(pupils.write_assignment(tmp_path / "source"), 7)
    for it in students:
        path = other.file("submitted", LESSON, it)
        path.parent.mkdir(parents=True)
        shutil.copy(room.file("submitted", LESSON, it), path)
    other = Classroom(other.folder)
    assert not (other.folder / "gradebook.db").exists()
    tables = []
    for it in (room, other):
        run.mark(it, LESSON, "sandboxed", only=students)
        give(it, "perfect", 2.5)
        feedback.hand_back(it, LESSON)
        tables.append([row for row in marks.rows(it, LESSON) if row["student"] in students])
    assert tables[0] == tables[1]
    assert [row["status"] for row in tables[0]] == ["failed", "needs marking", "done"]
    with pytest.raises(SystemExit, match="another class's gradebook"):
        Classroom(tmp_path / "third").connect(other.gradebook)
    with pytest.raises(SystemExit, match="use another CLASS"):
        other.connect(other.gradebook + "x")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://x/y", "say it like DB=postgresql://user@host/database"),
        ("postgresql://x@127.0.0.1:1/y", "needs a driver|does not answer"),
        ("postgresql://x@127.0.0.1:port/y", "does not answer"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused(tmp_path, url, why):
    with pytest.raises(SystemExit, match=why):
        Classroom(tmp_path / "class").connect(url)
    assert not (tmp_path / "class" / "database.txt").exists()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("postgresql://x@127.0.0.1:1/y", "psycopg.*: .venv/bin/pip|database.txt names, does not"),
        ("\n", "database.txt is damaged: it must hold postgresql://user@host/database"),
    ],
)
def test_a_database_that_is_gone_is_said_in_a_sentence(room, address, why):
    (room.folder / "database.txt").write_text(address)
    with pytest.raises(SystemExit, match=why):
        main(["--class", str(room.folder), "report", "1"])


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("database is locked", "Another program writes to .*: close it, or wait"),
        ("unable to open database file", "cannot be opened or changed: it must be yours"),
        ("attempt to write a readonly database", "cannot be opened or changed"),
    ],
)
def test_a_gradebook_that_cannot_be_used_is_said_in_a_sentence(room, monkeypatch, error, why):
    def report(*given):
        raise OperationalError("SELECT", {}, sqlite3.OperationalError(error))

    monkeypatch.setattr("tools.marking.__main__.report", report)
    with pytest.raises(SystemExit, match=why):
        main(["--class", str(room.folder), "report", "1"])


def test_two_commands_do_not_work_in_one_class(room):
    with files.locked(room), pytest.raises(SystemExit, match="Another command is at work"):
        run.mark(room, LESSON, "sandboxed")


def test_a_submission_that_ends_its_process_costs_the_others_nothing(room, monkeypatch):
    from tools.marking import pool

    tasks = ["die", "a", "b", "sleep", "c"]
    answers = list(pool.in_processes(pupils.odd_work, tasks, 2, 15))
    assert {task: answer for task, answer in answers if len(task) == 1} == {
        "a": "a done", "b": "b done", "c": "c done"
    }  # fmt: skip
    assert all("ended the marking process" in dict(answers)[it] for it in ("die", "sleep"))
    assert len(answers) == 5


@pytest.mark.long
def test_a_cluster_marks_as_this_computer_does_and_survives_a_killed_worker(room, wanted):
    distributed = pytest.importorskip("distributed")
    from tools.marking import cluster

    for name in ("perfect", "partly"):
        for number in range(3):
            path = room.file("submitted", LESSON, f"{name}_{number}")
            path.parent.mkdir(parents=True)
            shutil.copy(room.file("submitted", LESSON, name), path)
    options = {"threads_per_worker": 1, "dashboard_address": None}
    told = []
    with distributed.LocalCluster(2, **options) as local:
        workers = [worker.pid for worker in local.workers.values()]

        def tell(line):
            if not told:
                os.kill(workers[0], signal.SIGKILL)
            told.append(line)

        with cluster.connected(local.scheduler_address) as executor:
            results = run.mark(room, LESSON, "sandboxed", tell=tell, executor=executor)
    assert len(told) == len(results) == 12
    left = {it.name.split("-")[1] for it in Path(tempfile.gettempdir()).glob("marking-[0-9]*-*")}
    assert left <= {str(workers[0])}  # the one that was killed; the next run removes it
    assert not pupils.dead_groups()
    rows = {row["student"]: row for row in marks.rows(room, LESSON)}
    assert all(rows[it]["status"] == "failed" for it in ("corrupt", "leaves"))
    for name in ("perfect", "partly"):
        same = [{**rows[f"{name}_{n}"], "student": name} for n in range(3)]
        assert same == [rows[name]] * 3
    table = result(room)[0].splitlines()
    assert set(wanted[0][0].splitlines()) <= set(table)
    with Gradebook(room.gradebook) as gradebook:
        assert len(gradebook.assignment_submissions(LESSON.assignment)) == 10


def test_a_cluster_that_does_not_answer_is_said_in_a_sentence():
    from tools.marking import cluster

    with pytest.raises(SystemExit, match="EXECUTOR=nowhere"), cluster.connected("nowhere"):
        pass
