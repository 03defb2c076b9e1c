"""Where limits over images can't be trusted, and why: what no method can know from the images at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from differentia.results.confidence import GAP, LONG_TAIL, STRONG_IMAGES, strongest
from differentia.results.dataset import set_rows, units_at_hand
from differentia.results.schema import POINT, checked
from differentia.results.subject import SETS, subject_of

if TYPE_CHECKING:
    import xarray as xr

#: What each doubt says, of {items}: images or stimuli.
DOUBT_WORDS = {
    STRONG_IMAGES: "the SD rests on few {items}, with far stronger responses than the others",
    LONG_TAIL: "the SD rests on the strongest {items}, and stronger ones may be missing",
    GAP: "the median distance lies beside a gap between two kinds of pairs, on a side that is left to chance",
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
        A sentence for each doubt, which names the sets and layers, and the images that it rests on.
    """
    found = doubts(result).sel(n_units=result["n_units"].max())
    subject, sentences = subject_of(result), []
    layers = [str(name) for name in result["layer"].values]
    for doubt, says in DOUBT_WORDS.items():
        doubted = {
            str(name): where
            for name in result["set"].values
            if len(where := np.flatnonzero(found.sel(set=name).values == doubt))
        }
        if not doubted:
            continue
        places = [
            f"{name} in {subject.place.listed([layers[at] for at in where])}"
            for name, where in doubted.items()
        ]
        images = "" if doubt == GAP else f" ({_say_strongest(result, doubted)})"
        sentences.append(
            f"No interval for {SETS.listed(places)}: {says.format(items=subject.item.many)}{images}."
        )
    return sentences


def _say_strongest(result: xr.Dataset, doubted: Mapping[str, Int[np.ndarray, " l"]]) -> str:
    """Return which images of each set are the strongest, in the first of its layers that are doubted."""
    names = {
        name: ", ".join(_strongest_images(result, name, int(where[0]))) for name, where in doubted.items()
    }
    if len(names) > 1:
        return SETS.listed([f"the strongest of {name}: {images}" for name, images in names.items()])
    ((name, where),) = doubted.items()
    in_layer = f" in {result['layer'].values[where[0]]}" if len(where) > 1 else ""
    return f"the strongest{in_layer}: {names[name]}"


def _strongest_images(result: xr.Dataset, name: str, layer: int) -> list[str]:
    """Return the names of the images of a set that the SD rests on."""
    rows, n_units = set_rows(result, name), float(units_at_hand(result).values[layer])
    sums, squares = (result[of].values[rows, layer] / n_units for of in ("image_sum", "image_sumsq"))
    powers = np.maximum(squares - 2 * sums.mean() * sums + sums.mean() ** 2, 0.0)
    return [str(result["image_name"].values[rows[at]]) for at in strongest(powers)]
