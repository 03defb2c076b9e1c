"""Which axis of a tensor holds the channels, followed from the input through every operation of a pass.

A shape does not tell what its axes mean: after a `permute` the channels come last, attention splits them over
its heads. So each operation of PyTorch says where they go; an operation that is not known here leads to
tensors of which that is not known.

This is PyTorch's private API, like `networks.graph`; ``DIFFERENTIA_GRAPHS=0`` turns it off, and then only
modules whose own kind tells have channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from differentia.networks.reshaping import Axes, reshaped

#: Operations that leave the axes as they are; `PREFIXES` of others.
SAME = frozenset(
    (
        *("_log_softmax", "_softmax", "_to_copy", "alias", "clone", "constant_pad_nd", "copy", "cumsum"),
        *("detach", "flip", "index_put", "index_select", "lift_fresh", "native_dropout", "pixel_shuffle"),
        *("pixel_unshuffle", "roll", "scatter", "slice", "sort", "split", "split_with_sizes", "topk", "tril"),
        *("triu", "unsafe_split", "unsafe_split_with_sizes"),
    )
)
PREFIXES = (
    *("_adaptive_avg_pool", "adaptive_", "avg_pool", "max_pool", "reflection_pad", "replication_pad"),
    *("upsample_", "_upsample_"),
)

#: Operations that sum up, or choose from, the axes that are named.
REDUCTIONS = frozenset(
    (
        *("all", "amax", "amin", "any", "argmax", "argmin", "linalg_vector_norm", "logsumexp", "max", "mean"),
        *("median", "min", "norm", "prod", "std", "sum", "var", "var_mean"),
    )
)

#: Products of matrices, with the place of the first among the arguments.
PRODUCTS = {"addmm": 1, "baddbmm": 1, "bmm": 0, "mm": 0}


class ChannelFlow(TorchDispatchMode):
    """Follows the channels of every tensor that is made of the input, as long as it is entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._axes: Any = WeakTensorKeyDictionary()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would import PyTorch's compiler

    def note(self, tensor: torch.Tensor, axes: Axes) -> None:
        """Take note of the axes that hold the channels of a tensor."""
        self._axes[tensor] = axes

    def axes(self, tensor: torch.Tensor) -> Axes:
        """Return the axes that hold the channels of a tensor; None where that is not known."""
        found: Axes = self._axes.get(tensor)
        return found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        outputs = func(*args, **kwargs)
        known = [tensor for tensor in _tensors((args, tuple(kwargs.values()))) if tensor in self._axes]
        given = list(_tensors(outputs))
        if known and given:
            found: Axes = None
            # What is called in another way than usual is not known.
            with suppress(IndexError, TypeError, ValueError, AttributeError, RuntimeError):
                found = self._followed(func, args, kwargs, given[0], known)
            for tensor in given:
                self._axes[tensor] = found
        return outputs

    def _followed(self, func: Any, args: Any, kwargs: Any, output: Any, known: list[Any]) -> Axes:
        name = str(func).split(".")[1]
        if name.endswith("_") and not name.endswith("__"):
            name = name[:-1]  # in place
        if torch.Tag.pointwise in func.tags:
            return self._together(known, output.ndim)
        if name in RULES:
            return RULES[name](self, args, kwargs, output)
        if name in SAME or name.startswith(PREFIXES):
            source = args[1] if name == "copy" else args[0]
            axes = self.axes(source if isinstance(source, torch.Tensor) else known[0])
            return axes if output.ndim == known[0].ndim else None
        if name in REDUCTIONS:
            return self._reduced(args, kwargs, output)
        if name in PRODUCTS:
            return self._product(*args[PRODUCTS[name] :][:2])
        if "conv" in name:
            return frozenset({output.ndim - args[1].ndim + 1})
        if "batch_norm" in name or "group_norm" in name:
            return frozenset({1})
        if "layer_norm" in name or "rms_norm" in name:
            last = frozenset({output.ndim - 1}) if len(args[1]) == 1 else None
            return self.axes(args[0]) or last
        if "scaled_dot_product" in name:
            return self.axes(args[2])
        return None

    def _together(self, tensors: Sequence[torch.Tensor], ndim: int) -> Axes:
        """Return the axes of what is computed entry by entry; shorter shapes are aligned to the right."""
        found = {
            frozenset(axis + ndim - tensor.ndim for axis in axes)
            for tensor in tensors
            if (axes := self.axes(tensor))
        }
        if len(found) == 1:
            return found.pop()
        no_channels = not found and all(self.axes(tensor) is not None for tensor in tensors)
        return frozenset() if no_channels else None

    def _reduced(self, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
        ndim, axes = args[0].ndim, self.axes(args[0])
        named = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if axes is None or named is None:
            return None
        gone = {axis % ndim for axis in ([named] if isinstance(named, int) else named)} or set(range(ndim))
        if output.ndim == ndim:
            return axes - gone
        return frozenset(axis - sum(other < axis for other in gone) for axis in axes - gone)

    def _product(self, one: torch.Tensor, other: torch.Tensor) -> Axes:
        """Return the axes of a product: new channels where one factor is a weight, else those that stay."""
        rows, columns = one.ndim - 2, one.ndim - 1
        if other not in self._axes:
            axes = self.axes(one)
            return frozenset({rows if axes and rows in axes else columns})
        if one not in self._axes:
            axes = self.axes(other)
            return frozenset({columns if axes and columns in axes else rows})
        both = self.axes(one), self.axes(other)
        if both[1] and columns in both[1]:
            return frozenset({columns})
        return frozenset({rows}) if both[0] and rows in both[0] else None


def _tensors(given: Any) -> Iterator[torch.Tensor]:
    if isinstance(given, torch.Tensor):
        yield given
    elif isinstance(given, tuple | list):
        for item in given:
            yield from _tensors(item)


_Rule = Callable[[ChannelFlow, Any, Any, torch.Tensor], Axes]


def _view(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    return reshaped(args[0].shape, output.shape, flow.axes(args[0]))


def _permute(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    axes, order = flow.axes(args[0]), [axis % output.ndim for axis in args[1]]
    return None if axes is None else frozenset(order.index(axis) for axis in axes)


def _transpose(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    axes, ndim = flow.axes(args[0]), output.ndim
    one, other = (axis % ndim for axis in args[1:3]) if len(args) > 1 else (0, ndim - 1)
    swapped = {one: other, other: one}
    return None if axes is None else frozenset(swapped.get(axis, axis) for axis in axes)


def _expand(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    return flow._together([args[0]], output.ndim)


def _unsqueeze(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    axes, at = flow.axes(args[0]), args[1] % output.ndim
    return None if axes is None else frozenset(axis + (axis >= at) for axis in axes)


def _select(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    axes, at = flow.axes(args[0]), (args[1] if len(args) > 1 else 0) % args[0].ndim
    return None if axes is None else frozenset(axis - (axis > at) for axis in axes if axis != at)


def _cat(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    return flow._together([tensor for tensor in args[0] if tensor in flow._axes], output.ndim)


def _stack(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    axes, at = _cat(flow, args, kwargs, args[0][0]), (args[1] if len(args) > 1 else 0) % output.ndim
    return None if axes is None else frozenset(axis + (axis >= at) for axis in axes)


def _index(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    one_axis = sum(index is not None for index in args[1]) == 1 and output.ndim == args[0].ndim
    return flow.axes(args[0]) if one_axis else None


def _embedding(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    return frozenset({output.ndim - 1})


RULES: dict[str, _Rule] = {
    **dict.fromkeys(("view", "_unsafe_view", "_reshape_alias", "reshape", "squeeze"), _view),
    **dict.fromkeys(("expand", "repeat"), _expand),
    **dict.fromkeys(("select", "unbind"), _select),
    **dict.fromkeys(("t", "transpose"), _transpose),
    "cat": _cat,
    "embedding": _embedding,
    "index": _index,
    "permute": _permute,
    "stack": _stack,
    "unsqueeze": _unsqueeze,
}
