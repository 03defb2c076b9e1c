"""Images in NumPy's files: ``.npy``, of which an image is read when it is needed, and ``.npz``."""

from __future__ import annotations

import math
import zipfile
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import PIL.Image
from jaxtyping import Shaped, UInt8

from differentia.errors import InputError, in_one_line
from differentia.stimuli.arrays import (
    ArrayStimuli,
    frames_of,
    hash_of,
    require_few_pixels,
    require_images,
    require_uint8,
    with_options,
)
from differentia.stimuli.base import Fit, Image, Numbers, Stimuli
from differentia.system.file_kinds import head_of, kind_of
from differentia.system.machine import free_memory, is_bomb, written_size
from differentia.system.matrix_files import read_part
from differentia.system.open_files import KeptOpen
from differentia.system.regular import open_regular, read_at

#: In bytes: a header is shorter, as NumPy itself has it.
MOST_HEADER = 10_000

#: In bytes: what is looked at of numbers that are no uint8, to say how to make them so.
MOST_LOOKED_AT = 64_000_000

_READS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def load_npy(
    path: Path, every: int | None = None, start: int | None = None, stop: int | None = None
) -> NpyStimuli:
    """Return the images of a ``.npy`` file, read as they are needed; with an option, frames of a film."""
    return NpyStimuli(path, every=every, start=start, stop=stop)


class _Header(NamedTuple):
    """What a ``.npy`` file says of its array, and where that begins."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype[Any]
    start: int


class NpyStimuli(Stimuli):
    """Images of a ``.npy`` file (images, height, width[, 3]) of uint8; of a film, frames that are asked for.

    An image is read, and not mapped into memory: a file that has become shorter is then an error, where a map
    would end the process.
    """

    def __init__(self, path: Path, *, every: Any, start: Any, stop: Any) -> None:
        self.source = with_options(path, every=every, start=start, stop=stop)
        self._path = path
        self._header = header = _header_of(path)
        shape = header.shape
        if len(shape) in (3, 4):  # of others, the shape is what has to be told
            require_uint8(self._sample(), self.source)
        self._shape = shape[:3] if shape[3:] == (1,) else shape
        require_images(self._shape, self.source)
        require_few_pixels(self._shape, self.source)
        frames = frames_of(shape[0], self.source, every, start, stop)
        self.in_time = frames is not None
        self._numbers = range(shape[0]) if frames is None else frames
        self.names = Numbers(self._numbers)
        self._file = KeptOpen(lambda: open_regular(path))

    def load(self, index: int, fit: Fit) -> Image:
        """Return one image, fitted to a network's input."""
        pixels = self._pixels(index)
        return Image(fit(PIL.Image.fromarray(pixels)), hash_of(pixels))

    def content_hash(self, index: int, fit: Fit) -> str:
        """Return the hash of an image's pixels."""
        return hash_of(self._pixels(index))

    def _pixels(self, index: int) -> UInt8[np.ndarray, "h w *c"]:
        number, size = self._numbers[index], math.prod(self._shape[1:])
        try:
            with self._file.use() as file:
                if self._header.by_columns:
                    return self._of_columns(file, number)
                pixels = np.empty(self._shape[1:], np.uint8)
                if read_at(file, self._header.start + number * size, pixels.reshape(-1).data) == size:
                    return pixels
        except OSError as error:
            raise InputError(
                f"{self._path}: can't be read from the disk ({error}); check the disk and try again"
            ) from error
        raise self._cut_off(number)

    def _of_columns(self, file: BufferedReader, number: int) -> UInt8[np.ndarray, "h w *c"]:
        """Return an image whose pixels lie all over the file: a row there is of all images."""
        count, size = self._shape[0], math.prod(self._shape[1:])
        try:
            pixels = read_part(
                file, self._header.start, (size, count), np.dtype(np.uint8), range(size), np.array([number])
            )
        except EOFError as error:
            raise self._cut_off(number) from error
        return np.ascontiguousarray(pixels.reshape(self._shape[1:], order="F"))

    def _cut_off(self, number: int) -> InputError:
        return InputError(
            f"{self._path}: ends before image {number}, and did not when it was opened; write it again, and "
            "leave it as it is meanwhile"
        )

    def _sample(self) -> Shaped[np.ndarray, ...]:
        """Return the array, of zeros, or the first of its numbers where they have to be looked at."""
        header = self._header
        if header.dtype == np.uint8:
            return np.empty(0, np.uint8)
        count = min(math.prod(header.shape), MOST_LOOKED_AT // max(1, header.dtype.itemsize))
        with open_regular(self._path) as file:
            file.seek(header.start)
            return np.frombuffer(file.read(count * header.dtype.itemsize), header.dtype)


def _header_of(path: Path) -> _Header:
    try:
        # Unlike numpy.load, this opens no archive, and can't be told to unpickle.
        with open_regular(path) as file:
            return _checked_header(file, file.seek(0, 2))
    except MemoryError:
        raise
    except Exception as error:  # NumPy raises many kinds on headers that are not as it writes them
        raise InputError(
            f"{path}: can't be read as a NumPy array ({in_one_line(error)}); save uint8 images with "
            "numpy.save"
        ) from error


def load_npz(path: Path, key: str | None = None) -> ArrayStimuli:
    """Return the images of an array in a ``.npz`` file, its only one where none is named."""
    try:
        with open_regular(path) as opened, zipfile.ZipFile(opened) as archive:
            members = {
                name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")
            }
            if key is None and len(members) == 1:
                (key,) = members
            if key not in members:
                raise InputError(f"{path}: {_choice(archive, members, key, path)}")
            with archive.open(members[key]) as file:
                return ArrayStimuli(_read_array(file, archive.getinfo(members[key])), f"{path}?key={key}")
    except (InputError, MemoryError):
        raise
    except OSError as error:
        raise InputError(f"{path}: can't be read from the disk ({error}); check the path") from error
    except Exception as error:  # of many kinds, on broken archives and headers
        reason = in_one_line(error) if zipfile.is_zipfile(path) else f"it is {kind_of(head_of(path))}"
        raise InputError(
            f"{path}: can't be read as NumPy arrays ({reason}); save uint8 images with numpy.savez"
        ) from error


def _choice(archive: zipfile.ZipFile, members: dict[str, str], key: str | None, path: Path) -> str:
    """Return which arrays there are, and how to name one."""
    if not members:
        return "holds no array; save uint8 images with numpy.savez"
    found = []
    for name, member in members.items():
        with archive.open(member) as file:
            header = _header(file)
        found.append(f"{name} {header.shape} {header.dtype}")
    what = f"holds {len(members)} arrays" if key is None else f"holds no {key!r}"
    more = ", ..." if len(found) > 6 else ""
    return f"{what}: {', '.join(found[:6])}{more}; name one: {path}?key={next(iter(members))}"


def _header(file: IO[bytes]) -> _Header:
    version = np.lib.format.read_magic(file)
    if version not in _READS:
        raise ValueError(f"version {version} of the format is not read")
    start = file.tell()
    length = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
    if length > MOST_HEADER:
        raise ValueError(f"it declares a header of {length:,} bytes; expected at most {MOST_HEADER:,}")
    file.seek(start)
    return _Header(*_READS[version](file), start=file.tell())


def _checked_header(file: IO[bytes], size: int) -> _Header:
    """Return the header of a file of some bytes, which may lie."""
    file.seek(0)
    header = _header(file)
    declared = math.prod(header.shape) * header.dtype.itemsize
    if header.dtype.hasobject:
        raise ValueError("it holds pickled objects")
    if min(header.shape, default=0) < 0:
        raise ValueError(f"it declares the shape {header.shape}")
    if declared > size - header.start:
        raise ValueError(f"it declares {declared:,} bytes, more than it holds")
    return header


def _read_array(file: IO[bytes], about: zipfile.ZipInfo) -> Shaped[np.ndarray, ...]:
    """Return an array of a member of an archive, which is unpacked whole."""
    shape, by_columns, dtype, _ = _checked_header(file, about.file_size)
    declared = math.prod(shape) * dtype.itemsize
    if is_bomb(declared, about.compress_size):
        raise ValueError(
            f"it unpacks {written_size(about.compress_size)} to {written_size(declared)}, which fills the "
            "memory: if you trust it, use a .npy file"
        )
    if declared > (free := free_memory()):
        raise ValueError(
            f"it needs {declared / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free: use a .npy file"
        )
    content = np.frombuffer(file.read(declared), dtype)
    return content.reshape(shape, order="F" if by_columns else "C")
