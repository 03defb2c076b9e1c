"""Distances as representational dissimilarity matrices of rsatoolbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError, require_known
from differentia.results.dataset import provenance, require_variables, units_at_hand
from differentia.results.schema import attribute_names, checked
from differentia.results.summaries import layer_names

if TYPE_CHECKING:
    import xarray as xr


@checked
def to_rsatoolbox(result: xr.Dataset, layer: str | Sequence[str]) -> Any:
    """Return distances in layers as an RDMs object of rsatoolbox, which needs ``differentia[rsatoolbox]``.

    They are the Euclidean distances of the responses as they are, over the units at hand (draw 0 at the
    largest number of units, or the sums of a sketch): of all images of all sets, not divided by an SD or by
    the number of units, whatever the measure. rsatoolbox's own "euclidean" is the *squared* distance divided
    by the number of units: ``rdms.dissimilarities ** 2 / n_units``.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned, for at most 2,000 images.
    layer
        Name of a layer, or several.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        One matrix for each layer; ``dissimilarity_measure`` "Euclidean distance". Of each pattern: ``index``,
        ``image``, ``set``, ``hash``, and further labels of the images, as ``image_*``. Of each matrix:
        ``layer``, ``network``, ``units`` and ``n_units``.

    Raises
    ------
    InputError
        There is no such layer, the result holds no distances, or rsatoolbox is not installed.
    """
    known, names = layer_names(result), [layer] if isinstance(layer, str) else [str(name) for name in layer]
    for name in names:
        require_known("layer", name, known)
    if not names:
        raise InputError(f"layer names no layer; known: {', '.join(known)}")
    require_variables(result, "distance")
    try:
        from rsatoolbox.rdm import RDMs
    except ImportError as error:
        raise InputError('for RDMs, rsatoolbox is needed: pip install "differentia[rsatoolbox]"') from error
    places = [known.index(name) for name in names]
    first, second = np.triu_indices(result.sizes["image"], k=1)
    named = {"image": "image_name", "set": "image_set", "hash": "image_hash"}
    patterns = {name: result[label].values.tolist() for name, label in named.items()}
    patterns |= {name: result[name].values.tolist() for name in attribute_names(result)}
    about = {"network": str(provenance(result).get("network", "")), "units": str(result["units"].item())}
    return RDMs(
        result["distance"].values[places][:, first, second].astype(np.float64),
        dissimilarity_measure="Euclidean distance",
        rdm_descriptors={
            "layer": names,
            **{name: [fact] * len(names) for name, fact in about.items()},
            "n_units": units_at_hand(result).values[places].tolist(),
        },
        pattern_descriptors={"index": list(range(result.sizes["image"])), **patterns},
    )
