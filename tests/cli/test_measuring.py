"""Measuring into a folder: what is written and printed, and one line for every wrong input."""

from __future__ import annotations

import csv
import json
import re
import tomllib
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from helpers.film_files import film
from helpers.printed import rows_of

import differentia as dif
from differentia.cli import main

pytestmark = pytest.mark.usefixtures("no_pictures")


FAST = ["--layers", "input,block1_pool,predictions", "--n-units", "50,1000", "--draws", "3"]


@pytest.mark.pictures
def test_measure_writes_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The result, the experiment file, figures and responses; a table on stdout; the rest on stderr."""
    out = folder / "deep" / "out"
    sets = ["--set", "noise=noise:4", "--set", f"cats={folder}/cats", "--set", f"dogs={folder}/dogs/*.png"]
    assert main(["measure", "digits", *sets, *FAST, "--out", str(out)]) == 0
    assert (out / "responses.zarr" / "zarr.json").is_file()
    files = (path.relative_to(out) for path in out.rglob("*") if path.is_file())
    written = sorted(path.as_posix() for path in files if path.parts[0] != "responses.zarr")
    assert written == [
        ".made.json",
        "experiment.toml",
        *(
            f"figures/{name}.png"
            for name in ("differentiation", "distances", "filters", "predictions", "relative")
        ),
        "predictions.csv",
        "report.html",
        "result.nc",
    ]
    result = dif.load_result(out / "result.nc")
    assert result["layer"].values.tolist() == ["input", "block1_pool", "predictions"]
    assert result["n_units"].values.tolist() == [50, 1000]
    assert result.sizes["draw"] == 3
    command = json.loads(result.attrs["provenance"])["command"]
    assert command.startswith("differentia measure digits --set noise=noise:4 --set ")
    captured = capsys.readouterr()
    units, *values = rows_of(captured.out)["block1_pool"]
    assert units == "1,000"
    means = result["differentiation"].sel(layer="block1_pool", n_units=1000).mean("draw")
    related = dif.relative(result).sel(layer="block1_pool", n_units=1000).mean("draw")
    expected = [float(means.sel(set=name)) for name in ("noise", "cats", "dogs")]
    expected += [float(related.sel(set=name)) for name in ("cats", "dogs")]
    assert [float(value.split()[0]) for value in values] == pytest.approx(expected, abs=0.006)
    assert f"Written to {out}" in captured.err
    assert captured.err.splitlines()[-1] == f"Open {out}/report.html in a browser"


@pytest.mark.parametrize("name", ["report.html", "result.nc", "predictions.csv", "result_top.nc", "figures"])
def test_what_is_in_the_way_is_found_first(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is measured: exit code 2, one line, and nothing written."""
    out = folder / "out"
    (out / name).mkdir(parents=True)
    if name == "figures":
        (out / name).rmdir()
        (out / name).touch()
    assert main(["measure", "digits", "--set", "noise=noise:4", *FAST, "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{name} in it is in the way; move it away" in captured.err
    assert [path.name for path in out.iterdir()] == [name]


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json stdout is JSON alone: a record for each set, layer and number of units."""
    arguments = ["measure", "digits", "--set", "noise=noise:4", "--set", f"cats={folder}/cats", *FAST]
    assert main([*arguments, "--out", str(folder / "out"), "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    result = dif.load_result(folder / "out" / "result.nc")
    assert len(records) == 2 * 3 * 2
    for record in records:
        at = {key: record[key] for key in ("set", "layer", "n_units")}
        mean = float(result["differentiation"].sel(at).mean("draw"))
        assert record["differentiation"] == pytest.approx(mean)
        assert record["relative"] == pytest.approx(float(dif.relative(result).sel(at).mean("draw")))
    whole = [record for record in records if record["layer"] == "predictions"]
    assert all(record["units_used"] == 10 and record["sd_over_draws"] == 0 for record in whole)


def test_many_sets_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table beside a set of its own; the experiment file repeats it, and what the table says is kept."""
    monkeypatch.chdir(folder)
    rows = [(f"{name}/{number}.png", name, number) for number in range(3) for name in ("dogs", "cats")]
    lines = [f"{file},{name},{number}" for file, name, number in rows]
    (folder / "photos.csv").write_text("\n".join(["file,animal,number", *lines]))
    sets = ["--set", "noise=noise:4", "--sets-from", "photos.csv?set=animal"]
    assert main(["measure", "digits", *sets, *FAST, "--reference", "dogs", "--out", "out"]) == 0
    content = tomllib.loads((folder / "out" / "experiment.toml").read_text())
    assert content["sets"] == {"noise": "noise:4?kind=uniform&seed=0"}
    assert content["sets_from"] == f"{folder}/photos.csv?set=animal"
    monkeypatch.chdir("/")
    assert main(["run", str(folder / "out"), "--out", str(folder / "again")]) == 0
    first, again = (dif.load_result(folder / name / "result.nc") for name in ("out", "again"))
    assert again.drop_attrs(deep=False).identical(first.drop_attrs(deep=False))
    assert first["set"].values.tolist() == ["noise", "dogs", "cats"]
    assert first["image_name"].values.tolist()[4:] == ["0.png", "1.png", "2.png"] * 2
    one_by_one = {"noise": "noise:4"}
    one_by_one |= {name: f"{folder}/{name}/[012].png" for name in ("dogs", "cats")}
    expected = dif.measure("digits", one_by_one, layers=FAST[1].split(","), n_units=(50, 1000), draws=3)
    assert first["differentiation"].equals(expected["differentiation"])
    capsys.readouterr()
    together = ["--set", "dogs=noise:4", "--sets-from", f"{folder}/photos.csv?set=animal"]
    assert main(["measure", "digits", *together, "--out", str(folder / "none")]) == 2
    assert "differentia: two sets have the name 'dogs': one of its own (--set)" in capsys.readouterr().err
    assert not (folder / "none").exists()


def test_a_folder_of_films(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is a set, beside what is made of one of them; the file repeats it, and depth looks at all."""
    (folder / "films").mkdir()
    for step, name in enumerate(("calm", "rain", "river", "street"), 1):
        film(folder / "films" / name, count=6, rate=2, step=step)
    given = ["--sets-from", f"{folder}/films?fps=1", "--set", "mixed=scramble:rain?kind=pixels"]
    assert main(["measure", "digits", *given, *FAST, "--out", str(folder / "out")]) == 0
    assert main(["run", str(folder / "out"), "--out", str(folder / "again")]) == 0
    first, again = (dif.load_result(folder / name / "result.nc") for name in ("out", "again"))
    assert again["differentiation"].equals(first["differentiation"])
    assert first["set"].values.tolist() == ["mixed", "calm", "rain", "river", "street"]
    for name in ("mixed", "rain"):
        assert first["image_name"].values[first["image_set"] == name].tolist() == [
            f"rain_{second}.000s" for second in range(3)
        ]
    capsys.readouterr()
    assert main(["depth", str(folder / "out"), "--json"]) == 0
    assert all(row["n_sets"] == 5 for row in json.loads(capsys.readouterr().out)[0]["layers"])


def test_experiment_file_repeats_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the file says gives the very numbers, also from another folder."""
    monkeypatch.chdir(folder)
    (folder / "dogs").rename(folder / "noise")  # a folder, not generated noise
    sets = ["--set", "white=noise:4", "--set", "cats=cats", "--set", "dogs=noise", "--set", "some=cats/*.png"]
    arguments = [*sets, *FAST, "--seed", "3", "--crop", "center", "--out", "out"]
    assert main(["measure", "digits", *arguments]) == 0
    monkeypatch.chdir("/")
    content = tomllib.loads((folder / "out" / "experiment.toml").read_text())
    network = dict(content["network"])
    again = dif.measure(
        dif.load_network(network.pop("spec"), **network), content["sets"], **content["measure"]
    )
    first = dif.load_result(folder / "out" / "result.nc")
    np.testing.assert_array_equal(again["differentiation"], first["differentiation"])
    assert content["measure"]["crop"] == "center"
    changed = {**content["measure"], "seed": 4}
    other = dif.measure("digits", content["sets"], **changed)
    assert not np.array_equal(other["differentiation"], first["differentiation"])


def test_all_units_and_other_options(folder: Path) -> None:
    """Options reach what they are for."""
    arguments = ["measure", "digits", "--set", "a=noise:3", "--set", f"b={folder}/cats", "--layers", "*pool"]
    options = ["--units", "all", "--normalize", "response", "--metric", "cosine", "--reference", "b"]
    assert main([*arguments, *options, "--batch-size", "2", "--out", str(folder / "out")]) == 0
    result = dif.load_result(folder / "out" / "result.nc")
    assert result.attrs["normalize"] == "response"
    assert result.attrs["metric"] == "cosine"
    assert result.attrs["reference"] == "b"
    assert str(result["units"].values) == "all"
    assert len(result["layer"]) == 4
    assert json.loads(result.attrs["provenance"])["batch_size"] == 2


@pytest.mark.pictures
def test_without_a_reference_nothing_is_relative(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No generated noise and no --reference: no relative columns and no relative figure."""
    arguments = ["measure", "digits", "--set", f"cats={folder}/cats", *FAST, "--out", str(folder / "out")]
    assert main(arguments) == 0
    drawn = {path.stem for path in (folder / "out" / "figures").iterdir()}
    assert drawn == {"differentiation", "distances", "filters", "predictions"}
    assert " / " not in capsys.readouterr().out


@pytest.mark.pictures
@pytest.mark.slow
def test_only_what_has_changed_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same again leaves the figures, the report and the responses; another width makes only figures."""
    out = folder / "out"
    arguments = [
        "measure",
        "digits",
        "--set",
        f"cats={folder}/cats",
        *FAST[:-2],
        "--no-views",
        "--out",
        str(out),
    ]

    def said(*given: str) -> str:
        assert main(list(given)) == 0
        first, last = [
            line for line in capsys.readouterr().err.splitlines() if "recorded already" not in line
        ]
        assert last == f"Open {out}/report.html in a browser"
        return first.removeprefix(f"Written to {out}: ")

    assert said(*arguments) == "experiment.toml, figures/, report.html, responses.zarr/, result.nc"
    times = {path: path.stat().st_mtime_ns for path in (*(out / "figures").iterdir(), out / "report.html")}
    assert {path.name for path in times} == {"differentiation.png", "distances.png", "report.html"}
    (out / "notes.txt").touch()  # which no run writes, so none says
    again = "experiment.toml, result.nc; unchanged: figures/, report.html, responses.zarr/"
    assert said(*arguments) == again
    assert said("report", str(out)) == "nothing; unchanged: figures/, report.html"
    assert {path: path.stat().st_mtime_ns for path in times} == times
    (out / "figures" / "distances.png").write_bytes(b"")
    assert said("report", str(out)) == "figures/; unchanged: report.html"
    wide = ["--figures", "svg,pdf", "--figure-width", "150", "--dpi", "100"]
    removed = "; removed: 2 earlier figures"
    assert said("report", str(out), *wide) == f"figures/; unchanged: report.html{removed}"
    drawn = {f"{name}.{suffix}" for name in ("differentiation", "distances") for suffix in ("svg", "pdf")}
    assert {path.name for path in (out / "figures").iterdir()} == drawn
    svg = (out / "figures" / "differentiation.svg").read_text()
    (width,) = re.findall(r'<svg [^>]*width="([\d.]+)pt"', svg)
    assert float(width) == pytest.approx(150 / 25.4 * 72, abs=0.01)
    assert said("report", str(out), *wide) == "nothing; unchanged: figures/, report.html"
    assert (
        said(*arguments, "--seed", "1")
        == "experiment.toml, figures/, report.html, responses.zarr/, result.nc; removed: 4 earlier figures"
    )
    none = f"experiment.toml, report.html, result.nc; unchanged: responses.zarr/{removed}"
    assert said(*arguments, "--figures", "none") == none
    assert not (out / "figures").exists()


def test_quiet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed but what was asked for with --json, and warnings."""
    broken = ["--set", "noise=noise:3", "--set", f"some={folder}/c*/*", "--skip-unreadable"]
    (folder / "cats" / "broken.png").write_bytes(b"no image")
    arguments = ["measure", "digits", *broken, *FAST, "--out", str(folder / "out")]
    assert main([*arguments, "-q"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    (warning,) = captured.err.splitlines()
    assert warning.startswith("differentia: warning: ")
    assert "broken.png" in warning
    assert main(["run", str(folder / "out"), "--out", str(folder / "out"), "--quiet", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2 * 3 * 2


@pytest.mark.pictures
@pytest.mark.slow
def test_figures_of_an_earlier_result_are_removed(folder: Path) -> None:
    """A second run into the folder, without a reference, leaves no relative figure of the first."""
    arguments = ["measure", "digits", *FAST, "--out", str(folder / "out"), "--set", f"cats={folder}/cats"]
    assert main([*arguments, "--set", "noise=noise:3"]) == 0
    assert (folder / "out" / "figures" / "relative.png").is_file()
    assert main(arguments) == 0
    assert not list((folder / "out" / "figures").glob("relative.*"))


@pytest.mark.pictures
@pytest.mark.slow
def test_odd_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Markup, slashes and other scripts in a set's name are shown as they are."""
    names = ["n[/x]", "[bold]b", "a/b $c$", "名"]
    sets = [part for index, name in enumerate(names) for part in ("--set", f"{name}=noise:3?seed={index}")]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        assert main(["measure", "digits", *sets, *FAST, "--out", str(folder / "out")]) == 0
    captured = capsys.readouterr()
    assert all(name in captured.out for name in names)
    assert "Traceback" not in captured.err


@pytest.mark.pictures
@pytest.mark.slow
def test_several_kinds_of_units(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file a kind, the first is result.nc; each as if measured alone; those of an earlier run go."""
    out = folder / "out"
    arguments = ["measure", "digits", "--set", "noise=noise:4", "--set", f"cats={folder}/cats", *FAST]
    kinds = ["random", "top_variance", "filter_mean"]
    assert main([*arguments, "--out", str(out), "--json", "--units", ",".join(kinds)]) == 0
    records = json.loads(capsys.readouterr().out)
    assert sorted(path.name for path in out.glob("*.nc")) == [
        "result.nc",
        "result_filter_mean.nc",
        "result_top_variance.nc",
    ]
    sets = {"noise": "noise:4", "cats": str(folder / "cats")}
    for kind, name in zip(
        kinds, ["result.nc", "result_top_variance.nc", "result_filter_mean.nc"], strict=True
    ):
        result = dif.load_result(out / name)
        assert result["units"].item() == kind
        alone = dif.measure(
            "digits",
            sets,
            units=kind,
            layers=["input", "block1_pool", "predictions"],
            n_units=None if kind == "filter_mean" else (50, 1000),
            draws=3,
            views=False,
        )
        np.testing.assert_array_equal(result["differentiation"], alone["differentiation"])
        of_kind = [record for record in records if record["units"] == kind]
        assert len(of_kind) == 2 * 3 * alone.sizes["n_units"]
        for record in of_kind:
            at = {key: record[key] for key in ("set", "layer", "n_units")}
            assert record["differentiation"] == pytest.approx(
                float(alone["differentiation"].sel(at).mean("draw"))
            )
    assert {record["units"] for record in records} == set(kinds)
    assert (out / "figures" / "kinds.png").is_file()
    (out / "result_backup.nc").write_text("the user's own")
    assert main([*arguments, "--out", str(out), "--units", "top"]) == 0
    assert sorted(path.name for path in out.glob("*.nc")) == ["result.nc", "result_backup.nc"]
    assert not (out / "figures" / "kinds.png").exists()
    assert dif.load_result(out / "result.nc")["units"].item() == "top"
    assert "Differentiation, 1,000 units (top)" in capsys.readouterr().out


def test_predictions(folder: Path) -> None:
    """The five best classes of each image as the result has them; gone after a run with --no-views."""
    out = folder / "out"
    arguments = ["measure", "digits", "--set", "noise=noise:2", "--set", f"cats={folder}/cats", *FAST]
    assert main([*arguments, "--out", str(out)]) == 0
    result = dif.load_result(out / "result.nc")
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["set"] for row in rows] == ["noise"] * 2 + ["cats"] * 4
    assert [row["image"] for row in rows] == [str(name) for name in result["image_name"].values]
    for row, probabilities in zip(rows, result["prediction"].values.astype(float), strict=True):
        pairs = sorted(((-value, number) for number, value in enumerate(probabilities)))[:5]
        assert [row[f"class_{place}"] for place in range(1, 6)] == [str(number) for _, number in pairs]
        given = [float(row[f"probability_{place}"]) for place in range(1, 6)]
        np.testing.assert_allclose(given, [-value for value, _ in pairs], atol=5e-7)
    assert main([*arguments, "--out", str(out), "--no-views"]) == 0
    assert not (out / "predictions.csv").exists()
    assert "prediction" not in dif.load_result(out / "result.nc")


def test_the_layer_of_the_classes(folder: Path) -> None:
    """Its name reaches the predictions and the experiment file; otherwise the last layer gives them."""
    heads_of = ["helpers.odd_networks:heads", "--preprocess", "unit", "--input-size", "12"]
    arguments = ["measure", *heads_of, "--set", f"cats={folder}/cats", "--n-units", "5", "--draws", "1"]
    out = folder / "named"
    assert main([*arguments, "--class-layer", "classes", "--out", str(out)]) == 0
    written = tomllib.loads((out / "experiment.toml").read_text(encoding="utf-8"))
    assert written["measure"]["class_layer"] == "classes"
    assert main(["run", str(out), "--trust-code", "--out", str(folder / "again")]) == 0
    first, again = (dif.load_result(folder / name / "result.nc")["prediction"] for name in ("named", "again"))
    assert first.sizes["class"] == again.sizes["class"] == 4
    np.testing.assert_array_equal(first.values, again.values)
    assert main([*arguments, "--out", str(folder / "last")]) == 0
    assert dif.load_result(folder / "last" / "result.nc").sizes["class"] == 3


def test_maps(folder: Path) -> None:
    """The chosen filters' maps of the chosen images, whatever the options' order."""
    arguments = ["measure", "digits", "--set", f"cats={folder}/cats", "--set", f"dogs={folder}/dogs", *FAST]
    options = ["--map", "block1_pool:3,0", "--map", "input:0", "--map-images", "3,1"]
    assert main([*arguments, *options, "--out", str(folder / "out")]) == 0
    result = dif.load_result(folder / "out" / "result.nc")
    kept = [result[name] for name in ("map_0", "map_1", "map_2")]
    found = {(str(one.attrs["layer"]), int(one.attrs["filter"])): one.values for one in kept}
    assert set(found) == {("input", 0), ("block1_pool", 3), ("block1_pool", 0)}
    assert "map_3" not in result
    paths = [folder / "cats" / "1.png", folder / "cats" / "3.png", folder / "dogs" / "1.png"]
    for shown, path in zip(found["input", 0], paths, strict=True):
        with PIL.Image.open(path) as image:
            pixels = np.asarray(image.convert("L").resize((32, 32), PIL.Image.Resampling.BILINEAR))
        np.testing.assert_allclose(shown, pixels / 255, atol=1e-6)
    assert found["block1_pool", 3].shape == (3, 16, 16)


def test_skip_unreadable(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken file is an error, or left out and told; the others' numbers are as without it."""
    arguments = ["measure", "digits", "--set", f"cats={folder}/cats", *FAST]
    assert main([*arguments, "--out", str(folder / "whole")]) == 0
    (folder / "cats" / "broken.png").write_bytes(b"no image")
    capsys.readouterr()
    assert main([*arguments, "--out", str(folder / "out")]) == 2
    assert f"set 'cats': {folder}/cats/broken.png: can't be read as an image" in capsys.readouterr().err
    assert main([*arguments, "--out", str(folder / "out"), "--skip-unreadable"]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert line.startswith("differentia: warning: left out what can't be read (1): set 'cats': ")
    whole, result = (dif.load_result(folder / name / "result.nc") for name in ("whole", "out"))
    np.testing.assert_array_equal(result["differentiation"], whole["differentiation"])
    assert result["image_name"].values.tolist() == ["0.png", "1.png", "2.png", "3.png"]


CATS = ["--set", "cats={0}/cats"]
OUT = ["--out", "{0}/out"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["measure", "digits", "--set", "a={0}/nowhere", *OUT],
            "set 'a': {0}/nowhere: no such file or folder; check the path",
        ),
        (
            ["measure", "digits", "--set", "a={0}/*.gif", *OUT],
            "set 'a': {0}/*.gif: no file matches; check the folder and the pattern",
        ),
        (
            ["measure", "digits", "--set", "a={0}/empty", *OUT],
            "set 'a': {0}/empty: no images in this folder: it is empty; name another",
        ),
        (
            ["measure", "digits", "--set", "a={0}/lonely", *OUT],
            "set 'a' has 1 image ({0}/lonely); expected at least 2, a pair to compare",
        ),
        (
            ["measure", "digits", "--set", "a={0}/broken", *OUT],
            "set 'a': {0}/broken/0.jpg: can't be read as an image (it is text; expected PNG, ",
        ),
        (
            ["measure", "vgg16", *CATS, *OUT],
            "unknown network 'vgg16'. Did you mean 'keras:VGG16'? Known: digits, keras:VGG16, torchvision",
        ),
        (
            ["measure", "keras:VGG-16", *CATS, *OUT],
            "unknown network of keras.applications 'keras:VGG-16'. Did you mean 'keras:VGG16'?",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--layers", "input,block9_pool"],
            "unknown layer 'block9_pool'. Did you mean 'block1_pool'?",
        ),
        (
            ["measure", "keras:MobileNet?weights={0}/gone.h5", *CATS, *OUT],
            "keras:MobileNet?weights={0}/gone.h5: there are no weights at {0}/gone.h5; give weights=PATH",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--n-units", "0"],
            "--n-units: '0'; expected at least 1",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--n-units", "abc"],
            "--n-units: 'abc'; expected a whole number",
        ),
        (
            ["measure", "digits", *CATS, "--set", "cats={0}/dogs", *OUT],
            "two sets have the name 'cats'; give each its own",
        ),
        (["measure", "digits", *OUT], "no set of images was given; give at least one: --set NAME=SOURCE, or"),
        (["measure", "digits", "--set", "{0}/cats", *OUT], "--set is '{0}/cats'; expected NAME=SOURCE"),
        (["measure", "digits", *CATS, "--out", ""], "--out is missing; name the folder"),
        (
            ["measure", "digits", *CATS, *OUT, "--layers", "input,"],
            "--layers: 'input,' holds ''; expected a text",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--n-units", ""],
            "--n-units: ''; expected a whole number",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--n-units", "1e3"],
            "--n-units: '1e3'; expected a whole number",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--input-size", "1x28"],
            "--input-size: '1x28'; expected 224",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--preprocess", "unit"],
            "digits: the embedded network has its own preprocessing",
        ),
        (["measure", "digits", "--set", "=x", *OUT], "--set is '=x'; expected NAME=SOURCE"),
        (
            ["measure", "digits", "--set", "a=~no_such_user/x", *OUT],
            "set 'a': ~no_such_user/x: can't be looked",
        ),
        (
            ["measure", "digits", "--set", "n=noise:3?sd=5", *OUT],
            "set 'n': noise: sd goes with kind='gaussian'",
        ),
        (
            ["measure", "keras:VGG16?weights=none", *CATS, *OUT, "--device", "foo"],
            "unknown device 'foo'. Known: auto, cpu, cuda, mps, xpu",
        ),
        (["measure", "digits", *CATS], "--out is missing; name the folder to write to: --out DIR"),
        (
            ["measure", "digits", *CATS, "--out", "{0}/cats/0.png"],
            "--out {0}/cats/0.png: {0}/cats/0.png is a file; name a folder",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--draws", "x"],
            "--draws: 'x'; expected a whole number",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--seed", "-1"],
            "--seed: '-1'; expected at least 0",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--input-size", "big"],
            "--input-size: 'big'; expected 224, 224x192",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--metric", "euclid"],
            "--metric: unknown metric 'euclid'. Did you mean 'euclidean'?",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--resize", "linear"],
            "--resize: unknown resize filter 'linear'. Did you mean",
        ),
        (
            ["measure", "digits", *CATS, *OUT, "--reference", "noise"],
            "unknown set for reference (--reference) 'noise'.",
        ),
        (
            ["measure", "digits", "--set", "n=noise:3?kind=brown", *OUT],
            "set 'n': unknown kind of noise 'brown'.",
        ),
        (
            ["measure", "torch.nn:Identity", *CATS, *OUT],
            "torch.nn:Identity: its preprocessing can't be known",
        ),
        (
            ["measure", "torch.nn:Identity", *CATS, *OUT, "--preprocess", "unit"],
            "torch.nn:Identity: its input size can't be known",
        ),
        (["measure", "digits", *CATS, *OUT, "--device", "cuda:9"], "device 'cuda:9' can't be used here"),
        (
            ["measure", "digits", *CATS, *OUT, "--unit", "all"],
            "unknown option '--unit'; did you mean --units?",
        ),
        (["measure"], "NETWORK is missing (digits, keras:NAME"),
        (["mesure", "digits"], "unknown command 'mesure'. Did you mean 'measure'?"),
    ],
)
def test_wrong_input_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    """Exit code 2, nothing on stdout, and one line on stderr that says what to change."""
    assert main([argument.replace("{0}", str(folder)) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    told = [text for text in captured.err.splitlines() if text.strip()]
    assert len(told) == 1
    assert told[0].startswith("differentia: " + line.replace("{0}", str(folder)))


def test_input_size_with_channels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """224, 224x192 and 28x28x1 are heights, widths and channels."""
    arguments = ["measure", "torch.nn:ReLU", "--preprocess", "unit", "--set", f"a={folder}/cats"]
    for text, shape in {"9": "3x9x9", "8x12": "3x8x12", "7x6x1": "1x7x6"}.items():
        assert main([*arguments, "--input-size", text, "--out", str(folder / "out")]) == 0
        result = dif.load_result(folder / "out" / "result.nc")
        assert str(result["layer_shape"].values[0]) == shape
