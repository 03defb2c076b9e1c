"""The numbers of the heat maps: channels and predictions, thinned where there are too many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.output.report.packing import neighbours_together, pack, spread_out
from differentia.results.summaries import layer_names, rows_by_set
from differentia.results.views import filter_scores

if TYPE_CHECKING:
    import xarray as xr

#: The entries that the channels' heat maps of all layers may have together, 4 MB on the page.
FILTER_ENTRIES = 1_500_000

#: Columns of a heat map of channels: as many as it has pixels on a small screen.
MOST_COLUMNS = 256

#: Images of a heat map.
MOST_ROWS_OF_IMAGES = 600

#: Images that no thinning leaves fewer of, while columns can be fewer instead.
FEW_IMAGES = 60

MOST_CLASSES = 100

#: Classes that are named as the most probable of a set.
BEST_CLASSES = 3


def filters(result: xr.Dataset, entries: int = FILTER_ENTRIES) -> dict[str, Any] | None:
    """Return each channel's mean response to each image, or None; thinned to fit `entries` of all layers.

    A layer whose channels are not known is None.
    """
    if not {"filter_mean", "layer_mean", "layer_sd"} <= set(result) or not result.sizes["filter"]:
        return None
    scores = filter_scores(result).values
    of_layer = result["filter_layer"].values
    columns = [np.flatnonzero(of_layer == name) for name in layer_names(result)]
    most_columns, most_images = _thinned([len(at) for at in columns], len(scores), entries)
    images = spread_out(list(rows_by_set(result).values()), most_images)
    sizes = result["layer_size"].values.tolist()
    layers: list[dict[str, Any] | None] = []
    for at, size in zip(columns, sizes, strict=True):
        if not len(at):
            layers.append(None)
            continue
        values, starts = neighbours_together(scores[np.ix_(images, at)], most_columns)
        layers.append(
            {
                "values": pack(values),
                "starts": starts.tolist(),  # the first channel of each column, which shows their mean
                "filters": len(at),
                "mapped": len(at) < size,  # else its channels are single units
            }
        )
    return {"images": images.tolist(), "layers": layers}


def _thinned(filters: list[int], images: int, entries: int) -> tuple[int, int]:
    """Return how many columns a layer has at most, and how many images are shown."""

    def width(most: int) -> int:
        return sum(min(count, most) for count in filters)

    columns = MOST_COLUMNS
    rows = min(images, MOST_ROWS_OF_IMAGES, max(min(images, FEW_IMAGES), entries // width(columns)))
    while columns > 8 and rows * width(columns) > entries:
        columns //= 2
    return columns, rows


def predictions(result: xr.Dataset) -> dict[str, Any] | None:
    """Return the probabilities, or None: those of the `MOST_CLASSES` that are highest in some image.

    And of each set, the ``best`` classes (number, name, mean), by their mean over its images.
    """
    if "prediction" not in result:
        return None
    of_sets = list(rows_by_set(result).values())
    images = spread_out(of_sets, MOST_ROWS_OF_IMAGES)
    every = result["prediction"].values
    means = np.array([every[rows].mean(axis=0, dtype=np.float64) for rows in of_sets])
    best = np.argsort(-means, axis=1, kind="stable")[:, :BEST_CLASSES]
    values = every[images].astype(np.float64)
    wanted = [*best[:, 0], *np.argsort(-values.max(axis=0), kind="stable")]
    classes = np.sort(list(dict.fromkeys(wanted))[:MOST_CLASSES])
    names = result["class_name"].values.astype(str)
    return {
        "images": images.tolist(),
        "classes": classes.tolist(),
        "names": names[classes].tolist(),
        "best": [
            [(int(at), str(names[at]), float(of_set[at])) for at in of_best]
            for of_set, of_best in zip(means, best, strict=True)
        ],
        "n_classes": values.shape[1],
        "values": pack(values[:, classes]),
    }
