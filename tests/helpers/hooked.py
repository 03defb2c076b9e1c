"""What every module of a network gives, by PyTorch's plain hooks; nothing here is shared with the package."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn


class Axes(NamedTuple):
    """Where an output has its channels and its images, counted in the whole output, or from its end."""

    #: None: no axis tells channels apart.
    channels: int | None
    #: None: no axis tells images apart, so the output can't be recorded.
    images: int | None = 0
    #: How many entries of that axis are of one image: one after the other or, where they are interleaved,
    #: the first entry of all images and then the second of all.
    folded: int = 1
    interleaved: bool = False


class Hooked(NamedTuple):
    """One pass as the hooks saw it."""

    #: The name of each call, in the order in which the calls ended.
    calls: tuple[str, ...]
    #: Each floating tensor of each call's output, by the call's name and its place in the output.
    values: dict[str, np.ndarray]


def hooked(module: nn.Module, batch: torch.Tensor) -> Hooked:
    """Return all that the modules give for a batch; a hook on each makes PyTorch call all of them."""
    times: Counter[str] = Counter()
    calls: list[str] = []
    values = {"input": batch.numpy().copy()}

    def after(name: str, _module: nn.Module, _given: Any, output: Any) -> None:
        call = f"{name}:{times[name]}" if times[name] else name
        times[name] += 1
        calls.append(call)
        for place, tensor in floating(output):
            values[call + place] = tensor.detach().clone().numpy()

    handles = [
        each.register_forward_hook(partial(after, name or type(module).__name__))
        for name, each in module.named_modules()
    ]
    assert not module.training
    with torch.no_grad():
        module(batch)
    for handle in handles:
        handle.remove()
    return Hooked(tuple(calls), values)


def floating(output: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the floating tensors of an output, each with where it stands in it."""
    if isinstance(output, torch.Tensor):
        if output.is_floating_point():
            yield "", output
        return
    items: Any = ()
    if isinstance(output, Mapping):
        items = output.items()
    elif hasattr(output, "_fields"):
        items = zip(output._fields, output, strict=True)
    elif isinstance(output, tuple | list):
        items = enumerate(output)
    elif dataclasses.is_dataclass(output):
        items = [(field.name, getattr(output, field.name)) for field in dataclasses.fields(output)]
    for key, item in items:
        for place, tensor in floating(item):
            yield f"[{key}]{place}", tensor


def by_image(values: np.ndarray, axes: Axes) -> list[np.ndarray]:
    """Return the response to each image, in float64."""
    assert axes.images is not None
    images = values.shape[axes.images] // axes.folded
    found = []
    for image in range(images):
        if axes.folded == 1:
            response = values.take(image, axis=axes.images)
        elif axes.interleaved:
            response = values.take(range(image, images * axes.folded, images), axis=axes.images)
        else:
            response = values.take(range(image * axes.folded, (image + 1) * axes.folded), axis=axes.images)
        found.append(np.asarray(response, dtype=np.float64))
    return found


def channel_axis(values: np.ndarray, axes: Axes) -> int | None:
    """Return which axis of the response to one image has the channels."""
    if axes.channels is None:
        return None
    assert axes.images is not None
    channels, images = axes.channels % values.ndim, axes.images % values.ndim
    assert channels != images
    return channels - (axes.folded == 1 and images < channels)


def flattened(values: np.ndarray, axes: Axes) -> np.ndarray:
    """Return all units of each image in C order: (n, units)."""
    return np.array([image.reshape(-1) for image in by_image(values, axes)])


def channel_means(values: np.ndarray, axes: Axes) -> np.ndarray:
    """Return the mean of each channel of each image, one after the other: (n, channels)."""
    axis = channel_axis(values, axes)
    assert axis is not None
    return np.array(
        [
            [channel.mean() for channel in np.ascontiguousarray(np.moveaxis(image, axis, 0))]
            for image in by_image(values, axes)
        ]
    )


def largest_error(found: np.ndarray, expected: np.ndarray, scale: float) -> float:
    """Return how far two arrays are apart, as a part of the scale; infinite where the shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / scale)
