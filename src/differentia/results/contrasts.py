"""Two sets compared: how their differentiation differs, layer by layer, and whether by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations, pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from differentia.errors import InputError, require_known
from differentia.results.confidence import SCORES, freedom_of
from differentia.results.dataset import set_rows
from differentia.results.draws import draw_mean
from differentia.results.intervals import (
    CONFIDENCE,
    counts_told,
    largest_values,
    require_confidence,
    side_by_side,
    with_confidences,
)
from differentia.results.references import compared_sets
from differentia.results.schema import LIMITS, checked
from differentia.results.subject import facts_of, subject_of
from differentia.results.summaries import layer_names
from differentia.system.progress import Progress, require_progress, shown_progress, tell_nobody
from differentia.system.random import generator_of

if TYPE_CHECKING:
    import xarray as xr

#: Sets are said to differ in a layer where the p that is corrected over layers lies below it.
SIGNIFICANT = 0.05

#: Sets at most of which every two are compared unasked.
MOST_SETS = 4

#: How often the largest of all scores is drawn where there is no difference.
DRAWS = 20_000

#: Draws that are held at once.
_AT_ONCE = 1000

#: How probable the score of one of two sets is.
_WEIGHTS = np.exp(-(SCORES**2) / 2) / np.exp(-(SCORES**2) / 2).sum()

#: Differences that are gone through for the limits.
_DIFFERENCES = 400

#: So near to 1 the correlation of two sets may come.
_MOST_CORRELATED = 0.999

#: Values that differ by less, as a share of them, are the same but for rounding.
_ROUNDING = 1e-6

#: What a contrast holds of each layer, and of its own making.
CONTRAST_VALUES = (
    *("difference", "difference_low", "difference_high"),
    *("difference_low_simultaneous", "difference_high_simultaneous"),
    *("ratio", "ratio_low", "ratio_high", "ratio_low_simultaneous", "ratio_high_simultaneous"),
    *("statistic", "p", "p_corrected"),
)
CONTRAST_FACTS = ("first", "second", "units", "n_units", "confidence", "paired", "corrected_over", "n_tests")


class Known(NamedTuple):
    """What is known of the value of one set in one layer."""

    value: float
    log_limit: Float[np.ndarray, " score"]  # see `Confidence`
    freedom: float
    error: float  # the standard error of its logarithm
    most: float = np.inf  # the largest value that the definition allows

    @property
    def logs(self) -> Float[np.ndarray, " score"]:
        """The logarithm of the value at each of `SCORES`."""
        return np.minimum(np.log(self.value) + self.log_limit, np.log(self.most))


class Compared(NamedTuple):
    """Two sets compared in one layer."""

    score: float  # a normal one: how far above 0 the difference lies
    freedom: float
    one: Known
    other: Known
    correlation: float

    @property
    def p(self) -> float:
        """The two-sided probability of a score so far from 0."""
        return float(2 * stdtr(self.freedom, -abs(self.score)))

    def limits(self, reach: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the limits of the difference and of the ratio, so many normal scores away."""
        of_t = -float(stdtrit(self.freedom, ndtr(-reach)))
        with np.errstate(over="ignore"):
            one, other = self.one.logs, self.other.logs
            differences = _limits(np.exp(one), np.exp(other), self.correlation, of_t)
            low, high = np.exp(_limits(one, other, self.correlation, of_t))
        return differences, (float(low), float(high))


def compare(one: Known, other: Known, *, correlation: float = 0.0, freedom: float | None = None) -> Compared:
    """Compare two sets whose errors have a correlation.

    The degrees of freedom are by default those of two independent errors (Welch 1947).
    """
    if freedom is None:
        squares = one.error**2, other.error**2
        parts = squares[0] ** 2 / one.freedom + squares[1] ** 2 / other.freedom
        freedom = sum(squares) ** 2 / parts if parts > 0 else min(one.freedom, other.freedom)
    score = -float(difference_scores(one.logs, other.logs, correlation, np.zeros(1))[0])
    return Compared(score, freedom, one, other, correlation)


def difference_scores(
    one: Float[np.ndarray, " score"],
    other: Float[np.ndarray, " score"],
    correlation: float,
    differences: Float[np.ndarray, " d"],
) -> Float[np.ndarray, " d"]:
    """Return the normal score of each difference of two sets, whose values at each of `SCORES` are given."""
    # The two confidence distributions, folded: of each value that the first may have, how probable it is that
    # the second lies above it by the difference.
    other = np.maximum.accumulate(other) + 1e-13 * np.abs(other).max() * np.arange(len(other))
    of_other = np.interp(one - differences[:, np.newaxis], other, SCORES, left=-40.0, right=40.0)
    apart = (of_other - correlation * SCORES) / np.sqrt(1 - correlation**2)
    above, below = ndtr(-apart) @ _WEIGHTS, ndtr(apart) @ _WEIGHTS
    smaller = np.clip(np.minimum(above, below), ndtr(SCORES[0]), 0.5)
    scores: Float[np.ndarray, " d"] = np.where(above < below, 1, -1) * ndtri(smaller)
    return scores


def _limits(
    one: Float[np.ndarray, " score"], other: Float[np.ndarray, " score"], correlation: float, reach: float
) -> tuple[float, float]:
    """Return the differences whose scores lie so far from 0."""
    # 0 is among those gone through: so a limit lies on the side of 0 on which the score of 0 says it does.
    least, most = one[0] - other[-1], one[-1] - other[0]
    centre = np.interp(0.0, SCORES, one) - np.interp(0.0, SCORES, other)
    # Nearer to the centre they are closer to each other.
    shares = np.linspace(0, 1, _DIFFERENCES // 2) ** 3
    around = [centre + shares * (end - centre) for end in (least, most) if np.isfinite(end)]
    differences = np.unique(np.concatenate([*around, [0.0]]))
    scores = np.maximum.accumulate(difference_scores(one, other, correlation, differences))
    scores = scores + 1e-12 * np.arange(len(scores))
    low, high = np.interp([-reach, reach], scores, differences)
    return float(low), float(high)


@checked
def contrast(
    result: xr.Dataset, first: str, second: str, *, paired: bool = False, confidence: float | None = None
) -> xr.Dataset:
    """Compare two sets at each layer: their difference, their ratio, and how probable that is by chance.

    Both are compared at the largest number of units, over images. Their confidence distributions are folded;
    p is the inversion of the limits that follow: it lies below ``1 - confidence`` exactly where the limits of
    the difference leave out 0, and those of the ratio 1. The degrees of freedom are Welch's. Images that both
    sets show, which are known by their content, count as one. With `paired`, names alone tell which belong
    together, and of recorded responses, whose stimuli are not known, nothing else does. Copies within a set
    are not allowed for (`say_copies`).

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    first, second
        Names of two sets.
    paired
        Images of the two sets belong together, two by two, by their names (the same pictures changed in some
        way), or, in arrays, by their places. Pairs of images that have nothing in common do no harm.
    confidence
        Of the limits, from 0.5 to below 1; by default that of the result's intervals.

    Returns
    -------
    xarray.Dataset
        By layer: ``difference`` (first minus second) and ``ratio`` (first over second), each with ``_low``
        and ``_high``, and with ``_low_simultaneous`` and ``_high_simultaneous``, which hold for all layers
        together; ``statistic``, how many normal scores the difference lies above 0; ``p``; and
        ``p_corrected``, of the largest score of all layers (Hothorn, Bretz and Westfall 2008), whose
        correlation is that of the images' influences. NaN where either set has no limits, or none that can be
        trusted (`doubts`).

    Raises
    ------
    InputError
        There is no such set, the two are one, images do not belong together two by two, or the confidence
        can't be used.
    """
    for name in (first, second):
        require_known("set", name, [str(known) for known in result["set"].values])
    if first == second:
        raise InputError(f"both sets are {first!r}; name two different sets to compare")
    if not isinstance(paired, bool | np.bool_):
        raise InputError(f"paired is {paired!r}; expected True or False")
    return _contrasts(result, [(first, second)], paired, confidence)[0]


@checked
def contrasts_between_sets(
    result: xr.Dataset,
    *,
    paired: bool = False,
    confidence: float | None = None,
    progress: Progress | bool | None = None,
) -> list[xr.Dataset]:
    """Compare every two sets beside the references; where there is one such set only, it and its reference.

    There is nothing for more than four such sets, nor of a pair that can be compared in no layer. Corrected p
    and simultaneous limits allow for all pairs and layers together. Of progress, as for `measure`, there is
    one stage, ``contrasts``, which counts pairs of sets.
    """
    require_progress(progress)
    compared = compared_sets(result)
    if not 2 <= len(compared) <= MOST_SETS:
        return []
    counts = {name: len(set_rows(result, name)) for name in compared}
    least, _ = counts_told(result)
    pairs = [pair for pair in combinations(compared, 2) if min(counts[name] for name in pair) >= least]
    if not pairs:
        return []
    with shown_progress(progress) as report:
        found = _contrasts(result, pairs, paired, confidence, report)
    return [one for one in found if bool(one["p"].notnull().any())]


def contrasts_of(results: Mapping[str, xr.Dataset]) -> list[xr.Dataset]:
    """Return the contrasts of the first of several results, where it has intervals."""
    first = next(iter(results.values()))
    return contrasts_between_sets(first) if LIMITS[0] in first else []


def _contrasts(
    result: xr.Dataset,
    pairs: Sequence[tuple[str, str]],
    paired: bool,
    confidence: float | None,
    progress: Progress = tell_nobody,
) -> list[xr.Dataset]:
    """Compare pairs of sets; p and limits are corrected over all of them and all layers."""
    if confidence is None:
        confidence = float(result[LIMITS[0]].attrs["confidence"]) if LIMITS[0] in result else CONFIDENCE
    require_confidence(confidence)
    sets = _Sets(with_confidences(result))
    n_layers = result.sizes["layer"]
    shared = {pair: sets.same_images(*pair, paired=paired) for pair in pairs}
    compared: list[Compared | None] = []
    for done, pair in enumerate(pairs):
        progress(done, len(pairs), "contrasts")
        compare_in = partial(sets.compare, *pair, shared=shared[pair])
        compared += side_by_side(compare_in, range(n_layers))
    progress(len(pairs), len(pairs), "contrasts")
    # Of t distributions with different degrees of freedom, scores of one normal distribution.
    alone = np.array([np.nan if one is None else one.p for one in compared])
    scores = np.abs(ndtri(np.maximum(alone, 1e-300) / 2))
    places = sets.places(shared)
    influences = [sets.influence_on_difference(*pair, places) for pair in pairs]
    largest = largest_scores(
        np.concatenate(influences, axis=1)[:, np.isfinite(alone)], result.attrs["seed"], *map(str, pairs)
    )
    corrected = np.where(np.isfinite(alone), np.maximum(corrected_p(scores, largest), alone), np.nan)
    reach = float(-ndtri((1 - confidence) / 2))
    reaches = reach, max(reach, reach_of_all(largest, confidence))
    found = []
    for at, pair in enumerate(pairs):
        of_pair = slice(at * n_layers, (at + 1) * n_layers)
        values = _arranged(compared[of_pair], reaches)
        values |= {"p": alone[of_pair], "p_corrected": corrected[of_pair]}
        found.append(_as_dataset(result, pair, values, sets))
        found[-1].attrs |= {
            "confidence": float(confidence),
            "paired": int(paired),
            "corrected_over": "layers" if len(pairs) == 1 else "layers and pairs of sets",
            "n_tests": int(np.isfinite(alone).sum()),
        }
    return found


def _arranged(
    compared: Sequence[Compared | None], reaches: tuple[float, float]
) -> dict[str, Float[np.ndarray, " layer"]]:
    """Return the statistic and limits of a pair, by layer."""
    names = [
        f"{what}_{end}{suffix}"
        for suffix in ("", "_simultaneous")
        for what in ("difference", "ratio")
        for end in ("low", "high")
    ]
    values = {name: np.full(len(compared), np.nan) for name in ("statistic", *names)}
    for layer, one in enumerate(compared):
        if one is not None:
            values["statistic"][layer] = one.score
            limits = [end for reach in reaches for of_what in one.limits(reach) for end in of_what]
            for name, limit in zip(names, limits, strict=True):
                values[name][layer] = limit
    return values


def _as_dataset(result: xr.Dataset, pair: tuple[str, str], values: dict[str, Any], sets: _Sets) -> xr.Dataset:
    import xarray as xr

    one, other = (sets.values[name] for name in pair)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_values = {"difference": one - other, "ratio": np.where(other > 0, one / other, np.nan)}
    return xr.Dataset(
        {name: ("layer", {**of_values, **values}[name]) for name in CONTRAST_VALUES},
        coords={"layer": result["layer"].values},
        attrs={
            "first": pair[0],
            "second": pair[1],
            "n_units": int(result["n_units"].max()),
            "units": str(result["units"].item()),
            **facts_of(subject_of(result)),
        },
    )


class _Sets:
    """What is known of each set of a result that has confidence distributions, at most units."""

    def __init__(self, result: xr.Dataset) -> None:
        at = {"n_units": int(result["n_units"].max())}
        names = [str(name) for name in result["set"].values]
        self.rows = {name: set_rows(result, name) for name in names}
        means = draw_mean(result["differentiation"], result).transpose("set", "layer", "n_units").sel(at)
        self.values = dict(zip(names, means.values, strict=True))
        here = {name: result[name].sel(at) for name in ("log_limit", "freedom", "doubt", "influence")}
        self._log_limit, self._freedom, self._doubt = (
            dict(zip(names, here[name].values, strict=True)) for name in ("log_limit", "freedom", "doubt")
        )
        influence = here["influence"].values.astype(np.float64)
        self._influence = {name: influence[rows] for name, rows in self.rows.items()}
        self._most = dict(zip(names, largest_values(result).values.tolist(), strict=True))
        self._hashes, self._names = (
            result[label].values.astype(str) for label in ("image_hash", "image_name")
        )

    def same_images(self, first: str, second: str, *, paired: bool) -> Int[np.ndarray, "m 2"]:
        """Return which images of two sets are the same, or belong together: their places in each."""
        if not paired:
            one, other = (_by_key(self._hashes[self.rows[name]]) for name in (first, second))
            both = [(one[key], other[key]) for key in one if key in other]
            return np.array(both, dtype=np.int64).reshape(-1, 2)
        keys = [_by_key(self._names[self.rows[name]]) for name in (first, second)]
        if keys[0].keys() != keys[1].keys():  # the same pictures in another format
            without = [{str(PurePath(name).with_suffix("")): at for name, at in one.items()} for one in keys]
            # ... or below other folders
            bare = [{PurePath(name).stem: at for name, at in one.items()} for one in keys]
            agree = without[0].keys() == without[1].keys()
            keys = without if agree or any(map(_folders_tell, keys)) else bare
        lone = sorted(keys[0].keys() ^ keys[1].keys())
        counts = [len(self.rows[name]) for name in (first, second)]
        if lone or counts != [len(of_set) for of_set in keys]:
            what = f"{lone[0]!r} has no partner" if lone else "some images have the same name, or none"
            raise InputError(
                f"paired: the {counts[0]:,} images of {first!r} and the {counts[1]:,} of {second!r} do not "
                f"belong together two by two ({what}); give both sets the same names, each once, or compare "
                "them unpaired"
            )
        return np.array([(place, keys[1][key]) for key, place in keys[0].items()])

    def known(self, name: str, layer: int) -> Known | None:
        """Return what is known of a set; None where nothing is, or nothing that can be trusted."""
        value, freedom = float(self.values[name][layer]), float(self._freedom[name][layer])
        if self._doubt[name][layer] != "" or not (np.isfinite(freedom) and value > 0):
            return None
        influence = self._influence[name][:, layer]
        error = float(influence.std(ddof=1) / np.sqrt(len(influence)))
        log_limit = self._log_limit[name][layer].astype(np.float64)
        return Known(value, log_limit, freedom, error, max(self._most[name], value))

    def compare(self, first: str, second: str, layer: int, shared: Int[np.ndarray, "m 2"]) -> Compared | None:
        """Compare two sets, of which some images are the same; None where that can't be done."""
        one, other = self.known(first, layer), self.known(second, layer)
        if one is None or other is None:
            return None
        if not len(shared):
            return compare(one, other)
        all_of_them = [self._influence[name][:, layer] / len(self.rows[name]) for name in (first, second)]
        of_sets = [influence[shared[:, at]] for at, influence in enumerate(all_of_them)]
        scale = float(np.prod([np.linalg.norm(influence) for influence in all_of_them]))
        correlation = float(of_sets[0] @ of_sets[1]) / scale if scale > 0 else 0.0
        freedom = None
        if len(shared) == len(self.rows[first]) == len(self.rows[second]):
            freedom = freedom_of(of_sets[0] - of_sets[1])
        correlation = float(np.clip(correlation, -_MOST_CORRELATED, _MOST_CORRELATED))
        if correlation == _MOST_CORRELATED and abs(one.value / other.value - 1) < _ROUNDING:
            other = other._replace(value=one.value)  # the same responses: no rounding may tell them apart
        return compare(one, other, correlation=correlation, freedom=freedom)

    def influence_on_difference(
        self, first: str, second: str, places: Int[np.ndarray, " image"]
    ) -> Float[np.ndarray, "image layer"]:
        """Return the influence of each image on the difference of logarithms, at its place in all sets."""
        found = np.zeros((len(self._names), len(self.values[first])))
        for name, sign in ((first, 1.0), (second, -1.0)):
            rows = self.rows[name]
            np.add.at(found, places[rows], sign * self._influence[name] / len(rows))
        return found

    def places(self, shared: Mapping[tuple[str, str], Int[np.ndarray, "m 2"]]) -> Int[np.ndarray, " image"]:
        """Return one place for each image, the same for those that are the same in several sets."""
        places = np.arange(len(self._names))
        for (first, second), pairs in shared.items():
            one, other = self.rows[first][pairs[:, 0]], self.rows[second][pairs[:, 1]]
            for here, there in zip(places[one], places[other], strict=True):
                places[places == max(here, there)] = min(here, there)
        return places


def _by_key(keys: np.ndarray) -> dict[str, int]:
    """Return the place of each key that is not empty."""
    return {str(key): place for place, key in enumerate(keys) if key}


def _folders_tell(names: Mapping[str, int]) -> bool:
    """Return whether images of one set lie in different folders, which are then a part of their names."""
    return len({PurePath(name).parent for name in names}) > 1


def largest_scores(influences: Float[np.ndarray, "image test"], *parts: object) -> Float[np.ndarray, " draw"]:
    """Draw the largest score of several tests whose errors images have in common, in ascending order."""
    scales = np.sqrt((influences**2).sum(axis=0))
    if not influences.shape[1]:
        return np.zeros(0)
    each = influences / np.where(scales > 0, scales, 1.0)
    generator = generator_of("contrasts", *parts)
    ends = [*range(0, DRAWS, _AT_ONCE), DRAWS]
    drawn = (generator.standard_normal((stop - start, len(each))) @ each for start, stop in pairwise(ends))
    return np.sort(np.concatenate([np.abs(scores).max(axis=1) for scores in drawn]))


def corrected_p(
    scores: Float[np.ndarray, " test"], largest: Float[np.ndarray, " draw"]
) -> Float[np.ndarray, " test"]:
    """Return how often the largest score reaches each; what was observed counts as one of the draws."""
    reached = len(largest) - np.searchsorted(largest, scores)
    return (1 + reached) / (1 + len(largest))


def reach_of_all(largest: Float[np.ndarray, " draw"], confidence: float) -> float:
    """Return the score above which `corrected_p` falls below what is left of the confidence."""
    if not len(largest):
        return np.inf
    allowed = int(np.ceil((1 - confidence) * (1 + len(largest)) - 1e-9)) - 2  # draws that may reach a score
    return float(largest[-1 - allowed]) if allowed >= 0 else np.inf


def require_contrast(given: Any) -> None:
    """Raise an error for what is no contrast."""
    facts = getattr(given, "attrs", {})  # which a Dataset has
    if not ({*CONTRAST_FACTS} <= {*facts} and {*CONTRAST_VALUES} <= {*given}):
        raise InputError(
            f"this {type(given).__name__} is not a contrast; expected what contrast(result, first, second) "
            "returned"
        )


def require_contrasts(results: Mapping[str, xr.Dataset], contrasts: Sequence[xr.Dataset]) -> None:
    """Raise an error unless every contrast is of one of the results, which are given by kind of units."""
    import xarray as xr

    if isinstance(contrasts, xr.Dataset):
        raise InputError("contrasts= is one Dataset; expected a list of them: contrasts=[contrast(...)]")
    for given in contrasts:
        require_contrast(given)
        about = given.attrs
        pair = f"the contrast of {about['first']!r} and {about['second']!r}"
        if about["units"] not in results:
            raise InputError(
                f"{pair} is of {about['units']!r} units; the results are of {', '.join(results)} units: "
                "compare sets of one of these"
            )
        result = results[about["units"]]
        sets = (about["first"], about["second"])
        for what, name in (*(("set", one) for one in sets), *(("layer", one) for one in layer_names(given))):
            if name not in (known := result[what].values.astype(str).tolist()):
                raise InputError(
                    f"{pair} has the {what} {name!r}, which the result does not have "
                    f"({', '.join(known)}); compare the sets of this result: contrast(result, first, second)"
                )
        if about["n_units"] != (largest := int(result["n_units"].max())):
            raise InputError(
                f"{pair} is of {about['n_units']:,} units; the result's largest number of units is "
                f"{largest:,}: compare the sets of this result: contrast(result, first, second)"
            )
