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


def test_frequencies_in_equal_ratios() -> None:
    """A spectrum that is a line keeps its values; from the lowest above 0 to the highest."""
    weights = in_logarithmic_steps(32, 5)
    wanted = [16 ** (step / 4) for step in range(5)]
    np.testing.assert_allclose((3.0 * np.arange(17) + 1.0) @ weights, [3 * at + 1 for at in wanted])
    assert weights[0].tolist() == [0.0] * 5  # the constant term is left out
    with pytest.raises(dif.InputError, match="frequencies is 17, but a state of 32 samples has 16 above 0"):
        in_logarithmic_steps(32, 17)
