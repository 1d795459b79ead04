"""The built site in a browser, with every way out of it blocked.

Run after ``make book``: ``python -m pytest -m browser``. The pages are opened both from disk and
from a local server, because readers do both and browsers treat the two differently.
MICROPROP_SITE names another folder to look at, MICROPROP_CHROMIUM another browser.
"""

import functools
import html
import http.server
import os
import re
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from browsing import Watched

from bookbuild.chapters import ROOT, toc_entries

pytestmark = pytest.mark.browser

SITE = Path(os.environ.get("MICROPROP_SITE", ROOT / "_build" / "html"))
SCREENSHOTS = ROOT / "_build" / "screenshots"
PHONE = 390  # pixels
REFERENCE = [f"reference/{path.name}" for path in sorted(SITE.glob("reference/*.html"))]
PAGES = [f"{entry}.html" for entry in toc_entries(ROOT)] + ["search.html", "genindex.html"]
PAGES += ["reference/helpers.synthetic.hardness.html"]  # one with formulas
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
MOVED = CONFIG["sphinx"]["config"]["redirects"]
LANDING_BYTES = 1_500_000  # of the landing page with all that it loads


class SilentHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line in the terminal for each."""

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module", params=["disk", "server"])
def address(request):
    """Give the address of the site's folder, ending in a slash."""
    if not (SITE / "index.html").is_file():
        pytest.fail(f"There is no site at {SITE}; run `make book` first.")
    if request.param == "disk":
        yield SITE.resolve().as_uri() + "/"
        return
    handler = functools.partial(SilentHandler, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def watched(browser, address):
    """Give a fresh watched page."""
    watched = Watched(browser, address)
    yield watched
    watched.page.close()


# Open what is collapsed, so that every figure can be looked at.
OPEN_ALL = """() => {
  document.querySelectorAll('details').forEach(d => d.open = true);
  document.querySelectorAll('img').forEach(i => i.loading = 'eager');
}"""
BROKEN_FIGURES = """() => [...document.querySelectorAll('article img')]
  .map(i => [i, i.getBoundingClientRect()])
  .filter(([i, box]) => !i.complete || !i.naturalWidth || !box.width || !box.height
                        || !i.checkVisibility() || !(i.alt || '').trim()
                        || i.alt.trim() === i.getAttribute('src'))
  .map(([i]) => `figure ${i.getAttribute('src')} with alt text "${i.alt}"`)"""
# Sphinx writes \\( and \\[ for MathJax to find; what still holds them was not rendered. A formula
# that MathJax cannot read leaves an mjx-merror or a red mtext behind.
BROKEN_FORMULAS = r"""() => [...document.querySelectorAll('article .math')]
  .filter(m => !m.querySelector('mjx-container') || /\\[(\[]/.test(m.textContent)
               || m.querySelector('mjx-merror, [data-mml-node="merror"], [mathcolor="red"]')
               || !m.querySelector('mjx-container').getBoundingClientRect().width)
  .map(m => `formula ${m.textContent.slice(0, 60)}`)"""
LOOSE_TEX = r"""() => [...document.querySelectorAll('article p, article td, article li')]
  .filter(e => !e.closest('pre, code, .math, .cell_input')
               && /\$[^$\s][^$]*\$|\\[(\[]|\\(frac|sum|alpha|mathrm)/.test(
                    [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('')))
  .map(e => `TeX shown as text: ${e.textContent.slice(0, 60)}`)"""


@pytest.mark.parametrize("path", PAGES)
def test_page_is_whole_without_a_network(watched, address, path):
    watched.open(path)
    watched.page.evaluate(OPEN_ALL)
    watched.page.wait_for_function(
        "() => [...document.querySelectorAll('article img')].every(i => i.complete)"
    )
    for check in (BROKEN_FIGURES, BROKEN_FORMULAS, LOOSE_TEX):
        watched.troubles += watched.page.evaluate(check)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    name = path.replace("/", "-").replace(".html", "")
    watched.page.screenshot(
        path=SCREENSHOTS / f"{urlsplit(address).scheme}-{name}.png", full_page=True
    )
    assert not watched.troubles, "\n".join([path, *watched.troubles])
    watched.page.set_viewport_size({"width": PHONE, "height": 900})
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_pages_of_the_reference_fit_a_phone(watched):
    watched.page.set_viewport_size({"width": PHONE, "height": 900})
    widths = {}
    for path in REFERENCE:
        watched.page.goto(watched.address + path)
        widths[path] = watched.page.evaluate("document.documentElement.scrollWidth")
    assert {path: width for path, width in widths.items() if width > PHONE} == {}
    assert widths


@pytest.mark.parametrize("path", PAGES + REFERENCE)
def test_page_names_no_folder_of_whoever_built_it(path):
    assert str(ROOT) not in (SITE / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES + REFERENCE)
def test_page_has_one_description(path):
    text = (SITE / path).read_text(encoding="utf-8")
    (tag,) = re.findall(r'<meta [^>]*name="description"[^>]*>', text)
    words = re.search(r'content="([^"]+)"', tag)[1]
    assert len(html.unescape(words)) <= 200  # search engines show somewhat less


@pytest.mark.parametrize("path", PAGES)
def test_page_loads_mathjax_for_formulas_alone(watched, path):
    loaded = []
    watched.page.on("request", lambda request: loaded.append(request.url))
    watched.open(path)
    with_formulas = watched.page.locator(".math").count() > 0
    assert any("mathjax" in url for url in loaded) == with_formulas


def test_landing_page_is_light(watched):
    loaded = set()
    watched.page.on("request", lambda request: loaded.add(request.url))
    watched.open("index.html")
    watched.page.evaluate(OPEN_ALL)
    watched.page.wait_for_load_state("networkidle")
    paths = {urlsplit(url.removeprefix(watched.address)).path for url in loaded}
    sizes = {path: (SITE / path).stat().st_size for path in paths}
    assert "_static/book.css" in sizes
    assert sum(sizes.values()) < LANDING_BYTES, sizes


@pytest.mark.parametrize("word", ["hardness", "autocorrelation", "SVR"])
def test_search_puts_lessons_first_and_the_reference_last(watched, word):
    watched.open(f"search.html?q={word}")
    watched.page.wait_for_selector("#search-results li a", timeout=15_000)
    watched.page.wait_for_function("() => /found/.test(Search.status.innerText)")
    links = watched.page.locator("#search-results li a")
    found = links.evaluate_all("all => all.map(a => a.getAttribute('href'))")
    lessons = [link.startswith("book/") for link in found]
    code = [link.startswith("reference") for link in found]
    assert lessons[0]
    assert lessons == sorted(lessons, reverse=True), found
    assert code == sorted(code), found
    watched.page.wait_for_load_state("networkidle")
    assert not watched.troubles, "\n".join(watched.troubles)


NEW_ADDRESSES = {f"{old}.html#part": f"book/{new}#part" for old, new in MOVED.items()}
NEW_ADDRESSES |= {  # all modules stood on one page
    f"reference.html#{old}": f"reference/helpers.two_point.html#{new}"
    for old, new in [
        ("helpers.two_point.two_point_statistics", "helpers.two_point.two_point_statistics"),
        ("module-helpers.two_point", "helpers.two_point"),
        ("helpers-two-point", "helpers-two-point"),
    ]
}


@pytest.mark.parametrize("old", NEW_ADDRESSES)
def test_an_old_address_leads_to_the_new_one(watched, old):
    watched.page.goto(watched.address + old)
    watched.page.wait_for_url(watched.address + NEW_ADDRESSES[old])
    assert (SITE / NEW_ADDRESSES[old].partition("#")[0]).is_file()


@pytest.mark.parametrize("path", [page for page in PAGES if page.startswith("book/")])
def test_a_chapter_links_a_word_of_the_glossary_once(path):
    text = (SITE / path).read_text(encoding="utf-8")
    terms = re.findall(r'<a class="glossary-term[^>]*glossary\.html#([^"]+)"', text)
    assert len(set(terms)) == len(terms) > 0
    glossary = (SITE / "glossary.html").read_text(encoding="utf-8")
    assert [term for term in terms if f'id="{term}"' not in glossary] == []


def test_a_message_of_troubleshooting_opens_and_its_headings_are_reached(watched):
    watched.open("troubleshooting.html#little-memory")
    assert watched.page.evaluate("scrollY") > 0
    answer = watched.page.get_by_text("The disk is full or write-protected")
    assert not answer.is_visible()
    watched.page.locator("summary", has_text="could not write").click()
    assert answer.is_visible()
    assert not watched.troubles, "\n".join(watched.troubles)


def test_the_first_screen_shows_what_the_book_is_and_three_ways_in(watched):
    watched.page.set_viewport_size({"width": 1300, "height": 900})
    watched.open("index.html")
    ends = "nodes => nodes.map(node => [node.innerText, node.getBoundingClientRect().bottom])"
    buttons = dict(watched.page.locator("article .sd-btn").evaluate_all(ends))
    assert list(buttons) == ["Read", "Run", "Use your own images"]
    assert max(buttons.values()) < 900
    assert watched.page.locator("article img").first.evaluate("i => i.currentSrc.includes('hero')")


def test_links_inside_the_site_lead_somewhere(watched):
    links = set()
    for path in PAGES:
        watched.open(path)
        links |= set(watched.page.evaluate("() => [...document.links].map(a => a.href)"))
    inside = {
        link.split("#")[0].split("?")[0] for link in links if link.startswith(watched.address)
    }
    paths = {link.removeprefix(watched.address) or "index.html" for link in inside}
    missing = sorted(path for path in paths if not (SITE / path).exists())
    assert not missing, missing


# How a table of results is aligned, column by column, and what lies behind it and the badge.
LOOK = """() => {
  const style = element => getComputedStyle(element);
  const rows = [...document.querySelectorAll('.cell_output table.dataframe tr')];
  const column = n => [...new Set(rows.map(row => style(row.children[n]).textAlign))];
  const ground = inside =>
    style(document.querySelector(`.text_html:has(${inside})`)).backgroundColor;
  return [column(0), column(3), ground('table'), ground('.data-badge')];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_tables_and_badge_follow_the_theme(watched, scheme):
    watched.page.emulate_media(color_scheme=scheme)
    watched.open("book/40_case_study_1.html")
    nothing = "rgba(0, 0, 0, 0)"
    assert watched.page.evaluate(LOOK) == [["left"], ["right"], nothing, nothing]


def test_a_section_is_louder_than_its_parts(watched):
    watched.open("book/90_checking_the_paper.html")
    sizes = watched.page.evaluate(
        "() => ['h1', 'h2', 'h3'].map(h => document.querySelector(`article ${h}`))"
        ".map(getComputedStyle).map(s => [parseFloat(s.fontSize), +s.fontWeight])"
    )
    assert sizes == sorted(sizes, reverse=True)
    assert len({size for size, _ in sizes}) == 3


def test_a_wide_table_scrolls_inside_its_frame_on_a_phone(watched):
    watched.page.set_viewport_size({"width": PHONE, "height": 900})
    watched.open("book/10_preprocessing.html")
    scrolled = watched.page.evaluate(
        "() => [...document.querySelectorAll('.cell_output .text_html:has(table)')]"
        ".filter(e => e.scrollWidth > e.clientWidth)"
        ".map(e => getComputedStyle(e).backgroundAttachment)"
    )
    assert scrolled
    assert set(scrolled) == {"local, local, scroll, scroll"}
