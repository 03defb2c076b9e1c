"""Runs of the command line that can be killed at any moment, and what is compared of their folders."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import xarray as xr
from helpers.run_server import FAILED, Request, Step

from differentia.output.unchanged import RECORD

#: Sums in one thread are the same in every process.
ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "KERAS_BACKEND": "torch",
    "MPLBACKEND": "agg",
}

#: How long a run may take in seconds, on a machine that does much else.
LONG = 300.0

#: What of a result's provenance may differ between runs that give the same.
APART = ("command", "versions")


class Killed(BaseException):
    """Stands for the end of a process: nothing of ours catches it."""


class Stage(NamedTuple):
    """What a run came to do, and when, in seconds of the monotonic clock."""

    name: str
    at: float


@dataclass(eq=False)
class Run:
    """A run that was begun.

    Attributes
    ----------
    pid
        Of its process.
    folder
        Where it runs.
    wait
        Waits for its end and returns the exit code (negative: the signal).
    ended
        Returns the exit code, or None while it runs.
    """

    pid: int
    folder: Path
    wait: Callable[[], int]
    ended: Callable[[], int | None]

    @property
    def stages(self) -> list[Stage]:
        """What it has come to do, so far."""
        return read_stages(self.folder / "stages-0")

    @property
    def said(self) -> str:
        """What it wrote to stderr."""
        return (self.folder / "stderr-0").read_text(encoding="utf-8")

    def send_at(self, stage: str, after: float, number: signal.Signals) -> str | None:
        """Send a signal so many seconds after a stage began; return the stage then, None if it had ended."""
        due: float | None = None
        while self.ended() is None:
            if due is None:
                due = next((begun.at + after for begun in self.stages if begun.name == stage), None)
            if due is not None and time.monotonic() >= due:
                with suppress(ProcessLookupError):
                    os.kill(self.pid, number)
                    return self.stages[-1].name
            time.sleep(0.002)
        return None


def read_stages(path: Path) -> list[Stage]:
    """Return the stages that a run wrote down."""
    if not path.exists():
        return []
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return [Stage(name, float(at)) for name, at in lines]


class Ended(NamedTuple):
    """How a run ended: its exit code, and what it wrote to stderr."""

    code: int
    said: str


class Runner:
    """Begins runs by a server that has imported everything."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "helpers.run_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert self._answer() == "ready"

    def close(self) -> None:
        """End the server."""
        self._server.communicate(timeout=LONG)

    def _answer(self) -> Any:
        assert self._server.stdout is not None
        return json.loads(self._server.stdout.readline())

    def _ask(self, request: Mapping[str, Any] | Request) -> Any:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return self._answer()

    def begin(self, folder: Path, argv: Sequence[str], **options: Any) -> Run:
        """Begin a run, and return without waiting for it."""
        for name in ("stages-0", "stderr-0"):
            (folder / name).unlink(missing_ok=True)
        step: Any = {"argv": list(argv), **options}
        pid = self._ask(Request(folder=str(folder), steps=[step], size=0))
        codes: list[int] = []

        def ended(*, hang: bool = False) -> int | None:
            if not codes:
                code = self._ask({"wait": pid, "hang": hang})
                codes.extend([] if code is None else [code])
            return codes[0] if codes else None

        def wait() -> int:
            code = ended(hang=True)
            assert code is not None
            return code

        return Run(pid, folder, wait, ended)

    def run(self, folder: Path, argv: Sequence[str], **options: Any) -> Ended:
        """Run to the end."""
        begun = self.begin(folder, argv, **options)
        code = begun.wait()
        return Ended(code, begun.said)

    def script(self, folder: Path, script: str) -> tuple[int, str, str]:
        """Run a program; return its exit code and what it printed on stdout and stderr. It may not hang."""
        pid, due = self._ask({"folder": str(folder), "script": script}), time.monotonic() + LONG
        while (code := self._ask({"wait": pid, "hang": False})) is None and time.monotonic() < due:
            time.sleep(0.01)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # which it may have left
        assert code is not None, "it hangs"
        out, said = ((folder / f"{name}-script").read_text(encoding="utf-8") for name in ("stdout", "stderr"))
        return code, out, said

    def run_steps(self, folder: Path, steps: Sequence[Step], size: int = 0) -> tuple[list[Ended], str]:
        """Run one after another on a disk of their own, and return how they ended, and what disk that was."""
        pid = self._ask(Request(folder=str(folder), steps=list(steps), size=size))
        assert self._ask({"wait": pid, "hang": True}) == 0
        told = json.loads((folder / "codes.json").read_text(encoding="utf-8"))
        ended = []
        for nth, code in enumerate(told["codes"]):
            said = folder / f"stderr-{nth}"
            ended.append(Ended(code, said.read_text(encoding="utf-8") if said.exists() else ""))
        return ended, told["disk"]


#: By its array and place there: how often a run has written a chunk.
Written = dict[str, int]

#: What stands before each chunk: letters, row, column, length, and a checksum of these.
HEADER = struct.Struct("<4sIII4s")


class Lying(NamedTuple):
    """Where a chunk lies."""

    name: str
    file: Path
    start: int
    stop: int


def whole_chunks(out: Path) -> Iterator[Lying]:
    """Yield the chunks of responses that are whole, also in files that are not finished; no sums of units."""
    store = out / "responses.zarr"
    for file in sorted(store.glob("recordings/*/layers/*/*/c.*")):
        if ".state-" not in file.parent.name:
            with suppress(FileNotFoundError):
                content = file.read_bytes()
                for begin in (found.start() for found in re.finditer(b"dfCh", content)):
                    _, row, column, length, _ = HEADER.unpack(content[begin : begin + HEADER.size].ljust(20))
                    start = begin + HEADER.size
                    chunk = content[start : start + length]
                    if len(chunk) == length and _checksum(chunk[:-4]) == chunk[-4:]:
                        array = file.parent.relative_to(store)
                        yield Lying(f"{array}/{row}.{column}", file, start, start + length)


def _checksum(content: bytes) -> bytes:
    return google_crc32c.value(content).to_bytes(4, "little")


def finished_chunks(out: Path) -> Written:
    """Return every chunk of responses that is whole, and how often it was written (`run_server`)."""
    chunks = list(whole_chunks(out))
    # Read last: of a chunk that another process writes meanwhile, the line is there before it is whole.
    lines = Counter(
        line for file in out.parent.glob("written.*") for line in file.read_text(encoding="utf-8").split()
    )
    return {chunk.name: lines[chunk.name] - lines[FAILED + chunk.name] for chunk in chunks}


def rewritten(before: Written, out: Path) -> list[str]:
    """Return the chunks that have been written again, or are gone."""
    now = finished_chunks(out)
    return sorted(name for name, times in before.items() if now.get(name) != times)


def leftovers(out: Path) -> list[str]:
    """Return what a run should not leave behind."""
    return sorted(
        str(path.relative_to(out))
        for path in out.rglob("*")
        if (path.name.startswith(".") and path.name != RECORD) or path.name.endswith(".partial")
    )


def assert_same_results(out: Path, expected: Path, *, rtol: float = 0.0) -> None:
    """Assert that two folders hold the same results, to the bit unless a tolerance is given.

    Every variable and coordinate, every attribute but the command and the versions; the predictions.
    """
    names = sorted(path.name for path in expected.glob("*.nc"))
    assert names
    assert sorted(path.name for path in out.glob("*.nc")) == names
    for name in names:
        with (
            xr.open_dataset(out / name, engine="h5netcdf") as one,
            xr.open_dataset(expected / name, engine="h5netcdf") as other,
        ):
            assert one.sizes == other.sizes, name
            assert sorted(map(str, one.variables)) == sorted(map(str, other.variables)), name
            for variable in other.variables:
                _assert_equal(one[variable], other[variable], rtol, f"{name}: {variable}")
            if not rtol:
                assert _attributes(one) == _attributes(other), name
    if not rtol:
        for path in expected.glob("*.csv"):
            assert (out / path.name).read_bytes() == path.read_bytes()


def _assert_equal(one: xr.DataArray, other: xr.DataArray, rtol: float, name: str) -> None:
    assert one.dims == other.dims, name
    assert one.dtype == other.dtype, name
    if rtol and np.issubdtype(other.dtype, np.floating):
        scale = float(np.nanmax(np.abs(other.values), initial=0.0))
        np.testing.assert_allclose(one.values, other.values, rtol=rtol, atol=rtol * scale, err_msg=name)
    elif other.dtype.kind in "fiub":
        assert one.values.tobytes() == other.values.tobytes(), name
    else:
        np.testing.assert_array_equal(one.values, other.values, err_msg=name)
    assert rtol or {**one.attrs} == {**other.attrs}, name


def _attributes(result: xr.Dataset) -> dict[str, Any]:
    facts = json.loads(result.attrs["provenance"])
    attributes = {name: value for name, value in result.attrs.items() if name != "checksum"}
    attributes["provenance"] = {name: value for name, value in facts.items() if name not in APART}
    return attributes
