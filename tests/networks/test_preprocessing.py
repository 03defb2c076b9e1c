"""Named ways from pixels to a network's input, against those of PyTorch and Keras."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest
import torch
from helpers.networks import PIXELS, TENSOR, load, record_all
from torch import nn

import differentia as dif
from differentia.networks.preprocessing import PREPROCESSINGS, describe_preprocessing, preprocessed


def test_preprocessing() -> None:
    """By name or by a function in PyTorch's own convention."""
    seen = record_all(load(nn.Identity(), preprocess=lambda x: (x.float() - 100) / 50))["input"]
    np.testing.assert_allclose(seen, (PIXELS.transpose(0, 3, 1, 2) - 100.0) / 50, rtol=1e-6)
    normal = record_all(load(nn.Identity(), preprocess="imagenet"))["input"]
    expected = (TENSOR - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
        [0.229, 0.224, 0.225]
    )[:, None, None]
    np.testing.assert_allclose(normal, expected.numpy(), rtol=1e-5, atol=1e-6)
    message = r"returned torch.uint8 of shape \(1, 3, 16, 16\) for .*; expected a floating-point tensor"
    with pytest.raises(dif.InputError, match=message):
        _ = load(nn.Identity(), preprocess=lambda x: x).layers
    message = r"returned torch.float32 of shape \(1, 3, 16, 16\) for .* \(2, 3, 16, 16\); expected"
    with pytest.raises(dif.InputError, match=message):
        _ = load(nn.Identity(), preprocess=lambda x: x[:1].float()).layers
    with pytest.raises(dif.InputError, match=r"returned ndarray for .*; expected a floating-point tensor"):
        _ = load(nn.Identity(), preprocess=np.asarray).layers


@pytest.mark.parametrize(("name", "mode"), [("signed", "tf"), ("imagenet", "torch"), ("caffe", "caffe")])
def test_keras_names_them_otherwise(name: str, mode: str) -> None:
    """Keras's own modes are the oracle of the three that it has."""
    by_keras = keras.applications.imagenet_utils.preprocess_input
    expected = by_keras(PIXELS.astype(np.float32), mode=mode)
    np.testing.assert_allclose(preprocessed(PIXELS, name), expected, rtol=1e-5, atol=1e-6)
    wrong = keras.applications.imagenet_utils.preprocess_input(
        PIXELS[..., ::-1].astype(np.float32), mode=mode
    )
    assert np.abs(preprocessed(PIXELS, name) - wrong).max() > 0.5


def test_the_range_of_pixels() -> None:
    """Black, grey and white, in the ways that are the same for every channel."""
    pixels = np.array([0, 51, 255], dtype=np.uint8).reshape(1, 1, 3, 1)
    expected: dict[str, list[float]] = {"none": [0, 51, 255], "unit": [0, 0.2, 1], "signed": [-1, -0.6, 1]}
    for name, values in expected.items():
        found = preprocessed(pixels, name)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.ravel(), values, rtol=1e-6, err_msg=name)
    for name in set(PREPROCESSINGS) - set(expected):
        with pytest.raises(dif.InputError, match=f"{name!r} is for 3 channels .* choose 'unit' or 'none'"):
            preprocessed(pixels, name)


def test_in_words() -> None:
    """A name, or that of a function, also of one with arguments of its own."""
    assert describe_preprocessing("unit") == "unit"
    assert describe_preprocessing(partial(np.multiply, 2)).endswith("multiply")
    assert describe_preprocessing(test_in_words) == f"{__name__}.test_in_words"
