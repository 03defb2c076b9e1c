"""Keras models: layers by name with the values of the recorded call, on whichever backend."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers.keras_models import PIXELS, Block, functional, load, record_all, vision_transformer

import differentia as dif
from differentia.networks.applications import APPLICATIONS
from differentia.networks.layers import select_layers
from differentia.networks.probes import SummaryProbe, UnitProbe
from differentia.system.random import python_numbers_kept

#: What is asked of a process of its own, in which nothing has used Keras before; it is asked once.
IN_A_NEW_PROCESS = """
import contextlib, io, json, os, random, sys
import differentia as dif
from differentia.cli import main
from differentia.networks.keras import import_keras
dif.load_network("digits")
facts = {"told": [os.environ.get("KERAS_BACKEND")]}
keras = import_keras()
facts["told"].append(os.environ.get("KERAS_BACKEND"))
facts["backend"] = keras.backend.backend()
model = keras.applications.InceptionV3(weights=None, include_top=False, input_shape=(75, 75, 3))
facts["names"] = [layer.name for layer in model.layers[1:]]
states, weights = [random.getstate()], sys.argv[1] + "/small.weights.h5"
model = keras.applications.MobileNet(weights=None, alpha=0.25)
model.save_weights(weights)
model.save(sys.argv[1] + "/small.keras")
states.append(random.getstate())
dif.load_network("keras:MobileNet?alpha=0.25&weights=" + weights)
states.append(random.getstate())
dif.load_network(sys.argv[1] + "/small.keras", preprocess="unit")
states.append(random.getstate())
dif.load_network("keras:MobileNet?alpha=0.25&weights=none")
states.append(random.getstate())
facts["random"] = [states.index(state) for state in states]
with contextlib.redirect_stderr(io.StringIO()) as said:
    measure = ["measure", "keras:MobileNet?alpha=0.25", "--set", "noise=noise:2", "--out", sys.argv[1] + "/o"]
    facts["code"] = main(measure)
facts["said"] = said.getvalue()
print(json.dumps(facts))
"""

#: The same on JAX.
ON_ANOTHER_BACKEND = """
import json, sys, types
from differentia.networks.keras import import_keras
keras = import_keras()
import numpy as np, differentia as dif
sys.modules["mine"] = mine = types.ModuleType("mine")
mine.model = keras.saving.load_model(sys.argv[1] + "/model.keras")
network = dif.load_network("mine:model", preprocess="unit")
result = dif.measure(network, {"a": np.load(sys.argv[1] + "/images.npy")}, units="all")
dif.save(result, sys.argv[1] + "/jax.nc")
axes = {layer.name: layer.channel_axis for layer in network.layers}
print(json.dumps({"backend": keras.backend.backend(), "axes": axes}))
"""

#: A model of somebody's own layers, and one of a layer that calls another in a loop, on JAX.
OWN_LAYERS = """
import json, sys
import keras, numpy as np
from helpers.keras_models import load, record_all, vision_transformer
_, model = keras.layers.Dense(1), vision_transformer()
model.load_weights(sys.argv[1] + "/w.weights.h5")
values = record_all(load(model))
np.savez(sys.argv[1] + "/values.npz", **{name.replace("/", "|"): of for name, of in values.items()})

class Loop(keras.layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = keras.layers.Dense(4)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return keras.ops.map(self.inner, x)

image = keras.Input((16, 16, 3))
found = load(keras.Model(image, Loop(name="loop")(image))).unrecorded
facts = {"backend": keras.backend.backend(), "names": list(values)}
facts["unrecorded"] = " ".join(f"{one.name} ({one.kind}): {one.reason}" for one in found)
print(json.dumps(facts))
"""

#: Which Keras would have, but for models that are made of calls.
without_build = pytest.mark.filterwarnings("ignore:`build..` was called on layer:UserWarning")


def new_process(code: str, folder: Path, **variables: str) -> Any:
    """Return the facts that a new process prints, with a variable for the backend only where it is given."""
    clean = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**clean, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Facts of a process with nothing in the environment, a home without weights, and no connection."""
    folder = tmp_path_factory.mktemp("new")
    # A port on which nothing listens: the download fails at once on any machine.
    without_network = {"KERAS_HOME": str(folder), "https_proxy": "http://127.0.0.1:9"}
    facts: dict[str, Any] = new_process(IN_A_NEW_PROCESS, folder, **without_network)
    return {**facts, "home": folder}


@pytest.fixture(scope="module")
def on_jax(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The measures of the model `functional`, on JAX."""
    folder = tmp_path_factory.mktemp("jax")
    functional().save(folder / "model.keras")
    np.save(folder / "images.npy", PIXELS)
    facts = new_process(ON_ANOTHER_BACKEND, folder, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
    return {**facts, "result": dif.load_result(folder / "jax.nc")}


def test_layers_and_selection() -> None:
    """By name in the order of computation, twice where called twice; a model within is a container."""
    layers = load(functional()).layers
    assert [layer.name for layer in layers] == [
        *("input", "shared", "shared:1", "backbone/conv", "backbone/bn", "backbone"),
        *("add", "pool", "dropout", "predictions"),
    ]
    assert [layer.name for layer in layers if layer.container] == ["backbone"]
    chosen = [layer.name for layer in select_layers(layers, None)]
    assert "dropout" not in chosen
    assert "backbone" not in chosen
    assert [layer.name for layer in select_layers(layers, ["backbone", "b*/conv"])] == [
        "backbone/conv",
        "backbone",
    ]


def test_values_equal_a_multi_output_model() -> None:
    """Each layer's values are those of a plain model with all of them as outputs."""
    model = functional()
    values = record_all(load(model))
    shared = model.get_layer("shared")
    image = (PIXELS / np.float32(255)).astype(np.float32)
    plain = keras.Model(
        model.input,
        [shared.get_output_at(0), shared.get_output_at(1), model.get_layer("pool").output]
        if hasattr(shared, "get_output_at")
        else [node.output_tensors[0] for node in shared._inbound_nodes] + [model.get_layer("pool").output],
    )
    first, second, pool = (keras.ops.convert_to_numpy(o) for o in plain(image, training=False))
    np.testing.assert_allclose(values["input"], image)
    np.testing.assert_allclose(values["shared"], first, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(values["shared:1"], second, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(values["pool"], pool, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(values["add"], 2 * values["backbone"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(values["backbone"], values["backbone/bn"])
    assert np.abs(first - second).max() > 0.1  # the two calls of the shared layer do differ


def test_sequential_and_subclassed_models() -> None:
    """A sequential model is recorded as a functional one; so are a subclassed model's layers."""

    class Subclassed(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = keras.layers.Conv2D(4, 3, name="first")
            self.second = keras.layers.Flatten(name="second")

        def call(self, x: Any) -> Any:
            return self.second(keras.ops.relu(self.first(x)))

    subclassed = load(Subclassed(), input_shape=(16, 16, 3))
    assert [layer.name for layer in subclassed.layers] == ["input", "first", "second"]
    values = record_all(subclassed)
    np.testing.assert_array_equal(values["second"], np.maximum(values["first"], 0).reshape(4, -1))
    assert values["first"].min() < 0

    model = keras.Sequential([keras.layers.Conv2D(4, 3, name="c"), keras.layers.Flatten(name="f")])
    with pytest.raises(dif.InputError, match="takes images of any size"):
        load(model)
    assert [layer.name for layer in load(model, input_shape=(16, 16, 3)).layers] == ["input", "c", "f"]


#: In the order of computation.
OF_A_BLOCK = (
    *("norm", "attention", "norm:1", "mlp/dense", "mlp/out", "mlp", "heads/0", "heads/1/0", "named/a"),
    *("stack/0", "stack/last", "stack"),
)


@without_build
def test_layers_of_somebodys_own_are_looked_into() -> None:
    """They are containers; what they hold goes by its place, which does not change from process to process.

    Keras's own are not looked into, what is not called is no layer, and what has two names goes by one.
    """
    blocks = [
        name for nth in range(2) for name in (*(f"block_{nth}/{of}" for of in OF_A_BLOCK), f"block_{nth}")
    ]
    for model in (vision_transformer(), vision_transformer()):  # of which Keras numbers the second otherwise
        layers = load(model).layers
        assert [layer.name for layer in layers] == ["input", "patches", "tokens", *blocks, "pool", "head"]
    containers = {layer.name for layer in layers if layer.container}
    assert containers == {f"block_{nth}{of}" for nth in range(2) for of in ("", "/mlp", "/stack")}
    chosen = [layer.name for layer in select_layers(layers, [":blocks"])]
    assert chosen == ["input", "patches", "block_0", "block_1", "pool", "head"]
    assert [layer.name for layer in select_layers(layers, ["*/mlp/*"])] == [
        *("block_0/mlp/dense", "block_0/mlp/out", "block_1/mlp/dense", "block_1/mlp/out")
    ]
    by_name = {layer.name: layer for layer in layers}
    assert by_name["block_1/mlp/dense"].channel_axis == 1


@without_build
@pytest.mark.parametrize("graphs", ["0", "1"])
def test_what_layers_of_somebodys_own_hold_gives_the_same(
    graphs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As plain calls of the held layers, one after the other; also where the pass is a graph."""
    monkeypatch.setenv("DIFFERENTIA_GRAPHS", graphs)
    model = vision_transformer()
    network = load(model)
    assert network.rewritten
    found = dif.record(network, {"a": PIXELS}, units="all", layers=["*", "*/"], views=False)
    x = (PIXELS / np.float32(255)).astype(np.float32)
    expected = {}
    for layer in model.layers[1:]:
        if isinstance(layer, Block):
            name = layer.name
            y = expected[f"{name}/norm"] = layer.norm(x)
            x = x + layer.attention(y, y)
            y = expected[f"{name}/norm:1"] = layer.norm(x)
            y = expected[f"{name}/mlp/dense"] = layer.mlp.dense(y)
            y = expected[f"{name}/mlp"] = layer.mlp.out(y)
            y = x = x + y
            for of, held in (
                ("heads/0", layer.heads[0]),
                ("heads/1/0", layer.heads[1][0]),
                ("named/a", layer.named["a"]),
                ("stack/0", layer.stack.layers[0]),
                ("stack", layer.stack.layers[1]),
            ):
                y = expected[f"{name}/{of}"] = held(y)
            x = expected[name] = x + y
        else:
            x = expected[layer.name] = layer(x)
    assert len(expected) == 4 + 2 * 10
    for name, values in expected.items():
        flat = keras.ops.convert_to_numpy(values).reshape(4, -1)
        given = np.asarray(found.values[name])[:, np.argsort(found.units[name])]
        np.testing.assert_allclose(given, flat, rtol=1e-4, atol=1e-5, err_msg=name)
    assert not any("call" in vars(layer) for layer in model._flatten_layers())


@without_build
@pytest.mark.soak
def test_layers_of_somebodys_own_on_a_second_backend(tmp_path: Path) -> None:
    """The same names and numbers on JAX, whatever was made in the process before."""
    model = vision_transformer()
    model.save_weights(tmp_path / "w.weights.h5")
    path = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    facts = new_process(
        OWN_LAYERS, tmp_path, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu", PYTHONPATH=os.pathsep.join(path)
    )
    assert facts["backend"] == "jax"
    expected = record_all(load(model))
    assert facts["names"] == list(expected)
    with np.load(tmp_path / "values.npz") as values:
        for name, of_layer in expected.items():
            np.testing.assert_allclose(
                values[name.replace("/", "|")], of_layer, rtol=1e-3, atol=1e-4, err_msg=name
            )
    assert "loop/inner (Dense): it is computed within a loop that is compiled" in facts["unrecorded"]


@without_build
def test_layers_that_are_held_twice() -> None:
    """They are found once, by the name that is least deep."""

    class Holder(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, held: Any, **options: Any) -> None:
            super().__init__(**options)
            self.held = held

        def call(self, x: Any) -> Any:
            return self.held(x)

    class Wider(keras.layers.Dense):  # type: ignore[misc]
        """Computed by Keras's own code, whatever it holds."""

        def __init__(self, **options: Any) -> None:
            super().__init__(4, **options)
            self.other = keras.layers.Dense(2)

    shared, wider = keras.layers.ReLU(name="shared"), Wider(name="wider")
    first, second = Holder(shared, name="first"), Holder(wider, name="second")
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, shared(second(first(image))))
    names = [layer.name for layer in load(model).layers]
    assert names == ["input", "shared", "first", "second/held", "second", "shared:1"]


def test_models_are_left_as_they_were() -> None:
    """No layer keeps a wrapped call, also where the pass or a probe fails."""
    model = functional()
    network = load(model)
    record_all(network)

    def broken(output: Any) -> Any:
        raise ValueError("a probe that fails")

    with pytest.raises(ValueError, match=r"^a probe that fails$"):
        network.record(PIXELS, {"pool": broken})
    for layer in [*model.layers, *model.get_layer("backbone").layers]:
        assert "call" not in vars(layer)


def test_dropout_is_off() -> None:
    """The model is evaluated at inference."""
    values = record_all(load(functional()))
    np.testing.assert_array_equal(values["dropout"], values["pool"])


def test_half_precision_outputs() -> None:
    """A mixed-precision model gives float32 responses close to the full-precision ones."""
    exact = record_all(load(functional()))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = load(functional())
    finally:
        keras.config.set_dtype_policy("float32")
    values = record_all(mixed)
    assert values["pool"].dtype == np.float32
    np.testing.assert_allclose(values["pool"], exact["pool"], rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_every_application_has_its_preprocessing(name: str) -> None:
    """Each network of keras.applications has a preprocessing in its own module."""
    constructor = getattr(keras.applications, name)
    assert callable(sys.modules[constructor.__module__].preprocess_input)


@pytest.mark.slow
def test_vgg16_has_the_notebooks_layers() -> None:
    """``input,block*,flatten,predictions`` gives the notebook's 21 layers, in order."""
    network = dif.load_network("keras:VGG16?weights=none")
    chosen = select_layers(network.layers, ["input", "block*", "flatten", "predictions"])
    assert [layer.name for layer in chosen] == [
        "input",
        *("block1_conv1", "block1_conv2", "block1_pool"),
        *("block2_conv1", "block2_conv2", "block2_pool"),
        *("block3_conv1", "block3_conv2", "block3_conv3", "block3_pool"),
        *("block4_conv1", "block4_conv2", "block4_conv3", "block4_pool"),
        *("block5_conv1", "block5_conv2", "block5_conv3", "block5_pool"),
        *("flatten", "predictions"),
    ]
    assert network.input_shape == (224, 224, 3)
    by_name = {layer.name: layer for layer in chosen}
    assert by_name["block1_conv1"].size == 224 * 224 * 64
    default = [layer.name for layer in select_layers(network.layers, None)]
    assert "flatten" not in default
    assert {"fc1", "fc2"} <= set(default)
    # VGG16's own preprocessing: BGR, less the mean of ImageNet
    pixels = np.full((3, 224, 224, 3), (10, 20, 30), dtype=np.uint8)
    seen = network.record(pixels, {"input": UnitProbe(np.arange(3), (224, 224, 3))})["input"][0]
    np.testing.assert_allclose(seen, [30 - 103.939, 20 - 116.779, 10 - 123.68], rtol=1e-5)


def test_channels_first() -> None:
    """Where Keras has the channels first, the preprocessing is the same, and a unit's index follows."""
    keras.config.set_image_data_format("channels_first")
    try:
        network = dif.load_network("keras:VGG16?weights=none&include_top=false", input_shape=(32, 40, 3))
        pixels = np.full((3, 32, 40, 3), (10, 20, 30), dtype=np.uint8)
        assert network.input_shape == (32, 40, 3)
        assert network.layers[0].shape == (3, 32, 40)
        seen = network.record(pixels, {"input": UnitProbe(np.array([0, 1280, 2560]), (3, 32, 40))})
        np.testing.assert_allclose(seen["input"][0], [30 - 103.939, 20 - 116.779, 10 - 123.68], rtol=1e-5)
    finally:
        keras.config.set_image_data_format("channels_last")
    image = keras.Input((3, 16, 16))
    conv = keras.layers.Conv2D(4, 3, data_format="channels_first", name="conv")(image)
    own_order = load(keras.Model(image, conv))
    assert own_order.input_shape == (16, 16, 3)
    assert own_order.layers[1].shape == (4, 14, 14)


def filters(name: str, **options: Any) -> keras.layers.Layer:
    """Return a convolution of four filters that give 0, 1, 2 and 3 everywhere."""
    bias = keras.initializers.Constant(np.arange(4.0))
    return keras.layers.Conv2D(4, 3, name=name, kernel_initializer="zeros", bias_initializer=bias, **options)


def check_filters(network: dif.Network, expected: dict[str, int]) -> None:
    """Compare the filter axis of layers, and what their filters give, of an image of three even channels."""
    pixels = np.full((2, *network.input_shape), (0, 51, 255), dtype=np.uint8)
    layers = {layer.name: layer for layer in network.layers}
    assert {name: layers[name].channel_axis for name in expected} == expected
    kept = network.record(pixels, {name: SummaryProbe(layers[name]) for name in expected})
    for name in expected:
        means = [0.0, 0.2, 1.0] if layers[name].n_filters == 3 else [0.0, 1.0, 2.0, 3.0]
        np.testing.assert_allclose(kept[name].filter_mean, [means] * 2, rtol=1e-6, err_msg=name)


def test_filters_are_the_last_axis() -> None:
    """As Keras has it by default: of maps, tokens and vectors."""
    image = keras.Input((9, 8, 3))
    x = keras.layers.ReLU(name="relu")(filters("conv")(image))
    tokens = keras.layers.Reshape((42, 4), name="tokens")(x)
    pool = keras.layers.GlobalAveragePooling1D(name="pool")(tokens)
    network = load(keras.Model(image, pool))
    check_filters(network, {"input": 2, "conv": 2, "relu": 2, "tokens": 1, "pool": 0})


def test_filters_are_the_first_axis_where_so_configured() -> None:
    """Also of layers that have no data format of their own."""
    keras.config.set_image_data_format("channels_first")
    try:
        image = keras.Input((3, 9, 8))
        x = keras.layers.ReLU(name="relu")(filters("conv")(image))
        network = load(keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x)))
        check_filters(network, {"input": 0, "conv": 0, "relu": 0, "pool": 0})
    finally:
        keras.config.set_image_data_format("channels_last")
    # and it is the model's own order that counts, not what is configured when it is recorded
    check_filters(network, {"input": 0, "conv": 0, "relu": 0, "pool": 0})


def test_a_layers_own_data_format_goes_before_the_models() -> None:
    """Layers of both orders within one model."""
    image = keras.Input((9, 8, 3))
    x = filters("last")(image)
    x = keras.layers.Permute((3, 1, 2), name="turned")(x)
    network = load(keras.Model(image, filters("first", data_format="channels_first")(x)))
    check_filters(network, {"input": 2, "last": 2, "first": 0})


def test_options_go_to_the_constructor() -> None:
    """``alpha`` makes a narrower MobileNet; another input size is taken where the network takes it."""
    narrow = dif.load_network("keras:MobileNet?weights=none&alpha=0.25&classes=7")
    assert {layer.name: layer for layer in narrow.layers}["conv1"].shape == (112, 112, 8)
    assert {layer.name: layer for layer in narrow.layers}["predictions"].shape == (7,)
    smaller = dif.load_network("keras:MobileNet?weights=none&alpha=0.25", input_shape=(96, 96, 3))
    assert smaller.input_shape == (96, 96, 3)
    headless = dif.load_network(
        "keras:MobileNet?weights=none&alpha=0.25&include_top=false", input_shape=(64, 64, 3)
    )
    assert headless.layers[-1].shape == (2, 2, 256)


@pytest.mark.slow
def test_random_weights_are_the_same_where_other_threads_draw_numbers() -> None:
    """As those of a worker of Dask do, from Python's random numbers, which are also Keras's."""
    over = threading.Event()

    def draw() -> None:
        while not over.is_set():
            random.random()

    def weights(model: Any) -> np.ndarray:
        return np.concatenate([one.numpy().ravel() for one in model.weights])

    def loaded() -> np.ndarray:
        network: Any = dif.load_network("keras:MobileNet?weights=none&alpha=0.25&seed=3")
        return weights(network.model)

    def by_keras() -> np.ndarray:
        with python_numbers_kept(3):
            return weights(keras.applications.MobileNet(weights=None, alpha=0.25))

    expected = by_keras()
    np.testing.assert_array_equal(loaded(), expected)
    thread = threading.Thread(target=draw)
    thread.start()
    try:
        for _ in range(3):
            np.testing.assert_array_equal(loaded(), expected)
        assert (by_keras() != expected).any(), "the control"
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
def test_names_do_not_depend_on_what_a_process_did_before(new: dict[str, Any]) -> None:
    """Keras numbers unnamed layers on and on; units are drawn by name, so that is taken back."""
    spec = "keras:MobileNet?weights=none&alpha=0.25"
    names = [layer.name for layer in dif.load_network(spec).layers]
    assert [layer.name for layer in dif.load_network(spec).layers] == names
    assert {"global_average_pooling2d", "reshape_2"} <= set(names)  # one unnamed, one named so
    by_keras = [keras.applications.MobileNet(weights=None, alpha=0.25) for _ in range(2)]  # the control
    first, second = ([layer.name for layer in model.layers] for model in by_keras)
    assert first != second
    # a network with many unnamed layers: as Keras names them in a process of its own
    spec = "keras:InceptionV3?weights=none&include_top=false"
    _ = keras.layers.Conv2D(1, 1)  # has the name that a new process would give to the first
    network = dif.load_network(spec, input_shape=(75, 75, 3))
    ours = [layer.name for layer in network.model.layers[1:]]  # type: ignore[attr-defined]
    assert ours == new["names"]
    assert "conv2d_93" in ours


@pytest.mark.slow
def test_the_users_random_numbers_are_left_alone(new: dict[str, Any]) -> None:
    """Keras draws seeds, also for weights that it then reads; the user's own numbers stay what they were."""
    assert new["random"] == [0, 1, 1, 1, 1]  # Keras by itself is the control


def test_random_weights_are_the_same_each_time() -> None:
    """Whatever was drawn before; others with another seed."""
    spec = "keras:MobileNet?weights=none&alpha=0.25&include_top=false"
    about: Any = {"input_shape": (32, 32, 3)}
    first = dif.load_network(spec, **about).fingerprint
    keras.utils.set_random_seed(1)
    assert dif.load_network(f"{spec}&seed=0", **about).fingerprint == first
    assert dif.load_network(f"{spec}&seed=3", **about).fingerprint != first


def test_class_names(tmp_path: Path) -> None:
    """A local class index in Keras's format gives the names, in the order of the classes."""
    index = {"1": ["n02", "cat"], "0": ["n01", "dog"]}
    (tmp_path / "index.json").write_text(json.dumps(index))
    network = dif.load_network(f"keras:MobileNet?weights=none&alpha=0.25&classes={tmp_path / 'index.json'}")
    assert network.class_names == ("dog", "cat")
    assert dif.load_network("keras:MobileNet?weights=none&alpha=0.25").class_names is None
    (tmp_path / "list.json").write_text("[1, 2]")
    with pytest.raises(dif.InputError, match=r"list\.json is not a class index"):
        dif.load_network(f"keras:MobileNet?weights=none&classes={tmp_path / 'list.json'}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("keras:VGG-16", "unknown network of keras.applications 'keras:VGG-16'. Did you mean 'keras:VGG16'"),
        ("keras:VGG16?wieghts=none", "unknown option of keras:VGG16 'wieghts'. Did you mean 'weights'"),
        ("keras:VGG16?weights=gone.h5", "there are no weights at gone.h5"),
        ("keras:MobileNet?weights=none&alpha=-1", "the network can't be built"),
    ],
)
def test_wrong_applications(spec: str, message: str) -> None:
    """Each says what was wrong with it."""
    with pytest.raises(dif.InputError, match=message):
        dif.load_network(spec)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """Weights that do not fit are an error, not a network half loaded."""
    functional().save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(dif.InputError, match=r"other\.weights\.h5: the weights do not fit"):
        dif.load_network(f"keras:MobileNet?alpha=0.25&weights={tmp_path / 'other.weights.h5'}")


@pytest.mark.slow
def test_no_network_connection(new: dict[str, Any]) -> None:
    """Without a connection and without cached weights, the error says so and what to do."""
    assert new["code"] == 2
    assert "Traceback" not in new["said"]
    message = [line for line in new["said"].splitlines() if line.startswith("differentia:")]
    assert len(message) == 1
    assert f"are not on this machine (Keras keeps them in {new['home'] / 'models'})" in message[0]
    assert "keras:MobileNet?weights=PATH" in message[0]


def test_models_that_can_not_be_shown_an_image() -> None:
    """Two inputs, an input that is no image, a size that is not the model's."""
    a, b = keras.Input((4, 4, 3)), keras.Input((4, 4, 3))
    both = keras.Model([a, b], keras.layers.Add()([a, b]))
    with pytest.raises(
        dif.InputError, match=r"has 2 inputs; expected one, the image: give .*forward=function"
    ):
        load(both)
    with pytest.raises(
        dif.InputError, match=r"forward=function.*, and input_shape=\(height, width, channels\)"
    ):
        load(both, forward=lambda batch: [batch, batch])
    vector = keras.Input((4,))
    with pytest.raises(dif.InputError, match=r"expected images \(batch, height"):
        load(keras.Model(vector, keras.layers.Dense(2)(vector)))
    with pytest.raises(dif.InputError, match=r"but the model takes \(16, 16, 3\)"):
        load(functional(), input_shape=(32, 32, 3))
    with pytest.raises(dif.InputError, match="preprocessing can't be known"):
        dif.load_network(functional())


@pytest.mark.slow
def test_a_second_backend_gives_the_same_numbers(on_jax: dict[str, Any]) -> None:
    """JAX and PyTorch agree on every layer of one model."""
    jax = on_jax["result"]
    on_torch = dif.measure(load(functional()), {"a": PIXELS}, units="all")
    assert list(jax["layer"].values) == list(on_torch["layer"].values)
    np.testing.assert_allclose(jax["differentiation"], on_torch["differentiation"], rtol=1e-4)
    for view in ("filter_mean", "prediction", "layer_mean", "layer_sd"):
        np.testing.assert_allclose(jax[view], on_torch[view], rtol=1e-4, atol=1e-5, err_msg=view)


@pytest.mark.slow
def test_a_second_backend_has_its_channels_at_the_same_place(on_jax: dict[str, Any]) -> None:
    """JAX's arrays are followed by their layers too."""
    expected = {layer.name: layer.channel_axis for layer in load(functional()).layers}
    assert on_jax["axes"] == expected
    assert expected["backbone/bn"] == 2


@pytest.mark.slow
def test_the_users_choice_of_backend_is_kept(new: dict[str, Any], on_jax: dict[str, Any]) -> None:
    """The variable is set only where it is unset, and only once Keras is asked for, not by other networks."""
    assert new["told"] == [None, "torch"]
    assert new["backend"] == "torch"
    assert on_jax["backend"] == "jax"


def two_inputs() -> keras.Model:
    """Return a model of images and a vector, which is added to the channels."""
    keras.utils.set_random_seed(1)
    image, vector = keras.Input((16, 16, 3), name="image"), keras.Input((2,), name="vector")
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    y = keras.layers.Dense(4, name="dense")(vector)
    return keras.Model([image, vector], keras.layers.Add(name="sum")([x, y]))


def with_a_vector(batch: Any) -> list[Any]:
    return [batch, keras.ops.mean(batch, axis=(1, 2))[:, :2]]


@pytest.mark.parametrize("compile", ["never", "always"])
@pytest.mark.parametrize("by_name", [False, True])
def test_several_inputs_by_a_function(by_name: bool, compile: str) -> None:
    """Of a list, or by their names; the values are those of the model's own layers."""
    model = two_inputs()
    forward = (
        with_a_vector
        if not by_name
        else lambda b: dict(zip(("image", "vector"), with_a_vector(b), strict=True))
    )
    network = load(model, input_shape=(16, 16, 3), forward=forward)
    recorded = dif.record(network, {"a": PIXELS}, units="all", compile=compile)
    assert [layer.name for layer in recorded.layers] == ["input", "conv", "pool", "dense", "sum"]
    images = PIXELS.astype(np.float32) / 255
    given = [images, images.mean((1, 2))[:, :2]]
    for name in ("conv", "pool", "dense", "sum"):
        part = keras.Model(model.inputs, model.get_layer(name).output)
        expected = keras.ops.convert_to_numpy(part(given))
        found = np.asarray(recorded.values[name]).reshape(expected.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, err_msg=name)


def normalized() -> keras.Model:
    """Return a model that computes from its weights once."""
    image = keras.Input((16, 16, 3))
    normalization = keras.layers.Normalization(name="normalization")
    normalization.adapt(np.random.default_rng(0).normal(3, 2, (20, 16, 16, 3)).astype(np.float32))
    x = normalization(image)
    return keras.Model(image, keras.layers.Conv2D(4, 3, name="last")(x))


@pytest.mark.parametrize("made", [functional, normalized])
def test_a_copy_computes_in_bfloat16(made: Any) -> None:
    """It gives what the same model gives that was built for it; the user's own model stays as it is."""
    model = made()
    before = [np.array(weight) for weight in model.get_weights()]
    network = load(model, dtype="bfloat16")
    assert (network.dtype, load(model).dtype) == ("bfloat16", "float32")
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("bfloat16")
    try:
        twin = made()
    finally:
        keras.config.set_dtype_policy(policy)
    twin.set_weights(before)
    for layer in twin.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    expected, found = record_all(load(twin)), record_all(network)
    own = record_all(load(model))
    last = next(reversed(own))
    assert list(found) == list(own)
    for name, values in found.items():
        scale = np.abs(own[name]).max()
        np.testing.assert_allclose(values, expected[name], atol=scale / 50, rtol=0, err_msg=name)
        np.testing.assert_allclose(values, own[name], atol=scale / 10, rtol=0, err_msg=name)
        assert values.dtype == np.float32
    assert not np.allclose(found[last], own[last], rtol=1e-5, atol=1e-7)
    assert model.layers[-1].compute_dtype == "float32"
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
    twice = load(twin, dtype="bfloat16")
    assert twice.model is twin  # type: ignore[attr-defined]


def test_applications_and_files_compute_in_bfloat16(tmp_path: Path) -> None:
    """Their layers keep their names; a subclassed model is told how to be built."""
    spec = "keras:MobileNet?weights=none&alpha=0.25"
    network = dif.load_network(spec, input_shape=(32, 32, 3), dtype="bfloat16")
    names = [layer.name for layer in dif.load_network(spec, input_shape=(32, 32, 3)).layers]
    assert [layer.name for layer in network.layers] == names
    assert network.dtype == "bfloat16"
    functional().save(tmp_path / "model.keras")
    assert load(str(tmp_path / "model.keras"), dtype="bfloat16").dtype == "bfloat16"

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    with pytest.raises(dif.InputError, match=r"no copy .* in bfloat16 .*set_dtype_policy\('bfloat16'\)"):
        load(Own(), input_shape=(8, 8, 3), dtype="bfloat16")


class OfTwo(keras.Model):  # type: ignore[misc]
    """Takes two arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = keras.layers.Conv2D(4, 3, name="conv")
        self.dense = keras.layers.Dense(4, name="dense")

    def call(self, image: Any, vector: Any) -> Any:
        return keras.ops.mean(self.conv(image), axis=(1, 2)) + self.dense(vector)


def test_several_arguments_of_a_subclassed_model() -> None:
    """A tuple gives them; without a function, the error names it."""
    with pytest.raises(
        dif.RecordingError, match=r"argument: 'vector'.*; give load_network\(\.\.\., forward="
    ):
        load(OfTwo(), input_shape=(16, 16, 3)).layers  # noqa: B018
    network = load(OfTwo(), input_shape=(16, 16, 3), forward=lambda batch: tuple(with_a_vector(batch)))
    found = record_all(network)
    images = PIXELS.astype(np.float32) / 255
    expected = network.model(images, images.mean((1, 2))[:, :2])  # type: ignore[attr-defined]
    name = next(reversed(found))
    assert name == "dense"
    dense = keras.ops.convert_to_numpy(network.model.dense(images.mean((1, 2))[:, :2]))  # type: ignore[attr-defined]
    np.testing.assert_allclose(found["dense"], dense, rtol=1e-4, atol=1e-5)
    summed = found["conv"].reshape(4, 14, 14, 4).mean((1, 2)) + found["dense"]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(expected), summed, rtol=1e-4, atol=1e-5)
