"""A result as tables: one row for each value, and the most probable classes of each image."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.dataset import require_variables
from differentia.draws import convergence_known, draw_mean, draw_spread, not_converged
from differentia.folders import written_whole
from differentia.relatives import relative, relative_interval
from differentia.schema import LIMITS, SOURCES, validate_result

if TYPE_CHECKING:
    import xarray as xr

#: What `records` calls the values, and their SDs over draws.
SPREADS = {"differentiation": "sd_over_draws", "relative": "relative_sd_over_draws"}


def records(result: xr.Dataset) -> list[dict[str, Any]]:
    """Return one record for each set, layer and number of units.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    list of dict
        ``units``, ``set``, ``layer``, ``n_units``, ``units_used``, and ``differentiation`` and ``relative``,
        means over draws, each with its SD over draws (``sd_over_draws``, ``relative_sd_over_draws``) and its
        limits of units and of images (``differentiation_units_low``, ``differentiation_units_high``, and so
        on); what is not known is NaN. ``relative``, its SD and its limits are None where there is no
        reference. ``not_converged`` says where more units give another value; None where that can't be said
        (`differentia.draws.convergence_known`).

    Raises
    ------
    InputError
        It is no result.
    """
    validate_result(result)
    order = ("set", "layer", "n_units")
    numbers = {
        name: None if values is None else values.transpose(*order).values
        for name, values in _numbers(result).items()
    }
    flags = not_converged(result).transpose(*order).values
    known = convergence_known(result).transpose(*order).values
    used = result["units_used"].transpose("layer", "n_units").values
    found = []
    for place in np.ndindex(flags.shape):
        at_set, at_layer, at_count = place
        record: dict[str, Any] = {
            "units": str(result["units"].item()),
            "set": str(result["set"].values[at_set]),
            "layer": str(result["layer"].values[at_layer]),
            "n_units": int(result["n_units"].values[at_count]),
            "units_used": int(used[at_layer, at_count]),
        }
        record |= {name: None if values is None else float(values[place]) for name, values in numbers.items()}
        found.append({**record, "not_converged": bool(flags[place]) if known[place] else None})
    return found


def _numbers(result: xr.Dataset) -> dict[str, xr.DataArray | None]:
    """Return the numbers of `records` (set, layer, n_units), by their names there."""
    values = {"differentiation": result["differentiation"]}
    if result.attrs["reference"]:
        values["relative"] = relative(result)
    limits = value_limits(result)
    found: dict[str, xr.DataArray | None] = {}
    for name, spread in SPREADS.items():
        known = name in values
        found[name] = draw_mean(values[name], result) if known else None
        found[spread] = draw_spread(values[name], result) if known else None
        for source in SOURCES:
            for place, end in enumerate(("low", "high")):
                limit = limits[name][place].sel(source=source, drop=True) if known else None
                found[f"{name}_{source}_{end}"] = limit
    return found


def value_limits(result: xr.Dataset) -> dict[str, tuple[xr.DataArray, xr.DataArray]]:
    """Return between which limits values lie, by what they are called in `records`.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    dict of (low, high)
        ``differentiation``, and ``relative`` where there is a reference: each (set, layer, n_units, source),
        NaN where it is not known, as in a result without intervals.
    """
    names = [name for name in SPREADS if name == "differentiation" or result.attrs["reference"]]
    if not set(LIMITS) <= set(result):
        unknown = draw_mean(result["differentiation"], result).expand_dims(source=list(SOURCES)) * np.nan
        return dict.fromkeys(names, (unknown, unknown))
    found = {"differentiation": (result[LIMITS[0]], result[LIMITS[1]])}
    if "relative" in names:
        found["relative"] = relative_interval(result)
    return found


def top_classes(result: xr.Dataset, count: int = 5) -> xr.Dataset:
    """Return the classes that the network finds most probable in each image.

    Parameters
    ----------
    result
        What `measure` returned for a classifier, with its views.
    count
        How many classes of each image.

    Returns
    -------
    xarray.Dataset
        ``class_name``, ``class_number`` and ``probability`` (image, place), the most probable first, ties
        by number.

    Raises
    ------
    InputError
        The result holds no predictions.
    """
    import xarray as xr

    require_variables(result, "prediction")
    probabilities = result["prediction"].values
    number = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return xr.Dataset(
        {
            "class_name": (("image", "place"), result["class_name"].values[number]),
            "class_number": (("image", "place"), number),
            "probability": (("image", "place"), np.take_along_axis(probabilities, number, axis=1)),
        },
        coords={name: ("image", result[name].values) for name in ("image_set", "image_name")},
    )


def save_predictions(result: xr.Dataset, path: Path) -> None:
    """Write the five most probable classes of each image as a table, or remove it where there are none.

    Names stand in it as they are, for programs to read; a spreadsheet may take one that begins with = for a
    formula.

    Parameters
    ----------
    result
        What `measure` returned.
    path
        Of the CSV file: set, image, then class_1, probability_1, ..., one row an image.

    Raises
    ------
    InputError, StorageError
        It can't be written.
    """
    if "prediction" not in result:
        path.unlink(missing_ok=True)  # of an earlier result
        return
    best = top_classes(result)
    places = range(1, best.sizes["place"] + 1)
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(
            ["set", "image", *(f"{what}_{n}" for n in places for what in ("class", "probability"))]
        )
        for image in range(best.sizes["image"]):
            row = best.isel(image=image)
            pairs = zip(row["class_name"].values, row["probability"].values, strict=True)
            cells = [cell for name, value in pairs for cell in (name, f"{value:.6f}")]
            table.writerow([row["image_set"].item(), row["image_name"].item(), *cells])
