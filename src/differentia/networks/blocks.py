"""The blocks of a network: modules of one class that repeat, and what stands before and after them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from differentia.networks.calls import Call


def blocks_of(calls: Iterable[Call]) -> list[Call]:
    """Return the calls of blocks, and of leaves outside of them; none where no class of container repeats.

    Outermost first: a block within a block is a part of it. Where a class does nothing but call others of one
    class one after another (a stage), those are the blocks.
    """
    calls = list(calls)
    every = [call for top in calls for call in _walk(top)]
    own = [call for call in every if call.container and not call.generic]
    repeating = {kind for kind, count in Counter(call.type for call in own).items() if count > 1}
    stages = {
        kind
        for kind in repeating
        if all(_ends_in_another(call, repeating) for call in own if call.type is kind)
        and any(_repeats_its_last(call) for call in own if call.type is kind)
    }
    blocks = repeating - stages
    found = [call for top in calls for call in _outermost(top, blocks)]
    return found if any(call.type in blocks for call in found) else []


def _walk(call: Call) -> Iterator[Call]:
    yield call
    for child in call.children:
        yield from _walk(child)


def _outermost(call: Call, blocks: set[type]) -> Iterator[Call]:
    if call.container and call.type not in blocks:
        for child in call.children:
            yield from _outermost(child, blocks)
    elif not call.inert:
        yield call


def _parts(call: Call) -> list[Call]:
    """Return the calls below one, those of a sequence in its stead."""
    return [part for child in call.children for part in (_parts(child) if child.generic else [child])]


def _ends_in_another(call: Call, repeating: set[type]) -> bool:
    """Return whether a call gives just what the last container below it gave."""
    last = call
    while last.passes_on and last.children:
        last = last.children[-1]
        if not last.generic:
            return last.container and last.type in repeating and last.type is not call.type
    return False


def _repeats_its_last(call: Call) -> bool:
    parts = _parts(call)
    return sum(part.type is parts[-1].type for part in parts) > 1
