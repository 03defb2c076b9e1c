"""The names of what can be chosen: those of the tables of the library."""

from __future__ import annotations

from collections.abc import Collection

import pytest

import differentia as dif
from differentia.definition.measure import METRICS, NORMALIZATIONS
from differentia.networks.preprocessing import PREPROCESSINGS
from differentia.networks.rounding import DTYPES
from differentia.networks.runner import COMPILED
from differentia.neurons.activity import VALUES
from differentia.neurons.preprocessing import DETRENDS
from differentia.neurons.states import STATE_KINDS
from differentia.output.figures.save import METADATA
from differentia.output.options import NONE
from differentia.output.words import AXIS_WORDS, SCALE_WORDS, TOKEN_WORDS
from differentia.recording.options import RecordOptions
from differentia.recording.selection import WAYS
from differentia.recording.store.compression import COMPRESSIONS
from differentia.recording.units import UNIT_KINDS
from differentia.results.permuted import ALTERNATIVES
from differentia.stimuli.base import CROPS, RESIZES
from differentia.stimuli.noise import NOISE_KINDS
from differentia.stimuli.scrambling import SCRAMBLES
from differentia.system import choices
from differentia.system.choices import Choice
from differentia.system.fields import accept

TABLES: list[tuple[Choice, Collection[str]]] = [
    (choices.UNITS, UNIT_KINDS),
    (choices.NORMALIZE, NORMALIZATIONS),
    (choices.METRIC, METRICS),
    (choices.RESIZE, RESIZES),
    (choices.CROP, CROPS),
    (choices.PREPROCESS, PREPROCESSINGS),
    (choices.NOISE, NOISE_KINDS),
    (choices.SCRAMBLE, SCRAMBLES),
    (choices.AXIS, AXIS_WORDS),
    (choices.HOW, WAYS),
    (choices.COMPILE, COMPILED),
    (choices.COMPRESS, COMPRESSIONS),
    (choices.TOKENS, TOKEN_WORDS),
    (choices.DTYPE, DTYPES),
    (choices.FORMAT, (*METADATA, NONE)),
    (choices.STATES, STATE_KINDS),
    (choices.SCALE, SCALE_WORDS),
    (choices.VALUE, VALUES),
    (choices.DETREND, DETRENDS),
    (choices.ALTERNATIVE, ALTERNATIVES),
]


def test_the_names_are_those_of_the_tables() -> None:
    """In their order; none was forgotten here."""
    for choice, table in TABLES:
        assert choice.names == tuple(table), choice.what
        assert set(choice.meanings) <= set(choice.names)
    assert {one for one in vars(choices).values() if isinstance(one, Choice)} == {one for one, _ in TABLES}


def test_synonyms_are_of_names_and_no_names_themselves() -> None:
    """Each is found as it is written, with hyphens and capitals too."""
    for choice, _ in TABLES:
        assert set(choice.synonyms.values()) <= set(choice.names), choice.what
        assert not {other for other in choice.synonyms if other in choice.names}, choice.what
        for other, name in choice.synonyms.items():
            with pytest.raises(dif.InputError, match=f"Did you mean '{name}'"):
                choice.checked(f"{other[:1].upper()}-{other[1:]}")


@pytest.mark.parametrize("given", [["class", "patches"], 3, True])
def test_what_is_no_text_is_told_the_names(given: object) -> None:
    """As for any other option, the error says what was given."""
    with pytest.raises(dif.InputError) as caught:
        accept(RecordOptions, {"tokens": given})
    assert str(caught.value) == f"tokens is {given}; expected one of all, class, patches, mean"


def test_a_choice_is_checked_and_listed() -> None:
    """The error names the known ones; the help says what some of them mean."""
    assert choices.CROP.listed == "squash (change the proportions) | center (cut the ends off)"
    assert choices.CROP.checked(" center ") == "center"
    with pytest.raises(dif.InputError, match=r"^'200' is a number, no kind of units; .* --n-units 200$"):
        choices.UNITS.checked("200")
    with pytest.raises(
        dif.InputError, match=r"^unknown crop 'centre'. Did you mean 'center'\? Known: squash, "
    ):
        choices.CROP.checked("centre")
