"""The store in a folder, ``responses.zarr``: Zarr format 3, a region for each batch of images.

::

    responses.zarr/               "differentia": what marks it as ours
        recordings/KEY/           one network, engine and presentation: "identity", "batch_size", "behaviour",
                                  "task_batches", "compress", "key"; once known "compiled", "at_once",
                                  "threads", "promised"
            divisions/N.json      which images get the numbers of batches from one on
            batches/TASK.jsonl    a line for each batch of a task: its set and the hashes of its images
            layers/KEY/           a layer, by a hash of its name: "layer"
                WHAT.START-STOP   an array of images x columns, a file for the images of a task

A batch has the rows from N times the (rounded) batch size on; rows that it does not fill are never written.
Recordings that earlier versions began, without tasks, have a file for each chunk of an array (in
``WHAT/START-STOP``) and a group for each batch (``batches/N``), and go on so.
"""

from __future__ import annotations

import json
import math
import secrets
import shutil
from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Num

from differentia.definition.matrix import ResponseMatrix
from differentia.errors import InputError, StorageError, printable
from differentia.recording.division import LEAST_IN_A_TASK, MOST_IMAGES, Division, Promised
from differentia.recording.store import writers
from differentia.recording.store.arrays import StoredArray
from differentia.recording.store.base import KeptBatch, Place, Quantity, Store, cover
from differentia.recording.store.batches import batches_in, short_digest
from differentia.recording.store.compression import COMPRESSIONS
from differentia.recording.store.divisions import DivisionFiles
from differentia.recording.store.entries import files_in
from differentia.recording.store.layouts import CHUNK_ROWS, Layout, columns_of, folders_in, layout_of
from differentia.recording.store.matrices import Run, Segment, StoredMatrix
from differentia.recording.store.metadata import (
    METADATA,
    is_lost,
    make_group,
    read_attributes,
    write_group,
)
from differentia.system.files import NO_ROOM
from differentia.system.locking import IN_USE, alone
from differentia.system.machine import written_size
from differentia.system.regular import names_in
from differentia.system.turns import lock

#: Raised by one when what a recording means changes: numbers of another version are not mixed in. It is not
#: the library's version.
RECORDING_FORMAT = 2

#: The attribute of a recording that says whether its pass is compiled.
WHETHER_COMPILED = "compiled"

#: The one that says how many images go into one pass, where these are fewer than a batch has.
AT_ONCE = "at_once"

#: The folder in a store with what workers of a cluster have to know, while they record.
JOBS = "jobs"

#: What a store says of itself.
MARK = {"differentia": "responses"}

#: What lies in a folder before the store has its mark, beside unfinished files.
BEGUN = frozenset({IN_USE, JOBS})

#: The one with the numbers of threads that images were shown with.
THREADS = "threads"

#: The one that says how many batches are a task; recordings of earlier versions have none.
TASK_BATCHES = "task_batches"

#: The one that says how chunks are packed.
COMPRESS = "compress"

#: In seconds: how long a part waits for another that does what has to be done once.
WAIT = 3600.0

#: The folder in a store with a folder for each recording.
RECORDINGS = "recordings"

#: The one that says up to which number batches were promised, whatever becomes of the files that say which.
PROMISED = "promised"

#: The one with the name of the recording's folder: in another, its facts are of another.
KEY = "key"

#: How the folder of a state begins; its key follows.
STATE = "state-"


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Say what can be done where the disk refuses."""
    try:
        yield
    except OSError as error:
        hint = "free some space" if error.errno in NO_ROOM else "solve this"
        where = next((name for name in (error.filename2, error.filename) if isinstance(name, str)), path)
        raise StorageError(
            f"{where}: can't be written or read ({error.strerror or error}); {hint} and run the same command "
            "again: what was recorded until now is kept"
        ) from error


class DiskStore(Store):
    """One recording of a store in a folder; see `open_recording`. Several threads may write to it."""

    holds_all_at_once = False

    def __init__(self, folder: Path, about: Mapping[str, Any], notes: list[str]) -> None:
        self.batch_size = about["batch_size"]
        self.at_once = about.get(AT_ONCE, self.batch_size)
        self.task_batches = about.get(TASK_BATCHES, LEAST_IN_A_TASK)
        self.compiled = about.get(WHETHER_COMPILED)
        self.threads = tuple(about.get(THREADS, ()))
        self.name = str(folder.parent.parent)
        self._folder = folder
        self._notes = notes
        self._layout = layout_of(about)
        self._region = self._layout.batch_rows
        self.compress = self._layout.compress
        self._lines = batches_in(folder / "batches", self.batch_size, self._layout.task_batches)
        self._division_files = DivisionFiles(folder / "divisions", self.task_batches)
        self._arrays: dict[tuple[str, str], dict[tuple[int, int], StoredArray]] = {}
        self._knows_all = False
        self._begun: set[int] = set()  # tasks of which this process has added a batch
        self._damage: dict[tuple[str, str], tuple[list[Path], int]] = {}
        self._writing = lock()
        with _disk(folder):
            self.batches = self._lines.read()
            self._division_files.read()
        self.divisions = self._division_files.whole

    def note_compiled(self, compiled: bool) -> None:
        if compiled != self.compiled:
            super().note_compiled(compiled)
            with alone(Path(self.name)):
                self._note(WHETHER_COMPILED, compiled)

    def note_threads(self, threads: int) -> None:
        if threads not in self.threads:
            with alone(Path(self.name)):  # others may do the same
                self.threads = tuple(read_attributes(self._folder).get(THREADS, ()))
                super().note_threads(threads)
                self._note(THREADS, list(self.threads))

    def note_at_once(self, images: int) -> None:
        if images != self.at_once:
            super().note_at_once(images)
            with alone(Path(self.name)):
                self._note(AT_ONCE, min(images, read_attributes(self._folder).get(AT_ONCE, images)))

    def _note(self, fact: str, value: Any) -> None:
        with _disk(self._folder):
            if about := read_attributes(self._folder):  # else it is damaged, and will not be used
                write_group(self._folder, {**about, fact: value})

    def _every_array(self) -> Iterator[StoredArray]:
        """Yield the arrays of all layers, those of this process and those that were there before."""
        if not self._knows_all:
            for layer in folders_in(self._folder / "layers"):
                for what in {what for what, _ in self._arrayfolders_in(layer)}:
                    self._arrays_of(layer, what)
            self._knows_all = True
        for arrays in self._arrays.values():
            yield from arrays.values()

    def promise(self, sets: Mapping[str, str], batches: Sequence[Promised]) -> None:
        with _disk(self._folder):
            taken = [read_attributes(self._folder).get(PROMISED, 0)]
            taken += [division.stop for division in self.divisions]
            taken += [batch.number + 1 for batch in self.batches]
            taken += [math.ceil(array.end / self._region) for array in self._every_array()]
            first = math.ceil(max(taken, default=0) / self.task_batches) * self.task_batches
            division = Division(first, self.task_batches, sets, tuple(batches))
            self._division_files.add(division)
            self._note(PROMISED, max([taken[0], *(known.stop for known in self.divisions)]))

    def add_batch(
        self, number: int, set_name: str, images: Sequence[str], skipped: Sequence[str] = ()
    ) -> KeptBatch:
        batch = KeptBatch(number, set_name, tuple(images), tuple(skipped))
        with self._writing, _disk(self._folder):
            if (task := number // self.task_batches) not in self._begun:
                self._forget_lost(task)
                self._begun.add(task)
            self._lines.add(batch)
        insort(self.batches, batch)
        return batch

    def _forget_lost(self, task: int) -> None:
        """Remove what is there of batches of a task that are not known: of which images, nobody knows."""
        known = {batch.number for batch in self.batches}
        numbers = range(task * self.task_batches, (task + 1) * self.task_batches)
        lost = [number * self._region for number in numbers if number not in known]
        for array in self._every_array():
            array.forget([range(start, start + self._region) for start in lost])

    @property
    def _last_row(self) -> int:
        """The row after those of all batches, promised or kept."""
        kept = [batch.number + 1 for batch in self.batches[-1:]]
        return self._region * max([0, *kept, *(division.stop for division in self.divisions)])

    def _rows(self, batch: KeptBatch) -> range:
        start = batch.number * self._region
        return range(start, start + len(batch.images))

    def _path(self, layer: str, what: str, name: str) -> Path:
        """Return where an array of a layer, by its key, lies."""
        return self._layout.path(self._folder / "layers" / layer, what, name)

    def _arrayfolders_in(self, layer: str) -> Iterator[tuple[str, str]]:
        """Yield what each array of a layer is of, and its name there."""
        yield from self._layout.names(self._folder / "layers" / layer)

    def _arrays_of(self, layer: str, what: str) -> dict[tuple[int, int], StoredArray]:
        """Return the arrays of a quantity of a layer, by its key, by their columns."""
        if (layer, what) not in self._arrays:
            with _disk(self._folder / "layers" / layer):
                self._arrays[layer, what] = self._opened(layer, what)
        return self._arrays[layer, what]

    def _opened(self, layer: str, what: str) -> dict[tuple[int, int], StoredArray]:
        found = {}
        for name in sorted(name for of, name in self._arrayfolders_in(layer) if of == what):
            columns = columns_of(name)
            if columns is None:
                continue
            path = self._path(layer, what, name)
            described = (path / METADATA).exists()  # else it was not finished, or is being made just now
            array = self._layout.open(path, columns[1] - columns[0])
            if array is not None:
                array.lengthen(self._last_row)  # else others would not find what there is
                found[columns] = array
            elif described:
                again = f"{self._in_words(layer, what)} is recorded again"
                self._notes.append(f"{path}: is damaged; {again}")
                writers.remove_folder(path)
        return found

    def _in_words(self, layer: str, what: str) -> str:
        name = read_attributes(self._folder / "layers" / layer).get("layer")
        return f"{what} of layer {name!r}" if name else what

    def columns(self, quantity: Quantity, batch: KeptBatch) -> list[tuple[int, int]]:
        rows, held = self._rows(batch), self._arrays_of(short_digest(quantity.layer), quantity.what)
        with _disk(self._folder):
            return [columns for columns, array in held.items() if array.holds(rows)]

    def write(self, quantity: Quantity, batch: KeptBatch, values: Num[np.ndarray, "b k"]) -> None:
        layer, what, start, stop = quantity
        rows, held = self._rows(batch), self._arrays_of(short_digest(layer), what)
        last = max(self._last_row, (batch.number + 1) * self._region)
        with self._writing, _disk(self._folder):
            if (start, stop) not in held:
                path = self._made(layer, what, f"{start}-{stop}")
                held[start, stop] = self._layout.create(path, last, stop - start, values.dtype)
            held[start, stop].lengthen(last)
            held[start, stop].write(rows, values)

    def finish(self) -> None:
        with self._writing, _disk(self._folder):
            for arrays in self._arrays.values():
                for array in arrays.values():
                    array.finish()

    def close(self) -> None:
        with self._writing:
            for arrays in self._arrays.values():
                for array in arrays.values():
                    array.close()

    def take_notes(self) -> list[str]:
        notes = [*self._notes, *self._lines.notes]
        self._notes, self._lines.notes = [], []
        for path in self._division_files.damaged:
            notes.append(f"{path}: is damaged; what is yet to be recorded gets other numbers")
            with suppress(OSError):
                path.unlink()
        self._division_files.damaged.clear()
        for (layer, what), arrays in self._arrays.items():
            for file in (file for array in arrays.values() for file in array.take_mended()):
                again = f"what is gone of {self._in_words(layer, what)} is recorded again"
                notes.append(f"{file}: has changed since it was written; {again}")
        for (layer, what), (files, images) in self._damage.items():
            more = f" (so have {len(files) - 1} more chunks)" if len(files) > 1 else ""
            again = f"{self._in_words(layer, what)} is recorded again for {images} image{'s' * (images > 1)}"
            notes.append(f"{files[0]}: has changed since it was written{more}; {again}")
        self._damage = {}
        return [printable(note).replace("\n", "\\n") for note in notes]

    def _made(self, layer: str, what: str, name: str) -> Path:
        """Return where an array lies, with the metadata of the groups that it lies in."""
        path = self._path(short_digest(layer), what, name)
        make_group(self._folder / "layers", {})
        make_group(self._folder / "layers" / short_digest(layer), {"layer": layer})
        if self._layout.task_batches is None:
            make_group(path.parent, {"what": what})
        return path

    def repair(self, quantity: Quantity, batch: KeptBatch) -> None:
        layer, what = short_digest(quantity.layer), quantity.what
        rows = self._rows(batch)
        for array in self._arrays_of(layer, what).values():
            with _disk(array.path):
                if removed := array.remove_damaged(rows):
                    files, images = self._damage.get((layer, what), ([], 0))
                    self._damage[layer, what] = [*files, *removed], images + len(rows)

    def require_space(self, size: int) -> None:
        with _disk(self._folder):
            free = shutil.disk_usage(self._folder).free
        if size > free:
            raise StorageError(
                f"{self.name}: {written_size(size)} are to be written, but the disk has {written_size(free)} "
                "free; free some space, choose another disk, or use fewer --n-units, --layers or images"
            )

    def matrix(self, quantity: Quantity, places: Sequence[Place]) -> ResponseMatrix:
        held = self._arrays_of(short_digest(quantity.layer), quantity.what)
        with self._writing, _disk(self._folder):
            for array in held.values():  # which is read by whoever sees the folder
                array.finish()
        numbers: dict[tuple[Segment, ...], int] = {}
        of_batch: dict[int, int] = {}  # by the batch's number: which columns of which arrays
        for batch in {place.batch.number: place.batch for place in places}.values():
            covered = cover(self.columns(quantity, batch), quantity.stop)
            parts = tuple(Segment(held[some], some[0], *part) for some, part in covered)
            of_batch[batch.number] = numbers.setdefault(parts, len(numbers))
        where = np.array([(batch.number, row) for batch, row in places], np.int64).reshape(-1, 2)
        stored = where[:, 0] * self._region + where[:, 1]
        of_row = np.array([of_batch[number] for number in where[:, 0].tolist()], np.int64)
        breaks = np.flatnonzero((np.diff(stored) != 1) | (np.diff(of_row) != 0)) + 1
        edges = [0, *breaks.tolist(), len(stored)]
        known = list(numbers)
        runs = [
            Run(int(stored[start]), stop - start, known[of_row[start]]) for start, stop in pairwise(edges)
        ]
        return StoredMatrix(runs, quantity.stop)

    def _state(self, rows: int) -> Layout:
        """Return the layout of a state: one row of chunks, in one file where there are tasks."""
        return Layout(rows, rows, self._layout.task_batches and 1)

    def save_state(self, layer: str, what: str, key: str, values: Float64[np.ndarray, "_ _"]) -> None:
        rows, columns = values.shape
        with self._writing, _disk(self._folder):
            path = self._made(layer, what, f"{STATE}{key}")
            array = self._state(rows).create(path, rows, columns, values.dtype)
            array.remove_damaged(range(rows))  # and nothing else: another process may save the same
            array.write(range(rows), values)
            array.finish()
            for of, name in list(self._arrayfolders_in(short_digest(layer))):
                if of == what and name.startswith(STATE) and name != f"{STATE}{key}":
                    writers.remove_folder(self._path(short_digest(layer), what, name))

    @contextmanager
    def alone(self, layer: str) -> Iterator[None]:
        folder = self._folder / "layers" / short_digest(layer)
        with _disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with alone(folder, wait=WAIT):
            yield

    def state_keys(self, layer: str, what: str) -> set[str]:
        with _disk(self._folder):
            names = [name for of, name in self._arrayfolders_in(short_digest(layer)) if of == what]
        return {name.removeprefix(STATE) for name in names if name.startswith(STATE)}

    def load_state(self, layer: str, what: str, key: str, shape: tuple[int, int]) -> np.ndarray | None:
        path = self._path(short_digest(layer), what, f"{STATE}{key}")
        if not path.is_dir():
            return None
        rows = range(shape[0])
        with _disk(path):
            array = self._state(shape[0]).open(path, shape[1])
            if array is None or array.remove_damaged(rows) or not array.holds(rows):
                return None
            array.finish()  # where a run was killed before it was: only then can it be read
        part = Segment(array, 0, 0, shape[1])
        return np.asarray(StoredMatrix([Run(0, shape[0], (part,))], shape[1]))


def open_recording(
    path: Path,
    identity: Mapping[str, Any],
    behaviour: Mapping[str, Sequence[float]],
    *,
    name: str,
    batch_size: int,
    task_batches: int = 1,
    compiled: bool | None = None,
    compress: str = "none",
    fresh: bool = False,
) -> DiskStore:
    """Return the recording of a network in a store, a new one where there is none.

    The numbers depend on the images and on the identity: those of another are never mixed in. Code of the
    network that was changed shows only in its behaviour, what each layer makes of a fixed image. A recording
    that has begun keeps its batch size, its tasks and how it is packed. A fresh store loses all that it held.
    """
    notes: list[str] = []
    recordings = path / RECORDINGS
    with _disk(path):
        require_store(path)
        if path.exists():
            _look_over(path)
        if is_lost(path) and recordings.exists():
            notes.append(
                f"{path / METADATA}: was empty or gone, as a power failure may leave it; it is made anew, "
                "and what was recorded is kept"
            )
        if fresh:
            writers.remove_folder(recordings)
        if not _is_marked(path):
            write_group(path, MARK)
        write_group(recordings, {})
        there = _recordings(path, notes)
    identity = json.loads(json.dumps({**identity, "recording_format": RECORDING_FORMAT}))
    alike = {key: about for key, about in there.items() if about["identity"] == identity}
    same = [key for key, about in alike.items() if behaves_alike(about["behaviour"], behaviour)]
    about: dict[str, Any] = {
        "name": name,
        "identity": identity,
        "batch_size": batch_size,
        "chunk_rows": math.ceil(batch_size / math.ceil(batch_size / CHUNK_ROWS)),
        TASK_BATCHES: task_batches,
        **({} if compiled is None else {WHETHER_COMPILED: compiled}),
        COMPRESS: compress,
        KEY: "",
        "behaviour": {layer: list(sums) for layer, sums in behaviour.items()},
    }
    # Never the name of another, not even of one that is gone: who still reads that must not find this.
    new = f"{short_digest(json.dumps(identity, sort_keys=True))}-{secrets.token_hex(4)}"
    folder, kept = (recordings / same[0], there[same[0]]) if same else (recordings / new, {})
    about[KEY] = folder.name
    if PROMISED in kept:
        about[PROMISED] = kept[PROMISED]
    if same:
        about["behaviour"] |= kept["behaviour"]
        with _disk(folder):
            names = [name for of in ("divisions", "batches") for name in names_in(folder / of)]
            begun = any(name != METADATA and not name.endswith(writers.PARTIAL) for name in names)
            begun = begun or bool(folders_in(folder / "layers"))
        if begun:
            facts = ("batch_size", "chunk_rows", TASK_BATCHES, COMPRESS, WHETHER_COMPILED, AT_ONCE, THREADS)
            about = {fact: value for fact, value in about.items() if fact not in facts}
            about |= {fact: kept[fact] for fact in facts if fact in kept}
    elif there:
        with _disk(path):
            latest = max(alike or there, key=lambda key: (recordings / key / METADATA).stat().st_mtime)
        if differing := what_differs(there[latest], about):
            notes.append(
                f"{path}: holds responses recorded with another {differing}; they are kept, but not used: "
                "--fresh removes them"
            )
    with _disk(path):
        if kept != about:
            write_group(folder, about)
        for part in ("batches", "layers"):
            make_group(folder / part, {})
    return DiskStore(folder, about, notes)


def _look_over(store: Path) -> None:
    """Remove unfinished files that were left, but no chunks; what must not be in a store is an error."""
    for entry in files_in(store):
        if entry.name.endswith(writers.PARTIAL) and not entry.name.startswith("c."):
            path = Path(entry.path)
            if writers.is_left(path):
                path.unlink(missing_ok=True)


def require_store(path: Path) -> None:
    """Raise an error where a path is taken by something that is no store of responses."""
    with _disk(path):
        if path.is_symlink():
            raise InputError(f"{path}: is a link; name the folder that it points to")
        if not path.exists():
            return
        begun = path.is_dir() and all(
            name in BEGUN or (name.startswith(METADATA) and name.endswith(writers.PARTIAL))
            for name in names_in(path)
        )
        ours = begun or is_store(path)
    if not ours:
        raise InputError(
            f"{path}: already exists and is no store of responses, or a damaged one; move it away, or "
            "choose another folder"
        )


def is_store(path: Path) -> bool:
    """Return whether a folder says that it is a store, or holds a recording and has lost what says so."""
    if _is_marked(path):
        return True
    recordings = path / RECORDINGS
    lost = is_lost(path) and not recordings.is_symlink()
    return lost and any(about_recording(recordings / name) for name in folders_in(recordings))


def _is_marked(path: Path) -> bool:
    return read_attributes(path).items() >= MARK.items()


def about_recording(folder: Path) -> dict[str, Any]:
    """Return what a recording says of itself; nothing where it is damaged, or of another version."""
    about = read_attributes(folder)
    sizes = [about.get(key) for key in ("batch_size", "chunk_rows")]
    sizes += [about.get(AT_ONCE, sizes[0]), about.get(TASK_BATCHES, 1)]
    good = all(type(about.get(key)) is dict for key in ("identity", "behaviour"))
    good = good and all(type(size) is int and 1 <= size <= MOST_IMAGES for size in sizes)
    threads = about.get(THREADS, [])
    good = good and isinstance(threads, list) and all(type(number) is int for number in threads)
    good = good and about.get(COMPRESS, "none") in [*COMPRESSIONS]
    good = good and about.get(KEY, folder.name) == folder.name
    promised = about.get(PROMISED, 0)
    good = good and type(promised) is int and 0 <= promised < 2**48
    return about if good and about.get(WHETHER_COMPILED) in (None, True, False) else {}


def _recordings(path: Path, notes: list[str]) -> dict[str, dict[str, Any]]:
    """Return what each recording of a store says of itself; those that can't be read are left alone."""
    found = {}
    for name in folders_in(path / RECORDINGS):
        folder = path / RECORDINGS / name
        if about := about_recording(folder):
            found[name] = about
        elif (folder / METADATA).exists():
            notes.append(
                f"{folder}: is damaged, or was written by another version, and is not used: everything is "
                "recorded again; --fresh removes it"
            )
    return found


#: How far mean and SD of the responses to a fixed image may differ, relative to the larger. Between machines
#: they do by less; and what differs by less is within the tolerance of the definition.
BEHAVIOUR_TOLERANCE = 1e-5


def behaves_alike(kept: Mapping[str, Any], now: Mapping[str, Sequence[float]]) -> bool:
    """Return whether a network makes the same of a fixed image as it did, layer by layer."""
    for layer in kept.keys() & now.keys():
        try:
            difference = np.abs(np.subtract(kept[layer], now[layer]))
        except (TypeError, ValueError):  # what somebody made
            return False
        if not (difference <= BEHAVIOUR_TOLERANCE * np.abs(now[layer]).max()).all():
            return False
    return True


#: What an identity stands for that says nothing of a choice, as those from before there was one.
UNSAID = {"tokens": "all", "dtype": "float32"}

#: What recordings are meant to differ in, when a network is looked at in several ways.
SEVERAL_WAYS = ["tokens"]


def what_differs(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return in what two recordings differ, in words; "" where that is as it should be."""
    before, now = ({**UNSAID, **about["identity"]} for about in (recorded, wanted))
    names = recorded.get("name"), wanted["name"]
    if names[0] != names[1] and before.get("network") != now["network"]:
        before["network"], now["network"] = names  # which say more than fingerprints
    changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if changed == SEVERAL_WAYS:
        return ""
    if not changed:
        return "code of the network or its preprocessing (the same image gives other responses)"
    return ", ".join(
        f"{name.replace('_', ' ')} ({_short(before.get(name))}, now {_short(now.get(name))})"
        for name in changed
    )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."
