"""Which sets are shown where there are many."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.results import of_sets

import differentia as dif
from differentia.output.chosen import FEW_SETS, are_many, choice_told, chosen_sets, spread_sets


@pytest.mark.parametrize("count", [4, FEW_SETS + 1, FEW_SETS + 2, 30])
def test_few_are_spread_over_all(count: int) -> None:
    """All of a few; of many as few, from the first to the last, evenly, and the reference wherever it is."""
    result = of_sets(count, reference=f"set {count - 2}")
    names = result["set"].values.tolist()
    shown = spread_sets(result)
    assert are_many(result) == (count > FEW_SETS + 1)
    assert len(shown) == min(count, FEW_SETS + 1)
    assert {names[0], names[-1], f"set {count - 2}"} <= set(shown)
    places = [names.index(name) for name in shown if name != f"set {count - 2}"]
    steps = np.diff(places)
    assert (steps > 0).all()
    assert steps.max() - steps.min() <= 2
    told = choice_told(result, shown)
    assert told == (f"13 of {count} sets; sets= chooses others" if count > FEW_SETS + 1 else "")


def test_sets_that_are_asked_for() -> None:
    """By name, in the order of the result; one alone as text; none, and one that is not there, are errors."""
    result = of_sets(4)
    assert chosen_sets(result, ["set 2", "set 0"], ()) == ["set 0", "set 2"]
    assert chosen_sets(result, "set 3", ()) == ["set 3"]
    assert chosen_sets(result, None, ["set 1"]) == ["set 1"]
    with pytest.raises(dif.InputError, match="no set was asked for"):
        chosen_sets(result, [], ())
    with pytest.raises(dif.InputError, match="set 9"):
        chosen_sets(result, ["set 9"], ())
