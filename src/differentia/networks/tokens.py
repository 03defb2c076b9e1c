"""Which tokens of a layer count: all, the class token, the patches, or the mean of the patches.

What is joined to the patches of an image (class, distillation and register tokens) is the same for all images
in the first layer that has it: where it stands is seen in a pass over two images of noise. Which of it is the
class token is known by the names that libraries give to their weights; there too the class token comes first.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import UInt8

from differentia.errors import InputError, RecordingError
from differentia.networks.calls import Call
from differentia.networks.discovery import Found
from differentia.networks.layers import Cut, Layer
from differentia.networks.probes import as_tensor
from differentia.system.choices import TOKENS
from differentia.system.random import fixed_generator

ALL, CLASS, PATCHES, MEAN = TOKENS.names

#: What class tokens are called, and other tokens that are joined to those of patches, kind by kind, in timm,
#: torchvision, transformers, open_clip, Keras and the authors' own code.
CLASS_NAMES = frozenset(
    (
        *("cls", "cls_emb", "cls_embed", "cls_embedding", "cls_token", "cls_tokens"),
        *("class_emb", "class_embed", "class_embedding", "class_token", "class_tokens"),
    )
)
OTHER_NAMES = {
    **dict.fromkeys(("dist_token", "distill_token", "distillation_token"), "distillation"),
    **dict.fromkeys(("reg_token", "reg_tokens", "register_token", "register_tokens"), "register"),
    **dict.fromkeys(("registers", "storage_tokens"), "register"),
    **dict.fromkeys(("det_token", "det_tokens", "detection_tokens"), "detection"),
}

#: How the names of weights may end beside: with the number of a stage, or the name of the one weight of a
#: module.
_END = re.compile(r"([./](weight|embeddings|\d+)|_?\d+)$")


class Network(Protocol):
    """What has to be known of a network; `base` says what each is."""

    name: str
    input_shape: tuple[int, int, int]
    channels_first: bool

    @property
    def weight_shapes(self) -> Iterable[tuple[str, tuple[int, ...]]]: ...

    def prepare(self, pixels: UInt8[np.ndarray, "b h w c"]) -> Any: ...

    def observe_outputs(
        self,
        batch: Any,
        observe: Callable[[str, Call, Any], None],
        modules: frozenset[str] | None = None,
    ) -> Counter[str]: ...


class Joined(NamedTuple):
    """The tokens beside those of patches that a network has, by the names of its weights."""

    class_token: bool
    #: How many there are, with the class token.
    number: int


class Places(NamedTuple):
    """Where the tokens of a sequence stand: the first of the patches, their number, the class token."""

    first: int
    patches: int
    class_token: int | None = None


def with_tokens(found: Found, network: Network, kept: str) -> Found:
    """Return what was found of a network, with layers of which only some tokens count."""
    kept = TOKENS.checked(kept)
    of_tokens = layers_of_tokens(found.layers, network.input_shape, channels_first=network.channels_first)
    asked = network.name.partition("?")[0]
    if not of_tokens:
        raise InputError(
            f"{asked}: none of its layers holds tokens; leave tokens= (--tokens) out (units='filter_mean' "
            "takes each channel's mean over positions)"
        )
    joined = joined_tokens(network.weight_shapes)
    if kept == CLASS and not joined.class_token:
        raise InputError(
            f"{asked}: it has no class token (no weight is called cls_token, or the like); choose "
            f"tokens={PATCHES!r} or {MEAN!r} (--tokens)"
        )
    maps = {math.prod(layer.space) for layer in found.layers if _is_map(layer, network.input_shape)}
    lengths = [layer.shape[0] for layer in of_tokens if len(layer.shape) == 2]
    places = places_by_length(lengths, maps, joined, _constant_tokens(network, of_tokens))
    cuts = {layer.name: _cut(layer, places, kept) for layer in of_tokens}
    if not any(cuts.values()):
        raise InputError(
            f"{asked}: {'the class token' if kept == CLASS else 'which tokens are of patches'} can't be told "
            "in any of its layers; leave tokens= (--tokens) out"
        )
    layers = tuple(_of_cut(layer, cuts.get(layer.name)) for layer in found.layers)
    return found._replace(layers=layers, lacking=tuple(name for name, cut in cuts.items() if cut is None))


def layers_of_tokens(
    layers: Sequence[Layer], input_shape: tuple[int, int, int], *, channels_first: bool
) -> list[Layer]:
    """Return the layers that give a vector of channels, which come last, for each of several places.

    They are sequences; and rows and columns of places, and windows of them, in a network that has attention,
    unless all its maps have their channels last. Where channels are not known, the shape of another tells.
    """
    attention = channels_first and any("Attention" in layer.kind for layer in layers)
    known = [layer for layer in layers if len(layer.shape) == 2 or _is_map(layer, input_shape)]
    places = {math.prod(layer.space) for layer in known}

    def has_tokens(layer: Layer) -> bool:
        axes = len(layer.shape)
        if axes < 2 or layer.channel_axis != axes - 1 or math.prod(layer.space) == 1:
            return False
        in_windows = layer.folded > 1 and math.prod(layer.space) in places  # else there is padding among them
        return axes == 2 or (attention and (in_windows or _is_map(layer, input_shape)))

    found = {layer.shape for layer in layers if has_tokens(layer)}
    sequences = {shape for shape in found if len(shape) == 2 and shape[0] != shape[1]}
    return [
        layer
        for layer in layers
        if has_tokens(layer) or (layer.channel_axis is None and layer.shape in sequences)
    ]


def _is_map(layer: Layer, input_shape: tuple[int, int, int]) -> bool:
    """Return whether channels are known for rows and columns of places, with the proportions of the image."""
    if layer.channel_axis is None or layer.folded > 1 or len(layer.space) != 2:
        return False
    (rows, columns), (height, width, _) = layer.space, input_shape
    alike = abs(rows * width - columns * height) < 2 * max(height, width)  # unlike heads x tokens
    return alike and rows * columns > 1


def joined_tokens(weights: Iterable[tuple[str, tuple[int, ...]]]) -> Joined:
    """Return which tokens are joined to those of patches, by the names and shapes of a network's weights."""
    of_class, others = 0, dict.fromkeys(OTHER_NAMES.values(), 0)
    for path, shape in weights:
        while (shorter := _END.sub("", path)) != path:
            path = shorter
        name, count = re.split(r"[./]", path)[-1], math.prod(shape[:-1])
        if name in CLASS_NAMES and (count == 1 or len(shape) == 3):  # and no embedding of many classes
            of_class = max(of_class, count)
        elif kind := OTHER_NAMES.get(name):
            others[kind] = max(others[kind], count)
    return Joined(of_class > 0, of_class + sum(others.values()))


def places_by_length(
    lengths: Iterable[int], maps: Iterable[int], joined: Joined, constant: Mapping[int, Sequence[int]]
) -> dict[int, Places]:
    """Return where tokens stand in the sequences of which that can be told, by their length.

    Parameters
    ----------
    lengths
        Of the sequences of a network.
    maps
        How many places its maps have: a sequence of so many tokens is one of patches alone.
    joined
        What the weights say.
    constant
        Length -> the tokens that are the same for all images, in the first sequence of that length.
    """
    patches = set(maps)
    seen = {length: places for length, at in constant.items() if (places := _beside(length, at))}
    unnamed = [length - seen[length].patches for length in seen if length not in patches]
    if unnamed and not joined.number:
        joined = Joined(class_token=False, number=unnamed[0])
    agreeing = {length: one for length, one in seen.items() if length - one.patches == joined.number}
    patches |= {one.patches for one in agreeing.values()}
    before = next(iter(agreeing.values())).first if agreeing else joined.number
    found: dict[int, Places] = {}
    for length in lengths:
        assumed = Places(before, length - joined.number)
        contradicted = length not in agreeing and _is_contradicted(length, assumed, constant.get(length, ()))
        if length in agreeing or (assumed.patches in patches and not contradicted):
            places = agreeing.get(length, assumed)
            first_joined = 0 if places.first else places.patches
            found[length] = places._replace(class_token=first_joined if joined.class_token else None)
        elif length in patches:
            found[length] = Places(0, length)
        elif length in seen:
            found[length] = seen[length]
        elif not joined.number:
            found[length] = Places(0, length)
    return found


def _beside(length: int, constant: Sequence[int]) -> Places | None:
    """Return where patches stand beside tokens that are the same for all images; None if not in one row."""
    others = [at for at in range(length) if at not in constant]
    in_one_row = others and others[-1] - others[0] == len(others) - 1
    return Places(others[0], len(others)) if constant and in_one_row else None


def _is_contradicted(length: int, places: Places, constant: Sequence[int]) -> bool:
    """Return whether other tokens than are taken to be joined are the same for all images, and not all these.

    As where a class token stands in the midst of the patches.
    """
    patches = range(places.first, places.first + places.patches)
    beside = set(range(length)).difference(patches)
    return not beside.issuperset(constant) and not beside.issubset(constant)


def _constant_tokens(network: Network, layers: Sequence[Layer]) -> dict[int, tuple[int, ...]]:
    """Return the tokens that are the same for two images of noise, by the length of the sequence.

    They are looked for in the first sequence of each length that is not the same as a whole.
    """
    by_name = {layer.name: layer for layer in layers if len(layer.shape) == 2}
    found: dict[int, tuple[int, ...]] = {}

    def observe(name: str, call: Call, output: Any) -> None:
        layer = by_name.get(name)
        if layer is None or layer.shape[0] in found:
            return
        values = as_tensor(output)
        one, other = layer.by_image(values, 2).float()
        rounding = 2 * torch.finfo(values.dtype).eps * other.abs().amax(1)
        same = ((one - other).abs().amax(1) <= rounding).nonzero().flatten().tolist()
        if len(same) < layer.shape[0]:
            found[layer.shape[0]] = tuple(same)

    pixels = fixed_generator().integers(0, 256, (2, *network.input_shape), dtype=np.uint8)
    with suppress(RecordingError):  # of a network that does something else with noise
        modules = frozenset(layer.module for layer in by_name.values())
        network.observe_outputs(network.prepare(pixels), observe, modules)
    return found


def _cut(layer: Layer, places: Mapping[int, Places], kept: str) -> Cut | None:
    """Return what counts of a layer of tokens; None where it holds no such tokens, or they can't be told."""
    length = layer.shape[0]
    of_layer = places.get(length) if len(layer.shape) == 2 else Places(0, length)
    if of_layer is None:
        return None
    if kept == CLASS:
        at = of_layer.class_token
        return None if at is None else Cut(layer.shape, at, 1, averaged=True)
    return Cut(layer.shape, of_layer.first, of_layer.patches, averaged=kept == MEAN)


def _of_cut(layer: Layer, cut: Cut | None) -> Layer:
    if cut is None:
        return layer
    axis = None if layer.channel_axis is None else len(cut.shape) - 1
    return replace(layer, tokens=cut, shape=cut.shape, channel_axis=axis)
