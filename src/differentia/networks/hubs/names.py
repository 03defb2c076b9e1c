"""What other libraries of networks are called, here because they take seconds to import."""

from __future__ import annotations

from typing import NamedTuple

#: What random weights are called.
RANDOM = "random"


class Hub(NamedTuple):
    """A library of networks."""

    #: The module that it is imported by, and the extra of this package that installs it.
    module: str
    extra: str
    #: The package that holds it, as it is installed.
    package: str
    #: A network of it, for errors.
    example: str


#: By what a spec calls it.
HUBS = {
    "torchvision": Hub("torchvision", "torchvision", "torchvision", "resnet18"),
    "timm": Hub("timm", "timm", "timm", "vit_tiny_patch16_224"),
    "hf": Hub("transformers", "hf", "transformers", "google/vit-base-patch16-224"),
    "open_clip": Hub("open_clip", "open_clip", "open_clip_torch", "ViT-B-32"),
}

#: What they are called elsewhere, in small letters.
_CALLED = {
    "huggingface": "hf",
    "huggingface_hub": "hf",
    "hub": "hf",
    "hf_hub": "hf",
    "transformers": "hf",
    "torch": "torchvision",
    "openclip": "open_clip",
    "clip": "open_clip",
}


def hub_meant(scheme: str) -> str:
    """Return what a spec calls the library that a word is for; "" for a word that is for none."""
    plain = scheme.lower().replace("-", "_")
    return plain if plain in HUBS else _CALLED.get(plain, "")
