"""The options by which responses, or states over time, are cut out of a recording, each declared once."""

# ruff: noqa: RUF009 - option() makes a dataclass's field

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import AfterValidator, Field

from differentia.errors import InputError
from differentia.system.choices import ALTERNATIVE, DETREND, SCALE, STATES, VALUE
from differentia.system.fields import DISTINCT, SEVERAL, Count, Number, Text, option

#: How long something lasts, in seconds.
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _two_times(given: tuple[float, ...]) -> tuple[float, ...]:
    if len(given) != 2 or given[0] >= given[1]:
        raise InputError(
            f"is {', '.join(f'{one:g}' for one in given)}; expected from when to when, as 0, 0.25"
        )
    return given


Window = Annotated[tuple[Number, ...], SEVERAL, AfterValidator(_two_times)]
Names = Annotated[tuple[Text, ...], SEVERAL, Field(min_length=1), DISTINCT]
TwoNames = Annotated[tuple[Text, ...], SEVERAL, Field(min_length=2, max_length=2), DISTINCT]


@dataclass(frozen=True)
class RecordingOptions:
    """What is taken of a recording, and how it becomes responses to stimuli, or states over time."""

    by: Text | None = option(
        None,
        "The column of the tables of intervals that names the sets, such as stimulus_name",
        metavar="COLUMN",
        shown="none",
    )
    window: Window | None = option(
        None,
        "The responses: from when to when after the onset of each interval, in seconds",
        typed=", such as 0,0.25",
        metavar="FROM,TO",
        shown="whole intervals",
    )
    states: Annotated[str, STATES] | None = option(
        None, "States over time instead of responses", shown="responses"
    )
    state: Seconds | None = option(
        None, "The length of a state", typed=" in seconds", metavar="SECONDS", shown="none"
    )
    bin: Seconds | None = option(
        None, "Bins of spikes that states are made of", typed=", in seconds", metavar="SECONDS", shown="none"
    )
    bin_step: Seconds | None = option(
        None, "From bin to bin", typed=", in seconds", metavar="SECONDS", shown="the bin's width"
    )
    length: Seconds | None = option(
        None,
        "Windows that move through each interval, each of which gets a value",
        typed=", in seconds",
        metavar="SECONDS",
        shown="whole intervals",
    )
    step: Seconds | None = option(
        None, "From window to window", typed=", in seconds", metavar="SECONDS", shown="the window's length"
    )
    overlap: Annotated[float, Field(ge=0, lt=1)] = option(
        0.0, "The share of a state that the next one repeats", metavar="SHARE"
    )
    taper: Text = option("none", "The taper of spectral states, such as tukey:0.25", metavar="NAME")
    frequencies: Count | None = option(
        None,
        "To how many frequencies of spectral states power is summed up, evenly on a logarithmic scale",
        shown="all, as they are",
    )
    scale: Annotated[str, SCALE] = option("differentiation", "The scale of values of states")
    table: Names | None = option(
        None, "The tables of intervals to look at", metavar="NAME,...", shown="all that have the column"
    )
    where: Text | None = option(
        None, "Which intervals to take, such as 'block == 1'", metavar="QUERY", shown="all"
    )
    units_where: Text | None = option(
        None,
        "Which units to take, by their columns, such as \"quality == 'good' and snr > 1\"",
        metavar="QUERY",
        shown="all",
    )
    traces: Text | None = option(
        None,
        "The series of traces to take",
        metavar="NAME",
        shown="spikes, or else the only series",
    )
    area: Text = option(
        "location", "The column of the units that names the areas", metavar="COLUMN", shown="location"
    )
    spontaneous: Text | None = option(
        None,
        "The set that is cut into windows as long as the stimuli's",
        typed="; none for none",
        metavar="SET",
        shown="the reference",
    )
    value: Annotated[str, VALUE] | None = option(
        None,
        "What a response is",
        shown="count in a window, rate in whole intervals, mean of traces",
    )
    detrend: Annotated[str, DETREND] = option("none", "What is taken away from traces")
    standardize: bool = option(False, "Divide each trace by its SD")
    runs: Text | None = option(
        None,
        "Detrend and standardize within runs: a table of intervals, or a column of one",
        metavar="NAME",
        shown="the whole recording",
    )
    allow_overlap: bool = option(False, "Take windows that overlap")
    compare: TwoNames | None = option(
        None,
        "Two sets to compare by their trials, within each session and across sessions",
        metavar="A,B",
        shown="none",
    )
    log: bool = option(False, "Compare the logarithms of their values")
    alternative: Annotated[str, ALTERNATIVE] = option(
        "two-sided", "What the test within each session looks for in the first set"
    )


#: What is of states over time alone, and what of responses to stimuli.
OF_STATES = (
    "state",
    "bin",
    "bin_step",
    "length",
    "step",
    "overlap",
    "taper",
    "frequencies",
    "scale",
    "compare",
    "log",
    "alternative",
)
OF_RESPONSES = ("value", "allow_overlap")


def require_together(options: RecordingOptions, *, pool: int | None = None) -> None:
    """Raise an error for options that do not go together, before any file is read."""
    given = {one.name for one in fields(options) if getattr(options, one.name) != one.default}
    for name in given.intersection(OF_RESPONSES if options.states else OF_STATES):
        option_name = f"{name} (--{name.replace('_', '-')})"
        raise InputError(
            f"{option_name} is of responses to stimuli; leave it out, or leave out states (--states)"
            if options.states
            else f"{option_name} is of states over time; leave it out, or say which: states (--states) "
            "rate or spectral"
        )
    if options.states and pool is not None:
        raise InputError("pool (--pool) is of responses; states draw from all neurons: leave it out")
    if options.states and options.state is None:
        raise InputError("state (--state) is missing: how many seconds a state is long, such as 1")
    if options.step is not None and options.length is None:
        raise InputError("step (--step) is of moving windows; say how long they are with length (--length)")
    if options.compare is not None and options.length is not None:
        raise InputError(
            "compare (--compare) is of trials, and moving windows (length, --length) follow one another and "
            "are no trials; leave one of them out"
        )
    for name in given.intersection(("log", "alternative")) if options.compare is None else ():
        raise InputError(
            f"{name} (--{name}) is of two sets that are compared; name them: compare (--compare)"
        )
    if options.bin_step is not None and options.bin is None:
        raise InputError("bin_step (--bin-step) is from bin to bin; say how wide they are with bin (--bin)")
    if options.runs is not None and options.detrend == "none" and not options.standardize:
        raise InputError(
            "runs (--runs) says within what traces are detrended and standardized; add detrend "
            "(--detrend) or standardize (--standardize), or leave runs out"
        )
