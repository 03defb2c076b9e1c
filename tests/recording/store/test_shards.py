"""One file of chunks: Zarr finds them by the index, we also by what stands before each of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from differentia.recording.store import shards, writers
from differentia.recording.store.shards import HEADER_BYTES, Log, Shape, Source, chunks_of, read_index, scan
from differentia.system.regular import opened

SHAPE = Shape(down=3, across=2, most=100, name=b"conv")
FIRST = 6  # the row of chunks that a shard begins with
RNG = np.random.default_rng(0)
CHUNKS = {(0, 0): RNG.bytes(100), (0, 1): RNG.bytes(1), (2, 0): shards.MAGIC * 20, (1, 1): RNG.bytes(77)}


def written(path: Path) -> Log:
    log = Log(path, SHAPE, FIRST)
    for place, content in CHUNKS.items():
        log.append(*place, [content[:40], np.frombuffer(content[40:], np.uint8)])
    return log


def found(path: Path, places: shards.Index | None, first: int = FIRST) -> dict[tuple[int, int], bytes]:
    """Return what lies at places in a file."""
    assert places is not None
    everything = np.ones((SHAPE.down, SHAPE.across), bool)
    return {at: bytes(content) for at, content in chunks_of(Source(path, places), everything, SHAPE, first)}


def by_headers(path: Path) -> dict[tuple[int, int], bytes]:
    with opened(path) as file:
        assert file is not None
        return found(path, scan(file, SHAPE, FIRST))


def by_index(path: Path, first: int = FIRST) -> dict[tuple[int, int], bytes] | None:
    with opened(path) as file:
        assert file is not None
        places = read_index(file, SHAPE)
    return None if places is None else found(path, places, first)


def test_a_log_becomes_a_shard(tmp_path: Path) -> None:
    """Before, its chunks are found by their headers; then by the index, as Zarr reads it, too."""
    target = tmp_path / "c.2.0"
    log = written(target)
    assert by_headers(log.path) == CHUNKS
    assert not target.exists()
    log.finish([], lambda content: True)
    assert [path.name for path in tmp_path.iterdir()] == ["c.2.0"]
    assert by_index(target) == by_headers(target) == CHUNKS
    entries = np.frombuffer(target.read_bytes()[-SHAPE.index_bytes : -4], "<u8").reshape(3, 2, 2)
    assert (entries[1, 0] == 2**64 - 1).all(), "there is none"
    begin, length = map(int, entries[0, 1])
    assert target.read_bytes()[begin : begin + length] == CHUNKS[0, 1]


@pytest.mark.parametrize("left", [0, 10, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 76])
def test_a_chunk_that_was_not_finished_is_none(left: int, tmp_path: Path) -> None:
    """However much of it went to the disk; what came before it is there."""
    log = written(tmp_path / "c.2.0")
    content = log.path.read_bytes()
    log.path.write_bytes(content[: len(content) - HEADER_BYTES - 77 + left])
    assert by_headers(log.path) == {place: CHUNKS[place] for place in [(0, 0), (0, 1), (2, 0)]}


def test_a_file_in_the_place_of_another(tmp_path: Path) -> None:
    """Whole as it is, it has none of the chunks of another array, or of other rows."""
    target = tmp_path / "c.2.0"
    written(target).finish([], lambda content: True)
    with opened(target) as file:
        assert file is not None
        places = read_index(file, SHAPE)
        assert (scan(file, SHAPE._replace(name=b"head"), FIRST) == shards.NONE).all()
    assert found(target, places) == CHUNKS
    assert found(target, places, FIRST + SHAPE.down) == {}
    everything = np.ones((SHAPE.down, SHAPE.across), bool)
    assert places is not None
    assert not list(chunks_of(Source(target, places), everything, SHAPE._replace(name=b"head"), FIRST))


def test_a_damaged_header_loses_its_chunk_only(tmp_path: Path) -> None:
    """The next header is searched for, and what only looks like one is none."""
    log = written(tmp_path / "c.2.0")
    content = bytearray(log.path.read_bytes())
    content[HEADER_BYTES + 100 + 5] ^= 1  # in that of the second chunk
    log.path.write_bytes(content)
    assert by_headers(log.path) == {place: CHUNKS[place] for place in [(0, 0), (2, 0), (1, 1)]}


@pytest.mark.parametrize("at", [-1, -10, -SHAPE.index_bytes])
def test_a_damaged_index_is_none(at: int, tmp_path: Path) -> None:
    """It has a checksum; the headers say where the chunks are."""
    target = tmp_path / "c.2.0"
    written(target).finish([], lambda content: True)
    content = bytearray(target.read_bytes())
    content[at] ^= 1
    target.write_bytes(content)
    assert by_index(target) is None
    assert by_headers(target) == CHUNKS


@pytest.mark.parametrize("entry", [(0, 101), (2**63, 2**63), (2**64 - 2, 3), (10**6, 1)])
def test_an_index_that_leads_out_of_the_file_is_none(entry: tuple[int, int], tmp_path: Path) -> None:
    """Though its checksum is right: a stranger can make one. One that stays within is believed."""
    target = tmp_path / "c.2.0"
    written(target).finish([], lambda content: True)
    content = target.read_bytes()[: -SHAPE.index_bytes]

    def with_first(begin: int, length: int) -> dict[tuple[int, int], bytes] | None:
        places = SHAPE.nothing()
        places[0, 0] = begin, length
        index = places.astype("<u8").tobytes()
        target.write_bytes(content + index + shards.crc32c(index))
        return by_index(target)

    assert with_first(*entry) is None
    assert with_first(HEADER_BYTES, 100) == {(0, 0): CHUNKS[0, 0]}


def test_what_others_left_is_taken_over(tmp_path: Path) -> None:
    """Its whole chunks are copied, not those that are here already or damaged; it stays as it is."""
    target = tmp_path / "c.2.0"
    other = written(target)
    before = other.path.read_bytes()
    own = Log(target, SHAPE, FIRST)
    own.append(0, 0, [b"mine"])
    own.finish([other.source], lambda content: bytes(content) != CHUNKS[1, 1])
    assert other.path.read_bytes() == before
    expected = {(0, 0): b"mine", **{place: CHUNKS[place] for place in [(0, 1), (2, 0)]}}
    assert by_index(target) == expected


def test_a_write_that_fails_leaves_no_chunk(tmp_path: Path) -> None:
    """On a full disk, say: what is written afterwards takes its place."""
    log = written(tmp_path / "c.2.0")

    class Full:
        def __init__(self, file: object) -> None:
            self.file = file

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

        def writelines(self, parts: list[bytes]) -> None:
            self.file.write(parts[0])  # type: ignore[attr-defined]
            raise OSError(28, "No space left on device")

    log._file = Full(log._file)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space"):
        log.append(2, 1, [bytes(50)])
    assert by_headers(log.path) == CHUNKS
    assert not log.source.has(2, 1)
    log.append(2, 1, [b"x"])
    assert by_headers(log.path) == {**CHUNKS, (2, 1): b"x"}
    log.finish([], lambda content: True)
    assert by_index(tmp_path / "c.2.0") == {**CHUNKS, (2, 1): b"x"}


def test_many_logs_take_few_files(tmp_path: Path) -> None:
    """A network of 500 layers writes to as many logs in turn: what was closed is opened again."""
    logs = [Log(tmp_path / f"c.{number}.0", SHAPE, 3 * number) for number in range(3 * shards.MOST_OPEN)]
    before = len(os.listdir("/proc/self/fd"))
    for place in ((0, 0), (2, 1)):
        for log in logs:
            log.append(*place, [bytes([place[0]])])
    assert len(os.listdir("/proc/self/fd")) - before <= shards.MOST_OPEN
    for number, log in enumerate(logs):
        log.finish([], lambda content: True)
        assert by_index(log.target, 3 * number) == {(0, 0): b"\0", (2, 1): b"\2"}
    assert len(os.listdir("/proc/self/fd")) == before


def test_whose_log_it_is(tmp_path: Path) -> None:
    """Nobody's is one of this process whose task failed, or of a dead process; not one that is written to."""
    log = written(tmp_path / "c.2.0")
    path = log.path
    assert not shards.is_left(path)
    del log
    assert shards.is_left(path)
    gone = path.with_name(path.name.replace(f"_{os.getpid()}_", "_1_"))
    assert writers.writer_of(gone)
    assert shards.is_left(gone)
