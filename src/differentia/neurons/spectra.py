"""The power spectra of stretches of a recording: tapers, and frequencies in logarithmic steps."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from differentia.errors import InputError, in_one_line

#: What no taper is called.
NO_TAPER = "none"


def power_spectra(
    stretches: Float[np.ndarray, "state unit n"], *, taper: str = NO_TAPER, frequencies: int | None = None
) -> Float[np.ndarray, "state unit k"]:
    """Return the squared magnitude of each stretch's one-sided Fourier transform, not divided by anything."""
    n = stretches.shape[-1]
    if taper != NO_TAPER:
        stretches = stretches * taper_of(taper, n)
    transformed = np.fft.rfft(stretches, axis=-1)
    power = np.square(transformed.real)
    power += np.square(transformed.imag)
    return power if frequencies is None else power @ in_logarithmic_steps(n, frequencies)


def taper_of(name: str, n: int) -> Float[np.ndarray, " n"]:
    """Return a window of SciPy, by its name and its parameters ("tukey:0.25"), as it is periodic."""
    from scipy.signal import get_window

    window, *parameters = name.split(":")
    try:
        found = get_window((window.strip(), *map(float, parameters)), n)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"taper is {name!r} ({in_one_line(error)}); expected {NO_TAPER!r}, or a window of SciPy with its "
            "parameters, such as 'hann', 'tukey:0.25' or 'kaiser:14'"
        ) from None
    if not np.isfinite(found).all():
        raise InputError(f"taper is {name!r}, of which SciPy makes no finite window; change its parameters")
    return np.asarray(found, dtype=np.float64)


def in_logarithmic_steps(n: int, count: int) -> Float[np.ndarray, "bin k"]:
    """Return by what the bins of a spectrum are multiplied for their power at frequencies in equal ratios.

    They go from the lowest above 0 to the highest. Each has the power that lies above the one before it, the
    first all up to itself, so that none is lost; between bins, power summed up lies on the line that joins
    them.
    """
    highest = n // 2
    if not 2 <= count <= highest + 1 or highest < 2:
        raise InputError(
            f"frequencies is {count:,}, but a state of {n:,} samples has {highest + 1:,}; expected 2 to "
            f"{max(highest, 2) + 1:,}, in states of at least 4 samples"
        )
    wanted = np.geomspace(1, highest, count)
    summed_up = np.triu(np.ones((highest + 1, highest + 1)))
    up_to = np.stack([np.interp(wanted, np.arange(highest + 1), row) for row in summed_up])
    return np.diff(up_to, axis=1, prepend=0.0)
