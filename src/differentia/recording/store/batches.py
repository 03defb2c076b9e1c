"""Which images were shown together: a line of JSON for each batch, in a file for each task.

Earlier versions wrote a group of Zarr for each batch; their recordings go on so.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

from differentia.errors import StorageError
from differentia.recording.store import writers
from differentia.recording.store.base import KeptBatch
from differentia.recording.store.metadata import METADATA, read_attributes, write_group
from differentia.system.regular import names_in, opened

#: How the name of a file ends that has the batches of a task.
LINES = ".jsonl"

#: How each line begins.
_BEGIN = b'{"number": '

#: Bytes that a line has at most for each image, beside them, and in all.
_MOST_OF_IMAGE, _MOST_BESIDE, _MOST_OF_LINE = 256, 2**16, 2**26


def short_digest(text: str) -> str:
    """Return a short name for any text, which is safe as the name of a folder."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _as_facts(batch: KeptBatch, place: str = "") -> dict[str, Any]:
    """Return what is kept of a batch, with a digest of that and of where it is kept."""
    facts = {"set": batch.set, "images": list(batch.images), "skipped": list(batch.skipped)}
    return {**facts, "digest": short_digest(place + json.dumps(facts))}


def batch_of(number: int, facts: dict[str, Any], most: int, place: str = "") -> KeptBatch | None:
    """Return the batch that attributes tell of; None where they are not what was written there."""
    try:
        batch = KeptBatch(number, facts["set"], tuple(facts["images"]), tuple(facts["skipped"]))
        whole = _as_facts(batch, place) == facts
    except (TypeError, KeyError):
        return None
    hashes = [*batch.images, *batch.skipped]
    texts = all(isinstance(name, str) for name in (batch.set, *hashes))
    return batch if whole and texts and len(hashes) <= most else None


def batches_in(folder: Path, most: int, task_batches: int | None) -> BatchLines | BatchFolders:
    """Return the batches of a recording, of at most `most` images, however it keeps them."""
    return BatchFolders(folder, most) if task_batches is None else BatchLines(folder, most, task_batches)


@dataclass
class BatchLines:
    """The batches of a recording, of at most `most` images, in files of lines.

    Only the process that records a task writes into its file, and a line is one write: one that is torn was
    never finished. Where two processes record the same task, of two lines with one number the first counts.
    """

    folder: Path
    most: int
    task_batches: int
    #: What was found to be damaged, in words.
    notes: list[str] = field(default_factory=list)
    #: Files that end within a line, or have a damaged one: they are written anew before something is added.
    _to_mend: set[Path] = field(default_factory=set)
    #: How many bytes each file had when this process was last at it.
    _sizes: dict[Path, int] = field(default_factory=dict)
    #: By number, what was read of them.
    _found: dict[int, KeptBatch] = field(default_factory=dict)

    def read(self) -> list[KeptBatch]:
        """Return the batches, in the order of their numbers."""
        for name in names_in(self.folder):
            if name.endswith(LINES):
                self._read_file(self.folder / name)
        return [self._found[number] for number in sorted(self._found)]

    def _read_file(self, path: Path) -> None:
        damaged = 0
        self._sizes[path] = 0
        for line in self._lines(path):
            self._sizes[path] += len(line)
            batch = self._of_line(line)
            if batch is not None and path == self._file(batch.number):
                self._found.setdefault(batch.number, batch)
            elif line.strip():
                self._to_mend.add(path)
                ended = not line.endswith(b"\n") and line.startswith(_BEGIN[: len(line)])  # with its run
                damaged += not ended
        if damaged:
            lines = "a line is" if damaged == 1 else f"{damaged} lines are"
            self.notes.append(f"{path}: {lines} damaged; the images are recorded again")

    def _lines(self, path: Path) -> Iterator[bytes]:
        limit = min(_MOST_BESIDE + self.most * _MOST_OF_IMAGE, _MOST_OF_LINE)
        with suppress(FileNotFoundError), opened(path) as file:
            if file is None:
                self._to_mend.add(path)
                return
            lines = BufferedReader(file)
            while line := lines.readline(limit):
                rest = line
                while len(rest) == limit and not rest.endswith(b"\n"):  # longer than any of ours
                    rest = lines.readline(limit)
                yield line if rest is line else line + b"\n"

    def _of_line(self, line: bytes) -> KeptBatch | None:
        try:
            facts = json.loads(line)
            number = facts.pop("number")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        good = type(number) is int and 0 <= number < 2**48
        return batch_of(number, facts, self.most, self._place(number)) if good else None

    def _place(self, number: int) -> str:
        """Return what a digest tells a line from others by: the recording, and the number."""
        return f"{self.folder.absolute().parent.name} {number} "

    def _file(self, number: int) -> Path:
        return self.folder / f"{number // self.task_batches}{LINES}"

    def add(self, batch: KeptBatch) -> None:
        """Write the line of a batch."""
        path = self._file(batch.number)
        facts = _as_facts(batch, self._place(batch.number))
        line = json.dumps({"number": batch.number, **facts}).encode() + b"\n"
        self._require_no_other(path, batch)
        if path in self._to_mend or not writers.has_one_name(path):
            whole = [kept for kept in self._lines(path) if kept.endswith(b"\n") and self._of_line(kept)]
            content = b"".join([*whole, line])
            writers.write_whole(path, content)
            self._sizes[path] = len(content)
        else:
            self._to_mend.add(path)  # unless all of it goes through
            with writers.open_again(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as file:
                done = file.write(line)
                while done < len(line):
                    done += file.write(line[done:])
            self._sizes[path] = self._sizes.get(path, 0) + len(line)
        self._to_mend.discard(path)

    def _require_no_other(self, path: Path, batch: KeptBatch) -> None:
        """Raise an error where a line that counts, of another process, has other images of a batch."""
        with suppress(FileNotFoundError):
            if path.lstat().st_size != self._sizes.get(path, 0):
                self._read_file(path)
        if self._found.get(batch.number, batch) != batch:
            raise StorageError(
                f"{path}: another process records the same images, of which some could be read by one only, "
                "or have changed meanwhile; run the same command again when that is done"
            )


@dataclass
class BatchFolders:
    """The batches of a recording that an earlier version began, each a group of Zarr."""

    folder: Path
    most: int
    notes: list[str] = field(default_factory=list)

    def read(self) -> list[KeptBatch]:
        """Return the batches, in the order of their numbers."""
        found = []
        for number in sorted(int(name) for name in os.listdir(self.folder) if name.isdecimal()):
            path = self.folder / str(number)
            batch = batch_of(number, read_attributes(path), self.most)
            if batch is not None:
                found.append(batch)
            elif (path / METADATA).exists():  # else the run ended before it was written
                self.notes.append(f"{path}: is damaged; its images are recorded again")
                writers.remove_folder(path)
            writers.remove_left(path)
        return found

    def add(self, batch: KeptBatch) -> None:
        """Write the group of a batch."""
        write_group(self.folder / str(batch.number), _as_facts(batch))
