"""How often contrasts find a difference that is none, and one that there is: rows of docs/coverage.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations, permutations as ordered_pairs
from typing import Any

import numpy as np
from coverage_battery import KINDS, LISTED, Drawn, rng_of, with_common
from coverage_intervals import Simulated
from jaxtyping import Float, Int
from scipy.special import ndtr, ndtri, stdtr

from differentia.results.confidence import SCORES, Sample

#: Images of the first set and of the second.
NUMBERS = ((43, 43), (20, 100), (10, 95))
SIZES = tuple(sorted({n for pair in NUMBERS for n in pair}))

#: A difference is found where its p is less.
ALPHA = 0.05

#: How often the interval of a difference may leave out the true one: as often as one of a set may.
MOST_LEFT_OUT = 0.07

#: Pairs of which no set has a diagnosis, as a share of all, below which nothing is told of them.
FEWEST_QUIET = 0.1

#: Images of both sets where the power is found, how often the permutation test shall find the difference,
#: and how many pairs and permutations it is tried with: while it is sought, and in the end.
POWER_IMAGES, POWER = 43, 0.8
SEARCH, FINAL = (100, 199), (500, 499)

_WEIGHTS = np.exp(-(SCORES**2) / 2) / np.exp(-(SCORES**2) / 2).sum()

#: The density of distances at their median is that of the pairs within this share of all, on each side.
_NEAR = 0.1


def p_values(one: Simulated, other: Simulated, difference: float) -> Float[np.ndarray, " s"]:
    """Return how probable it is, by chance, that two values differ so much from `difference`."""
    values = [np.exp(each.log_value[:, np.newaxis] + each.log_limit) for each in (one, other)]
    needed = np.empty_like(values[0])
    for number, (first, second) in enumerate(zip(*values, strict=True)):
        rising = second * (1 + 1e-12 * np.arange(len(second)))
        needed[number] = np.interp(first - difference, rising, SCORES, left=-9.0, right=9.0)
    scores = ndtri(np.clip(ndtr(-needed) @ _WEIGHTS, 1e-16, 1 - 1e-16))
    errors = [(np.exp(each.log_value) * each.error) ** 2 for each in (one, other)]
    # Welch and Satterthwaite's degrees of freedom.
    freedom = (errors[0] + errors[1]) ** 2 / (errors[0] ** 2 / one.freedom + errors[1] ** 2 / other.freedom)
    return 2 * stdtr(freedom, -np.abs(scores))


def _rolled(simulated: Simulated, steps: int) -> Simulated:
    """Return the sets in another order, so that none is compared with itself."""
    arrays = {
        name: np.roll(values, steps, axis=0) if isinstance(values, np.ndarray) else values
        for name, values in vars(simulated).items()
    }
    return Simulated(**arrays)


def _first(simulated: Simulated, count: int) -> Simulated:
    arrays = {
        name: values[:count] if isinstance(values, np.ndarray) else values
        for name, values in vars(simulated).items()
    }
    return Simulated(**arrays)


def _left_out(one: Simulated, other: Simulated) -> dict[str, float | None]:
    """Return how often the true difference is left out, without a diagnosis of either set and with one."""
    count = min(len(one.log_value), len(other.log_value))
    one, other = _first(one, count), _first(other, count)
    out = p_values(one, other, float(np.exp(one.truth) - np.exp(other.truth))) < ALPHA
    quiet = (one.doubt == "") & (other.doubt == "")
    return {
        "quiet": float(out[quiet].mean()) if quiet.mean() >= FEWEST_QUIET else None,
        "told": float(out[~quiet].mean()) if (~quiet).any() else None,
        "told_of": float(np.mean(~quiet)),
        "sets": int(quiet.sum()),
    }


def left_out(simulated: Mapping[tuple[str, int], Simulated], run: Any) -> list[dict[str, Any]]:
    """Return how often the true difference is left out, for every two kinds and every pair of numbers."""
    cases = [
        (one, other, *numbers)
        for numbers in NUMBERS
        for one, other in (combinations if len({*numbers}) == 1 else ordered_pairs)(LISTED, 2)
    ]
    found = run(
        _left_out,
        [simulated[one, n] for one, _, n, _ in cases],
        [simulated[other, n] for _, other, _, n in cases],
    )
    return [
        {"first": one, "second": other, "images": [n, m], **rates}
        for (one, other, n, m), rates in zip(cases, found, strict=True)
    ]


def false_positives(simulated: Mapping[tuple[str, int], Simulated], run: Any) -> list[dict[str, Any]]:
    """Return how often sets of one kind seem to differ."""
    cases = [(name, *numbers) for numbers in NUMBERS for name in LISTED]
    found = run(
        _left_out,
        [simulated[name, n] for name, n, _ in cases],
        [_rolled(simulated[name, m], 1) for name, _, m in cases],
    )
    return [
        {"kind": name, "images": [n, m], **rates}
        for (name, n, m), rates in zip(cases, found, strict=True)
    ]


def misses(
    between: Sequence[Mapping[str, Any]], same: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return which pairs leave out the true difference too often, a line each."""
    found = []
    for one in (*between, *same):
        pair = f"{one['first']} and {one['second']}" if "first" in one else f"{one['kind']}, twice"
        n, m = one["images"]
        if one["quiet"] is not None and one["quiet"] > _most_left_out(one["sets"]):
            found.append(f"{pair}, {n} and {m} images: left out in {100 * one['quiet']:.1f} %")
    return found


def _most_left_out(pairs: int) -> float:
    return MOST_LEFT_OUT + 2 * np.sqrt(MOST_LEFT_OUT * (1 - MOST_LEFT_OUT) / pairs)


def _log_values_and_errors(
    drawn: Drawn, groups: Int[np.ndarray, "b m"]
) -> tuple[Float[np.ndarray, " b"], Float[np.ndarray, " b"]]:
    """Return the logarithm of the value of each group of images, and its standard error (the jackknife)."""
    m = groups.shape[1]
    distances = drawn.distances[groups[:, :, np.newaxis], groups[:, np.newaxis]]
    pairs = distances[:, *np.triu_indices(m, k=1)]
    count = pairs.shape[1]
    ranks = [(count - 1) // 2, count // 2, *(int((0.5 + side) * count) for side in (-_NEAR, _NEAR))]
    lower, upper, low, high = np.partition(pairs, ranks, axis=1)[:, ranks].T
    medians = (lower + upper) / 2
    # The influence on a quantile of a distribution F with density f is (p - F) / f (Serfling 1980, 2.5.1).
    shares = ((distances < medians[:, np.newaxis, np.newaxis]).sum(axis=2) - 1) / (m - 1)
    influence = 2 * (0.5 - shares) * ((np.log(high) - np.log(low)) / (2 * _NEAR))[:, np.newaxis]
    means, squares = drawn.means[groups], drawn.square_means[groups]
    mean, square = means.mean(axis=1, keepdims=True), squares.mean(axis=1, keepdims=True)
    variance = square - mean**2
    without = (m * square - squares) / (m - 1) - ((m * mean - means) / (m - 1)) ** 2
    changes = -influence / (m - 1) - 0.5 * np.log(without / variance)
    return np.log(medians) - 0.5 * np.log(variance[:, 0]), changes.std(axis=1) * np.sqrt(m - 1)


def _aligned(drawn: Drawn, n: int) -> Drawn:
    """Return two sets, the first of `n` images, with the mean responses of both at one place."""
    # The test asks whether values differ, not means. Within each set no distance changes.
    squares = drawn.distances.astype(np.float64) ** 2
    sets = slice(n), slice(n, None)
    within = [squares[of_set, of_set] for of_set in sets]
    spreads = [of_pairs.mean() / 2 for of_pairs in within]
    from_mean = [of_pairs.mean(axis=1) - spread for of_pairs, spread in zip(within, spreads, strict=True)]
    cross = squares[sets]
    products = -0.5 * (cross - cross.mean(axis=0) - cross.mean(axis=1, keepdims=True) + cross.mean())
    moved = np.sqrt(np.maximum(from_mean[0][:, np.newaxis] + from_mean[1] - 2 * products, 0.0))
    distances = np.sqrt(squares)
    distances[sets], distances[sets[::-1]] = moved, moved.T
    means, square_means = drawn.means.copy(), drawn.square_means.copy()
    of_means = [means[of_set].mean() for of_set in sets]
    powers = [square_means[of_set].mean() - spread for of_set, spread in zip(sets, spreads, strict=True)]
    for of_set, mean, power in zip(sets, of_means, powers, strict=True):
        means[of_set] += np.mean(of_means) - mean
        square_means[of_set] += np.mean(powers) - power
    return Drawn(distances, means, square_means)


def permutation_p(drawn: Drawn, n: int, permutations: int, rng: np.random.Generator) -> float:
    """Return the p of a permutation test of two sets: of the studentised difference of their logarithms."""
    # Chung and Romano 2013.
    drawn = _aligned(drawn, n)
    orders = rng.permuted(np.tile(np.arange(len(drawn.means)), (permutations + 1, 1)), axis=1)
    orders[0] = np.arange(len(drawn.means))  # as it is
    with np.errstate(divide="ignore", invalid="ignore"):
        logs, errors = zip(
            *(_log_values_and_errors(drawn, group) for group in (orders[:, :n], orders[:, n:])), strict=True
        )
        statistics = np.abs(logs[0] - logs[1]) / np.hypot(*errors)
    return float(np.mean(~(statistics < statistics[0])))


def _with_difference(name: str, common: float, rng: np.random.Generator, n: int) -> Drawn:
    """Return two sets of a kind; each image of the second adds a number of its own to all its responses."""
    return with_common(
        KINDS[name].draw(rng, 2 * n), common * np.concatenate([np.zeros(n), rng.normal(size=n)])
    )


def _halves(drawn: Drawn) -> tuple[Drawn, Drawn]:
    n = len(drawn.means) // 2
    return drawn.take(np.arange(n)), drawn.take(np.arange(n, 2 * n))


def _tried(name: str, common: float, permutations: int, number: int) -> tuple[bool, bool, bool]:
    """Return whether the permutation test finds the difference, whether we do, and whether one is told."""
    rng = rng_of("power", name, permutations, number)
    both = _with_difference(name, common, rng, POWER_IMAGES)
    by_permutation = permutation_p(both, POWER_IMAGES, permutations, rng) < ALPHA
    found = []
    for drawn in _halves(both):
        confidence = Sample(drawn.distances, drawn.means, drawn.square_means).confidence()
        if confidence is None:
            return by_permutation, False, True
        arrays = drawn.log_value, confidence.log_limit, confidence.freedom, confidence.influence
        found.append(
            Simulated(np.nan, *(np.array([one]) for one in arrays), np.array([confidence.doubt]))
        )
    one, other = found
    ours = p_values(one, other, 0.0)[0] < ALPHA
    return by_permutation, bool(ours), bool(one.doubt[0] or other.doubt[0])


def _effects(name: str) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, " a"]]:
    """Return strengths of what images add to all responses, and by how much the logarithm then differs."""
    rng = rng_of("effects", name)
    drawn = KINDS[name].draw(rng, 800)
    spread = np.sqrt(drawn.square_means.mean() - drawn.means.mean() ** 2)
    own = rng.normal(size=800)
    strengths = spread * np.geomspace(0.01, 3.0, 40)
    logs = np.array([with_common(drawn, strength * own).log_value for strength in strengths])
    return strengths, np.maximum.accumulate(np.abs(logs - drawn.log_value))


def power_row(name: str, simulated: Simulated, run: Any) -> dict[str, Any]:
    """Return how often a difference is found that the permutation test finds in about 80 % of pairs."""
    strengths, effects = _effects(name)
    rising = effects + 1e-12 * np.arange(len(effects))
    needed = ndtri(1 - ALPHA / 2) + ndtri(POWER)
    effect = needed * np.sqrt(2) * simulated.log_value.std()
    for pairs, permutations in (SEARCH, SEARCH, FINAL):
        effect = min(effect, effects[-1])
        common = float(np.interp(effect, rising, strengths))
        found = np.array(list(run(partial(_tried, name, common, permutations), range(pairs))))
        by_permutation = float(found[:, 0].mean())
        if (pairs, permutations) == SEARCH:
            effect *= needed / (ndtri(1 - ALPHA / 2) + ndtri(np.clip(by_permutation, 0.05, 0.98)))
    quiet = ~found[:, 2]
    return {
        "kind": name,
        "difference": float(np.expm1(effect)),
        "permutation": by_permutation,
        "ours": float(found[:, 1].mean()),
        "told_of": float(np.mean(~quiet)),
    }
