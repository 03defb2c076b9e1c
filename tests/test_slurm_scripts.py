"""What tries the guide to clusters finds its files and commands there, and a shell can read them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from helpers.documents import DOCS, script

from differentia.experiment.file import Experiment, read_experiment

try_guide = script("slurm/try_guide")
FILES: dict[str, str] = try_guide.files()
HEADINGS = ["A Slurm array", "When the time is over", "`top` and `top_variance`", "Dask"]


def readable(text: str, folder: Path) -> bool:
    """Whether a shell would read it all; nothing of it is run."""
    (folder / "script.sh").write_text(text, encoding="utf-8")
    return subprocess.run(["bash", "-n", folder / "script.sh"], capture_output=True).returncode == 0


def test_files_of_the_guide() -> None:
    """Each block that begins with its name, below `#!` in scripts."""
    expected = {"experiment.toml", "record.sh", "measure.sh", "record_again.sh", "gpus.sh", "cluster.py"}
    assert FILES.keys() == expected
    assert all(text.startswith("#!/bin/bash\n") == name.endswith(".sh") for name, text in FILES.items())


def test_scripts_can_be_read(tmp_path: Path) -> None:
    """Also what is typed, and the scripts that start and stop Slurm; not one with a loop that has no end."""
    texts = [text for name, text in FILES.items() if name.endswith(".sh")]
    texts += [text for heading in HEADINGS for text in try_guide.typed(heading)]
    texts += [(DOCS / "slurm" / name).read_text(encoding="utf-8") for name in ("start_slurm", "stop_slurm")]
    assert len(texts) == 11
    assert all(readable(text, tmp_path) for text in texts)
    assert not readable("for part in 1 2; do\n", tmp_path)


def test_the_experiment_can_be_read(tmp_path: Path) -> None:
    """And the script in Python measures the same sets."""
    (tmp_path / "experiment.toml").write_text(FILES["experiment.toml"], encoding="utf-8")
    experiment = read_experiment(tmp_path / "experiment.toml")
    assert isinstance(experiment, Experiment)
    assert experiment.sets == {"noise": "noise:100", "digits": "digits:100"}
    assert all(f'"{name}": "{source}"' in FILES["cluster.py"] for name, source in experiment.sets.items())


def test_the_signal_comes_before_the_end() -> None:
    """A job that puts itself back into the queue is told so, and may be put there."""
    options = [line for line in FILES["record_again.sh"].splitlines() if line.startswith("#SBATCH")]
    assert "--requeue" in " ".join(options)
    assert "--signal=B:USR1@120" in " ".join(options)
    assert "USR1\n" in FILES["record_again.sh"]


def test_typed_blocks() -> None:
    """What is a file is not typed, and a prompt is left out; a heading that is gone is told."""
    (submit,) = try_guide.typed("A Slurm array")
    assert submit.startswith("recorded=$(sbatch")
    assert try_guide.typed("Dask")[0].startswith("differentia run")
    with pytest.raises(AssertionError, match="An array of Slurm"):
        try_guide.typed("An array of Slurm")


@pytest.mark.parametrize("name", try_guide.TRIALS)
def test_what_trials_change_is_there(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the guide's files, with nothing run; words that are not there are told."""
    for method in ("type", "wait", "until", "logs", "same"):
        monkeypatch.setattr(try_guide.Trial, method, lambda *_, **__: "")
    monkeypatch.setattr(try_guide.Trial, "queue", lambda _: "1_1 record RUNNING None")
    trial = try_guide.Trial(tmp_path / name, {})
    try_guide.TRIALS[name](trial)
    compile((tmp_path / name / "cluster.py").read_text(encoding="utf-8"), "cluster.py", "exec")
    with pytest.raises(AssertionError, match="gone"):
        trial.edit("record.sh", ("gone", "here"))


def test_what_is_shown_of_long_outputs() -> None:
    """The beginning and the end, and of a progress bar its last state."""
    lines = [f"line {number}" for number in range(100)]
    assert try_guide.shortened("\n".join(lines), lines=4).splitlines() == [
        *("line 0", "line 1", "... (96 lines)", "line 98", "line 99")
    ]
    assert try_guide.shortened("10 %\r20 %\nended\n") == "20 %\nended"
