"""What it costs to record some tokens of a transformer's layers in the place of all.

``all``, ``class``, ``patches`` and ``mean`` record the blocks of a vision transformer (12 blocks of 192
channels, 196 patches and a class token) without views, by choice of tokens; finding the layers is in it.

    python benchmarks/tokens.py [--images 129] [--repeats 7]
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import torch
from harness import Benchmark, Way, Work, options_of
from torch import nn

import differentia as dif

#: Of an image and of a patch; channels, heads and blocks: those of ViT-Ti/16.
SIDE, PATCH = 224, 16
CHANNELS, HEADS, BLOCKS = 192, 3, 12

#: Images in one pass.
BATCH = 32


class Transformer(nn.Module):
    """A vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, CHANNELS, PATCH, PATCH)
        self.cls_token = nn.Parameter(torch.randn(1, 1, CHANNELS))
        self.places = nn.Parameter(torch.randn(1, (SIDE // PATCH) ** 2 + 1, CHANNELS))
        self.joined = nn.Identity()
        options: dict[str, Any] = {"activation": "gelu", "batch_first": True, "norm_first": True}
        block = nn.TransformerEncoderLayer(CHANNELS, HEADS, 4 * CHANNELS, **options)
        self.encoder = nn.TransformerEncoder(block, BLOCKS, enable_nested_tensor=False)
        self.head = nn.Linear(CHANNELS, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, from the class token."""
        patches = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1)
        logits: torch.Tensor = self.head(self.encoder(self.joined(tokens + self.places))[:, 0])
        return logits


def prepare(images: int, tokens: str) -> Work:
    """Return a recording of the blocks."""
    warnings.simplefilter("ignore", dif.DifferentiaWarning)  # of layers that are whole
    torch.manual_seed(0)
    module = Transformer().eval()
    network = dif.load_network(module, preprocess="imagenet", input_shape=(3, SIDE, SIDE), device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (images, SIDE, SIDE, 3), dtype=np.uint8)

    options: dict[str, Any] = {"pool": 10_000, "views": False, "compile": "never", "batch_size": BATCH}

    def work() -> None:
        dif.record(network, {"noise": pixels}, layers=[":blocks"], tokens=tokens, **options)

    return work


def main() -> None:
    """Print the medians, and the ratio of each turn."""
    parser = options_of(__doc__, "tokens.json", repeats=7)
    parser.add_argument("--images", type=int, default=129)
    given = parser.parse_args()
    benchmark = Benchmark.of("tokens", {"images": given.images}, given)
    ways = ("all", "class", "patches", "mean")
    of_tokens = [Way(tokens, partial(prepare, given.images, tokens)) for tokens in ways]
    benchmark.take_turns(of_tokens, given.repeats)
    benchmark.print_table()
    for tokens in ways[1:]:
        benchmark.print_ratio(tokens, "all")
        benchmark.print_ratio(tokens, "all", "cpu_s")


if __name__ == "__main__":
    main()
