"""What every network offers: its layers in the order of computation, and a pass that probes read."""

from __future__ import annotations

import contextlib
import hashlib
import operator
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import UInt8

from differentia.errors import InputError, RecordingError
from differentia.networks.layers import INPUT, Layer

#: The environment variable that turns off, as ``0``, what relies on PyTorch's private API (`networks.graph`).
GRAPHS = "DIFFERENTIA_GRAPHS"

#: The layers are found with two batches of different sizes: an axis that follows both is the batch.
TRACE_BATCHES = (2, 3)


def graphs_are_on() -> bool:
    """Return whether a pass may be written as a graph; without, each network's own pass is done."""
    return os.environ.get(GRAPHS) != "0"


class Call(NamedTuple):
    """A call of a module within a pass, as an adapter reports it."""

    module: str
    kind: str
    container: bool = False
    inert: bool = False
    channels_first: bool = False


class Trace(NamedTuple):
    """What a pass showed: the outputs that can be recorded, and how often each module was called."""

    layers: tuple[Layer, ...]
    calls: Counter[str]


#: What an adapter calls after each module, with the module's output (arrays, tuples, dicts), before anything
#: can change that in place.
Observer = Callable[[Call, Any], None]


class Network(ABC):
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
    traceable
        Whether its pass is made of PyTorch's operations, so that it can be written as a graph of them.
    inert
        Kinds of layers that only reshape, or do nothing at inference.
    """

    name: str
    input_shape: tuple[int, int, int]
    preprocessing: str
    channels_first: bool
    frameworks: tuple[str, ...] = ()
    traceable: bool = False
    inert: ClassVar[frozenset[str]] = frozenset()

    @property
    def rewritten(self) -> bool:
        """Whether the pass costs less as a graph of PyTorch's operations, also without a compiler."""
        return False

    def placed(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which its tensors are made where it runs."""
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
    def run(self, batch: Any, observe: Observer, modules: frozenset[str] | None = None) -> None:
        """Do one forward pass at inference, reporting each call of a module as it is done.

        Parameters
        ----------
        batch
            What `prepare` returned.
        observe
            Called with the output before anything can change it in place.
        modules
            The modules to report; all where None.
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
    def layers(self) -> tuple[Layer, ...]:
        """Every layer that can be recorded, containers too, in the order of computation."""
        return self._trace.layers

    @cached_property
    def _trace(self) -> Trace:
        first = self._traced(TRACE_BATCHES[0])
        second = self._traced(TRACE_BATCHES[1], computing=not (self.rewritten and graphs_are_on()))
        in_both = tuple(layer for layer in first.layers if layer in second.layers)
        return Trace(in_both, second.calls)

    def _traced(self, batch: int, *, computing: bool = True) -> Trace:
        """Return what a pass shows; nothing needs to be computed where what is made once was made before."""
        found: list[Layer] = []

        def observe(name: str, call: Call, output: Any) -> None:
            # Floats, of which the first axis is the batch.
            if "float" in str(output.dtype) and len(output.shape) and int(output.shape[0]) == batch:
                shape = tuple(int(length) for length in output.shape[1:])
                found.append(Layer(name, shape=shape, **call._asdict()))

        given = self.prepare(np.zeros((batch, *self.input_shape), dtype=np.uint8))
        if not computing:
            with contextlib.suppress(Exception):
                from differentia.networks.graph import without_computing

                with without_computing(given) as stand_in:
                    calls = self.observe_outputs(stand_in, observe)
                return Trace(tuple(found), calls)
            found.clear()  # its code looks at numbers
        calls = self.observe_outputs(given, observe)
        return Trace(tuple(found), calls)

    def _hash(self, weights: Iterable[tuple[str, Any]]) -> str:
        """Return the SHA-256 of the layers, and of each weight as a description and bytes."""
        digest = hashlib.sha256()
        for layer in self.layers:
            digest.update(f"{layer.name}\0{layer.kind}\0{layer.shape}\n".encode())
        for description, values in weights:
            digest.update(f"{description}\n".encode())
            digest.update(values)
        return digest.hexdigest()

    def record(
        self, pixels: UInt8[np.ndarray, "b h w c"], probes: Mapping[str, Callable[[Any], Any]]
    ) -> dict[str, Any]:
        """Do one forward pass and return what the probes keep of it.

        Parameters
        ----------
        pixels : (batch, height, width, channels)
            0..255.
        probes
            By the name of the layer that each is to see.

        Raises
        ------
        RecordingError
            A layer was not computed, or gave another shape than before: the network does different
            things for different batches.
        """
        kept: dict[str, Any] = {}
        by_name = {layer.name: layer for layer in self.layers}

        def observe(name: str, call: Call, output: Any) -> None:
            if name not in probes:
                return
            expected = (len(pixels), *by_name[name].shape)
            if tuple(output.shape) != expected:
                raise RecordingError(
                    f"layer {name!r} gave the shape {tuple(output.shape)} for {len(pixels)} images; "
                    f"expected {expected}: its output depends on the batch; leave it out with layers="
                )
            kept[name] = probes[name](output)

        modules = frozenset(by_name[name].module for name in probes)
        calls = self.observe_outputs(self.prepare(pixels), observe, modules)
        if missing := [name for name in probes if name not in kept]:
            raise RecordingError(
                f"layer {missing[0]!r} was not computed for this batch, though it was for another: "
                "leave it out with layers="
            )
        for module in modules:
            expected, given = self._trace.calls[module], calls[module]
            if given != expected:
                raise RecordingError(
                    f"module {module!r} was called {given} times for this batch, but {expected} times for "
                    "another, so its calls can't be told apart; leave it out with layers="
                )
        return kept

    def observe_outputs(
        self, batch: Any, observe: Callable[[str, Call, Any], None], modules: frozenset[str] | None = None
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
        """
        calls: Counter[str] = Counter({INPUT: 1})

        def each_output(call: Call, output: Any) -> None:
            nth = calls[call.module]
            calls[call.module] += 1
            name = f"{call.module}:{nth}" if nth else call.module
            for suffix, part in _parts(output):
                observe(name + suffix, call, part)

        observe(INPUT, Call(INPUT, "Input", channels_first=self.channels_first), batch)
        self.run(batch, each_output, modules)
        return calls


def _parts(output: Any) -> Iterator[tuple[str, Any]]:
    """Yield each array of an output, with the suffix of its name."""
    if isinstance(output, Mapping | tuple | list):
        items: Iterable[Any] = output.items() if isinstance(output, Mapping) else enumerate(output)
        for key, item in items:
            for suffix, part in _parts(item):
                yield f"[{key}]{suffix}", part
    elif hasattr(output, "shape"):
        yield "", output


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
        return second, third, first
    return first, second, third
