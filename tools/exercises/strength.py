"""How good the exercises' tests are: which checks could be deleted, and nobody would notice."""

import ast
from typing import NamedTuple

from .bench import Bench, Verdict, mutants
from .release import answers


class IdleCheck(NamedTuple):
    """A check that no mutant needs: its test cell, and its first line of code."""

    cell: str
    line: str


def idle_checks(lesson, seed=0):
    """Yield an `IdleCheck` for each check of a lesson that no mutant needs.

    A check is one `expect(...)` or `assert` of a test cell. It is needed if, without it alone, a
    mutant would no longer be rejected as it should be. `# kept: reason` on its line, or on the
    line above, excuses it.
    """
    bench, wrong = Bench(lesson, seed), mutants(lesson).MUTANTS
    for answer in answers(bench.notebook):
        tests = bench.tests(answer)
        alone = {
            mutant: {
                cell: bench.verdict(answer, mutant.code, {cell: tests[cell]}) for cell in tests
            }
            for mutant in wrong[answer].values()
        }
        for cell, text in tests.items():
            held = [it for it in alone if not _rejected_elsewhere(it, alone[it], cell)]
            for line, tree in without_each_check(text):
                if all(bench.verdict(answer, it.code, {cell: tree}).rejects(it) for it in held):
                    yield IdleCheck(cell, line)


def _rejected_elsewhere(mutant, verdicts, cell):
    """Tell whether a mutant is rejected by the other test cells, given the verdict of each."""
    others = (verdict for name, verdict in verdicts.items() if name != cell)
    return sum(others, Verdict()).rejects(mutant)


def without_each_check(text):
    """Yield (its first line, the tree without it) for every check that is not excused."""
    lines = text.splitlines()
    for number in range(len(_checks(ast.parse(text)))):
        tree = ast.parse(text)
        body, place = _checks(tree)[number]
        node = body[place]
        start = max(node.lineno - 2, 0)
        if any("# kept:" in line for line in lines[start : node.end_lineno]):
            continue
        body[place] = ast.copy_location(ast.Pass(), node)
        yield lines[node.lineno - 1].strip(), ast.fix_missing_locations(tree)


def _checks(tree):
    """Return (body, place in it) of every `expect(...)` and `assert` of a syntax tree."""
    return [
        (body, place)
        for body in _bodies(tree)
        for place, statement in enumerate(body)
        if _is_check(statement)
    ]


def _bodies(tree):
    """Yield the lists of statements of a syntax tree."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):  # that of a lambda is an expression
                yield body


def _is_check(statement):
    if isinstance(statement, ast.Assert):
        return True
    call = getattr(statement, "value", None) if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and getattr(call.func, "id", None) == "expect"
