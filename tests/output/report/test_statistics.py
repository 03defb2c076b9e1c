"""What distances say beside their median, on the page: the data, and what a browser shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from helpers.browser import browsing, drawn, opened, table_of, text_of
from helpers.reports import compared, measured, names, page_of

import differentia as dif
from differentia.output.report.contents import contents
from differentia.output.report.statistics import ENDS, beside, between

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_numbers_of_the_page() -> None:
    """Those of the library, by place; None where nothing is known."""
    result = compared()
    found = dif.statistics(result, quantiles=ENDS)
    told = beside(found)
    assert told is not None
    np.testing.assert_array_equal(told["mean"], found["mean"])
    np.testing.assert_array_equal(told["dimensionality_unbiased"], found["dimensionality_unbiased"])
    np.testing.assert_array_equal(np.array(told["ends"])[..., 0], found["quantile"][..., 0])
    pairs = between(found)
    assert [(pair["first"], pair["second"]) for pair in pairs] == [(1, 2), (1, 3), (2, 3)]
    at = found["p"].notnull().any("layer").values
    for name in ("between", "within_second", "excess", "p_corrected"):
        np.testing.assert_array_equal([pair[name] for pair in pairs], found[name].values[at])
    with pytest.warns(dif.DifferentiaWarning):
        unknown = dif.statistics(result.drop_vars("distance"))
    assert beside(unknown) is None
    assert between(unknown) == []


def test_the_page_has_what_is_tested() -> None:
    """Of the first kind of units; the main view has no pairs, and a result without distances nothing."""
    result = compared()
    page = contents({"random": result})
    assert len(page["between"]) == 3
    assert page["kinds"][0]["beside"]["mean"] == beside(dif.statistics(result))["mean"]  # type: ignore[index]
    assert contents({"random": result}, main_view=True)["between"] == []
    without = contents({"random": result.drop_vars("distance")})
    assert without["between"] == []
    assert without["kinds"][0]["beside"] is None
    assert without["kinds"][0]["map"] is None


@pytest.mark.browser
def test_between_sets_in_a_browser(browser: Browser) -> None:
    """Lines, marks and table are the numbers of the pair that is chosen."""
    result = compared()
    found = dif.statistics(result)
    at = np.flatnonzero(found["p"].notnull().any("layer").values)
    with browsing(browser) as context:
        page = opened(context, page_of(compared))
        for choice, place in enumerate(at):
            pair = found.isel(pair=place)
            page.select_option("#apart", str(choice))
            lines = {line["meta"]["role"]: line for line in drawn(page, "between")}
            for name in ("between", "within_first", "within_second"):
                np.testing.assert_allclose(np.array(lines[name]["y"], dtype=float), pair[name])
            filled = [symbol == "circle" for symbol in lines["between"]["marker"]["symbol"]]
            assert filled == (pair["p_corrected"] < 0.05).values.tolist()
            head, *rows = table_of(page, "#between-table")
            assert head[:4] == [
                "Layer",
                "Between",
                f"Within {pair['first'].item()}",
                f"Within {pair['second'].item()}",
            ]
            assert [row[0] for row in rows] == names(result, "layer")
            assert [float(row[1]) for row in rows] == pytest.approx(pair["between"].values.tolist(), abs=1e-3)
            assert [row[7] for row in rows] == [f"{p:.4f}" for p in pair["p_corrected"].values]
        assert "by permuting images between the sets" in text_of(page, "#between-caption")
    # sets of 4 to 6 images can be compared, too
    assert 'id="between-section"' in page_of(measured).read_text(encoding="utf-8")
