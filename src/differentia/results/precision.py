"""How many images and units are enough: what intervals would shrink to with more of them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from differentia.results.confidence import Confidence, Sample, TrialSample, limits
from differentia.results.dataset import kind_of, require_variables, set_rows
from differentia.results.draws import draw_mean
from differentia.results.intervals import (
    MOST_IMAGES,
    counts_in_words,
    counts_told,
    largest_values,
    samples_of,
    side_by_side,
)
from differentia.results.schema import LIMITS, checked
from differentia.results.subject import SETS, subject_of, unit_noun
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

#: What is said of {items} after how closely a value is known, where there is something to say.
_UNKNOWN = {
    WIDE: ", too little to tell how many would be enough: show more.",
    STRENGTH: "; how many {items} would halve that can't be told, as the few with the strongest responses "
    "count most, and others may have stronger ones: show more.",
    FAR: f"; as far as they tell, not even {_FURTHEST} times as many would halve that.",
    MANY: f"; more than {MOST_IMAGES:,} would halve that, for which there are no intervals.",
}

#: So few units tell so little of a response that more of them are to be looked at before more images.
_FEW_UNITS = 50

#: A pool of so many times the units that are looked at gives draws that hardly overlap.
_POOL = 10

#: So many draws are made by default, and tell their spread.
_DRAWS = 20


@checked
def precision(result: xr.Dataset) -> xr.Dataset:
    """Return how closely values are known, and how many images and units would halve that.

    For images, the interval that N images would give is computed from the distances at hand as theirs was. Of
    the variance of a share of pairs, what images make (``4 z / N``) falls with the number of images, and what
    pairs have of their own (``4 (H (1 - H) - 2 z) / (N (N - 2))``) with that of pairs (Hoeffding 1948); that
    of the SD falls with the number of images, but for the yet stronger images that are to come among more.
    The error of a mean over trials (`measure_states`) falls with the root of their number, and the degrees of
    freedom grow with it. Half an interval of units is proportional to ``sqrt(1/K - 1/L)`` for K of the L
    units of a layer.

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
    more = _units_to_halve(used, size)
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
    samples, most = samples_of(result), counts_told(result)[1]

    def find(place: tuple[int, int]) -> tuple[float, str]:
        if not np.isfinite(high[place] - low[place]):
            return np.nan, NO_INTERVAL
        if high[place] >= largest[place]:
            return np.nan, WIDE
        sample = None if samples is None else samples.of_set(names[place[0]], place[1])
        return (np.nan, NO_DISTANCES) if sample is None else images_to_halve(sample, level, most)

    found = side_by_side(find, product(range(len(names)), range(result.sizes["layer"])))
    to_halve, unknown = (np.array(each).reshape(low.shape) for each in zip(*found, strict=True))
    return to_halve, unknown


def images_to_halve(
    sample: Sample | TrialSample, confidence: float, most: float = MOST_IMAGES
) -> tuple[float, str]:
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
    few, enough = sample.n_images, int(min(_FURTHEST * sample.n_images, most))
    if half_width(sample.expected(enough), confidence) > now / 2:
        return np.nan, FAR if enough < most else MANY
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
    """Return in words how closely values are known at the largest number of units, and what would help.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    list of str
        At most five sentences: how closely values are known for other images, in the median and where they
        are known least, and how many images would halve that; where an interval is so wide that it says
        little; how far other draws of units lie, where that matters as much, or that there is but one draw;
        and which sets have too few or too many images for intervals. Values whose interval can't be trusted
        (`say_doubts`) are left out. None where a result has no intervals.
    """
    if not {*LIMITS} <= {*result}:
        return []
    at = _AtMostUnits(result)
    return [*at.say_images(), *at.say_width(), *at.say_units(), *at.say_one_draw(), *say_missing(result)]


def say_missing(result: xr.Dataset) -> list[str]:
    """Return in words which sets have no intervals of images, since they have too few or too many."""
    subject = subject_of(result)
    counts = {name: len(set_rows(result, name)) for name in result["set"].values.tolist()}
    least, most = counts_told(result)
    missing = [
        f"{name} ({subject.item.count(count)})"
        for name, count in counts.items()
        if not least <= count <= most
    ]
    needed = f"{counts_in_words(result)} {subject.item.many}"
    return [f"No interval for {SETS.listed(missing)}: there are intervals for {needed}."] if missing else []


class _AtMostUnits:
    """What is known of the values of a result at its largest number of units."""

    def __init__(self, result: xr.Dataset) -> None:
        self._result = result
        self._subject, self._units = subject_of(result), unit_noun(result)
        self._sets, self._layers = ([str(name) for name in result[of].values] for of in ("set", "layer"))
        self._level = percent(result[LIMITS[0]].attrs["confidence"])
        here = result[["units_used", "pool_size", "layer_size"]].sel(n_units=result["n_units"].max())
        self._used, self._pool, self._size = (
            here[name].broadcast_like(result["layer"]).values.astype(np.int64)
            for name in ("units_used", "pool_size", "layer_size")
        )
        self._low, self._high = self._limits("images")
        half, values = (
            (self._high - self._low) / 2,
            self._of_cells(draw_mean(result["differentiation"], result)),
        )
        self._most = np.broadcast_to(largest_values(result).values[:, np.newaxis], half.shape)
        wide = (half > _WIDEST * values) | (self._high >= self._most)
        self._known = np.where((half > 0) & ~wide, half, np.nan)
        self._vague = np.where(wide, half, np.nan)
        low, high = self._limits("units")
        self._of_draws = np.where(high > low, (high - low) / 2, np.nan)

    def _of_cells(self, values: xr.DataArray) -> Float[np.ndarray, "set layer"]:
        return values.sel(n_units=self._result["n_units"].max()).transpose("set", "layer").values

    def _limits(self, source: str) -> list[Float[np.ndarray, "set layer"]]:
        return [self._of_cells(self._result[name].sel(source=source)) for name in LIMITS]

    def say_images(self) -> list[str]:
        """Say how closely values are known for other images, and how many would halve that."""
        if np.isnan(self._known).all():
            return []
        place = _largest(self._known)
        number, unknown = self._images_to_halve(place)
        of_set = f" of {self._sets[place[0]]}" if len(self._sets) > 1 else ""
        items = self._subject.item.many
        if self._looks_at_few(place[1]):
            ending = f"; {self._more_units(place[1])}"
        elif unknown:
            ending = _UNKNOWN.get(unknown, ".").format(items=items)
        else:
            ending = f"; about {_rounded(number):,} {items}{of_set} would halve that."
        known = f"{self._name(place)} is" if np.isfinite(self._known).sum() == 1 else "values are"
        return [f"With {self._images()}, {known} known to {self._reach(self._known)}{ending}"]

    def say_width(self) -> list[str]:
        """Say where intervals are wide, unless they are of values that hardly count beside the others."""
        hardly = np.nanmedian(self._known) if np.isfinite(self._known).any() else 0.0
        vague = np.where(self._vague >= hardly, self._vague, np.nan)
        if np.isnan(vague).all():
            return []
        at_set, layer = place = _largest(vague)
        others = int(np.isfinite(vague).sum()) - 1
        low, high = self._low[place], self._high[place]
        decimals = max(0, 1 - int(np.floor(np.log10(high - low))))
        most = ", the largest value there can be" if high >= self._most[place] else ""
        so_do = (
            f" (so {'do' if others > 1 else 'does'} {others:,} other{'s' * (others > 1)})" if others else ""
        )
        count = self._subject.item.count(len(set_rows(self._result, self._sets[at_set])))
        cure = self._more_units(layer) if self._looks_at_few(layer) else f"{count} of its kind are too few."
        return [
            f"The interval of {self._name(place)} says little, from {low:.{decimals}f} to {high:.{decimals}f}"
            f"{most}{so_do}: {cure}"
        ]

    def say_units(self) -> list[str]:
        """Say how far another draw of units may lie, where that is no small part of what is not known."""
        least = np.nanmax(self._known) / 2 if np.isfinite(self._known).any() else 0.0
        if np.isnan(self._of_draws).all() or np.nanmax(self._of_draws) < least:
            return []
        place = _largest(self._of_draws)
        used, size = int(self._used[place[1]]), int(self._size[place[1]])
        draw = f"Another draw of {self._units.count(used)}"
        if np.isfinite(self._of_draws).sum() == 1:
            draw += f", of {self._name(place)},"
        more = f"{np.ceil(_units_to_halve(used, size)):,.0f} {self._units.many} would halve that."
        return [f"{draw} lies within {self._reach(self._of_draws)}; {more}"]

    def say_one_draw(self) -> list[str]:
        """Say that nothing is known of other draws of units, where there is but one, and what gives more."""
        single = self._result.sizes["draw"] == 1
        if not kind_of(self._result).random or (self._result.sizes["n_units"] > 1 and not single):
            return []
        missing: list[tuple[str, str, str, int]] = []
        if single and (self._used < self._size).any():
            missing.append(("there is one draw", "more draws", "draws", _DRAWS))
        if (whole := (self._used == self._pool) & (self._pool < self._size)).any():
            pool = int(min(_POOL * self._used[whole].max(), self._size[whole].max()))
            missing.append(("no more were kept than are looked at", "a larger pool", "pool", pool))
        if not missing:
            return []
        reasons, cures, names, numbers = zip(*missing, strict=True)
        options = [f"{name}={number}" for name, number in zip(names, numbers, strict=True)]
        typed = " ".join(f"--{option}" for option in options).replace("=", " ")
        return [
            f"How much depends on which {self._units.many} were drawn is not known, as "
            f"{' and '.join(reasons)}: {' and '.join(cures)} would tell ({typed}; in Python, "
            f"{', '.join(options)})."
        ]

    def _reach(self, half: Float[np.ndarray, "set layer"]) -> str:
        """Return half an interval: in the median over sets and layers, and where it is widest."""
        if np.isfinite(half).sum() == 1:
            return f"{_written(np.nanmax(half))} ({self._level})"
        median, most = _written(np.nanmedian(half)), _written(np.nanmax(half))
        return f"{median} in the median and {most} for {self._name(_largest(half))} ({self._level})"

    def _looks_at_few(self, layer: int) -> bool:
        return bool(self._used[layer] < min(_FEW_UNITS, self._size[layer]))

    def _more_units(self, layer: int) -> str:
        of_layer = f"{self._units.count(int(self._used[layer]))} of {self._layers[layer]}"
        return f"look at more than {of_layer} before you show more {self._subject.item.many}."

    def _name(self, place: tuple[int, int]) -> str:
        return f"{self._sets[place[0]]} in {self._layers[place[1]]}"

    def _images(self) -> str:
        """Return how many images there are of a set."""
        counts = sorted({len(set_rows(self._result, name)) for name in self._sets})
        least = f"{counts[0]:,} to " if len(counts) > 1 else ""
        of_each = " of each set" if len(self._sets) > 1 else ""
        return least + self._subject.item.count(counts[-1]) + of_each

    def _images_to_halve(self, place: tuple[int, int]) -> tuple[float, str]:
        """Return how many images would halve the interval of one value, and why that is unknown."""
        samples, most = samples_of(self._result), counts_told(self._result)[1]
        sample = None if samples is None else samples.of_set(self._sets[place[0]], place[1])
        level = self._result[LIMITS[0]].attrs["confidence"]
        return (np.nan, NO_DISTANCES) if sample is None else images_to_halve(sample, level, most)


def _largest(values: Float[np.ndarray, "set layer"]) -> tuple[int, int]:
    at_set, layer = np.unravel_index(np.nanargmax(values), values.shape)
    return int(at_set), int(layer)


def _units_to_halve(used: Any, size: Any) -> Any:
    """Return how many of a layer's units would halve an interval of units."""
    return 1 / ((1 / used - 1 / size) / 4 + 1 / size)


def _written(half: float) -> str:
    return f"\u00b1{half:.2g}"


def _rounded(count: float) -> int:
    """Return a number rounded to two digits, as closely as it is known."""
    return int(float(f"{count:.2g}"))
