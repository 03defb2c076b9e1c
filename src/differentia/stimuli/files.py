"""Images in files."""

from __future__ import annotations

import glob
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import PIL.Image
import PIL.ImageOps

from differentia.errors import InputError
from differentia.stimuli.base import Fit, Image, Stimuli, content_hash

#: What a folder is searched for; a glob or a list of paths may name files of any ending.
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

#: Pillow's modes that have 8 bits a channel, and so become RGB without loss of scale.
_EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})


class FileStimuli(Stimuli):
    """Images in files, in the order given.

    Parameters
    ----------
    paths
        At least one.
    source
        How the user named them.

    Raises
    ------
    InputError
        A file does not exist.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]], source: str) -> None:
        self.paths = tuple(Path(path) for path in paths)
        self.source = source
        for path in self.paths:
            if not path.is_file():
                raise InputError(f"{path}: no such image file (in {source}); check the path")
        self.names = _short_names(self.paths)

    def load(self, index: int, fit: Fit) -> Image:
        """Return one image, fitted to a network's input.

        It is turned as its EXIF orientation says, and an alpha channel is laid on white.

        Raises
        ------
        InputError
            The file can't be read, is no image, or has more than 8 bits a channel.
        """
        path = self.paths[index]
        try:
            content = path.read_bytes()
            with PIL.Image.open(io.BytesIO(content)) as image:
                image.load()
                if image.mode not in _EIGHT_BIT_MODES:
                    raise InputError(
                        f"{path}: the image has Pillow's mode {image.mode}; "
                        "expected 8 bits a channel: convert it first"
                    )
                pixels = fit(_without_alpha(PIL.ImageOps.exif_transpose(image)))
        except InputError:
            raise
        except Exception as error:  # Pillow's decoders raise many kinds on broken files
            raise InputError(
                f"{path}: can't be read as an image ({error}); replace it or take it out of the set"
            ) from error
        return Image(pixels, content_hash(content))


def _without_alpha(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = PIL.Image.new("RGBA", image.size, "white")
        return PIL.Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _short_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the paths below the folder that all of them share."""
    absolute = [Path(os.path.abspath(path)) for path in paths]
    common = os.path.commonpath([path.parent for path in absolute]) if absolute else ""
    return tuple(path.relative_to(common).as_posix() for path in absolute)


def natural_key(path: str | os.PathLike[str]) -> list[tuple[int, int, str]]:
    """Return a sort key that puts ``image 2`` before ``image 10``."""
    parts = re.split(r"([0-9]+)", os.fspath(path))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def files_in_folder(folder: Path) -> FileStimuli:
    """Return the images that lie directly in a folder, in natural order.

    Raises
    ------
    InputError
        There is none.
    """
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    paths = [entry for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]
    if not paths:
        below = any(entry.is_dir() for entry in entries)
        hint = f"; it has subfolders: did you mean '{folder}/**/*.jpg'?" if below else ""
        raise InputError(
            f"{folder}: no images in this folder (looked for {', '.join(sorted(SUFFIXES))}){hint}"
        )
    return FileStimuli(sorted(paths, key=natural_key), str(folder))


def files_matching(pattern: str) -> FileStimuli:
    """Return the files that a glob matches (``**`` for any depth of folders), in natural order.

    Raises
    ------
    InputError
        It matches no file.
    """
    paths = [path for path in glob.glob(pattern, recursive=True) if Path(path).is_file()]
    if not paths:
        raise InputError(f"{pattern}: no file matches; check the folder and the pattern")
    return FileStimuli(sorted(paths, key=natural_key), pattern)
