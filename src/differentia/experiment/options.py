"""The options of the measure, each declared once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict, cast

from pydantic import AfterValidator, Field, PlainValidator

from differentia.errors import InputError
from differentia.recording.options import KindsKeywords, RecordKeywords, RecordOptions
from differentia.system.choices import METRIC, NORMALIZE
from differentia.system.fields import DISTINCT, SEVERAL, Count, accept, option

#: Numbers of units that are looked at unless others are asked for: the notebook's.
N_UNITS = (200, 10_000, 100_000)

#: More would say no more, and fill the memory.
MOST_DRAWS = 100_000

_ASCENDING = AfterValidator(lambda given: tuple(sorted(given)))


def _checked_reference(given: Any) -> str | Mapping[str, str] | None:
    texts = [*given, *given.values()] if isinstance(given, Mapping) else [given]
    if given is not None and not all(isinstance(text, str) for text in texts):
        raise InputError(f"is {given!r}; expected the name of a set, or those of sets by name")
    return cast("str | Mapping[str, str] | None", given)


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
    reference: Annotated[str | Mapping[str, str] | None, PlainValidator(_checked_reference)] = option(
        None,
        "The set to divide by",
        typed=", or SET=REFERENCE to divide one set by another (several times, or with commas between)",
        doc=" in `relative`: by default the one set of generated noise; spontaneous activity, for neurons. "
        'A dictionary has the reference of each set by its name, and of all others by "*"; sets that it '
        "does not name have the default",
        metavar="[SET=]SET",
        shown="the one set of generated noise",
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = option(
        0.95, "Confidence of the intervals, from 0.5 to below 1", metavar="P"
    )


def measure_options(given: Mapping[str, Any], *others: type) -> MeasureOptions:
    """Return the checked options of the measure among a user's keywords; the others are of other classes."""
    if (reference := given.get("reference")) is not None:  # sets may be named by numbers
        named = isinstance(reference, Mapping)
        texts = {str(name): str(one) for name, one in reference.items()} if named else str(reference)
        given = {**given, "reference": texts}
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
    reference: str | Mapping[str, str] | None
    confidence: float


class AllKeywords(MeasureKeywords, RecordKeywords, total=False):
    """What `measure` takes."""


class AllKindsKeywords(MeasureKeywords, KindsKeywords, total=False):
    """What `measure_kinds` takes beside its kinds."""
