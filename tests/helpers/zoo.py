"""Networks of the common libraries, with random weights, and where their channels are, stated by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers.hooked import Axes
from torch import library, nn


def _define_operators() -> library.Library | None:
    """Define what torchvision looks up when it is imported, where its wheel was built for another PyTorch."""
    spec = find_spec("torchvision")
    assert spec is not None
    assert spec.origin is not None
    for path in Path(spec.origin).parent.glob("_C.*"):
        try:
            torch.ops.load_library(path)  # type: ignore[no-untyped-call]
        except OSError:  # the library of CUDA that it asks for is not there
            continue
        return None
    defined = library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        signature = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        defined.define(signature)  # type: ignore[no-untyped-call]
    return defined


#: Kept, since the operators go with it; before anything imports torchvision, as timm does.
OPERATORS = _define_operators()


#: Of maps (n, channels, height, width), sequences (n, channels, length) and vectors (n, channels).
SECOND = Axes(1)
#: Of tokens (n, tokens, channels), maps (n, height, width, channels) and vectors (n, channels).
LAST = Axes(-1)


@dataclass(frozen=True)
class Architecture:
    """What is known of a network beforehand."""

    #: Patterns of the names of outputs; the first that matches says where the channels and the images are.
    axes: tuple[tuple[str, Axes], ...]
    #: A regular expression of the names of its blocks: what is repeated, with a sum at the end of each.
    blocks: str = ""

    def axes_of(self, output: str) -> Axes:
        """Return where an output has its channels and its images."""
        return next(axes for pattern, axes in self.axes if fnmatchcase(output, pattern))


@dataclass(frozen=True)
class Example:
    """A network of the zoo."""

    name: str
    #: As it is installed.
    package: str
    #: Height and width of its images.
    size: int
    architecture: Architecture
    make: Callable[[], nn.Module]
    #: Whether it takes long, and is left to ``make soak``.
    large: bool = False
    #: By what it can be loaded, with `{weights}` for their path; "" for what has no name.
    spec: str = ""
    #: How large its random weights are, so that its last layers still tell images apart.
    gain: float = 1.0

    def module(self) -> nn.Module:
        """Return the network with its random weights, which are the same each time."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            module = self.make().eval()
            randomise(module, self.gain)
        return module


def randomise(module: nn.Module, gain: float = 1.0) -> None:
    """Give every weight a value of its own; some libraries begin with heads of zeros."""
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim > 1:
                weight.normal_(std=gain * weight[0].numel() ** -0.5)
            else:
                weight.add_(0.1 * torch.randn_like(weight))
        for each in module.modules():
            if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                assert each.running_mean is not None
                assert each.running_var is not None
                each.running_mean.normal_(std=0.1)
                each.running_var.uniform_(0.5, 1.5)


def photographs(size: int) -> np.ndarray:
    """Return three images that differ in brightness, colour and contrast: (3, size, size, 3)."""
    rng = np.random.default_rng(0)
    noise = rng.random((3, size, size, 3))
    low = np.array([[0, 0, 0], [0, 60, 10], [200, 20, 90]])[:, None, None]
    high = np.array([[255, 255, 255], [90, 120, 60], [255, 40, 220]])[:, None, None]
    pixels: np.ndarray = (low + noise * (high - low)).astype(np.uint8)
    return pixels


# The libraries --------------------------------------------------------------------------------------------


def torchvision(name: str, **options: Any) -> nn.Module:
    from torchvision import models

    return models.get_model(name, weights=None, **options)


def small_vit() -> nn.Module:
    from torchvision.models import VisionTransformer

    return VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=10)


def small_swin() -> nn.Module:
    from torchvision.models import SwinTransformer

    return SwinTransformer([4, 4], 16, depths=[2, 2], num_heads=[2, 4], window_size=[4, 4], num_classes=10)


def googlenet() -> nn.Module:
    """Return it as it was trained, without what only its training needs."""
    return torchvision("googlenet", aux_logits=False, transform_input=True, init_weights=False)


def small_densenet() -> nn.Module:
    from torchvision.models import DenseNet

    return DenseNet(8, (2, 2), 16, num_classes=10)


def small_convnext() -> nn.Module:
    from torchvision.models import ConvNeXt
    from torchvision.models.convnext import CNBlockConfig

    return ConvNeXt([CNBlockConfig(16, 32, 2), CNBlockConfig(32, None, 2)], num_classes=10)


def of_timm(name: str, **options: Any) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False, **options)


#: Of transformers of images that are small.
SMALL_SIZES = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def transformers_vit(**options: Any) -> nn.Module:
    """Return a ViT whose attention gives its weights too."""
    from transformers import ViTConfig, ViTForImageClassification

    options = {"attn_implementation": "eager", **options}
    return ViTForImageClassification(ViTConfig(**options))


def small_transformers_vit(**options: Any) -> nn.Module:
    return transformers_vit(**SMALL_SIZES, **options)


def transformers_convnext(**options: Any) -> nn.Module:
    from transformers import ConvNextConfig, ConvNextForImageClassification

    return ConvNextForImageClassification(ConvNextConfig(**options))


def small_transformers_convnext() -> nn.Module:
    return transformers_convnext(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1])


def transformers_swin(**options: Any) -> nn.Module:
    from transformers import SwinConfig, SwinForImageClassification

    return SwinForImageClassification(SwinConfig(**options))


def small_transformers_swin() -> nn.Module:
    return transformers_swin(image_size=112, depths=[1, 2, 2], num_heads=[2, 4, 4], embed_dim=16)


def transformers_clip(**options: Any) -> nn.Module:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(CLIPVisionConfig(**options))


def small_transformers_clip() -> nn.Module:
    return transformers_clip(projection_dim=24, **SMALL_SIZES)


def transformers_dinov2(**options: Any) -> nn.Module:
    from transformers import Dinov2Config, Dinov2Model

    return Dinov2Model(Dinov2Config(**{"patch_size": 14, "image_size": 224, **options}))


def small_transformers_dinov2() -> nn.Module:
    return transformers_dinov2(**SMALL_SIZES)


def open_clip_tower(name: str = "ViT-B-32", **options: Any) -> nn.Module:
    """Return the part of CLIP that sees; the part that reads is kept small."""
    import open_clip

    config = open_clip.get_model_config(name)
    text = {"context_length": 8, "vocab_size": 16, "width": 16, "heads": 1, "layers": 1}
    return open_clip.CLIP(
        config["embed_dim"], vision_cfg=config["vision_cfg"] | options, text_cfg=text
    ).visual


def small_open_clip_tower() -> nn.Module:
    return open_clip_tower(image_size=32, patch_size=8, layers=2, width=64)


def small_open_clip_resnet() -> nn.Module:
    return open_clip_tower("RN50", image_size=64, layers=[1, 2, 1, 1], width=8)


# PyTorch's own layers -------------------------------------------------------------------------------------


class Encoder(nn.Module):
    """PyTorch's own transformer on patches, with the images first or second."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.patches = nn.Conv2d(3, 32, 4, stride=4)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=batch_first)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2)
        tokens = tokens.permute(0, 2, 1) if self.batch_first else tokens.permute(2, 0, 1)
        logits: torch.Tensor = self.head(self.encoder(tokens).mean(1 if self.batch_first else 0))
        return logits


class Recurrent(nn.Module):
    """Reads an image row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3 * 16, 24, num_layers=2, batch_first=True)
        self.head = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.lstm(x.permute(0, 2, 1, 3).flatten(2))
        logits: torch.Tensor = self.head(hidden[-1])
        return logits


class Sequences(nn.Module):
    """Takes an image as one sequence of pixels, and then each of its parts as a sequence of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 8, 5, stride=4)
        self.norm = nn.BatchNorm1d(8)
        self.act = nn.ReLU(inplace=True)
        self.parts = nn.Conv1d(8, 12, 3)
        self.shuffled = nn.Conv1d(8, 12, 3)
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.head = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.conv(x.flatten(2))))
        parts = x.reshape(len(x), 8, 8, 10)  # (n, channels, parts, length)
        one = self.parts(parts.transpose(1, 2).flatten(0, 1))  # the parts of an image follow one another
        other = self.shuffled(parts.permute(2, 0, 1, 3).flatten(0, 1))  # the first parts of all images do
        pooled = self.pool(one).reshape(len(x), 8, 12).mean(1)
        maximum = other.amax(2).reshape(8, len(x), 12).amax(0)
        logits: torch.Tensor = self.head(torch.cat([pooled, maximum], 1))
        return logits


class Volumes(nn.Module):
    """Takes an image as a volume, its colours being the depth."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm3d(8)
        self.act = nn.ReLU()
        self.narrow = nn.Conv3d(8, 6, 3)
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.narrow(self.act(self.norm(self.conv(x[:, None]))))
        logits: torch.Tensor = self.head(self.flatten(self.pool(x)))
        return logits


class Places(nn.Module):
    """Gives what is no response to an image, beside what is one: places, and a code for each place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.code = nn.Embedding(9, 8)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        maps, places = self.pool(self.conv(x))
        tokens = self.norm(maps.flatten(2).permute(0, 2, 1) + self.code(torch.arange(9)))
        return {"logits": self.head(tokens.mean(1)), "tokens": tokens, "places": places}


# What is known of them ------------------------------------------------------------------------------------

#: Maps have their channels first, and so have vectors.
RESNET = Architecture((("*", SECOND),), blocks=r"layer\d\.\d")

#: The same, without sums: what repeats are modules of one kind.
DENSENET = Architecture((("*", SECOND),), blocks=r"features\.denseblock\d")
GOOGLENET = Architecture((("*", SECOND),), blocks=r"inception\d\w")

#: In each stage the first is another than those that follow.
EFFICIENTNET = Architecture((("*", SECOND),), blocks=r"blocks\.\d\.\d")

#: A convolution makes maps of patches; all after it are tokens or vectors.
TORCHVISION_VIT = Architecture(
    (("input", SECOND), ("conv_proj", SECOND), ("*", LAST)), blocks=r"encoder\.layers\.\w+"
)

#: A convolution makes maps, which are turned channels-last at once, and back before they are averaged.
TORCHVISION_SWIN = Architecture(
    (
        *(("input", SECOND), ("features.0.0", SECOND)),
        *(("permute", SECOND), ("avgpool", SECOND)),
        ("*", LAST),
    ),
    blocks=r"features\.[1357]\.\d",
)

#: In a block maps are turned channels-last by block.1, and back by block.6.
TORCHVISION_CONVNEXT = Architecture(
    (*((f"features.*.block.{nth}", LAST) for nth in range(1, 6)), ("*", SECOND)),
    blocks=r"features\.[1357]\.\d",
)

#: What mixes tokens gets (n, channels, tokens).
MIXER = Architecture(
    (*((name, SECOND) for name in ("input", "stem.proj", "*.mlp_tokens*")), ("*", LAST)),
    blocks=r"blocks\.\d",
)

#: Queries and keys are (n, heads, tokens, part of a head): a channel is a place on two axes.
DEIT = Architecture(
    (
        *(("input", SECOND), ("patch_embed.proj", SECOND)),
        *(("*.q_norm", Axes(None)), ("*.k_norm", Axes(None))),
        ("*", LAST),
    ),
    blocks=r"blocks\.\d+",
)

#: The weights of attention are (n, heads, tokens, tokens): they have no channels.
TRANSFORMERS_VIT = Architecture(
    (*(("input", SECOND), ("*.projection", SECOND)), ("*.attention[[]1]", Axes(None)), ("*", LAST)),
    blocks=r"vit\.layers\.\d+",
)

#: The codes of places are the same for all images.
TRANSFORMERS_CLIP = Architecture(
    (
        *(("input", SECOND), ("*.patch_embedding", SECOND)),
        *(("*.position_embedding", Axes(-1, images=None)), ("*", LAST)),
    ),
    blocks=r"vision_model\.encoder\.layers\.\d+",
)

TRANSFORMERS_DINOV2 = Architecture(
    (("input", SECOND), ("*.projection", SECOND), ("*", LAST)), blocks=r"encoder\.layer\.\d+"
)

#: As in torchvision's, but that a block turns the maps by itself.
TRANSFORMERS_CONVNEXT = Architecture(
    (
        *((f"*.layers.*.{name}", LAST) for name in ("layernorm", "pwconv1", "act", "pwconv2")),
        ("*", SECOND),
    ),
    blocks=r".*\.stages\.\d\.layers\.\d",
)


def timm_windows(*windows: int) -> Architecture:
    """Return what is known of timm's Swin, whose attention gets so many windows of an image in each stage."""
    of_stages = [
        (f"layers.{stage}.*.attn{name}", Axes(channels, folded=count))
        for stage, count in enumerate(windows)
        for name, channels in ((".softmax", None), (".attn_drop", None), ("*", -1))
    ]
    return Architecture(
        (("input", SECOND), ("patch_embed.proj", SECOND), *of_stages, ("*", LAST)),
        blocks=r"layers\.\d\.blocks\.\d",
    )


def transformers_windows(*windows: int) -> Architecture:
    """Return what is known of the Swin of transformers, whose first dropout in a block gets windows too.

    The bias of places in a window is the same for all images. A stage also gives its tokens as a map.
    """
    of_stages = [
        (f"*.layers.{stage}.blocks.*.{name}", Axes(-1, folded=count))
        for stage, count in enumerate(windows)
        for name in ("attention*", "dropout")
    ]
    return Architecture(
        (
            *(("input", SECOND), ("*.projection", SECOND), ("*.layers.?[[]1]", SECOND), ("*.pooler", SECOND)),
            ("*.relative_position_bias", Axes(None, images=None)),
            *of_stages,
            ("*", LAST),
        ),
        blocks=r"swin\.encoder\.layers\.\d\.blocks\.\d",
    )


OPEN_CLIP = Architecture(
    (("input", SECOND), ("conv1", SECOND), ("*", LAST)), blocks=r"transformer\.resblocks\.\d+"
)

BATCH_FIRST = Architecture(
    (("input", SECOND), ("patches", SECOND), ("*", LAST)), blocks=r"encoder\.layers\.\d"
)
BATCH_SECOND = Architecture(
    (("input", SECOND), ("patches", SECOND), ("encoder*", Axes(-1, images=1)), ("*", LAST)),
    blocks=r"encoder\.layers\.\d",
)

#: The output of all rows is (n, rows, units); the states at the end are (layers, n, units).
LSTM = Architecture((("input", SECOND), ("lstm[[]0]", LAST), ("lstm[[]1]*", Axes(-1, images=1)), ("*", LAST)))

#: Eight parts of each image lie on one axis with the images.
CONV1D = Architecture(
    (
        ("parts", Axes(1, folded=8)),
        ("pool", Axes(1, folded=8)),
        ("shuffled", Axes(1, folded=8, interleaved=True)),
        ("*", SECOND),
    )
)

CONV3D = Architecture((("*", SECOND),))

#: The code of places is the same for all images.
PLACES = Architecture(
    (
        *(("code", Axes(-1, images=None)), ("norm", LAST), ("Places[[]tokens]", LAST)),
        ("*", SECOND),
    )
)


def of_torchvision(name: str, size: int, architecture: Architecture, **about: Any) -> Example:
    """Return a network of torchvision that is loaded by its name."""
    spec = f"torchvision:{name}?weights={{weights}}"
    make = about.pop("make", partial(torchvision, name))
    return Example(name, "torchvision", size, architecture, make, spec=spec, **about)


def by_timm(name: str, size: int, architecture: Architecture, **about: Any) -> Example:
    """Return a network of timm that is loaded by its name."""
    spec = f"timm:{name}?weights={{weights}}"
    return Example(name, "timm", size, architecture, partial(of_timm, name), spec=spec, **about)


def by_timm_small(shown: str, name: str, size: int, architecture: Architecture, **options: Any) -> Example:
    """Return a network of timm, made small by options that its name takes too."""
    options = {"img_size": size, **options}
    written = "".join(f"{option}={value}&" for option, value in options.items()).replace(" ", "")
    make = partial(of_timm, name, **options)
    return Example(shown, "timm", size, architecture, make, spec=f"timm:{name}?{written}weights={{weights}}")


def by_transformers(
    name: str, size: int, architecture: Architecture, make: Callable[[], nn.Module], options: str = ""
) -> Example:
    """Return a network of transformers that is loaded from a folder."""
    large = not name.startswith("small ")
    return Example(name, "transformers", size, architecture, make, large, f"hf:{{weights}}{options}")


#: Attention gives its weights too.
EAGER = "?attn_implementation=eager"

#: Networks as they are used: those of docs/networks.md.
NETWORKS = (
    of_torchvision("resnet18", 96, RESNET, large=True),
    of_torchvision("densenet121", 64, DENSENET, large=True),
    of_torchvision("googlenet", 64, GOOGLENET, make=googlenet, large=True),
    of_torchvision("vit_b_16", 224, TORCHVISION_VIT, large=True),
    of_torchvision("swin_t", 96, TORCHVISION_SWIN, large=True),
    of_torchvision("convnext_tiny", 96, TORCHVISION_CONVNEXT, large=True),
    by_timm("vit_tiny_patch16_224", 224, DEIT, large=True),
    by_timm("deit_tiny_distilled_patch16_224", 224, DEIT, large=True),
    by_timm("mixer_s16_224", 224, MIXER, large=True),
    by_timm("swin_tiny_patch4_window7_224", 224, timm_windows(64, 16, 4, 1), large=True),
    by_timm("efficientnet_b0", 96, EFFICIENTNET, large=True, gain=1.5),
    by_transformers("ViTForImageClassification", 224, TRANSFORMERS_VIT, transformers_vit, EAGER),
    by_transformers("CLIPVisionModelWithProjection", 224, TRANSFORMERS_CLIP, transformers_clip),
    by_transformers("Dinov2Model", 224, TRANSFORMERS_DINOV2, transformers_dinov2),
    by_transformers("SwinForImageClassification", 224, transformers_windows(64, 16, 4, 1), transformers_swin),
    by_transformers("ConvNextForImageClassification", 96, TRANSFORMERS_CONVNEXT, transformers_convnext),
    Example(
        "RN50 (image tower)",
        "open_clip_torch",
        224,
        RESNET,
        partial(open_clip_tower, "RN50"),
        large=True,
        spec="open_clip:RN50?pretrained={weights}",
    ),
    Example(
        "ViT-B-32 (image tower)",
        "open_clip_torch",
        224,
        OPEN_CLIP,
        open_clip_tower,
        large=True,
        spec="open_clip:ViT-B-32?pretrained={weights}",
    ),
    Example("TransformerEncoder (batch first)", "torch", 16, BATCH_FIRST, partial(Encoder, batch_first=True)),
    Example(
        "TransformerEncoder (batch second)", "torch", 16, BATCH_SECOND, partial(Encoder, batch_first=False)
    ),
    Example("LSTM (rows)", "torch", 16, LSTM, Recurrent),
    Example("Conv1d (pixels)", "torch", 18, CONV1D, Sequences),
    Example("Conv3d (colours as depth)", "torch", 12, CONV3D, Volumes),
    Example("Embedding (of places)", "torch", 15, PLACES, Places),
)

#: The same architectures, made small.
SMALL = (
    Example(
        "small resnet18",
        "torchvision",
        32,
        RESNET,
        partial(torchvision, "resnet18"),
        spec="torchvision:resnet18?weights={weights}",
    ),
    Example("small densenet", "torchvision", 32, DENSENET, small_densenet),
    Example(
        "small googlenet",
        "torchvision",
        32,
        GOOGLENET,
        googlenet,
        spec="torchvision:googlenet?weights={weights}",
    ),
    Example("small vit", "torchvision", 32, TORCHVISION_VIT, small_vit),
    Example("small swin", "torchvision", 32, TORCHVISION_SWIN, small_swin),
    Example("small convnext", "torchvision", 32, TORCHVISION_CONVNEXT, small_convnext),
    by_timm_small("small timm vit", "vit_tiny_patch16_224", 32, DEIT, depth=2, embed_dim=32, num_heads=2),
    by_timm_small(
        "small deit", "deit_tiny_distilled_patch16_224", 32, DEIT, depth=2, embed_dim=32, num_heads=2
    ),
    by_timm_small("small mixer", "mixer_s16_224", 64, MIXER),
    by_timm_small(
        "small timm swin",
        "swin_tiny_patch4_window7_224",
        56,
        timm_windows(4, 1),
        depths=(2, 2),
        embed_dim=24,
        num_heads=(2, 4),
    ),
    by_transformers("small ViTForImageClassification", 32, TRANSFORMERS_VIT, small_transformers_vit, EAGER),
    by_transformers(
        "small ConvNextForImageClassification", 32, TRANSFORMERS_CONVNEXT, small_transformers_convnext
    ),
    by_transformers(
        "small SwinForImageClassification", 112, transformers_windows(16, 4, 1), small_transformers_swin
    ),
    by_transformers("small CLIPVisionModelWithProjection", 32, TRANSFORMERS_CLIP, small_transformers_clip),
    by_transformers("small Dinov2Model", 32, TRANSFORMERS_DINOV2, small_transformers_dinov2),
    Example("small CLIP tower", "open_clip_torch", 32, OPEN_CLIP, small_open_clip_tower),
    Example("small CLIP tower (ResNet)", "open_clip_torch", 64, RESNET, small_open_clip_resnet),
)
