"""What distances say beside their median, as the page lists and draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from differentia.output.report.curves import without_nan
from differentia.results.between import BETWEEN_VALUES

if TYPE_CHECKING:
    import xarray as xr

#: Of the distances that a set's row tells.
ENDS = (0.05, 0.95)


def beside(found: xr.Dataset) -> dict[str, Any] | None:
    """Return the mean, the ends and the dimensionality (set, layer); None where nothing is known."""
    if not bool(found["dimensionality"].notnull().any()):
        return None
    return {
        **{
            name: without_nan(found[name].transpose("set", "layer").values)
            for name in ("mean", "dimensionality", "dimensionality_unbiased")
        },
        "ends": without_nan(found["quantile"].transpose("set", "layer", "quantile_of").values),
    }


def between(found: xr.Dataset) -> list[dict[str, Any]]:
    """Return the pairs of sets that were tested, with sets by their place and numbers by layer."""
    names = found["set"].values.astype(str).tolist()
    pairs = found.isel(pair=found["p"].notnull().any("layer").values).transpose("pair", ...)
    return [
        {
            "first": names.index(first),
            "second": names.index(second),
            "confidence": float(found.attrs["confidence"]),
            **{name: without_nan(pairs[name].values[place]) for name in BETWEEN_VALUES},
        }
        for place, (first, second) in enumerate(
            zip(pairs["first"].values.tolist(), pairs["second"].values.tolist(), strict=True)
        )
    ]
