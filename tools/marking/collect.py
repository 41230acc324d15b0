"""Find each student's notebook in a folder or in the zip file of a learning platform."""

import codecs
import hashlib
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

LARGEST = 30_000_000  # bytes; a notebook of this course has some thousand
COPY = r"(?:[ _]*\((\d+)\)|-(\d+)| - Copy| Copy|-Copy(\d+))?"  # what browsers and Jupyter add
PLATFORM = (  # what platforms put around a student's name in the names of files
    (r"_assignsubmission_\w*$", ""),  # Moodle: NAME_NUMBER_assignsubmission_file_
    (r"_(?:LATE_)?(\d+)_\d+_?$", r"_\1"),  # Canvas: NAME_USER_SUBMISSION_
    (r"_attempt_[\d-]+_?$", ""),  # Blackboard: EXERCISE_USER_attempt_TIME_
)


class File(NamedTuple):
    """A notebook that was handed in; `read` is a function that returns its bytes."""

    place: str
    when: float | tuple
    size: int
    read: Callable


@dataclass(frozen=True)
class Found:
    """A file that may be a submission: where, which of several, and its content."""

    place: str
    order: tuple
    content: bytes


def collect(origin, classroom, lesson):
    """Copy what students handed in into the class's folder.

    Parameters
    ----------
    origin : path
        A folder or a zip file: one folder a student, or one file a student whose name contains
        the student's and the notebook's.
    classroom : Classroom
    lesson : Lesson

    Returns
    -------
    dict of str to str
        What was done for each student, in words.
    list of str
        What was left out, and why.
    """
    files = list(_files(Path(origin)))
    folders = [_folders(file.place, lesson) for file in files]
    common = [parts[0] for parts in takewhile(_all_equal, zip(*folders))]
    left, found = [], {}
    for file in files:
        raw, number, why = _whose(file.place, common, lesson)
        large = file.size > LARGEST
        if why or large:
            left.append(f"{file.place}: {why or 'it is too large'}")
        if not why:
            content = b"" if large else file.read().removeprefix(codecs.BOM_UTF8)
            found.setdefault(raw, []).append(Found(file.place, (file.when, number), content))
    names = identities(found)
    done = {name: _stored(found[raw], name, classroom, lesson) for raw, name in names.items()}
    return done, left


def _files(origin):
    """Yield the notebooks; follows no link."""
    if origin.is_dir():
        for path in sorted(origin.rglob("*.ipynb")):
            place = path.relative_to(origin)
            if path.is_symlink() or any((origin / it).is_symlink() for it in place.parents):
                continue
            if path.is_file() and ".ipynb_checkpoints" not in place.parts:
                stat = path.stat()
                yield File(place.as_posix(), stat.st_mtime, stat.st_size, path.read_bytes)
    elif zipfile.is_zipfile(origin):
        with zipfile.ZipFile(origin) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".ipynb") and "__MACOSX" not in info.filename:
                    read = _reader(origin, info)
                    yield File(info.filename, info.date_time, info.file_size, read)
    else:
        raise SystemExit(f"{origin} is neither a folder nor a zip file")


def _reader(origin, info):
    def read():
        try:
            with zipfile.ZipFile(origin) as archive, archive.open(info) as file:
                return file.read(LARGEST + 1)[:LARGEST]
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError):
            return b""  # damaged: it will be marked as failed

    return read


def _folders(place, lesson):
    parts = PurePosixPath(place.replace("\\", "/")).parts[:-1]
    return [part for part in parts if part not in ("", "/", ".", "..", lesson.assignment)]


def _all_equal(parts):
    return len(set(parts)) == 1


def _whose(place, common, lesson):
    """Return (the student's name as found, number of the copy, why it is left out)."""
    stem = PurePosixPath(place.replace("\\", "/")).stem
    named = re.search(rf"(?:Copy of )?{re.escape(lesson.notebook)}{COPY}$", stem)
    number = int(next(filter(None, named.groups()), 0)) if named else 0
    before = stem[: named.start()].strip(" _-") if named else ""
    folders = _folders(place, lesson)
    own = folders[len(common) :] or common[-1:]
    platform = [part for part in folders if "_assignsubmission_" in part]
    for raw in (*platform, before, *own):
        if raw:
            return raw, number, ""
    return "", 0, "neither a folder nor the file's name says whose it is"


def identities(raws):
    """Return names that can stand in a path, a pattern and a table; no two are the same.

    Examples
    --------
    >>> list(identities(["Zoe M_47_assignsubmission_file_", "../=cmd", "anna_12_345_"]).values())
    ['Zoe_M_47', 'cmd', 'anna_12']
    """
    names = {}
    for raw in raws:
        name = unicodedata.normalize("NFC", raw)
        for pattern, kept in PLATFORM:
            name = re.sub(pattern, kept, name)
        names[raw] = re.sub(r"[^\w.@-]+", "_", name).strip("._-@")[:80] or "nobody"
    taken = Counter(name.lower() for name in names.values())
    for raw, name in names.items():
        if taken[name.lower()] > 1:
            names[raw] = f"{name}-{hashlib.sha256(raw.encode()).hexdigest()[:6]}"
    return names


def _stored(files, student, classroom, lesson):
    """Keep the newest of a student's files; an unchanged one keeps its date."""
    newest = max(files, key=lambda file: file.order)
    path = classroom.file("submitted", lesson, student)
    path.parent.mkdir(parents=True, exist_ok=True)
    others = f" ({len(files)} files, the newest counts)" if len(files) > 1 else ""
    if path.exists() and path.read_bytes() == newest.content:
        return "unchanged" + others
    again = path.exists()
    path.write_bytes(newest.content)
    return f"{'again ' if again else ''}from {newest.place}{others}"
