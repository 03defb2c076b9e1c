"""Areas: which units of a recording lie where."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from differentia.errors import InputError, unknown_name
from differentia.neurons.recording import AREA, Recording
from differentia.neurons.windows import Told, names_in

#: The population of units of which nothing says where they lie.
ALL = "all"


def areas_of(
    recording: Recording, area: str, observed: Bool[np.ndarray, " unit"]
) -> tuple[dict[str, Int[np.ndarray, " _"]], tuple[Told, ...]]:
    """Return the places of the units of each area that were observed, and what is told of the others.

    `area` is a column of the units; where the usual one is not there, or says nothing of any unit, all units
    are one population.
    """
    units, told = recording.units, []
    if area not in units and area != AREA:
        raise unknown_name("column of units", area, map(str, units))
    names = names_in(units[area]) if area in units else np.full(len(units), "", dtype=object)
    if area == AREA and (names == "").all():
        names = np.full(len(units), ALL, dtype=object)
    for left_out, why in (
        (~observed, "they were not observed during all of these presentations (obs_intervals)"),
        (observed & (names == ""), f"they have no {area}"),
    ):
        if left_out.any():
            told.append(Told(f"{np.count_nonzero(left_out):,} of {len(units):,} units were left out: {why}"))
    found = {
        name: np.flatnonzero(observed & (names == name)) for name in dict.fromkeys(names.tolist()) if name
    }
    found = {name: places for name, places in found.items() if len(places)}
    if not found:
        raise InputError("no unit is left" + "".join(f": {one.text}" for one in told))
    return found, tuple(told)
