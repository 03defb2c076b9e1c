"""Which values are marked as not to be trusted for other images, and why, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from differentia.results.doubts import DOUBT_WORDS, doubts
from differentia.results.schema import POINT

if TYPE_CHECKING:
    import xarray as xr


def told_doubts(result: xr.Dataset, items: str, reference: str | None = None) -> xr.DataArray:
    """Return (set, layer, n_units) why limits over `items`, "images", can't be told, and "" where they can.

    A value relative to a reference has the reference's doubt at the largest number of units too.
    """
    found = doubts(result).transpose(*POINT)
    told = np.array([_in_words(str(reason), items) for reason in found.values.ravel()], dtype=object)
    told = told.reshape(found.shape)
    if reference is not None:
        sets = found["set"].values.tolist()
        of_reference = told[sets.index(reference), :, int(np.argmax(found["n_units"].values))]
        inherited = np.array(
            [reason and f"of {reference}: {reason}" for reason in of_reference], dtype=object
        )
        for of_set in (told[place] for place, name in enumerate(sets) if name != reference):
            of_set[:] = np.where(of_set == "", inherited[:, np.newaxis], of_set)
    return found.copy(data=told)


def _in_words(reason: str, items: str) -> str:
    """Return a reason in words; as it is where a later version gave one of its own."""
    return DOUBT_WORDS.get(reason, reason).format(items=items)
