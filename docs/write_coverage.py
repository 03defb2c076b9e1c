"""Write docs/coverage.md: how often intervals hold the truth, and how often equal sets seem to differ.

python docs/write_coverage.py [--simulations 1000] [--pairs 600]
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from markdown_tables import table
from scipy.spatial.distance import pdist, squareform

from differentia.results.contrasts import aligned, p_values, permuted_statistics
from differentia.results.resampling import METHODS, Sample, image_counts, interval_of_log
from differentia.system.machine import usable_cores

PAGE = Path(__file__).parent / "coverage.md"

#: Units of the simulated responses, and images of a set.
K, SIZES = 100, (20, 43, 200)
RESAMPLES, PERMUTATIONS, LEVEL = 1000, 499, 0.95
CHOSEN = "studentized, resampled"

#: Images from which the true value is taken, and pairs of them.
MANY, PAIRS = 200_000, 2_000_000

Responses = np.ndarray[Any, Any]
Generator = Callable[[np.random.Generator, int], Responses]

_FIXED = np.random.default_rng(0)
#: The SD of each unit, and its mean; ten clusters.
SCALES = 1 / np.sqrt(np.arange(1, K + 1))
MEANS = 0.5 * _FIXED.normal(size=K) * SCALES
CENTRES = _FIXED.normal(size=(10, K))


def gaussian(rng: np.random.Generator, n: int) -> Responses:
    """Independent units of different variance and mean."""
    return MEANS + rng.normal(size=(n, K)) * SCALES


def contrast_varying(rng: np.random.Generator, n: int) -> Responses:
    """Gaussian responses, multiplied by each image's contrast: log-normal with an SD of 0.5."""
    return np.exp(0.5 * rng.normal(size=(n, 1))) * rng.normal(size=(n, K)) * SCALES


def clustered(rng: np.random.Generator, n: int) -> Responses:
    """Each image belongs to one of ten clusters, which are as likely as each other."""
    return CENTRES[rng.integers(0, len(CENTRES), n)] + 0.5 * rng.normal(size=(n, K))


GENERATORS: dict[str, Generator] = {
    "Gaussian": gaussian,
    "contrast": contrast_varying,
    "clusters": clustered,
}


POPULATION_MEANS: dict[Generator, Responses] = {
    gaussian: MEANS,
    contrast_varying: np.zeros(K),
    clustered: CENTRES.mean(axis=0),
}


def sample(responses: Responses) -> Sample:
    """Return what the measure of responses is made of."""
    return Sample(
        squareform(pdist(responses)), responses.sum(axis=1), (responses**2).sum(axis=1), responses.shape[1]
    )


def true_log_value(generator: Generator) -> float:
    """Return the logarithm of the differentiation of very many images."""
    rng = np.random.default_rng(1)
    responses = generator(rng, MANY)
    first, second = rng.integers(0, MANY, (2, PAIRS))
    other = first != second
    squares = [
        ((responses[one] - responses[two]) ** 2).sum(axis=1)
        for one, two in zip(
            np.array_split(first[other], 100), np.array_split(second[other], 100), strict=True
        )
    ]
    median = np.sqrt(np.median(np.concatenate(squares)))
    return float(np.log(median / (responses.std() * np.sqrt(K))))


def intervals(name: str, n: int, number: int) -> dict[str, tuple[float, float]]:
    """Return the intervals of one simulated set, by method and by what is done about sigma."""
    responses = GENERATORS[name](_rng("coverage", name, n, number), n)
    resampled = sample(responses)
    fixed = replace(resampled, normalized=False)
    counts = image_counts(n, RESAMPLES, "simulation", number)
    found = {}
    for method in METHODS:
        found[f"{method}, resampled"] = interval_of_log(resampled, counts, method, LEVEL)
        low, high = interval_of_log(fixed, counts, method, LEVEL)
        shift = float(np.log(responses.std()))
        found[f"{method}, fixed"] = (low - shift, high - shift)
    return found


def _rng(*parts: object) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(str(part).encode()) for part in parts])


def coverage(simulations: int, names: Iterable[str], sizes: Sequence[int], run: Any) -> list[dict[str, Any]]:
    """Return how often the intervals of each method hold the truth."""
    rows = []
    for name in names:
        truth = true_log_value(GENERATORS[name])
        for n in sizes:
            found = list(run(partial(intervals, name, n), range(simulations)))
            for method in found[0]:
                low, high = np.array([one[method] for one in found]).T
                rows.append(
                    {
                        "generator": name,
                        "images": n,
                        "method": method,
                        "coverage": float(np.mean((low <= truth) & (truth <= high))),
                        "below": float(np.mean(high < truth)),
                        "above": float(np.mean(low > truth)),
                        "half_width": float(np.median(np.expm1((high - low) / 2))),
                    }
                )
                print(json.dumps(rows[-1]), flush=True)
    return rows


#: Two sets of layers of responses, between which no layer has another differentiation.
Pair = tuple[list[Responses], list[Responses]]
LAYERS = 3


def same_distribution(generator: Generator, rng: np.random.Generator, n: int) -> Pair:
    """Both sets come from one distribution; layers look at them through different mixtures."""
    both = [generator(rng, n) for _ in range(2)]
    one, other = ([responses @ mixture for mixture in _mixtures()] for responses in both)
    return one, other


def _mixtures() -> list[np.ndarray]:
    return [np.random.default_rng(layer).normal(size=(K, K)) / np.sqrt(K) for layer in range(LAYERS)]


def other_means(generator: Generator, rng: np.random.Generator, n: int) -> Pair:
    """Both have the same differentiation, though their mean responses have nothing in common."""
    one, other = same_distribution(generator, rng, n)
    means = np.random.default_rng(99).normal(size=(2, LAYERS, K))
    means -= means.mean(axis=2, keepdims=True)
    means *= np.sqrt(K) / np.linalg.norm(means, axis=2, keepdims=True)
    own = POPULATION_MEANS[generator] @ np.array(_mixtures())
    for responses, of_set in zip((one, other), means, strict=True):
        for layer in range(LAYERS):
            responses[layer] = responses[layer] - own[layer] + of_set[layer]
    return one, other


NULLS = {"same distribution": same_distribution, "same D, other means": other_means}


def tests(null: str, name: str, n: int, number: int) -> dict[str, float]:
    """Return the p of one simulated pair of sets: alone (the first layer), and corrected over layers."""
    one, other = NULLS[null](GENERATORS[name], _rng("contrast", null, name, n, number), n)
    labels = np.zeros((PERMUTATIONS, 2 * n), dtype=bool)
    labels[:, :n] = True
    labels = _rng("labels", number).permuted(labels, axis=1)
    observed, permuted = np.empty(LAYERS), np.empty((LAYERS, PERMUTATIONS))
    plain, plain_permuted = np.empty(1), np.empty((1, PERMUTATIONS))
    for layer in range(LAYERS):
        first, second = sample(one[layer]), sample(other[layer])
        both = sample(np.concatenate([one[layer], other[layer]]))
        observed[layer] = (first.log_value - second.log_value) / np.hypot(first.error, second.error)
        permuted[layer] = permuted_statistics(aligned(both, n), labels)
        if layer == 0:
            groups = [both.resampled(some.astype(np.int64), exactly=True).logs for some in (labels, ~labels)]
            plain[0], plain_permuted[0] = first.log_value - second.log_value, groups[0] - groups[1]
    alone, corrected = p_values(np.abs(observed), np.abs(permuted))
    return {
        "alone": float(alone[0]),
        "corrected": float(corrected.min()),
        "alone, not studentised": float(p_values(np.abs(plain), np.abs(plain_permuted))[0][0]),
    }


def false_positives(simulations: int, names: Iterable[str], n: int, run: Any) -> list[dict[str, Any]]:
    """Return how often sets of the same differentiation seem to differ, at p < 0.05."""
    rows = []
    for null in NULLS:
        for name in names:
            found = list(run(partial(tests, null, name, n), range(simulations)))
            rows.append({"null": null, "generator": name, "images": n})
            rows[-1] |= {kind: float(np.mean([one[kind] < 0.05 for one in found])) for kind in found[0]}
            print(json.dumps(rows[-1]), flush=True)
    return rows


HEAD = """# Intervals and tests, tried on simulated responses

How often does a nominal 95 % interval for the choice of images contain the true value? How often does a
contrast find a difference where there is none? Both were tried on simulated responses of {units} units:
Gaussian ones (the units differ in variance and mean); Gaussian ones of mean 0, multiplied by each image's
contrast, which is log-normal (its logarithm has an SD of 0.5); and ten clusters. The true value is that of
{many:,} images. (`make coverage` writes this page.)

## Coverage

Sigma is the SD that distances are divided by. It depends on the images, and is resampled with them; for
comparison, it was also held fixed. A cell gives the coverage in per cent and, in brackets, how many per cent
of the intervals lie wholly below and wholly above the true value. There were {simulations:,} simulations of
each kind, and {resamples:,} resamples in each; a coverage of 95 % is then known to ± {error:.1f} %. What
`measure` does is in bold.

"""

BETWEEN = """
Half the width of an interval, in per cent of the value (median over simulations):

"""

CHOICE = """
With a fixed sigma, intervals contain the true value too often, since the median distance and sigma vary
together. Percentile and BCa intervals miss it too often where contrasts vary: samples that lack the few
images of high contrast have a low sigma, and underestimate its error. Studentised intervals, with the factor
of `differentia.results.resampling.Sample.tail_factor`, stay near 95 % for all three kinds of responses, from
43 images on.

## Contrasts

How often two sets of {n} images seem to differ at p < 0.05, in {pairs:,} pairs of sets of which neither is
more differentiated: in one layer, by its own p (*alone*); in any of {layers} layers, by the corrected p
(*corrected*); and in one layer by a simpler test, which neither divides by the standard error nor moves
both sets to a common mean response (*alone, not studentised*). Both sets come from one distribution, or
they have the same differentiation but unrelated mean responses. {permutations} permutations; 5 % is known
to ± {error:.1f} %.

"""


def coverage_page(rows: list[dict[str, Any]], simulations: int) -> str:
    """Return the part of the page that is about intervals."""
    cases = list(dict.fromkeys((row["generator"], row["images"]) for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    found = {(row["generator"], row["images"], row["method"]): row for row in rows}

    def covered(row: dict[str, Any]) -> str:
        percent = f"{100 * row['coverage']:.1f}"
        percent = f"**{percent}**" if row["method"] == CHOSEN else percent
        return f"{percent} ({100 * row['below']:.1f}, {100 * row['above']:.1f})"

    def width(row: dict[str, Any]) -> str:
        return f"{100 * row['half_width']:.1f}"

    def cells(cell: Callable[[dict[str, Any]], str]) -> str:
        lines = [[name, str(n), *(cell(found[name, n, method]) for method in methods)] for name, n in cases]
        return "\n".join(table(["responses", "N", *methods], lines)) + "\n"

    text = HEAD.format(
        simulations=simulations,
        units=K,
        many=MANY,
        resamples=RESAMPLES,
        error=196 * np.sqrt(0.05 * 0.95 / simulations),
    )
    return text + cells(covered) + BETWEEN + cells(width)


def contrast_page(rows: list[dict[str, Any]], pairs: int) -> str:
    """Return the part of the page that is about contrasts."""
    kinds = [name for name in rows[0] if name not in ("null", "generator", "images")]
    lines = [[row["null"], row["generator"], *(f"{100 * row[kind]:.1f} %" for kind in kinds)] for row in rows]
    text = CHOICE.format(
        n=rows[0]["images"],
        pairs=pairs,
        layers=LAYERS,
        permutations=PERMUTATIONS,
        error=196 * np.sqrt(0.05 * 0.95 / pairs),
    )
    return text + "\n".join(table(["both sets", "responses", *kinds], lines, texts=2)) + "\n"


def main() -> None:
    """Simulate, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=600)
    given = parser.parse_args()
    with ProcessPoolExecutor(usable_cores()) as processes:
        run = partial(processes.map, chunksize=10)
        covered = coverage(given.simulations, GENERATORS, SIZES, run)
        found = false_positives(given.pairs, GENERATORS, 43, run)
    for name in GENERATORS:  # as the page says, and as `measure` has it
        rows = [row for row in covered if row["generator"] == name and row["images"] >= 43]
        assert all(0.92 < row["coverage"] < 0.98 for row in rows if row["method"] == CHOSEN), rows
    PAGE.write_text(
        coverage_page(covered, given.simulations) + contrast_page(found, given.pairs), encoding="utf-8"
    )
    print(PAGE)


if __name__ == "__main__":
    main()
