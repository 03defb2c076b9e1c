"""The names of what can be chosen: those of the tables of the library."""

from __future__ import annotations

from collections.abc import Collection

import pytest

import differentia as dif
from differentia.definition.measure import METRICS, NORMALIZATIONS
from differentia.networks.preprocessing import PREPROCESSINGS
from differentia.networks.runner import COMPILED
from differentia.recording.selection import WAYS
from differentia.recording.units import UNIT_KINDS
from differentia.stimuli.base import CROPS, RESIZES
from differentia.stimuli.noise import NOISE_KINDS
from differentia.system import choices
from differentia.system.choices import Choice

TABLES: list[tuple[Choice, Collection[str]]] = [
    (choices.UNITS, UNIT_KINDS),
    (choices.NORMALIZE, NORMALIZATIONS),
    (choices.METRIC, METRICS),
    (choices.RESIZE, RESIZES),
    (choices.CROP, CROPS),
    (choices.PREPROCESS, PREPROCESSINGS),
    (choices.NOISE, NOISE_KINDS),
    (choices.HOW, WAYS),
    (choices.COMPILE, COMPILED),
]


def test_the_names_are_those_of_the_tables() -> None:
    """In their order; none was forgotten here."""
    for choice, table in TABLES:
        assert choice.names == tuple(table), choice.what
        assert set(choice.meanings) <= set(choice.names)
    assert {one for one in vars(choices).values() if isinstance(one, Choice)} == {one for one, _ in TABLES}


def test_a_choice_is_checked_and_listed() -> None:
    """The error names the known ones; the help says what some of them mean."""
    assert choices.CROP.listed == "squash (change the proportions) | center (cut the ends off)"
    assert choices.CROP.checked("center") == "center"
    with pytest.raises(
        dif.InputError, match=r"^unknown crop 'centre'. Did you mean 'center'\? Known: squash, "
    ):
        choices.CROP.checked("centre")
