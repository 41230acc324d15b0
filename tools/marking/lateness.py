"""What late work costs, by a rule that the instructor says in one line."""

import json
import math
import re
from datetime import datetime, timedelta
from typing import NamedTuple

from . import attempts
from .files import locked, read_json, write_whole

RULE = (
    r"(?P<percent>\d+(?:\.\d+)?) ?% (?:an?|per) (?P<unit>day|hour)"
    r"(?:, at most (?P<most>\d+) ?(?P<what>days?|hours?|%))?"
)
EXAMPLE = '"10% a day, at most 5 days"'
DOWNLOADED = ("canvas", "moodle")  # the dates in their zip files are the download's
TOGETHER = timedelta(minutes=10)  # dates that lie so close are a download's, wherever it is from
WRITE_IT = "write the time into collected.csv (time by hand) if points are to be taken off"
MOST = 1000  # days of an extension; more is a slip, such as a date
TIMES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")


class Rule(NamedTuple):
    """What a day or an hour costs, as a share of the points earned, and how many count."""

    share: float
    unit: str
    most: float

    def cost(self, late):
        """Return the share that is lost.

        Parameters
        ----------
        late : timedelta
            Each day (or hour) that has begun counts.

        Examples
        --------
        >>> read_rule("10% a day, at most 5 days").cost(timedelta(hours=25))
        0.2
        """
        units = math.ceil(late / timedelta(**{self.unit + "s": 1}))
        return min(1.0, self.share * min(max(units, 0), self.most))


def read_rule(words):
    """Return the `Rule` that a line like "10% a day, at most 5 days" states."""
    found = re.fullmatch(RULE, words.strip())
    if not found:
        raise SystemExit(f"LATE={words!r} is not understood; say it like {EXAMPLE}")
    share, unit = float(found["percent"]) / 100, found["unit"]
    most = math.inf
    if found["most"]:
        same = found["what"] == "%" or found["what"].rstrip("s") == unit
        if not same:
            raise SystemExit(f"LATE={words!r}: a rule by the {unit} says at most how many {unit}s")
        most = float(found["most"])
        most = most / 100 / share if share and found["what"] == "%" else most
    return Rule(share, unit, most)


def read_time(words):
    """Return a time; a day without an hour ends at midnight."""
    time = _time(words)
    if time is None:
        raise SystemExit(f"DUE={words!r} is no time; say it like 2026-11-20 or '2026-11-20 18:00'")
    return time


def _time(words):
    for form in TIMES:
        try:
            time = datetime.strptime(words.strip(), form)
        except ValueError:
            continue
        return time + timedelta(days=1, seconds=-1) if form == TIMES[-1] else time
    return None


def settings(classroom):
    """Return the class's deadlines and rules, by lesson."""
    return read_json(classroom.folder / "lateness.json", {})


def set_rule(classroom, lesson, due="", late=""):
    """Remember a lesson's deadline and rule; what is empty stays as it was."""
    if due:
        read_time(due)
    if late:
        read_rule(late)
    with locked(classroom):
        _remember(classroom, lesson, due, late)


def _remember(classroom, lesson, due, late):
    known = settings(classroom)
    own = known.get(lesson.number, {}) | {k: v for k, v in {"due": due, "late": late}.items() if v}
    if own.get("late") and not own.get("due"):
        raise SystemExit("LATE needs a deadline: DUE=2026-11-20")
    if own:
        text = json.dumps({**known, lesson.number: own}, indent=1)
        write_whole(classroom, classroom.folder / "lateness.json", text)


class Late(NamedTuple):
    """What lateness costs: the share of the points, words, and what is wrong with the time."""

    share: float = 0.0
    words: str = ""
    problem: str = ""


def penalty(own, attempt, student, downloaded=False):
    """Return the `Late` of a student.

    Parameters
    ----------
    own : dict
        The lesson's `settings`.
    attempt : dict
        The row of `collected.csv` that was taken, or an empty dict.
    student : Student or None
        Whose extension counts.
    downloaded : bool
        The files' dates are those of a download, see `are_downloads`.
    """
    told = "the platform calls it late" if attempt.get("late") else ""
    if not own.get("due") or not attempt:
        return Late(0.0, told)
    try:
        days = _days(student)
        when, is_sure = _handed_in(attempt, downloaded)
    except ValueError as error:
        return Late(0.0, told, f"{error}; until then lateness costs nothing")
    if when is None:
        return Late(0.0, told)
    late = when - read_time(own["due"]) - timedelta(days=days)
    if late <= timedelta(0):
        return Late(0.0, told if not days else "")
    if not is_sure:
        problem = f"its date is that of the download, {when:%Y-%m-%d %H:%M}: {WRITE_IT}"
        return Late(0.0, told, problem)
    extension = f" (after {days:g} days more)" if days else ""
    words = f"late by {_words(late)}{extension}"
    if not own.get("late"):
        return Late(0.0, words)
    cost = read_rule(own["late"]).cost(late)
    return Late(cost, f"{words}: {100 * cost:.3g}% less")


def _days(student):
    """Return the days of a student's extension."""
    words = ((student and student.extension) or "0").strip()
    found = re.fullmatch(r"(?i)(\d+(?:[.,]\d+)?) *(?:d|days?)?", words)
    if not found:
        raise ValueError(f"the extension {words!r} in roster.csv is no number of days")
    days = float(found[1].replace(",", "."))
    if days > MOST:
        raise ValueError(f"the extension {words!r} in roster.csv is more than {MOST} days")
    return days


def _handed_in(attempt, downloaded):
    """Return (the time of handing in, whether it can be relied on); None if there is none."""
    by_hand = attempt.get(attempts.BY_HAND) or ""
    words = by_hand or attempt.get("handed in") or ""
    if not words:
        return None, False
    time = _time(words)
    if time is None:
        raise ValueError(f"collected.csv has the time {words!r}: write it like 2026-11-20 18:00")
    is_sure = attempt.get("layout") == "blackboard" or not (
        downloaded or attempt.get("layout") in DOWNLOADED
    )
    return time, bool(by_hand) or is_sure


def are_downloads(own, rows):
    """Tell whether the dates of a lesson's files are those of a download: all late, and together.

    Parameters
    ----------
    own : dict
        The lesson's `settings`.
    rows : list of dict
        The rows of `collected.csv` that were taken.
    """
    times = [_time(row.get("handed in") or "") for row in rows if row["layout"] != "blackboard"]
    times = sorted(it for it in times if it)
    if len(times) < 3 or not own.get("due"):
        return False
    return times[0] > read_time(own["due"]) and times[-1] - times[0] < TOGETHER


def _words(late):
    """Return how late something is, to the minute that has begun.

    Examples
    --------
    >>> _words(timedelta(hours=24, seconds=1)), _words(timedelta(hours=16))
    ('1 day 1 min', '16 h')
    """
    hours, minutes = divmod(math.ceil(late / timedelta(minutes=1)), 60)
    days, hours = divmod(hours, 24)
    parts = {"day" if days == 1 else "days": days, "h": hours, "min": minutes}
    return " ".join(f"{number} {unit}" for unit, number in parts.items() if number)
