"""Presentation: the images of several sets, decoded in batches ahead of the network."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from itertools import islice, zip_longest
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import UInt8

from differentia.errors import InputError, RecordingError, UnreadableImageError, require_distinct_names, warn
from differentia.stimuli.base import Fit, Image, Stimuli
from differentia.stimuli.sources import stimuli_from
from differentia.system.machine import usable_cores
from differentia.system.showing import counted, listed

#: Threads that decode are as many as there are cores for this process, but at most so many.
MOST_DECODERS = 16

#: Batches that are decoded ahead of the one at work: a core that is done with one begins the next.
AHEAD = 2

#: What else can be done about an image that can't be read.
LEAVE_OUT = ", or leave such images out with skip_unreadable (--skip-unreadable)"

#: Images, or groups of them, that one warning names.
MOST_TOLD = 10

#: Images of a set that are made again, to tell what is clipped of those that an earlier run recorded.
MOST_MADE_AGAIN = 256


#: A label of an image, or its number.
AnImage = TypeVar("AnImage")


class ImageLabel(NamedTuple):
    """What an image is: its set, its place there from 0, its name, and the SHA-256 of its content, or ""."""

    set: str
    number: int
    name: str
    hash: str


class SkippedImage(NamedTuple):
    """An image that could not be read and was left out, and why."""

    set: str
    number: int
    name: str
    reason: str


def as_record(image: ImageLabel | SkippedImage) -> dict[str, str]:
    """Return what results and the command line say of an image."""
    return {name: value for name, value in image._asdict().items() if name != "number"}


class Batch(NamedTuple):
    """Images of one set, as the network's input takes them (0..255), and those that could not be read."""

    images: tuple[ImageLabel, ...]
    pixels: UInt8[np.ndarray, "b h w c"]
    skipped: tuple[SkippedImage, ...]


def as_sets(sets: Mapping[str, Any], *, seed: int, follow_links: bool = False) -> dict[str, Stimuli]:
    """Return each set's stimuli, at least two images in each; the seed is for noise that names none."""
    if not isinstance(sets, Mapping):
        raise InputError(f"the sets are of type {type(sets).__name__}; expected {{name: images}}")
    if not sets:
        raise InputError(
            "no set of images was given; give at least one: --set NAME=SOURCE, or --sets-from FOLDER"
        )
    names = require_distinct_names("set", sets)
    given = _Sets(dict(zip(names, sets.values(), strict=True)), seed, follow_links)
    return {name: given[name] for name in names}


class _Sets(Mapping[str, Stimuli]):
    """Sets by name, made when they are asked for: by the user, or by others that are made of them."""

    def __init__(self, sources: Mapping[str, Any], seed: int, follow_links: bool) -> None:
        self._sources, self._seed, self._follow_links = sources, seed, follow_links
        self._made: dict[str, Stimuli] = {}
        self._begun: list[str] = []

    def __getitem__(self, name: str) -> Stimuli:
        if name in self._begun:
            circle = " -> ".join(map(repr, [*self._begun[self._begun.index(name) :], name]))
            raise InputError(f"is made of itself ({circle}); name another source, or ./{name} for a path")
        if name not in self._made:
            self._begun.append(name)
            try:
                self._made[name] = stimuli_from(
                    self._sources[name], seed=self._seed, follow_links=self._follow_links, sets=self
                )
            except InputError as error:
                raise InputError(f"set {name!r}: {error}") from error
            finally:
                self._begun.pop()
            require_a_pair(name, len(self._made[name]), self._made[name].source)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._sources

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


def require_a_pair(name: str, count: int, source: str) -> None:
    """Raise an error for a set of fewer than two images."""
    if count < 2:
        images = counted(count, "image") if count else "no image"
        raise InputError(f"set {name!r} has {images} ({source}); expected at least 2, a pair to compare")


def labels_of(set_name: str, given: Stimuli, hashes: Iterable[str] = ()) -> list[ImageLabel]:
    """Return the label of each image of a set; without hashes where they are not known yet."""
    named = zip_longest(given.names, hashes, fillvalue="")
    return [ImageLabel(set_name, number, name, content) for number, (name, content) in enumerate(named)]


def attributes_of(
    stimuli: Mapping[str, Stimuli], images: Sequence[ImageLabel]
) -> dict[str, list[str | float]]:
    """Return what else is known of each image, by name: numbers, or text where some set has text.

    Where a set does not say it, that is NaN, or "".
    """
    found: dict[str, list[str | float]] = {}
    for name in dict.fromkeys(name for given in stimuli.values() for name in given.attributes):
        of_sets = {key: given.attributes[name] for key, given in stimuli.items() if name in given.attributes}
        for key, values in of_sets.items():
            if len(values) != len(stimuli[key]):
                raise InputError(
                    f"set {key!r}: its attribute {name!r} has {len(values):,} values; expected one for each "
                    f"of its {counted(len(stimuli[key]), 'image')}"
                )
        as_text = any(isinstance(value, str) for values in of_sets.values() for value in values)
        column = [of_sets[image.set][image.number] if image.set in of_sets else None for image in images]
        found[name] = [_as_text(value) if as_text else _as_number(value) for value in column]
    return found


def _as_text(value: str | float | None) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None or math.isnan(value) else f"{value:.15g}"


def _as_number(value: str | float | None) -> float:
    return math.nan if value is None else float(value)


def in_batches(images: Sequence[AnImage], batch_size: int) -> list[Sequence[AnImage]]:
    """Cut the images of one set into batches; only the last may be smaller."""
    return [images[start : start + batch_size] for start in range(0, len(images), batch_size)]


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
    batches: Sequence[Sequence[ImageLabel]],
    fit: Fit,
    *,
    skip_unreadable: bool = False,
    turns: Turns | None = None,
) -> Generator[Batch]:
    """Yield images in batches, decoded on threads, some batches ahead.

    Errors name the set and the file, but no set that is called "". Images that can't be decoded raise one, or
    are left out; a file that can't be read from the disk is never left out.
    """

    def load(image: ImageLabel) -> Image | SkippedImage:
        given = stimuli[image.set]
        try:
            if turns is not None:
                given.bring_near(image.number)
                turns.of_decoding()
            return given.load(image.number, fit)
        except InputError as error:
            if skip_unreadable and isinstance(error, UnreadableImageError):
                return SkippedImage(image.set, image.number, image.name, str(error))
            advice = LEAVE_OUT if isinstance(error, UnreadableImageError) else ""
            raise type(error)(_in_set(image.set, f"{error}{advice}")) from error
        except MemoryError as error:
            problem = f"image {image.name!r} is too large for this machine's memory; shrink it"
            raise RecordingError(_in_set(image.set, problem)) from error

    # Without with, which waits for what is being decoded.
    threads = ThreadPoolExecutor(min(usable_cores(), MOST_DECODERS))
    begun = ([threads.submit(load, image) for image in images] for images in batches)
    try:
        coming = deque(islice(begun, AHEAD))
        for images in batches:
            coming.extend(islice(begun, 1))
            loaded = [future.result() for future in coming.popleft()]
            both = zip(images, loaded, strict=True)
            read = [(image, found) for image, found in both if isinstance(found, Image)]
            pixels = np.zeros((len(read), *fit.shape), dtype=np.uint8)
            for row, (_, found) in zip(pixels, read, strict=True):
                row[:] = found.pixels
            yield Batch(
                images=tuple(image._replace(hash=found.hash) for image, found in read),
                pixels=pixels,
                skipped=tuple(found for found in loaded if isinstance(found, SkippedImage)),
            )
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


#: Images among which two that differ are looked for.
LOOKED_AT = 8


def first_images(
    stimuli: Mapping[str, Stimuli], fit: Fit, *, skip_unreadable: bool
) -> UInt8[np.ndarray, "two h w c"] | None:
    """Return two images that differ, of two sets where there are several; None where none can be read.

    Where the first ones are all the same, that comes twice.
    """
    in_turns = (
        ImageLabel(name, number, given.names[number], "")
        for number in range(LOOKED_AT)
        for name, given in stimuli.items()
        if number < len(given)
    )
    candidates = list(islice(in_turns, LOOKED_AT))
    found: list[np.ndarray] = []
    with closing(
        present(stimuli, [[label] for label in candidates], fit, skip_unreadable=skip_unreadable)
    ) as shown:
        for batch in shown:
            found += [
                pixels for pixels in batch.pixels if not any(np.array_equal(pixels, other) for other in found)
            ]
            if len(found) == 2:
                break
    return np.stack([found[0], found[-1]]) if found else None


def warn_of_images(
    stimuli: Mapping[str, Stimuli],
    skipped: Sequence[SkippedImage],
    duplicates: Sequence[Sequence[ImageLabel]],
) -> list[dict[str, str]]:
    """Say of which images something can't be used, which were left out, and which came twice in a set."""
    warned = warn_of_caveats(stimuli)
    if skipped:
        cases = [_in_set(image.set, image.reason) for image in skipped]
        text = _with_cases(f"left out what can't be read ({len(skipped)})", cases)
        warned.append(warn("left_out", text))
    if duplicates:
        groups = [_in_set(group[0].set, ", ".join(image.name for image in group)) for group in duplicates]
        text = _with_cases("images of one set have the same content, and no distance from each other", groups)
        text += "; drop_duplicates=True (--drop-duplicates) keeps the first of each"
        warned.append(warn("same_content", text))
    return warned


def copies_in_words(dropped: Sequence[ImageLabel]) -> str:
    """Return which images were left out, since another of their set has the same content."""
    names: dict[str, list[str]] = {}
    for image in dropped:
        names.setdefault(image.set, []).append(image.name)
    what = f"left out images with the content of another of their set ({len(dropped):,})"
    return _with_cases(what, [_in_set(name, listed(images)) for name, images in names.items()])


def make_clipped(stimuli: Mapping[str, Stimuli], fit: Fit) -> None:
    """Make again, of each set at most `MOST_MADE_AGAIN`, images that an earlier run recorded.

    What was clipped of them is told of every result, and is known of images that this run made only.
    """
    for given in stimuli.values():
        if given.may_clip:
            made = given.clipped()
            missing = [place for place in range(len(given)) if place not in made]
            for place in missing[:: math.ceil(len(missing) / MOST_MADE_AGAIN) or 1]:
                with suppress(InputError):  # what can't be read was left out, which is told
                    given.load(place, fit)


def warn_of_caveats(stimuli: Mapping[str, Stimuli]) -> list[dict[str, str]]:
    """Say what could not be used of images, once for each set."""
    warned = []
    for name, given in stimuli.items():
        if caveats := given.caveats():
            more = f" (and {len(caveats) - 1:,} more)" if len(caveats) > 1 else ""
            warned.append(warn("other", _in_set(name, f"{caveats[min(caveats)]}{more}")))
        if clipped := _clipped_in_words(given):
            warned.append(warn("clipped", _in_set(name, clipped)))
    return warned


def _clipped_in_words(given: Stimuli) -> str:
    """Return which share of the values of images that were made was clipped; "" where none was."""
    shares = given.clipped()
    if not any(shares.values()):
        return ""
    worst = max(shares, key=lambda place: shares[place])
    # Where another run goes on, images whose responses are kept are not made again.
    of = "" if len(shares) == len(given) else f" of {len(shares):,} of its {len(given):,} images"
    mean = sum(shares.values()) / len(shares)
    return (
        f"{_percent(mean)} of the values{of} were clipped to 0..255 (at most {_percent(shares[worst])}, in "
        f"{given.names[worst]!r})"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _in_set(set_name: str, what: str) -> str:
    return f"set {set_name!r}: {what}" if set_name else what


def _with_cases(what: str, cases: Sequence[str]) -> str:
    more = f"; and {len(cases) - MOST_TOLD} more" if len(cases) > MOST_TOLD else ""
    return f"{what}: {'; '.join(cases[:MOST_TOLD])}{more}"
