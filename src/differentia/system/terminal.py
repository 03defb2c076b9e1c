"""What a terminal is sent: text from files, networks and other libraries can't steer it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from differentia.errors import StorageError, escaped, printable


class NotReadError(Exception):
    """Nobody reads any more what is printed, as after ``head``."""


class PrintableStream:
    """A stream that shows control characters, and what its encoding lacks, as escapes.

    What is ours, as a bar and bold letters, is written to `styled`. A stream that is None was closed.
    """

    def __init__(self, stream: TextIO | None, name: str) -> None:
        self.styled: Any = io.StringIO() if stream is None else stream
        self.name = name
        #: Where Rich writes what it has drawn.
        self.rich_proxied_file: Any = _AsItIs(self)

    def write(self, text: str) -> int:
        """Write a text; a line may be written anew, as the bar of a download is."""
        again = text.startswith("\r")
        self.write_as_it_is("\r" * again + printable(text[again:]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts one after the other."""
        for line in lines:
            self.write(line)

    def write_as_it_is(self, text: str) -> None:
        """Write a text with its control characters."""
        with self._told():
            try:
                self.styled.write(text)
            except UnicodeEncodeError:
                self.styled.write("".join(map(self._known, text)))

    def _known(self, character: str) -> str:
        try:
            character.encode(self.styled.encoding)
        except UnicodeEncodeError:
            return escaped(character)
        return character

    def flush(self) -> None:
        """Write what was held back."""
        with self._told():
            self.styled.flush()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise NotReadError from None
        except OSError as error:
            raise StorageError(f"{self.name} can't be written to: {error.strerror or error}") from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.styled, name)


class _AsItIs:
    """Another's stream, to which a text is written with its control characters."""

    def __init__(self, stream: PrintableStream) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write_as_it_is(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Messages(PrintableStream):
    """Drops what can't be written: there is nobody to tell."""

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        with contextlib.suppress(OSError):
            yield


@contextlib.contextmanager
def printable_streams() -> Iterator[None]:
    """Let whatever is printed meanwhile, by any library, be printable."""
    before = sys.stdout, sys.stderr
    outer: Any = PrintableStream(sys.stdout, "standard output"), _Messages(sys.stderr, "standard error")
    sys.stdout, sys.stderr = outer
    try:
        yield
    finally:
        # A progress bar that was begun meanwhile has put back what it found.
        sys.stdout, sys.stderr = before


def open_closed_streams() -> None:
    """Have files that are opened from now on not take the place of streams that are closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free


def drop_output() -> None:
    """Have Python not try again to write to stdout as it ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.__stdout__.fileno() if sys.__stdout__ is not None else 1)
        os.close(nowhere)
