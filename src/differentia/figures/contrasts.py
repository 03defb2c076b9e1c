"""Two sets compared layer by layer: a panel for each pair, and marks above the curves where they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.contrasts import SIGNIFICANT
from differentia.errors import InputError, require_known
from differentia.figures.depth import layer_names, mark_scale, name_layers
from differentia.figures.intervals import BAND_STRENGTH, LEGEND_COLOUR, draw_band, percent
from differentia.figures.labels import plain, set_colours, shortened
from differentia.figures.panels import PAGE_WIDTH
from differentia.units import UNIT_KINDS

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

DIFFERENT = f"corrected p < {SIGNIFICANT:g}"
NOT_DIFFERENT = f"corrected p \N{GREATER-THAN OR EQUAL TO} {SIGNIFICANT:g}"

#: Rows of marks that have room above the curves.
MOST_ROWS = 6

#: In points: rows of marks, the lowest above the axes, and what they are made of.
ROW_HEIGHT, FIRST_ROW, MARK_SIZE, ROW_LABEL_SIZE = 9.0, 7.0, 4.5, 7.0

#: In points: from the axes to what stands right of them.
BESIDE = 7.2

#: In characters: a set's name beside a row of marks, and above a panel.
LONGEST_IN_ROW, LONGEST_IN_TITLE = 18, 30

#: In inches: a panel without the layers' names, alone and above others, and what stands right of it.
PANEL_HEIGHT, STACKED_HEIGHT, LEGEND_WIDTH = 2.3, 1.25, 1.75

COLOUR = "#1A1A1A"


@dataclass(frozen=True)
class Quantity:
    """How two sets are compared.

    Attributes
    ----------
    sign
        Between their names.
    label
        Of the axis.
    equal
        The value where they do not differ.
    logarithmic
        Whether the axis is: half and twice as much are as far from equal.
    """

    sign: str
    label: str
    equal: float
    logarithmic: bool = False


QUANTITIES = {
    "difference": Quantity("\N{MINUS SIGN}", "Difference", 0.0),
    "ratio": Quantity("/", "Ratio", 1.0, logarithmic=True),
}

_LIMITS = tuple(f"{what}{limit}" for what in QUANTITIES for limit in ("", "_low", "_high"))
_ATTRIBUTES = ("first", "second", "n_units", "units", "permutations", "confidence")


def plot_contrast(contrast: xr.Dataset, ax: Axes | None = None, *, what: str = "difference") -> Axes:
    """Draw how two sets differ against depth.

    The band is the interval over images. A filled mark stands where the sets differ (corrected p < 0.05),
    an open one where that can't be said, none where there is no test.

    Parameters
    ----------
    contrast
        What `contrast` returned.
    ax
        To draw into; by default a new figure of a fitting size.
    what
        "difference", with a line at 0, or "ratio", with a line at 1 and a logarithmic axis.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no contrast, or `what` is neither.
    """
    require_known("what", what, QUANTITIES)
    quantity = QUANTITIES[what]
    _pair(contrast)
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=contrasts_size([contrast]), layout="constrained")
    layers = layer_names(contrast)
    depth = np.arange(len(layers), dtype=np.float64)
    value, low, high = (contrast[f"{what}{limit}"].values for limit in ("", "_low", "_high"))
    ax.axhline(quantity.equal, color="#707070", linewidth=0.8, zorder=1.5)
    draw_band(ax, depth, low, high, COLOUR, half_width=0.03)
    ax.plot(depth, value, color=COLOUR, linewidth=1.2, zorder=2)
    corrected, scale = contrast["p_corrected"].values, mark_scale(ax, len(layers))
    for at, fill in ((corrected < SIGNIFICANT, COLOUR), (corrected >= SIGNIFICANT, "white")):
        ax.scatter(
            depth[at],
            value[at],
            s=18 * scale**2,
            facecolor=fill,
            edgecolor=COLOUR,
            linewidth=0.9 * scale,
            zorder=3,
        )
    ax.grid(axis="y", color="#E5E5E5", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_ylabel(quantity.label)
    if quantity.logarithmic:
        _scale_by_logarithm(ax)
    ax.set_title(plain(_joined(contrast, quantity.sign, LONGEST_IN_TITLE)), fontsize=9, loc="left")
    name_layers(ax, layers)
    _add_legend(ax, contrast)
    return ax


def _scale_by_logarithm(ax: Axes) -> None:
    """Make the y axis logarithmic, with plain numbers at it: fewer of each ten where it spans many."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high < 3 * low:
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    else:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def contrasts_size(contrasts: Sequence[xr.Dataset]) -> tuple[float, float]:
    """Return inches: no wider than a page, high enough for a panel for each pair and the layers' names."""
    layers = [shortened(name) for name in layer_names(contrasts[0])]
    width = min(PAGE_WIDTH, max(4.6, 1.6 + 0.28 * len(layers)) + LEGEND_WIDTH)
    panels = PANEL_HEIGHT if len(contrasts) == 1 else STACKED_HEIGHT * len(contrasts) + 0.4
    return width, panels + 0.3 + 0.055 * max(map(len, layers))


def contrasts_figure(contrasts: Sequence[xr.Dataset], make: Callable[..., Figure]) -> Figure:
    """Return a figure made by `matplotlib.pyplot.figure` or `Figure`: a panel for each pair."""
    figure = make(figsize=contrasts_size(contrasts), layout="constrained")
    panels = figure.subplots(len(contrasts), squeeze=False)[:, 0]
    for ax, contrast in zip(panels, contrasts, strict=True):
        plot_contrast(contrast, ax)
        legend = ax.get_legend()
        if ax is not panels[0] and legend is not None:
            legend.remove()
    limits = np.array([ax.get_ylim() for ax in panels])
    for ax in panels:
        ax.set_ylim(limits.min(), limits.max())
    for ax, one, other in zip(panels, contrasts, contrasts[1:], strict=False):
        if layer_names(one) == layer_names(other):  # named at the next one
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
    return figure


def require_contrasts(result: xr.Dataset, contrasts: Sequence[xr.Dataset]) -> None:
    """Raise an error unless every contrast is of two sets, and of layers, of a result.

    Raises
    ------
    InputError
        Says what is wrong with which, and what to do.
    """
    import xarray as xr

    if isinstance(contrasts, xr.Dataset):
        raise InputError("contrasts= is one Dataset; expected a list of them: contrasts=[contrast(...)]")
    if len(contrasts) > MOST_ROWS:
        raise InputError(
            f"contrasts= has {len(contrasts)} contrasts; at most {MOST_ROWS} have room: choose among them"
        )
    known = {"set": result["set"].values.astype(str).tolist(), "layer": layer_names(result)}
    for contrast in contrasts:
        pair = _pair(contrast)
        for what, names in {"set": pair, "layer": layer_names(contrast)}.items():
            for name in names:
                if name not in known[what]:
                    raise InputError(
                        f"the contrast of {' and '.join(map(repr, pair))} has the {what} {name!r}, which the "
                        f"result has not ({', '.join(known[what])}); compare the sets of this result: "
                        "contrast(result, first, second)"
                    )


def _pair(contrast: Any) -> tuple[str, str]:
    """Return the names of a contrast's two sets, after making sure that it is one."""
    import xarray as xr

    is_one = isinstance(contrast, xr.Dataset)
    if (
        not is_one
        or not {"p_corrected", *_LIMITS} <= set(contrast)
        or not {*_ATTRIBUTES} <= set(contrast.attrs)
    ):
        raise InputError(
            f"expected what contrast(result, first, second) returned; this {type(contrast).__name__} is no "
            "contrast"
        )
    return str(contrast.attrs["first"]), str(contrast.attrs["second"])


def pair_label(contrast: xr.Dataset) -> str:
    """Return what stands beside a row of marks."""
    return _joined(contrast, "vs", LONGEST_IN_ROW)


def _joined(contrast: xr.Dataset, sign: str, longest: int) -> str:
    first, second = (shortened(name, longest) for name in _pair(contrast))
    return f"{first} {sign} {second}"


def rows_height(contrasts: Sequence[xr.Dataset]) -> float:
    """Return inches that the rows of marks take."""
    return len(contrasts) * ROW_HEIGHT / 72


def mark_contrasts(ax: Axes, result: xr.Dataset, contrasts: Sequence[xr.Dataset]) -> None:
    """Draw a row for each pair above the axes: a line over what was tested, marks where the sets differ.

    Marks have the colours of both sets; the names stand right of the row. The first pair is the topmost.
    """
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    colours, layers = set_colours(result), layer_names(result)
    for row, contrast in enumerate(reversed(contrasts)):
        height = (FIRST_ROW + row * ROW_HEIGHT) / 72
        above = ax.get_xaxis_transform() + ScaledTranslation(0, height, ax.figure.dpi_scale_trans)
        corrected = contrast["p_corrected"].reindex(layer=layers).values
        pair = colours[contrast.attrs["first"]], colours[contrast.attrs["second"]]
        tested, different = np.flatnonzero(np.isfinite(corrected)), np.flatnonzero(corrected < SIGNIFICANT)
        stretches = [edge for place in tested for edge in (place - 0.5, place + 0.5, np.nan)]
        for x, style in ((stretches, {"color": "#D0D0D0", "linewidth": 0.8}), (different, mark(*pair))):
            ax.add_artist(Line2D(x, np.ones(len(x)), transform=above, clip_on=False, **style))
        ax.annotate(
            plain(pair_label(contrast)),
            (1, 1),
            xytext=(BESIDE, 72 * height),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            fontsize=ROW_LABEL_SIZE,
        )


def mark(first: str, second: str) -> dict[str, Any]:
    """Return the properties of a mark in two colours."""
    return {
        "linestyle": "none",
        "marker": "D",
        "markersize": MARK_SIZE,
        "fillstyle": "left",
        "markerfacecolor": first,
        "markerfacecoloralt": second,
        "markeredgewidth": 0,
    }


def _add_legend(ax: Axes, contrast: xr.Dataset) -> None:
    """Say beside the axes what the band and the marks mean, and which test was made."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    about: Mapping[str, Any] = contrast.attrs
    point: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 4.2, "markeredgecolor": COLOUR}
    nothing = Line2D([], [], linestyle="none")
    entries: dict[str, Line2D | Patch] = {
        f"{percent(about['confidence'])}: other images": Patch(
            color=LEGEND_COLOUR, alpha=BAND_STRENGTH, lw=0
        ),
        DIFFERENT: Line2D([], [], markerfacecolor=COLOUR, **point),
        NOT_DIFFERENT: Line2D([], [], markerfacecolor="white", **point),
        f"test: {about['permutations']:,} permutations\nof images": nothing,
    }
    kind = UNIT_KINDS.get(about["units"])
    if kind is not None and kind.counted:
        entries[f"with {about['n_units']:,} units"] = nothing
    ax.legend(
        entries.values(),
        entries.keys(),
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        fontsize=8,
        handlelength=2.0,
    )
