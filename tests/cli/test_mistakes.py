"""Natural mistakes on the command line: one line that says what to write, before a framework is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import PIL.Image
import pytest

import differentia as dif

#: In characters: a line that is read at once.
LONGEST = 300

#: Each line, and what its error says; CATS stands for what is common to lines that go wrong later.
WORDS: dict[str, str] = {
    # commands
    "mesure digits": "unknown command 'mesure'. Did you mean 'measure'? Known: measure, ",
    "plot made": "unknown command 'plot'. Did you mean 'report'?",
    "digits --set a=noise:3": "to measure a network, write differentia measure digits",
    "keras:VGG16": "write differentia measure keras:VGG16",
    "again.toml": "write differentia run again.toml",
    "--out o measure digits": "options stand behind the command: differentia measure --out",
    # arguments and options
    "layers": "NETWORK is missing (digits, keras:NAME",
    "measure --set a=noise:3 --out o": "write differentia measure NETWORK; see differentia measure --help",
    "noise": "DIR is missing (A new folder); write differentia noise DIR; see differentia noise --help",
    "contrast made noise": "B is missing (The name of another set); write differentia contrast RESULT A B",
    "run again.toml --batch-size 7": "unknown option '--batch-size'; run measures what the file says: write",
    "run again.toml out": "does not take 'out'; write differentia run EXPERIMENT.toml and options",
    "measure digits --output o": "unknown option '--output'; did you mean --out?",
    "measure digits --gpu": "did you mean --device cuda?",
    "measure digits --layer input": "unknown option '--layer'; did you mean --layers?",
    "measure digits -layers input": "unknown option '-layers'; did you mean --layers?",
    "measure --model digits": "the network stands by itself: differentia measure NETWORK",
    "measure digits --out": "--out needs a value: --out DIR",
    "layers digits --json=yes": "--json takes no value",
    "select digits cats/0.png cats/1.png cats/2.png": "the place of a pattern; quote it: 'cats/*.png'",
    "measure digits / cats": "differentia measure does not take '/ cats'; write differentia measure NETWORK",
    # networks
    "measure vgg16 CATS": "unknown network 'vgg16'. Did you mean 'keras:VGG16'?",
    "measure keras:vgg16 CATS": "Did you mean 'keras:VGG16'? Known: VGG16, VGG19",
    "measure kears:VGG16 CATS": "No module named 'kears'). Did you mean 'keras:VGG16'?",
    "measure resnet50.pt CATS": "write package.module:factory?weights=resnet50.pt",
    "measure torch:resnet18 CATS": "Did you mean 'torchvision:resnet18'?",
    "measure 'timm:vit_tiny?weights=gone.pt' CATS": "there are no weights at gone.pt; give weights=PATH",
    "measure google/vit CATS": "unknown network 'google/vit'. Did you mean 'hf:google/vit'?",
    "measure nets.py CATS": "write the module and what returns the network, nets:make_net",
    "measure net:make_net CATS": "Did you mean 'nets:make_net'? If not, install it",
    "measure gone.keras CATS": "gone.keras: no such file; check the path of the Keras model",
    "measure page.keras CATS": "page.keras: can't be read as a Keras model: it is a web page",
    "measure 'keras:VGG16?weights=gone.h5' CATS": "there are no weights at gone.h5; give weights=PATH",
    "measure 'keras:VGG16?weights=page.h5' CATS": "page.h5: can't be read as HDF5",
    "measure 'keras:VGG16?wieghts=none' CATS": "option of keras:VGG16 'wieghts'. Did you mean 'weights'?",
    "measure 'keras:VGG16?weights' CATS": "'weights' has no value; write options as NAME?option=value",
    "measure 'nets:make_net?weights=page.pt' CATS": "the weights can't be loaded: it is a web page (HTML)",
    "measure digits --preprocess imagenet CATS": "the embedded network has its own preprocessing",
    "layers digits --device gpu": "unknown device 'gpu'. Did you mean 'cuda'? Known: auto, cpu, cuda",
    # sets
    "measure digits --out o": "no set of images was given; give at least one: --set NAME=SOURCE",
    "measure digits --sets-from cats --out o": "for the 3 images in it as one set, write --set NAME=cats",
    "measure digits --sets-from t.csv --out o": "t.csv: no such folder or table; check the path",
    "measure digits --sets-from cats?path=a --out o": "stand behind a folder; leave ?path=a out",
    "measure digits --sets-from page.keras --out o": "page.keras: is no table that is read (.csv, .tsv",
    "measure digits --set cats cats --out o": "--set cats cats: write both as one, --set 'cats=cats'",
    "measure digits --set cats cats/0.png cats/1.png": "write both as one, --set 'cats=cats/*.png'",
    "measure digits --set=cats --out o": "--set is 'cats'; expected NAME=SOURCE, such as cats=data/cats",
    "measure digits --set a=noise:3 --set 'a = cats' --out o": "two sets have the name 'a'; give each",
    "measure digits --set a=noise --out o": "set 'a': noise: no such file or folder; did you mean noise:43?",
    "measure digits --set a=White_Noise:9 --out o": "did you mean noise:9?",
    "measure digits --set a=noise:many --out o": "the number of images is 'many'; write noise:43",
    "measure digits --set a=cat --out o": "set 'a': cat: no such file or folder; did you mean cats?",
    "measure digits --set a=deep --out o": "did you mean 'deep/**/*.png'?",
    "measure digits --set a=cats/0.png --out o": "set 'a' has 1 image (cats/0.png); expected at least 2",
    "measure digits --set a=floats.npy --out o": "the images are float64, from 0 to 0; expected uint8",
    # options
    "measure digits CATS --metric l2": "--metric: unknown metric 'l2'. Did you mean 'euclidean'? Known: ",
    "measure digits CATS --metric Manhattan": "Did you mean 'cityblock'?",
    "measure digits CATS --metric pearson": "Did you mean 'correlation'?",
    "measure digits CATS --normalize z-score": "unknown normalization 'z-score'. Did you mean 'unit'?",
    "measure digits CATS --units 200": "a number, no kind of units; how many is said by --n-units 200",
    "measure digits CATS --units mean": "Did you mean 'filter_mean'?",
    "measure digits CATS --units all --n-units 9": "do not go with units='all', which takes no number",
    "measure digits CATS --units sketch --metric cosine": "random signs keep Euclidean distances only",
    "measure digits CATS --n-units 10k": "--n-units: '10k'; expected a whole number: write 10000",
    "measure digits CATS --n-units 1e4": "expected a whole number: write 10000",
    "measure digits CATS --n-units 10,000": "'10,000' holds '000'; expected at least 1: write 10000",
    "measure digits CATS --n-units 200 10000": "write several with commas, --n-units 200,10000",
    "measure digits CATS --layers input predictions": "write several with commas, --layers input,predictions",
    "measure digits CATS --layers :leafs": "unknown layer ':leafs'. Did you mean ':leaves'?",
    "measure digits CATS --memory 4": "the size of memory is '4', which is bytes; write its unit: 4GB",
    "measure digits CATS --confidence 95": "--confidence: '95'; expected less than 1: write 0.95",
    "measure digits CATS --confidence 95%": "expected a number: write 0.95",
    "measure digits CATS --reference nois": "for reference (--reference) 'nois'. Did you mean 'noise'?",
    "measure digits CATS --compress gzip": "--compress: unknown compression 'gzip'. Known: none, zstd",
    "measure digits CATS --part 3": "the part is '3'; expected I/N, such as 3/10 for the third of ten parts",
    "measure digits CATS --workers 0": "--workers: '0'; expected at least 1",
    "measure digits CATS --workers 100000": "name at most as many",
    "measure digits CATS --workers 1 --part 1/2": "--workers records all parts, --part one; leave",
    "measure digits CATS --workers 1 --no-store": "which workers write; leave --no-store out",
    "measure digits CATS --workers 1 --scheduler tcp://host:1": "--scheduler is of a cluster; leave one of",
    "measure digits CATS --map conv1": "--map is 'conv1'; expected LAYER:FILTER, such as block1_conv1:31",
    "measure digits CATS --map-images 0": "map_images (--map-images) goes with maps (--map) only",
    "measure digits CATS --map input:0 --map-images 9": "(9,), but the largest set has 3 images",
    "measure digits CATS --pool 10": "pool is 10, less than the largest n_units, 100,000",
    "measure digits --set a=noise:3 --out page.h5": "--out page.h5: page.h5 is a file; name a folder",
    "measure digits --set a=noise:3": "--out is missing; name the folder to write to: --out DIR",
    "noise n --size 224,224": "--size: '224,224'; expected 224, 224x192 (height x width)",
    "noise n --kind normal": "unknown kind of noise 'normal'. Did you mean 'gaussian'?",
    "select digits cats --out o": "--class is missing; give a class's number, WordNet identifier or name",
    "select digits cats --class 3 --min-probability 90 --out o": "expected at most 1: write 0.9",
    "select digits noise:3 --class 3 --out o": "noise:3: these images are no files; --how list or",
    # folders and results
    "run neurons.toml --out o --workers 1": "neurons are measured by this process; leave --workers out",
    "run neurons.toml --out o --scheduler a:1": "by this process; leave --scheduler out",
    "run empty": "empty: holds no experiment.toml; name an experiment file, or the folder of one",
    "report empty": "empty: holds no result.nc; name a folder that measure wrote",
    "report made/result.nc": "made/result.nc: is a file; name the folder that it lies in",
    "contrast made nois cats": "unknown set 'nois'. Did you mean 'noise'? Known: noise, cats",
    "published made": "the result is of ",
    "depth": "RESULT... is missing (A result.nc, or its folder; several); write differentia depth RESULT",
    "correlate made": "unknown command 'correlate'. Did you mean 'depth'?",
    "depth made made": "made is given twice; give each result once",
    "depth made": "made: the result has no layer 'input' to compare with; measure the network with it",
}
CATS = "--set noise=noise:3 --out o"

#: Lines whose mistake only the network tells.
OF_THE_NETWORK: dict[str, str] = {
    "layers digits --layers blok1_pool": "Did you mean 'block1_pool'? Known: block1_pool, block",
    "layers digits --layers leaves": "unknown layer 'leaves'. Did you mean ':leaves'?",
    "measure digits CATS --map block1_conv1:99": "'block1_conv1' has no channel 99; it has 16, numbered",
    "measure digits CATS --class-layer logit": "unknown layer for class_layer (--class-layer) 'logit'. Did",
    "layers nets:make": "unknown name in nets 'make'. Did you mean 'make_net'?",
}

#: Runs lines one after the other; prints of each the exit code, what was said, and the frameworks so far.
SCRIPT = """
import contextlib, io, json, shlex, sys
from differentia.cli import main
told = []
for line in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(shlex.split(line))
    told.append([code, out.getvalue(), err.getvalue(), sorted({"torch", "keras"} & set(sys.modules))])
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each line gave, all in one process, those that need a network last."""
    here = tmp_path_factory.mktemp("mistakes")
    for folder in ("cats", "deep/below", "empty", "made"):
        (here / folder).mkdir(parents=True)
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (9, 9), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(here / "cats" / f"{index}.png")
    PIL.Image.new("L", (9, 9)).save(here / "deep" / "below" / "0.png")
    for name in ("page.h5", "page.keras", "page.pt"):
        (here / name).write_text("<!DOCTYPE html>")
    (here / "nets.py").write_text("import torch\n\ndef make_net():\n    return torch.nn.ReLU()\n")
    np.save(here / "floats.npy", np.zeros((3, 8, 8)))
    (here / "neurons.toml").write_text('[recording]\nfiles = ["session.nwb"]\n')
    arrays = {name: {"V1": np.random.default_rng(3).normal(size=(9, 9))} for name in ("noise", "cats")}
    dif.save(dif.measure_responses(arrays), here / "made" / "result.nc")
    lines = [line.replace("CATS", CATS) for line in (*WORDS, *OF_THE_NETWORK)]
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=True,
        cwd=here,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert not any(path.is_file() for path in (here / "o").rglob("*"))
    return dict(zip((*WORDS, *OF_THE_NETWORK), json.loads(run.stdout), strict=True))


@pytest.mark.parametrize(("line", "message"), [*WORDS.items(), *OF_THE_NETWORK.items()])
def test_a_mistake_is_one_line(told: dict[str, Any], line: str, message: str) -> None:
    """Exit code 2, nothing on stdout, and one short line on stderr that says what to do."""
    code, out, err, _ = told[line]
    assert (code, out) == (2, "")
    assert err.startswith("differentia: ")
    assert message in err
    assert err.count("\n") == 1
    assert len(err) < LONGEST


def test_frameworks_are_not_imported_to_find_a_mistake(told: dict[str, Any]) -> None:
    """What words, names and headers tell is told without; what the network tells is not."""
    assert len(WORDS) > 60
    for line in WORDS:
        assert told[line][3] == [], line
    for line in OF_THE_NETWORK:
        assert told[line][3] != [], line
