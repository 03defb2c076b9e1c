"""From what a user names to a network: specs, code, weights, objects."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import SHAPE, factory, load, ready, record_all
from safetensors.torch import save_file

import differentia as dif


def test_a_ready_network_takes_no_options() -> None:
    """Arguments that would have no effect are refused."""
    assert dif.load_network(ready) is ready
    with pytest.raises(dif.InputError, match=r"already; leave out preprocess \(--preprocess\), forward$"):
        dif.load_network(ready, preprocess="imagenet", forward=abs)
    with pytest.raises(dif.InputError, match=r"network was loaded already; leave out device \(--device\)$"):
        dif.load_network("helpers.networks:ready", device="cpu")
    with pytest.raises(dif.InputError, match=r"the embedded network has its own .*; leave out class_names$"):
        dif.load_network("digits", device="cpu", dtype="bfloat16", class_names=("a", "b"))


SPEC = "helpers.networks:factory"


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_factory_with_weights(tmp_path: Path, suffix: str) -> None:
    """Importable code is called with its options, and gets the weights of a file."""
    trained = factory(width=7)
    with torch.no_grad():
        trained.head.bias.fill_(3.0)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(trained.state_dict(), path)
    else:
        save_file(trained.state_dict(), path)
    network = dif.load_network(f"{SPEC}?width=7&weights={path}", preprocess="unit", input_shape=SHAPE)
    np.testing.assert_array_equal(record_all(network)["head"], record_all(load(trained))["head"])
    with pytest.raises(dif.InputError, match=r"do not fit: .*\(head\.weight is \(7, 8\), not \(5, 8\)"):
        dif.load_network(f"{SPEC}?weights={path}", preprocess="unit", input_shape=SHAPE)


def test_code_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library changes no search path, and so finds it only where the caller's has that folder."""
    (tmp_path / "my_own_net.py").write_text("import torch\ndef make(): return torch.nn.ReLU()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    before = list(sys.path)
    with pytest.raises(
        dif.InputError, match=r"can't be imported .*; install it, or add its folder to PYTHON"
    ):
        dif.load_network("my_own_net:make", preprocess="unit", input_shape=SHAPE)
    assert sys.path == before
    monkeypatch.syspath_prepend(tmp_path)
    network = dif.load_network("my_own_net:make", preprocess="unit", input_shape=SHAPE)
    assert [layer.name for layer in network.layers] == ["input", "ReLU"]


def test_a_spec_may_name_an_object() -> None:
    """A module, or a network that knows its own preprocessing."""
    assert dif.load_network("helpers.networks:ready") is ready
    by_object = dif.load_network("helpers.networks:module_object", preprocess="unit", input_shape=SHAPE)
    assert by_object.fingerprint == ready.fingerprint


def test_weights_and_models_by_their_paths(tmp_path: Path) -> None:
    """`weights=` is what the spec says, and a path is as good as its text."""
    trained, path = factory(width=7), tmp_path / "w.pt"
    torch.save(trained.state_dict(), path)
    about: dict[str, Any] = {"preprocess": "unit", "input_shape": SHAPE}
    network = dif.load_network(f"{SPEC}?width=7", weights=path, **about)
    assert network.fingerprint == load(trained).fingerprint
    assert network.name == f"{SPEC}?width=7&weights={path}"
    assert dif.load_network(SPEC, weights=None, **about).name == SPEC
    with pytest.raises(dif.InputError, match="'weights' is given twice"):
        dif.load_network(f"{SPEC}?weights={path}", weights=path, **about)
    with pytest.raises(
        dif.InputError, match="weights= goes with the name of a network; load them into this one"
    ):
        dif.load_network(trained, weights=path, **about)
    with pytest.raises(dif.InputError, match=r"gone\.keras: no such file"):
        dif.load_network(tmp_path / "gone.keras", preprocess="unit")


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    """Weights that are a pickle with a payload are refused, and the payload does not run."""
    torch.save({"head.weight": Payload(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(dif.InputError, match=r"evil\.pt: the weights can't be loaded"):
        dif.load_network(f"{SPEC}?weights={tmp_path / 'evil.pt'}", preprocess="unit", input_shape=SHAPE)
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "evil.pt", weights_only=False)  # the control: it would have
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("VGG16", "unknown network 'VGG16'. Did you mean 'keras:VGG16'"),
        ("no_such_module:net", "'no_such_module' can't be imported"),
        ("helpers.networks:Trickx", "unknown name in helpers.networks 'Trickx'. Did you mean 'Tricky'"),
        (f"{SPEC}?depth=3", "does not take these options"),
        (f"{SPEC}?weights=none.pt", "no weights at none.pt"),
        ("helpers.networks:module_object?width=3", "not a factory"),
        ("helpers.networks:torch.float32", "expected a torch.nn.Module"),
        ("digits?width=3", "takes no options"),
        ("missing.keras", "no such file"),
    ],
)
def test_wrong_specs(spec: str, message: str) -> None:
    """Each says what was wrong with it."""
    with pytest.raises(dif.InputError, match=message):
        dif.load_network(spec, preprocess="unit" if spec != "digits?width=3" else None, input_shape=None)
