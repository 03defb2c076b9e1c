"""How far the numbers can be trusted: which intervals there are, and what is said of them."""

from __future__ import annotations

from helpers.reports import compared, measured

from differentia.output.report.trust import trust
from differentia.results.precision import say_precision


def test_which_intervals_there_are() -> None:
    """Of images only where a set has enough of them; nothing is said where there are none."""
    found = trust({"random": compared()})
    assert (found["confidence"], found["images"], found["units"]) == ("95 %", True, True)
    assert found["said"] == {"random": say_precision(compared())}
    few = trust({"random": measured()})
    assert (few["images"], few["units"], few["least_images"]) == (False, True, 10)
    without = trust({"random": compared().drop_vars(["differentiation_low", "differentiation_high"])})
    assert without == {"confidence": None, "least_images": 10, "said": {}, "images": False, "units": False}
