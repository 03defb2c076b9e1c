"""Where the command line begins and ends: one line for warnings and errors, exit codes, quick help."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import numpy as np
import PIL.Image
import pytest

import differentia as dif
from differentia.cli import main

pytestmark = pytest.mark.usefixtures("no_pictures")

FAST = ["--layers", "input,block1_pool,predictions", "--n-units", "50,1000", "--draws", "3"]


@pytest.mark.pictures
def test_warnings_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A layer without a value is told in one line, and shown as nan."""
    np.save(folder / "black.npy", np.zeros((3, 8, 8), np.uint8))
    arguments = ["measure", "digits", "--set", f"black={folder}/black.npy", "--set", "noise=noise:3", *FAST]
    assert main([*arguments, "--out", str(folder / "out")]) == 0
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("differentia: warning:")]
    assert len(lines) == 2
    assert "images of one set have the same content, and no distance from each other: set 'black'" in lines[0]
    assert "layer 'input', set 'black': it gives 0 in every unit" in lines[1]
    assert "nan" in captured.out


def test_debug_shows_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--debug adds the traceback."""
    arguments = ["measure", "digits", "--set", f"a={folder}/nowhere", "--out", str(folder / "out"), "--debug"]
    assert main(arguments) == 2
    assert "Traceback" in capsys.readouterr().err


def test_names_of_files_can_not_steer_a_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In errors, with --debug too, in warnings, in JSON and on a terminal; a pipe gets rows as they are."""
    made = folder / "a\x1b[31m"
    made.mkdir()
    (made / "b.\x1b]0;zz\x07").touch()
    assert main(["measure", "digits", "--set", f"a={made}", "--out", str(folder / "o"), "--debug"]) == 2
    told = capsys.readouterr().err
    assert "it holds .\\u001b]0;zz\\u0007\n" in told
    assert not set(told) & set("\x1b\x07")
    np.save(made / "c.npy", np.zeros((2, 8, 8)))
    (made / "d\x9b.png").write_bytes(b"no image")
    PIL.Image.effect_noise((8, 8), 99).save(made / "e\x9b.png")
    select = ["select", "digits", str(made), "--class", "1", "--min-probability", "0", "--skip-unreadable"]
    assert main([*select, "--dry-run", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["images"][0]["name"] == "e\x9b.png"
    assert "d\\u009b.png: can't be read" in shown.err
    assert not set(shown.out + shown.err) & set("\x1b\x9b")
    assert main([*select, "--dry-run"]) == 0
    assert "e\x9b.png" in capsys.readouterr().out


NAN_NETWORK = """
import torch
class Bad(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.act = torch.nn.ReLU()
    def forward(self, x):
        return self.act(x / 0 - 1 / torch.zeros(1))
class Crashes(torch.nn.Module):
    def forward(self, x):
        raise KeyError("a bug of the user's")
"""


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Bad", "set 'cats', layer 'act', image '0.png':"),
        ("Crashes", "net_Crashes:Crashes: the forward pass of (1, 3, 8, 8) failed: KeyError:"),
    ],
)
def test_failed_work_is_exit_code_1(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, line: str
) -> None:
    """What was given was fine but the work failed: 1, and one line."""
    (folder / f"net_{name}.py").write_text(NAN_NETWORK)
    monkeypatch.chdir(folder)
    options = ["--preprocess", "unit", "--input-size", "8x8x3", "--set", "cats=cats", "--out", "out"]
    assert main(["measure", f"net_{name}:{name}", *options]) == 1
    told = [text for text in capsys.readouterr().err.splitlines() if text.strip()]
    assert len(told) == 1
    assert told[0].startswith(f"differentia: {line}")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "differentia", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "100"},
    )


def test_help_imports_nothing_heavy() -> None:
    """``--help`` loads neither PyTorch nor Keras nor xarray; every command and option has a help text."""
    script = (
        "import sys; from differentia.cli import main; main(['--help']);"
        "heavy = {'torch', 'keras', 'xarray', 'numpy', 'matplotlib', 'scipy'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "measure" in done.stdout
    assert "demo" in done.stdout
    shown = run("measure", "--help").stdout
    for option in (
        "--set",
        "--n-units",
        "--draws",
        "--units",
        "--pool",
        "--layers",
        "--normalize",
        "--metric",
    ):
        assert option in shown
    assert run().stdout == run("--help").stdout


def test_an_error_points_to_the_help_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Which lists the options; that of the program lists commands only."""
    commands = {"differentia noise": ["noise", "n", "--count", "0"], "differentia": ["--cuont"]}
    for command, given in commands.items():
        assert main(given) == 2
        assert capsys.readouterr().err.endswith(f"; see {command} --help\n")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The installed version, whatever stands behind."""
    for more in ([], ["demo"]):
        assert main(["--version", *more]) == 0
        assert capsys.readouterr().out == f"differentia {dif.__version__}\n"


def full_disk() -> TextIO:
    return open("/dev/full", "w")


def nobody_reads() -> TextIO:
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w")


@pytest.mark.skipif(sys.platform != "linux", reason="only there is such a device")
@pytest.mark.parametrize(
    ("stream", "code", "said"),
    [
        (full_disk, 1, f"standard output can't be written to: {os.strerror(errno.ENOSPC)}\n"),
        (nobody_reads, 141, ""),
    ],
)
@pytest.mark.parametrize("given", [["--version"], ["layers", "digits"], ["layers", "digits", "--json"]])
def test_output_that_can_not_be_written(
    given: list[str],
    stream: Callable[[], TextIO],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line, or none where nobody reads on; Python, which flushes it as it ends, finds nothing to say."""
    with stream() as shut:
        monkeypatch.setattr("sys.stdout", shut)
        monkeypatch.setattr("sys.__stdout__", shut)
        assert main(given) == code
    assert capsys.readouterr().err == (f"differentia: {said}" if said else "")
