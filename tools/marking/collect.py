"""Find each student's notebook in what a platform hands over; what is unclear is asked."""

from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from tools import exercises

from . import (
    attempts,
    choose,
    decisions,
    identity,
    layouts,
    lessons,
    matching,
    roster,
    sources,
)
from .decisions import stored
from .files import Problem, digest, locked, note_problems, problems

RIGHT_ONE = "ask for the right file"
REMOVED = "removed by hand"
HOLDS_NOTHING = "it is called like the lesson, but holds nothing of it"


class Found(NamedTuple):
    """A file that may be a submission, and what its path and its content say."""

    file: sources.File
    whose: layouts.Whose
    digest: str
    lesson: str
    damaged: str
    student: str = ""  # by a person's word


@dataclass
class Collected:
    """What became of everything: by student, of other files, and who has nothing.

    `done` has words by student; `unclear` what a person must decide, `out` the files that were
    left out (the field `student` is a file's place there), `told` what a person should know, and
    `still` what was asked of earlier files and isn't settled.
    """

    origin: object = ""
    done: dict = field(default_factory=dict)
    out: list = field(default_factory=list)
    unclear: list = field(default_factory=list)
    told: list = field(default_factory=list)
    still: list = field(default_factory=list)
    nothing: list = field(default_factory=list)
    earlier: list = field(default_factory=list)  # who handed in, but not with these files

    @property
    def left(self):
        """What was left out and why, a line each."""
        return [f"{it.student}: {it.reason}" for it in self.out]

    def __iter__(self):
        return iter((self.done, self.left + [f"{it.student}: {it.reason}" for it in self.unclear]))

    def assign(self, classroom, lesson, place, student="..."):
        """Return the command that says whose a file is."""
        path = f"{self.origin}/{place}" if place else self.origin
        return classroom.command("assign-to", lesson, STUDENT=student, FILE=path)


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
    for own in (classroom.folder, exercises.SOURCES.resolve()):
        if own.is_relative_to(origin.resolve()):
            raise SystemExit(f"FROM={origin} holds {own}: give what was handed in")
    with locked(classroom):
        result = Collected(origin)
        found = list(_candidates(origin, classroom, lesson, result))
        by_student = identity.by_student(found, classroom, lesson, result)
        places = {it.student for it in (*result.out, *result.unclear)}
        places |= {it.file.place for it in found}
        rows = []
        said = decisions.latest(classroom, lesson)
        before = attempts.by_student(classroom, lesson)
        for student, files in sorted(by_student.items()):
            known = said.get(student), before.get(student)
            try:
                rows += _take(files, student, classroom, lesson, result, known)
            except Exception as error:
                reason = f"could not be stored ({type(error).__name__}: {error})"
                result.unclear.append(Problem(student, reason, "collect again"))
        attempts.note(classroom, lesson, rows)
        have = set(classroom.students(lesson))
        known = roster.load(classroom)
        people = known.values(), roster.head(classroom)
        _name_who_is_known(result, classroom, lesson, *people)
        taken = {_named(it.whose) for files in by_student.values() for it in files}
        result.told += _without(result, have, taken, *people)
        result.told += roster.strangers(classroom, lesson)
        result.earlier = sorted(have - set(result.done) - {it.student for it in result.unclear})
        result.still = _still_open(result, classroom, lesson, places, people)
        asked = {it.student for it in (*result.unclear, *result.told, *result.still)}
        result.nothing = [it for it in known.values() if it.id not in have | asked]
        found = result.unclear + result.told + result.still
        note_problems(classroom, "collect", lesson, found)
    return result


class _Out(NamedTuple):
    problem: Problem
    whose: layouts.Whose


def _owners(problems, known, head):
    """Yield (problem of a file, id of the student whom the file's name tells, or "")."""
    out = [_Out(it, layouts.whose(it.student)) for it in problems]
    for it, whose in identity.resolved(out, known, head):
        who = matching.matches(known, whose)
        sure = len(who) == 1 and not matching.contradiction(who[0], whose)
        yield it, who[0].id if sure else ""


def _name_who_is_known(result, classroom, lesson, known, head):
    """Put the student's name into the questions about files that hold nothing of the lesson."""
    blank = [it for it in result.unclear if it.reason == HOLDS_NOTHING]
    for it, student in _owners(blank, known, head):
        if student:
            advice = result.assign(classroom, lesson, it.student, student)
            named = Problem(student, f"{it.student}: {it.reason}", f"if it counts: {advice}")
            result.unclear[result.unclear.index(it)] = named


def _still_open(result, classroom, lesson, places, people):
    """Return what was asked of earlier files, and of which these files say nothing."""
    have, known = set(classroom.students(lesson)), {it.id for it in people[0]}
    now = {it.student for it in (*result.unclear, *result.told)} - places | {*result.done}

    def is_here(row):
        path = f"{result.origin}/{row['student']}"
        return row["student"] in places and not decisions.is_another(row, path)

    rows = [
        Problem(it["student"], it["reason"], it["what to do"])
        for it in problems(classroom)
        if (it["step"], it["lesson"]) == ("collect", lesson.assignment)
        and it["student"] not in now
        and not is_here(it)
        and it["reason"] != roster.STRANGER
        and (it["student"] in known or "make assign-to" in it["what to do"])
    ]
    owners = dict(_owners(rows, *people))
    return [it for it in rows if it.student in known or owners[it] not in have]


def _named(whose):
    return whose.name, whose.id


def _without(result, have, taken, known, head):
    """Return the problems of those who handed in something, but nothing that can be marked.

    Without a roster, `taken` tells the names and numbers in the files of the others.
    """
    found = {}
    for it, student in _owners(result.out, known, head):
        if student and student not in have:
            found.setdefault(student, []).append(f"{it.student}: {it.reason}")
        elif not known and _is_missed(it, taken):
            found.setdefault(it.student, []).append(it.reason)
    return [
        Problem(it, "; ".join(reasons), "ask for the right file, and collect again")
        for it, reasons in found.items()
    ]


def _is_missed(problem, taken):
    """Tell whether a file that was left out may be all that its student handed in."""
    whose = layouts.whose(problem.student)
    is_platforms = bool(whose.name or whose.id) and whose.platform not in attempts.OWN
    by_hand = problem.reason == REMOVED
    return (bool(problem.advice) or is_platforms) and not by_hand and _named(whose) not in taken


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
    others = [it.place for it in files if not it.place.lower().endswith(layouts.ENDINGS)]
    others = [it for it in others if not layouts.is_blackboards_note(it)]
    result.out += [Problem(place, "not a notebook (.ipynb)", "") for place in others]
    folders = [layouts.parts_of(it.place)[:-1] for it in books]
    common = [it[0] for it in takewhile(lambda it: len(set(it)) == 1, zip(*folders))]
    decided = decisions.decided(classroom, lesson)
    for file in books:
        whose = layouts.whose(file.place, common, (lesson.assignment,))
        file = _packed(file, whose, common, (lesson.assignment,))
        content = file.read()
        own = digest(content)
        known = decided(file.place, own)
        if known == decisions.NOBODY:
            result.out.append(Problem(file.place, REMOVED, ""))
            continue
        if file.size > sources.LARGEST:
            why = f"it has {file.size / 1e6:.0f} MB; a notebook may have 10"
            yield Found(file, whose, own if known else "", lesson.number, why, known)
            continue
        try:
            number, damaged = lessons.lesson_of(classroom, content), ""
        except lessons.NoNotebook as error:
            number, damaged = lesson.number, f"it is damaged or no notebook ({error})"
        if known:
            yield Found(file, whose, own, lesson.number, damaged, known)
        elif number == lesson.number:
            yield Found(file, whose, own, number, damaged)
        elif number:
            reason = f"it is a notebook of lesson {int(number)}"
            result.out.append(Problem(file.place, reason, RIGHT_ONE))
        elif layouts.stem(layouts.parts_of(file.place)[-1])[0].endswith(lesson.notebook):
            advice = result.assign(classroom, lesson, file.place)
            result.unclear.append(Problem(file.place, HOLDS_NOTHING, advice))
        else:
            result.out.append(Problem(file.place, "it holds nothing of any lesson", RIGHT_ONE))


def _packed(file, whose, *around):
    """Return a file with the time of the zip file that its student packed it into, if any."""
    for place, when in file.zips if whose.platform != "common" else ():
        owner = layouts.whose(place + "x", *around)
        if (owner.name, owner.id) == (whose.name, whose.id):
            return file._replace(packed=when)
    return file


def _take(files, student, classroom, lesson, result, known):
    """Keep the file of a student that counts; return a row of `collected.csv` for each file.

    `known` is what a person said about the student's file, and the row of the file that counts.
    """
    decision, before = known
    choice = choose.choose(files, decision, classroom, lesson)
    for it, why in choice.ask:
        reason = f"{it.file.place}: {why}"
        advice = f"if it counts: {result.assign(classroom, lesson, it.file.place, student)}"
        result.unclear.append(Problem(student, reason, advice))
    chosen = choice.file
    if chosen is None:
        if decision:
            result.done[student] = f"unchanged{choice.words}"
        return choose.rows(files, student, lesson, None) if not decision else []
    kept = "" if decision else choose.better(chosen, before, student, classroom, lesson)
    if kept:
        result.done[student] = f"unchanged: {kept}"
        if chosen.damaged:
            result.told.append(Problem(student, kept, f"ask {student} for the newer file again"))
        return choose.rows(files, student, lesson, None)
    content = sources.kept(chosen.file, chosen.file.read())
    again = stored(classroom, lesson, student, content)
    words = {None: "unchanged", True: f"again from {chosen.file.place}"}.get(
        again, f"from {chosen.file.place}"
    )
    words += ", late" if chosen.whose.late else ""
    words += choice.words
    words += f"; {chosen.damaged}" if chosen.damaged else ""
    if " is newer, but " in choice.words:
        result.told.append(Problem(student, words, f"ask {student} for the newer file again"))
    result.done[student] = words
    return choose.rows(files, student, lesson, chosen)
