"""Which sets are shown where there are more than anybody can tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from differentia.errors import InputError, require_known
from differentia.results.subject import SETS

if TYPE_CHECKING:
    import xarray as xr

#: Of more sets beside the reference nobody tells the colours and the symbols apart.
FEW_SETS = 12


def are_many(result: xr.Dataset) -> bool:
    """Return whether there are more sets than can be told apart."""
    return len(_beside_the_reference(result)) > FEW_SETS


def _beside_the_reference(result: xr.Dataset) -> list[str]:
    names = result["set"].values.astype(str).tolist()
    return [name for name in names if name != result.attrs["reference"]]


def spread_sets(result: xr.Dataset) -> list[str]:
    """Return all sets, or a few of many: evenly spread over their order, the reference among them."""
    names = [str(name) for name in result["set"].values]
    others = _beside_the_reference(result)
    if len(others) <= FEW_SETS:
        return names
    chosen = {others[place] for place in np.linspace(0, len(others) - 1, FEW_SETS).round().astype(int)}
    return [name for name in names if name in chosen or name not in others]


def chosen_sets(result: xr.Dataset, sets: str | Sequence[str] | None, otherwise: Iterable[str]) -> list[str]:
    """Return the sets that were asked for by name, or others, in the order of the result."""
    names = [str(name) for name in result["set"].values]
    if sets is None:
        wanted = {*otherwise}
    else:
        wanted = {sets} if isinstance(sets, str) else {str(name) for name in sets}
        if not wanted:
            raise InputError("no set was asked for; leave sets= out, or name some")
    for name in sorted(wanted):
        require_known("set", name, names)
    return [name for name in names if name in wanted]


def choice_told(result: xr.Dataset, shown: Sequence[str]) -> str:
    """Return what a figure says of a choice; "" where all sets are shown."""
    count = result.sizes["set"]
    return "" if len(shown) == count else f"{len(shown):,} of {SETS.count(count)}; sets= chooses others"
