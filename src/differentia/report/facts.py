"""What was measured, with what and how, as labels and texts; and each set at a glance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.uncertainty import draw_mean
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


def facts(result: xr.Dataset) -> list[tuple[str, str]]:
    """Return what was measured and how: pairs of a label and a text; what is not known is left out.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    """
    provenance = json.loads(result.attrs["provenance"])
    found = []
    for key, label in LABELS.items():
        if provenance.get(key) not in (None, ""):
            value = provenance[key]
            found.append((label, " x ".join(map(str, value)) if isinstance(value, list) else str(value)))
    kind = str(result["units"].item())
    counts = [f"{count:,}" for count in result["n_units"].values.tolist()]
    found += [
        ("Units", kind),
        *([("Numbers of units", ", ".join(counts))] if unit_kind(kind).counted else []),
        ("Draws of units", f"{result.sizes['draw']:,}"),
        ("Normalisation", str(result.attrs["normalize"])),
        ("Metric", str(result.attrs["metric"])),
        ("Reference", str(result.attrs["reference"]) or "none"),
        ("Seed", str(result.attrs["seed"])),
        ("Layers", f"{result.sizes['layer']:,}"),
    ]
    versions = provenance.get("versions", {})
    found.append(("Versions", ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))))
    return [(label, text) for label, text in found if text]


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
