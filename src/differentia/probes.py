"""Probes: each reduces one layer's output inside the forward pass, so that the output itself can go."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

#: What a network calls with a layer's output of shape (batch, *layer shape) at the moment it is computed;
#: it returns what is kept, (batch, n), as a copy.
Probe = Callable[[Any], Float[np.ndarray, "b k"]]


class UnitProbe:
    """Copies chosen units out of a layer's output.

    The units are read in the order in which the output lies in memory, whatever its layout
    (channels-last tensors are not rearranged first), and come out in the order asked for.

    Parameters
    ----------
    units : (n_units,)
        Indices into the flattened output of one image, in C order of its logical shape.
    shape
        Of the layer's output for one image.
    """

    def __init__(self, units: Int[np.ndarray, " k"], shape: Sequence[int]) -> None:
        self._shape = tuple(shape)
        self._units = np.asarray(units, dtype=np.int64)
        self._whole = len(self._units) == math.prod(self._shape) and bool(
            (self._units == np.arange(len(self._units))).all()
        )
        self._in_memory: dict[tuple[tuple[int, ...], str], tuple[torch.Tensor, np.ndarray]] = {}

    def __call__(self, output: Any) -> Float[np.ndarray, "b k"]:
        """Return the units' values as float32 (float64 stays), a copy of shape (batch, n_units).

        Parameters
        ----------
        output : (batch, *shape)
            A PyTorch tensor of any device, dtype and memory layout, or what NumPy can view.
        """
        if not isinstance(output, torch.Tensor):
            flat = np.asarray(output).reshape(len(output), -1)
            return flat[:, self._units].astype(_kept_precision(flat.dtype))
        output = output.detach()
        if self._whole:
            double = output.dtype == torch.float64
            copy = output.to("cpu", torch.float64 if double else torch.float32, copy=True)
            return copy.reshape(len(output), -1).numpy()
        axes = memory_order(output)
        positions, places = self._positions(axes, output.device)
        flat = output.permute(0, *axes).reshape(len(output), -1)
        if output.device.type == "cpu" and output.dtype != torch.bfloat16:  # NumPy takes faster
            taken = flat.numpy().take(positions.numpy(), axis=1)
        else:
            chosen = flat.index_select(1, positions).cpu()
            taken = (chosen.float() if chosen.dtype == torch.bfloat16 else chosen).numpy()
        return taken[:, places].astype(_kept_precision(taken.dtype), copy=False)

    def _positions(
        self, axes: tuple[int, ...], device: torch.device
    ) -> tuple[torch.Tensor, Int[np.ndarray, " k"]]:
        """Return the units' sorted positions in memory, and where each unit stands among them."""
        key = axes, str(device)
        if key not in self._in_memory:
            index = np.unravel_index(self._units, self._shape) if self._shape else ()
            position = np.zeros(len(self._units), dtype=np.int64)
            for axis in axes:
                position = position * self._shape[axis - 1] + index[axis - 1]
            order = np.argsort(position)
            places = np.empty_like(order)
            places[order] = np.arange(len(order))
            self._in_memory[key] = torch.from_numpy(position[order]).to(device), places
        return self._in_memory[key]


def _kept_precision(dtype: Any) -> type[np.floating[Any]]:
    return np.float64 if dtype == np.float64 else np.float32


def memory_order(output: torch.Tensor) -> tuple[int, ...]:
    """Return a tensor's axes after the first, from the one with the largest stride to the smallest.

    An axis of length one has no say in the layout and keeps its place among equals.
    """
    strides, sizes = output.stride(), output.shape
    axes = [axis for axis in range(1, output.ndim) if sizes[axis] != 1]
    ones = [axis for axis in range(1, output.ndim) if sizes[axis] == 1]
    return (*ones, *sorted(axes, key=lambda axis: -strides[axis]))
