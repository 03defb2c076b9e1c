"""Resampled images: their values against double loops, their errors and intervals against fresh images."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import scipy.stats
from helpers.oracles import population_sd
from helpers.responses import contrast_varying, gaussian
from scipy.spatial.distance import pdist, squareform

from differentia.results.resampling import (
    LEAST_IMAGES,
    METHODS,
    MOST_EXACT,
    MOST_TAIL,
    Resampled,
    Sample,
    bca,
    expanded,
    image_counts,
    interval_of_log,
    percentile,
    studentized,
)


def sample_of(responses: np.ndarray, *, normalized: bool = True) -> Sample:
    distances = squareform(pdist(responses))
    sums, squares = responses.sum(axis=1), (responses**2).sum(axis=1)
    return Sample(distances, sums, squares, responses.shape[1], normalized)


def log_value_by_hand(responses: np.ndarray, drawn: list[int], *, normalized: bool = True) -> float:
    """Return log D of drawn images, an image and itself being no pair, by loops over lists."""
    pairs = [(i, j) for i, j in combinations(drawn, 2) if i != j]
    distances = [math.dist(responses[i].tolist(), responses[j].tolist()) for i, j in pairs]
    sigma = population_sd([value for i in drawn for value in responses[i].tolist()]) if normalized else 1.0
    return math.log(statistics.median(distances) / (sigma * math.sqrt(responses.shape[1])))


@pytest.mark.parametrize("normalized", [True, False])
def test_the_value_of_resampled_images(normalized: bool) -> None:
    """As a double loop has it: images, not pairs, and the SD with them; the mean is far from 0."""
    responses = contrast_varying(np.random.default_rng(0), 12) + 1e4
    counts = image_counts(12, 30, "test")
    drawn = [np.repeat(np.arange(12), count).tolist() for count in counts]
    expected = [log_value_by_hand(responses, images, normalized=normalized) for images in drawn]
    found = sample_of(responses, normalized=normalized).resampled(counts).logs
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    # the control: were an image and itself a pair, of distance 0, values would be less
    with_itself = [
        statistics.median(
            math.dist(responses[i].tolist(), responses[j].tolist()) for i, j in combinations(images, 2)
        )
        for images in drawn
    ]
    if not normalized:
        assert np.mean(np.log(with_itself) - np.log(math.sqrt(60)) < found - 1e-3) > 0.5


@pytest.mark.parametrize("n", [10, 43, 300])
def test_resampled_medians_of_any_number(n: int) -> None:
    """As NumPy's of the drawn pairs; also of more pairs than 16 bits count, and with equal distances."""
    responses = np.round(contrast_varying(np.random.default_rng(6), n))
    responses[1] = responses[0]
    counts = image_counts(n, 4, "medians")
    first, second = np.triu_indices(n, k=1)
    distances = squareform(pdist(responses))
    drawn = [np.repeat(distances[first, second], count[first] * count[second]) for count in counts]
    found = sample_of(responses, normalized=False).resampled(counts, exactly=True).logs
    expected = np.log([np.median(pairs) for pairs in drawn]) - 0.5 * np.log(responses.shape[1])
    np.testing.assert_array_equal(found, expected)
    # the control: pairs are drawn as often as their images, not once each
    once = [np.median(distances[first, second][count[first] * count[second] > 0]) for count in counts]
    assert not np.array_equal(np.log(once) - 0.5 * np.log(responses.shape[1]), expected)


def test_values_without_each_image() -> None:
    """Each of them as if it had not been there."""
    responses = gaussian(np.random.default_rng(1), 11)
    expected = [log_value_by_hand(responses, [j for j in range(11) if j != i]) for i in range(11)]
    np.testing.assert_allclose(sample_of(responses).without_each(), expected, atol=1e-9)


def test_the_error_is_the_jackknifes() -> None:
    """Exactly where the median does not depend on the images; nearly where it does."""
    responses = contrast_varying(np.random.default_rng(2), 40)

    def by_hand(sample: Sample) -> float:
        without = sample.without_each()
        return float(np.sqrt(39 / 40 * ((without - without.mean()) ** 2).sum()))

    sample = sample_of(responses)
    flat = replace(sample, distances=1.0 - np.eye(40))
    assert flat.error == pytest.approx(by_hand(flat), rel=1e-9)
    assert sample.error == pytest.approx(by_hand(sample), rel=0.2)


@pytest.mark.parametrize("n", [43, 200])
def test_the_error_is_how_much_fresh_images_vary(n: int) -> None:
    """The SD over sets of fresh images; for those of another size it is another."""
    rng = np.random.default_rng(3)
    samples = [sample_of(contrast_varying(rng, n)) for _ in range(150)]
    spread = np.std([sample.log_value for sample in samples])
    errors = np.array([sample.error for sample in samples])
    assert np.sqrt((errors**2).mean()) == pytest.approx(spread, rel=0.2)
    assert np.sqrt((errors**2).mean() * n / 100) != pytest.approx(spread, rel=0.2)


def test_many_images_are_resampled_to_first_order() -> None:
    """Nearly the values of the exact medians, whose own error is far larger than the difference."""
    responses = contrast_varying(np.random.default_rng(4), MOST_EXACT + 30)
    sample = sample_of(responses)
    counts = image_counts(len(responses), 60, "many")
    exact, near = sample.resampled(counts, exactly=True), sample.resampled(counts)
    assert not np.array_equal(exact.logs, near.logs)
    assert np.corrcoef(exact.logs, near.logs)[0, 1] > 0.98
    assert (exact.logs - near.logs).std() < 0.2 * exact.logs.std()
    assert np.abs(near.errors / exact.errors - 1).mean() < 0.1


def test_counts_are_seeded() -> None:
    """Each resample has as many images; the same key gives the same, another key others."""
    counts = image_counts(43, 100, 0, "cats")
    assert (counts.sum(axis=1) == 43).all()
    np.testing.assert_array_equal(counts, image_counts(43, 100, 0, "cats"))
    assert not np.array_equal(counts, image_counts(43, 100, 1, "cats"))
    assert not np.array_equal(counts, image_counts(43, 100, 0, "dogs"))
    # multinomial: the variance of a count is n (1/n) (1 - 1/n)
    assert image_counts(43, 4000, 0, "x").var() == pytest.approx(1 - 1 / 43, rel=0.02)


@pytest.fixture
def known() -> tuple[Sample, Resampled]:
    """A sample, and resamples of it with errors that are no constant."""
    sample = sample_of(contrast_varying(np.random.default_rng(5), 30))
    return sample, sample.resampled(image_counts(30, 999, "known"))


def test_the_percentile_interval(known: tuple[Sample, Resampled]) -> None:
    """Quantiles, as the standard library has them."""
    sample, resampled = known
    cuts = statistics.quantiles(resampled.logs.tolist(), n=40, method="inclusive")
    assert percentile(sample, resampled, 0.95) == pytest.approx((cuts[0], cuts[-1]))


def test_the_bca_interval(known: tuple[Sample, Resampled]) -> None:
    """Efron's formula, with the normal distribution of the standard library; it is not the percentiles."""
    sample, resampled = known
    normal = statistics.NormalDist()
    logs = resampled.logs.tolist()
    bias = normal.inv_cdf(sum(value < sample.log_value for value in logs) / len(logs))
    without = sample.without_each().tolist()
    centre = statistics.fmean(without)
    skewness = sum((centre - value) ** 3 for value in without)
    acceleration = skewness / (6 * sum((centre - value) ** 2 for value in without) ** 1.5)

    def level(z: float) -> float:
        return normal.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))

    expected = [np.quantile(logs, level(normal.inv_cdf(tail))) for tail in (0.025, 0.975)]
    assert bca(sample, resampled, 0.95) == pytest.approx(expected)
    assert bca(sample, resampled, 0.95) != pytest.approx(percentile(sample, resampled, 0.95))


def test_the_studentized_interval(known: tuple[Sample, Resampled]) -> None:
    """The upper quantile of the statistic gives the lower limit, in errors times the tail's factor."""
    sample, resampled = known
    low, high = studentized(sample, resampled, 0.95)
    statistic = (resampled.logs - sample.log_value) / resampled.errors
    error = sample.error * sample.tail_factor
    tail = (1 - expanded(0.95, 30)) / 2
    assert np.mean(statistic > (sample.log_value - low) / error) == pytest.approx(tail, abs=0.002)
    assert np.mean(statistic < (sample.log_value - high) / error) == pytest.approx(tail, abs=0.002)


def test_few_images_take_a_higher_level() -> None:
    """By t quantiles and the resamples' lack of variance; not for many images."""
    reach = math.sqrt(20 / 19) * scipy.stats.t.ppf(0.975, 19)
    assert expanded(0.95, 20) == pytest.approx(1 - 2 * scipy.stats.norm.sf(reach))
    assert expanded(0.95, 100_000) == pytest.approx(0.95, abs=1e-5)


def test_the_factor_of_a_long_tail() -> None:
    """Log-normal contrasts have it; equal ones and a fixed SD have not; it is never large."""
    rng = np.random.default_rng(6)
    factors = [sample_of(contrast_varying(rng, 43)).tail_factor for _ in range(200)]
    # what it makes up for: the squared coefficient of variation is e - 1 for contrasts, times the rest's
    assert np.quantile(factors, 0.75) > 1.15
    assert np.median(factors) < max(factors) <= MOST_TAIL
    even = [sample_of(rng.normal(size=(43, 400))).tail_factor for _ in range(20)]
    assert max(even) < 1.05
    assert sample_of(contrast_varying(rng, 43), normalized=False).tail_factor == 1.0
    # powers in two groups are no long tail, whatever the share of the powerful: a jump has its bound
    for strong in (1, 13, 20, 25, 42):
        for weak in (0.0, 0.1):
            groups = rng.normal(size=(43, 400))
            groups[strong:] *= weak
            sample = sample_of(groups)
            assert 1.0 <= sample.tail_factor <= MOST_TAIL
            counts = image_counts(43, 200, strong)
            low, high = interval_of_log(sample, counts, "studentized", 0.95)
            assert np.isnan(low) or low <= sample.log_value <= high <= np.log(2) + 1e-9
    assert sample_of(groups).tail_factor < 1.5  # one weak image among others


def test_errors_that_are_only_rounding() -> None:
    """No statistic is made of them; limits are finite, in their order, or unknown."""
    rng = np.random.default_rng(9)
    for number in range(60):
        sample = sample_of(rng.normal(size=(10 + number % 10, 1)), normalized=number % 2 == 0)
        for method in METHODS:
            counts = image_counts(sample.n_images, 100, number)
            low, high = interval_of_log(sample, counts, method, 0.9999)
            assert np.isnan([low, high]).all() or low <= sample.log_value <= high < 700


def coverage(generator: object, truth: float, *, pairs: bool = False) -> float:
    """Return how often intervals of 43 images hold the true value, in 150 simulations."""
    rng = np.random.default_rng(7)
    held = []
    for number in range(150):
        sample = sample_of(generator(rng, 43))  # type: ignore[operator]
        if pairs:  # as if pairs did not depend on each other
            of_pairs = sample.distances[np.triu_indices(43, k=1)]
            drawn = rng.choice(of_pairs, (400, len(of_pairs)))
            shift = sample.log_value - np.log(np.median(of_pairs))
            low, high = np.quantile(np.log(np.median(drawn, axis=1)) + shift, [0.025, 0.975])
        else:
            low, high = interval_of_log(sample, image_counts(43, 400, number), "studentized", 0.95)
        held.append(low <= truth <= high)
    return float(np.mean(held))


@pytest.mark.parametrize("generator", [gaussian, contrast_varying])
@pytest.mark.slow
def test_intervals_hold_the_truth(generator: object) -> None:
    """About as often as they say (docs/coverage.md has it closely); those of resampled pairs do not."""
    many = [sample_of(generator(np.random.default_rng(n), 1500)).log_value for n in range(6)]  # type: ignore[operator]
    truth = float(np.mean(many))
    assert 0.89 <= coverage(generator, truth) <= 0.995  # 3.3 standard errors of 150 around 0.93 to 0.97
    assert coverage(generator, truth, pairs=True) < 0.8


@pytest.mark.parametrize("method", METHODS)
def test_no_interval_where_there_is_no_value(method: str) -> None:
    """Of few images, of responses that are all the same, and where most images are the same."""
    rng = np.random.default_rng(8)
    enough = rng.normal(size=(LEAST_IMAGES, 9))
    copies = np.repeat(rng.normal(size=(1, 9)), 40, axis=0)
    copies[:3] = rng.normal(size=(3, 9))
    cases = {"few": enough[1:], "same": np.full((20, 9), 3.0), "copies": copies, "enough": enough}
    limits = {
        name: interval_of_log(sample_of(case), image_counts(len(case), 300, name), method, 0.95)
        for name, case in cases.items()
    }
    assert np.isfinite(limits.pop("enough")).all()
    assert np.isnan(list(limits.values())).all()
