"""Which images are shown together, and which of them a store holds already."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from differentia.errors import InputError, UnreadableImageError
from differentia.presentation import SkippedImage
from differentia.stimuli import Fit, Stimuli
from differentia.store import KeptBatch, Store

#: Threads that read files to know their content.
_READERS = 8


class Span(NamedTuple):
    """Images of one set that are shown together, or were.

    Attributes
    ----------
    set
        Its name.
    indices
        The images' places in the set.
    batch
        As which they are kept; None where they are yet to be shown.
    rows
        The row of each of them in that batch.
    """

    set: str
    indices: tuple[int, ...]
    batch: KeptBatch | None = None
    rows: tuple[int, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all images of the batch are at hand, so that it can be shown again as it was."""
        return self.batch is None or len(self.rows) == len(self.batch.images)


class Schedule(NamedTuple):
    """What is shown, in its order.

    Attributes
    ----------
    spans
        Of all sets, one set after another.
    skipped
        Images that an earlier run could not read either; each with its place in the set.
    """

    spans: tuple[Span, ...]
    skipped: tuple[tuple[int, SkippedImage], ...] = ()


def schedule(
    stimuli: Mapping[str, Stimuli],
    fit: Fit,
    store: Store,
    *,
    skip_unreadable: bool,
    lacks: Callable[[Span], bool],
) -> Schedule:
    """Return which images are shown together, as they were where the store has them.

    Images are known by their content. Those of a set that were shown together stay together; others follow in
    new batches, in the order of the set. So what a set's numbers are made of does not depend on whether an
    earlier run was interrupted, nor on other sets.

    Parameters
    ----------
    stimuli
        The sets, by name.
    fit
        How images become the network's input, by which noise is made.
    store
        What was recorded before.
    skip_unreadable
        Whether images that can't be decoded are left out.
    lacks
        Whether something is missing of images, which then have to be shown again, and together.

    Raises
    ------
    InputError
        A file can't be read.
    """
    spans: list[Span] = []
    skipped: list[tuple[int, SkippedImage]] = []
    for name, given in stimuli.items():
        hashes = _content_hashes(name, given, fit) if store.batches else [""] * len(given)
        places: dict[str, deque[int]] = defaultdict(deque)
        for index, content in enumerate(hashes):
            if content:
                places[content].append(index)
        own = [batch for batch in store.batches if batch.set == name]
        found = []
        for batch in own:
            span = _found(name, batch, batch.images, places)
            if span.indices and (span.whole or not lacks(span)):
                found.append(span)
            else:
                for index in span.indices:
                    places[hashes[index]].append(index)
        known = {index for span in found for index in span.indices}
        if skip_unreadable:
            for index in _places(places, (content for batch in own for content in batch.skipped)):
                reason = _why_unreadable(given, index, fit)
                if reason:
                    skipped.append((index, SkippedImage(name, given.names[index], reason)))
                    known.add(index)
        left = [index for index in range(len(given)) if index not in known]
        spans += found
        for start in range(0, len(left), store.batch_size):
            indices = tuple(left[start : start + store.batch_size])
            shown = tuple(hashes[index] for index in indices)
            same = [batch for batch in store.batches if batch.images == shown and all(shown)]
            rows = tuple(range(len(indices)))
            spans.append(Span(name, indices, same[0], rows) if same else Span(name, indices))
    return Schedule(tuple(spans), tuple(skipped))


def content_of(given: Stimuli, index: int, fit: Fit) -> str:
    """Return the hash of an image's content; "" where it would have to be decoded for it and can't be.

    Parameters
    ----------
    given
        The images.
    index
        Of the image among them.
    fit
        How they become the network's input, by which noise is made.
    """
    try:
        return given.content_hash(index, fit)
    except UnreadableImageError:
        return ""


def _content_hashes(name: str, given: Stimuli, fit: Fit) -> list[str]:
    """Return what tells each image's content."""

    def hashed(index: int) -> str:
        try:
            return content_of(given, index, fit)
        except InputError as error:
            raise type(error)(f"set {name!r}: {error}") from error

    with ThreadPoolExecutor(_READERS) as threads:
        return list(threads.map(hashed, range(len(given))))


def _places(places: Mapping[str, deque[int]], contents: Iterable[str]) -> list[int]:
    """Take from the places of a set one image of each content, where there is one."""
    return [places[content].popleft() for content in contents if places.get(content)]


def _found(name: str, batch: KeptBatch, contents: Sequence[str], places: Mapping[str, deque[int]]) -> Span:
    """Take from the places of a set the images of a batch."""
    pairs = [(places[content].popleft(), row) for row, content in enumerate(contents) if places.get(content)]
    return Span(name, tuple(index for index, _ in pairs), batch, tuple(row for _, row in pairs))


def _why_unreadable(given: Stimuli, index: int, fit: Fit) -> str:
    """Return why an image can't be decoded; "" where it can."""
    try:
        given.load(index, fit)
    except UnreadableImageError as error:
        return str(error)
    return ""
