"""Copies: images of one set that have the same content."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from differentia.errors import InputError, UnreadableImageError
from differentia.stimuli.base import Fit, Stimuli
from differentia.stimuli.parts import SomeStimuli
from differentia.stimuli.presentation import ImageLabel, labels_of, require_a_pair

#: Threads that read files to know their content.
_READERS = 8


def without_copies(stimuli: Mapping[str, Stimuli], fit: Fit) -> tuple[dict[str, Stimuli], list[ImageLabel]]:
    """Return each set's images without those that have the content of an earlier one, and these."""
    left: dict[str, Stimuli] = {}
    dropped: list[ImageLabel] = []
    for name, given in stimuli.items():
        labels = labels_of(name, given, content_hashes(name, given, fit))
        copies = [label for group in find_duplicates(labels) for label in group[1:]]
        numbers = {label.number for label in copies}
        left[name] = given
        if copies:
            left[name] = SomeStimuli(given, (at for at in range(len(given)) if at not in numbers))
            require_a_pair(name, len(left[name]), f"{given.source}, without copies")
        dropped += sorted(copies, key=lambda label: label.number)
    return left, dropped


def find_duplicates(labels: Iterable[ImageLabel]) -> list[list[ImageLabel]]:
    """Return the groups of images of one set that have the same content, where it is known."""
    groups: dict[tuple[str, str], list[ImageLabel]] = defaultdict(list)
    for label in labels:
        if label.hash:
            groups[label.set, label.hash].append(label)
    return [group for group in groups.values() if len(group) > 1]


def content_hashes(
    set_name: str, given: Stimuli, fit: Fit, numbers: Sequence[int] | None = None
) -> list[str]:
    """Return the hash of the content of each image of a set, or of some."""

    def hashed(index: int) -> str:
        try:
            return content_of(given, index, fit)
        except InputError as error:
            raise type(error)(f"set {set_name!r}: {error}") from error

    with ThreadPoolExecutor(_READERS) as threads:
        return list(threads.map(hashed, range(len(given)) if numbers is None else numbers))


def content_of(given: Stimuli, index: int, fit: Fit) -> str:
    """Return the hash of an image's content; "" where it would have to be decoded for it and can't be."""
    try:
        return given.content_hash(index, fit)
    except UnreadableImageError:
        return ""
