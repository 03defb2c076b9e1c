"""Parts as commands: in any order, several at a time, killed in between, to the same bits."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from helpers.runs import Run, Runner, assert_same_results

from differentia.cli import main

pytestmark = pytest.mark.usefixtures("no_pictures")

Capture = pytest.CaptureFixture[str]

SETS = ["--set", "noise=noise:40", "--set", "threes=digits:20?digit=3"]
FAST = ["--layers", "input,block1_pool,predictions", "--n-units", "50", "--draws", "2", "--batch-size", "4"]
MEASURE = ["measure", "digits", *SETS, *FAST]
RANKED = [*MEASURE, "--units", "top,random"]


def run(capsys: Capture, *arguments: str | Path, status: int = 0) -> tuple[str, str]:
    """Run a command, and return what it prints on stdout and on stderr."""
    assert main(list(map(str, arguments))) == status
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_a_part_says_what_it_did(tmp_path: Path, capsys: Capture) -> None:
    """It writes no result; a run without --part goes on from it, and the experiment file has parts, too."""
    out: list[str | Path] = ["--out", tmp_path / "m"]
    said, err = run(capsys, *MEASURE, *out, "--part", "1/2")
    assert said == ""
    assert "Part 1 of 2: 32 images recorded, 0 were there; once all parts are done, run" in err
    assert {path.name for path in (tmp_path / "m").iterdir()} - {".in-use"} == {
        "experiment.toml",
        "responses.zarr",
    }
    said, _ = run(capsys, *MEASURE, *out, "--part", "1/2", "--json", "--quiet")
    told = json.loads(said)
    assert (told["part"], told["of"], told["images"], told["there"]) == (1, 2, 0, 32)
    _, err = run(capsys, *MEASURE, *out, "--no-record", status=1)
    assert "responses.zarr: yet to be recorded: 28 images (noise: 8, threes: 20); leave" in err
    assert err.count("\n") == 1
    _, err = run(capsys, "run", tmp_path / "m", *out, "--part", "2/2")
    assert "Part 2 of 2: 28 images recorded" in err
    _, err = run(capsys, *MEASURE, *out, "--part", "3/9")
    assert "Part 3 of 9 has no images, since there are fewer tasks than parts" in err
    run(capsys, *MEASURE, *out, "--no-record")
    run(capsys, *MEASURE, "--out", tmp_path / "one", "--no-store")
    assert_same_results(tmp_path / "m", tmp_path / "one")


def test_two_rounds_are_told(tmp_path: Path, capsys: Capture) -> None:
    """What comes next, and which parts are lacking: one line, and the exit code of work that failed."""
    out: list[str | Path] = ["--out", tmp_path / "m"]
    _, err = run(capsys, *RANKED, *out, "--part", "2/2")
    assert (
        "Part 2 of 2, round 1 of 2: 28 images recorded, 0 were there; once all parts are done, run them"
        in err
    )
    _, err = run(capsys, *RANKED, *out, "--part", "2/2", status=1)
    assert "; yet to do so: part 1; run what is left, and then all again\n" in err


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--part", "0/3"], "--part: the part is '0/3'; expected I/N, such as 3/10"),
        (["--part", "3"], "--part: the part is '3'; expected I/N"),
        (["--part", "1/2", "--no-store"], "--part 1/2 and --no-store do not go together"),
        (["--part", "1/2", "--fresh"], "remove the store, and then begin the parts"),
        (["--part", "1/2", "--no-record"], "--part 1/2 and --no-record do not go together"),
        (["--no-store", "--no-record"], "leave one of them out"),
    ],
)
def test_wrong_options_are_told_first(
    options: list[str], line: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a network is loaded or anything is written: exit code 2, one line."""
    monkeypatch.setattr("differentia.networks.load.load_network", None)
    _, err = run(capsys, *MEASURE, *options, "--out", tmp_path / "m", status=2)
    assert line in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """The server of runs, each a process."""
    server = Runner()
    yield server
    server.close()


def begin(runner: Runner, folder: Path, name: str, *arguments: str) -> Run:
    """Begin a command in a folder of its own."""
    (folder / name).mkdir(parents=True)
    return runner.begin(folder / name, [*arguments, "--out", str(folder / "out"), "--quiet"])


def kill_while_recording(victims: Sequence[Run], after: Sequence[float]) -> None:
    """Kill each so many seconds after it has begun to show images, where it has not ended before."""
    left = dict(zip(victims, after, strict=True))
    while left:
        for victim, seconds in list(left.items()):
            began = next((stage.at for stage in victim.stages if stage.name == "pass 1"), None)
            if victim.ended() is not None:
                del left[victim]
            elif began is not None and time.monotonic() >= began + seconds:
                os.kill(victim.pid, signal.SIGKILL)
                del left[victim]
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="runs are forked")
@pytest.mark.parametrize("command", [MEASURE, RANKED], ids=["random", "ranked"])
def test_parts_at_the_same_time(command: list[str], runner: Runner, tmp_path: Path) -> None:
    """Three parts and the same one twice, of which some are killed at any moment: the bits of one run."""
    chance = random.Random(0)
    ranked = command is RANKED
    for attempt, kills in enumerate([3, 0] * (2 if ranked else 1)):
        begun = [
            begin(runner, tmp_path, f"{attempt}-{nth}", *command, "--part", f"{number}/3")
            for nth, number in enumerate((1, 2, 3, 2))
        ]
        kill_while_recording(begun[:kills], [chance.uniform(0.0, 0.3) for _ in range(kills)])
        codes = {one.wait() for one in begun}
        # 1: it has done its first round, and another part has not.
        assert codes <= {0, *([-9] if kills else []), *([1] if ranked else [])}, [one.said for one in begun]
    assert begin(runner, tmp_path, "last", *command, "--no-record").wait() == 0
    (tmp_path / "one").mkdir()
    assert runner.run(tmp_path / "one", [*command, "--out", str(tmp_path / "one" / "out")]).code == 0
    assert_same_results(tmp_path / "out", tmp_path / "one" / "out")
