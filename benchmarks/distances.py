"""The exact median of all pair distances: here, by SciPy, scikit-learn and torch.cdist, and one bare product.

Responses are independent normal numbers in float32. The ways take turns, each in a process of its own; the
ratios are formed within a turn. Half of the bare product of the responses with themselves is the least that
the products of all pairs take. Sizes that take long have fewer turns, as the table says.

    python benchmarks/distances.py [--sizes 1000 4000 20000] [--units 10000] [--repeats 7] [--json PATH]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from harness import Benchmark, Way, Work, options_of, peak_memory

#: By default: about six minutes. 50,000 responses fit too, and take some minutes more.
SIZES = (1_000, 2_000, 4_000, 8_000, 20_000)

#: Responses at most whose pairs SciPy's loop, all pairs in float64, and their sorted copy are held for.
MOST = {"scipy": 2_000, "scikit-learn": 20_000, "torch.cdist": 20_000}

#: Responses at most that are compared with float64.
MOST_EXACT = 4_000


def responses(n: int, k: int) -> np.ndarray:
    """Return the responses that are measured."""
    return np.random.default_rng(0).standard_normal((n, k), dtype=np.float32)


def ours(n: int, k: int) -> Work:
    """Return the measure of this package; it gives its relative error, or of more responses its memory."""
    import differentia as dif

    values = responses(n, k)
    exact = dif.differentiation(values.astype(np.float64)) if n <= MOST_EXACT else None
    before = peak_memory()

    def work() -> dict[str, float]:
        found = dif.differentiation(values)
        return {"extra_gb": peak_memory() - before} if exact is None else {"error": abs(found / exact - 1)}

    return work


def scipy(n: int, k: int) -> Work:
    """Return SciPy's loop over all pairs."""
    from scipy.spatial.distance import pdist

    values = responses(n, k)
    return lambda: _done(np.median(pdist(values), overwrite_input=True) / values.std(dtype=float))


def scikit_learn(n: int, k: int) -> Work:
    """Return scikit-learn's distances of all pairs, as float32."""
    from sklearn.metrics import pairwise_distances

    values = responses(n, k)

    def work() -> None:
        distances = pairwise_distances(values)
        upper = distances[np.triu_indices(n, k=1)]
        _done(np.median(upper, overwrite_input=True) / values.std(dtype=float))

    return work


def torch_cdist(n: int, k: int) -> Work:
    """Return PyTorch's distances of all pairs, as float32."""
    import torch

    values = torch.from_numpy(responses(n, k))

    def work() -> None:
        distances = torch.cdist(values, values)
        upper = distances[torch.ones_like(distances, dtype=torch.bool).triu_(1)]
        _done(float(upper.median()) / float(values.std()))

    return work


def product(n: int, k: int) -> Work:
    """Return one product of the responses with themselves."""
    import torch

    values = torch.from_numpy(responses(n, k))
    return lambda: _done(float((values @ values.T)[0, 0]))


def _done(value: float) -> None:
    assert math.isfinite(value)


WAYS: dict[str, Callable[[int, int], Work]] = {
    "ours": ours,
    "scipy": scipy,
    "scikit-learn": scikit_learn,
    "torch.cdist": torch_cdist,
    "product": product,
}


def main() -> None:
    """Print the medians, the peaks of the memory, and the ratios of each turn."""
    parser = options_of(__doc__, "distances.json")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="numbers of responses")
    parser.add_argument("--units", type=int, default=10_000)
    given = parser.parse_args()
    options = {"sizes": list(given.sizes), "units": given.units}
    benchmark = Benchmark.of("distances", options, given)
    for n in given.sizes:
        turns = given.repeats if n <= 8_000 else max(1, given.repeats // 7)
        ways = []
        for name, prepare in WAYS.items():
            if n > MOST.get(name, n):
                continue
            of_way = 2 if name == "scipy" and n > 1_000 else None  # it takes half a minute
            way = partial(prepare, n, given.units)
            ways.append(Way(f"{name}, {n}", way, lasting=n <= 8_000, warm_up=n <= 1_000, repeats=of_way))
        benchmark.take_turns(ways, turns)
    benchmark.print_table()
    for n in given.sizes:
        of_ours = f"ours, {n}"
        for name in WAYS:
            if name != "ours":
                benchmark.print_ratio(of_ours, f"{name}, {n}")
        errors = [turn["error"] for turn in benchmark.ways[of_ours].turns if "error" in turn]
        if errors:
            print(f"{of_ours}: relative error against float64 {max(errors):.2g}")
        extra = [turn["extra_gb"] for turn in benchmark.ways[of_ours].turns if "extra_gb" in turn]
        if extra:
            print(f"{of_ours}: {1000 * max(extra):.0f} MB beside the responses")


if __name__ == "__main__":
    main()
