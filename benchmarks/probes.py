"""What the views cost: recording sampled units alone, and with predictions, filter means, moments and maps.

VGG16's shape with random weights, 21 layers, 100,000 units of each. Both ways take turns in one process; the
ratio of each turn counts, so that a noisy machine disturbs both alike.

    python benchmarks/probes.py [--images 32] [--repeats 9]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import differentia as dif

LAYERS = ["input", "block*", "flatten", "predictions"]
MAPS = {"block1_conv1": [31], "block3_conv2": [125], "block5_conv3": [397, 427]}


def main() -> None:
    """Print the medians, and the ratio of each turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--network", default="keras:VGG16?weights=none")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    network = dif.load_network(given.network)
    sets = {"noise": f"noise:{given.images}"}

    def seconds(**options: Any) -> float:
        started = time.perf_counter()
        dif.record(network, sets, pool=100_000, layers=LAYERS, **options)
        return time.perf_counter() - started

    seconds(views=False)  # what is done once
    alone: list[float] = []
    together: list[float] = []
    for turn in range(given.repeats):
        if turn % 2:
            together.append(seconds(maps=MAPS))
        alone.append(seconds(views=False))
        if not turn % 2:
            together.append(seconds(maps=MAPS))
    ratios = sorted(second / first for first, second in zip(alone, together, strict=True))
    print(f"{given.network}, {given.images} images, {given.repeats} turns")
    print(f"sampled units alone   {statistics.median(alone):8.2f} s")
    print(f"with all views        {statistics.median(together):8.2f} s")
    print(f"ratio                 {statistics.median(ratios):8.3f}   ({ratios[0]:.3f} to {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
