"""The numbers of the curves are those of the result, by loops over its draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from helpers.reports import compared, flagged, limits_of, measured, over_draws, published
from helpers.results import neurons

import differentia as dif
from differentia.output.report.curves import curves


def numbers(nested: Any) -> np.ndarray:
    """Return nested lists as an array, None as NaN."""
    return np.array(nested, dtype=float)


def curves_of(result: xr.Dataset) -> dict[str, Any]:
    units = str(result["units"].item())
    return curves({units: result}, units)


def test_means_spreads_and_limits() -> None:
    """As they are and relative; the limits by their source, and what has not converged."""
    result = compared()
    found = curves_of(result)
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
    assert curves_of(result)["raw"]["mean"][at[0]][at[1]][0] is None
    assert curves_of(neurons().assign_attrs(reference=""))["relative"] is None
    assert curves_of(published())["raw"]["published"] is not None


def test_all_units_tell_what_has_converged() -> None:
    """Where they were measured together with random ones: few units miss those that tell images apart."""
    rng = np.random.default_rng(0)
    responses = 1e-3 * rng.normal(size=(20, 2000))
    responses[:, 0] = rng.normal(size=20)  # all that tells images apart
    arrays = {"a": {"x": responses}}
    some = dif.measure_responses(arrays, n_units=40, pool=60, draws=8, seed=1)
    some = some.drop_vars(["layer_mean", "layer_sd"])  # which would tell it, too
    alone = curves_of(some)["not_converged"]
    whole = dif.measure_responses(arrays, seed=1)
    together = curves({"random": some, "all": whole}, "random")["not_converged"]
    assert together == [[[True]]]
    assert alone != together  # the control
    assert curves({"random": some, "all": whole}, "all")["not_converged"] == [[[False]]]
