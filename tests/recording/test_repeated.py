"""Repeats at hand: dimensions go by their names, units and stimuli by their labels, or are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import differentia as dif
from differentia.recording.repeated import repeated_responses_from

RNG = np.random.default_rng(0)
#: Repeats, stimuli, units.
PLAIN = RNG.gamma(2.0, 1.0, (3, 5, 4))
UNITS = [f"n{number}" for number in range(4)]
ORDER = [2, 0, 3, 1]


def labelled(dims: tuple[str, str, str] = ("repeat", "stimulus", "unit")) -> xr.DataArray:
    """Return the responses with the names of dimensions, and those of units."""
    return xr.DataArray(PLAIN, dims=dims, coords={dims[2]: UNITS})


def read(given: Any) -> np.ndarray:
    """Return the responses of the only set and layer, (repeat, stimulus, unit)."""
    ((_, layers),) = repeated_responses_from(given).items()
    ((_, one),) = layers.items()
    return one.values.transpose(2, 0, 1)


@pytest.mark.parametrize(
    "given",
    [
        PLAIN,
        {"films": PLAIN},
        {"films": {"V1": PLAIN}},
        PLAIN.tolist(),
        labelled(),
        {"films": labelled().transpose("unit", "stimulus", "repeat")},
        labelled(("Trials", "image", "neurons")).transpose("image", "neurons", "Trials"),
        labelled(("presentation", "frame", "cell")).transpose("frame", "cell", "presentation"),
        labelled(("repeat", "trial", "unit")).transpose("trial", "repeat", "unit"),
        xr.DataArray(PLAIN),
    ],
    ids=lambda given: str(getattr(given, "dims", type(given).__name__)),
)
def test_what_is_which(given: Any) -> None:
    """By their place, or by names in any order."""
    np.testing.assert_array_equal(read({"films": {"V1": given}} if isinstance(given, list) else given), PLAIN)


def test_units_go_by_their_labels() -> None:
    """In the order of the first set; without labels they stay as they are."""
    found = repeated_responses_from({"a": {"V1": labelled()}, "b": {"V1": labelled()[:, :, ORDER]}})
    np.testing.assert_array_equal(found["b"]["V1"].values, found["a"]["V1"].values)
    bare = repeated_responses_from({"a": PLAIN, "b": PLAIN[:, :, ORDER]})
    assert not np.array_equal(bare["b"]["all"].values, bare["a"]["all"].values)
    with pytest.raises(dif.InputError, match=r"^layer 'all', set 'b' has other units than .*set 'a'"):
        repeated_responses_from({"a": labelled(), "b": labelled().assign_coords(unit=[*UNITS[:3], "x"])})


def test_repeats_may_differ_in_number() -> None:
    """Between sets; units may not."""
    found = repeated_responses_from({"a": PLAIN, "b": PLAIN[:2, :3]})
    assert found["b"]["all"].values.shape == (3, 4, 2)
    with pytest.raises(dif.InputError, match="has 4 units in set 'a' but 3 in 'b'"):
        repeated_responses_from({"a": PLAIN, "b": PLAIN[:, :, :3]})


def _with(value: float) -> np.ndarray:
    changed = PLAIN.copy()
    changed[1, 2, 3] = value
    return changed


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (PLAIN[0], r"set 'all', layer 'all' has the shape \(5, 4\); expected three dimensions"),
        (PLAIN[:1], "at least 2 repeats of at least 2 stimuli"),
        (PLAIN[:, :1], "at least 2 repeats of at least 2 stimuli"),
        (PLAIN[:, :, :0], "at least 2 repeats"),
        (_with(np.nan), "holds nan in repeat 1, stimulus 2, unit 3; expected finite numbers"),
        (_with(np.inf), "holds inf in repeat 1, stimulus 2, unit 3"),
        (_with(1e40), r"holds 1e\+40; expected responses of at most 1e\+32"),
        (PLAIN.astype(complex), "has the type complex128; expected real numbers"),
        (PLAIN.astype(str), "expected real numbers"),
        (np.ma.masked_greater(PLAIN, 3), "has masked entries"),
        (labelled(("repeat", "x", "unit")), r"has the dimensions \('repeat', 'x', 'unit'\); expected three"),
        (labelled(("repeat", "unit", "neuron")), "rename them"),
        (labelled(("trial", "presentation", "unit")), "rename them"),
        (labelled()[0], r"has the dimensions \('stimulus', 'unit'\); expected three"),
        ({}, "with at least one set"),
        ({"a": {"V1": [[[1.0, 2.0]], [[1.0]]]}}, "is not an array of repeats x stimuli x units"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_refused(given: Any, said: str) -> None:
    """In one line, which says where and what was expected."""
    with pytest.raises(dif.InputError, match=said) as raised:
        repeated_responses_from(given)
    assert "\n" not in str(raised.value)
