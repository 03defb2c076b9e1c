"""Which images are shown together, and which of them a store holds already."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from differentia.errors import UnreadableImageError
from differentia.recording.store.base import KeptBatch, Quantity, Store
from differentia.stimuli.base import Fit, Stimuli
from differentia.stimuli.copies import content_hashes
from differentia.stimuli.presentation import ImageLabel, SkippedImage, in_batches, labels_of


@dataclass(eq=False)
class Showing:
    """Images of one set that are shown together, or were: then they are kept, as rows of a batch."""

    #: None is left where none could be read.
    images: Sequence[ImageLabel]
    kept: KeptBatch | None
    rows: Sequence[int]
    position: int  # in the whole schedule
    #: All units of a layer, while they are in memory to be ranked.
    whole_layers: dict[str, np.ndarray] = field(default_factory=dict)
    #: What is yet to be kept.
    missing: list[Quantity] = field(default_factory=list)

    @property
    def set(self) -> str:
        """The set's name."""
        return self.images[0].set


def schedule(
    stimuli: Mapping[str, Stimuli],
    fit: Fit,
    store: Store,
    *,
    skip_unreadable: bool,
    lacks: Callable[[Showing], bool],
) -> tuple[list[Showing], list[SkippedImage]]:
    """Return what is shown together, set by set, and the images that an earlier run could not read either.

    Images are known by their content. Those of a set that were shown together stay together; others follow in
    new batches, in the order of the set. So what a set's numbers are made of does not depend on whether an
    earlier run was interrupted, nor on other sets. Images of which something is missing (`lacks`) have to be
    shown again, and that all together.
    """
    showings: list[Showing] = []
    skipped: list[SkippedImage] = []
    for name, given in stimuli.items():
        images = labels_of(name, given, content_hashes(name, given, fit) if store.batches else ())
        at_hand: dict[str, deque[ImageLabel]] = defaultdict(deque)
        for image in images:
            if image.hash:
                at_hand[image.hash].append(image)
        known: set[int] = set()
        own = [batch for batch in store.batches if batch.set == name]
        for batch in own:
            rows_of = enumerate(batch.images)
            taken = [(at_hand[content].popleft(), row) for row, content in rows_of if at_hand[content]]
            images_taken, rows = [image for image, _ in taken], [row for _, row in taken]
            showing = Showing(images_taken, batch, rows, len(showings))
            whole = len(showing.images) == len(batch.images)
            if showing.images and (whole or not lacks(showing)):
                showings.append(showing)
                known.update(image.number for image in showing.images)
            else:
                for image in showing.images:
                    at_hand[image.hash].append(image)
        if skip_unreadable:
            for content in (content for batch in own for content in batch.skipped if at_hand[content]):
                image = at_hand[content].popleft()
                try:
                    given.load(image.number, fit)
                except UnreadableImageError as error:
                    skipped.append(SkippedImage(name, image.number, image.name, str(error)))
                    known.add(image.number)
        left = [image for image in images if image.number not in known]
        for together in in_batches(left, store.batch_size):
            hashes = tuple(image.hash for image in together)
            same = [batch for batch in store.batches if batch.images == hashes and all(hashes)]
            kept = same[0] if same else None
            showings.append(Showing(together, kept, range(len(together)), len(showings)))
    return showings, skipped
