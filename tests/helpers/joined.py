"""A transformer on the patches of an image, with tokens joined to them."""

from __future__ import annotations

import torch
from torch import nn

#: Height and width of its images.
SIZE = 64


class Joined(nn.Module):
    """PyTorch's own transformer; the tokens have the name of their weight, and stand before or behind."""

    def __init__(
        self, name: str = "cls_token", *, tokens: int = 1, behind: bool = False, batch_first: bool = True
    ) -> None:
        super().__init__()
        self.name, self.behind, self.batch_first = name, behind, batch_first
        self.patches = nn.Linear(3 * 16 * 16, 24)
        self.register_parameter(name, nn.Parameter(torch.randn(1, tokens, 24)))
        self.norm = nn.LayerNorm(24)
        layer = nn.TransformerEncoderLayer(24, 2, 40, batch_first=batch_first, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = nn.functional.unfold(x, 16, stride=16).transpose(1, 2)
        joined = getattr(self, self.name).expand(len(x), -1, -1)
        if not self.batch_first:
            parts, joined = parts.transpose(0, 1), joined.transpose(0, 1)
        both = [joined, self.patches(parts)]
        tokens = torch.cat(both[::-1] if self.behind else both, dim=1 if self.batch_first else 0)
        encoded = self.encoder(self.norm(tokens))
        logits: torch.Tensor = self.head(encoded.mean(1 if self.batch_first else 0))
        return logits


def joined() -> Joined:
    """Return the same network each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Joined().eval()
