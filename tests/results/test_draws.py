"""The mean and the spread over draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers.results import neurons

import differentia as dif
from differentia.recording.units import UNIT_KINDS

RNG = np.random.default_rng(0)


#: Two sets, a layer of 100 units and one of 10, two numbers of units, three draws.
VALUES = RNG.uniform(0.5, 1.5, (2, 2, 2, 3))


def result_of(kind: str, *, draws: int, pool: int = 60) -> xr.Dataset:
    """Return a result by hand, with the draws that there are."""
    values = VALUES.copy()
    values[..., draws:] = np.nan
    values[:, 1, :, 1:] = np.nan  # the small layer is a whole pool
    return xr.Dataset(
        {
            "differentiation": (("set", "layer", "n_units", "draw"), values),
            "units_used": (("layer", "n_units"), [[20, 40], [10, 10]]),
            "pool_size": ("layer", [pool, 10]),
            "layer_size": ("layer", [100, 10]),
        },
        coords={"draw": np.arange(3), "n_units": [20, 40], "units": kind},
    )


def both(result: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    values = result["differentiation"]
    return dif.draw_mean(values, result).values, dif.draw_spread(values, result).values


@pytest.mark.parametrize("kind", ["random", "per_filter"])
def test_draws_at_random_have_a_spread(kind: str) -> None:
    """The mean of all draws, and their SD corrected for the pool that they share; 0 for all units."""
    mean, spread = both(result_of(kind, draws=3))
    for at_count, used in enumerate((20, 40)):
        draws = VALUES[:, 0, at_count]
        np.testing.assert_allclose(mean[:, 0, at_count], draws.mean(axis=1))
        correction = np.sqrt((1 - used / 100) / (1 - used / 60))
        np.testing.assert_allclose(spread[:, 0, at_count], draws.std(axis=1, ddof=1) * correction)
    np.testing.assert_array_equal(mean[:, 1], VALUES[:, 1, :, 0])
    np.testing.assert_array_equal(spread[:, 1], 0.0)


@pytest.mark.parametrize("kind", [name for name, kind in UNIT_KINDS.items() if not kind.random])
def test_units_that_are_not_drawn_have_one_value(kind: str) -> None:
    """It is the mean though other draws are missing; its spread is unknown, or 0 for a whole layer."""
    mean, spread = both(result_of(kind, draws=1))
    np.testing.assert_array_equal(mean, VALUES[..., 0])
    assert np.isnan(spread[:, 0]).all()
    np.testing.assert_array_equal(spread[:, 1], 0.0)
    # the control: at random, draws that should be there are missing, and the one that is left is no mean
    mean, spread = both(result_of("random", draws=1))
    assert np.isnan(mean[:, 0]).all()
    assert np.isnan(spread[:, 0]).all()
    # a pool that was drawn whole has one draw too
    np.testing.assert_array_equal(both(result_of("random", draws=1, pool=40))[0][:, 0, 1], VALUES[:, 0, 1, 0])


def test_a_value_that_is_missing_makes_the_mean_unknown() -> None:
    """Of the one draw that there is, as of several; the other sets and layers keep theirs."""
    for kind, draws in (("top", 1), ("random", 3)):
        result = result_of(kind, draws=draws)
        result["differentiation"][0, 0, 1, draws - 1] = np.nan
        mean, spread = both(result)
        assert np.isnan(mean[0, 0, 1])
        assert np.isnan(spread[0, 0, 1])
        assert np.isnan(mean).sum() == 1


def test_several_kinds_side_by_side() -> None:
    """Along ``units``, each kind has the mean and the spread that it has alone."""
    apart = {kind: result_of(kind, draws=3 if kind == "per_filter" else 1) for kind in ("top", "per_filter")}
    options: dict[str, Any] = {"join": "outer", "coords": "different", "compat": "equals", "data_vars": "all"}
    together = xr.concat(list(apart.values()), dim="units", **options)
    values = together["differentiation"]
    for kind, alone in apart.items():
        mean, spread = both(alone)
        order = ("set", "layer", "n_units")
        of_kind = dif.draw_mean(values, together).sel(units=kind).transpose(*order)
        np.testing.assert_array_equal(of_kind, mean)
        of_kind = dif.draw_spread(values, together).sel(units=kind).transpose(*order)
        np.testing.assert_array_equal(of_kind, spread)


def test_spread_over_draws() -> None:
    """The SD over draws with the correction for the shared pool; 0 for a whole layer, unknown for a pool."""
    result = neurons()
    spread = dif.draw_spread(result["differentiation"], result)
    at = {"set": "stimulus", "layer": "features.0"}  # 60 units, a pool of 50
    draws = result["differentiation"].sel(at).sel(n_units=20).values
    expected = draws.std(ddof=1) * np.sqrt((1 - 20 / 60) / (1 - 20 / 50))
    assert float(spread.sel(at).sel(n_units=20)) == pytest.approx(expected)
    assert np.isnan(float(spread.sel(at).sel(n_units=50)))
    assert float(spread.sel(layer="block1/conv", set="stimulus", n_units=20)) == 0.0


@pytest.mark.slow
def test_corrected_spread_is_that_of_fresh_draws() -> None:
    """Against simulation: draws of units from the whole layer, without a pool.

    Copies of the layer have pools and draws of their own, since they have other names.
    """
    rng = np.random.default_rng(1)
    responses = rng.gamma(0.5, 1.0, (10, 400)) * rng.gamma(1.0, 1.0, 400)
    fresh = [dif.differentiation(responses[:, rng.choice(400, 100, replace=False)]) for _ in range(3000)]
    copies = {f"copy {at}": responses for at in range(60)}
    result = dif.measure_responses({"a": copies}, n_units=100, pool=200, draws=40)
    values = result["differentiation"]
    assert len(np.unique(values)) == values.size == 60 * 40
    raw, corrected = values.std("draw", ddof=1).values, dif.draw_spread(values, result).values
    truth = float(np.std(fresh))
    assert np.sqrt(np.mean(np.square(corrected))) == pytest.approx(truth, rel=0.08)
    assert np.sqrt(np.mean(np.square(raw))) < 0.9 * truth  # what the correction is for
