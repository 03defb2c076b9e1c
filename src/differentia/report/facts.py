"""What was measured, with what and how, as labels and texts; and each set at a glance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.dataset import provenance
from differentia.draws import draw_mean
from differentia.report.curves import confidence, draws_made
from differentia.report.trust import level
from differentia.schema import LIMITS
from differentia.units import unit_kind

if TYPE_CHECKING:
    import xarray as xr

#: By fact of the provenance: what it is called on the page.
LABELS = {
    "network": "Network",
    "fingerprint": "Fingerprint of architecture and weights (SHA-256)",
    "preprocessing": "Preprocessing",
    "input_shape": "Input (height x width x channels)",
    "resize": "Resize filter",
    "crop": "Where proportions differ",
    "batch_size": "Images in a batch",
    "device": "Device",
}


def facts(results: Mapping[str, xr.Dataset]) -> list[tuple[str, str]]:
    """Return what was measured and how: pairs of a label and a text; what is not known is left out.

    Parameters
    ----------
    results
        By kind of units, measured together.
    """
    result = next(iter(results.values()))
    known = provenance(result)
    found = []
    for key, label in LABELS.items():
        if known.get(key) not in (None, ""):
            value = known[key]
            found.append((label, " x ".join(map(str, value)) if isinstance(value, list) else str(value)))
    found += [
        ("Units", ", ".join(results)),
        *(draws for kind, one in results.items() if (draws := _draws(kind, one, several=len(results) > 1))),
        ("Normalisation", str(result.attrs["normalize"])),
        ("Metric", str(result.attrs["metric"])),
        ("Reference", str(result.attrs["reference"]) or "none"),
        ("Intervals", _intervals(result)),
        ("Seed", str(result.attrs["seed"])),
        ("Layers", f"{result.sizes['layer']:,}"),
    ]
    unused = set() if known.get("network") else {"keras", "torch", "pillow"}
    versions = sorted(known.get("versions", {}).items())
    written = [f"{name} {number}" for name, number in versions if name not in unused]
    found.append(("Versions", ", ".join(written)))
    return [(label, text) for label, text in found if text]


def _draws(kind: str, result: xr.Dataset, *, several: bool) -> tuple[str, str] | None:
    """Return how many draws there are of each number of units, for kinds that take a number."""
    if not unit_kind(kind).counted:
        return None
    numbers = zip(draws_made(result), result["n_units"].values.tolist(), strict=True)
    noun = unit_kind(kind).noun
    text = ", ".join(f"{draws:,} of {count:,} {noun}" for draws, count in numbers)
    return f"Draws, {kind}" if several else "Draws", text


def _intervals(result: xr.Dataset) -> str:
    """Return how the limits of values were found; "" where there are none."""
    share = confidence(result)
    if share is None:
        return ""
    about = result[LIMITS[0]].attrs
    return f"{level(share)}; of images: bootstrap ({about['method']}), {about['resamples']:,} resamples"


def warnings_of(results: Mapping[str, xr.Dataset]) -> list[str] | None:
    """Return the warnings that were given for any of the results, or None where they were not kept.

    Parameters
    ----------
    results
        By kind of units, measured together.
    """
    given = [provenance(result) for result in results.values()]
    if not all("warnings" in known for known in given):
        return None
    return list(dict.fromkeys(text for known in given for text in known["warnings"]))


def yardstick(result: xr.Dataset) -> str:
    """Return what independent responses give, where that does not depend on how they are distributed.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    """
    normalize, metric = str(result.attrs["normalize"]), str(result.attrs["metric"])
    if metric == "euclidean" and normalize in ("layer", "response"):
        return "0 where all responses are equal, 1.414 where they are independent"
    if metric in ("correlation", "cosine") and normalize in ("layer", "response"):
        return "0 where all responses are equal, 1 where they are independent"
    return "0 where all responses are equal"


def overview(result: xr.Dataset) -> list[dict[str, Any]]:
    """Return each set at a glance, at the largest number of units.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    list of dict
        ``set``, and ``first``, ``highest``, ``lowest``, ``last``: a layer and its differentiation (mean over
        draws); None where there is no value.
    """
    means = draw_mean(result["differentiation"], result).sel(n_units=result["n_units"].max())
    layers = [str(name) for name in result["layer"].values]
    found = []
    for name in result["set"].values:
        values = means.sel(set=name).values
        at: dict[str, int | None] = {"first": 0, "last": len(layers) - 1, "highest": None, "lowest": None}
        if np.isfinite(values).any():
            at |= {"highest": int(np.nanargmax(values)), "lowest": int(np.nanargmin(values))}
        found.append(
            {
                "set": str(name),
                **{
                    what: None
                    if place is None or np.isnan(values[place])
                    else (layers[place], float(values[place]))
                    for what, place in at.items()
                },
            }
        )
    return found
