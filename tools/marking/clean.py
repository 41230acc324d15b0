"""Keep of a submission what a browser may show: text, plots, and no script."""

import re
from itertools import groupby

from nbgrader.utils import is_grade, is_solution

LINES, CHARACTERS, OUTPUTS = 200, 20_000, 40  # of one output; outputs of one cell
MARKS, MARKS_IN_TEXT = "[]()*_`<>!#|\\~$&", 3_000  # Markdown's, which may cost time to the square
PICTURES = ("image/png", "image/jpeg")
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+\Z")
INVISIBLE = "\N{ZERO WIDTH SPACE}"


def notebook(nb):
    """Clean the outputs of all cells, and the text that the student wrote, in place."""
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs = [kept for out in few(cell.outputs) if (kept := output(out, cell))]
        elif is_solution(cell) or cell.id.startswith("extra-"):
            attach = cell.get("attachments", {})
            kept = {name: pictures(it) for name, it in attach.items() if isinstance(it, dict)}
            cell.attachments = {name: it for name, it in kept.items() if it}
            cell.source = without_missing(text(cell.source), cell.attachments)


def few(outputs):
    """Return the first outputs, and the last error: without it, a failed test has its points."""
    outputs = joined(outputs)
    errors = [it for it in outputs[OUTPUTS:] if it.output_type == "error"]
    return outputs[:OUTPUTS] + errors[-1:]


def joined(outputs):
    """Return outputs of which no two that follow each other are of the same stream.

    When the kernel sends what was printed is a matter of chance.
    """
    result = []
    for _, group in groupby(outputs, lambda it: it.get("name") or id(it)):
        first, *rest = group
        if rest:
            first.text = "".join(it.text for it in (first, *rest))
        result.append(first)
    return result


def text(source):
    """Return Markdown without tags, entities, remote pictures and links that run something.

    Examples
    --------
    >>> text("<script>").isascii()
    False
    """
    source = source if len(source) <= CHARACTERS else source[:CHARACTERS] + "\n\n... cut here ..."
    if sum(map(source.count, MARKS)) > MARKS_IN_TEXT:  # more than anyone writes: shown as it is
        source = "".join(f"    {line}\n" for line in source.split("\n"))
    source = re.sub(r"!(?=\[(?![^\]\n]{0,300}\]\(<?attachment:))", "!" + INVISIBLE, source)
    source = re.sub(r"<(?=[A-Za-z/!?])", "<" + INVISIBLE, source)
    source = re.sub(r"&(?=#|\w+;)", "&" + INVISIBLE, source)
    source = re.sub(r"(?i)(script|data)(?=[\s\\]*:)", r"\1" + INVISIBLE, source)
    return re.sub(r"\\(href|html\w*|style|class|cssId|require)\b", r"\\text", source)


def without_missing(source, attachments):
    """Return Markdown in which a picture that is not there is a sentence, and not an error.

    Examples
    --------
    >>> without_missing("Look: ![plot](attachment:plot.svg)", {})
    'Look: ![plot](missing-picture:plot.svg)'
    """

    def name_or_sentence(found):
        return found[0] if found[1] in attachments else f"missing-picture:{found[1]}"

    return re.sub(r"attachment:([^\s()<>\"']*)", name_or_sentence, source)


def output(out, cell):
    """Return an output without what could run, or None if nothing is left."""
    if out.output_type == "stream":
        if out.name == "stderr" and is_grade(cell):
            return None  # a warning is no wrong answer
        out.text = shortened(out.text)
    elif out.output_type == "error":
        out.traceback = shortened("\n".join(out.traceback[:LINES])).split("\n")
        out.evalue = shortened(str(out.evalue))
    elif is_grade(cell) and out.output_type == "execute_result":
        return None  # nbgrader would take a number for a part of the points
    else:
        out.data = {**pictures(out.data), **_plain(out.data)}
        out.metadata = {}
        return out if out.data else None
    return out


def pictures(data):
    """Return the pictures among the representations of an output or an attachment."""
    return {
        kind: data[kind]
        for kind in PICTURES
        if isinstance(data.get(kind), str) and BASE64.match(data[kind])
    }


def _plain(data):
    plain = data.get("text/plain")
    return {"text/plain": shortened(plain)} if isinstance(plain, str) else {}


def shortened(words):
    """Return no more of a text than a person reads."""
    lines = words[:CHARACTERS].split("\n")
    cut = len(words) > CHARACTERS or len(lines) > LINES
    return "\n".join(lines[:LINES]) + ("\n... cut here ..." if cut else "")
