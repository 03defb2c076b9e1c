"""Scikit-learn's handwritten digits: one half trained the embedded network, the other is shown to it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, UInt8

from differentia.errors import InputError
from differentia.stimuli.arrays import ArrayStimuli


def load_digits(*, held_out: bool) -> tuple[UInt8[np.ndarray, "n 8 8"], Int[np.ndarray, " n"]]:
    """Return the grey images (0..255) and digits of one half: held out is every second from the second on."""
    try:
        from sklearn import datasets
    except ImportError:
        raise InputError(
            "the digits come with scikit-learn, which is not installed: pip install 'differentia[demo]'"
        ) from None
    bundled = datasets.load_digits()
    half = slice(1 if held_out else 0, None, 2)
    images = np.rint(bundled.images[half] * (255 / 16)).astype(np.uint8)
    return images, bundled.target[half].astype(np.int64)


def digits(count: int, *, digit: int | None = None) -> ArrayStimuli:
    """Return the first held-out handwritten digits, or the first of one digit."""
    images, labels = load_digits(held_out=True)
    if digit is not None:
        if digit not in range(10):
            raise InputError(f"digits: digit is {digit!r}; expected 0 to 9")
        images = images[labels == digit]
    if not isinstance(count, int | np.integer) or not 0 < count <= len(images):
        raise InputError(f"digits: {count!r} images asked for; expected 1 to {len(images)}")
    source = f"digits:{count}" + ("" if digit is None else f"?digit={digit}")
    return ArrayStimuli(images[:count], source)
