"""The store in a folder: what belongs together is found again; nothing else gets in."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from helpers.stores import COLUMNS, SIZES, add, chunks, fill, opened, promise, values_of

import differentia as dif
from differentia.recording.store.base import Quantity
from differentia.recording.store.disk import about_recording
from differentia.recording.store.layouts import Layout
from differentia.system import regular


def test_who_reads_a_store_that_was_started_over_is_told(tmp_path: Path) -> None:
    """The rows of other images are never taken for those that were asked for."""
    path = tmp_path / "s.zarr"
    store = opened(path)
    before = store.matrix(Quantity("conv", "random-0", 0, COLUMNS), fill(store))
    fill(opened(path, fresh=True))
    with pytest.raises(dif.StorageError, match="run the same command again"):
        before[:5, :5]


def test_a_disk_that_fails_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be read now may be read tomorrow: nothing is removed."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    before = sorted(path.rglob("*"))

    def failing(path: Path) -> Any:
        if path.parent.parent.name == "recordings" or path.parent.name.startswith("random-0"):
            raise OSError(5, "Input/output error")
        return regular.opened(path)

    monkeypatch.setattr("differentia.recording.store.metadata.opened", failing)
    with pytest.raises(dif.StorageError, match="Input/output error"):
        opened(path)
    monkeypatch.undo()
    assert sorted(path.rglob("*")) == before


@pytest.mark.parametrize("junk", [b"", b"junk", b"{}", b"[" * 100_000, b'{"attributes": {"set": 3}}'])
def test_damaged_metadata(junk: bytes, tmp_path: Path) -> None:
    """Of a batch, an array or a recording: what can't be known is recorded again, and no other is touched."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    recording = next(path.glob("recordings/*/batches")).parent
    array = chunks(path)[0].parent
    lines = recording / "batches" / "0.jsonl"
    kept = lines.read_bytes().splitlines(keepends=True)
    for name in ("batch", "array", "recording"):
        if name == "batch":
            lines.write_bytes(kept[0] + junk + b"-\n")
        else:
            ({"array": array, "recording": recording}[name] / "zarr.json").write_bytes(junk)
        store = opened(path)
        if name == "batch":
            assert [batch.number for batch in store.batches] == [0, 2, 3]
            assert add(store, ["x"]).number == 4, "no number is given twice: its rows may be there"
        elif name == "array":
            assert store.missing(Quantity("conv", "random-0", 0, COLUMNS), store.batches[0])
            assert not array.exists()
        else:
            assert store.batches == []
        notes = store.take_notes()
        assert len(notes) == 1 + (name == "array"), "the batch is so still"
        assert "is damaged" in notes[-1]


def test_a_batch_that_is_lost_gives_its_rows_to_nobody(tmp_path: Path) -> None:
    """Its chunks would be taken for those of other images: neither of a new number, nor of its own."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    lines = next(path.rglob("1.jsonl"))
    lines.write_bytes(lines.read_bytes().splitlines(keepends=True)[0])
    store = opened(path)
    (number,) = promise(store, [1])
    assert number == 4
    wanted = Quantity("conv", "random-0", 0, COLUMNS)
    assert store.missing(wanted, store.add_batch(number, "a", ["other"])) == wanted
    assert store.missing(wanted, store.add_batch(3, "a", ["changed"])) == wanted
    assert store.missing(wanted, store.batches[2]) is None


def test_a_run_that_was_killed_leaves_no_notes(tmp_path: Path) -> None:
    """Folders without their metadata and parts of chunks are what is left of a kill, and no damage."""
    path = tmp_path / "s.zarr"
    (path).mkdir()
    (path / "zarr.json.partial").write_text("{")
    fill(opened(path))
    recording = next(path.glob("recordings/*/batches")).parent
    with (recording / "batches" / "1.jsonl").open("ab") as lines:
        lines.write(b'{"number": 4')
    (path / "recordings" / "half").mkdir()
    array = chunks(path)[0].parent
    (array / "c.7.7.partial").write_bytes(b"half")
    (array.parent / "random-0.0-7").mkdir()
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


def test_a_new_recording_takes_the_place_of_none(tmp_path: Path) -> None:
    """Where one of two recordings of alike networks is damaged, a third does not write over the other."""
    path = tmp_path / "s.zarr"
    add(opened(path, behaviour={"conv": [1.0]}), ["x"])
    (first,) = (path / "recordings").glob("*-*")
    add(opened(path, behaviour={"conv": [2.0]}), ["y"])
    (first / "zarr.json").write_text("junk", encoding="utf-8")
    third = opened(path, behaviour={"conv": [3.0]})
    assert third.batches == []
    assert any("is damaged" in note for note in third.take_notes())
    assert [batch.images for batch in opened(path, behaviour={"conv": [2.0]}).batches] == [("y",)]
    assert (first / "batches" / "0.jsonl").exists(), "it is left alone: it may be of another version"


def test_batches_keep_their_size(tmp_path: Path) -> None:
    """A store goes on with the batches that it was begun with, once there is one."""
    opened(tmp_path / "s.zarr", batch_size=8)
    add(opened(tmp_path / "s.zarr", batch_size=4), ["x"])
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
    assert store.state_keys("conv", "ranking") == {"two"}
    assert store.state_keys("conv", "ranking-1") == set()
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


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the store, the reason, and that the same command goes on."""
    store = opened(tmp_path / "s.zarr")
    batch = add(store, ["x"] * 32)

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


@pytest.mark.parametrize("links", [True, False])
def test_numbers_are_promised_once(links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second takes in what the first was promised, and then gets numbers beyond."""

    def refused(*given: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr("os.link", refused)
    first, second = opened(tmp_path / "s.zarr"), opened(tmp_path / "s.zarr")
    assert promise(first, [32, 32, 8]) == range(3)
    assert promise(second, [5]) == range(3), "it looks again before it asks again"
    assert second.divisions == first.divisions
    assert promise(second, [5]) == range(4, 5), "a task has two numbers"
    assert opened(tmp_path / "s.zarr").divisions == second.divisions
    assert not list(tmp_path.rglob("*.partial"))


def test_a_damaged_division(tmp_path: Path) -> None:
    """It is told, and its numbers are given to no other, also where nothing is there yet of its batches."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    assert promise(opened(path), [32, 32, 8]) == range(4, 7)
    file = next(path.rglob("divisions/1.json"))
    file.write_text(file.read_text(encoding="utf-8").replace("32", "31"), encoding="utf-8")
    store = opened(path)
    assert [division.first for division in store.divisions] == [0]
    (note,) = store.take_notes()
    assert f"{file}: is damaged" in note
    assert promise(store, [3]) == range(8, 9)
    assert opened(path).take_notes() == [], "the damaged one is gone"


@pytest.mark.parametrize("kind", ["gone", "folder"])
def test_the_first_division_is_gone(kind: str, tmp_path: Path) -> None:
    """The next is another file than the last, and has other numbers than both."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    promise(opened(path), [5])
    file = next(path.rglob("divisions/0.json"))
    file.unlink()
    if kind != "gone":
        file.mkdir()
    store = opened(path)
    assert [division.first for division in store.divisions] == [4]
    assert promise(store, [7]) == range(6, 7)
    assert [division.first for division in opened(path).divisions] == [4, 6]


def test_a_division_of_another_recording(tmp_path: Path) -> None:
    """Its numbers are not those that follow, or its tasks are others: it is taken for damaged."""
    path, other = tmp_path / "s.zarr", tmp_path / "other.zarr"
    fill(opened(path))
    promise(opened(path), [5])
    promise(opened(other), [5, 5])
    promise(opened(other, task_batches=3, network="b" * 64), [5, 5])
    second = next(path.rglob("divisions/1.json"))
    for foreign in other.rglob("divisions/0.json"):
        shutil.copy(foreign, second)
        store = opened(path)
        assert [division.first for division in store.divisions] == [0]
        assert len(store.take_notes()) == 1
    assert promise(store, [5]) == range(6, 7)


@pytest.mark.parametrize(
    "what", ["recordings/*/zarr.json", "recordings/*/batches/0.jsonl", "c.1.0", "layers"]
)
def test_files_that_changed_places(what: str, tmp_path: Path) -> None:
    """Of two recordings with the same images: nothing of one is taken for the other's."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    fill(opened(path, network="b" * 64))
    one, other = path.rglob(what) if "/" not in what else path.glob(what)
    one.rename(tmp_path / "x")
    other.rename(one)
    (tmp_path / "x").rename(other)
    store = opened(path)
    units = Quantity("conv", "random-0", 0, COLUMNS)
    for batch in store.batches:
        store.repair(units, batch)
    kept = [batch for batch in store.batches if not store.missing(units, batch)]
    assert [batch.number for batch in kept] == {
        "recordings/*/zarr.json": [],
        "recordings/*/batches/0.jsonl": [2, 3],
        "c.1.0": [0, 1],
        "layers": [],
    }[what]
    assert store.take_notes()


def test_an_array_that_another_part_makes_just_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its metadata were not there when they were read, and are by now: it is no damage, and stays."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    (array,) = {file.parent for file in chunks(path)}
    metadata = (array / "zarr.json").read_bytes()
    (array / "zarr.json").unlink()
    units, open_array = Quantity("conv", "random-0", 0, COLUMNS), Layout.open

    def opening(self: Layout, path: Path, columns: int) -> Any:
        found = open_array(self, path, columns)
        (array / "zarr.json").write_bytes(metadata)
        return found

    monkeypatch.setattr(Layout, "open", opening)
    store = opened(path)
    assert store.missing(units, store.batches[0])
    assert store.take_notes() == []
    assert len(chunks(path)) == 2
    again = opened(path)
    assert not again.missing(units, again.batches[0])


def test_facts_of_a_recording_that_was_damaged_meanwhile(tmp_path: Path) -> None:
    """Nothing is noted in the place of all that it said of itself."""
    path = tmp_path / "s.zarr"
    store = opened(path)
    (metadata,) = path.glob("recordings/*/zarr.json")
    metadata.write_bytes(b"junk")
    store.note_threads(7)
    assert metadata.read_bytes() == b"junk"


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    """The file, not the store, since somebody has to look at it."""
    path = tmp_path / "s.zarr"
    places = fill(opened(path))
    file = chunks(path)[0]
    file.unlink()
    file.mkdir()
    store = opened(path)
    store.write(Quantity("conv", "random-0", 0, COLUMNS), places[0].batch, values_of(0))
    with pytest.raises(dif.StorageError, match=rf"^{re.escape(str(file))}: can't be written or read"):
        store.finish()


@pytest.mark.parametrize("left", [b"", bytes(200), None])
def test_a_store_that_lost_its_mark(left: bytes | None, tmp_path: Path) -> None:
    """It is known by a recording that is whole, and marked anew; without one it is left alone."""
    path = tmp_path / "s.zarr"
    every = fill(opened(path))
    content = (path / "zarr.json").read_bytes()
    (path / "zarr.json").unlink()
    if left is not None:
        (path / "zarr.json").write_bytes(left)
    store = opened(path)
    (note,) = store.take_notes()
    assert f"{path}/zarr.json: was empty or gone" in note
    assert store.matrix(Quantity("conv", "random-0", 0, COLUMNS), every).shape == (sum(SIZES), COLUMNS)
    assert json.loads((path / "zarr.json").read_bytes()) == json.loads(content)
    assert opened(path).take_notes() == []
    (path / "zarr.json").write_bytes(b"")
    next(path.glob("recordings/*/zarr.json")).write_bytes(b"")
    with pytest.raises(dif.InputError, match="no store of responses, or a damaged one"):
        opened(path)


@pytest.mark.parametrize("error", [errno.EIO, errno.EACCES])
def test_what_can_not_be_removed_is_told(error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged array, an earlier state, a store that is begun anew: one line, which names the file."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    array = chunks(path)[0].parent
    values = np.ones((1, 10))
    opened(path).save_state("conv", "ranking", "one", values)
    (array / "zarr.json").write_bytes(b"")

    def refuse(name: Any, *given: Any, **more: Any) -> None:
        raise OSError(error, os.strerror(error), str(name))

    monkeypatch.setattr("os.unlink", refuse)
    message = rf"can't be written or read \({os.strerror(error)}\); solve this and run the same command again"
    with pytest.raises(dif.StorageError, match=message):
        opened(path).columns(Quantity("conv", "random-0", 0, COLUMNS), opened(path).batches[0])
    with pytest.raises(dif.StorageError, match=message):
        opened(path).save_state("conv", "ranking", "two", values)
    with pytest.raises(dif.StorageError, match=message):
        opened(path, fresh=True)


def test_counts_of_a_strangers_store_fill_no_memory(tmp_path: Path) -> None:
    """A recording or an array that declares what none of ours can have is taken for damaged."""
    path = tmp_path / "s.zarr"
    fill(opened(path))
    file = next(path.glob("recordings/*/zarr.json"))
    about = json.loads(file.read_text())
    for fact in ("batch_size", "chunk_rows", "task_batches", "at_once"):
        attributes = {**about["attributes"], fact: 2**31 - 1}
        file.write_text(json.dumps({**about, "attributes": attributes}))
        assert about_recording(file.parent) == {}
    file.write_text(json.dumps(about))
    assert about_recording(file.parent) == about["attributes"]
    file.write_bytes(file.read_bytes() + b" " * 2**24)
    assert about_recording(file.parent) == {}
