"""Image files: the right pixels from every format and mode, or a refusal that names the file.

Expected pixels are arrays made beforehand. What Pillow can't write (16-bit colour) is written byte by byte.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
from helpers.image_samples import (
    HEIGHT,
    RGB,
    SAMPLES,
    SMOOTH,
    WIDTH,
    encoded,
    mutated,
    packed,
    png,
    three,
    tiff,
)

import differentia as dif
from differentia.errors import UnreadableImageError
from differentia.stimuli.base import Fit

FIT = Fit((HEIGHT, WIDTH, 3))


def load(path: Path, content: bytes) -> np.ndarray:
    """Return the pixels of a file, through the package."""
    path.write_bytes(content)
    return dif.images(path).load(0, FIT).pixels.astype(float)


@pytest.mark.parametrize("name", SAMPLES)
def test_pixels_of_every_format_and_mode(name: str, tmp_path: Path) -> None:
    """Each file has the pixels it was made of, and not those of a neighbour or of the negative."""
    sample = SAMPLES[name]
    pixels = load(tmp_path / "image", sample.content)
    assert np.abs(pixels - sample.expected).max() <= sample.tolerance
    for wrong in (np.roll(pixels, 1, axis=1), 255 - pixels):
        assert np.abs(wrong - sample.expected).max() > sample.tolerance


@pytest.mark.parametrize("name", [name for name in SAMPLES if "animated" in name or name.endswith("pages")])
def test_animations_have_a_second_frame(name: str) -> None:
    """The control: there was another frame to mistake for the first."""
    with PIL.Image.open(io.BytesIO(SAMPLES[name].content)) as image:
        image.seek(1)
        second = np.asarray(image.convert("RGB")).astype(float)
    assert np.abs(second - SAMPLES[name].expected).max() > 100


def test_sixteen_bits_are_rounded(tmp_path: Path) -> None:
    """Half a step up is the next level; the high byte alone would differ."""
    values = np.zeros((HEIGHT, WIDTH), np.uint16)
    values[0, :6] = (0, 128, 129, 255, 65406, 65535)
    pixels = load(tmp_path / "image.png", png((HEIGHT, WIDTH), 16, 0, packed(">", values)))
    assert pixels[0, :6, 0].tolist() == [0, 0, 1, 1, 254, 255]
    assert (values[0, :6] >> 8).tolist() == [0, 0, 0, 0, 255, 255]


UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "PNG 16"])
def test_orientation(kind: str, orientation: int, tmp_path: Path) -> None:
    """All eight orientations of EXIF are undone, once; pixels as they are stored would differ."""
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    stored = SMOOTH
    if kind == "PNG 16":
        slope = SMOOTH[..., 0] // 2 + SMOOTH[..., 1] // 2
        deep = packed(">", slope * np.uint16(257))
        content = png((HEIGHT, WIDTH), 16, 0, deep, (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
        stored = three(slope)
    else:
        content = encoded(SMOOTH, kind, exif=exif, quality=95, lossless=True)
    (tmp_path / "image").write_bytes(content)
    expected = UPRIGHT[orientation](stored)
    pixels = dif.images(tmp_path / "image").load(0, Fit(expected.shape)).pixels.astype(float)
    tolerance = 10 if kind == "JPEG" else 0
    assert np.abs(pixels - expected).max() <= tolerance
    if orientation > 1:
        ignored = PIL.Image.fromarray(stored).resize(expected.shape[1::-1])
        assert np.abs(pixels - np.asarray(ignored)).max() > tolerance


def refused(path: Path, content: bytes, reason: str) -> None:
    """Assert that a file is refused, by its path, for a reason, and with the way out."""
    with pytest.raises(UnreadableImageError, match=reason) as caught:
        load(path, content)
    assert str(caught.value).startswith(f"{path}: can't be read as an image (")
    assert str(caught.value).endswith("; replace it, or take it out of the set")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff("<", (32,), bytes(4 * HEIGHT * WIDTH), photometric=1), "mode I, whose range can't be known"),
        (
            tiff("<", (16,), bytes(2 * HEIGHT * WIDTH), photometric=1, numbers=2),
            "mode I, whose range can't be known: convert it to 8 or 16 bits",
        ),
        (
            tiff("<", (32,), bytes(4 * HEIGHT * WIDTH), photometric=1, numbers=3),
            "mode F, whose range can't be known",
        ),
        (b"", "it is empty; expected PNG, JPEG"),
        (b"not an image", "it is text; expected PNG"),
        (b"<svg/>", "it is an SVG drawing; expected PNG"),
        (b"<html>404", r"it is a web page \(HTML\): download the file itself; expected PNG"),
        (b"%PDF-1.7", "it is a PDF document; expected PNG"),
        (SAMPLES["JPEG RGB"].content[:600], "[Tt]runcated"),
        (SAMPLES["PNG RGB"].content[:600], "truncated|broken"),
    ],
)
def test_what_can_not_be_decoded_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    """Unknown ranges, other formats and cut files, each by name."""
    refused(tmp_path / "image.png", content, reason)


def test_postscript_is_never_started(tmp_path: Path) -> None:
    """A file named as an image that Pillow alone would hand to Ghostscript."""
    content = encoded(RGB, "EPS")
    with PIL.Image.open(io.BytesIO(content)) as image:
        assert image.format == "EPS"
    refused(tmp_path / "image.png", content, "it is a PostScript document; expected PNG")


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_bombs_are_refused_before_they_are_decoded(
    action: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small file of many pixels is refused by its header, whatever becomes of Pillow's own warning."""
    header_only = png((60_000, 60_000), 8, 2, b"")
    whole = png((10_000, 12_000), 1, 0, bytes(10_000 * 12_000 // 8))
    assert len(whole) < 100_000
    decoded: list[object] = []
    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", decoded.append)
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        limit = r"more than the 89,478,485 of PIL\.Image\.MAX_IMAGE_PIXELS"
        refused(tmp_path / "a.png", header_only, f"60000 x 60000 pixels are {limit}")
        refused(tmp_path / "b.png", whole, f"12000 x 10000 pixels are {limit}")
    assert time.monotonic() - started < 2
    assert not decoded


@pytest.mark.parametrize(
    "name", ["PNG RGB", "JPEG RGB", "TIFF RGB", "WEBP lossless", "GIF L", "BMP RGB", "PPM RGB"]
)
def test_limit_of_pixels_is_pillows(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many pixels as the limit are read, one more is not; None is no limit."""
    for limit in (HEIGHT * WIDTH, None):
        monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", limit)
        load(tmp_path / "image", SAMPLES[name].content)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH - 1)
    refused(tmp_path / "image", SAMPLES[name].content, f"{WIDTH} x {HEIGHT} pixels are more than the 767 of")


def test_memory_and_the_disk_are_not_the_images_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another try may mend is not called unreadable, so that no set gets smaller by it."""
    path = tmp_path / "image.png"
    path.write_bytes(SAMPLES["PNG RGB"].content)
    stimuli = dif.images(path)

    def exhausted(image: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(PIL.ImageFile.ImageFile, "load", exhausted)
        with pytest.raises(MemoryError):
            stimuli.load(0, FIT)
    path.unlink()
    with pytest.raises(dif.InputError, match="can't be read from the disk") as caught:
        stimuli.load(0, FIT)
    assert not isinstance(caught.value, UnreadableImageError)


def test_broken_files_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 500 damaged files, each gives pixels of the right shape or the one error, by its path."""
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1_000_000)  # a damaged header may ask for a lot
    generator = np.random.default_rng(1)
    names = list(SAMPLES)
    outcomes = {"read": 0, "refused": 0}
    for number in range(500):
        path = tmp_path / f"{number}.png"
        path.write_bytes(mutated(SAMPLES[names[number % len(names)]].content, generator))
        try:
            pixels = dif.images(path).load(0, FIT).pixels
        except UnreadableImageError as error:
            outcomes["refused"] += str(error).startswith(f"{path}: can't be read as an image (")
        else:
            assert pixels.shape == FIT.shape
            assert pixels.dtype == np.uint8
            outcomes["read"] += 1
    assert sum(outcomes.values()) == 500
    assert min(outcomes.values()) > 100, outcomes
