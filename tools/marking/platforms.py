"""The way back: marks and pages in the form that the class's platform takes."""

import csv
import io
import re
import zipfile

from . import attempts, layouts, roster
from .files import Problem, write_whole

COLUMNS = {  # what each platform knows a student by in the file that it imports
    "canvas": {
        "Student": "name", "ID": "number", "SIS User ID": "sis", "SIS Login ID": "login",
        "Section": "section",
    },
    "moodle": {
        "Username": "login", "ID number": "sis", "Email address": "email", "Full name": "name",
    },
    "blackboard": {
        "Last Name": "last", "First Name": "first", "Username": "login", "Student ID": "sis",
    },
}  # fmt: skip
SAME = (  # a title that names the lesson's exercises and nothing else
    r"(?i)(?:assignment: )?(?:{notebook}|(?:exercises?|lesson|assignment|homework|übung|aufgabe)"
    r"[ _-]*0*{number})(?:: (?!.*(?:quiz|exam|test)).*)?"
)
TWO_NUMBERS = r".*?_\d+_\d+_"  # by which Canvas knows a file, whatever stands before them
ADDED = r" *(?:\(\d+\)|\((?i:real)\)|\[.*\] *\|\d+)$"  # what platforms add to a title


def marks_file(classroom, lesson, rows):
    """Write the file of a lesson that the class's platform imports; return its path, or None.

    Who is not marked in full is not in it: on some platforms an empty cell takes points away.

    Parameters
    ----------
    classroom : Classroom
    lesson : Lesson
    rows : list of dict
        The lesson's marks.
    """
    students = list(roster.load(classroom).values())
    platform = next((it.platform for it in students if it.platform), "")
    if not platform:
        return None
    wanted = {name: field for name, field in COLUMNS[platform].items() if _used(students, field)}
    lines = [[*wanted, column(lesson, roster.head(classroom))]]
    if platform == "canvas":
        most = next((row["max"] for row in rows if "max" in row), "")
        lines.append(["    Points Possible", *[""] * (len(wanted) - 1), most])
    totals = {row["student"]: row["total"] for row in rows if row.get("complete")}
    for student in students:
        if student.id in totals:
            own = [_value(student, field) for field in wanted.values()]
            lines.append([*own, totals[student.id]])
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if platform == "blackboard" else csv.QUOTE_MINIMAL
    csv.writer(text, quoting=quoting).writerows(lines)
    path = classroom.folder / f"marks_for_{platform}.csv"
    write_whole(classroom, path, text.getvalue())
    return path


def column(lesson, head):
    """Return the title of a lesson's column: the platform's own, or the notebook's name."""
    pattern = SAME.format(number=int(lesson.number), notebook=re.escape(lesson.notebook))
    same = [it for it in head if re.fullmatch(pattern, re.sub(ADDED, "", it.strip()))]
    return same[0] if len(same) == 1 else lesson.notebook


def _used(students, field):
    return any(_value(it, field) for it in students) or field in ("name", "number", "sis", "login")


def _value(student, field):
    family, _, given = student.name.partition(",")
    if field in ("last", "first"):
        return (family if field == "last" else given).strip()
    return getattr(student, field)


def pages_file(classroom, lesson):
    """Write all pages of a lesson into one zip file, named as the platform wants them back."""
    path = classroom.folder / f"feedback_{lesson.notebook}.zip"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for student, name in _page_names(classroom, lesson).items():
            page = classroom.file("feedback", lesson, student)
            if page.exists():
                info = zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0))
                archive.writestr(info, page.read_bytes(), zipfile.ZIP_DEFLATED)
    write_whole(classroom, path, packed.getvalue())
    return path


def _page_names(classroom, lesson):
    """Return the name of each student's page in the zip file of all pages."""
    taken, known = attempts.by_student(classroom, lesson), roster.load(classroom)

    def name(student):
        own, it = page_name(taken.get(student, {}).get("file", ""), student, lesson), student
        number = known[it].number.rpartition(" ")[2] if it in known else ""
        if own == _unnamed(it, lesson) and number.isdigit() and known[it].platform == "moodle":
            person = re.sub(r"[_/\\]+", " ", known[it].name)
            return f"{person}_{number}_assignsubmission_file/{lesson.notebook}.html"
        return own

    return {it: name(it) for it in classroom.students(lesson)}


def _unnamed(student, lesson):
    return f"{student}/{lesson.notebook}.html"


def unplaced(classroom, lesson):
    """Return a `Problem` for each whose page Canvas or Moodle cannot place: a group's members."""
    known = roster.load(classroom)
    why = "the platform gave no file of this student, and cannot place the page in the zip file"
    return [
        Problem(it, why, f"send {classroom.file('feedback', lesson, it)} yourself")
        for it, name in _page_names(classroom, lesson).items()
        if it in known and known[it].platform in ("canvas", "moodle")
        and name == _unnamed(it, lesson)
    ]  # fmt: skip


def page_name(place, student, lesson):
    """Return the name under which a platform takes a page for the file that it handed over.

    Moodle looks at NAME_NUMBER_assignsubmission_file_, Canvas at the two numbers.

    Examples
    --------
    >>> from tools.marking.classroom import Lesson
    >>> one = Lesson("01_x", "exercises_01")
    >>> page_name("Zoë M_47_assignsubmission_file_/Untitled.ipynb", "zoe", one)
    'Zoë M_47_assignsubmission_file_/exercises_01.html'
    >>> page_name("mzoe_LATE_1_2_exercises_01-1.ipynb", "zoe", one)
    'mzoe_LATE_1_2_exercises_01-1.html'
    >>> page_name("smith_jrzoe_1_2_exercises_01.ipynb", "zoe", one)
    'smith_jrzoe_1_2_exercises_01.html'
    >>> page_name("our_class_2026_11_homework/zoe/exercises_01.ipynb", "zoe", one)
    'zoe/exercises_01.html'
    """
    name = lesson.notebook
    parts = layouts.parts_of(place)
    for part in parts:
        platform = layouts.whose(part).platform
        moodle = re.match(r".+?_\d+_assignsubmission_[a-z]+(?=_|$)_?", part)
        if moodle:
            folder = "/" if part == moodle[0] else ""
            return f"{moodle[0]}{folder}{name}.html"
        flat = len(parts) == 1 and re.match(TWO_NUMBERS, part)
        if platform in ("canvas", "blackboard") or flat:
            return re.sub(r"(?i)(\.ipynb(\.txt|\.json)?|\.zip)$", "", part) + ".html"
    return _unnamed(student, lesson)
