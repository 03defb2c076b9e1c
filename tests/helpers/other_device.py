"""A device that has no float64, as Apple's: it computes on the processor, and refuses what that would."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

NO_FLOAT64 = "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64"
#: PyTorch knows it everywhere, and no tensor of it has numbers that code could read past this.
DEVICE = torch.device("meta")


class OnDevice(torch.Tensor):
    """A tensor that says that it lies on the device; its numbers are those of one on the processor."""

    numbers: torch.Tensor

    @staticmethod
    def __new__(cls, values: torch.Tensor) -> OnDevice:
        if values.dtype == torch.float64:
            raise TypeError(NO_FLOAT64)
        made: OnDevice = torch.Tensor._make_wrapper_subclass(
            cls, values.shape, strides=values.stride(), dtype=values.dtype, device=DEVICE
        )
        made.numbers = values
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return computed(func, args, kwargs or {})


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Do an operation as the device does it; what is copied to the processor is of the same type there."""
    there = False

    def here(given: Any) -> Any:
        nonlocal there
        if isinstance(given, OnDevice):
            there = True
            return given.numbers
        return given

    own_args, own = tree_map(here, args), tree_map(here, kwargs)
    device = own.get("device")
    if device is not None and torch.device(device).type == DEVICE.type:
        own["device"], there = "cpu", True
    elif device is not None and there:
        if own.get("dtype") == torch.float64:
            raise TypeError(NO_FLOAT64)
        there = False
    if there and own.get("dtype") == torch.float64:
        raise TypeError(NO_FLOAT64)
    found = func(*own_args, **own)
    return tree_map(lambda x: OnDevice(x) if there and isinstance(x, torch.Tensor) else x, found)


class Device(TorchDispatchMode):
    """While it is there, tensors can be copied to the device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


def moved(module: nn.Module) -> nn.Module:
    """Return a module after its weights were put on the device."""
    for part in module.modules():
        for name, weight in part.named_parameters(recurse=False):
            part._parameters[name] = nn.Parameter(OnDevice(weight.detach()), requires_grad=False)
        for name, buffer in part.named_buffers(recurse=False):
            part._buffers[name] = OnDevice(buffer)
    return module
