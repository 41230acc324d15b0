"""What persons are called in the class's folder, and that they stay who they were."""

import re
import unicodedata

LONGEST = 80  # letters of an id


def safe(raw):
    """Return a name that can stand in a path, a pattern and a table.

    Examples
    --------
    >>> safe("../=cmd"), safe("Zoë Müller"), safe("a@b.edu")
    ('cmd', 'Zoë_Müller', 'a@b.edu')
    """
    name = unicodedata.normalize("NFC", raw)
    name = "".join(it if it in ".@-" or is_letter(it) else "\0" for it in name)
    return re.sub("\0+", "_", name).strip("._-@")[:LONGEST].rstrip("._-@") or "nobody"


def is_letter(sign):
    """Tell whether a sign belongs to a word; vowels of Hindi and Thai are marks to Unicode."""
    return sign.isalnum() or sign == "_" or unicodedata.category(sign).startswith("M")


def as_before(students, before, what):
    """Return students under the ids that they had, also if the export has other columns now.

    Parameters
    ----------
    students : list of Student
    before : dict of str to Student
        The roster until now, by id.
    what : str
        What an error calls the export.

    Raises
    ------
    SystemExit
        If one would get the id of somebody else, who has left.
    """
    known = {}
    for old in before.values():
        for sign in _signs(old).items():
            known.setdefault(sign, set()).add(old.id)

    def had(student):
        own = _is_own(student) and student.id in before
        if own and not _is_another(student, before[student.id]):
            return student.id
        ids = set().union(*(known.get(sign, ()) for sign in _signs(student).items()))
        return ids.pop() if len(ids) == 1 else ""

    ids = [had(it) for it in students]
    return [
        it._replace(id=old) if old and ids.count(old) == 1 else _no_heir(it, before, what)
        for it, old in zip(students, ids)
    ]


def _signs(student):
    """Return what tells a person: numbers and addresses, by what they are."""
    own = {"login": student.login, "sis": student.sis, "email": student.email}
    if not _is_own(student):  # there, a number may count the rows
        own[f"number in {student.platform}"] = student.number
    return {name: value.lower() for name, value in own.items() if value}


def _is_own(student):
    """Tell whether a row is of a table of one's own, which says itself what the id is."""
    return not student.platform


def _is_another(student, old):
    """Tell whether two of one id share nothing of what tells a person, though both have such."""
    was, now = _signs(old), _signs(student)
    both = set(was) & set(now)
    renamed = not _is_own(student) or student.name != old.name
    return bool(both) and renamed and not any(was[it] == now[it] for it in both)


def _no_heir(student, before, what):
    """Return a student who is not called as another was; one with an address is called by it."""
    old = before.get(student.id, student)
    if not _is_another(student, old):
        return student
    named_by_address = student.email and not _is_own(student)
    address = safe(student.email) if named_by_address else student.id
    if address in before:
        raise SystemExit(
            f"{what}: {student.id} was {old.name} until now, and is {student.name} here. Another "
            "person needs another id; the same one needs the number or the address as it was in "
            "roster.csv"
        )
    return student._replace(id=address)
