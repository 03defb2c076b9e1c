"""Handwritten digits that the embedded network was not trained on.

They are every second of scikit-learn's, from the UCI data set "Optical Recognition of Handwritten Digits"
(Alpaydin & Kaynak, 1998, doi:10.24432/C50P49; CC BY 4.0). ``training/write_digits.py`` writes ``digits.npz``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from differentia.errors import InputError
from differentia.stimuli.arrays import ArrayStimuli

DIGITS = Path(__file__).with_name("digits.npz")


def load_digits() -> tuple[UInt8[np.ndarray, "n 8 8"], Int[np.ndarray, " n"]]:
    """Return the grey images (0..255), and which digit each is."""
    with np.load(DIGITS) as bundled:
        return bundled["images"], bundled["labels"].astype(np.int64)


def digits(count: int, *, digit: int | None = None) -> ArrayStimuli:
    """Return the first held-out handwritten digits, or the first of one digit."""
    images, labels = load_digits()
    if digit is not None:
        if digit not in range(10):
            raise InputError(f"digits: digit is {digit!r}; expected 0 to 9")
        images = images[labels == digit]
    if not isinstance(count, int | np.integer) or not 0 < count <= len(images):
        raise InputError(f"digits: {count!r} images asked for; expected 1 to {len(images)}")
    source = f"digits:{count}" + ("" if digit is None else f"?digit={digit}")
    return ArrayStimuli(images[:count], source)
