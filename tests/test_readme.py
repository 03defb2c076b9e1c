"""The README's Python is run, and what it says of the command line is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.documents import ROOT, assert_options_exist, fenced

README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON, CONSOLE = fenced(README, "python"), "".join(fenced(README, "console"))


@pytest.mark.slow
def test_python_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One after the other, as a reader would; they print what they promise."""
    monkeypatch.chdir(tmp_path)
    assert len(PYTHON) == 2
    names: dict[str, object] = {}
    for block in PYTHON:
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "relative_differentiation" in printed
    assert (tmp_path / "digits.nc").is_file()
    import matplotlib.pyplot as plt

    plt.close("all")


def test_options_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command of the console blocks is known, and knows every option that is shown with it."""
    shown = assert_options_exist(CONSOLE, capsys)
    known = ("demo", "measure", "select", "noise", "scramble", "layers", "contrast", "depth", "statistics")
    assert set(shown) == {*known, "status"}


def test_make_targets_exist() -> None:
    """The two commands are targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^\$ make (\w+)", CONSOLE, flags=re.MULTILINE)
    assert targets == ["demo", "test"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
