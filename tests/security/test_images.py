"""Images, arrays of images and films of strangers: read or refused, soon and in little memory."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import h5py
import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.film_files import KINDS, film
from helpers.hostile_films import FILMS, mp4
from helpers.hostile_images import BOMBS, looked_at, of_scans
from helpers.image_samples import SAMPLES, mutated
from helpers.limits import memory_left, said, within
from helpers.tries import Rows, bounded

import differentia as dif
from differentia.errors import UnreadableImageError
from differentia.stimuli import film_decoding, guarded
from differentia.stimuli.base import Fit
from differentia.stimuli.usual import is_usual

ROWS = Rows("Images")

FIT = Fit((16, 16, 3))
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)

Tried = Callable[..., None]


def write(path: Path) -> Path:
    """Write images in the format that a name says."""
    match path.suffix:
        case ".npy":
            np.save(path, PIXELS)
        case ".npz":
            np.savez(path, PIXELS)
        case ".h5":
            with h5py.File(path, "w") as file:
                file["images"] = PIXELS
        case ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.write(write(path.with_name("inside.png")), "inside.png")
        case ".tar" | ".tgz":
            with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as tar:
                tar.add(write(path.with_name("inside.png")), "inside.png")
        case ".mp4":
            film(path, "mp4", 6)
        case _:
            PIL.Image.fromarray(PIXELS[0]).save(path)
    return path


def a_device(path: Path) -> None:
    """Have a device, which has no end, at a path: a link to it."""
    path.symlink_to("/dev/zero")


def a_socket(path: Path) -> None:
    """Have a socket at a path; its own name may be short only."""
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


PLACES: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a socket": a_socket,
    "a device": a_device,
}
ENDINGS = (".png", ".npy", ".npz", ".h5", ".zip", ".tar", ".tgz", ".mp4", ".csv", ".parquet", "")


@pytest.mark.parametrize("what", PLACES)
@ROWS.row(
    "A pipe, a socket or a device that is called as an image, an array, an archive, a film or a table is",
    "Refused at once, by its name",
)
def test_what_is_no_file(tmp_path: Path, what: str, tried: Tried) -> None:
    """By its own name, in a list, in a folder, by a glob, in a table; opened, a pipe would be waited for."""
    tries = 0
    for ending in ENDINGS:
        folder = tmp_path / f"folder{ending}"
        folder.mkdir()
        path = folder / f"a{ending}"
        PLACES[what](path)
        (tmp_path / "table.csv").write_text(f"path,set\n{path},a\n{path},a\n")
        sources: list[tuple[Callable[[object], object], object]] = [
            *((dif.images, source) for source in (path, [path], f"{folder}/a*")),
            *((dif.sets_from, source) for source in (path, tmp_path / "table.csv")),
        ]
        sources += [(dif.images, folder)] if ending == ".png" else []
        for take, source in sources:
            with within(5), pytest.raises(dif.InputError) as caught:
                take(source)
            assert any(told in said(caught.value) for told in (what, "is no image file", "leads out of"))
            assert path.name in said(caught.value)
            tries += 1
    if what == "a pipe":
        with pytest.raises(TimeoutError), within(0.2):
            path.read_bytes()
    tried(tries)


@pytest.mark.parametrize("ending", [".png", ".npy", ".h5", ".tar", ".mp4"])
@ROWS.row("A file that becomes a pipe after it was listed", "Refused at once; the message names it")
def test_what_becomes_a_pipe(tmp_path: Path, ending: str, tried: Tried) -> None:
    """It is looked at anew each time it is opened."""
    path = write(tmp_path / f"a{ending}")
    stimuli = dif.images(path)
    whole = stimuli.load(0, FIT)
    again = dif.images(path)
    content = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    with within(5), pytest.raises(dif.InputError, match=rf"a{ending}: .*a pipe, not a file") as caught:
        again.load(0, FIT)
    assert said(caught.value)
    path.unlink()
    path.write_bytes(content)
    assert again.load(0, FIT).hash == whole.hash
    tried()


def header(shape: str, kind: str = "|u1", length: int | None = None) -> bytes:
    """Return how a .npy file begins."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text) if length is None else length) + text


def sparse(path: Path, beginning: bytes, size: int) -> Path:
    """Write a file of any size that takes no room on the disk."""
    with path.open("wb") as file:
        file.write(beginning)
        file.truncate(size)
    return path


@ROWS.row(
    "Arrays and image files with holes, of up to 8 TB, that take no room on the disk",
    "Refused before they are read; the message says how large they are",
)
def test_sparse_files(tmp_path: Path, tried: Tried) -> None:
    """Two images of 90 gigapixels, a header of 4 GB, numbers to look through, a PNG of 1 TB."""
    side = 300_000
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (2, side, side), np.uint8, chunks=(1, 1000, 1000))
        file.create_dataset("y", (30_000_000,), np.uint8, data=None)
    cases = {
        sparse(
            tmp_path / "a.npy", header(f"(2, {side}, {side})"), 2 * side**2 + 200
        ): "300000 x 300000 pixels",
        sparse(tmp_path / "b.npy", header("(2, 4, 4)", length=2**32 - 1), 2**33): "a header of 4,294,967,295",
        sparse(tmp_path / "c.npy", header("(1000000, 1000, 1000)", "<f8"), 2**43): "the images are float64",
        sparse(tmp_path / "d.png", b"\x89PNG\r\n\x1a\n", 2**40): "holds 1.1 TB|holds 1,100 GB",
        tmp_path / "a.h5": "declares 180,000,000,000 bytes of data",
    }
    for path, told in cases.items():
        with memory_left(2**30), within(10), pytest.raises(dif.InputError, match=told) as caught:
            dif.images(path).load(0, FIT)
        assert path.name in said(caught.value)
        tried()
    with memory_left(2**30), pytest.raises(MemoryError):
        (tmp_path / "d.png").read_bytes()


#: Reads an image of an array that was cut off since it was opened.
CUT_OFF = """
import sys, numpy as np, os
import differentia as dif
from differentia.stimuli.base import Fit
path, how = sys.argv[1:]
array = np.load(path, mmap_mode="r") if how == "mapped" else dif.images(path)
os.truncate(path, 1000)
if how == "mapped":
    print(array[-1].sum())
try:
    array.load(len(array) - 1, Fit((64, 64, 3)))
except dif.InputError as error:
    print(error)
"""


@pytest.mark.parametrize("order", ["C", "F"])
@ROWS.row("A .npy file that is cut off while it is read", "An error that names the file and the image")
def test_arrays_that_are_cut_off(tmp_path: Path, order: str, tried: Tried) -> None:
    """A map into memory, the control, ends the process."""
    path = tmp_path / "a.npy"
    for how in ("mapped", "read"):
        np.save(path, np.ones((9, 64, 64, 3), np.uint8, order="F" if order == "F" else "C"))
        done = subprocess.run([sys.executable, "-c", CUT_OFF, path, how], capture_output=True, text=True)
        if how == "mapped":
            assert done.returncode < 0  # SIGBUS
        else:
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.startswith(f"{path}: ends before image 8, and did not when it was opened")
    tried()


@pytest.mark.parametrize("ending", [".npy", ".h5"])
@ROWS.row(
    "30 million images of two pixels in an array",
    "Listed in less than 20 MB, and each can be read; a recording of so many is refused, in as little",
)
def test_many_tiny_images(tmp_path: Path, ending: str, tried: Tried) -> None:
    """Their names, which would take 2 GB, are made when they are asked for."""
    count = 30_000_000
    path = tmp_path / f"a{ending}"
    if ending == ".npy":
        np.save(path, np.zeros((count, 1, 2), np.uint8))
    else:
        with h5py.File(path, "w") as file:
            file["x"] = np.zeros((count, 1, 2), np.uint8)
    _ = dif.images(path), dif.record  # what is imported
    tracemalloc.start()
    try:
        stimuli = dif.images(path)
        assert (len(stimuli), stimuli.names[-1]) == (count, str(count - 1))
        assert stimuli.load(count - 1, FIT).pixels.shape == FIT.shape
        with pytest.raises(dif.InputError, match=r"there are 30,000,000 images.*; expected at most"):
            dif.record("digits", {"a": stimuli})
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    tried()


#: Of these, bytes are changed, cut out, doubled and mixed.
FORMATS = (
    *(
        "PNG RGB",
        "PNG P half transparent",
        "PNG 16 LA",
        "PNG animated",
        "JPEG progressive",
        "JPEG CMYK",
        "MPO",
    ),
    *("WEBP lossy", "WEBP animated", "TIFF LZW", "TIFF 12", "GIF animated", "BMP P", "PPM 16"),
)

#: Images of one process, for each of the 60 seeds: 3,000 in all.
EACH = 50

#: A file may take so many seconds of computing, and so many bytes beyond what the imports take.
MOST_SECONDS, MOST_MEMORY = 10, 1_500_000_000


@pytest.mark.parametrize("seed", bounded(60, 1))
@ROWS.row(
    "Image files of 14 formats with bytes changed, cut out, doubled or mixed",
    "Each is read, or refused by its name, in less than 10 s and 1.5 GB",
)
def test_mutated_images(tmp_path: Path, seed: int, tried: Tried) -> None:
    """The process that reads them does not end over any."""
    assert len(set(FORMATS)) == 14
    generator = np.random.default_rng(seed)
    paths = []
    for number in range(EACH):
        paths.append(tmp_path / f"{number}.png")
        content = SAMPLES[FORMATS[(EACH * seed + number) % len(FORMATS)]].content
        paths[-1].write_bytes(mutated(content, generator))
    looked = looked_at(paths, 60 * EACH)
    for path, outcome in zip(paths, looked.outcomes, strict=True):
        assert outcome.seconds < MOST_SECONDS
        assert not outcome.said or outcome.said.startswith(f"{path}: can't be read as an image (")
    assert {bool(outcome.said) for outcome in looked.outcomes} == {True, False}
    assert looked.memory < MOST_MEMORY
    tried(EACH)


@pytest.mark.parametrize("name", bounded(list(BOMBS), 2))
@ROWS.row(
    "Files of up to 40 MB that declare millions of strips, chunks or comments, thousands of scans, tiles, "
    "screens or canvases far larger than the image, metadata that overlap",
    "Each is read, or refused by its name, in less than 10 s of computing and 1.5 GB",
)
def test_bombs(tmp_path: Path, name: str, tried: Tried) -> None:
    """They are known for unusual by what they declare, and decoded in a process that is given up."""
    path = tmp_path / "a.png"
    path.write_bytes(BOMBS[name]())
    assert path.stat().st_size < 42_000_000
    looked = looked_at([path], 120)
    assert looked.outcomes[0].seconds < MOST_SECONDS
    assert looked.memory < MOST_MEMORY
    tried()


@ROWS.row(
    "A file whose decoding takes too long, or ends the process that decodes it",
    "Refused, by its name; the next image is read, and told apart",
)
def test_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried: Tried) -> None:
    """In less time than an ordinary one may take, so that the test is short."""
    monkeypatch.setattr(guarded, "MOST_SECONDS", 0.5)
    (tmp_path / "slow.jpg").write_bytes(of_scans(2_000))
    (tmp_path / "fine.webp").write_bytes(SAMPLES["WEBP animated"].content)
    slow, fine = dif.images(tmp_path / "slow.jpg"), dif.images(tmp_path / "fine.webp")
    with pytest.raises(UnreadableImageError, match=r"slow\.jpg: .*it took longer than 0\.5 s") as caught:
        slow.load(0, FIT)
    assert said(caught.value)
    shape = Fit(SAMPLES["WEBP animated"].expected.shape)
    assert np.array_equal(fine.load(0, shape).pixels, SAMPLES["WEBP animated"].expected)
    tried()


@pytest.mark.real_data
def test_photographs_are_decoded_here(real_data: Path) -> None:
    """None of a folder of real ones is taken for unusual, which would cost time."""
    photographs = sorted(real_data.rglob("*.jpg"))
    assert len(photographs) > 100
    assert all(is_usual(path.read_bytes()) for path in photographs)


@ROWS.row("A film whose frames are declared larger than those of 8K", "Refused before any is decoded")
def test_large_frames(tmp_path: Path, tried: Tried) -> None:
    """Decoders keep some tens of frames, which such ones would fill the memory with."""
    path = tmp_path / "a.mov"
    for height in (4096, 4104):
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mjpeg", rate=5)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = 8192, height, "yuvj420p"
            container.mux(stream.encode(av.VideoFrame(8192, height, "yuvj420p")))
            container.mux(stream.encode())
        if height == 4096:
            assert dif.images(path).load(0, FIT).pixels.shape == FIT.shape
    with pytest.raises(
        dif.InputError, match="declares frames of 8192 x 4104 pixels; expected at most"
    ) as caught:
        dif.images(path)
    assert path.name in said(caught.value)
    tried()


@pytest.mark.parametrize("name", bounded(list(FILMS), 1))
@ROWS.row(
    "Films of up to 3 MB that declare millions of frames, frames that last for decades, a hundred thousand "
    "edits or scans",
    "Each is read, or refused by its name, in less than 10 s of computing and 1.5 GB",
)
def test_films_that_declare_much(tmp_path: Path, name: str, tried: Tried) -> None:
    """They are looked through in a process that is given up."""
    path = tmp_path / "a.mp4"
    make, told = FILMS[name]
    path.write_bytes(make())
    assert path.stat().st_size < 3_500_000
    looked = looked_at([path], 120)
    (outcome,) = looked.outcomes
    assert outcome.said.startswith(f"{path}: ")
    assert told in outcome.said
    assert outcome.seconds < MOST_SECONDS
    assert looked.memory < MOST_MEMORY
    tried()


def of_a_row_again_and_again(path: Path) -> None:
    """Write a table of 20 million rows, which takes as little as one row does, in 120 kB."""
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000_000, np.int8)), pa.array(["a.png"]))
    pq.write_table(pa.table({"path": same, "set": same}), path)


def of_a_long_text(path: Path) -> None:
    """Write a table that says a text of a megabyte 20,000 times, in 20 kB."""
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, np.int8)), pa.array(["a" * 1_000_000]))
    short = ["a.png"] * 20_000
    pq.write_table(pa.table({"path": short, "set": short, "text": text}), path, compression="gzip")


def of_columns(path: Path) -> None:
    """Write a table of 300,000 columns."""
    path.write_bytes(b"path,set" + b",x" * 300_000 + b"\na.png,a\n")


#: Tables: their endings, what makes them, and what is said of each.
TABLES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "1 TB of nothing": (".csv", lambda path: sparse(path, b"path,set\n", 2**40), "holds 1.1 TB; expected at"),
    "a long text": (".parquet", of_a_long_text, "it takes more than 1.2 GB of memory"),
    "300,000 columns": (".csv", of_columns, "it took longer than 7.3 s"),
    "a row again and again": (".parquet", of_a_row_again_and_again, "(it |declares 20,000,000 rows in "),
}


@pytest.mark.parametrize("name", bounded(list(TABLES), 2))
@ROWS.row(
    "Tables with holes of up to 1 TB; of 300,000 columns; that say a text, or a row, again and again",
    "Refused, by their name, in less than 10 s of computing and 1.5 GB",
)
def test_tables(tmp_path: Path, name: str, tried: Tried) -> None:
    """They are tried in a process that is given up, before they are read in this one."""
    ending, make, told = TABLES[name]
    path = tmp_path / f"table{ending}"
    make(path)
    looked = looked_at([path], 120, take="sets_from")
    (outcome,) = looked.outcomes
    assert re.match(rf"{path}: .*{told.replace('(', '[(]')}", outcome.said)
    assert outcome.seconds < MOST_SECONDS
    assert looked.memory < MOST_MEMORY
    tried()


def of_black_images(path: Path) -> None:
    """Write 13 images of 80 megapixels as what they shrink to: a gigabyte to one of its megabytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as file:
        file.write(header("(13, 9000, 9000)"))
        for _ in range(13):
            file.write(bytes(9000 * 9000))


def of_a_chunk(path: Path) -> None:
    """Write a chunk of a gigabyte that is not there, beside as much as it could be made of."""
    with h5py.File(path, "w") as file:
        shape = (13, 9000, 9000)
        file.create_dataset("x", shape, np.uint8, chunks=shape, compression="gzip")
        file["other"] = PIXELS.repeat(1000)


def of_black_members(path: Path) -> None:
    """Write files that are no images, of more than a gigabyte."""
    with tarfile.open(path, "w:xz", preset=0) as tar:
        about = tarfile.TarInfo("a.bin")
        about.size = 1_100_000_000
        with Path("/dev/zero").open("rb") as zeros:
            tar.addfile(about, zeros)


#: Arrays and archives: their endings, what makes them, and what is said of each.
PACKED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a chunk": (".h5", of_a_chunk, "is stored in chunks of 1.05 GB, in a file of 2.31 MB"),
    "an array": (".npz", of_black_images, "it unpacks 1.02 MB to 1.05 GB"),
    "members": (".tar.xz", of_black_members, " kB unpack to more than 1 GB"),
}


@pytest.mark.parametrize("name", bounded(list(PACKED), 1))
@ROWS.row(
    "Arrays and archives that unpack to a gigabyte, and to more than 100 times their size",
    "Refused, by their name; the message says what to do if you trust them",
)
def test_packed(tmp_path: Path, name: str, tried: Tried) -> None:
    """What has to be unpacked whole may fill the memory, or the disk."""
    ending, make, told = PACKED[name]
    path = tmp_path / f"a{ending}"
    make(path)
    assert path.stat().st_size < 3_000_000
    looked = looked_at([path], 120)
    (outcome,) = looked.outcomes
    assert outcome.said.startswith(f"{path}")
    assert told in outcome.said
    assert "if you trust it" in outcome.said
    assert outcome.seconds < MOST_SECONDS
    assert looked.memory < 300_000_000
    tried()


@ROWS.row("A film of more frames than are looked through", "Refused; the message says how many may be")
def test_too_many_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried: Tried) -> None:
    """One less is read; one that lasts for centuries has too many times, unless some are asked for."""
    path = film(tmp_path / "a", "mov", 20)
    monkeypatch.setattr(film_decoding, "MOST_PACKETS", 20)
    assert json.loads(film_decoding.answer(os.fsencode(path), b"")[0])["error"] == ""
    monkeypatch.setattr(film_decoding, "MOST_PACKETS", 19)
    told = json.loads(film_decoding.answer(os.fsencode(path), b"")[0])["error"]
    assert told == f"{path}: declares more than 19 frames; cut it into shorter films"
    path = tmp_path / "b.mp4"
    path.write_bytes(mp4(bytes(4000), 1000, 1, delta=2**31 - 1))
    with pytest.raises(dif.InputError, match="asks for 214,748,364,700 images") as caught:
        dif.images(f"{path}?fps=0.1")
    assert said(caught.value)
    assert len(dif.images(f"{path}?fps=0.1&stop=100")) == 10
    tried(2)


@pytest.mark.parametrize("kind", bounded(list(KINDS), 1))
@ROWS.row(
    "Small films with bytes changed, cut out, doubled or mixed",
    "Each is read, or refused by its name, in less than 10 s and 1.5 GB",
)
def test_mutated_films(tmp_path: Path, kind: str, tried: Tried) -> None:
    """FFmpeg decodes them in the process that asks, which does not end over any."""
    content = film(tmp_path / "whole", kind, 12).read_bytes()
    generator = np.random.default_rng(0)
    paths = []
    for number in range(8):
        paths.append(tmp_path / f"{number}{KINDS[kind].suffix}")
        paths[-1].write_bytes(mutated(content, generator))
    looked = looked_at(paths, 60 * len(paths))
    for path, outcome in zip(paths, looked.outcomes, strict=True):
        assert outcome.seconds < MOST_SECONDS
        assert not outcome.said or outcome.said.startswith(str(path))
    assert looked.memory < MOST_MEMORY
    tried(len(paths))


@pytest.mark.soak
@ROWS.row(
    "100,000 images in a folder",
    "Listed in less than 5 s, and the first shown in less than 10 s, in less than 300 MB",
)
def test_many_files(tmp_path: Path, tried: Tried) -> None:
    """Seconds of computing: the machine may be busy with something else."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(100_000):
        path, first = folder / f"image_{number}.png", folder / f"image_{number // 25_000 * 25_000}.png"
        if path == first:
            write(path)
        else:
            os.link(first, path)
    done = subprocess.run(
        [sys.executable, "-c", LISTED, folder], capture_output=True, text=True, check=True, timeout=300
    )
    count, first_name, listed, shown, memory = done.stdout.split()
    assert (int(count), first_name) == (100_000, "image_0.png")
    assert float(listed) < 5
    assert float(shown) < 10
    assert int(memory) < 300_000_000
    tried()


#: Lists a folder, and shows its first images.
LISTED = """
import sys, time, psutil
import differentia as dif
from differentia.stimuli.base import Fit
from differentia.stimuli.presentation import in_batches, labels_of, present
taken, begun = psutil.Process().memory_info().rss, time.process_time()
stimuli = dif.images(sys.argv[1])
listed = time.process_time() - begun
batches = in_batches(labels_of("a", stimuli), 32)
batch = next(present({"a": stimuli}, batches, Fit((16, 16, 3))))
shown = time.process_time() - begun
with open("/proc/self/status") as status:
    most = next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(len(stimuli), batch.images[0].name, listed, shown, most - taken)
"""
