"""Weights, models and configurations of strangers: read or refused, soon and in little memory."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import pytest
import torch
from helpers.attempts import in_bounds, refused
from helpers.hdf5_files import zero_heaps
from helpers.strange_networks import KINDS, LINEAR, SHOWN, changed, write_all
from helpers.tries import Rows, bounded
from safetensors.torch import load_file, save_file

import differentia as dif
from differentia.networks.weights import read_tensors

ROWS = Rows("Files of networks")

Tried = Callable[..., None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each kind, which no test may change."""
    folder = tmp_path_factory.mktemp("networks")
    write_all(folder)
    return folder


@pytest.mark.parametrize("kind", bounded([*KINDS], 5))
def test_whole_files_are_read(whole: Path, kind: str) -> None:
    """The control of all that follows."""
    assert in_bounds(*KINDS[kind][1](whole / kind.strip())).code == 0


@ROWS.row(
    "A `.pt`, `.pth`, `.safetensors`, `.h5` or `.keras`, a folder of transformers or timm, or a list of "
    "classes, in which bytes, members or fields were changed at random",
    "One line, or read; less than 10 s and 1.5 GB, nothing run or unpickled, no escape sequence shown",
)
@pytest.mark.parametrize(("seed", "kind"), bounded([(seed, kind) for seed in range(10) for kind in KINDS], 6))
def test_changed_files(whole: Path, tmp_path: Path, tried: Tried, seed: int, kind: str) -> None:
    """Whatever was changed."""
    ended = in_bounds(*changed(whole, kind, seed, tmp_path))
    assert ended.code == 0 or ended.text.strip().count("\n") == 0
    tried()


def weights(path: Path) -> list[str]:
    """Return what reads the weights of a linear layer."""
    return ["layers", f"{LINEAR}&weights={path}", *SHOWN]


def compressed(source: Path, path: Path) -> None:
    """Have a storage of 150 MB in 150 kB."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, bytes(150_000_000) if name.endswith("data/0") else old.read(name))


def overlapping(source: Path, path: Path) -> None:
    """Have a megabyte of data under a thousand names."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("zip/data/x", os.urandom(1_000_000))
        for number in range(1000):
            again = copy.copy(new.filelist[-1])
            again.filename = f"zip/data/{number + 100}"
            new.filelist.append(again)


def byte_array(source: Path, path: Path) -> None:
    """Have Python make 8 GB of zeros, of a number."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("zip/data.pkl", b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\2\x85R.")
        archive.writestr("zip/version", "3\n")


def old_byte_array(source: Path, path: Path) -> None:
    """Have the same in a file of PyTorch's old format."""
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    path.write_bytes(magic + b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\2\x85R." + pickle.dumps([], 2))


def repeated(source: Path, path: Path) -> None:
    """Have a tensor of 4 TB of which all numbers are one."""
    torch.save({"weight": torch.ones(1).expand(10**6, 10**6), "bias": torch.zeros(3)}, path)


FILLING: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "compressed": (compressed, "torch.save compresses nothing"),
    "overlapping": (overlapping, "torch.save compresses nothing"),
    "byte array": (byte_array, "it holds a bytearray"),
    "old byte array": (old_byte_array, "it holds a bytearray"),
    "repeated": (repeated, "it declares 4,000,000,000,012 bytes of tensors"),
}


@ROWS.row(
    "A `.pt` that grows while it is read: compressed a thousand times, entries that overlap, a number that "
    "is repeated, gigabytes of zeros",
    "Refused by its table of contents, in less than 100 MB",
)
@pytest.mark.parametrize("what", FILLING)
def test_files_that_fill_the_memory(whole: Path, tmp_path: Path, tried: Tried, what: str) -> None:
    """A few kilobytes stay that."""
    write, told = FILLING[what]
    write(whole / "zip.pt", tmp_path / "w.pt")
    assert (tmp_path / "w.pt").stat().st_size < 1_500_000
    ended = in_bounds(*weights(tmp_path / "w.pt"))
    assert ended.code == 2
    assert told in ended.text
    assert ended.grown < 100_000_000
    tried()


def nested(count: int, depth: int) -> Any:
    """Return dictionaries in which each leads to the same one by all its keys."""
    inner: dict[str, Any] = {"tensor": torch.zeros(1)}
    for _ in range(depth):
        inner = {f"key{number}": inner for number in range(count)}
    return inner


@ROWS.row(
    "A `.pt` that takes long to look through: 20,000 entries, billions of ways to one dictionary, names of "
    "200,000 parts",
    "Refused, in less than 10 s",
)
@pytest.mark.parametrize("what", ["entries", "ways", "parts"])
def test_files_that_take_long(whole: Path, tmp_path: Path, tried: Tried, what: str) -> None:
    """Each way is gone once, and not all of a name."""
    path = tmp_path / "w.pt"
    if what == "ways":
        torch.save(nested(3000, 3), path)
    elif what == "parts":
        torch.save({"a." * 200_000 + "weight": torch.zeros(3, 8)}, path)
    else:
        torch.save({"other": torch.zeros(3)}, path)
        with zipfile.ZipFile(path, "a") as archive:
            for number in range(20_000):
                archive.writestr(f"w/data/{number + 10}", b"")
    assert "do not fit" in refused(*weights(path))
    tried()


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Write a ``.keras`` file after each of its members was changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


@ROWS.row(
    "A `.keras` file whose layer is declared with 5,000,000 units, its weights being a few",
    "Refused before there is memory for it",
)
@pytest.mark.parametrize("field", [b'"units": 3', b'"filters": 4'])
def test_keras_layers_larger_than_their_weights(
    whole: Path, tmp_path: Path, tried: Tried, field: bytes
) -> None:
    """What is declared is counted, layer by layer, before it is made."""

    def enlarge(name: str, content: bytes) -> bytes:
        assert name != "config.json" or field in content
        return content.replace(field, field[:-1] + b"5000000") if name == "config.json" else content

    path = rewritten(whole / "model.keras", tmp_path / "m.keras", enlarge)
    ended = in_bounds("layers", str(path), *SHOWN[:2])
    assert ended.code == 2
    assert "m.keras: declares tensors of " in ended.text
    assert "it is damaged, or made to fill the memory; don't use it" in ended.text
    assert ended.grown < 100_000_000
    tried()


@ROWS.row(
    "Keras's weights that are compressed a thousand times, as `.h5` or in a `.keras` file",
    "Refused before they are read",
)
@pytest.mark.parametrize("name", ["w.weights.h5", "m.keras"])
def test_compressed_weights_of_keras(whole: Path, tmp_path: Path, tried: Tried, name: str) -> None:
    """Weights of numbers shrink by less than two."""
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        zeros = {"shape": (200_000_000,), "dtype": "f4", "chunks": (2**22,), "compression": "gzip"}
        data = file.create_dataset("layers/dense/vars/0", **zeros)
        data[:4] = 1
    content = (tmp_path / "w.weights.h5").read_bytes()
    rewritten(
        whole / "model.keras",
        tmp_path / "m.keras",
        lambda name, old: content if name == "model.weights.h5" else old,
    )
    spec = KINDS["keras.weights.h5" if name.endswith("h5") else "model.keras"][1](tmp_path / name)
    ended = in_bounds(*spec)
    assert ended.code == 2
    assert "declares 800,000,000 bytes of data" in ended.text
    assert ended.grown < 100_000_000
    tried()


@ROWS.row(
    "Keras's weights, as `.h5` or in a `.keras` file, in which a sector of a heap of texts is zeros, which "
    "keeps HDF5 busy for ever",
    "One line, at once",
)
@pytest.mark.parametrize("name", ["w.weights.h5", "m.keras"])
def test_zeroed_heaps(whole: Path, tmp_path: Path, tried: Tried, name: str) -> None:
    """The type of a weight, which Keras looks at, is a text."""
    weights = tmp_path / "w.weights.h5"
    shutil.copy(whole / "keras.weights.h5", weights)
    with h5py.File(weights, "r+") as file:
        file["layers/dense/vars/0"].attrs["dtype"] = "float32"
    for damaged in (False, True):
        begin = zero_heaps(weights) if damaged else 0
        rewritten(
            whole / "model.keras",
            tmp_path / "m.keras",
            lambda name, old: weights.read_bytes() if name == "model.weights.h5" else old,
        )
        ended = in_bounds(
            *KINDS["keras.weights.h5" if name.endswith("h5") else "model.keras"][1](tmp_path / name)
        )
        assert ended.code == 2 * damaged
        assert f"(a heap of texts at byte {begin:,} is damaged)" in ended.text or not damaged
    tried()


SIZES = ("60000", "200000", "2000000", "100000000000")


@ROWS.row(
    "`--input-size` (or an image processor's) of which no batch fits into the memory that is free",
    "Refused before an image is made",
)
@pytest.mark.parametrize("size", bounded(SIZES, 1))
def test_input_sizes(whole: Path, tmp_path: Path, tried: Tried, size: str) -> None:
    """Two images are the least; one that fits is shown, the control."""
    told = "of memory are free; give a smaller input_shape (--input-size)"
    assert told in refused(
        "layers", "torch.nn:Conv2d?in_channels=3&out_channels=1&kernel_size=3", *SHOWN[:3], size
    )
    shutil.copytree(whole / "transformers", tmp_path / "net")
    file = tmp_path / "net" / "preprocessor_config.json"
    config = json.loads(file.read_text())
    config["size"] = {"height": min(int(size), 10**6), "width": 10**6}
    file.write_text(json.dumps(config))
    assert told in refused("layers", f"hf:{tmp_path}/net")
    tried(2)


OPTIONS = (
    "torchvision:resnet18?weights=none&num_classes=1000000000",
    "timm:vit_tiny_patch16_224?weights=none&num_classes=1000000000",
    "keras:VGG16?weights=none&classes=1000000000",
)


@ROWS.row("A library's network with options that declare terabytes", "Refused before there is memory for it")
@pytest.mark.parametrize("spec", bounded(OPTIONS, 1))
def test_options_of_libraries(tried: Tried, spec: str) -> None:
    """The message says what was declared, and what is free."""
    told = refused("layers", spec)
    assert f"{spec}: declares tensors of " in told
    assert "TB or more" in told or "GB or more" in told
    assert "of memory are free" in told
    tried()


#: Fields of configurations, and what is told.
CONFIGS: dict[str, tuple[str, dict[str, Any], str]] = {
    "hidden": ("transformers", {"hidden_size": 10**6}, "its file holds"),
    "layers": ("transformers", {"num_hidden_layers": 10**6}, "its file holds"),
    "image": ("transformers", {"image_size": 10**6}, "its file holds"),
    "classes": ("transformers", {"num_labels": 10**9}, "config.json says that num_labels is 1000000000"),
    "huge": ("transformers", {"hidden_size": 10**9}, "config.json says that hidden_size is 1000000000"),
    "deep": ("timm", {"model_args": {"depth": 10**9}}, "config.json says that depth is 1000000000"),
    "wide": ("timm", {"model_args": {"embed_dim": 10**6}}, "its file holds"),
    "long": ("timm", {"model_args": {"depth": 10**5, "embed_dim": 16, "num_heads": 2}}, "its file holds"),
}


@ROWS.row(
    "A folder of transformers or timm whose configuration declares far more than its weights are, or counts "
    "of a thousand million",
    "Refused before the network is built",
)
@pytest.mark.parametrize("what", bounded([*CONFIGS], 4))
def test_configurations(whole: Path, tmp_path: Path, tried: Tried, what: str) -> None:
    """Whichever field it is."""
    name, fields, told = CONFIGS[what]
    shutil.copytree(whole / name, tmp_path / "net")
    file = tmp_path / "net" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))
    assert told in refused(*KINDS[name][1](tmp_path / "net"))
    tried()


def put_socket(path: Path) -> None:
    """Have a socket at a path; its own name may be short only."""
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


PLACES: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a socket": put_socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
}


@ROWS.row(
    "A pipe, a socket, a device or a folder in the place of weights, a model, a configuration or a list of "
    "classes",
    "Refused, without waiting",
)
@pytest.mark.parametrize(
    ("place", "kind"), bounded([(place, kind) for place in PLACES for kind in reversed(KINDS)], 6)
)
def test_only_files_are_read(whole: Path, tmp_path: Path, tried: Tried, place: str, kind: str) -> None:
    """By which name ever it goes."""
    inside, arguments = KINDS[kind]
    target = tmp_path / kind.strip()
    if inside:
        shutil.copytree(whole / kind.strip(), target)
        (target / inside).unlink()
    PLACES[place](target / inside)
    assert kind.strip() in refused(*arguments(target))
    tried()


@ROWS.row(
    "A `.safetensors` file that is cut off, or written to, after it was read",
    "The numbers stay what they were",
)
def test_files_that_change(tmp_path: Path, tried: Tried) -> None:
    """A mapped file changes with the disk, or ends the process: the control."""
    path = tmp_path / "w.safetensors"
    ones = {"weight": torch.ones(1_000_000), "bias": torch.ones(3)}
    save_file(ones, path)
    mapped, read = load_file(path)["weight"], read_tensors("x", str(path))
    with path.open("r+b") as file:
        file.seek(-3_000_000, os.SEEK_END)
        file.write(bytes(1_000_000))
    assert not torch.equal(mapped, ones["weight"])
    del mapped
    os.truncate(path, 100)
    assert all(torch.equal(read[name], ones[name]) for name in ones)
    tried()


ESCAPE = "a\x1b[31m\x1b]0;title\x07"


@ROWS.row(
    "Control characters in the names of tensors, and in what PyTorch or Keras say of a file",
    "Shown as escapes",
)
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "m.keras"])
def test_names_in_files(whole: Path, tmp_path: Path, tried: Tried, name: str) -> None:
    """The message has them, and no terminal obeys."""
    path = tmp_path / name
    if name == "m.keras":
        escaped = json.dumps(ESCAPE)[1:-1].encode()

        def rename(member: str, content: bytes) -> bytes:
            return content.replace(b'"activation": "relu"', b'"activation": "' + escaped + b'"')

        told = refused("layers", str(rewritten(whole / "model.keras", path, rename)), *SHOWN[:2])
    else:
        tensors = {ESCAPE: torch.zeros(3)}
        torch.save(tensors, path) if name == "w.pt" else save_file(tensors, path)
        told = refused(*weights(path))
    assert r"\x1b[31m" in told or (name == "m.keras" and "can't be read as a Keras model" in told)
    tried()


class Named(torch.nn.Module):
    """Has a part of any name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.add_module(name, torch.nn.Conv2d(3, 2, 3))

    def forward(self, images: torch.Tensor) -> Any:
        """Call the part."""
        return next(self.children())(images)


@ROWS.row(
    "Control characters in the names of layers, which go into files, figures and tables",
    "Refused before anything is measured",
)
@pytest.mark.parametrize("framework", ["torch", "keras", "file"])
def test_names_of_layers(tmp_path: Path, tried: Tried, framework: str) -> None:
    """Of a module, a model or a file; letters of any script are taken."""
    told = r"a layer named 'a\\x1b\[31m\\x1b\]0;title\\x07', with control characters; rename it"
    if framework == "torch":
        network = dif.load_network(Named(ESCAPE), preprocess="unit", input_shape=(3, 8, 8))
        with pytest.raises(dif.InputError, match=told):
            dif.measure(network, {"a": dif.noise(2)})
        fine = dif.load_network(Named("Schicht ü"), preprocess="unit", input_shape=(3, 8, 8))
        assert fine.layers[1].name == "Schicht ü"
    else:
        image = keras.Input((8, 8, 3))
        model = keras.Model(image, keras.layers.Conv2D(2, 3, name=ESCAPE)(image))
        given: Any = model
        if framework == "file":
            model.save(tmp_path / "m.keras")
            given = str(tmp_path / "m.keras")
        with pytest.raises(dif.InputError, match=told):
            _ = dif.load_network(given, preprocess="unit").layers
    tried()


@ROWS.row(
    "Control characters in the names of classes of a hub's network, or in a list of them",
    "Classes go by their numbers; the list is refused",
)
@pytest.mark.parametrize("kind", ["transformers", "timm", "classes.json"])
def test_names_of_classes(whole: Path, tmp_path: Path, tried: Tried, kind: str) -> None:
    """Neither names nor identifiers can be shown."""
    if kind == "classes.json":
        for pair in (["n1", ESCAPE], [ESCAPE, "tench"]):
            (tmp_path / kind).write_text(json.dumps({"0": pair}))
            assert "has control characters" in refused(*KINDS[kind][1](tmp_path / kind))
        tried(2)
        return
    names = {True: (ESCAPE, "b", "c"), False: ("a", "b", "c")}
    for odd, given in names.items():
        folder = tmp_path / f"{kind}{odd}"
        shutil.copytree(whole / kind, folder)
        config = json.loads((folder / "config.json").read_text())
        if kind == "timm":
            config["pretrained_cfg"]["label_names"] = given
        else:
            config["id2label"] = dict(enumerate(given))
        (folder / "config.json").write_text(json.dumps(config))
        _, spec = KINDS[kind][1](folder)
        assert dif.load_network(spec, device="cpu").class_names == (None if odd else given)
    tried()
