"""Resuming: only what is missing is recorded, it is what a fresh run records, and nothing stale is used."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from helpers.joined import joined
from helpers.networks import tricky
from helpers.runs import Killed
from helpers.small_memory import OfSmallMemory
from torch import nn

import differentia as dif
from differentia.networks.probes import Probe
from differentia.recording.options import RecordOptions
from differentia.recording.record import record_kinds
from differentia.recording.store.base import KeptBatch, Quantity
from differentia.recording.store.disk import DiskStore
from differentia.recording.store.shards import MAGIC
from differentia.system.fields import accept

RNG = np.random.default_rng(0)
FEW = RNG.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
MANY = RNG.integers(0, 256, (11, 16, 16, 3), dtype=np.uint8)
SETS = {"few": FEW, "many": MANY}
SOME = ["conv", "act:1", "head"]
KINDS = ("random", "top", "per_filter", "filter_mean")


def load(module: nn.Module | None = None, preprocess: Any = "unit", **options: Any) -> dif.Network:
    return dif.load_network(module or tricky(), preprocess=preprocess, input_shape=(3, 16, 16), **options)


class Counts:
    """How many images were shown, and what was written of each layer and batch."""

    def __init__(self) -> None:
        self.images = 0
        self.written: Counter[tuple[Quantity, int]] = Counter()

    def clear(self) -> None:
        self.images = 0
        self.written.clear()

    @property
    def layers(self) -> set[str]:
        """The layers of which units were written."""
        return {quantity.layer for quantity, _ in self.written if quantity.what.startswith("random")}

    @property
    def columns(self) -> set[tuple[int, int]]:
        """The columns of units that were written."""
        return {quantity[2:] for quantity, _ in self.written if quantity.what.startswith("random")}


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counts]:
    """Counts of all that is shown and written; the images of the check of the network's behaviour apart."""
    counted = Counts()
    record, write = dif.Network.record, DiskStore.write

    def counting_record(
        self: Any, pixels: np.ndarray, probes: Mapping[str, Probe], **options: Any
    ) -> dict[str, Any]:
        counted.images += len(pixels)
        return record(self, pixels, probes, **options)

    def counting_write(self: Any, quantity: Quantity, batch: KeptBatch, values: np.ndarray) -> None:
        counted.written[quantity, batch.number] += 1
        write(self, quantity, batch, values)

    monkeypatch.setattr(dif.Network, "record", counting_record)
    monkeypatch.setattr(DiskStore, "write", counting_write)
    monkeypatch.setattr("differentia.recording.record._behaviour", lambda network, plan: {})
    yield counted
    assert all(times == 1 for times in counted.written.values()), "nothing is written twice"


def assert_same(one: dif.Responses, other: dif.Responses, rtol: float = 0.0) -> None:
    """Assert that responses are equal: to the bit, or within a tolerance relative to each layer's largest."""
    assert one.images == other.images
    assert one.layers == other.layers
    assert one.unit_kind == other.unit_kind
    pairs = [(np.asarray(one.values[name]), np.asarray(other.values[name]), name) for name in one.values]
    assert one.moments is not None
    assert other.moments is not None
    pairs += [(one.moments.mean, other.moments.mean, "mean")]
    pairs += [(one.moments.variance, other.moments.variance, "variance")]
    pairs += [(mean, other.views.filter_means[name], name) for name, mean in one.views.filter_means.items()]
    pairs += [
        (first.values, second.values, first.layer)
        for first, second in zip(one.views.maps, other.views.maps, strict=True)
    ]
    assert (one.views.predictions is None) == (other.views.predictions is None)
    if one.views.predictions is not None and other.views.predictions is not None:
        pairs += [(one.views.predictions.probabilities, other.views.predictions.probabilities, "classes")]
    for first, second, name in pairs:
        assert first.dtype == second.dtype, name
        np.testing.assert_allclose(first, second, rtol=rtol, atol=rtol * np.abs(second).max(), err_msg=name)
    assert one.views.thumbnails is not None
    np.testing.assert_array_equal(one.views.thumbnails, other.views.thumbnails)
    for name, units in one.units.items():
        np.testing.assert_array_equal(units, other.units[name])
    assert one.provenance == other.provenance


def recorded(path: Path | None, sets: Mapping[str, Any] = SETS, **options: Any) -> dict[str, dif.Responses]:
    given = {
        "pool": 50,
        "batch_size": 4,
        "layers": SOME,
        "units": ("random",),
        "maps": {"conv": [3]},
        **options,
    }
    network = given.pop("network", None) or load()
    return record_kinds(network, sets, accept(RecordOptions, {"store": path, **given}))


@pytest.mark.parametrize("two_passes", [False, True])
def test_a_store_holds_what_memory_holds(
    two_passes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every kind of units; recorded once, and read from the store by a second run, to the bit."""
    in_memory = recorded(None, units=KINDS)
    if two_passes:
        sums = 24 * sum(layer.size for layer in in_memory["random"].layers)
        monkeypatch.setattr("differentia.recording.record.memory_budget", lambda given: sums + 60_000)
    first = recorded(tmp_path / "r.zarr", units=KINDS)
    again = recorded(tmp_path / "r.zarr", units=KINDS)
    for kind, expected in in_memory.items():
        assert_same(first[kind], expected)
        assert_same(again[kind], expected)


def test_a_second_run_shows_nothing(tmp_path: Path, counts: Counts) -> None:
    """All is there: no image is shown, nothing is written; fresh=True shows all of them again."""
    recorded(tmp_path / "r.zarr", units=KINDS)
    assert counts.images == 16
    counts.clear()
    recorded(tmp_path / "r.zarr", units=KINDS)
    assert (counts.images, len(counts.written)) == (0, 0)
    recorded(tmp_path / "r.zarr", units=KINDS, fresh=True)
    assert counts.images == 16


def test_a_further_set(tmp_path: Path, counts: Counts) -> None:
    """Only its images are shown, and all is as in a run of both, to the bit: batches never mix sets."""
    recorded(tmp_path / "r.zarr", {"many": MANY})
    counts.clear()
    both = recorded(tmp_path / "r.zarr", SETS)["random"]
    assert counts.images == 5
    assert_same(both, recorded(None, SETS)["random"])


def test_a_further_layer(tmp_path: Path, counts: Counts) -> None:
    """All images are shown again, but only the new layer is written."""
    recorded(tmp_path / "r.zarr", layers=["conv", "head"])
    counts.clear()
    more = recorded(tmp_path / "r.zarr", layers=["conv", "block.1", "head"])["random"]
    assert counts.images == 16
    assert counts.layers == {"block.1"}
    assert_same(more, recorded(None, layers=["conv", "block.1", "head"])["random"])


@pytest.mark.parametrize("kept", ["class", "patches", "mean"])
def test_other_tokens_are_kept_apart(kept: str, tmp_path: Path, counts: Counts) -> None:
    """A store holds several choices of tokens; each is read where it was recorded, and never for another."""
    path = tmp_path / "r.zarr"
    network = dif.load_network(joined(), preprocess="unit", input_shape=(3, 64, 64))
    pixels = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)

    def of_tokens(store: Path | None, tokens: str) -> dif.Responses:
        options: dict[str, Any] = {"layers": ["norm", "encoder.layers.1"], "maps": {}, "network": network}
        return recorded(store, {"a": pixels}, tokens=tokens, **options)["random"]

    of_tokens(path, "all")
    counts.clear()
    found = of_tokens(path, kept)  # without a warning: both are wanted
    assert counts.images == 6
    assert_same(found, of_tokens(None, kept))
    counts.clear()
    assert_same(of_tokens(path, kept), found)
    assert_same(of_tokens(path, "all"), of_tokens(None, "all"))
    assert counts.images == 6, "those in memory"


@pytest.mark.parametrize("kind", ["filter_mean", "per_filter", "sketch"])
def test_channels_on_another_axis(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept of channels is kept again where they turn out to lie on another axis."""

    def result(store: Path | None) -> np.ndarray:
        options: dict[str, Any] = {} if kind == "filter_mean" else {"pool": 48}
        kept = recorded(store, units=(kind,), layers=["conv"], **options)[kind]
        return np.asarray(kept.values["conv"])

    before = result(tmp_path / "r.zarr")
    monkeypatch.setattr("differentia.networks.torch._channel_axis", lambda module, flow, output: 2)
    again = result(tmp_path / "r.zarr")
    np.testing.assert_array_equal(again, result(None))
    assert kind == "sketch" or before.shape != again.shape or (before != again).any()


@pytest.mark.parametrize("kind", ["random", "per_filter", "top"])
def test_ten_times_the_units(kind: str, tmp_path: Path, counts: Counts) -> None:
    """Only the further units are written, beside those that are there."""
    recorded(tmp_path / "r.zarr", units=(kind,), pool=48)
    counts.clear()
    more = recorded(tmp_path / "r.zarr", units=(kind,), pool=480)[kind]
    units = [quantity for quantity, _ in counts.written if quantity.what.startswith(kind)]
    assert {quantity.start for quantity in units} == {48}
    assert {quantity.stop for quantity in units} <= {256, 480}
    assert "head" not in {quantity.layer for quantity in units}, "it has 5 units, which were there"
    assert_same(more, recorded(None, units=(kind,), pool=480)[kind])
    counts.clear()
    fewer = recorded(tmp_path / "r.zarr", units=(kind,), pool=24)[kind]
    assert counts.images == 0
    assert_same(fewer, recorded(None, units=(kind,), pool=24)[kind])


def test_further_images_of_a_set(tmp_path: Path, counts: Counts) -> None:
    """Images are known by their content: only new ones are shown, wherever they come in the order."""
    folder = tmp_path / "a"
    folder.mkdir()
    for number, pixels in enumerate(MANY[:9]):
        PIL.Image.fromarray(pixels).save(folder / f"{number + 1}.png")
    recorded(tmp_path / "r.zarr", {"a": folder})
    counts.clear()
    for name, pixels in (("0", MANY[9]), ("10", MANY[10])):
        PIL.Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "4.png").rename(folder / "04.png")
    (folder / "7.png").unlink()
    more = recorded(tmp_path / "r.zarr", {"a": folder}, maps=None)["random"]
    assert counts.images == 2
    assert [label.name for label in more.images][:3] == ["0.png", "1.png", "2.png"]
    assert_same(more, recorded(None, {"a": folder}, maps=None)["random"], rtol=1e-5)


def test_the_same_images_under_another_name(tmp_path: Path, counts: Counts) -> None:
    """A set that is renamed is not recorded again; an image of two sets is, since its batches differ."""
    recorded(tmp_path / "r.zarr", {"a": MANY})
    counts.clear()
    renamed = recorded(tmp_path / "r.zarr", {"b": MANY})["random"]
    assert counts.images == 0
    assert_same(renamed, recorded(None, {"b": MANY})["random"])
    counts.clear()
    half = {"b": MANY, "c": MANY[3:9]}
    assert_same(recorded(tmp_path / "r.zarr", half)["random"], recorded(None, half)["random"])
    assert counts.images == 6 + 17


def test_images_twice_in_a_set(tmp_path: Path) -> None:
    """Each is kept in its own place, so that a resumed run is the same to the bit."""
    twice = np.concatenate([MANY, MANY[:2]])
    sets = {"twice": twice}
    with pytest.warns(dif.DifferentiaWarning, match="have the same content"):
        expected = recorded(None, sets)["random"]
    for _ in range(2):
        with pytest.warns(dif.DifferentiaWarning, match="have the same content"):
            resumed = recorded(tmp_path / "r.zarr", sets)["random"]
        assert_same(resumed, expected)


def test_unreadable_images(tmp_path: Path, counts: Counts) -> None:
    """They are left out of a resumed run as of the first, told again, and taken in once they are mended."""
    folder = tmp_path / "a"
    folder.mkdir()
    for number, pixels in enumerate(MANY):
        PIL.Image.fromarray(pixels).save(folder / f"{number:02}.png")
    (folder / "02.png").write_bytes(b"no image")
    (folder / "05.png").write_bytes(b"nor this")
    sets, options = {"a": folder}, {"skip_unreadable": True, "maps": None}
    with pytest.warns(dif.DifferentiaWarning, match=r"can't be read \(2\)"):
        first = recorded(tmp_path / "r.zarr", sets, **options)["random"]
    counts.clear()
    with pytest.warns(dif.DifferentiaWarning, match=r"can't be read \(2\)"):
        again = recorded(tmp_path / "r.zarr", sets, **options)["random"]
    assert counts.images == 0
    assert_same(again, first)
    with pytest.raises(dif.InputError, match=r"02\.png"):
        recorded(tmp_path / "r.zarr", sets, maps=None)
    PIL.Image.fromarray(MANY[2]).save(folder / "02.png")
    with pytest.warns(dif.DifferentiaWarning, match=r"can't be read \(1\)"):
        mended = recorded(tmp_path / "r.zarr", sets, **options)["random"]
    assert counts.images == 1
    assert len(mended.images) == 10


def test_what_is_missing_of_a_batch_that_is_not_whole(tmp_path: Path, counts: Counts) -> None:
    """A batch of which an image is gone can't be shown again as it was: its images come in new batches."""
    recorded(tmp_path / "r.zarr", {"a": MANY})
    counts.clear()
    fewer = {"a": np.delete(MANY, 1, axis=0)}
    more = recorded(tmp_path / "r.zarr", fewer, pool=80)["random"]
    assert counts.images == 10
    assert_same(more, recorded(None, fewer, pool=80)["random"], rtol=1e-5)


@pytest.mark.parametrize(("kinds", "after"), [(("random",), 0), (("random",), 51), (KINDS, 1), (KINDS, 70)])
def test_interrupted_is_undisturbed(
    kinds: tuple[str, ...], after: int, tmp_path: Path, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was stopped between two writes is resumed to the same bits; nothing is written twice."""
    write = DiskStore.write
    left = [after]

    def stopping(self: Any, quantity: Quantity, batch: KeptBatch, values: np.ndarray) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        write(self, quantity, batch, values)

    monkeypatch.setattr(DiskStore, "write", stopping)
    with pytest.raises(Killed):
        recorded(tmp_path / "r.zarr", units=kinds)
    monkeypatch.setattr(DiskStore, "write", write)
    resumed = recorded(tmp_path / "r.zarr", units=kinds)
    for kind, expected in recorded(None, units=kinds).items():
        assert_same(resumed[kind], expected)


def test_ranking_goes_on_where_it_was_saved(
    tmp_path: Path, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sums of the units are saved every minute; a resumed run ranks from there, to the same bits."""
    monkeypatch.setattr("differentia.recording.ranking.SAVE_EVERY", -1.0)
    expected = recorded(None, units=("top",))["top"]
    sums = 24 * sum(layer.size for layer in expected.layers)
    monkeypatch.setattr("differentia.recording.record.memory_budget", lambda given: sums + 60_000)

    def stop(done: int, total: int, name: str) -> None:
        if done >= 9:
            raise Killed

    with pytest.raises(Killed):
        recorded(tmp_path / "r.zarr", units=("top",), progress=stop)
    counts.clear()
    resumed = recorded(tmp_path / "r.zarr", units=("top",))["top"]
    assert counts.images == 7 + 16, "what was left to be ranked, and all for the units that were chosen"
    assert_same(resumed, expected)


def test_a_layer_and_units_are_added_to_ranked_ones(tmp_path: Path) -> None:
    """Some layers are ranked already, others not: each is taken from where it is."""
    recorded(tmp_path / "r.zarr", units=("top",), layers=["head"], pool=3, maps=None)
    more = recorded(tmp_path / "r.zarr", units=("top",), pool=60)["top"]
    assert_same(more, recorded(None, units=("top",), pool=60)["top"])


def test_a_ranked_set_that_begins_with_what_cannot_be_read(
    tmp_path: Path, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch without images has no sums to be saved, and changes none."""
    monkeypatch.setattr("differentia.recording.ranking.SAVE_EVERY", -1.0)
    folder = tmp_path / "a"
    folder.mkdir()
    for number, pixels in enumerate(MANY):
        PIL.Image.fromarray(pixels).save(folder / f"{number + 10}.png")
    for number in range(4):
        (folder / f"{number}.png").write_bytes(b"no image %d" % number)
    options: dict[str, Any] = {"skip_unreadable": True, "maps": None, "units": ("top",)}
    with pytest.warns(dif.DifferentiaWarning, match=r"can't be read \(4\)"):
        first = recorded(tmp_path / "r.zarr", {"a": folder}, **options)["top"]
    counts.clear()
    with pytest.warns(dif.DifferentiaWarning, match=r"can't be read \(4\)"):
        again = recorded(tmp_path / "r.zarr", {"a": folder}, **options)["top"]
    assert counts.images == 0
    assert_same(again, first)


def test_a_set_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    """The error is the same in the first run and in the next."""
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(b"no image %d" % number)
    for _ in range(2):
        with pytest.raises(dif.InputError, match="set 'a' has no image"):
            recorded(
                tmp_path / "r.zarr",
                {"a": folder},
                skip_unreadable=True,
                progress=lambda done, total, name: None,
            )


class Shuffled(nn.Module):
    """A network whose code can change the places of its units only."""

    def __init__(self, turned: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.last = nn.Flatten() if not turned else Turned()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute."""
        return self.last(self.conv(x).mean((2, 3)))


class Turned(nn.Flatten):
    """Puts the units in the opposite order."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute."""
        return x.flip(1)


Turned.__name__ = "Flatten"


class Leaky(nn.Module):
    """A network whose code can change while its layers, shapes and weights stay."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.act = nn.LeakyReLU(slope)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute."""
        return self.head(self.act(self.conv(x)).mean((2, 3)))


def other_weights() -> dif.Network:
    module = tricky()
    with torch.no_grad():
        module.conv.weight[0, 0, 0, 0] += 1
    return load(module)


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ({}, {"network": other_weights}, "network"),
        ({}, {"network": lambda: load(preprocess="signed")}, "preprocessing"),
        ({}, {"network": lambda: load(dtype="bfloat16")}, r"dtype \(float32, now bfloat16\), network"),
        ({"sets": {"a": RNG.integers(0, 256, (3, 20, 30, 3), np.uint8)}}, {"resize": "lanczos"}, "resize"),
        ({"sets": {"a": RNG.integers(0, 256, (3, 20, 30, 3), np.uint8)}}, {"crop": "center"}, "crop"),
        ({"network": lambda: load(Leaky(0.1))}, {"network": lambda: load(Leaky(0.2))}, "code"),
        (
            {"network": lambda: load(Shuffled(False)), "layers": ["last"]},
            {"network": lambda: load(Shuffled(True)), "layers": ["last"]},
            "code",
        ),
        (
            {"network": lambda: load(preprocess=lambda pixels: pixels / 255)},
            {"network": lambda: load(preprocess=lambda pixels: pixels / 127)},
            "code of the network or its preprocessing",
        ),
    ],
)
def test_nothing_stale_is_used(
    before: dict[str, Any], after: dict[str, Any], what: str, tmp_path: Path
) -> None:
    """Where something that matters changed, all is recorded anew, and a warning says what."""

    def made(options: dict[str, Any]) -> dict[str, Any]:
        given = {"maps": None, "sets": SETS, "layers": ["conv", "head"], **options}
        network: Callable[[], dif.Network] = given.pop("network", load)
        return {**given, "network": network()}

    recorded(tmp_path / "r.zarr", **made(before))
    recorded(tmp_path / "r.zarr", **made(before))
    with pytest.warns(dif.DifferentiaWarning, match=f"recorded with another.*{what}"):
        changed = recorded(tmp_path / "r.zarr", **made({**before, **after}))["random"]
    assert_same(changed, recorded(None, **made({**before, **after}))["random"])


def test_another_recording_format_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that an earlier version recorded otherwise are left alone."""
    recorded(tmp_path / "r.zarr")
    monkeypatch.setattr("differentia.recording.store.disk.RECORDING_FORMAT", 3)
    with pytest.warns(dif.DifferentiaWarning, match="another recording format"):
        recorded(tmp_path / "r.zarr")


def test_batches_stay_as_they_were(tmp_path: Path, counts: Counts, caplog: pytest.LogCaptureFixture) -> None:
    """The batch size is that of the first run, and it is said that another one is not followed."""
    recorded(tmp_path / "r.zarr", {"many": MANY}, batch_size=4)
    counts.clear()
    with caplog.at_level(logging.INFO, "differentia"):
        resumed = recorded(tmp_path / "r.zarr", SETS, batch_size=16)["random"]
    assert counts.images == 5
    assert resumed.provenance["batch_size"] == 4
    assert_same(resumed, recorded(None, SETS, batch_size=4)["random"])
    assert "in batches of 4 images" in caplog.text
    assert "11 images is recorded already" in caplog.text.replace("\n", " ")


@pytest.mark.parametrize("first", ["none", "zstd"])
def test_a_store_keeps_how_it_is_packed(
    first: str, tmp_path: Path, counts: Counts, caplog: pytest.LogCaptureFixture
) -> None:
    """The bits are the same; another way is told of, and the first kept."""
    caplog.set_level(logging.INFO, "differentia")
    expected = recorded(None, SETS)["random"]
    assert_same(
        recorded(tmp_path / "r.zarr", {"few": FEW}, compress=first)["random"],
        recorded(None, {"few": FEW})["random"],
    )
    assert "--compress" not in caplog.text
    other = "zstd" if first == "none" else "none"
    assert_same(recorded(tmp_path / "r.zarr", SETS, compress=other)["random"], expected)
    said = "not packed" if first == "none" else "packed (zstd)"
    assert f"goes on {said}, as it was begun" in caplog.text
    codecs = {("zstd" in file.read_text()) for file in tmp_path.rglob("random-0.*/zarr.json")}
    assert codecs == {first == "zstd"}


def test_a_damaged_chunk_is_recorded_again(tmp_path: Path, counts: Counts) -> None:
    """It is found by its checksum, said so, and only its batch is shown again, for what was lost."""
    expected = recorded(tmp_path / "r.zarr")["random"]
    files = sorted(min(tmp_path.rglob("random-0.*")).glob("c.*"))
    chunks = [(file, found.end()) for file in files for found in re.finditer(MAGIC, file.read_bytes())]
    victim, at = chunks[1]
    content = bytearray(victim.read_bytes())
    content[at + 100] ^= 255
    victim.write_bytes(content)
    counts.clear()
    with pytest.warns(
        dif.DifferentiaWarning,
        match=r"has changed since it was written; random-0 of layer '\w+' is recorded again for 1 image",
    ):
        resumed = recorded(tmp_path / "r.zarr")["random"]
    assert counts.images == 1, "the second batch has the last image of the first set"
    assert len(counts.written) == 1
    assert_same(resumed, expected)


def test_a_store_needs_no_memory_for_its_images(tmp_path: Path) -> None:
    """What would not fit into memory goes to a store; where not even a batch fits, it says what to do."""
    with pytest.raises(dif.InputError, match=r"to spare \(--memory\).*store=PATH"):
        recorded(None, memory="20kB", layers=None)
    assert_same(recorded(tmp_path / "r.zarr", memory="20kB")["random"], recorded(None)["random"])
    with pytest.raises(dif.InputError, match="smaller --batch-size"):
        recorded(tmp_path / "r.zarr", memory="2kB", fresh=True)
    assert list(tmp_path.rglob("c.*")), "nothing was removed for a run that was refused"
    few = recorded(None, {"few": FEW}, batch_size=10**7)["random"]
    assert len(few.images) == 5, "a large batch takes no more memory than its images"


def test_fresh_goes_with_a_store(tmp_path: Path) -> None:
    """There is nothing to start over in memory."""
    with pytest.raises(dif.InputError, match="no store= was named"):
        recorded(None, fresh=True)


def small_memory(most: int) -> dif.Network:
    return load(OfSmallMemory(most))


def test_a_store_keeps_how_many_images_fit(
    tmp_path: Path, counts: Counts, caplog: pytest.LogCaptureFixture
) -> None:
    """A run that goes on begins with as many; the numbers are those of such passes, and so are new ones."""
    options: dict[str, Any] = {"maps": None, "batch_size": 8, "layers": ["conv", "norm", "head"]}
    first, path = small_memory(2), tmp_path / "r.zarr"
    with caplog.at_level(logging.INFO, "differentia"):
        found = recorded(path, {"many": MANY}, network=first, **options)["random"]
    told = [record.message for record in caplog.records if "do not fit" in record.message]
    assert len(told) == 1
    assert "passes of 8 images do not fit into the memory of cpu; from now on there are 2 in one" in told[0]
    assert first.module.full.failed == {8: 1, 4: 1}  # type: ignore[attr-defined]
    assert found.provenance["batch_size"] == 2
    expected = recorded(None, {"many": MANY}, network=small_memory(99), **{**options, "batch_size": 2})
    assert_same(found, expected["random"])
    (metadata,) = (path / "recordings").glob("*/zarr.json")
    about = json.loads(metadata.read_text())["attributes"]
    assert (about["batch_size"], about["at_once"]) == (8, 2)
    counts.clear()
    caplog.clear()
    again = small_memory(2)
    with caplog.at_level(logging.INFO, "differentia"):
        more = recorded(path, SETS, network=again, **options)["random"]
    assert not again.module.full.failed  # type: ignore[attr-defined]
    assert not any("do not fit" in record.message for record in caplog.records)
    assert any("goes on with 2 images in one pass, as it was begun" in r.message for r in caplog.records)
    assert counts.images == len(FEW)
    assert more.provenance["batch_size"] == 2
    assert_same(
        more, recorded(None, SETS, network=small_memory(99), **{**options, "batch_size": 2})["random"]
    )


def test_a_store_says_nothing_where_all_fit(tmp_path: Path) -> None:
    """And one that says what can't be is damaged."""
    recorded(tmp_path / "r.zarr", {"many": MANY}, batch_size=8, maps=None)
    (metadata,) = (tmp_path / "r.zarr" / "recordings").glob("*/zarr.json")
    content = json.loads(metadata.read_text())
    assert "at_once" not in content["attributes"]
    content["attributes"]["at_once"] = "2"
    metadata.write_text(json.dumps(content))
    with pytest.warns(dif.DifferentiaWarning, match="is damaged, or was written by another version"):
        recorded(tmp_path / "r.zarr", {"many": MANY}, batch_size=8, maps=None)


def test_ranked_units_of_what_does_not_fit(tmp_path: Path) -> None:
    """Units are ranked by all images, once each, and are those of a run that fits."""
    options: dict[str, Any] = {"maps": None, "units": ("top",), "pool": 20, "layers": ["conv", "norm"]}
    found = recorded(tmp_path / "r.zarr", network=small_memory(2), **options)["top"]
    expected = recorded(None, network=small_memory(99), batch_size=2, **options)["top"]
    assert {name: sorted(units) for name, units in found.units.items()} == {
        name: sorted(units) for name, units in expected.units.items()
    }


def test_what_was_clipped_is_told_by_every_run(
    tmp_path: Path, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing is recorded again, or one set more; of very many images, of some of them."""
    sets = {"many": MANY, "phases": "scramble:many", "pixels": "scramble:many?kind=pixels"}

    def warnings(**more: Any) -> list[dict[str, str]]:
        with pytest.warns(dif.DifferentiaWarning, match="set 'phases': .* clipped"):
            recorded = dif.record(load(), sets | more, store=tmp_path / "store", layers=SOME)
        return [one for one in recorded.provenance["warnings"] if one["kind"] == "clipped"]

    told = warnings()
    assert len(told) == 1
    counts.clear()
    assert warnings() == told
    assert counts.images == 0
    assert warnings(few=FEW) == told
    monkeypatch.setattr("differentia.stimuli.presentation.MOST_MADE_AGAIN", 4)
    ((text),) = [one["text"] for one in warnings()]
    assert re.search("of the values of [45] of its 11 images were clipped", text)  # one may be at hand
