"""Results of states in windows that move through trials, made of noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import xarray as xr

import differentia as dif
from differentia.neurons.trials import Trials

#: Samples in a second; the length of windows and the steps between them, in seconds.
RATE, LENGTH, STEP = 10.0, 2.0, 1.0


def windowed(
    onsets: Mapping[str, Sequence[float]],
    durations: Mapping[str, float],
    areas: Sequence[str] = ("VISp", "VISl"),
    *,
    seed: int = 0,
    **options: object,
) -> xr.Dataset:
    """Return the result of windows within trials that begin at `onsets`, by set, and last so long (s)."""
    rng = np.random.default_rng(seed)
    spans, names = {}, {}
    for name, of_set in onsets.items():
        lags = np.arange(0.0, durations[name] - LENGTH + 1e-9, STEP)
        spans[name] = np.array([(onset + lag, onset + lag + LENGTH) for onset in of_set for lag in lags])
        places = product(range(len(of_set)), range(len(lags)))
        names[name] = tuple(f"{name} {trial + 1}.{part + 1}" for trial, part in places)
    signals = {
        name: {area: [rng.gamma(2.0, 1.0, (int(LENGTH * RATE), 8)) for _ in windows] for area in areas}
        for name, windows in spans.items()
    }
    trials = Trials(signals, RATE, names, spans=spans, windows=True)
    return dif.measure_states(trials, states="rate", length=0.5, **options)  # type: ignore[arg-type]
