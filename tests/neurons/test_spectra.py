"""Power spectra: against sums over samples, and SciPy's windows."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from scipy.signal.windows import kaiser, tukey

import differentia as dif
from differentia.neurons.spectra import in_logarithmic_steps, power_spectra, taper_of

RNG = np.random.default_rng(0)


def power_by_sums(samples: np.ndarray) -> np.ndarray:
    """Return the squared magnitude of each term of the one-sided transform, by its definition."""
    n = len(samples)
    terms = [
        sum(value * cmath.exp(-2j * math.pi * k * at / n) for at, value in enumerate(samples.tolist()))
        for k in range(n // 2 + 1)
    ]
    return np.array([abs(term) ** 2 for term in terms])


@pytest.mark.parametrize("n", [2, 5, 8])
def test_powers_are_those_of_the_sums(n: int) -> None:
    """Of an even and an odd number of samples, the constant term among them."""
    stretches = RNG.normal(3.0, 1.0, (2, 3, n))
    found = power_spectra(stretches)
    for state in range(2):
        for unit in range(3):
            np.testing.assert_allclose(found[state, unit], power_by_sums(stretches[state, unit]), rtol=1e-10)


def test_windows_are_scipys() -> None:
    """They are periodic, and have their parameters; others give other numbers."""
    np.testing.assert_allclose(taper_of("tukey:0.25", 16), tukey(17, 0.25)[:-1])
    np.testing.assert_allclose(taper_of("kaiser:14", 16), kaiser(17, 14.0)[:-1])
    np.testing.assert_allclose(taper_of("hann", 16), 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(16) / 16))
    assert not np.allclose(taper_of("tukey:0.5", 16), tukey(17, 0.25)[:-1])


@pytest.mark.parametrize("name", ["tukex", "kaiser", "tukey:a", "kaiser:1:2", "tukey:nan", "", "8"])
def test_a_window_that_scipy_does_not_know(name: str) -> None:
    """It is named, with what is expected."""
    with pytest.raises(dif.InputError, match=r"taper is .*, of which|taper is .*; expected 'none', or"):
        taper_of(name, 16)


@pytest.mark.parametrize(("n", "count"), [(30, 16), (31, 5), (4, 2)])
def test_power_summed_up_to_frequencies_in_equal_ratios(n: int, count: int) -> None:
    """As loops over bins sum it up, with a share of the bin that a frequency lies in; none is lost."""
    power = RNG.gamma(1.0, 1.0, n // 2 + 1)
    up_to = []
    for step in range(count):
        frequency = (n // 2) ** (step / (count - 1))
        whole = min(math.floor(frequency + 1e-9), n // 2)
        share = frequency - whole
        up_to.append(sum(power[: whole + 1]) + (share * power[whole + 1] if share > 1e-9 else 0.0))
    found = power @ in_logarithmic_steps(n, count)
    np.testing.assert_allclose(found, [up_to[0], *np.diff(up_to)])
    assert found.sum() == pytest.approx(power.sum())
    assert found[0] == pytest.approx(power[0] + power[1])  # the constant term is in the first
    read = np.interp([(n // 2) ** (step / (count - 1)) for step in range(count)], range(n // 2 + 1), power)
    assert not np.allclose(found, read)


def test_as_many_frequencies_as_there_are() -> None:
    """As the published code has them; not more, nor of states that are too short."""
    assert in_logarithmic_steps(32, 17).shape == (17, 17)
    with pytest.raises(dif.InputError, match="frequencies is 18, but a state of 32 samples has 17"):
        in_logarithmic_steps(32, 18)
    with pytest.raises(dif.InputError, match="expected 2 to 3, in states of at least 4 samples"):
        in_logarithmic_steps(3, 2)
