"""Maps of images, against principal components."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from differentia.results.mds import inner_products, scaled


def test_inner_products_follow_from_distances() -> None:
    """They are those of the responses less their mean; not those of the responses as they are."""
    responses = np.random.default_rng(0).normal(size=(9, 5)) + 3
    centred = responses - responses.mean(axis=0)
    found = inner_products(cdist(responses, responses, "sqeuclidean"))
    np.testing.assert_allclose(found, centred @ centred.T, atol=1e-12)
    assert np.abs(found - responses @ responses.T).max() > 1


@pytest.mark.parametrize("n", [20, 200])
def test_a_map_shows_principal_components(n: int) -> None:
    """Up to the sign of each, with their shares of the variance: scikit-learn's, of the responses."""
    rng = np.random.default_rng(n)
    responses = rng.normal(size=(n, 30)) * np.linspace(3, 0.5, 30) + 2
    found = scaled(cdist(responses, responses).astype(np.float32))
    fitted = PCA(2).fit(responses)
    expected = fitted.transform(responses)
    signs = np.sign((expected * found.places).sum(axis=0))
    np.testing.assert_allclose(found.places * signs, expected, atol=1e-3)
    np.testing.assert_allclose(found.shares, fitted.explained_variance_ratio_, rtol=1e-4)
    farthest = np.abs(found.places).argmax(axis=0)
    assert (found.places[farthest, [0, 1]] > 0).all()
    # the control: of other distances it is another map
    other = scaled(cdist(responses, responses, "cityblock"))
    assert abs(other.shares[0] - fitted.explained_variance_ratio_[0]) > 0.01


def test_few_images() -> None:
    """Two lie on a line, as far apart as they are; equal ones lie at one place, and show nothing."""
    two = scaled(np.array([[0.0, 3.0], [3.0, 0.0]]))
    np.testing.assert_allclose(np.abs(two.places[0] - two.places[1]), [3.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(two.shares, [1.0, 0.0], atol=1e-12)
    none = scaled(np.zeros((3, 3)))
    np.testing.assert_array_equal(none.places, np.zeros((3, 2)))
    np.testing.assert_array_equal(none.shares, [0.0, 0.0])
    np.testing.assert_array_equal(scaled(np.zeros((1, 1))).places, np.zeros((1, 2)))
