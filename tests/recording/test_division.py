"""Divisions: which images have which number, and the tasks that the numbers fall into."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

import differentia as dif
from differentia.recording.division import (
    LEAST_IN_A_TASK,
    Division,
    Part,
    Promised,
    as_facts,
    batches_of_a_task,
    digest_of,
    from_facts,
    part_of,
    require_few,
)


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


@pytest.mark.parametrize("count", [0, 1, 9_999, 10_000, 10_001, 20_000])
def test_the_digest_is_of_all_names_at_once(count: int) -> None:
    """As stores have it, however many are written as JSON at a time."""
    names = [f'{number} "ü' for number in range(count)]
    assert digest_of(tuple(names)) == hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]


def test_images_in_all_sets_are_counted() -> None:
    """As many as a division may have, which is read again, and not one more."""
    most = 2**24
    require_few({"a": range(most - 5), "b": range(5)})
    told = r"^there are 16,777,217 images, 16,777,211 of them in set 'a'; expected at most 16,777,216 in all"
    with pytest.raises(dif.InputError, match=told):
        require_few({"a": range(most - 5), "b": range(6)})


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


@given(st.integers(0, 300), st.integers(1, 40))
def test_parts_have_all_tasks(count: int, of: int) -> None:
    """Each task once, in order, and no part more than one above another."""
    tasks = range(7, 7 + count)
    parts = [Part(number, of).tasks(tasks) for number in range(1, of + 1)]
    assert [task for part in parts for task in part] == list(tasks)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("given", ["3/10", " 3 / 10 ", (3, 10), [3, 10], Part(3, 10)])
def test_what_is_a_part(given: object) -> None:
    """A text, or two numbers."""
    assert part_of(given) == (3, 10)


@pytest.mark.parametrize("given", ["", "3", "3/", "3/10/2", "-1/3", "0/3", "4/3", 3, (3,), (1.0, 3.0), None])
def test_what_is_none(given: object) -> None:
    """It is told what is expected."""
    with pytest.raises(dif.InputError, match="expected I/N, such as 3/10"):
        part_of(given)


def test_tasks_are_what_fits_into_a_file() -> None:
    """A part is one task, or the fewest equal ones of at most 256 MB; a batch at least."""
    megabyte = 10**6
    assert batches_of_a_task(100, 10, megabyte) == 10
    assert batches_of_a_task(101, 10, megabyte) == 11
    assert batches_of_a_task(10_000, 10, megabyte) == 250
    assert batches_of_a_task(2_570, 10, megabyte) == 129
    assert batches_of_a_task(100, 10, 300 * megabyte) == 1
    assert batches_of_a_task(3, 10, megabyte) == 1
    assert batches_of_a_task(3, 1, megabyte) == LEAST_IN_A_TASK, "of a recording that may grow"
    assert batches_of_a_task(3, 1, 100 * megabyte) == 2


@pytest.mark.parametrize(("tasks", "of"), [(10, 3), (3, 10), (7, 7), (1, 1), (5, 2)])
def test_which_part_has_a_task(tasks: int, of: int) -> None:
    """The one that has it among all parts, of which there may be a thousand million."""
    for number in range(1, of + 1):
        for place in Part(number, of).tasks(range(tasks)):
            assert Part(1, of).that_has(place, tasks) == Part(number, of)
    assert Part(1, 10**9).that_has(1, 2) == Part(10**9, 10**9)
