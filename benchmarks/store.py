"""What the store costs: recording to disk beside recording to memory.

VGG16's shape with random weights, 21 layers, 100,000 units of each.

    python benchmarks/store.py [--images 300] [--repeats 7] [--folder DIR]
"""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter

from harness import Benchmark, Way, Work, options_of, size_of
from vgg16 import LAYERS, N_UNITS

import differentia as dif


def prepare(spec: str, images: int, store: Path | None) -> Work:
    """Return a recording to memory, or to a store, of which it tells the size."""
    network, sets = dif.load_network(spec), {"noise": f"noise:{images}"}

    def work() -> dict[str, float]:
        started = perf_counter()
        dif.record(network, sets, pool=max(N_UNITS), layers=LAYERS, store=store)
        seconds = perf_counter() - started
        if store is None:
            return {"seconds": seconds}
        size = size_of(store)
        shutil.rmtree(store)
        return {"seconds": seconds, "store_gb": size}

    return work


def main() -> None:
    """Print the medians, and the ratio of each turn."""
    parser = options_of(__doc__, "store.json")
    parser.add_argument("--network", default="keras:VGG16?weights=none")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--folder", help="on the disk that is measured")
    given = parser.parse_args()
    benchmark = Benchmark.of("store", {"network": given.network, "images": given.images}, given)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        stores = {"to memory": None, "to the store": Path(folder) / "responses.zarr"}
        recording = partial(prepare, given.network, given.images)
        ways = [Way(name, partial(recording, store)) for name, store in stores.items()]
        benchmark.take_turns(ways, given.repeats)
    benchmark.print_table()
    benchmark.print_ratio("to the store", "to memory")


if __name__ == "__main__":
    main()
