"""Which units lie where."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.neurons import spiking, table

import differentia as dif
from differentia.neurons.areas import areas_of

RECORDING = spiking([[1.0]] * 6, table(start=[0.0], stop=[1.0]), ["LM", "V1", None, "LM", b"V1", " "])


def test_areas_are_in_the_order_of_the_units() -> None:
    """Units without one, and those that were not observed, are in none, which is told."""
    found, told = areas_of(RECORDING, "location", np.array([True] * 3 + [False] + [True] * 2))
    assert {name: places.tolist() for name, places in found.items()} == {"LM": [0], "V1": [1, 4]}
    assert [one.text.partition(" were")[0] for one in told] == ["1 of 6 units", "2 of 6 units"]
    found, told = areas_of(RECORDING, "location", np.ones(6, dtype=bool))
    assert list(found) == ["LM", "V1"]
    assert len(told) == 1


def test_without_areas_all_are_one_population() -> None:
    """Unless a column was named that is not there."""
    plain = spiking([[1.0]] * 3, table(start=[0.0], stop=[1.0]))
    found, told = areas_of(plain, "location", np.ones(3, dtype=bool))
    assert found["all"].tolist() == [0, 1, 2]
    assert told == ()
    empty = spiking([[1.0]] * 3, table(start=[0.0], stop=[1.0]), ["", None, " "])
    found, told = areas_of(empty, "location", np.ones(3, dtype=bool))
    assert found["all"].tolist() == [0, 1, 2]
    assert told == ()
    with pytest.raises(dif.InputError, match="unknown column of units 'probe'"):
        areas_of(plain, "probe", np.ones(3, dtype=bool))
