"""Which set the values of each set are divided by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from differentia.errors import InputError, require_known

if TYPE_CHECKING:
    import xarray as xr

#: Stands for all sets that are not named.
OTHERS = "*"

#: The reference of all sets, or of each by its name, "" for none; None for the result's own.
References = str | Mapping[str, str] | None

#: The coordinate with the reference of each set, where they differ; "" where a set has none.
SET_REFERENCE = "set_reference"

#: Sets that are listed by their reference, of however many.
MOST_NAMED = 6


def require_references(given: References, sets: Iterable[str]) -> None:
    """Raise an error unless all sets that are named as, or get, a reference are there."""
    if given is None or given == "":
        return
    known = list(sets)
    if not isinstance(given, str | Mapping):
        raise InputError(
            f"reference is of type {type(given).__name__}; expected the name of a set, or those of sets by "
            "name"
        )
    named = {OTHERS: given} if isinstance(given, str) else given
    for name, reference in named.items():
        if name != OTHERS:
            require_known("set to have a reference (--reference)", name, known)
        if reference:
            require_known("set for reference (--reference)", reference, known)


def resolved(given: References, sets: Iterable[str], own: Mapping[str, str]) -> dict[str, str]:
    """Return the reference of each set: the one that is given, or its own; "" where it has none.

    A reference that has none is that of itself.
    """
    named = {OTHERS: given} if isinstance(given, str) and given else dict(given or {})
    found = {name: named.get(name, named.get(OTHERS, own.get(name, ""))) for name in sets}
    divisors = set(found.values())
    return {name: reference or (name if name in divisors else "") for name, reference in found.items()}


def references_of(result: xr.Dataset, given: References = None) -> dict[str, str]:
    """Return the reference of each set of a result, its own unless others are given.

    Of a selection, "" stands for one that was left out.
    """
    sets = [str(name) for name in result["set"].values]
    require_references(given, sets)
    if SET_REFERENCE in result.coords:
        own = dict(zip(sets, map(str, result[SET_REFERENCE].values), strict=True))
    else:
        own = dict.fromkeys(sets, str(result.attrs["reference"]))
    return resolved(given, sets, {name: one if one in sets else "" for name, one in own.items()})


def compared_sets(result: xr.Dataset) -> list[str]:
    """Return the sets that are compared unless others are named: those by which no other is divided.

    Where that is one set, it comes with its reference; where it is none, all sets are compared.
    """
    references = references_of(result)
    found = [name for name in references if name not in references.values()]
    if len(found) == 1:
        found = [name for name in references if name in (found[0], references[found[0]])]
    return found or [*references]


def references_in(values: xr.DataArray) -> References:
    """Return what values are divided by; None of those that are not."""
    reference: str | None = values.attrs.get("reference")
    if reference == "" and SET_REFERENCE in values.coords:  # which those of a result have too, undivided
        return dict(zip(map(str, values["set"].values), map(str, values[SET_REFERENCE].values), strict=True))
    return reference


def labelled(values: xr.DataArray, references: Mapping[str, str]) -> xr.DataArray:
    """Return values that say what they are divided by: one set, or each by another."""
    one = the_reference(references)
    if one or not any(references.values()):
        return values.assign_attrs(reference=one)
    names = [references[str(name)] for name in values["set"].values]
    return values.assign_attrs(reference="").assign_coords({SET_REFERENCE: ("set", names)})


def the_reference(references: References) -> str:
    """Return the one reference of all sets; "" where there is none, or several."""
    if isinstance(references, Mapping):
        distinct = {*references.values()}
        return distinct.pop() if len(distinct) == 1 else ""
    return references or ""


def short_name(references: References) -> str:
    """Return what titles call what values are divided by; "" where it is nothing."""
    several = isinstance(references, Mapping) and any(references.values())
    return the_reference(references) or ("each set's reference" if several else "")


def in_words(references: Mapping[str, str], quote: str = "{}") -> str:
    """Return which references sets have, as "scrambled for cats; noise for a, b"; "" where none has any."""
    if one := the_reference(references):
        return quote.format(one)
    of: dict[str, list[str]] = {}
    for name, reference in references.items():
        if reference and reference != name:
            of.setdefault(reference, []).append(name)
    told = []
    for reference, names in of.items():
        more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
        shown = ", ".join(map(quote.format, names[:MOST_NAMED]))
        told.append(f"{quote.format(reference)} for {shown}{more}")
    more = f"; and {len(told) - MOST_NAMED:,} more" if len(told) > MOST_NAMED else ""
    return "; ".join(told[:MOST_NAMED]) + more
