"""How well values are known: against leaving out images one by one, and against where values do lie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from helpers.responses import contrast_varying, gaussian
from scipy.spatial.distance import pdist, squareform

import differentia as dif
from differentia.results.confidence import (
    GAP,
    LONG_TAIL,
    SCORES,
    STRONG_IMAGES,
    Sample,
    confidence_of_mean,
    freedom_of,
    limits,
    strongest,
)

Generator = Callable[[np.random.Generator, int], np.ndarray]


def sample_of(responses: np.ndarray, *, normalized: bool = True) -> Sample:
    distances = squareform(pdist(responses))
    return Sample(distances, *((responses.mean(1), (responses**2).mean(1)) if normalized else ()))


def interval(
    responses: np.ndarray, *, normalized: bool = True, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the limits of the differentiation of responses."""
    known = sample_of(responses, normalized=normalized).confidence()
    assert known is not None
    low, high = np.exp(limits(known.log_limit, known.freedom, confidence))
    value = dif.differentiation(responses, normalize="layer" if normalized else "none")
    return value * low, value * high


def test_influences_are_those_of_leaving_out() -> None:
    """Of the share of pairs within each threshold, and of the SD: by measuring without each image."""
    rng = np.random.default_rng(0)
    responses = contrast_varying(rng, 14) + 2.0
    sample, n = sample_of(responses), 14
    for at in (0, 7, len(sample._thresholds) - 1):
        threshold = sample._thresholds[at] * (1 + 1e-6)
        without = [(pdist(np.delete(responses, i, axis=0)) <= threshold).mean() for i in range(n)]
        expected = (n - 1) * (np.mean(without) - without)
        np.testing.assert_allclose(sample._share_influence[:, 2 * at + 1], expected, atol=1e-9)
    without = [np.log(np.delete(responses, i, axis=0).std()) for i in range(n)]
    np.testing.assert_allclose(
        sample._sigma_influence, (n - 1) * (np.mean(without) - without), rtol=1e-6, atol=1e-9
    )


def test_without_an_sd_limits_are_woodruffs() -> None:
    """The distances at which the share of nearer pairs is not yet, and no longer, far from a half."""
    rng = np.random.default_rng(1)
    responses = gaussian(rng, 25)
    known = sample_of(responses, normalized=False).confidence()
    assert known is not None
    low, high = interval(responses, normalized=False)
    pairs, n, k = pdist(responses), *responses.shape
    reach = scipy.stats.t.ppf(0.975, known.freedom)

    def score(threshold: float) -> float:
        nearer = squareform(pairs <= threshold).sum(axis=1) / (n - 1)
        without = 2 * (nearer - nearer.mean()) * (n - 1) / (n - 2)
        return float((nearer.mean() - 0.5) / (without.std(ddof=1) / np.sqrt(n)))

    scores = np.array([score(threshold) for threshold in np.sort(pairs)[:-1]])
    inside = np.sort(pairs)[:-1][np.abs(scores) <= reach] / np.sqrt(k)
    assert low == pytest.approx(inside[0], rel=5e-3)
    assert high == pytest.approx(inside[-1], rel=5e-3)


def binary(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return 40 neurons that fire or don't: few distances are possible."""
    return (rng.random((n, 40)) < np.linspace(0.05, 0.5, 40)).astype(float)


def bimodal(rng: np.random.Generator, n: int) -> np.ndarray:
    """Half of the images have a third of the contrast: distances fall into three groups."""
    return np.where(rng.random((n, 1)) < 0.5, 0.3, 1.0) * rng.normal(size=(n, 100))


def one_hot(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return what a classifier gives: one class, more or less."""
    sure = rng.beta(1, 1, size=(n, 1))
    found = (1 - sure) * rng.dirichlet(np.full(100, 0.1), size=n)
    found[np.arange(n), rng.integers(0, 100, n)] += sure[:, 0]
    return found


@pytest.mark.parametrize("generator", [gaussian, binary, bimodal, one_hot])
def test_limits_hold_the_value_of_all_images(generator: Generator) -> None:
    """In 93 % of sets or more: those of few distances, too, where resampling held it in 57 % (N = 43)."""
    rng = np.random.default_rng(2)
    many = generator(rng, 4000)
    pairs = pdist(many[:2000])
    truth = np.median(pairs) / np.sqrt(many.shape[1]) / many.std()
    found = np.array([interval(generator(rng, 43)) for _ in range(150)])
    held = (found[:, 0] <= truth) & (truth <= found[:, 1])
    assert held.mean() > 0.89  # two standard errors below 0.93
    # the control: they are no wider than they must be
    values = [dif.differentiation(generator(rng, 43)) for _ in range(150)]
    assert np.median(found[:, 1] - found[:, 0]) < 1.4 * 2 * 1.96 * np.std(values)


def test_limits_nest_and_hold_their_own_value() -> None:
    """At every confidence; never above what the definition allows."""
    rng = np.random.default_rng(3)
    for generator in (gaussian, binary, bimodal, one_hot, contrast_varying):
        responses = generator(rng, 12)
        value = dif.differentiation(responses)
        narrow, wide = (interval(responses, confidence=level) for level in (0.5, 0.99))
        assert wide[0] <= narrow[0] <= value * (1 + 1e-9)
        assert value * (1 - 1e-9) <= narrow[1] <= wide[1]
    # two groups as far apart as can be: half of the pairs are at 2; no limit lies above 2 sqrt(N / (N - 1))
    apart = np.repeat([[1.0], [-1.0]], [7, 7], axis=0) * np.ones((14, 30)) + 1e-3 * rng.normal(size=(14, 30))
    result = dif.measure_responses({"a": {"x": apart}}, normalize="layer")
    high = result["differentiation_high"].sel(source="images")
    assert not (high > 2 * np.sqrt(14 / 13)).any()


def test_where_nothing_is_known() -> None:
    """Too few images, a median of 0, or one image with all the variance."""
    rng = np.random.default_rng(4)
    assert sample_of(gaussian(rng, 9)).confidence() is None
    assert sample_of(gaussian(rng, 10)).confidence() is not None
    assert sample_of(np.zeros((12, 5))).confidence() is None
    alike = np.zeros((12, 5))
    alike[0, 0] = 1.0
    assert sample_of(alike).confidence() is None


def test_doubts() -> None:
    """Images far stronger than others, a long tail of strengths, a gap; not of ordinary responses."""
    rng = np.random.default_rng(5)
    plain = rng.normal(size=(43, 100))
    strong = plain.copy()
    strong[3] *= 5
    kinds = np.repeat(rng.normal(size=(2, 100)), [22, 21], axis=0) + 0.3 * rng.normal(size=(43, 100))
    tailed = np.exp(1.5 * rng.normal(size=(43, 1))) * plain
    for responses, expected in ((plain, ""), (strong, STRONG_IMAGES), (kinds, GAP), (tailed, LONG_TAIL)):
        assert sample_of(responses).doubt == expected
    for generator in (gaussian, binary, one_hot):
        assert [sample_of(generator(rng, 43)).doubt for _ in range(20)].count("") >= 18
    # nor of one image that is a little stronger than others that are all alike
    alike = rng.normal(size=(43, 5000))
    alike[4] *= 1.15
    assert sample_of(alike).doubt == ""
    # without an SD, strong images are no matter
    assert sample_of(strong, normalized=False).doubt == ""
    assert strongest((strong**2).mean(axis=1))[0] == 3


def test_degrees_of_freedom_by_hand() -> None:
    """As many as images over the kurtosis less 1; at least 2, at most one fewer than images."""
    assert freedom_of(np.array([1.0, -1.0] * 10)) == 19  # a kurtosis of 1
    values = np.array(
        [3.0, -1.0, -1.0, -1.0] * 5
    )  # squares 9, 1, 1, 1; their mean 3; fourth powers 81, 1, 1, 1
    assert freedom_of(values) == pytest.approx(20 / (21 / 9 - 1))
    assert freedom_of(np.eye(20)[0]) == 2
    assert freedom_of(np.zeros(12)) == 11


def test_a_confidence_distribution_is_one() -> None:
    """Its quantiles ascend with the score, and 0 lies near the middle."""
    rng = np.random.default_rng(6)
    for generator in (gaussian, binary, bimodal, one_hot):
        known = sample_of(generator(rng, 30)).confidence()
        assert known is not None
        assert (np.diff(known.log_limit) >= -1e-12).all()
        assert abs(np.interp(0.0, known.log_limit + 1e-12 * np.arange(len(SCORES)), SCORES)) < 2.5


def test_limits_go_on_beyond_the_scores_that_are_kept() -> None:
    """With two degrees of freedom, of 99.9 %: t reaches 31.6 scores."""
    low, high = limits(0.05 * SCORES, 2.0, 0.999)
    reach = scipy.stats.t.ppf(0.9995, 2)
    assert (low, high) == pytest.approx((-0.05 * reach, 0.05 * reach))


@pytest.mark.parametrize("n", [4, 10])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.normal(1.0, 0.1, n),
        lambda rng, n: rng.lognormal(-0.045, 0.3, n),
        lambda rng, n: rng.lognormal(-0.32, 0.8, n),
        lambda rng, n: rng.gamma(1.0, 1.0, n),
    ],
    ids=["normal", "skewed", "very skewed", "exponential"],
)
def test_limits_of_a_mean_over_trials_hold_the_true_one(draw: Callable[..., np.ndarray], n: int) -> None:
    """In 93 to 97 % of samples, give or take; those of a normal distribution miss far more often."""
    rng, held, of_normal = np.random.default_rng(0), 0, 0
    for _ in range(1000):
        values = draw(rng, n)
        found = confidence_of_mean(values)
        assert found is not None
        low, high = np.exp(limits(found.log_limit, found.freedom, 0.95)) * values.mean()
        held += low <= 1.0 <= high
        of_normal += abs(values.mean() - 1) <= 1.96 * values.std(ddof=1) / np.sqrt(n)
    assert 0.92 < held / 1000 < 0.98
    assert of_normal / 1000 < 0.93


def test_limits_of_normal_trials_are_students_on_a_scale_of_ratios() -> None:
    """Of few, whose kurtosis tells nothing; near those of SciPy where the error is small."""
    values = np.array([0.99, 1.01, 1.0])
    found = confidence_of_mean(values)
    assert found is not None
    assert found.freedom == 2
    low, high = np.exp(limits(found.log_limit, found.freedom, 0.95))
    expected = scipy.stats.t.interval(0.95, 2, loc=1.0, scale=scipy.stats.sem(values))
    np.testing.assert_allclose((low, high), expected, rtol=1e-3)
    np.testing.assert_allclose(found.influence, values - 1, atol=1e-12)


def test_degrees_of_freedom_of_trials() -> None:
    """Fewer than those of the images of a set, since trials may be few."""
    for values in (np.arange(1.0, 9.0), np.array([1.0, 1.1, 0.9, 1.0, 4.0, 1.2])):
        found = confidence_of_mean(values)
        assert found is not None
        assert found.freedom == pytest.approx(max(2.0, 0.8 * freedom_of(values)))


@pytest.mark.parametrize("values", [[1.0, 2.0], [0.0, 0.0, 0.0], [1.0, np.nan, 2.0, 3.0]])
def test_means_of_which_nothing_is_known(values: list[float]) -> None:
    """Of two trials, of no differentiation, and where one has no value."""
    assert confidence_of_mean(np.array(values)) is None
