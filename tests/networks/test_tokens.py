"""Class tokens, patches and their mean are those that are cut by hand out of what plain hooks see."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import joined, zoo
from helpers.hooked import hooked
from helpers.keras_models import joining
from torch import nn

import differentia as dif
from differentia.networks.base import GRAPHS
from differentia.networks.layers import Cut, Layer
from differentia.networks.probes import UnitProbe
from differentia.networks.runner import Runner
from differentia.networks.tokens import Joined, Places, joined_tokens, layers_of_tokens, places_by_length

#: Of the largest value of a layer: two orders of the same float32 sums differ by some 1e-6.
TOLERANCE = 1e-4

KEPT = ("class", "patches", "mean")


@dataclass(frozen=True)
class Example:
    """A network, with what its library says of its tokens: the class token is the first that is joined."""

    name: str
    make: Callable[[], nn.Module]
    patches: int
    before: int
    after: int = 0
    has_class: bool = True
    images: int = 0  # the axis that holds them

    @property
    def length(self) -> int:
        return self.before + self.patches + self.after

    def cut(self, values: np.ndarray, kept: str) -> np.ndarray | None:
        """Return what counts of a layer's output, images in front; None where it holds no such tokens."""
        tokens = np.moveaxis(values, self.images, 0) if values.ndim == 3 else values
        is_sequence = tokens.ndim == 3 and tokens.shape[1] != tokens.shape[2]  # unlike attention's weights
        if is_sequence and tokens.shape[1] == self.length and self.length > self.patches:
            if kept == "class":
                return tokens[:, 0]
            tokens = tokens[:, self.before : self.before + self.patches]
        elif kept == "class" or not is_sequence or tokens.shape[1] != self.patches:
            return None
        return tokens.astype(np.float64).mean(1) if kept == "mean" else tokens


def timm_vit(name: str = "vit_tiny_patch16_224", **options: Any) -> nn.Module:
    import timm

    return timm.create_model(
        name, pretrained=False, img_size=64, depth=2, embed_dim=24, num_heads=2, **options
    )


def of_transformers(name: str, **options: Any) -> nn.Module:
    import transformers

    sizes = {"image_size": 64, "patch_size": 16, "hidden_size": 24, "intermediate_size": 40}
    config = getattr(transformers, f"{name}Config")(
        num_hidden_layers=2, num_attention_heads=2, **sizes | options
    )
    model: nn.Module = getattr(transformers, f"{name}Model")(config)
    return model


def torchvision_vit() -> nn.Module:
    from torchvision.models import VisionTransformer

    return VisionTransformer(64, 16, num_layers=2, num_heads=2, hidden_dim=24, mlp_dim=40, num_classes=10)


EXAMPLES = (
    Example("timm vit", timm_vit, 16, 1),
    Example("timm deit, distilled", partial(timm_vit, "deit_tiny_distilled_patch16_224"), 16, 2),
    Example("timm vit with registers", partial(timm_vit, reg_tokens=4), 16, 5),
    Example(
        "timm vit with registers alone",
        partial(timm_vit, reg_tokens=4, class_token=False, global_pool="avg"),
        *(16, 4),
        has_class=False,
    ),
    Example("timm beit", partial(timm_vit, "beit_base_patch16_224"), 16, 1),
    Example("timm vit of SigLIP", partial(timm_vit, "vit_base_patch16_siglip_224"), 16, 0, has_class=False),
    Example("transformers ViT", partial(of_transformers, "ViT"), 16, 1),
    Example("transformers DeiT", partial(of_transformers, "DeiT"), 16, 2),
    Example("transformers DINOv2", partial(of_transformers, "Dinov2"), 16, 1),
    Example(
        "transformers DINOv2 with registers",
        partial(of_transformers, "Dinov2WithRegisters", num_register_tokens=3),
        *(16, 4),
    ),
    Example("transformers DINOv3", partial(of_transformers, "DINOv3ViT", num_register_tokens=3), 16, 4),
    Example("transformers CLIP", partial(of_transformers, "CLIPVision"), 16, 1),
    Example("transformers BEiT", partial(of_transformers, "Beit"), 16, 1),
    Example(
        "transformers YOLOS",
        partial(of_transformers, "Yolos", image_size=[64, 64], num_detection_tokens=5),
        *(16, 1, 5),
    ),
    Example("torchvision vit", torchvision_vit, 16, 1),
    Example("open_clip vit", partial(zoo.open_clip_tower, image_size=64, patch_size=16, layers=2), 16, 1),
    Example("batch second", partial(joined.Joined, batch_first=False), 16, 1, images=1),
    Example("an unnamed token", partial(joined.Joined, "extra"), 16, 1, has_class=False),
)


def seen(example: Example) -> tuple[dif.Network, np.ndarray, dict[str, np.ndarray]]:
    """Return a network, images, and what the hooks see of them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = example.make().eval()
        zoo.randomise(module)
    pixels = zoo.photographs(64)
    batch = torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
    network = dif.load_network(module, preprocess="unit", input_shape=(3, 64, 64), device="cpu")
    return network, pixels, hooked(module, batch.contiguous()).values


def recorded(network: dif.Network, pixels: np.ndarray, kept: str, **options: Any) -> dict[str, np.ndarray]:
    """Return all units of each layer, in its shape."""
    return in_shape(responses_of(network, pixels, kept, **options))


def responses_of(network: dif.Network, pixels: np.ndarray, kept: str, **options: Any) -> dif.Responses:
    """Return all units of each layer, as they are recorded."""
    options = {"units": "all", "layers": ":all", "views": False, "tokens": kept, **options}
    return dif.record(network, {"images": pixels}, **options)


def in_shape(responses: dif.Responses) -> dict[str, np.ndarray]:
    """Return what was recorded of each layer, in its shape."""
    return {
        layer.name: np.asarray(responses.values[layer.name][:, :]).reshape(-1, *layer.shape)
        for layer in responses.layers
    }


@pytest.mark.filterwarnings("ignore:recorded whole:differentia.DifferentiaWarning")
@pytest.mark.filterwarnings("ignore:.*can't be recorded:differentia.DifferentiaWarning")
@pytest.mark.parametrize("example", EXAMPLES, ids=[one.name for one in EXAMPLES])
def test_tokens_are_those_that_are_cut_by_hand(example: Example) -> None:
    """In every layer that holds them; all others are whole. Other tokens would be seen."""
    network, pixels, values = seen(example)
    for kept in KEPT:
        if kept == "class" and not example.has_class:
            with pytest.raises(dif.InputError, match="has no class token"):
                network.look(tokens=kept)
            continue
        responses = responses_of(network, pixels, kept)
        found = in_shape(responses)
        cut = {name: example.cut(values[name], kept) for name in found}
        held = [name for name, expected in cut.items() if expected is not None]
        assert len(held) > 10
        assert [layer.name for layer in responses.layers if layer.tokens] == held
        for name, expected in cut.items():
            expected = values[name] if expected is None else expected
            scale = np.abs(values[name]).max()
            if expected.shape != found[name].shape:  # the images are not in front
                expected = np.moveaxis(expected, example.images, 0)
            np.testing.assert_allclose(found[name], expected, rtol=0, atol=TOLERANCE * scale, err_msg=name)
        shifted = replace(example, before=example.before + 1, after=example.after - 1)
        for name in held if kept != "class" else ():
            same = np.array_equal(np.asarray(shifted.cut(values[name], kept)), np.asarray(cut[name]))
            assert same == (example.patches in values[name].shape[:2])


@pytest.mark.filterwarnings("ignore:recorded whole:differentia.DifferentiaWarning")
def test_a_class_token_behind_the_patches_is_found() -> None:
    """Where it stands is seen and not assumed."""
    network, pixels, values = seen(Example("", partial(joined.Joined, behind=True), 16, 0, 1))
    found = recorded(network, pixels, "class", layers=["norm", "encoder.layers.1/"])
    patches = recorded(network, pixels, "patches", layers=["encoder.layers.1/"])
    for name in ("norm", "encoder.layers.1"):
        np.testing.assert_allclose(found[name], values[name][:, -1], atol=1e-5)
    np.testing.assert_allclose(patches["encoder.layers.1"], values["encoder.layers.1"][:, :-1], atol=1e-5)


class Unjoined(joined.Joined):
    """Joins its class token to nothing; or, to maps that are made patches, and then refuses noise."""

    def __init__(self, *, maps: bool) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 24, 16, stride=16) if maps else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.maps is None:
            tokens = self.patches(nn.functional.unfold(x, 16, stride=16).transpose(1, 2))
        elif x.std() > 0.25:
            raise ValueError("this is noise")
        else:
            patches = self.maps(x).flatten(2).transpose(1, 2)
            tokens = torch.cat([getattr(self, self.name).expand(len(x), -1, -1), patches], dim=1)
        encoded: torch.Tensor = self.encoder(self.norm(tokens))
        return encoded


def test_a_class_token_that_is_not_seen_is_not_made_up() -> None:
    """Where neither noise nor maps tell which tokens are joined, nothing is cut."""
    network = dif.load_network(Unjoined(maps=False).eval(), preprocess="unit", input_shape=(3, 64, 64))
    told = {"class": "the class token", "patches": "which tokens are of patches"}
    for kept, what in told.items():
        with pytest.raises(dif.InputError, match=f"^Unjoined: {what} can't be told in any of"):
            network.look(tokens=kept)


def test_a_network_that_refuses_noise() -> None:
    """The names of weights and the places of maps tell where tokens stand."""
    module = Unjoined(maps=True).eval()
    network = dif.load_network(module, preprocess="unit", input_shape=(3, 64, 64))
    pixels = (zoo.photographs(64) // 4).astype(np.uint8)
    batch = torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
    values = hooked(module, batch.contiguous()).values
    for kept, by_hand in {"class": values["norm"][:, 0], "patches": values["norm"][:, 1:]}.items():
        found = recorded(network, pixels, kept, layers=["norm"])
        np.testing.assert_allclose(found["norm"], by_hand, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size"), [("small timm swin", 56), ("small swin", 32), ("small SwinForImageClassification", 112)]
)
def test_rows_and_columns_and_windows_are_tokens(name: str, size: int) -> None:
    """Swin has no class token; its patches are all that it has, and the mean is over both axes."""
    (example,) = [one for one in zoo.SMALL if one.name == name]
    network = dif.load_network(example.module(), preprocess="unit", input_shape=(3, size, size))
    with pytest.raises(dif.InputError, match=r"^Swin\w+: it has no class token .*='patches' or 'mean'"):
        network.look(tokens="class")
    pixels = zoo.photographs(size)
    whole = recorded(network, pixels, "all", layers=":blocks")
    found = recorded(network, pixels, "mean", layers=":blocks")
    patches = recorded(network, pixels, "patches", layers=":blocks")
    blocks = [layer.name for layer in network.layers if layer.block and layer.container]
    assert len(blocks) >= 4
    for name in blocks:
        channels = whole[name].shape[-1]
        by_hand = whole[name].reshape(len(pixels), -1, channels).astype(np.float64).mean(1)
        np.testing.assert_allclose(found[name], by_hand, atol=1e-5, err_msg=name)
        np.testing.assert_array_equal(patches[name], whole[name])


def test_a_network_of_maps_has_no_tokens() -> None:
    """The error says what averages maps; channels that come last make no tokens of a map."""
    for make in (partial(zoo.torchvision, "resnet18"), zoo.small_convnext):
        network = dif.load_network(make(), preprocess="unit", input_shape=(3, 32, 32))
        for kept in KEPT:
            with pytest.raises(dif.InputError, match=r"none of its layers holds tokens; .*'filter_mean'"):
                network.look(tokens=kept)
        assert not any(layer.tokens for layer in network.layers)


def test_only_patches_and_their_mean_in_a_mixer() -> None:
    """All of its tokens are of patches."""
    import timm

    module = timm.create_model("mixer_s16_224", pretrained=False, img_size=64).eval()
    network = dif.load_network(module, preprocess="unit", input_shape=(3, 64, 64))
    pixels = zoo.photographs(64)
    whole = recorded(network, pixels, "all", layers="blocks.?/")
    means = recorded(network, pixels, "mean", layers="blocks.?/")
    assert len(whole) == 8
    for name, values in whole.items():
        np.testing.assert_allclose(means[name], values.mean(1), atol=1e-4 * np.abs(values).max())
    with pytest.raises(dif.InputError, match=r"^MlpMixer: it has no class token"):
        network.look(tokens="class")


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.soak)])
# What is compiled is imported in ways that PyTorch itself warns of.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_graph_gives_the_same_tokens(
    compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass that is rewritten, as of Keras on PyTorch, or compiled, and the network's own."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    network, pixels = dif.load_network(joining(), preprocess="unit"), zoo.photographs(32)
    whole = recorded(network, pixels, "all")
    for kept in ["mean"] if compiled else KEPT:  # compiling takes a while
        network.look(pixels[:2], tokens=kept)
        layers = [layer for layer in network.layers if layer.tokens]
        assert {"joined", "two_add"} <= {layer.name for layer in layers}
        probes = {one.name: {"all": UnitProbe(np.arange(one.size), one.shape)} for one in layers}
        runner = Runner(network, compile="always" if compiled else "never", batch_size=3)
        found = runner.record(pixels, probes)
        own = network.record(pixels, {name: by["all"] for name, by in probes.items()})
        assert (runner._graph is not None, runner.compiled) == (True, compiled)
        for one in layers:
            tokens = whole[one.name]
            if tokens.shape[1] == 17:
                tokens = {"class": tokens[:, :1], "patches": tokens[:, 1:], "mean": tokens[:, 1:]}[kept]
            by_hand = tokens if kept == "patches" else tokens.mean(1)
            for values in (found[one.name]["all"], own[one.name]):
                np.testing.assert_allclose(
                    values.reshape(by_hand.shape), by_hand, atol=1e-5, err_msg=one.name
                )


@pytest.mark.parametrize("graphs", ["0", "1"])
def test_channels_that_are_not_known(graphs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where operations are not followed, blocks hold tokens by the shapes of layers that are known."""
    monkeypatch.setenv(GRAPHS, graphs)
    network, pixels, values = seen(EXAMPLES[0])
    responses = responses_of(network, pixels, "class", layers=["blocks.?/"])
    found = in_shape(responses)
    assert {layer.name: layer.n_channels for layer in responses.layers}["blocks.0"] == 24
    for name in ("blocks.0", "blocks.1"):
        np.testing.assert_allclose(found[name], values[name][:, 0], atol=1e-4)


@pytest.mark.parametrize("kept", KEPT)
def test_units_are_of_the_tokens_that_count(kept: str) -> None:
    """Each kind chooses among them: at random, by what they did over images, or by channel."""
    network, pixels, values = seen(EXAMPLES[0])
    cut = EXAMPLES[0].cut(values["blocks.1"], kept)
    assert cut is not None
    tokens = cut.reshape(len(pixels), -1, 24)
    flat = tokens.reshape(len(pixels), -1)
    kinds = ("random", "top", "top_variance", "per_filter", "filter_mean")
    options: dict[str, Any] = {"layers": ["blocks.1"], "pool": 24, "views": True, "tokens": kept}
    found = {kind: dif.record(network, {"a": pixels}, units=kind, **options) for kind in kinds}
    for kind, responses in found.items():
        units, given = responses.units["blocks.1"], np.asarray(responses.values["blocks.1"][:, :])
        by_hand = tokens.mean(1) if kind == "filter_mean" else flat[:, units]
        np.testing.assert_allclose(given, by_hand, atol=1e-4, err_msg=kind)
        assert responses.moments is not None
        np.testing.assert_allclose(responses.moments.mean[:, 0], flat.mean(1), atol=1e-5)
    assert len(set(found["per_filter"].units["blocks.1"] % 24)) == 24
    for kind, scores in {"top": flat.mean(0), "top_variance": flat.var(0)}.items():
        threshold = np.sort(scores)[-len(found[kind].units["blocks.1"])]
        assert scores[found[kind].units["blocks.1"]].min() >= threshold - 1e-4


def test_the_fingerprint_is_of_the_network() -> None:
    """Whichever tokens count; and what was looked at last counts."""
    network = dif.load_network(torchvision_vit().eval(), preprocess="unit", input_shape=(3, 64, 64))
    before, shapes = network.fingerprint, [layer.shape for layer in network.layers]
    for kept in KEPT:
        network.look(tokens=kept)
        assert network.fingerprint == before
        assert [layer.shape for layer in network.layers] != shapes
        assert [layer.whole for layer in network.layers] == shapes
    with pytest.raises(dif.InputError, match=r"unknown choice of tokens 'cls'\. Did you mean 'class'\?"):
        network.look(tokens="cls")
    network.look()
    assert [layer.shape for layer in network.layers] == shapes


def test_the_class_token_of_a_headless_network_is_no_class() -> None:
    """A layer of tokens is no vector of classes because one token counts."""
    network = dif.load_network(of_transformers("Dinov2").eval(), preprocess="unit", input_shape=(3, 64, 64))
    network.look(tokens="class")
    last = [layer for layer in network.layers if layer.tokens][-1]
    with pytest.raises(dif.InputError, match=re.escape(f"layer {last.name!r} has the shape (17, 24); expe")):
        dif.record(network, {"a": zoo.photographs(64)}, tokens="class", class_layer=last.name)


def test_half_precision_is_averaged_in_full() -> None:
    """What is kept is float32, so the mean is not rounded before."""
    cut = Cut((9, 4), 1, 8, averaged=True)
    values = torch.arange(2 * 9 * 4, dtype=torch.float32).reshape(2, 9, 4).to(torch.bfloat16)
    found = cut.of(values)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, values[:, 1:].float().mean(1), rtol=0, atol=0)
    assert cut.of(values.double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("shapes", "joined"),
    [
        ({"cls_token": (1, 1, 8), "reg_token": (1, 4, 8), "pos_embed": (1, 21, 8)}, Joined(True, 5)),
        ({"embeddings.cls_token": (1, 1, 8), "embeddings.mask_token": (1, 8)}, Joined(True, 1)),
        ({"vision_model.embeddings.class_embedding": (8,)}, Joined(True, 1)),
        ({"vit/embedding/cls_token/embeddings": (1, 8)}, Joined(True, 1)),
        ({"cls_token_0": (1, 1, 8), "cls_token_1": (1, 1, 16)}, Joined(True, 1)),
        ({"cls_token": (1, 2, 8)}, Joined(True, 2)),
        ({"distillation_token": (1, 1, 8), "class_token": (1, 1, 8)}, Joined(True, 2)),
        ({"cls_token": (1, 1, 8), "storage_tokens": (1, 4, 8)}, Joined(True, 5)),
        ({"register_tokens": (1, 4, 8)}, Joined(False, 4)),
        ({"class_embedding.weight": (1000, 8)}, Joined(False, 0)),  # what a picture is to show
        ({"head.weight": (10, 8), "token_norm.weight": (8,)}, Joined(False, 0)),
    ],
)
def test_tokens_by_the_names_of_weights(shapes: dict[str, tuple[int, ...]], joined: Joined) -> None:
    """Of the last part of the name; numbers and the names of single weights do not matter."""
    assert joined_tokens(shapes.items()) == joined


@pytest.mark.parametrize(
    ("lengths", "maps", "joined", "constant", "places"),
    [
        # Joined in sight; the patches alone come before.
        ([16, 17], {16}, Joined(True, 1), {16: (), 17: (0,)}, {16: Places(0, 16), 17: Places(1, 16, 0)}),
        # Not in sight: by the names, where a map has as many places.
        ([17], {16}, Joined(True, 1), {17: ()}, {17: Places(1, 16, 0)}),
        ([17], set(), Joined(True, 1), {17: ()}, {}),
        # A later stage with fewer patches is like the first.
        (
            [17, 5],
            {16, 4},
            Joined(True, 1),
            {17: (16,), 5: ()},
            {17: Places(0, 16, 16), 5: Places(0, 4, 4)},
        ),
        # More is constant than the names say: the class token can't be told from the rest.
        ([20], {16}, Joined(True, 1), {20: (0, 1, 2, 3)}, {20: Places(4, 16)}),
        # A patch that is constant by chance.
        ([17], {16}, Joined(True, 1), {17: (0, 9)}, {17: Places(1, 16, 0)}),
        ([16], {16}, Joined(False, 0), {16: (3,)}, {16: Places(0, 16)}),
        # In the midst of others.
        ([20], set(), Joined(True, 1), {20: (0, 7)}, {}),
        ([17], {16}, Joined(True, 1), {17: (7,)}, {}),
        # No names: what is constant is no patch, in later stages too.
        ([18, 6], {16, 4}, Joined(False, 0), {18: (0, 1), 6: ()}, {18: Places(2, 16), 6: Places(2, 4)}),
        ([16, 9], set(), Joined(False, 0), {16: ()}, {16: Places(0, 16), 9: Places(0, 9)}),
        # Before and behind.
        ([20], {16}, Joined(True, 4), {20: (0, 17, 18, 19)}, {20: Places(1, 16, 0)}),
    ],
)
def test_where_tokens_stand(
    lengths: list[int],
    maps: set[int],
    joined: Joined,
    constant: dict[int, tuple[int, ...]],
    places: dict[int, Places],
) -> None:
    """By what is constant, by names, and by maps; what can't be told is left out."""
    assert places_by_length(lengths, maps, joined, constant) == places


def test_which_layers_hold_tokens() -> None:
    """Sequences; rows of the proportions of the image, and windows of them, where there is attention."""

    def layer(name: str, shape: tuple[int, ...], axis: int | None = None, **about: Any) -> Layer:
        last = len(shape) - 1
        return Layer(name, "Linear", shape, name, channel_axis=last if axis is None else axis, **about)

    layers = [
        layer("map", (8, 6, 4), 0),
        layer("rows", (6, 4, 8)),
        layer("heads", (2, 12, 8)),
        layer("windows", (6, 4, 8), folded=6),
        layer("padded", (8, 4, 8), folded=8),
        layer("sequence", (24, 8)),
        layer("unknown", (24, 8)),
        layer("others", (24, 9)),
        layer("one", (1, 8)),
        layer("vector", (8,)),
    ]
    layers = [replace(one, channel_axis=None) if one.name in ("unknown", "others") else one for one in layers]
    attention = Layer("attention", "WindowAttention", (4, 4), "attention")

    def found(*more: Layer, first: bool = True) -> list[str]:
        return [one.name for one in layers_of_tokens([*layers, *more], (48, 32, 3), channels_first=first)]

    assert found(attention) == ["rows", "windows", "sequence", "unknown"]
    assert found() == ["sequence", "unknown"]
    assert found(attention, first=False) == ["sequence", "unknown"]
