"""Division: which images are to be shown together, in batches with numbers, and the tasks these fall into.

It is fixed in a store before the first of its images is shown. So several processes record different tasks at
the same time, and one that goes on makes the same batches as one that nothing disturbed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple


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
    """Return what tells images in this order from others, by their names."""
    return hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()[:16]


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
        batches = tuple(Promised(name, _from_runs(runs)) for name, runs in told["batches"])
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
