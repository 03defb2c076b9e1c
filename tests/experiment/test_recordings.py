"""A recording measured as options say, against the functions that a user calls by hand."""

from __future__ import annotations

import pytest
import xarray as xr
from helpers.sessions import write_session

import differentia as dif
from differentia.experiment.recordings import measure_recording, require_sets
from differentia.neurons.options import RecordingOptions
from differentia.neurons.recording import Recording
from differentia.output.recordings import left_out_of


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return dif.read_recording(write_session(tmp_path_factory.mktemp("recording") / "a.nwb", trials=3))


def of_numbers(result: xr.Dataset) -> xr.Dataset:
    """Return a result without what says how it was made."""
    return result.assign_attrs(provenance="{}")


@pytest.mark.parametrize(
    ("spontaneous", "reference", "cut"),
    [
        (None, "spontaneous", "spontaneous"),
        ("spontaneous", "scrambled", "spontaneous"),
        ("none", "scrambled", None),
    ],
)
def test_responses(recording: Recording, spontaneous: str | None, reference: str, cut: str | None) -> None:
    """The reference is cut into windows, unless another set is, or none."""
    table = None if cut else ("film_presentations",)
    options = RecordingOptions(by="stimulus_name", window=(0.0, 1.0), spontaneous=spontaneous, table=table)
    found = measure_recording(recording, options, {"normalize": "unit", "reference": reference})
    responses = dif.stimulus_responses(
        recording, by="stimulus_name", window=(0.0, 1.0), spontaneous=cut, table=table
    )
    expected = dif.measure_responses(responses, normalize="unit", reference=reference)
    xr.testing.assert_identical(of_numbers(found), of_numbers(expected))
    assert found["image_set"].values.tolist().count("spontaneous") == (12 if cut else 0)
    assert any("gave 12 windows" in text for text in left_out_of(found)) == (cut is not None)


def test_a_long_interval_that_is_not_cut(recording: Recording) -> None:
    """It is one response, to which no other compares."""
    whole = RecordingOptions(by="stimulus_name", window=(0.0, 1.0), spontaneous="none")
    with pytest.raises(dif.InputError, match="one presentation only of 'spontaneous', and no pair"):
        measure_recording(recording, whole, {"reference": "spontaneous"})


def test_states(recording: Recording) -> None:
    """Each option reaches the trials, or the states, that it is of."""
    options = RecordingOptions(
        by="stimulus_name",
        states="spectral",
        state=1.0,
        bin=0.25,
        overlap=0.5,
        taper="hann",
        window=(0.0, 3.0),
    )
    found = measure_recording(
        recording, options, {"normalize": "unit", "reference": "spontaneous", "pool": None}
    )
    trials = dif.trials(recording, by="stimulus_name", bin=0.25, window=(0.0, 3.0), spontaneous="spontaneous")
    expected = dif.measure_states(
        trials, length=1.0, overlap=0.5, taper="hann", normalize="unit", reference="spontaneous"
    )
    xr.testing.assert_identical(of_numbers(found), of_numbers(expected))
    assert found["image_set"].values.tolist().count("spontaneous") == 4  # 12.4 s in trials of 3 s
    assert any("gave 4 windows" in text for text in left_out_of(found))
    whole = RecordingOptions(states="rate", state=0.5, bin=0.1, length=5.0)
    require_sets(recording, whole)
    assert measure_recording(recording, whole, {})["set"].values.tolist() == ["all"]


def test_the_published_scale(recording: Recording) -> None:
    """It has a normalisation of its own, in the place of the default; any other is refused."""
    options = RecordingOptions(by="stimulus_name", states="rate", state=0.5, bin=0.1, scale="published")
    found = measure_recording(recording, options, {"normalize": "layer"})
    trials = dif.trials(recording, by="stimulus_name", bin=0.1)
    expected = dif.measure_states(trials, states="rate", length=0.5, scale="published")
    xr.testing.assert_identical(of_numbers(found), of_numbers(expected))
    with pytest.raises(dif.InputError, match="leave normalize='unit' out"):
        measure_recording(recording, options, {"normalize": "unit"})


def test_what_was_not_cut_out_yet(recording: Recording) -> None:
    """Of a recording, or of responses where trials are expected, it is said what comes first."""
    responses = dif.stimulus_responses(
        recording, by="stimulus_name", window=(0, 0.5), spontaneous="spontaneous"
    )
    with pytest.raises(dif.InputError, match=r"not a Recording; .*: stimulus_responses\(recording, by="):
        dif.measure_responses(recording)  # type: ignore[arg-type]
    for given in (recording, responses):
        with pytest.raises(
            dif.InputError, match=r"not a .*; cut them out of a recording: trials\(recording, by="
        ):
            dif.measure_states(given, length=1.0)  # type: ignore[arg-type]


def test_sets_that_are_not_there(recording: Recording) -> None:
    """They are named before anything is read of spikes."""
    by = "stimulus_name"
    for options, reference, message in (
        (RecordingOptions(), None, r"by \(--by\) is missing: .* one of stimulus_name, block"),
        (RecordingOptions(by="film"), None, "no interval has the column 'film'"),
        (RecordingOptions(by=by), "rest", "unknown set for reference"),
        (RecordingOptions(by=by, spontaneous="rest"), None, "unknown set 'rest'"),
        (RecordingOptions(by=by, compare=("natural", "n")), None, "unknown set 'n'"),
        (RecordingOptions(by=by, where="block == 9"), None, "block == 9"),
    ):
        with pytest.raises(dif.InputError, match=message):
            require_sets(recording, options, reference)
    require_sets(recording, RecordingOptions(by="stimulus_name", spontaneous="none"), "spontaneous")
