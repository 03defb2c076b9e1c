"""What a store says of itself to whoever looks on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.older_stores import write_older
from helpers.stores import COLUMNS, SIZES, add, chunks, fill, opened, values_of

from differentia.recording.division import Promised
from differentia.recording.store.base import Quantity, Store
from differentia.recording.store.contents import (
    QuantityContents,
    RecordingContents,
    SetContents,
    contents_of,
    is_store,
)


def only(path: Path) -> RecordingContents:
    (found,) = contents_of(path)
    return found


def write(store: Store, number: int, columns: tuple[int, int], layer: str = "conv") -> None:
    """Write some columns of a batch that was added."""
    (batch,) = (batch for batch in store.batches if batch.number == number)
    start, stop = columns
    values = np.ones((len(batch.images), stop - start), np.float32)
    store.write(Quantity(layer, "random-0", start, stop), batch, values)


def test_a_whole_recording(tmp_path: Path) -> None:
    """Images, columns, bytes and files are those that were written, and that the disk has."""
    store = opened(tmp_path / "s", task_batches=1)
    fill(store)
    store.finish()
    found = only(tmp_path / "s")
    assert found.about["name"] == "net"
    assert found.sets == (SetContents("a", sum(SIZES), 0, 0),)
    assert found.images == sum(SIZES)
    assert found.quantities == (QuantityContents("conv", "random-0", COLUMNS, sum(SIZES)),)
    assert found.tasks == found.tasks_begun == len(SIZES)
    assert found.unfinished == ()
    files = [path for path in found.path.rglob("*") if path.is_file()]
    assert found.files == len(files)
    assert found.size == sum(path.stat().st_size for path in files)
    assert found.begun == min(path.stat().st_mtime for path in files)
    assert found.changed == max(path.stat().st_mtime for path in files)


def test_what_is_missing(tmp_path: Path) -> None:
    """Batches that were promised, columns of those that are there, and images that could not be read."""
    store = opened(tmp_path / "s", task_batches=1)
    store.promise({"a": "1", "b": "2"}, [Promised("a", range(20)), Promised("b", range(30))])
    assert only(tmp_path / "s").sets == (SetContents("a", 0, 0, 20), SetContents("b", 0, 0, 30))
    store.add_batch(1, "b", [f"b/{row}" for row in range(28)], ["bad", "worse"])
    write(store, 1, (0, 40))
    store.finish()
    found = only(tmp_path / "s")
    assert found.sets == (SetContents("a", 0, 0, 20), SetContents("b", 28, 2, 0))
    assert (found.tasks, found.tasks_begun) == (2, 1)
    assert found.quantities == (QuantityContents("conv", "random-0", 40, 28),)
    store.add_batch(0, "a", [f"a/{row}" for row in range(20)])
    write(store, 0, (0, 100))
    store.finish()
    assert only(tmp_path / "s").quantities == (QuantityContents("conv", "random-0", 100, 20),)
    write(store, 1, (40, 100))
    store.finish()
    assert only(tmp_path / "s").quantities == (QuantityContents("conv", "random-0", 100, 48),)


def test_what_is_at_work(tmp_path: Path) -> None:
    """Chunks count as soon as they are written, though their file is not finished."""
    store = opened(tmp_path / "s")
    fill(store)
    batch = add(store, ["0", "1"])
    store.write(Quantity("conv", "random-0", 0, COLUMNS), batch, values_of(0)[:2])
    found = only(tmp_path / "s")
    assert found.quantities == (QuantityContents("conv", "random-0", COLUMNS, sum(SIZES) + 2),)
    (at_work,) = found.unfinished
    assert at_work.path.name.startswith("c.2.0.")
    assert at_work.size == at_work.path.stat().st_size > 16 * COLUMNS * 4
    store.finish()
    assert only(tmp_path / "s").unfinished == ()


@pytest.mark.parametrize("older", [False, True])
def test_a_layout_of_earlier_versions(older: bool, tmp_path: Path) -> None:
    """It is told alike."""
    if older:
        write_older(tmp_path / "s")
    else:
        fill(opened(tmp_path / "s"))
    found = only(tmp_path / "s")
    assert found.sets == (SetContents("a", sum(SIZES), 0, 0),)
    assert found.quantities == (QuantityContents("conv", "random-0", COLUMNS, sum(SIZES)),)
    for file in chunks(tmp_path)[:1]:
        file.unlink()
    (left,) = only(tmp_path / "s").quantities
    assert left.images == sum(SIZES) - (32 if older else 43)


def test_layers_are_in_the_networks_order(tmp_path: Path) -> None:
    """Not in that of the names of their folders."""
    names = [f"layer {number}" for number in range(12)]
    store = opened(tmp_path / "s", behaviour={name: [1.0, 2.0] for name in names})
    store.promise({"a": "1"}, [Promised("a", range(3))])
    store.add_batch(0, "a", ["0", "1", "2"])
    for name in reversed(names):
        write(store, 0, (0, 5), name)
    store.finish()
    assert [one.layer for one in only(tmp_path / "s").quantities] == names


def test_several_recordings(tmp_path: Path) -> None:
    """All are told, that which was changed last at the end; of a damaged one its size is."""
    for network in ("a", "b"):
        fill(opened(tmp_path / "s", network=network))
        time.sleep(0.02)
    found = contents_of(tmp_path / "s")
    assert [one.about["identity"]["network"] for one in found] == ["a", "b"]
    for junk in ("", "[]", '{"attributes": {"batch_size": 0}}', "[" * 100_000):
        (found[0].path / "zarr.json").write_text(junk)
        damaged = contents_of(tmp_path / "s")[-1]
        assert (damaged.about, damaged.sets, damaged.quantities) == ({}, (), ())
        assert damaged.path == found[0].path
        assert damaged.size > sum(SIZES) * COLUMNS * 4


def test_junk_in_a_recording(tmp_path: Path) -> None:
    """What is damaged or strange counts as not there, and is left where it is."""
    store = opened(tmp_path / "s")
    fill(store)
    store.finish()
    folder = only(tmp_path / "s").path
    (folder / "batches" / "7").mkdir()
    (folder / "batches" / "note.txt").write_text("mine")
    for name, content in {"5": "{}", "6": "\x00", "7": json.dumps({"digest": 1})}.items():
        (folder / "divisions" / f"{name}.json").write_text(content)
    (folder / "layers" / "mine" / "random-0.5-5").mkdir(parents=True)
    (folder / "layers" / "mine" / "random-0.0-9").mkdir()
    (folder / "layers" / "mine" / "random-0.0-9" / "c.0.0.x.partial").write_bytes(b"abc")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    found = only(tmp_path / "s")
    assert found.sets == (SetContents("a", sum(SIZES), 0, 0),)
    whole = QuantityContents("conv", "random-0", COLUMNS, sum(SIZES))
    assert set(found.quantities) == {QuantityContents("", "random-0", 9, 0), whole}
    assert [(one.path.name, one.size) for one in found.unfinished] == [("c.0.0.x.partial", 3)]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_what_is_no_store(tmp_path: Path) -> None:
    """A folder of something else, and one that is not there, hold nothing."""
    for path in (tmp_path, tmp_path / "gone"):
        assert not is_store(path)
        assert contents_of(path) == []
    opened(tmp_path / "s")
    assert is_store(tmp_path / "s")
    assert only(tmp_path / "s").images == 0


def test_nothing_heavy_is_imported() -> None:
    """Whoever looks on does not wait for PyTorch."""
    script = (
        "import sys; import differentia.recording.store.contents;"
        "heavy = {'torch', 'keras', 'xarray', 'zarr', 'scipy'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
