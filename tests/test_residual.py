"""A trained residual network on real photographs, block by block, against a forward pass written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import pytest
import torch
import xarray as xr
from helpers import oracles
from helpers.resnet20 import WEIGHTS, ResNet20, load_resnet20
from safetensors.torch import load_file
from torch.nn import functional

import differentia as dif

pytestmark = [
    pytest.mark.real_data,
    # Some of the cats are there twice, which tests/test_real_data.py looks at.
    pytest.mark.filterwarnings("ignore:images of one set have the same content"),
]

BLOCKS = [f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(3)]
LAYERS = ["input", "conv1", "bn1", *BLOCKS, "linear"]
ACTIVATIONS = [f"{block}/relu{call}" for block in BLOCKS for call in ("", ":1")]

#: Of ImageNet's red, green and blue, as all of PyTorch's networks take them.
MEAN, SD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class Stage(NamedTuple):
    """What the tests share: the three sets, what was recorded of them, and the same computed by hand."""

    sets: dict[str, Any]
    recorded: dif.Responses
    pixels: dict[str, np.ndarray]
    state: dict[str, torch.Tensor]
    by_hand: dict[str, dict[str, np.ndarray]]


def pixels_of(paths: list[Path]) -> np.ndarray:
    """Return files as a batch of 32 x 32 RGB images, by Pillow alone."""
    batch = []
    for path in paths:
        with PIL.Image.open(path) as image:
            batch.append(np.asarray(image.convert("RGB").resize((32, 32), PIL.Image.Resampling.BILINEAR)))
    return np.stack(batch)


def by_number(path: Path) -> tuple[int, str]:
    """Return what puts ``noise-2.png`` before ``noise-10.png``."""
    return len(path.name), path.name


def by_hand(
    state: dict[str, torch.Tensor], pixels: np.ndarray, *, shortcuts: bool = True
) -> dict[str, np.ndarray]:
    """Return what each layer gives, in float64, by functions of the weights; no module, no hook."""

    def convolved(name: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        return functional.conv2d(x, state[f"{name}.weight"], stride=stride, padding=1)

    def normed(name: str, x: torch.Tensor) -> torch.Tensor:
        centre, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return functional.batch_norm(x, centre, variance, state[f"{name}.weight"], state[f"{name}.bias"])

    rgb = (pixels / 255 - MEAN) / SD
    values = {"input": torch.from_numpy(rgb).permute(0, 3, 1, 2)}
    values["conv1"] = convolved("conv1", values["input"])
    values["bn1"] = normed("bn1", values["conv1"])
    values["ResNet20/relu"] = x = functional.relu(values["bn1"])
    for name in BLOCKS:
        stride = 2 if name in ("layer2.0", "layer3.0") else 1
        out = functional.relu(normed(f"{name}.bn1", convolved(f"{name}.conv1", x, stride)))
        values[f"{name}/relu"] = out
        out = normed(f"{name}.bn2", convolved(f"{name}.conv2", out))
        if shortcuts:
            kept = x[:, :, ::stride, ::stride]
            none = kept.new_zeros(len(kept), (out.shape[1] - kept.shape[1]) // 2, *kept.shape[2:])
            out = out + torch.cat([none, kept, none], dim=1)
        values[f"{name}/add"] = out
        values[name] = values[f"{name}/relu:1"] = x = functional.relu(out)
    values["ResNet20/mean"] = x.mean((2, 3))
    values["linear"] = functional.linear(x.mean((2, 3)), state["linear.weight"], state["linear.bias"])
    return {name: value.flatten(1).numpy() for name, value in values.items()}


@pytest.fixture(scope="module")
def stage(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Noise, the first 43 cats, and 43 photographs of many things, all shown at 32 x 32."""
    noise = dif.save_images(dif.noise(43), tmp_path_factory.mktemp("noise"), size=(32, 32, 3))
    folders = {"noise": noise, "cats": real_data / "cats", "photographs": real_data / "random"}
    files = {name: sorted(folder.iterdir(), key=by_number)[:43] for name, folder in folders.items()}
    sets: dict[str, Any] = {name: [str(path) for path in paths] for name, paths in files.items()}
    sets["noise"] = "noise:43"  # the same, from memory
    state = {name: value.double() for name, value in load_file(real_data / WEIGHTS).items()}
    pixels = {name: pixels_of(paths) for name, paths in files.items()}
    recorded = dif.record(load_resnet20(real_data), sets, units="all", layers=[":blocks"])
    return Stage(sets, recorded, pixels, state, {name: by_hand(state, pixels[name]) for name in sets})


@pytest.fixture(scope="module")
def result(stage: Stage) -> xr.Dataset:
    return dif.measure_responses(stage.recorded)


def values_of(result: xr.Dataset) -> tuple[xr.DataArray, ...]:
    """Return the differentiation of noise, cats and photographs, by layer."""
    values = result["differentiation"].isel(n_units=0, draw=0)
    return tuple(values.sel(set=name) for name in ("noise", "cats", "photographs"))


def test_cats_are_cats(real_data: Path) -> None:
    """The network is what it was trained as: it calls 90 of 100 cats so, and 5 of 43 other photographs.

    A wrong shortcut, padding or preprocessing would leave less; the bounds leave room for another decoder.
    """
    sets = {"cats": real_data / "cats", "photographs": real_data / "random"}
    best = dif.top_classes(dif.measure(load_resnet20(real_data), sets, layers=["linear"]))
    is_cat = best["class_name"].values[:, 0] == "cat"
    share = {name: is_cat[best["image_set"].values == name].mean() for name in sets}
    assert share["cats"] > 0.85
    assert share["photographs"] < 0.2


def test_blocks_are_found(real_data: Path, stage: Stage) -> None:
    """Nine of three stages, and what stands before and after them: no stage, and no part of a block."""
    assert [layer.name for layer in stage.recorded.layers] == LAYERS
    every = {layer.name for layer in load_resnet20(real_data).layers}
    assert {"layer1", "layer3.2.bn2", "ResNet20"} < every - set(LAYERS)


def recorded_of(stage: Stage, name: str, layer: str) -> np.ndarray:
    """Return what was recorded of a set, the units in the order of the layer itself."""
    responses = np.asarray(stage.recorded.values[layer])[stage.recorded.sets[name]]
    return responses[:, np.argsort(stage.recorded.units[layer])]


def largest_error(given: np.ndarray, expected: np.ndarray) -> float:
    """Return the distance of two responses over the length of the expected one; that of the worst image."""
    return float((np.linalg.norm(given - expected, axis=1) / np.linalg.norm(expected, axis=1)).max())


def test_blocks_are_recorded_as_by_hand(stage: Stage) -> None:
    """All units of every image, within 1e-5 of what functions of the weights give in float64.

    One wrong unit of 16,384 would be an error of some 0.01. Without the shortcuts, all blocks are wrong.
    """
    without = by_hand(stage.state, stage.pixels["cats"], shortcuts=False)
    for layer in LAYERS:
        for name, expected in stage.by_hand.items():
            assert largest_error(recorded_of(stage, name, layer), expected[layer]) < 1e-5, (layer, name)
        wrong = largest_error(recorded_of(stage, "cats", layer), without[layer])
        assert wrong > 0.1 if layer in (*BLOCKS, "linear") else wrong < 1e-5, layer


def test_activations_are_recorded_as_by_hand(real_data: Path, stage: Stage) -> None:
    """Functions that are no modules: all units of every image within 1e-5, and none that was not named.

    What was before the activation is another thing, and so is the activation without the shortcut.
    """
    network, sets = load_resnet20(real_data), stage.sets

    def recorded(pattern: str) -> dif.Responses:
        return dif.record(network, sets, units="all", layers=[pattern], views=False)

    activations, sums, first = map(recorded, ("layer*/relu*", "*/add", "ResNet20/*"))
    assert [layer.name for layer in activations.layers] == ACTIVATIONS
    assert [layer.name for layer in sums.layers] == [f"{block}/add" for block in BLOCKS]
    assert [layer.name for layer in first.layers] == ["ResNet20/relu", "ResNet20/mean"]
    assert {layer.channel_axis for layer in (*activations.layers, *sums.layers)} == {0}
    for responses in (activations, sums, first):
        of_these = stage._replace(recorded=responses)
        for layer in responses.values:
            for name, expected in stage.by_hand.items():
                assert largest_error(recorded_of(of_these, name, layer), expected[layer]) < 1e-5, (
                    layer,
                    name,
                )
    of_these, hand = stage._replace(recorded=activations), stage.by_hand["cats"]
    without = by_hand(stage.state, stage.pixels["cats"], shortcuts=False)
    for block in BLOCKS:
        given = recorded_of(of_these, "cats", f"{block}/relu:1")
        assert largest_error(given, hand[f"{block}/add"]) > 0.1
        assert largest_error(given, without[f"{block}/relu:1"]) > 0.1


def test_blocks_are_measured_as_by_loops(stage: Stage, result: xr.Dataset) -> None:
    """A double loop over what was computed by hand, in float64: within 1e-5."""
    for name, values in zip(stage.by_hand, values_of(result), strict=True):
        for layer in LAYERS:
            expected = oracles.differentiation_by_loops(stage.by_hand[name][layer])
            assert float(values.sel(layer=layer)) == pytest.approx(expected, rel=1e-5), (layer, name)


def test_noise_falls(result: xr.Dataset) -> None:
    """From stage to stage, and once more at the end: 1.405 at the input, 1.22, 1.08, 0.94, and 0.39.

    A stage is the mean of its blocks: within one noise may rise, as it does in published curves.
    """
    noise, cats, photographs = values_of(result)
    # Independent entries of one variance would give sqrt(2); ImageNet's means and SDs differ by channel.
    within = (256**2 - 1) / 12 / 255**2 * np.mean(1 / SD**2)
    expected = np.sqrt(2 * within / (within + np.var((0.5 - MEAN) / SD)))
    assert float(noise.sel(layer="input")) == pytest.approx(expected, abs=0.003)
    assert float(noise.sel(layer="input")) > max(float(one.sel(layer="input")) for one in (cats, photographs))
    stages = noise.sel(layer=BLOCKS).values.reshape(3, 3).mean(axis=1)
    # Other noise gives the same within 0.01, and each step is 0.13 or more.
    assert (np.diff([expected, *stages]) < -0.1).all()
    assert float(noise.sel(layer="linear")) < expected / 3


def test_photographs_stay_high(result: xr.Dataset) -> None:
    """They are below noise in the first block (1.07, 1.04, noise 1.26), and above it from the fourth on.

    At the end are 1.25 (photographs of many things), 0.79 (cats) and 0.39 (noise).
    """
    noise, cats, photographs = values_of(result)
    for one in (cats, photographs):
        assert float(one.sel(layer="layer1.0")) < float(noise.sel(layer="layer1.0")) - 0.1
        assert float(one.sel(layer=BLOCKS).min()) > 1
        # The least that is between them: 0.19 at layer2.2, where intervals are 0.04 either side.
        assert float((one - noise).sel(layer=BLOCKS[3:]).min()) > 0.1
    # Midway between what was seen of the two nearest.
    assert float(noise.sel(layer="linear")) < 0.6 < float(cats.sel(layer="linear"))
    assert float(cats.sel(layer="linear")) < 1.0 < float(photographs.sel(layer="linear"))


def test_cats_fall_at_the_very_end(result: xr.Dataset) -> None:
    """They are as differentiated as the photographs up to the last stage, and less in its last block."""
    compared = dif.contrast(result, "photographs", "cats").sel(layer=["input", *BLOCKS, "linear"])
    differ = dict(zip(compared["layer"].values.tolist(), compared["p_corrected"].values < 0.01, strict=True))
    # layer3.0 and layer3.1 are between: 0.02 and 0.03 apart, p 0.10 and 0.008.
    assert not any(differ[layer] for layer in ("input", *BLOCKS[:6]))
    assert differ["layer3.2"]
    assert differ["linear"]
    apart = compared["difference"].sel(layer=["layer3.2", "linear"]).values
    # 0.14 and 0.45 were seen, and at most 0.04 before; their intervals begin at 0.09 and 0.31.
    assert apart[0] > 0.09
    assert apart[1] > 0.31


def test_an_untrained_network_shows_no_such_pattern(stage: Stage) -> None:
    """Its last block has photographs and noise 0.03 apart, the trained one 0.41; at the end all fall."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = dif.load_network(ResNet20(), preprocess="imagenet", input_shape=(3, 32, 32))
    untrained = dif.measure(network, stage.sets, units="all", layers=[":blocks"])
    noise, cats, photographs = values_of(untrained)
    for one in (cats, photographs):
        assert abs(float((one - noise).sel(layer="layer3.2"))) < 0.1
        assert float(one.sel(layer="linear")) < 0.7
