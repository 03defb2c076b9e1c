"""The tutorial is run as a reader would run it, and what it prints and says is true."""

from __future__ import annotations

import copy
import difflib
import itertools
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
import xarray as xr
from helpers import oracles
from helpers.documents import DOCS, assert_options_exist, fenced, script
from nbclient import NotebookClient
from safetensors.torch import load_file

import differentia as dif
from differentia.networks.digits import WEIGHTS, build_digits_module
from differentia.stimuli.base import Fit
from differentia.stimuli.sources import stimuli_from

pytestmark = pytest.mark.slow

NOTEBOOK = DOCS / "tutorial.ipynb"

DIGITS = {"white_noise": "noise:43", "threes": "digits:43?digit=3", "all_digits": "digits:43"}

#: The layers that are measured of VGG16, with those of the published curves.
VGG16_LAYERS = [str(name) for name in dif.published_curves()["layer"].values]

#: How many figures each cell shows that has the package draw.
FIGURES = [1, 1, 1, 1, 1, 1, 3]

#: Run after the last cell: what the tests look at beside the outputs.
PROBE = """
import json, sys

with open("probe.json", "w") as file:
    json.dump(
        {
            "python": sys.executable,
            "toy": A.tolist(),
            "curve": curve.to_dict(),
            "way": {way: made.differentiation.values.squeeze().tolist() for way, made in normalized.items()},
            "few": {name: last_layer.sel(set=name).values.tolist() for name in about["sets"]},
            "kinds": {
                kind: dif.draw_mean(values.differentiation, values).isel(n_units=0).values.tolist()
                for kind, values in kinds.items()
            },
            "chosen": {layer: number for layer, (number,) in chosen.items()},
            "shown": [str(name) for name in with_maps.image_name.values[with_maps.map_image.values]],
            "sets": list(about["sets"]),
        },
        file,
    )
"""


def read() -> Any:
    """Return the notebook as it is committed."""
    return nbformat.read(NOTEBOOK, as_version=4)


def code(notebook: Any) -> list[str]:
    """Return the lines of all code cells."""
    return [line for cell in notebook.cells if cell.cell_type == "code" for line in cell.source.splitlines()]


def place_of(notebook: Any, text: str) -> int:
    """Return where the one code cell is that holds a text."""
    cells = enumerate(notebook.cells)
    (place,) = [place for place, cell in cells if cell.cell_type == "code" and text in cell.source]
    return place


def with_study(study: str) -> Any:
    """Return the notebook after the reader has changed the line that names the study."""
    notebook = read()
    cell = notebook.cells[place_of(notebook, 'study = "')]
    cell.source = cell.source.replace('study = "digits"', f'study = "{study}"')
    return notebook


def run(notebook: Any, folder: Path) -> Any:
    """Return the notebook after all its cells were run in a folder, by this very Python."""
    run_in = copy.deepcopy(notebook)
    run_in.cells.append(nbformat.v4.new_code_cell(PROBE))
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    environment |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(run_in, timeout=600, kernel_name="python3", resources=resources)
    client.execute(env=environment)
    return run_in


def probe(folder: Path) -> dict[str, Any]:
    """Return what the cell after the last one wrote."""
    found: dict[str, Any] = json.loads((folder / "probe.json").read_text(encoding="utf-8"))
    assert Path(found["python"]).samefile(sys.executable)
    return found


def complaints(notebook: Any) -> list[str]:
    """Return what the cells wrote to stderr: warnings, above all."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.text for output in outputs if output.get("name") == "stderr"]


def pictures(cell: Any) -> int:
    """Return how many figures a cell shows."""
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)


def printed(notebook: Any, text: str) -> str:
    """Return what the one code cell that holds a text printed, and the value that it ends with."""
    cell = notebook.cells[place_of(notebook, text)]
    return "".join(
        output.text if output.output_type == "stream" else output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )


class Run:
    """The notebook as it is, run once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notebook = run(read(), folder)
        self.found = probe(folder)

    def curve(self, name: str) -> np.ndarray:
        """Return the values of all layers for a set, with all units."""
        return np.array(list(self.found["curve"][name].values()))

    def kind(self, name: str) -> np.ndarray:
        """Return the values of a kind of units: (set, layer)."""
        return np.array(self.found["kinds"][name])


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The notebook as it is, run once."""
    return Run(tmp_path_factory.mktemp("tutorial"))


def test_no_outputs_are_committed() -> None:
    """Neither outputs nor counts, times or kernels of whoever ran it last."""
    notebook = read()
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info == {"name": "python"}


def test_one_line_names_the_study() -> None:
    """VGG16 takes the change of one line, and no cell below the studies knows which one is run."""
    changed = list(difflib.unified_diff(code(read()), code(with_study("vgg16")), n=0, lineterm=""))[3:]
    assert changed == ['-study = "digits"  # or "vgg16"', '+study = "vgg16"  # or "vgg16"']
    notebook = read()
    below = notebook.cells[place_of(notebook, "studies = {") + 1 :]
    lines = "\n".join(cell.source for cell in below if cell.cell_type == "code")
    assert not re.search(r"\bstudy\b|threes|all_digits|tabby|random_images|block\d|keras", lines)
    assert re.search(r"keras", "\n".join(code(notebook)))


def test_it_runs_without_a_warning(digits: Run) -> None:
    """Every cell that draws shows its figures, and nothing is written to stderr."""
    assert complaints(digits.notebook) == []
    warned = copy.deepcopy(digits.notebook)
    warned.cells[place_of(warned, "dif.plot(result)")].outputs.append(
        nbformat.v4.new_output("stream", name="stderr", text="UserWarning")
    )
    assert complaints(warned) == ["UserWarning"]
    drawing = r"dif\.plot|plt\.subplots|^draw_published"
    for cell in digits.notebook.cells:
        if cell.cell_type == "code" and "dif.show" not in cell.source:
            expected = 3 if "plot_maps" in cell.source else int(bool(re.search(drawing, cell.source, re.M)))
            assert pictures(cell) == expected, cell.source


def test_the_page_is_the_notebook_and_what_it_prints(digits: Run) -> None:
    """But for the last digits of numbers, the versions and the fingerprint, which differ between machines."""
    page = script("write_tutorial_page")
    notebook = copy.deepcopy(digits.notebook)
    del notebook.cells[-1]
    text, pictures = page.page_of(notebook)
    committed = page.PAGE.read_text(encoding="utf-8")

    def stable(markdown: str) -> str:
        return re.sub(r"\d+(?:\.\d+)+\S*|begins with \w+", "...", markdown)

    assert stable(text) == stable(committed)
    assert sorted(path.name for path in page.PAGE.parent.glob("*.png")) == sorted(pictures)
    assert stable("0.253 in Python 3.11.7") == stable("0.254 in Python 3.12.1") != stable("253 images")


def test_the_toy_is_the_measure(digits: Run) -> None:
    """Three lines of NumPy, the package and plain loops agree on the five responses."""
    expected = oracles.differentiation(digits.found["toy"])
    values = re.findall(r"\d\.\d{6}", printed(digits.notebook, "by_hand = "))
    assert values == [f"{expected:.6f}"] * 2
    assert printed(digits.notebook, "by_hand = ").startswith("10 pairs")


def test_the_yardsticks(digits: Run) -> None:
    """Independent responses give the square root of 2, equal ones 0; certain predictions what they must."""
    assert "independent: 1.414 (expected 1.414), equal: 0.000" in printed(digits.notebook, "independent = ")
    expected = oracles.differentiation(np.eye(10))
    assert f"certain predictions, one image a class: {expected:.3f}" in printed(digits.notebook, "np.eye(")


def test_the_curve_is_that_of_the_network(digits: Run) -> None:
    """The table is what plain loops give for the whole layers of the plain module."""
    module = build_digits_module()
    module.load_state_dict(load_file(WEIGHTS))
    module.eval()
    lines = printed(digits.notebook, "dif.draw_mean(result.differentiation").splitlines()
    assert lines[0].split() == list(DIGITS)
    table = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    for at_set, source in enumerate(DIGITS.values()):
        stimuli = stimuli_from(source)
        pixels = np.stack([stimuli.load(i, Fit((32, 32, 1))).pixels for i in range(len(stimuli))])
        values = torch.from_numpy(pixels.astype(np.float32).transpose(0, 3, 1, 2) / 255)
        outputs = {"input": values}
        with torch.inference_mode():
            for name, part in module.named_children():
                values = part(values)
                outputs[name] = values.clone()
        for layer in table:
            expected = oracles.differentiation_by_loops(outputs[layer].flatten(1).numpy())
            assert float(table[layer][at_set]) == pytest.approx(expected, abs=6e-4)
    assert len(table) == 15


def test_the_story_of_the_digits(digits: Run) -> None:
    """What the text says of the three curves, and that it is not so of the others."""
    noise, threes, everything = (digits.curve(name) for name in DIGITS)
    layers = list(digits.found["curve"]["threes"])
    middle = layers.index("block2_relu2")
    assert noise[0] == pytest.approx(np.sqrt(2), abs=0.002)
    assert (np.diff(noise[: layers.index("block4_pool")]) < 0).all()
    assert not (np.diff(everything[: layers.index("block4_pool")]) < 0).all()
    assert threes[middle] > threes[0]
    assert threes[-1] < 0.01 < 0.5 < threes[-3]
    assert threes[-2] < 0.75 * threes[-3]
    assert everything[-1] == everything.max() > np.sqrt(2)
    assert everything[-1] > noise[-1] > threes[-1]
    assert noise[0] > everything[0] > threes[0]


def test_the_story_of_vgg16() -> None:
    """What the text says of the published curves."""
    curves = dif.published_curves()
    noise, cats, everything = (
        curves["differentiation"].sel(set=name, n_units=100_000)
        for name in ("white_noise", "tabby_cats", "random_images")
    )
    rises = [VGG16_LAYERS[place + 1][:6] for place in np.nonzero(np.diff(noise) > 0)[0]]
    assert set(rises) == {"block4", "block5"}
    assert float(cats[-1]) < 0.25 * float(cats[-2])
    assert float(everything.min()) > 1.2
    assert float(everything[-1]) == pytest.approx(np.sqrt(2), abs=0.02)
    relative = curves["relative_differentiation"].sel(n_units=100_000)
    assert (relative.sel(set=["tabby_cats", "random_images"]).isel(layer=0) <= 1).all()
    few = curves["differentiation"].sel(set="random_images", layer="predictions")
    assert float(few.sel(n_units=200)) < 0.3 * float(few.sel(n_units=10_000))


def test_the_predictions(digits: Run) -> None:
    """Noise falls into two classes, the threes but one into theirs, all digits into all ten."""
    lines = printed(digits.notebook, "dif.top_classes").splitlines()
    pattern = r"(\w+): (\d+) images in (\d+) classes, (\d+) of them in '(\d)'"
    facts = {
        name: (int(images), int(classes), int(most), which)
        for name, images, classes, most, which in re.findall(pattern, "\n".join(lines))
    }
    assert facts["white_noise"][:2] == (43, 2)
    assert facts["threes"] == (43, 2, 42, "3")
    assert facts["all_digits"][:2] == (43, 10)
    everything = digits.curve("all_digits")[-1]
    certain = float(lines[3].rpartition(" ")[2])
    assert certain == pytest.approx(np.sqrt(2 / 0.9), abs=5e-4)
    assert np.sqrt(2) < certain < everything
    result = dif.measure("digits", {"all_digits": "digits:43"}, layers=["predictions"], n_units=10, draws=1)
    probabilities = result["prediction"].values.astype(float)
    pairs = itertools.combinations(probabilities, 2)
    typical = np.median([np.linalg.norm(one - other) for one, other in pairs])
    assert typical == pytest.approx(np.sqrt(2), rel=0.002)  # of certain predictions it is sqrt(2)
    assert probabilities.std() < 0.985 * 0.3  # of certain ones, 0.3
    assert everything == pytest.approx(typical / (probabilities.std() * np.sqrt(10)), abs=1e-4)
    certainty = [float(re.findall(r"\d\.\d\d", line)[0]) for line in lines[:3]]
    assert certainty[0] < min(certainty[1:])


def test_normalisation(digits: Run) -> None:
    """The table of normalisations is of known values, and both traps are as the text says."""
    way = {name: np.array(values) for name, values in digits.found["way"].items()}
    assert way["layer"][:, -1] == pytest.approx([digits.curve(name)[-1] for name in DIGITS], abs=1e-6)
    assert way["layer"] == pytest.approx(way["response"], abs=0.06)
    assert (way["unit"] > way["layer"]).mean() > 0.7
    assert way["none"][2].argmax() == 13
    assert np.median(way["none"][2]) < 0.2 * way["none"][2, 13]
    silent = [float(value) for value in re.findall(r": (\d\.\d+)", printed(digits.notebook, "silent[:8]"))]
    assert silent == pytest.approx([0.0, np.sqrt(2)], abs=0.02)
    lines = printed(digits.notebook, "own_sd").splitlines()[1:]
    pooled, own = np.array([[float(value) for value in line.split()[1:]] for line in lines]).T
    assert own == pytest.approx([np.sqrt(2)] * 3, abs=0.06)
    assert pooled[2] > 3 * pooled[0]


def test_few_units(digits: Run) -> None:
    """A fifth of the classes misses what all show; kinds of units differ as the text says."""
    few = np.array(digits.found["few"]["all_digits"])
    assert np.nanmedian(few[0]) < 0.05
    assert np.nanmedian(few[1]) == pytest.approx(few[2, 0], abs=0.15)
    assert few[2, 0] == pytest.approx(digits.curve("all_digits")[-1], abs=1e-6)
    spread = [line.split() for line in printed(digits.notebook, "dif.draw_spread").splitlines()]
    inner = np.array([row[1:] for row in spread if row[0].startswith("block")], dtype=float)
    assert (inner[:, 0] > inner[:, 1]).all()
    assert (inner[:, 2] == 0).all()
    top, random = digits.kind("top"), digits.kind("random")
    assert (top[:, :-2] > random[:, :-2]).mean() > 0.8
    assert (digits.kind("top_variance")[:, :-2] > random[:, :-2]).mean() < 0.8
    assert digits.kind("filter_mean")[0, 1:4].max() < 0.15 < 1.0 < random[0, 1:4].min()


def test_the_filters_and_maps(digits: Run) -> None:
    """The filters are those whose means over images and space set the threes most apart from all digits."""
    result = dif.load_result(digits.folder / "result.nc")
    sets = result["image_set"].values
    for layer, number in digits.found["chosen"].items():
        means = result["filter_mean"].values[:, result["filter_layer"].values == layer]
        gaps = [column[sets == "threes"].mean() - column[sets == "all_digits"].mean() for column in means.T]
        assert number == max(range(len(gaps)), key=gaps.__getitem__)
    late = list(digits.found["chosen"])[-1]
    at_late = (result["filter_layer"] == late) & (result["filter_index"] == digits.found["chosen"][late])
    means = result["filter_mean"].values[:, at_late.values].squeeze()
    threes = (result["prediction"].values.argmax(axis=1) == 3) & (sets == "all_digits")
    others = (sets == "all_digits") & ~threes
    assert means[threes].mean() > 1.5 * means[others].mean()
    assert threes[sets == "all_digits"].tolist()[:2] == [False, True]  # images 0 and 1, of the maps
    noise = [f"uniform_noise_{place}" for place in (0, 1)]
    assert digits.found["shown"] == [*noise, "0", "1", "0", "1"]


def test_what_it_writes(digits: Run) -> None:
    """The result and the report lie in the folder; the result is what was measured."""
    with xr.open_dataset(digits.folder / "result.nc", engine="h5netcdf") as saved:
        whole = saved["differentiation"].sel(n_units=20_000, draw=0)
        for name in DIGITS:
            assert whole.sel(set=name).values == pytest.approx(digits.curve(name), abs=1e-12)
    assert "as it was: True" in printed(digits.notebook, "dif.save")
    assert (digits.folder / "report.html").stat().st_size > 0
    assert printed(digits.notebook, "dif.describe_methods").strip()


def test_its_commands_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command of the text is known with its options, every name is public, every link has its file."""
    text = "\n".join(cell.source for cell in read().cells if cell.cell_type == "markdown")
    console = "".join(fenced(text, "console"))
    assert assert_options_exist(console, capsys) == ["select", "measure", "measure"]
    names = set(re.findall(r"\bdif\.(\w+)", text + "\n".join(code(read()))))
    assert len(names) > 20
    assert names <= set(dif.__all__)
    links = re.findall(r"\]\((\S+?)\)", text)
    assert links
    assert all((NOTEBOOK.parent / link).is_file() for link in links)


@pytest.mark.soak  # the cells are those that are run for the digits
@pytest.mark.real_data
def test_vgg16_after_changing_one_line(real_data: Path, tmp_path: Path) -> None:
    """All cells run for VGG16, and measure the layers of the published curves.

    There are no weights and no selected folders here, so that the study gets an untrained network that takes
    smaller images to be fast, and three photographs a set: its values mean nothing.
    """
    notebook = with_study("vgg16")
    cats, photographs = (
        sorted(map(str, (real_data / folder).glob("*.jpg")))[:3] for folder in ("cats", "random")
    )
    sets = {"white_noise": "noise:3", "tabby_cats": cats, "random_images": photographs}
    untrained = 'dif.load_network("keras:VGG16?weights=none", input_shape=(32, 32, 3))'
    entries = f'about["network"] = {untrained}\nabout["sets"] = {sets!r}'
    after = place_of(notebook, "studies = {") + 1
    notebook.cells.insert(after, nbformat.v4.new_code_cell(entries))
    ran = run(notebook, tmp_path)
    assert complaints(ran) == []
    found = probe(tmp_path)
    assert found["sets"] == list(sets)
    assert list(found["curve"]["tabby_cats"]) == VGG16_LAYERS
    result = dif.load_result(tmp_path / "result.nc")
    assert result["layer"].values.tolist() == VGG16_LAYERS
    assert result["n_units"].values.tolist() == [200, 10_000, 100_000]
    assert "'network': 'keras:VGG16?weights=none'" in str(json.loads(result.attrs["provenance"]))
    drawn = [cell for cell in ran.cells if cell.cell_type == "code" and "dif.plot" in cell.source]
    assert [pictures(cell) for cell in drawn] == FIGURES
