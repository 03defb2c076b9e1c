"""PyTorch modules: every layer under its name, with the values of the recorded call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import PIXELS, TENSOR, load, record_all, tricky
from torch import nn

import differentia as dif
from differentia.networks.layers import select_layers
from differentia.networks.probes import SummaryProbe, UnitProbe


def test_layers_in_the_order_of_computation() -> None:
    """Calls of leaf modules by name; containers and inert layers are marked, integers left out."""
    network = load(tricky())
    leaves = [layer.name for layer in network.layers if not layer.container]
    assert leaves == [
        *("input", "conv", "act", "block.0", "block.1", "act:1", "drop", "split[0]", "split[1][0]"),
        *("named[mean]", "named[all]", "head"),
    ]
    assert [layer.name for layer in network.layers if layer.container] == ["block", "Tricky"]
    assert [layer.name for layer in network.layers if layer.inert] == ["drop"]
    by_name = {layer.name: layer for layer in network.layers}
    assert by_name["conv"].shape == (8, 16, 16)
    assert by_name["conv"].size == 2048
    assert by_name["conv"].kind == "Conv2d"


def test_selection() -> None:
    """Names, patterns and the default; containers by name only; always in the order of computation."""
    layers = load(tricky()).layers

    def names(wanted: list[str] | None) -> list[str]:
        return [layer.name for layer in select_layers(layers, wanted)]

    assert names(None)[5:7] == ["act:1", "split[0]"]
    assert names(["head", "conv", "act*"]) == ["conv", "act", "act:1", "head"]
    assert names(["block*"]) == ["block.0", "block.1"]
    assert names(["block", "split[0]", "drop"]) == ["block", "drop", "split[0]"]
    with pytest.raises(dif.InputError, match=r"unknown layer 'heat'. Did you mean 'head'"):
        names(["heat"])
    with pytest.raises(dif.InputError, match="no layer was asked for"):
        names([])


def test_the_last_layer_stays_though_it_is_inert() -> None:
    """A network that ends in a layer that only reshapes keeps it."""
    layers = load(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Dropout(), nn.Flatten())).layers
    assert [layer.name for layer in select_layers(layers, None)] == ["input", "0", "3"]


def test_values_are_those_of_the_recorded_call() -> None:
    """In-place, residual, reused, tuple and dict outputs equal a computation without hooks or in-place."""
    module = tricky()
    values = record_all(load(module))
    expected = module.eval().by_hand(TENSOR)
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value.numpy(), rtol=1e-5, atol=1e-6, err_msg=name)
    # The controls: what a hook that keeps the tensor itself would have seen.
    assert np.abs(np.minimum(values["conv"], 0)).max() > 0.1
    assert np.abs(values["act"] - values["act:1"]).max() > 0.1
    assert np.abs(values["block.1"] - values["block"]).max() == 0
    overwritten = expected["block.1"] + expected["act"]
    assert np.abs(values["block.1"] - overwritten.numpy()).max() > 0.1


def test_channels_last_and_short_batches() -> None:
    """The memory layout and the number of images in a batch do not matter."""
    plain = record_all(load(tricky()))
    laid_out = record_all(load(tricky().to(memory_format=torch.channels_last)))  # type: ignore[call-overload]
    for name, value in plain.items():
        np.testing.assert_allclose(laid_out[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
        one = record_all(load(tricky()), PIXELS[:1])[name]
        np.testing.assert_allclose(one, value[:1], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    """A network of another precision gets its input in it, and gives float32 responses."""
    exact = record_all(load(tricky()))
    values = record_all(load(tricky().to(dtype)))
    tolerance = 0.05 if dtype == torch.bfloat16 else 1e-5
    for name in ("input", "conv", "act:1", "head"):
        assert values[name].dtype == (
            np.float64 if dtype == torch.float64 and name != "input" else np.float32
        )
        np.testing.assert_allclose(values[name], exact[name], rtol=tolerance, atol=tolerance)


def test_training_mode_is_put_back() -> None:
    """A network in training mode is evaluated in eval mode, part by part as it was before."""
    module = tricky().train()
    norm = module.block[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    norm.eval()
    before = {name: part.training for name, part in module.named_modules()}
    statistics = norm.running_mean.clone()
    values = record_all(load(module))
    assert {name: part.training for name, part in module.named_modules()} == before
    assert torch.equal(norm.running_mean, statistics)
    np.testing.assert_array_equal(values["drop"], values["act:1"])
    assert all(parameter.requires_grad for parameter in module.parameters())


def hooks_of(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


def test_hooks_are_removed() -> None:
    """After a pass, and after one that fails, there is no hook, and the mode is as it was."""
    module = tricky().train()
    network = load(module)
    record_all(network)
    assert hooks_of(module) == 0
    module.head = nn.Linear(9, 5)
    with pytest.raises(dif.RecordingError, match=r"the forward pass of \(5, 3, 16, 16\) failed"):
        record_all(network)
    assert hooks_of(module) == 0
    assert module.training

    def broken(values: Any) -> Any:
        raise ValueError("a probe that fails")

    with pytest.raises(ValueError, match="a probe that fails"):
        network.record(PIXELS, {"conv": broken})
    assert hooks_of(module) == 0


def test_a_module_that_does_not_call_its_children_is_a_layer() -> None:
    """Attention bypasses its inner projection; a parametrised convolution is not a container."""
    module = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 16)),
        nn.Flatten(2),
        Transposed(),
        Attention(),
    )
    layers = [layer for layer in load(module).layers if not layer.container]
    assert [(layer.name, layer.kind) for layer in layers] == [
        ("input", "Input"),
        ("0", "ParametrizedConv2d"),
        ("1", "Flatten"),
        ("2", "Transposed"),
        ("3.attention[0]", "MultiheadAttention"),
        ("3.attention[1]", "MultiheadAttention"),
    ]


class Transposed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(1, 2)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x)[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preprocess": None}, "preprocessing can't be known"),
        ({"preprocess": "imagnet"}, "unknown preprocessing 'imagnet'. Did you mean 'imagenet'"),
        ({"preprocess": 3}, "preprocess is 3"),
        ({"input_shape": None}, "input size can't be known"),
        ({"input_shape": (7, 7, 7)}, r"input_shape is \(7, 7, 7\); expected three"),
        ({"input_shape": (3, 16)}, r"input_shape is \(3, 16\)"),
        ({"device": "cuda:99"}, "device 'cuda:99' can't be used"),
        ({"device": "gpu"}, "unknown device 'gpu'. Did you mean 'cuda'"),
    ],
)
def test_what_can_not_be_known_is_asked_for(options: dict[str, Any], message: str) -> None:
    """Nothing about the input is guessed."""
    with pytest.raises(dif.InputError, match=message):
        load(tricky(), **options)


def test_float32_is_not_rounded_to_tf32() -> None:
    """A GPU's convolutions keep float32 during the pass, and the user's setting comes back."""
    seen = []

    class Asks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(torch.backends.cudnn.allow_tf32)
            return x

    before = torch.backends.cudnn.allow_tf32
    _ = load(Asks()).layers
    assert seen == [False, False]
    assert torch.backends.cudnn.allow_tf32 == before
    assert before  # the control: PyTorch's default is the other one


def test_torchscript_is_refused() -> None:
    """Its layers can't be looked into; one layer in place of them would mislead."""
    with pytest.warns(DeprecationWarning, match="deprecated"):
        traced = torch.jit.trace(nn.Sequential(nn.ReLU()), TENSOR)  # type: ignore[no-untyped-call]
    with pytest.raises(dif.InputError, match="TorchScript"):
        load(traced)


class Filters(nn.Module):
    """Maps, a volume, tokens and vectors, of which each filter gives its own number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.volume = nn.Conv3d(4, 6, 1)
        self.tokens = nn.Linear(6, 5)
        self.head = nn.Linear(5, 7)
        with torch.no_grad():
            for layer in (self.conv, self.volume, self.tokens, self.head):
                layer.weight.zero_()
                assert layer.bias is not None
                layer.bias.copy_(torch.arange(float(len(layer.bias))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.conv(x).to(memory_format=torch.channels_last)
        volume = self.volume(maps.unsqueeze(2))
        return self.head(self.tokens(volume.flatten(2).transpose(1, 2)).mean(1))


def test_filters() -> None:
    """Axis 1 of what has four axes or more, the last of tokens and vectors; the input's are its channels."""
    network = dif.load_network(Filters(), preprocess="unit", input_shape=(3, 8, 9))
    layers = {layer.name: layer for layer in network.layers}
    del layers["Filters"]  # the container
    assert {name: (layer.shape, layer.channel_axis) for name, layer in layers.items()} == {
        "input": ((3, 8, 9), 0),
        "conv": ((4, 6, 7), 0),
        "volume": ((6, 1, 6, 7), 0),
        "tokens": ((42, 5), 1),
        "head": ((7,), 0),
    }
    pixels = np.full((2, 8, 9, 3), (0, 51, 255), dtype=np.uint8)
    kept = network.record(pixels, {name: SummaryProbe(layer) for name, layer in layers.items()})
    np.testing.assert_allclose(kept["input"].filter_mean, [[0.0, 0.2, 1.0]] * 2, rtol=1e-6)
    for name, count in {"conv": 4, "volume": 6, "tokens": 5, "head": 7}.items():
        np.testing.assert_array_equal(kept[name].filter_mean, [np.arange(count)] * 2, err_msg=name)
        assert kept[name].variance[0] > 0


class Viewed(nn.Module):
    """Takes for granted that its tensors lie in memory in the order of their axes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4 * 14 * 14, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return self.head(x.view(len(x), -1))


def test_the_layout_that_a_module_takes_for_granted() -> None:
    """Channels come last in memory, but for a module whose code would fail with it."""
    layouts = []
    for module in (Viewed(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 14 * 14, 5))):
        network = dif.load_network(module, preprocess="unit", input_shape=(3, 16, 16))
        assert [layer.size for layer in network.layers if layer.kind == "Linear"] == [5]
        batch = network.prepare(PIXELS)
        layouts.append(batch.is_contiguous(memory_format=torch.channels_last))
        found = network.record(PIXELS, {network.layers[-1].name: UnitProbe(np.arange(5), (5,))})
        with torch.no_grad():
            expected = module.eval()(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).contiguous() / 255)
        np.testing.assert_allclose(found[network.layers[-1].name], expected.numpy(), rtol=1e-4, atol=1e-6)
    assert layouts == [False, True]


def in_bfloat16() -> dict[str, np.ndarray]:
    """Return what the layers give in a plain pass of a cast module."""
    module = tricky().eval().to(torch.bfloat16)
    with torch.no_grad():
        return {name: value.float().numpy() for name, value in module.by_hand(TENSOR.bfloat16()).items()}


@pytest.mark.parametrize("compile", ["never", "always"])
def test_a_copy_computes_in_bfloat16(compile: str) -> None:
    """Its values are those of a plain pass of a module that was cast; the user's own stays as it is."""
    module = tricky()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    network = load(module, dtype="bfloat16")
    assert (network.dtype, load(module).dtype) == ("bfloat16", "float32")
    layers = [layer.name for layer in network.layers if not layer.container and not layer.inert]
    recorded = dif.record(network, {"a": PIXELS}, units="all", layers=layers, compile=compile)
    assert recorded.provenance["compiled"] == (compile == "always")
    assert recorded.provenance["dtype"] == "bfloat16"
    own = {name: value.numpy() for name, value in tricky().eval().by_hand(TENSOR).items()}
    for name, expected in in_bfloat16().items():
        if name in ("drop", "input"):
            continue
        found = np.asarray(recorded.values[name])
        assert found.dtype == np.float32
        scale = np.abs(expected).max()
        tolerance = {"never": 0.0, "always": scale / 50}[compile]  # a compiler rounds less often
        np.testing.assert_allclose(
            found.reshape(expected.shape), expected, atol=tolerance, rtol=0, err_msg=name
        )
        assert 0 < np.abs(found.reshape(expected.shape) - own[name]).max() < scale / 10, name
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert load(module, dtype="float32").module is module  # type: ignore[attr-defined]
    cast = tricky().to(torch.bfloat16)
    assert load(cast).dtype == "bfloat16"
    assert load(cast, dtype=torch.bfloat16).module is cast  # type: ignore[attr-defined]
    assert load(cast, dtype="float32").module.conv.weight.dtype == torch.float32  # type: ignore[attr-defined]


@pytest.mark.parametrize("units", ["sketch", "filter_mean", "top"])
def test_what_is_made_of_units_in_bfloat16(units: str) -> None:
    """Sums and means over units are those of the rounded responses, as they are in float32."""
    network = load(tricky(), dtype="bfloat16")
    recorded = dif.record(
        network, {"a": PIXELS}, layers=["conv", "block.1"], units=units, pool=20, batch_size=2
    )
    exact = in_bfloat16()
    for at, layer in enumerate(recorded.layers):
        rows = exact[layer.name].astype(np.float64).reshape(len(PIXELS), -1)
        assert recorded.moments is not None
        np.testing.assert_allclose(recorded.moments.mean[:, at], rows.mean(1), rtol=1e-5)
        np.testing.assert_allclose(recorded.moments.variance[:, at], rows.var(1), rtol=1e-5)
        found = np.asarray(recorded.values[layer.name])
        if units == "filter_mean":
            means = exact[layer.name].astype(np.float64).mean((2, 3))
            np.testing.assert_allclose(found, means, rtol=1e-4, atol=1e-6)
        if units == "top":
            chosen = recorded.units[layer.name]
            others = np.delete(rows.mean(0), chosen)
            assert rows.mean(0)[chosen].min() >= others.max()
            np.testing.assert_array_equal(found, rows[:, chosen])


def test_dtypes_that_are_not_known() -> None:
    """The nearest is named; a network without weights computes in what is asked for."""
    for given, meant in {"half": "bfloat16", "fp32": "float32", "bf16": "bfloat16"}.items():
        with pytest.raises(dif.InputError, match=f"unknown dtype '{given}'. Did you mean '{meant}'"):
            load(tricky(), dtype=given)
    network = load(nn.Sequential(nn.AvgPool2d(3)), dtype="bfloat16")
    means = torch.nn.functional.avg_pool2d(TENSOR.bfloat16(), 3).float().numpy()
    found = dif.record(network, {"a": PIXELS}, units="all", layers=["0"]).values["0"]
    np.testing.assert_array_equal(np.asarray(found), means.reshape(len(PIXELS), -1))

    class Stubborn(nn.Conv2d):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("not twice")

    with pytest.raises(
        dif.InputError, match=r"no copy of it can be cast to torch.bfloat16 \(not twice\); cast"
    ):
        load(Stubborn(3, 4, 3), dtype="bfloat16")


@pytest.mark.parametrize("last", [nn.Linear(14, 2), nn.Conv2d(4, 2, 3), nn.LayerNorm(14)])
def test_code_that_makes_float32_of_its_own(last: nn.Module) -> None:
    """The pass fails, and the error says what to leave out; it does not where nothing was cast."""

    class Exact(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).float()

    module = nn.Sequential(Exact(3, 4, 3), last)
    with pytest.raises(dif.RecordingError, match=r"failed: .*; its code .*: leave dtype \(--dtype\) out$"):
        load(module, dtype="bfloat16").layers  # noqa: B018 - for which it looks
    with pytest.raises(dif.RecordingError) as raised:
        load(module.bfloat16()).layers  # noqa: B018
    assert "--dtype" not in str(raised.value)
