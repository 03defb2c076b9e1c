"""How a recording lays its arrays out on the disk: which chunks, in which files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from differentia.recording.store.arrays import FILL_VALUES, StoredArray
from differentia.recording.store.chunk_files import ChunkFiles
from differentia.recording.store.compression import ZSTD_LEVEL
from differentia.recording.store.metadata import JUNK, read_metadata, write_metadata
from differentia.recording.store.sharded import Shards

#: Rows of a chunk: few, so that a set's last batch fills most of its last chunk.
CHUNK_ROWS = 16

#: Columns of a chunk: with its rows 1 MiB of float32. A disk reads that at full speed; and whoever reads few
#: columns of many images does not read much more than those.
CHUNK_COLUMNS = 2**14

#: Fewest columns of a chunk that is believed to be ours: an index has an entry for each.
FEWEST_COLUMNS = 64

#: Chunks of a shard, at most, that are believed to be ours; and bytes of one, before it is packed.
MOST_CHUNKS, MOST_CHUNK_BYTES = 2**20, 2**28

#: Bytes of a shard, before it is packed, unless one batch has more: those of a task (`MOST_IN_A_TASK`), whose
#: batches are rounded up to whole chunks.
SHARD_BYTES = 2**28

#: What may stand in an array's metadata, whatever it is.
NOTES = ("dimension_names", "attributes")


@dataclass(frozen=True)
class Layout:
    """What all arrays of a recording have in common.

    Attributes
    ----------
    chunk_rows
        Of a chunk.
    batch_rows
        Rows that a batch has, filled or not: whole chunks.
    task_batches
        Batches that one process writes; None where each chunk is a file, as earlier versions wrote them.
    compress
        How new arrays are packed.
    """

    chunk_rows: int
    batch_rows: int
    task_batches: int | None
    compress: str = "none"

    def _shard_rows(self, columns: int, itemsize: int) -> int:
        """Return the rows of a shard: as many whole batches as divide a task and are not too large."""
        assert self.task_batches is not None
        most = SHARD_BYTES // (self.batch_rows * columns * itemsize)
        counts = range(min(self.task_batches, max(most, 1)), 0, -1)
        return self.batch_rows * next(count for count in counts if self.task_batches % count == 0)

    def path(self, layer: Path, what: str, name: str) -> Path:
        """Return where an array of a layer lies."""
        return layer / what / name if self.task_batches is None else layer / f"{what}.{name}"

    def names(self, layer: Path) -> Iterator[tuple[str, str]]:
        """Yield what each array of a layer is of, and its name there."""
        for name in folders_in(layer):
            if self.task_batches is None:
                yield from ((name, within) for within in folders_in(layer / name))
            else:
                what, _, of_it = name.rpartition(".")
                yield what, of_it

    def create(self, path: Path, rows: int, columns: int, dtype: np.dtype[Any]) -> StoredArray:
        """Make an array's folder and metadata."""
        chunk = (self.chunk_rows, math.ceil(columns / math.ceil(columns / CHUNK_COLUMNS)))
        array: StoredArray
        if self.task_batches is None:
            array = ChunkFiles(path, rows, columns, dtype, *chunk, "none")
        else:
            shard_rows = self._shard_rows(columns, dtype.itemsize)
            array = Shards(path, rows, columns, dtype, *chunk, self.compress, shard_rows)
        write_metadata(path, array.metadata)
        array.look()
        return array

    def open(self, path: Path, columns: int) -> StoredArray | None:
        """Return an array that is there; None where its metadata are not such as `create` writes."""
        array = self.described(path, columns)
        if array is not None:
            array.look()
        return array

    def described(self, path: Path, columns: int) -> StoredArray | None:
        """Return the array that metadata describe, without a look at what is there."""
        try:
            about = read_metadata(path)
            array = self._told(path, columns, about)
            told = {**about, "codecs": _plain(about["codecs"])}
            if array is None or any(
                told[key] != value for key, value in array.metadata.items() if key not in NOTES
            ):
                return None
        except JUNK:
            return None
        return array

    def _told(self, path: Path, columns: int, about: dict[str, Any]) -> StoredArray | None:
        """Return the array that metadata tell of; None where it would be none of this layout."""
        rows, name = about["shape"][0], about["data_type"]
        file_rows, chunk_columns = about["chunk_grid"]["configuration"]["chunk_shape"]
        if self.task_batches is not None:
            settings = about["codecs"][0]["configuration"]
            chunk_columns = settings["chunk_shape"][1]
        good = all(type(size) is int for size in (rows, file_rows, chunk_columns)) and rows >= 0
        if (
            not good
            or not min(columns, FEWEST_COLUMNS) <= chunk_columns <= columns
            or name not in FILL_VALUES
        ):
            return None
        if self.chunk_rows * chunk_columns * np.dtype(name).itemsize > MOST_CHUNK_BYTES:
            return None
        known = (path, rows, columns, np.dtype(name), self.chunk_rows, chunk_columns)
        if self.task_batches is None:
            return ChunkFiles(*known, "none")
        if file_rows % self.batch_rows or not 0 < file_rows <= self.batch_rows * self.task_batches:
            return None
        if file_rows // self.chunk_rows * math.ceil(columns / chunk_columns) > MOST_CHUNKS:
            return None
        packed = any(codec["name"] == "zstd" for codec in settings["codecs"])
        return Shards(*known, "zstd" if packed else "none", file_rows)


def layout_of(about: Mapping[str, Any]) -> Layout:
    """Return the layout of a recording, from what it says of itself."""
    chunk_rows = about["chunk_rows"]
    batch_rows = math.ceil(about["batch_size"] / chunk_rows) * chunk_rows
    return Layout(chunk_rows, batch_rows, about.get("task_batches"), about.get("compress", "none"))


def columns_of(name: str) -> tuple[int, int] | None:
    """Return the columns that an array holds, as its name says; None for the name of anything else."""
    first, _, last = name.partition("-")
    good = first.isdecimal() and last.isdecimal() and int(first) < int(last)
    return (int(first), int(last)) if good else None


def folders_in(folder: Path) -> list[str]:
    """Return the names of the folders in a folder; none where it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _plain(codecs: Any) -> list[dict[str, Any]]:
    """Return codecs without settings that are none, and with our level of zstd: all levels are read alike."""
    plain = []
    for codec in codecs:
        settings = dict(codec.get("configuration") or {})
        settings |= {key: _plain(settings[key]) for key in ("codecs", "index_codecs") if key in settings}
        if codec["name"] == "zstd" and type(settings.get("level")) is int:
            settings["level"] = ZSTD_LEVEL
        plain.append({"name": codec["name"], **({"configuration": settings} if settings else {})})
    return plain
