"""Networks: whatever the user has, as images in and layers out.

The names are imported when they are first used: to know how pixels are preprocessed takes no PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from differentia.networks.base import Network
    from differentia.networks.load import load_network
    from differentia.networks.preprocessing import PREPROCESSINGS
    from differentia.networks.runner import COMPILE, Runner, require_compile

__all__ = ["COMPILE", "PREPROCESSINGS", "Network", "Runner", "load_network", "require_compile"]

_HOMES = {"Network": "base", "load_network": "load", "PREPROCESSINGS": "preprocessing"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'runner')}"), name)
