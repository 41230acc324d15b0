"""The files in a folder or a zip file, zip files within it opened, and nothing read at once."""

import io
import os
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

LARGEST = 10_000_000  # bytes; a notebook of this course has some thousand
INNER, MANY = 200_000_000, 1_000  # bytes of the zip files, and files, in one student's zip file
LIST, NAME = 10_000_000, 1_000  # bytes of a zip file's list of contents; letters of a name
CLASS = 20_000  # files of a zip file in a folder, which may be a student's or a whole class's
FILES, DEPTH = 100_000, 3  # files in all; zip files within zip files
UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # what stands for letters in names that are no UTF-8
IGNORED = (
    "__MACOSX", ".ipynb_checkpoints", ".git", "site-packages", "node_modules", "__pycache__",
    ".DS_Store", "Thumbs.db", "desktop.ini",
)  # fmt: skip
KEPT = {}  # by depth: the zip file within another that was used last, and it opened


class File(NamedTuple):
    """A file that was handed in; `read()` returns its bytes, or the start of them.

    `zips` has (place, time) of the zip files in which it lies, the outermost first; `packed` is
    the time of the one that its student made, who may have put any time on what is in it.
    """

    place: str
    when: datetime
    size: int
    read: Callable
    zips: tuple = ()
    packed: datetime = datetime.min

    @property
    def handed_in(self):
        """The time at which it was handed in, as a text."""
        return str(max(self.when, self.packed))[:19]


def files(origin):
    """Yield the files of a folder or a zip file; follows no link.

    Raises
    ------
    SystemExit
        If it is neither, or if it holds more files than any class hands in.
    """
    found = _in_folder(origin) if origin.is_dir() else _in_file(origin)
    held = Counter()
    for number, file in enumerate(found):
        held[file.zips[0][0].rstrip("/") if file.zips else ""] += 1
        if number >= FILES:
            name, most = held.most_common(1)[0]
            where = f" ({most} in {name}: take it out)" if name else ""
            raise SystemExit(
                f"{origin} holds more than {FILES} files{where}: give the class's folder"
            )
        yield file


def shown(place):
    """Return a path as text; a letter of no known alphabet becomes a sign that stands for it."""
    return os.fsencode(place).decode("utf-8", "replace")


def kept(file, content):
    """Return what is stored of a `File` with some content: of a large one nothing but its size."""
    return content if file.size <= LARGEST else f"TOO LARGE {file.size}".encode()


def _in_folder(origin):
    for path in sorted(origin.rglob("*")):
        place = path.relative_to(origin)
        linked = any((origin / it).is_symlink() for it in (place, *place.parents))
        if linked or not path.is_file() or _ignored(place.as_posix()):
            continue
        stat = path.stat()
        when = datetime.fromtimestamp(stat.st_mtime)
        if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
            yield from _in_zip(
                _Inner(lambda path=path: _OnDisk(path), 0),
                shown(place) + "/",
                when,
                1,
                [INNER, CLASS],
            )
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
    try:
        opened = _opened(_OnDisk(origin))
    except Exception as error:
        raise SystemExit(f"FROM={origin} is damaged ({error}): download it again") from None
    yield from _in_zip(lambda: opened, "", datetime.fromtimestamp(origin.stat().st_mtime), 1)


class _Listed:
    """A zip file that is not read if its list of contents alone would fill the memory."""

    is_listed = False

    def read(self, size=-1):
        """Read as ever; the list is what zipfile reads at one go, before anything else."""
        if not self.is_listed and size > LIST:
            raise zipfile.BadZipFile(f"its list of contents has {size / 1e6:.0f} MB")
        return super().read(size)


class _OnDisk(_Listed, io.FileIO):
    pass


class _InMemory(_Listed, io.BytesIO):
    pass


def _opened(file):
    archive = zipfile.ZipFile(file)
    file.is_listed = True
    return archive


class _Inner:
    """A zip file in a folder or in another one; of each depth only the last one stays open.

    Parameters
    ----------
    file : callable
        Returns it as an open file.
    depth : int
    """

    def __init__(self, file, depth):
        self.file, self.depth = file, depth

    def __call__(self):
        owner, archive = KEPT.pop(self.depth, (None, None))
        if owner is not self:
            archive = _opened(self.file())
        KEPT[self.depth] = self, archive
        return archive


def _in_zip(archive, before, when, depth, room=None, zips=()):
    """Yield the files of a zip file.

    Parameters
    ----------
    archive : callable
        Returns it opened.
    before : str
        Where it lies; empty for what the platform handed over.
    when : datetime
    depth : int
    room : list of int, optional
        The bytes of zip files, and the files, that a student's zip file may still hold.
    zips : tuple
        The zip files around it, see `File`.
    """
    zips = (*zips, (before, when)) if before else ()
    try:
        members = [
            it for it in archive().infolist() if not it.is_dir() and not _ignored(it.filename)
        ]
    except Exception:  # whatever is wrong with it, it is this file's alone
        yield File(before.rstrip("/"), when, 0, _nothing)
        return
    if room:
        kept = _few(members, room)
        if len(kept) < len(members):
            number = len(members) - len(kept)
            yield File(f"{before.rstrip('/')} ({number} more files)", when, 0, _nothing)
        members = kept
    if before and not members:
        yield File(before.rstrip("/"), when, 0, _nothing)
    for info in members:
        place, read, date = (
            before + _cut(info.filename),
            _member(archive, info),
            _date(info, when),
        )
        own = room or [INNER, MANY]
        if place.lower().endswith(".zip") and depth < DEPTH and info.file_size <= own[0]:
            own[0] -= info.file_size
            inner = _Inner(lambda read=read, size=info.file_size: _InMemory(read(size)), depth)
            yield from _in_zip(inner, place + "/", date, depth + 1, own, zips)
        else:
            yield File(place, date, info.file_size, read, zips)


def _few(members, room):
    """Return the members of a student's zip file; of very many only what may be a notebook.

    `room` has the bytes and the files that it may still hold.
    """
    if len(members) > MANY:
        members = [it for it in members if re.search(r"(?i)\.ipynb|\.zip$", it.filename)]
        members = members[: room[1]]
    room[1] -= len(members)
    return members


def _cut(name):
    """Return a name without its middle if no folder could hold it."""
    return name if len(name) <= NAME else name[: NAME // 2] + name[-NAME // 2 :]


def _ignored(name):
    parts = name.split("/")
    return any(it in IGNORED for it in parts) or parts[-1].startswith("._")  # a Mac's companions


def _nothing(limit=0):
    return b""


def _member(archive, info):
    def read(limit=LARGEST):
        try:
            with archive().open(info) as file:
                return file.read(limit)
        except Exception:  # damaged data raise the errors of zlib, bz2 and lzma as well
            return b""  # it will be told as damaged

    return read


def _date(info, otherwise):
    try:
        return datetime(*info.date_time)
    except ValueError:
        return otherwise
