"""The static site: built once, served from loopback, and every page read in a headless Chromium.

Nothing of a network is let through: what a page asks for elsewhere is noted and refused.
Run with `make test-site`.
"""

import importlib.util
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urldefrag

import lab
import nbformat
import pytest

from course.quiz import load_questions
from tools import rules, site, views

pytestmark = [
    pytest.mark.site,
    pytest.mark.skipif(not lab.CHROMIUM, reason="no Chromium found; set CHROMIUM to its path"),
    pytest.mark.skipif(not importlib.util.find_spec("myst_nb"), reason="run make test-site"),
]
LESSONS = [path.relative_to(lab.ROOT).as_posix() for path in rules.lessons()]
NOTEBOOKS = [path for path in site.pages() if path.endswith(".ipynb")]

# What a reader finds on a page: its words, links, places to link to, and visible pictures.
WORDS = "(tag) => document.querySelector(tag)?.innerText ?? ''"
READ = """(() => { const words = WORDS; return {
    title: words('h1'),
    words: words('article'),
    footer: words('footer.bd-footer-content'),
    links: [...document.querySelectorAll('a[href]')].map(it => it.href),
    written: [...document.querySelectorAll('article a[href]')].map(it => it.href),
    anchors: [...document.querySelectorAll('[id]')].map(it => it.id),
    formulas: document.querySelectorAll('article math').length,
    figures: [...document.querySelectorAll('.cell_output img:not(.view img)')]
        .filter(it => it.complete && it.naturalWidth > 100 && it.getClientRects().length)
        .map(it => it.alt),
}; })()""".replace("WORDS", WORDS)

WITHOUT_A_VIEW = "08_the_learning_rate_clinic.ipynb"
BARS = ".bd-sidebar-primary", ".bd-footer-content", ".prev-next-footer"  # not on paper


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Visit:
    """A browser on the site, that notes errors and what it refused."""

    def __init__(self, page, address):
        self.page, self.address, self.complaints, self.refused = page, address, [], []
        page.route("**/*", self.refuse_others)
        page.on("console", lambda it: it.type == "error" and self.complaints.append(it.text))
        page.on("pageerror", lambda it: self.complaints.append(str(it)))

    def refuse_others(self, route):
        if route.request.url.startswith((self.address, "data:")):
            return route.continue_()
        self.refused.append(route.request.url)
        return route.abort()

    def read(self, url):
        """Go to a page, look at all of it, and return what is on it, and what went wrong."""
        self.complaints, self.refused = [], []
        status = self.page.goto(url, wait_until="load").status
        self.page.evaluate("() => [...document.images].forEach(it => it.loading = 'eager')")
        self.page.wait_for_function("() => [...document.images].every(it => it.complete)")
        found = self.page.evaluate(READ)
        return {**found, "status": status, "errors": self.complaints, "refused": self.refused}


@pytest.fixture(scope="module")
def visit(tmp_path_factory):
    """Build the site, serve it, and open a browser on it."""
    from playwright.sync_api import sync_playwright

    folder = tmp_path_factory.mktemp("site")
    assert site.build(folder) == 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder / "html"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=lab.FLAGS)
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        yield Visit(page, f"http://127.0.0.1:{server.server_port}/")
        browser.close()
    server.shutdown()


def address_of(visit, path):
    return visit.address + site.pages()[path].rpartition(".")[0] + ".html"


@pytest.fixture(scope="module")
def read(visit):
    """Return {address: what is on it} of every page that links lead to from the front page."""
    found, waiting = {}, [visit.address + "index.html"]
    while waiting:
        url = waiting.pop()
        found[url] = visit.read(url)
        inside = {urldefrag(it).url for it in found[url]["links"] if it.startswith(visit.address)}
        pages = {it for it in inside if it.endswith(".html")}
        waiting += sorted(pages - set(found) - set(waiting))
    return found


def test_every_page_is_reached_and_there_is_no_error(visit, read):
    assert {address_of(visit, path) for path in site.pages()} <= set(read)
    for url, page in read.items():
        assert (page["status"], page["errors"]) == (200, []), url


def test_no_page_asks_for_anything_elsewhere(read):
    assert {url: page["refused"] for url, page in read.items() if page["refused"]} == {}


def test_links_between_pages_lead_somewhere(visit, read):
    for url, page in read.items():
        for link in filter(lambda it: it.startswith(visit.address), page["links"]):
            target, fragment = urldefrag(link)
            if target in read:
                found = read[target]
                assert found["status"] == 200, f"{url} links to {link}"
                assert unquote(fragment) in ["", *found["anchors"]], f"{url} links to {link}"
            else:
                assert visit.page.request.get(target).ok, f"{url} links to {link}"


def test_links_to_pages_stay_on_the_site(read):
    published = f"{rules.address()}/blob/{rules.revision()}/"
    for url, page in read.items():
        for link in page["written"]:
            assert link.removeprefix(published) not in site.pages(), f"{url} links to {link}"


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_a_page_has_what_its_notebook_has(visit, read, path):
    page, notebook = read[address_of(visit, path)], nbformat.read(lab.ROOT / path, as_version=4)
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    colab = rules.address().replace("github.com", "colab.research.google.com/github")
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    alts = [it.metadata["image/png"]["alt"] for it in outputs if "image/png" in it.get("data", {})]
    assert page["title"].startswith(title)
    assert f"{colab}/blob/{rules.revision()}/{path}" in page["written"]
    assert page["figures"] == alts
    assert bool(page["formulas"]) == any("$" in text for text in rules.texts(notebook))
    assert "MIT" in page["footer"]
    assert "CC BY 4.0" in page["footer"]


@pytest.mark.parametrize("path", LESSONS)
def test_each_answer_of_a_quiz_opens_and_says_whether_it_is_right(visit, read, path):
    notebook = nbformat.read(lab.ROOT / path, as_version=4)
    asked = [name for cell in notebook.cells for name in rules.quizzes(cell.source)]
    questions = [it for name in asked for it in load_questions(name)]
    answers = [answer for question in questions for answer in question["answers"]]
    assert path.endswith("01_what_is_a_learning_rate.ipynb") or len(asked) == 2
    visit.page.goto(address_of(visit, path))
    assert visit.page.locator("ol.quiz > li").count() == len(questions)
    shown = visit.page.locator("ol.quiz details").all()
    for details, answer in zip(shown, answers, strict=True):
        told = details.locator("p")
        assert not told.is_visible()
        details.get_by_text(answer["answer"], exact=True).click()
        sign = "✓" if answer["correct"] else "✗"
        assert told.inner_text() == f"{sign} {answer['feedback']}"


@pytest.mark.parametrize("path", LESSONS)
def test_each_control_of_a_view_turns_its_picture_and_words(visit, path):
    notebook = nbformat.read(lab.ROOT / path, as_version=4)
    names = [name for cell in notebook.cells for name in site.VIEW.findall(cell.source)]
    visit.complaints.clear()
    visit.page.goto(address_of(visit, path))
    shown = visit.page.locator("div.view").all()
    assert len(shown) == len(names)
    assert names or path.endswith(WITHOUT_A_VIEW)
    for view, name in zip(shown, names):
        assert view.get_by_text(views.ELSEWHERE).is_visible()
        controls = view.locator("select, input").all()
        assert len(controls) == len(views.POSITIONS[name])
        for control in controls:
            seen = {what_is_shown(view)}
            for key in ("End", "Home"):
                control.press(key)
                seen.add(what_is_shown(view))
            for different in zip(*seen):
                assert len(set(different)) > 1, f"{name}: a control that does nothing"
    assert visit.complaints == []


def what_is_shown(view):
    """Return the picture's address and the words of a view, when the picture is there."""
    picture, words = view.locator("img"), view.get_by_role("status").text_content()
    picture.evaluate("async (it) => { await it.decode(); }")
    assert picture.get_attribute("alt") == words
    return picture.get_attribute("src"), words


def test_the_page_of_symptoms_prints_on_two_sheets_without_bars(visit):
    visit.page.goto(address_of(visit, "notebooks/symptoms.md"))
    visit.page.emulate_media(media="print")
    try:
        seen = {name: visit.page.locator(name).first.is_visible() for name in BARS}
        assert seen == dict.fromkeys(BARS, False)
        assert visit.page.locator("article table").count() == 5
        widths = "all => all.map(it => it.scrollWidth <= it.parentElement.clientWidth + 1)"
        assert all(visit.page.locator("article table").evaluate_all(widths))
        sheets = re.findall(rb"/Type\s*/Page\b", visit.page.pdf(format="A4"))
        assert 1 <= len(sheets) <= 2
    finally:
        visit.page.emulate_media(media="screen")


def test_search_finds_a_word(visit):
    visit.page.goto(f"{visit.address}search.html?q=overshoot")
    visit.page.wait_for_selector("#search-results li a")
    hits = visit.page.locator("#search-results li a").evaluate_all("all => all.map(it => it.href)")
    assert any("notebooks/01_" in hit for hit in hits)
    visit.page.goto(f"{visit.address}search.html?q=marmalade")
    visit.page.wait_for_selector("text=did not match any documents")
