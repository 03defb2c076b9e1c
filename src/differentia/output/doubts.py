"""Which values are marked as not to be trusted for other images, and why, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from differentia.results.doubts import DOUBT_WORDS, doubts
from differentia.results.references import References, references_of
from differentia.results.schema import POINT

if TYPE_CHECKING:
    import xarray as xr


def told_doubts(result: xr.Dataset, items: str, references: References = None) -> xr.DataArray:
    """Return (set, layer, n_units) why limits over `items`, "images", can't be told, and "" where they can.

    A value relative to a reference, where any is given, has its doubt at the largest number of units too.
    """
    found = doubts(result).transpose(*POINT)
    told = np.array([_in_words(str(reason), items) for reason in found.values.ravel()], dtype=object)
    told = told.reshape(found.shape)
    if references is not None:
        sets = [str(name) for name in found["set"].values]
        at_largest = told[:, :, int(np.argmax(found["n_units"].values))].copy()
        for name, reference in references_of(result, references).items():
            if reference in ("", name):
                continue
            reasons = at_largest[sets.index(reference)]
            inherited = np.array([reason and f"of {reference}: {reason}" for reason in reasons], dtype=object)
            of_set = told[sets.index(name)]
            of_set[:] = np.where(of_set == "", inherited[:, np.newaxis], of_set)
    return found.copy(data=told)


def _in_words(reason: str, items: str) -> str:
    """Return a reason in words; as it is where a later version gave one of its own."""
    return DOUBT_WORDS.get(reason, reason).format(items=items)
