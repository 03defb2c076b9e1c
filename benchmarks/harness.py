"""Ways of doing the same, timed side by side: they take turns, each in a process of its own.

A way says how to prepare its work; the work is what is timed. Both happen in the way's own process, so that
its peak memory is its own. The processes live on while others have their turn, waiting for a pipe; a way that
holds much memory gets a new one for each turn. The order changes from turn to turn, and what is compared are
the ratios within a turn, so that a noisy machine disturbs all ways alike::

    def prepare(n: int) -> Work:  # of a module's top level: the other process imports it
        import numpy as np  # heavy imports here, so that the process that waits stays small

        values = np.ones(n)
        return lambda: values.sum() and None  # or a mapping of further numbers, kept beside the seconds

    benchmark = Benchmark("sums", {"n": 10**6}, path=Path("sums.json"))
    benchmark.take_turns([Way("long", partial(prepare, 10**6)), Way("short", partial(prepare, 1))], repeats=7)
    benchmark.print_table()
    benchmark.print_ratio("long", "short")
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

#: What is timed. It may return further numbers to keep: the seconds of its stages.
Work = Callable[[], Mapping[str, float] | None]

#: Their versions stand beside the numbers.
PACKAGES = ("differentia", "torch", "keras", "numpy", "scipy", "pillow")


@dataclass(frozen=True)
class Way:
    """A way of doing it."""

    name: str  # unique in the benchmark
    prepare: Callable[[], Work]  # called once in the way's process, for which it is pickled
    lasting: bool = True  # whether its process lives on between its turns, or each turn has a new one
    warm_up: bool = True  # whether the work is done once before the turns: compiling is then not in them
    repeats: int | None = None  # the first turns that it takes part in; by default all


@dataclass
class Taken:
    """What was taken of a way."""

    prepare_s: float = 0.0  # with imports; of the last process, if there were several
    first_s: float | None = None  # of the warm-up, if there was one
    #: The number of the ``turn``, ``seconds``, ``cpu_s`` (of the process, all threads), ``peak_gb`` (of the
    #: process so far, with all that it imported) and what the work returned.
    turns: list[dict[str, float]] = field(default_factory=list)

    def column(self, key: str = "seconds") -> list[float]:
        """Return one number of each turn."""
        return [turn[key] for turn in self.turns]

    def peak(self) -> float:
        """Return the peak of the memory over all turns, in GB."""
        return max(self.column("peak_gb"))


class Spread(NamedTuple):
    """The median of some numbers, and how far they range."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return that of some numbers, at least one."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def told(self, form: str = ".4g") -> str:
        """Return it in words: ``1.2 (1.1 to 1.3)``."""
        return f"{self.median:{form}} ({self.least:{form}} to {self.most:{form}})"


def ratios(first: Taken, second: Taken, key: str = "seconds") -> list[float]:
    """Return the ratio of the first way to the second in each turn that both had."""
    of_second = {turn["turn"]: turn[key] for turn in second.turns}
    return [turn[key] / of_second[turn["turn"]] for turn in first.turns if turn["turn"] in of_second]


class Benchmark:
    """What was taken of each way, on which machine, with which options; written as JSON after every turn."""

    def __init__(self, name: str, options: Mapping[str, Any], path: Path | None = None) -> None:
        self.name = name
        self.options = dict(options)
        self.machine = machine()
        self.date = datetime.now(UTC).date().isoformat()
        self.facts: dict[str, Any] = {}  # what follows from the turns, or was counted beside them
        self.ways: dict[str, Taken] = {}
        self._path = path
        self._turns = 0

    @classmethod
    def of(cls, name: str, options: Mapping[str, Any], given: argparse.Namespace) -> Benchmark:
        """Return the benchmark that the command line asks for, with ``--add`` an earlier one."""
        if not given.add:
            return cls(name, options, given.json)
        if given.json is None or not given.json.is_file():
            raise SystemExit("--add goes on with what is in a file: name one that there is with --json")
        before = cls.read(given.json)
        now = cls(name, options, given.json)
        for what in ("name", "options"):
            if getattr(before, what) != getattr(now, what):
                raise SystemExit(
                    f"{given.json} has the {what} {getattr(before, what)}, this run {getattr(now, what)}: "
                    "turns are added to those with the same"
                )
        for what in ("cpu", "cores", "versions"):
            if before.machine[what] != now.machine[what]:
                raise SystemExit(
                    f"{given.json} is of a machine with {what} {before.machine[what]}, this one has "
                    f"{now.machine[what]}: turns are added to those of the same"
                )
        before._path, before.date = given.json, now.date
        return before

    @classmethod
    def read(cls, path: Path) -> Benchmark:
        """Return what was written to a file."""
        written = json.loads(path.read_text(encoding="utf-8"))
        benchmark = cls(written["benchmark"], written["options"])
        benchmark.machine, benchmark.date = written["machine"], written["date"]
        benchmark.facts = written["facts"]
        benchmark.ways = {name: Taken(**taken) for name, taken in written["ways"].items()}
        taken = [turn["turn"] for way in benchmark.ways.values() for turn in way.turns]
        benchmark._turns = int(max(taken, default=0))
        return benchmark

    def write(self) -> None:
        """Write all there is, where a path was given."""
        if self._path is None:
            return
        written = {
            "benchmark": self.name,
            "date": self.date,
            "machine": self.machine,
            "options": self.options,
            "facts": self.facts,
            "ways": {name: asdict(taken) for name, taken in self.ways.items()},
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_rounded(written), indent=1, ensure_ascii=False)
        self._path.write_text(text + "\n", encoding="utf-8")

    def take_turns(self, ways: Sequence[Way], repeats: int) -> None:
        """Let the ways take turns, print each as it comes, and add what was taken."""
        workers: dict[str, _Worker] = {}
        width = max(len(way.name) for way in ways)
        try:
            for way in ways:
                taken = self.ways.setdefault(way.name, Taken())
                if way.lasting:
                    workers[way.name] = _Worker(way, taken)
                    first = "" if taken.first_s is None else f", first {taken.first_s:.2f} s"
                    told = f"{way.name:{width}}  prepared in {taken.prepare_s:.2f} s{first}"
                    print(told, flush=True)
            for turn in range(repeats):
                self._turns += 1
                for way in in_turn(ways, turn):
                    taken = self.ways[way.name]
                    if turn >= (repeats if way.repeats is None else way.repeats):
                        continue
                    worker = workers.get(way.name) or _Worker(way, taken)
                    try:
                        numbers = worker.work()
                    finally:
                        if not way.lasting:
                            worker.stop()
                    taken.turns.append({"turn": self._turns, **numbers})
                    print(f"turn {self._turns}  {way.name:{width}}  {_told(numbers)}", flush=True)
                self.write()
        finally:
            for worker in workers.values():
                worker.stop()

    def print_table(self, names: Sequence[str] | None = None) -> None:
        """Print the medians of the ways, with their range, and the peak of their memory."""
        names = [name for name in (self.ways if names is None else names) if self.ways[name].turns]
        width = max(map(len, names), default=0)
        print(f"\n{self.name}: {self.date}, {self.machine['cpu']}, {self.machine['cores']} cores")
        for name in names:
            taken = self.ways[name]
            seconds, cpu = Spread.of(taken.column()), Spread.of(taken.column("cpu_s"))
            print(
                f"{name:{width}}  {seconds.told():>28} s  {cpu.median:8.4g} CPU-s  {taken.peak():6.2f} GB  "
                f"{len(taken.turns)} turns"
            )

    def print_ratio(self, first: str, second: str, key: str = "seconds") -> None:
        """Print the ratio of two ways, turn by turn; nothing where they had no turn in common."""
        found = ratios(self.ways[first], self.ways[second], key) if self.both(first, second) else []
        if found:
            print(f"{first} / {second}, {key}: {Spread.of(found).told('.3f')}")

    def both(self, *names: str) -> bool:
        """Return whether all these ways were taken."""
        return all(name in self.ways and self.ways[name].turns for name in names)


def options_of(description: str | None, path: str, *, repeats: int = 7) -> argparse.ArgumentParser:
    """Return a parser with what every benchmark takes; of the description the first line is used."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0] if description else None)
    parser.add_argument("--repeats", type=int, default=repeats, help="turns of each way")
    parser.add_argument("--json", type=Path, help=f"write all numbers there (benchmarks/results/{path})")
    parser.add_argument("--add", action="store_true", help="go on with the turns that are there already")
    return parser


def in_turn(ways: Sequence[Way], turn: int) -> list[Way]:
    """Return the order of a turn: rotated by one from turn to turn, and every other turn backwards."""
    start = turn % len(ways)
    order = [*ways[start:], *ways[:start]]
    return order[::-1] if turn % 2 else order


def machine() -> dict[str, Any]:
    """Return what is known of this machine and of what is installed on it."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        "system": platform.system(),
        "load": os.getloadavg()[0],  # of the last minute: what else was running when it began
        "versions": versions,
    }


def peak_memory() -> float:
    """Return the most memory that this process had so far, in GB.

    Linux's ``ru_maxrss`` begins with that of the process that this one was forked from; ``VmHWM`` is its own.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if sys.platform == "darwin" else 1024) / 1e9


def size_of(folder: Path) -> float:
    """Return the size of all files in a folder, in GB."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e9


class _Worker:
    """A process in which a way was prepared, and works when told to."""

    def __init__(self, way: Way, taken: Taken) -> None:
        self._name = way.name
        context = multiprocessing.get_context("spawn")  # a process of its own, not a copy of this one
        self._pipe, theirs = context.Pipe()
        # Not a daemon: those may have no children, and compilers do.
        self._process = context.Process(target=_serve, args=(theirs, way))
        self._process.start()
        theirs.close()
        try:
            prepared = self._answer()
        except BaseException:
            self.stop()
            raise
        taken.prepare_s = prepared["prepare_s"]
        taken.first_s = prepared.get("first_s")

    def work(self) -> dict[str, float]:
        """Do the work once; return its numbers."""
        self._pipe.send("work")
        return self._answer()

    def stop(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=30)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _answer(self) -> dict[str, float]:
        try:
            numbers, failure = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(
                f"{self._name}: its process ended with {self._process.exitcode} (-9 where memory ran out)"
            ) from None
        if failure:
            raise RuntimeError(f"{self._name}: {failure}")
        return dict(numbers)


def _serve(pipe: Connection, way: Way) -> None:
    """Prepare, then work at every message, until the pipe is closed."""
    try:
        started = time.perf_counter()
        work = way.prepare()
        prepared = {"prepare_s": time.perf_counter() - started}
        if way.warm_up:
            prepared["first_s"] = _timed(work)["seconds"]
        _give_back()
        pipe.send((prepared, None))
        while pipe.recv():
            numbers = _timed(work)
            _give_back()
            pipe.send((numbers, None))
    except (EOFError, KeyboardInterrupt):
        return
    except BaseException:
        pipe.send((None, traceback.format_exc()))


def _timed(work: Work) -> dict[str, float]:
    cpu, started = time.process_time(), time.perf_counter()
    more = work()
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    return {"seconds": seconds, "cpu_s": cpu_s, "peak_gb": peak_memory(), **(more or {})}


def _give_back() -> None:
    """Give free memory back to the system: others have their turn now."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _told(numbers: Mapping[str, float]) -> str:
    units = {"seconds": "s", "cpu_s": "CPU-s", "peak_gb": "GB"}
    parts = [f"{numbers[key]:8.4g} {unit}" for key, unit in units.items()]
    return "  ".join([*parts, *(f"{key} {value:.4g}" for key, value in numbers.items() if key not in units)])


def _rounded(written: Any) -> Any:
    """Return the same with five significant digits: more would say no more, and fill the file."""
    if isinstance(written, float):
        return float(f"{written:.5g}")
    if isinstance(written, Mapping):
        return {key: _rounded(value) for key, value in written.items()}
    if isinstance(written, list | tuple):
        return [_rounded(value) for value in written]
    return written
