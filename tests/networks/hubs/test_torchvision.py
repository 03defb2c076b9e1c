"""Networks of torchvision by their names: weights, transforms, classes; against torchvision itself."""

from __future__ import annotations

import contextlib
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import helpers.zoo  # noqa: F401 - torchvision can be imported then
import numpy as np
import PIL.Image
import pytest
import torch
from helpers.hub_files import (
    Payload,
    inputs_of,
    keep_torch,
    noise_images,
    outputs,
    photographs_of,
    seed_three,
)
from safetensors.torch import save_file
from torchvision import models

import differentia as dif
from differentia.cli import main

#: A small one.
NAME, SIDE = "shufflenet_v2_x0_5", 64


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which PyTorch keeps what it downloads."""
    return keep_torch(monkeypatch, tmp_path / "torch")


def trained(name: str = NAME, **options: Any) -> torch.nn.Module:
    """Return a network with random weights."""
    torch.manual_seed(3)
    return models.get_model(name, weights=None, **options)


def file_of(name: str, kept: Path, weights: str = "DEFAULT") -> Path:
    """Return where PyTorch keeps the weights of a network."""
    url: str = models.get_model_weights(name)[weights].url
    return kept / url.rpartition("/")[2]


def module_of(spec: str, **about: Any) -> Any:
    network: Any = dif.load_network(spec, device="cpu", **about)
    return network.module


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_of_a_file(tmp_path: Path, suffix: str) -> None:
    """The network is the one whose weights were saved; its classes are told where there are as many."""
    module, path = trained(), tmp_path / f"w{suffix}"
    save = save_file if suffix == ".safetensors" else torch.save
    save(module.state_dict(), path)
    network: Any = dif.load_network(f"torchvision:{NAME}?weights={path}", device="cpu")
    np.testing.assert_array_equal(outputs(network.module, SIDE), outputs(module, SIDE))
    assert network.input_shape == (224, 224, 3)
    assert network.class_names == tuple(models.ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1.meta["categories"])
    assert network.class_ids is None
    assert (network.weights, network.package) == (str(path), "torchvision")
    few, path = trained(num_classes=7), tmp_path / f"few{suffix}"
    save(few.state_dict(), path)
    network = dif.load_network(f"torchvision:{NAME}?num_classes=7&weights={path}", device="cpu")
    np.testing.assert_array_equal(outputs(network.module, SIDE), outputs(few, SIDE))
    assert network.class_names is None
    with pytest.raises(dif.InputError, match=r"do not fit: .* of another shape \(fc\.weight"):
        dif.load_network(f"torchvision:{NAME}?weights={path}")


def test_its_own_weights(kept: Path) -> None:
    """Those that torchvision downloads, by DEFAULT or by their name; random ones are asked for."""
    module = trained()
    torch.save(module.state_dict(), file_of(NAME, kept))
    state = torch.get_rng_state()
    for spec in (
        "",
        "?weights=DEFAULT",
        "?weights=IMAGENET1K_V1",
        "?weights=ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1",
    ):
        network: Any = dif.load_network(f"torchvision:{NAME}{spec}", device="cpu")
        found = network.module
        np.testing.assert_array_equal(outputs(found, SIDE), outputs(module, SIDE))
        assert network.weights == "IMAGENET1K_V1"
    assert torch.equal(torch.get_rng_state(), state)
    weights = models.ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1
    assert "get_state_dict" not in vars(weights)
    of_torchvision = models.get_model(NAME, weights=weights)
    np.testing.assert_array_equal(outputs(found, SIDE), outputs(of_torchvision, SIDE))
    assert (outputs(module_of(f"torchvision:{NAME}?weights=none"), SIDE) != outputs(module, SIDE)).any()


def test_random_weights_are_the_same_each_time() -> None:
    """Those of a seed, as the library draws them; the user's random numbers are left as they were."""
    seeded = seed_three(f"torchvision:{NAME}?weights=none")
    np.testing.assert_array_equal(outputs(seeded, SIDE), outputs(trained(), SIDE))  # of seed 3


def test_densenet_has_old_names(kept: Path) -> None:
    """Its file names layers as no module can be named any more."""
    module = trained("densenet121")
    old = {
        re.sub(r"\.(norm|conv)([12])\.", r".\1.\2.", name): one
        for name, one in module.state_dict().items()
        if "num_batches" not in name  # younger than the file
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    path = file_of("densenet121", kept)
    torch.save(old, path)
    for spec in ("torchvision:densenet121", f"torchvision:densenet121?weights={path}"):
        np.testing.assert_array_equal(outputs(module_of(spec), 32), outputs(module, 32))
    with pytest.raises(dif.InputError, match=r"do not fit: .* of another shape \(features\.conv0\.weight"):
        dif.load_network(f"torchvision:densenet161?weights={path}")


def test_googlenet_is_as_it_was_trained(kept: Path, tmp_path: Path) -> None:
    """Its input is turned into what it was trained with, and what only training needs is left out."""
    module = trained("googlenet", aux_logits=True, init_weights=False, transform_input=True)
    torch.save(module.state_dict(), file_of("googlenet", kept))
    found = module_of("torchvision:googlenet")
    np.testing.assert_array_equal(outputs(found, SIDE), outputs(module, SIDE))
    for name, state in {"whole": module.state_dict(), "without": found.state_dict()}.items():
        save_file(state, tmp_path / f"{name}.safetensors")
        again = module_of(f"torchvision:googlenet?weights={tmp_path / name}.safetensors")
        assert (again.aux1, again.aux2, again.transform_input) == (None, None, True)
        np.testing.assert_array_equal(outputs(again, SIDE), outputs(module, SIDE))
    extra = {**found.state_dict(), "aux3.weight": torch.zeros(1)}
    save_file(extra, tmp_path / "extra.safetensors")
    with pytest.raises(dif.InputError, match=r"1 is unexpected \(aux3\.weight\)"):
        module_of(f"torchvision:googlenet?weights={tmp_path / 'extra.safetensors'}")
    random = module_of("torchvision:googlenet?weights=none")
    assert (random.aux1, random.transform_input) == (None, True)


def test_a_pickle_is_refused(kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the user's file, and as what was downloaded, which torchvision itself would run."""
    mark = tmp_path / "executed"
    downloaded, own = file_of(NAME, kept), tmp_path / "w.pt"
    for path in (downloaded, own):
        torch.save({"fc.bias": Payload(mark)}, path)
    for spec in (f"torchvision:{NAME}", f"torchvision:{NAME}?weights={own}"):
        assert main(["layers", spec]) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"differentia: {spec}: the weights can't be loaded: it is a pickle of more")
        assert told.count("\n") == 1
    assert not mark.exists()
    with contextlib.suppress(RuntimeError):  # the weights are not those of the network
        models.get_model(NAME, weights="DEFAULT")  # the control
    assert mark.exists()


def test_without_a_connection(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says which file is missing, where it goes, and what else can be done."""
    assert main(["layers", f"torchvision:{NAME}"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    start = (
        f"differentia: torchvision:{NAME}: {file_of(NAME, kept)} is not there, and can't be downloaded (<url"
    )
    assert told.err.splitlines()[-1].startswith(start)
    end = "; connect once, or put it there, give weights=PATH (safetensors) or weights=none\n"
    assert told.err.endswith(end)
    assert not list(kept.iterdir())


def test_what_is_downloaded_is_checked(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the part of its digest that its name has; nothing goes to stdout."""
    asked = []

    def download(url: str, path: str, digest: str, progress: bool) -> None:
        asked.append((url.rpartition("/")[2], digest))
        torch.save(trained().state_dict(), path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    module_of(f"torchvision:{NAME}")
    module_of(f"torchvision:{NAME}")
    assert asked == [(file_of(NAME, kept).name, file_of(NAME, kept).stem.rpartition("-")[2])]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "resnet17",
            r"^unknown network of torchvision 'torchvision:resnet17'\. Did you mean 'torchvision:resnet18'",
        ),
        ("ResNet18", r"Did you mean 'torchvision:resnet18'\?"),
        (
            "resnet18?weights=IMAGENET1K_V2",
            r"Did you mean 'IMAGENET1K_V1'\? Known: IMAGENET1K_V1, DEFAULT, none",
        ),
        ("resnet18?weights=default", "Did you mean 'DEFAULT'"),
        ("resnet18?weights=none&transforms=V1", "unknown weights of torchvision:resnet18 'V1'"),
        (
            "resnet18?weights=none&depth=3",
            r"can't build this network \(ResNet.* 'depth'\); change its options$",
        ),
        ("resnet18?pretrained=true", "pretrained can't be chosen; write weights=DEFAULT, weights=none or"),
        (
            "fcn_resnet50",
            r"is of torchvision\.models\.segmentation; expected a network that classifies .* forward=",
        ),
        ("fasterrcnn_resnet50_fpn", r"is of torchvision\.models\.detection;"),
        ("r3d_18", r"is of torchvision\.models\.video;"),
    ],
)
def test_what_can_not_be_loaded(spec: str, message: str) -> None:
    """One line says why, and what is near."""
    with pytest.raises(dif.InputError, match=message) as caught:
        dif.load_network(f"torchvision:{spec}")
    assert len(str(caught.value)) < 300


#: Of different sizes, margins and filters.
TRANSFORMS = (
    "resnet18?weights=none",
    "mobilenet_v3_small?weights=none",
    "efficientnet_b0?weights=none",
    "swin_t?weights=none",
    "vgg11?weights=none",
    "regnet_y_400mf?weights=none&transforms=IMAGENET1K_V1",
    "inception_v3?weights=none",
)


def check_transform(network: dif.Network, weights: Any, images: list[PIL.Image.Image]) -> None:
    """Assert that a network's input is what the transforms of weights give; with other fits it is not."""
    preset = weights.transforms()
    expected = np.stack([preset(image).numpy() for image in images])
    level = 1 / 255 / min(preset.std)
    assert np.abs(inputs_of(network, images) - expected).max() < level / 100
    assert np.abs(inputs_of(network, images, crop="squash") - expected).max() > 10 * level


@pytest.mark.parametrize("spec", TRANSFORMS)
def test_transforms(spec: str) -> None:
    """Images are resized, cut and normalised as by the transforms of the weights."""
    name, _, query = spec.partition("?")
    known = models.get_model_weights(name)
    weights = known.IMAGENET1K_V1 if "V1" in query else known.DEFAULT
    network = dif.load_network(f"torchvision:{spec}", device="cpu")
    check_transform(network, weights, noise_images())
    assert network.preprocessing == "(x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]"


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("resnet18", "IMAGENET1K_V1"),
        ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1"),
        ("efficientnet_b0", "IMAGENET1K_V1"),
    ],
)
def test_transforms_of_photographs(real_data: Path, name: str, weights: str) -> None:
    """The same, of real ones."""
    spec = f"torchvision:{name}?weights=none&transforms={weights}"
    network = dif.load_network(spec, device="cpu")
    check_transform(network, models.get_model_weights(name)[weights], photographs_of(real_data))


def test_a_vit_has_the_size_of_its_weights() -> None:
    """That of their transforms, or what the user says."""
    spec = "torchvision:vit_b_32?weights=none&transforms=IMAGENET1K_V1"
    assert module_of(spec).image_size == 224
    network: Any = dif.load_network(f"{spec}&image_size=96")
    assert (network.module.image_size, network.input_shape) == (96, (96, 96, 3))
    assert network.transform.resize_to is None


def test_what_the_user_says_goes_first(tmp_path: Path) -> None:
    """Preprocessing, size and names of classes."""
    spec = f"torchvision:{NAME}?weights=none"
    network = dif.load_network(spec, preprocess="unit", input_shape=(3, 96, 80), class_names=("a", "b"))
    assert (network.preprocessing, network.input_shape) == ("unit", (96, 80, 3))
    assert (network.weights, network.frameworks, network.package) == ("random", ("torch",), "torchvision")
    assert network.class_names == ("a", "b")
    assert network.transform is not None
    assert network.transform.resize_to is None
    (tmp_path / "classes.json").write_text('{"0": ["n01", "ant"], "1": ["n02", "bee"]}')
    network = dif.load_network(spec, classes=tmp_path / "classes.json")
    assert (network.class_ids, network.class_names) == (("n01", "n02"), ("ant", "bee"))


def test_images_have_the_channels_that_are_normalised() -> None:
    """Of one channel PyTorch would make three, by three means."""
    spec = f"torchvision:{NAME}?weights=none"
    with pytest.raises(dif.InputError, match=r"its transform is for 3 channels, but input_shape .* says 1; "):
        dif.load_network(spec, input_shape=(1, 96, 96))
    assert dif.load_network(spec, input_shape=(1, 96, 96), preprocess="unit").input_shape == (96, 96, 1)


@pytest.mark.usefixtures("no_pictures")
def test_a_measurement_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another folder: the paths of weights and classes are kept, and so are the transforms."""
    save_file(trained(num_classes=3).state_dict(), tmp_path / "w.safetensors")
    (tmp_path / "classes.txt").write_text("ant\nbee\ncat\n")
    (tmp_path / "photos").mkdir()
    for place, image in enumerate(noise_images()[:3]):
        image.save(tmp_path / "photos" / f"{place}.png")
    monkeypatch.chdir(tmp_path)
    spec = f"torchvision:{NAME}?num_classes=3&weights=w.safetensors"
    asked = ["--set", "a=photos", "--layers", "input,fc", "--n-units", "3", "--classes", "classes.txt"]
    assert main(["measure", spec, *asked, "--out", "out"]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["run", "../out", "--out", "again"]) == 0
    one, other = dif.load_result(tmp_path / "out" / "result.nc"), dif.load_result("again/result.nc")
    np.testing.assert_array_equal(one["differentiation"], other["differentiation"])
    for result in (one, other):
        assert result["class_name"].values.tolist() == ["ant", "bee", "cat"]
        facts = json.loads(result.attrs["provenance"])
        assert facts["versions"]["torchvision"] == version("torchvision")
        assert {"timm", "transformers", "open_clip_torch"}.isdisjoint(facts["versions"])
        told = dif.describe_methods(result).text
        assert (
            f'measured in the network "{NAME}" of torchvision with num_classes=3 and the weights of the file '
            '"w.safetensors".'
        ) in told
        assert f"), torchvision {version('torchvision')}, Pillow" in told
        assert (facts["resize"], facts["crop"], facts["resized_to"]) == ("bilinear", "center", 256)
        assert facts["preprocessing"].startswith("(x / 255 - [0.485, 0.456, 0.406])")
