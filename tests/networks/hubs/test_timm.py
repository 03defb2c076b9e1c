"""Networks of timm by their names: weights, transforms, classes; against timm itself."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helpers.zoo  # noqa: F401 - timm can be imported then
import numpy as np
import PIL.Image
import pytest
import timm
import torch
from helpers.hub_files import (
    Payload,
    inputs_of,
    keep_hugging_face,
    keep_torch,
    noise_images,
    outputs,
    photographs_of,
    seed_three,
)
from huggingface_hub import constants
from safetensors.torch import save_file
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from timm.models import get_pretrained_cfg, save_for_hf

import differentia as dif
from differentia.cli import main

#: A small one; where its weights lie, and those of one that is on no hub.
NAME, SIDE = "test_resnet", 160
REPOSITORY = "timm/test_resnet.r160_in1k"
BY_URL = "gcvit_xxtiny.in1k"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Return what gives the place of a file that was downloaded before."""
    return keep_hugging_face(monkeypatch, tmp_path / "hub")


def trained(name: str = NAME, **options: Any) -> Any:
    """Return a network with random weights."""
    torch.manual_seed(3)
    return timm.create_model(name, pretrained=False, **options)


def file_of(name: str) -> str:
    """Return what the weights are called of a network that is on no hub."""
    config: Any = get_pretrained_cfg(name)
    return str(config.url.rpartition("/")[2])


def load(spec: str, **about: Any) -> Any:
    return dif.load_network(spec, device="cpu", **about)


def test_its_own_weights(kept: Callable[[str, str], Path]) -> None:
    """Those of the tag, of the format that can hold no code, where there are both."""
    module, other = trained(), trained()
    torch.nn.init.normal_(other.fc.bias)
    save_file(module.state_dict(), kept(REPOSITORY, "model.safetensors"))
    torch.save(other.state_dict(), kept(REPOSITORY, "pytorch_model.bin"))
    state = torch.get_rng_state()
    for spec in (f"timm:{NAME}", f"timm:{NAME}.r160_in1k?weights=DEFAULT"):
        network = load(spec)
        np.testing.assert_array_equal(outputs(network.module, SIDE), outputs(module, SIDE))
        assert "state_dict" not in network.module.pretrained_cfg
        assert (network.weights, network.package) == ("r160_in1k", "timm")
    assert torch.equal(torch.get_rng_state(), state)
    of_timm = timm.create_model(NAME, pretrained=True)
    np.testing.assert_array_equal(outputs(of_timm, SIDE), outputs(module, SIDE))
    kept(REPOSITORY, "model.safetensors").unlink()
    np.testing.assert_array_equal(outputs(load(f"timm:{NAME}").module, SIDE), outputs(other, SIDE))


def test_random_weights_are_the_same_each_time() -> None:
    """Those of a seed, as the library draws them; the user's random numbers are left as they were."""
    seeded = seed_three(f"timm:{NAME}?weights=none")
    np.testing.assert_array_equal(outputs(seeded, SIDE), outputs(trained(), SIDE))  # of seed 3


def test_weights_are_turned_as_timm_does(kept: Callable[[str, str], Path], tmp_path: Path) -> None:
    """Places of another number of patches are interpolated; other classes are told, and left random."""
    name, repository = "vit_tiny_patch16_224", "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    module, path = trained(name), tmp_path / "w.safetensors"
    for file in (kept(repository, "model.safetensors"), path):
        save_file(module.state_dict(), file)
    expected = outputs(timm.create_model(name, pretrained=True, img_size=96), 96)
    for spec in (f"timm:{name}?img_size=96", f"timm:{name}?img_size=96&weights={path}"):
        network = load(spec)
        assert network.input_shape == (96, 96, 3)
        np.testing.assert_array_equal(outputs(network.module, 96), expected)
    with pytest.warns(
        dif.DifferentiaWarning, match="tell 1,000 classes apart, not 7: those of the last layer"
    ):
        network = load(f"timm:{name}?num_classes=7")
    assert (network.module.num_classes, network.class_names) == (7, None)
    with pytest.raises(dif.InputError, match=r"do not fit: .* 2 are of another shape \(head\.weight"):
        load(f"timm:{name}?num_classes=7&weights={path}")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_of_a_file(tmp_path: Path, suffix: str) -> None:
    """Also of one's own number of classes, and of a checkpoint."""
    few, path = trained(num_classes=7), tmp_path / f"w{suffix}"
    if suffix == ".pt":
        torch.save({"epoch": 3, "model": few.state_dict()}, path)
    else:
        save_file(few.state_dict(), path)
    network = load(f"timm:{NAME}?num_classes=7&weights={path}")
    np.testing.assert_array_equal(outputs(network.module, SIDE), outputs(few, SIDE))
    assert (network.class_names, network.class_ids) == (None, None)
    assert network.weights == str(path)


def test_a_folder_and_a_repository(
    kept: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As timm saves them, with names of classes; a folder may lie in that of the user."""
    monkeypatch.setenv("HOME", str(tmp_path))
    few = trained(num_classes=3)
    described = {"label_names": ["a", "b", "c"], "label_descriptions": {"a": "ant", "b": "bee", "c": "cat"}}
    save_for_hf(few, str(tmp_path / "net"), model_config=described, safe_serialization=True)
    for path in (tmp_path / "net").iterdir():
        kept("someone/net", path.name).write_bytes(path.read_bytes())
    folders = f"local-dir:{tmp_path / 'net'}", "local-dir:~/net"
    for name in (*folders, "hf-hub:someone/net", "hf-hub:someone/net@main"):
        network = load(f"timm:{name}")
        np.testing.assert_array_equal(outputs(network.module, SIDE), outputs(few, SIDE))
        assert (network.class_names, network.class_ids) == (("ant", "bee", "cat"), None)
        assert network.weights == ""
        drawn = load(f"timm:{name}?weights=none")
        assert (drawn.module.num_classes, drawn.weights) == (3, "random")
    (tmp_path / "net" / "model.safetensors").unlink()
    with pytest.raises(dif.InputError, match=r"there is no model\.safetensors in .*net; save it there, or"):
        load(f"timm:local-dir:{tmp_path / 'net'}")


@pytest.mark.parametrize("field", ["mean", "std", "input_size", "crop_pct"])
def test_a_transform_of_other_things_than_numbers(tmp_path: Path, field: str) -> None:
    """It is told when the network is loaded, and not when an image is shown."""
    save_for_hf(trained(num_classes=3), str(tmp_path / "net"), safe_serialization=True)
    config = json.loads((tmp_path / "net" / "config.json").read_text())
    of_weights = config["pretrained_cfg"]
    of_weights[field] = "much" if field == "crop_pct" else [*of_weights[field][:-1], "much"]
    (tmp_path / "net" / "config.json").write_text(json.dumps(config))
    with pytest.raises(dif.InputError, match=r"net: timm can't use this network's configuration \(.*; fetch"):
        load(f"timm:local-dir:{tmp_path / 'net'}")


def test_classes() -> None:
    """Of ImageNet, by their number."""
    network = load(f"timm:{NAME}?weights=none")
    assert (network.class_ids[281], network.class_names[281]) == ("n02123045", "tabby")
    larger = load("timm:vit_tiny_patch16_224.augreg_in21k?weights=none")
    assert len(larger.class_ids) == len(larger.class_names) == 21_843
    assert network.classifies
    features = load(f"timm:{NAME}?weights=none&num_classes=0")
    assert (features.class_names, features.classifies) == (None, False)


def test_a_pickle_is_refused(
    kept: Callable[[str, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As the user's file, in a folder, and as what was downloaded from either place."""
    mark, own = tmp_path / "executed", tmp_path / "w.pt"
    torch_kept = keep_torch(monkeypatch, tmp_path / "torch")
    save_for_hf(trained(), str(tmp_path / "net"), safe_serialization=True)
    (tmp_path / "net" / "model.safetensors").unlink()
    places = {
        f"timm:{NAME}?weights={own}": own,
        f"timm:{NAME}": kept(REPOSITORY, "pytorch_model.bin"),
        f"timm:local-dir:{tmp_path / 'net'}": tmp_path / "net" / "pytorch_model.bin",
        f"timm:{BY_URL}": torch_kept / file_of(BY_URL),
    }
    for spec, path in places.items():
        torch.save({"fc.bias": Payload(mark)}, path)
        assert main(["layers", spec]) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"differentia: {spec}: the weights can't be loaded: it is a pickle of more"), (
            told
        )
        assert told.count("\n") == 1
        assert not mark.exists()
        torch.load(path, weights_only=False)  # the control
        mark.unlink()


def test_a_pickle_that_errs_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a TypeError timm reads what it downloaded once more, in the way that runs code."""
    mark = tmp_path / "executed"
    argument = str(mark).encode()
    # An ordered dictionary whose state is None, an error only to the reader that runs nothing; then a call.
    content = b"\x80\x02ccollections\nOrderedDict\n)RNb0cos\nmkdir\nX" + len(argument).to_bytes(4, "little")
    path = keep_torch(monkeypatch, tmp_path / "torch") / file_of(BY_URL)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content + argument + b"\x85R.")
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    with pytest.raises(dif.InputError, match="the weights can't be loaded: it is cut off or damaged"):
        load(f"timm:{BY_URL}")
    assert not mark.exists()
    with pytest.raises(TypeError):
        torch.load(path, weights_only=True)
    assert not mark.exists()
    torch.load(path, weights_only=False)  # the control, which is what timm 1.0 goes on with
    assert mark.exists()


def test_without_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what is missing, where it goes, and what else can be done; it comes at once."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}",
    )
    begun = time.monotonic()
    assert main(["layers", f"timm:{NAME}"]) == 2
    assert time.monotonic() - begun < 8
    told = capsys.readouterr()
    assert told.out == ""
    start = (
        f"differentia: timm:{NAME}: model.safetensors of {REPOSITORY} is not in {folder}, and can't be downl"
    )
    assert told.err.startswith(start)
    assert told.err.endswith("; connect once, or give weights=PATH (safetensors) or weights=none\n")
    assert told.err.count("\n") == 1
    assert main(["layers", "timm:hf-hub:someone/net"]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("differentia: timm:hf-hub:someone/net: config.json of someone/net is not in ")
    assert told.err.endswith("; connect once, or name a folder: timm:local-dir:FOLDER\n")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "vit_tinny_patch16_224",
            r"^unknown network of timm 'timm:vit_tinny.*Did you mean 'timm:vit_tiny_patch16_224'",
        ),
        ("vit_tiny_patch16_224.augreg_in21", r"Did you mean 'timm:vit_tiny_patch16_224\.augreg_in21k'\?"),
        (
            "test_resnet?weights=IMAGENET1K_V1",
            r"unknown weights of test_resnet 'IMAGENET1K_V1'\. Known: DEFAULT, no",
        ),
        (
            "test_resnet?weights=none&depth=3",
            r"can't build this network \(.*'depth'\); change its options or",
        ),
        (
            "test_resnet?weights=none&pretrained=true",
            "pretrained can't be chosen; write weights=DEFAULT, weigh",
        ),
        (
            "test_resnet?weights=none&checkpoint_path=w.pt",
            "checkpoint_path can't be chosen; write weights=DEF",
        ),
        ("local-dir:gone", r"there is no config\.json in gone; name a folder that timm wrote$"),
        ("hrnet_w18_small.no", "unknown weights of timm:hrnet_w18_small"),
        (
            "vit_tiny_patch16_224?weights=none&img_size=(96,64)",
            r"its transform, with borders .* can't be done here; say how",
        ),
    ],
)
def test_what_can_not_be_loaded(spec: str, message: str) -> None:
    """One line says why, and what is near."""
    with pytest.raises(dif.InputError, match=message) as caught:
        load(f"timm:{spec}")
    assert len(str(caught.value)) < 300


def check_transform(network: Any, images: list[PIL.Image.Image], **config: Any) -> None:
    """Assert that a network's input is what timm's own transform gives; with other fits it is not."""
    transform = create_transform(**resolve_model_data_config(network.module, **config), is_training=False)
    expected = np.stack([transform(image).numpy() for image in images])
    level = 1 / 255 / min(network.transform.sd)
    assert np.abs(inputs_of(network, images) - expected).max() < level / 100
    other = {"crop": "squash"} if network.transform.crop == "center" else {"crop": "center"}
    assert np.abs(inputs_of(network, images, **other) - expected).max() > 10 * level


TRANSFORMS = (
    "vit_tiny_patch16_224",
    "deit_tiny_distilled_patch16_224",
    "efficientnet_b0",
    "mobilenetv4_conv_small",
    "test_vit",
    "convnextv2_nano.fcmae_ft_in22k_in1k_384",  # whose images are squashed
)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name: str) -> None:
    """Images are resized, cut and normalised as by timm."""
    check_transform(load(f"timm:{name}?weights=none"), noise_images())


def test_transforms_of_another_size() -> None:
    """The margin follows the size; that of a grey network is the same."""
    network = load("timm:vit_tiny_patch16_224?weights=none&img_size=96")
    assert network.transform.resize_to == 106  # floor(96 / 0.9)
    check_transform(network, noise_images(), args={"img_size": 96})
    grey = load(f"timm:{NAME}?weights=none&in_chans=1")
    assert grey.input_shape == (160, 160, 1)
    found = inputs_of(grey, [PIL.Image.new("RGB", (200, 200), (255, 255, 255))])
    mean, sd = (np.mean(grey.module.pretrained_cfg[key]) for key in ("mean", "std"))
    np.testing.assert_allclose(found, np.full((1, 1, 160, 160), (1 - mean) / sd), rtol=1e-5)


def test_transforms_that_squash() -> None:
    """The proportions are changed, and the middle is cut out."""
    network = load(f"timm:{NAME}?weights=none")
    network.module.pretrained_cfg["crop_mode"] = "squash"
    from differentia.networks.hubs.timm import _transform_of

    network.transform = _transform_of(network.module, {})
    assert network.transform.resize_to == (168, 168)
    check_transform(network, noise_images())


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "mixer_s16_224", "efficientnet_b0"])
def test_transforms_of_photographs(real_data: Path, name: str) -> None:
    """The same, of real ones."""
    check_transform(load(f"timm:{name}?weights=none"), photographs_of(real_data))
