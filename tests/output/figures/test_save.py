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
from helpers.figures import explained
from helpers.odd_networks import partly_without_channels, without_channels
from PIL import Image

import differentia as dif
from differentia.output.figures.save import save_figures, save_kinds

LINES = {"differentiation", "relative"}
MAPS = {"maps_1", "maps_2", "maps_3"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all pictures of `explained`, for tests that only read it."""
    folder = tmp_path_factory.mktemp("drawn") / "figures"
    assert sorted(save_figures(explained(), folder)) == sorted(folder.iterdir())
    return folder


def names(folder: Path) -> set[str]:
    """Return the names of the pictures in a folder, each there as PNG and as SVG."""
    by_suffix = {suffix: {path.stem for path in folder.glob(f"*.{suffix}")} for suffix in ("png", "svg")}
    assert by_suffix["png"] == by_suffix["svg"]
    assert len(list(folder.iterdir())) == 2 * len(by_suffix["png"])
    return by_suffix["png"]


def test_all_that_there_is_data_for(drawn: Path, tmp_path: Path) -> None:
    """And only that; an earlier result's pictures are removed, what is not a picture of it stays."""
    result = explained()
    assert names(drawn) == {*LINES, "predictions", "filters", "distances", *MAPS}
    shutil.copytree(drawn, tmp_path / "new")
    less = result.drop_vars(
        ["prediction", "class_name", "map_2", "filter_mean", "filter_layer", "filter_index"]
    )
    save_figures(less, tmp_path / "new")
    assert names(tmp_path / "new") == {*LINES, "distances", "maps_1", "maps_2"}
    least = less.drop_vars(["distance", "layer_mean", "layer_sd"]).assign_attrs(reference="")
    others = ("maps.png", "filters_of_mine.png", "kinds_of_mine.svg")
    for name in (*others, "kinds.svg", "kinds.png"):
        (tmp_path / "new" / name).touch()
    save_figures(least, tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        *("differentiation.png", "differentiation.svg"),
        *others,
    }
    with pytest.raises(dif.InputError, match="expected the Dataset"):
        save_figures({}, tmp_path)  # type: ignore[arg-type]


def test_layers_without_channels(tmp_path: Path) -> None:
    """The channels' heat map has the other layers, or is not there; the distances have all."""
    save_figures(partly_without_channels(), tmp_path / "some")
    assert {"filters", "distances", "maps_1"} <= names(tmp_path / "some")
    for name, layers in {
        "filters": ["input", "conv", "head"],
        "distances": ["input", "conv", "cut", "head"],
    }.items():
        picture = (tmp_path / "some" / f"{name}.svg").read_text()
        shown = re.findall(r"<!-- (input|conv|cut|head)\b", picture)
        assert shown == layers, name
    save_figures(without_channels(), tmp_path / "some")
    assert names(tmp_path / "some") == {"differentiation", "predictions", "distances"}


def test_pages(tmp_path: Path) -> None:
    """Many layers are shared out over pages that fit onto paper; fewer pages remove those of before."""
    rng = np.random.default_rng(0)
    arrays = {name: {f"layer_{n}": rng.normal(size=(4, 6)) for n in range(16)} for name in ("a", "b", "c")}
    save_figures(dif.measure_responses(arrays), tmp_path)
    assert names(tmp_path) == {"differentiation", "distances_1", "distances_2", "distances_3"}
    for path in tmp_path.glob("distances_*.png"):
        with Image.open(path) as page:
            width, height = page.size
        assert width <= 7.2 * 150 + 1
        assert 6 * 150 < height <= 9.7 * 150 + 1
    shown = [
        re.findall(r"<!-- (layer_\d+) -->", path.read_text()) for path in sorted(tmp_path.glob("d*_?.svg"))
    ]
    assert [layer for page in shown for layer in page] == [f"layer_{n}" for n in range(16)]
    save_figures(dif.measure_responses({"a": {"x": rng.normal(size=(4, 6))}}), tmp_path)
    assert names(tmp_path) == {"differentiation", "distances"}


@pytest.mark.slow
def test_files_are_the_same_each_time(drawn: Path, tmp_path: Path) -> None:
    """The same result gives the same files, byte for byte; another result gives others."""
    result = explained()
    save_figures(result, tmp_path / "b")
    changed = result.copy(deep=True)
    for name in ("differentiation", "prediction", "filter_mean", "distance", "map_0", "map_1", "map_2"):
        changed[name] = changed[name] * np.linspace(0.5, 1.0, changed.sizes[changed[name].dims[0]]).reshape(
            -1, *[1] * (changed[name].ndim - 1)
        )
    save_figures(changed, tmp_path / "c")
    for path in drawn.iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
        assert path.read_bytes() != (tmp_path / "c" / path.name).read_bytes(), path.name


@pytest.mark.slow
def test_contrasts(tmp_path: Path) -> None:
    """Marked above the curves, and a panel for each pair in a picture, which goes when there are none."""
    rng = np.random.default_rng(0)
    arrays = {name: {f"layer_{n}": rng.normal(size=(12, 9)) for n in range(3)} for name in ("a", "b", "c")}
    measured = dif.measure_responses(arrays, reference="a")
    result = measured.drop_vars("distance")
    contrasts = [dif.contrast(measured, *pair) for pair in (("a", "b"), ("b", "c"))]
    written = save_figures(result, tmp_path, contrasts)
    assert names(tmp_path) == {*LINES, "contrast"}
    assert sorted(written) == sorted(tmp_path.iterdir())
    comments = {
        path.stem: re.findall("<!-- (.*) -->", unescape(path.read_text())) for path in tmp_path.glob("*.svg")
    }
    assert {"a \N{MINUS SIGN} b", "b \N{MINUS SIGN} c"} <= set(comments["contrast"])
    assert comments["contrast"].count("layer_0") == 1  # named below the last panel
    for name in LINES:
        assert {"a vs b", "b vs c", "corrected p < 0.05"} <= set(comments[name])
    before = {path: path.read_bytes() for path in written}
    assert {path: path.read_bytes() for path in save_figures(result, tmp_path, contrasts)} == before
    save_figures(result, tmp_path)
    assert names(tmp_path) == LINES
    assert (tmp_path / "relative.png").read_bytes() != before[tmp_path / "relative.png"]
    with pytest.raises(dif.InputError, match="has the set 'c', which the result does not have"):
        save_figures(result.sel(set=["a", "b"]), tmp_path / "other", contrasts)
    assert not (tmp_path / "other").exists()


def test_kinds(tmp_path: Path) -> None:
    """The curves of several kinds of units, beside the other pictures."""
    results = {"random": explained(), "top": explained()}
    assert save_kinds(results, tmp_path / "new") == [tmp_path / "new" / f"kinds.{s}" for s in ("png", "svg")]
    assert names(tmp_path / "new") == {"kinds"}
    with pytest.raises(dif.InputError, match="expected results as"):
        save_kinds({}, tmp_path)


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
