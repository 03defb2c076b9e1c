"""The commands beside measure: what they write and print, and one line for every wrong input."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch
import typer
import xarray as xr
from helpers.digit_files import DigitFiles
from helpers.networks import factory
from helpers.printed import rows_of
from helpers.results import vgg16_result
from safetensors.torch import save_file

import differentia as dif
from differentia.cli import main
from differentia.cli.commands import app
from differentia.cli.options import references
from differentia.networks.digits import build_digits_module
from differentia.stimuli.digits import load_digits
from differentia.system.locking import IN_USE, held

pytestmark = pytest.mark.usefixtures("no_pictures")

Capture = pytest.CaptureFixture[str]

FAST = ["--layers", "input,block1_pool,predictions", "--n-units", "50", "--draws", "2"]
NOISE = ["--set", "noise=noise:3"]


def told(capsys: Capture) -> list[str]:
    """Return the lines on stderr; nothing may be on stdout."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return [line for line in captured.err.splitlines() if line.strip()]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three small images in it."""
    rng = np.random.default_rng(5)
    (tmp_path / "lab" / "cats").mkdir(parents=True)
    for index in range(3):
        pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "lab" / "cats" / f"{index}.png")
    return tmp_path / "lab" / "cats"


# --------------------------------------------------------------------------------------------------- run

#: Each option of measure with a value that is not its default, and where the file has it, with what value.
OPTIONS: dict[str, tuple[list[str], tuple[str, ...], Any]] = {
    "network": (["torch.nn:ReLU"], ("network", "spec"), "torch.nn:ReLU"),
    "preprocess": (["--preprocess", "signed"], ("network", "preprocess"), "signed"),
    "input_size": (["--input-size", "9x12"], ("network", "input_shape"), [9, 12, 3]),
    "classes": (["--classes", "classes.txt"], ("network", "classes"), "{1}/classes.txt"),
    "device": (["--device", "cpu"], ("network", "device"), "cpu"),
    "dtype": (["--dtype", "bfloat16"], ("network", "dtype"), "bfloat16"),
    "sets": (["--set", "cats=cats", "--set", "n=noise:3"], ("sets", "cats"), "{0}"),
    "n_units": (["--n-units", "5,20"], ("measure", "n_units"), [5, 20]),
    "draws": (["--draws", "3"], ("measure", "draws"), 3),
    "units": (["--units", "per_filter,filter_mean"], ("measure", "units"), ["per_filter", "filter_mean"]),
    "pool": (["--pool", "60"], ("measure", "pool"), 60),
    "layers": (["--layers", "input"], ("measure", "layers"), ["input"]),
    "sets_from": (["--sets-from", "kinds"], ("sets_from",), "{1}/kinds"),
    "normalize": (["--normalize", "unit"], ("measure", "normalize"), "unit"),
    "metric": (["--metric", "cosine"], ("measure", "metric"), "cosine"),
    "resize": (["--resize", "box"], ("measure", "resize"), "box"),
    "crop": (["--crop", "center"], ("measure", "crop"), "center"),
    "reference": (["--reference", "n=cats"], ("measure", "reference"), {"n": "cats"}),
    "confidence": (["--confidence", "0.9"], ("measure", "confidence"), 0.9),
    "seed": (["--seed", "7"], ("measure", "seed"), 7),
    "batch_size": (["--batch-size", "2"], ("measure", "batch_size"), 2),
    "compile": (["--compile", "never"], ("measure", "compile"), "never"),
    "compress": (["--compress", "zstd"], ("measure", "compress"), "zstd"),
    "maps": (["--map", "input:1", "--map", "input:0,2"], ("measure", "maps", "input"), [1, 0, 2]),
    "map_images": (["--map-images", "1,2"], ("measure", "map_images"), [1, 2]),
    "class_layer": (["--class-layer", "ReLU"], ("measure", "class_layer"), "ReLU"),
    "views": (["--no-views"], ("measure", "views"), False),
    "skip_unreadable": (["--skip-unreadable"], ("measure", "skip_unreadable"), True),
    "drop_duplicates": (["--drop-duplicates"], ("measure", "drop_duplicates"), True),
    "follow_links": (["--follow-links"], ("measure", "follow_links"), True),
}


def test_run_repeats_every_option_of_measure(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reaches the file, and the file gives the identical results from another folder."""
    group: Any = typer.main.get_command(app)
    by_name = {parameter.name: parameter for parameter in group.commands["measure"].params}
    own = {"out", "figures", "figure_width", "dpi", "as_json", "quiet", "debug", "store", "fresh", "memory"}
    own |= {"workers", "scheduler", "part", "record"}
    assert set(by_name) - own - {"tokens"} == set(OPTIONS)  # of which this network has none
    monkeypatch.chdir(photos.parent)
    (photos / "broken.png").write_bytes(b"no image")
    PIL.Image.new("RGB", (9, 9), "red").save(photos.parent / "outside.png")
    (photos / "linked.png").symlink_to("../outside.png")
    (photos.parent / "classes.txt").write_text("ant\nbee\n")
    for number, colour in enumerate(("red", "green")):
        (photos.parent / "kinds" / "plain").mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (9, 9), colour).save(photos.parent / "kinds" / "plain" / f"{number}.png")
    arguments = [part for given, _, _ in OPTIONS.values() for part in given]
    assert main(["measure", *arguments, "--out", "first"]) == 0
    content = tomllib.loads((photos.parent / "first" / "experiment.toml").read_text())
    for name, (given, place, expected) in OPTIONS.items():
        found: Any = content
        for key in place:
            found = found[key]
        wanted = expected.format(photos, photos.parent) if isinstance(expected, str) else expected
        assert found == wanted, name
        assert by_name[name].default not in (found, str(found)), f"{name}: {given} says nothing"
    monkeypatch.chdir("/")
    again = photos.parent / "again"
    file = photos.parent / "first" / "experiment.toml"
    assert main(["run", str(file), "--trust-code", "--out", str(again)]) == 0
    for name in ("result.nc", "result_filter_mean.nc"):
        first, second = (dif.load_result(folder / name) for folder in (photos.parent / "first", again))
        xr.testing.assert_identical(*(result.drop_attrs() for result in (first, second)))
        facts = [json.loads(result.attrs["provenance"]) for result in (first, second)]
        commands = [fact.pop("command").split()[:2] for fact in facts]
        assert commands == [["differentia", "measure"], ["differentia", "run"]]
        spellings = [(fact.pop("sets"), fact.pop("skipped")) for fact in facts]
        assert all("broken.png" in fact.pop("warnings")[0]["text"] for fact in facts)
        assert [skipped[0]["name"] for _, skipped in spellings] == ["broken.png"] * 2
        assert facts[0] == facts[1]
    repeated = tomllib.loads((again / "experiment.toml").read_text())
    assert repeated == content


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a"], "a"),
        (["a, b"], "a, b"),  # which may be the name of a set
        (["a=b"], {"a": "b"}),
        (["a=b,c = d", "e=f"], {"a": "b", "c": "d", "e": "f"}),
        (["noise", "a=b"], {"*": "noise", "a": "b"}),
        (["noise,a=b"], {"*": "noise", "a": "b"}),
        (["*=noise"], "noise"),
        (None, None),
    ],
)
def test_references_as_they_are_written(given: list[str] | None, expected: Any) -> None:
    """One for all, or for single sets: several times, or with commas between."""
    assert references("--reference", given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a=b", "a=c"], "--reference: the set 'a' would have two references; give one"),
        (["a", "b"], "--reference: all other sets would have two references; give one"),
        (["a="], "--reference is 'a='; expected REFERENCE, or SET=REFERENCE"),
        (["=a"], "--reference is '=a'; expected REFERENCE, or SET=REFERENCE"),
        ([""], "--reference is ''; expected REFERENCE, or SET=REFERENCE"),
    ],
)
def test_references_that_can_not_be(given: list[str], message: str) -> None:
    """The error says what was given."""
    with pytest.raises(dif.InputError) as caught:
        references("--reference", given)
    assert str(caught.value) == message


def test_a_reference_for_each_set(tmp_path: Path, capsys: Capture) -> None:
    """From the command line to the table, the result, the file that repeats it, and back."""
    sets = ["a=digits:4?digit=1", "b=digits:4?digit=2", "c=scramble:a?kind=pixels", "noise=noise:4"]
    given = [part for one in sets for part in ("--set", one)]
    given += ["--layers", "input", "--n-units", "20", "--figures", "none", "--reference", "a=c"]
    assert main(["measure", "digits", *given, "--out", f"{tmp_path}/first"]) == 0
    heading = capsys.readouterr().out.splitlines()[1:3]
    assert re.findall(r"\w+ /", heading[0]) == ["a /", "b /", "c /"]
    assert heading[1].split()[-3:] == ["c", "noise", "noise"]
    content = tomllib.loads((tmp_path / "first" / "experiment.toml").read_text())
    assert content["measure"]["reference"] == {"a": "c"}
    assert content["sets"]["c"] == "scramble:a?kind=pixels&axis=space&seed=0"
    assert main(["run", f"{tmp_path}/first", "--out", f"{tmp_path}/again", "--figures", "none"]) == 0
    first, again = (dif.load_result(tmp_path / name / "result.nc") for name in ("first", "again"))
    xr.testing.assert_equal(first, again)
    values = dif.draw_mean(first["differentiation"], first).sel(layer="input", n_units=20)
    relative = dif.to_dataframe(first).set_index("set")["relative"]
    for name, reference in (("a", "c"), ("b", "noise"), ("c", "noise"), ("noise", "noise")):
        by_hand = values.sel(set=name).item() / values.sel(set=reference).item()
        assert relative[name] == pytest.approx(by_hand)
    capsys.readouterr()
    arguments = ["measure", "digits", *given, "--reference", "a=nois", "--out", f"{tmp_path}/x"]
    assert main(arguments) == 2
    assert "--reference: the set 'a' would have two references" in capsys.readouterr().err
    assert main([*arguments[: arguments.index("--reference")], *arguments[-4:]]) == 2
    assert "unknown set for reference (--reference) 'nois'. Did you mean 'noise'" in capsys.readouterr().err


def test_run_repeats_a_choice_of_tokens(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reaches the file, and the file gives the identical result."""
    monkeypatch.chdir(photos.parent)
    network = ["helpers.joined:joined", "--preprocess", "unit", "--input-size", "64"]
    given = [*network, "--set", "cats=cats", "--set", "n=noise:3", "--layers", "norm", "--no-views"]
    for out, more in {"first": ["--tokens", "class"], "whole": []}.items():
        assert main(["measure", *given, *more, "--figures", "none", "--out", out]) == 0
    assert tomllib.loads(Path("first/experiment.toml").read_text())["measure"]["tokens"] == "class"
    assert main(["run", "first", "--trust-code", "--figures", "none", "--out", "again"]) == 0
    first, again, whole = (dif.load_result(Path(name, "result.nc")) for name in ("first", "again", "whole"))
    xr.testing.assert_identical(first.drop_attrs(), again.drop_attrs())
    assert [int(one["layer_size"].item()) for one in (first, whole)] == [24, 17 * 24]


def test_run_takes_paths_from_the_files_folder(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Keras file, images and ``out``, all relative, from another folder: what Python gives for the same."""
    from differentia.networks.keras import import_keras

    keras = import_keras()
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()]
    keras.Sequential([*layers, keras.layers.Dense(4, activation="softmax")]).save(photos.parent / "net.keras")
    file = photos.parent / "experiment.toml"
    file.write_text(
        'out = "here"\n[network]\nspec = "net.keras"\npreprocess = "unit"\n[sets]\ncats = "cats/*.png"\n'
        "[measure]\nn_units = 9\ndraws = 2\n"
    )
    (photos.parent.parent / "elsewhere").mkdir()
    monkeypatch.chdir(photos.parent.parent / "elsewhere")
    assert main(["run", "../lab/experiment.toml"]) == 0
    network = dif.load_network(str(photos.parent / "net.keras"), preprocess="unit")
    expected = dif.measure(network, {"cats": photos}, n_units=9, draws=2)
    found = dif.load_result(photos.parent / "here" / "result.nc")
    np.testing.assert_array_equal(found["differentiation"], expected["differentiation"])
    assert list(Path.cwd().iterdir()) == []
    assert main(["run", "../lab/experiment.toml", "--out", "there"]) == 0  # of the working folder, as typed
    assert (Path.cwd() / "there" / "result.nc").is_file()


def test_run_takes_weights_and_classes_from_the_files_folder(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights beside the file are those that are loaded; other weights give other numbers."""
    torch.manual_seed(3)
    trained = factory()
    torch.nn.init.normal_(trained.head.weight)
    save_file(trained.state_dict(), photos.parent / "w.safetensors")
    text = (
        '[network]\nspec = "helpers.networks:factory?{}"\npreprocess = "unit"\ninput_shape = [16, 16, 3]\n'
        '[sets]\ncats = "cats"\n[measure]\nlayers = "head"\nunits = "all"\n'
    )
    monkeypatch.chdir("/")
    found = {}
    for options in ("weights=w.safetensors", "width=5"):
        (photos.parent / "e.toml").write_text(text.format(options))
        given = ["run", str(photos.parent / "e.toml"), "--trust-code", "--out", str(photos.parent / "out")]
        assert main(given) == 0
        found[options] = dif.load_result(photos.parent / "out" / "result.nc")["differentiation"].values
    network = dif.load_network(trained, preprocess="unit", input_shape=(16, 16, 3))
    expected = dif.measure(network, {"cats": photos}, layers=["head"], units="all")["differentiation"]
    np.testing.assert_array_equal(found["weights=w.safetensors"], expected)
    assert not np.array_equal(found["width=5"], expected)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "{0}: network: is missing; sets: is missing"),
        ("[network", "{0}: can't be read as TOML: Expected ']'"),
        (
            '[network]\nspec = "digits"\n[sets]\na = "noise:3"\n',
            "{0}: names no folder to write to; give --out",
        ),
        (
            'out = "o"\n[network]\nspec = "digits"\n[sets]\na = "noise:3"\n[measure]\nmetric = "cosin"',
            "{0}: measure.metric: unknown metric 'cosin'. Did you mean 'cosine'?",
        ),
        ('out = "o"\n[network]\nspec = "digit"\n[sets]\na = "noise:3"\n', "unknown network 'digit'. Did you"),
        ('out = "o"\n[network]\nspec = "net.keras"\n[sets]\na = "noise:3"\n', "{1}/net.keras: no such file"),
        ('out = "o"\n[network]\nspec = "digits"\n[sets]\na = "gone"\n', "set 'a': {1}/gone: no such file"),
        (
            'out = "o"\n[network]\nspec = "digits"\n[sets]\na = "noise:3"\n[measure]\nmaps = {input = 7}\n',
            "maps (--map): layer 'input' has no channel 7",
        ),
    ],
)
def test_a_wrong_experiment_is_one_line(tmp_path: Path, capsys: Capture, text: str, line: str) -> None:
    """Exit code 2, and nothing was written but perhaps the folder."""
    file = tmp_path / "e.toml"
    file.write_text(text)
    assert main(["run", str(file)]) == 2
    (found,) = told(capsys)
    line = line.replace("{0}", str(file)).replace("{1}", str(tmp_path))
    assert found.startswith(f"differentia: {file}: {line.removeprefix(f'{file}: ')}")
    assert {path.name for path in tmp_path.rglob("*")} <= {"e.toml", "o"}


# ------------------------------------------------------------------------------------------------ layers


def shapes_of_digits() -> dict[str, tuple[int, ...]]:
    """Return what each module of the embedded network gives for one image, by PyTorch's own hooks."""
    module = build_digits_module().eval()
    shapes: dict[str, tuple[int, ...]] = {"input": (1, 32, 32)}
    for name, part in module.named_children():
        part.register_forward_hook(lambda _, __, out, name=name: shapes.update({name: tuple(out.shape[1:])}))
    module(torch.zeros(1, 1, 32, 32))
    return shapes


def cost_of_digits(per_layer: Any, *left_out: str) -> int:
    """Return the bytes that are kept of an image.

    They are 4 for each unit of a layer, each of its channels' means and each class, 16 for the moments of a
    layer, and the image itself, 32 x 32.
    """
    shapes = [shape for name, shape in shapes_of_digits().items() if name not in left_out]
    return sum(4 * (per_layer(int(np.prod(s)), s[0]) + s[0]) + 16 for s in shapes) + 4 * 10 + 32 * 32


def test_layers_as_json(capsys: Capture) -> None:
    """Every layer in the order of computation; all are recorded but those that only reshape."""
    assert main(["layers", "digits", "--json", "--batch-size", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = shapes_of_digits()
    assert [layer["name"] for layer in found["layers"] if not layer["container"]] == list(expected)
    assert [layer["name"] for layer in found["layers"] if layer["container"]] == ["Sequential"]
    for layer in found["layers"][:-1]:
        shape = expected[layer["name"]]
        assert tuple(layer["shape"]) == shape
        assert (layer["units"], layer["channels"]) == (np.prod(shape), shape[0])
    kinds = {layer["name"]: layer["kind"] for layer in found["layers"]}
    assert (kinds["input"], kinds["block2_conv1"], kinds["flatten"]) == ("Input", "Conv2d", "Flatten")
    assert found["recorded"] == [name for name in expected if name != "flatten"]
    assert (found["default"], found["unrecorded"]) == (":leaves", [])
    assert found["cost"]["bytes_per_image"] == cost_of_digits(lambda units, channels: units, "flatten")
    assert found["cost"]["seconds_per_image"] > 0
    assert found["cost"]["memory"] == found["cost"]["bytes_per_image"] * 2 * 2, "two batches of two images"


@pytest.mark.parametrize(
    ("options", "per_layer"),
    [
        (["--n-units", "10,300"], lambda units, channels: min(units, 300)),
        (
            ["--units", "per_filter", "--n-units", "100"],
            lambda units, channels: min(units, 100 - 100 % channels),
        ),
        (["--units", "filter_mean"], lambda units, channels: 0),  # they are kept in any case
        (["--units", "all", "--n-units", "10"], lambda units, channels: units),
    ],
)
def test_what_recording_costs(capsys: Capture, options: list[str], per_layer: Any) -> None:
    """The bytes that each kind of units keeps of an image."""
    arguments = ["layers", "digits", "--layers", "*,flatten", "--json", "--batch-size", "1", *options]
    if "per_filter" in options:
        arguments[3] = "input,block*"  # no layer there has more channels than units are asked for
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    left_out = [] if "per_filter" not in options else ["flatten", "logits", "predictions"]
    twice = 4 * 10 if "all" in options else 0  # the classes are units too
    assert found["cost"]["bytes_per_image"] == cost_of_digits(per_layer, *left_out) - twice


def test_the_table_of_layers(capsys: Capture) -> None:
    """What the JSON says, with a mark where a layer is recorded; containers are named as such."""
    network = ["helpers.networks:module_object", "--preprocess", "unit", "--input-size", "16"]
    assert main(["layers", *network, "--batch-size", "2"]) == 0
    printed = capsys.readouterr().out
    rows = {name[2:]: [name[:2], *row] for name, row in rows_of(printed).items()}
    assert main(["layers", *network, "--batch-size", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(rows) == [layer["name"] for layer in found["layers"]]
    lost = [f"  {one['name']} ({one['kind']}): {one['reason']}" for one in found["unrecorded"]]
    assert lost == printed.partition("Called, but can't be recorded:\n")[2].splitlines()[:2]
    assert [one["name"] for one in found["unrecorded"]] == ["split[1][1]", "named[index]"]
    for layer in found["layers"]:
        mark, kind, shape, units, channels = rows[layer["name"]]
        assert (mark == "x ") is (layer["name"] in found["recorded"])
        assert kind == layer["kind"] + " (container)" * layer["container"]
        assert shape == "x".join(map(str, layer["shape"]))
        assert (int(units.replace(",", "")), int(channels)) == (layer["units"], layer["channels"])
    assert rows["block"][:4] == ["  ", "Sequential (container)", "8x16x16", "2,048"]
    assert rows["conv"] == ["x ", "Conv2d", "8x16x16", "2,048", "8"]
    assert f"{len(found['recorded'])} layers are recorded (x)" in printed
    kilobytes = found["cost"]["bytes_per_image"] / 1e3
    assert re.search(rf"^  disk +{kilobytes:.1f} kB an image; {kilobytes:.1f} MB for", printed, re.M)
    assert re.search(rf"^  memory +{found['cost']['memory'] / 1e3:.0f} kB beside the network", printed, re.M)
    assert re.search(r"^  time +\d[\d,.]* ms an image; [\d.]+ s for 1,000$", printed, re.M)
    assert main(["layers", *network, "--layers", "conv,block", "--batch-size", "1"]) == 0
    assert list(rows_of(capsys.readouterr().out)) == ["x conv", "x block"]


def test_what_can_not_be_recorded_is_listed(capsys: Capture) -> None:
    """With its kind and the reason, as text and as JSON; a layer without channels has a dash, or null."""
    network = ["helpers.odd_networks:mixed", "--preprocess", "unit", "--input-size", "12"]
    lost = ["highest", "Highest", "it gives numbers of the type int64, expected floats"]
    assert main(["layers", *network, "--batch-size", "1"]) == 0
    printed = capsys.readouterr().out
    rows = rows_of(printed)
    assert (rows["x conv"][3], rows["x cut"][1:]) == ("4", ["3x192", "576", "-"])
    assert f"\nCalled, but can't be recorded:\n  {lost[0]} ({lost[1]}): {lost[2]}\n" in printed
    assert "Everything that is called" not in printed
    assert main(["layers", *network, "--batch-size", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {layer["name"]: layer["channels"] for layer in found["layers"]} == {
        "input": 3,
        "conv": 4,
        "cut": None,
        "head": 4,
        "Mixed": 4,
    }
    assert found["unrecorded"] == [dict(zip(("name", "kind", "reason"), lost, strict=True))]
    assert main(["layers", *network, "--layers", "highest"]) == 2
    assert told(capsys) == [
        f"differentia: layer 'highest' can't be recorded: {lost[2]}; leave it out of layers="
    ]
    assert main(["layers", *network, "--units", "filter_mean"]) == 2
    (line,) = told(capsys)
    assert "units='filter_mean' (--units) is of channels" in line
    assert "layer 'cut', of shape (3, 192)" in line
    assert main(["layers", "digits", "--batch-size", "1"]) == 0
    assert "Everything that is called can be recorded." in capsys.readouterr().out


def test_operations_are_counted_and_listed_on_request(capsys: Capture) -> None:
    """One line says how many there are; where they are named, they stand in the table."""
    network = ["helpers.odd_networks:heads", "--preprocess", "unit", "--input-size", "12"]
    assert main(["layers", *network, "--batch-size", "1"]) == 0
    printed = capsys.readouterr().out
    assert [name[2:] for name in rows_of(printed)] == [
        "input",
        "conv",
        "classes",
        "places",
        "Heads[0]",
        "Heads[1]",
    ]
    assert (
        "\n2 operations that are no modules, first 'Heads/relu': --layers :operations takes all, '*/relu*' "
        "those of one kind\n"
    ) in printed
    assert main(["layers", *network, "--batch-size", "1", "--layers", ":operations,conv"]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert rows["x Heads/relu"] == ["relu", "6x10x10", "600", "6"]
    assert [name[2:] for name in rows] == ["conv", "Heads/relu", "Heads/mean"]
    assert main(["layers", *network, "--batch-size", "1", "--layers", "*/relu", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["recorded"], found["operations"]) == (["Heads/relu"], 2)
    assert [layer["operation"] for layer in found["layers"]] == [True]
    assert main(["layers", *network, "--layers", "*/rel"]) == 2
    assert told(capsys)[0].startswith("differentia: no layer matches '*/rel'. Known: input, conv, Heads/relu")
    assert main(["layers", "digits", "--batch-size", "1"]) == 0
    assert "operation" not in capsys.readouterr().out
    assert main(["layers", "digits", "--layers", ":operations"]) == 2
    (line,) = told(capsys)
    assert line.startswith("differentia: there are no operations (layers=':operations')")


@pytest.mark.parametrize(
    ("options", "recorded"),
    [
        ([], ["input", "patches", "blocks.0", "blocks.1", "head"]),
        (["--layers", ":blocks"], ["input", "patches", "blocks.0", "blocks.1", "head"]),
        (["--layers", "blocks.*/"], ["blocks.0", "blocks.1"]),
        (["--layers", "blocks.0.*"], ["blocks.0.norm", "blocks.0.attention[0]", "blocks.0.attention[1]"]),
        (["--layers", "blocks.0.attention[1]"], ["blocks.0.attention[1]"]),
        (["--layers", "blocks.?.attention[0]"], ["blocks.0.attention[0]", "blocks.1.attention[0]"]),
    ],
)
def test_blocks_and_patterns(capsys: Capture, options: list[str], recorded: list[str]) -> None:
    """What is recorded of a transformer; its blocks are marked, and the reason of the default is said."""
    network = ["helpers.odd_networks:tokens", "--preprocess", "unit", "--input-size", "12"]
    assert main(["layers", *network, "--batch-size", "1", *options]) == 0
    printed = capsys.readouterr().out
    rows = rows_of(printed)
    assert [name[2:] for name in rows if name[0] == "x"] == recorded
    kinds = {name[2:]: row[0] for name, row in rows.items()}
    expected = {
        "blocks.0": "Attending (block)",
        "blocks": "Sequential (container)",
        "blocks.0.norm": "LayerNorm",
    }
    assert {name: kinds[name] for name in expected if name in kinds} == {
        name: kind for name, kind in expected.items() if not options or name in recorded
    }
    assert "By default: blocks (:blocks), because the network has attention" in printed


def test_layers_tell_what_depends_on_the_batch(capsys: Capture) -> None:
    """In a line, and as JSON; of the layers that are recorded."""
    network = ["helpers.odd_networks:centred", "--preprocess", "unit", "--input-size", "12"]
    line = "responses of '1' depend on the other images in the batch: the same image gave others alone"
    assert main(["layers", *network, "--batch-size", "1"]) == 0
    assert f"With noise, {line}.\n" in capsys.readouterr().out
    for layers, told in (("1", [line]), ("0", [])):
        assert main(["layers", *network, "--batch-size", "1", "--layers", layers, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["unsteady"] == told


def test_layers_of_which_some_tokens_count(capsys: Capture) -> None:
    """The table and the JSON have their shapes, and say which layers are whole; what is wrong is one line."""
    network = ["helpers.joined:joined", "--preprocess", "unit", "--input-size", "64"]
    given = ["layers", *network, "--batch-size", "1", "--tokens"]
    assert main([*given, "class"]) == 0
    printed = capsys.readouterr().out
    assert rows_of(printed)["x encoder.layers.1"][1] == "24"
    told = " ".join(printed.split())
    assert "Recorded whole, since no tokens are known in them: 'input', 'head'." in told
    assert "since no class token is known among their tokens: 'patches'; leave out" in told
    assert main([*given, "patches", "--json"]) == 0
    found = {layer["name"]: layer for layer in json.loads(capsys.readouterr().out)["layers"]}
    assert found["norm"]["shape"] == [16, 24]
    assert found["norm"]["tokens"] == {"whole": [17, 24], "first": 1, "count": 16, "averaged": False}
    assert found["head"]["tokens"] is None
    wrong = {
        ("digits", "class"): "digits: none of its layers holds tokens; leave tokens= (--tokens) out",
        ("digits", "cls"): "unknown choice of tokens 'cls'. Did you mean 'class'?",
    }
    for (name, tokens), line in wrong.items():
        assert main(["layers", name, "--tokens", tokens]) == 2
        shown = capsys.readouterr().err
        assert line in " ".join(shown.split())
        assert "Traceback" not in shown


# ------------------------------------------------------------------------------------------------- noise


def pixels_of(folder: Path) -> list[np.ndarray]:
    """Return the pixels of a folder's files in natural order, by Pillow alone."""
    found = []
    for path in sorted(folder.iterdir(), key=lambda path: int(path.stem.rpartition("_")[2])):
        with PIL.Image.open(path) as image:
            found.append(np.asarray(image))
    return found


def test_noise_files_are_the_noise(tmp_path: Path, capsys: Capture) -> None:
    """Pixel by pixel what the seed gives, grey and RGB, and what noise:COUNT measures at that size."""
    arguments = ["noise", f"{tmp_path}/grey", "--count", "12", "--size", "32x32x1", "--seed", "4"]
    assert main(arguments) == 0
    assert told(capsys) == [f"Written to {tmp_path}/grey: 12 images"]
    written = pixels_of(tmp_path / "grey")
    assert len(written) == 12
    for index, pixels in enumerate(written):
        generator = np.random.Generator(np.random.Philox(key=[4, index]))
        assert np.array_equal(pixels, generator.integers(0, 256, (32, 32, 1), dtype=np.uint8)[..., 0])
    sets = {"files": tmp_path / "grey", "made": "noise:12?seed=4", "other": "noise:12?seed=5"}
    result = dif.measure("digits", sets, layers=["input", "block1_pool"], n_units=100, draws=2)
    values = result["differentiation"]
    np.testing.assert_array_equal(values.sel(set="files"), values.sel(set="made"))
    assert (values.sel(set="files") != values.sel(set="other")).all()
    assert main(["noise", f"{tmp_path}/rgb", "--count", "2", "--size", "6x9"]) == 0
    generator = np.random.Generator(np.random.Philox(key=[0, 1]))
    expected = generator.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    assert np.array_equal(pixels_of(tmp_path / "rgb")[1], expected)


def test_scrambled_files_are_the_images(tmp_path: Path, capsys: Capture) -> None:
    """Pixel by pixel what scramble:SOURCE measures at that size, with the names of the source's images."""
    arguments = ["scramble", "digits:5", f"{tmp_path}/pixels", "--kind", "pixels", "--size", "32x32x1"]
    assert main([*arguments, "--seed", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [f"{tmp_path}/pixels/{place}.png" for place in range(5)]
    sets = {
        "digits": "digits:5",
        "files": f"{tmp_path}/pixels",
        "made": "scramble:digits?kind=pixels&seed=4",
        "other": "scramble:digits?kind=pixels&seed=5",
    }
    values = dif.measure("digits", sets, layers=["input", "block1_pool"], n_units=100)["differentiation"]
    np.testing.assert_array_equal(values.sel(set="files"), values.sel(set="made"))
    for name in ("digits", "other"):
        assert (values.sel(set="files") != values.sel(set=name)).all()
    blocks = ["scramble", "digits:2", f"{tmp_path}/blocks", "--kind", "blocks", "--size", "8x8x1"]
    assert main([*blocks, "--block-size", "4"]) == 0
    (first, *_), whole = pixels_of(tmp_path / "blocks"), load_digits()[0][0]
    corners = {whole[y : y + 4, x : x + 4].tobytes() for y in (0, 4) for x in (0, 4)}
    assert {first[y : y + 4, x : x + 4].tobytes() for y in (0, 4) for x in (0, 4)} == corners


def test_gaussian_noise_files(tmp_path: Path) -> None:
    """Mean and SD are those that were asked for; without them the notebook's."""
    for options, mean, sd in (([], 127.5, 59.0), (["--mean", "90", "--sd", "8"], 90.0, 8.0)):
        folder = tmp_path / f"{mean}"
        assert (
            main(["noise", str(folder), "--count", "2", "--size", "40", "--kind", "gaussian", *options]) == 0
        )
        for index, pixels in enumerate(pixels_of(folder)):
            values = np.random.Generator(np.random.Philox(key=[0, index])).normal(mean, sd, (40, 40, 3))
            assert np.array_equal(pixels, values.round().clip(0, 255).astype(np.uint8))


# ------------------------------------------------------------------------------------------------ select


def table(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV by their headings."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_select_writes_a_folder(digit_files: DigitFiles, tmp_path: Path, capsys: Capture) -> None:
    """The files of the class and the table; then it can be measured; it is not written twice."""
    arguments = ["select", "digits", str(digit_files.folder), "--class", "3", "--out", f"{tmp_path}/threes"]
    expected = digit_files.of(3)
    assert main(arguments) == 0
    (line,) = told(capsys)
    looked_at = len(digit_files.names)
    summary = (
        f"{len(expected)} of {looked_at} images are of class '3' (at least 0.5); written to {tmp_path}/threes"
    )
    assert line == summary
    rows = table((tmp_path / "threes" / "selection.csv").read_text(encoding="utf-8"))
    assert [row["file"] for row in rows] == list(expected)
    given = [float(row["probability"]) for row in rows]
    np.testing.assert_allclose(given, list(expected.values()), atol=2e-6)
    names = {path.name for path in (tmp_path / "threes").iterdir()}
    assert names == {*expected, "selection.csv"}
    assert main(arguments) == 2
    assert told(capsys)[0].startswith(f"differentia: {tmp_path}/threes: already exists; name a new folder")


def test_select_by_another_layer(photos: Path, capsys: Capture) -> None:
    """The probabilities are those of the layer that is named: its classes are as many as it has units."""
    arguments = ["select", "helpers.odd_networks:heads", str(photos), "--preprocess", "unit"]
    arguments += ["--input-size", "12", "--min-probability", "0", "--json", "--dry-run", "--class"]
    for options, classes in (([], 3), (["--class-layer", "classes"], 4)):
        probabilities = np.zeros(3)
        for number in range(classes):
            assert main([*arguments, str(number), *options]) == 0
            by_name = {
                one["name"]: one["probability"] for one in json.loads(capsys.readouterr().out)["images"]
            }
            probabilities += [by_name[f"{place}.png"] for place in range(3)]
        np.testing.assert_allclose(probabilities, 1, atol=1e-5)
        assert main([*arguments, str(classes), *options]) == 2
        assert f"has no class {classes}; its {classes} classes are 0 to" in told(capsys)[0]


def test_a_folder_in_the_way_is_told_first(
    digit_files: DigitFiles, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a network is loaded, and images are looked at."""
    monkeypatch.setattr("differentia.networks.load.load_network", None)
    folder = str(digit_files.folder)
    assert main(["select", "digits", folder, "--class", "3", "--out", folder]) == 2
    assert told(capsys)[0].startswith(f"differentia: {folder}: already exists")
    assert main(["select", "digits", folder, "--class", "3", "--dry-run"]) == 1  # the network is needed


def test_dry_run_and_json_write_nothing(
    digit_files: DigitFiles, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table, or the same as JSON, on stdout; --count and --batch-size as in the library."""
    monkeypatch.chdir(tmp_path)
    arguments = ["select", "digits", str(digit_files.folder), "--class", "3", "--dry-run", "--out", "x"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    expected = digit_files.of(3)
    assert [Path(row["source"]).name for row in table(captured.out)] == list(expected)
    assert captured.err.strip().endswith("images are of class '3' (at least 0.5)")
    options = ["--count", "1", "--batch-size", "1", "--min-probability", "0.9", "--json"]
    assert main([*arguments, *options]) == 0
    captured = capsys.readouterr()
    given = json.loads(captured.out)
    (found,) = given["images"]
    first = next(name for name in digit_files.names if name in digit_files.of(3, 0.9))
    assert (found["name"], found["best_class"]) == (first, "3")
    assert found["path"] == str(digit_files.folder / first)
    assert found["probability"] == pytest.approx(expected[first], abs=1e-6)
    seen = digit_files.names.index(first) + 1
    assert (given["class_name"], given["looked_at"], given["skipped"]) == ("3", seen, [])
    summary = f"1 of {seen} images are of class '3' (at least 0.9), at which the search stopped"
    assert captured.err.strip() == summary
    assert list(tmp_path.iterdir()) == []


def test_select_links(digit_files: DigitFiles, tmp_path: Path, capsys: Capture) -> None:
    """Links are told to need --follow-links, and measure takes them with it."""
    folder = str(digit_files.folder)
    arguments = ["select", "digits", folder, "--class", "3", "--how", "link", "--out", f"{tmp_path}/links"]
    assert main(arguments) == 0
    assert told(capsys)[0].endswith("as links: measure them with --follow-links")
    measured = ["measure", "digits", "--set", f"threes={tmp_path}/links", *FAST, "--out", f"{tmp_path}/out"]
    assert main(measured) == 2
    assert "a link that leads out of" in told(capsys)[0]
    assert main([*measured, "--follow-links"]) == 0
    result = dif.load_result(tmp_path / "out" / "result.nc")
    assert sorted(result["image_name"].values) == sorted(digit_files.of(3))


#: A network that finds red, green or blue, and knows names and WordNet identifiers of its classes.
COLOURS = """
import torch
from differentia.networks.torch import TorchNetwork
class Colours(torch.nn.Module):
    def forward(self, x):
        seen = 20 * x.mean((2, 3))
        return torch.cat([seen, 0 * seen[:, :2]], dim=1)
names = ("Tiger_cat", "sea lion", "crane", "crane", "ship")
known = {"class_names": names, "class_ids": ("n01", "n02", "n03", "n04", "n05")}
named = TorchNetwork(Colours(), name="named", preprocess="unit", input_shape=(4, 4, 3), **known)
unnamed = TorchNetwork(Colours(), name="unnamed", preprocess="unit", input_shape=(4, 4, 3))
"""


def test_select_by_name_and_identifier(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By number, identifier, or name however it is spelt; what is not clear is told in one line."""
    (tmp_path / "net_of_colours.py").write_text(COLOURS)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shown" / "deep").mkdir(parents=True)
    for name, colour in {"r.png": "red", "g.png": "lime", "deep/b.png": "blue"}.items():
        PIL.Image.new("RGB", (4, 4), colour).save(tmp_path / "shown" / name)
    arguments = ["select", "net_of_colours:named", "shown/**/*.png", "--json", "--dry-run", "--class"]
    found = {
        "tiger-cat": "r.png",
        "TIGER CAT": "r.png",
        "Sea_Lion": "g.png",
        "1": "g.png",
        "n03": "deep/b.png",
        "2": "deep/b.png",
    }
    for wanted, name in found.items():
        assert main([*arguments, wanted]) == 0
        (image,) = json.loads(capsys.readouterr().out)["images"]
        assert image["name"] == name
        assert image["probability"] == pytest.approx(np.exp(20) / (np.exp(20) + 4), abs=1e-6)
    wrong = {
        "crane": "named has several classes called 'crane'; give the number of one: 2 (n03), 3 (n04)",
        "sea lyon": "unknown class 'sea lyon'. Did you mean 'sea_lion'? Known: crane, crane, sea_lion, ship,",
        "5": "named has no class 5; its 5 classes are 0 to 4",
        "": "unknown class ''. Known: ",
    }
    for wanted, line in wrong.items():
        assert main([*arguments, wanted]) == 2
        (said,) = told(capsys)
        assert said.startswith(f"differentia: {line}")
    arguments[1] = "net_of_colours:unnamed"
    assert main([*arguments, "1"]) == 0
    assert json.loads(capsys.readouterr().out)["images"][0]["best_class"] == "1"
    assert main([*arguments, "ship"]) == 2
    assert told(capsys)[0].startswith("differentia: the names of the classes of unnamed are not known; give")
    assert main(["select", "net_of_colours:named", "shown/**/*.png", "--class", "n03", "--out", "blue"]) == 0
    assert sorted(path.name for path in Path("blue").iterdir()) == ["deep__b.png", "selection.csv"]


# ---------------------------------------------------------------------------------- report and published


@pytest.mark.pictures
@pytest.mark.slow
def test_report_is_written_again(tmp_path: Path, capsys: Capture) -> None:
    """The deleted report and figures come back as they were, from what is on disk."""
    assert main(["measure", "digits", *NOISE, *FAST, "--out", f"{tmp_path}/out"]) == 0
    figures = tmp_path / "out" / "figures"
    before = {path.name: path.read_bytes() for path in figures.iterdir() if path.suffix == ".png"}
    assert {"differentiation.png", "relative.png"} <= set(before)
    page = (tmp_path / "out" / "report.html").read_bytes()
    for path in [*figures.iterdir(), tmp_path / "out" / "report.html"]:
        path.unlink()
    capsys.readouterr()
    assert main(["report", f"{tmp_path}/out"]) == 0
    report = tmp_path / "out" / "report.html"
    assert told(capsys) == [
        f"Written to {tmp_path}/out: figures/, report.html",
        f"Open {report} in a browser",
    ]
    assert report.read_bytes() == page
    after = {path.name: path.read_bytes() for path in figures.iterdir() if path.suffix == ".png"}
    assert after == before
    assert main(["report", f"{tmp_path}/out", "--json"]) == 0
    written = {str(path) for path in [*figures.iterdir(), report]}
    assert set(json.loads(capsys.readouterr().out)) == written


@pytest.mark.pictures
def test_report_takes_no_strangers(tmp_path: Path, capsys: Capture) -> None:
    """Other files beside result.nc are no kinds of it; one of another kind than its name says is an error."""
    assert main(["measure", "digits", *NOISE, *FAST, "--out", f"{tmp_path}/out"]) == 0
    shutil.copy(tmp_path / "out" / "result.nc", tmp_path / "out" / "result_old.nc")
    assert main(["report", f"{tmp_path}/out"]) == 0
    assert not list((tmp_path / "out" / "figures").glob("kinds.*"))
    shutil.copy(tmp_path / "out" / "result.nc", tmp_path / "out" / "result_top.nc")
    capsys.readouterr()
    assert main(["report", f"{tmp_path}/out"]) == 2
    (line,) = told(capsys)
    assert "result_top.nc: is of units 'random', beside a result.nc of 'random'; take the file" in line


def test_a_pattern_below_a_folder_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets in the folder's own name are no pattern; a folder that they would match is left alone."""
    for name in ("q[a]", "qa"):
        (tmp_path / name).mkdir()
        for index in range(2):
            pixels = np.random.default_rng(index).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            PIL.Image.fromarray(pixels).save(tmp_path / name / f"{name}_{index}.png")
    monkeypatch.chdir(tmp_path / "q[a]")
    assert main(["measure", "digits", "--set", "c=*.png", *FAST, "--out", "out"]) == 0
    monkeypatch.chdir("/")
    again = tmp_path / "again"
    assert main(["run", f"{tmp_path}/q[a]/out", "--out", str(again)]) == 0
    assert dif.load_result(again / "result.nc")["image_name"].values.tolist() == ["q[a]_0.png", "q[a]_1.png"]


@pytest.fixture
def vgg16(tmp_path: Path) -> Path:
    """A folder with a result of VGG16's layers, the cats a hundredth above the published ones but once."""
    result = vgg16_result(sets=("white_noise", "cats"), n_units=(200, 300))
    published = dif.published_curves()["differentiation"]
    values = result["differentiation"]
    values.loc[{"set": "cats", "n_units": 200}] = (
        published.sel(set="tabby_cats", n_units=200, drop=True) + 0.01
    )
    values.loc[{"set": "cats", "n_units": 200, "layer": "block3_pool"}] -= 0.26
    values.loc[{"set": "cats", "n_units": 200, "layer": "flatten"}] = np.nan
    (tmp_path / "vgg16").mkdir()
    dif.save(result, tmp_path / "vgg16" / "result.nc")
    return tmp_path / "vgg16"


def test_published_prints_the_differences(vgg16: Path, capsys: Capture) -> None:
    """What was put in, by --set for another name; a folder or its file; NaN is null and not the largest."""
    assert main(["published", str(vgg16), "--set", "cats=tabby_cats", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["layer"] for one in found] == list(dif.published_curves()["layer"].values)
    assert {(one["set"], one["n_units"]) for one in found} == {("cats", 200)}
    expected = {"block3_pool": pytest.approx(-0.25), "flatten": None}
    for one in found:
        assert one["difference"] == expected.get(one["layer"], pytest.approx(0.01)), one["layer"]
    assert main(["published", f"{vgg16}/result.nc", "--set", "cats=tabby_cats"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "Largest difference: -0.250 (cats, block3_pool)"
    assert printed.startswith("cats: VGG16 and the published curves\n")
    rows = rows_of(printed)
    assert len(rows) == 21
    last = float(dif.published_curves()["differentiation"].sel(set="tabby_cats", layer="input", n_units=200))
    assert rows["input"][:4] == ["200", f"{last + 0.01:.3f}", f"{last:.3f}", "0.010"]
    assert main(["published", str(vgg16), "--json"]) == 0  # by its own names
    assert {one["set"] for one in json.loads(capsys.readouterr().out)} == {"white_noise"}


@pytest.mark.parametrize(
    ("sets", "line"),
    [
        (["cats"], "--set is 'cats'; expected NAME=PUBLISHED, such as cats=tabby_cats"),
        (["cats=tabby"], "unknown published set 'tabby'. Did you mean 'tabby_cats'? Known: white_noise, "),
        (
            ["dogs=tabby_cats"],
            "unknown set of the result 'dogs'. Known: white_noise, cats",
        ),
        (["cats=tabby_cats", "cats=white_noise"], "two sets have the name 'cats'; give each its own"),
    ],
)
def test_published_with_wrong_sets(vgg16: Path, capsys: Capture, sets: list[str], line: str) -> None:
    """One line that says which there are."""
    assert main(["published", str(vgg16), *(part for text in sets for part in ("--set", text))]) == 2
    (said,) = told(capsys)
    assert said.startswith(f"differentia: {line}")


def test_published_without_a_match(tmp_path: Path, capsys: Capture) -> None:
    """The way out is told as it is typed here, too."""
    dif.save(vgg16_result(sets=("cats", "noise")), tmp_path / "r.nc")
    assert main(["published", f"{tmp_path}/r.nc"]) == 2
    assert told(capsys)[0].endswith("sets={'cats': 'white_noise'} (--set cats=white_noise)")


# ------------------------------------------------------------------------------------------- wrong input


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with files of wrong kinds."""
    monkeypatch.chdir(tmp_path)
    for name in ("cats", "empty", "cut", "foreign"):
        (tmp_path / name).mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 9), dtype=np.uint8)
    for index in range(3):
        PIL.Image.fromarray(pixels[index]).save(tmp_path / "cats" / f"{index}.png")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "cut" / "result.nc").write_bytes(b"\x89HDF\r\n\x1a\n")
    xr.Dataset({"a": ("x", [1, 2])}).to_netcdf(tmp_path / "foreign" / "result.nc", engine="h5netcdf")
    return tmp_path


LONG = "a" * 300
SELECT = ["select", "digits", "cats", "--min-probability", "0"]
DRY = [*SELECT, "--class", "3", "--dry-run"]
MEASURE = ["measure", "digits", *NOISE, *FAST]
EMPTY_PATH = "an empty path was given; name a file or a folder"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["demo", "--out", ""], "--out is missing; name the folder to write to: --out DIR"),
        (["demo", "--out", "binary"], "--out binary: binary is a file; name a folder"),
        (
            [*MEASURE, "--out", "~no_such_user/x"],
            "~no_such_user/x: can't be a path (Could not determine home",
        ),
        ([*MEASURE, "--out", LONG], f"{LONG}: can't be a path (File name too long)"),
        ([*MEASURE, "--out", "a\0"], "a\\u0000: can't be a path (embedded null byte)"),
        ([*MEASURE, "--out", "binary/x"], "--out binary/x: binary is a file; name a folder"),
        (
            [*MEASURE, "--out", "o", "--units", "random,random"],
            "--units: 'random' is given twice; give it once",
        ),
        (
            [*MEASURE, "--out", "o", "--units", ""],
            "--units: unknown kind of units ''. Known: ",
        ),
        (
            [*MEASURE, "--out", "o", "--units", "random,tops"],
            "--units: unknown kind of units 'tops'. Did you mean 'top'?",
        ),
        ([*MEASURE, "--out", "o", "--map", "input"], "--map is 'input'; expected LAYER:FILTER"),
        (
            [*MEASURE, "--out", "o", "--map", "input:1"],
            "maps (--map): layer 'input' has no channel 1; it has 1",
        ),
        (
            [*MEASURE, "--out", "o", "--map", "imput:0"],
            "unknown layer for maps (--map) 'imput'. Did you mean",
        ),
        (
            [*MEASURE, "--out", "o", "--map", "predictions:0"],
            "maps (--map): layer 'predictions' has the shape",
        ),
        (
            [*MEASURE, "--out", "o", "--map", "input:0", "--map-images", "3,9"],
            "map_images (--map-images) is (3, 9), but the largest set has 3 images, numbered from 0 to 2",
        ),
        (
            [*MEASURE, "--out", "o", "--map-images", "0"],
            "map_images (--map-images) goes with maps (--map) only; give both",
        ),
        (
            [*MEASURE, "--out", "o", "--map", "input:0", "--map-images", ""],
            "--map-images: ''; expected a whole number",
        ),
        (["run", ""], EMPTY_PATH),
        (["run", "gone.toml"], "gone.toml: no such file; give an experiment file"),
        (
            ["run", "cats"],
            "cats: holds no experiment.toml; name an experiment file, or the folder of one",
        ),
        (["run", "binary"], "binary: can't be read as TOML: 'utf-8' codec can't decode"),
        (["run", "~no_such_user/x"], "~no_such_user/x: can't be a path"),
        (["layers", ""], "unknown network ''. Known: digits"),
        (["layers", "digits", "--layers", ""], "--layers: ''; expected a text"),
        (["layers", "digits", "--layers", "blok*"], "no layer matches 'blok*'; the nearest names begin with"),
        (
            ["layers", "digits", "--units", "tops"],
            "--units: unknown kind of units 'tops'. Did you mean 'top'?",
        ),
        (["layers", "digits", "--n-units", "0"], "--n-units: '0'; expected at least 1"),
        (
            ["layers", "digits", "--batch-size", "0"],
            "--batch-size: '0'; expected at least 1",
        ),
        (["layers", "cats/0.png"], "unknown network 'cats/0.png'. Known: digits"),
        (["noise", ""], EMPTY_PATH),
        (["noise", "cats"], "cats: already exists; name a new folder"),
        (["noise", "."], ".: already exists; name a new folder"),
        (["noise", "gone/.."], "gone/..: already exists; name a new folder"),
        (["noise", "binary"], "binary: already exists; name a new folder"),
        (["noise", "binary/x"], "binary/x: can't be written ("),
        (["noise", LONG], f"{LONG}: can't be a path (File name too long)"),
        (["noise", "n", "--count", "0"], "--count: '0'; expected at least 1"),
        (["noise", "n", "--count", "x"], "--count: 'x'; expected a whole number"),
        (
            ["noise", "n", "--size", "0"],
            "--size: '0'; expected 224, 224x192 (height x width)",
        ),
        (["noise", "n", "--size", "9x9x2"], "--size: '9x9x2'; expected 224"),
        (
            ["noise", "n", "--kind", "brown"],
            "--kind: unknown kind of noise 'brown'. Known: uniform, gaussian, pink",
        ),
        (
            ["noise", "n", "--sd", "5"],
            "noise: sd goes with kind='gaussian' or kind='pink' only; add kind=gaussian",
        ),
        (["noise", "n", "--exponent", "2"], "noise: exponent goes with kind='pink' only; add kind=pink"),
        (["scramble", "cats", "binary"], "binary: already exists; name a new folder"),
        (["scramble", "nowhere", "n"], "nowhere: no such file or folder; check the path"),
        (["scramble", "cats", "n", "--kind", "x"], "--kind: unknown kind of scrambling 'x'. Known: phase, "),
        (
            ["scramble", "cats", "n", "--axis", "time"],
            "scramble: axis='time' is for films, whose images follow one another in time; those of cats do "
            "not: leave axis out",
        ),
        (
            ["scramble", "cats", "n", "--block-size", "4"],
            "scramble: size goes with kind='blocks' only; add kind=blocks",
        ),
        (
            ["scramble", "cats", "n", "--kind", "blocks", "--block-size", "0"],
            "--block-size: '0'; expected at",
        ),
        (
            ["noise", "n", "--kind", "gaussian", "--sd", "x"],
            "--sd: 'x'; expected a number",
        ),
        (
            ["noise", "n", "--kind", "gaussian", "--mean", "nan"],
            "--mean: 'nan'; expected a number",
        ),
        (["noise", "n", "--seed", "-1"], "--seed: '-1'; expected at least 0"),
        (
            ["noise", "n", "--seed", "9" * 20],
            f"--seed: '{'9' * 20}'; expected less than 9,223,372,036,854,775,808",
        ),
        (SELECT, "--class is missing; give a class's number, WordNet identifier or name"),
        ([*SELECT, "--class", "3"], "--out is missing; name a new folder: --out DIR (or --dry-run)"),
        ([*SELECT, "--class", "", "--dry-run"], "unknown class ''. Known: 0, 1, 2"),
        ([*SELECT, "--class", "10", "--dry-run"], "digits has no class 10; its 10 classes are 0 to 9"),
        ([*SELECT, "--class", "-1", "--dry-run"], "unknown class '-1'. Did you mean '1'?"),
        ([*DRY, "--count", "0"], "--count: '0'; expected at least 1"),
        ([*DRY, "--min-probability", "2"], "--min-probability: '2'; expected at most 1"),
        (
            [*DRY, "--min-probability", "nan"],
            "--min-probability: 'nan'; expected a number",
        ),
        (
            [*DRY, "--how", "move"],
            "--how: unknown way to keep images 'move'. Known: copy, link, list",
        ),
        (
            [*DRY, "--resize", "x"],
            "--resize: unknown resize filter 'x'. Did you mean 'box'?",
        ),
        ([*SELECT, "--class", "3", "--out", "cats"], "cats: already exists; name a new folder"),
        (
            [*SELECT, "--class", "3", "--out", "cats/../cats"],
            "cats/../cats: already exists; name a new folder",
        ),
        ([*SELECT, "--class", "3", "--out", LONG], f"{LONG}: can't be a path (File name too long)"),
        (
            ["select", "digits", "", "--class", "3", "--dry-run"],
            "an empty path was given; name a folder, a glob",
        ),
        (["select", "digits", "gone", "--class", "3", "--dry-run"], "gone: no such file or folder"),
        (["select", "digits", "empty", "--class", "3", "--dry-run"], "empty: no images in this folder"),
        (["select", "digits", "binary", "--class", "3", "--dry-run"], "binary: can't be read as an image"),
        (
            ["select", "digits", "cats", "--class", "3", "--min-probability", "1", "--out", "o"],
            "cats: 0 of 3 images are of class '3' (at least 1); lower --min-probability, or choose another",
        ),
        (
            ["select", "digits", "noise:2", "--class", "3", "--min-probability", "0", "--out", "o"],
            "noise:2: these images are no files; --how list or --dry-run lists them",
        ),
        (["report", ""], EMPTY_PATH),
        (["report", "gone"], "gone: no such folder or file; name a folder that measure wrote"),
        (["report", "cats"], "cats: holds no result.nc; name a folder that measure wrote"),
        (["report", "binary"], "binary: is a file; name the folder that it lies in"),
        (["report", "cut"], "cut/result.nc: can't be read as netCDF-4 ("),
        (["report", "foreign"], "foreign/result.nc is not a result of differentia: schema_version, "),
        (["report", LONG], f"{LONG}: can't be a path (File name too long)"),
        (["published", ""], EMPTY_PATH),
        (["published", "gone"], "gone: no such folder or file; name a folder that measure wrote"),
        (["published", "cats"], "cats: holds no result.nc; name a folder that measure wrote"),
        (["published", "binary"], "binary: can't be read as netCDF-4 ("),
        (["published", "foreign"], "foreign/result.nc is not a result of differentia: schema_version, "),
        (["published", "~no_such_user"], "~no_such_user: can't be a path (Could not determine home"),
        (
            ["status", "cats"],
            "cats: holds no responses.zarr, and is none; name the folder of a run that keeps",
        ),
        (["status", "binary"], "binary: is a file; name the folder of a run, or its responses.zarr"),
        (["status", LONG], f"{LONG}: can't be a path (File name too long)"),
    ],
)
def test_wrong_input_is_one_line(hostile: Path, capsys: Capture, arguments: list[str], line: str) -> None:
    """Exit code 2 and one line; nothing was written but perhaps an empty folder."""
    before = {path for path in hostile.rglob("*") if path.is_file()}
    assert main(arguments) == 2
    (said,) = told(capsys)
    assert said.startswith("differentia: " + " ".join(line.split()))
    assert "Traceback" not in said
    assert {path for path in hostile.rglob("*") if path.is_file()} == before
    assert not (hostile / "gone").exists()


def test_a_folder_that_another_run_holds(tmp_path: Path, capsys: Capture) -> None:
    """Exit code 1, one line that says who, and nothing in the folder is touched; afterwards it goes."""
    out = tmp_path / "out"
    measure = ["measure", "digits", "--set", "noise=noise:3", *FAST, "--out", str(out)]
    assert main(measure) == 0
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with held(out):
        for arguments in (measure, ["report", str(out)]):
            assert main(arguments) == 1
            assert f"differentia: {out}: is in use by process " in "".join(told(capsys))
        inside = {path: path.stat().st_mtime_ns for path in out.rglob("*") if IN_USE not in path.parts}
        assert inside == before
    assert main(["report", str(out)]) == 0
    assert {path.name for path in out.rglob("*")} == {path.name for path in before}


# --------------------------------------------------------------------------------------- demo and contrast


@pytest.mark.pictures
@pytest.mark.slow
def test_demo_shows_the_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The demo, whole: noise falls, one digit collapses at the end, all digits stay high."""
    started = time.monotonic()
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    assert time.monotonic() - started < 60
    result = dif.load_result(tmp_path / "demo" / "result.nc")
    values = result["differentiation"].isel(n_units=-1).mean("draw")
    noise, one, all_digits = (values.sel(set=name) for name in ("white_noise", "threes", "all_digits"))
    assert float(noise.sel(layer="input")) == pytest.approx(np.sqrt(2), abs=0.01)
    assert float(noise.sel(layer="predictions")) < 0.5
    assert (one[:-1] > 0.5).all()
    assert float(one.sel(layer="predictions")) < 0.05
    assert (all_digits > 0.9).all()
    assert float(all_digits.sel(layer="predictions")) > 1.3
    assert (all_digits > one).all()
    report = tmp_path / "demo" / "report.html"
    assert capsys.readouterr().err.splitlines()[-1] == f"Open {report} in a browser"
    assert report.stat().st_size < 8e6


@pytest.mark.pictures
def test_a_contrast_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The library's numbers, as a table and as JSON; wrong names are one line, and exit with 2."""
    out = str(tmp_path / "out")
    sets = ["--set", "noise=noise:12", "--set", "threes=digits:12?digit=3", "--set", "all=digits:12"]
    options = ["--layers", "block1_pool,predictions", "--n-units", "50"]
    assert main(["measure", "digits", *sets, *options, "--no-views", "--out", out]) == 0
    result = dif.load_result(tmp_path / "out" / "result.nc")
    table = capsys.readouterr().out
    limits = [
        result[f"differentiation_{end}"].sel(source="images", set="all", n_units=50)
        for end in ("low", "high")
    ]
    low, high = (float(limit.sel(layer="predictions")) for limit in limits)
    assert f"[{low:.2f}, {high:.2f}]" in table
    assert "95 %: other images" in table
    assert "With 12 images of each set, values are known to ±" in table
    assert (tmp_path / "out" / "figures" / "contrast.png").is_file()

    found = dif.contrast(result, "threes", "all")
    arguments = ["contrast", out, "threes", "all"]
    assert main([*arguments, "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["layer"] for record in records] == ["block1_pool", "predictions"]
    for name in ("difference", "ratio_low", "difference_high_simultaneous", "p", "p_corrected"):
        told = [np.nan if record[name] is None else record[name] for record in records]
        assert told == pytest.approx(found[name].values.tolist(), nan_ok=True)
    assert records[0]["p"] is not None
    assert records[0]["first"] == "threes"
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    for record in records:
        if record["p"] is None:
            continue
        interval = f"[{record['difference_low']:.2f}, {record['difference_high']:.2f}]"
        cell = rows_of(printed)[record["layer"]][0]
        assert cell.split(maxsplit=1) == [f"{record['difference']:.2f}", interval]
    differ = [record["layer"] for record in records if (record["p_corrected"] or 1.0) < 0.05]
    tests = f"{records[0]['n_tests']} layer{'s' * (records[0]['n_tests'] > 1)}"
    last = printed.splitlines()[-1]
    assert last.startswith(f"They differ in {len(differ)} of 2 layers (p < 0.05, corrected over {tests})")
    unknown = [record["layer"] for record in records if record["p"] is None]
    assert unknown
    assert f" No interval for threes in {unknown[0]}: " in last
    assert " Images are in two sets (threes and all: 3): contrasts allow for that" in last

    assert main([*arguments, "--json", "--confidence", "0.8"]) == 0
    narrow = json.loads(capsys.readouterr().out)
    assert [record["confidence"] for record in narrow] == [0.8, 0.8]
    assert narrow[0]["difference_low"] > records[0]["difference_low"]
    assert narrow[0]["p"] == records[0]["p"]
    assert main([*arguments, "--confidence", "0.8"]) == 0
    assert "[80 %: other images]" in capsys.readouterr().out

    for wrong, message in (
        (["contrast", out, "threes", "al"], "unknown set 'al'. Did you mean 'all'"),
        (["contrast", str(tmp_path), "threes", "all"], "holds no result.nc"),
        ([*arguments, "--confidence", "95"], "confidence is 95.0; expected a number from 0.5 to below 1"),
        ([*arguments, "--confidence", "half"], "--confidence: 'half'; expected a number"),
    ):
        assert main(wrong) == 2
        captured = capsys.readouterr()
        assert message in captured.err
        assert len(captured.err.splitlines()) == 1


@pytest.mark.pictures
def test_paired_images_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Images of the same names belong together, which the table and JSON say."""
    rng = np.random.default_rng(0)
    responses = rng.normal(size=(14, 60))
    arrays = {
        "before": {"V1": responses, "LM": rng.normal(size=(14, 60))},
        "after": {"V1": responses + 0.1 * rng.normal(size=(14, 60)), "LM": rng.normal(size=(14, 60))},
    }
    result = dif.measure_responses(arrays)
    names = [f"trial {place % 14}" for place in range(28)]
    nothing = result["doubt"].copy(data=np.full(result["doubt"].shape, ""))
    result = dif.with_intervals(result.assign(doubt=nothing).assign_coords(image_name=("image", names)))
    dif.save(result, tmp_path / "result.nc")
    found = dif.contrast(result, "before", "after", paired=True)
    arguments = ["contrast", str(tmp_path), "before", "after", "--paired"]
    assert main([*arguments, "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["paired"] for record in records] == [1, 1]
    assert [record["p"] for record in records] == pytest.approx(found["p"].values.tolist())
    assert main(arguments) == 0
    assert "before and after, paired, all neurons [95 %: other stimuli]" in capsys.readouterr().out
    alone = dif.contrast(result, "before", "after")
    assert float(alone["difference_high"][0]) > float(found["difference_high"][0])
    names[0] = "another"
    dif.save(result.assign_coords(image_name=("image", names)), tmp_path / "result.nc")
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "do not belong together two by two ('another' has no partner)" in line


def test_statistics_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The library's numbers, as tables, as JSON and in a file; a mistake is one line, and exits with 2."""
    rng = np.random.default_rng(0)
    sets = {
        name: {"V1": rng.normal(size=(12, 30)) + shift}
        for name, shift in (("a,b", 0.0), ("c", 1.0), ("d", 0.0))
    }
    path = str(tmp_path / "result.nc")
    result = dif.measure_responses(sets)
    dif.save(result, path)
    found = dif.statistics(result)
    table = dif.to_dataframe(found)

    assert main(["statistics", path, "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    for name in table.columns:
        told = [np.nan if record[name] is None else record[name] for record in records]
        assert told == (
            pytest.approx(table[name].tolist(), nan_ok=True)
            if table[name].dtype == float
            else table[name].tolist()
        )

    assert main(["statistics", path]) == 0
    printed = capsys.readouterr().out
    assert "Median distances between a,b and c, and within [95 %: other stimuli]" in printed
    assert rows_of(printed)["V1"][1].startswith(f"{found['dimensionality'].values[0, 0]:.2f}")
    assert "Stimuli: a,b 12, c 12, d 12. Dimensions are at most one less" in printed
    written = tmp_path / "all.parquet"
    options = ["--pair", "d,a,b", "--quantiles", "0.5", "--confidence", "0.8", "--table", str(written)]
    assert main(["statistics", path, *options]) == 0
    printed = capsys.readouterr().out
    assert "between a,b and d, and within [80 %" in printed
    assert printed.count("Median distances between") == 1
    expected = dif.to_dataframe(dif.statistics(result, pairs=[("a,b", "d")], quantiles=[0.5], confidence=0.8))
    pd.testing.assert_frame_equal(pd.read_parquet(written), expected, check_dtype=False)

    dif.save(dif.measure_responses(sets, metric="cosine"), path)
    assert main(["statistics", path]) == 0
    printed = capsys.readouterr().out
    assert (
        "only dimensionality is computed: the result's distances are Euclidean, not by the metric 'cosine'"
        in printed
    )
    assert "Median distances" not in printed

    for wrong, message in (
        (["--pair", "c,e"], "unknown set 'e'"),
        (["--pair", "c"], "--pair is 'c'; expected the names of two sets"),
        (["--pair", "c,c"], "both sets are 'c'"),
        (["--quantiles", "0.5,x"], "--quantiles: 'x'; expected a number"),
        (["--quantiles", "2"], "expected numbers from 0 to 1"),
        (["--table", "a.xls"], "unknown ending of a table '.xls'"),
        (["--confidence", "95"], "confidence is 95.0"),
    ):
        assert main(["statistics", path, *wrong]) == 2
        captured = capsys.readouterr()
        assert message in captured.err
        assert len(captured.err.splitlines()) == 1
