"""Responses to stimuli: what each unit of an area did in the window of each presentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Int, Num

from differentia.errors import InputError, require_known, short_tracebacks, warn
from differentia.neurons.activity import VALUES
from differentia.neurons.areas import areas_of
from differentia.neurons.preprocessing import Preprocessing
from differentia.neurons.recording import AREA, START, STOP, Recording, require_recording
from differentia.neurons.told import Told, sentences
from differentia.neurons.windows import (
    Windows,
    are_equal,
    observed,
    presentations,
    require_apart,
    windows_of,
    without_invalid,
)
from differentia.system.choices import DETREND, VALUE
from differentia.system.showing import Shown, listed

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: Whole presentations that differ by more are told of: the responses to long ones are less noisy.
_FAR_APART = 1.1


@dataclass(frozen=True, repr=False, eq=False)
class StimulusResponses(Shown, Mapping[str, Mapping[str, "xr.DataArray"]]):
    """Responses by set and area, which `measure_responses` takes as they are.

    Attributes
    ----------
    arrays
        Set -> area -> DataArray (presentation, unit), or (repeat, stimulus, unit).
    told
        What was left out of the recording and why, one sentence each.
    session, subject, source
        Those of the recording.
    independent
        Whether each response is one of its own: neither do windows overlap, nor are several samples of one
        presentation among them.
    how
        What was asked for, by the names of the options, and what a response is by default.
    warned
        What else was warned of, as a result keeps it.
    """

    arrays: Mapping[str, Mapping[str, xr.DataArray]]
    told: tuple[str, ...] = ()
    session: str = ""
    subject: str = ""
    source: str = ""
    independent: bool = True
    how: Mapping[str, Any] = field(default_factory=dict)
    warned: tuple[Mapping[str, str], ...] = ()

    def __getitem__(self, name: str) -> Mapping[str, xr.DataArray]:
        """Return the responses of a set, by area."""
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names of the sets."""
        return iter(self.arrays)

    def __len__(self) -> int:
        """Return the number of sets."""
        return len(self.arrays)

    def attributes(self) -> dict[str, list[str | float]]:
        """Return what is known of each presentation, by name: a text or a number for each, set after set."""
        of_sets = [next(iter(of_set.values())) for of_set in self.arrays.values()]
        names = dict.fromkeys(str(name) for one in of_sets for name in one.coords if name not in one.dims)
        return {name: [value for one in of_sets for value in one[name].values.tolist()] for name in names}

    def _shown(self) -> tuple[str, dict[str, str]]:
        first = next(iter(self.arrays.values()))
        shapes = {name: next(iter(of_set.values())).shape for name, of_set in self.arrays.items()}
        sizes = (f"{name} ({' x '.join(f'{n:,}' for n in shape[:-1])})" for name, shape in shapes.items())
        facts = {
            "source": self.source,
            "sets": listed([*sizes]),
            "areas": listed([f"{name} ({array.shape[-1]:,})" for name, array in first.items()]),
            "left out": "; ".join(self.told),
        }
        kind = "repeats" if len(next(iter(first.values())).shape) == 3 else "presentations"
        return f"Responses to {kind} in {len(self):,} sets", {
            name: fact for name, fact in facts.items() if fact
        }


class Read(NamedTuple):
    """Responses, and the units of each area."""

    windows: Windows
    values: Num[np.ndarray, "window unit"]
    areas: Mapping[str, Int[np.ndarray, " _"]]
    told: tuple[Told, ...]
    warned: tuple[Mapping[str, str], ...]
    value: str
    how: Mapping[str, Any]

    def of(self, area: str, rows: Int[np.ndarray, " _"]) -> Num[np.ndarray, "row unit"]:
        """Return the responses of an area in some of the windows."""
        values = np.ascontiguousarray(self.values.T[self.areas[area]][:, rows].T)
        per_second = VALUES[self.value].per_second
        return values / self.windows.lengths[rows, np.newaxis] if per_second else values


@short_tracebacks
def stimulus_responses(
    recording: Recording,
    *,
    by: str,
    table: str | Sequence[str] | None = None,
    window: Sequence[float] | None = None,
    value: str | None = None,
    area: str = AREA,
    spontaneous: str | None = None,
    where: str | None = None,
    detrend: str = "none",
    standardize: bool = False,
    runs: str | None = None,
    allow_overlap: bool = False,
) -> StimulusResponses:
    """Return the response of each unit to each presentation, by set and area.

    Parameters
    ----------
    recording
        What `read_recording` or `as_recording` returned.
    by
        The column of the tables of intervals that names the sets, such as ``stimulus_name``. Numbers are
        written as shortly as they can be: 30.0 is the set "30".
    table
        The tables of intervals to look at, one or several; by default all that have the column.
    window
        From when to when after the onset of each presentation, in seconds: ``(0, 0.25)``; by default the
        whole presentation. The first moment is within, the last is not.
    value : {"count", "rate", "mean", "samples"}
        What a response is. Of spikes: their number, which is the default with a window, or their rate in
        spikes/s, the default of whole presentations. Of traces: the mean over the samples in the window,
        which is the default; or each sample in the window is a response of its own, as volumes of fMRI.
    area
        The column of the units that names the areas; without ``location`` all units are one population,
        "all".
    spontaneous
        The set whose intervals are long, and are cut into consecutive windows as long as the others' (of
        whole presentations: as their median), so that its responses compare with theirs.
    where
        A query on the columns of the tables of intervals, such as ``"block == 1 and contrast >= 0.5"``.
    detrend : {"none", "mean", "linear"}
        What is taken away from traces: see `detrended`.
    standardize
        Whether traces get the mean 0 and the SD 1.
    runs
        Within what traces are detrended and standardised: a table of intervals, or a column of one, such as
        ``run``; by default the whole recording.
    allow_overlap
        Whether windows may overlap. The responses are not independent then, and have no limits.

    Returns
    -------
    StimulusResponses
        {set: {area: xarray.DataArray (presentation, unit)}}, in the order of time. The coordinates are the
        names of presentations ("movie 12") and the labels of units; and, along the presentations, ``start``
        and ``stop`` in seconds and the columns of the table, which a result has as ``image_start`` and so on.

    Raises
    ------
    InputError
        Windows overlap, hold no sample, lie outside of the recording or are of unequal length though spikes
        are counted; a trace is not finite; a column, table or set is not there.

    Warns
    -----
    DifferentiaWarning
        Of the kind "left_out": presentations in times that are marked as invalid, or during which most units
        were not observed; other units that were not observed throughout; units without an area; intervals
        without a value of `by`. Of the kind "other": windows of unequal length.

    Notes
    -----
    The limits of a measured result, over presentations, take them as independent. Samples of one presentation
    are not (`doubts` says so, and there are no limits): average over each, ``value="mean"``.
    """
    found = read(
        recording,
        by=by,
        table=table,
        window=window,
        value=value,
        area=area,
        spontaneous=spontaneous,
        where=where,
        preprocessing=preprocessing_of(recording, detrend, standardize, runs),
        allow_overlap=allow_overlap,
    )
    arrays, columns = {}, _columns(found.windows, by)
    for name, rows in found.windows.of_sets().items():
        coordinates = {column: ("presentation", values[rows]) for column, values in columns.items()}
        coordinates["presentation"] = ("presentation", found.windows.names[rows].astype(str))
        arrays[name] = {
            place: _labelled(found.of(place, rows), coordinates, recording.units.index[found.areas[place]])
            for place in found.areas
        }
    independent = found.value != "samples" and not overlap(found.windows)
    return finished(arrays, recording, found, independent=independent)


def read(
    recording: Recording,
    *,
    by: str,
    table: str | Sequence[str] | None,
    window: Sequence[float] | None,
    value: str | None,
    area: str,
    spontaneous: str | None,
    where: str | None,
    preprocessing: Preprocessing,
    allow_overlap: bool,
) -> Read:
    """Return the responses in the windows of all presentations that were not left out."""
    require_recording(recording)
    name = _value_of(recording, value, window)
    shown = presentations(recording, by, table=table, where=where)
    if name == "samples":  # which are as long as each other, whatever the interval
        require_known("set", spontaneous or shown.sets[0], shown.of_sets())
        spontaneous = None
    windows = without_invalid(windows_of(shown, window, spontaneous=spontaneous), recording)
    windows, seen = observed(windows, recording)
    if not allow_overlap:
        require_apart(windows)
    areas, told = areas_of(recording, area, seen)
    if name == "count" and not are_equal(windows.lengths):
        shortest, longest = windows.lengths.min(), windows.lengths.max()
        raise InputError(
            f"windows last from {shortest:.6g} to {longest:.6g} s, and counts compare in windows of one "
            "length only; give window=(0, SECONDS), or take rates: value='rate'"
        )
    windows, values = VALUES[name].read(recording, windows, preprocessing)
    warned = () if name == "samples" else _warned_of_lengths(windows)
    how = asked_for(by, table, window, area, spontaneous, where, preprocessing) | {"value": name}
    return Read(windows, values, areas, (*windows.told, *told), warned, name, how)


def asked_for(
    by: str | None,
    table: str | Sequence[str] | None,
    window: Sequence[float] | None,
    area: str,
    spontaneous: str | None,
    where: str | None,
    preprocessing: Preprocessing,
) -> dict[str, Any]:
    """Return what is taken of a recording by the names of the options, as JSON can hold it."""
    return {
        "by": by,
        "table": table if table is None or isinstance(table, str) else [*table],
        "window": None if window is None else [float(end) for end in window],
        "area": area,
        "spontaneous": spontaneous,
        "where": where,
        **asdict(preprocessing),
    }


def _warned_of_lengths(windows: Windows) -> tuple[Mapping[str, str], ...]:
    shortest, longest = windows.lengths.min(), windows.lengths.max()
    if longest <= _FAR_APART * shortest:
        return ()
    text = (
        f"windows last from {shortest:.6g} to {longest:.6g} s: responses in long ones are less noisy, and "
        "differ less, than those in short ones; window= (--window) makes them equal"
    )
    return (warn("other", text),)


def finished(
    arrays: Mapping[str, Mapping[str, xr.DataArray]],
    recording: Recording,
    found: Read,
    *,
    independent: bool = True,
) -> StimulusResponses:
    """Return responses, and warn of what was left out unasked."""
    return StimulusResponses(
        arrays,
        sentences(recording, found.told),
        recording.session,
        recording.subject,
        recording.source,
        independent,
        found.how,
        found.warned,
    )


def _value_of(recording: Recording, value: str | None, window: Sequence[float] | None) -> str:
    """Return what a response is, by default what the recording and the window suggest."""
    if value is None:
        return ("rate" if window is None else "count") if recording.has_spikes else "mean"
    VALUE.checked(value)
    if VALUES[value].of_spikes != recording.has_spikes:
        kind, names = (
            ("spikes", "'count' or 'rate'") if recording.has_spikes else ("traces", "'mean' or 'samples'")
        )
        raise InputError(f"value is {value!r}, but the recording has {kind}; expected {names}")
    return value


def preprocessing_of(
    recording: Recording, detrend: str, standardize: bool, runs: str | None
) -> Preprocessing:
    """Return what is done to traces, of which spikes have nothing."""
    DETREND.checked(detrend)
    given = Preprocessing(detrend, bool(standardize), runs)
    if given.needed and recording.has_spikes:
        raise InputError(
            "detrend= and standardize= are of traces, and the recording has spikes; leave them out "
            "(normalize='unit' of measure_responses divides each unit by its SD)"
        )
    if runs is not None and not given.needed:
        raise InputError(
            f"runs={runs!r} says within what traces are detrended and standardised; add detrend='linear' or "
            "standardize=True, or leave runs out"
        )
    return given


def overlap(windows: Windows) -> bool:
    """Return whether any windows overlap."""
    try:
        require_apart(windows)
    except InputError:
        return True
    return False


def _columns(windows: Windows, by: str) -> dict[str, np.ndarray]:
    """Return what is known of each window beside its name: when it was, and the table's numbers and texts."""
    known: dict[str, np.ndarray] = {"start": windows.starts, "stop": windows.stops}
    for column in windows.table:
        values, name = windows.table[column], str(column)
        if name in (START, STOP, by, "presentation", "unit", *known):
            continue
        if values.dtype.kind in "fiub":
            known[name] = values.to_numpy(np.float64, na_value=np.nan)
        elif all(isinstance(one, str) for one in values.dropna().tolist()):
            known[name] = values.astype(object).where(values.notna(), "").to_numpy()
    return known


def _labelled(
    values: Num[np.ndarray, "window unit"], coordinates: Mapping[str, Any], units: pd.Index[Any]
) -> xr.DataArray:
    import xarray as xr

    return xr.DataArray(
        values, dims=("presentation", "unit"), coords={**coordinates, "unit": units.to_numpy()}
    )
