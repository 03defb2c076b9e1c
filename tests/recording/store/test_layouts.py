"""Layouts: how large shards are, and that what a stranger wrote is not believed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.older_stores import write_older
from helpers.stores import COLUMNS, SIZES, add, chunks, fill, opened, places, values_of

from differentia.recording.store.base import Quantity
from differentia.recording.store.layouts import SHARD_BYTES, Layout
from differentia.recording.store.sharded import Shards

UNITS = Quantity("conv", "random-0", 0, COLUMNS)
WHOLE = np.concatenate([values_of(number) for number in range(len(SIZES))])


@pytest.mark.parametrize(
    ("columns", "task_batches", "batches"),
    [(10_000, 64, 64), (2, 1000, 1000), (100_000, 64, 16), (100_000, 7, 7), (100_000, 62, 2), (10**7, 64, 1)],
)
def test_shards_have_whole_batches_of_a_task(
    columns: int, task_batches: int, batches: int, tmp_path: Path
) -> None:
    """As many as divide a task and stay below 256 MB, but at least one."""
    array = Layout(16, 32, task_batches).create(tmp_path / "a", 0, columns, np.dtype("f4"))
    assert isinstance(array, Shards)
    assert array.shard_rows == 32 * batches
    larger = [count for count in range(batches + 1, task_batches + 1) if task_batches % count == 0]
    assert all(count * 32 * columns * 4 > SHARD_BYTES for count in larger)
    assert batches == 1 or batches * 32 * columns * 4 <= SHARD_BYTES


def test_rows_that_were_lost_from_the_metadata_are_found(tmp_path: Path) -> None:
    """An array that says it has fewer rows than it holds is made longer, not read short."""
    path = tmp_path / "s.zarr"
    every = fill(opened(path))
    file = chunks(path)[0].parent / "zarr.json"
    described = json.loads(file.read_text(encoding="utf-8"))
    described["shape"][0] = 16
    file.write_text(json.dumps(described), encoding="utf-8")
    np.testing.assert_array_equal(opened(path).matrix(UNITS, every)[:, :], WHOLE)
    assert json.loads(file.read_text(encoding="utf-8"))["shape"][0] == 128


@pytest.mark.parametrize("older", [False, True])
def test_chunks_of_another_size_are_read(
    older: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that writes larger chunks goes on with those that are there, and loses none."""
    path = tmp_path / "s.zarr"
    if older:
        write_older(path)
    else:
        fill(opened(path))
    for name, size in {"CHUNK_COLUMNS": 500, "SHARD_BYTES": 1000}.items():
        monkeypatch.setattr(f"differentia.recording.store.layouts.{name}", size)
    monkeypatch.setattr("differentia.recording.store.disk.CHUNK_ROWS", 3)
    store = opened(path)
    np.testing.assert_array_equal(store.matrix(UNITS, places(store.batches))[:, :], WHOLE)
    batch = add(store, ["new"])
    store.write(UNITS, batch, values_of(3))
    store.finish()
    every = places(opened(path).batches)
    matrix = opened(path).matrix(UNITS, every)
    np.testing.assert_array_equal(matrix[:, :], np.concatenate([WHOLE, values_of(3)]))


def sharding(**changes: Any) -> list[dict[str, Any]]:
    """Return the codecs of an array, changed."""
    endian = {"name": "bytes", "configuration": {"endian": "little"}}
    settings = {
        "chunk_shape": [16, COLUMNS // 2],
        "codecs": [endian, {"name": "crc32c"}],
        "index_codecs": [endian, {"name": "crc32c"}],
        "index_location": "end",
    }
    return [{"name": "sharding_indexed", "configuration": {**settings, **changes}}]


def grid(*shape: int) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": list(shape)}}


HOSTILE = {
    "more columns": ("shape", [128, 2**60]),
    "a fraction of rows": ("shape", [12.5, COLUMNS]),
    "no rows": ("shape", [-1, COLUMNS]),
    "another type": ("data_type", "complex128"),
    "no type": ("data_type", ["float32"]),
    "a huge shard": ("chunk_grid", grid(2**60, COLUMNS)),
    "a wide shard": ("chunk_grid", grid(64, 2**60)),
    "half a batch": ("chunk_grid", grid(48, COLUMNS)),
    "no shard": ("chunk_grid", grid(0, COLUMNS)),
    "a wide chunk": ("codecs", sharding(chunk_shape=[16, 2**60])),
    "a narrow chunk": ("codecs", sharding(chunk_shape=[16, 1])),
    "a flat chunk": ("codecs", sharding(chunk_shape=[1, COLUMNS // 2])),
    "gzip": ("codecs", sharding(codecs=[{"name": "bytes"}, {"name": "gzip"}, {"name": "crc32c"}])),
    "no checksum": ("codecs", sharding(codecs=[{"name": "bytes", "configuration": {"endian": "little"}}])),
    "the index first": ("codecs", sharding(index_location="start")),
    "no shards": ("codecs", [{"name": "bytes"}, {"name": "crc32c"}]),
    "zero": ("fill_value", 0.0),
    "a group": ("node_type", "group"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_metadata_is_not_believed(what: str, tmp_path: Path) -> None:
    """An array that claims another shape, chunk, type or codec is not one of ours, whatever is in it."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    file = chunks(path)[0].parent / "zarr.json"
    good = json.loads(file.read_text(encoding="utf-8"))
    assert good["codecs"] == sharding()
    key, value = HOSTILE[what]
    file.write_text(json.dumps({**good, key: value}), encoding="utf-8")
    store = opened(path)
    assert store.missing(UNITS, store.batches[0])
    (note,) = store.take_notes()
    assert "is damaged" in note


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shape", [128, 2**60]),
        ("data_type", "complex128"),
        ("chunk_grid", grid(1, 2**60)),
        ("codecs", [{"name": "bytes"}, {"name": "gzip"}, {"name": "crc32c"}]),
        ("codecs", [{"name": "bytes", "configuration": {"endian": "big"}}, {"name": "crc32c"}]),
    ],
)
def test_hostile_metadata_of_an_older_store(key: str, value: Any, tmp_path: Path) -> None:
    """Nor is it there."""
    path = tmp_path / "s.zarr"
    file = write_older(path) / "zarr.json"
    good = json.loads(file.read_text(encoding="utf-8"))
    shutil.copytree(path, tmp_path / "copy.zarr")
    assert not opened(tmp_path / "copy.zarr").missing(UNITS, opened(tmp_path / "copy.zarr").batches[0])
    file.write_text(json.dumps({**good, key: value}), encoding="utf-8")
    store = opened(path)
    assert store.missing(UNITS, store.batches[0])


@pytest.mark.parametrize("task_batches", [2, 16])
def test_nothing_is_written_where_nothing_is_new(task_batches: int, tmp_path: Path) -> None:
    """Who opens a store to read it leaves the arrays as they are; only a shape that hides rows is mended."""
    path = tmp_path / "s.zarr"
    kept = fill(opened(path, task_batches=task_batches))
    (folder,) = {file.parent for file in chunks(path)}
    before = (folder / "zarr.json").read_bytes(), folder.stat().st_mtime_ns
    np.testing.assert_array_equal(opened(path).matrix(UNITS, kept)[:, :], WHOLE)
    assert ((folder / "zarr.json").read_bytes(), folder.stat().st_mtime_ns) == before
    (folder / "zarr.json").write_text(json.dumps({**json.loads(before[0]), "shape": [40, COLUMNS]}))
    opened(path).matrix(UNITS, kept)
    assert (folder / "zarr.json").read_bytes() == before[0]
