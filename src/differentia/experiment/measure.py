"""Where the stages are joined: stimuli through a network, responses to a labelled result."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from differentia.definition.deviations import rounded_in_words
from differentia.errors import InputError, warn
from differentia.experiment.checks import check_measurement, counts_of, require_fitting
from differentia.experiment.layers import Undefined, measure_layers
from differentia.experiment.options import (
    N_UNITS,
    AllKeywords,
    AllKindsKeywords,
    MeasureKeywords,
    MeasureOptions,
    measure_and_record,
    measure_options,
)
from differentia.neurons.recording import Recording
from differentia.neurons.responses import StimulusResponses
from differentia.recording.cluster import cluster_of
from differentia.recording.options import RecordOptions, one_kind
from differentia.recording.record import record_kinds
from differentia.recording.response_files import read_labelled_responses
from differentia.recording.responses import Responses, responses_from_arrays
from differentia.recording.saved import saved
from differentia.recording.units import unit_kind, units_used
from differentia.results.attributes import renamed_in_words
from differentia.results.confidence import WINDOWS, Confidence
from differentia.results.dataset import build_result
from differentia.results.intervals import add_intervals
from differentia.results.references import OTHERS, References, resolved
from differentia.system.fields import accept, takes
from differentia.system.files import user_path
from differentia.system.machine import memory_budget, untouched_array
from differentia.system.progress import Progress, require_progress, shown_progress
from differentia.system.showing import listed
from differentia.system.tasks import Workers

if TYPE_CHECKING:
    import xarray as xr

    from differentia.recording.response_files import ResponsesSource

#: With more images the result holds no distance matrices.
MOST_IMAGES_WITH_DISTANCES = 2_000


@takes(MeasureOptions, RecordOptions, keywords=AllKeywords)
def measure(network: Any, sets: Mapping[str, Any], **options: Unpack[AllKeywords]) -> xr.Dataset:
    """Measure the differentiation of every layer of a network for several sets of images.

    Parameters
    ----------
    network
        What `load_network` takes; a module or model that needs options goes through it first.
    sets
        Name -> stimuli, or anything that `images` takes, or ``"noise:43"``; `sets_from` gives many at once.
    {options}

    Returns
    -------
    xarray.Dataset
        ``differentiation`` (set, layer, n_units, draw), which is dimensionless (with ``normalize="none"`` in
        the unit of the responses), between which limits it lies (``differentiation_low``,
        ``differentiation_high``), and what it was computed from.

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
    analysis, recording = measure_and_record(options)
    kind = one_kind(recording)
    return measure_with(network, sets, analysis, recording)[kind]


@takes(MeasureOptions, RecordOptions, keywords=AllKindsKeywords)
def measure_kinds(
    network: Any,
    sets: Mapping[str, Any],
    *,
    kinds: Sequence[str] = ("random", "top", "top_variance", "per_filter", "filter_mean"),
    **options: Unpack[AllKindsKeywords],
) -> dict[str, xr.Dataset]:
    """Measure several kinds of units side by side, from the same pass over the same images.

    Parameters
    ----------
    network, sets
        As for `measure`.
    kinds
        Names of kinds of units, as of ``units`` in `measure`. Those that take no number of units leave
        `n_units` and `pool` aside.
    {options}

    Returns
    -------
    dict of xarray.Dataset
        By kind: what `measure` returns for each alone. `plot_kinds` draws them.

    Raises
    ------
    InputError, RecordingError, StorageError, FolderInUseError
        As for `measure`.
    """
    if "units" in options:
        raise InputError("measure_kinds takes no units=; name the kinds of units as kinds=")
    return measure_with(network, sets, *measure_and_record({**options, "units": kinds}))


def with_pool(options: MeasureOptions, recording: RecordOptions) -> RecordOptions:
    """Return the options of a recording of as many units as are looked at."""
    pool = recording.pool or max(counts_of(options, recording) or N_UNITS)
    return replace(recording, pool=pool)


def measure_with(
    network: Any, sets: Mapping[str, Any], options: MeasureOptions, recording: RecordOptions
) -> dict[str, xr.Dataset]:
    """Measure each kind of units of `recording`; by kind."""
    counts = counts_of(options, recording)
    sets = check_measurement(options, recording, sets)
    measured: dict[str, xr.Dataset] = {}
    with shown_progress(recording.progress) as progress:
        recording = replace(with_pool(options, recording), progress=progress)
        workers = None if recording.client is None else cluster_of(recording.client)
        responses = record_kinds(network, sets, recording)

        def report(done: int, total: int, stage: str) -> None:  # as if the layers of each kind were others
            progress(len(measured) * total + done, len(responses) * total, stage)

        for kind, recorded in responses.items():
            of_kind = counts if unit_kind(kind).counted else None
            measured[kind] = _measure_recorded(recorded, of_kind, options, recording.memory, report, workers)
    return measured


@takes(MeasureOptions, keywords=MeasureKeywords)
def measure_responses(
    responses: Responses | Mapping[str, Any] | ResponsesSource,
    *,
    pool: int | None = None,
    seed: int | None = None,
    memory: int | str | None = None,
    client: Any = None,
    progress: Progress | bool | None = None,
    **options: Unpack[MeasureKeywords],
) -> xr.Dataset:
    """Measure the differentiation of responses that are at hand: recorded neurons, stored activations.

    Parameters
    ----------
    responses
        What `record` or `stimulus_responses` returned, or set -> layer (or area) -> array (n_responses,
        n_units) with the same units of a layer in every set, or set -> array of one layer, "all"; or what
        `read_responses` takes: the path of a file that holds such arrays (``.npz``, ``.nc``, ``.zarr``), or a
        Dataset or DataTree.
        DataFrames and xarray's DataArrays go by their labels: units may stand in another order in each set,
        and dimensions that are called unit or neuron, and stimulus, trial or time, either way round.
    pool
        Units of each layer to draw from, by default all; arrays only.
    seed
        Seed of the choice of units, by default 0; recorded responses have theirs.
    memory
        How much may be taken for what is read of responses on disk, in bytes or as ``"4GB"``, by default half
        of what is free. With less, the same is read more often.
    client
        A ``dask.distributed.Client`` whose workers measure (extra ``cluster``), by default this process. They
        read the store of a recording, or a copy of a file's responses that is written beside it and removed
        afterwards. The numbers are the same.
    progress
        As for `measure`; there is one stage, ``measuring``, which counts layers.
    {options}

    Returns
    -------
    xarray.Dataset
        As `measure`.

    Raises
    ------
    InputError
        Something that was given can't be used: a NaN among the responses, units or stimuli with other labels,
        an unknown option; with a `client`, responses in memory.
    RecordingError, StorageError
        With a `client`: a task failed for good; responses can't be written to where workers read them.
    """
    given = measure_options(options)
    workers = None if client is None else cluster_of(client)
    file = user_path(responses) if isinstance(responses, str | os.PathLike) else None
    require_progress(progress)
    if not isinstance(responses, Responses):
        if pool is not None and given.n_units is None:
            raise InputError(
                "pool (--pool) is what n_units (--n-units) are drawn from; give both, or leave pool out"
            )
        kinds = ("all",) if given.n_units is None else ("random",)
        seed = 0 if seed is None else seed
        how = accept(RecordOptions, {"units": kinds, "pool": pool, "seed": seed, "memory": memory})
        counts_of(given, how)
        arrays, known = _arrays_of(responses)
        recorded = responses_from_arrays(arrays, kind=kinds[0], pool=pool, seed=how.seed)
        responses = replace(recorded, **known)
    elif pool is not None or seed not in (None, responses.seed):
        raise InputError("recorded responses already have a pool and a seed; leave pool= and seed= out")
    elif not unit_kind(responses.unit_kind).counted and given.n_units is not None:
        raise InputError(
            f"these responses were recorded with units={responses.unit_kind!r} and are measured whole: leave "
            "n_units= out, or record with units='random'"
        )
    require_fitting(given, [responses.unit_kind], responses.sets)
    with (
        shown_progress(progress) as report,
        nullcontext(responses) if workers is None else _where_workers_read(responses, file) as read,
    ):
        return _measure_recorded(read, given.n_units, given, memory, report, workers)


@contextmanager
def _where_workers_read(responses: Responses, file: Path | None) -> Iterator[Responses]:
    """Give responses that lie on disk; what is in memory is written beside the file that it was read from."""
    if not any(isinstance(values, np.ndarray) for values in responses.values.values()):
        yield responses
        return
    if file is None:
        raise InputError(
            "workers can't read responses in the memory of this process; name a file that all of them see "
            "(numpy.savez writes one), record them into a store (store=), or leave client= out"
        )
    with saved(responses.values, file.absolute().parent) as values:
        yield replace(responses, values=values)


def _arrays_of(given: Any) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Return responses at hand as arrays, and what else is known of them, as fields of `Responses`."""
    if isinstance(given, str | os.PathLike):
        return read_labelled_responses(given), {"provenance": {"responses": os.fspath(given)}}
    if isinstance(given, Recording):
        raise InputError(
            "expected responses, and not a Recording; cut them out of it: "
            "stimulus_responses(recording, by=..., window=...)"
        )
    if isinstance(given, StimulusResponses):
        _require_pairs(given)
        facts = {"responses": given.source, "session": given.session, "subject": given.subject}
        return given, {
            "provenance": {name: fact for name, fact in facts.items() if fact}
            | {"stimulus_responses": dict(given.how)}
            | {"left_out": [*given.told], "warnings": [*map(dict, given.warned)]},
            "attributes": given.attributes(),
            "independent": given.independent,
        }
    return read_labelled_responses(given) if hasattr(given, "data_vars") else given, {}  # which xarray's have


def _require_pairs(given: StimulusResponses) -> None:
    """Raise an error for sets of one presentation, which have no pair to compare."""
    shapes = {name: next(iter(of_set.values())).shape for name, of_set in given.items()}
    if single := [name for name, shape in shapes.items() if shape[0] == 1]:
        raise InputError(
            f"one presentation only of {listed([*map(repr, single)])}, and no pair to compare; leave it out "
            "(where=, --where), or cut a long one into windows (spontaneous=, --spontaneous)"
        )


def _measure_recorded(
    responses: Responses,
    counts: Sequence[int] | None,
    options: MeasureOptions,
    memory: int | str | None,
    progress: Progress,
    workers: Workers | None = None,
) -> xr.Dataset:
    counts = _counts_at_hand(responses, counts)
    if all(responses.units_used(layer, min(counts)) == layer.size for layer in responses.layers):
        options = replace(options, draws=1)  # of all units there is no other
    n_images, n_layers = len(responses.images), len(responses.layers)
    values = np.empty((len(responses.sets), n_layers, len(counts), options.draws))
    image_sum, image_sumsq = np.empty((n_images, n_layers)), np.empty((n_images, n_layers))
    distance = None
    if n_images <= MOST_IMAGES_WITH_DISTANCES:
        distance = untouched_array((n_layers, n_images, n_images), np.float32)
    undefined: list[Undefined] = []
    rounded: dict[str, int] = {}
    confidences: list[list[list[Confidence | None]]] = []
    wanted = distance is not None
    progress(0, n_layers, "measuring")
    budget = memory_budget(memory)
    measures = measure_layers(responses, counts, options, distances=wanted, budget=budget, workers=workers)
    for at, measured in enumerate(measures):
        values[:, at], image_sum[:, at], image_sumsq[:, at] = measured[:3]
        confidences.append(measured.confidences)
        if distance is not None:
            distance[at] = measured.distances
        undefined += measured.undefined
        rounded[responses.layers[at].name] = measured.rounded
        progress(at + 1, n_layers, "measuring")
    warned = list(responses.provenance.get("warnings", ()))
    if renamed := renamed_in_words(responses.attributes):
        warned.append(warn("other", renamed))
    if undefined:
        warned.append(_warn_of_undefined(undefined, responses.unit_kind))
    if any(rounded.values()):
        pools = {name: len(units) for name, units in responses.units.items()}
        warned.append(warn("rounding", rounded_in_words(rounded, pools)))
    reference, set_references = references_for(responses, options.reference)
    result = build_result(
        responses,
        differentiation=values,
        n_units=counts,
        image_sum=image_sum,
        image_sumsq=image_sumsq,
        distance=distance,
        confidences=confidences,
        normalize=options.normalize,
        metric=options.metric,
        reference=reference,
        set_references=set_references,
        provenance={**responses.provenance, "warnings": warned, "versions": versions_of(responses)},
    )
    if not responses.independent:
        result["doubt"] = result["doubt"].copy(data=np.full(result["doubt"].shape, WINDOWS))
    return add_intervals(result, confidence=options.confidence)


def references_for(responses: Responses, given: References) -> tuple[str, dict[str, str] | None]:
    """Return the reference of all sets that are not named, or "", and that of each set where some are."""
    own = responses.reference or ""
    if given is None or isinstance(given, str):
        return given or own, None
    reference = given.get(OTHERS, own)
    return reference, resolved(given, responses.sets, dict.fromkeys(responses.sets, reference))


def _counts_at_hand(responses: Responses, counts: Sequence[int] | None) -> Sequence[int]:
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
    return warn("undefined", text)


def versions_of(responses: Responses) -> dict[str, str]:
    packages = ["differentia", "torch", "keras", "numpy", "pillow", "xarray"]
    packages += responses.provenance.get("frameworks", ())
    packages += filter(None, [responses.provenance.get("package")])
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
