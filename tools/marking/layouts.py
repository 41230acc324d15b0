"""How learning platforms name what they hand over: one table, and every row has a test.

A rule looks at one part of a file's path, the outermost first. Its groups say what the platform
wrote there: `name` (of a person), `id` (that the platform knows the person by), `late`, `time`,
`number` (of the attempt or the copy), `serial` (which rises with every file that is handed in) and
`file` (the name that the student gave). That name may look like a platform's, so of several
readings the one counts in which the platform's own part is the shortest.
"""

import re
from pathlib import PurePosixPath
from typing import NamedTuple

NOTEBOOK = r"exercises[_ -]?\d+"
TIME = r"\d{4}(?:-\d\d){5}"


class Rule(NamedTuple):
    """One layout; `example` is a path, and `found` what the rule reads from it."""

    platform: str
    pattern: str
    example: str
    found: dict


RULES = (
    Rule(
        "moodle",
        r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+(?:_(?P<file>.*))?",
        "Zoë Müller_4711_assignsubmission_file_/exercises_01.ipynb",
        {"name": "Zoë Müller", "id": "4711"},
    ),
    Rule(
        "moodle",
        r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+(?:_(?P<file>.*))?",
        "Zoë Müller_4711_assignsubmission_file_exercises_01.ipynb",
        {"name": "Zoë Müller", "id": "4711"},
    ),
    Rule(  # since Moodle 4.1 without the last underscore
        "moodle",
        r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+(?:_(?P<file>.*))?",
        "Zoë Müller_4711_assignsubmission_file/exercises_01.ipynb",
        {"name": "Zoë Müller", "id": "4711"},
    ),
    Rule(
        "canvas",
        r"(?P<name>[^_]+)_(?P<late>(?i:LATE)_)?(?P<id>\d+)_(?P<serial>\d+)_(?P<file>.+)",
        "mullerzoe_12345_67890_exercises_01-2.ipynb",
        {"name": "mullerzoe", "id": "12345", "number": 2, "serial": 67890},
    ),
    Rule(
        "canvas",
        r"(?P<name>[^_]+)_(?P<late>(?i:LATE)_)?(?P<id>\d+)_(?P<serial>\d+)_(?P<file>.+)",
        "mullerzoe_LATE_12345_67890_exercises_01.ipynb",
        {"name": "mullerzoe", "id": "12345", "late": True},
    ),
    Rule(
        "blackboard",
        rf"(?P<title>.+?)_(?P<id>[^_]+)_attempt_(?P<time>{TIME})(?:_(?P<file>.+)|\.txt)",
        "Exercises 1_zmueller_attempt_2026-11-20-10-11-12_exercises_01.ipynb",
        {"id": "zmueller", "time": "2026-11-20 10:11:12"},
    ),
    Rule(
        "github",
        r"(?P<title>[A-Za-z]+(?:-[A-Za-z]+)*-\d+)-(?P<id>[A-Za-z0-9][A-Za-z0-9-]*)",
        "exercises-1-submissions/exercises-1-zoe-m/exercises_01.ipynb",
        {"id": "zoe-m"},
    ),
    Rule(
        "google",
        rf"(?P<name>.+?) - (?P<file>(?:Copy of |Kopie von )?{NOTEBOOK}.*)",
        "Exercises 1/Zoë Müller - exercises_01.ipynb",
        {"name": "Zoë Müller"},
    ),
    Rule(
        "google",
        rf"(?P<file>{NOTEBOOK}) - (?P<name>.+?)(?: ?\(\d+\))?\.ipynb",
        "Exercises 1/exercises_01 - Zoë Müller.ipynb",
        {"name": "Zoë Müller"},
    ),
)
PLATFORMS = {rule.platform for rule in RULES}
NOT_A_PERSON = re.compile(r"(?i)exercises-\d+-submissions?")
BEFORE = re.compile(rf"(?i)(?P<name>.+?)[ _-]+(?:Copy of |Kopie von )?{NOTEBOOK}\b.*")
COPIES = (  # what browsers, Jupyter and platforms add to the name of a second file
    r" ?\((\d+)\)", r"-Copy(\d+)", r"-(\d+)", r" - Copy", r" - Kopie", r" Copy",
)  # fmt: skip
LONGEST = 255  # letters of a name, and folders of a path, that are looked at
ENDINGS = (".ipynb", ".ipynb.txt", ".ipynb.json")


class Whose(NamedTuple):
    """What a path says about whose a file is; empty where it says nothing.

    `outer` is the folder in which something lies that is called as a platform calls it: a
    download's, or that of a student who chose the name.
    """

    platform: str = ""
    name: str = ""
    id: str = ""
    late: bool = False
    time: str = ""
    number: int = 0
    title: str = ""
    serial: int = 0
    outer: str = ""


def parts_of(place):
    """Return the parts of a path in a folder or a zip file that can tell something."""
    parts = PurePosixPath(place.replace("\\", "/")).parts
    return [part[:LONGEST] for part in parts[:LONGEST] if part.strip("/. ")]


def is_blackboards_note(place):
    """Tell whether Blackboard itself wrote a text, which lies beside each student's files."""
    name = parts_of(place)[-1]
    return name.lower().endswith(".txt") and any(
        found and found.groupdict().get("file") is None
        for rule in RULES
        if rule.platform == "blackboard" and (found := re.fullmatch(rule.pattern, name))
    )


def stem(name):
    """Return (a notebook's name without endings and signs of a copy, number of the copy).

    Examples
    --------
    >>> stem("Copy of exercises_01 (2).ipynb"), stem("exercises_01-1.IPYNB.txt")
    (('exercises_01', 2), ('exercises_01', 1))
    """
    name = re.sub(r"(?i)\.ipynb(\.txt|\.json)?$", "", name.strip())
    name = re.sub(r"(?i)^(?:Copy of |Kopie von )+", "", name)
    for pattern in COPIES:
        found = re.search(pattern + "$", name)
        if found:
            return name[: found.start()].strip(), int(found[1]) if found.groups() else 1
    return name, 0


def whose(place, common=(), ignored=()):
    """Read a path.

    Parameters
    ----------
    place : str
        The path of a file in what the platform handed over.
    common : sequence of str
        Folders that all files lie in.
    ignored : collection of str
        Names of folders that are nobody's.

    Returns
    -------
    Whose
    """
    parts = parts_of(place)
    number = stem(parts[-1])[1] if parts else 0
    for n, part in enumerate(parts):
        for rule in RULES:
            found = None if NOT_A_PERSON.fullmatch(part) else re.fullmatch(rule.pattern, part)
            if found:
                outer = [it for it in parts[len(common) : n] if it not in ignored]
                own = _read(rule.platform, found.groupdict(), number)
                return own._replace(outer=_unpacked(outer[0]) if outer else "")
    folders = [it for it in parts[len(common) : -1] if it not in ignored]
    if folders:
        return Whose("folder", name=_unpacked(folders[0]), number=number)
    if name := before(place):
        return Whose("file", name=name, number=number)
    left = [it for it in common if it not in ignored]
    return Whose("common", name=left[-1] if left else "", number=number)


def _unpacked(folder):
    return re.sub(r"(?i)\.zip$", "", folder)


def before(place):
    """Return what stands before the notebook's name in a file's, or an empty text."""
    found = BEFORE.fullmatch(parts_of(place)[-1]) if parts_of(place) else None
    name = found["name"] if found else ""
    return "" if re.fullmatch(r"(?i)copy of|kopie von", name) else name


def _read(platform, groups, number):
    time = groups.get("time") or ""
    if time:
        date, clock = time[:10], time[11:].replace("-", ":")
        time = f"{date} {clock}"
    texts = {key: groups.get(key) or "" for key in ("name", "id", "title")}
    serial = int(groups.get("serial") or 0)
    late = bool(groups.get("late"))
    return Whose(platform, late=late, time=time, number=number, serial=serial, **texts)
