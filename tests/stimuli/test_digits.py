"""Handwritten digits that did not train the network."""

from __future__ import annotations

import numpy as np

from differentia.stimuli.base import Fit
from differentia.stimuli.digits import load_digits
from differentia.stimuli.sources import stimuli_from


def test_digits_are_held_out() -> None:
    """The digits that are shown are those that did not train the network."""
    shown, labels = load_digits(held_out=True)
    trained, _ = load_digits(held_out=False)
    assert len(shown) + len(trained) == 1797
    threes = stimuli_from("digits:43?digit=3")
    fit = Fit((8, 8, 1))
    for index in range(43):
        pixels = threes.load(index, fit).pixels[..., 0]
        assert any(np.array_equal(pixels, image) for image in shown[labels == 3])
        assert not any(np.array_equal(pixels, image) for image in trained)
