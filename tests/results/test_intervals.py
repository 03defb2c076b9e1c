"""Limits of values, by source of uncertainty; of differences and ratios."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from helpers.results import counted

import differentia as dif
from differentia.results.intervals import (
    Estimate,
    draw_interval,
    image_interval,
    interval_of_difference,
    interval_of_ratio,
)

RNG = np.random.default_rng(0)


COPIES = 40


@cache
def fresh_draws() -> tuple[np.ndarray, np.ndarray]:
    """Return a skewed layer of 300 units, and what fresh draws of 20 of them give: 30 for each copy of it."""
    rng = np.random.default_rng(0)
    layer = rng.normal(size=(12, 300)) * np.exp(0.7 * rng.normal(size=300))
    values = [
        [dif.differentiation(layer[:, fresh.permutation(300)[:20]]) for _ in range(30)]
        for fresh in (np.random.default_rng(10_000 + copy) for copy in range(COPIES))
    ]
    return layer, np.array(values).T


@pytest.mark.parametrize("pool", [40, 150])
def test_the_interval_holds_fresh_draws(pool: int) -> None:
    """Some 95 % of those from the whole layer, whose corrected SD it has; the pool's own would hold fewer.

    Copies of a layer have pools and draws of their own, since they have other names.
    """
    layer, fresh = fresh_draws()
    copies = {f"copy {at}": layer for at in range(COPIES)}
    result = dif.measure_responses({"a": copies}, n_units=20, pool=pool, draws=20).isel(set=0, n_units=0)
    assert len(np.unique(result["differentiation"])) == COPIES * 20
    low, high = (result[f"differentiation_{end}"].sel(source="units").values for end in ("low", "high"))
    assert 0.93 <= ((low <= fresh) & (fresh <= high)).mean() <= 0.975
    if pool == 40:  # the control: what the pool alone shows is too little
        alone = result["differentiation"].std("draw", ddof=1).values
        spreads = dif.draw_spread(result["differentiation"], result)
        assert (abs(fresh - fresh.mean(axis=0)) < 2.09 * alone).mean() < 0.9
        assert spreads.mean() > 1.2 * alone.mean()


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
    """Of units, of images and of both, at every number; they hold the value; more confidence is wider."""
    rng = np.random.default_rng(3)
    arrays = {name: {"x": rng.normal(size=(20, 50)), "y": rng.gamma(1.0, size=(20, 50))} for name in "ab"}
    options: dict[str, Any] = {"n_units": (10, 50), "draws": 6}
    result = dif.measure_responses(arrays, **options)
    low, high = result["differentiation_low"], result["differentiation_high"]
    assert low.dims == ("set", "layer", "n_units", "source")
    assert low["source"].values.tolist() == ["units", "images", "both"]
    assert (low.attrs["confidence"], low.attrs["method"]) == (0.95, "jackknifed test")
    means = dif.draw_mean(result["differentiation"], result)
    assert (((low <= means) & (means <= high)) | low.isnull()).all()
    assert low.sel(layer="x").notnull().all()
    wider = dif.with_intervals(result, confidence=0.99)
    assert (wider["differentiation_low"] < low).sel(source="images", layer="x").all()
    # nothing is drawn at random: another seed, with all units, gives the same
    xr.testing.assert_identical(result, dif.measure_responses(arrays, **options))
    xr.testing.assert_identical(dif.with_intervals(result), result)
    other = dif.measure_responses(arrays, seed=1, **options)
    images = {"source": "images", "n_units": 50}
    np.testing.assert_allclose(other["differentiation_low"].sel(images), low.sel(images), rtol=1e-5)


def test_limits_of_both_join_the_two() -> None:
    """How far the limits of the mean over draws lie, and those of images: the root of the sum of squares."""
    rng = np.random.default_rng(8)
    result = dif.measure_responses({"a": {"x": rng.gamma(1.0, size=(20, 80))}}, n_units=30, pool=60, draws=8)
    mean = dif.draw_mean(result["differentiation"], result)
    low, high = (result[f"differentiation_{end}"] for end in ("low", "high"))
    units = draw_interval(result["differentiation"], result, confidence=0.95, fresh=False)
    for limit, of_units in ((low, units[0]), (high, units[1])):
        expected = np.hypot(of_units - mean, limit.sel(source="images") - mean)
        np.testing.assert_allclose(abs(limit.sel(source="both") - mean), expected)
    assert (low.sel(source="both") < low.sel(source="images")).all()


@pytest.mark.parametrize(("normalize", "metric"), [("layer", "euclidean"), ("none", "euclidean")])
def test_results_of_older_versions_have_the_same_limits(normalize: str, metric: str) -> None:
    """From the distances that they hold, at their largest number of units; at none without distances."""
    rng = np.random.default_rng(9)
    arrays = {"a": {"x": rng.normal(size=(20, 60)) + 1, "y": rng.gamma(1.0, size=(20, 60))}}
    result = dif.measure_responses(arrays, n_units=(20, 60), draws=3, normalize=normalize, metric=metric)
    old = result.drop_dims("score").drop_vars(["freedom", "influence", "doubt"])
    again = dif.with_intervals(old)
    images = {"source": "images", "n_units": 60}
    for end in ("low", "high"):
        limits = f"differentiation_{end}"
        np.testing.assert_allclose(again[limits].sel(images), result[limits].sel(images), rtol=2e-5)
        assert again[limits].sel(source="images", n_units=20).isnull().all()
        assert dif.with_intervals(old.drop_vars("distance"))[limits].sel(images).isnull().all()
        # distances of more units than the value is of tell nothing of it
        few = dif.with_intervals(old.sel(n_units=[20]))[limits]
        assert few.sel(source="images").isnull().all()


@pytest.mark.parametrize("cores", [1, 3])
def test_limits_do_not_depend_on_how_many_are_found_at_once(
    cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit, for sets of unequal size; each case is found on one of as many threads."""
    rng = np.random.default_rng(4)
    arrays = {
        name: {layer: rng.normal(size=(size, 30)) for layer in ("x", "y", "z")}
        for name, size in (("a", 12), ("b", 8), ("c", 15))
    }
    old = dif.measure_responses(arrays).drop_dims("score").drop_vars(["freedom", "influence", "doubt"])
    started: list[int] = []

    def pool(workers: int) -> ThreadPoolExecutor:
        started.append(workers)
        return ThreadPoolExecutor(workers)

    expected = dif.with_intervals(old)
    monkeypatch.setattr("differentia.results.intervals.usable_cores", lambda: cores)
    monkeypatch.setattr("differentia.results.intervals.ThreadPoolExecutor", pool)
    again = dif.with_intervals(old)
    assert started == [cores]
    xr.testing.assert_identical(again, expected)
    # the control: each set and layer has limits of its own, and that of few images none
    low = again["differentiation_low"].sel(source="images")
    assert len(np.unique(low.values[np.isfinite(low.values)])) == 6


def test_limits_move_with_the_mean_over_draws() -> None:
    """Those of images are of draw 0: what they are to its value they are to the mean."""
    rng = np.random.default_rng(4)
    result = dif.measure_responses({"a": {"x": rng.gamma(1.0, size=(20, 80))}}, n_units=30, pool=80, draws=8)
    alone = result.isel(draw=[0]).assign(pool_size=result["units_used"].isel(n_units=0, drop=True))
    limits, of_first = image_interval(result, confidence=0.95), image_interval(alone, confidence=0.95)
    first = result["differentiation"].isel(draw=0)
    mean = result["differentiation"].mean("draw")
    for limit, other in zip(limits, of_first, strict=True):
        np.testing.assert_allclose(limit / mean, other / first)
    assert abs(mean / first - 1).item() > 1e-3


@pytest.mark.parametrize(
    ("normalize", "metric"),
    [
        *(("layer", metric) for metric in ("euclidean", "cityblock", "correlation", "cosine")),
        *((normalize, "euclidean") for normalize in ("response", "unit", "none")),
        ("unit", "cityblock"),
    ],
)
def test_every_measure_has_limits(normalize: str, metric: str) -> None:
    """They hold their value, and in 9 of 10 sets or more that of many images."""
    rng = np.random.default_rng(7)
    scales = 1 / np.sqrt(np.arange(1, 31))

    def measured(sets: int, n: int) -> xr.Dataset:
        arrays = {f"s{at}": {"x": rng.normal(size=(n, 30)) * scales + scales} for at in range(sets)}
        return dif.measure_responses(arrays, normalize=normalize, metric=metric)

    truth = measured(1, 800)["differentiation"].isel(draw=0).item()
    result = measured(40, 30)
    value = result["differentiation"].isel(draw=0, n_units=0, layer=0)
    low, high = (
        result[f"differentiation_{end}"].isel(n_units=0, layer=0).sel(source="images")
        for end in ("low", "high")
    )
    assert ((low <= value) & (value <= high)).all()
    assert ((low <= truth) & (truth <= high)).mean() >= 0.85  # two standard errors below 0.95
    # the control: they are about as wide as values differ
    assert 0.7 < ((high - low) / 2).median() / (1.96 * value.std("set", ddof=1)) < 1.6


def test_sketches_have_limits_at_every_number() -> None:
    """Near those of all units, whose SD they have."""
    rng = np.random.default_rng(10)
    frames = rng.integers(0, 256, (20, 12, 12, 3), dtype=np.uint8)
    network = dif.load_network("digits")
    kinds = dif.measure_kinds(
        network, {"a": frames}, kinds=("sketch", "all"), layers=["block1_relu1"], n_units=(256, 1024), draws=3
    )
    sketch, whole = (kinds[kind]["differentiation_low"].sel(source="images") for kind in ("sketch", "all"))
    assert sketch.notnull().all()
    np.testing.assert_allclose(sketch.isel(n_units=-1), whole.isel(n_units=0), rtol=0.05)


def test_where_images_have_no_limits() -> None:
    """Of few images, and where they could not be trusted; the ones of units are there all the same."""
    rng = np.random.default_rng(5)

    def limits(responses: np.ndarray) -> np.ndarray:
        result = dif.measure_responses({"a": {"x": responses}}, n_units=10, draws=5, pool=30)
        assert result["differentiation_low"].sel(source="units").notnull().all()
        found: np.ndarray = result["differentiation_low"].sel(source="images").values
        return found

    responses = rng.normal(size=(12, 30))
    assert np.isfinite(limits(responses)).all()
    assert np.isnan(limits(responses[:9])).all()
    responses[3] *= 8
    assert np.isnan(limits(responses)).all()


@pytest.mark.parametrize(
    ("message", "confidence"),
    [
        ("confidence is 95; expected a number from 0.5 to below 1", 95),
        ("confidence is nan", float("nan")),
        ("confidence is '0.9'", "0.9"),
    ],
)
def test_a_confidence_that_cannot_be_used(message: str, confidence: Any) -> None:
    """The error says what was given, and what would do."""
    result = dif.measure_responses({"a": {"x": np.eye(12)}})
    with pytest.raises(dif.InputError, match=message):
        dif.with_intervals(result, confidence=confidence)


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
