"""Which options go together, told before a network is loaded: PyTorch is not imported for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from differentia.errors import InputError
from differentia.experiment.options import N_UNITS, MeasureOptions
from differentia.recording.division import require_few
from differentia.recording.options import RecordOptions, checked_map_images
from differentia.recording.units import unit_kind
from differentia.results.references import require_references
from differentia.stimuli.base import Stimuli
from differentia.stimuli.presentation import as_sets


def check_measurement(
    options: MeasureOptions, recording: RecordOptions, sets: Mapping[str, Any]
) -> dict[str, Stimuli]:
    """Return each set's stimuli, or raise an error for options or sets that do not go together."""
    counts_of(options, recording)
    require_fitting(options, recording.units, sets)
    stimuli = as_sets(sets, seed=recording.seed, follow_links=recording.follow_links)
    require_few(stimuli)
    checked_map_images(recording.map_images, max(map(len, stimuli.values())) if recording.maps else None)
    return stimuli


def counts_of(options: MeasureOptions, recording: RecordOptions) -> tuple[int, ...] | None:
    """Return the numbers of units that are looked at; None where no kind of units takes a number."""
    pool = recording.pool
    if not any(unit_kind(kind).counted for kind in recording.units):
        if options.n_units is not None or pool is not None:
            raise InputError(
                f"n_units (--n-units) and pool (--pool) do not go with units={recording.units[0]!r}, which "
                "takes no number of units; leave them out, or choose units='random'"
            )
        return None
    counts = options.n_units or N_UNITS
    if pool is not None and pool < max(counts):
        raise InputError(
            f"pool is {pool:,}, less than the largest n_units, {max(counts):,}; "
            "raise pool (--pool) or leave it out"
        )
    return counts


def require_fitting(options: MeasureOptions, kinds: Sequence[str], sets: Mapping[str, Any]) -> None:
    """Raise an error for options that do not go together, before any hours are spent on recording."""
    if any(unit_kind(kind).sketched for kind in kinds):
        from differentia.definition.measure import is_raw_euclidean  # with which comes SciPy

        if not is_raw_euclidean(options.normalize, options.metric):
            raise InputError(
                f"units='sketch' does not go with normalize={options.normalize!r} and "
                f"metric={options.metric!r}: sums with random signs keep Euclidean distances only. Use "
                "metric='euclidean' with normalize='layer' or 'none', or units='random'"
            )
    if sets:
        require_references(options.reference, map(str, sets))
