"""What a result is of, as texts call it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import differentia as dif
from differentia.results.subject import NETWORK, OVER_TIME, RECORDED, subject_of, unit_noun


@pytest.fixture(scope="module")
def digits_result() -> xr.Dataset:
    return dif.measure("digits", {"noise": "noise:4"}, layers=["predictions"], n_units=10, draws=1)


def test_a_network_has_layers_and_images_and_recordings_populations_and_stimuli(
    digits_result: xr.Dataset,
) -> None:
    rates = np.random.default_rng(0).gamma(2.0, 1.0, (2, 5, 8))
    recorded = dif.measure_responses({"movie": {"V1": rates[0]}, "rest": {"V1": rates[1]}})
    assert subject_of(digits_result) is NETWORK
    assert subject_of(recorded) is RECORDED
    assert unit_noun(digits_result).many == "units"
    assert unit_noun(recorded).many == "neurons"


def test_responses_that_a_network_gave_are_of_its_layers(digits_result: xr.Dataset) -> None:
    without_kinds = digits_result.assign_coords(
        layer_kind=("layer", ["Recorded"] * digits_result.sizes["layer"])
    )
    assert subject_of(without_kinds) is NETWORK


def test_things_are_counted() -> None:
    assert RECORDED.item.count(1) == "1 stimulus"
    assert RECORDED.item.count(1200) == "1,200 stimuli"


def test_values_over_time_are_of_trials_or_windows_and_so_are_their_contrasts() -> None:
    """What a contrast is of is read of its facts; of stimuli it stays so."""
    rng = np.random.default_rng(0)
    result = dif.measure_states({name: rng.normal(size=(4, 40, 3)) for name in "ab"}, rate=20.0, length=0.5)
    assert subject_of(result) is subject_of(dif.contrast(result, "a", "b")) is OVER_TIME["trials"]
    of_stimuli = dif.measure_responses({name: {"V1": rng.normal(size=(12, 3))} for name in "ab"})
    assert subject_of(dif.contrast(of_stimuli, "a", "b")) is RECORDED
