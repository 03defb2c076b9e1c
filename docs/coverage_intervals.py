"""How often an interval over images holds the truth, and how wide it is: rows of docs/coverage.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from coverage_battery import KINDS, rng_of
from jaxtyping import Float, Int

from differentia.results.confidence import GAP, LONG_TAIL, STRONG_IMAGES, Sample, limits

#: Images of a set.
SIZES = (20, 43, 100, 200)
LEVEL = 0.95

#: What is asked of an interval: by the number of images, how often it holds the truth; how wide it is at
#: most, in 1.96 SD of the value; what share of the sets a diagnosis must be told of, and may be at most.
LEAST_COVERAGE = {20: 0.90, 43: 0.93, 100: 0.93, 200: 0.93}
WIDEST, TOLD, NEEDLESS = 1.3, 0.9, 0.1

#: The least number of images of which that width is asked.
LEAST_OF_WIDTH = 43

#: What is said against limits, and the words that a table has for it.
DOUBTS = {STRONG_IMAGES: "strong", LONG_TAIL: "tail", GAP: "gap"}


@dataclass(frozen=True)
class Simulated:
    """What was found of many sets of one kind and number of images; only of those that have an interval."""

    truth: float
    log_value: Float[np.ndarray, " s"]
    log_limit: Float[np.ndarray, "s score"]
    freedom: Float[np.ndarray, " s"]
    influence: Float[np.ndarray, "s n"]
    doubt: np.ndarray[Any, np.dtype[np.str_]]

    @property
    def error(self) -> Float[np.ndarray, " s"]:
        """The standard error of the logarithm of the value."""
        return self.influence.std(axis=1, ddof=1) / np.sqrt(self.influence.shape[1])

    def take(self, sets: Int[np.ndarray, " t"]) -> Simulated:
        """Return some of the sets, in this order."""
        arrays = self.log_value, self.log_limit, self.freedom, self.influence, self.doubt
        return Simulated(self.truth, *(array[sets] for array in arrays))

    def in_another_order(self) -> Simulated:
        """Return the same sets, none of them at the place that it had."""
        return self.take(np.roll(np.arange(len(self.log_value)), 1))


def _one(name: str, n: int, number: int) -> tuple[Any, ...] | None:
    drawn = KINDS[name].draw(rng_of("set", name, n, number), n)
    found = Sample(drawn.distances, drawn.means, drawn.square_means).confidence()
    if found is None:
        return None
    small = found.log_limit.astype(np.float32), found.influence.astype(np.float32)
    return drawn.log_value, small[0], found.freedom, small[1], found.doubt


def simulate(name: str, n: int, truth: float, simulations: int, run: Any) -> Simulated:
    """Return what is found of so many sets."""
    found = [one for one in run(partial(_one, name, n), range(simulations)) if one is not None]
    return Simulated(truth, *map(np.array, zip(*found, strict=True)))


def row(name: str, n: int, simulated: Simulated, simulations: int) -> dict[str, Any]:
    """Return the cell of a kind of responses and a number of images."""
    each = zip(simulated.log_limit, simulated.freedom, strict=True)
    low, high = np.array([limits(log_limit, freedom, LEVEL) for log_limit, freedom in each]).T
    value, truth = np.exp(simulated.log_value), np.exp(simulated.truth)
    # As `measure` has it: no value can be larger.
    upper = np.minimum(value * np.exp(high), np.maximum(2 * np.sqrt(n / (n - 1)), value))
    half_width = (upper - value * np.exp(low)) / 2
    below, above = upper < truth, value * np.exp(low) > truth
    quiet = simulated.doubt == ""
    return {
        "kind": name,
        "images": n,
        "coverage": float(1 - np.mean(below | above)),
        "below": float(np.mean(below)),
        "above": float(np.mean(above)),
        "half_width": float(np.median(half_width / value)),
        # Of sets without a diagnosis, unless it is told of nearly all.
        "of_normal": float(np.median(half_width[quiet]) / (1.96 * value.std()))
        if quiet.mean() > 1 - TOLD
        else None,
        "doubts": {doubt: float(np.mean(simulated.doubt == doubt)) for doubt in DOUBTS},
        "unknown": simulations - len(value),
    }


def told(row: Mapping[str, Any]) -> float:
    """Return the share of sets of which a diagnosis is told."""
    return sum(row["doubts"].values())


def covered(row: Mapping[str, Any], simulations: int, counted: float = 1.0) -> bool:
    """Return whether intervals hold the truth as often as asked, within two standard errors.

    Those of sets that are not counted do not.
    """
    least = LEAST_COVERAGE[row["images"]]
    return counted * row["coverage"] >= least - 2 * np.sqrt(least * (1 - least) / simulations)


def misses(rows: Iterable[Mapping[str, Any]], simulations: int) -> list[str]:
    """Return what the listed kinds miss of the criterion, a line each."""
    found = []
    for one in rows:
        if not KINDS[one["kind"]].listed:
            continue
        cell = f"{one['kind']}, {one['images']} images"
        if not covered(one, simulations) and told(one) < TOLD:
            found.append(
                f"{cell}: {100 * one['coverage']:.1f} % of the intervals hold the truth, and a diagnosis is "
                f"told of {100 * told(one):.0f} % of the sets"
            )
        counted = KINDS[one["kind"]].counted(one["images"])
        if covered(one, simulations, counted) and told(one) >= NEEDLESS:
            found.append(
                f"{cell}: a diagnosis is told of {100 * told(one):.0f} % of the sets, though "
                f"{100 * one['coverage']:.1f} % of the intervals hold the truth"
            )
        wide = one["of_normal"] is not None and one["of_normal"] > WIDEST
        if wide and one["images"] >= LEAST_OF_WIDTH:
            found.append(f"{cell}: the half width is {one['of_normal']:.2f} times 1.96 SD")
    return found
