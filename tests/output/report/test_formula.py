"""The measure as mathematics."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from helpers.results import neurons, over_time

from differentia.definition.measure import METRICS, NORMALIZATIONS
from differentia.output.report.formula import formula
from differentia.output.words import METRIC_WORDS, NORMALIZATION_WORDS


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("normalize", list(NORMALIZATIONS))
def test_three_equations_and_a_note(normalize: str, metric: str) -> None:
    """Normalised response, distance, median: whole MathML, with the note that explains its symbols."""
    mathematics, note = formula(neurons().assign_attrs(normalize=normalize, metric=metric))
    row = ET.fromstring(mathematics)[0]
    assert [one.tag for one in row].count("mspace") == 2
    assert "".join(row.itertext()).endswith("D=mediani<jdij")
    assert NORMALIZATION_WORDS[normalize].formula + "<mspace" in mathematics
    assert METRIC_WORDS[metric].formula + "<mspace" in mathematics
    words = NORMALIZATION_WORDS[normalize].note + METRIC_WORDS[metric].note
    assert note == words.format(place="population", unit="neuron", units="neurons")
    assert not re.search("unit|layer", note)


@pytest.mark.filterwarnings("ignore::differentia.DifferentiaWarning")
def test_states_have_values_and_a_published_scale() -> None:
    """Which divides by the number of neurons, U, in place of all values, K."""
    ours, note = formula(over_time(normalize="unit"))
    assert "<mi>K</mi>" in ours
    assert "the standard deviation of value k over the responses" in note
    published, note = formula(over_time(scale="published"))
    assert "<mi>U</mi>" in published
    assert "<mi>K</mi>" not in published
    assert note.endswith("U is the number of neurons.")
