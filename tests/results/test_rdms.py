"""Distances as rsatoolbox has them, of the same responses."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm, compare

import differentia as dif

RESPONSES = {
    name: {"x": np.random.default_rng(n).normal(size=(n, 40)) + 2} for name, n in (("a", 5), ("b", 6))
}


def test_distances_are_those_of_rsatoolbox() -> None:
    """Its "euclidean" is squared and divided by the channels; so the squares of ours are, too."""
    result = dif.measure_responses(RESPONSES).assign_coords(image_time=("image", np.arange(11) / 4))
    rdms = dif.to_rsatoolbox(result, "x")
    data = Dataset(np.concatenate([layers["x"] for layers in RESPONSES.values()]))
    own = calc_rdm(data, method="euclidean")
    np.testing.assert_allclose(rdms.dissimilarities**2 / 40, own.dissimilarities, rtol=1e-5)
    assert np.abs(rdms.dissimilarities / own.dissimilarities - 1).max() > 0.1  # the control
    assert compare(rdms, own, method="spearman").item() == pytest.approx(1)
    assert rdms.n_cond == 11
    assert rdms.dissimilarity_measure == "Euclidean distance"
    assert rdms.rdm_descriptors["layer"] == ["x"]
    assert rdms.rdm_descriptors["n_units"] == [40]
    assert list(rdms.pattern_descriptors["set"]) == ["a"] * 5 + ["b"] * 6
    assert list(rdms.pattern_descriptors["image"])[5:7] == ["0", "1"]
    assert list(rdms.pattern_descriptors["image_time"])[:3] == [0.0, 0.25, 0.5]
    of_b = rdms.subset_pattern("set", "b")
    expected = calc_rdm(Dataset(RESPONSES["b"]["x"]), method="euclidean").dissimilarities
    np.testing.assert_allclose(of_b.dissimilarities**2 / 40, expected, rtol=1e-5)


def test_several_layers() -> None:
    """A matrix for each, in the order in which they are named."""
    arrays = {name: {"x": layers["x"], "y": layers["x"][:, :9]} for name, layers in RESPONSES.items()}
    rdms = dif.to_rsatoolbox(dif.measure_responses(arrays), ["y", "x"])
    assert rdms.rdm_descriptors["layer"] == ["y", "x"]
    assert rdms.rdm_descriptors["n_units"] == [9, 40]
    alone = dif.to_rsatoolbox(dif.measure_responses(RESPONSES), "x")
    np.testing.assert_allclose(rdms.dissimilarities[1:], alone.dissimilarities)
    assert rdms.n_rdm == 2


def test_what_has_no_rdms(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that is not there, a result without distances, and a machine without rsatoolbox."""
    result = dif.measure_responses(RESPONSES)
    with pytest.raises(dif.InputError, match="unknown layer 'y'"):
        dif.to_rsatoolbox(result, "y")
    with pytest.raises(dif.InputError, match="layer names no layer; known: x"):
        dif.to_rsatoolbox(result, [])
    with pytest.raises(dif.InputError, match="has no distance; measure at most 2,000 images"):
        dif.to_rsatoolbox(result.drop_vars("distance"), "x")
    monkeypatch.setitem(sys.modules, "rsatoolbox.rdm", None)
    with pytest.raises(dif.InputError, match=r'pip install "differentia\[rsatoolbox\]"'):
        dif.to_rsatoolbox(result, "x")
