"""Files of small networks, and the same after something in them was changed."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import helpers.zoo  # noqa: F401 - before transformers and timm import torchvision
import keras
import PIL.Image
import timm
import torch
from helpers.hub_folders import silent, written
from safetensors.torch import save_file

SHOWN = ("--preprocess", "unit", "--input-size", "8")
LINEAR = "torch.nn:Linear?in_features=8&out_features=3"

#: Values that a field of a configuration never has.
ODD_VALUES: tuple[Any, ...] = (
    *(-1, 0, 10**6, 10**9, 2**63, 0.5, 1e308, None, True, "", "os.system", "\x1b[2J\x1b]0;x\x07", "../" * 9),
    *([], {}, [[]], {"a": 1}, "9" * 1000),
)


def dense() -> Any:
    """Return a small Keras model."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    values = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation="relu", name="conv")(image))
    return keras.Model(image, keras.layers.Dense(3, name="head")(values))


def write_all(folder: Path) -> None:
    """Write a file or folder of each kind, by the names of `KINDS`."""
    tensors = torch.nn.Linear(8, 3).state_dict()
    torch.save({"model": tensors, "epoch": 3}, folder / "zip.pt")
    torch.save(tensors, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file(tensors, folder / "plain.safetensors")
    model = dense()
    model.save(folder / "model.keras")
    model.save_weights(folder / "keras.weights.h5")
    written(folder / "transformers", "vit")
    with silent():
        written(folder / "shards", "vit", max_shard_size="40kB")
    options: dict[str, Any] = {
        "img_size": 32,
        "patch_size": 16,
        "embed_dim": 16,
        "depth": 1,
        "num_heads": 2,
        "num_classes": 3,
    }
    name = "vit_tiny_patch16_224"
    with torch.random.fork_rng():
        module = timm.create_model(name, **options)
    (folder / "timm").mkdir()
    save_file(module.state_dict(), folder / "timm" / "model.safetensors")
    config = {
        "architecture": name,
        "num_classes": 3,
        "num_features": 16,
        "model_args": options,
        "pretrained_cfg": {"input_size": [3, 32, 32], "label_names": ["a", "b", "c"], "mean": [0.5] * 3},
    }
    (folder / "timm" / "config.json").write_text(json.dumps(config))
    (folder / "classes.json").write_text(
        json.dumps({"0": ["n1", "tench"], "1": ["n2", "hen"], "2": ["n3", "x"]})
    )
    (folder / "classes.txt").write_text("tench\nhen\nx\n")


def classifier() -> torch.nn.Module:
    """Return a small module with three classes."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 3))


def of_classes(path: Path) -> list[str]:
    """Return what reads a list of classes: what a network's layers are is known without one."""
    PIL.Image.new("RGB", (8, 8)).save(path.with_name("x.png"))
    shown = ("--class", "0", "--min-probability", "0", "--dry-run")
    return [
        "select",
        f"{__name__}:classifier",
        f"{path.parent}/*.png",
        *SHOWN,
        *shown,
        "--classes",
        str(path),
    ]


#: What is changed of each, and the command that reads it.
KINDS: dict[str, tuple[str, Callable[[Path], list[str]]]] = {
    "zip.pt": ("", lambda path: ["layers", f"{LINEAR}&weights={path}", *SHOWN]),
    "legacy.pth": ("", lambda path: ["layers", f"{LINEAR}&weights={path}", *SHOWN]),
    "plain.safetensors": ("", lambda path: ["layers", f"{LINEAR}&weights={path}", *SHOWN]),
    "model.keras": ("", lambda path: ["layers", str(path), *SHOWN[:2]]),
    "keras.weights.h5": ("", lambda path: ["layers", f"{__name__}:dense?weights={path}", *SHOWN[:2]]),
    "transformers": ("config.json", lambda path: ["layers", f"hf:{path}"]),
    "transformers ": ("preprocessor_config.json", lambda path: ["layers", f"hf:{path}"]),
    "transformers  ": ("model.safetensors", lambda path: ["layers", f"hf:{path}"]),
    "shards": ("model.safetensors.index.json", lambda path: ["layers", f"hf:{path}"]),
    "timm": ("config.json", lambda path: ["layers", f"timm:local-dir:{path}"]),
    "classes.json": ("", lambda path: of_classes(path)),
    "classes.txt": ("", lambda path: of_classes(path)),
}


def changed(source: Path, kind: str, seed: int, target: Path) -> list[str]:
    """Return what shows a changed copy: bytes are, or members of an archive, or fields of a configuration."""
    inside, arguments = KINDS[kind]
    source, random_numbers = source / kind.strip(), random.Random(f"{kind} {seed}")
    target = target / source.name
    if inside:
        shutil.copytree(source, target)
    file = target / inside
    content = (source / inside).read_bytes()
    if inside.endswith(".json") or source.suffix == ".json":
        content = _changed_json(content, random_numbers)
    elif zipfile.is_zipfile(source) and random_numbers.random() < 0.7:
        _change_member(source, file, random_numbers)
        return arguments(target)
    else:
        content = _changed_bytes(content, random_numbers)
    file.write_bytes(content)
    return arguments(target)


def _changed_bytes(content: bytes, random_numbers: random.Random) -> bytes:
    found = bytearray(content)
    at = random_numbers.randrange(len(found))
    match random_numbers.randrange(5):
        case 0:
            return bytes(found[:at])
        case 1:
            found[at : at + 16] = b"\x1b[2J\x1b]0;x\x07\xff\xff\xff\xff\xff\xff\xff\x7f"
        case 2:
            found[at:at] = found[at : at + 64]
        case _:
            for _ in range(random_numbers.choice((1, 8, 64))):
                found[random_numbers.randrange(min(len(found), 2000))] = random_numbers.randrange(256)
    return bytes(found)


def _changed_json(content: bytes, random_numbers: random.Random) -> bytes:
    if random_numbers.random() < 0.15:
        return _changed_bytes(content, random_numbers)
    read = json.loads(content)
    for _ in range(random_numbers.choice((1, 1, 3))):
        holder, key = random_numbers.choice([*_fields(read)])
        holder[key] = random_numbers.choice(ODD_VALUES)
    return json.dumps(read).encode()


def _fields(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a value of JSON: what holds it, and its key or number."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(pairs):
        yield value, key
        yield from _fields(item)


def _change_member(source: Path, target: Path, random_numbers: random.Random) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        members = OrderedDict((name, old.read(name)) for name in old.namelist())
        name = random_numbers.choice([*members])
        change = _changed_json if name.endswith(".json") else _changed_bytes
        members[name] = change(members[name], random_numbers)
        for member, content in members.items():
            new.writestr(member, content)
