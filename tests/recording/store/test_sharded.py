"""Shards of an array: nothing that is whole is lost, whatever happens to a file or its writer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from helpers.stores import COLUMNS, SIZES, chunks, fill, opened, places, promise, values_of

from differentia.recording.store.base import Quantity
from differentia.recording.store.disk import DiskStore
from differentia.recording.store.shards import HEADER_BYTES
from differentia.system.locking import this_process

UNITS = Quantity("conv", "random-0", 0, COLUMNS)
WHOLE = np.concatenate([values_of(number) for number in range(len(SIZES))])


def lacking(store: DiskStore) -> list[int]:
    """Return the batches of which something is missing, after a look at what is kept."""
    for batch in store.batches:
        store.repair(UNITS, batch)
    return [batch.number for batch in store.batches if store.missing(UNITS, batch)]


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in chunks(path)}


def assert_whole(path: Path) -> None:
    """Assert that all is there, for us and for Zarr, in two files that are finished."""
    store = opened(path)
    assert lacking(store) == []
    assert store.take_notes() == []
    np.testing.assert_array_equal(store.matrix(UNITS, places(store.batches))[:, :], WHOLE)
    assert [file.name for file in chunks(path)] == ["c.0.0", "c.1.0"]
    array: Any = zarr.open_array(chunks(path)[0].parent, mode="r")
    for number, size in enumerate(SIZES):
        np.testing.assert_array_equal(array[32 * number : 32 * number + size], values_of(number))


def flipped(content: bytes, *at: int) -> bytes:
    changed = bytearray(content)
    for place in at:
        changed[place] ^= 1
    return bytes(changed)


#: By what is done to a shard with batches 2 and 3, of 32 images and 1: what is missing then.
DAMAGES: dict[str, tuple[Any, list[int]]] = {
    "a chunk": (lambda content: flipped(content, 1000), [2]),
    "the last chunk": (lambda content: flipped(content, -200), [3]),
    "a header": (lambda content: flipped(content, 4), [2]),
    "the index": (lambda content: flipped(content, -20), []),
    "the index and a chunk": (lambda content: flipped(content, -20, 1000), [2]),
    "the index and a header": (lambda content: flipped(content, -20, 4), [2]),
    "cut off in its index": (lambda content: content[:-1], []),
    "cut off in the last chunk": (lambda content: content[:-400], [3]),
    "cut in half": (lambda content: content[: len(content) // 2], [2, 3]),
    "longer": (lambda content: content + b"x", []),
    "empty": (lambda content: b"", [2, 3]),
    "zeros": (lambda content: bytes(len(content)), [2, 3]),
    "junk": (lambda content: np.random.default_rng(0).bytes(len(content)), [2, 3]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard(damage: str, tmp_path: Path) -> None:
    """What is whole is kept, what is not is asked for again; afterwards there is nothing more than before."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    other, victim = chunks(path)
    before = contents(path)
    change, expected = DAMAGES[damage]
    victim.write_bytes(change(before[victim.name]))
    store = opened(path)
    assert lacking(store) == expected
    notes = store.take_notes()
    assert (notes == []) == (victim.read_bytes()[-5000:] == before[victim.name][-5000:] and not expected)
    assert all(str(victim) in note and "has changed since it was written" in note for note in notes)
    assert any("is recorded again for 3" in note for note in notes) == (
        damage in ("a chunk", "a header", "the index and a chunk")
    )
    for number in expected:
        store.write(UNITS, store.batches[number], values_of(number))
    store.finish()
    assert_whole(path)
    assert contents(path)[other.name] == before[other.name]
    assert len(contents(path)[victim.name]) <= len(before[victim.name])


def test_repairs_do_not_make_it_grow(tmp_path: Path) -> None:
    """A shard that is damaged again and again has the bytes that it had."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    victim = chunks(path)[0]
    size = victim.stat().st_size
    for at in (1000, size // 2, -20, 1000):
        victim.write_bytes(flipped(victim.read_bytes(), at))
        store = opened(path)
        for number in lacking(store):
            store.write(UNITS, store.batches[number], values_of(number))
        store.finish()
        assert victim.stat().st_size == size
        assert len(chunks(path)) == 2
    assert_whole(path)


@pytest.mark.parametrize("kind", ["pipe", "link", "gone"])
def test_no_file_at_all(kind: str, tmp_path: Path) -> None:
    """A pipe that is in its place by now is not waited for, and a link is not followed."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    store = opened(path)
    victim = chunks(path)[1]
    victim.rename(tmp_path / "outside")
    content = (tmp_path / "outside").read_bytes()
    if kind == "pipe":
        os.mkfifo(victim)
    elif kind == "link":
        victim.symlink_to(tmp_path / "outside")
    assert lacking(store) == [2, 3]
    assert len(store.take_notes()) == (kind != "gone")
    for number in (2, 3):
        store.write(UNITS, store.batches[number], values_of(number))
    store.finish()
    assert_whole(path)
    assert (tmp_path / "outside").read_bytes() == content


KILLED = """
import os, sys
from pathlib import Path
from helpers.stores import *
store = opened(Path(sys.argv[1]))
promise(store, SIZES)
store.add_batch(0, "a", [f"0/{row}" for row in range(32)])
store.add_batch(1, "a", [f"1/{row}" for row in range(11)])
for number in range(2):
    store.write(Quantity("conv", "random-0", 0, COLUMNS), store.batches[number], values_of(number))
print("written", flush=True)
sys.stdin.read()
os._exit(9)
"""


def begun_elsewhere(path: Path) -> subprocess.Popen[str]:
    """Return a process that has written two batches, and waits."""
    code = [sys.executable, "-c", KILLED, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate()
    assert process.returncode == 9


def test_what_a_killed_process_wrote_is_kept(tmp_path: Path) -> None:
    """Its chunks are there, but for one that is torn; they become a part of the shard, and its log goes."""
    path = tmp_path / "s.zarr"
    end(begun_elsewhere(path))
    (log,) = chunks(path)
    whole = log.read_bytes()
    log.write_bytes(whole[:-10])
    store = opened(path)
    assert lacking(store) == [1]
    assert store.take_notes() == []
    store.write(UNITS, store.batches[1], values_of(1))
    (own,) = set(chunks(path)) - {log}
    assert own.stat().st_size < len(whole) / 4, "only what was missing is written again"
    assert log.read_bytes() == whole[:-10], "nobody writes into another's file"
    for number in (2, 3):
        batch = store.add_batch(number, "a", [f"{number}/{row}" for row in range(SIZES[number])])
        store.write(UNITS, batch, values_of(number))
    store.finish()
    assert_whole(path)


def test_a_log_that_has_nothing_new_goes(tmp_path: Path) -> None:
    """A process was killed after the shard got its name: that is not written again."""
    path = tmp_path / "s.zarr"
    process = begun_elsewhere(path)
    (log,) = chunks(path)
    content = log.read_bytes()
    end(process)
    opened_again = opened(path)
    assert lacking(opened_again) == []
    opened_again.finish()
    (shard,) = chunks(path)
    before = shard.stat()
    log.write_bytes(content)
    later = opened(path)
    assert lacking(later) == []
    later.finish()
    assert chunks(path) == [shard]
    assert (shard.stat().st_ino, shard.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_damage_in_what_was_left(tmp_path: Path) -> None:
    """A chunk that is not what was written is not taken over."""
    path = tmp_path / "s.zarr"
    end(begun_elsewhere(path))
    (log,) = chunks(path)
    log.write_bytes(flipped(log.read_bytes(), HEADER_BYTES + 5))
    store = opened(path)
    assert lacking(store) == [0]
    (note,) = store.take_notes()
    assert "is recorded again for 32 images" in note
    store.finish()
    again = opened(path)
    assert [file.name for file in chunks(path)] == ["c.0.0"]
    assert lacking(again) == [0]
    assert again.take_notes() == []


def test_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    """What it writes is its own; two that record the same end in the same, and nothing is left over."""
    path = tmp_path / "s.zarr"
    process = begun_elsewhere(path)
    (log,) = chunks(path)
    before = log.read_bytes()
    store = opened(path)
    assert lacking(store) == [0, 1]
    for number in (0, 1):
        store.write(UNITS, store.batches[number], values_of(number))
    store.finish()
    assert log.read_bytes() == before
    end(process)
    late = opened(path)
    assert lacking(late) == []
    late.finish()
    assert not log.exists()
    np.testing.assert_array_equal(late.matrix(UNITS, places(late.batches))[:, :], WHOLE[:43])


def test_what_a_run_of_this_process_left(tmp_path: Path) -> None:
    """One that was stopped, of which a traceback may keep the store: the next goes on with what it wrote."""
    path = tmp_path / "s.zarr"
    stopped = opened(path)
    for number in promise(stopped, SIZES[:2]):
        stopped.add_batch(number, "a", [f"{number}/{row}" for row in range(SIZES[number])])
    stopped.write(UNITS, stopped.batches[0], values_of(0))
    assert lacking(opened(path)) == [0, 1], "it may go on"
    stopped.close()
    later = opened(path)
    assert lacking(later) == [1]
    later.finish()
    assert [file.name for file in chunks(path)] == ["c.0.0"]


def test_what_another_finished_meanwhile_is_kept(tmp_path: Path) -> None:
    """Two finish the same shard, each with a chunk that the other does not have."""
    path = tmp_path / "s.zarr"
    first = opened(path)
    for number in promise(first, SIZES[:2]):
        first.add_batch(number, "a", [f"{number}/{row}" for row in range(SIZES[number])])
    second = opened(path)
    for store, number in ((first, 0), (second, 1)):
        assert lacking(store) == [0, 1]
        store.write(UNITS, store.batches[number], values_of(number))
    first.finish()
    second.finish()
    assert lacking(opened(path)) == []


def test_rows_of_a_batch_that_was_lost_are_no_others(tmp_path: Path) -> None:
    """They are gone before the batch is there again, so that no kill can bring them back."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    file = next(path.rglob("1.jsonl"))
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0])
    store = opened(path)
    batch = store.add_batch(3, "a", ["changed"])
    assert store.missing(UNITS, batch) == UNITS
    for again in (opened(path), opened(path)):
        assert lacking(again) == [3]
    np.testing.assert_array_equal(store.matrix(UNITS, places(store.batches[:3]))[:, :], WHOLE[:75])


def test_junk_beside_a_shard(tmp_path: Path) -> None:
    """Unfinished files that tell no writer are removed; of a dead one what is whole is taken first."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    folder = chunks(path)[0].parent
    dead = this_process().replace(f"_{os.getpid()}_", "_1_")
    for name in ("c.7.7.partial", "c.0.0.partial", "zarr.json.partial", f"c.0.0.{dead}.0123abcd.partial"):
        (folder / name).write_bytes(b"half")
    store = opened(path)
    assert lacking(store) == []
    assert store.take_notes() == []
    store.finish()
    assert sorted(file.name for file in folder.iterdir()) == ["c.0.0", "c.1.0", "zarr.json"]
    assert_whole(path)
