"""What the figures and the report in a folder were made from: what has not changed is not made again.

A folder keeps one digest for each of them. It is that of what they were made from (numbers, options, the code
that draws), and of the files themselves, so that those that are missing or were changed are made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from differentia.results.dataset import with_provenance
from differentia.results.files import content_checksum
from differentia.system.files import read_text, written_whole

if TYPE_CHECKING:
    import xarray as xr

#: Where a folder keeps the digests.
RECORD = ".made.json"

PACKAGE = Path(__file__).parents[1]

#: Files of the package on which a picture or a page may depend.
_CODE = {".py", ".csv", ".toml", ".jinja", ".js", ".css"}


def origin_of_figures(results: Mapping[str, xr.Dataset], options: Any) -> str:
    """Return a digest of what figures are made from; they do not show the command that measured."""
    shown = {kind: with_provenance(result, command="") for kind, result in results.items()}
    return _digest(_code(), version("matplotlib"), str(options), *_contents(shown))


def origin_of_report(results: Mapping[str, xr.Dataset]) -> str:
    """Return a digest of what a report is made from."""
    return _digest(_code(), version("plotly"), *_contents(results))


def make_unless_unchanged(place: Path, origin: str, make: Callable[[], object]) -> bool:
    """Make a file, or a folder of files, unless it is there as it was made from the same; return whether."""
    folder = place.parent
    if _record(folder).get(place.name) == _digest_of_files(origin, place):
        return False
    make()
    record = {**_record(folder), place.name: _digest_of_files(origin, place)}
    with written_whole(folder / RECORD) as beside:
        beside.write_text(json.dumps(record), encoding="utf-8")
    return True


def files_of(place: Path) -> list[Path]:
    """Return a file, or the files of a folder; nothing where there is neither."""
    return sorted(path for path in (place.iterdir() if place.is_dir() else [place]) if path.is_file())


def _record(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        record = json.loads(read_text(folder / RECORD))
        return record if isinstance(record, dict) else {}
    return {}


def _digest_of_files(origin: str, place: Path) -> str:
    named = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files_of(place)]
    return _digest(origin, *(part for pair in named for part in pair))


@cache
def _code() -> str:
    paths = sorted(path for path in PACKAGE.rglob("*") if path.suffix in _CODE)
    return _digest(*(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths))


def _contents(results: Mapping[str, xr.Dataset]) -> list[str]:
    return [part for kind, result in results.items() for part in (kind, content_checksum(result))]


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
