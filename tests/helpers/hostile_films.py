"""Films of little size that declare any number of frames, each by its container's specification."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from helpers.hostile_images import of_scans


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box of MP4 (ISO/IEC 14496-12, 4.2)."""
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


def full(kind: bytes, *parts: bytes) -> bytes:
    """Return a box with a version and flags of 0."""
    return box(kind, bytes(4), *parts)


def numbers(*values: int) -> bytes:
    """Return numbers of 32 bits."""
    return struct.pack(f">{len(values)}I", *values)


def mp4(
    data: bytes,
    frames: int,
    size: int,
    *,
    side: int = 16,
    chunks: int = 1,
    delta: int = 1,
    edits: Sequence[tuple[int, int]] = (),
) -> bytes:
    """Return a film of JPEGs, all of which have the same size, in chunks that are all the same bytes.

    Each frame lasts `delta` seconds. Edits are (duration, beginning).
    """
    matrix = numbers(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    entry = box(
        b"jpeg",
        bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", side, side),
        numbers(0x480000, 0x480000, 0) + struct.pack(">H", 1) + bytes(32) + struct.pack(">Hh", 24, -1),
    )
    ftyp = box(b"ftyp", b"isom", numbers(512), b"isom")

    def moov(start: int) -> bytes:
        table = box(
            b"stbl",
            full(b"stsd", numbers(1), entry),
            full(b"stts", numbers(1, frames * chunks % 2**32, delta)),
            full(b"stsc", numbers(1, 1, frames, 1)),
            full(b"stsz", numbers(size, frames * chunks % 2**32)),
            full(b"stco", numbers(chunks), numbers(start) * chunks),
        )
        minf = box(
            b"minf",
            full(b"vmhd", bytes(8)),
            box(b"dinf", full(b"dref", numbers(1), box(b"url ", numbers(1)))),
            table,
        )
        about = full(b"mdhd", numbers(0, 0, 1, 2**31 - 1, 0))
        mdia = box(b"mdia", about, full(b"hdlr", bytes(4) + b"vide" + bytes(12) + b"v\0"), minf)
        edit = box(
            b"edts",
            full(b"elst", numbers(len(edits)), *(numbers(*one, 0x10000) for one in edits)),
        )
        track = box(
            b"trak",
            box(
                b"tkhd",
                numbers(7, 0, 0, 1, 0, 2**31 - 1, 0, 0, 0, 0),
                matrix,
                numbers(side << 16, side << 16),
            ),
            edit if edits else b"",
            mdia,
        )
        head = full(
            b"mvhd", numbers(0, 0, 1, 2**31 - 1, 0x10000, 0x1000000, 0, 0), matrix, bytes(24), numbers(2)
        )
        return box(b"moov", head, track)

    start = len(ftyp) + len(moov(0)) + 8
    return ftyp + moov(start) + box(b"mdat", data)


#: By what they are: what makes them, and what is said of each when it is opened, or its first frame is shown.
FILMS: dict[str, tuple[Callable[[], bytes], str]] = {
    "4 billion frames": (lambda: mp4(bytes(1000), 2**32 - 1, 1), "holds no frame"),
    "80 million frames": (lambda: mp4(bytes(80_000), 80_000, 1, chunks=1000), "holds no frame"),
    "20 million frames": (lambda: mp4(bytes(20_000), 20_000, 1, chunks=1000), "it took longer than"),
    "frames that last 68 years": (lambda: mp4(bytes(4000), 1000, 1, delta=2**31 - 1), "can't be decoded"),
    "100,000 edits": (
        lambda: mp4(bytes(4000), 4000, 1, chunks=100, edits=[(2**31 - 1, 0)] * 100_000),
        "it takes more than 1.2 GB",
    ),
    "100,000 scans": (lambda: mp4((one := of_scans(100_000)), 1, len(one), side=4000), "can't be decoded"),
}
