"""Two sets compared: against normal theory, against their own limits, and sets that do and do not differ."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from helpers.responses import K, gaussian

import differentia as dif
from differentia.results.confidence import SCORES
from differentia.results.contrasts import (
    Known,
    _Sets,
    compare,
    contrasts_between_sets,
    contrasts_of,
    corrected_p,
    largest_scores,
    reach_of_all,
    require_contrast,
    require_contrasts,
)


def known(value: float, error: float, freedom: float = 1e9) -> Known:
    """Return a value whose error is normal, so small that its logarithm's is, too."""
    return Known(value, error * SCORES, freedom, error)


def test_normal_errors_are_compared_as_normal_theory_does() -> None:
    """The score is the difference over the root of the sum of squares; limits lie as far as the score."""
    one, other = known(1.0, 3e-4), known(1.001, 4e-4)
    found = compare(one, other)
    expected = (0.0 - np.log(1.001)) / 5e-4
    assert found.score == pytest.approx(expected, rel=1e-3)
    assert found.p == pytest.approx(2 * scipy.stats.norm.sf(abs(expected)), rel=1e-2)
    (low, high), (ratio_low, ratio_high) = found.limits(1.96)
    assert (low, high) == pytest.approx((-0.001 - 1.96 * 5e-4, -0.001 + 1.96 * 5e-4), abs=3e-6)
    assert (ratio_low, ratio_high) == pytest.approx(tuple(np.exp(np.array((low, high)))), abs=3e-6)
    # errors that go together leave less: sqrt(3^2 + 4^2 - 2 * 0.5 * 3 * 4)
    paired = compare(one, other, correlation=0.5)
    assert paired.score == pytest.approx(-np.log(1.001) / (np.sqrt(13) * 1e-4), rel=1e-3)


def test_degrees_of_freedom_are_welchs() -> None:
    """Against SciPy's p of the same means and errors."""
    one, other = known(1.0, 3e-4, freedom=9), known(1.001, 4e-4, freedom=24)
    found = compare(one, other)
    expected = scipy.stats.ttest_ind_from_stats(
        0.0, 3e-4 * np.sqrt(10), 10, np.log(1.001), 4e-4 * 5, 25, equal_var=False
    )
    assert found.p == pytest.approx(expected.pvalue, rel=1e-2)
    freedom = 25e-8**2 / (9e-8**2 / 9 + 16e-8**2 / 24)
    assert found.freedom == pytest.approx(freedom)


def test_the_largest_score_by_hand() -> None:
    """Of one test p stays as it is; of independent ones it is Sidak's; of the same one it stays, too."""
    rng = np.random.default_rng(0)
    influences = rng.normal(size=(400, 1))
    one, same = (largest_scores(np.repeat(influences, n, axis=1), 0) for n in (1, 20))
    score = 2.2
    alone = 2 * scipy.stats.norm.sf(score)
    for drawn in (one, same):
        assert corrected_p(np.array([score]), drawn)[0] == pytest.approx(alone, abs=0.004)
    apart = np.zeros((400, 20))
    for at in range(20):
        apart[20 * at : 20 * at + 20, at] = rng.normal(size=20)
    corrected = corrected_p(np.array([score]), largest_scores(apart, 0))[0]
    assert corrected == pytest.approx(1 - (1 - alone) ** 20, abs=0.012)


def test_the_simultaneous_reach_is_that_of_the_corrected_p() -> None:
    """Just above it p falls below what is left of the confidence, just at it p does not."""
    drawn = np.sort(np.random.default_rng(1).gamma(3.0, size=999))
    for confidence in (0.5, 0.9, 0.95, 0.99):
        reach = reach_of_all(drawn, confidence)
        at, above = corrected_p(np.array([reach, np.nextafter(reach, np.inf)]), drawn)
        assert at >= 1 - confidence - 1e-12
        assert above < 1 - confidence


@cache
def measured(seed: int, *, spread: float = 1.0, n: int = 20, other: int = 20) -> xr.Dataset:
    """Measure two sets in three layers, of which the second set's last varies more; no test may change it."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, dict[str, Any]] = {}
    for name, size in (("one", n), ("other", other)):
        wide = spread if name == "other" else 1.0
        mean = rng.normal(size=K)
        mean = (mean - mean.mean()) / mean.std()  # in any direction, of one power: D stays the same
        arrays[name] = {
            "first": gaussian(rng, size) + mean,
            "second": gaussian(rng, size),
            "last": wide * gaussian(rng, size) + mean,
        }
    return dif.measure_responses(arrays)


def test_sets_that_differ_in_one_layer() -> None:
    """There alone p is small; the difference and the ratio are those of the values, within their limits."""
    result = measured(0, spread=2.5)
    found = dif.contrast(result, "one", "other")
    values = dif.draw_mean(result["differentiation"], result).isel(n_units=0)
    one, other = values.sel(set="one"), values.sel(set="other")
    np.testing.assert_allclose(found["difference"], (one - other).values)
    np.testing.assert_allclose(found["ratio"], (one / other).values)
    assert found["layer"].values.tolist() == ["first", "second", "last"]
    assert found["p_corrected"].sel(layer="last") < 0.001
    assert (found["p_corrected"].sel(layer=["first", "second"]) > 0.05).all()
    assert (found["p_corrected"] >= found["p"]).all()
    for what in ("difference", "ratio"):
        low, value, high = (found[what + end] for end in ("_low", "", "_high"))
        assert ((low < value) & (value < high)).all()
        assert (found[f"{what}_low_simultaneous"] < low).all()
        assert (found[f"{what}_high_simultaneous"] > high).all()
    assert found.attrs == {
        "first": "one",
        "second": "other",
        "units": "all",
        "n_units": K,
        "recorded": 1,
        "confidence": 0.95,
        "paired": 0,
        "corrected_over": "layers",
        "n_tests": 3,
    }


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_p_and_limits_say_the_same(confidence: float) -> None:
    """In every layer of many pairs, alone and corrected, of the difference and of the ratio."""
    said: set[tuple[bool, bool]] = set()
    for seed in range(12):
        result = measured(seed, spread=1 + 0.08 * seed, n=12, other=18)
        found = dif.contrast(result, "one", "other", confidence=confidence)
        for p, suffix in (("p", ""), ("p_corrected", "_simultaneous")):
            different = found[p].values < 1 - confidence
            for what, equal in (("difference", 0.0), ("ratio", 1.0)):
                low, high = (found[f"{what}_{end}{suffix}"].values for end in ("low", "high"))
                np.testing.assert_array_equal(different, (low > equal) | (high < equal))
            said |= {(bool(one), p == "p") for one in different}
    assert len(said) == 4  # the control: both answers were given, alone and corrected


def test_the_other_way_round() -> None:
    """Differences change their sign, ratios are inverted, and so are their limits."""
    result = measured(1, spread=2.0)
    found, back = (dif.contrast(result, *pair) for pair in (("one", "other"), ("other", "one")))
    for suffix in ("", "_simultaneous"):
        low, high = (found[f"difference_{end}{suffix}"] for end in ("low", "high"))
        np.testing.assert_allclose(low, -back[f"difference_high{suffix}"], atol=0.003)
        np.testing.assert_allclose(found[f"ratio_low{suffix}"], 1 / back[f"ratio_high{suffix}"], rtol=0.003)
        assert (low < high).all()
    np.testing.assert_allclose(found["statistic"], -back["statistic"], atol=2e-3)
    np.testing.assert_allclose(found["p"], back["p"], rtol=2e-3)


def test_a_contrast_is_seeded() -> None:
    """The same result gives the same; the corrected p of another seed is nearly the same."""
    result = measured(2)
    once, again = (dif.contrast(result, "one", "other") for _ in range(2))
    xr.testing.assert_identical(once, again)
    other = dif.contrast(result.assign_attrs(seed=1), "one", "other")
    np.testing.assert_array_equal(other["p"], once["p"])
    np.testing.assert_allclose(other["p_corrected"], once["p_corrected"], atol=0.02)


def test_equal_sets_seldom_differ() -> None:
    """Unlike distributions of unequal numbers and equal differentiation; see docs/coverage.md."""
    rng = np.random.default_rng(5)

    def low_rank(n: int) -> np.ndarray:
        return rng.normal(size=(n, 5)) @ weights + 0.1 * rng.normal(size=(n, K))

    weights = rng.normal(size=(5, K))
    truth = [dif.differentiation(make(3000)) for make in (low_rank, lambda n: gaussian(rng, n))]
    # each layer is a pair of its own, whose limits know nothing of the others
    pairs = [(low_rank(20), gaussian(rng, 60)) for _ in range(100)]
    arrays = {
        name: {f"pair {at}": pair[side] for at, pair in enumerate(pairs)}
        for side, name in enumerate(("one", "other"))
    }
    found = dif.contrast(dif.measure_responses(arrays), "one", "other")
    low, high = found["difference_low"], found["difference_high"]
    left_out = ~((low <= truth[0] - truth[1]) & (truth[0] - truth[1] <= high))
    assert left_out.size == 100
    assert left_out.mean() <= 0.1  # 6.5 % and two standard errors
    # the control: those that do differ are found
    apart = [dif.contrast(measured(seed, spread=2.5), "one", "other") for seed in range(3)]
    assert all(one["p_corrected"].sel(layer="last") <= 0.05 for one in apart)


def paired_arrays(seed: int, n: int = 30) -> dict[str, dict[str, Any]]:
    """Return responses to the same stimuli twice: most of what sets an image apart is the same."""
    rng = np.random.default_rng(seed)
    strength = np.exp(0.3 * rng.normal(size=(n, 1)))
    shared = gaussian(rng, n)
    return {
        name: {"x": strength * (shared + share * gaussian(rng, n)) + mean}
        for name, share, mean in (("plain", 0.1, 0.5), ("changed", 0.1, 0.6))
    }


def test_pairs_tell_more() -> None:
    """The paired p is far smaller; shuffled, it is not; unequal sets have no pairs."""
    arrays = paired_arrays(0)
    result = dif.measure_responses(arrays)
    widths = {
        paired: float((found["difference_high"] - found["difference_low"]).item())
        for paired in (False, True)
        for found in [dif.contrast(result, "plain", "changed", paired=paired)]
    }
    assert widths[True] < 0.6 * widths[False]
    order = np.random.default_rng(1).permutation(30)
    arrays["changed"] = {"x": arrays["changed"]["x"][order]}
    shuffled = dif.contrast(dif.measure_responses(arrays), "plain", "changed", paired=True)
    assert (shuffled["difference_high"] - shuffled["difference_low"]).item() > 0.8 * widths[False]
    arrays["changed"] = {"x": arrays["changed"]["x"][:29]}
    with pytest.raises(dif.InputError, match=r"30 images of 'plain' and the 29 of 'changed'.*'29' has no"):
        dif.contrast(dif.measure_responses(arrays), "plain", "changed", paired=True)


def test_images_that_both_sets_show_count_as_one() -> None:
    """By their content, whatever they are called: limits are those of images named in pairs."""
    result = dif.measure_responses(paired_arrays(2))
    names = [f"{place}.png" for place in range(30)] + [f"{place}.jpg" for place in range(30)]
    named = result.assign_coords(image_name=("image", names))
    hashes = [str(place % 30) for place in range(60)]
    same = named.assign_coords(image_hash=("image", hashes))
    by_name = dif.contrast(named, "plain", "changed", paired=True)  # by their stems
    by_content = dif.contrast(same, "plain", "changed")
    for name in ("difference_low", "p"):
        assert by_content[name].item() == pytest.approx(by_name[name].item())
    assert by_name["p"].item() != dif.contrast(named, "plain", "changed")["p"].item()
    # the same responses in both do not differ; twice as large ones do, and nothing of it is chance
    one = paired_arrays(3)["plain"]
    double = {"x": 2 * one["x"]}
    twice = dif.measure_responses({"a": one, "b": one, "c": double}, normalize="none")
    assert dif.contrast(twice, "a", "b", paired=True)["p"].item() > 0.9
    found = dif.contrast(twice, "c", "a", paired=True)
    assert found["p"].item() < 1e-4
    assert found["ratio_low"].item() == pytest.approx(2, rel=0.05)
    assert found["ratio_high"].item() == pytest.approx(2, rel=0.05)


def test_pairs_of_files() -> None:
    """The same names in another format, also below other folders; not two of one name in other folders."""
    result = dif.measure_responses(paired_arrays(4, n=12))
    expected = dif.contrast(result, "plain", "changed", paired=True)

    def named(one: list[str], other: list[str]) -> xr.Dataset:
        return result.assign_coords(image_name=("image", one + other))

    folders = [f"{'ab'[place % 2]}/{place // 2}" for place in range(12)]
    for one, other in (
        ([f"{at}.png" for at in range(12)], [f"{at}.jpg" for at in range(12)]),
        ([f"x/{at}.png" for at in range(12)], [f"y/{at}.jpg" for at in range(12)]),
        ([f"{at}.png" for at in folders], [f"{at}.bmp" for at in folders]),
    ):
        found = dif.contrast(named(one, other), "plain", "changed", paired=True)
        xr.testing.assert_identical(found, expected)
    swapped = [f"{'ba'[place % 2]}{place}/{place}.png" for place in range(12)]
    with pytest.raises(dif.InputError, match="has no partner"):
        dif.contrast(named([f"{at}/{at}.png" for at in range(12)], swapped), "plain", "changed", paired=True)


def test_what_images_have_in_common_ties_pairs_of_sets() -> None:
    """The largest score of three pairs of paired sets allows for their correlation: hand-made influences."""
    arrays = paired_arrays(5)
    arrays["third"] = {"x": arrays["plain"]["x"] * 1.01}
    result = dif.measure_responses(arrays)
    sets = _Sets(result)
    names = ("plain", "changed", "third")
    pairs = list(combinations(names, 2))
    shared = {pair: sets.same_images(*pair, paired=True) for pair in pairs}
    places = sets.places(shared)
    np.testing.assert_array_equal(places, np.tile(np.arange(30), 3))
    one = sets.influence_on_difference("plain", "changed", places)[:30, 0]
    influence = result["influence"].values[:, 0, 0].astype(float) / 30
    np.testing.assert_allclose(one, influence[:30] - influence[30:60])


def test_which_sets_are_compared_unasked() -> None:
    """Every two beside the reference; with it where there is one other; not too many."""
    rng = np.random.default_rng(3)
    arrays = {name: {"x": gaussian(rng, 12)} for name in "abcdef"}

    def pairs(names: str, reference: str | None) -> list[str]:
        result = dif.measure_responses({name: arrays[name] for name in names}, reference=reference)
        return [one.attrs["first"] + one.attrs["second"] for one in contrasts_between_sets(result)]

    assert pairs("abc", "a") == ["bc"]
    assert pairs("abc", None) == ["ab", "ac", "bc"]
    assert pairs("ab", "a") == ["ab"]
    assert pairs("a", None) == []
    assert len(pairs("abcde", "e")) == 6
    assert pairs("abcdef", "f") == []


def test_pairs_of_sets_are_corrected_together() -> None:
    """The corrected p of three pairs is larger than that of one, and says over what it is corrected."""
    rng = np.random.default_rng(4)
    arrays = {name: {layer: gaussian(rng, 14) for layer in "xy"} for name in "abc"}
    result = dif.measure_responses(arrays)
    together = contrasts_between_sets(result)
    assert [one.attrs["n_tests"] for one in together] == [6, 6, 6]
    assert {one.attrs["corrected_over"] for one in together} == {"layers and pairs of sets"}
    for one in together:
        alone = dif.contrast(result, one.attrs["first"], one.attrs["second"])
        np.testing.assert_array_equal(one["p"], alone["p"])
        assert (one["p_corrected"] >= alone["p_corrected"] - 0.01).all()
        assert (one["difference_high_simultaneous"] > alone["difference_high_simultaneous"]).all()


@pytest.mark.parametrize(
    ("message", "names", "options"),
    [
        ("unknown set 'onne'. Did you mean 'one'", ("onne", "other"), {}),
        ("both sets are 'one'", ("one", "one"), {}),
        ("confidence is 2; expected a number from 0.5", ("one", "other"), {"confidence": 2}),
        ("paired is 'yes'; expected True or False", ("one", "other"), {"paired": "yes"}),
    ],
)
def test_what_cannot_be_compared(message: str, names: tuple[str, str], options: dict[str, Any]) -> None:
    """The error says what was given, and what to do."""
    with pytest.raises(dif.InputError, match=message):
        dif.contrast(measured(4), *names, **options)


def test_where_there_is_no_contrast() -> None:
    """Of few images, and of a set whose limits can't be trusted; a selection of units has one."""
    rng = np.random.default_rng(6)
    arrays = {name: {"x": gaussian(rng, n) + 0.2} for name, n in (("one", 20), ("other", 20), ("few", 9))}
    arrays["strong"] = {"x": gaussian(rng, 20)}
    arrays["strong"]["x"][4] *= 9
    result = dif.measure_responses(arrays, n_units=(10, 60), draws=3)
    assert dif.contrast(result, "one", "other")["p"].notnull().all()
    for name in ("few", "strong"):
        found = dif.contrast(result, "one", name)
        assert found[["p", "p_corrected", "difference_low", "ratio_high", "statistic"]].isnull().all()
        assert found["difference"].notnull().all()
    selected = dif.contrast(result.sel(n_units=[10]), "one", "other")
    assert selected["p"].notnull().all()
    assert selected.attrs["n_units"] == 10


def test_an_older_result_is_compared_by_its_distances() -> None:
    """It has no confidence distributions, or limits; without distances nothing can be said."""
    result = measured(5)
    old = result.drop_dims(["score", "source"]).drop_vars(["freedom", "influence", "doubt"])
    expected = dif.contrast(result, "one", "other")
    np.testing.assert_allclose(dif.contrast(old, "one", "other")["p"], expected["p"], rtol=1e-3)
    assert dif.contrast(old.drop_vars("distance"), "one", "other")["p"].isnull().all()


def test_every_two_sets_beside_the_reference() -> None:
    """Where there are intervals, which say that there are images enough."""
    rng = np.random.default_rng(0)
    arrays = {name: {"x": rng.normal(size=(12, 9))} for name in ("a", "b", "rest", "c")}
    result = dif.measure_responses(arrays, reference="rest")
    found = contrasts_of({"all": result})
    assert [(one.attrs["first"], one.attrs["second"]) for one in found] == [*combinations("abc", 2)]
    assert contrasts_of({"all": result.drop_vars(["differentiation_low", "differentiation_high"])}) == []


def test_contrasts_of_a_result() -> None:
    """Those of its sets, some or all of its layers, its units and their largest number."""
    rng = np.random.default_rng(0)
    arrays = {name: {layer: rng.normal(size=(12, 9)) for layer in ("x", "y")} for name in ("a", "b")}
    result = dif.measure_responses(arrays, n_units=(4, 8))
    own = dif.contrast(result, "a", "b")
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
