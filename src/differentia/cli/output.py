"""What the command line prints: numbers on stdout, progress and messages on stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import xarray as xr

    from differentia.recording.options import Progress


def say(message: str) -> None:
    """Print a message on one line of stderr, above a progress bar."""
    # Not by typer.echo, which goes past what Rich puts in the place of stderr, into the bar.
    sys.stderr.write(" ".join(message.split()) + "\n")
    sys.stderr.flush()


def print_json(content: Any) -> None:
    """Print as JSON on stdout; what is not a number is null."""
    content = json.loads(json.dumps(content), parse_constant=lambda _: None)
    typer.echo(json.dumps(content, indent=1, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, text: int = 1) -> None:
    """Print a table; its first `text` columns are texts, the others numbers, which stand to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title))
    for place, heading in enumerate(columns):
        table.add_column(Text(heading), justify="left" if place < text else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    # Into a file or a pipe it goes at its full width.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


class _Say(logging.Handler):
    """Prints what the library has to tell."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"differentia: {record.getMessage()}")


@contextmanager
def told_by_the_library() -> Iterator[None]:
    """Print on stderr what the library logs: what is reused, and how long the rest will take."""
    library, handler = logging.getLogger("differentia"), _Say(logging.INFO)
    level = library.level
    library.addHandler(handler)
    library.setLevel(logging.INFO)
    try:
        yield
    finally:
        library.removeHandler(handler)
        library.setLevel(level)


@contextmanager
def progress_bar(*, shown: bool = True) -> Iterator[Progress]:
    """Show on stderr how many images are done, how fast, and how long the rest will take."""
    from rich import console as rich, progress as parts

    name, images = parts.TextColumn("{task.description}", markup=False), parts.TextColumn("images")
    counts = parts.BarColumn(), parts.MofNCompleteColumn()
    columns = name, *counts, images, parts.TimeElapsedColumn(), parts.TimeRemainingColumn()
    console = rich.Console(stderr=True)
    # Where it is no terminal nothing would be shown but an empty line at the end.
    hidden = not (shown and console.is_interactive)
    with parts.Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("recording", total=None)

        def report(done: int, total: int, name: str) -> None:
            stage = name if name in ("figures", "report") else f"recording {name}"
            description = stage if done < total else "measuring"
            bar.update(task, completed=done, total=total, description=description)

        yield report


def print_result(result: xr.Dataset) -> None:
    """Print layers x sets at the largest number of units, relative columns beside; then what to trust."""
    from differentia.output.words import units_title
    from differentia.results.doubts import doubts, say_doubts
    from differentia.results.precision import say_precision
    from differentia.results.schema import LIMITS
    from differentia.results.summaries import confidence_of, layer_names, percent
    from differentia.results.tables import table_rows

    count, reference = int(result["n_units"].values[-1]), result.attrs["reference"]
    names = [str(name) for name in result["set"].values]
    others = [name for name in names if reference and name != reference]
    found = {(one["layer"], one["set"]): one for one in table_rows(result) if one["n_units"] == count}
    doubted = (doubts(result) != "").sel(n_units=count)
    rows = [
        [
            layer,
            f"{found[layer, names[0]]['units_used']:,}",
            *(_value_cell(found[layer, name], bool(doubted.sel(layer=layer, set=name))) for name in names),
            *(f"{found[layer, name]['relative']:.2f}" for name in others),
        ]
        for layer in layer_names(result)
    ]
    title = f"Differentiation, {units_title(str(result['units'].item()), count)}"
    confidence = confidence_of(result)
    if confidence is not None and bool(result[LIMITS[0]].sel(source="images").notnull().any()):
        title += f" [{percent(confidence)}: other images]"
    print_table(title, ["layer", "units", *names, *(f"{name} / {reference}" for name in others)], rows)
    if bool(doubted.any()):
        typer.echo("?: not to be trusted for other images; why is said below")
    for sentence in (*say_precision(result), *say_doubts(result)):
        typer.echo(sentence)


def _value_cell(row: dict[str, Any], doubted: bool) -> str:
    mean, spread = row["differentiation"], row["sd_over_draws"]
    limits = row["differentiation_images_low"], row["differentiation_images_high"]
    written = f"{mean:.3f}{f' ± {spread:.3f}' if spread > 0 else ''}"
    return written + (" ?" if doubted else _written_limits(*limits, digits=2 if mean >= 0.1 else 3))


def _written_limits(low: float, high: float, *, digits: int) -> str:
    """Return an interval to stand behind its value; nothing where it is unknown."""
    return "" if low != low or high != high else f" [{low:.{digits}f}, {high:.{digits}f}]"


def print_contrast(found: xr.Dataset) -> None:
    """Print what `contrast` returned, layer by layer, and where the sets differ."""
    from differentia.output.words import corrected_over, units_title
    from differentia.results.contrasts import SIGNIFICANT
    from differentia.results.summaries import percent

    first, second = found.attrs["first"], found.attrs["second"]
    rows = []
    for one in found.to_dataframe().reset_index().to_dict("records"):
        cells = [
            f"{one[name]:.3f}" + _written_limits(one[f"{name}_low"], one[f"{name}_high"], digits=3)
            for name in ("difference", "ratio")
        ]
        cells += [_written_p(one[name]) for name in ("p", "p_corrected")]
        rows.append([one["layer"], *("-" if cell == "nan" else cell for cell in cells)])
    level = f"[{percent(found.attrs['confidence'])}: other images]"
    columns = ["layer", f"{first} - {second}", f"{first} / {second}", "p", "corrected p"]
    units = units_title(str(found.attrs["units"]), int(found.attrs["n_units"]))
    pair = f"{first} and {second}{', paired' if found.attrs['paired'] else ''}"
    print_table(f"{pair}, {units} {level}", columns, rows)
    differ = [str(name) for name in found["layer"].values[found["p_corrected"].values < SIGNIFICANT]]
    unknown = int(found["p"].isnull().sum())
    if unknown == found.sizes["layer"]:
        typer.echo("They can't be compared in any layer.")
        return
    typer.echo(
        f"They differ in {len(differ)} of {found.sizes['layer']} layers (p < {SIGNIFICANT:g}, corrected over "
        f"{corrected_over(found)})"
        + (f": {', '.join(differ)}" if differ else "")
        + (f"; unknown in {unknown}" if unknown else "")
    )


def print_why_unknown(result: xr.Dataset, *names: str) -> None:
    """Print why sets have no interval over images, where they have none."""
    from differentia.results.confidence import LEAST_IMAGES
    from differentia.results.dataset import set_rows
    from differentia.results.doubts import say_doubts
    from differentia.results.intervals import MOST_IMAGES

    for name in names:
        count = len(set_rows(result, name))
        if not LEAST_IMAGES <= count <= MOST_IMAGES:
            typer.echo(
                f"No interval for {name}: it has {count:,} images; there are intervals for {LEAST_IMAGES} to "
                f"{MOST_IMAGES:,}."
            )
    for sentence in say_doubts(result.sel(set=list(names))):
        typer.echo(sentence)


def _written_p(p: float) -> str:
    return f"{p:.1e}" if p < 0.0001 else f"{p:.4f}"
