"""Sketches: all units of a layer as few sums with random signs, which keep squared distances on average.

That is a count sketch (Charikar, Chen & Farach-Colton, 2002). Within the pass a layer becomes some 10,000
sums, while its output is read once; `folding` makes fewer of them afterwards. Which units a sum holds is
random, and so is the sign of each: so a squared distance is right on average, whatever the units do. For k
sums over a layer of L units its relative error is about ``sqrt(2 (1 / k - 1 / L))``, and less where few units
differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int8, Int64

from differentia.networks.layers import Layer
from differentia.networks.probes import as_kept, as_tensor
from differentia.system.random import random_keys, random_signs


@dataclass(frozen=True)
class Sketch:
    """How the units of one layer are summed up; it depends on the seed and the layer alone.

    Put the units in a row, filters last, and cut it into pieces of as many units as there are places. Each
    piece is turned by an offset of its own and added to the places, each unit with a sign of its own. So no
    place gets more units than another, and units of one filter meet no more often than others.
    """

    layer: Layer  # with more units than `width`
    width: int  # the number of sums
    seed: int

    @property
    def filters(self) -> int:
        """How many units stand at each position of the row; 1 where there is no space."""
        filters = self.layer.n_filters
        return filters if self.layer.space and filters <= self.width else 1

    @property
    def positions(self) -> int:
        return self.layer.size // self.filters

    @property
    def length(self) -> int:
        """How many positions a piece has: places for a few units more than there are sums."""
        return -(-self.width // self.filters)

    @cached_property
    def offsets(self) -> Int64[np.ndarray, " piece"]:
        """By how many places each piece is turned."""
        keys = random_keys(-(-self.positions // self.length), "offset", self.seed, self.layer.name)
        return (keys % np.uint64(self.length * self.filters)).astype(np.int64)

    @cached_property
    def signs(self) -> Int8[np.ndarray, "position filter"]:
        """The sign of each unit: the i-th of the layer's, in C order, has the i-th."""
        signs = random_signs(self.layer.size, self.seed, self.layer.name)
        if self.filters == 1:
            return signs.reshape(-1, 1)
        assert self.layer.channel_axis is not None
        by_axes = np.moveaxis(signs.reshape(self.layer.shape), self.layer.channel_axis, -1)
        return by_axes.reshape(self.positions, self.filters)


#: Where units are read, and where they are added.
_Move = tuple[tuple[slice, ...], tuple[slice, ...]]


class SketchProbe:
    """Sums up all units of a layer's output, in the order in which it lies in memory.

    Whatever the layout, the same numbers are added in the same order.
    """

    def __init__(self, sketch: Sketch) -> None:
        self._sketch = sketch
        self._moves = {False: list(_moves_of_rows(sketch)), True: list(_moves_of_filters(sketch))}
        self._signs: dict[tuple[bool, torch.dtype, torch.device], torch.Tensor] = {}

    def __call__(self, output: Any) -> Float[np.ndarray, "b width"]:
        """Return the sums as float32 (float64 stays), a copy, from what PyTorch or NumPy can view."""
        sketch, values = self._sketch, as_tensor(output)
        if values.dtype not in (torch.float32, torch.float64):
            values = values.float()
        if sketch.filters > 1:
            assert sketch.layer.channel_axis is not None
            values = values.movedim(1 + sketch.layer.channel_axis, -1)
        images = len(values)
        values = values.reshape(images, sketch.positions, sketch.filters)
        by_filter = values.stride(1) < values.stride(2) and sketch.filters > 1
        places: tuple[int, ...] = (sketch.length * sketch.filters,)
        if by_filter:
            values, places = values.transpose(1, 2), (sketch.filters, sketch.length)
        else:
            values = values.reshape(images, -1)
        signs = self._signs_like(values, by_filter)
        sums = values.new_zeros((images, *places))
        for source, target in self._moves[by_filter]:
            sums[:, *target].addcmul_(values[:, *source], signs[source])
        if by_filter:
            sums = sums.transpose(1, 2).reshape(images, -1)
        excess = sums.shape[1] - sketch.width
        sums[:, :excess] += sums[:, sketch.width :]
        return as_kept(sums[:, : sketch.width])

    def _signs_like(self, values: torch.Tensor, by_filter: bool) -> torch.Tensor:
        """Return the signs of an image's units as they lie in memory, as numbers of their type."""
        key = by_filter, values.dtype, values.device
        if key not in self._signs:
            signs = self._sketch.signs.T if by_filter else self._sketch.signs.reshape(-1)
            self._signs[key] = torch.from_numpy(signs.copy()).to(values.device, values.dtype)
        return self._signs[key]


def _moves_of_rows(sketch: Sketch) -> list[_Move]:
    """Return where the units of a row are read, and where they are added."""
    ring, size = sketch.length * sketch.filters, sketch.layer.size
    return [
        ((slice(start + before, start + after),), (slice(to, to + after - before),))
        for start, offset in zip(range(0, size, ring), sketch.offsets.tolist(), strict=True)
        for before, after, to in _turned(min(ring, size - start), offset, ring)
    ]


def _moves_of_filters(sketch: Sketch) -> list[_Move]:
    """Return the same for filters apart: what is turned beyond the last filter comes a position later."""
    moves: list[_Move] = []
    starts = range(0, sketch.positions, sketch.length)
    for start, offset in zip(starts, sketch.offsets.tolist(), strict=True):
        later, turn = divmod(offset, sketch.filters)
        count = min(sketch.length, sketch.positions - start)
        for first, last, place in _turned(sketch.filters, turn, sketch.filters):
            turned = (later + (place < turn)) % sketch.length
            for before, after, to in _turned(count, turned, sketch.length):
                source = slice(first, last), slice(start + before, start + after)
                moves.append((source, (slice(place, place + last - first), slice(to, to + after - before))))
    return moves


def _turned(count: int, offset: int, length: int) -> list[tuple[int, int, int]]:
    """Return the parts of a piece that is turned within a ring: from, to, and the place where each begins."""
    first = min(count, length - offset)
    parts = [(0, first, offset), (first, count, 0)]
    return [part for part in parts if part[0] < part[1]]
