"""Two sets compared: against arrays that are moved by hand, and against sets that do and do not differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers.responses import K, contrast_varying, gaussian
from scipy.spatial.distance import pdist, squareform

import differentia as dif
from differentia.results.contrasts import (
    aligned,
    contrasts_between_sets,
    p_values,
    permuted_statistics,
    require_contrast,
    require_contrasts,
)
from differentia.results.resampling import Sample


def sample_of(responses: np.ndarray) -> Sample:
    sums, squares = responses.sum(axis=1), (responses**2).sum(axis=1)
    return Sample(squareform(pdist(responses)), sums, squares, responses.shape[1])


def test_sets_are_moved_to_one_mean() -> None:
    """As if each set's mean response were taken from its images: within a set nothing changes."""
    rng = np.random.default_rng(0)
    one, other = gaussian(rng, 12) + 3, 2 * gaussian(rng, 9) - rng.normal(size=K)
    moved = aligned(sample_of(np.concatenate([one, other])), 12)
    centred = np.concatenate([one - one.mean(axis=0), other - other.mean(axis=0)])
    np.testing.assert_allclose(moved.distances, squareform(pdist(centred)), atol=1e-9)
    # the control: they were apart before
    assert (pdist(np.concatenate([one, other])) > pdist(centred) + 1).any()
    # both have the mean, and the mean response's power, that they had on average
    within = [(part**2).sum(axis=1).mean() for part in (centred[:12], centred[12:])]
    powers = [
        moved.square_sums[part].mean() - own
        for part, own in zip((slice(12), slice(12, None)), within, strict=True)
    ]
    assert powers[0] == pytest.approx(powers[1])
    assert moved.sums[:12].mean() == pytest.approx(moved.sums[12:].mean())


def test_the_statistic_of_a_grouping() -> None:
    """The difference of both groups' logarithms, in standard errors; of the other grouping, its negative."""
    rng = np.random.default_rng(1)
    responses = contrast_varying(rng, 21)
    labels = np.zeros((2, 21), dtype=bool)
    labels[0, :10] = True
    labels[1, 10:] = True
    found = permuted_statistics(sample_of(responses), labels)
    one, other = sample_of(responses[:10]), sample_of(responses[10:])
    expected = (one.log_value - other.log_value) / np.hypot(one.error, other.error)
    np.testing.assert_allclose(found, [expected, -expected], rtol=1e-6)


def test_p_values_by_hand() -> None:
    """How many, with what was observed, reach it; corrected, in whichever layer they are largest."""
    observed = np.array([2.0, 0.5, np.nan])
    permuted = np.array([[1.0, 2.0, 0.1], [3.0, 0.2, np.nan], [np.nan] * 3])
    alone, corrected = p_values(observed, permuted)
    np.testing.assert_array_equal(alone, [2 / 4, 3 / 4, np.nan])
    np.testing.assert_array_equal(corrected, [1.0, 1.0, np.nan])


def measured(seed: int, *, spread: float = 1.0, n: int = 20) -> xr.Dataset:
    """Measure two sets in three layers, of which the second set's last varies more over images."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, dict[str, Any]] = {}
    for name in ("one", "other"):
        wide = spread if name == "other" else 1.0
        mean = rng.normal(size=K)
        mean = (mean - mean.mean()) / mean.std()  # in any direction, of one power: D stays the same
        arrays[name] = {
            "first": gaussian(rng, n) + mean,
            "second": gaussian(rng, n),
            "last": wide * gaussian(rng, n) + mean,
        }
    return dif.measure_responses(arrays, resamples=200)


def test_sets_that_differ_in_one_layer() -> None:
    """There alone p is small; the difference, the ratio and their limits are those of the values."""
    result = measured(0, spread=2.5)
    found = dif.contrast(result, "one", "other", permutations=199)
    values = dif.draw_mean(result["differentiation"], result).isel(n_units=0)
    one, other = values.sel(set="one"), values.sel(set="other")
    np.testing.assert_allclose(found["difference"], (one - other).values)
    np.testing.assert_allclose(found["ratio"], (one / other).values)
    assert found["layer"].values.tolist() == ["first", "second", "last"]
    assert found["p_corrected"].sel(layer="last") == 1 / 200
    assert found["p_corrected"].sel(layer="first") > 0.05
    assert (found["p_corrected"] >= found["p"]).all()
    limits = [
        result[f"differentiation_{end}"].sel(source="images").isel(n_units=0) for end in ("low", "high")
    ]
    low, high = (limit.sel(layer="last") for limit in limits)
    value = values.sel(layer="last")
    below = np.hypot(
        value.sel(set="one") - low.sel(set="one"), high.sel(set="other") - value.sel(set="other")
    )
    above = np.hypot(
        high.sel(set="one") - value.sel(set="one"), value.sel(set="other") - low.sel(set="other")
    )
    last = found.sel(layer="last")
    assert last["difference_low"] == pytest.approx(last["difference"] - below)
    assert last["difference_high"] == pytest.approx(last["difference"] + above)
    assert last["ratio_low"] < last["ratio"] < last["ratio_high"] < 1
    assert found.sel(layer="first")["ratio_low"] < 1 < found.sel(layer="first")["ratio_high"]


def test_the_other_way_round() -> None:
    """Differences change their sign, ratios are inverted, and so are their limits."""
    result = measured(1, spread=2.0)
    found, back = (
        dif.contrast(result, *pair, permutations=99) for pair in (("one", "other"), ("other", "one"))
    )
    for name, low, high in (("difference", "difference_low", "difference_high"),):
        np.testing.assert_allclose(found[name], -back[name])
        np.testing.assert_allclose(found[low], -back[high])
    np.testing.assert_allclose(found["ratio_low"], 1 / back["ratio_high"])
    np.testing.assert_allclose(found["statistic"], -back["statistic"])


def test_a_contrast_is_seeded() -> None:
    """The same result gives the same; p of another seed is another."""
    result = measured(2)
    once, again = (dif.contrast(result, "one", "other", permutations=99) for _ in range(2))
    xr.testing.assert_identical(once, again)
    other = dif.contrast(result.assign_attrs(seed=1), "one", "other", permutations=99)
    assert not np.array_equal(other["p"], once["p"])


def test_equal_sets_seldom_differ() -> None:
    """With the same distribution, and with other means but the same differentiation; see docs/coverage.md."""
    found = [
        dif.contrast(measured(seed), "one", "other", permutations=99)["p_corrected"] for seed in range(10, 34)
    ]
    # of 24 pairs of sets, more than 5 at p <= 0.05 would come by chance once in 500 times
    assert sum(bool((p <= 0.05).any()) for p in found) <= 5
    # the control: those that do differ are found
    apart = [dif.contrast(measured(seed, spread=2.5), "one", "other", permutations=99) for seed in range(3)]
    assert all(one["p_corrected"].sel(layer="last") <= 0.05 for one in apart)


def test_which_sets_are_compared_unasked() -> None:
    """Every two beside the reference; with it where there is one other; not too many."""
    rng = np.random.default_rng(3)
    arrays = {name: {"x": gaussian(rng, 12)} for name in "abcdef"}

    def pairs(names: str, reference: str | None) -> list[str]:
        result = dif.measure_responses(
            {name: arrays[name] for name in names}, reference=reference, resamples=100
        )
        return [
            one.attrs["first"] + one.attrs["second"]
            for one in contrasts_between_sets(result, permutations=99)
        ]

    assert pairs("abc", "a") == ["bc"]
    assert pairs("abc", None) == ["ab", "ac", "bc"]
    assert pairs("ab", "a") == ["ab"]
    assert pairs("a", None) == []
    assert len(pairs("abcde", "e")) == 6
    assert pairs("abcdef", "f") == []


@pytest.mark.parametrize(
    ("message", "names", "options"),
    [
        ("unknown set 'onne'. Did you mean 'one'", ("onne", "other"), {}),
        ("both sets are 'one'", ("one", "one"), {}),
        ("permutations is 5; expected 99", ("one", "other"), {"permutations": 5}),
        ("permutations is True; expected a whole number", ("one", "other"), {"permutations": True}),
    ],
)
def test_what_cannot_be_compared(message: str, names: tuple[str, str], options: dict[str, Any]) -> None:
    """The error says what was given, and what to do."""
    with pytest.raises(dif.InputError, match=message):
        dif.contrast(measured(4), *names, **options)


def test_a_selection_of_units_or_images_has_no_contrast() -> None:
    """Its distances are of more than its values: rather no number than a wrong one."""
    rng = np.random.default_rng(6)
    arrays = {name: {"x": gaussian(rng, 20) + 0.2} for name in ("one", "other")}
    result = dif.measure_responses(arrays, n_units=(10, 60), draws=3, resamples=100)
    assert dif.contrast(result, "one", "other", permutations=99)["p"].notnull().all()
    few = result.sel(n_units=[10])
    assert dif.contrast(few, "one", "other", permutations=99)["p"].isnull().all()
    limits = dif.with_intervals(few, resamples=100)
    assert limits["differentiation_low"].sel(source="images").isnull().all()
    assert contrasts_between_sets(few) == []


def test_larger_sets_of_unequal_size() -> None:
    """To first order, beyond what is found exactly; the same differentiation seldom differs."""
    rng = np.random.default_rng(7)
    mean = rng.normal(size=K)
    arrays = {"one": {"x": gaussian(rng, 120), "y": gaussian(rng, 120) + mean}}
    arrays["other"] = {"x": gaussian(rng, 60), "y": 2 * gaussian(rng, 60) + mean}
    result = dif.measure_responses(arrays, resamples=100)
    found = dif.contrast(result, "one", "other", permutations=499)
    assert found["p"].sel(layer="x") > 0.01
    assert found["p_corrected"].sel(layer="y") < 0.05


def test_results_without_what_a_contrast_is_made_of() -> None:
    """Distances that are not there, or of another measure."""
    result = measured(5)
    with pytest.raises(dif.InputError, match=r"no distances.*measure at most 2,000 images"):
        dif.contrast(result.drop_vars("distance"), "one", "other")
    with pytest.raises(dif.InputError, match="metric 'correlation' with normalize 'layer': measure again"):
        dif.contrast(result.assign_attrs(metric="correlation"), "one", "other")
    # an older result without limits gets them
    old = result.drop_vars(["differentiation_low", "differentiation_high", "source"])
    assert dif.contrast(old, "one", "other", permutations=99)["difference_low"].notnull().all()


def test_contrasts_of_a_result() -> None:
    """Those of its sets, some or all of its layers, its units and their largest number."""
    rng = np.random.default_rng(0)
    arrays = {name: {layer: rng.normal(size=(12, 9)) for layer in ("x", "y")} for name in ("a", "b")}
    result = dif.measure_responses(arrays, n_units=(4, 8), resamples=100)
    own = dif.contrast(result, "a", "b", permutations=99)
    results = {"random": result}
    require_contrasts(results, [])
    require_contrasts(results, [own, own.isel(layer=[1]), own.isel(layer=[1, 0])])
    for wrong, message in (
        (own.assign_attrs(units="top"), "is of 'top' units; the results are of random"),
        (own.assign_attrs(second="c"), r"has the set 'c', which the result does not have \(a, b\)"),
        (own.assign_coords(layer=["x", "z"]), r"has the layer 'z', which the result does not have \(x, y\)"),
        (own.assign_attrs(n_units=4), "is of 4 units; the result's largest number of units is 8"),
        (own.drop_vars("ratio"), "this Dataset is not a contrast"),
        ("a", "this str is not a contrast"),
    ):
        with pytest.raises(dif.InputError, match=message):
            require_contrasts(results, [own, wrong])  # type: ignore[list-item]
    with pytest.raises(dif.InputError, match=r"one Dataset; expected a list of them"):
        require_contrasts(results, own)  # type: ignore[arg-type]
    require_contrast(own)
    with pytest.raises(dif.InputError, match="this Dataset is not a contrast"):
        require_contrast(result)
