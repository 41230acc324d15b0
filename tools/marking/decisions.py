"""What a person put right by hand: whose a file is, and which file is nobody's."""

import json
import os
import re
import shlex
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nbgrader.api import Gradebook, MissingEntry

from . import attempts, layouts, matching, persons, roster, sources
from .files import digest, locked, problems, read_json, settle, write_whole

NOBODY = "-"
ASKED = r"make assign-to [^;]*?\bFILE=((?:'[^']*'|\"'\"|[^\s;'\"])+)"  # the file of a question


def decided(classroom, lesson):
    """Return a function from (place, digest) of a file to whose it is by a person's word, or "".

    The same blank notebook may be handed in by many, so the place must be the same, too.
    """
    known = _all(classroom).get(lesson.number, [])

    def student(place, own):
        for it in reversed(known):
            if it["digest"] == own and f"/{it['file']}".endswith(f"/{place}"):
                return it["student"]
        return ""

    return student


def _all(classroom):
    return read_json(classroom.folder / "decisions.json", {})


def latest(classroom, lesson):
    """Return by student the last decision about a file that is theirs.

    `over` has the digests of the other files that were known of the student then.
    """
    known = _all(classroom).get(lesson.number, [])
    return {it["student"]: it for it in known if it["student"] != NOBODY}


def _decide(classroom, lesson, own, place, student, over=()):
    known = _all(classroom)

    def same(it):
        ends = f"/{it['file']}".endswith(f"/{place}") or f"/{place}".endswith(f"/{it['file']}")
        return it["digest"] == own and ends

    before = [it for it in known.get(lesson.number, []) if not same(it)]
    new = {"digest": own, "file": place, "student": student, "over": list(over)}
    known[lesson.number] = [*before, new]
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
    """Make a file, also one in a zip file, a student's submission, whatever its name says.

    Returns
    -------
    list of str
        The students who had that file until now; it is theirs no more.
    """
    file = _file(Path(place))
    known = roster.load(classroom)
    if known and student not in known:
        called = matching.of_name(known.values(), student)
        if called:
            ids = " or ".join(f"STUDENT={it.id}" for it in called)
            raise SystemExit(f"STUDENT={student}: write the id, {ids}")
        raise SystemExit(
            f"STUDENT={student} is not in the roster: {classroom.command('roster', FROM='...')}, "
            f"or add a line to {classroom.folder / 'roster.csv'}"
        )
    if not student or student != persons.safe(student):
        raise SystemExit(f"STUDENT={student}: letters, digits and . _ @ - only, please")
    with locked(classroom):
        content = file.read()
        if content.startswith(b"PK"):
            raise SystemExit(f"FILE={place} is a zip file: name the file in it, {place}/...")
        own = digest(content)
        over = [it["digest"] for it in attempts.of(classroom, lesson, student) if it["digest"]]
        _decide(classroom, lesson, own, Path(place).as_posix(), student, over)
        stored(classroom, lesson, student, sources.kept(file, content))
        found = _Found(file, layouts.whose(file.place), own)
        before = attempts.of(classroom, lesson, student)
        same = [it["file"] for it in before if f"/{place}".endswith(f"/{it['file']}")]
        row = attempts.row_of(lesson, student, found, True)
        attempts.note(classroom, lesson, [row | {"file": it} for it in same[:1]] or [row])
        settle(classroom, "collect", lesson, lambda it: _is_about(it, student, place))
        wrong = [it for it in _owners(classroom, lesson, place, own) if it != student]
        for other in wrong:
            _take_out(classroom, lesson, other)
        return wrong


def _owners(classroom, lesson, place, own):
    """Return the students whose submission is the file at a place."""
    return [
        it["student"]
        for it in attempts.taken(classroom)
        if it["lesson"] == lesson.number and it["taken"] and it["digest"] == own
        and f"/{place}".endswith(f"/{it['file']}")
        and classroom.file("submitted", lesson, it["student"]).exists()
    ]  # fmt: skip


def _is_about(problem, student, place):
    """Tell whether a row of `problems.csv` asks what a person has answered now.

    A question under a student's id has the file's place before a colon.
    """
    about, is_asked = problem["student"], "make assign-to" in problem["what to do"]
    parts = Path(place).as_posix().split("/")
    names = ["/".join(parts[n:]) for n in range(len(parts))]
    is_named = is_asked and any(problem["reason"].startswith(f"{it}: ") for it in names)
    return about == student or ((about in names or is_named) and not is_another(problem, place))


def is_another(problem, path):
    """Tell whether a question is about a file that is there, and is not the one at a path.

    Of two files with one name, a platform's is the same student's, and the later one counts.
    """
    found = re.search(ASKED, problem["what to do"])
    asked = shlex.split(found[1].replace("$$", "$"))[0] if found else path
    is_platforms = layouts.whose(problem["student"]).platform not in attempts.OWN
    if is_platforms or os.path.abspath(asked) == os.path.abspath(path):
        return False
    before = _content(asked)
    return before is not None and before != _content(path)


def _content(path):
    with suppress(SystemExit, OSError, ValueError, zipfile.BadZipFile):
        return _file(Path(path)).read()
    return None


class _Found(NamedTuple):
    file: sources.File
    whose: layouts.Whose
    digest: str


def _file(path):
    """Return the file, also one in a zip file, that a path names."""
    for above in (path, *path.parents):
        if above.is_file() and above == path:
            return sources.single(path)
        unshown = above.is_dir() and sources.UNKNOWN in path.as_posix()
        if unshown or (above.is_file() and zipfile.is_zipfile(above)):
            wanted = path.relative_to(above).as_posix()
            for file in sources.files(above):
                if file.place == wanted:
                    return file
    raise SystemExit(f"FILE={path} does not exist")


def nobodys(classroom, lesson, place):
    """Say that a file is nobody's: it is not asked about again, nor if it is gone by now."""
    asked = [it for it in problems(classroom) if _is_about(it, "", place)]
    try:
        file = _file(Path(place))
    except SystemExit:
        if not asked:
            raise
        with locked(classroom):
            settle(classroom, "collect", lesson, asked.__contains__)
        return
    with locked(classroom):
        _decide(classroom, lesson, digest(file.read()), Path(place).as_posix(), NOBODY)
        settle(classroom, "collect", lesson, lambda it: _is_about(it, "", place))


def remove(classroom, lesson, student):
    """Take a misplaced submission out of the class: its file, its marks, its page."""
    path = classroom.file("submitted", lesson, student)
    if not path.exists():
        raise SystemExit(f"STUDENT={student} has handed in nothing of {lesson.assignment}")
    with locked(classroom):
        for row in attempts.of(classroom, lesson, student):
            if row["taken"]:
                own = row["digest"] or digest(path.read_bytes())
                _decide(classroom, lesson, own, row["file"], NOBODY)
        _take_out(classroom, lesson, student)


def _take_out(classroom, lesson, student):
    """Take out all that there is of a student; the submission last, so that it can be repeated."""
    attempts.drop(classroom, lesson, student)
    with Gradebook(classroom.gradebook) as gradebook, suppress(MissingEntry):
        gradebook.remove_submission(lesson.assignment, student)
    for ending in (".txt", ".json"):
        classroom.reason(lesson, student).with_suffix(ending).unlink(missing_ok=True)
    for step in ("feedback", "autograded", "submitted"):
        shutil.rmtree(classroom.file(step, lesson, student).parent, ignore_errors=True)
