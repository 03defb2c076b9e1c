"""A network that is run over many batches, in the way that costs least."""

from __future__ import annotations

import gc
import logging
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import UInt8

from differentia.errors import RecordingError, in_one_line
from differentia.networks.base import GRAPHS, Network, graphs_are_on
from differentia.networks.probes import Probe, Summary, SummaryProbe, UnitMoments, UnitProbe, together
from differentia.networks.rounding import tolerance_of
from differentia.networks.sketches import SketchProbe
from differentia.networks.torch import inference
from differentia.system.turns import in_turn

if TYPE_CHECKING:
    from differentia.networks.graph import PassGraph

logger = logging.getLogger(__name__)

#: Whether passes are compiled, by what was asked for; None: where it pays.
COMPILED = {"auto": None, "always": True, "never": False}

#: What a compiled pass is taken to save of the time of another, until both were timed.
EXPECTED_GAIN = 0.08

#: What compiling is taken to cost, in seconds: at once, and for each layer that is read.
COMPILING, COMPILING_A_LAYER = 10.0, 0.5

#: Batches that are timed before that is decided, after one that is not: much is done once only.
DECIDING_BATCHES = 2

#: The probes of each layer, by names that are given back with what they kept.
ProbesByLayer = Mapping[str, Mapping[Any, Probe]]

#: Probes that gather nothing over batches, so that they may see one twice.
STATELESS = UnitProbe | SketchProbe | SummaryProbe

_Read = Callable[[torch.Tensor], dict[str, Any]]


class Runner:
    """Shows a network, which must not be changed meanwhile, one batch after another.

    A pass that PyTorch computes can be written as a graph: where that costs less (Keras), it is run so, and
    compiled where that pays. A graph is compared with the network's own pass on an image before it is used,
    and where it can't be made, or differs, the network's own pass is done. Only full batches are compiled.
    `compiled` says whether they are; it is None as long as that is open, and given by a run that goes on. A
    batch that does not fit into a GPU's memory is shown in parts, of `at_once` images from then on.
    `called_later` has the modules that were called for other images than those that were looked at.
    """

    def __init__(
        self, network: Network, *, compile: str, batch_size: int, compiled: bool | None = None
    ) -> None:
        self._network = network
        self.at_once = batch_size
        self._left = 0
        self._graph: PassGraph | None = None
        self._kind: tuple[Any, ...] = ()
        self._reads: dict[Any, tuple[Any, _Read]] = {}
        self._compared: set[Any] = set()
        self._seconds: list[float] = []
        self.called_later: Counter[str] = Counter()
        self.compiled = COMPILED[compile] if compiled is None else compiled
        self._has_graph = network.traceable and graphs_are_on()
        if not self._has_graph:
            off = f"{GRAPHS}=0 turns that off"
            self._do_not_compile(off if network.traceable else "only what PyTorch computes can be")

    def expect(self, images: int) -> None:
        """Take note of how many images are yet to be shown."""
        self._left = images

    def record(
        self, pixels: UInt8[np.ndarray, "b h w c"], probes: ProbesByLayer
    ) -> dict[str, dict[Any, Any]]:
        """Show a batch, and return what the probes keep of it, by layer and name."""
        at_once, parts, done = self.at_once, [], 0
        while done < len(pixels):
            part = pixels[done : done + self.at_once]
            if (kept := self._record_if_it_fits(part, probes)) is not None:
                parts.append(kept)
                done += len(part)
        if self.at_once < at_once:
            logger.info(
                "%s: passes of %s images do not fit into the memory of %s; from now on there are %s in one",
                *(self._network.name, min(at_once, len(pixels)), self._network.device, self.at_once),
            )
        return _joined(parts)

    def _record_if_it_fits(self, pixels: np.ndarray, probes: ProbesByLayer) -> dict[str, Any] | None:
        """Return what is kept of a pass; None where it does not fit, after which half as many are shown."""
        gathering = [
            probe for by in probes.values() for probe in by.values() if isinstance(probe, UnitMoments)
        ]
        shown = [moments.shown for moments in gathering]
        try:
            with in_turn():
                return self._record_timed(pixels, probes)
        except (RecordingError, torch.OutOfMemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if len(pixels) == 1:
                if isinstance(error, RecordingError):
                    raise
                name, reason = self._network.name, in_one_line(error)
                raise RecordingError(f"{name}: one image does not fit into the memory: {reason}") from error
        for moments, before in zip(gathering, shown, strict=True):
            moments.go_back(before)
        self.at_once = (len(pixels) + 1) // 2
        self._seconds = []
        self._reads = {}
        gc.collect()  # the error held what the pass had computed
        torch.cuda.empty_cache()
        return None

    def _record_timed(self, pixels: np.ndarray, probes: ProbesByLayer) -> dict[str, Any]:
        """Do one forward pass; decide whether others are compiled once enough have been timed."""
        started = time.perf_counter()
        kept = self._record(pixels, probes)
        self._left -= len(pixels)
        if self.compiled is None and len(pixels) == self.at_once:
            self._seconds.append((time.perf_counter() - started) / len(pixels))
            if len(self._seconds) > DECIDING_BATCHES:
                seconds = fmean(self._seconds[1:]) * self._left
                self.compiled = EXPECTED_GAIN * seconds > COMPILING + COMPILING_A_LAYER * len(probes)
        return kept

    def _record(self, pixels: np.ndarray, probes: ProbesByLayer) -> dict[str, Any]:
        kept = None
        if len(pixels) == 1 and not self._network.found.alone:
            return self._own_pass(pixels, probes)
        if self.compiled and len(pixels) == self.at_once:
            kept = self._record_graph(pixels, probes, compiled=True)
        if kept is None and self._has_graph and self._network.rewritten:
            kept = self._record_graph(pixels, probes, compiled=False)
        return self._own_pass(pixels, probes) if kept is None else kept

    def _record_graph(
        self, pixels: np.ndarray, probes: ProbesByLayer, *, compiled: bool
    ) -> dict[str, Any] | None:
        """Return what a graph gives, compared when it is first used; None where it can't be used."""
        batch = self._network.prepare(pixels)
        graph = self._graph_of(batch)
        if graph is None:
            return None
        looks = tuple((layer, name, id(probe)) for layer, by in probes.items() for name, probe in by.items())
        key = compiled, tuple(batch.shape), looks
        if key not in self._reads:
            how = graph.compiled if compiled else graph.reading
            stateless = _stateless(probes)
            started = time.perf_counter()
            try:
                with warnings.catch_warnings():  # PyTorch's own: as errors they would end the compiling
                    warnings.simplefilter("ignore")
                    read = how(_one_for_each_layer(stateless), len(batch))
                    kept = self._run(read, batch)
                if compiled:
                    seconds = time.perf_counter() - started
                    logger.info("%s: its pass was compiled in %.0f s", self._network.name, seconds)
                if (compiled, looks) not in self._compared:
                    self._require_alike(kept, pixels, stateless)
                    self._compared.add((compiled, looks))
            except Exception as error:  # a compiler that is missing, or fails, has many ways to say so
                if _is_out_of_memory(error):
                    raise
                give_up = self._do_not_compile if compiled else self._give_up_graphs
                give_up(_first_line(error))
                return None
            if stateless == probes:
                self._reads[key] = probes, read  # the probes stay, and so do their ids
                return kept
            self._reads[key] = probes, how(_one_for_each_layer(probes), len(batch))
        return self._run(self._reads[key][1], batch)

    def _require_alike(self, kept: Mapping[str, Any], pixels: np.ndarray, probes: ProbesByLayer) -> None:
        """Raise an error where something else was kept than the network's own pass gives of an image."""
        tolerance = tolerance_of(getattr(torch, self._network.dtype))
        for layer, by_probe in self._own_pass(pixels[:1], probes).items():
            for name, expected in by_probe.items():
                found = kept[layer][name]
                if isinstance(expected, Summary):
                    found, expected = found.filter_mean, expected.filter_mean
                if not _alike(found[:1], expected, tolerance):
                    raise ValueError(f"layer {layer!r} differs from the network's own pass")

    def _own_pass(self, pixels: np.ndarray, probes: ProbesByLayer) -> dict[str, Any]:
        return self._network.record(pixels, _one_for_each_layer(probes), new_calls=self.called_later.update)

    def _run(self, read: _Read, batch: torch.Tensor) -> dict[str, Any]:
        with self._network.placed(), inference(self._network.name, batch.shape):
            return read(batch)

    def _graph_of(self, batch: torch.Tensor) -> PassGraph | None:
        """Return the pass over such batches as a graph; None if there is none."""
        if self._graph is None and self._has_graph:
            try:
                from differentia.networks.graph import PassGraph  # of a private API, which may have changed

                with self._network.placed(), self._network.unchanged():
                    self._graph = PassGraph(self._report_outputs, batch)
                self._kind = _kind_of(batch)
            except Exception as error:  # also an operation that was thought of otherwise
                self._give_up_graphs(f"its pass can't be written as a graph: {_first_line(error)}")
        if self._graph is None or _kind_of(batch) != self._kind:  # a preprocess= function may do anything
            return None
        return self._graph

    def _give_up_graphs(self, reason: str) -> None:
        self._graph, self._has_graph = None, False
        logger.debug("%s: its own pass is done: %s", self._network.name, reason)
        self._do_not_compile(reason)

    def _report_outputs(self, batch: torch.Tensor, report: Callable[[str, torch.Tensor], None]) -> None:
        layers = {layer.name: layer for layer in self._network.layers}

        def observe(name: str, call: Any, output: Any) -> None:
            if name in layers:
                report(name, layers[name].by_image(output, len(batch)))

        self._network.observe_outputs(batch, observe)

    def _do_not_compile(self, reason: str) -> None:
        if self.compiled:
            logger.info("%s is not compiled: %s", self._network.name, reason)
        self.compiled = False


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether a pass failed for want of a GPU's memory."""
    return isinstance(error, torch.OutOfMemoryError) or isinstance(error.__cause__, torch.OutOfMemoryError)


def _joined(parts: Sequence[dict[str, dict[Any, Any]]]) -> dict[str, dict[Any, Any]]:
    """Return what was kept of the parts of a batch as that of the whole."""
    first, *others = parts
    if not others:
        return first
    return {
        layer: {name: _one_after_another([part[layer][name] for part in parts]) for name in by}
        for layer, by in first.items()
    }


def _one_after_another(kept: Sequence[Any]) -> Any:
    """Return what a probe kept of all images: arrays, a summary of them, or nothing."""
    if kept[0] is None:
        return None
    if isinstance(kept[0], Summary):
        return Summary(*map(np.concatenate, zip(*kept, strict=True)))
    return np.concatenate(kept)


def _alike(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    """Return whether responses of a layer differ by rounding only."""
    finite = np.isfinite(other)  # what is not, is an error of its own
    difference = np.abs(one[finite] - other[finite])
    return bool((difference <= tolerance * max(1e-3, np.abs(other[finite]).max(initial=0.0))).all())


def _kind_of(batch: torch.Tensor) -> tuple[Any, ...]:
    """Return what batches that one graph is for have alike."""
    return batch.shape[1:], batch.dtype, batch.device


def _one_for_each_layer(probes: ProbesByLayer) -> dict[str, Probe]:
    return {layer: together(by) for layer, by in probes.items()}


def _stateless(probes: ProbesByLayer) -> ProbesByLayer:
    stateless: dict[str, dict[Any, Probe]] = defaultdict(dict)
    for layer, by in probes.items():
        for name, probe in by.items():
            if isinstance(probe, STATELESS):
                stateless[layer][name] = probe
    return stateless


def _first_line(error: Exception) -> str:
    reason = error.__cause__ or error  # a pass that failed tells all lines of it in one
    return next((line for line in str(reason).splitlines() if line.strip()), type(reason).__name__)
