"""What the views cost: recording sampled units alone, and with predictions, filter means, moments and maps.

VGG16's shape with random weights, 21 layers, 100,000 units of each.

    python benchmarks/probes.py [--images 32] [--repeats 9]
"""

from __future__ import annotations

from functools import partial
from typing import Any

from harness import Benchmark, Way, Work, options_of
from vgg16 import LAYERS, N_UNITS

import differentia as dif

ALONE = {"views": False}
WITH_VIEWS = {"maps": {"block1_conv1": [31], "block3_conv2": [125], "block5_conv3": [397, 427]}}


def prepare(spec: str, images: int, options: dict[str, Any]) -> Work:
    """Return a recording."""
    network, sets = dif.load_network(spec), {"noise": f"noise:{images}"}

    def work() -> None:
        dif.record(network, sets, pool=max(N_UNITS), layers=LAYERS, **options)

    return work


def main() -> None:
    """Print the medians, and the ratio of each turn."""
    parser = options_of(__doc__, "probes.json", repeats=9)
    parser.add_argument("--network", default="keras:VGG16?weights=none")
    parser.add_argument("--images", type=int, default=32)
    given = parser.parse_args()
    benchmark = Benchmark.of("probes", {"network": given.network, "images": given.images}, given)
    recording = partial(prepare, given.network, given.images)
    ways = {"sampled units alone": ALONE, "with all views": WITH_VIEWS}
    benchmark.take_turns([Way(name, partial(recording, own)) for name, own in ways.items()], given.repeats)
    benchmark.print_table()
    benchmark.print_ratio("with all views", "sampled units alone")


if __name__ == "__main__":
    main()
