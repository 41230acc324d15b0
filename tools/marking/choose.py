"""Which of a student's files counts: the newest that is answered; what cannot be told is asked."""

from datetime import datetime
from typing import NamedTuple

from . import attempts, lateness, layouts, lessons
from .files import digest


class Choice(NamedTuple):
    """The file that counts (None if nobody can tell), words about it, and (file, why) to ask."""

    file: object = None
    words: str = ""
    ask: tuple = ()


def choose(files, decision, classroom, lesson):
    """Return the `Choice` among a student's files.

    Parameters
    ----------
    files : list of Found
    decision : dict or None
        What a person said last about this student's file, see `decisions.latest`.
    classroom : Classroom
    lesson : Lesson
    """
    if decision:
        return _by_word(files, decision)
    order = _order(files)
    sound = [it for it in files if not it.damaged]
    blank = {id(it): _is_blank(it, classroom, lesson) for it in sound} if len(sound) > 1 else {}
    left = [it for it in sound if not blank.get(id(it))] or sound or files
    latest = max(left, key=order)
    newest = [it for it in left if order(it) == order(latest) or _are_of_one_download(it, latest)]
    if len({it.digest for it in newest}) > 1:
        same = "the same time" if len({*map(order, newest)}) == 1 else "one download"
        why = f"one of {len(newest)} files of {same}"
        return Choice(ask=tuple((it, why) for it in newest))
    chosen = newest[0]
    others = [it for it in files if it.digest != chosen.digest]
    told = "; ".join(_about(it, blank, order, chosen) for it in others)
    return Choice(chosen, f" ({len(files)} files, the newest counts; {told})" if told else "")


def _by_word(files, decision):
    own = [it for it in files if it.student and it.digest == decision["digest"]]
    known = {decision["digest"], *decision.get("over", ())}
    why = "it came after you said which file counts"
    new = tuple((it, why) for it in files if it.digest not in known)
    words = f" (of {len(files)} files the one that you named)" if len(files) > 1 else ""
    return Choice(own[0] if own else None, words, new)


def _order(files):
    """Return what makes one file a later attempt: its serial number, else its time and copy."""
    if all(it.whose.serial for it in files):
        return lambda it: (it.whose.serial,)
    return lambda it: (it.whose.time or it.file.handed_in, str(it.file.when)[:19], it.whose.number)


def _are_of_one_download(*files):
    """Tell whether the times of two files are the moment at which Moodle's zip file was made."""
    times = sorted(it.file.handed_in for it in files)
    since, until = map(datetime.fromisoformat, times)
    is_moodle = all(it.whose.platform == "moodle" for it in files)
    return is_moodle and until - since < lateness.TOGETHER


def _is_blank(found, classroom, lesson):
    return bool(found.digest) and lessons.is_blank(classroom, lesson, found.file.read())


def _about(found, blank, order, chosen):
    what = found.damaged or ("it is as it was given out" if blank.get(id(found)) else "")
    if not what:
        return f"not {found.file.place}"
    when = "newer" if order(found) > order(chosen) else "older"
    return f"{found.file.place} is {when}, but {what}"


def better(chosen, row, student, classroom, lesson):
    """Return why the file that was taken earlier stays, or an empty text.

    It stays if the new one is older, or is damaged and has another name. (Under the same name the
    student has changed the file.)
    """
    path, place = classroom.file("submitted", lesson, student), chosen.file.place
    if not row or not path.exists() or row["digest"] == chosen.digest:
        return ""
    is_other = row["file"] != place
    if chosen.damaged and is_other and row["digest"] == digest(path.read_bytes()):
        try:
            lessons.lesson_of(classroom, path.read_bytes())
            return f"{row['file']} stays, because {place} is newer, but {chosen.damaged}"
        except lessons.NoNotebook:
            return ""
    before = layouts.whose(row["file"])
    if before.serial and chosen.whose.serial:
        is_older = chosen.whose.serial < before.serial
    else:
        is_older = (chosen.whose.time or chosen.file.handed_in) < row["handed in"]
    older = place if is_other else "the file of that name here"
    return f"{row['file']} stays, because {older} is older" if is_older else ""


def rows(files, student, lesson, chosen):
    """Return the rows of `collected.csv` of a student's files, the latest last."""
    order = _order(files)
    found = sorted(files, key=order)
    return [attempts.row_of(lesson, student, it, it is chosen) for it in found]
