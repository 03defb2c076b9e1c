"""What a network's layers are, found in passes over two of the user's own images.

The first image is shown alone, undisturbed, as the network's code has it; then both together, as the
package does it. An axis that is twice as long holds the images. What the first image gave must be the same,
within rounding; else the package's way is given up, or the network's responses depend on chance or on other
images.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float64, UInt8

from differentia.errors import RecordingError
from differentia.networks.blocks import blocks_of
from differentia.networks.calls import Call, Manner
from differentia.networks.layers import Layer, Unrecorded
from differentia.networks.probes import as_tensor
from differentia.networks.rounding import TOLERANCE, tolerance_of

logger = logging.getLogger(__name__)

#: Values of an image that are compared one by one, beside the mean and the mean square of all.
COMPARED = 256

#: How often an image is shown again where something differs: what is drawn may come out alike.
REPEATS = 3

Numbers = Float64[np.ndarray, " _"]


@runtime_checkable
class Network(Protocol):
    """What has to be known of a network; `base` says what each is."""

    name: str
    manner: Manner

    @property
    def manners(self) -> tuple[Manner, ...]: ...

    @property
    def hidden(self) -> Iterable[tuple[str, str]]: ...

    def prepare(self, pixels: UInt8[np.ndarray, "b h w c"]) -> Any: ...

    def observe_outputs(
        self,
        batch: Any,
        observe: Callable[[str, Call, Any], None],
        *,
        following: Callable[[Call], None] | None = None,
    ) -> Counter[str]: ...


class Found(NamedTuple):
    """What passes over a user's images showed of a network."""

    layers: tuple[Layer, ...]
    unrecorded: tuple[Unrecorded, ...]
    #: How often each module was called.
    calls: Counter[str]
    #: Whether an image can be shown by itself.
    alone: bool = True
    #: Layers whose responses depend on chance or state, or on the other images of a batch.
    by_chance: tuple[str, ...] = ()
    by_company: tuple[str, ...] = ()
    #: Layers of tokens among which there are none that count, so that all of them are recorded.
    lacking: tuple[str, ...] = ()


class Axis(NamedTuple):
    """Where an output holds the images; see `Layer`."""

    axis: int
    folded: int = 1
    interleaved: bool = False


@dataclass
class _Seen:
    """What a pass over some images showed, by the name of each array that it gave."""

    images: int
    calls: Counter[str] = field(default_factory=Counter)
    #: Of modules that nothing called.
    tops: list[Call] = field(default_factory=list)
    by_name: dict[str, _Part] = field(default_factory=dict)


@dataclass
class _Part:
    """An array, or something else, that a call gave."""

    call: Call
    is_array: bool
    shape: tuple[int, ...] = ()
    #: Why it can't be recorded.
    reason: str = ""
    channel_axis: int | None = None
    axis: Axis | None = None
    #: Whether an axis holds several entries of each image, and whether these fit in either order.
    folded: bool = False
    in_either_order: bool = False
    #: Of the first image.
    numbers: Numbers | None = None
    tolerance: float = TOLERANCE


def discover(network: Network, pixels: UInt8[np.ndarray, "two h w c"]) -> Found:
    """Return what is found with two images, and leave the network in the manner that is right."""
    own = network.manners[-1]
    alone: _Seen | None = None
    try:
        reference = alone = _see(network, pixels[:1], own)
    except RecordingError as failure:  # an axis of one image may be lost to a squeeze
        try:
            reference = _both(network, pixels, own, None)[0]
        except RecordingError:
            raise failure from failure.__cause__

    def as_before(manner: Manner) -> _Seen:
        one = alone is not None
        return _see(network, pixels[:1], manner) if one else _both(network, pixels, manner, None)[0]

    given_up: list[tuple[Manner, str]] = []
    for manner in network.manners:
        try:
            seen, works_alone = _both(network, pixels, manner, alone)
        except RecordingError as error:
            if manner == own:
                raise
            given_up.append((manner, str(error)))
            continue
        differing = _differing(reference, seen)
        chance: set[str] = set()
        if differing:
            chance = {name for _ in range(REPEATS) for name in _differing(reference, as_before(own))}
            of_manner = [name for name in _differing(reference, as_before(manner)) if name not in chance]
            if of_manner and manner != own:
                given_up.append((manner, f"layer {of_manner[0]!r} differs from the network's own"))
                continue
        for other, reason in given_up:
            logger.info("%s is not computed %s: %s", network.name, other.value, reason)
        network.manner = manner
        return _found(seen, network.hidden, works_alone)._replace(
            by_chance=tuple(name for name in seen.by_name if name in chance),
            by_company=tuple(name for name in differing if name not in chance),
        )
    raise AssertionError("the network's own manner is the last")


def _both(network: Network, pixels: np.ndarray, manner: Manner, alone: _Seen | None) -> tuple[_Seen, bool]:
    """Return what two images together show, and whether one can be shown alone."""
    seen = _see(network, pixels, manner, alone, following=True)
    lost = [name for name, part in seen.by_name.items() if not part.reason and part.axis is None]
    works_alone = alone is not None
    if lost:
        # Of three images an axis of one is not lost; and what the network's own pass does not call is seen.
        three = _see(network, pixels[[0, 1, 0]], manner)
        seen = _see(network, pixels, manner, three, alone, following=True)
        if alone is not None:
            works_alone = not any(
                seen.by_name[name].axis is not None for name in lost if name in alone.by_name
            )
    orders: dict[int, set[bool]] = {}
    for part in seen.by_name.values():
        if part.axis is not None and part.axis.folded > 1 and not part.in_either_order:
            orders.setdefault(part.axis.folded, set()).add(part.axis.interleaved)
    for part in seen.by_name.values():
        if part.axis is not None and part.in_either_order:  # as of zeros: the others of its kind tell
            order = orders.get(part.axis.folded, set())
            part.axis = part.axis._replace(interleaved=next(iter(order))) if len(order) == 1 else None
        if not part.reason and part.axis is None:
            shape = f"{part.shape} for 2 images"
            part.reason = f"its shape, {shape}, does not follow their number"
            if part.folded:
                part.reason = f"which parts of it are which image's can't be told; its shape is {shape}"
    return seen, works_alone


def _see(
    network: Network, pixels: np.ndarray, manner: Manner, *others: _Seen | None, following: bool = False
) -> _Seen:
    """Do a pass; where the images are is known from passes over another number of them."""
    seen = _Seen(len(pixels))
    network.manner = manner

    def observe(name: str, call: Call, output: Any) -> None:
        part = seen.by_name[name] = _Part(call, hasattr(output, "dtype"), reason=why_not(output))
        if part.reason:
            return
        part.shape = tuple(int(length) for length in output.shape)
        if 0 in part.shape:
            part.reason = "it has no units"
            return
        part.channel_axis = call.channel_axis(output) if following else None
        values = as_tensor(output)
        if values.is_floating_point():
            part.tolerance = tolerance_of(values.dtype)
        if len(pixels) == 1:
            part.numbers = _numbers(values)
        for other in filter(None, others):
            twin = other.by_name.get(name)
            if part.axis is None and twin is not None and not twin.reason:
                _place_images(part, values, len(pixels), twin, other.images)

    seen.calls = network.observe_outputs(
        network.prepare(pixels), observe, following=seen.tops.append if following else None
    )
    return seen


def why_not(output: Any) -> str:
    """Return why an output can't be recorded, in words; "" where it can."""
    if output is None:
        return "it gives nothing"
    if getattr(output, "is_nested", False):
        return "it gives a nested tensor, in which images differ in shape"
    if "Tracer" in type(output).__name__:
        return "it is computed within a loop that is compiled (by JAX), and gives no numbers"
    if not hasattr(output, "shape") or not hasattr(output, "dtype"):
        return f"it gives a {type(output).__name__}, in which no array is known"
    if isinstance(output, torch.Tensor) and output.layout != torch.strided:
        return f"it gives a tensor that is not dense ({output.layout})"
    if isinstance(output, torch.Tensor) and not _has_numbers(output):
        return "it is computed within torch.vmap, where a tensor has no numbers of its own"
    if "float" not in str(output.dtype):
        return f"it gives numbers of the type {str(output.dtype).removeprefix('torch.')}, expected floats"
    return ""


def _has_numbers(output: torch.Tensor) -> bool:
    try:
        output.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return False
    return True


def _place_images(part: _Part, values: torch.Tensor, images: int, twin: _Part, others: int) -> None:
    """Find where an output holds the images, by one of another number of them, and what the first gave."""
    shape = tuple(values.shape)
    if len(shape) != len(twin.shape):
        return
    differing = [at for at, (one, other) in enumerate(zip(shape, twin.shape, strict=True)) if one != other]
    if len(differing) != 1:
        return
    (at,) = differing
    folded = shape[at] // images
    if shape[at] != folded * images or twin.shape[at] != folded * others:
        return
    if folded == 1:
        part.axis, part.numbers = Axis(at), _numbers(values.select(at, 0).unsqueeze(0))
        return
    part.folded = True
    if twin.numbers is None or others != 1:
        return
    ways = {
        Axis(at, folded): values.narrow(at, 0, folded),
        Axis(at, folded, interleaved=True): values[(slice(None),) * at + (slice(0, None, images),)],
    }
    found = {axis: _numbers(first) for axis, first in ways.items()}
    fitting = [axis for axis, numbers in found.items() if _alike(numbers, twin.numbers, twin.tolerance)]
    if fitting:
        part.axis, part.numbers = fitting[0], found[fitting[0]]
        part.in_either_order = len(fitting) > 1


def _numbers(values: torch.Tensor) -> Numbers:
    """Return what is compared of an image's output: mean, root of the mean square, and some of its values."""
    values = values if values.ndim else values.reshape(1)
    places = np.linspace(0, values.numel() - 1, min(COMPARED, values.numel())).astype(np.int64)
    index = [
        torch.from_numpy(axis).to(values.device) for axis in np.unravel_index(places, tuple(values.shape))
    ]
    some = values[tuple(index)]
    wide = values if values.dtype in (torch.float32, torch.float64) else values.float()
    moments = torch.stack([wide.mean(), torch.linalg.vector_norm(wide) / wide.numel() ** 0.5])
    return np.concatenate([moments.cpu().double().numpy(), some.cpu().double().numpy()])


def _alike(one: Numbers, other: Numbers, tolerance: float) -> bool:
    if one.shape != other.shape:
        return False
    finite = np.isfinite(one) & np.isfinite(other)
    scale = max(np.abs(other[1]), np.abs(other[finite]).max(initial=0.0)) if finite.any() else 1.0
    close = np.abs(one[finite] - other[finite]) <= tolerance * scale
    return bool(close.all()) and bool((np.isfinite(one) == np.isfinite(other)).all())


def _differing(one: _Seen, other: _Seen) -> tuple[str, ...]:
    """Return the layers in which the first image gave something else."""
    found = []
    for name, part in one.by_name.items():
        twin = other.by_name.get(name)
        if twin is None or part.numbers is None or twin.numbers is None:
            continue
        if not _alike(twin.numbers, part.numbers, max(part.tolerance, twin.tolerance)):
            found.append(name)
    return tuple(found)


def _found(seen: _Seen, hidden: Iterable[tuple[str, str]], alone: bool) -> Found:
    """Return the layers, and what can't be recorded, of a pass over two images."""
    blocks = {id(call) for call in blocks_of(seen.tops)}
    taken: set[int] = set()
    layers, unrecorded = [], []
    leaves = (part.call for part in seen.by_name.values() if not part.call.container)
    doubles = {id(leaf.by_operation) for leaf in leaves if leaf.by_operation is not None}
    recorded = {id(part.call) for part in seen.by_name.values() if not part.reason}
    for name, part in seen.by_name.items():
        call = part.call
        block = id(call) in blocks and id(call) not in taken
        if id(call) in doubles:
            continue
        about = {"container": call.container, "inert": call.inert, "block": block}
        about["operation"] = call.operation
        if not part.reason:
            taken.add(id(call))
            layers.append(_layer(name, part, **about))
        elif part.is_array or id(call) not in recorded:
            beside = id(call) in recorded
            unrecorded.append(Unrecorded(name, call.kind, part.reason, beside=beside, **about))
    unrecorded += [
        Unrecorded(name, kind, "its code computes in another way where it is looked into", block=True)
        for name, kind in hidden
    ]
    return Found(tuple(layers), tuple(unrecorded), seen.calls, alone)


def _layer(name: str, part: _Part, **about: Any) -> Layer:
    assert part.axis is not None
    at, folded, interleaved = part.axis
    shape = list(part.shape)
    channels = part.channel_axis if part.channel_axis != at else None
    if folded == 1:
        shape.pop(at)
        channels = None if channels is None else channels - (channels > at)
    else:
        shape[at] = folded
    return Layer(
        name=name,
        kind=part.call.kind,
        shape=tuple(shape),
        module=part.call.module,
        channel_axis=channels,
        batch_axis=at,
        folded=folded,
        interleaved=interleaved,
        **about,
    )
