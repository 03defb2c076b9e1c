"""How arrays become small: what the page reads is what was packed, within half a step."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from helpers.reports import unpacked
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from differentia.output.report.packing import neighbours_together, pack, spread_out

RNG = np.random.default_rng(0)


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3), elements=st.floats(-1e6, 1e6) | st.just(np.nan)))
def test_what_is_packed_comes_back(values: np.ndarray) -> None:
    """Within half a step, which is the range over 65,534; NaN as NaN."""
    packed = pack(values)
    found = unpacked(packed)
    assert found.shape == values.shape
    assert np.isfinite(packed["low"])
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    known = values[~np.isnan(values)]
    if known.size:
        width = known.max() - known.min()
        assert packed["step"] == pytest.approx(width / 65_534)
        error = np.abs(found[~np.isnan(values)] - known)
        assert error.max() <= 0.5001 * packed["step"] + 1e-9 * np.abs(known).max()


def test_packing_of_what_is_constant_or_not_there() -> None:
    """Equal numbers come back exactly; without any number all are NaN, infinities too."""
    np.testing.assert_array_equal(unpacked(pack(np.full((2, 3), 0.1))), np.full((2, 3), 0.1))
    assert np.isnan(unpacked(pack(np.full(4, np.nan)))).all()
    with_infinity = unpacked(pack(np.array([1.0, np.inf, -np.inf, 2.0])))
    np.testing.assert_allclose(with_infinity, [1.0, np.nan, np.nan, 2.0])
    assert pack(np.array([[1.0, 2.0]]))["data"] == base64.b64encode(b"\x00\x00\xfe\xff").decode()


def test_some_of_each_group() -> None:
    """In order, with both ends, in proportion, at least two of each group kept; all where they fit."""
    groups = [np.arange(100), np.arange(100, 400), np.arange(400, 403)]
    np.testing.assert_array_equal(spread_out(groups, 403), np.arange(403))
    some = spread_out(groups, 40)
    counts = [int(np.isin(group, some).sum()) for group in groups]
    assert counts == [100 * 40 // 403, 300 * 40 // 403, 2]
    assert (np.diff(some) > 0).all()
    for group in groups:
        assert {group[0], group[-1]} <= set(some.tolist())
    gaps = np.diff(some[counts[0] : counts[0] + counts[1]])
    assert gaps.max() - gaps.min() <= 1
    assert spread_out(groups, 6).tolist() == [0, 99, 100, 399, 400, 402]
    assert spread_out(groups, 5).tolist() == [0, 1, 400, 401]  # two groups of three
    assert len(spread_out([np.arange(2) + 2 * place for place in range(300)], 100)) == 100


def test_neighbouring_columns() -> None:
    """Each mean is of the columns from its start to the next; few columns are left as they are."""
    values = RNG.normal(size=(3, 11))
    means, starts = neighbours_together(values, 4)
    assert len(starts) == 4
    ends = [*starts[1:].tolist(), 11]
    for place, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
        for row in range(3):
            expected = sum(values[row, start:end].tolist()) / (end - start)
            assert means[row, place] == pytest.approx(expected)
    assert {end - start for start, end in zip(starts.tolist(), ends, strict=True)} <= {2, 3}
    means, starts = neighbours_together(values, 11)
    np.testing.assert_array_equal(means, values)
    np.testing.assert_array_equal(starts, range(11))
