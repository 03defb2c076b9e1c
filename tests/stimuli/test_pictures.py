"""Images that are given one by one are seen as the same images in files and arrays are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from helpers.image_files import RGB, write

import differentia as dif
from differentia.errors import UnreadableImageError
from differentia.stimuli.base import Fit

ARRAY = np.random.default_rng(3).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)


def shown(source: Any, fit: Fit = RGB) -> list[tuple[list[Any], str]]:
    stimuli = dif.images(source)
    return [
        (image.pixels.tolist(), image.hash) for image in (stimuli.load(n, fit) for n in range(len(stimuli)))
    ]


@pytest.mark.parametrize(
    "given",
    [
        list(ARRAY),
        tuple(ARRAY),
        [PIL.Image.fromarray(one) for one in ARRAY],
        (torch.from_numpy(one).permute(2, 0, 1) for one in ARRAY),
        [torch.from_numpy(one) for one in ARRAY],
        [PIL.Image.fromarray(ARRAY[0]), *ARRAY[1:]],
        np.array([*map(PIL.Image.fromarray, ARRAY), None], object)[:-1],
    ],
)
def test_the_same_pixels_and_hashes_as_in_one_array(given: Any) -> None:
    """Whatever they are given in."""
    assert shown(given) == shown(ARRAY)


def test_grey_and_sizes() -> None:
    """Each may have its own size; a channel of one is none."""
    images = [ARRAY[0, ..., 0], ARRAY[1, :2, :3], ARRAY[2, ..., :1]]
    stimuli = dif.images(images)
    assert (stimuli.names, stimuli.source) == (("0", "1", "2"), "a list of 3 images")
    assert np.array_equal(stimuli.load(0, Fit((4, 6, 1))).pixels, ARRAY[0, ..., :1])
    assert np.array_equal(stimuli.load(1, Fit((2, 3, 3))).pixels, ARRAY[1, :2, :3])
    assert stimuli.load(2, RGB).hash == dif.images(ARRAY[..., 0]).load(2, RGB).hash


def test_pictures_are_seen_as_files_are(tmp_path: Path) -> None:
    """Upright, on white, of 16 bits; the picture itself stays as it is, and can be shown again."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(ARRAY[0]).save(tmp_path / "turned.png", exif=exif)
    write(tmp_path / "clear.png", np.dstack([ARRAY[0], ARRAY[1, ..., 0]]))
    PIL.Image.fromarray(ARRAY[2, ..., 0].astype(np.uint16) * 200).save(tmp_path / "deep.png")
    paths = [tmp_path / f"{name}.png" for name in ("turned", "clear", "deep")]
    from_files = [pixels for pixels, _ in shown(paths)]
    pictures = [PIL.Image.open(path) for path in paths]
    for _ in range(2):
        assert [pixels for pixels, _ in shown(pictures)] == from_files
    assert pictures[0].getexif()[0x0112] == 6
    assert pictures[1].mode == "RGBA"
    assert from_files[0] != ARRAY[0].tolist()


def test_a_single_picture() -> None:
    """It is a set of one image."""
    assert len(dif.images(PIL.Image.fromarray(ARRAY[0]))) == 1


def test_pictures_that_can_not_be_read(tmp_path: Path) -> None:
    """The error names the place in the list; such images can be left out."""
    whole = write(tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:60])
    with PIL.Image.open(tmp_path / "cut.png") as cut:
        stimuli = dif.images([PIL.Image.fromarray(ARRAY[0]), cut])
        with pytest.raises(
            UnreadableImageError, match=r"^image 1 of the list: can't be read \(.*take it out"
        ):
            stimuli.load(1, RGB)
    stimuli.load(0, RGB)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([ARRAY[0], ARRAY[1] / 255], r"image 1 of the list: the images are float64, .* \(x \* 255\)\.round"),
        (
            [ARRAY[0].transpose(2, 0, 1)],
            r"\(3, 4, 6\); .*channels come first; write x\.transpose\(1, 2, 0\)",
        ),
        ([ARRAY[0, 0, 0]], r"it has the shape \(3,\); expected \(height, width\)"),
        ([ARRAY], r"it has the shape \(5, 4, 6, 3\); expected \(height"),
        ([np.dstack([ARRAY[0], ARRAY[0]])], r"it has the shape \(4, 6, 6\); expected"),
        ([ARRAY[0, :0]], r"it has the shape \(0, 6, 3\); expected"),
        ([np.ma.masked_equal(ARRAY[0], ARRAY[0, 0, 0, 0])], "it has masked pixels"),
        (
            [torch.zeros(3, 4, 3, dtype=torch.uint8)],
            r"\(3, 4, 3\) could have its channels first or last",
        ),
        (
            [torch.zeros(3, 4, 6)],
            r"float32, .*write \(x \* 255\)\.round\(\)\.to\(torch\.uint8\)",
        ),
    ],
)
def test_what_is_no_picture(given: Any, message: str) -> None:
    """The error names the image, and what to write."""
    with pytest.raises(dif.InputError, match=message):
        dif.images(given)
