"""The result: what is kept to look at, on disk, relative differentiation, and the spread over draws."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
import xarray as xr
from results_for_tests import by_hand, neurons, viewed

import differentia as dif
from differentia.results import as_kinds, provenance, with_provenance
from differentia.schema import map_names, validate_result

RNG = np.random.default_rng(0)


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


def test_results_by_kind() -> None:
    """One, or several of the same sets, images, layers and measure, each under its own kind."""
    arrays = {name: {"V1": RNG.normal(0, 1, (4, 30))} for name in ("stimulus", "spontaneous")}
    first = dif.measure_responses(arrays, n_units=20, reference="spontaneous")
    second = first.assign_coords(units="top")
    assert as_kinds(second) == {"top": second}
    both = {"random": first, "top": with_provenance(second, warnings=["of top"], command="x", batch_size=2)}
    assert list(as_kinds(both)) == ["random", "top"]
    assert as_kinds(both)["top"] is both["top"]
    renamed = second.assign_coords(layer=["V2"])
    moved = second.assign_coords(image_set=("image", second["image_set"].values[::-1]))
    hashed = second.assign_coords(image_hash=("image", ["a"] * second.sizes["image"]))
    cases: list[tuple[Any, str]] = [
        ({}, r"expected a result, or results as \{kind of units: result\}; got none"),
        ([first], "the result is a list; expected the Dataset"),
        (None, "the result is a NoneType"),
        ({"random": first, "other": 3}, "the result of kind 'other' is a int"),
        (xr.Dataset(), "is no result of differentia: schema_version, "),
        ({"random": first, "b": first}, "two results are of 'random' units, 'b' the later one; give one of"),
        ({"random": second}, "the result of kind 'random' is of the kind 'top'; give each under its own"),
        ({"random": first, "b": second}, "the result of kind 'b' is of the kind 'top'"),
    ]
    differing = {
        "sets": second.isel(set=[0]),
        "layers; give those .* together": renamed,
        "image names": second.isel(image=slice(3)),
        "image sets": moved,
        "image hashes": hashed,
        "normalize, 'layer' and 'unit'": second.assign_attrs(normalize="unit"),
        "metric, 'euclidean' and 'cosine'": second.assign_attrs(metric="cosine"),
        "reference, 'spontaneous' and ''": second.assign_attrs(reference=""),
        "seed, 0 and 1": second.assign_attrs(seed=1),
        "network, '' and 'net'": with_provenance(second, network="net"),
        "fingerprint": with_provenance(second, fingerprint="0" * 64),
        "input shape": with_provenance(second, input_shape=[8, 8, 1]),
    }
    for what, other in differing.items():
        cases.append(({"random": first, "top": other}, f"'random' and 'top' differ in their {what}"))
    for wrong, message in cases:
        with pytest.raises(dif.InputError, match=message):
            as_kinds(wrong)


def test_provenance() -> None:
    """What was written comes back, also with more facts; a result that says nothing says none."""
    result = neurons()
    assert provenance(result)["versions"]["numpy"] == np.__version__
    more = with_provenance(result, command="x")
    assert provenance(more) == {**provenance(result), "command": "x"}
    silent = result.assign_attrs(provenance="")
    assert provenance(silent) == {}
    assert provenance(with_provenance(silent, network="net")) == {"network": "net"}


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


def test_relative_limits_carry_those_of_the_reference() -> None:
    """Squares of logarithms add up; the reference over itself is 1; its units count where known."""
    rng = np.random.default_rng(0)
    arrays = {name: {"x": rng.gamma(shape, size=(20, 60))} for name, shape in (("a", 1.0), ("ref", 3.0))}
    result = dif.measure_responses(arrays, n_units=(10, 60), draws=5, reference="ref", resamples=200)
    low, high = dif.relative_interval(result)
    assert low.attrs["reference"] == "ref"
    assert low.dims == ("set", "layer", "n_units", "source")
    means = dif.draw_mean(result["differentiation"], result)
    of: dict[str, Any] = {"layer": "x", "n_units": 60}
    images = {**of, "source": "images"}

    def log(values: xr.DataArray, **at: Any) -> float:
        return float(np.log(values.sel({**of, **at})))

    limits = {end: result[f"differentiation_{end}"].sel(source="images") for end in ("low", "high")}
    ratio = log(means, set="a") - log(means, set="ref")
    below = np.hypot(
        log(means, set="a") - log(limits["low"], set="a"),
        log(limits["high"], set="ref") - log(means, set="ref"),
    )
    assert np.log(low.sel({**images, "set": "a"})) == pytest.approx(ratio - below)
    assert high.sel({**images, "set": "a"}) > np.exp(ratio)
    assert low.sel({**images, "set": "ref"}) == high.sel({**images, "set": "ref"}) == pytest.approx(1.0)
    # of units: the reference was used whole, so that only the set's own draws count
    few = {"layer": "x", "n_units": 10, "source": "units", "set": "a"}
    expected = result["differentiation_low"].sel(few) / means.sel({**of, "set": "ref"})
    assert low.sel(few) == pytest.approx(expected.item())
    with pytest.raises(dif.InputError, match="has no differentiation_low"):
        dif.relative_interval(result.drop_vars(["differentiation_low", "differentiation_high", "source"]))


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


@pytest.mark.slow
def test_corrected_spread_is_that_of_fresh_draws() -> None:
    """Against simulation: draws of units from the whole layer, without a pool."""
    rng = np.random.default_rng(1)
    responses = rng.gamma(0.5, 1.0, (10, 400)) * rng.gamma(1.0, 1.0, 400)
    fresh = [dif.differentiation(responses[:, rng.choice(400, 100, replace=False)]) for _ in range(3000)]
    corrected, raw = [], []
    for seed in range(60):
        result = dif.measure_responses(
            {"a": {"x": responses}}, n_units=100, pool=200, draws=40, seed=seed, resamples=100
        )
        raw.append(float(result["differentiation"].std("draw", ddof=1).item()))
        corrected.append(float(dif.draw_spread(result["differentiation"], result).item()))
    truth = float(np.std(fresh))
    assert np.sqrt(np.mean(np.square(corrected))) == pytest.approx(truth, rel=0.08)
    assert np.sqrt(np.mean(np.square(raw))) < 0.9 * truth  # what the correction is for


def test_moments_of_each_set_and_layer() -> None:
    """Mean and SD over all units and images of a set, whatever was sampled, against float64."""
    result, given = viewed(), by_hand()
    for layer in result["layer"].values:
        for name, rows in {"bright": slice(0, 4), "dark": slice(4, 7)}.items():
            entries = given[layer][rows].ravel()
            at = result.sel(set=name, layer=layer)
            assert float(at["layer_mean"]) == pytest.approx(oracles.mean(entries), abs=1e-6)
            assert float(at["layer_sd"]) == pytest.approx(oracles.population_sd(entries), rel=1e-6, abs=1e-7)
    assert result["layer_mean"].dims == result["layer_sd"].dims == ("set", "layer")
    # the control: the mean of the images' SDs is not the SD of the set
    of_images = [oracles.population_sd(image.ravel()) for image in given["named[mean]"][:4]]
    assert abs(float(result["layer_sd"].sel(set="bright", layer="named[mean]")) - np.mean(of_images)) > 1e-6


def test_filter_means_are_labelled() -> None:
    """Each column is one filter of one layer, its mean over space in float64."""
    result, given = viewed(), by_hand()
    expected = {layer: oracles.filter_means(given[layer], 0) for layer in result["layer"].values}
    assert result.sizes["filter"] == sum(means.shape[1] for means in expected.values())
    for column in range(result.sizes["filter"]):
        layer = str(result["filter_layer"].values[column])
        means = expected[layer][:, int(result["filter_index"].values[column])]
        np.testing.assert_allclose(result["filter_mean"].values[:, column], means, atol=1e-6)
    pairs = set(zip(result["filter_layer"].values, result["filter_index"].values, strict=True))
    assert len(pairs) == result.sizes["filter"]


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


def test_views_can_be_left_out() -> None:
    """The measure is the same to the last bit, and the result is whole without them."""
    plain, whole = viewed(views=False), viewed()
    for name in ("layer_mean", "layer_sd", "filter_mean", "prediction", "filter_layer", "class_name"):
        assert name in whole
        assert name not in plain
    for variable in plain.data_vars:
        xr.testing.assert_equal(plain[variable], whole[variable])
    xr.testing.assert_identical(validate_result(plain), plain)


def test_labels_must_come_with_their_variable() -> None:
    """A view without its labels is no result; nor is a map with other dimensions."""
    result = viewed(maps={"conv": [3]})
    with pytest.raises(dif.InputError, match="no result of differentia: class_name missing"):
        validate_result(result.drop_vars("class_name"))
    with pytest.raises(dif.InputError, match="no result of differentia: map_image missing"):
        validate_result(result.drop_vars("map_image"))
    with pytest.raises(dif.InputError, match=r"map_0 has the dimensions .* expected .*'map_0_y', 'map_0_x'"):
        validate_result(result.rename(map_0_y="height"))
    validate_result(result.drop_vars(["prediction", "class_name"]))


def test_moments_of_stored_responses() -> None:
    """Recorded neurons have their means and SDs too, over all of them, and no other view."""
    arrays = {name: {"V1": RNG.gamma(2.0, 3.0, (n, 30)) + 100} for name, n in {"a": 5, "b": 3}.items()}
    result = dif.measure_responses(arrays, n_units=10, draws=2)
    for name, areas in arrays.items():
        at = result.sel(set=name, layer="V1")
        assert float(at["layer_mean"]) == pytest.approx(oracles.mean(areas["V1"].ravel()), rel=1e-12)
        assert float(at["layer_sd"]) == pytest.approx(oracles.population_sd(areas["V1"].ravel()), rel=1e-9)
    assert "prediction" not in result
    assert "filter_mean" not in result
