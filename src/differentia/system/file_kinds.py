"""What a file is by its first bytes, whatever its name says; for the errors about files of another kind."""

from __future__ import annotations

import re
from pathlib import Path

from differentia.system.regular import open_regular

#: In bytes: what `kind_of` looks at.
HEAD = 512

ZIP, HDF5, PICKLE = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x80"

WEB_PAGE = "a web page (HTML): download the file itself"

#: By how files of a kind begin.
_KINDS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), kind)
    for pattern, kind in (
        (rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|body|!--)", WEB_PAGE),
        (rb"version https://git-lfs", "a pointer of Git LFS: fetch the file itself with git lfs pull"),
        (rb"(\xef\xbb\xbf)?\s*<svg|.{0,256}<svg", "an SVG drawing"),
        (rb"%PDF-", "a PDF document"),
        (rb"%!PS", "a PostScript document"),
        (rb"PK\x03\x04", "a zip archive"),
        (rb"\x1f\x8b|BZh|\xfd7zXZ", "a compressed file: unpack it"),
        (rb"\x89HDF", "an HDF5 file"),
        (rb"\x93NUMPY", "a NumPy array"),
        (rb"\x80[\x02-\x05]", "a pickle"),
        (rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|II\*\0|MM\0\*", "an image"),
        (rb"....ftyp(avif|avis)", "an AVIF image"),
        (rb"....ftyp(hei[cfsx]|hev[cx]|mif1|msf1)", "a HEIC image"),
        (rb"....ftypM4[AB]|RIFF....WAVE|ID3|fLaC|OggS", "an audio file"),
        (rb"....ftyp|RIFF....AVI |\x1a\x45\xdf\xa3", "a video"),
        (rb".{257}ustar", "a tar archive"),
        (rb"\0\0\0\x0cJXL |\xff\x0a", "a JPEG XL image"),
    )
)  # fmt: skip


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file."""
    with open_regular(path) as file:
        return file.read(HEAD)


def kind_of(head: bytes) -> str:
    """Return in words what a file is that begins so; "of an unknown kind" where that can't be told."""
    if not head:
        return "empty"
    for beginning, kind in _KINDS:
        if beginning.match(head):
            return kind
    return "text" if _is_text(head) else "of an unknown kind"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode() if len(head) < HEAD else head[: HEAD - 4].decode(errors="ignore")
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)
