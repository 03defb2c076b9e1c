"""Images that are there more than once, within a set or in two, and which statistics allow for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from differentia.results.dataset import set_rows
from differentia.results.references import references_of
from differentia.results.schema import LIMITS, checked
from differentia.results.subject import subject_of

if TYPE_CHECKING:
    import xarray as xr

#: Sets, pairs of sets, or copies in a set, that a sentence names.
MOST_NAMED = 3


@checked
def say_copies(result: xr.Dataset) -> list[str]:
    """Say which images are there more than once, and which intervals and p allow for that.

    Images are known by their content. Of recorded responses, whose stimuli are not known, those are named
    that have the same responses in every population.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    list of str
        A sentence on copies within sets, and one on images that are in two sets; none where there are none,
        or where that can't be told, without contents and distances.
    """
    contents = _contents(result)
    names = [str(name) for name in result["set"].values]
    within = {name: found for name in names if (found := _copies(result, contents, set_rows(result, name)))}
    between = in_two_sets(result, contents)
    sentences = []
    if within:
        cases = [f"{name}: {_listed(found, ', ')}" for name, found in within.items()]
        sentences.append(_on_copies(result, _listed(cases, "; ")))
    if between:
        cases = [f"{first} and {second}: {count:,}" for (first, second), count in between.items()]
        sentences.append(_on_shared(result, _listed(cases, "; "), between))
    return sentences


def in_two_sets(
    result: xr.Dataset, contents: Int[np.ndarray, " image"] | None = None
) -> dict[tuple[str, str], int]:
    """Return how many images two sets have in common, of those that have any."""
    contents = _contents(result) if contents is None else contents
    names = [str(name) for name in result["set"].values]
    there = np.zeros((len(names), len(contents)), dtype=np.float32)  # whose products are the fastest
    for place, name in enumerate(names):
        there[place, contents[set_rows(result, name)]] = 1
    shared = np.triu(there @ there.T, k=1)
    return {(names[one], names[other]): int(shared[one, other]) for one, other in np.argwhere(shared)}


def _on_copies(result: xr.Dataset, cases: str) -> str:
    subject = subject_of(result)
    items, place = subject.item.many, subject.place.one
    counted = f"intervals, p and contrasts of the set count each as a further {subject.item.one}"
    if subject.recorded:
        told = f"{items.capitalize()} of one set have the same responses in every {place} ({cases})"
        return f"{told}: if they are copies, {counted}; leave them out."
    return (
        f"Copies of {items} are in one set ({cases}): their distance is 0, and {counted}; "
        "drop_duplicates=True (--drop-duplicates) leaves them out."
    )


def _on_shared(result: xr.Dataset, cases: str, pairs: Iterable[tuple[str, str]]) -> str:
    subject, references = subject_of(result), references_of(result)
    items, place = subject.item.many, subject.place.one
    shared = {frozenset(pair) for pair in pairs}
    divisors = {one: None for name, one in references.items() if frozenset((name, one)) in shared}
    divided = LIMITS[0] in result and bool(divisors)
    relative = f"intervals relative to {_listed([*divisors], ', ')}"
    if subject.recorded:
        told = f"{items.capitalize()} of two sets have the same responses in every {place} ({cases})"
        who = f"contrasts{f' and {relative}' if divided else ''}"
        paired = "a paired contrast joins those of the same name (without labels, their number)"
        return f"{told}: {who} take them for different ones; {paired}."
    allowed = "contrasts allow for that, paired ones only where names agree"
    ending = f"; {relative} do not" if divided else ""
    return f"{items.capitalize()} are in two sets ({cases}): {allowed}{ending}."


def _contents(result: xr.Dataset) -> Int[np.ndarray, " image"]:
    """Return a number for each image, the same where content, or all responses, are the same."""
    hashes = result["image_hash"].values.astype(str)
    numbers = np.arange(len(hashes))
    if (hashes != "").any():
        first = {content: row for row, content in reversed([*enumerate(hashes.tolist())])}
        return np.array([first[content] if content else row for row, content in enumerate(hashes.tolist())])
    if "distance" in result:
        same = np.ones((len(hashes), len(hashes)), dtype=bool)
        for of_layer in result["distance"].transpose("layer", "image", "image_other").values:
            same &= of_layer == 0
        numbers = same.argmax(axis=1)
    return numbers


def _copies(
    result: xr.Dataset, contents: Int[np.ndarray, " image"], rows: Int[np.ndarray, " n"]
) -> list[str]:
    """Return the copies in a set, each with what it is a copy of, by name."""
    names = result["image_name"].values.astype(str)
    first: dict[int, str] = {}
    found = []
    for row in rows.tolist():
        if (content := int(contents[row])) in first:
            found.append(f"{names[row]} as {first[content]}")
        else:
            first[content] = names[row]
    return found


def _listed(cases: Sequence[str], separator: str) -> str:
    more = f" and {len(cases) - MOST_NAMED:,} more" if len(cases) > MOST_NAMED else ""
    return separator.join(cases[:MOST_NAMED]) + more
