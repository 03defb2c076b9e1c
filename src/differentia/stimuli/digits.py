"""Scikit-learn's handwritten digits: one half trained the embedded network, the other is shown to it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, UInt8

from differentia.errors import InputError
from differentia.stimuli.arrays import ArrayStimuli


def load_digits(*, held_out: bool) -> tuple[UInt8[np.ndarray, "n 8 8"], Int[np.ndarray, " n"]]:
    """Return one half of the digits: every second image from the first (training) or second on.

    Parameters
    ----------
    held_out
        True for the half that the embedded network has never seen.

    Returns
    -------
    images : (n, 8, 8)
        Grey, 0..255.
    labels : (n,)
        The digit in each image, 0..9.

    Raises
    ------
    InputError
        Scikit-learn is not installed.
    """
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
    """Return the first held-out handwritten digits, or the first of one digit.

    Parameters
    ----------
    count
        How many images.
    digit
        0..9; every digit if left out.

    Raises
    ------
    InputError
        There are not so many, or no such digit; scikit-learn is not installed.
    """
    images, labels = load_digits(held_out=True)
    if digit is not None:
        if digit not in range(10):
            raise InputError(f"digits: digit is {digit!r}; expected 0 to 9")
        images = images[labels == digit]
    if not isinstance(count, int | np.integer) or not 0 < count <= len(images):
        raise InputError(f"digits: {count!r} images asked for; expected 1 to {len(images)}")
    source = f"digits:{count}" + ("" if digit is None else f"?digit={digit}")
    return ArrayStimuli(images[:count], source)
