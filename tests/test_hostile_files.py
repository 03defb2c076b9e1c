"""Files made to do harm: none is run, unpickled or followed; each is refused in one line that names it."""

from __future__ import annotations

import csv
import json
import os
import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL.Image
import pytest
import torch
from helpers.hdf5_files import h5, hostile_h5
from safetensors.torch import save_file

import differentia as dif
from differentia.cli import main
from differentia.networks.class_files import read_class_index
from differentia.networks.keras_files import require_harmless_model
from differentia.system.specs import parse_spec

FACTORY = "torch.nn:Linear?in_features=2&out_features=2&weights="
SETS = ["--set", "a=noise:2", "--n-units", "5", "--draws", "1"]


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that a payload makes; the payload works."""
    mark = tmp_path / "executed"
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.exists()
    mark.unlink()
    return mark


def refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], *told: str, mark: Path | None = None
) -> None:
    """Assert that a command ends with one line that tells certain things, code 2, and no harm."""
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.strip().count("\n") == 0
    assert "Traceback" not in shown.err
    for text in told:
        assert text in shown.err
    assert mark is None or not mark.exists()


def write_torch_zip(path: Path, content: bytes) -> None:
    """Write what torch.save writes, with a pickle of one's own in it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w"])
@pytest.mark.parametrize("how", ["plain", "torch", "zip"])
def test_pickles_as_weights(
    tmp_path: Path, mark: Path, capsys: pytest.CaptureFixture[str], name: str, how: str
) -> None:
    """A pickle is not run, whatever it is called and however it is packed."""
    path = tmp_path / name
    payload = {"weight": Payload(mark)}
    if how == "plain":
        path.write_bytes(pickle.dumps(payload))
    elif how == "torch":
        torch.save(payload, path)
    else:
        write_torch_zip(path, pickle.dumps(payload, protocol=2))
    arguments = ["measure", FACTORY + str(path), "--preprocess", "unit", "--input-size", "8", *SETS]
    refused(
        capsys, [*arguments, "--out", str(tmp_path / "o")], f"{path}: the weights can't be loaded", mark=mark
    )
    assert not (tmp_path / "o").exists()


def safetensors(header: bytes, length: int | None = None, data: bytes = b"") -> bytes:
    """Return a file of that format whose header says what it likes."""
    return struct.pack("<Q", len(header) if length is None else length) + header + data


LYING = json.dumps({"weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 2**40]}}).encode()
HUGE = json.dumps({"weight": {"dtype": "F32", "shape": [2**31, 2**31], "data_offsets": [0, 16]}}).encode()


@pytest.mark.parametrize(
    "content",
    {
        "empty": b"",
        "garbage": b"\x93" * 300,
        "beyond its end": safetensors(LYING),
        "of another size": safetensors(HUGE, data=bytes(16)),
        "a long header": safetensors(b"{}", 2**62),
        "nested": safetensors(b"[" * 100_000),
        "no text": safetensors(b"\xff\xfe"),
        "a pickle": pickle.dumps({"weight": 1}),
    }.values(),
)
def test_safetensors(tmp_path: Path, content: bytes) -> None:
    """What is not as it says is refused."""
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(dif.InputError, match=r"w\.safetensors: the weights can't be loaded: "):
        dif.load_network(FACTORY + str(path), preprocess="unit", input_shape=(3, 8, 8))


def test_weights_that_are_no_state_dict(tmp_path: Path) -> None:
    """Harmless values of another kind are refused; the right ones are taken, the control."""
    good = torch.nn.Linear(2, 2).state_dict()
    for name, content in {"a list": [1], "a tensor": torch.ones(2), "text": "x", "numbers": {1: 2}}.items():
        torch.save(content, tmp_path / f"{name}.pt")
        with pytest.raises(dif.InputError, match="can't be loaded"):
            dif.load_network(f"{FACTORY}{tmp_path}/{name}.pt", preprocess="unit", input_shape=(3, 8, 8))
    torch.save(good, tmp_path / "good.pt")
    save_file(good, tmp_path / "good.safetensors")
    for name in ("good.pt", "good.safetensors"):
        network = dif.load_network(f"{FACTORY}{tmp_path}/{name}", preprocess="unit", input_shape=(3, 8, 8))
        assert network.module.weight.equal(good["weight"])  # type: ignore[attr-defined]


def own_loss(one: Any, other: Any) -> Any:
    """Return how far two tensors are from each other; Keras does not know it."""
    return one - other


@keras.saving.register_keras_serializable("hostile")  # type: ignore[untyped-decorator]
def own_regularizer(weights: Any) -> Any:
    """Return a penalty; Keras knows it by its registered name."""
    return keras.ops.sum(weights)


def small_model() -> Any:
    """Return a model of Keras's own layers, with another within, operations, and functions."""
    image = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, activation="relu")])
    x = keras.layers.TimeDistributed(keras.layers.Dense(3, kernel_regularizer="l2"))(inner(image))
    x = keras.ops.relu(x[:, 1:] + 1.0)
    x = keras.layers.Activation(keras.activations.swish)(keras.layers.Flatten()(x))
    model = keras.Model(image, keras.layers.Dense(4, activation="softmax", dtype="float32")(x))
    model.compile("adam", loss=own_loss)
    return model


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as Keras saves it, which no test may change."""
    path = tmp_path_factory.mktemp("keras") / "good.keras"
    small_model().save(path)
    return path


def rewritten(
    source: Path, target: Path, *, config: Any = None, weights: bytes | None = None, more: Any = ()
) -> Path:
    """Write a model's file with another configuration, other weights or further members."""
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(source) as old,
        zipfile.ZipFile(target, "w") as new,
    ):
        warnings.simplefilter("ignore", UserWarning)  # of a name that is there twice
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json" and config is not None:
                content = config if isinstance(config, bytes) else json.dumps(config).encode()
            if name == "model.weights.h5" and weights is not None:
                content = weights
            new.writestr(name, content)
        for name, content in more:
            new.writestr(name, content, compress_type=zipfile.ZIP_DEFLATED)
    return target


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a model of some layers."""
    image = {"batch_shape": [None, 8, 8, 3], "dtype": "float32", "name": "image"}
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": image, "registered_name": None}
    config = {
        "name": "s",
        "trainable": True,
        "layers": [first, *layers],
        "build_input_shape": [None, 8, 8, 3],
    }
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def layer(name: str, config: Any, module: str | None = "keras.layers", **more: Any) -> dict[str, Any]:
    """Return the configuration of a layer."""
    return {"module": module, "class_name": name, "config": config, "registered_name": None, **more}


def function(name: str, module: str = "builtins") -> dict[str, Any]:
    """Return the configuration of a function."""
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def hostile_layers(mark: Path) -> dict[str, dict[str, Any]]:
    """Return layers that would make a file, or read one, by what is wrong with them."""
    code = {"class_name": "__lambda__", "config": {"value": ["4wAAAA==", None, None]}}
    unpickled = {"module": {"class_name": "__bytes__", "config": {"value": "x"}}, "name": "t"}
    words = str(mark.parent / "secret.txt")
    get_file = function("get_file", "keras.utils")
    dense = {"units": 2}
    return {
        "Lambda": layer("Lambda", {"function": code, "arguments": {}}),
        "Lambda of a function": layer("Lambda", {"function": get_file, "arguments": {"fname": str(mark)}}),
        "a lambda anywhere": layer("Dense", {**dense, "activation": code}),
        "TorchModuleWrapper": layer("TorchModuleWrapper", unpickled),
        "TFSMLayer": layer("TFSMLayer", {"filepath": words}),
        "StringLookup": layer("StringLookup", {"vocabulary": words}),
        "TextVectorization": layer("TextVectorization", {"vocabulary": words}),
        "JaxLayer": layer("JaxLayer", {"call_fn": function("system", "os")}),
        "a function of Keras that is no layer": layer("Dense", {**dense, "activation": get_file}),
        "a function of another module": layer("Dense", {**dense, "activation": function("system", "os")}),
        "a known name in another module": layer(
            "Dense", {**dense, "activation": function("relu", "evil_module")}
        ),
        "a setting of Keras": function("enable_unsafe_deserialization", "keras.config"),
        "a loader of Keras": layer("Dense", {**dense, "activation": function("load_model", "keras.models")}),
        "deserialize": layer("Dense", {**dense, "activation": function("deserialize")}),
        "a module": layer("system", {"command": f"touch {mark}"}, "os", registered_name="system"),
        "a module of one's own": layer("Evil", {}, "evil_module", registered_name="Evil"),
        "a module without a name": layer("Evil", {}, None),
        "an application": layer("VGG16", {"weights": words}, "keras.applications"),
        "a class that is no layer": layer("get_file", {"fname": words}, "keras.utils"),
        "a class of the inside": layer("SafeModeScope", {}, "keras.src.saving.serialization_lib"),
        "a metaclass": layer("__typespec__", []),
        "a number for a name": layer(7, {}),  # type: ignore[arg-type]
        "within another layer": layer(
            "TimeDistributed", {"layer": layer("Lambda", {"function": code, "arguments": {}})}
        ),
        "within a wrapper of values": layer("Dense", {"units": {"class_name": "__numpy__", "config": code}}),
        "of an old format": {"class_name": "Lambda", "config": {"function": code}},
    }


@pytest.mark.parametrize("what", list(hostile_layers(Path())))
def test_keras_models_with_code(
    tmp_path: Path, mark: Path, keras_file: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Nothing is imported, called or read, also where Keras itself would let it pass."""
    (tmp_path / "evil_module.py").write_text(f"open({str(mark)!r}, 'w')\nclass Evil: pass\nrelu = Evil\n")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.syspath_prepend(tmp_path)

    def unreachable(*arguments: Any, **options: Any) -> None:
        mark.touch()

    monkeypatch.setattr(keras.saving, "load_model", unreachable)
    path = rewritten(keras_file, tmp_path / "m.keras", config=sequential(hostile_layers(mark)[what]))
    message = (
        r"m\.keras: can't be read as a Keras model: it names .*load it with your own code, and name that code"
    )
    with pytest.raises(dif.InputError, match=message):
        dif.load_network(str(path), preprocess="unit")
    assert not mark.exists()


def test_keras_models_are_read(tmp_path: Path, keras_file: Path) -> None:
    """What Keras and registered code save is taken, and gives what the model gives: the control."""
    network = dif.load_network(str(keras_file), preprocess="unit")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    expected = keras.models.load_model(keras_file, compile=False)(pixels.astype(np.float32) / 255)
    outputs = network.model(network.prepare(pixels), training=False)  # type: ignore[attr-defined]
    np.testing.assert_allclose(outputs.detach().numpy(), expected.detach().numpy(), rtol=1e-6)
    same = rewritten(keras_file, tmp_path / "plain.keras", config=sequential(layer("Dense", {"units": 2})))
    require_harmless_model(same)

    class Doubled(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return 2 * inputs

    keras.Sequential([keras.Input((8, 8, 3)), Doubled()]).save(tmp_path / "own.keras")
    with pytest.raises(
        dif.InputError, match=r"names 'Custom>Doubled'|names '.*Doubled', which is neither a layer"
    ):
        dif.load_network(str(tmp_path / "own.keras"), preprocess="unit")
    registered = keras.saving.register_keras_serializable("hostile")(Doubled)
    keras.Sequential([keras.Input((8, 8, 3)), registered()]).save(tmp_path / "own.keras")
    assert dif.load_network(str(tmp_path / "own.keras"), preprocess="unit").input_shape == (8, 8, 3)
    dense = keras.layers.Dense(2, kernel_regularizer=own_regularizer)
    keras.Sequential([keras.Input((8, 8, 3)), dense]).save(tmp_path / "function.keras")
    assert dif.load_network(str(tmp_path / "function.keras"), preprocess="unit").input_shape == (8, 8, 3)
    borrowed = layer("Doubled", {}, "evil_module", registered_name="hostile>Doubled")
    with pytest.raises(dif.InputError, match=r"names 'evil_module\.Doubled', which is neither a layer"):
        require_harmless_model(rewritten(keras_file, tmp_path / "m.keras", config=sequential(borrowed)))


TOLD = ("/a is a link", "/g/a is a link", "/g/x lies", "/v lies", "/r holds", "/l holds", "bytes of data")


@pytest.mark.parametrize("told", TOLD)
def test_hdf5_files(tmp_path: Path, keras_file: Path, capsys: pytest.CaptureFixture[str], told: str) -> None:
    """Weights that lie in other files, are objects, or would fill the memory, also within a model."""
    (fill,) = [fill for what, fill in hostile_h5(tmp_path).items() if what.startswith(told)]
    for name in ("w.weights.h5", "w.h5"):
        path = h5(tmp_path / name, fill)
        refused(capsys, ["layers", f"keras:MobileNet?weights={path}"], told, f"{path}: ")
    packed = rewritten(keras_file, tmp_path / "m.keras", weights=path.read_bytes())
    refused(capsys, ["layers", str(packed), "--preprocess", "unit"], told, "m.keras: model.weights.h5")


def as_keras_weights(how: str) -> bytes:
    """Return what is no HDF5 file."""
    return {"empty": b"", "garbage": b"x" * 3000, "cut": b"\x89HDF\r\n\x1a\n" + bytes(50)}[how]


@pytest.mark.parametrize("how", ["empty", "garbage", "cut"])
def test_no_hdf5_at_all(
    tmp_path: Path, keras_file: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    """The error names the file, and the place in it."""
    for name in ("w.h5", "w.hdf5", "w.weights.h5"):
        (tmp_path / name).write_bytes(as_keras_weights(how))
        refused(
            capsys, ["layers", f"keras:MobileNet?weights={tmp_path}/{name}"], f"{name}: can't be read as HDF5"
        )
    packed = rewritten(keras_file, tmp_path / "m.keras", weights=as_keras_weights(how))
    refused(capsys, ["layers", str(packed)], "m.keras: model.weights.h5: can't be read as HDF5")
    for name in ("w.npz", "w.pkl", "w.weights.json", "w"):
        (tmp_path / name).write_bytes(pickle.dumps(1))
        refused(
            capsys,
            ["layers", f"keras:MobileNet?weights={tmp_path}/{name}"],
            "expected a name that ends in .h5",
        )


def test_keras_archives(
    tmp_path: Path, keras_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is unpacked beside the model, nor more than it can hold; broken ones are told."""
    place = tmp_path / "in" / "here"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    deep = b'{"a":' * 100_000
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "up": ({"more": [("../escaped", b"x")]}, "it holds '../escaped'"),
        "root": ({"more": [("/tmp/escaped", b"x")]}, "it holds '/tmp/escaped'"),
        "asset": ({"more": [("assets/x.txt", b"x")]}, "it holds 'assets/x.txt'"),
        "pickles": ({"more": [("model.weights.npz", b"x")]}, "it holds 'model.weights.npz'"),
        "bomb": ({"more": [("metadata.json", bytes(200_000_000))]}, "it holds 'metadata.json'"),
        "deep": ({"config": deep}, "config.json: "),
        "text": ({"config": b"\xff\xfe{"}, "config.json: "),
        "a list": ({"config": [1]}, "config.json is not a JSON object"),
    }
    for name, (change, told) in cases.items():
        path = rewritten(keras_file, place / f"{name}.keras", **change)
        refused(capsys, ["layers", str(path), "--preprocess", "unit"], f"{name}.keras: can't be read", told)
    with zipfile.ZipFile("big.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b"{}")
        archive.writestr("model.weights.h5", bytes(200_000_000))
    refused(capsys, ["layers", "big.keras"], "big.keras: can't be read", "it would grow to 200,000,002 bytes")
    with zipfile.ZipFile("lacking.keras", "w") as archive:
        archive.writestr("config.json", b"{}")
    refused(capsys, ["layers", "lacking.keras"], "it holds no model.weights.h5")
    whole = keras_file.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        (place / "cut.keras").write_bytes(whole[:size])
        refused(capsys, ["layers", "cut.keras"], "cut.keras: can't be read as a Keras model")
    assert not Path("/tmp/escaped").exists()
    assert os.listdir(tmp_path / "in") == ["here"]


def test_arrays(tmp_path: Path, mark: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pickled arrays and archives are not opened, whatever the header says; nor is one that is cut off."""
    np.save(tmp_path / "objects.npy", np.array([Payload(mark), 1], dtype=object), allow_pickle=True)
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(Payload(mark)))
    with (tmp_path / "archive.npy").open("wb") as file:
        np.savez(file, a=np.zeros((2, 4, 4), np.uint8))
    (tmp_path / "empty.npy").write_bytes(b"")
    np.save(tmp_path / "whole.npy", np.zeros((2, 8, 8), np.uint8))
    whole = (tmp_path / "whole.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-1])
    headers = {"long": "(9999999, 8, 8)", "overflow": f"({2**62}, {2**62}, 8)", "negative": "(-2, -8, -8)"}
    headers |= {"code": "__import__('os').abort()", "nested": "(" * 5000, "type": "(2, 8, 8.5)"}
    for name, shape in headers.items():
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
        content = b"\x93NUMPY\x02\x00" + struct.pack("<I", len(header)) + header
        (tmp_path / f"{name}.npy").write_bytes(content + bytes(128))
    for name in ("objects", "pickle", "archive", "empty", "cut", *headers):
        told = f"{name}.npy: can't be read as a NumPy array"
        given = ["measure", "digits", "--set", f"a={tmp_path}/{name}.npy", "--out", str(tmp_path / "o")]
        refused(capsys, given, told, mark=mark)
    assert len(dif.images(tmp_path / "whole.npy")) == 2


def test_images(tmp_path: Path, mark: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that only have an image's name, or would start another program, are refused by name."""
    contents = {
        "pickle.png": pickle.dumps(Payload(mark)),
        "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) (w) file\n",
        "page.png": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "bomb.png": b"\x89PNG\r\n\x1a\n"
        + b"\0\0\0\rIHDR"
        + struct.pack(">II", 60_000, 60_000)
        + b"\x08\2\0\0\0",
        "cut.png": b"\x89PNG\r\n\x1a\n",
    }
    for name, content in contents.items():
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        for copy in ("a.png", "b.png"):
            (folder / copy).write_bytes(content)
        given = ["measure", "digits", "--set", f"s={folder}", "--n-units", "5", "--out", str(tmp_path / "o")]
        refused(capsys, given, "a.png: can't be read as an image", mark=mark)


@pytest.mark.parametrize(
    "content",
    {
        "garbage": b"\xff\xfe\0",
        "nested": b"[" * 100_000,
        "nested objects": b'{"a":' * 100_000,
        "a list of lists": b'[["n0", "a"], "b"]',
        "a number": b"7",
        "missing": b'{"1": ["n0", "a"]}',
        "of a name and a number": b'{"0": "ab", "1": 3}',
        "of numbers": b'{"0": [1, 2]}',
        "of lists": b'{"0": [["x"], {}]}',
        "huge": b'{"0": ["n0", "' + b"a" * 17_000_000 + b'"]}',
    }.values(),
)
def test_class_indices(tmp_path: Path, content: bytes) -> None:
    """Each is refused with its name and what is expected; one without an end, too."""
    (tmp_path / "c.json").write_bytes(content)
    for path in (tmp_path / "c.json", Path("/dev/zero")):
        with pytest.raises(dif.InputError, match=rf"x: {path} is not a class index .*; expected a name per"):
            read_class_index(path, "x")
    with pytest.raises(dif.InputError, match="can't be a path"):
        dif.load_network("keras:MobileNet?weights=none&classes=a\0b")


def test_experiment_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is in one, the error names it and leaves nothing; paths upwards are the user's own."""
    good = b'[network]\nspec = "digits"\n[sets]\na = "noise:2"\n'
    wrong: dict[str, bytes] = {
        "binary": bytes(range(256)),
        "null": good + b"\0",
        "deep": b"a = " + b"[" * 100_000,
        "deep keys": b"[" + b"a." * 50_000 + b"a]",
        "huge": b"# " + b"x" * 17_000_000,
        "pickle": pickle.dumps(Payload(tmp_path / "executed")),
        "out": b'out = "a\\u0000b"\n' + good,
        "long": b'out = "' + b"x" * 300 + b'"\n' + good,
        "set": good + b'"b\\u0000c" = "noise:2"\n',
        "source": good + b'b = "x\\u0000y"\n',
        "spec": b'[network]\nspec = "x\\u0000.keras"\n[sets]\na = "noise:2"\n',
        "number": good + b"[measure]\nseed = " + b"9" * 5000 + b"\n",
    }
    for name, content in wrong.items():
        (tmp_path / f"{name}.toml").write_bytes(content)
        refused(
            capsys, ["run", str(tmp_path / f"{name}.toml"), *OUT.get(name, ["--out", f"{tmp_path}/o"])], name
        )
    refused(capsys, ["run", "/dev/zero", "--out", f"{tmp_path}/o"], "/dev/zero: can't be read as TOML")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".toml"] * len(wrong)


#: These name the folder themselves.
OUT: dict[str, list[str]] = {"out": [], "long": []}


def test_specs_with_many_brackets() -> None:
    """A value that no parser can go through stays text."""
    for text in ("(" * 10_000, "-" * 100_000 + "1", "9" * 10_000, "{" * 300 + "}" * 300):
        assert parse_spec(f"x?a={text}") == ("x", {"a": text})


#: Names of files that mean something to a terminal, a spreadsheet, HTML or TeX, or are as long as can be.
ODD = [
    "a\nb.png",
    "\x1b[31mred.png",
    "=1+1.png",
    "-rf.png",
    "<script>.png",
    "$\\frac{.png",
    "z" * 251 + ".png",
]


@pytest.fixture
def odd_images(tmp_path: Path) -> Path:
    """A folder, in one of its own, with images of odd names, some in a folder of a long name."""
    folder = tmp_path / "around" / "images"
    below = folder / ("y" * 255)
    below.mkdir(parents=True)
    for number, path in enumerate([*(folder / name for name in ODD), *(below / name for name in ODD)]):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32), dtype=np.uint8)
        with path.open("wb") as file:
            PIL.Image.fromarray(pixels).save(file, "PNG")
    return folder


@pytest.mark.parametrize("how", ["copy", "link", "list"])
def test_names_of_images(odd_images: Path, capsys: pytest.CaptureFixture[str], how: str) -> None:
    """They stay in the folder that was named, and come back from the table as they are."""
    out = odd_images.parent / "out"
    arguments = ["select", "digits", f"{odd_images}/**/*.png", "--class", "1", "--min-probability", "0"]
    assert main([*arguments, "--how", how, "--out", str(out)]) == 0
    assert sorted(os.listdir(odd_images.parent)) == ["images", "out"]
    assert len(os.listdir(out)) == 1 + (len(ODD) * 2 if how != "list" else 0)
    with (out / "selection.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["source"] for row in rows} == {str(path) for path in odd_images.rglob("*.png")}
    for row in rows if how != "list" else ():
        assert (out / row["file"]).read_bytes() == Path(row["source"]).read_bytes()
        assert "/" not in row["file"]


def test_names_of_bytes(odd_images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is no text is told before anything is computed, and not after an hour."""
    named = os.fsencode(odd_images) + b"/caf\xe9.png"
    with open(named, "wb") as file:
        file.write(b"")
    out = str(odd_images.parent / "out")
    told = "/caf\\udce9.png': this path is not encoded in UTF-8; rename it"
    refused(capsys, ["measure", "digits", "--set", f"a={odd_images}", "--out", out], told)
    refused(capsys, ["select", "digits", str(odd_images), "--class", "1", "--out", out], told)
    refused(capsys, ["report", os.fsdecode(named)], told)
    assert os.listdir(odd_images.parent) == ["images"]


WRITERS = {
    "demo": ["demo", "--out"],
    "measure": ["measure", "digits", "--set", "a=noise:2", "--out"],
    "select": ["select", "digits", "{images}", "--class", "1", "--min-probability", "0", "--out"],
    "noise": ["noise", "--count", "1", "--size", "8"],
    "report": ["report"],
}


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize("name", ["", "a\0b", "x" * 300, "~nobody_at_all/x", "caf\udce9", "file/below"])
def test_folders_that_can_not_be(
    odd_images: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    name: str,
) -> None:
    """Every command that writes says so at once, and writes nothing."""
    monkeypatch.chdir(odd_images.parent)
    Path("file").touch()
    given = [part.format(images=odd_images) for part in WRITERS[command]]
    refused(capsys, [*given, name])
    assert sorted(os.listdir()) == ["file", "images"]
