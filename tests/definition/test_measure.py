"""The definition against float64 double loops, and its properties, each with a negative control."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from helpers import oracles
from hypothesis import given, settings, strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import rankdata

import differentia as dif
from differentia.definition import measure as definition
from differentia.definition.matrix import Rows
from differentia.definition.measure import METRICS, NORMALIZATIONS, Metric, evaluate, is_raw_euclidean

RELATIVE, ABSOLUTE = 1e-5, 1e-6


@st.composite
def matrices(draw: st.DrawFn, min_rows: int = 3, min_units: int = 3) -> np.ndarray:
    """Responses like a layer's: dense or sparse, of any scale and offset, float32 or float64."""
    rows = draw(st.integers(min_rows, 9))
    units = draw(st.integers(min_units, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrix = rng.standard_normal((rows, units))
    if draw(st.booleans()):
        matrix = np.maximum(matrix, 0)
        matrix[:, 0] = rng.uniform(1, 2, rows)  # no row is constant
    matrix = matrix * draw(st.sampled_from([1e-3, 1.0, 1e4])) + draw(st.sampled_from([0.0, -3.0]))
    return matrix.astype(draw(st.sampled_from([np.float32, np.float64])))


def close(value: float, expected: float) -> bool:
    return bool(np.isclose(value, expected, rtol=RELATIVE, atol=ABSOLUTE))


@settings(max_examples=200, deadline=None)
@given(matrix=matrices(), normalize=st.sampled_from([*NORMALIZATIONS]), metric=st.sampled_from([*METRICS]))
def test_equals_double_loops(matrix: np.ndarray, normalize: str, metric: str) -> None:
    """Every normalisation with every metric equals the oracle."""
    scale = matrix.astype(np.float64).std(axis=0) * 1.7 if normalize == "unit" else None
    value = dif.differentiation(matrix, normalize=normalize, metric=metric, scale=scale)
    expected = oracles.differentiation(matrix, normalize, metric, scale)
    assert np.isclose(value, expected, rtol=RELATIVE, atol=1e-9 * abs(float(np.abs(matrix).max())))


def test_oracle_comparison_can_fail() -> None:
    """A mean in place of the median, or diagonal pairs counted in, is told from the oracle."""
    matrix = np.random.default_rng(0).standard_normal((6, 20))
    matrix[0] *= 4
    value = dif.differentiation(matrix)
    sigma = matrix.std()
    full = np.linalg.norm(matrix[:, None] - matrix[None], axis=2) / (sigma * np.sqrt(20))
    assert not close(value, float(np.median(full)))
    assert not close(value, float(full[np.triu_indices(6, 1)].mean()))
    assert close(value, float(np.median(full[np.triu_indices(6, 1)])))


def test_known_values() -> None:
    """Two opposite rows are 2 apart; three rows by hand."""
    assert dif.differentiation([[0.0, 2.0], [2.0, 0.0]]) == pytest.approx(2.0)
    # distances 0 and 3 (twice), so the median is 3; population SD of 0 0 3 is sqrt(2)
    assert dif.differentiation([[0.0], [0.0], [3.0]]) == pytest.approx(3 / np.sqrt(2))
    # an even number of pairs: 1 2 3 3 5 6 by hand, the middle two are 3 and 3
    assert dif.differentiation([[0.0], [1.0], [3.0], [6.0]], normalize="none") == pytest.approx(3.0)
    # 1 2 4 3 6 7: sorted 1 2 3 4 6 7, the middle two are 3 and 4
    assert dif.differentiation([[0.0], [1.0], [3.0], [7.0]], normalize="none") == pytest.approx(3.5)


@settings(max_examples=50, deadline=None)
@given(matrix=matrices(), seed=st.integers(0, 1000))
def test_invariant_to_order_of_images_and_units(matrix: np.ndarray, seed: int) -> None:
    """Permuting images or units changes nothing; permuting units differently for each image does."""
    rng = np.random.default_rng(seed)
    value = dif.differentiation(matrix)
    assert close(dif.differentiation(matrix[rng.permutation(len(matrix))]), value)
    assert close(dif.differentiation(matrix[:, rng.permutation(matrix.shape[1])]), value)


def test_different_units_for_different_images_is_told() -> None:
    """The notebook's old bug, the twin of the invariance: shuffling each row by itself changes D."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((1, 500)) + 0.1 * rng.standard_normal((20, 500))
    shuffled = np.array([rng.permutation(row) for row in matrix])
    assert dif.differentiation(matrix) < 0.3
    assert dif.differentiation(shuffled) > 1.2


@settings(max_examples=50, deadline=None)
@given(
    matrix=matrices(),
    offset=st.sampled_from([-100.0, 0.5, 30.0]),
    factor=st.sampled_from([-2.0, 1e-3, 1e3]),
)
def test_invariant_to_offset_and_factor(matrix: np.ndarray, offset: float, factor: float) -> None:
    """Under ``layer`` neither a constant nor a factor of either sign matters; under ``none`` it does."""
    matrix = matrix.astype(np.float64)
    value = dif.differentiation(matrix)
    assert close(dif.differentiation(matrix + offset), value)
    assert close(dif.differentiation(matrix * factor), value)
    raw = dif.differentiation(matrix, normalize="none")
    assert not np.isclose(dif.differentiation(matrix * factor, normalize="none"), raw, rtol=1e-3)


@pytest.mark.parametrize("metric", [*METRICS])
def test_n_copies_of_one_row_are_not_differentiated(metric: str) -> None:
    """Equal responses give 0, not NaN; one that differs does not."""
    row = np.random.default_rng(1).standard_normal(300).astype(np.float32) + 1000
    copies = np.tile(row, (12, 1))
    assert dif.differentiation(copies, metric=metric) == 0.0
    other = np.random.default_rng(2).standard_normal((12, 300))
    assert dif.differentiation(other, metric=metric) > 0.5


def test_independent_entries_tend_to_root_two() -> None:
    """D of i.i.d. entries tends to sqrt(2) as K grows; correlated ones do not."""
    rng = np.random.default_rng(0)
    errors = [
        abs(dif.differentiation(rng.standard_normal((30, k))) - np.sqrt(2)) for k in (100, 10_000, 200_000)
    ]
    assert errors[0] < 0.1
    assert errors[1] < 0.01
    assert errors[2] < 0.001
    shared = rng.standard_normal((1, 10_000)) + rng.standard_normal((30, 10_000))
    assert dif.differentiation(shared) == pytest.approx(1.0, abs=0.01)


def test_response_normalisation_is_the_correlation_distance() -> None:
    """Each distance is sqrt(2 (1 - r)), r by NumPy; under ``layer`` it is another number."""
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal((8, 60)) * rng.uniform(0.5, 3, (8, 1)) + rng.uniform(-1, 1, (8, 1))
    r = np.asarray(np.corrcoef(matrix))[np.triu_indices(8, 1)]
    expected = np.median(np.sqrt(2 * (1 - r)))
    assert dif.differentiation(matrix, normalize="response") == pytest.approx(expected, rel=1e-12)
    assert dif.differentiation(matrix) != pytest.approx(expected, rel=1e-2)


def test_no_cancellation() -> None:
    """Rows far from the origin, and pairs far closer than the spread, keep their distances."""
    rng = np.random.default_rng(4)
    # one outlier far away; all other pairs are 1e-7 of that distance apart
    matrix = 1e-6 * rng.standard_normal((15, 50))
    matrix[0] = matrix[0] + 10.0
    value = dif.differentiation(matrix, normalize="none")
    assert value == pytest.approx(oracles.differentiation(matrix, "none"), rel=1e-9)
    squares = (matrix**2).sum(axis=1)
    naive = squares[:, None] + squares[None] - 2 * matrix @ matrix.T
    naive_value = np.median(np.sqrt(np.maximum(naive[np.triu_indices(15, 1)], 0) / 50))
    shifted = matrix + 1e4
    assert dif.differentiation(shifted, normalize="none") == pytest.approx(
        oracles.differentiation(shifted, "none"), rel=1e-6
    )
    far = (shifted**2).sum(axis=1)
    wrong = far[:, None] + far[None] - 2 * shifted @ shifted.T
    wrong_value = np.median(np.sqrt(np.maximum(wrong[np.triu_indices(15, 1)], 0) / 50))
    assert wrong_value != pytest.approx(value, rel=0.1)  # what the subtraction is for
    assert naive_value == pytest.approx(value, rel=1e-2)


@pytest.mark.parametrize("factor", [1e-200, 1e200])
@pytest.mark.parametrize("metric", [*METRICS])
@pytest.mark.parametrize("normalize", [*NORMALIZATIONS])
def test_extreme_scales(normalize: str, metric: str, factor: float) -> None:
    """Squares neither overflow nor vanish."""
    matrix = np.random.default_rng(5).standard_normal((6, 30))
    scale = matrix.std(axis=0) if normalize == "unit" else None
    expected = dif.differentiation(matrix, normalize=normalize, metric=metric, scale=scale)
    if normalize == "none" and METRICS[metric].in_units:
        expected *= factor
    scaled = None if scale is None else scale * factor
    value = dif.differentiation(matrix * factor, normalize=normalize, metric=metric, scale=scaled)
    assert value == pytest.approx(expected, rel=1e-9, abs=0)


def test_many_blocks_equal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a block of units at a time changes nothing."""
    matrix = np.maximum(np.random.default_rng(6).standard_normal((10, 500)), 0)
    scale = matrix.std(axis=0)
    whole = {
        (n, m): dif.differentiation(matrix, normalize=n, metric=m, scale=scale if n == "unit" else None)
        for n in NORMALIZATIONS
        for m in METRICS
    }
    monkeypatch.setattr("differentia.definition.matrix.CACHED_ENTRIES", 70)
    for (n, m), value in whole.items():
        blocked = dif.differentiation(matrix, normalize=n, metric=m, scale=scale if n == "unit" else None)
        assert blocked == pytest.approx(value, rel=1e-12), (n, m)


@pytest.mark.parametrize(
    ("matrix", "options", "message"),
    [
        (np.full((4, 5), 6.0), {}, "gives 6 in every unit for every stimulus"),
        (np.full((4, 5), 0.0), {"normalize": "none"}, "gives 0 in every unit"),
        (np.array([[1.0, 2, 3], [2, 2, 2], [3, 1, 2]]), {"normalize": "response"}, "response 1 is constant"),
        (np.array([[1.0, 2, 3], [2, 1, 2], [3, 3, 3]]), {"metric": "correlation"}, "response 2 is constant"),
        (
            np.array([[1.0, 2, 3], [2, 1, 5], [3, 0, 1]]),
            {"metric": "correlation", "normalize": "unit", "scale": np.array([1.0, 2, 3])},
            "response 0 is constant",
        ),
        (
            np.array([[1.0, 2, 3], [0, 0, 0], [3, 1, 2]]),
            {"normalize": "none", "metric": "cosine"},
            "response 1 is zero in every unit",
        ),
    ],
)
def test_undefined_is_nan_with_a_warning(matrix: np.ndarray, options: dict[str, Any], message: str) -> None:
    """Where there is no value there is a NaN and a reason, never a number."""
    with pytest.warns(dif.DifferentiaWarning, match=message):
        assert np.isnan(dif.differentiation(matrix, **options))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        matrix = matrix + np.arange(matrix.size).reshape(matrix.shape) ** 2
        assert dif.differentiation(matrix, **options) > 0


def test_constant_is_what_is_constant_after_normalisation() -> None:
    """A row that only looks constant before its units are scaled has a correlation."""
    matrix, scale = np.array([[1.0, 1, 1], [2, 1, 5], [3, 0, 1]]), np.array([1.0, 2, 3])
    value = dif.differentiation(matrix, normalize="unit", metric="correlation", scale=scale)
    assert value == pytest.approx(oracles.differentiation(matrix, "unit", "correlation", scale))


def moved_by_rounding(shape: tuple[int, int], value: float = 0.3) -> np.ndarray:
    """Return one number that differs in its last digit."""
    values = np.full(shape, value, dtype=np.float32)
    values[np.random.default_rng(1).random(shape) < 0.5] = np.nextafter(np.float32(value), np.float32(1))
    return values


def test_units_that_only_rounding_moves_count_as_constant() -> None:
    """Divided by their SD they would make most of the distance; they are counted, and contribute 0."""
    moving = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    matrix = np.hstack([moving, moved_by_rounding((8, 30))])
    scale = matrix.std(axis=0, dtype=np.float64)
    assert (scale > 0).all()
    with pytest.warns(dif.DifferentiaWarning, match=r"only rounding moves 30 of 33 units of 'A'") as warned:
        value = dif.differentiation(matrix, normalize="unit", scale=scale)
    assert [one.message.kind for one in warned] == ["rounding"]  # type: ignore[union-attr]
    right = np.where(np.arange(33) < 3, scale, 0.0)
    assert value == pytest.approx(oracles.differentiation(matrix, "unit", scale=right), rel=1e-9)
    assert value < 0.5 * oracles.differentiation(matrix, "unit", scale=scale)  # the control
    assert dif.differentiation(matrix, normalize="unit", scale=right) == value  # and nothing is said
    # They may be constant in this set alone, and their level then counts.
    large = np.where(np.arange(33) < 3, scale, 0.1)
    of_level = dif.differentiation(matrix, normalize="unit", metric="cosine", scale=large)
    assert of_level == pytest.approx(oracles.differentiation(matrix, "unit", "cosine", large), rel=1e-6)


@pytest.mark.parametrize("rows", [6, 600])
def test_no_value_comes_of_rounding(rows: int) -> None:
    """Neither an SD of rounding divides, nor has a response a correlation that only rounding moves."""
    same = moved_by_rounding((rows, 7))
    with pytest.warns(dif.DifferentiaWarning, match="gives 0.3 in every unit .*, but for rounding"):
        assert np.isnan(dif.differentiation(same))
    assert 0 <= dif.differentiation(same, normalize="none") < 1e-7
    matrix = np.random.default_rng(0).standard_normal((rows, 7)).astype(np.float32)
    matrix[3] = same[3]
    assert len({*same[3]}) > 1
    for options in ({"normalize": "response"}, {"metric": "correlation"}):
        with pytest.warns(dif.DifferentiaWarning, match="response 3 is constant and has no correlation"):
            assert np.isnan(dif.differentiation(matrix, **options))
    matrix[3] *= 1 + 1e-4 * np.arange(7)  # the control: weak, but no rounding
    assert dif.differentiation(matrix, normalize="response") > 1


def test_a_unit_that_never_changes_adds_nothing() -> None:
    """Under ``unit`` a constant unit has scale 0 and counts in K only."""
    rng = np.random.default_rng(7)
    moving = rng.standard_normal((6, 8))
    with_constant = np.column_stack([moving, np.full(6, 3.0)])
    scale = with_constant.std(axis=0)
    scale[-1] = 0
    value = dif.differentiation(with_constant, normalize="unit", scale=scale)
    alone = dif.differentiation(moving, normalize="unit", scale=scale[:-1])
    assert value == pytest.approx(alone * np.sqrt(8 / 9), rel=1e-12)


@pytest.mark.parametrize(
    ("matrix", "options", "message"),
    [
        ([[1.0, 2.0]], {}, "1 responses of 2 units; expected at least 2"),
        (np.zeros((3, 0)), {}, "3 responses of 0 units"),
        (np.zeros(3), {}, r"shape \(3,\); expected two dimensions"),
        ([[1.0, 2.0], [3.0]], {}, "not a matrix"),
        ([["a", "b"], ["c", "d"]], {}, "expected real numbers"),
        ([[1 + 2j, 0], [0, 1]], {}, "expected real numbers"),
        ([[1.0, 2.0], [3.0, np.nan]], {}, "nan in response 1, unit 1"),
        (np.ma.masked_greater([[1.0, 2.0], [3.0, 1e20]], 1e10), {}, "A has masked entries"),
        (torch.ones((2, 2), requires_grad=True), {}, "not a matrix of responses"),
        (torch.ones((2, 2), dtype=torch.bfloat16), {}, "not a matrix of responses"),
        ([[1.0, 2.0], [3.0, 5.0]], {"normalize": "unit", "scale": ["a", "b"]}, "scale is not a list of SDs"),
        ([[1.0, np.inf], [3.0, 4.0]], {}, "inf in response 0, unit 1"),
        ([[1.0, 2.0], [3.0, 5.0]], {"metric": "euclidian"}, "Did you mean 'euclidean'"),
        ([[1.0, 2.0], [3.0, 5.0]], {"normalize": "layers"}, "Did you mean 'layer'"),
        ([[1.0, 2.0], [3.0, 5.0]], {"normalize": "unit"}, "needs scale="),
        ([[1.0, 2.0], [3.0, 5.0]], {"scale": [1, 1]}, "normalize='unit' only"),
        ([[1.0, 2.0], [3.0, 5.0]], {"normalize": "unit", "scale": [1]}, r"expected \(2,\)"),
        ([[1.0, 2.0], [3.0, 5.0]], {"normalize": "unit", "scale": [1, -1]}, "SD >= 0"),
        ([[1.0, 2.0], [3.0, 5.0]], {"normalize": "unit", "scale": [1, 0]}, "scale is 0 for unit 1"),
    ],
)
def test_what_can_not_be_measured_is_refused(matrix: Any, options: dict[str, Any], message: str) -> None:
    """Each error says what was given and what was expected."""
    with pytest.raises(dif.InputError, match=message):
        dif.differentiation(matrix, **options)


def test_spike_counts_and_booleans_are_numbers() -> None:
    """Integers and booleans are measured as the floats that they are."""
    counts = np.random.default_rng(8).poisson(2.0, (7, 30))
    assert dif.differentiation(counts) == dif.differentiation(counts.astype(float))
    spiked = counts > 2
    assert dif.differentiation(spiked) == dif.differentiation(spiked.astype(float))


def test_shapes_are_checked_in_tests() -> None:
    """The run-time check of shapes is at work: a matrix is not a list of SDs."""
    with pytest.raises(Exception, match="Type-check error"):
        evaluate(np.eye(3), scale=np.zeros((2, 3)))


@pytest.mark.parametrize("few", [512, 5])
def test_a_metric_is_one_entry(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes the largest difference, of few responses and of many."""
    chebyshev = Metric(lambda largest, _: largest, scipy="chebyshev", join=np.maximum, in_units=True)
    monkeypatch.setitem(METRICS, "chebyshev", chebyshev)
    monkeypatch.setattr(definition, "FEW_RESPONSES", few)
    monkeypatch.setattr("differentia.definition.matrix.CACHED_ENTRIES", 70)
    matrix = np.random.default_rng(9).standard_normal((12, 40))
    expected = np.median(pdist(matrix, "chebyshev"))
    assert dif.differentiation(matrix, normalize="none", metric="chebyshev") == pytest.approx(expected)
    assert expected != pytest.approx(np.median(pdist(matrix, "cityblock")) / 40, rel=0.1)


@pytest.mark.parametrize("few", [512, 5])
def test_a_normalisation_is_one_entry(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that compares each response's ranks, of few responses and of many."""

    def by_rank(rows: Rows, scale: np.ndarray | None) -> Rows:
        return Rows(rankdata(rows.part(slice(0, rows.n_responses), slice(0, rows.n_units)), axis=1))

    monkeypatch.setitem(NORMALIZATIONS, "rank", by_rank)
    monkeypatch.setattr(definition, "FEW_RESPONSES", few)
    matrix = np.random.default_rng(9).standard_normal((12, 40))
    expected = np.median(pdist(rankdata(matrix, axis=1)) / np.sqrt(40))
    assert dif.differentiation(matrix, normalize="rank") == pytest.approx(expected)
    assert dif.differentiation(np.exp(2 * matrix), normalize="rank") == pytest.approx(expected)
    assert dif.differentiation(np.exp(2 * matrix)) != pytest.approx(dif.differentiation(matrix), rel=0.01)


def test_where_distances_are_those_of_the_responses() -> None:
    """By the Euclidean metric, and with nothing but one SD."""
    told = {(n, m) for n in NORMALIZATIONS for m in METRICS if is_raw_euclidean(n, m)}
    assert told == {("layer", "euclidean"), ("none", "euclidean")}
