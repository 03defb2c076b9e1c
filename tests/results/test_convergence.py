"""Whether more units give another value: by hand, on units that are alike, and on sparse ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from helpers.reports import flagged
from helpers.results import counted

import differentia as dif
from differentia.results.convergence import convergence_known
from differentia.results.schema import LIMITS

DRAWS = np.array([0.9, 1.0, 1.1])


def flags_of(result: xr.Dataset, *given: xr.Dataset) -> Any:
    flags = dif.not_converged(result, *given)
    assert flags.dims == ("set", "layer", "n_units")
    assert flags.name == "not_converged"
    assert bool((convergence_known(result, *given) | ~flags).all())  # what is marked is known
    return flags.values.tolist()


def known_of(result: xr.Dataset, *given: xr.Dataset) -> Any:
    return convergence_known(result, *given).values.tolist()


# ------------------------------------------------------------------------------- larger numbers of units


def test_a_change_that_matters_and_is_no_chance_marks_a_point() -> None:
    """More than 5 % of the value there, and more than t standard errors of the draws' differences."""
    t = scipy.stats.t.ppf(0.975, 2)
    noise = np.array([-0.1, 0.0, 0.1])  # by how much draws change; their mean has the error 0.1 / sqrt(3)
    edge = t * 0.1 / np.sqrt(3)
    inside, outside = (DRAWS + factor * edge + noise for factor in (0.98, 1.02))
    result = counted(np.array([[DRAWS, inside], [DRAWS, outside]]), [20, 40], [[20, 40]] * 2)
    assert flags_of(result) == [[[False, False], [True, False]]]
    assert known_of(result) == [[[True, False], [True, False]]]
    # without chance, the 5 % alone count, of the larger number's value: upwards as downwards
    changed = [DRAWS / (1 + by) for by in (0.049, 0.051, -0.049, -0.051)]
    flat = np.array([[value.mean() + 0 * DRAWS, np.ones(3)] for value in changed])
    result = counted(flat, [20, 40], [[20, 40]] * 4)
    small = [abs(1 - 1 / (1 + by)) > 0.05 for by in (0.049, 0.051, -0.049, -0.051)]
    assert [one[0] for one in flags_of(result)[0]] == small
    assert small == [False, False, True, True]
    assert dif.not_converged(result.isel(n_units=[1, 0])).values.tolist()[0][3] == [False, True]


def test_every_larger_number_counts() -> None:
    """Small steps add up: the old comparison with the next larger number alone saw none of them."""
    values = np.array([[DRAWS * factor for factor in (1.0, 1.04, 1.08, 1.12)]])
    result = counted(values, [20, 30, 40, 50], [[20, 30, 40, 50]])
    assert flags_of(result) == [[[True, True, False, False]]]
    for one in (0, 1, 2):  # a single step
        assert not dif.not_converged(result.isel(n_units=[one, one + 1])).any()


def test_comparisons_share_the_level() -> None:
    """What is no chance in one comparison may be in the worst of three."""
    t = scipy.stats.t.ppf(0.975, 2)
    away = DRAWS + 1.1 * t * 0.1 / np.sqrt(3) + np.array([-0.1, 0.0, 0.1])
    values = np.array([[DRAWS, DRAWS, DRAWS, away]])
    result = counted(values, [20, 30, 40, 50], [[20, 30, 40, 50]])
    assert not dif.not_converged(result).sel(n_units=20).item()
    assert dif.not_converged(result.sel(n_units=[20, 50])).sel(n_units=20).item()


def test_a_whole_pool_has_one_draw_to_compare_with() -> None:
    """All draws of fewer units are parts of it, so that its own chance does not count."""
    values = np.full((1, 2, 3), np.nan)
    values[0, 0], values[0, 1, 0] = DRAWS, 1.4
    result = counted(values, [20, 80], [[20, 80]])
    assert flags_of(result) == [[[True, False]]]
    values[0, 1, 0] = 1.0 + 0.98 * scipy.stats.t.ppf(0.975, 2) * 0.1 / np.sqrt(3)
    result = counted(values, [20, 80], [[20, 80]])
    assert flags_of(result) == [[[False, False]]]
    assert known_of(result) == [[[True, False]]]


def test_where_it_cannot_be_said_nothing_is_flagged() -> None:
    """One draw has no chance to tell, a NaN no value; a layer that is used whole has converged."""
    values = np.full((4, 2, 3), np.nan)
    values[0, :, 0] = [0.4, 1.4]  # one draw where there should be three
    values[1] = [[np.nan] * 3, [1.4] * 3]
    values[2, :, 0] = 1.0  # all 80 of 80 units, twice
    values[3] = [[0.4] * 3, [1.4, 1.4, np.nan]]
    result = counted(values, [80, 90], [[20, 40], [20, 40], [80, 80], [20, 40]], layer=80)
    assert not dif.not_converged(result).any()
    assert known_of(result) == [[[False, False], [False, False], [True, True], [False, False]]]
    values[0, 0] = [0.39, 0.4, 0.41]
    values[0, 1] = [1.39, 1.4, 1.41]
    assert flags_of(result)[0][0] == [True, False]


# ------------------------------------------------------------------------------- what all units give

SETS = {"noise": 0.5, "cats": 1.0}


def sparse(seed: int, layers: int, units: int = 1000) -> dict[str, dict[str, np.ndarray]]:
    """Return responses as class probabilities are: each image has one class, and next to nothing else."""
    rng = np.random.default_rng(seed)
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, strength in SETS.items():
        found[name] = {}
        for layer in range(layers):
            responses = rng.gamma(0.5, 1e-4, (30, units))
            responses[np.arange(30), rng.integers(0, units, 30)] += strength
            found[name][f"L{layer}"] = responses
    return found


def alike(seed: int, layers: int, units: int = 400) -> dict[str, dict[str, np.ndarray]]:
    """Return responses of units that all vary alike."""
    rng = np.random.default_rng(seed)
    return {name: {f"L{layer}": rng.normal(0, 1, (8, units)) for layer in range(layers)} for name in SETS}


def of_all(arrays: dict[str, dict[str, np.ndarray]], kind: str = "all", draws: int = 1) -> xr.Dataset:
    """Return what all units give, or as a sketch of 50 sums would give it, with an error of some per cent."""
    size = next(iter(arrays["cats"].values())).shape[1]
    result = dif.measure_responses(arrays, n_units=size)
    if kind == "sketch":
        values = result["differentiation"].values[..., :1]
        errors = np.random.default_rng(7).normal(0, 1 / np.sqrt(2 * 50), (*values.shape[:-1], draws))
        of_draws = (("set", "layer", "n_units", "draw"), values * (1 + errors))
        result = result.drop_vars([*LIMITS, "source", "differentiation", "draw"])
        result = result.assign(differentiation=of_draws).assign_coords(n_units=[50], draw=range(draws))
        result["units_used"] = result["units_used"] * 0 + 50
    return result.assign_coords(units=kind)


def share(flags: xr.DataArray) -> float:
    return float(flags.mean())


@pytest.mark.parametrize("pool", [100, 200])
@pytest.mark.parametrize("draws", [3, 10])
def test_chance_marks_few_points_of_units_that_are_alike(draws: int, pool: int) -> None:
    """The control: at most 5 %, with few units and noisy draws, with moments and a result of all units."""
    arrays = alike(1, 25)
    result = dif.measure_responses(arrays, n_units=(20, 50, 100), draws=draws, pool=pool)
    whole = of_all(arrays)
    assert share(dif.not_converged(result)) <= 0.05
    assert share(dif.not_converged(result, whole)) <= 0.05
    assert convergence_known(result).sel(n_units=[20, 50]).all()
    assert convergence_known(result, whole).all()


def test_sparse_layers_are_marked() -> None:
    """By larger numbers where there are any, by the SD of the layer where not, and by all units."""
    arrays = sparse(2, 6)
    result = dif.measure_responses(arrays, n_units=(20, 50, 1000), draws=20)
    assert share(dif.not_converged(result).sel(n_units=[20, 50])) > 0.8  # a draw strays, too
    assert not dif.not_converged(result).sel(n_units=1000).any()
    few = dif.measure_responses(arrays, n_units=(20, 50), draws=10)
    marked = dif.not_converged(few)
    assert share(marked) > 0.8
    assert (marked.sel(n_units=20) | ~marked.sel(n_units=50)).all()  # smaller ones too
    np.testing.assert_array_equal(convergence_known(few).sel(n_units=50), marked.sel(n_units=50))
    without = few.drop_vars("layer_sd")
    assert not dif.not_converged(without).sel(n_units=50).any()
    assert not convergence_known(without).sel(n_units=50).any()
    whole = of_all(arrays)
    single = dif.measure_responses(arrays, n_units=20, pool=600, draws=20).drop_vars("layer_sd")
    assert not dif.not_converged(single).any()
    assert share(dif.not_converged(single, whole)) > 0.8


def by_moments(ratios: list[float], **options: Any) -> xr.Dataset:
    """Return a result whose layer's SD is that of the units at hand, divided by a ratio for each set."""
    rng = np.random.default_rng(3)
    arrays = {f"set {n}": {"L": rng.normal(0, 1, (6, 50))} for n in range(len(ratios))}
    result = dif.measure_responses(arrays, n_units=20, pool=20, **options)
    at_hand = result["unit"].values[0]
    of_layer = [
        [array["L"][:, at_hand].std() / ratio] for array, ratio in zip(arrays.values(), ratios, strict=True)
    ]
    return result.assign(layer_sd=(("set", "layer"), of_layer))


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([1.24, 1.0], [False, False]),
        ([1.26, 1.0], [True, False]),
        ([1 / 1.24, 1.0], [False, False]),
        ([1 / 1.26, 1.0], [True, False]),
        # log 1.36 / sqrt(2) is below log 1.25, and log 1.38 / sqrt(2) above it
        ([1.36, 1.0], [True, False]),
        ([1.38, 1.0], [True, True]),
        ([0.01, 1.0, 1.0], [True, True, True]),
    ],
)
def test_units_with_another_sd_than_their_layer(ratios: list[float], expected: list[bool]) -> None:
    """By a factor of 1.25, either way; for all sets if it is so on average, since they share the units."""
    result = by_moments(ratios)
    assert flags_of(result) == [[[one]] for one in expected]
    assert known_of(result) == [[[one]] for one in expected]  # that they agree shows nothing
    np.testing.assert_array_equal(flagged(result), flags_of(result))


def test_where_the_sd_says_nothing() -> None:
    """Of units that are not random, of the whole layer, without a value, and of sums of other units."""
    assert dif.not_converged(by_moments([2.0])).all()
    assert not dif.not_converged(by_moments([2.0], normalize="response")).any()
    result = by_moments([2.0])
    assert not dif.not_converged(result.assign_coords(units="top")).any()
    assert dif.not_converged(result.assign_coords(units="per_filter")).all()
    assert not dif.not_converged(result.assign(layer_size=("layer", [20]), pool_size=("layer", [20]))).any()
    assert not dif.not_converged(result.assign(differentiation=result["differentiation"] * np.nan)).any()
    assert not dif.not_converged(result.drop_vars("distance")).any()
    assert not dif.not_converged(result.isel(draw=[])).any()
    # the sums are of the larger number, which was taken out
    arrays = alike(4, 3)
    both = dif.measure_responses(arrays, n_units=(20, 300), draws=5)
    assert not dif.not_converged(both.sel(n_units=[20])).any()


def test_all_units_are_compared_with_their_own_error() -> None:
    """A sketch's draws stray too, and so does the pool: both count as chance."""
    arrays = alike(5, 20, units=600)
    result = dif.measure_responses(arrays, n_units=(20, 60), draws=5, pool=60)
    for units, draws in (("all", 1), ("sketch", 5), ("sketch", 1)):
        total = of_all(arrays, units, draws)
        assert share(dif.not_converged(result, total)) <= 0.05
        assert convergence_known(result, total).all()
        wrong = total.assign(differentiation=total["differentiation"] * 2)
        assert share(dif.not_converged(result, wrong)) > 0.95
    single = result.sel(n_units=[60])  # one draw of a whole pool, of which no other number tells the error
    assert not convergence_known(single, total).any()


def test_what_is_no_sketch_of_the_same_experiment() -> None:
    arrays = alike(6, 1)
    result = dif.measure_responses(arrays, n_units=20)
    with pytest.raises(dif.InputError, match=r"sketch= is of the kind 'random'; expected .* sketch or all"):
        dif.not_converged(result, result)
    whole = of_all(arrays)
    top = result.assign_coords(units="top")
    with pytest.raises(dif.InputError, match="'top' do not stand for all of a layer"):
        dif.not_converged(top, whole)
    other = of_all(arrays).assign_attrs(seed=1)
    with pytest.raises(dif.InputError, match="'random' and 'all' differ in their seed"):
        dif.not_converged(result, other)
