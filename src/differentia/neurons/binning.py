"""Spikes in bins: how many each unit fired in stretches of one width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from differentia.errors import InputError

#: As a share of a bin, what is owed to rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Bins:
    """Bins that are `width` seconds wide, one every `step` seconds."""

    width: float
    step: float

    @property
    def rate(self) -> float:
        """Bins in a second."""
        return 1 / self.step

    def count(self, seconds: float) -> int:
        """Return how many bins lie wholly within so many seconds."""
        return max(0, int((seconds - self.width) / self.step + 1 + _ROUNDING))

    def counted(
        self, trains: Sequence[Float[np.ndarray, " _"]], start: float, stop: float
    ) -> Float[np.ndarray, "bin unit"]:
        """Return the number of spikes of each unit in each bin, of which the first begins at `start`.

        A spike at the beginning of a bin is within it, one at its end is not.
        """
        n_bins = self.count(stop - start)
        edges = start + self.step * np.arange(n_bins + 1)
        starts = edges[:-1]
        # Neighbours that do not overlap share an edge, whatever its rounding.
        stops = edges[1:] if self.step == self.width else starts + self.width
        ends = [np.searchsorted(times, (start, stop)) for times in trains]
        fired = np.concatenate([times[first:last] for times, (first, last) in zip(trains, ends, strict=True)])
        unit = np.repeat(np.arange(len(trains)), [last - first for first, last in ends])
        # Each spike is in the bins from the first that ends behind it to the last that begins before it.
        begun, ended = (
            np.searchsorted(of, fired, side="right") * len(trains) + unit for of in (starts, stops)
        )
        counts = [np.bincount(places, minlength=(n_bins + 1) * len(trains)) for places in (ended, begun)]
        changes = (counts[0] - counts[1]).reshape(n_bins + 1, len(trains))
        return changes[:-1].cumsum(axis=0).astype(float)


def bins_of(width: object, step: object) -> Bins:
    """Return bins, or raise an error for what is no width or step; without a step they do not overlap."""
    found = []
    for name, given in (("bin", width), ("bin_step", width if step is None else step)):
        number = isinstance(given, int | float | np.number) and not isinstance(given, bool)
        if not number or not 0 < float(given) < np.inf:  # type: ignore[arg-type]
            raise InputError(f"{name} is {given!r}; expected seconds, above 0, such as 0.02")
        found.append(float(given))  # type: ignore[arg-type]
    if found[1] > found[0] * (1 + _ROUNDING):
        raise InputError(
            f"bin_step is {found[1]:g} s, longer than the bin, {found[0]:g} s: spikes between bins would not "
            "count; expected a shorter step"
        )
    return Bins(*found)
