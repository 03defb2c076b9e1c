"""Differentiation relative to a reference set, and its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers.results import neurons

import differentia as dif

RNG = np.random.default_rng(0)


def test_relative() -> None:
    """Divided by the reference's mean over draws at its largest number of units, or draw by draw."""
    result = neurons()
    values = result["differentiation"]
    reference = values.sel(set="spontaneous")
    expected = values / reference.sel(n_units=50).mean("draw")
    np.testing.assert_allclose(dif.relative(result), expected.transpose(*values.dims))
    matched = dif.relative(result, matched=True)
    np.testing.assert_allclose(matched.sel(set="spontaneous").dropna("draw"), 1.0)
    np.testing.assert_allclose(matched, (values / reference).transpose(*values.dims))
    assert not np.allclose(matched, dif.relative(result), equal_nan=True)
    other = dif.relative(result, "stimulus")
    assert other.attrs["reference"] == "stimulus"
    with pytest.raises(dif.InputError, match=r"unknown set for reference .* 'silence'"):
        dif.relative(result, "silence")
    with pytest.raises(dif.InputError, match="no reference set"):
        dif.relative(result.assign_attrs(reference=""))


def test_relative_limits_carry_those_of_the_reference() -> None:
    """Squares of logarithms add up; the reference over itself is 1; its units count where known."""
    rng = np.random.default_rng(0)
    arrays = {name: {"x": rng.gamma(shape, size=(20, 60))} for name, shape in (("a", 1.0), ("ref", 3.0))}
    result = dif.measure_responses(arrays, n_units=(10, 60), draws=5, reference="ref")
    low, high = dif.relative_interval(result)
    assert low.attrs["reference"] == "ref"
    assert low.dims == ("set", "layer", "n_units", "source")
    means = dif.draw_mean(result["differentiation"], result)
    of: dict[str, Any] = {"layer": "x", "n_units": 60}
    images = {**of, "source": "images"}

    def log(values: xr.DataArray, **at: Any) -> float:
        return float(np.log(values.sel({**of, **at})))

    limits = {end: result[f"differentiation_{end}"].sel(source="images") for end in ("low", "high")}
    ratio = log(means, set="a") - log(means, set="ref")
    below = np.hypot(
        log(means, set="a") - log(limits["low"], set="a"),
        log(limits["high"], set="ref") - log(means, set="ref"),
    )
    assert np.log(low.sel({**images, "set": "a"})) == pytest.approx(ratio - below)
    assert high.sel({**images, "set": "a"}) > np.exp(ratio)
    assert low.sel({**images, "set": "ref"}) == high.sel({**images, "set": "ref"}) == pytest.approx(1.0)
    # of units: the reference was used whole, so that only the set's own draws count
    few = {"layer": "x", "n_units": 10, "source": "units", "set": "a"}
    expected = result["differentiation_low"].sel(few) / means.sel({**of, "set": "ref"})
    assert low.sel(few) == pytest.approx(expected.item())
    with pytest.raises(dif.InputError, match="has no differentiation_low"):
        dif.relative_interval(result.drop_vars(["differentiation_low", "differentiation_high", "source"]))


def test_relative_to_nothing_is_nan() -> None:
    """A reference of zero or NaN gives NaN, never an infinity."""
    result = neurons()
    values = result["differentiation"].copy()
    values.loc[{"set": "spontaneous", "layer": "features.0"}] = 0.0
    values.loc[{"set": "spontaneous", "layer": "block1/conv"}] = np.nan
    relative = dif.relative(result.assign(differentiation=values))
    assert relative.isnull().all()
    assert dif.relative(result).sel(draw=0).notnull().all()
