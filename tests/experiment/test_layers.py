"""Layers measured in tasks: the numbers of one process, to the last bit, whatever the tasks are."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from helpers.stored import Stored
from helpers.workers import Here

from differentia.definition import measure as definition, medians, tiles
from differentia.experiment import analysis, layers
from differentia.experiment.layers import LayerMeasures, measure_layers
from differentia.experiment.options import MeasureOptions
from differentia.networks.layers import Layer
from differentia.recording.responses import Moments, Responses, responses_from_arrays
from differentia.results.confidence import Confidence
from differentia.stimuli.presentation import ImageLabel

RNG = np.random.default_rng(0)
SIZES = {"a": 12, "large": 50, "b": 9, "c": 15, "dead": 14}


def recorded() -> Responses:
    """Return responses on disk: sets that are small, large and dead, of layers with many and few units."""
    sets = {}
    for name, n in SIZES.items():
        plain = RNG.gamma(1.0, 1.0, (n, 300)).astype(np.float32)
        near = plain + np.float32(1e4)
        near[3], near[5] = near[2], near[2] + np.float32(0.01) * (np.arange(300) == 7)
        alive = name != "dead"
        sets[name] = {
            "plain": plain * alive,
            "near": near,
            "few": plain[:, :30],
            "doubles": RNG.standard_normal((n, 300)) + 1e3 * (np.arange(n) % 2)[:, None],
        }
    responses = responses_from_arrays(sets, kind="random")
    values = {name: Stored(np.asarray(array)) for name, array in responses.values.items()}
    return dataclasses.replace(responses, values=values)


def sketched() -> Responses:
    """Return sums that a sketch kept of a layer."""
    rows = sum(SIZES.values())
    layer = Layer("wide", "Recorded", (5_000,), "wide")
    images = tuple(ImageLabel(name, row, str(row), "") for name, n in SIZES.items() for row in range(n))
    moments = Moments(RNG.random((rows, 1)), 1 + RNG.random((rows, 1)))
    values = {"wide": Stored(RNG.standard_normal((rows, 400)).astype(np.float32))}
    return Responses((layer,), images, values, {"wide": np.arange(400)}, "sketch", 0, moments=moments)


def measured(responses: Responses, workers: Here | None, *, distances: bool, **options: Any) -> list[Any]:
    given = MeasureOptions(draws=3, **options)
    how: dict[str, Any] = {"distances": distances, "budget": 2**30, "workers": workers}
    return [_plain(found) for found in measure_layers(responses, (20, 200), given, **how)]


def _plain(found: LayerMeasures) -> tuple[Any, ...]:
    """Return what NumPy compares to the last bit."""
    told = [[one and [*_numbers(one)] for one in of_set] for of_set in found.confidences]
    return (*found[:4], [tuple(case) for case in found.undefined], told)


def _numbers(one: Confidence) -> list[Any]:
    return [one.log_limit, one.freedom, one.influence, one.doubt]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets of more than 20 responses are large, and looked at by tiles of 16 where that is asked for."""
    monkeypatch.setattr(analysis, "MOST_TOGETHER", 20)
    monkeypatch.setattr(layers, "MOST_TOGETHER", 20)
    monkeypatch.setattr(layers, "RESPONSES_OF_A_TASK", 25)
    monkeypatch.setattr(definition, "FEW_RESPONSES", 20)
    for module in (tiles, medians):
        monkeypatch.setattr(module, "SIDE", 16)
    monkeypatch.setattr(medians, "SAMPLE", 8)
    monkeypatch.setattr(medians, "MOST_COUNTED", 2**12)
    monkeypatch.setattr(medians, "LEAST_OF_A_TASK", 1)


@pytest.mark.parametrize(
    ("normalize", "metric", "most_of_a_task"),
    [
        ("layer", "euclidean", 0),
        ("layer", "euclidean", 10**9),
        pytest.param("unit", "euclidean", 0, marks=pytest.mark.soak),
        ("layer", "cityblock", 400_000),
    ],
)
def test_values_of_tasks(
    normalize: str, metric: str, most_of_a_task: int, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large sets by tiles, a few draws at a time or all at once; small ones together."""
    monkeypatch.setattr(layers, "MOST_OF_A_TASK", most_of_a_task)
    responses, here = recorded(), Here(seed=most_of_a_task)
    how: dict[str, Any] = {"normalize": normalize, "metric": metric, "distances": False}
    expected = measured(responses, None, **how)
    np.testing.assert_equal(measured(responses, here, **how), expected)
    assert np.isfinite(expected[1][0]).any()
    assert len(expected[0][4]) == 6  # the values of the dead set, of draws that there are
    own = [name for name in here.names if name.startswith("measure_plain")]
    assert {"measure_plain-0:12", "measure_plain-62:86", "measure_plain-86:100"} <= {*own}
    assert len(own) - 3 == {0: 0, 400_000: 3, 10**9: 1}[most_of_a_task]
    assert ("pairs-0:16" in {*here.names}) == (most_of_a_task == 0)
    with pytest.raises(ValueError, match="shorter"):
        measured(responses, Here(times={"measure_few-62:86": 0}), **how)


@pytest.mark.parametrize("make", [recorded, sketched])
def test_all_distances_of_a_layer(make: Any, small: None) -> None:
    """Are measured by one task, and so is a sketch; they are those of one process."""
    responses, here = make(), Here()
    expected = measured(responses, None, distances=True)
    np.testing.assert_equal(measured(responses, here, distances=True), expected)
    assert sorted(here.names) == sorted(f"measure_{layer.name}" for layer in responses.layers)
    assert expected[0][3] is not None
    without = measured(responses, here, distances=False)
    np.testing.assert_equal([one[0] for one in without], [one[0] for one in expected])
