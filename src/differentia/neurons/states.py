"""States of a recording over time: consecutive stretches, each its units' means or power spectra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from pydantic import Field, StringConstraints

from differentia.errors import InputError, short_tracebacks
from differentia.neurons.spectra import NO_TAPER, power_spectra
from differentia.system.choices import STATES
from differentia.system.fields import accept, option

#: In samples, and as a share of them: by so little a number of samples may differ from a whole one.
_WHOLE = 1e-6


@dataclass(frozen=True)
class StatesOptions:
    """What states are made of."""

    states: Annotated[str, STATES] = option(
        "spectral",
        "What each unit's state is",
        doc=": its mean over the stretch, or the squared magnitudes of the one-sided Fourier transform of "
        "its samples, the constant term among them, not divided by anything (Mayner et al. 2022)",
    )
    length: Annotated[float, Field(gt=0, allow_inf_nan=False)] = option(
        1.0,
        "How long a state is, in seconds",
        doc="; a whole number of samples. What is left at the end of a trial is left out",
        metavar="SECONDS",
    )
    overlap: Annotated[float, Field(ge=0, lt=1)] = option(
        0.0,
        "The share of each state that the next one begins before it ends",
        doc="; a whole number of samples too",
        metavar="SHARE",
    )
    taper: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = option(
        NO_TAPER,
        "What the samples of a spectral state are multiplied by",
        typed=": none, or a window of SciPy with its parameters, such as hann, tukey:0.25 or kaiser:14",
        doc='; "none", or a window of SciPy (periodic) with its parameters, such as "hann", "tukey:0.25" or '
        '"kaiser:14"',
    )
    frequencies: Annotated[int, Field(ge=2, lt=2**63)] | None = option(
        None,
        "To how many frequencies in equal ratios, from the lowest above 0 to the highest, power is summed up",
        doc=": each has that above the one before it, the first the constant term too; by default all have "
        "their own, in equal steps",
        shown="all",
    )


class StatesKeywords(TypedDict, total=False):
    """What the options of states may be given as; a test compares them."""

    states: str
    length: float
    overlap: float
    taper: str
    frequencies: int | None


@dataclass(frozen=True)
class StateKind:
    """One way to make states of stretches of samples."""

    make: Callable[[Float[np.ndarray, "state unit n"], StatesOptions], Float[np.ndarray, "state unit k"]]
    #: The smallest number of samples of a state.
    least: int = 1
    #: How many values a state of n samples has of each unit, at all frequencies.
    width: Callable[[int], int] = lambda n: 1
    #: Whether values are in the squared unit of the signal, and options of spectra count.
    squared: bool = False


def _means(
    stretches: Float[np.ndarray, "state unit n"], options: StatesOptions
) -> Float[np.ndarray, "state unit 1"]:
    return stretches.mean(axis=-1, keepdims=True)


def _spectra(
    stretches: Float[np.ndarray, "state unit n"], options: StatesOptions
) -> Float[np.ndarray, "state unit k"]:
    return power_spectra(stretches, taper=options.taper, frequencies=options.frequencies)


#: What states are made of.
STATE_KINDS = {
    "rate": StateKind(_means),
    "spectral": StateKind(_spectra, least=2, width=lambda n: n // 2 + 1, squared=True),
}


@short_tracebacks
def states(
    x: ArrayLike,
    *,
    rate: float,
    length: float = 1.0,
    kind: str = "spectral",
    overlap: float = 0.0,
    taper: str = NO_TAPER,
    frequencies: int | None = None,
) -> Float[np.ndarray, "state k"]:
    """Return the states of a signal over time: stretches of one length, one after the other.

    Parameters
    ----------
    x : (time, units)
        Traces, or spikes in bins; real numbers.
    rate
        Samples in a second.
    length
        Of a state, in seconds: a whole number of samples, at least two of a spectral one. What is left at the
        end is left out.
    kind : {"rate", "spectral"}
        Each unit's mean over the stretch, or its power spectrum: the squared magnitudes of the one-sided
        Fourier transform of the n samples, n // 2 + 1 of them, not detrended, the constant term kept, not
        divided by anything.
    overlap
        The share of each state that the next begins before it ends, from 0 to below 1: a whole number of
        samples.
    taper
        What the samples of a spectral state are multiplied by: "none", or a window of `scipy.signal`
        (periodic) with its parameters, such as "hann", "tukey:0.25" or "kaiser:14".
    frequencies
        Of a spectral state, how many frequencies in equal ratios, from the lowest above 0 to the highest, in
        place of all. Each has the power above the one before it, the first the constant term too; power
        summed up to a frequency between the transform's own lies on the line that joins them.

    Returns
    -------
    (state, units * k)
        All values of the first unit, by frequency, then those of the second. In the unit of `x`, or, of
        spectral states, in its square.

    Raises
    ------
    InputError
        `x` is not a matrix of finite real numbers that is long enough for a state, a length is not a whole
        number of samples, or an option can't be used.

    Notes
    -----
    The definition of spectral states is that of Mayner et al. (2022), eNeuro 9(1).

    Examples
    --------
    >>> states([[1.0], [3.0], [0.0], [2.0]], rate=2, length=1, kind="rate")
    array([[2.],
           [1.]])
    """
    given = {"states": kind, "length": length, "overlap": overlap, "taper": taper, "frequencies": frequencies}
    made_by = StateMaker(accept(StatesOptions, given), checked_rate(rate))
    signal = as_signal(x, "x")
    if not made_by.count(len(signal)):
        raise InputError(
            f"x has {len(signal):,} samples, and a state {made_by.n:,}; expected at least one state: use a "
            "shorter length="
        )
    found = made_by(signal)
    return found.reshape(len(found), -1)


class StateMaker:
    """Makes states of signals that have one rate."""

    def __init__(self, options: StatesOptions, rate: float) -> None:
        self.options, self.rate = options, rate
        self.kind = STATE_KINDS[options.states]
        self.n = _whole_samples(options.length, rate, self.kind.least)
        self.step = self.n - _whole_overlap(options.overlap, self.n)
        if not self.kind.squared:
            defaults = StatesOptions()
            for name in ("taper", "frequencies"):
                if getattr(options, name) != getattr(defaults, name):
                    raise InputError(f"{name} is of spectral states; leave it out, or use states='spectral'")
        # So that an option that can't be used is told before anything is read.
        self.kind.make(np.zeros((1, 1, self.n)), options)

    @property
    def values_per_unit(self) -> int:
        """How many values a state has of each unit."""
        return self.options.frequencies or self.kind.width(self.n)

    def count(self, n_samples: int) -> int:
        """Return how many states so many samples hold."""
        return max(0, (n_samples - self.n) // self.step + 1)

    def __call__(self, signal: Float[np.ndarray, "time unit"]) -> Float[np.ndarray, "state unit k"]:
        stretches = sliding_window_view(signal, self.n, axis=0)[:: self.step]
        return self.kind.make(stretches, self.options)


def _whole_samples(length: float, rate: float, least: int) -> int:
    samples = length * rate
    nearest = max(round(samples), least)
    if abs(samples - nearest) > _WHOLE * max(samples, 1.0):
        others = sorted({max(int(samples), least), max(int(samples) + 1, least)})
        such = " or ".join(f"{count / rate:.9g}" for count in others)
        raise InputError(
            f"length is {length:g} s, which at {rate:.9g} samples a second is {samples:.9g} samples; "
            f"expected a whole number of samples, at least {least}: the nearest is {such} s"
        )
    return nearest


def _whole_overlap(overlap: float, n: int) -> int:
    samples = overlap * n
    nearest = min(round(samples), n - 1)
    if abs(samples - nearest) > _WHOLE * n:
        raise InputError(
            f"overlap is {overlap:g}, of states of {n:,} samples {samples:g}; expected a whole number of "
            f"samples, at most {n - 1:,}: the nearest is {nearest / n:.9g}"
        )
    return nearest


def checked_rate(rate: Any) -> float:
    """Return how many samples there are in a second."""
    number = isinstance(rate, int | float | np.number) and not isinstance(rate, bool)
    if not number or not 0 < float(rate) < np.inf:
        raise InputError(f"rate is {rate!r}; expected how many samples there are in a second, above 0")
    return float(rate)


#: Larger signals have infinite powers, or distances.
LARGEST = 1e32


def as_signal(values: Any, where: str) -> Float[np.ndarray, "time unit"]:
    """Return a signal of units over time that states can be made of; errors call it `where`."""
    try:
        signal = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{where} is not a matrix of time x units: {error}") from None
    if np.ma.is_masked(values):
        raise InputError(f"{where} has masked entries; leave those trials or units out, or fill them")
    if signal.dtype.kind not in "biuf":
        raise InputError(f"{where} has the type {signal.dtype}; expected real numbers (time x units)")
    if signal.ndim != 2 or not signal.shape[1]:
        raise InputError(
            f"{where} has the shape {signal.shape}; expected time x units, of at least one unit: of one unit "
            "alone, x[:, np.newaxis]"
        )
    signal = signal.astype(np.float64, copy=False)
    if (bad := ~(np.abs(signal) <= LARGEST)).any():
        at, unit = (int(place) for place in np.argwhere(bad)[0])
        raise InputError(
            f"{where} holds {signal[at, unit]:g} in sample {at:,}, unit {unit:,}; expected finite numbers of "
            f"at most {LARGEST:g} in size: leave that trial or unit out"
        )
    return signal
