"""Where limits over images can't be trusted, and why: what no method can know from the images at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from differentia.results.confidence import GAP, LONG_TAIL, STRONG_IMAGES, WINDOWS, strongest
from differentia.results.dataset import set_rows, units_at_hand
from differentia.results.draws import draw_mean
from differentia.results.references import references_of
from differentia.results.schema import POINT, TRIAL_VALUES, checked
from differentia.results.subject import SETS, subject_of

if TYPE_CHECKING:
    import xarray as xr

#: What each doubt says, of {items}: images or stimuli.
DOUBT_WORDS = {
    STRONG_IMAGES: "the SD rests on few {items}, with far stronger responses than the others",
    LONG_TAIL: "the SD rests on the strongest {items}, and stronger ones may be missing",
    GAP: "the median distance lies beside a gap between two kinds of pairs, on a side that is left to chance",
    WINDOWS: "{items} of one stretch of time follow one another, and are no independent sample",
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
        tail": it rests on the strongest images, and stronger ones may be missing; "gap": the median lies
        beside a gap between distances; or, of values over time, "windows": they are of windows of one
        stretch, which are no independent sample. The limits are NaN there.
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
    items, sentences = subject_of(result).item.many, []
    for doubt, says in DOUBT_WORDS.items():
        if not (doubted := _places(found == doubt)):
            continue
        images = "" if doubt in (GAP, WINDOWS) else f" ({_say_strongest(result, doubted)})"
        sentences.append(
            f"No interval for {_say_places(result, doubted)}: {says.format(items=items)}{images}."
        )
    return sentences


#: Metrics that have no value where one response is the same in every unit, or 0.
_OF_ONE_LENGTH = ("correlation", "cosine")


def say_undefined(result: xr.Dataset) -> list[str]:
    """Return in words where the measure has no value at the largest number of units, and why."""
    values = result["differentiation"].sel(n_units=result["n_units"].max())
    unknown, never = draw_mean(values, result).isnull(), values.isnull().all("draw")
    by_response = result.attrs["normalize"] == "response" or result.attrs["metric"] in _OF_ONE_LENGTH
    why = "a response is the same in every unit" if by_response else "all responses are equal"
    if TRIAL_VALUES in result:
        same = "a state is the same in every value" if by_response else "all states are equal"
        why = f"in one of the {subject_of(result).item.many} {same}"
    cases = {why: unknown & never, f"{why} in some draws": unknown & ~never}
    said = [
        f"No value for {_say_places(result, places)}: {reason}."
        for reason, where in cases.items()
        if (places := _places(where))
    ]
    return [*said, *_say_unrelated(result)]


def _say_unrelated(result: xr.Dataset) -> list[str]:
    """Return in words where there is no relative value, since the reference has none but 0."""
    names = [name for name in dict.fromkeys(references_of(result).values()) if name]
    if not names:
        return []
    values = result["differentiation"].sel(set=names, n_units=result["n_units"].max())
    place = subject_of(result).place
    return [
        f"No relative value in {place.listed(result['layer'].values[at].tolist())}: the differentiation of "
        f"the reference, {name}, is 0 there."
        for name, at in _places(draw_mean(values, result) == 0).items()
    ]


def _places(where: xr.DataArray) -> dict[str, Int[np.ndarray, " l"]]:
    """Return by set, if it has any, the positions of the layers where something holds."""
    of_sets = zip(where["set"].values, where.transpose("set", "layer").values, strict=True)
    return {str(name): at for name, of_set in of_sets if len(at := np.flatnonzero(of_set))}


def _say_places(result: xr.Dataset, places: Mapping[str, Int[np.ndarray, " l"]]) -> str:
    """Return the sets, with the layers of each, the first few by name."""
    place = subject_of(result).place
    return SETS.listed(
        [f"{name} in {place.listed(result['layer'].values[at].tolist())}" for name, at in places.items()]
    )


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
