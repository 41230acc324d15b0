"""Build the course as a static site from the stored notebooks, executing none: make site."""

import posixpath
import re
import shutil
import sys
from html import escape
from pathlib import PurePosixPath

import nbformat

from course.quiz import load_questions
from tools import rules, views

ROOT = rules.ROOT
OUTPUT = ROOT / "_site"
CAPTIONS = {  # the parts of the table of contents, and the files that become their pages
    "Lessons": (
        "notebooks/*.ipynb",
        "notebooks/appendix/*.ipynb",
        "notebooks/symptoms.md",
        "notebooks/glossary.md",
    ),
    "Exercises": ("exercises/release/*/*.ipynb",),
    "Practical matters": ("docs/other_ways_to_start.md", "docs/environments.md"),
    "Sweeps of your own models": ("lrsweep/README.md", "lrsweep/COMING_FROM.md"),
    "For instructors": ("exercises/README.md", "data/README.md"),
}
FRONT = {"README.md": "index.md"}
TOCTREE = "\n```{{toctree}}\n:hidden:\n:caption: {}\n\n{}\n```\n"
MARKS = {True: ("right", "✓"), False: ("wrong", "✗")}
VIEW = re.compile(r"^views\.(explore_\w+)\(", re.MULTILINE)


def contents():
    """Return {caption: paths of its pages}, as the repository has them."""
    return {
        caption: [
            path.relative_to(ROOT).as_posix()
            for pattern in patterns
            for path in sorted(ROOT.glob(pattern))
        ]
        for caption, patterns in CAPTIONS.items()
    }


def pages():
    """Return {path in the repository: path among the site's sources}."""
    return FRONT | {path: path for paths in contents().values() for path in paths}


def relink(text, page):
    """Return a page's Markdown with links that work on the site.

    Links to other pages lead to them, whether they were relative or in full; other files are where
    the course is published. Pictures from the network, which are badges, become their words.
    """
    text = re.sub(r"!\[([^\]]*)\]\(https?://[^)]*\)", r"\1", text)
    return re.sub(r"(?<=\]\()[^)#\s]+", lambda found: _target(found[0], page), text)


def _target(target, page):
    published = f"{rules.address()}/blob/{rules.revision()}/"
    path = target.removeprefix(published)
    if "://" in path:
        return target
    if path == target:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
    if path.endswith((".png", ".svg")):
        return target
    if path in pages():
        return posixpath.relpath(pages()[path], posixpath.dirname(pages()[page]) or ".")
    return published + path


def answerable(questions):
    """Return a quiz as HTML without a script: an answer opens, and says whether it is right."""
    lines = ['<ol class="quiz">']
    for question in questions:
        lines.append(f"<li>{escape(question['question'])}")
        for answer in question["answers"]:
            name, mark = MARKS[answer["correct"]]
            lines += [
                f'<details class="{name}"><summary>{escape(answer["answer"])}</summary>',
                f'<p><span role="img" aria-label="{name}">{mark}</span>',
                f"{escape(answer['feedback'])}</p></details>",
            ]
        lines.append("</li>")
    return "\n".join([*lines, "</ol>"])


def for_a_page(notebook, path, pictures):
    """Change a notebook: links, alternative texts, quizzes and views that need no kernel.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    path : str
        Of the notebook in the repository.
    pictures : path
        The folder for the pictures of its views.
    """
    colab = re.search(r"\]\((https://colab[^)]*)\)", notebook.cells[0].source)[1]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = relink(cell.source, path)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            alt = output.get("metadata", {}).get("image/png", {}).get("alt")
            if alt:
                cell.metadata["mystnb"] = {"image": {"alt": alt}}
            for quiz in rules.quizzes(cell.source):
                if "text/markdown" in data:
                    data["text/html"] = answerable(load_questions(quiz))
            view = VIEW.search(cell.source)
            if view:
                data["text/html"] = views.keep(view[1], pictures, colab)
    return notebook


def lay_out(folder, pictures):
    """Write the sources of all pages below `folder`, in the places they have in the repository.

    The pictures of the views do not pass through Sphinx: they have a folder of their own.
    """
    for path, name in pages().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".ipynb"):
            notebook = nbformat.read(ROOT / path, as_version=4)
            nbformat.write(for_a_page(notebook, path, pictures), folder / name)
        else:
            text = (ROOT / path).read_text(encoding="utf-8")
            _copy_pictures(text, PurePosixPath(path).parent, folder)
            (folder / name).write_text(relink(text, path), encoding="utf-8")
    with (folder / FRONT["README.md"]).open("a", encoding="utf-8") as front:
        for caption, paths in contents().items():
            front.write(TOCTREE.format(caption, "\n".join(paths)))


def _copy_pictures(text, base, folder):
    for picture in re.findall(r"!\[[^\]]*\]\(([^):]+)\)", text):
        (folder / base / picture).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / base / picture, folder / base / picture)


def build(output):
    """Build the site in `output`/html and return Sphinx's exit code; a warning is an error."""
    from sphinx.cmd.build import build_main

    shutil.rmtree(output, ignore_errors=True)
    lay_out(output / "source", output / "html" / "_views")
    options = ["-q", "-W", "--keep-going", "-c", str(ROOT / "site"), "-d", str(output / "trees")]
    return build_main([*options, str(output / "source"), str(output / "html")])


if __name__ == "__main__":
    code = build(OUTPUT)
    print(f"open {OUTPUT / 'html' / 'index.html'}" if not code else "the site is not complete")
    sys.exit(code)
