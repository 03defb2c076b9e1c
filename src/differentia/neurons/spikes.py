"""Spike times of units, in one column after the other or each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from differentia.neurons.times import spike_times


@dataclass(frozen=True)
class RaggedSpikes:
    """Spike times of all units, one unit after the other, each checked when it is read."""

    data: Any
    ends: Int[np.ndarray, " unit"]
    labels: Sequence[object]
    where: str

    @property
    def n_units(self) -> int:
        return len(self.ends)

    def times(self, unit: int) -> Float[np.ndarray, " spike"]:
        """Return the spike times of a unit, by its place, in seconds."""
        start = self.ends[unit - 1] if unit else 0
        label = self.labels[unit]
        return spike_times(
            self.data[int(start) : int(self.ends[unit])],
            f"{self.where}, unit {label}",
            f"sort them, or leave the unit out, units={f'id != {label!r}'!r}",
        )


@dataclass(frozen=True)
class ListedSpikes:
    """Spike times of each unit, which are at hand."""

    trains: tuple[Float[np.ndarray, " _"], ...]

    @property
    def n_units(self) -> int:
        return len(self.trains)

    def times(self, unit: int) -> Float[np.ndarray, " spike"]:
        """Return the spike times of a unit, by its place, in seconds."""
        return self.trains[unit]
