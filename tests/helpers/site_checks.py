"""What links and loads a built site has, and which of them lead nowhere or to another host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a browser loads by itself; a page that is next or canonical is only named.
LOADED_RELATIONS = {
    "stylesheet",
    "icon",
    "preload",
    "modulepreload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
}


class Page(HTMLParser):
    """One HTML document: its ids, where it leads, and what it loads by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.frames: list[Page] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if "href" in given:
            relations = set(given.get("rel", "").split())
            by_itself = tag == "link" and relations & LOADED_RELATIONS
            (self.loads if by_itself else self.links).append(given["href"])
        self.loads += [given[name] for name in ("src", "poster", "data") if given.get(name)]
        self.loads += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]
        self.loads += urls_of_style(given.get("style", ""))
        if given.get("srcdoc"):
            self.frames.append(Page(given["srcdoc"]))


def urls_of_style(css: str) -> list[str]:
    """Return what a style sheet loads."""
    found = re.findall(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""", css)
    return [first or second for first, second in found]


def pages_of(site: Path) -> dict[Path, Page]:
    """Return every page of a site, by its path within."""
    found = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]  # templates
    return {path.relative_to(site): Page(path.read_text(encoding="utf-8")) for path in found}


def broken_links(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Return every link or load within the site whose file or anchor is not there."""
    return [
        f"{path}: {url}"
        for path, page in pages.items()
        for document in (page, *page.frames)
        for url in (*document.links, *document.loads)
        if not _is_there(site, path, document, url, pages)
    ]


def _is_there(site: Path, path: Path, document: Page, url: str, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        return True
    anchor = unquote(parts.fragment)
    if not parts.path:
        return not anchor or anchor in document.ids
    target = (site / path.parent / unquote(parts.path)).resolve()
    if not target.is_relative_to(site.resolve()) or not target.is_file():
        return False
    return not anchor or anchor in pages[target.relative_to(site.resolve())].ids


def outside_loads(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Return what pages and style sheets load by themselves from another host."""
    loads = [
        (path, url)
        for path, page in pages.items()
        for document in (page, *page.frames)
        for url in document.loads
    ]
    loads += [
        (sheet.relative_to(site), url)
        for sheet in site.rglob("*.css")
        for url in urls_of_style(sheet.read_text(encoding="utf-8"))
    ]
    return [f"{path}: {url}" for path, url in loads if urlsplit(url).netloc]


def broken_repository_links(text: str, folder: Path) -> Iterator[str]:
    """Yield the relative links of a Markdown file whose file or heading is not there.

    Parameters
    ----------
    text
        Of the file.
    folder
        That it lies in.
    """
    without_code = re.sub(r"^```.*?^```$|`[^`\n]+`", "", text, flags=re.DOTALL | re.MULTILINE)
    for path, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", without_code):
        if urlsplit(path).scheme:
            continue
        target = folder / path
        if path and not target.is_file():
            yield path
        elif anchor and anchor not in _headings(target.read_text(encoding="utf-8") if path else text):
            yield f"{path}#{anchor}"


def _headings(text: str) -> set[str]:
    """Return the anchors of a Markdown file's headings, as repository hosts write them."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
