"""What a kernel shows of a value, and of what compares the answers: the same while nothing changes.

`values` sends the text of this file to the kernel, so it imports nothing of the marker's.
"""

import builtins
import sys

CALLED = "function", "builtin_function_or_method", "type", "ufunc", "_ArrayFunctionDispatcher"
DEEP = 9  # a list may hold itself


def shown(value, depth=0):
    """Return a text that tells a value from another, or an empty one of what is not compared.

    What is too long to print is shown by its hash, and what is called by its number; NumPy's
    numbers by their bytes, because everybody may set how they are printed.
    """
    kind = type(value).__name__
    if kind in ("list", "tuple", "dict") and depth < DEEP:
        parts = value.items() if kind == "dict" else value
        return repr((kind, hash(repr([shown(it, depth + 1) for it in parts]))))
    if hasattr(type(value), "tobytes"):
        return repr((kind, getattr(value, "shape", None), hash(value.tobytes())))
    if kind in CALLED:
        return repr(id(value))
    if isinstance(value, (int, float, str)):
        return repr(value)
    return repr(id(value)) if depth else ""


def checks():
    """Return such a text of the functions that compare the answers, and of all that they call."""
    module = sys.modules.get("course.answer_checks")
    if module is None:
        return ""
    functions = [it for it in vars(module).values() if type(it).__name__ == "function"]
    return shown([_called(it, module) for it in functions])


def _called(function, module):
    """Return the numbers of a function, of its code, and of what has a name in it."""
    code = getattr(function, "__wrapped__", function).__code__  # check is wrapped
    names = code.co_names
    found = [getattr(module, it, getattr(builtins, it, None)) for it in names]
    found += [vars(module.np).get(it) for it in names]
    return [id(it) for it in (function, code, *found)]
