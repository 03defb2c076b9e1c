"""Where the channels go in each operation of a pass; that a known axis does hold them is computed again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.channels import Operation, keeps_apart, values
from hypothesis import given, settings, strategies as st
from torch import library, nn
from torch.nn import functional

from differentia.networks.flow import CHOICES, POOLS, PREFIXES, PRODUCTS, REDUCTIONS, RULES, SAME, ChannelFlow


def axes_after(operation: Operation, shape: tuple[int, ...], axes: set[int]) -> list[int] | None:
    """Return the axes that hold the channels of what an operation gives."""
    with torch.no_grad(), ChannelFlow() as flow:
        batch = values(shape)
        flow.note(batch, frozenset(axes))
        found = flow.axes(operation(batch))
    return None if found is None else sorted(found)


def fixed(module: nn.Module) -> Operation:
    """Return a module at inference with numbers that are none of them zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.2 + torch.rand(weight.shape, generator=generator))
    return module.eval()


def into(shape: tuple[int, ...], index: Any) -> Operation:
    """Return what writes to a part of something new."""

    def write(x: torch.Tensor) -> torch.Tensor:
        whole = torch.zeros(shape)
        whole[index] = x
        return whole

    return write


def by_parts(x: torch.Tensor, write: Callable[[torch.Tensor], Any]) -> torch.Tensor:
    """Return a copy of which a part was written to."""
    copy = x.clone()
    write(copy)
    return copy


def scatter_sources(x: torch.Tensor) -> torch.Tensor:
    return x.scatter(3, torch.zeros(x.shape, dtype=torch.long), 2 * x)


def channel_shuffle(x: torch.Tensor) -> torch.Tensor:
    b, c, h, w = x.shape
    return x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)


def heads(x: torch.Tensor) -> torch.Tensor:
    """Split the features of tokens over two heads."""
    return x.view(*x.shape[:2], 2, -1).transpose(1, 2)


def joined(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).flatten(2)


MULTIHEAD = nn.MultiheadAttention(6, 2, batch_first=True)  # not .eval(), where it is one operation
MAPS, TOKENS = (2, 6, 4, 8), (2, 5, 6)
COLUMNS = torch.tensor([3, 0, 2])
MIXING = 0.2 + torch.rand(5, 5, generator=torch.Generator().manual_seed(1))
GRID = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 3)] * 2, indexing="ij"), -1)
WEIGHTS = 0.2 + torch.rand(6, 7, generator=torch.Generator().manual_seed(1))

#: Operations that keep the channels apart, by name: what they do, to what, with channels on which axis,
#: and the axes that hold them in what they give.
APART: dict[str, tuple[Operation, tuple[int, ...], int, list[int]]] = {
    # views
    "unsqueezed in place": (lambda x: x.clone().unsqueeze_(1), TOKENS, 2, [3]),
    "transposed in place": (lambda x: x.clone().transpose_(1, 2), TOKENS, 2, [1]),
    "permute": (lambda x: x.permute(0, 2, 3, 1), MAPS, 1, [3]),
    "permute from the end": (lambda x: x.permute(-4, -2, -1, -3), MAPS, 1, [3]),
    "transpose": (lambda x: x.transpose(1, 2), TOKENS, 2, [1]),
    "transpose from the end": (lambda x: x.transpose(-1, -3), MAPS, 1, [3]),
    "mT": (lambda x: x.mT, TOKENS, 2, [1]),
    "t": (lambda x: x.t(), (2, 6), 1, [0]),
    "movedim": (lambda x: x.movedim(1, -1), MAPS, 1, [3]),
    "flatten": (lambda x: x.flatten(2), MAPS, 1, [1]),
    "flatten, not in memory": (lambda x: x.permute(0, 2, 3, 1).flatten(1, 2), MAPS, 1, [2]),
    "unflatten": (lambda x: torch.unflatten(x, 1, (1, 5)), TOKENS, 2, [3]),
    "heads": (heads, TOKENS, 2, [1, 3]),
    "joined": (lambda x: joined(heads(x)), TOKENS, 2, [2]),
    "all joined, then split": (lambda x: torch.unflatten(x.flatten(1), 1, (6, -1)), MAPS, 1, [1]),
    "images and channels joined": (
        lambda x: functional.relu(x.flatten(0, 1)).view(2, 6, 32), MAPS, 1, [1]
    ),
    "squeeze": (lambda x: x.squeeze(1).squeeze(), (2, 1, 6, 1), 2, [1]),
    "unsqueeze": (lambda x: x.unsqueeze(1).unsqueeze(-1), TOKENS, 2, [3]),
    "expand": (lambda x: x.expand(3, -1, -1, -1), TOKENS, 2, [3]),
    "repeat": (lambda x: x.repeat(2, 1, 3, 1), TOKENS, 2, [3]),
    "select": (lambda x: x[:, 0], TOKENS, 2, [1]),
    "select from the end": (lambda x: x.select(-1, 2), MAPS, 1, [1]),
    "slice": (lambda x: x[:, ::2, 1:], MAPS, 1, [1]),
    "index": (lambda x: x[:, :, COLUMNS], MAPS, 1, [1]),
    "index of channels": (lambda x: x[:, COLUMNS], MAPS, 1, [1]),
    "index_select": (lambda x: x.index_select(2, COLUMNS), MAPS, 1, [1]),
    "unfold": (lambda x: x.unfold(2, 2, 2), MAPS, 1, [1]),
    "split": (lambda x: torch.split(x, 2, dim=1)[1], MAPS, 1, [1]),
    "split unevenly": (lambda x: torch.split(x, [1, 3], dim=2)[1], MAPS, 1, [1]),
    "chunk": (lambda x: x.chunk(2, dim=-1)[1], TOKENS, 2, [2]),
    "unbind": (lambda x: x.unbind(1)[3], TOKENS, 2, [1]),
    "roll": (lambda x: x.roll((1, -1), (2, 3)), MAPS, 1, [1]),
    "flip": (lambda x: x.flip(1), MAPS, 1, [1]),
    "real and imaginary": (lambda x: torch.view_as_real(torch.view_as_complex(x)), (2, 6, 4, 2), 1, [1]),
    # what joins
    "cat of channels": (lambda x: torch.cat([x, 2 * x], 1), MAPS, 1, [1]),
    "cat of tokens": (lambda x: torch.cat([torch.ones(2, 1, 6), x], 1), TOKENS, 2, [2]),
    "cat of images": (lambda x: torch.cat([x, x]), TOKENS, 2, [2]),
    "stack in front": (lambda x: torch.stack([x, -x]), TOKENS, 2, [3]),
    "stack behind": (lambda x: torch.stack([x, -x], -1), TOKENS, 2, [2]),
    "written to a part": (into((2, 8, 6), (slice(None), slice(1, 6))), TOKENS, 2, [2]),
    "part written to": (lambda x: by_parts(x, lambda y: y[:, 1:].copy_(x[:, :-1])), TOKENS, 2, [2]),
    "part made zero": (lambda x: by_parts(x, lambda y: y[:, 1:].zero_()), TOKENS, 2, [2]),
    "part filled": (lambda x: by_parts(x, lambda y: y[:, 1:].fill_(3)), TOKENS, 2, [2]),
    "part filled by index": (
        lambda x: by_parts(x, lambda y: y.index_put_((COLUMNS,), x[1])), (4, 5, 6), 2, [2]
    ),
    "scatter": (scatter_sources, MAPS, 1, [1]),
    "slice_scatter": (lambda x: x.slice_scatter(x[:, :2], 1, 2, 4), TOKENS, 2, [2]),
    # entry by entry
    "activations": (lambda x: functional.gelu(functional.silu(functional.relu(x))), MAPS, 1, [1]),
    "hardswish": (functional.hardswish, MAPS, 1, [1]),
    "hardswish in place": (lambda x: functional.hardswish(x.clone(), inplace=True), MAPS, 1, [1]),
    "logsigmoid": (functional.logsigmoid, MAPS, 1, [1]),
    "prelu": (fixed(nn.PReLU(6)), MAPS, 1, [1]),
    "rrelu": (fixed(nn.RReLU()), MAPS, 1, [1]),
    "in place": (lambda x: x.clone().add_(1).mul_(2).relu_(), MAPS, 1, [1]),
    "weights of channels": (lambda x: x * torch.ones(6, 1, 1), MAPS, 1, [1]),
    "gates of channels": (lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(), MAPS, 1, [1]),
    "gates of other shape": (lambda x: x * x.mean((2, 3))[:, :, None, None], MAPS, 1, [1]),
    "added on the right": (lambda x: torch.ones(3, 2, 5, 6) + x, TOKENS, 2, [3]),
    "where": (lambda x: torch.where(x > 0.5, x, torch.zeros(())), MAPS, 1, [1]),
    "masked_fill": (lambda x: x.masked_fill(torch.eye(4, 8) > 0, 0.0), MAPS, 1, [1]),
    "masked_fill by a tensor": (lambda x: x.masked_fill(torch.eye(4, 8) > 0, torch.ones(())), MAPS, 1, [1]),
    "lerp": (lambda x: torch.lerp(x, 2 * x, 0.3), MAPS, 1, [1]),
    "half precision": (lambda x: x.bfloat16().double(), MAPS, 1, [1]),
    "dropout": (lambda x: functional.dropout(x, training=False), MAPS, 1, [1]),
    "contiguous": (lambda x: x.mT.contiguous(), TOKENS, 2, [1]),
    # within a channel
    "mean": (lambda x: x.mean((2, 3)), MAPS, 1, [1]),
    "mean that keeps the axes": (lambda x: x.mean((-2, -1), keepdim=True), MAPS, 1, [1]),
    "mean of tokens": (lambda x: x.mean(1), TOKENS, 2, [1]),
    "sum": (lambda x: x.sum(dim=1), TOKENS, 2, [1]),
    "max": (lambda x: x.max(dim=3).values, MAPS, 1, [1]),
    "amax": (lambda x: x.amax(1), TOKENS, 2, [1]),
    "median": (lambda x: x.median(dim=1).values, TOKENS, 2, [1]),
    "std": (lambda x: x.std(1), TOKENS, 2, [1]),
    "var and mean": (lambda x: torch.var_mean(x, dim=2)[0], MAPS, 1, [1]),
    "norm": (lambda x: x.norm(dim=1), TOKENS, 2, [1]),
    "norm with p of an axis": (lambda x: x.norm(p=2, dim=1), (2, 5, 6, 3), 2, [1]),
    "logsumexp": (lambda x: x.logsumexp(1), TOKENS, 2, [1]),
    "softmax of places": (lambda x: x.flatten(2).softmax(-1), MAPS, 1, [1]),
    "cumsum": (lambda x: x.cumsum(2), MAPS, 1, [1]),
    "sort": (lambda x: x.sort(dim=2).values, MAPS, 1, [1]),
    "topk": (lambda x: x.topk(2, dim=1).values, TOKENS, 2, [2]),
    "gather": (lambda x: x.gather(1, torch.zeros(2, 3, 6, dtype=torch.long)), TOKENS, 2, [2]),
    "spectrum": (lambda x: torch.fft.irfft2(torch.fft.rfft2(x)), MAPS, 1, [1]),
    # pools and the like
    "max_pool2d": (lambda x: functional.max_pool2d(x, 2), MAPS, 1, [1]),
    "max_pool1d": (lambda x: functional.max_pool1d(x, 2), (2, 6, 8), 1, [1]),
    "max_pool3d": (lambda x: functional.max_pool3d(x, 2), (2, 6, 2, 4, 4), 1, [1]),
    "avg_pool1d": (lambda x: functional.avg_pool1d(x, 2), (2, 6, 8), 1, [1]),
    "avg_pool3d": (lambda x: functional.avg_pool3d(x, 2), (2, 6, 2, 4, 4), 1, [1]),
    "lp_pool": (lambda x: functional.lp_pool2d(x, 2.0, 2), MAPS, 1, [1]),
    "fractional_max_pool2d": (
        lambda x: functional.fractional_max_pool2d(
            x, 2, output_size=(2, 4), _random_samples=torch.full((2, 6, 2), 0.3)
        ),
        MAPS, 1, [1],
    ),
    "adaptive_avg_pool2d": (lambda x: functional.adaptive_avg_pool2d(x, 2), MAPS, 1, [1]),
    "adaptive_avg_pool2d to one": (lambda x: functional.adaptive_avg_pool2d(x, 1), MAPS, 1, [1]),
    "adaptive_avg_pool1d": (lambda x: functional.adaptive_avg_pool1d(x, 2), (2, 6, 8), 1, [1]),
    "adaptive_max_pool2d": (lambda x: functional.adaptive_max_pool2d(x, 2), MAPS, 1, [1]),
    "nearest": (lambda x: functional.interpolate(x, scale_factor=2), MAPS, 1, [1]),
    "bilinear": (lambda x: functional.interpolate(x, (5, 7), mode="bilinear"), MAPS, 1, [1]),
    "bicubic": (lambda x: functional.interpolate(x, (5, 7), mode="bicubic", antialias=True), MAPS, 1, [1]),
    "grid_sample": (
        lambda x: functional.grid_sample(x, 0.8 * GRID.expand(2, 3, 3, 2), align_corners=False), MAPS, 1, [1]
    ),
    "pad": (lambda x: functional.pad(x, (1, 2, 0, 1)), MAPS, 1, [1]),
    "pad of channels": (lambda x: functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 3, 3)), MAPS, 1, [1]),
    "reflected": (lambda x: functional.pad(x, (1, 2, 0, 1), mode="reflect"), MAPS, 1, [1]),
    "replicated": (lambda x: functional.pad(x, (1, 2, 0, 1), mode="replicate"), MAPS, 1, [1]),
    "circular": (lambda x: functional.pad(x, (1, 2, 0, 1), mode="circular"), MAPS, 1, [1]),
    "pixel_unshuffle": (lambda x: functional.pixel_unshuffle(x, 2), MAPS, 1, [1]),
    "channels shuffled": (channel_shuffle, MAPS, 1, [1]),
    "channel_shuffle": (lambda x: functional.channel_shuffle(x, 3), MAPS, 1, [1]),
    # norms that look at a channel only, and convolutions of each by itself
    "batch norm": (fixed(nn.BatchNorm2d(6)), MAPS, 1, [1]),
    "batch norm of tokens": (fixed(nn.BatchNorm1d(5)), TOKENS, 2, [2]),
    "batch norm of joined tokens": (
        lambda x: fixed(nn.BatchNorm1d(6))(x.flatten(0, 1)).reshape(x.shape), TOKENS, 2, [2]
    ),
    "instance norm": (fixed(nn.InstanceNorm2d(6, affine=True)), MAPS, 1, [1]),
    "depthwise": (fixed(nn.Conv2d(6, 12, 3, padding=1, groups=6)), MAPS, 1, [1]),
    # products within a channel
    "matmul of places": (lambda x: x.mT @ MIXING, TOKENS, 2, [1]),
    "matmul of tokens": (lambda x: MIXING @ x, TOKENS, 2, [2]),
    "baddbmm of tokens": (
        lambda x: torch.baddbmm(torch.ones(5, 6), MIXING.expand(2, 5, 5), x), TOKENS, 2, [2]
    ),
    "like another": (lambda x: torch.zeros_like(x) + torch.ones_like(x).mT.mT * x, TOKENS, 2, [2]),
    "einsum of tokens": (lambda x: torch.einsum("bnc,nm->bmc", x, MIXING), TOKENS, 2, [2]),
    "linear of tokens": (lambda x: fixed(nn.Linear(5, 7))(x.mT).mT, TOKENS, 2, [2]),
    "linear of tokens without bias": (lambda x: fixed(nn.Linear(5, 7, bias=False))(x.mT), TOKENS, 2, [1]),
    "linear of single numbers": (lambda x: fixed(nn.Linear(1, 7))(x.unsqueeze(-1)), TOKENS, 2, [2]),
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_channels_that_are_kept_apart(name: str) -> None:
    """They are on the axes that are said, each at places of its own; and on no other axis they are."""
    operation, shape, axis, expected = APART[name]
    assert axes_after(operation, shape, {axis}) == expected
    before = values(shape)
    assert keeps_apart(operation, before, axis, expected)
    after = operation(before)
    for other in set(range(after.ndim)) - set(expected):
        assert after.shape[other] == 1 or not keeps_apart(operation, before, axis, [other])


class Attention(nn.Module):
    """Two heads, written in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.qkv, self.proj = nn.Linear(6, 18), nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).view(2, 5, 3, 2, 3).permute(2, 0, 3, 1, 4).unbind(0)
        if self.way == "bmm":
            q, k, v = (part.flatten(0, 1) for part in (q, k, v))
            x = torch.bmm(torch.bmm(q, k.mT).softmax(-1), v).view(2, 2, 5, 3)
        elif self.way == "einsum":
            x = torch.einsum("bhnm,bhmd->bhnd", torch.einsum("bhnd,bhmd->bhnm", q, k).softmax(-1), v)
        elif self.way == "sdpa":
            x = functional.scaled_dot_product_attention(q, k, v)
        else:
            x = (q @ k.mT).softmax(-1) @ v
        return self.proj(joined(x))


def attention_map(x: torch.Tensor) -> torch.Tensor:
    return (x @ x.mT).softmax(-1)


#: Operations that make new channels, or none, or of which it is not known.
OTHERS: dict[str, tuple[Operation, tuple[int, ...], int, list[int] | None]] = {
    "conv1d": (fixed(nn.Conv1d(6, 7, 3)), (2, 6, 8), 1, [1]),
    "conv2d": (fixed(nn.Conv2d(6, 7, 3)), MAPS, 1, [1]),
    "conv3d": (fixed(nn.Conv3d(6, 7, 1)), (2, 6, 2, 4, 4), 1, [1]),
    "conv of one image": (fixed(nn.Conv2d(6, 7, 3)), (6, 4, 8), 0, [0]),
    "conv of what is mixed": (lambda x: fixed(nn.Conv2d(4, 7, 1))(x.reshape(2, 4, 6, 8)), MAPS, 1, [1]),
    "conv_transpose2d": (fixed(nn.ConvTranspose2d(6, 7, 2)), MAPS, 1, [1]),
    "conv_transpose1d": (fixed(nn.ConvTranspose1d(6, 7, 2)), (2, 6, 8), 1, [1]),
    "conv with reflected edges": (fixed(nn.Conv2d(6, 7, 3, padding=1, padding_mode="reflect")), MAPS, 1, [1]),
    "linear": (fixed(nn.Linear(6, 7)), TOKENS, 2, [2]),
    "linear without bias": (fixed(nn.Linear(6, 7, bias=False)), TOKENS, 2, [2]),
    "linear of maps": (lambda x: fixed(nn.Linear(6, 7))(x.permute(0, 2, 3, 1)), MAPS, 1, [3]),
    "linear of a vector": (lambda x: fixed(nn.Linear(6 * 32, 7))(x.flatten(1)), MAPS, 1, [1]),
    "matmul": (lambda x: x @ WEIGHTS, TOKENS, 2, [2]),
    "matmul from the left": (lambda x: WEIGHTS.mT @ x, (2, 6, 5), 1, [1]),
    "einsum": (lambda x: torch.einsum("bnc,cd->bdn", x, WEIGHTS), TOKENS, 2, [1]),
    "glu": (lambda x: functional.glu(x, 1), MAPS, 1, [1]),
    "softmax of channels": (lambda x: x.softmax(1), MAPS, 1, [1]),
    "log_softmax": (lambda x: x.log_softmax(1), MAPS, 1, [1]),
    "normalised": (lambda x: functional.normalize(x, dim=1), MAPS, 1, [1]),
    "local response norm": (nn.LocalResponseNorm(3), MAPS, 1, [1]),
    "group norm": (fixed(nn.GroupNorm(2, 6)), MAPS, 1, [1]),
    "layer norm": (fixed(nn.LayerNorm(6)), TOKENS, 2, [2]),
    "layer norm of joined places": (
        lambda x: fixed(nn.LayerNorm(32))(x.flatten(2).flatten(0, 1)).view(2, 6, 32), MAPS, 1, [1]
    ),
    "layer norm of tokens": (lambda x: fixed(nn.LayerNorm(5))(x.mT), TOKENS, 2, [1]),
    "layer norm of all": (fixed(nn.LayerNorm([6, 4, 8])), MAPS, 1, [1]),
    "RMS norm": (fixed(nn.RMSNorm(6)), TOKENS, 2, [2]),
    "norm of what is mixed": (
        lambda x: fixed(nn.BatchNorm2d(4))(x.reshape(2, 4, 6, 8)), MAPS, 1, [1]
    ),
    "norm of a vector": (lambda x: fixed(nn.LayerNorm(192))(x.flatten(1)), MAPS, 1, [1]),
    "selected kernels": (
        lambda x: (
            torch.stack([x, 2 * x], 1)
            * fixed(nn.Linear(6, 12))(x.mean((2, 3))).view(2, 2, 6, 1, 1).softmax(1)
        ).sum(1),
        MAPS, 1, [1],
    ),
    "pixel_shuffle": (lambda x: functional.pixel_shuffle(x, 2), (2, 8, 3, 3), 1, [1]),
    "patches joined": (
        lambda x: fixed(nn.Linear(24, 7))(
            x.reshape(2, 6, 2, 2, 4, 2).permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
        ),
        MAPS, 1, [2],
    ),
    "attention by @": (fixed(Attention("@")), TOKENS, 2, [2]),
    "attention by bmm": (fixed(Attention("bmm")), TOKENS, 2, [2]),
    "attention by einsum": (fixed(Attention("einsum")), TOKENS, 2, [2]),
    "attention by sdpa": (fixed(Attention("sdpa")), TOKENS, 2, [2]),
    "MultiheadAttention": (lambda x: MULTIHEAD(x, x, x)[0], TOKENS, 2, [2]),
    "heads before they are joined": (
        lambda x: functional.scaled_dot_product_attention(heads(x), heads(x), heads(x)), TOKENS, 2, [1, 3]
    ),
    "heads joined": (
        lambda x: joined(attention_map(heads(x)) @ heads(x)), TOKENS, 2, [2]
    ),
    "heads from the left": (
        lambda x: heads(x).mT @ attention_map(heads(x)), TOKENS, 2, [1, 2]
    ),
    "heads over their parts": (
        lambda x: heads(x) @ attention_map(heads(x).mT), TOKENS, 2, None
    ),
    "attention over channels": (lambda x: attention_map(x.mT) @ x.mT, TOKENS, 2, [1]),
    "attention over places": (lambda x: attention_map(x) @ x, TOKENS, 2, [2]),
    "squeeze and excitation": (
        lambda x: x * (x.mean((2, 3)) @ torch.ones(6, 6)).sigmoid()[:, :, None, None], MAPS, 1, [1]
    ),
    "attention over space": (
        lambda x: fixed(nn.Conv2d(2, 1, 3, padding=1))(torch.cat([x.mean(1, True), x.amax(1, True)], 1)) * x,
        MAPS, 1, [1],
    ),
    # none: the channels were summed up, or chosen from
    "mean of channels": (lambda x: x.mean(1), MAPS, 1, []),
    "mean of all": (lambda x: x.mean((1, 2, 3)), MAPS, 1, []),
    "mean of channels that keeps the axis": (lambda x: x.mean(1, keepdim=True), MAPS, 1, []),
    "one channel": (lambda x: x[:, 2], MAPS, 1, []),
    "argmax": (lambda x: x.argmax(1), MAPS, 1, []),
    "two maps without channels": (lambda x: torch.cat([x.mean(1, True), x.amax(1, True)], 1), MAPS, 1, []),
    "maps without channels stacked": (lambda x: torch.stack([x.mean(1), x.amax(1)], 1), MAPS, 1, []),
    "pool over channels": (lambda x: functional.avg_pool1d(x, 2), TOKENS, 2, []),
    "adaptive pool over channels": (lambda x: functional.adaptive_avg_pool1d(x, 1), TOKENS, 2, []),
    # not known
    "all joined": (lambda x: x.flatten(1), MAPS, 1, None),
    "cut across": (lambda x: x.reshape(2, 4, 6, 8), MAPS, 1, None),
    "channels with other channels": (lambda x: x[:, :, None] * x[:, None], (2, 6), 1, None),
    "channels plus tokens": (lambda x: x + x.mT, (2, 6, 6), 2, None),
    "attention map": (attention_map, TOKENS, 2, None),
    "attention map of channels": (lambda x: attention_map(x.mT), TOKENS, 2, [1, 2]),
    "sorted channels": (lambda x: x.sort(dim=1).values, MAPS, 1, None),
    "largest channels": (lambda x: x.topk(2, dim=1).values, MAPS, 1, None),
    "gathered channels": (lambda x: x.gather(1, torch.zeros(2, 3, 4, 8, dtype=torch.long)), MAPS, 1, None),
    "index of two axes": (lambda x: x[:, COLUMNS, COLUMNS], MAPS, 1, None),
    "mask of two axes": (lambda x: x[:, torch.ones(6, 4) > 0], MAPS, 1, None),
    "max of everything": (lambda x: x.max(), MAPS, 1, None),
    "squeezed in place": (lambda x: x.unsqueeze(1).squeeze_(), TOKENS, 2, None),
    "vector": (lambda x: x.flatten() @ torch.ones(60, 7), TOKENS, 2, None),
    "unknown operation": (lambda x: torch.linalg.pinv(x), TOKENS, 2, None),
    "written to one place": (into((2, 8, 5, 6), (slice(None), 3)), TOKENS, 2, None),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_new_channels_or_none(name: str) -> None:
    """Where a weight makes new channels; an empty list where there are none any more, None where unknown."""
    operation, shape, axis, expected = OTHERS[name]
    assert axes_after(operation, shape, {axis}) == expected


@library.custom_op("differentia_tests::softmax", mutates_args=())
def somebodys_softmax(x: torch.Tensor) -> torch.Tensor:
    return x.mT.softmax(-1).clone()


@library.custom_op("differentia_tests::conv_of_their_own", mutates_args=())
def somebodys_convolution(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x @ weight


def test_operations_of_other_libraries_are_not_known() -> None:
    """Whatever they are called; the controls are PyTorch's own."""
    assert axes_after(somebodys_softmax, TOKENS, {2}) is None
    assert axes_after(lambda x: somebodys_convolution(x, WEIGHTS), TOKENS, {2}) is None
    assert axes_after(lambda x: x.softmax(-1), TOKENS, {2}) == [2]


def test_attention_maps_are_of_both() -> None:
    """The control of `keeps_apart`: what sums over channels keeps no axis of them."""
    assert not any(keeps_apart(attention_map, values(TOKENS), 2, [at]) for at in range(3))
    assert keeps_apart(lambda x: x.mT, values(TOKENS), 2, [1])


def test_every_rule_is_tried() -> None:
    """Each operation that `flow` names is computed by a case here, or is another's name for one."""
    called: set[str] = set()

    class Names(ChannelFlow):
        def _followed(self, func: Any, *others: Any) -> Any:
            called.add(str(func).split(".")[1])
            return super()._followed(func, *others)

    for operation, shape, axis, _ in [*APART.values(), *OTHERS.values()]:
        with torch.no_grad(), Names() as flow:
            batch = values(shape)
            flow.note(batch, frozenset({axis}))
            operation(batch)
    called |= {name.removesuffix("_") for name in called}
    rare = {  # of other devices, of other versions of PyTorch, of training; or like one that is tried
        *("_reshape_alias", "reshape", "unsafe_split", "unsafe_split_with_sizes", "lift_fresh", "norm"),
        *("alias", "native_dropout", "bernoulli", "embedding", "detach", "native_channel_shuffle", "tril"),
        *("triu", "var", "all", "any", "amin", "argmin", "min", "prod", "std_mean"),
    }
    named = {*SAME, *REDUCTIONS, *CHOICES, *PRODUCTS, *RULES}
    assert named - called - rare == set()
    assert rare <= named
    for beginning in (*PREFIXES, *POOLS):
        assert any(name.startswith(beginning) for name in called) or beginning == "max_unpool"


@st.composite
def steps(draw: st.DrawFn, ndim: int) -> tuple[list[tuple[str, list[int]]], int]:
    """Return names of operations with whole numbers, from which each takes what it needs."""
    names = st.sampled_from(sorted(STEPS))
    numbers = st.lists(st.integers(0, 5), min_size=4, max_size=4)
    return draw(st.lists(st.tuples(names, numbers), max_size=6)), draw(st.integers(0, ndim - 1))


def _split(x: torch.Tensor, n: list[int]) -> torch.Tensor:
    at = n[0] % x.ndim
    by = 2 if x.shape[at] % 2 == 0 else 1
    return torch.unflatten(x, at, (by, -1) if n[1] % 2 else (-1, by))


def _order(x: torch.Tensor, n: list[int]) -> list[int]:
    return sorted(range(x.ndim), key=lambda at: (n[at % 4], at))


STEPS: dict[str, Callable[[torch.Tensor, list[int]], torch.Tensor]] = {
    "permute": lambda x, n: x.permute(_order(x, n)),
    "transpose": lambda x, n: x.transpose(n[0] % x.ndim, n[1] % x.ndim),
    "contiguous": lambda x, n: x.contiguous(),
    "unsqueeze": lambda x, n: x.unsqueeze(n[0] % (x.ndim + 1)),
    "squeeze": lambda x, n: x.squeeze(),
    "flatten": lambda x, n: x.flatten(*sorted((n[0] % x.ndim, n[1] % x.ndim))) if x.ndim else x,
    "split": _split,
    "expand": lambda x, n: x.expand(2, *x.shape),
    "repeat": lambda x, n: x.repeat([1 + (at == n[0] % x.ndim) for at in range(x.ndim)]),
    "relu": lambda x, n: functional.relu(x),
    "in place": lambda x, n: x.clone().mul_(2),
    "scale": lambda x, n: x * torch.arange(1.0, 1 + x.shape[-1]),
    "residual": lambda x, n: x + 2 * x,
    "roll": lambda x, n: x.roll(n[0], n[1] % x.ndim),
    "slice": lambda x, n: x.narrow(n[0] % x.ndim, 0, (x.shape[n[0] % x.ndim] + 1) // 2),
    "select": lambda x, n: x.select(n[0] % x.ndim, -1) if x.ndim > 2 else x,
    "mean": lambda x, n: x.mean(n[0] % x.ndim, keepdim=n[1] % 2 == 0) if x.ndim > 2 else x,
    "cat": lambda x, n: torch.cat([x, 2 * x], n[0] % x.ndim),
    "stack": lambda x, n: torch.stack([x, 2 * x], n[0] % (x.ndim + 1)),
    "chunk": lambda x, n: x.chunk(2, n[0] % x.ndim)[0],
    "pool": lambda x, n: functional.max_pool1d(x.flatten(0, -3), 2) if x.ndim > 2 and x.shape[-1] > 1 else x,
    "softmax": lambda x, n: x * x.softmax(n[0] % x.ndim),
    "shuffle": lambda x, n: x.index_select(n[0] % x.ndim, torch.arange(x.shape[n[0] % x.ndim]).flip(0)),
    "weigh": lambda x, n: x @ (1 + torch.arange(3.0 * x.shape[-1]).view(-1, 3)),
}  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_chain_of_operations(data: st.DataObject) -> None:
    """Where axes are said to hold the channels, each channel changes entries of its own along them.

    What mixes the channels (a softmax, a product, a sum of some) is left out: it makes others.
    """
    shape = (2, *data.draw(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=2, max_size=3)))
    axis = 1 + data.draw(st.integers(0, len(shape) - 2))
    chain, _ = data.draw(steps(len(shape)))
    mixed = False
    with torch.no_grad(), ChannelFlow() as flow:
        x = values(shape)
        flow.note(x, frozenset({axis}))
        for name, numbers in chain:
            if math.prod(x.shape) > 2000 or x.ndim > 6 or not x.ndim:
                break
            before = flow.axes(x)
            at = x.ndim - 1 if name in ("weigh", "pool") else numbers[0] % x.ndim
            if name in ("softmax", "weigh") and (not before or at in before):
                mixed = True
            if name in ("mean", "pool") and before is not None and at in before and len(before) > 1:
                mixed = True  # sums of channels are channels too
            x = STEPS[name](x, numbers)
        found = flow.axes(x)
    if mixed or not found:
        return

    def operation(x: torch.Tensor) -> torch.Tensor:
        for name, numbers in chain:
            if math.prod(x.shape) > 2000 or x.ndim > 6 or not x.ndim:
                break
            x = STEPS[name](x, numbers)
        return x

    assert keeps_apart(operation, values(shape), axis, found) or shape[axis] == 1
