"""Named ways from pixels to a network's input, those of the networks that people use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float32

from differentia.errors import InputError
from differentia.networks.transforms import Transform
from differentia.system.choices import PREPROCESS

_Pixels = Float32[np.ndarray, "b h w c"]


def _imagenet(pixels: _Pixels) -> _Pixels:
    mean = np.array([0.485, 0.456, 0.406], dtype=np.float32)
    sd = np.array([0.229, 0.224, 0.225], dtype=np.float32)
    return (_rgb(pixels, "imagenet") / np.float32(255) - mean) / sd


def _caffe(pixels: _Pixels) -> _Pixels:
    mean_bgr = np.array([103.939, 116.779, 123.68], dtype=np.float32)
    return _rgb(pixels, "caffe")[..., ::-1] - mean_bgr


def _rgb(pixels: _Pixels, name: str) -> _Pixels:
    if pixels.shape[-1] != 3:
        raise InputError(
            f"the preprocessing {name!r} is for 3 channels (RGB), "
            f"but the network's input has {pixels.shape[-1]}; choose 'unit' or 'none'"
        )
    return pixels


#: ``none`` keeps 0..255; ``unit`` gives 0..1; ``signed`` -1..1 (Keras's "tf" mode); ``imagenet`` 0..1 less
#: ImageNet's mean over its SD (torchvision's, Keras's "torch" mode); ``caffe`` BGR less ImageNet's mean.
PREPROCESSINGS: dict[str, Callable[[_Pixels], _Pixels]] = {
    "none": lambda pixels: pixels,
    "unit": lambda pixels: pixels / np.float32(255),
    "signed": lambda pixels: pixels / np.float32(127.5) - np.float32(1),
    "imagenet": _imagenet,
    "caffe": _caffe,
}


def preprocessed(pixels: np.ndarray, name: str) -> _Pixels:
    """Return pixels of 0..255 as float32, preprocessed in one of the ways of `PREPROCESSINGS`."""
    return PREPROCESSINGS[name](pixels.astype(np.float32))


def describe_preprocessing(given: str | Callable[..., object]) -> str:
    """Return a preprocessing in words: its name, or its function's."""
    if isinstance(given, str):
        return given
    if isinstance(given, Transform):
        return given.in_words
    function = given.func if isinstance(given, partial) else given
    name = getattr(function, "__qualname__", type(function).__name__)
    return f"{getattr(function, '__module__', '')}.{name}"


def require_preprocessing(network: str, given: Any) -> Any:
    """Return a preprocessing, or raise an error: it can't be known from a network itself."""
    if given is None:
        raise InputError(
            f"{network}: its preprocessing can't be known from the network; give "
            f"load_network(..., preprocess=...) or --preprocess: one of {', '.join(PREPROCESSINGS)} "
            "(in Python also a function)"
        )
    if isinstance(given, str):
        return PREPROCESS.checked(given)
    if not callable(given):
        raise InputError(
            f"{network}: preprocess is {given!r}; expected one of {', '.join(PREPROCESSINGS)}, or a function"
        )
    return given
