"""Devices: what is untried is said, and none is asked for numbers that it does not have."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import PIXELS, load, tricky
from helpers.other_device import NO_FLOAT64, Device, OnDevice, moved
from torch import nn

import differentia as dif
from differentia.networks.layers import Layer
from differentia.networks.probes import SummaryProbe, UnitMoments


def recorded(network: dif.Network, units: str) -> dif.Responses:
    return dif.record(network, {"a": PIXELS}, units=units, pool=50, compile="never", batch_size=2)


@pytest.mark.parametrize("units", ["all", "top", "sketch", "filter_mean", "per_filter"])
def test_a_device_without_float64(units: str) -> None:
    """All of a pass, and what is kept of it, is as on the processor."""
    with Device():
        found = recorded(load(moved(tricky())), units)
    expected = recorded(load(tricky()), units)
    assert (found.provenance["device"], expected.provenance["device"]) == ("meta", "cpu")
    for name, values in expected.values.items():
        np.testing.assert_array_equal(np.asarray(found.values[name]), np.asarray(values), err_msg=name)
    assert found.moments is not None
    assert expected.moments is not None
    np.testing.assert_array_equal(found.moments.variance, expected.moments.variance)


def test_sums_beyond_float32() -> None:
    """Are made on the processor, with the moments of a unit."""
    values = torch.full((2, 3, 4, 4), 3e38)
    layer = Layer("a", "Conv2d", (3, 4, 4), "a", channel_axis=0)
    with Device():
        there, here = SummaryProbe(layer)(OnDevice(values)), SummaryProbe(layer)(values)
        moments = UnitMoments()
        moments(OnDevice(values))
    np.testing.assert_array_equal(there.mean, here.mean)
    np.testing.assert_allclose(there.mean, float(values[0, 0, 0, 0]))
    np.testing.assert_array_equal(moments.mean, values[0].double().reshape(-1))


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: x.double(),
        lambda x: x.to("cpu", torch.float64),
        lambda x: x.sum(dtype=torch.float64),
        lambda x: torch.zeros(2, dtype=torch.float64).to(x.device),
    ],
)
def test_the_device_refuses_float64(ask: Any) -> None:
    """So that the tests above can fail."""
    with Device(), pytest.raises(TypeError, match=NO_FLOAT64):
        ask(OnDevice(torch.ones(2)))


def test_preprocessing_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is rounded before it goes to a device that has none; elsewhere it stays."""
    monkeypatch.setattr("differentia.networks.torch.WITHOUT_FLOAT64", {"meta"})

    def prepared(module: nn.Module) -> Any:
        return load(module, preprocess=lambda pixels: pixels.double() / 255).prepare(PIXELS)

    with Device():
        assert prepared(moved(tricky())).dtype == torch.float32
    assert prepared(tricky()).dtype == torch.float64


@pytest.mark.parametrize(("device", "said"), [("meta", True), ("cpu", False)])
def test_untried_devices_are_named(device: str, said: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Once for a network, with what to do."""
    with caplog.at_level(logging.INFO, "differentia"):
        load(tricky(), device=device)
    line = f"Tricky: {device} was not tried on a machine of ours: compare some layers with --device cpu"
    assert [record.message for record in caplog.records] == [line] * said


def test_float64_weights_on_a_device_that_has_none() -> None:
    """Are told in one line."""

    class Refusing(nn.Linear):
        def to(self, *given: Any, **others: Any) -> Any:
            raise TypeError(NO_FLOAT64)

    with pytest.raises(dif.InputError, match="device 'meta' can't be used here: Cannot convert a MPS Tensor"):
        load(Refusing(3, 2), device="meta")
