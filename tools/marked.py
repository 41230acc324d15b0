"""Parts of a Markdown file that a program writes, each between two comments with its name."""


def put(text, name, content):
    """Return the text with `content` as the part called `name`.

    Raises
    ------
    ValueError
        If the text doesn't have both of the part's marks.
    """
    before, rest = _split(text, f"<!-- {name} -->", name)
    _, after = _split(rest, f"<!-- end of {name} -->", name)
    lines = f"{content}\n" if content else ""
    return f"{before}<!-- {name} -->\n{lines}<!-- end of {name} -->{after}"


def get(text, name):
    """Return the part called `name`, without its marks."""
    _, rest = _split(text, f"<!-- {name} -->", name)
    return _split(rest, f"<!-- end of {name} -->", name)[0].strip()


def _split(text, mark, name):
    before, found, after = text.partition(mark)
    if not found:
        raise ValueError(f"the text has no <!-- {name} --> ... <!-- end of {name} -->")
    return before, after
