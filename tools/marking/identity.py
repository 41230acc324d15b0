"""Whose the files are that a platform hands over; who cannot be told is asked."""

import re
from collections import Counter, defaultdict
from datetime import datetime

from . import blackboard, layouts, matching, moodle, persons, roster
from .files import Problem, digest

STRANGER = "is not in the roster"


def by_student(found, classroom, lesson, result):
    """Return the files by student's id; whose is unclear is a problem of the result."""
    known = roster.load(classroom).values()
    found = resolved(found, known, roster.head(classroom))
    files, raw = defaultdict(list), defaultdict(list)
    lone = sum(it.whose.platform == "common" and not it.student for it in found)
    crowded = _crowded(found) | _within_one(found)
    for it in found:
        who, name, why = it.whose, "", ""
        if it.student:
            name = it.student
        elif who.platform == "common" and (not who.name or (lone > 1 and not known)):
            why = "nothing says whose it is"
        elif known:
            name, why = _in_roster(known, it)
            it = _by_folder(known, it)
        elif (folder := who.outer or who.name) in crowded:
            why = f"the folder {folder} may be one student's or many students'"
        else:
            raw[_raw(who, found)].append(it)
        if name:
            files[name].append(it)
        elif why:
            advice = _advice(result, classroom, lesson, it.file.place, why)
            result.unclear.append(Problem(it.file.place, why, advice))
    for key, name in identities(raw).items():
        files[name] += raw[key]
    return files


def resolved(found, students, head):
    """Return files that tell whose they are as far as all of them together, and the roster, can."""
    return moodle.resolved(blackboard.resolved(found, students, head), students)


def _advice(result, classroom, lesson, place, why):
    """Return the commands that settle whose a file is."""
    advice = result.assign(classroom, lesson, place)
    if not why.endswith(STRANGER):
        return advice
    new = classroom.command("roster", FROM="...")
    nobody = classroom.command("remove", lesson, FILE=f"{result.origin}/{place}")
    return (
        f"somebody new: {new}, or a line in {classroom.folder / 'roster.csv'}, and collect again; "
        f"somebody of the class: {advice}; nobody's: {nobody}"
    )


def _crowded(found):
    """Return the folders whose files have different names before the notebook's."""
    names = defaultdict(set)
    for it in found:
        if it.whose.platform == "folder":
            names[it.whose.name].add(layouts.before(it.file.place).lower())
    return {folder for folder, before in names.items() if len(before - {""}) > 1}


def _within_one(found):
    """Return the folders beside students' whose only person is told by names within.

    A student may have chosen these names, so that they show another person or another time.
    """
    people = defaultdict(set)
    for it in found:
        people[it.whose.outer].add((it.whose.name, it.whose.id))
    beside = any(it.whose.platform == "folder" for it in found)
    return {outer for outer, who in people.items() if outer and len(who) == 1 and beside}


def _by_folder(known, found):
    """Return a file as its student's folder shows it: what is in it, the student named.

    A folder, or a zip file, of nobody is a download: the dates in it are no student's.
    """
    if found.whose.platform == "folder" and not matching.matches(known, found.whose):
        return found._replace(file=found.file._replace(packed=datetime.min))
    own = layouts.Whose("folder", found.whose.outer, number=found.whose.number)
    return found._replace(whose=own) if own.name and matching.matches(known, own) else found


def _in_roster(known, found):
    """Return (the student's id, why it is not clear)."""
    who = found.whose
    same = matching.matches(known, who)
    if not same and who.platform == "folder":
        name = layouts.before(found.file.place)
        same = matching.matches(known, layouts.Whose("file", name=name)) if name else []
    if len(same) == 1:
        why = matching.contradiction(same[0], who) or _in_anothers(known, found, same[0])
        return ("", why) if why else (same[0].id, "")
    many = ", ".join(student.id for student in same)
    name = who.name or who.id
    return "", f"{name} may be {many}" if many else f"{name} {STRANGER}"


def _in_anothers(known, found, student):
    """Return in whose folder a file lies that seems to be somebody else's, or an empty text.

    What a student packs may have any name, also one that a platform gives to another's file.
    """
    for part in layouts.parts_of(found.file.place)[:-1]:
        if layouts.whose(part).platform in layouts.PLATFORMS:
            return ""
        owner = layouts.Whose("folder", name=re.sub(r"(?i)\.zip$", "", part))
        others = matching.matches(known, owner)
        if others and student not in others:
            return f"its name is that of {student.id}, but it lies in the folder of {others[0].id}"
    return ""


def _raw(whose, found):
    """Return what tells students apart where there is no roster."""
    if whose.platform == "blackboard":
        titles = {it.whose.title for it in found if it.whose.platform == "blackboard"}
        return whose.id if len(titles) == 1 else f"{whose.title}_{whose.id}"
    if whose.platform in ("moodle", "canvas"):
        return f"{whose.name}_{whose.id}"
    return whose.name or whose.id


def identities(raws):
    """Return names that can stand in a path, a pattern and a table; no two are the same.

    Examples
    --------
    >>> list(identities(["Zoe M", "../=cmd", "a b", "a_b"]).values())[:2]
    ['Zoe_M', 'cmd']
    """
    names = {raw: persons.safe(raw) for raw in raws}
    taken = Counter(name.lower() for name in names.values())
    for raw, name in names.items():
        if taken[name.lower()] > 1 or len(name) >= persons.LONGEST:  # it may have been cut
            names[raw] = f"{name}-{digest(raw.encode())[:6]}"
    return names
