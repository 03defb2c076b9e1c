"""How far the numbers can be trusted: which intervals there are, and what is said of them."""

from __future__ import annotations

import xarray as xr
from helpers.reports import compared, doubtful, measured, without_doubts

from differentia.output.report.trust import trust
from differentia.results.copies import say_copies
from differentia.results.doubts import say_doubts
from differentia.results.precision import say_precision
from differentia.results.schema import LIMITS


def test_which_intervals_there_are() -> None:
    """Of images only where a set has enough of them; nothing is said where there are none."""
    found = trust({"random": compared()})
    assert (found["confidence"], found["images"], found["units"]) == ("95 %", True, True)
    assert found["said"] == {"random": say_precision(compared())}
    few = trust({"random": measured()})
    assert (few["images"], few["units"], few["both"]) == (False, True, False)
    assert few["needs"] == "10 to 2,048 in a set, and a value above 0"
    old = measured().copy()
    for name in LIMITS:
        old[name] = old[name].sel(source=["units", "images"])
        old[name].attrs |= {"method": "studentized", "resamples": 2000}
    of_old = trust({"random": old})
    assert (of_old["images"], of_old["units"], of_old["both"]) == (False, True, False)
    assert "Euclidean" in of_old["needs"]
    without = trust({"random": untold().drop_vars(list(LIMITS))})
    sources = dict.fromkeys(("images", "units", "both"), False)
    told = {"doubts": {}, "said": {}, "copies": say_copies(untold())}
    assert without == {"confidence": None, "needs": few["needs"], **told, **sources}
    assert len(told["copies"]) == 1


def untold() -> xr.Dataset:
    """Return `compared` without doubts."""
    return without_doubts(compared())


def test_what_is_not_to_be_trusted() -> None:
    """In the words of `say_doubts`; nothing where there is no doubt."""
    result = doubtful()
    assert trust({"random": result, "top": untold()})["doubts"] == {"random": say_doubts(result)}
    assert any("block4_pool" in sentence for sentence in say_doubts(result))
