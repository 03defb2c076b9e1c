"""What a result is: a stranger's is refused where it could mislead, swell, or reach out of its file."""

from __future__ import annotations

import csv
import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.odd_networks import partly_without_channels, without_channels
from helpers.results import IMAGES, neurons, viewed

import differentia as dif
from differentia.cli import main
from differentia.results.dataset import with_provenance
from differentia.results.descriptions import described
from differentia.results.schema import (
    MOST_PROVENANCE,
    _usable,
    require_whole,
    validate_result,
    what_is_left,
)
from differentia.results.tables import save_predictions, table_rows

NOT_ONE = r"^the result is not a result of differentia: "
SCRIPT = "<script>alert(1)</script>"


@cache
def whole() -> xr.Dataset:
    """Return a result with all views, and what a table says of its images, which no test may change."""
    result = viewed(maps={"conv": [3]})
    weights, notes = [0.5, np.nan, 2, 3, 4, 5, 6], ["", "a", "b", SCRIPT, "d", "e", "f"]
    return described(result.assign_coords(image_weight=("image", weights), image_note=("image", notes)))


@cache
def recorded() -> xr.Dataset:
    """Return a result of responses at hand, which no test may change."""
    return neurons()


def changed(name: str, change: Callable[[np.ndarray], Any]) -> xr.Dataset:
    """Return the result with other values of a variable or label."""
    variable = whole()[name]
    values = change(variable.values.copy())
    return whole().assign({name: (variable.dims, values, variable.attrs)})


def first(value: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return what replaces the first value, whatever type that needs."""

    def replace(values: np.ndarray) -> np.ndarray:
        values = values.astype(object) if isinstance(value, str) else values
        values.flat[0] = value
        return values

    return replace


def text(values: np.ndarray) -> np.ndarray:
    """Return numbers as text."""
    return values.astype(str)


#: By what the error says: the variable, and what it is changed to.
WRONG_VALUES: list[tuple[str, str, Callable[[np.ndarray], Any]]] = [
    ("differentiation is of type <U32; expected floating numbers", "differentiation", text),
    ("differentiation is of type object", "differentiation", lambda values: values.astype(object)),
    ("differentiation is of type complex", "differentiation", lambda values: values + 1j),
    (r"differentiation holds -1\.0; expected 0 or more, and no infinity", "differentiation", first(-1.0)),
    ("differentiation holds inf; expected 0 or more, and no infinity", "differentiation", first(np.inf)),
    ("differentiation_low lies above differentiation_high", "differentiation_low", lambda v: v + 100.0),
    (r"differentiation_high holds -9\.0; expected 0 or more", "differentiation_high", first(-9.0)),
    (r"source names \['both', 'images', 'units'\]; expected", "source", lambda values: values[::-1]),
    ("units_used is of type float64; expected whole numbers", "units_used", lambda values: values / 2),
    ("units_used holds 0; expected 1 or more", "units_used", first(0)),
    ("units_used, pool_size and layer_size contradict each other", "units_used", first(10**9)),
    ("units_used, pool_size and layer_size contradict each other", "pool_size", first(10**9)),
    ("units_used, pool_size and layer_size contradict each other", "layer_size", first(1)),
    ("unit holds 100000000; expected the recorded units' places", "unit", first(10**8)),
    ("unit holds -5; expected", "unit", first(-5)),
    (r"layer_sd holds -1\.0; expected 0 or more", "layer_sd", first(-1.0)),
    ("prediction holds 2.0; expected 0 to 1", "prediction", first(2.0)),
    ("prediction holds nan", "prediction", first(np.nan)),
    ("distance holds nan", "distance", first(np.nan)),
    ("distance holds inf", "distance", first(np.inf)),
    ("image_sumsq holds -1.0", "image_sumsq", first(-1.0)),
    ("thumbnail is of type uint16; expected bytes", "thumbnail", lambda values: values.astype(np.uint16)),
    ("map_0 is of type <U32; expected floating", "map_0", text),
    (r"map_image is \[99, .*; expected places of images, 0 to 6", "map_image", first(99)),
    ("filter_index holds -1; expected 0 or more", "filter_index", first(-1)),
    ("image_name is of type object; expected text", "image_name", lambda v: np.array([None] * len(v))),
    ("image_weight is of type bool; expected numbers or text", "image_weight", lambda values: values > 1),
    ("image_note is of type object; expected text", "image_note", lambda v: np.array([None] * len(v))),
    ("class_name is of type int64; expected text", "class_name", lambda values: np.arange(len(values))),
    ("n_units is of type float64", "n_units", lambda values: values + 0.5),
    (r"n_units holds -20; expected 1 or more", "n_units", lambda values: -values),
    (
        "set holds 'bright' twice; expected each name once",
        "set",
        lambda values: ["bright", "bright"],
    ),
    ("layer holds 'conv' twice", "layer", first("conv")),
    (r"set holds the name 'a\\x00b'; expected text without control characters", "set", first("a\0b")),
    (r"layer holds the name '\\x1b\[2J'; expected text without control", "layer", first("\x1b[2J")),
    ("layer holds the name ' '", "layer", first(" ")),
    ("unknown kind of units 'rand'. Did you mean 'random'", "units", lambda _: "rand"),
]


def short(given: object) -> str | None:
    """Return the name of a case: the same in each process, which the address of a function is not."""
    return given[:40] if isinstance(given, str) else None


@pytest.mark.parametrize(("message", "name", "change"), WRONG_VALUES, ids=short)
def test_wrong_values(message: str, name: str, change: Callable[[np.ndarray], Any]) -> None:
    """Each is named, with what was expected; the result as it was is fine."""
    with pytest.raises(dif.InputError, match=NOT_ONE + message):
        validate_result(changed(name, change))
    require_whole(validate_result(whole()))


def test_a_dimension_that_is_gone_is_named() -> None:
    """Averaged over, or selected: what to give instead; what never was a result is none."""
    for given, lost in {
        "draw": "'draw': it was averaged, .*dif.draw_mean",
        "layer": "'layer': it was",
    }.items():
        with pytest.raises(dif.InputError, match=f"^the result has lost its dimension {lost}"):
            dif.to_dataframe(whole().mean(given))
    with pytest.raises(dif.InputError, match=NOT_ONE + "schema_version"):
        dif.to_dataframe(whole()["layer_sd"].to_dataset())


def test_numbers_of_units_ascend() -> None:
    """No number twice; in another order they are of a selection, and of no file."""
    result = neurons()
    with pytest.raises(dif.InputError, match=r"n_units is \[5, 5, 20\]; expected each number once"):
        validate_result(result.assign_coords(n_units=[5, 5, 20]))
    with pytest.raises(dif.InputError, match=r"draw is \[0, 0\]; expected each number once"):
        validate_result(result.isel(draw=[0, 0]))
    for other in (result.isel(n_units=[1, 0]), result.isel(draw=[1, 0])):
        with pytest.raises(dif.InputError, match=r"is \[.*\]; expected numbers in ascending order"):
            require_whole(validate_result(other))


WRONG_ATTRIBUTES: list[tuple[str, dict[str, Any]]] = [
    ("the attribute schema_version is '1'; expected a whole number", {"schema_version": "1"}),
    ("the attribute schema_version is 1.0; expected a whole number", {"schema_version": 1.0}),
    ("the attribute schema_version is True", {"schema_version": True}),
    ("the attribute seed is 'x'", {"seed": "x"}),
    ("the attribute seed is -1; expected a whole number from 0", {"seed": -1}),
    ("the attribute reference is 5; expected text", {"reference": 5}),
    ("the attribute provenance is array", {"provenance": np.arange(3)}),
    (r"unknown metric 'euclid'\. Did you mean 'euclidean'", {"metric": "euclid"}),
    ("unknown normalization 'x'", {"normalize": "x"}),
    ("the provenance can't be read .*; expected JSON", {"provenance": "{"}),
    (r"the provenance is \[1\]; expected a JSON object", {"provenance": "[1]"}),
    ("the provenance can't be read .*recursion", {"provenance": '{"a":' * 100_000}),
    (r"the provenance has 64,000,001 characters", {"provenance": " " * (MOST_PROVENANCE + 1)}),
]


@pytest.mark.parametrize(("message", "attributes"), WRONG_ATTRIBUTES, ids=short)
def test_wrong_attributes(message: str, attributes: Mapping[str, Any]) -> None:
    """Each is named, however long it is."""
    with pytest.raises(dif.InputError, match=NOT_ONE + message) as caught:
        validate_result(whole().assign_attrs(attributes))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "value", [None, {}, [], True, b"x", np.zeros(0), np.zeros((2, 2)), "\ud800", "a\0b"], ids=repr
)
@pytest.mark.parametrize("where", ["differentiation", "image_note", "thumbnail"])
def test_attributes_that_can_not_be_kept(where: str, value: Any) -> None:
    """They are named before they are written; what netCDF holds is kept."""
    other = whole().assign({where: whole()[where].assign_attrs(mine=value)})
    with pytest.raises(
        dif.InputError, match=f"{NOT_ONE}the attribute mine of {where} is .*expected a number"
    ):
        validate_result(other)
    with pytest.raises(dif.InputError, match=f"{NOT_ONE}the attribute mine of the result is"):
        validate_result(whole().assign_attrs(mine=value))
    for good in ("ä", 1, 2.5, np.float32(1), ["a", "b"], [1, 2], np.arange(3)):
        validate_result(whole().assign({where: whole()[where].assign_attrs(mine=good)}))


@pytest.mark.parametrize(
    "name", ["scale_factor", "add_offset", "_FillValue", "coordinates", "dtype", "a\x1b"]
)
def test_attributes_that_say_how_numbers_are_stored(name: str) -> None:
    """Whoever reads the file would change the numbers, or leave it."""
    other = whole().assign(differentiation=whole()["differentiation"].assign_attrs({name: 2.0}))
    with pytest.raises(dif.InputError, match=f"{NOT_ONE}differentiation has the attribute '"):
        validate_result(other)


def test_nothing_without_a_size_is_drawn() -> None:
    """Thumbnails, maps, classes: none is empty, and pictures are grey or have three colours."""
    for dimension in ("thumbnail_y", "thumbnail_channel", "class", "map_0_x", "map_image", "rank", "score"):
        with pytest.raises(dif.InputError, match=f"{NOT_ONE}the dimension {dimension} is empty"):
            validate_result(whole().isel({dimension: []}))
    with pytest.raises(dif.InputError, match=f"{NOT_ONE}thumbnail has 2 channels; expected 1 .grey. or 3"):
        validate_result(whole().isel(thumbnail_channel=[0, 1]))
    validate_result(whole().isel(thumbnail_channel=[0]))


def test_labels_stand_once() -> None:
    """Of dimensions that are no names too; and what is known of values is there as a whole."""
    for dimension in ("rank", "score"):
        with pytest.raises(dif.InputError, match=f"{NOT_ONE}{dimension} holds .* twice; expected each label"):
            validate_result(whole().isel({dimension: [0, 0, 1]}))
    with pytest.raises(dif.InputError, match=NOT_ONE + r"score is .*; expected the \d+ from -"):
        validate_result(whole().isel(score=[1, 0]))
    with pytest.raises(dif.InputError, match=r"there is 'image_\\x1b'; expected names without control"):
        validate_result(whole().assign_coords({"image_\x1b": whole()["image_note"]}))
    for name in ("doubt", "freedom", "influence"):
        with pytest.raises(dif.InputError, match=f"{NOT_ONE}{name} missing"):
            validate_result(whole().drop_vars(name))
    validate_result(whole().drop_vars(["log_limit", "doubt", "freedom", "influence", "score"]))


STATES = {
    "states": "spectral",
    "scale": "differentiation",
    "length": 0.5,
    "overlap": 0.0,
    "taper": "none",
    "frequencies": None,
    "rate": 20.0,
    "samples": 10,
    "values_per_unit": 6,
}

TAKEN = {
    **dict.fromkeys(("by", "table", "where", "window", "spontaneous", "runs")),
    "area": "all",
    "detrend": "none",
    "standardize": False,
}
RESPONSES = {**TAKEN, "value": "rate"}
TRIALS = {**TAKEN, **dict.fromkeys(("length", "step", "bin", "bin_step"))}

WRONG_FACTS = [
    ("versions", ["1.0"]),
    ("versions", {"torch": {"a": 1}}),
    ("sets", "noise:3"),
    ("sets", {"a": 3}),
    ("warnings", "one"),
    ("warnings", [{"a": 1}]),
    ("warnings", [{"kind": "undefined"}]),
    ("skipped", [1]),
    ("skipped", [{"name": "a"}]),
    ("dropped", [1]),
    ("dropped", [{}]),
    ("dropped", [{"set": "a", "name": "b", "hash": 1}]),
    ("duplicates", [[]]),
    ("duplicates", [[{"set": "a"}]]),
    ("frameworks", {"torch": 1}),
    ("input_shape", [1, 2]),
    ("input_shape", ["a", "b", "c"]),
    ("network", ["digits"]),
    ("states", "spectral"),
    ("states", {}),
    ("states", {**STATES, "states": "waves"}),
    ("states", {**STATES, "samples": "10"}),
    ("states", {name: value for name, value in STATES.items() if name != "scale"}),
    ("threads", 4),
    ("subject", 1),
    ("left_out", "one"),
    ("stimulus_responses", TAKEN),
    ("stimulus_responses", {**RESPONSES, "value": "peak"}),
    ("stimulus_responses", {**RESPONSES, "table": []}),
    ("stimulus_responses", {**RESPONSES, "window": [0.0]}),
    ("stimulus_responses", {**RESPONSES, "detrend": ["none"]}),
    ("trials", TAKEN),
    ("trials", {**TRIALS, "bin": "0.1"}),
    ("items", 3),
    ("session", 1),
]


@pytest.mark.parametrize(("fact", "value"), WRONG_FACTS)
def test_wrong_facts(fact: str, value: Any) -> None:
    """A fact of the provenance that is of another type is named; one that is not known is left alone."""
    with pytest.raises(dif.InputError, match=f"{NOT_ONE}{fact}[.0-9a-z_]* in the provenance is "):
        validate_result(with_provenance(whole(), **{fact: value}))
    validate_result(with_provenance(whole(), mine=[value]))
    validate_result(with_provenance(whole(), states=STATES, stimulus_responses=RESPONSES, trials=TRIALS))
    validate_result(with_provenance(whole(), stimulus_responses={}, trials={}))


def test_limits_say_what_they_are() -> None:
    """There are two, each with its confidence and method; older ones with two sources and resamples, too."""
    result = neurons()
    with pytest.raises(dif.InputError, match="there is differentiation_low alone; expected both"):
        validate_result(result.drop_vars("differentiation_high"))
    for about in ({}, {"confidence": 95.0}, {"method": 5}, {"resamples": "many"}):
        attributes = {**result["differentiation_low"].attrs, **about} if about else {}
        other = result["differentiation_low"].drop_attrs().assign_attrs(attributes)
        with pytest.raises(dif.InputError, match=r"attributes of differentiation_low are .*the confidence"):
            validate_result(result.assign(differentiation_low=other))
    # those of versions that had none, or fewer
    require_whole(
        validate_result(result.drop_vars(["differentiation_low", "differentiation_high", "source"]))
    )
    old = result.isel(source=[0, 1])
    for name in ("differentiation_low", "differentiation_high"):
        old[name].attrs.update(method="studentized", resamples=2000)
    validate_result(old)
    with pytest.raises(dif.InputError, match=r"source names \['images', 'both'\]; expected"):
        validate_result(result.isel(source=[1, 2]))


def test_maps_say_what_they_are_of() -> None:
    """Their attributes go to a function as its arguments: there can be no others."""
    for about in ({}, {"layer": "conv", "filter": 1, "axes": 1}, {"layer": 1, "filter": 1}):
        with pytest.raises(dif.InputError, match=f"{NOT_ONE}the attributes of map_0 are"):
            validate_result(whole().assign(map_0=whole()["map_0"].drop_attrs().assign_attrs(about)))
    with pytest.raises(dif.InputError, match=r"the attributes of map_0 are .*'filter': -1"):
        validate_result(whole().assign(map_0=whole()["map_0"].assign_attrs(filter=-1)))


WRONG_TOGETHER: list[tuple[str, str, Callable[[np.ndarray], Any]]] = [
    (r"image_set names the sets \['bright', 'gone'\]", "image_set", lambda v: ["bright"] * 4 + ["gone"] * 3),
    ("image_set names the sets .*'dark', 'bright'", "image_set", lambda values: values[::-1]),
    (r"image_set names the sets \['bright'\]", "image_set", lambda values: ["bright"] * 7),
    ("image_set names the sets", "image_set", lambda values: values[[0, 4, 1, 5, 2, 6, 3]]),
    ("filter_layer names the layer 'gone'; expected one that the result has", "filter_layer", first("gone")),
]


@pytest.mark.parametrize(("message", "name", "change"), WRONG_TOGETHER, ids=short)
def test_what_does_not_go_together(message: str, name: str, change: Callable[[np.ndarray], Any]) -> None:
    """What has images or filters of no set or layer of it is refused."""
    wrong = changed(name, change)
    with pytest.raises(dif.InputError, match=NOT_ONE + message):
        require_whole(validate_result(wrong))


def test_a_file_whose_parts_do_not_go_together(tmp_path: Path) -> None:
    """It is refused, and named."""
    message, name, change = WRONG_TOGETHER[0]
    changed(name, change).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with pytest.raises(dif.InputError, match=rf"x\.nc is not a result of differentia: {message}"):
        dif.load_result(tmp_path / "x.nc")
    whole().to_netcdf(tmp_path / "x.nc", engine="h5netcdf")  # the control; it has no checksum
    xr.testing.assert_identical(dif.load_result(tmp_path / "x.nc"), whole())


def test_a_selection_is_saved_as_what_is_left(tmp_path: Path) -> None:
    """The images, filters and maps of sets and layers that were taken out go, too."""
    chosen = whole().sel(set=["dark"], layer=["conv", "split[0]"])
    dif.save(chosen, tmp_path / "x.nc")
    loaded = dif.load_result(tmp_path / "x.nc")
    assert loaded["image_set"].values.tolist() == ["dark"] * 3
    assert set(loaded["filter_layer"].values) == {"conv", "split[0]"}
    xr.testing.assert_equal(loaded["differentiation"], chosen["differentiation"])
    with pytest.raises(dif.InputError, match="the result has no set left"):
        dif.save(whole().isel(set=[]), tmp_path / "none.nc")


def test_layers_that_are_left_may_have_no_channels(tmp_path: Path) -> None:
    """Then nothing of channels is left, as where that layer is measured alone; beside another its own are."""
    result, alone = partly_without_channels(), without_channels()
    left = what_is_left(result.sel(layer=["cut"]))
    assert "filter" not in left.sizes
    assert set(left.variables) - {"map_image"} == set(alone.variables)
    for name in ("differentiation", "distance", "image_sum", "layer_mean", "prediction"):
        np.testing.assert_array_equal(left[name].values, alone[name].values, err_msg=name)
    dif.save(result.sel(layer=["cut"]), tmp_path / "x.nc")
    assert "filter" not in dif.load_result(tmp_path / "x.nc").sizes
    both = what_is_left(result.sel(layer=["cut", "conv"]))
    assert both["filter_layer"].values.tolist() == ["conv"] * 4


#: Names that would leave a folder, be too long for a file, or mean something to HTML, TeX or a spreadsheet.
NAMES = (
    *("../../up", "/tmp/absolute", ".", "..", "x" * 300, SCRIPT, "$\\frac{", "=1+1"),
    *('a,b"c', "{0}", "C:\\x"),
)


def everything_in(folder: Path) -> dict[str, str]:
    """Return all files below a folder, each with what tells its content."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write_all(result: xr.Dataset, folder: Path) -> list[str]:
    """Write all that is written of a result, and return the names of the files."""
    folder.mkdir()
    dif.save(result, folder / "result.nc")
    save_predictions(result, folder / "predictions.csv")
    assert main(["report", str(folder)]) == 0
    return list(everything_in(folder))


def test_names_in_a_result_are_no_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files have the names they always have; names come back from CSV and JSON, and are no markup in HTML."""
    network = dif.load_network("digits")
    images = {name: np.array(IMAGES["bright"][:2, ..., 0]) for name in ("a", "b")}
    result = dif.measure(network, images, layers=["logits", "predictions"], n_units=5, draws=1)
    expected = write_all(result, tmp_path / "plain")
    renamed = result.assign_coords(
        set=list(NAMES[:2]),
        layer=[SCRIPT, "../../layer"],
        image_set=("image", [NAMES[0]] * 2 + [NAMES[1]] * 2),
        image_name=("image", [SCRIPT, "../x", "=1+1", "x" * 300]),
        class_name=("class", [*NAMES[:9], "</script>"]),
        filter_layer=("filter", np.where(result["filter_layer"] == "logits", SCRIPT, "../../layer")),
    )
    around = everything_in(tmp_path)
    assert write_all(renamed, tmp_path / "hostile") == expected
    mine = {name: content for name, content in everything_in(tmp_path).items() if name[:7] != "hostile"}
    assert mine == around
    page = (tmp_path / "hostile" / "report.html").read_text()
    assert "alert(1)" in page  # it is shown,
    assert SCRIPT not in page  # but is no script
    assert page.lower().count("</script>") == (tmp_path / "plain" / "report.html").read_text().count(
        "</script>"
    )
    with (tmp_path / "hostile" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == renamed["image_name"].values.tolist()
    assert {row["set"] for row in rows} == set(NAMES[:2])
    capsys.readouterr()
    assert json.loads(json.dumps(table_rows(renamed)))[0]["set"] == NAMES[0]


def test_names_of_sets_are_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the command line, too: all files lie in the folder that was named, under names of their own."""
    home = tmp_path / "deep" / "in"
    home.mkdir(parents=True)
    monkeypatch.chdir(home)
    options = ["--n-units", "5", "--draws", "1", "--layers", "logits", "--no-views", "--out", "out"]
    found = []
    for names in (("a", "b", "c", "d", "e", "f"), NAMES[:6]):
        sets = [part for name in names for part in ("--set", f"{name}=digits:2")]
        assert main(["measure", "digits", *sets, *options]) == 0
        found.append(set(everything_in(tmp_path)))
        assert all(file.startswith("deep/in/out/") for file in found[-1])
    assert found[0] == found[1]
    for name in ("a\0b", "a\nb", "\x1b[2J", "\udcff"):
        assert main(["measure", "digits", "--set", f"{name}=digits:2", *options]) == 2
    assert set(everything_in(tmp_path)) == found[0]


#: By public function: what it is called with beside a result.
PUBLIC: dict[str, tuple[Any, ...]] = {
    "contrast": ("stimulus", "spontaneous"),
    "contrasts_between_sets": (),
    "describe_methods": (),
    "doubts": (),
    "plot": (),
    "plot_distances": (),
    "plot_filters": (),
    "plot_maps": ("conv", 3),
    "plot_predictions": (),
    "plot_relative": (),
    "plot_sets": (),
    "precision": (),
    "records": (),
    "relative": (),
    "relative_interval": (),
    "rename": (),
    "save": ("x.nc",),
    "say_copies": (),
    "save_figures": ("figures",),
    "say_doubts": (),
    "say_precision": (),
    "show": (),
    "statistics": (),
    "to_dataframe": (),
    "to_rsatoolbox": ("conv",),
    "top_classes": (),
    "with_intervals": (),
    "write_report": ("x.html",),
}

#: Those that take results by kind, of VGG16, of trials, or of four sets; and those of draws, which take any
#: selection, and kinds that were joined.
OTHERS = {
    *("across", "compare_with_published", "depth", "plot_kinds"),
    *("plot_time_courses", "trial_values"),
}
UNCHECKED = {"draw_mean", "draw_spread", "not_converged"}


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def times_checked(monkeypatch: pytest.MonkeyPatch) -> list[xr.Dataset]:
    """The results that have been checked since."""
    checked: list[xr.Dataset] = []

    def count(result: xr.Dataset, *where: str) -> xr.Dataset:
        checked.append(result)
        return _usable(result, *where)

    monkeypatch.setattr("differentia.results.schema._usable", count)
    return checked


def test_every_public_function_that_takes_a_result_is_known() -> None:
    """A new one has to be checked at the border, too."""
    functions = {name: getattr(dif, name) for name in dif.__all__ if inspect.isfunction(getattr(dif, name))}
    taking = {
        name
        for name, function in functions.items()
        if {"result", "results"} & set(inspect.signature(function).parameters)
    }
    assert taking == {*PUBLIC} | OTHERS | UNCHECKED


@pytest.mark.filterwarnings("ignore:dif.records:FutureWarning")
@pytest.mark.parametrize("name", PUBLIC)
def test_a_result_is_checked_once(
    name: str, times_checked: list[xr.Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many others a public function calls, for each layer and set; what is no result is refused."""
    monkeypatch.chdir(tmp_path)
    viewed_only = {"plot_filters", "plot_maps", "plot_predictions", "top_classes", "write_report"}
    viewed_only |= {"to_rsatoolbox"}  # which is given one of its layers
    result = whole() if name in viewed_only else recorded()
    getattr(dif, name)(result, *PUBLIC[name])
    assert len(times_checked) == 1
    assert times_checked[0] is result
    with pytest.raises(dif.InputError, match="pool_size missing"):
        getattr(dif, name)(result.drop_vars("pool_size"), *PUBLIC[name])


@pytest.mark.filterwarnings("ignore:dif.records:FutureWarning")
@pytest.mark.parametrize("name", PUBLIC)
def test_a_selection_is_a_result(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of some layers, one of which is another's before: without the filters and maps of those left out."""
    monkeypatch.chdir(tmp_path)
    result = recorded() if name == "contrast" else whole().assign_attrs(reference="dark")
    some = result["layer"].values[[1, 0]] if name == "contrast" else ["split[0]", "conv"]
    seen: list[xr.Dataset] = []

    def left(*given: Any) -> xr.Dataset:
        seen.append(_usable(*given))
        return seen[-1]

    # Which no module has under a name of its own: one that is first imported meanwhile would keep this.
    monkeypatch.setattr("differentia.results.schema._usable", left)
    getattr(dif, name)(result.sel(layer=some), *PUBLIC[name])
    require_whole(seen[0])
    assert len(seen) == 1


def test_an_unknown_argument_is_said_with_its_function() -> None:
    """As Python says it of functions that check nothing."""
    with pytest.raises(TypeError, match=r"^relative\(\) got an unexpected keyword argument 'referense'$"):
        dif.relative(neurons(), referense="dark")  # type: ignore[call-arg]


def test_each_kind_is_checked_once(times_checked: list[xr.Dataset], tmp_path: Path) -> None:
    """In figures and reports of several kinds, by name or by place."""
    one = neurons()
    kinds = {"random": one, "top": one.assign_coords(units="top")}
    dif.plot_kinds(results=kinds)
    assert len(times_checked) == 2
    dif.write_report(kinds, tmp_path / "x.html")
    assert len(times_checked) == 4
    with pytest.raises(dif.InputError, match="expected results as"):
        dif.plot_kinds(one)  # type: ignore[arg-type]
    dif.save(one, tmp_path / "x.nc")
    xr.testing.assert_identical(dif.load_result(tmp_path / "x.nc"), one)
