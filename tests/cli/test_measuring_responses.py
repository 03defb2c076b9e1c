"""`differentia measure-responses`: recorded responses in a file get the folder that images get."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import xarray as xr

import differentia as dif
from differentia.cli import main
from differentia.cli.commands import app
from differentia.experiment.options import MeasureOptions
from differentia.output.unchanged import RECORD

pytestmark = pytest.mark.usefixtures("no_pictures")

Capture = pytest.CaptureFixture[str]

RNG = np.random.default_rng(0)
RATES = {
    name: {"V1": RNG.gamma(2.0, scale, (12, 30)), "LM": RNG.gamma(2.0, scale, (12, 20))}
    for name, scale in {"movie": 1.0, "spontaneous": 0.5}.items()
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with two sets of responses of two populations."""
    named: dict[str, Any] = {
        f"{name}/{area}": array for name, by_area in RATES.items() for area, array in by_area.items()
    }
    np.savez(tmp_path / "rates.npz", **named)
    return tmp_path / "rates.npz"


def without_facts(path: Path) -> xr.Dataset:
    """Return a folder's result without what says how it was made."""
    result = dif.load_result(path / "result.nc")
    return result.assign_attrs(provenance="{}")


@pytest.mark.pictures
def test_a_folder_of_everything(
    file: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Result, figures, report and the experiment, which names the file wherever it is read."""
    monkeypatch.chdir(tmp_path)
    options = ["--normalize", "unit", "--reference", "spontaneous", "--out", "rates"]
    assert main(["measure-responses", "rates.npz", *options]) == 0
    shown = capsys.readouterr()
    out = tmp_path / "rates"
    written = {"experiment.toml", "result.nc", "figures", "report.html"}
    assert {path.name for path in out.iterdir()} == {*written, RECORD}
    figures = {path.stem for path in (out / "figures").iterdir()}
    assert figures == {"differentiation", "relative", "contrast", "distances"}
    expected = dif.measure_responses(RATES, normalize="unit", reference="spontaneous")
    xr.testing.assert_identical(without_facts(out), expected.assign_attrs(provenance="{}"))
    for value in expected["differentiation"].sel(draw=0).values.ravel():
        assert f"{value:.2f}" in shown.out
    facts = json.loads(dif.load_result(out / "result.nc").attrs["provenance"])
    assert facts["responses"] == "rates.npz"
    assert facts["command"] == "differentia measure-responses rates.npz " + " ".join(options)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Differentiation of responses" in page
    assert tomllib.loads((out / "experiment.toml").read_text())["responses"] == {"file": str(file)}


def test_every_option(file: Path, tmp_path: Path, capsys: Capture) -> None:
    """What is given is measured with, written down, and repeated; numbers go to stdout as JSON."""
    given = {
        "n_units": (5, 10),
        "draws": 4,
        "normalize": "response",
        "metric": "cosine",
        "reference": "spontaneous",
        "confidence": 0.9,
        "pool": 15,
        "seed": 3,
    }
    assert {*given} == {field.name for field in fields(MeasureOptions)} | {"pool", "seed"}
    texts = {**given, "n_units": "5,10"}
    options = [part for name, value in texts.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    out = tmp_path / "out"
    arguments = [*options, "--memory", "1GB", "--json", "--out", str(out)]
    assert main(["measure-responses", str(file), *arguments]) == 0
    expected = dif.measure_responses(RATES, **given)  # type: ignore[arg-type]
    xr.testing.assert_identical(without_facts(out), expected.assign_attrs(provenance="{}"))
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == expected["differentiation"].isel(draw=0).size
    written = tomllib.loads((out / "experiment.toml").read_text())
    assert written["measure"] == {**given, "n_units": [5, 10]}
    assert main(["run", str(out), "--out", str(tmp_path / "again")]) == 0
    xr.testing.assert_identical(without_facts(tmp_path / "again"), without_facts(out))
    assert tomllib.loads((tmp_path / "again" / "experiment.toml").read_text()) == written
    command = typer.main.get_command(app).commands["measure-responses"]  # type: ignore[attr-defined]
    others = {"file", "out", "figures", "figure_width", "dpi", "memory", "as_json", "quiet", "debug"}
    others |= {"workers", "scheduler"}
    assert {parameter.name for parameter in command.params} == {*given, *others}


#: What is given beside the file, and the line that it leads to.
WRONG = [
    (["{0}/gone.npz", "--out", "{0}/o"], "{0}/gone.npz: no such file; expected a file of responses"),
    (["{0}/rates.npz"], "--out is missing; name the folder to write to: --out DIR"),
    (["{0}/rates.npz", "--out", "{0}/rates.npz"], "--out {0}/rates.npz: {0}/rates.npz is a file; name a"),
    (
        ["{0}/rates.npz", "--out", "{0}/o", "--pool", "5"],
        "pool (--pool) is what n_units (--n-units) are drawn from; give both, or leave pool out",
    ),
    (
        ["{0}/rates.npz", "--out", "{0}/o", "--n-units", "10", "--pool", "5"],
        "pool is 5, less than the largest n_units, 10; raise pool (--pool) or leave it out",
    ),
    (
        ["{0}/rates.npz", "--out", "{0}/o", "--reference", "spont"],
        "unknown set for reference (--reference) 'spont'. Did you mean 'spontaneous'?",
    ),
    (
        ["{0}/rates.npz", "--out", "{0}/o", "--metric", "cosin"],
        "--metric: unknown metric 'cosin'. Did you mean 'cosine'?",
    ),
    (
        ["{0}/nan.npz", "--out", "{0}/o"],
        "{0}/nan.npz: set 'movie', population 'all' holds nan in response 2, unit 1; expected finite",
    ),
    (["{0}/rates.npz", "--out", "{0}/o", "--layers", "V1"], "unknown option '--layers'"),
    ([], "FILE is missing"),
]


def test_wrong_input_is_one_line(file: Path, tmp_path: Path, capsys: Capture) -> None:
    """Exit code 2, nothing on stdout, and no folder that was not there."""
    values = np.ones((4, 3))
    values[2, 1] = np.nan
    np.savez(tmp_path / "nan.npz", movie=values)
    for arguments, line in WRONG:
        assert main(["measure-responses", *(one.format(tmp_path) for one in arguments)]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        (only,) = [text for text in shown.err.splitlines() if text.strip()]
        assert only.startswith(f"differentia: {line.format(tmp_path)}")
        assert not (tmp_path / "o").exists()
    wrong = ["measure-responses", str(tmp_path / "nan.npz"), "--out", str(tmp_path / "w"), "--workers", "1"]
    assert main(wrong) == 2
    assert f"{tmp_path}/nan.npz: set 'movie'" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
    (tmp_path / "e.toml").write_text('out = "o"\n[responses]\nfile = "nan.npz"\n')
    assert main(["run", str(tmp_path / "e.toml")]) == 2
    assert f"e.toml: {tmp_path}/nan.npz: set 'movie'" in capsys.readouterr().err
    (tmp_path / "o").mkdir()
    for arguments, _ in WRONG:
        assert main(["measure-responses", *(one.format(tmp_path) for one in arguments)]) == 2
        assert [*(tmp_path / "o").iterdir()] == []


@pytest.mark.slow
def test_a_wrong_file_and_workers(tmp_path: Path, capsys: Capture) -> None:
    """They leave no folder behind either."""
    pytest.importorskip("distributed")
    np.savez(tmp_path / "nan.npz", movie=np.full((4, 3), np.nan))
    given = [str(tmp_path / "nan.npz"), "--workers", "1", "--out", str(tmp_path / "o")]
    assert main(["measure-responses", *given]) == 2
    assert "nan.npz: set 'movie', population 'all' holds nan" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["nan.npz"]


def test_options_of_recording_are_refused(file: Path, tmp_path: Path, capsys: Capture) -> None:
    """By `run` too, whose experiment says that nothing is recorded."""
    (tmp_path / "e.toml").write_text('out = "o"\n[responses]\nfile = "rates.npz"\n')
    for option in ("--fresh", "--no-store"):
        assert main(["run", str(tmp_path / "e.toml"), option]) == 2
        told = "e.toml: nothing is recorded of responses that are in a file"
        assert f"{told}; leave {option} out\n" in capsys.readouterr().err
