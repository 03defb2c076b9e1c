"""A result that a stranger made, or that was damaged: `result.nc` of anybody."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.changed_results import ATTRIBUTES, ESCAPE, VALUES, originals, write_changed
from helpers.limits import memory_left
from helpers.tries import Rows, bounded

import differentia as dif
from differentia.cli import main
from differentia.errors import has_control_characters
from differentia.results.files import RESULT_CHECKSUM

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no alarm")

ROWS = Rows("Results")

#: In seconds: what takes longer is taken for a hang, which HDF5 does not let anybody interrupt.
LONG = 120

#: In bytes: what more address space may be taken meanwhile, libraries that are loaded among it.
MOST = 2 * 10**9


def two(result: xr.Dataset) -> list[str]:
    return [str(name) for name in result["set"].values[:2]]


#: What is made of a result, but for pictures.
READERS: dict[str, Callable[[xr.Dataset], object]] = {
    "contrast": lambda result: dif.contrast(result, *two(result)),
    "paired": lambda result: dif.contrast(result, *two(result), paired=True),
    "contrasts_between_sets": dif.contrasts_between_sets,
    "statistics": dif.statistics,
    "to_dataframe": dif.to_dataframe,
    "relative": dif.relative,
    "with_intervals": dif.with_intervals,
    "say_precision": dif.say_precision,
    "say_doubts": dif.say_doubts,
    "say_copies": dif.say_copies,
    "not_converged": dif.not_converged,
    "top_classes": dif.top_classes,
    "trial_values": dif.trial_values,
    "describe_methods": lambda result: str(dif.describe_methods(result)),
    "depth": lambda result: dif.depth(result, permutations=9, mantel_permutations=9),
    "rename": lambda result: dif.rename(result, sets={two(result)[0]: "new"}),
}

#: Those that draw.
PICTURES: dict[str, Callable[[xr.Dataset], object]] = {
    "plot": dif.plot,
    "plot_relative": dif.plot_relative,
    "plot_predictions": dif.plot_predictions,
    "plot_filters": dif.plot_filters,
    "plot_distances": dif.plot_distances,
    "plot_maps": dif.plot_maps,
}


def told(work: Callable[[], Any]) -> Any:
    """Return what is made, or the line that it ends in."""
    signal.alarm(LONG)  # which ends the process: a library that is busy for ever listens to nothing else
    try:
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            try:
                found = work()
            except dif.DifferentiaError as error:
                found = str(error)
                assert not has_control_characters(found), repr(found)
        said = [str(one.message) for one in given if issubclass(one.category, dif.DifferentiaWarning)]
        assert not any(map(has_control_characters, said)), said
        return found
    finally:
        signal.alarm(0)
        plt.close("all")


def try_all(path: Path, *, pictures: bool) -> bool:
    """Load a file, and make of it whatever can be made; return whether it could be loaded."""
    result = told(lambda: dif.load_result(path))
    if isinstance(result, str):
        return False
    with h5py.File(path) as file:
        np.testing.assert_array_equal(result["differentiation"].values, file["differentiation"][...])
    for name, reader in {**READERS, **(PICTURES if pictures else {})}.items():
        try:
            told(lambda make=reader: make(result))  # type: ignore[misc]
        except Exception as error:
            raise AssertionError(f"{name} ends in {type(error).__name__}: {error}") from error
    if pictures:
        told(lambda: dif.write_report(result, path.with_name("report.html")))
    if not isinstance(told(lambda: dif.save(result, path.with_name("again.nc"))), str):
        again = dif.load_result(path.with_name("again.nc"))
        for variable in again.variables:
            np.testing.assert_array_equal(again[variable].values, result[variable].values)
    return True


@pytest.mark.parametrize("nth", bounded(range(0, 1000, 20), 0))
@ROWS.row(
    "Bytes, values, types, shapes, labels, attributes and facts changed at random, without a checksum",
    "Refused in one line, or whatever is made of it ends in values or in one line, in < 2 GB more memory",
)
def test_changed_results(nth: int, tmp_path: Path, tried: Any) -> None:
    try_changed(range(nth, nth + 20), tmp_path)
    tried(20)


@ROWS.row(
    "Bytes, values, types, shapes, labels, attributes and facts changed at random, without a checksum",
    "Refused in one line, or whatever is made of it ends in values or in one line, in < 2 GB more memory",
)
def test_some_changed_results(tmp_path: Path, tried: Any) -> None:
    """A few of them, each time."""
    try_changed(range(1000, 1006), tmp_path)
    tried(6)


def try_changed(numbers: range, folder: Path) -> None:
    loaded = 0
    for number in numbers:
        path = folder / "result.nc"
        how = write_changed(path, number)
        try:
            with memory_left(MOST):
                loaded += try_all(path, pictures=number % 10 == 0)
        except Exception as error:
            raise AssertionError(f"the change was {how}") from error
    assert 0 < loaded < len(numbers)


def written(result: xr.Dataset, path: Path) -> Path:
    """Write what may be no result, as anybody can."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result.drop_encoding().to_netcdf(path, engine="h5netcdf")
    return path


#: What is chosen of each dimension.
NOTHING: list[int] = []
OF_NO_SIZE: list[dict[str, list[int]]] = [
    {"thumbnail_x": NOTHING},
    {"map_0_y": NOTHING},
    {"thumbnail_channel": NOTHING},
    {"map_image": NOTHING},
    {"class": NOTHING},
    {"rank": NOTHING},
    {"score": NOTHING},
    {"thumbnail_channel": [0, 1]},
]


@pytest.mark.parametrize("chosen", bounded(OF_NO_SIZE, 2))
@ROWS.row("Pictures, maps, classes or ranks of no size; pictures of two colours", "One line that names them")
def test_what_has_no_size(chosen: dict[str, list[int]], tmp_path: Path, tried: Any) -> None:
    path = written(originals()[0].isel(chosen), tmp_path / "x.nc")
    found = told(lambda: dif.load_result(path))
    assert isinstance(found, str)
    (name,) = chosen
    expected = f"the dimension {name} is empty; expected at least one"
    assert (expected if not chosen[name] else "thumbnail has 2 channels; expected 1") in found
    tried()


@pytest.mark.parametrize(
    "where", bounded(["differentiation", "image_weight", "thumbnail", "image_note", ""], 1)
)
@ROWS.row(
    "An attribute of an odd name or type, of the result or one of its variables",
    "One line that names it, or it is kept as it is; no number is rescaled",
)
def test_attributes(where: str, tmp_path: Path, tried: Any) -> None:
    """Some of those that netCDF, HDF5 or xarray take for instructions, with some values."""
    path = tmp_path / "result.nc"
    dif.save(originals()[0], path)
    content = path.read_bytes()
    few = ATTRIBUTES[:8:4] if where == "differentiation" else ATTRIBUTES[::4]
    for name in few:
        for value in VALUES[::6]:
            path.write_bytes(content)
            with h5py.File(path, "r+") as file:
                place = file[where] if where else file
                file.attrs.pop(RESULT_CHECKSUM)
                try:
                    place.attrs[name] = value
                except (TypeError, ValueError, OSError, RuntimeError):  # HDF5 has none such
                    continue
            result = told(lambda: dif.load_result(path))
            if not isinstance(result, str):
                for of in ("differentiation", "thumbnail", "image_weight"):
                    np.testing.assert_array_equal(result[of].values, originals()[0][of].values)
                told(lambda: dif.save(result, tmp_path / "again.nc"))  # noqa: B023 - called at once
            tried()


@pytest.mark.parametrize("name", bounded(["set", "rank", "layer", "n_units", "draw", "source", "score"], 2))
@ROWS.row("Labels that stand twice, of whatever dimension", "One line that names them")
def test_labels_that_stand_twice(name: str, tmp_path: Path, tried: Any) -> None:
    path = written(originals()[0].isel({name: [0, 0]}), tmp_path / "x.nc")
    found = told(lambda: dif.load_result(path))
    assert isinstance(found, str)
    assert f" {name} " in found
    tried()


@ROWS.row("A heap of texts with a zeroed sector, which keeps HDF5 busy for ever", "One line, at once")
def test_zeroed_heaps(tmp_path: Path, tried: Any) -> None:
    path = tmp_path / "result.nc"
    dif.save(originals()[0], path)
    content = path.read_bytes()
    begins = [at for at in range(len(content)) if content.startswith(b"GCOL\x01\0\0\0", at)]
    assert len(begins) > 1
    for begin in begins:
        path.write_bytes(content[: begin + 16] + bytes(496) + content[begin + 512 :])
        found = told(lambda: dif.load_result(path))
        assert isinstance(found, str)
        assert f"can't be read as HDF5 (a heap of texts at byte {begin:,} is damaged)" in found
        tried()


#: By what is named so: labels, or an attribute.
ESCAPES: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "images": lambda result: result.assign_coords(image_name=of_all_images(result, ESCAPE)),
    "a set": lambda result: result.assign_coords(set=[ESCAPE, "dark"]),
    "a layer": lambda result: result.assign_coords(layer=[ESCAPE, *result["layer"].values[1:]]),
    "a variable": lambda result: result.assign_coords({"image_" + ESCAPE: of_all_images(result, "a")}),
    "notes": lambda result: result.assign_coords(image_note=of_all_images(result, ESCAPE)),
    "the metric": lambda result: result.assign_attrs(metric=ESCAPE),
}


def of_all_images(result: xr.Dataset, text: str) -> tuple[str, np.ndarray]:
    return "image", np.array([text] * result.sizes["image"], dtype=object)


@pytest.mark.parametrize("what", bounded(list(ESCAPES), 2))
@ROWS.row("Escape sequences in names of sets, layers, images and variables", "One line, or shown as escapes")
def test_escape_sequences(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], tried: Any) -> None:
    """In the terminal; in files and pages they are text."""
    path = str(written(ESCAPES[what](originals()[0]), tmp_path / "result.nc"))
    for command in (
        ["statistics", path],
        ["contrast", path, "bright", "dark"],
        ["report", str(tmp_path), "--formats", "none"],
    ):
        assert main(command) in (0, 2)
        shown = capsys.readouterr()
        assert "\x1b]" not in shown.out + shown.err
        assert "Traceback" not in shown.err
    tried()
