"""Recording: the same units for every image, whatever the batches; memory of images x units."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from helpers import oracles
from helpers.networks import tricky
from torch import nn

import differentia as dif
from differentia.networks.layers import select_layers
from differentia.recording.options import RecordOptions
from differentia.recording.record import record_kinds
from differentia.recording.units import UNIT_KINDS, filter_order, unit_order
from differentia.system.fields import accept

RNG = np.random.default_rng(0)
SETS = {
    "few": RNG.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8),
    "many": RNG.integers(0, 256, (11, 16, 16, 3), dtype=np.uint8),
}


def load(module: nn.Module | None = None) -> dif.Network:
    return dif.load_network(module or tricky(), preprocess="unit", input_shape=(3, 16, 16))


def test_same_units_for_every_image_and_set() -> None:
    """The pool's units are those of the order, in that order, in every row."""
    sampled = dif.record(load(), SETS, pool=50, seed=4)
    everything = dif.record(load(), SETS, units="all")
    assert sampled.sets == {"few": slice(0, 5), "many": slice(5, 16)}
    for layer in sampled.layers:
        units = sampled.units[layer.name]
        assert np.array_equal(units, unit_order(layer.name, layer.size, min(50, layer.size), seed=4))
        np.testing.assert_array_equal(
            sampled.values[layer.name], everything.values[layer.name][:, units], err_msg=layer.name
        )
    others = dif.record(load(), SETS, pool=50, seed=5)
    assert not np.array_equal(others.units["conv"], sampled.units["conv"])


def test_units_do_not_depend_on_layers_sets_or_pool() -> None:
    """Other layers, other sets and a larger pool leave the units of a layer where they were."""
    first = dif.record(load(), SETS, pool=50)
    second = dif.record(load(), {"many": SETS["many"]}, pool=80, layers=["conv"])
    assert np.array_equal(second.units["conv"][:50], first.units["conv"])
    kept = np.asarray(first.values["conv"])[5:]
    np.testing.assert_array_equal(np.asarray(second.values["conv"])[:, :50], kept)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 16])
def test_batch_size_does_not_matter(batch_size: int) -> None:
    """Short last batches included."""
    whole = dif.record(load(), SETS, pool=100, batch_size=100)
    parts = dif.record(load(), SETS, pool=100, batch_size=batch_size)
    for name, values in whole.values.items():
        np.testing.assert_allclose(
            np.asarray(parts.values[name]), np.asarray(values), rtol=1e-4, atol=1e-6, err_msg=name
        )


def test_images_are_labelled() -> None:
    """Each row knows its set, its name and its content."""
    responses = dif.record(load(), SETS, pool=5)
    assert [image.set for image in responses.images] == ["few"] * 5 + ["many"] * 11
    assert [image.name for image in responses.images[5:]] == [str(n) for n in range(11)]
    assert len({image.hash for image in responses.images}) == 16


def test_progress_counts_to_the_end() -> None:
    """Progress is told after every batch, with the set at hand."""
    told: list[tuple[int, int, str]] = []
    dif.record(load(), SETS, pool=5, batch_size=4, progress=lambda *report: told.append(report))
    assert told == [
        *((4, 16, "few"), (5, 16, "few")),
        *((9, 16, "many"), (13, 16, "many"), (16, 16, "many")),
    ]


def test_memory_is_images_times_units() -> None:
    """What is held grows with the pool, not with the layers; all units are the control."""
    module = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(inplace=True))
    sets = {"a": np.random.default_rng(0).integers(0, 256, (400, 32, 32, 3), dtype=np.uint8)}
    network = dif.load_network(module, preprocess="unit", input_shape=(3, 32, 32))

    def peak(**options: Any) -> int:
        dif.record(network, sets, batch_size=8, **options)  # whatever is made once
        tracemalloc.start()
        responses = dif.record(network, sets, batch_size=8, **options)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        kept = sum(np.asarray(values).nbytes for values in responses.values.values())
        return most + kept  # which the system gives, unseen by Python

    everything = 400 * 2 * 28_800 * 4  # images x layers x units x bytes, the input apart
    assert peak(pool=100) < 0.1 * everything
    assert peak(units="all") > everything


def test_too_much_for_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the size, the budget and what to do instead."""
    leave_memory(monkeypatch, 10)
    with pytest.raises(
        dif.InputError, match=r"responses of 11 layers to 16 images take .* use --units random"
    ):
        dif.record(load(), SETS, units="all")
    with pytest.raises(dif.InputError, match="fewer --n-units than 100,000"):
        dif.record(load(), SETS)


class Overflows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(torch.where(x.amax((1, 2, 3), keepdim=True) > 0.99, torch.nan, x))


def test_a_response_that_is_not_finite_is_named() -> None:
    """The error names the set, the layer and the first offending image."""
    images = np.full((6, 16, 16, 3), 100, np.uint8) + np.arange(6, dtype=np.uint8)[:, None, None, None]
    images[4] = 255
    sets = {"fine": images[:3], "bad": images[3:]}
    with pytest.raises(dif.RecordingError, match=r"set 'bad', layer 'act', image '1': .* are nan"):
        dif.record(load(Overflows()), sets, pool=10)
    images[4] = 100
    assert len(dif.record(load(Overflows()), sets, pool=10).images) == 6


@pytest.mark.parametrize(
    ("sets", "options", "message"),
    [
        ({}, {}, "no set of images"),
        ("noise:3", {}, "the sets are a str; expected {name: images}"),
        ({1: SETS["few"], "1": SETS["few"]}, {}, "two sets have the name '1'"),
        ({"a": SETS["few"][:1]}, {}, "set 'a' has 1 image .* at least 2"),
        ({"a": "nowhere/"}, {}, "set 'a': nowhere/: no such file"),
        (SETS, {"units": "some"}, "unknown kind of units 'some'"),
        (SETS, {"pool": 0}, "pool is 0"),
        (SETS, {"batch_size": 0}, "batch_size is 0"),
        (SETS, {"seed": -1}, "seed is -1"),
        (SETS, {"resize": "big"}, "unknown resize filter 'big'"),
        (SETS, {"layers": ["convx"]}, "Did you mean 'conv'"),
    ],
)
def test_what_can_not_be_recorded_is_refused(sets: Any, options: dict[str, Any], message: str) -> None:
    """Each error says what was given."""
    with pytest.raises(dif.InputError, match=message):
        dif.record(load(), sets, **options)


KINDS = tuple(UNIT_KINDS)


def by_hand() -> dict[str, np.ndarray]:
    """Return what each layer gives for all images of all sets, by a forward pass without this package."""
    images = np.concatenate(list(SETS.values())).astype(np.float32) / np.float32(255)
    with torch.no_grad():
        given = tricky().eval().by_hand(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    return {name: value.double().numpy() for name, value in given.items() if name != "drop"}


def leave_memory(monkeypatch: pytest.MonkeyPatch, n_bytes: float) -> None:
    """Let responses take `n_bytes` and no more."""
    monkeypatch.setattr("differentia.recording.record.memory_budget", lambda given: n_bytes)


def for_ranking(network: Any, *layers: str) -> int:
    """Return the bytes that the ranking of units takes, of all layers or of some."""
    return 24 * sum(layer.size for layer in select_layers(network.layers, layers or None))


def test_per_filter() -> None:
    """The same number of every filter, in rounds; the values are those of the very units."""
    responses = dif.record(load(), SETS, pool=30, units="per_filter", seed=4)
    everything = dif.record(load(), SETS, units="all")
    sizes = {}
    for layer in responses.layers:
        units = responses.units[layer.name]
        assert np.array_equal(units, filter_order(layer, len(units), seed=4))
        whole = everything.values[layer.name]
        np.testing.assert_array_equal(responses.values[layer.name], whole[:, units], err_msg=layer.name)
        sizes[layer.name] = len(units)
    assert (sizes["input"], sizes["conv"], sizes["split[0]"]) == (30, 24, 28)
    assert (sizes["named[mean]"], sizes["head"]) == (8, 5)
    assert len(dif.record(load(), SETS, pool=1, units="per_filter").units["conv"]) == 8


def test_filter_means() -> None:
    """One number per filter, its mean over space in float64."""
    responses = dif.record(load(), SETS, units="filter_mean")
    given = by_hand()
    assert set(given) == set(responses.values)
    for layer in responses.layers:
        expected = oracles.filter_means(given[layer.name], 0)
        np.testing.assert_allclose(
            np.asarray(responses.values[layer.name]), expected, atol=1e-6, err_msg=layer.name
        )
        assert responses.units[layer.name].tolist() == list(range(expected.shape[1]))


@pytest.mark.parametrize("two_passes", [False, True])
@pytest.mark.parametrize(("kind", "score"), [("top", np.mean), ("top_variance", np.var)])
def test_the_highest_units_of_all_images(
    kind: str, score: Callable[..., np.ndarray], two_passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranked over all images of all sets together, in one pass or in two."""
    everything = dif.record(load(), SETS, units="all")
    if two_passes:
        leave_memory(monkeypatch, 1e5 + for_ranking(load()))
    told: list[tuple[int, int, str]] = []
    ranked = dif.record(load(), SETS, pool=50, units=kind, progress=lambda *report: told.append(report))
    assert told[-1] == ((32, 32, "many") if two_passes else (16, 16, "many"))
    for name, values in everything.values.items():
        whole = np.asarray(values)
        scores = score(whole.astype(np.float64), axis=0)
        best = oracles.highest(scores, 50)
        assert ranked.units[name].tolist() == best, name
        np.testing.assert_array_equal(ranked.values[name], whole[:, best], err_msg=name)
        first_set_only = oracles.highest(score(whole[:5].astype(np.float64), axis=0), 50)
        assert len(best) < 50 or first_set_only != best


def test_ties_are_broken_by_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units that never change rank by their index, in one pass and in two."""

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            steps = torch.arange(x[0].numel()).remainder(3).reshape(x.shape[1:])
            return self.act(steps + 0.0 * x + 0.1)

    expected = [unit for value in (2, 1) for unit in range(value, 768, 3)][:300]
    for available in (1e9, 6e4):
        leave_memory(monkeypatch, available)
        options: dict[str, Any] = {"layers": ["act"], "pool": 300, "views": False}
        ranked = record_kinds(
            load(Steps()), SETS, accept(RecordOptions, {"units": ("top", "top_variance"), **options})
        )
        assert ranked["top"].units["act"].tolist() == expected
        assert ranked["top_variance"].units["act"].tolist() == list(range(300))


@pytest.mark.parametrize("available", [1e9, 2e5])
def test_kinds_together_are_as_each_alone(available: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass (or two) for several kinds keeps what a pass for each keeps."""
    few = available < 1e6  # sketches have at least as many sums as these layers have units
    kinds = [kind for kind in KINDS if not (few and kind in ("all", "sketch"))]
    options: dict[str, Any] = {"pool": 20, "seed": 2, "layers": ["conv", "act:1", "head"]}
    alone = {kind: dif.record(load(), SETS, units=kind, **options) for kind in kinds}
    leave_memory(monkeypatch, available)
    together = record_kinds(load(), SETS, accept(RecordOptions, {"units": kinds, **options}))
    assert list(together) == kinds
    for kind, one in alone.items():
        assert together[kind].unit_kind == kind
        assert together[kind].images == one.images
        for name, values in one.values.items():
            np.testing.assert_array_equal(together[kind].units[name], one.units[name], err_msg=kind)
            np.testing.assert_array_equal(together[kind].values[name], values, err_msg=kind)


def write(folder: Path, images: np.ndarray) -> Path:
    """Save images as 00.png, 01.png, ..."""
    folder.mkdir(exist_ok=True)
    for number, pixels in enumerate(images):
        PIL.Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: PIL.Image.fromarray(SETS["few"][0]).save(path), r"set 'a': image '08\.png' changed"),
        (lambda path: path.write_bytes(b"no image"), r"image '08\.png' changed .* recorded; run again"),
        (lambda path: (path.parent / "10.png").write_bytes(b"no image"), r"image '10\.png' changed"),
        (lambda path: None, None),
    ],
)
def test_images_that_change_between_the_passes(
    change: Callable[[Path], Any], message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units chosen by what other images did would be wrong: an error names the image."""
    folder = write(tmp_path / "a", SETS["many"])
    leave_memory(monkeypatch, 1e5 + for_ranking(load()))

    def after(done: int, total: int, name: str) -> None:
        if done == 11:
            assert total == 22
            change(folder / "08.png")

    options: dict[str, Any] = {"units": "top", "pool": 5, "skip_unreadable": True, "progress": after}
    if message is None:
        assert len(dif.record(load(), {"a": folder}, **options).images) == 11
        return
    with pytest.raises(dif.RecordingError, match=message):
        dif.record(load(), {"a": folder}, **options)


class OneBadUnit(nn.Module):
    """Gives a bad number in one unit of 768, for one image."""

    def __init__(self, bad: float) -> None:
        super().__init__()
        self.act = nn.Identity()
        self.bad = bad

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[:, 2, 7, 9] = torch.where(x.amax((1, 2, 3)) > 0.99, self.bad, x[:, 2, 7, 9])
        return self.act(x)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("two_passes", [False, True])
@pytest.mark.parametrize("units", ["random", "per_filter", "filter_mean", "top", "top_variance"])
def test_a_bad_unit_is_found_though_it_is_not_sampled(
    units: str, two_passes: bool, bad: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every unit is looked at for the means; without them only what is ranked by them is."""
    images = np.full((5, 16, 16, 3), 100, np.uint8) + np.arange(5, dtype=np.uint8)[:, None, None, None]
    images[3] = 255
    options: dict[str, Any] = {"units": units, "pool": 4, "layers": ["act"], "batch_size": 2}
    if two_passes:
        leave_memory(monkeypatch, 5e3 + for_ranking(load(OneBadUnit(bad)), "act"))
    with pytest.raises(dif.RecordingError, match=r"set 'a', layer 'act', image '3': .* are -?(nan|inf)"):
        dif.record(load(OneBadUnit(bad)), {"a": images}, **options)
    if units in ("random", "per_filter"):
        assert (
            2 * 256 + 7 * 16 + 9
            not in dif.record(load(OneBadUnit(bad)), {"a": images}, views=False, **options).units["act"]
        )
    else:
        with pytest.raises(dif.RecordingError, match="image '3'"):
            dif.record(load(OneBadUnit(bad)), {"a": images}, views=False, **options)


def test_moments_and_filter_means_of_all_units() -> None:
    """Of each image and layer, whatever is sampled; equal to float64 over a forward pass."""
    responses = dif.record(load(), SETS, pool=3)
    assert responses.moments is not None
    for place, (layer, given) in enumerate(zip(responses.layers, by_hand().values(), strict=True)):
        mean, variance = oracles.moments(given)
        np.testing.assert_allclose(responses.moments.mean[:, place], mean, atol=1e-6, err_msg=layer.name)
        np.testing.assert_allclose(responses.moments.variance[:, place], variance, rtol=2e-6, atol=1e-9)
        expected = oracles.filter_means(given, 0)
        np.testing.assert_allclose(responses.views.filter_means[layer.name], expected, atol=1e-6)


def test_predictions() -> None:
    """Through a softmax, also where the last layer is not among those chosen."""
    responses = dif.record(load(), SETS, pool=3, layers=["conv"])
    assert [layer.name for layer in responses.layers] == ["conv"]
    predictions = responses.views.predictions
    assert predictions is not None
    np.testing.assert_allclose(predictions.probabilities, oracles.softmax(by_hand()["head"]), atol=1e-6)
    assert predictions.class_names == ("0", "1", "2", "3", "4")
    assert np.ptp(predictions.probabilities, axis=0).max() > 1e-3  # images are told apart


class Ends(nn.Module):
    """A network whose last layer is of the user's making."""

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x.mean((2, 3)))


def test_probabilities_are_left_as_they_are() -> None:
    """A softmax of a softmax would be nearly even; what sums to 1 with negative parts is no probability."""
    means = np.concatenate([images.reshape(-1, 256, 3).mean(axis=1) for images in SETS.values()]) / 255

    class Shifted(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([x[:, 0] + 1, -x[:, 0]], dim=1)

    def predicted(last: nn.Module) -> np.ndarray:
        predictions = dif.record(load(Ends(last)), SETS, pool=3).views.predictions
        assert predictions is not None
        return predictions.probabilities

    once = oracles.softmax(means)
    np.testing.assert_allclose(predicted(nn.Softmax(dim=1)), once, atol=1e-6)
    np.testing.assert_allclose(predicted(nn.ReLU()), once, atol=1e-6)
    twice = oracles.softmax(once)
    assert np.abs(twice - once).max() > 1e-3
    shifted = np.stack([means[:, 0] + 1, -means[:, 0]], axis=1)
    np.testing.assert_allclose(predicted(Shifted()), oracles.softmax(shifted), atol=1e-6)


def test_networks_without_classes_have_no_predictions() -> None:
    """A last layer of maps, or of one number, is no vector of classes."""
    assert dif.record(load(nn.ReLU()), SETS, pool=3).views.predictions is None
    assert dif.record(load(Ends(nn.Linear(3, 1))), SETS, pool=3).views.predictions is None
    assert dif.record(load(Ends(nn.Linear(3, 2))), SETS, pool=3).views.predictions is not None


def test_views_can_be_left_out() -> None:
    """Then nothing is kept beside the units and the maps that were asked for; the units are the same."""
    plain = dif.record(load(), SETS, pool=20, views=False)
    assert plain.moments is None
    assert plain.views.filter_means == {}
    assert plain.views.predictions is None
    assert plain.views.thumbnails is None
    plain = dif.record(load(), SETS, pool=20, views=False, maps={"conv": [2]})
    assert plain.moments is not None  # to draw the maps by
    assert plain.views.filter_means == {}
    assert plain.views.predictions is None
    assert [shown.layer for shown in plain.views.maps] == ["conv"]
    viewed = dif.record(load(), SETS, pool=20)
    for name, values in viewed.values.items():
        np.testing.assert_array_equal(plain.values[name], values)


@pytest.mark.parametrize("units", ["random", "filter_mean"])
def test_what_nobody_could_look_at_is_left_out(units: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters' means and thumbnails of very many images; moments, predictions and means as units stay."""
    for most, kept in ((16, True), (15, False)):
        monkeypatch.setattr("differentia.recording.record.MOST_IMAGES_TO_VIEW", most)
        responses = dif.record(load(), SETS, pool=3, units=units)
        assert (responses.views.filter_means != {}) == kept
        assert (responses.views.thumbnails is not None) == kept
        assert responses.moments is not None
        assert responses.views.predictions is not None
        assert responses.values["conv"].shape == (16, 8 if units == "filter_mean" else 3)


def test_thumbnails_are_the_images_as_they_were_shown() -> None:
    """In the order of the images; of a large image, each pixel is the mean of its block."""
    responses = dif.record(load(), SETS, pool=5, batch_size=4)
    assert responses.views.thumbnails is not None
    np.testing.assert_array_equal(responses.views.thumbnails, np.concatenate([SETS["few"], SETS["many"]]))
    large = np.random.default_rng(0).integers(0, 256, (3, 96 * 3, 48 * 3, 3), dtype=np.uint8)
    blocks = large.reshape(3, 96, 3, 48, 3, 3).mean(axis=(2, 4))
    network = dif.load_network(nn.Flatten(), preprocess="unit", input_shape=(3, 96 * 3, 48 * 3))
    kept = dif.record(network, {"large": large}, pool=5).views.thumbnails
    assert kept is not None
    assert kept.shape == (3, 96, 48, 3)
    np.testing.assert_allclose(kept, blocks, atol=1.01)  # rounded down the columns and along the rows
    grey = dif.load_network(nn.Flatten(), preprocess="unit", input_shape=(1, 96 * 3, 48 * 3))
    kept = dif.record(grey, {"large": large[..., 0]}, pool=5).views.thumbnails
    assert kept is not None
    np.testing.assert_allclose(kept[..., 0], blocks[..., 0], atol=1.01)


def test_maps() -> None:
    """The whole maps of the filters asked for, of the images at the places asked for in each set."""
    maps = {"act:1": [7, np.int64(0), 7], "input": 2, "conv": range(2)}
    responses = dif.record(load(), SETS, pool=3, maps=maps, map_images=[8, 1, 1], batch_size=4)  # type: ignore[arg-type]
    views = responses.views
    assert [(shown.layer, shown.filter) for shown in views.maps] == [
        *(("input", 2), ("conv", 0), ("conv", 1), ("act:1", 7), ("act:1", 0)),
    ]
    assert views.map_images == (1, 5 + 1, 5 + 8)  # the first set has no image 8
    given = by_hand()
    for shown in views.maps:
        expected = given[shown.layer][list(views.map_images), shown.filter]
        np.testing.assert_allclose(shown.values, expected, atol=1e-6)
    assert dif.record(load(), SETS, pool=3).views.maps == ()
    assert dif.record(load(), SETS, pool=3).views.map_images == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": {"convx": [0]}}, r"unknown layer for maps \(--map\) 'convx'\. Did you mean 'conv'"),
        ({"maps": {"head": [0]}}, r"layer 'head' has the shape \(5,\), and its filters have no height"),
        ({"maps": {"conv": [8]}}, "layer 'conv' has no filter 8; it has 8, numbered from 0 to 7"),
        ({"maps": {"conv": [-1]}}, "maps.conv is -1; expected at least 0"),
        ({"maps": {"conv": [1.0]}}, "maps.conv is 1.0; expected a whole number"),
        ({"maps": {"conv": [True]}}, "maps.conv is True; expected a whole number"),
        ({"maps": {"conv": []}}, r"maps.conv is \[\]; expected 1 or more of them"),
        ({"maps": {"conv": [0]}, "layers": ["head"]}, r"unknown layer for maps \(--map\) 'conv'"),
        (
            {"maps": {"conv": [0]}, "map_images": [-1]},
            "map_images is -1; expected at least 0",
        ),
        ({"maps": {"conv": [0]}, "map_images": ["0"]}, "map_images is '0'; expected a whole number"),
        ({"map_images": [0]}, r"map_images \(--map-images\) says whose maps are kept, but no maps"),
        ({"maps": [("conv", 0)]}, r"maps is \[\['conv', 0\]\]; expected a dictionary"),
    ],
)
def test_maps_that_can_not_be_kept(options: dict[str, Any], message: str) -> None:
    """Each error says what was given, before an image is shown."""

    def shown(*report: object) -> None:
        raise AssertionError("an image was shown")

    with pytest.raises(dif.InputError, match=message):
        dif.record(load(), SETS, progress=shown, **options)


def test_unreadable_images_are_left_out(tmp_path: Path) -> None:
    """With a warning that names them; the rest is as if they had not been there, the maps too."""
    folder = write(tmp_path / "a", SETS["many"])
    for number in (0, 4, 5):
        (folder / f"{number:02}.png").write_bytes(b"no image")
    sets = {"few": SETS["few"], "a": folder}
    options: dict[str, Any] = {"pool": 20, "maps": {"conv": [1]}, "map_images": (0, 1, 4, 6), "batch_size": 2}
    with pytest.warns(dif.DifferentiaWarning, match=r"what can't be read \(3\): set 'a': ") as caught:
        responses = dif.record(load(), sets, skip_unreadable=True, **options)
    assert len(caught) == 1
    left = [1, 2, 3, 6, 7, 8, 9, 10]
    assert [image.name for image in responses.images[5:]] == [f"{number:02}.png" for number in left]
    skipped = responses.provenance["skipped"]
    assert [(image["set"], image["name"]) for image in skipped] == [
        ("a", f"{number:02}.png") for number in (0, 4, 5)
    ]
    assert all(image["reason"] in str(caught[0].message) for image in skipped)
    assert responses.provenance["warnings"] == [{"kind": "left_out", "text": str(caught[0].message)}]
    assert responses.views.map_images == (0, 1, 4, 5 + 0, 5 + 3)  # places 1 and 6 of the folder
    assert responses.views.thumbnails is not None
    np.testing.assert_array_equal(responses.views.thumbnails[5:], SETS["many"][left])
    alone = dif.record(load(), {"few": SETS["few"], "a": SETS["many"][left]}, **options)
    for name, values in alone.values.items():
        np.testing.assert_allclose(
            np.asarray(responses.values[name]), np.asarray(values), rtol=1e-4, atol=1e-6, err_msg=name
        )
    np.testing.assert_allclose(
        responses.views.filter_means["conv"], alone.views.filter_means["conv"], rtol=1e-5, atol=1e-6
    )
    with pytest.raises(dif.InputError, match=r"set 'a': .*00\.png: can't be read as an image"):
        dif.record(load(), sets, **options)


def test_too_few_readable_images_are_refused(tmp_path: Path) -> None:
    """Two must be left in every set, though others have enough."""
    folder = write(tmp_path / "a", SETS["few"])
    for number in range(4):
        (folder / f"{number:02}.png").write_bytes(b"no image")
    message = r"set 'a' has 1 image \(.*, without what can't be read\); expected at least 2"
    with pytest.raises(dif.InputError, match=message):
        dif.record(load(), {"a": folder, "few": SETS["few"]}, pool=5, skip_unreadable=True)
    (folder / "04.png").write_bytes(b"no image")
    with pytest.raises(dif.InputError, match="set 'a' has no image"):
        dif.record(load(), {"a": folder}, pool=5, skip_unreadable=True)


def test_duplicates_are_told() -> None:
    """Within a set, by name, in a warning and in the provenance; between sets they are none."""
    images = SETS["few"]
    with pytest.warns(dif.DifferentiaWarning) as caught:
        responses = dif.record(load(), {"a": images[[0, 1, 0, 2, 0]], "b": images[[3, 3]]}, pool=5)
    assert len(caught) == 1
    assert str(caught[0].message).endswith("no distance from each other: set 'a': 0, 2, 4; set 'b': 0, 1")
    groups = responses.provenance["duplicates"]
    assert [[(image["set"], image["name"]) for image in group] for group in groups] == [
        *([("a", "0"), ("a", "2"), ("a", "4")], [("b", "0"), ("b", "1")]),
    ]
    apart = dif.record(load(), {"a": images[:3], "b": images[:3]}, pool=5)
    assert apart.provenance["duplicates"] == []
    assert responses.provenance["warnings"] == [{"kind": "same_content", "text": str(caught[0].message)}]
    assert apart.provenance["warnings"] == []
