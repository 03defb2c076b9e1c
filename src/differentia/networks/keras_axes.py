"""Which axis of a Keras layer's output holds the channels: by its own format, or as in its input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from differentia.networks.calls import parts_of
from differentia.networks.reshaping import reshaped

#: Layers whose last axis holds the channels, by class name.
LAST = (
    *("Bidirectional", "Embedding", "GRU", "GRUCell", "GroupedQueryAttention", "LSTM", "LSTMCell"),
    *("MultiHeadAttention", "RNN", "RepeatVector", "SimpleRNN", "SimpleRNNCell", "StackedRNNCells"),
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


#: Others that leave the axes as they are, by class name.
SAME = ("Cropping1D", "UpSampling1D")


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
        for nth, array in enumerate(_arrays(output)):
            if self.axis(array) is None:  # a model gives what its last layer gave
                self.note(array, self._of_layer(layer, list(_arrays(given)), array, nth))

    def _of_layer(self, layer: Any, given: list[Any], output: Any, nth: int) -> int | None:
        ndim, axes = len(output.shape), self._axes_of(given)
        known = axes.pop() if len(axes) == 1 else None
        data_format = getattr(layer, "data_format", None)
        computing = computing_class(layer)
        kind = computing.__name__
        if data_format is not None and kind != "Flatten" and ndim > 1:
            return 1 if data_format == "channels_first" else ndim - 1
        if not computing.__module__.startswith("keras."):  # somebody's own, which may do anything
            return None
        if kind in LAST:
            return None if "Attention" in kind and nth else ndim - 1  # beside what it gives: its weights
        if kind == "Dense":  # where it sums up another axis, the channels stay
            return ndim - 1 if known is None else known
        if kind == "EinsumDense":
            return _new_axis(layer.equation, ndim)
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
        keeps = kind in SAME or any(f".layers.{part}" in computing.__module__ for part in ENTRY_BY_ENTRY)
        products = type(layer).__name__ == "Dot"
        return known if keeps and not products and ndim == len(given[0].shape) else None

    def _axes_of(self, given: Iterable[Any]) -> set[int]:
        return {axis for array in given if (axis := self.axis(array)) is not None}


def computing_class(layer: Any) -> type:
    """Return the class whose code computes what a layer gives."""
    return next((kind for kind in type(layer).__mro__ if "call" in vars(kind)), type(layer))


def _new_axis(equation: str, ndim: int) -> int | None:
    """Return the one axis that an equation such as ``abc,cd->abd`` makes of weights."""
    given, product = equation.replace(" ", "").split("->")
    new = [at for at, letter in enumerate(product) if letter not in given.split(",")[0]]
    return new[0] - len(product) + ndim if len(new) == 1 else None


def _arrays(given: Any) -> Iterator[Any]:
    return (part for _, part in parts_of(given) if hasattr(part, "shape"))
