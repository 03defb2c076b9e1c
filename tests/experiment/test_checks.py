"""Which options and sets go together: told without a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import differentia as dif
from differentia.experiment.checks import check_measurement, counts_of
from differentia.experiment.options import measure_and_record

SETS = {"a": np.zeros((3, 8, 8), np.uint8), " n ": "noise:4"}


def test_what_goes_together_gives_the_stimuli() -> None:
    """By set, whose names have no blanks around them."""
    stimuli = check_measurement(*measure_and_record({"maps": {"conv": [0]}, "map_images": [3]}), SETS)
    assert {name: len(images) for name, images in stimuli.items()} == {"a": 3, "n": 4}


def test_numbers_of_units() -> None:
    """Those asked for, or the usual ones; none where all units are looked at."""
    assert counts_of(*measure_and_record({"n_units": [5, 2]})) == (2, 5)
    assert counts_of(*measure_and_record({})) == (200, 10_000, 100_000)
    assert counts_of(*measure_and_record({"units": "all"})) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": "all", "pool": 9}, "do not go with units='all'"),
        ({"pool": 9}, "^pool is 9, less than the largest n_units, 100,000"),
        (
            {"units": "sketch", "metric": "cosine"},
            "^units='sketch' does not go with normalize='layer' and metric='c",
        ),
        ({"reference": "b"}, r"^unknown set for reference \(--reference\) 'b'"),
        ({"map_images": [0]}, r"^map_images \(--map-images\) goes with maps \(--map\) only"),
        ({"maps": {"conv": [0]}, "map_images": [4]}, r"is \(4,\), but the largest set has 4 images"),
    ],
)
def test_what_does_not(options: dict[str, Any], message: str) -> None:
    """The error names the options."""
    with pytest.raises(dif.InputError, match=message):
        check_measurement(*measure_and_record(options), SETS)
