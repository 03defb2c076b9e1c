"""Networks that the command line names: code in the working folder."""

from __future__ import annotations

import io
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

import differentia as dif
from differentia.cli.loading import load_named_network, require_trusted


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, which is not on the search path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    return tmp_path


def test_code_in_the_working_folder(folder: Path) -> None:
    """It is found, also what it imports when it is called; the search path is as it was afterwards."""
    (folder / "a_net_of_mine.py").write_text(
        "import torch\ndef make():\n    import beside_it\n    return torch.nn.Sequential(torch.nn.ReLU())\n"
    )
    (folder / "beside_it.py").touch()
    before = list(sys.path)
    network = load_named_network("a_net_of_mine:make", preprocess="unit", input_shape=(1, 8, 8))
    assert [layer.name for layer in network.layers] == ["input", "0", "Sequential"]
    assert sys.path == before
    with pytest.raises(dif.InputError, match="can't be imported"):
        load_named_network("no_net_of_mine:make")
    assert sys.path == before


def test_what_weights_were_taken_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a checkpoint, unless it is to be quiet."""
    (folder / "a_net_with_weights.py").write_text("import torch\ndef make(): return torch.nn.Linear(2, 2)\n")
    tensors = {"module.weight": torch.zeros(2, 2), "module.bias": torch.zeros(2)}
    torch.save({"state_dict": tensors}, folder / "w.pt")
    spec = "a_net_with_weights:make?weights=w.pt"
    load_named_network(spec, quiet=True, preprocess="unit", input_shape=(1, 2, 2))
    assert not capsys.readouterr().err
    load_named_network(spec, preprocess="unit", input_shape=(1, 2, 2))
    told = "differentia: w.pt: took the weights of 'state_dict', without 'module.' in their names\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("spec", ["digits", "keras:NoSuchNetwork", "model.keras", "no network"])
def test_no_other_name_imports_from_it(spec: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that bears the name of what a library would import is not run."""
    (folder / "model.keras").touch()
    seen: list[bool] = []

    def look(network: str) -> None:
        seen.append("" in sys.path)

    monkeypatch.setattr("differentia.networks.load.load_network", look)
    load_named_network(spec)
    assert seen == [False]
    load_named_network("some.code:Net?width=3")
    assert seen == [False, True]


class Typed(io.StringIO):
    """A terminal, at which something was typed."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("spec", ["digits", "keras:VGG16", "model.keras", "hf:a/b", "no network"])
def test_names_of_no_code_need_no_trust(spec: str) -> None:
    """Nobody is asked."""
    require_trusted(spec, trusted=False)


@pytest.mark.parametrize(
    ("typed", "runs"), [("yes\n", True), ("Y\n", True), ("\n", False), ("", False), ("no\n", False)]
)
def test_code_of_a_file_is_run_after_a_yes(
    typed: str, runs: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal shows what would run, without what could steer it, and waits for a word."""
    spec = "os:system?command=\x1b[2Jecho\n\u202e"
    with pytest.raises(dif.InputError, match=r"can do all that you can; nothing was run: .* --trust-code"):
        require_trusted(spec, trusted=False)
    assert not capsys.readouterr().err
    require_trusted(spec, trusted=True)
    monkeypatch.setattr("sys.stdin", Typed(typed))
    monkeypatch.setattr("sys.stderr", shown := Typed())
    with nullcontext() if runs else pytest.raises(dif.InputError, match="nothing was run"):
        require_trusted(spec, trusted=False)
    (line,) = shown.getvalue().splitlines()
    assert r"is code, 'os:system?command=\x1b[2Jecho\n\u202e', which would be run" in line
    assert line.isprintable()


@pytest.mark.parametrize("missing", ["stdin", "stderr"])
def test_nobody_is_asked_without_a_terminal(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one of the two is no terminal, or closed, the answer is no."""
    for name in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{name}", Typed("yes\n"))
    for instead in (None, io.StringIO("yes\n")):
        monkeypatch.setattr(f"sys.{missing}", instead)
        with pytest.raises(dif.InputError, match="nothing was run"):
            require_trusted("a:b", trusted=False)
