"""For docs/coverage.md: how wide intervals are with as many new images as were said to halve them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from coverage_battery import KINDS, rng_of
from markdown_tables import table

from differentia.results.confidence import Sample
from differentia.results.precision import half_width, images_to_halve

#: The kinds that are tried, and images of a set.
TRIED = (
    *("Gaussian", "log-normal contrast", "ten clusters", "softmax-like", "low rank", "Poisson neurons"),
    *("MobileNet conv_pw_9_relu", "MobileNet predictions"),
)
SIZES = (20, 43, 100)
LEVEL = 0.95

Responses = np.ndarray[Any, Any]


def sample(name: str, n: int, *parts: object) -> Sample:
    """Return a set of images."""
    return Sample(*KINDS[name].draw(rng_of("precision", name, *parts), n))


def foretold(name: str, n: int, number: int) -> tuple[float, float, float]:
    """Return how many images were said to halve an interval, and what so many, and four times, leave of it.

    NaN where it was not said, and where the new interval is in doubt.
    """
    first = sample(name, n, n, number, "first")
    more, _ = images_to_halve(first, LEVEL)
    if not np.isfinite(more):
        return np.nan, np.nan, np.nan
    now = half_width(first.confidence(), LEVEL)
    then, fourfold = (
        half_width(sample(name, count, n, number, "second").confidence(), LEVEL) / now
        for count in (int(more), 4 * n)
    )
    return more, then, fourfold


def rows(
    simulations: int,
    *,
    names: Iterable[str] = TRIED,
    sizes: Sequence[int] = SIZES,
    run: Callable[..., Iterable[Any]] = map,
) -> list[dict[str, Any]]:
    """Return what is left of intervals, by generator and number of images; `run` may be of an executor."""
    found = []
    for name in names:
        for n in sizes:
            more, left, fourfold = np.array(list(run(partial(foretold, name, n), range(simulations)))).T
            told = np.isfinite(more)
            found.append(
                {
                    "generator": name,
                    "images": n,
                    "told": float(told.mean()),
                    "more": _median(more),
                    "left": _median(left),
                    "left_quartiles": [_quantile(left, at) for at in (0.25, 0.75)],
                    "left_fourfold": _median(fourfold),
                    "new_in_doubt": float(np.isnan(left[told]).mean()) if told.any() else 0.0,
                }
            )
    return found


def _median(values: Responses) -> float:
    return _quantile(values, 0.5)


def _quantile(values: Responses, at: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, at)) if len(known) else 0.0


def lines(found: Iterable[dict[str, Any]]) -> list[str]:
    """Return the lines of the table."""
    head = (
        "responses",
        "images",
        "said in",
        "images to halve",
        "width left with them",
        "middle half",
        "new interval in doubt",
        "left with four times as many",
    )
    return table(head, (_cells(row) for row in found))


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["left_quartiles"]
    cells = [row["generator"], f"{row['images']}", f"{100 * row['told']:.0f} %"]
    if not row["told"]:
        return [*cells, *["-"] * 5]
    return [
        *cells,
        f"{row['more']:.0f}",
        f"{100 * row['left']:.0f} %",
        f"{100 * low:.0f} to {100 * high:.0f} %",
        f"{100 * row['new_in_doubt']:.0f} %",
        f"{100 * row['left_fourfold']:.0f} %",
    ]
