"""The result on disk, relative differentiation, and the spread over draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import differentia as dif

RNG = np.random.default_rng(0)


def neurons(**options: Any) -> xr.Dataset:
    arrays = {
        name: {"features.0": RNG.gamma(2.0, 1.0, (8, 60)), "block1/conv": RNG.normal(0, 1, (8, 10))}
        for name in ("stimulus", "spontaneous")
    }
    return dif.measure_responses(arrays, n_units=(5, 20, 50), draws=6, reference="spontaneous", **options)


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

    def half(self: xr.Dataset, path: str, **options: Any) -> None:
        Path(path).write_bytes(b"half a file")
        raise OSError("disk full")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", half)
    with pytest.raises(OSError, match="disk full"):
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


def test_relative() -> None:
    """Divided by the reference's mean over draws at its largest number of units, or draw by draw."""
    result = neurons()
    values = result["differentiation"]
    reference = values.sel(set="spontaneous")
    expected = values / reference.sel(n_units=50).mean("draw")
    np.testing.assert_allclose(dif.relative(result), expected.transpose(*values.dims))
    matched = dif.relative(result, matched=True)
    np.testing.assert_allclose(matched.sel(set="spontaneous").dropna("draw"), 1.0)
    np.testing.assert_allclose(matched, (values / reference).transpose(*values.dims))
    assert not np.allclose(matched, dif.relative(result), equal_nan=True)
    other = dif.relative(result, "stimulus")
    assert other.attrs["reference"] == "stimulus"
    with pytest.raises(dif.InputError, match="unknown set 'silence'"):
        dif.relative(result, "silence")
    with pytest.raises(dif.InputError, match="no reference set"):
        dif.relative(result.assign_attrs(reference=""))


def test_relative_to_nothing_is_nan() -> None:
    """A reference of zero or NaN gives NaN, never an infinity."""
    result = neurons()
    values = result["differentiation"].copy()
    values.loc[{"set": "spontaneous", "layer": "features.0"}] = 0.0
    values.loc[{"set": "spontaneous", "layer": "block1/conv"}] = np.nan
    relative = dif.relative(result.assign(differentiation=values))
    assert relative.isnull().all()
    assert dif.relative(result).sel(draw=0).notnull().all()


def test_spread_over_draws() -> None:
    """The SD over draws with the correction for the shared pool; 0 for a whole layer, unknown for a pool."""
    result = neurons()
    spread = dif.draw_spread(result["differentiation"], result)
    at = {"set": "stimulus", "layer": "features.0"}  # 60 units, a pool of 50
    draws = result["differentiation"].sel(at).sel(n_units=20).values
    expected = draws.std(ddof=1) * np.sqrt((1 - 20 / 60) / (1 - 20 / 50))
    assert float(spread.sel(at).sel(n_units=20)) == pytest.approx(expected)
    assert np.isnan(float(spread.sel(at).sel(n_units=50)))
    assert float(spread.sel(layer="block1/conv", set="stimulus", n_units=20)) == 0.0


def test_corrected_spread_is_that_of_fresh_draws() -> None:
    """Against simulation: draws of units from the whole layer, without a pool."""
    rng = np.random.default_rng(1)
    responses = rng.gamma(0.5, 1.0, (10, 400)) * rng.gamma(1.0, 1.0, 400)
    fresh = [dif.differentiation(responses[:, rng.choice(400, 100, replace=False)]) for _ in range(3000)]
    corrected, raw = [], []
    for seed in range(60):
        result = dif.measure_responses({"a": {"x": responses}}, n_units=100, pool=200, draws=40, seed=seed)
        raw.append(float(result["differentiation"].std("draw", ddof=1).item()))
        corrected.append(float(dif.draw_spread(result["differentiation"], result).item()))
    truth = float(np.std(fresh))
    assert np.sqrt(np.mean(np.square(corrected))) == pytest.approx(truth, rel=0.08)
    assert np.sqrt(np.mean(np.square(raw))) < 0.9 * truth  # what the correction is for
