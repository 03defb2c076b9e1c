"""Image files of each format and mode, the pixels that they stand for, and such that are damaged.

Pixels are arrays made beforehand. What Pillow can't write (16-bit colour) is written byte by byte.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
import PIL.Image

HEIGHT, WIDTH = 24, 32

_RANDOM = np.random.default_rng(0)
RGB = _RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
RGBA = _RANDOM.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
GREY = _RANDOM.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
BILEVEL = np.where(GREY > 127, 255, 0).astype(np.uint8)
INDICES = _RANDOM.integers(0, 4, (HEIGHT, WIDTH), dtype=np.uint8)
PALETTE = np.array([[250, 10, 20], [0, 200, 90], [30, 30, 240], [255, 255, 0]], np.uint8)
DEEP = _RANDOM.integers(0, 2**16, (HEIGHT, WIDTH, 4), dtype=np.uint16)
DEEP[0, :4, 0] = (0, 128, 129, 65535)
#: Lossy formats keep slopes, not noise.
SMOOTH = np.stack(
    [np.broadcast_to(slope, (HEIGHT, WIDTH)) for slope in np.ix_(np.arange(24) * 10, np.arange(32) * 8)]
    + [np.full((HEIGHT, WIDTH), 90)],
    axis=2,
).astype(np.uint8)


class Sample(NamedTuple):
    """A file, the RGB pixels it stands for, and by how many levels they may be missed.

    Nothing is lost in 8 bits without transparency. Laying on white rounds once more, and so does Pillow where
    it takes the high byte of 16-bit colour; JPEG and lossy WebP blur.
    """

    content: bytes
    expected: np.ndarray
    tolerance: int = 0


def encoded(pixels: np.ndarray | PIL.Image.Image, kind: str, **options: Any) -> bytes:
    """Return a file of pixels, by Pillow's encoders."""
    image = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(pixels)
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def negative(pixels: np.ndarray) -> list[PIL.Image.Image]:
    """Return what follows the first image in a file of two."""
    return [PIL.Image.fromarray(255 - pixels)]


def png(size: tuple[int, int], bits: int, colour: int, pixels: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """Return a PNG, by its specification; `size` is (height, width), `colour` 0 L, 2 RGB, 4 LA, 6 RGBA."""
    height, width = size
    row = len(pixels) // height
    rows = b"".join(b"\0" + pixels[start : start + row] for start in range(0, height * row, row or 1))
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def tiff(order: str, bits: tuple[int, ...], pixels: bytes, *, photometric: int, numbers: int = 1) -> bytes:
    """Return an uncompressed TIFF, by its specification; `order` is ``<`` or ``>``."""
    entries = {
        256: (WIDTH,),
        257: (HEIGHT,),
        258: bits,
        259: (1,),
        262: (photometric,),  # 0 grey from white to black, 1 from black to white, 2 RGB
        273: (1000,),  # where the pixels stand
        277: (len(bits),),
        278: (HEIGHT,),
        279: (len(pixels),),
        339: (numbers,) * len(bits),  # 1 unsigned, 2 signed, 3 floating point
    }
    directory, beside = b"", b""
    for tag, values in entries.items():
        data = struct.pack(f"{order}{len(values)}H", *values)
        if len(data) > 4:
            data, beside = struct.pack(order + "I", 500 + len(beside)), beside + data
        directory += struct.pack(order + "HHI", tag, 3, len(values)) + data.ljust(4, b"\0")
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HIH", 42, 8, len(entries))
    return ((head + directory + bytes(4)).ljust(500, b"\0") + beside).ljust(1000, b"\0") + pixels


def packed(order: str, values: np.ndarray) -> bytes:
    """Return 16-bit numbers in a byte order."""
    return values.astype(f"{order}u2").tobytes()


def three(grey: np.ndarray) -> np.ndarray:
    """Return grey as RGB."""
    return np.repeat(grey[..., None], 3, axis=2)


def to_eight(values: np.ndarray, top: int = 65535) -> np.ndarray:
    """Return numbers of 0..top scaled to 0..255 and rounded."""
    return np.rint(values / top * 255)


def on_white(rgba: np.ndarray) -> np.ndarray:
    """Return RGBA (0..255) laid on white."""
    alpha = rgba[..., 3:] / 255.0
    return np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha))


def paletted() -> PIL.Image.Image:
    """Return an image of mode P with four colours."""
    image = PIL.Image.fromarray(INDICES)
    image.putpalette(PALETTE.tobytes())
    assert image.mode == "P"
    return image


def from_ycbcr(values: np.ndarray) -> np.ndarray:
    """Return RGB of YCbCr, by JFIF's formula."""
    y, cb, cr = (values[..., channel].astype(float) for channel in range(3))
    red, blue = y + 1.402 * (cr - 128), y + 1.772 * (cb - 128)
    green = y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
    return np.clip(np.rint(np.stack([red, green, blue], axis=2)), 0, 255)


def from_cmyk(values: np.ndarray) -> np.ndarray:
    """Return RGB of CMYK, without colour management."""
    return np.rint((255.0 - values[..., :3]) * (255.0 - values[..., 3:]) / 255)


def twelve_bits(values: np.ndarray) -> bytes:
    """Return 12-bit numbers, two in three bytes."""
    first, second = values.ravel()[::2].astype(int), values.ravel()[1::2].astype(int)
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8).tobytes()


def make_samples() -> dict[str, Sample]:
    """Return a file of each format and mode."""
    samples = {f"{kind} RGB": Sample(encoded(RGB, kind), RGB) for kind in ("PNG", "BMP", "TIFF", "PPM")} | {
        "TIFF LZW": Sample(encoded(RGB, "TIFF", compression="tiff_lzw"), RGB),
        "WEBP lossless": Sample(encoded(RGB, "WEBP", lossless=True), RGB),
        "WEBP lossy": Sample(encoded(SMOOTH, "WEBP", quality=95), SMOOTH, 10),
        "JPEG RGB": Sample(encoded(SMOOTH, "JPEG", quality=95), SMOOTH, 10),
        "JPEG progressive": Sample(encoded(SMOOTH, "JPEG", quality=95, progressive=True), SMOOTH, 10),
        "JPEG L": Sample(encoded(SMOOTH[..., 1], "JPEG", quality=95), three(SMOOTH[..., 1]), 10),
        "MPO": Sample(
            encoded(SMOOTH, "MPO", quality=95, save_all=True, append_images=negative(SMOOTH)), SMOOTH, 10
        ),
    }
    for kind in ("PNG", "BMP", "TIFF", "PPM", "GIF"):
        samples[f"{kind} L"] = Sample(encoded(GREY, kind), three(GREY))
        samples[f"{kind} 1"] = Sample(
            encoded(PIL.Image.fromarray(BILEVEL).convert("1"), kind), three(BILEVEL)
        )
    for kind in ("PNG", "BMP", "TIFF", "GIF"):
        samples[f"{kind} P"] = Sample(encoded(paletted(), kind), PALETTE[INDICES])

    for kind in ("PNG", "TIFF", "WEBP"):  # the other encoders pass over WebP's options
        samples[f"{kind} RGBA"] = Sample(encoded(RGBA, kind, lossless=True, exact=True), on_white(RGBA), 1)
    grey_alpha = RGBA[..., [0, 3]]
    expected = on_white(RGBA[..., [0, 0, 0, 3]])
    for kind in ("PNG", "TIFF"):
        samples[f"{kind} LA"] = Sample(
            encoded(PIL.Image.frombytes("LA", (WIDTH, HEIGHT), grey_alpha.tobytes()), kind), expected, 1
        )
    see_through = PALETTE.copy()
    see_through[2] = 255
    for kind in ("PNG", "GIF"):
        content = encoded(paletted(), kind, transparency=2)
        samples[f"{kind} P transparent"] = Sample(content, see_through[INDICES])
    half = np.column_stack([PALETTE, [255, 128, 0, 40]]).astype(np.uint8)
    samples["PNG P half transparent"] = Sample(
        encoded(paletted(), "PNG", transparency=bytes(half[:, 3])), on_white(half)[INDICES], 1
    )
    keyed = np.where(GREY[0, 0] == GREY, 255, GREY)
    samples["PNG L transparent"] = Sample(encoded(GREY, "PNG", transparency=int(GREY[0, 0])), three(keyed))

    cmyk = PIL.Image.frombytes("CMYK", (WIDTH, HEIGHT), RGBA.tobytes())
    samples["TIFF CMYK"] = Sample(encoded(cmyk, "TIFF"), from_cmyk(RGBA), 1)
    inks = np.dstack([SMOOTH, SMOOTH[::-1, :, 0] // 2])
    smooth_cmyk = PIL.Image.frombytes("CMYK", (WIDTH, HEIGHT), inks.tobytes())
    samples["JPEG CMYK"] = Sample(encoded(smooth_cmyk, "JPEG", quality=95), from_cmyk(inks), 10)
    ycbcr = PIL.Image.frombytes("YCbCr", (WIDTH, HEIGHT), RGB.tobytes())
    samples["TIFF YCbCr"] = Sample(encoded(ycbcr, "TIFF"), from_ycbcr(RGB), 2)

    size, grey = (HEIGHT, WIDTH), DEEP[..., 0]
    big = packed(">", grey)
    clear = struct.pack(">H", grey[5, 5])
    samples |= {
        "PNG 16": Sample(png(size, 16, 0, big), three(to_eight(grey))),
        "PNG 16 transparent": Sample(
            png(size, 16, 0, big, (b"tRNS", clear)), three(np.where(grey == grey[5, 5], 255, to_eight(grey)))
        ),
        "PNG 16 RGB": Sample(png(size, 16, 2, packed(">", DEEP[..., :3])), to_eight(DEEP[..., :3]), 1),
        "PNG 16 RGBA": Sample(png(size, 16, 6, packed(">", DEEP)), on_white(DEEP / 257), 2),
        "PNG 16 LA": Sample(
            png(size, 16, 4, packed(">", DEEP[..., [0, 3]])), on_white(DEEP[..., [0, 0, 0, 3]] / 257), 2
        ),
        "PGM 16": Sample(b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + big, three(to_eight(grey))),
        "PPM 16": Sample(
            b"P6 %d %d 65535\n" % (WIDTH, HEIGHT) + packed(">", DEEP[..., :3]), to_eight(DEEP[..., :3]), 1
        ),
        "TIFF 12": Sample(
            tiff("<", (12,), twelve_bits(grey >> 4), photometric=1), three(to_eight(grey >> 4, 4095))
        ),
        "TIFF 16 white is zero": Sample(
            tiff("<", (16,), packed("<", grey), photometric=0), three(255 - to_eight(grey))
        ),
    }
    for order, name in (("<", "little"), (">", "big")):
        samples[f"TIFF 16 {name} endian"] = Sample(
            tiff(order, (16,), packed(order, grey), photometric=1), three(to_eight(grey))
        )
        samples[f"TIFF 16 RGB {name} endian"] = Sample(
            tiff(order, (16,) * 3, packed(order, DEEP[..., :3]), photometric=2), to_eight(DEEP[..., :3]), 1
        )

    samples |= {
        "PNG animated": Sample(encoded(RGB, "PNG", save_all=True, append_images=negative(RGB)), RGB),
        "WEBP animated": Sample(
            encoded(RGB, "WEBP", lossless=True, save_all=True, append_images=negative(RGB)), RGB
        ),
        "TIFF of two pages": Sample(encoded(RGB, "TIFF", save_all=True, append_images=negative(RGB)), RGB),
        "GIF animated": Sample(
            encoded(GREY, "GIF", save_all=True, append_images=negative(GREY)), three(GREY)
        ),
    }
    return samples


SAMPLES = make_samples()


def mutated(content: bytes, generator: np.random.Generator) -> bytes:
    """Return a file with bytes flipped, its end cut, a block doubled, or another file spliced in."""
    start, length = (int(number) for number in generator.integers(1, len(content), 2))
    match generator.integers(4):
        case 0:
            changed = np.frombuffer(content, np.uint8).copy()
            places = generator.integers(0, len(content), 1 + length % 20)
            changed[places] = generator.integers(0, 256, len(places))
            return changed.tobytes()
        case 1:
            return content[:start]
        case 2:
            return content[: start + length] + content[start:]
        case _:
            other = list(SAMPLES.values())[generator.integers(len(SAMPLES))].content
            return content[:start] + other[start : start + length % 100] + content[start + length % 100 :]
