"""The words for named choices: each choice has its row, and one without is found at import."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import differentia as dif
from differentia.definition import METRICS, NORMALIZATIONS
from differentia.units import UNIT_KINDS
from differentia.words import (
    METRIC_WORDS,
    NORMALIZATION_WORDS,
    UNIT_WORDS,
    require_rows,
    unit_of,
    units_title,
)

#: Adds a choice to each table in turn, and imports the words.
ADD_TO_EACH = """
import importlib, sys
tables = {
    "definition": ["NORMALIZATIONS", "METRICS"],
    "units": ["UNIT_KINDS"],
    "networks.preprocessing": ["PREPROCESSINGS"],
    "stimuli.base": ["CROPS"],
    "stimuli.noise": ["NOISE_KINDS"],
    "resampling": ["METHODS"],
}
for module, names in tables.items():
    for name in names:
        table = getattr(importlib.import_module(f"differentia.{module}"), name)
        table["chebyshev"] = None
        try:
            importlib.import_module("differentia.words")
        except LookupError as error:
            assert "'chebyshev' has no row in differentia.words; add it" in str(error), error
        else:
            raise AssertionError(f"{name}: nothing was found")
        del table["chebyshev"]
importlib.import_module("differentia.words")
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
    """No clause or formula is there twice, but those of images and responses that do not differ."""
    for field in ("clause", "formula", "title"):
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
