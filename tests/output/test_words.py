"""The words for named choices: each choice has its row, and one without is found at import."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from helpers.results import neurons, over_time

import differentia as dif
from differentia.definition.measure import METRICS, NORMALIZATIONS
from differentia.output.report.facts import yardstick
from differentia.output.report.formula import formula
from differentia.output.words import (
    METRIC_WORDS,
    NORMALIZATION_WORDS,
    UNIT_WORDS,
    MetricWords,
    NormalizationWords,
    UnitWords,
    require_rows,
    states_in_words,
    unit_of,
    units_title,
)
from differentia.recording.units import UNIT_KINDS, UnitKind

#: Adds a choice to each table in turn, and imports the words.
ADD_TO_EACH = """
import importlib, sys
tables = {
    "definition.measure": ["NORMALIZATIONS", "METRICS"],
    "recording.units": ["UNIT_KINDS"],
    "networks.preprocessing": ["PREPROCESSINGS"],
    "stimuli.base": ["CROPS"],
    "stimuli.noise": ["NOISE_KINDS"],
    "stimuli.scrambling": ["SCRAMBLES"],
}
for module, names in tables.items():
    for name in names:
        table = getattr(importlib.import_module(f"differentia.{module}"), name)
        table["chebyshev"] = None
        try:
            importlib.import_module("differentia.output.words")
        except LookupError as error:
            assert "'chebyshev' has no row in differentia.output.words; add it" in str(error), error
        else:
            raise AssertionError(f"{name}: nothing was found")
        del table["chebyshev"]
importlib.import_module("differentia.output.words")
assert "torch" not in sys.modules
"""


def test_a_choice_without_a_row_is_found() -> None:
    """By the import of the words, which needs no torch; whatever the table."""
    subprocess.run([sys.executable, "-c", ADD_TO_EACH], check=True)


def test_a_row_without_a_choice_is_found() -> None:
    """Words that nothing uses are no less of a mistake."""
    require_rows("metric", METRICS, METRIC_WORDS)
    with pytest.raises(LookupError, match="the metric 'chebyshev' has no row"):
        require_rows("metric", [*METRICS, "chebyshev"], METRIC_WORDS)
    with pytest.raises(LookupError, match="the metric 'cosine' has no choice"):
        require_rows("metric", [name for name in METRICS if name != "cosine"], METRIC_WORDS)


@pytest.mark.parametrize("rows", [NORMALIZATION_WORDS, METRIC_WORDS, UNIT_WORDS])
def test_every_row_says_something_of_its_own(rows: dict[str, object]) -> None:
    """No clause or formula is there twice."""
    for field in ("clause", "formula", "title", "of_states"):
        texts = [getattr(row, field) for row in rows.values() if hasattr(row, field)]
        assert all(texts)
        assert len({*texts}) == len(texts)


def test_titles() -> None:
    """A number of units where the kind takes one, and what they are where they are no ordinary units."""
    titles = {kind: units_title(kind, 1000) for kind in UNIT_KINDS}
    assert {kind for kind, title in titles.items() if "1,000" in title} == {
        kind for kind, chosen in UNIT_KINDS.items() if chosen.counted
    }
    assert titles["random"] == "1,000 units"
    assert titles["top_variance"] == "1,000 units (top_variance)"
    assert titles["sketch"] == "1,000 sums (sketch)"
    for kind, chosen in UNIT_KINDS.items():
        assert not chosen.counted or re.search(rf"\b{chosen.noun}\b", titles[kind])


def test_a_new_choice_takes_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paragraph, formula, yardstick and title have all that they need from it."""
    sets = {"a": {"V1": np.random.default_rng(0).normal(size=(5, 30))}}
    measured = dif.measure_responses(sets, n_units=10, draws=3)
    monkeypatch.setitem(NORMALIZATIONS, "rank", NORMALIZATIONS["response"])
    monkeypatch.setitem(METRICS, "chebyshev", METRICS["cityblock"])
    monkeypatch.setitem(UNIT_KINDS, "center", UnitKind(UNIT_KINDS["all"].choose))
    ranked = NormalizationWords(
        "responses to each {item} were ranked",
        "<mi>R</mi>",
        "R is a rank.",
        "the values of each state were ranked",
    )
    monkeypatch.setitem(NORMALIZATION_WORDS, "rank", ranked)
    monkeypatch.setitem(METRIC_WORDS, "chebyshev", MetricWords("their largest difference", "<mi>max</mi>"))
    central = UnitWords("the {counted} {of_each} nearest its centre {were} used", "{count:,} central units")
    monkeypatch.setitem(UNIT_WORDS, "center", central)
    result = measured.assign_attrs(normalize="rank", metric="chebyshev").assign_coords(units="center")
    text = dif.describe_methods(result).text
    assert "The 10 neurons of the population nearest its centre were used. The same neurons" in text
    assert "each population, responses to each stimulus were ranked. The distance" in text
    assert "between the responses to two stimuli is their largest difference. Diff" in text
    mathematics, meaning = formula(result)
    assert "<mi>R</mi>" in mathematics
    assert "<mi>max</mi>" in mathematics
    assert meaning == "R is a rank."
    assert yardstick(result) == "0 where all responses are equal"
    assert (units_title("center", 1000), unit_of(result)) == ("1,000 central units", "")
    states = over_time().assign_attrs(normalize="rank")
    assert "each population, the values of each state were ranked. The distance" in str(
        dif.describe_methods(states)
    )


@pytest.mark.filterwarnings("ignore::differentia.DifferentiaWarning")
def test_states_in_words() -> None:
    """Each option that changes them is told, and no other; nothing of responses to stimuli."""
    plain = states_in_words(over_time())
    assert "into states of 0.5 s (10 samples at 20 a second) with no overlap" in plain
    assert plain.endswith("samples, the constant term among them: K values, 6 of each neuron")
    every = states_in_words(over_time(overlap=0.5, taper="tukey:0.25", frequencies=4))
    assert "with an overlap of 50 %" in every
    assert "multiplied by the window tukey:0.25, summed up to 4 frequencies" in every
    assert every.endswith("K values, 4 of each neuron")
    assert "each neuron's mean over the samples: K values, 1 of each" in states_in_words(
        over_time(states="rate")
    )
    assert states_in_words(neurons()) == ""
    assert unit_of(over_time(scale="published")) == "squared unit of the responses"
    assert unit_of(over_time(scale="published", states="rate")) == "unit of the responses"
    assert unit_of(over_time()) == ""


def test_the_unit_of_a_result() -> None:
    """That of the responses, where neither the normalisation nor the metric divides it out."""
    result = dif.measure_responses({"a": {"V1": [[0.0, 1.0], [1.0, 0.0]]}})
    having = {
        (normalize, metric)
        for normalize in NORMALIZATIONS
        for metric in METRICS
        if unit_of(result.assign_attrs(normalize=normalize, metric=metric))
    }
    assert having == {("none", "euclidean"), ("none", "cityblock")}
