"""Find each student's notebook in what a platform hands over; what is unclear is asked."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from . import attempts, layouts, lessons, roster, sources
from .decisions import NOBODY, decided, stored
from .files import Problem, digest, locked, note_problems

ASK = "make assign-to LESSON={lesson} STUDENT=... FILE='{origin}/{place}'"


class Found(NamedTuple):
    """A file that may be a submission, and what its path and its content say."""

    file: sources.File
    whose: layouts.Whose
    digest: str
    lesson: str
    damaged: str

    @property
    def order(self):
        """What makes a file a later attempt than another of the same student."""
        return (self.whose.time or str(self.file.when)[:19], self.whose.number)


@dataclass
class Collected:
    """What became of everything: by student, of other files, and who has nothing."""

    done: dict = field(default_factory=dict)
    left: list = field(default_factory=list)
    unclear: list = field(default_factory=list)
    nothing: list = field(default_factory=list)

    def __iter__(self):
        return iter((self.done, self.left + [f"{it.student}: {it.reason}" for it in self.unclear]))


def collect(origin, classroom, lesson):
    """Copy what students handed in into the class's folder.

    Parameters
    ----------
    origin : path
        A folder or a zip file, as a platform hands it over (`layouts.RULES`), or with a folder or
        a file for each student.
    classroom : Classroom
    lesson : Lesson

    Returns
    -------
    Collected
    """
    origin = given(origin, classroom)
    with locked(classroom):
        result = Collected()
        found = list(_candidates(origin, classroom, lesson, result))
        by_student = _by_student(found, classroom, lesson, result)
        rows = []
        for student, files in sorted(by_student.items()):
            try:
                words, own = _take(files, student, classroom, lesson)
            except Exception as error:
                reason = f"could not be stored ({type(error).__name__}: {error})"
                result.unclear.append(Problem(student, reason, "collect again"))
                continue
            result.done[student] = words
            rows += own
        attempts.note(classroom, lesson, rows)
        have = set(classroom.students(lesson))
        result.nothing = [it for it in roster.load(classroom).values() if it.id not in have]
        names = {"lesson": int(lesson.number), "origin": origin}
        result.unclear = [
            it._replace(advice=it.advice.format(**names, place=it.student)) for it in result.unclear
        ]
        note_problems(classroom, "collect", lesson, result.unclear)
    return result


def given(origin, classroom):
    """Return the path that somebody gave with FROM=, or say what is wrong with it."""
    if not str(origin).strip() or str(origin).strip() == ".":
        raise SystemExit("Say where the submissions are: FROM=folder-or-zip")
    path = Path(origin)
    if not path.exists():
        raise SystemExit(f"FROM={origin} does not exist")
    inside = path.resolve()
    if inside == classroom.folder or inside.is_relative_to(classroom.folder):
        raise SystemExit(f"FROM={origin} is the class's own folder: give what was handed in")
    return path


def _candidates(origin, classroom, lesson, result):
    """Yield the notebooks of the lesson, and damaged files that are called like it."""
    files = list(sources.files(origin))
    books = [it for it in files if it.place.lower().endswith(layouts.ENDINGS)]
    others = [it.place for it in files if not it.place.lower().endswith((*layouts.ENDINGS, ".txt"))]
    result.left += [f"{place}: not a notebook (.ipynb)" for place in others]
    folders = [layouts.parts_of(it.place)[:-1] for it in books]
    common = [it[0] for it in takewhile(lambda it: len(set(it)) == 1, zip(*folders))]
    decisions = decided(classroom, lesson)
    for file in books:
        whose = layouts.whose(file.place, common, (lesson.assignment,))
        if file.size > sources.LARGEST:
            size = f"{file.size / 1e6:.0f} MB"
            yield Found(file, whose, "", lesson.number, f"it has {size}; a notebook may have 10")
            continue
        content = file.read()
        own = digest(content)
        known = decisions(file.place, own)
        if known == NOBODY:
            result.left.append(f"{file.place}: removed by hand")
            continue
        try:
            number, damaged = lessons.lesson_of(classroom, content), ""
        except lessons.NoNotebook as error:
            number, damaged = lesson.number, f"it is damaged or no notebook ({error})"
        if known:
            yield Found(file, layouts.Whose("decided", id=known), own, lesson.number, damaged)
        elif number == lesson.number:
            yield Found(file, whose, own, number, damaged)
        elif number:
            result.left.append(f"{file.place}: it is a notebook of lesson {int(number)}")
        elif layouts.stem(layouts.parts_of(file.place)[-1])[0].endswith(lesson.notebook):
            why = "it is called like the lesson, but holds nothing of it"
            result.unclear.append(Problem(file.place, why, ASK))
        else:
            result.left.append(f"{file.place}: it holds nothing of any lesson")


def _by_student(found, classroom, lesson, result):
    """Return the files by student's id; whose is unclear is a problem of the result."""
    known = roster.load(classroom).values()
    by_student, raw = defaultdict(list), defaultdict(list)
    lone = sum(it.whose.platform == "common" for it in found)
    crowded = _crowded(found)
    for it in found:
        who, name, why = it.whose, "", ""
        if who.platform == "decided":
            name = who.id
        elif who.platform == "common" and (not who.name or (lone > 1 and not known)):
            why = "nothing says whose it is"
        elif known:
            name, why = _in_roster(known, it)
        elif who.name in crowded:
            why = f"the folder {who.name} may be one student's or many students'"
        else:
            raw[_raw(who, found)].append(it)
        if name:
            by_student[name].append(it)
        elif why:
            result.unclear.append(Problem(it.file.place, why, ASK))
    for key, name in identities(raw).items():
        by_student[name] += raw[key]
    return by_student


def _crowded(found):
    """Return the folders whose files have different names before the notebook's."""
    names = defaultdict(set)
    for it in found:
        if it.whose.platform == "folder":
            names[it.whose.name].add(layouts.before(it.file.place).lower())
    return {folder for folder, before in names.items() if len(before - {""}) > 1}


def _in_roster(known, found):
    """Return (the student's id, why it is not clear)."""
    who = found.whose
    matching = roster.matches(known, who)
    if not matching and who.platform == "folder":
        name = layouts.before(found.file.place)
        matching = roster.matches(known, layouts.Whose("file", name=name)) if name else []
    if len(matching) == 1:
        return matching[0].id, ""
    many = ", ".join(student.id for student in matching)
    name = who.name or who.id
    return "", f"{name} may be {many}" if many else f"{name} is not in the roster"


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
    names = {raw: roster.safe(raw) for raw in raws}
    taken = Counter(name.lower() for name in names.values())
    for raw, name in names.items():
        if taken[name.lower()] > 1:
            names[raw] = f"{name}-{digest(raw.encode())[:6]}"
    return names


def _take(files, student, classroom, lesson):
    """Keep the newest sound file of a student; return what to say, and a row for each file."""
    chosen = max(files, key=lambda it: (not it.damaged, it.order))
    content = chosen.file.read() if chosen.digest else f"TOO LARGE {chosen.file.size}".encode()
    again = stored(classroom, lesson, student, content)
    late = any(it.whose.late for it in files if it is chosen)
    words = {None: "unchanged", True: f"again from {chosen.file.place}"}.get(
        again, f"from {chosen.file.place}"
    )
    words += ", late" if late else ""
    words += f" ({len(files)} files, the newest counts)" if len(files) > 1 else ""
    words += f"; {chosen.damaged}" if chosen.damaged else ""
    newer = [it for it in files if it.damaged and it.order > chosen.order]
    words += "".join(f"; {it.file.place} is newer, but {it.damaged}" for it in newer)
    rows = [
        {
            "lesson": lesson.number,
            "student": student,
            "taken": "yes" if it is chosen else "",
            "file": it.file.place,
            "handed in": it.whose.time or str(it.file.when)[:19],
            "late": "yes" if it.whose.late else "",
            "layout": it.whose.platform,
        }
        for it in sorted(files, key=lambda it: it.order)
    ]
    return words, rows
