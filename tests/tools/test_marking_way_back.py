"""A round trip: a roster and files in; marks and pages out as the platform takes them."""

import csv
import io
import os
import zipfile
from datetime import timedelta

import marking_class as pupils
import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.utils import determine_grade

from tools.marking import (
    alike,
    attempts,
    checks,
    clean,
    decisions,
    feedback,
    files,
    keep,
    lateness,
    marks,
    one,
    platforms,
    report,
    restore,
    roster,
    run,
    sandbox,
)
from tools.marking import collect as collecting
from tools.marking.__main__ import main
from tools.marking.classroom import Classroom, Lesson

sandbox.prepare()
pytestmark = pytest.mark.marking
LESSON = Lesson(*pupils.NAME)
SCORES = {"test_1a": 2, "test_2a": 1, "test_2b": 2, "free_text": 0}


@pytest.fixture(scope="session")
def assigned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("way_back")
    source = pupils.write_assignment(folder)
    Classroom(folder / "class").assign(source, 7)
    return folder / "class"


@pytest.fixture
def room(assigned, tmp_path):
    import shutil

    return Classroom(shutil.copytree(assigned, tmp_path / "class"))


@pytest.fixture(autouse=True)
def pages_here(monkeypatch):
    """Make pages in this process; that others make them is tried with the whole class."""

    def in_process(work, tasks, workers, seconds):
        return ((task, work(task)) for task in tasks)

    monkeypatch.setattr(feedback.pool, "in_processes", in_process)


def handed_in(room, path, names):
    """Write a platform's zip file, with an unanswered notebook under each name."""
    content = room.file("release", LESSON).read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            text = content.decode().replace("CLASS_SEED = 7", f"CLASS_SEED = 7 # {number}")
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 20, 12, 0, 0)), text)
    return path


def marked(room, scores):
    """Keep marks without running anything."""
    texts = [room.file(step, LESSON).read_text(encoding="utf-8") for step in ("source", "release")]
    with Gradebook(room.gradebook) as gradebook:
        for student in room.students(LESSON):
            content = room.file("submitted", LESSON, student).read_bytes()
            task = one.Task(student, content, *texts)
            nb = restore.restored(restore.read(content), *restore.structure(*texts))
            names = dict.fromkeys(SCORES, "x")
            nb.metadata.marking |= {"of": task.of, "answers": names}
            text = nbformat.writes(nb)
            own = scores.get(student, SCORES)
            result = one.Marked(student, task.of, "", text, own, ("free_text",), names)
            keep.keep(room, LESSON, gradebook, result)


def rows_of(path, delimiter=","):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def pages(room):
    with zipfile.ZipFile(room.folder / f"feedback_{LESSON.notebook}.zip") as archive:
        return archive.namelist()


def trip(room, tmp_path, export, names, scores):
    roster.take(room, export)
    result = collecting.collect(handed_in(room, tmp_path / "all.zip", names), room, LESSON)
    assert result.unclear == []
    marked(room, scores)
    feedback.hand_back(room, LESSON)


WAITS = {**SCORES, "free_text": None}


def test_canvas_takes_back_what_it_gave(room, tmp_path):
    export = """Student,ID,SIS User ID,SIS Login ID,Section,Exercises 1 (777),Current Score
    Points Possible,,,,,11,(read only)
"Berg, Anna",11,S-1,anna@uni.edu,"Monday, early",,
"Müller, Zoë",13,S-3,zoe@uni.edu,Monday,,
"Nobody, Cleo",14,S-4,cleo@uni.edu,Monday,,
"Student, Test",99,,x,Monday,,
"""
    names = ["berganna_11_901_exercises_01-2.ipynb", "mullerzoe_LATE_13_903_exercises_01.ipynb"]
    trip(room, tmp_path, export.encode(), names, {"zoe@uni.edu": WAITS})
    with open(room.folder / "marks_for_canvas.csv", encoding="utf-8", newline="") as file:
        head, points, *lines = csv.reader(file)
    wanted = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Exercises 1 (777)"]
    assert head == wanted
    assert (points[0].strip(), points[1:]) == ("Points Possible", ["", "", "", "", "8.0"])
    assert lines[0] == ["Berg, Anna", "11", "S-1", "anna@uni.edu", "Monday, early", "5.0"]
    assert len(lines) == 1  # an empty cell would take away what stands on Canvas
    assert pages(room) == [name.replace(".ipynb", ".html") for name in names]
    for name in pages(room):
        numbers = [part for part in name.split("_") if part.isdigit()]
        assert numbers[:2] in (["11", "901"], ["13", "903"])
    table = {row["student"]: row for row in rows_of(room.folder / "marks.csv")}
    assert "the platform calls it late" in table["zoe@uni.edu"]["01 notes"]
    assert table["cleo@uni.edu"]["01 status"] == "nothing handed in"


@pytest.mark.parametrize("form", ["_/{}", "/{}", "_{}"], ids=["folder", "since 4.1", "flat"])
def test_moodle_takes_back_what_it_gave(room, tmp_path, form):
    export = """First name,Last name,ID number,Email address
Anna,Berg,S-1,anna@uni.edu
Zoë,Müller,,zoe@uni.edu
"""
    people = ["Anna Berg_4711_assignsubmission_file", "Zoë Müller_4712_assignsubmission_file"]
    names = [it + form.format("exercises_01.ipynb") for it in people]
    trip(room, tmp_path, export.encode(), names, {})
    rows = rows_of(room.folder / "marks_for_moodle.csv")
    assert {row["Email address"]: row["exercises_01"] for row in rows} == {
        "anna@uni.edu": "5.0", "zoe@uni.edu": "5.0",
    }  # fmt: skip
    assert [row["ID number"] for row in rows] == ["S-1", ""]
    assert {_moodle_reads(name) for name in pages(room)} == {
        ("4711", "exercises_01.html"), ("4712", "exercises_01.html"),
    }  # fmt: skip


def _moodle_reads(path):
    """Return (participant, file name), as Moodle's importer of feedback files finds them."""
    parts = path.split("/")
    while parts:
        info = parts.pop(0).split("_", 4)
        if len(info) >= 4 and info[1].isdigit() and info[2:4] == ["assignsubmission", "file"]:
            return info[1], "/".join([*info[4:], *parts]).lstrip("/")
    return None


def test_blackboard_takes_back_what_it_gave(room, tmp_path):
    export = '"Last Name"\t"First Name"\t"Username"\t"Student ID"\t'
    export += '"Exercises 1 [Total Pts: 8 Score] |5150"\n'
    export += '"Berg"\t"Anna"\t"anna"\t"S-1"\t""\n"Müller"\t"Zoë"\t"zoe_m"\t"S-3"\t""\n'
    names = [
        "Exercises 1_anna_attempt_2026-11-20-10-11-12_exercises_01.ipynb",
        "Exercises 1_zoe_m_attempt_2026-11-23-10-11-12_exercises_01.ipynb",
    ]
    lateness.set_rule(room, LESSON, "2026-11-22", "10% a day, at most 5 days")
    trip(room, tmp_path, export.encode("utf-16"), names, {})
    text = (room.folder / "marks_for_blackboard.csv").read_text(encoding="utf-8")
    assert all(line.startswith('"') for line in text.splitlines())
    rows = list(csv.DictReader(io.StringIO(text)))
    title = "Exercises 1 [Total Pts: 8 Score] |5150"
    assert [(row["Username"], row["Last Name"], row[title]) for row in rows] == [
        ("anna", "Berg", "5.0"), ("zoe_m", "Müller", "4.5"),
    ]  # fmt: skip
    page = room.file("feedback", LESSON, "zoe_m").read_text(encoding="utf-8")
    assert "10% less: 0.5 points; 4.5 points stay" in page
    assert len(pages(room)) == 2


def test_an_extension_from_the_roster_counts(room, tmp_path):
    names = ["anna/exercises_01.ipynb", "zoe/exercises_01.ipynb"]
    lateness.set_rule(room, LESSON, "2026-11-18 12:00", "10% a day")
    trip(room, tmp_path, b"id,name,extension\nanna,Anna,1\nzoe,Zoe,\n", names, {})
    rows = {row["student"]: row for row in marks.rows(room, LESSON)}
    assert (rows["anna"]["penalty"], rows["zoe"]["penalty"]) == (0.5, 1.0)
    assert "after 1 days more" in rows["anna"]["notes"]
    assert not (room.folder / "marks_for_canvas.csv").exists()
    assert pages(room) == ["anna/exercises_01.html", "zoe/exercises_01.html"]


FOLDERS = [f"{it}/exercises_01.ipynb" for it in ("anna", "bert", "zoe")]
CANVAS = ["berganna_11_901_x.ipynb", "mullerzoe_LATE_13_903_x.ipynb"]
MOODLE = ["Anna Berg_1_assignsubmission_file/x.ipynb", "Zoë M_2_assignsubmission_file/x.ipynb"]


@pytest.mark.parametrize(
    ("names", "due", "late"),
    [
        (FOLDERS, "2026-11-18", 0),  # all at once, and after the deadline: a download's
        (FOLDERS[:2], "2026-11-18", 2),
        (CANVAS, "2026-11-18", 0),
        (MOODLE, "2026-11-18", 0),
        (FOLDERS, "2026-11-22", 0),
    ],
)
def test_the_date_of_a_download_costs_nobody_points(room, tmp_path, capsys, names, due, late):
    lateness.set_rule(room, LESSON, due, "10% a day")
    collecting.collect(handed_in(room, tmp_path / "all.zip", names), room, LESSON)
    marked(room, {})
    rows = feedback.hand_back(room, LESSON)
    assert [row["penalty"] for row in rows if row["penalty"]] == [1.0] * late
    told = capsys.readouterr().out
    assert ("2 of 2 lose 2 points for being late" in told) == bool(late)
    asked = {row["student"]: row["reason"] for row in files.problems(room)}
    assert len(asked) == (len(names) if due == "2026-11-18" and not late else 0)
    assert all("the date" not in it and "of the download" in it for it in asked.values())


def test_a_copy_for_the_group_is_as_late_as_the_file_and_no_later(room, tmp_path):
    """An instructor copies Anna's file for Zoë, days later; Anna's own page finds its way."""
    lateness.set_rule(room, LESSON, "2026-11-18", "10% a day")
    origin = handed_in(room, tmp_path / "all.zip", MOODLE[:1])
    export = "Identifier,Full name,Email address\nParticipant 1,Anna Berg,a@x\n"
    roster.take(room, f"{export}Participant 2,Zoë M,z@x\n".encode())
    collecting.collect(origin, room, LESSON)
    ids = {it.name: it.id for it in roster.load(room).values()}
    with zipfile.ZipFile(origin) as archive:
        content = archive.read(MOODLE[0])
    for name in ids.values():
        path = tmp_path / "group" / name / "exercises_01.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    collecting.collect(tmp_path / "group", room, LESSON)
    marked(room, {})
    rows = feedback.hand_back(room, LESSON)
    assert [row["penalty"] for row in rows] == [None, None]
    assert all("its date is that of the download" in row["notes"] for row in rows)
    assert "Anna Berg_1_assignsubmission_file/exercises_01.html" in pages(room)
    table = room.folder / "collected.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace(",moodle,,", ",moodle,2026-11-19 10:00,", 1), encoding="utf-8")
    assert [row["penalty"] for row in marks.rows(room, LESSON)] == [0.5, 0.5]
    with zipfile.ZipFile(origin, "w") as archive:  # Anna hands in once more, under the same name
        new = content.replace(b"CLASS_SEED = 7", b"CLASS_SEED = 7 # new")
        archive.writestr(zipfile.ZipInfo(MOODLE[0], (2026, 12, 1, 0, 0, 0)), new)
    for _ in range(2):
        collecting.collect(origin, room, LESSON)
        taken = attempts.by_student(room, LESSON)
        times = {name: taken[own]["handed in"] for name, own in ids.items()}
        assert times == {"Anna Berg": "2026-12-01 00:00:00", "Zoë M": "2026-11-20 12:00:00"}
        assert taken[ids["Zoë M"]]["time by hand"] == "2026-11-19 10:00"


def test_a_copy_for_the_group_has_the_time_of_the_first_of_its_files(room, tmp_path):
    """Anna handed the file in on time, and Zoë once more; later Ben had work of his own."""
    lateness.set_rule(room, LESSON, "2026-11-20", "10% a day")
    roster.take(room, b"id,name\nanna,Anna Berg\nzoe,Zoe M\nben,Ben Ode\n")
    content = room.file("release", LESSON).read_bytes()
    form = "Exercises 1_{}_attempt_2026-11-{}-10-00-00_x.ipynb"

    def collected(packed, **days):
        with zipfile.ZipFile(tmp_path / packed, "w") as archive:
            for student, day in days.items():
                archive.writestr(form.format(student, day), content)
        collecting.collect(tmp_path / packed, room, LESSON)

    collected("first.zip", anna=18, zoe=22)
    path = tmp_path / "group" / "ben" / "exercises_01.ipynb"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    os.utime(path, (1_800_000_000,) * 2)  # later than all that happens here
    collecting.collect(tmp_path / "group", room, LESSON)
    marked(room, {})
    lost = {row["student"]: row["penalty"] for row in marks.rows(room, LESSON)}
    assert lost == {"anna": None, "ben": None, "zoe": 1.0}
    content = content.replace(b"CLASS_SEED = 7", b"CLASS_SEED = 7 # my own")
    collected("second.zip", ben=23)
    assert attempts.by_student(room, LESSON)["ben"]["file"] == form.format("ben", 23)


@pytest.mark.parametrize("platform", ["canvas", "moodle", "moodle, no numbers"])
def test_a_page_that_the_platform_cannot_place_is_told(room, tmp_path, platform):
    """Of a group the platform gave one file; Moodle's numbers are enough for the others."""
    exports = {
        "canvas": "Student,ID,SIS Login ID,Section\nBerg,1,anna,\nM,2,zoe,\n",
        "moodle": "Identifier,Full name,Email address\nParticipant 1,A_5/B,anna\nX 2,Z,zoe\n",
        "moodle, no numbers": "Username,Full name,Email address\nanna,A,a@x\nzoe,Z,z@x\n",
    }
    names = ["anna/exercises_01.ipynb", "zoe/exercises_01.ipynb"]
    trip(room, tmp_path, exports[platform].encode(), names, {})
    told = {row["student"]: row for row in files.problems(room)}
    if platform == "moodle":
        assert told == {}
        wanted = [f"{it}_assignsubmission_file/exercises_01.html" for it in ("A 5 B_1", "Z_2")]
        assert sorted(pages(room)) == wanted
    else:
        assert set(told) == {"anna", "zoe"}
        path = room.file("feedback", LESSON, "zoe")
        assert told["zoe"]["what to do"] == f"send {path} yourself"


def test_a_time_that_a_person_wrote_counts(room, tmp_path):
    lateness.set_rule(room, LESSON, "2026-11-18", "10% a day")
    collecting.collect(handed_in(room, tmp_path / "all.zip", CANVAS), room, LESSON)
    marked(room, {})
    path = room.folder / "collected.csv"
    text = path.read_text(encoding="utf-8")
    told = {"2026-11-20 00:30": "late by 1 day 31 min: 20% less", "2026-11-19 10:00": "by 10 h 1 m"}
    for words, why in told.items():  # the rule counts days that have begun, so say it to the minute
        path.write_text(text.replace(",canvas,,", f",canvas,{words},", 1), encoding="utf-8")
        assert why in marks.rows(room, LESSON)[0]["notes"]
    for words, penalty in (("2026-11-19 10:00", 0.5), ("2026-11-18 10:00", None), ("soon", None)):
        path.write_text(text.replace(",canvas,,", f",canvas,{words},", 1), encoding="utf-8")
        row = marks.rows(room, LESSON)[0]
        assert row["penalty"] == penalty
        assert ("write it like 2026-11-20 18:00" in row["notes"]) == (words == "soon")


SAVED = {  # how a spreadsheet saves it again, by a function from its text to bytes
    "with a mark": lambda text: text.encode("utf-8-sig"),
    "semicolons, of Windows": lambda text: text.replace(",", ";").encode("cp1252"),
    "without zeros": lambda text: text.replace("01,", "1,").encode(),
    "German dates": lambda text: text.replace("2026-11-19 10", "19.11.2026 10").encode(),
}


@pytest.mark.parametrize("form", SAVED)
def test_a_spreadsheet_may_save_what_a_person_wrote(room, tmp_path, form):
    lateness.set_rule(room, LESSON, "2026-11-18", "10% a day")
    names = ["bergjörg_11_901_exercises_01.ipynb", "mullerzoe_13_903_exercises_01.ipynb"]
    origin = handed_in(room, tmp_path / "all.zip", names)
    collecting.collect(origin, room, LESSON)
    marked(room, {})
    path = room.folder / "collected.csv"
    text = path.read_text(encoding="utf-8").replace(",canvas,,", ",canvas,2026-11-19 10:00,", 1)
    path.write_bytes(SAVED[form](text))
    assert marks.rows(room, LESSON)[0]["penalty"] == 0.5
    collecting.collect(origin, room, LESSON)
    assert marks.rows(room, LESSON)[0]["penalty"] == 0.5
    assert len(rows_of(path)) == 2
    problem = files.Problem("bergjörg_11", "x", "y")
    files.note_problems(room, "mark", LESSON, [problem])
    kept = room.folder / "problems.csv"
    kept.write_bytes(SAVED[form](kept.read_text(encoding="utf-8")))
    assert [row["student"] for row in files.problems(room)] == ["bergjörg_11"]


@pytest.mark.parametrize(("student", "saved"), [("007", "7"), ("mar12", "12-Mar")])
def test_a_spreadsheet_gives_no_time_to_somebody_else(room, tmp_path, student, saved):
    lateness.set_rule(room, LESSON, "2026-11-18", "10% a day")
    origin = handed_in(room, tmp_path / "all.zip", [f"{student}/a.ipynb", "anna/a.ipynb"])
    collecting.collect(origin, room, LESSON)
    marked(room, {})
    path = room.folder / "collected.csv"
    before = path.read_text(encoding="utf-8")
    wanted = [row["penalty"] for row in marks.rows(room, LESSON)]
    assert None not in wanted
    path.write_text(before.replace(f",{student},", f",{saved},"), encoding="utf-8")
    assert [row["penalty"] for row in marks.rows(room, LESSON)] == wanted
    collecting.collect(origin, room, LESSON)
    assert sorted(path.read_text(encoding="utf-8").split()) == sorted(before.split())


def test_what_is_said_of_many_is_said_once(room, tmp_path):
    lateness.set_rule(room, LESSON, "2026-11-18", "10% a day")
    names = [f"s{n:02}_{n}_{n}_exercises_01.ipynb" for n in range(25)]
    collecting.collect(handed_in(room, tmp_path / "all.zip", names), room, LESSON)
    marked(room, {})
    told = []
    feedback.hand_back(room, LESSON, told.append)
    (line,) = [it for it in told if "its date is that of the download" in it]
    assert "s19_19 and 5 more: " in line
    assert line.endswith("if points are to be taken off; then hand back again")
    assert len(files.problems(room)) >= 25


@pytest.mark.parametrize("words", ["2 days", "2,0", "2d", "two", "20261122"])
def test_an_extension_that_is_no_number_stops_nobody(room, tmp_path, words):
    lateness.set_rule(room, LESSON, "2026-11-18 12:00", "10% a day")
    export = f'id,name,extension\nanna,Anna,"{words}"\nbert,Bert,1\n'
    trip(room, tmp_path, export.encode(), FOLDERS[:2], {})
    anna, bert = marks.rows(room, LESSON)
    assert (anna["penalty"], bert["penalty"]) == (None, 0.5)
    asked = [(row["student"], row["reason"]) for row in files.problems(room)]
    assert len(asked) == (words in ("two", "20261122"))
    assert all(student == "anna" and f"{words!r} in roster.csv" in why for student, why in asked)


def test_who_is_not_in_the_roster_is_told(room, tmp_path, capsys):
    collecting.collect(handed_in(room, tmp_path / "all.zip", CANVAS), room, LESSON)
    marked(room, {})
    roster.take(room, b'Student,ID,SIS Login ID,Section\n"Berg, Anna",11,anna,\n')
    feedback.hand_back(room, LESSON)
    told = capsys.readouterr().out
    asked = {row["student"]: row for row in files.problems(room) if row["step"] == "handback"}
    assert set(asked) == {"berganna_11", "mullerzoe_13"}
    for student, row in asked.items():
        assert f"{student}: handed in, but is not in the roster" in told
        assert f"make remove LESSON=1 STUDENT={student}" in row["what to do"]


def test_points_by_hand_where_the_notebook_could_not_be_run(room, tmp_path, capsys):
    collecting.collect(handed_in(room, tmp_path / "all.zip", FOLDERS[:2]), room, LESSON)
    with Gradebook(room.gradebook) as gradebook:
        of = keep.expected(room, LESSON, "anna")
        keep.keep(room, LESSON, gradebook, one.Marked("anna", of, "the kernel died"))

    def give(question, points):
        own = ["--student", "anna", "--question", question, "--points", points]
        main(["--class", str(room.folder), "points", "1", *own])

    assert marks.rows(room, LESSON)[0]["status"] == "failed"
    give("test_2a", "1")
    row = marks.rows(room, LESSON)[0]
    assert (row["status"], row["total"], row["complete"]) == ("needs marking", 1, False)
    assert "test_1a needs points" in row["notes"]
    for question, points in (("test_1a", "0"), ("test_2b", "1.5"), ("free_text", "3")):
        give(question, points)
    assert "anna has 3 points in free_text" in capsys.readouterr().out
    row = marks.rows(room, LESSON)[0]
    assert (row["status"], row["total"], row["complete"]) == ("done", 5.5, True)
    assert "the kernel died" in row["notes"]
    assert "5.5" in feedback.make_page(feedback.PageTask("anna", room.folder, LESSON, row))[0]
    for question, points, why in (
        ("test_9", "1", "QUESTION=test_9 is none; there are test_1a"),
        ("test_1a", "3", "POINTS=3: a number from 0 to 2"), ("test_1a", "x", "POINTS=x"),
    ):  # fmt: skip
        with pytest.raises(SystemExit, match=why):
            give(question, points)


def test_points_by_hand_stay_when_the_same_file_fails_again(room, tmp_path):
    collecting.collect(handed_in(room, tmp_path / "all.zip", FOLDERS[:2]), room, LESSON)

    def fails(of):
        with Gradebook(room.gradebook) as gradebook:
            keep.keep(room, LESSON, gradebook, one.Marked("anna", of, "the kernel died"))

    of = keep.expected(room, LESSON, "anna")
    fails(of)
    for question in SCORES:
        marks.give(room, LESSON, "anna", question, "1")
    fails(of)
    row = marks.rows(room, LESSON)[0]
    assert (row["status"], row["total"], row["complete"]) == ("done", 4, True)
    room.file("submitted", LESSON, "anna").write_bytes(b"another file")
    fails(keep.expected(room, LESSON, "anna"))
    row = marks.rows(room, LESSON)[0]
    assert (row["status"], row.get("total")) == ("failed", None)


def test_points_wait_for_nobody_if_the_same_answer_is_back(room, tmp_path):
    collecting.collect(handed_in(room, tmp_path / "all.zip", FOLDERS[:2]), room, LESSON)
    marked(room, {})
    marks.give(room, LESSON, "anna", "free_text", "2")
    path = room.file("submitted", LESSON, "anna")
    good = path.read_bytes()
    for content in (b"broken", b"broken once more"):
        path.write_bytes(content)
        with Gradebook(room.gradebook) as gradebook:
            of = keep.expected(room, LESSON, "anna")
            keep.keep(room, LESSON, gradebook, one.Marked("anna", of, "it is damaged"))
        assert marks.rows(room, LESSON)[0]["status"] == "failed"
    path.write_bytes(good)
    marked(room, {})
    row = marks.rows(room, LESSON)[0]
    assert (row["status"], row["free_text"], row["total"]) == ("done", 2, 7)


def test_a_table_that_a_person_changed_is_kept(room, tmp_path):
    collecting.collect(handed_in(room, tmp_path / "all.zip", FOLDERS[:2]), room, LESSON)
    marked(room, {})
    told = []
    feedback.hand_back(room, LESSON, told.append)
    path = room.folder / "marks.csv"
    written = path.read_text(encoding="utf-8")
    path.write_bytes(b"\xef\xbb\xbf" + written.replace(",", ";").replace("5.0", "5").encode())
    feedback.hand_back(room, LESSON, told.append)
    assert path.read_text(encoding="utf-8") == written
    assert not any("by hand" in it for it in told)
    for number, points in ((1, "77"), (2, "78")):
        path.write_text(written.replace("anna,,,", f"anna,,,{points}"), encoding="utf-8")
        feedback.hand_back(room, LESSON, told.append)
        assert path.read_text(encoding="utf-8") == written
        kept = room.folder / f"marks_changed_by_hand_{number}.csv"
        assert points in kept.read_text(encoding="utf-8")
        assert any(kept.name in it and "make points" in it for it in told)


def test_what_a_person_should_read_first_is_told(room, tmp_path, capsys):
    collecting.collect(handed_in(room, tmp_path / "all.zip", FOLDERS), room, LESSON)
    marked(room, {})
    for student, change in {"anna": {"suspicious": ["an answer x"]}, "bert": {"of": ""}}.items():
        path = room.file("autograded", LESSON, student)
        nb = nbformat.read(path, as_version=4)
        nb.metadata.marking |= change
        nbformat.write(nb, path)
    feedback.hand_back(room, LESSON)
    asked = {row["student"]: row["reason"] for row in files.problems(room)}
    assert set(asked) == {"anna", "bert"}
    assert "an answer x" in asked["anna"]
    assert "not marked yet" in asked["bert"]
    assert "anna: an answer x" in capsys.readouterr().out


def test_a_roster_that_a_spreadsheet_saved_is_read(room):
    roster.take(room, b"id,name\nanna,Anna\n")
    path = room.folder / "roster.csv"
    text = path.read_text(encoding="utf-8")
    path.write_bytes(text.replace(",", ";").encode("utf-8-sig"))
    assert roster.load(room)["anna"].name == "Anna"
    path.write_text("name\nAnna\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"roster.csv has no column id \(it has name\)"):
        roster.load(room)


def test_more_points_than_there_are_is_told(room, tmp_path):
    collecting.collect(handed_in(room, tmp_path / "all.zip", FOLDERS[:2]), room, LESSON)
    marked(room, {"anna": {**SCORES, "free_text": 9}})
    feedback.hand_back(room, LESSON)
    (row,) = files.problems(room)
    assert (row["student"], row["reason"]) == ("anna", "free_text has 9 of 3")


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (["Exercises 1 (777)", "Quiz lesson 1 (55)"], "Exercises 1 (777)"),
        (["Quiz lesson 1 (55)"], None),
        (["Exercise 1.2 (44)", "Exercise 11 (4)"], None),
        (["Homework 1: test (4)", "Assignment: exercises_01"], "Assignment: exercises_01"),
        (["Assignment: exercises_01 (Real)"], "Assignment: exercises_01 (Real)"),
        (["Exercises 01 [Total Pts: 8 Score] |5150"], "Exercises 01 [Total Pts: 8 Score] |5150"),
        (["Lesson 1: What is a learning rate? (3)"], "Lesson 1: What is a learning rate? (3)"),
        (["Exercises 1 (7)", "Homework 1 (8)"], None),
    ],
)  # fmt: skip
def test_marks_go_into_no_other_column(head, wanted):
    assert platforms.column(LESSON, head) == (wanted or LESSON.notebook)


@pytest.mark.parametrize(
    ("kind", "below", "waits"),
    [("markdown", True, True), ("markdown", False, True), ("code", True, True),
     ("code", False, False), (None, True, False)],
)  # fmt: skip
def test_a_text_in_a_cell_of_ones_own_is_read(room, kind, below, waits):
    texts = [room.file(step, LESSON).read_text(encoding="utf-8") for step in ("source", "release")]
    nb = nbformat.reads(texts[1], as_version=4)
    if kind:
        make = getattr(nbformat.v4, f"new_{kind}_cell")
        place = nb.cells.index(pupils.cell(nb, "free_text")) + 1 if below else 1
        nb.cells.insert(place, make("# It overshoots."))
    result = restore.restored(nb, *restore.structure(*texts))
    grade = determine_grade(pupils.cell(result, "free_text"))[0]
    assert grade == (None if waits else 0)
    assert bool(result.metadata.marking["notes"]) == waits


@pytest.mark.parametrize(
    ("name", "text", "waits"),
    [("story_2", "The largest rate.\n\nIt overshoots.", True), ("outro", "Overshoots. ", True),
     ("story_2", " The largest rate.\r\n\r\n", False), ("story_2", "", False)],
)  # fmt: skip
def test_a_text_in_a_given_cell_is_read(room, name, text, waits):
    texts = [room.file(step, LESSON).read_text(encoding="utf-8") for step in ("source", "release")]
    nb = nbformat.reads(texts[1], as_version=4)
    given = pupils.cell(nb, name).source
    pupils.cell(nb, name).source = text
    result = restore.restored(nb, *restore.structure(*texts))
    assert pupils.cell(result, name).source == given
    assert any(text in it.source for it in result.cells if it.id.startswith("extra")) == waits
    assert determine_grade(pupils.cell(result, "free_text"))[0] == (None if waits else 0)


def test_an_answer_that_was_merged_into_a_given_text_is_kept(room):
    texts = [room.file(step, LESSON).read_text(encoding="utf-8") for step in ("source", "release")]
    nb = nbformat.reads(texts[1], as_version=4)
    given, answer = pupils.cell(nb, "story_2"), pupils.cell(nb, "answer_2")
    code = f"# {given.source}\n{pupils.RIGHT['answer_2']}"
    nb.cells[nb.cells.index(given)] = nbformat.v4.new_code_cell(code, id="story_2")
    nb.cells.remove(answer)
    result = restore.restored(nb, *restore.structure(*texts))
    kept = [it.source for it in result.cells if it.cell_type == "code"]
    assert code in kept
    assert kept.index(code) < kept.index(pupils.cell(result, "test_2a").source)


def restored(room, change):
    """Return the restored notebook of somebody who changed the right answers."""
    texts = [room.file(step, LESSON).read_text(encoding="utf-8") for step in ("source", "release")]
    nb = nbformat.reads(texts[1], as_version=4)
    pupils.answer(nb, pupils.RIGHT)
    change(nb)
    content = nbformat.writes(nb).encode()
    return restore.restored(restore.read(content), *restore.structure(*texts))


@pytest.mark.parametrize("name", ["story_2", "free_text"])
def test_code_that_was_merged_into_a_text_is_told(room, name):
    def merge(nb):
        answer = pupils.cell(nb, "answer_2")
        nb.cells.remove(answer)
        pupils.cell(nb, name).source += f"\n\n{answer.source}"

    notes = restored(room, merge).metadata.marking["notes"]
    assert "answer_2 may stand in a text, where no code is run" in notes
    assert not any("answer_1" in it for it in notes)


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_an_answer_that_became_a_text_is_told(room, kind):
    def turn(nb):
        cell = pupils.cell(nb, "answer_2")
        cell.cell_type = kind
        cell.pop("outputs"), cell.pop("execution_count")

    result = restored(room, turn)
    words = f"answer_2 came as a cell of {kind}, not code, and was read as code"
    assert words in result.metadata.marking["notes"]
    assert pupils.cell(result, "answer_2").cell_type == "code"


def test_a_table_that_was_merged_into_a_given_cell_is_kept(room):
    def merge(nb):
        pupils.cell(nb, "given").source += "\nMINE = {}\nMINE['a'] = start\ncurvature = 9"
        pupils.cell(nb, "given").source += "\nimport pandas as pd\npd.options.mode.x = None"

    codes = [it.source for it in restored(room, merge).cells if it.id.startswith("extra")]
    assert codes == ["import pandas as pd", "MINE = {}\nMINE['a'] = start"]


@pytest.mark.parametrize(
    "words", ["![image.png]({})", "<img src='{}' width=300>", "![i][1]\n\n[1]: <{}>"]
)
def test_a_picture_that_colab_writes_into_a_text_is_a_picture(room, words):
    """As long as it may be, it is neither the text's length nor in the way of what follows."""
    long = pupils.PICTURE.rstrip("=") + "A" * 400_000

    def paste(nb):
        picture = words.format(f"data:image/png;base64,{long}")
        pupils.cell(nb, "free_text").source = f"Look: {picture}. So it overshoots."

    cell = pupils.cell(restored(room, paste), "free_text")
    (name,) = cell.attachments
    assert cell.attachments[name] == {"image/png": long}
    assert len(cell.source) < 200
    assert f"attachment:{name}" in cell.source
    assert cell.source.endswith(". So it overshoots.")
    if "[1]" not in words:
        assert f"](attachment:{name})" in clean.text(cell.source)


def test_another_picture_is_another_answer(room):
    told = []
    for picture in ("AAAA", "BBBB"):

        def paste(nb, picture=picture):
            pupils.cell(nb, "free_text").source = "![i](attachment:i.png)"
            pupils.cell(nb, "free_text").attachments = {"i.png": {"image/png": picture}}

        told.append(one._answers(restored(room, paste)))
    assert told[0]["free_text"] != told[1]["free_text"]
    assert told[0]["test_1a"] == told[1]["test_1a"]


def test_no_table_holds_a_formula(room, tmp_path):
    """A student chooses the names of files, and on some platforms the own name."""
    roster.take(room, b'id,name\nanna,"=HYPERLINK(""http://x.y"")"\nbert,\'+Bert\n')
    assert [it.name for it in roster.load(room).values()] == ['=HYPERLINK("http://x.y")', "'+Bert"]
    before = roster.load(room)
    roster.take(room, (room.folder / "roster.csv").read_bytes())
    assert roster.load(room) == before
    names = ["anna/exercises_01.ipynb", "=cmd|'x'!A1/exercises_01.ipynb", "-1+1.txt"]
    collecting.collect(handed_in(room, tmp_path / "all.zip", names), room, LESSON)
    marked(room, {})
    feedback.hand_back(room, LESSON)
    for name in ("marks.csv", "roster.csv", "collected.csv", "problems.csv"):
        with open(room.folder / name, encoding="utf-8", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [it for it in cells if it.startswith(("=", "+", "-", "@"))], name
    assert any(it.student.startswith("=cmd") for it in _problems(room))


def _problems(room):
    return [files.Problem(*(it[n] for n in files.COLUMNS[2:])) for it in files.problems(room)]


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("import math\n{}", "import math"),
        ("{}\n%time\n@np.vectorize\ndef half(x):\n    return x / 2",
         "@np.vectorize\ndef half(x):\n    return x / 2"),
        ("{}\nstart = 9.0\ndef check(label):\n    pass\nfrom os import path as np", None),
        ("{}\nimport (", None), ("{}\n# read", None),
    ],
)  # fmt: skip
def test_what_an_answer_needs_of_a_given_cell_is_kept(room, code, kept):
    texts = [room.file(step, LESSON).read_text(encoding="utf-8") for step in ("source", "release")]
    nb = nbformat.reads(texts[1], as_version=4)
    given = pupils.cell(nb, "given").source
    pupils.cell(nb, "given").source = code.format(given)
    result = restore.restored(nb, *restore.structure(*texts))
    assert pupils.cell(result, "given").source == given
    after = result.cells[result.cells.index(pupils.cell(result, "given")) + 1]
    assert (after.source if after.id.startswith("extra") else None) == kept


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("{}\n\ndef limit(c):\n    return 2 / c", None, "def limit(c):\n    return 2 / c"),
        ("import os\ndef half(x):\n    return x / 2\n{}\nRATE = 0.1",
         "import os\ndef half(x):\n    return x / 2", "RATE = 0.1"),
        ("start = 9.0\ndef check(label):\n    pass\n{}\nprint(update(1, 2))", None, None),
        ("with check('1a'):\n    pass", None, None), ("{}\nimport (", None, None),
        ("", None, None),
    ],
)  # fmt: skip
def test_an_answer_in_a_test_is_kept_where_it_stood(room, code, before, after):
    """A test and an answer may have been merged into one cell, which has the test's name."""
    texts = [room.file(step, LESSON).read_text(encoding="utf-8") for step in ("source", "release")]
    nb = nbformat.reads(texts[1], as_version=4)
    given = pupils.cell(nb, "test_1a").source
    pupils.cell(nb, "test_1a").source = code.format(given)
    result = restore.restored(nb, *restore.structure(*texts))
    place = result.cells.index(pupils.cell(result, "test_1a"))
    assert result.cells[place].source.startswith(given)
    own = [it if it.id.startswith("extra") else None for it in result.cells]
    assert [it and it.source for it in own[place - 1 : place + 2 : 2]] == [before, after]


@pytest.mark.parametrize(
    ("rule", "hours", "cost"),
    [
        ("10% a day, at most 5 days", 24 * 9, 0.5),
        ("10% a day, at most 30%", 24 * 9, 0.3),
        ("10% a day", 24 * 99, 1.0),
        ("10% a day", 0.01, 0.1),
        ("2.5% per hour", 3, 0.075),
        ("10% a day", -5, 0.0),
        ("0% a day, at most 5%", 24 * 9, 0.0),
    ],
)
def test_a_rule_costs_what_it_says(rule, hours, cost):
    assert lateness.read_rule(rule).cost(timedelta(hours=hours)) == pytest.approx(cost)


@pytest.mark.parametrize("rule", ["10", "10% a week", "10% a day, at most 5 hours", "ten % a day"])
def test_a_rule_that_is_not_understood_is_refused(room, rule):
    with pytest.raises(SystemExit, match="LATE="):
        lateness.set_rule(room, LESSON, "2026-11-18", rule)
    with pytest.raises(SystemExit, match="DUE="):
        lateness.set_rule(room, LESSON, "tomorrow", "")
    with pytest.raises(SystemExit, match="needs a deadline"):
        lateness.set_rule(room, LESSON, "", "10% a day")


LINES = (
    "def update(x, rate):", "    slope = curvature * x", "    change = -rate * slope",
    "    moved = x + change", "    history = [x, moved, moved - x, abs(moved)]",
    "    return history[1]",
)  # fmt: skip
STYLES = {  # three ways to write one answer; the second is the first with another layout
    "anna": "\n".join(LINES),
    "zoe": "\n\n".join([LINES[0], "    # mine", *(it.replace(" * ", "*") for it in LINES[1:])]),
    "cleo": "def update(x, rate):\n    return x - rate * curvature * x",
    "dora": "def update(x, rate):\n    return x * (1 - rate * curvature)",
}


def test_alike_submissions_are_a_pair_and_others_are_not():
    found = alike.pairs({name: alike.pieces(code) for name, code in STYLES.items()})
    assert [(it.one, it.other, it.share) for it in found] == [("anna", "zoe", 1.0)]
    text = "It overshoots because each step is longer than twice the distance to the lowest point "
    text += "so that the next point lies farther away than the one before and the loss then grows."
    many = {str(n): alike.pieces("", text) for n in range(40)}
    assert alike.pairs(many) == []
    assert len(alike.pairs({"a": many["1"], "b": many["2"], "c": alike.pieces("x = 1")})) == 1


def test_a_report_shows_the_class(room, tmp_path):
    names = [f"{name}/exercises_01.ipynb" for name in STYLES]
    trip(room, tmp_path, b"id,name\nanna,A\nzoe,Z\ncleo,<script>alert(1)</script>\ndora,D\n", names,
         {"anna": {**SCORES, "test_1a": 0}, "cleo": WAITS})  # fmt: skip
    for name, code in STYLES.items():
        path = room.file("autograded", LESSON, name)
        nb = nbformat.read(path, as_version=4)
        pupils.cell(nb, "answer_1").source = code
        failed = {"test_1a": ["hidden", "<b>Uphill!"]} if name == "anna" else {}
        nb.metadata.marking["failed"] = failed
        nbformat.write(nb, path)
    page, key = (path.read_text(encoding="utf-8") for path in report.report(room, LESSON))
    assert "4 submissions" in page
    assert "<td>test_1a<td>hidden<td>&lt;b&gt;Uphill!<td>1" in page
    assert "1.50 of 2" in page
    assert "2026-11-20" in page
    assert "anna and zoe: 100%" in page
    assert "cleo and dora" not in page
    assert "<script" not in page + key
    assert feedback.POLICY in page
    assert "Because it overshoots. Rubric: 3 points." in key
    assert "return 2 / c" in key


def test_what_a_failed_check_said_is_told_apart():
    source = "expect('a', 1)\n### BEGIN HIDDEN TESTS\nexpect('b', 2)\n### END HIDDEN TESTS"
    data = {"nbgrader": {"grade": True, "solution": False, "grade_id": "test_1a", "points": 1}}
    said = {"Uphill!": "Uphill!", "a should be 1, yours is 2.": "a: another value"}
    for line, kind in ((1, "visible"), (3, "hidden")):
        for words, told in said.items():
            where = [f"Cell In[3], line {line}"]
            error = nbformat.v4.new_output(
                "error", ename="AssertionError", evalue=words, traceback=where
            )
            cell = nbformat.v4.new_code_cell(source, metadata=data, outputs=[error])
            nb = nbformat.v4.new_notebook(cells=[cell])
            assert checks.failed(nb) == {"test_1a": [kind, told]}


@pytest.mark.parametrize(
    ("name", "why"),
    [("gradebook.db", "points and comments"), ("decisions.json", "put back a copy")],
)
def test_a_damaged_file_of_the_class_is_said_in_a_sentence(room, tmp_path, name, why):
    collecting.collect(handed_in(room, tmp_path / "all.zip", FOLDERS), room, LESSON)
    (room.folder / name).write_bytes(b"\0" * 4096)
    origin = ["--from", str(tmp_path / "all.zip")]
    give = ["--student", room.students(LESSON)[0], "--question", "test_1a", "--points", "1"]
    step, rest = ("points", give) if name == "gradebook.db" else ("collect", origin)
    with pytest.raises(SystemExit, match=f"{name} is damaged.*{why}"):
        main(["--class", str(room.folder), step, "1", *rest])


def test_what_the_gradebook_does_not_know_is_not_run(room, tmp_path, monkeypatch):
    collecting.collect(handed_in(room, tmp_path / "all.zip", FOLDERS), room, LESSON)
    (room.folder / "gradebook.db").unlink()
    monkeypatch.setattr(run.pool, "in_processes", pytest.fail)
    with pytest.raises(SystemExit, match=r"make assignment LESSON=1 SEED=\.\.\. "):
        run.mark(room, LESSON, "sandboxed")


def test_what_a_spreadsheet_rounds_is_not_changed_by_hand(room):
    (room.folder / marks.WRITTEN).write_text("student,total\nNan,6.300000000000001\n")
    (room.folder / marks.TABLE).write_text("student;total\nNan;6,3\n")
    assert marks.changed_by_hand(room) is None


def test_half_an_assignment_and_none_are_said_in_a_sentence(room, tmp_path, monkeypatch):
    """Assigning was stopped before the students' notebook, which comes last, was there."""
    with pytest.raises(SystemExit, match="has no lesson yet"):
        main(["--class", str(tmp_path / "none"), "look"])
    source = pupils.write_assignment(tmp_path / "again")
    monkeypatch.setattr(Classroom, "nbgrader", lambda self: _stop())
    with pytest.raises(KeyboardInterrupt):
        room.assign(source, 8)
    with pytest.raises(SystemExit, match="has half of lesson 1: make assignment LESSON=1 SEED"):
        room.lesson(1)


def _stop():
    raise KeyboardInterrupt


def test_notes_of_any_length_leave_tables_that_can_be_read(room, tmp_path):
    """A student may raise, or import, what makes thousands of notes."""
    collecting.collect(handed_in(room, tmp_path / "all.zip", ["anna/x.ipynb"]), room, LESSON)
    marked(room, {})
    path = room.file("autograded", LESSON, "anna")
    nb = nbformat.read(path, as_version=4)
    nb.metadata.marking |= {"suspicious": ["an answer changes q"], "notes": ["x" * 200_000]}
    nbformat.write(nb, path)
    for _ in range(2):
        feedback.hand_back(room, LESSON)
    assert "an answer changes q" in files.problems(room)[0]["reason"]


def test_a_page_without_the_notebook_has_no_notes(room):
    row = {"student": "anna", "total": 2, "max": 8, "late": "", "notes": "looks", "test_1a": None}
    page = feedback._marks_alone(room, LESSON, row)
    assert "<td>test_1a<td><tr>" in page
    assert "looks" not in page


def test_a_removal_that_was_stopped_can_be_repeated(room, tmp_path, monkeypatch):
    collecting.collect(handed_in(room, tmp_path / "all.zip", FOLDERS), room, LESSON)
    student = room.students(LESSON)[0]
    with monkeypatch.context() as stopping:
        stopping.setattr(decisions.attempts, "drop", _stopped)
        with pytest.raises(KeyboardInterrupt):
            decisions.remove(room, LESSON, student)
    decisions.remove(room, LESSON, student)
    assert student not in attempts.by_student(room, LESSON)


def _stopped(*arguments):
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["what?", "100%"])
def test_a_class_whose_path_means_something_in_an_address_is_refused(tmp_path, name):
    with pytest.raises(SystemExit, match="a path without"):
        Classroom(tmp_path / name)


def test_git_leaves_a_class_alone_wherever_it_lies(tmp_path):
    room = Classroom(tmp_path / "monday")
    roster.take(room, b"id,name\nzoe,Zoe\n")
    ignore = room.folder / ".gitignore"
    assert ignore.read_text(encoding="utf-8").split()[-1] == "*"
    ignore.unlink()  # somebody keeps their class in a repository of their own
    roster.take(room, b"id,name\nzoe,Zoe\n")
    assert not ignore.exists()
