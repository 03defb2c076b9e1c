"""Windows over time on the page: its numbers, and what a browser draws of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from helpers.browser import browsing, drawn, opened, text_of
from helpers.windowed import windowed

import differentia as dif
from differentia.output.report import time_courses as page_courses
from differentia.output.report.time_courses import courses
from differentia.results.time_courses import time_courses

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TRIALS = {"natural": [0.0, 20.0, 40.0], "scrambled": [10.0, 30.0, 50.0], "rest": [100.0]}
LASTING = {"natural": 6.0, "scrambled": 6.0, "rest": 12.0}


def test_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the library; of too many windows some, evenly, which is said; none of other results."""
    result = windowed(TRIALS, LASTING, reference="rest")
    found, expected = courses(result), time_courses(result)
    assert found is not None
    assert (found["aligned"], found["every"]) == (True, 1)
    for one, course in zip(found["sets"], expected.of_sets.values(), strict=True):
        np.testing.assert_allclose(one["times"], course.times)
        np.testing.assert_allclose(one["values"], course.values.T)
        assert (one["trials"], one["constant"]) == (course.n_trials, course.constant)
    assert found["sets"][2]["error"] == [[None, None], [None, None]]
    monkeypatch.setattr(page_courses, "MOST_WINDOWS", 3)
    thinned = courses(result)
    assert thinned is not None
    assert thinned["every"] == 2
    assert thinned["sets"][0]["times"] == found["sets"][0]["times"][::2]
    responses = dif.measure_responses({"a": np.random.default_rng(0).normal(size=(5, 4))})
    assert courses(responses) is None


@pytest.mark.browser
def test_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    """A line for each set that is shown, in the area that is chosen; nothing is said of distances."""
    result = windowed(TRIALS, LASTING, reference="rest")
    expected = time_courses(result).of_sets
    with browsing(browser) as context:
        page = opened(context, dif.write_report(result, tmp_path / "report.html"))
        for layer in (1, 0):
            page.select_option("#layer", str(layer))
            lines = {
                trace["meta"]["set"]: trace
                for trace in drawn(page, "courses")
                if trace["meta"]["role"] == "course"
            }
            for place, name in enumerate(TRIALS):
                np.testing.assert_allclose(lines[place]["y"], expected[name].values[:, layer])
        bands = [trace for trace in drawn(page, "courses") if trace["meta"]["role"] == "error"]
        assert [trace["meta"]["set"] for trace in bands] == [0, 1]
        course = expected["natural"]
        edge = max(value for value in bands[0]["y"] if value is not None)
        assert edge == pytest.approx((course.values + course.error)[:, 0].max())
        assert "one standard error" in text_of(page, "#courses-caption")
        page.uncheck("input[name=set][value='0']")
        assert {trace["meta"]["set"] for trace in drawn(page, "courses")} == {1, 2}
        assert not page.locator("#matrix").is_visible()
