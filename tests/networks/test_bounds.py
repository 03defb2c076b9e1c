"""What is declared is counted before it is made: tensors of PyTorch, weights of Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch
from helpers.keras_models import joining

from differentia.errors import InputError
from differentia.networks.bounds import (
    BESIDE,
    MOST_TENSORS,
    TIMES_FILE,
    Bound,
    building,
    keras_weights_counted,
)


def build(make: Callable[[], Any], *, held: int | None = None) -> Any:
    """Return what is made within a bound."""
    with building("x", "it can't be built", "change it", held=held):
        return make()


def many(count: int) -> None:
    """Make small tensors without memory."""
    for _ in range(count):
        torch.empty(1, device="meta")


def test_many_tensors_are_too_many() -> None:
    """However small they are; as many as are allowed are built, the control."""
    build(lambda: many(MOST_TENSORS))
    with pytest.raises(
        InputError, match=r"^x: declares 100,001 tensors, expected at most 100,000; change its"
    ):
        build(lambda: many(MOST_TENSORS + 1))


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: torch.empty(3, 5), 60),
        (lambda: torch.empty(15), 60),
        (lambda: torch.zeros((3, 5)), 60),
        (lambda: torch.randn(size=(3, 5), dtype=torch.float64), 120),
        (lambda: torch.full((3, 5), 2, dtype=torch.uint8), 15),
        (lambda: torch.ones(torch.Size([3, 5]), dtype=torch.bfloat16), 30),
        (lambda: torch.nn.Linear(4, 3), 60),
    ],
)
def test_sizes_in_every_form(make: Callable[[], Any], size: int) -> None:
    """As numbers, a tuple, a keyword; by the bytes of the type: one byte more is too much."""

    def after(room: int) -> Any:
        torch.empty(TIMES_FILE * 1000 + BESIDE - room, dtype=torch.uint8, device="meta")
        return make()

    assert build(lambda: after(size), held=1000) is not None
    told = r"^x: declares tensors of 10 MB or more \(the last is .*\), and its file holds 1 kB: it is damaged"
    with pytest.raises(InputError, match=told):
        build(lambda: after(size - 1), held=1000)


def test_the_memory_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the bound of a network without a file."""
    monkeypatch.setattr("differentia.networks.bounds.free_memory", lambda: 100)
    assert build(lambda: torch.zeros(5, 5)).shape == (5, 5)
    told = (
        r"^x: declares tensors of 104 B or more \(the last is 13 x 2\), and 100 B of memory are free; change "
        r"its options or its configuration, or use a larger machine$"
    )
    with pytest.raises(InputError, match=told):
        build(lambda: torch.zeros(13, 2))


def test_errors_of_libraries() -> None:
    """A lack of memory is told as such; what a library makes of the bound's own error is not."""
    told = r"^x: it can't be built \({}\); change it$"
    with pytest.raises(InputError, match=told.format("there is not enough memory for 4000 TB more")):
        build(lambda: torch.ones(1).repeat(10**15))
    with pytest.raises(InputError, match=told.format("there is not enough memory for 8.00 PiB more")):
        build(lambda: np.ones((2**20, 2**30)))
    with pytest.raises(InputError, match=told.format("'other'")):
        build(lambda: {"one": 1}["other"])

    def wrapped() -> None:
        try:
            torch.zeros(10**9)
        except InputError as error:
            raise TypeError("could not be deserialized") from error

    with pytest.raises(InputError, match=r"^x: declares tensors of 4 GB or more"):
        build(wrapped, held=0)


def test_keras_counts_its_weights() -> None:
    """All of them, once; a bound that is passed ends it, and afterwards Keras is as before."""
    before = keras.layers.Layer.add_weight
    bound = Bound("x", 10**6)
    with keras_weights_counted(bound):
        model = joining()
        assert keras.layers.Layer.add_weight is not before
    assert keras.layers.Layer.add_weight is before
    assert bound.bytes == 4 * sum(int(np.prod(weight.shape)) for weight in model.weights)
    assert bound.error is None
    with (
        pytest.raises(InputError, match=r"^x: declares tensors of 20 MB or more"),
        keras_weights_counted(bound),
    ):
        keras.layers.Dense(5_000_000).build((None, 1))
    assert keras.layers.Layer.add_weight is before
    with keras_weights_counted(half := Bound("x", 10**6)):
        keras.layers.Dense(3, dtype="bfloat16", use_bias=False).build((None, 5))
    assert half.bytes == 30
