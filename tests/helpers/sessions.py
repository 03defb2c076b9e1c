"""Sessions of two conditions and rest, in small NWB files whose units follow what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from helpers.nwb_files import write_allen_ephys

#: Seconds: of a trial, from trial to trial, and of rest, which comes last.
TRIAL, APART, REST = 4.0, 5.0, 13.0

#: The two conditions, by turns.
CONDITIONS = ("natural", "scrambled")


def write_session(
    path: Path,
    seed: int = 0,
    *,
    trials: int = 6,
    areas: Sequence[str] = ("VISp", "VISl"),
    per_area: int = 6,
    subject: str = "",
) -> Path:
    """Write so many trials of each condition; units change their rates within natural ones more."""
    rng = np.random.default_rng(seed)
    starts = APART * np.arange(2 * trials)
    names = [CONDITIONS[at % 2] for at in range(2 * trials)]
    end = starts[-1] + APART + REST
    trains = []
    for _ in range(per_area * len(areas)):
        spikes = [rng.uniform(0, end, rng.poisson(6 * end))]
        for start, name in zip(starts, names, strict=True):
            for second in range(int(TRIAL)):
                more = rng.gamma(1.0, 25.0 if name == "natural" else 5.0)
                spikes.append(start + second + rng.uniform(0, 1, rng.poisson(more)))
        trains.append(np.sort(np.concatenate(spikes)))
    locations = [area for area in areas for _ in range(per_area)]
    intervals = {
        "film_presentations": {
            "starts": starts,
            "length": TRIAL,
            "stimulus_name": names,
            "block": [float(at // 4) for at in range(2 * trials)],
        },
        "spontaneous_presentations": {
            "starts": [starts[-1] + APART],
            "length": REST - 0.6,  # the end of the file is marked as invalid
            "stimulus_name": ["spontaneous"],
        },
    }
    write_allen_ephys(path, trains, locations=locations, intervals=intervals)
    if subject:
        with h5py.File(path, "r+") as file:
            file["general/subject/subject_id"][()] = subject
    return path
