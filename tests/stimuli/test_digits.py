"""Handwritten digits that did not train the network."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets

from differentia.errors import InputError
from differentia.stimuli.base import Fit
from differentia.stimuli.digits import DIGITS, digits, load_digits
from differentia.stimuli.sources import stimuli_from


def test_digits_are_scikit_learns() -> None:
    """The file that the package holds has every second of them, to the byte, and is small."""
    bundled = datasets.load_digits()
    images, labels = load_digits()
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, np.rint(bundled.images[1::2] * 255 / 16))
    np.testing.assert_array_equal(labels, bundled.target[1::2])
    assert not np.array_equal(labels[:800], bundled.target[0:1600:2])
    assert DIGITS.stat().st_size < 60_000


def test_digits_are_held_out() -> None:
    """The digits that are shown are none of those that trained the network."""
    bundled = datasets.load_digits()
    trained = np.rint(bundled.images[0::2] * 255 / 16)
    threes, fit = stimuli_from("digits:43?digit=3"), Fit((8, 8, 1))
    shown, labels = load_digits()
    for index in range(43):
        pixels = threes.load(index, fit).pixels[..., 0]
        assert np.array_equal(pixels, shown[labels == 3][index])
        assert not (trained == pixels).all(axis=(1, 2)).any()


@pytest.mark.parametrize(
    ("count", "digit", "told"),
    [(0, None, "0 images asked for; expected 1 to 898"), (3, 10, "digit is 10; expected 0 to 9")],
)
def test_what_there_is_not(count: int, digit: int | None, told: str) -> None:
    """An error says how many there are, and which."""
    with pytest.raises(InputError, match=told):
        digits(count, digit=digit)
