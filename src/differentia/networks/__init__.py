"""Networks: whatever the user has, as images in and layers out.

The names are imported when they are first used, since most of them import PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from differentia.networks.base import COMPILE, Network, require_compile
    from differentia.networks.load import load_network
    from differentia.networks.preprocessing import PREPROCESSINGS
    from differentia.networks.runner import Runner

_HOMES = {
    "COMPILE": "base",
    "Network": "base",
    "PREPROCESSINGS": "preprocessing",
    "Runner": "runner",
    "load_network": "load",
    "require_compile": "base",
}

__all__ = ["COMPILE", "PREPROCESSINGS", "Network", "Runner", "load_network", "require_compile"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
