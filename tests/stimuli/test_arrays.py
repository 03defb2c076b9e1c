"""Images in an array or a ``.npy`` file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from helpers.image_files import RGB

import differentia as dif


def test_arrays_and_npy(tmp_path: Path) -> None:
    """Arrays and ``.npy`` files give the same images and hashes."""
    array = np.random.default_rng(3).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", array)
    for stimuli in (dif.images(array), dif.images(tmp_path / "images.npy")):
        assert len(stimuli) == 5
        loaded = [stimuli.load(index, RGB) for index in range(5)]
        assert np.array_equal([image.pixels for image in loaded], array)
        assert len({image.hash for image in loaded}) == 5
    assert dif.images(array).load(2, RGB).hash == dif.images(tmp_path / "images.npy").load(2, RGB).hash
    one_channel = dif.images(array[..., :1]).load(0, RGB).pixels
    assert np.array_equal(one_channel, np.repeat(array[0, ..., :1], 3, axis=2))
