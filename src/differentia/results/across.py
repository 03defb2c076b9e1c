"""A level above images: several networks, animals or sessions, which are what is concluded about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import stdtr, stdtrit

from differentia.errors import InputError, require_distinct_names, require_known, short_tracebacks, warn
from differentia.results.contrasts import SIGNIFICANT
from differentia.results.dataset import kind_of, tokens_of
from differentia.results.draws import draw_mean
from differentia.results.intervals import CONFIDENCE, require_confidence
from differentia.results.references import in_words, references_of, short_name
from differentia.results.relative import relative
from differentia.results.schema import validate_result, what_is_left
from differentia.results.subject import RECORDED_FACT, SETS, subject_of
from differentia.system.random import generator_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: The group of all results where none is named.
ALL = "all"

#: Resamples of results for an interval: one less than a number that every usual confidence divides.
BOOTSTRAPPED = 1999

#: Results, at least, for a bootstrap: of fewer, too many resamples hold one result alone.
LEAST_BOOTSTRAPPED = 5

#: Cells of which resamples are held at a time.
_CELLS_AT_ONCE = 2000

#: Changes of sign at most that are all tried; of more, so many are drawn.
MOST_FLIPS, DRAWN_FLIPS = 10_000, 9_999

#: Values of p that differ by less are ties, whatever rounding says.
_TIE = 1e-6

ACROSS_VALUES = ("value", "mean", "sd", "low", "high", "n_results")
ACROSS_FACTS = ("measure", "confidence", "method", "reference", "normalize", "metric")


class Mean(NamedTuple):
    """Means over results, their standard errors, and how many degrees of freedom these have."""

    value: Float[np.ndarray, " ..."]
    error: Float[np.ndarray, " ..."]
    df: Float[np.ndarray, " ..."]


@short_tracebacks
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
        What is given is no result; results differ in their sets, layers, units, tokens, normalisation or
        metric (or, for "relative", in their reference, or have none); groups do not fit the results; or an
        option can't be used.

    Warns
    -----
    DifferentiaWarning
        Two results have the same values throughout, as where one network was given twice.
    """
    import xarray as xr

    require_known("value", value, VALUES)
    require_confidence(confidence)
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
    of_groups = [values.values[np.array(groups) == name].astype(np.float64) for name in names]
    summaries = [_summary(of_group, method, confidence) for of_group in of_groups]
    references = {short_name(references_of(one)) for one in valid.values()}
    return xr.Dataset(
        {
            "value": (("result", "set", "layer"), values.values.astype(np.float64)),
            **{
                key: (("group", "set", "layer"), np.stack([summary[key] for summary in summaries]))
                for key in ACROSS_VALUES[1:]
            },
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
            RECORDED_FACT: int(all(subject_of(one).recorded for one in valid.values())),
        },
    )


@short_tracebacks
def contrast_across(found: xr.Dataset, first: str, second: str, *, between: str = "sets") -> xr.Dataset:
    """Compare two sets, or two groups, at each layer, with networks, animals or sessions as observations.

    Two sets are compared within each result, which saw both: by the mean over results of their difference
    (paired t). Two groups are compared on each set, by the difference of their means (Welch's t). The
    interval and p follow from the same t: p is below 1 - confidence just where the interval leaves out 0.

    p is corrected over layers. For sets, by the largest statistic of each change of sign of the results'
    differences (Westfall and Young 1993): of all 2^n of n results, or of 9,999 drawn at random from 15
    results on. With fewer than 6 results no such test can reach 0.05; then, and for groups, p is corrected
    as by Holm (1979). (To exchange results between groups would find too much where one varies more.)

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
        ``p``, and ``p_corrected`` over the layers. ``n_first`` and ``n_second`` say of how many results; of
        sets, those that have values of both. By group, or set: ``correction``, "max statistic" or "Holm".

        For sets also ``p_sign_flips``, by the changes of sign alone, with no distribution assumed but that
        differences are symmetrical, and ``simultaneous_low`` and ``simultaneous_high``, which leave out 0
        just where ``p_corrected`` is at most 1 - confidence; both are NaN with fewer than 6 results.
        ``least_p`` (group) is the least p that changes of sign can give.

        NaN where fewer than 2 results have values (of each group), or where their values do not vary.

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


def _summary(
    values: Float[np.ndarray, "result set layer"], method: str, confidence: float
) -> dict[str, np.ndarray]:
    """Return what `across` says of one group."""
    mean, n_results = mean_of(values), np.isfinite(values).sum(axis=0)
    low, high = LIMITS_BY[method](values, mean, confidence)
    sd = mean.error * np.sqrt(n_results)
    return {"mean": mean.value, "sd": sd, "low": low, "high": high, "n_results": n_results}


def in_common(results: Mapping[str, xr.Dataset]) -> tuple[dict[str, xr.Dataset], list[str]]:
    """Return results with the sets and layers that all have, and a sentence on those that were left out.

    There are none where they have no set or no layer in common.
    """
    subject, kept, told = subject_of(next(iter(results.values()))), {}, []
    for what, noun in (("set", SETS), ("layer", subject.place)):
        named = [one[what].values.astype(str).tolist() for one in results.values()]
        kept[what] = [name for name in named[0] if all(name in names for names in named)]
        if others := [name for name in dict.fromkeys(chain.from_iterable(named)) if name not in kept[what]]:
            which = noun.one if len(others) == 1 else noun.many
            told.append(
                f"Left out of what is said of all together: the {which} {', '.join(others)}, which not all "
                f"of the {len(results)} {'recordings' if subject.recorded else 'results'} have."
            )
    if not all(kept.values()):
        return {}, told
    return {name: what_is_left(one.sel(kept)) for name, one in results.items()}, told


def across_frame(found: xr.Dataset) -> pd.DataFrame:
    """Return what `across` found as a table: a row for each group, set and layer."""
    import pandas as pd

    point = ["group", "set", "layer"]
    table = found[[*ACROSS_VALUES[1:]]].to_dataframe(point).reset_index()
    values = found["value"].drop_vars("result_group").to_series().unstack("result")
    of_results = values.loc[pd.MultiIndex.from_frame(table[["set", "layer"]])].reset_index(drop=True)
    names = found["result"].values.tolist()
    columns = {name: f"{name}_value" if name in table else name for name in names}
    return pd.concat([table, of_results[names].rename(columns=columns)], axis=1)


def require_across(given: Any) -> None:
    """Raise an error for what `across` has not returned."""
    facts = getattr(given, "attrs", {})  # which a Dataset has
    if not ({*ACROSS_FACTS} <= {*facts} and {*ACROSS_VALUES} <= {*given}):
        raise InputError(f"this {type(given).__name__} is not what across(results) returned; expected that")


def _differentiation(result: xr.Dataset) -> xr.DataArray:
    return at_largest(result["differentiation"], result)


def _relative(result: xr.Dataset) -> xr.DataArray:
    return at_largest(relative(result), result)


def at_largest(values: xr.DataArray, result: xr.Dataset) -> xr.DataArray:
    """Return the means over draws at the largest number of units, (set, layer)."""
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
            f"results is of type {type(results).__name__}; expected {{name: result}} or a list of results, "
            "one of each network, animal or session"
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
        pairs: list[tuple[str, object, object]]
        pairs = [(fact, first.attrs[fact], result.attrs[fact]) for fact in ("normalize", "metric")]
        if value == "relative":
            of_sets = [{name: of[name] for name in sorted(of)} for of in map(references_of, (first, result))]
            of_first, of_result = map(in_words, of_sets)
            pairs.append(("reference", of_first, of_result))
        pairs.append(("units", str(first["units"].item()), str(result["units"].item())))
        pairs.append(("tokens", tokens_of(first), tokens_of(result)))
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
    counts = np.isfinite(differences).sum(axis=0)
    differences = differences[np.isfinite(differences).any(axis=1)]
    difference, signs = mean_of(differences), sign_flips(len(differences))
    found, unknown = _tested(difference, confidence), np.full(counts.shape, np.nan)
    found |= dict.fromkeys(("p_sign_flips", "simultaneous_low", "simultaneous_high"), unknown)
    found |= {"n_first": counts, "n_second": counts, "least_p": 1 / len(signs)}
    if found["least_p"] > SIGNIFICANT:
        return found
    known = np.isfinite(found["p"])
    # The first signs are those observed. The largest statistic is the least p, since t has other degrees of
    # freedom where a layer has fewer values.
    p = p_of_flips(differences, signs)
    observed, others = p[:, 0], p[:, 1:]
    alone, corrected = p_of_permuted(np.where(known, -observed * (1 + _TIE), np.nan), -others)
    level = min(1 - confidence, critical_p(others[known], 1 - confidence))
    limits = zip(("simultaneous_low", "simultaneous_high"), _around(difference, level / 2), strict=True)
    found |= {name: np.where(known, limit, np.nan) for name, limit in limits}
    found |= {"p_sign_flips": alone, "p_corrected": np.maximum(corrected, found["p"])}
    return found | {"correction": "max statistic"}


def compare_groups(
    one: Float[np.ndarray, "first layer"], other: Float[np.ndarray, "second layer"], confidence: float
) -> dict[str, Any]:
    """Return what `contrast_across` says of two groups on one set."""
    found = _tested(difference_of(mean_of(one), mean_of(other)), confidence)
    return found | {"n_first": np.isfinite(one).sum(axis=0), "n_second": np.isfinite(other).sum(axis=0)}


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


def _tested(difference: Mean, confidence: float) -> dict[str, Any]:
    """Return a difference with its interval and its p, also corrected over layers as by Holm."""
    p = two_sided(difference)
    low, high = _around(difference, (1 - confidence) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = difference.value / difference.error
    found = {"difference_low": low, "difference_high": high, "statistic": statistic, "df": difference.df}
    found = {name: np.where(np.isfinite(p), array, np.nan) for name, array in found.items()}
    return {"difference": difference.value, **found, "p": p, "p_corrected": holm(p), "correction": "Holm"}


def critical_p(others: Float[np.ndarray, "layer b"], level: float) -> float:
    """Return the p of a layer below which p corrected by sign flips is at most `level`."""
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
    if 2 ** max(n - 1, 0) <= MOST_FLIPS:
        codes = np.arange(2 ** max(n - 1, 0))[:, np.newaxis]
        return 1 - 2 * (codes >> np.arange(n) & 1)
    drawn = generator_of("sign flips", n).integers(0, 2, (DRAWN_FLIPS, n))
    return np.concatenate([np.ones((1, n), dtype=np.int64), 1 - 2 * drawn])


def p_of_flips(
    differences: Float[np.ndarray, "result layer"], signs: Int[np.ndarray, "b result"]
) -> Float[np.ndarray, "layer b"]:
    """Return p of each layer's differences with other signs."""
    values, count, df = _known(differences)
    means = signs @ values / count
    squares = np.maximum((values**2).sum(axis=0) - count * means**2, 0.0)
    return two_sided(Mean(means, np.sqrt(squares / df / count), np.broadcast_to(df, means.shape))).T


def p_of_permuted(
    observed: Float[np.ndarray, " layer"], permuted: Float[np.ndarray, "layer b"]
) -> tuple[Float[np.ndarray, " layer"], Float[np.ndarray, " layer"]]:
    """Return how often flips or permutations reach what was observed: in the same layer, and in any layer."""
    # What was observed counts as one of them (Phipson and Smyth 2010), and one without a value as one that
    # reaches it.
    known = np.isfinite(observed)
    unknown = np.where(known, np.inf, -np.inf)[:, np.newaxis]
    permuted = np.where(np.isnan(permuted), unknown, permuted)
    count = permuted.shape[1] + 1
    alone = (1 + (permuted >= observed[:, np.newaxis]).sum(axis=1)) / count
    corrected = (1 + (permuted.max(axis=0) >= observed[:, np.newaxis]).sum(axis=1)) / count
    return np.where(known, alone, np.nan), np.where(known, corrected, np.nan)
