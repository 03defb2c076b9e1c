"""Passes: what they keep of every image is what the network gave; memory of images x units."""

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
from helpers.recordings import SETS, by_hand, for_ranking, leave_memory, load, write_images
from torch import nn

import differentia as dif
from differentia.networks.graph import PassGraph
from differentia.recording.division import Part
from differentia.recording.options import RecordOptions
from differentia.recording.passes import Instruments, Passes
from differentia.recording.record import held_store, make_ready, record_kinds
from differentia.recording.units import UNIT_KINDS
from differentia.system.fields import accept


def test_progress_counts_to_the_end() -> None:
    """Progress is told after every batch, with the set at hand."""
    told: list[tuple[int, int, str]] = []
    dif.record(load(), SETS, pool=5, batch_size=4, progress=lambda *report: told.append(report))
    assert told == [
        *((4, 16, "recording few"), (5, 16, "recording few")),
        *((done, 16, "recording many") for done in (9, 13, 16)),
    ]


def test_memory_is_images_times_units() -> None:
    """What is held grows with the pool, not with the layers; all units are the control."""
    module = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(inplace=True))
    sets = {"a": np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)}
    network = dif.load_network(module, preprocess="unit", input_shape=(3, 32, 32))

    def peak(**options: Any) -> int:
        dif.record(network, sets, batch_size=8, **options)  # whatever is made once
        found = []
        for _ in range(2):  # what threads of tests before this one take, counts too: the less is meant
            tracemalloc.start()
            responses = dif.record(network, sets, batch_size=8, **options)
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            kept = sum(np.asarray(values).nbytes for values in responses.values.values())
            found.append(most + kept)  # which the system gives, unseen by Python
        return min(found)

    everything = 200 * 2 * 28_800 * 4  # images x layers x units x bytes, the input apart
    assert peak(pool=100) < 0.1 * everything
    assert peak(units="all") > everything


KINDS = tuple(UNIT_KINDS)


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
    folder = write_images(tmp_path / "a", SETS["many"])
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


def test_what_reads_a_network_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a process that does several tasks: as what each makes for itself, to the bit, in both rounds."""
    made: list[str] = []

    class Counted(PassGraph):
        def __init__(self, *given: Any) -> None:
            made.append("graph")
            super().__init__(*given)

        def reading(self, *given: Any) -> Any:
            made.append("reading")
            return super().reading(*given)

    monkeypatch.setattr("differentia.networks.graph.PassGraph", Counted)
    network = load()
    monkeypatch.setattr(type(network), "rewritten", True)
    options: dict[str, Any] = {"units": ("random", "top"), "pool": 9, "batch_size": 2}
    options |= {"layers": ["conv", "head"], "progress": lambda *_: None}
    found = {}
    for kept in (False, True):
        made.clear()
        given = accept(RecordOptions, {**options, "store": tmp_path / str(kept)})
        ready, instruments = make_ready(network, SETS, given), Instruments()
        for part in [Part(number, 4) for _ in range(2) for number in (1, 2, 3, 4)]:
            with held_store(ready, part) as store:
                Passes(
                    *(ready.show, ready.plan, store, ready.budget),
                    part=part,
                    instruments=instruments if kept else None,
                ).record_part(part)
        counts = made.count("graph"), made.count("reading")
        found[kept] = counts, record_kinds(network, SETS, given)
    (once, of_one), (often, of_each) = found[True], found[False]
    assert once[0] == 1
    assert often[0] == 6  # of four parts one has no images
    assert once[1] < often[1] / 2
    for kind, expected in of_each.items():
        for name, values in expected.values.items():
            np.testing.assert_array_equal(of_one[kind].units[name], expected.units[name])
            np.testing.assert_array_equal(of_one[kind].values[name], values)
