"""Labels of DataFrames and DataArrays: units and stimuli go by their names, or are refused by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import differentia as dif
from differentia.recording.responses import responses_from_arrays

RNG = np.random.default_rng(0)
UNITS = [f"n{number}" for number in range(7)]
#: By set; the rows are stimuli.
PLAIN = {name: RNG.gamma(2.0, 1.0, (count, 7)) for name, count in (("movie", 5), ("rest", 4))}
ORDER = [3, 0, 6, 1, 2, 5, 4]


def frame(name: str) -> pd.DataFrame:
    """Return a set as a table with labels."""
    return pd.DataFrame(PLAIN[name], [f"{name} {row}" for row in range(len(PLAIN[name]))], UNITS)


def array(name: str, dims: tuple[str, str] = ("stimulus", "neuron")) -> xr.DataArray:
    """Return a set as an array with labels."""
    return xr.DataArray(frame(name), dims=dims)


def read(first: Any, other: Any) -> dict[str, np.ndarray]:
    """Return the responses of two sets that are made of what was given."""
    responses = responses_from_arrays({"movie": {"V1": first}, "rest": {"V1": other}})
    return {name: responses.values["V1"][rows, :] for name, rows in responses.sets.items()}


#: Ways to give the two sets that all mean the same.
SAME: dict[str, Callable[[], tuple[Any, Any]]] = {
    "arrays": lambda: (PLAIN["movie"], PLAIN["rest"]),
    "tables": lambda: (frame("movie"), frame("rest")),
    "another order of units": lambda: (frame("movie"), frame("rest").iloc[:, ORDER]),
    "arrays with labels": lambda: (array("movie"), array("rest")[:, ORDER]),
    "transposed": lambda: (array("movie"), array("rest").transpose()),
    "all transposed": lambda: (array("movie").T, array("rest").T),
    "other names": lambda: (array("movie", ("Trials", "unit")).T, array("rest", ("time", "Cells"))),
    "one name alone": lambda: (array("movie", ("x", "units")).T, array("rest", ("trial", "y"))),
    "a table transposed": lambda: (
        frame("movie"),
        frame("rest").rename_axis(columns="neuron").T,
    ),
    "no labels": lambda: (array("movie").drop_vars(["stimulus", "neuron"]), frame("rest").to_numpy()),
    "xarray's own names": lambda: (xr.DataArray(PLAIN["movie"]), xr.DataArray(PLAIN["rest"])),
    "a mixture": lambda: (frame("movie"), array("rest")[:, ORDER].T),
}


@pytest.mark.parametrize("way", SAME)
def test_units_go_by_their_labels(way: str) -> None:
    """Each column is the same unit in every set; without labels, it is by its place."""
    found = read(*SAME[way]())
    for name, expected in PLAIN.items():
        np.testing.assert_array_equal(found[name], expected)


def test_places_are_what_counts_without_labels() -> None:
    """The control: the same in another order is something else."""
    found = read(PLAIN["movie"], frame("rest").iloc[:, ORDER].to_numpy())
    assert not np.array_equal(found["rest"], PLAIN["rest"])


#: By what the error says: what is given for the two sets.
REFUSED: dict[str, Callable[[], tuple[Any, Any]]] = {
    r"layer 'V1', set 'rest' has other units than layer 'V1', set 'movie': it is without 'n0'; give the": (
        lambda: (frame("movie"), frame("rest").drop(columns="n0"))
    ),
    "it is with 'n0'; give": lambda: (frame("movie").drop(columns="n0"), frame("rest")),
    "it is without 'n1' and with 'x'": lambda: (frame("movie"), frame("rest").rename(columns={"n1": "x"})),
    r"without 'n0', 'n1', 'n2', 'n3', 'n4' and 2 more": lambda: (
        frame("movie"),
        frame("rest").add_prefix("other "),
    ),
    "in another order, some labels twice": lambda: (
        frame("movie").set_axis(["a", "a", *"bcdef"], axis=1),
        frame("rest").set_axis(["b", "a", "a", *"cdef"], axis=1),
    ),
    r"has the dimensions \('x', 'y'\), which do not say what rows": lambda: (
        array("movie", ("x", "y")),
        array("rest"),
    ),
    r"\('trial', 'time'\), which do not say": lambda: (array("movie", ("trial", "time")), array("rest")),
    r"\('unit', 'cell'\), which do not say": lambda: (array("movie", ("unit", "cell")), array("rest")),
    r"\('stimulus', 'trial', 'neuron'\); expected two, stimuli and units": lambda: (
        array("movie").expand_dims(trial=2, axis=1),
        array("rest"),
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_can_not_be_aligned_is_refused(message: str) -> None:
    """In one line, which names the set, the layer and the labels."""
    with pytest.raises(dif.InputError, match=message) as caught:
        read(*REFUSED[message]())
    assert "\n" not in str(caught.value)


def test_stimuli_go_by_their_labels() -> None:
    """Those of one set are the same in each layer, in any order, and have their labels as names."""
    first, other = frame("movie"), frame("movie").iloc[[2, 0, 1, 4, 3]]
    responses = responses_from_arrays({"movie": {"V1": first, "V2": other}})
    np.testing.assert_array_equal(responses.values["V1"], responses.values["V2"])
    assert [image.name for image in responses.images] == [f"movie {row}" for row in range(5)]
    with pytest.raises(
        dif.InputError, match=r"set 'movie', layer 'V2' has other stimuli .*without 'movie 0'"
    ):
        responses_from_arrays({"movie": {"V1": first, "V2": first.rename(index={"movie 0": "x"})}})
    twice = first.set_axis(["a"] * 5)
    assert [image.name for image in responses_from_arrays({"movie": {"V1": twice}}).images] == list("01234")


def test_a_dataset_is_a_set_of_layers() -> None:
    """The whole way: xarray's Dataset of areas gives what plain arrays give."""
    sets: dict[str, Any] = {
        name: xr.Dataset({"V1": array(name), "LM": array(name)[:, ORDER].T}) for name in PLAIN
    }
    found = dif.measure_responses(sets, normalize="unit")
    plain = {name: {"V1": matrix, "LM": matrix[:, ORDER]} for name, matrix in PLAIN.items()}
    expected = dif.measure_responses(plain, normalize="unit")
    np.testing.assert_allclose(found["differentiation"], expected["differentiation"])
    assert found["image_name"].values.tolist()[:2] == ["movie 0", "movie 1"]
