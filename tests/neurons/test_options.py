"""Which options of a recording go together."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

import differentia as dif
from differentia.neurons.options import OF_RESPONSES, OF_STATES, RecordingOptions, require_together

#: A value of each option that is of one kind of measurement alone, which is not its default.
OTHER: dict[str, Any] = {
    "state": 1.0,
    "bin": 0.1,
    "bin_step": 0.1,
    "length": 2.0,
    "step": 1.0,
    "overlap": 0.5,
    "taper": "hann",
    "frequencies": 4,
    "scale": "published",
    "compare": ("a", "b"),
    "log": True,
    "alternative": "less",
    "value": "rate",
    "allow_overlap": True,
}


def test_what_is_of_one_kind_alone() -> None:
    """It is refused beside the other, by the names that it has in Python and on the command line."""
    assert {*OTHER} == {*OF_STATES, *OF_RESPONSES} < {one.name for one in fields(RecordingOptions)}
    for name, value in OTHER.items():
        states = {"states": "rate", "state": 1.0, "bin": 0.1} if name in OF_RESPONSES else {}
        given = RecordingOptions(**{**states, name: value})
        of = "responses to stimuli" if states else "states over time"
        with pytest.raises(
            dif.InputError, match=rf"^{name} \(--{name.replace('_', '-')}\) is of {of}; leave"
        ):
            require_together(given)
    for given in (
        RecordingOptions(window=(0.0, 1.0), value="rate", allow_overlap=True),
        RecordingOptions(states="spectral", state=1.0, bin=0.1, length=2.0, step=1.0),
        RecordingOptions(detrend="linear", runs="run"),
        RecordingOptions(standardize=True, runs="run"),
    ):
        require_together(given, pool=None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"states": "rate"}, r"^state \(--state\) is missing"),
        ({"states": "rate", "state": 1.0, "step": 1.0}, r"^step \(--step\) is of moving windows"),
        ({"states": "rate", "state": 1.0, "bin_step": 0.1}, r"^bin_step \(--bin-step\) is from bin to bin"),
        ({"runs": "run"}, r"^runs \(--runs\) says within what"),
        (
            {"states": "rate", "state": 1.0, "length": 2.0, "compare": ("a", "b")},
            r"^compare \(--compare\) is of trials, and moving windows",
        ),
        ({"states": "rate", "state": 1.0, "log": True}, r"^log \(--log\) is of two sets that are compared"),
    ],
)
def test_what_needs_another(given: dict[str, Any], message: str) -> None:
    """Each says what is missing, or in the way."""
    with pytest.raises(dif.InputError, match=message):
        require_together(RecordingOptions(**given))
