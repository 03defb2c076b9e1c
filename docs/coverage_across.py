"""How often intervals over networks, animals or sessions hold the true mean, in simulated values.

``rows`` has the numbers, and ``markdown`` their table, for the page that docs/write_coverage.py writes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np
from markdown_tables import table

from differentia.results.across import LIMITS_BY, mean_of

#: How many networks, animals or sessions there are.
SIZES = (5, 10, 20)

LEVEL = 0.95

#: By name: what draws values, whose mean is the second. Neither shifting nor scaling them changes coverage.
VALUES: dict[str, tuple[Callable[[np.random.Generator, tuple[int, int]], np.ndarray], float]] = {
    "Gaussian": (lambda rng, shape: rng.normal(size=shape), 0.0),
    "gamma, shape 2": (lambda rng, shape: rng.gamma(2.0, 1.0, shape), 2.0),
    "log-normal, SD 1": (lambda rng, shape: np.exp(rng.normal(size=shape)), float(np.exp(0.5))),
}


def rows(simulations: int) -> list[dict[str, Any]]:
    """Return the coverage of each method, kind of values and number of them, and the width of the intervals.

    ``below`` and ``above`` are the shares of intervals that lie wholly there; ``width`` is the median, in SDs
    of the values.
    """
    found = []
    for (name, (draw, truth)), n in product(VALUES.items(), SIZES):
        values = draw(np.random.default_rng([zlib.crc32(name.encode()), n]), (n, simulations))
        mean, sd = mean_of(values), values.std()
        for method, limits in LIMITS_BY.items():
            low, high = limits(values, mean, LEVEL)
            below, above = float((high < truth).mean()), float((low > truth).mean())
            found.append(
                {
                    "values": name,
                    "n": n,
                    "method": method,
                    "coverage": 1 - below - above,
                    "below": below,
                    "above": above,
                    "width": float(np.median(high - low) / sd),
                }
            )
    return found


def markdown(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table: coverage in per cent, then below and above, then the width."""
    cells = {(row["values"], row["n"], row["method"]): row for row in found}
    methods = list(dict.fromkeys(method for _, _, method in cells))
    lines = []
    for name, n in dict.fromkeys((name, n) for name, n, _ in cells):
        of_methods = [cells[name, n, method] for method in methods]
        covered = [
            f"{100 * row['coverage']:.1f} ({100 * row['below']:.1f}, {100 * row['above']:.1f})"
            for row in of_methods
        ]
        lines.append([name, str(n), *covered, *(f"{row['width']:.2f}" for row in of_methods)])
    head = ["values", "networks", *methods, *(f"width, {method}" for method in methods)]
    return table(head, lines)


if __name__ == "__main__":
    print("\n".join(markdown(rows(20_000))))
