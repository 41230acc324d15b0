"""Say where the course is published, and at which revision.

python -m tools.address --repo owner/name --revision v1.0      (an empty one stays as it is)
python -m tools.address                                        (the address of git's origin)
python -m tools.address --repo OWNER/learning-rate-course      (nowhere yet)
"""

import argparse
import re
import subprocess
import sys
from urllib.parse import quote

import nbformat

from tools import marked, notebooks, rules

ROOT = notebooks.ROOT
NOWHERE = "OWNER/learning-rate-course"  # the address of a copy that isn't published
PLACES = ("pyproject.toml", "CITATION.cff", "README.md", "docs/*.md", "notebooks/*.ipynb")
PLACES += ("notebooks/appendix/*.ipynb",)
PLACES += ("exercises/**/*.md", "exercises/**/*.ipynb", "lrsweep/**/*.md", "lrsweep/*.toml")

# Every form in which an address or a revision is written; the longer ones come first.
FORMS = (
    "github.com/{repo}/blob/{revision}/",  # a link to a file
    "github/{repo}/blob/{revision}/",  # a Colab badge
    "gh/{repo}/{revision}?",  # Binder
    "branch={revision}&",  # nbgitpuller
    "-qb {revision} https://github.com/{repo} ",  # the set-up cell
    'revision = "{revision}"',  # pyproject.toml
    "tree%2F{name}%2F",  # the folder that nbgitpuller fills
    "github.com%2F{quoted}",
    "github.com/{repo}",
)

# What an unpublished copy says where a badge or a link leads nowhere.
UNPUBLISHED = (
    "This copy of the course isn't published yet, so {what}: {instead}, or put the course on "
    "GitHub and run `make address`."
)
IN_A_NOTEBOOK = UNPUBLISHED.format(
    what="the badge leads nowhere",
    instead="open this notebook in JupyterLab (`make lab` starts it)",
)
IN_THE_README = UNPUBLISHED.format(
    what="the badges for Colab and Binder lead nowhere", instead="start with `make lab`"
)
FOR_A_HUB = UNPUBLISHED.format(
    what="this link fetches nothing", instead="copy the folder to the hub yourself"
)
NO_ADDRESS = (
    "This copy of the course isn't published yet, so there is no address to get it from: put it "
    "on GitHub, then run `make address` (or `make address REPO=owner/name`), which writes the "
    "address here."
)
GET = """\
You don't have the folder yet? Git fetches it:

```
git clone -b {revision} https://github.com/{repo}
cd {name}
```"""

BADGE = re.compile(r"^\[!\[Open in Colab\].*$", flags=re.MULTILINE)
NOTE = re.compile(r"\n\nThis copy of the course isn't published yet.*")
ORIGIN = re.compile(
    r"(?:(?:https?|git)://(?:[^/@]*@)?(?:www\.)?github\.com/"
    r"|git@github\.com:|ssh://git@(?:ssh\.)?github\.com(?::\d+)?/)"
    r"([\w-]+/[\w.-]+?)(?:\.git)?/?",
    flags=re.ASCII | re.IGNORECASE,
)


def main(arguments):
    """Write the new address and revision over the old ones, wherever they stand."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", default="", help="owner/name on GitHub")
    parser.add_argument("--revision", default="", help="a branch or tag")
    wanted = parser.parse_args(arguments)
    if wanted.repo and not is_repo(wanted.repo):
        sys.exit(f"REPO must be owner/name, such as octocat/learning, got {wanted.repo!r}")
    if not re.fullmatch(r"([\w.][\w.-]*)?", wanted.revision):
        sys.exit(f"REVISION must be a branch or tag without a slash, got {wanted.revision!r}")
    before, revision = rules.address().removeprefix("https://github.com/"), rules.revision()
    repo = wanted.repo or (before if wanted.revision else origin())
    new = repo, wanted.revision or revision
    for pattern in PLACES:
        for path in sorted(ROOT.glob(pattern)):
            change(path, dict(zip(forms(before, revision), forms(*new))), *new)
    print("not published" if repo == NOWHERE else f"published at {repo}, revision {new[1]}")


def is_repo(text):
    """Tell whether a text is owner/name as GitHub has it."""
    return re.fullmatch(r"[\w-]+/(?!\.+$)[\w.-]+(?<!\.git)", text, flags=re.ASCII) is not None


def origin():
    """Return owner/name of git's remote `origin`, or exit with a sentence that says why not."""
    command = ["git", f"--git-dir={ROOT / '.git'}", "remote", "get-url", "origin"]
    try:
        said = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("git isn't installed, so say where the course is: make address REPO=owner/name")
    url = said.stdout.strip()
    if said.returncode or not url:
        sys.exit("git has no remote called origin here: say REPO=owner/name, or add the remote")
    found = ORIGIN.fullmatch(url)
    if not found or not is_repo(found[1]):
        shown = re.sub(r"//[^/@]*@", "//", url)  # without a password
        sys.exit(f"git's origin is not an address on GitHub: {shown}; say REPO=owner/name")
    return found[1]


def forms(repo, revision):
    """Return all the forms, filled in."""
    name = repo.partition("/")[2]
    return [
        form.format(repo=repo, revision=revision, name=name, quoted=quote(repo, safe=""))
        for form in FORMS
    ]


def change(path, replacements, repo, revision):
    """Move the addresses of one file, and write or remove what an unpublished copy says."""
    text = path.read_text(encoding="utf-8")
    moved, places = re.subn(
        "|".join(map(_exactly, replacements)), lambda found: replacements[found[0]], text
    )
    if path.suffix == ".md":
        moved = with_parts(moved, repo, revision)
    path.write_text(moved, encoding="utf-8", newline="\n")
    if path.suffix == ".ipynb":
        was_fresh = not list(rules.fresh(nbformat.reads(text, as_version=4), path))
        change_notebook(path, was_fresh, repo)
    print(f"{path.relative_to(ROOT)}: {places} places")


def _exactly(form):
    """Return a pattern that doesn't find owner/name in owner/name-2."""
    ends_itself = re.search(r"\W$|%2F$", form)
    return re.escape(form) + ("" if ends_itself else r"(?![\w-])")


def change_notebook(path, was_fresh, repo):
    """Write or remove the note below a notebook's badge; the stamp follows fresh outputs."""
    notebook = nbformat.read(path, as_version=4)
    first = notebook.cells[0]
    noted = with_note(first.source, repo)
    if was_fresh or noted != first.source:
        first.source = noted
        if was_fresh:
            notebook.metadata["course"]["stamp"] = notebooks.stamp(notebook)
        nbformat.write(notebook, path)


def with_note(source, repo):
    """Return a notebook's first cell with the note below its badge, if `repo` is nowhere."""
    without = NOTE.sub("", source)
    if repo != NOWHERE:
        return without
    return BADGE.sub(lambda badge: f"{badge[0]}\n\n{IN_A_NOTEBOOK}", without, count=1)


def parts(repo, revision):
    """Return {name: Markdown} of what pages say about the course's address."""
    if repo == NOWHERE:
        return {"get": NO_ADDRESS, "unpublished": IN_THE_README, "unpublished hub": FOR_A_HUB}
    get = GET.format(repo=repo, revision=revision, name=repo.partition("/")[2])
    return {"get": get, "unpublished": "", "unpublished hub": ""}


def with_parts(text, repo, revision):
    """Return a page's text with those of the parts for which it has marks."""
    for name, content in parts(repo, revision).items():
        if f"<!-- {name} -->" in text:
            text = marked.put(text, name, content)
    return text


if __name__ == "__main__":
    main(sys.argv[1:])
