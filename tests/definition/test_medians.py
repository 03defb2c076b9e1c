"""The exact median of all pairs: with ties, gaps, a misleading sample, and in bounded memory."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import oracles
from helpers.stored import Saved, Stored, peak_memory
from helpers.workers import Here, Processes
from scipy.spatial.distance import pdist

import differentia as dif
from differentia.definition import matrix as matrices, measure as definition, medians, tiles
from differentia.definition.matrix import Rows
from differentia.definition.medians import Bracket, middle, middle_of_few
from differentia.definition.tiles import ByBlocks, DoubtError, SquaredEuclidean, Tiles

RNG = np.random.default_rng(0)
K = 30


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of 32 x 32 responses, a sample of 16, and few bins."""
    monkeypatch.setattr(tiles, "SIDE", 32)
    monkeypatch.setattr(medians, "SIDE", 32)
    monkeypatch.setattr(tiles, "BAND", 10)
    monkeypatch.setattr(medians, "SAMPLE", 16)
    monkeypatch.setattr(medians, "MOST_COUNTED", 2**10)


#: Responses with distances that are hard to find the median of.
NASTY: dict[str, Callable[[int], np.ndarray]] = {
    "independent": lambda n: RNG.standard_normal((n, K)),
    "offset": lambda n: RNG.standard_normal((n, K)) + 1e4,
    "clusters": lambda n: RNG.standard_normal((n, K)) + 100 * (np.arange(n) % 2)[:, None],
    "duplicates": lambda n: RNG.standard_normal((n, K))[RNG.integers(0, n // 4, n)],
    "nearly all equal": lambda n: np.where((np.arange(n) % 10 < 9)[:, None], 1.5, RNG.random((n, K))),
    "all distances tie": lambda n: 3.0 * np.eye(n),
    "two distances": lambda n: np.eye(n)[:, : n // 2],
    "heavy tails": lambda n: RNG.standard_cauchy((n, K)),
    "one far away": lambda n: RNG.standard_normal((n, K)) + 1e4 * (np.arange(n) == 3)[:, None],
    "ordered": lambda n: np.arange(n)[:, None] + RNG.standard_normal((n, K)),
    "small integers": lambda n: RNG.integers(0, 3, (n, 4)).astype(float),
}


def test_middle_of_few() -> None:
    """Of each of several choices, of even and odd numbers of pairs; the pairs keep their order."""
    values = RNG.standard_normal((4, 9))
    for pairs in (values, values[:, :8], values[0]):
        before = pairs.copy()
        found = middle_of_few(pairs)
        np.testing.assert_array_equal(found.mean(axis=-1), np.median(pairs, axis=-1))
        assert (found[..., 0] == found[..., 1]).all() == (pairs.shape[-1] == 9)
        np.testing.assert_array_equal(pairs, before)


@pytest.mark.parametrize("n", [30, 32, 33, 100, 102])  # numbers of pairs even and odd, one tile and many
@pytest.mark.parametrize("name", [*NASTY])
def test_median_of_all_pairs(name: str, n: int) -> None:
    """Both middle values, to the last bit in float64 where there is nothing to round, nearly in float32."""
    matrix = NASTY[name](n).astype(np.float32)
    of_metrics: dict[str, Tiles] = {
        "sqeuclidean": SquaredEuclidean(Rows(matrix), "float64"),
        "cityblock": ByBlocks(Rows(matrix), "cityblock", np.add),
    }
    for metric, of_metric in of_metrics.items():
        values = np.sort(pdist(matrix.astype(float), metric))
        expected = values[(len(values) - 1) // 2], values[len(values) // 2]
        np.testing.assert_allclose(middle(of_metric), expected, rtol=1e-9)
    try:
        found = middle(SquaredEuclidean(Rows(matrix), "float32"))
    except DoubtError:
        assert name in ("clusters", "ordered", "heavy tails", "one far away")
        return
    values = np.sort(pdist(matrix.astype(float), "sqeuclidean"))
    expected = values[(len(values) - 1) // 2], values[len(values) // 2]
    np.testing.assert_allclose(found, expected, rtol=3e-6)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[Tiles]:
    """What a pass over all pairs was made of, each time."""
    made: list[Tiles] = []
    count = medians._count_pairs

    def noted(all_tiles: Tiles, brackets: list[Bracket]) -> None:
        made.append(all_tiles)
        count(all_tiles, brackets)

    monkeypatch.setattr(medians, "_count_pairs", noted)
    return made


@pytest.mark.parametrize("misled", [(0.0, 0.0), (1e-3, 1e-2), (1e3, 1e4), (59.9, 60.1), (0.0, 1e30)])
def test_a_sample_may_mislead(
    misled: tuple[float, float], passes: list[Tiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it says that the median is, the median is found; and passes are made only until then."""
    matrix = RNG.standard_normal((90, K)).astype(np.float32)
    expected = middle(SquaredEuclidean(Rows(matrix), "float64"))
    passes.clear()
    bits = tuple(int(bit) for bit in medians._bits(np.array(misled)))
    with monkeypatch.context() as patch:
        patch.setattr(medians, "_first_bracket", lambda _: bits)
        assert middle(SquaredEuclidean(Rows(matrix), "float64")) == expected
    assert 2 <= len(passes) <= 9
    passes.clear()
    assert middle(SquaredEuclidean(Rows(matrix), "float32")) == pytest.approx(expected, rel=1e-6)
    assert len(passes) <= 4


def test_one_pass_is_enough(passes: list[Tiles], monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32, with as many bins as there are in use, of one tile and of many."""
    monkeypatch.setattr(medians, "MOST_COUNTED", 2**23)
    for n in (31, 300):
        matrix = RNG.standard_normal((n, 300)).astype(np.float32)
        middle(SquaredEuclidean(Rows(matrix), "float32"))
        assert len(passes) == 1
        passes.clear()


def test_brackets_count_pairs() -> None:
    """Ranks below, within and above, and in bins of several values."""
    bracket = Bracket(1_000, 1_000 + 4 * 2**10 - 1)
    bracket.add(np.array([5, 999, 1_000, 1_003, 1_004, 9_999_999]))
    assert [bracket.find(rank, 2**40) for rank in range(6)] == [
        (0, 999),
        (0, 999),
        (1_000, 1_003),
        (1_000, 1_003),
        (1_004, 1_007),
        (1_000 + 4 * 2**10, 2**40),
    ]


@pytest.mark.parametrize("normalize", ["layer", "none", "response", "unit"])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "correlation", "cosine"])
def test_many_responses_have_the_value_of_the_definition(
    normalize: str, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every normalisation and metric by tiles, also at extreme scales, against double loops."""
    monkeypatch.setattr(definition, "FEW_RESPONSES", 40)
    matrix = (RNG.gamma(1.0, 1.0, (41, 12)) + 0.1).astype(np.float32)
    scale = matrix.std(axis=0, dtype=float) if normalize == "unit" else None
    expected = oracles.differentiation(matrix, normalize, metric, scale)
    found = dif.differentiation(matrix, normalize=normalize, metric=metric, scale=scale)
    assert found == pytest.approx(expected, rel=1e-6)
    for factor in (1e-30, 1e30):
        far = matrix * np.float32(factor)
        times = factor if normalize == "none" and metric in ("euclidean", "cityblock") else 1.0
        of_far = None if scale is None else scale * factor
        found = dif.differentiation(far, normalize=normalize, metric=metric, scale=of_far)
        assert found == pytest.approx(expected * times, rel=1e-5)


@pytest.mark.parametrize("name", [*NASTY])
def test_nasty_responses_have_the_value_of_the_definition(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 1e-6 of the float64 double loop; float32 products without the doubts and the centre are not."""
    monkeypatch.setattr(definition, "FEW_RESPONSES", 40)
    matrix = NASTY[name](70).astype(np.float32)
    expected = oracles.differentiation_by_loops(matrix)
    assert dif.differentiation(matrix) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    if name == "offset":
        squares = (matrix**2).sum(axis=1)
        naive = (squares[:, None] + squares - 2 * matrix @ matrix.T)[np.triu_indices(70, 1)]
        naive_value = np.median(np.sqrt(np.maximum(naive, 0) / K)) / matrix.astype(float).std()
        assert naive_value != pytest.approx(expected, rel=1e-3)


def test_counts_are_merged_whatever_they_are() -> None:
    """Of brackets that counted some of the pairs each; without the counts of one, ranks are others."""
    bits = RNG.integers(900, 6_000, 3_000)
    whole, merged, without = (Bracket(1_000, 1_000 + 4 * 2**10 - 1) for _ in range(3))
    whole.add(bits)
    for at, some in enumerate(np.split(bits, [0, 100, 1_000, 1_001])):
        part = Bracket(1_000, 1_000 + 4 * 2**10 - 1)
        part.add(some)
        merged.merge(part.packed())
        if at != 1:
            without.merge(part.packed())
    found = [[bracket.find(rank, 2**40) for rank in range(2_500)] for bracket in (whole, merged, without)]
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_packed_counts_are_few_bytes() -> None:
    """Of an octave of float32: where there are none, and where there are a few of each."""
    lowest, highest = (int(bits) for bits in medians._bits(np.array([1.0, 2.0], dtype=np.float32)))
    bracket = Bracket(lowest, highest - 1)
    bracket._counts, bracket._shift = np.zeros(2**23, dtype=np.int64), 0
    assert len(bracket.packed().counts) < 100
    bracket._counts[5] = bracket._counts[-5] = 300
    assert len(bracket.packed().counts) < 100_000
    bracket._counts[:] = RNG.integers(0, 200, 2**23)
    assert len(bracket.packed().counts) < 2**23 * 1.01


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("name", [*NASTY])
def test_workers_find_the_same(name: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, of all tiles and sizes of tasks, in any order; the same pairs are in doubt."""
    monkeypatch.setattr(medians, "MOST_COUNTED", 2**16)
    monkeypatch.setattr(matrices, "TASK_BYTES", 50 * 4 * K)
    monkeypatch.setattr(medians, "LEAST_OF_A_TASK", 1)
    monkeypatch.setattr(medians, "TASKS_EACH", 1)
    matrix = NASTY[name](110).astype(np.float32)
    stored = Stored(matrix)
    for make in (
        lambda rows: SquaredEuclidean(rows, "float32"),
        lambda rows: SquaredEuclidean(rows, "float64"),
        lambda rows: SquaredEuclidean(rows.minus(rows.means()).over(2.0), "float64"),
        lambda rows: ByBlocks(rows, "cityblock", np.add),
    ):
        here = Here(count, seed=count)
        alone, shared = make(Rows(matrix)), make(Rows(stored, workers=here))
        try:
            expected: tuple[float, float] | type = middle(alone)
        except DoubtError:
            with pytest.raises(DoubtError):
                middle(shared)
            continue
        assert middle(shared) == expected
        assert shared.doubtful == alone.doubtful
        if isinstance(alone, SquaredEuclidean) and isinstance(shared, SquaredEuclidean):
            np.testing.assert_array_equal(shared.means, alone.means)
            np.testing.assert_array_equal(shared.norms, alone.norms)
            assert shared.sd() == alone.sd()
        pairs = [task for task in here.names if task.startswith("pairs")]
        assert len({*pairs}) == (10 if count == 40 else 3)


def test_every_task_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once: one that is lost is an error, and so is one that is counted twice."""
    monkeypatch.setattr(medians, "LEAST_OF_A_TASK", 1)
    matrix = NASTY["ordered"](110).astype(np.float32)
    here = Here(40)
    middle(SquaredEuclidean(Rows(Stored(matrix), workers=here), "float64"))
    for name in {name for name in here.names if name.startswith("pairs")}:
        for times, error in ((0, AssertionError), (2, KeyError)):
            another = Here(40, times={name: times})
            with pytest.raises(error):
                middle(SquaredEuclidean(Rows(Stored(matrix), workers=another), "float64"))


@pytest.mark.parametrize("normalize", ["layer", "none", "response", "unit"])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "correlation", "cosine"])
def test_workers_give_the_value_of_the_definition(
    normalize: str, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit that of one process; where there is none, for the same reason."""
    monkeypatch.setattr(definition, "FEW_RESPONSES", 40)
    monkeypatch.setattr(matrices, "TASK_BYTES", 50 * 4 * 12)
    monkeypatch.setattr(medians, "LEAST_OF_A_TASK", 1)
    matrix = (RNG.gamma(1.0, 1.0, (71, 12)) + 0.1).astype(np.float32)
    how: dict[str, Any] = {"normalize": normalize, "metric": metric}
    if normalize == "unit":
        how["scale"] = matrix.std(axis=0, dtype=float)
    for values in (matrix, matrix * np.float32(1e30), matrix * (np.arange(71) != 50)[:, None]):
        expected = definition.evaluate(values, **how)
        assert expected.undefined or expected.value > 0
        found = definition.evaluate(Stored(values), **how, workers=Here(20))
        np.testing.assert_equal(found, expected)
    expected = definition.evaluate(matrix, **how)
    assert expected.value == pytest.approx(
        oracles.differentiation(matrix, normalize, metric, how.get("scale")), rel=1e-6
    )


@pytest.mark.slow
def test_other_processes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real ones, which read what they compare; of sets of one tile and of several, with ties and doubts."""
    monkeypatch.undo()  # they have no smaller tiles
    monkeypatch.setattr(medians, "LEAST_OF_A_TASK", 1)
    many = RNG.standard_normal((3_000, 8)).astype(np.float32)
    near = many + np.float32(100) * (np.arange(3_000) % 2)[:, None].astype(np.float32)  # DoubtError
    cases = {
        "few": many[:513],
        "many": many,
        "ties": np.round(many),
        "near": near,
        "equal": many[[0] * 2_100],
    }
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        workers = Processes(executor, 2)
        for name, matrix in cases.items():
            np.save(tmp_path / f"{name}.npy", matrix)
            expected = definition.evaluate(matrix)
            found = definition.evaluate(Saved(tmp_path / f"{name}.npy"), workers=workers)
            np.testing.assert_equal(found, expected)
            if name != "equal":
                exact = np.median(pdist(matrix.astype(float))) / np.sqrt(8) / matrix.astype(float).std()
                assert found.value == pytest.approx(exact, rel=1e-6)


@pytest.mark.soak
def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 4,000 responses neither all pairs are held, which take 32 MB as float32, nor a copy of them all."""
    monkeypatch.setattr(tiles, "SIDE", 256)
    monkeypatch.setattr(medians, "SIDE", 256)
    monkeypatch.setattr(medians, "SAMPLE", 200)
    monkeypatch.setattr(tiles, "BLOCK_BYTES", 2**19)
    matrix = RNG.standard_normal((4_000, 1_000)).astype(np.float32)
    assert peak_memory(lambda: middle(SquaredEuclidean(Rows(matrix), "float32"))) < 8e6
    ties = np.eye(1_000, dtype=np.float32)[np.arange(4_000) % 1_000]
    assert peak_memory(lambda: middle(SquaredEuclidean(Rows(ties), "float32"))) < 8e6
    monkeypatch.setattr(tiles, "SIDE", 4_000)
    assert peak_memory(lambda: middle(SquaredEuclidean(Rows(matrix), "float32"))) > 32e6
