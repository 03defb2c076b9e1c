"""Which axis of what a PyTorch module or function gives holds the channels, where its own kind tells."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import nn

#: Modules whose last axis holds the channels.
LAST = (
    *(nn.Linear, nn.Bilinear, nn.Embedding, nn.EmbeddingBag, nn.RNNBase, nn.RNNCellBase),
    *(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer, nn.TransformerEncoder, nn.TransformerDecoder),
)

CONVOLUTIONS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)

#: Modules, and names of others, whose second axis holds the channels, whatever comes in.
NORMS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.GroupNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)
POOLS = ("Pool1d", "Pool2d", "Pool3d", "Upsample", "PixelShuffle", "PixelUnshuffle", "ChannelShuffle")


def axis_of_module(module: torch.nn.Module, shape: Sequence[int]) -> int | None:
    """Return the axis of an output that holds the channels; None where the kind of the module does not tell.

    A class of somebody else's that computes in its own way may do anything with the axes.
    """
    computing = next(kind for kind in type(module).__mro__ if "forward" in vars(kind))
    if not computing.__module__.startswith("torch.nn."):
        return None
    if isinstance(module, CONVOLUTIONS):
        return len(shape) - len(module.kernel_size) - 1
    if isinstance(module, NORMS) or computing.__name__.endswith(POOLS):
        return 1
    normalized = getattr(module, "normalized_shape", ())
    if isinstance(module, LAST) or len(normalized) == 1:
        return len(shape) - 1
    return None


def axis_of_function(name: str, ndim: int) -> int | None:
    """Return the axis of what a function of PyTorch gives that holds the channels, where its name tells."""
    over_space = re.search(r"(\d)d$", name)  # convolutions and pools
    if over_space:
        return ndim - int(over_space[1]) - 1
    return 1 if name in ("batch_norm", "group_norm", "instance_norm") else None
