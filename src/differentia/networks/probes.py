"""Probes: each reduces one layer's output inside the forward pass, so that the output itself can go."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int, Int64

from differentia.networks.layers import Layer

#: What a network calls with a layer's output of shape (batch, *layer shape) at the moment it is computed;
#: it returns what is kept of it, as a copy.
Probe = Callable[[Any], Any]

#: Entries whose squares are summed in float32 before the sums are gathered in float64: few enough that their
#: rounding stays near 1e-7, and evens out over the blocks.
SUMMED_TOGETHER = 4096

#: Below this fraction of the mean square a variance is computed from the differences themselves. What is
#: above it loses at most a digit to the subtraction of the squared mean.
SMALL_VARIANCE = 0.1


def together(probes: Mapping[Any, Probe]) -> Probe:
    """Return one probe that calls several, and returns what each kept by its name."""
    return lambda output: {name: probe(output) for name, probe in probes.items()}


class UnitProbe:
    """Copies chosen units (indices in C order of the layer's shape) out of a layer's output.

    They are read in the order in which the output lies in memory, whatever its layout (channels-last tensors
    are not rearranged first), and come out in the order asked for.
    """

    def __init__(self, units: Int[np.ndarray, " k"], shape: Sequence[int]) -> None:
        self._shape = tuple(shape)
        self._units = np.asarray(units, dtype=np.int64)
        self._whole = np.array_equal(self._units, np.arange(math.prod(self._shape)))
        self._positions = cache(self._find_positions)

    def __call__(self, output: Any) -> Float[np.ndarray, ...]:
        """Return the units' values as float32 (float64 stays), a copy of shape (batch, n_units)."""
        values = as_tensor(output)
        if self._whole:
            return as_kept(values.reshape(len(values), -1).clone())
        axes = memory_order(values)
        ascending, places = self._positions(axes, values.device)
        flat = values.permute(0, *axes).reshape(len(values), -1)
        # Memory is read in one direction. To put the few that were taken in order afterwards costs less than
        # to take them in that order.
        taken = flat.gather(1, ascending.expand(len(values), -1))
        return as_kept(taken.index_select(1, places))

    def _find_positions(
        self, axes: tuple[int, ...], device: torch.device
    ) -> tuple[Int64[torch.Tensor, " k"], Int64[torch.Tensor, " k"]]:
        """Return the units' sorted positions in memory, and where each unit stands among them."""
        index = np.unravel_index(self._units, self._shape)
        position = np.ravel_multi_index(
            [index[axis - 1] for axis in axes], [self._shape[axis - 1] for axis in axes]
        )
        order = np.argsort(position)
        return torch.from_numpy(position[order]).to(device), torch.from_numpy(np.argsort(order)).to(device)


def as_kept(values: torch.Tensor) -> Float[np.ndarray, ...]:
    """Return values on the processor, as float32 or, where they are, float64."""
    kept = torch.float64 if values.dtype == torch.float64 else torch.float32
    return _on_processor(values, kept).contiguous().numpy()


def _on_processor(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return values on the processor as numbers of a type, which the device that they are on may not have."""
    return values.to("cpu").to(dtype)


class Summary(NamedTuple):
    """What is kept of all units of a layer; the variance is the population's."""

    filter_mean: Float32[np.ndarray, "b f"]
    mean: Float64[np.ndarray, " b"]
    variance: Float64[np.ndarray, " b"]


class SummaryProbe:
    """Reads all of a layer's output once for the sums of its filters, and once for the sum of squares.

    Sums are float32 within a block and float64 over the blocks. A variance that is small beside the squared
    mean is computed again from the differences, in float64, so that it is right for any mean.
    """

    def __init__(self, layer: Layer) -> None:
        self._layer = layer

    def __call__(self, output: Any) -> Summary:
        values = as_tensor(output)
        if values.dtype not in (torch.float32, torch.float64):
            values = values.float()
        axes = memory_order(values)
        laid_out = values.permute(0, *axes)
        filter_sum = self._filter_sums(laid_out, axes)
        flat = laid_out.reshape(len(values), -1)
        with np.errstate(over="ignore", invalid="ignore"):  # who keeps a response looks for infinities
            mean = filter_sum.sum(axis=1) / flat.shape[1]
            mean_square = _square_sums(flat) / flat.shape[1]
            variance = mean_square - mean**2
            for image in np.flatnonzero(
                ~(variance > SMALL_VARIANCE * mean_square) | ~np.isfinite(mean_square)
            ):
                exact = _float64(flat[int(image)])
                difference = exact - exact[0]  # exactly 0 where all are equal
                mean[image], variance[image] = exact[0] + difference.mean(), difference.var()
            per_filter = flat.shape[1] // self._layer.n_filters
            return Summary((filter_sum / per_filter).astype(np.float32), mean, variance)

    def _filter_sums(self, laid_out: torch.Tensor, axes: Sequence[int]) -> Float64[np.ndarray, "b f"]:
        """Return the sum of each filter of each image, whose axes are in the order of memory."""
        if not self._layer.space:
            return _float64(laid_out).reshape(len(laid_out), -1)
        space = [place for place, axis in enumerate(axes, 1) if axis - 1 != self._layer.channel_axis]
        sums = _float64(laid_out.sum(space))
        if not np.isfinite(sums).all():
            sums = laid_out.to("cpu").sum(space, dtype=torch.float64).numpy()
        return sums.reshape(len(laid_out), -1)


def _float64(values: torch.Tensor) -> Float64[np.ndarray, ...]:
    return _on_processor(values, torch.float64).numpy()


def _square_sums(flat: torch.Tensor) -> Float64[np.ndarray, " b"]:
    """Return the sum of squares of each row."""
    blocks = flat.shape[1] // SUMMED_TOGETHER
    whole, rest = flat.tensor_split([blocks * SUMMED_TOGETHER], dim=1)
    norms = torch.linalg.vector_norm(whole.reshape(len(flat), blocks, SUMMED_TOGETHER), dim=2)
    rest_norm = torch.linalg.vector_norm(rest, dim=1)
    return np.square(_float64(norms)).sum(axis=1) + np.square(_float64(rest_norm))


class MapProbe:
    """Copies the whole maps of chosen filters out of a layer's output."""

    def __init__(self, layer: Layer, filters: Sequence[int]) -> None:
        assert layer.channel_axis is not None
        self._axis = 1 + layer.channel_axis
        self._filters = torch.as_tensor(list(filters))

    def __call__(self, output: Any) -> Float[np.ndarray, "b f y x"]:
        """Return the maps as float32 (float64 stays), a copy."""
        values = as_tensor(output)
        chosen = values.index_select(self._axis, self._filters.to(values.device))
        return as_kept(chosen.movedim(self._axis, 1))


class UnitMoments:
    """Gathers each unit's mean and population variance over all images that it is shown, in float64.

    Differences from the first image are summed, so that a unit that never changes has a variance of
    exactly 0, and no mean is too large beside the variance.
    """

    def __init__(self) -> None:
        self._count = 0
        self._ahead = 0

    def __call__(self, output: Any) -> None:
        """Take in a batch of outputs; nothing is kept for an image."""
        known = min(self._ahead, len(output))
        self._ahead -= known
        for image in as_tensor(output)[known:]:
            values = _on_processor(image, torch.float64)
            if not self._count:
                self._first = values.clone()
                self._sum, self._square_sum = torch.zeros_like(values), torch.zeros_like(values)
            difference = values - self._first
            self._sum += difference
            self._square_sum += difference.square_()
            self._count += 1

    @property
    def shown(self) -> int:
        """How many images were shown, without those of passes that failed."""
        return self._count - self._ahead

    def go_back(self, shown: int) -> None:
        """Have images shown again after a pass that failed; those that it took in already are left out."""
        self._ahead = self._count - shown

    def take(self) -> UnitMoments:
        """Return what was gathered until now, and begin again."""
        taken = UnitMoments()
        if self._count:
            taken._first, taken._sum, taken._square_sum = self._first, self._sum, self._square_sum
        taken._count, self._count = self._count, 0
        return taken

    def add(self, other: UnitMoments) -> None:
        """Take in what another has gathered of other images, whose differences are from its own first.

        They are moved to the first of these. A unit that never changes is not moved, and keeps a variance of
        exactly 0.
        """
        if not other._count:
            return
        if not self._count:
            self._first, self._sum, self._square_sum = other._first, other._sum, other._square_sum
        else:
            apart = other._first - self._first
            self._square_sum += other._square_sum + apart * (2 * other._sum + other._count * apart)
            self._sum += other._sum + other._count * apart
        self._count += other._count

    @classmethod
    def of(cls, count: int, state: Float64[np.ndarray, "3 size"], shape: Sequence[int]) -> UnitMoments:
        """Return what goes on where another, which had been shown `count` images, had come to."""
        moments = cls()
        moments._count = count
        moments._first, moments._sum, moments._square_sum = (
            torch.tensor(numbers).reshape(tuple(shape)) for numbers in state
        )
        return moments

    @property
    def state(self) -> Float64[np.ndarray, "3 size"]:
        """The first response of each unit, and the sums of the differences from it and of their squares."""
        return torch.stack([self._first, self._sum, self._square_sum]).reshape(3, -1).numpy()

    @property
    def mean(self) -> Float64[np.ndarray, " size"]:
        """Each unit's mean, in the order of units."""
        return (self._first + self._sum / self._count).reshape(-1).numpy()

    @property
    def variance(self) -> Float64[np.ndarray, " size"]:
        """Each unit's population variance, in the order of units."""
        variance = self._square_sum / self._count - (self._sum / self._count).square()
        return variance.clamp(min=0.0).reshape(-1).numpy()


def as_tensor(output: Any) -> torch.Tensor:
    """Return a layer's output as a PyTorch tensor, without a copy where its framework shares its memory."""
    if isinstance(output, torch.Tensor):
        return output.detach()
    if not isinstance(output, np.ndarray):  # whose negative strides make PyTorch abort the whole process
        with contextlib.suppress(AttributeError, BufferError, RuntimeError, TypeError):
            return torch.utils.dlpack.from_dlpack(output)
    array = np.asarray(output)  # on a device that PyTorch can't reach; bfloat16 is no type of NumPy's own
    precision = np.float64 if array.dtype == np.float64 else np.float32
    return torch.from_numpy(np.array(array, dtype=precision))


def memory_of(values: torch.Tensor) -> memoryview:
    """Return the bytes of a tensor's values in C order, without a copy where they lie so on the processor."""
    flat = values.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def memory_order(output: torch.Tensor) -> tuple[int, ...]:
    """Return a tensor's axes after the first, from the one with the largest stride to the smallest."""
    # An axis of length one has no say in the layout and keeps its place among equals.
    strides, sizes = output.stride(), output.shape
    axes = [axis for axis in range(1, output.ndim) if sizes[axis] != 1]
    ones = [axis for axis in range(1, output.ndim) if sizes[axis] == 1]
    return (*ones, *sorted(axes, key=lambda axis: -strides[axis]))
