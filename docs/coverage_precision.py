"""For docs/coverage.md: how wide intervals are with as many new images as were said to halve them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from markdown_tables import table
from scipy.spatial.distance import pdist, squareform

from differentia.results.confidence import Sample
from differentia.results.precision import half_width, images_to_halve

#: Units of the simulated responses, and images of a set.
K, SIZES = 100, (20, 43, 100)
LEVEL = 0.95

Responses = np.ndarray[Any, Any]

_FIXED = np.random.default_rng(0)
#: The SD of each unit, and its mean; ten clusters; five dimensions; rates of 60 neurons.
SCALES = 1 / np.sqrt(np.arange(1, K + 1))
MEANS = 0.5 * _FIXED.normal(size=K) * SCALES
CENTRES = _FIXED.normal(size=(10, K))
AXES = _FIXED.normal(size=(5, K))
RATES = _FIXED.gamma(1.0, 2.0, size=60)


def gaussian(rng: np.random.Generator, n: int) -> Responses:
    """Independent units of different variance and mean."""
    return MEANS + rng.normal(size=(n, K)) * SCALES


def clustered(rng: np.random.Generator, n: int) -> Responses:
    """Each image belongs to one of ten clusters, which are as likely as each other."""
    return CENTRES[rng.integers(0, len(CENTRES), n)] + 0.5 * rng.normal(size=(n, K))


def contrast_varying(rng: np.random.Generator, n: int) -> Responses:
    """Gaussian responses, multiplied by each image's contrast: log-normal with an SD of 0.5."""
    return np.exp(0.5 * rng.normal(size=(n, 1))) * rng.normal(size=(n, K)) * SCALES


def low_rank(rng: np.random.Generator, n: int) -> Responses:
    """Five dimensions, and little noise."""
    return rng.normal(size=(n, len(AXES))) @ AXES + 0.1 * rng.normal(size=(n, K))


def class_probabilities(rng: np.random.Generator, n: int) -> Responses:
    """Of each image's class, with a confidence between 0 and 1; the rest is spread over few others."""
    certain = rng.random((n, 1))
    found: Responses = (1 - certain) * rng.dirichlet(np.full(K, 0.1), size=n)
    found[np.arange(n), rng.integers(0, K, n)] += certain[:, 0]
    return found


def spike_counts(rng: np.random.Generator, n: int) -> Responses:
    """Poisson neurons of different rates."""
    return rng.poisson(RATES, size=(n, len(RATES))).astype(np.float64)


GENERATORS: dict[str, Callable[[np.random.Generator, int], Responses]] = {
    "Gaussian": gaussian,
    "clusters": clustered,
    "contrast": contrast_varying,
    "low rank": low_rank,
    "class probabilities": class_probabilities,
    "Poisson neurons": spike_counts,
}


def sample(name: str, n: int, *parts: object) -> Sample:
    """Return a set of simulated images."""
    seed = [zlib.crc32(str(part).encode()) for part in ("precision", name, *parts)]
    responses = GENERATORS[name](np.random.default_rng(seed), n)
    return Sample(squareform(pdist(responses)), responses.mean(axis=1), (responses**2).mean(axis=1))


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
    names: Iterable[str] = tuple(GENERATORS),
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
                    "new_in_doubt": float(np.isnan(left[told]).mean()) if told.any() else float("nan"),
                }
            )
    return found


def _median(values: Responses) -> float:
    return _quantile(values, 0.5)


def _quantile(values: Responses, at: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, at)) if len(known) else float("nan")


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
