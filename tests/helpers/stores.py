"""A store with four batches of images, and what was written into it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from differentia.recording.division import Promised
from differentia.recording.store.base import KeptBatch, Place, Quantity, Store
from differentia.recording.store.disk import DiskStore, open_recording
from differentia.recording.store.layouts import CHUNK_COLUMNS

IDENTITY = {"network": "a" * 64, "resize": "bilinear"}
BEHAVIOUR = {"conv": [0.5, 1.5]}
SIZES = (32, 11, 32, 1)
COLUMNS = CHUNK_COLUMNS + 100


def opened(path: Path, batch_size: int = 32, **changes: Any) -> DiskStore:
    fresh = changes.pop("fresh", False)
    behaviour = changes.pop("behaviour", BEHAVIOUR)
    settings = {"task_batches": changes.pop("task_batches", 2), "compress": changes.pop("compress", "none")}
    identity = {**IDENTITY, **changes}
    return open_recording(
        path, identity, behaviour, name="net", batch_size=batch_size, fresh=fresh, **settings
    )


def values_of(number: int, dtype: Any = np.float32, columns: int = COLUMNS) -> np.ndarray:
    generator = np.random.default_rng(number)
    return (100 * generator.standard_normal((SIZES[number], columns))).astype(dtype)


def fill(store: Store, dtype: Any = np.float32) -> list[Place]:
    """Write four batches, two to a task, each in two chunks of columns; return the places of all images."""
    promise(store, SIZES)
    for number, size in enumerate(SIZES):
        batch = store.add_batch(number, "a", [f"{number}/{row}" for row in range(size)])
        values = values_of(number, dtype)
        store.write(Quantity("conv", "random-0", 0, COLUMNS), batch, values)
    store.finish()
    return places(store.batches)


def promise(store: Store, sizes: Sequence[int]) -> range:
    """Promise batches of so many images of set "a" to a store, and return their numbers."""
    store.promise({"a": "digest"}, [Promised("a", range(size)) for size in sizes])
    return range(store.divisions[-1].first, store.divisions[-1].stop)


def add(store: Store, images: Sequence[str]) -> KeptBatch:
    """Promise one batch and add it."""
    (number,) = promise(store, [len(images)])
    return store.add_batch(number, "a", images)


def places(batches: list[KeptBatch]) -> list[Place]:
    return [Place(batch, row) for batch in batches for row in range(len(batch.images))]


def chunks(path: Path) -> list[Path]:
    """Return the files with chunks, shards or one chunk each, in the order of their names."""
    return sorted(file for file in path.rglob("c.*") if file.is_file())
