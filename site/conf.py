"""How Sphinx makes the site of the pages that tools/site.py lays out; titles are the pages' own."""

import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import rules  # noqa: E402

LICENCE = (ROOT / "LICENSE").read_text(encoding="utf-8")

project = "Learning rates"
html_title = re.match(r"# (.+)", (ROOT / "README.md").read_text(encoding="utf-8"))[1]
copyright = re.search(r"Copyright \(c\) (.+)", LICENCE)[1]
extensions = ["myst_nb"]
nb_execution_mode = "off"  # the stored outputs are shown
nb_ipywidgets_js = {}  # no kernel, so no script from a network for its widgets
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
highlight_language = "none"
smartquotes = False  # the words as the notebooks have them
html_theme = "sphinx_book_theme"
html_theme_options = {
    "repository_url": rules.address(),
    "repository_branch": rules.revision(),
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "use_repository_button": True,
    "use_download_button": False,
    "navbar_persistent": [],  # one field for searching is enough, the sidebar's
    "footer_content_items": ["copyright", "extra-footer"],
    "extra_footer": " · ".join(
        re.sub(r"(https:\S+)", r'<a href="\1">\1</a>', part.replace("\n", " "))
        for part in (LICENCE.splitlines()[0], LICENCE.strip().split("\n\n")[-1])
    ),
}
html_context = {"default_mode": "auto"}  # light or dark as the reader's system is
html_static_path = ["style.css", "views.js"]
html_js_files = [("views.js", {"defer": "defer"})]
html_css_files = ["style.css"]
html_copy_source = False
html_use_index = False
html_math_renderer = "mathml"


def visit_math(translator, node):
    """Write a formula as MathML, which browsers read without a script."""
    block = node.tagname == "math_block"
    formula = tex2mathml(node.astext().replace(r"\dots", r"\ldots"), as_block=block)
    translator.body.append(f'<div class="formula">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def setup(app):
    """Register the renderer of formulas."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
