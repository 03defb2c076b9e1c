"""Two sets of images, and how far they lie apart: by loops, and simulated where the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers import oracles
from helpers.responses import K, gaussian
from helpers.tries import bounded
from scipy.spatial.distance import cdist

import differentia as dif
from differentia.results.between import PERMUTATIONS, _Pair, _PairInLayer, default_pairs, p_of_statistics


def measured(**sets: np.ndarray) -> xr.Dataset:
    return dif.measure_responses({name: {"x": matrix} for name, matrix in sets.items()})


def pair_of(found: xr.Dataset, first: str, second: str) -> xr.Dataset:
    """Return the values of one pair of sets."""
    return found.set_index(pair=["first", "second"]).sel(first=first, second=second)


@pytest.mark.parametrize("normalize", ["layer", "none"])
def test_medians_by_loops(normalize: str) -> None:
    """Across and within, of sets of different sizes, some of one size: over one SD of both sets' entries."""
    rng = np.random.default_rng(0)
    sets = {
        name: {layer: gaussian(rng, n) * spread + mean for layer in ("x", "y")}
        for name, n, spread, mean in (("a", 5, 1, 2), ("b", 8, 2, 3), ("c", 5, 1, 2), ("d", 2, 1, 9))
    }
    found = dif.statistics(dif.measure_responses(sets, normalize=normalize), pairs=())
    assert found.sizes["pair"] == 6
    for first, second in combinations(sets, 2):
        for layer in ("x", "y"):
            of = pair_of(found, first, second).sel(layer=layer)
            across, one, other = oracles.between(sets[first][layer], sets[second][layer], normalize)
            assert of["between"].item() == pytest.approx(across, rel=1e-5)
            assert of["within_first"].item() == pytest.approx(one, rel=1e-5)
            assert of["within_second"].item() == pytest.approx(other, rel=1e-5)
            assert of["excess"].item() == pytest.approx(across - (one + other) / 2, abs=1e-5)
    assert found[["excess_low", "excess_high", "p", "p_corrected"]].isnull().all()


def test_an_image_is_not_compared_with_itself() -> None:
    """What both sets show, by its content, is left out across; unknown contents are all different."""
    rng = np.random.default_rng(1)
    both = gaussian(rng, 6)
    one, other = (np.concatenate([both, gaussian(rng, 6) + mean]) for mean in (0, 0.5))
    result = measured(one=one, other=other)
    hashes = [f"{at}" for at in range(6)] + [f"a{at}" for at in range(6)]
    known = result.assign_coords(
        image_hash=("image", hashes + [f"{at}" for at in range(6)] + [f"b{at}" for at in range(6)])
    )
    apart = [
        np.sqrt(np.mean((a - b) ** 2))
        for i, a in enumerate(one)
        for j, b in enumerate(other)
        if not i == j < 6
    ]
    found = dif.statistics(known)["between"].item()
    assert found == pytest.approx(np.median(apart) / np.concatenate([one, other]).std(), rel=1e-5)
    assert found > dif.statistics(result)["between"].item()
    # sets of the same images alone have none that could be permuted, nor, of one image, any pair
    same = result.assign_coords(image_hash=("image", hashes * 2))
    assert dif.statistics(same)[["p", "p_corrected"]].isnull().all()
    assert dif.statistics(same)["between"].notnull().all()


def test_images_of_both_sets_stay_in_both() -> None:
    """Others are permuted, and as many stay in each set."""
    content = np.array([0, 1, 2, 3, 4, 0, 1, 5, 6])
    pair = _Pair(np.arange(5), np.arange(5, 9), content)
    labels = pair.permuted(np.random.default_rng(0))
    assert labels is not None
    assert labels.shape == (PERMUTATIONS + 1, 9)
    np.testing.assert_array_equal(labels[0], [1, 1, 1, 1, 1, 0, 0, 0, 0])
    assert (labels[:, :2] == 1).all()
    assert (labels[:, 5:7] == 0).all()
    assert (labels.sum(axis=1) == 5).all()
    assert 0.55 < labels[1:, 7].mean() < 0.65  # three of the five others


def energy(matrix: np.ndarray, of_first: np.ndarray) -> float:
    """Return the mean distance across less the mean of both within, in the mean of all, by loops."""
    apart: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for i, j in combinations(range(len(matrix)), 2):
        apart[int(of_first[i]) + int(of_first[j])].append(float(np.linalg.norm(matrix[i] - matrix[j])))
    excess = np.mean(apart[1]) - (np.mean(apart[0]) + np.mean(apart[2])) / 2
    return float(excess / np.mean([*apart[0], *apart[1], *apart[2]]))


def test_the_statistic_by_loops() -> None:
    """As the sets are, and permuted; p is how often permutations reach it."""
    rng = np.random.default_rng(2)
    one, other = gaussian(rng, 6), gaussian(rng, 9) + 0.1
    together = np.concatenate([one, other])
    result = measured(one=one, other=other)
    pair = _Pair(np.arange(6), np.arange(6, 15), np.arange(15))
    labels = pair.permuted(np.random.default_rng(3))
    assert labels is not None
    found = pair.in_layer(result["distance"].values[0]).statistics(labels)
    for row in range(5):
        assert found[row] == pytest.approx(energy(together, labels[row]), abs=1e-6)
    p = dif.statistics(result)["p"].item()
    reached = 1 + (found[1:] >= found[0]).sum()
    assert p == pytest.approx(reached / (PERMUTATIONS + 1), abs=0.03)  # of other permutations
    assert 0.001 < p < 0.5
    assert dif.statistics(result)["p"].item() == p  # the same each time


def in_layer(together: np.ndarray, n: int) -> _PairInLayer:
    """Return two sets of responses, the first n and the others, over the SD of all."""
    distances = cdist(together, together) / together.std() / np.sqrt(together.shape[1])
    rows = np.arange(len(together))
    return _Pair(rows[:n], rows[n:], rows).in_layer(distances)


def p_of(layers: list[np.ndarray], n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return p of the first n images and the others, and corrected over layers."""
    rows = np.arange(len(layers[0]))
    labels = _Pair(rows[:n], rows[n:], rows).permuted(generator)
    assert labels is not None
    return p_of_statistics(np.array([in_layer(layer, n).statistics(labels) for layer in layers]))


def test_false_positives_are_as_many_as_they_say() -> None:
    """Of sets of one kind, alone and over all layers; sets that lie apart are found."""
    rng = np.random.default_rng(4)
    alone, corrected, seen = [], [], []
    moved = np.where(np.arange(24) < 9, 0.8, 0.0)[:, np.newaxis]
    strengths = np.where(np.arange(24) < 9, 1.0, 2.0)[:, np.newaxis]
    for _ in range(400):
        strength = np.exp(0.5 * rng.normal(size=(24, 1)))
        layers = [strength * gaussian(rng, 24), strength * gaussian(rng, 24), gaussian(rng, 24)]
        p, over_layers = p_of(layers, 9, rng)
        alone.append((p <= 0.05).mean())
        corrected.append(over_layers.min() <= 0.05)
    for _ in range(40):
        layers = [gaussian(rng, 24) + moved for _ in range(3)]
        seen.append(p_of(layers, 9, rng)[1].min() <= 0.05)
    assert np.mean(alone) <= 0.06
    assert np.mean(corrected) <= 0.06
    assert np.mean(seen) > 0.8
    # also where they lie at one place and vary differently, the larger or the smaller more
    for stretched in (strengths, 1 / strengths):
        found = [p_of([gaussian(rng, 24) * stretched], 9, rng)[0][0] <= 0.05 for _ in range(40)]
        assert np.mean(found) > 0.8


def low_rank(rng: np.random.Generator, n: int, weights: np.ndarray) -> np.ndarray:
    return rng.normal(size=(n, len(weights))) @ weights + 0.3 * rng.normal(size=(n, K))


def excess(together: np.ndarray, n: int) -> float:
    """Return that of the first n responses and the others."""
    return excess_of(in_layer(together, n).distances, n)


def excess_of(distances: np.ndarray, n: int) -> float:
    within = [np.median(of[np.triu_indices(len(of), k=1)]) for of in (distances[:n, :n], distances[n:, n:])]
    return float(np.median(distances[:n, n:]) - np.mean(within))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "n", "m"),
    bounded(
        [
            *(("same", 10, 10), ("moved", 20, 60), ("spread", 20, 60), ("kinds", 10, 10)),
            *(("same", 20, 60), ("moved", 10, 10), ("spread", 10, 10), ("kinds", 20, 60)),
            *((case, 50, 50) for case in ("same", "moved", "spread", "kinds")),
        ],
        4,
    ),
)
def test_limits_hold_the_true_excess(case: str, n: int, m: int) -> None:
    """That of many times as many images, in the same proportion; limits a third as wide would not."""
    rng = np.random.default_rng([n, m])
    weights, mean = rng.normal(size=(5, K)), rng.normal(size=K)
    second: dict[str, Callable[[int], np.ndarray]] = {
        "same": lambda m: low_rank(rng, m, weights),
        "moved": lambda m: low_rank(rng, m, weights) + 2 * mean,
        "spread": lambda m: 2 * low_rank(rng, m, weights),
        "kinds": lambda m: gaussian(rng, m) * 4 + mean,
    }

    def make(times: int) -> np.ndarray:
        return np.concatenate([low_rank(rng, times * n, weights), second[case](times * m)])

    times = 1200 // (n + m)
    truth = np.mean([excess(make(times), times * n) for _ in range(8)])
    held, third = [], []
    for _ in range(300):
        together = make(1)
        powers = ((together - together.mean()) ** 2).mean(axis=1)
        pair = in_layer(together, n)
        low, high = pair.limits(powers, 0.95)
        value = excess_of(pair.distances, n)
        held.append(low <= truth <= high)
        third.append(value - (value - low) / 3 <= truth <= value + (high - value) / 3)
    assert np.mean(held) >= 0.92
    assert np.mean(third) < 0.9


def test_limits_know_how_uncertain_the_unit_is() -> None:
    """Some images are stronger, on which the SD of both sets rests, and no median does."""
    rng = np.random.default_rng(7)

    def make(n: int) -> np.ndarray:
        strength = np.where(rng.random((2 * n, 1)) < 0.2, 3.0, 1.0)
        of_set = np.where(np.arange(2 * n) < n, 3.0, -3.0)[:, np.newaxis]
        return strength * rng.normal(size=(2 * n, K)) + of_set

    truth = np.mean([excess(make(1000), 1000) for _ in range(3)])
    held: list[bool] = []
    taken_as_known: list[bool] = []
    for _ in range(150):
        together = make(40)
        powers = ((together - together.mean()) ** 2).mean(axis=1)
        of_both = in_layer(together, 40)
        for ends, into in (
            (of_both.limits(powers, 0.95), held),
            (of_both.limits(None, 0.95), taken_as_known),
        ):
            into.append(bool(ends[0] <= truth <= ends[1]))
    assert np.mean(held) >= 0.91
    assert np.mean(taken_as_known) < 0.88


def test_where_there_are_no_limits() -> None:
    """Of fewer than 10 images, and where the set's own can't be trusted; there is p."""
    rng = np.random.default_rng(6)
    strong = gaussian(rng, 20)
    strong[4] *= 9
    result = measured(one=gaussian(rng, 20), other=gaussian(rng, 20), few=gaussian(rng, 9), strong=strong)
    found = dif.statistics(result)
    for second, known in (("other", True), ("few", False), ("strong", False)):
        of = pair_of(found, "one", second)
        assert bool(of["excess_low"].notnull().all()) == known
        assert bool(of["excess_high"].notnull().all()) == known
        assert of["p"].notnull().all()


def test_which_pairs_are_tested() -> None:
    """Those asked for, in the order of sets; by default every two of at most four beside the reference."""
    rng = np.random.default_rng(3)
    arrays = {name: {"x": gaussian(rng, 4)} for name in "abcdef"}

    def tested(names: str, reference: str | None, **options: Any) -> list[str]:
        result = dif.measure_responses({name: arrays[name] for name in names}, reference=reference)
        found = dif.statistics(result, **options)
        at = found["p"].notnull().any("layer").values
        return [
            first + second
            for first, second in zip(found["first"].values[at], found["second"].values[at], strict=True)
        ]

    assert tested("abc", "a") == ["bc"]
    assert tested("ab", "a") == ["ab"]
    assert tested("abcd", None) == ["ab", "ac", "ad", "bc", "bd", "cd"]
    assert tested("abcdef", "f") == []
    assert tested("abcdef", "f", pairs=[("f", "b"), ["a", "b"]]) == ["ab", "bf"]
    assert tested("abc", None, pairs=()) == []
    assert default_pairs(dif.measure_responses({"a": arrays["a"]})) == []


def test_sets_that_are_one_have_no_excess() -> None:
    """Twice the same responses as different images: the excess is about 0, and p large."""
    matrix = gaussian(np.random.default_rng(5), 30)
    same = dif.statistics(measured(a=matrix, b=matrix + 1e-9))
    assert abs(same["excess"].item()) < 0.1
    assert same["p"].item() > 0.05
    apart = dif.statistics(measured(a=matrix, b=matrix + 5))
    assert apart["excess"].item() > 0.5
    assert apart["p"].item() == 1 / (PERMUTATIONS + 1)
    assert apart["excess_low"].item() > 0
