"""The files: all that a result has data for, and nothing of an earlier result."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from helpers.figures import explained
from helpers.odd_networks import partly_without_channels, without_channels
from helpers.results import of_sets
from PIL import Image

import differentia as dif
from differentia.output.figures.save import save_figures

LINES = {"differentiation", "relative"}
MAPS = {"maps_1", "maps_2", "maps_3"}


ALL = ("png", "svg", "pdf")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all pictures of `explained` in all formats, for tests that only read it."""
    folder = tmp_path_factory.mktemp("drawn") / "figures"
    assert sorted(save_figures(explained(), folder, formats=ALL)) == sorted(folder.iterdir())
    return folder


def names(folder: Path, *formats: str) -> set[str]:
    """Return the names of the pictures in a folder, each there in these formats, and nothing else is."""
    found = {path.stem for path in folder.iterdir()}
    assert {path.name for path in folder.iterdir()} == {f"{name}.{one}" for name in found for one in formats}
    return found


def texts(picture: Path) -> list[str]:
    """Return the texts of an SVG, which are texts."""
    return [unescape(text) for text in re.findall("<text[^>]*>([^<]*)</text>", picture.read_text())]


def test_all_that_there_is_data_for(drawn: Path, tmp_path: Path) -> None:
    """And only that; an earlier result's pictures are removed, what is not a picture of it stays."""
    result = explained()
    assert names(drawn, *ALL) == {*LINES, "predictions", "filters", "distances", *MAPS}
    shutil.copytree(drawn, tmp_path / "new")
    less = result.drop_vars(
        ["prediction", "class_name", "map_2", "filter_mean", "filter_layer", "filter_index"]
    )
    save_figures(less, tmp_path / "new")
    assert names(tmp_path / "new", "png") == {*LINES, "distances", "maps_1", "maps_2"}
    least = less.drop_vars(["distance", "layer_mean", "layer_sd"]).assign_attrs(reference="")
    others = {"maps.png", "filters_of_mine.png", "kinds_of_mine.svg"}
    for name in (*others, "kinds.pdf", "kinds.png"):
        (tmp_path / "new" / name).touch()
    save_figures(least, tmp_path / "new", formats="svg")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"differentiation.svg", *others}
    with pytest.raises(dif.InputError, match="expected a result"):
        save_figures({}, tmp_path)


def test_layers_without_channels(tmp_path: Path) -> None:
    """The channels' heat map has the other layers, or is not there; the distances have all."""
    save_figures(partly_without_channels(), tmp_path / "some", formats="svg")
    assert {"filters", "distances", "maps_1"} <= names(tmp_path / "some", "svg")
    for name, layers in {
        "filters": ["input", "conv", "head"],
        "distances": ["input", "conv", "cut", "head"],
    }.items():
        known = "input", "conv", "cut", "head"
        shown = [text.split(" ")[0] for text in texts(tmp_path / "some" / f"{name}.svg")]
        assert [text for text in shown if text in known] == layers, name
    save_figures(without_channels(), tmp_path / "some")
    assert names(tmp_path / "some", "png") == {"differentiation", "predictions", "distances"}


def test_pages(tmp_path: Path) -> None:
    """Many layers are shared out over pages that fit onto paper; fewer pages remove those of before."""
    rng = np.random.default_rng(0)
    arrays = {name: {f"layer_{n}": rng.normal(size=(4, 6)) for n in range(16)} for name in ("a", "b", "c")}
    save_figures(dif.measure_responses(arrays), tmp_path, formats=("png", "svg"))
    assert names(tmp_path, "png", "svg") == {"differentiation", "distances_1", "distances_2", "distances_3"}
    for path in tmp_path.glob("distances_*.png"):
        with Image.open(path) as page:
            width, height = page.size
        assert width <= 7.2 * 150 + 1
        assert 6 * 150 < height <= 9.7 * 150 + 1
    shown = [text for path in sorted(tmp_path.glob("d*_?.svg")) for text in texts(path)]
    assert [text for text in shown if text.startswith("layer_")] == [f"layer_{n}" for n in range(16)]
    save_figures(dif.measure_responses({"a": {"x": rng.normal(size=(4, 6))}}), tmp_path)
    assert names(tmp_path, "png") == {"differentiation", "distances"}


@pytest.mark.slow
def test_files_are_the_same_each_time(drawn: Path, tmp_path: Path) -> None:
    """The same result gives the same files, byte for byte; another result gives other pictures."""
    result = explained()
    save_figures(result, tmp_path / "b", formats=ALL)
    changed = result.copy(deep=True)
    for name in ("differentiation", "prediction", "filter_mean", "distance", "map_0", "map_1", "map_2"):
        changed[name] = changed[name] * np.linspace(0.5, 1.0, changed.sizes[changed[name].dims[0]]).reshape(
            -1, *[1] * (changed[name].ndim - 1)
        )
    save_figures(changed, tmp_path / "c", formats="svg")
    for path in drawn.iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    for path in drawn.glob("*.svg"):
        assert path.read_bytes() != (tmp_path / "c" / path.name).read_bytes(), path.name


@pytest.mark.slow
def test_contrasts(tmp_path: Path) -> None:
    """Marked above the curves, and a panel for each pair in a picture, which goes when there are none."""
    rng = np.random.default_rng(0)
    arrays = {name: {f"layer_{n}": rng.normal(size=(12, 9)) for n in range(3)} for name in ("a", "b", "c")}
    measured = dif.measure_responses(arrays, reference="a")
    result = measured.drop_vars("distance")
    contrasts = [dif.contrast(measured, *pair) for pair in (("a", "b"), ("b", "c"))]
    written = save_figures(result, tmp_path, contrasts, formats="svg")
    assert names(tmp_path, "svg") == {*LINES, "contrast"}
    assert sorted(written) == sorted(tmp_path.iterdir())
    said = {path.stem: texts(path) for path in written}
    assert {"a \N{MINUS SIGN} b", "b \N{MINUS SIGN} c"} <= set(said["contrast"])
    assert said["contrast"].count("layer_0") == 1  # named below the last panel
    for name in LINES:
        assert {"a vs b", "b vs c", "corrected p < 0.05"} <= set(said[name])
    before = {path: path.read_bytes() for path in written}
    again = save_figures(result, tmp_path, contrasts, formats="svg")
    assert {path: path.read_bytes() for path in again} == before
    save_figures(result, tmp_path, (), formats="svg")
    assert names(tmp_path, "svg") == LINES
    assert (tmp_path / "relative.svg").read_bytes() != before[tmp_path / "relative.svg"]
    drawn = {path.stem: texts(path) for path in save_figures(result, tmp_path, formats="svg")}
    assert "b \N{MINUS SIGN} c" in drawn["contrast"]
    assert "b vs c" in drawn["relative"]
    with pytest.raises(dif.InputError, match="has the set 'c', which the result does not have"):
        save_figures(result.sel(set=["a", "b"]), tmp_path / "other", contrasts)
    assert not (tmp_path / "other").exists()


def test_kinds(tmp_path: Path) -> None:
    """The curves of several kinds of units in a figure of their own, which goes when there is one kind."""
    plain = explained().drop_vars(["distance", "prediction", "class_name", "filter_mean", "layer_mean"])
    results = {"all": plain, "top": plain.assign_coords(units="top")}
    save_figures(results, tmp_path)
    assert names(tmp_path, "png") == {*LINES, "kinds"}
    save_figures(plain, tmp_path)
    assert names(tmp_path, "png") == LINES


@pytest.fixture(scope="module")
def small() -> xr.Dataset:
    """A result of which there is one figure: its curves."""
    rng = np.random.default_rng(0)
    responses = {name: {f"l{n}": rng.normal(size=(5, 9)) for n in range(3)} for name in ("a", "b")}
    return dif.measure_responses(responses).drop_vars("distance")


def test_width_and_dots(small: xr.Dataset, drawn: Path, tmp_path: Path) -> None:
    """Curves are as wide as was asked for, in each format; text keeps its size; dots are those asked for."""
    sizes = {}
    for width in (120, 180):
        save_figures(small, tmp_path, formats=ALL, width=width, dpi=100)
        with Image.open(tmp_path / "differentiation.png") as picture:
            assert abs(picture.width - width / 25.4 * 100) <= 1
            assert picture.info["dpi"] == pytest.approx((100, 100), abs=0.1)
        svg = (tmp_path / "differentiation.svg").read_text()
        (points,) = re.findall(r'<svg [^>]*width="([\d.]+)pt"', svg)
        assert float(points) == pytest.approx(width / 25.4 * 72, abs=0.01)
        (points,) = re.findall(
            rb"/MediaBox \[ 0 0 ([\d.]+) ", (tmp_path / "differentiation.pdf").read_bytes()
        )
        assert float(points) == pytest.approx(width / 25.4 * 72, abs=0.01)
        sizes[width] = re.findall(r"font-size: ([\d.]+)px[^>]*>Differentiation<", svg)
    assert len(sizes[120]) == 1
    assert sizes[120] == sizes[180]
    for name, dots in {"relative": 200, "distances": 150}.items():
        with Image.open(drawn / f"{name}.png") as picture:
            assert picture.info["dpi"] == pytest.approx((dots, dots), abs=0.1)


def test_text_can_be_edited(drawn: Path) -> None:
    """It is text in SVG and PDF, in a font of its own there; nothing is drawn as outlines of letters."""
    assert "Differentiation" in texts(drawn / "differentiation.svg")
    assert "<!-- " not in (drawn / "differentiation.svg").read_text()  # beside which outlines would stand
    content = (drawn / "differentiation.pdf").read_bytes()
    assert b"/Subtype /Type0" in content
    assert b"/FontFile2" in content
    assert b"/Subtype /Type3" not in content


def test_formats(small: xr.Dataset, tmp_path: Path) -> None:
    """None at all removes what was there, and a folder with nothing else in it; wrong ones are named."""
    save_figures(small, tmp_path / "mine")
    for none in ("none", ()):
        assert save_figures(small, tmp_path / "mine", formats=none) == []
        assert not (tmp_path / "mine").exists()
    for wrong, told in {
        "gif": "unknown format 'gif'",
        ("png", "none"): "'none' and png do not go together",
        ("svg", "svg"): "'svg' is given twice",
    }.items():
        with pytest.raises(dif.InputError, match=told):
            save_figures(small, tmp_path / "mine", formats=wrong)
    with pytest.raises(dif.InputError, match=r"width is 8\.5; expected at least 50"):
        save_figures(small, tmp_path / "mine", width=8.5)
    with pytest.raises(dif.InputError, match="unknown option 'with'"):
        save_figures(small, tmp_path / "mine", **{"with": 85})  # type: ignore[arg-type]
    assert not (tmp_path / "mine").exists()


def test_progress(small: xr.Dataset, tmp_path: Path) -> None:
    """It is told of each figure, however many files that makes."""
    told: list[tuple[int, int, str]] = []
    several = {"all": small.assign_coords(units="all"), "top": small.assign_coords(units="top")}
    save_figures(several, tmp_path, formats=("png", "svg"), progress=lambda *given: told.append(given))
    assert told == [(1, 2, "figures"), (2, 2, "figures")]
    for shown in (True, False):  # of its own; no figure is lost by it
        assert len(save_figures(several, tmp_path, progress=shown)) == 2
    with pytest.raises(dif.InputError, match="progress is 'yes'; expected True, False, or a function"):
        save_figures(several, tmp_path, progress="yes")  # type: ignore[arg-type]


def test_matplotlib_is_left_as_it_was(tmp_path: Path) -> None:
    """No setting is changed and no backend chosen; neither pictures nor reports need a network's library."""
    dif.save(explained(), tmp_path / "result.nc")
    script = f"""
import sys
from pathlib import Path
import matplotlib as mpl
before = mpl.rcParams.copy()
backend = mpl.get_backend(auto_select=False)
import differentia as dif
from differentia.output.figures.save import save_figures
from matplotlib.figure import Figure
result = dif.load_result({str(tmp_path / "result.nc")!r})
save_figures(result.drop_dims("filter"), Path({str(tmp_path / "figures")!r}))
dif.plot(result, ax=Figure().add_subplot())
dif.write_report(result, {str(tmp_path / "report.html")!r})
assert mpl.get_backend(auto_select=False) == backend
assert "matplotlib.pyplot" not in sys.modules
dif.plot(result)  # with a figure of pyplot's, as a notebook shows it
changed = [name for name in before if name != "backend" and mpl.rcParams[name] != before[name]]
assert not changed, changed
assert not {{"torch", "keras", "tensorflow", "jax"}} & set(sys.modules)
mpl.rcParams["lines.linewidth"] = 9
assert [name for name in before if name != "backend" and mpl.rcParams[name] != before[name]]
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_many_sets_have_a_heat_map(tmp_path: Path) -> None:
    """Beside the curves; a few have none, and a page holds every picture."""
    save_figures(of_sets(30, layers=2), tmp_path / "many")
    assert names(tmp_path / "many", "png") == {*LINES, "sets", "distances"}
    for picture in (tmp_path / "many").iterdir():
        with Image.open(picture) as opened:
            assert max(opened.size) <= 200 * 12
    save_figures(of_sets(12, layers=2), tmp_path / "many", contrasts=())
    assert names(tmp_path / "many", "png") == {*LINES, "distances"}
