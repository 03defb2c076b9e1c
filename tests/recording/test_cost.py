"""What a recording costs: what is said beforehand is what it then takes."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import tricky

import differentia as dif
from differentia.networks.discovery import Found
from differentia.networks.layers import Layer, select_layers
from differentia.recording import cost
from differentia.recording.cost import Forecast, best_batch_size, duration, estimate_cost
from differentia.recording.units import UNIT_KINDS

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3), dtype=np.uint8)
LAYERS = ["conv", "block*", "head"]


def load() -> dif.Network:
    return dif.load_network(tricky(), preprocess="unit", input_shape=(3, 16, 16))


def stored(folder: Path) -> int:
    """Return the bytes of all chunks in a folder, without their checksums and the sums of the ranking."""
    return sum(chunk_bytes(path) for path in folder.rglob("c.*") if ".state-" not in path.parent.name)


def chunk_bytes(shard: Path) -> int:
    """Return the bytes of the chunks that the index at the end of a shard names, without their checksums."""
    about = json.loads((shard.parent / "zarr.json").read_text(encoding="utf-8"))
    whole = about["chunk_grid"]["configuration"]["chunk_shape"]
    inner = about["codecs"][0]["configuration"]["chunk_shape"]
    entries = math.prod(a // b for a, b in zip(whole, inner, strict=True))
    index = np.frombuffer(shard.read_bytes()[-16 * entries - 4 : -4], "<u8").reshape(-1, 2)
    return sum(int(size) - 4 for begin, size in index if begin != 2**64 - 1)


def test_bytes_of_an_image_by_hand() -> None:
    """Units, filter means (4 bytes), two moments a layer (8), the classes, and the image made small."""
    network = load()
    layers = select_layers(network.layers, ["conv", "head"])
    for units, numbers in {
        "random": 30 + 5,
        "per_filter": 24 + 5,
        "all": 2048 + 5,
        "sketch": 2048 + 5,  # all units of layers that have no more than sums are kept
        "filter_mean": 0,  # they are kept in any case
    }.items():
        found = estimate_cost(network, layers, pool=30, units=units, batch_size=2)
        classes = 0 if units in ("all", "sketch") else 5
        assert found.bytes_per_image == 4 * (numbers + 8 + 5 + classes) + 2 * 2 * 8 + 16 * 16 * 3
        assert 0 < found.seconds_per_image < 10


@pytest.mark.parametrize("kind", UNIT_KINDS)
def test_it_is_what_a_run_takes(kind: str, tmp_path: Path) -> None:
    """The bytes of the store; and a run is refused with a byte of memory less than is said."""
    network = load()
    layers = select_layers(network.layers, LAYERS)
    found = estimate_cost(network, layers, pool=70, units=kind, batch_size=16)
    options: dict[str, Any] = {"units": kind, "pool": 70, "layers": LAYERS, "batch_size": 16}
    with pytest.raises(dif.InputError, match=r"more than the .* to spare \(--memory\)"):
        dif.record(network, {"a": IMAGES[:32]}, store=tmp_path / "no", memory=found.memory - 1, **options)
    dif.record(network, {"a": IMAGES[:32]}, store=tmp_path / "32", memory=found.memory, **options)
    assert stored(tmp_path / "32") == 32 * found.bytes_per_image
    dif.record(network, {"a": IMAGES[:33]}, store=tmp_path / "33", memory=found.memory, **options)
    assert stored(tmp_path / "33") == 48 * found.bytes_per_image, "the rows of a chunk"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still unless it is set."""
    now = [0.0]
    monkeypatch.setattr("differentia.recording.cost.time.perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (
            0.45,
            "recording 952 more images will take about 7 min; 8.4 GB in all go to r.zarr; "
            "540 MB of memory are used at once (limit: 4 GB)",
        ),
        (
            30.0,
            "recording 952 more images will take about 7.9 h; 8.4 GB in all go to r.zarr; "
            "540 MB of memory are used at once (limit: 4 GB)",
        ),
        (cost.LONG / 953, ""),
        (0.0, ""),
    ],
)
def test_a_long_recording_is_foretold(
    seconds: float, told: str, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """Once, from the batches after the first, which takes ten times as long; a short one says nothing."""
    with caplog.at_level(logging.INFO, "differentia"):
        forecast = Forecast(1000, 8_400_000_000, "r.zarr", 540_000_000, 4_000_000_000)
        for number in range(62):
            clock[0] += 16 * seconds * (10 if not number else 1)
            forecast.shown(16)
            assert bool(caplog.messages) is (bool(told) and number >= 2)
    assert caplog.messages == ([told] if told else [])


def test_every_recording_can_foretell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a recording to disk and one in memory: how many images, and what they take of either."""
    monkeypatch.setattr(cost, "LONG", 0.0)
    network = load()
    layers = select_layers(network.layers, ["conv"])
    about = estimate_cost(network, layers, pool=1000, batch_size=16)
    options: dict[str, Any] = {"pool": 1000, "layers": ["conv"], "batch_size": 16, "memory": "1GB"}
    with caplog.at_level(logging.INFO, "differentia.recording.cost"):
        dif.record(network, {"a": IMAGES}, store=tmp_path / "r.zarr", **options)
        dif.record(network, {"a": IMAGES}, **options)
    on_disk, in_memory = caplog.messages
    assert all("recording 16 more images will take about " in line for line in caplog.messages)
    assert f"in all go to {tmp_path / 'r.zarr'}; {about.memory / 1e3:.0f} kB of memory" in on_disk
    assert f"in all go to memory; {2 * about.memory / 1e3:.0f} kB of memory are used at once" in in_memory
    assert on_disk.endswith("(limit: 1 GB)")


def test_durations() -> None:
    """In the unit that suits them."""
    assert [duration(time) for time in (0.2, 40, 99.4, 720, 12_600)] == [
        "0 s",
        "40 s",
        "99 s",
        "12 min",
        "3.5 h",
    ]


@pytest.mark.parametrize(
    ("side", "budget", "expected"),
    [
        (16, 10**9, 32),  # never more
        (448, None, 8),  # 2 x 448 x 448 x 32 x 4 bytes are 51 MB, of 537 MB
        (224, 2 * 10**5, 8),  # two batches of 10,000 bytes an image
        (224, 10**4, 1),
        (2048, None, 1),  # an image alone exceeds it
    ],
)
def test_the_best_batch_size(side: int, budget: int | None, expected: int) -> None:
    """As many images as cache and memory hold the largest layer of, and what is kept of them."""
    module = torch.nn.Conv2d(3, 32, 3, padding=1)
    network = dif.load_network(module, preprocess="unit", input_shape=(3, side, side))
    network._found = Found((Layer("conv", "Conv2d", (32, side, side), "conv"),), (), Counter())
    plan = SimpleNamespace(bytes_per_image=lambda: 10_000)
    assert best_batch_size(network, plan, budget) == expected  # type: ignore[arg-type]


def test_a_batch_size_that_is_not_given(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """It is the best, is kept with the recording, and says nothing where a recording goes on with another."""
    network = load()
    first = dif.record(network, {"a": IMAGES}, pool=10, store=tmp_path / "r", batch_size=3)
    caplog.set_level(logging.INFO, "differentia")
    again = dif.record(network, {"a": IMAGES}, pool=10, store=tmp_path / "r")
    assert first.provenance["batch_size"] == again.provenance["batch_size"] == 3
    assert "goes on in batches" not in caplog.text
    assert dif.record(network, {"a": IMAGES}, pool=10).provenance["batch_size"] == 32
    dif.record(network, {"a": IMAGES}, pool=10, store=tmp_path / "r", batch_size=4)
    assert "goes on in batches of 3 images" in caplog.text
