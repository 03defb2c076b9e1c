"""Division: which images are to be shown together, in batches with numbers, and the tasks these fall into.

It is fixed in a store before the first of its images is shown. So several processes record different tasks at
the same time, and one that goes on makes the same batches as one that nothing disturbed.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from differentia.errors import InputError

#: In bytes: the most of one quantity that the images of a task take, since one file may have all of it.
MOST_IN_A_TASK = 256_000_000

#: A recording that nobody shares has tasks of as many batches at least: it may get more images.
LEAST_IN_A_TASK = 16

#: Images of a division, at most: so that a small file can't fill the memory with their numbers.
MOST_IMAGES = 2**24

#: Names that are written as JSON at once.
_NAMES_AT_ONCE = 10_000


class Part(NamedTuple):
    """One of several parts of a recording, from 1 on."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"part {self.number} of {self.of}"

    def tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """Return the part of all tasks that it has: those of all parts follow one another."""
        first, last = (len(tasks) * number // self.of for number in (self.number - 1, self.number))
        return tasks[first:last]

    def that_has(self, place: int, tasks: int) -> Part:
        """Return which of the parts has the task at a place, from 0 on, among so many."""
        return Part(-(-self.of * (place + 1) // tasks), self.of)


def part_of(given: Any) -> Part:
    """Return the part that is meant by "3/10", or (3, 10)."""
    found = re.fullmatch(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*", given) if isinstance(given, str) else None
    numbers = [int(number) for number in found.groups()] if found else given
    whole = isinstance(numbers, Sequence) and all(type(number) is int for number in numbers)
    if not whole or len(numbers) != 2 or not 1 <= numbers[0] <= numbers[1]:
        raise InputError(f"the part is {given!r}; expected I/N, such as 3/10 for the third of ten parts")
    return Part(*numbers)


def require_few(sets: Mapping[str, Sized]) -> None:
    """Raise an error for more images in all sets than are recorded at a time, before their names are made."""
    counts = {name: len(images) for name, images in sets.items()}
    if (total := sum(counts.values())) > MOST_IMAGES:
        largest = max(counts, key=counts.__getitem__)
        raise InputError(
            f"there are {total:,} images, {counts[largest]:,} of them in set {largest!r}; expected at most "
            f"{MOST_IMAGES:,} in all: take fewer, or measure some of the sets at a time"
        )


def batches_of_a_task(batches: int, parts: int, size: int) -> int:
    """Return how many batches a task has in a new recording, of which a batch takes `size` bytes at most.

    As many as a part has, or the fewest equal shares of them that are not too large for one file.
    """
    wanted = max(1, math.ceil(batches / parts), LEAST_IN_A_TASK if parts == 1 else 1)
    most = max(1, MOST_IN_A_TASK // max(1, size))
    return math.ceil(wanted / math.ceil(wanted / most))


class Promised(NamedTuple):
    """Images of one set that are to be shown together, by their numbers in the set."""

    set: str
    images: Sequence[int]


@dataclass(frozen=True)
class Division:
    """Batches that a store was promised, with the numbers from `first` on.

    Attributes
    ----------
    first
        A multiple of `task_batches`, so that no task has batches of two divisions.
    task_batches
        How many numbers a task has: those from `task * task_batches` on.
    sets
        The name of each set with the digest of its images' names: numbers are of images in such a set only.
    """

    first: int
    task_batches: int
    sets: Mapping[str, str]
    batches: tuple[Promised, ...]

    @property
    def stop(self) -> int:
        """The number after the last."""
        return self.first + len(self.batches)

    @property
    def tasks(self) -> range:
        """The tasks that the batches fall into."""
        return range(self.first // self.task_batches, math.ceil(self.stop / self.task_batches))

    @property
    def images(self) -> int:
        """How many images there are in all batches."""
        return sum(len(batch.images) for batch in self.batches)

    def of(self, sets: Mapping[str, str]) -> Iterator[tuple[int, Promised]]:
        """Yield the batches of sets that are still what they were, with their numbers."""
        for number, batch in enumerate(self.batches, self.first):
            if self.sets[batch.set] == sets.get(batch.set):
                yield number, batch


def digest_of(names: Sequence[str]) -> str:
    """Return what tells images in this order from others, by their names: the hash of these as JSON."""
    found = hashlib.sha256(b"[")
    for start in range(0, len(names), _NAMES_AT_ONCE):
        some = json.dumps(list(names[start : start + _NAMES_AT_ONCE]))
        found.update((", " * bool(start) + some[1:-1]).encode())
    found.update(b"]")
    return found.hexdigest()[:16]


def as_facts(division: Division) -> dict[str, Any]:
    """Return a division as what JSON can hold, with a digest of it."""
    facts = {
        "first": division.first,
        "task_batches": division.task_batches,
        "sets": dict(division.sets),
        "batches": [[batch.set, _as_runs(batch.images)] for batch in division.batches],
    }
    return {**facts, "digest": _digest(facts)}


def from_facts(facts: Any) -> Division | None:
    """Return the division that `as_facts` made such facts of; None for anything else."""
    try:
        told = {name: value for name, value in facts.items() if name != "digest"}
        if facts["digest"] != _digest(told):
            return None
        runs = [run for _, several in told["batches"] for run in several]
        if not sum(max(stop - start, 0) for start, stop in runs) <= MOST_IMAGES:
            return None
        batches = tuple(Promised(name, _from_runs(several)) for name, several in told["batches"])
        if not {batch.set for batch in batches} <= told["sets"].keys():
            return None
        return Division(told["first"], told["task_batches"], told["sets"], batches)
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _as_runs(numbers: Sequence[int]) -> list[list[int]]:
    """Return ascending numbers as [start, stop] of those that follow one another."""
    breaks = [at for at, (one, next_one) in enumerate(pairwise(numbers), 1) if next_one != one + 1]
    edges = [0, *breaks, len(numbers)]
    return [[numbers[start], numbers[stop - 1] + 1] for start, stop in pairwise(edges) if start < stop]


def _from_runs(runs: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(number for start, stop in runs for number in range(start, stop))
