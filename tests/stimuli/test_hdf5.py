"""Images in HDF5 files, written by h5py."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest
from helpers.hdf5_files import h5, hostile_h5, zero_heaps
from helpers.image_files import RGB

import differentia as dif
from differentia.errors import UnreadableImageError
from differentia.stimuli.base import Fit

ARRAY = np.random.default_rng(3).integers(0, 256, (12, 4, 6, 3), dtype=np.uint8)


def hashes(source: Any) -> list[str]:
    stimuli = dif.images(source)
    return [stimuli.load(index, RGB).hash for index in range(len(stimuli))]


@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (1, 4, 6, 3)}, {"chunks": (5, 2, 4, 1), "compression": "gzip"}, {"shuffle": True}],
)
@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_images_of_a_dataset(tmp_path: Path, options: dict[str, Any], suffix: str) -> None:
    """However they are stored: the pixels and hashes of the array itself, from threads too."""
    path = h5(tmp_path / f"a{suffix}", lambda file: file.create_dataset("images", data=ARRAY, **options))
    stimuli = dif.images(path)
    assert stimuli.names == tuple(map(str, range(12)))
    assert not stimuli.in_time
    assert hashes(path) == hashes(ARRAY)
    assert stimuli.content_hash(3, RGB) == hashes(ARRAY)[3]
    with ThreadPoolExecutor(8) as threads:
        loaded = list(threads.map(lambda number: stimuli.load(number, RGB).pixels, range(12)))
    assert np.array_equal(loaded, ARRAY)


def test_grey_images(tmp_path: Path) -> None:
    """With an axis of one channel or without."""
    grey = ARRAY[..., 0]
    path = h5(tmp_path / "a.h5", lambda file: file.create_dataset("x", data=grey))
    assert hashes(path) == hashes(grey)
    path = h5(tmp_path / "b.h5", lambda file: file.create_dataset("x", data=grey[..., None]))
    assert hashes(path) == hashes(grey)


def several(file: h5py.File) -> None:
    file["labels"] = np.arange(12)
    file["train/images"] = ARRAY
    file["train/float"] = ARRAY / 255
    file["test/images"] = ARRAY[::-1]
    file["cube"] = np.zeros((4, 6, 3), np.uint8)
    file["link"] = h5py.SoftLink("/test/images")


def test_which_dataset(tmp_path: Path) -> None:
    """The one that is named, from the file's root on; the only one that can hold images needs no name."""
    path = h5(tmp_path / "a.h5", several)
    assert hashes(f"{path}?dataset=train/images") == hashes(f"{path}?dataset=/train/images") == hashes(ARRAY)
    assert hashes(f"{path}?dataset=test/images") == hashes(ARRAY[::-1])
    assert dif.images(f"{path}?dataset=/train/images").source == f"{path}?dataset=/train/images"
    names = r"cube \(4, 6, 3\) uint8, .*train/float \(12, 4, 6, 3\) float64.*; name one: .*a\.h5\?dataset="
    for source, told in {
        str(path): f"a.h5: holds 2 datasets of images: {names}(test|train)/images$",
        f"{path}?dataset=images": f"a.h5: holds no dataset 'images': {names}",
        f"{path}?dataset=train": rf"a.h5: holds no dataset 'train': {names}train/images$",
        f"{path}?dataset=tset/images": rf"a.h5: holds no dataset 'tset/images': {names}test/images$",
        f"{path}?dataset=link": f"a.h5: holds no dataset 'link': {names}",
        f"{path}?dataset=labels": r"a\.h5\?dataset=labels: the images are int64; expected uint8, 0\.\.255",
        f"{path}?dataset=train/float": r"a\.h5\?dataset=train/float: the images are float64; expected uint8",
        f"{path}?dataset=cube": r"a\.h5\?dataset=cube: the images have the shape \(4, 6, 3\); expected",
        f"{path}?data=x": "unknown option of a .h5 file 'data'. Did you mean 'dataset'",
    }.items():
        with pytest.raises(dif.InputError, match=told):
            dif.images(source)
    with h5py.File(path, "a") as file:
        del file["test"]
    assert hashes(path) == hashes(ARRAY)
    with h5py.File(path, "a") as file:
        del file["train/images"]
    with pytest.raises(
        dif.InputError, match=r"a\.h5: holds no dataset of images: cube \(4.*; expected \(images, height"
    ):
        dif.images(path)
    with pytest.raises(dif.InputError, match=r"a\.h5: holds no dataset 'x', and none of images: cube \(4"):
        dif.images(f"{path}?dataset=x")


def test_a_damaged_heap(tmp_path: Path) -> None:
    """HDF5 would not come to an end with it: the file is refused when it is opened."""

    def fill(file: h5py.File) -> None:
        several(file)
        layout = h5py.VirtualLayout((12,), "i8")
        layout[:] = h5py.VirtualSource(".", "labels", (12,))
        file.create_virtual_dataset("more", layout)

    path = h5(tmp_path / "a.h5", fill)
    assert hashes(f"{path}?dataset=train/images") == hashes(ARRAY)
    zero_heaps(path)
    with pytest.raises(dif.InputError, match=r"a\.h5: can't be read as HDF5 \(a heap of texts at byte"):
        dif.images(f"{path}?dataset=train/images")


def test_an_array_that_is_cut_off(tmp_path: Path) -> None:
    """Meanwhile: its images are no zeros."""
    array = np.random.default_rng(4).integers(0, 256, (4, 200, 200), dtype=np.uint8)
    path, fit = h5(tmp_path / "a.h5", lambda file: file.create_dataset("x", data=array)), Fit((200, 200, 1))
    stimuli = dif.images(path)
    assert np.array_equal(stimuli.load(0, fit).pixels[..., 0], array[0])
    os.truncate(path, path.stat().st_size - 1)
    assert np.array_equal(stimuli.load(1, fit).pixels[..., 0], array[1])
    with pytest.raises(dif.InputError, match=r"a\.h5: image 3 can't be read \(it ends at byte [\d,]+, and"):
        stimuli.load(3, fit)


def test_frames_of_a_film(tmp_path: Path) -> None:
    """By their numbers, as of an array in a ``.npy`` file."""
    path = h5(tmp_path / "a.h5", lambda file: file.create_dataset("x", data=ARRAY))
    np.save(tmp_path / "a.npy", ARRAY)
    for name in ("a.h5", "a.npy"):
        stimuli = dif.images(f"{tmp_path / name}?every=3&start=1&stop=9")
        assert stimuli.names == ("1", "4", "7")
        assert stimuli.in_time
        assert hashes(f"{tmp_path / name}?every=3&start=1&stop=9") == hashes(ARRAY[1:9:3])
        assert stimuli.source == f"{tmp_path / name}?every=3&start=1&stop=9"
    with pytest.raises(dif.InputError, match=r"a\.h5\?start=12: start is 12; expected less than 12$"):
        dif.images(f"{path}?start=12")


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Of compressed images that would not fit, those are read that are looked at, and each chunk once."""
    shape = (1600, 128, 128, 3)

    def fill(file: h5py.File) -> None:
        images = file.create_dataset("x", shape, np.uint8, chunks=(40, 128, 128, 3), compression="gzip")
        for first in range(0, 1600, 40):
            images[first : first + 40] = first // 40

    path = h5(tmp_path / "a.h5", fill)
    fit, process = Fit((128, 128, 3)), psutil.Process()
    before = process.memory_info().rss
    stimuli = dif.images(path)
    values = [int(stimuli.load(number, fit).pixels.max()) for number in range(0, 1600, 20)]
    assert values == [number // 40 for number in range(0, 1600, 20)]
    assert process.memory_info().rss - before < 40e6  # of 79 MB


def test_a_chunk_is_kept_for_its_next_image(tmp_path: Path) -> None:
    """Also one that is larger than what HDF5 keeps by itself, 1 to 8 MiB."""
    shape = (200, 128, 128, 3)
    options = {"chunks": shape, "compression": "gzip"}
    path = h5(tmp_path / "a.h5", lambda file: file.create_dataset("x", shape, np.uint8, **options))
    stimuli: Any = dif.images(path)
    with stimuli._file.use() as file:
        _, _, kept, _ = file.id.get_access_plist().get_cache()
    assert kept >= np.prod(shape)


def test_what_others_can_do(tmp_path: Path) -> None:
    """Nothing is read that lies elsewhere, and no more than the file can hold; what else there is stays."""
    for number, (told, fill) in enumerate(hostile_h5(tmp_path).items()):
        path = h5(tmp_path / f"{number}.h5", fill)
        with pytest.raises(dif.InputError, match=rf"{number}\.h5"):
            dif.images(path)
        with h5py.File(path, "a") as file:
            file["images"] = ARRAY
        assert hashes(path) == hashes(ARRAY), told

    def big(file: h5py.File) -> None:
        file.create_dataset("x", (2**20, 2**10, 2**10), np.uint8, chunks=(1, 2**10, 2**10))

    with pytest.raises(dif.InputError, match=r"x: declares 1,099,511,627,776 bytes of data, far more than"):
        dif.images(h5(tmp_path / "big.h5", big))


def test_images_that_lie_elsewhere(tmp_path: Path) -> None:
    """Not even where they are named, and are images: the file could name any other on the machine."""
    (tmp_path / "elsewhere.bin").write_bytes(ARRAY.tobytes())
    with h5py.File(h5(tmp_path / "elsewhere.h5", lambda file: file.create_dataset("x", data=ARRAY))) as other:
        source = h5py.VirtualSource(other["x"])
    layout = h5py.VirtualLayout(ARRAY.shape, np.uint8)
    layout[:] = source

    def fill(file: h5py.File) -> None:
        file["own"] = ARRAY
        place = str(tmp_path / "elsewhere.bin")
        file.create_dataset("external", ARRAY.shape, np.uint8, external=[(place, 0, ARRAY.nbytes)])
        file.create_virtual_dataset("virtual", layout)
        file["link"] = h5py.ExternalLink(str(tmp_path / "elsewhere.h5"), "x")

    path = h5(tmp_path / "a.h5", fill)
    with h5py.File(path) as file:
        assert all(np.array_equal(file[name], ARRAY) for name in ("own", "external", "virtual", "link"))
    assert hashes(path) == hashes(f"{path}?dataset=own") == hashes(ARRAY)
    for name in ("external", "virtual", "link"):
        with pytest.raises(dif.InputError, match=rf"a\.h5: holds no dataset '{name}': own \(.*dataset=own$"):
            dif.images(f"{path}?dataset={name}")


def test_chunks_larger_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would have to be read whole."""
    path = h5(tmp_path / "a.h5", lambda file: file.create_dataset("x", data=ARRAY, chunks=(12, 4, 6, 3)))
    monkeypatch.setattr("differentia.system.hdf5.free_memory", lambda: 800)
    with pytest.raises(
        dif.InputError, match="stored in chunks of 864 B, which have to be read whole, and 800"
    ):
        dif.images(path)


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda content: b"", r"can't be read as HDF5 \(it is empty\)$"),
    "text": (lambda content: b"images", r"can't be read as HDF5 \(it is text\)$"),
    "cut": (
        lambda content: content[:-900],
        r"can't be read as HDF5 \(.*truncated.*it may be cut off or damaged$",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_files_that_are_broken(tmp_path: Path, how: str) -> None:
    """What they are is told when they are opened."""
    path = h5(tmp_path / "a.h5", lambda file: file.create_dataset("x", data=ARRAY))
    change, told = BROKEN[how]
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(dif.InputError, match=rf"a\.h5: {told}"):
        dif.images(path)


def test_an_image_that_is_broken(tmp_path: Path) -> None:
    """It is named; it is never left out, since nothing tells it from a disk that fails."""
    path = h5(
        tmp_path / "a.h5",
        lambda file: file.create_dataset("x", data=ARRAY, chunks=(1, 4, 6, 3), fletcher32=True),
    )
    with h5py.File(path) as file:
        place = file["x"].id.get_chunk_info(5).byte_offset
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    stimuli = dif.images(path)
    assert np.array_equal(stimuli.load(4, RGB).pixels, ARRAY[4])
    with pytest.raises(
        dif.InputError, match=r"a\.h5: image 5 can't be read \(.*\); check the disk"
    ) as caught:
        stimuli.load(5, RGB)
    assert not isinstance(caught.value, UnreadableImageError)
