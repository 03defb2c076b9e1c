"""Some images of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from differentia.stimuli.base import Fit, Image, Stimuli

_Any = TypeVar("_Any")


class SomeStimuli(Stimuli):
    """Some images of others, in the order of the places given."""

    def __init__(self, given: Stimuli, places: Iterable[int], source: str | None = None) -> None:
        self._given, self._places = given, tuple(places)
        self.names = tuple(given.names[place] for place in self._places)
        self.source = source or given.source
        if given.paths is not None:
            self.paths = tuple(given.paths[place] for place in self._places)
        self.in_time = given.in_time
        self.attributes = {
            name: [values[place] for place in self._places] for name, values in given.attributes.items()
        }

    def load(self, index: int, fit: Fit) -> Image:
        return self._given.load(self._places[index], fit)

    def bring_near(self, index: int) -> None:
        self._given.bring_near(self._places[index])

    def caveats(self) -> dict[int, str]:
        return self._of_places(self._given.caveats())

    @property
    def may_clip(self) -> bool:
        return self._given.may_clip

    def clipped(self) -> dict[int, float]:
        return self._of_places(self._given.clipped())

    def content_hash(self, index: int, fit: Fit) -> str:
        return self._given.content_hash(self._places[index], fit)

    def _of_places(self, given: Mapping[int, _Any]) -> dict[int, _Any]:
        return {index: given[place] for index, place in enumerate(self._places) if place in given}
