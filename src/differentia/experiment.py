"""Where the stages are joined: stimuli through a network, responses to a labelled result."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.analysis import Undefined, measure_layers
from differentia.dataset import build_result
from differentia.definition import METRICS, NORMALIZATIONS, is_raw_euclidean
from differentia.errors import (
    InputError,
    require_count,
    require_known,
    require_seed,
    warn,
)
from differentia.intervals import CONFIDENCE, RESAMPLES, add_intervals, require_interval
from differentia.machine import memory_budget, untouched_array
from differentia.passes import Progress
from differentia.recording import record_kinds
from differentia.responses import Responses, responses_from_arrays
from differentia.units import require_distinct_kinds, unit_kind, units_used

if TYPE_CHECKING:
    import xarray as xr

#: Numbers of units that are looked at unless others are asked for: the notebook's.
N_UNITS = (200, 10_000, 100_000)

#: Draws of units at each number of units.
DRAWS = 20

#: More would say no more, and fill the memory.
MOST_DRAWS = 100_000

#: With more images the result holds no distance matrices.
MOST_IMAGES_WITH_DISTANCES = 2_000


def measure(
    network: Any,
    sets: Mapping[str, Any],
    *,
    n_units: int | Sequence[int] | None = None,
    draws: int = DRAWS,
    units: str = "random",
    pool: int | None = None,
    layers: Sequence[str] | None = None,
    normalize: str = "layer",
    metric: str = "euclidean",
    reference: str | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    resize: str = "bilinear",
    crop: str = "squash",
    batch_size: int | None = None,
    compile: str = "auto",
    views: bool = True,
    maps: Mapping[str, Sequence[int]] | None = None,
    map_images: Sequence[int] | None = None,
    skip_unreadable: bool = False,
    follow_links: bool = False,
    store: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    memory: int | str | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Measure the differentiation of every layer of a network for several sets of images.

    Parameters
    ----------
    network
        What `load_network` takes; a module or model that needs options goes through it first.
    sets
        Name -> stimuli, or anything that `images` takes, or ``"noise:43"``.
    n_units
        Numbers of units to look at, by default 200, 10,000 and 100,000; a smaller layer uses all it has.
    draws
        Draws of units at each number of units, from one pool for all images and sets; units that are not
        chosen at random have one.
    units : {"random", "top", "top_variance", "per_filter", "filter_mean", "all", "sketch"}
        Which units are looked at; see `record`. ``all`` and ``filter_mean`` take no `n_units` and `pool`;
        ``per_filter`` rounds `n_units` down to a multiple of the filters, and takes at least one of each.
        With ``sketch`` `n_units` are the sums with random signs that stand for all units, in the measure by
        Euclidean distances with `normalize` ``layer`` or ``none``; a layer with no more units is measured
        by all of them.
    pool
        Units to record of each layer, by default the largest of `n_units`; of a sketch at least 16,384 sums.
    layers
        Names and shell patterns, by default all but containers and layers that only reshape.
    normalize, metric
        As for `differentiation`; ``normalize="unit"`` uses each unit's SD over the images of all sets.
    reference
        The set that others are relative to, by default the one set of generated noise.
    confidence, resamples
        Of the intervals, and how often each set's images are resampled for them; see
        `differentia.intervals.with_intervals`.
    seed
        Of the choice of units, and of noise that names no seed.
    resize, crop
        How images are fitted to the network's input; see `differentia.stimuli.Fit`.
    batch_size, compile
        Images in one pass, and whether it is compiled; see `record`.
    views, maps, map_images
        What is kept to look at beside the measure; see `record`.
    skip_unreadable, follow_links
        What to do about files that can't be decoded, and about links out of a folder; see `record`.
    store, fresh, memory
        Where the responses are kept and whether it is started over, and how much memory may be used; see
        `record`.
    progress
        Called with images done, all images, and the set at hand.

    Returns
    -------
    xarray.Dataset
        ``differentiation`` (set, layer, n_units, draw) without units (with ``normalize="none"``, in those
        of the responses), between which limits it lies (``differentiation_low``, ``differentiation_high``),
        and what it was computed from.

    Raises
    ------
    InputError
        Something that was given can't be used.
    RecordingError
        The pass failed, or gave a NaN or an infinity.
    StorageError
        The store can't be written or read.
    FolderInUseError
        Another run writes to the store.
    """
    return measure_kinds(
        network,
        sets,
        kinds=(units,),
        n_units=n_units,
        draws=draws,
        pool=pool,
        layers=layers,
        normalize=normalize,
        metric=metric,
        reference=reference,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
        resize=resize,
        crop=crop,
        batch_size=batch_size,
        compile=compile,
        views=views,
        maps=maps,
        map_images=map_images,
        skip_unreadable=skip_unreadable,
        follow_links=follow_links,
        store=store,
        fresh=fresh,
        memory=memory,
        progress=progress,
    )[units]


def measure_kinds(
    network: Any,
    sets: Mapping[str, Any],
    *,
    kinds: Sequence[str] = ("random", "top", "top_variance", "per_filter", "filter_mean"),
    n_units: int | Sequence[int] | None = None,
    draws: int = DRAWS,
    pool: int | None = None,
    normalize: str = "layer",
    metric: str = "euclidean",
    reference: str | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    memory: int | str | None = None,
    **recording: Any,
) -> dict[str, xr.Dataset]:
    """Measure several kinds of units side by side, from the same pass over the same images.

    Parameters
    ----------
    kinds
        Names of kinds of units; see `record`.
    network, sets, n_units, draws, pool, normalize, metric, reference, confidence, resamples, memory
        As for `measure`. Kinds that take no number of units leave `n_units` and `pool` aside.
    **recording
        As for `measure`.

    Returns
    -------
    dict of xarray.Dataset
        By kind: what `measure` returns for each alone. `plot_kinds` draws them.

    Raises
    ------
    InputError, RecordingError, StorageError, FolderInUseError
        As for `measure`.
    """
    kinds = require_distinct_kinds([kinds] if isinstance(kinds, str) else kinds)
    counted = [kind for kind in kinds if unit_kind(kind).counted]
    counts = _checked_counts(n_units, kinds[0] if not counted else counted[0], pool)
    _check_analysis(
        sets,
        kinds=kinds,
        draws=draws,
        normalize=normalize,
        metric=metric,
        reference=reference,
        memory=memory,
    )
    require_interval(confidence, resamples)
    responses = record_kinds(
        network, sets, kinds=kinds, pool=pool or max(counts or N_UNITS), memory=memory, **recording
    )
    return {
        kind: measure_responses(
            recorded,
            n_units=counts if kind in counted else None,
            draws=draws,
            normalize=normalize,
            metric=metric,
            reference=reference,
            confidence=confidence,
            resamples=resamples,
            memory=memory,
        )
        for kind, recorded in responses.items()
    }


def measure_responses(
    responses: Responses | Mapping[str, Mapping[str, Any]],
    *,
    n_units: int | Sequence[int] | None = None,
    draws: int = DRAWS,
    pool: int | None = None,
    normalize: str = "layer",
    metric: str = "euclidean",
    reference: str | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int | None = None,
    memory: int | str | None = None,
) -> xr.Dataset:
    """Measure the differentiation of responses that are at hand: recorded neurons, stored activations.

    Parameters
    ----------
    responses
        What `record` returned, or set -> layer (or area) -> array (n_responses, n_units) with the same
        units of a layer in every set.
    n_units
        Numbers of units to look at; by default all that there are.
    draws
        Draws of units at each number of units.
    pool
        Units of each layer to draw from, by default the largest of `n_units`; arrays only.
    normalize, metric
        As for `differentiation`; ``normalize="unit"`` uses each unit's SD over the responses of all sets.
    reference
        The set that others are relative to (spontaneous activity).
    confidence, resamples
        As for `measure`.
    seed
        Of the choice of units, by default 0; recorded responses have theirs.
    memory
        How much may be taken for what is read of responses on disk, in bytes or as ``"4GB"``, by default half
        of what is free. With less, the same is read more often.

    Returns
    -------
    xarray.Dataset
        As `measure`.

    Raises
    ------
    InputError
        Something that was given can't be used: a NaN among the responses, an unknown option.
    """
    if not isinstance(responses, Responses):
        if pool is not None and n_units is None:
            raise InputError("pool= is what n_units= are drawn from; give n_units= too, or leave pool= out")
        counts = _checked_counts(n_units, "all" if n_units is None else "random", pool)
        seed = require_seed(0 if seed is None else seed)
        responses = responses_from_arrays(
            responses,
            kind="random" if counts else "all",
            pool=pool or (max(counts) if counts else None),
            seed=seed,
        )
    elif pool is not None or seed not in (None, responses.seed):
        raise InputError("recorded responses have their pool and seed; leave pool= and seed= out")
    elif not unit_kind(responses.unit_kind).counted and n_units is not None:
        raise InputError(
            f"these responses were recorded with units={responses.unit_kind!r} and are measured whole: leave "
            "n_units= out, or record with units='random'"
        )
    else:
        counts = _checked_counts(n_units, "random", None, default=None)
    _check_analysis(
        responses.sets,
        kinds=[responses.unit_kind],
        draws=draws,
        normalize=normalize,
        metric=metric,
        reference=reference,
        memory=memory,
    )
    require_interval(confidence, resamples)
    counts = _counts_at_hand(responses, counts)
    n_images, n_layers = len(responses.images), len(responses.layers)
    values = np.empty((len(responses.sets), n_layers, len(counts), int(draws)))
    image_sum, image_sumsq = np.empty((n_images, n_layers)), np.empty((n_images, n_layers))
    distance = None
    if n_images <= MOST_IMAGES_WITH_DISTANCES:
        distance = untouched_array((n_layers, n_images, n_images), np.float32)
    undefined: list[Undefined] = []
    measures = measure_layers(
        responses,
        counts,
        int(draws),
        normalize=normalize,
        metric=metric,
        distances=distance is not None,
        budget=memory_budget(memory),
    )
    for at, measured in enumerate(measures):
        values[:, at], image_sum[:, at], image_sumsq[:, at] = measured[:3]
        if distance is not None:
            distance[at] = measured.distances
        undefined += measured.undefined
    warned = list(responses.provenance.get("warnings", ()))
    if undefined:
        warned.append(_warn_of_undefined(undefined, responses.unit_kind))
    result = build_result(
        responses,
        differentiation=values,
        n_units=counts,
        image_sum=image_sum,
        image_sumsq=image_sumsq,
        distance=distance,
        normalize=normalize,
        metric=metric,
        reference=responses.reference if reference is None else str(reference),
        provenance={**responses.provenance, "warnings": warned, "versions": _versions()},
    )
    return add_intervals(result, confidence=confidence, resamples=resamples)


def _checked_counts(
    n_units: int | Sequence[int] | None,
    units: str,
    pool: int | None,
    default: tuple[int, ...] | None = N_UNITS,
) -> tuple[int, ...] | None:
    """Return the numbers of units in ascending order; None stands for all that there are."""
    kind = unit_kind(units)
    if pool is not None:
        require_count("pool", pool)
    if not kind.counted:
        if n_units is not None or pool is not None:
            raise InputError(
                f"n_units (--n-units) and pool (--pool) do not go with units={units!r}, which takes no "
                "number of units; leave them out, or choose units='random'"
            )
        return None
    given: Any = default if n_units is None else n_units
    if given is None:
        return None
    several = isinstance(given, Iterable) and not isinstance(given, str) and getattr(given, "ndim", 1) > 0
    counts = tuple(given) if several else (given,)
    counts = tuple(require_count("n_units (--n-units)", count) for count in counts)
    if not counts or len(set(counts)) != len(counts):
        raise InputError(f"n_units (--n-units) is {counts}; expected one or more numbers, none of them twice")
    if pool is not None and pool < max(counts):
        raise InputError(
            f"pool is {pool:,}, less than the largest n_units, {max(counts):,}; "
            "raise pool (--pool) or leave it out"
        )
    return tuple(sorted(counts))


def _check_analysis(
    sets: Mapping[str, Any],
    *,
    kinds: Sequence[str],
    draws: int,
    normalize: str,
    metric: str,
    reference: str | None,
    memory: int | str | None,
) -> None:
    """Raise an error for an option that can't be used, before any hours are spent on recording."""
    if require_count("draws", draws) > MOST_DRAWS:
        raise InputError(f"draws is {draws:,}; expected at most {MOST_DRAWS:,}")
    require_known("normalization", normalize, NORMALIZATIONS)
    require_known("metric", metric, METRICS)
    if any(unit_kind(kind).sketched for kind in kinds) and not is_raw_euclidean(normalize, metric):
        raise InputError(
            f"units='sketch' does not go with normalize={normalize!r} and metric={metric!r}: sums with "
            "random signs keep Euclidean distances only. Use metric='euclidean' with normalize='layer' or "
            "'none', or units='random'"
        )
    memory_budget(memory)
    if reference is not None and sets:
        known = [str(name) for name in sets]
        require_known("set for reference (--reference)", str(reference), known)


def _counts_at_hand(responses: Responses, counts: tuple[int, ...] | None) -> tuple[int, ...]:
    largest = max(len(responses.units[layer.name]) for layer in responses.layers)
    if counts is None:
        return (largest,)
    for layer in responses.layers:
        pool = len(responses.units[layer.name])
        strata = unit_kind(responses.unit_kind).strata(layer)
        if units_used(layer.size, max(counts), strata=strata) > pool:
            raise InputError(
                f"n_units is {max(counts):,}, but only {pool:,} of the {layer.size:,} units of "
                f"{layer.name!r} were recorded; record a larger pool, or ask for fewer"
            )
    return counts


def _warn_of_undefined(undefined: Sequence[Undefined], kind: str) -> dict[str, str]:
    """Give, and return, one warning that names every layer and set without a value, and its first reason."""
    first: dict[tuple[str, str], Undefined] = {}
    for case in undefined:
        first.setdefault((case.layer, case.set), case)
    listed = "; ".join(
        f"layer {case.layer!r}, set {case.set!r}: {case.reason} ({case.n_units:,} units, draw {case.draw})"
        for case in first.values()
    )
    hint = ""
    if unit_kind(kind).ranked_by == "mean":
        hint = (
            ". The units with the highest means may be saturated for every image; those of "
            "units='top_variance' can't be"
        )
    text = f"differentiation is NaN for {len(undefined)} values: {listed}{hint}"
    return warn("undefined", text, stacklevel=3)


def _versions() -> dict[str, str]:
    packages = ("differentia", "torch", "keras", "numpy", "pillow", "xarray")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
