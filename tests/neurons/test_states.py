"""States over time: against plain loops, and what must and must not change them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.signal.windows import kaiser, tukey

import differentia as dif
from differentia.neurons.states import StateMaker, StatesOptions

RNG = np.random.default_rng(0)
SIGNAL = RNG.gamma(2.0, 1.0, (103, 3))


def spectral_by_loops(
    x: np.ndarray, n: int, step: int, window: np.ndarray, frequencies: int | None
) -> np.ndarray:
    """Return spectral states state by state and unit by unit."""
    rows, start = [], 0
    while start + n <= len(x):
        row: list[float] = []
        for unit in range(x.shape[1]):
            power = np.abs(np.fft.fft(x[start : start + n, unit] * window))[: n // 2 + 1] ** 2
            if frequencies is not None:
                so_far = 0.0
                for place in range(frequencies):
                    at = (n // 2) ** (place / (frequencies - 1))
                    below = min(int(at + 1e-9), n // 2 - 1)
                    up_to = power[: below + 1].sum() + (at - below) * power[below + 1]
                    row.append(up_to - so_far)
                    so_far = up_to
            else:
                row += power.tolist()
        rows.append(row)
        start += step
    return np.array(rows)


@pytest.mark.parametrize(
    ("options", "step", "window"),
    [
        ({}, 10, np.ones(10)),
        ({"taper": "tukey:0.25"}, 10, tukey(11, 0.25)[:-1]),
        ({"taper": "kaiser:14"}, 10, kaiser(11, 14.0)[:-1]),
        ({"overlap": 0.5}, 5, np.ones(10)),
        ({"overlap": 0.9, "taper": "tukey:0.25"}, 1, tukey(11, 0.25)[:-1]),
        ({"frequencies": 4}, 10, np.ones(10)),
        ({"frequencies": 6}, 10, np.ones(10)),
        ({"frequencies": 3, "overlap": 0.2, "taper": "kaiser:14"}, 8, kaiser(11, 14.0)[:-1]),
    ],
)
def test_spectral_states_are_those_of_loops(options: dict[str, Any], step: int, window: np.ndarray) -> None:
    """With every option, unit after unit; what is left at the end is left out."""
    found = dif.states(SIGNAL, rate=50.0, length=0.2, **options)
    expected = spectral_by_loops(SIGNAL, 10, step, window, options.get("frequencies"))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_rates_are_means() -> None:
    """Of each unit over each state."""
    found = dif.states(SIGNAL, rate=50, length=0.2, kind="rate", overlap=0.5)
    expected = [SIGNAL[start : start + 10].mean(axis=0) for start in range(0, 94, 5)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("hertz", [2.0, 7.0, 24.0])
def test_a_sine_lands_in_its_bin(hertz: float) -> None:
    """All of its power, of a second of samples; of a frequency between two bins it does not."""
    time = np.arange(300) / 50
    power = dif.states(np.sin(2 * np.pi * hertz * time)[:, np.newaxis], rate=50, length=1)
    assert (power.argmax(axis=1) == hertz).all()
    np.testing.assert_allclose(power[:, int(hertz)], power.sum(axis=1))
    between = dif.states(np.sin(2 * np.pi * (hertz - 0.5) * time)[:, np.newaxis], rate=50, length=1)
    assert (between.max(axis=1) < 0.9 * between.sum(axis=1)).all()


def test_states_hold_all_samples_once() -> None:
    """As many states as fit: no sample is lost where the length divides the signal."""
    make = StateMaker(StatesOptions(length=0.2, states="rate"), 50.0)
    assert [make.count(n) for n in (9, 10, 19, 20, 100)] == [0, 1, 1, 2, 10]
    assert dif.states(SIGNAL[:100], rate=50, length=0.2, kind="rate").mean() == pytest.approx(
        SIGNAL[:100].mean()
    )


def test_a_length_may_differ_by_rounding() -> None:
    """Three tenths of a second at 10 samples a second are three samples, whatever floats say."""
    assert dif.states(SIGNAL, rate=1 / 0.1, length=0.1 * 3, kind="rate").shape[0] == 34
    assert dif.states(SIGNAL, rate=10 * (1 + 1e-8), length=0.3, kind="rate").shape[0] == 34


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"length": 0.33}, r"0\.33 s, .* is 16\.5 samples; .* the nearest is 0\.32 or 0\.34 s"),
        ({"length": 0.02}, r"is 1 samples; expected a whole number of samples, at least 2: .* 0\.04 s"),
        ({"length": -1.0}, "length is -1.0"),
        ({"length": 9.0}, "x has 103 samples, and a state 450"),
        ({"overlap": 0.33}, r"of states of 10 samples 3\.3; .* the nearest is 0\.3"),
        ({"overlap": 1.0}, r"overlap is 1\.0; expected less than 1"),
        ({"kind": "spectrl"}, "unknown kind of states 'spectrl'. Did you mean 'spectral'"),
        ({"kind": "rate", "taper": "hann"}, "taper is of spectral states"),
        ({"kind": "rate", "frequencies": 3}, "frequencies is of spectral states"),
        ({"frequencies": 7}, "a state of 10 samples has 6; expected 2 to 6"),
        ({"rate": 0}, "rate is 0; expected how many samples"),
        ({"rate": float("nan")}, "rate is nan"),
    ],
)
def test_options_that_can_not_be_used(options: dict[str, Any], says: str) -> None:
    """Each is told with what was given and a way out."""
    with pytest.raises(dif.InputError, match=says):
        dif.states(SIGNAL, **{"rate": 50, "length": 0.2, **options})


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.where(np.arange(103)[:, None] == 7, np.nan, SIGNAL), "x holds nan in sample 7, unit 0"),
        (np.full((103, 2), 1e40), "x holds 1e"),
        (SIGNAL[:, 0], r"x has the shape \(103,\); expected time x units"),
        (SIGNAL[:, :0], r"x has the shape \(103, 0\)"),
        (SIGNAL + 1j, "x has the type complex128"),
        ([[1.0], [1.0, 2.0]], "x is not a matrix"),
        (np.ma.masked_greater(SIGNAL, 1.0), "x has masked entries"),
    ],
)
def test_signals_that_can_not_be_used(x: Any, says: str) -> None:
    """Each is told with the place."""
    with pytest.raises(dif.InputError, match=says):
        dif.states(x, rate=50, length=0.2)
