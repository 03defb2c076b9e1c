"""Copies of Keras models in other numbers: all layers, those within layers too, with the same weights."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import differentia as dif
from differentia.networks.keras_copies import cast_copy

layers = keras.layers


def of_layers_within_layers() -> keras.Model:
    """Return a model of wrappers, cells, attention, operations, and a model within."""
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 5, 3))
    x = layers.TimeDistributed(layers.Dense(4, name="inner"), name="rows")(image)
    x = layers.Reshape((30, 4), name="reshape")(x)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both")(x)
    x = layers.RNN(layers.GRUCell(8), return_sequences=True, name="cells")(x)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = 2 * x[:, :7] + 1
    within = keras.Input((7, 8))
    x = keras.Model(within, layers.Dense(3, name="deep")(layers.LayerNormalization()(within)))(x)
    return keras.Model(image, layers.Flatten(name="flatten")(x))


def test_every_layer_is_cast() -> None:
    """Also those within others; the numbers are near, and the weights the nearest there are."""
    model = of_layers_within_layers()
    copy = cast_copy(model, "bfloat16")
    computing = {layer.name: layer.compute_dtype for layer in copy._flatten_layers() if layer.weights}
    assert {"rows", "inner", "both", "cells", "attention", "deep"} <= set(computing)
    of_layers = {name: dtype for name, dtype in computing.items() if not name.startswith("functional")}
    assert set(of_layers.values()) == {"bfloat16"}
    for own, cast in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_allclose(cast.astype(np.float32), own, rtol=2**-8)
    images = np.random.default_rng(0).random((3, 6, 5, 3)).astype(np.float32)
    own = keras.ops.convert_to_numpy(model(images, training=False))
    cast = keras.ops.convert_to_numpy(keras.ops.cast(copy(images, training=False), "float32"))
    assert 0 < np.abs(cast - own).max() < 0.05 * np.abs(own).max()
    assert {weight.dtype for weight in model.weights} == {"float32"}


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_all_of_it_is_recorded(dtype: Any) -> None:
    """The layers of the copy have the names of the model's."""
    network = dif.load_network(of_layers_within_layers(), preprocess="unit", dtype=dtype)
    assert network.dtype == (dtype or "float32")
    names = [layer.name for layer in network.layers]
    assert names[:4] == ["input", "rows", "reshape", "both"]
    assert names[-1] == "flatten"


def test_a_model_within_does_not_say_what_is_computed_in() -> None:
    """Though it is the first that has weights: what its layers compute in counts."""
    first = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3)])
    model = keras.Sequential([keras.Input((8, 8, 3)), first, layers.Flatten(), layers.Dense(2)])
    for dtype in ("float32", "bfloat16"):
        network = dif.load_network(model, preprocess="unit", dtype=dtype)
        assert network.dtype == dtype
        recorded = dif.record(network, {"noise": dif.noise(2)}, views=False)
        assert recorded.provenance["dtype"] == dtype


class Unnamed(keras.layers.Layer):  # type: ignore[misc]
    """Its configuration, which Keras makes of its arguments, has no name."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.dense = layers.Dense(units)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


def test_names_are_kept_that_no_configuration_has() -> None:
    """Else layers of the copy would have other names than those of the model."""
    model = keras.Sequential([keras.Input((8, 8, 3)), Unnamed(4), Unnamed(2)])
    assert "name" not in model.layers[0].get_config()
    own, cast = (dif.load_network(model, preprocess="unit", dtype=dtype) for dtype in (None, "bfloat16"))
    assert [layer.name for layer in cast.layers] == [layer.name for layer in own.layers]
