"""What every network offers: its layers in the order of computation, and a pass that probes read."""

from __future__ import annotations

import contextlib
import hashlib
import math
import operator
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
from jaxtyping import UInt8

from differentia.errors import InputError, RecordingError
from differentia.networks.calls import (
    Call,
    Manner,
    Names,
    Observer,
    ObserverFailedError,
    carrying_errors,
    parts_of,
)
from differentia.networks.discovery import Found, discover
from differentia.networks.layers import INPUT, LEAVES, OPERATIONS, Layer, Unrecorded, without_operations
from differentia.networks.misfits import lack_of_memory
from differentia.networks.operations import unseen
from differentia.networks.origin import Origin
from differentia.networks.probes import as_tensor
from differentia.networks.tokens import ALL, with_tokens
from differentia.networks.transforms import Transform
from differentia.system.machine import free_memory, written_size
from differentia.system.random import fixed_generator
from differentia.system.showing import Shown
from differentia.system.turns import in_turn

#: The environment variable that turns off, as ``0``, what relies on PyTorch's private API (`networks.graph`).
GRAPHS = "DIFFERENTIA_GRAPHS"


def graphs_are_on() -> bool:
    """Return whether a pass may be written as a graph; without, each network's own pass is done."""
    return os.environ.get(GRAPHS) != "0"


class Network(Shown, ABC):
    """A network as this package sees it: images in, layers out.

    Attributes
    ----------
    name
        How the user named it.
    input_shape : (height, width, channels)
        Of the images that it takes.
    preprocessing
        How pixels become its input, in words.
    channels_first
        Whether its input has the channels before height and width.
    frameworks
        The packages that compute it, as they are imported; empty where that is not known.
    transform
        How its library fits images to its input, where it comes from one.
    dtype
        The numbers that it computes in: "float32", "bfloat16".
    forward
        The function that makes what it is called with of its input, in words; "" where it takes just that.
    classifies
        Whether it may tell classes apart; not where it is known to give an embedding.
    weights
        What its weights are called, where it comes from a library: a name, a file's path, "random".
    package
        The package that it comes from, as it is installed.
    origin
        What it was loaded from, where that can be written down, so that others can load the same.
    traceable
        Whether its pass is made of PyTorch's operations, so that it can be written as a graph of them.
    operations
        Whether functions that modules call are looked for too; a network may have none.
    inert
        Kinds of layers that only reshape, or do nothing at inference.
    """

    name: str
    input_shape: tuple[int, int, int]
    preprocessing: str
    channels_first: bool
    frameworks: tuple[str, ...] = ()
    transform: Transform | None = None
    dtype: str = "float32"
    forward: str = ""
    classifies: bool = True
    weights: str = ""
    package: str = ""
    origin: Origin | None = None
    traceable: bool = False
    operations: bool = False
    inert: ClassVar[frozenset[str]] = frozenset()
    #: The ways to compute a pass, the one that costs least first; the network's own is the last.
    manners: ClassVar[tuple[Manner, ...]] = (Manner.OWN,)
    manner: Manner = Manner.OWN
    _found: Found | None = None

    def _shown(self) -> tuple[str, dict[str, str]]:
        listed = "not looked at yet"  # which takes a pass
        if self._found is not None:
            layers = without_operations(self._found.layers)
            names = [layer.name for layer in layers if not layer.container]
            listed = f"{len(names):,}, from {names[0]} to {names[-1]}"
        return f"{type(self).__name__} {self.name}", {
            "images": " x ".join(map(str, self.input_shape)),
            "preprocessing": self.preprocessing,
            "layers": listed,
            "device": self.device,
            "dtype": self.dtype,
        }

    @property
    def rewritten(self) -> bool:
        """Whether the pass costs less as a graph of PyTorch's operations, also without a compiler."""
        return False

    def placed(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which its tensors are made where it runs."""
        return contextlib.nullcontext()

    def unchanged(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context after which it is as before, whatever its code keeps of a pass."""
        return contextlib.nullcontext()

    @abstractmethod
    def prepare(self, pixels: UInt8[np.ndarray, "b h w c"]) -> Any:
        """Return a batch of images as the network's preprocessed input.

        Parameters
        ----------
        pixels : (batch, height, width, channels)
            0..255.
        """

    @abstractmethod
    def run(
        self,
        batch: Any,
        observe: Observer,
        *,
        following: Callable[[Call], None] | None = None,
        operations: bool = False,
    ) -> None:
        """Do one forward pass at inference, reporting each call of a module as it is done.

        Parameters
        ----------
        batch
            What `prepare` returned.
        observe
            Called with the output before anything can change it in place.
        following
            Called with each call that no other made; then a call knows those within it, and its channels.
        operations
            Whether functions that modules call are reported too, where the network has such.
        """

    @property
    @abstractmethod
    def device(self) -> str:
        """Where it runs."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes that the last layer tells apart, where they are known."""
        return None

    @property
    def class_ids(self) -> tuple[str, ...] | None:
        """The WordNet identifiers of the classes, where they are known."""
        return None

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 of the architecture and the weights, in hexadecimal."""

    @property
    def hidden(self) -> Iterable[tuple[str, str]]:
        """The names and kinds of modules that are not looked into in the manner at hand."""
        return ()

    @property
    def weight_shapes(self) -> Iterable[tuple[str, tuple[int, ...]]]:
        """The name and shape of each weight."""
        return ()

    @property
    @abstractmethod
    def module_names(self) -> Iterable[str]:
        """The names of all modules, also of those that are not called."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer that can be recorded, containers too, in the order of computation."""
        return self.found.layers

    @property
    def unrecorded(self) -> tuple[Unrecorded, ...]:
        """What is called in a pass and can't be recorded, with the reason."""
        return self.found.unrecorded

    @property
    def found(self) -> Found:
        """What the last images that were looked at showed; noise, where there were none."""
        return self.look() if self._found is None else self._found

    def look(
        self,
        pixels: UInt8[np.ndarray, "two h w c"] | None = None,
        *,
        operations: bool = False,
        tokens: str = ALL,
    ) -> Found:
        """Find the layers, and what can't be recorded, in passes over two images.

        Parameters
        ----------
        pixels : (2, height, width, channels)
            0..255; by default noise.
        operations
            Whether functions that modules call are layers too, where the network has such.
        tokens : {"all", "class", "patches", "mean"}
            Which tokens of a layer count.

        Returns
        -------
        Found
            Also which layers' responses depend on chance, or on the other image.

        Raises
        ------
        InputError
            The network has no such tokens.
        RecordingError
            The pass failed.
        """
        if pixels is None:
            pixels = fixed_generator().integers(0, 256, (2, *self.input_shape), dtype=np.uint8)
        with in_turn():
            self.operations = operations
            try:
                found = discover(self, pixels)
            except MemoryError as error:
                raise RecordingError(
                    f"{self.name}: {lack_of_memory(error)}; use a smaller input_shape (--input-size)"
                ) from error
            self._found = found if tokens == ALL else with_tokens(found, self, tokens)
            return self._found

    @cached_property
    def _names(self) -> Names:
        return Names(self.module_names)

    def _hash(self, weights: Iterable[tuple[str, Any]]) -> str:
        """Return the SHA-256 of the layers, and of each weight as a description and bytes."""
        digest = hashlib.sha256()
        for layer in without_operations(self.layers):
            digest.update(f"{layer.name}\0{layer.kind}\0{layer.whole}\n".encode())
        for description, values in weights:
            digest.update(f"{description}\n".encode())
            digest.update(values)
        return digest.hexdigest()

    def record(
        self,
        pixels: UInt8[np.ndarray, "b h w c"],
        probes: Mapping[str, Callable[[Any], Any]],
        *,
        new_calls: Callable[[Counter[str]], None] | None = None,
    ) -> dict[str, Any]:
        """Do one forward pass and return what the probes keep of it.

        Parameters
        ----------
        pixels : (batch, height, width, channels)
            0..255.
        probes
            By the name of the layer that each is to see.
        new_calls
            Called with modules that are called more often than for the images that were looked at.

        Raises
        ------
        RecordingError
            A layer was not computed, or gave another shape than before: the network does different
            things for different batches.
        """
        kept: dict[str, Any] = {}
        by_name = {layer.name: layer for layer in self.layers}
        images = len(pixels)
        if images == 1 and not self.found.alone:  # it is shown twice
            pixels = pixels.repeat(2, axis=0)

        def observe(name: str, call: Call, output: Any) -> None:
            if name not in probes:
                return
            layer = by_name[name]
            if tuple(output.shape) != layer.output_shape(len(pixels)):
                raise RecordingError(
                    f"layer {name!r} gave the shape {tuple(output.shape)} for {len(pixels)} images; expected "
                    f"{layer.output_shape(len(pixels))}: its output depends on the batch; "
                    f"{_how_to_leave_out(layer, name)}"
                )
            if layer.folded > 1 or layer.batch_axis or layer.tokens:
                output = layer.by_image(as_tensor(output), len(pixels))
            kept[name] = probes[name](output if images == len(pixels) else output[:images])

        modules = frozenset(by_name[name].module for name in probes)
        operations = any(by_name[name].operation for name in probes)
        calls = self.observe_outputs(self.prepare(pixels), observe, modules, operations=operations)
        if missing := [name for name in probes if name not in kept]:
            raise RecordingError(
                f"layer {missing[0]!r} was not computed for this batch, though it was for another: "
                f"{_how_to_leave_out(by_name[missing[0]], missing[0])}"
            )
        for layer in (by_name[name] for name in probes):
            expected, given = self.found.calls[layer.module], calls[layer.module]
            if given != expected:
                what = "operation" if layer.operation else "module"
                raise RecordingError(
                    f"{what} {layer.module!r} was called {given} times for this batch, but {expected} times "
                    f"for another, so its calls can't be told apart; "
                    f"{_how_to_leave_out(layer, f'{layer.module}*')}"
                )
        if new_calls is not None:
            new_calls(calls - self.found.calls)
        return kept

    def observe_outputs(
        self,
        batch: Any,
        observe: Callable[[str, Call, Any], None],
        modules: frozenset[str] | None = None,
        *,
        following: Callable[[Call], None] | None = None,
        operations: bool | None = None,
    ) -> Counter[str]:
        """Run a pass, report each single output under its layer's name, and return the calls by module.

        Parameters
        ----------
        batch
            What `prepare` returned.
        observe
            Called with the name, the call, and the output before anything can change it in place.
        modules
            The modules whose outputs are reported; all where None.
        following
            Called with the calls that no other made; then each call knows those within it, and its channels.
        operations
            Whether functions that modules call are reported too; as they were looked for, where None.
        """
        calls: Counter[str] = Counter({INPUT: 1})
        names = self._names
        operations = self.operations if operations is None else operations
        if operations:  # of the network's, not of those who observe
            observe = partial(unseen, observe)

        def each_output(call: Call, output: Any) -> None:
            nth = calls[call.module]
            calls[call.module] += 1
            if modules is None or call.module in modules:
                given = [(suffix, part) for suffix, part in parts_of(output) if part is not None]
                for suffix, part in given or [("", None)]:
                    observe(names.name(call.module, nth, suffix), call, part)

        first = 1 if self.channels_first else len(batch.shape) - 1
        shown = Call(INPUT, "Input", channel_axis=lambda batch: first)
        observe(INPUT, shown, batch)
        if following is not None:
            following(shown)
        try:
            with in_turn():
                self.run(batch, carrying_errors(each_output), following=following, operations=operations)
        except ObserverFailedError as failed:
            raise failed.args[0] from None
        return calls


def _how_to_leave_out(layer: Layer, pattern: str) -> str:
    preset = OPERATIONS if layer.operation else LEAVES
    return f"leave it out with layers= (--layers '{preset},!{pattern}')"


def image_shape(network: str, given: Any, *, channels_first: bool) -> tuple[int, int, int]:
    """Return the shape of a network's images as (height, width, channels)."""
    problem = InputError(
        f"{network}: input_shape is {given!r}; expected three positive whole numbers, "
        "(height, width, channels) or (channels, height, width) with 1 or 3 channels"
    )
    try:
        first, second, third = (operator.index(length) for length in given)
    except (TypeError, ValueError):
        raise problem from None
    if min(first, second, third) < 1 or not {first, third} & {1, 3}:
        raise problem
    if first in (1, 3) and (third not in (1, 3) or channels_first):
        first, second, third = second, third, first
    require_room(network, (first, second, third))
    return first, second, third


def require_room(network: str, shape: tuple[int, int, int]) -> None:
    """Raise an error where no batch of images (height, width, channels) can fit: two, as they are looked at.

    They are held as bytes and as float32.
    """
    needed, free = 2 * math.prod(shape) * (1 + 4), free_memory()
    if needed > free:
        raise InputError(
            f"{network}: two images of {shape[0]:,} x {shape[1]:,} take {written_size(needed)}, and "
            f"{written_size(free)} of memory are free; give a smaller input_shape (--input-size)"
        )
