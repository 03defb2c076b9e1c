"""The report in a browser: what is drawn is what the result says, after each switch too."""

from __future__ import annotations

import base64
import copy
import csv
import functools
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
import xarray as xr
from helpers.browser import DESKTOP, PHONE, axis_of, browsing, drawn, opened, table_of, text_of
from helpers.pages import (
    COLUMNS,
    FIELDS,
    cell,
    cell_of,
    check_curves,
    check_records,
    columns_of,
    curves,
    parsed,
    violations,
)
from helpers.reports import (
    COUNTS,
    LAYERS,
    data_of,
    filter_values,
    flagged,
    interval,
    kinds,
    limits_of,
    measured,
    names,
    over_draws,
    page_of,
    pair_distances,
    published,
    rows_of,
    sigma,
    uncertainty,
    with_spread,
    without_views,
    written,
)
from matplotlib import colormaps
from playwright.sync_api import expect

import differentia as dif
from differentia.results.dataset import with_provenance
from differentia.results.tables import table_rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

N_IMAGES = 15


@pytest.fixture(scope="module")
def file() -> Path:
    """The report of `measured`."""
    return page_of(measured)


@pytest.fixture(scope="module")
def page(browser: Browser, file: Path) -> Iterator[Page]:
    """A page that tests only read."""
    with browsing(browser) as context:
        yield opened(context, file)


@pytest.fixture(scope="module")
def switched(browser: Browser, file: Path) -> Iterator[Page]:
    """A page whose switches are used."""
    with browsing(browser, permissions=["clipboard-read", "clipboard-write"]) as context:
        yield opened(context, file)


#: Loading a page takes a second or more; setting its switches as they were does not.
AS_OPENED = """() => {
    for (const input of document.getElementsByName("set")) input.checked = true;
    document.querySelector("input[name=values][value=raw]").checked = true;
    Object.assign(state, {values: "raw", hidden: new Set(), layer: 3, count: 2, published: true});
    Object.assign(order, {column: null, ascending: true});
    const find = document.getElementById("find");
    find.value = "";
    find.dispatchEvent(new Event("input"));
    listCounts();
    drawAll();
    drawTable();
}"""


@pytest.fixture
def fresh(switched: Page) -> Page:
    """A page whose switches are as they were when it was opened."""
    switched.evaluate(AS_OPENED)
    return switched


@pytest.fixture
def untouched(browser: Browser, file: Path) -> Iterator[Page]:
    """A page that was opened just now."""
    with browsing(browser) as context:
        yield opened(context, file)


# ------------------------------------------------------------------------------------------------ curves


def test_the_curves_are_those_of_the_result(page: Page) -> None:
    """At the largest number of units, as they are; every point is really drawn."""
    result = measured()
    check_curves(page, result, counts=[2])
    points = page.locator("#curves .scatterlayer .point").count()
    assert points == int(np.isfinite(over_draws(result)[0][:, :, 2]).sum())
    axis = axis_of(page, "curves", "x")
    assert axis["ticktext"] == list(LAYERS)
    assert axis["tickvals"] == [0, 1, 2, 3]
    assert axis_of(page, "curves", "y")["title"] == "Differentiation"
    caption = text_of(page, "#curves-caption")
    assert caption.startswith("Means over draws of 400 units (random; a smaller layer is used whole).")
    assert (
        "Whether 400 units are enough can't be said where the mark is filled: no larger number was measured."
        in caption
    )
    assert "Dotted bands: 95 % intervals for other draws of units." in caption
    assert "images" not in caption  # which are too few


def test_the_axis_says_which_tokens_count(browser: Browser, tmp_path: Path) -> None:
    """As far as there is room, without leaving the page."""
    some = with_provenance(without_views(measured()), tokens="class", token_layers=LAYERS[1:])
    file = dif.write_report(some, tmp_path / "report.html")
    labels = {1200: "Layer, in the order of computation", 420: "Layer"}
    with browsing(browser, (1200, 900)) as context:
        page = opened(context, file)
        for width, label in labels.items():
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function(
                "(wanted) => document.getElementById('curves')._fullLayout.xaxis.title.text === wanted",
                arg=f"{label} (class token of 3 layers; 1 whole)",
            )
            box = page.locator("#curves .xtitle").bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width


def test_names_of_layers_stay_apart(browser: Browser, tmp_path: Path) -> None:
    """Where the window becomes narrow, fewer are named; where it becomes wide again, all are."""
    rng = np.random.default_rng(0)
    layers = {f"layer {place:02}": rng.normal(size=(4, 5)) for place in range(40)}
    file = dif.write_report(dif.measure_responses({"a": layers}), tmp_path / "report.html")
    with browsing(browser, DESKTOP) as context:
        page = opened(context, file)
        for (width, height), fewest, most in ((DESKTOP, 40, 40), (PHONE, 5, 25), (DESKTOP, 40, 40)):
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_function(
                "([fewest, most]) => { const named = document.getElementById('curves')"
                "._fullLayout.xaxis.ticktext.length; return fewest <= named && named <= most; }",
                arg=[fewest, most],
            )


def test_each_number_of_units_and_all(fresh: Page) -> None:
    """The select chooses; with all, every number of units has its line, and open marks are explained."""
    result = measured()
    options = fresh.locator("#count option").all_text_contents()
    assert options == ["400", "100", "20", "all of these"]
    for place, count in enumerate(COUNTS):
        fresh.select_option("#count", label=f"{count}")
        check_curves(fresh, result, counts=[place])
        has_open = bool(flagged(result)[:, :, place].any())
        assert ("Open marks" in text_of(fresh, "#curves-caption")) == has_open
    fresh.select_option("#count", "all")
    check_curves(fresh, result)
    dashes = {one["meta"]["count"]: one["line"]["dash"] for one in curves(fresh) if "dash" in one["line"]}
    assert len(set(dashes.values())) == 3
    flags = flagged(result)
    assert flags.any()
    assert not flags.all()


def test_relative_values(fresh: Page) -> None:
    """They are divided by the reference's mean at the largest number of units; and back."""
    result = measured()
    fresh.get_by_label("relative to noise").check()
    check_curves(fresh, result, relative=True, counts=[2])
    assert axis_of(fresh, "curves", "y")["title"] == "Differentiation / noise"
    fresh.select_option("#count", "all")
    check_curves(fresh, result, relative=True)
    fresh.get_by_label("as they are").check()
    check_curves(fresh, result)


def test_a_hidden_set_is_hidden_everywhere(fresh: Page) -> None:
    """Of the curves and of each view of a layer; all sets can be hidden, and shown again."""
    result = measured()
    fresh.get_by_role("checkbox", name="digits").first.uncheck()
    check_curves(fresh, result, counts=[2], hidden=["digits"])
    rows = rows_of(result, "noise") + rows_of(result, "dim digits")
    check_layer(fresh, result, 3, rows=rows, hidden=["digits"])
    assert len(drawn(fresh, "predictions")[0]["z"]) == len(rows)
    for name in ("noise", "dim digits"):
        fresh.locator(f"input[name=set][value='{names(result, 'set').index(name)}']").uncheck()
    assert curves(fresh) == []
    assert table_of(fresh, "#layer-table")[1:] == []
    for place in range(3):
        fresh.locator(f"input[name=set][value='{place}']").check()
    check_curves(fresh, result, counts=[2])
    check_layer(fresh, result, 3)


def test_each_kind_of_units(browser: Browser) -> None:
    """Each has its values; one without a number of units says so; the table holds all."""
    results = kinds()
    with browsing(browser) as context:
        page = opened(context, page_of(kinds))
        assert page.locator("#kind option").all_text_contents() == list(results)
        check_curves(page, results["random"], counts=[1])
        page.select_option("#kind", label="top")
        check_curves(page, results["top"], counts=[1])
        check_table_of_layer(page, results["top"], 3, 1)
        page.select_option("#count", label="20")
        check_curves(page, results["top"], counts=[0])
        page.select_option("#kind", label="filter_mean")
        check_curves(page, results["filter_mean"], counts=[0])
        assert page.locator("#count").is_disabled()
        assert "Units: filter mean" in text_of(page, "#curves-caption")
        page.get_by_label("relative to noise").check()
        check_curves(page, results["filter_mean"], relative=True, counts=[0])
        assert len(json.loads(text_of(page, "#data"))["kinds"]) == 3
        expected = [record for result in results.values() for record in table_rows(result)]
        assert [row[0] for row in table_of(page, "#numbers")[1:]] == [one["units"] for one in expected]


def test_each_set_relative_to_its_own_reference(browser: Browser, tmp_path: Path) -> None:
    """The page says which, draws each set's ratio, and marks where two sets of one reference differ."""
    rng = np.random.default_rng(0)
    arrays = {
        name: {"x": rng.gamma(1 + place, size=(14, 30)), "y": rng.normal(size=(14, 30))}
        for place, name in enumerate(("a", "b", "c", "noise"))
    }
    own = {"a": "noise", "b": "noise", "c": "a"}
    result = dif.measure_responses(arrays, n_units=30, reference=own)
    contrasts = [dif.contrast(result, first, second) for first, second in (("a", "b"), ("a", "c"))]
    path = dif.write_report(result, tmp_path / "report.html", contrasts=contrasts)
    with browsing(browser) as context:
        page = opened(context, path)
        _, *overview = table_of(page, "#overview")
        said = [row[0].replace("\u00a0", " ") for row in overview]
        assert ["relative to noise" in row for row in said] == [True, True, False, False]
        assert ["relative to a" in row for row in said] == [False, False, True, False]
        assert "a reference" in said[3]
        assert "noise for a, b; a for c" in text_of(page, "body")
        rows = [trace for trace in curves(page) if trace.get("yaxis") == "y2"]
        page.get_by_label("relative to each set's reference").check()
        left = [trace for trace in curves(page) if trace.get("yaxis") == "y2"]
        assert (len(rows), len(left)) == (2, 1)
        assert "Divided by the mean over draws of each set's reference" in text_of(page, "#curves-caption")
        expected = dif.draw_mean(dif.relative(result), result).sel(n_units=30)
        lines = [one for one in curves(page) if "meta" in one and "markers" in one.get("mode", "")]
        shown = {one["meta"]["set"]: one["y"] for one in lines if one["meta"].get("set") is not None}
        for place, name in enumerate(arrays):
            np.testing.assert_allclose(shown[place], expected.sel(set=name).values)


def test_the_published_curves(browser: Browser) -> None:
    """They lie over a result of their network, relative over relative, and can be switched off."""
    result = published()
    at = {"set": result["set"].values, "layer": result["layer"].values, "n_units": result["n_units"].values}
    known = dif.published_curves().sel(at)
    order = ("set", "layer", "n_units")
    raw = known["differentiation"].transpose(*order).values
    with browsing(browser) as context:
        page = opened(context, page_of(published))
        check_curves(page, result, counts=[1], overlay=raw)
        page.select_option("#count", "all")
        check_curves(page, result, overlay=raw)
        page.get_by_label("relative to white_noise").check()
        over = known["relative_differentiation"].transpose(*order).values
        check_curves(page, result, relative=True, overlay=over)
        page.get_by_label("published curves").uncheck()
        check_curves(page, result, relative=True)
        # this table is long: only the first rows are shown until all are wanted
        assert text_of(page, "#table-note") == ("100 of 126 rows are shown; copies and the CSV hold all.")
        expected = [one["layer"] for one in table_rows(result)]
        assert [row[2] for row in table_of(page, "#numbers")[1:]] == expected[:100]
        page.click("#all-rows")
        assert [row[2] for row in table_of(page, "#numbers")[1:]] == expected
        assert page.locator("#all-rows").is_hidden()


def test_no_published_curves_over_another_network(page: Page) -> None:
    """There is no such switch."""
    assert page.locator("#published").count() == 0


def test_a_page_with_wrong_data_fails(browser: Browser, file: Path) -> None:
    """Two values swapped, or a distance changed, in its data, and the checks of these tests raise."""
    kinds_of_file = data_of(file.read_text(encoding="utf-8"))["kinds"]

    def swap(kind: Any) -> None:
        mean = kind["raw"]["mean"]
        mean[0][1][2], mean[1][1][2] = mean[1][1][2], mean[0][1][2]

    def flag(kind: Any) -> None:
        of_point = kind["not_converged"][0][0]
        of_point[2] = not of_point[2]

    def move(kind: Any) -> None:
        counts = kind["pairs"]["layers"][3]["sets"][0]["counts"]
        counts[counts.index(max(counts))] -= 1

    def widen(kind: Any) -> None:
        kind["raw"]["units"]["high"][0][1][2] *= 1.001

    def stretch(kind: Any) -> None:
        kind["pairs"]["layers"][3]["matrix"]["step"] *= 1.01

    result = measured()
    redrawn = "(kinds) => { window.differentia.data.kinds = kinds; drawAll(); }"
    with browsing(browser) as context:
        page = opened(context, file)
        for wrong in (swap, flag, widen, move, stretch, None):
            changed = copy.deepcopy(kinds_of_file)
            if wrong is not None:
                wrong(changed[0])
            page.evaluate(redrawn, changed)
            with pytest.raises(AssertionError) if wrong in (swap, flag, widen) else nullcontext():
                check_curves(page, result, counts=[2])
            with pytest.raises(AssertionError) if wrong in (move, stretch) else nullcontext():
                check_layer(page, result, 3)


# ------------------------------------------------------------------------------------------------- layers


def check_table_of_layer(
    page: Page, result: xr.Dataset, layer: int, count: int, hidden: Sequence[str] = ()
) -> None:
    """Fail unless the table holds a layer's numbers."""
    head, *rows = table_of(page, "#layer-table")
    raw, relative = over_draws(result), over_draws(result, relative=True)
    flags = flagged(result)
    shown = [name for name in names(result, "set") if name not in hidden]
    assert len(rows) == len(shown)
    for name, row in zip(shown, rows, strict=True):
        at = (names(result, "set").index(name), layer, count)
        cells = dict(zip(head, row, strict=True))
        assert cells["Set"].endswith(f"\u00a0{name}")
        flag = " (not converged)" if flags[at] else ""
        whole = result["units_used"].values[layer, count] == result["layer_size"].values[layer]
        own = name == result.attrs["reference"]  # its ratio to itself
        below = [
            "".join(
                f"{source}: {'all of the layer' if source == 'units' and whole else within}"
                for source, (low, high) in limits_of(result, relative=of_relative).items()
                if (within := interval(low[at], high[at]))
                and not (of_relative and own and source == "images")
            )
            for of_relative in (False, True)
        ]
        ends = [
            [(low[at], high[at]) for low, high in limits_of(result, relative=of_relative).values()]
            for of_relative in (False, True)
        ]
        assert cells["Differentiation"] == with_spread(raw[0][at], raw[1][at], *ends[0]) + flag + below[0]
        itself = own and count % result.sizes["n_units"] == result.sizes["n_units"] - 1
        told = with_spread(relative[0][at], relative[1][at], *ends[1]) + below[1]
        assert cells["Relative"] == ("1" if itself else told)
        for title, variable in (("Mean", "layer_mean"), ("SD", "layer_sd")):
            whole = f"{title} of the whole layer"
            assert (whole in cells) == (variable in result)
            if whole in cells:
                assert cells[whole] == written(float(result[variable].values[at[:2]]))
        # the distances are those of the largest number of units
        at_largest = count % result.sizes["n_units"] == result.sizes["n_units"] - 1
        assert ("Distances, mean" in cells) == ("distance" in result and at_largest)
        assert ("Dimensionality" in cells) == ("distance" in result and at_largest)
        if "Distances, mean" in cells:
            of_pairs = list(pair_distances(result, layer, name).values())
            least, lower, upper, most = map(written, np.percentile(of_pairs, (5, 25, 75, 95)))
            notes = f"middle half: {lower} to {upper}5 to 95 %: {least} to {most}"
            assert cells["Distances, mean"] == f"{written(float(np.mean(of_pairs)))}{notes}"
            n = len(rows_of(result, name))
            assert f"of at most {n - 1}" in cells["Dimensionality"]


def check_layer(
    page: Page,
    result: xr.Dataset,
    layer: int,
    *,
    rows: Sequence[int] | None = None,
    hidden: Sequence[str] = (),
    count: int = -1,
) -> None:
    """Fail unless every view of a layer shows what the result says of it."""
    rows = range(N_IMAGES) if rows is None else rows
    shown = [name for name in names(result, "set") if name not in hidden]
    count = count if count >= 0 else len(result["n_units"]) - 1
    check_table_of_layer(page, result, layer, count, hidden)
    facts = text_of(page, "#layer-facts")
    size = int(result["layer_size"].values[layer])
    assert facts.startswith(f"{result['layer_kind'].values[layer]}, ")
    assert facts.endswith(f", {size:,} units")
    assert page.locator("#layer").input_value() == str(layer)

    # the distances of each set's pairs
    traces = drawn(page, "distribution")
    edges = np.array(page.evaluate("(at) => differentia.data.kinds[0].pairs.layers[at].edges", layer))
    for name in shown:
        place = names(result, "set").index(name)
        line, mark = (one for one in traces if one["meta"]["set"] == place)
        distances = list(pair_distances(result, layer, name).values())
        n = len(rows_of(result, name))
        assert sum(line["customdata"]) == n * (n - 1) / 2
        assert line["line"]["shape"] == "hv"  # a bar from each edge to the next
        below = [sum(value < edge for value in distances) for edge in edges[1:-1]]
        np.testing.assert_array_equal(np.cumsum(line["customdata"])[:-1], below)
        np.testing.assert_allclose(line["y"], 100 * np.array([*line["customdata"], 0]) / len(distances))
        np.testing.assert_allclose(line["x"], edges)
        assert mark["meta"]["role"] == "median"
        np.testing.assert_allclose(mark["x"], [np.median(distances)])
        measured_value = result["differentiation"].values[place, layer, -1, 0]
        np.testing.assert_allclose(mark["x"], [measured_value], rtol=1e-5)
    assert len(traces) == 2 * len(shown)

    # all distances
    (heat,) = drawn(page, "matrix")
    used = float(result["units_used"].values[layer, -1])
    unit = np.sqrt(used) * sigma(result, layer, list(range(N_IMAGES)))
    expected = result["distance"].values[layer].astype(float)[np.ix_(rows, rows)] / unit
    step = (result["distance"].values[layer].max() / unit) / 65_534
    np.testing.assert_allclose(np.array(heat["z"], dtype=float), expected, atol=step)

    # the map, up to the sign of each dimension
    (dots,) = drawn(page, "map")
    assert dots["customdata"] == list(rows)
    squares = (result["distance"].values[layer].astype(float) / unit) ** 2
    centring = np.eye(N_IMAGES) - 1 / N_IMAGES
    values, vectors = np.linalg.eigh(-centring @ squares @ centring / 2)
    places = (vectors[:, -2:] * np.sqrt(values[-2:]))[rows]
    for axis, column in (("x", 1), ("y", 0)):
        apart = np.subtract.outer(places[:, column], places[:, column])
        found = np.subtract.outer(*[np.array(dots[axis], dtype=float)] * 2)
        np.testing.assert_allclose(np.abs(found), np.abs(apart), atol=1e-3 * np.abs(apart).max())
        share = round(100 * values[-2:][column] / values.sum())
        assert f"({share} % of the variance)" in axis_of(page, "map", axis)["title"]

    # the images that are nearest and farthest
    cards = page.locator("#pairs .pair").all()
    assert len(cards) == 2 * len(shown)
    for name, (nearest, farthest) in zip(shown, zip(cards[::2], cards[1::2], strict=True), strict=True):
        of_pairs = pair_distances(result, layer, name)
        for card, choose, end in ((nearest, min, "nearest"), (farthest, max, "farthest")):
            pair = choose(of_pairs, key=of_pairs.__getitem__)
            assert (card.locator("p").text_content() or "").endswith(
                f"\u00a0{name}: {end}, {written(of_pairs[pair])}"
            )
            images = [str(result["image_name"].values[row]) for row in pair]
            assert card.locator("figcaption").all_text_contents() == images
            assert [picture.get_attribute("alt") for picture in card.locator("img").all()] == images

    # filters
    (heat,) = drawn(page, "filters")
    scores = np.stack([filter_values(result, layer, row) for row in rows])
    whole = np.stack([filter_values(result, layer, row) for row in range(N_IMAGES)])
    step = (np.nanmax(whole) - np.nanmin(whole)) / 65_534
    np.testing.assert_allclose(np.array(heat["z"], dtype=float), scores, atol=step + 1e-6)


def test_the_layer_that_is_shown_first(page: Page) -> None:
    """It is the last one; the plots name the sets in their order."""
    check_layer(page, measured(), 3)
    for plot in ("matrix", "filters", "predictions"):
        assert axis_of(page, plot, "y")["tickvals"] == [2.5, 8, 12.5]
    assert axis_of(page, "predictions", "y")["ticktext"] == ["noise", "digits", "dim digits"]
    assert "The marked median is the set's differentiation in draw 0" in text_of(
        page, "#distribution-caption"
    )
    assert "are shown" not in text_of(page, "#matrix-caption") + text_of(page, "#filters-caption")


def test_every_way_to_choose_a_layer(fresh: Page) -> None:
    """By the list and by the buttons; at the ends there is no further layer."""
    result = measured()
    assert fresh.locator("#layer option").all_text_contents() == list(LAYERS)
    assert fresh.locator("#next").is_disabled()
    fresh.select_option("#layer", label="input")
    check_layer(fresh, result, 0)
    assert fresh.locator("#previous").is_disabled()
    fresh.get_by_label("Next layer").click()
    check_layer(fresh, result, 1)
    fresh.get_by_label("Next layer").click()
    check_layer(fresh, result, 2)
    fresh.get_by_label("Previous layer").click()
    check_layer(fresh, result, 1)
    assert fresh.evaluate("document.getElementById('curves').layout.shapes[0].x0") == 1
    said = text_of(fresh, "#announcement")
    mean, spread = over_draws(result)
    ends = [(low[0, 1, 2], high[0, 1, 2]) for low, high in limits_of(result).values()]
    value = with_spread(mean[0, 1, 2], spread[0, 1, 2], *ends)
    assert said.startswith(f"block1_relu1: noise {value}, digits ")
    fresh.select_option("#count", label="20")
    check_layer(fresh, result, 1, count=0)


def point_on_screen(page: Page, trace: int, layer: int) -> tuple[float, float]:
    """Return where a point of a curve is, by the axes that Plotly drew."""
    x, y = page.evaluate(
        """([trace, at]) => {
            const plot = document.getElementById("curves"), {xaxis, yaxis} = plot._fullLayout;
            const box = plot.getBoundingClientRect(), {x, y} = plot.data[trace];
            return [box.x + xaxis._offset + xaxis.l2p(x[at]), box.y + yaxis._offset + yaxis.l2p(y[at])];
        }""",
        [trace, layer],
    )
    return x, y


def test_a_click_on_the_curve_chooses_its_layer(fresh: Page) -> None:
    """By a real mouse, which shows the point's text first."""
    result = measured()
    fresh.locator("#curves").scroll_into_view_if_needed()
    trace = next(at for at, one in enumerate(drawn(fresh, "curves")) if one["meta"]["role"] == "mean")
    fresh.mouse.move(*point_on_screen(fresh, trace, 1))
    fresh.wait_for_selector("#curves .hoverlayer .hovertext")
    label = text_of(fresh, "#curves .hoverlayer .hovertext")
    mean, spread = over_draws(result)
    ends = [(low[0, 1, 2], high[0, 1, 2]) for low, high in limits_of(result).values()]
    assert with_spread(mean[0, 1, 2], spread[0, 1, 2], *ends) in label
    fresh.mouse.click(*point_on_screen(fresh, trace, 1))
    expect(fresh.locator("#layer")).to_have_value("1")
    check_layer(fresh, result, 1)


def test_the_keyboard_alone(untouched: Page) -> None:
    """Every switch of the curves and of the layers is reached by Tab and worked by keys."""
    result = measured()

    def focus(wanted: str) -> None:
        for _ in range(80):
            untouched.keyboard.press("Tab")
            if untouched.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
                return
        raise AssertionError(f"{wanted} can't be reached")

    untouched.keyboard.press("Tab")
    assert untouched.evaluate("document.activeElement.textContent") == "Skip to the content"
    focus("input[name=values]")
    untouched.keyboard.press("ArrowRight")
    check_curves(untouched, result, relative=True, counts=[2])
    focus("#count")
    untouched.keyboard.press("ArrowDown")
    check_curves(untouched, result, relative=True, counts=[1])
    focus("input[name=set][value='1']")
    untouched.keyboard.press("Space")
    check_curves(untouched, result, relative=True, counts=[1], hidden=["digits"])
    untouched.keyboard.press("Space")
    focus("#previous")
    untouched.keyboard.press("Enter")
    check_layer(untouched, result, 2, count=1)
    focus("#layer")
    untouched.keyboard.press("Home")
    check_layer(untouched, result, 0, count=1)
    focus("#find")
    untouched.keyboard.type("no such image")
    assert text_of(untouched, "#found") == "0 found"
    focus("#numbers th[data-column=differentiation] button")
    untouched.keyboard.press("Enter")
    assert (
        untouched.locator("#numbers th[data-column=differentiation]").get_attribute("aria-sort")
        == "ascending"
    )
    assert untouched.evaluate("document.activeElement.closest('th').dataset.column") == "differentiation"


# ------------------------------------------------------------------------------------------------ the address


def test_a_link_opens_what_it_names(browser: Browser, file: Path) -> None:
    """Layer, number of units, values and sets; back and forward go through what was chosen."""
    result = measured()
    with browsing(browser) as context:
        page = opened(context, file)
        assert page.evaluate("location.hash") == ""
        page.select_option("#layer", label="block4_pool")
        page.select_option("#count", label="20")
        page.get_by_label("relative to noise").check()
        page.locator("input[name=set][value='1']").uncheck()
        link = page.url
        query = {"set": "noise", "layer": "block4_pool", "units": "20", "values": "relative"}
        parts = link.partition("#")[2].split("&")
        assert {f"{name}={value}" for name, value in query.items()} <= set(parts)
        assert "set=dim+digits" in parts
        page.locator("nav a[href='#trust-section']").click()
        check_layer(page, result, 2, count=0, hidden=["digits"], rows=rows_but(result, "digits"))
        page.go_back()
        assert page.url == link
        page.go_back()
        check_curves(page, result, relative=True, counts=[0])
        page.go_back()
        assert page.locator("input[name=values][value=raw]").is_checked()
        check_curves(page, result, counts=[0])
        page.go_back()
        page.go_back()
        assert page.locator("#layer").input_value() == "3"  # as it was opened
        check_curves(page, result, counts=[2])
        page.go_forward()
        assert page.locator("#layer").input_value() == "2"
        page.close()
        other = context.new_page()
        other.goto(link)
        other.wait_for_selector("body[data-ready]", state="attached")
        check_curves(other, result, relative=True, counts=[0], hidden=["digits"])
        check_layer(other, result, 2, count=0, hidden=["digits"], rows=rows_but(result, "digits"))
        expect(other.locator("#layer-title")).to_be_in_viewport()


def rows_but(result: xr.Dataset, name: str) -> list[int]:
    """Return the rows of all sets but one."""
    return [row for row, of in enumerate(result["image_set"].values) if of != name]


@pytest.mark.parametrize(
    "fragment", ["#nonsense&layer=none&units=7&kind=top&values=x&set=cats", "#layer=%E0%A4%A&set=&&="]
)
def test_a_bad_address_is_ignored(browser: Browser, file: Path, fragment: str) -> None:
    """What is not there is left out, and the page is as it is without an address, but for what is there."""
    result = measured()
    with browsing(browser) as context:
        page = context.new_page()
        page.goto(file.as_uri() + fragment)
        page.wait_for_selector("body[data-ready]", state="attached")
        check_curves(page, result, counts=[2], hidden=names(result, "set") if "set=&" in fragment else [])
        assert page.locator("#layer").input_value() == "3"


# ---------------------------------------------------------------------------- larger pictures


def test_a_picture_is_enlarged(fresh: Page) -> None:
    """By a click or Enter: with name, set and classes; Esc, the button and a click beside it close it."""
    result = measured()
    row = rows_of(result, "digits")[1]
    dialog = fresh.locator("#enlarged")
    button = fresh.locator(f"#image-{row} button.picture")
    name = str(result["image_name"].values[row])
    ways: list[Callable[[], object]] = [
        lambda: fresh.keyboard.press("Escape"),
        lambda: fresh.click("#enlarged-close"),
        lambda: fresh.mouse.click(5, 5),
    ]
    for number, close in enumerate(ways):
        if number:
            button.click()
        else:
            button.focus()
            fresh.keyboard.press("Enter")
        assert dialog.get_attribute("open") is not None
        assert text_of(fresh, "#enlarged-name") == name
        assert text_of(fresh, "#enlarged-set").endswith("\u00a0digits")
        shown = fresh.locator("#enlarged img")
        assert shown.get_attribute("src") == button.locator("img").get_attribute("src")
        box = shown.bounding_box()
        assert box is not None
        assert box["width"] == box["height"] == 448  # each of the 32 pixels as 14
        assert shown.evaluate("(image) => getComputedStyle(image).imageRendering") == "pixelated"
        probabilities = result["prediction"].values[row]
        best = np.argsort(-probabilities, kind="stable")[:5]
        expected = [f"{result['class_name'].values[at]} {probabilities[at]:.3f}" for at in best]
        assert fresh.locator("#enlarged li").all_text_contents() == expected
        if number == 0:
            assert violations(fresh) == []
        close()
        assert dialog.get_attribute("open") is None
        assert button.evaluate("(button) => document.activeElement === button")
    fresh.select_option("#layer", label="block1_relu1")
    fresh.locator("#pairs button.picture").first.click()
    of_pair = fresh.locator("#pairs figcaption").first.text_content()
    assert text_of(fresh, "#enlarged-name") == of_pair
    fresh.keyboard.press("Escape")
    fresh.locator("#maps button.picture").nth(1).click()
    first_map = fresh.locator("#maps img").nth(1).get_attribute("src")
    assert fresh.locator("#enlarged img").get_attribute("src") == first_map
    fresh.keyboard.press("Escape")


def test_what_is_known_of_a_picture_is_told(browser: Browser, tmp_path: Path) -> None:
    """Below its set, as text; where nothing is known, there is no empty line."""
    result = measured().isel(layer=[3]).drop_dims(["filter", "map_image"])
    said = ["", *["<b>bold</b>"] * (N_IMAGES - 1)]
    dif.write_report(result.assign_coords(image_said=("image", said)), tmp_path / "report.html")
    with browsing(browser) as context:
        page = opened(context, tmp_path / "report.html")
        for row, expected in ((1, "said: <b>bold</b>"), (0, "")):
            page.locator(f"#image-{row} button.picture").click()
            assert text_of(page, "#enlarged-known") == expected
            assert page.locator("#enlarged-known").is_visible() == bool(expected)
            page.keyboard.press("Escape")


# --------------------------------------------------------------------------------- the legends


def test_each_line_is_explained(fresh: Page) -> None:
    """By a sample with its dashes: of sets in the distribution, of numbers of units in the curves."""
    result = measured()
    samples = """(id) => [...document.querySelectorAll(`#${id} li`)].map((one) =>
        [one.textContent.trim(), one.querySelector("line").getAttribute("stroke-dasharray")])"""
    found = fresh.evaluate(samples, "distribution-legend")
    assert [text.partition("\u00a0")[2] for text, _ in found] == names(result, "set")
    lines = [one for one in drawn(fresh, "distribution") if one["mode"] == "lines"]
    dashes = {"solid": "", "dash": "9,9", "dot": "3,3"}
    assert [dash for _, dash in found] == [dashes[one["line"]["dash"]] for one in lines]
    assert len(set(dashes)) == len({dash for _, dash in found})
    assert fresh.evaluate(samples, "curves-legend") == []
    fresh.select_option("#count", "all")
    found = dict(fresh.evaluate(samples, "curves-legend"))
    of_counts = {
        one["meta"]["count"]: one["line"]["dash"] for one in curves(fresh) if one["meta"]["role"] == "mean"
    }
    assert found == {f"{count} units": dashes[of_counts[place]] for place, count in enumerate(COUNTS)}


def decoded(uri: str) -> np.ndarray:
    """Return the pixels of a data URI."""
    head, _, data = uri.partition(",")
    assert head in {"data:image/png;base64", "data:image/jpeg;base64"}
    return np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


def test_the_maps_of_filters(fresh: Page) -> None:
    """They are there with the images' names; where there are none, a button leads to those that are."""
    result = measured()
    assert "There are maps for " in text_of(fresh, "#maps")
    fresh.locator("#maps").get_by_role("button", name="block1_relu1").click()
    assert fresh.locator("#layer").input_value() == "1"
    shown = result["map_image"].values.tolist()
    captions = fresh.locator("#maps figcaption").all_text_contents()
    expected = [
        f"\u00a0{result['image_set'].values[row]}, {result['image_name'].values[row]}" for row in shown
    ]
    assert [caption[1:] for caption in captions] == 2 * expected
    titles = fresh.locator("#maps > p").all_text_contents()
    assert [title.partition(":")[0] for title in titles] == ["Channel 3", "Channel 5"]
    pictures = [decoded(image.get_attribute("src") or "") for image in fresh.locator("#maps img").all()]
    fresh.evaluate("() => Promise.all([...document.images].map((image) => image.decode()))")
    for variable, of_filter in (("map_0", pictures[: len(shown)]), ("map_1", pictures[len(shown) :])):
        scores = []
        for row, responses in zip(shown, result[variable].values, strict=True):
            of_set = names(result, "set").index(str(result["image_set"].values[row]))
            mean, sd = (float(result[name].values[of_set, 1]) for name in ("layer_mean", "layer_sd"))
            scores.append((responses.astype(float) - mean) / sd)
        low, high = np.percentile(scores, (1, 99))
        for picture, score in zip(of_filter, scores, strict=True):
            share = (score - low) / (max(high, low + 1) - low)
            np.testing.assert_allclose(picture, 255 * colormaps["viridis"](share)[..., :3], atol=4)
    assert not np.array_equal(pictures[0], pictures[len(shown)])


# ---------------------------------------------------------------------------------- predictions and images


def test_the_predictions(page: Page) -> None:
    """Each class in each image, as probabilities; the classes stand under them."""
    result = measured()
    (heat,) = drawn(page, "predictions")
    np.testing.assert_allclose(np.array(heat["z"]), result["prediction"].values, atol=1 / 65_534)
    assert text_of(page, "#predictions-caption").startswith(
        "The class probabilities that the network gives: a row"
    )
    ticks = axis_of(page, "predictions", "x")["ticktext"]
    assert [tick.removeprefix("<b>").removesuffix("</b>") for tick in ticks] == names(result, "class_name")
    means = [result["prediction"].values[rows_of(result, name)].mean(axis=0) for name in names(result, "set")]
    best = {int(np.argmax(of_set)) for of_set in means}
    assert {at for at, tick in enumerate(ticks) if tick.startswith("<b>")} == best
    rows = table_of(page, "#classes")[1:]
    for of_set, (_, text) in zip(means, rows, strict=True):
        three = np.argsort(-of_set, kind="stable")[:3]
        said = [f"{result['class_name'].values[at]}\u00a0{of_set[at]:.3f}" for at in three]
        assert text == ", ".join(said)
    assert (heat["zmin"], heat["zmax"]) == (0, 1)
    digits, place = rows_of(result, "digits"), 1
    number = int(result["prediction"].values[digits[place]].argmax())
    text = heat["customdata"][digits[place]][number]
    image = str(result["image_name"].values[digits[place]])
    assert text == f"{image}<br>{result['class_name'].values[number]}"


def test_the_images(page: Page) -> None:
    """Every one with its name, the picture that was shown, and its best classes by their probabilities."""
    result = measured()
    items = page.locator(".gallery > ul > li").all()
    assert len(items) == N_IMAGES
    for row, item in enumerate(items):
        name = str(result["image_name"].values[row])
        assert item.locator(".name").text_content() == name
        picture = item.locator("img")
        assert picture.get_attribute("alt") == name
        pixels = result["thumbnail"].values[row].astype(int)
        np.testing.assert_array_equal(
            decoded(picture.get_attribute("src") or ""), np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        )
        probabilities = result["prediction"].values[row]
        best = sorted(range(len(probabilities)), key=lambda of: (-probabilities[of], of))[:5]
        expected = [f"{result['class_name'].values[at]} {probabilities[at]:.3f}" for at in best]
        assert item.locator("ol li").all_text_contents() == expected
        assert item.locator("summary").text_content() == expected[0]
    summaries = page.locator(".gallery > summary").all_text_contents()
    for name, summary in zip(names(result, "set"), summaries, strict=True):
        assert f"\u00a0{name} {len(rows_of(result, name))} images" in summary


def test_images_are_found_by_name_and_class(fresh: Page) -> None:
    """The others are hidden; an empty field shows all."""
    result = measured()
    texts = [item.text_content() or "" for item in fresh.locator(".gallery > ul > li").all()]
    name = str(result["image_name"].values[rows_of(result, "digits")[0]])
    for wanted in (name, name.upper(), str(result["class_name"].values[3]), "no such thing"):
        fresh.fill("#find", wanted)
        expected = [wanted.lower() in text.lower() for text in texts]
        items = fresh.locator(".gallery > ul > li").all()
        assert [item.is_visible() for item in items] == expected
        assert text_of(fresh, "#found") == f"{sum(expected)} found"
    fresh.fill("#find", "")
    assert fresh.locator(".gallery > ul > li:visible").count() == N_IMAGES
    assert text_of(fresh, "#found") == ""


# --------------------------------------------------------------------------------------------------- table


def test_the_table_holds_all_numbers(page: Page) -> None:
    """Row by row those of `records`."""
    result = measured()
    head, *rows = table_of(page, "#numbers")
    columns = columns_of(table_rows(result))
    assert (
        len(columns) == len(COLUMNS) - 6
    )  # too few images for limits, doubts and limits of both; one reference
    assert head == [COLUMNS[name] for name in columns]
    expected = [[cell_of(name, record) for name in columns] for record in table_rows(result)]
    assert rows == expected
    assert text_of(page, "#table-note") == "36 rows."
    assert page.locator("#all-rows").is_hidden()
    mean, spread = over_draws(result)
    places = list(np.ndindex(mean.shape))
    ends = list(limits_of(result).values())
    widths = {
        at: uncertainty(float(spread[at]), *((float(low[at]), float(high[at])) for low, high in ends))
        for at in places
    }
    assert [row[5] for row in rows] == [cell("", float(mean[at]), widths[at]) for at in places]
    assert [row[6] for row in rows] == [cell("", float(spread[at]), widths[at]) for at in places]


def sort_key(name: str, record: dict[str, Any]) -> Any:
    """Return by what a row stands where it stands; layers in the order of computation."""
    return LAYERS.index(record["layer"]) if name == "layer" else record[name]


def test_every_column_sorts_both_ways(fresh: Page) -> None:
    """Rows without a value come last either way, and equal ones keep their order."""
    rows = table_rows(measured())
    assert any(np.isnan(row["differentiation"]) for row in rows)
    columns = columns_of(rows)
    for name in columns:
        known = [row for row in rows if row[name] is not None and row[name] == row[name]]  # no NaN
        unknown = [row for row in rows if row not in known]
        for direction in ("ascending", "descending"):
            fresh.locator(f"#numbers th[data-column={name}] button").click()
            head = fresh.locator(f"#numbers th[data-column={name}]")
            assert head.get_attribute("aria-sort") == direction
            assert fresh.locator("#numbers th[aria-sort]").count() == 1
            down = direction == "descending"
            ordered = sorted(known, key=functools.partial(sort_key, name), reverse=down)
            expected = [[cell_of(column, row) for column in columns] for row in ordered + unknown]
            assert table_of(fresh, "#numbers")[1:] == expected


def test_the_table_as_csv(fresh: Page) -> None:
    """Every digit of every row, in the order of the page."""
    with fresh.expect_download() as download:
        fresh.get_by_role("button", name="Download as CSV").click()
    assert download.value.suggested_filename == "differentiation.csv"
    text = download.value.path().read_text(encoding="utf-8")
    check_records(parsed(text), table_rows(measured()))
    fresh.locator("#numbers th[data-column=units_used] button").click()
    with fresh.expect_download() as download:
        fresh.get_by_role("button", name="Download as CSV").click()
    sorted_rows = sorted(table_rows(measured()), key=lambda row: row["units_used"])
    check_records(parsed(download.value.path().read_text(encoding="utf-8")), sorted_rows)


def test_the_table_names_references(browser: Browser, tmp_path: Path) -> None:
    """A column says what each set is divided by, where there are several; as CSV too, whatever names hold."""
    odd = {"noise": 'a "b", c', "digits": 'it\'s <b>""</b>,', "dim digits": "semi; =1+1"}
    result = measured()
    sets = [odd[name] for name in names(result, "set")]
    of_images = [odd[str(name)] for name in result["image_set"].values]
    named = result.assign_coords(set=sets, image_set=("image", of_images))
    references = [sets[0], sets[0], sets[1]]
    several = named.assign_coords(set_reference=("set", references)).assign_attrs(reference="")
    with browsing(browser) as context:
        page = opened(context, dif.write_report(several, tmp_path / "several.html"))
        head, *rows = table_of(page, "#numbers")
        place = head.index("Relative to")
        assert {row[1]: row[place] for row in rows} == dict(zip(sets, references, strict=True))
        with page.expect_download() as download:
            page.locator("#download-table").click()
        check_records(parsed(download.value.path().read_bytes().decode("utf-8")), table_rows(several))


def test_the_table_is_copied(fresh: Page) -> None:
    """As tabs and lines, which spreadsheets take."""
    fresh.get_by_role("button", name="Copy the table").click()
    expect(fresh.locator("#announcement")).to_have_text("Table copied")
    text = fresh.evaluate("navigator.clipboard.readText()")
    rows = list(csv.reader(io.StringIO(text), delimiter="\t"))
    assert rows[0] == FIELDS
    assert len(rows) == 37
    expected = table_rows(measured())
    place = FIELDS.index("differentiation")
    assert [float(row[place] or "nan") for row in rows[1:]] == pytest.approx(
        [record["differentiation"] for record in expected], rel=0, abs=0, nan_ok=True
    )


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_curves_are_saved_as_a_picture(fresh: Page, kind: str) -> None:
    """Under a name of its own, in the format that the button names."""
    with fresh.expect_download() as download:
        fresh.get_by_role("button", name=f"Save as {kind.upper()}").click()
    assert download.value.suggested_filename == f"differentiation.{kind}"
    content = download.value.path().read_bytes()
    if kind == "png":
        picture = PIL.Image.open(io.BytesIO(content)).convert("L")
        assert picture.size == (2200, 1120)
        assert len(np.unique(np.asarray(picture))) > 10
    else:
        assert content.startswith(b"<svg")
        assert b"block4_pool" in content


# ----------------------------------------------------------------------------------------- what is said of it


def test_the_overview(page: Page) -> None:
    """Each set's first and last layer, its highest and lowest, at the largest number of units."""
    result = measured()
    mean, spread = over_draws(result)
    limits = limits_of(result).values()
    _, *rows = table_of(page, "#overview")
    for place, row in enumerate(rows):
        values = mean[place, :, -1]
        name = names(result, "set")[place]
        assert f"\u00a0{name}" in row[0]
        assert ("the reference" in row[0]) == (name == "noise")
        assert row[1] == str(len(rows_of(result, name)))
        at = [0, int(values.argmax()), int(values.argmin()), 3]
        for layer, cell_text in zip(at, row[2:], strict=True):
            point = (place, layer, -1)
            width = uncertainty(spread[point], *((low[point], high[point]) for low, high in limits))
            assert cell_text == f"{written(values[layer], width)}{LAYERS[layer]}"


def test_the_provenance(page: Page) -> None:
    """Command, versions, fingerprint, seed, and every warning verbatim, which stand at the top too."""
    result = measured()
    provenance = json.loads(result.attrs["provenance"])
    facts = dict(
        zip(
            page.locator("dl dt").all_text_contents(),
            page.locator("dl dd").all_text_contents(),
            strict=True,
        )
    )
    assert facts["Network"] == provenance["network"]
    assert facts["Fingerprint of architecture and weights (SHA-256)"] == provenance["fingerprint"]
    assert facts["Seed"] == "0"
    assert facts["Draws"] == "4 of 20 units, 4 of 100 units, 4 of 400 units"
    assert facts["Normalisation"] == "layer"
    assert facts["Metric"] == "euclidean"
    assert facts["Reference"] == "noise"
    assert facts["Input (height x width x channels)"] == "32 x 32 x 1"
    for name, version in provenance["versions"].items():
        assert f"{name} {version}" in facts["Versions"]
    assert text_of(page, "#command") == "differentia measure a --out b"
    assert page.locator("section.warning li").all_text_contents() == ["first: 1 < 2 & 3", "second"]
    assert "They stand at the top of this page." in text_of(page, "#provenance-section")


def test_the_methods_text(page: Page) -> None:
    """Paragraphs, references and BibTeX are those of `describe_methods`; the measure stands above them."""
    from differentia.output.paper.paragraph import describe_methods

    methods = describe_methods(measured())
    assert page.locator("#methods-text > p").all_text_contents() == methods.text.split("\n\n")
    assert page.locator("#methods-text li").all_text_contents() == [str(one) for one in methods.references]
    assert text_of(page, "#methods-bibtex") == methods.bibtex
    assert page.locator("#methods-section math mfrac").count() >= 2
    assert page.locator("#methods-section math").bounding_box()["height"] > 20  # type: ignore[index]


def test_texts_are_copied(fresh: Page) -> None:
    """The methods with their paragraphs and references apart, BibTeX though it is folded, the command."""
    from differentia.output.paper.paragraph import describe_methods

    methods = describe_methods(measured())

    def copied(target: str) -> str:
        fresh.evaluate("document.getElementById('announcement').textContent = ''")
        fresh.locator(f"[data-copy={target}]").click()
        expect(fresh.locator("#announcement")).to_have_text("Text copied")
        text: str = fresh.evaluate("navigator.clipboard.readText()")
        return text.replace("\r\n", "\n")

    lines = [line for line in copied("methods-text").split("\n") if line.strip()]
    assert lines == [*methods.text.split("\n\n"), *(str(one) for one in methods.references)]
    assert copied("methods-bibtex") == methods.bibtex.strip()
    assert copied("command") == "differentia measure a --out b"


def test_copying_without_a_clipboard(untouched: Page) -> None:
    """Where the browser has no clipboard for scripts, a selection does it."""
    untouched.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    untouched.evaluate(
        "document.addEventListener('copy', () => { window.seen = document.activeElement.value; })"
    )
    untouched.locator("[data-copy=command]").click()
    expect(untouched.locator("#announcement")).to_have_text("Text copied")
    assert untouched.evaluate("window.seen") == "differentia measure a --out b"
