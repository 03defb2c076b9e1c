"""Text for a terminal: nothing in it is obeyed, and nothing that can be read is changed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TextIO

import pytest

from differentia.errors import StorageError, printable
from differentia.system.terminal import NotReadError, PrintableStream, printable_streams


def test_only_control_characters_are_escaped() -> None:
    """Ends of lines, blanks of any width, joiners and what Python calls no character stay."""
    for text in (
        "",
        "a\nb",
        "1\u202f000\u00a0%",
        "\u0646\u0645\u06cc\u200c\u062e\u0648 \u56fe",
        "\U0001f468\u200d\U0001f469",
        "\u0378",
    ):
        assert printable(text) == text
    assert printable("\x1b[2J\r\t\n\x9b\u202e\u2028\udcff") == (
        r"\u001b[2J\r\t" + "\n" + r"\u009b\u202e\u2028\udcff"
    )


def stream_of(encoding: str) -> tuple[PrintableStream, io.BytesIO]:
    """Return a stream of an encoding, and what arrives of it."""
    arrived = io.BytesIO()
    text = io.TextIOWrapper(arrived, encoding, write_through=True, newline="\n")
    return PrintableStream(text, "standard output"), arrived


def test_what_an_encoding_lacks_is_escaped() -> None:
    """One character at a time; how many were written is told as other streams do."""
    for encoding, expected in (
        ("ascii", rb"gr\u00fcn \u2192 \ud83d\ude00"),
        ("latin-1", b"gr\xfcn " + rb"\u2192 \ud83d\ude00"),
        ("utf-8", "gr\u00fcn \u2192 \U0001f600".encode()),
    ):
        stream, arrived = stream_of(encoding)
        assert stream.write("gr\u00fcn \u2192 \U0001f600") == 8
        assert arrived.getvalue() == expected
    stream, arrived = stream_of("utf-8")
    stream.write_as_it_is("\x1b[1mb\udcff")
    assert arrived.getvalue() == b"\x1b[1mb" + rb"\udcff"


def test_control_characters_are_shown() -> None:
    """By every way of writing; a line is written anew only from its beginning."""
    stream, arrived = stream_of("utf-8")
    stream.write("\r 5 %")
    stream.write("a\x1b[2J\rb\n")
    stream.writelines(["c\x07", "d\x9b\n"])
    print("e\x7f", "f\r", file=stream)
    assert arrived.getvalue().decode() == (
        "\r 5 %" + r"a\u001b[2J\rb" + "\n" + r"c\u0007d\u009b" + "\n" + r"e\u007f f\r" + "\n"
    )


@pytest.fixture
def unwritable(request: pytest.FixtureRequest) -> Iterator[TextIO]:
    """A stream that can't be written to: a full disk's (``"full"``), or one that nobody reads."""
    if request.param == "full":
        file = open("/dev/full", "w", buffering=1)  # noqa: SIM115
    else:
        reads, writes = os.pipe()
        os.close(reads)
        file = open(writes, "w", buffering=1)  # noqa: SIM115
    yield file
    with suppress(OSError):  # of what was held back
        file.close()


@pytest.mark.parametrize(
    ("unwritable", "error", "match"),
    [
        ("full", StorageError, "^standard output can't be written to: No space left on device$"),
        ("not read", NotReadError, "^$"),
    ],
    indirect=["unwritable"],
)
def test_streams_that_cant_be_written_to(unwritable: TextIO, error: type[Exception], match: str) -> None:
    """Which it is is said, also of what Rich writes, and of what was held back."""
    stream = PrintableStream(unwritable, "standard output")
    with pytest.raises(error, match=match):
        stream.write("a\n")
    with pytest.raises(error, match=match):
        stream.rich_proxied_file.write("\x1b[1ma\n")
    with pytest.raises(error, match=match):
        stream.flush()


@pytest.mark.parametrize("unwritable", ["full", "not read"], indirect=True)
def test_messages_that_cant_be_written_are_dropped(
    unwritable: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's streams are put back, also after an error."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", unwritable)
        before = sys.stdout, sys.stderr
        with suppress(ZeroDivisionError), printable_streams():
            assert sys.stderr.write("a\n") == 2
            sys.stderr.flush()
            raise ZeroDivisionError
        assert (sys.stdout, sys.stderr) == before


def test_a_stream_that_is_closed() -> None:
    """It takes everything."""
    closed = PrintableStream(None, "standard output")
    assert closed.write("a") == 1
    closed.flush()
    assert not closed.isatty()


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("{} >/dev/full", 1, "differentia: standard output can't be written to: No space left on device\n"),
        ("set -o pipefail; {{ sleep 0.2; {}; }} | true", 141, ""),
        ("{} >&-", 0, ""),
        ("{} --no-such 2>/dev/full", 2, ""),
        (
            "cd $(mktemp -d) && rmdir $PWD && {}",
            2,
            "differentia: the working folder can't be used, as it was removed or moved; change to another "
            "with cd\n",
        ),
    ],
)
def test_exit_codes(how: str, code: int, said: str) -> None:
    """The command line tells whether what it printed was read, and whether it can work where it is."""
    command = f"{sys.executable} -m differentia --help"
    done = subprocess.run(
        ["bash", "-c", how.format(command)], stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (code, said)
