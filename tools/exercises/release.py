"""The exercises' sources, read; and what students get, made of them."""

import copy
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "exercises" / "source"
RELEASES = ROOT / "exercises" / "release"

BADGE = re.compile(  # and the note of an unpublished copy that the badge leads nowhere
    r"^\[!\[Open in Colab\].*$|^This copy of the course isn't published yet, .*$", re.MULTILINE
)
STUBS = {
    "ClearSolutions": {
        "code_stub": {"python": "...  # your code"},
        "text_stub": "*Write your answer here, over this line.*",
    }
}
PREPROCESSORS = (  # nbgrader's own order for an assignment, less what belongs to its database
    "LockCells", "ClearSolutions", "ClearOutput", "CheckCellMetadata", "ClearHiddenTests",
    "ClearMarkScheme", "ComputeChecksums", "CheckCellMetadata",
)  # fmt: skip


def lesson_path(lesson):
    """Return the source of a lesson given by number, such as 1 or "01"."""
    found = sorted(SOURCES.glob(f"{int(lesson):02d}_*/exercises_{int(lesson):02d}.ipynb"))
    if len(found) != 1:
        raise FileNotFoundError(f"lesson {lesson} has {len(found)} exercise notebooks")
    return found[0]


def lesson_numbers():
    """Return the numbers of the lessons that have exercises."""
    return sorted(int(path.stem[-2:]) for path in SOURCES.glob("*_*/exercises_*.ipynb"))


def source(lesson):
    """Read the notebook with solutions and hidden tests of a lesson given by number."""
    return nbformat.read(lesson_path(lesson), as_version=4)


def cells(notebook):
    """Return the cells by id, in order."""
    return {cell.id: cell for cell in notebook.cells}


def answers(notebook):
    """Return the names of the answer cells, in order."""
    return [name for name in cells(notebook) if name.startswith("answer_")]


def variant(notebook, seed):
    """Return the notebook with the class's numbers drawn from another seed."""
    notebook = copy.deepcopy(notebook)
    given = cells(notebook)["given"]
    given.source, count = re.subn(
        r"^CLASS_SEED = \d+$", f"CLASS_SEED = {int(seed)}", given.source, flags=re.MULTILINE
    )
    if count != 1:
        raise ValueError(f"the cell `given` has {count} lines `CLASS_SEED = ...`, wanted one")
    return notebook


def without_badge(notebook):
    """Return the notebook without badges: they open the public one, with other numbers."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and BADGE.search(cell.source):
            text = BADGE.sub("", cell.source)
            cell.source = re.sub(r"\n{3,}", "\n\n", text).strip()
    return notebook


def preprocessed(notebook, names):
    """Return the notebook after some of nbgrader's preprocessors, in the order of their names."""
    from nbgrader import preprocessors
    from traitlets.config import Config

    for name in names:
        step = getattr(preprocessors, name)(config=Config(STUBS))
        notebook, _ = step.preprocess(notebook, {})
    return notebook


def student_version(notebook, seed=0):
    """Return the student's notebook: no solution, no hidden test, the same bytes every time."""
    notebook = variant(notebook, seed)
    for cell in notebook.cells:
        kept = {key: cell.metadata[key] for key in ("nbgrader", "tags") if key in cell.metadata}
        cell.metadata = nbformat.from_dict(kept)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    notebook = preprocessed(notebook, PREPROCESSORS)
    nbformat.validate(notebook)
    return notebook


def written(notebook):
    """Return a notebook as the text of its file."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def write_release(lesson, seed=0, folder=RELEASES):
    """Write one student's notebook below a folder and return its path."""
    path = Path(folder) / lesson_path(lesson).relative_to(SOURCES)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(written(student_version(source(lesson), seed)), encoding="utf-8", newline="\n")
    return path
