"""Recording: the same units for every image, whatever the batches; memory of images x units."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from networks_for_tests import tricky
from torch import nn

import differentia as dif
from differentia.units import unit_order

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
    np.testing.assert_array_equal(second.values["conv"][:, :50], first.values["conv"][5:])


@pytest.mark.parametrize("batch_size", [1, 3, 7, 16])
def test_batch_size_does_not_matter(batch_size: int) -> None:
    """Short last batches included."""
    whole = dif.record(load(), SETS, pool=100, batch_size=100)
    parts = dif.record(load(), SETS, pool=100, batch_size=batch_size)
    for name, values in whole.values.items():
        np.testing.assert_allclose(parts.values[name], values, rtol=1e-4, atol=1e-6, err_msg=name)


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
        dif.record(network, sets, batch_size=8, **options)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    everything = 400 * 2 * 28_800 * 4  # images x layers x units x bytes, the input apart
    assert peak(pool=100) < 0.1 * everything
    assert peak(units="all") > everything


def test_too_much_for_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the size, the budget and what to do instead."""
    monkeypatch.setattr("differentia.recording.MEMORY_SHARE", 1e-9)
    with pytest.raises(dif.InputError, match=r"units of 11 layers for 16 images take .* use --units random"):
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
