"""The experiment file: what it says, paths in it, and one line for every wrong field."""

from __future__ import annotations

import inspect
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from helpers.hdf5_files import h5

import differentia as dif
from differentia.experiment.file import (
    Experiment,
    MeasureResponsesSection,
    MeasureSection,
    NetworkSection,
    RecordingExperiment,
    RecordingSection,
    ResponsesExperiment,
    experiment_of,
    read_experiment,
    write_experiment,
    write_recording_experiment,
    write_responses_experiment,
)
from differentia.experiment.options import MeasureOptions
from differentia.neurons.options import RecordingOptions
from differentia.recording.options import RecordOptions
from differentia.stimuli.base import Fit
from differentia.stimuli.presentation import as_sets
from differentia.stimuli.sources import stimuli_from

SETS = '[sets]\ncats = "cats"\n'
NETWORK = '[network]\nspec = "digits"\n'


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write an experiment file into a folder of its own."""

    def written(text: str) -> Path:
        (tmp_path / "lab").mkdir(exist_ok=True)
        path = tmp_path / "lab" / "experiment.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def read_network(path: Path | str) -> Experiment:
    """Read the file of an experiment with a network."""
    read = read_experiment(path)
    assert isinstance(read, Experiment)
    return read


def differing(fields: Mapping[str, Any], function: Callable[..., Any], *others: str) -> set[str]:
    """Return what only one of a section and a function has, apart from `others` of the function."""
    return set(fields) ^ (set(inspect.signature(function).parameters) - set(others))


def test_every_keyword_is_a_field() -> None:
    """The file can say all that `measure` and `load_network` take, but what the machine has."""
    machine = ("network", "sets", "memory", "store", "fresh", "record", "client", "progress")
    fields = MeasureSection.model_fields
    assert differing(fields, dif.measure, *machine) == set()
    left_out = {name: None for name in fields if name != "crop"}
    assert differing(left_out, dif.measure, *machine) == {"crop"}
    keywords = {name: None for name in NetworkSection.model_fields if name != "spec"}
    assert differing(keywords, dif.load_network, "network", "weights", "class_names", "forward") == set()


def test_what_is_left_out_has_its_default(write: Callable[[str], Path]) -> None:
    """Nothing is said that the file does not say; one of something is a list of one."""
    read = read_network(write(NETWORK + SETS))
    assert read.measure.model_dump(exclude_unset=True) == {}
    assert read.options() == (MeasureOptions(), RecordOptions())
    assert read.network.model_dump(exclude_none=True) == {"spec": "digits", "device": "auto"}
    assert (read.out, read.differentia) == (None, None)
    single = '[measure]\nn_units = 5\nunits = "top"\nlayers = "input"\nmap_images = 1\nmaps = {input = 0}\n'
    assert read_experiment(write(NETWORK + SETS + single)).measure.model_dump(exclude_unset=True) == {
        "n_units": (5,),
        "units": ("top",),
        "layers": ("input",),
        "map_images": (1,),
        "maps": {"input": (0,)},
    }


def test_what_is_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from another folder; None is left out, paths are absolute, and odd names stay as they are."""
    monkeypatch.chdir(tmp_path)
    measured = {"n_units": (5, 10), "maps": {'a."b"': (1, 2)}, "views": False, "units": "top", "pool": None}
    about = {"preprocess": "unit", "input_shape": (4, 5, 3), "device": "cpu", "dtype": "bfloat16"}
    network = {"spec": "nets/net.keras", "classes": "../classes.txt", **about}
    write_experiment(
        tmp_path / "experiment.toml",
        Experiment.model_validate({"network": network, "sets": {}, "measure": measured}),
        sets={"a=b é": "../cats/*.jpg", "noise": "noise:5?seed=2", "digits": "digits"},
    )
    assert [path.name for path in tmp_path.iterdir()] == ["experiment.toml"]
    monkeypatch.chdir("/")
    read = read_network(tmp_path / "experiment.toml")
    assert read.network.model_dump() == {
        "spec": f"{tmp_path}/nets/net.keras",
        "preprocess": "unit",
        "input_shape": (4, 5, 3),
        "classes": f"{tmp_path.parent}/classes.txt",
        "device": "cpu",
        "dtype": "bfloat16",
    }
    assert read.sets == {
        "a=b é": f"{tmp_path.parent}/cats/*.jpg",
        "noise": "noise:5?seed=2",
        "digits": f"{tmp_path}/digits",  # a folder of that name; digits:43 would be the bundled ones
    }
    measured = read.measure.model_dump(exclude_none=True)
    given = {"n_units": (5, 10), "maps": {'a."b"': (1, 2)}, "views": False, "units": ("top",)}
    defaults = {"draws": 20, "normalize": "layer", "seed": 0, "confidence": 0.95, "map_images": (0, 1, 2)}
    assert {name: measured[name] for name in {**given, **defaults}} == {**given, **defaults}
    assert {"pool", "crop", "resize"}.isdisjoint(measured)
    assert read.differentia == dif.__version__


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("digits", "digits"),
        ("keras:VGG16", "keras:VGG16"),
        ("keras:VGG16?weights=imagenet", "keras:VGG16?weights=imagenet"),
        ("keras:VGG16?weights=none&classes=10", "keras:VGG16?weights=none&classes=10"),
        ("keras:VGG16?weights=w/a.h5", "keras:VGG16?weights={0}/w/a.h5"),
        ("keras:VGG16?weights=/w/a.h5", "keras:VGG16?weights=/w/a.h5"),
        (
            "keras:VGG16?weights=../a.h5&classes=index.json",
            "keras:VGG16?weights={1}/a.h5&classes={0}/index.json",
        ),
        ("keras:VGG16?weights=~/a.h5", "keras:VGG16?weights={2}/a.h5"),
        ("keras:VGG16?classes=gone.json", "keras:VGG16?classes=gone.json"),
        ("my.code:net?width=3&weights=a.safetensors", "my.code:net?width=3&weights={0}/a.safetensors"),
        ("nets/net.keras", "{0}/nets/net.keras"),
        ("torchvision:resnet18?weights=IMAGENET1K_V1", "torchvision:resnet18?weights=IMAGENET1K_V1"),
        ("torchvision:lab?weights=DEFAULT", "torchvision:lab?weights=DEFAULT"),
        ("timm:mixer_s16_224?weights=w.safetensors", "timm:mixer_s16_224?weights={0}/w.safetensors"),
        ("timm:mixer_s16_224?weights=../w", "timm:mixer_s16_224?weights={1}/w"),
        ("timm:vit_tiny_patch16_224.augreg_in21k", "timm:vit_tiny_patch16_224.augreg_in21k"),
        ("timm:hf-hub:timm/vit", "timm:hf-hub:timm/vit"),
        ("timm:local-dir:nets", "timm:local-dir:{0}/nets"),
        ("open_clip:local-dir:nets?pretrained=none", "open_clip:local-dir:{0}/nets?pretrained=none"),
        ("hf:google/vit-base?revision=main", "hf:google/vit-base?revision=main"),
        ("hf:nets?weights=none", "hf:{0}/nets?weights=none"),
        ("open_clip:RN50?pretrained=openai", "open_clip:RN50?pretrained=openai"),
        ("open_clip:RN50?pretrained=a.pt", "open_clip:RN50?pretrained={0}/a.pt"),
        ("~/net.keras", "{2}/net.keras"),
    ],
)
def test_paths_are_relative_to_the_file(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, spec: str, expected: str
) -> None:
    """Those of networks, weights and class indices; where the reader stands does not matter."""
    path = write(
        f'out = "results"\n[network]\nspec = "{spec}"\n[sets]\na = "cats/*.png"\nb = "/dogs"\nc = "~/d"'
    )
    (path.parent / "index.json").write_text("{}")
    (path.parent / "nets").mkdir()
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.chdir(path.parent.parent)
    read = read_network("lab/experiment.toml")
    lab = str(path.parent)
    assert read.network.spec == expected.format(lab, os.path.dirname(lab), "/home/someone")
    assert read.sets == {"a": f"{lab}/cats/*.png", "b": "/dogs", "c": "/home/someone/d"}
    assert read.out == f"{lab}/results"


def test_sources_of_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a folder whose name has brackets: globs, a key of a file, an address, what is generated."""
    folder = tmp_path / "lab [1]"
    (folder / "cats").mkdir(parents=True)
    for number in range(2):
        PIL.Image.new("L", (4, 4), number).save(folder / "cats" / f"{number}.png")
    np.savez(folder / "a.npz", images=np.zeros((3, 8, 8), np.uint8), labels=np.arange(3))
    h5(folder / "a.h5", lambda file: file.create_dataset("g/images", data=np.zeros((4, 8, 8), np.uint8)))
    sources = {"glob": "cats/*.png", "key": "a.npz?key=images", "noise": "noise:5"}
    sources |= {"frames": "a.h5?dataset=/g/images&every=2", "pattern": "cats/?.png"}
    sources["address"] = f"file://{tmp_path}/lab%20%5B1%5D/cats"
    lines = "".join(f'{name} = "{source}"\n' for name, source in sources.items())
    (folder / "experiment.toml").write_text(f"{NETWORK}[sets]\n{lines}")
    monkeypatch.chdir("/")
    read = read_experiment(folder)
    assert isinstance(read, Experiment)
    assert {name: len(stimuli_from(source)) for name, source in read.sets.items()} == {
        "glob": 2,
        "key": 3,
        "noise": 5,
        "frames": 2,
        "pattern": 2,
        "address": 2,
    }
    assert read.sets["frames"] == f"{folder}/a.h5?dataset=/g/images&every=2"
    monkeypatch.chdir(folder)
    write_experiment(folder / "again.toml", read, sources)
    again = read_experiment(folder / "again.toml")
    assert isinstance(again, Experiment)
    assert again.sets == read.sets


def test_sources_within_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set's name stays as it is, paths become absolute, options stay with what they are of."""
    folder = tmp_path / "a (1"
    (folder / "cats").mkdir(parents=True)
    np.savez(folder / "a.npz", images=np.zeros((3, 8, 8), np.uint8), labels=np.arange(3))
    for place in ("cats/0.png", "cats/1.png", "x1.png", "x2.png"):
        PIL.Image.new("L", (4, 4), len(place)).save(folder / place)
    sources = {
        "cats": "cats",
        "of a set": "scramble:cats",
        "of a path": "scramble:./cats?kind=pixels",
        "of a key": "scramble:(a.npz?key=images)?kind=blocks&size=2",
        "of a glob": "scramble:(x?.png)",
        "of noise": "scramble:(noise:5?seed=3)?seed=2",
        "twice": "scramble:(scramble:(a.npz?key=images)?kind=pixels)?kind=blocks",
        "a?b": "noise:3",
        "odd": "scramble:(a?b)?kind=pixels",
    }
    lines = "".join(f'"{name}" = "{source}"\n' for name, source in sources.items())
    (folder / "experiment.toml").write_text(f"{NETWORK}[sets]\n{lines}")
    monkeypatch.chdir("/")
    read = read_network(folder / "experiment.toml")
    assert read.sets == {
        "cats": f"{folder}/cats",
        "of a set": "scramble:cats",
        "of a path": f"scramble:{folder}/cats?kind=pixels",
        "of a key": f"scramble:({folder}/a.npz?key=images)?kind=blocks&size=2",
        "of a glob": f"scramble:({folder}/x?.png)",
        "of noise": "scramble:(noise:5?seed=3)?seed=2",
        "twice": f"scramble:(scramble:({folder}/a.npz?key=images)?kind=pixels)?kind=blocks",
        "a?b": "noise:3",
        "odd": "scramble:(a?b)?kind=pixels",
    }
    stimuli = as_sets(read.sets, seed=7)
    assert [len(given) for given in stimuli.values()] == [2, 2, 2, 3, 2, 5, 3, 3, 3]
    write_experiment(folder / "again.toml", read, {name: given.source for name, given in stimuli.items()})
    again = read_network(folder / "again.toml")
    assert again.sets["of a set"] == "scramble:cats?kind=phase&axis=space&seed=7"
    assert again.sets["odd"] == "scramble:(a?b)?kind=pixels&axis=space&seed=7"
    repeated, fit = as_sets(again.sets, seed=8), Fit((8, 8, 1))
    for name, given in stimuli.items():
        assert repeated[name].source == given.source
        assert repeated[name].load(1, fit).hash == given.load(1, fit).hash


def test_a_path_that_a_set_is_called_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that is written repeats the folder, not the set of its name."""
    for place in ("cats", "dogs"):
        (tmp_path / place).mkdir()
        for number in range(2):
            PIL.Image.new("L", (4, 4), number).save(tmp_path / place / f"{number}.png")
    PIL.Image.new("L", (4, 4), 200).save(tmp_path / "cats" / "2.png")
    monkeypatch.chdir(tmp_path)
    given = {"network": {"spec": "digits"}, "sets": {"cats": "dogs", "mixed": "scramble:./cats"}}
    sets = as_sets(given["sets"], seed=0)
    assert len(sets["mixed"]) == 3
    write_experiment(
        tmp_path / "again.toml",
        experiment_of(given),
        {name: stimuli.source for name, stimuli in sets.items()},
    )
    again = read_network(tmp_path / "again.toml").sets
    assert again["mixed"] == f"scramble:{tmp_path}/cats?kind=phase&axis=space&seed=0"
    assert len(as_sets(again, seed=0)["mixed"]) == 3


def test_many_sets_at_once(
    tmp_path: Path, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table beside sets, or in their stead; its path is relative to the file, and is written absolute."""
    read = read_network(write('sets_from = "../my tables/a.csv?path=file&set=set"\n' + NETWORK))
    expected = f"{tmp_path}/my tables/a.csv?path=file&set=set"
    assert (read.sets, read.sets_from) == ({}, expected)
    (tmp_path / "my tables").mkdir()
    for name in ("a", "b"):
        PIL.Image.new("L", (4, 4)).save(tmp_path / "my tables" / f"{name}.png")
    (tmp_path / "my tables" / "a.csv").write_text("file,set\na.png,cats\nb.png,cats\n")
    assert [*read.found_sets(follow_links=False)] == ["cats"]
    both = read_network(write(f'sets_from = "{expected}"\n' + NETWORK + SETS))
    with pytest.raises(dif.InputError, match=r"name 'cats': one of its own .* one of .*a\.csv.*--sets-from"):
        both.found_sets(follow_links=False)
    assert read_network(write(NETWORK + SETS)).found_sets(follow_links=False) == {}
    of_one = f'sets_from = "{expected}"\n{NETWORK}[sets]\nmixed = "scramble:cats"\nother = "scramble:dogs"\n'
    made = read_network(write(of_one))
    assert made.sets == {"mixed": "scramble:cats", "other": f"scramble:{tmp_path}/lab/dogs"}
    write_experiment(tmp_path / "made.toml", made, {"mixed": "scramble:cats?kind=phase"})
    assert read_network(tmp_path / "made.toml").sets == {"mixed": "scramble:cats?kind=phase"}
    monkeypatch.chdir(tmp_path / "my tables")
    given = {"network": {"spec": "digits"}, "sets_from": "a.csv?path=file&set=set"}
    write_experiment(tmp_path / "again.toml", experiment_of(given), {"noise": "noise:4?seed=1"})
    again = read_network(tmp_path / "again.toml")
    assert (again.sets, again.sets_from) == ({"noise": "noise:4?seed=1"}, expected)


def test_a_folder_of_films(tmp_path: Path, write: Callable[[str], Path]) -> None:
    """Its options stay behind it; one of its films is a set that others can be made of."""
    (tmp_path / "films").mkdir()
    for name in ("calm", "busy"):
        np.save(tmp_path / "films" / f"{name}.npy", np.zeros((9, 8, 8), np.uint8))
    text = (
        f'sets_from = "../films?every=4"\n{NETWORK}[sets]\nmixed = "scramble:calm"\nother = "scramble:dogs"\n'
    )
    read = read_network(write(text))
    assert read.sets_from == f"{tmp_path}/films?every=4"
    assert read.sets == {"mixed": "scramble:calm", "other": f"scramble:{tmp_path}/lab/dogs"}
    assert {name: len(given) for name, given in read.found_sets(follow_links=False).items()} == {
        "busy": 3,
        "calm": 3,
    }


#: A file's text, and what the error says after the file's name; the whole of it.
WRONG = {
    "": "network: is missing; sets: is missing",
    NETWORK: "sets: is missing",
    f"[network]\n{SETS}": "network.spec: is missing",
    f'network = "digits"\n{SETS}': "network: is 'digits'; expected a table, [network]",
    f'{NETWORK}device = "cpu"\ndevise = "cpu"\n{SETS}': "network.devise: unknown field 'devise'. "
    "Did you mean 'device'? Known: spec, preprocess, input_shape, classes, device",
    f'{NETWORK}preprocess = "imagnet"\n{SETS}': "network.preprocess: unknown preprocessing 'imagnet'. "
    "Did you mean 'imagenet'? Known: none, unit, signed, imagenet, caffe",
    f"{NETWORK}input_shape = [8, 8]\n{SETS}": "network.input_shape: is [8, 8]; expected 3 or more of them",
    f"{NETWORK}input_shape = [8, 0, 3]\n{SETS}": "network.input_shape.1: is 0; expected at least 1",
    f"{NETWORK}input_shape = 8\n{SETS}": "network.input_shape: is 8; expected 3 or more of them",
    f"[network]\nspec = 5\n{SETS}": "network.spec: is 5; expected a text",
    f'sets = "cats"\n{NETWORK}': "sets: is 'cats'; expected a table, [sets]",
    f"{NETWORK}[sets]\ncats = 3\n": "sets.cats: is 3; expected a text",
    f"{NETWORK}{SETS}[mesure]\nx = 1": "mesure: unknown field 'mesure'. Did you mean 'measure'? "
    "Known: network, sets, sets_from, measure, out, differentia",
    f"sets_from = 5\n{NETWORK}": "sets_from: is 5; expected a text",
    f"out = 5\n{NETWORK}{SETS}": "out: is 5; expected a text",
}
RESPONSES = '[responses]\nfile = "rates.npz"\n'
WRONG |= {
    "[responses]\n": "responses.file: is missing",
    "[responses]\nfile = 3\n": "responses.file: is 3; expected a text",
    '[responses]\nfile = ""\n': "responses.file: is ''; expected a text that is not empty",
    f'{RESPONSES}set = "a"\n': "responses.set: unknown field 'set'. Known: file",
    'responses = "rates.npz"\n': "responses: is 'rates.npz'; expected a table, [responses]",
    f"{RESPONSES}{SETS}": "sets: goes with [network], beside which there can be no [responses]; give a "
    "network and sets of images, or the responses that are at hand",
    f"{RESPONSES}{NETWORK}{SETS}": "network: goes with [sets], beside which there can be no [responses]; "
    "give a network and sets of images, or the responses that are at hand",
    f"{RESPONSES}[mesure]\nx = 1": "mesure: unknown field 'mesure'. Did you mean 'measure'? "
    "Known: responses, measure, out, differentia",
    f"{RESPONSES}[measure]\ndraws = 0": "measure.draws: is 0; expected at least 1",
    f'{RESPONSES}[measure]\nlayers = "V1"': "measure.layers: unknown field 'layers'. Known: n_units, draws, "
    "normalize, metric, reference, confidence, pool, seed",
}
RECORDING = '[recording]\nfiles = "a.nwb"\n'
WRONG |= {
    "[recording]\n": "recording.files: is missing",
    "[recording]\nfiles = []\n": "recording.files: is []; expected 1 or more of them",
    '[recording]\nfiles = ["a.nwb", "a.nwb"]\n': "recording.files: 'a.nwb' is given twice; give it once",
    'recording = "a.nwb"\n': "recording: is 'a.nwb'; expected a table, [recording]",
    f"{RECORDING}{SETS}": "sets: goes with [network], beside which there can be no [recording]; give a "
    "network and sets of images, or the files of recordings",
    f"{RECORDING}{RESPONSES}": "recording: there can be no [responses] beside it; give one of the two",
    f"{RECORDING}[measure]\npool = 0": "measure.pool: is 0; expected at least 1",
    f'{RECORDING}stimulus = "x"\n': "recording.stimulus: unknown field 'stimulus'. ",
}
#: A wrong value of each field of [recording], and what is said of it.
TAKEN = {
    "by = 1": "by: is 1; expected a text",
    "window = [0.25, 0]": "window: is 0.25, 0; expected from when to when, as 0, 0.25",
    "window = 0.25": "window: is 0.25; expected from when to when, as 0, 0.25",
    'states = "spectra"': "states: unknown kind of states 'spectra'. Did you mean 'spectral'?",
    "state = 0": "state: is 0; expected more than 0",
    "bin = -1.0": "bin: is -1.0; expected more than 0",
    "bin_step = nan": "bin_step: is nan; expected a number",
    'length = "long"': "length: is 'long'; expected a number",
    "step = 0.0": "step: is 0.0; expected more than 0",
    "overlap = 1": "overlap: is 1; expected less than 1",
    "taper = 4": "taper: is 4; expected a text",
    "frequencies = 0": "frequencies: is 0; expected at least 1",
    'scale = "log"': "scale: unknown scale 'log'. Known: ",
    "table = []": "table: is []; expected 1 or more of them",
    "where = 1": "where: is 1; expected a text",
    "units_where = true": "units_where: is True; expected a text",
    'traces = ""': "traces: is ''; expected a text that is not empty",
    "area = 1": "area: is 1; expected a text",
    "spontaneous = 1": "spontaneous: is 1; expected a text",
    'value = "counts"': "value: unknown ",
    'detrend = "quadratic"': "detrend: unknown ",
    "standardize = 1": "standardize: is 1; expected true or false",
    "runs = 1": "runs: is 1; expected a text",
    'allow_overlap = "no"': "allow_overlap: is 'no'; expected true or false",
    'compare = "a"': "compare: is a; expected two sets to compare, as natural,scrambled",
    "log = 1": "log: is 1; expected true or false",
    'alternative = "more"': "alternative: unknown alternative 'more'. ",
}
MEASURE = {
    "nunits = 5": "nunits: unknown field 'nunits'. Did you mean 'n_units'?",
    "n_units = 0": "n_units.0: is 0; expected at least 1",
    "n_units = 1.5": "n_units.0: is 1.5; expected a whole number",
    'n_units = "many"': "n_units.0: is 'many'; expected a whole number",
    "n_units = [5, true]": "n_units.1: is True; expected a whole number",
    "draws = 0": "draws: is 0; expected at least 1",
    'draws = "3"': "draws: is '3'; expected a whole number",
    "pool = -5": "pool: is -5; expected at least 1",
    "batch_size = 0": "batch_size: is 0; expected at least 1",
    'compress = "zip"': "compress: unknown compression 'zip'. Known: none, zstd",
    'compile = "yes"': "compile: unknown compile 'yes'. Did you mean 'always'? Known: auto, always, never",
    "seed = -1": "seed: is -1; expected at least 0",
    'units = "tops"': "units.0: unknown kind of units 'tops'. Did you mean 'top'?",
    'units = ["random", "al"]': "units.1: unknown kind of units 'al'. Did you mean 'all'?",
    'metric = "euclid"': "metric: unknown metric 'euclid'. Did you mean 'euclidean'?",
    'normalize = "layers"': "normalize: unknown normalization 'layers'. Did you mean 'layer'?",
    'resize = "linear"': "resize: unknown resize filter 'linear'. Did you mean 'bilinear'?",
    'tokens = "cls"': "tokens: unknown choice of tokens 'cls'. Did you mean 'class'?",
    'crop = "centre"': "crop: unknown crop 'centre'. Did you mean 'center'?",
    "layers = [1]": "layers.0: is 1; expected a text",
    "confidence = 1.5": "confidence: is 1.5; expected less than 1",
    "reference = 1": "reference: is 1; expected the name of a set, or those of sets by name",
    "reference = {a = 1}": "reference: is {'a': 1}; expected the name of a set, or those of sets by name",
    "class_layer = 3": "class_layer: is 3; expected a text",
    "views = 1": "views: is 1; expected true or false",
    'skip_unreadable = "yes"': "skip_unreadable: is 'yes'; expected true or false",
    "drop_duplicates = 1": "drop_duplicates: is 1; expected true or false",
    "follow_links = 0": "follow_links: is 0; expected true or false",
    "maps = [1]": "maps: is [1]; expected a table, [measure.maps]",
    "maps = {input = -1}": "maps.input.0: is -1; expected at least 0",
    "map_images = [-1]": "map_images.0: is -1; expected at least 0",
}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        *WRONG.items(),
        *((f"{NETWORK}{SETS}[measure]\n{field}", f"measure.{line}") for field, line in MEASURE.items()),
        *((f"{RECORDING}{field}\n", f"recording.{line}") for field, line in TAKEN.items()),
    ],
)
def test_a_wrong_field_is_named(write: Callable[[str], Path], text: str, line: str) -> None:
    """The file, the field, what it is, and what it should be."""
    path = write(text)
    with pytest.raises(dif.InputError) as caught:
        read_experiment(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {line}")
    assert message == f"{path}: {line}" or " Known: " in message
    assert len(message.splitlines()) == 1
    assert read_network(write(NETWORK + SETS)).network.spec == "digits"


def test_every_field_of_measure_is_tried() -> None:
    """A new field needs a wrong value above."""
    assert {field.partition(" ")[0] for field in MEASURE} == {*MeasureSection.model_fields, "nunits"}
    assert {"network", "sets", "sets_from", "measure", "out", "differentia"} == set(Experiment.model_fields)
    assert {field.partition(" ")[0] for field in TAKEN} | {"files"} == {*RecordingSection.model_fields}


def test_responses_at_hand(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's path is the folder's; what is written is read again."""
    path = write(f'out = "o"\n{RESPONSES}[measure]\nn_units = 5\nseed = 2\n')
    read = read_experiment(path)
    assert isinstance(read, ResponsesExperiment)
    assert read.responses.file == f"{path.parent}/rates.npz"
    assert read.out == f"{path.parent}/o"
    measured = {"n_units": (5,), "draws": 20, "normalize": "layer", "metric": "euclidean", "seed": 2}
    assert read.measure.model_dump(exclude_none=True) == {**measured, "confidence": 0.95}
    arguments = {"responses", "memory", "progress", "client"}
    assert differing(MeasureResponsesSection.model_fields, dif.measure_responses, *arguments) == set()
    monkeypatch.chdir(path.parent)
    given = {"responses": {"file": "../a.nc"}, "measure": {"reference": "rest"}}
    written = ResponsesExperiment.model_validate(given)
    write_responses_experiment(path, written)
    again = read_experiment(path)
    assert isinstance(again, ResponsesExperiment)
    assert again.responses.file == f"{path.parent.parent}/a.nc"
    assert again.measure == written.measure
    assert again.differentia == dif.__version__


def test_recordings(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The paths of files are the folder's; what is written of all, or of one, is read again."""
    path = write(
        '[recording]\nfiles = ["m1.nwb", "/data/m2.nwb"]\nby = "condition"\nwindow = [0, 0.25]\n'
        'table = "trials"\n'
        '[measure]\nreference = "rest"\n'
    )
    read = read_experiment(path)
    assert isinstance(read, RecordingExperiment)
    assert read.recording.files == (f"{path.parent}/m1.nwb", "/data/m2.nwb")
    options = read.recording.options()
    assert options == RecordingOptions(by="condition", window=(0.0, 0.25), table=("trials",))
    monkeypatch.chdir(path.parent)
    write_recording_experiment(path, read, ["../m3.nwb"])
    again = read_experiment(path)
    assert isinstance(again, RecordingExperiment)
    assert again.recording.files == (f"{path.parent.parent}/m3.nwb",)
    assert (again.recording.options(), again.measure) == (options, read.measure)
    assert again.differentia == dif.__version__


def test_several_wrong_fields(write: Callable[[str], Path]) -> None:
    """All of them are told at once."""
    with pytest.raises(dif.InputError, match=r"measure\.draws: is 0; .*; measure\.seed: is -1; "):
        read_experiment(write(f"{NETWORK}{SETS}[measure]\ndraws = 0\nseed = -1"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[network\nspec = 1", r"can't be read as TOML: Expected '\]' at the end of a table"),
        (b'[network]\nspec = "digits"\nspec = "x"', "can't be read as TOML: Cannot overwrite a value"),
        (b"\xff\xfe[network]", "can't be read as TOML: 'utf-8' codec can't decode byte 0xff"),
        (b"\x89HDF\r\n", "can't be read as TOML: 'utf-8' codec"),
        (b"a = " + b"[" * 20_000, "can't be read as TOML: maximum recursion depth"),
    ],
)
def test_what_is_no_toml(tmp_path: Path, content: bytes, reason: str) -> None:
    """Broken, twice the same, not UTF-8, another kind of file, nested without end."""
    path = tmp_path / "e.toml"
    path.write_bytes(content)
    with pytest.raises(dif.InputError, match=rf"^{path}: {reason}"):
        read_experiment(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    """Nothing there, or a folder: the error says what to give."""
    with pytest.raises(
        dif.InputError, match=r"gone\.toml: no such file; give an experiment file, or the folder"
    ):
        read_experiment(tmp_path / "gone.toml")
    with pytest.raises(dif.InputError, match=rf"^{tmp_path}: holds no experiment\.toml; name an"):
        read_experiment(tmp_path)


def test_the_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    """What TOML can't hold leaves the earlier file in its place."""
    path = tmp_path / "experiment.toml"
    path.write_text(NETWORK + SETS)
    broken = read_network(path)
    broken.network.device = object()  # type: ignore[assignment]
    with pytest.raises(TypeError, match="not TOML serializable"):
        write_experiment(path, broken, {})
    assert tomllib.loads(path.read_text())["network"]["spec"] == "digits"


def test_the_file_of_another_version_is_told(tmp_path: Path) -> None:
    """Its numbers may differ; one without a version was written by hand."""
    file = tmp_path / "e.toml"
    text = '[network]\nspec = "digits"\n[sets]\na = "noise:3"\n'
    file.write_text(text)
    assert read_experiment(file).differentia is None
    file.write_text(f'differentia = "0.0.1"\n{text}')
    with pytest.warns(dif.DifferentiaWarning, match=r"was written by differentia 0\.0\.1; this is"):
        read_experiment(file)
