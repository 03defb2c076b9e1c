"""How an image is fitted to a network's input."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import helpers.zoo  # noqa: F401 - torchvision can be imported then
import numpy as np
import PIL.Image
import pytest
import torch
from helpers.image_files import write

import differentia as dif
from differentia.stimuli.base import RESIZES, Fit, Numbers


def test_names_that_are_numbers() -> None:
    """They are made when asked for, and are what a tuple of them is."""
    names = Numbers(range(3, 12, 4), "noise_")
    assert names == ("noise_3", "noise_7", "noise_11")
    assert names != ("noise_3", "noise_7")
    assert (names[1], names[-1], len(names)) == ("noise_7", "noise_11", 3)
    assert list(names[1:]) == ["noise_7", "noise_11"]
    assert "noise_7" in names
    assert {names: 1}[tuple(names)] == 1  # type: ignore[index]
    assert repr(Numbers(range(2))) == "('0', '1')"
    assert repr(Numbers(range(10**9))) == "<1,000,000,000 names, '0' to '999999999'>"
    with pytest.raises(IndexError):
        names[3]


def test_resize_and_crop(tmp_path: Path) -> None:
    """``squash`` is Pillow's resize; ``center`` keeps proportions; the filters differ."""
    array = np.random.default_rng(1).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    write(tmp_path / "wide.png", array)
    stimuli = dif.images(tmp_path / "wide.png")
    image = PIL.Image.fromarray(array)
    shape = (10, 10, 3)
    squashed = np.asarray(image.resize((10, 10), PIL.Image.Resampling.BILINEAR))
    assert np.array_equal(stimuli.load(0, Fit(shape)).pixels, squashed)
    shrunk = image.resize((20, 10), PIL.Image.Resampling.BILINEAR)
    middle = np.asarray(shrunk.crop((5, 0, 15, 10)))
    assert np.array_equal(stimuli.load(0, Fit(shape, crop="center")).pixels, middle)
    assert not np.array_equal(squashed, middle)
    nearest = stimuli.load(0, Fit(shape, resize="nearest")).pixels
    assert np.array_equal(nearest, np.asarray(image.resize((10, 10), PIL.Image.Resampling.NEAREST)))
    with pytest.raises(dif.InputError, match="Did you mean 'bilinear'"):
        Fit(shape, resize="bilinar")
    with pytest.raises(dif.InputError, match=r"unknown crop 'centre'. Did you mean 'center'"):
        Fit(shape, crop="centre")
    with pytest.raises(dif.InputError, match="5 channels"):
        Fit((10, 10, 5))


RNG = np.random.default_rng(3)

#: Height and width: odd and even, wide and high, smaller than what is cut out, and just as large.
SIZES = ((40, 61), (61, 40), (33, 33), (7, 90), (9, 11), (32, 32), (200, 32), (28, 28))


def picture(height: int, width: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("resize", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("crop", [(28, 28), (27, 30), (40, 40), (32, 32)])
@pytest.mark.parametrize("to", [32, 33, (32, 32), (35, 50)])
def test_a_margin_is_cut_off_as_by_torchvision(
    resize: str, crop: tuple[int, int], to: int | tuple[int, int]
) -> None:
    """Resized by its shorter side or to a size, and cut out of the middle, equal to every grey level."""
    from torchvision import transforms
    from torchvision.transforms import InterpolationMode

    theirs = transforms.Compose(
        [transforms.Resize(to, InterpolationMode(resize)), transforms.CenterCrop(crop)]
    )
    fit = Fit((*crop, 3), resize, "center", to)
    for size in SIZES:
        image = picture(*size)
        assert np.array_equal(fit(image), np.asarray(theirs(image))), size


def test_a_margin_is_cut_off_as_by_transformers() -> None:
    """Which rounds half a pixel down; torchvision's way differs, so that the two can be told apart."""
    from transformers.image_transforms import center_crop, get_resize_output_image_size

    differs = 0
    for to, crop, size in itertools.product((32, 33), ((28, 28), (29, 30), (40, 41)), SIZES):
        image = picture(*size)
        height, width = get_resize_output_image_size(
            np.asarray(image), to, default_to_square=False, input_data_format="channels_last"
        )
        resized = np.asarray(image.resize((width, height), PIL.Image.Resampling.BICUBIC))
        theirs = center_crop(resized, crop, data_format="channels_last", input_data_format="channels_last")
        fit = Fit((*crop, 3), "bicubic", "center", to, rounded_down=True)
        assert np.array_equal(fit(image), theirs), (to, crop, size)
        differs += not np.array_equal(replace(fit, rounded_down=False)(image), theirs)
    assert differs


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("to", [None, 31, (30, 26)])
def test_pytorch_resizes_as_torchvision_does_tensors(resize: str, to: int | tuple[int, int] | None) -> None:
    """To every grey level, where it has the filter; Pillow's rounds otherwise."""
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional

    crop = "center" if isinstance(to, int) else "squash"
    fit = Fit((24, 24, 3), resize, crop, to, rounded_down=True, resized_by="PyTorch")
    pillows = replace(fit, resized_by="Pillow")
    mode = InterpolationMode("nearest-exact" if resize == "nearest" else resize)
    differs = 0
    for size in SIZES:
        image = picture(*size)
        found = fit(image)
        differs += not np.array_equal(found, pillows(image))
        if resize not in ("box", "hamming"):
            pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)
            shape = [24, 24] if to is None else [to] if isinstance(to, int) else [*to]
            theirs = functional.resize(pixels, shape, mode)
            top, left = ((side - 24) // 2 for side in theirs.shape[1:])
            theirs = theirs[:, top : top + 24, left : left + 24].permute(1, 2, 0)
            assert np.array_equal(found, theirs.numpy()), size
    assert bool(differs) == (resize not in ("box", "hamming"))


def test_pytorch_resizes_grey_images() -> None:
    """Of one channel."""
    grey = picture(40, 30).convert("L")
    fit = Fit((24, 24, 1), "bicubic", resized_by="PyTorch")
    colours = replace(fit, shape=(24, 24, 3))(grey)
    assert np.array_equal(fit(grey), colours[..., :1])


def test_a_very_long_image_does_not_fill_the_memory() -> None:
    """Its middle is the same up to the rounding of a long axis; the ends are cut off before it is resized."""
    pixels = np.zeros((2, 30_000, 3), dtype=np.uint8)
    pixels[:, 14_990:15_010] = RNG.integers(0, 256, (2, 20, 3))
    image, short = PIL.Image.fromarray(pixels), PIL.Image.fromarray(pixels[:, 14_950:15_050])
    fit = Fit((4, 4, 3), resize_to=8)
    found, expected = fit(image).astype(int), fit(short).astype(int)
    assert expected.std() > 10
    assert np.abs(found - expected).max() <= 1
    image = PIL.Image.new("RGB", (1, 400_000))
    assert replace(fit, resize_to=256)(image).shape == (4, 4, 3)  # else resized to 26 gigapixels


def test_grey_input() -> None:
    """A network of one channel gets one."""
    array = np.random.default_rng(2).integers(0, 256, (3, 4, 6), dtype=np.uint8)
    assert np.array_equal(dif.images(array).load(1, Fit((4, 6, 1))).pixels[..., 0], array[1])
