"""Copies: which images are there more than once, and what is said of intervals, p and contrasts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import differentia as dif
from differentia.cli import main

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 28, 28), dtype=np.uint8)
RATES = RNG.gamma(2.0, size=(14, 20)).astype(np.float32)


def of_images(**sets: Any) -> xr.Dataset:
    return dif.measure("digits", sets, n_units=20, draws=1, layers=["predictions"], views=False)


def of_rates(normalize: str = "layer", **sets: Any) -> xr.Dataset:
    arrays = {name: {"V1": rates, "LM": rates[:, ::-2] ** 2} for name, rates in sets.items()}
    return dif.measure_responses(arrays, normalize=normalize, reference=next(iter(sets)))


WITHIN = (
    "their distance is 0, and intervals, p and contrasts of the set count each as a further image; "
    "drop_duplicates=True (--drop-duplicates) leaves them out."
)
BETWEEN = "contrasts allow for that, paired ones only where names agree"
ALIKE = "have the same responses in every population"


@pytest.mark.filterwarnings("ignore:images of one set have the same content")
def test_copies_of_images() -> None:
    """Within a set by name, between sets by number; nothing where there are none."""
    result = of_images(
        noise="noise:12",
        cats=PIXELS[[*range(12), 0, 3, 0, 1, 1]],
        dogs=PIXELS[5:],
        twice=PIXELS[[19, 19, 18]],
    )
    cats = "cats: 12 as 0, 13 as 3, 14 as 0 and 2 more"
    assert dif.say_copies(result) == [
        f"Copies of images are in one set ({cats}; twice: 1 as 0): {WITHIN}",
        f"Images are in two sets (cats and dogs: 7; dogs and twice: 2): {BETWEEN}.",
    ]
    assert dif.say_copies(result.sel(set=["noise", "cats"])) == [
        f"Copies of images are in one set ({cats}): {WITHIN}"
    ]
    assert dif.say_copies(result.sel(set=["noise", "dogs"])) == []


def test_intervals_relative_to_a_set_with_the_same_images() -> None:
    """They take both for independent: that is said where there are such intervals, of pairs with it."""
    result = of_images(a=PIXELS[:12], b=PIXELS[8:], c=PIXELS[11:]).assign_attrs(reference="a")
    pairs = "a and b: 4; a and c: 1; b and c: 9"
    expected = f"Images are in two sets ({pairs}): {BETWEEN}; intervals relative to a do not."
    assert dif.say_copies(result) == [expected]
    without = result.drop_vars(["differentiation_low", "differentiation_high"])
    assert dif.say_copies(without) == [expected.replace("; intervals relative to a do not", "")]
    assert "relative" not in dif.say_copies(result.sel(set=["b", "c"]))[0]
    # so they do: neither limit knows which images are shared
    apart = result.assign_coords(image_hash=("image", [str(row) for row in range(result.sizes["image"])]))
    assert dif.say_copies(apart) == []
    for one, other in zip(dif.relative_interval(result), dif.relative_interval(apart), strict=True):
        np.testing.assert_array_equal(one, other)
    # while a contrast knows
    contrasts = [dif.contrast(each, "a", "b")["p"].item() for each in (result, apart)]
    assert contrasts[0] != contrasts[1]


@pytest.mark.parametrize("normalize", ["layer", "unit", "response"])
def test_copies_of_responses(normalize: str) -> None:
    """Rows that are the same in every population; in one alone they are not."""
    rates = RATES.copy()
    rates[4] = rates[0]
    rates[6, ::-2] = rates[1, ::-2]  # in LM alone
    result = of_rates(normalize, rest=RATES[12:], movie=rates[:12])
    assert dif.say_copies(result) == [
        f"Stimuli of one set {ALIKE} (movie: 4 as 0): if they are copies, intervals, p and contrasts of the "
        "set count each as a further stimulus; leave them out."
    ]
    assert dif.say_copies(result.drop_vars("distance")) == []
    shared = of_rates(normalize, rest=RATES[:12], movie=RATES[9:])
    paired = "a paired contrast joins those of the same name (without labels, their number)"
    ending = f"take them for different ones; {paired}."
    assert dif.say_copies(shared) == [
        f"Stimuli of two sets {ALIKE} (rest and movie: 3): contrasts and intervals relative to rest {ending}"
    ]
    assert dif.say_copies(shared.assign_attrs(reference="")) == [
        f"Stimuli of two sets {ALIKE} (rest and movie: 3): contrasts {ending}"
    ]
    assert dif.say_copies(of_rates(normalize, rest=RATES[:7], movie=RATES[7:])) == []


def test_they_stand_below_a_contrast(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the two sets alone."""
    dif.save(of_rates(rest=RATES[:12], movie=RATES[2:], other=RATES[[0, 1, 2]]), tmp_path / "result.nc")
    assert main(["contrast", str(tmp_path), "movie", "rest"]) == 0
    shown = capsys.readouterr().out
    assert f"Stimuli of two sets {ALIKE} (movie and rest: 10): contrasts and" in shown
    assert "other" not in shown.replace("other stimuli", "")
