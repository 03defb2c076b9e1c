"""The towers for images of open_clip by their names, with the weights of tags, files and folders."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import helpers.zoo as zoo  # before open_clip imports torchvision
import numpy as np
import open_clip
import PIL.Image
import pytest
import torch
from helpers.documents import DOCS, commands, fenced
from helpers.hooked import hooked
from helpers.hub_folders import Bomb, cut_off, keep
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors.torch import save_file
from torch import nn

import differentia as dif
from differentia.cli import main
from differentia.networks.classes import class_layer
from differentia.networks.torch import TorchNetwork
from differentia.recording.fitting import fit_of

if TYPE_CHECKING:
    from helpers.digit_files import DigitFiles

TOLERANCE = 1e-4

#: Small towers of each kind, by names that open_clip is told of.
VISION: dict[str, dict[str, Any]] = {
    "small-RN": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
    "small-ViT": {"image_size": 32, "patch_size": 8, "layers": 2, "width": 64},
    "small-timm": {
        "image_size": 224,
        "timm_model_name": "convnext_atto",
        "timm_model_pretrained": True,
        "timm_pool": "",
        "timm_proj": "linear",
    },
}
TEXT = {"context_length": 8, "vocab_size": 16, "width": 16, "heads": 2, "layers": 1}

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def small_models(tmp_path: Path) -> Iterator[None]:
    """Tell open_clip of small models, and forget them."""
    from open_clip import factory

    known, places = dict(factory._MODEL_CONFIGS), list(factory._MODEL_CONFIG_PATHS)
    folder = tmp_path / "configs"
    folder.mkdir()
    for name, vision in VISION.items():
        config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": TEXT}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    yield
    factory._MODEL_CONFIGS = known
    factory._MODEL_CONFIG_PATHS[:] = places


def whole(name: str) -> Any:
    """Return a model of images and text with weights of its own, in eval mode."""
    config = open_clip.get_model_config(name)
    vision = {**config["vision_cfg"], "timm_model_pretrained": False}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = open_clip.CLIP(config["embed_dim"], vision, TEXT).eval()
        zoo.randomise(model)
    return model


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone().contiguous() for name, tensor in module.state_dict().items()}


def loaded(spec: str) -> TorchNetwork:
    network = dif.load_network(f"open_clip:{spec}")
    assert isinstance(network, TorchNetwork)
    return network


def same(one: nn.Module, other: nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("name", VISION)
@pytest.mark.filterwarnings("ignore::differentia.DifferentiaWarning")
def test_every_value_is_that_of_plain_hooks(name: str, tmp_path: Path) -> None:
    """Of the tower with the weights of a whole model's file: every call is recorded, or listed."""
    compare_with_hooks(name, whole(name), tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["RN50", "ViT-B-32"])
@pytest.mark.filterwarnings("ignore::differentia.DifferentiaWarning")
def test_whole_towers(name: str, tmp_path: Path) -> None:
    """Those that people use, in their whole size."""
    compare_with_hooks(name, whole(name), tmp_path)


def compare_with_hooks(name: str, model: Any, folder: Path) -> None:
    save_file(state(model), folder / "whole.safetensors")
    network = loaded(f"{name}?pretrained={folder / 'whole.safetensors'}")
    assert same(network.module, model.visual)
    images = {"images": zoo.photographs(61)[:, :48]}
    responses = dif.record(network, images, units="all", layers=[":all"], views=False)
    found = {layer.name: np.asarray(responses.values[layer.name][:, :]) for layer in responses.layers}
    height, width, _ = network.input_shape
    batch = torch.from_numpy(found["input"].reshape(3, 3, height, width).astype(np.float32))
    seen = hooked(model.visual.eval(), batch)
    calls = {layer.partition("[")[0] for layer in found} - {"input"}
    assert calls | {each.name.partition("[")[0] for each in network.unrecorded} == set(seen.calls)
    assert len(found) > 12
    for layer, values in found.items():
        expected = seen.values[layer].reshape(3, -1)
        scale = max(float(np.abs(expected).max()), 1e-6)
        np.testing.assert_allclose(values, expected, rtol=0, atol=TOLERANCE * scale)
        assert np.abs(values - np.roll(expected, 1, axis=0)).max() > TOLERANCE * scale


def tower_only(model: Any) -> Any:
    return state(model.visual)


def of_training(model: Any) -> Any:
    """Return a checkpoint as open_clip writes it, of a model on several GPUs, with the optimiser's state."""
    tensors = {f"module.{name}": tensor for name, tensor in state(model).items()}
    return {"epoch": 3, "name": "run", "state_dict": tensors, "optimizer": {"state": {}, "param_groups": []}}


@pytest.mark.parametrize(
    ("of", "suffix"), [(state, ".safetensors"), (tower_only, ".safetensors"), (of_training, ".pt")]
)
@pytest.mark.parametrize("option", ["pretrained", "weights"])
def test_weights_of_a_file(of: Callable[[Any], Any], suffix: str, option: str, tmp_path: Path) -> None:
    """Of a whole model, of the tower alone, and of a run of training; random numbers are left alone."""
    model, path = whole("small-ViT"), tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(of(model), path)
    before = torch.random.get_rng_state()
    network = loaded(f"small-ViT?{option}={path}")
    assert same(network.module, model.visual)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not [name for name, _ in network.module.named_parameters() if "token_embedding" in name]


def test_random_weights() -> None:
    """The same each time, and others with another seed."""
    one = loaded("small-ViT?pretrained=none")
    state = torch.get_rng_state()
    other = loaded("small-ViT?weights=none&seed=3")
    assert torch.equal(torch.get_rng_state(), state)
    again = loaded("small-ViT?weights=none&seed=0")
    assert same(one.module, again.module)
    assert not one.classifies
    assert class_layer(one) is None  # though it ends in a vector of 24 features
    assert not same(one.module, other.module)
    assert (one.weights, other.weights) == ("random", "random")


def test_weights_of_a_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken from where the hub keeps them, with the tag's own transform; the model's text is not kept."""
    model, folder = whole("small-ViT"), tmp_path / "repository"
    tag = {"hf_hub": "lab/clip/", "mean": (0.5,) * 3, "std": (0.25,) * 3, "resize_mode": "squash"}
    other = {**tag, "mean": (0.1,) * 3, "interpolation": "bilinear"}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "small-ViT", {"mine_b1": tag, "other": other})
    folder.mkdir()
    save_file(state(model), folder / "open_clip_model.safetensors")
    cut_off(monkeypatch, tmp_path / "hub")
    keep(tmp_path / "hub", "lab/clip", folder)
    network = loaded("small-ViT?pretrained=mine_b1")
    assert same(network.module, model.visual)
    assert (network.weights, network.package) == ("mine_b1", "open_clip_torch")
    assert same(loaded("small-ViT?pretrained=Mine-B1").module, model.visual)  # as open_clip takes it
    assert network.transform is not None
    assert network.transform[:6] == ((32, 32, 3), "bicubic", "squash", None, (0.5,) * 3, (0.25,) * 3)
    # What all tags have in common holds for other weights too.
    drawn = loaded("small-ViT?pretrained=none").transform
    assert drawn is not None
    assert drawn[:6] == ((32, 32, 3), "bicubic", "squash", None, PreprocessCfg().mean, (0.25,) * 3)


def test_a_folder_of_open_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a repository: with its own configuration, transform and weights, or others."""
    model, folder = whole("small-RN"), tmp_path / "mine"
    folder.mkdir()
    config = {"embed_dim": 24, "vision_cfg": VISION["small-RN"], "text_cfg": {"hf_model_name": "some/reader"}}
    preprocess = {"mean": [0.1, 0.2, 0.3], "std": 0.5, "interpolation": "bilinear", "resize_mode": "shortest"}
    written = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(written))
    save_file(state(model), folder / "open_clip_model.safetensors")
    cut_off(monkeypatch, tmp_path / "hub")
    keep(tmp_path / "hub", "lab/clip", folder)
    for name in (f"local-dir:{folder}", "hf-hub:lab/clip"):
        network = loaded(name)
        assert same(network.module, model.visual)
        assert network.weights == ""
        assert network.transform is not None
        assert network.transform[:6] == ((64, 64, 3), "bilinear", "center", 64, (0.1, 0.2, 0.3), (0.5,) * 3)
        assert not same(loaded(f"{name}?pretrained=none").module, model.visual)


@pytest.mark.parametrize("mode", ["longest", "shortest"])
def test_what_is_done_to_images_can_be_said(mode: str, tmp_path: Path) -> None:
    """Where open_clip does what no transform does."""
    size = 32 if mode == "longest" else [32, 64]
    config = {"embed_dim": 24, "vision_cfg": {**VISION["small-ViT"], "image_size": size}, "text_cfg": TEXT}
    written = {"model_cfg": config, "preprocess_cfg": {"resize_mode": mode}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(written))
    spec = f"open_clip:local-dir:{tmp_path}?pretrained=none"
    with pytest.raises(dif.InputError, match=f"by their {mode} side; say how images are prepared"):
        dif.load_network(spec)
    assert dif.load_network(spec, preprocess="unit", input_shape=(3, 32, 64)).preprocessing == "unit"


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "tag"), [("ViT-B-32", "laion2b_s34b_b79k"), ("RN50", "openai"), ("ViT-B-16-SigLIP", "webli")]
)
def test_photographs(name: str, tag: str, real_data: Path) -> None:
    """The input is what open_clip's own pipeline for a tag makes of photographs, in every grey level."""
    network = loaded(f"{name}?pretrained=none")
    known = open_clip.get_pretrained_cfg(name, tag)
    names = ("mean", "std", "interpolation", "resize_mode")
    pipeline: Any = image_transform_v2(PreprocessCfg(size=224, **{one: known[one] for one in names}), False)
    paths = [*sorted((real_data / "cats").iterdir())[:12], *sorted((real_data / "random").iterdir())[:12]]
    images = [PIL.Image.open(path).convert("RGB") for path in paths]
    assert len({image.size for image in images}) > 6
    sd, wrong = torch.tensor(known["std"]).reshape(3, 1, 1), 0
    for image in images:
        own = pipeline(image)
        levels = [
            float(((network.prepare(fit(image)[None])[0] - own) * sd * 255).abs().max())
            for fit in (fit_of(network), fit_of(network, resize="bilinear"))
        ]
        assert levels[0] < 0.01
        wrong += levels[1] > 1
    assert wrong == len(images)


@pytest.mark.soak
@pytest.mark.usefixtures("no_pictures")
def test_the_command_of_the_guide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digit_files: DigitFiles, capsys: Capture
) -> None:
    """Runs as it stands, with weights where the hub keeps them."""
    guide = (DOCS / "guides" / "networks.md").read_text(encoding="utf-8")
    (command,) = (block for block in fenced(guide, "bash") if "open_clip:" in block)
    (parts,) = commands(f"$ {command}")
    assert parts[0] == "differentia"
    repository = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
    (tmp_path / "repository").mkdir()
    save_file(state(whole("ViT-B-32")), tmp_path / "repository" / "open_clip_model.safetensors")
    cut_off(monkeypatch, tmp_path / "hub")
    keep(tmp_path / "hub", repository, tmp_path / "repository")
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    for name in digit_files.names[:3]:
        shutil.copy(digit_files.folder / name, tmp_path / "photos" / "cats")
    monkeypatch.chdir(tmp_path)
    assert main(parts[1:]) == 0
    assert "transformer.resblocks.11 " in capsys.readouterr().out
    result = dif.load_result(tmp_path / "clip" / "result.nc")
    assert [name for name in result["layer"].values if "resblocks" in name] == [
        f"transformer.resblocks.{number}" for number in range(12)
    ]


# ---------------------------------------------------------------------------------------- no code, no pickle


def of_a_file(folder: Path, bomb: Bomb) -> str:
    torch.save({"weight": bomb}, folder / "weights.pt")
    return f"small-ViT?pretrained={folder / 'weights.pt'}"


def of_torchscript(folder: Path, bomb: Bomb) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, that it is old
        torch.jit.script(nn.Linear(2, 2)).save(folder / "RN50.pt")  # type: ignore[no-untyped-call]
    return f"small-ViT?pretrained={folder / 'RN50.pt'}"


def of_a_disguise(folder: Path, bomb: Bomb) -> str:
    (folder / "weights.safetensors").write_bytes(pickle.dumps(bomb))
    return f"small-ViT?weights={folder / 'weights.safetensors'}"


def of_a_folder(folder: Path, bomb: Bomb) -> str:
    config = {"embed_dim": 24, "vision_cfg": VISION["small-ViT"], "text_cfg": TEXT}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    torch.save({"weight": bomb}, folder / "open_clip_pytorch_model.bin")
    return f"local-dir:{folder}"


@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (of_a_file, "a pickle of more than tensors .*which could run code and is not read"),
        (of_torchscript, "a TorchScript archive, which holds code"),
        (of_a_disguise, "can't be loaded"),
        (of_a_folder, "no weights as safetensors were found in .*, and pickles are not"),
    ],
)
def test_nothing_is_run(
    plant: Callable[[Path, Bomb], str], reason: str, tmp_path: Path, capsys: Capture
) -> None:
    """No pickle, whatever it is called; one line says why not."""
    bomb = Bomb(tmp_path / "exploded")
    assert main(["layers", f"open_clip:{plant(tmp_path, bomb)}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(reason, line), line
    assert not bomb.path.exists()


def test_a_repository_without_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pickle is not read either."""
    bomb, folder = Bomb(tmp_path / "exploded"), tmp_path / "repository"
    folder.mkdir()
    torch.save({"weight": bomb}, folder / "pytorch_model.bin")
    cut_off(monkeypatch, tmp_path / "hub")
    keep(tmp_path / "hub", "jienengchen/ViTamin-S", folder)
    with pytest.raises(dif.InputError, match=r"no weights as safetensors were found in jie.*; connect"):
        dif.load_network("open_clip:ViTamin-S?pretrained=datacomp1b")
    assert not bomb.path.exists()


# ------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    "preprocess", [{"mode": "L"}, {"mean": "white"}, {"std": [0.5]}, {"mean": [[1], 2, 3]}]
)
def test_a_damaged_transform(preprocess: dict[str, Any], tmp_path: Path) -> None:
    """Is told, and need not be used."""
    config = {"embed_dim": 24, "vision_cfg": VISION["small-ViT"], "text_cfg": TEXT}
    written = {"model_cfg": config, "preprocess_cfg": preprocess}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(written))
    with pytest.raises(dif.InputError, match=r"its preprocess_cfg can't be used \(.*; say how images are"):
        dif.load_network(f"open_clip:local-dir:{tmp_path}?pretrained=none")
    given: dict[str, Any] = {"preprocess": "unit", "input_shape": (3, 32, 32)}
    assert dif.load_network(f"open_clip:local-dir:{tmp_path}?pretrained=none", **given).transform is None


@pytest.mark.parametrize(
    ("spec", "there"),
    [
        (
            "ViT-B-32?pretrained=laion2b_s34b_b79k",
            "name a file, open_clip:ViT-B-32?pretrained=PATH (pretrained=none",
        ),
        ("hf-hub:lab/clip", "name a folder with open_clip_config.json and open_clip_model.safetensors"),
    ],
)
def test_without_a_connection(
    spec: str, there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """One line says at once where files are kept, and what to name instead."""
    cut_off(monkeypatch, tmp_path)
    begun = time.perf_counter()
    assert main(["layers", f"open_clip:{spec}"]) == 2
    assert time.perf_counter() - begun < 5
    (line,) = capsys.readouterr().err.splitlines()
    assert f"is not in {tmp_path}, and can't be downloaded" in line
    assert there in line


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "RN50",
            r"its weights are not named; write open_clip:RN50\?pretrained=TAG, .* Known: openai, yfcc15m",
        ),
        ("small-ViT", r"its weights are not named; .* Known: none"),
        (
            "RN50?pretrained=openai",
            r"activation QuickGELU, .*write open_clip:RN50-quickgelu\?pretrained=openai",
        ),
        (
            "RN50?pretrained=laion2b",
            r"unknown weights of open_clip:RN50 'laion2b'\. .*openai, yfcc15m, cc12m",
        ),
        ("RN50?pretrained=nowhere.pt", r"there are no weights at nowhere\.pt"),
        ("RN50?pretrained=none&weights=none", "pretrained= and weights= say the same; keep one"),
        ("RN50?pretraned=none", r"unknown option of open_clip:RN50 'pretraned'\. Did you mean 'pretrained'"),
        (
            "ViT-B32?pretrained=none",
            r"unknown network of open_clip 'open_clip:ViT-B32'\. Did you mean 'open_clip:ViT-B-32'",
        ),
        ("local-dir:/nowhere/at/all", "there is no folder /nowhere/at/all"),
        ("hf-hub:no such name", "neither a folder nor the name of a repository"),
    ],
)
def test_one_line_says_what_is_wrong(spec: str, message: str) -> None:
    """And what can be done about it."""
    with pytest.raises(dif.InputError, match=message) as raised:
        dif.load_network(f"open_clip:{spec}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("written", [None, "[", "[]", '{"model_cfg": 3}', '{"model_cfg": {"embed_dim": 3}}'])
def test_a_damaged_folder(written: str | None, tmp_path: Path) -> None:
    """One without a configuration, or with what is none."""
    if written is not None:
        (tmp_path / "open_clip_config.json").write_text(written)
    with pytest.raises(
        dif.InputError, match=r"no configuration of open_clip|is damaged|can't build this network"
    ):
        dif.load_network(f"open_clip:local-dir:{tmp_path}?pretrained=none")


def test_weights_of_another_model(tmp_path: Path) -> None:
    """The numbers of tensors that do not fit."""
    save_file(state(whole("small-RN")), tmp_path / "whole.safetensors")
    with pytest.raises(dif.InputError, match=r"the weights do not fit: of the tensors, \d+ are missing \("):
        dif.load_network(f"open_clip:small-ViT?pretrained={tmp_path / 'whole.safetensors'}")


def test_slashes_in_names() -> None:
    """As OpenAI writes them."""
    assert loaded("ViT-B/32?pretrained=none").name == "open_clip:ViT-B/32?pretrained=none"
