"""Which units of a layer are looked at: seeded, nested, the same for every image and every set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from jaxtyping import Int, UInt64


def _keys(count: int, *parts: object) -> UInt64[np.ndarray, " {count}"]:
    """Return `count` counter-based random keys; the i-th depends only on `parts` and i."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    key = np.frombuffer(digest[:16], dtype="<u8")
    return np.random.Philox(key=key).random_raw(count)


def _smallest(keys: UInt64[np.ndarray, " n"], count: int) -> Int[np.ndarray, " count"]:
    """Return the positions of the `count` smallest keys, smallest first, ties by position."""
    if count < len(keys):
        limit = np.partition(keys, count - 1)[count - 1]
        (positions,) = np.nonzero(keys <= limit)
    else:
        positions = np.arange(len(keys))
    return positions[np.argsort(keys[positions], kind="stable")][:count]


def unit_order(layer: str, size: int, count: int, *, seed: int) -> Int[np.ndarray, " count"]:
    """Return the first `count` units of a layer's random order.

    The order depends on the seed and the layer's name alone: not on the other layers, not on the sets,
    and not on `count`, so that more units only extend what fewer gave.

    Parameters
    ----------
    layer
        The layer's name.
    size
        The layer's number of units.
    count
        How many are wanted, at most `size`.
    seed
        Of the experiment.

    Returns
    -------
    (count,)
        Indices into the layer's flattened output, in C order.
    """
    return _smallest(_keys(size, "order", seed, layer), count)


def draw_units(
    layer: str, pool_size: int, n_units: int, draw: int, *, seed: int
) -> Int[np.ndarray, " k"] | None:
    """Return the positions within a layer's pool that one draw looks at.

    Parameters
    ----------
    layer
        The layer's name.
    pool_size
        The number of units in the pool.
    n_units
        How many units the draw is to have; where the pool is no larger, it is the whole pool.
    draw
        0 is the first `n_units` of the pool; 1, 2, ... are the first of other permutations of it.
    seed
        Of the experiment.

    Returns
    -------
    (min(n_units, pool_size),) or None
        None where no such draw exists: a whole pool can be drawn only once.
    """
    if n_units >= pool_size:
        return np.arange(pool_size) if draw == 0 else None
    if draw == 0:
        return np.arange(n_units)
    return _smallest(_keys(pool_size, "draw", seed, layer, draw), n_units)


def _random_pool(layer: str, size: int, count: int, seed: int) -> Int[np.ndarray, " m"]:
    return unit_order(layer, size, min(size, count), seed=seed)


def _whole_layer(layer: str, size: int, count: int, seed: int) -> Int[np.ndarray, " m"]:
    return np.arange(size)


#: How a layer's pool is chosen, given its name and size, the size of the pool and the seed.
UNIT_KINDS: dict[str, Callable[[str, int, int, int], Int[np.ndarray, " m"]]] = {
    "random": _random_pool,
    "all": _whole_layer,
}
