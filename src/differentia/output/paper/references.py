"""The works that a paper on a measurement cites, and how each is written in a list of references."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from html import escape
from importlib.resources import files

#: More authors than this are written as the first six, an ellipsis and the last.
MOST_AUTHORS = 7

#: Stands for authors that the work itself does not name.
OTHERS = "others"


@dataclass(frozen=True, repr=False)
class Reference:
    """One work of a list of references; `str` of it is its line there.

    Attributes
    ----------
    key
        Its key in BibTeX.
    authors
        Each as "Family, Initials", or the name of a group; `OTHERS` last where not all are named.
    year
        None where it is not known.
    title
        As the work spells it.
    where
        The journal, proceedings, archive or publisher.
    volume, pages
        Where it has them; the number of an article is its page.
    doi, url
        Where to find it; the URL is for works without DOI.
    version
        Of software.
    kind
        The type of its BibTeX entry.
    """

    key: str
    authors: tuple[str, ...]
    year: int | None
    title: str
    where: str = ""
    volume: str = ""
    pages: str = ""
    doi: str = ""
    url: str = ""
    version: str = ""
    kind: str = "article"

    @property
    def citation(self) -> str:
        """Author and year, as they stand within a pair of parentheses."""
        families = [author.partition(",")[0] for author in self.authors]
        if len(families) == 1:
            who = families[0]
        elif len(families) == 2 and OTHERS not in families:
            who = " & ".join(families)
        else:
            who = f"{families[0]} et al."
        return f"{who}, {self.year or 'n.d.'}"

    def __repr__(self) -> str:
        """Return its key and its line."""
        return f"Reference({self.key}: {self})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(str(self))}</p>"

    def __str__(self) -> str:
        """Return one line, much as the APA's style has it."""
        title = self.title + (f" (Version {self.version})" if self.version else "")
        title += " [Computer software]" if self.kind == "software" else ""
        place = ", ".join(filter(None, (self.where, self.volume, self.pages))) if self.where else ""
        found = f"https://doi.org/{self.doi}" if self.doi else self.url
        parts = [f"{self._written_authors()} ({self.year or 'n.d.'})", title, place]
        line = " ".join(f"{part.rstrip('.')}." for part in parts if part)
        return f"{line} {found}" if found else line

    def _written_authors(self) -> str:
        *others, last = self.authors
        if last == OTHERS:
            return ", ".join([*others, "et al."])
        if len(self.authors) > MOST_AUTHORS:
            return ", ".join([*others[:6], f"... {last}"])
        return f"{', '.join(others)}, & {last}" if others else last

    @property
    def bibtex(self) -> str:
        """The entry in BibTeX's format (software as `misc`, which every style knows)."""
        names = [name if "," in name or name == OTHERS else f"{{{name}}}" for name in self.authors]
        containers = {"article": "journal", "inproceedings": "booktitle", "book": "publisher"}
        container = containers.get(self.kind, "howpublished")
        fields = {
            "author": " and ".join(names),
            "title": f"{{{self.title}}}",
            container: self.where,
            "volume": self.volume,
            "pages": re.sub(r"^(\d+)-(\d+)$", r"\1--\2", self.pages),
            "year": str(self.year or ""),
            "note": f"Version {self.version}" if self.version else "",
            "doi": self.doi,
            "url": self.url,
        }
        kind = "misc" if self.kind == "software" else self.kind
        lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
        return f"@{kind}{{{self.key},\n" + ",\n".join(lines) + "\n}"


_DATA = tomllib.loads(files(__package__).joinpath("references.toml").read_text(encoding="utf-8"))

#: Every work by its key.
REFERENCES = {
    key: Reference(key, tuple(work.pop("authors")), work.pop("year", None), **work)
    for key, work in _DATA["references"].items()
}


def architecture_key(name: str) -> str | None:
    """Return the key of the work that a network of ``keras.applications`` comes from, where it is known."""
    patterns = _DATA["architectures"].items()
    return next((key for pattern, key in patterns if re.fullmatch(pattern, name)), None)
