"""What a recording costs in time, memory and disk: beforehand, and on the first batches of a long one."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from differentia.classes import class_layer
from differentia.errors import InputError
from differentia.layers import Layer
from differentia.machine import memory_budget, written_size
from differentia.networks import Network, Runner
from differentia.planning import ALL, Plan
from differentia.probes import Probe, SummaryProbe, UnitMoments, UnitProbe
from differentia.ranking import NUMBERS
from differentia.sketches import Sketch, SketchProbe
from differentia.units import UnitKind, unit_kind, unit_order

logger = logging.getLogger(__name__)


class Cost(NamedTuple):
    """What recording costs.

    Attributes
    ----------
    bytes_per_image
        That are kept: on disk, and in memory where there is no store. On disk a set's last images take as
        much as 16, which are the rows of a chunk.
    seconds_per_image
        Of the pass, decoding apart. Ranked units take another where whole layers do not fit into memory.
    memory
        Bytes that responses take at once, whatever the number of images, where there is a store: two batches.
        The network takes its own.
    batch_size
        Images of a batch.
    """

    bytes_per_image: int
    seconds_per_image: float
    memory: int
    batch_size: int


def estimate_cost(
    network: Network,
    layers: Sequence[Layer],
    *,
    pool: int,
    units: str = "random",
    batch_size: int | None = None,
) -> Cost:
    """Measure on a batch of noise what recording layers of a network costs.

    Parameters
    ----------
    network
        What would be recorded.
    layers
        Of it.
    pool, units, batch_size
        As for `record`.

    Returns
    -------
    Cost
        With all that is kept to look at beside the units (``views=True``), of at most 2,000 images.

    Raises
    ------
    InputError
        There is no such kind of units.
    RecordingError
        The pass failed.
    """
    kind = unit_kind(units)
    plan = Plan(
        layers=tuple(layers),
        kinds={units: kind},
        pool=pool,
        seed=0,
        input_shape=network.input_shape,
        moments=True,
        filter_means=True,
        thumbnails=True,
        class_layer=class_layer(network),
        maps={},
        map_images=(),
    )
    if batch_size is None:
        batch_size = best_batch_size(network, plan, memory_budget())
    probes: dict[str, dict[str, Probe]] = {}
    for layer in layers:
        probes[layer.name] = {
            "units": _probe(kind, layer, kind.pool_size(layer, pool)),
            "summary": SummaryProbe(layer),
        }
        if kind.ranked_by:
            probes[layer.name]["ranking"] = UnitMoments()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (batch_size, *network.input_shape), dtype=np.uint8)
    runner = Runner(network, compile="never", batch_size=batch_size)
    runner.record(pixels, probes)  # what is done once
    started = time.perf_counter()
    runner.record(pixels, probes)
    seconds = (time.perf_counter() - started) / batch_size
    return Cost(plan.bytes_per_image(), seconds, _memory_needed(plan, 2 * batch_size), batch_size)


def _probe(kind: UnitKind, layer: Layer, size: int) -> Probe:
    """Return a probe that costs as much as that of a pool of some size."""
    if kind.sketched and size < layer.size:
        return SketchProbe(Sketch(layer, size, seed=0))
    return UnitProbe(unit_order(layer.name, layer.size, size, seed=0), layer.shape)


#: Images in one pass, unless others are asked for.
MOST_AT_ONCE = 32

#: Bytes of two outputs of the largest layer, for all images of a pass. With more, less of an output is still
#: in the cache when it is read; with fewer images, large weights are read more often.
CACHED = 2**29


def best_batch_size(network: Network, plan: Plan, budget: int | None) -> int:
    """Return how many images are shown in one pass: a power of two.

    Parameters
    ----------
    network
        Its largest layer says what a pass takes.
    plan
        What is kept of each image.
    budget
        Bytes of memory that two batches of responses may take; None where all are kept in memory.
    """
    images = min(MOST_AT_ONCE, CACHED // (2 * 4 * max(layer.size for layer in network.layers)))
    if budget is not None:
        images = min(images, int(budget) // (2 * max(1, plan.bytes_per_image())))
    return 1 << max(0, images.bit_length() - 1)


def _memory_needed(plan: Plan, images: int) -> int:
    """Return how many bytes the responses to images take, and the sums of units that are ranked."""
    sums = 8 * NUMBERS * plan.layer_sizes() if plan.ranked else 0
    return 4 * plan.numbers_per_image() * images + sums


def require_memory(plan: Plan, images: int, batch_size: int | None, budget: int) -> int:
    """Return how many bytes the responses take at once, or raise an error where that is too much.

    Parameters
    ----------
    plan
        What is kept.
    images
        All of them.
    batch_size
        Of a store on disk: a batch is written to it while the next is computed. None where all responses are
        kept in memory.
    budget
        Bytes that they may take.

    Raises
    ------
    InputError
        Says what would help.
    """
    at_once = images if batch_size is None else min(images, 2 * batch_size)
    needed = _memory_needed(plan, at_once)
    if needed > budget:
        fewer = "--units random" if ALL in plan.kinds else f"fewer --n-units than {plan.pool:,}"
        other = (
            "a store on disk (store=PATH; the command line has one without --no-store)"
            if batch_size is None
            else "a smaller --batch-size with --fresh"
        )
        raise InputError(
            f"{plan.numbers_per_image():,} units of {len(plan.layers)} layers for {at_once:,} images "
            f"{'' if batch_size is None else 'at once '}take {written_size(needed)}, more than the "
            f"{written_size(budget)} that there are to spare (--memory); use {fewer}, fewer --layers, or "
            f"{other}"
        )
    return needed


#: A recording that takes longer, in seconds, says so beforehand.
LONG = 30.0

#: Batches that are timed before the rest is foretold, after one that is not: much is done once only.
TIMED_BATCHES = 2


class Forecast:
    """Says once what a recording takes, when its first batches are done, where that is long.

    Parameters
    ----------
    images
        How many will be shown.
    size
        Bytes that will be kept of them.
    place
        Where: what `differentia.store.Store` calls itself.
    memory
        Bytes that the responses take at once.
    budget
        Bytes that they may take.
    """

    def __init__(self, images: int, size: int, place: str, memory: int, budget: int) -> None:
        self._left = images
        self._size = size
        self._place = place
        self._memory = memory
        self._budget = budget
        self._batches = 0
        self._timed = 0
        self._started = 0.0

    def shown(self, images: int) -> None:
        """Note that a batch of images is done."""
        self._left -= images
        self._batches += 1
        if self._batches == 1:
            self._started = time.perf_counter()
            return
        self._timed += images
        if self._batches == 1 + TIMED_BATCHES:
            seconds = self._left * (time.perf_counter() - self._started) / max(1, self._timed)
            if seconds > LONG:
                logger.info(
                    "recording %s more images will take about %s; %s in all go to %s; %s of memory are used "
                    "at once (limit: %s)",
                    f"{self._left:,}",
                    duration(seconds),
                    written_size(self._size),
                    self._place,
                    written_size(self._memory),
                    written_size(self._budget),
                )


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it: "40 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
