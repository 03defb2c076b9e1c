"""Arrays whose chunks lie in shards, those of so many rows in one file: ``c.SHARD.0``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from differentia.errors import StorageError
from differentia.recording.store import shards, writers
from differentia.recording.store.arrays import Chunk, Content, StoredArray
from differentia.recording.store.shards import NONE, Index, Log, Shape, Source
from differentia.system.regular import opened

#: How much of an array's path tells it from all others, also where the store is moved: recording and layer.
NAME_PARTS = 4

#: A shard, or a log of one, by its number.
_FILE = re.compile(rf"c\.(\d{{1,9}})\.0(\..+{re.escape(writers.PARTIAL)})?", re.ASCII)


@dataclass(eq=False)
class _Shard:
    """What is known of one shard.

    Attributes
    ----------
    sources
        The shard as it was found, and what others have left of it.
    there
        Which chunks there are.
    dropped
        Which are not to be taken from these files, whatever is in them.
    log
        What this process writes.
    damaged
        Whether nobody else could read it as it was found.
    """

    sources: list[Source]
    there: np.ndarray
    dropped: np.ndarray
    log: Log | None = None
    damaged: bool = False

    def source(self, place: Chunk) -> Source:
        """Return the file that a chunk is in."""
        own = [self.log.source] if self.log else []
        return next(one for one in [*own, *([] if self.dropped[place] else self.sources)] if one.has(*place))


@dataclass(eq=False)
class Shards(StoredArray):
    """An array in shards of `shard_rows` rows.

    While a shard is written, its chunks are in a log beside it (`shards`). What a process left that has ended
    is read where it is, and becomes a part of the shard when that is finished.
    """

    shard_rows: int
    #: By number, those that were looked at.
    _looked_at: dict[int, _Shard] = field(init=False, default_factory=dict)
    #: By number, the files that were there.
    _files: dict[int, list[Path]] = field(init=False, default_factory=dict)
    #: Those of `_looked_at` that are not the file in their place.
    _to_finish: set[int] = field(init=False, default_factory=set)
    _mended: list[Path] = field(init=False, default_factory=list)

    @property
    def grid_shape(self) -> list[int]:
        return [self.shard_rows, self.chunks_across * self.chunk_columns]

    @property
    def codecs(self) -> list[dict[str, Any]]:
        endian = {"name": "bytes", "configuration": {"endian": "little"}}
        settings = {
            "chunk_shape": [self.chunk_rows, self.chunk_columns],
            "codecs": self.chunk_codecs,
            "index_codecs": [endian, {"name": "crc32c"}],
            "index_location": "end",
        }
        return [{"name": "sharding_indexed", "configuration": settings}]

    @cached_property
    def _shape(self) -> Shape:
        name = "/".join(self.path.parts[-NAME_PARTS:]).encode()
        return Shape(self.shard_rows // self.chunk_rows, self.chunks_across, self.most, name)

    def look(self) -> None:
        self._files = self._listed()
        known = {path for files in self._files.values() for path in files}
        for path in self.path.glob(f"*{writers.PARTIAL}"):
            if path not in known and writers.is_left(path):
                path.unlink(missing_ok=True)

    def _listed(self) -> dict[int, list[Path]]:
        """Return the files of shards, and of what will be one, by number."""
        files: dict[int, list[Path]] = {}
        for path in self.path.iterdir():
            found = _FILE.fullmatch(path.name)
            if found and (not found[2] or writers.writer_of(path)):
                files.setdefault(int(found[1]), []).append(path)
        return files

    def rows_there(self) -> set[int]:
        rows: set[int] = set()
        for number, paths in self._listed().items():
            there = np.zeros((self._shape.down, self._shape.across), bool)
            for path in paths:
                index = self._index(path) if path == self._file(number) else None
                index = self._scanned(path, number) if index is None else index
                there |= index[..., 0] != NONE
            rows.update((number * self._shape.down + np.flatnonzero(there.all(axis=1))).tolist())
        return rows

    @property
    def end(self) -> int:
        return self.shard_rows * max((number + 1 for number in [*self._files, *self._looked_at]), default=0)

    def _file(self, number: int) -> Path:
        return self.path / f"c.{number}.0"

    def _placed(self, chunk: Chunk) -> tuple[_Shard, Chunk]:
        """Return the shard of a chunk, and where it is there."""
        number, down = divmod(chunk[0], self._shape.down)
        if number not in self._looked_at:
            self._looked_at[number] = self._found(number)
        return self._looked_at[number], (down, chunk[1])

    def _found(self, number: int) -> _Shard:
        target = self._file(number)
        sources: list[Source] = []
        index, damaged = None, False
        if target in self._files.get(number, ()):
            index = self._index(target)
            damaged = index is None
            self._mended += [target] * damaged
        for path in self._files.get(number, ()):
            if path == target and index is not None:
                sources.insert(0, Source(path, index))
            elif path == target or shards.is_left(path):
                sources.append(Source(path, self._scanned(path, number)))
        if damaged or any(source.path != target for source in sources):
            self._to_finish.add(number)
        there = np.zeros((self._shape.down, self._shape.across), bool)
        for source in sources:
            there |= source.places[..., 0] != NONE
        return _Shard(sources, there, np.zeros_like(there), damaged=damaged)

    def _index(self, path: Path) -> Index | None:
        """Return the index of a shard; None where it has none that is whole, or is gone."""
        with suppress(FileNotFoundError), opened(path) as file:
            return shards.read_index(file, self._shape) if file else None
        return None

    def _scanned(self, path: Path, number: int) -> Index:
        """Return where the chunks of a file are, as what stands before each of them says."""
        with suppress(FileNotFoundError), opened(path) as file:
            if file:
                return shards.scan(file, self._shape, number * self._shape.down)
        return self._shape.nothing()

    def has(self, chunk: Chunk) -> bool:
        shard, place = self._placed(chunk)
        return bool(shard.there[place])

    def holds(self, rows: range) -> bool:
        first, last = rows.start // self.chunk_rows, -(-rows.stop // self.chunk_rows)
        if first // self._shape.down != (last - 1) // self._shape.down:
            return super().holds(rows)
        shard, (down, _) = self._placed((first, 0))
        return bool(shard.there[down : down + last - first].all())

    def put(self, chunk: Chunk, parts: Sequence[Any]) -> None:
        shard, place = self._placed(chunk)
        if shard.log is None:
            shard.log = self._log(chunk[0] // self._shape.down)
        self._to_finish.add(chunk[0] // self._shape.down)
        shard.log.append(*place, parts)
        shard.there[place] = True

    def _log(self, number: int) -> Log:
        return Log(self._file(number), self._shape, number * self._shape.down)

    def drop(self, chunk: Chunk) -> Path:
        shard, place = self._placed(chunk)
        if shard.log:
            shard.log.index[place] = NONE
        shard.there[place] = False
        shard.dropped[place] = True
        self._to_finish.add(chunk[0] // self._shape.down)
        return self._file(chunk[0] // self._shape.down)

    def known(self, chunks: Sequence[Chunk]) -> Iterator[Content]:
        by_file: dict[Path, tuple[Source, list[Chunk]]] = {}
        for chunk in chunks:
            shard, place = self._placed(chunk)
            source = shard.source(place)
            by_file.setdefault(source.path, (source, []))[1].append(chunk)
        for source, wanted in by_file.values():
            yield from self._contents(source.path, source.places, wanted)

    def read(self, chunks: Sequence[Chunk]) -> Iterator[Content]:
        by_shard: dict[int, list[Chunk]] = {}
        for chunk in chunks:
            by_shard.setdefault(chunk[0] // self._shape.down, []).append(chunk)
        for number, wanted in by_shard.items():
            yield from self._contents(self._file(number), None, wanted)

    def _contents(self, path: Path, index: Index | None, chunks: Sequence[Chunk]) -> Iterator[Content]:
        """Yield chunks of a file, by an index or by its own, in the order in which they lie there."""
        buffer = memoryview(bytearray(shards.HEADER_BYTES + self.most))
        try:
            with opened(path) as file:
                if index is None and file:
                    index = shards.read_index(file, self._shape)
                if file is None or index is None:
                    raise StorageError(f"the index of {path.name} is damaged")
                where = {chunk: index[chunk[0] % self._shape.down, chunk[1]].tolist() for chunk in chunks}
                for chunk in sorted(chunks, key=where.__getitem__):
                    yield chunk, shards.read_chunk(file, where[chunk], chunk, self._shape, buffer)
        except FileNotFoundError:
            yield from ((chunk, buffer[:0]) for chunk in chunks)

    def take_mended(self) -> list[Path]:
        mended, self._mended = self._mended, []
        return mended

    def close(self) -> None:
        for shard in self._looked_at.values():
            if shard.log:
                shard.log.leave()
                shard.sources.insert(0, shard.log.source)
                shard.log = None

    def finish(self) -> None:
        """Give the shards that were looked at their index and name.

        What is in the place by now is taken over too: another process may have finished the same meanwhile.
        """
        for number in sorted(self._to_finish):
            shard, target = self._looked_at[number], self._file(number)
            left = [source for source in shard.sources if source.path != target]
            if (index := self._index(target)) is not None:
                now = [Source(target, index)]
            else:
                now = [source for source in shard.sources if source.path == target]
            taken = [_without(source, shard.dropped) for source in [*now, *left]]
            if shard.log or shard.damaged or shard.dropped.any() or _adds(left, now):
                log = shard.log or self._log(number)
                finished = log.finish(taken, lambda content: self.unpacked(content) is not None)
            else:
                (finished,) = now
            for source in left:
                source.path.unlink(missing_ok=True)
            there = finished.places[..., 0] != NONE
            self._looked_at[number] = _Shard([finished], there, np.zeros_like(there))
            self._to_finish.discard(number)


def _adds(left: Sequence[Source], now: Sequence[Source]) -> bool:
    """Return whether what is left of a shard has a chunk that the shard has not."""
    lacking = np.all([source.places[..., 0] == NONE for source in now], axis=0)
    return any(bool(((source.places[..., 0] != NONE) & lacking).any()) for source in left) or not now


def _without(source: Source, chunks: np.ndarray) -> Source:
    return Source(source.path, np.where(chunks[..., None], np.uint64(NONE), source.places))
