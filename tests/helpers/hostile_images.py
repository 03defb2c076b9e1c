"""Image files of little size that would take much time or memory to decode, each by its specification."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import PIL.Image


def tiff(entries: dict[int, tuple[int, Sequence[int]]], beside: bytes = b"") -> bytes:
    """Return a TIFF of tags (type, values); of values that stand elsewhere, the first says where."""
    directory = b""
    data = b""
    start = 8 + 2 + 12 * len(entries) + 4
    for tag, (kind, values) in sorted(entries.items()):
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            packed, data = struct.pack("<I", start + len(data)), data + packed
        directory += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return head + directory + bytes(4) + data + beside


def of_strips(count: int) -> bytes:
    """Return a TIFF of one column of pixels, each a strip, all of which are the same byte."""
    return tiff(
        {
            256: (3, [1]),
            257: (4, [count]),
            258: (3, [8]),
            259: (3, [1]),
            262: (3, [1]),
            273: (4, [8] * count),
            278: (3, [1]),
            279: (4, [1] * count),
        }
    )


def of_a_large_tile(side: int) -> bytes:
    """Return a TIFF of one pixel in a tile of many."""
    packed = zlib.compress(bytes(1000))
    entries: dict[int, tuple[int, Sequence[int]]] = {
        256: (3, [1]),
        257: (3, [1]),
        258: (3, [8]),
        259: (3, [8]),
        262: (3, [1]),
        277: (3, [1]),
        322: (4, [side]),
        323: (4, [side]),
        324: (4, [0]),
        325: (4, [len(packed)]),
    }
    entries[324] = (4, [len(tiff(entries))])
    return tiff(entries, packed)


def of_overlapping_tags(size: int) -> bytes:
    """Return a TIFF each of whose tags has the same bytes, nearly all of the file."""
    pixels = bytes([7])
    own = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 8, 278: 1, 279: 1}
    tags = size // 24
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in own.items())
    start = 8 + 2 + 12 * (len(own) + tags) + 4
    directory += b"".join(struct.pack("<HHII", 1000 + tag, 7, size // 2, start) for tag in range(tags))
    head = b"II*\0" + struct.pack("<IH", 8, len(own) + tags)
    return head + directory + bytes(4) + bytes(size // 2) + pixels


def in_png(*chunks: tuple[bytes, bytes], many: bytes = b"", size: tuple[int, int] = (1, 1)) -> bytes:
    """Return a PNG of black pixels with chunks before them, and some that are ready made."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    width, height = size
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes((width + 1) * height)))
    before = b"".join(chunk(kind, data) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + header + before + many + pixels + chunk(b"IEND", b"")


def of_chunks(count: int) -> bytes:
    """Return a PNG of many chunks that hold nothing."""
    empty = bytes(4) + b"abCd" + struct.pack(">I", zlib.crc32(b"abCd"))
    return in_png(many=empty * count)


def of_long_exif(size: int) -> bytes:
    """Return a PNG whose EXIF has parts that overlap."""
    return in_png((b"eXIf", of_overlapping_tags(size)))


def of_a_long_raw_profile(size: int) -> bytes:
    """Return a PNG with such EXIF in a text, as ImageMagick writes it."""
    exif = b"Exif\0\0" + of_overlapping_tags(size)
    text = b"\nexif\n%8d\n" % len(exif) + exif.hex().encode() + b"\n"
    return in_png((b"tEXt", b"Raw profile type exif\0" + text))


def of_scans(count: int, side: int = 4000) -> bytes:
    """Return a progressive JPEG whose last scan comes many times."""
    written = io.BytesIO()
    PIL.Image.new("L", (side, side), 128).save(written, "JPEG", progressive=True)
    content = written.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + content[-2:]


def of_segments(count: int) -> bytes:
    """Return a JPEG with many comments that hold nothing."""
    written = io.BytesIO()
    PIL.Image.new("L", (8, 8), 128).save(written, "JPEG")
    return written.getvalue()[:2] + b"\xff\xfe\0\2" * count + written.getvalue()[2:]


def of_comments(count: int) -> bytes:
    """Return a GIF with many short comments."""
    written = io.BytesIO()
    PIL.Image.new("P", (8, 8)).save(written, "GIF")
    content = written.getvalue()
    start = 13 + (3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0)
    return content[:start] + b"\x21\xfe\1a\0" * count + content[start:]


def of_a_large_screen(side: int) -> bytes:
    """Return a GIF, partly transparent, of few pixels on a large screen."""
    written = io.BytesIO()
    PIL.Image.new("P", (8, 8)).save(written, "GIF", transparency=0)
    content = bytearray(written.getvalue())
    struct.pack_into("<HH", content, 6, side, side)
    return bytes(content)


def of_a_large_canvas(side: int) -> bytes:
    """Return an animated WebP of few pixels on a large canvas."""
    written = io.BytesIO()
    frames = [PIL.Image.new("RGBA", (8, 8), (value, 0, 0, 100)) for value in (0, 255)]
    frames[0].save(written, "WEBP", save_all=True, append_images=frames[1:])
    content = bytearray(written.getvalue())
    assert content[12:16] == b"VP8X"
    for place in (24, 27):
        content[place : place + 3] = (side - 1).to_bytes(3, "little")
    return bytes(content)


def of_runs(width: int) -> bytes:
    """Return a run-length encoded BMP that goes up by 255 rows, again and again."""
    steps = b"\0\2\xff\xff" * 4000 + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, width, 1000, 1, 8, 1, len(steps), 0, 0, 1, 0)
    start = 14 + len(header) + 4
    return b"BM" + struct.pack("<IHHI", start + len(steps), 0, 0, start) + header + bytes(4) + steps


def of_numbers(side: int) -> bytes:
    """Return a PPM whose white is 254, which Pillow reads number by number."""
    return b"P5 %d %d 254\n" % (side, side) + bytes(side * side)


#: By what they are: what makes them, given what makes them large.
BOMBS: dict[str, Callable[[], bytes]] = {
    "GIF of 89 megapixels": lambda: of_a_large_screen(9_459),
    "TIFF of a pixel in a tile of 2 gigapixels": lambda: of_a_large_tile(46_336),
    "TIFF of overlapping tags": lambda: of_overlapping_tags(1_500_000),
    "PNG of 3 million chunks": lambda: of_chunks(3_000_000),
    "PNG of overlapping EXIF": lambda: of_long_exif(1_500_000),
    "PNG of overlapping EXIF in a text": lambda: of_a_long_raw_profile(1_500_000),
    "JPEG of 2,000 scans": lambda: of_scans(2_000),
    "JPEG of 5 million comments": lambda: of_segments(5_000_000),
    "GIF of a million comments": lambda: of_comments(1_000_000),
    "TIFF of 5 million strips": lambda: of_strips(5_000_000),
    "WebP of 268 megapixels": lambda: of_a_large_canvas(16_383),
    "WebP of 89 megapixels": lambda: of_a_large_canvas(9_459),
    "BMP of 90,000,000 pixels of runs": lambda: of_runs(89_000),
    "PPM of 40 million numbers": lambda: of_numbers(6_400),
}


class Outcome(NamedTuple):
    """How the decoding of a file ended: what was said of it, "" of one that was read, and the computing."""

    name: str
    said: str
    seconds: float


class Looked(NamedTuple):
    """What came of files that one process decoded, and what it and its child took of memory, but imports."""

    outcomes: list[Outcome]
    memory: int


_LOOK = """
import os, sys, threading, time, warnings, PIL.Image, resource
import psutil
warnings.simplefilter("ignore")
import differentia as dif
from differentia.stimuli.base import Fit
import differentia.stimuli.tables
fit = Fit((24, 32, 3))
me = psutil.Process()
def computed():
    own, ended = time.process_time(), sum(os.times()[2:4])
    return own + ended + sum(sum(child.cpu_times()[:2]) for child in me.children())
taken = most = me.memory_info().rss
def watch():
    global most
    while True:
        try:
            most = max(most, sum(one.memory_info().rss for one in (me, *me.children())))
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.1)  # looking takes time itself
threading.Thread(target=watch, daemon=True).start()
for path in sys.argv[2:]:
    begun = computed()
    said = ""
    try:
        found = getattr(dif, sys.argv[1])(path)
        for stimuli in found.values() if isinstance(found, dict) else [found]:
            for place in {0, len(stimuli) - 1}:
                assert stimuli.load(place, fit).pixels.shape == fit.shape
    except dif.InputError as error:
        said = str(error)
        assert said.isprintable()
    print(path, f"{computed() - begun:.3f}", said, sep="\\t", flush=True)
for name in ("guarded", "film_decoding", "table_files"):
    sys.modules[f"differentia.stimuli.{name}"]._process.end()
with open("/proc/self/status") as status:  # what getrusage has begins with what the parent took
    own = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(max(most, 1024 * own, 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) - taken)
"""


def looked_at(paths: Sequence[Path], seconds: float, take: str = "images") -> Looked:
    """Decode files in a process of their own, which has to end well; what takes them is a public function."""
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, take, *paths],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr  # libtiff writes its warnings there
    *lines, memory = done.stdout.splitlines()
    fields = [line.split("\t") for line in lines]
    return Looked([Outcome(Path(path).name, said, float(took)) for path, took, said in fields], int(memory))
