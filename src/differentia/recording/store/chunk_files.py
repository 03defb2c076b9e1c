"""Arrays as earlier versions wrote them, and go on: each chunk is a file, ``c.ROW.COLUMN``.

It is written beside its place and renamed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from differentia.recording.store import writers
from differentia.recording.store.arrays import Chunk, Content, StoredArray
from differentia.system.regular import opened, read_at

_CHUNK = re.compile(r"c\.(\d{1,9})\.(\d{1,9})", re.ASCII)


@dataclass(eq=False)
class ChunkFiles(StoredArray):
    """An array whose chunks are files."""

    _finished: set[Chunk] = field(init=False, default_factory=set)

    @property
    def grid_shape(self) -> list[int]:
        return [self.chunk_rows, self.chunk_columns]

    def look(self) -> None:
        writers.remove_left(self.path)
        self._finished.update(self._listed())

    def _listed(self) -> Iterator[Chunk]:
        for found in map(_CHUNK.fullmatch, os.listdir(self.path)):
            if found:
                yield int(found[1]), int(found[2])

    def rows_there(self) -> set[int]:
        across = Counter(down for down, _ in self._listed())
        return {down for down, count in across.items() if count == self.chunks_across}

    @property
    def end(self) -> int:
        return self.chunk_rows * max((down + 1 for down, _ in self._finished), default=0)

    def _file(self, chunk: Chunk) -> Path:
        return self.path / f"c.{chunk[0]}.{chunk[1]}"

    def has(self, chunk: Chunk) -> bool:
        return chunk in self._finished

    def put(self, chunk: Chunk, parts: Sequence[Any]) -> None:
        beside = writers.beside(self._file(chunk))
        with beside.open("xb") as file:  # which writes on where the disk takes a part only
            file.writelines(parts)
        beside.replace(self._file(chunk))
        self._finished.add(chunk)

    def drop(self, chunk: Chunk) -> Path:
        self._file(chunk).unlink(missing_ok=True)
        self._finished.discard(chunk)
        return self._file(chunk)

    def read(self, chunks: Sequence[Chunk]) -> Iterator[Content]:
        buffer = memoryview(bytearray(self.most + 1))
        for chunk in chunks:
            count = 0
            with suppress(FileNotFoundError), opened(self._file(chunk)) as file:
                count = read_at(file, 0, buffer) if file else 0
            yield chunk, buffer[:count]

    known = read
