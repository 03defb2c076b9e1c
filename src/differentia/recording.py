"""Recording: a network, sets of stimuli and probes become responses, in one pass over the images."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import psutil
from jaxtyping import Float, Int

from differentia.classes import class_layer, class_names, class_probabilities
from differentia.errors import (
    InputError,
    RecordingError,
    require_count,
    require_known,
    require_seed,
)
from differentia.layers import Layer, select_layers
from differentia.networks import Network, load_network
from differentia.presentation import (
    Batch,
    ImageLabel,
    SkippedImage,
    as_sets,
    find_duplicates,
    present,
    require_a_pair,
    warn_of_images,
)
from differentia.probes import MapProbe, Probe, Summary, SummaryProbe, UnitMoments, UnitProbe, together
from differentia.responses import FilterMap, Moments, Predictions, Responses, Views, require_finite
from differentia.stimuli import Fit, NoiseStimuli, Stimuli, thumbnails
from differentia.units import Scores, UnitKind, require_distinct_kinds, unit_kind, unit_order

#: Called with the number of images done, the number of all, and the set at hand.
Progress = Callable[[int, int, str], None]

#: The share of the free memory that recorded responses may take.
MEMORY_SHARE = 0.5

#: Of more images than this no filter means and no thumbnails are kept: nobody could look at them.
MOST_IMAGES_TO_VIEW = 2_000

#: The images of each set whose maps are kept, unless others are asked for.
MAP_IMAGES = (0, 1, 2)

#: Of each unit of a layer, while units are ranked: three sums in float64.
RANKING_BYTES = 24

#: What is kept of a layer beside its units: each filter's mean (a kind of units too), and all of it.
FILTER_MEAN, WHOLE = "filter_mean", "whole"

#: Units by the name of their layer.
Pools = Mapping[str, Int[np.ndarray, " _"]]


def record(
    network: Any,
    sets: Mapping[str, Any],
    *,
    pool: int = 100_000,
    units: str = "random",
    layers: Sequence[str] | None = None,
    seed: int = 0,
    resize: str = "bilinear",
    crop: str = "squash",
    batch_size: int = 32,
    views: bool = True,
    maps: Mapping[str, Sequence[int]] | None = None,
    map_images: Sequence[int] | None = None,
    skip_unreadable: bool = False,
    follow_links: bool = False,
    progress: Progress | None = None,
) -> Responses:
    """Show every image to a network once, and keep the chosen units of each layer.

    Memory grows with images x pool, never with images x layer size. A batch holds images of one set
    only, so that a set's numbers do not depend on the others.

    Parameters
    ----------
    network
        What `load_network` takes.
    sets
        Name -> stimuli, or anything that `images` takes, or ``"noise:43"``.
    pool
        Units to keep of each layer (all of a smaller one); no matter for ``units="all"`` and
        ``"filter_mean"``.
    units : {"random", "top", "top_variance", "per_filter", "filter_mean", "all"}
        How they are chosen: at random; those with the highest mean or variance over all images of all
        sets (the images are shown twice where the whole layers do not fit into memory); the same number
        at random from every filter; each filter's mean over space; every unit.
    layers
        Names and shell patterns; by default all but containers and layers that only reshape.
    seed
        Of the choice of units, and of noise that names no seed.
    resize, crop
        How images are fitted to the network's input; see `differentia.stimuli.Fit`.
    batch_size
        Images in one pass.
    views
        Whether to keep also what explains the measure, in the same pass: the predictions, each filter's
        mean over space and the images themselves, made small (both for at most 2,000 images), and the exact
        mean and SD of all units of each layer.
    maps
        Layer -> filters whose whole maps are kept (with the moments of all layers, to draw them by).
    map_images
        The images whose maps are kept, by their place in each set, from 0; by default the first three.
    skip_unreadable
        Leave image files that can't be decoded out, with a warning, instead of raising an error.
    follow_links
        Take also the files of a folder that are links out of it.
    progress
        Called after every batch.

    Raises
    ------
    InputError
        Something that was given can't be used; responses that would not fit into memory.
    RecordingError
        The pass failed, or gave a NaN or an infinity.
    """
    return record_kinds(
        network,
        sets,
        kinds=(units,),
        pool=pool,
        layers=layers,
        seed=seed,
        resize=resize,
        crop=crop,
        batch_size=batch_size,
        views=views,
        maps=maps,
        map_images=map_images,
        skip_unreadable=skip_unreadable,
        follow_links=follow_links,
        progress=progress,
    )[units]


def record_kinds(
    network: Any,
    sets: Mapping[str, Any],
    *,
    kinds: Sequence[str],
    pool: int,
    layers: Sequence[str] | None = None,
    seed: int = 0,
    resize: str = "bilinear",
    crop: str = "squash",
    batch_size: int = 32,
    views: bool = True,
    maps: Mapping[str, Sequence[int]] | None = None,
    map_images: Sequence[int] | None = None,
    skip_unreadable: bool = False,
    follow_links: bool = False,
    progress: Progress | None = None,
) -> dict[str, Responses]:
    """Record several kinds of units at once, as `record` does one.

    Parameters
    ----------
    kinds
        Names of kinds of units, none of them twice.
    network, sets, pool, layers, seed, resize, crop, batch_size, views, maps, map_images, skip_unreadable, \
follow_links, progress
        As for `record`.

    Returns
    -------
    dict
        By kind.

    Raises
    ------
    InputError, RecordingError
        As for `record`.
    """
    names = require_distinct_kinds(kinds)
    seed = require_seed(seed)
    batch_size = require_count("batch_size", batch_size)
    stimuli = as_sets(sets, seed=seed, follow_links=follow_links)
    total = sum(len(given) for given in stimuli.values())
    network = load_network(network)
    chosen = select_layers(network.layers, layers)
    plan = _Plan(
        layers=chosen,
        kinds={name: unit_kind(name) for name in names},
        pool=require_count("pool", pool),
        seed=seed,
        views=views,
        images_to_view=views and total <= MOST_IMAGES_TO_VIEW,
        filter_means="filter_mean" in names or (views and total <= MOST_IMAGES_TO_VIEW),
        class_layer=class_layer(network) if views else None,
        maps=_checked_maps(chosen, maps),
        map_images=_checked_map_images(map_images, max(map(len, stimuli.values())) if maps else None),
    )
    whole_layers = _whole_layers_fit(plan, total)
    show = _Show(
        network,
        stimuli,
        Fit(network.input_shape, resize, crop),
        batch_size,
        skip_unreadable,
        progress,
        passes=2 if plan.ranked and not whole_layers else 1,
    )
    pools: dict[str, Pools] = {kind: plan.choose(kind) for kind in names if kind not in plan.ranked}
    ranking = {layer.name: UnitMoments() for layer in chosen} if plan.ranked else {}
    first = show.record(plan.probes(pools, ranking, whole_layers), _Kept(plan, total))
    values = {kind: {layer.name: first[layer.name, kind] for layer in chosen} for kind in pools}
    if plan.ranked:
        ranked = {
            kind: plan.choose(kind, {name: about.scores(moments) for name, moments in ranking.items()})
            for kind, about in plan.ranked.items()
        }
        pools |= ranked
        values |= _ranked_values(show, plan, ranked, first, whole_layers)
    duplicates = find_duplicates(first.labels)
    warned = warn_of_images(first.skipped, duplicates, stacklevel=3)
    noises = [name for name, given in stimuli.items() if isinstance(given, NoiseStimuli)]
    provenance = {**_provenance(show, first.skipped, duplicates), "warnings": warned}
    return {
        kind: Responses(
            layers=chosen,
            images=tuple(first.labels),
            values=values[kind],
            units=pools[kind],
            unit_kind=kind,
            seed=seed,
            reference=noises[0] if len(noises) == 1 else None,
            provenance=provenance,
            moments=first.moments() if views or plan.maps else None,
            views=first.views(network),
        )
        for kind in names
    }


@dataclass(frozen=True)
class _Plan:
    """What is kept of each layer."""

    layers: tuple[Layer, ...]
    kinds: Mapping[str, UnitKind]
    pool: int
    seed: int
    views: bool
    images_to_view: bool
    filter_means: bool
    class_layer: Layer | None
    maps: Mapping[str, tuple[int, ...]]
    map_images: tuple[int, ...]

    @property
    def ranked(self) -> dict[str, UnitKind]:
        """The kinds of units that are chosen by what they did."""
        return {name: kind for name, kind in self.kinds.items() if kind.ranked_by}

    def choose(self, kind: str, scores: Mapping[str, Scores] | None = None) -> Pools:
        """Return the pool of each layer."""
        return {
            layer.name: self.kinds[kind].choose(
                layer, self.pool, self.seed, scores[layer.name] if scores else None
            )
            for layer in self.layers
        }

    def unit_probes(self, pools: Mapping[str, Pools]) -> dict[str, dict[str, Probe]]:
        """Return the probes that keep the pools of several kinds, by layer and kind."""
        sampled = [kind for kind in pools if kind != FILTER_MEAN]
        return {
            layer.name: {kind: UnitProbe(pools[kind][layer.name], layer.shape) for kind in sampled}
            for layer in self.layers
        }

    def probes(
        self, pools: Mapping[str, Pools], ranking: Mapping[str, UnitMoments], whole_layers: bool
    ) -> dict[str, dict[str, Probe]]:
        """Return all that sees the first pass, by layer and by what it keeps."""
        probes = self.unit_probes(pools)
        for layer in self.layers:
            at = probes[layer.name]
            # A NaN has no rank, and maps are drawn by the moments of their layer.
            if self.views or self.filter_means or self.maps or layer.name in ranking:
                at["summary"] = SummaryProbe(layer)
            if layer.name in ranking:
                at["ranking"] = ranking[layer.name]
            if whole_layers:
                at[WHOLE] = UnitProbe(np.arange(layer.size), layer.shape)
            if layer.name in self.maps:
                at["maps"] = MapProbe(layer, self.maps[layer.name])
        if self.class_layer:
            classes = UnitProbe(np.arange(self.class_layer.size), self.class_layer.shape)
            probes.setdefault(self.class_layer.name, {})["classes"] = classes
        return probes

    def numbers_per_image(self) -> int:
        """Return how many numbers are kept of an image."""
        units = sum(kind.pool_size(layer, self.pool) for kind in self.kinds.values() for layer in self.layers)
        means = sum(layer.n_filters for layer in self.layers) if self.filter_means else 0
        return units + means + (self.class_layer.size if self.class_layer else 0)


def _whole_layers_fit(plan: _Plan, images: int) -> bool:
    """Return whether whole layers are kept, so that units can be ranked without a second pass.

    Raises
    ------
    InputError
        Not even what was asked for fits into memory.
    """
    budget = MEMORY_SHARE * psutil.virtual_memory().available
    layers = sum(layer.size for layer in plan.layers)
    needed = 4 * plan.numbers_per_image() * images + (RANKING_BYTES * layers if plan.ranked else 0)
    if needed > budget:
        remedy = "--units random" if "all" in plan.kinds else f"fewer --n-units than {plan.pool:,}"
        raise InputError(
            f"{plan.numbers_per_image():,} units of {len(plan.layers)} layers for {images:,} images take "
            f"{needed / 1e9:.1f} GB, more than the {budget / 1e9:.1f} GB that this machine has to "
            f"spare; use {remedy}, fewer --layers, or fewer images"
        )
    return bool(plan.ranked) and needed + 4 * layers * images <= budget


class Cost(NamedTuple):
    """What recording one image costs.

    Attributes
    ----------
    bytes_per_image
        Of memory, for what is kept.
    seconds_per_image
        Of the pass, decoding apart. Ranked units take another where whole layers do not fit into memory.
    """

    bytes_per_image: int
    seconds_per_image: float


def estimate_cost(
    network: Network, layers: Sequence[Layer], *, pool: int, units: str = "random", batch_size: int = 32
) -> Cost:
    """Measure on a batch of noise what recording layers of a network costs.

    Parameters
    ----------
    network
        What would be recorded.
    layers
        Of it.
    pool, units, batch_size
        As for `record`.

    Returns
    -------
    Cost
        For one image, in bytes and seconds.

    Raises
    ------
    InputError
        There is no such kind of units.
    RecordingError
        The pass failed.
    """
    kind = unit_kind(units)
    sizes = {layer.name: kind.pool_size(layer, pool) for layer in layers}
    probes = {}
    for layer in layers:
        scattered = unit_order(layer.name, layer.size, sizes[layer.name], seed=0)
        several: dict[str, Probe] = {
            "units": UnitProbe(scattered, layer.shape),
            "summary": SummaryProbe(layer),
        }
        if kind.ranked_by:
            several["ranking"] = UnitMoments()
        probes[layer.name] = together(several)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (batch_size, *network.input_shape), dtype=np.uint8)
    network.record(pixels[:1], probes)  # what is done once
    started = time.perf_counter()
    network.record(pixels, probes)
    seconds = (time.perf_counter() - started) / batch_size
    return Cost(4 * (sum(sizes.values()) + sum(layer.n_filters for layer in layers)), seconds)


class _Kept:
    """What was kept of each image so far: arrays that are filled from the top, one row an image."""

    def __init__(self, plan: _Plan, total: int) -> None:
        self._plan = plan
        self._total = total
        self._columns: dict[tuple[str, str], np.ndarray] = {}
        self._maps: dict[str, list[np.ndarray]] = {}
        self._map_rows: list[int] = []
        self._thumbnails: list[np.ndarray] = []
        self.labels: list[ImageLabel] = []
        self.skipped: list[SkippedImage] = []

    def __getitem__(self, key: tuple[str, str]) -> np.ndarray:
        """Return what was kept of a layer (n_images, ...), by the layer's name and what it is."""
        return self._columns[key][: len(self.labels)]

    def shown(self, batch: Batch) -> list[int]:
        """Return the rows of a batch whose maps are kept."""
        return [row for row, place in enumerate(batch.indices) if place in self._plan.map_images]

    def add(self, batch: Batch, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Take in what the probes kept of a batch."""
        shown = self.shown(batch)
        for layer, by_probe in found.items():
            for name, kept in by_probe.items():
                if isinstance(kept, Summary):
                    require_finite(kept.filter_mean, layer, batch.labels, of="filters' means")
                    self._put((layer, "mean"), kept.mean)
                    self._put((layer, "variance"), kept.variance)
                    if self._plan.filter_means:
                        self._put((layer, FILTER_MEAN), kept.filter_mean)
                elif name == "maps":
                    self._maps.setdefault(layer, []).append(kept[shown])
                elif kept is not None:
                    require_finite(kept, layer, batch.labels)
                    self._put((layer, name), kept)
        if self._plan.images_to_view:
            self._thumbnails.append(thumbnails(batch.pixels))
        self._map_rows += [len(self.labels) + row for row in shown]
        self.labels += batch.labels

    def _put(self, key: tuple[str, str], values: np.ndarray) -> None:
        if key not in self._columns:
            self._columns[key] = np.empty((self._total, *values.shape[1:]), dtype=values.dtype)
        start = len(self.labels)
        self._columns[key][start : start + len(values)] = values

    def moments(self) -> Moments:
        """Return each image's mean and variance over all units of each layer."""
        layers = self._plan.layers
        mean = np.stack([self[layer.name, "mean"] for layer in layers], axis=1)
        return Moments(mean, np.stack([self[layer.name, "variance"] for layer in layers], axis=1))

    def views(self, network: Network) -> Views:
        """Return what was kept to look at."""
        plan = self._plan
        names = [layer.name for layer in plan.layers]
        return Views(
            filter_means={name: self[name, FILTER_MEAN] for name in names} if plan.images_to_view else {},
            thumbnails=np.concatenate(self._thumbnails) if plan.images_to_view else None,
            predictions=self._predictions(network),
            maps=tuple(
                FilterMap(layer, number, np.concatenate(self._maps[layer])[:, place])
                for layer, numbers in plan.maps.items()
                for place, number in enumerate(numbers)
            ),
            map_images=tuple(self._map_rows) if plan.maps else (),
        )

    def _predictions(self, network: Network) -> Predictions | None:
        layer = self._plan.class_layer
        if layer is None:
            return None
        return Predictions(class_probabilities(self[layer.name, "classes"]), class_names(network, layer.size))


@dataclass(frozen=True)
class _Show:
    """The images that are shown to a network, and how."""

    network: Network
    stimuli: Mapping[str, Stimuli]
    fit: Fit
    batch_size: int
    skip_unreadable: bool
    progress: Progress | None
    passes: int
    _done: Counter[str] = field(default_factory=Counter)

    @property
    def images(self) -> int:
        """How many images there are."""
        return sum(len(given) for given in self.stimuli.values())

    def record(self, probes: Mapping[str, Mapping[str, Probe]], kept: _Kept) -> _Kept:
        """Show every image once, and return what the probes kept."""
        by_layer = {layer: together(several) for layer, several in probes.items() if several}
        unshown = {
            layer: together({name: probe for name, probe in several.items() if name != "maps"})
            for layer, several in probes.items()
            if several.keys() - {"maps"}
        }
        for batch in present(self.stimuli, self.fit, self.batch_size, skip_unreadable=self.skip_unreadable):
            if batch.labels:
                shown = kept.shown(batch)
                kept.add(batch, self.network.record(batch.pixels, by_layer if shown else unshown))
            kept.skipped += batch.skipped
            self._done["images"] += len(batch.labels) + len(batch.skipped)
            if self.progress:
                self.progress(self._done["images"], self.passes * self.images, batch.set)
        counts = Counter(label.set for label in kept.labels)
        for name, given in self.stimuli.items():
            require_a_pair(name, counts[name], f"{given.source}, without what can't be read")
        return kept


def _checked_maps(
    layers: Sequence[Layer], maps: Mapping[str, Sequence[int]] | None
) -> dict[str, tuple[int, ...]]:
    """Return the filters of each layer whose maps are kept, in the order of the layers."""
    if not maps:
        return {}
    if not isinstance(maps, Mapping):
        raise InputError(f"maps is a {type(maps).__name__}; expected {{layer: [filter, ...]}}")
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
        numbers = [filters] if isinstance(filters, int | np.integer) else list(filters)
        if not numbers:
            raise InputError(f"maps (--map): no filter of {name!r} was named; name one, or leave it out")
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | np.integer):
                raise InputError(f"maps (--map): filter {number!r} of {name!r} is no whole number")
            if not 0 <= number < layer.n_filters:
                raise InputError(
                    f"maps (--map): layer {name!r} has no filter {number}; it has {layer.n_filters}, from 0"
                )
        checked[name] = tuple(dict.fromkeys(int(number) for number in numbers))
    return {name: checked[name] for name in by_name if name in checked}


def _checked_map_images(given: int | Sequence[int] | None, most: int | None) -> tuple[int, ...]:
    """Return the places of images in a set; the largest set, of `most` images, has one of them."""
    if given is not None and most is None:
        raise InputError(
            "map_images (--map-images) says whose maps are kept, but no maps (--map) which; give both"
        )
    given = MAP_IMAGES if given is None else given
    places = [given] if isinstance(given, int | np.integer) else given
    for place in places:
        if isinstance(place, bool) or not isinstance(place, int | np.integer) or place < 0:
            raise InputError(f"map_images (--map-images) holds {place!r}; expected places in a set, from 0")
    if most is not None and not any(place < most for place in places):
        raise InputError(
            f"map_images (--map-images) is {tuple(places)}, but the largest set has {most} images, from 0 to "
            f"{most - 1}; choose among those"
        )
    return tuple(sorted({int(place) for place in places}))


def _ranked_values(
    show: _Show, plan: _Plan, pools: Mapping[str, Pools], first: _Kept, whole_layers: bool
) -> dict[str, dict[str, Float[np.ndarray, "n _"]]]:
    """Return the values of the units that the first pass ranked: from what it kept, or from a second pass."""
    names = [layer.name for layer in plan.layers]
    if whole_layers:
        return {
            kind: {name: first[name, WHOLE].take(pool[name], axis=1) for name in names}
            for kind, pool in pools.items()
        }
    second = show.record(plan.unit_probes(pools), _Kept(plan, show.images))
    _require_same_images(first.labels, second.labels)
    return {kind: {name: second[name, kind] for name in names} for kind in pools}


def _provenance(
    show: _Show, skipped: Sequence[SkippedImage], duplicates: Sequence[Sequence[ImageLabel]]
) -> dict[str, Any]:
    network = show.network
    return {
        "network": network.name,
        "fingerprint": network.fingerprint,
        "frameworks": list(network.frameworks),
        "preprocessing": network.preprocessing,
        "input_shape": list(network.input_shape),
        "resize": show.fit.resize,
        "crop": show.fit.crop,
        "batch_size": show.batch_size,
        "device": network.device,
        "sets": {name: given.source for name, given in show.stimuli.items()},
        "skipped": [image._asdict() for image in skipped],
        "duplicates": [[image._asdict() for image in group] for group in duplicates],
    }


def _require_same_images(first: Sequence[ImageLabel], second: Sequence[ImageLabel]) -> None:
    if first != second:
        changed = [label for label, now in zip(first, second, strict=False) if label != now]
        named = f"{changed[0].name!r} of set {changed[0].set!r}" if changed else "their number"
        raise RecordingError(
            f"the images changed between the first pass, which chose the units, and the second: {named}; "
            "run again"
        )
