"""measure_responses of what does not fit into memory: the same values, and nothing read more than it must."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from helpers.networks import tricky
from helpers.stored import Stored, peak_memory

import differentia as dif
from differentia.definition import grams, matrix
from differentia.experiment import layers
from differentia.experiment.measure import measure_kinds
from differentia.recording.responses import responses_from_arrays

RNG = np.random.default_rng(0)
#: Two layers in three conditions, of which one unit never changes.
ARRAYS = {
    name: {
        "wide": np.where(np.arange(400) == 7, 2, RNG.gamma(1.0, 1.0, (n, 400))).astype(np.float32),
        "narrow": RNG.gamma(1.0, 1.0, (n, 20)),
    }
    for name, n in {"stimulus": 12, "other": 9, "spontaneous": 11}.items()
}
#: Bytes of the wide layer, of four draws of 40 units that had no unit in common, and of one.
LAYER, DRAWS, DRAW = (4 * 32 * units for units in (400, 160, 40))


def stored(responses: dif.Responses, most: int = 2**62) -> tuple[dif.Responses, dict[str, Stored]]:
    """Return responses as if they were on disk, and what stands there."""
    values = {layer: Stored(np.asarray(array), most) for layer, array in responses.values.items()}
    return dataclasses.replace(responses, values=values), values


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Readings of fewer bytes than any budget here, and one layer at a time."""
    monkeypatch.setattr(matrix, "READ_BYTES", 4_000)
    monkeypatch.setattr(matrix, "CACHED_ENTRIES", 400)
    monkeypatch.setattr(grams, "SPAN_UNITS", 40)
    cores = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    yield
    torch.set_num_threads(cores)


@pytest.mark.parametrize("memory", [1, DRAW, DRAWS, LAYER])
@pytest.mark.parametrize("normalize", ["layer", "response", "unit", "none"])
@pytest.mark.parametrize("kind", ["all", "random"])
def test_stored_responses_have_the_same_values(kind: str, normalize: str, memory: int) -> None:
    """To the last bit with every budget; and never more than the budget, or a reading, is given."""
    options, expected = held(kind, normalize)
    on_disk, _ = stored(responses_from_arrays(ARRAYS, kind=kind), max(memory, 4_000))
    measured = dif.measure_responses(on_disk, memory=memory, **options)
    xr.testing.assert_identical(measured, expected)


@cache
def held(kind: str, normalize: str) -> tuple[dict[str, Any], xr.Dataset]:
    """Return options, and what they give of responses in memory."""
    options: dict[str, Any] = {"normalize": normalize, "draws": 4}
    if kind == "random":
        options["n_units"] = (10, 40)
    return options, dif.measure_responses(responses_from_arrays(ARRAYS, kind=kind), **options)


def test_arrays_are_copied_within_the_budget() -> None:
    """With a small budget draws of what is in memory are made of small copies, and have the same values."""
    options: dict[str, Any] = {"n_units": (10, 40), "draws": 4, "normalize": "unit"}
    xr.testing.assert_identical(
        dif.measure_responses(ARRAYS, memory=1, **options), dif.measure_responses(ARRAYS, **options)
    )


@pytest.mark.parametrize("metric", ["cityblock", "cosine", "correlation"])
def test_stored_responses_by_every_metric(metric: str) -> None:
    """Block by block."""
    responses = responses_from_arrays(ARRAYS, kind="random")
    measured = dif.measure_responses(stored(responses)[0], metric=metric, memory=1, n_units=40, draws=3)
    xr.testing.assert_identical(
        measured, dif.measure_responses(responses, metric=metric, n_units=40, draws=3)
    )


def test_a_layer_is_read_once() -> None:
    """By all draws, numbers of units and sets, whatever the budget: no more than they look at."""
    responses = responses_from_arrays(ARRAYS, kind="random")
    drawn = responses.all_drawn(responses.layers[0], (10, 40), 4)
    columns = len(set(np.concatenate(drawn[10] + drawn[40]).tolist()))
    assert columns < 200
    entries, reads = {}, {}
    for memory in (LAYER, 1):
        on_disk, values = stored(responses)
        dif.measure_responses(on_disk, n_units=(10, 40), draws=4, memory=memory)
        entries[memory], reads[memory] = sum(values["wide"].reads), len(values["wide"].reads)
    assert (entries[LAYER], reads[LAYER]) == (32 * 400, 1)
    assert (entries[1], reads[1]) == (32 * columns, 3 * 10)  # sets and spans


def test_what_products_do_not_tell_is_read_in_blocks() -> None:
    """Once for each number of units, once for each draw, or in blocks, as the budget allows."""
    responses = responses_from_arrays(ARRAYS, kind="random")
    entries = {}
    for memory in (DRAWS, DRAW, 1):
        on_disk, values = stored(responses)
        dif.measure_responses(on_disk, n_units=(10, 40), draws=4, memory=memory, metric="cityblock")
        entries[memory] = sum(values["wide"].reads)
    assert entries[DRAWS] < entries[DRAW] < entries[1] / 2


def test_one_layer_is_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a layer, or a number of units, took is given back before the next is read."""
    monkeypatch.setattr(matrix, "READ_BYTES", 2**16)
    monkeypatch.setattr(matrix, "CACHED_ENTRIES", 2**12)
    arrays = {str(layer): RNG.standard_normal((20, 40_000)) for layer in range(2)}
    of_layer = arrays["0"].nbytes
    responses = responses_from_arrays({"a": arrays}, kind="random")
    values = {name: Stored(np.asarray(array), order="C") for name, array in responses.values.items()}
    responses = dataclasses.replace(responses, values=values)

    def peak(n_units: int, memory: float, draws: int = 1, metric: str = "euclidean") -> float:
        options: dict[str, Any] = {"n_units": n_units, "draws": draws, "metric": metric}
        options["memory"] = int(memory * of_layer)
        return peak_memory(lambda: dif.measure_responses(responses, **options)) / of_layer

    assert peak(200, memory=0.1) < 0.6
    assert peak(28_000, memory=0.1, draws=2) < 0.6
    assert 1 < peak(200, memory=1.1) < 1.5
    assert 0.7 < peak(28_000, memory=0.9, draws=2, metric="cityblock") < 1.9
    assert peak(28_000, memory=3, draws=2, metric="cityblock") > 1.5  # a layer, and a draw taken out of it
    assert peak(28_000, memory=1.1, draws=2, metric="cityblock") < 1.5


def test_layers_side_by_side_share_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layers at a time have half of it each, and the values that they have one after the other.

    With less than two layers' work takes, one is measured at a time, which has all of it.
    """
    responses = responses_from_arrays(ARRAYS, kind="random")
    one = dif.measure_responses(stored(responses)[0], n_units=40, memory=LAYER)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for memory, work, reads in ((LAYER, 1, 3 * 10), (2 * LAYER, 1, 1), (LAYER, LAYER, 1)):
        monkeypatch.setattr(layers, "OF_A_LAYER", work)
        on_disk, values = stored(responses)
        two = dif.measure_responses(on_disk, n_units=40, memory=memory)
        xr.testing.assert_identical(one, two)
        assert len(values["wide"].reads) == reads


def test_a_budget_is_checked_before_recording() -> None:
    """Wherever it is given; and it changes no value."""
    network = dif.load_network(tricky(), preprocess="unit", input_shape=(3, 16, 16))
    images = {"a": RNG.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)}
    for wrong in ("much", 0, "-4GB"):
        with pytest.raises(dif.InputError, match="the size of memory is"):
            dif.measure(None, images, memory=wrong)
        with pytest.raises(dif.InputError, match="the size of memory is"):
            measure_kinds(None, images, memory=wrong)
        with pytest.raises(dif.InputError, match="the size of memory is"):
            dif.measure_responses(ARRAYS, memory=wrong)
    # 10 kB are kept of the five images: units, filter means, moments and the images made small.
    small = dif.measure(network, images, n_units=20, draws=2, memory="11kB")
    xr.testing.assert_identical(small, dif.measure(network, images, n_units=20, draws=2))
