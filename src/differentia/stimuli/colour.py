"""Colour profiles: what the numbers of an image mean, and the same colours in sRGB."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import PIL.Image
import PIL.ImageCms

#: Pillow's mode of the images that a profile can be of, by the name of its colour space.
MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}

Conversion = PIL.ImageCms.ImageCmsTransform

#: In levels: by so much the many profiles that are called sRGB differ from each other.
SAME = 2

#: Steps of each channel at which a profile is compared with sRGB.
STEPS = 9


class ProfileError(ValueError):
    """A profile that can't be read, or is not of images of this mode."""


@lru_cache(maxsize=64)
def conversion_to_srgb(profile: bytes, mode: str) -> Conversion | None:
    """Return what converts images of a mode with a profile to sRGB; None where they are in sRGB.

    Raises
    ------
    ProfileError
        The profile can't be read, or is not of images of this mode.
    """
    try:
        opened = PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = MODES.get(opened.profile.xcolor_space.strip(), "")
        if not _is_of(space, mode):
            raise ProfileError(f"is of {opened.profile.xcolor_space.strip()}, not of an image of mode {mode}")
        srgb = PIL.ImageCms.createProfile("sRGB")
        conversion = PIL.ImageCms.buildTransform(opened, srgb, space, "RGB")
    except ProfileError:
        raise
    except Exception as error:  # LittleCMS's own, Pillow's, or that Pillow was built without it
        raise ProfileError(f"can't be read ({str(error) or type(error).__name__})") from error
    return None if space != "CMYK" and _changes_little(conversion, space) else conversion


def _is_of(space: str, mode: str) -> bool:
    """Return whether a profile of a colour space is of images of a mode; grey ones may have one of RGB."""
    grey = mode.startswith(("1", "L", "I")) and mode != "LAB"
    return {"CMYK": mode == "CMYK", "L": grey}.get(space, space == "RGB" and mode not in ("CMYK", "LAB"))


def _changes_little(conversion: Conversion, space: str) -> bool:
    steps = np.linspace(0, 255, STEPS).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(STEPS, -1, 3)
    sample = PIL.Image.fromarray(colours).convert(space)
    before = np.asarray(sample.convert("RGB"), dtype=int)
    return bool(np.abs(np.asarray(conversion.apply(sample), dtype=int) - before).max() <= SAME)


def in_srgb(image: PIL.Image.Image, conversion: Conversion) -> PIL.Image.Image:
    """Return an image in sRGB, as transparent as it was; what is grey stays grey."""
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    mode = conversion.input_mode
    converted = conversion.apply(image.convert(mode))
    if mode == "L":
        converted = converted.convert("L")
    if alpha is not None:
        converted.putalpha(alpha)
    return converted
