"""Where Keras layers have their channels: by their own format, or as in what they are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from helpers.keras_models import load
from keras import layers

import differentia as dif

LAST, FIRST = "channels_last", "channels_first"


def axes(model: keras.Model, **options: Any) -> dict[str, int | None]:
    """Return the axis of each layer's channels, without those of images."""
    return {layer.name: layer.channel_axis for layer in load(model, **options).layers}


def axis_of(build: Callable[[Any], Any], shape: tuple[int, ...] = (8, 6, 3)) -> int | None:
    """Return the channels' axis of what layers make of an image; of the last that has an axis beside them."""
    image = keras.Input(shape)
    found = load(keras.Model(image, build(image))).layers[-1]
    assert len(found.shape) > 1
    return found.channel_axis


def conv(data_format: str, filters: int = 4) -> layers.Layer:
    return layers.Conv2D(filters, 3, padding="same", data_format=data_format)


@pytest.mark.parametrize(
    ("layer", "first", "last"),
    [
        (lambda order: layers.Conv2D(5, 3, data_format=order), 0, 2),
        (lambda order: layers.DepthwiseConv2D(3, data_format=order), 0, 2),
        (lambda order: layers.SeparableConv2D(5, 3, data_format=order), 0, 2),
        (lambda order: layers.Conv2DTranspose(5, 3, data_format=order), 0, 2),
        (lambda order: layers.MaxPooling2D(2, data_format=order), 0, 2),
        (lambda order: layers.AveragePooling2D(2, data_format=order), 0, 2),
        (lambda order: layers.GlobalAveragePooling2D(keepdims=True, data_format=order), 0, 2),
        (lambda order: layers.GlobalMaxPooling2D(keepdims=True, data_format=order), 0, 2),
        (lambda order: layers.UpSampling2D(2, data_format=order), 0, 2),
        (lambda order: layers.ZeroPadding2D(1, data_format=order), 0, 2),
        (lambda order: layers.Cropping2D(1, data_format=order), 0, 2),
        (lambda order: layers.BatchNormalization(axis=1 if order == FIRST else -1), 0, 2),
        (lambda order: layers.GroupNormalization(2, axis=1 if order == FIRST else -1), 0, 2),
        (lambda order: layers.LayerNormalization(axis=[1, 2, 3]), 0, 2),
        (lambda order: layers.UnitNormalization(axis=-1), 0, 2),
        (lambda order: layers.ReLU(), 0, 2),
        (lambda order: layers.Activation("gelu"), 0, 2),
        (lambda order: layers.PReLU(), 0, 2),
        (lambda order: layers.Softmax(axis=-1), 0, 2),
        (lambda order: layers.Rescaling(2.0), 0, 2),
        (lambda order: layers.SpatialDropout2D(0.5, data_format=order), 0, 2),
        (lambda order: layers.Permute((3, 1, 2)), 1, 0),
        (lambda order: layers.Permute((2, 3, 1)), 2, 1),
        (lambda order: layers.Reshape((4, 48) if order == FIRST else (48, 4)), 0, 1),
        (lambda order: layers.Reshape((2, 2, 8, 6) if order == FIRST else (8, 6, 2, 2)), None, None),
        (lambda order: layers.Reshape((96, 2)), None, None),
    ],
)
def test_layers_of_both_formats(
    layer: Callable[[str], layers.Layer], first: int | None, last: int | None
) -> None:
    """After a convolution of either format; what has no format of its own has that of its input."""
    assert axis_of(lambda x: layer(LAST)(conv(LAST)(x))) == last
    assert axis_of(lambda x: layer(FIRST)(conv(FIRST)(x)), (3, 8, 6)) == first


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Concatenate(), 2),
        (layers.Concatenate(axis=1), 2),
        *((layers.Add(), 2), (layers.Multiply(), 2), (layers.Average(), 2), (layers.Maximum(), 2)),
        (layers.Dot(axes=(3, 3)), None),
        (layers.Dot(axes=(1, 1)), None),
    ],
)
def test_layers_of_two_inputs(layer: layers.Layer, expected: int | None) -> None:
    """Of inputs with the same axes; a product of them is not known."""
    assert axis_of(lambda x: layer([conv(LAST)(x), conv(LAST)(x)])) == expected


def test_inputs_with_channels_on_other_axes() -> None:
    """Then it is not known; the control is the same sum of two that agree."""

    def total(*turns: tuple[int, int, int]) -> int | None:
        return axis_of(
            lambda x: layers.Add()([layers.Permute(turn)(conv(LAST, 6)(x)) for turn in turns]), (6, 6, 3)
        )

    assert total((3, 1, 2), (1, 2, 3)) is None
    assert total((3, 1, 2), (3, 1, 2)) == 0


def tokens(x: Any) -> Any:
    """Return 48 tokens of 4 features each."""
    return layers.Reshape((48, 4))(conv(LAST)(x))


class Attended(layers.Layer):  # type: ignore[misc]
    """Somebody's own layer."""

    def call(self, x: Any) -> Any:
        return keras.ops.transpose(x, (0, 2, 1))


class Denser(layers.Dense):  # type: ignore[misc]
    """Computes as its parent."""


class Turned(layers.Dense):  # type: ignore[misc]
    """Does something else with what its parent gives."""

    def call(self, x: Any) -> Any:
        return keras.ops.transpose(super().call(x), (0, 2, 1))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (lambda x: layers.Dense(5)(x), 1),
        (lambda x: Denser(5)(x), 1),
        (lambda x: layers.Dense(5)(layers.Permute((2, 1))(x)), 0),
        (lambda x: layers.Permute((2, 1))(layers.Dense(48)(layers.Permute((2, 1))(x))), 1),
        (lambda x: layers.Dense(5)(Attended()(x)), 1),
        (lambda x: layers.EinsumDense("abc,cd->abd", (48, 5))(x), 1),
        (lambda x: layers.EinsumDense("...c,cd->...d", (48, 5))(x), 1),
        (lambda x: layers.EinsumDense("abc,bd->adc", (5, 4))(x), 0),
        (lambda x: layers.EinsumDense("abc,cde->abde", (48, 2, 5))(x), None),
        (lambda x: layers.LayerNormalization()(x), 1),
        (lambda x: layers.LayerNormalization()(Attended()(x)), 1),
        (lambda x: layers.BatchNormalization(axis=1)(Attended()(x)), 0),
        (lambda x: layers.MultiHeadAttention(2, 3)(x, x), 1),
        (lambda x: layers.MultiHeadAttention(2, 3)(x, x, return_attention_scores=True)[1], None),
        (lambda x: layers.LSTM(5, return_sequences=True)(x), 1),
        (lambda x: layers.Bidirectional(layers.GRU(5, return_sequences=True))(x), 1),
        (lambda x: layers.Conv1D(5, 3)(x), 1),
        (lambda x: layers.Conv1D(5, 3, data_format=FIRST)(x), 0),
        (lambda x: layers.MaxPooling1D(2)(x), 1),
        (lambda x: layers.GlobalAveragePooling1D(keepdims=True)(x), 1),
        (lambda x: layers.UpSampling1D(2)(x), 1),
        (lambda x: layers.Cropping1D(1)(x), 1),
        (lambda x: layers.ZeroPadding1D(1)(x), 1),
        (lambda x: layers.RepeatVector(3)(layers.GlobalAveragePooling1D()(x)), 1),
        (lambda x: layers.Conv3D(5, 1)(layers.Reshape((8, 6, 1, 4))(x)), 3),
        (lambda x: layers.Conv3D(5, 1, data_format=FIRST)(layers.Reshape((8, 6, 1, 4))(x)), 0),
        (lambda x: layers.MaxPooling3D((2, 2, 1))(layers.Reshape((8, 6, 1, 4))(x)), 3),
        (lambda x: layers.Dot(axes=2)([x, x]), None),
        (lambda x: Attended()(x), None),
        (lambda x: layers.ReLU()(Attended()(x)), None),
        (lambda x: Turned(5)(x), None),
        (lambda x: layers.Lambda(lambda y: y[:, ::2])(x), None),
    ],
)
def test_layers_of_tokens(layer: Callable[[Any], Any], expected: int | None) -> None:
    """New features come last, unless a layer sums over the tokens; somebody's own layer does not tell."""
    assert axis_of(lambda x: layer(tokens(x))) == expected


def test_nested_models() -> None:
    """A model gives what its last layer gave; what stands after it goes on with that."""
    within = keras.Input((4, 8, 6))
    inner = keras.Model(within, layers.ReLU(name="relu")(conv(FIRST)(within)), name="inner")
    outer = keras.Sequential(
        [keras.Input((8, 6, 3)), conv(LAST), layers.Permute((3, 1, 2), name="turn"), inner]
    )
    outer.add(layers.BatchNormalization(name="norm"))
    found = axes(outer)
    assert {name: found[name] for name in ("turn", "inner/relu", "inner", "norm")} == {
        "turn": 0,
        "inner/relu": 0,
        "inner": 0,
        "norm": 0,
    }


def test_each_channel_is_where_it_is_said_to_be() -> None:
    """A model whose filters give 0, 1, 2 and 3: their means are these, on the axis that was found."""
    bias = keras.initializers.Constant(np.arange(4.0))
    options = {"kernel_initializer": "zeros", "bias_initializer": bias, "padding": "same"}
    image = keras.Input((8, 6, 3))
    x = layers.Conv2D(4, 3, name="conv", **options)(image)
    x = layers.Permute((3, 1, 2), name="turn")(x)
    y = layers.Conv2D(4, 3, data_format=FIRST, name="first", **options)(x)
    x = layers.Reshape((4, 48), name="places")(layers.Average(name="average")([x, y]))
    mean = keras.initializers.Constant(1 / 48)
    x = layers.Dense(5, kernel_initializer=mean, name="mixed")(x)
    x = layers.UpSampling1D(2, name="more")(layers.Permute((2, 1), name="back")(x))
    network = load(keras.Model(image, x))
    names = ["conv", "turn", "first", "average", "places", "mixed", "back", "more"]
    found = {layer.name: layer for layer in network.layers}
    assert [found[name].channel_axis for name in names] == [2, 0, 0, 0, 0, 0, 1, 1]
    pixels = np.zeros((2, 8, 6, 3), dtype=np.uint8)
    for name in names:
        values = record(network, pixels, name)
        axis = found[name].channel_axis
        assert axis is not None
        others = tuple(at for at in range(values.ndim) if at != axis + 1)
        np.testing.assert_allclose(values.mean(others), [0, 1, 2, 3], rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(values.std(others), 0, atol=1e-5, err_msg=name)


def record(network: dif.Network, pixels: np.ndarray, name: str) -> np.ndarray:
    """Return what a layer gives of images."""
    given: list[np.ndarray] = []
    layer = next(layer for layer in network.layers if layer.name == name)

    def keep(output: Any) -> None:
        given.append(keras.ops.convert_to_numpy(output).reshape(len(pixels), *layer.shape))

    network.record(pixels, {name: keep})
    return given[0]
