"""What every network offers: layers that follow the batch, a fingerprint, a shape in either order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.networks import PIXELS, TENSOR, load, record_all, tricky
from torch import nn

import differentia as dif
from differentia.networks.probes import UnitProbe


class Fickle(nn.Module):
    """Skips a layer, or changes its shape, for bright images."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what
        self.flat = nn.Flatten()
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.mean() < 0.1:
            return self.act(self.flat(x))
        return self.flat(x) if self.what == "skips" else self.act(x[:, :2])


@pytest.mark.parametrize(("what", "message"), [("skips", "not computed"), ("reshapes", "gave the shape")])
def test_networks_that_differ_between_batches_are_refused(what: str, message: str) -> None:
    """Layers that come and go, or change their shape, can't be compared between images."""
    network = load(Fickle(what))
    network.look(PIXELS[:2] // 100)
    with pytest.raises(dif.RecordingError, match=f"layer 'act' .*{message}"):
        network.record(PIXELS, {"act": UnitProbe(np.arange(768), (768,))})


def test_input_shape_in_either_order() -> None:
    """Channels first is PyTorch's order; channels last, as an image has it, is understood."""
    assert load(tricky(), input_shape=(3, 16, 20)).input_shape == (16, 20, 3)
    assert load(tricky(), input_shape=(16, 20, 3)).input_shape == (16, 20, 3)
    assert load(tricky(), input_shape=(28, 28, 1)).input_shape == (28, 28, 1)
    with pytest.raises(dif.InputError, match="'imagenet' is for 3 channels"):
        _ = load(tricky(), input_shape=(1, 28, 28), preprocess="imagenet").layers


class Recurrent(nn.Module):
    """Reads the rows of an image; its state begins with an axis of layers, maybe as many as images."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(48, 6, num_layers=layers, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rnn(x.permute(0, 2, 3, 1).flatten(2))[0]


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_an_axis_that_is_not_the_batch(layers: int) -> None:
    """The images are on the second axis of a state (layers, batch, units), however many layers there are."""
    module = Recurrent(layers)
    network = load(module)
    assert [layer.name for layer in network.layers if not layer.container] == ["input", "rnn[0]", "rnn[1]"]
    values = record_all(network, PIXELS[:layers])
    with torch.no_grad():
        states = module.rnn(TENSOR[:layers].permute(0, 2, 3, 1).flatten(2))
    np.testing.assert_allclose(values["rnn[0]"], states[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(values["rnn[1]"], states[1].transpose(0, 1), rtol=1e-5, atol=1e-6)


class Insistent(nn.Module):
    """Calls its activation once more for bright images."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3 if x.mean() > 0.1 else 2):
            x = self.act(x - 0.01)
        return x


def test_calls_that_come_and_go_are_refused() -> None:
    """Where a module is called more often for some batches, which call is which can't be known."""
    network = load(Insistent())
    network.look(PIXELS[:2] // 100)
    probes = {"act:1": UnitProbe(np.arange(768), (3, 16, 16))}
    with pytest.raises(dif.RecordingError, match="'act' was called 3 times for this batch, but 2 times"):
        network.record(PIXELS, probes)
    assert len(network.record(PIXELS // 100, probes)["act:1"]) == 5


def test_fingerprint() -> None:
    """It changes with a weight and with the architecture, and with nothing else."""
    first = load(tricky()).fingerprint
    assert load(tricky()).fingerprint == first
    changed = tricky()
    with torch.no_grad():
        changed.head.weight[0, 0] += 1e-3
    assert load(changed).fingerprint != first
    network = load(changed)
    before = network.fingerprint
    with torch.no_grad():
        changed.head.weight[0, 0] += 1e-3
    assert network.fingerprint != before  # of the weights as they are now, not as they were loaded
    other = tricky()
    other.act = nn.ELU(inplace=True)  # type: ignore[assignment]
    assert load(other).fingerprint != first
