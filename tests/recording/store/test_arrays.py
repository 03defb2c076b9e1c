"""Arrays on disk: Zarr reads them, whatever they hold and however they are packed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from helpers.stores import COLUMNS, SIZES, chunks, fill, opened, promise, values_of

from differentia.recording.store.base import Quantity
from differentia.recording.store.layouts import Layout


@pytest.mark.parametrize("compress", ["none", "zstd"])
def test_zarr_reads_what_was_written(compress: str, tmp_path: Path) -> None:
    """Any reader of the format opens the store; a batch has the rows from its number x its rows on."""
    path = tmp_path / "s.zarr"
    store = opened(path, batch_size=19, compress=compress)  # in two chunks of 10 rows each
    for number in promise(store, [11, 11, 4]):
        batch = store.add_batch(number, "a", [str(row) for row in range(11 if number < 2 else 4)])
        values = values_of(1, columns=50)[: len(batch.images)] + number
        store.write(Quantity("a/../b", "random-0", 0, 50), batch, values)
    store.finish()
    group = zarr.open_group(path, mode="r")
    assert group.attrs["differentia"] == "responses"
    folder = chunks(path)[0].parent
    assert [file.name for file in chunks(path)] == ["c.0.0", "c.1.0"], "a file for each task of two batches"
    array: Any = zarr.open_array(folder, mode="r")
    assert (array.shape, array.shards, array.chunks) == ((60, 50), (40, 50), (10, 50))
    described = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
    packed = described["codecs"][0]["configuration"]["codecs"]
    assert [codec["name"] for codec in packed] == ["bytes", *["zstd"] * (compress == "zstd"), "crc32c"]
    np.testing.assert_array_equal(array[:11], values_of(1, columns=50))
    np.testing.assert_array_equal(array[20:31], values_of(1, columns=50) + 1)
    np.testing.assert_array_equal(array[40:44], values_of(1, columns=50)[:4] + 2)
    assert np.isnan(array[11:20]).all(), "rows that were never written are NaN"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("compress", ["none", "zstd"])
def test_what_zarr_wrote_is_not_ours(compress: str, dtype: Any, tmp_path: Path) -> None:
    """Nothing says of which recording and layer such chunks are: they are taken for damaged."""
    layout = Layout(16, 32, 2, compress)
    path = tmp_path / "0-300"
    array = layout.create(path, 128, 300, np.dtype(dtype))
    values = np.concatenate([values_of(number, dtype, 300) for number in (0, 2)])
    written: Any = zarr.open_array(path, mode="r+", config={"write_empty_chunks": True})
    written[64:128] = values
    found = layout.open(path, 300)
    assert found is not None
    assert found.metadata == array.metadata
    assert [found.holds(range(start, start + 32)) for start in (0, 32, 64, 96)] == [False, False, True, True]
    assert set(found.remove_damaged(range(64, 128))) == {path / "c.1.0"}
    found.write(range(64, 128), values)
    found.finish()
    np.testing.assert_array_equal(written[64:128], values)
    for rows, columns in ((range(64, 128), np.arange(300)), (range(70, 101), np.array([3, 50, 299]))):
        into = np.empty((len(rows), len(columns)), dtype)
        found.read_into(into, rows, columns)
        np.testing.assert_array_equal(into, values[rows.start - 64 : rows.stop - 64][:, columns])


def test_chunks_hold_what_there_is(tmp_path: Path) -> None:
    """A few columns more than a chunk's take a few bytes more, not a chunk more; free rows are NaN."""
    store = opened(tmp_path / "s.zarr")
    fill(store)
    store.finish()
    size = sum(file.stat().st_size for file in chunks(tmp_path))
    rows = sum(-(-count // 16) * 16 for count in SIZES)
    assert rows * COLUMNS * 4 < size < 1.01 * rows * COLUMNS * 4
    array: Any = zarr.open_array(chunks(tmp_path)[0].parent, mode="r")
    assert np.isnan(array[43:64]).all()
