"""How far the numbers can be trusted, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.dataset import REMEDIES
from differentia.report.curves import confidence
from differentia.resampling import LEAST_IMAGES
from differentia.schema import LIMITS, SOURCES
from differentia.sufficiency import say_precision

if TYPE_CHECKING:
    import xarray as xr


def level(share: float) -> str:
    """Return a confidence in percent."""
    return f"{100 * share:g} %"


def trust(results: Mapping[str, xr.Dataset], things: str) -> dict[str, Any]:
    """Return what the page says of how closely the numbers are known.

    Parameters
    ----------
    results
        By kind of units.
    things
        What was shown: images, or stimuli.

    Returns
    -------
    dict
        ``said``: by kind of units, a sentence or two for each set. ``meaning``: what each kind of intervals
        means and what it does not, as pairs of a name and a text. ``missing``: what there is no interval
        of, and how to get it.
    """
    first = next(iter(results.values()))
    share = confidence(first)
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
            f"Had other {things} of the same kind been shown, the value would have been another one; with "
            f"{level(share)} confidence that of all {things} of the kind lies within. This presumes that a "
            f"set's {things} were chosen at random from their kind, and says nothing of another kind.",
        ),
        "units": (
            "Intervals of units",
            "Had as many other units of the layer been drawn, the value would have been another one; "
            f"{level(share)} of such draws lie within. This says nothing of what more units would give: few "
            "can give another value altogether, as open marks show.",
        ),
    }
    missing = []
    if not known["images"]:
        missing.append(
            f"There are no intervals of {things}: they need {LEAST_IMAGES} or more in a set, no more than "
            "2,000 in all, and Euclidean distances that are not normalised otherwise than by layer."
        )
    if not known["units"]:
        missing.append("There are no intervals of units: they need several draws of units chosen at random.")
    return {
        "said": {kind: said for kind, one in results.items() if (said := say_precision(one))},
        "meaning": [meanings[source] for source in ("images", "units") if known[source]],
        "missing": missing,
    }
