"""Recorded responses: what was kept of each layer for each image of each set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Num

from differentia.definition import as_responses
from differentia.errors import InputError, RecordingError, require_distinct_names, require_known
from differentia.networks.base import Layer
from differentia.units import UNIT_KINDS


class ImageLabel(NamedTuple):
    """The set an image was shown in, its name there, and the SHA-256 of its content ("" if unknown)."""

    set: str
    name: str
    hash: str


@dataclass(frozen=True)
class Responses:
    """The recorded units of each layer, for all images of all sets.

    Attributes
    ----------
    layers
        In the order of computation.
    images
        One label for each response; the images of a set follow one another.
    values
        By layer name: (n_images, pool_size), the columns in the order of `units`.
    units
        By layer name: (pool_size,) indices into the layer's flattened output, in C order.
    unit_kind
        How the pools were chosen: a key of `differentia.units.UNIT_KINDS`.
    seed
        Of the pools, and of the draws from them.
    reference
        The set that is by its nature the reference (the only noise), if there is one.
    provenance
        What was recorded and how, for the result.
    """

    layers: tuple[Layer, ...]
    images: tuple[ImageLabel, ...]
    values: Mapping[str, Num[np.ndarray, "n _"]]
    units: Mapping[str, Int[np.ndarray, " _"]]
    unit_kind: str
    seed: int
    reference: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sets(self) -> dict[str, slice]:
        """The sets in order, each with its rows."""
        slices: dict[str, slice] = {}
        for row, image in enumerate(self.images):
            start = slices[image.set].start if image.set in slices else row
            slices[image.set] = slice(start, row + 1)
        return slices


def require_finite(
    values: Num[np.ndarray, "n k"], layer: str, images: tuple[ImageLabel, ...] | list[ImageLabel]
) -> None:
    """Raise an error where a response is not finite.

    Parameters
    ----------
    values : (n_images, n_units)
    layer
        Its name.
    images
        The label of each row.

    Raises
    ------
    RecordingError
        Names the set, the layer and the first offending image.
    """
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        bad = values[row][~np.isfinite(values[row])]
        raise RecordingError(
            f"set {images[row].set!r}, layer {layer!r}, image {images[row].name!r}: "
            f"{len(bad)} of {values.shape[1]} units are {bad[0]}; expected finite responses: "
            "look at this image, or at the network's weights and precision"
        )


def responses_from_arrays(
    arrays: Mapping[str, Mapping[str, Any]],
    *,
    unit_kind: str = "all",
    pool: int | None = None,
    seed: int = 0,
) -> Responses:
    """Return stored activations or recorded neurons as responses.

    Parameters
    ----------
    arrays
        Set -> layer (or area) -> (n_responses, n_units): each layer with the same units in every set.
    unit_kind : {"all", "random"}
        How the pool is chosen from the columns.
    pool
        Units in each layer's pool, for "random".
    seed
        Of the pools, and of the draws from them.

    Raises
    ------
    InputError
        An array is no matrix of finite numbers with at least 2 responses, or the sets do not have the
        same layers and units.
    """
    require_known("kind of units", unit_kind, UNIT_KINDS)
    if not isinstance(arrays, Mapping) or not arrays:
        raise InputError("expected responses as {set: {layer: array}}, with at least one set")
    matrices: dict[str, dict[str, Num[np.ndarray, "n k"]]] = {}
    for name, by_layer in zip(require_distinct_names("set", arrays), arrays.values(), strict=True):
        if not isinstance(by_layer, Mapping) or not by_layer:
            raise InputError(f"set {name!r} holds no layer; expected {{set: {{layer: array}}}}")
        names = require_distinct_names("layer", by_layer)
        matrices[name] = {
            layer: as_responses(array, f"set {name!r}, layer {layer!r}")
            for layer, array in zip(names, by_layer.values(), strict=True)
        }
    first, by_layer = next(iter(matrices.items()))
    for name, others in matrices.items():
        _require_same_layers(first, by_layer, name, others)
    layers = tuple(Layer(layer, "Recorded", (array.shape[1],), layer) for layer, array in by_layer.items())
    images = tuple(
        ImageLabel(name, str(row), "")
        for name, others in matrices.items()
        for row in range(len(next(iter(others.values()))))
    )
    values, units = {}, {}
    for layer in layers:
        chosen = UNIT_KINDS[unit_kind](layer.name, layer.size, pool or layer.size, seed)
        whole = np.concatenate([others[layer.name] for others in matrices.values()])
        values[layer.name] = whole if unit_kind == "all" else whole.take(chosen, axis=1)
        units[layer.name] = chosen
    return Responses(layers, images, values, units, unit_kind, seed)


def _require_same_layers(
    first: str, expected: Mapping[str, np.ndarray], name: str, given: Mapping[str, np.ndarray]
) -> None:
    if set(expected) != set(given):
        odd = sorted(set(expected) ^ set(given))
        raise InputError(
            f"sets {first!r} and {name!r} differ in the layers {', '.join(odd)}; "
            "expected every layer in every set"
        )
    counts = {layer: len(array) for layer, array in given.items()}
    if len(set(counts.values())) != 1:
        raise InputError(
            f"set {name!r} has different numbers of responses in its layers ({counts}); "
            "expected one response of every layer to each stimulus"
        )
    for layer, array in given.items():
        if array.shape[1] != expected[layer].shape[1]:
            raise InputError(
                f"layer {layer!r} has {expected[layer].shape[1]} units in set {first!r} but "
                f"{array.shape[1]} in {name!r}; expected the same units in every set"
            )
