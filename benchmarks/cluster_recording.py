"""Recording on two workers of a cluster, of one thread each, beside two processes of their own.

Each of the two records half of the images as a part, into a store of its own; the workers record all of them,
task by task, into one. All begin with nothing loaded; a cluster also begins and ends. What more images take
longer is the pace, without the beginning and the end.

    python benchmarks/cluster_recording.py [--network SPEC] [--images 1000 4000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

WORKERS = 2

#: What is predicted.
MANY_WORKERS, MANY_IMAGES, OF_A_TASK = 64, 1_000_000, 120.0


def record_half(network: str, sets: dict[str, str], store: Path, options: dict[str, Any]) -> None:
    """Record as one of the processes that know nothing of one another."""
    import torch

    torch.set_num_threads(1)
    import differentia as dif

    dif.record_part(network, sets, part="1/1", store=store, progress=False, **options)


def alone(network: str, images: int, folder: Path, options: dict[str, Any]) -> float:
    """Return how long two processes take that record half of the images each."""
    begin = multiprocessing.get_context("spawn")
    halves = [
        begin.Process(
            target=record_half,
            args=(
                network,
                {"noise": f"noise:{images // WORKERS}?seed={number}"},
                folder / str(number),
                options,
            ),
        )
        for number in range(WORKERS)
    ]
    started = time.perf_counter()
    for process in halves:
        process.start()
    for process in halves:
        process.join()
        assert process.exitcode == 0
    return time.perf_counter() - started


def together(network: str, images: int, folder: Path, options: dict[str, Any]) -> float:
    """Return how long two workers take, from the beginning of the cluster to its end."""
    import differentia as dif
    from differentia.recording.cluster import local_workers

    sets = {"noise": f"noise:{images}"}
    started = time.perf_counter()
    with local_workers(WORKERS) as client:
        dif.record(network, sets, store=folder / "all", client=client, progress=False, **options)
    return time.perf_counter() - started


def main() -> None:
    """Print the times and ratios of each turn, the pace, and what it predicts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="keras:MobileNet?weights=none")
    parser.add_argument("--images", type=int, nargs=2, default=[1000, 4000], metavar=("FEW", "MANY"))
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    options: dict[str, Any] = {"pool": 10_000, "batch_size": 32, "compile": "never"}
    taken: dict[int, list[tuple[float, float]]] = {images: [] for images in given.images}
    for turn in range(given.repeats):
        for images, turns in taken.items():
            with tempfile.TemporaryDirectory() as folder:
                halves = alone(given.network, images, Path(folder), options)
                all_of_it = together(given.network, images, Path(folder), options)
            turns.append((halves, all_of_it))
            said = f"turn {turn + 1}, {images:,} images: alone {halves:.1f} s, workers {all_of_it:.1f} s"
            print(f"{said} ({halves / all_of_it:.0%})", flush=True)
    few, many = given.images
    more = [
        [late - early for early, late in zip(*pair, strict=True)]
        for pair in zip(taken[few], taken[many], strict=True)
    ]
    halves, all_of_it = map(statistics.median, zip(*more, strict=True))
    print(
        f"{many - few:,} images more: alone {halves:.1f} s, workers {all_of_it:.1f} s; "
        f"the pace of two workers is {halves / all_of_it:.0%} of two processes"
    )
    rate = (many - few) / all_of_it / WORKERS
    print(
        f"{MANY_WORKERS} workers and {MANY_IMAGES:,} images: {MANY_IMAGES / rate / OF_A_TASK:,.0f} tasks, "
        f"{MANY_IMAGES / rate / MANY_WORKERS / 3600:.1f} hours"
    )


if __name__ == "__main__":
    main()
