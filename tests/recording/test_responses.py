"""Recorded responses: their labels, sets and draws; arrays of anybody as responses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.recordings import SETS, load
from torch import nn

import differentia as dif
from differentia.recording.responses import responses_from_arrays
from differentia.recording.units import draw_units, unit_order


def test_images_are_labelled() -> None:
    """Each row knows its set, its name and its content."""
    responses = dif.record(load(), SETS, pool=5)
    assert [image.set for image in responses.images] == ["few"] * 5 + ["many"] * 11
    assert [image.name for image in responses.images[5:]] == [str(n) for n in range(11)]
    assert len({image.hash for image in responses.images}) == 16


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


ARRAYS = {
    name: {layer: np.random.default_rng(n).normal(size=(3 + n, 40)) for layer in ("V1", "V4")}
    for n, name in enumerate(("rest", "task"))
}


@pytest.mark.parametrize(
    ("kind", "pool", "columns"), [("all", None, 40), ("random", None, 40), ("random", 9, 9)]
)
def test_arrays_as_responses(kind: str, pool: int | None, columns: int) -> None:
    """Rows of one set after another; the columns of the units; mean and variance over all of them."""
    responses = responses_from_arrays(ARRAYS, kind=kind, pool=pool, seed=3)
    assert responses.sets == {"rest": slice(0, 3), "task": slice(3, 7)}
    for place, layer in enumerate(("V1", "V4")):
        whole = np.concatenate([ARRAYS["rest"][layer], ARRAYS["task"][layer]])
        units = np.arange(40) if kind == "all" else unit_order(layer, 40, columns, seed=3)
        np.testing.assert_array_equal(responses.units[layer], units)
        np.testing.assert_array_equal(np.asarray(responses.values[layer]), whole[:, units])
        assert responses.moments is not None
        np.testing.assert_allclose(responses.moments.mean[:, place], whole.mean(axis=1))
        np.testing.assert_allclose(responses.moments.variance[:, place], whole.var(axis=1))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "with at least one set$"),
        ({"rest": {}}, "^set 'rest' holds no layer"),
        ({**ARRAYS, "task": {"V1": ARRAYS["task"]["V1"]}}, "^sets 'rest' and 'task' differ in the layers V4"),
        ({"rest": {"V1": np.ones((3, 4)), "V4": np.ones((2, 4))}}, "different numbers of responses in its"),
        (
            {**ARRAYS, "task": {"V1": np.ones((3, 39)), "V4": np.ones((3, 40))}},
            "^layer 'V1' has 40 units in set 'rest' but 39 in 'task'",
        ),
        (
            {"rest": ARRAYS["rest"], "task": {name: -1e200 * of for name, of in ARRAYS["task"].items()}},
            r"^set 'task', layer 'V1' holds -?[\d.]+e\+200; expected responses of at most 1e\+32 in size",
        ),
    ],
)
def test_arrays_that_do_not_fit_together(arrays: Any, message: str) -> None:
    """The error names the set and the layer."""
    with pytest.raises(dif.InputError, match=message):
        responses_from_arrays(arrays)


def test_draws_by_the_number_of_units() -> None:
    """Each number has its draws, ascending; the whole pool one; numbers that come to the same are one."""
    responses = responses_from_arrays(ARRAYS, kind="random", pool=20, seed=3)
    (layer, _) = responses.layers
    drawn = responses.all_drawn(layer, [5, 20, 500], draws=3)
    assert list(drawn) == [20, 5]
    assert [columns.tolist() for columns in drawn[20]] == [list(range(20))]
    assert responses.units_used(layer, 500) == 20
    for draw, columns in enumerate(drawn[5]):
        expected = draw_units("V1", 20, 5, draw, seed=3)
        assert expected is not None
        assert columns.tolist() == sorted(expected.tolist())
    assert len(drawn[5]) == 3
    whole = responses_from_arrays(ARRAYS, kind="all")
    assert [len(columns) for columns in whole.all_drawn(layer, [5], draws=3)[40]] == [40]
    assert whole.units_used(layer, 5) == 40


def test_a_draw_is_that_of_all_draws() -> None:
    """One draw has the columns that all draws have, in an order of its own; a whole pool is drawn once."""
    responses = dif.record(load(), SETS, pool=40)
    (layer, *_) = [layer for layer in responses.layers if layer.size > 40]
    together = responses.all_drawn(layer, [10], 3)[10]
    for draw, columns in enumerate(together):
        drawn = responses.drawn(layer, 10, draw)
        assert drawn is not None
        assert sorted(drawn.tolist()) == columns.tolist()
    assert not np.array_equal(together[0], together[1])
    assert responses.drawn(layer, 40, 1) is None
