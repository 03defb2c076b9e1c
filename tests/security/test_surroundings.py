"""The command line where something is closed, full, missing or set oddly around it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.tries import Rows

import differentia as dif

ROWS = Rows("Odd surroundings")

DRAW = (
    f"{sys.executable} -m differentia measure digits --set a=noise:4 --set b=noise:5 --n-units 20 --draws 1 "
    "--layers input,predictions --no-views --no-store --out out --json"
)
MEASURE = f"{DRAW} --figures none"
UMLAUT, DRAW_UMLAUT = (command.replace("a=noise", "\u00fc=noise") for command in (MEASURE, DRAW))


class Around(NamedTuple):
    """How the command is started, and how it ends: its exit code, and what is said on stderr."""

    how: str
    code: int = 0
    said: str = ""
    numbers: bool = True


def environment(command: str = MEASURE, **variables: str) -> Around:
    """Return a command with variables in its environment."""
    return Around(" ".join(f"{name}={value}" for name, value in variables.items()) + f" {command}")


STREAMS = {
    "stdout is closed": Around(f"{MEASURE} >&-", numbers=False),
    "stdout is full": Around(
        f"{MEASURE} >/dev/full", 1, "standard output can't be written to", numbers=False
    ),
    "nobody reads": Around(f"set -o pipefail; {MEASURE} | true", 141, numbers=False),
    "stderr is closed": Around(f"{MEASURE} 2>&-"),
    "stderr is full": Around(f"{MEASURE} 2>/dev/full"),
    "stdin is closed": Around(f"{MEASURE} <&-"),
    "all are closed": Around(f"{MEASURE} <&- >&- 2>&-", numbers=False),
    "SIGPIPE is ignored": Around(f"trap '' PIPE; {MEASURE}"),
}

TEXTS = {
    "ASCII": Around(f"PYTHONIOENCODING=ascii {UMLAUT}"),
    "Latin-1": Around(f"PYTHONIOENCODING=latin-1 {MEASURE}"),
    "the C locale": Around(f"LC_ALL=C {UMLAUT}"),
    "the POSIX locale": Around(f"LC_ALL=POSIX {UMLAUT}"),
    "a locale that is not there": Around(f"LC_ALL=xx_XX.UTF-8 {MEASURE}"),
    "no locale": Around(f"unset LC_ALL LANG LC_CTYPE; {UMLAUT}"),
    "Turkish": environment(LANG="tr_TR.UTF-8"),
    "an encoding that is not there": Around(f"LC_ALL=C.UTF-9 PYTHONIOENCODING=utf-8:strict {UMLAUT}"),
    "no UTF-8": Around(
        f"LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {UMLAUT}", 2, "is no text in this locale", numbers=False
    ),
    "a dumb terminal": environment(TERM="dumb"),
    "no terminal": Around(f"unset TERM; {MEASURE}"),
    "no colours": environment(NO_COLOR="1"),
    "one column": environment(COLUMNS="1"),
    "no columns": environment(COLUMNS="0"),
    "columns that are no number": environment(COLUMNS="wide", LINES="-1"),
}

FOLDERS = {
    "a home that is not there": environment(DRAW, HOME="/proc/nowhere"),
    "a home that is a device": environment(DRAW, HOME="/dev/null"),
    "no home": Around(f"unset HOME; {DRAW}"),
    "caches that can't be written": environment(
        DRAW, XDG_CACHE_HOME="/dev/null", XDG_CONFIG_HOME="/dev/null"
    ),
    "caches of others that can't be written": environment(
        DRAW, MPLCONFIGDIR="/dev/null/m", KERAS_HOME="/dev/null/k", TORCH_HOME="/dev/null/t"
    ),
    "a folder for temporary files that is not there": environment(DRAW, TMPDIR="/proc/nowhere"),
    "a working folder that is gone": Around(
        f"mkdir gone; cd gone; rmdir ../gone; {DRAW}", 2, "working folder can't be used", numbers=False
    ),
    "umask 077": Around(f"umask 077; {MEASURE}"),
    "umask 0": Around(f"umask 0; {MEASURE}"),
}

PYTHONS = {
    "32 files": Around(f"ulimit -n 32; {MEASURE}"),
    "an address space of 8 GB": Around(f"ulimit -v 8000000; {MEASURE}"),
    "one core": Around(f"taskset -c 0 {MEASURE}"),
    "no core dumps, small stacks": Around(f"ulimit -c 0 -s 1024; {MEASURE}"),
    "niceness": Around(f"nice -n 19 {MEASURE}"),
    "optimised": environment(PYTHONOPTIMIZE="2"),
    "no bytecode": environment(PYTHONDONTWRITEBYTECODE="1"),
    "other hashes": environment(PYTHONHASHSEED="7"),
    "an odd number of threads": environment(OMP_NUM_THREADS="3"),
    "no number of threads": environment(OMP_NUM_THREADS="many"),
    "a backend of Keras that is not there": environment(KERAS_BACKEND="none"),
    "a backend of Matplotlib that is not there": Around(
        f"MPLBACKEND=none {DRAW}", 1, "backend: 'none' is not a valid value", numbers=False
    ),
    "a time zone that is not there": environment(TZ="Nowhere/Else"),
    "a time zone far east": environment(TZ="EAST-25:59:59"),
    "warnings are errors": environment(PYTHONWARNINGS="error"),
    "a GPU that is not there": environment(CUDA_VISIBLE_DEVICES="99"),
    "a proxy that is none": environment(http_proxy="none:", https_proxy="none:", NO_PROXY=""),
    "a job of a cluster": environment(SLURM_JOB_ID="1", SLURM_CPUS_PER_TASK="many", SLURM_PROCID="-1"),
    "no module of the working folder": environment(PYTHONSAFEPATH="1"),
    "no unbuffered output": environment(PYTHONUNBUFFERED="1"),
    "faults are shown": environment(PYTHONFAULTHANDLER="1"),
    "in the mode for developers": environment(PYTHONDEVMODE="1"),
}


def values_of(printed: bytes) -> list[tuple[str, float]]:
    """Return the layers and numbers of a run that printed JSON."""
    found = [(row["layer"], row["differentiation"]) for row in json.loads(printed)]
    assert len(found) == 4
    return found


@cache
def plain_values() -> list[tuple[str, float]]:
    """Return what the command prints where nothing around is odd."""
    result = dif.measure(
        "digits", {"a": "noise:4", "b": "noise:5"}, n_units=20, draws=1, layers=["input", "predictions"]
    )
    return [(row.layer, row.differentiation) for row in dif.to_dataframe(result).itertuples()]


def is_of_the_command(line: str) -> bool:
    """Return whether a line is the command's own, of the shell, or of OpenMP about its setting."""
    own = ("differentia: ", "Written to ", "Open ", "bash: ", "shell-init: ", "libgomp: ")
    return not line or line.startswith(own)


def check(around: Around, folder: Path, tried: Callable[..., None]) -> None:
    """Run the command; its numbers are those of a plain run, and nothing but its lines is on stderr."""
    plain = {name: value for name, value in os.environ.items() if name != "DIFFERENTIA_TRACEBACKS"}
    done = subprocess.run(
        ["bash", "-c", around.how], capture_output=True, cwd=folder, env=plain, timeout=240, check=False
    )
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == around.code, said
    assert around.said in said
    assert [line for line in said.splitlines() if not is_of_the_command(line)] == []
    if around.numbers:
        assert values_of(done.stdout) == plain_values()
    if around.code in (0, 1, 141):
        assert (folder / "out" / "result.nc").is_file()
    tried()


@ROWS.row("Much of what is below at once", "The same numbers")
def test_at_once(tmp_path: Path, tried: Callable[..., None]) -> None:
    """No home, an ASCII locale, few files, a strict umask, no time zone, closed stderr."""
    odd = "HOME=/dev/null LC_ALL=C TZ=Nowhere/Else COLUMNS=0 TERM=dumb TMPDIR=/proc/nowhere"
    check(Around(f"umask 077; ulimit -n 64; {odd} {DRAW_UMLAUT} <&-"), tmp_path, tried)


@pytest.mark.soak
@pytest.mark.parametrize("name", list(STREAMS))
@ROWS.row(
    "Streams that are closed, full, or not read", "All is written; the exit code tells what was not shown"
)
def test_streams(name: str, tmp_path: Path, tried: Callable[..., None]) -> None:
    """Files that are opened do not take the place of a stream that is closed."""
    check(STREAMS[name], tmp_path, tried)


@pytest.mark.soak
@pytest.mark.parametrize("name", list(TEXTS))
@ROWS.row(
    "Locales, encodings and terminals of any kind", "The same numbers, or what to set in the environment"
)
def test_texts(name: str, tmp_path: Path, tried: Callable[..., None]) -> None:
    """What an encoding lacks is escaped."""
    check(TEXTS[name], tmp_path, tried)


@pytest.mark.soak
@pytest.mark.parametrize("name", list(FOLDERS))
@ROWS.row(
    "No home, no caches, no folder for temporary files or to work in, any umask",
    "The same numbers; without a working folder, one line",
)
def test_folders(name: str, tmp_path: Path, tried: Callable[..., None]) -> None:
    """Nothing is needed of these, and other libraries' advice is not shown."""
    check(FOLDERS[name], tmp_path, tried)


@pytest.mark.soak
@pytest.mark.parametrize("name", list(PYTHONS))
@ROWS.row(
    "Limits, and settings of Python, PyTorch, Keras and Matplotlib",
    "The same numbers; where Matplotlib refuses its setting, all but the figures, and one line",
)
def test_pythons(name: str, tmp_path: Path, tried: Callable[..., None]) -> None:
    """A command of which no setting is its own."""
    check(PYTHONS[name], tmp_path, tried)
