"""A browser for the tests of the report, and pages that tell of every error and every request."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

VARIABLE = "DIFFERENTIA_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    # They are pages of the browser's own, drawn for each window though none is seen: a quarter of the time.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup",
]

DESKTOP, PHONE = (1280, 900), (390, 844)

#: Of colours, as a system asks for them.
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

#: What a self-contained page may ask for.
OWN = ("file:", "data:", "blob:", "about:")


def find_chromium() -> str | None:
    """Return the path of Chromium, or of a browser like it, where there is one."""
    named = os.environ.get(VARIABLE)
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


def problems_of(context: BrowserContext) -> list[str]:
    """Return a list that grows with every error, warning, dialog and outside request of a context's pages."""
    problems: list[str] = []

    def of_page(page: Page) -> None:
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))

        def dialog(shown: Any) -> None:
            problems.append(f"dialog: {shown.message}")
            shown.dismiss()

        page.on("dialog", dialog)

    def console(said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"}:
            problems.append(f"console {said.type}: {said.text}")

    def request(asked: Request) -> None:
        if not asked.url.startswith(OWN):
            problems.append(f"request: {asked.url[:200]}")

    context.on("page", of_page)
    context.on("console", console)
    context.on("request", request)
    return problems


#: What was browsed in, by how it was made; its page is blank. A page that is opened in it need not read
#: and compile Plotly as a new process does, which is more than half of its time.
_FREE: dict[str, list[tuple[BrowserContext, list[str]]]] = {}


@contextmanager
def browsing(
    browser: Browser, size: tuple[int, int] = DESKTOP, scheme: str = "light", **options: Any
) -> Iterator[BrowserContext]:
    """Give a context in which a page may be opened; fail at the end of it unless all was quiet."""
    free = _FREE.setdefault(repr((browser, size, scheme, options)), [])
    context, problems = free.pop() if free else _new(browser, size, scheme, **options)
    problems.clear()
    try:
        yield context
    except BaseException:
        context.close()
        raise
    _wipe(context, size, scheme)
    free.append((context, problems))
    assert not problems, problems


def _new(
    browser: Browser, size: tuple[int, int], scheme: str, **options: Any
) -> tuple[BrowserContext, list[str]]:
    width, height = size
    phone = size == PHONE
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        is_mobile=phone,
        has_touch=phone,
        reduced_motion="reduce",
        **options,
    )
    context.set_default_timeout(30_000)
    return context, problems_of(context)


def _wipe(context: BrowserContext, size: tuple[int, int], scheme: str) -> None:
    """Leave one page in a context, with nothing on it, as it was when it was new."""
    for page in context.pages[1:]:
        page.close()
    for page in context.pages:
        page.goto("about:blank")
        page.mouse.move(0, 0)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(media="null", color_scheme="dark" if scheme == "dark" else "light")


@functools.cache
def _place() -> Path:
    """Return where each file is opened: what a process has compiled goes by its place, too."""
    return Path(tempfile.mkdtemp()) / "report.html"


def opened(context: BrowserContext, path: Path) -> Page:
    """Return the page of a file, once it is drawn."""
    blank = [page for page in context.pages if page.url == "about:blank"]
    page = blank[0] if blank else context.new_page()
    shutil.copyfile(path, _place())
    page.goto(_place().as_uri())
    page.wait_for_selector("body[data-ready]", state="attached")
    return page


def prefer(page: Page, scheme: str) -> None:
    """Have the system prefer a light or a dark ground, and wait until the page has been told and drawn."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    # A page is told before the next frame; the frame after that one comes later in any case.
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def drawn(page: Page, plot: str) -> list[dict[str, Any]]:
    """Return the traces of a plot as Plotly has them."""
    traces: list[dict[str, Any]] = page.evaluate(
        "(id) => JSON.parse(JSON.stringify(document.getElementById(id).data || []))", plot
    )
    return traces


def axis_of(page: Page, plot: str, letter: str) -> dict[str, Any]:
    """Return an axis as Plotly drew it: its title, its ticks and their texts."""
    found: dict[str, Any] = page.evaluate(
        """([id, name]) => {
            const axis = document.getElementById(id)._fullLayout[name];
            return {title: axis.title.text, tickvals: axis.tickvals, ticktext: axis.ticktext};
        }""",
        [plot, f"{letter}axis"],
    )
    return found


def table_of(page: Page, selector: str) -> list[list[str]]:
    """Return the cells of a table, its heading first."""
    rows: list[list[str]] = page.evaluate(
        "(selector) => [...document.querySelector(selector).rows].map((row) => [...row.cells].map((cell) => "
        "cell.textContent))",
        selector,
    )
    return rows


def text_of(page: Page, selector: str) -> str:
    """Return the text of an element as it is in the document."""
    return page.locator(selector).first.text_content() or ""
