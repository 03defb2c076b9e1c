"""How images are fitted to a network: as the user wants it, or as the network's own library does it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from differentia.networks.base import Network
from differentia.stimuli.base import Fit


def fit_of(network: Network, resize: str | None = None, crop: str | None = None) -> Fit:
    """Return how images are fitted to a network, where None leaves that to it.

    The margin that its library resizes an image to, and cuts off, goes with the library's own crop only.
    """
    asked: dict[str, Any] = {
        name: given for name, given in (("resize", resize), ("crop", crop)) if given is not None
    }
    own = network.transform
    if own is None:
        return Fit(network.input_shape, **asked)
    if crop not in (None, own.crop):
        asked["resize_to"] = None
    theirs = (own.resize, own.crop, own.resize_to, own.rounded_down, own.resized_by)
    return replace(Fit(network.input_shape, *theirs), **asked)


def described_fit(fit: Fit) -> dict[str, Any]:
    """Return a fit as a result and a store keep it."""
    facts: dict[str, Any] = {"resize": fit.resize, "crop": fit.crop}
    if fit.resize_to is not None:  # else all is as it was before there were margins, of which stores tell
        facts["resized_to"] = fit.resize_to if isinstance(fit.resize_to, int) else list(fit.resize_to)
        facts |= {"rounded_down": True} if fit.rounded_down else {}
    if fit.by_pytorch:
        facts["resized_by"] = "PyTorch"
    return facts
