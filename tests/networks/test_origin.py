"""What a network was loaded from: enough for another process to load the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import SHAPE, factory
from safetensors.torch import save_file

import differentia as dif
from differentia.networks.origin import Origin

SPEC = "helpers.networks:factory"


def test_a_named_network_is_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another folder, with its weights, its options and its classes; others are another network."""
    monkeypatch.chdir(tmp_path)
    trained = factory(width=7)
    with torch.no_grad():
        trained.head.bias.fill_(3.0)
    save_file(trained.state_dict(), "weights.safetensors")
    Path("classes.txt").write_text("ant\nbee\n")
    about: dict[str, Any] = {
        "preprocess": "unit",
        "input_shape": SHAPE,
        "classes": "classes.txt",
        "device": "cpu",
    }
    network = dif.load_network(f"{SPEC}?width=7&weights=weights.safetensors", **about)
    origin = network.origin
    assert origin is not None
    expected = {**about, "classes": str(tmp_path / "classes.txt"), "input_shape": [*SHAPE]}
    assert origin.spec == f"{SPEC}?width=7&weights={tmp_path}/weights.safetensors"
    assert origin.options == expected
    assert origin.folder == str(Path(__file__).parent.parent)
    monkeypatch.chdir("/")
    travelled = Origin(*json.loads(json.dumps(origin)))
    again = dif.load_network(travelled.spec, **travelled.options)
    assert again.fingerprint == network.fingerprint
    assert again.origin == travelled
    other = dif.load_network(f"{SPEC}?width=7", preprocess="unit", input_shape=SHAPE)
    assert other.fingerprint != network.fingerprint


def test_what_is_said_in_objects_is_written_in_plain_values() -> None:
    """A shape of NumPy's numbers, or a device of PyTorch's, is what JSON can hold."""
    about: dict[str, Any] = {"input_shape": np.array(SHAPE), "device": torch.device("cpu")}
    names = ("ant", "bee")
    network = dif.load_network(SPEC, preprocess="unit", class_names=names, **about)
    said = {"preprocess": "unit", "input_shape": [*SHAPE], "class_names": [*names], "device": "cpu"}
    assert network.origin is not None
    assert json.loads(json.dumps(network.origin))[1] == network.origin.options == said


def test_code_is_found_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process looks into the folder of the user's own code, and no other; its path is as before."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "my_travelling_net.py").write_text(
        "import torch\ndef make(): return torch.nn.ReLU()\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "lab")
    origin = dif.load_network("my_travelling_net:make", preprocess="unit", input_shape=SHAPE).origin
    assert origin is not None
    assert origin.folder == str(tmp_path / "lab")
    code = (
        "import json, sys, differentia as dif\nfrom differentia.networks.origin import Origin\n"
        "origin = Origin(*json.loads(sys.argv[1]))\nbefore = list(sys.path)\n"
        "with origin.code_found():\n    print(dif.load_network(origin.spec, **origin.options).name)\n"
        "assert sys.path == before\n"
    )
    for given, status in ((origin, 0), (origin._replace(folder=str(tmp_path)), 1)):
        command = [sys.executable, "-c", code, json.dumps(given)]
        ran = subprocess.run(command, cwd="/", env={**os.environ}, capture_output=True, text=True)
        assert ran.returncode == status, ran.stderr
        assert ran.stdout == ("my_travelling_net:make\n" if status == 0 else "")


def test_what_can_not_be_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects, functions and code of a notebook have no origin; installed code has no folder."""
    notebook = types.ModuleType("a_notebook")
    notebook.__dict__["net"] = torch.nn.ReLU()
    monkeypatch.setitem(sys.modules, "a_notebook", notebook)
    assert dif.load_network("a_notebook:net", preprocess="unit", input_shape=SHAPE).origin is None
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3))
    assert dif.load_network(module, preprocess="unit", input_shape=SHAPE).origin is None
    assert dif.load_network(SPEC, preprocess=lambda x: x / 255, input_shape=SHAPE).origin is None
    assert dif.load_network(SPEC, preprocess="unit", input_shape=SHAPE, forward=lambda x: x).origin is None
    installed = dif.load_network("torch.nn:ReLU", preprocess="unit", input_shape=SHAPE).origin
    assert installed == Origin("torch.nn:ReLU", {"preprocess": "unit", "input_shape": [*SHAPE]}, "")
    assert dif.load_network("digits").origin == Origin("digits", {})
