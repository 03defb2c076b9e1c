"""A recording measured as options say: what is cut out of it, and the result of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from differentia.errors import InputError, require_known
from differentia.experiment.measure import measure_responses
from differentia.experiment.options import MeasureOptions
from differentia.experiment.states import measure_states
from differentia.neurons.options import RecordingOptions
from differentia.neurons.recording import START, STOP
from differentia.neurons.responses import stimulus_responses
from differentia.neurons.trials import trials
from differentia.neurons.windows import presentations
from differentia.results.dataset import with_provenance
from differentia.results.references import require_references
from differentia.system.showing import listed

if TYPE_CHECKING:
    import xarray as xr

    from differentia.neurons.recording import Recording
    from differentia.system.progress import Progress

#: What stands for no set where one would be cut into windows.
NONE = "none"

#: The options that say what of a recording is taken, and what of it as responses, or as trials.
OF_BOTH = ("by", "table", "where", "area", "window", "detrend", "standardize", "runs")
OF_RESPONSES = ("value", "allow_overlap")
OF_TRIALS = ("bin", "bin_step", "length", "step")


def measure_recording(
    recording: Recording,
    options: RecordingOptions,
    measured: Mapping[str, Any],
    *,
    memory: int | str | None = None,
    progress: Progress | bool | None = None,
) -> xr.Dataset:
    """Return the result of a recording: of responses to stimuli, or of states over time.

    `measured` are keywords of `measure_responses`, or of `measure_states`.
    """
    given = vars(options)
    taken = {name: given[name] for name in OF_BOTH} | {"spontaneous": _spontaneous(options, measured)}
    if options.states is None:
        taken |= {name: given[name] for name in OF_RESPONSES}
        responses = stimulus_responses(recording, **taken)
        result = measure_responses(responses, memory=memory, progress=progress, **measured)
    else:
        taken |= {name: given[name] for name in OF_TRIALS}
        if options.scale == "published" and measured.get("normalize") == MeasureOptions().normalize:
            measured = {**measured, "normalize": "none"}  # the scale's own, where none was asked for
        result = measure_states(
            trials(recording, **taken),
            states=options.states,
            length=cast("float", options.state),
            **{name: given[name] for name in ("overlap", "taper", "frequencies", "scale")},
            progress=progress,
            **{name: value for name, value in measured.items() if name != "pool"},
        )
    facts = {"session": recording.session, "subject": recording.subject}
    return with_provenance(result, **{name: fact for name, fact in facts.items() if fact})


def require_sets(recording: Recording, options: RecordingOptions, reference: Any = None) -> None:
    """Raise an error where a recording lacks sets that are named, before any of it is measured."""
    if options.by is None and options.states and options.length is not None:
        return  # windows through the whole recording
    if options.by is None:
        columns = dict.fromkeys(
            str(name) for table in recording.intervals.values() for name in table if name not in (START, STOP)
        )
        raise InputError(
            f"by (--by) is missing: the column that names the sets, one of "
            f"{listed([*columns]) or 'none: there is no table of intervals'}"
        )
    shown = presentations(recording, options.by, table=options.table, where=options.where)
    sets = [*shown.of_sets()]
    require_references(reference, sets)
    spontaneous = () if options.spontaneous in (None, NONE) else (options.spontaneous,)
    for name in (*spontaneous, *(options.compare or ())):
        require_known("set", str(name), sets)


def _spontaneous(options: RecordingOptions, measured: Mapping[str, Any]) -> str | None:
    """Return the set whose intervals are cut into windows: by default the one reference of all sets."""
    if options.spontaneous is not None:
        return None if options.spontaneous == NONE else options.spontaneous
    reference = measured.get("reference")
    return reference if isinstance(reference, str) else None
