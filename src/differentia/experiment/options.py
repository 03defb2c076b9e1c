"""The options of the measure, each declared once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from pydantic import AfterValidator, Field

from differentia.recording.options import KindsKeywords, RecordKeywords, RecordOptions
from differentia.system.choices import METRIC, NORMALIZE
from differentia.system.fields import DISTINCT, SEVERAL, Count, accept, option

#: Numbers of units that are looked at unless others are asked for: the notebook's.
N_UNITS = (200, 10_000, 100_000)

#: More would say no more, and fill the memory.
MOST_DRAWS = 100_000

_ASCENDING = AfterValidator(lambda given: tuple(sorted(given)))


@dataclass(frozen=True)
class MeasureOptions:
    """What is computed from responses."""

    n_units: Annotated[tuple[Count, ...], SEVERAL, Field(min_length=1), DISTINCT, _ASCENDING] | None = option(
        None,
        "Numbers of units to look at",
        doc=", by default 200, 10,000 and 100,000, and of responses at hand all that there are; a smaller "
        'layer uses all it has. With units="per_filter" they are rounded down to a multiple of the number '
        'of channels, at least one of each; with units="sketch" they are sums that stand for all units',
        shown=",".join(map(str, N_UNITS)),
    )
    draws: Annotated[int, Field(ge=1, le=MOST_DRAWS)] = option(
        20,
        "Draws of units at each number of units",
        doc=", from one pool for all images and sets; units that are not chosen at random have one, and so "
        "have all units",
    )
    normalize: Annotated[str, NORMALIZE] = option(
        "layer",
        "What responses are normalised by",
        doc=', as for `differentiation`; "unit" uses each unit\'s SD over the responses of all sets',
    )
    metric: Annotated[str, METRIC] = option(
        "euclidean", "The distance between two responses", doc=", as for `differentiation`"
    )
    reference: str | None = option(
        None,
        "The set to divide by",
        doc=" in `relative`: by default the one set of generated noise; spontaneous activity, for neurons",
        metavar="SET",
        shown="the one set of generated noise",
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = option(
        0.95, "Confidence of the intervals, from 0.5 to below 1", metavar="P"
    )


def measure_options(given: Mapping[str, Any], *others: type) -> MeasureOptions:
    """Return the checked options of the measure among a user's keywords; the others are of other classes."""
    if given.get("reference") is not None:
        given = {**given, "reference": str(given["reference"])}  # sets may be named by numbers
    return accept(MeasureOptions, given, *others)


def measure_and_record(given: Mapping[str, Any]) -> tuple[MeasureOptions, RecordOptions]:
    """Return the checked options of the measure and of the recording that a user gave together."""
    return measure_options(given, RecordOptions), accept(RecordOptions, given, MeasureOptions)


class MeasureKeywords(TypedDict, total=False):
    """What the options of the measure may be given as; a test compares them."""

    n_units: int | Sequence[int] | None
    draws: int
    normalize: str
    metric: str
    reference: str | None
    confidence: float


class AllKeywords(MeasureKeywords, RecordKeywords, total=False):
    """What `measure` takes."""


class AllKindsKeywords(MeasureKeywords, KindsKeywords, total=False):
    """What `measure_kinds` takes beside its kinds."""
