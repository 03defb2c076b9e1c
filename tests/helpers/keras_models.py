"""A Keras model, images for it, and all that a pass gives of them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import differentia as dif
from differentia.networks.probes import UnitProbe

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)


def functional() -> keras.Model:
    """Return a model with a shared layer, a model within, a sum, and inert layers."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    shared = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    x = shared(image)
    x = shared(x)
    within = keras.Input((16, 16, 3))
    y = keras.layers.Conv2D(4, 3, name="conv")(within)
    y = keras.layers.BatchNormalization(name="bn")(y)
    backbone = keras.Model(within, y, name="backbone")
    x = backbone(x)
    x = keras.layers.Add(name="add")([x, x])
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(0.5, name="dropout")(x)
    return keras.Model(image, keras.layers.Dense(5, activation="softmax", name="predictions")(x))


class Mlp(keras.layers.Layer):  # type: ignore[misc]
    """Two layers of somebody's own."""

    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.dense = keras.layers.Dense(width, activation="gelu")
        self.out = keras.layers.Dense(8)

    def call(self, x: Any) -> Any:
        return self.out(self.dense(x))


class Block(keras.layers.Layer):  # type: ignore[misc]
    """A block of a transformer, of layers in attributes, lists and dicts, of which one has three names."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.norm = self.same_norm = keras.layers.LayerNormalization()
        self.attention = keras.layers.MultiHeadAttention(2, 4)
        self.mlp = Mlp(16)
        self.heads = [keras.layers.Dense(8), (keras.layers.Dense(8),)]
        self.named = {"a": keras.layers.Dense(8)}
        self.stack = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(8, name="last")])
        self.not_called = keras.layers.Dense(3)
        self.norms = [self.norm]

    def call(self, x: Any) -> Any:
        y = self.norm(x)
        x = x + self.attention(y, y)
        x = x + self.mlp(self.same_norm(x))
        return x + self.stack(self.named["a"](self.heads[1][0](self.heads[0](x))))


def vision_transformer() -> keras.Model:
    """Return a transformer of such blocks."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 4, strides=4, name="patches")(image)
    x = keras.layers.Reshape((16, 8), name="tokens")(x)
    for nth in range(2):
        x = Block(name=f"block_{nth}")(x)
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(5, name="head")(x))


def load(model: keras.Model, **options: Any) -> dif.Network:
    return dif.load_network(model, **{"preprocess": "unit", **options})


def record_all(network: dif.Network, pixels: np.ndarray = PIXELS) -> dict[str, np.ndarray]:
    probes = {layer.name: UnitProbe(np.arange(layer.size), layer.shape) for layer in network.layers}
    shapes = {layer.name: layer.shape for layer in network.layers}
    return {n: v.reshape(-1, *shapes[n]) for n, v in network.record(pixels, probes).items()}


class JoinClassToken(keras.layers.Layer):  # type: ignore[misc]
    """Puts a class token before the patches."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="random_normal", name="cls_token")

    def call(self, patches: Any) -> Any:
        tokens = keras.ops.repeat(self.token, keras.ops.shape(patches)[0], axis=0)
        return keras.ops.concatenate([tokens, patches], axis=1)


def joining() -> keras.Model:
    """Return a network of 16 patches of 32 x 32 pixels and a class token, which dense layers mix."""
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(24, 8, strides=8, name="patches")(image)
    x = keras.layers.Reshape((16, 24), name="sequence")(x)
    x = JoinClassToken(name="joined")(x)
    for block in ("one", "two"):
        y = keras.layers.LayerNormalization(name=f"{block}_norm")(x)
        y = keras.layers.Permute((2, 1), name=f"{block}_turned")(y)
        y = keras.layers.Dense(17, name=f"{block}_mixed")(y)
        y = keras.layers.Permute((2, 1), name=f"{block}_back")(y)
        x = keras.layers.Add(name=f"{block}_add")([x, y])
    x = keras.layers.Flatten(name="flat")(x)
    return keras.Model(image, keras.layers.Dense(10, name="predictions")(x))
