"""From what a user names to stimuli."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import numpy as np
import PIL.Image

from differentia.errors import InputError, nearest_names, require_known, short_tracebacks
from differentia.stimuli.arrays import ArrayStimuli, from_tensor, is_tensor, load_npy, load_npz
from differentia.stimuli.base import Stimuli, counted
from differentia.stimuli.datasets import from_other_library
from differentia.stimuli.decoding import SUFFIXES
from differentia.stimuli.digits import digits
from differentia.stimuli.files import FileStimuli, files_in_folder, files_matching
from differentia.stimuli.noise import noise
from differentia.stimuli.pictures import PictureStimuli, is_picture
from differentia.system.file_kinds import head_of, kind_of
from differentia.system.specs import parse_spec

#: Stimuli that are made or bundled, by the scheme of their source: ``scheme:COUNT?option=value``.
GENERATED: dict[str, Callable[..., Stimuli]] = {"noise": noise, "digits": digits}

#: Files that hold several images, by their ending; options behind it are keywords: ``images.npz?key=NAME``.
OF_SEVERAL_IMAGES: dict[str, Callable[..., Stimuli]] = {".npy": load_npy, ".npz": load_npz}

#: Of what lies on another machine.
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)

_EXPECTED = "expected a folder, a glob, a list of paths or images, or a NumPy array of uint8"

#: What to do about what has no order, or is no list.
_WAYS_OUT: dict[type, str] = {
    set: ". A set has no order: write sorted(...)",
    dict: ". Give a dict of sets to measure, or here one of its sets",
    bytes: ". Open encoded images with PIL.Image.open(io.BytesIO(...))",
}

#: Files of other suffixes that hold no image: told at once, not when they are shown.
_NO_IMAGES = (
    *("a NumPy array", "a PDF document", "a compressed file", "a pickle", "a video", "a web page"),
    *("a zip archive", "an HDF5 file", "text"),
)


@short_tracebacks
def images(source: Any, *, follow_links: bool = False) -> Stimuli:
    """Return images as stimuli.

    Parameters
    ----------
    source
        - A folder, a glob pattern (``**`` for any depth of folders), or a file: an image, or a ``.npy`` or
          ``.npz`` file (``images.npz?key=NAME`` where it holds several arrays). Folders and globs are read in
          natural order (``2.jpg`` before ``10.jpg``). Image files are of the usual formats (PNG, JPEG, TIFF,
          ...), of up to 16 bits a channel.
        - ``noise:COUNT`` or ``digits:COUNT``, with options as ``digits:43?digit=3``: white noise, and
          handwritten digits that come with the package.
        - Several paths, images of Pillow, or uint8 arrays of one image each: a list, a tuple, a generator, a
          column of a table. They stay in their order.
        - A uint8 array of shape (images, height, width) or (images, height, width, 3), or a tensor of
          PyTorch, whose channels may come first.
        - A ``Dataset`` of PyTorch whose items are, or begin with, an image, or its ``DataLoader``; a data set
          of Hugging Face with a column of images, or that column; an xarray ``DataArray``, whose
          dimensions go by their names (image, y, x, channel). Of each, one item is read at a time.
    follow_links
        Whether a folder or a glob takes links that lead out of the folder. Paths given one by one are always
        taken.

    Returns
    -------
    Stimuli
        Nothing is decoded yet.

    Raises
    ------
    InputError
        There is no such file, the folder holds no image or a link that leads out of it, or the array is not
        of images.
    """
    if isinstance(source, str) and is_generated(source):
        return _generated(source, seed=0)
    if isinstance(source, str | os.PathLike):
        return _from_path(os.fspath(source), follow_links)
    if (found := from_other_library(source)) is not None:
        return found
    if is_tensor(source):
        return ArrayStimuli(from_tensor(source, "tensor"), "tensor")
    if isinstance(source, PIL.Image.Image):
        return PictureStimuli([source])
    if hasattr(source, "__array__"):
        array = np.asanyarray(source)
        if array.dtype.kind not in "OUT":
            return ArrayStimuli(array)
        source = _column(array)
    if isinstance(source, Iterable) and not isinstance(source, Mapping | set | frozenset | bytes):
        return _from_list(list(source))
    raise InputError(
        f"the images are of type {type(source).__name__}; {_EXPECTED}{_WAYS_OUT.get(type(source), '')}"
    )


def _column(array: np.ndarray) -> list[Any]:
    """Return what an array of text or objects holds, as a list."""
    if array.ndim != 1:
        raise InputError(
            f"the images are a table of shape {array.shape}; expected one column of paths: table['path']"
        )
    return list(array)


def _from_list(items: list[Any]) -> Stimuli:
    if not items:
        raise InputError("an empty list of images was given; expected at least one path")
    if all(map(_is_path, items)):
        return FileStimuli(map(local_path, items), f"a list of {counted(len(items), 'file')}")
    if all(map(is_picture, items)):
        return PictureStimuli(items)
    is_first_kind = is_picture if is_picture(items[0]) else _is_path
    odd = next(number for number, item in enumerate(items) if not is_first_kind(item))
    raise InputError(
        f"item {odd} of the list of images is {_described(items[odd])}; "
        "a list must hold paths, or images of Pillow or NumPy, and nothing else"
    )


def _is_path(item: Any) -> bool:
    return isinstance(item, str | os.PathLike)


def _described(item: Any) -> str:
    shown = isinstance(item, int | float | str | os.PathLike | None)
    return f"{item!r} ({type(item).__name__})" if shown else f"of type {type(item).__name__}"


def local_path(source: str | os.PathLike[str]) -> Path:
    """Return a path that a user wrote, with ``~`` expanded, or as ``file://``."""
    text = os.fspath(source)
    if text.lower().startswith("file://"):
        parts = urlsplit(text, allow_fragments=False)
        if parts.netloc not in ("", "localhost"):
            raise InputError(f"{text}: lies on another machine; copy it, and name a folder or file")
        text = url2pathname(parts.path) + (f"?{unquote(parts.query)}" if parts.query else "")
    elif _REMOTE.match(text):
        raise InputError(f"{text}: is a web address; download the images, and name a folder or file")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # a ~user without a home
        raise InputError(f"{text}: can't be looked into ({error}); check the path") from error


def _from_path(text: str, follow_links: bool) -> Stimuli:
    if not text:
        raise InputError("an empty path was given; name a folder, a glob or a file")
    try:
        path = local_path(text)
        if path.is_dir():
            return files_in_folder(path, follow_links=follow_links)
        if path.is_file():
            return _from_file(path, text)
        name, mark, _ = str(path).partition("?")
        if mark and ending_of_several(name) and Path(name).is_file():
            return _with_options(str(path))
        if any(character in text for character in "*?["):
            return files_matching(str(path), follow_links=follow_links)
    except OSError as error:  # no permission, a name too long
        raise InputError(f"{text}: can't be looked into ({error}); check the path") from error
    raise InputError(f"{text}: no such file or folder; {_meant(text) or 'check the path'}")


def _meant(text: str) -> str:
    """Return what a source that is not there may be meant for; "" if nothing is known."""
    scheme, _, count = text.partition(":")
    if close := nearest_names(scheme, GENERATED, {"whitenoise": "noise", "mnist": "digits"}, cutoff=0.85):
        return f"did you mean {close[0]}:{count or 43}?"
    path = Path(text).expanduser()
    beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    close = nearest_names(path.name, beside, cutoff=0.7)
    return f"did you mean {path.with_name(close[0])}?" if close else ""


def _from_file(path: Path, text: str) -> Stimuli:
    """Return the images in a file; what no image can be is told before it is shown to a network."""
    if ending := ending_of_several(path.name):
        return OF_SEVERAL_IMAGES[ending](path)
    if path.suffix.lower() not in SUFFIXES:
        head = head_of(path)
        kind = kind_of(head)
        if kind.startswith(_NO_IMAGES) and not re.match(rb"P[1-6]\s", head):  # PPM may be plain text
            raise InputError(f"{text}: is {kind}; {_EXPECTED}")
    return FileStimuli([path], text)


def ending_of_several(name: str) -> str:
    """Return the ending of a file that holds several images, such as ``.tar.gz``; "" of others."""
    return next((ending for ending in OF_SEVERAL_IMAGES if name.lower().endswith(ending)), "")


def _with_options(text: str) -> Stimuli:
    """Return the images in a file that options follow: ``images.npz?key=NAME``."""
    name = text.partition("?")[0]
    ending = ending_of_several(name)
    reader = OF_SEVERAL_IMAGES[ending]
    known = dict(list(inspect.signature(reader).parameters.items())[1:])
    if not known:
        raise InputError(f"{text}: a {ending} file takes no options; write {name}")
    named = [option for option, about in known.items() if str(about.annotation).startswith("str")]
    _, options = parse_spec(text, texts=named)
    if not options:
        raise InputError(f"{text}: names no option; write {name}?option=value, of {', '.join(known)}")
    for option in options:
        require_known(f"option of a {ending} file", option, known)
    return reader(Path(name), **options)


def stimuli_from(source: Any, *, seed: int = 0, follow_links: bool = False) -> Stimuli:
    """Return stimuli from stimuli, or from what `images` takes.

    The seed is for noise that names none of its own.
    """
    if isinstance(source, Stimuli):
        return source
    if isinstance(source, str) and is_generated(source):
        return _generated(source, seed)
    return images(source, follow_links=follow_links)


def is_generated(source: str) -> bool:
    """Return whether a source is made or bundled (``noise:43``), and not a path (a folder ``noise``)."""
    scheme, colon, _ = source.partition(":")
    return bool(colon) and scheme in GENERATED


def _generated(source: str, seed: int) -> Stimuli:
    name, options = parse_spec(source)
    scheme, _, count = name.partition(":")
    if not count.isdecimal():
        raise InputError(f"{source}: the number of images is {count!r}; write {scheme}:43")
    maker = GENERATED[scheme]
    known = list(inspect.signature(maker).parameters)[1:]
    for option in options:
        require_known(f"option of {scheme!r}", option, known)
    if "seed" in known:
        options.setdefault("seed", seed)
    return maker(int(count), **options)
