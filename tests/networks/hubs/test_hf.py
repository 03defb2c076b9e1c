"""Image models of transformers by the names of their repositories, and of folders."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helpers.zoo as zoo  # before transformers imports torchvision
import numpy as np
import pytest
import torch
import transformers
from helpers.hooked import hooked
from helpers.hub_folders import CLASSES, COMMIT, MODELS, READER, SIZES, Bomb, cut_off, keep, silent, written
from safetensors.torch import load_file, save_file

import differentia as dif
from differentia.cli import main
from differentia.networks.torch import TorchNetwork

#: Of the largest value of a layer.
TOLERANCE = 1e-4

Capture = pytest.CaptureFixture[str]


def images() -> np.ndarray:
    """Return three images that are larger than an input, and no squares."""
    return zoo.photographs(61)[:, :48]


def output_of(module: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        output = module.eval()(batch)
    return next(output[name] for name in ("logits", "image_embeds", "last_hidden_state") if name in output)


def loaded(name: object, options: str = "") -> TorchNetwork:
    network = dif.load_network(f"hf:{name}{options}")
    assert isinstance(network, TorchNetwork)
    return network


def module_of(folder: Path, options: str = "") -> Any:
    return loaded(folder, options).module


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::differentia.DifferentiaWarning")
def test_every_value_is_that_of_plain_hooks(name: str, tmp_path: Path) -> None:
    """Every call is recorded, or listed; and the input is what the model's own processor makes of images."""
    written(tmp_path, name)
    network = loaded(tmp_path)
    responses = dif.record(network, {"images": images()}, units="all", layers=[":all"], views=False)
    found = {layer.name: np.asarray(responses.values[layer.name][:, :]) for layer in responses.layers}
    make: Any = transformers.AutoImageProcessor.from_pretrained
    processor = make(tmp_path)
    batch = processor([*images()], return_tensors="pt")["pixel_values"]
    own = torch.from_numpy(found["input"].reshape(batch.shape).astype(np.float32))
    levels = (own - batch) * torch.tensor(processor.image_std).reshape(3, 1, 1) * 255
    assert float(levels.abs().max()) < 1.01
    seen = hooked(network.module.eval(), own)
    calls = {name.partition("[")[0] for name in found} - {"input"}
    listed = {each.name.partition("[")[0] for each in network.unrecorded}
    assert calls | listed == set(seen.calls)
    assert len(found) > 12
    for layer, values in found.items():
        expected = seen.values[layer].reshape(len(batch), -1)
        scale = max(float(np.abs(expected).max()), 1e-6)
        np.testing.assert_allclose(values, expected, rtol=0, atol=TOLERANCE * scale)
        assert np.abs(values - np.roll(expected, 1, axis=0)).max() > TOLERANCE * scale


@pytest.mark.parametrize("name", MODELS)
def test_weights_are_the_models_own(name: str, tmp_path: Path) -> None:
    """Those of its folder or of a file, also of a whole model with a part that reads; or random ones."""
    whole = written(tmp_path, name)
    part: Any = getattr(whole, MODELS[name][2]) if MODELS[name][2] else whole
    network = loaded(tmp_path)
    assert (network.weights, network.package) == ("", "transformers")
    own: Any = network.module
    batch = torch.rand(2, 3, 112, 112) if name == "swin" else torch.rand(2, 3, 32, 32)
    expected = output_of(part, batch)
    if name == "clip":  # its tower is given the projection that goes with it
        with torch.no_grad():
            expected = whole.visual_projection(part(batch).pooler_output)  # type: ignore[operator]
    torch.testing.assert_close(output_of(own, batch), expected, rtol=1e-5, atol=1e-5)
    assert all(tensor.dtype == torch.float32 for tensor in own.parameters())
    file = shutil.move(tmp_path / "model.safetensors", tmp_path / "elsewhere.safetensors")
    torch.testing.assert_close(
        output_of(module_of(tmp_path, f"?weights={file}"), batch), output_of(own, batch)
    )
    network = loaded(tmp_path, "?weights=none")
    assert network.weights == "random"
    drawn: Any = network.module
    assert not torch.allclose(output_of(drawn, batch), expected, atol=1e-3)


def test_weights_leave_random_numbers_alone(tmp_path: Path) -> None:
    """Random ones too, which are the same each time."""
    written(tmp_path, "vit")
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    module_of(tmp_path)
    torch.testing.assert_close(torch.rand(3), expected)
    torch.manual_seed(3)
    first = module_of(tmp_path, "?weights=none").state_dict()
    torch.testing.assert_close(torch.rand(3), expected)
    second = module_of(tmp_path, "?weights=none").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (
        loaded(tmp_path, "?weights=none&seed=3").fingerprint != loaded(tmp_path, "?weights=none").fingerprint
    )


def test_a_model_without_a_pooler(tmp_path: Path) -> None:
    """As DINO's: it is not there, rather than random; of a classifier nothing may be missing."""
    sizes: dict[str, Any] = SIZES
    config = transformers.ViTConfig(**sizes, architectures=["ViTModel"])
    for pooling in (False, True):
        written(tmp_path, "vit")
        whole = transformers.ViTModel(config, add_pooling_layer=pooling)
        whole.save_pretrained(tmp_path)
        module = module_of(tmp_path)
        assert (module.pooler is not None) == pooling
        batch = torch.rand(2, 3, 32, 32)
        torch.testing.assert_close(output_of(module, batch), output_of(whole, batch))


def test_weights_in_parts_and_in_half_precision(tmp_path: Path) -> None:
    """Spread over files with an index, and of float16: the network computes in float32."""
    whole = written(tmp_path / "parts", "vit", max_shard_size="20KB")
    assert len([*(tmp_path / "parts").glob("model-*.safetensors")]) > 2
    batch = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(output_of(module_of(tmp_path / "parts"), batch), output_of(whole, batch))
    half = written(tmp_path / "half", "vit").half()
    with silent():
        half.save_pretrained(tmp_path / "half")  # type: ignore[operator]
    module = module_of(tmp_path / "half")
    torch.testing.assert_close(output_of(module, batch), output_of(half.float(), batch))


def test_classes(tmp_path: Path) -> None:
    """A classifier's classes by their names; those that are numbered only, and none, have none."""
    written(tmp_path / "vit", "vit")
    assert dif.load_network(f"hf:{tmp_path / 'vit'}").class_names == CLASSES
    config = json.loads((tmp_path / "vit" / "config.json").read_text())
    config["id2label"] = {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}
    (tmp_path / "vit" / "config.json").write_text(json.dumps(config))
    assert dif.load_network(f"hf:{tmp_path / 'vit'}").class_names is None
    config["id2label"] = {"0": "tench", "1": "gold\x1b[31mfish", "2": "shark"}
    (tmp_path / "vit" / "config.json").write_text(json.dumps(config))
    assert dif.load_network(f"hf:{tmp_path / 'vit'}").class_names is None
    written(tmp_path / "dinov2", "dinov2")
    assert dif.load_network(f"hf:{tmp_path / 'dinov2'}").class_names is None


def test_attention_can_be_looked_at(tmp_path: Path) -> None:
    """Computed step by step it gives its weights too; the default is what transformers chooses."""
    written(tmp_path, "dinov2")
    sdpa, eager = module_of(tmp_path), module_of(tmp_path, "?attn_implementation=eager")
    assert (sdpa.config._attn_implementation, eager.config._attn_implementation) == ("sdpa", "eager")
    batch = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(output_of(sdpa, batch), output_of(eager, batch), rtol=1e-4, atol=1e-4)
    with pytest.raises(
        dif.InputError, match=r"unknown attn_implementation 'some/kernel'\..* Known: eager, sdpa"
    ):
        module_of(tmp_path, "?attn_implementation=some/kernel")


def test_code_of_the_hub_for_attention_is_not_asked_for(tmp_path: Path) -> None:
    """A configuration may name it; what it names is not looked for."""
    written(tmp_path, "vit")
    path = tmp_path / "config.json"
    named = dict.fromkeys(("attn_implementation", "_attn_implementation"), "some/kernel")
    path.write_text(json.dumps(json.loads(path.read_text()) | named))
    assert module_of(tmp_path).config._attn_implementation == "sdpa"


def test_a_repository_that_was_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a connection it is taken from where the hub keeps it; another revision is not there."""
    whole = written(tmp_path / "vit", "vit")
    cut_off(monkeypatch, tmp_path / "hub")
    keep(tmp_path / "hub", "lab/vit", tmp_path / "vit", revision="v1")
    batch = torch.rand(2, 3, 32, 32)
    for name in (f"lab/vit?revision={COMMIT}", "lab/vit?revision=v1&weights=DEFAULT", "lab/vit?revision=v1"):
        network = loaded(name)
        torch.testing.assert_close(output_of(network.module, batch), output_of(whole, batch))
    assert network.name == "hf:lab/vit?revision=v1"
    with pytest.raises(dif.InputError, match=r"lab/vit is not in .*hub, and can't be downloaded"):
        dif.load_network("hf:lab/vit")


def test_what_was_fetched_without_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be there, where there is a connection."""
    written(tmp_path / "vit", "vit")
    (tmp_path / "vit" / "model.safetensors").unlink()
    cut_off(monkeypatch, tmp_path / "hub")
    keep(tmp_path / "hub", "lab/vit", tmp_path / "vit")
    with pytest.raises(dif.InputError, match=r"no weights as safetensors .*; connect once, if they were not"):
        dif.load_network("hf:lab/vit")


@pytest.mark.parametrize("options", ["", "?weights=none", f"?revision={40 * 'a'}"])
def test_without_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, options: str
) -> None:
    """One line says at once where files are kept, and what to name instead."""
    cut_off(monkeypatch, tmp_path)
    begun = time.perf_counter()
    assert main(["layers", f"hf:google/vit-base-patch16-224{options}"]) == 2
    assert time.perf_counter() - begun < 5
    (line,) = capsys.readouterr().err.splitlines()
    assert f"google/vit-base-patch16-224 is not in {tmp_path}, and can't be downloaded ([Errno 111]" in line
    assert "name a folder with config.json, preprocessor_config.json and model.safetensors: hf:FOLDER" in line


# ---------------------------------------------------------------------------------------- no code, no pickle


def of_a_pickle(folder: Path, bomb: Bomb) -> str:
    (folder / "model.safetensors").unlink()
    torch.save({"weight": bomb}, folder / "pytorch_model.bin")
    return ""


def of_a_file_of_torch(folder: Path, bomb: Bomb) -> str:
    torch.save({"weight": bomb}, folder / "weights.pt")
    return f"?weights={folder / 'weights.pt'}"


def of_a_file_called_otherwise(folder: Path, bomb: Bomb) -> str:
    (folder / "model.safetensors").write_bytes(pickle.dumps(bomb))
    return ""


def of_an_index(folder: Path, bomb: Bomb) -> str:
    (folder / "model.safetensors").unlink()
    (folder / "part.bin").write_bytes(pickle.dumps({"weight": bomb}))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"weight": "part.bin"}}))
    return ""


def of_code_of_the_model(folder: Path, bomb: Bomb) -> str:
    return with_code(folder, bomb, "config.json", "AutoConfig", "AutoModelForImageClassification")


def of_code_of_an_unknown_model(folder: Path, bomb: Bomb) -> str:
    of_code_of_the_model(folder, bomb)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "of_my_own"}))
    return ""


def of_code_of_the_processor(folder: Path, bomb: Bomb) -> str:
    return with_code(folder, bomb, "preprocessor_config.json", "AutoImageProcessor")


def with_code(folder: Path, bomb: Bomb, name: str, *classes: str) -> str:
    path = folder / name
    asked = {"auto_map": dict.fromkeys(classes, "evil.Evil")}
    path.write_text(json.dumps(json.loads(path.read_text()) | asked))
    (folder / "evil.py").write_text(f"open({str(bomb.path)!r}, 'w')\nclass Evil: pass\n")
    return ""


@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (of_a_pickle, "no weights as safetensors .*pytorch_model.bin there is a pickle, which is not read"),
        (of_a_file_of_torch, "a pickle of more than tensors .*which could run code and is not read"),
        (of_a_file_called_otherwise, "can't be loaded"),
        (of_an_index, "can't be loaded"),
        (of_code_of_the_model, "its config.json asks for code of its own .*, which is not run"),
        (of_code_of_an_unknown_model, "its config.json asks for code of its own .*, which is not run"),
        (of_code_of_the_processor, "its preprocessor_config.json asks for code of its own"),
    ],
)
def test_nothing_is_run(
    plant: Callable[[Path, Bomb], str], reason: str, tmp_path: Path, capsys: Capture
) -> None:
    """Neither a pickle nor code of a folder, whatever its files are called; one line says why not."""
    bomb = Bomb(tmp_path / "exploded")
    written(tmp_path / "model", "vit")
    options = plant(tmp_path / "model", bomb)
    assert main(["layers", f"hf:{tmp_path / 'model'}{options}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(reason, line), line
    assert not bomb.path.exists()


def test_a_bomb_would_explode(tmp_path: Path) -> None:
    """That the tests above can fail."""
    bomb = Bomb(tmp_path / "exploded")
    pickle.loads(pickle.dumps(bomb))
    assert bomb.path.exists()


# ------------------------------------------------------------------------------------------------- mistakes


def without(name: str) -> Callable[[Path], str]:
    def remove(folder: Path) -> str:
        (folder / name).unlink()
        return ""

    return remove


def with_config(**changed: Any) -> Callable[[Path], str]:
    def change(folder: Path) -> str:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))
        return ""

    return change


def damaged(folder: Path) -> str:
    (folder / "config.json").write_text("[")
    return ""


def of_text(folder: Path) -> str:
    transformers.BertConfig(architectures=["BertModel"]).save_pretrained(folder)
    return ""


def of_a_dialogue(folder: Path) -> str:
    config = transformers.LlavaConfig(
        vision_config={**SIZES, "model_type": "clip_vision_model"},
        text_config={**READER, "model_type": "llama"},
    )
    config.save_pretrained(folder)
    return ""


def with_fewer_tensors(folder: Path) -> str:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("classifier.weight")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return ""


def of_timm(folder: Path) -> str:
    (folder / "config.json").write_text(
        json.dumps({"architecture": "resnet18", "num_classes": 3, "pretrained_cfg": {}})
    )
    return ""


def asked(options: str) -> Callable[[Path], str]:
    return lambda folder: options


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("config.json"), r"there is no config\.json in .*; save it with model\.save_pretrained"),
        (
            without("model.safetensors"),
            r"no weights as safetensors .*; save them with model\.save_pretrained",
        ),
        (damaged, r"config\.json is damaged .*; fetch it again"),
        (with_config(model_type="of_my_own"), r"its config\.json can't be used: .*of_my_own"),
        (with_config(hidden_act="of_my_own"), r"the model can't be built \("),
        (
            with_config(hidden_size=64),
            r"the weights do not fit: .* of another shape \(.* is \(3, 32\), not \(3, 64\)",
        ),
        (with_fewer_tensors, r"the weights do not fit: of the tensors, 1 is missing \(classifier\.weight\)"),
        (of_a_dialogue, "the weights do not fit: of the tensors, .* are missing"),
        (of_timm, "is a network of timm; write timm:local-dir:/"),
        (of_text, r"its model, BertModel, is not called with images alone; .*forward="),
        (asked("?weights=nowhere.safetensors"), r"there are no weights at nowhere\.safetensors"),
        (
            asked("?weights=DEFLAUT"),
            r"unknown weights of hf:.* Did you mean 'DEFAULT'\? Known: DEFAULT, none",
        ),
        (asked("?revision=v1"), "a folder has no revision; leave it out"),
        (asked("?wieghts=none"), r"unknown option of hf:.* 'wieghts'\. Did you mean 'weights'"),
    ],
)
def test_one_line_says_what_is_wrong(change: Callable[[Path], str], message: str, tmp_path: Path) -> None:
    """And what can be done about it."""
    written(tmp_path, "vit")
    options = change(tmp_path)
    with pytest.raises(dif.InputError, match=message) as raised:
        dif.load_network(f"hf:{tmp_path}{options}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./nowhere/at/all", "neither a folder nor the name of a repository, owner/name"),
        ("no such name", "neither a folder nor the name of a repository, owner/name"),
    ],
)
def test_what_names_nothing(name: str, message: str) -> None:
    """It is no repository either."""
    with pytest.raises(dif.InputError, match=message):
        dif.load_network(f"hf:{name}")


def test_a_processor_beside_a_tokenizer(tmp_path: Path) -> None:
    """Of models of images and text, whose file holds both; code that it asks for is not run."""
    written(tmp_path, "clip")
    expected = dif.load_network(f"hf:{tmp_path}").transform
    own = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").unlink()
    path, bomb = tmp_path / "processor_config.json", Bomb(tmp_path / "exploded")
    path.write_text(json.dumps({"image_processor": own, "processor_class": "CLIPProcessor"}))
    assert dif.load_network(f"hf:{tmp_path}").transform == expected
    (tmp_path / "evil.py").write_text(f"open({str(bomb.path)!r}, 'w')\nclass Evil: pass\n")
    own |= {"image_processor_type": "Evil", "auto_map": {"AutoImageProcessor": "evil.Evil"}}
    path.write_text(json.dumps({"image_processor": own, "processor_class": "CLIPProcessor"}))
    with pytest.raises(dif.InputError, match="its image processor can't be used"):
        dif.load_network(f"hf:{tmp_path}")
    assert not bomb.path.exists()


@pytest.mark.parametrize(
    "processor",
    [
        *(
            None,
            {"do_resize": False},
            {"do_pad": True},
            {"image_processor_type": "OfMyOwn"},
            {"resample": 77},
        ),
        *({"size": {"height": 32}}, {"size": "large"}, {"image_mean": "white"}, {"image_mean": [0.5]}),
    ],
)
def test_what_is_done_to_images_can_be_said(processor: dict[str, Any] | None, tmp_path: Path) -> None:
    """Where a folder does not, or its processor does what no transform does."""
    written(tmp_path, "vit")
    path = tmp_path / "preprocessor_config.json"
    if processor is None:
        path.unlink()
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | processor))
    with pytest.raises(
        dif.InputError, match=r"say how images are prepared with preprocess= and input_shape= "
    ):
        dif.load_network(f"hf:{tmp_path}")
    network = dif.load_network(f"hf:{tmp_path}", preprocess="signed", input_shape=(3, 32, 32))
    assert (network.input_shape, network.preprocessing) == ((32, 32, 3), "signed")


def test_a_tower_of_another_size_of_projection(tmp_path: Path) -> None:
    """A whole CLIP says how long its vectors are; what its part that sees says does not count."""
    vision, text = {**SIZES, "projection_dim": 512}, {**READER, "projection_dim": 24}
    config = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=24)
    with silent():
        transformers.CLIPModel(config).save_pretrained(tmp_path)
    MODELS["clip"][1]().save_pretrained(tmp_path)
    assert output_of(module_of(tmp_path), torch.rand(2, 3, 32, 32)).shape == (2, 24)
