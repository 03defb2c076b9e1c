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
    typer.echo(json.dumps(_without_nan(content), indent=1, ensure_ascii=False))


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _without_nan(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and content != content else content


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, text: int = 1) -> None:
    """Print a table; its first `text` columns are texts, the others numbers, which stand to the right."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title))
    for place, heading in enumerate(columns):
        table.add_column(escape(heading), justify="left" if place < text else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
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
def progress_bar() -> Iterator[Progress]:
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
    console = Console(stderr=True)
    # Where it is no terminal nothing would be shown but an empty line at the end.
    with Progress(*columns, console=console, transient=True, disable=not console.is_interactive) as bar:
        task = bar.add_task("recording", total=None)

        def report(done: int, total: int, name: str) -> None:
            description = f"recording {name}" if done < total else "measuring"
            bar.update(task, completed=done, total=total, description=description)

        yield report


def _summary(result: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray | None]:
    """Return means and spreads over draws, and relative means where there is a reference."""
    from differentia.results.draws import draw_mean, draw_spread
    from differentia.results.relative import relative

    values = result["differentiation"]
    related = draw_mean(relative(result), result) if result.attrs["reference"] else None
    return draw_mean(values, result), draw_spread(values, result), related


def print_result(result: xr.Dataset) -> None:
    """Print layers x sets at the largest number of units, relative columns beside; then what is enough."""
    from differentia.output.words import units_title
    from differentia.results.precision import say_precision

    means, spreads, related = _summary(result)
    limits = _image_limits(result)
    count = int(result["n_units"].values[-1])
    reference = result.attrs["reference"]
    names = [str(name) for name in result["set"].values]
    others = [name for name in names if related is not None and name != reference]
    rows = []
    for layer in (str(name) for name in result["layer"].values):
        at: dict[str, Any] = {"layer": layer, "n_units": count}
        row = [layer, f"{int(result['units_used'].sel(at)):,}"]
        for name in names:
            mean = float(means.sel({**at, "set": name}))
            spread = float(spreads.sel({**at, "set": name}))
            row.append(f"{mean:.3f}{f' ± {spread:.3f}' if spread > 0 else ''}")
            if limits is not None:
                row[-1] += _written_limits(*(limits.sel({**at, "set": name}).values), digits=2)
        if related is not None:
            row += [f"{related.sel({**at, 'set': name}).item():.2f}" for name in others]
        rows.append(row)
    title = f"Differentiation, {units_title(str(result['units'].item()), count)}"
    if limits is not None and bool(limits.notnull().any()):
        title += f" [{100 * limits.attrs['confidence']:g} %: other images]"
    print_table(title, ["layer", "units", *names, *(f"{name} / {reference}" for name in others)], rows)
    for sentence in say_precision(result):
        typer.echo(sentence)


def _image_limits(result: xr.Dataset) -> xr.DataArray | None:
    """Return the limits of the images' intervals (..., limit), where a result has any."""
    import xarray as xr

    from differentia.results.schema import LIMITS

    if LIMITS[0] not in result:
        return None
    both = xr.concat([result[name].sel(source="images", drop=True) for name in LIMITS], dim="limit")
    return both.transpose(..., "limit").assign_attrs(result[LIMITS[0]].attrs)


def _written_limits(low: float, high: float, *, digits: int) -> str:
    """Return an interval to stand behind its value; nothing where it is unknown."""
    return "" if low != low or high != high else f" [{low:.{digits}f}, {high:.{digits}f}]"


def print_contrast(found: xr.Dataset) -> None:
    """Print what `contrast` returned, layer by layer, and where the sets differ."""
    from differentia.output.words import units_title
    from differentia.results.contrasts import SIGNIFICANT

    digits = max(4, len(str(found.attrs["permutations"])))
    first, second = found.attrs["first"], found.attrs["second"]
    rows = []
    for layer in found["layer"].values:
        one = {str(name): float(found[name].sel(layer=layer)) for name in found.data_vars}
        rows.append(
            [
                str(layer),
                *(
                    f"{one[name]:.3f}" + _written_limits(one[f"{name}_low"], one[f"{name}_high"], digits=3)
                    for name in ("difference", "ratio")
                ),
                *(f"{one[name]:.{digits}f}" for name in ("p", "p_corrected")),
            ]
        )
    level = f"[{100 * found.attrs['confidence']:g} %: other images]"
    columns = ["layer", f"{first} - {second}", f"{first} / {second}", "p", "corrected p"]
    rows = [["-" if cell == "nan" else cell for cell in row] for row in rows]
    units = units_title(str(found.attrs["units"]), int(found.attrs["n_units"]))
    print_table(f"{first} and {second}, {units} {level}", columns, rows)
    differ = [str(name) for name in found["layer"].values[found["p_corrected"].values < SIGNIFICANT]]
    unknown = int(found["p"].isnull().sum())
    typer.echo(
        f"They differ in {len(differ)} of {found.sizes['layer']} layers (corrected p < {SIGNIFICANT:g})"
        + (f": {', '.join(differ)}" if differ else "")
        + (f"; unknown in {unknown}" if unknown else "")
    )
