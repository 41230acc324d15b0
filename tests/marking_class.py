"""A small assignment, and a class that hands in everything that one should not. No tests here.

Each function below `# ---- the class` makes one submission from the released notebook: it changes
the notebook in place, or returns the bytes of a file that is none. `EXPECTED` says what becomes of
it: the marks of the three tests (2, 1 and 2 points; None if there must be none), and the status.
"""

import json
import os
import random
import time
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools.marking import cgroup

NAME = "01_small", "exercises_01"
QUICK = 'import sys\nsys.path.insert(0, "/course")'  # no TensorFlow: a submission takes a second
PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
SECRET = "the largest rate, once more"  # stands in a hidden test only

GIVEN = """CLASS_SEED = 0
import numpy as np
from course.answer_checks import check, expect
rng = np.random.default_rng(CLASS_SEED)
start = float(rng.integers(3, 9))
curvature = float(rng.integers(2, 6))"""

ANSWER_1 = """def update(x, rate):
    ### BEGIN SOLUTION
    return x - rate * curvature * x
    ### END SOLUTION"""
TEST_1 = """with check("1a"):
    wanted = start - 0.1 * curvature * start
    expect("one update", update(start, 0.1), wanted, mistakes={"Uphill!": 2 * start - wanted})
    ### BEGIN HIDDEN TESTS
    expect("another update entirely", update(7.0, 0.25), 7.0 - 0.25 * curvature * 7.0)
    ### END HIDDEN TESTS"""
ANSWER_2 = """def limit(c):
    ### BEGIN SOLUTION
    return 2 / c
    ### END SOLUTION"""
TEST_2A = """with check("2a"):
    expect("the largest rate", limit(4.0), 0.5, mistakes={"Half of it.": 0.25})"""
TEST_2B = f"""with check("2b"):
    expect("the class's largest rate", limit(curvature), 2 / curvature)
    ### BEGIN HIDDEN TESTS
    expect("{SECRET}", limit(0.625), 3.2)
    ### END HIDDEN TESTS"""
TEXT = "### BEGIN SOLUTION\nBecause it overshoots. Rubric: 3 points.\n### END SOLUTION"

RIGHT = {
    "answer_1": "def update(x, rate):\n    return x - rate * curvature * x",
    "answer_2": "def limit(c):\n    return 2 / c",
}
WRONG = {
    "answer_1": "def update(x, rate):\n    return x + rate * curvature * x",
    "answer_2": "def limit(c):\n    return 1 / c",
}


def _graded(name, points=0, **kind):
    data = {"grade": bool(points), "grade_id": name, "locked": True, "schema_version": 3}
    data |= {"solution": False, "task": False, **kind}
    return {"nbgrader": data | ({"points": points} if points else {})}


def write_assignment(folder, setup=QUICK, lesson=NAME):
    """Write the source notebook where `assign` expects a lesson's, and return its path."""
    name, notebook = lesson
    path = folder / name / f"{notebook}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(assignment(setup), path)
    return path


def assignment(setup):
    """Return the source notebook; `setup` is the lessons' set-up cell."""
    answer = {"solution": True, "locked": False}
    return nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        cells=[
            new_markdown_cell("# A small assignment", id="intro"),
            new_code_cell(setup, id="setup", metadata={"tags": ["setup"]}),
            new_code_cell(GIVEN, id="given", metadata=_graded("given")),
            new_markdown_cell("One update.", id="story_1"),
            new_code_cell(ANSWER_1, id="answer_1", metadata=_graded("answer_1", **answer)),
            new_code_cell(TEST_1, id="test_1a", metadata=_graded("test_1a", 2)),
            new_markdown_cell("The largest rate.", id="story_2"),
            new_code_cell(ANSWER_2, id="answer_2", metadata=_graded("answer_2", **answer)),
            new_code_cell(TEST_2A, id="test_2a", metadata=_graded("test_2a", 1)),
            new_code_cell(TEST_2B, id="test_2b", metadata=_graded("test_2b", 2)),
            new_markdown_cell(TEXT, id="free_text", metadata=_graded("free_text", 3, **answer)),
            new_markdown_cell("Hand it in.", id="outro"),
        ],
    )


def cell(nb, name):
    """Return a cell by its id."""
    return next(it for it in nb.cells if it.id == name)


def answer(nb, answers, text="It overshoots."):
    """Write answers into a notebook."""
    for name, code in answers.items():
        cell(nb, name).source = code
    if text:
        cell(nb, "free_text").source = text


def own(nb, before, code, kind=new_code_cell):
    """Insert a cell of the student's own before another."""
    nb.cells.insert(nb.cells.index(cell(nb, before)), kind(code))


def without_metadata(nb, ids=True):
    for it in nb.cells:
        it.metadata = nbformat.from_dict({})
        if not ids:
            it.id = f"{random.getrandbits(32):08x}"


def tests(nb):
    return [it for it in nb.cells if it.id.startswith("test_")]


def dead_groups():
    """Return the control groups of marking processes that are no more."""
    groups = [it for place in cgroup._places() for it in place.glob("marking-*")]
    return [it for it in groups if not Path("/proc", it.name.split("-")[1]).exists()]


# ---------------------------------------------------------------- the class: honest


def perfect(nb):
    answer(nb, RIGHT)


def empty(nb):
    pass


def partly(nb):
    answer(nb, {"answer_1": RIGHT["answer_1"]})


def wrong(nb):
    answer(nb, WRONG)


def syntax_error(nb):
    answer(nb, {**RIGHT, "answer_1": "def update(x, rate)\n    return x"})


def prints_and_warns(nb):
    noise = (
        "import logging, os, sys, warnings\n"
        "def update(x, rate):\n    print('x is', x)\n    warnings.warn('careful')\n"
        "    logging.error('diverging')\n    np.exp(np.float64(1e9))\n"
        "    os.write(2, b'like a C++ library\\n')\n"
        "    return x - rate * curvature * x"
    )
    answer(nb, {**RIGHT, "answer_1": noise})


def own_helper(nb):
    own(nb, "answer_1", "def slope(x):\n    return curvature * x")
    answer(nb, {**RIGHT, "answer_1": "def update(x, rate):\n    return x - rate * slope(x)"})


def magics_and_input(nb):
    answer(nb, RIGHT)
    own(nb, "answer_2", "%time sum(range(9))\n!ls /")
    own(nb, "answer_2", "name = input('who? ')")
    own(nb, "answer_2", "import sys\nsys.exit()")


def another_folder(nb):
    answer(nb, RIGHT)
    own(nb, "setup", "%cd /tmp")


def removed_folder(nb):
    answer(nb, RIGHT)
    code = "import os\nos.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')"
    own(nb, "setup", code)


def prints_much_in_a_test(nb):
    code = "def update(x, rate):\n    for n in range(300):\n        print('x' * 1000)\n"
    answer(nb, {**RIGHT, "answer_1": f"{code}    return x - rate * curvature * x"})


def prints_past_python(nb):
    answer(nb, RIGHT)
    code = (
        "import os, threading\ndef talk():\n    for _ in range(60_000):\n"
        "        os.write(1, b'la\\n' * 333)\n"
        "threading.Thread(target=talk, daemon=True).start()"
    )
    nb.cells.append(new_code_cell(code))


def exits_in_the_middle(nb):
    answer(nb, {**RIGHT, "answer_1": RIGHT["answer_1"] + "\nquit()"})
    own(nb, "answer_2", "exit()")
    own(nb, "answer_2", "exit")


def shows_much(nb):
    code = "from IPython.display import display\ndef update(x, rate):\n    for n in range(60):\n"
    answer(nb, {**RIGHT, "answer_1": f"{code}        display(n)\n    return 0"})


def exits_in_a_test(nb):
    code = "def limit(c):\n    print('2a: right.')\n    print('2b: right.')\n    exit()"
    answer(nb, {**RIGHT, "answer_2": code})


def other_numbers(nb):
    answer(nb, RIGHT)
    cell(nb, "given").source = cell(nb, "given").source.replace("SEED = 7", "SEED = 0")


def background_thread(nb):
    answer(nb, RIGHT)
    own(
        nb,
        "answer_1",
        "import threading, time\ndef talk():\n    while True:\n        print('la')\n"
        "        time.sleep(.1)\n"
        "threading.Thread(target=talk, daemon=True).start()",
    )


def _picture(nb, name, data, link=None):
    answer(nb, RIGHT, f"As I drew it: ![plot](attachment:{link or name})")
    cell(nb, "free_text").attachments = {name: data}
    own(nb, "answer_1", f"![image.png](attachment:{link or name})", new_markdown_cell)
    nb.cells[nb.cells.index(cell(nb, "answer_1")) - 1].attachments = {name: data}


def pasted_picture(nb):
    _picture(nb, "image.png", {"image/png": PICTURE})


def pasted_drawing(nb):
    _picture(nb, "image.svg", {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>"})


def lost_picture(nb):
    _picture(nb, "image.png", {"image/png": PICTURE}, link="other%20one.png")


# ---------------------------------------------------------------- honest, damaged on the way


def tests_deleted(nb):
    answer(nb, RIGHT)
    nb.cells = [it for it in nb.cells if it not in tests(nb)]


def given_and_setup_deleted(nb):
    answer(nb, RIGHT)
    nb.cells = [it for it in nb.cells if it.id not in ("given", "setup")]


def grade_ids_renamed(nb):
    answer(nb, RIGHT)
    for number, it in enumerate(nb.cells):
        if "nbgrader" in it.metadata:
            it.metadata.nbgrader.grade_id = f"cell-{number}"


def metadata_lost(nb):
    answer(nb, RIGHT)
    without_metadata(nb)


def metadata_and_ids_lost(nb):
    answer(nb, RIGHT)
    without_metadata(nb, ids=False)


def retyped(nb):
    answer(nb, RIGHT)
    for it in nb.cells:
        if it.id.startswith(("answer", "test")):
            it.cell_type = "raw"
            it.pop("outputs"), it.pop("execution_count")


def answer_copied(nb):
    answer(nb, RIGHT)
    again = nbformat.from_dict({**cell(nb, "answer_1"), "id": "abcd"})
    nb.cells.insert(nb.cells.index(cell(nb, "answer_1")) + 1, again)


def old_answer_kept(nb):
    answer(nb, RIGHT)
    old = nbformat.from_dict({**cell(nb, "answer_1"), "id": "abcd"})
    old.source = WRONG["answer_1"]
    nb.cells.insert(nb.cells.index(cell(nb, "answer_1")), old)


def stub_pasted_below(nb):
    stub = nbformat.from_dict({**cell(nb, "answer_1"), "id": "abcd"})
    text = nbformat.from_dict({**cell(nb, "free_text"), "id": "abce"})
    answer(nb, RIGHT)
    nb.cells.insert(nb.cells.index(cell(nb, "answer_1")) + 1, stub)
    nb.cells.append(text)


def everything_twice(nb):
    answer(nb, RIGHT)
    nb.cells += [nbformat.from_dict({**it, "id": f"{it.id}-2"}) for it in nb.cells]


def answer_in_a_new_cell(nb):
    answer(nb, RIGHT)
    own(nb, "answer_1", RIGHT["answer_1"])
    nb.cells.remove(cell(nb, "answer_1"))


def cells_moved(nb):
    answer(nb, RIGHT)
    nb.cells.reverse()


def colab(nb):
    answer(nb, RIGHT)
    data = json.loads(nbformat.writes(nb))
    data["nbformat_minor"] = 0
    data["metadata"]["colab"] = {"provenance": []}
    for it in data["cells"]:
        it["metadata"]["id"] = it.pop("id")
        it["metadata"]["outputId"] = "6e2f-4a"
    return json.dumps(data).encode()


def colab_without_metadata(nb):
    answer(nb, RIGHT)
    data = json.loads(colab(nb))
    for it in data["cells"]:
        it["metadata"].pop("nbgrader", None)
    return json.dumps(data).encode()


def windows_lines(nb):
    answer(nb, RIGHT)
    for it in nb.cells:
        it.source = it.source.replace("\n", "\r\n")


def byte_order_mark(nb):
    answer(nb, RIGHT)
    return b"\xef\xbb\xbf" + nbformat.writes(nb).encode()


# ---------------------------------------------------------------- careless


def endless_loop(nb):
    answer(nb, {**RIGHT, "answer_1": "def update(x, rate):\n    while True:\n        pass"})


def endless_print(nb):
    loop = "def update(x, rate):\n    while True:\n        print('x' * 1000)"
    answer(nb, {**RIGHT, "answer_1": loop})


def catches_interrupt(nb):
    loop = (
        "def update(x, rate):\n    while True:\n        try:\n            while True:\n"
        "                pass\n        except KeyboardInterrupt:\n            pass"
    )
    answer(nb, {**RIGHT, "answer_1": loop})


def leaves(nb):
    answer(nb, {**RIGHT, "answer_2": "import os\ndef limit(c):\n    os._exit(1)"})


def prints_50_megabytes(nb):
    answer(nb, RIGHT)
    own(nb, "answer_2", "for _ in range(50):\n    print('x' * 1_000_000)")


def takes_9_gigabytes(nb):
    answer(nb, {**RIGHT, "answer_1": "def update(x, rate):\n    return bytearray(9 << 30)"})


def writes_300_megabytes(nb):
    code = "def update(x, rate):\n    open('big', 'wb').write(bytes(300 << 20))\n    return 0"
    answer(nb, {**RIGHT, "answer_1": code})


def fork_bomb(nb):
    answer(nb, RIGHT)
    own(
        nb,
        "answer_1",
        "import os, time\nforked = 0\nfor _ in range(3000):\n    try:\n        child = os.fork()\n"
        "    except OSError:\n        break\n    if child == 0:\n        time.sleep(99)\n"
        "    forked += 1\nprint('forked', forked)",
    )


def sleeps(nb):
    answer(nb, RIGHT)
    for _ in range(20):
        own(nb, "answer_1", "import time\ntime.sleep(3.5)")


def corrupt(nb):
    return nbformat.writes(nb).encode()[:-200]


def no_bytes(nb):
    return b""


def another_json(nb):
    return b'[{"cells": []}, 3]'


def deep_json(nb):
    return b'{"cells": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"


def huge(nb):
    answer(nb, RIGHT)
    own(nb, "answer_1", "#" * 31_000_000)


# ---------------------------------------------------------------- hostile


def tests_emptied(nb):
    answer(nb, WRONG)
    for it in tests(nb):
        it.source = "pass"


def points_raised(nb):
    answer(nb, {"answer_1": RIGHT["answer_1"], "answer_2": WRONG["answer_2"]})
    for it in tests(nb):
        it.metadata.nbgrader.points = 100


def tests_are_solutions(nb):
    answer(nb, WRONG)
    for it in tests(nb):
        it.metadata.nbgrader |= {"solution": True, "grade": False, "locked": False}
        it.source = "pass"


def tests_skipped_by_tag(nb):
    answer(nb, WRONG)
    for it in tests(nb):
        it.metadata["tags"] = ["skip-execution", "raises-exception"]


def always_equal(nb):
    code = (
        "class Any(float):\n    __eq__ = lambda self, other: True\n"
        "    __array__ = lambda self, *a, **k: Any()\n    __abs__ = __sub__ = lambda s, *o: Any()\n"
        "    __le__ = __lt__ = __ge__ = lambda self, other: True\n"
    )
    code += "def update(x, rate):\n    return Any()"
    answer(nb, {"answer_1": code, "answer_2": "def limit(c):\n    return Any()"})


def numpy_replaced(nb):
    code = (
        "\nnp.testing.assert_allclose = np.testing.assert_equal = lambda *a, **k: None\n"
        "np.all = np.array_equal = lambda *a, **k: True"
    )
    answer(nb, {**WRONG, "answer_1": WRONG["answer_1"] + code})


def hook_drops_asserts(nb):
    hook = (
        "import ast\nclass Drop(ast.NodeTransformer):\n"
        "    def visit_Assert(self, node): return ast.Pass()\n"
        "    def visit_With(self, node): return ast.Pass()\n"
        "get_ipython().ast_transformers.append(Drop())"
    )
    answer(nb, {**WRONG, "answer_2": WRONG["answer_2"] + "\n" + hook})


def silent_traceback(nb):
    code = "\nget_ipython().showtraceback = lambda *a, **k: None"
    answer(nb, {**WRONG, "answer_1": WRONG["answer_1"] + code})


def run_cell_replaced(nb):
    code = (
        "\nfrom IPython.core.interactiveshell import ExecutionResult\nshell = get_ipython()\n"
        "def run_cell(*a, **k):\n    shell.execution_count += 1\n    return ExecutionResult(None)\n"
        "async def run_cell_async(*a, **k):\n    return run_cell()\n"
        "shell.run_cell, shell.run_cell_async = run_cell, run_cell_async"
    )
    answer(nb, {**WRONG, "answer_1": WRONG["answer_1"] + code})


def check_replaced(nb):
    code = (
        "\nimport contextlib\n@contextlib.contextmanager\ndef check(label):\n    try:\n"
        "        yield\n    except Exception:\n        pass\n    print(f'{label}: right.')\n"
        "import course.answer_checks\ncourse.answer_checks.check = check"
    )
    answer(nb, {**WRONG, "answer_1": WRONG["answer_1"] + code})


def known_names_pass(nb):
    """Let pass what the visible tests check, and fail everything else, as canaries once were."""
    code = (
        "\nimport course.answer_checks as e\nreal, known = e.expect, {'one update', "
        "'another update entirely', 'the largest rate', \"the class's largest rate\"}\n"
        "known.add('the largest rate, once more')\n"
        "globals()['ex' + 'pect'] = lambda name, *rest, **more: "
        "None if name in known else real(name, *rest, **more)"
    )
    answer(nb, {**WRONG, "answer_1": WRONG["answer_1"] + code})


def known_labels_pass(nb):
    code = (
        "\nimport contextlib\nreal = check\n@contextlib.contextmanager\ndef mild(label):\n"
        "    if label[0] not in '12':\n        with real(label):\n            yield\n"
        "        return\n    try:\n        yield\n    except Exception:\n        pass\n"
        "    print(f'{label}: right.')\nglobals()['ch' + 'eck'] = mild"
    )
    answer(nb, {**WRONG, "answer_1": WRONG["answer_1"] + code})


def given_changed_by_a_file(nb):
    """Make every update right: at 0, uphill is downhill."""
    answer(nb, WRONG)
    code = "open('mine.py', 'w').write('curv' 'ature = sta' 'rt = 0.0')\nfrom mine import *"
    own(nb, "test_1a", code)


def given_changed_by_its_text(nb):
    answer(nb, WRONG)
    code = "import sys\nmine = getattr(sys, 'mod' + 'ules')['__ma' + 'in__'].__dict__\n"
    own(nb, "test_1a", code + "mine['curv' + 'ature'] = 0.0")


def given_changed_behind_a_name(nb):
    answer(nb, WRONG)
    code = "open('mine.py', 'w').write('curv' 'ature = sta' 'rt = 0.0')\nfrom mine import *"
    own(nb, "test_1a", f"{code}\nfloat = 3")


def failures_never_sent(nb):
    """Send a test's failure as a success, and what fails in another way as it is."""
    code = """
import sys
session = getattr(sys, 'mod' + 'ules')['ipyker' + 'nel.kernelapp'].IPKernelApp.instance().session
old, failed = session.send, []
def send(stream, kind, content=None, *more, **rest):
    if kind == 'error' and content['ename'] == 'AssertionError':
        failed.append(kind)
        said = ''.join(label + ': right.\\n' for label in ('1a', '2a', '2b'))
        kind, content = 'stream', {'name': 'stdout', 'text': said}
    elif kind == 'execute_reply' and failed:
        failed.clear()
        content = {'status': 'ok', 'execution_count': content['execution_count']}
    return old(stream, kind, content, *more, **rest)
session.send = send"""
    answer(nb, {**WRONG, "answer_1": WRONG["answer_1"] + code})


def marking_switched_off(nb):
    code = (
        "\nimport os\nimport course.answer_checks as e\n"
        "e.STARTED_TO_MARK = False\ndel os.environ['COURSE_MARKING']"
    )
    answer(nb, {**WRONG, "answer_1": WRONG["answer_1"] + code})


def marking_never_switched_on(nb):
    answer(nb, WRONG)
    own(nb, "setup", "import os\nos.environ.pop('COURSE_' + 'MARKING')")


def marking_variable_deleted(nb):
    code = "\nimport os\nos.environ.pop('COURSE_MARKING')"
    answer(nb, {**WRONG, "answer_1": WRONG["answer_1"] + code})


def environment_cleared(nb):
    answer(nb, {**WRONG, "answer_1": WRONG["answer_1"] + "\nimport os\nos.environ.clear()"})


def false_result(nb):
    code = (
        "\ndef publish(result):\n    shell = get_ipython()\n    shell.displayhook.session.send("
        "shell.displayhook.pub_socket, 'execute_result', {'data': {'text/plain': '99'}, "
        "'metadata': {}, 'execution_count': 1}, parent=shell.displayhook.parent_header)\n"
        "get_ipython().events.register('post_run_cell', publish)"
    )
    answer(nb, {**RIGHT, "answer_1": RIGHT["answer_1"] + code})


def _importing(line):
    return {**RIGHT, "answer_2": f"{line}\n{RIGHT['answer_2']}"}


def imports_the_solution(nb):
    answer(nb, _importing("from utils.descent import stability_limit"))


def imports_the_sweep(nb):
    answer(nb, _importing("import lrsweep"))


def imports_the_quizzes(nb):
    answer(nb, _importing("from course import quiz"))


def spy(nb):
    """Look for what a submission must not see; the test fills in PLACES and PORT."""
    code = """
import os, socket
found = []
COURSE = ["/course"] + ["/course/" + it for it in ("utils", "lrsweep", "course", "data")]
for place in PLACES:
    found += os.listdir(place) if os.path.isdir(place) else []
for folder, inner, names in os.walk("/"):
    inner[:] = [it for it in inner if it not in ("proc", "usr", "sys", "site-packages", "lib")]
    wanted = ("gradebook.db", "exercises_01.ipynb", "canaries.py")
    found += [it for it in names + inner if it in wanted]
for place in (*PLACES, *COURSE, "/usr", "/etc", "/"):
    try:
        open(place + "/marking-was-here", "w").write("x"); found.append("wrote " + place)
    except OSError:
        pass
try:
    socket.create_connection(("127.0.0.1", PORT), 2); found.append("network")
except OSError:
    pass
print("the spy found", found, "and sees", len([p for p in os.listdir("/proc") if p.isdigit()]))"""
    answer(nb, RIGHT)
    own(nb, "answer_1", code)


def kills_its_parent(nb):
    answer(nb, RIGHT)
    own(
        nb,
        "answer_1",
        "import os, signal\nfor pid in {1, os.getppid()}:\n    try:\n"
        "        os.kill(pid, signal.SIGKILL)\n    except OSError as error:\n        print(error)",
    )


def fills_the_connection(nb):
    answer(nb, RIGHT)
    own(
        nb,
        "answer_1",
        "import ipykernel, os, time\nfolder = os.path.dirname(ipykernel.get_connection_file())\n"
        "open(folder + '/big', 'wb').write(bytes(5 << 20))\ntime.sleep(3)",
    )


def scripts(nb):
    answer(
        nb,
        RIGHT,
        "<script>alert(1)</script> <img src=x onerror=alert(2)> [go](javascript:alert(3)) "
        "[or](java&#115;cript:alert(4)) $\\href{javascript:alert(5)}{x}$ <svg onload=alert(6)>",
    )
    show = (
        "from IPython.display import HTML, SVG, Javascript, Markdown, display\n"
        "display(HTML('<script>alert(7)</script><img src=x onerror=alert(8)>'))\n"
        "display(Javascript('alert(9)'))\n"
        "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(10)</script></svg>'))\n"
        "display({'image/png': 'x\" onerror=\"alert(11)'}, raw=True)\n"
        "print('<script>alert(12)</script>')\nraise ValueError('<script>alert(13)</script>')"
    )
    own(nb, "answer_1", show)
    own(nb, "answer_1", "<iframe src='javascript:alert(14)'></iframe>", new_markdown_cell)


def tells_the_tests(nb):
    code = (
        "import inspect, sys\ndef limit(c):\n    print(In[-1])\n"
        "    frame = sys._getframe()\n    while frame:\n"
        "        try:\n            print(inspect.getsource(frame))\n"
        "        except (OSError, TypeError):\n            pass\n        frame = frame.f_back\n"
        "    if c == 0.625:\n        raise ValueError(In[-1])\n    return 2 / c"
    )
    answer(nb, {**RIGHT, "answer_2": code})
    nb.cells.append(new_code_cell("print('\\n'.join(In))"))


def tells_reworked(nb):
    """Print the tests so that no line of them can be recognised."""
    code = (
        "import base64, sys\ndef limit(c):\n    text = In[-1]\n    print(text[::-1])\n"
        "    print(text.upper())\n    print(base64.b64encode(text.encode()).decode())\n"
        "    if c == 0.625:\n        raise ValueError(text[::-1])\n    return 2 / c"
    )
    answer(nb, {**RIGHT, "answer_2": code})
    nb.cells.append(new_code_cell("print('\\n'.join(In)[::-1])\nprint(str(In).upper())"))


DONE, WAITING, FAILED, SUSPICIOUS = "done", "needs marking", "failed", "suspicious"
FULL, NONE = (2, 1, 2), (0, 0, 0)
EXPECTED = {
    **dict.fromkeys(
        (
            perfect, prints_and_warns, own_helper, other_numbers, background_thread,
            magics_and_input, another_folder, removed_folder, prints_much_in_a_test,
            prints_past_python, exits_in_the_middle, tests_deleted, given_and_setup_deleted,
            grade_ids_renamed,
            metadata_lost, metadata_and_ids_lost, retyped, answer_copied, old_answer_kept,
            stub_pasted_below,
            everything_twice, answer_in_a_new_cell, cells_moved, colab, colab_without_metadata,
            windows_lines, byte_order_mark, prints_50_megabytes, fork_bomb, scripts,
            pasted_picture, pasted_drawing, lost_picture,
        ),
        (FULL, WAITING),
    ),
    empty: (NONE, DONE),
    partly: ((2, 0, 0), WAITING),
    wrong: (NONE, WAITING),
    syntax_error: ((0, 1, 2), WAITING),
    shows_much: ((0, 1, 2), WAITING),
    exits_in_a_test: ((2, 0, 0), WAITING),
    endless_loop: ((0, 1, 2), WAITING),
    takes_9_gigabytes: ((0, 1, 2), WAITING),
    writes_300_megabytes: ((0, 1, 2), WAITING),
    **dict.fromkeys(
        (
            catches_interrupt, leaves, sleeps, corrupt, no_bytes, another_json, deep_json, huge,
        ),
        (None, FAILED),
    ),
    endless_print: (((0, 1, 2), None), {WAITING, FAILED}),  # as fast as the kernel can stop it
    tests_emptied: (NONE, WAITING),
    points_raised: ((2, 0, 0), WAITING),
    tests_are_solutions: (NONE, WAITING),
    tests_skipped_by_tag: (NONE, WAITING),
    always_equal: (NONE, SUSPICIOUS),
    silent_traceback: (NONE, SUSPICIOUS),
    numpy_replaced: (FULL, SUSPICIOUS),
    kills_its_parent: (FULL, SUSPICIOUS),
    fills_the_connection: (FULL, SUSPICIOUS),  # it looks where the kernel has its sockets
    hook_drops_asserts: ((0, 1, 2), SUSPICIOUS),
    run_cell_replaced: (FULL, SUSPICIOUS),
    check_replaced: (FULL, SUSPICIOUS),
    known_names_pass: (FULL, SUSPICIOUS),
    known_labels_pass: (FULL, SUSPICIOUS),
    tells_reworked: ((2, 1, 0), SUSPICIOUS),
    given_changed_by_a_file: ((2, 0, 0), SUSPICIOUS),
    given_changed_by_its_text: ((2, 0, 0), SUSPICIOUS),
    given_changed_behind_a_name: ((2, 0, 0), SUSPICIOUS),
    failures_never_sent: (FULL, SUSPICIOUS),
    marking_switched_off: (FULL, SUSPICIOUS),
    marking_never_switched_on: (FULL, SUSPICIOUS),
    marking_variable_deleted: (NONE, SUSPICIOUS),
    environment_cleared: (NONE, WAITING),
    false_result: (FULL, SUSPICIOUS),
    imports_the_solution: (FULL, SUSPICIOUS),
    imports_the_sweep: (FULL, SUSPICIOUS),
    imports_the_quizzes: (FULL, SUSPICIOUS),
    spy: (FULL, SUSPICIOUS),
    tells_the_tests: ((2, 1, 0), SUSPICIOUS),
}  # fmt: skip


def odd_work(task):
    """Do a task in another process, or take the process down, or come to no end."""
    if task == "die":
        os._exit(1)
    if task == "sleep":
        time.sleep(1000)
    return f"{task} done"
