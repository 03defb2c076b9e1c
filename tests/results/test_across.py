"""Several networks, animals or sessions: against SciPy, by hand, and with every arrangement tried."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers.documents import script
from hypothesis import given, settings, strategies as st
from scipy import stats

import differentia as dif
from differentia.results.across import (
    LIMITS_BY,
    compare_groups,
    compare_pairs,
    critical_p,
    holm,
    mean_of,
    require_across,
    sign_flips,
)
from differentia.results.dataset import with_provenance

LAYERS = ("input", "conv", "dense")


def measured(
    seed: int, *, apart: float = 0.0, layers: tuple[str, ...] = LAYERS, **options: Any
) -> xr.Dataset:
    """Measure three sets as one network responds to them; the last set's responses vary less in "dense"."""
    rng = np.random.default_rng(seed)
    profile = {layer: rng.gamma(2.0, 1.0) * rng.normal(size=30) for layer in layers}
    arrays = {
        name: {
            layer: rng.normal(size=(12, 30))
            + profile[layer] * (1 + apart * (name == "dogs" and layer == "dense"))
            for layer in layers
        }
        for name in ("noise", "cats", "dogs")
    }
    return dif.measure_responses(arrays, **{"reference": "noise", **options})


def results(n: int, **options: Any) -> dict[str, xr.Dataset]:
    return {f"seed {seed}": measured(seed, **options) for seed in range(n)}


@pytest.fixture(scope="module")
def eight() -> dict[str, xr.Dataset]:
    """Eight networks, whose "dogs" differ from "cats" in the layer "dense" alone."""
    return results(8, apart=1.5)


def value(result: xr.Dataset, name: str, layer: str) -> float:
    return float(result["differentiation"].sel(set=name, layer=layer).isel(n_units=-1).mean("draw"))


def test_means_and_intervals_are_those_of_one_sample(eight: dict[str, xr.Dataset]) -> None:
    """Each result is one observation: mean, SD, and the interval of SciPy's one-sample t."""
    found = dif.across(eight, confidence=0.9)
    assert found["mean"].dims == ("group", "set", "layer")
    assert found["value"].dims == ("result", "set", "layer")
    assert found["result"].values.tolist() == list(eight)
    assert found["group"].values.tolist() == ["all"]
    for name, layer in product(("noise", "cats", "dogs"), LAYERS):
        values = [value(result, name, layer) for result in eight.values()]
        cell = found.sel(group="all", set=name, layer=layer)
        np.testing.assert_allclose(found["value"].sel(set=name, layer=layer), values)
        expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
        np.testing.assert_allclose([cell["low"], cell["high"]], expected)
        assert cell["mean"] == pytest.approx(np.mean(values))
        assert cell["sd"] == pytest.approx(np.std(values, ddof=1))
        assert cell["n_results"] == 8


def test_draws_are_averaged_before(eight: dict[str, xr.Dataset]) -> None:
    """More draws, and smaller numbers of units, are no more observations."""
    del eight
    several = results(3, n_units=(5, 20), draws=4)
    found = dif.across(several)
    for name, result in several.items():
        expected = dif.draw_mean(result["differentiation"], result).sel(n_units=20, set="cats")
        np.testing.assert_allclose(found["value"].sel(result=name, set="cats"), expected)
    assert (found["n_results"] == 3).all()


def test_relative_values(eight: dict[str, xr.Dataset]) -> None:
    """Each is divided by its own network's reference, not by a mean over networks."""
    found = dif.across(eight, value="relative")
    for name, result in eight.items():
        expected = value(result, "cats", "conv") / value(result, "noise", "conv")
        assert found["value"].sel(result=name, set="cats", layer="conv") == pytest.approx(expected)
    np.testing.assert_allclose(found[["mean", "low", "high"]].sel(set="noise").to_array(), 1.0)
    assert found.attrs["reference"] == "noise"


def test_groups(eight: dict[str, xr.Dataset]) -> None:
    """By name or in order; each group's numbers are those of its results alone."""
    labels = ["new", "old", "old", "new", "old", "old", "old", "new"]
    found = dif.across(eight, group=labels)
    assert found["group"].values.tolist() == ["new", "old"]
    assert found["result_group"].values.tolist() == labels
    named = dict(zip(eight, labels, strict=True))
    xr.testing.assert_identical(found, dif.across(eight, group=dict(reversed(named.items()))))
    alone = dif.across({name: result for name, result in eight.items() if named[name] == "new"})
    for what in ("mean", "sd", "low", "high", "n_results"):
        np.testing.assert_array_equal(found[what].sel(group="new"), alone[what].sel(group="all"))
    assert found["n_results"].sel(group="old").values.tolist() == [[5] * 3] * 3


def test_a_list_of_results(eight: dict[str, xr.Dataset]) -> None:
    """Their names are numbers from 1."""
    found = dif.across(list(eight.values()))
    assert found["result"].values.tolist() == list("12345678")
    np.testing.assert_array_equal(found["value"], dif.across(eight)["value"])


def test_sets_and_layers_are_matched_by_name(eight: dict[str, xr.Dataset]) -> None:
    """Their order is the first result's."""
    (first, one), (other, another) = list(eight.items())[:2]
    turned = another.sel(set=["dogs", "noise", "cats"], layer=["dense", "input", "conv"])
    xr.testing.assert_identical(
        dif.across({first: one, other: another}), dif.across({first: one, other: turned})
    )


def test_layers_of_other_names_can_be_given_one(eight: dict[str, xr.Dataset]) -> None:
    """As the error says: of other architectures, those that correspond."""
    one, other = eight["seed 0"], measured(1, layers=("stem", "head"))
    with pytest.raises(
        dif.InputError,
        match=r"'a' and 'b' differ in their layers: only 'a' has input, conv, dense; "
        r"only 'b' has stem, head\. "
        r"Select those that all have, result\.sel\(layer=\[\.\.\.\]\), or give those that correspond one "
        r"name, result\.assign_coords\(layer=",
    ):
        dif.across({"a": one, "b": other})
    found = dif.across(
        {
            "a": one.sel(layer=["input", "dense"]).assign_coords(layer=["first", "last"]),
            "b": other.assign_coords(layer=["first", "last"]),
        }
    )
    assert found["value"].sel(result="a", set="cats", layer="last") == value(one, "cats", "dense")
    assert found["value"].sel(result="b", set="cats", layer="last") == value(other, "cats", "head")


def test_missing_values(eight: dict[str, xr.Dataset]) -> None:
    """What has no value is left out, and how many have one is said; fewer than 2 have no interval."""
    gaps = dict(eight)
    for place, name in enumerate(list(gaps)[:7]):
        values = gaps[name]["differentiation"].copy()
        if place < 2:
            values.loc[{"set": "cats", "layer": "conv"}] = np.nan
        values.loc[{"set": "dogs", "layer": "conv"}] = np.nan
        gaps[name] = gaps[name].assign(differentiation=values)
    found = dif.across(gaps).sel(group="all", layer="conv")
    assert found["n_results"].values.tolist() == [8, 6, 1]
    left = [value(result, "cats", "conv") for result in list(eight.values())[2:]]
    expected = stats.ttest_1samp(left, 0.0).confidence_interval(0.95)
    np.testing.assert_allclose([found["low"].sel(set="cats"), found["high"].sel(set="cats")], expected)
    assert found["mean"].sel(set="dogs") == value(eight["seed 7"], "dogs", "conv")
    assert found[["sd", "low", "high"]].sel(set="dogs").to_array().isnull().all()
    contrasts = dif.contrast_across(dif.across(gaps), "cats", "noise").sel(group="all")
    assert contrasts["n_first"].values.tolist() == [8, 6, 8]
    assert contrasts["p"].notnull().all()
    none = dif.contrast_across(dif.across(gaps), "cats", "dogs").sel(group="all", layer="conv")
    assert np.isnan([none[name] for name in ("p", "p_corrected", "p_sign_flips", "difference_low")]).all()


def test_one_result_has_no_interval() -> None:
    """Its value is the mean; of others nothing is known."""
    found = dif.across([measured(0)])
    np.testing.assert_array_equal(found["mean"].sel(group="all"), found["value"].isel(result=0))
    assert found[["sd", "low", "high"]].to_array().isnull().all()
    assert dif.contrast_across(found, "cats", "dogs")["p"].isnull().all()


def test_sets_are_compared_in_pairs(eight: dict[str, xr.Dataset]) -> None:
    """As by SciPy's paired t; in the layer where they differ p is small, and corrected p too."""
    found = dif.across(eight)
    contrast = dif.contrast_across(found, "cats", "dogs").sel(group="all")
    for layer in LAYERS:
        one, other = ([value(result, name, layer) for result in eight.values()] for name in ("cats", "dogs"))
        test, cell = stats.ttest_rel(one, other), contrast.sel(layer=layer)
        assert cell["p"] == pytest.approx(test.pvalue)
        assert cell["statistic"] == pytest.approx(test.statistic)
        limits = [cell["difference_low"], cell["difference_high"]]
        np.testing.assert_allclose(limits, test.confidence_interval(0.95))
    assert contrast["p_corrected"].sel(layer="dense") < 0.05
    assert contrast["p_corrected"].sel(layer="input") > 0.05  # the control
    assert contrast["least_p"] == 1 / 128
    assert contrast["correction"] == "max statistic"
    back = dif.contrast_across(found, "dogs", "cats").sel(group="all")
    np.testing.assert_allclose(back["difference"], -contrast["difference"])
    np.testing.assert_allclose(back["simultaneous_low"], -contrast["simultaneous_high"])
    np.testing.assert_array_equal(back["p_corrected"], contrast["p_corrected"])


def test_pairing_counts() -> None:
    """What every network shows is seen, though networks vary more (the control: unpaired)."""
    rng = np.random.default_rng(0)
    one = rng.gamma(2.0, 1.0, (10, 1))
    other = one + 0.1 + 0.02 * rng.normal(size=(10, 1))
    assert compare_pairs(one - other, 0.95)["p"] < 1e-4
    assert compare_groups(one, other, 0.95)["p"] > 0.5


def test_groups_are_compared_as_by_welch(eight: dict[str, xr.Dataset]) -> None:
    """On each set, as by SciPy's t of unequal variances."""
    labels = ["new", "old", "old", "new", "old", "old", "old", "new"]
    found = dif.across(eight, group=labels)
    contrast = dif.contrast_across(found, "old", "new", between="groups")
    assert contrast["difference"].dims == ("set", "layer")
    values, old = found["value"], np.array(labels) == "old"
    test = stats.ttest_ind(values[old], values[~old], equal_var=False)
    np.testing.assert_allclose(contrast["p"], test.pvalue)
    limits = test.confidence_interval(0.95)
    np.testing.assert_allclose(contrast["difference_low"], limits.low)
    np.testing.assert_allclose(contrast["difference_high"], limits.high)
    assert (contrast["n_first"] == 5).all()
    assert (contrast["n_second"] == 3).all()
    np.testing.assert_array_equal(contrast["p_corrected"], [holm(p) for p in test.pvalue])
    assert set(contrast["correction"].values) == {"Holm"}


def exact_flips(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return p by all changes of sign with SciPy's t, alone and of the largest |t| of all layers."""
    observed = np.abs(stats.ttest_1samp(differences, 0.0).statistic)
    signs = np.array(list(product((1, -1), repeat=len(differences))))
    every = np.abs([stats.ttest_1samp(differences * row[:, None], 0.0).statistic for row in signs])
    reached = every >= observed - 1e-9
    return reached.mean(axis=0), (every.max(axis=1)[:, None] >= observed - 1e-9).mean(axis=0)


@pytest.mark.parametrize("n", [6, 7, 9])
def test_all_sign_flips_by_brute_force(n: int) -> None:
    """Half of them are tried, since to change all signs changes no |t|."""
    differences = np.random.default_rng(n).normal(0.6, 1.0, (n, 3))
    found = compare_pairs(differences, 0.95)
    alone, corrected = exact_flips(differences)
    np.testing.assert_allclose(found["p_sign_flips"], alone)
    np.testing.assert_allclose(found["p_corrected"], np.maximum(corrected, found["p"]))
    assert found["least_p"] == 2 / 2**n
    with_ties = np.round(differences)
    with_ties[:, 0] += 0.25
    np.testing.assert_allclose(compare_pairs(with_ties, 0.95)["p_sign_flips"], exact_flips(with_ties)[0])


def test_changes_of_sign() -> None:
    """Those observed come first, and none twice; of many, some are drawn, the same ones each time."""
    for n in (1, 2, 6, 14):
        signs = sign_flips(n)
        assert (signs[0] == 1).all()
        assert len(np.unique(signs, axis=0)) == len(signs) == 2 ** (n - 1)
        assert not (signs[:, None] == -signs[None, :64]).all(axis=2).any()
    assert sign_flips(20).shape == (10_000, 20)
    np.testing.assert_array_equal(sign_flips(20), sign_flips(20))
    assert abs(sign_flips(20).mean()) < 0.01


@pytest.mark.parametrize("n", [2, 5])
def test_few_results_are_corrected_by_holm(n: int) -> None:
    """Sign flips of five can't reach 0.05; with six they can."""
    differences = np.random.default_rng(0).normal(1.0, 0.2, (n, 3))
    found = compare_pairs(differences, 0.95)
    assert found["correction"] == "Holm"
    assert found["least_p"] == 2 / 2**n
    assert np.isnan(found["p_sign_flips"]).all()
    assert np.isnan(found["simultaneous_low"]).all()
    np.testing.assert_array_equal(found["p_corrected"], holm(found["p"]))


def test_corrected_p_is_never_below_p() -> None:
    """All signs are alike, so that flips find little as extreme; but one value is far off, which t minds."""
    found = compare_pairs(np.array([0.1, 0.1, 0.2, 0.1, 0.1, 3.0])[:, np.newaxis], 0.95)
    assert found["p_sign_flips"] == 2 / 2**6
    assert found["p"] > 0.2
    np.testing.assert_array_equal(found["p_corrected"], found["p"])
    for end in ("low", "high"):
        np.testing.assert_allclose(found[f"simultaneous_{end}"], found[f"difference_{end}"])


def test_holm_by_hand() -> None:
    """The least is multiplied by the number of tests, the next by one less; none is below one before it."""
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, np.nan, 0.03])), [0.06, 0.03, np.nan, 0.06])
    np.testing.assert_array_equal(holm(np.array([0.9, 0.6])), [1.0, 1.0])
    np.testing.assert_array_equal(holm(np.array([np.nan])), [np.nan])


def test_the_critical_p_by_hand() -> None:
    """Of 19 others and what was observed, one may reach a layer at 10 %, none at 5 %; at 1 % none can."""
    others = np.array([np.linspace(0.9, 0.1, 19), np.full(19, 0.8)])
    assert critical_p(others, 0.05) == pytest.approx(0.1, rel=1e-5)
    assert critical_p(others, 0.1) == pytest.approx(others[0, -2], rel=1e-5)
    assert critical_p(others, 0.01) == 0
    assert critical_p(np.array([[np.nan] + [0.5] * 18]), 0.05) == 0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.tuples(st.integers(2, 9), st.integers(2, 6)),
    shift=st.floats(-3, 3),
    confidence=st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]),
    gaps=st.booleans(),
)
def test_p_and_intervals_say_the_same(
    seed: int, sizes: tuple[int, int], shift: float, confidence: float, gaps: bool
) -> None:
    """An interval leaves out 0 just where p is below 1 - confidence; so do the simultaneous ones."""
    rng = np.random.default_rng(seed)
    one, other = (rng.gamma(2.0, 1.0, (n, 4)) for n in sizes)
    one += shift * np.array([0.0, 0.3, 1.0, 3.0])
    if gaps:
        one[rng.random(one.shape) < 0.2] = np.nan
    for found in (compare_pairs(one - 2.0, confidence), compare_groups(one, other, confidence)):
        for p, name in (("p", "difference"), ("p_corrected", "simultaneous"))[: 1 + ("least_p" in found)]:
            low, high = found[f"{name}_low"], found[f"{name}_high"]
            known = np.isfinite(found[p]) & ~np.isnan(low)
            out = (low > 0) | (high < 0)
            np.testing.assert_array_equal(out[known], (found[p] <= 1 - confidence + 1e-12)[known])
        known = np.isfinite(found["p"])
        assert (found["p_corrected"] >= found["p"])[known].all()
        assert np.isnan(found["p_corrected"][~known]).all()


def test_corrected_p_holds_its_level() -> None:
    """Of eight networks without a difference, some layer of 20 seems to differ in about one of 20 cases."""
    rng = np.random.default_rng(0)
    layers = rng.normal(size=(400, 8, 20)) + rng.normal(size=(400, 8, 1))  # layers of a network are alike
    found = [compare_pairs(differences, 0.95) for differences in layers]
    corrected = np.mean([(one["p_corrected"] <= 0.05).any() for one in found])
    assert 0.02 < corrected < 0.085  # 3 SE of 400 cases around 0.05
    assert np.mean([(one["p"] <= 0.05).any() for one in found]) > 0.2  # the control


def test_what_does_not_vary_has_no_p() -> None:
    """There is nothing to judge a difference by; nor is there of a difference of 0."""
    differences = np.random.default_rng(0).normal(size=(6, 3))
    differences[:, 0], differences[:, 1] = 0.1, 0.0
    found = compare_pairs(differences, 0.95)
    for name in ("p", "p_corrected", "p_sign_flips", "difference_low", "simultaneous_high", "statistic"):
        assert np.isfinite(found[name]).tolist() == [False, False, True], name
    np.testing.assert_allclose(found["difference"][:2], [0.1, 0.0])


def test_bootstrap_t() -> None:
    """Wider than t, to the right where values are skewed; about as t for many Gaussian ones."""
    rng = np.random.default_rng(0)
    skewed = rng.gamma(2.0, 1.0, (8, 200))
    mean = mean_of(skewed)
    (low, high), (t_low, t_high) = (LIMITS_BY[name](skewed, mean, 0.95) for name in ("bootstrap", "t"))
    assert np.mean(high - low) > np.mean(t_high - t_low)
    assert np.mean(high - mean.value) > 1.2 * np.mean(mean.value - low)
    np.testing.assert_allclose(t_high - mean.value, mean.value - t_low)
    many = rng.normal(size=(200, 50))
    ends = [LIMITS_BY[name](many, mean_of(many), 0.95) for name in ("bootstrap", "t")]
    np.testing.assert_allclose(ends[0], ends[1], atol=0.03)


def test_bootstrap_of_few_of_gaps_and_of_one_value() -> None:
    """Fewer than five have no limits; with a gap, as without that result; one value is its own limit."""
    rng = np.random.default_rng(1)
    values = rng.gamma(2.0, 1.0, (7, 3))
    values[:3, 1], values[0, 2] = np.nan, np.nan
    values = np.concatenate([values, np.full((7, 1), 0.3)], axis=1)
    low, high = LIMITS_BY["bootstrap"](values, mean_of(values), 0.95)
    assert np.isnan(low).tolist() == [False, True, False, False]
    assert (low[3], high[3]) == pytest.approx((0.3, 0.3))
    six = values[1:, 2:3]
    np.testing.assert_allclose([low[2:3], high[2:3]], LIMITS_BY["bootstrap"](six, mean_of(six), 0.95))
    found = dif.across(results(5), method="bootstrap")
    assert found.attrs["method"] == "bootstrap"
    assert (found["low"] < found["mean"]).all()
    assert (found["mean"] < found["high"]).all()


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of Gaussian values in 93 to 97 %, of skewed ones in 90 % or more; of very skewed ones fewer."""
    told = script("coverage_across")
    found = told.rows(2000)
    covered = {(row["values"], row["n"], row["method"]): row["coverage"] for row in found}
    assert len(covered) == 18
    for (name, n, method), coverage in covered.items():
        if name == "Gaussian":
            assert 0.93 < coverage < 0.97, (n, method)
        elif name == "gamma, shape 2":
            assert coverage > 0.9, (n, method)
        else:
            assert covered[name, n, "t"] < 0.9  # the control
            assert covered[name, n, "bootstrap"] > 0.88
    head, _, *lines = told.markdown(found)
    assert head.startswith("| values | networks | t | bootstrap | width, t")
    assert len(lines) == 9
    assert lines[0].startswith(f"| Gaussian | 5 | {100 * covered['Gaussian', 5, 't']:.1f} (")


def test_a_network_given_twice_is_warned_of(eight: dict[str, xr.Dataset]) -> None:
    """It is one observation; two of the same kind are no copies."""
    one = eight["seed 0"]
    with pytest.warns(dif.DifferentiaWarning, match="'seed 0' and 'again' have the same values throughout"):
        dif.across({**eight, "again": one})


@pytest.mark.parametrize(
    ("message", "changed"),
    [
        (
            r"only 'b' has extra\. Select those that all have",
            lambda one: one.assign_coords(set=["noise", "cats", "extra"]),
        ),
        (
            "differ in their metric: 'euclidean' and 'correlation'; measure all of them alike",
            lambda one: one.assign_attrs(metric="correlation"),
        ),
        ("differ in their units: 'random' and 'top'", lambda one: one.assign_coords(units="top")),
        ("differ in their largest n_units: 20 and 9", lambda one: one.assign_coords(n_units=[9])),
        (
            "differ in their tokens: 'all' and 'class'",
            lambda one: with_provenance(one, tokens="class"),
        ),
        ("differ in their reference: 'noise' and 'cats'", lambda one: one.assign_attrs(reference="cats")),
    ],
)
def test_results_that_differ(message: str, changed: Any) -> None:
    """The error says which results, in what, and what to do."""
    one, other = results(2, n_units=20).values()
    with pytest.raises(dif.InputError, match=message):
        dif.across({"a": one, "b": changed(other)}, value="relative")


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("unknown value 'relativ'. Did you mean 'relative'", {"value": "relativ"}),
        ("unknown method 'z'", {"method": "z"}),
        ("confidence is 95; expected a number from 0.5", {"confidence": 95}),
        ("group= has 1 groups; expected 2, one for each result", {"group": ["x"]}),
        ("group= names no group for b", {"group": {"a": "x"}}),
        ("unknown result in group= 'c'", {"group": {"a": "x", "b": "x", "c": "x"}}),
        ("group= is 'x'; expected", {"group": "x"}),
        ("a group has an empty name", {"group": ["x", " "]}),
    ],
)
def test_options_that_cannot_be_used(message: str, options: dict[str, Any]) -> None:
    """The error says what was given and what is expected."""
    with pytest.raises(dif.InputError, match=message):
        dif.across({"a": measured(0), "b": measured(1)}, **options)


@pytest.mark.parametrize(
    ("message", "given"),
    [
        ("results is of type Dataset; expected {name: result} or a list", lambda one: one),
        ("results is of type str; expected", lambda one: "a"),
        ("there is no result; expected one of each network", lambda one: []),
        ("the result '2' is of type int; expected the Dataset", lambda one: [one, 3]),
        ("the result 'a' is not a result", lambda one: {"a": one.drop_vars("pool_size")}),
        ("two results have the name '1'", lambda one: {1: one, "1": one}),
    ],
)
def test_what_is_no_results(message: str, given: Any) -> None:
    """Neither a single Dataset nor an empty list is taken."""
    with pytest.raises(dif.InputError, match=message):
        dif.across(given(measured(0)))


def test_what_cannot_be_compared(eight: dict[str, xr.Dataset]) -> None:
    """Sets and groups that are not there, one alone, and what `across` has not returned."""
    found = dif.across(eight)
    for message, names, options in (
        ("unknown set 'dog'. Did you mean 'dogs'", ("cats", "dog"), {}),
        ("both sets are 'cats'; name two different sets", ("cats", "cats"), {}),
        ("unknown group 'old'. Known: all", ("old", "all"), {"between": "groups"}),
        ("both groups are 'all'", ("all", "all"), {"between": "groups"}),
        ("unknown between 'set'. Did you mean 'sets'", ("cats", "dogs"), {"between": "set"}),
    ):
        with pytest.raises(dif.InputError, match=message):
            dif.contrast_across(found, *names, **options)
    require_across(found)
    for wrong in (eight["seed 0"], found.drop_vars("low"), None):
        with pytest.raises(dif.InputError, match=r"is not what across\(results\) returned"):
            dif.contrast_across(wrong, "cats", "dogs")  # type: ignore[arg-type]
