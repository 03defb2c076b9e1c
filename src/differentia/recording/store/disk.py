"""The store in a folder, ``responses.zarr``: Zarr format 3, a region for each batch of images.

::

    responses.zarr/               "differentia": what marks it as ours
        recordings/KEY/           one network, engine and presentation: "identity", "batch_size", "behaviour",
                                  "task_batches", and, once they are known, "compiled" and "at_once"
            divisions/N.json      which images get the numbers of batches from one on
            batches/N/            a batch: its set and the hashes of its images
            layers/KEY/           a layer, by a hash of its name: "layer"
                WHAT/START-STOP   an array of images x columns

A batch has the rows from N times the (rounded) batch size on; rows that it does not fill are never written.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Num

from differentia.definition.matrix import ResponseMatrix
from differentia.errors import InputError, StorageError
from differentia.recording.division import LEAST_IN_A_TASK, Division, Promised, as_facts, from_facts
from differentia.recording.store import arrays
from differentia.recording.store.arrays import METADATA, Run, Segment, StoredArray, StoredMatrix
from differentia.recording.store.base import KeptBatch, Place, Quantity, Store, cover
from differentia.system.files import NO_ROOM
from differentia.system.locking import IN_USE, alone
from differentia.system.machine import written_size

#: Raised by one when what a recording means changes: numbers of another version are not mixed in. It is not
#: the library's version.
RECORDING_FORMAT = 2

#: The attribute of a recording that says whether its pass is compiled.
WHETHER_COMPILED = "compiled"

#: The one that says how many images go into one pass, where these are fewer than a batch has.
AT_ONCE = "at_once"

#: The folder in a store with what workers of a cluster have to know, while they record.
JOBS = "jobs"

#: What a run leaves that is killed before a store has its mark.
BEGUN = frozenset({JOBS, f"{METADATA}.partial", IN_USE})

#: The one with the numbers of threads that images were shown with.
THREADS = "threads"

#: The one that says how many batches are a task; recordings of earlier versions have none.
TASK_BATCHES = "task_batches"

#: The folder in a store with a folder for each recording.
RECORDINGS = "recordings"

#: How the folder of a state begins; its key follows.
STATE = "state-"


def _read_attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of a group; none where its metadata can't be read."""
    try:
        attributes = arrays.read_metadata(path)["attributes"]
    except arrays.JUNK:
        return {}
    return attributes if isinstance(attributes, dict) else {}


def _write_group(path: Path, attributes: Mapping[str, Any]) -> None:
    arrays.write_metadata(path, {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)})


def _make_group(path: Path, attributes: Mapping[str, Any]) -> None:
    """Write the metadata of a group that has none."""
    if not (path / METADATA).exists():
        _write_group(path, attributes)


def _key(text: str) -> str:
    """Return a short name for any text, which is safe as the name of a folder."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Say what can be done where the disk refuses."""
    try:
        yield
    except OSError as error:
        hint = "free some space" if error.errno in NO_ROOM else "solve this"
        raise StorageError(
            f"{path}: can't be written or read ({error.strerror or error}); {hint} and run the same command "
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
        self._chunk_rows = about["chunk_rows"]
        self._region = math.ceil(self.batch_size / self._chunk_rows) * self._chunk_rows
        self._arrays: dict[tuple[str, str], dict[tuple[int, int], StoredArray]] = {}
        self._damage: dict[tuple[str, str], tuple[list[Path], int]] = {}
        self._writing = threading.Lock()
        with _disk(folder):
            self.batches = self._read_batches()
            self.divisions: list[Division] = []
            self._names_of_divisions: set[str] = set()
            self._read_divisions()
            self._lost = self._numbers_with_rows() - {batch.number for batch in self.batches}

    def note_compiled(self, compiled: bool) -> None:
        if compiled != self.compiled:
            super().note_compiled(compiled)
            with alone(Path(self.name)):
                self._note(WHETHER_COMPILED, compiled)

    def note_threads(self, threads: int) -> None:
        if threads not in self.threads:
            with alone(Path(self.name)):  # others may do the same
                self.threads = tuple(_read_attributes(self._folder).get(THREADS, ()))
                super().note_threads(threads)
                self._note(THREADS, list(self.threads))

    def note_at_once(self, images: int) -> None:
        if images != self.at_once:
            super().note_at_once(images)
            with alone(Path(self.name)):
                self._note(AT_ONCE, min(images, _read_attributes(self._folder).get(AT_ONCE, images)))

    def _note(self, fact: str, value: Any) -> None:
        with _disk(self._folder):
            _write_group(self._folder, {**_read_attributes(self._folder), fact: value})

    def _read_batches(self) -> list[KeptBatch]:
        found = []
        folder = self._folder / "batches"
        for number in sorted({int(name) for name in _names(folder) if name.isdecimal()}):
            path = folder / str(number)
            batch = _as_batch(number, _read_attributes(path), self.batch_size)
            if batch is not None:
                found.append(batch)
            else:
                if (path / METADATA).exists():  # else the run ended before it was written
                    self._notes.append(f"{path}: is damaged; its images are recorded again")
                shutil.rmtree(path, ignore_errors=True)
        return found

    def _read_divisions(self) -> None:
        """Take in the divisions that were not there before."""
        folder = self._folder / "divisions"
        folder.mkdir(exist_ok=True)
        for path in sorted(folder.glob("*.json"), key=lambda path: (len(path.name), path.name)):
            if path.name in self._names_of_divisions:
                continue
            self._names_of_divisions.add(path.name)
            try:
                division = from_facts(json.loads(path.read_text(encoding="utf-8")))
            except ValueError:
                division = None
            if division is None:
                self._notes.append(f"{path}: is damaged; what is yet to be recorded gets other numbers")
            else:
                self.divisions.append(division)

    def _numbers_with_rows(self) -> set[int]:
        """Return the numbers of batches of whose rows something is there."""
        paths = self._folder.glob("layers/*/*/*")
        chunks = {
            down for path in paths if not path.name.startswith(STATE) for down in arrays.chunk_rows(path)
        }
        return {down * self._chunk_rows // self._region for down in chunks}

    def promise(self, sets: Mapping[str, str], batches: Sequence[Promised]) -> None:
        folder = self._folder / "divisions"
        with _disk(self._folder):
            taken = [division.stop for division in self.divisions]
            taken += [number + 1 for number in (*self._lost, *(batch.number for batch in self.batches))]
            first = math.ceil(max(taken, default=0) / self.task_batches) * self.task_batches
            division = Division(first, self.task_batches, sets, tuple(batches))
            beside = folder / f"{secrets.token_hex(8)}.partial"
            beside.write_text(json.dumps(as_facts(division)), encoding="utf-8")
            with suppress(FileExistsError):
                os.link(beside, folder / f"{len(self._names_of_divisions)}.json")
            beside.unlink()
            self._read_divisions()

    def add_batch(
        self, number: int, set_name: str, images: Sequence[str], skipped: Sequence[str] = ()
    ) -> KeptBatch:
        batch = KeptBatch(number, set_name, tuple(images), tuple(skipped))
        with _disk(self._folder):
            if number in self._lost:
                self._forget(range(number * self._region, (number + 1) * self._region))
                self._lost.discard(number)
            _write_group(self._folder / "batches" / str(number), _as_attributes(batch))
        self.batches.append(batch)
        self.batches.sort()
        return batch

    def _forget(self, rows: range) -> None:
        """Remove all that is there of rows."""
        for folder in self._folder.glob("layers/*/*/"):
            layer = _read_attributes(folder.parent).get("layer", "")
            for array in self._arrays_of(layer, folder.name).values():
                array.forget(rows)

    def _rows(self, batch: KeptBatch) -> range:
        start = batch.number * self._region
        return range(start, start + len(batch.images))

    def _quantity_folder(self, layer: str, what: str) -> Path:
        return self._folder / "layers" / _key(layer) / what

    def _arrays_of(self, layer: str, what: str) -> dict[tuple[int, int], StoredArray]:
        """Return the arrays of a quantity, by their columns."""
        if (layer, what) not in self._arrays:
            found = {}
            folder = self._quantity_folder(layer, what)
            for name in sorted(_names(folder)):
                first, _, last = name.partition("-")
                if not (first.isdecimal() and last.isdecimal() and int(first) < int(last)):
                    continue
                with _disk(folder):
                    array = arrays.open_array(folder / name, int(last) - int(first), self._chunk_rows)
                if array is None:
                    if (folder / name / METADATA).exists():
                        again = f"{_in_words(layer, what)} is recorded again"
                        self._notes.append(f"{folder / name}: is damaged; {again}")
                    shutil.rmtree(folder / name, ignore_errors=True)
                else:
                    found[int(first), int(last)] = array
            self._arrays[layer, what] = found
        return self._arrays[layer, what]

    def columns(self, quantity: Quantity, batch: KeptBatch) -> list[tuple[int, int]]:
        rows, held = self._rows(batch), self._arrays_of(quantity.layer, quantity.what)
        return [columns for columns, array in held.items() if array.holds(rows)]

    def write(self, quantity: Quantity, batch: KeptBatch, values: Num[np.ndarray, "b k"]) -> None:
        layer, what, start, stop = quantity
        rows, held = self._rows(batch), self._arrays_of(layer, what)
        last = max([batch.number + 1, *(division.stop for division in self.divisions)])
        length = last * self._region
        with self._writing, _disk(self._folder):
            if (start, stop) not in held:
                path = self._made_folder(layer, what) / f"{start}-{stop}"
                held[start, stop] = arrays.create(path, length, stop - start, values.dtype, self._chunk_rows)
            held[start, stop].lengthen(length)
            held[start, stop].write(rows, values)

    def take_notes(self) -> list[str]:
        notes, self._notes = self._notes, []
        for (layer, what), (files, images) in self._damage.items():
            more = f" (so have {len(files) - 1} more chunks)" if len(files) > 1 else ""
            again = f"{_in_words(layer, what)} is recorded again for {images} image{'s' * (images > 1)}"
            notes.append(f"{files[0]}: has changed since it was written{more}; {again}")
        self._damage = {}
        return notes

    def _made_folder(self, layer: str, what: str) -> Path:
        """Return the folder of a quantity, with the metadata of the groups that it lies in."""
        folder = self._quantity_folder(layer, what)
        _make_group(folder.parent.parent, {})
        _make_group(folder.parent, {"layer": layer})
        _make_group(folder, {"what": what})
        return folder

    def repair(self, quantity: Quantity, batch: KeptBatch) -> None:
        layer, what, *_ = quantity
        rows = self._rows(batch)
        for array in self._arrays_of(layer, what).values():
            with _disk(array.path):
                if removed := array.remove_damaged(rows):
                    files, images = self._damage.get((layer, what), ([], 0))
                    self._damage[layer, what] = [*files, *removed], images + len(rows)

    def require_space(self, size: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if size > free:
            raise StorageError(
                f"{self.name}: {written_size(size)} are to be written, but the disk has {written_size(free)} "
                "free; free some space, choose another disk, or use fewer --n-units, --layers or images"
            )

    def matrix(self, quantity: Quantity, places: Sequence[Place]) -> ResponseMatrix:
        held = self._arrays_of(quantity.layer, quantity.what)
        parts: dict[int, tuple[Segment, ...]] = {}
        runs: list[Run] = []
        for batch, row in places:
            if batch.number not in parts:
                covered = cover(self.columns(quantity, batch), quantity.stop)
                parts[batch.number] = tuple(Segment(held[some], some[0], *part) for some, part in covered)
            stored = batch.number * self._region + row
            last = runs[-1] if runs else None
            if last and last.parts == parts[batch.number] and last.stored + last.length == stored:
                runs[-1] = last._replace(length=last.length + 1)
            else:
                runs.append(Run(stored, 1, parts[batch.number]))
        return StoredMatrix(runs, quantity.stop)

    def save_state(self, layer: str, what: str, key: str, values: Float64[np.ndarray, "_ _"]) -> None:
        with self._writing, _disk(self._folder):
            folder = self._made_folder(layer, what)
            rows, columns = values.shape
            array = arrays.create(folder / f"{STATE}{key}", rows, columns, values.dtype, rows)
            array.write(range(rows), values)
            for name in set(_names(folder)) - {array.path.name}:
                shutil.rmtree(folder / name, ignore_errors=True)

    def state_keys(self, layer: str, what: str) -> set[str]:
        names = _names(self._quantity_folder(layer, what))
        return {name.removeprefix(STATE) for name in names if name.startswith(STATE)}

    def load_state(self, layer: str, what: str, key: str, shape: tuple[int, int]) -> np.ndarray | None:
        path = self._quantity_folder(layer, what) / f"{STATE}{key}"
        if not path.is_dir():
            return None
        rows = range(shape[0])
        with _disk(path):
            array = arrays.open_array(path, shape[1], shape[0])
            if array is None or array.remove_damaged(rows) or not array.holds(rows):
                return None
        part = Segment(array, 0, 0, shape[1])
        return np.asarray(StoredMatrix([Run(0, shape[0], (part,))], shape[1]))


def _as_attributes(batch: KeptBatch) -> dict[str, Any]:
    facts = {"set": batch.set, "images": list(batch.images), "skipped": list(batch.skipped)}
    return {**facts, "digest": _key(json.dumps(facts))}


def _as_batch(number: int, facts: dict[str, Any], most: int) -> KeptBatch | None:
    """Return the batch that attributes tell of; None where they are not what was written."""
    try:
        batch = KeptBatch(number, facts["set"], tuple(facts["images"]), tuple(facts["skipped"]))
        whole = _as_attributes(batch) == facts
    except (TypeError, KeyError):
        return None
    hashes = [*batch.images, *batch.skipped]
    return batch if whole and len(hashes) <= most and all(isinstance(name, str) for name in hashes) else None


def _names(folder: Path) -> list[str]:
    """Return the names of the folders in a folder; none where it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _in_words(layer: str, what: str) -> str:
    return f"{what} of layer {layer!r}" if layer else what


def open_recording(
    path: Path,
    identity: Mapping[str, Any],
    behaviour: Mapping[str, Sequence[float]],
    *,
    name: str,
    batch_size: int,
    task_batches: int = 1,
    compiled: bool | None = None,
    fresh: bool = False,
) -> DiskStore:
    """Return the recording of a network in a store, a new one where there is none.

    The numbers depend on the images and on the identity: those of another are never mixed in. Code of the
    network that was changed shows only in its behaviour, what each layer makes of a fixed image. A recording
    that has begun keeps its batch size. A fresh store loses all that it held.
    """
    notes: list[str] = []
    recordings = path / RECORDINGS
    with _disk(path):
        require_store(path)
        if path.exists():
            _require_no_links(path)
        if fresh and recordings.exists():
            shutil.rmtree(recordings)
        _make_group(path, {"differentia": "responses"})
        _write_group(recordings, {})
        there = _recordings(path, notes)
    identity = json.loads(json.dumps({**identity, "recording_format": RECORDING_FORMAT}))
    alike = {key: about for key, about in there.items() if about["identity"] == identity}
    same = [key for key, about in alike.items() if behaves_alike(about["behaviour"], behaviour)]
    about: dict[str, Any] = {
        "name": name,
        "identity": identity,
        "batch_size": batch_size,
        "chunk_rows": min(arrays.CHUNK_ROWS, batch_size),
        TASK_BATCHES: task_batches,
        **({} if compiled is None else {WHETHER_COMPILED: compiled}),
        "behaviour": {layer: list(sums) for layer, sums in behaviour.items()},
    }
    # Never the name of another, not even of one that is gone: who still reads that must not find this.
    new = f"{_key(json.dumps(identity, sort_keys=True))}-{secrets.token_hex(4)}"
    folder, kept = (recordings / same[0], there[same[0]]) if same else (recordings / new, {})
    if same:
        about["behaviour"] |= kept["behaviour"]
        divided = any((folder / "divisions").glob("*.json"))
        if divided or _names(folder / "batches") or _names(folder / "layers"):  # it has begun
            facts = ("batch_size", "chunk_rows", TASK_BATCHES, WHETHER_COMPILED, AT_ONCE, THREADS)
            about = {fact: value for fact, value in about.items() if fact not in facts}
            about |= {fact: kept[fact] for fact in facts if fact in kept}
    elif there:
        latest = max(alike or there, key=lambda key: (recordings / key / METADATA).stat().st_mtime)
        if differing := what_differs(there[latest], about):
            notes.append(
                f"{path}: holds responses recorded with another {differing}; they are kept, but not used: "
                "--fresh removes them"
            )
    with _disk(path):
        if kept != about:
            _write_group(folder, about)
        for part in ("batches", "layers"):
            _make_group(folder / part, {})
    return DiskStore(folder, about, notes)


def _require_no_links(folder: str | os.PathLike[str]) -> None:
    """Raise an error where a store that somebody made would lead us to other folders."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                raise InputError(f"{entry.path}: is a link, and a store holds none; remove it")
            if entry.is_dir():
                _require_no_links(entry)


def require_store(path: Path) -> None:
    """Raise an error where a path is taken by something that is no store of responses."""
    if path.is_symlink():
        raise InputError(f"{path}: is a link; name the folder that it points to")
    if not path.exists():
        return
    begun = path.is_dir() and {entry.name for entry in path.iterdir()} <= BEGUN
    if not begun and _read_attributes(path).get("differentia") != "responses":
        raise InputError(
            f"{path}: already exists and is no store of responses, or a damaged one; move it away, or "
            "choose another folder"
        )


def _recordings(path: Path, notes: list[str]) -> dict[str, dict[str, Any]]:
    """Return what each recording of a store says of itself; those that can't be read are left alone."""
    found = {}
    for name in _names(path / RECORDINGS):
        folder = path / RECORDINGS / name
        about = _read_attributes(folder)
        sizes = [about.get(key) for key in ("batch_size", "chunk_rows")]
        sizes += [about.get(AT_ONCE, sizes[0]), about.get(TASK_BATCHES, 1)]
        good = all(type(about.get(key)) is dict for key in ("identity", "behaviour"))
        good = good and all(type(size) is int and 1 <= size < 2**31 for size in sizes)
        threads = about.get(THREADS, [])
        good = good and isinstance(threads, list) and all(type(number) is int for number in threads)
        if good and about.get(WHETHER_COMPILED) in (None, True, False):
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
