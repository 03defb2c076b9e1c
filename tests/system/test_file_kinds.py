"""What a file is, by what others write."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import PIL.Image
import pytest

from differentia.system.file_kinds import head_of, kind_of


def written(kind: str) -> bytes:
    """Return a file of a kind, by the library that has the say about it."""
    file = io.BytesIO()
    match kind:
        case "an HDF5 file":
            h5py.File(file, "w").close()
        case "a zip archive":
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("a", b"b")
        case "a NumPy array":
            np.save(file, np.zeros(3))
        case "an AVIF image":
            PIL.Image.new("RGB", (8, 8)).save(file, "AVIF")
        case "an image":
            PIL.Image.new("RGB", (8, 8)).save(file, "WEBP")
        case "a PDF document":
            PIL.Image.new("RGB", (8, 8)).save(file, "PDF")
        case "a PostScript document":
            PIL.Image.new("RGB", (8, 8)).save(file, "EPS")
        case "a compressed file: unpack it":
            file.write(gzip.compress(b"text"))
        case "a pickle":
            pickle.dump({"a": 1}, file)
    return file.getvalue()


@pytest.mark.parametrize(
    "kind",
    [
        *("an HDF5 file", "a zip archive", "a NumPy array", "an AVIF image", "an image", "a PDF document"),
        *("a PostScript document", "a compressed file: unpack it", "a pickle"),
    ],
)
def test_files_of_other_libraries(tmp_path: Path, kind: str) -> None:
    """Each is told by its content, whatever its name; cut after its first byte, it is not."""
    path = tmp_path / "image.jpg"
    path.write_bytes(written(kind) + bytes(10_000))
    assert kind_of(head_of(path)) == kind
    assert kind_of(b"\0" + head_of(path)) != kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "a web page (HTML): download the file itself"),
        (b"\n\n<HTML lang=en>", "a web page (HTML): download the file itself"),
        (b"<?xml version='1.0'?><svg>", "an SVG drawing"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a pointer of Git LFS: "),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "a HEIC image"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"\x1a\x45\xdf\xa3\x01", "a video"),
        (b"RIFF\x08\0\0\0AVI LIST", "a video"),
        (b"RIFF\x08\0\0\0WAVEfmt ", "an audio file"),
        (b"\0\0\0\x18ftypM4A ", "an audio file"),
        (b"a.jpg" + bytes(252) + b"ustar", "a tar archive"),
        ("na\u00efve caf\u00e9\n".encode(), "text"),
        (("\u00e9" * 2_000).encode()[:512], "text"),
        (("x" + "\u00e9" * 2_000).encode()[:512], "text"),
        (b"\xff\xfe\x00\x01", "of an unknown kind"),
        (b"text \x1b[2J", "of an unknown kind"),
        (bytes(512), "of an unknown kind"),
    ],
)
def test_by_the_first_bytes(head: bytes, kind: str) -> None:
    """Web pages in place of files, pointers, text; what a terminal may obey is no text."""
    assert kind_of(head).startswith(kind)


def test_noise_is_nothing() -> None:
    """Random bytes are hardly ever taken for anything."""
    kinds = [kind_of(os.urandom(512)) for _ in range(200)]
    assert kinds.count("of an unknown kind") > 190
