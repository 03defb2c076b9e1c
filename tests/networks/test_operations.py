"""Functions that modules call: layers on request, with what each gave when it was done."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import zoo
from helpers.hooked import hooked
from helpers.networks import PIXELS, SHAPE, TENSOR, load, record_all
from matplotlib.text import Text
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import differentia as dif
from differentia.networks import operations
from differentia.networks.calls import Names
from differentia.networks.layers import select_layers, without_operations

SETS = {"a": PIXELS}


class Rectified(nn.Module):
    """A convolution that is rectified in place, twice; and a sum in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = functional.relu(self.conv(x), inplace=True)
        out += x
        return out.relu_()


class Mixed(nn.Module):
    """A block that is called twice, activations as modules and as functions, and what gives no response."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.block = Rectified()
        self.act = nn.ReLU()
        self.gate = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Sigmoid())
        self.places = nn.Parameter(torch.randn(4, 16, 16))
        self.more = nn.Parameter(torch.randn(4, 16, 16))
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.stem(x))
        x = x + (self.places + self.more)
        x = self.block(self.block(x))
        x = 2 * (x * self.gate(x)) + 1
        _ = torch.arange(len(x)) + torch.arange(len(x))
        x = functional.gelu(torch.tanh(functional.gelu(x)))
        return torch.softmax(self.head(functional.avg_pool2d(x, 16).flatten(1)), 1)

    def by_hand(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return what each operation gives, computed without anything in place."""
        values = {}
        x = values["Mixed/add:1"] = self.stem(x).clamp(min=0) + (self.places + self.more)
        for call in ("", ":1"):
            nth = int(call[1:] or 0)
            first = values["block/relu" + (f":{2 * nth}" if nth else "")] = self.block.conv(x).clamp(min=0)
            values[f"block/add{call}"] = first + x
            x = values[f"block/relu:{2 * nth + 1}"] = (first + x).clamp(min=0)
        x = values["Mixed/mul"] = x * self.gate(x)
        x = values["Mixed/gelu"] = gelu(2 * x + 1)
        x = values["Mixed/tanh"] = 1 - 2 / (torch.exp(2 * x) + 1)
        x = values["Mixed/gelu:1"] = gelu(x)
        x = values["Mixed/avg_pool2d"] = x.mean((2, 3), keepdim=True)
        powers = torch.exp(self.head(x.flatten(1)))
        values["Mixed/softmax"] = powers / powers.sum(1, keepdim=True)
        return {name: value.detach().clone() for name, value in values.items()}


def gelu(x: torch.Tensor) -> torch.Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def looked_at(module: nn.Module, **options: Any) -> dif.Network:
    """Return a network of which operations were looked for too."""
    network = load(module, **options)
    network.look(operations=True)
    return network


def names_of(network: dif.Network) -> list[str]:
    return [layer.name for layer in network.layers if layer.operation]


def test_every_kind_of_call_gives_what_was_computed_by_hand() -> None:
    """As functions and methods, in place, in a module that is called twice; in the order of computation.

    An operation that a leaf gives as it is (`act`, `gate.1`) is that leaf; arithmetic with numbers is none.
    """
    module = Mixed().eval()
    network = looked_at(module)
    with torch.no_grad():
        expected = module.by_hand(TENSOR)
    assert names_of(network) == list(expected)
    found = record_all(network)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    assert np.abs(found["block/relu"] - found["block/add"]).max() > 0.1  # of which the memory is the same
    np.testing.assert_array_equal(found["block/relu:1"], found["block"])
    by_name = {layer.name: layer for layer in network.layers}
    assert {by_name[name].channel_axis for name in expected} == {0}
    assert (by_name["block/relu:1"].kind, by_name["block/relu:1"].shape) == ("relu", (4, 16, 16))
    assert not any(by_name[name].container or by_name[name].inert or by_name[name].block for name in expected)


def test_what_is_no_response_is_listed_where_operations_are_asked_for() -> None:
    """A sum of parameters has no images; whole numbers are places, and none of a network's operations."""
    network = looked_at(Mixed())
    assert [(one.name, one.kind, one.operation) for one in network.unrecorded] == [("Mixed/add", "add", True)]
    assert "does not follow their number" in network.unrecorded[0].reason
    with pytest.warns(dif.DifferentiaWarning, match="1 call can't be recorded, first 'Mixed/add'"):
        dif.record(load(Mixed()), SETS, layers=[":operations"], views=False)
    with pytest.raises(dif.InputError, match="layer 'Mixed/add' can't be recorded: its shape"):
        select_layers(network.layers, ["Mixed/add"], network.unrecorded)
    assert load(Mixed()).unrecorded == ()


def test_nothing_changes_where_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same layers, fingerprint and numbers; and no function is looked at."""
    network = load(Mixed())
    with monkeypatch.context() as patched:
        patched.setattr(operations.Operations, "__torch_function__", None)
        plain = dif.record(network, SETS, units="all", layers=["*"], views=False)
        before = network.layers, network.fingerprint, record_all(network)
        with pytest.raises(dif.RecordingError):
            network.look(operations=True)
    network.look(operations=True)
    assert tuple(without_operations(network.layers)) == before[0]
    assert len(network.layers) > len(before[0])
    assert network.fingerprint == before[1]
    after = record_all(network)
    for name, values in before[2].items():
        np.testing.assert_array_equal(after[name], values)
    assert list(plain.values) == [layer.name for layer in select_layers(before[0], ["*"])]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("block*", ["block.conv", "block.conv:1"]),
        ("block*/relu*", ["block/relu", "block/relu:1", "block/relu:2", "block/relu:3"]),
        ("Mixed/gelu:1", ["Mixed/gelu:1"]),
        ("*/add", ["block/add"]),
        (":operations,!block/*,!Mixed/*l*", ["Mixed/add:1", "Mixed/tanh", "Mixed/softmax"]),
        ("block*/", ["block", "block:1"]),
        ("functions", None),
    ],
)
def test_choices_of_operations(wanted: str, names: list[str] | None) -> None:
    """Patterns with a slash within, exact names and the preset; whatever has no slash takes none."""
    network, patterns = looked_at(Mixed()), wanted.split(",")
    if names is None:
        with pytest.raises(dif.InputError, match=r"unknown layer 'functions'\. Did you mean ':operations'"):
            select_layers(network.layers, patterns, network.unrecorded)
        return
    assert [layer.name for layer in select_layers(network.layers, patterns, network.unrecorded)] == names


@pytest.mark.parametrize("wanted", [None, [":leaves"], [":blocks"], [":all"], ["*"], ["*/"]])
def test_presets_take_no_operations(wanted: list[str] | None) -> None:
    """They are the same with and without."""
    module = nn.Sequential(zoo.small_vit())
    network = load(module, input_shape=(3, 32, 32))
    plain = select_layers(network.layers, wanted)
    network.look(operations=True)
    assert select_layers(network.layers, wanted) == plain
    assert len(network.layers) > len(without_operations(network.layers))


def test_a_network_without_operations() -> None:
    """One line says what they are, of a PyTorch module and of a Keras model."""
    with pytest.raises(dif.InputError, match=r"there are no operations \(layers=':operations'\)") as raised:
        dif.record(load(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())), SETS, layers=[":operations"])
    assert "\n" not in str(raised.value)
    with pytest.raises(dif.InputError, match="a Keras model has none"):
        dif.record("digits", {"a": "noise:2"}, layers=[":operations"])


class Mapped(nn.Module):
    """Calls a function where no numbers can be seen."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.vmap(functional.relu)(x)


def test_operations_of_which_none_can_be_recorded() -> None:
    """It is said why, and not that there are none."""
    said = "layer 'Mapped/relu' can't be recorded: it is computed within torch.vmap"
    with pytest.raises(dif.InputError, match=said):
        dif.record(load(Mapped()), SETS, layers=[":operations"])


class Raising(nn.Module):
    """Gives up in the middle."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        functional.relu(x)
        raise ValueError


class Nested(nn.Module):
    """Operations that others call, a module that fails, and hooks of somebody else's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.conv.register_forward_hook(lambda module, args, output: functional.silu(output))
        self.raising = Raising()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        try:
            return self.raising(x)
        except ValueError:
            return functional.softmin(functional.normalize(self.conv(x)), dim=1)


def test_operations_within_operations() -> None:
    """What a function calls in turn is a part of it, whether it is one of those that are known or not.

    What a hook of the user's makes of an output is the module's, and nothing within PyTorch's own modules is
    an operation. After a module that failed, and that the network does without, operations go by its name.
    """
    found = record_all(looked_at(module := Nested()))
    assert list(found) == ["input", "raising/relu", "conv", "raising/normalize", "Nested"]
    with torch.no_grad():
        conv = functional.silu(functional.conv2d(TENSOR, module.conv.weight, module.conv.bias))
        expected = conv / conv.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(found["raising/normalize"], expected, rtol=1e-5, atol=1e-6)


class Doubled(torch.autograd.Function):
    """Has a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x) * torch.sigmoid(x)


class Elsewhere(nn.Module):
    """Calls functions in other ways than by its own code."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.script = torch.jit.script(Rectified())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.ops.aten.elu_.default(x.clone())  # as a module that was exported does
        x = Doubled.apply(self.conv(x))  # type: ignore[no-untyped-call]
        x = torch.vmap(lambda image: torch.tanh(image))(x)
        return self.script(checkpoint(functional.gelu, x, use_reentrant=False))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_functions_that_others_call() -> None:
    """PyTorch's gradients and checkpoints call them in Python, its scripts do not; vmap hides the numbers."""
    network = looked_at(module := Elsewhere())
    names = ["elu", "relu", "sigmoid", "mul", "gelu"]
    assert names_of(network) == [f"Elsewhere/{name}" for name in names]
    (lost,) = network.unrecorded
    assert lost.name == "Elsewhere/tanh"
    assert "within torch.vmap" in lost.reason
    found = record_all(network)
    with torch.no_grad():
        conv = functional.conv2d(TENSOR, module.conv.weight, module.conv.bias)
    np.testing.assert_allclose(
        found["Elsewhere/mul"], conv.clamp(min=0) * conv.sigmoid(), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("kind", operations.ACTIVATIONS)
def test_every_activation_is_seen(kind: str) -> None:
    """Also where PyTorch's function goes by another name than its module does (log_sigmoid)."""
    arguments = {"prelu": (torch.ones(3),), "softmax": (1,), "log_softmax": (1,), "glu": (2,)}.get(kind, ())
    seen: list[str] = []
    with operations.Operations(lambda name, output: seen.append(name)):
        getattr(functional, kind)(TENSOR, *arguments)
    assert seen == [kind]


@pytest.mark.parametrize("kind", ["softmax", "log_softmax"])
def test_special_functions_have_the_same_names(kind: str) -> None:
    """They are the same functions."""
    seen: list[str] = []
    with operations.Operations(lambda name, output: seen.append(name)):
        getattr(torch.special, kind)(TENSOR, 1)
    assert seen == [kind]


@pytest.mark.parametrize("kind", sorted(set(operations.NAMES.values())))
def test_every_operation_that_is_named_is_there(kind: str) -> None:
    """PyTorch has each under its name, so that none is written wrongly."""
    assert any(hasattr(place, kind) for place in (torch, functional, torch.Tensor))


class Odd(nn.Module):
    """Has modules whose names look like those of operations."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("a", nn.Conv2d(3, 4, 3))
        self.add_module("a/relu", nn.Conv2d(4, 4, 3))
        self.add_module("x/", Rectified())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = dict(self.named_children())
        return functional.relu(parts["x/"](parts["a/relu"](parts["a"](x))))


def test_no_two_layers_have_one_name() -> None:
    """Where modules have slashes in their names, more of them stand before an operation's."""
    network = looked_at(module := Odd())
    names = [layer.name for layer in network.layers]
    assert len(set(names)) == len(names)
    assert names_of(network) == ["x///relu", "x///add", "x///relu:1", "Odd//relu"]
    found = record_all(network)
    with torch.no_grad():
        expected = hooked(module.eval(), TENSOR).values
    np.testing.assert_allclose(found["a/relu"], expected["a/relu"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["x///relu:1"], expected["x/"], rtol=1e-4, atol=1e-5)
    assert Names(["a", "b:1"]).operation("a", "relu") == "a/relu"


# ---------------------------------------------------------------------------------- networks as they are used


@contextmanager
def watched(module: nn.Module, functions: dict[str, tuple[Any, str]]) -> Iterator[dict[str, np.ndarray]]:
    """Put functions in the place of PyTorch's that keep what each call gives, by its module's name."""
    found: dict[str, np.ndarray] = {}
    times: Counter[str] = Counter()
    within: list[str] = []

    def keeping(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            output = function(*args, **kwargs)
            name = f"{within[-1]}/{kind}"
            found[f"{name}:{times[name]}" if times[name] else name] = output.detach().clone().numpy()
            times[name] += 1
            return output

        return call

    hooks = []
    for name, part in module.named_modules():
        named = name or type(module).__name__
        hooks.append(part.register_forward_pre_hook(lambda part, args, named=named: within.append(named)))
        hooks.append(part.register_forward_hook(lambda part, args, output: within.pop() and None))
    with pytest.MonkeyPatch.context() as patched:
        for kind, (place, attribute) in functions.items():
            patched.setattr(place, attribute, keeping(kind, getattr(place, attribute)))
        yield found
    for hook in hooks:
        hook.remove()


RELU = {"relu": (functional, "relu")}
JOINED = {**RELU, "cat": (torch, "cat"), "add": (torch.Tensor, "__iadd__")}


@pytest.mark.parametrize(
    ("make", "size", "functions", "some"),
    [
        (partial(zoo.torchvision, "resnet18"), 32, JOINED, ["layer1.0/add", "layer4.1/add"]),
        (
            partial(zoo.torchvision, "densenet121"),
            32,
            JOINED,
            [
                "features.denseblock1.denselayer1/cat",
                "features.denseblock4.denselayer16/cat",
                "DenseNet/relu",
            ],
        ),
        (
            partial(zoo.torchvision, "googlenet", init_weights=False, aux_logits=False),
            48,
            JOINED,
            ["conv1/relu", "inception3a.branch2.0/relu", "inception3a/cat", "inception5b/cat"],
        ),
    ],
)
def test_torchvisions_networks(
    make: Callable[[], nn.Module], size: int, functions: dict[str, Any], some: list[str]
) -> None:
    """Every activation, concatenation and sum, by functions that were put in the place of PyTorch's own.

    What `nn.ReLU` calls is left out: the module gives the same.
    """
    torch.manual_seed(0)
    module = make().eval()
    zoo.randomise(module)
    pixels = zoo.photographs(size)[:2]
    network = load(module, input_shape=(3, size, size))
    network.look(pixels, operations=True)
    found = record_all(network, pixels)
    batch = torch.from_numpy(pixels.transpose(0, 3, 1, 2) / np.float32(255))
    with watched(module, functions) as expected, torch.no_grad():
        module(batch)
    kinds = {name: type(part) for name, part in module.named_modules()}
    wanted = {name for name in expected if kinds.get(name.split("/")[0]) is not nn.ReLU}
    assert wanted >= set(some)
    assert {name for name in names_of(network) if name.split("/")[1].split(":")[0] in functions} == wanted
    for name in wanted:
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4 * scale, err_msg=name)
    assert {layer.channel_axis for layer in network.layers if layer.name in wanted} == {0}


def test_attention_of_a_transformer() -> None:
    """The softmax of its attention is what the module gives beside; the last sum is what a block gives."""
    example = next(one for one in zoo.SMALL if one.name == "small ViTForImageClassification")
    module, pixels = example.module(), zoo.photographs(32)
    network = load(module, input_shape=(3, 32, 32))
    network.look(pixels[:2], operations=True)
    found = record_all(network, pixels)
    batch = torch.from_numpy(pixels.transpose(0, 3, 1, 2) / np.float32(255))
    expected = hooked(module, batch).values
    for block in ("vit.layers.0", "vit.layers.1"):
        weights = expected[f"{block}.attention[1]"]
        np.testing.assert_allclose(found[f"{block}.attention/softmax"], weights, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found[f"{block}/add:1"], expected[block], rtol=1e-4, atol=1e-4)
        assert np.abs(found[f"{block}/add"] - expected[block]).max() > 0.1
    softmax = {layer.name: layer for layer in network.layers}["vit.layers.0.attention/softmax"]
    assert softmax.channel_axis is None
    assert not [name for name in found if "act" in name and name.endswith("/gelu")]  # the module gives it


def test_windows_are_unfolded() -> None:
    """An operation on windows that lie on the axis of the images gives those of each image."""
    example = next(one for one in zoo.SMALL if one.name == "small swin")
    network = load(example.module(), input_shape=(3, 32, 32))
    network.look(zoo.photographs(32)[:2], operations=True)
    by_name = {layer.name: layer for layer in network.layers}
    assert by_name["features.1.0.attn/softmax"].folded == 4
    assert by_name["features.1.0.attn/softmax"].shape == (4, 2, 16, 16)
    found = record_all(network, zoo.photographs(32))["features.1.0.attn/softmax"]
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)


def test_a_transformer_whose_code_asks_who_looks() -> None:
    """PyTorch computes its own in one go where nobody looks; its operations are seen when taken apart."""
    network = looked_at(zoo.Encoder(batch_first=True))
    found = record_all(network)
    relu = found["encoder.layers.0/relu"]
    linear = found["encoder.layers.0.linear1"]
    np.testing.assert_array_equal(relu, np.maximum(linear, 0))
    np.testing.assert_allclose(found["encoder.layers.0/add:1"].shape, (5, 16, 32))


# ------------------------------------------------------------------------------------ how they are recorded


@pytest.mark.parametrize("compile", ["never", "always"])
def test_operations_in_the_graph_of_a_pass(compile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are marked in it as modules are, with what they gave before others wrote over it."""
    graphs: list[Any] = []

    def compiled(module: Any, **options: Any) -> Any:
        graphs.append(module)
        return module

    monkeypatch.setattr(torch, "compile", compiled)
    module = Mixed().eval()
    wanted = ["block", "*/relu*", "Mixed/softmax"]
    found = dif.record(
        load(module), SETS, units="all", layers=wanted, batch_size=5, views=False, compile=compile
    )
    with torch.no_grad():
        expected = module.by_hand(TENSOR)
    assert bool(graphs) is found.provenance["compiled"] is (compile == "always")
    assert len(found.layers) == 6
    for name, values in found.values.items():
        if name in expected:
            by_unit = np.asarray(values)[:, np.argsort(found.units[name])]
            np.testing.assert_allclose(by_unit, expected[name].flatten(1), rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.soak
def test_operations_in_a_compiled_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler may join them with others, and what they gave is kept all the same."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    module = Mixed().eval()
    options: dict[str, Any] = {"units": "all", "layers": [":operations"], "batch_size": 5, "views": False}
    with pytest.warns(dif.DifferentiaWarning, match="can't be recorded"):
        found = dif.record(load(module), SETS, compile="always", **options)
    assert found.provenance["compiled"] is True
    with torch.no_grad():
        expected = module.by_hand(TENSOR)
    assert list(found.values) == list(expected)
    for name, values in found.values.items():
        by_unit = np.asarray(values)[:, np.argsort(found.units[name])]
        np.testing.assert_allclose(by_unit, expected[name].flatten(1), rtol=1e-4, atol=1e-5, err_msg=name)


def test_without_private_interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same operations; channels are known where a function's own name tells."""
    monkeypatch.setenv("DIFFERENTIA_GRAPHS", "0")
    network = looked_at(Mixed())
    channels = {layer.name: layer.channel_axis for layer in network.layers if layer.operation}
    assert list(channels) == list(Mixed().eval().by_hand(TENSOR))
    assert channels["Mixed/gelu"] is None
    assert channels["Mixed/avg_pool2d"] == 0


def test_a_store_goes_on_with_operations(tmp_path: Path) -> None:
    """Layers of both kinds in one store: what is asked for later is added, and the same numbers come back."""
    options: dict[str, Any] = {"units": "all", "store": tmp_path / "r.zarr", "views": False}
    modules = dif.record(load(Mixed()), SETS, layers=["block"], **options)
    both = dif.record(load(Mixed()), SETS, layers=["block", "*/relu*"], **options)
    fresh = dif.record(load(Mixed()), SETS, units="all", layers=["block", "*/relu*"], views=False)
    assert both.provenance["batch_size"] == modules.provenance["batch_size"]
    assert len(both.layers) == 5
    for name, values in fresh.values.items():
        np.testing.assert_array_equal(np.asarray(both.values[name]), np.asarray(values))


def test_results_and_figures_of_operations(tmp_path: Path) -> None:
    """A result with slashes in names of layers is written, read and drawn; maps are of operations too."""
    network = load(Mixed())
    result = dif.measure(
        network,
        {"a": PIXELS, "b": PIXELS[:3]},
        n_units=50,
        draws=2,
        layers=["block/relu*", "input"],
        maps={"block/relu:1": [2]},
    )
    dif.save(result, tmp_path / "result.nc")
    again = dif.load_result(tmp_path / "result.nc")
    names = ["input", "block/relu", "block/relu:1", "block/relu:2", "block/relu:3"]
    assert again["layer"].values.tolist() == names
    np.testing.assert_array_equal(again["differentiation"], result["differentiation"])
    assert "block/relu:1" in [label.get_text() for label in dif.plot(again).get_xticklabels()]
    drawn = dif.plot_maps(again).flat[0].figure
    assert "block/relu:1" in str([text.get_text() for text in drawn.findobj(Text)])
    report = dif.write_report(again, tmp_path / "report.html")
    assert "block/relu:1" in Path(report).read_text(encoding="utf-8")


def test_classes_from_an_operation() -> None:
    """Probabilities that a network computes by a function are taken where they are named, else the logits."""
    module = Mixed().eval()
    plain = dif.record(load(module), SETS, layers=["*/softmax"])
    named = dif.record(load(module), SETS, layers=["head"], class_layer="Mixed/softmax")
    picked = dif.select(load(module), PIXELS, 0, min_probability=0, class_layer="Mixed/softmax")
    with torch.no_grad():
        expected = module.by_hand(TENSOR)["Mixed/softmax"].numpy()
    for responses in (plain, named):
        assert responses.views is not None
        assert responses.views.predictions is not None
        np.testing.assert_allclose(responses.views.predictions.probabilities, expected, rtol=1e-4)
    assert [image.probability for image in picked.images] == pytest.approx(sorted(expected[:, 0])[::-1])


def test_a_batch_that_calls_more_of_them_is_refused() -> None:
    """Where the number of calls depends on the images, they can't be told apart."""

    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = functional.relu(self.conv(x))
            return functional.relu(out - 1) if x.mean() > 0.9 else out

    network = load(Fickle())
    network.look(PIXELS[:2], operations=True)
    probes = {layer.name: np.asarray for layer in network.layers if layer.operation}
    assert network.record(PIXELS, probes).keys() == {"Fickle/relu"}
    said = r"operation 'Fickle/relu' was called 2 times for this batch, but 1 .*':operations,!Fickle/relu\*'"
    with pytest.raises(dif.RecordingError, match=said):
        network.record(np.full_like(PIXELS, 255), probes)


class Placing(nn.Module):
    """Has PyTorch's own mode entered in its pass, and leaves it in between."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.device("cpu"):
            x = functional.relu(self.conv(x)) + torch.ones(4, 1, 1)
        return functional.relu(x - 1.5)


def test_what_observers_compute_is_not_the_networks() -> None:
    """A probe may call what it likes, at a module or an operation, whatever modes of others are entered."""
    network = looked_at(Placing())
    names = ["conv", "Placing/relu", "Placing/add", "Placing/relu:1", "Placing"]
    assert [layer.name for layer in network.layers] == ["input", *names]
    plain = record_all(network)

    def busy(output: torch.Tensor) -> np.ndarray:
        return (functional.relu(output) + torch.relu(output) + output - 2 * functional.relu(output)).numpy()

    found = network.record(PIXELS, dict.fromkeys(names, busy))
    for name in names:
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(plain["Placing/add"], plain["Placing/relu"] + 1, rtol=1e-6)


def test_hooks_and_modes_are_removed() -> None:
    """After a pass, and after one that failed, nobody looks any more."""
    module = Mixed()
    network = looked_at(module)
    torch.relu(TENSOR)
    assert not torch.overrides.has_torch_function((TENSOR,))
    layer = without_operations(network.layers)[0]

    def failing(output: Any) -> Any:
        raise KeyError(layer.name)

    with pytest.raises(KeyError):
        network.record(PIXELS, {"block/relu": failing})
    assert not torch.overrides.has_torch_function((TENSOR,))
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in module.modules())
    assert SHAPE == (3, 16, 16)
