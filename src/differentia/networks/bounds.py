"""How large a network may be: counted while it is made, before there is memory for what it declares.

A configuration of a few bytes can declare more than any machine has. What a network holds is bounded by its
file, where it has one, and else by the memory that is free.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from differentia.errors import InputError
from differentia.networks.misfits import brief
from differentia.system.machine import free_memory, written_size

#: No network that is known has as many tensors; each takes time and memory beside its numbers.
MOST_TENSORS = 100_000

#: How many times what its file holds a network may take while it is made, and so much more.
TIMES_FILE, BESIDE = 2, 10_000_000

#: PyTorch's functions that make a tensor of a size.
_MAKERS = frozenset((torch.empty, torch.full, torch.ones, torch.rand, torch.randn, torch.zeros))

#: Held while Keras's layers count; see `keras_weights_counted`.
_COUNTING = threading.RLock()


class Bound:
    """Counts the tensors of a network while it is made.

    Parameters
    ----------
    where
        How the network is named in the error.
    held
        The bytes of weights in its file; None where it has none, and the memory that is free is the bound.
    """

    def __init__(self, where: str, held: int | None = None) -> None:
        self._where, self._held = where, held
        self._most = free_memory() if held is None else TIMES_FILE * held + BESIDE
        self.bytes = self._tensors = 0
        #: What was raised: another library may raise an error of its own from it.
        self.error: InputError | None = None

    def count(self, shape: Sequence[int], itemsize: int) -> None:
        """Count a tensor, or raise an error where there are too many or too large ones."""
        self._tensors += 1
        self.bytes += math.prod(shape) * itemsize
        if self.bytes <= self._most and self._tensors <= MOST_TENSORS:
            return
        declared = f"declares {self._tensors:,} tensors"
        if self._tensors <= MOST_TENSORS:
            size = written_size(self.bytes)
            declared = f"declares tensors of {size} or more (the last is {' x '.join(map(str, shape))})"
        if self._tensors > MOST_TENSORS:
            reason = f"expected at most {MOST_TENSORS:,}; change its options or its configuration"
        elif self._held is None:
            reason = (
                f"and {written_size(self._most)} of memory are free; change its options or its "
                "configuration, or use a larger machine"
            )
        else:
            reason = (
                f"and its file holds {written_size(self._held)}: it is damaged, or made to fill the memory; "
                "don't use it"
            )
        self.error = InputError(f"{self._where}: {declared}, {reason}")
        raise self.error


class _Counted(TorchFunctionMode):
    """Counts each tensor before PyTorch makes it, on whichever device, as long as it is entered."""

    def __init__(self, bound: Bound) -> None:
        super().__init__()
        self._bound = bound

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _MAKERS:
            size = kwargs.get("size", args[0] if args and isinstance(args[0], Sequence) else args)
            dtype = kwargs.get("dtype") or torch.get_default_dtype()
            self._bound.count([size] if isinstance(size, int) else size, dtype.itemsize)
        return func(*args, **kwargs)


@contextmanager
def building(where: str, what: str, remedy: str, *, held: int | None = None) -> Iterator[None]:
    """Have a library build a PyTorch module that is not too large; its errors, of many kinds, are told.

    Parameters
    ----------
    where, what, remedy
        Of the error: which network, what can't be done, and what to do.
    held
        The bytes of weights that it has in a file.
    """
    bound = Bound(where, held)
    try:
        with _Counted(bound):
            yield
    except InputError:
        raise
    except Exception as error:
        raise bound.error or InputError(f"{where}: {what} ({brief(error)}); {remedy}") from error


@contextmanager
def keras_weights_counted(bound: Bound) -> Iterator[None]:
    """Have Keras's layers count each weight before they make it, on whichever backend, in this thread.

    Keras has no hook for it, so `add_weight` is wrapped meanwhile.
    """
    import keras

    layer, thread = keras.layers.Layer, threading.get_ident()
    with _COUNTING:
        add_weight = layer.add_weight

        @wraps(add_weight)
        def counted(self: Any, *args: Any, **options: Any) -> Any:
            if threading.get_ident() == thread:
                shape = options.get("shape", args[0] if args else None) or ()
                dtype = keras.backend.standardize_dtype(options.get("dtype") or self.variable_dtype)
                bound.count([shape] if isinstance(shape, int) else shape, _itemsize(dtype))
            return add_weight(self, *args, **options)

        layer.add_weight = counted
        try:
            yield
        finally:
            layer.add_weight = add_weight


def _itemsize(dtype: str) -> int:
    """Return the bytes of a number of a type that is named by its bits: 4 of float32."""
    bits = "".join(filter(str.isdecimal, dtype.partition("_")[0]))
    return max(1, int(bits or 8) // 8)
