"""A pass that is rewritten, or compiled, gives what the network's own pass gives; and costs less."""

from __future__ import annotations

import ast
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from helpers.networks import tricky
from torch import nn

import differentia as dif
from differentia.networks import graph
from differentia.networks.graph import PassGraph, UntraceableError
from differentia.networks.probes import SummaryProbe, UnitMoments, UnitProbe
from differentia.networks.runner import Runner

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (5, 24, 24, 3), dtype=np.uint8)


def every_kind_of_layer() -> Any:
    """Return a Keras model of what is rewritten, and of what could be rewritten wrongly."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    inputs = keras.Input((24, 24, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="same", bias_initializer="normal")(inputs)
    shortcut = x
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="unbiased")(x)
    x = layers.BatchNormalization(name="norm", beta_initializer="normal", moving_mean_initializer="normal")(x)
    x = layers.ReLU(6.0, name="relu6")(x)
    x = layers.Add(name="sum")([x, shortcut])  # of what would be overwritten, were it not needed here
    x = layers.Activation("relu", name="after")(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", name="depthwise", bias_initializer="normal")(x)
    x = layers.Conv2D(6, 2, strides=2, name="strided", bias_initializer="normal", activation="tanh")(x)
    y = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Concatenate(name="both")([layers.UpSampling2D(2, name="up")(y), x[:, :6, :6]])
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(12, activation="silu", name="dense", bias_initializer="normal")(x)
    x = layers.Dense(5, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, x)


def load(model: Any = None) -> dif.Network:
    return dif.load_network(every_kind_of_layer() if model is None else model, preprocess="signed")


def probes(network: dif.Network) -> dict[str, Any]:
    return {
        layer.name: {"all": UnitProbe(np.arange(layer.size), layer.shape), "sums": SummaryProbe(layer)}
        for layer in network.layers
    }


def own_pass(network: dif.Network, pixels: np.ndarray) -> dict[str, np.ndarray]:
    return network.record(pixels, {name: several["all"] for name, several in probes(network).items()})


def report_outputs(network: dif.Network) -> graph.ReportingPass:
    def run(batch: torch.Tensor, report: Callable[[str, torch.Tensor], None]) -> None:
        network.observe_outputs(batch, lambda name, call, output: report(name, output))

    return run


def test_a_rewritten_pass_gives_the_same_of_every_layer() -> None:
    """Also of a second batch, of another size, and of what is computed in place."""
    network = load()
    runner = Runner(network, compile="never", batch_size=5)
    for pixels in (PIXELS, PIXELS[::-1].copy(), PIXELS[:2]):
        expected, looks = own_pass(network, pixels), probes(network)
        found = runner.record(pixels, looks)
        assert list(found) == [layer.name for layer in network.layers]
        for name, values in expected.items():
            np.testing.assert_allclose(found[name]["all"], values, rtol=1e-5, atol=1e-6, err_msg=name)
            np.testing.assert_allclose(found[name]["sums"].mean, values.mean(axis=1), rtol=1e-5, atol=1e-6)
    assert (
        len(
            {
                tuple(values["all"][0])
                for values in (runner.record(PIXELS[[at]], probes(network))["dense"] for at in range(3))
            }
        )
        == 3
    )


def test_what_is_rewritten() -> None:
    """No copies between layouts, no bias in a pass of its own, and what can be is done in place."""
    network = load()
    batch = network.prepare(PIXELS)
    pass_graph = PassGraph(report_outputs(network), batch)
    before, _ = graph._traced(report_outputs(network), graph._fake_batch(batch, 131))
    looks = {name: several["all"] for name, several in probes(network).items()}
    after: Any = pass_graph.reading(looks, len(batch))

    def operations(of: Any) -> Counter[str]:
        return Counter(str(node.target) for node in of.graph.nodes if node.op == "call_function")

    assert operations(before)["aten.clone.default"] > len(looks)
    assert operations(after)["aten.clone.default"] == 0
    convolutions = [node for node in after.graph.nodes if node.target == torch.ops.aten.convolution.default]
    assert [node.args[2] is not None for node in convolutions] == [True, False, True, True]
    assert operations(after)["aten.relu_.default"] == 2
    assert operations(after)["aten.relu.default"] == 0
    only_first: Any = pass_graph.reading({"same": looks["same"]}, len(batch))
    assert operations(only_first)["aten.convolution.default"] == 1  # what comes later is not computed


def test_one_graph_is_for_every_number_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass is followed with two numbers of images; where it has multiples of one itself, with others."""
    network = load()
    batch = network.prepare(PIXELS)
    followed: list[int] = []

    def run(batch: torch.Tensor, report: Callable[[str, torch.Tensor], None]) -> None:
        followed.append(len(batch))
        report_outputs(network)(batch, report)

    def dense(of: PassGraph, images: int) -> np.ndarray:
        read = of.reading({"dense": UnitProbe(np.arange(12), (12,))}, images)
        return np.asarray(read(batch[:images])["dense"])

    expected = own_pass(network, PIXELS)["dense"]
    pass_graph = PassGraph(run, batch)
    assert followed == [131, 137]
    for images in (1, 2, 5):
        np.testing.assert_allclose(dense(pass_graph, images), expected[:images], rtol=1e-5, atol=1e-6)
    # Strides of 2, and 3 channels, would change with the batch.
    monkeypatch.setattr(graph, "FOLLOWED", (2, 3, 13, 17))
    followed.clear()
    np.testing.assert_allclose(dense(PassGraph(run, batch), 2), expected[:2], rtol=1e-5, atol=1e-6)
    assert followed == [2, 3, 3, 13, 13, 17]
    monkeypatch.setattr(graph, "FOLLOWED", (2, 3))
    with pytest.raises(UntraceableError, match="multiples of 2, 3"):
        PassGraph(run, batch)


class EachImage(nn.Module):
    """Goes through the images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([image * 2 for image in x])


class AsManyWeights(nn.Module):
    """Adds what is as long as the batch, though no number says so."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 24, 24))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.stack([self.weight] * len(x))


class Share(nn.Module):
    """Divides by a number that is no multiple of the images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / (len(x) - 1)


class Slice(nn.Module):
    """Has a number of its own that is a multiple of what it is followed with."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, : 2 * graph.FOLLOWED[0]]


@pytest.mark.parametrize("module", [EachImage(), AsManyWeights(), Share(), Slice()])
@pytest.mark.parametrize("compile_", ["never", "always"])
def test_what_depends_on_the_number_of_images_is_right(
    module: nn.Module, compile_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any number of them, also one that is larger than what the pass is followed with."""
    network = dif.load_network(nn.Sequential(module, nn.ReLU()), preprocess="unit", input_shape=(3, 24, 24))
    layer = network.layers[-1]
    looks = {layer.name: {"all": UnitProbe(np.arange(layer.size), layer.shape)}}
    runner = Runner(network, compile=compile_, batch_size=300)
    monkeypatch.setattr(type(network), "rewritten", True)  # a graph is used, where there is one
    many = np.random.default_rng(1).integers(0, 256, (300, 24, 24, 3), dtype=np.uint8)
    for pixels in (many, many[:1], many[:7]):
        expected = network.record(pixels, {layer.name: looks[layer.name]["all"]})[layer.name]
        np.testing.assert_allclose(runner.record(pixels, looks)[layer.name]["all"], expected, rtol=1e-6)


def test_numbers_to_follow_with() -> None:
    """None divides the largest end of a slice, which stands for the last image."""
    assert all((2**63 - 1) % number for number in graph.FOLLOWED)
    assert not (2**63 - 1) % 127  # a prime that would be wrong


def test_a_network_that_is_changed_is_run_as_it_is() -> None:
    """Nothing of an earlier recording's graph stays: neither weights nor code."""
    model = every_kind_of_layer()
    network = load(model)
    sets = {"a": PIXELS}

    def dense(of: dif.Network) -> np.ndarray:
        return np.asarray(dif.record(of, sets, pool=50).values["dense"])

    before = dense(network)
    model.get_layer("same").bias.assign(np.full(8, 3.0))
    biased = dense(network)
    assert np.abs(biased - before).max() > 0.01
    np.testing.assert_allclose(dense(load(model)), biased, rtol=1e-5)
    model.get_layer("dense").activation = keras.activations.relu
    assert dense(network).min() == 0 > biased.min()


def test_a_graph_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Were a rewriting wrong for some network, its own pass would be done, with the right numbers."""
    network = load()
    expected, looks = own_pass(network, PIXELS), probes(network)
    moments = UnitMoments()
    looks["dense"]["ranking"] = moments

    def lose_a_bias(module: Any) -> None:
        for node in module.graph.nodes:
            if node.target == torch.ops.aten.convolution.default and node.args[2] is not None:
                node.update_arg(2, None)
                return

    rewrite = graph._give_bias_to_convolutions

    def wrongly(module: Any) -> None:
        rewrite(module)
        lose_a_bias(module)

    monkeypatch.setattr(graph, "_give_bias_to_convolutions", wrongly)
    with caplog.at_level(logging.DEBUG, "differentia"):
        found = Runner(network, compile="never", batch_size=5).record(PIXELS, looks)
    assert "layer 'same' differs from the network's own pass" in caplog.text
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name]["all"], values)
    np.testing.assert_allclose(moments.mean, expected["dense"].mean(axis=0), rtol=1e-6)
    pass_graph = PassGraph(report_outputs(network), network.prepare(PIXELS))
    wrong = pass_graph.reading({"same": looks["same"]["all"]}, len(PIXELS))
    assert np.abs(wrong(network.prepare(PIXELS))["same"] - expected["same"]).max() > 0.01


class Noisy(keras.layers.Layer):  # type: ignore[misc]
    """Has a state that it draws by."""

    def call(self, x: Any) -> Any:
        return x + 0 * keras.random.normal(keras.ops.shape(x))


class Counts(nn.Module):
    """Writes to itself."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: torch.Tensor
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x * 2


class Decides(nn.Module):
    """Looks at its numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if float(x.sum()) > 0 else -x


@pytest.mark.parametrize(
    ("module", "reason"),
    [(Counts(), "writes to its parameters"), (Decides(), "data-dependent"), (nn.Identity(), None)],
)
def test_what_is_no_graph(module: nn.Module, reason: str | None) -> None:
    """Side effects and decisions that depend on numbers can't be followed without computing."""
    network = dif.load_network(nn.Sequential(module, nn.ReLU()), preprocess="unit", input_shape=(3, 24, 24))
    batch = network.prepare(PIXELS)
    if reason is None:
        PassGraph(report_outputs(network), batch)
        return
    with pytest.raises(UntraceableError, match=reason):
        PassGraph(report_outputs(network), batch)


class OfItsOwn(keras.layers.Layer):  # type: ignore[misc]
    """Gives what depends on its weights alone, once for each image."""

    def build(self, shape: Any) -> None:
        self.positions = self.add_weight(shape=(4,), initializer="normal", name="positions")

    def call(self, x: Any) -> Any:
        return keras.ops.broadcast_to(self.positions, (keras.ops.shape(x)[0], 4))


class Unusual(keras.layers.Layer):  # type: ignore[misc]
    """Permutes with axes counted from the end, and computes a convolution that nobody uses."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(3, 3, 3, 4), initializer="normal", name="kernel")

    def call(self, x: Any) -> Any:
        keras.ops.conv(x, 2 * self.kernel)
        return keras.ops.transpose(keras.ops.conv(x, self.kernel), (0, -1, 1, 2)) + 1.0


def test_unusual_layers_are_recorded() -> None:
    """Outputs that no image changes, axes counted from the end, operations without a purpose."""
    inputs = keras.Input((24, 24, 3))
    unusual = keras.layers.GlobalAveragePooling2D(data_format="channels_first")(
        Unusual(name="unusual")(inputs)
    )
    model = keras.Model(inputs, keras.layers.Add(name="sum")([unusual, OfItsOwn(name="own")(inputs)]))
    network = load(model)
    found = Runner(network, compile="never", batch_size=5).record(PIXELS, probes(network))
    for name, values in own_pass(network, PIXELS).items():
        np.testing.assert_allclose(found[name]["all"], values, rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_model_that_is_no_graph_is_recorded(caplog: pytest.LogCaptureFixture) -> None:
    """By its own pass."""
    inputs = keras.Input((24, 24, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="conv")(Noisy(name="noisy")(inputs)))
    network = load(model)
    with caplog.at_level(logging.DEBUG, "differentia"):
        found = dif.record(network, {"a": PIXELS}, units="all", layers=["conv"]).values["conv"]
    assert "Functional: its own pass is done: its pass can't be written as a graph" in caplog.text
    np.testing.assert_array_equal(np.asarray(found), own_pass(network, PIXELS)["conv"])


NETWORKS: dict[str, Callable[[], dif.Network]] = {
    "torch": lambda: dif.load_network(tricky(), preprocess="unit", input_shape=(3, 24, 24)),
    "keras": load,
}


@pytest.fixture
def fresh_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found compiled already."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))


@pytest.mark.parametrize("kind", NETWORKS)
# What is compiled is imported in ways that PyTorch itself warns of.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.slow
def test_a_compiled_pass_gives_the_same(
    kind: str, fresh_compiler: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of every layer; the store remembers that it is compiled, so that a run that goes on is, too."""
    caplog.set_level(logging.INFO, "differentia")
    network = NETWORKS[kind]()
    sets = {"a": PIXELS, "b": PIXELS[:3]}
    options: dict[str, Any] = {"units": "all", "batch_size": 2, "store": tmp_path / "r.zarr"}
    plain = dif.record(network, sets, units="all", batch_size=2, compile="never")
    compiled = dif.record(network, {"a": PIXELS}, compile="always", **options)
    assert "its pass was compiled in" in caplog.text
    assert compiled.provenance["compiled"] is True
    assert plain.provenance["compiled"] is False
    for name, values in compiled.values.items():
        np.testing.assert_allclose(
            values[:, :], np.asarray(plain.values[name])[:5], rtol=1e-4, atol=1e-5, err_msg=name
        )
    assert compiled.moments is not None
    assert plain.moments is not None
    np.testing.assert_allclose(compiled.moments.variance, plain.moments.variance[:5], rtol=1e-4, atol=1e-9)
    caplog.clear()
    further = dif.record(network, sets, compile="never", **options)
    assert "goes on compiled, as it was begun" in caplog.text
    assert further.provenance["compiled"] is True


@pytest.mark.parametrize("wrong", [False, True])
def test_a_compiled_pass_beside_the_own(wrong: bool, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Ranked units gather over compiled batches and over others; one that is wrong is not used."""

    def compiled(module: Any, **options: Any) -> Any:
        return (lambda batch: module(batch * 1.01)) if wrong else module

    monkeypatch.setattr(torch, "compile", compiled)
    network = NETWORKS["torch"]()
    sets = {"a": PIXELS, "b": PIXELS[:3]}
    options: dict[str, Any] = {"units": "top", "pool": 20, "batch_size": 2}
    with caplog.at_level(logging.INFO, "differentia"):
        found = dif.record(network, sets, compile="always", **options)
    expected = dif.record(network, sets, compile="never", **options)
    assert found.provenance["compiled"] is not wrong
    assert ("differs from the network's own pass" in caplog.text) is wrong
    for name, values in expected.values.items():
        np.testing.assert_array_equal(found.units[name], expected.units[name])
        np.testing.assert_allclose(np.asarray(found.values[name]), np.asarray(values), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.slow
def test_without_a_compiler(fresh_compiler: None, caplog: pytest.LogCaptureFixture) -> None:
    """One line says so, and the numbers are those of a pass that is not compiled."""
    import torch._inductor.config as inductor

    network = NETWORKS["torch"]()
    plain = dif.record(network, {"a": PIXELS}, units="all", batch_size=2, compile="never")
    torch.compiler.reset()
    with (
        caplog.at_level(logging.INFO, "differentia"),
        inductor.patch({"cpp.cxx": (None, "/no/such/compiler"), "force_disable_caches": True}),
    ):
        found = dif.record(network, {"a": PIXELS}, units="all", batch_size=2, compile="always")
    (said,) = [record.message for record in caplog.records if "compiled" in record.message]
    assert said.startswith("Tricky is not compiled: ")
    assert "\n" not in said
    assert found.provenance["compiled"] is False
    for name, values in plain.values.items():
        np.testing.assert_array_equal(found.values[name], values)


def test_other_backends_are_not_compiled(caplog: pytest.LogCaptureFixture) -> None:
    """One line says so."""

    class Foreign(type(load())):  # type: ignore[misc]
        traceable = False

    network = load()
    network.__class__ = Foreign
    with caplog.at_level(logging.INFO, "differentia"):
        runner = Runner(network, compile="always", batch_size=2)
    assert runner.compiled is False
    assert "is not compiled: only what PyTorch computes can be" in caplog.text


@pytest.mark.parametrize(("left", "pays"), [(2_000, False), (20_000, True)])
def test_where_compiling_pays(left: int, pays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is decided once three full batches were shown, by how many images are left."""
    clock = iter(np.arange(0.0, 100.0, 0.1))
    monkeypatch.setattr("differentia.networks.runner.time.perf_counter", lambda: float(next(clock)))
    network = NETWORKS["torch"]()
    runner = Runner(network, compile="auto", batch_size=5)  # 0.02 s an image
    runner.expect(left)
    looks = {"head": {"all": UnitProbe(np.arange(5), (5,))}}
    for _ in range(2):
        runner.record(PIXELS, looks)
        runner.record(PIXELS[:1], looks)  # no full batch
        assert runner.compiled is None
    runner.record(PIXELS, looks)
    assert runner.compiled is pays  # 8 % of 40 s against 10.5 s, and of 400 s


def test_a_decision_that_was_made_stays() -> None:
    """A run that goes on does not decide again; what it is told counts only where nothing is decided."""
    network = NETWORKS["torch"]()
    for was in (True, False):
        for told in ("auto", "always", "never"):
            assert Runner(network, compile=told, batch_size=2, compiled=was).compiled is was
    assert Runner(network, compile="auto", batch_size=2).compiled is None
    with pytest.raises(dif.InputError, match="compile"):
        Runner(network, compile="sometimes", batch_size=2)


@pytest.mark.parametrize("kind", NETWORKS)
def test_without_graphs(kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """One variable turns them off: the same layers, and the same numbers but for rounding."""
    sets = {"a": PIXELS, "b": PIXELS[::-1].copy()}
    options: dict[str, Any] = {"n_units": (50,), "draws": 2, "seed": 1}
    expected = dif.measure(NETWORKS[kind](), sets, **options)
    monkeypatch.setenv("DIFFERENTIA_GRAPHS", "0")
    monkeypatch.setattr(graph.PassGraph, "__init__", None)  # neither is used
    monkeypatch.setattr(graph, "without_computing", None)
    with caplog.at_level(logging.INFO, "differentia"):
        found = dif.measure(NETWORKS[kind](), sets, compile="always", **options)
    assert "is not compiled: DIFFERENTIA_GRAPHS=0 turns that off" in caplog.text
    assert list(found.layer.values) == list(expected.layer.values)
    np.testing.assert_allclose(found.differentiation, expected.differentiation, rtol=1e-4, atol=1e-6)


def test_without_graphs_nothing_private_is_imported() -> None:
    """A version of PyTorch that has changed its private API can still be measured with."""
    script = (
        "import sys, numpy as np, differentia as dif\n"
        "sys.modules['differentia.networks.graph'] = None\n"  # importing it is an error
        "images = np.random.default_rng(0).integers(0, 256, (4, 32, 32), dtype=np.uint8)\n"
        "result = dif.measure('digits', {'a': images}, n_units=20)\n"
        "assert float(result.differentiation.max()) > 0\n"
    )
    environment = {**os.environ, "DIFFERENTIA_GRAPHS": "0"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    subprocess.run([sys.executable, "-c", script], check=True)  # nor is an import that fails an error


#: How names of PyTorch begin that are promised to nobody.
PRIVATE = ("torch._", "torch.fx.experimental", "torch.nn.modules.batchnorm._", "functorch")


def private_names(code: str) -> set[str]:
    """Return what code uses of PyTorch's private API."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute):
            found.add(ast.unparse(node))
    return {name for name in found if name.startswith(PRIVATE)}


def test_private_api_is_in_one_file() -> None:
    """Of all that is PyTorch's; the search finds each way of writing it."""
    package = Path(dif.__file__).parent
    users = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if private_names(path.read_text(encoding="utf-8"))
    }
    assert users == {"networks/graph.py"}
    assert private_names("import torch._dynamo")
    assert private_names("from torch import _ops")
    assert private_names("def f(): return isinstance(x, torch._ops.OpOverload)")
    assert not private_names("import torch.fx; torch.nn.functional.relu")


def test_a_graph_in_a_new_process() -> None:
    """What PyTorch imports only when it compiles is imported, also where nothing has compiled before."""
    script = (
        "import torch\n"
        "from differentia.networks.graph import PassGraph\n"
        "def run(batch, report):\n"
        "    report('twice', 2 * batch)\n"
        "batch = torch.arange(3.0)[:, None]\n"
        "kept = PassGraph(run, batch).reading({'twice': torch.clone}, 3)(batch)\n"
        "assert kept['twice'].tolist() == [[0.0], [2.0], [4.0]]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
