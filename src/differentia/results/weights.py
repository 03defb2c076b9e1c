"""Which weights a network had, as its result says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from differentia.networks.hubs.names import HUBS, RANDOM
from differentia.networks.weight_files import OF_WEIGHTS
from differentia.system.specs import parse_spec

#: Stands for the weights that keep to a network's name.
DEFAULT = "DEFAULT"

#: Of Keras's networks.
IMAGENET = "imagenet"


def weights_of(known: Mapping[str, Any]) -> str:
    """Return what a provenance says of a network's weights: their name, a path, "random", or "".

    Older results say no more than the network's written name does.
    """
    network = str(known.get("network", ""))
    if known.get("weights") or not _names_weights(network):
        return str(known.get("weights", ""))
    name, options = parse_spec(network)
    library, _, name = name.partition(":")
    given = options.get("weights", options.get("pretrained", DEFAULT if library in HUBS else ""))
    if library == "keras":
        given = options.get("weights", IMAGENET)
    if given is None:
        return RANDOM if library in HUBS or library == "keras" else ""
    if library == "timm" and given == DEFAULT and ":" not in name:
        return name.partition(".")[2]
    return "" if given == DEFAULT else str(given)


def is_of_hub(network: str) -> bool:
    """Return whether a written name is of one of the libraries of networks."""
    return re.fullmatch(rf"({'|'.join(HUBS)}):[^?]+(\?.*)?", network) is not None


def is_file(weights: str) -> bool:
    """Return whether weights are called by the path of a file."""
    return PurePath(weights).suffix.lower() in OF_WEIGHTS or "/" in weights or "\\" in weights


def file_name(path: str) -> str:
    """Return a file's name without its folder, also of a path from another system."""
    return re.split(r"[\\/]", path)[-1]


def _names_weights(network: str) -> bool:
    """Return whether a network's written name has options of a known form."""
    of_code_or_keras = re.fullmatch(r"[\w.]+:[\w.]+(\?.*)?", network) is not None
    return of_code_or_keras or is_of_hub(network)
