"""The distances behind every point, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.reports import measured, names, pair_distances, rows_of, unpacked

from differentia.output.report.pairs import pairs


def test_distances_of_each_set() -> None:
    """Median, quartiles and both ends by a loop over pairs; the histogram counts each of them."""
    result = measured()
    found = pairs(result)
    assert found is not None
    assert found["measured"]
    for place, layer in enumerate(found["layers"]):
        for name, of_set in zip(names(result, "set"), layer["sets"], strict=True):
            distances = pair_distances(result, place, name)
            values = sorted(distances.values())
            assert of_set["median"] == pytest.approx(np.median(values))
            assert of_set["quartiles"] == pytest.approx(np.percentile(values, (25, 75)).tolist())
            assert sum(of_set["counts"]) == len(values)
            for end, extreme in (("nearest", values[0]), ("farthest", values[-1])):
                first, second, distance = of_set[end]
                assert distance == pytest.approx(extreme)
                assert distances[first, second] == pytest.approx(extreme)


def test_matrix_is_thinned() -> None:
    """Into few entries: two images of each set at least, and their pairs in order."""
    result = measured()
    found = pairs(result, entries=4 * 15)
    assert found is not None
    shown = found["images"]
    assert len(shown) == 6
    assert all(len({*shown} & {*rows_of(result, name)}) == 2 for name in names(result, "set"))
    for place, layer in enumerate(found["layers"]):
        raw = result["distance"].values[place].astype(float)
        expected = [raw[i, j] for at, i in enumerate(shown) for j in shown[at + 1 :]]
        values = unpacked(layer["matrix"])
        np.testing.assert_allclose(values / values.max(), expected / np.max(expected), atol=1e-4)
    assert pairs(result.drop_vars("distance")) is None
