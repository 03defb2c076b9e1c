"""How far the numbers can be trusted, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.resampling import LEAST_IMAGES
from differentia.results import REMEDIES
from differentia.schema import LIMITS, SOURCES
from differentia.sufficiency import say_precision
from differentia.summaries import confidence_of, percent

if TYPE_CHECKING:
    import xarray as xr


def trust(results: Mapping[str, xr.Dataset], things: str) -> dict[str, Any]:
    """Return how closely the numbers are known (``said``), what that means, and what is ``missing``."""
    first = next(iter(results.values()))
    share = confidence_of(first)
    if share is None:
        none = f"There are no intervals in this result: {REMEDIES[LIMITS[0]]}."
        return {"said": {}, "meaning": [], "missing": [none]}
    known = {
        source: any(np.isfinite(one[LIMITS[0]].sel(source=source)).any() for one in results.values())
        for source in SOURCES
    }
    meanings = {
        "images": (
            f"Intervals of {things}",
            f"Had other {things} of the same kind been shown, the value would have been different; with "
            f"{percent(share)} confidence, the value for all {things} of that kind lies within. This assumes "
            f"that a set's {things} were chosen at random from their kind, and says nothing of other kinds.",
        ),
        "units": (
            "Intervals of units",
            "Had as many other units of the layer been drawn, the value would have been different; "
            f"{percent(share)} of such draws lie within. This says nothing about what more units would give: "
            "few can give a very different value, as open marks show.",
        ),
    }
    missing = []
    if not known["images"]:
        missing.append(
            f"There are no intervals of {things}: they need {LEAST_IMAGES} or more in a set, at most 2,000 "
            "in all, and Euclidean distances of responses normalised by layer or not at all."
        )
    if not known["units"]:
        missing.append("There are no intervals of units: they need several draws of units chosen at random.")
    return {
        "said": {kind: said for kind, one in results.items() if (said := say_precision(one))},
        "meaning": [meanings[source] for source in ("images", "units") if known[source]],
        "missing": missing,
    }
