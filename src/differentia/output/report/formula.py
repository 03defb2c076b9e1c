"""The measure as mathematics, for the normalisation and the metric that were used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from differentia.output.mathml import EQUALS, row, symbol
from differentia.output.words import NORMALIZATION_WORDS, metric_words
from differentia.results.schema import TRIAL_VALUES
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
    compared = metric_words(result)
    nouns = subject_of(result)
    of_place = {"place": nouns.place.one}
    of_units = {"unit": nouns.unit.one, "units": nouns.unit.many}
    of_values = {"unit": "value", "units": "values"} if TRIAL_VALUES in result else of_units
    said = normalized.note.format(**of_place, **of_values) + compared.note.format(**of_place, **of_units)
    return Markup(row(normalized.formula, compared.formula, _MEDIAN)), said
