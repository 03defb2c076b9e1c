"""Two conditions compared over trials: within each session, and across sessions or animals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from differentia.errors import InputError, require_count, require_known, short_tracebacks
from differentia.results.across import ALL, compare_pairs, holm, sign_flips
from differentia.results.contrasts import SIGNIFICANT
from differentia.results.intervals import CONFIDENCE, require_confidence
from differentia.results.observations import observations_of
from differentia.results.permuted import ALTERNATIVES, hedges, permuted
from differentia.system.choices import ALTERNATIVE
from differentia.system.random import generator_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: What a dataset that `compare_trials` returned says it is.
KIND = "trials"

#: Permutations of the trials of a session.
PERMUTATIONS = 9_999

#: What is known of each session, by group, and of each group.
OF_SESSION = (
    *("n_first", "n_second", "mean_first", "mean_second", "sd_first", "sd_second"),
    *("difference", "effect", "p", "least_p"),
)
OF_GROUP = (
    *("mean", "low", "high", "statistic", "df", "p_across", "p_corrected", "p_sign_flips"),
    *("simultaneous_low", "simultaneous_high", "n_observations", "n_sessions", "n_significant", "level_sd"),
)
TRIALS_FACTS = (
    "first",
    "second",
    "measure",
    "log",
    "alternative",
    "confidence",
    "permutations",
    "correction",
)

#: What the SD over sessions of logarithms of their levels may be, and how many times the SD of the condition
#: with more trials that of the other, before tests may err: docs/trials.md.
MOST_LEVELS, MOST_SPREAD = 0.3, 1.5

#: What the test within sessions looked for, in words.
SIDES = {"two-sided": "two-sided", "greater": "one-sided, higher", "less": "one-sided, lower"}

#: What is observed across: sessions, or, where they are named, animals.
OBSERVED = {False: "sessions", True: "animals"}

#: What `compare_pairs` calls what is across sessions.
_ACROSS = {
    "mean": "difference",
    "low": "difference_low",
    "high": "difference_high",
    "p_across": "p",
    "n_observations": "n_first",
}


@short_tracebacks
def compare_trials(
    values: pd.DataFrame | Mapping[str, Any],
    first: Any,
    second: Any,
    *,
    value: str = "differentiation",
    condition: str = "set",
    session: str = "session",
    group: str | Mapping[Any, Any] | None = None,
    subject: str | Mapping[Any, Any] | None = None,
    block: str | None = None,
    log: bool = False,
    alternative: str = "two-sided",
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> xr.Dataset:
    """Compare two conditions by the values of single trials, within each session and across sessions.

    Within a session, trials change places between the conditions: that tells whether its trials
    differ, and says nothing of other sessions. Across sessions, each counts as one observation, by its
    difference of means, whatever the number of its trials: the interval says where the mean difference of
    all sessions of the kind lies, if those at hand are a random sample of them. Where sessions of one animal
    resemble each other, name it (`subject`): animals are then the observations.

    Parameters
    ----------
    values
        A row for each trial, in one table or in one of each session: {session: DataFrame}; or {session:
        result of `measure_states`}, of which the largest number of units counts.
    first, second
        The two conditions: a value of the column `condition`, or a list of values.
    value, condition, session
        The columns of values, of conditions, and of sessions.
    group
        What is compared apart: the column of layers or areas, or session -> group. By default the column
        ``layer``, which results have; without it, all trials are of the group "all".
    subject
        The column of animals, or session -> animal. The sessions of one are averaged first.
    block
        A column: only trials with the same value of it change places, as those of one run.
    log
        Whether logarithms (to the base 10) are compared: where levels differ much between sessions, the
        strong ones decide the mean difference of values as they are.
    alternative
        Of the test within sessions: "two-sided", or "greater" or "less", of the first condition.
    permutations
        Of the trials of a session; where there are no more ways to exchange them, all are tried.
    seed
        Of the permutations.
    confidence
        Of the intervals across sessions, from 0.5 to below 1.

    Returns
    -------
    xarray.Dataset
        By (session, group): ``n_first`` and ``n_second`` trials with ``mean_first`` and ``mean_second``, the
        sample SDs ``sd_first`` and ``sd_second``, and the ``difference`` of means (first minus second), in
        the unit of the values or of their logarithms; ``effect``, Hedges' g; ``p``, never 0, and ``least_p``,
        the least that the permutations can give.

        By group, over sessions, or over animals: the ``mean`` of their differences, with its limits ``low``
        and ``high``, the ``statistic`` t with ``df`` degrees of freedom, and ``p_across``, two-sided as the
        interval is, whatever `alternative`; ``p_corrected`` over groups; ``p_sign_flips``,
        ``simultaneous_low`` and ``simultaneous_high``, as of `contrast_across`, with Holm's correction where
        a group has fewer than 6 sessions (animals). ``n_observations`` says over how many
        sessions or animals; ``n_significant`` of ``n_sessions`` have p < 0.05, not corrected. ``level_sd`` is
        the SD over sessions of the natural logarithm of the mean of ``mean_first`` and ``mean_second``, where
        all are above 0 and no logarithms themselves: above 0.3, intervals may hold too seldom.

        With `subject`, ``session_subject`` (session), and ``subject_difference`` (subject, group).

        NaN where a session has no such group or its values do not differ, and across fewer than two.

    Raises
    ------
    InputError
        There is no such column or condition; a value is infinite, or has no logarithm; a session is of two
        animals, or a trial has values of several layers or numbers of units in one group; no session has two
        trials of each condition; or an option can't be used.

    Warns
    -----
    DifferentiaWarning
        Trials without a value, or sessions with fewer than two trials of one condition, were left out.

    Notes
    -----
    The statistic that trials are permuted for is Welch's t, which keeps p right where the two conditions
    vary unequally (Janssen 1997). Hedges' g is the difference over the pooled SD, times Γ(m/2) / (sqrt(m/2)
    Γ((m - 1)/2)) with m = n - 2 (Hedges 1981). Across sessions: as `contrast_across` for two sets.
    """
    import xarray as xr

    require_known("alternative", alternative, ALTERNATIVES, ALTERNATIVE.synonyms)
    require_count("permutations", permutations)
    require_count("seed", seed, least=0)
    require_confidence(confidence)
    columns: dict[str, Any] = {"value": value, "condition": condition, "session": session, "group": group}
    given = observations_of(values, first, second, **columns, subject=subject, block=block, log=log)
    trials = given.trials
    of = {name: list(dict.fromkeys(trials[name])) for name in ("session", "group", "subject")}
    shape = (len(of["session"]), len(of["group"]))
    found = {name: np.full(shape, np.nan) for name in OF_SESSION}
    found |= {name: np.zeros(shape, dtype=np.int64) for name in ("n_first", "n_second")}
    for (name, part), rows in trials.groupby(["session", "group"], sort=False):
        at = of["session"].index(name), of["group"].index(part)
        y, is_first = rows["value"].to_numpy(), rows["first"].to_numpy()
        blocks = np.unique(rows["block"].to_numpy(dtype=str), return_inverse=True)[1]
        test = permuted(
            y,
            is_first,
            blocks,
            alternative=alternative,
            permutations=permutations,
            generator=generator_of("trials", seed, name, part),
        )
        means = y[is_first].mean(), y[~is_first].mean()
        sds = y[is_first].std(ddof=1), y[~is_first].std(ddof=1)
        row = (
            is_first.sum(),
            (~is_first).sum(),
            *means,
            *sds,
            means[0] - means[1],
            hedges(y, is_first),
            *test,
        )
        for which, number in zip(OF_SESSION, row, strict=True):
            found[which][at] = number
    dataset = xr.Dataset(
        {name: (("session", "group"), array) for name, array in found.items()},
        coords={"session": of["session"], "group": of["group"]},
    )
    differences = found["difference"]
    if subject is not None:
        subjects = trials.drop_duplicates("session")["subject"].to_numpy()
        differences = np.stack([_known_mean(differences[subjects == name]) for name in of["subject"]])
        dataset = dataset.assign_coords(session_subject=("session", subjects), subject=of["subject"])
        dataset["subject_difference"] = (("subject", "group"), differences)
    across = _across(differences, confidence)
    across |= {name: across[source] for name, source in _ACROSS.items()}
    across["n_sessions"] = np.isfinite(found["difference"]).sum(axis=0)
    across["n_significant"] = (found["p"] < SIGNIFICANT).sum(axis=0)
    levels = (found["mean_first"] + found["mean_second"]) / 2
    across["level_sd"] = [np.nan if log else _spread_of_levels(of_group) for of_group in levels.T]
    return dataset.assign({name: ("group", across[name]) for name in OF_GROUP}).assign_attrs(
        differentia=KIND,
        first=given.first,
        second=given.second,
        measure=value,
        log=int(log),
        alternative=alternative,
        confidence=float(confidence),
        permutations=permutations,
        correction=across["correction"],
        grouped_by=given.grouped_by,
        seed=seed,
    )


def _across(differences: Float[np.ndarray, "observation group"], confidence: float) -> dict[str, Any]:
    """Return what `compare_pairs` says, corrected as by Holm where some group has few observations.

    By changes of sign alone such a group can't reach 0.05, however many the others have.
    """
    found = compare_pairs(differences, confidence)
    fewest = found["n_first"][found["n_first"] > 1].min(initial=len(differences))
    if 1 / len(sign_flips(int(fewest))) > SIGNIFICANT:
        unknown = np.full(differences.shape[1], np.nan)
        found |= dict.fromkeys(("p_sign_flips", "simultaneous_low", "simultaneous_high"), unknown)
        found |= {"p_corrected": holm(found["p"]), "correction": "Holm"}
    return found


def _spread_of_levels(levels: Float[np.ndarray, " session"]) -> float:
    """Return the SD of logarithms of the levels of sessions; NaN where they have none."""
    levels = levels[np.isfinite(levels)]
    return float(np.log(levels).std(ddof=1)) if len(levels) > 1 and (levels > 0).all() else np.nan


def _known_mean(values: np.ndarray) -> np.ndarray:
    """Return means over sessions that have a value."""
    count = np.isfinite(values).sum(axis=0)
    return np.where(count, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


def require_trials(given: Any) -> None:
    """Raise an error for what `compare_trials` has not returned."""
    facts = getattr(given, "attrs", {})  # which a Dataset has
    if not ({*TRIALS_FACTS} <= {*facts} and {*OF_SESSION, *OF_GROUP} <= {*given}):
        raise InputError(
            f"this {type(given).__name__} is not what compare_trials(values) returned; expected that"
        )


@short_tracebacks
def say_trials(found: xr.Dataset) -> list[str]:
    """Return in words what `compare_trials` found in each group, and what can't be told.

    Parameters
    ----------
    found
        What `compare_trials` returned.

    Returns
    -------
    list of str
        Sentences.

    Raises
    ------
    InputError
        It is not what `compare_trials` returned.
    """
    require_trials(found)
    unit = OBSERVED["subject" in found.dims]
    said = []
    for name in found["group"].values:
        one = found.sel(group=name)
        where = "" if name == ALL else f"{name}: "
        mean, low, high, p = (one[what].item() for what in ("mean", "low", "high", "p_corrected"))
        what = f"{where}{found.attrs['first']} minus {found.attrs['second']} is {_signed(mean, found)}"
        if np.isfinite(low):
            n_observed = int(one["n_observations"])
            interval = f"[{low:.3g}, {high:.3g}]"
            what += f" {interval} over {n_observed} {unit} (corrected {_p(p)})"
        n, count = int(one["n_sessions"]), int(one["n_significant"])
        within = f"p < {SIGNIFICANT:g} in {count} of {n} sessions ({SIDES[found.attrs['alternative']]})"
        expected = f"where chance alone gives {SIGNIFICANT * n:.2g}"
        said.append(f"{what}; {within}, {expected}.")
    return [*said, *_say_limits(found, unit)]


def _signed(mean: float, found: xr.Dataset) -> str:
    """Return a mean difference; of logarithms, also as a ratio."""
    return f"{mean:.3g} (log10: {10**mean:.3g} times)" if found.attrs["log"] else f"{mean:.3g}"


def _p(p: float) -> str:
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"


def _say_limits(found: xr.Dataset, unit: str) -> list[str]:
    """Return what the numbers at hand can't tell."""
    said = []
    few = [
        str(name)
        for name, n in zip(found["group"].values, found["n_observations"].values, strict=True)
        if n < 2
    ]
    if few:
        where = "" if few == [ALL] else f" in {', '.join(few)}"
        said.append(f"With fewer than 2 {unit}{where}, nothing can be said of other {unit}.")
    said += [*_say_levels(found), *_say_spreads(found)]
    unable = int((found["least_p"] >= SIGNIFICANT).sum())
    if unable:
        said.append(f"{unable} sessions have too few trials for any p < {SIGNIFICANT:g}.")
    return said


def _say_levels(found: xr.Dataset) -> list[str]:
    """Say where few sessions may decide the mean difference of values as they are."""
    found = found.isel(group=(found["level_sd"] > MOST_LEVELS).values)
    if not found.sizes["group"]:
        return []
    factor = np.exp(found["level_sd"].values.max())
    return [
        f"Levels differ between sessions{_in(found)}, by a factor of {factor:.2g} (SD): if differences grow "
        "with them, few sessions decide the mean, and its interval and p hold less often than they say; "
        "compare logarithms (log=True, --log)."
    ]


def _say_spreads(found: xr.Dataset) -> list[str]:
    """Say where p within sessions may be too small, since fewer trials vary more."""
    fewer, more = (found["n_first"] < found["n_second"]).values, (found["n_first"] > found["n_second"]).values
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = found["sd_first"].values / found["sd_second"].values
        ratios = np.where(fewer, ratios, np.where(more, 1 / ratios, np.nan))
    known = [of_group[np.isfinite(of_group)] for of_group in ratios.T]
    medians = np.array([np.median(of_group) if len(of_group) else 0.0 for of_group in known])
    found = found.isel(group=medians > MOST_SPREAD)
    if not found.sizes["group"]:
        return []
    remedy = "" if found.attrs["log"] else "compare logarithms (log=True, --log), or "
    return [
        f"The condition with fewer trials varies more{_in(found)}: its SD is {medians.max():.2g} times the "
        f"other's in the median session, so that p within sessions may be too small; {remedy}take as many "
        "trials of both."
    ]


def _in(found: xr.Dataset) -> str:
    """Return where something is so; "" where there are no groups."""
    groups = found["group"].values.tolist()
    return "" if groups == [ALL] else f" in {', '.join(map(str, groups))}"
