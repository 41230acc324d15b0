"""Who imports whom among the course's packages, read from the code without running it.

python -m tools.imports        draws the tree: each package, its modules, and what they import
"""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("utils", "lrsweep", "course")


@cache
def modules(packages=PACKAGES):
    """Return {dotted name: path} of every module of some top-level packages."""
    found = {}
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path
    return found


def imported(source, known, package=""):
    """Return the known modules that some code imports, also inside its functions.

    Parameters
    ----------
    source : str
        Python code.
    known : dict or set of str
        Dotted names of modules.
    package : str
        Where the code lies, for relative imports.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] + "." if node.level else ""
            base = (above + (node.module or "")).rstrip(".")
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        found.update(name for name in names if name in known)
    return found


@cache
def graph(packages=PACKAGES):
    """Return {module: set of the modules that it imports}."""
    known, arrows = modules(packages), {}
    for name, path in known.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        arrows[name] = imported(path.read_text(encoding="utf-8"), known, package) - {name}
    return arrows


def needed(source, packages=PACKAGES):
    """Return the files that some code loads: what it imports, what that imports, and so on."""
    known, arrows = modules(packages), graph(packages)
    waiting, seen = imported(source, known), set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        above = {name.rpartition(".")[0]} & set(known)  # importing a module runs its package first
        waiting |= (arrows[name] | above) - seen
    return sorted(known[name] for name in seen)


def circle(arrows):
    """Return modules that import each other in a circle, or an empty list."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        path.append(name)
        found = next(filter(None, map(visit, sorted(arrows[name]))), [])
        path.pop()
        done.add(name)
        return found

    return next(filter(None, map(visit, sorted(arrows))), [])


def main():
    for name, others in graph().items():
        print(f"{name:<36}{', '.join(sorted(others))}")


if __name__ == "__main__":
    main()
