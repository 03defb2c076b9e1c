"""`differentia neurons`: sessions in NWB files get the folders that images get, and a page of all of them."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
import xarray as xr
from helpers import run_server
from helpers.malformed_nwb import MALFORMED
from helpers.sessions import CONDITIONS, write_session

import differentia as dif
from differentia.cli import main
from differentia.cli.commands import app
from differentia.experiment.options import MeasureOptions
from differentia.neurons.options import RecordingOptions
from differentia.output.unchanged import RECORD

pytestmark = pytest.mark.usefixtures("no_pictures")

Capture = pytest.CaptureFixture[str]

BY = ["--by", "stimulus_name"]
STATES = [*BY, "--states", "rate", "--state", "0.5", "--bin", "0.1", "--normalize", "unit"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three sessions; the last has an area less, and another in its stead."""
    folder = tmp_path_factory.mktemp("sessions")
    areas = [("VISp", "VISl"), ("VISp", "VISl"), ("VISl", "LGd")]
    return [write_session(folder / f"mouse{at}.nwb", at, areas=of) for at, of in enumerate(areas)]


def without_facts(path: Path) -> xr.Dataset:
    """Return a folder's result without what says how it was made."""
    return dif.load_result(path / "result.nc").assign_attrs(provenance="{}")


def told(capsys: Capture) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [line for line in captured.err.splitlines() if line.strip()]


@pytest.mark.pictures
def test_a_folder_of_everything(
    files: list[Path], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Result, figures, report, which units were used, and the experiment, which run repeats."""
    monkeypatch.chdir(files[0].parent)
    out = tmp_path / "out"
    options = [*BY, "--window", "0,0.5", "--normalize", "unit", "--reference", "spontaneous"]
    assert main(["neurons", files[0].name, *options, "--out", str(out)]) == 0
    shown = capsys.readouterr()
    written = {"experiment.toml", "result.nc", "figures", "report.html", "units.csv"}
    assert {path.name for path in out.iterdir()} == {*written, RECORD}
    figures = {path.stem for path in (out / "figures").iterdir()}
    assert figures == {"differentiation", "relative", "distances"}
    recording = dif.read_recording(files[0])
    responses = dif.stimulus_responses(
        recording, by="stimulus_name", window=(0, 0.5), spontaneous="spontaneous"
    )
    expected = dif.measure_responses(responses, normalize="unit", reference="spontaneous")
    xr.testing.assert_identical(without_facts(out), expected.assign_attrs(provenance="{}"))
    assert expected["image_set"].values.tolist().count("spontaneous") == 24  # 12.4 s
    facts = json.loads(dif.load_result(out / "result.nc").attrs["provenance"])
    assert facts["subject"] == recording.subject
    assert facts["command"].startswith("differentia neurons mouse0.nwb --by stimulus_name --window 0,0.5")
    units = pd.read_csv(out / "units.csv")
    assert units["location"].tolist() == recording.units["location"].tolist()
    assert units["id"].tolist() == recording.units.index.tolist()
    page = (out / "report.html").read_text(encoding="utf-8")
    assert recording.subject in page
    for sentence in facts["warnings"]:
        assert (
            sentence["kind"] != "left_out" or sentence["text"] in shown.err or "cut into" in sentence["text"]
        )
    monkeypatch.setattr(".".join(run_server.DRAWING), lambda *_, **__: {})  # the rest is of numbers
    assert main(["run", str(out), "--out", str(tmp_path / "again"), "-q"]) == 0
    xr.testing.assert_identical(without_facts(tmp_path / "again"), without_facts(out))


def test_every_option(files: list[Path], tmp_path: Path, capsys: Capture) -> None:
    """What is given reaches the experiment file; numbers go to stdout as JSON."""
    given: dict[str, Any] = {
        "by": "stimulus_name",
        "states": "spectral",
        "state": 1.0,
        "bin": 0.25,
        "length": 2.0,
        "step": 1.0,
        "overlap": 0.5,
        "taper": "hann",
        "frequencies": 2,
        "scale": "published",
        "window": [0.0, 3.0],
        "table": ["film_presentations"],
        "where": "block >= 0",
        "units_where": "quality == 'good'",
        "area": "quality",
        "spontaneous": "none",
        "bin_step": 0.25,
    }
    measured = {"n_units": [2, 3], "draws": 2, "confidence": 0.9, "seed": 3, "normalize": "none"}
    not_together = {
        "compare",
        "log",
        "alternative",
        "value",
        "detrend",
        "standardize",
        "runs",
        "allow_overlap",
        "traces",
    }
    assert {*given} | not_together == {field.name for field in fields(RecordingOptions)}
    both = given | measured
    texts = {
        name: ",".join(map(str, one)) if isinstance(one, list) else str(one) for name, one in both.items()
    }
    options = [part for name, text in texts.items() for part in (f"--{name.replace('_', '-')}", text)]
    out = tmp_path / "out"
    assert main(["neurons", str(files[0]), *options, "--json", "--out", str(out)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == dif.load_result(out / "result.nc")["differentiation"].isel(draw=0).size
    written = tomllib.loads((out / "experiment.toml").read_text())
    assert written["recording"].pop("files") == [str(files[0])]
    off = {"detrend": "none", "standardize": False, "allow_overlap": False, "log": False}
    assert written["recording"] == given | off | {"alternative": "two-sided"}
    assert written["measure"] == measured | {"metric": "euclidean"}
    command = typer.main.get_command(app).commands["neurons"]  # type: ignore[attr-defined]
    others = {"files", "out", "figures", "figure_width", "dpi", "memory", "as_json", "quiet", "debug", "pool"}
    known = {field.name for one in (RecordingOptions, MeasureOptions) for field in fields(one)} | {"seed"}
    assert {parameter.name for parameter in command.params} == known | others


def test_states(files: list[Path], tmp_path: Path, capsys: Capture) -> None:
    """Each trial has a row; the two conditions are compared by them."""
    out = tmp_path / "out"
    compared = ["--compare", ",".join(CONDITIONS)]
    assert main(["neurons", str(files[0]), *STATES, *compared, "--out", str(out)]) == 0
    trials = dif.trials(dif.read_recording(files[0]), by="stimulus_name", bin=0.1)
    expected = dif.measure_states(trials, states="rate", length=0.5, normalize="unit")
    xr.testing.assert_identical(without_facts(out), expected.assign_attrs(provenance="{}"))
    rows = pd.read_csv(out / "trials.csv")
    np.testing.assert_allclose(rows["differentiation"], dif.trial_values(expected)["differentiation"])
    assert set(rows["session"]) == {"mouse0"}
    found = dif.compare_trials({"mouse0": expected}, *CONDITIONS)
    table = pd.read_csv(out / "comparison.csv")
    assert (found["difference"] > 0).all()
    for value in found["difference"].values.ravel():
        assert np.isclose(table.select_dtypes("number"), value).any()
    few = [*STATES, *compared, "--log", "--alternative", "greater", "--out", str(tmp_path / "logs")]
    assert main(["neurons", str(files[0]), *few]) == 0
    ratios = dif.compare_trials({"mouse0": expected}, *CONDITIONS, log=True, alternative="greater")
    table = pd.read_csv(tmp_path / "logs" / "comparison.csv")
    for name in ("difference", "p"):
        value = ratios[name].values[0, 0]
        assert np.isclose(table.select_dtypes("number"), value).any()
        assert not np.isclose(found[name].values[0, 0], value)
    # A later run without states leaves none of it.
    again = [*BY, "--window", "0,1", "--table", "film_presentations", "--out", str(out), "-q"]
    assert main(["neurons", str(files[0]), *again]) == 0
    assert not (out / "trials.csv").exists()
    assert not (out / "comparison.csv").exists()


@pytest.mark.pictures
def test_several_sessions(
    files: list[Path], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its folder; means are over them, of the areas that all have, and the page links all."""
    out = tmp_path / "out"
    options = [*STATES, "--reference", "spontaneous", "--compare", ",".join(CONDITIONS), "--figures", "svg"]
    assert main(["neurons", *map(str, files), *options, "--out", str(out)]) == 0
    shown = capsys.readouterr()
    results = {path.stem: dif.load_result(out / path.stem / "result.nc") for path in files}
    alike = {name: one.sel(layer=["VISl"]) for name, one in results.items()}
    expected = dif.across(alike)
    table = pd.read_csv(out / "across.csv")
    assert table["layer"].unique().tolist() == ["VISl"]
    for name, rows in table.groupby("set"):
        at = {"set": name, "layer": "VISl"}
        for column in ("mean", "low", "high"):
            assert rows[column].item() == pytest.approx(expected[column].sel(at).item())
        for session in results:
            assert rows[session].item() == pytest.approx(
                expected["value"].sel(at | {"result": session}).item()
            )
    assert "the populations VISp, LGd, which not all of the 3 recordings have" in shown.out
    assert "of one animal (3 of 699733573)" in shown.out
    figures = {path.name for path in (out / "figures").iterdir()}
    assert figures == {"across.svg", "across_relative.svg", "trials.svg"}
    page = (out / "report.html").read_text(encoding="utf-8")
    links = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert {*links} == {
        *(f"{name}/report.html" for name in results),
        *(f"figures/{name}" for name in figures),
    }
    assert all((out / link).is_file() for link in links)
    sessions = set(pd.read_csv(out / "trials.csv")["session"])
    assert sessions == {*results}
    assert main(["report", str(out)]) == 2
    assert (
        f"{out}: holds no result.nc, but folders that do; name one of them: mouse0, mouse1"
        in capsys.readouterr().err
    )
    monkeypatch.setattr(".".join(run_server.DRAWING), lambda *_, **__: {})  # the rest is of numbers
    again = tmp_path / "again"
    assert main(["run", str(out), "--out", str(again), "--figures", "none", "-q"]) == 0
    assert (again / "across.csv").read_text() == (out / "across.csv").read_text()
    alone = tmp_path / "alone"
    assert main(["run", str(out / "mouse1"), "--out", str(alone), "--figures", "none", "-q"]) == 0
    xr.testing.assert_identical(without_facts(alone), without_facts(out / "mouse1"))


def test_sessions_of_one_name(files: list[Path], tmp_path: Path) -> None:
    """They are told apart by their folders, and a session may be called as what is written beside it."""
    places = []
    for at, name in enumerate(("a/session", "b/session", "b/figures")):
        place = tmp_path / f"{name}.nwb"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(files[at % 2].read_bytes())
        places.append(str(place))
    out = tmp_path / "out"
    arguments = [
        *BY,
        "--window",
        "0,1",
        "--reference",
        "spontaneous",
        "--figures",
        "none",
        "--json",
        "--out",
        str(out),
    ]
    assert main(["neurons", *places, *arguments]) == 0
    folders = {path.parent.name for path in out.glob("*/result.nc")}
    assert folders == {"a__session", "b__session", "b__figures"}


#: What is given, and the line that it leads to.
WRONG = [
    (["{0}/gone.nwb", *BY, "--out", "{0}/o"], "{0}/gone.nwb: no such file"),
    (["{1}", *BY], "--out is missing; name the folder to write to: --out DIR"),
    (
        ["{1}", "--out", "{0}/o"],
        "{1}: by (--by) is missing: the column that names the sets, one of stimulus_name, ",
    ),
    (["{1}", "{2}", "--by", "stimulus", "--out", "{0}/o"], "{1}: no interval has the column 'stimulus'"),
    (["{1}", "{0}/text.nwb", *BY, "--out", "{0}/o"], "{0}/text.nwb: "),
    (["{1}", "{1}", *BY, "--out", "{0}/o"], "recording.files: '{1}' is given twice; give it once"),
    (["{1}", *BY, "--window", "1", "--out", "{0}/o"], "--window: is 1; expected from when to when"),
    (["{1}", *BY, "--state", "1", "--out", "{0}/o"], "state (--state) is of states over time; leave it out"),
    (["{1}", *BY, "--states", "rate", "--out", "{0}/o"], "state (--state) is missing: how many seconds"),
    (["{1}", *STATES, "--value", "rate", "--out", "{0}/o"], "value (--value) is of responses to stimuli"),
    (["{1}", *STATES, "--step", "1", "--out", "{0}/o"], "step (--step) is of moving windows; say how long"),
    (
        ["{1}", *STATES, "--length", "1", "--compare", "a,b", "--out", "{0}/o"],
        "compare (--compare) is of trials",
    ),
    (
        ["{1}", *STATES, "--compare", "a", "--out", "{0}/o"],
        "--compare: is a; expected two sets to compare, as",
    ),
    (["{1}", *STATES, "--compare", "a,b,c", "--out", "{0}/o"], "--compare: is a,b,c; expected two sets"),
    (["{1}", *STATES, "--compare", "a,a", "--out", "{0}/o"], "--compare: is a,a; expected two sets"),
    (["{1}", *STATES, "--compare", "natural,scrambld", "--out", "{0}/o"], "{1}: unknown set 'scrambld'. Did"),
    (
        ["{1}", *STATES, "--pool", "4", "--out", "{0}/o"],
        "pool (--pool) is of responses; states draw from all",
    ),
    (["{1}", *BY, "--runs", "block", "--out", "{0}/o"], "runs (--runs) says within what traces are"),
    (["{1}", *BY, "--units-where", "depth > 3", "--out", "{0}/o"], "{1}: "),
    (["{1}", *BY, "--reference", "rest", "--out", "{0}/o"], "{1}: unknown set"),
    (["{1}", *BY, "--layers", "V1", "--out", "{0}/o"], "unknown option '--layers'"),
    ([], "FILE... is missing (NWB files, one of each session)"),
]


def test_wrong_input_is_one_line(files: list[Path], tmp_path: Path, capsys: Capture) -> None:
    """Exit code 2, nothing on stdout, and nothing written: also where the second of two files is wrong."""
    (tmp_path / "text.nwb").write_text("no HDF5")
    for arguments, line in WRONG:
        places = tmp_path, files[0], files[1]
        assert main(["neurons", *(one.format(*places) for one in arguments)]) == 2, arguments
        (only,) = told(capsys)
        assert only.startswith(f"differentia: {line.format(*places)}"), arguments
        assert not (tmp_path / "o").exists()


def test_malformed_files(tmp_path: Path, capsys: Capture) -> None:
    """Each is one line that names the file; there is no result."""
    assert len(MALFORMED) >= 20
    for at, (name, make) in enumerate(MALFORMED.items()):
        path = tmp_path / f"{at}.nwb"
        make(path)
        assert main(["neurons", str(path), *BY, "--window", "0,0.25", "--out", str(tmp_path / "o")]) == 2, (
            name
        )
        (only,) = told(capsys)
        assert only.startswith(f"differentia: {path}: "), name
        assert not (tmp_path / "o" / "result.nc").exists()
