"""A small result whose layers follow the stimulus more or less."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import xarray as xr
from helpers.figures import of_network

import differentia as dif

LAYERS = ("input", "early", "late", "noise")


def films(n: int = 12, *, images: int = 8, seed: int = 2, spread: float = 1.0) -> dict[str, Any]:
    """Return responses to films that differ more and more: "early" passes them on, "noise" does not."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(20, 30))
    arrays = {}
    for number in range(n):
        shown = (1 + spread * number / n) * rng.normal(size=(images, 20))
        early = shown @ weights
        arrays[f"film {number}"] = {
            "input": shown,
            "early": early + rng.normal(size=early.shape),
            "late": 0.3 * early + 2 * rng.normal(size=early.shape),
            "noise": rng.normal(size=(images, 25)),
        }
    return arrays


@cache
def measured() -> xr.Dataset:
    """Return the result of twelve films, as of a network, beside noise far away from all."""
    rng = np.random.default_rng(9)
    far = {layer: 50 * rng.normal(size=(8, 20 if layer == "input" else 30)) for layer in LAYERS}
    far["noise"] = rng.normal(size=(8, 25))
    arrays = {"white_noise": far, **films()}
    return of_network(dif.measure_responses(arrays, normalize="none", reference="white_noise"))
