"""From what a user names to stimuli."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from differentia.errors import InputError, nearest_names, require_known, short_tracebacks
from differentia.stimuli.arrays import ArrayStimuli, load_npy
from differentia.stimuli.base import Stimuli
from differentia.stimuli.digits import digits
from differentia.stimuli.files import FileStimuli, files_in_folder, files_matching
from differentia.stimuli.noise import noise
from differentia.system.specs import parse_spec

#: Stimuli that are made or bundled, by the scheme of their source: ``scheme:COUNT?option=value``.
GENERATED: dict[str, Callable[..., Stimuli]] = {"noise": noise, "digits": digits}

#: Files that hold several images, by their ending.
OF_SEVERAL_IMAGES: dict[str, Callable[[Path], Stimuli]] = {".npy": load_npy}


@short_tracebacks
def images(source: Any, *, follow_links: bool = False) -> Stimuli:
    """Return images as stimuli.

    Parameters
    ----------
    source
        A folder, a glob pattern (``**`` for any depth of folders), one path or several, a
        ``.npy`` file, or a uint8 array of shape (images, height, width) or (images, height, width, 3).
        Folders and globs are read in natural order (``2.jpg`` before ``10.jpg``), lists as given. Image files
        are of the usual formats (PNG, JPEG, TIFF, ...), of up to 16 bits a channel.
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
    if isinstance(source, str | os.PathLike):
        return _from_path(os.fspath(source), follow_links)
    if isinstance(source, Iterable) and not hasattr(source, "__array__"):
        source = list(source)
        if not source:
            raise InputError("an empty list of images was given; expected at least one path")
        if not all(isinstance(path, str | os.PathLike) for path in source):
            raise InputError("a list of images must hold paths; give pixels as an array")
        return FileStimuli(source, f"a list of {len(source)} files")
    return ArrayStimuli(np.asanyarray(source) if hasattr(source, "__array__") else source)


def _from_path(text: str, follow_links: bool) -> Stimuli:
    if not text:
        raise InputError("an empty path was given; name a folder, a glob or a file")
    try:
        path = Path(text).expanduser()
        if path.is_dir():
            return files_in_folder(path, follow_links=follow_links)
        if path.is_file():
            load = OF_SEVERAL_IMAGES.get(path.suffix)
            return load(path) if load else FileStimuli([path], text)
        if any(character in text for character in "*?["):
            return files_matching(str(path), follow_links=follow_links)
    except (OSError, RuntimeError) as error:  # no permission, a name too long, a ~user without a home
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


def stimuli_from(source: Any, *, seed: int = 0, follow_links: bool = False) -> Stimuli:
    """Return stimuli from stimuli, from what `images` takes, or from ``noise:COUNT?option=value``.

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
