"""Every file that was found to be a student's, with its time: `collected.csv`."""

import csv

from .files import as_csv, write_whole

COLUMNS = ("lesson", "student", "taken", "file", "handed in", "late", "layout")


def taken(classroom):
    """Return the rows of `collected.csv`: every file that was found to be a student's."""
    path = classroom.folder / "collected.csv"
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def note(classroom, lesson, rows):
    """Put a student's new rows in the place of the old ones, attempts of before among them."""
    new = {(row["student"], row["file"]) for row in rows}
    fresh = {row["student"] for row in rows}
    kept = []
    for row in taken(classroom):
        same = row["lesson"] == lesson.number and row["student"] in fresh
        if same and (row["student"], row["file"]) in new:
            continue
        kept.append({**row, "taken": ""} if same else row)
    write_whole(classroom, classroom.folder / "collected.csv", as_csv(COLUMNS, kept + rows))
