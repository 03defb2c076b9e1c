"""Networks whose pass is rewritten or compiled, and what their own pass gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch
from helpers.networks import tricky

import differentia as dif
from differentia.networks import graph
from differentia.networks.probes import SummaryProbe, UnitProbe

RNG = np.random.default_rng(0)


PIXELS = RNG.integers(0, 256, (5, 24, 24, 3), dtype=np.uint8)


def every_kind_of_layer() -> Any:
    """Return a Keras model of what is rewritten, and of what could be rewritten wrongly."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    inputs = keras.Input((24, 24, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="same", bias_initializer="normal")(inputs)
    shortcut = x
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="unbiased")(x)
    x = layers.BatchNormalization(name="norm", beta_initializer="normal", moving_mean_initializer="normal")(x)
    x = layers.ReLU(6.0, name="relu6")(x)
    x = layers.Add(name="sum")([x, shortcut])  # of what would be overwritten, were it not needed here
    x = layers.Activation("relu", name="after")(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", name="depthwise", bias_initializer="normal")(x)
    x = layers.Conv2D(6, 2, strides=2, name="strided", bias_initializer="normal", activation="tanh")(x)
    y = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Concatenate(name="both")([layers.UpSampling2D(2, name="up")(y), x[:, :6, :6]])
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(12, activation="silu", name="dense", bias_initializer="normal")(x)
    x = layers.Dense(5, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, x)


def load(model: Any = None) -> dif.Network:
    return dif.load_network(every_kind_of_layer() if model is None else model, preprocess="signed")


def probes(network: dif.Network) -> dict[str, Any]:
    return {
        layer.name: {"all": UnitProbe(np.arange(layer.size), layer.shape), "sums": SummaryProbe(layer)}
        for layer in network.layers
    }


def own_pass(network: dif.Network, pixels: np.ndarray) -> dict[str, np.ndarray]:
    return network.record(pixels, {name: several["all"] for name, several in probes(network).items()})


def report_outputs(network: dif.Network) -> graph.ReportingPass:
    def run(batch: torch.Tensor, report: Callable[[str, torch.Tensor], None]) -> None:
        network.observe_outputs(batch, lambda name, call, output: report(name, output))

    return run


class Noisy(keras.layers.Layer):  # type: ignore[misc]
    """Has a state that it draws by."""

    def call(self, x: Any) -> Any:
        return x + 0 * keras.random.normal(keras.ops.shape(x))


NETWORKS: dict[str, Callable[[], dif.Network]] = {
    "torch": lambda: dif.load_network(tricky(), preprocess="unit", input_shape=(3, 24, 24)),
    "keras": load,
}
