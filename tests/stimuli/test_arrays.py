"""Images in an array or a ``.npy`` file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
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


ARRAY = np.random.default_rng(3).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)


def hashes(source: Any) -> list[str]:
    stimuli = dif.images(source)
    return [stimuli.load(index, RGB).hash for index in range(len(stimuli))]


def test_archives_of_arrays(tmp_path: Path) -> None:
    """The only array, or the one that is named, in either order of memory; the hashes of the array itself."""
    path = tmp_path / "a.npz"
    np.savez(path, np.asfortranarray(ARRAY))
    assert hashes(path) == hashes(ARRAY)
    np.savez_compressed(path, images=ARRAY, labels=np.arange(5))
    assert hashes(f"{path}?key=images") == hashes(ARRAY)
    assert dif.images(f"{path}?key=images").source == f"{path}?key=images"
    for name in ("none", "(1,2)", "1", "a=b&c"):  # as it stands, also where it looks like a value of Python
        arrays: dict[str, Any] = {name: ARRAY, "other": ARRAY[::-1]}
        np.savez(tmp_path / "b.npz", **arrays)
        assert hashes(f"{tmp_path}/b.npz?key={name}") == hashes(ARRAY)
    assert hashes(f"file://{tmp_path}/b.npz?key=a%3Db%26c") == hashes(ARRAY)
    held = r"images \(5, 4, 6, 3\) uint8, labels \(5,\) int64; name one: .*a\.npz\?key=images"
    for source, told in {
        str(path): f"a.npz: holds 2 arrays: {held}$",
        f"{path}?key=image": f"a.npz: holds no 'image': {held}$",
        f"{path}?key=labels": r"a\.npz\?key=labels: the images have the shape \(5,\); expected",
        f"{path}?kye=images": "unknown option of a .npz file 'kye'. Did you mean 'key'",
        f"{path}?key": r"a\.npz\?key': the option 'key' has no value",
        f"{path}?": r"a\.npz\?: names no option; write .*a\.npz\?option=value, of key",
    }.items():
        with pytest.raises(dif.InputError, match=told):
            dif.images(source)


def member(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    """Return a ``.npy`` file whose header says what it likes."""
    file = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, {**header, "shape": shape or array.shape})
    return file.getvalue() + array.tobytes()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            {"a.npy": member(np.zeros(9, np.uint8), (2**40, 4, 4))},
            "it declares 17,592,186,044,416 bytes, more than",
        ),
        (
            {"a.npy": member(np.zeros((2, 4, 4), np.uint8), (2, 4, 5))},
            "it declares 40 bytes, more than it holds",
        ),
        ({"a.npy": b"no array"}, "can't be read as NumPy arrays"),
        ({"a.txt": b"text"}, "holds no array; save uint8 images with numpy.savez"),
        ({}, "holds no array"),
    ],
)
def test_archives_that_lie(tmp_path: Path, content: dict[str, bytes], told: str) -> None:
    """Nothing is taken on trust."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    with pytest.raises(dif.InputError, match=rf"a\.npz: .*{told}"):
        dif.images(tmp_path / "a.npz")


def test_archives_that_are_none(tmp_path: Path) -> None:
    """Pickled objects are not unpickled; another file, and one that is cut off, are told."""
    path = tmp_path / "a.npz"
    np.savez(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(dif.InputError, match="it holds pickled objects"):
        dif.images(f"{path}?key=arr_0")
    np.savez(path, ARRAY)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(dif.InputError, match=r"a\.npz: can't be read as NumPy arrays"):
        dif.images(path)
    path.write_bytes(b"<html>404")
    with pytest.raises(dif.InputError, match=r"arrays \(it is a web page \(HTML\)"):
        dif.images(path)


def test_tensors() -> None:
    """Channels first or last, wherever only one of them can be; nothing of the tensor changes."""
    tensor = torch.from_numpy(ARRAY)
    assert hashes(tensor) == hashes(tensor.permute(0, 3, 1, 2)) == hashes(ARRAY)
    assert hashes(tensor[..., 0]) == hashes(tensor[:, None, ..., 0]) == hashes(ARRAY[..., 0])
    for shape, told in {
        (4, 3, 8, 3): "could have its channels first or last; give a NumPy array",
        (3, 8, 6): r"could be one image or three grey ones; write x\[None\] for one, x\[:, None\] for three",
    }.items():
        with pytest.raises(dif.InputError, match=told):
            dif.images(torch.zeros(shape, dtype=torch.uint8))


UNIT = np.linspace(0, 1, 2 * 4 * 6).reshape(2, 4, 6)


@pytest.mark.parametrize(
    ("given", "told", "right"),
    [
        (UNIT, r"float64, from 0 to 1; .*: write \(x \* 255\)\.round\(\)\.astype\(np\.uint8\)$", UNIT * 255),
        (UNIT * 200, r"float64, from 0 to 200; .*: write x\.round\(\)\.astype\(np\.uint8\)$", UNIT * 200),
        (UNIT > 0.5, r"bool, .*: write x\.astype\(np\.uint8\) \* 255$", np.where(UNIT > 0.5, 255, 0)),
        (ARRAY[..., 0].astype(int), r"int64, .*: write x\.astype\(np\.uint8\)$", ARRAY[..., 0]),
        ((UNIT * 65535).astype(np.uint16), r"uint16, .*: write \(x / 257\)\.round\(\)\.astype", UNIT * 255),
        (UNIT * 4 - 2, "from -2 to 2; .*: undo their normalisation first", None),
        (UNIT * np.nan, "from nan to nan; .*: replace what is not a number first", None),
        (ARRAY.transpose(0, 3, 1, 2), r"channels come first; write x\.transpose\(0, 2, 3, 1\)$", None),
        (np.zeros((2, 4, 6, 4), np.uint8), r"transparency; write x\[\.\.\., :3\]$", None),
        (ARRAY[0], r"for a single image, write x\[None\]$", None),
        (np.zeros((2, 4, 6), complex), "complex128; expected numbers of uint8", None),
    ],
)
def test_what_to_write(given: np.ndarray, told: str, right: np.ndarray | None) -> None:
    """Arrays that are not as they should be: the error has the code, and the code gives the pixels."""
    with pytest.raises(dif.InputError, match=told) as caught:
        dif.images(given)
    if right is not None:
        code = str(caught.value).partition("write ")[2].partition(",")[0]
        written = eval(code, {"x": given, "np": np})
        assert np.abs(written - right).max() <= 0.5 + 1e-9
        assert len(dif.images(written)) == len(given)


def test_frames_of_an_array(tmp_path: Path) -> None:
    """A stack with options is a film: frames keep their names, and the file stays where it is."""
    path = tmp_path / "a.npy"
    np.save(path, ARRAY)
    whole = dif.images(path)
    assert not whole.in_time
    for options, numbers in {
        "every=2": [0, 2, 4],
        "every=1": [0, 1, 2, 3, 4],
        "start=1&stop=4": [1, 2, 3],
        "every=3&start=1&stop=99": [1, 4],
    }.items():
        film = dif.images(f"{path}?{options}")
        assert film.in_time
        assert film.names == tuple(whole.names[number] for number in numbers)
        assert hashes(f"{path}?{options}") == [hashes(path)[number] for number in numbers]
        assert film.source == f"{path}?{options}"
    for options, told in {
        "every=0": "every is 0; expected a whole number >= 1",
        "every=0.5": "every is 0.5; expected a whole number >= 1",
        "start=-1": "start is -1; expected a whole number >= 0",
        "start=5": "start is 5; expected less than 5$",
        "start=3&stop=2": "start is 3; expected less than 2$",
        "fps=1": r"unknown option of a \.npy file 'fps'\. Known: every, start, stop$",
    }.items():
        with pytest.raises(dif.InputError, match=told):
            dif.images(f"{path}?{options}")
