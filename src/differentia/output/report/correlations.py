"""How layers follow the stimulus: the numbers of the first result, as the page draws and lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from differentia.output.report.curves import without_nan
from differentia.results.depth import depth_to_show
from differentia.results.following import say_depth
from differentia.results.summaries import layer_names, rows_by_set

if TYPE_CHECKING:
    import xarray as xr

#: Of each layer.
COLUMNS = (
    *(
        f"{name}{end}"
        for name in ("pearson", "spearman", "slope", "r_squared")
        for end in ("", "_low", "_high")
    ),
    *("intercept", "pearson_p", "pearson_p_corrected"),
)


def followed(results: Mapping[str, xr.Dataset]) -> dict[str, Any] | None:
    """Return how layers follow the stimulus, sets and the base by their places, if that can be told."""
    found = depth_to_show(results)
    if found is None:
        return None
    first = next(iter(results.values()))
    known = list(rows_by_set(first))
    return {
        "base": layer_names(first).index(found.attrs["base"]),
        "sets": [known.index(str(name)) for name in found["set"].values],
        "values": without_nan(found["value"].values),
        "stimulus": without_nan(found["stimulus"].values),
        "confidence": float(found.attrs["confidence"]),
        "n_units": int(found.attrs["n_units"]),
        "n_sets": found["n_sets"].values.tolist(),
        "said": say_depth(found),
        **{name: without_nan(found[name].values) for name in COLUMNS},
    }
