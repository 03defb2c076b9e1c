"""How many images and units are enough: what intervals would shrink to with more of them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from differentia.errors import InputError
from differentia.results.confidence import Confidence, Sample, limits
from differentia.results.dataset import kind_of, require_variables, set_rows
from differentia.results.intervals import MOST_IMAGES, Samples, has_samples, largest_values, side_by_side
from differentia.results.schema import LIMITS, checked
from differentia.results.summaries import percent

if TYPE_CHECKING:
    import xarray as xr


#: So many times as many images as there are tell nothing that those at hand know.
_FURTHEST = 20

#: Half an interval that is a larger share of the value tells nothing of what more images would give.
_WIDEST = 0.5

#: Half an interval that is a smaller share of the value is none.
_NARROWEST = 1e-6

# Why it is unknown how many images would halve an interval.
NO_INTERVAL, NO_WIDTH, NO_DISTANCES = "no interval", "no width", "no distances"
WIDE, STRENGTH, FAR, MANY = "wide", "strength", "far", "many"

#: What is said of each after how closely a value is known.
_UNKNOWN = {
    NO_WIDTH: ".",
    NO_DISTANCES: "; how many would halve that can't be told without the distances of this measure.",
    WIDE: ", too little to tell how many would be enough: show more.",
    STRENGTH: ", which rests on the strongest of them; how many would halve that can't be told, as stronger "
    "ones may follow: show more.",
    FAR: f"; as far as they tell, not even {_FURTHEST} times as many would halve that.",
    MANY: f"; more than {MOST_IMAGES:,} would halve that, for which there are no intervals.",
}


@checked
def precision(result: xr.Dataset) -> xr.Dataset:
    """Return how closely values are known, and how many images and units would halve that.

    For images, the interval that N images would give is computed from the distances at hand as theirs was. Of
    the variance of a share of pairs, what images make (``4 z / N``) falls with the number of images, and what
    pairs have of their own (``4 (H (1 - H) - 2 z) / (N (N - 2))``) with that of pairs (Hoeffding 1948); that
    of the SD falls with the number of images, but for the yet stronger images that are to come among more.
    Half an interval of units is proportional to ``sqrt(1/K - 1/L)`` for K of the L units of a layer.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned, with intervals.

    Returns
    -------
    xarray.Dataset
        ``images`` (set): how many there are. ``half_width`` (set, layer, n_units, source): of the intervals,
        in the unit of the values. ``images_to_halve`` (set, layer), at the largest number of units, and
        ``units_to_halve`` (set, layer, n_units): how many would halve it, at most all that a layer has; NaN
        where that is unknown. ``unknown`` (set, layer) says why images_to_halve is: "no interval" (also where
        `doubts` has a reason), "no width", "no distances" (of other metrics, or not kept), "wide" (half the
        interval is more than half of the value, or it reaches the largest possible one), "strength" (the SD
        rests on the strongest images, and stronger ones may follow), "far" (more than 20 times as many), or
        "many" (more than there are intervals for); "" where it is known.

    Raises
    ------
    InputError
        It is not a result, or has no intervals.

    Notes
    -----
    docs/coverage.md has how wide the intervals are that so many new images give.
    """
    import xarray as xr

    require_variables(result, *LIMITS)
    half = (result["differentiation_high"] - result["differentiation_low"]) / 2
    used, size = result["units_used"], result["layer_size"]
    more = 1 / ((1 / used - 1 / size) / 4 + 1 / size)
    of_units = half.sel(source="units", drop=True)
    counts = xr.DataArray([len(set_rows(result, name)) for name in result["set"].values], dims="set")
    to_halve, unknown = _images_to_halve(result)
    found = {
        "images": counts,
        "half_width": half,
        "images_to_halve": (("set", "layer"), to_halve),
        "unknown": (("set", "layer"), unknown),
        "units_to_halve": np.ceil(more.where(of_units > 0)),
    }
    return xr.Dataset(found, coords=half.coords).drop_attrs()


def _images_to_halve(result: xr.Dataset) -> tuple[Float[np.ndarray, "set layer"], np.ndarray]:
    """Return how many images would halve each interval at the largest number of units, and why not."""
    here = {"n_units": result["n_units"].max(), "source": "images"}
    low, high = (result[name].sel(here).transpose("set", "layer").values for name in LIMITS)
    level = result[LIMITS[0]].attrs["confidence"]
    names = [str(name) for name in result["set"].values]
    largest = np.broadcast_to(largest_values(result).values[:, np.newaxis], low.shape)
    samples = Samples(result) if has_samples(result) else None

    def find(place: tuple[int, int]) -> tuple[float, str]:
        if not np.isfinite(high[place] - low[place]):
            return np.nan, NO_INTERVAL
        if high[place] >= largest[place]:
            return np.nan, WIDE
        sample = None if samples is None else samples.of_set(names[place[0]], place[1])
        return (np.nan, NO_DISTANCES) if sample is None else images_to_halve(sample, level)

    found = side_by_side(find, product(range(len(names)), range(result.sizes["layer"])))
    to_halve, unknown = (np.array(each).reshape(low.shape) for each in zip(*found, strict=True))
    return to_halve, unknown


def images_to_halve(sample: Sample, confidence: float) -> tuple[float, str]:
    """Return how many images would halve the interval of a set; NaN, and why, where that is unknown."""
    now = half_width(sample.confidence(), confidence)
    if not np.isfinite(now):
        return np.nan, NO_INTERVAL
    if now < _NARROWEST:
        return np.nan, NO_WIDTH
    if now > _WIDEST:
        return np.nan, WIDE
    if not sample.foreseen:
        return np.nan, STRENGTH
    few, enough = sample.n_images, min(_FURTHEST * sample.n_images, MOST_IMAGES)
    if half_width(sample.expected(enough), confidence) > now / 2:
        return np.nan, FAR if enough < MOST_IMAGES else MANY
    while enough - few > 1:
        between = round(np.sqrt(few * enough))
        between = min(max(between, few + 1), enough - 1)
        if half_width(sample.expected(between), confidence) > now / 2:
            few = between
        else:
            enough = between
    return float(enough), ""


def half_width(known: Confidence | None, confidence: float) -> float:
    """Return half the width of an interval, as a share of the value; NaN where it can't be trusted."""
    if known is None or known.doubt:
        return np.nan
    low, high = np.exp(limits(known.log_limit, known.freedom, confidence))
    return float(high - low) / 2


@checked
def say_precision(result: xr.Dataset) -> list[str]:
    """Return in words how closely each set is known in its least certain layer, and what would halve that.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    list of str
        A sentence for each set that has an interval at the largest number of units: of images, or of units
        where that is wider. Layers whose interval can't be trusted (`say_doubts`) are left out. None where a
        result has no intervals.
    """
    try:
        found = precision(result)
    except InputError:
        return []
    level = percent(result[LIMITS[0]].attrs["confidence"])
    sentences = []
    for name in result["set"].values.tolist():
        of_set = found.sel(set=name, n_units=result["n_units"].max())
        widths = {
            source: np.nan_to_num(of_set["half_width"].sel(source=source).values)
            for source in ("images", "units")
        }
        # Each set's widest interval: more of what makes it help most.
        source = max(widths, key=lambda source: widths[source].max())
        layer = int(widths[source].argmax())
        if not widths[source][layer] > 0:
            continue
        layers = result["layer"].values.tolist()
        where = f"{name} in {layers[layer]}" + (", the least certain layer," if len(layers) > 1 else "")
        known = f"\u00b1{widths[source][layer]:.2g} ({level})"
        of_layer = of_set.isel(layer=layer)
        if source == "units":
            noun, used = kind_of(result).noun, result["units_used"].sel(n_units=of_set["n_units"])
            sentences.append(
                f"With {used.values[layer]:,} {noun}, a draw of {where} lies within {known}; "
                f"{of_layer['units_to_halve'].item():,.0f} {noun} would halve that."
            )
            continue
        more, unknown = of_layer["images_to_halve"].item(), of_layer["unknown"].item()
        ending = _UNKNOWN[unknown] if unknown else f"; about {_rounded(more):,} images would halve that."
        sentences.append(f"With {of_layer['images'].item():,} images, {where} is known to {known}{ending}")
    return sentences


def _rounded(count: float) -> int:
    """Return a number rounded to two digits, as closely as it is known."""
    return int(float(f"{count:.2g}"))
