"""What a folder holds, what is missing, and who writes to it, on the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.printed import rows_of

from differentia.cli import main
from differentia.recording.division import Promised
from differentia.recording.store.contents import contents_of
from differentia.recording.store.disk import open_recording
from differentia.system.locking import IN_USE, held

pytestmark = pytest.mark.usefixtures("no_pictures")

Capture = pytest.CaptureFixture[str]

MEASURE = ["measure", "digits", "--set", "noise=noise:3", "--set", "digits=digits:4", "--no-views"]
FAST = ["--layers", "input,block1_pool,predictions", "--n-units", "50", "--draws", "2", "--quiet"]


def told(capsys: Capture, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["status", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def as_json(capsys: Capture, folder: Path) -> Any:
    return json.loads(told(capsys, str(folder), "--json"))


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


def test_a_measured_folder(tmp_path: Path, capsys: Capture) -> None:
    """Its recording is told, by the folder or the store itself; nothing is written and nothing is missing."""
    out = tmp_path / "out"
    assert main([*MEASURE, *FAST, "--out", str(out)]) == 0
    before = times(out)
    found = as_json(capsys, out)
    said = told(capsys, str(out))
    assert found == as_json(capsys, out / "responses.zarr")
    assert times(out) == before
    (recording,), (known,) = found["recordings"], contents_of(out / "responses.zarr")
    assert found["store"] == str(out / "responses.zarr")
    assert found["holders"] == []
    assert recording["path"] == str(known.path)
    assert recording["about"]["name"] == "digits"
    assert recording["about"]["identity"]["device"] == "cpu"
    assert "behaviour" not in recording["about"]
    assert (recording["size"], recording["files"]) == (known.size, known.files)
    assert recording["sets"] == [
        {"name": "noise", "kept": 3, "unreadable": 0, "missing": 0, "earlier": 0},
        {"name": "digits", "kept": 4, "unreadable": 0, "missing": 0, "earlier": 0},
    ]
    quantities = {(one["layer"], one["what"]): one for one in recording["quantities"]}
    assert quantities["input", "random-0"]["columns"] == 50
    assert {one["images"] for one in recording["quantities"]} == {7}
    assert f"in {known.files:,} files" in said.splitlines()[0]
    assert rows_of(said)["noise"] == ["3", "0", "0"]
    assert rows_of(said)["predictions"] == ["10", "7"]
    assert "Nothing is missing." in said
    assert said.endswith("\nNobody writes to it.\n")


def test_what_is_missing(tmp_path: Path, capsys: Capture) -> None:
    """Images that were promised, those of which something is missing, and what killed runs left."""
    store = open_recording(
        tmp_path / "responses.zarr", {"network": "a"}, {"conv": [0.0]}, name="net\x1b[2J", batch_size=32
    )
    store.promise({"a": "1", "b": "2"}, [Promised("a", range(20)), Promised("b", range(30))])
    store.add_batch(1, "b", [str(row) for row in range(28)], ["bad", "worse"])
    (left,) = (tmp_path / "responses.zarr" / "recordings").glob("*/layers")
    (left / "c.0.0.partial").write_bytes(b"x" * 2000)
    said = told(capsys, str(tmp_path))
    assert rows_of(said)["a"] == ["0", "20", "0"]
    assert rows_of(said)["b"] == ["28", "0", "2"]
    assert "There are 20 images to be recorded and 28 images of which something is missing." in said
    assert "1 of 2 tasks are begun or done." in said
    assert "Killed runs left 1 file (2 kB), which whoever goes on takes over." in said
    assert "\x1b" not in said


def test_a_set_that_grew_and_was_recorded_in_parts(tmp_path: Path, capsys: Capture) -> None:
    """Nothing is missing where a part has taken what was there for its own; before, the new images are."""
    out = tmp_path / "out"
    measure = ["measure", "digits", *FAST, "--no-views", "--batch-size", "4", "--out", str(out)]
    assert main([*measure, "--set", "noise=noise:8"]) == 0
    grown = [*measure, "--set", "noise=noise:16"]
    assert main([*grown, "--part", "1/4"]) == 0
    (facts,) = as_json(capsys, out)["recordings"][0]["sets"]
    assert facts == {"name": "noise", "kept": 8, "unreadable": 0, "missing": 8, "earlier": 8}
    for part in ("2/4", "3/4", "4/4"):
        assert main([*grown, "--part", part]) == 0
    said = told(capsys, str(out))
    assert rows_of(said)["noise"] == ["16", "0", "0"]
    words = " ".join(said.split())
    assert (
        "Nothing is missing. 8 images of sets that grew count as there, as they were recorded before" in words
    )
    assert main([*grown, "--no-record"]) == 0


def test_what_is_kept_of_some_images(tmp_path: Path, capsys: Capture) -> None:
    """Maps, and units that fewer images ranked, are not missing of the others."""
    out = tmp_path / "out"
    measure = ["measure", "digits", "--layers", "block1_conv1", "--no-views", "--quiet", "--out", str(out)]
    more = [
        "--units",
        "top",
        "--n-units",
        "5",
        "--draws",
        "2",
        "--map",
        "block1_conv1:1",
        "--map-images",
        "2",
    ]
    for images in (4, 8):
        assert main([*measure, *more, "--set", f"noise=noise:{images}"]) == 0
    kinds = {one["what"]: one for one in as_json(capsys, out)["recordings"][0]["quantities"]}
    ranked = [one for name, one in kinds.items() if name.startswith("top")]
    assert sorted(one["images"] for one in ranked) == [4, 8]
    assert {one["images"] < 8 for name, one in kinds.items() if name.startswith("map")} == {True}
    said = told(capsys, str(out))
    assert "Nothing is missing." in said
    assert rows_of(said)["block1_conv1"][-1] == "8"
    assert said.count(" top") == 1


def test_a_damaged_recording(tmp_path: Path, capsys: Capture) -> None:
    """It is told, and is not in the way of the others."""
    open_recording(tmp_path, {"network": "a"}, {}, name="net", batch_size=32)
    (path,) = (tmp_path / "recordings").glob("*/zarr.json")
    path.write_text("junk")
    assert f"{path.parent}: is damaged, or of another version; it is not used." in told(capsys, str(tmp_path))
    assert as_json(capsys, tmp_path)["recordings"][0]["about"] == {}


def test_who_writes(tmp_path: Path, capsys: Capture) -> None:
    """Those at work, and those that have ended, of the folder and its store, also while nothing is there."""
    out = tmp_path / "out"
    with held(out, share="part 1 of 2"):
        said = told(capsys, str(out))
        assert said.startswith(f"{out / 'responses.zarr'}: 0 recordings, 0 B in 0 files\n")
        name = next((out / IN_USE).iterdir()).name
        pid = str(os.getpid())
        open_recording(out / "responses.zarr", {"network": "a"}, {}, name="net", batch_size=32)
        with held(out / "responses.zarr", share="part 1 of 2"):  # as a run does: it is told once
            assert told(capsys, str(out)).count(f"Process {pid} on host") == 1
            assert len(as_json(capsys, out)["holders"]) == 2
        (out / "responses.zarr" / IN_USE).mkdir(exist_ok=True)
        old = (
            out / "responses.zarr" / IN_USE / name.replace("shared", "held").replace(f"_{pid}_", "_4000000_")
        )
        old.write_text('{"host": "node-7"}')
        os.utime(old, (time.time() - 3600,) * 2)
        one, two = told(capsys, str(out)).splitlines()[-2:]
        before = times(out)
        holders = as_json(capsys, out)["holders"]
        told(capsys, str(out))
        assert times(out) == before
    assert one.startswith(f"Process {pid} on host {socket.gethostname()}: part 1 of 2, since 20")
    assert "; last sign of life " in one
    assert two.startswith("Process 4000000 on host node-7: since 20")
    assert two.endswith("; has ended, its lease is left (last sign of life 60 min ago)")
    assert [(found["pid"], found["share"], found["alive"]) for found in holders] == [
        (os.getpid(), "part 1 of 2", True),
        (4_000_000, None, False),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.slow
def test_while_a_part_records(tmp_path: Path, capsys: Capture) -> None:
    """It is seen at work, and not disturbed; once it is killed, what it left is seen."""
    out = tmp_path / "out"
    given = [*MEASURE, "--set", "more=noise:20000", "--part", "1/2", "--out", str(out)]
    command = [sys.executable, "-m", "differentia", *given]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 60
            while not (out / "responses.zarr").exists() or not as_json(capsys, out)["recordings"]:
                assert process.poll() is None
                assert time.monotonic() < until
            kept: list[int] = []
            while len(set(kept)) < 3:
                assert process.poll() is None
                (recording,) = as_json(capsys, out)["recordings"]
                kept.append(sum(one["kept"] for one in recording["sets"]))
                told(capsys, str(out))
            assert kept == sorted(kept)
            assert {found["pid"] for found in as_json(capsys, out)["holders"]} == {process.pid}
            said = f"Process {process.pid} on host {socket.gethostname()}: part 1 of 2, since 20"
            assert said in told(capsys, str(out))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    found = as_json(capsys, out)
    assert [one["alive"] for one in found["holders"]] == [False] * len(found["holders"])
    assert sum(one["missing"] for one in found["recordings"][0]["sets"]) > 0
    assert "Nobody writes to it." in told(capsys, str(out))


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("", "an empty path was given; name a file or a folder"),
        ("gone", "gone: no such folder; name the folder of a run, or its responses.zarr"),
        ("file", "file: is a file; name the folder of a run, or its responses.zarr"),
        (
            "odd",
            "odd/responses.zarr/recordings: can't be read (Not a directory); ask its owner, or name another "
            "folder",
        ),
        ("none", "none: holds no responses.zarr, and is none; name the folder of a run that keeps one"),
    ],
)
def test_what_holds_nothing(
    tmp_path: Path, folder: str, line: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, exit code 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "none" / "responses.zarr").mkdir(parents=True)
    open_recording(tmp_path / "odd" / "responses.zarr", {"network": "a"}, {}, name="net", batch_size=32)
    shutil.rmtree(tmp_path / "odd" / "responses.zarr" / "recordings")
    (tmp_path / "odd" / "responses.zarr" / "recordings").touch()
    assert main(["status", folder]) == 2
    assert capsys.readouterr() == ("", f"differentia: {line}\n")


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    """The answer does not wait for PyTorch or Keras."""
    open_recording(tmp_path, {"network": "a"}, {}, name="net", batch_size=32)
    script = (
        f"import sys; from differentia.cli import main; status = main(['status', {str(tmp_path)!r}]);"
        "heavy = {'torch', 'keras', 'xarray', 'zarr', 'matplotlib', 'scipy'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
