"""What every library of networks gives, whatever it calls it."""

from __future__ import annotations

from typing import NamedTuple

import torch

from differentia.networks.class_files import ClassIndex
from differentia.networks.transforms import Transform


class HubNetwork(NamedTuple):
    """A network of a library, with its weights, its transform, and the classes that it tells apart."""

    module: torch.nn.Module
    #: None where what the library does to an image can't be said as a transform.
    transform: Transform | None
    classes: ClassIndex = ClassIndex()
    #: Why there is no transform.
    untold: str = ""
