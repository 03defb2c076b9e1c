"""What every store offers: quantities of batches of images, written once and read as matrices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float64, Num

from differentia.definition.matrix import ResponseMatrix
from differentia.recording.division import Division, Promised

#: How names begin of what is kept of some images only: maps, and units that were ranked by fewer images.
OF_SOME = ("map", "top")


class Quantity(NamedTuple):
    """Numbers of each image that are written at once.

    Attributes
    ----------
    layer
        The name of the layer that they are of; "" for what is of no layer.
    what
        What they are: "moments", or units in the order of a pool ("random-0").
    start, stop
        Which of its columns: more units are further columns, beside those that are there.
    """

    layer: str
    what: str
    start: int
    stop: int


class KeptBatch(NamedTuple):
    """Images of one set that were shown together, as hashes of their content.

    Attributes
    ----------
    number
        Of the batch: the one that it was promised.
    skipped
        Those of the images that would have been in this batch but could not be read.
    """

    number: int
    set: str
    images: tuple[str, ...]
    skipped: tuple[str, ...] = ()


class Place(NamedTuple):
    """Where an image is kept: its batch, and its row there."""

    batch: KeptBatch
    row: int


class Store(ABC):
    """Quantities by batch.

    Attributes
    ----------
    holds_all_at_once
        Whether all that is kept is in memory. Else only what is being written has to fit into it.
    batch_size
        The most images of a batch.
    task_batches
        How many batches are one task, which one process records.
    divisions
        What was promised, in the order of the numbers.
    batches
        Those that were added, in the order of their numbers.
    name
        What messages call it.
    at_once
        The most images of a pass: fewer than those of a batch where that did not fit into a GPU's memory.
    compiled
        Whether the pass that fills it is compiled; None as long as that is open.
    threads
        The numbers of PyTorch's threads that images were shown with: sums may differ in their last digits.
    """

    holds_all_at_once: ClassVar[bool]
    name: str
    batch_size: int
    at_once: int
    task_batches: int
    divisions: list[Division]
    batches: list[KeptBatch]
    compiled: bool | None = None
    threads: tuple[int, ...] = ()

    @abstractmethod
    def promise(self, sets: Mapping[str, str], batches: Sequence[Promised]) -> None:
        """Give batches that are yet to be added numbers, as one more division.

        The numbers are beyond all that were promised or added, or of which rows are there. Where another
        process has made a division since `divisions` was read, that is taken in instead: look there first,
        and again.
        """

    @abstractmethod
    def add_batch(
        self, number: int, set_name: str, images: Sequence[str], skipped: Sequence[str] = ()
    ) -> KeptBatch:
        """Take in a batch with its promised number: images, as hashes of their content.

        Nothing is kept of them yet: rows of a batch of this number that was lost are forgotten.
        """

    @abstractmethod
    def columns(self, quantity: Quantity, batch: KeptBatch) -> list[tuple[int, int]]:
        """Return the columns, as (start, stop), that are kept of a batch for a layer and name."""

    @abstractmethod
    def write(self, quantity: Quantity, batch: KeptBatch, values: Num[np.ndarray, "b k"]) -> None:
        """Keep the columns of a quantity of a batch; they are copied, or written, before this returns."""

    @abstractmethod
    def matrix(self, quantity: Quantity, places: Sequence[Place]) -> ResponseMatrix:
        """Return a quantity, from its first column on, of chosen images, whose batches all hold it."""

    # What follows matters to a store that outlives the run.

    def finish(self) -> None:
        """Complete what was written until now: called at the end of each task and of each pass."""
        return

    def close(self) -> None:
        """Let go of what was not finished, so that another run goes on with it: called when a run ends."""
        return

    def note_compiled(self, compiled: bool) -> None:
        """Keep whether the pass is compiled, for a run that goes on from this one."""
        self.compiled = compiled

    def note_threads(self, threads: int) -> None:
        """Keep with how many threads images are shown."""
        self.threads = tuple(sorted({*self.threads, threads}))

    def note_at_once(self, images: int) -> None:
        """Keep how many images go into one pass, for a run that goes on from this one."""
        self.at_once = images

    def save_state(self, layer: str, what: str, key: str, values: Float64[np.ndarray, "_ _"]) -> None:
        """Keep an array of a layer under a key, in place of those with other keys."""
        return

    def state_keys(self, layer: str, what: str) -> set[str]:
        """Return the keys under which arrays were kept, whole or not."""
        return set()

    def load_state(
        self, layer: str, what: str, key: str, shape: tuple[int, int]
    ) -> Float64[np.ndarray, "_ _"] | None:
        """Return the array of a shape that was kept under a key, if there is one and it is whole."""
        return None

    def alone(self, layer: str) -> AbstractContextManager[None]:
        """Keep other processes from doing the same for a layer meanwhile: they wait."""
        return nullcontext()

    def repair(self, quantity: Quantity, batch: KeptBatch) -> None:
        """Forget what is damaged of a quantity of a batch, in any of its columns, and note it."""
        return

    def take_notes(self) -> list[str]:
        """Return what was found to be changed or damaged since this was last called, in words."""
        return []

    def require_space(self, size: int) -> None:
        """Raise a StorageError where there is no room for as many bytes."""
        return

    def missing(self, quantity: Quantity, batch: KeptBatch) -> Quantity | None:
        """Return the columns below the last of a quantity that are yet to be kept; None if there are none."""
        covered = cover(self.columns(quantity, batch), quantity.stop)
        kept = sum(stop - start for _, (start, stop) in covered)
        return quantity._replace(start=kept) if kept < quantity.stop else None


def cover(columns: Iterable[tuple[int, int]], width: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return ranges that cover the columns from 0 on, each with the part that is taken of it.

    They may overlap; the parts follow one another without a gap, up to `width` or to the first column that
    none of them has.
    """
    at_hand, reached = list(columns), 0
    covered: list[tuple[tuple[int, int], tuple[int, int]]] = []
    while reached < width and (usable := [some for some in at_hand if some[0] <= reached < some[1]]):
        furthest = max(usable, key=lambda some: (some[1], some[0]))
        covered.append((furthest, (reached, min(furthest[1], width))))
        reached = furthest[1]
    return covered
