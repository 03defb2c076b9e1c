"""The measure as plain float64 double loops; nothing here is shared with the package."""

from __future__ import annotations

import hashlib
import math
import statistics
from typing import Any

import numpy as np


def mean(values: Any) -> float:
    """Return the mean, summed without rounding."""
    return math.fsum(values) / len(values)


def population_sd(values: Any) -> float:
    """Return the population standard deviation."""
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / len(values))


def pearson(a: Any, b: Any) -> float:
    """Return Pearson's correlation of two sequences."""
    a_mean, b_mean = mean(a), mean(b)
    top = math.fsum((x - a_mean) * (y - b_mean) for x, y in zip(a, b, strict=True))
    bottom = math.fsum((x - a_mean) ** 2 for x in a) * math.fsum((y - b_mean) ** 2 for y in b)
    return top / math.sqrt(bottom)


def normalised(rows: list[list[float]], normalize: str, scale: Any = None) -> list[list[float]]:
    """Return the rows that are compared."""
    if normalize == "layer":
        entries = [value for row in rows for value in row]
        centre, sigma = mean(entries), population_sd(entries)
        return [[(value - centre) / sigma for value in row] for row in rows]
    if normalize == "response":
        return [[(value - mean(row)) / population_sd(row) for value in row] for row in rows]
    if normalize == "unit":
        return [[v / s if s > 0 else 0.0 for v, s in zip(row, scale, strict=True)] for row in rows]
    return rows


def distance(a: list[float], b: list[float], metric: str) -> float:
    """Return the distance of two normalised responses."""
    if metric == "euclidean":
        return math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a))
    if metric == "cityblock":
        return math.fsum(abs(x - y) for x, y in zip(a, b, strict=True)) / len(a)
    if metric == "correlation":
        return 1 - pearson(a, b)
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return 1 - dot / math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))


def differentiation(
    matrix: Any, normalize: str = "layer", metric: str = "euclidean", scale: Any = None
) -> float:
    """Return the median distance over all pairs, by a double loop over Python floats."""
    rows = normalised([[float(v) for v in row] for row in matrix], normalize, scale)
    return statistics.median(
        distance(rows[i], rows[j], metric) for i in range(len(rows)) for j in range(i + 1, len(rows))
    )


def differentiation_by_loops(matrix: np.ndarray) -> float:
    """Return the default measure of a large matrix: a double loop over pairs, float64 throughout."""
    rows = np.asarray(matrix, dtype=np.float64)
    sigma = math.sqrt(np.mean((rows - np.mean(rows)) ** 2))
    distances = []
    for i in range(len(rows)):
        for j in range(i + 1, len(rows)):
            apart = rows[i] - rows[j]
            distances.append(math.sqrt(apart @ apart) / (sigma * math.sqrt(rows.shape[1])))
    return float(np.median(distances))


def by_filter(values: np.ndarray, filter_axis: int | None) -> list[list[list[float]]]:
    """Return the responses (n, *layer shape) of each image sorted by filter, through each unit's index."""
    shape = values.shape[1:]
    assert filter_axis is not None
    rows = []
    for image in values.reshape(len(values), -1):
        filters: list[list[float]] = [[] for _ in range(shape[filter_axis] if shape else 1)]
        for unit, value in enumerate(image):
            place = np.unravel_index(unit, shape) if shape else (0,)
            filters[int(place[filter_axis]) if shape else 0].append(float(value))
        rows.append(filters)
    return rows


def filter_means(values: np.ndarray, filter_axis: int | None) -> np.ndarray:
    """Return each filter's mean over space, for each image: (n, n_filters)."""
    return np.array([[mean(units) for units in filters] for filters in by_filter(values, filter_axis)])


def moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and population variance over all entries of each row, without cancellation."""
    rows = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    centre = np.array([math.fsum(row) / len(row) for row in rows])
    return centre, np.array([np.mean((row - c) ** 2) for row, c in zip(rows, centre, strict=True)])


def highest(scores: Any, count: int) -> list[int]:
    """Return the units with the highest scores, ties by index."""
    return sorted(range(len(scores)), key=lambda unit: (-float(scores[unit]), unit))[:count]


def softmax(rows: Any) -> np.ndarray:
    """Return each row as probabilities, number by number."""
    powers = [[math.exp(float(value) - float(max(row))) for value in row] for row in rows]
    return np.array([[power / math.fsum(row) for power in row] for row in powers])


def philox_key(*parts: Any) -> list[int]:
    """Return a key of NumPy's Philox that is the SHA-256 of some words."""
    digest = hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()
    return [int.from_bytes(digest[start : start + 8], "little") for start in (0, 8)]


def random_keys(count: int, *parts: Any) -> list[int]:
    """Return the Philox numbers of a key made of words."""
    key = np.array(philox_key(*parts), dtype="<u8")
    return [int(number) for number in np.random.Philox(key=key).random_raw(count)]


def random_signs(count: int, *parts: Any) -> list[float]:
    """Return the i-th bit of such numbers, the lowest first, as a sign."""
    keys = random_keys(-(-count // 64), "sign", *parts)
    return [1.0 - 2.0 * (keys[i // 64] >> (i % 64) & 1) for i in range(count)]


def sketch_matrix(
    name: str, shape: tuple[int, ...], filter_axis: int | None, width: int, seed: int
) -> np.ndarray:
    """Return the dense matrix (width, n_units) that sums up a layer, unit by unit."""
    assert filter_axis is not None
    size = math.prod(shape)
    filters = shape[filter_axis] if len(shape) > 1 and shape[filter_axis] <= width else 1
    ring = math.ceil(width / filters) * filters
    offsets = [key % ring for key in random_keys(math.ceil(size / ring), "offset", seed, name)]
    matrix, signs = np.zeros((width, size)), random_signs(size, seed, name)
    for unit in range(size):
        row = unit
        if filters > 1:
            place = [int(at) for at in np.unravel_index(unit, shape)]
            number = place.pop(filter_axis)
            space = [length for axis, length in enumerate(shape) if axis != filter_axis]
            row = int(np.ravel_multi_index(place, space)) * filters + number
        piece, within = divmod(row, ring)
        at = (within + offsets[piece]) % ring
        matrix[at if at < width else at - width, unit] = signs[unit]
    return matrix


def fold_matrix(name: str, width: int, count: int, draw: int, seed: int) -> np.ndarray:
    """Return the dense matrix (count, width) of one draw of few sums: dealt out in a random order."""
    keys = random_keys(width, "fold", seed, name, count, draw)
    signs = random_signs(width, "fold", seed, name, count, draw)
    matrix = np.zeros((count, width))
    for rank, column in enumerate(sorted(range(width), key=lambda column: (keys[column], column))):
        matrix[rank % count, column] = signs[column]
    return matrix


def sketched(matrix: Any, kept: Any, fold: Any, normalize: str = "layer") -> float:
    """Return the measure by sums of all units: a double loop over pairs, by the units' own SD and number.

    The sums (kept) are summed again (fold), to distances of the same mean square.
    """
    units = np.asarray(matrix, dtype=np.float64)
    sigma = population_sd(units.reshape(-1).tolist()) if normalize == "layer" else 1.0
    many = (units @ np.asarray(kept).T).tolist()
    few = (np.array(many) @ np.asarray(fold).T).tolist()
    pairs = [(i, j) for i in range(len(few)) for j in range(i + 1, len(few))]
    by_many = [math.dist(many[i], many[j]) for i, j in pairs]
    by_few = [math.dist(few[i], few[j]) for i, j in pairs]
    scale = math.sqrt(math.fsum(d * d for d in by_many) / math.fsum(d * d for d in by_few))
    return statistics.median(by_few) * scale / (sigma * math.sqrt(units.shape[1]))


def participation_ratio(matrix: Any) -> float:
    """Return the participation ratio of the eigenvalues of the covariance of responses, by NumPy."""
    values = np.linalg.eigvalsh(np.cov(np.asarray(matrix, dtype=np.float64), rowvar=False))
    return float(values.sum() ** 2 / (values**2).sum())


def between(one: Any, other: Any, normalize: str = "layer") -> tuple[float, float, float]:
    """Return the medians across two sets, and within each, by loops, over the SD of both."""
    first, second = ([[float(v) for v in row] for row in matrix] for matrix in (one, other))
    entries = [value for row in (*first, *second) for value in row]
    sigma = population_sd(entries) if normalize == "layer" else 1.0

    def within(rows: list[list[float]]) -> float:
        pairs = [(i, j) for i in range(len(rows)) for j in range(i + 1, len(rows))]
        return statistics.median(distance(rows[i], rows[j], "euclidean") / sigma for i, j in pairs)

    across = statistics.median(distance(a, b, "euclidean") / sigma for a in first for b in second)
    return across, within(first), within(second)


def squares_across_repeats(repeats: Any, normalize: str = "layer") -> tuple[list[float], float]:
    """Return the squared distance of every pair without noise, and the variance, by loops over repeats."""
    count, n, k = len(repeats), len(repeats[0]), len(repeats[0][0])
    means = [mean([value for row in one for value in row]) for one in repeats]
    others = [(r, s) for r in range(count) for s in range(count) if r != s]

    def product(i: int, j: int) -> float:
        terms = (
            (repeats[r][i][u] - repeats[r][j][u]) * (repeats[s][i][u] - repeats[s][j][u])
            for r, s in others
            for u in range(k)
        )
        return math.fsum(terms) / len(others) / k

    squares = [product(i, j) for i in range(n) for j in range(i + 1, n)]
    entries = (
        (repeats[r][i][u] - means[r]) * (repeats[s][i][u] - means[s])
        for r, s in others
        for i in range(n)
        for u in range(k)
    )
    return squares, (math.fsum(entries) / len(others) / n / k if normalize == "layer" else 1.0)


def unit_scores(values: np.ndarray) -> tuple[list[float], list[float]]:
    """Return the mean and the variance of each unit over all images."""
    columns = values.reshape(len(values), -1).T.tolist()
    return [mean(column) for column in columns], [population_sd(column) ** 2 for column in columns]


def random_pool(name: str, size: int, count: int, seed: int) -> list[int]:
    """Return the first units of a layer's random order."""
    keys = random_keys(size, "order", seed, name)
    return sorted(range(size), key=lambda unit: (keys[unit], unit))[:count]


def pool_by_filter(name: str, shape: tuple[int, ...], axis: int, count: int, seed: int) -> list[int]:
    """Return the first units of each filter in random order, the filters taking turns."""
    size = math.prod(shape)
    keys = random_keys(size, "order", seed, name)
    filters: list[list[int]] = [[] for _ in range(shape[axis] if shape else 1)]
    for unit in range(size):
        filters[int(np.unravel_index(unit, shape)[axis]) if shape else 0].append(unit)
    ordered = [sorted(units, key=lambda unit: (keys[unit], unit)) for units in filters]
    rounds = max(1, min(count, size) // len(filters))
    return [units[turn] for turn in range(rounds) for units in ordered]


def drawn(name: str, pool: int, count: int, draw: int, seed: int, filters: int = 1) -> list[int] | None:
    """Return the places in a pool that a draw looks at; None where there is no such draw."""
    used = min(pool, max(filters, count - count % filters))
    if draw == 0:
        return list(range(used))
    if used == pool:
        return None
    keys = random_keys(pool, "draw", seed, name, draw)
    places: list[int] = []
    for number in range(filters):
        own = sorted(range(number, pool, filters), key=lambda place: (keys[place], place))
        places += own[: used // filters]
    return sorted(places)


def differs_by_rounding(values: Any, step: float) -> bool:
    """Return whether numbers are the same but for four steps of their type."""
    return bool(max(values) - min(values) <= 4 * step * max(abs(value) for value in values))


def defined(
    matrix: Any, normalize: str, metric: str, scale: Any = None, step: float = 2.0**-23
) -> float | None:
    """Return `differentiation`, or None where it has no value."""
    rows = [[float(value) for value in row] for row in matrix]
    entries = [value for row in rows for value in row]
    if min(entries) == max(entries) or (normalize == "layer" and differs_by_rounding(entries, step)):
        return None
    if "response" in normalize and any(differs_by_rounding(row, step) for row in rows):
        return None
    compared = normalised(rows, normalize, scale)
    if metric == "correlation" and any(differs_by_rounding(row, step) for row in compared):
        return None
    if metric == "cosine" and not all(any(row) for row in compared):
        return None
    return differentiation(matrix, normalize, metric, scale)
