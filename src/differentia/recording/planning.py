"""The plan of a recording: what is kept of each layer, and the probes that read it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from differentia.errors import InputError, require_known
from differentia.networks.layers import Layer
from differentia.networks.probes import MapProbe, Probe, SummaryProbe, UnitProbe
from differentia.networks.sketches import Sketch, SketchProbe
from differentia.recording.store.base import Quantity
from differentia.recording.units import Scores, UnitKind
from differentia.stimuli.thumbnails import thumbnail_shape

#: What is kept of a layer beside its units: each image's mean and variance, each channel's mean (a kind of
#: units too), and all units, which in the last layer are the classes. And of an image: itself, made small.
MOMENTS, FILTER_MEAN, ALL, THUMBNAIL = "moments", "filter_mean", "all", "thumbnail"

#: Bytes of a number that is no float32.
NUMBER_SIZES = {MOMENTS: 8, THUMBNAIL: 1}

#: How the names of channels' maps begin; the channel's number follows.
MAP = "map"


def size_of(quantities: Iterable[Quantity]) -> int:
    """Return how many bytes quantities take of each image of float32 responses."""
    return sum(NUMBER_SIZES.get(what, 4) * (stop - start) for _, what, start, stop in quantities)


class Pool(NamedTuple):
    """Units of a layer, all of one kind, as indices into its flattened output, in C order."""

    units: Int[np.ndarray, " _"]
    #: What they are called in a store. A larger pool of the same name begins with the same units.
    what: str
    #: What is kept in their stead, where it is sums of all units.
    sketch: Sketch | None = None

    def quantity(self, layer: str) -> Quantity:
        """Return what is kept of a layer."""
        return Quantity(layer, self.what, 0, len(self.units))


#: By the name of a layer.
Pools = Mapping[str, Pool]


@dataclass(frozen=True)
class Plan:
    """What is kept of each layer."""

    layers: tuple[Layer, ...]
    kinds: Mapping[str, UnitKind]
    #: Units of a layer, of each kind that takes a number.
    pool: int
    #: Of the choice of units.
    seed: int
    input_shape: tuple[int, int, int]
    #: Each image's mean and variance over all units of a layer.
    moments: bool
    filter_means: bool
    thumbnails: bool
    #: The layer whose units are classes, where they are kept.
    class_layer: Layer | None
    #: Layer -> channels whose maps are kept, and of which images, by their places in each set.
    maps: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    map_images: tuple[int, ...] = ()

    @property
    def ranked(self) -> dict[str, UnitKind]:
        """The kinds of units that are chosen by what they did."""
        return {name: kind for name, kind in self.kinds.items() if kind.ranked_by}

    @property
    def n_units(self) -> int:
        """How many units all layers have."""
        return sum(layer.size for layer in self.layers)

    def choose(self, kind: str, scores: Mapping[str, Scores] | None = None) -> Pools:
        """Return the pool of each layer."""
        pools = {}
        for layer in self.layers:
            score = scores[layer.name] if scores else None
            units = self.kinds[kind].choose(layer, self.pool, self.seed, score)
            sketched = self.kinds[kind].sketched and len(units) < layer.size
            sketch = Sketch(layer, len(units), self.seed) if sketched else None
            pools[layer.name] = Pool(units, self._what(kind, layer, score), sketch)
        return pools

    def _what(self, kind: str, layer: Layer, score: Scores = None) -> str:
        """Return what units are called in a store: the same where they are the same, or the first of more."""
        if score is not None:  # further images may change the whole order
            return f"{kind}-{hashlib.sha256(score.tobytes()).hexdigest()[:16]}"
        if self.kinds[kind].sketched:
            width = self.kinds[kind].pool_size(layer, self.pool)
            return ALL if width == layer.size else by_channel(f"{kind}-{self.seed}-{width}", layer)
        if kind == FILTER_MEAN:
            return by_channel(kind, layer)
        return kind if kind == ALL else by_channel(f"{kind}-{self.seed}", layer, self.kinds[kind].per_filter)

    def wanted(self, pools: Mapping[str, Pools]) -> list[Quantity]:
        """Return what is to be kept of every image, maps apart, with the kinds of units known by now."""
        return self._with_views(
            pool[layer.name].quantity(layer.name) for layer in self.layers for pool in pools.values()
        )

    def bytes_per_image(self) -> int:
        """Return how many bytes are kept of an image of float32 responses, maps apart."""
        return size_of(self._quantities())

    def largest_per_image(self) -> int:
        """Return how many bytes of an image the quantity takes that takes most."""
        return max(size_of([quantity]) for quantity in self._quantities())

    def _quantities(self) -> list[Quantity]:
        units = (
            Quantity(layer.name, self._what(name, layer), 0, kind.pool_size(layer, self.pool))
            for layer in self.layers
            for name, kind in self.kinds.items()
        )
        return self._with_views(units)

    def _with_views(self, units: Iterable[Quantity]) -> list[Quantity]:
        """Return units and what is kept beside them, each once."""
        quantities = list(units)
        for layer in self.layers:
            if self.moments:
                quantities.append(quantity_of(layer, MOMENTS))
            if self.filter_means and layer.n_channels is not None:
                quantities.append(quantity_of(layer, FILTER_MEAN))
        if self.class_layer:
            quantities.append(quantity_of(self.class_layer, ALL))
        if self.thumbnails:
            quantities.append(self.thumbnail)
        return list(dict.fromkeys(quantities))

    @property
    def thumbnail(self) -> Quantity:
        """What an image is kept as, made small."""
        return Quantity("", THUMBNAIL, 0, math.prod(thumbnail_shape(self.input_shape)))

    def wanted_maps(self, numbers: Iterable[int]) -> list[Quantity]:
        """Return the maps that are to be kept of images shown together, by their places in the set."""
        if not set(numbers) & set(self.map_images):
            return []
        by_name = {layer.name: layer for layer in self.layers}
        return [
            Quantity(name, by_channel(MAP, by_name[name]) + f"-{number}", 0, math.prod(by_name[name].space))
            for name, filters in self.maps.items()
            for number in filters
        ]


def quantity_of(layer: Layer, what: str) -> Quantity:
    """Return what the moments, the channels' means or all units of a layer are kept as."""
    size = {MOMENTS: 2, FILTER_MEAN: layer.n_filters, ALL: layer.size}[what]
    return Quantity(layer.name, by_channel(what, layer, what == FILTER_MEAN), 0, size)


def by_channel(what: str, layer: Layer, is_so: bool = True) -> str:
    """Return the name of what depends on the axis of the channels: another, where that is another."""
    return f"{what}-axis{layer.channel_axis}" if is_so else what


def map_number(quantity: Quantity) -> int | None:
    """Return the number of the channel whose map a quantity is; None where it is none."""
    return int(quantity.what.rpartition("-")[2]) if quantity.what.startswith(MAP) else None


class Probes:
    """The probes that read quantities, each made once: a compiled pass is made for those very objects.

    Those that were made before, of the same plan, are given as `made`; to them others are added.
    """

    def __init__(
        self, plan: Plan, pools: Mapping[str, Pools], made: dict[Quantity, Probe] | None = None
    ) -> None:
        classes = [plan.class_layer] if plan.class_layer else []
        self._layers = {layer.name: layer for layer in (*plan.layers, *classes)}
        self._pools = {
            (name, pool.what): pool for by_layer in pools.values() for name, pool in by_layer.items()
        }
        self._made = {} if made is None else made

    def by_layer(self, quantities: Iterable[Quantity]) -> dict[str, dict[Any, Probe]]:
        """Return the probes that read quantities, by what they read; a summary, of moments, has all means."""
        probes: dict[str, dict[Any, Probe]] = {}
        for quantity in quantities:
            if quantity.what != THUMBNAIL:
                of_means = quantity.what.startswith(FILTER_MEAN)
                read = quantity_of(self._layers[quantity.layer], MOMENTS) if of_means else quantity
                if read not in self._made:
                    self._made[read] = self._probe(read)
                probes.setdefault(quantity.layer, {})[read] = self._made[read]
        return probes

    def units(self, quantity: Quantity) -> Int[np.ndarray, " _"]:
        """Return the units of a pool that the columns of a quantity are."""
        return self._pools[quantity.layer, quantity.what].units[quantity.start : quantity.stop]

    def _probe(self, quantity: Quantity) -> Probe:
        layer = self._layers[quantity.layer]
        if quantity.what == MOMENTS:
            return SummaryProbe(layer)
        number = map_number(quantity)
        if number is not None:
            return MapProbe(layer, [number])
        if quantity.what == ALL:
            return UnitProbe(np.arange(layer.size), layer.shape)
        sketch = self._pools[quantity.layer, quantity.what].sketch
        if sketch is not None:  # whose name holds its width: it is kept whole
            return SketchProbe(sketch)
        return UnitProbe(self.units(quantity), layer.shape)


def checked_maps(
    layers: Sequence[Layer], maps: Mapping[str, Sequence[int]] | None
) -> dict[str, tuple[int, ...]]:
    """Return the channels of each layer whose maps are kept, in the order of the layers."""
    by_name, maps = {layer.name: layer for layer in layers}, maps or {}
    for name, filters in maps.items():
        require_known("layer for maps (--map)", name, by_name)
        layer = by_name[name]
        if layer.n_channels is None or len(layer.space) != 2:
            why = (
                "its channels are not known" if layer.n_channels is None else "they have no height and width"
            )
            raise InputError(
                f"maps (--map): layer {name!r} has the shape {layer.shape}, but no maps of channels: {why}; "
                "choose a convolution, or another layer with maps"
            )
        if max(filters) >= layer.n_filters:
            raise InputError(
                f"maps (--map): layer {name!r} has no channel {max(filters)}; it has {layer.n_filters}, "
                f"numbered from 0 to {layer.n_filters - 1}"
            )
    return {name: tuple(dict.fromkeys(maps[name])) for name in by_name if name in maps}
