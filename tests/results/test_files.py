"""Results saved as files and loaded: whole, the same, or refused."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from helpers.odd_networks import partly_without_channels, without_channels
from helpers.results import by_hand, neurons, viewed
from helpers.tries import bounded

import differentia as dif
from differentia.cli import main
from differentia.results.schema import map_names


def test_saved_results_come_back(tmp_path: Path) -> None:
    """Values, labels with dots and slashes, attributes: all as they were; also in plain xarray."""
    result = neurons()
    dif.save(result, tmp_path / "result.nc")
    xr.testing.assert_identical(dif.load_result(tmp_path / "result.nc"), result)
    with xr.open_dataset(tmp_path / "result.nc", engine="h5netcdf") as plain:
        value = plain["differentiation"].sel(layer="block1/conv", set="stimulus", n_units=5, draw=3)
        assert float(value) == result["differentiation"].sel(
            layer="block1/conv", set="stimulus", n_units=5, draw=3
        )
    assert [path.name for path in tmp_path.iterdir()] == ["result.nc"]
    (tmp_path / "other").touch()
    assert (tmp_path / "result.nc").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_saving_replaces_at_once_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves the old file and no other."""
    result = neurons()
    dif.save(result, tmp_path / "result.nc")
    before = (tmp_path / "result.nc").read_bytes()

    def half(self: Path, content: bytes) -> None:
        with self.open("wb") as file:
            file.write(bytes(content)[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    message = r"result\.nc: can't be written \(No space left on device\); free some space and run the same"
    with pytest.raises(dif.StorageError, match=message):
        dif.save(result, tmp_path / "result.nc")
    assert (tmp_path / "result.nc").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["result.nc"]


def test_files_that_are_no_result(tmp_path: Path) -> None:
    """Each is refused with its name and what is wrong."""
    with pytest.raises(dif.InputError, match=r"gone\.nc: no such file"):
        dif.load_result(tmp_path / "gone.nc")
    result = neurons()
    dif.save(result, tmp_path / "whole.nc")
    (tmp_path / "cut.nc").write_bytes((tmp_path / "whole.nc").read_bytes()[:5000])
    with pytest.raises(dif.InputError, match=r"cut\.nc: can't be read as netCDF-4"):
        dif.load_result(tmp_path / "cut.nc")
    xr.Dataset({"x": 1}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(dif.InputError, match=r"other\.nc is not a result of differentia: schema_version"):
        dif.load_result(tmp_path / "other.nc")
    with pytest.raises(dif.InputError, match="schema version 99"):
        dif.save(result.assign_attrs(schema_version=99), tmp_path / "new.nc")
    with pytest.raises(dif.InputError, match="differentiation has the dimensions"):
        dif.save(result.transpose("draw", ...), tmp_path / "odd.nc")
    with pytest.raises(dif.InputError, match="dict; expected the Dataset"):
        dif.relative({})  # type: ignore[arg-type]
    with pytest.raises(dif.InputError, match=r"is a folder; give the result\.nc"):
        dif.load_result(tmp_path)
    with pytest.raises(dif.InputError, match="can't be written"):
        dif.save(result, tmp_path)
    with pytest.raises(dif.InputError, match="can't be written"):
        dif.save(result, tmp_path / "nowhere" / "result.nc")


def test_maps_come_back(tmp_path: Path) -> None:
    """Each map knows its layer and filter, and which images it shows; on disk too, in any number."""
    result = viewed(maps={"conv": [3, 0], "split[0]": [1]}, map_images=(1, 3))
    assert map_names(result) == ["map_0", "map_1", "map_2"]
    assert result["map_image"].values.tolist() == [1, 3, 4 + 1]  # the second set has no image 3
    given = by_hand()
    for name, (layer, number) in {
        "map_0": ("conv", 3),
        "map_1": ("conv", 0),
        "map_2": ("split[0]", 1),
    }.items():
        assert (result[name].attrs["layer"], result[name].attrs["filter"]) == (layer, number)
        np.testing.assert_allclose(result[name], given[layer][[1, 3, 5], number], atol=1e-6)
    dif.save(result, tmp_path / "result.nc")
    xr.testing.assert_identical(dif.load_result(tmp_path / "result.nc"), result)
    with pytest.raises(dif.InputError, match=r"map_images .* is \(4,\), but the largest set has 4 images"):
        viewed(maps={"conv": [3]}, map_images=(4,))


@pytest.mark.parametrize("make", [partly_without_channels, without_channels])
def test_layers_without_channels_come_back(make: Callable[[], xr.Dataset], tmp_path: Path) -> None:
    """With means of channels of some layers, or of none."""
    dif.save(make(), tmp_path / "result.nc")
    xr.testing.assert_identical(dif.load_result(tmp_path / "result.nc"), make())


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved result, which no test may change."""
    path = tmp_path_factory.mktemp("saved") / "result.nc"
    dif.save(neurons(), path)
    return path


def test_a_file_that_is_cut_off(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At whatever length: one line, which names the file."""
    content = saved.read_bytes()
    lengths = [0, 1, 7, 8, 100, *(len(content) * part // 16 for part in range(1, 16)), len(content) - 1]
    for length in lengths:
        (tmp_path / "result.nc").write_bytes(content[:length])
        assert main(["report", str(tmp_path)]) == 2
        shown = capsys.readouterr().err
        assert f"{tmp_path}/result.nc: can't be read as netCDF-4" in shown
        assert shown.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["result.nc"]


@pytest.mark.parametrize("seed", bounded(3, 1))
def test_a_file_with_a_byte_that_changed(seed: int, saved: Path, tmp_path: Path) -> None:
    """It is refused, or the byte does not matter: no other result comes back."""
    content, expected = saved.read_bytes(), dif.load_result(saved)
    choose = random.Random(seed)
    refused = 0
    for _ in range(15):
        damaged = bytearray(content)
        damaged[choose.randrange(len(content))] ^= 1 << choose.randrange(8)
        (tmp_path / "x.nc").write_bytes(damaged)
        try:
            xr.testing.assert_identical(dif.load_result(tmp_path / "x.nc"), expected)
        except dif.InputError:
            refused += 1
    assert refused > 3


def test_what_was_changed_after_saving(saved: Path, tmp_path: Path) -> None:
    """A label, which HDF5 does not guard: the checksum tells. HDF5 itself tells of numbers, to any reader."""
    (tmp_path / "x.nc").write_bytes(saved.read_bytes())
    with h5py.File(tmp_path / "x.nc", "r+") as file:
        file["image_name"][0] = "another"
    with pytest.raises(dif.InputError, match=r"x\.nc: its content is not what was saved: it was"):
        dif.load_result(tmp_path / "x.nc")
    with h5py.File(saved) as file:
        numbers = file["distance"]
        place = numbers.id.get_chunk_info(0)
        assert numbers.fletcher32
    damaged = bytearray(saved.read_bytes())
    damaged[place.byte_offset + place.size // 2] ^= 1
    (tmp_path / "x.nc").write_bytes(damaged)
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as plain:
        with pytest.raises(OSError, match="Can't synchronously read data"):
            plain["distance"].load()
        plain["differentiation"].load()


def test_files_that_reach_out_or_swell(saved: Path, tmp_path: Path) -> None:
    """Data in other files is not read, and what a file declares beyond its size is not made room for."""
    (tmp_path / "secret").write_bytes(b"secret!!" * 100)

    def outside(file: h5py.File) -> None:
        del file["image_sum"]
        file.create_dataset("image_sum", (8, 2), "f8", external=[(str(tmp_path / "secret"), 0, 128)])

    def linked(file: h5py.File) -> None:
        del file["image_sum"]
        file["image_sum"] = h5py.ExternalLink(str(saved), "image_sum")

    def huge(file: h5py.File) -> None:
        del file["differentiation"]
        file.create_dataset(
            "differentiation", (2**20, 2**20, 1, 1), "f8", chunks=(64, 64, 1, 1), fillvalue=1.0
        )

    for change, message in (
        (outside, "/image_sum lies in another file, which is not read"),
        (linked, "/image_sum is a link to another place or file"),
        (huge, r"declares 8,796,\d+,\d+,\d+ bytes of data, far more than a file of its size can hold"),
    ):
        (tmp_path / "x.nc").write_bytes(saved.read_bytes())
        with h5py.File(tmp_path / "x.nc", "r+") as file:
            change(file)
        assert (tmp_path / "x.nc").stat().st_size < 10**6
        with pytest.raises(dif.InputError, match=rf"x\.nc: {message}"):
            dif.load_result(tmp_path / "x.nc")
