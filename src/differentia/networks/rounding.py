"""The numbers that networks compute in, and how far they may differ that are the same but for rounding."""

from __future__ import annotations

import torch

#: What a network can be cast to.
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

#: How far they may differ, relative to a layer's largest: far more than another order of sums makes, far less
#: than an error.
TOLERANCE = 1e-3

#: The same in multiples of the precision of a layer's numbers, where they have few digits.
PRECISION = 16


def tolerance_of(dtype: torch.dtype) -> float:
    """Return how far numbers of a type may differ, relative to a layer's largest."""
    return max(TOLERANCE, PRECISION * torch.finfo(dtype).eps)
