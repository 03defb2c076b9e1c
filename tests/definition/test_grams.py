"""Inner products over many choices of units at once, against those of each choice by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import oracles
from helpers.stored import Stored
from scipy.spatial.distance import cdist, pdist

import differentia as dif
from differentia.definition import grams
from differentia.definition.grams import Grams, readings
from differentia.definition.pairs import PRECISION

RNG = np.random.default_rng(0)
POOL = 203
SETS = {"a": slice(0, 9), "b": slice(9, 22), "c": slice(22, 24)}


@pytest.fixture(autouse=True)
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans of 50 units, and blocks of 8."""
    monkeypatch.setattr(grams, "SPAN_UNITS", 50)
    monkeypatch.setattr(grams, "BLOCK_UNITS", 8)


def draws(*sizes: int) -> list[np.ndarray]:
    """Return choices of these sizes, each but the first at random."""
    chosen = [np.sort(RNG.permutation(POOL)[:size]) for size in sizes]
    return [np.arange(sizes[0]), *chosen[1:]]


def by_choice(values: np.ndarray, choices: list[np.ndarray], name: str, dtype: str) -> list[Grams]:
    """Return the products of each choice of one set."""
    found = []
    for reading in readings(values, SETS, choices, dtype=dtype):
        if name in reading.grams:
            at, some = reading.grams[name]
            for place in range(at.stop - at.start):
                one = slice(place, place + 1)
                found.append(
                    Grams(some.products[one], some.n_responses, some.centre, some.n_units[one], dtype)
                )
    return found


@pytest.mark.parametrize("together", [2**23, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_follows_from_products(dtype: str, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Distances, variance and sums of every choice of every set, with a large common part of each unit."""
    monkeypatch.setattr(grams, "PRODUCT_BYTES", together)
    values = (RNG.standard_normal((24, POOL)) + 30 * RNG.standard_normal(POOL) + 100).astype(dtype)
    choices = draws(POOL, 40, 40, 40, 3, 3, 200, 40)
    rtol = 3e-6 if dtype == "float32" else 1e-10
    for name, rows in SETS.items():
        found = by_choice(values, choices, name, dtype)
        assert len(found) == len(choices)
        upper = np.triu_indices(rows.stop - rows.start, k=1)
        for choice, gram in zip(choices, found, strict=True):
            chosen = values[rows][:, choice].astype(float)
            squares, _ = gram.squares(*upper)
            np.testing.assert_allclose(squares[0], pdist(chosen, "sqeuclidean"), rtol=rtol)
            np.testing.assert_allclose(gram.variances()[0], chosen.var(), rtol=rtol)
            assert gram.safe().all()
            for normalize in ("layer", "none"):
                value = gram.differentiation(normalize)[0]
                assert value == pytest.approx(oracles.differentiation(chosen, normalize), rel=rtol)
        assert not np.allclose(found[1].squares(*upper)[0], found[2].squares(*upper)[0], rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums(dtype: str) -> None:
    """Of each response over the first choice, also where others are far larger."""
    values = RNG.gamma(1.0, 1.0, (24, POOL)).astype(dtype)
    values[::2] *= 1e4
    (reading,) = readings(values, SETS, draws(120, 40, 200), dtype=dtype)
    for name, (sums, square_sums) in reading.sums.items():
        chosen = values[SETS[name], :120].astype(float)
        np.testing.assert_allclose(sums, chosen.sum(axis=1), rtol=1e-6)
        np.testing.assert_allclose(square_sums, (chosen**2).sum(axis=1), rtol=1e-6)
    from_products = reading.grams["a"][1].sums[0] + reading.grams["a"][1].centre * 120
    exact = values[:9, :120].astype(float).sum(axis=1)
    assert np.allclose(from_products, exact, rtol=1e-6) == (dtype == "float64")


@pytest.mark.parametrize("together", [1, 15, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distances_between_sets(dtype: str, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the first choice, of sets whose means are far from each other and from 0, and of near ones.

    However many sets are looked at together.
    """
    monkeypatch.setattr(grams, "RESPONSES_TOGETHER", together)
    values = (RNG.standard_normal((24, POOL)) + 1e3 * RNG.standard_normal(POOL)).astype(dtype)
    values[SETS["b"]] += np.asarray(5 * RNG.standard_normal(POOL), dtype=dtype)
    for choices in (draws(POOL, 40), draws(120, 40, 40)):
        (reading,) = readings(values, SETS, choices, dtype=dtype, across=True)
        assert reading.across is not None
        squares, scales = reading.across
        chosen = values[:, : len(choices[0])].astype(float)
        np.testing.assert_allclose(squares, cdist(chosen, chosen, "sqeuclidean"), rtol=1e-5, atol=1e-3)
        assert (scales >= squares / 3).all()
    (reading,) = readings(values, SETS, choices, dtype=dtype)
    assert reading.across is None


def test_distances_of_sets_that_a_third_is_far_from() -> None:
    """Beside the mean of all, two sets may be so near each other that it is in doubt how near."""
    values = RNG.standard_normal((24, POOL))
    expected = cdist(values[SETS["a"]], values[SETS["b"]], "sqeuclidean")
    for far, known in ((1e2, True), (1e8, False)):
        values[SETS["c"]] = far * (1 + RNG.standard_normal((2, POOL)))
        (reading,) = readings(values, SETS, draws(POOL), dtype="float64", across=True)
        assert reading.across is not None
        squares, scales = (array[SETS["a"], SETS["b"]] for array in reading.across)
        assert np.allclose(squares, expected, rtol=1e-6) == known
        assert (squares < PRECISION["float64"].doubtful * scales).any() != known


@pytest.mark.parametrize("large", [True, False])
def test_distances_between_two_sets_do_not_depend_on_others(
    large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit of float32, whether sets are looked at together or each by itself."""
    monkeypatch.setattr(grams, "RESPONSES_TOGETHER", 5 if large else 1000)
    values = RNG.standard_normal((240, POOL)).astype(np.float32)
    sets = {f"set {number}": slice(12 * number, 12 * number + 12) for number in range(20)}
    distances = []
    for names in (["set 3", "set 9"], [*sets]):
        rows = np.concatenate([np.arange(240)[sets[name]] for name in names])
        some = {name: slice(12 * number, 12 * number + 12) for number, name in enumerate(names)}
        (reading,) = readings(values[rows], some, draws(POOL), dtype="float32", across=True)
        assert reading.across is not None
        distances.append(np.sqrt(reading.across[0][some["set 3"], some["set 9"]]).astype(np.float32))
    np.testing.assert_array_equal(distances[0], distances[1])


def test_a_set_does_not_depend_on_the_others() -> None:
    """To the last bit; nor on how many choices are taken with one."""
    values = RNG.standard_normal((24, POOL)).astype(np.float32)
    choices = draws(POOL, 40, 40, 3)
    (together,) = readings(values, SETS, choices, dtype="float32", across=True)
    (alone,) = readings(values, {"b": SETS["b"]}, choices, dtype="float32")
    np.testing.assert_array_equal(together.grams["b"][1].products, alone.grams["b"][1].products)
    one = by_choice(values, [choices[0], choices[2]], "b", "float32")[1].differentiation("layer")
    several = together.grams["b"][1].differentiation("layer")
    assert several[2] == pytest.approx(one[0], rel=1e-6)
    assert several[1] != pytest.approx(one[0], rel=1e-6)


@pytest.mark.parametrize("width", [16, 32, 48, 112, 336])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_units_with_themselves(width: int, dtype: str) -> None:
    """Each entry is there, whether it was computed or is known from another."""
    units = torch.from_numpy(RNG.standard_normal((3, 70, width)).astype(dtype))
    found = grams._symmetric_products(units).numpy()
    exact = np.einsum("bki,bkj->bij", units.double().numpy(), units.double().numpy())
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-3 if dtype == "float32" else 1e-12)
    # the control: another order of the units is other products
    assert np.abs(found[:, ::-1] - exact).max() > 1


def test_only_what_is_looked_at_is_read() -> None:
    """Once, of each set; and the same whether it is stored or not, in any order, and may be written to."""
    values = RNG.standard_normal((24, POOL)).astype(np.float32)
    choices = draws(20, 20, 20)
    stored = Stored(values)
    (found,) = readings(stored, SETS, choices, dtype="float32")
    assert sum(stored.reads) == 24 * len(set(np.concatenate(choices).tolist()))
    values.flags.writeable = False
    for same in (values, np.asfortranarray(values), values[:, ::-1].copy()[:, ::-1]):
        (expected,) = readings(same, SETS, choices, dtype="float32")
        np.testing.assert_array_equal(found.grams["a"][1].products, expected.grams["a"][1].products)


def test_what_products_do_not_tell() -> None:
    """Constant, too large and too small responses, and medians in doubt: None, and never a number."""
    ordinary = RNG.standard_normal((24, POOL)).astype(np.float32)
    near = ordinary[[0] * 24] + np.float32(1e-4) * ordinary
    near[4] *= -3  # the others are close to each other, for what they are apart from the mean
    for values, normalize in (
        (np.full_like(ordinary, 6.1), "layer"),
        (ordinary * np.float32(1e-25), "layer"),
        (ordinary * np.float32(1e25), "none"),
        (near, "layer"),
        (ordinary[[0] * 23 + [1]], "none"),
    ):
        (found,) = readings(values, {"a": slice(0, 24)}, draws(POOL, 40), dtype="float32")
        assert found.grams["a"][1].differentiation(normalize) == [None, None]
    (found,) = readings(ordinary, SETS, draws(POOL, 40), dtype="float32")
    assert None not in found.grams["a"][1].differentiation("layer")
    # a pair in doubt that is far from the median changes nothing
    ordinary[5] = ordinary[6]
    (found,) = readings(ordinary, SETS, draws(POOL), dtype="float32")
    expected = oracles.differentiation(ordinary[SETS["a"]])
    assert found.grams["a"][1].differentiation("layer") == [pytest.approx(expected, rel=1e-6)]


@pytest.mark.parametrize("ratio", [1.0, 1e3, 5e4])
def test_sums_of_responses_far_from_zero(ratio: float) -> None:
    """They are exact in float64: an SD that is small beside the mean is found from them."""
    values = (1 + np.random.default_rng(0).standard_normal((12, 5000)) / ratio).astype(np.float32)
    result = dif.measure_responses({"a": {"x": values}})
    exact = values.astype(np.float64)
    mean = result["image_sum"].values[:, 0] / 5000
    variance = result["image_sumsq"].values[:, 0] / 5000 - mean**2
    np.testing.assert_allclose(variance, exact.var(axis=1), rtol=1e-4)
    in_float32 = np.square(values).sum(axis=1) / 5000 - (values.sum(axis=1) / 5000) ** 2
    if ratio > 1e4:  # what the care is for
        assert np.abs(in_float32 / exact.var(axis=1) - 1).max() > 0.1
