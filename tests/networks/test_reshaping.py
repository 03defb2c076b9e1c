"""Where the channels are after a reshape."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from differentia.networks.reshaping import reshaped


@pytest.mark.parametrize(
    ("before", "after", "axes", "expected"),
    [
        ((2, 8, 3, 4), (2, 8, 12), {1}, {1}),  # the places of a map become tokens
        ((2, 12, 8), (2, 3, 4, 8), {2}, {3}),
        ((2, 12, 8), (2, 12, 4, 2), {2}, {2, 3}),  # attention's heads
        ((2, 12, 4, 2), (2, 12, 8), {2, 3}, {2}),
        ((2, 12, 4, 2), (2, 12, 8), {2}, None),  # what is left of one axis is mixed with the other
        ((2, 8, 3, 4), (2, 96), {1}, None),
        ((2, 8, 3, 4), (16, 3, 4), {1}, None),  # channels and images
        ((2, 8, 3, 4), (6, 32), {1}, None),  # cut across
        ((2, 8, 3, 4), (2, 8, 1, 3, 4), {1}, {1}),
        ((2, 8, 3, 4), (1, 2, 8, 12), {1}, {2}),
        ((2, 1, 8, 1), (2, 8), {2}, {1}),
        ((2, 8), (2, 8, 1, 1), {1}, {1}),
        ((2, 1, 4), (2, 4), {1}, None),  # an axis of one can't be told from others that are added
        ((2, 1, 4), (2, 1, 4), {1}, {1}),
        ((2, 8, 4), (2, 4, 8), {1}, None),
        ((4, 4, 4), (4, 16), {0}, {0}),
        ((2, 8, 4), (2, 32), set(), set()),
        ((2, 8, 4), (2, 32), None, None),
        ((0, 8, 4), (0, 32), {1}, None),
    ],
)
def test_reshapes(
    before: tuple[int, ...], after: tuple[int, ...], axes: set[int] | None, expected: set[int] | None
) -> None:
    """Known where whole axes go into whole axes."""
    found = reshaped(before, after, None if axes is None else frozenset(axes))
    assert found == (None if expected is None else frozenset(expected))


@st.composite
def reshapes(draw: st.DrawFn) -> tuple[list[int], list[int], set[int]]:
    """Return two shapes of as many entries, and axes of the first."""
    factors = draw(st.lists(st.sampled_from([1, 2, 2, 3]), min_size=1, max_size=7))

    def shape() -> list[int]:
        cuts = sorted(draw(st.sets(st.integers(1, len(factors)), max_size=4)) | {0, len(factors)})
        return [math.prod(factors[one:other]) for one, other in pairwise(cuts)]

    before = shape()
    return before, shape(), draw(st.sets(st.integers(0, len(before) - 1), min_size=1))


@settings(deadline=None)
@given(reshapes())
def test_a_known_axis_tells_the_channels_apart(case: tuple[list[int], list[int], set[int]]) -> None:
    """Entries at one place on the found axes are of one channel; and every channel has places of its own."""
    before, after, axes = case
    found = reshaped(before, after, frozenset(axes))
    if found is None:
        return
    # A number for each channel, in every entry that it has.
    channel = np.zeros(before, dtype=int)
    for at in sorted(axes):
        channel = channel * before[at] + np.arange(before[at]).reshape([-1] + [1] * (len(before) - at - 1))
    moved = np.moveaxis(channel.reshape(after), sorted(found), range(len(found)))
    places = moved.reshape(math.prod(after[at] for at in found), -1)
    assert (places == places[:, :1]).all()
    assert len(set(places[:, 0])) == len(places) == math.prod(before[at] for at in axes)


def test_the_property_finds_wrong_axes() -> None:
    """The control: along an axis that holds something else, the channels are mixed."""
    places = np.broadcast_to(np.arange(8)[:, None], (8, 12)).reshape(8, 3, 4).transpose(1, 0, 2)
    assert not (places.reshape(3, -1) == places.reshape(3, -1)[:, :1]).all()
