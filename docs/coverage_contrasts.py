"""How often contrasts find a difference that is none, and one that there is: rows of docs/coverage.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import combinations, permutations as ordered_pairs
from typing import Any

import numpy as np
from coverage_battery import KINDS, LISTED, Drawn, K, measured, rng_of, with_common
from coverage_intervals import Simulated
from jaxtyping import Float, Int
from scipy.special import ndtri

from differentia.results.confidence import Confidence, Sample, freedom_of
from differentia.results.contrasts import (
    Known,
    compare,
    corrected_p,
    difference_scores,
    largest_scores,
)

#: Images of the first set and of the second.
NUMBERS = ((43, 43), (20, 100), (10, 95))
SIZES = tuple(sorted({n for pair in NUMBERS for n in pair}))

#: A difference is found where its p is less.
ALPHA = 0.05

#: How often the interval of a difference may leave out the true one: as often as one of a set may.
MOST_LEFT_OUT = 0.07

#: Pairs of which no set has a diagnosis, as a share of all, below which nothing is told of them.
FEWEST_QUIET = 0.1

#: Images of both sets where the power is found, and how often the permutation test shall find a difference.
POWER_IMAGES, POWER = 43, 0.8

#: Permutations in the end; and with how many pairs and permutations the difference is sought, twice.
PERMUTATIONS, SEARCH = 499, (100, 99)

#: How many images of paired sets are the same: so much their errors are correlated.
SHARED = 0.5

#: How much more often than a contrast the permutation test may find a difference.
MOST_LOST = 0.1

#: Layers that are corrected for: mixtures of the same responses.
N_LAYERS = 20

#: The density of distances at their median is that of the pairs within this share of all, on each side.
_NEAR = 0.1


def _known(simulated: Simulated, number: int) -> Known:
    """Return what is known of one set."""
    return Known(
        float(np.exp(simulated.log_value[number])),
        simulated.log_limit[number].astype(np.float64),
        float(simulated.freedom[number]),
        float(simulated.error[number]),
    )


def p_values(one: Simulated, other: Simulated, difference: float) -> Float[np.ndarray, " s"]:
    """Return how probable it is, by chance, that two values differ so much from `difference`."""
    # It lies below 5 % where the limits leave the difference out; to find them takes much longer.
    found = np.empty(len(one.log_value))
    for number in range(len(found)):
        compared = compare(_known(one, number), _known(other, number))
        logs = compared.one.logs, compared.other.logs
        scores = difference_scores(np.exp(logs[0]), np.exp(logs[1]), 0.0, np.array([difference]))
        found[number] = compared._replace(score=float(scores[0])).p
    return found


def _left_out(one: Simulated, other: Simulated) -> dict[str, float | None]:
    """Return how often the true difference is left out, without a diagnosis of either set and with one."""
    count = min(len(one.log_value), len(other.log_value))
    one, other = one.take(np.arange(count)), other.take(np.arange(count))
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
        [simulated[name, m].in_another_order() for name, _, m in cases],
    )
    return [
        {"kind": name, "images": [n, m], **rates} for (name, n, m), rates in zip(cases, found, strict=True)
    ]


def too_often(
    between: Iterable[Mapping[str, Any]], same: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the pairs that leave out the true difference too often."""
    both = [*between, *({"first": row["kind"], "second": row["kind"], **row} for row in same)]
    return [
        {what: row[what] for what in ("first", "second", "images", "quiet")} for row in both if _beyond(row)
    ]


def misses(beyond: Iterable[Mapping[str, Any]], power: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what contrasts miss, a line for each kind that does so with others, and each of little power."""
    found = []
    for n, m in NUMBERS:
        rows = [row for row in beyond if row["images"] == [n, m]]
        while rows:
            # The kind that is in most of the pairs, and in the worst, is the likely cause.
            kinds: Counter[str] = Counter()  # of real numbers
            for row in rows:
                kinds.update(dict.fromkeys((row["first"], row["second"]), 1 + row["quiet"]))
            kind = kinds.most_common(1)[0][0]
            of_kind = [row for row in rows if kind in (row["first"], row["second"])]
            rows = [row for row in rows if row not in of_kind]
            rates = sorted(100 * row["quiet"] for row in of_kind)
            others = [row["second"] if row["first"] == kind else row["first"] for row in of_kind]
            with_what = others[0] if len(others) == 1 else f"{len(others)} others"
            rate = f"{rates[0]:.1f}" + (f" to {rates[-1]:.1f}" if len(rates) > 1 else "")
            found.append(f"{kind} and {with_what}, {n} and {m} images: the truth is left out in {rate} %")
    for row in power:
        if row["permutation"] - row["ours"] > MOST_LOST:
            found.append(
                f"{row['kind']}: the contrast finds {100 * row['ours']:.0f} % of the differences, the "
                f"permutation test {100 * row['permutation']:.0f} %"
            )
    return found


def _beyond(row: Mapping[str, Any]) -> bool:
    """Return whether the true difference is left out too often, by more than two standard errors."""
    if row["quiet"] is None:
        return False
    error = np.sqrt(MOST_LEFT_OUT * (1 - MOST_LEFT_OUT) / row["sets"])
    return bool(row["quiet"] > MOST_LEFT_OUT + 2 * error)


def by_numbers(between: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a summary of all pairs of kinds, by the images of the two sets."""
    found = []
    for n, m in NUMBERS:
        rows = [row for row in between if row["images"] == [n, m]]
        known = [row for row in rows if row["quiet"] is not None]
        worst = max(known, key=lambda row: row["quiet"])
        told = np.array([(row["told_of"], row["told"] or 0.0) for row in rows])
        found.append(
            {
                "images": f"{n}/{m}",
                "pairs": len(known),
                "mean": float(np.mean([row["quiet"] for row in known])),
                "worst": worst["quiet"],
                "which": f"{worst['first']}, {worst['second']}",
                "beyond": sum(map(_beyond, known)),
                "told_of": float(told[:, 0].mean()),
                "told": float(np.average(told[:, 1], weights=told[:, 0] + 1e-12)),
            }
        )
    return found


def by_kind(between: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a summary of the pairs of each kind, by its images and those of the other."""
    found = []
    orders = list(dict.fromkeys(order for n, m in NUMBERS for order in ((n, m), (m, n))))
    for name in LISTED:
        for n, m in orders:
            rates = [
                row["quiet"]
                for row in between
                if row["quiet"] is not None
                and (
                    (row["first"] == name and row["images"] == [n, m])
                    or (row["second"] == name and row["images"] == [m, n])
                )
            ]
            found.append(
                {
                    "kind": name,
                    "images": f"{n}/{m}",
                    "mean": float(np.mean(rates)) if rates else None,
                    "worst": max(rates, default=None),
                }
            )
    return found


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


def _of_both(one: Drawn, other: Drawn) -> tuple[tuple[Known, Known], tuple[Confidence, Confidence]] | None:
    """Return what is known of two sets; None where one of them has no limits."""
    found = []
    for drawn in (one, other):
        confidence = Sample(drawn.distances, drawn.means, drawn.square_means).confidence()
        if confidence is None:
            return None
        error = float(confidence.influence.std(ddof=1) / np.sqrt(len(drawn.means)))
        known = Known(np.exp(drawn.log_value), confidence.log_limit, confidence.freedom, error)
        found.append((known, confidence))
    (first, of_first), (second, of_second) = found
    return (first, second), (of_first, of_second)


def _tried(name: str, common: float, permutations: int, number: int) -> tuple[bool, bool, bool]:
    """Return whether the permutation test finds the difference, whether we do, and whether one is told."""
    rng = rng_of("power", name, permutations, number)
    both = _with_difference(name, common, rng, POWER_IMAGES)
    by_permutation = permutation_p(both, POWER_IMAGES, permutations, rng) < ALPHA
    found = _of_both(*_halves(both))
    if found is None:
        return by_permutation, False, True
    known, confidences = found
    return by_permutation, compare(*known).p < ALPHA, any(one.doubt for one in confidences)


def _tried_paired(name: str, common: float, number: int) -> tuple[bool, bool]:
    """Return whether sets are found to differ half of whose images are the same, and whether one is told."""
    rng = rng_of("paired", name, number)
    drawn = KINDS[name].draw(rng, 2 * POWER_IMAGES)
    one = np.arange(POWER_IMAGES)
    other = np.where(rng.random(POWER_IMAGES) < SHARED, one, one + POWER_IMAGES)
    second = with_common(drawn.take(other), common * rng.normal(size=POWER_IMAGES))
    found = _of_both(drawn.take(one), second)
    if found is None:
        return False, True
    known, confidences = found
    # As `contrast` has it of paired sets.
    influences = [of_set.influence / POWER_IMAGES for of_set in confidences]
    scale = np.prod([np.linalg.norm(influence) for influence in influences])
    correlation = float(influences[0] @ influences[1] / scale)
    freedom = freedom_of(influences[0] - influences[1])
    compared = compare(*known, correlation=float(np.clip(correlation, -0.999, 0.999)), freedom=freedom)
    return compared.p < ALPHA, any(one.doubt for one in confidences)


def _mixtures() -> list[np.ndarray]:
    return [np.random.default_rng(layer).normal(size=(K, K)) / np.sqrt(K) for layer in range(N_LAYERS)]


def _any_layer(name: str, number: int) -> tuple[bool, bool, bool]:
    """Return whether two sets seem to differ in any layer, corrected and alone, and whether one is told."""
    rng, generate = rng_of("layers", name, number), KINDS[name].generate
    assert generate is not None
    responses = [generate(rng, POWER_IMAGES) for _ in range(2)]
    alone, influences, told = [], [], False
    for mixture in _mixtures():
        mixed = mixture[: responses[0].shape[1]]
        found = _of_both(*(measured(of_set @ mixed) for of_set in responses))
        if found is None or any(one.doubt for one in found[1]):
            told = True
            continue
        known, (one, other) = found
        alone.append(compare(*known).p)
        influences.append(np.concatenate([one.influence, -other.influence]))
    if not alone:
        return False, False, True
    p = np.array(alone)
    largest = largest_scores(np.array(influences).T, "coverage", number)
    corrected = np.maximum(corrected_p(np.abs(ndtri(p / 2)), largest), p)
    return bool(corrected.min() < ALPHA), bool(p.min() < ALPHA), told


def family_row(name: str, pairs: int, run: Any) -> dict[str, Any]:
    """Return how often sets of one kind seem to differ in any of many layers."""
    corrected, alone, told = np.array(list(run(partial(_any_layer, name), range(pairs)))).mean(axis=0)
    return {"kind": name, "corrected": float(corrected), "alone": float(alone), "told_of": float(told)}


def _effects(name: str) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, " a"]]:
    """Return strengths of what images add to all responses, and by how much the logarithm then differs."""
    rng = rng_of("effects", name)
    drawn = KINDS[name].draw(rng, 800)
    spread = np.sqrt(drawn.square_means.mean() - drawn.means.mean() ** 2)
    own = rng.normal(size=800)
    strengths = spread * np.geomspace(0.01, 3.0, 40)
    logs = np.array([with_common(drawn, strength * own).log_value for strength in strengths])
    return strengths, np.maximum.accumulate(np.abs(logs - drawn.log_value))


def power_row(name: str, simulated: Simulated, tests: int, run: Any) -> dict[str, Any]:
    """Return how often a difference is found that the permutation test finds in about 80 % of pairs."""
    strengths, effects = _effects(name)
    rising = effects + 1e-12 * np.arange(len(effects))
    needed = ndtri(1 - ALPHA / 2) + ndtri(POWER)
    effect = needed * np.sqrt(2) * simulated.log_value.std()
    for pairs, permutations in (SEARCH, SEARCH, (tests, PERMUTATIONS)):
        effect = min(effect, effects[-1])
        common = float(np.interp(effect, rising, strengths))
        found = np.array(list(run(partial(_tried, name, common, permutations), range(pairs))))
        by_permutation = float(found[:, 0].mean())
        if permutations != PERMUTATIONS:
            effect *= needed / (ndtri(1 - ALPHA / 2) + ndtri(np.clip(by_permutation, 0.05, 0.98)))
    paired = [
        np.array(list(run(partial(_tried_paired, name, added), range(tests)))) for added in (0.0, common)
    ]
    return {
        "kind": name,
        "difference": float(np.expm1(effect)),
        "permutation": by_permutation,
        "ours": float(found[:, 1].mean()),
        "told_of": float(found[:, 2].mean()),
        "paired_same": float(paired[0][:, 0].mean()),
        "paired": float(paired[1][:, 0].mean()),
    }
