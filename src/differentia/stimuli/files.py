"""Images in files."""

from __future__ import annotations

import contextlib
import glob
import io
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, TiffImageFile

from differentia.errors import InputError, UnreadableImageError, warn
from differentia.stimuli.base import Fit, Image, Stimuli, content_hash
from differentia.system.files import require_utf8

#: What is decoded, by Pillow's names ("JPEG" includes MPO), with the endings that a folder is searched for; a
#: glob or a list of paths may name files of any ending. No other is tried: "EPS" would start Ghostscript.
FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "PPM": (".pgm", ".pnm", ".ppm"),
}
SUFFIXES = frozenset(itertools.chain(*FORMATS.values()))

#: Of other images: a folder's are passed over, and that is said.
OTHER_SUFFIXES = {
    *(".arw", ".avif", ".cr2", ".cr3", ".dng", ".eps", ".exr", ".heic", ".heif", ".hif", ".ico", ".j2k"),
    *(".jp2", ".jxl", ".nef", ".orf", ".pcx", ".psd", ".raw", ".rw2", ".svg", ".tga", ".xcf"),
} - SUFFIXES


class FileStimuli(Stimuli):
    """Images in files, in the order given; `source` is how the user named them."""

    def __init__(self, paths: Iterable[str | os.PathLike[str]], source: str) -> None:
        self.paths: tuple[Path, ...] = tuple(Path(path) for path in paths)
        self.source = source
        for path in self.paths:
            require_utf8(path)
            if not path.is_file():
                what = f"a broken link to {path.readlink()}" if path.is_symlink() else "no such image file"
                raise InputError(f"{path}: {what} (in {source}); check the path")
        self.names = _short_names(self.paths)

    def load(self, index: int, fit: Fit) -> Image:
        """Return one image, fitted to a network's input.

        It is turned as its EXIF orientation says, what is transparent is laid on white, 16-bit grey is scaled
        to 8 bits, and an animation gives its first frame.
        """
        path = self.paths[index]
        content = _content(path)
        try:
            image = _decoded(content)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise many kinds on broken files
            raise UnreadableImageError(
                f"{path}: can't be read as an image ({str(error) or type(error).__name__}); replace it, "
                "take it out of the set, or leave such files out with skip_unreadable (--skip-unreadable)"
            ) from error
        return Image(fit(image), content_hash(content))

    def bring_near(self, index: int) -> None:
        """Read a file, which the system then keeps; one that can't be read is an error when it is loaded."""
        with contextlib.suppress(OSError):
            self.paths[index].read_bytes()

    def content_hash(self, index: int, fit: Fit) -> str:
        """Return the hash of a file's bytes."""
        return content_hash(_content(self.paths[index]))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:  # no fault of the image: a disk that fails must not make the set smaller
        raise InputError(
            f"{path}: can't be read from the disk ({error}); check the disk and try again"
        ) from error


def _header_read(content: bytes) -> ImageFile:
    """Return an image of which the header has been read."""
    # PIL.Image.open would do, but for its own check of the size: it raises an error without width and height,
    # or warns, and a filter of warnings would hold for all threads.
    PIL.Image.init()
    for name in FORMATS:
        make, accepts = PIL.Image.OPEN[name]
        if accepts is not None and accepts(content[:16]):
            return make(io.BytesIO(content), "")
    raise PIL.UnidentifiedImageError(f"cannot identify image file; expected {', '.join(FORMATS)}")


def _decoded(content: bytes) -> PIL.Image.Image:
    """Return the first image of a file, upright, in mode L or RGB."""
    image = _header_read(content)
    width, height = image.size
    limit = PIL.Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise ValueError(
            f"its {width} x {height} pixels are more than the {limit:,} of PIL.Image.MAX_IMAGE_PIXELS, "
            "which guards against decompression bombs: shrink it, or raise that limit if you trust it"
        )
    image.load()
    PIL.ImageOps.exif_transpose(image, in_place=True)
    # Of these two formats, Pillow's mode I holds 16 bits; of others, any number of 32 bits.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _eight_bit_grey(image)
    if image.mode in ("I", "F"):
        raise ValueError(
            f"it has Pillow's mode {image.mode}, whose range can't be known: convert it to 8 or 16 bits"
        )
    return _without_alpha(image)


def _eight_bit_grey(image: ImageFile) -> PIL.Image.Image:
    values = np.asarray(image).astype(np.uint32)
    top = 65535
    if isinstance(image, TiffImageFile):  # Pillow gives its 12 bits, and its white at zero, as they stand
        top = 2 ** image.tag_v2[BITSPERSAMPLE][0] - 1
        if image.tag_v2.get(PHOTOMETRIC_INTERPRETATION, 0) == 0:
            values = top - values
    grey = ((510 * values + top) // (2 * top)).astype(np.uint8)
    if "transparency" in image.info:
        grey[values == image.info["transparency"]] = 255
    return PIL.Image.fromarray(grey)


def _without_alpha(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = PIL.Image.new("RGBA", image.size, "white")
        image = PIL.Image.alpha_composite(white, image)
    return image if image.mode == "L" else image.convert("RGB")


def _short_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the paths below the folder that all of them share."""
    absolute = [Path(os.path.abspath(path)) for path in paths]
    common = os.path.commonpath([path.parent for path in absolute]) if absolute else ""
    return tuple(path.relative_to(common).as_posix() for path in absolute)


def natural_key(path: str | os.PathLike[str]) -> list[tuple[int, int, str]]:
    """Return a sort key that puts ``image 2`` before ``image 10``."""
    parts = re.split(r"([0-9]+)", os.fspath(path))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def files_in_folder(folder: Path, *, follow_links: bool = False) -> FileStimuli:
    """Return the images that lie directly in a folder, in natural order; the folder may be a link."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    paths = [entry for entry in entries if entry.suffix.lower() in SUFFIXES and not entry.is_dir()]
    others = [entry.name for entry in entries if entry.suffix.lower() in OTHER_SUFFIXES]
    if paths and others:
        warn(
            "other",
            f"{folder}: {len(others)} images are in formats that are not read, such as {min(others)!r}; "
            f"convert them to one of {', '.join(FORMATS)}",
        )
    if not paths:
        below = any(entry.is_dir() for entry in entries)
        hint = f"; it has subfolders: did you mean '{folder}/**/*.jpg'?" if below else ""
        raise InputError(
            f"{folder}: no images in this folder (looked for {', '.join(sorted(SUFFIXES))}){hint}"
        )
    return _within(paths, folder, str(folder), follow_links)


def files_matching(pattern: str, *, follow_links: bool = False) -> FileStimuli:
    """Return the files that a glob matches (``**`` for any depth of folders), in natural order."""
    paths = [path for path in map(Path, glob.glob(pattern, recursive=True)) if not path.is_dir()]
    if not paths:
        raise InputError(f"{pattern}: no file matches; check the folder and the pattern")
    # What stands before the first wildcard is the folder that is searched.
    folder = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts))
    return _within(paths, folder, pattern, follow_links)


def _within(paths: Iterable[Path], folder: Path, source: str, follow_links: bool) -> FileStimuli:
    """Return files that were found in a folder, where a link may lead to files that nobody meant."""
    stimuli = FileStimuli(sorted(paths, key=natural_key), source)
    root = os.path.realpath(folder)
    for path in stimuli.paths:
        target = Path(os.path.realpath(path))
        if not follow_links and not target.is_relative_to(root):
            raise InputError(
                f"{path}: a link that leads out of {folder}, to {target}; take it out, or follow such links "
                "with follow_links=True (--follow-links)"
            )
    return stimuli
