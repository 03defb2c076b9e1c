"""What was taken of a recording, in sentences: all that was asked for, and nothing that was not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.neurons import random_spikes, spiking, table, traced
from helpers.results import neurons

import differentia as dif
from differentia.neurons.recording import Recording
from differentia.output.recordings import left_out_of, taken_in_words
from differentia.output.report.facts import facts
from differentia.output.words import VALUE_WORDS

ONSETS = np.arange(1.0, 41)
KIND = np.where(np.arange(40) % 2, "movie", "grey")
SHOWN = table(start=ONSETS, stop=ONSETS + 0.5, kind=KIND, run=(ONSETS > 20).astype(float))


def of_spikes(**fields: Any) -> Recording:
    return spiking(random_spikes(0), SHOWN, ["V1", "V1", "", "LM", "LM"], **fields)


def of_traces() -> Recording:
    values = np.random.default_rng(0).normal(size=(900, 3))
    return traced(values, np.arange(900) / 20, {"shown": SHOWN})


def test_responses_in_full() -> None:
    """Windows, areas, what is cut, and what was left out."""
    with pytest.warns(dif.DifferentiaWarning, match="1 of 5 units"):
        responses = dif.stimulus_responses(
            of_spikes(), by="kind", table="trials", window=(0, 0.25), spontaneous="grey", where="run < 2"
        )
    result = dif.measure_responses(responses)
    assert taken_in_words(result) == [
        'Sets are the values of "kind" of the intervals "trials", of which those were taken where run < 2',
        'Populations are the values of "location" of the neurons',
        "The response of a neuron to a stimulus is its number of spikes in the window from 0 to 0.25 s after "
        "its onset",
        'The intervals of "grey" were cut into consecutive windows of the same length',
    ]
    assert left_out_of(result) == ["1 of 5 units were left out: they have no location"]
    said = dif.describe_methods(result).text
    for sentence in taken_in_words(result):
        assert f"{sentence}. " in said
    assert " 1 of 5 units were left out: they have no location.\n" in said
    known = dict(facts({"random": result}))
    assert known["Window after onset, in seconds"] == "0.0 to 0.25"
    assert known["Sets by the column"] == "kind"
    assert "Detrending" not in known


def test_traces_are_preprocessed() -> None:
    """What is taken away, and within what; without areas nothing is said of them."""
    options: dict[str, Any] = {"by": "kind", "detrend": "linear", "standardize": True}
    result = dif.measure_responses(dif.stimulus_responses(of_traces(), **options, runs="run"))
    first, response, preprocessed = taken_in_words(result)
    assert first == 'Sets are the values of "kind" of the intervals'
    assert response == (
        "The response of a neuron to a stimulus is the mean of its trace over the samples in the whole "
        "presentation"
    )
    assert preprocessed == (
        'Within each run ("run"), the mean and the linear trend of each trace were taken away, and each '
        "trace was given mean 0 and SD 1"
    )
    result = dif.measure_responses(dif.stimulus_responses(of_traces(), by="kind", standardize=True))
    assert taken_in_words(result)[-1] == "Within the whole recording, each trace was given mean 0 and SD 1"


def test_each_value_has_its_words() -> None:
    """Those of samples say that each is a response."""
    result = dif.measure_responses(dif.stimulus_responses(of_traces(), by="kind", value="samples"))
    assert VALUE_WORDS["samples"].format(when="the whole presentation") in taken_in_words(result)[1]


def test_trials() -> None:
    """Whole intervals, or windows that move through them; spikes in bins."""
    options: dict[str, Any] = {"by": "kind", "area": "probe", "bin": 0.05}
    recording = of_spikes()
    recording.units["probe"] = ["A", "A", "B", "B", "B"]
    result = dif.measure_states(dif.trials(recording, **options), states="rate", length=0.1)
    said = taken_in_words(result)
    assert said[1:] == [
        'Populations are the values of "probe" of the neurons',
        "A trial is the whole presentation",
        "Spikes were counted in bins of 0.05 s",
    ]
    assert all(sentence in dif.describe_methods(result).text for sentence in said)
    moving = dif.trials(of_traces(), length=4.0, step=2.0)
    result = dif.measure_states(moving, states="rate", length=0.5)
    assert taken_in_words(result) == ["Windows of 4 s were taken of the whole recording, one every 2 s"]
    following = dif.measure_states(dif.trials(of_traces(), length=4.0), states="rate", length=0.5)
    assert taken_in_words(following) == [
        "Windows of 4 s were taken of the whole recording, one after the other"
    ]


def test_nothing_is_said_of_what_was_at_hand() -> None:
    """The control: arrays were not taken of a recording."""
    assert taken_in_words(neurons()) == []
    assert left_out_of(neurons()) == []
    assert "left out" not in dif.describe_methods(neurons()).text
