"""What a person put right by hand: whose a file is, and which file is nobody's."""

import json
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry

from . import attempts, roster, sources
from .files import digest, locked, write_whole

NOBODY = "-"


def decided(classroom, lesson):
    """Return a function from (place, digest) of a file to whose it is by a person's word, or "".

    The same blank notebook may be handed in by many, so the place must be the same, too.
    """
    known = _all(classroom).get(lesson.number, [])

    def student(place, own):
        for it in known:
            if it["digest"] == own and f"/{it['file']}".endswith(f"/{place}"):
                return it["student"]
        return ""

    return student


def _all(classroom):
    path = classroom.folder / "decisions.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _decide(classroom, lesson, content, place, student):
    known = _all(classroom)
    own = {"digest": digest(content), "file": place}
    before = [it for it in known.get(lesson.number, []) if own.items() - it.items()]
    known[lesson.number] = [*before, {**own, "student": student}]
    write_whole(classroom, classroom.folder / "decisions.json", json.dumps(known, indent=1))


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
        _decide(classroom, lesson, content, Path(place).as_posix(), student)
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
        for row in attempts.taken(classroom):
            if row["student"] == student and row["lesson"] == lesson.number and row["taken"]:
                _decide(classroom, lesson, path.read_bytes(), row["file"], NOBODY)
        with Gradebook(classroom.gradebook) as gradebook, suppress(MissingEntry):
            gradebook.remove_submission(lesson.assignment, student)
        for step in ("feedback", "autograded", "submitted"):
            shutil.rmtree(classroom.file(step, lesson, student).parent, ignore_errors=True)
        classroom.reason(lesson, student).unlink(missing_ok=True)
