"""The files in a folder or a zip file, zip files within it opened, and nothing read at once."""

import io
import os
import zipfile
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

LARGEST = 10_000_000  # bytes; a notebook of this course has some thousand
INNER = 200_000_000  # bytes of all zip files within zip files
FILES, DEPTH = 100_000, 3  # files in all; zip files within zip files
UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # what stands for letters in names that are no UTF-8
IGNORED = ("__MACOSX", ".ipynb_checkpoints", ".git")


class File(NamedTuple):
    """A file that was handed in; `read()` returns its bytes, or the start of them."""

    place: str
    when: datetime
    size: int
    read: Callable


def files(origin):
    """Yield the files of a folder or a zip file; follows no link.

    Raises
    ------
    SystemExit
        If it is neither, or if it holds more files than any class hands in.
    """
    found = _in_folder(origin) if origin.is_dir() else _in_file(origin)
    for number, file in enumerate(found):
        if number >= FILES:
            raise SystemExit(f"{origin} holds more than {FILES} files: give the class's folder")
        yield file


def shown(place):
    """Return a path as text; a letter of no known alphabet becomes a sign that stands for it."""
    return os.fsencode(place).decode("utf-8", "replace")


def _in_folder(origin):
    for path in sorted(origin.rglob("*")):
        place = path.relative_to(origin)
        linked = any((origin / it).is_symlink() for it in (place, *place.parents))
        if linked or not path.is_file() or set(IGNORED) & set(place.parts):
            continue
        stat = path.stat()
        when = datetime.fromtimestamp(stat.st_mtime)
        if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
            yield from _in_zip(path, shown(place) + "/", when, 1)
        else:
            yield File(shown(place), when, stat.st_size, _of(path))


def single(path):
    """Return one file of this computer."""
    stat = path.stat()
    return File(shown(path), datetime.fromtimestamp(stat.st_mtime), stat.st_size, _of(path))


def _of(path):
    def read(limit=LARGEST):
        try:
            with open(path, "rb") as file:
                return file.read(limit)
        except OSError:
            return b""  # it will be told as damaged

    return read


def _in_file(origin):
    if not zipfile.is_zipfile(origin):
        raise SystemExit(f"FROM={origin} is neither a folder nor a zip file")
    yield from _in_zip(origin, "", datetime.fromtimestamp(origin.stat().st_mtime), 1)


def _in_zip(archive, before, when, depth, room=None):
    """Yield the files of a zip file, given by its path or as an open file.

    `room` is what zip files within zip files may still take of the memory.
    """
    room = room or [INNER]
    try:
        opened = zipfile.ZipFile(archive)
    except Exception:  # whatever is wrong with it, it is this file's alone
        yield File(before.rstrip("/"), when, 0, lambda limit=0: b"")
        return
    for info in opened.infolist():
        if info.is_dir() or any(it in info.filename.split("/") for it in IGNORED):
            continue
        place, read = before + info.filename, _member(opened, info)
        inner = place.lower().endswith(".zip") and depth < DEPTH and info.file_size <= room[0]
        if inner:
            room[0] -= info.file_size
            inside = io.BytesIO(read(info.file_size))
            yield from _in_zip(inside, place + "/", _date(info, when), depth + 1, room)
        else:
            yield File(place, _date(info, when), info.file_size, read)


def _member(opened, info):
    def read(limit=LARGEST):
        try:
            with opened.open(info) as file:
                return file.read(limit)
        except Exception:  # damaged data raise the errors of zlib, bz2 and lzma as well
            return b""  # it will be told as damaged

    return read


def _date(info, otherwise):
    try:
        return datetime(*info.date_time)
    except ValueError:
        return otherwise
