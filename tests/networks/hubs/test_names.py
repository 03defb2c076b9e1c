"""What other libraries are called."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from differentia.networks.hubs.names import HUBS, hub_meant


def test_each_has_its_module_here() -> None:
    """Where its networks are loaded; and is installed for these tests."""
    for scheme, hub in HUBS.items():
        assert find_spec(f"differentia.networks.hubs.{scheme}") is not None
        assert find_spec(hub.module) is not None


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("timm", "timm"),
        ("TorchVision", "torchvision"),
        ("open-clip", "open_clip"),
        ("hf-hub", "hf"),
        ("huggingface", "hf"),
        ("torch", "torchvision"),
        ("keras", ""),
        ("my_code", ""),
    ],
)
def test_what_is_meant(word: str, meant: str) -> None:
    """However it is spelt, and by what it is called elsewhere; nothing by other words."""
    assert hub_meant(word) == meant
