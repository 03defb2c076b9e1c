"""The command `depth`: what it prints, and what it writes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from differentia.cli.output import (
    print_json,
    print_paragraph,
    print_table,
    print_text,
    say,
    written_p,
    written_value,
)
from differentia.cli.tables import Column, aligned
from differentia.system.files import require_free, require_writable

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from differentia.output.options import FigureOptions

#: Of each layer across sets, and of each set and layer.
TABLE, PAIRS = "depth.csv", "pairs.csv"

#: The columns of values with limits, by their heading.
_VALUES = {"pearson": ["r"], "spearman": ["rank", "correlation"], "slope": ["slope"], "r_squared": ["R2"]}


def is_without(result: xr.Dataset, base: str) -> bool:
    """Return whether a result is of a recording, which has no layer that is the stimulus."""
    from differentia.results.subject import subject_of
    from differentia.results.summaries import layer_names

    return subject_of(result).recorded and base not in layer_names(result)


def networks_input(results: Mapping[str, xr.Dataset], base: str) -> xr.Dataset | None:
    """Return the one network's result that has the stimulus of the recordings beside it, and say so."""
    from differentia.results.summaries import layer_names

    recordings = [name for name, one in results.items() if is_without(one, base)]
    known = [name for name, one in results.items() if base in layer_names(one)]
    if not recordings or len(known) != 1:
        return None
    say(
        f"The layer {base} of {known[0]} is taken for the stimulus of {', '.join(recordings)}, by the names "
        "of their sets; --stimulus names another result"
    )
    return results[known[0]]


def print_depth(found: Mapping[str, xr.Dataset], *, as_json: bool) -> None:
    """Print a table of layers for each result, and below it what it says."""
    from differentia.results.depth import depth_rows, names_told, pair_rows
    from differentia.results.following import say_depth

    if as_json:
        print_json(
            [
                {
                    "result": name,
                    "layers": depth_rows(one),
                    "pairs": pair_rows(one),
                    "left_out": names_told(one, "left_out"),
                }
                for name, one in found.items()
            ]
        )
        return
    for name, one in found.items():
        _print_table(name, one)
        print_text()
        print_paragraph(*say_depth(one))
        if name != [*found][-1]:
            print_text()


def _print_table(name: str, found: xr.Dataset) -> None:
    from differentia.results.depth import depth_rows
    from differentia.results.subject import subject_of
    from differentia.results.summaries import percent

    rows, confidence = depth_rows(found), percent(found.attrs["confidence"])
    print_table(
        f"{name}: each {subject_of(found).place.one}'s differentiation and that of the stimulus "
        f"[{confidence}: other sets]",
        Column([subject_of(found).place.one], [str(row["layer"]) for row in rows], text=True),
        [
            *(Column(heading, _cells(rows, what)) for what, heading in _VALUES.items()),
            Column(["corrected", "p"], [written_p(row["pearson_p_corrected"]) for row in rows]),
            Column(["sets"], [str(row["n_sets"]) for row in rows]),
        ],
    )


def _cells(rows: Sequence[Mapping[str, Any]], what: str) -> list[str]:
    """Return values with their limits."""
    numbers = [(row[what], row[f"{what}_low"], row[f"{what}_high"]) for row in rows]
    if what == "slope":
        cells = [written_value(*three)[::2] for three in numbers]
    else:
        cells = [
            (f"{value:.2f}", "" if math.isnan(low) else f"[{low:.2f}, {high:.2f}]")
            for value, low, high in numbers
        ]
    return aligned([("-", "") if cell[0] == "nan" else cell for cell in cells])


def save_depth(found: Mapping[str, xr.Dataset], folder: Path, options: FigureOptions) -> list[Path]:
    """Write the tables and the figure of one or several results, and return their paths."""
    import pandas as pd

    from differentia.output.figures.correlations import plot_depth
    from differentia.output.figures.panels import RESOLUTION
    from differentia.output.figures.save import Picture, save_picture
    from differentia.results.depth import depth_rows, pair_rows
    from differentia.results.tables import save_table

    require_free(folder, f"--out {folder}", files=[TABLE, PAIRS])
    require_writable(folder, f"--out {folder}")
    written = []
    for file, rows_of in ((TABLE, depth_rows), (PAIRS, pair_rows)):
        rows = [{"result": name, **row} for name, one in found.items() for row in rows_of(one)]
        if rows:
            written.append(save_table(pd.DataFrame(rows), folder / file))
        else:
            (folder / file).unlink(missing_ok=True)  # of an earlier run
    drawn = next(iter(found.values())) if len(found) == 1 else found
    return written + save_picture(Picture("depth", RESOLUTION, partial(plot_depth, drawn)), options, folder)


def table_of(found: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Return the table of each result, below each other; of several, their names are a column."""
    import pandas as pd

    from differentia.results.tables import to_dataframe

    tables = {name: to_dataframe(one) for name, one in found.items()}
    if len(tables) == 1:
        return next(iter(tables.values()))
    return pd.concat(tables, names=["result", None]).reset_index(level="result").reset_index(drop=True)
