"""Say where the course is published, and at which revision.

python -m tools.address --repo owner/name --revision v1.0      (an empty one stays as it is)
"""

import argparse
import re
import sys
from urllib.parse import quote

import nbformat

from tools import notebooks, rules

ROOT = notebooks.ROOT
PLACES = ("pyproject.toml", "CITATION.cff", "README.md", "notebooks/*.ipynb", "exercises/**/*.md")
PLACES += ("exercises/**/*.ipynb",)

# Every form in which an address or a revision is written; the longer ones come first.
FORMS = (
    "{repo}/blob/{revision}/",  # a badge, a link to a file
    "{repo}/{revision}?",  # Binder
    "branch={revision}&",  # nbgitpuller
    '"-qb", "{revision}"',  # the set-up cell
    '\\"-qb\\", \\"{revision}\\"',  # the same as a notebook stores it
    'revision = "{revision}"',  # pyproject.toml
    "tree%2F{name}%2F",  # the folder that nbgitpuller fills
    "{quoted}",
    "{repo}",
)


def main(arguments):
    """Write the new address and revision over the old ones, wherever they stand."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", default="")
    parser.add_argument("--revision", default="")
    wanted = parser.parse_args(arguments)
    if not re.fullmatch(r"([\w.-]+/[\w.-]+)?", wanted.repo):
        sys.exit(f"REPO must be owner/name, got {wanted.repo!r}")
    if not re.fullmatch(r"([\w.][\w.-]*)?", wanted.revision):
        sys.exit(f"REVISION must be a branch or tag without a slash, got {wanted.revision!r}")
    if not wanted.repo and not wanted.revision:
        sys.exit("REPO must be owner/name, or REVISION a branch or tag; got neither")
    repo, revision = rules.address().removeprefix("https://github.com/"), rules.revision()
    old, new = forms(repo, revision), forms(wanted.repo or repo, wanted.revision or revision)
    for pattern in PLACES:
        for path in sorted(ROOT.glob(pattern)):
            change(path, dict(zip(old, new)))


def forms(repo, revision):
    """Return all the forms, filled in."""
    name = repo.partition("/")[2]
    return [
        form.format(repo=repo, revision=revision, name=name, quoted=quote(repo, safe=""))
        for form in FORMS
    ]


def change(path, replacements):
    """Replace in one pass; a notebook's stamp follows if its outputs were fresh."""
    text = path.read_text(encoding="utf-8")
    was_fresh = path.suffix == ".ipynb" and not list(
        rules.fresh(nbformat.reads(text, as_version=4), path)
    )
    pattern = "|".join(map(re.escape, replacements))
    moved, places = re.subn(pattern, lambda found: replacements[found[0]], text)
    path.write_text(moved, encoding="utf-8")
    if was_fresh:
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata["course"]["stamp"] = notebooks.stamp(notebook)
        nbformat.write(notebook, path)
    print(f"{path.relative_to(ROOT)}: {places} places")


if __name__ == "__main__":
    main(sys.argv[1:])
