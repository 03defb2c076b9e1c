"""The store in memory: one array for each quantity, filled from the top."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Num

from differentia.distances import ResponseMatrix
from differentia.machine import untouched_array
from differentia.store.base import KeptBatch, Place, Quantity, Store


class MemoryStore(Store):
    """Keeps what was recorded for as long as the process lives.

    Parameters
    ----------
    batch_size
        The most images of a batch.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.name = "memory"
        self.batches: list[KeptBatch] = []
        self._total = 0
        self._starts: list[int] = []
        self._images = 0
        self._columns: dict[Quantity, np.ndarray] = {}
        self._spans: dict[tuple[str, str, int], list[tuple[int, int]]] = {}

    def note_compiled(self, compiled: bool) -> None:
        """Keep whether the pass is compiled; see `Store`."""
        self.compiled = compiled

    def expect(self, batches: int, images: int) -> None:
        """Make room for images that are yet to be added; see `Store`."""
        self._total = self._images + images

    def add_batch(self, set_name: str, images: Sequence[str], skipped: Sequence[str] = ()) -> KeptBatch:
        """Take in a batch of images; see `Store`."""
        batch = KeptBatch(len(self.batches), set_name, tuple(images), tuple(skipped))
        self.batches.append(batch)
        self._starts.append(self._images)
        self._images += len(images)
        return batch

    def spans(self, layer: str, what: str, batch: KeptBatch) -> list[tuple[int, int]]:
        """Return the columns that are kept of a batch; see `Store`."""
        return self._spans.get((layer, what, batch.number), [])

    def write(self, quantity: Quantity, batch: KeptBatch, values: Num[np.ndarray, "b k"]) -> None:
        """Keep a quantity of a batch; see `Store`."""
        if quantity not in self._columns:
            self._columns[quantity] = untouched_array((self._total, values.shape[1]), values.dtype)
        start = self._starts[batch.number]
        rows = self._columns[quantity][start : start + len(values)]
        torch.from_numpy(rows).copy_(torch.from_numpy(values))  # on all cores
        spans = self._spans.setdefault((quantity.layer, quantity.what, batch.number), [])
        spans.append((quantity.start, quantity.stop))

    def matrix(self, layer: str, what: str, width: int, places: Sequence[Place]) -> ResponseMatrix:
        """Return a quantity of chosen images; see `Store`. All its columns were written at once."""
        rows = [self._starts[place.batch.number] + place.row for place in places]
        whole = self._columns[Quantity(layer, what, 0, width)]
        in_order = rows == list(range(rows[0], rows[0] + len(rows))) if rows else False
        return whole[rows[0] : rows[0] + len(rows)] if in_order else whole[rows]

    def repair(self, layer: str, what: str, batch: KeptBatch) -> None:
        """Do nothing: memory is not damaged."""

    def require_space(self, size: int) -> None:
        """Do nothing: the recording looks at the memory before it begins."""

    def save_state(self, layer: str, what: str, key: str, values: np.ndarray) -> None:
        """Do nothing: nothing is resumed from memory."""

    def load_state(self, layer: str, what: str, key: str, shape: tuple[int, int]) -> None:
        """Return None: there is no earlier state."""
