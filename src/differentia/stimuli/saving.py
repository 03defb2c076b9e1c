"""Stimuli as files, so that others can be shown the same."""

from __future__ import annotations

import os
from pathlib import Path

from differentia.errors import short_tracebacks
from differentia.stimuli.base import Fit, Stimuli, picture
from differentia.stimuli.decoding import SUFFIXES
from differentia.stimuli.presentation import warn_of_caveats
from differentia.system.files import names_in_one_folder, new_folder


@short_tracebacks
def save_images(stimuli: Stimuli, folder: str | os.PathLike[str], *, size: tuple[int, int, int]) -> Path:
    """Write stimuli as PNG, which changes no pixel.

    Parameters
    ----------
    stimuli
        Noise, for example. Each file has the name of its image; those in subfolders keep it apart.
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
        names = names_in_one_folder([f"{_without_ending(name)}.png" for name in stimuli.names])
        for index, name in enumerate(names):
            picture(stimuli.load(index, fit).pixels).save(beside / name, "PNG")
    warn_of_caveats({"": stimuli})
    return Path(folder).expanduser()


def _without_ending(name: str) -> str:
    """Return the name of an image without the ending of its file; that of a frame has none: bikes_1.040s."""
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in SUFFIXES else name
