"""One file with many chunks of an array: Zarr's ``sharding_indexed``, with the index at its end.

While it is written it is a log that says itself what it holds: each chunk stands behind a small header, in
the gaps that Zarr's index allows. The log has the name of its writer, and nobody else writes to it; with its
index it gets the shard's name, in place of the shard that was there. So a shard is never changed in place,
and where a process or an index is lost, the headers tell what there is. Their checksum is of the array's name
too: a file in the place of another, whole as it may be, has none of its chunks.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from io import BufferedRandom, FileIO
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakSet, WeakValueDictionary

import google_crc32c
import numpy as np
from jaxtyping import UInt64

from differentia.recording.store import writers
from differentia.system.locking import this_process
from differentia.system.regular import opened, read_at
from differentia.system.turns import lock

#: Bytes of a checksum (CRC32C).
CRC_BYTES = 4

#: What stands before each chunk: these letters, its row and column among the array's chunks, its length in
#: bytes, and a checksum of all that and the array's name.
MAGIC = b"dfCh"
_FACTS = struct.Struct("<4sIII")
HEADER_BYTES = _FACTS.size + CRC_BYTES

#: What stands in an index for a chunk that there is none of.
NONE = 2**64 - 1

#: Logs that are open at once; the one that was written to longest ago is closed for another.
MOST_OPEN = 128

#: Bytes that are searched for a header at once.
_BLOCK = 2**20

#: Of each chunk down and across, where in a file it begins, and how many bytes it has.
Index = UInt64[np.ndarray, "down across 2"]


class Shape(NamedTuple):
    """Of the shards of an array.

    Attributes
    ----------
    down, across
        Chunks in a shard.
    most
        Bytes that a chunk takes at most, with its checksum.
    name
        The array's, by which its chunks are told from those of others.
    """

    down: int
    across: int
    most: int
    name: bytes

    @property
    def index_bytes(self) -> int:
        """Bytes of the index, with its checksum."""
        return 16 * self.down * self.across + CRC_BYTES

    @property
    def most_bytes(self) -> int:
        """Bytes that are looked through for chunks: twice what there can be, as some may be there again."""
        return 2 * self.down * self.across * (HEADER_BYTES + self.most) + self.index_bytes

    def nothing(self) -> Index:
        """Return the index of a shard without chunks."""
        return np.full((self.down, self.across, 2), NONE, np.uint64)


class Source(NamedTuple):
    """A file, finished or not, and where each chunk lies in it."""

    path: Path
    places: Index

    def has(self, down: int, across: int) -> bool:
        """Return whether there is a chunk."""
        return int(self.places[down, across, 0]) != NONE


def crc32c(content: Any) -> bytes:
    """Return the checksum of a buffer."""
    return google_crc32c.value(np.frombuffer(content, np.uint8)).to_bytes(CRC_BYTES, "little")


def read_index(file: FileIO, shape: Shape) -> Index | None:
    """Return the index at the end of a shard; None where that is damaged, or leads out of the file."""
    start = os.fstat(file.fileno()).st_size - shape.index_bytes
    if start < 0:
        return None
    content = memoryview(bytearray(shape.index_bytes))
    if read_at(file, start, content) < len(content):
        return None
    entries, checksum = content[:-CRC_BYTES], content[-CRC_BYTES:]
    if crc32c(entries) != checksum:
        return None
    index = np.frombuffer(entries, "<u8").reshape(shape.down, shape.across, 2).astype(np.uint64)
    begins, lengths = index[index[..., 0] != NONE].T
    within = (begins <= start) & (lengths <= min(start, shape.most))
    return index if within.all() and (begins[within] + lengths[within] <= start).all() else None


def scan(file: FileIO, shape: Shape, first: int) -> Index:
    """Return where chunks lie behind their headers in a file whose first row of chunks is `first`."""
    index, at = shape.nothing(), 0
    size = min(os.fstat(file.fileno()).st_size, shape.most_bytes)
    while at + HEADER_BYTES <= size:
        header = memoryview(bytearray(HEADER_BYTES))
        read_at(file, at, header)
        row, column, length = _parsed(header, shape) or (-1, 0, 0)
        begin = at + HEADER_BYTES
        fits = first <= row < first + shape.down and column < shape.across and length <= shape.most
        if fits and begin + length <= size:
            index[row - first, column] = begin, length
            at = begin + length
        else:
            at = _next_header(file, at + 1, size, shape)
    return index


def read_chunk(
    file: FileIO, place: Sequence[int], chunk: tuple[int, int], shape: Shape, buffer: memoryview
) -> memoryview:
    """Return what lies at a place (begin, length), if its header says that it is this chunk; else nothing.

    The buffer has room for a header and the largest chunk.
    """
    begin, length = place
    if not HEADER_BYTES <= begin < NONE:
        return buffer[:0]
    found = buffer[: HEADER_BYTES + length]
    count = read_at(file, begin - HEADER_BYTES, found)
    whole = count == len(found) and found[:HEADER_BYTES] == _header(*chunk, length, shape)
    return found[HEADER_BYTES:] if whole else buffer[:0]


def _header(row: int, column: int, length: int, shape: Shape) -> bytes:
    facts = _FACTS.pack(MAGIC, row, column, length)
    return facts + crc32c(facts + shape.name)


def _parsed(header: Any, shape: Shape) -> tuple[int, int, int] | None:
    """Return what a header says; None where it is none, or one of another array."""
    _, row, column, length = _FACTS.unpack_from(header)
    return (row, column, length) if header[:HEADER_BYTES] == _header(row, column, length, shape) else None


def _next_header(file: FileIO, start: int, size: int, shape: Shape) -> int:
    """Return where the next whole header begins; the file's size where there is none."""
    while start + HEADER_BYTES <= size:
        block = bytearray(min(_BLOCK, size - start))
        count = read_at(file, start, memoryview(block))
        found = block.find(MAGIC, 0, count)
        while 0 <= found <= count - HEADER_BYTES:
            if _parsed(block[found : found + HEADER_BYTES], shape):
                return start + found
            found = block.find(MAGIC, found + 1, count)
        start += max(count - HEADER_BYTES + 1, 1)
    return size


class Log:
    """What a process writes of a shard until it is finished: nobody else does.

    A log stays open between chunks, with fewer than `MOST_OPEN` others.
    """

    def __init__(self, target: Path, shape: Shape, first: int) -> None:
        self.target = target
        self.path = writers.beside(target)
        self.index = shape.nothing()
        self._shape = shape
        self._first = first
        self._begun = False
        self._end = 0
        self._file: BufferedRandom | None = None
        self._alone = lock()
        _logs.add(self)

    @property
    def source(self) -> Source:
        """What it holds by now."""
        return Source(self.path, self.index)

    def append(self, down: int, across: int, parts: Sequence[Any]) -> None:
        """Write a chunk, of several buffers, which is there from now on."""
        length = sum(memoryview(part).nbytes for part in parts)
        self._write([_header(self._first + down, across, length, self._shape), *parts])
        self.index[down, across] = self._end + HEADER_BYTES, length
        self._end += HEADER_BYTES + length

    def _write(self, parts: Sequence[Any], *, last: bool = False) -> None:
        """Write behind the last chunk, over what may be left of one that did not go through."""
        with self._alone:
            try:
                if self._file is None:
                    made = 0 if self._begun else os.O_CREAT | os.O_EXCL
                    self._file = BufferedRandom(writers.open_again(self.path, os.O_RDWR | made))
                    self._begun = True
                self._file.seek(self._end)
                self._file.writelines(parts)
                self._file.flush()
                if last:
                    self._file.truncate()
            except BaseException:
                self._let_go()
                raise
        for earlier in _opened_before(self):  # without the lock: two that wait for each other would hang
            earlier.close()

    def close(self) -> None:
        """Let go of the file; it is opened again where more is written."""
        with self._alone:
            self._let_go()

    def leave(self) -> None:
        """Write no more to it: it is anybody's."""
        self._end_log()
        if self._begun:
            self.path = writers.leave(self.path)

    def _end_log(self) -> None:
        self.close()
        _logs.discard(self)

    def _let_go(self) -> None:
        file, self._file = self._file, None
        with suppress(OSError):  # of what did not go through: it has been told
            if file is not None:
                file.close()

    def __del__(self) -> None:
        self._let_go()

    def finish(self, others: Iterable[Source], keep: Any) -> Source:
        """Take over the chunks of other files that `keep` accepts, and become the shard; the files stay."""
        for source in others:
            wanted = self.index[..., 0] == NONE
            for (down, across), content in chunks_of(source, wanted, self._shape, self._first):
                if keep(content):
                    self.append(down, across, [content])
        entries = self.index.astype("<u8").tobytes()
        self._write([entries, crc32c(entries)], last=True)
        self._end_log()
        self.path.replace(self.target)
        return Source(self.target, self.index)


def chunks_of(
    source: Source, wanted: np.ndarray, shape: Shape, first: int
) -> Iterator[tuple[tuple[int, int], memoryview]]:
    """Yield the chunks of a file that are wanted, in their order there; what it lacks is left out."""
    buffer = memoryview(bytearray(HEADER_BYTES + shape.most))
    there = np.argwhere(wanted & (source.places[..., 0] != NONE))
    in_order = sorted(there.tolist(), key=lambda chunk: int(source.places[*chunk, 0]))
    try:
        with opened(source.path) as file:
            for down, across in in_order if file else ():
                assert file is not None
                place = source.places[down, across].tolist()
                content = read_chunk(file, place, (first + down, across), shape, buffer)
                if len(content):
                    yield (down, across), content
    except FileNotFoundError:
        return


#: Those of this process that are written to: others that have its name were left by what failed in it.
_logs: WeakSet[Log] = WeakSet()
_latest: WeakValueDictionary[int, Log] = WeakValueDictionary()
_latest_alone = lock()


def is_left(path: Path) -> bool:
    """Return whether nobody writes to a log any more."""
    if writers.writer_of(path) == this_process():
        return all(log.path != path for log in list(_logs))
    return writers.is_left(path)


def _opened_before(used: Log) -> list[Log]:
    """Return what has to be closed when another is used."""
    with _latest_alone:
        _latest.pop(id(used), None)
        _latest[id(used)] = used
        earlier = list(_latest.values())[:-MOST_OPEN]
        for log in earlier:
            _latest.pop(id(log), None)
        return earlier
