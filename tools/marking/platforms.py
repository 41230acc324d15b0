"""The way back: marks and pages in the form that the class's platform takes."""

import csv
import io
import re
import zipfile

from . import attempts, layouts, roster
from .files import write_whole

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
    taken = {
        row["student"]: row["file"]
        for row in attempts.taken(classroom)
        if row["lesson"] == lesson.number and row["taken"]
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for student in classroom.students(lesson):
            page = classroom.file("feedback", lesson, student)
            if page.exists():
                name = page_name(taken.get(student, ""), student, lesson)
                info = zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0))
                archive.writestr(info, page.read_bytes(), zipfile.ZIP_DEFLATED)
    write_whole(classroom, path, packed.getvalue())
    return path


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
    return f"{student}/{name}.html"
