"""Small results: of responses at hand, and of a classifier whose layers are computed by hand too."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from helpers.networks import tricky

import differentia as dif
from differentia.results.dataset import with_provenance
from differentia.results.published import LAYER_SIZES

RNG = np.random.default_rng(0)
CLASSES = ("ant", "bee", "cat", "dog", "eel")
IMAGES = {
    name: np.random.default_rng(1).integers(0, high, (count, 16, 16, 3), dtype=np.uint8)
    for name, (high, count) in {"bright": (256, 4), "dark": (40, 3)}.items()
}


def neurons(**options: Any) -> xr.Dataset:
    """Measure two layers for two sets of eight responses."""
    arrays = {
        name: {"features.0": RNG.gamma(2.0, 1.0, (8, 60)), "block1/conv": RNG.normal(0, 1, (8, 10))}
        for name in ("stimulus", "spontaneous")
    }
    counts = (5, 20, 50)
    return dif.measure_responses(arrays, n_units=counts, pool=50, draws=6, reference="spontaneous", **options)


def over_time(**options: Any) -> xr.Dataset:
    """Measure the states of five trials of two sets in two areas."""
    rng = np.random.default_rng(3)
    sizes = {"V1": 6, "LM": 4}
    signals = {
        name: {area: rng.gamma(2.0, scale, (5, 80, size)) for area, size in sizes.items()}
        for name, scale in (("natural", 2.0), ("spontaneous", 1.0))
    }
    return dif.measure_states(signals, rate=20.0, **{"length": 0.5, "reference": "spontaneous", **options})


def of_sets(count: int, *, layers: int = 3, reference: str = "set 0", **options: Any) -> xr.Dataset:
    """Measure so many sets of four responses each, named by their place."""
    rng = np.random.default_rng(count)
    arrays = {
        f"set {place}": {
            f"layer {layer}": rng.gamma(1 + place / count, 1.0, (4, 12)) for layer in range(layers)
        }
        for place in range(count)
    }
    return dif.measure_responses(arrays, reference=reference, **options)


def viewed(**options: Any) -> xr.Dataset:
    """Measure few units of a small classifier, with its views."""
    network = dif.load_network(tricky(), preprocess="unit", input_shape=(3, 16, 16), class_names=CLASSES)
    return dif.measure(network, IMAGES, n_units=20, draws=2, **options)


def by_hand() -> dict[str, np.ndarray]:
    """Return what each layer gives for all images, by a forward pass without this package."""
    images = np.concatenate(list(IMAGES.values())).astype(np.float32) / np.float32(255)
    with torch.no_grad():
        given = tricky().eval().by_hand(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    return {name: value.double().numpy() for name, value in given.items()}


def counted(values: np.ndarray, counts: list[int], used: list[list[int]], *, layer: int = 100) -> xr.Dataset:
    """Return a result of one set by hand; its pools are 80 units."""
    return xr.Dataset(
        {
            "differentiation": (("set", "layer", "n_units", "draw"), values[None]),
            "units_used": (("layer", "n_units"), used),
            "pool_size": ("layer", [80] * len(used)),
            "layer_size": ("layer", [layer] * len(used)),
        },
        coords={"draw": np.arange(values.shape[-1]), "n_units": counts, "units": "random"},
    )


#: Of the published curves.
PUBLISHED_SETS = ("white_noise", "tabby_cats", "random_images")
VGG16_PREPROCESSING = "keras.src.applications.vgg16.preprocess_input"


def vgg16_result(
    network: str | None = "keras:VGG16",
    *,
    sizes: dict[str, int] = LAYER_SIZES,
    sets: tuple[str, ...] = PUBLISHED_SETS,
    n_units: tuple[int, ...] = (200, 10_000),
) -> xr.Dataset:
    """Return the values of a few random numbers under the names and sizes of VGG16's layers."""
    rng = np.random.default_rng(2)
    arrays = {name: {layer: rng.normal(size=(3, 8)) for layer in sizes} for name in sets}
    result = dif.measure_responses(arrays, n_units=range(2, 2 + len(n_units)), draws=4)
    result = result.assign_coords(n_units=list(n_units))
    result["layer_size"] = result["layer_size"].copy(data=list(sizes.values()))
    facts = {} if network is None else {"network": network, "preprocessing": VGG16_PREPROCESSING}
    return with_provenance(result, **facts)
