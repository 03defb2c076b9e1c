"""How far the numbers can be trusted, which the page puts into words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from differentia.results.precision import say_precision
from differentia.results.resampling import LEAST_IMAGES
from differentia.results.schema import LIMITS, SOURCES
from differentia.results.summaries import confidence_of, percent

if TYPE_CHECKING:
    import xarray as xr


def trust(results: Mapping[str, xr.Dataset]) -> dict[str, Any]:
    """Return of which sources there are intervals, and by kind of units how closely values are known."""
    confidence = confidence_of(next(iter(results.values())))
    limits = [result[LIMITS[0]] for result in results.values() if LIMITS[0] in result]
    return {
        "confidence": None if confidence is None else percent(confidence),
        "least_images": LEAST_IMAGES,
        "said": {kind: said for kind, result in results.items() if (said := say_precision(result))},
        **{name: any(bool(low.sel(source=name).notnull().any()) for low in limits) for name in SOURCES},
    }
