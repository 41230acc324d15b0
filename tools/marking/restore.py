"""Put the released notebook's structure back under a student's answers."""

import codecs
import copy
import json
import re
import warnings
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import nbformat
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import compute_checksum, is_grade, is_solution

from tools import exercises

from . import lessons
from . import names as naming
from .files import digest

KINDS = "source", "release"
STEPS = ("LockCells", "ClearSolutions", "ClearOutput", "ComputeChecksums")
CELLS, LONGEST, CHARACTERS = 1_000, 100_000, 1_000_000  # of a notebook; of a cell; of all cells
PASTED = r"data:image/([a-z]{1,9})(?:\+xml)?;base64,([A-Za-z0-9+/=]+)"
IN_A_TAG = r"<img\b[^<>]{0,300}?\bsrc=[\"']?(attachment:pasted-\w+\.\w+)[^<>]{0,300}>"
MISSING = "*(This cell was missing from the notebook; look at the cells around it.)*"


class RestoreCells(NbGraderPreprocessor):
    """Replaces a submission's cells by the assignment's, and keeps answers and own cells."""

    def preprocess(self, nb, resources):
        """Restore the notebook; nbgrader runs this in the class's folder."""
        names = resources["nbgrader"]
        place = Path(names["assignment"], f"{names['notebook']}.ipynb")
        source, release = (Path(it, place).read_text(encoding="utf-8") for it in KINDS)
        content = Path("submitted", names["student"], place).read_bytes()
        result = restored(read(content), *structure(source, release))
        result.metadata.marking["of"] = digest(content, source.encode("utf-8"))
        return result, resources


def read(content):
    """Return the notebook that a file holds.

    Parameters
    ----------
    content : bytes

    Raises
    ------
    RuntimeError
        If it is none; the message is for whoever marks.
    """
    if content.startswith(b"TOO LARGE "):
        size = int(content.split()[2]) / 1e6
        raise RuntimeError(f"the file has {size:.0f} MB; a notebook may have 10")
    if not content.removeprefix(codecs.BOM_UTF8).strip():
        raise RuntimeError("the file is empty")
    try:
        text = lessons.text_of(content)
        lessons.cells_of(text)
        data = _mended(text)
        why = _too_much(data["cells"])
        with warnings.catch_warnings(action="ignore"):  # such as of two cells of one id
            nb = None if why else nbformat.reads(json.dumps(data), as_version=4)
        if nb and not all(isinstance(it.source, str) and it.cell_type for it in nb.cells):
            raise TypeError
    except Exception as error:
        words = lessons.why_not(error)
        raise RuntimeError(f"the file is no notebook, or is damaged ({words})") from None
    if why:
        raise RuntimeError(why)
    return nb


def _mended(text):
    """Return a notebook's data with what a tool has taken away; outputs are made anew anyway."""
    data = json.loads(text)
    for part in (data, *data["cells"]):
        part["metadata"] = lessons.metadata_of(part)
    for cell in data["cells"]:
        cell.setdefault("source", "")
        if "outputs" in cell:
            cell["outputs"] = []
        if cell.get("cell_type") == "markdown":
            _attach(cell)
    return data


def _attach(cell):
    """Make attachments, as Jupyter does, of the pictures that Colab writes into a text itself."""
    attached = {}

    def name(found):
        kind = "jpeg" if found[1] == "jpg" else found[1]
        name = f"pasted-{digest(found[2].encode())[:8]}.{kind}"
        attached[name] = {f"image/{kind}": found[2]}
        return f"attachment:{name}"

    source = re.sub(PASTED, name, "".join(cell["source"]))
    if attached:
        cell["source"] = re.sub(IN_A_TAG, r"![](\1)", source)
        cell["attachments"] = {**(cell.get("attachments") or {}), **attached}


def _too_much(cells):
    """Return why a notebook's cells are more than any of this course, or an empty text."""
    if len(cells) > CELLS:
        return f"it has {len(cells)} cells; a notebook may have {CELLS}"
    sizes = [len("".join(it.get("source", ""))) for it in cells]
    if max(sizes, default=0) > LONGEST:
        return f"a cell has {max(sizes)} characters; it may have {LONGEST}"
    if sum(sizes) > CHARACTERS:
        return f"its cells have {sum(sizes)} characters; they may have {CHARACTERS}"
    return ""


@lru_cache(8)
def structure(source, release):
    """Return the notebook to mark with (tests, no solutions), and the released sources by id.

    Parameters
    ----------
    source, release : str
        The texts of the assignment's notebooks.
    """
    source, release = (nbformat.reads(it, as_version=4) for it in (source, release))
    released = {cell.id: cell.source.strip() for cell in release.cells}
    return exercises.preprocessed(source, STEPS), released


def restored(nb, wanted, released):
    """Return a new notebook: the wanted cells in their order, answered by the student's.

    A student's cell is recognised by its grade id, its cell id, the id that Colab keeps in the
    metadata, or its unchanged text. Cells that are not recognised stay, behind the one that they
    followed. Of several copies of an answer the last changed one counts, and the others run
    where they stand, as they did for the student.
    """
    for cell in nb.cells:
        cell.source = _whole_letters(cell.source).replace("\r\n", "\n").replace("\r", "\n")
    names = [_name(cell, released) for cell in nb.cells]
    copies = defaultdict(list)
    for place, name in enumerate(names):
        if name:
            copies[name].append(place)
    used = {name: _chosen(places, nb, released[name]) for name, places in copies.items()}
    own = _own_cells(nb, names, used, wanted, released)
    cells, notes = list(own[None]), []
    for cell in wanted.cells:
        place = used.get(cell.id)
        answer = None if place is None else nb.cells[place]
        cells += [*own["before", cell.id], _answered(cell, answer), *own[cell.id]]
        notes += _notes(cell, answer, len(copies[cell.id]), released)
    missing = [it for it in wanted.cells if is_solution(it) and it.id not in used]
    notes += [*_in_a_text(cells, missing), *_beside(cells)]
    for number, cell in enumerate(it for it in cells if it.id == "extra"):
        cell.id = f"extra-{number}"
    result = nbformat.v4.new_notebook(cells=cells, metadata=copy.deepcopy(wanted.metadata))
    result.metadata["marking"] = {"notes": notes}
    return result


def _whole_letters(text):
    """Return a text in which half a letter is a sign that stands for it.

    An editor that cuts an emoji in two leaves a lone surrogate, which no file may hold.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _name(cell, released):
    """Return which of the released cells this is, or None."""
    for name in lessons.called(cell, cell.metadata):
        if isinstance(name, str) and name in released:
            return name
    same = [name for name, text in released.items() if text == cell.source.strip()]
    return same[0] if len(same) == 1 else None


def _chosen(places, nb, stub):
    changed = [place for place in places if nb.cells[place].source.strip() not in (stub, "")]
    return (changed or places)[-1]


def _own_cells(nb, names, used, wanted, released):
    """Return the student's own cells by the name of the released cell that they followed.

    Copies of what the student got, unchanged, are not among them. What the student wrote into a
    given cell is: in a text an answer, in code what an answer needs. What must run before a test
    has the key ("before", its name).
    """
    own, last = defaultdict(list), None
    kinds = {it.id: _kind(it) for it in wanted.cells if not is_solution(it)}
    locked = set(kinds)
    known = naming.defined(it.source for it in wanted.cells if kinds.get(it.id) in ("code", "test"))
    for place, (cell, name) in enumerate(zip(nb.cells, names)):
        if name and used[name] == place:
            last = name
            if kinds.get(name) == "test":
                before, after = _written_into_test(cell, released[name], known)
                own["before", name] += before
                own[name] += after
            elif name in locked:
                own[last] += _written_into(cell, kinds[name], released[name], known)
        elif name not in locked and cell.source.strip() != released.get(name):
            own[last].append(_plain(cell))
    return own


def _kind(cell):
    return "test" if is_grade(cell) else cell.cell_type


def _written_into(cell, kind, given, known):
    """Return cells of the student's own with what was written into a given one."""
    source = cell.source
    if kind == "markdown":
        lines = {line.strip() for line in given.splitlines()} | {""}
        written = any(line.strip() not in lines for line in source.splitlines())
        return [_plain(cell)] if written else []
    if kind == "code" and cell.cell_type == "code" and source.strip() != given:
        codes = naming.added(source, given, known), naming.variables_added(source, given, known)
        return [nbformat.v4.new_code_cell(it, id="extra") for it in codes if it]
    return []


def _written_into_test(cell, given, known):
    """Return cells of code with the answers and helpers that stood in a test: (before, after) it.

    Two cells that were merged into one, a test and an answer, have the name of the first.
    """
    if cell.cell_type != "code" or cell.source.strip() == given:
        return [], []
    codes = naming.added_to_test(cell.source, given, known)
    return [[nbformat.v4.new_code_cell(it, id="extra")] if it else [] for it in codes]


def _in_a_text(cells, missing):
    """Say of which missing answers the code may stand in a text, such as one it was merged into."""
    texts = [it for it in cells if it.cell_type == "markdown"]
    own = "\n".join(it.source for it in texts if it.id == "extra" or is_solution(it))
    for cell in missing:
        tree = naming.tree_of(cell.source)
        names = "|".join(naming.defined_in(tree) | naming.left_behind(tree))
        if names and re.search(rf"(?m)^[ \t]*(?:def |class )?(?:{names})[ \t]*[(:=\[]", own):
            yield f"{cell.id} may stand in a text, where no code is run"


def _beside(cells):
    """Let a person read the text that a student may have written beside the cell for it.

    Without this, a cell that was left as it was has 0 points and waits for nobody.
    """
    for place, cell in enumerate(cells):
        if cell.cell_type == "markdown" and is_solution(cell):
            after = [it for it in cells[place + 1 :] if it.cell_type == "code"]
            texts = [it for it in cells if it.cell_type == "markdown"]
            blank = cell.metadata.nbgrader.get("checksum") == compute_checksum(cell)
            if blank and any(it.id == "extra" and it.source.strip() for it in after + texts):
                del cell.metadata.nbgrader["checksum"]
                yield f"{cell.id} was left as it was, but there are cells of the student's own"


def _plain(cell):
    """Return a cell with nothing but its text; it gets its id later."""
    if cell.cell_type == "code":
        return nbformat.v4.new_code_cell(cell.source, id="extra")
    return _with_pictures(nbformat.v4.new_markdown_cell(cell.source, id="extra"), cell)


def _with_pictures(cell, answer):
    """Give a text the pictures that were pasted into the student's."""
    if cell.cell_type == "markdown" and isinstance(answer.get("attachments"), dict):
        cell.attachments = answer.attachments
    return cell


def _answered(cell, answer):
    cell = copy.deepcopy(cell)
    if is_solution(cell):
        if answer is not None:
            cell.source = answer.source
            _with_pictures(cell, answer)
        else:
            cell.source = "" if cell.cell_type == "code" else MISSING
    return cell


def _notes(cell, answer, copies, released):
    """Say what was restored, where a person may want to know."""
    if "nbgrader" not in cell.metadata:
        return
    if answer is None:
        yield f"{cell.id} was missing"
    elif not is_solution(cell) and answer.source.strip() != released[cell.id]:
        yield f"{cell.id} had been changed"
    elif is_solution(cell) and answer.cell_type != cell.cell_type:
        kinds = f"{answer.cell_type}, not {cell.cell_type}"
        yield f"{cell.id} came as a cell of {kinds}, and was read as {cell.cell_type}"
    if copies > 1:
        yield f"{cell.id} came {copies} times"
