"""The options of a recording, each declared once."""

# ruff: noqa: RUF009 - option() makes a dataclass's field

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from pydantic import AfterValidator, Field

from differentia.errors import InputError
from differentia.networks.layers import require_preset
from differentia.system.choices import COMPILE, COMPRESS, CROP, RESIZE, TOKENS, UNITS
from differentia.system.fields import DISTINCT, SEVERAL, Count, Text, Whole, option
from differentia.system.progress import Progress, require_progress

#: The images of each set whose maps are kept, unless others are asked for.
MAP_IMAGES = (0, 1, 2)

#: Units that `record` keeps of a layer, unless another number is asked for.
POOL = 100_000


def _memory(given: Any) -> Any:
    from differentia.system.machine import memory_budget

    memory_budget(given)
    return given


def _with_known_presets(given: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in given:
        require_preset(pattern)
    return given


_PRESETS = AfterValidator(_with_known_presets)


@dataclass(frozen=True)
class RecordOptions:
    """What is kept of the responses to images, how images are shown, and where the responses go."""

    units: Annotated[tuple[Annotated[str, UNITS], ...], SEVERAL, Field(min_length=1), DISTINCT] = option(
        ("random",),
        "Which units are looked at",
        typed="; several, with commas between, side by side",
        doc=': drawn at random; those with the highest mean ("top") or variance over all images of all '
        "sets (the images are shown twice where whole layers do not fit into memory); the same number at "
        "random from every channel; each channel's mean over positions; all units; or a sketch, sums of all "
        'units with random signs, which stand for all units in Euclidean distances. "all" and "filter_mean" '
        "take no number of units",
    )
    pool: Count | None = option(
        None,
        "Units to record of each layer; of a sketch at least 16,384 sums",
        doc=". A smaller layer gives all it has. By default the largest of `n_units`; `record` keeps 100,000",
        shown="the largest --n-units",
    )
    layers: Annotated[tuple[Text, ...], SEVERAL, Field(min_length=1), _PRESETS] | None = option(
        None,
        "Names of layers, shell patterns, and presets",
        typed=", with commas between: 'input,block*,predictions', or :leaves, :blocks, :all, :operations; a "
        "pattern that ends in / is of containers only, one with / within ('layer1*/relu*') also of functions "
        "that modules call, what follows ! is left out",
        doc=': ":leaves" are the layers that compute and are made of no others that do, ":blocks" modules of '
        'one class that repeat, with what stands before and after them, ":all" also containers and layers '
        'that only reshape, ":operations" functions that modules call (``F.relu``, ``+``). A pattern is of '
        "layers that are no containers; one that ends in a slash is of containers only, one with a slash in "
        'it ("layer1*/relu*") also of functions; what follows an exclamation mark is left out. By default '
        "the leaves; the blocks of a network with attention, or with more than 200 leaves",
        metavar="NAMES",
        shown="leaves; blocks of transformers and very deep networks",
    )
    tokens: Annotated[str, TOKENS] = option(
        "all",
        "Which tokens of a transformer's layer count",
        doc='; "patches" are those of parts of the image, without class, distillation and register tokens, '
        'and "mean" is the mean of these. Layers in which no tokens are known are recorded whole',
    )
    seed: Whole = option(0, "Seed of the choice of units, and of noise", doc=" that names no seed of its own")
    resize: Annotated[str, RESIZE] | None = option(
        None,
        "How images are resized",
        doc='; by default as the network\'s library does it, "bilinear" where it comes from none',
        shown="the network's own; else bilinear",
    )
    crop: Annotated[str, CROP] | None = option(
        None,
        "How images are fitted to the proportions of the network's input",
        doc=': "squash" changes their proportions, "center" cuts the ends off; by default as the network\'s '
        'library does it, also where that cuts a margin off, and "squash" where it comes from none',
        shown="the network's own; else squash",
    )
    batch_size: Count | None = option(
        None,
        "Images in one pass",
        doc="; by default as many as fit into the processor's cache and the memory, at most 32",
        shown="what fits into cache and memory, at most 32",
    )
    compile: Annotated[str, COMPILE] = option(
        "auto",
        "Whether PyTorch compiles the pass",
        doc=', together with what reads it. "auto" times the first batches, and compiles where enough '
        "images are left to make up for the time that takes; never where several processes record (parts, "
        "the workers of a client). Where there is no compiler the pass is not compiled, and the logger "
        "``differentia`` says so",
    )
    compress: Annotated[str, COMPRESS] | None = option(
        None,
        "How responses are packed on the disk",
        doc=', to the same bits: "zstd" takes less room, the less the more of them are 0, and more time. A '
        "recording keeps what it was begun with; by default nothing is packed",
        shown="none",
    )
    maps: Mapping[str, Annotated[tuple[Whole, ...], SEVERAL, Field(min_length=1)]] | None = option(
        None,
        "",
        typed="A channel whose whole maps are kept: block1_conv1:31, or several: block1_conv1:31,39",
        doc="Layer -> channels whose whole maps are kept (with the moments of all layers, to draw them by)",
        metavar="LAYER:FILTER",
    )
    map_images: Annotated[tuple[Whole, ...], SEVERAL, Field(min_length=1)] | None = option(
        None,
        "The images whose maps are kept, by their place in each set, from 0; dropped copies do not count",
        doc="; by default the first three",
        shown="0,1,2",
    )
    class_layer: Text | None = option(
        None,
        "The layer whose units are the classes",
        doc=", which the predictions come from; by default the last, or the last with as many units as there "
        "are names of classes",
        metavar="LAYER",
        shown="the last",
    )
    views: bool = option(
        True,
        "Keep predictions, channels' means and exact moments too",
        typed=", and draw them",
        doc=", which explain the measure: the probability of each class; each channel's mean over positions "
        "and the images themselves, made small (both for at most 2,000 images); mean and SD over all units "
        "of each layer",
    )
    skip_unreadable: bool = option(
        False,
        "Leave out image files that can't be decoded",
        doc=", with a warning, instead of raising an error",
    )
    drop_duplicates: bool = option(
        False,
        "Of images of one set that have the same content, keep the first only",
        doc=", instead of a warning. Images that are in two sets stay in both",
    )
    follow_links: bool = option(False, "Take also files that are links out of their folder")
    store: Any = option(
        None,
        "",
        doc="A folder that the responses are written to as they come, ``responses.zarr`` by custom, and read "
        "from when they are measured; by default they are kept in memory. What it holds of the same network, "
        "engine and images is not recorded again; only what is missing is",
        in_file=False,
    )
    fresh: bool = option(False, "Start over: remove the responses that earlier runs recorded", in_file=False)
    record: bool = option(
        True,
        "Record what is missing",
        typed="; --no-record only says what that is, and measures where it is nothing",
        doc=". False only says what that is, with an error; where nothing is missing, what is kept is used",
        in_file=False,
    )
    memory: Annotated[Any, AfterValidator(_memory)] = option(
        None,
        "How much memory responses may take: 4GB, 500MB",
        doc=", or a number of bytes; by default half of what is free. With less, what is on disk is read "
        "more often",
        metavar="SIZE",
        shown="half of what is free",
        in_file=False,
    )
    client: Any = option(
        None,
        "",
        doc="A ``dask.distributed.Client``: its workers record the images, which they open themselves, and "
        "measure; by default this process does. It needs a store that all of them see, a network that was "
        "named (``keras:MobileNet``, ``package.module:factory``, a ``.keras`` file), and sets that are files "
        "or generated",
        in_file=False,
    )
    progress: Annotated[Any, AfterValidator(require_progress)] = option(
        None,
        "",
        doc="Whether a bar shows how far the call is: by default where standard error is a terminal, and in "
        "notebooks; elsewhere the logger ``differentia`` says it every five minutes. True shows a bar on any "
        "standard error, False nothing. Or a function, called as ``progress(done, total, stage)`` whenever "
        "one more is done: ``recording cats`` counts the images of all sets (twice where they are shown "
        "twice), with the set at hand; ``measuring`` counts layers",
        in_file=False,
    )


def one_kind(options: RecordOptions) -> str:
    """Return the one kind of units of a call that takes one."""
    if len(options.units) > 1:
        raise InputError(f"units is {list(options.units)}; expected one kind; `measure_kinds` takes several")
    return options.units[0]


def checked_map_images(
    given: Sequence[int] | None, most: int | None, *, dropped: bool = False
) -> tuple[int, ...]:
    """Return places of images in a set. The largest set has `most` images; None where no maps are kept.

    Those of `most` are without copies where some were dropped.
    """
    if given is not None and most is None:
        raise InputError("map_images (--map-images) goes with maps (--map) only; give both, or leave it out")
    places = MAP_IMAGES if given is None else given
    if most is not None and not any(place < most for place in places):
        left = ", without its copies (drop_duplicates)" if dropped else ""
        raise InputError(
            f"map_images (--map-images) is {tuple(places)}, but the largest set has {most} images, numbered "
            f"from 0 to {most - 1}{left}; choose among those"
        )
    return tuple(sorted(set(places)))


class KindsKeywords(TypedDict, total=False):
    """What the options of a recording may be given as, apart from `units`; a test compares them."""

    pool: int | None
    layers: Sequence[str] | None
    tokens: str
    seed: int
    resize: str | None
    crop: str | None
    batch_size: int | None
    compile: str
    compress: str | None
    maps: Mapping[str, Sequence[int]] | None
    map_images: Sequence[int] | None
    class_layer: str | None
    views: bool
    skip_unreadable: bool
    drop_duplicates: bool
    follow_links: bool
    store: str | os.PathLike[str] | None
    fresh: bool
    record: bool
    memory: int | str | None
    client: Any
    progress: Progress | bool | None


class RecordKeywords(KindsKeywords, total=False):
    """What the options of a recording of one kind of units may be given as."""

    units: str


class PartKeywords(KindsKeywords, total=False):
    """What the options of a part of a recording may be given as: it may be of several kinds of units."""

    units: str | Sequence[str]
