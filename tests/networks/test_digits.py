"""The embedded network reads digits."""

from __future__ import annotations

import numpy as np

import differentia as dif
from differentia.networks.probes import UnitProbe


def test_digits_network_reads_held_out_digits() -> None:
    """The embedded network is right about at least 96 % of the digits that it has not seen."""
    from differentia.stimuli.base import Fit
    from differentia.stimuli.digits import load_digits

    images, labels = load_digits()
    network = dif.load_network("digits")
    stimuli, fit = dif.images(images), Fit(network.input_shape)
    pixels = np.stack([stimuli.load(index, fit).pixels for index in range(len(stimuli))])
    probabilities = network.record(pixels, {"predictions": UnitProbe(np.arange(10), (10,))})["predictions"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (probabilities.argmax(axis=1) == labels).mean() >= 0.96
    assert network.class_names == tuple("0123456789")
    convolutions = [layer for layer in network.layers if layer.kind == "Conv2d"]
    assert len(convolutions) == 8
