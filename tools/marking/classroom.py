"""A class's folder: where things lie, and nbgrader set up to work there."""

import shlex
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbgrader.api import Course, Gradebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import ExportPlugin
from sqlalchemy.exc import SQLAlchemyError
from traitlets.config import Config

from tools import exercises

from . import marks, restore, runner, sandbox
from .files import make_private

DATABASE = "database.txt"  # where the gradebook is, if it is no file of the class's folder
POSTGRESQL, ADDRESS = "postgresql", "postgresql://user@host/database"
CONFIG = """# Written by `make assignment`: nbgrader's own buttons work as the course's commands do.
import sys

sys.path.insert(0, {root!r})
from tools.marking.classroom import Classroom, configuration

c.merge(configuration())
c.CourseDirectory.db_url = Classroom({folder!r}).gradebook
c.Exchange.root = {folder!r}  # not used, but nbgrader insists on one
"""


class Lesson(NamedTuple):
    """The names that nbgrader knows a lesson's exercises by."""

    assignment: str
    notebook: str

    @property
    def number(self):
        """The two digits that its names begin or end with."""
        return self.assignment[:2]


class Classroom:
    """One class: a folder with source, release, submitted, autograded, feedback, gradebook.

    Parameters
    ----------
    folder : path
    """

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        if set("?%") & set(str(self.folder)):  # which mean something in a database's address
            raise SystemExit(f"CLASS={self.folder}: a path without ? and %, please")
        if self.folder.exists() and not self.folder.is_dir():
            raise SystemExit(f"CLASS={self.folder} is a file: give a folder")
        note = self.folder / DATABASE
        own = f"sqlite:///{self.folder / 'gradebook.db'}"
        self.gradebook = note.read_text(encoding="utf-8").strip() if note.exists() else own
        if note.exists() and not self.gradebook.startswith(POSTGRESQL):
            raise SystemExit(f"{note} is damaged: it must hold {ADDRESS}. Put back a copy of it.")

    def connect(self, url):
        """Keep the gradebook in a PostgreSQL database instead of a file; each class has its own.

        The address may hold a password, so nobody else may read the file that keeps it.
        """
        if url == self.gradebook:
            return
        if not url.startswith(POSTGRESQL):
            raise SystemExit(f"DB={url}: say it like DB={ADDRESS}")
        if (self.folder / "submitted").exists():
            raise SystemExit(f"{self.folder} has submissions, and a gradebook: use another CLASS")
        try:
            with Gradebook(url) as gradebook:
                gradebook.db.merge(Course(id=""))  # that nbgrader takes to be there
                gradebook.db.commit()
                used = [it.name for it in gradebook.assignments]
        except ImportError as error:
            why = f'{error}: .venv/bin/pip install "psycopg[binary]"'
            raise SystemExit(f"DB={url} needs a driver ({why})") from None
        except (SQLAlchemyError, ValueError) as error:  # the latter of a port
            why = str(error).split("\n")[0][:200]
            raise SystemExit(f"DB={url} does not answer ({why})") from None
        if used:
            words = f"DB={url} has another class's gradebook ({', '.join(used)}): make an empty one"
            raise SystemExit(words)
        make_private(self.folder)
        note = self.folder / DATABASE
        note.touch(mode=0o600)
        note.write_text(url, encoding="utf-8")
        self.gradebook = url

    def command(self, name, lesson=None, **words):
        """Return one of the course's commands for this class, as it can be typed."""
        lesson = {"LESSON": int(lesson.number)} if lesson else {}
        own = {} if self.folder == sandbox.ROOT / "class" else {"CLASS": self.folder}
        said = [
            f"{key}={value if value == '...' else shlex.quote(str(value))}".replace("$", "$$")
            for key, value in {**lesson, **words, **own}.items()
        ]
        return " ".join(["make", name, *said])

    def file(self, step, lesson, student="."):
        """Return where a step keeps the notebook of a lesson and a student."""
        ending = ".html" if step == "feedback" else ".ipynb"
        return self.folder / step / student / lesson.assignment / (lesson.notebook + ending)

    def reason(self, lesson, student):
        """Return the file that says why a submission could not be marked."""
        return self.folder / "failed" / lesson.assignment / f"{student}.txt"

    def lesson(self, number):
        """Return the lesson of a number that was assigned to the class."""
        found = [it for it in self.lessons() if it.number == f"{int(number):02d}"]
        if len(found) != 1:
            known = ", ".join(str(int(it.number)) for it in self.lessons()) or "none"
            raise SystemExit(
                f"LESSON={number} is not assigned to {self.folder} (assigned: {known}): "
                f"make assignment LESSON={number}"
            )
        if not self.file("release", found[0]).exists():
            command = self.command("assignment", found[0], SEED="...")
            raise SystemExit(f"{self.folder} has half of lesson {number}: {command} once more")
        return found[0]

    def lessons(self):
        """Return the lessons that were assigned to the class, in order."""
        found = sorted(self.folder.glob("source/[0-9][0-9]_*/*.ipynb"))
        return [Lesson(path.parent.name, path.stem) for path in found]

    def students(self, lesson):
        """Return who has handed in a lesson, sorted."""
        found = self.folder.glob(f"submitted/*/{lesson.assignment}/{lesson.notebook}.ipynb")
        return sorted(path.parents[1].name for path in found)

    def nbgrader(self, trust=None, **limits):
        """Return nbgrader at work in this folder; its own log stays silent."""
        config = configuration(trust, **limits)
        config.CourseDirectory.root = str(self.folder)
        config.CourseDirectory.db_url = self.gradebook
        config.Exchange.root = str(self.folder)
        api = NbGraderAPI(CourseDirectory(config=config), config=config, log_level="ERROR")
        api.log.propagate = False
        return api

    def assign(self, source, seed, force=False):
        """Take an assignment into the class with its own numbers.

        Parameters
        ----------
        source : path
            A notebook with solutions and hidden tests.
        seed : int
        force : bool
            Change it even if students have handed it in.

        Returns
        -------
        path
            The students' notebook.
        """
        source = Path(source)
        lesson = Lesson(source.parent.name, source.stem)
        notebook = exercises.variant(nbformat.read(source, as_version=4), seed)
        if seed or not source.resolve().is_relative_to(exercises.SOURCES):
            notebook = exercises.without_badge(notebook)
        written, own = exercises.written(notebook), self.file("source", lesson)
        changed = not own.exists() or own.read_text(encoding="utf-8") != written
        if changed and self.students(lesson) and not force:
            raise SystemExit(
                f"{self.folder} holds submissions of another version of {lesson.assignment}: "
                "use another CLASS, or say FORCE=yes and mark them anew"
            )
        release = self.file("release", lesson)
        release.unlink(missing_ok=True)  # it says that all is there, and comes last
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(written, encoding="utf-8", newline="\n")
        config = CONFIG.format(root=str(sandbox.ROOT), folder=str(self.folder))
        (self.folder / "nbgrader_config.py").write_text(config, encoding="utf-8")
        result = self.nbgrader().generate_assignment(lesson.assignment)
        if not result["success"]:
            raise SystemExit(f"nbgrader refuses {own}:\n{result['error']}")
        text = exercises.written(exercises.student_version(notebook, seed))
        release.write_text(text, encoding="utf-8", newline="\n")
        return release


class QuestionCsv(ExportPlugin):
    """Writes the table of marks where nbgrader would write its own."""

    def export(self, gradebook):
        """Write it; nbgrader runs this in the class's folder."""
        marks.write(Classroom("."), Path(self.to or "marks.csv").resolve(), gradebook)


def configuration(trust=None, seconds=60, total=600):
    """Return nbgrader's configuration: what it lacks, put in where it lets one.

    Parameters
    ----------
    trust : str, optional
        The name of the kernel; the sandboxed one unless told otherwise.
    seconds, total : int
        How long a cell, and a whole submission, may run.
    """
    sandbox.prepare()
    config = Config(exercises.STUBS)
    config.Autograde.sanitize_preprocessors = [restore.RestoreCells]
    config.Autograde.autograde_preprocessors = [
        runner.RunInSandbox,
        "nbgrader.preprocessors.SaveAutoGrades",
    ]
    config.Execute.timeout = seconds
    config.Execute.kernel_name = trust or "sandboxed"
    config.Execute.shutdown_kernel = "immediate"
    config.Execute.record_timing = False
    config.RunInSandbox.total = total
    config.ExportApp.plugin_class = QuestionCsv
    return config
