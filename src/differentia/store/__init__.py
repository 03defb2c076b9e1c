"""Where what was recorded is kept until it is measured: in memory, or in a folder that outlives the run."""

from differentia.store.base import KeptBatch, Place, Quantity, Store
from differentia.store.disk import open_recording, require_store
from differentia.store.memory import MemoryStore

__all__ = [
    "KeptBatch",
    "MemoryStore",
    "Place",
    "Quantity",
    "Store",
    "open_recording",
    "require_store",
]
