"""Sketches: all units of a layer as few sums with random signs, which keep squared distances on average.

That is a count sketch (Charikar, Chen & Farach-Colton, 2002), made twice. Within the pass a layer becomes
some 10,000 sums, while its output is read once. Of those each draw makes the few that are asked for, without
another look at the network. Which units a sum holds is random, and so is the sign of each: so a squared
distance is right on average, whatever the units do. For k sums over a layer of L units its relative error is
about ``sqrt(2 (1 / k - 1 / L))``, and less where few units differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int8, Int64
from scipy.sparse import csr_array

from differentia.distances import ResponseMatrix, Rows
from differentia.layers import Layer
from differentia.probes import as_kept, as_tensor
from differentia.units import random_keys

#: Bytes of the responses that are folded at once, in float64.
TOGETHER = 2**26


def keeps_measure(normalize: str, metric: str) -> bool:
    """Return whether a sketch tells the measure: Euclidean distances, of responses that one SD divides."""
    return metric == "euclidean" and normalize in ("layer", "none")


def random_signs(count: int, *parts: object) -> Int8[np.ndarray, " {count}"]:
    """Return `count` random signs, 1 or -1; the i-th depends only on `parts` and i."""
    keys = random_keys(-(-count // 64), "sign", *parts).astype("<u8")
    bits = np.unpackbits(keys.view(np.uint8), count=count, bitorder="little")
    return 1 - 2 * bits.astype(np.int8)


@dataclass(frozen=True)
class Sketch:
    """How the units of one layer are summed up; it depends on the seed and the layer alone.

    Put the units in a row, filters last, and cut it into pieces of as many units as there are places. Each
    piece is turned by an offset of its own and added to the places, each unit with a sign of its own. So no
    place gets more units than another, and units of one filter meet no more often than others.

    Attributes
    ----------
    layer
        With more units than `width`.
    width
        The number of sums.
    seed
        Of the experiment.
    """

    layer: Layer
    width: int
    seed: int

    @property
    def filters(self) -> int:
        """How many units stand at each position of the row; 1 where there is no space."""
        filters = self.layer.n_filters
        return filters if self.layer.space and filters <= self.width else 1

    @property
    def positions(self) -> int:
        """How many positions the row has."""
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
        by_axes = np.moveaxis(signs.reshape(self.layer.shape), self.layer.filter_axis, -1)
        return by_axes.reshape(self.positions, self.filters)


#: Where units are read, and where they are added.
_Move = tuple[tuple[slice, ...], tuple[slice, ...]]


class SketchProbe:
    """Sums up all units of a layer's output.

    The output is read in the order in which it lies in memory. Whatever the layout, the same numbers are
    added in the same order.

    Parameters
    ----------
    sketch
        Which units are summed, and with which signs.
    """

    def __init__(self, sketch: Sketch) -> None:
        self._sketch = sketch
        self._moves = {False: list(_moves_of_rows(sketch)), True: list(_moves_of_filters(sketch))}
        self._signs: dict[tuple[bool, torch.dtype, torch.device], torch.Tensor] = {}

    def __call__(self, output: Any) -> Float[np.ndarray, "b width"]:
        """Return the sums as float32 (float64 stays), a copy of shape (batch, width).

        Parameters
        ----------
        output : (batch, *layer shape)
            A PyTorch tensor of any device, dtype and memory layout, or what NumPy can view.
        """
        sketch, values = self._sketch, as_tensor(output)
        if values.dtype not in (torch.float32, torch.float64):
            values = values.float()
        if sketch.filters > 1:
            values = values.movedim(1 + sketch.layer.filter_axis, -1)
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


def folding(layer: str, width: int, count: int, draw: int, *, seed: int) -> csr_array:
    """Return the matrix (count, width) that makes one draw of fewer numbers of what was kept.

    Every column holds one entry, 1 or -1, and every row as many as another, or one more.

    Parameters
    ----------
    layer
        The layer's name.
    width
        Numbers that were kept.
    count
        Numbers that are wanted, at most `width`.
    draw
        Each is another, and so is that of another `count`.
    seed
        Of the experiment.
    """
    order = np.argsort(random_keys(width, "fold", seed, layer, count, draw), kind="stable")
    signs = random_signs(width, "fold", seed, layer, count, draw).astype(np.float64)
    return csr_array((signs[order], (np.arange(width) % count, order)), shape=(count, width))


@dataclass(frozen=True)
class Centred:
    """Responses minus their mean, in float64, so that nothing is lost where they are summed up.

    Attributes
    ----------
    whole : (n_responses, width)
        What they are of.
    mean : (width,)
        What is subtracted from each.
    """

    whole: ResponseMatrix
    mean: Float64[np.ndarray, " width"]

    @classmethod
    def of(cls, whole: ResponseMatrix) -> Centred:
        """Return responses minus the mean of all of them."""
        return cls(whole, np.concatenate([block.mean(axis=0) for block in Rows(whole).blocks()]))

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of responses and columns."""
        return self.whole.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a response."""
        return np.dtype(np.float64)

    def __getitem__(self, at: tuple[slice, Any], /) -> Float64[np.ndarray, "n b"]:
        """Return rows and columns; each column is in one piece of memory, as sums of columns want it."""
        read = np.asarray(self.whole[at])
        return np.subtract(read.T, self.mean[at[1], np.newaxis], dtype=np.float64, order="C").T


@dataclass(frozen=True)
class Folded:
    """One draw of few numbers of what was kept, summed up when they are asked for.

    Attributes
    ----------
    whole : (n_responses, width)
        What was kept, centred.
    fold : (count, width)
        What `folding` returned.
    """

    whole: ResponseMatrix
    fold: csr_array

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of responses and of columns."""
        return self.whole.shape[0], self.fold.shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a number."""
        return np.dtype(np.float64)

    def __getitem__(self, at: tuple[slice, Any], /) -> Float64[np.ndarray, "n b"]:
        """Return rows and columns."""
        start, stop, _ = at[0].indices(self.shape[0])
        fold = self.fold[at[1]]
        width = self.whole.shape[1]
        at_once = max(1, TOGETHER // (8 * width))
        parts = []
        for first in range(start, stop, at_once):
            rows = slice(first, min(first + at_once, stop))
            parts.append((fold @ np.ascontiguousarray(self.whole[rows, slice(0, width)].T)).T)
        return np.concatenate(parts)
