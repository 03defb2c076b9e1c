"""Tables of a result: a row for each value, and the most probable classes of each image."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers import oracles
from helpers.results import CLASSES, by_hand, neurons, viewed

import differentia as dif
from differentia.results.schema import LIMITS
from differentia.results.tables import save_predictions, table_rows, top_classes

RNG = np.random.default_rng(0)


def test_predictions_and_best_classes() -> None:
    """Probabilities by class; the best classes of each image, most probable first."""
    result = viewed(layers=["conv"])  # which the classes are not among
    expected = oracles.softmax(by_hand()["head"])
    np.testing.assert_allclose(result["prediction"], expected, atol=1e-6)
    assert result["class_name"].values.tolist() == list(CLASSES)
    best = top_classes(result, 3)
    for image, row in enumerate(expected):
        places = oracles.highest(row, 3)
        assert best["class_number"].values[image].tolist() == places
        assert best["class_name"].values[image].tolist() == [CLASSES[number] for number in places]
        np.testing.assert_allclose(best["probability"].values[image], row[places], atol=1e-6)
    assert best["image_set"].values.tolist() == ["bright"] * 4 + ["dark"] * 3
    assert best["image_name"].values.tolist() == ["0", "1", "2", "3", "0", "1", "2"]
    assert top_classes(result).sizes["place"] == top_classes(result, 99).sizes["place"] == 5
    even = result.assign(prediction=(("image", "class"), np.tile([0.2, 0.3, 0.1, 0.3, 0.1], (7, 1))))
    assert top_classes(even)["class_number"].values[0].tolist() == [1, 3, 0, 2, 4]  # ties by number
    with pytest.raises(
        dif.InputError,
        match=r"has no prediction; measure a classifier, with views=True",
    ):
        top_classes(viewed(views=False))


def test_table_of_predictions(tmp_path: Path) -> None:
    """A row an image; an earlier table goes where there are no predictions."""
    result, path = viewed(), tmp_path / "predictions.csv"
    result = result.assign_coords(class_name=("class", ["a,b", 'c"d', "e", "f", "ö"]))
    save_predictions(result, path)
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    columns = [f"{what}_{place}" for place in range(1, 6) for what in ("class", "probability")]
    assert header == ["set", "image", *columns]
    assert [row[:2] for row in rows] == [
        *(["bright", str(number)] for number in range(4)),
        *(["dark", str(number)] for number in range(3)),
    ]
    names = np.array(["a,b", 'c"d', "e", "f", "ö"])
    for row, probabilities in zip(rows, oracles.softmax(by_hand()["head"]), strict=True):
        places = oracles.highest(probabilities, 5)
        assert row[2::2] == names[places].tolist()
        np.testing.assert_allclose([float(cell) for cell in row[3::2]], probabilities[places], atol=2e-6)
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.csv"]
    save_predictions(viewed(views=False), path)
    assert list(tmp_path.iterdir()) == []


def test_predictions_beside_what_else_is_known(tmp_path: Path) -> None:
    """Numbers and texts of the images, as columns behind the classes; what is not known is empty."""
    result = viewed().assign_coords(
        image_time=("image", [0.04, np.nan, *range(5)]),
        image_kind=("image", np.array([*"a,bc", "", "d", "é"])),
    )
    save_predictions(result, tmp_path / "p.csv")
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]][-2:] == ["image_time", "image_kind"]
    assert [row["image_time"] for row in rows] == ["0.04", "", "0.0", "1.0", "2.0", "3.0", "4.0"]
    assert [row["image_kind"] for row in rows] == ["a", ",", "b", "c", "", "d", "é"]


def with_predictions(probabilities: np.ndarray, names: list[str]) -> xr.Dataset:
    """Return a result with predictions for its 16 responses."""
    return (
        neurons()
        .assign(prediction=(("image", "class"), probabilities))
        .assign_coords(class_name=("class", names))
    )


def test_top_classes() -> None:
    """The most probable first, ties by number, as sorting by hand gives; fewer classes than asked for."""
    probabilities = RNG.integers(0, 6, (16, 7)).astype(np.float32) / 8  # with many ties
    names = ["a", "b", "b", "c,d", 'e"f', "g", "7"]
    best = top_classes(with_predictions(probabilities, names), 3)
    for row, image in enumerate(probabilities.tolist()):
        expected = sorted(range(7), key=lambda number: (-image[number], number))[:3]
        assert best["class_number"].values[row].tolist() == expected
        assert best["class_name"].values[row].tolist() == [names[number] for number in expected]
        assert best["probability"].values[row].tolist() == [image[number] for number in expected]
    assert top_classes(with_predictions(probabilities[:, :2], names[:2])).sizes["place"] == 2
    with pytest.raises(dif.InputError, match=r"the result has no prediction; measure .* \(no --no-views\)"):
        top_classes(neurons())


def test_saved_predictions(tmp_path: Path) -> None:
    """Parsed back they are the five best; names with commas, quotes and line ends stay whole."""
    probabilities = RNG.dirichlet(np.ones(6), 16)
    names = ["a,b", 'c"d', "e\nf", "é", "", "5"]
    result = with_predictions(probabilities, names)
    save_predictions(result, tmp_path / "p.csv")
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["set"] for row in rows] == ["stimulus"] * 8 + ["spontaneous"] * 8
    assert [row["image"] for row in rows] == result["image_name"].values.tolist()
    for row, image in zip(rows, probabilities, strict=True):
        for place, number in enumerate(np.argsort(-image)[:5], start=1):
            assert row[f"class_{place}"] == names[number]
            assert float(row[f"probability_{place}"]) == pytest.approx(image[number], abs=5e-7)
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]
    save_predictions(neurons(), tmp_path / "p.csv")
    save_predictions(neurons(), tmp_path / "p.csv")  # nothing to remove
    assert list(tmp_path.iterdir()) == []


def size_of(record: dict[str, Any]) -> int:
    return 10 if record["layer"] == "block1/conv" else 60


def test_rows_hold_the_limits_of_each_value() -> None:
    """Those of the result, and of relative values; NaN where they are not known, as without intervals."""
    arrays = {name: {"V1": RNG.gamma(2.0, 1.0, (12, 60))} for name in ("stimulus", "spontaneous")}
    result = dif.measure_responses(arrays, n_units=(5, 20), pool=20, draws=6, reference="spontaneous")
    limits = {
        "differentiation": (result["differentiation_low"], result["differentiation_high"]),
        "relative": dif.relative_interval(result),
    }
    sources, both = ("units", "images", "both"), ("low", "high")
    names = [f"{name}_{source}_{end}" for name in limits for source in sources for end in both]
    found = table_rows(result)
    for one in found:
        at = {name: one[name] for name in ("set", "layer", "n_units")}
        for name, ends in limits.items():
            for end, values in zip(both, ends, strict=True):
                for source in sources:
                    expected = float(values.sel({**at, "source": source}))
                    np.testing.assert_equal(one[f"{name}_{source}_{end}"], expected)
        # of the whole pool there is one draw, which does not tell of units
        known = sources if one["n_units"] == 5 else ("images",)
        for name in names:
            assert np.isfinite(one[name]) == any(f"_{source}_" in name for source in known), name
        for source in known:
            low, high = (one[f"differentiation_{source}_{end}"] for end in both)
            assert low < one["differentiation"] < high
    for one in table_rows(result.drop_vars([*LIMITS, "source"])):
        assert all(np.isnan(one[name]) for name in names)
        assert np.isfinite(one["relative"])


def test_rows_hold_every_number_once() -> None:
    """Means and SDs over draws at each set, layer and number of units, plain and relative."""
    result = neurons()
    found = table_rows(result)
    assert len(found) == 2 * 2 * 3
    assert len({(one["set"], one["layer"], one["n_units"]) for one in found}) == len(found)
    flags = dif.not_converged(result)
    for one in found:
        at = {name: one[name] for name in ("set", "layer", "n_units")}
        draws = result["differentiation"].sel(at).values
        draws = draws[np.isfinite(draws)]
        assert one["differentiation"] == pytest.approx(draws.mean())
        assert one["units_used"] == min(one["n_units"], 10 if one["layer"] == "block1/conv" else 60)
        divisor = result["differentiation"].sel(set="spontaneous", layer=one["layer"], n_units=50).mean()
        assert one["relative"] == pytest.approx(draws.mean() / float(divisor))
        if len(draws) > 1:
            size, pool, used = 60, 50, one["units_used"]
            if one["layer"] == "block1/conv":
                size = pool = 10
            sd = draws.std(ddof=1) * np.sqrt((1 - used / size) / (1 - used / pool))
            assert one["sd_over_draws"] == pytest.approx(sd)
            assert one["relative_sd_over_draws"] == pytest.approx(sd / float(divisor))
        unknown = one["n_units"] == 50 and one["units_used"] < size_of(one)  # nothing larger was measured
        assert one["not_converged"] == (None if unknown else bool(flags.sel(at)))
    without = table_rows(result.assign_attrs(reference=""))
    assert all(one["relative"] is one["relative_sd_over_draws"] is None for one in without)
    of_relative = [name for name in found[0] if name.startswith("relative")]
    assert len(of_relative) == 8
    assert all(one[name] is None for one in without for name in of_relative)
    with pytest.raises(dif.InputError, match="not a result of differentia"):
        dif.to_dataframe(result.drop_vars("pool_size"))


def test_a_table_has_the_same_rows() -> None:
    """With pandas' own types; NaN where a row has None, and NA where it can't be said what has converged."""
    result = neurons()
    for given in (result, result.assign_attrs(reference="")):
        table, rows = dif.to_dataframe(given), table_rows(given)
        assert list(table.columns) == list(rows[0])
        floats = [name for name in rows[0] if name.startswith(("relative", "differentiation", "sd_"))]
        by_row = pd.DataFrame(rows).astype({"not_converged": "boolean", **dict.fromkeys(floats, float)})
        pd.testing.assert_frame_equal(table, by_row)
        assert table["not_converged"].isna().any()
        assert table["not_converged"].notna().any()
    assert table["relative"].isna().all()
    means = dif.to_dataframe(result).set_index(["set", "layer", "n_units"])["differentiation"].to_xarray()
    expected = dif.draw_mean(result["differentiation"], result)
    np.testing.assert_allclose(means.reindex_like(result), expected.transpose(*means.dims))


def test_records_stay_one_version() -> None:
    """With a warning that users see, at their own line, and that names what replaces them."""
    result = neurons()
    with pytest.warns(FutureWarning, match=r"use dif\.to_dataframe\(\)"):
        found = dif.records(result)
    np.testing.assert_equal(found, table_rows(result))
    script = (
        "import numpy as np, differentia as dif\n"
        "result = dif.measure_responses({'a': {'V1': np.eye(3)}})\n"
        "dif.records(result)"
    )
    with pytest.warns(FutureWarning, match=r"^dif\.records\(\) goes with the next version") as told:
        exec(compile(script, "<string>", "exec"), {})
    assert [(one.filename, one.lineno) for one in told] == [("<string>", 3)]


def test_the_table_of_statistics() -> None:
    """A row for each set and layer, then one for each pair of sets and layer: the numbers of the dataset."""
    found = dif.statistics(neurons(), quantiles=(0.05, 0.5))
    table = dif.to_dataframe(found)
    assert table[["set", "other", "layer"]].values.tolist() == [
        *(
            [name, "", layer]
            for name in ("stimulus", "spontaneous")
            for layer in ("features.0", "block1/conv")
        ),
        *(["stimulus", "spontaneous", layer] for layer in ("features.0", "block1/conv")),
    ]
    own, pairs = table[table["other"] == ""], table[table["other"] != ""]
    for name in ("median", "mean", "dimensionality", "dimensionality_unbiased"):
        np.testing.assert_array_equal(own[name], found[name].values.ravel())
        assert pairs[name].isna().all()
    np.testing.assert_array_equal(own["quantile_0.5"], own["median"])
    for name in ("between", "within_second", "excess", "p_corrected"):
        np.testing.assert_array_equal(pairs[name], found[name].values.ravel())
        assert own[name].isna().all()
    assert table["n_units"].tolist() == [50, 10] * 3
    assert table["n_images"].tolist() == [8] * 6
    alone = dif.to_dataframe(dif.statistics(neurons().sel(set=["stimulus"])))
    assert alone["other"].tolist() == ["", ""]


def test_the_table_of_depth(tmp_path: Path) -> None:
    """A row for each set and layer; what is of two layers has no place in it."""
    found = xr.Dataset(
        {
            "value": (("set", "layer"), np.arange(6.0).reshape(2, 3)),
            "stimulus": ("set", [0.1, 0.2]),
            "pearson": ("layer", [1.0, 0.5, np.nan]),
            "doubt": (("set", "layer"), [["", "gap", ""], ["", "", ""]]),
            "similarity": (("set", "layer", "layer_other"), np.zeros((2, 3, 3))),
        },
        coords={"set": ["a", "b"], "layer": ["x", "y", "z"], "layer_other": ["x", "y", "z"], "units": "all"},
        attrs={"differentia": "depth"},
    )
    table = dif.to_dataframe(found)
    assert table.columns.tolist() == ["set", "layer", "value", "stimulus", "pearson", "doubt"]
    assert table["set"].tolist() == ["a"] * 3 + ["b"] * 3
    assert table["value"].tolist() == [0, 1, 2, 3, 4, 5]
    assert table["stimulus"].tolist() == [0.1] * 3 + [0.2] * 3
    np.testing.assert_array_equal(table["pearson"], [1.0, 0.5, np.nan] * 2)
    back = pd.read_parquet(dif.save_table(table, tmp_path / "depth.parquet"))
    pd.testing.assert_frame_equal(back, table, check_dtype=False)
    with pytest.raises(dif.InputError, match="is not a result of differentia"):
        dif.to_dataframe(found.assign_attrs(differentia="other"))


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".CSV"])
@pytest.mark.parametrize("of", ["result", "statistics"])
def test_a_table_comes_back_from_its_file(of: str, ending: str, tmp_path: Path) -> None:
    """With the same columns and numbers, whatever the names; the file is replaced whole."""
    result = neurons()
    named = result.assign_coords(layer=["a,b", 'c"\u00f6'])
    table = dif.to_dataframe(named if of == "result" else dif.statistics(named))
    path = tmp_path / f"table{ending}"
    path.write_text("before")
    assert dif.save_table(table, path) == path
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    if ending == ".parquet":
        back = pd.read_parquet(path)
        assert back.dtypes.astype(str).tolist() == table.dtypes.astype(str).tolist()
        pd.testing.assert_frame_equal(back, table, check_dtype=False)
        return
    back = pd.read_csv(path, keep_default_na=True, na_values={"other": []})
    assert back.columns.tolist() == table.columns.tolist()
    assert back["layer"].tolist() == table["layer"].tolist()
    for name in table.select_dtypes("number"):
        np.testing.assert_allclose(back[name].astype(float), table[name].astype(float), rtol=1e-12)


def test_tables_that_can_not_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result, another ending, no such folder, Parquet without pyarrow; nothing is left behind."""
    table = dif.to_dataframe(neurons())
    with pytest.raises(dif.InputError, match=r"unknown ending of a table '.xlsx'.*\.csv, \.parquet"):
        dif.save_table(table, tmp_path / "a.xlsx")
    with pytest.raises(dif.InputError, match=r"of type Dataset; expected a DataFrame, such as to_dataframe"):
        dif.save_table(neurons(), tmp_path / "a.csv")
    with pytest.raises(dif.DifferentiaError, match="give the path of a file in a folder that can"):
        dif.save_table(table, tmp_path / "none" / "a.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(dif.InputError, match=r'pip install "differentia\[parquet\]"'):
        dif.save_table(table, tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []
