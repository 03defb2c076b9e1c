"""The exact median of all pairs by one process, by two workers of Dask, and by two processes on their own.

Responses lie on disk as Zarr, in shards like those of a store, and each process has one thread. What the
machine can give are two processes at the same time that know nothing of each other, each of which measures
responses with half as many pairs. The ways take turns; the speed of two workers is the ratio within a turn.
Then it is measured what a task costs: empty ones, and ten times as many. 100,000 responses take about five
minutes a turn on two cores.

    python benchmarks/cluster.py [--responses 100000] [--units 1000] [--repeats 3] [--json PATH]
"""

from __future__ import annotations

import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from harness import Benchmark, Spread, Way, Work, options_of, peak_memory, ratios

#: Processes, and the rows of a chunk and of a shard.
PROCESSES, CHUNK_ROWS, SHARD_ROWS = 2, 256, 4096

#: Bytes that one process may take for what it reads, as by ``memory=``.
BUDGET = 10**9

#: Tasks that do nothing.
EMPTY_TASKS = 500

#: What is predicted: images, layers, units and workers; and what a file system may give, in GB/s.
PREDICTED, GIVEN_GB_S = {"images": 1_000_000, "layers": 21, "units": 10_000, "workers": 64}, 2.0


class ZarrMatrix:
    """Responses on disk, of which a task carries the name."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.shape: tuple[int, ...] = self._opened.shape
        self.dtype: np.dtype[Any] = self._opened.dtype

    @property
    def _opened(self) -> Any:
        import zarr

        return zarr.open_array(self.path, mode="r")

    def __getitem__(self, at: tuple[slice, Any], /) -> np.ndarray:
        return np.asarray(self._opened[at])


def write_responses(path: str, n: int, k: int) -> None:
    """Write responses like those of a layer: not negative, and of images that excite more or less."""
    import zarr

    rng = np.random.default_rng(0)
    rows = min(n, SHARD_ROWS)
    array: Any = zarr.create_array(
        path, shape=(n, k), dtype="float32", chunks=(CHUNK_ROWS, k), shards=(rows, k), compressors=None
    )
    for start in range(0, n, rows):
        some = rng.standard_normal((min(rows, n - start), k), dtype=np.float32)
        some *= rng.gamma(4.0, 0.25, (len(some), 1)).astype(np.float32)
        array[start : start + len(some)] = np.maximum(some, 0)


def value(path: str, workers: Any = None) -> float:
    """Return the differentiation of the responses at a path."""
    from differentia.definition.matrix import at_hand
    from differentia.definition.measure import evaluate

    matrix: Any = ZarrMatrix(path)
    if workers is None:
        matrix = at_hand(matrix, BUDGET)[0]
    found = evaluate(matrix, workers=workers).value
    assert math.isfinite(found)
    return found


def one_process(path: str) -> Work:
    """Return the measure of this process."""
    import differentia.definition.measure  # noqa: F401

    return lambda: {"value": value(path)}


def two_workers(path: str) -> Work:
    """Return the measure of two workers; the process that asks them only adds up counts."""
    from differentia.recording.cluster import cluster_of, local_workers

    kept = ExitStack()
    client = kept.enter_context(local_workers(PROCESSES))
    Finalize(None, kept.close, exitpriority=1)  # at the end of this process

    def work() -> dict[str, float]:
        found = value(path, cluster_of(client))
        return {"value": found, "worker_gb": max(client.run(peak_memory).values())}

    return work


def on_their_own(path: str) -> Work:
    """Return two processes, each of which measures responses with half as many pairs."""
    executor = ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn"))
    list(executor.map(_ready, range(PROCESSES)))
    Finalize(None, executor.shutdown, exitpriority=1)

    def work() -> None:
        list(executor.map(value, [path] * PROCESSES))

    return work


def _ready(_: int) -> None:
    import differentia.definition.measure  # noqa: F401

    time.sleep(1)  # so that no process takes the place of both


class Counting:
    """Workers whose tasks are counted, with what they send and what it takes to wait for none of them."""

    def __init__(self, workers: Any) -> None:
        self._workers = workers
        self.tasks = self.pairs = 0
        self.merging = 0.0

    @property
    def count(self) -> int:
        return int(self._workers.count)

    def each(self, function: Callable[..., Any], tasks: Any, *, names: Any) -> Iterator[tuple[int, Any]]:
        self.tasks += len(tasks)
        for found in self._workers.each(function, tasks, names=names):
            given = time.perf_counter()
            yield found
            if names[found[0]].startswith("pairs"):
                self.pairs += 1
                self.merging += time.perf_counter() - given


def nothing(number: int) -> int:
    """Do nothing."""
    return number


def costs(path: str, n: int, k: int) -> dict[str, Any]:
    """Return what tasks cost beside their work, and how fast the work and reading are, in one thread."""
    from differentia.definition import medians
    from differentia.definition.matrix import Rows
    from differentia.definition.tiles import SIDE, SquaredEuclidean, all_bands
    from differentia.recording.cluster import cluster_of, local_workers

    found: dict[str, Any] = {}
    with local_workers(PROCESSES) as client:
        cluster = cluster_of(client)
        tasks, names = [(number,) for number in range(EMPTY_TASKS)], [f"no-{at}" for at in range(EMPTY_TASKS)]
        for _ in range(2):  # first the workers import what there is
            started = time.perf_counter()
            list(cluster.each(nothing, tasks, names=names))
            found["empty_task_s"] = (time.perf_counter() - started) / EMPTY_TASKS
        taken = {}
        for name, times in (("usual", 1), ("tenth", 10)):
            counting, usual = Counting(cluster), (medians.TASKS_EACH, medians.LEAST_OF_A_TASK)
            medians.TASKS_EACH, medians.LEAST_OF_A_TASK = usual[0] * times, usual[1] // times
            started = time.perf_counter()
            value(path, counting)
            taken[name] = time.perf_counter() - started, counting
            medians.TASKS_EACH, medians.LEAST_OF_A_TASK = usual
        (seconds, few), (longer, many) = taken["usual"], taken["tenth"]
        found |= {"tasks": few.tasks, "seconds": seconds, "tasks_tenth": many.tasks, "seconds_tenth": longer}
        found["task_s"] = max(0.0, (longer - seconds) * PROCESSES / (many.tasks - few.tasks))
        found["merge_s"] = few.merging / few.pairs
    matrix = ZarrMatrix(path)
    started = time.perf_counter()
    part = matrix[: 4 * SIDE, :]
    found["read_gb_s"] = part.nbytes / 1e9 / (time.perf_counter() - started)
    for units in (k, PREDICTED["units"]):
        values = np.random.default_rng(0).standard_normal((2 * SIDE, units), dtype=np.float32)
        tiles = SquaredEuclidean(Rows(values), "float32")
        medians._count(tiles, all_bands(tiles), [medians.Bracket(0, 0)])
        started = time.perf_counter()
        medians._count(tiles, all_bands(tiles), [medians.Bracket(0, 0)])
        # Of the tiles of responses with themselves half is no pair.
        found[f"pairs_units_s {units}"] = 3 * SIDE**2 * units / (time.perf_counter() - started)
    return found


class Prediction(NamedTuple):
    """What a large measurement takes, of one value of each layer."""

    hours: float
    tasks: int
    seconds_of_a_task: float
    read_gb_s: float  # by all workers together
    #: With how many workers they wait for what gives out tasks and adds up counts, and for the file system.
    most_by_client: float
    most_by_disk: float


def predicted(facts: dict[str, Any]) -> Prediction:
    """Return what the measured costs predict."""
    from differentia.definition import medians

    images, layers, units, workers = PREDICTED.values()
    tiles: Any = _Sized(images, units)
    side = medians._responses_of_a_task(tiles, workers)
    groups = math.ceil(images / side)
    tasks, work = groups * (groups + 1) // 2, images**2 / 2 * units
    of_a_task = work / tasks / facts[f"pairs_units_s {units}"]
    size = 2 * side * units * 4 / 1e9  # GB that a task reads
    with_all = of_a_task + facts["task_s"] + size / facts["read_gb_s"]
    at_the_client = facts["empty_task_s"] + facts["merge_s"]
    return Prediction(
        layers * tasks * with_all / workers / 3600,
        layers * tasks,
        with_all,
        workers * size / with_all,
        with_all / at_the_client,
        GIVEN_GB_S * with_all / size,
    )


class _Sized:
    """So many responses that nobody has."""

    def __init__(self, n: int, k: int) -> None:
        self.n_responses = n
        self.rows = self.values = self
        self.n_units, self.dtype = k, np.dtype(np.float32)


@contextmanager
def responses_of(n: int, k: int) -> Iterator[tuple[str, str]]:
    """Give the paths of responses, and of those with half as many pairs."""
    with tempfile.TemporaryDirectory() as folder:
        whole, half = (str(Path(folder, name)) for name in ("whole.zarr", "half.zarr"))
        write_responses(whole, n, k)
        write_responses(half, round(n / math.sqrt(PROCESSES)), k)
        yield whole, half


def main() -> None:
    """Print the times, the peaks of the memory, and what tasks cost."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    parser = options_of(__doc__, "cluster.json", repeats=3)
    parser.add_argument("--responses", type=int, default=100_000)
    parser.add_argument("--units", type=int, default=1_000)
    given = parser.parse_args()
    options = {"responses": given.responses, "units": given.units, "processes": PROCESSES}
    benchmark = Benchmark.of("cluster", options, given)
    with responses_of(given.responses, given.units) as (whole, half):
        ways = [
            Way("one process", partial(one_process, whole), warm_up=False),
            Way("two workers", partial(two_workers, whole), warm_up=False),
            Way("two on their own", partial(on_their_own, half), warm_up=False),
        ]
        benchmark.take_turns(ways, given.repeats)
        executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        with executor:  # of one thread, as its environment says
            benchmark.facts |= executor.submit(costs, whole, given.responses, given.units).result()
    values = {turn["value"] for name in ("one process", "two workers") for turn in benchmark.ways[name].turns}
    benchmark.facts |= {"equal": len(values) == 1, "predicted": predicted(benchmark.facts)._asdict()}
    benchmark.write()
    benchmark.print_table()
    speeds = ratios(benchmark.ways["two on their own"], benchmark.ways["two workers"])
    print(f"of what two processes reach on their own: {Spread.of(speeds).told('.3f')}")
    print(f"of each worker at most {max(benchmark.ways['two workers'].column('worker_gb')):.2f} GB")
    for name, fact in benchmark.facts.items():
        print(f"{name}: {fact}")


if __name__ == "__main__":
    main()
