"""Arrays in NumPy's files: each image as it is in the array, however that lies in the file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import differentia as dif
from differentia.stimuli.base import Fit

ARRAY = np.random.default_rng(0).integers(0, 256, (7, 5, 6, 3), dtype=np.uint8)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("channels", [0, 1, 3])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_images_are_read_as_they_lie(
    tmp_path: Path, order: str, channels: int, version: tuple[int, int]
) -> None:
    """Row by row or column by column, grey or in colour; the hash is that of the array in memory."""
    array = ARRAY[..., :channels] if channels else ARRAY[..., 0]
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        given = np.asfortranarray(array) if order == "F" else np.ascontiguousarray(array)
        np.lib.format.write_array(file, given, version)
    in_file, in_memory = dif.images(path), dif.images(np.ascontiguousarray(array))
    fit = Fit((5, 6, 3))
    for index in (6, 0, 3):
        expected = np.broadcast_to(array[index].reshape(5, 6, -1), (5, 6, 3))
        assert np.array_equal(in_file.load(index, fit).pixels, expected)
        assert in_file.load(index, fit).hash == in_memory.load(index, fit).hash
        assert in_file.content_hash(index, fit) == in_memory.content_hash(index, fit)


def test_a_file_that_becomes_whole_again(tmp_path: Path) -> None:
    """What lies before its end is read; what lies behind it is an error as long as it is not there."""
    path = tmp_path / "a.npy"
    np.save(path, ARRAY)
    content, stimuli, fit = path.read_bytes(), dif.images(path), Fit((5, 6, 3))
    os.truncate(path, len(content) - 1)
    assert np.array_equal(stimuli.load(5, fit).pixels, ARRAY[5])
    with pytest.raises(
        dif.InputError, match=rf"^{path}: ends before image 6, and did not when it was opened"
    ):
        stimuli.load(6, fit)
    path.write_bytes(content)
    assert np.array_equal(stimuli.load(6, fit).pixels, ARRAY[6])


def test_other_numbers_say_what_they_are(tmp_path: Path) -> None:
    """Their range, as that of an array in memory."""
    path = tmp_path / "a.npy"
    np.save(path, ARRAY / 255)
    with pytest.raises(dif.InputError, match=r"are float64, from 0 to 1; .*write \(x \* 255\)\.round\(\)"):
        dif.images(path)


def test_a_wrong_shape_comes_before_the_numbers(tmp_path: Path) -> None:
    """As of an array in memory: that has to be mended first."""
    path = tmp_path / "a.npy"
    np.save(path, ARRAY[0, 0] / 255)
    with pytest.raises(dif.InputError, match=r"the shape \(6, 3\); expected .*image, write x\[None\]"):
        dif.images(path)
