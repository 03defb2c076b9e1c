"""How far numbers of a type may differ."""

from __future__ import annotations

import pytest
import torch

from differentia.networks.rounding import tolerance_of


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float64, 1e-3),
        (torch.float32, 1e-3),
        (torch.float16, 16 * 2**-10),
        (torch.bfloat16, 16 * 2**-7),
    ],
)
def test_few_digits_may_differ_by_more(dtype: torch.dtype, expected: float) -> None:
    """A thousandth, or sixteen times the distance of 1 to the next number."""
    assert tolerance_of(dtype) == expected
