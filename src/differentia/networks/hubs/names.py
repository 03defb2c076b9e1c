"""What other libraries of networks are called, here because they take seconds to import."""

from __future__ import annotations

#: What a spec calls each library, and the module and the extra by which it is installed.
HUBS = {
    "torchvision": ("torchvision", "torchvision"),
    "timm": ("timm", "timm"),
    "hf": ("transformers", "hf"),
    "open_clip": ("open_clip", "open_clip"),
}
