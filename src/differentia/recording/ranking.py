"""Ranking: each unit's mean and variance over all images, gathered as they are shown.

The sums of each task are gathered and saved apart, and added in the order of the tasks. So they are the same,
to the bit, whoever recorded which task, and after which other.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from differentia.errors import StorageError
from differentia.networks.layers import Layer
from differentia.networks.probes import UnitMoments
from differentia.recording.schedule import Showing
from differentia.recording.store.base import KeptBatch, Store

#: Seconds between two times that the sums are saved.
SAVE_EVERY = 60.0

#: Under which name they are saved, with the task's number, and how many numbers of each unit.
RANKING, NUMBERS = "ranking", 3


class _Task:
    """The showings of a task, from a position on, and what tells the images of those shown from others."""

    def __init__(self, number: int, showings: Sequence[Showing]) -> None:
        self.what = f"{RANKING}-{number}"
        self.number = number
        self.start = showings[0].position
        self.batches = len(showings)
        self.kept: list[KeptBatch] = []
        self.digests = [""]
        for showing in showings:
            if showing.kept is None:
                break
            self.took_in(showing.kept)

    def took_in(self, batch: KeptBatch) -> None:
        self.kept.append(batch)
        self.digests.append(_digest(self.digests[-1], batch))


class Ranking:
    """The sums of each layer's units over the images so far; it goes on from those that were saved.

    Showings are in the order of their numbers. What gathers the sums of each layer may be given (`sums`).
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        showings: Sequence[Showing],
        store: Store,
        sums: Mapping[str, UnitMoments] | None = None,
    ) -> None:
        self._layers = {layer.name: layer for layer in layers}
        self._store = store
        by_task: dict[int, list[Showing]] = {}
        for showing in showings:
            by_task.setdefault(showing.place // store.task_batches, []).append(showing)
        self._tasks = [_Task(number, of_task) for number, of_task in by_task.items()]
        self._task_at = [at for at, task in enumerate(self._tasks) for _ in range(task.batches)]
        # By layer: what probes gather of the task at work; of each task, how many of its batches were taken
        # in; the sums over the first tasks, and how many these are.
        sums = defaultdict(UnitMoments) if sums is None else sums
        self._gathering = {name: sums[name] for name in self._layers}
        self._done = {name: [0] * len(self._tasks) for name in self._layers}
        self._added = dict.fromkeys(self._layers, 0)
        self.moments = {name: UnitMoments() for name in self._layers}
        for name in self._layers:
            self._find(name)
        self._saved_at = time.monotonic()

    def _find(self, name: str) -> None:
        """Find up to where the sums of each task are saved, and add those of the first tasks."""
        for at, task in enumerate(self._tasks):
            saved = self._store.state_keys(name, task.what)
            for batches in range(len(task.kept), 0, -1):
                known = not task.digests[batches] or task.digests[batches] in saved
                found = self._load(name, task, batches) if known else None
                if found is not None:
                    self._done[name][at] = batches
                    if self._is_whole(name, at) and self._added[name] == at:
                        self._add(name, found)
                    break

    def _is_whole(self, name: str, at: int) -> bool:
        return self._done[name][at] == self._tasks[at].batches

    def _load(self, name: str, task: _Task, batches: int) -> UnitMoments | None:
        """Return the sums of the first batches of a task, where they are saved."""
        layer, shown = self._layers[name], sum(len(batch.images) for batch in task.kept[:batches])
        if not shown:
            return UnitMoments()
        state = self._store.load_state(name, task.what, task.digests[batches], (NUMBERS, layer.size))
        return None if state is None else UnitMoments.of(shown, state, layer.shape)

    def _add(self, name: str, moments: UnitMoments) -> None:
        self.moments[name].add(moments)
        self._added[name] += 1

    def _loaded(self, name: str, task: _Task, batches: int) -> UnitMoments:
        found = self._load(name, task, batches)
        if found is None:
            raise StorageError(
                f"{self._store.name}: what was saved to rank the units of layer {name!r} has changed "
                "meanwhile; run the same command again"
            )
        return found

    @property
    def lacking(self) -> list[int]:
        """The numbers of the tasks of which some layer's sums are yet to be gathered."""
        return [
            task.number
            for at, task in enumerate(self._tasks)
            if not all(self._is_whole(name, at) for name in self._layers)
        ]

    def wanted(self, position: int) -> list[str]:
        """Return the layers whose sums are yet to take in the images of a showing."""
        at = self._task_at[position]
        place = position - self._tasks[at].start
        return [name for name, done in self._done.items() if done[at] <= place]

    def gathering(self, position: int) -> dict[str, UnitMoments]:
        """Return what takes in the images of a showing, the next of which something is wanted, by layer."""
        at = self._task_at[position]
        wanted = {name: self._gathering[name] for name in self.wanted(position)}
        for name, moments in wanted.items():
            if self._done[name][at] and not moments.shown:  # an earlier run was stopped within the task
                moments.add(self._loaded(name, self._tasks[at], self._done[name][at]))
        return wanted

    def took_in(self, position: int, batch: KeptBatch) -> None:
        """Note that the images of a showing were taken in by all that wanted them."""
        wanted = self.wanted(position)
        at = self._task_at[position]
        task = self._tasks[at]
        if position - task.start == len(task.kept):
            task.took_in(batch)
        for name in wanted:
            self._done[name][at] = position - task.start + 1
            if self._is_whole(name, at):
                self._save(name, task, task.batches)
                moments = self._gathering[name].take()
                while self._added[name] < at:  # others have gathered these
                    before = self._tasks[self._added[name]]
                    self._add(name, self._loaded(name, before, before.batches))
                self._add(name, moments)
        if time.monotonic() - self._saved_at > SAVE_EVERY:
            for name in wanted:
                if not self._is_whole(name, at):
                    self._save(name, task, self._done[name][at])
            self._saved_at = time.monotonic()

    def finish(self) -> None:
        """Add the sums of the tasks that follow the last that was shown."""
        for name, added in self._added.items():
            for task in self._tasks[added:]:
                self._add(name, self._loaded(name, task, task.batches))

    def _save(self, name: str, task: _Task, batches: int) -> None:
        """Save the sums of the first batches of a task, under the images that they are of."""
        moments = self._gathering[name]
        if moments.shown:
            self._store.save_state(name, task.what, task.digests[batches], moments.state)


def _digest(before: str, batch: KeptBatch) -> str:
    """Return what tells the images up to those of a batch from any others; "" where there are none."""
    if not batch.images:
        return before
    return hashlib.sha256("\0".join([before, *batch.images]).encode()).hexdigest()[:32]
