"""The store in memory: one array for each quantity, filled from the top."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Num

from differentia.definition.matrix import ResponseMatrix
from differentia.recording.store.base import KeptBatch, Place, Quantity, Store
from differentia.system.machine import untouched_array


class MemoryStore(Store):
    """Keeps what was recorded for as long as the process lives."""

    holds_all_at_once = True
    name = "memory"

    def __init__(self, batch_size: int) -> None:
        self.batch_size = self.at_once = batch_size
        self.batches: list[KeptBatch] = []
        self._total = 0
        self._starts = [0]  # the first row of each batch, and of the next
        self._values: dict[Quantity, np.ndarray] = {}
        self._columns: dict[tuple[str, str, int], list[tuple[int, int]]] = {}

    def expect(self, batches: int, images: int) -> None:
        self._total = self._starts[-1] + images

    def add_batch(self, set_name: str, images: Sequence[str], skipped: Sequence[str] = ()) -> KeptBatch:
        batch = KeptBatch(len(self.batches), set_name, tuple(images), tuple(skipped))
        self.batches.append(batch)
        self._starts.append(self._starts[-1] + len(images))
        return batch

    def columns(self, quantity: Quantity, batch: KeptBatch) -> list[tuple[int, int]]:
        return self._columns.get((quantity.layer, quantity.what, batch.number), [])

    def write(self, quantity: Quantity, batch: KeptBatch, values: Num[np.ndarray, "b k"]) -> None:
        if quantity not in self._values:
            self._values[quantity] = untouched_array((self._total, values.shape[1]), values.dtype)
        start = self._starts[batch.number]
        rows = self._values[quantity][start : start + len(values)]
        torch.from_numpy(rows).copy_(torch.from_numpy(values))  # on all cores
        kept = self._columns.setdefault((quantity.layer, quantity.what, batch.number), [])
        kept.append((quantity.start, quantity.stop))

    def matrix(self, quantity: Quantity, places: Sequence[Place]) -> ResponseMatrix:
        """Return a quantity of chosen images, all of whose columns were written at once."""
        rows = [self._starts[place.batch.number] + place.row for place in places]
        whole = self._values[quantity]
        in_order = rows == list(range(rows[0], rows[0] + len(rows))) if rows else False
        return whole[rows[0] : rows[0] + len(rows)] if in_order else whole[rows]
