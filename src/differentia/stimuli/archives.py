"""Image files in zip and tar archives, which are not unpacked."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from differentia.errors import InputError, UnreadableImageError, in_one_line, unknown_name, warn
from differentia.stimuli.arrays import with_options
from differentia.stimuli.decoding import SUFFIXES
from differentia.stimuli.encoded import EncodedStimuli, require_small
from differentia.stimuli.files import natural_key, warn_of_other_formats
from differentia.system import turns
from differentia.system.file_kinds import head_of, kind_of
from differentia.system.files import require_utf8
from differentia.system.machine import is_bomb, written_size
from differentia.system.open_files import KeptOpen
from differentia.system.regular import NotRegularError, open_regular
from differentia.system.showing import listed

#: How the names of tar archives end.
TAR_ENDINGS = (".tar", ".tar.bz2", ".tar.gz", ".tar.xz", ".tgz")

#: What reads compressed files, by how they begin.
_COMPRESSED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}

#: What is raised of members that are damaged, or compressed in a way that Python does not know.
_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError),
    *(NotImplementedError, RuntimeError),
)


def load_zip(path: Path, folder: str | None = None) -> ZipStimuli:
    """Return the images in a zip archive, or those in a folder of it."""
    return ZipStimuli(path, folder)


def load_tar(path: Path, folder: str | None = None) -> TarStimuli:
    """Return the images in a tar archive, or those in a folder of it."""
    return TarStimuli(path, folder)


class _Member(NamedTuple):
    """A file in an archive, by its name there."""

    name: str
    size: int


class ArchiveStimuli(EncodedStimuli):
    """The image files in an archive or in a folder of it, at any depth, in natural order.

    They are seen as those in a folder are. Hidden files, links and what macOS adds are left out.
    """

    def __init__(self, path: Path, folder: str | None) -> None:
        super().__init__()
        require_utf8(path)
        self._path = path
        self._folder = "" if folder is None else _plain(folder)
        self.source = with_options(path, folder=folder)
        self._others: list[str] = []
        self._links: list[str] = []
        try:
            found = {_plain(member.name): member for member in self._images()}
        except (InputError, MemoryError):
            raise
        except (*_DAMAGED, OSError, ValueError) as error:
            raise _unreadable(path, error) from error
        if not found:
            raise InputError(f"{self.source}: {self._what_is_there()}")
        for name in found:
            require_utf8(name)
        warn_of_other_formats(self.source, self._others)
        if self._links:
            warn("other", f"{path}: left out links ({len(self._links)}), such as {self._links[0]!r}")
        names = sorted(found, key=natural_key)
        self._members = [found[name] for name in names]
        common = posixpath.commonpath([posixpath.dirname(name) for name in names])
        self.names = tuple(name.removeprefix(f"{common}/") if common else name for name in names)

    @abstractmethod
    def _images(self) -> Iterator[_Member]:
        """Yield the image files that are wanted; of several with one name, the last is meant."""

    @abstractmethod
    def _bytes(self, member: _Member) -> bytes:
        """Return what a file holds."""

    def _is_wanted(self, name: str) -> bool:
        """Return whether a file is an image, in the folder that is asked for; others are remembered."""
        plain = _plain(name)
        parts = plain.split("/")
        if any(part == "__MACOSX" or part.startswith(".") for part in parts):
            return False
        is_image = posixpath.splitext(plain)[1].lower() in SUFFIXES
        is_there = not self._folder or plain.startswith(f"{self._folder}/")
        if not (is_image and is_there):
            self._others.append(plain)
        return is_image and is_there

    def _what_is_there(self) -> str:
        """Return what is in an archive that has no images where they are looked for."""
        images = [name for name in self._others if posixpath.splitext(name)[1].lower() in SUFFIXES]
        if images:
            folders = sorted({posixpath.dirname(name) for name in images} - {""}, key=natural_key)
            return str(unknown_name("folder of images", self._folder, folders))
        held = sorted({posixpath.splitext(name)[1] or name for name in self._others})
        return f"no images in this archive (looked for {', '.join(sorted(SUFFIXES))}); it holds " + (
            listed(held) if held else "no file"
        )

    def _content(self, index: int) -> bytes:
        member = self._members[index]
        require_small(member.size, self._place(index))
        try:
            return self._bytes(member)
        except _DAMAGED as error:
            raise UnreadableImageError(
                f"{self._place(index)}: can't be unpacked ({in_one_line(error)}); replace it, or take it out "
                "of the archive"
            ) from error
        except OSError as error:  # no fault of the image: a disk that fails must not make the set smaller
            raise InputError(
                f"{self._path}: can't be read from the disk ({error}); check the disk and try again"
            ) from error

    def _place(self, index: int) -> str:
        return f"{self._path}: {self._members[index].name}"


def _plain(name: str) -> str:
    """Return a name as if the archive were the whole disk: nothing lies above it."""
    return posixpath.normpath(f"/{name}").lstrip("/")


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, NotRegularError):
        return InputError(f"{path}: can't be read as an archive ({error}); name a file")
    kind = kind_of(head_of(path))
    is_archive = kind.startswith(
        ("a zip archive", "a tar archive", "a compressed file", "of an unknown kind")
    )
    reason = f"{in_one_line(error)}: it may be cut off or damaged" if is_archive else f"it is {kind}"
    return InputError(f"{path}: can't be read as an archive ({reason})")


class _ClosedWithItsFile(zipfile.ZipFile):
    """An archive in a file that is already open."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        try:
            super().__init__(file)
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        super().close()
        self._file.close()


class ZipStimuli(ArchiveStimuli):
    """The image files in a zip archive."""

    def __init__(self, path: Path, folder: str | None) -> None:
        self._file = KeptOpen(lambda: _ClosedWithItsFile(open_regular(path)))
        super().__init__(path, folder)

    def _images(self) -> Iterator[_Member]:
        with self._file.use() as archive:
            for info in archive.infolist():
                if info.is_dir() or not self._is_wanted(info.filename):
                    continue
                if stat.S_ISLNK(info.external_attr >> 16):
                    self._links.append(info.filename)
                    continue
                if info.flag_bits & 1:
                    raise InputError(
                        f"{self._path}: {info.filename} is encrypted; unpack the archive with its password, "
                        "and name the folder"
                    )
                yield _Member(info.filename, info.file_size)

    def _bytes(self, member: _Member) -> bytes:
        with self._file.use() as archive:
            return archive.read(member.name)


class _Checked(tarfile.TarInfo):
    """A header of a tar archive; Python takes a damaged one for the archive's end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined] # it is the end
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"at byte {archive.offset:,}: {error}") from error


class _Unpacked:
    """What a compressed file holds, as it is unpacked: an error where that is too much for its size."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path, self._size = stream, path, os.path.getsize(path)
        self._count = 0

    def read(self, size: int) -> bytes:
        found = self._stream.read(size)
        self._count += len(found)
        if is_bomb(self._count, self._size):
            raise InputError(
                f"{self._path}: its {written_size(self._size)} unpack to more than "
                f"{written_size(self._count)}, which fills the disk; if you trust it, unpack it and name the "
                "folder"
            )
        return found


class TarStimuli(ArchiveStimuli):
    """The image files in a tar archive.

    A compressed one can only be read from its beginning: its images are unpacked once, behind one another
    into a temporary file without a name, which goes with this object.
    """

    def __init__(self, path: Path, folder: str | None) -> None:
        self._starts: dict[str, int] = {}
        self._unpacked: IO[bytes] | None = None
        self._one_at_a_time = turns.lock()
        super().__init__(path, folder)

    def _images(self) -> Iterator[_Member]:
        head = head_of(self._path)
        decompress = next((opener for start, opener in _COMPRESSED.items() if head.startswith(start)), None)
        if decompress is None:
            with (
                open_regular(self._path) as file,
                tarfile.open(fileobj=file, mode="r:", tarinfo=_Checked) as archive,
            ):
                for info in self._wanted(archive):
                    self._starts[info.name] = info.offset_data
                    yield _Member(info.name, info.size)
            return
        self._unpacked = unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - it stays
        weakref.finalize(self, unpacked.close)
        with open_regular(self._path) as file, decompress(file) as opened:
            stream = _Unpacked(opened, self._path)
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Checked) as archive:
                for info in self._wanted(archive):
                    yield self._unpack(archive, info)
            while stream.read(2**20):  # to its end, where the checksum is
                pass
        unpacked.flush()

    def _wanted(self, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        for info in archive:
            if info.isdir() or not self._is_wanted(info.name):
                continue
            if info.isreg() and not info.issparse():
                yield info
            else:
                self._links.append(info.name)

    def _unpack(self, archive: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
        """Write a file behind those that are unpacked already."""
        member, source = _Member(info.name, info.size), archive.extractfile(info)
        assert self._unpacked is not None
        assert source is not None
        try:
            require_small(member.size, info.name)
        except UnreadableImageError:  # which is told when it is loaded
            return member
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if info.size > free:
            raise InputError(
                f"{self._path}: has to be unpacked for a while, and {tempfile.gettempdir()} has "
                f"{written_size(free)} free; make room there, or unpack it yourself and name the folder"
            )
        self._starts[info.name] = self._unpacked.tell()
        shutil.copyfileobj(source, self._unpacked)
        return member

    def _bytes(self, member: _Member) -> bytes:
        if self._unpacked is not None:
            if hasattr(os, "pread"):  # past the place in the file, which forked processes share
                return _whole(
                    os.pread(self._unpacked.fileno(), member.size, self._starts[member.name]), member
                )
            with self._one_at_a_time:
                return self._read(self._unpacked, member)
        with open_regular(self._path) as file:
            return self._read(file, member)

    def _read(self, file: IO[bytes], member: _Member) -> bytes:
        file.seek(self._starts[member.name])
        return _whole(file.read(member.size), member)


def _whole(content: bytes, member: _Member) -> bytes:
    if len(content) < member.size:
        raise EOFError("it is cut off")
    return content
