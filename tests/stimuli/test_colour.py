"""Colour profiles: the values of sRGB, as its standard and those of other spaces define them.

Expected values are computed in float64 from the primaries, white points and transfer curves of the standards:
sRGB (IEC 61966-2-1), Display P3 (SMPTE EG 432-1, with the curve of sRGB), Adobe RGB (1998). Profiles are
written byte by byte, by the ICC's specification.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest

import differentia as dif
from differentia.stimuli.base import Fit, content_hash
from differentia.stimuli.colour import ProfileError, conversion_to_srgb

D50, D65 = np.array([0.9642, 1.0, 0.8249]), np.array([0.95047, 1.0, 1.08883])
#: Chromaticities (x, y) of red, green and blue.
PRIMARIES = {
    "sRGB": [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)],
    "Display P3": [(0.68, 0.32), (0.265, 0.69), (0.15, 0.06)],
    "Adobe RGB": [(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)],
}
#: Of Bradford's adaptation to another white.
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

HEIGHT, WIDTH = 24, 32
FIT = Fit((HEIGHT, WIDTH, 3))
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def linear_of_srgb(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_of_linear(values: np.ndarray) -> np.ndarray:
    values = np.clip(values, 0, 1)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


def to_xyz(space: str) -> np.ndarray:
    """Return the matrix from linear values of a space to XYZ under D65."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in PRIMARIES[space]]).T
    return columns * np.linalg.solve(columns, D65)


def by_hand(pixels: np.ndarray, space: str) -> np.ndarray:
    """Return the values of sRGB of pixels of a space; colours beyond sRGB are cut off."""
    values = pixels.astype(float) / 255
    linear = values ** (563 / 256) if space == "Adobe RGB" else linear_of_srgb(values)
    return 255 * srgb_of_linear(linear @ (np.linalg.inv(to_xyz("sRGB")) @ to_xyz(space)).T)


def fixed(*numbers: float) -> bytes:
    """Return numbers as ICC's s15Fixed16."""
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def icc(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Return an ICC profile of a display, version 2."""
    table, data = b"", b""
    for name, content in tags.items():
        place = 128 + 4 + 12 * len(tags) + len(data)
        table += name + struct.pack(">II", place, len(content))
        data += content + bytes(-len(content) % 4)
    body = struct.pack(">I", len(tags)) + table + data
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), bytes(4), 0x02400000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*D50)
    return head.ljust(128, b"\0") + body


def curve(function: Callable[[np.ndarray], np.ndarray]) -> bytes:
    table = np.round(65535 * function(np.linspace(0, 1, 1024))).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", 1024) + table.tobytes()


def text(tag: bytes, content: bytes) -> bytes:
    return tag + bytes(4) + struct.pack(">I", len(content) + 1) + content + bytes(1 + 78)


def profile(space: str) -> bytes:
    """Return the profile of a space: its primaries under D50, and its curve."""
    scale = (BRADFORD @ D50) / (BRADFORD @ D65)
    columns = (np.linalg.inv(BRADFORD) @ np.diag(scale) @ BRADFORD @ to_xyz(space)).T
    gamma = b"curv" + bytes(4) + struct.pack(">IH", 1, 563)
    transfer = gamma if space == "Adobe RGB" else curve(linear_of_srgb)
    tags = {b"desc": text(b"desc", space.encode()), b"wtpt": b"XYZ " + bytes(4) + fixed(*D50)}
    for letter, column in zip((b"r", b"g", b"b"), columns, strict=True):
        tags |= {letter + b"XYZ": b"XYZ " + bytes(4) + fixed(*column), letter + b"TRC": transfer}
    return icc(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    tags = {
        b"desc": text(b"desc", b"grey"),
        b"wtpt": b"XYZ " + bytes(4) + fixed(*D50),
        b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)),
    }
    return icc(b"GRAY", tags)


def write(path: Path, pixels: np.ndarray, icc_profile: bytes | None, mode: str | None = None) -> Path:
    PIL.Image.fromarray(pixels).convert(mode).save(path, icc_profile=icc_profile, lossless=True)
    return path


def load(path: Path) -> np.ndarray:
    return dif.images(path).load(0, FIT).pixels.astype(float)


@pytest.mark.parametrize("kind", ["png", "tif", "webp"])
@pytest.mark.parametrize("space", ["Display P3", "Adobe RGB"])
def test_wide_colours_become_those_of_srgb(tmp_path: Path, space: str, kind: str) -> None:
    """As computed by hand, within rounding; the numbers as they stand would be up to a hundred levels off."""
    pixels = load(write(tmp_path / f"a.{kind}", PIXELS, profile(space)))
    expected = by_hand(PIXELS, space)
    assert np.abs(pixels - expected).max() <= 2
    assert np.abs(pixels - expected).mean() < 0.4
    assert np.abs(PIXELS - expected).max() > 50


def test_a_photograph_of_a_phone(tmp_path: Path) -> None:
    """JPEG in Display P3, turned by EXIF: upright, and in sRGB."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    slopes = np.stack([rows * 10, columns * 8, np.full_like(rows, 90)], axis=2)
    stored = np.rot90(slopes.astype(np.uint8), 1)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    image = PIL.Image.fromarray(np.ascontiguousarray(stored))
    image.save(tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif, icc_profile=profile("Display P3"))
    expected = by_hand(slopes, "Display P3")
    missed = np.abs(load(tmp_path / "a.jpg") - expected)
    assert missed.max() <= 10  # a level of JPEG's is up to 13 of sRGB's where it is dark
    assert missed.mean() < 1
    assert np.abs(slopes - expected).max() > 20


def test_palettes_and_transparency(tmp_path: Path) -> None:
    """Colours of a palette are converted; white is laid below what is converted, not converted with it."""
    colours = np.where(PIXELS > 127, 255, 0).astype(np.uint8)
    path = write(tmp_path / "p.png", colours, profile("Display P3"), "P")
    with PIL.Image.open(path) as image:
        assert image.mode == "P"
        stored = np.asarray(image.convert("RGB"))
    assert np.abs(load(path) - by_hand(stored, "Display P3")).max() <= 2
    alpha = np.full((HEIGHT, WIDTH, 1), 128, np.uint8)
    pixels = load(write(tmp_path / "a.png", np.dstack([PIXELS, alpha]), profile("Display P3")))
    expected = by_hand(PIXELS, "Display P3") * (128 / 255) + 255 * (127 / 255)
    assert np.abs(pixels - expected).max() <= 2


@pytest.mark.parametrize("bits", [8, 16])
def test_grey(tmp_path: Path, bits: int) -> None:
    """Grey of another curve stays grey; of 16 bits too."""
    grey = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (HEIGHT, 1))
    stored = grey if bits == 8 else grey.astype(np.uint16) * 257
    PIL.Image.fromarray(stored).save(tmp_path / "g.png", icc_profile=grey_profile(1.8))
    pixels = load(tmp_path / "g.png")
    expected = 255 * srgb_of_linear((grey / 255) ** 1.8)
    assert np.abs(pixels - expected[..., None]).max() <= 1
    assert np.abs(grey - expected).max() > 10
    assert (pixels == pixels[..., :1]).all()


def test_what_is_in_srgb_stays_as_it_is(tmp_path: Path) -> None:
    """To the bit, with the hash that it always had; what is converted has another: it is recorded anew."""
    own = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    for name, icc_profile in {"none": None, "own": own, "by hand": profile("sRGB")}.items():
        path = write(tmp_path / f"{name}.png", PIXELS, icc_profile)
        stimuli = dif.images(path)
        loaded = stimuli.load(0, FIT)
        assert np.array_equal(loaded.pixels, PIXELS)
        assert loaded.hash == stimuli.content_hash(0, FIT) == content_hash(path.read_bytes())
    path = write(tmp_path / "wide.png", PIXELS, profile("Display P3"))
    loaded = dif.images(path).load(0, FIT)
    assert loaded.hash == dif.images(path).content_hash(0, FIT) != content_hash(path.read_bytes())


@pytest.mark.parametrize(
    ("icc_profile", "told"),
    [
        (b"no profile", r"colour profile can't be read"),
        (profile("Display P3")[:300], r"colour profile can't be read"),
        (grey_profile(1.8), "colour profile is of GRAY, not of an image of mode RGB"),
    ],
)
def test_profiles_that_can_not_be_used(tmp_path: Path, icc_profile: bytes, told: str) -> None:
    """The numbers stay as they are, and one warning at the user's line names the first such file."""
    paths = [write(tmp_path / f"{number}.png", PIXELS, icc_profile) for number in range(3)]
    stimuli = dif.images(paths)
    first = stimuli.load(1, FIT)
    assert np.array_equal(first.pixels, PIXELS)
    assert first.hash == content_hash(paths[1].read_bytes())
    assert stimuli.content_hash(0, FIT) == content_hash(paths[0].read_bytes())
    said = rf"0\.png: its {told}.*; its colours are taken for sRGB \(and {{}} more\)$"
    with pytest.warns(dif.DifferentiaWarning, match=said.format(2)) as caught:
        dif.save_images(stimuli, tmp_path / "saved", size=(8, 8, 3))
    assert [one.filename for one in caught] == [__file__]


def test_profiles_are_told_of_each_set_and_kept(tmp_path: Path) -> None:
    """In the provenance, also of responses that are at hand; as an error a warning leaves no image out."""
    rng = np.random.default_rng(0)
    for number in range(4):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        write(tmp_path / f"{number}.png", pixels, b"no profile" if number % 2 else None)
    opened = [PIL.Image.open(tmp_path / f"{number}.png") for number in range(2)]
    sets = {
        "files": tmp_path / "*.png",
        "pictures": opened,
        "fine": rng.integers(0, 256, (2, 8, 8), np.uint8),
    }

    def record() -> dif.Responses:
        return dif.record("digits", sets, pool=5, skip_unreadable=True, store=tmp_path / "s")

    for _ in range(2):
        with pytest.warns(dif.DifferentiaWarning) as caught:
            responses = record()
        texts = [str(one.message) for one in caught]
        first, second = (text.split(" its colour profile ")[0] for text in texts)
        assert first == f"set 'files': {tmp_path / '1.png'}:"
        assert second == "set 'pictures': image 1 of the list:"
        assert [text.endswith("sRGB (and 1 more)") for text in texts] == [True, False]
        assert responses.provenance["warnings"] == [{"kind": "other", "text": text} for text in texts]
        assert {one.filename for one in caught} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(dif.DifferentiaWarning, match="its colours are taken for sRGB"):
            record()


def test_modes_and_profiles(tmp_path: Path) -> None:
    """A grey image may have a profile of RGB, not of CMYK; nothing is converted by sRGB's own."""
    assert conversion_to_srgb(profile("sRGB"), "L") is None
    assert conversion_to_srgb(profile("Display P3"), "P") is not None
    for mode in ("CMYK", "LAB"):
        with pytest.raises(ProfileError, match=f"is of RGB, not of an image of mode {mode}"):
            conversion_to_srgb(profile("sRGB"), mode)
    with PIL.Image.open(io.BytesIO(write(tmp_path / "a.png", PIXELS, b"x").read_bytes())) as image:
        assert image.info["icc_profile"] == b"x"
