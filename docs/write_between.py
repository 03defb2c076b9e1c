"""Write docs/between.md: how often limits of `excess` hold the truth, and its p finds what is not there.

python docs/write_between.py [--simulations 1000]

What was counted is kept in docs/between.json; the page is written from it. It needs the real data (see
``real_data.py``), and takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from coverage_battery import KINDS, LAYERS, Responses, measure_population, read_population, real, rng_of
from jaxtyping import Float, Int
from markdown_tables import table
from scipy.spatial.distance import cdist

from differentia.results.between import _Pair, _PairInLayer, p_of_statistics
from differentia.results.confidence import Sample

HERE = Path(__file__).parent
PAGE, COUNTED = HERE / "between.md", HERE / "between.json"

#: Images of both sets.
SIZES = ((12, 12), (20, 50), (50, 50))

LEVEL, ALPHA = 0.95, 0.05

#: What is asked of limits where sets lie apart, and of p where they do not.
LEAST_HELD, MOST_FALSE = 0.93, 0.06

#: Images of each set from which the truth is taken, of those that are made up.
MANY = 2_500

#: Of all photographs, each of which stands there whole, mirrored and cut: those of cats.
CATS = 100 * 7


class Both(NamedTuple):
    """Images of two sets, the first set's before the second's."""

    distances: Float[np.ndarray, "n_m n_m"]
    means: Float[np.ndarray, " n_m"]
    square_means: Float[np.ndarray, " n_m"]


Generator = Callable[[np.random.Generator, int], Responses]


class Two(NamedTuple):
    """Two kinds of images: how sets of both are made, or of which layer and of which photographs they are."""

    words: str
    same: bool
    first: Generator | None = None
    second: Generator | None = None
    layer: str = ""

    def draw(self, rng: np.random.Generator, n: int, m: int) -> Both:
        """Return a set of n images and one of m."""
        if self.first is not None and self.second is not None:
            responses = np.concatenate([self.first(rng, n), self.second(rng, m)])
            distances = cdist(responses, responses) / np.sqrt(responses.shape[1])
            return Both(distances, responses.mean(axis=1), (responses**2).mean(axis=1))
        one, other = self.pools()
        return _taken(self.layer, np.concatenate([rng.choice(one, n), rng.choice(other, m)]))

    def pools(self) -> tuple[Int[np.ndarray, " p"], Int[np.ndarray, " q"]]:
        """Return the photographs that each set is drawn from."""
        every = np.arange(len(real(self.layer).means))
        return (every, every) if self.same else (every[:CATS], every[CATS:])

    def truth(self, n: int, m: int) -> float:
        """Return the excess of all images there are, or of many, in the proportion of the sets."""
        if self.same:
            return 0.0
        if self.layer:
            one, other = self.pools()
            count, both = len(one), _taken(self.layer, np.concatenate([one, other]))
        else:
            count, both = MANY, self.draw(rng_of("truth", self.words), MANY, MANY)
        first, second = slice(0, count), slice(count, None)
        # An image that is drawn twice makes a pair of distance 0: so pairs of one image count.
        within = [np.median(both.distances[of, of]) for of in (first, second)]
        mean, square = (
            (n * values[first].mean() + m * values[second].mean()) / (n + m)
            for values in (both.means, both.square_means)
        )
        return float((np.median(both.distances[first, second]) - np.mean(within)) / np.sqrt(square - mean**2))


def _taken(layer: str, images: Int[np.ndarray, " n"]) -> Both:
    drawn = real(layer).take(images)
    return Both(drawn.distances, drawn.means, drawn.square_means)


def _made(name: str) -> Generator:
    generate = KINDS[name].generate
    assert generate is not None
    return generate


def _moved(generate: Generator, rng: np.random.Generator, n: int) -> Responses:
    responses = generate(rng, n)
    return responses + 0.3 * np.random.default_rng(1).normal(size=responses.shape[1])


def _stretched(generate: Generator, rng: np.random.Generator, n: int) -> Responses:
    return 1.5 * generate(rng, n)


_OF_ONE_KIND = (
    "Gaussian",
    "log-normal contrast",
    "ten clusters",
    "softmax-like",
    "low rank",
    "sparse log-normal",
)

CASES: dict[str, Two] = {
    **{name: Two(KINDS[name].words, True, _made(name), _made(name)) for name in _OF_ONE_KIND},
    **{f"MobileNet {layer}": Two("photographs, twice", True, layer=layer) for layer in LAYERS},
    **{
        f"{name}, moved": Two("the second has other means", False, _made(name), partial(_moved, _made(name)))
        for name in ("Gaussian", "log-normal contrast", "low rank")
    },
    "Gaussian, stretched": Two(
        "the second is 1.5 times as strong", False, _made("Gaussian"), partial(_stretched, _made("Gaussian"))
    ),
    "low rank and Gaussian": Two("of both kinds one set", False, _made("low rank"), _made("Gaussian")),
    **{
        f"MobileNet {layer}, apart": Two("cats, and other photographs", False, layer=layer)
        for layer in LAYERS
    },
}


def _one(name: str, sizes: tuple[int, int], number: int) -> tuple[float, float, float, float, bool]:
    """Return the excess of two sets, its limits, p, and whether limits are told."""
    n, m = sizes
    rng = rng_of("between", name, n, m, number)
    both = CASES[name].draw(rng, n, m)
    variance = both.square_means.mean() - both.means.mean() ** 2
    rows = np.arange(n + m)
    pair = _Pair(rows[:n], rows[n:], rows)
    in_layer = pair.in_layer(both.distances, float(np.sqrt(variance)))
    powers = both.square_means - 2 * both.means.mean() * both.means + both.means.mean() ** 2
    labels = pair.permuted(rng)
    assert labels is not None
    p = p_of_statistics(in_layer.statistics(labels)[np.newaxis])[0][0]
    found = [
        Sample(both.distances[of, of], both.means[of], both.square_means[of]).confidence()
        for of in (slice(0, n), slice(n, None))
    ]
    told = all(one is not None and not one.doubt for one in found)
    return excess(in_layer), *in_layer.limits(powers, LEVEL), float(p), told


def excess(of: _PairInLayer) -> float:
    """Return the median distance across, less the mean of those within."""
    within = [
        part[np.triu_indices(len(part), k=1)]
        for part in (of.distances[: of.n, : of.n], of.distances[of.n :, of.n :])
    ]
    return float(of.median - np.mean([np.median(part) for part in within]))


def row(name: str, sizes: tuple[int, int], simulations: int, run: Any) -> dict[str, Any]:
    """Return how often limits that are told hold the truth, and how often p is low."""
    truth = CASES[name].truth(*sizes)
    found = np.array(list(run(partial(_one, name, sizes), range(simulations))))
    value, low, high, p = found[:, :4].T
    told = found[:, 4] > 0
    below, above = high[told] < truth, low[told] > truth
    return {
        "case": name,
        "images": list(sizes),
        "same": CASES[name].same,
        "truth": truth,
        "told": float(told.mean()),
        "held": float(1 - np.mean(below | above)) if told.any() else None,
        "below": float(below.mean()) if told.any() else None,
        "above": float(above.mean()) if told.any() else None,
        # How wide they are, in 1.96 SD of the excess.
        "width": float(np.median(high - low)[()] / (2 * 1.96 * value.std())) if told.any() else None,
        "found": float((p <= ALPHA).mean()),
    }


def count(simulations: int) -> dict[str, Any]:
    """Measure MobileNet, simulate, and return what was counted."""
    with tempfile.TemporaryDirectory() as folder:
        population = Path(folder) / "population.npz"
        measure_population(population)
        read_population(population)
        rows = []
        with ProcessPoolExecutor(os.cpu_count(), initializer=read_population, initargs=(population,)) as pool:
            run = partial(pool.map, chunksize=50)
            for name, sizes in product(CASES, SIZES):
                rows.append(row(name, sizes, simulations, run))
                print({what: rows[-1][what] for what in ("case", "images", "held", "found")}, flush=True)
    return {"simulations": simulations, "rows": rows}


HEAD = """# How far two sets lie apart

`dif.statistics` compares the distances between two sets with those within ([the definition](
reference/definition.md#beside-the-median)). This page has how often the 95 % interval of `excess` holds the
truth, and how often its p is below 0.05. (`make figures` writes it, with `docs/write_between.py`; the numbers
are also in `between.json`.)

What is claimed here is as wide as the responses below, and no wider: made up ones, of 100 units, and those of
layers of MobileNet (alpha 0.25) to photographs, each of them whole, mirrored and cut. The truth is that of
many images, or of all photographs, from which sets are drawn with replacement.

"""

METHOD = """
In how many per cent of {simulations:,} simulations, known to ± {error:.1f} % (two standard errors), the
limits hold the truth (in brackets: lie wholly below, above it), of those pairs of sets that have limits:
where `dif.doubts` says nothing against either set. *Width*: of the limits, in 1.96 SD of the excess, on each
side. *p < 0.05*: alone, without correction over layers. **Bold** are limits that hold the truth in less than
93 %, and false positives of more than 6 %, by more than two standard errors.

"""

SAME = """## Two sets of one kind

The true excess is 0, and each p below 0.05 a false positive.

"""

APART = """
## Sets of two kinds

"""

SUMMARY = """
## What follows

- p: {false}
- Limits of sets of one kind hold 0 in {same}: they are too wide there, by what *width* says, since the
  influences that they are made of cancel. So they may hold 0 where p is low. Test with p.
- Limits of the true excess where it is not 0: {apart}
- p also finds sets that lie at one place and vary differently (*stretched*), whose excess is small.

Images have to be independent samples of their kinds. The frames of a film that follow one another are not:
they resemble each other more than other frames of the kind, so that the frames of any two films seem to lie
apart, with a p that says nothing of other films of the kinds.
"""


def _error(share: float, count: float) -> float:
    """Return two standard errors of a share of so many."""
    return 2 * float(np.sqrt(share * (1 - share) / count))


def misses(row: Mapping[str, Any], simulations: int) -> bool:
    """Return whether limits hold the truth more rarely than asked, and than chance tells."""
    if row["held"] is None:
        return False
    return bool(row["held"] < LEAST_HELD - _error(LEAST_HELD, simulations * row["told"]))


def is_false(row: Mapping[str, Any], simulations: int) -> bool:
    """Return whether p finds what is not there more often than asked, and than chance tells."""
    return bool(row["same"] and row["found"] > MOST_FALSE + _error(MOST_FALSE, simulations))


def _shares(row: Mapping[str, Any], simulations: int) -> str:
    if row["held"] is None:
        return ""
    held = f"{100 * row['held']:.1f}"
    shown = f"**{held}**" if misses(row, simulations) else held
    return f"{shown} ({100 * row['below']:.1f}, {100 * row['above']:.1f})"


def _table(rows: Iterable[Mapping[str, Any]], simulations: int) -> str:
    head = [
        "responses",
        "what they are",
        "images",
        "true excess",
        "have limits",
        "limits hold it",
        "width",
        "p < 0.05",
    ]
    lines = [
        [
            one["case"],
            CASES[one["case"]].words,
            " and ".join(map(str, one["images"])),
            f"{one['truth']:.3f}",
            f"{100 * one['told']:.0f}",
            _shares(one, simulations),
            "" if one["width"] is None else f"{one['width']:.2f}",
            f"**{100 * one['found']:.1f}**" if is_false(one, simulations) else f"{100 * one['found']:.1f}",
        ]
        for one in rows
    ]
    return "\n".join(table(head, lines, texts=3)) + "\n"


def _named(rows: Iterable[Mapping[str, Any]], what: str) -> str:
    return "; ".join(
        f"{one['case']} with {one['images'][0]} and {one['images'][1]} images ({100 * one[what]:.1f} %)"
        for one in rows
    )


def _span(rows: Iterable[Mapping[str, Any]], what: str) -> str:
    values = [100 * one[what] for one in rows if one[what] is not None]
    return f"{min(values):.1f} to {max(values):.1f} %"


def page(counted: Mapping[str, Any]) -> str:
    """Return the page."""
    rows, simulations = counted["rows"], counted["simulations"]
    same, apart = [one for one in rows if one["same"]], [one for one in rows if not one["same"]]
    false = [one for one in same if is_false(one, simulations)]
    missed = [one for one in apart if misses(one, simulations)]
    of_all = 100 * np.mean([one["found"] for one in same])
    of_false = f"{_span(same, 'found')} false positives at 5 %, {of_all:.1f} % over all rows."
    if false:
        of_false += f" More than 6 %: {_named(false, 'found')}."
    of_apart = f"they hold it in {_span(apart, 'held')}."
    if missed:
        of_apart += f" Less than 93 %: {_named(missed, 'held')}."
    text = HEAD + METHOD.lstrip().format(simulations=simulations, error=100 * _error(LEVEL, simulations))
    text += SAME + _table(same, simulations) + APART + _table(apart, simulations)
    return text + SUMMARY.format(false=of_false, same=_span(same, "held"), apart=of_apart)


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=1000)
    counted = count(parser.parse_args().simulations)
    COUNTED.write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(counted), encoding="utf-8")


if __name__ == "__main__":
    main()
