"""The written names of networks: what is told of each before a framework is imported."""

from __future__ import annotations

import importlib
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
from helpers.networks import factory
from safetensors.torch import save_file

import differentia as dif
from differentia.networks.hubs.names import HUBS
from differentia.networks.specs import DEVICES, NOTHING, read_network_spec, require_device_name


def read(spec: str, **about: Any) -> tuple[str, str, str]:
    found = read_network_spec(spec, {**NOTHING, **about})
    assert found.text == spec
    return found.kind, found.name, found.attribute


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, searched for code: weights, code that must not run, files of other kinds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    module = factory(width=7)
    torch.save(module.state_dict(), "good.pt")
    torch.save(module.state_dict(), "old.pth", _use_new_zipfile_serialization=False)
    save_file(module.state_dict(), "good.safetensors")
    Path("empty.bin").touch()
    for name in ("page.pt", "page.safetensors", "page.h5", "page.keras"):
        Path(name).write_text("<!DOCTYPE html><p>not found</p>")
    h5py.File("weights.h5", "w").close()
    with zipfile.ZipFile("plain.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write("weights.h5", "model.weights.h5")
    with zipfile.ZipFile("other.keras", "w") as archive:
        archive.writestr("photograph.jpg", b"")
    (tmp_path / "lab").mkdir()
    for name in ("lab/__init__", "lab/nets", "own_net"):
        Path(f"{name}.py").write_text("raise SystemExit('it was run')")
    return tmp_path


def test_what_a_spec_names(here: Path) -> None:
    """The embedded network, an application, code; none of the code is run."""
    assert read("digits", device="cuda:1") == ("digits", "digits", "")
    assert read("keras:VGG16?weights=none", preprocess="caffe") == ("application", "VGG16", "")
    for weights in ("good.pt", "old.pth", "good.safetensors"):
        assert read(f"own_net:make?weights={weights}") == ("code", "own_net", "make")
    assert read("torchvision:resnet18?weights=good.pt") == ("hub", "resnet18", "torchvision")
    assert read("timm:vit_tiny.augreg_in1k?weights=DEFAULT") == ("hub", "vit_tiny.augreg_in1k", "timm")
    assert read("timm:hf-hub:timm/vit@main?weights=none") == ("hub", "hf-hub:timm/vit@main", "timm")
    assert read("hf:google/vit-base.v2") == ("hub", "google/vit-base.v2", "hf")
    assert read("open_clip:RN50?pretrained=openai") == ("hub", "RN50", "open_clip")
    assert read("torchvision.models:resnet18") == ("code", "torchvision.models", "resnet18")
    assert read("plain.keras", preprocess="unit") == ("file", "plain.keras", "")
    assert read("lab.nets:Nets.small") == ("code", "lab.nets", "Nets.small")
    assert read("lab.made_later:net") == ("code", "lab.made_later", "net")  # the package may make it
    assert not {"own_net", "lab"} & set(sys.modules)
    with pytest.raises(dif.InputError, match="it was run"):  # the control
        dif.load_network("own_net:make")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("keras:vgg16", "Did you mean 'keras:VGG16'"),
        ("vgg_16", "Did you mean 'keras:VGG16'"),
        ("Digits", "Did you mean 'digits'"),
        ("mnist", "Did you mean 'digits'"),
        (
            "resnet18",
            r"^unknown network 'resnet18'\. Known: digits, keras:VGG16, torchvision:resnet18, timm:vit_tiny",
        ),
        ("weights/resnet50.pt", r"write package\.module:factory\?weights=weights/resnet50\.pt$"),
        ("vgg.h5", r"write keras:NAME\?weights=vgg\.h5 or package\.module:factory\?weights=vgg\.h5$"),
        ("lab/nets.py", r"write the module and what returns the network, lab\.nets:make_net$"),
        ("own_net.py:small", "what returns the network, own_net:small$"),
        ("own_nets:small", r"can't be imported .*\. Did you mean 'own_net:small'\? If not, install it"),
        ("kears:VGG16", "Did you mean 'keras:VGG16'"),
        ("lab.net:small", "Did you mean 'lab.nets:small'"),
        ("google/vit-base", "Did you mean 'hf:google/vit-base'"),
        ("timm/vit_tiny.augreg_in21k", r"Did you mean 'timm:vit_tiny\.augreg_in21k'"),
        ("huggingface:google/vit-base", r"names no code\. Did you mean 'hf:google/vit-base'\?$"),
        ("huggingface:vit", r"Did you mean 'hf:vit'\?$"),
        ("transformers:ViTModel", r"Did you mean 'hf:ViTModel'\?$"),
        ("torch:resnet18", r"Did you mean 'torchvision:resnet18'\?$"),
        ("Timm:resnet18", r"Did you mean 'timm:resnet18'\?$"),
        ("open-clip:RN50", r"Did you mean 'open_clip:RN50'\?$"),
        ("keras_hub:vit", "write my_code:make_net, .* a function of yours that returns vit$"),
        ("timm:", r"^timm:: names no network; write timm:vit_tiny_patch16_224$"),
        (
            "timm:vit?weights=gone.pt",
            r"no weights at gone\.pt; give weights=PATH of a file, or weights=none$",
        ),
        ("torchvision:resnet18?weights=page.pt", r"it is a web page \(HTML\)"),
        ("open_clip:RN50?pretrained=./gone", r"no weights at \./gone; give pretrained=PATH of a file, or"),
        (
            "keras:MobileNet?alpha=1&depth=2",
            r"unknown option of keras:MobileNet 'depth'\. .*depth_multiplier",
        ),
        ("keras:VGG16?weights=ImageNet", "write weights=imagenet$"),
        (
            "keras:VGG16?weights=good.pt",
            r"good\.pt: is not a file of Keras weights \(it is a zip archive\); expected a name that ends",
        ),
        ("keras:VGG16?weights=page.h5", r"page\.h5: can't be read as HDF5"),
        ("keras:VGG16?classes=gone.json", r"there is no class index at gone\.json"),
        ("own_net:make?weights=lab", "no weights at lab, which is a folder"),
        ("own_net:make?weights=gone.pt", r"there are no weights at gone\.pt; give weights=PATH of a file$"),
        ("own_net:make?weights=DEFAULT", "no weights at DEFAULT; .* with its weights: my_code:make_net$"),
        ("own_net:make?weights=empty.bin", "it is empty; expected safetensors, or"),
        ("own_net:make?weights=page.pt", r"it is a web page \(HTML\)"),
        ("own_net:make?weights=page.safetensors", r"it is a web page \(HTML\)"),
        ("own_net:make?weights=page.h5", r"page\.h5: can't be read as HDF5"),
        ("plain.keras", "plain.keras: its preprocessing can't be known"),
    ],
)
def test_names_of_no_network(here: Path, spec: str, message: str) -> None:
    """Each says what is wrong, and what to write where that can be told."""
    with pytest.raises(dif.InputError, match=message) as caught:
        read(spec)
    assert len(str(caught.value)) < 280


@pytest.mark.parametrize("name", ["page.keras", "other.keras"])
def test_a_file_that_is_no_keras_model(here: Path, name: str) -> None:
    """It is told by its table of contents."""
    with pytest.raises(dif.InputError, match=f"^{name}: can't be read as a Keras model"):
        read(name, preprocess="unit")


@pytest.mark.parametrize("scheme", HUBS)
def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """One line says what installs it, and no framework is needed for that."""
    module = HUBS[scheme].module
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "path", [])
    importlib.invalidate_caches()
    with pytest.raises(dif.InputError) as caught:
        read(f"{scheme}:net")
    told = f"{scheme}:net: needs {module}, which is not installed; pip install 'differentia[{scheme}]'"
    assert str(caught.value) == told


def test_extras_install_each_library() -> None:
    """By the names that the error has; one installs all, and so does what the tests need."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert {hub.extra for hub in HUBS.values()} < extras.keys()
    assert extras["hubs"] == [f"differentia[{','.join(hub.extra for hub in HUBS.values())}]"]
    (of_tests,) = [one for one in extras["dev"] if one.startswith("differentia[")]
    assert "hubs" in of_tests.removeprefix("differentia[").removesuffix("]").split(",")


def test_names_of_classes_are_given_once(here: Path) -> None:
    """As a file that is there, or as names."""
    Path("classes.txt").write_text("ant\nbee\n")
    read("keras:VGG16", classes="classes.txt")
    wrong: dict[str, dict[str, Any]] = {
        r"class_names and classes \(--classes\) were": {"classes": "classes.txt", "class_names": ("ant",)},
        r"there is no file gone\.txt; expected": {"classes": "gone.txt"},
        r"expected the path of a file \(names go in class_names\)": {"classes": ("ant", "bee")},
    }
    for told, about in wrong.items():
        with pytest.raises(dif.InputError, match=f"^keras:VGG16: .*{told}"):
            read("keras:VGG16", **about)


def test_a_seed_goes_with_random_weights(here: Path) -> None:
    """It is no option of the library; with other weights, or as no whole number, it is an error."""
    for network in (
        "timm:vit?weights=none",
        "keras:VGG16?weights=none",
        "open_clip:ViT-B-32?pretrained=none",
    ):
        assert read_network_spec(network, dict(NOTHING)).seed == 0
        spec = read_network_spec(f"{network}&seed=3", dict(NOTHING))
        assert (spec.seed, "seed" in spec.options) == (3, False)
        for wrong in ("-1", "1.5", "true", "x"):
            with pytest.raises(dif.InputError, match=r"seed is .*; expected a whole number, at least 0"):
                read(f"{network}&seed={wrong}")
    for network in (
        "timm:vit?seed=3",
        "keras:VGG16?weights=imagenet&seed=3",
        "open_clip:RN50?pretrained=a&seed=3",
    ):
        with pytest.raises(
            dif.InputError, match="seed is that of random weights; write weights=none, or leave"
        ):
            read(network)
    assert read_network_spec("helpers.networks:factory?seed=3", dict(NOTHING)).options == {"seed": 3}


def test_the_devices_are_those_of_pytorch() -> None:
    """As its own error lists them; Keras's other backends have others."""
    with pytest.raises(RuntimeError, match=r"^Expected one of .* device type") as caught:
        torch.device("none")
    listed = str(caught.value).removeprefix("Expected one of ").partition(" device type")[0]
    assert set(DEVICES) == {"auto", *listed.split(", ")}


def test_a_device_is_a_word_and_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others call it is known; on another backend of Keras a GPU is called so."""
    for good in ("auto", "cpu", "cuda:1", "mps"):
        require_device_name(good)
    with pytest.raises(
        dif.InputError, match=r"^unknown device 'gpu'\. Did you mean 'cuda'\? Known: auto, cpu"
    ):
        require_device_name("gpu:0")
    with pytest.raises(dif.InputError, match="'cuda:first'; expected the number of one"):
        require_device_name("cuda:first")
    with pytest.raises(dif.InputError, match="unknown device 'gpu'"):
        dif.load_network(torch.nn.ReLU(), device="gpu")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    require_device_name("gpu:0")
