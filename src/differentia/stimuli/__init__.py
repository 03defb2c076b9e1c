"""Stimuli: named, ordered sets of images, decoded a few at a time.

`images` and `noise` make them; `stimuli_from` also reads the written form of the command line.
"""

from differentia.stimuli.arrays import ArrayStimuli
from differentia.stimuli.base import CROPS, RESIZES, Fit, Image, Stimuli
from differentia.stimuli.files import FileStimuli, natural_key
from differentia.stimuli.noise import NOISE_KINDS, NoiseStimuli, noise
from differentia.stimuli.saving import save_images
from differentia.stimuli.sources import images, is_generated, stimuli_from
from differentia.stimuli.thumbnails import thumbnail_shape, thumbnails

__all__ = [
    "CROPS",
    "NOISE_KINDS",
    "RESIZES",
    "ArrayStimuli",
    "FileStimuli",
    "Fit",
    "Image",
    "NoiseStimuli",
    "Stimuli",
    "images",
    "is_generated",
    "natural_key",
    "noise",
    "save_images",
    "stimuli_from",
    "thumbnail_shape",
    "thumbnails",
]
