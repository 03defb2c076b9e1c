"""Stimuli as files, so that others can be shown the same."""

from __future__ import annotations

import os
from pathlib import Path

import PIL.Image

from differentia.folders import new_folder
from differentia.stimuli.base import Fit, Stimuli


def save_images(stimuli: Stimuli, folder: str | os.PathLike[str], *, size: tuple[int, int, int]) -> Path:
    """Write stimuli as PNG, which changes no pixel.

    Parameters
    ----------
    stimuli
        Noise, for example.
    folder
        Does not exist yet, or is empty.
    size : (height, width, channels)
        Of the images, 1 (grey) or 3 (RGB) channels; noise is made at this size.

    Returns
    -------
    Path
        Of the folder.

    Raises
    ------
    InputError
        The folder is not empty or can't be written.
    """
    fit = Fit(size)
    with new_folder(folder) as beside:
        for index, name in enumerate(stimuli.names):
            pixels = stimuli.load(index, fit).pixels
            grey = size[2] == 1
            image = PIL.Image.fromarray(pixels[..., 0] if grey else pixels)
            image.save(beside / f"{Path(name).stem}.png")
    return Path(folder).expanduser()
