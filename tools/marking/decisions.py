"""What a person put right by hand: whose a file is, and which file is nobody's."""

import json
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry

from . import roster, sources
from .files import digest, locked, write_whole

NOBODY = "-"


def decided(classroom, lesson):
    """Return whose the files are that a person decided about: student's id by digest."""
    path = classroom.folder / "decisions.json"
    if not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8")).get(lesson.number, {})


def _decide(classroom, lesson, content, student):
    path = classroom.folder / "decisions.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known.setdefault(lesson.number, {})[digest(content)] = student
    write_whole(classroom, path, json.dumps(known, indent=1))


def stored(classroom, lesson, student, content):
    """Store a submission: None if it was there already, else whether another one was."""
    path = classroom.file("submitted", lesson, student)
    if path.exists() and path.read_bytes() == content:
        return None
    again = path.exists()
    write_whole(classroom, path, content)
    return again


def assign_to(classroom, lesson, student, place):
    """Make a file, also one in a zip file, a student's submission, whatever its name says."""
    content = _content(Path(place))
    known = roster.load(classroom)
    if known and student not in known:
        raise SystemExit(f"STUDENT={student} is not in the roster")
    if not student or student != roster.safe(student):
        raise SystemExit(f"STUDENT={student}: letters, digits and . _ @ - only, please")
    with locked(classroom):
        _decide(classroom, lesson, content, student)
        stored(classroom, lesson, student, content)


def _content(path):
    for above in (path, *path.parents):
        if above.is_file() and above == path:
            return path.read_bytes()[: sources.LARGEST]
        if above.is_file() and zipfile.is_zipfile(above):
            wanted = path.relative_to(above).as_posix()
            for file in sources.files(above):
                if file.place == wanted:
                    return file.read()
    raise SystemExit(f"FILE={path} does not exist")


def remove(classroom, lesson, student):
    """Take a misplaced submission out of the class: its file, its marks, its page."""
    path = classroom.file("submitted", lesson, student)
    if not path.exists():
        raise SystemExit(f"STUDENT={student} has handed in nothing of {lesson.assignment}")
    with locked(classroom):
        _decide(classroom, lesson, path.read_bytes(), NOBODY)
        with Gradebook(classroom.gradebook) as gradebook, suppress(MissingEntry):
            gradebook.remove_submission(lesson.assignment, student)
        for step in ("feedback", "autograded", "submitted"):
            shutil.rmtree(classroom.file(step, lesson, student).parent, ignore_errors=True)
        classroom.reason(lesson, student).unlink(missing_ok=True)
