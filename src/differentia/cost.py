"""What a recording costs: measured on a batch beforehand, and on the first batches of a long one."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from differentia.layers import Layer
from differentia.networks import Network
from differentia.probes import Probe, SummaryProbe, UnitMoments, UnitProbe, together
from differentia.units import unit_kind, unit_order

logger = logging.getLogger(__name__)


class Cost(NamedTuple):
    """What recording one image costs.

    Attributes
    ----------
    bytes_per_image
        Of memory, for what is kept.
    seconds_per_image
        Of the pass, decoding apart. Ranked units take another where whole layers do not fit into memory.
    """

    bytes_per_image: int
    seconds_per_image: float


def estimate_cost(
    network: Network, layers: Sequence[Layer], *, pool: int, units: str = "random", batch_size: int = 32
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
        For one image, in bytes and seconds.

    Raises
    ------
    InputError
        There is no such kind of units.
    RecordingError
        The pass failed.
    """
    kind = unit_kind(units)
    sizes = {layer.name: kind.pool_size(layer, pool) for layer in layers}
    probes = {}
    for layer in layers:
        scattered = unit_order(layer.name, layer.size, sizes[layer.name], seed=0)
        several: dict[str, Probe] = {
            "units": UnitProbe(scattered, layer.shape),
            "summary": SummaryProbe(layer),
        }
        if kind.ranked_by:
            several["ranking"] = UnitMoments()
        probes[layer.name] = together(several)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (batch_size, *network.input_shape), dtype=np.uint8)
    network.record(pixels[:1], probes)  # what is done once
    started = time.perf_counter()
    network.record(pixels, probes)
    seconds = (time.perf_counter() - started) / batch_size
    return Cost(4 * (sum(sizes.values()) + sum(layer.n_filters for layer in layers)), seconds)


#: A recording that takes longer, in seconds, says so beforehand.
LONG = 30.0

#: Batches that are timed before the rest is foretold, after one that is not: much is done once only.
TIMED_BATCHES = 2


class Forecast:
    """Says once how long a recording will take, when its first batches are done.

    Parameters
    ----------
    images
        How many will be shown.
    size
        Bytes that will be kept of them.
    """

    def __init__(self, images: int, size: int) -> None:
        self._left = images
        self._size = size
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
                    "recording %s more images will take about %s; %s GB in all are kept of them",
                    f"{self._left:,}",
                    duration(seconds),
                    f"{self._size / 1e9:,.2f}",
                )


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it: "40 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
