"""Datasets that are read in parts, when they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from helpers.malformed_nwb import MALFORMED

import differentia as dif
from differentia.neurons import stored
from differentia.neurons.stored import OTHER, StoredFile


@pytest.fixture
def datasets(tmp_path: Path) -> dict[str, Any]:
    """Datasets of a file that was closed meanwhile."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(12).reshape(6, 2)
        file["texts"] = ["a", "ü"]
        file["references"] = np.array([file.ref], h5py.ref_dtype)
        file["single"] = 3.5
        held = StoredFile(path, "x.h5")
        return {name: held.dataset(file[name]) for name in file}


def test_slices(datasets: dict[str, Any]) -> None:
    """Numbers and texts come as NumPy slices them; what is neither is not read."""
    assert datasets["numbers"][2:4].tolist() == [[4, 5], [6, 7]]
    assert datasets["texts"][:].tolist() == ["a", "ü"]
    assert datasets["single"][()] == 3.5
    assert datasets["references"].dtype == OTHER
    with pytest.raises(dif.InputError, match="/references holds neither numbers nor text"):
        datasets["references"][:]


def test_more_than_memory_holds(datasets: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told before it is read; a part that fits is read, the control."""
    monkeypatch.setattr(stored, "SMALL", 0)
    monkeypatch.setattr(stored, "free_memory", lambda: 40)
    with pytest.raises(dif.InputError, match=r"^x\.h5: /numbers takes 96 B of memory, and 40 B are free"):
        datasets["numbers"][:]
    assert datasets["numbers"][:2].tolist() == [[0, 1], [2, 3]]


def test_texts_are_read_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those that h5py reads at once, of every slice."""
    texts = np.array([[f"{row} {column}" * row for column in "ab"] for row in range(13)], object)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["texts"] = texts
        found = StoredFile(tmp_path / "x.h5", "x.h5").dataset(file["texts"])
    monkeypatch.setattr(stored, "TEXTS", 1)
    for few in (1, 2, 5, 64):
        monkeypatch.setattr(stored, "FEWEST_TEXTS", few)
        for part in (slice(None), slice(3, 9), slice(1, None, 3), slice(4, 4)):
            np.testing.assert_array_equal(found[part], texts[part])


def test_spikes_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    """A file whose spikes are damaged gives its tables; only its spikes are refused."""
    MALFORMED["damaged"](tmp_path / "x.nwb")
    recording = dif.read_recording(tmp_path / "x.nwb")
    assert recording.units["quality"].tolist() == ["good", "good", "noise"]
    activity: Any = recording.activity
    with pytest.raises(dif.InputError, match="/units/spike_times can't be read"):
        activity.times(0)
