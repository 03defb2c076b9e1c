"""Sampled units are the right ones in every memory layout, and copies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from differentia.probes import UnitProbe, memory_order

SHAPE = (6, 5, 4)
UNITS = np.array([119, 0, 7, 64, 63, 20])


def outputs() -> torch.Tensor:
    return torch.arange(3 * 120, dtype=torch.float32).reshape(3, *SHAPE)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2), (0, 3, 2, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_units_in_any_layout(axes: tuple[int, ...], dtype: torch.dtype) -> None:
    """A unit's index is its place in the logical shape, whatever the layout in memory."""
    output = outputs().to(dtype)
    laid_out = output.permute(axes).contiguous().permute(tuple(np.argsort(axes)))
    assert laid_out.stride() != output.stride() or axes == (0, 1, 2, 3)
    expected = output.float().reshape(3, -1).numpy()[:, UNITS]
    kept = UnitProbe(UNITS, SHAPE)(laid_out)
    assert kept.dtype == (np.float64 if dtype == torch.float64 else np.float32)
    np.testing.assert_array_equal(kept, expected)
    whole = UnitProbe(np.arange(120), SHAPE)(laid_out)
    np.testing.assert_array_equal(whole, output.float().reshape(3, -1).numpy())


def test_one_probe_sees_several_layouts() -> None:
    """What a probe remembers of one layout is not used for another."""
    probe = UnitProbe(UNITS, SHAPE)
    plain = probe(outputs())
    np.testing.assert_array_equal(probe(outputs().to(memory_format=torch.channels_last)), plain)
    np.testing.assert_array_equal(probe(outputs()), plain)


@pytest.mark.parametrize("units", [UNITS, np.arange(120)])
def test_what_is_kept_is_a_copy(units: np.ndarray) -> None:
    """An operation in place after the probe does not reach what it kept."""
    output = outputs()
    kept = UnitProbe(units, SHAPE)(output)
    output.neg_()
    np.testing.assert_array_equal(kept, -output.reshape(3, -1).numpy()[:, units])


def test_scalars_views_and_arrays_of_other_frameworks() -> None:
    """A layer of one number, an expanded tensor, and what NumPy can view."""
    np.testing.assert_array_equal(UnitProbe(np.array([0]), ())(torch.arange(3.0)), [[0], [1], [2]])
    expanded = torch.arange(3.0).reshape(3, 1, 1).expand(3, 2, 2)
    np.testing.assert_array_equal(UnitProbe(np.array([3, 1]), (2, 2))(expanded), [[0, 0], [1, 1], [2, 2]])
    array = outputs().numpy()
    np.testing.assert_array_equal(UnitProbe(UNITS, SHAPE)(array), array.reshape(3, -1)[:, UNITS])


def test_memory_order() -> None:
    """The axis with the largest stride comes first."""
    assert memory_order(outputs()) == (1, 2, 3)
    assert memory_order(outputs().to(memory_format=torch.channels_last)) == (2, 3, 1)
