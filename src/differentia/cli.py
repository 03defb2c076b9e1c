"""The command line: parse, call, print, and turn errors into one line and an exit code.

Nothing heavy is imported before it is needed, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from differentia.errors import DifferentiaError, DifferentiaWarning, InputError

if TYPE_CHECKING:
    import xarray as xr

    from differentia.recording import Progress

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

#: What the demo looks at: what VGG's layers are, each convolution after its ReLU.
DEMO_LAYERS = ("input", "block*_relu*", "block*_pool", "predictions")
DEMO_SETS = {
    "white_noise": "noise:43",
    "threes": "digits:43?digit=3",
    "all_digits": "digits:43",
}
DEMO_N_UNITS = (200, 10_000)

app = typer.Typer(
    name="differentia",
    help="How differently does a network, or a brain, respond to different things?",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")]


@app.callback()
def _main() -> None:
    """How differently does a network, or a brain, respond to different things?"""


@app.command()
def demo(
    context: typer.Context,
    out: Annotated[str, typer.Option(metavar="DIR", help="The folder to write to.")] = "demo",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure the embedded digits network: noise, one digit, all digits. Offline, under a minute."""
    _measure_into(
        context,
        Path(out).expanduser(),
        network="digits",
        network_options={},
        sets=DEMO_SETS,
        options={"n_units": DEMO_N_UNITS, "layers": DEMO_LAYERS},
        as_json=as_json,
    )


@app.command()
def measure(
    context: typer.Context,
    network: Annotated[
        str,
        typer.Argument(
            help="digits | keras:NAME?weights=imagenet|none|PATH | package.module:factory?weights=PATH "
            "(this runs that code) | PATH.keras",
            show_default=False,
        ),
    ],
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=SOURCE",
            help="A set of images: a folder, a glob, a .npy of uint8 images, or noise:COUNT. "
            "Once for each set.",
        ),
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="The folder to write to.")] = None,
    n_units: Annotated[
        str | None,
        typer.Option(help="Numbers of units to look at.", show_default="200,10000,100000"),
    ] = None,
    draws: Annotated[str, typer.Option(help="Draws of units at each number of units.")] = "20",
    units: Annotated[str, typer.Option(help="random | all")] = "random",
    pool: Annotated[
        str | None,
        typer.Option(help="Units to record of each layer.", show_default="the largest --n-units"),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Names and shell patterns, with commas between: 'input,block*,predictions'.",
            show_default="all that compute something",
        ),
    ] = None,
    normalize: Annotated[str, typer.Option(help="layer | response | unit | none")] = "layer",
    metric: Annotated[str, typer.Option(help="euclidean | cityblock | correlation | cosine")] = "euclidean",
    resize: Annotated[
        str, typer.Option(help="nearest | box | bilinear | hamming | bicubic | lanczos")
    ] = "bilinear",
    crop: Annotated[
        str, typer.Option(help="squash: change the proportions | center: cut the ends off")
    ] = "squash",
    reference: Annotated[
        str | None,
        typer.Option(help="The set to divide by.", show_default="the one set of generated noise"),
    ] = None,
    seed: Annotated[str, typer.Option(help="Of the choice of units, and of noise.")] = "0",
    preprocess: Annotated[
        str | None,
        typer.Option(
            help="none (0..255) | unit (0..1) | signed (-1..1) | imagenet | caffe.",
            show_default="the network's own",
        ),
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option(
            help="224, 224x192 (height x width) or 28x28x1 (and channels).",
            show_default="the network's own",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda | cuda:1 | ...")] = "auto",
    batch_size: Annotated[str, typer.Option(help="Images in one pass.")] = "32",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure the differentiation of every layer of a network for sets of images.

    Example:
    differentia measure keras:VGG16 --set white_noise=noise:43 --set cats=data/cats
    --layers 'input,block*,flatten,predictions' --out vgg16
    """
    if not out:
        raise InputError("--out is missing; name the folder to write to: --out DIR")
    _measure_into(
        context,
        Path(out).expanduser(),
        network=network,
        network_options={
            "preprocess": preprocess,
            "input_shape": None if input_size is None else _input_shape(input_size),
            "device": device,
        },
        sets=_named_sources(sets or []),
        options={
            "n_units": None if n_units is None else _whole_numbers("--n-units", n_units),
            "draws": _whole_number("--draws", draws),
            "units": units,
            "pool": None if pool is None else _whole_number("--pool", pool),
            "layers": None if layers is None else _layer_patterns(layers),
            "normalize": normalize,
            "metric": metric,
            "resize": resize,
            "crop": crop,
            "reference": reference,
            "seed": _whole_number("--seed", seed, least=0),
            "batch_size": _whole_number("--batch-size", batch_size),
        },
        as_json=as_json,
    )


def _whole_number(option: str, text: str, least: int = 1) -> int:
    try:
        number = int(text.replace("_", ""))
    except ValueError:
        number = least - 1
    if number < least:
        raise InputError(f"{option} is {text!r}; expected a whole number >= {least}")
    return number


def _whole_numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(_whole_number(option, part) for part in text.split(","))
    except InputError:
        raise InputError(
            f"{option} is {text!r}; expected whole numbers >= 1 with commas between, such as 200,10000"
        ) from None


def _layer_patterns(text: str) -> tuple[str, ...]:
    patterns = tuple(part.strip() for part in text.split(","))
    if "" in patterns:
        raise InputError(f"--layers is {text!r}; expected names with commas between: 'input,block*'")
    return patterns


def _input_shape(text: str) -> tuple[int, int, int]:
    lengths = [int(part) if part.isdecimal() else 0 for part in text.lower().split("x")]
    # Under 4 pixels a height could be taken for a number of channels.
    if len(lengths) > 3 or min(lengths[:2]) < 4 or lengths[2:] not in ([], [1], [3]):
        raise InputError(
            f"--input-size is {text!r}; expected 224, 224x192 (height x width) or 28x28x1 "
            "(height x width x 1 or 3 channels), at least 4 pixels each way"
        )
    height = lengths[0]
    width = lengths[1] if len(lengths) > 1 else height
    channels = lengths[2] if len(lengths) > 2 else 3
    return height, width, channels


def _named_sources(given: Sequence[str]) -> dict[str, str]:
    """Return the sources of ``NAME=SOURCE`` by name."""
    sources: dict[str, str] = {}
    for text in given:
        name, equals, source = text.partition("=")
        if not (name and equals and source):
            raise InputError(f"--set is {text!r}; expected NAME=SOURCE, such as cats=data/cats")
        if name in sources:
            raise InputError(f"two sets have the name {name!r}; give each its own")
        sources[name] = source
    return sources


def _measure_into(
    context: typer.Context,
    out: Path,
    *,
    network: str,
    network_options: Mapping[str, Any],
    sets: Mapping[str, str],
    options: Mapping[str, Any],
    as_json: bool,
) -> None:
    """Measure, write all that belongs into the folder, and print the numbers."""
    from differentia.experiment import measure as measure_network
    from differentia.experiment import write_experiment
    from differentia.figures import save_figures
    from differentia.networks import load_network
    from differentia.presentation import as_sets
    from differentia.results import save, with_provenance

    stimuli = as_sets(sets, seed=options.get("seed", 0))  # before a network may have to be downloaded
    loaded = load_network(network, **network_options)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: can't be made ({error.strerror}); choose another") from error
    if not os.access(out, os.W_OK):
        raise InputError(f"--out {out}: can't be written to; choose another")
    with _progress() as progress:
        result = measure_network(loaded, stimuli, progress=progress, **options)
    result = with_provenance(result, command=shlex.join(["differentia", *context.obj]))
    write_experiment(
        out / "experiment.toml",
        network=network,
        network_options=network_options,
        sets={name: given.source for name, given in stimuli.items()},
        options=options,
    )
    save(result, out / "result.nc")
    save_figures(result, out / "figures")
    if as_json:
        typer.echo(json.dumps(_records(result), indent=1))
    else:
        _print_table(result)
    _say(f"Written to {out}: result.nc, experiment.toml, figures/")


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show on stderr how many images are done, how fast, and how long the rest will take."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("images"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("recording", total=None)

        def report(done: int, total: int, name: str) -> None:
            description = f"recording {name}" if done < total else "measuring"
            bar.update(task, completed=done, total=total, description=description)

        yield report


def _summary(result: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray | None]:
    """Return means and spreads over draws, and relative means where there is a reference."""
    from differentia.results import relative
    from differentia.uncertainty import draw_mean, draw_spread

    values = result["differentiation"]
    related = draw_mean(relative(result), result) if result.attrs["reference"] else None
    return draw_mean(values, result), draw_spread(values, result), related


def _print_table(result: xr.Dataset) -> None:
    """Print layers x sets at the largest number of units, relative columns beside."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    means, spreads, related = _summary(result)
    count = int(result["n_units"].values[-1])
    reference = result.attrs["reference"]
    names = [str(name) for name in result["set"].values]
    every = str(result["units"].item()) == "all"
    table = Table(title="Differentiation, " + ("all units" if every else f"{count:,} units"))
    table.add_column("layer", overflow="fold")
    table.add_column("units", justify="right", overflow="fold")
    for name in names:
        table.add_column(escape(name), justify="right", overflow="fold")
    others = [name for name in names if related is not None and name != reference]
    for name in others:
        table.add_column(f"{escape(name)} / {escape(reference)}", justify="right", overflow="fold")
    for layer in (str(name) for name in result["layer"].values):
        at: dict[str, Any] = {"layer": layer, "n_units": count}
        row = [escape(layer), f"{int(result['units_used'].sel(at)):,}"]
        for name in names:
            mean = float(means.sel({**at, "set": name}))
            spread = float(spreads.sel({**at, "set": name}))
            row.append(f"{mean:.3f} ± {spread:.3f}" if spread > 0 else f"{mean:.3f}")
        if related is not None:
            row += [f"{related.sel({**at, 'set': name}).item():.2f}" for name in others]
        table.add_row(*row)
    # Into a file or a pipe the table goes at its full width.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


def _records(result: xr.Dataset) -> list[dict[str, Any]]:
    """Return one record for each set, layer and number of units; what is not known is null."""
    means, spreads, related = _summary(result)
    records = []
    for name in result["set"].values:
        for layer in result["layer"].values:
            for count in result["n_units"].values:
                at = {"set": name, "layer": layer, "n_units": count}
                numbers = {
                    "differentiation": float(means.sel(at)),
                    "sd_over_draws": float(spreads.sel(at)),
                    "relative": None if related is None else float(related.sel(at)),
                }
                records.append(
                    {
                        "set": str(name),
                        "layer": str(layer),
                        "n_units": int(count),
                        "units_used": int(result["units_used"].sel(layer=layer, n_units=count)),
                        # NaN is not JSON
                        **{k: None if v is None or v != v else v for k, v in numbers.items()},
                    }
                )
    return records


def _say(message: str) -> None:
    typer.echo(" ".join(message.split()), err=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 the work failed, 2 wrong usage or input.

    Parameters
    ----------
    arguments
        In place of the process's own.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("always", DifferentiaWarning)
            status = app(given or ["--help"], standalone_mode=False, obj=given)
        return _interrupted() if status == INTERRUPTED else DONE
    except typer.TyperException as error:
        message = getattr(error, "format_message", error.__str__)()
        _say(f"differentia: {message.rstrip('.')}; see differentia --help")
        return WRONG_USAGE
    except (typer.Abort, KeyboardInterrupt):
        return _interrupted()
    except DifferentiaError as error:
        if "--debug" in given:
            traceback.print_exc()
        _say(f"differentia: {error}")
        return WRONG_USAGE if isinstance(error, InputError) else FAILED
    except Exception as error:
        if "--debug" in given:
            traceback.print_exc()
        _say(f"differentia: failed: {type(error).__name__}: {error} (--debug shows where)")
        return FAILED


def _interrupted() -> int:
    _say("differentia: stopped before the end; run the same command again")
    return INTERRUPTED


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    prefix = "warning" if issubclass(category, DifferentiaWarning) else category.__name__
    _say(f"differentia: {prefix}: {message}")
