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


#: What results of values over time are of, by what their provenance says.
OVER_TIME = {
    items.many: Subject(items, RECORDED.place, RECORDED.unit, recorded=True)
    for items in (Noun("trial", "trials"), Noun("window", "windows"))
}

#: Among the facts of a contrast, and of a summary of several results: whether these are of recordings.
RECORDED_FACT = "recorded"

#: Among the same, and in the provenance of results of values over time: what they have values of.
ITEMS_FACT = "items"


def subject_of(result: xr.Dataset) -> Subject:
    """Return what a result, or a dataset computed from it that says so, is of."""
    if RECORDED_FACT in result.attrs:
        facts, recorded = result.attrs, bool(result.attrs[RECORDED_FACT])
    elif "layer_kind" not in result:
        return NETWORK
    else:
        facts = provenance(result)
        of_layers = {*result["layer_kind"].values.tolist()} == {"Recorded"}
        recorded = of_layers and not facts.get("network")
    return OVER_TIME.get(facts.get(ITEMS_FACT, ""), RECORDED) if recorded else NETWORK


def facts_of(subject: Subject) -> dict[str, int | str]:
    """Return what says of a dataset computed from results what it is of, as `subject_of` reads it."""
    items = {ITEMS_FACT: subject.item.many} if subject in OVER_TIME.values() else {}
    return {RECORDED_FACT: int(subject.recorded), **items}


def unit_noun(result: xr.Dataset) -> Noun:
    """Return what its numbers of units count: units, neurons, or the sums of a sketch."""
    return _SUMS if kind_of(result).sketched else subject_of(result).unit
