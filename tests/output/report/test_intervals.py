"""The report in a browser: intervals, where sets differ, and how far it is to be trusted."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
from helpers.browser import DESKTOP, PHONE, browsing, drawn, opened, prefer, table_of, text_of
from helpers.pages import (
    COLUMNS,
    GROUNDS,
    RULES,
    SCRIPT,
    cell_of,
    check_curves,
    check_records,
    columns_of,
    hovered,
    numbers,
    parsed,
    require_no_markup,
    violations,
)
from helpers.reports import (
    LAYERS,
    compared,
    compared_kinds,
    doubtful,
    interval,
    limits_of,
    measured,
    names,
    over_draws,
    page_of,
    pairs,
    uncertainty,
    without_views,
    written,
)

import differentia as dif
from differentia.results.contrasts import contrasts_between_sets
from differentia.results.copies import say_copies
from differentia.results.doubts import say_doubts
from differentia.results.precision import say_precision
from differentia.results.schema import LIMITS
from differentia.results.tables import table_rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

LEVEL = 0.05


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """The report of `compared`, as `write_report` makes it unasked."""
    with browsing(browser) as context:
        yield opened(context, page_of(compared))


AS_OPENED = """() => {
    for (const input of document.querySelectorAll("input[type=checkbox]")) input.checked = true;
    for (const of of ["values", "contrast"]) document.querySelector(`input[name=${of}]`).checked = true;
    Object.assign(state, {values: "raw", hidden: new Set(), layer: 3, count: 1, published: true});
    Object.assign(state, {shown: new Set(["images", "units", "differ"]), pair: 0, contrast: "difference"});
    document.getElementById("pair").value = "0";
    listCounts();
    drawAll();
}"""


@pytest.fixture
def fresh(page: Page) -> Page:
    """The page with its switches as they were when it was opened."""
    page.evaluate(AS_OPENED)
    return page


def differing(contrast: xr.Dataset) -> list[int]:
    """Return the layers in which two sets differ."""
    return [layer for layer, p in enumerate(contrast["p_corrected"].values) if p < LEVEL]


def higher(contrast: xr.Dataset, layer: int) -> str:
    """Return the set that is more differentiated."""
    return str(contrast.attrs["first" if contrast["difference"].values[layer] > 0 else "second"])


# ------------------------------------------------------------------------------------------------ intervals


def test_bands_of_images_and_units(fresh: Page) -> None:
    """Both are drawn, told apart and explained; those of images at the largest number of units."""
    result = compared()
    check_curves(fresh, result, counts=[1])
    roles = [one["meta"]["role"] for one in drawn(fresh, "curves") if "set" in one["meta"]]
    assert roles.count("images") == 4
    assert roles.count("units") >= 1
    caption = text_of(fresh, "#curves-caption")
    assert "Filled bands: 95 % intervals for other images of the same kind." in caption
    assert "Dotted bands: 95 % intervals for other draws of units." in caption
    fresh.get_by_label("relative to noise").check()
    check_curves(fresh, result, relative=True, counts=[1])
    assert "whose own uncertainty the intervals include, but not the SD" in text_of(fresh, "#curves-caption")
    fresh.select_option("#count", label="20")
    check_curves(fresh, result, relative=True, counts=[0])
    assert "images" in [one["meta"]["role"] for one in drawn(fresh, "curves")]
    fresh.select_option("#count", "all")
    check_curves(fresh, result, relative=True)
    assert "drawn at the largest number of units" in text_of(fresh, "#curves-caption")


def test_each_kind_of_bands_can_be_left_out(fresh: Page) -> None:
    """And the marks; the caption then does not speak of them."""
    result = compared()
    fresh.get_by_label("other images").uncheck()
    check_curves(fresh, result, counts=[1], without=["images"])
    assert "Filled bands" not in text_of(fresh, "#curves-caption")
    fresh.get_by_label("other units").uncheck()
    check_curves(fresh, result, counts=[1], without=["images", "units"])
    assert "Dotted bands" not in text_of(fresh, "#curves-caption")
    fresh.get_by_label("other images").check()
    fresh.get_by_label("other units").check()
    check_curves(fresh, result, counts=[1])
    assert len(marked(fresh)) == 3
    fresh.locator("input[value=differ]").uncheck()
    assert marked(fresh) == {}
    assert "Marks above" not in text_of(fresh, "#curves-caption")
    check_curves(fresh, result, counts=[1])


def test_hovering_shows_both_intervals(fresh: Page) -> None:
    """As Plotly draws it; a layer that was used as a whole has no other units."""
    result = compared()
    traces = [at for at, one in enumerate(drawn(fresh, "curves")) if one["meta"]["role"] == "mean"]
    limits = limits_of(result)
    whole = [LAYERS.index(name) for name in ("predictions",)]
    for layer in range(len(LAYERS)):
        point = f"{{curveNumber: {traces[1]}, pointNumber: {layer}}}"
        images, units, both = (interval(low[1, layer, 1], high[1, layer, 1]) for low, high in limits.values())
        hovered(fresh, "curves", point, f"threes{LAYERS[layer]}differentiation ")
        label = text_of(fresh, "#curves .hoverlayer .hovertext")
        assert (f"other images: {images} (95 %)" in label) == bool(images)
        assert (f"other images and units: {both} (95 %)" in label) == bool(both)
        assert ("not to be trusted for other images:" in label) == (not images)
        assert ("other units: none, it is the whole layer" in label) == (layer in whole)
        assert (f"other units: {units} (95 %)" in label) == (layer not in whole)


def test_a_band_stops_where_it_is_not_known(page: Page) -> None:
    """It has a shape for each run of layers, and one layer alone has one too; without any there is none."""
    shapes = page.evaluate(
        "() => [bandShape([1, null, 2, 3], [4, 5, 6, 7]), bandShape([null, 1], [2, null]), bandShape([], [])]"
    )
    first, *nothing = shapes
    alone = [-0.16, 0.16, 0.16, -0.16, -0.16, None]
    assert first["x"] == [*alone, 2, 3, 3, 2, 2, None]
    assert first["y"] == [4, 4, 1, 1, 4, None, 6, 7, 3, 2, 6, None]
    assert nothing == [{"x": [], "y": []}] * 2


def test_the_table_with_all_intervals(browser: Browser, fresh: Page, tmp_path: Path) -> None:
    """Each limit is that of the result; CSV holds every digit of it."""
    result = compared()
    head, *rows = table_of(fresh, "#numbers")
    expected = columns_of(table_rows(result))
    assert {*COLUMNS} - {*expected} <= {"doubt", "reference"}  # of which there is one
    assert head == [COLUMNS[name] for name in expected]
    assert rows == [[cell_of(name, record) for name in expected] for record in table_rows(result)]
    at = {"set": "digits", "layer": "block4_pool", "n_units": 100, "source": "images"}
    low, high = (float(result[name].sel(at)) for name in LIMITS)
    assert np.isfinite([low, high]).all()
    (row,) = (row for row in rows if row[1:4] == ["digits", "block4_pool", "100"])
    assert row[head.index("Interval of images")] == interval(low, high)
    with fresh.expect_download() as download:
        fresh.locator("#download-table").click()
    text = download.value.path().read_text(encoding="utf-8")
    check_records(parsed(text), table_rows(result))
    known = int(result[LIMITS[0]].sel(source="images").notnull().sum())
    assert sum(float(row["differentiation_images_low"]) >= 0 for row in parsed(text)) == known > 16


def test_a_result_without_intervals(browser: Browser, tmp_path: Path) -> None:
    """An older one shows one SD over draws, and says how intervals are got; no sets are compared."""
    result = compared().drop_vars([*LIMITS, "source"])
    with browsing(browser) as context:
        page = opened(context, dif.write_report(result, tmp_path / "report.html"))
        check_curves(page, result, counts=[1])
        assert {"spread", "mean"} == {one["meta"]["role"] for one in drawn(page, "curves")}
        caption = text_of(page, "#curves-caption")
        assert "Bands: one SD over draws either side." in caption
        assert "95 %" not in caption
        page.get_by_label("relative to noise").check()
        check_curves(page, result, relative=True, counts=[1])
        assert "whose own spread is left out" in text_of(page, "#curves-caption")
        assert page.locator("#contrasts-section, input[name=shown]").count() == 0
        head = table_of(page, "#numbers")[0]
        assert head == [COLUMNS[name] for name in columns_of(table_rows(result))]
        assert not [label for label in head if "nterval" in label or "Of " in label]
        said = text_of(page, "#trust-section")
        assert "There are no intervals in this result: measure again" in said
        assert "95 %" not in said
        assert "Intervals" not in page.locator("dt").all_text_contents()


def test_without_a_reference(browser: Browser, tmp_path: Path) -> None:
    """Every two sets are compared, and there are no limits of relative values."""
    result = compared().assign_attrs(reference="")
    with browsing(browser) as context:
        page = opened(context, dif.write_report(result, tmp_path / "report.html"))
        check_curves_without_reference(page, result)
        assert page.locator("#pair option").count() == 6
        head = table_of(page, "#numbers")[0]
        assert "Interval of images" in head
        assert "Of images, relative" not in head


def check_curves_without_reference(page: Page, result: xr.Dataset) -> None:
    """Fail unless the bands of the values as they are are drawn."""
    check_curves(page, result, counts=[1])
    assert page.locator("input[value=relative]").is_disabled()


def neurons(n: int = 12) -> xr.Dataset:
    """Return a result of responses at hand; in one population they differ, in the others hardly."""
    rng = np.random.default_rng(3)
    spread = {"movie": 3.0, "rest": 0.1}
    given = {}
    for name, factor in spread.items():
        base = rng.normal(size=40)
        given[name] = {
            "V1": base + factor * rng.normal(size=(n, 40)),
            "LM": rng.normal(size=(n, 40)),
            "silent": np.zeros((n, 10)),
        }
    with pytest.warns(dif.DifferentiaWarning):
        return dif.measure_responses(given, n_units=(5, 20), draws=4, pool=30, reference="rest")


def test_bars_of_recorded_responses(browser: Browser, tmp_path: Path) -> None:
    """Thin ones of stimuli, thick ones of units, at the values; none where they are not known."""
    result = neurons()
    limits, (mean, _) = limits_of(result), over_draws(result)
    del limits["both"]  # which are not drawn
    with browsing(browser) as context:
        page = opened(context, dif.write_report(result, tmp_path / "report.html"))
        assert page.locator("#layer").input_value() == "0"  # none is the last of them
        page.evaluate("kindShown().pairs.measured = false; drawLayer()")  # as with other measures
        assert "They are Euclidean, normalised by population, whatever" in text_of(page, "#layer-note")
        bars = {
            (one["meta"]["set"], one["meta"]["role"]): one
            for one in drawn(page, "curves")
            if one["meta"]["role"] in limits
        }
        assert set(bars) == {(place, source) for place in (0, 1) for source in limits}
        for (place, source), bar in bars.items():
            low, high = (limit[place, :, 1] for limit in limits[source])
            values = mean[place, :, 1]
            np.testing.assert_allclose(numbers(bar["error_y"]["array"]), high - values, rtol=1e-9)
            np.testing.assert_allclose(numbers(bar["error_y"]["arrayminus"]), values - low, rtol=1e-9)
            assert np.isnan(numbers(bar["error_y"]["array"])[2])  # the population that is silent
        thickness = {source: bars[0, source]["error_y"]["thickness"] for source in limits}
        assert thickness["units"] > 2 * thickness["images"]
        caption = text_of(page, "#curves-caption")
        assert "Thin bars: 95 % intervals for other stimuli of the same kind." in caption
        assert "Thick bars: 95 % intervals for other draws of neurons." in caption
        places = {one["meta"]["set"]: one["x"] for one in drawn(page, "curves") if "set" in one["meta"]}
        assert places[0] != places[1]  # side by side
        np.testing.assert_allclose(np.round(places[0]), [0, 1, 2])
        (contrast,) = contrasts_between_sets(result)
        assert marked(page) == {0: marks_of(contrast)}
        assert np.isnan(contrast["p"].values[2])
        rows = table_of(page, "#contrast-table")[1:]
        nothing = ["no value", "", ""]
        assert rows[2] == ["silent", *nothing, *nothing, "no value", "no value", ""]


# ---------------------------------------------------------------------------------------- where sets differ


def marked(page: Page) -> dict[int, list[tuple[int, str]]]:
    """Return where the curves mark a difference, by pair: the layer and the symbol."""
    found = {}
    for one in drawn(page, "curves"):
        if one["meta"]["role"] == "differ":
            assert one["yaxis"] == "y2"
            assert len({y for y in one["y"] if y is not None}) <= 1
            marks = zip(one["x"], one["y"], one["marker"]["symbol"], one["marker"]["color"], strict=True)
            found[one["meta"]["pair"]] = [(x, symbol) for x, y, symbol, _ in marks if y is not None]
    return found


def marks_of(contrast: xr.Dataset, result: xr.Dataset | None = None) -> list[tuple[int, str]]:
    """Return what should be marked: the layers in which the sets differ, with the symbol of the higher."""
    from differentia.output.colours import set_looks

    looks = set_looks(neurons() if result is None else result)
    return [(layer, looks[higher(contrast, layer)].symbol.plotly) for layer in differing(contrast)]


def test_marks_where_sets_differ(fresh: Page) -> None:
    """At the very layers, with the symbol of the more differentiated set; two alike sets have none."""
    result = compared()
    expected = {place: marks_of(contrast, result) for place, contrast in enumerate(pairs())}
    assert [contrast.attrs["second"] for contrast in pairs()] == ["digits", "more digits", "more digits"]
    assert expected[0]
    assert len(expected[0]) < len(LAYERS)
    assert expected[2] == []
    assert marked(fresh) == expected
    points = fresh.locator("#curves .xy2 .scatterlayer .point").count()
    assert points == sum(map(len, expected.values()))
    caption = text_of(fresh, "#curves-caption")
    assert "Marks above: where two sets differ (corrected p < 0.05)" in caption
    rows = fresh.evaluate("document.getElementById('curves')._fullLayout.yaxis2.ticktext.length")
    assert rows == 3
    # of the largest number of units only, and of the sets that are shown
    fresh.select_option("#count", label="20")
    assert marked(fresh) == {}
    fresh.select_option("#count", "all")
    assert marked(fresh) == expected
    fresh.locator("input[name=set][value='2']").uncheck()
    assert marked(fresh) == {1: expected[1]}
    fresh.get_by_label("relative to noise").check()
    assert marked(fresh) == {1: expected[1]}


def with_p(contrast: xr.Dataset, values: Sequence[float]) -> xr.Dataset:
    """Return a contrast with other corrected p."""
    return contrast.assign(p_corrected=("layer", np.array(values)))


def test_contrasts_that_are_given(browser: Browser, tmp_path: Path) -> None:
    """They are shown as they are, marked below 0.05 only; without any there is no such section."""
    result = without_views(compared())  # the other tests have them
    given = [with_p(pairs()[2], [0.0499, 0.05, np.nan, 0.0005]), with_p(pairs()[0], [np.nan] * 4)]
    with browsing(browser) as context:
        page = opened(context, dif.write_report(result, tmp_path / "given.html", contrasts=given))
        assert [layer for layer, _ in marked(page)[0]] == [0, 3]
        assert page.locator("#pair").count() == 0  # the other could not be tested
        rows = table_of(page, "#contrast-table")[1:]
        assert [row[8] for row in rows] == ["0.0499", "0.0500", "no value", "0.0005"]
        assert [bool(row[9]) for row in rows] == [True, False, False, True]
        nothing = opened(context, dif.write_report(result, tmp_path / "nothing.html", contrasts=()))
        assert marked(nothing) == {}
        assert nothing.locator("#contrasts-section, nav a[href='#contrasts-section']").count() == 0
        assert nothing.locator("input[value=differ]").count() == 0
        check_curves(nothing, result, counts=[1])


SUFFIXES = ("", "_simultaneous")


def of_limits(contrast: xr.Dataset, what: str, layer: int, suffix: str) -> str:
    """Return limits as the page writes them."""
    low, high = (float(contrast[f"{what}_{end}{suffix}"][layer]) for end in ("low", "high"))
    return interval(low, high, digits=3)


def value_of(contrast: xr.Dataset, what: str, layer: int) -> str:
    """Return a value as the page writes it, by three digits of its interval's width."""
    low, high = (float(contrast[f"{what}_{end}"][layer]) for end in ("low", "high"))
    return written(float(contrast[what][layer]), uncertainty((high - low) / 10))


def written_p(p: float) -> str:
    """Return a p as the page writes it."""
    if np.isnan(p):
        return "no value"
    if p >= 0.0001:
        return f"{p:.4f}"
    digits, power = f"{p:.1e}".split("e")
    return f"{digits}e{int(power):+d}"


def check_contrast(page: Page, contrast: xr.Dataset, name: str = "difference") -> None:
    """Fail unless the plot and the table show a contrast."""
    together, line = drawn(page, "contrast")
    values = contrast[name].values
    for trace, suffix in ((line, ""), (together, "_simultaneous")):
        low, high = (contrast[f"{name}_{end}{suffix}"].values for end in ("low", "high"))
        np.testing.assert_allclose(numbers(trace["y"]), values, rtol=1e-12)
        np.testing.assert_allclose(numbers(trace["error_y"]["array"]), high - values, rtol=1e-9)
        np.testing.assert_allclose(numbers(trace["error_y"]["arrayminus"]), values - low, rtol=1e-9)
    assert line["error_y"]["thickness"] > 2 * together["error_y"]["thickness"]
    filled = [at for at, symbol in enumerate(line["marker"]["symbol"]) if not symbol.endswith("-open")]
    assert filled == differing(contrast)
    for layer, text in enumerate(line["hovertext"]):
        first, second, of_layer, difference, ratio, p = text.split("<br>")
        assert (first, second) == tuple(
            f"<b>{contrast.attrs[which]}</b>{end}" for which, end in (("first", " and"), ("second", ""))
        )
        assert of_layer == LAYERS[layer]
        for said, what in ((difference, "difference"), (ratio, "ratio")):
            within, of_all = (of_limits(contrast, what, layer, suffix) for suffix in SUFFIXES)
            parts = [f"95 %: {within}"] * bool(within) + [f"all together: {of_all}"] * bool(of_all)
            behind = f" ({'; '.join(parts)})" if parts else ""
            assert said == f"{what} <b>{value_of(contrast, what, layer)}</b>{behind}"
        alone, corrected = (written_p(float(contrast[of][layer])) for of in ("p", "p_corrected"))
        assert p == f"p {alone}, corrected <b>{corrected}</b>"
    rows = table_of(page, "#contrast-table")[1:]
    for layer, row in enumerate(rows):
        expected = [LAYERS[layer]]
        for what in ("difference", "ratio"):
            expected.append(value_of(contrast, what, layer))
            expected += [of_limits(contrast, what, layer, suffix) for suffix in SUFFIXES]
        expected += [written_p(float(contrast[what][layer])) for what in ("p", "p_corrected")]
        assert row[:-1] == expected
        more = higher(contrast, layer) if layer in differing(contrast) else ""
        assert row[-1].partition("\u00a0")[2] == more
    caption = text_of(page, "#contrast-caption")
    names_of_pair = f"{contrast.attrs['first']} and {contrast.attrs['second']}"
    compared = int(contrast["p_corrected"].notnull().sum())
    layers = f"{compared} layers{' that could be compared' * (compared < 4)}."
    assert caption.startswith(f"{names_of_pair} differ in {len(differing(contrast))} of {layers}")
    over = f"all {contrast.attrs['n_tests']} layers and pairs of sets together"
    assert (
        f"Thick bars: 95 % intervals for other images of the same kinds. Thin bars: the same, for {over}."
        in (caption)
    )
    assert (
        "p is the inversion of the interval of the difference; the corrected p allows for "
        f"{over} (their correlation is kept)."
    ) in caption


def test_the_contrast_of_each_pair(fresh: Page) -> None:
    """Difference and ratio with their limits, filled where the sets differ, and all as a table."""
    box = fresh.locator(".tall:has(> #contrast-table)")
    assert box.evaluate("(one) => one.scrollWidth <= one.clientWidth")
    lines = "(one) => [...one.querySelectorAll('tbody th')].map((name) => Math.round(name.offsetHeight / 29))"
    assert box.evaluate(lines) == [1] * len(LAYERS)  # 29 pixels
    options = fresh.locator("#pair option").all_text_contents()
    assert options == ["threes and digits", "threes and more digits", "digits and more digits"]
    for place, contrast in enumerate(pairs()):
        fresh.select_option("#pair", str(place))
        check_contrast(fresh, contrast)
        fresh.get_by_label("ratio").check()
        check_contrast(fresh, contrast, "ratio")
        fresh.get_by_label("difference").check()
    with pytest.raises(AssertionError):
        check_contrast(fresh, pairs()[0])
    limits = [[-0.081, -0.0028, 0.0078], [0.00005, 0.0009], [0, 0.00005], [-1, 0.2, 0]]
    assert fresh.evaluate("(limits) => limits.map((ends) => between(...ends))", limits) == [
        "-0.0810 to -0.0028",
        "0.00005 to 0.00090",
        "0.000 to 5.00e-5",
        "-1.000 to 0.200",
    ]


def scaled(contrast: xr.Dataset, name: str, values: Sequence[float], reach: float) -> xr.Dataset:
    """Return a contrast with other differences or ratios, and limits that far from them."""
    array = np.array(values)
    limits = (array / reach, array * reach) if name == "ratio" else (array - reach, array + reach)
    ends = [f"{name}_{end}{suffix}" for suffix in SUFFIXES for end in ("low", "high")]
    new = dict(zip((name, *ends), (array, *limits, *limits), strict=True))
    return contrast.assign({key: ("layer", value) for key, value in new.items()})


def test_limits_that_reach_far_do_not_hide_the_others(browser: Browser, tmp_path: Path) -> None:
    """The axis ends, and it is said; with ordinary limits it does not. Ratios far apart are logarithmic.

    The pages are without views of images, which take their time, and no part in it.
    """
    contrast = pairs()[0]
    values, ratios = [0.1, 0.2, -0.1, 0.0], [1.1, 1.2, 0.9, 1.0]
    near_zero = scaled(contrast, "difference", values, 0.1)
    far_apart = scaled(contrast, "difference", values, 50.0)
    cases = [
        (
            scaled(near_zero, "ratio", ratios, 1.1),
            [("difference", "linear", False), ("ratio", "linear", False)],
        ),
        (
            scaled(far_apart, "ratio", [*ratios[:3], 9.0], 1.1),
            [("difference", "linear", True), ("ratio", "log", False)],
        ),
        (scaled(near_zero, "ratio", ratios, 1e20), [("ratio", "log", True)]),
    ]
    result = without_views(compared())
    result["doubt"] = result["doubt"].copy(data=np.full(result["doubt"].shape, ""))
    near = {name: result[name].copy(deep=True) for name in LIMITS}
    for name, factor in zip(LIMITS, (0.9, 1.1), strict=True):
        near[name].loc[{"source": "images"}] = factor * dif.draw_mean(result["differentiation"], result)
    far = {name: limit.copy(deep=True) for name, limit in near.items()}
    far["differentiation_high"].loc[{"set": "digits", "layer": "input", "source": "images"}] = 500.0
    ends = "(id) => document.getElementById(id)._fullLayout.yaxis.range.map(Math.abs)"
    path = dif.write_report(result, tmp_path / "contrasts.html", contrasts=[given for given, _ in cases])
    with browsing(browser) as context:
        page = opened(context, path)
        for place, (given, shown) in enumerate(cases):
            page.select_option("#pair", str(place))
            for name, kind, beyond in shown:
                page.locator(f"input[name=contrast][value={name}]").check()
                check_contrast(page, given, name)
                axis = page.evaluate("document.getElementById('contrast')._fullLayout.yaxis.type")
                assert axis == kind, name
                assert ("Some extend beyond the plot." in text_of(page, "#contrast-caption")) == beyond
                assert max(page.evaluate(ends, "contrast")) < 10
        page.close()
        highest = over_draws(result)[0][:, :, 1].max()
        page = opened(context, dif.write_report(result.assign(near), tmp_path / "near.html", contrasts=()))
        check_curves(page, result.assign(near), counts=[1])
        assert "Some extend beyond the plot." not in text_of(page, "#curves-caption")
        assert 1.1 * highest < page.evaluate(ends, "curves")[1] < 2 * highest
        page = opened(context, dif.write_report(result.assign(far), tmp_path / "far.html", contrasts=()))
        check_curves(page, result.assign(far), counts=[1])
        assert "Some extend beyond the plot." in text_of(page, "#curves-caption")
        assert page.evaluate(ends, "curves") == pytest.approx([0, 2 * highest])
        page.get_by_label("other images").uncheck()
        assert "Some extend beyond the plot." not in text_of(page, "#curves-caption")
        assert page.evaluate(ends, "curves")[1] < 2 * highest


def test_a_click_on_the_contrast_chooses_its_layer(fresh: Page) -> None:
    """As on the curves."""
    fresh.locator("#contrast").scroll_into_view_if_needed()
    x, y = fresh.evaluate(
        """() => {
            const plot = document.getElementById("contrast"), {xaxis, yaxis} = plot._fullLayout;
            const box = plot.getBoundingClientRect(), {x, y} = plot.data[1];
            return [box.x + xaxis._offset + xaxis.l2p(x[1]), box.y + yaxis._offset + yaxis.l2p(y[1])];
        }"""
    )
    fresh.mouse.move(x, y)
    fresh.wait_for_selector("#contrast .hoverlayer .hovertext")
    fresh.mouse.click(x, y)
    assert fresh.locator("#layer").input_value() == "1"


def test_contrasts_as_csv(fresh: Page) -> None:
    """Every pair and layer, every digit."""
    with fresh.expect_download() as download:
        fresh.locator("#download-contrasts").click()
    assert download.value.suggested_filename == "contrasts.csv"
    text = download.value.path().read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == 3 * len(LAYERS)
    for row, (contrast, layer) in zip(rows, ((one, at) for one in pairs() for at in range(4)), strict=True):
        assert (row["first"], row["second"]) == (contrast.attrs["first"], contrast.attrs["second"])
        assert (row["layer"], row["units"], row["n_units"]) == (LAYERS[layer], "random", "100")
        numbers_of = [name for name in row if name in contrast.data_vars]
        assert len(numbers_of) == 12
        for name in numbers_of:
            np.testing.assert_equal(float(row[name] or "nan"), float(contrast[name][layer]))
        assert (row["paired"], row["n_tests"]) == ("false", str(contrast.attrs["n_tests"]))


def test_several_kinds_of_units(browser: Browser, tmp_path: Path) -> None:
    """The contrasts are of the first, and marked there only; each kind has its own intervals."""
    results = compared_kinds()
    with browsing(browser) as context:
        page = opened(context, page_of(compared_kinds))
        first = contrasts_between_sets(results["random"])
        assert marked(page) == {
            place: marks_of(contrast, results["random"]) for place, contrast in enumerate(first)
        }
        check_curves(page, results["random"], counts=[1])
        assert "(random)" in text_of(page, "#pair option")
        page.select_option("#kind", label="top")
        assert marked(page) == {}
        check_curves(page, results["top"], counts=[1])
        said = page.locator("#trust-section h3").all_text_contents()
        assert [heading for heading in said if "least" in heading] == [
            f"The least certain layers, {kind} units" for kind in results
        ]
        both = [*first, contrasts_between_sets(results["top"])[0]]
        page = opened(context, dif.write_report(results, tmp_path / "both.html", contrasts=both))
        page.select_option("#kind", label="top")
        assert marked(page) == {3: marks_of(both[3], results["top"])}
        page.select_option("#pair", "3")
        assert "(top)" in text_of(page, "#contrast-caption")


# ------------------------------------------------------------------------------------------ how far to trust


def test_what_is_said_of_trust(page: Page) -> None:
    """What each kind of interval means and what not, and the sentences of `say_precision`."""
    said, copies = say_precision(compared()), say_copies(compared())
    told = [*say_doubts(compared()), *copies, *said]
    assert copies
    assert page.locator("#trust-section li").all_text_contents() == told
    assert len(said) == 3
    texts = page.locator("#trust-section p").all_text_contents()
    kinds = ["Intervals of images", "Intervals of units", "Intervals of both"]
    assert [text.partition(".")[0] for text in texts[:3]] == kinds
    assert "None says anything about another network" in texts[3]
    assert len(texts) == 4 + bool(say_doubts(compared()))
    facts = dict(
        zip(
            page.locator("dl dt").all_text_contents(),
            page.locator("dl dd").all_text_contents(),
            strict=True,
        )
    )
    assert facts["Intervals"] == "95 %; of images: jackknifed test"


def test_too_few_images_are_said_to_be(browser: Browser) -> None:
    """Then there is no interval of images, no contrast, and no word of what they would mean."""
    with browsing(browser) as context:
        page = opened(context, page_of(measured))
        said = text_of(page, "#trust-section")
        assert "There are no intervals of images: they need 10 to 2,048 in a set" in said
        assert "Intervals of units" in said
        assert "Intervals of images." not in said
        assert page.locator("#contrasts-section").count() == 0
        assert page.locator("input[name=shown]").count() == 1


def test_what_is_not_to_be_trusted(browser: Browser, tmp_path: Path) -> None:
    """Crossed circles without a band, the reason where one points, and sentences below; as relative too."""
    result = doubtful()
    path = dif.write_report(result, tmp_path / "report.html", contrasts=())
    with browsing(browser) as context:
        page = opened(context, path)
        check_curves(page, result, counts=[1])
        caption = text_of(page, "#curves-caption")
        assert "Crossed circles are not to be trusted for other images" in caption
        digits, layer = names(result, "set").index("digits"), LAYERS.index("block4_pool")
        traces = [at for at, one in enumerate(drawn(page, "curves")) if one["meta"]["role"] == "mean"]
        point = f"{{curveNumber: {traces[digits]}, pointNumber: {layer}}}"
        hovered(page, "curves", point, "digitsblock4_pooldifferentiation ")
        label = text_of(page, "#curves .hoverlayer .hovertext")
        assert "not to be trusted for other images:the SD rests on few images" in label
        assert "other images: " not in label.replace("for other images:", "")
        said = page.locator("#trust-section li").all_text_contents()
        assert said[: len(say_doubts(result))] == say_doubts(result)
        assert "Not to be trusted" in text_of(page, "#trust-section")
        head, *rows = table_of(page, "#numbers")
        place = head.index("Not to be trusted")
        assert [row[place] for row in rows] == [record["doubt"] for record in table_rows(result)]
        assert {row[place] for row in rows} == {"", "strong images", "gap", "long tail"}
        page.get_by_label("relative to noise").check()
        check_curves(page, result, relative=True, counts=[1])
        of_reference = [
            one["hovertext"][3]
            for one in drawn(page, "curves")
            if one["meta"]["role"] == "mean" and one["meta"]["set"] != names(result, "set").index("noise")
        ]
        assert all("of noise: the SD rests on the strongest images" in text for text in of_reference)
        page.select_option("#count", "all")
        check_curves(page, result, relative=True)
        assert violations(page) == []


def test_sets_that_cant_be_compared(browser: Browser, tmp_path: Path) -> None:
    """Where one is not to be trusted: a crossed circle, no p, and a word of it; no such word of others."""
    result = doubtful()
    given = [dif.contrast(result, *pair) for pair in (("threes", "digits"), ("noise", "more digits"))]
    given.append(with_p(given[0], [0.5] * 4).assign(p=("layer", [0.5] * 4)))
    path = dif.write_report(without_views(result), tmp_path / "report.html", contrasts=given)
    crossed = {0: ["input", "block4_pool"], 1: ["predictions"], 2: []}
    with browsing(browser) as context:
        page = opened(context, path)
        for place, layers in crossed.items():
            page.select_option("#pair", str(place))
            _, line = drawn(page, "contrast")
            symbols = line["marker"]["symbol"]
            assert [LAYERS[at] for at, one in enumerate(symbols) if one == "circle-x-open"] == layers
            caption = text_of(page, "#contrast-caption")
            assert ("Crossed circles: one of the two is not to be trusted" in caption) == bool(layers)
            rows = {row[0]: row for row in table_of(page, "#contrast-table")[1:]}
            assert all(rows[layer][7:9] == ["no value"] * 2 for layer in layers)


# ------------------------------------------------------------------------------------------ for every reader


@functools.cache
def hostile() -> xr.Dataset:
    """Return `compared` with names that are markup, and a long one."""
    new = dict(
        zip(names(compared(), "set"), (SCRIPT, "</script>&lt;", "long " + "x" * 295, "<b>b</b>"), strict=True)
    )
    layers = [SCRIPT, "%{x} %{customdata}", "<i>layer</i>", "long " + "y" * 295]
    result = compared().assign_coords(
        set=list(new.values()),
        layer=layers,
        image_set=("image", [new[str(name)] for name in compared()["image_set"].values]),
        filter_layer=(
            "filter",
            [layers[LAYERS.index(str(name))] for name in compared()["filter_layer"].values],
        ),
    )
    return result.assign_attrs(reference=SCRIPT)


@pytest.fixture(scope="module")
def hostile_file() -> Path:
    """The report of `hostile`."""
    return page_of(hostile)


def test_names_in_contrasts_are_text(browser: Browser, hostile_file: Path) -> None:
    """In the list of pairs, the table, the caption and what hovering shows."""
    with browsing(browser) as context:
        page = opened(context, hostile_file)
        require_no_markup(page)
        sets, layers = names(hostile(), "set"), names(hostile(), "layer")
        assert page.locator("#pair option").all_text_contents()[0] == f"{sets[1]} and {sets[2]}"
        assert [row[0] for row in table_of(page, "#contrast-table")[1:]] == layers
        assert text_of(page, "#contrast-caption").startswith(f"{sets[1]} and {sets[2]} differ in ")
        for layer, name in enumerate(layers[:3]):
            point = f"{{curveNumber: 1, pointNumber: {layer}}}"
            hovered(page, "contrast", point, f"{sets[1]} and{sets[2]}{name}difference ")
        said = [*say_doubts(hostile()), *say_copies(hostile()), *say_precision(hostile())]
        assert page.locator("#trust-section li").all_text_contents() == said
        require_no_markup(page)


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_it_fits_and_can_be_read(browser: Browser, hostile_file: Path, size: tuple[int, int]) -> None:
    """Nothing is wider than the window, and axe finds nothing serious, on light and dark ground."""
    with browsing(browser, size, bypass_csp=True) as context:
        page = opened(context, hostile_file)
        for scheme in GROUNDS[size]:
            prefer(page, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
            right = "document.querySelector('#contrast .main-svg').getBoundingClientRect().right"
            assert page.evaluate(right) <= size[0]
            assert violations(page, rules=RULES[scheme]) == [], scheme


def test_the_switches_by_keyboard_and_on_paper(browser: Browser) -> None:
    """Each is reached by Tab; on paper they are gone, and the pair and its table stand there."""
    with browsing(browser, scheme="dark") as context:
        page = opened(context, page_of(compared))

        def focus(wanted: str) -> None:
            for _ in range(90):
                page.keyboard.press("Tab")
                if page.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
                    return
            raise AssertionError(f"{wanted} can't be reached")

        focus("input[name=shown][value=images]")
        page.keyboard.press("Space")
        check_curves(page, compared(), counts=[1], without=["images"])
        focus("#pair")
        page.keyboard.press("ArrowDown")
        focus("input[name=contrast]")
        page.keyboard.press("ArrowRight")
        check_contrast(page, pairs()[1], "ratio")
        assert page.pdf().startswith(b"%PDF")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 700, "height": 1000})
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= 700
        assert page.locator(":is(input, select, label, nav):visible").count() == 0
        assert page.locator("#contrast-caption").is_visible()


def test_the_main_view(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook there are intervals; contrasts only where they are given."""
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    dif.show(compared())
    dif.show(compared(), contrasts=pairs())
    with browsing(browser) as context:
        for place, given in enumerate(shown):
            notebook = tmp_path / f"{place}.html"
            notebook.write_text(f"<!DOCTYPE html><body data-ready>{given.data}", encoding="utf-8")
            view = opened(context, notebook).locator("iframe").content_frame
            view.locator("body[data-ready]").wait_for(state="attached")
            roles = view.locator("#curves").evaluate("(plot) => plot.data.map((one) => one.meta.role)")
            assert roles.count("images") == 4
            assert roles.count("differ") == 3 * place
            assert view.locator("#contrasts-section").count() == place
            assert view.locator("#trust-section").count() == 0
