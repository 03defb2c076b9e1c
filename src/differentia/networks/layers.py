"""What a layer is, and which layers of a network are looked at."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from differentia.errors import (
    InputError,
    listed_names,
    nearest_names,
    require_known,
    shortened,
    unknown_name,
)

#: The name under which the preprocessed image is recorded.
INPUT = "input"

#: Choices of layers that have a name; no layer has one of them.
LEAVES, BLOCKS, EVERY, OPERATIONS = ":leaves", ":blocks", ":all", ":operations"
PRESETS = (LEAVES, BLOCKS, EVERY, OPERATIONS)

#: What presets are called in their stead.
PRESET_SYNONYMS = {
    **dict.fromkeys(("leaf", ":leaf", "leaves"), LEAVES),
    **dict.fromkeys(("block", "blocks"), BLOCKS),
    **dict.fromkeys(("all", "every", ":every", "everything", ":everything"), EVERY),
    **dict.fromkeys(("operation", "operations", ":operation", "functions", ":functions"), OPERATIONS),
}

#: Beginnings of names that are told where a pattern fits none.
MOST_BEGINNINGS = 5

#: With more leaves than this, blocks are looked at by default: nobody could read the figures.
MOST_LEAVES = 200


@dataclass(frozen=True)
class Cut:
    """Which tokens of a layer count: its first axis has them for one image, its last the channels."""

    #: The shape of all that the module gives for one image.
    whole: tuple[int, ...]
    #: The first token, and how many count.
    first: int
    count: int
    #: Whether their mean stands for them; then there is no axis of tokens.
    averaged: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what counts."""
        return self.whole[-1:] if self.averaged else (self.count, *self.whole[1:])

    def of(self, output: Any) -> Any:
        """Return what counts of a tensor with the images in front."""
        tokens = output.narrow(1, self.first, self.count)
        if not self.averaged:
            return tokens
        tokens = tokens.flatten(1, -2)
        if tokens.shape[1] == 1:
            return tokens.squeeze(1)
        return tokens.mean(1) if tokens.element_size() > 2 else tokens.float().mean(1)


@dataclass(frozen=True)
class Layer:
    """One output of one call of a module, of an operation that is none, or of a Keras layer."""

    #: The module's name, with ``:1`` for its second call, ``[0]`` or ``[key]`` for a part of an output that
    #: is a tuple, a dict or a dataclass.
    name: str
    #: The class of the module ("Conv2d", "Dense"), or the function ("relu"); "Input" for the preprocessed
    #: image.
    kind: str
    #: Of the output for one image, in the framework's own logical order.
    shape: tuple[int, ...]
    module: str
    #: Whether it is made of other layers that were called (a residual block).
    container: bool = False
    #: Whether it only reshapes, or does nothing at inference (Flatten, Dropout).
    inert: bool = False
    #: Whether it is one of the modules of one class that repeat, or stands before or after them.
    block: bool = False
    #: Whether it is a function that a module's code calls (F.relu), named by that: ``layer1.0/relu``.
    operation: bool = False
    #: The axis of `shape` that tells the channels apart; None where that is not known. The units of a vector
    #: are channels of their own.
    channel_axis: int | None = None
    #: The axis of the module's output that holds the images, and how many of its entries are each image's:
    #: windows and heads may be folded into it, image by image, or the first of all images first.
    batch_axis: int = 0
    folded: int = 1
    interleaved: bool = False
    #: Which of its tokens count, where not all that it gives is looked at; `shape` is theirs.
    tokens: Cut | None = None

    def __post_init__(self) -> None:
        if len(self.shape) < 2:
            object.__setattr__(self, "channel_axis", 0)

    @property
    def size(self) -> int:
        """The number of units."""
        return math.prod(self.shape)

    @property
    def n_channels(self) -> int | None:
        """The number of channels (filters of a convolution, features of a token); None where not known."""
        if self.channel_axis is None:
            return None
        return self.shape[self.channel_axis] if self.shape else 1

    @property
    def n_filters(self) -> int:
        """The number of parts of equal size that channels make of the units; 1 where they are not known."""
        return self.n_channels or 1

    @property
    def space(self) -> tuple[int, ...]:
        """The shape of one channel: (height, width) of a convolution's map, () of a vector."""
        axes = range(len(self.shape))
        return tuple(self.shape[axis] for axis in axes if axis != self.channel_axis)

    @property
    def whole(self) -> tuple[int, ...]:
        """The shape of all that the module gives for one image, whichever tokens count."""
        return self.shape if self.tokens is None else self.tokens.whole

    def output_shape(self, images: int) -> tuple[int, ...]:
        """Return the shape of the module's output for a number of images."""
        rest = list(self.whole)
        if self.folded > 1:
            rest.pop(self.batch_axis)
        return (*rest[: self.batch_axis], images * self.folded, *rest[self.batch_axis :])

    def by_image(self, output: Any, images: int) -> Any:
        """Return what counts of a module's output with the images in front: (images, *shape)."""
        output = self._in_front(output, images)
        return output if self.tokens is None else self.tokens.of(output)

    def _in_front(self, output: Any, images: int) -> Any:
        if self.folded == 1:
            return output if self.batch_axis == 0 else output.movedim(self.batch_axis, 0)
        shape, at = tuple(output.shape), self.batch_axis
        both = (self.folded, images) if self.interleaved else (images, self.folded)
        return output.reshape(*shape[:at], *both, *shape[at + 1 :]).movedim(at + self.interleaved, 0)


@dataclass(frozen=True)
class Unrecorded:
    """A call of a module or an operation, or a part of what it gives, that can't be recorded."""

    name: str
    kind: str
    #: Why, in words.
    reason: str
    container: bool = False
    inert: bool = False
    block: bool = False
    operation: bool = False
    #: Whether other parts of what the call gives are recorded.
    beside: bool = False


def wants_operations(patterns: Iterable[str] | None) -> bool:
    """Return whether names, presets or patterns may be of operations: these have a slash within."""
    return any(
        pattern.removeprefix("!") == OPERATIONS or _has_slash_within(pattern) for pattern in patterns or ()
    )


def _has_slash_within(pattern: str) -> bool:
    return "/" in pattern.removesuffix("/")


def without_operations(layers: Iterable[Layer]) -> list[Layer]:
    """Return the layers that are modules, or Keras layers."""
    return [layer for layer in layers if not layer.operation]


def require_preset(pattern: str) -> None:
    """Raise an error for a pattern that begins as a preset, and is none."""
    word = pattern.removeprefix("!")
    if word.startswith(":"):
        require_known("layer", word, PRESETS, PRESET_SYNONYMS)


def select_layers(
    layers: Sequence[Layer], wanted: Sequence[str] | None, unrecorded: Sequence[Unrecorded] = ()
) -> tuple[Layer, ...]:
    """Return the layers to record, in the order of computation: those of names, presets and shell patterns.

    A pattern is of layers that are no containers; one that ends in a slash is of containers only. What
    follows an exclamation mark is left out, of the default where nothing else is named. Operations are found
    by patterns with a slash within.
    """
    names = {layer.name for layer in layers}
    chosen: set[str] = set()
    taken, left_out = _taken_and_left_out(layers, wanted)
    for pattern in (*taken, *left_out):
        found = {pattern} if pattern in names else _matching(layers, pattern)
        if not found and not (pattern in left_out and _first_lost(pattern, unrecorded)):
            raise _nothing_found(layers, pattern, unrecorded)
        chosen = chosen - found if pattern in left_out else chosen | found
    if not chosen:
        raise InputError("no layer was asked for; leave layers= out for all of them")
    return tuple(layer for layer in layers if layer.name in chosen)


def missed(
    unrecorded: Iterable[Unrecorded], layers: Sequence[Layer], wanted: Sequence[str] | None
) -> list[Unrecorded]:
    """Return the calls of which something would have been recorded, could it be."""
    taken, left_out = _taken_and_left_out(layers, wanted)

    def is_of(call: Unrecorded, patterns: Sequence[str]) -> bool:
        return any(call.block if pattern == BLOCKS else _takes_it(pattern, call) for pattern in patterns)

    return [
        call for call in unrecorded if not call.beside and is_of(call, taken) and not is_of(call, left_out)
    ]


def _taken_and_left_out(
    layers: Sequence[Layer], wanted: Sequence[str] | None
) -> tuple[Sequence[str], Sequence[str]]:
    """Return the patterns of what is taken, and of what is left out of it."""
    names = {layer.name for layer in layers}
    left_out = [name for name in wanted or () if name.startswith("!") and name not in names]
    taken = [name for name in wanted or () if name not in left_out]
    by_default = wanted is None or (left_out and not taken)
    return [default_preset(layers)] if by_default else taken, [name.removeprefix("!") for name in left_out]


def default_preset(layers: Sequence[Layer]) -> str:
    """Return the choice of layers where none was made: leaves, or blocks of transformers and the like.

    What attention is made of is no activation but a part of a sum, which the blocks give; and of hundreds of
    leaves nobody could read a figure. A network mostly of convolutions is no transformer.
    """
    layers = without_operations(layers)
    leaves = [layer for layer in layers if not layer.container and not layer.inert]
    of_maps = sum("Conv" in layer.kind or "BatchNorm" in layer.kind for layer in leaves)
    attention = any("Attention" in layer.kind for layer in layers) and 2 * of_maps < len(leaves)
    has_blocks = any(layer.block and layer.container for layer in layers)
    return BLOCKS if has_blocks and (attention or len(leaves) > MOST_LEAVES) else LEAVES


def _matching(layers: Sequence[Layer], pattern: str) -> set[str]:
    if pattern == BLOCKS:
        blocks = {layer.name for layer in layers if layer.block}
        return blocks | {INPUT} if blocks else set()
    found = {layer.name for layer in layers if _takes_it(pattern, layer)}
    found = found or {layer.name for layer in layers if _takes_it(pattern, layer, of_classes=True)}
    leaves = [layer.name for layer in without_operations(layers) if not layer.container]
    return found | {leaves[-1]} if pattern == LEAVES else found


def _takes_it(pattern: str, layer: Layer | Unrecorded, *, of_classes: bool = False) -> bool:
    """Return whether a pattern, or a preset apart from blocks, takes a layer.

    Brackets stand for themselves, as in names, or else hold a class of characters, as in a shell.
    """
    if pattern == OPERATIONS or (layer.operation and not _has_slash_within(pattern)):
        return pattern == OPERATIONS and layer.operation
    if pattern in PRESETS:
        return pattern == EVERY or not (layer.container or layer.inert)
    shell = pattern.removesuffix("/")
    shell = shell if of_classes else shell.replace("[", "[[]")
    return layer.container == pattern.endswith("/") and fnmatch.fnmatchcase(layer.name, shell)


def _first_lost(pattern: str, unrecorded: Sequence[Unrecorded]) -> Unrecorded | None:
    """Return the first call that a name or pattern is of, or :operations, among those not recorded."""
    fitting = (
        call
        for call in unrecorded
        if pattern == call.name or (pattern not in (LEAVES, BLOCKS, EVERY) and _takes_it(pattern, call))
    )
    return next(fitting, None)


def _nothing_found(layers: Sequence[Layer], pattern: str, unrecorded: Sequence[Unrecorded]) -> InputError:
    if lost := _first_lost(pattern, unrecorded):
        return InputError(f"layer {lost.name!r} can't be recorded: {lost.reason}; leave it out of layers=")
    if not pattern.endswith("/") and _matching(layers, f"{pattern}/"):
        return InputError(f"{pattern!r} fits containers only: write '{pattern}/' for those")
    if pattern == BLOCKS:
        return InputError(
            f"there are no blocks (layers={BLOCKS!r}): no class of containers is called more than once; name "
            "layers, or leave layers= out"
        )
    if pattern == OPERATIONS:
        return InputError(
            f"there are no operations (layers={OPERATIONS!r}): they are functions that the code of a PyTorch "
            "module calls (F.relu, +), and a Keras model has none; name layers, or leave layers= out"
        )
    of_modules = pattern.replace("/", ".")
    if not pattern.endswith("/") and of_modules != pattern and _matching(layers, of_modules):
        return InputError(
            f"no operation matches {shortened(pattern)!r}, but modules do: write {shortened(of_modules)!r}"
        )
    containers = pattern.endswith("/")
    meant = layers if _has_slash_within(pattern) else without_operations(layers)
    known = [layer.name for layer in meant if layer.container == containers]
    known = [*PRESETS] if pattern.startswith(":") or pattern in PRESET_SYNONYMS else known
    what, given, end = ("container", pattern.removesuffix("/"), "/") if containers else ("layer", pattern, "")
    head = re.split(r"[*?]", given)[0]
    if head != given:
        return _nothing_matches(what, pattern, head, known)
    return unknown_name(what, given, known, PRESET_SYNONYMS, meant=_beginning_so(given, known, end))


def _beginning_so(given: str, known: Sequence[str], end: str) -> str:
    """Return the pattern of the several names that begin with what was given; "" where there are none."""
    following = {name[len(given)] for name in known if given and name.startswith(given)}
    if sum(name.startswith(given) for name in known) < 2 or not following:
        return ""
    marks = [one for one in following if not one.isalnum()]
    only = marks[0] if len(marks) == 1 < len(following) else ""  # block1_*, where there is a block10_ too
    return f"{given}{only}*{end}"


def _nothing_matches(what: str, pattern: str, head: str, known: Sequence[str]) -> InputError:
    """Return the error for a shell pattern, with the beginnings of names that are nearest to its own."""
    beginnings = [name[: len(head)] for name in known] if head else []
    beginnings = nearest_names(head, dict.fromkeys(beginnings))[:MOST_BEGINNINGS]
    nearest = f"; the nearest names begin with {', '.join(beginnings)}" if beginnings else ""
    listed = listed_names(known, [name for name in known if name.startswith(tuple(beginnings))])
    return InputError(f"no {what} matches {shortened(pattern)!r}{nearest}.{listed}")
