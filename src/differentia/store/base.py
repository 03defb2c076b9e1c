"""What every store offers: quantities of batches of images, written once and read as matrices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Num

from differentia.matrix import ResponseMatrix


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
    """Images of one set that were shown together.

    Attributes
    ----------
    number
        Of the batch, in the order in which batches were added.
    set
        The set they were shown in.
    images
        The hash of each image's content.
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
    batch_size
        The most images of a batch.
    batches
        Those that were added, in their order.
    name
        What messages call it.
    compiled
        Whether the pass that fills it is compiled; None as long as that is open.
    """

    name: str
    batch_size: int
    batches: list[KeptBatch]
    compiled: bool | None = None

    @abstractmethod
    def note_compiled(self, compiled: bool) -> None:
        """Keep whether the pass is compiled, for a run that goes on from this one."""

    @abstractmethod
    def expect(self, batches: int, images: int) -> None:
        """Make room for batches that are yet to be added, and their images."""

    @abstractmethod
    def add_batch(self, set_name: str, images: Sequence[str], skipped: Sequence[str] = ()) -> KeptBatch:
        """Take in a batch of images, of which nothing is kept yet.

        Parameters
        ----------
        set_name
            The set they were shown in.
        images, skipped
            Hashes of their content.
        """

    @abstractmethod
    def spans(self, layer: str, what: str, batch: KeptBatch) -> list[tuple[int, int]]:
        """Return the columns of a quantity that are kept of a batch, as (start, stop)."""

    @abstractmethod
    def write(self, quantity: Quantity, batch: KeptBatch, values: Num[np.ndarray, "b k"]) -> None:
        """Keep a quantity of a batch.

        Parameters
        ----------
        quantity
            Its columns are those of `values`.
        batch
            Of which there is one row for each image.
        values : (n_images_of_batch, stop - start)
            They are copied, or written, before this returns.
        """

    @abstractmethod
    def matrix(self, layer: str, what: str, width: int, places: Sequence[Place]) -> ResponseMatrix:
        """Return the first `width` columns of a quantity of chosen images.

        Parameters
        ----------
        layer, what
            As for `Quantity`; every batch of `places` holds all its columns up to `width`.
        width
            The number of columns.
        places
            The images.
        """

    @abstractmethod
    def save_state(self, layer: str, what: str, key: str, values: Float64[np.ndarray, "_ _"]) -> None:
        """Keep an array of a layer under a key, in place of those with other keys."""

    @abstractmethod
    def load_state(
        self, layer: str, what: str, key: str, shape: tuple[int, int]
    ) -> Float64[np.ndarray, "_ _"] | None:
        """Return the array of a shape that was kept under a key, if there is one and it is whole."""

    @abstractmethod
    def repair(self, layer: str, what: str, batch: KeptBatch) -> None:
        """Forget what is damaged of a quantity of a batch, and note it."""

    def take_notes(self) -> list[str]:
        """Return what was found to be changed or damaged since this was last called, in words."""
        return []

    @abstractmethod
    def require_space(self, size: int) -> None:
        """Raise an error where there is no room for more.

        Parameters
        ----------
        size
            In bytes.

        Raises
        ------
        StorageError
            Says how much there is.
        """

    def missing(self, layer: str, what: str, width: int, batch: KeptBatch) -> Quantity | None:
        """Return the columns below `width` that are yet to be kept of a batch; None if there are none."""
        kept = sum(stop - start for _, (start, stop) in cover(self.spans(layer, what, batch), width))
        return Quantity(layer, what, kept, width) if kept < width else None


def cover(spans: Iterable[tuple[int, int]], width: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return spans that cover columns from 0 on, each with the part that is taken of it.

    Parameters
    ----------
    spans
        (start, stop) of columns; they may overlap.
    width
        Where to stop. What is covered may end before it.

    Returns
    -------
    list of (span, part)
        The parts follow one another without a gap.
    """
    at_hand = list(spans)
    covered: list[tuple[tuple[int, int], tuple[int, int]]] = []
    reached = 0
    while reached < width:
        usable = [span for span in at_hand if span[0] <= reached < span[1]]
        if not usable:
            break
        furthest = max(usable, key=lambda span: (span[1], span[0]))
        part = (reached, min(furthest[1], width))
        covered.append((furthest, part))
        reached = part[1]
    return covered
