"""How far numbers may differ that are the same but for rounding."""

from __future__ import annotations

import torch

#: How far they may differ, relative to a layer's largest: far more than another order of sums makes, far less
#: than an error.
TOLERANCE = 1e-3

#: The same in multiples of the precision of a layer's numbers, where they have few digits.
PRECISION = 16


def tolerance_of(dtype: torch.dtype) -> float:
    """Return how far numbers of a type may differ, relative to a layer's largest."""
    return max(TOLERANCE, PRECISION * torch.finfo(dtype).eps)
