"""How far the numbers can be trusted, which the page puts into words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from differentia.output.words import RESAMPLING_WORDS
from differentia.results.confidence import LEAST_IMAGES
from differentia.results.copies import say_copies
from differentia.results.doubts import say_doubts
from differentia.results.intervals import counts_in_words
from differentia.results.precision import say_precision
from differentia.results.schema import LIMITS, SOURCES
from differentia.results.summaries import confidence_of, percent

if TYPE_CHECKING:
    import xarray as xr


def trust(results: Mapping[str, xr.Dataset]) -> dict[str, Any]:
    """Return of which sources there are intervals, and by kind of units what is said of values.

    That is which are not to be trusted (`doubts`), and how closely the others are known (`said`); and what
    is there more than once (`copies`).
    """
    confidence = confidence_of(next(iter(results.values())))
    limits = [result[LIMITS[0]] for result in results.values() if LIMITS[0] in result]
    return {
        "confidence": None if confidence is None else percent(confidence),
        "needs": _needs(results),
        "doubts": {kind: said for kind, result in results.items() if (said := say_doubts(result))},
        "copies": say_copies(next(iter(results.values()))),
        "said": {kind: said for kind, result in results.items() if (said := say_precision(result))},
        **{
            name: any(bool((low.notnull() & (low["source"] == name)).any()) for low in limits)
            for name in SOURCES
        },
    }


def _needs(results: Mapping[str, xr.Dataset]) -> str:
    """Return what intervals of images need, in words; they needed more when images were resampled."""
    limits = [result[LIMITS[0]] for result in results.values() if LIMITS[0] in result]
    if any(low.attrs["method"] in RESAMPLING_WORDS for low in limits):
        return (
            f"{LEAST_IMAGES} or more in a set, at most 2,000 in all, and Euclidean distances of responses "
            "normalised by layer or not at all"
        )
    return f"{counts_in_words(next(iter(results.values())))} in a set, and a value above 0"
