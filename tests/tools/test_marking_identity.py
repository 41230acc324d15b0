"""Whose a file is, and of which lesson: platforms' layouts, the roster, and what is asked."""

import csv
import errno
import io
import json
import os
import struct
import subprocess
import time
import warnings
import zipfile

import marking_class as pupils
import nbformat
import pytest
from conftest import ROOT

from tools import exercises
from tools.marking import (
    attempts,
    decisions,
    files,
    layouts,
    lessons,
    marks,
    platforms,
    restore,
    roster,
    sandbox,
    sources,
)
from tools.marking import collect as collecting
from tools.marking.__main__ import main
from tools.marking.classroom import Classroom, Lesson

sandbox.prepare()  # nbgrader needs alembic on the path to make a gradebook
pytestmark = pytest.mark.marking
LESSON = Lesson(*pupils.NAME)


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    """A class with the small assignment, and the bytes of a notebook for each person."""
    folder = tmp_path_factory.mktemp("identity")
    source = pupils.write_assignment(folder)
    notebook = exercises.student_version(nbformat.read(source, as_version=4), 7)

    def of(person, text="It overshoots."):
        nb = nbformat.from_dict(json.loads(nbformat.writes(notebook)))
        pupils.answer(nb, pupils.RIGHT, f"{text} ({person})")
        return nbformat.writes(nb).encode()

    return source, exercises.written(notebook), of


@pytest.fixture
def room(released, tmp_path):
    room = Classroom(tmp_path / "class")
    for step, text in zip(("source", "release"), (released[0].read_text(), released[1])):
        path = room.file(step, LESSON)
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    return room


@pytest.fixture
def of(released):
    return released[2]


ROSTER = b"id,name\nanna,Anna Berg\nbert,Bert M\xc3\xbcller\nzoe,Zo\xc3\xab M\xc3\xbcller\n"


def handed_in(folder, files):
    for place, content in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def zipped(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, content in files.items():
            archive.writestr(place, content)
    return packed.getvalue()


def who(room, student):
    nb = nbformat.read(room.file("submitted", LESSON, student), as_version=4)
    return pupils.cell(nb, "free_text").source.split("(")[1].rstrip(")")


@pytest.mark.parametrize("rule", layouts.RULES, ids=lambda rule: rule.example[:40])
def test_each_rule_reads_its_example(rule):
    whose = layouts.whose(rule.example)
    assert whose.platform == rule.platform
    assert {name: getattr(whose, name) for name in rule.found} == rule.found
    others = {"late": False, "time": "", "number": 0}
    assert all(getattr(whose, it) == others[it] for it in others if it not in rule.found)


LAYOUTS = {
    "canvas": ["bergannа_1_1_x.py", "berganna_11_901_exercises_01.ipynb",
               "mullerbert_LATE_12_902_exercises_01-1.ipynb", "mullerzoe_13_903_Untitled.ipynb"],
    "moodle": ["Anna Berg_11_assignsubmission_file_/exercises_01.ipynb",
               "Bert Müller_12_assignsubmission_file_/Copy of exercises_01.ipynb",
               "Zoë Müller_13_assignsubmission_file_/my/own/exercises_01 (1).ipynb"],
    "moodle, flat": ["Anna Berg_11_assignsubmission_file_exercises_01.ipynb",
                     "Bert Müller_12_assignsubmission_file_a_b.ipynb",
                     "Zoë Müller_13_assignsubmission_file_exercises_01.IPYNB"],
    "blackboard": ["Exercises 1_anna_attempt_2026-11-20-10-11-12_exercises_01.ipynb",
                   "Exercises 1_bert_attempt_2026-11-20-10-11-12_exercises_01.ipynb.txt",
                   "Exercises 1_zoe_attempt_2026-11-21-10-11-12_exercises_01.ipynb",
                   "Exercises 1_zoe_attempt_2026-11-21-10-11-12.txt"],
    "google": ["Exercises 1/Anna Berg - exercises_01.ipynb",
               "Exercises 1/exercises_01 - Bert Müller.ipynb",
               "Exercises 1/Zoë Müller - Kopie von exercises_01.ipynb"],
    "github": [f"exercises-1-submissions/exercises-1-{it}/exercises_01.ipynb"
               for it in ("anna", "bert", "zoe")],
    "folders": ["anna/my_exercises_01.ipynb", "bert/my_exercises_01.ipynb", "zoe/Untitled.ipynb"],
    "files": ["anna_exercises_01.ipynb", "Bert Müller - exercises_01 (3).ipynb",
              "zoe-exercises_01-Copy1.ipynb"],
    "nested": ["anna/work.zip/deep/exercises_01.ipynb", "bert/exercises_01.ipynb",
               "Zoë Müller_13_assignsubmission_file_/all.zip/exercises_01.ipynb"],
}  # fmt: skip


def packed_like(places, of):
    """Return the files of a layout; what is to lie in a zip file within lies there."""
    files = {}
    for place, person in zip(
        [it for it in places if "ipynb" in it.lower()], ("anna", "bert", "zoe")
    ):
        outer, inner, name = place.partition(".zip/")
        content = zipped({name: of(person)}) if inner else of(person)
        files[outer + ".zip" if inner else place] = content
    return files | {it: b"x" for it in places if "ipynb" not in it.lower()}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("packed", [True, False])
def test_everyone_gets_their_own_file_with_a_roster(room, of, tmp_path, layout, packed):
    roster.take(room, ROSTER)
    files = packed_like(LAYOUTS[layout], of)
    if packed:
        origin = tmp_path / "all.zip"
        origin.write_bytes(zipped(files))
    else:
        origin = handed_in(tmp_path / "in", files)
    result = collecting.collect(origin, room, LESSON)
    assert (set(result.done), result.unclear, result.nothing) == ({"anna", "bert", "zoe"}, [], [])
    assert [who(room, it) for it in ("anna", "bert", "zoe")] == ["anna", "bert", "zoe"]
    rows = {row["student"]: row for row in attempts.taken(room)}
    assert (rows["bert"]["late"] == "yes") == (layout == "canvas")
    if layout == "blackboard":
        assert rows["zoe"]["handed in"] == "2026-11-21 10:11:12"


@pytest.mark.parametrize("layout", set(LAYOUTS) - {"nested"})
def test_nobody_becomes_somebody_else_without_a_roster(room, of, tmp_path, layout):
    origin = handed_in(tmp_path / "in", packed_like(LAYOUTS[layout], of))
    result = collecting.collect(origin, room, LESSON)
    assert len(result.done) == 3
    assert sorted(who(room, it) for it in result.done) == ["anna", "bert", "zoe"]


def test_attempts_of_one_student_are_one_student(room, of, tmp_path):
    title = "Exercises 1_ann_b_attempt_2026-11-20-10-11-"
    files = {
        f"{title}12_exercises_01.ipynb": of("first"),
        f"{title}44_exercises_01.ipynb": of("last"),
        "Exercises 1_bob_attempt_2026-11-20-10-11-12_exercises_01.ipynb": of("bob"),
    }
    roster.take(room, b"id,name\nann_b,Ann B\nbob,Bob\nb,Another\n")
    result = collecting.collect(handed_in(tmp_path / "in", files), room, LESSON)
    assert (who(room, "ann_b"), who(room, "bob"), len(result.done)) == ("last", "bob", 2)
    rows = [(row["handed in"][-2:], row["taken"]) for row in attempts.taken(room)]
    assert ("12", "") in rows
    assert ("44", "yes") in rows
    assert [it.id for it in result.nothing] == ["b"]


def test_the_notebook_knows_its_lesson(room, of, tmp_path):
    other = exercises.written(exercises.student_version(exercises.source(2))).encode()
    files = {
        "anna/exercises_01.ipynb": of("anna"), "anna/exercises_02.ipynb": other,
        "anna/Untitled.ipynb": nbformat.writes(nbformat.v4.new_notebook()).encode(),
        "bert/exercises_01.ipynb": other, "anna/.ipynb_checkpoints/exercises_01.ipynb": of("old"),
        "bert/notes.py": b"print()",
    }  # fmt: skip
    folder = handed_in(tmp_path / "in", files)
    for place in files:
        newer = 2_000_000_000 if "anna/exercises_01" not in place else 1_000_000_000
        os.utime(folder / place, (newer, newer))
    result = collecting.collect(folder, room, LESSON)
    assert set(result.done) == {"anna"}
    assert who(room, "anna") == "anna"
    left = "\n".join(result.left)
    assert "bert/exercises_01.ipynb: it is a notebook of lesson 2" in left
    assert "anna/Untitled.ipynb: it holds nothing" in left
    assert "bert/notes.py: not a notebook" in left


def test_a_newer_damaged_file_does_not_win(room, of, tmp_path):
    roster.take(room, ROSTER)
    files = {"anna/exercises_01.ipynb": of("anna"), "anna/exercises_01 (1).ipynb": b'{"cells": ['}
    result = collecting.collect(handed_in(tmp_path / "in", files), room, LESSON)
    assert who(room, "anna") == "anna"
    assert "exercises_01 (1).ipynb is newer, but it is damaged" in result.done["anna"]


UNCLEAR = {
    "a Drive folder": ["exercises_01.ipynb", "exercises_01(1).ipynb", "exercises_01(2).ipynb"],
    "one folder for all": ["x/exercises_01.ipynb", "x/exercises_01(1).ipynb"],
    "names beside a folder": ["all/anna_exercises_01.ipynb", "all/bert_exercises_01.ipynb",
                              "old/cleo_exercises_01.ipynb"],
}  # fmt: skip


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_is_unclear_is_asked_and_not_guessed(room, of, tmp_path, case):
    files = {place: of(place) for place in UNCLEAR[case]}
    result = collecting.collect(handed_in(tmp_path / "in", files), room, LESSON)
    assert len(result.done) + len(result.unclear) == len(files)
    assert len(result.unclear) >= 2
    assert all("make assign-to LESSON=1" in it.advice for it in result.unclear)
    with open(room.folder / "problems.csv", encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(result.unclear)


def test_one_file_that_cannot_be_stored_stops_nobody(room, of, tmp_path, monkeypatch):
    def full(classroom, lesson, student, content):
        if student == "bert":
            raise OSError("no space left on device")
        return decisions.stored(classroom, lesson, student, content)

    monkeypatch.setattr(collecting, "stored", full)
    files = {f"{it}/exercises_01.ipynb": of(it) for it in ("anna", "bert", "zoe")}
    result = collecting.collect(handed_in(tmp_path / "in", files), room, LESSON)
    assert set(result.done) == {"anna", "zoe"}
    (problem,) = result.unclear
    assert problem.student == "bert"
    assert "no space left" in problem.reason
    assert "bert" in (room.folder / "problems.csv").read_text(encoding="utf-8")


def test_two_people_of_one_name_are_asked(room, of, tmp_path):
    roster.take(room, b"id,name\na1,Anna Berg\na2,Anna Berg\n")
    files = {"Anna Berg - exercises_01.ipynb": of("?"), "Carla - exercises_01.ipynb": of("?")}
    result = collecting.collect(handed_in(tmp_path / "in", files), room, LESSON)
    assert result.done == {}
    reasons = sorted(it.reason for it in result.unclear)
    assert reasons == ["Anna Berg may be a1, a2", "Carla is not in the roster"]
    assert {it.id for it in result.nothing} == {"a1", "a2"}


def test_a_person_puts_right_what_is_wrong(room, of, tmp_path, capsys):
    roster.take(room, ROSTER)
    files = {"all/exercises_01.ipynb": of("zoe"), "all/exercises_01(1).ipynb": of("bert"),
             "anna/exercises_01.ipynb": of("nobody")}  # fmt: skip
    origin = tmp_path / "in.zip"
    origin.write_bytes(zipped(files))
    folder = ["--class", str(room.folder)]
    main([*folder, "collect", "1", "--from", str(origin)])
    told = capsys.readouterr().out
    assert "2 to be decided by you, 2 handed in nothing" in told
    main(
        [
            *folder,
            "assign-to",
            "1",
            "--student",
            "zoe",
            "--file",
            f"{origin}/all/exercises_01.ipynb",
        ]
    )
    main([*folder, "remove", "1", "--student", "anna"])
    assert room.students(LESSON) == ["zoe"]
    result = collecting.collect(origin, room, LESSON)
    assert room.students(LESSON) == ["zoe"]
    assert result.done == {"zoe": "unchanged"}
    assert any("anna/exercises_01.ipynb: removed by hand" in it for it in result.left)
    for student, file, why in (
        ("zoe", "nowhere.ipynb", "does not exist"), ("carla", str(origin), "not in the roster"),
    ):  # fmt: skip
        with pytest.raises(SystemExit, match=why):
            decisions.assign_to(room, LESSON, student, file)
    with pytest.raises(SystemExit, match="handed in nothing"):
        decisions.remove(room, LESSON, "bert")


def test_a_word_about_one_blank_notebook_is_none_about_another(room, released, tmp_path):
    roster.take(room, ROSTER)
    blank = released[1].encode()
    places = ("anna/exercises_01.ipynb", "zoe/exercises_01.ipynb", "lost/Untitled.ipynb")
    origin = handed_in(tmp_path / "in", dict.fromkeys(places, blank))
    collecting.collect(origin, room, LESSON)
    decisions.assign_to(room, LESSON, "bert", f"{origin}/lost/Untitled.ipynb")
    decisions.remove(room, LESSON, "anna")
    result = collecting.collect(origin, room, LESSON)
    assert set(result.done) == set(room.students(LESSON)) == {"bert", "zoe"}
    assert result.unclear == []


CANVAS_CLASS = """Student,ID,SIS User ID,SIS Login ID,Section
"Berg, Anna",11,S-1,anna,Monday
"Smith, Zoë",13,99001,zoe,Monday
"Nobody, Cleo",14,,cleo,Monday
"""
STRANGERS = {
    "another column's number": ("ghostjim_99001_500_exercises_01.ipynb", "is not in the roster"),
    "a number of somebody else": ("ghostjim_13_500_exercises_01.ipynb", "but the name ghostjim"),
    "a name of somebody else": ("smithzoe_77_500_exercises_01.ipynb", "but the number 77"),
    "another class's name": ("smithzoe_11_500_exercises_01.ipynb", "but the name smithzoe"),
    "another platform": ("Jim Ghost_13_assignsubmission_file_/x.ipynb", "not in the roster"),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_a_stranger_is_nobody_of_the_class(room, of, tmp_path, case):
    place, why = STRANGERS[case]
    roster.take(room, CANVAS_CLASS.encode())
    result = collecting.collect(handed_in(tmp_path / "in", {place: of("?")}), room, LESSON)
    assert (result.done, room.students(LESSON)) == ({}, [])
    assert why in result.unclear[0].reason


def test_moodles_number_is_not_the_schools(room, of, tmp_path):
    export = "First name,Last name,ID number,Email address\n"
    export += "Carl,Dorn,301,carl@uni.edu\nAnn,Berg,201,ann@uni.edu\n"
    roster.take(room, export.encode())
    files = {"Ann Berg_301_assignsubmission_file/exercises_01.ipynb": of("ann")}
    result = collecting.collect(handed_in(tmp_path / "in", files), room, LESSON)
    assert (set(result.done), who(room, "201")) == ({"201"}, "ann")


BLACKBOARD_FILES = {
    "one of them dropped": (["Exercises 1_a_berg", "Exercises 1_berg"], {"berg"}),
    "the dropped one alone": (["Exercises 1_a_berg"], set()),
    "a title of many parts": (["Ex_1_new_zoe_m", "Ex_1_new_berg"], {"zoe_m", "berg"}),
    "the title alone": (["Ex_1_berg"], set()),
    "the title known": (["Exercise_1_berg"], {"berg"}),
}


@pytest.mark.parametrize("case", BLACKBOARD_FILES)
def test_a_user_name_of_blackboard_is_whole(room, of, tmp_path, case):
    names, wanted = BLACKBOARD_FILES[case]
    export = '"Last Name","First Name","Username","Exercise_1 [Total Pts: 8 Score] |5150"\n'
    export += '"Berg","Bo","berg",""\n"Müller","Zoë","zoe_m",""\n'
    roster.take(room, export.encode())
    time = "attempt_2026-11-20-10-11-12_exercises_01.ipynb"
    files = {f"{name}_{time}": of(name) for name in names}
    result = collecting.collect(handed_in(tmp_path / "in", files), room, LESSON)
    assert set(result.done) == wanted
    assert len(result.unclear) == len(names) - len(wanted)
    assert all(who(room, it).endswith(f"_{it}") for it in wanted)


def test_moodle_writes_the_group_before_the_name(room, of, tmp_path):
    roster.take(room, b"First name,Last name,Email address\nAnn,Berg,a@x.y\nBo,Berg-Ek,b@x.y\n")
    places = ["Tutorial A-Ann Berg_7", "Group-B-Bo Berg-Ek_8", "Tutorial A-Cleo Ek_9",
              "Group-B-Di Ek_6"]  # fmt: skip
    files = {f"{it}_assignsubmission_file/exercises_01.ipynb": of(it) for it in places}
    result = collecting.collect(handed_in(tmp_path / "in", files), room, LESSON)
    assert {it: who(room, it) for it in result.done} == {"a": places[0], "b": places[1]}
    assert len(result.unclear) == 2


@pytest.mark.parametrize("known", [0, 1])
def test_a_groups_file_is_each_members_under_the_name_it_was_given_out_with(
    room, of, tmp_path, known
):
    """A platform's name says whose a file is, and in a group's file that is the group."""
    if known:
        roster.take(room, ROSTER)
    plain, theirs = "exercises_01.ipynb", "Group A_7_assignsubmission_file_exercises_01.ipynb"
    for name, members in ((theirs, set()), (plain, {"zoe", "bert"})):
        files = {f"{it}/{name}": of("both") for it in ("zoe", "bert")}
        result = collecting.collect(handed_in(tmp_path / name, files), room, LESSON)
        assert {*result.done} & {"zoe", "bert"} == members
    page = (ROOT / "exercises" / "README.md").read_text(encoding="utf-8")
    assert "under the name that it was given out with (`exercises_01.ipynb`, not the" in page


@pytest.mark.parametrize(("group", "known"), [("Anna", 0), ("G", 0), ("G", 1)])
def test_a_first_name_with_a_hyphen_is_no_group(room, of, tmp_path, group, known):
    """A stranger called Anna-Lena is not Lena; a group is what several have, or the roster."""
    head = "First name,Last name,Email address,Groups\n"
    roster.take(room, f"{head}Lena,Gross,l@x.y,{group if known else ''}\n".encode())
    name = f"{group}-Lena Gross_7_assignsubmission_file/exercises_01.ipynb"
    result = collecting.collect(handed_in(tmp_path / "in", {name: of("x")}), room, LESSON)
    assert (list(result.done), len(result.unclear)) == (["l"][:known], 1 - known)


def test_a_number_is_enough_for_a_name_that_lost_letters(room, of, tmp_path):
    roster.take(room, CANVAS_CLASS.encode())
    files = {"smithzo_13_1_exercises_01.ipynb": of("zoe"), "berganna_11_2_x.ipynb": of("anna")}
    result = collecting.collect(handed_in(tmp_path / "in", files), room, LESSON)
    assert set(result.done) == {"anna", "zoe"}


def test_the_file_that_counts_is_the_latest_that_is_answered(room, of, released, tmp_path):
    """Canvas's zip file has the date of the download; its second number rises with each file."""
    roster.take(room, CANVAS_CLASS.encode())
    blank = released[1].encode()
    files = {
        "berganna_11_901_exercises_01.ipynb": of("first"),
        "berganna_11_1002_exercises_01-1.ipynb": of("last"),
        "smithzoe_13_903_exercises_01.ipynb": blank, "smithzoe_13_904_solved.ipynb": of("zoe"),
        "nobodycleo_14_905_solved.ipynb": of("cleo"), "nobodycleo_14_906_x.ipynb": blank,
    }  # fmt: skip
    origin = tmp_path / "in.zip"
    origin.write_bytes(zipped(files))
    result = collecting.collect(origin, room, LESSON)
    assert [who(room, it) for it in ("anna", "zoe", "cleo")] == ["last", "zoe", "cleo"]
    assert "not berganna_11_901" in result.done["anna"]
    assert "906_x.ipynb is newer, but it is as it was given out" in result.done["cleo"]
    assert [it.student for it in result.told] == ["cleo"]


def test_two_files_of_one_time_are_asked(room, of, tmp_path):
    origin = tmp_path / "in.zip"
    files = {"anna/a.ipynb": of("a"), "anna/b.ipynb": of("b"), "bert/x.ipynb": of("bert")}
    origin.write_bytes(zipped(files))
    result = collecting.collect(origin, room, LESSON)
    assert (set(result.done), len(result.unclear)) == ({"bert"}, 2)
    assert "one of 2 files of the same time" in result.unclear[0].reason
    assert f"STUDENT=anna FILE={origin}/anna/a.ipynb" in result.unclear[0].advice


@pytest.mark.parametrize(("name", "later", "asked"), [("b", 2, 2), ("a (1)", 0, 2), ("b", 3600, 0)])
def test_moodles_download_does_not_tell_which_file_is_newer(room, of, tmp_path, name, later, asked):
    """It writes the moment of the download into its zip file, which runs on meanwhile."""
    folder, files = tmp_path / "in", {"a": 0, name: later}
    for it, seconds in files.items():
        place = f"Anna Berg_11_assignsubmission_file/{it}.ipynb"
        handed_in(folder, {place: of(it)})
        os.utime(folder / place, (1_800_000_000 + seconds,) * 2)
    result = collecting.collect(folder, room, LESSON)
    assert len(result.unclear) == asked
    assert all("one of 2 files of one download" in it.reason for it in result.unclear)
    assert [who(room, it) for it in result.done] == [name] * (not asked)


def test_a_name_in_place_of_an_id_is_told_the_id(room, of, tmp_path):
    """A new line for it in the roster would make two students of one."""
    roster.take(room, ROSTER)
    place = handed_in(tmp_path / "in", {"x.ipynb": of("zoe")}) / "x.ipynb"
    with pytest.raises(SystemExit, match="STUDENT=Zoë Müller: write the id, STUDENT=zoe"):
        decisions.assign_to(room, LESSON, "Zoë Müller", place)


def questions(room):
    """Return whom the rows of problems.csv are about."""
    return [row["student"] for row in files.problems(room)]


def test_what_a_person_said_about_a_file_stays(room, of, tmp_path):
    roster.take(room, CANVAS_CLASS.encode())
    origin = tmp_path / "in.zip"
    known = {"berganna_11_901_x.ipynb": of("first"), "berganna_11_902_x.ipynb": of("last")}
    known["smithzoe_LATE_77_500_exercises_01.ipynb"] = of("zoe")
    origin.write_bytes(zipped(known))
    collecting.collect(origin, room, LESSON)
    assert questions(room) == ["smithzoe_LATE_77_500_exercises_01.ipynb"]
    decisions.assign_to(room, LESSON, "anna", f"{origin}/berganna_11_901_x.ipynb")
    decisions.assign_to(room, LESSON, "zoe", f"{origin}/smithzoe_LATE_77_500_exercises_01.ipynb")
    assert questions(room) == []

    def taken():
        rows = attempts.taken(room)
        return {row["student"]: (row["file"], row["late"]) for row in rows if row["taken"]}

    wanted = {
        "anna": ("berganna_11_901_x.ipynb", ""),
        "zoe": ("smithzoe_LATE_77_500_exercises_01.ipynb", "yes"),
    }
    assert taken() == wanted
    result = collecting.collect(origin, room, LESSON)
    assert (who(room, "anna"), who(room, "zoe"), taken()) == ("first", "zoe", wanted)
    assert result.unclear == []
    del known["berganna_11_901_x.ipynb"]  # another download without the file that was named
    origin.write_bytes(zipped(known))
    assert collecting.collect(origin, room, LESSON).unclear == []
    assert (who(room, "anna"), taken()) == ("first", wanted)
    origin.write_bytes(zipped({**known, "berganna_11_999_x.ipynb": of("newer")}))
    (problem,) = collecting.collect(origin, room, LESSON).unclear
    assert "it came after you said" in problem.reason
    assert who(room, "anna") == "first"
    decisions.assign_to(room, LESSON, "anna", f"{origin}/berganna_11_999_x.ipynb")
    assert collecting.collect(origin, room, LESSON).unclear == []
    assert who(room, "anna") == "newer"


def test_a_file_has_one_owner_and_the_last_word_counts(room, of, tmp_path, capsys):
    roster.take(room, ROSTER)
    origin = tmp_path / "in.zip"
    origin.write_bytes(
        zipped({"anna_exercises_01.ipynb": of("zoe"), "bert_exercises_01.ipynb": of("b")})
    )
    collecting.collect(origin, room, LESSON)
    place = f"{origin}/anna_exercises_01.ipynb"
    main(["--class", str(room.folder), "assign-to", "1", "--student", "zoe", "--file", place])
    assert "anna has it no more" in capsys.readouterr().out
    assert room.students(LESSON) == ["bert", "zoe"]
    decisions.remove(room, LESSON, "zoe")
    assert decisions.assign_to(room, LESSON, "anna", place) == []
    result = collecting.collect(origin, room, LESSON)
    assert (set(result.done), result.left) == ({"anna", "bert"}, [])
    assert room.students(LESSON) == ["anna", "bert"]
    other = handed_in(tmp_path / "other", {"zoe_exercises_01.ipynb": of("zoe")})
    assert collecting.collect(other, room, LESSON).earlier == ["anna", "bert"]


OLD, NEW = "berganna_11_901_exercises_01.ipynb", "berganna_11_902_exercises_01-1.ipynb"


@pytest.mark.parametrize("names", [(OLD, NEW), ("a/anna_x.ipynb", "a/anna_y.ipynb")])
def test_an_older_or_damaged_file_of_another_download_replaces_none(room, of, tmp_path, names):
    roster.take(room, CANVAS_CLASS.encode())
    old, new = ({it.replace("a/anna", "anna/x"): of(it)} for it in names)
    downloads = [handed_in(tmp_path / str(n), it) for n, it in enumerate((old, new))]
    for folder, when in zip(downloads, (1_700_000_000, 1_700_009_000)):
        for path in folder.rglob("*.ipynb"):
            os.utime(path, (when, when))
    for folder in (*downloads, *downloads):
        result = collecting.collect(folder, room, LESSON)
    assert who(room, "anna") == names[1]
    result = collecting.collect(downloads[0], room, LESSON)
    assert (who(room, "anna"), "is older" in result.done["anna"]) == (names[1], True)
    name = names[1].replace("a/anna", "anna/z").replace("902", "903")
    bad = handed_in(tmp_path / "bad", {name: b'{"cells": ['})
    result = collecting.collect(bad, room, LESSON)
    assert (who(room, "anna"), result.told[0].student) == (names[1], "anna")
    assert "is newer, but it is damaged" in files.problems(room)[0]["reason"]
    assert [row["file"][-9:] for row in attempts.taken(room) if row["taken"]] == [
        next(iter(new))[-9:]
    ]


def test_the_same_file_was_handed_in_when_it_was_first_seen(room, of, tmp_path):
    path = handed_in(tmp_path / "in", {"anna/exercises_01.ipynb": of("anna")})
    for when in (1_700_000_000, 1_800_000_000):
        os.utime(path / "anna" / "exercises_01.ipynb", (when, when))
        collecting.collect(path, room, LESSON)
    (row,) = attempts.taken(room)
    assert row["handed in"].startswith("2023-11-14")
    table = room.folder / "collected.csv"
    text = table.read_text(encoding="utf-8").replace(",common,,", ",common,2023-11-01,")
    table.write_text(text, encoding="utf-8")
    collecting.collect(path, room, LESSON)
    assert attempts.taken(room)[0][attempts.BY_HAND] == "2023-11-01"


def test_who_handed_in_the_wrong_thing_is_told(room, of, tmp_path, capsys):
    roster.take(room, ROSTER)
    other = exercises.written(exercises.student_version(exercises.source(2))).encode()
    origin = handed_in(tmp_path / "in", {"anna/x.ipynb": other, "bert/essay.pdf": b"%PDF",
                                         "sue/exercises_01.ipynb": of("sue")})  # fmt: skip
    main(["--class", str(room.folder), "collect", "1", "--from", str(origin)])
    rows = {row["student"]: row for row in files.problems(room)}
    assert set(rows) == {"anna", "bert", "sue/exercises_01.ipynb"}
    assert "lesson 2" in rows["anna"]["reason"]
    assert "not a notebook" in rows["bert"]["reason"]
    printed = capsys.readouterr().out
    assert "NOTHING from zoe" in printed
    assert "NOTHING from anna" not in printed
    advice = rows["sue/exercises_01.ipynb"]["what to do"]
    assert f"make roster FROM=... CLASS={room.folder}" in advice
    assert f"make remove LESSON=1 FILE={origin}/sue/exercises_01.ipynb" in advice
    assert f"\n    {advice}\n" in printed
    main(
        [
            *["--class", str(room.folder)],
            "remove",
            "1",
            "--file",
            f"{origin}/sue/exercises_01.ipynb",
        ]
    )
    assert collecting.collect(origin, room, LESSON).unclear == []
    table = {row["student"]: row for row in marks.write(room)}
    assert "lesson 2" in table["anna"]["01 notes"]
    assert table["zoe"]["01 status"] == "nothing handed in"


def test_without_a_roster_only_who_has_nothing_to_mark_is_to_be_asked(room, of, tmp_path):
    """Beside the right file another lesson's is no news; a page of HTML alone is."""
    other = exercises.written(exercises.student_version(exercises.source(2))).encode()
    both = zipped({"mine.ipynb": of("anna"), "exercises_02.ipynb": other})
    asked = {
        "bert_12_34_exercises_01.html": b"<html>",
        "Zoe Mill_4711_assignsubmission_file_/exercises_01.py": b"print()",
        "Exercises 1_sue_attempt_2026-11-20-10-11-12_exercises_01.ipynb": other,
    }
    rest = {"anna_11_33_exercises_01.zip": both, "anna_11_35_plot.pdf": b"%PDF"}
    origin = handed_in(tmp_path / "in", {**asked, **rest})
    result = collecting.collect(origin, room, LESSON)
    assert len(result.done) == 1
    assert {it.student for it in result.told} == set(asked)
    assert {row["student"] for row in files.problems(room)} == set(asked)


def test_what_is_open_waits_until_it_is_settled(room, of, tmp_path, capsys):
    """Another folder, such as a group's copies, answers no question about the first."""
    roster.take(room, ROSTER)
    first = handed_in(tmp_path / "in", {"bert/essay.pdf": b"%PDF", "sue/x.ipynb": of("sue")})
    (tmp_path / "group").mkdir()
    packed = tmp_path / "group" / "two.zip"
    packed.write_bytes(zipped({"zoe/a.ipynb": of("a"), "zoe/b.ipynb": of("b")}))
    commands = ["--class", str(room.folder), "collect", "1", "--from"]
    for origin in (first, packed):
        main([*commands, str(origin)])
    assert sorted(questions(room)) == ["bert", "sue/x.ipynb", "zoe", "zoe"]
    assert "STILL OPEN sue/x.ipynb: sue is not in the roster" in capsys.readouterr().out
    (table,) = [row for row in marks.write(room) if row["student"] == "bert"]
    assert "not a notebook" in table["01 notes"]
    for _ in range(2):
        main([*commands, str(first)])
        assert sorted(questions(room)) == ["bert", "sue/x.ipynb", "zoe", "zoe"]
    main([*commands, str(handed_in(tmp_path / "late", {"bert/x.ipynb": of("bert")}))])
    assert sorted(questions(room)) == ["sue/x.ipynb", "zoe", "zoe"]
    own = ["--class", str(room.folder)]
    main([*own, "assign-to", "1", "--student", "zoe", "--file", f"{packed}/zoe/a.ipynb"])
    assert f"zoe has this file now: make mark LESSON=1 CLASS={room.folder}\n" in (
        capsys.readouterr().out
    )
    with open(room.folder / "roster.csv", "a", encoding="utf-8") as file:
        file.write("sue,Sue\n")
    main([*commands, str(first)])
    assert questions(room) == []  # Bert has a notebook by now
    assert "STILL OPEN" not in capsys.readouterr().out.rpartition("from sue")[2]


def test_a_question_about_a_file_that_is_gone_can_be_closed(room, of, tmp_path):
    roster.take(room, ROSTER)
    origin = handed_in(tmp_path / "in", {"Untitled.ipynb": of("anna")})
    collecting.collect(origin, room, LESSON)
    (origin / "Untitled.ipynb").rename(origin / "anna_exercises_01.ipynb")
    assert collecting.collect(origin, room, LESSON).still[0].student == "Untitled.ipynb"
    decisions.nobodys(room, LESSON, f"{origin}/Untitled.ipynb")
    assert questions(room) == []
    with pytest.raises(SystemExit, match="does not exist"):
        decisions.nobodys(room, LESSON, f"{origin}/Untitled.ipynb")


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_question_about_one_of_a_students_files_is_settled_with_that_file(
    room, of, tmp_path, is_gone
):
    """It is asked under the student's id, and only its words name the file."""
    roster.take(room, ROSTER)
    origin = tmp_path / "two.zip"
    names = [f"zoe/{it}.ipynb" for it in "ab"]
    origin.write_bytes(zipped({it: of(it) for it in names}))
    collecting.collect(origin, room, LESSON)
    later = handed_in(tmp_path / "later", {"anna/a.ipynb": of("anna")})
    if is_gone:
        origin.unlink()
    for left, name in zip((["zoe"], []), names):
        decisions.nobodys(room, LESSON, f"{origin}/{name}")
        collecting.collect(later, room, LESSON)
        assert questions(room) == left


def test_a_file_of_the_same_name_elsewhere_answers_no_question(room, of, tmp_path):
    roster.take(room, ROSTER)
    names = "one", "two", "again", "third"
    for name, who in zip(names, ("one", "two", "one", "third")):
        handed_in(tmp_path / name, {"Untitled.ipynb": of(who), "anna/a.ipynb": of("anna")})

    def asked():
        rows = [row["what to do"] for row in files.problems(room)]
        return [it for it in names if any(f"/{it}/Untitled.ipynb" in row for row in rows)]

    for name, waiting in zip(names[:3], (["one"], ["one", "two"], ["two", "again"])):
        collecting.collect(tmp_path / name, room, LESSON)
        assert asked() == waiting
    decisions.assign_to(room, LESSON, "zoe", tmp_path / "again" / "Untitled.ipynb")
    assert asked() == ["two"]
    collecting.collect(tmp_path / "third", room, LESSON)
    (tmp_path / "third" / "Untitled.ipynb").unlink()
    decisions.nobodys(room, LESSON, tmp_path / "third" / "Untitled.ipynb")
    assert asked() == ["two"]
    decisions.nobodys(room, LESSON, tmp_path / "two" / "Untitled.ipynb")
    assert asked() == []


def test_a_platforms_newer_file_takes_the_place_of_the_older_ones_question(room, of, tmp_path):
    roster.take(room, ROSTER)
    place = "Tom Fo_4_assignsubmission_file/x.ipynb"
    for name in ("one", "two"):
        handed_in(tmp_path / name, {place: of(name), "anna/a.ipynb": of("anna")})
        collecting.collect(tmp_path / name, room, LESSON)
        assert questions(room) == [place]
    assert str(tmp_path / "two") in files.problems(room)[0]["what to do"]
    decisions.assign_to(room, LESSON, "zoe", tmp_path / "two" / place)
    assert questions(room) == []


def test_a_name_in_a_command_is_a_name_and_no_command(room, of, tmp_path):
    """What is printed is typed by a person: make and the shell must find the file's name in it."""
    name = 'x\' "y" $(shell touch made) `touch run` $HOME.ipynb'
    origin = handed_in(tmp_path / "in", {f"all/{name}": of("zoe"), "all/b.ipynb": of("anna")})
    result = collecting.collect(origin, room, LESSON)
    advice = next(it.advice for it in result.unclear if "shell" in it.advice)
    line = advice.partition("make ")[2].replace("STUDENT=...", "STUDENT=zoe")
    own = "make -o .venv/.marking -o .venv/.lab"
    done = subprocess.run(f"{own} {line}", shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert who(room, "zoe") == "zoe"
    assert not [it for it in ("made", "run") if (ROOT / it).exists()]


@pytest.mark.parametrize("origin", ["", ".", " ", "nowhere", "{class}", "{class}/source"])
def test_from_must_say_something(room, origin):
    with pytest.raises(SystemExit, match="FROM="):
        collecting.collect(origin.format(**{"class": room.folder}), room, LESSON)


CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,Exercises 1 (777),Current Score
    Points Possible,,,,,11,(read only)
"Berg, Anna",11,S-1,anna@uni.edu,Monday,,
"Müller, Zoë",13,S-3,zoe@uni.edu,Monday,,
"Student, Test",99,,x,Monday,,
"""
MOODLE = """First name,Last name,ID number,Email address,Groups
Anna,Berg,S-1,anna@uni.edu,Blue
Zoë,Müller,,zoe@uni.edu,Red
"""
WORKSHEET = "Identifier,Status,Grade,Maximum Grade\nParticipant 47,Submitted,,8\n"
BLACKBOARD = '"Last Name"\t"First Name"\t"Username"\t"Student ID"\n"Berg"\t"Anna"\t"anna"\t"S-1"\n'


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (CANVAS.encode(), [("anna@uni.edu", "Berg, Anna"), ("zoe@uni.edu", "Müller, Zoë")]),
        (MOODLE.encode("utf-8-sig"), [("S-1", "Berg, Anna"), ("zoe", "Müller, Zoë")]),
        (BLACKBOARD.encode("utf-16"), [("anna", "Berg, Anna")]),
        (ROSTER[8:], [("anna", "Anna Berg"), ("bert", "Bert Müller"), ("zoe", "Zoë Müller")]),
        (b'Student,ID,Section\n    Points Possible,,\n"Berg, Anna",11,M\n', [("11", "Berg, Anna")]),
        (b"LastName,FirstName,ID,Section\nBerg,Anna,11,M\n", [("11", "Berg, Anna")]),
        (
            MOODLE.replace("zoe@", "anna@b.").replace("S-1", "").encode(),
            [("anna@uni.edu", "Berg, Anna"), ("anna@b.uni.edu", "Müller, Zoë")],
        ),
        (WORKSHEET.encode("utf-8-sig"), [("Participant_47", "")]),
        ("id;name\nb1;Zoë".encode("cp1252"), [("b1", "Zoë")]),
        (
            b"student1,Student One\nstudent2,Student Two\n",
            [("student1", "Student One"), ("student2", "Student Two")],
        ),
    ],
    ids=[
        "canvas",
        "moodle",
        "blackboard",
        "two columns",
        "canvas without SIS",
        "canvas, names",
        "moodle, one name at two addresses",
        "worksheet",
        "semicolons",
        "two columns of invented names",
    ],
)
def test_a_roster_is_read_as_it_is_exported(room, content, wanted):
    roster.take(room, content)
    assert [(it.id, it.name) for it in roster.load(room).values()] == wanted


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"id,name\n", "nobody"),
        (b"a,A\nA,B\n", "more than once"),
        (b",x\n", "no id"),
        (b"PK\x03\x04", "Excel file"),
        (b"<html><table><tr><td>id</td></tr></table></html>", "is a page"),
        (b"id,name\n..,Anna\n", "no id for Anna"),
    ],
)
def test_a_roster_that_cannot_be_used_is_refused(room, content, why):
    with pytest.raises(SystemExit, match=why):
        roster.take(room, content)


def test_groups_and_extensions_written_by_a_person_stay(room):
    roster.take(room, ROSTER)
    path = room.folder / "roster.csv"
    text = path.read_text(encoding="utf-8").replace(
        "zoe,Zoë Müller,,,,,,,,", "zoe,Zoë Müller,,,,,,red,3,"
    )
    path.write_text(text, encoding="utf-8")
    roster.take(room, ROSTER)
    assert (roster.load(room)["zoe"].group, roster.load(room)["zoe"].extension) == ("red", "3")


def test_people_stay_who_they_were_when_the_list_is_taken_anew(room):
    """Somebody joins or leaves, or the export has another column: nobody's id changes."""

    def ids(*people, head="First name,Last name,Email address"):
        text = "\n".join((head, *people))
        return [it.id for it in roster.take(room, text.encode())]

    anna, other = "Anna,Berg,anna@a.edu", "Anna,Bach,anna@b.edu"
    assert ids(anna, "Bo,Bach,bo@a.edu") == ["anna", "bo"]
    path = room.folder / "roster.csv"
    path.write_text(path.read_text().replace(",,,,,moodle", ",,,red,4,moodle", 1))
    assert ids(anna, "Bo,Bach,bo@a.edu", other) == ["anna", "bo", "anna@b.edu"]
    assert [it.extension for it in roster.load(room).values()] == ["4", "", ""]
    assert ids(other) == ["anna@b.edu"]
    head = "First name,Last name,ID number,Email address"
    assert ids("Anna,Bach,S-1,anna@b.edu", head=head) == ["anna@b.edu"]
    assert ids("Anna,Bach,S-1,anna.bach@b.edu", head=head) == ["anna@b.edu"]


def test_nobody_inherits_the_place_of_somebody_who_left(room):
    head = b"First name,Last name,Email address\n"
    roster.take(room, head + b"Anna,Berg,anna@a.edu\n")
    path = room.folder / "roster.csv"
    path.write_text(path.read_text().replace(",,,,,moodle", ",,,red,4,moodle", 1))
    (new,) = roster.take(room, head + b"Anna,Bach,anna@b.edu\n")
    assert (new.id, new.group, new.extension) == ("anna@b.edu", "", "")
    canvas = b"Student,ID,SIS Login ID,Section\n"
    roster.take(room, canvas + b'"Berg, Anna",11,anna,M\n')
    with pytest.raises(SystemExit, match="anna was Berg, Anna until now"):
        roster.take(room, b'Student,ID,SIS User ID,Section\n"Bach, Anna",12,anna,M\n')


def test_the_ids_of_a_table_of_ones_own_are_what_it_says(room):
    """An address may change there, and a number may count the rows."""

    def ids(*lines):
        return [it.id for it in roster.take(room, "\n".join(lines).encode())]

    head = "id,name,email"
    assert ids(head, "11,Zoe,zoe@a.edu", "12,Bo,bo@a.edu") == ["11", "12"]
    assert ids(head, "11,Zoe,zoe@b.edu", "12,Bo,bo@a.edu") == ["11", "12"]
    assert ids(head, "21,Zoe,zoe@b.edu", "12,Bo,zoe@a.edu") == ["11", "12"]
    with pytest.raises(SystemExit, match="12 was Bo until now, and is Al here"):
        ids(head, "12,Al,al@a.edu")
    assert ids("id,name,number", "11,Zoe,1", "12,Bo,2") == ["11", "12"]
    assert ids("id,name,number", "12,Bo,1", "13,Al,2") == ["12", "13"]


def test_a_zip_file_is_never_in_memory_as_a_whole(room, of, tmp_path):
    import tracemalloc

    files = {f"s{n:03d}/exercises_01.ipynb": of(n) + b" " * 8_000_000 for n in range(20)}
    inner = {f"z{n}/a.zip": zipped({"big.ipynb": bytes(190_000_000)}) for n in range(2)}
    origin = tmp_path / "all.zip"
    origin.write_bytes(zipped(files | inner))
    assert origin.stat().st_size < 3_000_000
    del files
    tracemalloc.start()
    result = collecting.collect(origin, room, LESSON)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(result.done) == 22
    assert peak < 150_000_000


def test_a_file_that_is_too_large_is_assigned_as_such(room, of, tmp_path):
    files = {"a/Untitled.ipynb": of("anna") + b" " * sources.LARGEST, "b/x.ipynb": of("b")}
    origin = handed_in(tmp_path / "in", files)
    decisions.assign_to(room, LESSON, "anna", origin / "a/Untitled.ipynb")
    with pytest.raises(RuntimeError, match="the file has 10 MB"):
        restore.read(room.file("submitted", LESSON, "anna").read_bytes())
    result = collecting.collect(origin, room, LESSON)
    assert set(result.done) == {"anna", "b"}
    decisions.nobodys(room, LESSON, origin / "a/Untitled.ipynb")
    result = collecting.collect(origin, room, LESSON)
    assert "a/Untitled.ipynb: removed by hand" in result.left


def test_the_course_and_the_class_are_nobodys_submissions(room, of, tmp_path):
    handed_in(tmp_path / "in", {"anna/exercises_01.ipynb": of("anna")})
    for origin in (tmp_path, ROOT, ROOT / "exercises", ROOT / ".." / ROOT.name):
        with pytest.raises(SystemExit, match="give what was handed in"):
            collecting.collect(origin, room, LESSON)
    collecting.collect(tmp_path / "in", room, LESSON)


def test_a_file_that_is_too_large_is_told_and_not_stored(room, of, tmp_path):
    origin = handed_in(tmp_path / "in", {"anna/exercises_01.ipynb": b" " * (sources.LARGEST + 1)})
    result = collecting.collect(origin, room, LESSON)
    assert "it has 10 MB; a notebook may have 10" in result.done["anna"]
    assert room.file("submitted", LESSON, "anna").stat().st_size < 100


def test_names_command_no_terminal(room, of, tmp_path, capsys):
    origin = tmp_path / "in.zip"
    origin.write_bytes(
        zipped({"\x1b[2Jboo\n/x.py": b"", "\x1b]0;owned\x07/exercises_01.ipynb": of("x")})
    )
    main(["--class", str(room.folder), "collect", "1", "--from", str(origin)])
    printed = capsys.readouterr().out
    assert not set(printed) & {"\x1b", "\x07"}
    assert "?[2Jboo" in printed


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("inner", [False, True])
def test_damaged_bytes_in_a_zip_file_are_one_students(room, of, tmp_path, method, inner):
    packed, place = io.BytesIO(), "anna/exercises_01.ipynb"
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr(place, of("anna"))
        archive.writestr("bert/exercises_01.ipynb", of("bert"))
    spoilt = bytearray(packed.getvalue())
    begin = spoilt.index(place.encode()) + 60
    spoilt[begin : begin + 300] = bytes(it ^ 0xA5 for it in spoilt[begin : begin + 300])
    origin = tmp_path / "in.zip"
    origin.write_bytes(zipped({"anna.zip": spoilt, "zoe/a.ipynb": of("z")}) if inner else spoilt)
    result = collecting.collect(origin, room, LESSON)
    assert any("damaged" in words for words in result.done.values())
    assert ("zoe" if inner else "bert") in result.done


def test_a_name_that_is_no_utf8_stops_nobody(room, of, tmp_path):
    folder = os.fsencode(tmp_path / "in")
    for name in (b"M\xfcller", b"bert"):
        os.makedirs(folder + b"/" + name)
        with open(folder + b"/" + name + b"/exercises_01.ipynb", "wb") as file:
            file.write(of(name.hex()))
    result = collecting.collect(tmp_path / "in", room, LESSON)
    assert set(result.done) == {"bert", "M_ller"}
    assert {it["student"] for it in attempts.taken(room)} == {"bert", "M_ller"}
    decisions.assign_to(
        room, LESSON, "zoe", tmp_path / "in/M\N{REPLACEMENT CHARACTER}ller/exercises_01.ipynb"
    )
    assert who(room, "zoe") == b"M\xfcller".hex()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (",Carl Cox", "has no id for Carl Cox"),
        ("bert,Carl Cox", "an id more than once: bert"),
        ("Bert,Carl Cox", "an id more than once: bert"),
        ("../../carl,Carl Cox", "an id that is none, '../../carl'"),
        ("1.23457E+11,Carl Cox", "an id that is none, '1.23457E"),
    ],
)
def test_a_roster_that_a_person_spoilt_loses_nobodys_work(room, of, tmp_path, line, why):
    roster.take(room, ROSTER)
    with open(room.folder / "roster.csv", "a", encoding="utf-8") as file:
        file.write(line + "\n")
    origin = handed_in(tmp_path / "in", {"Carl Cox/exercises_01.ipynb": of("carl")})
    with pytest.raises(SystemExit, match=why) as refused:
        collecting.collect(origin, room, LESSON)
    assert "roster.csv" in str(refused.value)
    assert not (room.folder / "submitted").exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"Name,E-Mail\nAnna Berg,anna@uni.edu\n", "columns are not understood: Name, E-Mail"),
        (b"name\nAnna Berg\n", "columns are not understood: name"),
        (b"Student ID,Student Name\n1,Anna\n", "columns are not understood: Student ID"),
        ("Matrikelnummer;Name\n007;Zoë\n".encode(), "columns are not understood: Matrikelnummer"),
        (b'id,name\nanna,"Berg\nbert,B\nzoe,Z\n', "cannot be read from line 2 on"),
        ("id,name\nzoe,Müller, Zoë\n".encode(), "more cells than columns in the row 'zoe, M"),
        (b"id,name\n1.23457E+11,Anna\n", "an id that is none"),
        (b"id;name\n1,23E+11;Anna\n456;Bert\n", "an id that is none"),
        (b"id,name\n123.0,Anna\n", "the number '123.0' of Anna, which a program"),
        (b"Student,ID,SIS Login ID,Section\nBerg,12.0,b1,\n", "the number '12.0' of Berg"),
        (b"First name,ID number,Email address\nAnna,7.0,a@x.org\n", "the number '7.0' of Anna"),
        (b'id,name\nanna,"' + b"x" * 200_000 + b'"\n', "cannot be read from line 2"),
    ],
)
def test_a_table_that_means_something_else_is_refused(content, why):
    with pytest.raises(SystemExit, match=why):
        roster.read_export(content)


@pytest.mark.parametrize(
    "content",
    [
        b"sep=;\r\nid;name\r\nb1;Berg, Anna\r\n",
        b"\r\n\r\nid;name\r\nb1;Berg, Anna\r\n",
        "id\tname\r\nb1\tBerg, Anna\r\n".encode("utf-16-le"),
    ],
    ids=["Excel's first line", "lines before it", "UTF-16 without a mark"],
)
def test_a_table_is_read_as_spreadsheets_save_it(content):
    (student,) = roster.read_export(content)
    assert (student.id, student.name) == ("b1", "Berg, Anna")


def test_a_short_id_stays_the_same_when_it_is_read_again(room):
    roster.take(room, f"id,name\n{'a' * 79}-b,Anna\n4e12,Bert\n".encode())
    assert list(roster.load(room)) == ["a" * 79, "4e12"]


def test_nobody_hands_in_as_somebody_else(room, of, tmp_path):
    roster.take(room, ROSTER)
    inside = "zoe/Anna Berg_4711_assignsubmission_file_/exercises_01.ipynb"
    files = {"anna/exercises_01.ipynb": of("anna"), inside: of("zoe as anna")}
    result = collecting.collect(handed_in(tmp_path / "in", files), room, LESSON)
    assert who(room, "anna") == "anna"
    (problem,) = result.unclear
    assert problem.reason == "its name is that of anna, but it lies in the folder of zoe"


def test_an_empty_notebook_has_its_students_name(room, tmp_path, capsys):
    roster.take(room, ROSTER)
    empty = nbformat.writes(nbformat.v4.new_notebook()).encode()
    origin = handed_in(tmp_path / "in", {"anna/exercises_01.ipynb": empty})
    main(["--class", str(room.folder), "collect", "1", "--from", str(origin)])
    told = capsys.readouterr().out
    assert "WHOSE? anna: anna/exercises_01.ipynb: it is called like the lesson" in told
    assert "make assign-to LESSON=1 STUDENT=anna FILE=" in told
    assert "NOTHING from anna" not in told


def test_a_zip_file_is_nobodys_notebook(room, of, tmp_path):
    origin = tmp_path / "in.zip"
    origin.write_bytes(zipped({"zoe/exercises_01.ipynb": of("zoe")}))
    collecting.collect(origin, room, LESSON)
    with pytest.raises(SystemExit, match="is a zip file: name the file in it"):
        decisions.assign_to(room, LESSON, "zoe", origin)
    assert who(room, "zoe") == "zoe"


def test_a_folder_is_no_roster(room, tmp_path):
    with pytest.raises(SystemExit, match="is a folder: give the file"):
        main(["--class", str(room.folder), "roster", "--from", str(tmp_path / "..")])


@pytest.mark.parametrize("data", [None, [1], {"grade_id": ["a"]}, "x"])
def test_metadata_of_another_form_is_lost_metadata(room, released, data):
    nb = json.loads(released[2]("anna"))
    for cell in nb["cells"]:
        cell["metadata"]["nbgrader"] = data
    content = json.dumps(nb).encode()
    assert lessons.lesson_of(room, content) == LESSON.number
    texts = released[0].read_text(encoding="utf-8"), released[1]
    result = restore.restored(restore.read(content), *restore.structure(*texts))
    assert "anna" in pupils.cell(result, "free_text").source


@pytest.mark.parametrize("kind", ["none", "null", "lines"])
def test_what_tools_take_away_costs_nothing(room, released, kind):
    """All metadata, of the notebook as well; or the ends of lines as old Macs wrote them."""
    nb = json.loads(released[2]("anna"))
    for part in (nb, *nb["cells"]):
        if kind == "lines":
            part["source"] = "".join(part.get("source", "")).replace("\n", "\r")
        elif kind == "null":
            part["metadata"] = None
        else:
            del part["metadata"]
    nb["cells"].append({"cell_type": "code", "outputs": None})
    content = json.dumps(nb).encode()
    assert lessons.lesson_of(room, content) == LESSON.number
    texts = released[0].read_text(encoding="utf-8"), released[1]
    result = restore.restored(restore.read(content), *restore.structure(*texts))
    assert "anna" in pupils.cell(result, "free_text").source
    assert "\r" not in "".join(it.source for it in result.cells)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_how_an_editor_stores_letters_costs_nothing(room, released, encoding):
    content = released[2]("Zo\u00eb \u03b7").decode().encode(encoding)
    assert lessons.lesson_of(room, content) == LESSON.number
    texts = released[0].read_text(encoding="utf-8"), released[1]
    result = restore.restored(restore.read(content), *restore.structure(*texts))
    assert "Zo\u00eb \u03b7" in pupils.cell(result, "free_text").source


def test_letters_that_an_editor_has_changed_are_told_in_words(room, released):
    content = released[2]("anna X").replace(b"anna X", b"\xe4nna")
    with pytest.raises(lessons.NoNotebook, match="neither as UTF-8 nor as UTF-16"):
        lessons.lesson_of(room, content)
    with pytest.raises(RuntimeError, match="neither as UTF-8 nor as UTF-16"):
        restore.read(content)


def test_two_cells_of_one_id_are_no_warning_on_the_screen(released):
    nb = json.loads(released[2]("anna"))
    for cell in nb["cells"]:
        cell["id"] = "same"
    with warnings.catch_warnings(action="error"):
        assert len(restore.read(json.dumps(nb).encode()).cells) == len(nb["cells"])


def test_half_a_letter_costs_nothing(room, released):
    content = released[2]("anna HALF, \U0001f600 \\ud83d").replace(b"HALF", b"\\ud83d")
    texts = released[0].read_text(encoding="utf-8"), released[1]
    result = restore.restored(restore.read(content), *restore.structure(*texts))
    text = pupils.cell(result, "free_text").source
    assert text.endswith("(anna \N{REPLACEMENT CHARACTER}, \U0001f600 \\ud83d)")
    files.write_whole(room, room.folder / "x", "half \ud83d")
    assert (room.folder / "x").read_text(encoding="utf-8") == "half ?"


def test_a_full_disk_is_said_in_a_sentence(room, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    (room.folder / "list.csv").write_bytes(ROSTER)
    with pytest.raises(SystemExit, match="The disk is full"):
        main(
            ["--class", str(room.folder / "new"), "roster", "--from", str(room.folder / "list.csv")]
        )


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(room, monkeypatch):
    def locked(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system", "/class/.lock")

    monkeypatch.setattr(files.FileLock, "acquire", locked)
    with pytest.raises(SystemExit, match=r"/class/\.lock: Read-only file system"):
        main(["--class", str(room.folder), "report", "1"])


def test_a_zip_file_with_nothing_in_it_is_told(room, of, tmp_path):
    roster.take(room, ROSTER)
    files = {"zoe/it.zip": zipped({"__MACOSX/._x": b""}), "anna/exercises_01.ipynb": of("anna")}
    result = collecting.collect(handed_in(tmp_path / "in", files), room, LESSON)
    assert [it.student for it in result.told] == ["zoe"]
    assert [it.id for it in result.nothing] == ["bert"]


def many(number):
    """Return a zip file with many empty files, without making each of them."""
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, 1, 0) + b"a"
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 33, *[0] * 3, 1, *[0] * 6)
    listed = (entry + b"a") * number
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, len(listed), len(head), 0)
    return head + listed + end


def test_what_one_student_packs_leaves_room_for_the_others(room, of, tmp_path, monkeypatch):
    for name, value in {"INNER": 3_000_000, "MANY": 100, "LIST": 100_000, "FILES": 1_000}.items():
        monkeypatch.setattr(sources, name, value)
    environment = {f"venv/{n}.py": b"" for n in range(120)} | {"exercises_01.ipynb": of("bert")}
    files_of = {
        "anna.zip": zipped(
            {"weights.bin": os.urandom(2_900_000), "x.zip": zipped({"a.ipynb": of("anna")})}
        ),
        "bert.zip": zipped(environment),
        "cleo.zip": zipped({"big.zip": os.urandom(2_900_000), "exercises_01.ipynb": of("cleo")}),
        "dora.zip": many(1_500),
        "emil.zip": many(50_000),
        "zoe.zip": zipped({"work/inner.zip": zipped({"a.ipynb": of("zoe")})}),
    }
    origin = tmp_path / "in.zip"
    with zipfile.ZipFile(origin, "w") as archive:  # each of them as large as it is
        for place, content in files_of.items():
            archive.writestr(place, content)
    result = collecting.collect(origin, room, LESSON)
    names = "anna", "bert", "cleo", "zoe"
    assert {it: who(room, it) for it in result.done} == {it: it for it in names}
    assert "bert.zip (120 more files): not a notebook (.ipynb)" in result.left
    assert "dora.zip (1500 more files): not a notebook (.ipynb)" in result.left
    assert "emil.zip: not a notebook (.ipynb)" in result.left
    assert len(sources.KEPT) <= sources.DEPTH


def test_the_zip_file_with_most_of_too_many_files_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "FILES", 5)
    files = {"anna.ipynb": b"", "bert.zip": zipped({f"{n}.ipynb": b"" for n in range(9)})}
    with pytest.raises(SystemExit, match=r"more than 5 files \(5 in bert.zip: take it out\)"):
        list(sources.files(handed_in(tmp_path / "in", files)))


def test_a_long_name_costs_no_time(room, of, tmp_path):
    names = [f"{letter * 60_000}.ipynb" for letter in "- _"]
    origin = tmp_path / "in.zip"
    origin.write_bytes(zipped({"zoe/x.ipynb": of("zoe"), **{f"anna/{it}": b"{}" for it in names}}))
    begin = time.process_time()
    result = collecting.collect(origin, room, LESSON)
    assert time.process_time() - begin < 2
    assert set(result.done) == {"anna", "zoe"}
    assert attempts.by_student(room, LESSON)["zoe"]


def test_what_computers_add_is_nobodys_work(room, of, tmp_path, capsys):
    roster.take(room, ROSTER)
    names = ["._exercises_01.ipynb", ".DS_Store", "site-packages/x.ipynb"]
    files_of = {f"anna/{it}": b"x" for it in names} | {"anna/exercises_01.ipynb": of("anna")}
    files_of |= {"zoe/answer.txt": b"x", "Exercises 1_bert_attempt_2026-11-20-10-11-12.txt": b"x"}
    main(["--class", str(room.folder), "collect", "1", "--from",
          str(handed_in(tmp_path / "in", files_of))])  # fmt: skip
    told = capsys.readouterr().out
    assert "anna: from anna/exercises_01.ipynb\n" in told
    assert "LEFT OUT zoe/answer.txt: not a notebook" in told
    assert not any(word in told for word in ("._ex", "DS_Store", "site-packages", "attempt"))


def test_a_spreadsheet_takes_no_zeros_away(room, of, tmp_path):
    export = BLACKBOARD.replace('"anna"', '"00456"').replace("S-1", "0017")
    roster.take(room, (export + '"B"\t"Bo"\t"456x"\t"18"\n').encode())
    before = roster.load(room)
    path = room.folder / "roster.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("00456", "456").replace("0017", "17"), encoding="utf-8")
    assert roster.load(room) == before
    assert [it.sis for it in before.values()] == ["0017", "18"]
    path.write_text(text.replace("00456", "4560"), encoding="utf-8")
    assert list(roster.load(room)) == ["4560", "456x"]
    roster.take(room, b"id,name\n007,Anna\n7,Bert\n")
    assert list(roster.load(room)) == ["007", "7"]
    roster.take(room, b"id,name\n00123,Anna\n456,Bert\n")
    path.write_text(path.read_text(encoding="utf-8") + "123,Carl\n", encoding="utf-8")
    names = {it: who.name for it, who in roster.load(room).items()}
    assert names == {"00123": "Anna", "456": "Bert", "123": "Carl"}


def test_a_date_that_a_spreadsheet_turned_hides_no_newer_file(room, of, tmp_path):
    origin = handed_in(tmp_path / "in", {"anna/a.ipynb": of("old")})
    os.utime(origin / "anna/a.ipynb", (1.76e9, 1.76e9))
    collecting.collect(origin, room, LESSON)
    (before,) = attempts.taken(room)
    path = room.folder / "collected.csv"
    year, month, day = before["handed in"][:10].split("-")
    text = path.read_text(encoding="utf-8")
    for turned in (f"{day}/{month}/{year}", f"9{day}/{month}/{year}"):
        path.write_text(text.replace(f"{year}-{month}-{day}", turned), encoding="utf-8")
        assert attempts.taken(room) == [before]
    result = collecting.collect(
        handed_in(tmp_path / "new", {"anna/b.ipynb": of("new")}), room, LESSON
    )
    assert who(room, "anna") == "new", result.done


MOODLE_FORGED = (
    "Zoe M_47_assignsubmission_file_x-Anna B_48_assignsubmission_file_exercises_01.ipynb"
)
BLACKBOARD_FORGED = (
    "Exercises 1_zoe_attempt_2026-11-20-10-11-12_x_anna_attempt_2026-11-21-10-11-12_"
    "exercises_01.ipynb"
)
FORGED = [(MOODLE_FORGED, "47"), (BLACKBOARD_FORGED, "zoe")]


@pytest.mark.parametrize(("place", "student"), FORGED)
def test_a_file_called_like_a_platforms_is_its_students(place, student):
    """What the platform wrote comes first; the student chose the rest."""
    found = layouts.whose(place)
    assert (found.id, found.time in ("", "2026-11-20 10:11:12")) == (student, True)
    page = platforms.page_name(place, "zoe", LESSON)
    assert "Anna" not in page


@pytest.mark.parametrize("names", [("राम", "रीम"), ("นิด", "นุด"), ("さいき", "ざいき")])
def test_marks_that_are_letters_tell_people_apart(room, of, tmp_path, names):
    """A vowel of Hindi or Thai and a sound mark of Japanese are no accents."""
    one, other = names
    assert len(set(map(roster.safe, names))) == 2
    roster.take(room, f"id,name\nanna,{one}\n".encode())
    files = {f"{other} - exercises_01.ipynb": of("a stranger")}
    result = collecting.collect(handed_in(tmp_path / "in", files), room, LESSON)
    assert (room.students(LESSON), len(result.unclear)) == ([], 1)


def test_a_name_that_is_cut_stays_a_persons_own(room, of, tmp_path):
    for end in "12":
        files = {f"{'x' * 90}{end}/exercises_01.ipynb": of(end), "b/exercises_01.ipynb": of("b")}
        collecting.collect(handed_in(tmp_path / end, files), room, LESSON)
    assert len(room.students(LESSON)) == 3


FORGED_TIME = "zoe/x_zoe_attempt_2026-01-01-00-00-00_exercises_01.ipynb"


@pytest.mark.parametrize("place", [FORGED_TIME, "zoe/it.zip"])
@pytest.mark.parametrize("known", [True, False])
def test_nobody_chooses_the_time_of_handing_in(room, of, tmp_path, place, known):
    """Neither by a name like Blackboard's nor by the dates within one's own zip file."""
    if known:
        roster.take(room, ROSTER)
    content = of("zoe") if place == FORGED_TIME else zipped({})
    files = {place: content, "anna/exercises_01.ipynb": of("anna")}
    origin = handed_in(tmp_path / "in", files)
    if place != FORGED_TIME:
        with zipfile.ZipFile(origin / place, "w") as archive:
            for name in ("a", "b"):
                info = zipfile.ZipInfo(f"{name}.ipynb", (2020, 1, 1, 0, ord(name) - 96, 0))
                archive.writestr(info, of(name))
    os.utime(origin / place, (1_800_000_000, 1_800_000_000))
    result = collecting.collect(origin, room, LESSON)
    if not known and place == FORGED_TIME:
        assert [it.reason for it in result.unclear] == [
            "the folder zoe may be one student's or many students'"
        ]
        return
    row = attempts.by_student(room, LESSON)["zoe"]
    assert row["handed in"].startswith("2027-01-15")
    assert (row["layout"], who(room, "zoe")) == ("folder", "zoe" if place == FORGED_TIME else "b")


def test_the_dates_within_a_class_s_zip_file_count(room, of, tmp_path):
    roster.take(room, ROSTER)
    for name in ("monday", "tuesday"):
        origin = handed_in(tmp_path / "in", {f"{name}.zip": zipped({})})
    for name, student in (("monday", "anna"), ("tuesday", "zoe")):
        with zipfile.ZipFile(origin / f"{name}.zip", "w") as archive:
            place = f"{student}_exercises_01.ipynb"
            archive.writestr(zipfile.ZipInfo(place, (2026, 11, 1, 0, 0, 0)), of(student))
    collecting.collect(origin, room, LESSON)
    times = {it["handed in"][:10] for it in attempts.taken(room)}
    assert (room.students(LESSON), times) == (["anna", "zoe"], {"2026-11-01"})


def test_an_older_file_of_the_same_name_replaces_none(room, of, tmp_path):
    place = "anna/exercises_01.ipynb"
    for name, when in (("new", 1_700_009_000), ("old", 1_700_000_000)):
        origin = handed_in(tmp_path / name, {place: of(name)})
        os.utime(origin / place, (when, when))
        result = collecting.collect(origin, room, LESSON)
    assert who(room, "anna") == "new"
    assert "stays, because the file of that name here is older" in result.done["anna"]
