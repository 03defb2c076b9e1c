"""What a recording costs in time, memory and disk: beforehand, and on the first batches of a long one."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from differentia.errors import InputError
from differentia.networks.base import Network
from differentia.networks.classes import class_layer
from differentia.networks.layers import Layer, without_operations
from differentia.networks.probes import UnitMoments
from differentia.networks.runner import Runner
from differentia.recording.planning import ALL, Plan, Probes
from differentia.recording.ranking import NUMBERS, RANKING
from differentia.recording.units import unit_kind
from differentia.system.machine import memory_budget, written_size
from differentia.system.random import fixed_generator

logger = logging.getLogger(__name__)


class Cost(NamedTuple):
    """What recording costs, beside the network's own memory."""

    #: Kept on disk, or in memory without a store. On disk a set's last images take a chunk's 16 rows.
    bytes_per_image: int
    #: Of the pass, decoding apart. Ranked units take another where whole layers do not fit into memory.
    seconds_per_image: float
    #: Bytes at once, whatever the number of images, where there is a store: two batches.
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
    """Measure on a batch of noise what recording layers costs, with all views of at most 2,000 images."""
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
    )
    if batch_size is None:
        batch_size = best_batch_size(network, plan, memory_budget())
    rng = fixed_generator()
    scores = {layer.name: rng.random(layer.size) for layer in layers} if kind.ranked_by else None
    pools = {units: plan.choose(units, scores)}
    probes = Probes(plan, pools).by_layer(plan.wanted(pools))
    for layer in layers if kind.ranked_by else ():
        probes[layer.name][RANKING] = UnitMoments()
    pixels = rng.integers(0, 256, (batch_size, *network.input_shape), dtype=np.uint8)
    runner = Runner(network, compile="never", batch_size=batch_size)
    runner.record(pixels, probes)  # what is done once
    started = time.perf_counter()
    runner.record(pixels, probes)
    seconds = (time.perf_counter() - started) / batch_size
    return Cost(plan.bytes_per_image(), seconds, _memory_needed(plan, 2 * batch_size), batch_size)


#: Images in one pass, unless others are asked for.
MOST_AT_ONCE = 32

#: Bytes of two outputs of the largest layer, for all images of a pass. With more, less of an output is still
#: in the cache when it is read; with fewer images, large weights are read more often.
CACHED = 2**29


def best_batch_size(network: Network, plan: Plan, budget: int | None) -> int:
    """Return how many images, a power of two, are shown in one pass, where two batches may take the budget.

    There is none where all responses are kept in memory.
    """
    largest = max(math.prod(layer.whole) for layer in without_operations(network.layers))
    images = min(MOST_AT_ONCE, CACHED // (2 * 4 * largest))
    if budget is not None:
        images = min(images, int(budget) // (2 * max(1, plan.bytes_per_image())))
    return 1 << max(0, images.bit_length() - 1)


def _memory_needed(plan: Plan, images: int, tasks: int = 1) -> int:
    """Return how many bytes the responses to images take, and the sums of units that are ranked.

    Of several tasks there are the sums over all, and those of the task at work.
    """
    sums = 8 * NUMBERS * plan.n_units * min(tasks, 2) if plan.ranked else 0
    return plan.bytes_per_image() * images + sums


def require_memory(plan: Plan, images: int, batch_size: int | None, budget: int, tasks: int = 1) -> int:
    """Return how many bytes the responses take at once, or raise an error where that is over the budget.

    No batch size stands for a store that holds all at once.
    """
    # A batch is written to a store on disk while the next is computed.
    at_once = images if batch_size is None else min(images, 2 * batch_size)
    needed = _memory_needed(plan, at_once, tasks)
    if needed > budget:
        fewer = "--units random" if ALL in plan.kinds else f"fewer --n-units than {plan.pool:,}"
        other = (
            "a store on disk (store=PATH; the command line has one without --no-store)"
            if batch_size is None
            else "a smaller --batch-size with --fresh"
        )
        raise InputError(
            f"the responses of {len(plan.layers)} layers to {at_once:,} images "
            f"{'' if batch_size is None else 'at once '}take {written_size(needed)}, more than the "
            f"{written_size(budget)} to spare (--memory); use {fewer}, fewer --layers, or {other}"
        )
    return needed


#: A recording that takes longer, in seconds, says so beforehand.
LONG = 30.0

#: Batches after which the rest is foretold, besides the first: much is done once only.
FORECAST_BATCHES = 2


@dataclass
class Forecast:
    """Says once what a recording takes, when its first batches are done, where that is long."""

    #: Yet to be shown, the bytes that will be kept of them, and the store's name.
    images: int
    size: int
    place: str
    #: Bytes that the responses take at once, and that they may take.
    memory: int
    budget: int
    #: When each batch was done, and how many images it had.
    _done: list[tuple[float, int]] = field(default_factory=list)

    def shown(self, images: int) -> None:
        """Note that a batch of images is done."""
        self.images -= images
        self._done.append((time.perf_counter(), images))
        if len(self._done) == 1 + FORECAST_BATCHES:
            (started, _), *timed = self._done
            seconds = self.images * (timed[-1][0] - started) / max(1, sum(count for _, count in timed))
            if seconds > LONG:
                logger.info(
                    "recording %s more images will take about %s; %s in all go to %s; %s of memory are used "
                    "at once (limit: %s)",
                    *(f"{self.images:,}", duration(seconds), written_size(self.size), self.place),
                    *(written_size(self.memory), written_size(self.budget)),
                )


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it: "40 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
