"""What a result is of, as texts call it: a network's layers and images, or populations and stimuli."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from differentia.results.dataset import kind_of, provenance

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Noun:
    """A noun, by which things are counted."""

    one: str
    many: str

    def count(self, number: int) -> str:
        """Return "1 image", "1,200 images"."""
        return f"{number:,} {self.one if number == 1 else self.many}"

    def listed(self, names: Sequence[str], most: int = 3) -> str:
        """Return "conv1, conv2", or the first of many names: "conv1, conv2, conv3 and 9 more layers"."""
        more = len(names) - most
        few = ", ".join(names[:most])
        return f"{few} and {more:,} more {self.one if more == 1 else self.many}" if more > 0 else few


@dataclass(frozen=True)
class Subject:
    """What is shown, what responds to it, and what that is made of."""

    item: Noun
    place: Noun
    unit: Noun
    #: Whether responses were at hand, and no network was shown anything; then places have no order.
    recorded: bool = False


SETS = Noun("set", "sets")
_UNITS, _SUMS = Noun("unit", "units"), Noun("sum", "sums")

NETWORK = Subject(Noun("image", "images"), Noun("layer", "layers"), _UNITS)
RECORDED = Subject(
    Noun("stimulus", "stimuli"),
    Noun("population", "populations"),
    Noun("neuron", "neurons"),
    recorded=True,
)


#: Among the facts of a contrast, and of a summary of several results: whether these are of recordings.
RECORDED_FACT = "recorded"


def subject_of(result: xr.Dataset) -> Subject:
    """Return what a result, or a dataset computed from it that says so, is of."""
    if RECORDED_FACT in result.attrs:
        return RECORDED if result.attrs[RECORDED_FACT] else NETWORK
    if "layer_kind" not in result:
        return NETWORK
    recorded = {*result["layer_kind"].values.tolist()} == {"Recorded"}
    return RECORDED if recorded and not provenance(result).get("network") else NETWORK


def unit_noun(result: xr.Dataset) -> Noun:
    """Return what its numbers of units count: units, neurons, or the sums of a sketch."""
    return _SUMS if kind_of(result).sketched else subject_of(result).unit
