"""A network that the command line names: its code may lie in the working folder."""

from __future__ import annotations

import sys
from typing import Any


def load_named_network(network: str, **options: Any) -> Any:
    """Return a network; code that it names may also lie in the working folder, as for ``python -m``."""
    from differentia.networks.load import load_network, names_code

    if not names_code(network):
        return load_network(network, **options)
    # Only now: a file there may be a stranger's, and bear the name of what a library would import.
    sys.path.insert(0, "")
    try:
        return load_network(network, **options)
    finally:
        sys.path.remove("")
