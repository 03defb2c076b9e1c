"""Recordings at hand: spike times or traces in arrays, and what pynapple and xarray hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from differentia.errors import InputError, in_one_line, short_tracebacks
from differentia.neurons.intervals import INVALID, interval_tables, spans_of
from differentia.neurons.recording import Recording
from differentia.neurons.spikes import ListedSpikes
from differentia.neurons.times import regular_times, sample_times, spans, spike_times
from differentia.neurons.traces import SampledTraces, require_as_many, require_traces

if TYPE_CHECKING:
    import pandas as pd

_EXPECTED = (
    "expected spike times (pynapple's TsGroup, {unit: times}, a list of arrays of seconds), or traces "
    "(pynapple's TsdFrame, xarray's DataArray, an array (sample, unit) with times= or rate=)"
)


@short_tracebacks
def as_recording(
    activity: Any,
    *,
    units: Any = None,
    intervals: Any = None,
    times: Any = None,
    rate: float | None = None,
    observed: Any = None,
    session: str = "",
    subject: str = "",
) -> Recording:
    """Return spikes or traces at hand, and tables of what was shown when, as a recording.

    Parameters
    ----------
    activity
        Spike times, in seconds, ascending: pynapple's ``TsGroup``; arrays by the unit's label; or a list of
        arrays, one for each unit. Or traces: pynapple's ``TsdFrame`` or ``Tsd``; an xarray ``DataArray`` with
        the coordinate ``time`` along one of its dimensions, in seconds; an array (sample, unit), or of one
        unit (sample,), with `times` or `rate`.
    units
        A table of the units, in their order: a DataFrame, or columns by name, such as
        ``{"location": ["V1", "V1", "LM"]}``. It is added to what pynapple or xarray says of them. Or, as
        text, a query on the columns that they say: `Recording.select`.
    intervals
        A DataFrame, pynapple's ``IntervalSet``, or columns by name, with ``start_time`` and ``stop_time`` (or
        ``start`` and ``end``, or ``stop``), in seconds: the table ``trials``. Or several such tables by name;
        that of ``invalid_times`` becomes `Recording.invalid`.
    times
        The time of each sample of an array, in seconds, ascending.
    rate
        Samples per second of an array, the first at 0 s.
    observed
        From when to when the units were recorded, (n, 2) in seconds. Without, what pynapple calls
        ``time_support``, which is from the first spike to the last unless pynapple was told another.
    session, subject
        What to call the recording and the animal.

    Raises
    ------
    InputError
        It is nothing of that kind, has no time, times are missing or go back, or tables have other lengths.
    """
    found = _found(activity, times, rate)
    count = found.activity.n_units
    table = _units(found.units, None if isinstance(units, str) else units, count)
    tables = interval_tables(intervals)
    support = found.observed if observed is None else observed
    recording = Recording(
        activity=found.activity,
        units=table,
        intervals={name: table for name, table in tables.items() if name != INVALID},
        observed=None if support is None else (_spans(support),) * count,
        invalid=spans_of(tables[INVALID]) if INVALID in tables else np.empty((0, 2)),
        session=str(session),
        subject=str(subject),
    )
    return recording.select(units) if isinstance(units, str) else recording


class _Found(NamedTuple):
    """Spikes or traces, what is said of their units, and when these were recorded."""

    activity: ListedSpikes | SampledTraces
    units: pd.DataFrame
    observed: Any = None


def _found(given: Any, times: Any, rate: Any) -> _Found:
    for is_such, read in _READERS:
        if is_such(given):
            if times is not None or rate is not None:
                name = "times" if times is not None else "rate"
                raise InputError(
                    f"{name} is given with a {type(given).__name__}, which has its own; leave it out"
                )
            return read(given)
    if times is not None and rate is not None:
        raise InputError("times and rate are both given; give one of them")
    if times is not None or rate is not None:
        return _of_array(given, times, rate)
    if isinstance(given, Mapping):
        return _of_trains(dict(given))
    array = isinstance(given, np.ndarray)
    if (isinstance(given, Sequence) and not isinstance(given, str | bytes)) or (
        array and given.dtype == object
    ):
        return _of_trains(dict(enumerate(given)))
    shape = f" of shape {given.shape}, without times" if array else ""
    raise InputError(f"the activity is of type {type(given).__name__}{shape}; {_EXPECTED}")


def _is_ts_group(given: Any) -> bool:
    return isinstance(given, Mapping) and hasattr(given, "time_support") and hasattr(given, "metadata")


def _is_tsd(given: Any) -> bool:
    return all(hasattr(given, name) for name in ("t", "values", "time_support"))


def _is_data_array(given: Any) -> bool:
    return hasattr(given, "dims") and hasattr(given, "coords")


def _is_frame(given: Any) -> bool:
    return hasattr(given, "columns") and hasattr(given, "index")


def _of_ts_group(given: Any) -> _Found:
    trains = {unit: given[unit].t for unit in given.index}
    found = _of_trains(trains)
    return _Found(found.activity, given.metadata.loc[list(given.index)], given.time_support.values)


def _of_tsd(given: Any) -> _Found:
    import pandas as pd

    if given.values.ndim > 2:
        raise InputError(
            f"the {type(given).__name__} has {given.values.ndim} dimensions; expected (sample, unit)"
        )
    traces = _traces(given.values, given.t, "the traces")
    units = pd.DataFrame(index=pd.RangeIndex(traces.n_units))
    if hasattr(given, "columns"):
        units = pd.DataFrame(getattr(given, "metadata", None), index=pd.Index(given.columns))
    return _Found(traces, units, given.time_support.values)


def _of_data_array(given: Any) -> _Found:
    import pandas as pd

    time = next((str(name) for name in given.coords if str(name).lower() in ("time", "times")), None)
    if time is None or len(given[time].dims) != 1 or given.ndim not in (1, 2):
        raise InputError(
            f"the DataArray has the dimensions {tuple(map(str, given.dims))} and the coordinates "
            f"{', '.join(map(str, given.coords)) or 'none'}; expected (time, unit), and the coordinate time"
        )
    (samples,) = given[time].dims
    turned = given.transpose(samples, ...)
    traces = _traces(turned.values, turned[time].values, "the DataArray")
    others = [name for name in turned.dims if name != samples]
    if not others:
        return _Found(traces, pd.DataFrame(index=pd.RangeIndex(1)))
    along = {str(name): one.values for name, one in turned.coords.items() if one.dims == (others[0],)}
    labels = along.pop(str(others[0]), np.arange(traces.n_units))
    return _Found(traces, pd.DataFrame(along, index=pd.Index(labels)))


def _of_frame(given: Any) -> _Found:
    import pandas as pd

    return _Found(
        _traces(given.to_numpy(), given.index.to_numpy(), "the DataFrame, whose index has to be its times"),
        pd.DataFrame(index=pd.Index(given.columns)),
    )


#: Which kinds of objects are told apart by what they have, and what reads each; the first that fits.
_READERS = (
    (_is_ts_group, _of_ts_group),
    (_is_tsd, _of_tsd),
    (_is_data_array, _of_data_array),
    (_is_frame, _of_frame),
)


def _of_trains(trains: Mapping[Any, Any]) -> _Found:
    import pandas as pd

    if not trains:
        raise InputError(f"the activity is of no unit; {_EXPECTED}")
    if all(isinstance(one, int | float | np.number) for one in trains.values()):
        raise InputError("the activity is a list of numbers; expected one array of spike times for each unit")
    checked = tuple(spike_times(one, f"unit {label!r}") for label, one in trains.items())
    return _Found(ListedSpikes(checked), pd.DataFrame(index=pd.Index(list(trains))))


def _of_array(given: Any, times: Any, rate: Any) -> _Found:
    import pandas as pd

    try:
        values = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the traces are no array ({in_one_line(error)}); expected (sample, unit)"
        ) from error
    require_traces(values, "the traces")
    at = regular_times(0.0, rate, len(values), "the traces") if times is None else times
    traces = _traces(values, at, "the traces")
    return _Found(traces, pd.DataFrame(index=pd.RangeIndex(traces.n_units)))


def _traces(values: np.ndarray, times: Any, where: str) -> SampledTraces:
    require_traces(values, where)
    at = sample_times(times, where)
    require_as_many(len(at), values, where)
    return SampledTraces(values, at)


def _units(said: pd.DataFrame, given: Any, count: int) -> pd.DataFrame:
    """Return a row for each unit: what was said of it, and what is given, which counts where both are."""
    import pandas as pd

    index = said.index.rename("id")
    table = said.set_axis(index).rename(columns=str)
    if given is None:
        return table
    if not isinstance(given, Mapping) and np.ndim(given) == 1:
        raise InputError("units are a list; say what they are: {'location': [...]} for areas")
    try:
        more = pd.DataFrame(given).rename(columns=str)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"units are no table ({in_one_line(error)}); expected a DataFrame, or columns by name"
        ) from error
    if len(more) != count:
        raise InputError(
            f"units has {len(more):,} rows, and {count:,} units are recorded; expected one for each"
        )
    if not more.columns.is_unique:
        twice = more.columns[more.columns.duplicated()][0]
        raise InputError(f"units has several columns {twice!r}; give each a name of its own")
    if not isinstance(more.index, pd.RangeIndex):  # labels of its own
        table = table.set_axis(more.index.rename("id"))
    return table.assign(**{name: more[name].to_numpy() for name in more})


def _spans(given: Any) -> Float[np.ndarray, "n 2"]:
    try:
        values = np.atleast_2d(np.asarray(getattr(given, "values", given)))
    except (TypeError, ValueError):
        values = np.empty(0, object)
    if values.ndim != 2 or values.shape[1] != 2:
        raise InputError(
            f"observed has the shape {values.shape}; expected (n, 2): starts and ends, in seconds"
        )
    return spans(values[:, 0], values[:, 1], "observed")
