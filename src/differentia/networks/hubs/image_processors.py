"""What an image processor of transformers does to an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import PIL.Image

from differentia.networks.hubs.base import UntoldError
from differentia.networks.transforms import Transform

#: Processors that resize in a way of their own: an image's shorter side, of the size of which they speak.
MARGINS: dict[str, Callable[[Any, int], int]] = {
    "ConvNextImageProcessor": lambda processor, size: int(size / processor.crop_pct),
    "LevitImageProcessor": lambda _, size: int(256 / 224 * size),
    "PoolFormerImageProcessor": lambda processor, size: int(size / (processor.crop_pct or 1)),
}

#: From this size on, ConvNeXt's changes an image's proportions, and cuts nothing off.
SQUASHED_FROM = 384

#: Processors with steps of their own, which for an image do what is said here.
OWN_STEPS = {
    "BeitImageProcessor": ("_preprocess",),
    "ConvNextImageProcessor": ("_preprocess", "resize"),
    "DINOv3ViTImageProcessor": ("_preprocess",),
    "EfficientNetImageProcessor": ("_preprocess",),
    "LevitImageProcessor": ("resize",),
    "MobileNetV2ImageProcessor": ("_preprocess",),
    "PoolFormerImageProcessor": ("_preprocess", "resize"),
    "SegformerImageProcessor": ("_preprocess",),
}

#: The steps, and the modules of those that all others have.
STEPS = ("_preprocess", "resize", "center_crop")
USUAL = ("transformers.image_processing_backends", "transformers.image_processing_utils")


def transform_of(processor: Any, channels: int) -> Transform:
    """Return what a processor does, to images of so many channels.

    Raises
    ------
    UntoldError
        It does something else than to resize, cut and normalise, or what it gives has no fixed size.
    """
    kind = type(processor)
    name = kind.__name__.removesuffix("Fast").removesuffix("Pil")
    own = [step for step in STEPS if getattr(getattr(kind, step, None), "__module__", "") not in USUAL]
    if not {*own} <= {*OWN_STEPS.get(name, ())}:
        raise UntoldError(f"its image processor, {name}, has steps of its own")
    if getattr(processor, "rescale_offset", False):
        raise UntoldError(f"its image processor, {name}, shifts values after it has rescaled them")
    if not processor.do_resize or getattr(processor, "do_pad", None):
        raise UntoldError(f"its image processor, {name}, keeps the sizes of images, or pads them")
    resized = _resized(processor, name)
    height, width = _cut(processor, name, resized)
    whole = resized == (height, width)
    mean, sd = _normalisation(processor, channels)
    resample = PIL.Image.Resampling.BILINEAR if processor.resample is None else processor.resample
    return Transform(
        shape=(height, width, channels),
        resize=PIL.Image.Resampling(resample).name.lower(),
        crop="center" if isinstance(resized, int) else "squash",
        resize_to=None if whole else resized,
        mean=mean,
        sd=sd,
        rounded_down=True,
        resized_by="PyTorch",
    )


def _resized(processor: Any, name: str) -> int | tuple[int, int]:
    """Return what an image is resized to: its shorter side, or height and width."""
    size = processor.size
    edge, both = size.shortest_edge, (size.height, size.width)
    if not edge and name == "PoolFormerImageProcessor" and size.height == size.width:
        edge = size.height
    if name == "ConvNextImageProcessor" and edge and edge >= SQUASHED_FROM:
        return edge, edge
    if edge and not size.longest_edge:
        return MARGINS[name](processor, edge) if name in MARGINS else int(edge)
    if None in both or edge:
        raise UntoldError(f"its image processor, {name}, resizes to {dict(size)}")
    return both


def _cut(processor: Any, name: str, resized: int | tuple[int, int]) -> tuple[int, int]:
    """Return height and width of what is cut out of the middle of a resized image."""
    if processor.do_center_crop:
        cut = (processor.crop_size.height, processor.crop_size.width)
    elif name == "ConvNextImageProcessor":
        cut = (processor.size.shortest_edge, processor.size.shortest_edge)
    elif isinstance(resized, int):
        raise UntoldError(f"its image processor, {name}, gives images of different sizes")
    else:
        return resized
    least = (resized, resized) if isinstance(resized, int) else resized
    if cut[0] > least[0] or cut[1] > least[1]:
        raise UntoldError(f"its image processor, {name}, cuts {cut} out of less ({resized}), and pads it")
    return cut


def _normalisation(processor: Any, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and SD of each channel, of values of 0..1, which need not be those that are rescaled to."""
    top = 255 * processor.rescale_factor if processor.do_rescale else 255.0
    given = (processor.image_mean, processor.image_std) if processor.do_normalize else (0.0, 1.0)
    mean, sd = ([one] * channels if isinstance(one, int | float) else one for one in given)
    if getattr(processor, "include_top", False):  # EfficientNet's divides by the SD twice
        sd = [value * value for value in sd]
    if not len(mean) == len(sd) == channels:
        raise UntoldError(f"its image processor is for {len(mean)} channels, not {channels}")
    return tuple(value / top for value in mean), tuple(value / top for value in sd)
