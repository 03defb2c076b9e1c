"""What the store costs: recording to disk beside recording to memory, reading it, and how many files it has.

VGG16's shape with random weights, 21 layers, 100,000 units of each; of photographs with ``--images-from``, a
folder. The ways to record are `to memory`, `to the store`, and `packed` (``--compress zstd``). What is read
is one layer of the same images: all its columns, and 200 of them; from shards, packed and not, and from a
file for each chunk, as earlier versions wrote them, by us and by zarr, as they read them. The files are those
of 10,000 images x 10,000 units x 21 layers, with each image's mean and variance: 8.4 GB of random numbers,
which ``--files`` writes beside the rest. About 15 minutes on two cores, with ``--files`` 5 more.

    python benchmarks/store.py [--images 300] [--repeats 7] [--folder DIR] [--images-from DIR] [--files]
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from harness import Benchmark, Way, Work, options_of, size_of
from vgg16 import LAYERS, N_UNITS

import differentia as dif
from differentia.recording.division import Promised
from differentia.recording.store.base import Quantity
from differentia.recording.store.compression import COMPRESSIONS
from differentia.recording.store.disk import open_recording
from differentia.recording.store.layouts import CHUNK_ROWS, Layout
from differentia.recording.store.matrices import Run, Segment, StoredMatrix

BATCH = 32

#: Batches of a task, for the ways that do without a recording.
TASK = 64


def prepare(spec: str, images: Any, store: Path | None, compress: str) -> Work:
    """Return a recording to memory, or to a store, of which it tells the size."""
    network, sets = dif.load_network(spec), {"images": images}

    def work() -> dict[str, float]:
        started = perf_counter()
        options: Any = {"store": store, "compress": compress}
        dif.record(network, sets, pool=max(N_UNITS), layers=LAYERS, **options)
        seconds = perf_counter() - started
        if store is None:
            return {"seconds": seconds}
        size, files = size_of(store), sum(1 for file in store.rglob("*") if file.is_file())
        shutil.rmtree(store)
        return {"seconds": seconds, "store_gb": size, "files": files}

    return work


def responses(images: int, columns: int) -> np.ndarray:
    """Return responses of which half are 0, as after a ReLU."""
    values = np.random.default_rng(0).standard_normal((images, columns), np.float32)
    return np.maximum(values, 0)


def prepare_reading(folder: Path, images: int, layout: Layout, columns: Sequence[int], by_zarr: bool) -> Work:
    """Return the reading of some columns of all images, from an array that is written here."""
    values = responses(images, max(N_UNITS))
    array = layout.create(folder, images, values.shape[1], values.dtype)
    for start in range(0, images, BATCH):
        rows = range(start, min(start + BATCH, images))
        array.write(rows, values[rows.start : rows.stop])
    array.finish()
    part = Segment(array, 0, 0, values.shape[1])
    matrix: Any = StoredMatrix([Run(0, images, (part,))], values.shape[1])
    wanted = np.array(columns)
    expected = values[:, wanted]

    def work() -> dict[str, float]:
        import zarr

        started = perf_counter()
        if by_zarr:
            opened: Any = zarr.open_array(folder, mode="r")
            found = opened[:, wanted[0] : wanted[-1] + 1][:, wanted - wanted[0]]
        else:
            found = matrix[:, wanted]
        seconds = perf_counter() - started
        assert np.array_equal(found, expected), "not the same bits"
        return {"seconds": seconds, "store_gb": size_of(folder)}

    return work


def reading(folder: Path, images: int) -> list[Way]:
    """Return the ways to read."""
    shards = [Layout(CHUNK_ROWS, BATCH, TASK, compress) for compress in COMPRESSIONS]
    files = Layout(CHUNK_ROWS, BATCH, None)
    ways = {"shards": (shards[0], False), "packed": (shards[1], False)}
    ways |= {"chunk files": (files, False), "chunk files, by zarr": (files, True)}
    few = np.sort(np.random.default_rng(1).choice(max(N_UNITS), 200, replace=False)).tolist()
    made: list[Way] = []
    for what, columns in (("all columns", range(max(N_UNITS))), ("200 columns", few)):
        for name, (layout, by_zarr) in ways.items():
            read = partial(prepare_reading, folder / f"{len(made)}", images, layout, columns, by_zarr)
            made.append(Way(f"{what}: {name}", read))
    return made


def print_packing() -> None:
    """Print what levels of zstd save and cost, of half zeros and of nine in ten."""
    from numcodecs import zstd

    dense = np.random.default_rng(0).standard_normal((CHUNK_ROWS, 2**14), np.float32)
    for share, sparse in ((0.5, np.maximum(dense, 0)), (0.9, dense * (dense > 1.2816))):
        for level in (-5, -1, 1, 3, 6):
            packed, seconds = timed(lambda: zstd.compress(sparse, level))  # noqa: B023
            unpacked = timed(lambda: zstd.decompress(packed))[1]  # noqa: B023
            speeds = [sparse.nbytes / taken / 1e6 for taken in (seconds, unpacked)]
            told = f"{share:.0%} zeros, zstd level {level:2}: {len(packed) / sparse.nbytes:.2f} of the bytes"
            print(f"{told}, {speeds[0]:,.0f} MB/s packed, {speeds[1]:,.0f} MB/s read")


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what something gives, and the least of the seconds that it takes."""
    taken = []
    for _ in range(7):
        started = perf_counter()
        given = work()
        taken.append(perf_counter() - started)
    return given, min(taken)


def print_files(folder: Path, images: int = 10_000, layers: int = 21, columns: int = 10_000) -> None:
    """Print how many files a large recording has."""
    name = "files"
    store = open_recording(folder, {"network": name}, {}, name=name, batch_size=BATCH, task_batches=TASK)
    batches = [range(start, min(start + BATCH, images)) for start in range(0, images, BATCH)]
    store.promise({"a": "images"}, [Promised("a", batch) for batch in batches])
    values = responses(BATCH, columns)
    started = perf_counter()
    for number, rows in enumerate(batches):
        batch = store.add_batch(number, "a", [f"{row:064}" for row in rows])
        for layer in range(layers):
            store.write(Quantity(f"{layer}", "random-0", 0, columns), batch, values[: len(rows)])
            store.write(Quantity(f"{layer}", "moments", 0, 2), batch, np.ones((len(rows), 2)))
        if (number + 1) % TASK == 0:
            store.finish()
    store.finish()
    seconds, files = perf_counter() - started, sum(1 for file in folder.rglob("*") if file.is_file())
    print(
        f"\n{images:,} images x {columns:,} units x {layers} layers: {files} files, {size_of(folder):.2f} GB"
    )
    print(f"written in {seconds:.1f} s")


def main() -> None:
    """Print the medians, and the ratio of each turn."""
    parser = options_of(__doc__, "store.json")
    parser.add_argument("--network", default="keras:VGG16?weights=none")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--images-from", type=Path, help="a folder of photographs, instead of noise")
    parser.add_argument("--folder", help="on the disk that is measured")
    parser.add_argument("--files", action="store_true", help="count the files of 10,000 images")
    given = parser.parse_args()
    images = f"noise:{given.images}" if given.images_from is None else sorted(given.images_from.iterdir())
    about = {"network": given.network, "images": given.images, "from": str(given.images_from or "noise")}
    benchmark = Benchmark.of("store", about, given)
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        folder = Path(scratch)
        stores = {"to memory": None, "to the store": "none", "packed": "zstd"}
        recording = partial(prepare, given.network, images)
        ways = [
            Way(name, partial(recording, folder / name if compress else None, compress or "none"))
            for name, compress in stores.items()
        ]
        benchmark.take_turns(ways, given.repeats)
        benchmark.take_turns(reading(folder, given.images), given.repeats)
        benchmark.print_table()
        benchmark.print_ratio("to the store", "to memory")
        benchmark.print_ratio("packed", "to the store")
        for what in ("all columns", "200 columns"):
            benchmark.print_ratio(f"{what}: shards", f"{what}: chunk files, by zarr")
            benchmark.print_ratio(f"{what}: packed", f"{what}: shards")
        print_packing()
        if given.files:
            print_files(folder / "files.zarr")


if __name__ == "__main__":
    main()
