"""The plan of a recording: what is kept of each layer, and the probes that read it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from differentia.errors import InputError, require_known
from differentia.layers import Layer
from differentia.probes import MapProbe, Probe, SummaryProbe, UnitProbe
from differentia.recording_options import MAP_IMAGES
from differentia.sketches import Sketch, SketchProbe
from differentia.stimuli.thumbnails import thumbnail_shape
from differentia.store import Quantity
from differentia.units import Scores, UnitKind

#: What is kept of a layer beside its units: each image's mean and variance, each filter's mean (a kind of
#: units too), and all units, which in the last layer are the classes. And of an image: itself, made small.
MOMENTS, FILTER_MEAN, ALL, THUMBNAIL = "moments", "filter_mean", "all", "thumbnail"


def number_size(what: str) -> int:
    """Return how many bytes each number of a quantity takes, of float32 responses."""
    return {MOMENTS: 8, THUMBNAIL: 1}.get(what, 4)


class Pool(NamedTuple):
    """Units of a layer, all of one kind.

    Attributes
    ----------
    units : (pool_size,)
        Indices into the layer's flattened output, in C order.
    what
        How they are called in a store. A larger pool of the same name begins with the same units.
    sketch
        What is kept in their stead, where it is sums of all units.
    """

    units: Int[np.ndarray, " _"]
    what: str
    sketch: Sketch | None = None


#: By the name of a layer.
Pools = Mapping[str, Pool]


class Want(NamedTuple):
    """What is to be kept of images: the first columns of a quantity; see `differentia.store.Quantity`."""

    layer: str
    what: str
    width: int


@dataclass(frozen=True)
class Plan:
    """What is kept of each layer.

    Attributes
    ----------
    layers
        Those that are recorded.
    kinds
        Of units, by name.
    pool
        Units of a layer to keep, of each kind that takes a number.
    seed
        Of the choice of units.
    input_shape : (height, width, channels)
        Of the images.
    moments
        Whether each image's mean and variance over all units of a layer are kept.
    filter_means
        Whether each filter's mean is kept.
    thumbnails
        Whether the images are kept, made small.
    class_layer
        The layer whose units are classes, where they are kept.
    maps
        Layer -> filters whose maps are kept.
    map_images
        Of which images, by their places in each set.
    """

    layers: tuple[Layer, ...]
    kinds: Mapping[str, UnitKind]
    pool: int
    seed: int
    input_shape: tuple[int, int, int]
    moments: bool
    filter_means: bool
    thumbnails: bool
    class_layer: Layer | None
    maps: Mapping[str, tuple[int, ...]]
    map_images: tuple[int, ...]

    @property
    def ranked(self) -> dict[str, UnitKind]:
        """The kinds of units that are chosen by what they did."""
        return {name: kind for name, kind in self.kinds.items() if kind.ranked_by}

    def choose(self, kind: str, scores: Mapping[str, Scores] | None = None) -> Pools:
        """Return the pool of each layer."""
        pools = {}
        for layer in self.layers:
            score = scores[layer.name] if scores else None
            units = self.kinds[kind].choose(layer, self.pool, self.seed, score)
            if score is not None:  # further images may change the whole order
                what = f"{kind}-{hashlib.sha256(score.tobytes()).hexdigest()[:16]}"
            else:
                what = self._name(kind, layer)
            sketched = self.kinds[kind].sketched and len(units) < layer.size
            pools[layer.name] = Pool(units, what, Sketch(layer, len(units), self.seed) if sketched else None)
        return pools

    def _name(self, kind: str, layer: Layer) -> str:
        """Return what units that are not ranked are called in a store."""
        if self.kinds[kind].sketched:
            width = self.kinds[kind].pool_size(layer, self.pool)
            return ALL if width == layer.size else f"{kind}-{self.seed}-{width}"
        return kind if kind in (FILTER_MEAN, ALL) else f"{kind}-{self.seed}"

    def wanted(self, pools: Mapping[str, Pools]) -> list[Want]:
        """Return what is to be kept of every image, maps apart.

        Parameters
        ----------
        pools
            Of each kind of units that is known by now.
        """
        wants = [
            Want(layer.name, pool[layer.name].what, len(pool[layer.name].units))
            for layer in self.layers
            for pool in pools.values()
        ]
        for layer in self.layers:
            if self.moments:
                wants.append(Want(layer.name, MOMENTS, 2))
            if self.filter_means:
                wants.append(Want(layer.name, FILTER_MEAN, layer.n_filters))
        if self.class_layer:
            wants.append(Want(self.class_layer.name, ALL, self.class_layer.size))
        if self.thumbnails:
            wants.append(Want("", THUMBNAIL, math.prod(thumbnail_shape(self.input_shape))))
        return list(dict.fromkeys(wants))

    def numbers_per_image(self) -> int:
        """Return how many numbers are kept of an image, maps and moments apart."""
        units = sum(kind.pool_size(layer, self.pool) for kind in self.kinds.values() for layer in self.layers)
        means = sum(layer.n_filters for layer in self.layers) if self.filter_means else 0
        return units + means + (self.class_layer.size if self.class_layer else 0)

    def layer_sizes(self) -> int:
        """Return how many units all layers have."""
        return sum(layer.size for layer in self.layers)

    def bytes_per_image(self) -> int:
        """Return how many bytes are kept of an image of float32 responses, maps apart."""
        of_units = {
            (layer.name, self._name(name, layer)): kind.pool_size(layer, self.pool)
            for name, kind in self.kinds.items()
            for layer in self.layers
        }
        if self.filter_means:
            of_units |= {(layer.name, FILTER_MEAN): layer.n_filters for layer in self.layers}
        if self.class_layer:
            of_units[self.class_layer.name, ALL] = self.class_layer.size
        moments = 2 * number_size(MOMENTS) * len(self.layers) if self.moments else 0
        small = math.prod(thumbnail_shape(self.input_shape)) if self.thumbnails else 0
        return 4 * sum(of_units.values()) + moments + number_size(THUMBNAIL) * small

    def wanted_maps(self, indices: Sequence[int]) -> list[Want]:
        """Return the maps that are to be kept of images shown together, by their places in the set."""
        if not set(indices) & set(self.map_images):
            return []
        by_name = {layer.name: layer for layer in self.layers}
        return [
            Want(name, f"map-{number}", math.prod(by_name[name].space))
            for name, numbers in self.maps.items()
            for number in numbers
        ]


class Probes:
    """The probes that read quantities, each made once.

    Parameters
    ----------
    plan
        What is kept.
    pools
        By kind of units.
    """

    def __init__(self, plan: Plan, pools: Mapping[str, Pools]) -> None:
        self._layers = {layer.name: layer for layer in plan.layers}
        if plan.class_layer:
            self._layers[plan.class_layer.name] = plan.class_layer
        self._units = {
            (name, at_layer.what): at_layer.units
            for pool in pools.values()
            for name, at_layer in pool.items()
            if at_layer.sketch is None
        }
        self._sketches = {
            (name, at_layer.what): at_layer.sketch
            for pool in pools.values()
            for name, at_layer in pool.items()
            if at_layer.sketch is not None
        }
        self._made: dict[Quantity, Probe] = {}
        self._summaries: dict[str, SummaryProbe] = {}
        self._wholes: dict[str, UnitProbe] = {}

    def of(self, quantities: Sequence[Quantity]) -> dict[str, dict[Quantity | str, Probe]]:
        """Return the probes that read quantities, by layer and quantity; one summary stands for two."""
        probes: dict[str, dict[Quantity | str, Probe]] = {}
        for quantity in quantities:
            if quantity.what == THUMBNAIL:
                continue
            at = probes.setdefault(quantity.layer, {})
            if quantity.what in (MOMENTS, FILTER_MEAN):
                at[MOMENTS] = self.summary(quantity.layer)
                continue
            if quantity not in self._made:
                self._made[quantity] = self._probe(quantity)
            at[quantity] = self._made[quantity]
        return probes

    def reads_units(self, quantity: Quantity) -> bool:
        """Return whether the columns of a quantity are units of a pool."""
        return (quantity.layer, quantity.what) in self._units

    def units(self, quantity: Quantity) -> Int[np.ndarray, " _"]:
        """Return the units that the columns of a quantity are."""
        return self._units[quantity.layer, quantity.what][quantity.start : quantity.stop]

    def whole(self, layer: str) -> UnitProbe:
        """Return the probe of all units of a layer."""
        if layer not in self._wholes:
            about = self._layers[layer]
            self._wholes[layer] = UnitProbe(np.arange(about.size), about.shape)
        return self._wholes[layer]

    def summary(self, layer: str) -> SummaryProbe:
        """Return the probe of a layer's moments and filter means, which also finds a NaN in any unit."""
        if layer not in self._summaries:
            self._summaries[layer] = SummaryProbe(self._layers[layer])
        return self._summaries[layer]

    def _probe(self, quantity: Quantity) -> Probe:
        layer = self._layers[quantity.layer]
        if quantity.what.startswith("map-"):
            return MapProbe(layer, [int(quantity.what.removeprefix("map-"))])
        if quantity.what == ALL:
            return self.whole(quantity.layer)
        if (quantity.layer, quantity.what) in self._sketches:  # whose name holds its width: it is kept whole
            return SketchProbe(self._sketches[quantity.layer, quantity.what])
        return UnitProbe(self.units(quantity), layer.shape)


def checked_maps(
    layers: Sequence[Layer], maps: Mapping[str, Sequence[int]] | None
) -> dict[str, tuple[int, ...]]:
    """Return the filters of each layer whose maps are kept, in the order of the layers.

    Raises
    ------
    InputError
        There is no such layer, filter or map.
    """
    if not maps:
        return {}
    by_name = {layer.name: layer for layer in layers}
    checked = {}
    for name, filters in maps.items():
        require_known("layer for maps (--map)", name, by_name)
        layer = by_name[name]
        if len(layer.space) != 2:
            raise InputError(
                f"maps (--map): layer {name!r} has the shape {layer.shape}, and its filters have no height "
                "and width; choose a convolution, or another layer with maps"
            )
        for number in filters:
            if number >= layer.n_filters:
                raise InputError(
                    f"maps (--map): layer {name!r} has no filter {number}; it has {layer.n_filters}, from 0"
                )
        checked[name] = tuple(dict.fromkeys(filters))
    return {name: checked[name] for name in by_name if name in checked}


def checked_map_images(given: Sequence[int] | None, most: int | None) -> tuple[int, ...]:
    """Return the places of images in a set; the largest set, of `most` images, has one of them.

    Raises
    ------
    InputError
        They are no places, none of them is there, or no maps are kept (`most` is None).
    """
    if given is not None and most is None:
        raise InputError(
            "map_images (--map-images) says whose maps are kept, but no maps (--map) which; give both"
        )
    places = MAP_IMAGES if given is None else given
    if most is not None and not any(place < most for place in places):
        raise InputError(
            f"map_images (--map-images) is {tuple(places)}, but the largest set has {most} images, from 0 to "
            f"{most - 1}; choose among those"
        )
    return tuple(sorted(set(places)))
