"""What a pass over the user's own images shows: layers, where the images are, and what can't be recorded."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from helpers.networks import PIXELS, SHAPE, TENSOR, load, record_all
from torch import nn
from torch.nn import functional

import differentia as dif

SETS = {"a": PIXELS}


class Acting(nn.Module):
    """Does what a function says with a convolution, a linear layer, and what else it is given."""

    def __init__(self, act: Callable[[Any, torch.Tensor], Any], **parts: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 4, 4)
        self.head = nn.Linear(8, 5)
        for name, part in parts.items():
            self.add_module(name, part)
        self.act = act

    def forward(self, x: torch.Tensor) -> Any:
        return self.act(self, x)


def by_hooks(module: nn.Module) -> tuple[Counter[str], dict[str, torch.Tensor]]:
    """Return how often each module is called, and clones of the tensors that the last calls give."""
    calls: Counter[str] = Counter()
    given: dict[str, torch.Tensor] = {}

    def hook(name: str) -> Any:
        def keep(part: nn.Module, args: Any, output: Any) -> None:
            calls[name] += 1
            if isinstance(output, torch.Tensor):
                given[name] = output.clone()

        return keep

    handles = [part.register_forward_hook(hook(name)) for name, part in module.named_modules() if name]
    with torch.no_grad():
        module.eval()(TENSOR)
    for handle in handles:
        handle.remove()
    return calls, given


# ----------------------------------------------------------------------------------- where the images are


def tokens_first(module: Any, x: torch.Tensor) -> torch.Tensor:
    tokens = module.conv(x).flatten(2).permute(2, 0, 1)
    return module.head(module.blocks(tokens).mean(0))


def test_images_on_the_second_axis() -> None:
    """A transformer that takes tokens first keeps all its layers; each image has its own responses."""
    blocks = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12), 3, enable_nested_tensor=False)
    module = Acting(tokens_first, blocks=blocks)
    network = load(module)
    assert network.unrecorded == ()
    calls, given = by_hooks(module)
    assert Counter(layer.module for layer in network.layers if layer.name != "input") == calls + Counter(
        {"Acting": 1}
    )
    values = record_all(network)
    for name in ("blocks.layers.0.linear1", "blocks.layers.1", "blocks"):
        assert given[name].shape[:2] == (16, 5)
        np.testing.assert_allclose(values[name], given[name].transpose(0, 1), rtol=1e-4, atol=1e-5)
    layer = {layer.name: layer for layer in network.layers}["blocks.layers.1"]
    assert (layer.shape, layer.channel_axis, layer.batch_axis) == ((16, 8), 1, 1)


def windows(order: str) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    """Return a pass over four windows of each image, which are folded into the axis of the images."""

    def act(module: Any, x: torch.Tensor) -> torch.Tensor:
        tokens = module.conv(x).flatten(2).mT.reshape(len(x), 4, 4, 8)
        if order == "windows first":
            tokens = tokens.transpose(0, 1)
        folded = module.head(tokens.reshape(-1, 4, 8))
        shape = (len(x), 4) if order == "images first" else (4, len(x))
        parts = folded.reshape(*shape, 4, 5)
        return parts.mean((1, 2) if order == "images first" else (0, 2))

    return act


@pytest.mark.parametrize("order", ["images first", "windows first"])
def test_windows_on_the_axis_of_the_images(order: str) -> None:
    """Each image's windows are told apart, in either order; a wrong order would give other values."""
    module = Acting(windows(order))
    values = record_all(load(module))["head"]
    assert values.shape == (5, 4, 4, 5)
    with torch.no_grad():
        tokens = module.conv(TENSOR).flatten(2).mT.reshape(5, 4, 4, 8)
        expected = module.head(tokens)
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)
    assert np.abs(values - expected.numpy()[[1, 0, 2, 3, 4]]).max() > 0.01


def mixed_windows(module: Any, x: torch.Tensor) -> torch.Tensor:
    tokens = module.conv(x).flatten(2).mT.reshape(len(x), 4, 4, 8)
    return module.head(tokens.transpose(0, 1).reshape(-1, 4, 8).flip(0)).reshape(len(x), -1)


def test_windows_that_can_not_be_told_apart() -> None:
    """They are listed, not recorded under the wrong image."""
    network = load(Acting(mixed_windows))
    assert [(call.name, call.reason) for call in network.unrecorded] == [
        ("head", "which parts of it are which image's can't be told; its shape is (8, 4, 5) for 2 images")
    ]


def dark_windows(module: Any, x: torch.Tensor) -> torch.Tensor:
    tokens = module.conv(x).flatten(2).mT.reshape(len(x), 4, 4, 8).transpose(0, 1).reshape(-1, 4, 8)
    module.again(module.bright((x.mean((1, 2, 3)).repeat(4) > 0.3).float()[:, None, None] * tokens))
    return module.head(tokens).reshape(4, len(x), 4, 5).mean((0, 2))


def test_windows_that_are_all_alike_are_ordered_as_others() -> None:
    """Zeros fit in either order; other windows of the pass tell which it is, for later images."""
    module = Acting(dark_windows, bright=nn.Identity(), again=nn.Identity())
    network = load(module)
    network.look(PIXELS[:2] // 4)
    found = {layer.name: layer for layer in network.layers}
    assert [found[name].interleaved for name in ("bright", "again", "head")] == [True, True, True]
    values = record_all(network)["bright"]
    with torch.no_grad():
        expected = module.conv(TENSOR).flatten(2).mT.reshape(5, 4, 4, 8)
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)


# -------------------------------------------------------------------------------------- what a call gives


@dataclass
class Answer:
    """As a library's own class of outputs."""

    logits: torch.Tensor
    states: tuple[torch.Tensor, ...]
    loss: None = None


class Pair(NamedTuple):
    """A tuple whose parts have names."""

    first: torch.Tensor
    second: torch.Tensor


def calling_p(module: Any, x: torch.Tensor) -> torch.Tensor:
    module.p(x)
    return module.head(module.conv(x).mean((2, 3)))


class Gives(nn.Module):
    """Gives what a function makes of its input."""

    def __init__(self, make: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: torch.Tensor) -> Any:
        return self.make(x)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda x: Answer(x, (2 * x, 3 * x)), ["p[logits]", "p[states][0]", "p[states][1]"]),
        (lambda x: Pair(x, 2 * x), ["p[first]", "p[second]"]),
        (lambda x: {"a": [x, {"b": 2 * x}], 7: None}, ["p[a][0]", "p[a][1][b]"]),
        (lambda x: [[x], (2 * x,)], ["p[0][0]", "p[1][0]"]),
        (lambda x: [None, 2 * x], ["p[1]"]),
    ],
)
def test_collections(make: Callable[[torch.Tensor], Any], names: list[str]) -> None:
    """Every array in dataclasses, named tuples, dicts and lists, however deep, has a name and its values."""
    network = load(
        Acting(lambda module, x: (module.p(x), module.head(module.conv(x).mean((2, 3))))[1], p=Gives(make))
    )
    assert [layer.name for layer in network.layers if layer.module == "p"] == names
    values = record_all(network)
    for name, factor in zip(names, (1, 2, 3) if len(names) > 1 else (2,), strict=False):
        np.testing.assert_allclose(values[name], factor * TENSOR, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda x: x.argmax(1), "numbers of the type int64"),
        (lambda x: x > 0, "numbers of the type bool"),
        (lambda x: torch.fft.fft(x), "numbers of the type complex64"),
        (lambda x: x[:, :0], "it has no units"),
        (lambda x: x.mean(0), r"its shape, \(3, 16, 16\) for 2 images, does not follow their number"),
        (lambda x: x.flatten(1).to_sparse(), r"not dense \(torch.sparse_coo\)"),
        (lambda x: torch.nested.nested_tensor(list(x)), "a nested tensor"),
        (lambda x: "text", "gives a str"),
        (lambda x: None, "it gives nothing"),
        (lambda x: (None, [], {}), "it gives nothing"),
    ],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_what_can_not_be_recorded_is_listed(make: Callable[[torch.Tensor], Any], reason: str) -> None:
    """With the reason, in one warning when it is measured; all else is recorded."""
    network = load(Acting(calling_p, p=Gives(make)))
    (listed,) = network.unrecorded
    assert (listed.name, listed.kind) == ("p", "Gives")
    with pytest.warns(dif.DifferentiaWarning, match=f"1 call of .*'p' .Gives.: .*{reason}") as given:
        result = dif.measure(network, SETS)
    assert [str(layer) for layer in result.layer.values] == ["input", "conv", "head"]
    assert len(given) == 1
    assert given[0].message.kind == "unrecorded"  # type: ignore[union-attr]
    with pytest.raises(dif.InputError, match=f"layer 'p' can't be recorded: .*{reason}"):
        dif.measure(network, SETS, layers=["p"])
    dif.measure(network, SETS, layers=["conv"])  # nothing is said where nothing was lost


def test_parts_that_can_not_be_recorded_beside_others() -> None:
    """They are listed; no warning is given, for the call is recorded."""
    pool = nn.MaxPool2d(2, return_indices=True)
    network = load(Acting(lambda module, x: module.head(module.p(module.conv(x))[0].mean((2, 3))), p=pool))
    assert [(call.name, call.beside) for call in network.unrecorded] == [("p[1]", True)]
    assert "p[0]" in dif.measure(network, SETS).layer


# ------------------------------------------------------------------------------- the user's own images


def skipping(module: Any, x: torch.Tensor) -> torch.Tensor:
    y = module.conv(x)
    return module.head((module.extra(y) if x.mean() > 0.05 else y).mean((2, 3)))


def test_layers_are_looked_for_with_the_images_that_are_measured() -> None:
    """What is skipped for empty images is a layer for others."""
    module = Acting(skipping, extra=nn.Conv2d(8, 8, 1))
    assert "extra" in dif.measure(load(module), SETS).layer
    assert "extra" not in dif.measure(load(module), {"a": PIXELS // 100}).layer


def test_what_is_called_for_later_images_only_is_told() -> None:
    """It can't be recorded for all images; which module it is, is said."""
    network = load(Acting(skipping, extra=nn.Conv2d(8, 8, 1)))
    dark_first = {"dark": PIXELS[:3] // 100, "dim": PIXELS[3:] // 90, "bright": PIXELS}
    with pytest.warns(dif.DifferentiaWarning, match="modules were called.* for some images .*: 'extra'"):
        result = dif.measure(network, dark_first, layers=["conv", "head"])
    assert "extra" not in result.layer


def whitened(module: Any, x: torch.Tensor) -> torch.Tensor:
    z = (x - x.mean((2, 3), True)) / x.std((2, 3), keepdim=True)
    return torch.linalg.eigh(z.flatten(2) @ z.flatten(2).mT)[0]


def test_a_network_that_fails_with_black_images() -> None:
    """It is not shown any."""
    expected = whitened(None, TENSOR)
    values = record_all(load(Acting(whitened)))["Acting"]
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-3)


# ---------------------------------------------------------------------------------- the pass is the user's


def strided(module: Any, x: torch.Tensor) -> torch.Tensor:
    b, c, h, w = x.shape
    steps = (c * h * w, 4 * w, 4, h * w, w, 1)
    return module.patches(x.as_strided((b, h // 4, w // 4, c, 4, 4), steps).flatten(3)).flatten(1)


def test_code_that_depends_on_the_order_of_memory(caplog: pytest.LogCaptureFixture) -> None:
    """It is computed in its own order, and that is said; channels last would give other numbers."""
    module = Acting(strided, patches=nn.Linear(48, 5))
    network = load(module)
    with torch.no_grad():
        expected = module(TENSOR.contiguous())
        wrong = module(TENSOR.contiguous(memory_format=torch.channels_last))
    with caplog.at_level(logging.INFO, "differentia"):
        values = record_all(network)["Acting"]
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    assert (wrong - expected).abs().max() > 0.05
    assert "is not computed with channels last in memory: layer 'patches' differs" in caplog.text


def strided_and_noisy(module: Any, x: torch.Tensor) -> torch.Tensor:
    return module.head(module.noisy(functional.dropout(strided(module, x)[:, :8])))


def strided_in_company(module: Any, x: torch.Tensor) -> torch.Tensor:
    assert len(x) > 1
    return strided(module, x)


@pytest.mark.parametrize("act", [strided_and_noisy, strided_in_company])
def test_the_order_of_memory_matters_beside_other_oddities(act: Callable[[Any, Any], Any]) -> None:
    """Neither chance elsewhere, nor that an image can't be shown alone, hides that the order is wrong."""
    module = Acting(act, patches=nn.Linear(48, 5), noisy=nn.Identity())
    network = load(module)
    found = network.look(PIXELS[:2])
    assert found.by_company == ()
    assert found.by_chance == (("noisy", "head", "Acting") if act is strided_and_noisy else ())
    with torch.no_grad():
        expected = strided(module, TENSOR.contiguous())
    values = record_all(network)["patches"].reshape(5, -1)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)


def padded(module: Any, x: torch.Tensor) -> torch.Tensor:
    tokens = module.conv(x).flatten(2).mT
    padding = torch.arange(16).expand(len(x), 16) >= 12
    return module.head(module.blocks(tokens, src_key_padding_mask=padding).flatten(1))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_a_transformer_that_pytorch_computes_as_a_whole() -> None:
    """Its padded tokens are zeros unless it is taken apart: so it is not, and its parts are listed."""
    blocks = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), 2)
    module = Acting(padded, blocks=blocks, head=nn.Linear(128, 5)).eval()
    network = load(module)
    values = record_all(network)
    with torch.no_grad():
        tokens = module.conv(TENSOR).flatten(2).mT
        padding = torch.arange(16).expand(5, 16) >= 12
        expected = blocks(tokens, src_key_padding_mask=padding)
        np.testing.assert_allclose(values["blocks"], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(values["head"], module(TENSOR), rtol=1e-4, atol=1e-5)
        torch.backends.mha.set_fastpath_enabled(False)
        taken_apart = blocks(tokens, src_key_padding_mask=padding)
        torch.backends.mha.set_fastpath_enabled(True)
    assert taken_apart[:, 12:].abs().max() > 0.1  # the control
    assert np.abs(values["blocks"][:, 12:]).max() == 0
    assert [call.name for call in network.unrecorded] == ["blocks.layers.0", "blocks.layers.1"]
    assert torch.backends.mha.get_fastpath_enabled()


def test_scripted_children() -> None:
    """They are layers like any other; they take no hooks of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(nn.ReLU())
    module = nn.Sequential(nn.Conv2d(3, 4, 3), scripted, nn.Flatten(), nn.Linear(4 * 14 * 14, 3))
    values = record_all(load(module))
    np.testing.assert_allclose(values["1"], np.maximum(values["0"], 0))
    assert [(layer.name, layer.kind) for layer in load(module).layers][2] == ("1", "ReLU")


class Wrapping(nn.Module):
    """A module with another wrapped inside."""

    def __init__(self, wrap: Callable[[nn.Module], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = wrap(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()))
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).mean((2, 3)))


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method`:DeprecationWarning")
@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile, torch.optim.swa_utils.AveragedModel])
@pytest.mark.parametrize("where", ["inside", "outside"])
def test_wrappers_change_nothing(wrap: Callable[[nn.Module], Any], where: str) -> None:
    """Neither names nor drawn units, nor values nor the fingerprint."""
    plain = Wrapping(lambda module: module)
    wrapped = Wrapping(wrap) if where == "inside" else wrap(Wrapping(lambda module: module))
    networks = [load(module) for module in (plain, wrapped)]
    results = [dif.measure(network, SETS, n_units=20, draws=3) for network in networks]
    assert [str(name) for name in results[1].layer.values] == ["input", "body.0", "body.1", "head"]
    assert np.array_equal(results[0].unit, results[1].unit)
    np.testing.assert_allclose(results[0].differentiation, results[1].differentiation, rtol=1e-6)


# ------------------------------------------------------------------------- alone and in company, chance


def centred(module: Any, x: torch.Tensor) -> torch.Tensor:
    y = module.conv(x)
    return module.head(module.middle(y - y.mean(0)).relu().mean((2, 3)))


def dropping(module: Any, x: torch.Tensor) -> torch.Tensor:
    return module.head(module.middle(functional.dropout(module.conv(x))).mean((2, 3)))  # training=True


class Counting(nn.Module):
    """Gives another number every time."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x + self.calls


@pytest.mark.parametrize("batch_size", [2, 5])
@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Acting(centred, middle=nn.Conv2d(8, 8, 1)), "depend on the other images in the batch"),
        (Acting(dropping, middle=nn.Conv2d(8, 8, 1)), "depend on chance, or on what was shown before"),
        (Acting(centred, middle=Counting()), "depend on chance, or on what was shown before"),
    ],
)
def test_responses_that_depend_on_more_than_the_image(
    module: nn.Module, reason: str, batch_size: int
) -> None:
    """It is told, layer by layer: what comes before is not named, and a sound network not at all."""
    with pytest.warns(dif.DifferentiaWarning, match=f"responses of 'middle', 'head' {reason}") as given:
        result = dif.measure(load(module), SETS, batch_size=batch_size)
    assert [warning.message.kind for warning in given] == ["unsteady"]  # type: ignore[union-attr]
    assert "conv" in result.layer
    dif.measure(load(module), SETS, layers=["conv"])  # whose responses are the image's


def test_chance_does_not_hide_company() -> None:
    """What depends on the other images before anything is drawn is told as such."""

    def act(module: Any, x: torch.Tensor) -> torch.Tensor:
        y = module.middle(module.conv(x))
        return module.head(module.noisy(y - y.mean(0)).mean((2, 3)))

    class Noisy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.randn_like(x)

    class Centring(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - x.mean(0)

    found = load(Acting(act, middle=Centring(), noisy=Noisy())).look(PIXELS[:2])
    assert found.by_company == ("middle",)
    assert found.by_chance == ("noisy", "head", "Acting")


def test_nothing_is_said_of_manners_where_none_works(caplog: pytest.LogCaptureFixture) -> None:
    """A network whose own code fails gets one error, with the kind of what it raised."""

    def act(module: Any, x: torch.Tensor) -> torch.Tensor:
        raise KeyError("missing")

    with (
        caplog.at_level(logging.INFO, "differentia"),
        pytest.raises(dif.RecordingError, match=r"\(1, 3, 16, 16\) failed: KeyError: 'missing'"),
    ):
        load(Acting(act)).look(PIXELS[:2])
    assert caplog.text == ""


def test_batch_norm_without_statistics_is_warned_of() -> None:
    """Such a network's responses depend on the batch; one with statistics is not warned of."""
    for tracked in (False, True):
        norm = nn.BatchNorm2d(2, track_running_stats=tracked)
        network = load(nn.Sequential(nn.Conv2d(3, 2, 3), norm))
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            dif.measure(network, SETS)
        assert [str(warning.message)[:37] for warning in given] == (
            [] if tracked else ["responses of '1' depend on the other "]
        )


def squeezing(module: Any, x: torch.Tensor) -> torch.Tensor:
    return module.head(module.conv(x).mean((2, 3), keepdim=True).squeeze())


def test_an_image_that_can_not_be_shown_alone() -> None:
    """A last batch of one is shown twice; its response is that of company, and others are not shown twice."""
    module = Acting(squeezing)
    network = load(module)
    recorded = dif.record(
        network, {"a": np.concatenate([PIXELS, PIXELS[::-1] // 2])[:9]}, units="all", batch_size=4
    )
    with torch.no_grad():
        expected = module(
            torch.from_numpy(np.concatenate([PIXELS, PIXELS[::-1] // 2])[:9]).permute(0, 3, 1, 2) / 255
        )
    np.testing.assert_allclose(np.asarray(recorded.values["head"]), expected, rtol=1e-4, atol=1e-5)
    shown: list[int] = []
    for act in (squeezing, lambda module, x: module.head(module.conv(x).mean((2, 3)))):
        network = load(Acting(act))
        assert network.layers
        handle = network.module.conv.register_forward_hook(  # type: ignore[attr-defined]
            lambda part, args, output: shown.append(len(output))
        )
        record_all(network, PIXELS[:1])
        handle.remove()
    assert shown == [2, 1]


def asserting(module: Any, x: torch.Tensor) -> torch.Tensor:
    assert x.shape[-1] == 224, f"Input width ({x.shape[-1]}) doesn't match model (224)."
    return x


def test_an_error_of_the_networks_own_code() -> None:
    """It is an error of recording, which says what the network was given."""
    reason = r"AssertionError: Input width \(16\) doesn't match"
    message = rf"Acting: the forward pass of \(2, 3, 16, 16\) failed: {reason}"
    with pytest.raises(dif.RecordingError, match=message.replace("2", "[12]", 1)):
        dif.measure(load(Acting(asserting)), SETS)


def test_an_error_of_a_probe_is_not_the_networks() -> None:
    """It comes out as it is, though the network's code catches errors."""

    def catching(module: Any, x: torch.Tensor) -> torch.Tensor:
        try:
            return module.conv(x)
        except Exception:
            return x

    def failing(output: Any) -> None:
        raise ZeroDivisionError("a probe's")

    network = load(Acting(catching))
    with pytest.raises(ZeroDivisionError, match="a probe's"):
        network.record(PIXELS, {"conv": failing})


def stopping(module: Any, x: torch.Tensor) -> torch.Tensor:
    return x.to(next(iter([])))


def test_an_iterator_of_the_networks_code_that_ends() -> None:
    """Its error is one of recording too."""
    with pytest.raises(dif.RecordingError, match="failed: StopIteration"):
        load(Acting(stopping)).look(PIXELS[:2])


def test_a_module_that_fails_and_is_done_without() -> None:
    """What the network computes in its stead is a layer, and blocks are blocks."""

    class Failing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no such kernel")

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fused, self.plain = Failing(), nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                return x + self.fused(x)
            except RuntimeError:
                return x + self.plain(x)

    network = load(nn.Sequential(Block(), Block()))
    assert [layer.name for layer in network.layers if layer.block and layer.container] == ["0", "1"]
    assert [layer.name for layer in network.layers if not layer.container] == ["input", "0.plain", "1.plain"]


def test_what_a_module_keeps_of_a_pass_is_put_back_when_it_is_followed() -> None:
    """A pass that is only followed for the compiler leaves no tensors without numbers in it."""

    class Keeping(nn.Module):
        count: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.register_buffer("count", torch.zeros(()))
            self.cache: torch.Tensor | None = None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.count = self.count + 1
            if self.cache is None or len(self.cache) < len(x):
                self.cache = torch.zeros(len(x), 1, 1, 1)
            return self.conv(x) + self.cache[: len(x)]

    module = Keeping()
    dif.record(load(module), SETS, compile="always", batch_size=5, views=False)
    assert type(module.count) is torch.Tensor
    assert type(module.cache) is torch.Tensor
    assert float(module.count) > 0  # of the passes that were computed


def test_inert_children() -> None:
    """A module that computes, and calls only what does nothing, is a layer; a sequence of such is not."""

    class NormAct(nn.BatchNorm2d):
        def __init__(self) -> None:
            super().__init__(4)
            self.act = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(super().forward(x))

    quiet, empty = nn.Sequential(nn.Dropout(), nn.Identity()), nn.Sequential()
    module = nn.Sequential(nn.Conv2d(3, 4, 3), NormAct(), quiet, empty, nn.Conv2d(4, 4, 3))
    assert [str(name) for name in dif.measure(load(module), SETS).layer.values] == ["input", "0", "1", "4"]


def test_looking_costs_three_images() -> None:
    """One alone and two together, where nothing is unusual; and what is looked at is the user's."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    shown: list[torch.Tensor] = []
    module[0].register_forward_hook(lambda part, args, output: shown.append(args[0]))
    network = dif.load_network(module, preprocess="unit", input_shape=SHAPE)
    network.look(PIXELS[:2])
    assert [len(batch) for batch in shown] == [1, 2]
    for batch in shown:
        assert torch.equal(batch, TENSOR[: len(batch)])
