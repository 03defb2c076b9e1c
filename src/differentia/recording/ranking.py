"""Ranking: each unit's mean and variance over all images, gathered as they are shown."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

from differentia.networks.layers import Layer
from differentia.networks.probes import UnitMoments
from differentia.recording.schedule import Showing
from differentia.recording.store.base import KeptBatch, Store

#: Seconds between two times that the sums are saved.
SAVE_EVERY = 60.0

#: Under which name they are saved, and how many numbers of each unit.
RANKING, NUMBERS = "ranking", 3


class Ranking:
    """The sums of each layer's units over the images so far; it goes on from those that were saved."""

    def __init__(self, layers: Sequence[Layer], showings: Sequence[Showing], store: Store) -> None:
        self._layers = {layer.name: layer for layer in layers}
        self._store = store
        self._digests = [""]
        for showing in showings:
            if showing.kept is None:
                break
            self._digests.append(_digest(self._digests[-1], showing.kept))
        self._done = dict.fromkeys(self._layers, 0)
        self._saved: dict[str, str] = {}
        self.moments = {name: UnitMoments() for name in self._layers}
        for layer in layers:
            self._go_on_with(layer, showings)
        self._saved_at = time.monotonic()

    def _go_on_with(self, layer: Layer, showings: Sequence[Showing]) -> None:
        for done in range(len(self._digests) - 1, 0, -1):
            state = self._store.load_state(layer.name, RANKING, self._digests[done], (NUMBERS, layer.size))
            if state is not None:
                shown = sum(len(showing.images) for showing in showings[:done])
                self.moments[layer.name] = UnitMoments.of(shown, state, layer.shape)
                self._done[layer.name] = done
                self._saved[layer.name] = self._digests[done]
                return

    def wanted(self, position: int) -> dict[str, UnitMoments]:
        """Return the sums, by layer, that are yet to take in the images of a showing."""
        return {name: self.moments[name] for name, done in self._done.items() if done <= position}

    def took_in(self, position: int, batch: KeptBatch) -> None:
        """Note that the images of a showing were taken in by all that wanted them."""
        if position + 1 == len(self._digests):
            self._digests.append(_digest(self._digests[-1], batch))
        for name in self.wanted(position):
            self._done[name] = position + 1
        if time.monotonic() - self._saved_at > SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Save the sums, under the images that they are of."""
        for name, done in self._done.items():
            key = self._digests[done]
            if key and self._saved.get(name) != key:
                self._store.save_state(name, RANKING, key, self.moments[name].state)
                self._saved[name] = key
        self._saved_at = time.monotonic()


def _digest(before: str, batch: KeptBatch) -> str:
    """Return what tells the images up to those of a batch from any others; "" where there are none."""
    if not batch.images:
        return before
    return hashlib.sha256("\0".join([before, *batch.images]).encode()).hexdigest()[:32]
