"""The store of responses: what was written is read again, or found to be damaged; nothing else gets in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, strategies as st

import differentia as dif
from differentia.recording.store.arrays import CHUNK_COLUMNS
from differentia.recording.store.base import KeptBatch, Place, Quantity, Store, cover
from differentia.recording.store.disk import DiskStore, open_recording
from differentia.recording.store.memory import MemoryStore

IDENTITY = {"network": "a" * 64, "resize": "bilinear"}
BEHAVIOUR = {"conv": [0.5, 1.5]}
SIZES = (32, 11, 32, 1)
COLUMNS = CHUNK_COLUMNS + 100


def opened(path: Path, batch_size: int = 32, **changes: Any) -> DiskStore:
    fresh = changes.pop("fresh", False)
    behaviour = changes.pop("behaviour", BEHAVIOUR)
    identity = {**IDENTITY, **changes}
    return open_recording(path, identity, behaviour, name="net", batch_size=batch_size, fresh=fresh)


def values_of(number: int, dtype: Any = np.float32, columns: int = COLUMNS) -> np.ndarray:
    generator = np.random.default_rng(number)
    return (100 * generator.standard_normal((SIZES[number], columns))).astype(dtype)


def fill(store: Store, dtype: Any = np.float32) -> list[Place]:
    """Write four batches, their columns in two parts, and return the places of all images."""
    store.expect(len(SIZES), sum(SIZES))
    for number, size in enumerate(SIZES):
        batch = store.add_batch("a", [f"{number}/{row}" for row in range(size)])
        values = values_of(number, dtype)
        store.write(Quantity("conv", "random-0", 0, COLUMNS), batch, values)
    return places(store.batches)


def places(batches: list[KeptBatch]) -> list[Place]:
    return [Place(batch, row) for batch in batches for row in range(len(batch.images))]


def chunks(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("c.*") if file.is_file())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("where", ["memory", "disk", "opened again"])
def test_what_was_written_is_read(where: str, dtype: Any, tmp_path: Path) -> None:
    """Rows and columns of any kind of slice are those of the arrays that were written, to the bit."""
    store: Store = MemoryStore(32) if where == "memory" else opened(tmp_path / "s.zarr")
    every = fill(store, dtype)
    if where == "opened again":
        store = opened(tmp_path / "s.zarr")
        assert places(store.batches) == every
    whole = np.concatenate([values_of(number, dtype) for number in range(len(SIZES))])
    matrix = store.matrix(Quantity("conv", "random-0", 0, COLUMNS), every)
    assert matrix.shape == whole.shape
    assert matrix.dtype == whole.dtype
    np.testing.assert_array_equal(np.asarray(matrix), whole)
    np.testing.assert_array_equal(matrix[5:60, 7 : CHUNK_COLUMNS + 50], whole[5:60, 7 : CHUNK_COLUMNS + 50])
    columns = np.array([0, 3, 4, 900, CHUNK_COLUMNS - 1, CHUNK_COLUMNS, COLUMNS - 1])
    np.testing.assert_array_equal(matrix[10:, columns], whole[10:][:, columns])
    some = [every[70], every[3], every[4], every[40]]
    few = store.matrix(Quantity("conv", "random-0", 0, COLUMNS), some)
    np.testing.assert_array_equal(np.asarray(few), whole[[70, 3, 4, 40]])


def test_zarr_reads_what_was_written(tmp_path: Path) -> None:
    """Any reader of the format opens the store; a batch has the rows from its number x the batch size on."""
    path = tmp_path / "s.zarr"
    store = opened(path, batch_size=20)  # rounded to 32 rows
    store.expect(2, 22)
    for number in (0, 1):
        batch = store.add_batch("a", [str(row) for row in range(11)])
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


def test_who_reads_a_store_that_was_started_over_is_told(tmp_path: Path) -> None:
    """The rows of other images are never taken for those that were asked for."""
    path = tmp_path / "s.zarr"
    store = opened(path)
    before = store.matrix(Quantity("conv", "random-0", 0, COLUMNS), fill(store))
    fill(opened(path, fresh=True))
    with pytest.raises(dif.StorageError, match="run the same command again"):
        before[:5, :5]


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


def test_a_disk_that_fails_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be read now may be read tomorrow: nothing is removed."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    before = sorted(path.rglob("*"))
    read_text = Path.read_text

    def failing(self: Path, *arguments: Any, **options: Any) -> str:
        if self.parent.parent.name in ("recordings", "random-0", "batches"):
            raise OSError(5, "Input/output error")
        return read_text(self, *arguments, **options)

    monkeypatch.setattr("pathlib.Path.read_text", failing)
    with pytest.raises(dif.StorageError, match="Input/output error"):
        opened(path)
    monkeypatch.undo()
    assert sorted(path.rglob("*")) == before


def test_more_columns_are_beside_those_that_are_there(tmp_path: Path) -> None:
    """Only the columns that are missing are asked for; batches may have them in different parts."""
    store = opened(tmp_path / "s.zarr")
    first, second = (store.add_batch("a", [f"{number}", f"{number}'"]) for number in (0, 1))
    whole = values_of(0, columns=300)[:2]
    store.write(Quantity("conv", "u", 0, 100), first, whole[:, :100])
    assert store.missing(Quantity("conv", "u", 0, 100), first) is None
    assert store.missing(Quantity("conv", "u", 0, 60), first) is None
    assert store.missing(Quantity("conv", "u", 0, 300), first) == Quantity("conv", "u", 100, 300)
    assert store.missing(Quantity("conv", "u", 0, 300), second) == Quantity("conv", "u", 0, 300)
    store.write(Quantity("conv", "u", 100, 300), first, whole[:, 100:])
    store.write(Quantity("conv", "u", 0, 300), second, whole + 1)
    matrix = store.matrix(Quantity("conv", "u", 0, 250), places(store.batches))
    np.testing.assert_array_equal(matrix[:, 90:220], np.concatenate([whole, whole + 1])[:, 90:220])


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 15)), max_size=8),
    st.integers(1, 40),
)
def test_spans_cover_what_they_can(given_spans: list[tuple[int, int]], width: int) -> None:
    """The parts follow one another from 0, each lies in its span, and they end where no span goes on."""
    spans = [(start, start + length) for start, length in given_spans]
    reached = 0
    for span, (start, stop) in cover(spans, width):
        assert start == reached
        assert span[0] <= start < stop <= span[1]
        assert span in spans
        reached = stop
    within = {column for start, stop in spans for column in range(start, stop)}
    gap = next(column for column in range(width + 1) if column == width or column not in within)
    assert reached == gap


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


@pytest.mark.parametrize("junk", [b"", b"junk", b"{}", b"[" * 100_000, b'{"attributes": {"set": 3}}'])
def test_damaged_metadata(junk: bytes, tmp_path: Path) -> None:
    """Of a batch, an array or a recording: what can't be known is recorded again, and no other is touched."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    recording = next(path.glob("recordings/*/batches")).parent
    array = chunks(path)[0].parent
    for name, folder in (("batch", recording / "batches" / "1"), ("array", array), ("recording", recording)):
        (folder / "zarr.json").write_bytes(junk)
        store = opened(path)
        if name == "batch":
            assert [batch.number for batch in store.batches] == [0, 2, 3]
            assert store.add_batch("a", ["x"]).number == 4, "no number is given twice: its rows may be there"
        elif name == "array":
            assert store.missing(Quantity("conv", "random-0", 0, COLUMNS), store.batches[0])
            assert not array.exists()
        else:
            assert store.batches == []
        (note,) = store.take_notes()
        assert "is damaged" in note


def test_a_batch_whose_folder_is_gone_gives_its_rows_to_nobody(tmp_path: Path) -> None:
    """Its chunks would be taken for those of other images."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    shutil.rmtree(next(path.rglob("batches")) / "3")
    store = opened(path)
    batch = store.add_batch("a", ["other"])
    assert batch.number == 4
    assert store.missing(Quantity("conv", "random-0", 0, COLUMNS), batch)


def test_a_run_that_was_killed_leaves_no_notes(tmp_path: Path) -> None:
    """Folders without their metadata and parts of chunks are what is left of a kill, and no damage."""
    path = tmp_path / "s.zarr"
    (path).mkdir()
    (path / "zarr.json.partial").write_text("{")
    fill(opened(path))
    recording = next(path.glob("recordings/*/batches")).parent
    (recording / "batches" / "4").mkdir()
    (path / "recordings" / "half").mkdir()
    array = chunks(path)[0].parent
    (array / "c.7.7.partial").write_bytes(b"half")
    (array.parent / "0-7").mkdir()
    store = opened(path)
    assert len(store.batches) == 4
    assert store.missing(Quantity("conv", "random-0", 0, COLUMNS), store.batches[3]) is None
    assert store.take_notes() == []
    assert not list(path.rglob("*.partial"))


def test_another_network_is_another_recording(tmp_path: Path) -> None:
    """What changed is said; nothing is mixed, nothing is lost, and going back finds it again."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    other = opened(path, resize="lanczos")
    assert other.batches == []
    (told,) = other.take_notes()
    assert "another resize (bilinear, now lanczos)" in told
    assert "--fresh removes them" in told
    changed = opened(path, behaviour={"conv": [0.5, 1.6]})
    assert changed.batches == []
    (told,) = changed.take_notes()
    assert "code of the network or its preprocessing" in told
    alike = opened(path, behaviour={"conv": [0.5, 1.500001], "more": [1.0, 2.0]})
    assert len(alike.batches) == 4
    assert alike.take_notes() == []
    assert opened(path, behaviour={"more": [1.0, 2.5]}).batches == [], "it was learned from the run before"
    assert opened(path, fresh=True).batches == []
    assert not chunks(path)


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
    batch = store.add_batch("a", ["new"])
    store.write(Quantity("conv", "random-0", 0, COLUMNS), batch, values_of(3))
    every = places(opened(path).batches)
    matrix = opened(path).matrix(Quantity("conv", "random-0", 0, COLUMNS), every)
    np.testing.assert_array_equal(matrix[:, :], np.concatenate([whole, values_of(3)]))


def test_a_new_recording_takes_the_place_of_none(tmp_path: Path) -> None:
    """Where one of two recordings of alike networks is damaged, a third does not write over the other."""
    path = tmp_path / "s.zarr"
    opened(path, behaviour={"conv": [1.0]}).add_batch("a", ["x"])
    (first,) = (path / "recordings").glob("*-*")
    opened(path, behaviour={"conv": [2.0]}).add_batch("a", ["y"])
    (first / "zarr.json").write_text("junk", encoding="utf-8")
    third = opened(path, behaviour={"conv": [3.0]})
    assert third.batches == []
    assert any("is damaged" in note for note in third.take_notes())
    assert [batch.images for batch in opened(path, behaviour={"conv": [2.0]}).batches] == [("y",)]
    assert (first / "batches" / "0").exists(), "it is left alone: it may be of another version"


def test_batches_keep_their_size(tmp_path: Path) -> None:
    """A store goes on with the batches that it was begun with, once there is one."""
    opened(tmp_path / "s.zarr", batch_size=8)
    opened(tmp_path / "s.zarr", batch_size=4).add_batch("a", ["x"])
    assert opened(tmp_path / "s.zarr", batch_size=32).batch_size == 4


def test_states_are_kept_under_their_key(tmp_path: Path) -> None:
    """Only the last is kept, and none that is damaged, or of another shape, is given back."""
    store = opened(tmp_path / "s.zarr")
    values = np.random.default_rng(0).standard_normal((3, 40_000))
    assert store.load_state("conv", "ranking", "one", (3, 40_000)) is None
    store.save_state("conv", "ranking", "one", values)
    store.save_state("conv", "ranking", "two", values + 1)
    assert store.load_state("conv", "ranking", "one", (3, 40_000)) is None
    kept = opened(tmp_path / "s.zarr").load_state("conv", "ranking", "two", (3, 40_000))
    assert kept is not None
    np.testing.assert_array_equal(kept, values + 1)
    assert store.load_state("conv", "ranking", "two", (3, 30_000)) is None
    chunks(tmp_path / "s.zarr")[0].write_bytes(b"junk")
    assert store.load_state("conv", "ranking", "two", (3, 40_000)) is None


def strange_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_text("mine")


def other_group(path: Path) -> None:
    zarr.create_group(path, attributes={"title": "mine"})


@pytest.mark.parametrize(
    "make",
    [strange_folder, other_group, lambda path: path.write_text("mine"), lambda path: path.symlink_to("/")],
)
def test_what_is_no_store_is_left_alone(make: Any, tmp_path: Path) -> None:
    """Not even with fresh=True is anything removed that this package did not make."""
    path = tmp_path / "s.zarr"
    make(path)
    before = sorted(tmp_path.rglob("*")) if not path.is_symlink() else None
    for fresh in (False, True):
        with pytest.raises(dif.InputError, match=r"no store of responses|is a link"):
            opened(path, fresh=fresh)
    assert before is None or sorted(tmp_path.rglob("*")) == before


def test_links_lead_nowhere(tmp_path: Path) -> None:
    """A stranger's store can't make us write into another folder, or read from one."""
    path, elsewhere = tmp_path / "s.zarr", tmp_path / "elsewhere"
    fill(opened(path))
    array = chunks(path)[0].parent
    shutil.move(array, elsewhere)
    array.symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir())
    for fresh in (False, True):
        with pytest.raises(dif.InputError, match=f"{array}: is a link"):
            opened(path, fresh=fresh)
    assert sorted(elsewhere.iterdir()) == before


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


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the store, the reason, and that the same command goes on."""
    store = opened(tmp_path / "s.zarr")
    batch = store.add_batch("a", ["x"] * 32)

    def no_space(self: Path, *arguments: Any, **options: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.open", no_space)
    with pytest.raises(dif.StorageError, match=r"No space left on device.*free some space.*is kept"):
        store.write(Quantity("conv", "u", 0, COLUMNS), batch, values_of(0))
    monkeypatch.undo()
    assert store.missing(Quantity("conv", "u", 0, COLUMNS), batch)
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12, 10**9))
    store.require_space(10**9)
    with pytest.raises(dif.StorageError, match=r"2 GB are to be written, but the disk has 1 GB"):
        store.require_space(2 * 10**9)
