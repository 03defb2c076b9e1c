"""Recording by two workers of a cluster, of one thread each, beside two processes of their own.

Each of the two records half of the images as a part, into a store of its own; the workers record all of them,
task by task, into one. All begin with nothing loaded, and a cluster also begins and ends: what more images
take longer is the pace. About six minutes a turn on two cores.

    python benchmarks/cluster_recording.py [--network SPEC] [--images 500 2000] [--repeats 3] [--json PATH]
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from harness import Benchmark, Spread, Taken, Way, Work, options_of

PROCESSES = 2

#: What is predicted: workers, images, and the seconds of a task.
PREDICTED = {"workers": 64, "images": 1_000_000, "task": 120.0}

OPTIONS: dict[str, Any] = {"pool": 10_000, "batch_size": 32, "compile": "never", "progress": False}


def record_half(network: str, images: int, number: int, store: Path) -> None:
    """Record as one of the processes that know nothing of one another."""
    import torch

    torch.set_num_threads(1)
    import differentia as dif

    sets = {"noise": f"noise:{images // PROCESSES}?seed={number}"}
    dif.record_part(network, sets, part="1/1", store=store, **OPTIONS)


def on_their_own(network: str, images: int) -> Work:
    """Return two processes that record half of the images each."""
    begin = multiprocessing.get_context("spawn")

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            halves = [
                begin.Process(target=record_half, args=(network, images, number, Path(folder, str(number))))
                for number in range(PROCESSES)
            ]
            for process in halves:
                process.start()
            for process in halves:
                process.join()
                assert process.exitcode == 0

    return work


def two_workers(network: str, images: int) -> Work:
    """Return two workers, from the beginning of their cluster to its end."""

    def work() -> None:
        import differentia as dif
        from differentia.recording.cluster import local_workers

        with tempfile.TemporaryDirectory() as folder, local_workers(PROCESSES) as client:
            dif.record(network, {"noise": f"noise:{images}"}, store=f"{folder}/s", client=client, **OPTIONS)

    return work


def pace(few: Taken, many: Taken) -> list[float]:
    """Return what more images took longer in each turn, in seconds."""
    return [late - early for early, late in zip(few.column(), many.column(), strict=True)]


def main() -> None:
    """Print the times of each turn, and the pace of workers beside that of processes on their own."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    parser = options_of(__doc__, "cluster_recording.json", repeats=3)
    parser.add_argument("--network", default="keras:MobileNet?weights=none")
    parser.add_argument("--images", type=int, nargs=2, default=[500, 2000], metavar=("FEW", "MANY"))
    given = parser.parse_args()
    few, many = given.images
    options = {"network": given.network, "few": few, "many": many, "processes": PROCESSES}
    benchmark = Benchmark.of("cluster_recording", options, given)
    ways = [
        Way(f"{name}, {images:,} images", partial(of, given.network, images), lasting=False, warm_up=False)
        for images in (few, many)
        for name, of in (("two on their own", on_their_own), ("two workers", two_workers))
    ]
    benchmark.take_turns(ways, given.repeats)
    benchmark.write()
    benchmark.print_table()
    alone, workers = (
        pace(*(benchmark.ways[f"{name}, {images:,} images"] for images in (few, many)))
        for name in ("two on their own", "two workers")
    )
    shares = [one / other for one, other in zip(alone, workers, strict=True)]
    print(f"the pace of two workers, of that of two on their own: {Spread.of(shares).told('.3f')}")


if __name__ == "__main__":
    main()
