"""What the options of the command line mean, and how their texts are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from differentia.errors import InputError

#: The named alternatives that a shell completes; the tables of the library, which would be slow to import.
CHOICES: dict[str, tuple[str, ...]] = {
    "units": ("random", "top", "top_variance", "per_filter", "filter_mean", "all", "sketch"),
    "normalize": ("layer", "response", "unit", "none"),
    "metric": ("euclidean", "cityblock", "correlation", "cosine"),
    "resize": ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"),
    "crop": ("squash", "center"),
    "preprocess": ("none", "unit", "signed", "imagenet", "caffe"),
    "kind": ("uniform", "gaussian"),
    "how": ("copy", "link", "list"),
    "network": ("digits", "keras:VGG16", "keras:MobileNet", "keras:ResNet50"),
    "device": ("auto", "cpu", "cuda"),
    "compile": ("auto", "always", "never"),
}


def _completed(name: str) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [choice for choice in CHOICES[name] if choice.startswith(incomplete)]

    return complete


def choice(name: str, text: str) -> Any:
    """Return an option that takes one of some names, which its help lists and the shell completes."""
    listed = f"{text}{' | '.join(CHOICES[name])}"
    return typer.Option(metavar="NAME", help=listed, autocompletion=_completed(name))


Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")]
Out = Annotated[str | None, typer.Option(metavar="DIR", help="The folder to write to.")]
Network = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help="digits, keras:NAME?weights=imagenet|none|PATH, package.module:factory?weights=PATH "
        "(this runs that code), or PATH.keras",
        autocompletion=_completed("network"),
        show_default=False,
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=SOURCE",
        help="A set of images: a folder, a glob, a .npy of uint8 images, or noise:COUNT. Once for each set.",
    ),
]
NUnits = Annotated[
    str | None,
    typer.Option(metavar="N,N,...", help="Numbers of units to look at.", show_default="200,10000,100000"),
]
Draws = Annotated[str, typer.Option(metavar="N", help="Draws of units at each number of units.")]
Units = Annotated[
    str,
    choice("units", "Which units are looked at; several, with commas between, side by side: "),
]
Pool = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Units to record of each layer; of a sketch at least 16,384 sums.",
        show_default="the largest --n-units",
    ),
]
Layers = Annotated[
    str | None,
    typer.Option(
        "--layers",
        metavar="NAMES",
        help="Names and shell patterns, with commas between: 'input,block*,predictions'.",
        show_default="all that compute something",
    ),
]
Normalize = Annotated[str, choice("normalize", "")]
Metric = Annotated[str, choice("metric", "")]
Resize = Annotated[str, choice("resize", "")]
Crop = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="squash: change the proportions | center: cut the ends off",
        autocompletion=_completed("crop"),
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(metavar="SET", help="The set to divide by.", show_default="the one set of generated noise"),
]
Confidence = Annotated[
    str, typer.Option(metavar="P", help="Of the intervals, of units and of images; 0.5 to below 1.")
]
Resamples = Annotated[
    str, typer.Option(metavar="N", help="How often each set's images are resampled for their interval.")
]
Seed = Annotated[str, typer.Option(metavar="N", help="Of the choice of units, and of noise.")]
Preprocess = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="none (0..255) | unit (0..1) | signed (-1..1) | imagenet | caffe.",
        show_default="the network's own",
        autocompletion=_completed("preprocess"),
    ),
]
InputSize = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="224, 224x192 (height x width) or 28x28x1 (and channels).",
        show_default="the network's own",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="DEVICE", help="auto | cpu | cuda | cuda:1 | ...", autocompletion=_completed("device")
    ),
]
BatchSize = Annotated[str, typer.Option(metavar="N", help="Images in one pass.")]
BestBatchSize = Annotated[
    str | None,
    typer.Option(
        "--batch-size",
        metavar="N",
        help="Images in one pass.",
        show_default="what fits into cache and memory, at most 32",
    ),
]
Compile = Annotated[
    str,
    choice(
        "compile", "Whether PyTorch compiles the pass (auto: where so many images are left that it pays): "
    ),
]
Maps = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="LAYER:FILTER",
        help="A filter whose whole maps are kept: block1_conv1:31, or several: block1_conv1:31,39.",
    ),
]
MapImages = Annotated[
    str | None,
    typer.Option(
        metavar="N,N,...",
        help="The images whose maps are kept, by their place in each set, from 0.",
        show_default="0,1,2",
    ),
]
Views = Annotated[
    bool,
    typer.Option(
        "--views/--no-views", help="Keep predictions, filter means and exact moments too, and draw them."
    ),
]
SkipUnreadable = Annotated[
    bool, typer.Option("--skip-unreadable", help="Leave out image files that can't be decoded.")
]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Take also files that are links out of their folder.")
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Start over: remove the responses that earlier runs recorded.")
]
Keep = Annotated[
    bool,
    typer.Option(
        "--store/--no-store",
        help="Keep the responses on disk (responses.zarr): a later run goes on from them.",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="What responses may take of the memory: 4GB, 500MB.",
        show_default="half of what is free",
    ),
]


def whole_number(option: str, text: str, least: int = 1) -> int:
    """Return the number that a text says, or raise an error that names the option."""
    try:
        number = int(text.replace("_", ""))
    except ValueError:
        number = least - 1
    if number < least:
        raise InputError(f"{option} is {text!r}; expected a whole number >= {least}")
    return number


def whole_numbers(option: str, text: str, least: int = 1) -> tuple[int, ...]:
    """Return the numbers of a text with commas between them."""
    try:
        return tuple(whole_number(option, part, least) for part in text.split(","))
    except InputError:
        raise InputError(
            f"{option} is {text!r}; expected whole numbers >= {least} with commas between, such as 200,10000"
        ) from None


def number(option: str, text: str) -> float:
    """Return the number that a text says."""
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{option} is {text!r}; expected a number") from None


def probability(option: str, text: str) -> float:
    """Return a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise InputError(f"{option} is {text!r}; expected a number from 0 to 1")
    return number


def names(option: str, text: str, example: str) -> tuple[str, ...]:
    """Return the names of a text with commas between them."""
    parts = tuple(part.strip() for part in text.split(","))
    if "" in parts:
        raise InputError(f"{option} is {text!r}; expected names with commas between: '{example}'")
    return parts


def image_size(option: str, text: str) -> tuple[int, int, int]:
    """Return (height, width, channels) from 224, 224x192 or 28x28x1."""
    lengths = [int(part) if part.isdecimal() else 0 for part in text.lower().split("x")]
    # Under 4 pixels a height could be taken for a number of channels.
    if len(lengths) > 3 or min(lengths[:2]) < 4 or lengths[2:] not in ([], [1], [3]):
        raise InputError(
            f"{option} is {text!r}; expected 224, 224x192 (height x width) or 28x28x1 "
            "(height x width x 1 or 3 channels), at least 4 pixels each way"
        )
    height = lengths[0]
    width = lengths[1] if len(lengths) > 1 else height
    channels = lengths[2] if len(lengths) > 2 else 3
    return height, width, channels


def named(option: str, given: Sequence[str], what: str, example: str) -> dict[str, str]:
    """Return the values of texts ``NAME=VALUE`` by name."""
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InputError(f"{option} is {text!r}; expected {example}")
        if name in values:
            raise InputError(f"two {what}s have the name {name!r}; give each its own")
        values[name] = value
    return values


def maps(option: str, given: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the filters of each layer from texts ``LAYER:FILTER`` (a layer's name may hold colons)."""
    filters: dict[str, tuple[int, ...]] = {}
    for text in given:
        layer, _, numbers = text.rpartition(":")
        try:
            chosen = whole_numbers(option, numbers, least=0)
        except InputError:
            chosen = ()
        if not (layer and chosen):
            raise InputError(
                f"{option} is {text!r}; expected LAYER:FILTER, such as block1_conv1:31 or block1_conv1:31,39"
            )
        filters[layer] = (*filters.get(layer, ()), *chosen)
    return filters
