"""Whether a file is as image files usually are, by what it declares: others may take any time and memory.

A decoder does what a file says. Of most files that is little more than their pixels; one of a few kilobytes
can also declare thousands of scans, tiles far larger than the image, or metadata that overlap. What is not
known to be usual is decoded in a process that can be given up (`guarded`). Nothing is decoded here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import PIL.Image

#: Chunks of a PNG, which libpng writes for every 8 KB.
MOST_CHUNKS = 20_000

#: Parts of a JPEG or a GIF before its pixels.
MOST_SEGMENTS = 1_000

#: Of a JPEG, whose pixels every scan goes over: what a second is about enough for.
MOST_PIXELS_OF_SCANS = 1_000_000_000

#: Strips or tiles of a TIFF; many programs write one for each row.
MOST_STRIPS = 20_000

#: Entries that a TIFF says of an image.
MOST_TAGS = 500

#: In bytes: EXIF in one segment of a JPEG.
MOST_EXIF = 65_536

#: In bytes: of a PPM that Pillow reads number by number, in Python.
MOST_NUMBERS = 1_000_000

#: Of a TIFF: raw, LZW, deflate (two numbers), PackBits; other decoders may take what they like.
_COMPRESSIONS = (1, 5, 8, 32946, 32773)

#: In bytes, by their numbers: types of a TIFF's values.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}

_WIDTH, _HEIGHT, _COMPRESSION, _STRIPS, _TILE_WIDTH, _TILE_HEIGHT, _TILES = 256, 257, 259, 273, 322, 323, 324


def is_usual(content: bytes) -> bool:
    """Return whether an image file declares no more than such files usually do."""
    for beginning, check in _CHECKS.items():
        if content.startswith(beginning):
            try:
                return check(content)
            except (IndexError, KeyError, struct.error):
                return False  # cut off, or of a form that is not known
    return True  # no image that is read, which is told at once


def has_usual_metadata(image: PIL.Image.Image) -> bool:
    """Return whether the EXIF of an opened image is short: parts of a long one may overlap without end."""
    exif, raw = image.info.get("exif", b""), image.info.get("Raw profile type exif", "")
    return len(exif) <= MOST_EXIF and len(raw) <= 2 * MOST_EXIF  # which is hexadecimal


def _is_usual_png(content: bytes) -> bool:
    place = 8
    for _ in range(MOST_CHUNKS):
        if place + 8 > len(content) or content[place + 4 : place + 8] == b"IEND":
            return True
        place += 12 + int.from_bytes(content[place : place + 4], "big")
    return False


def _is_usual_jpeg(content: bytes) -> bool:
    place, pixels = 2, 0
    for _ in range(MOST_SEGMENTS):
        if content[place] != 0xFF:
            return False
        marker = content[place + 1]
        if marker == 0xDA:  # begins a scan
            return content.count(b"\xff\xda", place) * pixels <= MOST_PIXELS_OF_SCANS
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame
            height, width = struct.unpack_from(">HH", content, place + 5)
            pixels = max(pixels, height * width)
        place += 2 + struct.unpack_from(">H", content, place + 2)[0]
    return False


def _is_usual_gif(content: bytes) -> bool:
    def palette(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    place = 13 + palette(content[10])
    for _ in range(MOST_SEGMENTS):
        if content[place] != 0x21:  # no extension: the image
            return True
        place += 2
        while content[place]:
            place += 1 + content[place]
        place += 1
    return False


def _is_usual_webp(content: bytes) -> bool:
    """Return whether it is no animation, and its canvas is none that takes much, which is made at once."""
    kind = content[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        height = int.from_bytes(content[27:30], "little") + 1
        animated = bool(content[20] & 2)
    elif kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        width, height, animated = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, False
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
        animated = False
    return not animated and width * height <= _most_pixels()


def _is_usual_bmp(content: bytes) -> bool:
    """Return whether it is not run-length encoded, which Pillow decodes in Python, of any size."""
    (length,) = struct.unpack_from("<I", content, 14)
    return length == 12 or struct.unpack_from("<I", content, 30)[0] in (0, 3)


#: How one begins whose pixels stand there as they are.
_RAW_PPM = re.compile(rb"(P4|(P[56](?=\s+\d+\s+\d+\s+255\s))|(P5(?=\s+\d+\s+\d+\s+65535\s)))\s")


def _is_usual_ppm(content: bytes) -> bool:
    return len(content) <= MOST_NUMBERS or bool(_RAW_PPM.match(content))


def _is_usual_tiff(content: bytes) -> bool:
    order = {b"II": "<", b"MM": ">"}[content[:2]]
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, start)
    if count > MOST_TAGS:
        return False
    declared, values = 0, {}
    for number in range(count):
        place = start + 2 + 12 * number
        tag, kind, length = struct.unpack_from(f"{order}HHI", content, place)
        declared += length * _SIZES.get(kind, 8)
        if tag in (_STRIPS, _TILES) and length > MOST_STRIPS:
            return False
        values[tag] = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", content, place + 8)[0]
    tile = values.get(_TILE_WIDTH, 0) * values.get(_TILE_HEIGHT, 0)
    return (
        declared <= len(content)
        and tile <= max(2**20, values[_WIDTH] * values[_HEIGHT])
        and values.get(_COMPRESSION, 1) in _COMPRESSIONS
    )


def _most_pixels() -> float:
    limit = PIL.Image.MAX_IMAGE_PIXELS
    return float("inf") if limit is None else limit


#: By how files of a format begin.
_CHECKS: dict[bytes, Callable[[bytes], bool]] = {
    b"\x89PNG": _is_usual_png,
    b"\xff\xd8": _is_usual_jpeg,
    b"GIF8": _is_usual_gif,
    b"RIFF": _is_usual_webp,
    b"BM": _is_usual_bmp,
    b"P": _is_usual_ppm,
    b"II*\0": _is_usual_tiff,
    b"MM\0*": _is_usual_tiff,
    b"II": lambda _: False,  # BigTIFF, and what else Pillow takes for a TIFF
    b"MM": lambda _: False,
}
