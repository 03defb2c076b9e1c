"""A level above images: several networks, animals or sessions, which are what is concluded about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, islice
from math import comb
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import stdtr, stdtrit

from differentia.errors import InputError, require_distinct_names, require_known, warn
from differentia.results.contrasts import SIGNIFICANT, p_values
from differentia.results.dataset import kind_of
from differentia.results.draws import draw_mean
from differentia.results.intervals import CONFIDENCE, RESAMPLES, require_interval
from differentia.results.relative import relative
from differentia.results.schema import validate_result, what_is_left
from differentia.system.random import generator_of

if TYPE_CHECKING:
    import xarray as xr

#: The group of all results where none is named.
ALL = "all"

#: Resamples of results for an interval: one less than a number that every usual confidence divides.
BOOTSTRAPPED = 1999

#: Results, at least, for a bootstrap: of fewer, too many resamples hold one result alone.
LEAST_BOOTSTRAPPED = 5

#: Cells of which resamples are held at a time.
_CELLS_AT_ONCE = 2000

#: Arrangements at most that are all tried; of more, so many are drawn.
MOST_ARRANGEMENTS, DRAWN_ARRANGEMENTS = 10_000, 9_999

#: Values of p that differ by less are ties, whatever rounding says.
_TIE = 1e-6

ACROSS_VALUES = ("value", "mean", "sd", "low", "high", "n_results")
ACROSS_FACTS = ("measure", "confidence", "method", "reference", "normalize", "metric")


class Mean(NamedTuple):
    """Means over results, their standard errors, and how many degrees of freedom these have."""

    value: Float[np.ndarray, " ..."]
    error: Float[np.ndarray, " ..."]
    df: Float[np.ndarray, " ..."]


def across(
    results: Mapping[str, xr.Dataset] | Sequence[xr.Dataset],
    *,
    group: Mapping[str, str] | Sequence[str] | None = None,
    value: str = "differentiation",
    confidence: float = CONFIDENCE,
    method: str = "t",
) -> xr.Dataset:
    """Summarise several networks, animals or sessions: the mean over them, and its interval.

    Each result counts as one observation, whatever the number of its images and units. The interval says
    where the mean of all networks (animals, sessions) of the kind lies, if those at hand are a random sample
    of them: networks trained from different seeds, say, but not the same network measured twice.

    Parameters
    ----------
    results
        Name -> what `measure` or `measure_responses` returned; or a list, whose names are then 1, 2, ...
        All must have the same sets and layers, which are matched by name.
    group
        To which group each result belongs (an architecture, a species): name -> group, or one group for
        each result, in order. By default all are of the group "all".
    value
        What is averaged: "differentiation", or "relative", to each result's own reference (`relative`). It
        is the mean over draws at the largest number of units.
    confidence
        Of the intervals, from 0.5 to below 1.
    method
        "t": mean ± t quantile times the standard error. "bootstrap": the results are resampled, and the mean
        of each resample is studentised (bootstrap-t; Efron and Tibshirani 1993, section 12.5). It is wider,
        and covers better where values are strongly skewed over results.

    Returns
    -------
    xarray.Dataset
        ``value`` (result, set, layer), with the group of each result (``result_group``). By (group, set,
        layer): ``mean``, ``low``, ``high``, and ``sd``, the SD over results, all in the unit of ``value``;
        and ``n_results``, of how many results that have a value. ``mean`` is NaN where none has, ``sd`` and
        the limits where fewer than 2 have ("bootstrap": the limits where fewer than 5 have).

    Raises
    ------
    InputError
        What is given is no result; results differ in their sets, layers, units, normalisation or metric (or,
        for "relative", in their reference, or have none); groups do not fit the results; or an option can't
        be used.

    Warns
    -----
    DifferentiaWarning
        Two results have the same values throughout, as where one network was given twice.
    """
    import xarray as xr

    require_known("value", value, VALUES)
    require_interval(confidence, RESAMPLES)
    require_known("method", method, LIMITS_BY)
    valid = _valid_results(results)
    groups = _groups(group, list(valid))
    first = _require_alike(valid, value)
    values = xr.concat(
        [VALUES[value](one).sel({what: first[what] for what in ("set", "layer")}) for one in valid.values()],
        dim=xr.Variable("result", list(valid)),
    ).transpose("result", "set", "layer")
    _warn_of_copies(values)
    names = list(dict.fromkeys(groups))
    found: dict[str, list[np.ndarray]] = {name: [] for name in ACROSS_VALUES[1:]}
    for name in names:
        of_group = values.values[np.array(groups) == name].astype(np.float64)
        mean, n_results = mean_of(of_group), np.isfinite(of_group).sum(axis=0)
        low, high = LIMITS_BY[method](of_group, mean, confidence)
        for key, array in zip(
            found, (mean.value, mean.error * np.sqrt(n_results), low, high, n_results), strict=True
        ):
            found[key].append(array)
    references = {one.attrs["reference"] for one in valid.values()}
    return xr.Dataset(
        {
            "value": (("result", "set", "layer"), values.values.astype(np.float64)),
            **{key: (("group", "set", "layer"), np.stack(arrays)) for key, arrays in found.items()},
        },
        coords={
            "result": list(valid),
            "result_group": ("result", groups),
            "group": names,
            **{what: first[what].values for what in ("set", "layer")},
        },
        attrs={
            "measure": value,
            "confidence": float(confidence),
            "method": method,
            "reference": references.pop() if len(references) == 1 else "",
            **{name: first.attrs[name] for name in ("normalize", "metric")},
        },
    )


def contrast_across(found: xr.Dataset, first: str, second: str, *, between: str = "sets") -> xr.Dataset:
    """Compare two sets, or two groups, at each layer, with networks, animals or sessions as observations.

    Two sets are compared within each result, which saw both: by the mean over results of their difference
    (paired t). Two groups are compared on each set, by the difference of their means (Welch's t). The
    interval and p follow from the same t: p is below 1 - confidence just where the interval leaves out 0.

    p is corrected over layers: by the largest statistic of each arrangement (Westfall and Young 1993), where
    arrangements are all changes of sign of the results' differences, or all assignments of the results to
    the two groups (of more than 10,000, 9,999 drawn at random). With few results such a test can't reach
    0.05 at all: with fewer than 6 pairs, or groups of 3 and 3. There p is corrected as by Holm (1979).

    Parameters
    ----------
    found
        What `across` returned.
    first, second
        Names of two sets, or of two groups.
    between
        "sets" or "groups".

    Returns
    -------
    xarray.Dataset
        By (group, layer) for sets, by (set, layer) for groups: ``difference`` (first minus second), with
        ``difference_low`` and ``difference_high``; the ``statistic`` t, with ``df`` degrees of freedom;
        ``p``; ``p_corrected`` over the layers; ``simultaneous_low`` and ``simultaneous_high``, which leave
        out 0 just where ``p_corrected`` is at most 1 - confidence (NaN where Holm corrected); and
        ``p_permutation``, by arrangements alone, without a distribution assumed (NaN where these can't reach
        0.05). ``n_first`` and ``n_second`` say of how many results; of sets, those that have values of
        both. By group, or set: ``least_p``, the least p that arrangements can give, and ``correction``,
        "max statistic" or "Holm". NaN where fewer than 2 results have values (of each group), or where
        their values do not vary.

    Raises
    ------
    InputError
        It is not what `across` returned, there is no such set or group, or the two are one.
    """
    import xarray as xr

    require_across(found)
    require_known("between", between, ("sets", "groups"))
    what, other = ("set", "group") if between == "sets" else ("group", "set")
    for name in (first, second):
        require_known(what, name, [str(known) for known in found[what].values])
    if first == second:
        raise InputError(f"both {between} are {first!r}; name two different {between} to compare")
    values = found["value"].transpose("result", "set", "layer")
    of_group = {str(name): found["result_group"].values == name for name in found["group"].values}
    rows = []
    for name in found[other].values:
        if between == "sets":
            one, another = (values.sel(set=which).values[of_group[str(name)]] for which in (first, second))
            rows.append(compare_pairs(one - another, found.attrs["confidence"]))
        else:
            one, another = (values.sel(set=name).values[of_group[which]] for which in (first, second))
            rows.append(compare_groups(one, another, found.attrs["confidence"]))
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return xr.Dataset(
        {key: ((other, "layer")[: column.ndim], column) for key, column in columns.items()},
        coords={other: found[other].values, "layer": found["layer"].values},
        attrs={
            "first": first,
            "second": second,
            "between": between,
            **{name: found.attrs[name] for name in ("measure", "confidence")},
        },
    )


def require_across(given: Any) -> None:
    """Raise an error for what `across` has not returned."""
    facts = getattr(given, "attrs", {})  # which a Dataset has
    if not ({*ACROSS_FACTS} <= {*facts} and {*ACROSS_VALUES} <= {*given}):
        raise InputError(f"this {type(given).__name__} is not what across(results) returned; expected that")


def _differentiation(result: xr.Dataset) -> xr.DataArray:
    return _at_largest(result["differentiation"], result)


def _relative(result: xr.Dataset) -> xr.DataArray:
    return _at_largest(relative(result), result)


def _at_largest(values: xr.DataArray, result: xr.Dataset) -> xr.DataArray:
    means = draw_mean(values, result).sel(n_units=result["n_units"].max(), drop=True)
    return means.drop_vars(set(means.coords) - {"set", "layer"})


VALUES: dict[str, Callable[[xr.Dataset], xr.DataArray]] = {
    "differentiation": _differentiation,
    "relative": _relative,
}


def _valid_results(results: Any) -> dict[str, xr.Dataset]:
    """Return checked results by name."""
    import xarray as xr

    if isinstance(results, Mapping) and not isinstance(results, xr.Dataset):
        named = dict(zip(require_distinct_names("result", results), results.values(), strict=True))
    elif isinstance(results, Sequence) and not isinstance(results, str):
        named = {str(place): result for place, result in enumerate(results, start=1)}
    else:
        raise InputError(
            f"results is a {type(results).__name__}; expected {{name: result}} or a list of results, one of "
            "each network, animal or session"
        )
    if not named:
        raise InputError("there is no result; expected one of each network, animal or session, two or more")
    return {
        name: what_is_left(validate_result(given, f"the result {name!r}")) for name, given in named.items()
    }


def _groups(group: Any, names: list[str]) -> list[str]:
    """Return the group of each result."""
    if group is None:
        return [ALL] * len(names)
    if isinstance(group, Mapping):
        given = {str(name): label for name, label in group.items()}
        for name in given:
            require_known("result in group=", name, names)
        if without := [name for name in names if name not in given]:
            raise InputError(f"group= names no group for {', '.join(without)}; give each result its group")
        labels = [given[name] for name in names]
    elif isinstance(group, Sequence) and not isinstance(group, str):
        if len(group) != len(names):
            raise InputError(
                f"group= has {len(group)} groups; expected {len(names)}, one for each result, in order"
            )
        labels = list(group)
    else:
        raise InputError(
            f"group= is {group!r}; expected {{name of a result: its group}}, or a list of groups, one for "
            "each result"
        )
    require_distinct_names("group", dict.fromkeys(labels))
    return [str(label) for label in labels]


def _require_alike(results: Mapping[str, xr.Dataset], value: str) -> xr.Dataset:
    """Return the first result, or raise an error where another can't be averaged with it."""
    (name, first), *others = results.items()
    for other, result in others:
        pair = f"the results {name!r} and {other!r} differ in their"
        for what in ("set", "layer"):
            known, given = ([str(one) for one in of[what].values] for of in (first, result))
            if set(known) != set(given):
                only = [
                    f"only {whose!r} has {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"
                    for whose, names in (
                        (name, [one for one in known if one not in given]),
                        (other, [one for one in given if one not in known]),
                    )
                    if names
                ]
                raise InputError(
                    f"{pair} {what}s: {'; '.join(only)}. Select those that all have, "
                    f"result.sel({what}=[...]), or give those that correspond one name, "
                    f"result.assign_coords({what}=[...])"
                )
        facts = ["normalize", "metric"] + ["reference"] * (value == "relative")
        pairs: list[tuple[str, object, object]]
        pairs = [(fact, first.attrs[fact], result.attrs[fact]) for fact in facts]
        pairs.append(("units", str(first["units"].item()), str(result["units"].item())))
        if kind_of(first).counted:
            most, other_most = (int(of["n_units"].max()) for of in (first, result))
            pairs.append(("largest n_units", most, other_most))
        for fact, one, another in pairs:
            if one != another:
                raise InputError(f"{pair} {fact}: {one!r} and {another!r}; measure all of them alike")
    return first


def _warn_of_copies(values: xr.DataArray) -> None:
    names, arrays = values["result"].values.tolist(), values.values
    for one, other in combinations(range(len(names)), 2):
        if np.isfinite(arrays[one]).any() and np.array_equal(arrays[one], arrays[other], equal_nan=True):
            warn(
                "other",
                f"the results {names[one]!r} and {names[other]!r} have the same values throughout; "
                "each network, animal or session counts once, so give each a single result",
                stacklevel=3,
            )


def _known(values: Float[np.ndarray, "result ..."]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values with 0 for what is unknown, how many are known, and their degrees of freedom."""
    known = np.isfinite(values)
    count = np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    return np.where(known, values, 0.0), count, np.where(count > 1, count - 1, np.nan)


def mean_of(values: Float[np.ndarray, "result ..."]) -> Mean:
    """Return means over the results that have a value."""
    known, count, df = _known(values)
    mean = known.sum(axis=0) / count
    squares = (np.where(np.isfinite(values), values - mean, 0.0) ** 2).sum(axis=0)
    return Mean(mean, np.sqrt(squares / df / count), df)


_Limits = tuple[Float[np.ndarray, " ..."], Float[np.ndarray, " ..."]]


def limits_by_t(values: Float[np.ndarray, "result ..."], mean: Mean, confidence: float) -> _Limits:
    return _around(mean, (1 - confidence) / 2)


def _around(mean: Mean, tail: float) -> _Limits:
    """Return the limits of a mean beyond which lies the share `tail` of t on either side."""
    quantile = -stdtrit(mean.df, tail) if tail > 0 else np.inf  # SciPy's sign of the infinite one varies
    reach = quantile * mean.error
    return mean.value - reach, mean.value + reach


def limits_by_bootstrap(values: Float[np.ndarray, "result ..."], mean: Mean, confidence: float) -> _Limits:
    """Return limits by the quantiles that the studentised means of resamples have in place of t."""
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    flat, centre = values.reshape(len(values), -1), mean.value.ravel()
    quantiles = np.full((2, flat.shape[1]), np.nan)
    known = np.isfinite(flat)
    for pattern in np.unique(known, axis=1).T:
        if (n := int(pattern.sum())) < LEAST_BOOTSTRAPPED:
            continue
        counts = generator_of("across", n).multinomial(n, [1 / n] * n, BOOTSTRAPPED).astype(np.float64)
        cells = np.flatnonzero((known == pattern[:, np.newaxis]).all(axis=0))
        for part in np.array_split(cells, -(-len(cells) // _CELLS_AT_ONCE)):
            deviations = flat[np.ix_(pattern, part)] - centre[part]
            means = counts @ deviations / n
            variances = counts @ deviations**2 / n - means**2
            # Rounding leaves a little where a resample holds one value alone.
            variances[variances < 1e-12 * (deviations**2).mean(axis=0)] = 0.0
            with np.errstate(divide="ignore", invalid="ignore"):
                studentised = means / np.sqrt(np.maximum(variances, 0.0) / (n - 1))
            studentised[np.isnan(studentised)] = 0.0  # all values are one
            quantiles[0, part] = np.quantile(studentised, tails[0], axis=0, method="lower")
            quantiles[1, part] = np.quantile(studentised, tails[1], axis=0, method="higher")
    below, above = (quantile.reshape(mean.value.shape) for quantile in quantiles)
    with np.errstate(invalid="ignore"):
        return mean.value - above * mean.error, mean.value - below * mean.error


LIMITS_BY: dict[str, Callable[[np.ndarray, Mean, float], _Limits]] = {
    "t": limits_by_t,
    "bootstrap": limits_by_bootstrap,
}


def compare_pairs(differences: Float[np.ndarray, "result layer"], confidence: float) -> dict[str, Any]:
    """Return what `contrast_across` says of two sets in one group."""
    n_results = np.isfinite(differences).sum(axis=0)
    differences = differences[np.isfinite(differences).any(axis=1)]
    tested = _tested(mean_of(differences), sign_flips(len(differences)), differences, p_of_flips, confidence)
    return tested | {"n_first": n_results, "n_second": n_results}


def compare_groups(
    one: Float[np.ndarray, "first layer"], other: Float[np.ndarray, "second layer"], confidence: float
) -> dict[str, Any]:
    """Return what `contrast_across` says of two groups on one set."""
    counts = {
        name: np.isfinite(values).sum(axis=0) for name, values in (("n_first", one), ("n_second", other))
    }
    one, other = (values[np.isfinite(values).any(axis=1)] for values in (one, other))
    difference = difference_of(mean_of(one), mean_of(other))
    both, groupings = np.concatenate([one, other]), regroupings(len(one), len(other))
    return _tested(difference, groupings, both, p_of_groupings, confidence) | counts


def difference_of(one: Mean, other: Mean) -> Mean:
    """Return the difference of independent means, with Welch and Satterthwaite's degrees of freedom."""
    first, second = one.error**2, other.error**2
    with np.errstate(divide="ignore", invalid="ignore"):
        df = (first + second) ** 2 / (first**2 / one.df + second**2 / other.df)
    return Mean(one.value - other.value, np.sqrt(first + second), df)


def two_sided(mean: Mean) -> Float[np.ndarray, " ..."]:
    """Return p of a mean being 0; NaN where it has no spread to be judged by."""
    spread = mean.error > 1e-12 * np.abs(mean.value)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread, 2 * stdtr(mean.df, -np.abs(mean.value / mean.error)), np.nan)


def _tested(
    difference: Mean,
    arrangements: np.ndarray,
    values: Float[np.ndarray, "result layer"],
    p_of: Callable[..., Float[np.ndarray, "layer b"]],
    confidence: float,
) -> dict[str, Any]:
    """Return a difference with its interval, its p, and what arrangements of the values say of it."""
    p = two_sided(difference)
    known = np.isfinite(p)
    unknown = np.full_like(p, np.nan)
    low, high = _around(difference, (1 - confidence) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = difference.value / difference.error
    found = {"difference": difference.value, "difference_low": low, "difference_high": high}
    found |= {"statistic": statistic, "df": difference.df}
    found |= {name: np.where(known, array, np.nan) for name, array in found.items() if name != "difference"}
    least = 1 / len(arrangements)
    alone, wide, correction = unknown, (unknown, unknown), "Holm"
    if least > SIGNIFICANT:
        corrected = holm(p)
    else:
        correction = "max statistic"
        # The first arrangement is what was observed. The largest statistic is the least p, since t has other
        # degrees of freedom where a layer has fewer values.
        arranged = p_of(values, arrangements)
        observed, others = arranged[:, 0], arranged[:, 1:]
        alone, corrected = p_values(np.where(known, -observed * (1 + _TIE), np.nan), -others)
        corrected = np.maximum(corrected, p)
        level = min(1 - confidence, critical_p(others[known], 1 - confidence))
        low, high = _around(difference, level / 2)
        wide = np.where(known, low, np.nan), np.where(known, high, np.nan)
    return {
        **found,
        "p": p,
        "p_corrected": corrected,
        "p_permutation": alone,
        **dict(zip(("simultaneous_low", "simultaneous_high"), wide, strict=True)),
        "least_p": least,
        "correction": correction,
    }


def critical_p(others: Float[np.ndarray, "layer b"], level: float) -> float:
    """Return the p of a layer below which p corrected by arrangements is at most `level`."""
    least = np.sort(np.where(np.isnan(others), 0.0, others).min(axis=0, initial=1.0))
    place = int(level * (len(least) + 1) + 1e-9) - 1
    return float(least[place]) / (1 + _TIE) if place >= 0 else 0.0


def holm(p: Float[np.ndarray, " layer"]) -> Float[np.ndarray, " layer"]:
    """Return p corrected for the number of layers that have one (Holm 1979)."""
    order = np.argsort(p)  # NaN last
    known = int(np.isfinite(p).sum())
    corrected = np.full_like(p, np.nan)
    steps = p[order[:known]] * np.arange(known, 0, -1)
    corrected[order[:known]] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def sign_flips(n: int) -> Int[np.ndarray, "b {n}"]:
    """Return signs of differences, first those observed; one keeps its own, as |t| can't tell."""
    if 2 ** max(n - 1, 0) <= MOST_ARRANGEMENTS:
        codes = np.arange(2 ** max(n - 1, 0))[:, np.newaxis]
        return 1 - 2 * (codes >> np.arange(n) & 1)
    drawn = generator_of("sign flips", n).integers(0, 2, (DRAWN_ARRANGEMENTS, n))
    return np.concatenate([np.ones((1, n), dtype=np.int64), 1 - 2 * drawn])


def regroupings(n_first: int, n_second: int) -> Bool[np.ndarray, "b n"]:
    """Return which results are of the first group, first as observed."""
    n = n_first + n_second
    # Where groups are equal, to exchange their names changes no |t|.
    count = comb(n, n_first) // (2 if n_first == n_second > 0 else 1)
    if count <= MOST_ARRANGEMENTS:
        chosen = np.zeros((count, n), dtype=bool)
        # In this order those that hold the first result come first.
        for row, members in zip(chosen, islice(combinations(range(n), n_first), count), strict=True):
            row[list(members)] = True
        return chosen
    observed = np.arange(n)[np.newaxis] < n_first
    drawn = np.repeat(observed, DRAWN_ARRANGEMENTS, axis=0)
    return np.concatenate([observed, generator_of("groups", n_first, n_second).permuted(drawn, axis=1)])


def p_of_flips(
    differences: Float[np.ndarray, "result layer"], signs: Int[np.ndarray, "b result"]
) -> Float[np.ndarray, "layer b"]:
    """Return p of each layer's differences with other signs."""
    values, count, df = _known(differences)
    means = signs @ values / count
    squares = np.maximum((values**2).sum(axis=0) - count * means**2, 0.0)
    return two_sided(Mean(means, np.sqrt(squares / df / count), np.broadcast_to(df, means.shape))).T


def p_of_groupings(
    values: Float[np.ndarray, "result layer"], of_first: Bool[np.ndarray, "b result"]
) -> Float[np.ndarray, "layer b"]:
    """Return p of each layer's values in other groups."""
    known = np.isfinite(values)
    values = np.where(known, values - mean_of(values).value, 0.0)  # so that little cancels
    groups = []
    for chosen in (of_first.astype(np.float64), (~of_first).astype(np.float64)):
        count = chosen @ known
        df = np.where(count > 1, count - 1, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = chosen @ values / count
            squares = np.maximum(chosen @ values**2 - count * means**2, 0.0)
        groups.append(Mean(means, np.sqrt(squares / df / count), df))
    return two_sided(difference_of(*groups)).T
