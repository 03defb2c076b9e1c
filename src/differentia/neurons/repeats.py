"""Repeated presentations: the responses to each stimulus, as often as it was shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from differentia.errors import InputError, short_tracebacks
from differentia.neurons.recording import AREA, Recording
from differentia.neurons.responses import Read, StimulusResponses, finished, overlap, preprocessing_of, read
from differentia.neurons.told import Told
from differentia.neurons.windows import names_in, require_text

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@short_tracebacks
def repeated_responses(
    recording: Recording,
    *,
    by: str,
    stimulus: str,
    table: str | Sequence[str] | None = None,
    window: Sequence[float] | None = None,
    value: str | None = None,
    area: str = AREA,
    where: str | None = None,
    detrend: str = "none",
    standardize: bool = False,
    runs: str | None = None,
    allow_overlap: bool = False,
) -> StimulusResponses:
    """Return the responses to stimuli that were shown several times, by set and area.

    Parameters
    ----------
    recording, by, table, window, area, where, detrend, standardize, runs, allow_overlap
        As for `stimulus_responses`.
    stimulus
        The column of the tables of intervals that says which stimulus of the set was shown, such as
        ``frame``.
    value : {"count", "rate", "mean"}
        As for `stimulus_responses`.

    Returns
    -------
    StimulusResponses
        {set: {area: xarray.DataArray (repeat, stimulus, unit)}}: presentations of one stimulus in the order
        of time, which `measure_repeats` takes. There are as many repeats as of the stimulus that was shown
        least often, at least two.

    Raises
    ------
    InputError
        As for `stimulus_responses`; or no set has two stimuli that were shown twice.

    Warns
    -----
    DifferentiaWarning
        As for `stimulus_responses`, and of presentations without a stimulus, stimuli that were shown once,
        and repeats that not all stimuli have.
    """
    require_text("stimulus", stimulus)
    if value == "samples":
        raise InputError("value is 'samples', but a repeat is one response; expected 'mean'")
    found = read(
        recording,
        by=by,
        table=table,
        window=window,
        value=value,
        area=area,
        spontaneous=None,
        where=where,
        preprocessing=preprocessing_of(recording, detrend, standardize, runs),
        allow_overlap=allow_overlap,
    )
    if stimulus not in found.windows.table:
        columns = ", ".join(map(str, found.windows.table))
        raise InputError(f"no interval has the column {stimulus!r}; expected one of these: {columns}")
    labels = names_in(found.windows.table[stimulus])
    told = [*found.told]
    arrays: dict[str, dict[str, xr.DataArray]] = {}
    for name, rows in found.windows.of_sets().items():
        places, more = _repeats(labels, rows, name)
        told += more
        if len(places) >= 2:
            together = np.stack([*places.values()], axis=1)
            arrays[name] = {
                place: _labelled(found, place, together, [*places], recording.units.index)
                for place in found.areas
            }
        else:
            told.append(Told(f"set {name!r} was left out: it has no two stimuli that were shown twice"))
    if not arrays:
        raise InputError(
            f"no set has two stimuli that were shown twice: {'; '.join(one.text for one in told)}"
        )
    found = found._replace(told=tuple(told), how={**found.how, "stimulus": stimulus})
    return finished(arrays, recording, found, independent=not overlap(found.windows))


def _labelled(
    found: Read,
    area: str,
    rows: Int[np.ndarray, "repeat stimulus"],
    stimuli: Sequence[str],
    units: pd.Index[Any],
) -> xr.DataArray:
    import xarray as xr

    values = found.of(area, rows.ravel()).reshape(*rows.shape, -1)
    return xr.DataArray(
        values,
        dims=("repeat", "stimulus", "unit"),
        coords={
            "repeat": np.arange(1, len(rows) + 1),
            "stimulus": [*stimuli],
            "unit": units[found.areas[area]].to_numpy(),
            "start": (("repeat", "stimulus"), found.windows.starts[rows]),
            "stop": (("repeat", "stimulus"), found.windows.stops[rows]),
        },
    )


def _repeats(
    labels: np.ndarray, rows: Int[np.ndarray, " _"], name: str
) -> tuple[dict[str, Int[np.ndarray, " repeat"]], list[Told]]:
    """Return the rows of each stimulus of a set, equally many, and what is told of the others."""
    told = []
    shown: dict[str, list[int]] = {}
    for row in rows.tolist():
        shown.setdefault(labels[row], []).append(row)
    unknown = len(shown.pop("", []))
    if unknown:
        told.append(Told(f"set {name!r}: {unknown:,} presentations without a stimulus were left out"))
    once = [stimulus for stimulus, places in shown.items() if len(places) == 1]
    shown = {stimulus: places for stimulus, places in shown.items() if len(places) > 1}
    if once:
        told.append(Told(f"set {name!r}: {len(once):,} stimuli that were shown once were left out"))
    least = min(map(len, shown.values()), default=0)
    if more := sum(len(places) - least for places in shown.values()):
        told.append(
            Told(
                f"set {name!r}: {more:,} presentations beyond the {least:,} repeats that every stimulus has "
                "were left out"
            )
        )
    return {stimulus: np.array(places[:least]) for stimulus, places in shown.items()}, told
