"""Arrays small enough for a page: some of the images, neighbours together, two bytes a number."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

#: What stands for NaN among the packed numbers; the others are steps from the lowest.
NOT_A_NUMBER = 65_535


def pack(values: Float[np.ndarray, ...]) -> dict[str, Any]:
    """Return an array as JSON: ``low + step * code``, codes in base64, two bytes each, the lower first."""
    finite = np.isfinite(values)
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 0.0)
    step = (high - low) / (NOT_A_NUMBER - 1)
    codes = np.full(values.shape, NOT_A_NUMBER, dtype="<u2")
    codes[finite] = np.rint((values[finite] - low) / step) if step > 0 else 0
    return {
        "shape": list(values.shape),
        "low": low,
        "step": step,
        "data": base64.b64encode(codes.tobytes()).decode("ascii"),
    }


def spread_out(groups: Sequence[Int[np.ndarray, " _"]], most: int) -> Int[np.ndarray, " n"]:
    """Return some of each group's members, evenly spaced, `most` of all, and two at least of each group."""
    total = sum(map(len, groups))
    if total <= most:
        return np.concatenate(groups)
    if most < 2 * len(groups):  # some groups are left out
        chosen = np.linspace(0, len(groups) - 1, max(1, most // 2)).round().astype(int)
        return np.concatenate([groups[place][:2] for place in chosen])
    counts = [min(len(group), max(2, len(group) * most // total)) for group in groups]
    while sum(counts) > most:  # for the sake of the two of small groups
        counts[counts.index(max(counts))] -= 1
    return np.concatenate(
        [
            group[np.linspace(0, len(group) - 1, count).round().astype(int)]
            for group, count in zip(groups, counts, strict=True)
        ]
    )


def neighbours_together(
    values: Float[np.ndarray, "n k"], most: int
) -> tuple[Float[np.ndarray, "n c"], Int[np.ndarray, " c"]]:
    """Return the means of neighbouring columns, `most` of them, and the first column that each is of."""
    starts = np.linspace(0, values.shape[1], min(most, values.shape[1]) + 1).round().astype(int)
    widths = np.diff(starts)
    return np.add.reduceat(values, starts[:-1], axis=1) / widths, starts[:-1]
