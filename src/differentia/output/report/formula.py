"""The measure as mathematics, for the normalisation and the metric that were used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from differentia.output.mathml import EQUALS, row, symbol
from differentia.output.words import METRIC_WORDS, NORMALIZATION_WORDS
from differentia.results.subject import subject_of

if TYPE_CHECKING:
    import xarray as xr

_MEDIAN = (
    f"{symbol('D')}{EQUALS}<munder><mi>median</mi><mrow><mi>i</mi><mo>&lt;</mo><mi>j</mi></mrow></munder>"
    f"{symbol('d', 'ij')}"
)


def formula(result: xr.Dataset) -> tuple[Markup, str]:
    """Return the measure as MathML, and what its symbols mean."""
    normalized = NORMALIZATION_WORDS[result.attrs["normalize"]]
    compared = METRIC_WORDS[result.attrs["metric"]]
    nouns, note = subject_of(result), normalized.note + compared.note
    said = note.format(place=nouns.place.one, unit=nouns.unit.one, units=nouns.unit.many)
    return Markup(row(normalized.formula, compared.formula, _MEDIAN)), said
