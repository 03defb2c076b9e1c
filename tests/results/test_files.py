"""Results saved as files and loaded: whole, the same, or refused."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from helpers.results import by_hand, neurons, viewed

import differentia as dif
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
    with pytest.raises(dif.InputError, match=r"other\.nc is no result of differentia: schema_version"):
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
        assert result[name].attrs == {"layer": layer, "filter": number}
        np.testing.assert_allclose(result[name], given[layer][[1, 3, 5], number], atol=1e-6)
    dif.save(result, tmp_path / "result.nc")
    xr.testing.assert_identical(dif.load_result(tmp_path / "result.nc"), result)
    with pytest.raises(dif.InputError, match=r"map_images .* is \(4,\), but the largest set has 4 images"):
        viewed(maps={"conv": [3]}, map_images=(4,))
