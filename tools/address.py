"""Say where the course is published: make address REPO=owner/name."""

import re
import sys

import nbformat

from tools import notebooks, rules

ROOT = notebooks.ROOT
PLACES = ("pyproject.toml", "README.md", "notebooks/*.ipynb")


def main(arguments):
    """Write the new address over the old one, wherever it stands."""
    if len(arguments) != 1 or not re.fullmatch(r"[\w.-]+/[\w.-]+", arguments[0]):
        sys.exit(f"REPO must be owner/name, got {' '.join(arguments)!r}")
    old = rules.address().removeprefix("https://github.com/")
    for pattern in PLACES:
        for path in sorted(ROOT.glob(pattern)):
            change(path, old, arguments[0])


def change(path, old, new):
    """Replace the address in one file; a notebook's stamp follows if its outputs were fresh."""
    text = path.read_text(encoding="utf-8")
    was_fresh = path.suffix == ".ipynb" and not list(
        rules.fresh(nbformat.reads(text, as_version=4), path)
    )
    path.write_text(text.replace(old, new), encoding="utf-8")
    if was_fresh:
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata["course"]["stamp"] = notebooks.stamp(notebook)
        nbformat.write(notebook, path)
    print(f"{path.relative_to(ROOT)}: {text.count(old)} places")


if __name__ == "__main__":
    main(sys.argv[1:])
