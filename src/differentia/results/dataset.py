"""The labelled result: one flat `xarray.Dataset`, which opens anywhere that netCDF-4 does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from differentia.errors import InputError, require_known
from differentia.recording.responses import Moments, Responses
from differentia.recording.units import UnitKind, unit_kind
from differentia.results.attributes import attribute_coordinates
from differentia.results.confidence import SCORES, Confidence
from differentia.results.references import SET_REFERENCE
from differentia.results.schema import (
    LIMITS,
    SCHEMA_VERSION,
    SPECS,
    TRIAL_VALUES,
    VARIABLES,
    checked,
    map_dimensions,
    read_provenance,
)
from differentia.system.choices import TOKENS

if TYPE_CHECKING:
    import xarray as xr

#: How to get what a result may lack.
REMEDIES = {
    "prediction": "measure a classifier, with views=True (no --no-views)",
    "filter_mean": "measure at most 2,000 images, with views=True (no --no-views), and layers whose channels "
    "are known",
    "thumbnail": "measure at most 2,000 images, with views=True (no --no-views)",
    **dict.fromkeys(("layer_mean", "layer_sd"), "measure with views=True (no --no-views)"),
    "distance": "measure at most 2,000 images",
    **dict.fromkeys(LIMITS, "measure again, or add them with with_intervals(result)"),
    "map_0": "choose the channels whose maps are kept with maps={layer: [channel]} (--map)",
}

#: The same of results of values over time.
_OF_STATES = "of values over time it keeps one of each trial, and nothing else of the states"


def remedies(result: xr.Dataset) -> dict[str, str]:
    """Return how to get what a result may lack."""
    over_time = [name for name in REMEDIES if TRIAL_VALUES in result and name not in LIMITS]
    return REMEDIES | dict.fromkeys(over_time, _OF_STATES)


def build_result(
    responses: Responses,
    *,
    differentiation: Float[np.ndarray, "set layer n draw"],
    n_units: Sequence[int],
    image_sum: Float[np.ndarray, "image layer"],
    image_sumsq: Float[np.ndarray, "image layer"],
    distance: Float[np.ndarray, "layer image image"] | None,
    confidences: Sequence[Sequence[Sequence[Confidence | None]]],
    normalize: str,
    metric: str,
    reference: str,
    set_references: Mapping[str, str] | None,
    provenance: Mapping[str, Any],
) -> xr.Dataset:
    """Return what was computed from responses as a labelled result; `n_units` ascend.

    `confidences` are by layer, set and number of units. Raw Euclidean distances and the images' sums are over
    the units of draw 0 at the largest `n_units`, or over all units for a sketch. `differentiation` is NaN
    where there is no such draw. `set_references` are of each set, where they differ from the one of all.
    """
    import xarray as xr

    layers = responses.layers
    used = [[responses.units_used(layer, count) for count in n_units] for layer in layers]
    values: dict[str, Any] = {
        "differentiation": differentiation,
        "units_used": np.array(used, dtype=np.int64),
        "pool_size": np.array([len(responses.units[layer.name]) for layer in layers], dtype=np.int64),
        "layer_size": np.array([layer.size for layer in layers], dtype=np.int64),
        "units_at_hand": _units_at_hand(responses, used),
        "set_size": np.array([rows.stop - rows.start for rows in responses.sets.values()], dtype=np.int64),
        "image_sum": image_sum,
        "image_sumsq": image_sumsq,
        "layer_kind": [layer.kind for layer in layers],
        "layer_shape": ["x".join(map(str, layer.shape)) for layer in layers],
        "image_set": [image.set for image in responses.images],
        "image_name": [image.name for image in responses.images],
        "image_hash": [image.hash for image in responses.images],
        "units": responses.unit_kind,
        "set": list(responses.sets),
        "layer": [layer.name for layer in layers],
        "n_units": np.asarray(n_units, dtype=np.int64),
        "draw": np.arange(differentiation.shape[3]),
    }
    if set_references is not None:
        values[SET_REFERENCE] = [set_references[name] for name in responses.sets]
    # Of all they would be 0, 1, 2, ... for millions of units, and a sketch has none.
    if responses.unit_kind not in ("all", "sketch"):
        values["unit"] = _padded_pools(responses)
        values["rank"] = np.arange(values["unit"].shape[1])  # so that pools of different sizes can be joined
    if distance is not None:
        values["distance"] = distance
    rows = list(responses.sets.values())
    values |= confidence_arrays(confidences, rows, len(responses.images))
    views = responses.views
    if responses.moments is not None:
        values["layer_mean"], values["layer_sd"] = _set_moments(responses, responses.moments)
    if views.filter_means:
        counts = [means.shape[1] for means in views.filter_means.values()]
        values["filter_mean"] = np.hstack(list(views.filter_means.values()))
        values["filter_layer"] = np.repeat(list(views.filter_means), counts)
        values["filter_index"] = np.concatenate([np.arange(count) for count in counts])
    if views.predictions is not None:
        values["prediction"] = views.predictions.probabilities
        values["class_name"] = list(views.predictions.class_names)
    if views.thumbnails is not None:
        values["thumbnail"] = views.thumbnails
    if views.maps:
        values["map_image"] = np.asarray(views.map_images, dtype=np.int64)
    placed: dict[str, Any] = {name: (SPECS[name].dimensions, value) for name, value in values.items()}
    for number, shown in enumerate(views.maps):
        about = {"layer": shown.layer, "filter": shown.filter}
        placed[f"map_{number}"] = (map_dimensions(number), shown.values, about)
    known = attribute_coordinates(responses.attributes)
    attributes = {
        "schema_version": SCHEMA_VERSION,
        "normalize": normalize,
        "metric": metric,
        "reference": reference,
        "seed": responses.seed,
        "provenance": json.dumps(dict(provenance), sort_keys=True),
    }
    labels = [name for name in values if name not in VARIABLES]
    return xr.Dataset(placed, attrs=attributes).set_coords(labels).assign_coords(known)


def confidence_arrays(
    confidences: Sequence[Sequence[Sequence[Confidence | None]]],
    rows: Sequence[slice | Int[np.ndarray, " _"]],
    n_images: int,
) -> dict[str, Any]:
    """Return what is known of values, by layer, set (whose images' rows are given) and number of units."""
    shape = (len(rows), len(confidences), len(confidences[0][0]))
    log_limit = np.full((*shape, len(SCORES)), np.nan, dtype=np.float32)
    freedom, doubt = np.full(shape, np.nan), np.full(shape, "", dtype="U32")
    influence = np.full((n_images, *shape[1:]), np.nan, dtype=np.float32)
    for layer, of_layer in enumerate(confidences):
        for at, of_set in enumerate(of_layer):
            for count, found in enumerate(of_set):
                if found is not None:
                    here = at, layer, count
                    log_limit[here], freedom[here], doubt[here] = found.log_limit, found.freedom, found.doubt
                    influence[rows[at], layer, count] = found.influence
    return {
        "log_limit": log_limit,
        "freedom": freedom,
        "influence": influence,
        "doubt": doubt,
        "score": SCORES,
    }


def _set_moments(
    responses: Responses, moments: Moments
) -> tuple[Float[np.ndarray, "set layer"], Float[np.ndarray, "set layer"]]:
    """Return the mean and SD over all units and images of each set, from those of each image."""
    of_sets = [(moments.mean[rows], moments.variance[rows]) for rows in responses.sets.values()]
    means = np.stack([mean.mean(axis=0) for mean, _ in of_sets])
    # The variance is the mean of the images' variances plus the variance of their means.
    return means, np.sqrt([variance.mean(axis=0) + mean.var(axis=0) for mean, variance in of_sets])


def _units_at_hand(responses: Responses, used: Sequence[Sequence[int]]) -> Int[np.ndarray, " layer"]:
    """Return over how many units distances and sums are: those of draw 0 at the largest number, or all."""
    sketched = unit_kind(responses.unit_kind).sketched
    counts = [
        layer.size if sketched else of_layer[-1]
        for layer, of_layer in zip(responses.layers, used, strict=True)
    ]
    return np.array(counts, dtype=np.int64)


def _padded_pools(responses: Responses) -> np.ndarray:
    pools = [responses.units[layer.name] for layer in responses.layers]
    padded = np.full((len(pools), max(map(len, pools))), -1, dtype=np.int64)
    for row, units in zip(padded, pools, strict=True):
        row[: len(units)] = units
    return padded.astype(np.int32) if padded.max() < 2**31 else padded


#: Coordinates, and attributes and facts of the provenance, that are the same in results measured together.
_ALIKE = ("set", "layer", "image_name", "image_set", "image_hash")
_ALIKE_FACTS = (
    *("normalize", "metric", "reference", "seed"),
    *("network", "fingerprint", "input_shape", "preprocessing", "crop", "resize", "resized_to", "resized_by"),
    *("dtype", "forward", "tokens"),
)


@checked
def as_kinds(results: xr.Dataset | Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Return a result, or results that were measured together, by their kind of units."""
    import xarray as xr

    if isinstance(results, xr.Dataset):  # which is a Mapping, too
        return {str(results["units"].item()): results}
    if not results:
        raise InputError("expected a result, or results as {kind of units: result}; got none")
    kinds = {name: str(result["units"].item()) for name, result in results.items()}
    for name, kind in kinds.items():
        if name != kind:
            raise InputError(
                f"the result of kind {name!r} is of the kind {kind!r}; give each result under its own "
                "kind, as measure_kinds() returns them, and results of different experiments separately"
            )
    first, *others = kinds
    for other in others:
        if what := _difference_between(results[first], results[other]):
            raise InputError(
                f"the results of {first!r} and {other!r} differ in their {what}; give results that were "
                "measured together (measure_kinds)"
            )
    return dict(results)


def _difference_between(one: xr.Dataset, other: xr.Dataset) -> str:
    """Return in what two results differ that were not measured together; "" if in nothing."""
    for label in _ALIKE:
        if not np.array_equal(one[label].values, other[label].values):
            return f"{label.replace('_', ' ')}{'es' if label.endswith('hash') else 's'}"
    facts, others = (
        provenance(result) | result.attrs | {"tokens": tokens_of(result)} for result in (one, other)
    )
    for name in _ALIKE_FACTS:
        if facts.get(name) != others.get(name):
            return f"{name.replace('_', ' ')}, {facts.get(name, '')!r} and {others.get(name, '')!r}"
    return ""


def provenance(result: xr.Dataset) -> dict[str, Any]:
    """Return all that a result says of what it depends on: network, weights, versions, command and more."""
    return read_provenance(result.attrs["provenance"])


def tokens_of(result: xr.Dataset) -> str:
    """Return which tokens of a layer count in a result; old ones, and recordings, do not say "all"."""
    return provenance(result).get("tokens") or TOKENS.names[0]


def with_provenance(result: xr.Dataset, **facts: Any) -> xr.Dataset:
    """Return a result with more facts in its provenance, which JSON can hold."""
    known = {**provenance(result), **facts}
    return result.assign_attrs(provenance=json.dumps(known, sort_keys=True))


def require_variables(result: xr.Dataset, *names: str) -> None:
    """Raise an error that says how to get them unless a result has certain of `REMEDIES`."""
    for name in names:
        if name not in result:
            what = "map of a channel" if name == "map_0" else name
            raise InputError(f"the result has no {what}; {remedies(result)[name]}")


def set_rows(result: xr.Dataset, name: str) -> Int[np.ndarray, " n"]:
    """Return the rows of a set's images."""
    require_known("set", name, [str(known) for known in result["set"].values])
    return np.flatnonzero(result["image_set"].values == name)


def kind_of(result: xr.Dataset) -> UnitKind:
    """Return the kind of units that a result is of."""
    return unit_kind(str(result["units"].item()))


def units_at_hand(result: xr.Dataset) -> xr.DataArray:
    """Return over how many units the distances and sums of a result, or of one of its layers, are."""
    if "units_at_hand" in result:  # which older results lack
        return result["units_at_hand"]
    if kind_of(result).sketched:  # which stands for all units
        return result["layer_size"]
    return result["units_used"].sel(n_units=result["n_units"].max())


def is_squared(result: xr.Dataset) -> bool:
    """Return whether what a result compares is in the squared unit of what was recorded, as spectra are."""
    # What was computed from several results has no provenance.
    known = provenance(result) if "provenance" in result.attrs else {}
    return bool((known.get("states") or {}).get("states") == "spectral")
