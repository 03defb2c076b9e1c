"""Simulated responses whose differentiation varies over images in different ways."""

from __future__ import annotations

import numpy as np

K = 60
SCALES = 1 / np.sqrt(np.arange(1, K + 1))


def gaussian(rng: np.random.Generator, n: int) -> np.ndarray:
    """Independent units of different variance."""
    return rng.normal(size=(n, K)) * SCALES


def contrast_varying(rng: np.random.Generator, n: int) -> np.ndarray:
    """The same, multiplied by each image's log-normal contrast."""
    return np.exp(0.5 * rng.normal(size=(n, 1))) * gaussian(rng, n)
