"""Cells that only the marking kernel sees: they must fail, or must print, and tell who cheats."""

import random
import re
import unicodedata

import nbformat
from nbgrader.utils import is_grade, is_solution

from . import comments, modules, names

MUST_FAIL = {  # tried in the notebook's own namespace, with the names that its tests use
    "a plain assert": "assert {low} > {high}",
    "numpy.testing": (  # only where it is loaded: nobody replaces what is not there
        '__import__("sys").modules["numpy.testing"].assert_allclose({low}, {high})'
    ),
    "expect": "expect({name}, {low}, {high})",
    "expect of a number nearby": "expect({name}, {high} + 1e-05, {high})",
    "expect of a list": "expect({name}, [{high}, {low}], [{high}, {high}])",
    "expect of an array": "expect({name}, [{high}] * 7 + [{low}], [{high}] * 8)",
    "expect of infinity": "expect({name}, {high}, float('inf'))",
    "expect of a word": "expect({name}, '{low}', '{high}')",
    "check": "with check({label}):\n        assert {low} > {high}",
    "an object that equals everything": (
        'expect({name}, type("X", (), {{"__eq__": lambda self, other: True}})(), {high})'
    ),
}
CAUGHT = "try:\n    {fails}\nexcept BaseException:\n    print({high} + 1)"
UNCAUGHT = (  # the kernel must report it; a traceback in full would take half a second
    'raise type("Canary", (Exception,), {"_render_traceback_": lambda self: ["canary"]})'
)
LIKE_A_TEST = (  # what an answer makes pass that stands between the kernel and the marker
    "with check({label}):\n    expect({name}, {low}, {high})",
    "with check({label}):\n    assert {low} > {high}, {name}",
)

HINTS = {
    "looks into IPython": r"ast_transformers|ast_node_interactivity|run_cell|showtraceback"
    r"|\b(?:import|from)\b.*\bipykernel\b|\bipykernel[.:]\w|events\.register|set_custom_exc|input_transformers|user_ns\b"
    r"|get_ipython\(\)(?!\.(?:run_(?:line|cell)_magic|magic|system|getoutput)\()"
    r"|\bget_ipython[ \t]+as\b|=[ \t]*get_ipython\b(?!\()|\bInteractiveShell\b",
    "looks at the tests": r"_getframe|\binspect\b|linecache|currentframe|\bIn\s*\[|\b_ih\b"
    r"|\bimport[ \t]+__main__|\b(tb|gi|cr|ag)_frame\b|\bf_(back|locals|globals)\b"
    r"|(walk|extract|format|print)_stack\b|(walk|extract)_tb\b|stack_info|_current_frames\b"
    r"|\b_(ii|iii|i\d+|dh)\b"
    r"|((\n|^|=)[ \t]*%|magic\(\s*['\"]%?)(hist|history|recall|rep|rerun|macro|save|notebook)\b",
    "reaches for names by their text": r"(?<![.\w])((globals|eval|exec|__import__)\(|vars\(\s*\)"
    r"|locals\(\s*\)\s*[.\[])|=[ \t]*locals\(\s*\)"
    r"|__(globals|builtins|subclasses|self|getattribute)__|\bbuiltins\b|\bsys\.modules\b"
    r"|\bfrom[ \t]+sys[ \t]+import\b.*\bmodules\b|\bsys[ \t]+as\b|\bimportlib\b|\bpkgutil\b"
    r"|\b(gc\.get_|get_(objects|referrers|referents)\b)",
    "changes how it is checked": r"COURSE_MARKING|answer_checks|STARTED_TO_MARK|marks_are_given"
    r"|testing\.\w+\s*=[^=]|\b(check|expect)\s*=[^=]|def (check|expect)\b|setattr\(\s*(np|numpy)"
    r"|(?<![.\w])(np|numpy)(\.\w+)+\s*=[^=]"
    r"|\b(import|from)\b.*\bmock\b|\.[ \t]*mock\b"
    r"|(?<!def )(?<!super\(\)\.)__(set|del)attr__(?!(?<=object\.__[sd]e[tl]attr__)\(self,)"
    r"|__(code|defaults|kwdefaults|closure)__|set(trace|profile)\b|sys\.monitoring",
    "defines what equals": r"__(eq|ne|float|lt|gt|le|ge|bool|buffer)__"
    r"|__array(_ufunc|_function|_interface|_struct)?__",
    "reaches out of Python": r"os\._exit|os\.kill|\bsubprocess\b|\bctypes\b|os\.system|\bsocket\b",
}
SILENT = "a cell that must print does not"
UNREAD = "an answer has more magic commands than are read"
QUOTED = r"\(\s*(['\"])((?:(?!\1)[^\\{}\n])+)\1"  # a name in either kind of quotes
COURSE = r"^[ \t]*((?:from|import)[ \t]+(?:utils|lrsweep|course)\b.*)$"


def plant(nb):
    """Put canaries at the end, and one before a test chosen at random.

    Returns
    -------
    dict of str to dict
        By the id of the cell: what it tries, and the number that it prints if that fails.
    """
    tests = [n for n, cell in enumerate(nb.cells) if is_grade(cell) and cell.cell_type == "code"]
    kinds = list(MUST_FAIL)
    places = [(len(nb.cells), kinds), (len(nb.cells), []), (len(nb.cells), None)]
    if tests:
        places.append((random.choice(tests), [random.choice(kinds)]))
    planted, words = {}, _words(nb)
    for place, tried in places:
        numbers = {kind: round(random.uniform(3, 9), 6) for kind in tried or ()}
        lines = [_canary(kind, high, words) for kind, high in numbers.items()]
        source = "\n".join(lines) or UNCAUGHT
        if tried is None:
            source = _filled(random.choice(LIKE_A_TEST), round(random.uniform(3, 9), 6), words)
        cell = nbformat.v4.new_code_cell(source)
        nb.cells.insert(place, cell)
        planted[cell.id] = {kind: f"{high + 1}" for kind, high in numbers.items()}
    return planted


def _canary(kind, high, words):
    return CAUGHT.format(fails=_filled(MUST_FAIL[kind], high, words), high=high)


def _filled(code, high, words):
    low = round(random.uniform(1, 2), 6)
    chosen = {name: repr(random.choice(known)) for name, known in words.items()}
    return code.format(low=low, high=high, **chosen)


def _words(nb):
    """Return the names and labels that the notebook's tests use: a canary looks like a test."""
    tests = "\n".join(cell.source for cell in nb.cells if is_grade(cell))
    names, labels = (
        [words for _, words in re.findall(call + QUOTED, tests)] for call in ("expect", "check")
    )
    return {"name": names or ["the answer"], "label": labels or ["1a"]}


def judge(nb, planted, replies):
    """Return what is wrong with how the kernel answered, as sentences."""
    found = []
    by_id = {cell.id: cell for cell in nb.cells}
    for name, numbers in planted.items():
        printed = _printed(by_id[name]).strip()  # a thread may print between, without blanks
        passed = replies.get(name, {}).get("status") == "ok"
        if not numbers and passed:
            found.append("the kernel does not report an error")
        if numbers and not printed:
            found.append(SILENT)
        found += [
            f"{kind} passes that must fail" for kind in numbers if numbers[kind] not in printed
        ]
    if _skips(nb, replies):
        found.append("the kernel did not count the cells that it was given")
    for cell in nb.cells:
        if is_grade(cell) and cell.cell_type == "code" and _silent(cell, replies.get(cell.id, {})):
            found.append(f"{cell.id} passes without saying so")
    return sorted(set(found))


def _printed(cell):
    return "".join(out.text for out in cell.outputs if out.output_type == "stream")


def _skips(nb, replies):
    """Tell whether the kernel's own count of cells jumps."""
    last = None
    for cell in nb.cells:
        if cell.cell_type == "code" and cell.source.strip():
            count = replies.get(cell.id, {}).get("execution_count")
            if None not in (last, count) and count != last + 1:
                return True
            last = count
    return False


def _silent(cell, reply):
    label = re.search(r"with check\([\"'](.+?)[\"']\)", cell.source)
    return bool(label and reply.get("status") == "ok") and (
        f"{label.group(1)}: right." not in _printed(cell)
    )


def remove(nb, planted):
    """Take the canaries, and what else was put in, out again; `planted` has their ids."""
    nb.cells = [cell for cell in nb.cells if cell.id not in planted]


def hints(nb):
    """Return what a person should look at in the student's own cells, as sentences."""
    own = [cell for cell in nb.cells if is_solution(cell) or cell.id.startswith("extra-")]
    codes = [_as_python_reads(cell.source) for cell in own if cell.cell_type == "code"]
    mine = {id(cell) for cell in own}
    course = "\n".join(cell.source for cell in nb.cells if id(cell) not in mine)
    code = comments.without_given_imports("\n".join(codes), course)
    is_read = "__doc__" in code  # docstrings that are read may be run
    if not is_read and any(re.search(words, code) for words in HINTS.values()):
        bare = "\n".join(map(comments.without_comments, codes))
        code = comments.without_given_imports(bare, course)
    found = [f"an answer {what}" for what, words in HINTS.items() if re.search(words, code)]
    for line in re.findall(COURSE, code, flags=re.MULTILINE):
        if line.strip() not in course:
            found.append("an answer imports from the course's packages")
    own, given, tests = _code(nb, mine)
    if sum(map(names.magics, own)) > names.MAGICS:
        return sorted({*found, UNREAD})
    found += [UNREAD for it in own if names.magics(it) * len(it) > names.READ]
    texts = [it.source for it in nb.cells if it.cell_type == "markdown" and id(it) not in mine]
    found += ["an answer looks at the tests"] if names.history(own) else []
    reads = names.peeked(own, given, tests)
    found += [f"an answer reads {name}, which only the tests define" for name in reads]
    uses = modules.borrowed(own, [*given, *texts], tests)
    found += [f"an answer uses {name}, with which the tests find theirs" for name in uses]
    changes = names.overwritten(own, given, tests)
    found += [
        f"an answer changes {name}, which the notebook gives to its tests" for name in changes
    ]
    found += [f"an answer uses {name} as a value" for name in modules.handed_on(own, given)]
    changes = modules.changed(own, given)
    found += [f"an answer changes {name}, which was imported" for name in changes]
    return sorted(set(found))


def _as_python_reads(code):
    """Return code with the letters that Python takes for others in names, such as wide ones.

    Wide quotation marks stay: they end no text. One letter at a time takes no time to the square.
    """
    return re.sub(r"[^\x00-\x7f]", _plain_letter, code)


def _plain_letter(found):
    letter = found[0]
    in_names = f"a{letter}".isidentifier()
    return unicodedata.normalize("NFKC", letter) if in_names else letter


def _code(nb, mine):
    """Return the student's code, the notebook's own, and the tests', a text for each cell."""
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    tests = {id(cell) for cell in code if is_grade(cell)}
    kinds = mine, {id(cell) for cell in code} - mine - tests, tests
    return [[cell.source for cell in code if id(cell) in kind] for kind in kinds]
