"""What a layer is, and which layers of a network are looked at."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence
from dataclasses import dataclass

from differentia.errors import InputError, unknown_name

#: The name under which the preprocessed image is recorded.
INPUT = "input"


@dataclass(frozen=True)
class Layer:
    """One output of one call of a module or Keras layer."""

    #: The module's name, with ``:1`` for its second call, ``[0]`` or ``[key]`` for a part of an output that
    #: is a tuple or a dict.

    name: str
    #: The class of the module ("Conv2d", "Dense"); "Input" for the preprocessed image.
    kind: str
    #: Of the output for one image, in the framework's own logical order.
    shape: tuple[int, ...]
    module: str
    #: Whether it is made of other layers that were called (a residual block).
    container: bool = False
    #: Whether it only reshapes, or does nothing at inference (Flatten, Dropout).
    inert: bool = False
    #: Whether its filters are the first axis of `shape` and not the last; with fewer than three axes (tokens,
    #: vectors) they are the last in any case.
    channels_first: bool = False

    @property
    def size(self) -> int:
        """The number of units."""
        return math.prod(self.shape)

    @property
    def filter_axis(self) -> int:
        """The axis of `shape` that tells the filters apart."""
        return 0 if self.channels_first and len(self.shape) > 2 else max(0, len(self.shape) - 1)

    @property
    def n_filters(self) -> int:
        """The number of filters (channels, features)."""
        return self.shape[self.filter_axis] if self.shape else 1

    @property
    def space(self) -> tuple[int, ...]:
        """The shape of one filter's map: (height, width) of a convolution, () of a vector."""
        axes = range(len(self.shape))
        return tuple(self.shape[axis] for axis in axes if axis != self.filter_axis)


def select_layers(layers: Sequence[Layer], wanted: Sequence[str] | None) -> tuple[Layer, ...]:
    """Return the layers to record, in the order of computation: those of names and shell patterns.

    A container is taken by its name only, never by a pattern. By default: no container, and no inert layer
    but the last.
    """
    leaves = [layer for layer in layers if not layer.container]
    if wanted is None:
        return tuple(layer for layer in leaves if not layer.inert or layer is leaves[-1])
    names = {layer.name for layer in layers}
    chosen: set[str] = set()
    for pattern in wanted:
        matching = (leaf.name for leaf in leaves if fnmatch.fnmatchcase(leaf.name, pattern))
        matches = {pattern} if pattern in names else set(matching)
        if not matches:
            raise unknown_name("layer", pattern, [leaf.name for leaf in leaves])
        chosen |= matches
    if not chosen:
        raise InputError("no layer was asked for; leave layers= out for all of them")
    return tuple(layer for layer in layers if layer.name in chosen)
