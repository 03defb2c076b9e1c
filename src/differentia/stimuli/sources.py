"""From what a user names to stimuli."""

from __future__ import annotations

import glob
import inspect
import os
import re
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import numpy as np
import PIL.Image

from differentia.errors import InputError, nearest_names, require_known, short_tracebacks, unknown_name
from differentia.stimuli import film_decoding, hdf5
from differentia.stimuli.archives import TAR_ENDINGS, load_tar, load_zip
from differentia.stimuli.arrays import ArrayStimuli, from_tensor, is_tensor
from differentia.stimuli.base import Stimuli
from differentia.stimuli.datasets import from_other_library
from differentia.stimuli.decoding import SUFFIXES
from differentia.stimuli.digits import digits
from differentia.stimuli.files import FileStimuli, files_in_folder, files_matching, natural_key
from differentia.stimuli.films import load_film
from differentia.stimuli.hdf5 import load_hdf5
from differentia.stimuli.noise import noise
from differentia.stimuli.numpy_files import load_npy, load_npz
from differentia.stimuli.pictures import PictureStimuli, is_picture
from differentia.stimuli.scrambling import scrambled
from differentia.system.file_kinds import head_of, kind_of
from differentia.system.regular import require_regular
from differentia.system.showing import counted
from differentia.system.specs import in_parentheses, parse_options, parse_spec, split_nested

#: Stimuli that are made or bundled, by the scheme of their source: ``scheme:COUNT?option=value``.
GENERATED: dict[str, Callable[..., Stimuli]] = {"noise": noise, "digits": digits}

#: Stimuli that are made of others, by the scheme of their source: ``scheme:SOURCE?option=value``.
MADE_OF_OTHERS: dict[str, Callable[..., Stimuli]] = {"scramble": scrambled}

#: What others call these schemes.
SYNONYMS = {"whitenoise": "noise", "mnist": "digits", "shuffle": "scramble", "phasescramble": "scramble"}

#: Files that hold several images, by their ending; options behind it are keywords: ``images.npz?key=NAME``.
OF_SEVERAL_IMAGES: dict[str, Callable[..., Stimuli]] = {
    ".npy": load_npy,
    ".npz": load_npz,
    **dict.fromkeys(film_decoding.ENDINGS, load_film),
    **dict.fromkeys(hdf5.ENDINGS, load_hdf5),
    ".zip": load_zip,
    **dict.fromkeys(TAR_ENDINGS, load_tar),
}

_ENDINGS = tuple(OF_SEVERAL_IMAGES)

#: Of what lies on another machine.
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)

_NO_SETS: Mapping[str, Stimuli] = MappingProxyType({})

_EXPECTED = "expected a folder, a glob, a list of paths or images, or a NumPy array of uint8"

#: What to do about what has no order, or is no list.
_WAYS_OUT: dict[type, str] = {
    set: ". A set has no order: write sorted(...)",
    dict: ". Give a dict of sets to measure, or here one of its sets",
    bytes: ". Open encoded images with PIL.Image.open(io.BytesIO(...))",
}

#: Files of other suffixes that hold no image: told at once, not when they are shown.
_NO_IMAGES = ("a PDF document", "a pickle", "a web page", "an audio file", "text")

#: Those that hold several, which are known by how their names end.
_MISNAMED = {
    "a NumPy array": (".npy",),
    "a video": film_decoding.ENDINGS,
    "a zip archive": (".zip", ".npz"),
    "a tar archive": (".tar",),
    "a compressed file": TAR_ENDINGS[1:],
    "an HDF5 file": hdf5.ENDINGS,
}


@short_tracebacks
def images(source: Any, *, follow_links: bool = False) -> Stimuli:
    """Return images as stimuli.

    Parameters
    ----------
    source
        - A folder, a glob pattern (``**`` for any depth of folders), or a file of an image. Folders and globs
          are read in natural order (``2.jpg`` before ``10.jpg``). Image files are of the usual formats (PNG,
          JPEG, TIFF, ...), of up to 16 bits a channel.
        - A file that holds several images. A film (``.mp4``, ``.avi``, ``.mov``, ``.mkv``, ``.webm``):
          ``clip.mp4?every=25`` takes every 25th frame, ``clip.mp4?fps=1`` what is on the screen once a
          second, with ``start=`` and ``stop=`` in seconds. A ``.npy`` file, of which ``every=``, ``start=``
          and ``stop=`` take frames by their numbers; ``images.npz?key=NAME``; HDF5 (``.h5``, ``.hdf5``):
          ``file.h5?dataset=NAME``, with the same options as ``.npy``. A ``.zip`` or ``.tar`` archive
          (``.tar.gz``, ``.tgz``, ``.tar.bz2``, ``.tar.xz``) of image files: ``photos.zip?folder=NAME``.
        - ``noise:COUNT`` or ``digits:COUNT``, with options as ``digits:43?digit=3``: noise, and handwritten
          digits that come with the package.
        - ``scramble:SOURCE``, with options as ``scramble:photos?kind=pixels``: the same as `scramble`.
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
        return stimuli_from(source, follow_links=follow_links)
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
        paths = map(local_path, items)
        return _of_one_image_each(FileStimuli(paths, f"a list of {counted(len(items), 'file')}"))
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
            _require_single_images(path)
            return files_in_folder(path, follow_links=follow_links)
        if path.is_file():
            return _from_file(path, text)
        name, mark, query = str(path).partition("?")
        if mark and ending_of_several(name):
            if Path(name).is_file():
                return of_several_images(Path(name), query)
            if "=" in query and not glob.has_magic(name):
                raise InputError(f"{name}: no such file; {_meant(name) or 'check the path'}")
        if any(character in text for character in "*?["):
            return _of_one_image_each(files_matching(str(path), follow_links=follow_links))
        if path.exists():
            require_regular(path)
    except OSError as error:  # no permission, a name too long, a pipe
        raise InputError(f"{text}: can't be looked into ({error}); check the path") from error
    raise InputError(f"{text}: no such file or folder; {_meant(text) or 'check the path'}")


def _meant(text: str) -> str:
    """Return what a source that is not there may be meant for; "" if nothing is known."""
    scheme, _, count = text.partition(":")
    schemes = {**dict.fromkeys(GENERATED, "43"), **dict.fromkeys(MADE_OF_OTHERS, "SOURCE")}
    if close := nearest_names(scheme, schemes, SYNONYMS, cutoff=0.85):
        return f"did you mean {close[0]}:{count or schemes[close[0]]}?"
    path = Path(text).expanduser()
    beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    close = nearest_names(path.name, beside, cutoff=0.7)
    return f"did you mean {path.with_name(close[0])}?" if close else ""


def _from_file(path: Path, text: str) -> Stimuli:
    """Return the images in a file; what no image can be is told before it is shown to a network."""
    if ending_of_several(path.name):
        return of_several_images(path)
    if path.suffix.lower() not in SUFFIXES:
        head = head_of(path)
        kind = kind_of(head)
        short = kind.partition(":")[0]
        if short in _MISNAMED:
            endings = " or ".join(_MISNAMED[short])
            raise InputError(f"{text}: is {short}; to read its images, give it a name that ends in {endings}")
        if kind.startswith(_NO_IMAGES) and not re.match(rb"P[1-6]\s", head):  # PPM may be plain text
            raise InputError(f"{text}: is {kind}; {_EXPECTED}")
    return FileStimuli([path], text)


def _require_single_images(folder: Path) -> None:
    """Raise an error for a folder of films or archives, and of no image."""
    names = os.listdir(folder)
    if any(os.path.splitext(name)[1].lower() in SUFFIXES for name in names):
        return
    several = [name for name in names if ending_of_several(name) and not name.startswith(".")]
    if several:
        several.sort(key=natural_key)
        raise InputError(
            f"{folder}: no images in this folder, but files that hold several; name one of them: "
            f"{folder / several[0]}, or take each as a set: --sets-from {folder}"
        )


def _of_one_image_each(files: FileStimuli) -> FileStimuli:
    """Return files, or raise an error where one of them holds several images."""
    assert files.paths is not None
    several = next((path for path in files.paths if ending_of_several(path.name)), None)
    if several is not None:
        raise InputError(
            f"{several}: is no file of one image (in {files.source}); name films, arrays and archives one by "
            "one, each a set"
        )
    return files


def ending_of_several(name: str) -> str:
    """Return the ending of a file that holds several images, such as ``.tar.gz``; "" of others."""
    if not name.lower().endswith(_ENDINGS):
        return ""
    return next(ending for ending in OF_SEVERAL_IMAGES if name.lower().endswith(ending))


def of_several_images(path: Path, query: str | None = None) -> Stimuli:
    """Return the images in a file, by what stands behind the ``?`` of its name: ``images.npz?key=NAME``."""
    ending = ending_of_several(path.name)
    reader = OF_SEVERAL_IMAGES[ending]
    known = dict(list(inspect.signature(reader).parameters.items())[1:])
    if query == "":
        raise InputError(f"{path}?: names no option; write {path}?option=value, of {', '.join(known)}")
    named = [option for option, about in known.items() if str(about.annotation).startswith("str")]
    options = parse_options(query or "", f"{path}?{query}", texts=named)
    for option in options:
        if option not in known:
            raise InputError(f"{path}: {unknown_name(f'option of a {ending} file', option, known)}")
    return reader(path, **options)


@short_tracebacks
def scramble(
    source: Any,
    *,
    kind: str = "phase",
    axis: str = "space",
    size: int | None = None,
    seed: int = 0,
    follow_links: bool = False,
) -> Stimuli:
    """Return images or a film scrambled: controls that keep a power spectrum or a histogram, and no more.

    An image is scrambled after it was fitted to the network's input, so that what the network sees keeps it.

    Parameters
    ----------
    source
        Stimuli, or anything that `images` takes.
    kind : {"phase", "pixels", "blocks"}
        ``phase`` adds the phases of white noise to those of the image's Fourier transform, the same to all
        channels: each channel keeps its power spectrum and its mean, until it is rounded and clipped to
        0..255. ``pixels`` puts the pixels in random order, all channels of a pixel together, which keeps the
        histogram. ``blocks`` does so with square blocks; what is left at the lower and right edge stays.
    axis : {"space", "time", "both"}
        What is scrambled of a film, whose images follow one another in time. ``space`` scrambles all frames
        in the same way, so that time is untouched. ``time`` leaves space untouched: ``phase`` adds the same
        phases to the course of every pixel and channel, which keeps its temporal power spectrum and the
        correlations between pixels (Prichard and Theiler 1994); ``pixels`` puts the frames in random order,
        ``blocks`` stretches of frames. ``both`` adds the phases of noise in space and time, or reorders the
        frames and scrambles each.
    size
        Of ``blocks``, in pixels over space and in frames over time: by default an eighth of the shorter side,
        and of the film.
    seed
        Scrambled images of different seeds are independent. With one seed, an image depends on its place
        among the images, not on what was shown before.
    follow_links
        As for `images`.

    Returns
    -------
    Stimuli
        With the names and attributes of the source's images. Nothing is made yet; how many values were
        clipped is told when it was shown.

    Raises
    ------
    InputError
        An option is unknown or out of range, or does not go with the kind or with images that are no film.
        When it is shown: a film whose frames would not fit into memory together, as phases over time ask for;
        blocks that are too large.
    """
    given = stimuli_from(source, follow_links=follow_links)
    return scrambled(given, given.source, kind=kind, axis=axis, size=size, seed=seed)


def stimuli_from(
    source: Any, *, seed: int = 0, follow_links: bool = False, sets: Mapping[str, Stimuli] = _NO_SETS
) -> Stimuli:
    """Return stimuli from stimuli, or from what `images` takes.

    The seed is for what is made and names none of its own; sets are what others can be made of by name.
    """
    if isinstance(source, Stimuli):
        return source
    if isinstance(source, str) and is_generated(source):
        if is_made_of_others(source):
            return _made_of_others(source, seed, follow_links, sets)
        return _generated(source, seed)
    return images(source, follow_links=follow_links)


def is_generated(source: str) -> bool:
    """Return whether a source is made or bundled (``noise:43``), and not a path (a folder ``noise``)."""
    return ":" in source and _scheme(source) in {*GENERATED, *MADE_OF_OTHERS}


def is_made_of_others(source: str) -> bool:
    """Return whether a source names another, or a set, of which it is made (``scramble:cats``)."""
    return ":" in source and _scheme(source) in MADE_OF_OTHERS


def _scheme(source: str) -> str:
    return source.partition(":")[0]


def absolute_source(source: str, folder: Path, sets: Container[str] = ()) -> str:
    """Return a source with the paths in it, which are relative to a folder, absolute; sets are no paths."""
    if is_made_of_others(source):
        return _of_another(
            source, lambda inner: inner if inner in sets else absolute_source(inner, folder, sets)
        )
    if is_generated(source):
        return source
    path = str(local_path(source))
    name, mark, options = path.partition("?")
    if not (mark and ending_of_several(name)):  # a glob may have a ? too
        name, mark, options = path, "", ""
    return os.path.abspath(folder / name) + mark + options


def source_of_renamed(source: str, names: Mapping[str, str]) -> str:
    """Return a source with the sets of which it is made under their new names."""
    if not is_made_of_others(source):
        return source
    return _of_another(
        source, lambda inner: names[inner] if inner in names else source_of_renamed(inner, names)
    )


def _of_another(source: str, change: Callable[[str], str]) -> str:
    """Return what is made of others (``scramble:cats``), made of another instead."""
    scheme, inner, query = split_nested(source)
    return f"{scheme}:{in_parentheses(change(inner))}{query and f'?{query}'}"


def _generated(source: str, seed: int) -> Stimuli:
    name, options = parse_spec(source)
    scheme, _, count = name.partition(":")
    if not count.isdecimal():
        raise InputError(f"{source}: the number of images is {count!r}; write {scheme}:43")
    return GENERATED[scheme](int(count), **_of_scheme(scheme, GENERATED[scheme], options, seed))


def _made_of_others(source: str, seed: int, follow_links: bool, sets: Mapping[str, Stimuli]) -> Stimuli:
    """Return what is made of a set, or of a source, that a source names."""
    scheme, inner, query = split_nested(source)
    if not inner:
        raise InputError(f"{source}: names nothing to {scheme}; write {scheme}:SET or {scheme}:SOURCE")
    maker = MADE_OF_OTHERS[scheme]
    try:
        options = _of_scheme(scheme, maker, parse_options(query, source), seed)
    except InputError as error:
        known = set(inspect.signature(maker).parameters)
        ways = f"a source with a ? of its own stands in parentheses: {_apart(scheme, inner, query, known)}"
        raise InputError(f"{error}; {ways}") from error
    if inner in sets:
        return maker(sets[inner], inner, **options)
    try:
        given = stimuli_from(inner, seed=seed, follow_links=follow_links, sets=sets)
    except InputError as error:
        close = nearest_names(inner, sets, cutoff=0.7)
        raise InputError(
            f"{error}; or did you mean the set {close[0]!r}?" if close else str(error)
        ) from error
    # A path that a set has for its name: it stays a path when it is read again.
    written = os.path.join(os.curdir, given.source) if given.source in sets else given.source
    return maker(given, written, **options)


def _apart(scheme: str, inner: str, query: str, known: Container[str]) -> str:
    """Return how a source and what is made of it are written, where one ? was before the options of both."""
    parts = re.split("[?&]", query)
    its = [part for part in parts if part.partition("=")[0] not in known] or parts
    own = [part for part in parts if part not in its]
    return f"{scheme}:({inner}?{'&'.join(its)})" + ("?" + "&".join(own) if own else "")


def _of_scheme(
    scheme: str, maker: Callable[..., Stimuli], options: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Return the options of what is made, all of them known, with the seed where none is given."""
    parameters = inspect.signature(maker).parameters.values()
    known = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    for option in options:
        require_known(f"option of {scheme!r}", option, known)
    return {"seed": seed, **options} if "seed" in known else options
