"""Presentation: the images of several sets, decoded in batches ahead of the network."""

from __future__ import annotations

import threading
import warnings
from collections import defaultdict, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from differentia.errors import (
    DifferentiaWarning,
    InputError,
    RecordingError,
    UnreadableImageError,
    require_distinct_names,
)
from differentia.machine import usable_cores
from differentia.stimuli import Fit, Image, Stimuli, stimuli_from

#: Threads that decode are as many as there are cores for this process, but at most so many.
MOST_DECODERS = 16

#: Batches that are decoded ahead of the one at work: a core that is done with one begins the next.
AHEAD = 2

#: Images, or groups of them, that one warning names.
MOST_TOLD = 10

#: How the warnings begin that images were left out, and that some of a set are the same.
LEFT_OUT = "left out what can't be read"
SAME_CONTENT = "images of one set have the same content"


class ImageLabel(NamedTuple):
    """The set an image was shown in, its name there, and the SHA-256 of its content ("" if unknown)."""

    set: str
    name: str
    hash: str


class SkippedImage(NamedTuple):
    """An image that could not be read and was left out, and why."""

    set: str
    name: str
    reason: str


class Batch(NamedTuple):
    """Images of one set.

    Attributes
    ----------
    set
        Its name.
    indices
        The place of each image in the set.
    pixels : (batch, height, width, channels)
        0..255, fitted to the network's input. There may be none, where all were skipped.
    labels
        One for each image.
    skipped
        The images that would have been in this batch.
    """

    set: str
    indices: tuple[int, ...]
    pixels: UInt8[np.ndarray, "b h w c"]
    labels: tuple[ImageLabel, ...]
    skipped: tuple[SkippedImage, ...]


def as_sets(sets: Mapping[str, Any], *, seed: int, follow_links: bool = False) -> dict[str, Stimuli]:
    """Return each set's stimuli, at least two images in each.

    Parameters
    ----------
    sets
        Name -> what `stimuli_from` takes.
    seed
        For noise that names none.
    follow_links
        Take also the files of a folder that are links out of it.

    Raises
    ------
    InputError
        There is no set, a set has fewer than two images, or can't be found.
    """
    if not isinstance(sets, Mapping):
        raise InputError(f"the sets are a {type(sets).__name__}; expected {{name: images}}")
    if not sets:
        raise InputError("no set of images was given; give at least one: --set NAME=SOURCE")
    stimuli: dict[str, Stimuli] = {}
    for name, source in zip(require_distinct_names("set", sets), sets.values(), strict=True):
        try:
            stimuli[name] = stimuli_from(source, seed=seed, follow_links=follow_links)
        except InputError as error:
            raise InputError(f"set {name!r}: {error}") from error
        require_a_pair(name, len(stimuli[name]), stimuli[name].source)
    return stimuli


def require_a_pair(name: str, count: int, source: str) -> None:
    """Raise an error for a set of fewer than two images.

    Parameters
    ----------
    name
        Of the set.
    count
        How many images it has.
    source
        Where they come from.
    """
    if count < 2:
        images = "1 image" if count == 1 else "no image"
        raise InputError(f"set {name!r} has {images} ({source}); expected at least 2, a pair to compare")


def in_batches(stimuli: Mapping[str, Stimuli], batch_size: int) -> list[tuple[str, range]]:
    """Return the images of each batch, as the name of their set and their places in it.

    Parameters
    ----------
    stimuli
        The sets, by name.
    batch_size
        The most images of a batch; no batch holds images of two sets.
    """
    return [
        (name, range(start, min(start + batch_size, len(given))))
        for name, given in stimuli.items()
        for start in range(0, len(given), batch_size)
    ]


class Turns:
    """Lets passes and decoding take turns.

    A pass on all cores waits at each of its steps for the slowest: a core that decodes meanwhile, for some
    milliseconds, holds up the others, and in a small network each step. Reading from the disk goes on.
    """

    def __init__(self) -> None:
        self._decoding = threading.Event()
        self._decoding.set()

    @contextmanager
    def of_a_pass(self) -> Iterator[None]:
        """Begin no further image for as long as this context lasts."""
        try:
            self._decoding.clear()
            yield
        finally:
            self._decoding.set()

    def of_decoding(self) -> None:
        """Wait until no pass is at work."""
        self._decoding.wait()


def present(
    stimuli: Mapping[str, Stimuli],
    batches: Sequence[tuple[str, Sequence[int]]],
    fit: Fit,
    *,
    skip_unreadable: bool = False,
    turns: Turns | None = None,
) -> Generator[Batch]:
    """Yield images in batches, decoded on threads, some batches ahead.

    Parameters
    ----------
    stimuli
        The sets, by name; errors do not name one that is called "".
    batches
        The name of a set and places in it, for each batch.
    fit
        How images become the network's input.
    skip_unreadable
        Leave images that can't be decoded out, instead of raising an error.
    turns
        Of passes and decoding, where both need the processor.

    Raises
    ------
    InputError
        An image can't be decoded; names the set and the file.
    RecordingError
        An image is too large for the memory.
    """

    def load(name: str, index: int) -> Image | SkippedImage:
        image = stimuli[name].names[index]
        try:
            if turns is not None:
                stimuli[name].bring_near(index)
                turns.of_decoding()
            return stimuli[name].load(index, fit)
        except InputError as error:
            if skip_unreadable and isinstance(error, UnreadableImageError):
                return SkippedImage(name, image, str(error))
            raise type(error)(f"set {name!r}: {error}" if name else str(error)) from error
        except MemoryError as error:
            raise RecordingError(
                (f"set {name!r}, " if name else "")
                + f"image {image!r}: too large for this machine's memory; shrink it"
            ) from error

    # Without with, which waits for what is being decoded.
    threads = ThreadPoolExecutor(min(usable_cores(), MOST_DECODERS))

    def start(position: int) -> list[Future[Image | SkippedImage]]:
        name, indices = batches[position] if position < len(batches) else ("", ())
        return [threads.submit(load, name, index) for index in indices]

    try:
        coming = deque(start(position) for position in range(AHEAD))
        for position, (name, indices) in enumerate(batches):
            coming.append(start(position + AHEAD))
            at_hand = coming.popleft()
            yield _batch(stimuli[name], name, indices, [future.result() for future in at_hand], fit)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _batch(
    given: Stimuli, name: str, indices: Sequence[int], loaded: Sequence[Image | SkippedImage], fit: Fit
) -> Batch:
    images = [
        (index, image) for index, image in zip(indices, loaded, strict=True) if isinstance(image, Image)
    ]
    pixels = np.zeros((len(images), *fit.shape), dtype=np.uint8)
    for row, (_, image) in zip(pixels, images, strict=True):
        row[:] = image.pixels
    return Batch(
        set=name,
        indices=tuple(index for index, _ in images),
        pixels=pixels,
        labels=tuple(ImageLabel(name, given.names[index], image.hash) for index, image in images),
        skipped=tuple(image for image in loaded if isinstance(image, SkippedImage)),
    )


def warn_of_images(
    skipped: Sequence[SkippedImage], duplicates: Sequence[Sequence[ImageLabel]], *, stacklevel: int
) -> list[str]:
    """Say which images were left out, and which came twice in a set: their distance is 0.

    Parameters
    ----------
    skipped
        Those that could not be read.
    duplicates
        What `find_duplicates` returned.
    stacklevel
        Of the warnings.

    Returns
    -------
    list of str
        What was said.
    """
    texts = []
    if skipped:
        cases = [_told(image.set, image.reason) for image in skipped]
        texts.append(_listed(f"{LEFT_OUT} ({len(skipped)})", cases))
    if duplicates:
        groups = [_told(group[0].set, ", ".join(image.name for image in group)) for group in duplicates]
        what = f"{SAME_CONTENT}, and no distance from each other"
        texts.append(_listed(what, groups))
    for text in texts:
        warnings.warn(text, DifferentiaWarning, stacklevel=stacklevel + 1)
    return texts


def _told(set_name: str, what: str) -> str:
    return f"set {set_name!r}: {what}" if set_name else what


def _listed(what: str, cases: Sequence[str]) -> str:
    more = f"; and {len(cases) - MOST_TOLD} more" if len(cases) > MOST_TOLD else ""
    return f"{what}: {'; '.join(cases[:MOST_TOLD])}{more}"


def find_duplicates(labels: Sequence[ImageLabel]) -> list[list[ImageLabel]]:
    """Return the groups of images of one set that have the same content.

    Parameters
    ----------
    labels
        Of all images; those of unknown content are no duplicates.
    """
    groups: dict[tuple[str, str], list[ImageLabel]] = defaultdict(list)
    for label in labels:
        if label.hash:
            groups[label.set, label.hash].append(label)
    return [group for group in groups.values() if len(group) > 1]
