"""What a result is of, as texts call it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import differentia as dif
from differentia.results.subject import NETWORK, RECORDED, subject_of, unit_noun


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
