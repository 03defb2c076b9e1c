"""Draws of few sums from those that a sketch kept."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import oracles

from differentia.experiment.folding import Centred, Folded, folding

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("width", "count"), [(150, 10), (150, 64), (150, 149), (150, 150), (7, 1)])
def test_a_fold_equals_a_dense_matrix(width: int, count: int) -> None:
    """Every sum is dealt to one place, with a sign; each place gets as many as another, or one more."""
    found = [folding("a", width, count, draw, seed=3).toarray() for draw in range(3)]
    for draw, fold in enumerate(found):
        np.testing.assert_array_equal(fold, oracles.fold_matrix("a", width, count, draw, seed=3))
        assert (np.abs(fold).sum(axis=0) == 1).all()
        assert np.ptp(np.abs(fold).sum(axis=1)) <= 1
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], folding("a", width, count, 0, seed=4).toarray())
    assert not np.array_equal(found[0], folding("b", width, count, 0, seed=3).toarray())


def test_folded_parts() -> None:
    """Rows and columns of what is folded, read in parts, are those of the whole."""
    values = RNG.normal(50.0, 1.0, (9, 150)).astype(np.float32)
    centred = Centred.of(values)
    np.testing.assert_allclose(centred.mean, values.astype(np.float64).mean(axis=0), rtol=1e-12)
    exact = values.astype(np.float64) - centred.mean
    np.testing.assert_array_equal(centred[2:5, 3:9], exact[2:5, 3:9])
    fold = folding("a", 150, 12, 1, seed=0)
    folded = Folded(centred, fold)
    assert folded.shape == (9, 12)
    whole = folded[0:9, 0:12]
    np.testing.assert_allclose(whole, exact @ fold.toarray().T, atol=1e-12)
    np.testing.assert_array_equal(folded[3:7, 2:9], whole[3:7, 2:9])
    np.testing.assert_array_equal(folded[3:7, np.array([0, 5, 11])], whole[3:7][:, [0, 5, 11]])
