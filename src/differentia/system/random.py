"""Every source of random numbers: each depends on words and numbers alone, not on what was drawn before."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Int8, UInt64

from differentia.system.turns import in_turn


def _source(*parts: object) -> np.random.Philox:
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return np.random.Philox(key=np.frombuffer(digest[:16], dtype="<u8"))


def random_keys(count: int, *parts: object) -> UInt64[np.ndarray, " {count}"]:
    """Return random keys; the i-th depends only on `parts` and i."""
    return _source(*parts).random_raw(count)


def random_signs(count: int, *parts: object) -> Int8[np.ndarray, " {count}"]:
    """Return random signs, 1 or -1; the i-th depends only on `parts` and i."""
    keys = random_keys(-(-count // 64), "sign", *parts).astype("<u8")
    bits = np.unpackbits(keys.view(np.uint8), count=count, bitorder="little")
    return 1 - 2 * bits.astype(np.int8)


def generator_of(*parts: object) -> np.random.Generator:
    """Return a generator that depends only on `parts`."""
    return np.random.Generator(_source(*parts))


def generator_of_image(seed: int, index: int) -> np.random.Generator:
    """Return the generator of one noise image."""
    return np.random.Generator(np.random.Philox(key=[seed, index]))


def fixed_generator() -> np.random.Generator:
    """Return a generator that is always the same, for where any numbers do."""
    return np.random.default_rng(0)


@contextmanager
def torch_numbers_kept(seed: int) -> Iterator[None]:
    """Draw PyTorch's random numbers on the CPU from a seed, and leave those of the user as they were."""
    import torch

    with in_turn(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def python_numbers_kept(seed: int | None = None) -> Iterator[None]:
    """Leave Python's random numbers alone, from which Keras draws its seeds; there they may have a seed."""
    with in_turn():
        state = random.getstate()
        if seed is not None:
            random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)


def python_generator(seed: int) -> random.Random:
    """Return a generator of the numbers that Python's own gives after a seed, which no other thread has."""
    return random.Random(seed)
