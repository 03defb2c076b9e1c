"""How layers follow the stimulus on the page: its numbers, and what a browser draws of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xarray as xr
from helpers.browser import DESKTOP, PHONE, browsing, drawn, opened, prefer, text_of
from helpers.following import LAYERS, measured
from helpers.pages import GROUNDS, RULES, violations
from helpers.reports import page_of

import differentia as dif
from differentia.output.report.correlations import COLUMNS, followed

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_numbers() -> None:
    """Those of `depth`, with sets and the base by their places; none where there are too few sets."""
    found, expected = followed({"all": measured()}), dif.depth(measured(), pairs=False)
    assert found is not None
    assert found["sets"] == list(range(1, 13))  # the reference is the first
    assert found["base"] == 0
    for name in COLUMNS:
        values = [np.nan if value is None else value for value in found[name]]
        np.testing.assert_array_equal(values, expected[name])
    np.testing.assert_array_equal(found["values"], expected["value"])
    assert found["said"] == dif.say_depth(expected)
    few = measured().isel(set=slice(0, 4), image=slice(0, 32))
    assert followed({"all": few}) is None
    assert followed({"all": measured().sel(layer=["early", "late"])}) is None


def shown() -> xr.Dataset:
    """The result without distances, whose panels would take most of the time."""
    return measured().drop_vars("distance")


@pytest.mark.browser
def test_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    """A point for each set in the layer that is chosen, its line, and the correlation against depth."""
    expected = dif.depth(measured(), pairs=False)
    with browsing(browser) as context:
        path = dif.write_report(shown(), tmp_path / "report.html", contrasts=())
        page = opened(context, path)
        band, curve = drawn(page, "correlations")
        assert curve["x"] == [1, 2, 3]
        np.testing.assert_allclose(curve["y"], expected["pearson"][1:])
        assert curve["marker"]["symbol"] == ["circle", "circle", "circle-open"]
        edges = [y for y in band["y"] if y is not None]
        assert min(edges) == pytest.approx(float(expected["pearson_low"].min()))
        for layer in (3, 1):
            page.select_option("#layer", str(layer))
            points, line = drawn(page, "followed")
            np.testing.assert_allclose(points["x"], expected["stimulus"])
            np.testing.assert_allclose(points["y"], expected["value"].isel(layer=layer))
            at = expected.isel(layer=layer)
            ends = at["intercept"].item() + at["slope"].item() * np.array(
                [min(points["x"]), max(points["x"])]
            )
            np.testing.assert_allclose(line["y"], ends)
            assert text_of(page, "#followed-caption").startswith(f"{LAYERS[layer]}: r ")
        page.select_option("#layer", "0")  # the stimulus itself
        assert drawn(page, "followed")[0]["meta"]["layer"] == 1
        assert dif.say_depth(expected)[0] in text_of(page, "#depth-section")
    few = shown().sel(layer=["early", "late"])
    without = dif.write_report(few, tmp_path / "without.html", contrasts=())
    for mark in ('id="depth-section"', 'href="#depth-section"'):
        assert mark in path.read_text(encoding="utf-8")
        assert mark not in without.read_text(encoding="utf-8")


def hostile() -> xr.Dataset:
    """A result whose names look like markup."""
    names = {name: f"<img src=x onerror=alert(1)> {name}" for name in measured()["set"].values.tolist()}
    return dif.rename(shown(), sets=names, layers={"late": "<b>late</b>"})


@pytest.mark.browser
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_it_can_be_read(browser: Browser, size: tuple[int, int]) -> None:
    """On a desktop and a phone, light and dark, by those who can't see it; hostile names stay names."""
    # the page's own policy lets no script in, axe neither
    with browsing(browser, size, bypass_csp=True) as context:
        page = opened(context, page_of(hostile))
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        for scheme in GROUNDS[size]:
            prefer(page, scheme)
            assert violations(page, rules=RULES[scheme]) == [], scheme
        page.select_option("#layer", "2")
        assert text_of(page, "#followed-caption").startswith("<b>late</b>: r ")
        assert page.locator("img[onerror], #depth-section b").count() == 0
