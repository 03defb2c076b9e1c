"""Image files of anybody decoded: usual ones here, others in a process that can be given up."""

from __future__ import annotations

import json
from typing import NamedTuple

import PIL.Image

from differentia.errors import in_one_line
from differentia.stimuli.decoding import decoded, read_header, usable_conversion
from differentia.stimuli.usual import has_usual_metadata, is_usual
from differentia.system.limited import GivenUpError, LimitedProcess
from differentia.system.machine import written_size

#: In seconds, for an image of as many pixels as Pillow allows by itself.
MOST_SECONDS = 7.0

#: In bytes, for each pixel that an image may have: 1.2 GB of as many as Pillow allows by itself.
BYTES_PER_PIXEL = 13

#: As many as Pillow allows by itself.
USUAL_PIXELS = 89_478_485

_WAY_OUT = "save it anew, in a plain form"

_process = LimitedProcess("differentia.stimuli.guarded:answer")


class Seen(NamedTuple):
    """What is known of an image file: its pixels in mode L or RGB, unless only its colours were asked for.

    `converted` says whether its colours are those of another profile, converted to sRGB; `caveat` what could
    not be used of it.
    """

    image: PIL.Image.Image | None
    converted: bool
    caveat: str


def decode(content: bytes) -> Seen:
    """Return the image in a file, of several the first, upright, in mode L or RGB.

    Raises
    ------
    Exception
        Of many kinds: it can't be decoded, or takes more time or memory than an image may.
    """
    return _seen(content, with_pixels=True)


def colours(content: bytes) -> Seen:
    """Return what is known of an image without its pixels, as `decode` does."""
    return _seen(content, with_pixels=False)


def opened(content: bytes) -> PIL.Image.Image:
    """Return an image of which the header has been read, or, of an unusual file, one that is decoded."""
    if is_usual(content) and has_usual_metadata(header := read_header(content)):
        return header
    image = decode(content).image
    assert image is not None
    return image


def _seen(content: bytes, *, with_pixels: bool) -> Seen:
    if is_usual(content):
        header = read_header(content)
        if has_usual_metadata(header):
            return _looked_at(header, with_pixels)
    limit = PIL.Image.MAX_IMAGE_PIXELS
    pixels = max(limit or 0, USUAL_PIXELS)
    memory = BYTES_PER_PIXEL * pixels
    try:
        answered, data = _process.do(
            json.dumps([limit, with_pixels]).encode(),
            content,
            seconds=MOST_SECONDS * pixels / USUAL_PIXELS,
            memory=memory,
        )
    except GivenUpError as error:
        raise ValueError(f"it {error}; {_WAY_OUT}") from None
    facts = json.loads(answered)
    if facts["error"] == "MemoryError":
        raise ValueError(f"it takes more than {written_size(memory)} of memory; {_WAY_OUT}")
    if facts["error"]:
        raise ValueError(facts["error"])
    image = PIL.Image.frombytes(facts["mode"], tuple(facts["size"]), data) if with_pixels else None
    return Seen(image, facts["converted"], facts["caveat"])


def _looked_at(header: PIL.Image.Image, with_pixels: bool) -> Seen:
    conversion, caveat = usable_conversion(header)
    return Seen(decoded(header, conversion) if with_pixels else None, conversion is not None, caveat)


def answer(asked: bytes, content: bytes) -> tuple[bytes, bytes]:
    """Return what is seen in a file, and its pixels, in the process that can be given up."""
    PIL.Image.MAX_IMAGE_PIXELS, with_pixels = json.loads(asked)
    facts: dict[str, object] = {"error": ""}
    data = b""
    try:
        image, facts["converted"], facts["caveat"] = _looked_at(read_header(content), with_pixels)
        if image is not None:
            facts |= {"mode": image.mode, "size": image.size}
            data = image.tobytes()
    except MemoryError:
        facts["error"] = "MemoryError"
    except Exception as error:  # Pillow's decoders raise many kinds on broken files
        facts["error"] = in_one_line(error) or type(error).__name__
    return json.dumps(facts).encode(), data
