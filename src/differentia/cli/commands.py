"""The commands: each reads its options, calls the library, and prints what comes back."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from differentia.cli import options as opt
from differentia.cli.output import (
    print_contrast,
    print_json,
    print_result,
    print_table,
    progress_bar,
    say,
    told_by_the_library,
)
from differentia.errors import InputError
from differentia.folders import require_free, require_new, require_writable, user_path
from differentia.locking import held

if TYPE_CHECKING:
    import xarray as xr

#: What the demo looks at: what VGG's layers are, each convolution after its ReLU.
DEMO_LAYERS = ("input", "block*_relu*", "block*_pool", "predictions")
DEMO_SETS = {
    "white_noise": "noise:43",
    "threes": "digits:43?digit=3",
    "all_digits": "digits:43",
}
DEMO_N_UNITS = (200, 10_000)
DEMO_MAPS = {"block1_relu2": (3,), "block3_relu2": (10,)}

#: The name of the page that explains a folder's result.
REPORT = "report.html"

#: The name of the folder with the responses, from which another run goes on.
STORE = "responses.zarr"

#: What is written into a folder, beside the results of further kinds of units: files, and pictures.
FILES = ("experiment.toml", "result.nc", "predictions.csv", REPORT)
FIGURES = "figures"

#: By command: what its help text shows.
EXAMPLES: dict[str, tuple[str, ...]] = {}

app = typer.Typer(
    name="differentia",
    help="How differently does a network, or a brain, respond to different things?",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _command(*examples: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command whose help is its docstring, and examples as they are typed."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        name = function.__name__
        EXAMPLES[name] = examples
        # \b keeps the lines below it as they are.
        text = "\n\n".join(" ".join(part.split()) for part in str(inspect.getdoc(function)).split("\n\n"))
        shown = "\n".join(_on_short_lines(example) for example in examples)
        app.command(name, help=f"{text}\n\n\b\nExamples:\n{shown}")(function)
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
    out: Annotated[str, typer.Option(metavar="DIR", help="The folder to write to.")] = "demo",
    fresh: opt.Fresh = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Measure the embedded digits network: noise, one digit, all digits. Offline, under a minute."""
    _measure_into(
        context,
        _required_out(out),
        network="digits",
        network_options={},
        sets=DEMO_SETS,
        options={"n_units": DEMO_N_UNITS, "layers": DEMO_LAYERS, "maps": DEMO_MAPS},
        keeping=_Keeping(fresh),
        as_json=as_json,
    )


@_command(
    "differentia measure keras:VGG16 --set white_noise=noise:43 --set cats=data/cats --out vgg16",
    "differentia measure keras:VGG16 --set cats=data/cats --set 'all=data/*.jpg' --out vgg16 "
    "--layers 'input,block*,flatten,predictions' --map block1_conv1:31 --map-images 0,10,21",
    "differentia measure my_code:make_net --preprocess imagenet --input-size 224 "
    "--set noise=noise:43 --set cats=data/cats --units random,top_variance,filter_mean --out net",
)
def measure(
    context: typer.Context,
    network: opt.Network,
    sets: opt.Sets = None,
    out: opt.Out = None,
    n_units: opt.NUnits = None,
    draws: opt.Draws = "20",
    units: opt.Units = "random",
    pool: opt.Pool = None,
    layers: opt.Layers = None,
    normalize: opt.Normalize = "layer",
    metric: opt.Metric = "euclidean",
    resize: opt.Resize = "bilinear",
    crop: opt.Crop = "squash",
    reference: opt.Reference = None,
    confidence: opt.Confidence = "0.95",
    resamples: opt.Resamples = "2000",
    seed: opt.Seed = "0",
    preprocess: opt.Preprocess = None,
    input_size: opt.InputSize = None,
    device: opt.Device = "auto",
    batch_size: opt.BestBatchSize = None,
    compile: opt.Compile = "auto",
    maps: opt.Maps = None,
    map_images: opt.MapImages = None,
    views: opt.Views = True,
    skip_unreadable: opt.SkipUnreadable = False,
    follow_links: opt.FollowLinks = False,
    store: opt.Keep = True,
    fresh: opt.Fresh = False,
    memory: opt.Memory = None,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Measure the differentiation of every layer of a network for sets of images.

    The folder DIR gets the result (result.nc), the network's five best classes of each image
    (predictions.csv), figures, a report to explore (report.html), the experiment file that repeats the
    measurement, and the responses (responses.zarr): the same command, or one with more sets, layers or units,
    goes on from them.
    """
    _measure_into(
        context,
        _required_out(out),
        network=network,
        network_options=_network_options(preprocess, input_size, device),
        sets=opt.named("--set", sets or [], "set", "NAME=SOURCE, such as cats=data/cats"),
        options={
            "n_units": None if n_units is None else opt.whole_numbers("--n-units", n_units),
            "draws": opt.whole_number("--draws", draws),
            "units": opt.names("--units", units, "random,top"),
            "pool": None if pool is None else opt.whole_number("--pool", pool),
            "layers": None if layers is None else opt.names("--layers", layers, "input,block*"),
            "normalize": normalize,
            "metric": metric,
            "resize": resize,
            "crop": crop,
            "reference": reference,
            "confidence": opt.number("--confidence", confidence),
            "resamples": opt.whole_number("--resamples", resamples),
            "seed": opt.whole_number("--seed", seed, least=0),
            "batch_size": None if batch_size is None else opt.whole_number("--batch-size", batch_size),
            "compile": compile,
            "maps": opt.maps("--map", maps or []) or None,
            "map_images": None
            if map_images is None
            else opt.whole_numbers("--map-images", map_images, least=0),
            "views": views,
            "skip_unreadable": skip_unreadable,
            "follow_links": follow_links,
        },
        keeping=_Keeping(fresh, store, memory),
        as_json=as_json,
    )


@_command("differentia run vgg16 --out again", "differentia run experiment.toml")
def run(
    context: typer.Context,
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT.toml",
            help="An experiment file, or a folder that holds experiment.toml.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="The folder to write to.", show_default="out = in the file"),
    ] = None,
    store: opt.Keep = True,
    fresh: opt.Fresh = False,
    memory: opt.Memory = None,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Measure what an experiment file says; paths in it are relative to the file.

    Every folder that measure writes holds the experiment.toml that repeats it. Code of yours that the file
    names (package.module:factory) is imported from the working folder, as by measure.
    """
    from differentia.experiment_file import read_experiment

    read = read_experiment(experiment)
    folder = out or read.out
    if not folder:
        raise InputError(f"{experiment}: names no folder to write to; give --out DIR, or out = in the file")
    network = read.network.model_dump(exclude_none=True)
    if "input_shape" in network:
        network["input_shape"] = tuple(network["input_shape"])
    spec = network.pop("spec")
    try:
        _measure_into(
            context,
            _required_out(folder),
            network=spec,
            network_options=network,
            sets=read.sets,
            options=read.measure.model_dump(exclude_none=True),
            keeping=_Keeping(fresh, store, memory),
            as_json=as_json,
        )
    except InputError as error:
        raise InputError(f"{experiment}: {error}") from error


@_command(
    "differentia layers keras:VGG16",
    "differentia layers digits --layers '*pool' --json",
)
def layers(
    network: opt.Network,
    chosen: opt.Layers = None,
    n_units: opt.NUnits = None,
    units: Annotated[str, opt.choice("units", "The kind of units that the cost is for: ")] = "random",
    preprocess: opt.Preprocess = None,
    input_size: opt.InputSize = None,
    device: opt.Device = "auto",
    batch_size: opt.BestBatchSize = None,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """List the layers of a network, and what it costs to record them: time, memory and disk.

    Those that measure takes when none are named are marked. The time is measured on a batch of noise.
    """
    from differentia.cli.loading import load_network
    from differentia.cost import duration, estimate_cost
    from differentia.experiment import N_UNITS
    from differentia.layers import select_layers
    from differentia.machine import written_size
    from differentia.units import SKETCH_WIDTH, unit_kind

    counts = N_UNITS if n_units is None else opt.whole_numbers("--n-units", n_units)
    batch = None if batch_size is None else opt.whole_number("--batch-size", batch_size)
    loaded = load_network(network, **_network_options(preprocess, input_size, device))
    wanted = None if chosen is None else opt.names("--layers", chosen, "input,block*")
    taken = select_layers(loaded.layers, wanted)
    cost = estimate_cost(loaded, taken, pool=max(counts), units=units, batch_size=batch)
    listed = loaded.layers if wanted is None else taken
    if as_json:
        found = [{**asdict(layer), "units": layer.size, "filters": layer.n_filters} for layer in listed]
        recorded = [layer.name for layer in taken]
        print_json({"network": network, "layers": found, "recorded": recorded, "cost": cost._asdict()})
        return
    rows = [
        [
            "x" if layer in taken else "",
            layer.name,
            layer.kind + (" (container)" if layer.container else ""),
            "x".join(map(str, layer.shape)) or "1",
            f"{layer.size:,}",
            f"{layer.n_filters:,}",
        ]
        for layer in listed
    ]
    title = f"{network}: {len(taken)} layers are recorded (x)"
    print_table(title, ["", "layer", "kind", "shape", "units", "filters"], rows, text=4)
    sketched = unit_kind(units).sketched
    most = f"{max(*counts, SKETCH_WIDTH):,} sums" if sketched else f"{max(counts):,} units"
    typer.echo(
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
)
def noise(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A new folder.", show_default=False)],
    count: Annotated[str, typer.Option(metavar="N", help="How many images.")] = "43",
    size: Annotated[
        str, typer.Option(metavar="SIZE", help="224, 224x192 (height x width) or 28x28x1 (and channels).")
    ] = "224",
    kind: Annotated[str, opt.choice("kind", "")] = "uniform",
    mean: Annotated[
        str | None, typer.Option(metavar="X", help="Of Gaussian noise, 0..255.", show_default="127.5")
    ] = None,
    sd: Annotated[
        str | None, typer.Option(metavar="X", help="Of Gaussian noise, 0..255.", show_default="59")
    ] = None,
    seed: Annotated[str, typer.Option(metavar="N", help="Images of different seeds are independent.")] = "0",
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Write white noise as PNG files: those of noise:COUNT, where the network's input has this size."""
    from differentia.stimuli import natural_key, save_images
    from differentia.stimuli import noise as make_noise

    stimuli = make_noise(
        opt.whole_number("--count", count),
        seed=opt.whole_number("--seed", seed, least=0),
        kind=kind,
        mean=None if mean is None else opt.number("--mean", mean),
        sd=None if sd is None else opt.number("--sd", sd),
    )
    written = save_images(stimuli, folder, size=opt.image_size("--size", size))
    if as_json:
        print_json([str(path) for path in sorted(written.iterdir(), key=natural_key)])
    say(f"Written to {written}: {len(stimuli)} images")


@_command(
    "differentia select keras:VGG16 data/cats --class tabby --count 43 --out data/tabby_cats",
    "differentia select keras:VGG16 'data/**/*.jpg' --class n02123045 --min-probability 0.9 --dry-run",
)
def select(
    network: opt.Network,
    source: Annotated[str, typer.Argument(help="A folder or a glob of image files.", show_default=False)],
    wanted: Annotated[
        str | None,
        typer.Option("--class", metavar="CLASS", help="A class's number, WordNet identifier or name."),
    ] = None,
    min_probability: Annotated[str, typer.Option(metavar="P", help="Images below it are left out.")] = "0.5",
    count: Annotated[
        str | None, typer.Option(metavar="N", help="Stop when so many are found.", show_default="look at all")
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="A new folder.")] = None,
    how: Annotated[str, opt.choice("how", "What goes into it beside selection.csv: ")] = "copy",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the table, write nothing.")] = False,
    resize: opt.Resize = "bilinear",
    crop: opt.Crop = "squash",
    preprocess: opt.Preprocess = None,
    input_size: opt.InputSize = None,
    device: opt.Device = "auto",
    batch_size: opt.BatchSize = "32",
    skip_unreadable: opt.SkipUnreadable = False,
    follow_links: opt.FollowLinks = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Keep the images that a network puts in a class, ranked by their probability.

    DIR gets copies of the files or links to them, and selection.csv with the probabilities. With --count
    the search ends when so many are found: they are the first of the source, not the best of it.
    """
    from differentia.cli.loading import load_network
    from differentia.errors import require_known
    from differentia.presentation import as_record
    from differentia.selection import WAYS, selection_csv, write_selection
    from differentia.selection import select as select_images
    from differentia.stimuli import stimuli_from

    if wanted is None:
        raise InputError("--class is missing; give a class's number, WordNet identifier or name")
    if not out and not dry_run:
        raise InputError("--out is missing; name a new folder: --out DIR (or --dry-run)")
    require_known("way to keep images (--how)", how, WAYS)
    stimuli = stimuli_from(source, follow_links=follow_links)
    if out and not dry_run:  # before an hour is spent on looking
        require_new(out)
        if how != "list" and stimuli.paths is None:
            raise InputError(f"{source}: these images are no files; --how list or --dry-run lists them")
    limit = None if count is None else opt.whole_number("--count", count)
    least = opt.probability("--min-probability", min_probability)
    loaded = load_network(network, **_network_options(preprocess, input_size, device))
    with progress_bar() as progress:
        found = select_images(
            loaded,
            stimuli,
            wanted,
            min_probability=least,
            count=limit,
            resize=resize,
            crop=crop,
            batch_size=opt.whole_number("--batch-size", batch_size),
            skip_unreadable=skip_unreadable,
            progress=lambda done, total: progress(done, total, source),
        )
    summary = f"{len(found.images)} of {found.looked_at} images are of class {found.class_name!r}"
    summary += f" (at least {least:g})"
    if len(found.images) == limit:
        summary += ", at which the search stopped"
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
        print_json({**found._asdict(), "images": images, "skipped": skipped})
    elif dry_run:
        typer.echo(selection_csv(found), nl=False)
    say(summary)


@_command("differentia report vgg16")
def report(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="A folder that measure wrote.", show_default=False)
    ],
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Write the report and the figures of a folder's result again."""
    place = user_path(folder)
    with held(place) if place.is_dir() else nullcontext():  # no folder is made for a wrong name
        written = _write_views(_read_results(place), place)
    if as_json:
        print_json([str(path) for path in written])
    say(f"Written to {place}: {FIGURES}/, {REPORT}")
    _name_report(place)


def _kind_paths(folder: Path) -> dict[str, Path]:
    """Return where the results of further kinds of units lie in a folder, by kind."""
    from differentia.units import UNIT_KINDS

    return {kind: folder / f"result_{kind}.nc" for kind in UNIT_KINDS}


def _read_results(folder: Path) -> dict[str, xr.Dataset]:
    """Return the results of a folder by their kind of units, that of result.nc first."""
    from differentia.result_files import load_result

    first = load_result(folder / "result.nc")
    results = {str(first["units"].item()): first}
    for kind, path in _kind_paths(folder).items():
        if path.is_file():
            other = load_result(path)
            if str(other["units"].item()) != kind or kind in results:
                raise InputError(
                    f"{path}: is of units {other['units'].item()!r}, beside a result.nc of "
                    f"{first['units'].item()!r}; take the file that does not belong here away"
                )
            results[kind] = other
    return results


@_command(
    "differentia published vgg16",
    "differentia published vgg16/result.nc --set cats=tabby_cats --set noise=white_noise",
)
def published(
    result: Annotated[
        str,
        typer.Argument(metavar="RESULT", help="A result.nc of VGG16, or its folder.", show_default=False),
    ],
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=PUBLISHED",
            help="Which published set a set stands for: white_noise, tabby_cats or random_images.",
            show_default="sets of the same names",
        ),
    ] = None,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Compare a result of VGG16 with the published curves, layer by layer."""
    import numpy as np

    from differentia.published import compare_with_published

    names = opt.named("--set", sets or [], "set", "NAME=PUBLISHED, such as cats=tabby_cats")
    compared = compare_with_published(_read_result(result), names or None)
    numbers = ("measured", "published", "difference", "spread")
    found: list[dict[str, Any]] = [
        {
            "set": str(name),
            "layer": str(layer),
            "n_units": int(count),
            **{key: float(compared[key].sel(set=name, layer=layer, n_units=count)) for key in numbers},
        }
        for name in compared["set"].values
        for count in compared["n_units"].values
        for layer in compared["layer"].values
    ]
    if as_json:
        print_json(found)
        return
    rows = [
        [one["set"], one["layer"], f"{one['n_units']:,}", *(f"{one[key]:.3f}" for key in numbers)]
        for one in found
    ]
    print_table("VGG16 and the published curves", ["set", "layer", "units", *numbers], rows, text=2)
    worst = max(found, key=lambda one: np.nan_to_num(abs(one["difference"]), nan=-1.0))
    typer.echo(f"Largest difference: {worst['difference']:.3f} ({worst['set']}, {worst['layer']})")


@_command(
    "differentia contrast demo threes all_digits",
    "differentia contrast vgg16/result.nc tabby_cats random_images --permutations 9999 --json",
)
def contrast(
    result: Annotated[
        str, typer.Argument(metavar="RESULT", help="A result.nc, or its folder.", show_default=False)
    ],
    first: Annotated[str, typer.Argument(metavar="A", help="A set's name.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help="Another's.", show_default=False)],
    permutations: Annotated[
        str, typer.Option(metavar="N", help="Of the images; the least p is 1 / (N + 1).")
    ] = "1999",
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Compare two sets at each layer: difference, ratio, their intervals, and p.

    p is that of a permutation test over images; corrected, it allows for the number of layers.
    """
    from differentia.contrasts import contrast as compare_sets

    found = compare_sets(
        _read_result(result), first, second, permutations=opt.whole_number("--permutations", permutations)
    )
    if as_json:
        names = [str(name) for name in found.data_vars]
        print_json(
            [
                {
                    **found.attrs,
                    "layer": str(layer),
                    **{name: float(found[name].sel(layer=layer)) for name in names},
                }
                for layer in found["layer"].values
            ]
        )
        return
    print_contrast(found)


def _read_result(path: str) -> xr.Dataset:
    """Return the result of a file, or of the folder that measure wrote."""
    from differentia.result_files import load_result

    place = user_path(path)
    return load_result(place / "result.nc" if place.is_dir() else place)


class _Keeping(NamedTuple):
    """Where responses are kept: in a store or not, started over or not, and in how much memory."""

    fresh: bool = False
    store: bool = True
    memory: str | None = None


def _required_out(out: str | None) -> Path:
    if not out:
        raise InputError("--out is missing; name the folder to write to: --out DIR")
    return user_path(out)


def _network_options(preprocess: str | None, input_size: str | None, device: str) -> dict[str, Any]:
    return {
        "preprocess": preprocess,
        "input_shape": None if input_size is None else opt.image_size("--input-size", input_size),
        "device": device,
    }


def _measure_into(
    context: typer.Context,
    out: Path,
    *,
    network: str,
    network_options: Mapping[str, Any],
    sets: Mapping[str, str],
    options: Mapping[str, Any],
    keeping: _Keeping,
    as_json: bool,
) -> None:
    """Measure, write all that belongs into the folder, and print the numbers."""
    from differentia.cli.loading import load_network
    from differentia.dataset import with_provenance
    from differentia.experiment import measure_kinds
    from differentia.experiment_file import write_experiment
    from differentia.machine import memory_budget
    from differentia.presentation import as_sets
    from differentia.result_files import save
    from differentia.store import require_store
    from differentia.tables import save_predictions, table_rows

    # All that can be told before a network may have to be downloaded.
    if keeping.fresh and not keeping.store:
        raise InputError("--fresh and --no-store do not go together; leave one of them out")
    try:
        memory_budget(keeping.memory)
    except InputError as error:
        raise InputError(f"--memory: {error}") from error
    given = {name: value for name, value in options.items() if value is not None}
    kinds: Sequence[str] = given.pop("units", ("random",))
    stimuli = as_sets(sets, seed=given.get("seed", 0), follow_links=given.get("follow_links", False))
    files = (*FILES, *(path.name for path in _kind_paths(out).values()))
    require_free(out, f"--out {out}", files=files, folders=[FIGURES, STORE])
    if keeping.store:
        require_store(out / STORE)
    loaded = load_network(network, **network_options)
    require_writable(out, f"--out {out}")
    context.with_resource(held(out))
    command = shlex.join(["differentia", *context.obj])
    with progress_bar() as progress, told_by_the_library():
        measured = measure_kinds(
            loaded,
            stimuli,
            kinds=kinds,
            store=out / STORE if keeping.store else None,
            fresh=keeping.fresh,
            memory=keeping.memory,
            progress=progress,
            **given,
        )
    results = {kind: with_provenance(result, command=command) for kind, result in measured.items()}
    write_experiment(
        out / "experiment.toml",
        network=network,
        network_options=network_options,
        sets={name: stimulus.source for name, stimulus in stimuli.items()},
        options={**options, "units": kinds[0] if len(kinds) == 1 else kinds},
    )
    first, *others = results.values()
    save(first, out / "result.nc")
    paths = _kind_paths(out)
    for other in others:
        save(other, paths.pop(str(other["units"].item())))
    for stale in paths.values():
        stale.unlink(missing_ok=True)
    save_predictions(first, out / "predictions.csv")
    _write_views(results, out)
    if as_json:
        print_json([row for result in results.values() for row in table_rows(result)])
    else:
        for result in results.values():
            print_result(result)
    written = sorted(path.name + "/" * path.is_dir() for path in out.iterdir() if path.name[0] != ".")
    say(f"Written to {out}: {', '.join(written)}")
    _name_report(out)


def _write_views(results: Mapping[str, xr.Dataset], folder: Path) -> list[Path]:
    """Write the figures and the report of a folder's results, and return their paths."""
    from differentia.contrasts import contrasts_between_sets
    from differentia.figures import save_figures, save_kinds
    from differentia.report import write_report

    first = next(iter(results.values()))
    contrasts = contrasts_between_sets(first)
    written = save_figures(first, folder / FIGURES, contrasts)
    written += save_kinds(results, folder / FIGURES) if len(results) > 1 else []
    return [*written, write_report(results, folder / REPORT, contrasts=contrasts)]


def _name_report(folder: Path) -> None:
    say(f"Open {folder / REPORT} in a browser")
