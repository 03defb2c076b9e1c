"""Whether more units give another value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from differentia.errors import InputError, short_tracebacks
from differentia.recording.units import UNIT_KINDS
from differentia.results.dataset import as_kinds
from differentia.results.draws import draw_mean, pool_correction, spread_in_pool
from differentia.results.intervals import Samples, has_samples
from differentia.results.schema import require_lists
from differentia.results.views import sd_at_hand

if TYPE_CHECKING:
    import xarray as xr

#: A change that matters, relative to the value of more units.
TOLERANCE = 0.05

#: How often chance alone may pass for a change, in all comparisons of a point together.
LEVEL = 0.05

#: By what factor the SD of the units at hand may differ from that of the whole layer. On MobileNet with 200
#: units, class probabilities differ by 1.7 to 50 in some set, other layers by less than 1.2 in nearly all.
MOST_OFF = 1.25

#: Kinds of units whose distances are over the whole layer.
_OF_ALL = ("sketch", "all")


@short_tracebacks
def not_converged(result: xr.Dataset, sketch: xr.Dataset | None = None) -> xr.DataArray:
    """Return where more units give another value.

    A point has not converged where one of these holds:

    - At *any* larger number of units the mean over draws differs by more than 5 %, and by more than chance
      explains: Student's t of the draws' differences, at a level of 5 % for all larger numbers together
      (Bonferroni). With few draws only large changes show: from 2, hardly any.
    - The same of what all units give, from a `sketch`. Its own error and that of the pool which the draws
      share count as chance.
    - The SD of all responses of the whole layer (``layer_sd``), and that of the units at hand, differ by a
      factor of more than 1.25, in the set itself or, as the root mean square of its logarithm, over all sets:
      a few units carry the variance, and are missed or hit too often. This is known of random units at the
      largest number, and holds for all smaller ones; it needs the views, the distances, and
      ``normalize="layer"`` or ``"none"``.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    sketch
        The result of the kind "sketch", or "all", of the same experiment (`measure_kinds`); its largest
        number of sums counts. Only for units chosen at random.

    Returns
    -------
    (set, layer, n_units) bool
        False also where there is nothing to compare with, as at the largest number of units, or no value;
        there, `to_dataframe` has `pandas.NA`. An SD that agrees does not show that a point has converged.

    Raises
    ------
    InputError
        The sketch is not of all units, or not of the same experiment; or the result's units were not chosen
        at random.
    """
    require_lists(result)
    flags = _judged(result, sketch)[0].rename("not_converged").drop_attrs(deep=False)
    return flags.assign_attrs(long_name="not converged")


def convergence_known(result: xr.Dataset, sketch: xr.Dataset | None = None) -> xr.DataArray:
    """Return where `not_converged` can say anything.

    That is where a larger number of units, or all of them, could be compared with several draws; where the
    whole layer was used; and where a point is marked.
    """
    return _judged(result, sketch)[1].rename("convergence_known")


def _judged(result: xr.Dataset, sketch: xr.Dataset | None) -> tuple[xr.DataArray, xr.DataArray]:
    """Return where a point has not converged, and where it is known."""
    means, used = draw_mean(result["differentiation"], result), result["units_used"]
    whole = used == result["layer_size"]
    total = None if sketch is None else _of_all(result, sketch)
    counts = result["n_units"].values
    comparisons = 0 * used if total is None else 0 * used + 1
    for count in counts:
        comparisons = comparisons + (used.sel(n_units=count, drop=True) > used)
    level = LEVEL / 2 / comparisons.where(comparisons > 0)
    flags, known = means.copy(data=np.zeros(means.shape, dtype=bool)), whole & means.notnull()
    changes = [_change(result, means, count) for count in counts]
    if total is not None:
        changes.append(_change_to_all(result, means, *total))
    for change, error, value in changes:
        draws = result["differentiation"].notnull().sum("draw")
        # A whole pool was drawn once: what its error is comes from the draws of fewer units.
        draws = draws.where(draws > 1).fillna(result.sizes["draw"])
        chance = error * stdtrit((draws - 1).where(draws > 1), 1 - level)
        compared = change.notnull() & chance.notnull()
        flags = flags | (compared & (abs(change) > TOLERANCE * abs(value)) & (abs(change) > chance))
        known = known | compared
    if (off := _misses_variance(result)) is not None:
        flags = flags | (off & ~whole & means.notnull())
    flags, known = flags.transpose(*means.dims), (known | flags).transpose(*means.dims)
    return flags.reset_coords(drop=True), known.reset_coords(drop=True)


def all_units_of(results: Mapping[str, xr.Dataset], kind: str) -> xr.Dataset | None:
    """Return which of results that were measured together tells what all units give, to units of a kind."""
    if kind not in _AT_RANDOM:
        return None
    return results.get("all", results.get("sketch"))


def _change(
    result: xr.Dataset, means: xr.DataArray, count: int
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Return how far a number of units leads from smaller ones, its standard error, and the value there."""
    # Draw r of fewer units is part of draw r of more, and all draws are part of a whole pool: so what the
    # units have in common cancels in the differences.
    values, used = result["differentiation"], result["units_used"]
    there = values.sel(n_units=count, drop=True)
    value = means.sel(n_units=count, drop=True)
    used_there = used.sel(n_units=count, drop=True)
    change = there.where(used_there < result["pool_size"], value) - values
    change = change.where(means.notnull() & value.notnull() & (used_there > used))
    n_draws = change.notnull().sum("draw")
    error = change.std("draw", ddof=1).where(n_draws > 1) / np.sqrt(n_draws.where(n_draws > 1))
    return change.mean("draw"), error, value


def _change_to_all(
    result: xr.Dataset, means: xr.DataArray, value: xr.DataArray, error: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Return how far all units lead, its standard error, and the value there."""
    counts = np.sort(result["n_units"].values)
    values = result["differentiation"]
    in_pool, draws = spread_in_pool(values, result) ** 2, values.notnull().sum("draw")
    # The variance of a whole pool, as the draws of each number of units tell it; the whole pool itself has
    # but one draw, and takes it from the largest number below.
    of_pool = (in_pool * (pool_correction(result) - 1)).sel(n_units=counts).transpose("n_units", ...).copy()
    for here, below in zip(of_pool.values[1:], of_pool.values, strict=False):
        np.copyto(here, below, where=np.isnan(here))
    at_whole_pool = result["units_used"] == result["pool_size"]
    of_draws = (in_pool / draws.where(draws > 1)).where(~at_whole_pool, 0.0)
    change = (value - means).where(result["units_used"] < result["layer_size"])
    return change, (of_pool.sel(n_units=result["n_units"]) + of_draws + error**2) ** 0.5, value


def _of_all(result: xr.Dataset, sketch: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Return what all units give, (set, layer), with its standard error."""
    kinds = [str(one["units"].values) for one in (result, sketch)]
    if kinds[1] not in _OF_ALL:
        raise InputError(
            f"sketch= is of the kind {kinds[1]!r}; expected a result of all units: {' or '.join(_OF_ALL)}"
        )
    if kinds[0] not in _AT_RANDOM:
        raise InputError(
            f"the units of kind {kinds[0]!r} do not stand for all of a layer, and can't be compared with a "
            f"sketch; give a result of {' or '.join(_AT_RANDOM)}"
        )
    sketch = as_kinds(dict(zip(kinds, (result, sketch), strict=True)))[kinds[1]]
    values, largest = sketch["differentiation"], {"n_units": sketch["n_units"].max()}
    value = draw_mean(values, sketch).sel(largest, drop=True)
    used, draws = sketch["units_used"].sel(largest, drop=True), values.notnull().sum("draw").sel(largest)
    # A squared distance has a relative error of about sqrt(2 / sums), so a distance half of that.
    error = spread_in_pool(values, sketch).sel(largest, drop=True) / np.sqrt(draws.where(draws > 1))
    error = error.where(draws > 1, value / np.sqrt(2 * used)).where(used < sketch["layer_size"], 0.0)
    return value, error.drop_vars("n_units", errors="ignore")


#: Kinds of units that stand for the whole layer.
_AT_RANDOM = tuple(name for name, kind in UNIT_KINDS.items() if kind.random and not kind.sketched)


def _misses_variance(result: xr.Dataset) -> xr.DataArray | None:
    """Return where units at hand have another SD than their layer, (set, layer); None if it isn't known."""
    whole = {"set", "layer", "n_units"} <= set(result.dims) and 0 in result["draw"].values
    if not whole or "layer_sd" not in result or str(result["units"].values) not in _AT_RANDOM:
        return None
    if not has_samples(result):
        return None
    layer_sd = result["layer_sd"].transpose("set", "layer")
    ratio = sd_at_hand(result) / layer_sd.where(layer_sd > 0)
    log = ratio.copy(data=np.log(ratio.values))
    over_sets = (log**2).mean("set") ** 0.5
    off = (abs(log) > np.log(MOST_OFF)) | (log.notnull() & (over_sets > np.log(MOST_OFF)))
    # The sums are of the largest number of units that was measured, which may have been taken out since.
    samples = Samples(result) if off.any() else None
    for of_set, of_layer in np.argwhere(off.values):
        name = str(result["set"].values[of_set])
        off[of_set, of_layer] = samples is not None and samples.of_set(name, int(of_layer)) is not None
    return off
