"""The signals of trials: what each unit did over time in each, by set and area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from differentia.errors import InputError, require_distinct_names
from differentia.neurons.states import as_signal, checked_rate
from differentia.system.showing import Shown, listed

#: The area of signals that name none.
ALL = "all"


@dataclass(frozen=True, repr=False)
class Trials(Shown):
    """The signals of trials, by set and area.

    Attributes
    ----------
    signals
        Set -> area -> the signal of each trial, (time, unit), which is read when it is asked for:
        ``trials.signals["natural"]["VISp"][0]``. The units of an area are the same in all trials and sets.
    rate
        Samples in a second.
    names
        Set -> what each trial is called.
    spans
        Set -> from when to when each trial lasts, (trial, 2), in seconds; None where that is not known.
    windows
        Whether trials are windows of longer stretches, which are no independent sample.
    source, session
        What they are of; "" where that is not known.
    told
        What was left out and why, one sentence each.
    """

    signals: Mapping[str, Mapping[str, Sequence[Float[np.ndarray, "time unit"]]]]
    rate: float
    names: Mapping[str, tuple[str, ...]]
    spans: Mapping[str, Float[np.ndarray, "trial 2"]] | None = None
    windows: bool = False
    source: str = ""
    session: str = ""
    told: tuple[str, ...] = field(default=())

    @property
    def sets(self) -> dict[str, int]:
        """How many trials each set has."""
        return {name: len(names) for name, names in self.names.items()}

    @property
    def areas(self) -> tuple[str, ...]:
        """The names of the areas."""
        return tuple(next(iter(self.signals.values())))

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {
            "source": self.source,
            "session": self.session,
            "sets": listed([f"{name} ({count:,})" for name, count in self.sets.items()]),
            "areas": listed(self.areas),
            "rate": f"{self.rate:.9g} samples a second",
        }
        count, what = sum(self.sets.values()), "windows" if self.windows else "trials"
        return f"Signals of {count:,} {what}", {name: fact for name, fact in facts.items() if fact}


def trials_from_arrays(given: Mapping[Any, Any], rate: float) -> Trials:
    """Return arrays, set -> area -> (trial, time, unit), or a list of (time, unit), as trials.

    A set may be one array, or one list, of an area "all".
    """
    rate = checked_rate(rate)
    if not isinstance(given, Mapping) or not given:
        raise InputError(
            "expected signals as {set: {area: array (trial, time, unit)}}, with at least one set"
        )
    signals = {
        name: _of_set(by_area, name)
        for name, by_area in zip(require_distinct_names("set", given), given.values(), strict=True)
    }
    first, of_first = next(iter(signals.items()))
    for name, by_area in signals.items():
        if odd := sorted(set(of_first) ^ set(by_area)):
            raise InputError(
                f"sets {first!r} and {name!r} differ in the areas {', '.join(odd)}; expected every area in "
                "every set"
            )
        for area, of_trials in by_area.items():
            expected = of_first[area][0].shape[1]
            for at, signal in enumerate(of_trials):
                if signal.shape[1] != expected:
                    raise InputError(
                        f"area {area!r} has {expected} units in set {first!r}, trial 0, but "
                        f"{signal.shape[1]} in set {name!r}, trial {at}; expected the same units in every "
                        "trial"
                    )
    ordered = {name: {area: by_area[area] for area in of_first} for name, by_area in signals.items()}
    counts = {name: len(next(iter(by_area.values()))) for name, by_area in ordered.items()}
    return Trials(ordered, rate, {name: tuple(map(str, range(count))) for name, count in counts.items()})


def _of_set(given: Any, name: str) -> dict[str, list[Float[np.ndarray, "time unit"]]]:
    by_area = given if isinstance(given, Mapping) else {ALL: given}
    if not by_area:
        raise InputError(f"set {name!r} holds no area; expected {{set: {{area: array}}}} or {{set: array}}")
    found = {}
    for area, of_area in zip(require_distinct_names("area", by_area), by_area.values(), strict=True):
        where = f"set {name!r}, area {area!r}"
        if len(shape := np.shape(of_area) if hasattr(of_area, "__array__") else ()) not in (0, 3):
            raise InputError(
                f"{where} has the shape {shape}; expected (trial, time, unit), or a list of trials"
            )
        if hasattr(of_area, "dims") and {*of_area.dims} == {"trial", "time", "unit"}:  # a DataArray
            of_area = of_area.transpose("trial", "time", "unit").values
        if isinstance(of_area, str) or not len(of_area):
            raise InputError(f"{where} holds no trials; expected an array (trial, time, unit)")
        found[area] = [as_signal(one, f"{where}, trial {at}") for at, one in enumerate(of_area)]
    if len({len(of_area) for of_area in found.values()}) > 1:
        counts = {area: len(of_area) for area, of_area in found.items()}
        raise InputError(
            f"set {name!r} has different numbers of trials in its areas ({counts}); expected each area's "
            "signal in every trial"
        )
    return found
