"""Traces of units over time, read in parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from differentia.errors import InputError
from differentia.neurons.dynamic_tables import described


@dataclass(frozen=True)
class SampledTraces:
    """Values (sample, unit), and the time of each sample.

    What is stored is multiplied by `factor`, of all units or of each, and `offset` is added.
    """

    data: Any
    times: Float[np.ndarray, " sample"]
    factor: float | Float[np.ndarray, " unit"] = 1.0
    offset: float = 0.0

    @property
    def n_units(self) -> int:
        return 1 if len(self.data.shape) == 1 else int(self.data.shape[1])

    def samples(self, start: int, stop: int) -> Float[np.ndarray, "sample unit"]:
        """Return the values from one sample to before another."""
        values = np.asarray(self.data[start:stop], np.float64)
        return values.reshape(len(values), self.n_units) * self.factor + self.offset


def is_traces(data: Any) -> bool:
    """Return whether data are numbers, (sample,) or (sample, unit)."""
    return np.dtype(data.dtype).kind in "biuf" and len(data.shape) in (1, 2)


def require_traces(data: Any, where: str) -> None:
    """Raise an error unless data are numbers, (sample,) or (sample, unit), of at least one of each."""
    if not is_traces(data) or 0 in data.shape:
        raise InputError(f"{where}: holds {described(data)}; expected numbers, (sample, unit)")


def require_as_many(times: int, data: Any, where: str) -> None:
    """Raise an error unless there are as many times as samples."""
    if times != (held := int(data.shape[0])):
        turned = times in data.shape
        way_out = "it seems to be (unit, sample): transpose it" if turned else "expected one for each sample"
        raise InputError(f"{where}: has {times:,} times of samples, and data of {held:,} samples; {way_out}")
