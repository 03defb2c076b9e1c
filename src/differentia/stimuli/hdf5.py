"""Images in a dataset of an HDF5 file, read one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from jaxtyping import UInt8

from differentia.errors import InputError, in_one_line, nearest_names
from differentia.stimuli.arrays import (
    frames_of,
    hash_of,
    require_few_pixels,
    require_images,
    with_options,
)
from differentia.stimuli.base import Fit, Image, Numbers, Stimuli
from differentia.system.files import require_utf8
from differentia.system.hdf5 import open_hdf5, plain_datasets, require_plausible_size, unreadable_hdf5
from differentia.system.open_files import KeptOpen
from differentia.system.regular import NotRegularError

#: How the names of such files end.
ENDINGS = (".h5", ".hdf5")

#: In bytes, for one file: chunks that an image lies in are kept for the next one, up to so many.
MOST_CACHED = 256_000_000


def load_hdf5(
    path: Path,
    dataset: str | None = None,
    every: int | None = None,
    start: int | None = None,
    stop: int | None = None,
) -> Hdf5Stimuli:
    """Return the images of a dataset, the only fitting one where none is named; with others, of a film."""
    return Hdf5Stimuli(path, dataset, every=every, start=start, stop=stop)


class Hdf5Stimuli(Stimuli):
    """Images of a dataset (images, height, width[, 3]) of uint8; of a film, frames that are asked for."""

    def __init__(self, path: Path, dataset: str | None, *, every: Any, start: Any, stop: Any) -> None:
        require_utf8(path)
        try:
            with open_hdf5(path, str(path)) as file:
                self._dataset, found = _chosen(plain_datasets(file), dataset, path)
                self.source = with_options(path, dataset=dataset, every=every, start=start, stop=stop)
                where = with_options(path, dataset=self._dataset)
                if found.dtype != np.uint8:
                    raise InputError(
                        f"{where}: the images are {found.dtype}; expected uint8, 0..255: convert them before "
                        "they are written"
                    )
                require_images(found.shape, where)
                require_plausible_size(found, path, where)
                require_few_pixels(found.shape, where)
                frames = frames_of(len(found), self.source, every, start, stop)
                cache = min(_bytes_of_an_image(found), MOST_CACHED)
                self._numbers = range(len(found)) if frames is None else frames
        except (InputError, MemoryError):
            raise
        except NotRegularError as error:
            raise InputError(f"{path}: can't be read as HDF5 ({error}); name a file") from error
        except Exception as error:  # h5py raises many kinds on broken files
            raise unreadable_hdf5(path, str(path), error) from error
        self.in_time = frames is not None
        self.names = Numbers(self._numbers)
        self._file = KeptOpen(lambda: open_hdf5(path, str(path), rdcc_nbytes=cache))

    def load(self, index: int, fit: Fit) -> Image:
        """Return one image, fitted to a network's input."""
        pixels = self._pixels(index)
        return Image(fit(PIL.Image.fromarray(pixels)), hash_of(pixels))

    def content_hash(self, index: int, fit: Fit) -> str:
        """Return the hash of an image's pixels."""
        return hash_of(self._pixels(index))

    def _pixels(self, index: int) -> UInt8[np.ndarray, "h w *c"]:
        try:
            with self._file.use() as file:
                pixels = np.ascontiguousarray(file[self._dataset][self._numbers[index]])
        except MemoryError:
            raise
        except Exception as error:  # the disk, or a filter on damaged data: nothing tells them apart
            raise InputError(
                f"{self.source}: image {self.names[index]} can't be read ({in_one_line(error)}); "
                "check the disk, or write the file again"
            ) from error
        return pixels[..., 0] if pixels.shape[2:] == (1,) else pixels


def _chosen(datasets: dict[str, Any], name: str | None, path: Path) -> tuple[str, Any]:
    """Return the dataset of a name, or the only one that can hold images."""
    if not datasets:
        raise InputError(f"{path}: holds no dataset of its own; expected images of uint8")
    if name is not None and (given := name.strip("/")) in datasets:
        return given, datasets[given]
    fitting = [key for key, dataset in datasets.items() if _holds_images(dataset)]
    if name is None and len(fitting) == 1:
        return fitting[0], datasets[fitting[0]]
    listed = [f"{key} {dataset.shape} {dataset.dtype}" for key, dataset in datasets.items()]
    shown = ", ".join(listed[:6]) + ", ..." * (len(listed) > 6)
    if not fitting:
        what = f"holds no dataset {name!r}, and none" if name is not None else "holds no dataset"
        expected = "(images, height, width[, 3]) of uint8, 0..255"
        raise InputError(f"{path}: {what} of images: {shown}; expected {expected}: write it again")
    what = f"holds no dataset {name!r}" if name is not None else f"holds {len(fitting)} datasets of images"
    raise InputError(f"{path}: {what}: {shown}; name one: {path}?dataset={_nearest(name, fitting)}")


def _nearest(name: str | None, fitting: Sequence[str]) -> str:
    """Return the dataset that a name is likeliest meant for: one in a group of that name, or one like it."""
    if name is None:
        return fitting[0]
    within = [key for key in fitting if key.startswith(f"{name.strip('/')}/")]
    return [*within, *nearest_names(name, fitting), *fitting][0]


def _holds_images(dataset: Any) -> bool:
    try:
        require_images(dataset.shape or (), "")
    except InputError:
        return False
    return bool(dataset.dtype == np.uint8)


def _bytes_of_an_image(dataset: Any) -> int:
    """Return what the chunks take that hold one image, at least HDF5's own cache of 1 MiB."""
    if dataset.chunks is None:
        return 2**20
    across = zip(dataset.shape[1:], dataset.chunks[1:], strict=True)
    return max(
        2**20, math.prod(dataset.chunks) * math.prod(math.ceil(side / chunk) for side, chunk in across)
    )
