"""The store in memory: one array for each quantity, filled from the top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Num

from differentia.definition.matrix import ResponseMatrix
from differentia.recording.division import Division, Promised
from differentia.recording.store.base import KeptBatch, Place, Quantity, Store
from differentia.system.machine import untouched_array


class MemoryStore(Store):
    """Keeps what was recorded for as long as the process lives."""

    holds_all_at_once = True
    name = "memory"

    def __init__(self, batch_size: int) -> None:
        self.batch_size = self.at_once = batch_size
        self.task_batches = 2**62  # nobody else takes part
        self.divisions: list[Division] = []
        self.batches: list[KeptBatch] = []
        self._starts: dict[int, int] = {}  # the first row of each batch
        self._rows = 0
        self._values: dict[Quantity, np.ndarray] = {}
        self._columns: dict[tuple[str, str, int], list[tuple[int, int]]] = {}

    def promise(self, sets: Mapping[str, str], batches: Sequence[Promised]) -> None:
        first = max((division.stop for division in self.divisions), default=0)
        self.divisions.append(Division(first, self.task_batches, sets, tuple(batches)))

    def add_batch(
        self, number: int, set_name: str, images: Sequence[str], skipped: Sequence[str] = ()
    ) -> KeptBatch:
        batch = KeptBatch(number, set_name, tuple(images), tuple(skipped))
        self.batches.append(batch)
        self._starts[number] = self._rows
        self._rows += len(images)
        return batch

    def columns(self, quantity: Quantity, batch: KeptBatch) -> list[tuple[int, int]]:
        return self._columns.get((quantity.layer, quantity.what, batch.number), [])

    def write(self, quantity: Quantity, batch: KeptBatch, values: Num[np.ndarray, "b k"]) -> None:
        if quantity not in self._values:
            total = sum(division.images for division in self.divisions)
            self._values[quantity] = untouched_array((total, values.shape[1]), values.dtype)
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
