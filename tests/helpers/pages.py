"""What the tests of the report's pages share: the checks of what is drawn, said, and written in tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from axe_playwright_python.sync_playwright import Axe
from helpers.browser import DESKTOP, PHONE, SCHEMES, drawn
from helpers.reports import (
    doubts_of,
    flagged,
    interval,
    limits_of,
    names,
    over_draws,
    uncertainty,
    with_spread,
    written,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = "<img src=x onerror=alert(1)>"


# -------------------------------------------------------------------------------------------------- curves


def numbers(values: Any) -> np.ndarray:
    """Return numbers of the page's JSON, in which None stands for NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def curves(page: Page) -> list[dict[str, Any]]:
    """Return the lines and bands of the curves."""
    return drawn(page, "curves")


def check_curves(
    page: Page,
    result: xr.Dataset,
    *,
    relative: bool = False,
    counts: Sequence[int] | None = None,
    hidden: Sequence[str] = (),
    without: Sequence[str] = (),
    overlay: np.ndarray | None = None,
) -> None:
    """Fail unless exactly the curves of a result are drawn: values, bands, open marks, what hovering says.

    Without those bands that were switched off.
    """
    mean, spread = over_draws(result, relative=relative)
    flags, used = flagged(result), result["units_used"].values
    doubted = doubts_of(result, relative=relative)
    limits = limits_of(result, relative=relative)
    one_sd = {"spread": (mean - np.nan_to_num(spread), mean + np.nan_to_num(spread))}
    at_counts = range(len(result["n_units"])) if counts is None else counts
    of_sets = [one for one in curves(page) if "set" in one["meta"]]
    traces = {(one["meta"]["set"], one["meta"]["count"], one["meta"]["role"]): one for one in of_sets}
    assert len(traces) == len(of_sets)
    expected: set[tuple[int, int, str]] = set()
    for place, name in enumerate(names(result, "set")):
        for count in at_counts if name not in hidden else ():
            key = (place, count)
            line = traces[*key, "mean"]
            expected.add((*key, "mean"))
            np.testing.assert_array_equal(line["x"], range(result.sizes["layer"]))
            np.testing.assert_allclose(numbers(line["y"]), mean[:, :, count][place], rtol=1e-12)
            symbols = line["marker"]["symbol"]
            crossed = [symbol == "circle-x-open" for symbol in symbols]
            assert crossed == doubted[place, :, count].tolist()
            opens = [symbol.endswith("-open") for symbol in symbols]
            assert opens == (flags[place, :, count] | doubted[place, :, count]).tolist()
            for source, (low, high) in (limits or one_sd).items():
                edges = low[place, :, count], high[place, :, count]
                # Of several numbers of units, bands of images are drawn at the largest; none of both.
                seen = {"images": count == at_counts[-1], "both": False}.get(source, True)
                if seen and source not in without and (edges[1] > edges[0]).any():
                    expected.add((*key, source))
                    check_band(traces[*key, source], *edges)
                    assert (traces[*key, source]["line"]["width"] > 0) == (source == "units")
            for layer, text in enumerate(line["hovertext"]):
                first, second, value, units, *rest = text.split("<br>")
                assert first == f"<b>{name}</b>"
                assert second == names(result, "layer")[layer]
                what = "relative" if relative else "differentiation"
                at = (place, layer, count)
                of_point = with_spread(
                    mean[at], spread[at], *((low[at], high[at]) for low, high in limits.values())
                )
                own = relative and name == result.attrs["reference"]  # its ratio to itself
                itself = own and count == len(result["n_units"]) - 1
                assert value == f"{what} <b>{'1' if itself else of_point}</b>"
                size = int(result["layer_size"].values[layer])
                by_filter = str(result["units"].item()) == "filter_mean"
                of_all = " channel means" if by_filter else f" of {size:,} units"
                assert units == f"{used[layer, count]:,}{of_all}"
                said = ["\u00b1 one SD over draws of units"] if spread[place, layer, count] > 0 else []
                for source in ("images", "units", "both") if limits and not itself else ():
                    if own and source == "images":
                        continue
                    low, high = limits[source]
                    if within := interval(low[place, layer, count], high[place, layer, count]):
                        whole = source == "units" and used[layer, count] == size
                        text = "none, it is the whole layer" if whole else f"{within} (95 %)"
                        said.append(f"other {'images and units' if source == 'both' else source}: {text}")
                if doubted[place, layer, count]:
                    said += ["<b>not to be trusted</b> for other images:", rest[len(said) + 1]]
                    assert not (limits and np.isfinite(limits["images"][0][place, layer, count]))
                if flags[place, layer, count]:
                    said.append("<b>not converged</b>: more units give another value")
                assert rest == said
            if overlay is not None:
                expected.add((*key, "published"))
                thin = traces[*key, "published"]
                assert thin["line"]["dash"] not in {
                    one["line"].get("dash") for where, one in traces.items() if where[2] == "mean"
                }
                np.testing.assert_allclose(numbers(thin["y"]), overlay[place, :, count])
    assert set(traces) == expected
    dashes = {traces[key]["line"]["dash"] for key in expected if key[1] == at_counts[-1] and key[2] == "mean"}
    assert dashes <= {"solid"}


def check_band(trace: dict[str, Any], low: np.ndarray, high: np.ndarray) -> None:
    """Fail unless a trace is a closed shape for each run of layers in which both limits are known."""
    assert trace["fill"] == "toself"
    shapes: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(trace["x"], trace["y"], strict=True):
        if x is None:
            shapes.append([])
        else:
            shapes[-1].append((x, y))
    assert shapes.pop() == []
    layers = [layer for layer in range(len(low)) if np.isfinite(low[layer]) and np.isfinite(high[layer])]
    runs: list[list[int]] = []
    for layer in layers:
        if runs and runs[-1][-1] == layer - 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    assert len(shapes) == len(runs)
    for shape, run in zip(shapes, runs, strict=True):
        assert shape[0] == shape[-1]
        there, back = shape[: len(shape) // 2], shape[len(shape) // 2 : -1][::-1]
        if len(run) == 1:
            assert [x for x, _ in there] == [x for x, _ in back]
            assert there[0][0] < run[0] < there[1][0]
            run = 2 * run
        else:
            assert [x for x, _ in there] == [x for x, _ in back] == run
        np.testing.assert_allclose([y for _, y in there], high[run], rtol=1e-12)
        np.testing.assert_allclose([y for _, y in back], low[run], rtol=1e-12)


# -------------------------------------------------------------------------------------------------- tables

COLUMNS = {
    "units": "Units",
    "set": "Set",
    "layer": "Layer",
    "n_units": "Number of units",
    "units_used": "Units used",
    "reference": "Relative to",
    "differentiation": "Differentiation",
    "sd_over_draws": "SD over draws",
    "differentiation_units_low": "Interval of units",
    "differentiation_images_low": "Interval of images",
    "differentiation_both_low": "Interval of both",
    "relative": "Relative",
    "relative_sd_over_draws": "SD of relative",
    "relative_units_low": "Of units, relative",
    "relative_images_low": "Of images, relative",
    "relative_both_low": "Of both, relative",
    "doubt": "Not to be trusted",
    "not_converged": "Not converged",
}


#: The fields of the table as it is copied: an interval has two.
FIELDS = [
    field
    for name in COLUMNS
    for field in ([name, name.replace("_low", "_high")] if name.endswith("_low") else [name])
]
NUMBERS = [
    name for name in FIELDS if name.startswith(("differentiation", "relative")) or name == "sd_over_draws"
]


def columns_of(rows: list[dict[str, Any]]) -> list[str]:
    """Return the columns of the table: intervals and doubts where there is one, references if several."""
    known = {
        name for row in rows for name in COLUMNS if row[name] not in (None, "") and row[name] == row[name]
    }
    if len({row["reference"] for row in rows}) < 2:
        known.discard("reference")
    return [name for name in COLUMNS if not name.endswith(("_low", "doubt", "reference")) or name in known]


def cell_of(name: str, record: dict[str, Any]) -> str:
    """Return a record's cell in a column."""
    if name.endswith("_low"):
        high = record[name.replace("_low", "_high")]
        return "" if record[name] is None else interval(record[name], high)
    of_value = "relative" if name.startswith("relative") else "differentiation"
    ends = [[record[f"{of_value}_{source}_{end}"] for end in ("low", "high")] for source in SOURCES]
    intervals = [(low, high) for low, high in ends if low is not None]
    return cell(name, record[name], uncertainty(record[SPREAD_OF[of_value]] or 0.0, *intervals))


SOURCES = ("units", "images", "both")
SPREAD_OF = {"differentiation": "sd_over_draws", "relative": "relative_sd_over_draws"}


def cell(name: str, value: Any, width: float = 0.0) -> str:
    """Return a number of the table as the page writes it."""
    if name == "not_converged":
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return "" if np.isnan(value) else written(value, width)
    return str(value)


def parsed(text: str) -> list[dict[str, Any]]:
    """Return the records of a CSV file."""
    found: list[dict[str, Any]] = []
    for row in csv.DictReader(io.StringIO(text, newline="")):
        record: dict[str, Any] = dict(row)
        for name in ("n_units", "units_used"):
            record[name] = int(row[name])
        for name in NUMBERS:
            record[name] = float(row[name]) if row[name] else np.nan
        record["not_converged"] = {"true": True, "false": False, "": None}[row["not_converged"]]
        found.append(record)
    return found


def check_records(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Fail unless records are the same, every digit of them."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert set(one) == set(other)
        for name, value in other.items():
            assert one[name] == value or (np.isnan(value) and np.isnan(one[name])), name


# --------------------------------------------------------------------------------------- names and readers


def require_no_markup(page: Page) -> None:
    """Fail where a name became an element."""
    assert page.locator("img[src='x'], a[href^='javascript'], section b, header b, i:not(p > i)").count() == 0
    scripts = page.evaluate("[...document.scripts].map((one) => one.textContent.length)")
    assert len(scripts) == 4


def svg_texts(page: Page, selector: str) -> list[str]:
    """Return the texts that Plotly drew, each with its lines together."""
    found: list[str] = page.evaluate(
        "(selector) => [...document.querySelectorAll(selector)].map((one) => one.textContent)", selector
    )
    return found


def hovered(page: Page, plot: str, point: str, start: str) -> None:
    """Fail unless hovering over a point shows a text that begins so; Plotly takes a moment to show it."""
    label = page.locator(f"#{plot} .hoverlayer .hovertext text.nums")
    page.evaluate(f"Plotly.Fx.hover('{plot}', [{point}])")
    for _ in range(40):
        shown = label.first.text_content() if label.count() else ""
        if (shown or "").startswith(start):
            return
        page.wait_for_timeout(25)
    assert shown == start


#: The rules of axe, by ground: all on the light one, where they are seen first, then those of colours.
RULES: dict[str, tuple[str, ...]] = {"light": (), "dark": ("color-contrast", "link-in-text-block")}

#: The grounds on which axe looks, by the size of the window: colours do not depend on it.
GROUNDS = {DESKTOP: SCHEMES, PHONE: SCHEMES[:1]}


def violations(page: Page, *, rules: Sequence[str] = (), within: str | None = None) -> list[str]:
    """Return what axe finds serious or worse, and where: by all rules or some, on the page or in a part."""
    # What passes is not listed: it would be megabytes, which take longer to hand over than to find.
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    response = Axe().run(page, within, options).response
    return [
        f"{found['id']}: {node['html'][:150]}"
        for found in response["violations"]
        if found["impact"] in {"serious", "critical"}
        for node in found["nodes"]
    ]
