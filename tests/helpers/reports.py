"""Results whose pages the browser tests read, and what has to stand there, by plain loops over them."""

from __future__ import annotations

import base64
import functools
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
import xarray as xr
from helpers.results import vgg16_result
from helpers.shared import made_once, once

import differentia as dif
from differentia.results.contrasts import contrasts_between_sets
from differentia.results.schema import LIMITS
from differentia.stimuli.digits import load_digits

LAYERS = ("input", "block1_relu1", "block4_pool", "predictions")
MAPS = {"block1_relu1": [3, 5], "block4_pool": [7]}
COUNTS = (20, 100, 400)
DIM = np.random.default_rng(0).integers(0, 90, (4, 32, 32, 1)).astype(np.uint8)
SETS: dict[str, Any] = {"noise": "noise:6", "digits": "digits:5", "dim digits": DIM}


@once
def measured() -> xr.Dataset:
    """Return a result of the embedded network with all its views, a missing draw, and a warning."""
    result = dif.measure("digits", SETS, n_units=COUNTS, layers=LAYERS, draws=4, pool=600, maps=MAPS)
    values = result["differentiation"].copy(deep=True)
    values.loc[{"set": "digits", "layer": "block4_pool", "n_units": 20, "draw": 2}] = np.nan
    result["differentiation"] = values
    # A point that has not converged, which 4 draws hardly ever show.
    for name in ("differentiation", *LIMITS):
        changed = result[name].copy(deep=True)
        changed.loc[{"set": "dim digits", "layer": "input", "n_units": 20}] *= 0.5
        result[name] = changed
    return with_facts(
        result, warnings=["first: 1 < 2 & 3", "second"], command="differentia measure a --out b"
    )


@once
def compared() -> xr.Dataset:
    """Return a result with images enough for intervals and contrasts, two of its sets being of one kind."""
    return dif.measure("digits", alike(), n_units=(20, 100), layers=LAYERS, draws=4, pool=400)


def without_doubts(result: xr.Dataset) -> xr.Dataset:
    """Return a result of which every value is to be trusted."""
    return result.assign(doubt=xr.full_like(result["doubt"], ""))


@functools.cache
def doubtful() -> xr.Dataset:
    """Return `compared` with values that are not to be trusted, one of them of the reference."""
    result = compared()
    doubt = result["doubt"].copy(data=np.full(result["doubt"].shape, "", dtype="U32"))
    doubt.loc[{"set": "digits", "layer": "block4_pool"}] = "strong images"
    doubt.loc[{"set": "threes", "layer": "input", "n_units": 100}] = "gap"
    doubt.loc[{"set": "noise", "layer": "predictions", "n_units": 100}] = "long tail"
    return dif.with_intervals(result.assign(doubt=doubt))


@once
def compared_kinds() -> dict[str, xr.Dataset]:
    """Return results of two kinds of units of the same images."""
    return dif.measure_kinds(
        "digits", alike(), kinds=("random", "top"), n_units=(20, 50), layers=LAYERS, draws=3, views=False
    )


def alike() -> dict[str, Any]:
    """Return noise, digits of one kind, and twice digits of all kinds."""
    images, _ = load_digits()
    every = {"digits": images[:12, ..., np.newaxis], "more digits": images[12:24, ..., np.newaxis]}
    return {"noise": "noise:12", "threes": "digits:12?digit=3", **every}


@once
def kinds() -> dict[str, xr.Dataset]:
    """Return results of three kinds of units."""
    chosen = ("random", "top", "filter_mean")
    return dif.measure_kinds(
        "digits", SETS, kinds=chosen, n_units=(20, 100), layers=LAYERS, draws=3, views=False
    )


@functools.cache
def published() -> xr.Dataset:
    """Return made-up numbers under the names of the published network."""
    return vgg16_result().assign_attrs(reference="white_noise")


@once
def pairs() -> list[xr.Dataset]:
    """Return the contrasts of `compared`, of every two sets beside the noise."""
    return contrasts_between_sets(compared())


def page_of(make: Callable[[], Any]) -> Path:
    """Return the report of a result that a function makes, as `write_report` makes it unasked."""

    def write(folder: Path) -> None:
        dif.write_report(make(), folder / "report.html")

    return made_once(f"report of {make.__module__}.{make.__qualname__}", write) / "report.html"


def without_views(result: xr.Dataset) -> xr.Dataset:
    """Return a result without what there is to see of its images, whose page is drawn in less time."""
    views = [
        "distance",
        "thumbnail",
        "prediction",
        "class_name",
        "filter_mean",
        "filter_layer",
        "filter_index",
    ]
    return result.drop_vars(views)


def with_facts(result: xr.Dataset, **facts: Any) -> xr.Dataset:
    """Return a result with other facts in its provenance."""
    provenance = {**json.loads(result.attrs["provenance"]), **facts}
    return result.assign_attrs(provenance=json.dumps(provenance))


# ------------------------------------------------------------------------------------------- over draws


def names(result: xr.Dataset, dimension: str) -> list[str]:
    """Return the labels of a dimension."""
    return [str(name) for name in result[dimension].values]


def over_draws(result: xr.Dataset, *, relative: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over draws and its spread (set, layer, n_units), by a loop over all draws."""
    values = result["differentiation"].transpose("set", "layer", "n_units", "draw").values.astype(float)
    used = result["units_used"].transpose("layer", "n_units").values
    pools, sizes = result["pool_size"].values, result["layer_size"].values
    random = str(result["units"].item()) in {"random", "per_filter"}
    if relative:
        means, _ = over_draws(result)
        noise = means[names(result, "set").index(result.attrs["reference"]), :, -1]
        values = values / noise[None, :, None, None]
    mean, spread = np.full(values.shape[:3], np.nan), np.full(values.shape[:3], np.nan)
    for at in np.ndindex(mean.shape):
        _, layer, count = at
        k, pool, size = float(used[layer, count]), float(pools[layer]), float(sizes[layer])
        draws = values[at] if random and k < pool else values[at][:1]
        mean[at] = sum(draws) / len(draws)
        if len(draws) > 1:
            squares = [(draw - mean[at]) ** 2 for draw in draws]
            variance = sum(squares) / (len(draws) - 1)
            spread[at] = np.sqrt(variance * (1 - k / size) / (1 - k / pool))
        elif k == size and np.isfinite(mean[at]):
            spread[at] = 0.0
    return mean, spread


def limits_of(result: xr.Dataset, *, relative: bool = False) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the limits of the values (set, layer, n_units), by their source; none without intervals."""
    if "differentiation_low" not in result:
        return {}
    raw = result["differentiation_low"], result["differentiation_high"]
    both = dif.relative_interval(result) if relative else raw
    order, sources = ("set", "layer", "n_units"), ("images", "units", "both")
    low, high = ([limit.sel(source=of).transpose(*order).values for of in sources] for limit in both)
    return {name: (low[at], high[at]) for at, name in enumerate(sources)}


def doubts_of(result: xr.Dataset, *, relative: bool = False) -> np.ndarray:
    """Return where limits over images are not to be trusted (set, layer, n_units), point by point."""
    if "doubt" not in result:
        return np.zeros([result.sizes[name] for name in ("set", "layer", "n_units")], dtype=bool)
    doubts = result["doubt"].transpose("set", "layer", "n_units").values
    found = np.zeros(doubts.shape, dtype=bool)
    reference = names(result, "set").index(result.attrs["reference"]) if relative else None
    for at in np.ndindex(found.shape):
        inherits = reference is not None and at[0] != reference
        found[at] = doubts[at] != "" or (inherits and doubts[reference, at[1], -1] != "")
    return found


def flagged(result: xr.Dataset) -> np.ndarray:
    """Return where more units give another value (set, layer, n_units), point by point.

    The numbers of units ascend.
    """
    values = result["differentiation"].transpose("set", "layer", "n_units", "draw").values.astype(float)
    used = result["units_used"].transpose("layer", "n_units").values
    pools, sizes = result["pool_size"].values, result["layer_size"].values
    mean, _ = over_draws(result)
    flags = np.zeros(mean.shape, dtype=bool)
    for at in np.ndindex(mean.shape):
        place, layer, count = at
        larger = [n for n in range(count + 1, mean.shape[2]) if used[layer, n] > used[layer, count]]
        for n in larger:
            there = np.full(values.shape[3], mean[place, layer, n])
            if used[layer, n] < pools[layer]:
                there = values[place, layer, n]
            changes = there - values[at]
            if np.isnan([*changes, mean[at], mean[place, layer, n]]).any() or len(changes) < 2:
                continue
            t = scipy.stats.t.isf(0.025 / len(larger), len(changes) - 1)
            chance = t * changes.std(ddof=1) / np.sqrt(len(changes))
            flags[at] |= abs(changes.mean()) > max(chance, 0.05 * mean[place, layer, n])
    apart = np.abs(log_ratio_of_sd(result))
    off = (apart > np.log(1.25)) | (~np.isnan(apart) & (np.sqrt(np.nanmean(apart**2, axis=0)) > np.log(1.25)))
    return flags | (off[..., np.newaxis] & (used < sizes[:, np.newaxis]) & np.isfinite(mean))


def log_ratio_of_sd(result: xr.Dataset) -> np.ndarray:
    """Return the SD of the units at hand against that of their layer, (set, layer); 0 where not known."""
    logs = np.zeros((result.sizes["set"], result.sizes["layer"]))
    known = str(result["units"].item()) in {"random", "per_filter"} and {"layer_sd", "distance"} <= set(
        result
    )
    for place, layer in np.ndindex(logs.shape) if known else ():
        own = sigma(result, layer, rows_of(result, names(result, "set")[place]))
        logs[place, layer] = np.log(own / float(result["layer_sd"].transpose("set", "layer")[place, layer]))
    return logs


def written(value: float | None, width: float = 0.0) -> str:
    """Return a number as the page writes it: with two digits of how uncertain it is, if that is known."""
    if value is None or np.isnan(value):
        return "no value"
    size = abs(value)
    if size >= 1e5 or (0 < size < 1e-4 and warranted(width) > 4):
        digits, power = f"{value:.2e}".split("e")
        return f"{digits}e{int(power):+d}"
    return fixed(value, min(decimals(value), warranted(width)))


def warranted(width: float) -> int:
    """Return the decimals that two digits of a width have."""
    return max(0, 1 - int(np.floor(np.log10(width)))) if width > 0 else 99


def decimals(value: float) -> int:
    """Return the decimals of a number whose uncertainty is not known."""
    size = abs(value)
    if 0 < size < 0.01:
        return 2 - int(np.floor(np.log10(size)))
    return 1 if size >= 1000 else 3


def fixed(value: float, places: int) -> str:
    """Return a number with so many decimals, and 0 without a sign."""
    text = f"{value:.{places}f}"
    return text.replace("-", "") if float(text) == 0 else text


def interval(low: float, high: float, digits: int = 2) -> str:
    """Return limits as the page writes them, both by the digits of their width; nothing if not known."""
    if np.isnan(low) or np.isnan(high):
        return ""
    width = (high - low) / 10 ** (digits - 2)
    larger = max(abs(low), abs(high))
    if larger >= 1e5 or (larger < 1e-4 and warranted(width) > 4):
        return f"{written(low, width)} to {written(high, width)}"
    places = min(warranted(width), max(decimals(low), decimals(high)))
    return f"{fixed(low, places)} to {fixed(high, places)}"


def uncertainty(spread: float, *intervals: tuple[float, float]) -> float:
    """Return the least that is said of how uncertain a value is; 0 where nothing is."""
    known = [width for width in (spread, *(high - low for low, high in intervals)) if width > 0]
    return min(known, default=0.0)


def with_spread(mean: float, spread: float, *intervals: tuple[float, float]) -> str:
    """Return a value and its spread as the page writes them."""
    width = uncertainty(spread, *intervals)
    text = written(mean, width)
    return text if np.isnan(spread) or spread == 0 else f"{text} ± {written(spread, width)}"


# -------------------------------------------------------------------------------------------- distances


def rows_of(result: xr.Dataset, name: str) -> list[int]:
    """Return the rows of a set's images."""
    return [row for row, of in enumerate(result["image_set"].values) if of == name]


def sigma(result: xr.Dataset, layer: int, rows: list[int]) -> float:
    """Return the SD of the responses to some images, from what the result says of each image."""
    used = float(result["units_used"].values[layer, -1])
    sums = [float(result["image_sum"].values[row, layer]) for row in rows]
    squares = [float(result["image_sumsq"].values[row, layer]) for row in rows]
    mean = sum(sums) / (used * len(rows))
    return float(np.sqrt(sum(squares) / (used * len(rows)) - mean**2))


def pair_distances(result: xr.Dataset, layer: int, name: str) -> dict[tuple[int, int], float]:
    """Return the distance of each pair of a set's images, over sqrt(K) and the SD of the set's responses."""
    rows = rows_of(result, name)
    used = float(result["units_used"].values[layer, -1])
    unit = np.sqrt(used) * sigma(result, layer, rows)
    distance = result["distance"].values[layer].astype(float)
    return {(i, j): distance[i, j] / unit for place, i in enumerate(rows) for j in rows[place + 1 :]}


def filter_values(result: xr.Dataset, layer: int, row: int) -> np.ndarray:
    """Return the z-scored means of a layer's filters for one image."""
    name = names(result, "layer")[layer]
    of_set = names(result, "set").index(str(result["image_set"].values[row]))
    mean, sd = result["layer_mean"].values[of_set, layer], result["layer_sd"].values[of_set, layer]
    columns = [place for place, of in enumerate(result["filter_layer"].values) if of == name]
    return np.array([(float(result["filter_mean"].values[row, at]) - mean) / sd for at in columns])


def data_of(page: str) -> dict[str, Any]:
    """Return the data that a page's scripts draw."""
    packed = page.partition('id="data">')[2].partition("</script>")[0]
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed)))
    return found


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    """Return what the page reads: two bytes a number, the lower first."""
    data = base64.b64decode(packed["data"])
    codes = [low + 256 * high for low, high in zip(data[::2], data[1::2], strict=True)]
    values = [np.nan if code == 65_535 else packed["low"] + packed["step"] * code for code in codes]
    return np.array(values, dtype=float).reshape(packed["shape"])
