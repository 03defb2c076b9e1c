"""Where sets differ: the numbers of contrasts, as the page draws and lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from differentia.output.report.curves import without_nan
from differentia.output.words import corrected_over
from differentia.results.contrasts import CONTRAST_VALUES, require_contrasts
from differentia.results.subject import subject_of
from differentia.results.summaries import layer_names, rows_by_set

if TYPE_CHECKING:
    import xarray as xr


def tested_contrasts(results: Mapping[str, xr.Dataset], given: Sequence[xr.Dataset]) -> list[dict[str, Any]]:
    """Return the contrasts that could be tested, with sets by their place and numbers by layer."""
    require_contrasts(results, given)
    found = []
    for contrast in given:
        about = contrast.attrs
        result = results[about["units"]]
        sets, by_layer = list(rows_by_set(result)), contrast.reindex(layer=layer_names(result))
        if bool(contrast["p_corrected"].notnull().any()):
            found.append(
                {
                    "first": sets.index(about["first"]),
                    "second": sets.index(about["second"]),
                    "units": str(about["units"]),
                    "n_units": int(about["n_units"]),
                    "confidence": float(about["confidence"]),
                    "paired": bool(about["paired"]),
                    "n_tests": int(about["n_tests"]),
                    "over": corrected_over(contrast, subject_of(result).place.one),
                    **{name: without_nan(by_layer[name].values) for name in CONTRAST_VALUES},
                }
            )
    return found
