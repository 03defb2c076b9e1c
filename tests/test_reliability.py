"""What goes wrong in real runs, tried on real processes: each fault ends in the same bits or in one line.

``docs/reliability.md`` is written from these tests: each fault has its row, with how often it was tried.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import pytest
from helpers.clusters import LabCluster, command, ended, kill, lab_cluster, wait_for
from helpers.documents import DOCS, script
from helpers.networks import factory
from helpers.run_server import Step
from helpers.runs import (
    ENVIRONMENT,
    Ended,
    Run,
    Runner,
    Written,
    assert_same_results,
    finished_chunks,
    leftovers,
    rewritten,
    whole_chunks,
)
from helpers.tries import Rows, bounded
from safetensors.torch import save_file

from differentia.recording.store.writers import NOBODY
from differentia.system.locking import STALE

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork and no SIGKILL"),
    pytest.mark.slow,
]

COMMAND = (
    *("measure", "helpers.networks:factory?weights=w.safetensors", "--preprocess", "unit"),
    *("--input-size", "16", "--set", "noise=noise:60", "--set", "grey=noise:25?kind=gaussian"),
    *("--set", "pictures=pictures", "--layers", "conv,block.1,named*,head", "--map", "conv:3"),
    *("--units", "random,top", "--n-units", "50,300", "--draws", "5"),
    # Two chunks of rows for each batch; whole layers of all images are too much, so units are ranked first.
    *("--batch-size", "18", "--memory", "1500kB", "--out"),
)

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)

SAME = "The same command continues, and ends with the same bits"
TOLD = "One line says what to do, exit code"

ROWS = Rows("Faults")
fault = ROWS.row


class Counts:
    """What is counted while the tests run, beside the tries."""

    def __init__(self) -> None:
        self.kills: list[str] = []
        self.resumed = 0
        self.kept = 0
        self.disks: list[str] = []


@pytest.fixture(scope="session")
def counts() -> Counts:
    """The counts, which are written with those of the tries."""
    counted = Counts()
    ROWS.more = vars(counted)
    return counted


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    """The server of runs."""
    server = Runner()
    yield server
    server.close()


def prepare(folder: Path) -> Path:
    """Write what the command needs into a folder."""
    (folder / "pictures").mkdir(parents=True)
    for number, pixels in enumerate(PICTURES):
        PIL.Image.fromarray(pixels).save(folder / "pictures" / f"{number:02}.png")
    save_file(factory().state_dict(), folder / "w.safetensors")
    return folder


@dataclass
class Case:
    """A folder to run in, and the result of an undisturbed run to compare with."""

    runner: Runner
    folder: Path
    expected: Path
    durations: dict[str, float]

    @property
    def out(self) -> Path:
        """What is written to."""
        return self.folder / "out"

    @property
    def store(self) -> Path:
        """The responses."""
        return self.out / "responses.zarr"

    def begin(self, **options: Any) -> Run:
        """Begin the command."""
        return self.runner.begin(self.folder, [*COMMAND, "out"], **options)

    def run(self, *more: str, **options: Any) -> Ended:
        """Run the command to its end."""
        return self.runner.run(self.folder, [*COMMAND, "out", *more], **options)

    def finish(self, **options: Any) -> Ended:
        """Run the command, and assert that it gives what an undisturbed run gave, and leaves nothing."""
        ended = self.run(**options)
        assert ended.code == 0, ended.said
        assert "Traceback" not in ended.said
        assert leftovers(self.out) == []
        assert_same_results(self.out, self.expected)
        return ended

    def killed_at(self, stage: str, share: float, number: signal.Signals = signal.SIGKILL) -> Run:
        """Return a run that was sent a signal when a share of a stage had passed."""
        while True:
            run = self.begin()
            run.send_at(stage, share * self.durations[stage], number)
            if run.wait():
                return run
            share /= 2  # it was done before: a machine that does much else is not always as slow
            shutil.rmtree(self.out)

    def killed_with(self, chunks: int) -> Run:
        """Return a run that was killed once so many chunks were there, however slow the machine is."""
        run = self.begin()
        while len(finished_chunks(self.out)) < chunks:
            assert run.ended() is None
            time.sleep(0.002)
        with suppress(ProcessLookupError):
            os.kill(run.pid, signal.SIGKILL)
        run.wait()
        return run


@pytest.fixture(scope="session")
def undisturbed(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A run that nothing disturbed, and how long its stages took."""
    folder = prepare(tmp_path_factory.mktemp("undisturbed"))
    case = Case(runner, folder, folder / "out", {})
    run = case.begin(views=True)
    assert run.wait() == 0, run.said
    end = time.monotonic()
    stages = run.stages
    for stage in reversed(stages):
        following = [after.at for after in stages if after.at > stage.at and after.name != stage.name]
        case.durations[stage.name] = min(following, default=end) - stage.at
    assert list(case.durations)[::-1] == ["start", "pass 1", "pass 2", "measuring", "saving", "drawing"]
    assert len(finished_chunks(case.out)) > 200
    assert leftovers(case.out) == []
    return case


@pytest.fixture
def case(undisturbed: Case, tmp_path: Path) -> Case:
    """A folder in which nothing was run yet."""
    return Case(undisturbed.runner, prepare(tmp_path / "case"), undisturbed.out, undisturbed.durations)


@pytest.fixture
def done(undisturbed: Case, case: Case) -> Case:
    """A folder with all that an undisturbed run wrote."""
    shutil.copytree(undisturbed.out, case.out)
    return case


#: What a run says before it may fail.
ON_THE_WAY = ("recorded already", "are shown again", "waiting for workers", "recording 70 images with")


def assert_told(ended: Ended, code: int, *parts: str) -> None:
    """Assert that a run ended with one line that says the reason and the remedy."""
    assert ended.code == code, ended.said
    lines = [line for line in ended.said.splitlines() if not any(told in line for told in ON_THE_WAY)]
    assert len(lines) == 1, ended.said
    assert lines[0].startswith("differentia: ")
    assert "failed:" not in lines[0], "a library's own error"
    for part in parts:
        assert part in lines[0]


# Killed ---------------------------------------------------------------------------------------------------

#: Where the first kill of each try falls, spread over the run; the first four are tried every time.
MOMENTS = (
    *("pass 1", "pass 2", "measuring", "saving", "drawing", "start"),
    *(["pass 1", "pass 2"] * 7),
    *(["measuring", "saving"] * 3),
    *("drawing", "start", "measuring", "saving"),
)
BOUNDED = 4


@pytest.mark.parametrize("nth", bounded(len(MOMENTS), BOUNDED))
@fault(
    "Killed (SIGKILL) at a random moment, and again while it continues",
    f"{SAME}; no finished chunk is written again",
)
def test_killed(nth: int, case: Case, counts: Counts, tried: Callable[[], None]) -> None:
    """At any moment, and perhaps again while it goes on: what is finished stays; the bits are the same."""
    assert len(MOMENTS) == 30
    random = np.random.default_rng([2026, nth])
    stage, share = MOMENTS[nth], float(random.random())
    views = stage == "drawing"
    while True:
        run = case.begin(views=views)
        fell = run.send_at(stage, share * case.durations[stage], signal.SIGKILL)
        if run.wait() == -signal.SIGKILL:
            break
        share /= 2  # it was faster than the undisturbed run
        shutil.rmtree(case.out)
    fallen, finished = [str(fell)], finished_chunks(case.out)
    for _ in range(random.integers(0, 3)):
        run = case.begin(views=views)
        fell = run.send_at("start", float(random.random()) * sum(case.durations.values()), signal.SIGKILL)
        if run.wait() == -signal.SIGKILL:
            fallen.append(str(fell))
        assert rewritten(finished, case.out) == []
        finished |= finished_chunks(case.out)
    case.finish(views=views)
    assert rewritten(finished, case.out) == []
    counts.kills += fallen
    counts.resumed += len(fallen)
    counts.kept += len(finished)
    tried()


@pytest.mark.parametrize("nth", bounded([4, 0, 1, 2, 3, 5, 6, 7, 8, 9], 2))
@fault("Killed when a file is written but does not have its name yet", f"{SAME}; nothing half-written stays")
def test_killed_between_writing_and_renaming(nth: int, undisturbed: Case, case: Case, tried: Any) -> None:
    """Files are whole or not there; what is in one that is not finished stays."""
    renamed = [path for path in undisturbed.store.rglob("*") if path.name == "zarr.json" or path.match("c.*")]
    run = case.begin(renames=int(np.random.default_rng([7, nth]).integers(len(renamed))), then="kill")
    assert run.wait() == -signal.SIGKILL
    finished = finished_chunks(case.out)
    case.finish()
    assert rewritten(finished, case.out) == []
    tried()


@fault("A chunk is damaged after a kill", f"{SAME}; this chunk is written again, no other")
def test_the_count_sees_what_is_written_again(case: Case, tried: Any) -> None:
    """The control of the tests above: what has to be written again is counted."""
    case.killed_at("pass 2", 0.7)
    finished = finished_chunks(case.out)
    victim = next(chunk for chunk in whole_chunks(case.out) if "/random-0." in chunk.name)
    victim.file.write_bytes(flipped(victim.file.read_bytes(), victim.start + 5))
    ended = case.finish()
    assert "has changed since it was written" in ended.said
    assert rewritten(finished, case.out) == [victim.name]
    tried()


@pytest.mark.parametrize("nth", bounded(6, 1))
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@fault("Stopped with Ctrl-C or SIGTERM", "One line says how to continue, exit code 130 or 143; the same bits")
def test_stopped(number: signal.Signals, nth: int, case: Case, tried: Any) -> None:
    """In order: the folder is free at once."""
    stage = ("pass 1", "pass 2", "measuring", "saving", "pass 1", "pass 2")[nth]
    run = case.killed_at(stage, float(np.random.default_rng([number, nth]).random()) / 2, number)
    assert run.wait() == 128 + number, run.said
    assert run.said.splitlines()[-1] == (
        "differentia: stopped; run the same command again: it goes on where it stopped"
    )
    assert "Traceback" not in run.said
    assert [name for name in leftovers(case.out) if name.startswith(".in-use")] == []
    finished = finished_chunks(case.out)
    case.finish()
    assert rewritten(finished, case.out) == []
    tried()


@pytest.mark.parametrize("number", bounded([signal.SIGKILL, signal.SIGTERM, signal.SIGINT], 1))
@fault("`python -m differentia` is killed or stopped as it records", SAME)
def test_python_m_differentia(number: signal.Signals, case: Case, tried: Any) -> None:
    """As a user starts it, from nothing; the other tests' processes have imported all before."""
    command = [sys.executable, "-W", "ignore", "-m", "differentia", *COMMAND, "out"]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command,
        cwd=case.folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )
    enough = int(np.random.default_rng(number).integers(10, 60))
    while len(finished_chunks(case.out)) < enough:
        assert process.poll() is None
    process.send_signal(number)
    said = process.communicate()[1]
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number), said
    ended = subprocess.run(command, cwd=case.folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert leftovers(case.out) == []
    assert_same_results(case.out, case.expected)
    tried()


@fault("A run's process is killed while it holds the folder", "The next run takes the folder over")
def test_a_killed_holder(case: Case, tried: Any) -> None:
    """Its lease ends with it, and is removed."""
    case.killed_at("pass 1", 0.5)
    assert list((case.out / ".in-use").iterdir()) != []
    case.finish()
    tried()


@fault(
    "A run on another computer is killed while it holds the folder",
    f"For five minutes {TOLD[0].lower()}{TOLD[1:]} 1; then the next run takes the folder over; the same bits",
)
def test_a_holder_on_another_computer_is_killed(case: Case, tried: Any) -> None:
    """Its leases are renamed to those of another machine, of whose processes nothing is known here."""
    case.killed_at("pass 1", 0.5)
    leases = list(case.out.rglob(".in-use/*"))
    assert sum("_held_" in lease.name for lease in leases) == 2, "of the folder and of the store"
    for lease in leases:
        since, kind, host, _, *process = lease.name.split("_")
        elsewhere = lease.with_name("_".join([since, kind, host, "0123456789ab", *process]))
        lease.rename(elsewhere)
    assert_told(case.run(), 1, "is in use by process ", "its hold ends 5 minutes after its last sign of life")
    for lease in case.out.rglob(".in-use/*"):
        os.utime(lease, (time.time() - STALE - 60,) * 2)
    case.finish()
    tried()


@fault("A second run into the same folder", f"{TOLD} 1, and who holds it; the first is not disturbed")
def test_two_runs_at_once(case: Case, tried: Any) -> None:
    """The second is told which process holds the folder; the first gives what it would have given."""
    first = case.begin()
    assert first.send_at("pass 1", 0.0, signal.SIGSTOP)
    second = case.folder.parent / "second"
    second.mkdir()
    out = str(case.out)
    for name in ("pictures", "w.safetensors"):
        (second / name).symlink_to(case.folder / name)
    ended = case.runner.run(second, [*COMMAND, out])
    assert_told(ended, 1, "is in use by process ", f"process {first.pid} ", "wait for it")
    os.kill(first.pid, signal.SIGCONT)
    assert first.wait() == 0
    assert_same_results(case.out, case.expected)
    assert leftovers(case.out) == []
    tried()


# The disk -------------------------------------------------------------------------------------------------


def on_a_full_disk(case: Case, when: Step) -> tuple[Ended, str]:
    """Run on a small disk that gets full, and again when there is room; return how the first ended."""
    argv = [*COMMAND, "disk/out"]
    steps: list[Step] = [{"argv": argv, **when}, {"argv": argv, "disk": "free"}]
    (full, again), disk = case.runner.run_steps(case.folder, steps, size=50_000_000)
    assert again.code == 0, again.said
    place = case.folder / ("copy" if disk == "mount" else "disk") / "out"
    assert_same_results(place, case.expected)
    assert leftovers(place) == []
    return full, disk


@pytest.mark.parametrize("share", bounded([0.6, 0.02, 0.2, 0.4, 0.8], 1))
@fault("The disk is full while responses are recorded", f"{TOLD} 1; with room, {SAME.lower()}")
def test_a_full_disk_while_recording(share: float, case: Case, counts: Counts, tried: Any) -> None:
    """A write fails in the middle of a pass; what was recorded is kept."""
    chunks = len(finished_chunks(case.expected))
    full, disk = on_a_full_disk(case, {"writes": int(share * chunks), "then": "full"})
    reason = "No space left on device" if disk == "mount" else "File too large"
    assert_told(full, 1, reason, "run the same command again", "what was recorded until now is kept")
    counts.disks.append(disk)
    tried()


@pytest.mark.parametrize("stage", bounded(["saving", "drawing"], 1))
@fault("The disk is full while results are written", f"{TOLD} 1; with room, {SAME.lower()}")
def test_a_full_disk_while_saving(stage: str, case: Case, counts: Counts, tried: Any) -> None:
    """Nothing half-written is left."""
    full, disk = on_a_full_disk(case, {"at": stage, "views": stage == "drawing"})
    assert_told(full, 1, "can't be written", "free some space" if disk == "mount" else "File too large")
    counts.disks.append(disk)
    tried()


@fault("The disk has too little room from the start", f"{TOLD} 1, before anything is recorded")
def test_a_disk_that_is_too_small(case: Case, counts: Counts, tried: Any) -> None:
    """It is known beforehand how much will be written."""
    argv = [*COMMAND, "disk/out"]
    steps: list[Step] = [{"argv": argv}, {"argv": argv, "disk": "free"}]
    (small, again), disk = case.runner.run_steps(case.folder, steps, size=300_000)
    assert_told(small, 1, " are to be written, but the disk has ", "free some space")
    assert again.code == 0, again.said
    place = case.folder / ("copy" if disk == "mount" else "disk") / "out"
    assert_same_results(place, case.expected)
    counts.disks.append(disk)
    tried()


@fault("The folder can't be written to", f"{TOLD} 2")
def test_a_read_only_folder(done: Case, counts: Counts, tried: Any) -> None:
    """Said before the network is shown anything; nothing is changed."""
    before = finished_chunks(done.out)
    (ended, report), disk = done.runner.run_steps(
        done.folder,
        [{"argv": [*COMMAND, "out"], "disk": "read-only"}, {"argv": ["report", "out"], "views": True}],
    )
    if disk == "permissions":
        for path in (done.out, *done.out.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
    assert_told(ended, 2, "out: can't be written to (", "choose another")
    assert_told(report, 2, "out: can't be written to (", "choose another")
    assert rewritten(before, done.out) == []
    counts.disks.append(disk)
    tried()


# Damage ---------------------------------------------------------------------------------------------------


def flipped(content: bytes, at: int) -> bytes:
    """Return bytes of which one is another."""
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "first": lambda content: flipped(content, 0),
    "middle": lambda content: flipped(content, len(content) // 2),
    "checksum": lambda content: flipped(content, -1),
    "cut": lambda content: content[: len(content) // 3],
    "longer": lambda content: content + b"x",
    "index": lambda content: flipped(content, -9),
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "junk": lambda content: np.random.default_rng(0).bytes(len(content)),
}


#: Those that change a byte of a chunk; the others are of its file.
WITHIN = ("first", "middle", "checksum")


@pytest.mark.parametrize("damage", bounded([*DAMAGES], 2))
@fault(
    "A file of responses is damaged",
    "Found by its checksum, with a warning; recorded again, with the same bits",
)
def test_a_damaged_chunk(damage: str, done: Case, tried: Any) -> None:
    """Of units, of moments and of what is looked at; what is whole is not written again."""
    before = finished_chunks(done.out)
    victims = [
        next(chunk for chunk in whole_chunks(done.out) if f"/{what}." in chunk.name)
        for what in ("random-0", "moments", "thumbnail")
    ]
    for chunk in victims:
        content = chunk.file.read_bytes()
        start, stop = (chunk.start, chunk.stop) if damage in WITHIN else (0, len(content))
        chunk.file.write_bytes(content[:start] + DAMAGES[damage](content[start:stop]) + content[stop:])
    lost = set(before) - {chunk.name for chunk in whole_chunks(done.out)}
    assert damage not in WITHIN or lost == {chunk.name for chunk in victims}
    ended = done.finish()
    assert all(
        f"{chunk.file.relative_to(done.folder)}: has changed since it was written" in ended.said
        for chunk in victims
    )
    assert set(rewritten(before, done.out)) == lost
    tried()


@fault("A file of responses is deleted", "Recorded again, with the same bits")
def test_a_deleted_file(done: Case, tried: Any) -> None:
    """It is missing like one that was never written."""
    before = finished_chunks(done.out)
    files = sorted({chunk.file for chunk in whole_chunks(done.out)})[::5]
    lost = {chunk.name for chunk in whole_chunks(done.out) if chunk.file in files}
    for file in files:
        file.unlink()
    done.finish()
    assert set(rewritten(before, done.out)) == lost
    tried()


@fault("The sums that units are ranked by are damaged", "Computed again, with the same bits")
def test_damaged_sums(done: Case, tried: Any) -> None:
    """All images are shown again for them; no chunk of responses is written again."""
    before = finished_chunks(done.out)
    victims = sorted(done.store.rglob("ranking*.state-*/c.*"))
    assert victims
    for victim in victims:
        victim.write_bytes(flipped(victim.read_bytes(), 50))
    done.finish()
    assert rewritten(before, done.out) == []
    tried()


#: By what it describes: where a zarr.json lies in the store.
METADATA = {
    "array": "recordings/*/layers/*/random-0.*/zarr.json",
    "batch": "recordings/*/batches/0.jsonl",
    "division": "recordings/*/divisions/0.json",
    "recording": "recordings/*/zarr.json",
    "layer": "recordings/*/layers/*/zarr.json",
    "layers": "recordings/*/layers/zarr.json",
    "batches": "recordings/*/batches/zarr.json",
    "recordings": "recordings/zarr.json",
    "sums": "recordings/*/layers/*/ranking*.state-*/zarr.json",
}
JUNK = {
    "text": b"junk",
    "nothing": b"",
    "zeros": bytes(400),
    "binary": b"\xff\xfe\x00",
    "other": b"{}",
    "list": b"[]",
    "deep": b"[" * 100_000,
    "half": b'{"zarr_format": 3, "node_type": "gr',
}
#: Each kind of metadata with some of the junk, and each junk with some of the kinds.
METADATA_AND_JUNK = [
    (what, junk)
    for some in range(3)
    for place, what in enumerate(METADATA)
    for number, junk in enumerate(JUNK)
    if (number - place) % len(JUNK) == 2 * some
]


@pytest.mark.parametrize(
    ("what", "junk"),
    bounded(METADATA_AND_JUNK, 2),
)
@fault(
    "Metadata within the store (`zarr.json`) are junk",
    "What they describe is recorded again if it can't be known; the same bits",
)
def test_damaged_metadata(what: str, junk: str, done: Case, tried: Any) -> None:
    """Of each kind that the store has but its own."""
    victim = sorted(done.store.glob(METADATA[what]))[0]
    victim.write_bytes(JUNK[junk])
    ended = done.finish()
    told = what in ("array", "division", "recording") or (what == "batch" and junk != "nothing")
    assert ("damaged" in ended.said) == told
    tried()


#: What a power failure may leave of a file that was just written; None where it is gone.
LEFT: dict[str, bytes | None] = {"empty": b"", "zeros": bytes(90), "gone": None}


@pytest.mark.parametrize("left", bounded([*LEFT], 1))
@fault(
    "The store's own `zarr.json` is empty, zeros or gone, as after a power failure",
    "Made anew, with a warning, where there is a whole recording; nothing is recorded again; the same bits",
)
def test_a_store_that_a_power_failure_left(left: str, done: Case, tried: Any) -> None:
    """Every recording in it says what it is."""
    before, content = finished_chunks(done.out), LEFT[left]
    metadata = done.store / "zarr.json"
    expected = metadata.read_bytes()
    metadata.unlink()
    if content is not None:
        metadata.write_bytes(content)
    ended = done.finish()
    assert "zarr.json: was empty or gone, as a power failure may leave it; it is made anew" in ended.said
    assert metadata.read_bytes() == expected
    assert rewritten(before, done.out) == []
    tried()


@pytest.mark.parametrize("left", bounded([*LEFT], 0))
@fault(
    "The store's own `zarr.json` and that of all recordings are empty or zeros",
    f"{TOLD} 2; nothing is removed",
)
def test_a_store_without_a_whole_recording(left: str, done: Case, tried: Any) -> None:
    """It can't be told from another's folder."""
    before = finished_chunks(done.out)
    for metadata in (done.store / "zarr.json", *done.store.glob("recordings/*/zarr.json")):
        metadata.write_bytes(LEFT[left] or b"")
    assert_told(done.run(), 2, "no store of responses, or a damaged one", "move it away")
    assert finished_chunks(done.out) == before
    tried()


@pytest.mark.parametrize("junk", bounded([junk for junk in JUNK if junk not in ("nothing", "zeros")], 1))
@fault("The store's own `zarr.json` is junk", f"{TOLD} 2; nothing is removed")
def test_damaged_metadata_of_the_store(junk: str, done: Case, tried: Any) -> None:
    """It can't be told from another's folder: it has to be moved away."""
    before = finished_chunks(done.out)
    (done.store / "zarr.json").write_bytes(JUNK[junk])
    for more in ((), ("--fresh",)):
        assert_told(done.run(*more), 2, "no store of responses, or a damaged one", "move it away")
    assert finished_chunks(done.out) == before
    tried()


@pytest.mark.parametrize("share", bounded([0.5, 0.0, 0.01, 0.9, 0.999], 1))
@fault("`result.nc` is cut off", f"`report`: {TOLD.lower()} 2; `measure` writes it anew, recording nothing")
def test_a_truncated_result(share: float, done: Case, tried: Any) -> None:
    """The numbers come from the store again."""
    before = finished_chunks(done.out)
    content = (done.out / "result.nc").read_bytes()
    (done.out / "result.nc").write_bytes(content[: int(share * len(content))])
    ended = done.runner.run(done.folder, ["report", "out"])
    assert_told(ended, 2, "out/result.nc: ")
    ended = done.finish()
    assert "all that is needed of 105 images is recorded already" in ended.said
    assert rewritten(before, done.out) == []
    tried()


@pytest.mark.parametrize("name", bounded(["result.nc", "experiment.toml", "report.html", ".made.json"], 1))
@fault(
    "A file of the output folder is zeros, as after a power failure",
    f"What reads it: {TOLD.lower()} 2; `measure` writes it anew, recording nothing",
)
def test_a_zeroed_file(name: str, done: Case, tried: Any) -> None:
    """The result, the experiment file, the report, and what says that this is as it was made."""
    before, path = finished_chunks(done.out), done.out / name
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))
    if command := {"result.nc": "report", "experiment.toml": "run"}.get(name):
        assert_told(
            done.runner.run(done.folder, [command, str(path if command == "run" else done.out)]), 2, name
        )
    done.finish(views=True)
    assert path.read_bytes().strip(b"\0")
    assert rewritten(before, done.out) == []
    tried()


@fault("A byte of `result.nc` has changed", f"`report`: {TOLD.lower()} 2; `measure` writes it anew")
def test_a_damaged_result(done: Case, tried: Any) -> None:
    """Wherever it is: the file is refused, or what it holds is what was saved."""
    path = done.out / "result.nc"
    content = path.read_bytes()
    refused = 0
    for place in np.linspace(0, len(content) - 1, 7).astype(int):
        path.write_bytes(flipped(content, int(place)))
        ended = done.runner.run(done.folder, ["report", "out"])
        if ended.code:
            assert_told(ended, 2, "out/result.nc: ")
            refused += 1
        else:
            assert_same_results(done.out, done.expected)
    assert refused >= 2
    done.finish()
    tried()


# What is in the way, and what has changed ------------------------------------------------------------------


def stranger(folder: Path) -> None:
    """Another's folder in the place of the store."""
    folder.mkdir(parents=True)
    (folder / "thesis.tex").write_text("mine")


def file_in_its_place(path: Path) -> None:
    """A file in the place of the store."""
    path.parent.mkdir(parents=True)
    path.write_text("mine")


@pytest.mark.parametrize("make", [stranger, file_in_its_place])
@fault("A folder that is no store, or a file, in the store's place", f"{TOLD} 2; nothing is removed")
def test_no_store(make: Callable[[Path], None], case: Case, tried: Any) -> None:
    """Neither read nor removed, whatever was asked for."""
    make(case.store)
    before = sorted(case.out.rglob("*"))
    for more in ((), ("--fresh",)):
        assert_told(case.run(*more), 2, "responses.zarr", "move it away")
    assert sorted(case.out.rglob("*")) == before
    tried()


@fault("Too little memory (`--memory 100kB`)", f"{TOLD} 2: what to make smaller")
def test_too_little_memory(case: Case, tried: Any) -> None:
    """Said before anything is recorded; with enough of it the run goes on."""
    assert_told(case.run("--memory", "100kB"), 2, "more than the 100 kB to spare (--memory)")
    assert finished_chunks(case.out) == {}
    case.finish()
    tried()


def changed_results(case: Case) -> Path:
    """Return what the command gives in another folder, with the same images and weights."""
    folder = case.folder.parent / "fresh"
    folder.mkdir()
    for name in ("pictures", "w.safetensors"):
        (folder / name).symlink_to(case.folder / name)
    assert case.runner.run(folder, [*COMMAND, "out"]).code == 0
    return folder / "out"


@pytest.mark.parametrize("change", bounded(["changed", "deleted", "renamed"], 1))
@fault(
    "Images are changed, deleted or renamed between two runs",
    "Only what is new is recorded; equal to a fresh run (within 1e-5: its batches differ)",
)
def test_images_change(change: str, done: Case, tried: Any) -> None:
    """Images are known by their content."""
    before = finished_chunks(done.out)
    victim = done.folder / "pictures" / "04.png"
    if change == "changed":
        PIL.Image.fromarray(255 - PICTURES[4]).save(victim)
    elif change == "deleted":
        victim.unlink()
    else:
        victim.rename(victim.with_name("99.png"))
    ended = done.run()
    assert ended.code == 0, ended.said
    assert_same_results(done.out, changed_results(done), rtol=1e-5)
    if change == "renamed":
        assert rewritten(before, done.out) == []
        assert set(finished_chunks(done.out)) == set(before)
    with pytest.raises(AssertionError):
        assert_same_results(done.out, done.expected, rtol=1e-5)
    tried()


@fault(
    "The network's weights change between two runs",
    "A warning says so; everything is recorded anew, as by a fresh run",
)
def test_weights_change(done: Case, tried: Any) -> None:
    """Nothing of the old weights is used, or removed."""
    before = finished_chunks(done.out)
    module = factory()
    module.conv.weight.data[0, 0, 0, 0] += 1
    save_file(module.state_dict(), done.folder / "w.safetensors")
    ended = done.run()
    assert ended.code == 0, ended.said
    assert "recorded with another network" in ended.said
    assert_same_results(done.out, changed_results(done))
    assert rewritten(before, done.out) == []
    with pytest.raises(AssertionError):
        assert_same_results(done.out, done.expected, rtol=1e-5)
    tried()


@fault(
    "Another `--batch-size` when a run continues", "The first is kept, and a message says so; the same bits"
)
def test_another_batch_size(case: Case, tried: Any) -> None:
    """Batches are fixed by the first run, once it has recorded something."""
    case.killed_with(chunks=10)
    finished = finished_chunks(case.out)
    ended = case.run("--batch-size", "7")
    assert ended.code == 0, ended.said
    assert "goes on in batches of 18 images" in ended.said
    assert_same_results(case.out, case.expected)
    assert rewritten(finished, case.out) == []
    tried()


@fault("Unfinished files that a killed run has left", "Removed by the next run")
def test_left_by_a_killed_run(case: Case, tried: Any) -> None:
    """Of the store, of the result and of the other files, wherever the kill fell."""
    case.killed_at("saving", 0.0)
    store = case.store / "recordings"
    array = sorted(store.rglob("random-0.*/zarr.json"))[0].parent
    (array / "c.9.9.partial").write_bytes(b"half")
    for writer in (NOBODY, "vm_0123456789ab_7_456"):
        log = array / f"c.0.0.{writer}.01234567.partial"
        log.write_bytes(RNG.bytes(5000))
        os.utime(log, (time.time() - STALE - 60,) * 2)
    (array / "zarr.json.partial").write_bytes(b"{")
    (store / "zarr.json.partial").write_bytes(b"{")
    case.finish()
    tried()


# The page -------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One of the page's table."""

    fault: str
    tries: str
    outcome: str


@pytest.mark.page
def test_the_page_names_these_faults() -> None:
    """All of them, as they end, in their order; ``make soak`` writes it anew, with its counts."""
    page = (DOCS / "reliability.md").read_text(encoding="utf-8")
    rows = [
        Row(*(cell.strip() for cell in line.strip("|").split("|")))
        for line in page.partition("## Runs drawn at random")[0].splitlines()
        if line.startswith("|")
    ][2:]
    assert {row.fault: row.outcome for row in rows} == ROWS.outcomes
    assert [row.fault for row in rows] == [*ROWS.outcomes]
    assert all(int(row.tries) >= 1 for row in rows)
    assert int(rows[0].tries) == len(MOMENTS) == 30


def test_the_page_is_written_from_the_counts() -> None:
    """Each fault has its row; one that was not tried is an error."""
    writes, tries = script("write_reliability"), script("tries")
    table = tries.Table("", ROWS.outcomes, Counter(dict.fromkeys(ROWS.outcomes, 3)))
    table.more = {**vars(Counts()), "kills": ["pass 1", "pass 1", "saving"]}
    page = writes.page(table)
    assert page.count(" | 3 | ") == len(ROWS.outcomes)
    assert "pass 1 (2)" in page
    table.tries[next(iter(ROWS.outcomes))] = 0
    with pytest.raises(SystemExit, match="was not tried"):
        writes.page(table)


# Parts ----------------------------------------------------------------------------------------------------

#: In which order three parts are run, twice each: units are ranked after the first round.
ORDERS = ((2, 3, 1), (1, 2, 3), (3, 2, 1), (3, 1, 2), (2, 1, 3), (1, 3, 2))


@pytest.mark.parametrize("nth", bounded(len(ORDERS), 1))
@fault(
    "A part (`--part 2/3`) is killed at a random moment, and run again; another is run twice",
    "In any order of parts: the same bits; no finished chunk is written again",
)
def test_parts_are_killed_and_run_twice(nth: int, case: Case, tried: Any) -> None:
    """In both rounds; a part that has done the first is told which others have not."""
    order, random = ORDERS[nth], np.random.default_rng([323, nth])
    finished: Written = {}
    for which in (1, 2):
        victim, twice = random.permutation(order)[:2]
        for number in order:
            argv = [*COMMAND, "out", "--part", f"{number}/3"]
            if number == victim:
                run = case.runner.begin(case.folder, argv)
                run.send_at(
                    "pass 1", float(random.random()) * case.durations[f"pass {which}"] / 3, signal.SIGKILL
                )
                run.wait()
                assert rewritten(finished, case.out) == []
                finished |= finished_chunks(case.out)
            said = [case.runner.run(case.folder, argv) for _ in range(1 + (number == twice))]
            for one in said:
                assert one.code == 0 or "yet to do so" in one.said, one
                assert "Traceback" not in one.said
            assert rewritten(finished, case.out) == []
            finished |= finished_chunks(case.out)
    assert "all that is needed of 105 images is recorded already" in case.finish().said
    assert rewritten(finished, case.out) == []
    tried()


@fault("Two parts at once, and a run of all meanwhile", f"{TOLD} 1, for the run of all; the same bits")
def test_parts_at_once(case: Case, tried: Any) -> None:
    """Parts share the folder, each its own shards; who wants all of it is told which part holds it."""
    first, second, third = (case.folder.parent / name for name in ("first", "second", "third"))
    for folder in (first, second, third):
        folder.mkdir()
        for name in ("pictures", "w.safetensors"):
            (folder / name).symlink_to(case.folder / name)
    out = str(case.out)
    for _ in range(2):
        runs = [
            case.runner.begin(folder, [*COMMAND, out, "--part", f"{number}/2"])
            for number, folder in ((1, first), (2, second))
        ]
        assert runs[0].send_at("pass 1", 0.0, signal.SIGSTOP)
        refused = case.runner.run(third, [*COMMAND, out])
        assert_told(refused, 1, "is in use by process ", "part 1 of 2")
        os.kill(runs[0].pid, signal.SIGCONT)
        assert [run.wait() for run in runs] == [0, 0], [run.said for run in runs]
    before = {chunk.name for chunk in whole_chunks(case.out)}
    ended = case.finish()
    assert "all that is needed of 105 images is recorded already" in ended.said
    assert {chunk.name for chunk in whole_chunks(case.out)} == before
    tried()


# A cluster ------------------------------------------------------------------------------------------------

#: What workers record, batch by batch, slowly enough to be killed meanwhile.
ON_A_CLUSTER = (
    *("measure", "helpers.cluster_tasks:slow", "--preprocess", "unit", "--input-size", "16"),
    *("--set", "noise=noise:50", "--set", "pictures=pictures", "--layers", "conv,head", "--n-units", "50"),
    *("--draws", "2", "--batch-size", "4", "--out", "out"),
)


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of it."""
    folder = prepare(tmp_path_factory.mktemp("alone"))
    with lab_cluster(folder) as lab:
        run = ended(lab.begin(command, *ON_A_CLUSTER, log="said"))
    assert run.code == 0, run.said
    return folder / "out"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabCluster]:
    """A scheduler, and no worker yet."""
    with lab_cluster(prepare(tmp_path / "lab")) as lab:
        lab.scheduler()
        yield lab


def batches(lab: LabCluster) -> int:
    """Return how many batches are kept."""
    files = lab.folder.glob("out/responses.zarr/recordings/*/batches/*.jsonl")
    return sum(len(file.read_text().splitlines()) for file in files)


def finish(lab: LabCluster, run: Any, alone: Path) -> Ended:
    """Wait for the end of a command, and assert that it gave what one process gives, and left nothing."""
    done = ended(run)
    assert done.code == 0, done.said
    assert "Traceback" not in done.said
    assert leftovers(lab.folder / "out") == []
    assert_same_results(lab.folder / "out", alone)
    return done


def written_again(lab: LabCluster, before: Written) -> list[str]:
    """Return the chunks that some worker wrote though they were whole before."""
    assert sum(finished_chunks(lab.folder / "out").values()), "the workers keep no list"
    return rewritten(before, lab.folder / "out")


@pytest.mark.parametrize("nth", bounded(10, 1))
@fault(
    "One of two workers of a cluster is killed at a random moment",
    "The others go on; the same bits; no finished chunk is written again",
)
def test_a_worker_is_killed(nth: int, lab: LabCluster, alone: Path, tried: Any) -> None:
    """What it was doing is done again, by another that comes later, or by the one that is left."""
    random = np.random.default_rng([23, nth])
    workers = [lab.worker(), lab.worker()]
    run = lab.command(*ON_A_CLUSTER)
    kept = int(random.integers(1, 15))
    wait_for(lambda: batches(lab) >= kept)
    time.sleep(float(random.random()) / 5)
    kill(workers[0])
    before = finished_chunks(lab.folder / "out")
    if nth % 2:
        lab.worker()
    finish(lab, run, alone)
    assert written_again(lab, before) == []
    tried()


@pytest.mark.parametrize("nth", bounded(3, 0))
@fault(
    "All workers of a cluster are killed",
    "The command waits for others, and goes on; the same bits; no finished chunk is written again",
)
def test_all_workers_are_killed(nth: int, lab: LabCluster, alone: Path, tried: Any) -> None:
    workers = [lab.worker(), lab.worker()]
    run = lab.command(*ON_A_CLUSTER)
    wait_for(lambda: batches(lab) > 3 * nth)
    for worker in workers:
        kill(worker)
    before = finished_chunks(lab.folder / "out")
    time.sleep(1)
    assert run.is_alive()
    lab.worker()
    assert "gone (tcp://" in finish(lab, run, alone).said
    assert written_again(lab, before) == []
    tried()


@pytest.mark.parametrize("nth", bounded(3, 0))
@fault("The scheduler of a cluster is killed", f"{TOLD} 1; {SAME[0].lower()}{SAME[1:]}")
def test_the_scheduler_is_killed(nth: int, lab: LabCluster, alone: Path, tried: Any) -> None:
    """The worker ends what it is doing; what it kept until then is not recorded again."""
    lab.worker()
    run = lab.command(*ON_A_CLUSTER)
    wait_for(lambda: batches(lab) > 3 * nth)
    kill(lab.began[0])
    before = finished_chunks(lab.folder / "out")
    assert_told(
        ended(run), 1, "the scheduler at tcp://", "is gone", "run the same command again when it is back"
    )
    assert batches(lab)
    lab.scheduler()
    lab.worker()
    finish(lab, lab.command(*ON_A_CLUSTER), alone)
    assert written_again(lab, before) == []
    tried()


@pytest.mark.parametrize("number", bounded([signal.SIGKILL, signal.SIGTERM, signal.SIGINT], 1))
@fault("The command that uses a cluster is killed or stopped", SAME)
def test_the_client_is_killed(number: signal.Signals, lab: LabCluster, alone: Path, tried: Any) -> None:
    """The workers end what they are doing, and no more of it; then they do the next."""
    lab.worker()
    run = lab.command(*ON_A_CLUSTER)
    wait_for(lambda: batches(lab) > 2)
    stopped = kill(run, number)
    before = finished_chunks(lab.folder / "out")
    assert stopped.code == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in stopped.said
    finish(lab, lab.command(*ON_A_CLUSTER), alone)
    assert written_again(lab, before) == []
    tried()


@pytest.mark.soak
@fault(
    "The command that uses a cluster is killed while a worker does a task for long",
    f"Until that ends, {TOLD[0].lower()}{TOLD[1:]} 1, and who holds the folder; then {SAME.lower()}",
)
def test_the_client_is_killed_during_a_long_task(lab: LabCluster, alone: Path, tried: Any) -> None:
    """Nobody can stop a worker within a task, but for a signal to the worker."""
    worker = lab.worker(SECONDS="2")
    run = lab.command(*ON_A_CLUSTER)
    wait_for(lambda: batches(lab) > 1)
    kill(run)
    before = finished_chunks(lab.folder / "out")
    assert_told(ended(lab.command(*ON_A_CLUSTER)), 1, "is in use by process", f"{worker.pid}")
    kill(worker)
    lab.worker()
    finish(lab, lab.command(*ON_A_CLUSTER), alone)
    assert written_again(lab, before) == []
    tried()


@pytest.mark.parametrize("number", bounded([signal.SIGTERM, signal.SIGKILL, signal.SIGINT], 0))
@fault(
    "A command with workers of its own (`--workers 2`) is killed or stopped",
    f"{SAME}; no process stays, and no finished chunk is written again",
)
def test_a_command_with_workers_is_killed(
    number: signal.Signals, tmp_path: Path, alone: Path, tried: Any
) -> None:
    """Its workers end with it, whatever it was sent; Ctrl-C is sent to them, too."""
    arguments = (*ON_A_CLUSTER, "--workers", "2")
    with lab_cluster(prepare(tmp_path / "lab")) as lab:
        run = lab.begin(command, *arguments, log="first", TMPDIR=str(lab.folder))
        wait_for(lambda: batches(lab) > 2)
        stopped = kill(run, number, group=number == signal.SIGINT)
        wait_for(lambda: not lab.processes())
        if number != signal.SIGKILL:
            assert_told(stopped, 128 + number, "stopped; run the same command again")
            assert list(lab.folder.glob("differentia-*")) == [], "what workers put beside"
        before = finished_chunks(lab.folder / "out")
        assert len(before) > 2
        finish(lab, lab.begin(command, *arguments, log="second"), alone)
        assert set(finished_chunks(lab.folder / "out")) > set(before)
    tried()


@pytest.mark.soak
@fault(
    "A worker's disk is full",
    "Others do what it could not; the same bits; no finished chunk is written again",
)
def test_a_full_disk_on_one_worker(lab: LabCluster, alone: Path, tried: Any) -> None:
    """It fails at once, and is free again before the others: still it does not fail all tasks."""
    lab.worker(FULL_AFTER="4")
    lab.worker()
    said = finish(lab, lab.command(*ON_A_CLUSTER), alone).said
    assert "is done again: StorageError: " in said or "File too large" in said
    assert max(finished_chunks(lab.folder / "out").values()) == 1, "the full one's own list is cut off"
    tried()


@fault("A worker of a cluster has other weights", f"{TOLD} 2, with the worker's host; nothing of it is kept")
def test_a_worker_with_other_weights(lab: LabCluster, tried: Any) -> None:
    lab.worker(OTHER_WEIGHTS="1")
    told = ended(lab.command(*ON_A_CLUSTER))
    assert_told(told, 2, "differs on the worker's host", "in its network", "numbers of both can't be mixed")
    assert batches(lab) == 0
    assert finished_chunks(lab.folder / "out") == {}
    tried()


@fault(
    "A worker of a cluster has another version of PyTorch",
    f"{TOLD} 2, with the worker's host; nothing of it is kept",
)
def test_a_worker_with_another_version(lab: LabCluster, tried: Any) -> None:
    other = lab.folder / "other" / "torch-9.9.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9.9\n")
    lab.worker(FIRST=str(other.parent))
    told = ended(lab.command(*ON_A_CLUSTER))
    assert_told(
        told, 2, "differs on the worker's host", "in its engine", "9.9.9", "numbers of both can't be mixed"
    )
    assert batches(lab) == 0
    tried()


@pytest.mark.soak
@fault("Workers of a cluster have too little memory", f"{TOLD} 1, with the task that they died of")
def test_workers_with_too_little_memory(lab: LabCluster, tried: Any) -> None:
    """Each is ended by its nanny when it is over its limit, and begun again."""
    lab.worker("--nanny", "--memory-limit", "2GB", HUNGRY="1")
    told = ended(lab.command(*ON_A_CLUSTER))
    assert told.code == 1, told.said
    last = told.said.splitlines()[-1]
    assert last.startswith("differentia: given up: ")
    assert "each worker that did it died; has it too little memory?" in last
    tried()


@pytest.mark.soak
@fault("Two commands use a cluster for one folder", f"{TOLD} 1; the first goes on; the same bits")
def test_two_clients(lab: LabCluster, alone: Path, tried: Any) -> None:
    lab.worker(SECONDS="0.7")
    runs = sorted([lab.command(*ON_A_CLUSTER), lab.command(*ON_A_CLUSTER)], key=lambda run: ended(run).code)
    finish(lab, runs[0], alone)
    assert_told(ended(runs[1]), 1, "is in use by process", "wait for it")
    assert set(finished_chunks(lab.folder / "out").values()) == {1}
    tried()
