"""What the tests of the lessons' claims share."""

import ast
import atexit
import contextlib
import importlib.util
import io
import re
import shutil
import tempfile
from pathlib import Path

import nbformat
from conftest import ROOT

from course import quiz
from tools import rules

NAMES = {"abs": abs, "round": round}


def fallen_for_traps(stem, at_least):
    """Answer each prediction of a lesson with each of its traps; return those called right.

    The outcome is the one that the stored notebook shows. Traps whose keys need the lesson's
    variables are skipped, and `at_least` so many must be left.
    """
    found, tried = [], 0
    notebook = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type != "code" or "quiz.compare" not in cell.source:
            continue
        scope, constants = {}, {}
        for node in ast.walk(ast.parse(cell.source)):
            target = getattr(node.targets[0], "id", "") if isinstance(node, ast.Assign) else ""
            if target == "traps":
                scope["traps"] = node.value
            elif target and isinstance(node.value, ast.Constant):
                constants[target] = node.value.value
        for call in ast.walk(ast.parse(cell.source)):
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "quiz.compare"):
                continue
            if not isinstance(call.args[0], ast.Constant):
                continue  # inside a function of the lesson's own
            name = ast.literal_eval(call.args[0])
            options = {word.arg: word.value for word in call.keywords}
            traps = options.get("traps")
            if isinstance(traps, ast.Name):
                traps = scope["traps"]
            if traps is None:
                continue
            shown = "".join(output.get("text", "") for output in cell.outputs)
            outcome = re.search(rf"{re.escape(name)}: (.+?)\. \(You made no guess", shown).group(1)
            with contextlib.suppress(ValueError):
                outcome = float(outcome)
            tolerance = ast.literal_eval(options["tolerance"]) if "tolerance" in options else 0.1
            traps = eval(compile(ast.Expression(traps), stem, "eval"), NAMES | constants)
            for wrong in traps:
                tried += 1
                with contextlib.redirect_stdout(io.StringIO()) as printed:
                    quiz.predict(name, wrong)
                    quiz.compare(name, outcome, tolerance, traps)
                    quiz.predict(name, None)
                if "Well predicted" in printed.getvalue():
                    found.append((name, wrong))
                elif traps[wrong] not in printed.getvalue():
                    found.append((name, wrong, "its sentence is not shown"))
    assert tried >= at_least, tried
    return found


def definitions(stem, kept):
    """Return what a lesson imports and defines: its functions, its classes, and `kept` names.

    They are read from the stored notebook and run anew, without the lesson's experiments.
    """
    source, path = [], ROOT / "notebooks" / f"{stem}.ipynb"
    for cell in rules.code_cells(nbformat.read(path, as_version=4))[1:]:  # without the set-up
        source += [ast.unparse(node) for node in ast.parse(cell.source).body if _is_in(kept, node)]
    file = Path(tempfile.mkdtemp()) / f"lesson_{stem[:2]}.py"  # TensorFlow reads the source
    atexit.register(shutil.rmtree, file.parent)
    file.write_text("\n".join(source), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


def _is_in(kept, node):
    if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
        return True
    assigns = isinstance(node, ast.Assign) and len(node.targets) == 1
    return assigns and ast.unparse(node.targets[0]).strip("()") in kept
