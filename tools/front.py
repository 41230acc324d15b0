"""Write into the README what the notebooks say already: its picture, promises and lessons.

python -m tools.front
"""

import base64
import re

import nbformat

from tools import marked, rules

ROOT = rules.ROOT
LESSON, CELL = "05_sweeps.ipynb", "fbcb89c7"  # where the picture is computed
PICTURE = "images/landscape.png"
PROMISE = "At the end of this lesson you can "
HEAD = ["| lesson | minutes | its exercises | Colab |", "|---|---|---|---|"]


def picture():
    """Return the PNG bytes of the front page's picture, and its alternative text."""
    notebook = nbformat.read(ROOT / "notebooks" / LESSON, as_version=4)
    (cell,) = (cell for cell in notebook.cells if cell.id == CELL)
    (output,) = (it for it in cell.outputs if "image/png" in it.get("data", {}))
    return base64.b64decode(output.data["image/png"]), output.metadata["image/png"]["alt"]


def parts():
    """Return {name: Markdown} of the README's generated parts."""
    promises, rows = [], [*HEAD]
    for path in rules.lessons():
        first = nbformat.read(path, as_version=4).cells[0].source
        promise = re.search(rf"^{PROMISE}(.*)$", first, flags=re.MULTILINE)[1]
        promises.append(f"* {promise[0].upper()}{promise[1:]}")
        rows.append(_row(path, first))
    return {
        "picture": f"![{picture()[1]}]({PICTURE})",
        "promises": "\n".join(promises),
        "lessons": "\n".join(rows),
    }


def _row(path, first):
    """Return a lesson's row of the table, from its path and the source of its first cell."""
    title = first.splitlines()[0].removeprefix("# ")
    minutes = re.search(r"\*\*Minutes\*\* \| ([^|]+?) \|", first)[1]
    badge = re.search(r"\[!\[Open in Colab\].*", first)[0]
    exercises = f"exercises/release/{path.stem}/exercises_{path.name[:2]}.ipynb"
    text = nbformat.read(ROOT / exercises, as_version=4).cells[0].source
    more = re.search(r"\*\*Minutes\*\* \| about (\d+)", text)[1]
    practice = f"[{more} minutes more]({exercises})"
    return f"| [{title}](notebooks/{path.name}) | {minutes} | {practice} | {badge} |"


def fill(text):
    """Return a README's text with each generated part between its two marks."""
    for name, content in parts().items():
        text = marked.put(text, name, content)
    return text


def main():
    readme = ROOT / "README.md"
    readme.write_text(fill(readme.read_text(encoding="utf-8")), encoding="utf-8")
    (ROOT / PICTURE).parent.mkdir(exist_ok=True)
    (ROOT / PICTURE).write_bytes(picture()[0])


if __name__ == "__main__":
    main()
