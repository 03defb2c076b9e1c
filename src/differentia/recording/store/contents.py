"""What a store holds, for whoever looks on: nothing is written, and nobody is kept from writing meanwhile."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from differentia.recording.division import LEAST_IN_A_TASK, Division, Promised
from differentia.recording.store import writers
from differentia.recording.store.base import OF_SOME, KeptBatch
from differentia.recording.store.batches import BatchLines, batch_of
from differentia.recording.store.disk import RECORDINGS, TASK_BATCHES, about_recording
from differentia.recording.store.divisions import DivisionFiles
from differentia.recording.store.entries import files_in
from differentia.recording.store.layouts import Layout, columns_of, folders_in, layout_of
from differentia.recording.store.metadata import JUNK, read_attributes
from differentia.system.locking import seems_ended


@dataclass(frozen=True)
class SetContents:
    """Images of a set.

    Attributes
    ----------
    kept
        Those that were shown to the network.
    unreadable
        Those that were left out, since they could not be read.
    missing
        Those that are to be shown yet, by what was last promised to a set of this name.
    earlier
        Those that were shown before, and promised again since the set changed: parts take them as they are
        there, where their content is the same.
    """

    name: str
    kept: int
    unreadable: int
    missing: int
    earlier: int


@dataclass(frozen=True)
class QuantityContents:
    """Numbers of a layer.

    Attributes
    ----------
    layer, what
        As in `Quantity`.
    columns
        How many there are of an image, at most.
    images
        Of how many kept images all columns are there.
    """

    layer: str
    what: str
    columns: int
    images: int

    @property
    def of_all(self) -> bool:
        """Whether it is to be there of every image: maps are kept of some, and units that some ranked."""
        return not self.what.startswith(OF_SOME)


@dataclass(frozen=True)
class UnfinishedFile:
    """A file that is not whole yet.

    Attributes
    ----------
    left
        Whether its writer has ended, as far as can be seen without a write.
    """

    path: Path
    size: int
    left: bool


@dataclass(frozen=True)
class RecordingContents:
    """One recording of a store.

    Attributes
    ----------
    path
        Its folder.
    about
        What it says of itself: "name" (the network's), "identity", "batch_size"; empty where it is damaged.
    sets, quantities
        What it holds, in the order in which that came, and of layers.
    tasks, tasks_begun
        How many tasks have batches that are there or missing, and of how many a batch is there.
    unfinished
        Files that somebody writes to, or has left behind.
    begun, changed
        When the oldest and the newest of its files were written, in seconds since 1970.
    size, files
        Bytes, and how many files there are.
    """

    path: Path
    about: Mapping[str, Any]
    sets: tuple[SetContents, ...]
    quantities: tuple[QuantityContents, ...]
    tasks: int
    tasks_begun: int
    unfinished: tuple[UnfinishedFile, ...]
    begun: float
    changed: float
    size: int
    files: int

    @property
    def images(self) -> int:
        """How many images were shown."""
        return sum(one.kept for one in self.sets)


def contents_of(path: Path) -> list[RecordingContents]:
    """Return what the recordings of a store hold, the one that was changed last at the end.

    What others write meanwhile may be there or not.
    """
    files = _files(path)
    found = [_contents(path / RECORDINGS / name, files[name]) for name in folders_in(path / RECORDINGS)]
    return sorted(found, key=lambda one: (one.changed, one.path.name))


_Files = list[tuple[os.DirEntry[str], os.stat_result]]


def _files(store: Path) -> Mapping[str, _Files]:
    """Return the files of each recording, but those that are removed meanwhile."""
    recordings = os.path.join(store, RECORDINGS, "")
    found = defaultdict[str, _Files](list)
    for entry in files_in(store):
        if entry.path.startswith(recordings):
            with suppress(OSError):
                name = entry.path[len(recordings) :].partition(os.sep)[0]
                found[name].append((entry, entry.stat(follow_symlinks=False)))
    return found


def _contents(folder: Path, files: _Files) -> RecordingContents:
    about = about_recording(folder)
    batches, divisions = list[KeptBatch](), list[Division]()
    if about:
        batches, divisions = _batches(folder / "batches", about), _divisions(folder / "divisions", about)
    times = [facts.st_mtime for _, facts in files]
    to_show = _to_show(batches, divisions)
    task_batches = about.get(TASK_BATCHES, LEAST_IN_A_TASK)
    promised = {task for division in divisions for task in division.tasks}
    begun = promised & {batch.number // task_batches for batch in batches}
    return RecordingContents(
        path=folder,
        about=about,
        sets=tuple(_sets(batches, divisions, to_show)),
        quantities=tuple(_quantities(folder / "layers", about, batches)) if about else (),
        tasks=len(begun | {number // task_batches for number in to_show.missing}),
        tasks_begun=len(begun),
        unfinished=tuple(
            _unfinished(Path(file.path), facts)
            for file, facts in sorted(files, key=lambda one: one[0].path)
            if file.name.endswith(writers.PARTIAL)
        ),
        begun=min(times, default=0.0),
        changed=max(times, default=0.0),
        size=sum(facts.st_size for _, facts in files),
        files=len(files),
    )


def _unfinished(path: Path, facts: os.stat_result) -> UnfinishedFile:
    writer = writers.writer_of(path)
    left = writer in (None, writers.NOBODY) or seems_ended(writer, facts.st_mtime)
    return UnfinishedFile(path, facts.st_size, left)


def _batches(folder: Path, about: Mapping[str, Any]) -> list[KeptBatch]:
    tasks = about.get(TASK_BATCHES)
    if tasks is not None:
        return BatchLines(folder, about["batch_size"], tasks).read()
    found = [(int(name), read_attributes(folder / name)) for name in folders_in(folder) if name.isdecimal()]
    batches = [batch_of(number, facts, 2**31) for number, facts in sorted(found, key=lambda one: one[0])]
    return [batch for batch in batches if batch is not None]


def _divisions(folder: Path, about: Mapping[str, Any]) -> list[Division]:
    files = DivisionFiles(folder, about.get(TASK_BATCHES, LEAST_IN_A_TASK))
    with suppress(OSError):
        files.read()
    return files.whole


class _ToShow(NamedTuple):
    """The batches that were promised and are not there under their number; see `SetContents`."""

    missing: dict[int, Promised]
    earlier: list[Promised]


def _to_show(batches: Sequence[KeptBatch], divisions: Sequence[Division]) -> _ToShow:
    """Return which batches are not there of those that were promised for the set as it was last.

    What images are is not known here. Those that have kept their numbers in the set, and were shown together
    before, are taken for what they were: so are all that stand before the new images of a set that grew.
    """
    images = {batch.number: len(batch.images) for batch in batches}
    last = {name: digest for division in divisions for name, digest in division.sets.items()}
    before = {
        batch
        for division in divisions
        for number, batch in enumerate(division.batches, division.first)
        if division.sets[batch.set] != last[batch.set] and images.get(number) == len(batch.images)
    }
    left = {
        number: batch for division in divisions for number, batch in division.of(last) if number not in images
    }
    return _ToShow(
        {number: batch for number, batch in left.items() if batch not in before},
        [batch for batch in left.values() if batch in before],
    )


def _sets(
    batches: Sequence[KeptBatch], divisions: Sequence[Division], to_show: _ToShow
) -> Iterator[SetContents]:
    kept, unreadable, missing, earlier = (Counter[str]() for _ in range(4))
    for batch in batches:
        kept[batch.set] += len(batch.images)
        unreadable[batch.set] += len(batch.skipped)
    for count, promised in ((missing, to_show.missing.values()), (earlier, to_show.earlier)):
        for one in promised:
            count[one.set] += len(one.images)
    for name in dict.fromkeys([*(one.set for division in divisions for one in division.batches), *kept]):
        yield SetContents(name, kept[name], unreadable[name], missing[name], earlier[name])


@dataclass(frozen=True)
class _Rows:
    """The rows of chunks that batches have, one batch after another, and where each begins among them."""

    numbers: Int64[np.ndarray, " row"]
    begins: Int64[np.ndarray, " b"]

    def all_in(self, there: set[int]) -> Bool[np.ndarray, " b"]:
        """Return which batches have all their rows among some."""
        found = np.isin(self.numbers, [row for row in there if row < 2**62])
        return np.logical_and.reduceat(found, self.begins) if len(found) else found


def _rows_of(batches: Sequence[KeptBatch], layout: Layout) -> _Rows:
    counts = np.array([math.ceil(len(batch.images) / layout.chunk_rows) for batch in batches], np.int64)
    firsts = np.array([batch.number for batch in batches], np.int64) * (
        layout.batch_rows // layout.chunk_rows
    )
    begins = np.cumsum(counts) - counts
    return _Rows(np.arange(counts.sum()) + np.repeat(firsts - begins, counts), begins)


def _quantities(
    folder: Path, about: Mapping[str, Any], batches: Sequence[KeptBatch]
) -> Iterator[QuantityContents]:
    batches = [batch for batch in batches if batch.images]
    images = np.array([len(batch.images) for batch in batches], np.int64)
    layout = layout_of(about)
    rows = _rows_of(batches, layout)
    layers = {key: str(read_attributes(folder / key).get("layer", "")) for key in folders_in(folder)}
    place = {name: at for at, name in enumerate(about.get("behaviour") or ())}  # as the network has them
    for key, name in sorted(layers.items(), key=lambda one: place.get(one[1], -1)):
        held: dict[str, dict[tuple[int, int], Bool[np.ndarray, " b"]]] = {}
        for what, array in sorted(layout.names(folder / key)):
            if (columns := columns_of(array)) is not None:
                there = _rows_there(layout, layout.path(folder / key, what, array), columns[1] - columns[0])
                held.setdefault(what, {})[columns] = rows.all_in(there)
        for what, by_columns in held.items():
            yield _quantity(name, what, by_columns, images)


def _rows_there(layout: Layout, path: Path, columns: int) -> set[int]:
    """Return the rows of chunks of an array that are there all across, finished or not."""
    try:
        array = layout.described(path, columns)
        return set() if array is None else array.rows_there()
    except (OSError, *JUNK):
        return set()


def _quantity(
    layer: str,
    what: str,
    held: Mapping[tuple[int, int], Bool[np.ndarray, " b"]],
    images: Int64[np.ndarray, " b"],
) -> QuantityContents:
    """Count the images of the batches that have all columns, each in one array or another."""
    edges = sorted({0, *(edge for columns in held for edge in columns)})
    whole = np.ones(len(images), bool)
    for low, high in pairwise(edges):
        covering = [there for (start, stop), there in held.items() if start <= low and high <= stop]
        whole &= np.any(covering, axis=0) if covering else False
    return QuantityContents(layer, what, edges[-1], int(images[whole].sum()))
