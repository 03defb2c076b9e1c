"""What the store costs: recording to disk beside recording to memory.

VGG16's shape with random weights, 21 layers, 100,000 units of each. Both ways take turns in one process; the
ratio of each turn counts, so that a noisy machine disturbs both alike.

    python benchmarks/store.py [--images 300] [--repeats 7] [--folder DIR]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import differentia as dif

LAYERS = ["input", "block*", "flatten", "predictions"]


def main() -> None:
    """Print the medians, and the ratio of each turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--network", default="keras:VGG16?weights=none")
    parser.add_argument("--layers", nargs="*", default=LAYERS)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--folder", help="on the disk that is measured")
    given = parser.parse_args()
    network = dif.load_network(given.network)

    def seconds(images: int, store: Path | None) -> float:
        started = time.perf_counter()
        sets = {"noise": f"noise:{images}"}
        dif.record(network, sets, pool=given.units, layers=given.layers or None, store=store)
        return time.perf_counter() - started

    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        store = Path(folder) / "responses.zarr"
        seconds(2, store)  # what is done once
        memory: list[float] = []
        disk: list[float] = []
        size = 0
        for turn in range(given.repeats):
            for way in ("memory", "disk") if turn % 2 else ("disk", "memory"):
                if way == "memory":
                    memory.append(seconds(given.images, None))
                    continue
                shutil.rmtree(store)
                disk.append(seconds(given.images, store))
                size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
            print(f"turn {turn + 1}: memory {memory[-1]:.2f} s, store {disk[-1]:.2f} s", flush=True)
    ratios = sorted(second / first for first, second in zip(memory, disk, strict=True))
    print(f"{given.network}, {given.images} images, {given.units:,} units, {given.repeats} turns")
    print(f"to memory             {statistics.median(memory):8.2f} s")
    print(f"to the store          {statistics.median(disk):8.2f} s, {size / 1e9:.2f} GB")
    print(f"ratio                 {statistics.median(ratios):8.3f}   ({ratios[0]:.3f} to {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
