"""Where the channels are after a reshape."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: The axes that hold the channels: several where they are split up, as over the heads of attention; none
#: where they were summed up; None where that is not known.
Axes = frozenset[int] | None


def reshaped(before: Sequence[int], after: Sequence[int], axes: Axes) -> Axes:
    """Return where the channels are after a reshape; None where they are mixed up with anything else."""
    if axes is None or tuple(before) == tuple(after):
        return axes
    if 0 in before or any(before[axis] == 1 for axis in axes):
        return None
    old = [axis for axis, length in enumerate(before) if length != 1]
    new = [axis for axis, length in enumerate(after) if length != 1]
    found: set[int] = set()
    while old or new:  # the fewest axes of both that hold the same entries
        left, right = [old.pop(0)], [new.pop(0)]
        while (sizes := (_size(before, left), _size(after, right)))[0] != sizes[1]:
            if sizes[0] < sizes[1]:
                left.append(old.pop(0))
            else:
                right.append(new.pop(0))
        if axes.issuperset(left):
            found.update(right)
        elif axes.intersection(left):
            return None
    return frozenset(found)


def _size(shape: Sequence[int], axes: Sequence[int]) -> int:
    return math.prod(shape[axis] for axis in axes)
