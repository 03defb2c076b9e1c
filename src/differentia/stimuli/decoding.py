"""From the bytes of an image file, or an image of Pillow's, to upright pixels of 8 bits in sRGB."""

from __future__ import annotations

import io
import itertools

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, TiffImageFile

from differentia.stimuli.colour import Conversion, ProfileError, conversion_to_srgb, in_srgb
from differentia.system.file_kinds import HEAD, kind_of

#: What is decoded, by Pillow's names ("JPEG" includes MPO), with the endings that a folder is searched for; a
#: glob or a list of paths may name files of any ending. No other is tried: "EPS" would start Ghostscript.
FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "PPM": (".pgm", ".pnm", ".ppm"),
}
SUFFIXES = frozenset(itertools.chain(*FORMATS.values()))


#: EXIF's tag of how an image is turned; 1 is upright.
ORIENTATION = PIL.ExifTags.Base.Orientation


#: Pixels that are laid on white at once: copies of all would fill the memory.
AT_ONCE = 2_000_000


def read_header(content: bytes) -> ImageFile:
    """Return an image of which the header has been read."""
    # PIL.Image.open would do, but for its own check of the size: it raises an error without width and height,
    # or warns, and a filter of warnings would hold for all threads.
    PIL.Image.init()
    for name in FORMATS:
        make, accepts = PIL.Image.OPEN[name]
        if accepts is not None and accepts(content[:16]):
            return make(io.BytesIO(content), "")
    raise PIL.UnidentifiedImageError(f"it is {kind_of(content[:HEAD])}; expected {', '.join(FORMATS)}")


def conversion_of(image: PIL.Image.Image) -> Conversion | None:
    """Return what converts an image with a colour profile to sRGB; None where nothing does, or need be.

    Raises
    ------
    ProfileError
        The profile can't be used.
    """
    profile = image.info.get("icc_profile")
    return conversion_to_srgb(profile, image.mode) if profile else None


def usable_conversion(image: PIL.Image.Image) -> tuple[Conversion | None, str]:
    """Return what converts an image to sRGB, and of a profile that can't be used what is to be said."""
    try:
        return conversion_of(image), ""
    except ProfileError as error:
        return None, f"its colour profile {error}; its colours are taken for sRGB"


def decoded(image: PIL.Image.Image, conversion: Conversion | None) -> PIL.Image.Image:
    """Return an image, of several the first, upright, in mode L or RGB; the one given stays as it is.

    Raises
    ------
    ValueError
        It has too many pixels, or numbers of unknown range.
    """
    width, height = image.size
    limit = PIL.Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise ValueError(
            f"its {width} x {height} pixels are more than the {limit:,} of PIL.Image.MAX_IMAGE_PIXELS, "
            "which guards against decompression bombs: shrink it, or raise that limit if you trust it"
        )
    image.load()
    turned = image.getexif().get(ORIENTATION, 1) != 1
    upright = PIL.ImageOps.exif_transpose(image) if turned else image
    # Of these two formats, Pillow's mode I holds 16 bits; of others, any number of 32 bits.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        upright = _eight_bit_grey(upright, image)
    elif image.mode in ("I", "F"):
        raise ValueError(
            f"it has Pillow's mode {image.mode}, whose range can't be known: convert it to 8 or 16 bits"
        )
    return _without_alpha(upright if conversion is None else in_srgb(upright, conversion))


def _eight_bit_grey(image: PIL.Image.Image, original: PIL.Image.Image) -> PIL.Image.Image:
    values = np.asarray(image).astype(np.uint32)
    top = 65535
    if isinstance(original, TiffImageFile):  # Pillow gives its 12 bits, and its white at zero, as they stand
        top = 2 ** original.tag_v2[BITSPERSAMPLE][0] - 1
        if original.tag_v2.get(PHOTOMETRIC_INTERPRETATION, 0) == 0:
            values = top - values
    grey = ((510 * values + top) // (2 * top)).astype(np.uint8)
    if "transparency" in original.info:
        grey[values == original.info["transparency"]] = 255
    return PIL.Image.fromarray(grey)


def _without_alpha(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.has_transparency_data:
        laid = PIL.Image.new("RGB", image.size)
        rows = max(1, AT_ONCE // image.width)
        for top in range(0, image.height, rows):
            band = image.crop((0, top, image.width, min(top + rows, image.height))).convert("RGBA")
            white = PIL.Image.new("RGBA", band.size, "white")
            laid.paste(PIL.Image.alpha_composite(white, band).convert("RGB"), (0, top))
        return laid
    return image if image.mode in ("L", "RGB") else image.convert("RGB")
