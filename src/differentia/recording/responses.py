"""Recorded responses: what was kept of each layer for each image of each set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num, UInt8

from differentia.definition.matrix import ResponseMatrix, Rows
from differentia.errors import InputError, RecordingError, require_distinct_names
from differentia.networks.layers import Layer
from differentia.recording.labelled import Labelled, labelled, with_same_stimuli, with_same_units
from differentia.recording.units import draw_units, unit_kind, units_of_draw, units_used
from differentia.stimuli.presentation import ImageLabel
from differentia.system.showing import Shown, listed

#: The layer, or population, of responses that name none.
ALL = "all"

#: Squares of larger responses, or the distances that are kept as float32, could be infinite.
LARGEST = 1e32

#: By set and layer: (n_responses, n_units).
Matrices = dict[str, dict[str, Num[np.ndarray, "_ _"]]]


class Moments(NamedTuple):
    """Mean and population variance of each image over all units of each layer, not only the sampled ones."""

    mean: Float[np.ndarray, "n layer"]
    variance: Float[np.ndarray, "n layer"]


class Predictions(NamedTuple):
    """The probability of each class for each image; a class without a name is called by its number."""

    probabilities: Float[np.ndarray, "n class"]
    class_names: tuple[str, ...]


class FilterMap(NamedTuple):
    """The whole map of one channel of a layer, for chosen images."""

    layer: str
    filter: int
    values: Float[np.ndarray, "m y x"]


@dataclass(frozen=True)
class Views:
    """What was recorded for looking at, beside the units that the measure is made of.

    Very many images have no channels' means and no thumbnails, nor has a layer whose channels are not known
    such means; only a network of classes has predictions.
    """

    #: By layer.
    filter_means: Mapping[str, Float[np.ndarray, "n _"]] = field(default_factory=dict)
    predictions: Predictions | None = None
    maps: tuple[FilterMap, ...] = ()
    #: The rows that the maps are of.
    map_images: tuple[int, ...] = ()
    thumbnails: UInt8[np.ndarray, "n y x c"] | None = None


@dataclass(frozen=True, repr=False)
class Responses(Shown):
    """The recorded units of each layer, for all images of all sets.

    Attributes
    ----------
    layers
        In the order of computation.
    images
        One label for each response; the images of a set follow one another.
    values
        By layer name: (n_images, pool_size), the columns in the order of `units`; an array, or what is read
        from a store when it is sliced.
    units
        By layer name: (pool_size,) indices into the layer's flattened output, in C order. Where a sketch was
        kept of a layer with more units, the places in that.
    unit_kind
        How the pools were chosen: a name for `differentia.recording.units.unit_kind`.
    seed
        Of the pools, and of the draws from them.
    reference
        The set that is by its nature the reference (the only noise), if there is one.
    provenance
        What was recorded and how, for the result.
    moments
        Of all units, where they are known.
    views
        What was recorded for looking at.
    attributes
        What else is known of each image, by name: text, or numbers (see `Stimuli`).
    independent
        Whether the responses to the images of a set are independent of each other, as limits take them.
    """

    layers: tuple[Layer, ...]
    images: tuple[ImageLabel, ...]
    values: Mapping[str, ResponseMatrix]
    units: Mapping[str, Int[np.ndarray, " _"]]
    unit_kind: str
    seed: int
    reference: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    moments: Moments | None = None
    views: Views = field(default_factory=Views)
    attributes: Mapping[str, Sequence[str | float]] = field(default_factory=dict)
    independent: bool = True

    def _shown(self) -> tuple[str, dict[str, str]]:
        sizes = [f"{name} ({rows.stop - rows.start:,})" for name, rows in self.sets.items()]
        pools = sum(map(len, self.units.values()))
        facts = {
            "network": str(self.provenance.get("network", "")),
            "sets": listed(sizes),
            "layers": listed([layer.name for layer in self.layers]),
            "units": f"{self.unit_kind}, {pools:,} in all layers together",
            "reference": self.reference or "",
        }
        things = "images" if facts["network"] else "stimuli"
        return f"Responses to {len(self.images):,} {things}", {
            name: fact for name, fact in facts.items() if fact
        }

    def units_used(self, layer: Layer, n_units: int) -> int:
        """Return how many of a layer's units a draw of `n_units` looks at."""
        pool = len(self.units[layer.name])
        kind = unit_kind(self.unit_kind)
        return units_used(pool, n_units, strata=kind.strata(layer)) if kind.counted else pool

    def drawn(self, layer: Layer, n_units: int, draw: int) -> Int[np.ndarray, " k"] | None:
        """Return the columns that a draw of units looks at, or None where there is no such draw."""
        kind, pool = unit_kind(self.unit_kind), len(self.units[layer.name])
        if draw and not kind.random:
            return None
        if not kind.counted:
            return np.arange(pool)
        return draw_units(layer.name, pool, n_units, draw, seed=self.seed, strata=kind.strata(layer))

    def all_drawn(
        self, layer: Layer, counts: Sequence[int], draws: int
    ) -> dict[int, list[Int[np.ndarray, " _"]]]:
        """Return the columns that each draw of units looks at, in ascending order, by the number looked at.

        Where numbers of units come to the same, so do the draws; and there may be fewer than asked for.
        """
        kind, pool = unit_kind(self.unit_kind), len(self.units[layer.name])
        used = sorted({self.units_used(layer, count) for count in counts}, reverse=True)
        drawn = {count: [np.arange(count)] for count in used}
        several = [count for count in used if count < pool]
        strata = kind.strata(layer)
        for draw in range(1, draws) if kind.random and several else ():
            of_draw = units_of_draw(layer.name, pool, several, draw, seed=self.seed, strata=strata)
            for count, columns in zip(several, of_draw, strict=True):
                drawn[count].append(columns)
        return drawn

    @property
    def sets(self) -> dict[str, slice]:
        """The sets in order, each with its rows."""
        slices: dict[str, slice] = {}
        for row, image in enumerate(self.images):
            start = slices[image.set].start if image.set in slices else row
            slices[image.set] = slice(start, row + 1)
        return slices


def require_finite(
    values: Num[np.ndarray, "n k"], layer: str, images: Sequence[ImageLabel], *, of: str = "units"
) -> None:
    """Raise an error that names the first image with a response that is not finite."""
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        bad = values[row][~np.isfinite(values[row])]
        raise RecordingError(
            (f"set {images[row].set!r}, " if images[row].set else "")
            + f"layer {layer!r}, image {images[row].name!r}: "
            f"{len(bad)} of {values.shape[1]} {of} are {bad[0]}; expected finite responses: "
            "look at this image, or at the network's weights and precision"
        )


def responses_from_arrays(
    arrays: Mapping[str, Any],
    *,
    kind: str = "all",
    pool: int | None = None,
    seed: int = 0,
) -> Responses:
    """Return stored activations or recorded neurons, {set: {layer: (n_responses, n_units)}}, as responses.

    A set may be one array, of one layer "all". Every set has the same layers, and each layer the same units:
    those of DataFrames and DataArrays go by their labels, others by their place. The pool of units is chosen
    from the columns (all or random), and the seed is that of the draws too.
    """
    given = labelled_matrices(arrays)
    matrices = values_of(given)
    by_layer = next(iter(matrices.values()))
    layers = tuple(Layer(layer, "Recorded", (array.shape[1],), layer) for layer, array in by_layer.items())
    names_of_images = {name: _names_of_stimuli(of_set) for name, of_set in given.items()}
    images = tuple(
        ImageLabel(name, row, image, "")
        for name, names in names_of_images.items()
        for row, image in enumerate(names)
    )
    values, units, means, variances = {}, {}, [], []
    for layer in layers:
        for name, of_set in matrices.items():
            require_moderate(of_set[layer.name], f"set {name!r}, layer {layer.name!r}")
        whole = np.concatenate([others[layer.name] for others in matrices.values()])
        chosen = unit_kind(kind).choose(layer, pool or layer.size, seed, None)
        values[layer.name] = whole if kind == "all" else whole.take(chosen, axis=1)
        units[layer.name] = chosen
        rows = Rows(whole)
        means.append(rows.means())
        variances.append(rows.minus(means[-1]).square_sums() / layer.size)
    moments = Moments(np.stack(means, axis=1), np.stack(variances, axis=1))
    return Responses(layers, images, values, units, kind, seed, moments=moments)


def require_moderate(values: Num[np.ndarray, "n k ..."], where: str) -> None:
    """Raise an error for responses whose squares may be infinite."""
    lowest, highest = float(values.min()), float(values.max())
    if max(-lowest, highest) > LARGEST:
        raise InputError(
            f"{where} holds {highest if highest > -lowest else lowest:g}; expected responses of at most "
            f"{LARGEST:g} in size: divide all by the same number"
        )


def labelled_matrices(
    arrays: Mapping[Any, Any],
    *,
    place: str = "layer",
    read: Callable[[Any, str], Labelled] = labelled,
) -> dict[str, dict[str, Labelled]]:
    """Return arrays with their labels, by which stimuli and units are brought into one order.

    Errors call a layer what `place` says; `read` makes of each array, and what errors call it, responses.
    """
    if not isinstance(arrays, Mapping) or not arrays:
        raise InputError("expected responses as {set: {layer: array}}, with at least one set")
    given: dict[str, dict[str, Labelled]] = {}
    for name, by_layer in zip(require_distinct_names("set", arrays), arrays.values(), strict=True):
        if hasattr(by_layer, "__array__") and not isinstance(by_layer, Mapping):
            by_layer = {ALL: by_layer}
        if not isinstance(by_layer, Mapping) or not by_layer:
            raise InputError(
                f"set {name!r} holds no {place}; expected {{set: {{{place}: array}}}} or {{set: array}}"
            )
        names = require_distinct_names(place, by_layer)
        given[name] = {
            layer: read(array, f"set {name!r}, {place} {layer!r}")
            for layer, array in zip(names, by_layer.values(), strict=True)
        }
    first, of_first = next(iter(given.items()))
    for name, others in given.items():
        _require_same_layers(first, of_first, name, others, place)
    given = {name: with_same_stimuli(of_set, name, place) for name, of_set in given.items()}
    for layer in of_first:
        same = with_same_units({name: others[layer] for name, others in given.items()}, layer, place)
        for name, matrix in same.items():
            given[name][layer] = matrix
    for name, others in given.items():
        _require_same_units(first, given[first], name, others, place)
    return given


def values_of(given: Mapping[str, Mapping[str, Labelled]]) -> Matrices:
    """Return matrices without their labels."""
    return {name: {layer: one.values for layer, one in of_set.items()} for name, of_set in given.items()}


def _names_of_stimuli(matrices: Mapping[str, Labelled]) -> list[str]:
    """Return the labels of a set's stimuli, as the first layer with distinct ones has them, or numbers."""
    for one in matrices.values():
        if one.stimuli is not None and len({*map(str, one.stimuli)}) == len(one.stimuli):
            return [str(label) for label in one.stimuli]
    return [str(row) for row in range(len(next(iter(matrices.values())).values))]


def _require_same_layers(
    first: str, expected: Mapping[str, Labelled], name: str, given: Mapping[str, Labelled], place: str
) -> None:
    """Raise an error unless a set has the layers of the first, and a response of each to each stimulus."""
    if set(expected) != set(given):
        odd = sorted(set(expected) ^ set(given))
        raise InputError(
            f"sets {first!r} and {name!r} differ in the {place}s {', '.join(odd)}; "
            f"expected every {place} in every set"
        )
    counts = {layer: len(one.values) for layer, one in given.items()}
    if len(set(counts.values())) != 1:
        raise InputError(
            f"set {name!r} has different numbers of responses in its {place}s ({counts}); "
            f"expected one response of every {place} to each stimulus"
        )


def _require_same_units(
    first: str, expected: Mapping[str, Labelled], name: str, given: Mapping[str, Labelled], place: str
) -> None:
    for layer, one in given.items():
        if one.values.shape[1] != expected[layer].values.shape[1]:
            raise InputError(
                f"{place} {layer!r} has {expected[layer].values.shape[1]} units in set {first!r} but "
                f"{one.values.shape[1]} in {name!r}; expected the same units in every set"
            )
