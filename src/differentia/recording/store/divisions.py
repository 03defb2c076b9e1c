"""Divisions of a recording: ``divisions/N.json``, each made once, and never changed."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from differentia.recording.division import Division, as_facts, from_facts
from differentia.recording.store import writers
from differentia.recording.store.metadata import read_json
from differentia.system.regular import names_in

#: How a file system says that a file has one name only, such as exFAT and some of SMB.
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@dataclass
class DivisionFiles:
    """The divisions of a recording whose tasks have so many batches.

    Their numbers ascend from file to file. So one that is damaged, or was another recording's, is found: else
    two batches could get the same number.
    """

    folder: Path
    task_batches: int
    #: Those that can be read, in the order of their numbers.
    whole: list[Division] = field(default_factory=list)
    #: Those that can't, since this was last emptied.
    damaged: list[Path] = field(default_factory=list)
    _last: int = -1

    def read(self) -> None:
        """Take in the divisions that were not there before."""
        found = map(Path, names_in(self.folder))
        numbers = [int(path.stem) for path in found if path.suffix == ".json" and path.stem.isdecimal()]
        for number in sorted(number for number in numbers if number > self._last):
            path, self._last = self._file(number), number
            division = self._of_file(path)
            if division is None:
                self.damaged.append(path)
            else:
                self.whole.append(division)

    def _file(self, number: int) -> Path:
        return self.folder / f"{number}.json"

    def _of_file(self, path: Path) -> Division | None:
        division = None
        with suppress(FileNotFoundError, ValueError, RecursionError):
            division = from_facts(read_json(path))
        if division is None or division.task_batches != self.task_batches:
            return None
        first = self.whole[-1].stop if self.whole else 0
        return division if division.first >= first and division.first % self.task_batches == 0 else None

    def add(self, division: Division) -> None:
        """Make a file for one more, unless another process has made one since they were read; read on."""
        self.folder.mkdir(exist_ok=True)
        target = self._file(self._last + 1)
        beside = writers.beside(target)
        beside.write_text(json.dumps(as_facts(division)), encoding="utf-8")
        try:
            os.link(beside, target)
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if not target.exists():  # whoever comes first has the folder alone
                beside.rename(target)
        finally:
            beside.unlink(missing_ok=True)
        self.read()
