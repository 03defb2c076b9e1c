"""The map of a layer's images: as the page holds it, and in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from helpers.browser import SCHEMES, browsing, drawn, opened, prefer, text_of
from helpers.reports import measured, page_of, unpacked, without_views
from playwright.sync_api import expect
from scipy.spatial.distance import pdist, squareform

from differentia.output.report.maps_of_images import image_maps
from differentia.results.mds import scaled

if TYPE_CHECKING:
    from playwright.sync_api import Browser

N_IMAGES = 15


def test_maps_of_some_images() -> None:
    """Of those alone whose distances are shown; where all responses are the same there is none."""
    result = measured()
    rows = np.array([0, 2, 3, 9, 14])
    found = image_maps(result, rows)
    assert len(found) == result.sizes["layer"]
    for layer, of_layer in enumerate(found):
        assert of_layer is not None
        distances = result["distance"].values[layer][np.ix_(rows, rows)].astype(float)
        expected = scaled(distances)
        places = unpacked(of_layer["places"]).reshape(5, 2)
        ratio = pdist(places) / pdist(expected.places)
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)
        np.testing.assert_allclose(of_layer["shares"], expected.shares, atol=1e-4)
        assert not np.allclose(squareform(pdist(places)) * distances[0, 1] / pdist(places)[0], distances)
    same = result.assign(distance=result["distance"] * 0)
    assert image_maps(same, rows) == [None] * result.sizes["layer"]


IMAGES_OF_MAP = "() => document.getElementById('map').layout.images.length"
POINT = """(at) => {
    const place = document.getElementById("map");
    place.scrollIntoView({block: "center"});
    const {left, top} = place.getBoundingClientRect();
    const {xaxis, yaxis} = place._fullLayout;
    const {x, y} = place.data[0];
    return [left + xaxis._offset + xaxis.d2p(x[at]), top + yaxis._offset + yaxis.d2p(y[at])];
}"""


@pytest.mark.browser
def test_pictures_on_the_map(browser: Browser) -> None:
    """One for each image; that which is pointed at is shown, and larger once chosen; on either ground."""
    with browsing(browser) as context:
        page = opened(context, page_of(measured))
        for place, scheme in enumerate(SCHEMES):
            prefer(page, scheme)
            assert page.evaluate(IMAGES_OF_MAP) == N_IMAGES
            (dots,) = drawn(page, "map")
            # a point that lies far from all others, which nothing covers
            apart = squareform(pdist(np.transpose([dots["x"], dots["y"]])))
            at = int((apart + np.diag([np.inf] * N_IMAGES)).min(axis=1).argsort()[-1 - place])
            name = page.evaluate("(row) => window.differentia.data.images[row].name", dots["customdata"][at])
            page.mouse.move(*page.evaluate(POINT, at))
            expect(page.locator("#map-picture figcaption")).to_have_text(name)
            assert page.locator("#map-picture img").count() == 1
            page.mouse.click(*page.evaluate(POINT, at))
            page.wait_for_selector("#enlarged[open]")
            assert text_of(page, "#enlarged-name") == name
            page.keyboard.press("Escape")


RANGES_OF_MAP = """() => {
    const {xaxis, yaxis} = document.getElementById("map")._fullLayout;
    return [...xaxis.range, ...yaxis.range];
}"""


@pytest.mark.browser
def test_a_double_click_on_the_map(browser: Browser) -> None:
    """The whole map of that layer is shown again, with pictures of the same size."""
    with browsing(browser) as context:
        page = opened(context, page_of(bare))
        for layer in (1, 2):
            page.select_option("#layer", str(layer))
            ranges = page.evaluate(RANGES_OF_MAP)
            left, top = page.evaluate(POINT, 0)
            page.mouse.move(left - 30, top - 30)
            page.mouse.down()
            page.mouse.move(left + 60, top + 60, steps=3)
            page.mouse.up()
            assert page.evaluate(RANGES_OF_MAP) != ranges
            near = (ranges[1] - ranges[0]) / 200  # Plotly makes one scale of both axes anew
            for _ in range(2):  # of Plotly's own, the second would give ranges of its choice
                page.mouse.dblclick(left + 5, top + 5)
                np.testing.assert_allclose(page.evaluate(RANGES_OF_MAP), ranges, atol=near)
                page.wait_for_timeout(400)  # four clicks are not two double clicks to Plotly


@pytest.mark.browser
def test_a_map_without_pictures(browser: Browser) -> None:
    """Marks have the colours and symbols of the sets; hidden ones have none; without distances it is said."""
    with browsing(browser) as context:
        page = opened(context, page_of(bare))
        assert page.evaluate(IMAGES_OF_MAP) == 0
        (dots,) = drawn(page, "map")
        assert len(dots["x"]) == N_IMAGES
        sets = page.evaluate("() => window.differentia.data.sets")
        of_rows = [
            int(one)
            for one in page.evaluate(
                "(rows) => rows.map((row) => window.differentia.data.images[row].set)", dots["customdata"]
            )
        ]
        assert dots["marker"]["symbol"] == [sets[one]["symbol"]["plotly"] for one in of_rows]
        assert dots["marker"]["color"] == [sets[one]["colour"]["light"] for one in of_rows]
        page.locator("input[name=set][value='0']").uncheck()
        (dots,) = drawn(page, "map")
        assert len(dots["x"]) == N_IMAGES - of_rows.count(0)
        assert "Sets that are not shown are part of it" in text_of(page, "#map-caption")
        page = opened(context, page_of(without_distances))
        assert "There are no distances" in text_of(page, "#map")


def bare() -> object:
    """A result without pictures."""
    return measured().drop_vars("thumbnail")


def without_distances() -> object:
    """A result without distances."""
    return without_views(measured()).drop_vars("distance", errors="ignore")
