"""A mixed model of the trials of all sessions and groups together."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from differentia.errors import InputError, short_tracebacks, warn
from differentia.results.across import Mean, holm, two_sided
from differentia.results.intervals import CONFIDENCE, require_confidence
from differentia.results.observations import observations_of
from differentia.system.turns import in_turn

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: What a dataset that `mixed_model` returned says it is.
KIND = "mixed model"

#: How the likelihood is maximised, the second where the first did not converge. Powell's way comes to the
#: end where a variance is 0; those that statsmodels begins with stop short of it, or fail there.
METHODS = ["powell", "bfgs"]

#: A variance of sessions below this share of that of trials is none.
_NO_VARIANCE = 1e-4


@short_tracebacks
def mixed_model(
    values: pd.DataFrame | Mapping[str, Any],
    first: Any,
    second: Any,
    *,
    value: str = "differentiation",
    condition: str = "set",
    session: str = "session",
    group: str | Mapping[Any, Any] | None = None,
    log: bool = False,
    slopes: bool = False,
    confidence: float = CONFIDENCE,
) -> xr.Dataset:
    """Compare two conditions by a linear mixed model of the trials of all sessions.

    ``value ~ group * condition + (1 | session)``, by restricted maximum likelihood, as statsmodels fits it:
    sessions differ in their level, and not in how the conditions differ. Where they do differ in that, which
    is usual, this finds too much, and the more so the more trials there are; ``slopes=True`` allows for it,
    ``(condition | session)``, and so does `compare_trials`. Either takes what sessions have in their groups,
    as areas recorded together, for independent but for one level (and slope) of each session, which is told:
    p of interactions, above all, is then too large where trials go together, and too small where sessions
    differ group by group (docs/trials.md).

    Parameters
    ----------
    values, first, second, value, condition, session, group, log
        As of `compare_trials`.
    slopes
        Whether sessions may differ in how the conditions differ.
    confidence
        Of the limits, from 0.5 to below 1.

    Returns
    -------
    xarray.Dataset
        By group: the ``difference`` of the conditions (first minus second) in it, in the unit of the values
        or of their logarithms, with its standard ``error``, ``statistic``, ``df``, limits ``low`` and
        ``high``, ``p``, and ``p_corrected`` over groups (Holm 1979). By pair of groups (``group_first``,
        ``group_second``): the ``interaction``, by how much the difference in the first exceeds that in the
        second, with ``interaction_error``, and so on.

        ``variance_session``, ``variance_slope`` (with `slopes`) and ``variance_trial``. The attribute ``fit``
        is "converged"; "singular", where a variance of sessions can't be told from 0, or with `slopes` level
        and slope go wholly together; or "failed": then all numbers are NaN.

        The statistic is a z (``df`` is infinite); with `slopes` a t, with as many degrees of freedom as there
        are sessions less groups.

    Raises
    ------
    InputError
        As of `compare_trials`; there are too few sessions, or statsmodels is not installed.

    Warns
    -----
    DifferentiaWarning
        As of `compare_trials`; the model could not be fitted, its fit is singular, or sessions have several
        groups.
    """
    import xarray as xr

    require_confidence(confidence)
    columns: dict[str, Any] = {"value": value, "condition": condition, "session": session, "group": group}
    given = observations_of(values, first, second, **columns, log=log)
    groups = list(dict.fromkeys(given.trials["group"]))
    n_sessions = given.trials["session"].nunique()
    if n_sessions <= len(groups):
        raise InputError(
            f"there are {n_sessions} sessions in {len(groups)} groups; a mixed model needs more sessions "
            "than groups: compare_trials() compares the trials of each"
        )
    if (given.trials.groupby("session")["group"].nunique() > 1).any():
        warn(
            "other",
            "sessions have several groups, which the mixed model takes for independent of each other but for "
            "the session's level: do not rely on interactions; compare_trials() takes each group on its own",
        )
    estimates, covariance, variances, fit = _fitted(given.trials, groups, slopes=slopes)
    df = float(n_sessions - len(groups)) if slopes else np.inf
    tail = (1 - confidence) / 2
    alone = _tested(np.eye(len(groups)), estimates, covariance, df, tail)
    pairs = [*combinations(range(len(groups)), 2)]
    contrasts = np.zeros((len(pairs), len(groups)))
    for row, (one, other) in enumerate(pairs):
        contrasts[row, [one, other]] = 1.0, -1.0
    between = _tested(contrasts, estimates, covariance, df, tail)
    pair_names = {
        f"group_{which}": ("pair", np.array([groups[pair[place]] for pair in pairs], dtype=str))
        for place, which in enumerate(("first", "second"))
    }
    return xr.Dataset(
        {
            **{name: ("group", column) for name, column in alone.items()},
            **{
                "interaction" if name == "difference" else f"interaction_{name}": ("pair", column)
                for name, column in between.items()
            },
            "df": df,
            **variances,
        },
        coords={"group": groups, **pair_names},
        attrs={
            "differentia": KIND,
            "first": given.first,
            "second": given.second,
            "measure": value,
            "log": int(log),
            "slopes": int(slopes),
            "confidence": float(confidence),
            "fit": fit,
            "n_sessions": n_sessions,
            "n_trials": len(given.trials),
        },
    )


def _tested(
    contrasts: Float[np.ndarray, "row group"],
    estimates: Float[np.ndarray, " group"],
    covariance: Float[np.ndarray, "group group"],
    df: float,
    tail: float,
) -> dict[str, np.ndarray]:
    """Return sums of estimates with their errors, limits and p."""
    value = contrasts @ estimates
    error = np.sqrt(np.einsum("rg,gh,rh->r", contrasts, covariance, contrasts))
    reach = -stdtrit(df, tail) * error
    p = two_sided(Mean(value, error, np.full(len(value), df)))
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = value / error
    found = {"difference": value, "error": error, "statistic": statistic, "low": value - reach}
    return found | {"high": value + reach, "p": p, "p_corrected": holm(p)}


def _fitted(
    trials: pd.DataFrame, groups: list[str], *, slopes: bool
) -> tuple[np.ndarray, np.ndarray, dict[str, float], str]:
    """Return the differences in each group, their covariances, the variances, and how the fit ended."""
    try:
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError as error:
        raise InputError(
            "a mixed model needs statsmodels, which is not installed: pip install 'differentia[mixed]'"
        ) from error
    of_group = (trials["group"].to_numpy()[:, np.newaxis] == np.array(groups, dtype=object)).astype(
        np.float64
    )
    side = np.where(trials["first"].to_numpy(), 0.5, -0.5)[:, np.newaxis]
    y = trials["value"].to_numpy()
    scale = float(y.std()) or 1.0  # the optimiser's tolerances are absolute
    n = len(groups)
    random = np.concatenate([np.ones_like(side), side], axis=1) if slopes else np.ones_like(side)
    model = MixedLM(
        (y - y.mean()) / scale,
        np.concatenate([of_group, of_group * side], axis=1),
        groups=trials["session"].to_numpy(dtype=str),
        exog_re=random,
    )
    names = ("variance_session", "variance_slope") if slopes else ("variance_session",)
    with in_turn(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is looked at below
        try:
            fit = model.fit(reml=True, method=METHODS)
            covariance = np.asarray(fit.cov_params())[n : 2 * n, n : 2 * n]
            failed = not (
                fit.converged and np.isfinite(covariance).all() and (covariance.diagonal() > 0).all()
            )
        except np.linalg.LinAlgError:
            failed = True
    if failed:
        warn("undefined", "the mixed model could not be fitted; compare_trials() needs no model")
        unknown = dict.fromkeys((*names, "variance_trial"), np.nan)
        return np.full(n, np.nan), np.full((n, n), np.nan), unknown, "failed"
    random_effects = np.asarray(fit.cov_re)
    variances = {
        name: float(of) * scale**2 for name, of in zip(names, random_effects.diagonal(), strict=True)
    }
    variances["variance_trial"] = float(fit.scale) * scale**2
    singular = np.linalg.eigvalsh(random_effects).min() < _NO_VARIANCE * fit.scale
    if singular:
        warn(
            "other",
            "the fit of the mixed model is singular: there is too little to tell how sessions vary; its "
            "errors may be wrong, and compare_trials() needs no such fit",
        )
    estimates = np.asarray(fit.fe_params)[n:] * scale
    return estimates, covariance * scale**2, variances, "singular" if singular else "converged"
