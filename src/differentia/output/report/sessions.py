"""The page of several sessions: a link to the report of each, and what is said of all together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from differentia.output.report.page import environment, read_template
from differentia.results.dataset import provenance
from differentia.results.subject import subject_of, unit_noun
from differentia.results.summaries import layer_names, percent
from differentia.system.files import written_whole

if TYPE_CHECKING:
    import xarray as xr

#: By the name of a picture: what it shows.
CAPTIONS = {
    "across": "Each session, small, and the mean over sessions with its interval.",
    "across_relative": "The same, relative to each session's own reference.",
    "trials": "How the two sets differ in each session, and the mean over sessions with its interval.",
}

#: What browsers show within a page; other pictures are linked.
SHOWN = (".png", ".svg")


def write_sessions(
    path: Path,
    results: Mapping[str, xr.Dataset],
    found: xr.Dataset | None,
    *,
    reports: Mapping[str, str],
    pictures: Sequence[Path],
    said: Sequence[str],
) -> None:
    """Write the page; `found` is what `across` returned, `reports` are the pages of the sessions.

    Paths of reports and pictures are below the page's folder, to which its links are relative.
    """
    subject = subject_of(next(iter(results.values())))
    page = (
        environment()
        .get_template("sessions.html.jinja")
        .render(
            style=Markup(read_template("style.css")),
            policy="default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file: data:",
            sessions=[_session(name, one, reports[name]) for name, one in results.items()],
            across=None if found is None else _across(found),
            place=subject.place.one,
            items=subject.item.many,
            units=unit_noun(next(iter(results.values()))).many,
            pictures=[
                {
                    "source": quote(picture.relative_to(path.parent).as_posix()),
                    "caption": CAPTIONS.get(picture.stem, ""),
                    "shown": picture.suffix in SHOWN,
                }
                for picture in pictures
            ],
            said=said,
        )
    )
    with written_whole(path) as beside:
        beside.write_text(page, encoding="utf-8")


def _session(name: str, result: xr.Dataset, report: str) -> dict[str, Any]:
    """Return what stands in the row of a session."""
    known = provenance(result)
    sizes = zip(layer_names(result), result["layer_size"].values.tolist(), strict=True)
    return {
        "name": name,
        "report": quote(report),
        "animal": known.get("subject", ""),
        "neurons": ", ".join(f"{size:,} in {layer}" for layer, size in sizes),
        "count": f"{result.sizes['image']:,}",
        "told": [*known.get("left_out", ()), *(warned["text"] for warned in known.get("warnings", ()))],
    }


def _across(found: xr.Dataset) -> dict[str, Any]:
    """Return the table of means over sessions: a row for each population, a column for each set."""
    only = found.isel(group=0)
    rows = []
    for layer in layer_names(found):
        numbers = (only[name].sel(layer=layer).values for name in ("mean", "low", "high"))
        rows.append({"name": layer, "cells": [_cell(*three) for three in zip(*numbers, strict=True)]})
    return {
        "rows": rows,
        "sets": found["set"].values.astype(str).tolist(),
        "confidence": percent(found.attrs["confidence"]),
    }


def _cell(mean: float, low: float, high: float) -> str:
    if not math.isfinite(mean):
        return "no value"
    return f"{mean:.3f}" + (f" [{low:.3f}, {high:.3f}]" if math.isfinite(low + high) else "")
