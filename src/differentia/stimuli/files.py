"""Images in files."""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from differentia.errors import InputError, UnreadableImageError, warn
from differentia.stimuli.decoding import FORMATS, SUFFIXES
from differentia.stimuli.encoded import EncodedStimuli, require_small
from differentia.system.files import require_utf8
from differentia.system.regular import NotRegularError, open_regular, require_regular

#: Of other images: a folder's are passed over, and that is said.
OTHER_SUFFIXES = {
    *(".arw", ".avif", ".cr2", ".cr3", ".dng", ".eps", ".exr", ".heic", ".heif", ".hif", ".ico", ".j2k"),
    *(".jp2", ".jxl", ".nef", ".orf", ".pcx", ".psd", ".raw", ".rw2", ".svg", ".tga", ".xcf"),
} - SUFFIXES


_DIGITS = re.compile(r"([0-9]+)")

#: Entries below a folder among which images are looked for, to say where they are.
MOST_LOOKED_AT = 20_000


class FileStimuli(EncodedStimuli):
    """Images in files, in the order given; `source` is how the user named them."""

    def __init__(self, paths: Iterable[str | os.PathLike[str]], source: str) -> None:
        super().__init__()
        self.paths: tuple[Path, ...] = tuple(Path(path) for path in paths)
        self.source = source
        for path in self.paths:
            require_utf8(path)
            if not os.path.isfile(path):
                raise InputError(f"{path}: {_what_it_is(path)} (in {source}); check the path")
        self.names = _short_names(self.paths)

    def _content(self, index: int) -> bytes:
        path = self.paths[index]
        try:
            with open_regular(path) as file:
                require_small(os.fstat(file.fileno()).st_size, str(path))
                return file.read()
        except OSError as error:  # no fault of the image: a disk that fails must not make the set smaller
            raise InputError(
                f"{path}: can't be read from the disk ({error}); check the disk and try again"
            ) from error

    def _place(self, index: int) -> str:
        return str(self.paths[index])

    def bring_near(self, index: int) -> None:
        """Read a file, which the system then keeps; one that can't be read is an error when it is loaded."""
        with contextlib.suppress(OSError, UnreadableImageError):
            self._content(index)


def _what_it_is(path: Path) -> str:
    if path.is_dir():
        return "a folder, not an image file"
    if path.is_symlink() and not path.exists():
        return f"a broken link to {path.readlink()}"
    try:
        require_regular(path)
    except NotRegularError as error:
        return str(error)
    except OSError:
        pass
    return "no such image file"


def _short_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the paths below the folder that all of them share."""
    parted = [os.path.split(path) for path in paths]
    folders = {folder: os.path.abspath(folder) for folder, _ in parted}
    common = os.path.commonpath(list(folders.values())) if folders else ""
    before = {
        folder: Path(os.path.relpath(absolute, common)).as_posix() + "/" if absolute != common else ""
        for folder, absolute in folders.items()
    }
    return tuple(f"{before[folder]}{name}" for folder, name in parted)


def natural_key(path: str | os.PathLike[str]) -> list[tuple[int, int, str]]:
    """Return a sort key that puts ``image 2`` before ``image 10``."""
    # Of numbers the longer comes behind the shorter: in archives they may have more digits than Python reads.
    parts = enumerate(_DIGITS.split(os.fspath(path)))
    return [
        (0, len(part.lstrip("0")), part.lstrip("0")) if place % 2 else (1, 0, part)
        for place, part in parts
        if part
    ]


def files_in_folder(folder: Path, *, follow_links: bool = False) -> FileStimuli:
    """Return the images that lie directly in a folder, in natural order; the folder may be a link."""
    with os.scandir(folder) as found:
        entries = [entry for entry in found if not entry.name.startswith(".")]
    names = [entry.name for entry in entries if is_shown(entry)]
    if not names:
        there = [folder / entry.name for entry in entries]
        raise InputError(f"{folder}: no images in this folder{_what_is_there(folder, there)}")
    warn_of_other_formats(str(folder), [entry.name for entry in entries])
    return _within(names, folder, str(folder), follow_links)


def is_shown(entry: os.DirEntry[str]) -> bool:
    """Return whether what is in a folder is taken for an image: by its name, and no folder."""
    ending = os.path.splitext(entry.name)[1].lower()
    return ending in SUFFIXES and not entry.name.startswith(".") and not is_folder(entry)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether what is in a folder is one, or a link to one; a link to itself is none."""
    return os.path.isdir(entry) if entry.is_symlink() else entry.is_dir()


def warn_of_other_formats(where: str, names: Iterable[str]) -> None:
    """Say which images are left out, since they are in formats that are not read."""
    others = [name for name in names if os.path.splitext(name)[1].lower() in OTHER_SUFFIXES]
    if others:
        warn(
            "other",
            f"{where}: left out images in formats that are not read ({len(others)}), such as "
            f"{min(others)!r}; convert them to one of {', '.join(FORMATS)}",
        )


def _what_is_there(folder: Path, entries: Sequence[Path]) -> str:
    """Return what is in a folder that has no images, and where there are some."""
    if not entries:
        return ": it is empty; name another"
    names = itertools.chain.from_iterable(names for _, _, names in os.walk(folder))
    if found := _suffixes(itertools.islice(names, MOST_LOOKED_AT)):
        return f"; its subfolders hold {' and '.join(found)}: did you mean '{folder}/**/{_taking(found)}'?"
    held = sorted({entry.suffix or entry.name for entry in entries if not entry.is_dir()})
    shown = f"{', '.join(held[:5])}{', ...' * (len(held) > 5)}" if held else "folders without images"
    if any(suffix.lower() in OTHER_SUFFIXES for suffix in held):
        return f" in a format that is read; it holds {shown}: convert them to one of {', '.join(FORMATS)}"
    return f" (looked for {', '.join(sorted(SUFFIXES))}); it holds {shown}"


def _suffixes(names: Iterable[str]) -> list[str]:
    """Return the endings of image files among names, as they are written, the most frequent first."""
    endings = (os.path.splitext(name)[1] for name in names if not os.path.basename(name).startswith("."))
    return [ending for ending, _ in Counter(e for e in endings if e.lower() in SUFFIXES).most_common()]


def _taking(suffixes: Sequence[str]) -> str:
    """Return a glob that takes the images of all these endings."""
    return f"*{suffixes[0]}" if len(suffixes) == 1 else "*"


def files_matching(pattern: str, *, follow_links: bool = False) -> FileStimuli:
    """Return the files that a glob matches (``**`` for any depth of folders), in natural order.

    Where some end as image files do, the others are passed over, and that is said.
    """
    folder, rest = _split_at_wildcard(Path(pattern))
    found = glob.iglob(rest, root_dir=folder, recursive=True)
    names = [name for name in found if not os.path.isdir(os.path.join(folder, name))]
    if not names:
        raise InputError(f"{pattern}: no file matches{_what_would_match(folder, rest)}")
    by_suffix = [name for name in names if os.path.splitext(name)[1].lower() in SUFFIXES]
    if by_suffix and len(by_suffix) < len(names):
        others = sorted({os.path.basename(name) for name in {*names} - {*by_suffix}})
        warn(
            "other",
            f"{pattern}: left out files that do not end as images do ({len(names) - len(by_suffix)}), such "
            f"as {others[0]!r}; if they are images, rename them, or convert them to {', '.join(FORMATS)}",
        )
        names = by_suffix
    return _within(names, folder, pattern, follow_links)


def _split_at_wildcard(pattern: Path) -> tuple[Path, str]:
    """Return the folder that a glob searches, which is there, and what follows; a name may have brackets."""
    folder, parts = Path(pattern.anchor), list(pattern.relative_to(pattern.anchor).parts)
    while len(parts) > 1 and (folder / parts[0]).is_dir():
        folder /= parts.pop(0)
    return folder, os.path.join(*parts)


def _what_would_match(folder: Path, rest: str) -> str:
    """Return what to write where no file matches a pattern below a folder."""
    above, _ = os.path.split(rest)
    if above and not glob.has_magic(above):
        return f": there is no folder {folder / above}; check the path"
    if found := _suffixes(glob.glob(os.path.join(above, "*"), root_dir=folder, recursive=True)):
        place = folder / above / _taking(found)
        return f"; the images there end in {' and '.join(found)}: did you mean '{place}'?"
    return "; check the folder and the pattern"


def _within(names: Iterable[str], folder: Path, source: str, follow_links: bool) -> FileStimuli:
    """Return files that were found in a folder, where a link may lead to files that nobody meant."""
    paths = [os.path.join(folder, name) for name in sorted(names, key=natural_key)]
    if not follow_links:
        require_within(paths, folder)
    return FileStimuli(paths, source)


def require_within(paths: Iterable[str | os.PathLike[str]], folder: Path) -> None:
    """Raise an error for a link that leads out of the folder in which it was found."""
    root = Path(os.path.realpath(folder))
    inside: set[str] = set()  # folders: of a hundred thousand files, few lie in one of their own
    for path in paths:
        above = os.path.dirname(path)
        if above in inside and not os.path.islink(path):
            continue
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(root):
            raise InputError(
                f"{path}: a link that leads out of {folder}, to {target}; take it out, or follow such links "
                "with follow_links=True (--follow-links)"
            )
        if not os.path.islink(path):
            inside.add(above)
