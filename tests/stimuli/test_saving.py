"""Stimuli as files: pixel by pixel, in a new folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from helpers.film_files import film
from helpers.image_files import read, write

import differentia as dif
from differentia.stimuli.base import Fit
from differentia.stimuli.saving import save_images


@pytest.mark.parametrize("shape", [(5, 7, 3), (6, 4, 1)])
def test_saved_images_are_the_stimuli(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """Pixel by pixel, in the stimuli's names, RGB or grey; and they come back as they were."""
    stimuli = dif.noise(12, seed=3)
    folder = save_images(stimuli, tmp_path / "new", size=shape)
    assert folder == tmp_path / "new"
    back = dif.images(folder)
    assert back.names == tuple(f"uniform_noise_{index}.png" for index in range(12))
    for index in range(12):
        pixels = stimuli.load(index, Fit(shape)).pixels
        with PIL.Image.open(folder / back.names[index]) as written:
            assert written.mode == {1: "L", 3: "RGB"}[shape[2]]
            assert np.array_equal(np.asarray(written).reshape(shape), pixels)
        assert np.array_equal(back.load(index, Fit(shape)).pixels, pixels)
    assert not np.array_equal(back.load(0, Fit(shape)).pixels, back.load(1, Fit(shape)).pixels)


def test_saved_images_do_not_overwrite_each_other(tmp_path: Path) -> None:
    """Files that differ in their folder or ending alone are all written; dots in names stay."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for number, name in enumerate(("a.v1.png", "a.v1.bmp", "deep/a.v1.png")):
        write(tmp_path / "in" / name, np.full((4, 6, 3), 50 * number, np.uint8))
    stimuli = dif.images(tmp_path / "in" / "**" / "*")
    folder = save_images(stimuli, tmp_path / "out", size=(4, 6, 3))
    assert sorted(path.name for path in folder.iterdir()) == [
        "2__a.v1.png",
        "a.v1.png",
        "deep__a.v1.png",
    ]
    assert {int(read(path)[0, 0, 0]) for path in folder.iterdir()} == {0, 50, 100}


def test_saved_frames_keep_their_times_and_order(tmp_path: Path) -> None:
    """The decimals of a second are no ending of a file."""
    stimuli = dif.images(film(tmp_path / "a", "avi, Motion JPEG", 12, rate=5))
    saved = dif.images(save_images(stimuli, tmp_path / "out", size=(48, 64, 3)))
    assert saved.names == tuple(f"a_{number / 5:.3f}s.png" for number in range(12))
    for index in range(12):
        fit = Fit((48, 64, 3))
        assert np.array_equal(saved.load(index, fit).pixels, stimuli.load(index, fit).pixels)


def test_images_are_saved_into_a_new_folder(tmp_path: Path) -> None:
    """A folder with something in it stays as it is; an unreadable image leaves nothing behind."""
    write(tmp_path / "mine.png")
    with pytest.raises(
        dif.InputError, match=rf"^{tmp_path}: (is there already|already exists); name a new folder"
    ):
        save_images(dif.noise(2), tmp_path, size=(4, 4, 3))
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(dif.InputError, match=r"broken\.png: can't be read as an image"):
        save_images(dif.images(tmp_path), tmp_path / "out", size=(4, 4, 3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.png", "mine.png"]
