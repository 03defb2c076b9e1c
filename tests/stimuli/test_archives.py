"""Images in zip and tar archives, written by Python's own modules: those of the folder that was packed."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from helpers.image_files import RGB, write

import differentia as dif
from differentia.errors import UnreadableImageError

#: Modes of tarfile by the ending.
TARS = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
ENDINGS = [".zip", *TARS]

#: What is packed: in the order of a disk, not that in which images are shown.
NAMES = ["cats/10.png", "cats/9.jpg", "cats/deep/1.tif", "dogs/2.PNG", "dogs/12.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of several formats, one to be turned, in folders; files that are no images."""
    for number, name in enumerate(NAMES):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (4, 6, 3), dtype=np.uint8)
        exif = PIL.Image.Exif()
        exif[0x0112] = 6 if path.suffix == ".jpg" else 1
        PIL.Image.fromarray(pixels).save(path, exif=exif)
    (tmp_path / "photos" / "list.txt").write_text("no image")
    (tmp_path / "photos" / "cats" / ".hidden.png").write_bytes(b"x")
    (tmp_path / "photos" / "__MACOSX").mkdir()
    (tmp_path / "photos" / "__MACOSX" / "9.jpg").write_bytes(b"x")
    return tmp_path / "photos"


def packed(folder: Path, ending: str, above: str = "") -> Path:
    """Return an archive of all files in a folder, below the name `above`."""
    path = folder.parent / f"packed{ending}"
    files = [file for file in sorted(folder.rglob("*"), reverse=True) if file.is_file()]
    if ending == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, f"{above}{file.relative_to(folder)}")
    else:
        with tarfile.open(path, TARS[ending]) as tar:  # type: ignore[call-overload]
            for file in files:
                tar.add(file, f"{above}{file.relative_to(folder)}")
    return path


def loaded(source: Any) -> list[tuple[str, bytes, str]]:
    """Return the name, the pixels and the hash of each image, read from several threads."""
    stimuli = dif.images(source)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: stimuli.load(number, RGB), range(len(stimuli))))
    assert [stimuli.content_hash(number, RGB) for number in range(len(stimuli))] == [
        one.hash for one in found
    ]
    return [
        (name, image.pixels.tobytes(), image.hash) for name, image in zip(stimuli.names, found, strict=True)
    ]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("above", ["", "my photos/", "./", "/"])
def test_archives_are_as_their_folder(folder: Path, ending: str, above: str) -> None:
    """The same names, order, pixels and hashes; a folder above all is no part of the names."""
    path = packed(folder, ending, above)
    names = ["cats/9.jpg", "cats/10.png", "cats/deep/1.tif", "dogs/2.PNG", "dogs/12.png"]
    right = loaded([folder / name for name in names])
    assert [name for name, *_ in right] == names
    assert loaded(path) == right
    assert len({pixels for _, pixels, _ in right}) == 5
    assert loaded(f"{path}?folder={above.strip('./')}/dogs") == loaded(folder / "dogs")
    assert dif.images(path).source == str(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_folders_of_an_archive(folder: Path, ending: str) -> None:
    """One that is not there is told with those that are."""
    path = packed(folder, ending)
    assert dif.images(f"{path}?folder=cats/").names == ("9.jpg", "10.png", "deep/1.tif")
    with pytest.raises(
        dif.InputError,
        match=r"\?folder=dog: unknown folder of images 'dog'. Did you mean 'dogs'\? Known: cats, .*, dogs$",
    ):
        dif.images(f"{path}?folder=dog")


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_stays_on_the_disk(
    folder: Path, ending: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nor is anything written by the names in the archive."""
    path = packed(folder, ending, "../../up/")
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    before = sorted(tmp_path.rglob("*"))
    stimuli = dif.images(path)
    assert stimuli.names[0] == "cats/9.jpg"
    stimuli.load(0, RGB)
    assert sorted(tmp_path.rglob("*")) == before
    open_files = len(os.listdir("/proc/self/fd"))
    del stimuli
    assert len(os.listdir("/proc/self/fd")) <= open_files


def test_other_formats_and_links_are_told(tmp_path: Path) -> None:
    """They are left out, as in a folder."""
    image = write(tmp_path / "a.png").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("1.png", "2.png", "x.heic"):
            archive.writestr(name, image)
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "1.png")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("1.png", "2.png", "x.heic"):
            info = tarfile.TarInfo(name)
            info.size = len(image)
            tar.addfile(info, io.BytesIO(image))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo(f"link{kind.decode()}.png")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    for path, links in ((tmp_path / "a.zip", 1), (tmp_path / "a.tar", 2)):
        with pytest.warns(dif.DifferentiaWarning) as told:
            assert dif.images(path).names == ("1.png", "2.png")
        assert [str(one.message).partition(", such")[0] for one in told] == [
            f"{path}: left out images in formats that are not read (1)",
            f"{path}: left out links ({links})",
        ]


def test_the_last_of_a_name_is_meant(tmp_path: Path) -> None:
    """As where an archive is unpacked."""
    first, last = (write(tmp_path / f"{name}.png", np.full((4, 6), name, np.uint8)) for name in (1, 2))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for file in (first, last):
            tar.add(file, "x.png")
    assert [image[1] for image in loaded(tmp_path / "a.tar")] == [bytes([2]) * 72]


def of_no_image(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "x")
        archive.writestr("b/c.csv", "x")
    return file.getvalue()


def encrypted(content: bytes) -> bytes:
    """Return a zip archive whose headers say that all is encrypted."""
    changed = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            changed[place + offset] |= 1
            place = content.find(mark, place + 1)
    return bytes(changed)


BROKEN: list[tuple[str, Callable[[bytes], bytes], str]] = [
    (
        ".zip",
        of_no_image,
        r"no images in this archive \(looked for .bmp, .*\); it holds .csv and .txt$|.csv, .txt$",
    ),
    (".zip", encrypted, r"\S+ is encrypted; unpack the archive with its password, and name the folder$"),
    (
        ".zip",
        lambda content: content[:-50],
        r"can't be read as an archive \(.*: it may be cut off or damaged\)$",
    ),
    (".tar", lambda content: content[: len(content) // 3], r"can't be read as an archive \(.*may be cut off"),
    (".tar", lambda content: content[:1024], r"can't be read as an archive \(.*may be cut off"),
    (".tar.gz", lambda content: content[:-9], r"can't be read as an archive \(.*may be cut off"),
    (".tar.bz2", lambda content: content[:-9], r"can't be read as an archive \(.*may be cut off"),
    (".tar.xz", lambda content: content[:-9], r"can't be read as an archive \(.*may be cut off"),
    (
        ".tgz",
        lambda content: content[:-6] + bytes([content[-6] ^ 1]) + content[-5:],
        r"can't be read as an archive \(CRC check failed.*damaged",
    ),
    *[(ending, lambda content: b"", r"can't be read as an archive \(it is empty\)$") for ending in ENDINGS],
    *[
        (ending, lambda content: b"images" * 99, r"can't be read as an archive \(it is text\)$")
        for ending in ENDINGS
    ],
]


@pytest.mark.parametrize(("ending", "change", "told"), BROKEN)
def test_archives_that_are_broken(folder: Path, ending: str, change: Any, told: str) -> None:
    """What is wrong with them is told when they are opened."""
    path = packed(folder, ending)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(dif.InputError, match=rf"^{path}: {told}"):
        dif.images(path)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
def test_a_damaged_header_is_no_end(folder: Path, ending: str) -> None:
    """Python would take it for the archive's end, and fewer images for all."""
    path = packed(folder, ".tar")
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        content[tar.getmembers()[3].offset] ^= 1
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert len(tar.getmembers()) == 3
    if ending == ".tar.gz":
        content = bytearray(gzip.compress(bytes(content)))
    path = path.with_name(f"changed{ending}")
    path.write_bytes(content)
    with pytest.raises(dif.InputError, match=r"can't be read as an archive \(at byte .*: bad checksum"):
        dif.images(path)


def test_images_that_are_broken(folder: Path) -> None:
    """They are named by their place in the archive; the others stay readable."""
    (folder / "cats" / "11.png").write_bytes(b"no image")
    for ending in ENDINGS:
        stimuli = dif.images(packed(folder, ending))
        place = stimuli.names.index("cats/11.png")
        with pytest.raises(
            UnreadableImageError, match=r"packed\S+: cats/11.png: can't be read as an image \(it is"
        ):
            stimuli.load(place, RGB)
        stimuli.load(place - 1, RGB)
    path = packed(folder, ".zip")
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("dogs/2.PNG")
    content = bytearray(path.read_bytes())
    content[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 255
    path.write_bytes(content)
    stimuli = dif.images(path)
    with pytest.raises(UnreadableImageError, match=r"packed\.zip: dogs/2\.PNG: can't be unpacked \("):
        stimuli.load(stimuli.names.index("dogs/2.PNG"), RGB)


def test_bombs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is larger than any image is not unpacked, whatever it is."""
    (folder / "cats" / "11.png").write_bytes(bytes(100_000))
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10_000)
    for ending in ENDINGS:
        stimuli = dif.images(packed(folder, ending))
        with pytest.raises(
            UnreadableImageError, match=r"cats/11.png: holds 100 kB, more than an image of 10,000"
        ):
            stimuli.load(stimuli.names.index("cats/11.png"), RGB)
        stimuli.load(0, RGB)
        unpacked = getattr(stimuli, "_unpacked", None)  # of compressed tars
        assert (unpacked is None) == (ending in (".zip", ".tar"))
        assert unpacked is None or unpacked.seek(0, os.SEEK_END) < 100_000


def test_a_size_that_lies(tmp_path: Path) -> None:
    """A member that declares another size than it has is told."""
    image = write(tmp_path / "a.png").read_bytes()
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", image)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.find(b"PK\x01\x02") + 24, 2**31)
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"a\.zip: a\.png: holds 2\.15 GB, more than an image"):
        dif.images(path).load(0, RGB)
    struct.pack_into("<I", content, content.find(b"PK\x01\x02") + 24, len(image) - 20)
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"a\.zip: a\.png: can't be (unpacked|read)"):
        dif.images(path).load(0, RGB)


def test_no_room_to_unpack(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compressed tar needs some, and says where."""
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": 10})())
    with pytest.raises(
        dif.InputError, match=r"packed\.tgz: has to be unpacked for a while, and .* has 10 B free"
    ):
        dif.images(packed(folder, ".tgz"))
    dif.images(packed(folder, ".tar"))


@pytest.mark.real_data
def test_real_photographs(real_data: Path, tmp_path: Path) -> None:
    """As in their folder, for the network too: the same content has the same hash."""
    with zipfile.ZipFile(tmp_path / "random.zip", "w") as archive:
        for file in sorted((real_data / "random").glob("*.jpg"))[:9]:
            archive.write(file, f"random/{file.name}")
    given, right = dif.images(tmp_path / "random.zip"), dif.images(real_data / "random")
    for number in range(9):
        one, other = given.load(number, RGB), right.load(number, RGB)
        assert (given.names[number], one.hash) == (right.names[number], other.hash)
        assert np.array_equal(one.pixels, other.pixels)
