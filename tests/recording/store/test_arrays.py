"""Arrays on disk: Zarr reads them, damage is found, and what a stranger wrote is not believed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from helpers.stores import COLUMNS, SIZES, add, chunks, fill, opened, places, promise, values_of

import differentia as dif
from differentia.recording.store.base import Quantity


def test_zarr_reads_what_was_written(tmp_path: Path) -> None:
    """Any reader of the format opens the store; a batch has the rows from its number x the batch size on."""
    path = tmp_path / "s.zarr"
    store = opened(path, batch_size=20)  # rounded to 32 rows
    for number in promise(store, [11, 11]):
        batch = store.add_batch(number, "a", [str(row) for row in range(11)])
        store.write(Quantity("a/../b", "random-0", 0, 50), batch, values_of(1, columns=50) + number)
    group = zarr.open_group(path, mode="r")
    assert group.attrs["differentia"] == "responses"
    array_folder = chunks(path)[0].parent
    array = zarr.open_array(array_folder)
    assert array.shape == (64, 50)
    described = json.loads((array_folder / "zarr.json").read_text(encoding="utf-8"))
    assert [codec["name"] for codec in described["codecs"]] == ["bytes", "crc32c"]
    np.testing.assert_array_equal(array[:11], values_of(1, columns=50))
    np.testing.assert_array_equal(array[32:43], values_of(1, columns=50) + 1)
    assert not np.isfinite(np.asarray(array[16:32])).any(), "rows that were never written are NaN"


def test_a_matrix_is_sliced_as_an_array(tmp_path: Path) -> None:
    """Steps, other orders, one index only: the values are those of an array; a single number is refused."""
    store = opened(tmp_path / "s.zarr")
    matrix: Any = store.matrix(Quantity("conv", "random-0", 0, COLUMNS), fill(store))
    whole = np.asarray(matrix)
    for rows in (slice(2, 40), slice(None, None, 7), slice(None, None, -5), [5, 3, 3, 70], slice(4, 4)):
        np.testing.assert_array_equal(matrix[rows], whole[rows])
        for columns in (slice(3, None, 999), slice(None, None, -1001), [1, 1, 3], [3, 1], slice(9, 2)):
            np.testing.assert_array_equal(matrix[rows, columns], whole[rows][:, columns])
    for wrong in (3, (3, slice(None)), (slice(None), 5)):
        with pytest.raises(IndexError, match="by slices or indices"):
            matrix[wrong]


def test_rows_that_were_lost_from_the_metadata_are_found(tmp_path: Path) -> None:
    """An array that says it has fewer rows than it holds is made longer, not read short."""
    path = tmp_path / "s.zarr"
    every = fill(opened(path))
    whole = np.concatenate([values_of(number) for number in range(len(SIZES))])
    file = chunks(path)[0].parent / "zarr.json"
    described = json.loads(file.read_text(encoding="utf-8"))
    described["shape"][0] = 16
    file.write_text(json.dumps(described), encoding="utf-8")
    np.testing.assert_array_equal(
        opened(path).matrix(Quantity("conv", "random-0", 0, COLUMNS), every)[:, :], whole
    )


def test_chunks_hold_what_there_is(tmp_path: Path) -> None:
    """A few columns more than a chunk's take a few bytes more, not a chunk more; free rows are NaN."""
    store = opened(tmp_path / "s.zarr")
    every = fill(store)
    size = sum(file.stat().st_size for file in chunks(tmp_path))
    rows = sum(-(-count // 16) * 16 for count in SIZES)
    assert size < 1.01 * rows * COLUMNS * 4
    array: Any = zarr.open_array(chunks(tmp_path)[0].parent)
    assert np.isnan(array[43:48]).all()
    assert len(every) == sum(SIZES)


def test_a_damaged_chunk_is_found(tmp_path: Path) -> None:
    """One flipped bit, a cut, bytes too many, or a chunk that is gone: only its batch is asked for again."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    victims = [file for file in chunks(path) if file.name == "c.2.1"]
    (victim,) = victims  # the second batch, of 11 images, and its second chunk of columns
    good = victim.read_bytes()

    def missing() -> tuple[list[bool], list[str]]:
        store = opened(path)
        for batch in store.batches:
            store.repair(Quantity("conv", "random-0", 0, COLUMNS), batch)
        return [
            bool(store.missing(Quantity("conv", "random-0", 0, COLUMNS), batch)) for batch in store.batches
        ], store.take_notes()

    assert missing() == ([False] * 4, [])
    flipped = bytearray(good)
    flipped[1000] ^= 1
    for junk in (bytes(flipped), good[:-1], good + b"x", b"", b"\0" * len(good)):
        victim.write_bytes(junk)
        lacking, (note,) = missing()
        assert lacking == [False, True, False, False]
        assert str(victim) in note
        assert "random-0 of layer 'conv' is recorded again for 11 images" in note
        assert not victim.exists()
        whole = victim.with_name("c.2.0")
        before = whole.stat()
        store = opened(path)
        store.write(Quantity("conv", "random-0", 0, COLUMNS), store.batches[1], values_of(1))
        assert victim.read_bytes() == good
        assert whole.stat().st_ino == before.st_ino, "a chunk that is whole is not written again"
    victim.unlink()
    assert missing() == ([False, True, False, False], [])


@pytest.mark.parametrize("damage", ["flipped", "gone"])
def test_damage_while_it_is_read_is_an_error(damage: str, tmp_path: Path) -> None:
    """Never a number that was not recorded."""
    path = tmp_path / "s.zarr"
    store = opened(path)
    matrix = store.matrix(Quantity("conv", "random-0", 0, COLUMNS), fill(store))
    victim = next(file for file in chunks(path) if file.name == "c.2.1")
    if damage == "gone":
        victim.unlink()
    else:
        content = bytearray(victim.read_bytes())
        content[1000] ^= 1
        victim.write_bytes(content)
    assert np.isfinite(matrix[:, : COLUMNS // 2]).all()
    with pytest.raises(dif.StorageError, match=r"run the same command again: (what|it)"):
        matrix[:, COLUMNS // 2 - 1 :]


def test_chunks_of_another_size_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that writes larger chunks goes on with those that are there, and loses none."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    monkeypatch.setattr("differentia.recording.store.arrays.CHUNK_COLUMNS", 500)
    monkeypatch.setattr("differentia.recording.store.arrays.CHUNK_ROWS", 3)
    store = opened(path)
    whole = np.concatenate([values_of(number) for number in range(len(SIZES))])
    every = places(store.batches)
    np.testing.assert_array_equal(store.matrix(Quantity("conv", "random-0", 0, COLUMNS), every)[:, :], whole)
    batch = add(store, ["new"])
    store.write(Quantity("conv", "random-0", 0, COLUMNS), batch, values_of(3))
    every = places(opened(path).batches)
    matrix = opened(path).matrix(Quantity("conv", "random-0", 0, COLUMNS), every)
    np.testing.assert_array_equal(matrix[:, :], np.concatenate([whole, values_of(3)]))


def test_hostile_metadata_is_not_believed(tmp_path: Path) -> None:
    """An array that claims another shape, chunk, type or codec is not one of ours, whatever is in it."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    file = chunks(path)[0].parent / "zarr.json"
    good = json.loads(file.read_text(encoding="utf-8"))
    for key, value in (
        ("shape", [128, 2**60]),
        ("data_type", "complex128"),
        ("data_type", ["float32"]),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [1, 2**60]}}),
        ("codecs", [{"name": "bytes"}, {"name": "gzip"}, {"name": "crc32c"}]),
        ("codecs", [{"name": "bytes", "configuration": {"endian": "big"}}, {"name": "crc32c"}]),
        ("fill_value", 0.0),
        ("node_type", "group"),
    ):
        shutil.copytree(path, tmp_path / "copy")
        stranger = tmp_path / "copy" / file.relative_to(path)
        stranger.write_text(json.dumps({**good, key: value}), encoding="utf-8")
        store = opened(tmp_path / "copy")
        assert store.missing(Quantity("conv", "random-0", 0, COLUMNS), store.batches[0]), key
        shutil.rmtree(tmp_path / "copy")
