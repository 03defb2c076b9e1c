"""The README's Python is run, and what it says of the command line is true."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from differentia.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.slow
def test_python_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One after the other, as a reader would; they print what they promise."""
    monkeypatch.chdir(tmp_path)
    assert len(blocks("python")) == 2
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "relative_differentiation" in printed
    assert (tmp_path / "digits.nc").is_file()
    import matplotlib.pyplot as plt

    plt.close("all")


def test_options_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command of the console blocks is known, and knows every option that is shown with it."""
    lines = "".join(blocks("console")).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("$ differentia")]
    assert {command for _, command, *_ in commands} == {"measure", "select", "noise", "layers", "contrast"}
    for _, command, *given in commands:
        assert main([command, "--help"]) == 0
        shown = capsys.readouterr().out
        for option in given:
            assert not option.startswith("--") or re.search(rf"{option}\b", shown), (command, option)


def test_make_targets_exist() -> None:
    """The two commands are targets of the Makefile."""
    makefile = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^\$ make (\w+)", "".join(blocks("console")), flags=re.MULTILINE)
    assert targets == ["demo", "test"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
