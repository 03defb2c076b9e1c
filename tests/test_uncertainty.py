"""The mean and the spread over draws, where kinds of units have one draw only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
import xarray as xr

import differentia as dif
from differentia.intervals import (
    Estimate,
    draw_interval,
    image_interval,
    interval_of_difference,
    interval_of_ratio,
)
from differentia.units import UNIT_KINDS

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


def counted(values: np.ndarray, counts: list[int], used: list[list[int]], *, layer: int = 100) -> xr.Dataset:
    """Return a result of one set by hand; its pools are 80 units."""
    return xr.Dataset(
        {
            "differentiation": (("set", "layer", "n_units", "draw"), values[None]),
            "units_used": (("layer", "n_units"), used),
            "pool_size": ("layer", [80] * len(used)),
            "layer_size": ("layer", [layer] * len(used)),
        },
        coords={"draw": np.arange(values.shape[-1]), "n_units": counts, "units": "random"},
    )


def test_a_point_has_not_converged_where_more_units_lie_outside_its_spread() -> None:
    """Within one SD over draws it has, beyond it not; the SD is the corrected one."""
    draws = np.array([0.9, 1.0, 1.1])
    correction = np.sqrt((1 - 20 / 100) / (1 - 20 / 80))
    edge = draws.std(ddof=1) * correction
    inside = [draws, draws + 0.98 * edge]
    outside = [draws, draws - 1.02 * edge]
    result = counted(np.array([inside, outside]), [20, 40], [[20, 40], [20, 40]])
    flags = dif.not_converged(result)
    assert flags.dims == ("set", "layer", "n_units")
    assert flags.values.tolist() == [[[False, False], [True, False]]]
    # the next larger number is meant, in whatever order they stand
    swapped = dif.not_converged(result.isel(n_units=[1, 0]))
    assert swapped.values.tolist() == [[[False, False], [False, True]]]


def test_where_it_cannot_be_said_nothing_is_flagged() -> None:
    """One draw has no spread, a NaN no value, and a layer that is used whole can't change."""
    values = np.full((3, 2, 3), np.nan)
    values[0, :, 0] = [0.4, 1.4]  # one draw where there should be three
    values[1] = [[np.nan] * 3, [1.4] * 3]
    values[2, :, 0] = 1.0  # all 80 of 80 units, twice
    result = counted(values, [80, 90], [[20, 40], [20, 40], [80, 80]], layer=80)
    assert not dif.not_converged(result).any()
    values[0, 0] = [0.39, 0.4, 0.41]
    values[0, 1] = [1.39, 1.4, 1.41]
    assert dif.not_converged(result).values.tolist() == [[[True, False], [False, False], [False, False]]]


@pytest.mark.parametrize(("draws", "share"), [(2, 0.392), (5, 0.089), (20, 0.0003)])
def test_how_often_chance_alone_flags_a_point(draws: int, share: float) -> None:
    """As the docstring says, where the mean over normal draws is compared with the true value, 0."""
    points = 20_000
    rng = np.random.default_rng(1)
    values = np.full((1, points, 2, draws), np.nan)
    values[..., 0, :] = rng.normal(size=(1, points, draws))
    values[..., 1, 0] = 0.0  # the whole layer
    sizes = np.full(points, 10**9)
    result = xr.Dataset(
        {
            "differentiation": (("set", "layer", "n_units", "draw"), values),
            "units_used": (("layer", "n_units"), np.stack([np.ones_like(sizes), sizes], axis=1)),
            "pool_size": ("layer", sizes),
            "layer_size": ("layer", sizes),
        },
        coords={"n_units": [1, 10**9], "draw": np.arange(draws), "units": "random"},
    )
    flags = dif.not_converged(result)
    assert float(flags.sel(n_units=1).mean()) == pytest.approx(share, rel=0.04, abs=0.0004)
    assert not flags.sel(n_units=10**9).any()


def drawn(seed: int, *, pool: int, draws: int, used: int = 20) -> tuple[xr.Dataset, np.ndarray]:
    """Measure draws of a skewed layer of 300 units; and what 40 fresh draws of the layer itself give."""
    rng = np.random.default_rng(0)
    layer = rng.normal(size=(12, 300)) * np.exp(0.7 * rng.normal(size=300))
    result = dif.measure_responses(
        {"a": {"x": layer}}, n_units=used, pool=pool, draws=draws, seed=seed, resamples=100
    )
    fresh = np.random.default_rng(seed + 10_000)
    values = [dif.differentiation(layer[:, fresh.permutation(300)[:used]]) for _ in range(30)]
    return result, np.array(values)


@pytest.mark.parametrize("pool", [40, 150])
def test_the_interval_holds_fresh_draws(pool: int) -> None:
    """Some 95 % of those from the whole layer, whose corrected SD it has; the pool's own would hold fewer."""
    runs = [drawn(seed, pool=pool, draws=20) for seed in range(40)]
    held = []
    for result, fresh in runs:
        low, high = (result[f"differentiation_{end}"].sel(source="units").item() for end in ("low", "high"))
        held.append(((fresh >= low) & (fresh <= high)).mean())
    assert 0.93 <= np.mean(held) <= 0.975
    if pool == 40:  # the control: what the pool alone shows is too little
        alone = [result["differentiation"].std("draw", ddof=1).item() for result, _ in runs]
        spreads = [dif.draw_spread(result["differentiation"], result).item() for result, _ in runs]
        near = [
            (abs(fresh - fresh.mean()) < 2.09 * sd).mean() for (_, fresh), sd in zip(runs, alone, strict=True)
        ]
        assert np.mean(near) < 0.9
        assert np.mean(spreads) > 1.2 * np.mean(alone)


def test_the_interval_of_draws_by_hand() -> None:
    """The t quantile of a fresh draw's variance and the mean's; none for one draw, no width for all units."""
    values = np.full((2, 1, 3), np.nan)
    values[0, 0] = [0.9, 1.0, 1.2]
    values[1, 0, 0] = 1.4
    result = counted(values, [20], [[20], [80]])
    low, high = draw_interval(result["differentiation"], result, confidence=0.9)
    correction = (1 - 20 / 100) / (1 - 20 / 80)
    reach = scipy.stats.t.ppf(0.95, 2) * np.std(values[0], ddof=1) * np.sqrt(2 * correction - 1 + 1 / 3)
    mean = values[0].mean()
    np.testing.assert_allclose([low[0, 0, 0], high[0, 0, 0]], [max(0, mean - reach), mean + reach])
    assert np.isnan([low[0, 1, 0], high[0, 1, 0]]).all()
    whole = counted(values[1:], [80], [[80]], layer=80)
    for limit in draw_interval(whole["differentiation"], whole, confidence=0.95):
        assert limit.item() == 1.4


def test_limits_stand_in_the_result() -> None:
    """Of units at every number, of images at the largest; they hold the value; more confidence is wider."""
    rng = np.random.default_rng(3)
    arrays = {name: {"x": rng.normal(size=(20, 50)), "y": rng.gamma(1.0, size=(20, 50))} for name in "ab"}
    options: dict[str, Any] = {"n_units": (10, 50), "draws": 6, "resamples": 300}
    result = dif.measure_responses(arrays, **options)
    low, high = result["differentiation_low"], result["differentiation_high"]
    assert low.dims == ("set", "layer", "n_units", "source")
    assert low.attrs == {"confidence": 0.95, "method": "studentized", "resamples": 300}
    means = dif.draw_mean(result["differentiation"], result)
    assert ((low <= means) | low.isnull()).all()
    assert ((high >= means) | high.isnull()).all()
    assert low.sel(source="images", n_units=10).isnull().all()
    assert low.sel(source="images", n_units=50).notnull().all()
    assert low.sel(source="units", n_units=10).notnull().all()
    wider = dif.measure_responses(arrays, confidence=0.99, **options)
    assert (wider["differentiation_low"] < low).sel(source="images", n_units=50).all()
    # seeded: the same again, and others with another seed
    xr.testing.assert_identical(result, dif.measure_responses(arrays, **options))
    other = dif.measure_responses(arrays, seed=1, **options)
    images = {"source": "images", "n_units": 50}
    assert (other["differentiation_low"].sel(images) != low.sel(images)).all()


def test_limits_move_with_the_mean_over_draws() -> None:
    """Those of images are of draw 0: what they are to its value they are to the mean."""
    rng = np.random.default_rng(4)
    result = dif.measure_responses(
        {"a": {"x": rng.gamma(1.0, size=(20, 80))}}, n_units=30, pool=80, draws=8, resamples=300
    )
    alone = result.isel(draw=[0]).assign(pool_size=result["units_used"].isel(n_units=0, drop=True))
    options: Any = {"confidence": 0.95, "resamples": 300, "method": "studentized"}
    limits, of_first = image_interval(result, **options), image_interval(alone, **options)
    first = result["differentiation"].isel(draw=0)
    mean = result["differentiation"].mean("draw")
    for limit, other in zip(limits, of_first, strict=True):
        np.testing.assert_allclose(limit / mean, other / first)
    assert abs(mean / first - 1).item() > 1e-3


def test_where_images_have_no_limits() -> None:
    """Few images, other metrics, no distances; the ones of units are there all the same."""
    rng = np.random.default_rng(5)

    def limits(n: int = 12, **options: Any) -> np.ndarray:
        arrays = {"a": {"x": rng.normal(size=(n, 30))}}
        result = dif.measure_responses(arrays, n_units=10, draws=5, pool=30, resamples=100, **options)
        assert result["differentiation_low"].sel(source="units").notnull().all()
        found: np.ndarray = result["differentiation_low"].sel(source="images").values
        return found

    assert np.isfinite(limits()).all()
    assert np.isfinite(limits(normalize="none")).all()
    assert np.isnan(limits(9)).all()
    assert np.isnan(limits(metric="cityblock")).all()
    assert np.isnan(limits(normalize="response")).all()


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("confidence is 95; expected a number from 0.5 to below 1", {"confidence": 95}),
        ("confidence is nan", {"confidence": float("nan")}),
        ("confidence is '0.9'", {"confidence": "0.9"}),
        ("resamples is 10; expected 100 to 100,000", {"resamples": 10}),
        ("resamples is 2.5; expected a whole number", {"resamples": 2.5}),
        ("unknown method 'bcaa'. Did you mean 'bca'", {"method": "bcaa"}),
    ],
)
def test_options_of_intervals_that_cannot_be_used(message: str, options: dict[str, Any]) -> None:
    """The error says what was given, and what would do."""
    result = dif.measure_responses({"a": {"x": np.eye(12)}}, resamples=100)
    with pytest.raises(dif.InputError, match=message):
        dif.with_intervals(result, **options)


def test_differences_and_ratios_by_hand() -> None:
    """The squares of how far the limits lie add up, each on its side; of a ratio, those of logarithms."""

    def estimate(*values: float) -> Estimate:
        return Estimate(*(xr.DataArray(value) for value in values))

    one, other = estimate(5.0, 4.0, 8.0), estimate(2.0, 1.5, 2.4)
    low, high = interval_of_difference(one, other)
    assert low.item() == pytest.approx(3 - np.hypot(1, 0.4))
    assert high.item() == pytest.approx(3 + np.hypot(3, 0.5))
    low, high = interval_of_ratio(one, other)
    assert low.item() == pytest.approx(2.5 * np.exp(-np.hypot(np.log(5 / 4), np.log(2.4 / 2))))
    assert high.item() == pytest.approx(2.5 * np.exp(np.hypot(np.log(8 / 5), np.log(2 / 1.5))))
    assert np.isnan(interval_of_ratio(one, estimate(0.0, 0.0, 0.0))[0])
