"""Each unit's SD over all sets, and which units rounding alone moves."""

from __future__ import annotations

from typing import Any

import numpy as np
from helpers import oracles

from differentia.definition.deviations import deviations, rounded_in_words
from differentia.definition.matrix import CACHED_ENTRIES, Part

RNG = np.random.default_rng(0)


def responses(dtype: Any = np.float32) -> np.ndarray:
    """Return units that vary, then one that is constant, one that rounding moves, and a weak one."""
    values = RNG.standard_normal((9, 6)).astype(dtype)
    values[:, 3] = 0.7
    values[:, 4] = 0.7
    values[::2, 4] = np.nextafter(values[0, 4], dtype(1))
    values[:, 5] *= dtype(1e-20)
    return values


def test_deviations_are_the_oracles() -> None:
    """They are 0 for what is constant, or moved by rounding, which is counted."""
    for dtype in (np.float32, np.float64):
        values = responses(dtype)
        sd, rounded = deviations(values)
        expected = [oracles.population_sd(column) for column in values.T.tolist()]
        assert expected[4] > 0
        np.testing.assert_allclose(sd, [*expected[:3], 0, 0, expected[5]], rtol=1e-12)
        assert rounded == 1


def test_integers_are_exact() -> None:
    """Counts that differ by one do, however large they are."""
    counts = np.array([[2**40, 5], [2**40 + 1, 5]])
    sd, rounded = deviations(counts)
    assert sd.tolist() == [0.5, 0.0]
    assert rounded == 0


def test_in_blocks_the_same() -> None:
    """Wide responses are looked at in blocks, and on disk."""
    values = np.tile(responses(), (1, CACHED_ENTRIES // 9 // 4))
    sd, rounded = deviations(values)
    assert rounded == values.shape[1] // 6
    np.testing.assert_array_equal(sd[:6], deviations(values[:, :6]).sd)
    part = deviations(Part(values, slice(0, 9), np.arange(values.shape[1])))
    np.testing.assert_array_equal(part.sd, sd)
    assert part.rounded == rounded


def test_in_words() -> None:
    """The first layers are named, those without any are not."""
    sizes = dict.fromkeys("abcde", 1000)
    assert rounded_in_words({"a": 0, "b": 3}, sizes) == (
        "only rounding moves 3 of 1,000 units of 'b': with normalize='unit' they count as constant, and "
        "contribute 0"
    )
    many = rounded_in_words(dict.fromkeys("abcde", 2), sizes)
    assert "2 of 1,000 units of 'c', and units of 2 more: with" in many
    assert "'d'" not in many
