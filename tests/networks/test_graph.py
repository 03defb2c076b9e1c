"""A pass that is rewritten, or compiled, gives what the network's own pass gives; and costs less."""

from __future__ import annotations

import ast
import re
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
from helpers.passes import (
    PIXELS,
    load,
    own_pass,
    probes,
    report_outputs,
)
from torch import nn

import differentia as dif
from differentia.networks import graph
from differentia.networks.graph import PassGraph, UntraceableError
from differentia.networks.probes import UnitProbe
from differentia.networks.runner import Runner


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


#: Names of PyTorch that are promised to nobody; ``torch.__version__`` is none of them.
PRIVATE = re.compile(r"torch\.(\w+\.)*_[a-z]|torch\.(utils\.weak|fx\.experimental)|functorch", re.IGNORECASE)


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
    return {name for name in found if PRIVATE.match(name)}


def test_private_api_is_in_two_files() -> None:
    """Of all that is PyTorch's, and one switch turns off both; the search finds each way of writing it."""
    package = Path(dif.__file__).parent
    users = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if private_names(path.read_text(encoding="utf-8"))
    }
    assert users == {"networks/flow.py", "networks/graph.py"}
    assert private_names("import torch._dynamo")
    assert private_names("from torch import _ops")
    assert private_names("def f(): return isinstance(x, torch._ops.OpOverload)")
    assert private_names("from torch.nn.modules.conv import _ConvNd")
    assert not private_names("import torch.fx; torch.nn.functional.relu; torch.__version__")


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
