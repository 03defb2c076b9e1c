"""What every library of networks gives, whatever it calls it."""

from __future__ import annotations

from typing import NamedTuple

import torch

from differentia.errors import InputError
from differentia.networks.class_files import ClassIndex
from differentia.networks.specs import NetworkSpec
from differentia.networks.transforms import Transform


class UntoldError(ValueError):
    """What a library does to an image can't be said as a transform; the message says why."""


class HubNetwork(NamedTuple):
    """A network of a library, with its weights, its transform, and the classes that it tells apart."""

    module: torch.nn.Module
    #: None where what the library does to an image can't be said as a transform.
    transform: Transform | None
    classes: ClassIndex = ClassIndex()
    #: Why there is no transform.
    untold: str = ""
    #: Whether its last layer tells classes apart, rather than being an embedding.
    classifies: bool = True
    #: What its weights are called: by the library, or by the path of their file; "random" for such; "" for
    #: the only ones that it has.
    weights: str = ""


def require_no_option(spec: NetworkSpec, *names: str) -> None:
    """Raise an error for an option by which a library loads weights itself, and may run code in them."""
    for name in names:
        if name in spec.options:
            raise InputError(
                f"{spec.text}: {name} can't be chosen; write weights=DEFAULT, weights=none or weights=PATH"
            )
