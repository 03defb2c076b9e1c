"""Which axis of a tensor holds the channels, followed from the input through every operation of a pass.

A shape does not tell what its axes mean: after a `permute` the channels come last, attention splits them over
its heads. So each operation of PyTorch says where they go; an operation that is not known here leads to
tensors of which that is not known.

This is PyTorch's private API, like `networks.graph`; ``DIFFERENTIA_GRAPHS=0`` turns it off, and then only
modules whose own kind tells have channels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from differentia.networks.reshaping import Axes, reshaped

#: Operations that leave the axes as they are; `PREFIXES` of others.
SAME = frozenset(
    (
        *("_log_softmax", "_prelu_kernel", "_softmax", "_to_copy", "alias", "bernoulli", "channel_shuffle"),
        *("clone", "constant_pad_nd", "copy", "cumsum", "detach", "fill", "flip", "glu", "hardswish"),
        *("index_put", "index_select", "lift_fresh", "log_sigmoid_forward", "masked_fill"),
        *("native_channel_shuffle", "native_dropout", "pixel_shuffle", "pixel_unshuffle", "roll"),
        *("rrelu_with_noise", "scatter", "slice", "slice_scatter", "split", "split_with_sizes", "tril"),
        *("triu", "unsafe_split", "unsafe_split_with_sizes", "zero"),
    )
)
PREFIXES = ("_fft_", "grid_sampler_", "reflection_pad", "replication_pad")

#: How names of operations over the last axes begin, of which each ends in their number ("2d").
POOLS = (
    *("_adaptive_avg_pool", "adaptive_", "avg_pool", "fractional_max_pool", "max_pool", "max_unpool"),
    *("upsample_", "_upsample_"),
)

#: Operations that take a tensor's shape or type only: what they give is not made of the input.
NEW = ("new_", "empty_like", "full_like", "ones_like", "rand_like", "randn_like", "zeros_like")

#: Operations that sum up, or choose from, the axes that are named.
REDUCTIONS = frozenset(
    (
        *("all", "amax", "amin", "any", "argmax", "argmin", "linalg_vector_norm", "logsumexp", "max", "mean"),
        *("median", "min", "norm", "prod", "std", "std_mean", "sum", "var", "var_mean"),
    )
)

#: Operations that choose, or put into order, entries along an axis, which are others' then.
CHOICES = frozenset(("gather", "sort", "topk"))

#: Products of matrices, with the place of the first among the arguments.
PRODUCTS = {"addmm": 1, "baddbmm": 1, "bmm": 0, "mm": 0}


class ChannelFlow(TorchDispatchMode):
    """Follows the channels of every tensor that is made of the input, as long as it is entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._axes: Any = WeakTensorKeyDictionary()
        #: Of tensors whose channels were mixed up by a reshape: the shape before, and their axes in it.
        self._unfolded: Any = WeakTensorKeyDictionary()

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
        with torch._C.DisableTorchFunction():  # else what TorchScript calls is seen here, and nowhere else
            outputs = func(*args, **kwargs)
        known = [tensor for tensor in _tensors((args, tuple(kwargs.values()))) if tensor in self._axes]
        given = list(_tensors(outputs))
        if known and given and not _operation(func).startswith(NEW):
            found: Axes = None
            # What is called in another way than usual is not known.
            with suppress(IndexError, TypeError, ValueError, AttributeError, RuntimeError):
                found = self._followed(func, args, kwargs, given[0], known)
            for tensor in given:
                self._axes[tensor] = found
                if found is not None:
                    self._unfolded.pop(tensor, None)
            whole = given[0]._base if func._schema.is_mutable else None
            if whole is not None and whole not in self._axes:  # of which a part was written to
                self._axes[whole] = found if whole.ndim == given[0].ndim else None
        return outputs

    def _followed(self, func: Any, args: Any, kwargs: Any, output: Any, known: list[Any]) -> Axes:
        name = _operation(func)
        if torch.Tag.pointwise in func.tags:
            self._stays_folded(known, output)
            return self._together(known, output.ndim)
        if func.namespace != "aten":
            return None
        if name in RULES:
            return RULES[name](self, args, kwargs, output)
        source = args[1] if name == "copy" else args[0]
        if name in SAME or name.startswith(PREFIXES):
            self._stays_folded([source], output)
            return self.axes(source) if output.ndim == source.ndim else None
        if name.startswith(POOLS):
            pooled = re.findall(r"(\d)d", name)[-1]
            return _without(self.axes(source), range(output.ndim - int(pooled), output.ndim))
        if name in REDUCTIONS:
            return self._reduced(source, output, _dim(func, args, kwargs))
        if name in CHOICES:
            axes = self.axes(source)
            return None if axes is None or _dim(func, args, kwargs) % source.ndim in axes else axes
        if name in PRODUCTS:
            one, other = args[PRODUCTS[name] :][:2]
            return self._product(one, other, output)
        if "conv" in name:
            return frozenset({output.ndim - args[1].ndim + 1})
        if "batch_norm" in name or "group_norm" in name:
            return self._normalized(source, output, 1)
        if "layer_norm" in name or "rms_norm" in name:
            return self._normalized(source, output, output.ndim - 1 if len(args[1]) == 1 else None)
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
        if found:  # channels times paths, with those of each channel, are of the channels
            return frozenset.intersection(*found) or None
        return frozenset() if all(self.axes(tensor) is not None for tensor in tensors) else None

    def _stays_folded(self, tensors: Sequence[torch.Tensor], output: torch.Tensor) -> None:
        """Take note that what has the shape of a tensor whose channels are mixed up has them there too."""
        for tensor in tensors:
            if tensor in self._unfolded and tensor.shape == output.shape:
                self._unfolded[output] = self._unfolded[tensor]

    def _normalized(self, source: torch.Tensor, output: torch.Tensor, usual: int | None) -> Axes:
        """Return the axes of what is normalised: where they were, or else where they are meant to be."""
        self._stays_folded([source], output)
        axes = self.axes(source)
        if usual is None or (axes is not None and len(axes) == 1):
            return axes
        if source in self._unfolded:
            shape, before = self._unfolded[source]
            last_is_other = shape[-1] == source.shape[-1] and len(shape) - 1 not in before
            images_with_channels = len(source) == 1 and usual == 1
            if images_with_channels or (last_is_other and usual == source.ndim - 1):
                return None
        return frozenset({usual})

    def _reduced(self, source: torch.Tensor, output: torch.Tensor, named: Any) -> Axes:
        ndim, axes = source.ndim, self.axes(source)
        if axes is None or named is None:
            return None
        gone = {axis % ndim for axis in ([named] if isinstance(named, int) else named)} or set(range(ndim))
        if output.ndim == ndim:
            return axes - gone
        return frozenset(axis - sum(other < axis for other in gone) for axis in axes - gone)

    def _product(self, one: torch.Tensor, other: torch.Tensor, output: torch.Tensor) -> Axes:
        """Return the axes of a product: new channels where one factor is a weight, else those that stay."""
        rows, columns = one.ndim - 2, one.ndim - 1
        if other not in self._axes:
            shape, axes = self._unfolded.get(one, (one.shape, self.axes(one)))
            if axes and len(shape) - 1 not in axes and shape[-1] == one.shape[-1]:
                shape = (*shape[:-1], output.shape[-1])  # an axis beside the channels was summed up
                self._unfolded[output] = shape, axes
                return reshaped(shape, output.shape, axes)
            return frozenset({rows if axes and rows in axes else columns})
        if one not in self._axes:
            axes = self.axes(other)
            return frozenset({columns if axes and columns in axes else rows})
        kept = {at for at, factor in ((rows, one), (columns, other)) if at in (self.axes(factor) or ())}
        if not kept:  # heads may be joined with images
            self._product_of_heads(one, other, output)
        return frozenset(kept) or None

    def _product_of_heads(self, one: torch.Tensor, other: torch.Tensor, output: torch.Tensor) -> None:
        """Take note of the axes in a product of many, where one factor has its channels folded."""
        for factor, stays in ((other, -1), (one, -2)):
            shape, axes = self._unfolded.get(factor, ((), frozenset()))
            summed_up = -3 - stays
            same = tuple(shape[-2:]) == tuple(factor.shape[-2:])
            if same and len(shape) + stays in axes and len(shape) + summed_up not in axes:
                self._unfolded[output] = (*shape[:-2], *output.shape[-2:]), axes


def _without(axes: Axes, gone: Iterable[int]) -> Axes:
    return None if axes is None else axes.difference(gone)


def _operation(func: Any) -> str:
    """Return an operation's name, by which it goes in place too."""
    name = str(func).split(".")[1]
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def _dim(func: Any, args: Any, kwargs: Any) -> Any:
    """Return the axes that a call of an operation names, or that it takes where none is named."""
    for at, argument in enumerate(func._schema.arguments):
        if argument.name == "dim":
            return kwargs.get("dim", args[at] if at < len(args) else argument.default_value)
    return None


def _tensors(given: Any) -> Iterator[torch.Tensor]:
    if isinstance(given, torch.Tensor):
        yield given
    elif isinstance(given, tuple | list):
        for item in given:
            yield from _tensors(item)


_Rule = Callable[[ChannelFlow, Any, Any, torch.Tensor], Axes]


def _view(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    if output is args[0]:  # in place, so that its shape before is not known any more
        return None
    shape, axes = flow._unfolded.get(args[0], (args[0].shape, flow.axes(args[0])))
    found = reshaped(shape, output.shape, axes)
    if found is None and axes:
        kept = [at for at, length in enumerate(shape) if length != 1 or at in axes]
        last = (1,) if output.shape[-1] == 1 else ()
        before = (*(shape[at] for at in kept), *last)
        flow._unfolded[output] = before, frozenset(kept.index(axis) for axis in axes)
    return found


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


def _leading(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    """Return the axes of what has an axis more, or less, at the end."""
    axes = flow.axes(args[0])
    return None if axes is None or output.ndim in axes else axes


def _embedding(flow: ChannelFlow, args: Any, kwargs: Any, output: torch.Tensor) -> Axes:
    return frozenset({output.ndim - 1})


RULES: dict[str, _Rule] = {
    **dict.fromkeys(("view", "_unsafe_view", "_reshape_alias", "reshape", "squeeze"), _view),
    **dict.fromkeys(("expand", "repeat"), _expand),
    **dict.fromkeys(("select", "unbind"), _select),
    **dict.fromkeys(("t", "transpose"), _transpose),
    **dict.fromkeys(("unfold", "view_as_complex", "view_as_real"), _leading),
    "cat": _cat,
    "embedding": _embedding,
    "index": _index,
    "permute": _permute,
    "stack": _stack,
    "unsqueeze": _unsqueeze,
}
