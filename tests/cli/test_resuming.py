"""Commands that go on where an earlier run stopped: what they say, and what they refuse beforehand."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from helpers.runs import Killed

import differentia as dif
from differentia.cli import main
from differentia.cli.output import told_by_the_library
from differentia.networks.layers import select_layers
from differentia.recording.store.disk import DiskStore
from differentia.system.machine import written_size
from differentia.system.progress import shown_progress

pytestmark = pytest.mark.usefixtures("no_pictures")

Capture = pytest.CaptureFixture[str]

FAST = ["--layers", "input,block1_pool,predictions", "--n-units", "50", "--draws", "2", "--no-views"]
SETS = ["--set", "noise=noise:5", "--set", "threes=digits:4?digit=3"]
MEASURE = ["measure", "digits", *SETS, *FAST]
REUSED = "all that is needed of {} images is recorded already"


def run(capsys: Capture, *arguments: str | Path, status: int = 0) -> tuple[str, str]:
    """Run a command, and return what it prints on stdout and on stderr."""
    assert main(list(map(str, arguments))) == status
    captured = capsys.readouterr()
    return captured.out, captured.err


def refused(capsys: Capture, *arguments: str | Path) -> str:
    """Run a command that is wrong, and return the one line that it says."""
    out, err = run(capsys, *arguments, status=2)
    assert out == ""
    assert err.startswith("differentia: ")
    assert err.count("\n") == 1
    return err


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network can be loaded."""
    monkeypatch.setattr("differentia.networks.load.load_network", None)


@pytest.mark.slow
def test_demo_twice(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time it says what is reused, on stderr; stdout is JSON, the same as the first time."""
    monkeypatch.setattr("differentia.cli.commands.DEMO_N_UNITS", (50,))  # other tests run all of it
    monkeypatch.setattr("differentia.cli.commands.DEMO_LAYERS", ("input", "block1_relu2", "block3_relu2"))
    first, err = run(capsys, "demo", "--out", tmp_path / "demo", "--json")
    assert "recorded already" not in err
    second, err = run(capsys, "demo", "--out", tmp_path / "demo", "--json")
    assert f"differentia: {tmp_path}/demo/responses.zarr: {REUSED.format(129)}\n" in err
    assert json.loads(second) == json.loads(first)
    _, err = run(capsys, "demo", "--out", tmp_path / "demo", "--json", "--fresh")
    assert "recorded already" not in err


@pytest.mark.slow
def test_more_of_everything(tmp_path: Path, capsys: Capture) -> None:
    """A set more: how many images are new. More units, another layer: how many are partly there."""
    out = ["--out", str(tmp_path / "m")]
    _, err = run(capsys, *MEASURE, *out)
    assert "recorded already" not in err
    assert "responses.zarr/" in err.splitlines()[-2], "it is named among what was written"
    _, err = run(capsys, *MEASURE, "--set", "all=digits:6", *out)
    assert f"{REUSED.format(9)}; 6 images are new\n" in err
    for more in (["--n-units", "50,80"], ["--layers", "input,block2_pool"]):
        _, err = run(capsys, *MEASURE, *more, *out)
        assert "/m/responses.zarr: 9 images are partly recorded already, and what is missing is " in err
        assert "all that is needed" not in err
    out_table, err = run(capsys, *MEASURE, *out)
    assert REUSED.format(9) + "\n" in err
    assert "recorded" not in out_table
    _, err = run(capsys, *MEASURE, "--fresh", *out)
    assert "recorded already" not in err


def test_an_interrupted_run_goes_on(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command again gives the result of a run that nothing disturbed."""
    add_batch, left = DiskStore.add_batch, [2]

    def stopping(self: DiskStore, *given: object) -> object:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return add_batch(self, *given)  # type: ignore[arg-type]

    arguments = [*MEASURE, "--batch-size", "3", "--out"]
    with monkeypatch.context() as patched:
        patched.setattr(DiskStore, "add_batch", stopping)
        with pytest.raises(Killed):
            main([*arguments, str(tmp_path / "m")])
    capsys.readouterr()
    _, err = run(capsys, *arguments, tmp_path / "m")
    assert f"{REUSED.format(5)}; 4 images are new\n" in err
    run(capsys, *arguments, tmp_path / "undisturbed", "--no-store")
    first, second = (dif.load_result(tmp_path / name / "result.nc") for name in ("m", "undisturbed"))
    np.testing.assert_array_equal(first["differentiation"], second["differentiation"])


def test_another_network_in_the_same_folder(tmp_path: Path, capsys: Capture) -> None:
    """A warning says what changed; nothing is reused, and what was there is still there afterwards."""
    run(capsys, *MEASURE, "--out", tmp_path / "m")
    other = ["measure", "torch.nn:ReLU", "--preprocess", "unit", "--input-size", "32x32x1", *SETS]
    _, err = run(capsys, *other, "--n-units", "50", "--no-views", "--out", tmp_path / "m")
    assert "differentia: warning: " in err
    assert "responses recorded with another network (" in err
    assert "--fresh removes them" in err
    assert "recorded already" not in err
    _, err = run(capsys, *MEASURE, "--out", tmp_path / "m")
    assert REUSED.format(9) in err
    assert "another network" not in err


def test_another_batch_size_is_not_followed(tmp_path: Path, capsys: Capture) -> None:
    """It is said so, and what to do about it; with --fresh it is."""
    run(capsys, *MEASURE, "--batch-size", "3", "--out", tmp_path / "m")
    _, err = run(capsys, *MEASURE, "--batch-size", "4", "--out", tmp_path / "m")
    assert "goes on in batches of 3 images" in err
    assert "to change --batch-size, use --fresh" in err
    _, err = run(capsys, *MEASURE, "--batch-size", "4", "--out", tmp_path / "m", "--fresh")
    assert "in batches of" not in err


def test_run_goes_on_too(tmp_path: Path, capsys: Capture) -> None:
    """An experiment file, into the folder that measure wrote and into another, with the same options."""
    first, _ = run(capsys, *MEASURE, "--out", tmp_path / "m", "--json")
    file = tmp_path / "m" / "experiment.toml"
    again, err = run(capsys, "run", file, "--out", tmp_path / "m", "--json", "--memory", "1GB")
    assert REUSED.format(9) in err
    assert json.loads(again) == json.loads(first)
    _, err = run(capsys, "run", file, "--out", tmp_path / "other", "--no-store")
    assert not (tmp_path / "other" / "responses.zarr").exists()
    _, err = run(capsys, "run", file, "--out", tmp_path / "m", "--fresh")
    assert "recorded already" not in err


def test_no_store(tmp_path: Path, capsys: Capture) -> None:
    """Nothing but the results is written; with a store there is one."""
    _, err = run(capsys, *MEASURE, "--out", tmp_path / "m", "--no-store")
    assert "responses.zarr" not in err
    assert {path.name for path in (tmp_path / "m").iterdir()} == {"experiment.toml", "result.nc"}
    run(capsys, *MEASURE, "--out", tmp_path / "m")
    assert (tmp_path / "m" / "responses.zarr" / "zarr.json").is_file()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--fresh", "--no-store"], "--fresh and --no-store do not go together"),
        (
            ["--memory", "lots"],
            "--memory: the size of memory is 'lots'; expected bytes, or a number with a",
        ),
        (["--memory", "0"], "--memory: the size of memory is '0'"),
        (["--memory", "-1GB"], "--memory: the size of memory is '-1GB'"),
        (["--memory", ""], "--memory: the size of memory is ''"),
        (["--memory", "4 elephants"], "--memory: the size of memory is '4 elephants'"),
    ],
)
def test_wrong_options_are_told_first(
    options: list[str], line: str, tmp_path: Path, capsys: Capture, no_network: None
) -> None:
    """Before a network is loaded or anything is written: exit code 2, one line."""
    assert line in refused(capsys, *MEASURE, *options, "--out", tmp_path / "m")
    file = tmp_path / "e.toml"
    file.write_text('[network]\nspec = "digits"\n[sets]\na = "noise:3"\n')
    assert line in refused(capsys, "run", file, *options, "--out", tmp_path / "m")
    assert {path.name for path in tmp_path.iterdir()} == {"e.toml"}


def test_a_folder_that_is_no_store_is_told_first(tmp_path: Path, capsys: Capture, no_network: None) -> None:
    """Before a network is loaded; it is left alone, also by --fresh. --no-store does not mind it."""
    mine = tmp_path / "m" / "responses.zarr" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("keep me")
    for options in ([], ["--fresh"]):
        line = refused(capsys, *MEASURE, *options, "--out", tmp_path / "m")
        assert f"{mine.parent}: already exists and is no store of responses" in line
    assert mine.read_text() == "keep me"
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["responses.zarr"]
    assert main([*MEASURE, "--no-store", "--out", str(tmp_path / "m")]) == 1, "the network is needed"


def test_too_little_memory(tmp_path: Path, capsys: Capture) -> None:
    """The line says how much is needed, how much there is, and the ways out, which lead out."""
    few = ["--draws", "1", "--no-views"]
    many = ["measure", "digits", "--set", "noise=noise:70", "--n-units", "2000", *few, "--out"]
    line = refused(capsys, *many, tmp_path / "m", "--memory", "1MB", "--no-store")
    layers = select_layers(dif.load_network("digits").layers, None)
    size = 4 * sum(min(2000, layer.size) for layer in layers)
    assert f"the responses of 31 layers to 70 images take {written_size(size * 70)}, " in line
    assert "more than the 1 MB to spare (--memory)" in line
    assert "fewer --n-units than 2,000, fewer --layers, or a store on disk" in line
    line = refused(capsys, *many, tmp_path / "m", "--memory", "1MB", "--batch-size", "32")
    assert f"the responses of 31 layers to 64 images at once take {written_size(size * 64)}, " in line
    assert line.endswith(
        "fewer --n-units than 2,000, fewer --layers, or a smaller --batch-size with --fresh\n"
    )
    run(capsys, *many, tmp_path / "m", "--memory", "1MB", "--batch-size", "2", "--fresh")
    run(capsys, *many, tmp_path / "m", "--memory", "1MB", "--n-units", "10")
    run(capsys, *many, tmp_path / "n", "--memory", "1MB")  # in smaller batches


def test_lines_stand_above_the_progress_bar(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """On a terminal what the library tells begins a line of its own, and the bar is drawn again below it."""
    for name, value in {"TERM": "xterm", "FORCE_COLOR": "1", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    with shown_progress(True) as progress, told_by_the_library():
        progress(16, 380, "recording noise")
        logging.getLogger("differentia.recording.cost").info("recording 356 more images")
        logging.getLogger("other").warning("nothing of ours")
    shown = capsys.readouterr().err
    before, told, after = shown.partition("differentia: recording 356 more images\n")
    assert told
    assert before.endswith("\x1b[2K"), "the bar is cleared from its line"
    assert "recording noise" in after
    assert "nothing of ours" not in shown
