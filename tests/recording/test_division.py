"""Divisions: which images have which number, and the tasks that the numbers fall into."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from differentia.recording.division import Division, Promised, as_facts, digest_of, from_facts


def test_tasks_begin_at_multiples() -> None:
    """Numbers of a division are in whole tasks, of which the last may have fewer batches."""
    division = Division(6, 3, {"a": "x"}, tuple(Promised("a", (number,)) for number in range(4)))
    assert (division.stop, division.images) == (10, 4)
    assert division.tasks == range(2, 4)
    assert {number // 3 for number, _ in division.of({"a": "x"})} == set(division.tasks)


def test_only_sets_that_are_what_they_were() -> None:
    """A set with other images, or that is not there, has none of the numbers."""
    division = Division(0, 1, {"a": "x", "b": "y"}, (Promised("a", (0, 1)), Promised("b", (0, 1))))
    assert [number for number, _ in division.of({"a": "x", "b": "y"})] == [0, 1]
    assert [number for number, _ in division.of({"a": "other", "b": "y"})] == [1]
    assert [number for number, _ in division.of({"c": "x"})] == []


def test_names_and_their_order_make_the_digest() -> None:
    """Names with anything in them are not taken for others."""
    assert len({digest_of(names) for names in (["a", "b"], ["b", "a"], ["a", "b", ""], ['a", "b'])}) == 4


@given(st.lists(st.sets(st.integers(0, 40), min_size=1), max_size=5))
def test_a_division_is_read_as_it_was_written(numbers: list[set[int]]) -> None:
    """Through JSON, whatever the numbers of the images are."""
    batches = tuple(Promised("a", tuple(sorted(some))) for some in numbers)
    division = Division(4, 2, {"a": "x"}, batches)
    assert from_facts(json.loads(json.dumps(as_facts(division)))) == division


@pytest.mark.parametrize("change", [{"first": 1}, {"batches": [["a", [[0, 9]]]]}, {"digest": ""}, {"x": 1}])
def test_what_was_changed_is_no_division(change: dict[str, Any]) -> None:
    """Nor is anything else."""
    facts = as_facts(Division(0, 1, {"a": "x"}, (Promised("a", (0, 1)),)))
    assert from_facts(facts) is not None
    assert from_facts({**facts, **change}) is None
    assert from_facts([]) is None
    assert from_facts({}) is None
