"""The documentation site builds without a warning; its links lead somewhere, its reference is complete."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from helpers.site_checks import (
    Page,
    broken_links,
    outside_loads,
    pages_of,
    urls_of_style,
)

import differentia as dif
from differentia.cli.commands import EXAMPLES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


class Site:
    """The built site."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages = pages_of(folder)

    def html(self, page: str) -> str:
        return (self.folder / page).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site as ``make docs`` builds it, but for running the tutorial, which has its own test."""
    folder = tmp_path_factory.mktemp("site")
    warnings = folder / "warnings.txt"
    options = [
        "-D",
        "nb_execution_mode=off",
        "-W",
        "--keep-going",
        "-n",
        "-q",
        "-w",
        str(warnings),
        "-d",
        str(folder / "doctrees"),
    ]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(folder / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert warnings.read_text(encoding="utf-8") == ""
    assert built.returncode == 0, built.stderr
    return Site(folder / "html")


def text_of(html: str) -> str:
    """Return what a piece of HTML says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", "", html)).split())


def test_every_page_is_built(site: Site) -> None:
    """Each Markdown file and notebook of docs/ has its page, and the first one leads to it.

    But for the tutorial as Markdown, for which the notebook itself stands.
    """
    sources = [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".rst", ".ipynb")]
    expected = {
        path.relative_to(ROOT / "docs").with_suffix(".html") for path in sources if "_build" not in path.parts
    } - {Path("tutorial/README.html")}
    assert len(expected) >= 20
    assert expected <= set(site.pages)


def test_links_lead_somewhere(site: Site) -> None:
    """Every link, image, script and anchor within the site."""
    assert sum(len(page.links) for page in site.pages.values()) > 500
    assert broken_links(site.folder, site.pages) == []


def test_nothing_is_loaded_from_another_host(site: Site) -> None:
    """No script, style sheet, font or picture; links that a reader may follow are another matter."""
    assert sum(len(page.loads) for page in site.pages.values()) > 100
    assert outside_loads(site.folder, site.pages) == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    """A file, an anchor on the page and one on another page that are not there; those that are pass."""
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here">1</a><a href="b.html?v=1#there">2</a><a href="https://example.org">3</a>'
        '<a href="#gone">4</a><a href="b.html#gone">5</a><a href="c.html">6</a><img src="gone.png">'
        '<a href="../a.html">7</a>',
        encoding="utf-8",
    )
    (tmp_path / "b.html").write_text('<h1 id="there">There</h1>', encoding="utf-8")
    assert broken_links(tmp_path, pages_of(tmp_path)) == [
        *("a.html: #gone", "a.html: b.html#gone", "a.html: c.html", "a.html: ../a.html", "a.html: gone.png")
    ]


def test_loads_from_other_hosts_are_found(tmp_path: Path) -> None:
    """Scripts, sheets, fonts and pictures, also within a frame; no links, no data."""
    frame = "<iframe srcdoc=\"&lt;img src='//d.org/x.png'&gt;\"></iframe>"
    (tmp_path / "a.html").write_text(
        '<link rel="stylesheet" href="https://a.org/a.css"><link rel="canonical" href="https://e.org">'
        '<script src="https://b.org/b.js"></script><a href="https://e.org">e</a><img src="data:image/png;,">'
        f'<div style="background: url(https://c.org/c.png)"></div>{frame}',
        encoding="utf-8",
    )
    (tmp_path / "a.css").write_text('@import "https://f.org/f.css"; src: url("a.woff2")', encoding="utf-8")
    hosts = re.findall(r"//(\w)\.org", " ".join(outside_loads(tmp_path, pages_of(tmp_path))))
    assert hosts == ["a", "b", "c", "d", "f"]
    assert urls_of_style("src: url( 'x.woff2' )") == ["x.woff2"]
    assert Page("<p>").loads == []


def test_every_public_name_has_its_entry(site: Site) -> None:
    """On one page of the reference, with the first paragraph of its docstring as the description."""
    pages = [page for page in site.pages if page.parent == Path("reference/api")]
    for name in dif.__all__:
        (page,) = [page for page in pages if f"differentia.{name}" in site.pages[page].ids]
        _, _, entry = site.html(str(page)).partition(f'id="differentia.{name}">')
        description = r".*?</dt>\s*<dd>(?:<p>Bases:.*?</p>\s*)?<p>(.*?)</p>"
        described = re.match(description, entry, flags=re.DOTALL)
        assert described is not None, name
        summary = " ".join(str(getattr(dif, name).__doc__).partition("\n\n")[0].replace("`", "").split())
        assert summary, name
        assert text_of(described[1]) == summary


def test_parameters_have_their_types(site: Site) -> None:
    """Those of the annotations, where the docstring names no other; not repeated in the signature."""
    html = site.html("reference/api/measure.html")
    typed = re.findall(r'<dt><strong>(.*?)</strong><span class="classifier">(.*?)</span></dt>', html)
    assert ("n_units", "int | Sequence[int] | None") in typed
    assert ("units", "Mapping[str, Int[np.ndarray, &quot; _&quot;]]") in typed
    assert ("A", "(n_responses, n_units)") in typed
    (signature,) = re.findall(r'<dt[^>]*id="differentia\.measure">(.*?)</dt>', html, flags=re.DOTALL)
    assert "draws" in signature
    assert "Sequence" not in signature


def test_mentions_are_links(site: Site) -> None:
    """Public names in docstrings and on pages lead to their entries; parameters lead nowhere."""
    guide, entry = site.html("guides/units.html"), site.html("reference/api/measure.html")
    assert re.search(r'href="[^"]*results\.html#differentia\.not_converged"[^>]*><code', guide)
    assert re.search(r'href="networks\.html#differentia\.load_network"', entry)
    assert not re.search(r"#differentia\.n_units", entry)


def test_every_command_has_its_section(site: Site) -> None:
    """Under its own name."""
    assert len(EXAMPLES) >= 8
    assert set(EXAMPLES) <= site.pages[Path("commands.html")].ids


def test_formulas_are_drawn_by_the_browser(site: Site) -> None:
    """As MathML; no TeX is left, and no script that would draw it."""
    definition = site.html("reference/definition.html")
    assert definition.count("<math") > 30
    assert "<mfrac>" in definition
    assert not re.search(r"<script[^>]*mathjax|\\frac|\\sigma|\$\$", definition, flags=re.IGNORECASE)
