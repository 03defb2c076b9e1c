"""The commands: each reads its options, calls the library, and prints what comes back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from differentia.cli import measuring, options as opt
from differentia.cli.output import (
    print_contrast,
    print_csv,
    print_json,
    print_paragraph,
    print_statistics,
    print_table,
    print_text,
    say,
)
from differentia.cli.tables import Column
from differentia.cli.usage import Command
from differentia.errors import InputError
from differentia.experiment.options import N_UNITS
from differentia.neurons.options import RecordingOptions
from differentia.output.options import FigureOptions
from differentia.system.choices import AXIS, HOW, NOISE, SCRAMBLE, UNITS
from differentia.system.fields import Count, Number, Option, Share, Text, Whole, options_of
from differentia.system.files import require_new, user_path
from differentia.system.locking import held
from differentia.system.progress import shown_progress
from differentia.system.showing import listed as in_words

if TYPE_CHECKING:
    import xarray as xr

    from differentia.stimuli.base import Stimuli

#: What the demo looks at: what VGG's layers are, each convolution after its ReLU.
DEMO_LAYERS = ("input", "block*_relu*", "block*_pool", "predictions")
DEMO_SETS = {
    "white_noise": "noise:43",
    "threes": "digits:43?digit=3",
    "all_digits": "digits:43",
}
DEMO_N_UNITS = (200, 10_000)
DEMO_MAPS = {"block1_relu2": (3,), "block3_relu2": (10,)}

#: What takes a mean and an SD.
_OF_NOISE = "of Gaussian and pink noise"

#: By command: what its help text shows.
EXAMPLES: dict[str, tuple[str, ...]] = {}

app = typer.Typer(
    name="differentia",
    help="How differently does a network, or a brain, respond to different things?",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print_text(f"differentia {version('differentia')}")
        raise typer.Exit


@app.callback()
def _show_version(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None: ...


def _command(
    *examples: str, fields: Mapping[str, Option] = opt.FIELDS, order: Sequence[str] = opt.HELP_ORDER
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command whose help is its docstring, and examples as they are typed.

    Where it takes ``**given`` those are the options of `fields`.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        name = function.__name__.replace("_", "-")
        EXAMPLES[name] = examples
        # \b keeps the lines below it as they are.
        text = "\n\n".join(" ".join(part.split()) for part in str(inspect.getdoc(function)).split("\n\n"))
        shown = "\n".join(_on_short_lines(example) for example in examples)

        def command(debug: bool, **given: Any) -> None:  # of which the entry knows what to do
            function(**given)

        command.__signature__ = opt.signature_of(function, fields, order)  # type: ignore[attr-defined]
        app.command(
            name,
            cls=Command,
            help=f"{text}\n\n\b\nExamples:\n{shown}",
            context_settings={"allow_extra_args": True},  # the class says what they are
        )(command)
        return function

    return register


def _on_short_lines(example: str, width: int = 72) -> str:
    """Return an example as it is typed, on lines that end in a backslash where an option starts the next."""
    lines = ["  $"]
    for part in example.replace(" --", "\n--").splitlines():
        if len(lines[-1]) + len(part) > width:
            lines[-1] += " \\"
            lines.append("     ")
        lines[-1] += f" {part}"
    return "\n".join(lines)


@_command("differentia demo", "differentia demo --out /tmp/demo --json")
def demo(
    context: typer.Context,
    out: Annotated[str, opt.text("The folder to write to.", "DIR")] = "demo",
    *,
    figures: tuple[str, ...],
    figure_width: float | None,
    dpi: int | None,
    store: bool,
    fresh: bool,
    memory: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure the embedded digits network: noise, one digit, all digits. Offline, in seconds."""
    measured = {"n_units": DEMO_N_UNITS, "layers": DEMO_LAYERS, "maps": DEMO_MAPS}
    experiment = {"network": {"spec": "digits"}, "sets": DEMO_SETS, "measure": measured}
    measuring.measure_into(
        context,
        out,
        experiment,
        store=store,
        fresh=fresh,
        memory=memory,
        shown=measuring.Shown(FigureOptions(figures, figure_width, dpi), as_json, quiet),
    )


@_command(
    "differentia measure keras:VGG16 --set white_noise=noise:43 --set cats=data/cats --out vgg16",
    "differentia measure keras:VGG16 --set cats=data/cats --set 'all=data/*.jpg' --out vgg16 "
    "--layers 'input,block*,flatten,predictions' --map block1_conv1:31 --map-images 0,10,21",
    "differentia measure my_code:make_net --preprocess imagenet --input-size 224 "
    "--set noise=noise:43 --set cats=data/cats --units random,top_variance,filter_mean --out net",
    "differentia measure 'torchvision:resnet18?weights=IMAGENET1K_V1' --set noise=noise:43 "
    "--set cats=data/cats --out resnet18",
    "differentia measure keras:VGG16 --sets-from 'photos.csv?path=file&set=category' "
    "--set noise=noise:43 --out vgg16",
    "differentia measure timm:vit_tiny_patch16_224 --layers :blocks --set noise=noise:43 "
    "--set cats=data/cats --out vit",
    "differentia measure keras:VGG16 --set noise=noise:43 --set cats=data/cats --out vgg16 --part 3/10",
)
def measure(
    context: typer.Context,
    network: str,
    sets: list[str] | None,
    sets_from: str | None,
    out: str | None,
    preprocess: str | None,
    input_size: tuple[int, int, int] | None,
    classes: str | None,
    device: str,
    dtype: str | None,
    reference: list[str] | None,
    maps: list[str] | None,
    figures: tuple[str, ...],
    figure_width: float | None,
    dpi: int | None,
    store: bool,
    fresh: bool,
    part: Any,
    record: bool,
    memory: str | None,
    workers: int | None,
    scheduler: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Measure the differentiation of every layer of a network for sets of images.

    The folder DIR gets the result (result.nc), the network's five best classes of each image
    (predictions.csv), figures, a report to explore (report.html), the experiment file that repeats the
    measurement, and the responses (responses.zarr), from which the same command, or one with more sets,
    layers or units, continues.

    With --part I/N it only records a share of the images, for as many processes at the same time as there are
    parts, on one machine or many; then the same command without --part measures. Units that are ranked (top,
    top_variance) take two rounds of all parts.
    """
    about: dict[str, Any] = {
        "preprocess": preprocess,
        "input_shape": input_size,
        "classes": classes,
        "device": device,
        "dtype": dtype,
    }
    experiment = {
        "network": {"spec": network, **about},
        "sets": opt.named("--set", sets, "NAME=SOURCE, such as cats=data/cats"),
        "sets_from": sets_from,
        "measure": {
            **given,
            "reference": opt.references("--reference", reference),
            "maps": opt.maps("--map", maps),
        },
    }
    measuring.measure_into(
        context,
        out,
        experiment,
        store=store,
        fresh=fresh,
        memory=memory,
        where=measuring.Where(workers, scheduler),
        part=part,
        record=record,
        shown=measuring.Shown(FigureOptions(figures, figure_width, dpi), as_json, quiet),
    )


@_command(
    "differentia measure-responses rates.npz --normalize unit --reference spontaneous --out rates",
    "differentia measure-responses rates.zarr --n-units 50,100 --draws 100 --out rates",
    fields=opt.FIELDS_OF_RESPONSES,
)
def measure_responses(
    context: typer.Context,
    file: Annotated[str, opt.argument("An .npz, .nc (netCDF) or .zarr of responses.", "FILE")],
    out: str | None,
    reference: list[str] | None,
    figures: tuple[str, ...],
    figure_width: float | None,
    dpi: int | None,
    memory: str | None,
    workers: int | None,
    scheduler: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Measure the differentiation of recorded neurons, or stored activations, that are in a file.

    An .npz holds an array (stimulus, neuron) for each set, named movie, or for each set and population, named
    movie/V1. NetCDF and Zarr hold variables with the dimensions stimulus and neuron, whose sets are groups,
    or what a dimension or coordinate "set" names.

    The folder DIR gets the result (result.nc), figures, a report to explore (report.html), and the experiment
    file that repeats the measurement.
    """
    references = opt.references("--reference", reference)
    experiment = {"responses": {"file": file}, "measure": {**given, "reference": references}}
    shown = measuring.Shown(FigureOptions(figures, figure_width, dpi), as_json, quiet)
    where = measuring.Where(workers, scheduler)
    measuring.measure_responses_into(context, out, experiment, memory=memory, where=where, shown=shown)


@_command(
    "differentia neurons session.nwb --by stimulus_name --window 0,0.25 --reference spontaneous "
    "--normalize unit --out session",
    "differentia neurons session.nwb --by stimulus_name --states spectral --state 1 --bin 0.02 "
    "--units-where \"quality == 'good'\" --out states",
    "differentia neurons mice/*.nwb --by condition --states spectral --state 1 --bin 0.02 --n-units 50 "
    "--compare natural,scrambled --out mice",
    fields=opt.FIELDS_OF_NEURONS,
    order=opt.HELP_ORDER_OF_NEURONS,
)
def neurons(
    context: typer.Context,
    files: Annotated[list[str], opt.argument("NWB files, one of each session.", "FILE...")],
    out: str | None,
    reference: list[str] | None,
    figures: tuple[str, ...],
    figure_width: float | None,
    dpi: int | None,
    memory: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Measure the differentiation of recorded neurons, area by area, from the NWB files of their sessions.

    Sets are the values of a column of the file's tables of what was shown. Responses are spikes or traces
    within a window after each onset; with --states, each trial, or window of it, gets a value of its own, the
    differentiation of the states that its neurons go through.

    The folder DIR gets the result (result.nc), figures, a report to explore (report.html), which units were
    used (units.csv), with --states the value of each trial (trials.csv), and the experiment file that repeats
    the measurement. Of several files, each session gets such a folder in DIR, which has the mean over
    sessions (across.csv, figures), and with --compare a test of trials within each session and across them
    (comparison.csv).
    """
    from differentia.cli.neurons import measure_recordings_into

    section = {"files": files, **{name: given.pop(name) for name in options_of(RecordingOptions)}}
    references = opt.references("--reference", reference)
    experiment = {"recording": section, "measure": {**given, "reference": references}}
    shown = measuring.Shown(FigureOptions(figures, figure_width, dpi), as_json, quiet)
    measure_recordings_into(context, out, experiment, memory=memory, shown=shown)


@_command("differentia run vgg16 --out again", "differentia run experiment.toml")
def run(
    context: typer.Context,
    experiment: Annotated[
        str, opt.argument("An experiment file, or a folder that holds experiment.toml.", "EXPERIMENT.toml")
    ],
    out: Annotated[str | None, opt.text("The folder to write to.", "DIR", shown="out = in the file")] = None,
    *,
    trust_code: Annotated[
        bool,
        typer.Option("--trust-code", help="Run the code that the file names as its network, without asking."),
    ] = False,
    figures: tuple[str, ...],
    figure_width: float | None,
    dpi: int | None,
    store: bool,
    fresh: bool,
    part: Any,
    record: bool,
    memory: str | None,
    workers: int | None,
    scheduler: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure what an experiment file says; paths in it are relative to the file.

    What it writes goes to DIR, or to the folder that the file names (out =), which has to lie beside it.

    Every folder that measure writes holds the experiment.toml that repeats it. Code that the file names
    (package.module:factory) is imported from the working folder, as with measure; it is run with
    --trust-code, or once you said yes at the terminal.
    """
    from differentia.cli.loading import require_trusted
    from differentia.cli.neurons import measure_recordings_into
    from differentia.experiment.file import Experiment, ResponsesExperiment, read_experiment

    read = read_experiment(experiment)
    folder = out or read.out
    if not folder:
        raise InputError(f"{experiment}: names no folder to write to; give --out DIR, or out = in the file")
    shown = measuring.Shown(FigureOptions(figures, figure_width, dpi), as_json, quiet)
    where = measuring.Where(workers, scheduler)
    try:
        if not out:
            _require_beside(user_path(experiment), folder)
        if isinstance(read, Experiment):
            require_trusted(read.network.spec, trusted=trust_code)
            measuring.measure_into(
                context,
                folder,
                read,
                store=store,
                fresh=fresh,
                memory=memory,
                where=where,
                part=part,
                record=record,
                shown=shown,
            )
            return
        given = {"--fresh": fresh, "--no-store": not store, "--part": part, "--no-record": not record}
        if unused := next((option for option, is_given in given.items() if is_given), None):
            raise InputError(f"nothing is recorded of responses that are in a file; leave {unused} out")
        if isinstance(read, ResponsesExperiment):
            measuring.measure_responses_into(context, folder, read, memory=memory, where=where, shown=shown)
        else:
            where.require_none("recordings of neurons")
            measure_recordings_into(context, folder, read, memory=memory, shown=shown)
    except InputError as error:
        raise InputError(f"{experiment}: {error}") from error


def _require_beside(file: Path, folder: str) -> None:
    """Raise an error where an experiment file would write elsewhere than into its own folder."""
    own = file if file.is_dir() else file.parent
    if not user_path(folder).resolve().is_relative_to(own.resolve()):
        raise InputError(
            f"out is {folder}, which is not in the file's own folder; give --out DIR to write there"
        )


@_command(
    "differentia layers keras:VGG16",
    "differentia layers digits --layers '*pool' --json",
)
def layers(
    network: str,
    layers: tuple[str, ...] | None,
    tokens: str,
    n_units: tuple[int, ...] | None,
    units: Annotated[str, opt.one_of(UNITS, "The kind of units to record")] = "random",
    *,
    preprocess: str | None,
    input_size: tuple[int, int, int] | None,
    device: str,
    dtype: str | None,
    batch_size: int | None,
    as_json: bool,
) -> None:
    """List the layers of a network, what can't be recorded, and what recording costs: time, memory, disk.

    The layers that measure takes by default are marked (x), and so are blocks and other containers. Functions
    that modules call (F.relu, +) are listed where --layers names them ('layer1*/relu*', :operations). What is
    called in a pass but can't be recorded is listed with the reason. Layers are looked for, and the time is
    measured, on images of noise; measure looks for them on your first images.
    """
    from differentia.cli.loading import check_named_network, load_named_network

    about: dict[str, Any] = {
        "preprocess": preprocess,
        "input_shape": input_size,
        "device": device,
        "dtype": dtype,
    }
    check_named_network(network, **about)

    from differentia.networks.layers import (
        default_preset,
        select_layers,
        wants_operations,
        without_operations,
    )
    from differentia.recording.caveats import (
        lacking_in_words,
        require_tokens,
        unsteady_in_words,
        whole_in_words,
    )
    from differentia.recording.cost import duration, estimate_cost
    from differentia.recording.presets import default_in_words, operations_in_words
    from differentia.recording.units import SKETCH_WIDTH, require_channels, unit_kind
    from differentia.system.machine import written_size

    counts = n_units or N_UNITS
    loaded = load_named_network(network, **about)
    loaded.look(operations=True, tokens=tokens)
    taken = select_layers(loaded.layers, layers, loaded.unrecorded)
    require_tokens(loaded, taken, tokens)
    require_channels(units, taken)
    cost = estimate_cost(loaded, taken, pool=max(counts), units=units, batch_size=batch_size)
    listed = without_operations(loaded.layers) if layers is None else taken
    unrecorded = [one for one in loaded.unrecorded if wants_operations(layers) or not one.operation]
    if as_json:
        found = [{**asdict(layer), "units": layer.size, "channels": layer.n_channels} for layer in listed]
        lost = [{"name": one.name, "kind": one.kind, "reason": one.reason} for one in unrecorded]
        recorded = {"recorded": [layer.name for layer in taken], "default": default_preset(loaded.layers)}
        costs = {
            "operations": len(loaded.layers) - len(without_operations(loaded.layers)),
            "unrecorded": lost,
            "unsteady": unsteady_in_words(loaded, taken),
            "cost": cost._asdict(),
        }
        print_json({"network": network, "layers": found, **recorded, **costs})
        return
    table = {
        "kind": [one.kind + (" (block)" if one.block else " (container)") * one.container for one in listed],
        "shape": ["x".join(map(str, one.shape)) or "1" for one in listed],
        "units": [f"{one.size:,}" for one in listed],
        "channels": ["-" if one.n_channels is None else f"{one.n_channels:,}" for one in listed],
    }
    print_table(
        f"{network}: {len(taken)} layers are recorded (x)",
        Column(["  layer"], [f"{'x' if one in taken else ' '} {one.name}" for one in listed], text=True),
        [Column([name], cells, text=name in ("kind", "shape")) for name, cells in table.items()],
    )
    print_text()
    print_paragraph(f"By default: {default_in_words(loaded.layers)}")
    if said := operations_in_words(loaded.layers):
        print_paragraph(said)
    if unrecorded:
        print_paragraph("Called, but can't be recorded:")
        for lost in unrecorded:
            print_paragraph(f"  {lost.name} ({lost.kind}): {lost.reason}")
    else:
        print_paragraph("Everything that is called can be recorded.")
    for text in unsteady_in_words(loaded, taken):
        print_paragraph(f"With noise, {text}.")
    for text in filter(None, (whole_in_words(loaded, taken), lacking_in_words(loaded, taken, tokens))):
        print_paragraph(f"{text[0].upper()}{text[1:]}.")
    sketched = unit_kind(units).sketched
    most = f"{max(*counts, SKETCH_WIDTH):,} sums" if sketched else f"{max(counts):,} units"
    print_text(
        f"Recording them ({units}, at most {most} of a layer) takes, on {loaded.device}:\n"
        f"  time    {1e3 * cost.seconds_per_image:,.1f} ms an image; "
        f"{duration(1000 * cost.seconds_per_image)} for 1,000\n"
        f"  disk    {written_size(cost.bytes_per_image)} an image; "
        f"{written_size(1000 * cost.bytes_per_image)} for 1,000 (as much memory with --no-store)\n"
        f"  memory  {written_size(cost.memory)} beside the network, "
        f"for two batches of {cost.batch_size:,} images"
    )


@_command(
    "differentia noise data/white_noise --count 43",
    "differentia noise data/grey --count 43 --size 28x28x1 --kind gaussian --sd 59 --seed 1",
    "differentia noise data/pink --count 43 --kind pink --sd 40",
)
def noise(
    folder: Annotated[str, opt.argument("A new folder.", "DIR")],
    count: Annotated[Any, opt.value(Count, "How many images.")] = "43",
    size: Annotated[Any, opt.value(opt.image_size, opt.SIZE_TEXT, "SIZE")] = "224",
    kind: Annotated[str, opt.one_of(NOISE, "How pixel values are distributed")] = "uniform",
    mean: Annotated[Any, opt.value(Number, f"Mean {_OF_NOISE}, 0..255.", "X", shown="127.5")] = None,
    sd: Annotated[Any, opt.value(Number, f"SD {_OF_NOISE}, 0..255.", "X", shown="59")] = None,
    exponent: Annotated[
        Any, opt.value(Number, "Of pink noise: amplitudes fall as 1/f^X.", "X", shown="1")
    ] = None,
    seed: Annotated[Any, opt.value(Whole, "Images of different seeds are independent.")] = "0",
    *,
    as_json: bool,
) -> None:
    """Write noise as PNG files: the images of noise:COUNT for a network whose input has this size."""
    from differentia.stimuli.noise import noise as make_noise

    stimuli = make_noise(count, seed=seed, kind=kind, mean=mean, sd=sd, exponent=exponent)
    _save_images(stimuli, folder, size, as_json)


@_command(
    "differentia scramble data/cats data/cats_phases",
    "differentia scramble data/cats data/cats_blocks --kind blocks --block-size 32 --size 224",
)
def scramble(
    source: Annotated[str, opt.argument("What --set takes: a folder, a glob, a file.", "SOURCE")],
    folder: Annotated[str, opt.argument("A new folder.", "DIR")],
    kind: Annotated[str, opt.one_of(SCRAMBLE, "What is put out of order")] = "phase",
    axis: Annotated[str, opt.one_of(AXIS, "Of films, over what")] = "space",
    block_size: Annotated[
        Any, opt.value(Count, "Of blocks: pixels a side, and frames of a film.", shown="an eighth")
    ] = None,
    size: Annotated[Any, opt.value(opt.image_size, opt.SIZE_TEXT, "SIZE")] = "224",
    seed: Annotated[Any, opt.value(Whole, "Images of different seeds are independent.")] = "0",
    *,
    follow_links: bool,
    as_json: bool,
) -> None:
    """Write scrambled images as PNG files: those of scramble:SOURCE for a network whose input has this size.

    Images are resized to that size first, as for a network without a transform of its own.
    """
    from differentia.stimuli.sources import scramble as scramble_images

    stimuli = scramble_images(
        source, kind=kind, axis=axis, size=block_size, seed=seed, follow_links=follow_links
    )
    _save_images(stimuli, folder, size, as_json)


def _save_images(stimuli: Stimuli, folder: str, size: tuple[int, int, int], as_json: bool) -> None:
    from differentia.stimuli.files import natural_key
    from differentia.stimuli.saving import save_images
    from differentia.system.showing import counted

    written = save_images(stimuli, folder, size=size)
    if as_json:
        print_json([str(path) for path in sorted(written.iterdir(), key=natural_key)])
    say(f"Written to {written}: {counted(len(stimuli), 'image')}")


@_command(
    "differentia select keras:VGG16 data/cats --class tabby --count 43 --out data/tabby_cats",
    "differentia select keras:VGG16 'data/**/*.jpg' --class n02123045 --min-probability 0.9 --dry-run",
)
def select(
    network: str,
    source: Annotated[str, opt.argument("A folder or a glob of image files.")],
    wanted: Annotated[
        str | None, opt.text("A class's number, WordNet identifier or name.", "CLASS", "--class")
    ] = None,
    min_probability: Annotated[
        Any, opt.value(Share, "Images with a lower probability are left out.", "P")
    ] = "0.5",
    count: Annotated[Any, opt.value(Count, "Stop when this many are found.", shown="look at all")] = None,
    out: Annotated[str | None, opt.text("A new folder.", "DIR")] = None,
    how: Annotated[str, opt.one_of(HOW, "What goes into it beside selection.csv")] = "copy",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the table, write nothing.")] = False,
    *,
    resize: str | None,
    crop: str | None,
    class_layer: str | None,
    preprocess: str | None,
    input_size: tuple[int, int, int] | None,
    classes: str | None,
    device: str,
    dtype: str | None,
    batch_size: Annotated[Any, opt.value(Count, "Images in one pass.")] = "32",
    skip_unreadable: bool,
    drop_duplicates: bool,
    follow_links: bool,
    as_json: bool,
) -> None:
    """Keep the images that a network puts in a class, ranked by their probability.

    DIR gets copies of the files or links to them, and selection.csv with the probabilities. With --count
    the search ends when that many are found: they are the first of the source, not its best.
    """
    from differentia.cli.loading import check_named_network, load_named_network
    from differentia.stimuli.sources import stimuli_from

    if wanted is None:
        raise InputError("--class is missing; give a class's number, WordNet identifier or name")
    if not out and not dry_run:
        raise InputError("--out is missing; name a new folder: --out DIR (or --dry-run)")
    about: dict[str, Any] = {
        "preprocess": preprocess,
        "input_shape": input_size,
        "classes": classes,
        "device": device,
        "dtype": dtype,
    }
    check_named_network(network, **about)
    stimuli = stimuli_from(source, follow_links=follow_links)
    if out and not dry_run:  # before an hour is spent on looking
        require_new(out)
        if how != "list" and stimuli.paths is None:
            raise InputError(f"{source}: these images are no files; --how list or --dry-run lists them")

    from differentia.recording.selection import select as select_images, selection_csv, write_selection
    from differentia.stimuli.presentation import as_record

    loaded = load_named_network(network, **about)
    found = select_images(
        loaded,
        stimuli,
        wanted,
        min_probability=min_probability,
        count=count,
        resize=resize,
        crop=crop,
        class_layer=class_layer,
        batch_size=batch_size,
        skip_unreadable=skip_unreadable,
        drop_duplicates=drop_duplicates,
    )
    summary = f"{len(found.images)} of {found.looked_at} images are of class {found.class_name!r}"
    summary += f" (at least {min_probability:g})"
    if len(found.images) == count:
        summary += ", at which the search stopped"
    if found.dropped:
        summary += f", without {len(found.dropped)} of the same content as another"
    if not found.looked_at:
        raise InputError(f"{source}: none of its {len(found.skipped)} images could be read")
    if not found.images and not dry_run:
        raise InputError(f"{source}: {summary}; lower --min-probability, or choose another --class")
    if not dry_run:
        summary += f"; written to {write_selection(found, str(out), how=how)}"
    if not dry_run and how == "link":
        summary += " as links: measure them with --follow-links"
    if as_json:
        images = [{**image._asdict(), "path": str(image.path or "")} for image in found.images]
        skipped = [as_record(image) for image in found.skipped]
        dropped = [as_record(image) for image in found.dropped]
        print_json({**found._asdict(), "images": images, "skipped": skipped, "dropped": dropped})
    elif dry_run:
        print_csv(selection_csv(found))
    say(summary)


@_command("differentia status vgg16", "differentia status vgg16/responses.zarr --json")
def status(
    folder: Annotated[str, opt.argument("A folder that measure writes to, or its store.", "DIR")],
    *,
    as_json: bool,
) -> None:
    """Tell what a folder's recordings hold, what is missing, and who writes to it now.

    Nothing is written, and nobody is disturbed. How long ago a run on another computer gave a sign of life is
    told by this computer's clock.
    """
    from differentia.cli.status import print_status

    print_status(folder, as_json=as_json)


@_command("differentia report vgg16", "differentia report vgg16 --figures pdf --figure-width 85")
def report(
    folder: Annotated[str, opt.argument("A folder that measure wrote.", "DIR")],
    *,
    figures: tuple[str, ...],
    figure_width: float | None,
    dpi: int | None,
    as_json: bool,
) -> None:
    """Write the report and the figures of a folder's result again, where something has changed.

    Figures can have another format or width than before, such as that of a journal's column.
    """
    from differentia.output.unchanged import files_of

    place = user_path(folder)
    if place.is_file():
        raise InputError(f"{folder}: is a file; name the folder that it lies in")
    _require_result(place)
    with held(place), shown_progress() as progress:
        results = measuring.read_results(place)
        options = FigureOptions(figures, figure_width, dpi)
        written = measuring.write_views(results, place, options, progress)
    if as_json:
        print_json([str(path) for view in written for path in files_of(view)])
    measuring.say_written(place, written)


@_command(
    "differentia published vgg16",
    "differentia published vgg16/result.nc --set cats=tabby_cats --set noise=white_noise",
)
def published(
    result: Annotated[str, opt.argument("A result.nc of VGG16, or its folder.", "RESULT")],
    sets: Annotated[
        list[str] | None,
        opt.text(
            "Which published set a set stands for: white_noise, tabby_cats or random_images.",
            *("NAME=PUBLISHED", "--set"),
            shown="sets of the same names",
        ),
    ] = None,
    *,
    as_json: bool,
) -> None:
    """Compare a result of VGG16 with the published curves, layer by layer."""
    import numpy as np

    from differentia.results.published import compare_with_published

    names = opt.named("--set", sets, "NAME=PUBLISHED, such as cats=tabby_cats")
    compared = compare_with_published(_read_result(result), names or None)
    numbers = ["measured", "published", "difference", "spread"]
    table = compared.to_dataframe(["set", "n_units", "layer"]).reset_index()
    found = table[["set", "layer", "n_units", *numbers]].to_dict("records")
    if as_json:
        print_json(found)
        return
    for name in dict.fromkeys(one["set"] for one in found):
        rows = [one for one in found if one["set"] == name]
        print_table(
            f"{name}: VGG16 and the published curves",
            Column(["layer"], [one["layer"] for one in rows], text=True),
            [
                Column(["units"], [f"{one['n_units']:,}" for one in rows]),
                *(Column([key], [f"{one[key]:.3f}" for one in rows]) for key in numbers),
            ],
        )
        print_text()
    worst = max(found, key=lambda one: np.nan_to_num(abs(one["difference"]), nan=-1.0))
    print_paragraph(f"Largest difference: {worst['difference']:.3f} ({worst['set']}, {worst['layer']})")


@_command(
    "differentia contrast demo threes all_digits",
    "differentia contrast vgg16/result.nc tabby_cats random_images --confidence 0.99 --json",
)
def contrast(
    result: Annotated[str, opt.argument("A result.nc, or its folder.", "RESULT")],
    first: Annotated[str, opt.argument("A set's name.", "A")],
    second: Annotated[str, opt.argument("The name of another set.", "B")],
    *,
    paired: Annotated[
        bool, typer.Option("--paired", help="Images of A and B belong together, two by two, by their names.")
    ] = False,
    confidence: Annotated[
        Any, opt.value(Number, "Of the intervals, from 0.5 to below 1.", "P", shown="that of the result")
    ] = None,
    as_json: bool,
) -> None:
    """Compare two sets at each layer: difference, ratio, their intervals, and p.

    p is below 0.05 where the 95 % interval of the difference leaves out 0. The corrected p, and the
    intervals "_simultaneous" of --json, allow for all layers together.
    """
    from differentia.results.contrasts import contrast as compare_sets

    whole = _read_result(result)
    found = compare_sets(whole, first, second, paired=paired, confidence=confidence)
    if as_json:
        rows = found.to_dataframe().reset_index().to_dict("records")
        print_json([{**found.attrs, **row} for row in rows])
    else:
        print_contrast(found, whole)


@_command(
    "differentia depth vgg16 --out vgg16_depth",
    "differentia depth vgg16 mouse_1 mouse_2 --out side_by_side",
    "differentia depth mouse_1 mouse_2 --stimulus vgg16 --sets movie,scrambled,gratings,noise --json",
    "differentia depth vgg16 resnet18 --out depth --figures svg --table depth.parquet",
)
def depth(
    results: Annotated[list[str], opt.argument("A result.nc, or its folder; several.", "RESULT...")],
    stimulus: Annotated[
        str | None,
        opt.text(
            "The result whose layer is the stimulus; its sets have the same names.",
            "RESULT",
            shown="each result's own; of recordings, that of the one network beside them",
        ),
    ] = None,
    compared: Annotated[
        Any,
        opt.value(
            tuple[Text, ...], "Which sets, 4 or more.", "A,B,...", "--sets", shown="all but references"
        ),
    ] = None,
    base: Annotated[str, opt.text("The layer that is the stimulus.", "LAYER")] = "input",
    confidence: Annotated[Any, opt.value(Number, "Of the intervals, from 0.5 to below 1.", "P")] = "0.95",
    permutations: Annotated[Any, opt.value(Count, "Of sets, for p across them.")] = "9999",
    seed: Annotated[Any, opt.value(Whole, "Of the permutations.")] = "0",
    out: Annotated[str | None, opt.text("The folder to write tables and the figure to.", "DIR")] = None,
    table: Annotated[
        str | None, opt.text("Also write all numbers to a file: .csv or .parquet.", "FILE")
    ] = None,
    *,
    figures: tuple[str, ...],
    figure_width: float | None,
    dpi: int | None,
    as_json: bool,
) -> None:
    """Compare each layer with the stimulus: across sets, and pair by pair within each set.

    Across sets: does a layer's differentiation follow that of the stimulus, the layer input? Within a set: do
    the same pairs of images lie far apart? Several results are networks, or animals, named by their folders.
    A recording has no layer input: beside one network that was shown sets of the same names, that of the
    network stands for it.

    DIR gets depth.csv, the numbers of each layer; pairs.csv, those of each set and layer; and depth.png. FILE
    has both in one table, one row for each set and layer.
    """
    from differentia.cli.depth import is_without, networks_input, print_depth, save_depth, table_of
    from differentia.results.depth import depth as follow
    from differentia.results.tables import require_ending, save_table

    options = FigureOptions(figures, figure_width, dpi)
    if not out and options != FigureOptions():
        raise InputError(
            "--figures, --figure-width and --dpi are of the figure in a folder; name it with --out"
        )
    if table is not None:
        require_ending(table)
    read = {name: _read_result(path) for name, path in _named_results(results).items()}
    shown = None if stimulus is None else _read_result(stimulus)
    others = networks_input(read, base) if shown is None else None
    found = {}
    for name, one in read.items():
        try:
            found[name] = follow(
                one,
                stimulus=others if shown is None and is_without(one, base) else shown,
                sets=compared,
                base=base,
                confidence=confidence,
                permutations=permutations,
                seed=seed,
            )
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    if out:
        written = save_depth(found, user_path(out), options)
    print_depth(found, as_json=as_json)
    if out:
        say(f"Written to {out}: {', '.join(path.name for path in written)}")
    if table is not None:
        say(f"Written to {save_table(table_of(found), table)}")


def _named_results(paths: list[str]) -> dict[str, str]:
    """Return the paths of results by their folders' names, or by themselves where these are not distinct."""
    places = {path: user_path(path) for path in paths}
    names = [
        place.parent.resolve().name if place.is_file() else place.resolve().name for place in places.values()
    ]
    if len(places) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise InputError(f"{twice} is given twice; give each result once")
    return dict(zip(names if len({*names}) == len(paths) else paths, paths, strict=True))


@_command(
    "differentia statistics demo",
    "differentia statistics vgg16 --pair tabby_cats,random_images --table statistics.parquet",
)
def statistics(
    result: Annotated[str, opt.argument("A result.nc, or its folder.", "RESULT")],
    pairs: Annotated[
        list[str] | None,
        opt.text(
            "Two sets of which an interval and p are wanted; may be repeated.",
            *("A,B", "--pair"),
            shown="every two of at most four sets beside the references",
        ),
    ] = None,
    quantiles: Annotated[
        str, opt.text("Of the distances of a set's pairs, from 0 to 1.", "Q,Q,...")
    ] = "0.05,0.25,0.75,0.95",
    confidence: Annotated[
        Any, opt.value(Number, "Of the intervals, from 0.5 to below 1.", "P", shown="that of the result")
    ] = None,
    table: Annotated[
        str | None, opt.text("Also write all numbers to a file: .csv or .parquet.", "FILE")
    ] = None,
    *,
    as_json: bool,
) -> None:
    """Tell what the distances of images say beside their median.

    For each set and layer: the mean and quantiles of distances, and in how many dimensions responses vary.
    For two sets: the median distance between them against those within, with an interval and p. The table
    of --json and --table has all of it, one row for each set, or two sets, and layer.
    """
    from differentia.results.statistics import look
    from differentia.results.tables import require_ending, save_table, statistics_rows, to_dataframe

    if table is not None:
        require_ending(table)
    whole = _read_result(result)
    names = [str(name) for name in whole["set"].values]
    chosen = None if pairs is None else [opt.pair_of(text, names) for text in pairs]
    shares = [opt.number_of("--quantiles", part) for part in quantiles.split(",")]
    found = look(whole, quantiles=shares, pairs=chosen, confidence=confidence)
    if as_json:
        print_json(statistics_rows(found))
    else:
        print_statistics(found, whole)
    if table is not None:
        say(f"Written to {save_table(to_dataframe(found), table)}")


def _read_result(path: str) -> xr.Dataset:
    """Return the result of a file, or of the folder that measure wrote."""
    from differentia.results.files import load_result

    place = user_path(path)
    if place.is_file():
        return load_result(place)
    _require_result(place)
    return load_result(place / "result.nc")


def _require_result(folder: Path) -> None:
    if not (folder / "result.nc").is_file():
        if sessions := sorted(path.parent.name for path in folder.glob("*/result.nc")):
            raise InputError(
                f"{folder}: holds no result.nc, but folders that do; name one of them: {in_words(sessions)}"
            )
        what = "holds no result.nc" if folder.is_dir() else "no such folder or file"
        raise InputError(f"{folder}: {what}; name a folder that measure wrote")
