"""The numbers of the curves are those of the result, by loops over its draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from helpers.reports import compared, flagged, limits_of, measured, over_draws, published
from helpers.results import neurons

from differentia.output.report.curves import curves


def numbers(nested: Any) -> np.ndarray:
    """Return nested lists as an array, None as NaN."""
    return np.array(nested, dtype=float)


def test_means_spreads_and_limits() -> None:
    """As they are and relative; the limits by their source, and what has not converged."""
    result = compared()
    found = curves(result)
    for relative, lines in ((False, found["raw"]), (True, found["relative"])):
        mean, spread = over_draws(result, relative=relative)
        np.testing.assert_allclose(numbers(lines["mean"]), mean)
        np.testing.assert_allclose(numbers(lines["spread"]), spread, atol=1e-12)
        for source, (low, high) in limits_of(result, relative=relative).items():
            np.testing.assert_array_equal(numbers(lines[source]["low"]), low)
            np.testing.assert_array_equal(numbers(lines[source]["high"]), high)
        assert lines["published"] is None
    known = np.ones(mean.shape, dtype=bool)  # but where nothing larger was measured
    whole = result["units_used"].values[:, -1] == result["layer_size"].values
    known[..., -1] = whole | flagged(result)[..., -1]
    expected = np.where(known, flagged(result), np.nan)
    np.testing.assert_array_equal(numbers(found["not_converged"]), expected)
    assert np.isnan(expected).any()
    assert (found["n_units"], found["confidence"], found["noun"]) == ([20, 100], 0.95, "units")


def test_what_is_unknown_is_none() -> None:
    """A missing draw leaves its point without a value; without a reference nothing is relative."""
    result = measured()
    at = [
        names.values.tolist().index(name)
        for names, name in ((result["set"], "digits"), (result["layer"], "block4_pool"))
    ]
    assert curves(result)["raw"]["mean"][at[0]][at[1]][0] is None
    assert curves(neurons().assign_attrs(reference=""))["relative"] is None
    assert curves(published())["raw"]["published"] is not None
