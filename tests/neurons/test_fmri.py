"""Real fMRI: nine conditions, whose values are known, from volumes and blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.documents import script
from scipy.signal import detrend
from scipy.spatial.distance import pdist

import differentia as dif

pytestmark = pytest.mark.real_data

#: The median distance over the root of 530, of all volumes of a label, as the data's README has it.
EXPECTED = {
    "rest": 1.399,
    "house": 1.297,
    "chair": 1.295,
    "face": 1.261,
    "scissors": 1.255,
    "cat": 1.255,
    "scrambledpix": 1.246,
    "bottle": 1.244,
    "shoe": 1.219,
}


@pytest.fixture(scope="module")
def recording(real_data: Path) -> dif.Recording:
    """All volumes, and the blocks as intervals."""
    bold, blocks = script("write_neurons").read_blocks(real_data / "neurons" / "haxby_slice.npz")
    return dif.as_recording(bold, rate=1 / 2.5, intervals={"blocks": blocks})


@pytest.mark.parametrize("detrending", ["linear", "none"])
def test_volumes_have_the_known_values(recording: dif.Recording, detrending: str) -> None:
    """With each run's trend taken away; without they are others, but for rest by more than a fiftieth."""
    runs = None if detrending == "none" else "run"
    responses = dif.stimulus_responses(
        recording, by="category", value="samples", detrend=detrending, runs=runs
    )
    result = dif.measure_responses(responses, normalize="unit", reference="rest")
    found = dict(zip(result["set"].values, result["differentiation"].values.ravel(), strict=True))
    apart = {name: abs(found[name] - value) for name, value in EXPECTED.items()}
    if detrending == "linear":
        assert max(apart.values()) < 0.001
    else:
        assert min(apart[name] for name in EXPECTED if name != "rest") > 0.02
    assert (dif.doubts(result) == "windows").all()


def test_blocks_are_compared_with_rest(recording: dif.Recording, real_data: Path) -> None:
    """Values as SciPy has them; differences have limits, which those of volumes have not."""
    responses = dif.stimulus_responses(
        recording, by="category", window=(0, 12.5), detrend="linear", runs="run"
    )
    result = dif.measure_responses(responses, normalize="unit", reference="rest")
    with np.load(real_data / "neurons" / "haxby_slice.npz") as data:
        bold, label, run = data["bold"].astype(float), data["label"], data["run"]
    for number in range(12):
        bold[run == number] = detrend(bold[run == number], axis=0)
    first = np.flatnonzero(np.r_[True, (label[1:] != label[:-1]) | (run[1:] != run[:-1])])
    means = np.array([bold[at : at + 5].mean(axis=0) for at in first])
    means /= means.std(axis=0)
    for name in EXPECTED:
        expected = np.median(pdist(means[label[first] == name])) / np.sqrt(530)
        assert result["differentiation"].sel(set=name).item() == pytest.approx(expected, rel=1e-6)
    contrast = dif.contrast(result, "shoe", "rest")
    low, high = (float(contrast[f"difference_{end}"].item()) for end in ("low", "high"))
    assert low < float(contrast["difference"].item()) < high < 0
    relative = dif.relative_interval(result)
    assert all(np.isfinite(limit.sel(set="shoe")).all() for limit in relative)
