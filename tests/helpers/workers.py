"""Workers for tests: other processes, and this one, which gets what others would be sent."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Processes:
    """The processes of an executor."""

    executor: Executor
    count: int

    def each(
        self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], *, names: Sequence[str]
    ) -> Iterator[tuple[int, Any]]:
        """Yield what is made of each task, as tasks are done."""
        assert len(names) == len(tasks)
        futures = {self.executor.submit(function, *task): at for at, task in enumerate(tasks)}
        for future in as_completed(futures):
            yield futures[future], future.result()


@dataclass
class Here:
    """The same process, which does tasks in a random order, and notes their names and sizes."""

    count: int = 2
    seed: int = 0
    times: Mapping[str, int] = field(default_factory=dict)  # how often the results of some tasks come
    names: list[str] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    came: list[int] = field(default_factory=list)

    def each(
        self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], *, names: Sequence[str]
    ) -> Iterator[tuple[int, Any]]:
        """Yield what is made of each task, all of it pickled on the way."""
        assert len(set(names)) == len(names) == len(tasks)
        for at in np.random.default_rng(self.seed).permutation(len(tasks)).tolist():
            sent = pickle.dumps((function, tasks[at]))
            function_there, task = pickle.loads(sent)
            came = pickle.dumps(function_there(*task))
            self.names.append(names[at])
            self.sent.append(len(sent))
            self.came.append(len(came))
            for _ in range(self.times.get(names[at], 1)):
                yield at, pickle.loads(came)
