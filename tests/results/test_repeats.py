"""Differentiation with and without the noise of trials: against loops, and spikes whose rates are known."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers import oracles

import differentia as dif
from differentia.results.confidence import Sample, limits

VALUES = ("plain", "of_mean", "noise_free")


def rates(rng: np.random.Generator, n: int, k: int = 100) -> np.ndarray:
    """Return expected counts that follow five factors of the stimuli; the units are always the same."""
    units = np.random.default_rng(7)
    loadings, levels = units.normal(size=(5, k)) / np.sqrt(5), units.normal(size=k) / 2
    return np.exp(0.4 * rng.normal(size=(n, 5)) @ loadings + levels)


def spikes(repeats: int = 4, n: int = 12, k: int = 20, *, seed: int = 0) -> np.ndarray:
    """Return counts (repeat, stimulus, unit)."""
    rng = np.random.default_rng(seed)
    expected = rates(rng, n, k)
    return rng.poisson(3 * expected, (repeats, *expected.shape)).astype(np.float64)


GIVEN = {
    "films": {"V1": spikes(), "LM": spikes(5, seed=1)},
    "other": {"V1": spikes(3, seed=2), "LM": spikes(seed=3)},
}


@pytest.mark.parametrize("normalize", ["layer", "unit", "none"])
def test_the_three_values(normalize: str) -> None:
    """Those of loops: of each repeat, of the mean response, and of products across repeats."""
    given = {name: {layer: array[:, :6] for layer, array in layers.items()} for name, layers in GIVEN.items()}
    found = dif.measure_repeats(given, normalize=normalize)
    for name, layers in given.items():
        for layer, array in layers.items():
            scaled = array
            if normalize == "unit":
                every = np.concatenate([of[layer].reshape(-1, 20) for of in given.values()])
                scaled = array / [oracles.population_sd(column) for column in every.T.tolist()]
            how = "layer" if normalize == "layer" else "none"
            singles = [oracles.differentiation(repeat.tolist(), how) for repeat in scaled]
            squares, variance = oracles.squares_across_repeats(scaled.tolist(), how)
            of = found.sel(set=name, layer=layer)
            assert of["plain"].item() == pytest.approx(np.mean(singles), rel=1e-10)
            expected = oracles.differentiation(scaled.mean(axis=0).tolist(), how)
            assert of["of_mean"].item() == pytest.approx(expected, rel=1e-10)
            expected = np.sqrt(np.median(squares) / variance)
            assert of["noise_free"].item() == pytest.approx(expected, rel=1e-10)
    assert found["n_repeats"].values.tolist() == [[4, 5], [3, 4]]
    assert found["n_stimuli"].values.tolist() == [[6, 6], [6, 6]]
    assert found["n_units"].values.tolist() == [20, 20]
    assert found["plain_low"].isnull().all()  # of so few stimuli


def test_a_unit_that_never_changes() -> None:
    """Counts for nothing with normalize="unit", and leaves the values of "layer" as they would be."""
    given = spikes(n=10)
    silent = np.concatenate([given, np.full((4, 10, 5), 0.1)], axis=2)
    found = dif.measure_repeats(silent, normalize="unit")
    alone = dif.measure_repeats(given, normalize="unit")
    for name in VALUES:
        np.testing.assert_allclose(found[name], alone[name] * np.sqrt(20 / 25), rtol=1e-10)


def test_units_that_only_rounding_moves_count_as_constant() -> None:
    """Their SD divides nothing, and they are counted."""
    rng = np.random.default_rng(0)
    moving = rng.standard_normal((3, 6, 5)).astype(np.float32)
    still = np.where(rng.random((3, 6, 4)) < 0.5, np.float32(0.5), np.float32(0.50000006))
    with pytest.warns(dif.DifferentiaWarning, match="only rounding moves 4 of 9 units of 'all'"):
        found = dif.measure_repeats(np.concatenate([moving, still], axis=2), normalize="unit")
    alone = dif.measure_repeats(moving, normalize="unit")
    assert found["plain"].item() == pytest.approx(alone["plain"].item() * np.sqrt(5 / 9), rel=1e-9)


def test_it_finds_what_noise_hides() -> None:
    """Within 2 % of the stimuli without noise, where single repeats are off by more than 20 %."""
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(20):
        expected = rates(rng, 40)
        found = dif.measure_repeats(rng.poisson(expected, (10, *expected.shape)), splits=2)
        true = dif.differentiation(expected)
        ratios.append([found[name].item() / true for name in VALUES])
    plain, of_mean, noise_free = np.mean(ratios, axis=0)
    assert abs(noise_free - 1) < 0.02
    assert plain > 1.2
    assert of_mean > 1.05


def test_limits() -> None:
    """Those of the squares without noise, as of other distances, widened by the bias; and wider at 99 %."""
    rng = np.random.default_rng(0)
    expected = rates(rng, 30)
    given = rng.poisson(3 * expected, (6, *expected.shape)).astype(np.float64)
    found = dif.measure_repeats(given)
    of_mean = Sample(*_sample(given.mean(axis=0))).confidence()
    assert of_mean is not None
    low, high = np.exp(limits(of_mean.log_limit, of_mean.freedom, 0.95)) * found["of_mean"].item()
    assert found["of_mean_low"].item() == pytest.approx(low, rel=1e-8)
    assert found["of_mean_high"].item() == pytest.approx(high, rel=1e-8)
    wider = dif.measure_repeats(given, confidence=0.99)
    for name in VALUES:
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]
        assert wider[f"{name}_low"] < found[f"{name}_low"]
        assert wider[f"{name}_high"] > found[f"{name}_high"]
    assert (found["doubt"] == "").all()
    assert abs(found["noise_bias"].item()) < 0.02 * found["noise_free"].item()


def test_limits_reach_as_far_as_the_bias() -> None:
    """They are widened by 1.5 times the bias that pairs of three repeats tell, and its error; by loops."""
    given = spikes(3, 14, seed=5) + 0.01 * np.random.default_rng(0).normal(
        size=(3, 14, 20)
    )  # so without ties
    found = dif.measure_repeats(given)
    squares, variance = oracles.squares_across_repeats(given.tolist(), "layer")
    distances = np.zeros((14, 14))
    distances[np.triu_indices(14, k=1)] = np.sqrt(np.maximum(squares, 0.0))
    entries = given - given.mean(axis=(1, 2), keepdims=True)
    sums = entries.sum(axis=0)
    powers = (sums**2 - (entries**2).sum(axis=0)).mean(axis=1) / 6
    assert powers.mean() == pytest.approx(variance, rel=1e-10)
    known = Sample(distances + distances.T, sums.mean(axis=1) / 3, powers).confidence()
    assert known is not None
    value = np.sqrt(np.median(squares) / variance)
    low, high = np.exp(limits(known.log_limit, known.freedom, 0.95)) * value
    of_pairs = []
    for without in range(3):
        of_pair, its_variance = oracles.squares_across_repeats(np.delete(given, without, 0).tolist(), "layer")
        of_pairs.append(np.sqrt(np.median(of_pair) / its_variance))
    bias, error = 2 * (np.mean(of_pairs) - value), 2 * np.std(of_pairs, ddof=1) / np.sqrt(3)
    assert found["noise_bias"].item() == pytest.approx(bias, rel=1e-8)
    assert found["noise_bias_error"].item() == pytest.approx(error, rel=1e-8)
    assert found["noise_free_low"].item() == pytest.approx(low - 1.5 * max(bias + error, 0), rel=1e-8)
    assert found["noise_free_high"].item() == pytest.approx(high - 1.5 * min(bias - error, 0), rel=1e-8)
    assert found["noise_free_low"] < low  # so far the bias reaches


def _sample(responses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    differences = responses[:, np.newaxis] - responses
    distances = np.sqrt((differences**2).mean(axis=2))
    return distances, responses.mean(axis=1), (responses**2).mean(axis=1)


def test_limits_of_single_repeats() -> None:
    """Of repeats without noise they are those of one; noise of each makes them no wider than that of one."""
    rng = np.random.default_rng(0)
    expected = rates(rng, 30)
    same = dif.measure_repeats(np.tile(expected, (3, 1, 1)))
    for end in ("", "_low", "_high"):
        np.testing.assert_allclose(same[f"plain{end}"], same[f"of_mean{end}"], rtol=1e-6)
        np.testing.assert_allclose(same[f"plain{end}"], same[f"noise_free{end}"], rtol=1e-6)
    assert same["reliability_pearson"].item() == pytest.approx(1.0)
    for name in ("noise_bias", "noise_bias_error"):
        assert same[name].item() == pytest.approx(0.0, abs=1e-9)


def test_the_bias_by_noise() -> None:
    """On average it is found where it is: few units whose gain they share, and three repeats."""
    rng, angles = np.random.default_rng(0), np.linspace(0, 2 * np.pi, 20)
    bias, told = [], []
    for _ in range(40):
        expected = 0.5 + 3 * np.exp(2 * (np.cos(rng.uniform(0, 2 * np.pi, (30, 1)) - angles) - 1))
        gain = np.exp(0.4 * rng.normal(size=(4, 30, 1)) - 0.08)
        found = dif.measure_repeats(rng.poisson(gain * expected), splits=3)
        bias.append(found["noise_free"].item() - dif.differentiation(expected))
        told.append(found["noise_bias"].item())
    assert np.mean(bias) < -0.03
    assert np.mean(told) == pytest.approx(np.mean(bias), rel=0.5)


def test_doubts() -> None:
    """Of two repeats, of noise that hides nearly all, and of what `doubts` has; limits are then unknown."""
    rng, angles = np.random.default_rng(0), np.linspace(0, 2 * np.pi, 40)
    tuned = 0.5 + 3 * np.exp(2 * (np.cos(rng.uniform(0, 2 * np.pi, (150, 1)) - angles) - 1))
    gain = np.exp(0.5 * rng.normal(size=(3, 150, 1)) - 0.125)
    noisy = rng.poisson(gain * tuned)
    signal, noise = rng.normal(size=(30, 10)) @ rng.normal(size=(10, 40)), rng.normal(size=(6, 30, 40))
    strong = signal.copy()
    strong[0] *= 10
    given = {
        "two": signal + noise[:2],
        "noise": noisy,
        "strong": strong + noise,
        "known": signal + noise,
        "few": (signal + noise)[:, :8],
    }
    found = dif.measure_repeats(given)
    doubts = dict(zip(given, found["doubt"].values[:, 0].tolist(), strict=True))
    assert doubts == {
        "two": "two repeats",
        "noise": "noise",
        "strong": "strong images",
        "known": "",
        "few": "",
    }
    known = found["noise_free_low"].notnull().values[:, 0].tolist()
    assert known == [False, False, False, True, False]
    assert found["noise_free"].notnull().all()
    assert found["noise_bias"].isnull().values[:, 0].tolist()[0]


def test_no_value_without_noise() -> None:
    """NaN, and one warning that says where and why; single repeats have theirs."""
    noise = np.random.default_rng(3).normal(size=(3, 20, 10))
    quiet = spikes(n=20, k=10)
    with pytest.warns(dif.DifferentiaWarning, match="that without noise of set 'a', layer 'V1' ") as caught:
        found = dif.measure_repeats({"a": {"V1": noise}, "b": {"V1": quiet}})
    (one,) = caught
    assert isinstance(one.message, dif.DifferentiaWarning)
    assert one.message.kind == "undefined"
    assert "squared distance is -" in str(one.message)
    assert "'b'" not in str(one.message)
    assert found["noise_free"].isnull().values[:, 0].tolist() == [True, False]
    assert found["plain"].notnull().all()
    with pytest.warns(dif.DifferentiaWarning, match="of single repeats .*the mean response .*without noise"):
        flat = dif.measure_repeats(np.full((3, 12, 4), 0.1))
    assert flat["plain"].isnull().all()
    assert flat["reliability_pearson"].isnull().all()


def test_reliability_of_the_result() -> None:
    """It is higher with more repeats, and corrected for halves, between its limits; seeds matter little."""
    few, many = (dif.measure_repeats(spikes(repeats, 20, seed=4)) for repeats in (4, 12))
    for name in ("reliability_pearson", "reliability_spearman"):
        assert few[name] < many[name]
        assert few[f"{name}_low"] < few[name] < few[f"{name}_high"]
        np.testing.assert_allclose(few[f"{name}_corrected"], 2 * few[name] / (1 + few[name]), rtol=1e-12)
    again = dif.measure_repeats(spikes(12, 20, seed=4), seed=1)
    assert again["reliability_pearson"].item() != many["reliability_pearson"].item()
    assert again["reliability_pearson"].item() == pytest.approx(many["reliability_pearson"].item(), abs=0.05)
    xr.testing.assert_identical(many, dif.measure_repeats(spikes(12, 20, seed=4)))


def test_what_does_not_change() -> None:
    """Order of repeats, stimuli and units, a constant and a factor; another normalisation does change it."""
    given = spikes(n=10)
    expected = dif.measure_repeats(given)
    for other in (given[::-1], given[:, ::-1], given[:, :, ::-1], given + 7, -3 * given):
        found = dif.measure_repeats(np.ascontiguousarray(other))
        for name in (*VALUES, "noise_bias", "reliability_pearson"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-8, atol=1e-10)
    for other in (given.astype(int), given.astype(np.float32)):
        xr.testing.assert_allclose(dif.measure_repeats(other), expected)
    assert dif.measure_repeats(given, normalize="none")["plain"].item() != pytest.approx(
        expected["plain"].item()
    )


def test_the_table(tmp_path: Path) -> None:
    """A row for each set and layer, with all numbers; it comes back from its file."""
    found = dif.measure_repeats(GIVEN)
    table = dif.to_dataframe(found)
    assert table["set"].tolist() == ["films", "films", "other", "other"]
    assert table["layer"].tolist() == ["V1", "LM"] * 2
    np.testing.assert_array_equal(table["noise_free"], found["noise_free"].values.ravel())
    assert {"doubt", "noise_bias", "plain_low", "reliability_pearson_corrected", "n_units"} <= {*table}
    back = pd.read_parquet(dif.save_table(table, tmp_path / "repeats.parquet"))
    pd.testing.assert_frame_equal(back, table, check_dtype=False)
    assert found.attrs["normalize"] == "layer"


def test_words() -> None:
    """They have the numbers, in which direction noise moves the value, and why there are no limits."""
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=(20, 3)) @ rng.normal(size=(3, 30)), rng.normal(size=(4, 20, 30))
    given = {
        "films": {"V1": signal + 2 * noise, "LM": 40 * np.eye(20, 30) + 3 * noise},
        "two": {"V1": signal + noise[:2], "LM": noise},
    }
    with pytest.warns(dif.DifferentiaWarning, match="without noise of set 'two', layer 'LM'"):
        found = dif.measure_repeats(given)
    films, _, two, hidden = dif.say_repeats(found)
    of = found.sel(set="films", layer="V1")
    free, low, high, plain = (
        of[name].item() for name in ("noise_free", "noise_free_low", "noise_free_high", "plain")
    )
    assert f"films, V1: differentiation without noise is {free:.3g} [{low:.3g}, {high:.3g}]" in films
    assert f"single repeats {100 * (plain / free - 1):.0f} % larger ({plain:.3g})." in films
    halves, corrected = (of[f"reliability_spearman{end}"].item() for end in ("", "_corrected"))
    assert f"4 repeats agree on how far stimuli lie apart (rank correlation {halves:.2f}" in films
    assert f"of all, about {corrected:.2f})" in films
    assert "no limits, as two repeats do not tell" in two
    assert "[" not in two
    assert "two, LM: noise hides how the responses differ" in hidden
    less = found.assign(plain=found["noise_free"] * 0.9).sel(set=["films"], layer=["V1"])
    assert "10 % smaller" in dif.say_repeats(less)[0]
    with pytest.warns(dif.DifferentiaWarning):
        alone = dif.measure_repeats(np.ones((3, 12, 4)))
    assert dif.say_repeats(alone) == [
        "no differentiation is known, as responses do not vary in every repeat."
    ]
    for wrong in (found.assign_attrs(differentia="depth"), found.sel(set="films"), None):
        with pytest.raises(dif.InputError, match=r"not what measure_repeats\(repeats\) returned"):
            dif.say_repeats(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"normalize": "response"}, "normalize is 'response', .* expected one of layer, unit, none"),
        ({"normalize": "units"}, "did you mean 'unit'|unknown normalization|no normalization"),
        ({"confidence": 0.1}, "confidence is 0.1"),
        ({"splits": 0}, "splits is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
    ids=str,
)
def test_options_that_can_not_be_used(options: dict[str, Any], said: str) -> None:
    """In one line."""
    with pytest.raises(dif.InputError, match=said) as raised:
        dif.measure_repeats(spikes(), **options)
    assert "\n" not in str(raised.value)


def test_large_sets_have_no_limits() -> None:
    """Of more stimuli than there are intervals of; the values are known."""
    rng = np.random.default_rng(0)
    given = rng.normal(size=(2050, 2)) + rng.normal(size=(2, 2050, 2)) / 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dif.measure_repeats(given, splits=1)
    assert np.isfinite(found["noise_free"]).all()
    assert found["plain_low"].isnull().all()
