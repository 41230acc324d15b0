"""Which student a name or a number in a path means."""

import re
import unicodedata
from difflib import SequenceMatcher

from .persons import is_letter, safe

NUMBERED = ("canvas", "moodle")  # they write a number of their own into the files' names
ACCENT = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]")  # Latin, Hebrew, Arabic
ALIKE = 0.6  # the share of letters that two forms of one name have in common


def plain(name):
    """Return the letters of a name without accents, its words in the order of the alphabet.

    Examples
    --------
    >>> plain("Müller, Zoë") == plain("zoe muller")
    True
    """
    return tuple(sorted(_words(name)))


def _words(name):
    """Return the words of a name; marks that are letters, as Hindi's vowels are, stay.

    Examples
    --------
    >>> _words("Zoë") == _words("zoe"), _words("राम") == _words("रीम")
    (True, False)
    """
    letters = unicodedata.normalize("NFKD", name.casefold().replace("ß", "ss"))
    kept = (it for it in letters if not ACCENT.match(it) and unicodedata.category(it) != "Cf")
    return "".join(it if is_letter(it) and it != "_" else " " for it in kept).split()


def matches(students, found):
    """Return the students whom a `Whose` may mean: ids first, names only where no id is known."""
    ids = {found.id.lower()} - {""}
    if found.platform in ("folder", "file", "common"):
        ids |= {found.name.lower(), safe(found.name).lower()}
    by_id = [it for it in students if ids & _ids(it, found.platform)]
    if by_id:
        return by_id
    return of_name(students, found.name)


def of_name(students, name):
    """Return the students who have a name, its words in any order or run together."""
    wanted = plain(name)
    same = [it for it in students if plain(it.name) == wanted != ()]
    return same or [it for it in students if _run_together(it) == "".join(wanted) != ""]


def _names(found):
    """Return what a person may be called; Moodle writes the group and a hyphen before it."""
    parts = found.name.split("-") if found.platform == "moodle" else [found.name]
    return ["-".join(parts[first:]).strip() for first in range(len(parts))]


def of_user(students, user):
    """Return the students whom Blackboard may know by a user name."""
    return [it for it in students if user.lower() in _ids(it, "blackboard")]


def _ids(student, platform):
    """Return what a platform's files may call a student; its numbers are no other's."""
    names = (student.id, student.login, student.email, student.email.split("@")[0])
    numbers = (student.number, student.number.removeprefix("Participant "))
    if platform in NUMBERED:
        names = () if student.platform else (student.id,)
        numbers = numbers if student.platform in ("", platform) else ()
    elif platform != "blackboard":
        numbers += (student.sis,)
    return {it.lower() for it in (*names, *numbers) if it}


def contradiction(student, found):
    """Return what speaks against a student whom a `Whose` seems to mean, or an empty text.

    Canvas and Moodle write a name and a number; both must be the student's.
    """
    if found.platform not in NUMBERED:
        return ""
    own = _ids(student, found.platform)
    if student.platform == found.platform and student.number and found.id not in own:
        return f"it has the name of {student.id}, but the number {found.id}"
    if student.name and found.name and not any(_alike(student, it) for it in _names(found)):
        return f"it has the number of {student.id} ({student.name}), but the name {found.name}"
    return ""


def _alike(student, name):
    """Tell whether a name may be a student's; platforms and zip files lose letters of it."""
    name = "".join(_words(name)) if " " not in name.strip() else "".join(plain(name))
    own = {"".join(plain(student.name)), "".join(_words(student.name)), _run_together(student)}
    return any(SequenceMatcher(None, name, it).ratio() >= ALIKE for it in own)


def _run_together(student):
    """Return a name as Canvas writes it: the family name first, nothing between."""
    family, _, given = student.name.partition(",")
    if not given:
        *first, family = student.name.split() or [""]
        given = " ".join(first)
    return "".join(_words(family) + _words(given))
