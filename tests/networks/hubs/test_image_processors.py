"""Image processors of transformers said as transforms, against the processors themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import helpers.zoo  # noqa: F401 - before transformers imports torchvision
import numpy as np
import PIL.Image
import pytest
import torch
import transformers

from differentia.networks.hubs.base import UntoldError
from differentia.networks.hubs.image_processors import transform_of
from differentia.networks.transforms import Transform
from differentia.stimuli.base import Fit

#: In grey levels: what two ways of rounding may differ by, and that in float32.
LEVEL = 1.001

#: As model cards have them, or as the classes are by default.
PROCESSORS: dict[str, Any] = {
    "ViT": transformers.ViTImageProcessor(),
    "ViT at 384": transformers.ViTImageProcessor(size={"height": 384, "width": 384}),
    "DeiT": transformers.DeiTImageProcessor(),
    "CLIP": transformers.CLIPImageProcessor(),
    "SigLIP": transformers.SiglipImageProcessor(),
    "DINOv2": transformers.BitImageProcessor(
        size={"shortest_edge": 256},
        crop_size={"height": 224, "width": 224},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    ),
    "DINOv3": transformers.DINOv3ViTImageProcessor(),
    "ConvNeXT": transformers.ConvNextImageProcessor(size={"shortest_edge": 224}),
    "ConvNeXT at 384": transformers.ConvNextImageProcessor(),
    "LeViT": transformers.LevitImageProcessor(),
    "PoolFormer": transformers.PoolFormerImageProcessor(),
    "EfficientNet": transformers.EfficientNetImageProcessor(),
    "EfficientNet without its top": transformers.EfficientNetImageProcessor(include_top=False),
    "BEiT": transformers.BeitImageProcessor(size={"height": 256, "width": 256}),
    "MobileNetV1": transformers.MobileNetV1ImageProcessor(),
    "MobileNetV2": transformers.MobileNetV2ImageProcessor(),
    "Segformer": transformers.SegformerImageProcessor(),
    "Perceiver's margin": transformers.ViTImageProcessor(
        size={"height": 256, "width": 240}, do_center_crop=True, crop_size={"height": 225, "width": 223}
    ),
    "of another range": transformers.ViTImageProcessor(rescale_factor=1 / 127.5, image_mean=[1.0] * 3),
    "not rescaled": transformers.ViTImageProcessor(do_rescale=False, image_mean=[100.0, 110.0, 120.0]),
    "not normalised": transformers.ViTImageProcessor(do_normalize=False),
}


def pictures(seed: int = 0) -> list[PIL.Image.Image]:
    """Return smooth pictures, landscape, portrait, square and of odd sides, as photographs are."""
    rng = np.random.default_rng(seed)
    sizes = [(400, 301), (299, 401), (301, 301), (517, 300), (260, 353)]
    small = [PIL.Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)) for _ in sizes]
    return [
        image.resize(size, PIL.Image.Resampling.BICUBIC) for image, size in zip(small, sizes, strict=True)
    ]


def given(transform: Transform, image: PIL.Image.Image) -> torch.Tensor:
    """Return a network's input of an image, by a transform."""
    fit = Fit(
        transform.shape,
        transform.resize,
        transform.crop,
        resize_to=transform.resize_to,
        rounded_down=transform.rounded_down,
        resized_by=transform.resized_by,
    )
    return transform(torch.from_numpy(fit(image).copy()).permute(2, 0, 1)[None])[0]


def apart(transform: Transform, processor: Any, image: PIL.Image.Image) -> float:
    """Return the largest difference of the inputs, in grey levels."""
    own = processor(image, return_tensors="pt")["pixel_values"][0].to(torch.float32)
    found = given(transform, image)
    assert found.shape == own.shape
    return float(((found - own).abs() * torch.tensor(transform.sd).reshape(-1, 1, 1) * 255).max())


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_input_is_that_of_the_processor(name: str) -> None:
    """Within one grey level: resized, cut and normalised as the processor does it."""
    processor = PROCESSORS[name]
    transform = transform_of(processor, 3)
    assert max(apart(transform, processor, image) for image in pictures()) <= LEVEL


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["ViT", "CLIP", "SigLIP", "DINOv2", "ConvNeXT", "ConvNeXT at 384"])
def test_photographs(name: str, real_data: Path) -> None:
    """Of cats, and of other things."""
    processor = PROCESSORS[name]
    transform = transform_of(processor, 3)
    paths = [*sorted((real_data / "cats").iterdir())[:12], *sorted((real_data / "random").iterdir())[:12]]
    images = [PIL.Image.open(path).convert("RGB") for path in paths]
    assert len({image.size for image in images}) > 6
    assert max(apart(transform, processor, image) for image in images) <= LEVEL


@pytest.mark.parametrize(
    "wrong",
    [
        {"resize": "bilinear"},
        {"crop": "squash", "resize_to": None},
        {"resize_to": 255},
        {"resize_to": 224},
        {"rounded_down": False},
        {"mean": (0.5, 0.456, 0.406)},
    ],
)
def test_another_transform_is_told_apart(wrong: dict[str, Any]) -> None:
    """That the tests above can fail."""
    processor = PROCESSORS["DINOv2"]
    transform = transform_of(processor, 3)
    assert transform == Transform(
        (224, 224, 3),
        "bicubic",
        "center",
        256,
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
        rounded_down=True,
        resized_by="PyTorch",
    )
    different = transform._replace(**wrong)
    assert max(apart(different, processor, image) for image in pictures()) > 2


def test_what_is_installed_does_not_count() -> None:
    """Without torchvision, transformers resizes with Pillow, whose numbers differ; here they do not."""
    size, image = {"shortest_edge": 384}, pictures()[0]
    own, other = transformers.ConvNextImageProcessor, transformers.ConvNextImageProcessorPil
    transform = transform_of(own(size=size), 3)
    assert transform_of(other(size=size), 3) == transform
    assert apart(transform, other(size=size), image) > apart(transform, own(size=size), image)


def test_channels() -> None:
    """A mean of all channels, or one for each."""
    grey = transformers.ViTImageProcessor(image_mean=0.25, image_std=0.5)
    assert transform_of(grey, 1)[0] == (224, 224, 1)
    assert (transform_of(grey, 1).mean, transform_of(grey, 1).sd) == ((0.25,), (0.5,))
    with pytest.raises(UntoldError, match="for 3 channels, not 1"):
        transform_of(transformers.ViTImageProcessor(), 1)


@pytest.mark.parametrize(
    ("processor", "reason"),
    [
        (transformers.EfficientNetImageProcessor(rescale_offset=True), "shifts values after it has rescaled"),
        (transformers.MobileViTImageProcessor(), "MobileViTImageProcessor, has steps of its own"),
        (transformers.PerceiverImageProcessor(), "PerceiverImageProcessor, has steps of its own"),
        (transformers.DetrImageProcessor(), "DetrImageProcessor, has steps of its own"),
        (transformers.ViTImageProcessor(do_resize=False), "keeps the sizes of images"),
        (transformers.ViTImageProcessor(size={"shortest_edge": 224}), "gives images of different sizes"),
        (
            transformers.ViTImageProcessor(size={"shortest_edge": 224, "longest_edge": 500}),
            "resizes to .*longest_edge",
        ),
        (transformers.CLIPImageProcessor(crop_size=256), r"cuts \(256, 256\) out of less \(224\)"),
    ],
)
def test_what_is_no_transform(processor: Any, reason: str) -> None:
    """It is told what the processor does."""
    with pytest.raises(UntoldError, match=reason):
        transform_of(processor, 3)
