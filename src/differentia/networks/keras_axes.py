"""Which axis of a Keras layer's output holds the channels: by its own format, or as in its input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from differentia.networks.calls import parts_of
from differentia.networks.reshaping import reshaped

#: Layers whose last axis holds the channels, by class name.
LAST = (
    *("Dense", "EinsumDense", "Embedding", "GRU", "GRUCell", "GroupedQueryAttention", "LSTM", "LSTMCell"),
    *("MultiHeadAttention", "RNN", "SimpleRNN", "SimpleRNNCell", "StackedRNNCells"),
)

#: Modules of Keras's own layers that compute entry by entry, or join what has the same axes.
ENTRY_BY_ENTRY = (
    "activations",
    "merging",
    "regularization",
    "core.identity",
    "core.masking",
    "preprocessing",
)


class KerasChannels:
    """The axis that holds the channels of each array in a pass, which is kept as long as this is."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, int]] = {}

    def note(self, array: Any, axis: int | None) -> None:
        """Take note of an array's axis, where it is known."""
        if axis is not None:
            self._known[id(array)] = array, axis

    def axis(self, array: Any) -> int | None:
        """Return an array's axis, where it is known."""
        return self._known[id(array)][1] if id(array) in self._known else None

    def follow(self, layer: Any, given: Any, output: Any) -> None:
        """Take note of what a layer gives of what it was given."""
        for array in _arrays(output):
            if self.axis(array) is None:  # a model gives what its last layer gave
                self.note(array, self._of_layer(layer, list(_arrays(given)), array))

    def _of_layer(self, layer: Any, given: list[Any], output: Any) -> int | None:
        kind, ndim, axes = type(layer).__name__, len(output.shape), self._axes_of(given)
        known = axes.pop() if len(axes) == 1 else None
        data_format = getattr(layer, "data_format", None)
        if data_format is not None and kind != "Flatten" and ndim > 1:
            return 1 if data_format == "channels_first" else ndim - 1
        if kind in LAST:
            return ndim - 1
        axis = getattr(layer, "axis", None)
        if "Normalization" in kind:
            own = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
            return known if known is not None or not isinstance(own, int) else own % ndim
        if known is None:
            return None
        if kind == "Permute":
            order = (0, *layer.dims)
            return order.index(known)
        if kind == "Reshape":
            found = reshaped(given[0].shape, output.shape, frozenset({known}))
            return next(iter(found)) if found and len(found) == 1 else None
        own_layer = any(f".layers.{part}" in type(layer).__module__ for part in ENTRY_BY_ENTRY)
        return known if own_layer and ndim == len(given[0].shape) else None

    def _axes_of(self, given: Iterable[Any]) -> set[int]:
        return {axis for array in given if (axis := self.axis(array)) is not None}


def _arrays(given: Any) -> Iterator[Any]:
    return (part for _, part in parts_of(given) if hasattr(part, "shape"))
