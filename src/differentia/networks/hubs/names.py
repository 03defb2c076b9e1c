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
    #: A network of it, for errors.
    example: str
    #: What its package is called, of which versions are told.
    package: str


#: By what a spec calls it.
HUBS = {
    "torchvision": Hub("torchvision", "torchvision", "resnet18", "torchvision"),
    "timm": Hub("timm", "timm", "vit_tiny_patch16_224", "timm"),
    "hf": Hub("transformers", "hf", "google/vit-base-patch16-224", "transformers"),
    "open_clip": Hub("open_clip", "open_clip", "ViT-B-32", "open_clip_torch"),
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
