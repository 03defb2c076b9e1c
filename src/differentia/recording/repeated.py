"""Responses at hand to stimuli that were repeated: which dimension is which, by its name or its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Num

from differentia.definition.measure import as_responses
from differentia.errors import InputError
from differentia.recording.labelled import STIMULI, UNITS, Labelled, is_among, labels_of
from differentia.recording.responses import ALL, labelled_matrices, require_moderate

#: What the dimension of repeats is called, in an array whose other dimensions are of stimuli and units.
REPEATS = ("repeat", "repetition", "trial", "presentation", "run")

#: In the order of an array without names.
_ORDER = ("repeat", "stimulus", "unit")
_KNOWN = {"unit": UNITS, "repeat": REPEATS, "stimulus": STIMULI}


def repeated_responses_from(given: Any) -> dict[str, dict[str, Labelled]]:
    """Return responses to repeated stimuli by set and layer, as (stimulus, unit, repeat), in one order."""
    arrays = given if isinstance(given, Mapping) else {ALL: given}
    found = labelled_matrices(arrays, read=_read)
    for name, of_set in found.items():
        for layer, one in of_set.items():
            require_moderate(one.values, f"set {name!r}, layer {layer!r}")
    return found


def _read(array: Any, where: str) -> Labelled:
    """Return (repeat, stimulus, unit), or a DataArray whose dimensions say which is which."""
    if not (hasattr(array, "dims") and hasattr(array, "coords")):
        return Labelled(_as_repeats(array, where).transpose(1, 2, 0))
    names = tuple(map(str, array.dims))
    order = _order_of(names, where)
    values = _as_repeats(array.to_numpy().transpose(order), where)
    stimuli, units = (array.indexes.get(array.dims[place]) for place in order[1:])
    return Labelled(values.transpose(1, 2, 0), labels_of(stimuli), labels_of(units))


def _order_of(names: tuple[str, ...], where: str) -> tuple[int, ...]:
    """Return where the dimensions of repeats, stimuli and units stand."""
    if names == ("dim_0", "dim_1", "dim_2"):  # xarray's own, which say nothing
        return 0, 1, 2
    places: dict[str, int] = {}
    for what, known in _KNOWN.items():  # stimuli last: a trial is one where nothing else is
        left = [place for place in range(len(names)) if place not in places.values()]
        fitting = [place for place in left if is_among(names[place], known)]
        # A presentation, or a trial, may be a repeat or a stimulus: a name that can't be the other decides.
        sure = [place for place in fitting if what != "repeat" or not is_among(names[place], STIMULI)]
        chosen = sure or fitting
        if len(names) != 3 or len(chosen) != 1:
            raise InputError(
                f"{where} has the dimensions {names}; expected three: of repeats ({', '.join(REPEATS)}), of "
                f"stimuli ({', '.join(STIMULI)}) and of units ({', '.join(UNITS)}): rename them"
            )
        places[what] = chosen[0]
    return tuple(places[what] for what in _ORDER)


def _as_repeats(values: Any, where: str) -> Num[np.ndarray, "repeat n k"]:
    """Return values as repeats that can be compared, or raise an error."""
    try:
        shape = np.shape(values)
    except ValueError as error:  # lists of several lengths
        raise InputError(f"{where} is not an array of repeats x stimuli x units: {error}") from None
    if len(shape) != 3 or shape[0] < 2 or shape[1] < 2 or shape[2] < 1:
        raise InputError(
            f"{where} has the shape {shape}; expected three dimensions, repeats x stimuli x units, with at "
            "least 2 repeats of at least 2 stimuli"
        )
    array = np.asarray(values)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        repeat, stimulus, unit = np.argwhere(~np.isfinite(array))[0].tolist()
        raise InputError(
            f"{where} holds {array[repeat, stimulus, unit]} in repeat {repeat}, stimulus {stimulus}, unit "
            f"{unit}; expected finite numbers, and every stimulus as often: leave that repeat, stimulus or "
            "unit out"
        )
    flat = values if isinstance(values, np.ma.MaskedArray) else array
    return as_responses(flat.reshape(-1, shape[2]), where).reshape(shape)
