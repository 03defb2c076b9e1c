"""Which units of a layer are looked at: seeded, nested, the same for every image and every set."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt64

from differentia.errors import InputError, require_known
from differentia.networks.layers import Layer
from differentia.system.choices import UNITS
from differentia.system.random import random_keys

#: The smallest number of sums that are kept of a sketch, so that there is a choice of fewer to draw from it.
SKETCH_WIDTH = 2**14


def _smallest(keys: UInt64[np.ndarray, " n"], count: int) -> Int[np.ndarray, " count"]:
    """Return the positions of the `count` smallest keys, smallest first, ties by position."""
    positions = np.arange(len(keys)) if count == len(keys) else _candidates(keys, count)
    if len(positions) > count:
        limit = np.partition(keys[positions], count - 1)[count - 1]
        positions = positions[keys[positions] <= limit]
    order = np.argsort(keys[positions])  # which is faster than a stable sort
    ascending = keys[positions[order]]
    if (ascending[1:] == ascending[:-1]).any():
        order = np.argsort(keys[positions], kind="stable")
    return positions[order][:count]


def _candidates(keys: UInt64[np.ndarray, " n"], count: int) -> Int[np.ndarray, " m"]:
    """Return ascending positions that hold those of the `count` smallest keys, and mostly few others."""
    # The number of keys below a share of all numbers has a binomial distribution.
    share = count / len(keys)
    share += 6 * math.sqrt(share / len(keys))
    if share < 0.9:
        (below,) = np.nonzero(keys < np.uint64(share * 2**64))
        if len(below) >= count:
            return below
    return np.arange(len(keys))


def unit_order(layer: str, size: int, count: int, *, seed: int) -> Int[np.ndarray, " count"]:
    """Return the first units of a layer's random order, as indices into its flattened output, in C order.

    The order depends on the seed and the layer's name alone, so that more units only extend what fewer gave.
    """
    return _smallest(random_keys(size, "order", seed, layer), count)


def filter_order(layer: Layer, count: int, *, seed: int) -> Int[np.ndarray, " count"]:
    """Return the first unit of each channel in random order, then the second of each, and so on."""
    assert layer.channel_axis is not None
    index = np.arange(layer.size).reshape(layer.shape or (1,))
    index = np.moveaxis(index, layer.channel_axis, -1).reshape(-1, layer.n_filters)
    keys = random_keys(layer.size, "order", seed, layer.name)[index]
    rounds = np.argsort(keys, axis=0, kind="stable")[: count // layer.n_filters]
    return np.take_along_axis(index, rounds, axis=0).reshape(-1)


def units_used(pool_size: int, n_units: int, *, strata: int = 1) -> int:
    """Return how many units a draw of `n_units` looks at: a multiple of the strata, at least one of each."""
    return min(pool_size, max(strata, n_units - n_units % strata))


def draw_units(
    layer: str, pool_size: int, n_units: int, draw: int, *, seed: int, strata: int = 1
) -> Int[np.ndarray, " k"] | None:
    """Return the positions within a layer's pool that one draw looks at; None where there is no such draw.

    Draw 0 is the first of the pool; 1, 2, ... are the first of other permutations of it. A whole pool can be
    drawn only once. Each of the strata (channels, which take turns in the pool) gives as many units.
    """
    used = units_used(pool_size, n_units, strata=strata)
    if draw == 0:
        return np.arange(used)
    if used == pool_size:
        return None
    keys = random_keys(pool_size, "draw", seed, layer, draw)
    if strata == 1:
        return _smallest(keys, used)
    rounds = np.argsort(keys.reshape(-1, strata), axis=0, kind="stable")[: used // strata]
    return (rounds * strata + np.arange(strata)).reshape(-1)


def units_of_draw(
    layer: str, pool_size: int, used: Sequence[int], draw: int, *, seed: int, strata: int = 1
) -> list[Int[np.ndarray, " _"]]:
    """Return the units of `draw_units`, ascending, for several numbers, the smallest last; not of draw 0."""
    if strata != 1:
        drawn = (draw_units(layer, pool_size, count, draw, seed=seed, strata=strata) for count in used)
        return [np.sort(positions) for positions in drawn if positions is not None]
    keys = random_keys(pool_size, "draw", seed, layer, draw)
    positions = _candidates(keys, used[0])
    keys, found = keys[positions], []
    for count in used:  # the smallest of the smallest are the smallest
        limit = np.partition(keys, count - 1)[count - 1]
        (smallest,) = np.nonzero(keys <= limit)
        if len(smallest) > count:  # two keys are the same, and the first position goes before
            smallest = np.sort(_smallest(keys, count))
        keys, positions = keys[smallest], positions[smallest]
        found.append(positions)
    return found


#: What the units of a layer are ranked by: one number each, over all images of all sets.
Scores = Float[np.ndarray, " size"] | None


@dataclass(frozen=True)
class UnitKind:
    """One way to choose the units of a layer."""

    #: Returns the pool of a layer, given the layer, the number of units wanted, the seed and the scores.
    choose: Callable[[Layer, int, int, Scores], Int[np.ndarray, " m"]]
    counted: bool = True  # whether it takes a number of units
    random: bool = False  # whether other units could have been chosen: only then there is more than one draw
    sketched: bool = False  # whether sums of all units are kept of layers with more units than are kept
    per_filter: bool = False  # whether every channel gives the same number of units
    ranked_by: str | None = None  # "mean" or "variance", where units are chosen by what they did

    @property
    def noun(self) -> str:
        """What a number of units counts."""
        return "sums" if self.sketched else "units"

    def strata(self, layer: Layer) -> int:
        """Return how many channels each give the same number of units."""
        return layer.n_filters if self.per_filter else 1

    def pool_size(self, layer: Layer, count: int) -> int:
        """Return how many `choose` returns."""
        if self.counted and not self.sketched:
            return units_used(layer.size, count, strata=self.strata(layer))
        return len(self.choose(layer, count, 0, None))


def _random(layer: Layer, count: int, seed: int, scores: Scores) -> Int[np.ndarray, " m"]:
    return unit_order(layer.name, layer.size, min(layer.size, count), seed=seed)


def _per_filter(layer: Layer, count: int, seed: int, scores: Scores) -> Int[np.ndarray, " m"]:
    return filter_order(layer, units_used(layer.size, count, strata=layer.n_filters), seed=seed)


def _highest(layer: Layer, count: int, seed: int, scores: Scores) -> Int[np.ndarray, " m"]:
    assert scores is not None
    return np.argsort(-scores, kind="stable")[:count]  # ties by index


def _sketched(layer: Layer, count: int, seed: int, scores: Scores) -> Int[np.ndarray, " m"]:
    return np.arange(min(layer.size, max(count, SKETCH_WIDTH)))


#: The kinds of units. Those of ``filter_mean`` are no units of the network: one number per channel, its
#: mean over positions. Nor are those of ``sketch``: sums of units with random signs.
UNIT_KINDS: dict[str, UnitKind] = {
    "random": UnitKind(_random, random=True),
    "top": UnitKind(_highest, ranked_by="mean"),
    "top_variance": UnitKind(_highest, ranked_by="variance"),
    "per_filter": UnitKind(_per_filter, random=True, per_filter=True),
    "filter_mean": UnitKind(lambda layer, *_: np.arange(layer.n_filters), counted=False),
    "all": UnitKind(lambda layer, *_: np.arange(layer.size), counted=False),
    "sketch": UnitKind(_sketched, random=True, sketched=True),
}


def require_channels(name: str, layers: Sequence[Layer]) -> None:
    """Raise an error where a kind of units is of channels, and they are not known of a layer."""
    unknown = [layer for layer in layers if layer.n_channels is None]
    if unknown and name in ("per_filter", "filter_mean"):
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise InputError(
            f"units={name!r} (--units) is of channels, and which axis holds them is not known of layer "
            f"{unknown[0].name!r}, of shape {unknown[0].shape}{more}; leave it out with layers= (--layers), "
            "or choose units='random'"
        )


def unit_kind(name: str) -> UnitKind:
    require_known(UNITS.what, name, UNIT_KINDS, UNITS.synonyms)
    return UNIT_KINDS[name]
