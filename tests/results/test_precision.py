"""How many images and units are enough: what is foretold, against what more of them give."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.responses import contrast_varying, gaussian

import differentia as dif


def half_width(n: int, seeds: range) -> tuple[float, float]:
    """Return the typical half width of intervals of n images, and how many images would halve it."""
    widths, more = [], []
    for seed in seeds:
        arrays = {"a": {"x": contrast_varying(np.random.default_rng([seed, n]), n)}}
        found = dif.precision(dif.measure_responses(arrays, resamples=400))
        widths.append(found["half_width"].sel(source="images").item())
        more.append(found["images_to_halve"].item())
    return float(np.median(widths)), float(np.median(more))


@pytest.mark.slow
def test_more_images_halve_the_interval() -> None:
    """So many as are foretold do; as many as there are do not."""
    width, more = half_width(40, range(12))
    assert 70 < more < 155  # four times as many would do by the root of n alone
    halved, _ = half_width(round(more), range(100, 106))
    assert halved / width == pytest.approx(0.5, abs=0.12)


def test_more_units_halve_the_interval() -> None:
    """By the root of 1/K - 1/L, as draws from the whole layer show; at most all units."""
    rng = np.random.default_rng(0)
    arrays = {"a": {"x": rng.normal(size=(12, 400)) * np.exp(rng.normal(size=400))}}
    few = dif.measure_responses(arrays, n_units=20, pool=400, draws=200, resamples=100)
    found = dif.precision(few)
    more = int(found["units_to_halve"].item())
    assert more == np.ceil(1 / ((1 / 20 - 1 / 400) / 4 + 1 / 400)) == 70
    many = dif.measure_responses(arrays, n_units=more, pool=400, draws=200, resamples=100)
    halved, half = (each["half_width"].sel(source="units").item() for each in (dif.precision(many), found))
    assert halved / half == pytest.approx(0.5, abs=0.1)


def test_in_words() -> None:
    """Each set where it is known least: the layer, half the interval, and the numbers that would halve it."""
    rng = np.random.default_rng(1)
    arrays = {"cats": {"wide": contrast_varying(rng, 43), "narrow": gaussian(rng, 43)}}
    result = dif.measure_responses(arrays, n_units=(20, 60), draws=5, resamples=400)
    found = dif.precision(result)
    images, units = dif.say_precision(result)
    half = found["half_width"].sel(source="images", n_units=60, set="cats")
    assert int(half.argmax("layer")) == 0
    more = found["images_to_halve"].sel(set="cats", layer="wide").item()
    assert images == (
        "With 43 images, cats in wide, the least certain layer, is known to "
        f"±{half.sel(layer='wide').item():.2g} (95 %); {more:.0f} images would halve that."
    )
    assert units.startswith("With 20 units, a draw of cats in ")
    assert units.endswith(" 40 units would halve that.")


def test_where_nothing_is_known() -> None:
    """Neither of results without limits, nor where limits are NaN."""
    rng = np.random.default_rng(2)
    result = dif.measure_responses({"a": {"x": gaussian(rng, 5)}}, resamples=100)
    assert dif.say_precision(result) == []
    assert dif.precision(result)["images_to_halve"].isnull().all()
    old = result.drop_vars(["differentiation_low", "differentiation_high", "source"])
    assert dif.say_precision(old) == []
    with pytest.raises(dif.InputError, match="no differentiation_low; measure again, or add them"):
        dif.precision(old)
