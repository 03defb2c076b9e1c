"""A device whose memory holds few images: modules that fail as PyTorch does where it is full."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn


class Full(nn.Module):
    """Fails for more than `most` images, after all that comes before it was computed."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.failed: Counter[int] = Counter()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.most:
            self.failed[len(x)] += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return x


class OfSmallMemory(nn.Module):
    """A network of which a layer is computed before the memory is full, and one after."""

    def __init__(self, most: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.full = Full(most)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.norm(self.full(self.conv(x))).mean((2, 3)))
