"""Repeated presentations against loops; what is left out is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.neurons import averaged, counted, random_spikes, spiking, table, traced

import differentia as dif

TRAINS = random_spikes(2)
ONSETS = np.arange(30) * 0.5 + 1
FRAMES = np.random.default_rng(0).permutation(np.repeat(np.arange(5), 6))
SHOWN = table(start=ONSETS, stop=ONSETS + 0.4, kind=["movie"] * 30, frame=FRAMES)
AREAS = ["V1", "LM", "V1", "V1", "LM"]


def test_repeats_are_those_of_loops() -> None:
    """In the order of time, (repeat, stimulus, unit)."""
    responses = dif.repeated_responses(
        spiking(TRAINS, SHOWN, AREAS), by="kind", stimulus="frame", window=(0, 0.25)
    )
    counts = counted(TRAINS, [(start, start + 0.25) for start in ONSETS])
    found = responses["movie"]["LM"]
    assert found.dims == ("repeat", "stimulus", "unit")
    assert found.shape == (6, 5, 2)
    assert found["unit"].values.tolist() == [11, 14]
    for at, label in enumerate(found["stimulus"].values.tolist()):
        rows = np.flatnonzero(int(label) == FRAMES)
        np.testing.assert_array_equal(found[:, at], counts[rows][:, [1, 4]])
        np.testing.assert_array_equal(found["start"][:, at], ONSETS[rows])
    assert not np.array_equal(found[0], found[1])
    assert responses.told == ()
    assert responses.how["stimulus"] == "frame"
    assert repr(responses).startswith("Responses to repeats in 1 sets\n  sets:  movie (6 x 5)")


def test_means_of_traces_repeat() -> None:
    """As for spikes."""
    times = np.arange(0, 20, 0.05)
    values = np.random.default_rng(1).normal(size=(400, 2))
    responses = dif.repeated_responses(traced(values, times, SHOWN), by="kind", stimulus="frame")
    expected = averaged(values, times, [(start, start + 0.4 - 1e-9) for start in ONSETS])
    found = responses["movie"]["all"]
    rows = np.flatnonzero(int(found["stimulus"][2]) == FRAMES)
    np.testing.assert_allclose(found[:, 2], expected[rows], rtol=1e-12)


def test_unequal_repeats_are_told() -> None:
    """As many as all have; what was shown once, and has no stimulus, is left out."""
    shown = table(
        start=np.arange(12.0),
        stop=np.arange(12.0) + 0.5,
        kind=["movie"] * 9 + ["dark", "dark", "once"],
        frame=[1, 2, 1, 2, 1, 3, None, 4, 4, None, None, 5],
    )
    with pytest.warns(dif.DifferentiaWarning) as warned:
        responses = dif.repeated_responses(spiking(TRAINS, shown), by="kind", stimulus="frame")
    assert len(warned) == 1
    found = responses["movie"]["all"]
    assert list(responses) == ["movie"]
    assert found["stimulus"].values.tolist() == ["1", "2", "4"]
    assert found["start"].values.tolist() == [[0.0, 1.0, 7.0], [2.0, 3.0, 8.0]]
    assert responses.told == (
        "set 'movie': 1 presentations without a stimulus were left out",
        "set 'movie': 1 stimuli that were shown once were left out",
        "set 'movie': 1 presentations beyond the 2 repeats that every stimulus has were left out",
        "set 'dark': 2 presentations without a stimulus were left out",
        "set 'dark' was left out: it has no two stimuli that were shown twice",
        "set 'once': 1 stimuli that were shown once were left out",
        "set 'once' was left out: it has no two stimuli that were shown twice",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stimulus": "frames"}, "no interval has the column 'frames'; expected one of these: start_time, "),
        ({"stimulus": 5}, "stimulus is 5; expected a name, as text"),
        ({"stimulus": "start_time"}, "no set has two stimuli that were shown twice: set 'movie': 30 stimuli"),
        ({"stimulus": "frame", "value": "samples"}, "value is 'samples', but a repeat is one response"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    """Each by what was given and expected."""
    with pytest.raises(dif.InputError, match=f"^{message}"):
        dif.repeated_responses(spiking(TRAINS, SHOWN), by="kind", **options)


def test_repeats_that_overlap_have_no_limits() -> None:
    """Their values are measured all the same; where windows do not overlap there are limits, the control."""
    rng = np.random.default_rng(0)
    starts, frames = np.arange(1.0, 58, 0.5), np.arange(114) % 19
    shown = table(start=starts, stop=starts + 0.5, kind="a", frame=frames)
    shown_at = np.clip((np.arange(240) / 4 - 1) // 0.5, 0, 113).astype(int)
    values = rng.normal(size=(19, 20))[frames[shown_at]] + 0.1 * rng.normal(size=(240, 20))
    recording = traced(values, np.arange(240) / 4, shown)
    options: dict[str, Any] = {"by": "kind", "stimulus": "frame"}
    apart = dif.measure_repeats(dif.repeated_responses(recording, **options, window=(0, 0.5)))
    assert np.isfinite(apart["plain_low"]).all()
    overlapping = dif.repeated_responses(recording, **options, window=(0, 0.75), allow_overlap=True)
    found = dif.measure_repeats(overlapping)
    assert np.isfinite(found["plain"]).all()
    assert found["doubt"].values.tolist() == [["windows"]]
    for name in found:
        if str(name).endswith(("_low", "_high")):
            assert np.isnan(found[name]).all()
