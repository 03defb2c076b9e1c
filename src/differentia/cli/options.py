"""The options of the command line: those of the library, made from its fields, and its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from differentia.errors import InputError
from differentia.experiment.options import MeasureOptions
from differentia.neurons.options import RecordingOptions
from differentia.output.options import FigureOptions
from differentia.recording.division import part_of
from differentia.recording.options import RecordOptions
from differentia.results.references import OTHERS
from differentia.system.choices import DTYPE, PREPROCESS, Choice
from differentia.system.fields import Count, Option, Whole, options_of, value_of

#: What the shell completes, though there are more of them.
NETWORKS = Choice(
    "network",
    (
        *(
            "digits",
            "keras:VGG16",
            "keras:MobileNet",
            "keras:ResNet50",
            "torchvision:resnet18",
            "torchvision:vit_b_16",
        ),
        *(
            "timm:vit_tiny_patch16_224",
            "timm:efficientnet_b0",
            "hf:google/vit-base-patch16-224",
            "open_clip:ViT-B-32",
        ),
    ),
)
DEVICE = Choice("device", ("auto", "cpu", "cuda"))

#: The fields of the library that are options of `measure`; what it has in their place is among `SHARED`.
FIELDS = {
    name: field
    for name, field in options_of(MeasureOptions, RecordOptions).items()
    if name not in ("store", "client", "progress")
}

#: Those of `measure-responses`, in the words of what was recorded.
FIELDS_OF_RESPONSES = {
    **{name: FIELDS[name] for name in options_of(MeasureOptions)},
    "n_units": FIELDS["n_units"]._replace(text="Numbers of neurons to look at", shown="all that there are"),
    "pool": FIELDS["pool"]._replace(
        text="Neurons of each population to draw from", shown="all that there are"
    ),
    "reference": FIELDS["reference"]._replace(
        text="The set to divide by, such as spontaneous activity", shown="none"
    ),
    "seed": FIELDS["seed"]._replace(text="Seed of the choice of neurons"),
}

#: Those of `neurons`: what is taken of a recording, and then how it is measured.
FIELDS_OF_NEURONS = options_of(RecordingOptions) | FIELDS_OF_RESPONSES

#: How figures are saved, by the names that this has beside the options of `FIELDS`.
FIGURES = {"figures": "formats", "figure_width": "width", "dpi": "dpi"}

#: In which order the help of `measure` has its options; fields that are not named here go last.
HELP_ORDER = (
    *(
        "context",
        "network",
        "sets",
        "sets_from",
        "out",
        "figures",
        "figure_width",
        "dpi",
        "n_units",
        "draws",
        "units",
        "pool",
        "layers",
        "tokens",
        "normalize",
    ),
    *("metric", "resize", "crop", "reference", "confidence", "seed", "preprocess", "input_size"),
    *(
        "classes",
        "device",
        "dtype",
        "batch_size",
        "compile",
        "compress",
        "maps",
        "map_images",
        "class_layer",
        "views",
        "skip_unreadable",
    ),
    *(
        "drop_duplicates",
        "follow_links",
        "store",
        "fresh",
        "part",
        "record",
        "memory",
        "workers",
        "scheduler",
    ),
)

#: The same of `neurons`: all that says how responses or states come about stands together.
HELP_ORDER_OF_NEURONS = ("context", "files", *options_of(RecordingOptions), *HELP_ORDER)

#: The options that may be given several times, by their field.
SEVERAL_TIMES = {"maps": "--map", "reference": "--reference"}


def value(
    kind: Any,
    text: str,
    metavar: str = "N",
    *names: str,
    shown: str | None = None,
    choice: Choice | None = None,
) -> Any:
    """Return an option of which `kind`, a type or a function, makes a value of its text."""
    return typer.Option(
        *names,
        metavar=metavar,
        help=text,
        show_default=shown or True,
        parser=partial(_parsed, kind if inspect.isfunction(kind) else partial(value_of, kind)),
        autocompletion=completion(choice) if choice else None,
    )


def text(told: str, metavar: str, *names: str, shown: str | None = None) -> Any:
    """Return an option whose text is taken as it is."""
    return typer.Option(*names, metavar=metavar, help=told, show_default=shown or True)


def argument(told: str, metavar: str | None = None, choice: Choice | None = None) -> Any:
    complete = completion(choice) if choice else None
    return typer.Argument(metavar=metavar, help=told, show_default=False, autocompletion=complete)


def _parsed(reader: Callable[[str], Any], text: str) -> Any:
    try:
        return reader(text)
    except InputError as error:
        raise typer.BadParameter(str(error)) from None  # to which Typer adds the option's name


def one_of(choice: Choice, text: str, shown: str | None = None) -> Any:
    """Return an option that takes one of some names, which its help lists and the shell completes."""
    return value(Annotated[str, choice], f"{text}: {choice.listed}", "NAME", shown=shown, choice=choice)


def completion(choice: Choice) -> Callable[[str], list[str]]:
    """Return what gives the shell the names that begin as what was typed."""
    return lambda incomplete: [name for name in choice.names if name.startswith(incomplete)]


def _flag(name: str, text: str, default: bool = False) -> tuple[Any, Any]:
    names = f"{name}/--no-{name.removeprefix('--')}" if default else name
    return Annotated[bool, typer.Option(names, help=text)], default


def _of_field(field: Option) -> tuple[Any, Any]:
    """Return the annotation and the default by which Typer knows a field."""
    if field.kind is bool:
        return _flag(f"--{field.name.replace('_', '-')}", field.help, field.default)
    several = isinstance(field.default, tuple)
    default = None if field.default is None else ",".join(field.default) if several else str(field.default)
    if (name := SEVERAL_TIMES.get(field.name)) is not None:
        return Annotated[list[str] | None, text(field.help, field.metavar, name, shown=field.shown)], None
    told = value(field.kind, field.help, field.placeholder, shown=field.shown, choice=field.choice)
    return Annotated[Any, told], default


def image_size(text: str) -> tuple[int, int, int]:
    """Return (height, width, channels) from 224, 224x192 or 28x28x1."""
    lengths = [int(part) if part.isdecimal() else 0 for part in text.lower().split("x")]
    # Under 4 pixels a height could be taken for a number of channels.
    if len(lengths) > 3 or min(lengths[:2]) < 4 or lengths[2:] not in ([], [1], [3]):
        raise InputError(
            f"{text!r}; expected 224, 224x192 (height x width) or 28x28x1 (height x width x 1 or 3 "
            "channels), at least 4 pixels each way"
        )
    height, width, channels = [*lengths, *lengths[-1:] * (2 - len(lengths)), 3][:3]
    return height, width, channels


NETWORK_TEXT = (
    "digits, keras:NAME, torchvision:NAME, timm:NAME, hf:NAME or open_clip:NAME (?weights=none or a PATH), "
    "package.module:factory?weights=PATH (this runs that code), or PATH.keras"
)
SET_TEXT = (
    "A set of images: a folder, a glob, a film (clip.mp4?fps=1), a .npy of uint8 images, an HDF5 file, a zip "
    "or tar archive, noise:COUNT, or scramble:NAME of another set. Once for each set."
)
SETS_FROM_TEXT = (
    "Many sets at once: a folder, each sub-folder or film a set (as films?fps=1), or a table (.csv, .tsv, "
    ".parquet) with a row for each image, as table.csv?path=file&set=category."
)
CLASSES_TEXT = "A file of the names of the classes: one a line, or JSON, such as Keras's class index."
SIZE_TEXT = "224, 224x192 (height x width) or 28x28x1 (and channels)."
WORKERS_TEXT = "Processes of this machine that record and measure, each with its share of the cores."
SCHEDULER_TEXT = (
    "A cluster of Dask, whose workers record and measure: the address of its scheduler (tcp://host:8786), or "
    "the file that it wrote (scheduler.json). All of them have to see DIR, the images and the network."
)
OWN = "the network's own"

#: Annotation and default of the options that several commands have, by the name of their parameter.
SHARED: dict[str, tuple[Any, Any]] = {
    **{name: _of_field(field) for name, field in FIELDS.items()},
    "network": (Annotated[str, argument(NETWORK_TEXT, "NETWORK", NETWORKS)], inspect.Parameter.empty),
    "sets": (Annotated[list[str] | None, text(SET_TEXT, "NAME=SOURCE", "--set")], None),
    "sets_from": (
        Annotated[str | None, text(SETS_FROM_TEXT, "SOURCE", "--sets-from")],
        None,
    ),
    "out": (Annotated[str | None, text("The folder to write to.", "DIR")], None),
    "preprocess": (Annotated[Any, one_of(PREPROCESS, "What is done to pixel values", shown=OWN)], None),
    "input_size": (Annotated[Any, value(image_size, SIZE_TEXT, "SIZE", shown=OWN)], None),
    "classes": (Annotated[str | None, text(CLASSES_TEXT, "FILE", "--classes", shown=OWN)], None),
    "device": (
        Annotated[str, value(str, f"{DEVICE.listed} | cuda:1 | ...", "DEVICE", choice=DEVICE)],
        "auto",
    ),
    "dtype": (Annotated[Any, one_of(DTYPE, "What the network computes in", shown=OWN)], None),
    "part": (
        Annotated[
            Any,
            value(
                part_of,
                "Record one part of the images, such as 3/10, and measure nothing. Parts may be recorded at "
                "the same time, on several machines; the same command without it measures.",
                "I/N",
                shown="all",
            ),
        ],
        None,
    ),
    "store": _flag(
        "--store", "Keep the responses on disk (responses.zarr), from which a later run continues.", True
    ),
    "workers": (Annotated[Any, value(Count, WORKERS_TEXT, shown="this process")], None),
    "scheduler": (Annotated[str | None, text(SCHEDULER_TEXT, "ADDRESS")], None),
    **{name: _of_field(options_of(FigureOptions)[field]) for name, field in FIGURES.items()},
    "as_json": _flag("--json", "Print the numbers as JSON."),
    "quiet": (
        Annotated[bool, typer.Option("--quiet", "-q", help="Print no table, and only errors and warnings.")],
        False,
    ),
    "debug": _flag("--debug", "Show the traceback of an error."),
}


def signature_of(
    command: Callable[..., None], fields: Mapping[str, Option], order: Sequence[str] = HELP_ORDER
) -> inspect.Signature:
    """Return the signature by which Typer knows a command."""
    # What is not annotated for Typer is in SHARED; **given are all fields that are left; each has --debug.
    found: dict[str, tuple[Any, Any]] = {}
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= {own: _of_field(field) for own, field in fields.items() if own not in found}
            found = dict(sorted(found.items(), key=partial(_place, order)))
        else:
            known = name == "context" or hasattr(parameter.annotation, "__metadata__")
            found[name] = (parameter.annotation, parameter.default) if known else SHARED[name]
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in (found | {"debug": SHARED["debug"]}).items()
    ]
    return inspect.Signature(parameters)


def _place(order: Sequence[str], item: tuple[str, Any]) -> tuple[bool, int]:
    return item[0] in ("as_json", "quiet"), [*order, item[0]].index(item[0])


def named(option: str, given: Sequence[str] | None, example: str) -> dict[str, str]:
    """Return the values of texts ``NAME=VALUE`` by name."""
    values: dict[str, str] = {}
    for text in given or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise InputError(f"{option} is {text!r}; expected {example}")
        if name in values:
            raise InputError(f"two sets have the name {name!r}; give each its own")
        values[name] = value
    return values


def references(option: str, given: Sequence[str] | None) -> str | dict[str, str] | None:
    """Return the reference of all sets, or of each, from texts ``REFERENCE`` and ``SET=REFERENCE``."""
    found: dict[str, str] = {}
    for text in given or ():
        for part in text.split(",") if "=" in text else [text]:
            name, _, reference = (word.strip() for word in part.rpartition("="))
            if not reference or ("=" in part and not name):
                raise InputError(f"{option} is {text!r}; expected REFERENCE, or SET=REFERENCE")
            if (name or OTHERS) in found:
                which = f"the set {name!r}" if name else "all other sets"
                raise InputError(f"{option}: {which} would have two references; give one")
            found[name or OTHERS] = reference
    return found.get(OTHERS) if found.keys() <= {OTHERS} else found


def maps(option: str, given: Sequence[str] | None) -> dict[str, tuple[int, ...]] | None:
    """Return the channels of each layer from texts ``LAYER:FILTER`` (a layer's name may hold colons)."""
    filters: dict[str, tuple[int, ...]] = {}
    for text in given or ():
        layer, _, numbers = text.rpartition(":")
        try:
            chosen = value_of(tuple[Whole, ...], numbers)
        except InputError:
            chosen = ()
        if not (layer and chosen):
            raise InputError(
                f"{option} is {text!r}; expected LAYER:FILTER, such as block1_conv1:31 or block1_conv1:31,39"
            )
        filters[layer] = (*filters.get(layer, ()), *chosen)
    return filters or None


def pair_of(text: str, names: Sequence[str]) -> tuple[str, str]:
    """Return the two sets that a text names with a comma between them; a name may hold commas, too."""
    places = [place for place, letter in enumerate(text) if letter == ","]
    pairs = [(text[:place].strip(), text[place + 1 :].strip()) for place in places]
    if not pairs:
        raise InputError(f"--pair is {text!r}; expected the names of two sets, such as {','.join(names[:2])}")
    return next((pair for pair in pairs if {*pair} <= {*names}), pairs[0])


def number_of(option: str, text: str) -> float:
    """Return a number of a list of numbers."""
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{option}: {text!r}; expected a number") from None
