"""Where limits over images can't be trusted, and why: what no method can know from the images at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from differentia.results.confidence import GAP, LONG_TAIL, STRONG_IMAGES, strongest
from differentia.results.dataset import set_rows, units_at_hand
from differentia.results.schema import POINT, checked

if TYPE_CHECKING:
    import xarray as xr

#: What each doubt says of the images that are named after it, if any are.
_SAYS = {
    STRONG_IMAGES: "the SD rests on few images, whose responses are far stronger than all others",
    LONG_TAIL: "the SD rests on few images: so long a tail has the strength of responses that images as "
    "strong as these, or stronger, may be missing",
    GAP: "the median distance lies beside a gap between two kinds of pairs: on which side is chance",
}


@checked
def doubts(result: xr.Dataset) -> xr.DataArray:
    """Return where the limits over images can't be trusted, and why.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    (set, layer, n_units) str
        Empty where nothing is known against them, and in results of older versions. Else "strong images": the
        SD that distances are divided by rests on few images that are far stronger than all others; "long
        tail": it rests on the strongest images, and stronger ones may be missing; or "gap": the median lies
        beside a gap between distances. The limits are NaN there.
    """
    import xarray as xr

    if "doubt" in result:
        return result["doubt"].transpose(*POINT).rename("doubt")
    shape = tuple(result.sizes[name] for name in POINT)
    return xr.DataArray(
        np.full(shape, "", dtype="U1"),
        dims=POINT,
        coords={name: result[name] for name in POINT},
        name="doubt",
    )


@checked
def say_doubts(result: xr.Dataset) -> list[str]:
    """Return in words where limits over images can't be trusted, at the largest number of units.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    list of str
        A sentence for each set and doubt, which names the layers, and the images that it rests on.
    """
    found = doubts(result).sel(n_units=result["n_units"].max())
    layers = [str(name) for name in result["layer"].values]
    sentences = []
    for name in map(str, result["set"].values):
        of_set = found.sel(set=name).values
        for doubt, says in _SAYS.items():
            where = np.flatnonzero(of_set == doubt)
            if not len(where):
                continue
            named = ""
            if doubt != GAP:
                images = _strongest_images(result, name, int(where[0]))
                in_layer = f" in {layers[where[0]]}" if len(where) > 1 else ""
                named = f" (the strongest{in_layer}: {', '.join(images)})"
            sentences.append(
                f"No interval for {name} in {_listed([layers[at] for at in where])}: {says}{named}."
            )
    return sentences


def _strongest_images(result: xr.Dataset, name: str, layer: int) -> list[str]:
    """Return the names of the images of a set that the SD rests on."""
    rows, n_units = set_rows(result, name), float(units_at_hand(result).values[layer])
    sums, squares = (result[of].values[rows, layer] / n_units for of in ("image_sum", "image_sumsq"))
    powers = np.maximum(squares - 2 * sums.mean() * sums + sums.mean() ** 2, 0.0)
    return [str(result["image_name"].values[rows[at]]) for at in strongest(powers)]


def _listed(names: list[str]) -> str:
    few = names[:3]
    return f"{', '.join(few)} and {len(names) - 3} more layers" if len(names) > 3 else ", ".join(few)
