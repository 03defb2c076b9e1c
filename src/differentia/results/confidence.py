"""How well the differentiation of one set is known: where the value of all images of its kind may lie.

Nothing is resampled. For a threshold x, the share H(x) of the pairs whose distance is at most x is a
U-statistic, whose standard error follows from leaving out one image at a time; so does that of the SD of all
responses, and the correlation of the two. A value t is the median over the SD. How probable it is that the
true value lies below t is how probable it is that half of the pairs lie below t sigma, averaged over all
errors that sigma may have. This gives a confidence distribution, whose quantiles are the limits at every
confidence. No density is estimated: where distances are few or fall into groups, limits lie at the distances
that there are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr, ndtri, stdtrit

#: The smallest number of images of which limits are told.
LEAST_IMAGES = 10

#: The same of trials, each of which has a value of its own.
LEAST_TRIALS = 3

#: The normal scores at which a confidence distribution is kept.
SCORES = np.linspace(-8.0, 8.0, 161)

#: Thresholds are so many standard errors of a share from a half, on each side.
_REACH = np.linspace(-8.0, 8.0, 129)

#: Errors of the SD that are gone through, in standard errors, and how probable each is.
_ERRORS = np.linspace(-6.0, 6.0, 61)
_WEIGHTS = np.exp(-(_ERRORS**2) / 2) / np.exp(-(_ERRORS**2) / 2).sum()

#: Values that are gone through between the least and the largest possible one.
_VALUES = 400

#: Distances that differ by less, as a share of them, are the same but for rounding.
_ROUNDING = 2e-6

#: So near to 1 a correlation may come.
_MOST_CORRELATED = 0.999

#: The smallest share of the variance that may be left without one image.
_LEAST_LEFT = 1e-6

#: Why limits of values of windows of one stretch of time are not to be trusted.
WINDOWS = "windows"

#: Degrees of freedom of limits over trials, as a share of `freedom_of`. Those are for the images of a set, of
#: which there are ten or more; of 4 to 15 skewed values they held the mean too seldom (docs/trials.md).
_OF_TRIALS = 0.8

# Why others are not: see `Sample.doubt`. The bounds are those of docs/coverage.md.
STRONG_IMAGES, LONG_TAIL, GAP = "strong images", "long tail", "gap"
_STRONG, _FAR, _MOST_STRONG, _LONG, _WIDE, _MOST_OF_ALL = 5.0, np.log(3.0), 0.05, 1.0, 0.1, 0.3

# The share of the strongest images that tell how long a tail is, and on whose line yet stronger ones lie.
_TOP = 0.2

# They can be foretold where strengths vary little (the SD of their logarithm), or, of this many images,
# where the upper half is not steep (the same SD, if they are log-normal) or the tail is short. The bounds are
# those of docs/coverage.md.
_LITTLE, _FEWEST_OF_TAIL, _STEEP, _SHORT = 0.7, 30, 0.9, 0.2


@dataclass(frozen=True)
class Confidence:
    """The confidence distribution of the logarithm of a value, and what its error depends on."""

    #: Quantiles at `SCORES`, less the logarithm of the value.
    log_limit: Float[np.ndarray, " score"]
    #: How many degrees of freedom the standard error has.
    freedom: float
    #: Of each image on the logarithm of the value: their SD over the root of their number is its standard
    #: error.
    influence: Float[np.ndarray, " n"]
    #: Why the limits are not to be trusted; "" where they are.
    doubt: str


@dataclass(frozen=True)
class Sample:
    """The responses to the images of one set, as far as the measure and its error depend on them."""

    distances: Float[np.ndarray, "n n"]  # as the measure has them, up to a factor that all have in common
    #: Of each image's responses, over units, in any unit; None where distances are not divided by an SD.
    means: Float[np.ndarray, " n"] | None = None
    square_means: Float[np.ndarray, " n"] | None = None

    @property
    def n_images(self) -> int:
        return len(self.distances)

    def confidence(self) -> Confidence | None:
        """Return the confidence distribution; None where the value is 0 or there are too few images."""
        return self._confidence

    @cached_property
    def _confidence(self) -> Confidence | None:
        if self.n_images < LEAST_IMAGES or not len(self._thresholds) or not self._median > 0:
            return None
        if self._powers is not None and not (np.isfinite(self._sigma_influence).all() and self._powers.any()):
            return None
        freedom = freedom_of(self.influence)
        log_limit = self._log_limits(self.n_images) - np.log(self._median)
        return Confidence(log_limit, freedom, self.influence, self.doubt)

    def expected(self, n_images: int) -> Confidence | None:
        """Return the confidence distribution that so many images of the same kind would give."""
        known = self._confidence
        if known is None:
            return None
        log_limit = self._log_limits(n_images) - np.log(self._median)
        freedom = float(np.clip(known.freedom * self._growth(n_images)[1], 2.0, n_images - 1.0))
        return replace(known, log_limit=log_limit, freedom=freedom)

    @cached_property
    def _pairs(self) -> Float[np.ndarray, " p"]:
        """The distance of every pair, ascending."""
        return np.sort(self.distances[np.triu_indices(self.n_images, k=1)])

    @cached_property
    def _median(self) -> float:
        return float(np.median(self._pairs))

    @cached_property
    def _thresholds(self) -> Float[np.ndarray, " x"]:
        """Distances around the median, each of them once."""
        shares = (self.distances <= self._median).mean(axis=1)
        error = max(2 * shares.std() / np.sqrt(self.n_images), 0.5 / self.n_images)
        ranks = np.round((0.5 + error * _REACH) * len(self._pairs) - 0.5).astype(int)
        found = self._pairs[np.unique(np.clip(ranks, 0, len(self._pairs) - 1))].astype(np.float64)
        found = found[found > 0]
        return found[np.diff(found, prepend=0.0) > 2 * _ROUNDING * found]

    @cached_property
    def _nearer(self) -> Float[np.ndarray, "n x_2"]:
        """Of each image, the share of its pairs that are nearer than each threshold, and at most as far."""
        edges = np.stack([self._thresholds * (1 - _ROUNDING), self._thresholds * (1 + _ROUNDING)], axis=1)
        distances = self.distances.astype(np.float64)
        np.fill_diagonal(distances, np.inf)
        places = np.searchsorted(edges.ravel(), distances)
        width, n = edges.size + 1, self.n_images
        places += width * np.arange(n)[:, np.newaxis]
        counts = np.bincount(places.ravel(), minlength=n * width).reshape(n, width)
        return counts.cumsum(axis=1)[:, :-1] / (n - 1)

    @cached_property
    def _share_influence(self) -> Float[np.ndarray, "n x_2"]:
        """Of each image on the share of pairs: what leaving it out changes, times the number of others."""
        change = 2 * (self._nearer - self._nearer.mean(axis=0)) * (self.n_images - 1) / (self.n_images - 2)
        return change - change.mean(axis=0)

    @cached_property
    def _share_scores(self) -> Float[np.ndarray, " x_2"]:
        """How many standard errors each share lies above a half."""
        return self._scores(np.sqrt(self._share_variance(self.n_images)), self.n_images)

    def _scores(self, deviations: Float[np.ndarray, " x_2"], n_images: int) -> Float[np.ndarray, " x_2"]:
        """Return how many standard errors each share lies above a half, for influences with these SDs."""
        return (self._nearer.mean(axis=0) - 0.5) / np.maximum(deviations / np.sqrt(n_images), 1e-6)

    def _share_variance(self, n_images: int) -> Float[np.ndarray, " x_2"]:
        """Return the variance that influences on each share would have with so many images."""
        variance = self._share_influence.var(axis=0, ddof=1)
        if n_images == self.n_images:
            return variance
        # That a pair is near is the sum of what either image tends to, and of what the pair has of its own
        # (Hoeffding 1948). The variance of the first is the same whatever the number of images is; the second
        # is averaged over the pairs of an image, so its part falls with their number.
        of_pair = (share := self._nearer.mean(axis=0)) * (1 - share)
        others = self.n_images - 2
        of_image = (variance - 4 * of_pair / others) / (4 - 8 / others)
        of_image = np.clip(of_image, 0.0, of_pair / 2)
        return 4 * of_image + 4 * (of_pair - 2 * of_image) / (n_images - 2)

    @cached_property
    def _powers(self) -> Float[np.ndarray, " n"] | None:
        """Of each image, the mean square of its responses less the mean of all."""
        if self.means is None or self.square_means is None:
            return None
        centre = self.means.mean()
        return np.maximum(self.square_means - 2 * centre * self.means + centre**2, 0.0)

    @cached_property
    def _sigma_influence(self) -> Float[np.ndarray, " n"]:
        """Of each image on the logarithm of the SD, by leaving it out."""
        if self._powers is None or self.means is None:
            return np.zeros(self.n_images)
        n, total, means = self.n_images, self._powers.sum(), self.means - self.means.mean()
        without = (total - self._powers) / (n - 1) - (means / (n - 1)) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            change = -(n - 1) / 2 * np.log(np.maximum(without / (total / n), _LEAST_LEFT))
        return change - change.mean()

    def _growth(self, n_images: int) -> tuple[float, float]:
        """Return by what the SD of the SD's influences, and its degrees of freedom, would be multiplied.

        More images have stronger ones among them than any at hand, if their strengths have a long tail.
        """
        if n_images == self.n_images:
            return 1.0, 1.0
        if self._powers is None:
            return 1.0, n_images / self.n_images
        logs = np.sort(_excess(self._powers))
        known, more = (np.exp(_typical(logs, n)) for n in (self.n_images, n_images))
        known, more = known / known.mean(), more / more.mean()
        spread = more.std(ddof=1) / known.std(ddof=1) if known.std() > 0 else 1.0
        return float(spread), freedom_of(more) / freedom_of(known)

    @cached_property
    def foreseen(self) -> bool:
        """Whether the strengths of more images can be foretold from those at hand."""
        if self._powers is None:
            return True
        logs = np.sort(_excess(self._powers))
        if logs.std(ddof=1) < _LITTLE:
            return True
        if self.n_images < _FEWEST_OF_TAIL:
            return False
        # From few images it may be so much steeper than it seems.
        steep = _steepness(logs, 0.5) * (1 + 2 / np.sqrt(self.n_images)) >= _STEEP
        return not steep or self._tail < _SHORT

    @property
    def _tail(self) -> float:
        """The mean excess of the strongest over others (Hill 1975), times how far it reaches."""
        assert self._powers is not None
        excess = np.sort(_excess(self._powers))[::-1]
        most = excess[: max(3, round(_TOP * self.n_images)) + 1]
        return float((most[:-1] - most[-1]).mean() * most[0]) / _furthest(self.n_images)

    @cached_property
    def influence(self) -> Float[np.ndarray, " n"]:
        """Of each image on the logarithm of the value, to first order."""
        # Where the share is one standard error from a half, on both sides, tells how the median follows it.
        scores = self._share_scores.reshape(-1, 2).mean(axis=1)
        logs = np.log(self._thresholds)
        low, high = np.interp([-1.0, 1.0], np.maximum.accumulate(scores), logs)
        nearest = int(np.argmin(np.abs(scores)))
        of_share = self._share_influence[:, 2 * nearest : 2 * nearest + 2].mean(axis=1)
        error = of_share.std(ddof=1) / np.sqrt(self.n_images)
        slope = (high - low) / 2 / error if error > 1e-9 else 0.0
        return -slope * of_share - self._sigma_influence

    def _log_limits(self, n_images: int) -> Float[np.ndarray, " score"]:
        """Return the logarithm of the value at each of `SCORES`, times the SD, with so many images."""
        # At a threshold the share jumps, from that of nearer pairs to that with those just as far.
        logs = np.repeat(np.log(self._thresholds), 2) + np.tile([-1e-9, 1e-9], len(self._thresholds))
        deviations = np.sqrt(self._share_variance(n_images))
        scores = self._scores(deviations, n_images)
        error = self._sigma_influence.std(ddof=1) / np.sqrt(n_images) * self._growth(n_images)[0]
        if not error > 0:
            return np.interp(SCORES, *_ascending(scores, logs))
        errors = deviations * self._sigma_influence.std(ddof=1)
        products = self._share_influence.T @ self._sigma_influence / (self.n_images - 1)
        correlations = np.clip(products / np.maximum(errors, 1e-12), -_MOST_CORRELATED, _MOST_CORRELATED)
        # The mean of all entries is estimated, and the log of a studentised mean of log-normal powers is too
        # small by twice the square of its error.
        assert self.means is not None
        assert self._powers is not None
        bias = 2 * error**2 + np.log1p(self.means.var(ddof=1) / n_images / self._powers.mean()) / 2
        values = np.linspace(logs[0] - 4 * error, logs[-1] + 4 * error, _VALUES)
        # Of a value, the threshold that each error of the SD makes of it.
        at = values[:, np.newaxis] - error * _ERRORS
        known = np.interp(at, logs, scores, left=-50.0, right=50.0)
        together = np.interp(at, logs, correlations)
        below = ndtr((known - together * _ERRORS) / np.sqrt(1 - together**2)) @ _WEIGHTS
        of_values = ndtri(np.clip(below, 1e-16, 1 - 1e-16))
        return np.interp(SCORES, *_ascending(of_values, values - bias))

    @cached_property
    def doubt(self) -> str:
        """Why no method can tell the limits from these images; "" where nothing is known against them."""
        if self._powers is not None:
            excess = _excess(self._powers)
            spread = 1.4826 * float(np.median(np.abs(excess)))
            strong = int((excess > max(_STRONG * _furthest(self.n_images) * spread, _FAR)).sum())
            if 0 < strong < max(2, _MOST_STRONG * self.n_images):
                return STRONG_IMAGES
            if self._tail > _LONG:
                return LONG_TAIL
        scores, steps = self._share_scores.reshape(-1, 2), np.diff(np.log(self._thresholds))
        near, around = ((scores[:-1, 1] > -reach) & (scores[1:, 0] < reach) for reach in (0.5, 2))
        # Of two kinds that are as many as each other, shares hardly vary: by some pairs of one image.
        apart = np.abs(self._nearer.mean(axis=0).reshape(-1, 2)[:-1, 1] - 0.5)
        near |= apart < 1.5 / self.n_images
        widest = max(_WIDE, _MOST_OF_ALL * float(steps[around].sum()))
        return GAP if (steps[near] > widest).any() else ""


def confidence_of_mean(values: Float[np.ndarray, " n"]) -> Confidence | None:
    """Return the confidence distribution of the mean of values, each of one trial.

    It is that of Student's t, on a scale of ratios; None where the mean is not above 0, or of too few values.
    How often its limits hold the true mean: docs/trials.md.
    """
    n, mean = len(values), float(values.mean())
    if n < LEAST_TRIALS or not (np.isfinite(mean) and mean > 0):
        return None
    influence = values / mean - 1  # on the logarithm of the mean, to first order
    error = influence.std(ddof=1) / np.sqrt(n)
    freedom = max(_OF_TRIALS * freedom_of(influence), 2.0)
    return Confidence(SCORES * error, freedom, influence, "")


@dataclass(frozen=True, eq=False)
class TrialSample:
    """The values of trials, whose mean is told, where `Sample` has the distances of images."""

    values: Float[np.ndarray, " n"]

    #: Whether what more of them would tell can be foretold: see `Sample.foreseen`.
    foreseen = True

    @property
    def n_images(self) -> int:
        return len(self.values)

    def confidence(self) -> Confidence | None:
        """Return the confidence distribution of their mean."""
        return confidence_of_mean(self.values)

    def expected(self, n_images: int) -> Confidence | None:
        """Return the confidence distribution that so many trials of the same kind would give."""
        known = self.confidence()
        if known is None:
            return None
        more = n_images / self.n_images
        freedom = float(np.clip(known.freedom * more, 2.0, max(_OF_TRIALS * (n_images - 1), 2.0)))
        return replace(known, log_limit=known.log_limit / np.sqrt(more), freedom=freedom)


def _excess(powers: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the logarithm of each power over their median; of no power, that of the smallest float."""
    logs = np.log(np.maximum(powers, np.finfo(np.float64).tiny))
    return logs - np.median(logs)


def _steepness(logs: Float[np.ndarray, " n"], share: float) -> float:
    """Return how steeply such a share of ascending logarithms, the largest, rises with normal scores."""
    most = max(3, round(share * len(logs)))
    scores = _normal_scores(len(logs))[-most:]
    scores = scores - scores.mean()
    return float(scores @ logs[-most:] / (scores @ scores))


def _furthest(n: int) -> float:
    """Return about the largest of so many normal numbers."""
    return float(ndtri(1 - 0.6 / n))


def _normal_scores(n: int) -> Float[np.ndarray, " n"]:
    """Return about the mean of each of so many normal numbers, ascending (Blom 1958)."""
    return ndtri((np.arange(n) + 0.625) / (n + 0.25))


def _typical(logs: Float[np.ndarray, " n"], n_images: int) -> Float[np.ndarray, " m"]:
    """Return ascending logarithms as so many images would typically have, of those at hand, ascending."""
    scores, wanted = _normal_scores(len(logs)), _normal_scores(n_images)
    beyond = _steepness(logs, _TOP) * np.maximum(wanted - scores[-1], 0.0)
    return np.interp(wanted, scores, logs) + beyond


def strongest(powers: Float[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
    """Return the most powerful images, at most three: those of three times the median power, or the first."""
    order = np.argsort(powers)[::-1]
    far = int((powers > np.exp(_FAR) * np.median(powers)).sum())
    return order[: min(max(far, 1), 3)]


def _ascending(
    scores: Float[np.ndarray, " v"], values: Float[np.ndarray, " v"]
) -> tuple[Float[np.ndarray, " v"], Float[np.ndarray, " v"]]:
    """Return scores made strictly ascending, and their values."""
    return np.maximum.accumulate(scores) + 1e-9 * np.arange(len(scores)), values


def freedom_of(influence: Float[np.ndarray, " n"]) -> float:
    """Return the degrees of freedom of a standard error from influences with such a kurtosis."""
    # Of a variance, 2 n / (kurtosis - 1) (Satterthwaite's, by the variance of the variance); half of that,
    # since few images underestimate the kurtosis: docs/coverage.md.
    deviations = influence - influence.mean()
    square = (deviations**2).mean()
    if not square > 0:
        return len(influence) - 1.0
    kurtosis = (deviations**4).mean() / square**2
    return float(np.clip(len(influence) / max(kurtosis - 1, 0.5), 2.0, len(influence) - 1))


def limits(log_limit: Float[np.ndarray, " score"], freedom: float, confidence: float) -> tuple[float, float]:
    """Return the logarithm of the limits over the value; below and above 0."""
    reach = float(stdtrit(freedom, (1 + confidence) / 2))
    low, high = np.interp([-reach, reach], SCORES, log_limit)
    # With few degrees of freedom they may lie beyond what is kept: on the line of the last four scores.
    beyond = max(reach - SCORES[-1], 0.0) / 4
    low -= beyond * (np.interp(-4.0, SCORES, log_limit) - log_limit[0])
    high += beyond * (log_limit[-1] - np.interp(4.0, SCORES, log_limit))
    return min(float(low), 0.0), max(float(high), 0.0)
