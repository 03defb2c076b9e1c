"""Responses written for other processes: what is read is what was in memory, and nothing stays."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import differentia as dif
from differentia.recording.saved import saved

RNG = np.random.default_rng(0)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    """By rows, and by columns in a slice or by their places; what is sent is short."""
    values: dict[str, Any] = {"a": RNG.random((50, 900)), "b/c": RNG.integers(0, 9, (50, 3)).astype(np.int16)}
    with saved(values, tmp_path) as written:
        for name, matrix in written.items():
            there = pickle.loads(pickle.dumps(matrix))
            assert len(pickle.dumps(matrix)) < 500
            assert (there.shape, there.dtype) == (values[name].shape, values[name].dtype)
            for columns in (slice(0, 3), np.array([0, 2])):
                np.testing.assert_array_equal(there[5:20, columns], values[name][5:20, columns])
    assert [*tmp_path.iterdir()] == []
    with pytest.raises(dif.StorageError, match=r"/0: can't be read here .*; let all workers see"):
        written["a"][0:1, slice(0, 1)]


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    """Is an error for the numbers that it has lost, and does not end the process."""
    values = RNG.random((50, 900))
    with saved({"a": values}, tmp_path) as written:
        file = next(tmp_path.glob("*/0"))
        os.truncate(file, values[:40].nbytes)
        np.testing.assert_array_equal(written["a"][0:40, slice(0, 900)], values[:40])
        with pytest.raises(
            dif.StorageError, match=r"/0: can't be read here \(it ends before its last number"
        ):
            written["a"][39:41, slice(0, 1)]


def test_what_can_not_be_removed_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As over NFS, while somebody reads: hours of measuring are not lost for that."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))

    with saved({"a": RNG.random((5, 9))}, tmp_path) as written:
        monkeypatch.setattr(os, "rmdir", refused)
        assert written["a"].shape == (5, 9)
    monkeypatch.undo()
    (left,) = tmp_path.iterdir()
    assert [*left.iterdir()] == []


def test_what_goes_wrong_meanwhile(tmp_path: Path) -> None:
    """Removes the files too, and is told as it is; a folder that is not there is named."""
    with pytest.raises(OSError, match="of its own"), saved({"a": RNG.random((5, 9))}, tmp_path):
        raise OSError("of its own")
    assert [*tmp_path.iterdir()] == []
    with (
        pytest.raises(dif.StorageError, match=r"away: can't be written to \(No such file or directory\)"),
        saved({}, tmp_path / "away"),
    ):
        pass
