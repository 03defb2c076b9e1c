"""What a store says of itself to whoever looks on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.older_stores import write_older
from helpers.stores import COLUMNS, SIZES, add, fill, opened

import differentia as dif
from differentia.recording.division import Promised
from differentia.recording.store.base import Quantity, Store
from differentia.recording.store.contents import (
    QuantityContents,
    RecordingContents,
    SetContents,
    contents_of,
)
from differentia.recording.store.disk import is_store

#: What `fill` writes, to a store of each kind.
WHOLE = QuantityContents("conv", "random-0", COLUMNS, sum(SIZES))


def only(path: Path) -> RecordingContents:
    (found,) = contents_of(path)
    return found


def write(store: Store, number: int, columns: tuple[int, int], layer: str = "conv") -> None:
    """Write some columns of a batch that was added."""
    (batch,) = (batch for batch in store.batches if batch.number == number)
    start, stop = columns
    values = np.ones((len(batch.images), stop - start), np.float32)
    store.write(Quantity(layer, "random-0", start, stop), batch, values)


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


@pytest.mark.parametrize("kind", ["none", "zstd", "older"])
def test_a_whole_recording(tmp_path: Path, kind: str) -> None:
    """Images, columns, bytes and files are those that were written, and that the disk has."""
    if kind == "older":
        write_older(tmp_path / "s")
    else:
        fill(opened(tmp_path / "s", compress=kind))
    before = times(tmp_path)
    found = only(tmp_path / "s")
    assert times(tmp_path) == before
    assert found.about["name"] == "net"
    assert found.sets == (SetContents("a", sum(SIZES), 0, 0, 0),)
    assert found.images == sum(SIZES)
    assert found.quantities == (WHOLE,)
    assert found.tasks == found.tasks_begun == (0 if kind == "older" else len(SIZES) // 2)
    assert found.unfinished == ()
    files = [path for path in found.path.rglob("*") if path.is_file()]
    assert found.files == len(files)
    assert found.size == sum(path.stat().st_size for path in files)
    assert found.begun == min(path.stat().st_mtime for path in files)
    assert found.changed == max(path.stat().st_mtime for path in files)


def test_an_older_recording_that_lacks_a_chunk(tmp_path: Path) -> None:
    """The images of its batch are not counted."""
    array = write_older(tmp_path / "s")
    (array / "c.2.1").unlink()
    assert only(tmp_path / "s").quantities == (QuantityContents("conv", "random-0", COLUMNS, 76 - 11),)


def test_an_older_recording_that_goes_on(tmp_path: Path) -> None:
    """It has tasks as others have, once it is given more images."""
    write_older(tmp_path / "s")
    add(opened(tmp_path / "s"), ["a/0"])
    found = only(tmp_path / "s")
    assert (found.tasks, found.tasks_begun) == (1, 1)


def test_what_is_missing(tmp_path: Path) -> None:
    """Batches that were promised, columns of those that are there, and images that could not be read."""
    store = opened(tmp_path / "s", task_batches=1)
    store.promise({"a": "1", "b": "2"}, [Promised("a", range(20)), Promised("b", range(30))])
    assert only(tmp_path / "s").sets == (SetContents("a", 0, 0, 20, 0), SetContents("b", 0, 0, 30, 0))
    store.add_batch(1, "b", [f"b/{row}" for row in range(28)], ["bad", "worse"])
    write(store, 1, (0, 40))
    store.finish()
    found = only(tmp_path / "s")
    assert found.sets == (SetContents("a", 0, 0, 20, 0), SetContents("b", 28, 2, 0, 0))
    assert (found.tasks, found.tasks_begun) == (2, 1)
    assert found.quantities == (QuantityContents("conv", "random-0", 40, 28),)
    store.add_batch(0, "a", [f"a/{row}" for row in range(20)])
    write(store, 0, (0, 100))
    store.finish()
    assert only(tmp_path / "s").quantities == (QuantityContents("conv", "random-0", 100, 20),)
    write(store, 1, (40, 100))
    store.finish()
    assert only(tmp_path / "s").quantities == (QuantityContents("conv", "random-0", 100, 48),)


def test_a_set_that_grew(tmp_path: Path) -> None:
    """What stood before its new images counts as there, by number; what it was to show before is no more."""
    store = opened(tmp_path / "s", batch_size=10, task_batches=1)
    store.promise({"a": "1"}, [Promised("a", range(10)), Promised("a", range(10, 17)), Promised("a", [17])])
    for number, size, skipped in ((0, 10, []), (1, 6, ["bad"])):
        store.add_batch(number, "a", [f"a/{number}/{row}" for row in range(size)], skipped)
    assert only(tmp_path / "s").sets == (SetContents("a", 16, 1, 1, 0),)
    grown = [Promised("a", range(10)), Promised("a", range(10, 17)), Promised("a", range(17, 27))]
    store.promise({"a": "2"}, grown)
    found = only(tmp_path / "s")
    assert found.sets == (SetContents("a", 16, 1, 17, 10),), "of the second not all could be read"
    assert (found.tasks, found.tasks_begun) == (4, 2)
    store.add_batch(5, "a", [f"a/2/{row}" for row in range(10)])
    assert only(tmp_path / "s").sets == (SetContents("a", 26, 1, 7, 10),)
    store.add_batch(3, "a", [f"other/{row}" for row in range(10)])
    assert only(tmp_path / "s").sets == (SetContents("a", 36, 1, 7, 0),), "they had changed"
    store.promise({"a": "2"}, [Promised("a", range(17, 27))])
    assert only(tmp_path / "s").sets == (SetContents("a", 36, 1, 17, 0),), "they changed, and no name did"


def test_what_is_being_written(tmp_path: Path) -> None:
    """Chunks of a shard that is not finished count; its file is told, as left once its writer has ended."""
    store = opened(tmp_path / "s")
    store.promise({"a": "1"}, [Promised("a", range(5))])
    store.add_batch(0, "a", list("abcde"))
    write(store, 0, (0, 7))
    found = only(tmp_path / "s")
    assert found.quantities == (QuantityContents("conv", "random-0", 7, 5),)
    (unfinished,) = found.unfinished
    assert unfinished.path.name.startswith("c.0.0.")
    assert unfinished.size == unfinished.path.stat().st_size > 5 * 7 * 4
    assert not unfinished.left
    pid = str(os.getpid())
    unfinished.path.rename(unfinished.path.with_name(unfinished.path.name.replace(f"_{pid}_", "_4000000_")))
    assert [one.left for one in only(tmp_path / "s").unfinished] == [True]
    assert only(tmp_path / "s").quantities == found.quantities


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
    sizes = ({"batch_size": 0}, {"task_batches": "two"}, {"chunk_rows": 2**40}, {"identity": 1})
    wrong = [json.dumps({"attributes": {**found[0].about, **one}}) for one in sizes]
    for junk in ("", "[]", '{"attributes": {"batch_size": 0}}', "[" * 100_000, *wrong):
        (found[0].path / "zarr.json").write_text(junk)
        damaged = contents_of(tmp_path / "s")[-1]
        assert (damaged.about, damaged.sets, damaged.quantities) == ({}, (), ())
        assert damaged.path == found[0].path
        assert damaged.size > sum(SIZES) * COLUMNS * 4


def test_junk_in_a_recording(tmp_path: Path) -> None:
    """What is damaged or strange counts as not there, and is left where it is."""
    fill(opened(tmp_path / "s"))
    folder = only(tmp_path / "s").path
    (folder / "batches" / "7").mkdir()
    (folder / "batches" / "note.txt").write_text("mine")
    (folder / "batches" / "9.jsonl").write_text('{"number": 18, "set": "a", "images": ["x"]}\nhalf')
    for name, content in {"5": "{}", "6": "\x00", "7": json.dumps({"digest": 1})}.items():
        (folder / "divisions" / f"{name}.json").write_text(content)
    for name in ("random-0.5-5", "random-0.0-9", "random-0", "state-a"):
        (folder / "layers" / "mine" / name).mkdir(parents=True)
    (array,) = (path.parent for path in folder.glob("layers/*/random-0.*/c.0.0"))
    for name in ("c.1.0.x.partial", f"c.{10**30}.0"):
        (array / name).write_bytes(b"abc")
    before = times(tmp_path)
    found = only(tmp_path / "s")
    assert times(tmp_path) == before
    assert found.sets == (SetContents("a", sum(SIZES), 0, 0, 0),)
    assert set(found.quantities) - {WHOLE} <= {QuantityContents("", "random-0", 9, 0)}
    assert WHOLE in found.quantities
    assert [(one.path.name, one.size, one.left) for one in found.unfinished] == [("c.1.0.x.partial", 3, True)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes")
def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    """What is neither a file nor a folder is told, and not opened."""
    fill(opened(tmp_path / "s"))
    folder = only(tmp_path / "s").path
    (array,) = (path.parent for path in folder.glob("layers/*/random-0.*/c.0.0"))
    for path in (folder / "divisions" / "0.json", folder / "batches" / "0.jsonl", array / "c.1.0"):
        content = path.read_bytes()
        for make in (os.mkfifo, lambda path: path.symlink_to(tmp_path)):
            path.unlink()
            make(path)
            with pytest.raises(dif.InputError, match=rf"{path}: is a link, a pipe or a device"):
                contents_of(tmp_path / "s")
        path.unlink()
        path.write_bytes(content)
    assert only(tmp_path / "s").quantities == (WHOLE,)


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
