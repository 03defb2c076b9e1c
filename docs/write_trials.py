"""Write docs/trials.md: how often tests over trials and sessions err, and what published values give.

python docs/write_trials.py [--simulations 4000]

What was counted is kept in docs/trials.json; the page is written from it. It needs the real data (see
``real_data.py``), and takes half an hour.
"""

from __future__ import annotations

import argparse
import json
import textwrap
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from markdown_tables import table
from real_data import data_folder

import differentia as dif
from differentia.results.across import compare_pairs, limits_by_t, mean_of
from differentia.results.confidence import confidence_of_mean, limits
from differentia.results.contrasts import Known, compare
from differentia.results.permuted import permuted
from differentia.results.trials import MOST_LEVELS, MOST_SPREAD

HERE = Path(__file__).parent
PAGE, COUNTED, PICTURE = HERE / "trials.md", HERE / "trials.json", HERE / "images" / "trials.png"

LEVEL, ALPHA = 0.95, 0.05

#: What is asked: false positives at most, and coverage.
MOST, WANTED = 0.06, (0.93, 0.97)

#: Of a simulated session.
PERMUTATIONS = 999

#: In characters.
WIDTH = 110

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=shape)


def _log_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.exp(rng.normal(size=shape)) - np.exp(0.5)


class Session(NamedTuple):
    """Trials of two conditions that have the same mean, and what they are."""

    words: str
    draw: Draw
    n: tuple[int, int]
    sd: tuple[float, float] = (1.0, 1.0)
    #: Of runs of 10 trials, whose level changes by 1 SD from run to run: how many trials are of the first.
    runs: tuple[int, ...] = ()
    by_run: bool = False


#: Uneven runs: 25 trials of each condition.
RUNS = (2, 8, 5, 3, 7)

SESSIONS = {
    "normal": Session("normal values", _normal, (20, 30)),
    "normal, unequal numbers": Session("the same", _normal, (5, 25)),
    "log-normal": Session("exp(z): skewness 6.2", _log_normal, (20, 30)),
    "log-normal, unequal numbers": Session("the same", _log_normal, (5, 25)),
    "unequal variances": Session("normal, SD 3 and 1", _normal, (20, 20), (3, 1)),
    "fewer vary a little more": Session("normal, SD 2 and 1", _normal, (20, 30), (2, 1)),
    "fewer vary more": Session("normal, SD 3 and 1", _normal, (10, 30), (3, 1)),
    "fewer vary less": Session("normal, SD 1 and 3", _normal, (10, 30), (1, 3)),
    "runs, by run": Session(
        "normal; five runs of 10, whose levels differ by SD 1; `block` names the run",
        _normal,
        (25, 25),
        runs=RUNS,
        by_run=True,
    ),
    "runs": Session("the same without `block`", _normal, (25, 25), runs=RUNS),
    "log-normal, fewer vary more": Session(
        "exp(z), SD 3 and 1 times as large; there to show limits",
        _log_normal,
        (10, 30),
        (3, 1),
    ),
}


def by_difference(values: np.ndarray, first: np.ndarray, rng: np.random.Generator) -> float:
    """Return the two-sided p of a permutation test of the difference of means, which is not used."""
    splits = first[np.argsort(rng.random((PERMUTATIONS, len(first))), axis=1)]
    splits = np.concatenate([first[np.newaxis], splits])
    totals = splits @ values
    n = first.sum()
    found = np.abs(totals / n - (values.sum() - totals) / (len(values) - n))
    return float((found >= found[0] - 1e-12).mean())


def within(name: str, simulations: int) -> dict[str, Any]:
    """Return how often p < 0.05 in sessions whose conditions have the same mean."""
    given = SESSIONS[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    first = np.arange(sum(given.n)) < given.n[0]
    blocks = np.zeros(len(first), dtype=np.int64)
    if given.runs:
        first = np.concatenate([np.arange(10) < n for n in given.runs])
        blocks = np.repeat(np.arange(len(given.runs)), 10)
    hits = dict.fromkeys(("two-sided", "greater", "difference"), 0)
    for _ in range(simulations):
        values = given.draw(rng, (len(first),)) * np.where(first, *given.sd)
        if given.runs:
            values = values + rng.normal(size=len(given.runs))[blocks]
        of = blocks if given.by_run else np.zeros_like(blocks)
        for side in ("two-sided", "greater"):
            p = permuted(values, first, of, alternative=side, permutations=PERMUTATIONS, generator=rng).p
            hits[side] += p < ALPHA
        hits["difference"] += by_difference(values, first, rng) < ALPHA
    return {"name": name, **{side: count / simulations for side, count in hits.items()}}


class Values(NamedTuple):
    """Values of single trials, whose mean is 1, and what they are."""

    words: str
    draw: Draw


def _log_normal_of(sd: float) -> Draw:
    return lambda rng, shape: rng.lognormal(-(sd**2) / 2, sd, shape)


#: Of trials of a set.
VALUES = {
    "normal": Values("SD 0.3", lambda rng, shape: rng.normal(1.0, 0.3, shape)),
    "exponential": Values("SD 1", lambda rng, shape: rng.exponential(1.0, shape)),
    "log-normal, 0.5": Values("SD 0.5 of the logarithm", _log_normal_of(0.5)),
    "log-normal, 0.8": Values("SD 0.8 of the logarithm", _log_normal_of(0.8)),
    "log-normal, 1": Values("SD 1 of the logarithm; there to show limits", _log_normal_of(1.0)),
    "rare": Values(
        "one in five is six times as large as the others; there to show limits",
        lambda rng, shape: np.where(rng.random(shape) < 0.2, 3.0, 0.5) * rng.lognormal(-5e-5, 0.01, shape),
    ),
}

#: How many trials a set has.
OF_SET = (3, 4, 5, 10, 20)


def of_set(name: str, n: int, simulations: int) -> dict[str, Any]:
    """Return how often limits over trials hold the true mean, and two sets of the same mean have p < 0.05."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), n])
    held, differ = 0, 0
    for values in VALUES[name].draw(rng, (5 * simulations, n)):
        known = confidence_of_mean(values)
        if known is not None:
            low, high = np.exp(limits(known.log_limit, known.freedom, LEVEL)) * values.mean()
            held += low <= 1.0 <= high
    for pair in VALUES[name].draw(rng, (simulations, 2, n)):
        differ += compare(*map(_known, pair)).p < ALPHA
    return {"name": name, "trials": n, "held": held / (5 * simulations), "differ": differ / simulations}


def _known(values: np.ndarray) -> Known:
    """Return what is known of the mean of trials."""
    found = confidence_of_mean(values)
    assert found is not None
    error = float(found.influence.std(ddof=1) / np.sqrt(len(values)))
    return Known(float(values.mean()), found.log_limit, found.freedom, error)


#: Sessions, and what is compared in them.
SIZES = (6, 15, 44)


def _alike(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return differences of means of sessions that differ by normal values."""
    return 0.3 + 0.3 * rng.normal(size=shape) + rng.normal(size=shape) * np.sqrt(1 / 20 + 1 / 30)


def _of_logs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return differences of means of 20 and 30 logarithms."""
    means = [rng.normal(size=(*shape, n)).mean(axis=-1) for n in (20, 30)]
    return 0.3 + 0.2 * (rng.gamma(4.0, 0.5, shape) - 2.0) + means[0] - means[1]


class Across(NamedTuple):
    """The differences of sessions, and what they are."""

    words: str
    draw: Draw
    truth: float


def _as_they_are(sd: float) -> Across:
    """Return the same of values that are not logarithms, with levels that differ between sessions."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        level = np.exp(sd * rng.normal(size=shape))
        means = [np.exp(0.5 * rng.normal(size=(*shape, n))).mean(axis=-1) for n in (20, 30)]
        return level * (np.exp(0.3) * means[0] - means[1])

    return Across(
        f"log-normal values that are no logarithms; levels of sessions differ by a factor of "
        f"{np.exp(sd):.2g} (SD){'; there to show limits' if sd > MOST_LEVELS else ''}",
        draw,
        float(np.exp(sd**2 / 2) * np.exp(0.125) * (np.exp(0.3) - 1)),
    )


ACROSS = {
    "normal": Across("normal values; sessions differ in their difference by SD 0.3", _alike, 0.3),
    "logarithms": Across("logarithms of log-normal values; skewed over sessions (1.0)", _of_logs, 0.3),
    "as they are, levels alike": _as_they_are(0.3),
    "as they are": _as_they_are(1.0),
}


def across(name: str, n: int, simulations: int) -> dict[str, Any]:
    """Return how often the interval over sessions holds the true mean."""
    given = ACROSS[name]
    rng = np.random.default_rng([zlib.crc32(name.encode()), n])
    values = np.concatenate([given.draw(rng, (n, 500)) for _ in range(-(-simulations // 500))], axis=1)
    low, high = limits_by_t(values, mean_of(values), LEVEL)
    return {
        "name": name,
        "sessions": n,
        "below": float((high < given.truth).mean()),
        "above": float((low > given.truth).mean()),
    }


def families(n: int, simulations: int) -> float:
    """Return how often any of three groups has corrected p < 0.05 where none differs."""
    rng = np.random.default_rng(n)
    found = (compare_pairs(rng.normal(size=(n, 3)), LEVEL)["p_corrected"] for _ in range(simulations))
    return float(np.mean([(p < ALPHA).any() for p in found]))


#: Of the mixed model: groups, sessions of each, trials of each condition; and the SD by which sessions differ
#: in how the conditions differ, in SDs of trials.
GROUPS, OF_GROUP, TRIALS, SLOPES = 3, 8, (10, 15), (0.0, 0.25, 0.5)


def sessions(slope: float, rng: np.random.Generator) -> Any:
    """Return trials of sessions whose conditions differ by nothing on average."""
    import pandas as pd

    n = GROUPS * OF_GROUP
    first = np.tile(np.arange(sum(TRIALS)) < TRIALS[0], n)
    session = np.repeat(np.arange(n), sum(TRIALS))
    value = rng.normal(size=n)[session] + slope * rng.normal(size=n)[session] * first
    return pd.DataFrame(
        {
            "session": session,
            "group": session // OF_GROUP,
            "set": np.where(first, "a", "b"),
            "differentiation": value + rng.normal(size=len(session)),
        }
    )


def models(slope: float, simulations: int) -> dict[str, Any]:
    """Return how often p < 0.05 in a group, by both models and across sessions."""
    rng = np.random.default_rng(round(100 * slope))
    hits = {"intercepts": [], "slopes": [], "across": []}  # type: dict[str, list[float]]
    fits = {"intercepts": [], "slopes": []}  # type: dict[str, list[str]]
    for _ in range(simulations):
        trials = sessions(slope, rng)
        for name in fits:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", dif.DifferentiaWarning)
                found = dif.mixed_model(trials, "a", "b", group="group", slopes=name == "slopes")
            hits[name].append(float((found["p"] < ALPHA).mean()))
            fits[name].append(found.attrs["fit"])
        found = dif.compare_trials(trials, "a", "b", group="group", permutations=1)
        hits["across"].append(float((found["p_across"] < ALPHA).mean()))
    told = {
        f"{name}_{fit}": fits[name].count(fit) / simulations
        for name in fits
        for fit in ("singular", "failed")
    }
    return {"slope": slope, **{name: float(np.mean(of)) for name, of in hits.items()}, **told}


#: Areas that are recorded together in sessions: how many, and of how many sessions.
AREAS, TOGETHER = 3, 10


class Together(NamedTuple):
    """How areas of one session go together, where no area differs on average."""

    words: str
    #: The share of the variance of trials that all areas have in common, and by how much each area of each
    #: session differs in how the conditions differ, in SDs of trials.
    in_common: float
    slope: float


AREAS_TOGETHER = {
    "alike": Together("each area on its own", 0.0, 0.0),
    "trials": Together("60 % of the variance of trials is that of all areas", 0.6, 0.0),
    "areas": Together("areas of a session differ in their difference by SD 0.5", 0.0, 0.5),
}


def areas(given: Together, rng: np.random.Generator) -> Any:
    """Return trials of sessions in which all areas are recorded."""
    import pandas as pd

    first, n = np.arange(sum(TRIALS)) < TRIALS[0], sum(TRIALS)
    of_trials = np.sqrt(given.in_common) * rng.normal(size=(TOGETHER, 1, n))
    values = rng.normal(size=(TOGETHER, 1, 1)) + of_trials
    values = values + given.slope * rng.normal(size=(TOGETHER, AREAS, 1)) * first
    values = values + np.sqrt(1 - given.in_common) * rng.normal(size=(TOGETHER, AREAS, n))
    session, area, trial = (at.ravel() for at in np.indices(values.shape))
    columns = {"session": session, "group": area, "differentiation": values.ravel()}
    return pd.DataFrame(columns | {"set": np.where(first[trial], "a", "b")})


def together(name: str, simulations: int) -> dict[str, Any]:
    """Return how often p < 0.05 in an area, of two areas' interaction, and across sessions."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    hits: dict[str, list[float]] = {"slopes": [], "interaction": [], "across": []}
    for _ in range(simulations):
        trials = areas(AREAS_TOGETHER[name], rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dif.DifferentiaWarning)
            found = dif.mixed_model(trials, "a", "b", group="group", slopes=True)
        hits["slopes"].append(float((found["p"] < ALPHA).mean()))
        hits["interaction"].append(float((found["interaction_p"] < ALPHA).mean()))
        found = dif.compare_trials(trials, "a", "b", group="group", permutations=1)
        hits["across"].append(float((found["p_across"] < ALPHA).mean()))
    return {"name": name, **{which: float(np.mean(of)) for which, of in hits.items()}}


FILMS = (
    "mouse montage 1",
    "mouse montage 1, spatial phase scramble",
    "mouse montage 1, temporal phase scramble",
    "mousecam",
    "mousecam, spatial phase scramble",
)


def published() -> Any:
    """Return the trials of the five films of the scrambled pairs."""
    import pandas as pd

    given = pd.read_csv(data_folder() / "neurons" / "openscope_differentiation.csv.gz")
    return given[given["stimulus"].isin(FILMS)]


#: How they are compared.
OPTIONS: dict[str, Any] = {
    "value": "normalized_differentiation",
    "condition": "stimulus_type",
    "group": "layer",
    "log": True,
}


def example() -> tuple[Any, dict[str, Any]]:
    """Compare the published values."""
    trials = published()
    found = dif.compare_trials(trials, "natural", "artificial", **OPTIONS, alternative="greater")
    models = {
        name: dif.mixed_model(trials, "natural", "artificial", **OPTIONS, slopes=slopes)
        for name, slopes in (("intercepts", False), ("slopes", True))
    }
    names = ("mean", "low", "high", "p_across", "p_corrected", "n_significant", "n_sessions")
    rows = []
    for group in found["group"].values:
        one = {name: found[name].sel(group=group).item() for name in names}
        for name, model in models.items():
            for what in ("difference", "error", "p"):
                one[f"{name}_{what}"] = model[what].sel(group=group).item()
        rows.append({"group": str(group), **one})
    variances = {name: float(models["slopes"][name]) for name in ("variance_slope", "variance_trial")}
    return found, {"rows": rows, "variances": variances, "said": dif.say_trials(found)}


def count(simulations: int) -> dict[str, Any]:
    """Simulate, compare, draw, and return what was counted."""
    found, published_values = example()
    draw(found)
    counted: dict[str, Any] = {"simulations": simulations, "published": published_values}
    counted["across"] = [across(name, n, 5 * simulations) for name, n in product(ACROSS, SIZES)]
    counted["families"] = {str(n): families(n, simulations // 2) for n in SIZES}
    counted["of_set"] = [of_set(name, n, simulations) for name, n in product(VALUES, OF_SET)]
    counted["within"] = []
    for name in SESSIONS:
        counted["within"].append(within(name, simulations))
        print(counted["within"][-1], flush=True)
    counted["models"] = []
    for slope in SLOPES:
        counted["models"].append(models(slope, simulations // 4))
        print(counted["models"][-1], flush=True)
    counted["together"] = [together(name, simulations // 10) for name in AREAS_TOGETHER]
    return counted


def draw(found: Any) -> None:
    """Draw the published values."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "differentia"}):
        figure = Figure(dpi=150)
        dif.plot_trials(found, figure)
        figure.savefig(PICTURE)


HEAD = """# Trials, sessions and animals

`dif.compare_trials` asks whether one condition is more differentiated than another: within a session, by
permutation of its trials, and across sessions or animals. `dif.mixed_model` asks the same of all trials at
once. This page has the numbers behind both. (`make figures` writes it, with `docs/write_trials.py`; the
numbers are also in `trials.json`.)

What is claimed here is as wide as the simulations below, and no wider.

## Which to choose

- **Of one session:** the permutation of its trials. It says nothing of another session. Limits and contrasts
  of a result of `measure_states` are of one session, too.
- **Of a kind of session or animal** (a layer, a genotype): the mean over sessions, `p_across`, which counts
  each session once; or over animals (`subject=`), where an animal has several sessions.
- **A mixed model** is for what these can't do, such as differences between groups (its interactions).
  Give it `slopes=True`: the usual model without it, `(1 | session)`, takes all sessions to differ alike.

## Within a session

In how many per cent of {simulations:,} sessions without a difference of means p < 0.05 (known to
± {error:.1f} %, two standard errors; {permutations} permutations each). Asked is at most 6 %; **bold** is
what misses that. *Difference of means*: the same test of the plain difference instead of Welch's t, which
is not used.

"""

WITHIN_TEXT = """
{missed} Where the condition with few trials varies much more, one-sided p is too small, and where values are
skewed as well, so is two-sided p: compare logarithms, or as many trials of both. `say_trials` tells of it
where the SD of the condition with fewer trials is more than {spread:g} times the other's, in the median
session. Runs whose trials resemble each other have to be named (`block`).

## Limits of a result

The value of a set in a result of `measure_states` is the mean over its trials. In how many per cent of
{of_set:,} samples of trials its nominal 95 % interval holds the true mean (asked is 93 to 97 %; **bold**
misses that), and in brackets in how many per cent of {simulations:,} pairs of sets with the same mean
`contrast` has p < 0.05.

"""

ACROSS_TEXT = """
{missed} Few trials of values that skewed, or of which some rare ones are far stronger, tell too little of
their mean: show more of them, or compare logarithms (`compare_trials`).

## Across sessions

In how many per cent of {simulations:,} simulations the nominal 95 % interval holds the true mean difference
(in brackets: lies wholly below, above). Asked is 93 to 97 %. `p_across` is below 0.05 just where the interval
leaves out 0: false positives are what is missing to 100 %.

"""

FAMILIES = """
Where levels differ much between sessions, compare logarithms (`log=True`): as they are, a few strong sessions
decide the mean and its interval. `say_trials` tells of it, and `plot_trials` doubts the interval, where the
SD over sessions of the logarithm of their levels (`level_sd`) is above {levels:g}, a factor of {factor:.2g}.

With three groups, none of which differs, any has a corrected p < 0.05 in so many simulations:
{families}.

## The mixed model

{groups} groups of {sessions} sessions, each with {first} and {second} trials; no group differs on average.
In how many per cent of groups p < 0.05 ({simulations:,} fits of each model, known to ± {error:.1f} %), by how
much sessions differ in their difference (SD, in SDs of trials). *Singular*: per cent of fits in which a
variance, or what two of them share, can't be told from its limit; they are told, and counted here. Fits
that failed ({failed}) have no p, and are counted as not below 0.05.

"""

TOGETHER_TEXT = """
Once sessions differ in how the conditions differ, the model without slopes takes trials for evidence about
sessions, and finds too much: more with more trials. With slopes, and across sessions, that is not so.

That is of groups that have sessions of their own. Where groups are areas recorded together, neither model
knows how they go together, and `mixed_model` tells so. {areas} areas of {sessions} sessions, none of which
differs on average ({simulations} fits; p < 0.05 in per cent of areas, known to ± {error:.1f} % or a little
less well, and of pairs of areas for the interaction):

"""

PUBLISHED = """
Interactions of areas that were recorded together say too little where trials do, and too much where sessions
differ area by area: `compare_trials` takes each area on its own, and corrects over them.

## Published values

Mayner et al. (eNeuro 2022) measured the spectral differentiation of mouse visual cortex in single trials of
films. Of the five films of the scrambled pairs (a montage and a film from a mouse's head, and their
scrambles) natural ones are compared with artificial ones: logarithms to the base 10, one-sided within
sessions.

![The difference of natural and artificial films in each session of three layers: 8 of 15 sessions of layer
2/3 differ, 1 of 15 of layer 4, and none of 14 of layer 5](images/trials.png)

"""

TAIL = """
The tests assert the counts, the mean differences, and the model's 0.1133 with its error of 0.0293 in L2/3.
The model with slopes gives that difference an error of {error:.3f}: sessions do differ in it (variance
{slope:.4f}, that of trials is {trial:.3f}).

What `dif.say_trials` says:

{said}
"""


def quoted(sentences: Sequence[str]) -> str:
    """Return sentences as a quotation, on lines of a width."""
    return textwrap.fill(" ".join(sentences), WIDTH, initial_indent="> ", subsequent_indent="> ")


def percent(share: float, *, bold: bool) -> str:
    """Return a share as it stands in a table."""
    text = f"{100 * share:.1f}"
    return f"**{text}**" if bold else text


def _misses(held: float) -> bool:
    return not WANTED[0] <= round(held, 3) <= WANTED[1]


def _wrapped(text: str) -> str:
    """Return text that follows a table and leads to the next, its first paragraph filled anew."""
    paragraph, rest = text.strip().split("\n\n", 1)
    return f"\n{textwrap.fill(paragraph, WIDTH)}\n\n{rest}\n\n"


def _spread(share: float, n: int) -> float:
    """Return two standard errors of a share, in per cent."""
    return 200 * float(np.sqrt(share * (1 - share) / n))


def _failed(rows: Sequence[Mapping[str, float]]) -> str:
    """Return how many fits failed, with and without slopes, over all rows."""
    shares = (float(np.mean([row[f"{name}_failed"] for row in rows])) for name in ("intercepts", "slopes"))
    return "{:.1f} % without slopes, {:.1f} % with them".format(*(100 * share for share in shares))


def page(counted: Mapping[str, Any]) -> str:
    """Return the page from what was counted."""
    n = counted["simulations"]
    text = HEAD.format(simulations=n, error=_spread(ALPHA, n), permutations=PERMUTATIONS)
    lines = [
        [
            row["name"],
            SESSIONS[row["name"]].words,
            " v ".join(map(str, SESSIONS[row["name"]].n)),
            *(percent(row[side], bold=row[side] > MOST) for side in ("two-sided", "greater", "difference")),
        ]
        for row in counted["within"]
    ]
    head = ["trials", "what they are", "numbers", "two-sided", "one-sided", "difference of means"]
    text += "\n".join(table(head, lines, texts=3)) + "\n"
    missing = [row["name"] for row in counted["within"] if max(row["two-sided"], row["greater"]) > MOST]
    sentence = f"What misses: {'; '.join(missing)}." if missing else "Nothing misses."
    text += _wrapped(WITHIN_TEXT.format(missed=sentence, spread=MOST_SPREAD, simulations=n, of_set=5 * n))
    lines = []
    for name, values in VALUES.items():
        rows = {row["trials"]: row for row in counted["of_set"] if row["name"] == name}
        told = [(rows[size]["held"], rows[size]["differ"]) for size in OF_SET]
        cells = [f"{percent(held, bold=_misses(held))} ({100 * differ:.1f})" for held, differ in told]
        lines.append([name, values.words, *cells])
    head = ["values", "what they are", *(f"{size} trials" for size in OF_SET)]
    text += "\n".join(table(head, lines, texts=2))
    missed = dict.fromkeys(row["name"] for row in counted["of_set"] if _misses(row["held"]))
    sentence = f"What misses: {'; '.join(missed)}." if missed else "Nothing misses."
    text += "\n" + _wrapped(ACROSS_TEXT.format(missed=sentence, simulations=5 * n))
    lines = []
    for name, given in ACROSS.items():
        rows = {row["sessions"]: row for row in counted["across"] if row["name"] == name}
        held = {size: 1 - rows[size]["below"] - rows[size]["above"] for size in SIZES}
        cells = [
            f"{percent(held[size], bold=_misses(held[size]))} "
            f"({100 * rows[size]['below']:.1f}, {100 * rows[size]['above']:.1f})"
            for size in SIZES
        ]
        lines.append([name, given.words, *cells])
    head = ["values", "what they are", *(f"{size} sessions" for size in SIZES)]
    text += "\n".join(table(head, lines, texts=2)) + "\n"
    shares = ", ".join(
        f"{100 * share:.1f} % ({size} sessions)" for size, share in counted["families"].items()
    )
    tests = n // 4 * GROUPS
    text += FAMILIES.format(
        families=shares,
        levels=MOST_LEVELS,
        factor=np.exp(MOST_LEVELS),
        groups=GROUPS,
        sessions=OF_GROUP,
        first=TRIALS[0],
        second=TRIALS[1],
        simulations=n // 4,
        error=_spread(ALPHA, tests),
        failed=_failed(counted["models"]),
    )
    lines = [
        [
            f"{row['slope']:g}",
            *(percent(row[name], bold=row[name] > MOST) for name in ("intercepts", "slopes", "across")),
            *(f"{100 * row[f'{name}_singular']:.0f}" for name in ("intercepts", "slopes")),
        ]
        for row in counted["models"]
    ]
    head = ["SD", "(1 \\| session)", "with slopes", "across sessions", "singular", "singular, slopes"]
    text += "\n".join(table(head, lines, texts=0)) + "\n"
    error = _spread(ALPHA, n // 10 * AREAS)
    text += TOGETHER_TEXT.format(areas=AREAS, sessions=TOGETHER, simulations=n // 10, error=error)
    lines = [
        [
            AREAS_TOGETHER[row["name"]].words,
            *(percent(row[name], bold=row[name] > MOST) for name in ("slopes", "interaction", "across")),
        ]
        for row in counted["together"]
    ]
    head = ["areas", "with slopes", "interaction, with slopes", "across sessions"]
    text += "\n".join(table(head, lines)) + "\n" + PUBLISHED
    found = counted["published"]
    lines = [
        [
            row["group"],
            f"{row['n_significant']} of {row['n_sessions']}",
            f"{row['mean']:.4f} [{row['low']:.3f}, {row['high']:.3f}]",
            f"{row['p_across']:.3f}",
            f"{row['p_corrected']:.3f}",
            *(f"{row[f'{name}_error']:.4f} ({row[f'{name}_p']:.4f})" for name in ("intercepts", "slopes")),
        ]
        for row in found["rows"]
    ]
    head = ["layer", "sessions with p < 0.05", "mean difference", "p across", "corrected"]
    text += "\n".join(table([*head, "model: error (p)", "with slopes: error (p)"], lines)) + "\n"
    first, variances = found["rows"][0], found["variances"]
    return text + TAIL.format(
        error=first["slopes_error"],
        slope=variances["variance_slope"],
        trial=variances["variance_trial"],
        said=quoted(found["said"]),
    )


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=4000)
    counted = count(parser.parse_args().simulations)
    COUNTED.write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(counted), encoding="utf-8")


if __name__ == "__main__":
    main()
