"""Responses at hand that have labels, pandas' or xarray's: which rows and columns are which."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Num

from differentia.definition.measure import as_responses
from differentia.errors import InputError

#: What the dimensions of labelled arrays are called; "neurons" is as good as "neuron", in any case.
UNITS = ("unit", "neuron", "cell", "channel", "electrode", "voxel", "feature")
STIMULI = ("stimulus", "stimuli", "image", "trial", "presentation", "response", "time", "window", "frame")

#: Labels that an error names, of however many.
MOST_NAMED = 5


Labels = tuple[Hashable, ...]


class Labelled(NamedTuple):
    """Responses, stimuli x units (x repeats), and the labels of stimuli and units where they have some."""

    values: Num[np.ndarray, "n k ..."]
    stimuli: Labels | None = None
    units: Labels | None = None


def labelled(array: Any, where: str) -> Labelled:
    """Return an array, a DataFrame or a DataArray as responses x units; errors call it `where`."""
    if isinstance(array, Labelled):
        return array
    if hasattr(array, "dims") and hasattr(array, "coords"):
        names = tuple(map(str, array.dims))
        labels = [array.indexes.get(name) for name in array.dims]
        require_name = names != tuple(f"dim_{axis}" for axis in range(len(names)))  # xarray's own
    elif hasattr(array, "columns") and hasattr(array, "index"):
        labels = [array.index, array.columns]
        names = tuple("" if axis.name is None else str(axis.name) for axis in labels)
        require_name = False  # a table's rows are stimuli, unless its names say otherwise
    else:
        return Labelled(as_responses(array, where))
    if len(names) != 2:
        raise InputError(
            f"{where} has the dimensions {names}; expected two, stimuli and units: average over the others, "
            "or join them (xarray: .stack(response=[...]))"
        )
    of_units, of_stimuli = ([is_among(name, known) for name in names] for known in (UNITS, STIMULI))
    if sum(of_units) == 2 or sum(of_stimuli) == 2 or (require_name and not any((*of_units, *of_stimuli))):
        raise InputError(
            f"{where} has the dimensions {names}, which do not say what rows and columns are; expected one "
            f"of units ({', '.join(UNITS)}) and one of stimuli ({', '.join(STIMULI)}): rename them"
        )
    values = as_responses(array.to_numpy().T if of_units[0] or of_stimuli[1] else array, where)
    if of_units[0] or of_stimuli[1]:
        labels.reverse()
    stimuli, units = map(labels_of, labels)
    return Labelled(values, stimuli, units)


def labels_of(index: Any) -> Labels | None:
    """Return the labels of a dimension, by its index if it has one."""
    return None if index is None else tuple(map(_as_text, index.tolist()))


def _as_text(label: Hashable) -> Hashable:
    return label.decode(errors="replace") if isinstance(label, bytes) else label


def is_among(name: str, known: Sequence[str]) -> bool:
    """Return whether a dimension has one of these names, or its plural, in any case."""
    return name.lower() in known or name.lower().removesuffix("s") in known


def with_same_units(
    matrices: Mapping[str, Labelled], layer: str, place: str = "layer"
) -> dict[str, Labelled]:
    """Return the matrices of a layer, by set, with their columns in one order, as far as they have labels."""
    labels = {f"{place} {layer!r}, set {name!r}": one.units for name, one in matrices.items()}
    return _taken(matrices, _orders(labels, "units"), "units")


def with_same_stimuli(
    matrices: Mapping[str, Labelled], set_name: str, place: str = "layer"
) -> dict[str, Labelled]:
    """Return the matrices of a set, by layer, with their rows in one order, as far as they have labels."""
    labels = {f"set {set_name!r}, {place} {name!r}": one.stimuli for name, one in matrices.items()}
    return _taken(matrices, _orders(labels, "stimuli"), "stimuli")


def _taken(
    matrices: Mapping[str, Labelled], orders: Sequence[list[int] | None], what: str
) -> dict[str, Labelled]:
    """Return matrices with their units, or stimuli, in these orders, and so their labels."""
    taken = {}
    for (name, one), order in zip(matrices.items(), orders, strict=True):
        if order is not None:
            values = one.values.take(order, axis=("stimuli", "units").index(what))
            labels = tuple(getattr(one, what)[place] for place in order)
            one = one._replace(values=values, **{what: labels})
        taken[name] = one
    return taken


def _orders(labels: Mapping[str, Labels | None], what: str) -> list[list[int] | None]:
    """Return in which order each has the labels of the first that has some; None where it is that order."""
    found: list[list[int] | None] = []
    known = [(where, given) for where, given in labels.items() if given is not None]
    for where, given in labels.items():
        if given is None or given == known[0][1]:
            found.append(None)
            continue
        first, expected = known[0]
        if {*given} != {*expected}:
            raise InputError(
                f"{where} has other {what} than {first}: it is {_difference(expected, given)}; give the same "
                f"{what} everywhere, or arrays without labels (.to_numpy()), in one order"
            )
        if len({*given}) < max(len(given), len(expected)):
            raise InputError(
                f"{where} has the {what} of {first} in another order, some labels twice; give each its own"
            )
        place = {label: at for at, label in enumerate(given)}
        found.append([place[label] for label in expected])
    return found


def _difference(expected: Labels, given: Labels) -> str:
    """Return which labels are in one only."""
    missing, more = (
        [label for label in one if label not in other]
        for one, other in ((expected, {*given}), (given, {*expected}))
    )
    parts = (("without", missing), ("and with" if missing else "with", more))
    return " ".join(f"{word} {_named(labels)}" for word, labels in parts if labels)


def _named(labels: Sequence[Hashable]) -> str:
    rest = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    return ", ".join(map(repr, labels[:MOST_NAMED])) + rest
