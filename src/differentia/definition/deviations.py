"""How far each unit deviates over the responses to all sets: what ``normalize="unit"`` divides by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from differentia.definition.matrix import ResponseMatrix, Rows
from differentia.definition.rounding import moved_by_rounding

#: Layers that a warning names, of however many.
MOST_NAMED = 3


class Deviations(NamedTuple):
    """Each unit's population SD, 0 for those that are constant, and how many of these rounding moves."""

    sd: Float[np.ndarray, " k"]
    rounded: int


def deviations(values: ResponseMatrix) -> Deviations:
    """Return how far each unit deviates over all responses."""
    found = [_of_block(block, values.dtype) for block in Rows(values).blocks()]
    return Deviations(np.concatenate([of.sd for of in found]), sum(of.rounded for of in found))


def _of_block(block: Float[np.ndarray, "n b"], dtype: np.dtype[Any]) -> Deviations:
    lowest, highest = block.min(axis=0), block.max(axis=0)
    constant = moved_by_rounding(block, lowest, highest, dtype)
    rounded = int(np.count_nonzero(constant & (lowest < highest)))
    return Deviations(np.where(constant, 0.0, block.std(axis=0)), rounded)


def rounded_in_words(rounded: Mapping[str, int], sizes: Mapping[str, int]) -> str:
    """Return how many units of each layer rounding alone moves, of how many, and what they are taken as."""
    moved = [f"{count:,} of {sizes[name]:,} units of {name!r}" for name, count in rounded.items() if count]
    more = f", and units of {len(moved) - MOST_NAMED:,} more" if len(moved) > MOST_NAMED else ""
    return (
        f"only rounding moves {', '.join(moved[:MOST_NAMED])}{more}: with normalize='unit' they count as "
        "constant, and contribute 0"
    )
