"""Fetch a zip archive once, check what is in it, and put it in place whole or not at all.

pooch and `keras.utils.get_file` download well, but they start from zero after an interruption
and compare the bytes of the zip file, which GitHub may pack anew at any time. Hence these few
functions on requests (the transfer) and filelock (two notebooks at once).
"""

import errno
import hashlib
import logging
import os
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import requests
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

MEGABYTE = 1e6
PIECE = 2**16  # bytes that are written at a time
PATIENCE = 10, 60  # seconds until a server must be found, and must send something

_log = logging.getLogger(__name__)


class DownloadError(Exception):
    """What is wanted is not here and could not be had; the message says why."""


class _WrongContent(Exception):
    """The archive is damaged, or another one."""


@dataclass(frozen=True)
class Content:
    """What an archive must hold below its one top folder, however it is packed.

    Attributes
    ----------
    files : int
        How many.
    size : int
        Their bytes, unpacked.
    sha256 : str
        The SHA-256 of what `sha256sum` prints for all files in the order of their names.
    """

    files: int
    size: int
    sha256: str


def fetch_archive(source, folder, content, progress=True):
    """Return a folder with the unpacked content of an archive, after getting it if need be.

    A download that breaks off goes on where it stopped, now or at the next call. The folder
    appears with its right and complete content, or not at all; if several processes ask for
    it, one works and the others wait.

    Parameters
    ----------
    source : str or path
        A web address, or a file on this computer.
    folder : str or path
        Where the content is, or will be.
    content : Content
        What is accepted.
    progress : bool
        Whether to show a bar during a download.

    Returns
    -------
    Path

    Raises
    ------
    DownloadError
        If it is not there and could not be had.
    """
    folder = Path(folder)
    try:
        if not _is_complete(folder, content):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _alone(folder):
                if not _is_complete(folder, content):  # another process may have been faster
                    _get_and_unpack(source, folder, content, progress)
    except OSError as error:
        raise DownloadError(_said_of_disk(error, folder.parent, content)) from error
    return folder


def _is_complete(folder, content):
    """Whether all is there: a folder gets its name after the check, but files can go astray."""
    visible = [path for path in folder.rglob("[!.]*") if path.is_file()]
    sizes = [path.stat().st_size for path in visible]
    return len(sizes) == content.files and sum(sizes) == content.size


def _alone(folder):
    """Return a lock that one process holds; the system opens it when that process ends."""
    lock = FileLock(f"{folder}.lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        _log.warning("another process is getting %s: waiting for it", folder.name)
        return lock.acquire()


def _get_and_unpack(source, folder, content, progress):
    if "://" not in str(source):
        try:
            return _unpack(Path(source), folder, content)
        except _WrongContent as error:
            raise DownloadError(f"{source} {error}") from error
        except FileNotFoundError as error:
            raise DownloadError(f"there is no file {source}") from error
    whole = folder.with_name(f"{folder.name}.zip")
    part = folder.with_name(f"{folder.name}.zip.part")
    first_hand = not (whole.exists() or part.exists())
    try:
        if not whole.exists():
            _download(source, part, progress)
            os.replace(part, whole)
        _unpack(whole, folder, content)
    except _WrongContent as error:
        whole.unlink()
        if first_hand:
            raise DownloadError(f"what {source} sends {error}") from error
        return _get_and_unpack(source, folder, content, progress)  # once more, from zero
    whole.unlink()


def _download(address, part, progress):
    """Download to the file `part`, from where it ends; go on after each break that got further."""
    while True:
        before = _size(part)
        try:
            return _request(address, part, progress)
        except requests.HTTPError as error:
            answer = f"{error.response.status_code} {error.response.reason}"
            raise DownloadError(f"{address} answers {answer!r}") from error
        except requests.RequestException as error:
            if _size(part) > before:
                continue
            server = urlsplit(address).netloc
            if not before:
                raise DownloadError(f"{server} cannot be reached, or breaks off") from error
            kept = f"{before / MEGABYTE:.1f} MB are kept, and the next attempt goes on from there"
            raise DownloadError(f"the connection to {server} broke: {kept}") from error


def _request(address, part, progress):
    start = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(address, headers=headers, stream=True, timeout=PATIENCE) as answer:
        if start and answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is missing, or the check of the content will find out
        answer.raise_for_status()
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            start = 0  # the server sends all of it
        length = int(answer.headers.get("Content-Length", 0))
        bar = tqdm(
            desc=part.stem,
            initial=start,
            total=start + length if length else None,
            unit="B",
            unit_scale=True,
            disable=not progress,
        )
        with bar, part.open("ab" if start else "wb") as file:
            for piece in answer.iter_content(PIECE):
                file.write(piece)
                bar.update(len(piece))


def _unpack(path, folder, content):
    """Check an archive while unpacking it beside `folder`; only then give it that name."""
    beside = folder.with_name(f"{folder.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive)
            size = sum(member.file_size for member in members.values())
            if (len(members), size) != (content.files, content.size):
                raise _WrongContent(
                    f"holds {len(members)} files of {size} bytes together, where the course "
                    f"knows {content.files} of {content.size}"
                )
            lines = hashlib.sha256()
            for name in sorted(members):
                data = archive.read(members[name])
                lines.update(f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode())
                (beside / name).parent.mkdir(parents=True, exist_ok=True)
                (beside / name).write_bytes(data)
        if lines.hexdigest() != content.sha256:
            raise _WrongContent("does not hold the files that the course knows (other SHA-256)")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(beside, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise _WrongContent(f"is not a sound zip archive: {error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _members(archive):
    """Return {name below the top folder: member}; refuse names that lead out of it."""
    members = {}
    for member in archive.infolist():
        name = PurePosixPath(member.filename)
        odd = name.is_absolute() or ".." in name.parts or set(member.filename) & set("\\:")
        if odd or not (member.is_dir() or name.parts[1:]):
            raise _WrongContent(f"holds {member.filename!r}, a name that leads out of its folder")
        if not member.is_dir():
            members["/".join(name.parts[1:])] = member
    return members


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _said_of_disk(error, folder, content):
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space is left in {folder}: {2 * content.size / MEGABYTE:.0f} MB are needed"
    return f"{folder} cannot be used: {error.strerror or error}"
