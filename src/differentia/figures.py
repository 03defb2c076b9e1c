"""Pictures of a result; no statistic is computed here."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from differentia.results import relative, validate_result
from differentia.uncertainty import draw_mean, draw_spread

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's colours, which colour-blind readers can tell apart; grey is kept for the reference.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
REFERENCE_COLOUR = "#7A7A7A"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

#: From the largest number of units to the smallest.
LINE_STYLES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), (0, (1, 3)))

#: Layers beyond this many share their names out: every second, every third, ...
MOST_LAYER_NAMES = 60

#: In characters.
LONGEST_LAYER_NAME = 44
LONGEST_LEGEND_LINE = 28


def plot(result: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw differentiation against depth, one colour for each set and one line style for each `n_units`.

    Lines are means over draws of units; bands are one SD over draws either side.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    ax
        To draw into; by default a new figure of a fitting size.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result.
    """
    validate_result(result)
    ax = _draw(result, result["differentiation"], ax)
    unit = " (units of the responses)" if result.attrs["normalize"] == "none" else ""
    ax.set_ylabel(f"Differentiation{unit}")
    return ax


def plot_relative(result: xr.Dataset, reference: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw differentiation relative to a reference set against depth, as `plot`.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    reference
        The set to divide by; by default the result's own reference.
    ax
        To draw into; by default a new figure of a fitting size.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, or there is no reference.
    """
    values = relative(result, reference)
    ax = _draw(result, values, ax)
    ax.axhline(1.0, color="#B0B0B0", linewidth=0.8, zorder=0)
    ax.set_ylabel(f"Differentiation / {_plain(_wrapped(values.attrs['reference']))}")
    return ax


def set_colours(result: xr.Dataset) -> dict[str, str]:
    """Return each set's colour, the same in every picture of a result; the reference is grey."""
    names = [str(name) for name in result["set"].values]
    others = [name for name in names if name != result.attrs["reference"]]
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(others)}
    return {name: colours.get(name, REFERENCE_COLOUR) for name in names}


def save_figures(result: xr.Dataset, folder: Path) -> list[Path]:
    """Write the line plots of a result as PNG and SVG.

    Parameters
    ----------
    result
        What `measure` returned.
    folder
        Made if it is missing.

    Returns
    -------
    list of Path
        ``differentiation.*``, and ``relative.*`` where the result has a reference.
    """
    from matplotlib.figure import Figure

    drawings: dict[str, Callable[..., Axes]] = {"differentiation": plot, "relative": plot_relative}
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in drawings.items():
        if name == "relative" and not result.attrs["reference"]:
            for suffix in ("png", "svg"):  # of an earlier result
                (folder / f"{name}.{suffix}").unlink(missing_ok=True)
            continue
        figure = Figure(figsize=_figure_size(result), layout="constrained")
        draw(result, ax=figure.add_subplot())
        for suffix in ("png", "svg"):
            written.append(_save_figure(figure, folder / f"{name}.{suffix}"))
    return written


def _save_figure(figure: Figure, path: Path) -> Path:
    beside = path.with_name(f".{path.name}")
    # Without a date, so that the same result gives the same file.
    metadata: Any = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(beside, format=path.suffix[1:], dpi=200, metadata=metadata, bbox_inches="tight")
    beside.replace(path)
    return path


def _figure_size(result: xr.Dataset) -> tuple[float, float]:
    """Return inches: wide enough for the layers and the legend, high enough for the layers' names."""
    layers = [_shortened(str(name)) for name in result["layer"].values]
    legend = max(len(line) for name in result["set"].values for line in _wrapped(str(name)).splitlines())
    width = min(14.0, max(5.2, 2.2 + 0.28 * len(layers))) + 0.8 + 0.085 * max(legend, 13)
    return width, 3.5 + 0.055 * max(map(len, layers))


def _shortened(text: str) -> str:
    """Return a layer's name with its middle left out where it is very long."""
    if len(text) <= LONGEST_LAYER_NAME:
        return text
    half = LONGEST_LAYER_NAME // 2
    return f"{text[:half]}\N{HORIZONTAL ELLIPSIS}{text[-half:]}"


def _wrapped(text: str) -> str:
    """Return a set's name on lines that fit into a legend."""
    return "\n".join(textwrap.wrap(text, LONGEST_LEGEND_LINE)) or text


def _plain(text: str) -> str:
    """Return text that Matplotlib shows as it is: a dollar sign would start mathematics."""
    return text.replace("$", r"\$")


def _draw(result: xr.Dataset, values: xr.DataArray, ax: Axes | None) -> Axes:
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=_figure_size(result), layout="constrained")
    spread = draw_spread(values, result)
    means = draw_mean(values, result)
    colours = set_colours(result)
    counts = [int(count) for count in result["n_units"].values]
    styles = dict(zip(reversed(counts), _cycled(LINE_STYLES, len(counts)), strict=True))
    depth: Sequence[float] = range(result.sizes["layer"])
    for place, (name, colour) in enumerate(colours.items()):
        for count in counts:
            line = means.sel(set=name, n_units=count).values
            band = spread.sel(set=name, n_units=count).fillna(0.0).values
            main = count == counts[-1]
            ax.fill_between(depth, line - band, line + band, color=colour, alpha=0.16, linewidth=0)
            if len(depth) == 1:  # where a band has no width: bars, side by side
                depth = [(place - (len(colours) - 1) / 2) * 0.12 + 0.02 * counts.index(count)]
                bars = ax.errorbar(depth, line, yerr=band, fmt="none", ecolor=colour, alpha=0.6, capsize=3)
                bars[2][0].set_linestyle(styles[count])
            ax.plot(
                depth,
                line,
                color=colour,
                linestyle=styles[count],
                linewidth=1.7 if main else 1.1,
                marker=MARKERS[place % len(MARKERS)],
                markersize=3.5 if main else 1.8,
                zorder=3 if main else 2,
            )
    _label_layers(ax, [str(layer) for layer in result["layer"].values])
    _add_legend(ax, result, colours, styles)
    ax.set_ylim(bottom=-0.03 * ax.get_ylim()[1])  # zero is in sight, and its markers are whole
    ax.grid(axis="y", color="#E5E5E5", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _cycled(styles: Sequence[Any], count: int) -> list[Any]:
    return [styles[place % len(styles)] for place in range(count)]


def _label_layers(ax: Axes, layers: Sequence[str]) -> None:
    step = -(-len(layers) // MOST_LAYER_NAMES)
    shown = sorted({*range(0, len(layers), step), len(layers) - 1})
    if len(shown) > 1 and shown[-1] - shown[-2] < step:
        del shown[-2]
    size = 8 if len(shown) <= 40 else 6.5
    ax.set_xticks(
        shown,
        [_plain(_shortened(layers[place])) for place in shown],
        rotation=60,
        ha="right",
        rotation_mode="anchor",
        fontsize=size,
    )
    ax.set_xlim(-0.5, len(layers) - 0.5)
    ax.set_xlabel("Layer, in the order of computation")


def _add_legend(ax: Axes, result: xr.Dataset, colours: dict[str, str], styles: dict[int, Any]) -> None:
    """Say beside the axes what the colours mean, and below that what the line styles mean."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=MARKERS[place % len(MARKERS)], markersize=4)
        for place, colour in enumerate(colours.values())
    ]
    names = [_plain(_wrapped(name)) for name in colours]
    if str(result["units"].item()) != "all":
        handles.append(Line2D([], [], linestyle="none"))
        names.append("")
        handles += [Line2D([], [], color="#404040", linestyle=style) for style in styles.values()]
        names += [f"{count:,} units" for count in styles]
    ax.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        fontsize=9,
        handlelength=2.6,
    )
