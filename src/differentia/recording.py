"""Recording: a network, sets of stimuli and probes become responses, in one pass over the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import psutil
from jaxtyping import Float, UInt8

from differentia.errors import (
    InputError,
    RecordingError,
    require_count,
    require_distinct_names,
    require_known,
    require_seed,
)
from differentia.networks import Layer, load_network, select_layers
from differentia.probes import UnitProbe
from differentia.responses import ImageLabel, Responses, require_finite
from differentia.stimuli import Fit, Image, NoiseStimuli, Stimuli, stimuli_from
from differentia.units import UNIT_KINDS

#: Called with the number of images done, the number of all, and the set at hand.
Progress = Callable[[int, int, str], None]

#: The share of the free memory that recorded responses may take.
MEMORY_SHARE = 0.5

_DECODERS = 4


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
        Units to keep of each layer (all of a smaller one); no matter for ``units="all"``.
    units : {"random", "all"}
        How they are chosen.
    layers
        Names and shell patterns; by default all but containers and layers that only reshape.
    seed
        Of the choice of units, and of noise that names no seed.
    resize, crop
        How images are fitted to the network's input; see `differentia.stimuli.Fit`.
    batch_size
        Images in one pass.
    progress
        Called after every batch.

    Raises
    ------
    InputError
        Something that was given can't be used; responses that would not fit into memory.
    RecordingError
        The pass failed, or gave a NaN or an infinity.
    """
    require_known("kind of units", units, UNIT_KINDS)
    pool = require_count("pool", pool)
    batch_size = require_count("batch_size", batch_size)
    seed = require_seed(seed)
    stimuli = as_sets(sets, seed=seed)
    network = load_network(network)
    fit = Fit(network.input_shape, resize, crop)
    chosen = select_layers(network.layers, layers)
    total = sum(len(stimulus) for stimulus in stimuli.values())
    _require_memory(chosen, total, pool, units)
    pools = {layer.name: UNIT_KINDS[units](layer.name, layer.size, pool, seed) for layer in chosen}
    probes = {layer.name: UnitProbe(pools[layer.name], layer.shape) for layer in chosen}
    values: dict[str, Float[np.ndarray, "n _"]] = {}
    labels: list[ImageLabel] = []
    for set_name, pixels, batch in _batches(stimuli, fit, batch_size):
        rows = slice(len(labels), len(labels) + len(batch))
        for name, kept in network.record(pixels, probes).items():
            require_finite(kept, name, batch)
            if name not in values:
                values[name] = np.empty((total, kept.shape[1]), dtype=kept.dtype)
            values[name][rows] = kept
        labels += batch
        if progress:
            progress(len(labels), total, set_name)
    noises = [name for name, given in stimuli.items() if isinstance(given, NoiseStimuli)]
    return Responses(
        layers=chosen,
        images=tuple(labels),
        values=values,
        units=pools,
        unit_kind=units,
        seed=seed,
        reference=noises[0] if len(noises) == 1 else None,
        provenance={
            "network": network.name,
            "fingerprint": network.fingerprint,
            "preprocessing": network.preprocessing,
            "input_shape": list(network.input_shape),
            "resize": resize,
            "crop": crop,
            "batch_size": batch_size,
            "device": network.device,
            "sets": {name: given.source for name, given in stimuli.items()},
        },
    )


def as_sets(sets: Mapping[str, Any], *, seed: int) -> dict[str, Stimuli]:
    """Return each set's stimuli, at least two images in each.

    Parameters
    ----------
    sets
        Name -> what `stimuli_from` takes.
    seed
        For noise that names none.

    Raises
    ------
    InputError
        There is no set, a set has fewer than two images, or can't be found.
    """
    if not isinstance(sets, Mapping):
        raise InputError(f"the sets are a {type(sets).__name__}; expected {{name: images}}")
    if not sets:
        raise InputError("no set of images was given; give at least one: --set NAME=SOURCE")
    stimuli: dict[str, Stimuli] = {}
    for name, source in zip(require_distinct_names("set", sets), sets.values(), strict=True):
        try:
            stimuli[name] = stimuli_from(source, seed=seed)
        except InputError as error:
            raise InputError(f"set {name!r}: {error}") from error
        if len(stimuli[name]) < 2:
            count = "1 image" if len(stimuli[name]) == 1 else "no image"
            raise InputError(
                f"set {name!r} has {count} ({stimuli[name].source}); expected at least 2, a pair to compare"
            )
    return stimuli


def _require_memory(layers: Sequence[Layer], images: int, pool: int, units: str) -> None:
    per_image = sum(layer.size if units == "all" else min(layer.size, pool) for layer in layers)
    needed = 4 * per_image * images
    budget = MEMORY_SHARE * psutil.virtual_memory().available
    if needed > budget:
        remedy = "--units random" if units == "all" else f"fewer --n-units than {pool:,}"
        raise InputError(
            f"{per_image:,} units of {len(layers)} layers for {images:,} images take "
            f"{needed / 1e9:.1f} GB, more than the {budget / 1e9:.1f} GB that this machine has to "
            f"spare; use {remedy}, fewer --layers, or fewer images"
        )


def _batches(
    stimuli: Mapping[str, Stimuli], fit: Fit, size: int
) -> Iterator[tuple[str, UInt8[np.ndarray, "b h w c"], list[ImageLabel]]]:
    """Yield each set's images in batches, decoded on threads while the network has the batch before."""
    spans = [
        (name, range(start, min(start + size, len(given))))
        for name, given in stimuli.items()
        for start in range(0, len(given), size)
    ]

    def load(name: str, index: int) -> Image:
        try:
            return stimuli[name].load(index, fit)
        except InputError as error:
            raise InputError(f"set {name!r}: {error}") from error
        except MemoryError as error:
            raise RecordingError(
                f"set {name!r}, image {stimuli[name].names[index]!r}: too large for this machine's "
                "memory; shrink it"
            ) from error

    with ThreadPoolExecutor(_DECODERS) as threads:

        def start(span: tuple[str, range]) -> list[Future[Image]]:
            return [threads.submit(load, span[0], index) for index in span[1]]

        coming = start(spans[0])
        try:
            for position, (name, indices) in enumerate(spans):
                at_hand = coming
                coming = start(spans[position + 1]) if position + 1 < len(spans) else []
                images = [future.result() for future in at_hand]
                labels = [
                    ImageLabel(name, stimuli[name].names[index], image.hash)
                    for index, image in zip(indices, images, strict=True)
                ]
                yield name, np.stack([image.pixels for image in images]), labels
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
