"""The blocks of a network: modules of one class that repeat, and what stands before and after them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from differentia.networks.calls import Call


def blocks_of(calls: Iterable[Call]) -> list[Call]:
    """Return the calls of blocks, and of leaves outside of them; none where no class of container repeats.

    Outermost first: a block within a block is a part of it. Where a class does nothing but call others of one
    class one after another (a stage), those are the blocks. Outside of blocks, what is made of the same parts
    as they is taken as a whole too.
    """
    calls = list(calls)
    own = [call for top in calls for call in _walk(top) if call.container and not call.generic]
    repeating = {kind for kind, count in Counter(call.type for call in own).items() if count > 1}
    repeating -= {kind for kind in repeating if _is_stage([call for call in own if call.type is kind])}
    within: dict[type, set[type]] = {kind: set() for kind in repeating}
    for call in own:
        if call.type in repeating:
            within[call.type] |= _types_within(call)
    parts = {
        kind
        for kind in repeating
        if any(kind in within[other] and other not in within[kind] for other in repeating - {kind})
    }
    blocks = repeating - parts

    def outermost(call: Call) -> Iterator[Call]:
        inner = _types_within(call)
        made_of_parts = bool(inner & parts) and not inner & blocks
        whole = call.type in repeating or (made_of_parts and not call.generic)
        if call.container and not whole:
            for child in call.children:
                yield from outermost(child)
        elif not call.inert:
            yield call

    found = [call for top in calls for call in outermost(top)]
    return found if any(call.type in blocks for call in found) else []


def _walk(call: Call) -> Iterator[Call]:
    yield call
    for child in call.children:
        yield from _walk(child)


def _types_within(call: Call) -> set[type]:
    return {inner.type for child in call.children for inner in _walk(child)}


def _parts(call: Call) -> list[Call]:
    """Return the calls below one, those of a sequence in its stead."""
    return [part for child in call.children for part in (_parts(child) if child.generic else [child])]


def _is_stage(calls: list[Call]) -> bool:
    """Return whether the calls of a class only call others, of which one class comes again and again."""
    return all(_ends_in_another(call) for call in calls) and any(_repeats_one(call) for call in calls)


def _ends_in_another(call: Call) -> bool:
    """Return whether a call gives just what the last container below it gave."""
    last = call
    while last.passes_on and (computing := [child for child in last.children if not child.inert]):
        last = computing[-1]
        if not last.generic:
            return last.container and last.type is not call.type
    return False


def _repeats_one(call: Call) -> bool:
    """Return whether the containers below a call are of one class, but for one (that makes a map smaller)."""
    kinds = Counter(part.type for part in _parts(call) if part.container)
    most = max(kinds.values(), default=0)
    return most > 1 and kinds.total() - most <= 1
