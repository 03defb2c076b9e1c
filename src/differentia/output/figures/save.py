"""All pictures of a result as files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from differentia.output.chosen import are_many
from differentia.output.figures.contrasts import draw_contrasts, require_room
from differentia.output.figures.correlations import plot_depth
from differentia.output.figures.heatmaps import plot_distances, plot_filters, plot_predictions
from differentia.output.figures.lines import plot, plot_kinds, plot_relative
from differentia.output.figures.maps import plot_maps
from differentia.output.figures.panels import RESOLUTION
from differentia.output.figures.sets import plot_sets
from differentia.output.figures.statistics import draw_pairs, drawn_pairs, plot_dimensionality
from differentia.output.figures.time_courses import plot_time_courses
from differentia.output.options import FigureKeywords, FigureOptions
from differentia.results.confidence import LEAST_IMAGES
from differentia.results.contrasts import contrasts_of
from differentia.results.dataset import as_kinds
from differentia.results.depth import depth_to_show
from differentia.results.references import references_of
from differentia.results.schema import checked, map_names
from differentia.results.statistics import look
from differentia.results.summaries import layer_names
from differentia.results.time_courses import has_time_courses
from differentia.results.views import layers_with_channels
from differentia.system.fields import accept, takes
from differentia.system.files import require_writable, user_path, written_whole
from differentia.system.progress import Progress, require_progress, shown_progress
from differentia.system.turns import in_turn

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

#: Rows of heat maps that fit onto a page.
LAYERS_ON_A_PAGE = 7

#: Sets of which dimensionality is drawn at most.
MOST_DRAWN = 12

#: In dots per inch; heat maps have fewer, since there are many of them.
CURVES_RESOLUTION = 200

MM_PER_INCH = 25.4

#: In inches: around what is drawn.
MARGIN = 0.1

#: By format: what its files do not say of themselves. With a time in it, no two files would be the same.
METADATA: dict[str, Any] = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}

#: Text stays text that can be edited, the same picture gives the same file, and figures lay themselves out.
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "differentia",
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
}

#: The files that `save_figures` writes; those that a new result has not are removed.
NAMES = re.compile(
    rf"(differentiation|relative|time_courses|sets|contrast|dimensionality|between|kinds|depth|predictions|(filters|distances)(_\d+)?|maps_\d+)"
    rf"\.({'|'.join(METADATA)})"
)


class Picture(NamedTuple):
    """A figure that is yet to be drawn."""

    name: str
    #: In dots per inch, unless others are asked for.
    dpi: float
    draw: Callable[[Figure], Any]


@takes(FigureOptions, keywords=FigureKeywords)
@checked
def save_figures(
    results: xr.Dataset | Mapping[str, xr.Dataset],
    folder: str | os.PathLike[str] = "figures",
    contrasts: Sequence[xr.Dataset] | None = None,
    *,
    progress: Progress | bool = False,
    **options: Unpack[FigureKeywords],
) -> list[Path]:
    """Save all figures that a result has data for, each as one file of each format.

    Of more than 12 sets beside the reference there is a heat map of all (`plot_sets`) beside the curves, and
    pictures with a panel for each set show 12 and the reference, evenly spread over their order.

    Figures of these names that an earlier call wrote, and that were not asked for now, are removed.

    Parameters
    ----------
    results
        What `measure`, `measure_responses` or `measure_kinds` returned; of several kinds of units all figures
        are those of the first, but for one with the curves of all.
    folder
        Where the files go; it is made where there is none.
    contrasts
        What `contrast` returned for pairs of sets: at most 6, as for `plot`. By default every two sets beside
        the reference are compared, where the (first) result has intervals; ``contrasts=()`` leaves that out.
    progress
        Whether a bar shows how far it is, or what is called after every figure with the figures done, all
        figures, and "figures".
    {options}

    Returns
    -------
    list of Path
        Of the files.

    Raises
    ------
    InputError
        It is no result, a contrast is not of it, an option can't be used, or the folder can't be written to.
    StorageError
        The disk is full.
    """
    wanted, place, kinds = accept(FigureOptions, options), user_path(folder), as_kinds(results)
    require_room(next(iter(kinds.values())), contrasts or ())
    pictures: list[Picture] = []
    written: list[Path] = []
    if wanted.formats:
        require_writable(place, str(place))
        pictures += _pictures(kinds, contrasts_of(kinds) if contrasts is None else contrasts)
    with shown_progress(require_progress(progress)) as report:
        for done, picture in enumerate(pictures, start=1):
            written += save_picture(picture, wanted, place)
            report(done, len(pictures), "figures")
    for path in saved_figures(place):
        if path not in written:
            path.unlink()
    if not written and place.is_dir() and not any(place.iterdir()):
        place.rmdir()
    return written


def saved_figures(folder: Path) -> list[Path]:
    """Return the files in a folder that have names of figures."""
    return [path for path in sorted(folder.glob("*.*")) if NAMES.fullmatch(path.name)]


def _pictures(results: Mapping[str, xr.Dataset], contrasts: Sequence[xr.Dataset]) -> Iterator[Picture]:
    """Yield what there is data for."""
    result = next(iter(results.values()))
    yield Picture("differentiation", CURVES_RESOLUTION, partial(plot, result, contrasts=contrasts))
    if any(references_of(result).values()):
        yield Picture(
            "relative", CURVES_RESOLUTION, partial(plot_relative, result, None, contrasts=contrasts)
        )
    if are_many(result):
        yield Picture("sets", CURVES_RESOLUTION, partial(plot_sets, result))
    if has_time_courses(result):
        yield Picture("time_courses", RESOLUTION, partial(plot_time_courses, result))
    if contrasts:
        yield Picture("contrast", CURVES_RESOLUTION, partial(draw_contrasts, contrasts))
    yield from _of_statistics(result)
    if len(results) > 1:
        yield Picture("kinds", RESOLUTION, partial(plot_kinds, results))
    if (found := depth_to_show(results)) is not None:
        yield Picture("depth", RESOLUTION, partial(plot_depth, found))
    if "prediction" in result:
        yield Picture("predictions", RESOLUTION, partial(plot_predictions, result))
    if {"filter_mean", "layer_mean", "layer_sd"} <= set(result):
        for name, layers in _pages(layers_with_channels(result), "filters"):
            yield Picture(name, RESOLUTION, partial(plot_filters, result, layers))
    if "distance" in result:
        for name, layers in _pages(layer_names(result), "distances"):
            yield Picture(name, RESOLUTION, partial(plot_distances, result, layers))
    if {"layer_mean", "layer_sd"} <= set(result):
        for number, name in enumerate(map_names(result), start=1):
            about = result[name].attrs
            yield Picture(
                f"maps_{number}", RESOLUTION, partial(plot_maps, result, about["layer"], about["filter"])
            )


def _of_statistics(result: xr.Dataset) -> Iterator[Picture]:
    """Yield what there is beside the median, where images are enough, and sets not too many for lines."""
    if "distance" not in result or result.sizes["set"] > MOST_DRAWN:
        return
    found = look(result)
    if bool(found["dimensionality"].where(found["n_images"] >= LEAST_IMAGES).notnull().any()):
        yield Picture("dimensionality", CURVES_RESOLUTION, partial(plot_dimensionality, found))
    if drawn_pairs(found):
        yield Picture("between", CURVES_RESOLUTION, partial(draw_pairs, found))


def _pages(layers: list[str], name: str) -> list[tuple[str, list[str]]]:
    """Return the layers of each page, about as many on each, and the page's name."""
    if not layers:
        return []
    count = -(-len(layers) // LAYERS_ON_A_PAGE)
    pages = [part.tolist() for part in np.array_split(layers, count)]
    return [(name if count == 1 else f"{name}_{number}", page) for number, page in enumerate(pages, start=1)]


def save_picture(picture: Picture, options: FigureOptions, folder: Path) -> list[Path]:
    """Draw a picture and write it in each format; the same picture gives the same files."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    width = None if options.width is None else options.width / MM_PER_INCH
    paths = [folder / f"{picture.name}.{suffix}" for suffix in options.formats]
    with in_turn(), mpl.rc_context(SETTINGS):
        figure = Figure(dpi=options.dpi or picture.dpi)
        if width is not None:
            figure.set_figwidth(width)
        picture.draw(figure)
        cut = _laid_out(figure, width)
        for suffix, path in zip(options.formats, paths, strict=True):
            with written_whole(path) as beside:
                figure.savefig(
                    beside, format=suffix, dpi="figure", metadata=METADATA[suffix], bbox_inches=cut
                )
    return paths


def _laid_out(figure: Figure, width: float | None) -> Bbox | None:
    """Solve a figure's layout, once for all formats; return what of it is saved, in inches, None for all."""
    from matplotlib.transforms import Bbox

    engine = figure.get_layout_engine()
    if engine is None:  # all stands at fixed places
        return None
    if width is not None:
        figure.set_figwidth(width)
    engine.execute(figure)
    figure.set_layout_engine(None)
    drawn = figure.get_tightbbox()  # legends stick out
    if width is None:
        return drawn.padded(MARGIN)
    wide = Bbox([[min(0.0, drawn.x0), drawn.y0], [max(width, drawn.x1), drawn.y1]])
    return wide.padded(0.0, MARGIN)
