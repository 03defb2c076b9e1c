"""The command `depth`: tables, JSON, files, and one line for what can't be compared."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.following import LAYERS, films, measured
from helpers.printed import rows_of

import differentia as dif
from differentia.cli import main


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network's result, and those of two mice."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net").mkdir()
    dif.save(measured(), "net/result.nc")
    for mouse in (1, 2):
        (tmp_path / f"mouse_{mouse}").mkdir()
        arrays = {name: {"V1": of["early"]} for name, of in films(seed=2, spread=mouse).items()}
        dif.save(dif.measure_responses(arrays, normalize="none"), f"mouse_{mouse}/result.nc")
    return tmp_path


def test_a_network(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The library's numbers, as a table, with what they say, and as JSON."""
    found = dif.depth(measured())
    assert main(["depth", "net", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one["result"] == "net"
    assert [row["layer"] for row in one["layers"]] == list(LAYERS)
    for name in ("pearson", "spearman_low", "slope_high", "r_squared", "pearson_p_corrected"):
        told = [np.nan if row[name] is None else row[name] for row in one["layers"]]
        np.testing.assert_allclose(told, found[name])
    assert len(one["pairs"]) == 12 * 4
    assert main(["depth", "net/result.nc"]) == 0
    printed = capsys.readouterr().out
    cells = rows_of(printed)["late"]
    at = found.sel(layer="late")
    assert cells[0].split(maxsplit=1) == [
        f"{at['pearson'].item():.2f}",
        f"[{at['pearson_low'].item():.2f}, {at['pearson_high'].item():.2f}]",
    ]
    assert cells[-1] == "12"
    assert printed.splitlines()[-1] == " ".join(dif.say_depth(found))
    assert main(["depth", "net", "--sets", "film 1,film 2,film 3,film 9", "--confidence", "0.8"]) == 0
    printed = capsys.readouterr().out
    assert "[80 %: other sets]" in printed
    assert rows_of(printed)["late"][-1] == "4"


def test_mice_and_files(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several results at once, with the stimulus of another; tables and the figure go into a folder."""
    arguments = ["depth", "mouse_1", "mouse_2", "--stimulus", "net", "--out", "out", "--figures", "svg"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "mouse_1: each population's differentiation" in captured.out
    assert captured.err.splitlines()[-1] == "Written to out: depth.csv, depth.svg"
    assert sorted(path.name for path in (results / "out").iterdir()) == ["depth.csv", "depth.svg"]
    with (results / "out" / "depth.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["result"] for row in rows] == ["mouse_1", "mouse_2"]
    for row in rows:
        found = dif.depth(dif.load_result(f"{row['result']}/result.nc"), stimulus=measured())
        assert float(row["pearson"]) == pytest.approx(found["pearson"].item())
    assert ">mouse_2: 12 sets, left V1<" in (results / "out" / "depth.svg").read_text()
    assert main(["depth", "net", "--out", "out"]) == 0
    assert {path.name for path in (results / "out").iterdir()} >= {"depth.csv", "pairs.csv", "depth.png"}


def test_areas_beside_a_network(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The stimulus of the one network is that of the recordings, which is said; of two networks it is not."""
    assert main(["depth", "net", "mouse_1", "mouse_2", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("The layer input of net is taken for the stimulus of mouse_1, mouse_2, by")
    expected = dif.depth(dif.load_result("mouse_1/result.nc"), stimulus=measured())
    _, mouse, _ = json.loads(captured.out)
    assert mouse["layers"][0]["pearson"] == pytest.approx(expected["pearson"].item())
    assert main(["depth", "net", "mouse_1", "--stimulus", "net"]) == 0
    assert capsys.readouterr().err == ""
    (results / "other").mkdir()
    dif.save(measured(), "other/result.nc")
    assert main(["depth", "net", "other", "mouse_1"]) == 2
    assert "mouse_1: the result has no layer 'input'" in capsys.readouterr().err


def test_all_numbers_in_one_table(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of one result that of the library; of several below each other, whatever their layers."""
    assert main(["depth", "net", "--table", "net.parquet"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "Written to net.parquet"
    expected = dif.to_dataframe(dif.depth(measured()))
    pd.testing.assert_frame_equal(pd.read_parquet("net.parquet"), expected)
    assert main(["depth", "net", "mouse_1", "--stimulus", "net", "--table", "all.csv"]) == 0
    table = pd.read_csv("all.csv")
    assert [*table.columns] == ["result", *expected.columns]
    assert table["result"].tolist() == ["net"] * len(expected) + ["mouse_1"] * 12
    mouse = dif.to_dataframe(dif.depth(dif.load_result("mouse_1/result.nc"), stimulus=measured()))
    np.testing.assert_allclose(table["pearson"][len(expected) :], mouse["pearson"], rtol=1e-9)


def test_mistakes(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, and exit with 2."""
    for arguments, message in (
        (["mouse_1"], "mouse_1: the result has no layer 'input' to compare with"),
        (["net", "net"], "net is given twice; give each result once"),
        (["net", "--sets", "film 1,fil"], "net: unknown set 'fil'"),
        (["net", "--base", "inputs"], "unknown layer in base= (--base) 'inputs'. Did you mean 'input'?"),
        (["net", "--confidence", "95"], "confidence is 95.0"),
        (["net", "--permutations", "0"], "--permutations: '0'; expected at least 1"),
        (["gone"], "gone: no such folder or file; name a folder that measure wrote"),
        (["net", "--figures", "svg"], "--figures, --figure-width and --dpi are of the figure in a folder"),
        (["net", "--dpi", "300"], "name it with --out"),
        (["net", "--out", "net/result.nc"], "result.nc is a file; name a folder"),
        (["net", "--table", "net.xlsx"], "unknown ending of a table '.xlsx'. Known: .csv, .parquet"),
    ):
        assert main(["depth", *arguments]) == 2, arguments
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1
