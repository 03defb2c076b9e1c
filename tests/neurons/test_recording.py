"""A recording shows itself, and gives a part of itself."""

from __future__ import annotations

from typing import Any

import numpy as np

import differentia as dif

TABLE = {"location": ["V1", "LM", "V1", ""], "snr": [1.0, 2.0, 3.0, 4.0]}


def test_it_shows_itself() -> None:
    """Kind, areas, and tables with their rows; nothing that is not known."""
    trials = {"start_time": np.arange(1200.0), "stop_time": np.arange(1200.0) + 1}
    shown = repr(dif.as_recording([[0.1]] * 4, units=TABLE, intervals=trials, session="s1"))
    assert shown.splitlines() == [
        "Recording of 4 units (spikes)",
        "  session:   s1",
        "  areas:     V1 (2), LM (1), none (1)",
        "  intervals: trials (1,200)",
    ]
    assert repr(dif.as_recording(np.zeros((3, 2)), rate=1.0)) == "Recording of 2 units (traces)"


def test_a_choice_of_a_choice() -> None:
    """Queries may follow each other; units, activity and observed times stay together."""
    values = np.arange(12.0).reshape(3, 4)
    traces = dif.as_recording(values, rate=2.0, units=TABLE, observed=[0.0, 1.5])
    recording = traces.select("location == 'V1' or snr > 3").select("snr >= 3")
    activity: Any = recording.activity
    np.testing.assert_array_equal(activity.samples(1, 3), values[1:3, [2, 3]])
    np.testing.assert_array_equal(activity.times, [0.0, 0.5, 1.0])
    assert recording.units["snr"].tolist() == [3.0, 4.0]
    assert recording.observed is not None
    assert len(recording.observed) == 2
    assert recording.told == (
        "1 of 4 units are left out by \"location == 'V1' or snr > 3\"",
        "1 of 3 units are left out by 'snr >= 3'",
    )
    assert traces.told == traces.select("snr > 0").told == ()
