"""The report without a browser: how arrays become small, what is refused, and that a file is whole."""

from __future__ import annotations

import base64
import errno
import html
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.networks import tricky
from helpers.reports import compared, kinds, measured, published
from helpers.results import neurons
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

import differentia as dif
from differentia.definition.measure import METRICS, NORMALIZATIONS
from differentia.output.report import page
from differentia.output.report.contents import contents
from differentia.output.report.facts import facts, warnings_of, yardstick
from differentia.output.report.packing import neighbours_together, pack, spread_out
from differentia.results.contrasts import contrasts_between_sets
from differentia.results.dataset import with_provenance
from differentia.results.schema import what_is_left
from differentia.results.summaries import extreme_layers

RNG = np.random.default_rng(0)


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    """Return what the page reads: two bytes a number, the lower first."""
    data = base64.b64decode(packed["data"])
    codes = [low + 256 * high for low, high in zip(data[::2], data[1::2], strict=True)]
    values = [np.nan if code == 65_535 else packed["low"] + packed["step"] * code for code in codes]
    return np.array(values, dtype=float).reshape(packed["shape"])


# ------------------------------------------------------------------------------------------------- packing


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3), elements=st.floats(-1e6, 1e6) | st.just(np.nan)))
def test_what_is_packed_comes_back(values: np.ndarray) -> None:
    """Within half a step, which is the range over 65,534; NaN as NaN."""
    packed = pack(values)
    found = unpacked(packed)
    assert found.shape == values.shape
    assert np.isfinite(packed["low"])
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    known = values[~np.isnan(values)]
    if known.size:
        width = known.max() - known.min()
        assert packed["step"] == pytest.approx(width / 65_534)
        error = np.abs(found[~np.isnan(values)] - known)
        assert error.max() <= 0.5001 * packed["step"] + 1e-9 * np.abs(known).max()


def test_packing_of_what_is_constant_or_not_there() -> None:
    """Equal numbers come back exactly; without any number all are NaN, infinities too."""
    np.testing.assert_array_equal(unpacked(pack(np.full((2, 3), 0.1))), np.full((2, 3), 0.1))
    assert np.isnan(unpacked(pack(np.full(4, np.nan)))).all()
    with_infinity = unpacked(pack(np.array([1.0, np.inf, -np.inf, 2.0])))
    np.testing.assert_allclose(with_infinity, [1.0, np.nan, np.nan, 2.0])
    assert pack(np.array([[1.0, 2.0]]))["data"] == base64.b64encode(b"\x00\x00\xfe\xff").decode()


def test_some_of_each_group() -> None:
    """In order, with both ends, in proportion, at least two of each group kept; all where they fit."""
    groups = [np.arange(100), np.arange(100, 400), np.arange(400, 403)]
    np.testing.assert_array_equal(spread_out(groups, 403), np.arange(403))
    some = spread_out(groups, 40)
    counts = [int(np.isin(group, some).sum()) for group in groups]
    assert counts == [100 * 40 // 403, 300 * 40 // 403, 2]
    assert (np.diff(some) > 0).all()
    for group in groups:
        assert {group[0], group[-1]} <= set(some.tolist())
    gaps = np.diff(some[counts[0] : counts[0] + counts[1]])
    assert gaps.max() - gaps.min() <= 1
    assert spread_out(groups, 6).tolist() == [0, 99, 100, 399, 400, 402]
    assert spread_out(groups, 5).tolist() == [0, 1, 400, 401]  # two groups of three
    assert len(spread_out([np.arange(2) + 2 * place for place in range(300)], 100)) == 100


def test_neighbouring_columns() -> None:
    """Each mean is of the columns from its start to the next; few columns are left as they are."""
    values = RNG.normal(size=(3, 11))
    means, starts = neighbours_together(values, 4)
    assert len(starts) == 4
    ends = [*starts[1:].tolist(), 11]
    for place, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
        for row in range(3):
            expected = sum(values[row, start:end].tolist()) / (end - start)
            assert means[row, place] == pytest.approx(expected)
    assert {end - start for start, end in zip(starts.tolist(), ends, strict=True)} <= {2, 3}
    means, starts = neighbours_together(values, 11)
    np.testing.assert_array_equal(means, values)
    np.testing.assert_array_equal(starts, range(11))


# ------------------------------------------------------------------------------------------- what is refused


def test_what_is_no_result_is_refused() -> None:
    """Nothing is written of it, nor of several results that do not belong together."""
    both = kinds()
    cases: list[tuple[Any, str]] = [
        ({}, r"expected a result, or results as \{kind of units: result\}; got none"),
        (None, "the result is a NoneType"),
        ({**both, "top": both["top"].assign_attrs(metric="cosine")}, "differ in their metric"),
        ({**both, "top": both["top"].assign_attrs(seed=9)}, "differ in their seed"),
        (both["top"].isel(image=slice(3)), "distances of .* images but only 3 images"),
        (both["top"].isel(set=[]), "no set or no layer left"),
    ]
    for wrong, message in cases:
        with pytest.raises(dif.InputError, match=message):
            dif.write_report(wrong, "never.html")
        assert not Path("never.html").exists()


def test_contrasts_of_something_else_are_refused() -> None:
    """Each error names what was given; nothing is written."""
    result = compared()
    (first, *_) = contrasts_between_sets(result)
    cases: list[tuple[Any, str]] = [
        (first, "contrasts= is one Dataset; expected a list of them"),
        (["cats"], "this str is not a contrast; expected what contrast"),
        ([result], "this Dataset is not a contrast"),
        (
            [first.assign_attrs(units="top")],
            "is of 'top' units; the results are of random",
        ),
        ([first.assign_attrs(second="cats")], "has the set 'cats', which the result does not have"),
        ([first.assign_coords(layer=list("abcd"))], "has the layer 'a', which the result does not have"),
        ([first.assign_attrs(n_units=7)], "is of 7 units; the result's largest number of units is 100"),
    ]
    for wrong, message in cases:
        with pytest.raises(dif.InputError, match=message):
            dif.write_report(result, "never.html", contrasts=wrong)
        assert not Path("never.html").exists()


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder, a file in a folder that is none, an empty path: the error names it and the way out."""
    (tmp_path / "file").write_text("kept")
    cases: list[tuple[Path | str, str]] = [
        (tmp_path, r": can't be written \(it is a folder\); give the path of a file in a folder that can"),
        (tmp_path / "gone" / "report.html", r"gone/report.html: can't be written"),
        (tmp_path / "file" / "report.html", r"file/report.html: can't be written"),
        ("", "an empty path was given"),
        (tmp_path / ("x" * 300), "File name too long"),
    ]
    for path, message in cases:
        with pytest.raises(dif.InputError, match=message):
            dif.write_report(neurons(), path)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "kept")]


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails half way, the earlier report stands and nothing lies beside it."""
    path = dif.write_report(neurons(), tmp_path / "report.html")
    assert path == tmp_path / "report.html"
    before = path.read_bytes()
    with monkeypatch.context() as patched:

        def broken(self: Path, text: str, encoding: str) -> None:
            with self.open("w", encoding=encoding) as file:
                file.write(text[:1000])
            raise OSError(errno.ENOSPC, "no space left")

        patched.setattr(Path, "write_text", broken)
        with pytest.raises(dif.StorageError, match=r"\(no space left\); free some space"):
            dif.write_report(measured(), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["report.html"]
    dif.write_report(measured(), path)
    assert path.read_bytes() != before
    assert os.listdir(tmp_path) == ["report.html"]


@pytest.mark.slow
def test_the_same_result_gives_the_same_page(tmp_path: Path) -> None:
    """Byte by byte, and of another result another one; also once saved and loaded."""
    dif.save(measured(), tmp_path / "result.nc")
    results = [
        measured(),
        measured(),
        dif.load_result(tmp_path / "result.nc"),
        measured().assign_attrs(seed=9),
    ]
    pages = [dif.write_report(result, tmp_path / "report.html").read_bytes() for result in results]
    assert pages[0] == pages[1] == pages[2]
    assert pages[0] != pages[3]


def test_the_page_asks_for_nothing(tmp_path: Path) -> None:
    """By its own policy: no script but those in it, pictures only from within."""
    text = dif.write_report(measured(), tmp_path / "report.html").read_text(encoding="utf-8")
    (policy,) = (html.unescape(line) for line in text.splitlines() if "Content-Security-Policy" in line)
    assert "default-src 'none'" in policy
    assert policy.count("sha256-") == 2
    assert "unsafe-eval" not in policy
    assert "img-src data: blob:" in policy
    assert "connect-src" not in policy
    markup = text[: text.index('<script type="application/json"')]
    assert " src=" in markup
    assert {part.split(":", 1)[0] for part in markup.split(' src="')[1:]} == {"data"}


# ---------------------------------------------------------------------------------------- what is on the page


def test_the_main_view_leaves_out_what_it_does_not_show() -> None:
    """Of the images only those of the nearest and farthest pairs have pictures; the whole page has all."""
    results = {"random": measured().drop_dims(["filter", "map_image"]).isel(layer=[3])}
    whole, view = contents(results), contents(results, main_view=True)
    assert whole["predictions"] is not None
    assert len(whole["gallery"]) == 15
    assert view["predictions"] is None
    assert view["gallery"] == []
    layers = view["kinds"][0]["pairs"]["layers"]
    ends = {
        row
        for layer in layers
        for of in layer["sets"]
        for end in ("nearest", "farthest")
        for row in of[end][:2]
    }
    pictured = {int(row) for row, image in view["images"].items() if "picture" in image}
    assert pictured == ends
    assert len(pictured) < 15
    assert {int(row) for row, image in whole["images"].items() if "picture" in image} == set(range(15))


def test_names_of_networks() -> None:
    """Without options and folders."""
    for network, short in {
        "digits": "digits",
        "keras:VGG16?weights=/data/w.h5": "keras:VGG16",
        "/home/me/nets/my.keras?preprocess=unit": "my.keras",
        "nets/": "nets/",
    }.items():
        assert page.short_name(network) == short


def test_facts_and_overview_of_recorded_responses() -> None:
    """What is not known is left out; a set without any value has no highest and lowest layer."""
    known = dict(facts({"random": neurons()}))
    assert "Network" not in known
    (kind,) = contents({"sketch": neurons().assign_coords(units="sketch")})["kinds"]
    assert (kind["noun"], kind["counted"]) == ("sums", True)
    assert known["Draws"] == "6 of 5 units, 6 of 20 units, 1 of 50 units"
    assert "torch" not in known["Versions"]
    assert known["Reference"] == "spontaneous"
    assert known["Intervals"] == "95 %; of images: bootstrap (studentized), 2,000 resamples"
    assert dict(facts({"random": neurons().assign_attrs(reference="")}))["Reference"] == "none"
    nothing = neurons()
    nothing["differentiation"] = nothing["differentiation"] * np.nan
    assert [set(extremes) for extremes in extreme_layers(nothing).values()] == [{None}, {None}]
    (first, *_) = extreme_layers(published()).values()
    assert first.first is not None
    assert first.first[0] == "input"


def test_showing_it_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter is given one frame, and nothing warns; without IPython the error says what to do instead."""
    shown: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr("IPython.display.display", shown.append)
        assert dif.show(neurons(), height=321) is None
    with pytest.raises(dif.InputError, match="the result is a str"):
        dif.show("result.nc")  # type: ignore[arg-type]
    (given_to_jupyter,) = shown
    assert given_to_jupyter.data.count("<iframe") == 1
    assert "height: 321px" in given_to_jupyter.data
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    message = r"show\(\) needs a Jupyter notebook .*; write_report\(\) writes a file that browsers open"
    with pytest.raises(dif.InputError, match=message):
        dif.show(neurons())


def test_selections_of_sets_and_layers() -> None:
    """What is left is as if the others had not been measured: images, filters and maps go with their set."""
    sets = {name: RNG.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8) for name in "abc"}
    network = dif.load_network(tricky(), preprocess="unit", input_shape=(3, 16, 16))
    options: dict[str, Any] = {"n_units": 20, "draws": 2, "map_images": (0, 2)}
    maps = {"conv": [1], "split[0]": [0, 1]}
    whole = dif.measure(network, sets, maps=maps, **options)
    chosen = whole.sel(set=["a", "c"], layer=["conv", "head"])
    alone = dif.measure(
        network,
        {"a": sets["a"], "c": sets["c"]},
        layers=["conv", "head"],
        maps={"conv": [1]},
        **options,
    )
    left = what_is_left(chosen)
    assert left["image_set"].values.tolist() == ["a"] * 4 + ["c"] * 4
    assert set(left["filter_layer"].values) == {"conv", "head"}
    for name in (
        "differentiation",
        "filter_mean",
        "prediction",
        "thumbnail",
        "distance",
        "map_image",
        "map_0",
    ):
        np.testing.assert_array_equal(left[name].values, alone[name].values, err_msg=name)
    assert "map_1" not in left
    assert contents({"random": left}) == contents({"random": alone})
    assert what_is_left(whole).identical(whole)


def test_warnings_of_every_kind() -> None:
    """Each once; none are known of results that were written before they were kept."""
    results = kinds()
    texts = {"random": ["one"], "top": ["one", "two"], "filter_mean": []}
    warned = {
        kind: with_provenance(result, warnings=texts[kind])
        for kind, result in results.items()
        if kind in texts
    }
    assert warnings_of(warned) == ["one", "two"]
    assert warnings_of({"top": results["top"].assign_attrs(provenance="")}) is None


def test_what_independent_responses_give() -> None:
    """It is said only where it holds whatever their distribution, and then it does."""
    for normalize in NORMALIZATIONS:
        for metric in METRICS:
            said = yardstick(neurons().assign_attrs(normalize=normalize, metric=metric))
            found = re.search(r"([\d.]+) where they are independent", said)
            values = []
            for responses in (RNG.gamma(2.0, 1.0, (30, 4_000)), RNG.normal(5, 2, (30, 4_000))):
                scale = responses.std(axis=0) if normalize == "unit" else None
                value = dif.differentiation(responses, normalize=normalize, metric=metric, scale=scale)
                values.append(value)
            known = metric != "cityblock" and normalize in ("layer", "response")
            assert (found is not None) == known, said
            if found:
                np.testing.assert_allclose(
                    values, float(found[1]), rtol=0.03, err_msg=f"{normalize}, {metric}"
                )
