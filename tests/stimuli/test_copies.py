"""Copies: images of one set that have the same content, of which the first is kept on request."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import differentia as dif
from differentia.stimuli.base import Fit
from differentia.stimuli.copies import content_hashes, find_duplicates, without_copies
from differentia.stimuli.presentation import ImageLabel, as_sets

FIT = Fit((8, 8, 3))
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 10, 12, 3), dtype=np.uint8)


def test_duplicates_are_found_within_a_set() -> None:
    """In groups, in order; the same image in two sets is none, nor are images of unknown content."""
    labels = [
        *(ImageLabel("a", 0, "0", "x"), ImageLabel("a", 1, "1", "y"), ImageLabel("a", 2, "2", "x")),
        *(ImageLabel("b", 0, "0", "y"), ImageLabel("b", 1, "1", ""), ImageLabel("b", 2, "2", "")),
        *(ImageLabel("a", 3, "3", "x"), ImageLabel("b", 3, "3", "z"), ImageLabel("b", 4, "4", "z")),
    ]
    assert find_duplicates(labels) == [[labels[0], labels[2], labels[6]], [labels[7], labels[8]]]
    assert find_duplicates(labels[:2] + labels[3:6]) == []


def test_the_first_of_each_content_is_kept(tmp_path: Path) -> None:
    """In files and arrays, with their names, paths and pixels; a set without copies is the same object."""
    dif.save_images(dif.images(PIXELS[:3]), tmp_path / "files", size=(10, 12, 3))
    first, second, third = sorted((tmp_path / "files").iterdir())
    shutil.copy(first, tmp_path / "files" / "zz.png")
    shutil.copy(third, tmp_path / "files" / "zzz.png")
    given = as_sets(
        {
            "files": tmp_path / "files",
            "array": PIXELS[[0, 1, 0, 2, 1]],
            "noise": dif.noise(3),
            "apart": PIXELS,
        },
        seed=0,
    )
    left, dropped = without_copies(given, FIT)
    assert [(label.set, label.name) for label in dropped] == [
        *(("files", "zz.png"), ("files", "zzz.png")),
        *(("array", "2"), ("array", "4")),
    ]
    assert left["noise"] is given["noise"]
    assert left["apart"] is given["apart"]  # whose first images are in "array" too
    assert left["files"].paths == (first, second, third)
    assert left["array"].names == ("0", "1", "3")
    assert left["array"].paths is None
    assert left["files"].source == str(tmp_path / "files")
    for place, pixels in enumerate(PIXELS[[0, 1, 2]]):
        whole = Fit((10, 12, 3))
        np.testing.assert_array_equal(left["array"].load(place, whole).pixels, pixels)
        for name in ("array", "files"):
            left[name].bring_near(place)
            assert left[name].content_hash(place, FIT) == left[name].load(place, FIT).hash


def test_a_set_of_one_content() -> None:
    """Nothing is left to compare: an error that names the set."""
    with pytest.raises(
        dif.InputError, match=r"^set 'same' has 1 image \(array, without copies\); expected at"
    ):
        without_copies(as_sets({"same": PIXELS[[0, 0, 0]]}, seed=0), FIT)


def test_only_some_are_hashed() -> None:
    """In the order in which they are asked for."""
    (given,) = as_sets({"a": PIXELS}, seed=0).values()
    every = content_hashes("a", given, FIT)
    assert content_hashes("a", given, FIT, [3, 1]) == [every[3], every[1]]
    assert len(set(every)) == len(PIXELS)
