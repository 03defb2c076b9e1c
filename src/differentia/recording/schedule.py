"""Which images are shown together, under which number, and which of them a store holds already."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from differentia.errors import InputError, UnreadableImageError
from differentia.recording.division import Part, Promised, digest_of
from differentia.recording.store.base import KeptBatch, Quantity, Store
from differentia.stimuli.base import Fit, Stimuli
from differentia.stimuli.copies import content_hashes
from differentia.stimuli.presentation import LEAVE_OUT, ImageLabel, SkippedImage, in_batches, labels_of


@dataclass(eq=False)
class Showing:
    """Images of one set that are shown together, or were: then they are kept, as rows of a batch."""

    #: None is left where none could be read.
    images: Sequence[ImageLabel]
    kept: KeptBatch | None
    rows: Sequence[int]
    position: int = 0  # in the whole schedule
    #: Under which they will be kept.
    number: int | None = None
    #: All units of a layer, while they are in memory to be ranked.
    whole_layers: dict[str, np.ndarray] = field(default_factory=dict)
    #: What is yet to be kept.
    missing: list[Quantity] = field(default_factory=list)

    @property
    def set(self) -> str:
        """The set's name."""
        return self.images[0].set

    @property
    def has_place(self) -> bool:
        """Whether it is kept, or has the number that it will have."""
        return self.kept is not None or self.number is not None

    @property
    def place(self) -> int:
        """The number of its batch."""
        number = self.number if self.kept is None else self.kept.number
        assert number is not None, "all that are not kept were promised"
        return number


def schedule(
    stimuli: Mapping[str, Stimuli],
    fit: Fit,
    store: Store,
    *,
    skip_unreadable: bool,
    lacks: Callable[[Showing], bool],
    promise: bool = True,
    before: Collection[int] | None = None,
) -> tuple[list[Showing], list[SkippedImage]]:
    """Return what is shown together, by number, and the images that an earlier run could not read either.

    Images are known by their content. Those of a set that were shown together stay together. Others are shown
    in the batches that the store was promised, as far as all images of one are left, and then in new ones, in
    the order of the set. So what a set's numbers are made of does not depend on whether an earlier run was
    interrupted, nor on other sets. Images of which something is missing (`lacks`) have to be shown again, and
    that all together. Where new batches are not to be promised, they have no numbers. Where others have just
    recorded the batches that were not there `before`, the images of these are not looked at again.
    """
    kept: dict[str, list[Showing]] = {}
    left: dict[str, list[ImageLabel]] = {}
    skipped: list[SkippedImage] = []
    known = {} if before is None else _just_recorded(stimuli, store, before)
    for name, given in stimuli.items():
        hashes = _contents(name, given, fit, known.get(name, {})) if store.batches else ()
        images = labels_of(name, given, hashes)
        kept[name], left[name] = _kept(name, images, store, lacks)
    sets = {name: digest_of(given.names) for name, given in stimuli.items()}
    new = _New(left, store)
    new.follow(sets)
    if skip_unreadable and store.batches:
        skipped += [
            image for name, given in stimuli.items() for image in new.still_unreadable(name, given, fit)
        ]
    promised = [batch for name in stimuli for batch in new.to_promise(name)] if promise else []
    if promised:
        store.promise({batch.set: sets[batch.set] for batch in promised}, promised)
        new.follow(sets)
    showings = [showing for name in stimuli for showing in (*kept[name], *new.showings(name))]
    return _in_order(showings), skipped


def _just_recorded(
    stimuli: Mapping[str, Stimuli], store: Store, before: Collection[int]
) -> dict[str, dict[int, str]]:
    """Return what the images of new batches are, by set and number, where all of a batch could be read."""
    new = {batch.number: batch.images for batch in store.batches if batch.number not in before}
    known: dict[str, dict[int, str]] = defaultdict(dict)
    sets = {name: digest_of(given.names) for name, given in stimuli.items()}
    for division in store.divisions:
        for number, (name, numbers) in division.of(sets):
            if len(new.get(number, ())) == len(numbers):
                known[name] |= zip(numbers, new[number], strict=True)
    return known


def _contents(name: str, given: Stimuli, fit: Fit, known: Mapping[int, str]) -> list[str]:
    """Return the hash of each image of a set, of which some are known."""
    left = [number for number in range(len(given)) if number not in known]
    found = dict(zip(left, content_hashes(name, given, fit, left), strict=True))
    return [known[number] if number in known else found[number] for number in range(len(given))]


def _in_order(showings: list[Showing]) -> list[Showing]:
    """Return showings in the order of their numbers, with their positions."""
    showings.sort(key=lambda showing: showing.place if showing.has_place else math.inf)
    for position, showing in enumerate(showings):
        showing.position = position
    return showings


def _kept(
    name: str, images: Sequence[ImageLabel], store: Store, lacks: Callable[[Showing], bool]
) -> tuple[list[Showing], list[ImageLabel]]:
    """Return the images of a set that are kept as they were shown, and those that are left."""
    at_hand: dict[str, deque[ImageLabel]] = defaultdict(deque)
    for image in images:
        if image.hash:
            at_hand[image.hash].append(image)
    showings: list[Showing] = []
    known: set[int] = set()
    for batch in [batch for batch in store.batches if batch.set == name]:
        rows_of = enumerate(batch.images)
        taken = [(at_hand[content].popleft(), row) for row, content in rows_of if at_hand[content]]
        showing = Showing([image for image, _ in taken], batch, [row for _, row in taken])
        whole = len(showing.images) == len(batch.images)
        if showing.images and (whole or not lacks(showing)):
            showings.append(showing)
            known.update(image.number for image in showing.images)
        else:
            for image in showing.images:
                at_hand[image.hash].append(image)
    return showings, [image for image in images if image.number not in known]


@dataclass(frozen=True)
class PartSchedule:
    """What a part shows of all batches.

    Attributes
    ----------
    showings
        Those of the part, in the order of their numbers.
    every
        One for each batch of the whole recording. Of other parts' batches it says whether they are kept, and
        not which images they are.
    tasks
        The part's, by number.
    """

    showings: list[Showing]
    every: list[Showing]
    tasks: Sequence[int]


def divide(stimuli: Mapping[str, Stimuli], store: Store) -> dict[int, Promised]:
    """Promise numbers to all images that have none, known by name; return each batch with its number.

    An image that was promised twice, since it had changed, has the later number.
    """
    sets = {name: digest_of(given.names) for name, given in stimuli.items()}
    while True:
        number_of = {name: np.full(len(given), -1) for name, given in stimuli.items()}
        batches: dict[int, Promised] = {}
        for division in store.divisions:
            for number, batch in division.of(sets):
                batches[number] = batch
                number_of[batch.set][list(batch.images)] = number
        left = [
            Promised(name, tuple(images))
            for name, numbers in number_of.items()
            for images in in_batches(np.flatnonzero(numbers < 0).tolist(), store.batch_size)
        ]
        if not left:
            break
        store.promise({batch.set: sets[batch.set] for batch in left}, left)
    still = {
        number: Promised(name, tuple(image for image in images if number_of[name][image] == number))
        for number, (name, images) in batches.items()
    }
    return {number: batch for number, batch in still.items() if batch.images}


def schedule_part(
    stimuli: Mapping[str, Stimuli],
    fit: Fit,
    store: Store,
    part: Part,
    *,
    skip_unreadable: bool,
    lacks: Callable[[Showing], bool],
    ranked: bool,
) -> PartSchedule:
    """Return what a part of a recording shows: it looks at its own images only.

    Those that are kept under their number have to be what they were. Images with the content of others, that
    were shown together, are taken for these, unless units are ranked, which goes by numbers.
    """
    batches = divide(stimuli, store)
    tasks = part.tasks(sorted({number // store.task_batches for number in batches}))
    kept = {batch.number: batch for batch in store.batches}
    same = {batch.images: batch for batch in store.batches if batch.number not in batches and not ranked}
    showings, of_part = [], set(tasks)
    for number, (name, numbers) in batches.items():
        if number // store.task_batches not in of_part:
            continue
        given = stimuli[name]
        images = [ImageLabel(name, image, given.names[image], "") for image in numbers]
        if number in kept or same:
            hashes = content_hashes(name, given, fit, numbers)
            images = [image._replace(hash=content) for image, content in zip(images, hashes, strict=True)]
        if number in kept:
            showings += _as_kept(images, kept[number], lacks, skip_unreadable=skip_unreadable)
        else:
            as_others = same.get(tuple(image.hash for image in images))
            showings.append(Showing(images, as_others, range(len(images)), number=number))
    every = [Showing((), kept.get(number), (), number=number) for number in batches]
    return PartSchedule(_in_order(showings), _in_order(every), tasks)


#: What to do where a part can't go by the numbers of images.
WITHOUT_PART = (
    "run the same command without --part, which goes by what images are, or start over with --fresh"
)


def _as_kept(
    images: Sequence[ImageLabel],
    batch: KeptBatch,
    lacks: Callable[[Showing], bool],
    *,
    skip_unreadable: bool,
) -> list[Showing]:
    """Return images as the rows of the batch that they were shown in; none where none could be read."""
    rows: dict[str, deque[int]] = defaultdict(deque)
    for row, content in enumerate(batch.images):
        rows[content].append(row)
    found = []
    for image in images:
        if image.hash and rows[image.hash]:
            found.append((image, rows[image.hash].popleft()))
        elif image.hash and image.hash not in batch.skipped:
            raise InputError(
                f"set {image.set!r}: image {image.name!r} has changed since it was recorded; {WITHOUT_PART}"
            )
        elif not skip_unreadable:
            raise UnreadableImageError(f"set {image.set!r}: image {image.name!r} can't be read{LEAVE_OUT}")
    showing = Showing([image for image, _ in found], batch, [row for _, row in found])
    if found and len(found) < len(batch.images) and lacks(showing):
        raise InputError(
            f"set {batch.set!r}: images that were shown with {found[0][0].name!r} have changed, and "
            f"something of the others is yet to be recorded; {WITHOUT_PART}"
        )
    return [showing] if found else []


class _New:
    """The images of each set that are not kept, in the batches that a store was promised, and others."""

    def __init__(self, left: Mapping[str, Sequence[ImageLabel]], store: Store) -> None:
        self._store = store
        self._same = {batch.images: batch for batch in reversed(store.batches)}
        self._left = {name: {image.number: image for image in images} for name, images in left.items()}
        self._promised: dict[str, list[tuple[int, Sequence[ImageLabel]]]] = defaultdict(list)

    def follow(self, sets: Mapping[str, str]) -> None:
        """Put images into the batches that they were promised to, where all of one are left."""
        taken = {batch.number for batch in self._store.batches}
        for division in reversed(self._store.divisions):  # the later know better what is left
            for number, (name, numbers) in division.of(sets):
                if number not in taken and self._left[name].keys() >= set(numbers):
                    together = [self._left[name].pop(image) for image in numbers]
                    self._promised[name].append((number, together))

    def still_unreadable(self, name: str, given: Stimuli, fit: Fit) -> Iterator[SkippedImage]:
        """Take images out that could not be read before, or known by their content, and still can't be."""
        unread = Counter(content for batch in self._store.batches for content in batch.skipped)
        for image in list(self._left[name].values()):
            if image.hash and not unread[image.hash]:
                continue
            unread[image.hash] -= 1
            try:
                given.load(image.number, fit)
            except UnreadableImageError as error:
                del self._left[name][image.number]
                yield SkippedImage(name, image.number, image.name, str(error))

    def to_promise(self, name: str) -> list[Promised]:
        """Return images of a set that were promised no batch, in batches, but for those that are kept."""
        batches = in_batches(list(self._left[name].values()), self._store.batch_size)
        return [
            Promised(name, tuple(image.number for image in together))
            for together in batches
            if self._kept(together) is None
        ]

    def showings(self, name: str) -> list[Showing]:
        """Return all images of a set that are not kept, to be shown, or kept as those of another set."""
        others = in_batches(list(self._left[name].values()), self._store.batch_size)
        return [
            Showing(together, self._kept(together), range(len(together)), number=number)
            for number, together in [*self._promised[name], *((None, together) for together in others)]
        ]

    def _kept(self, together: Sequence[ImageLabel]) -> KeptBatch | None:
        """Return the batch of the very same images, of another set perhaps."""
        hashes = tuple(image.hash for image in together)
        return self._same.get(hashes) if all(hashes) else None
