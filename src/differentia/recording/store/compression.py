"""How the bytes of a chunk are packed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: How hard zstd tries: more takes longer than recording does, for little (`benchmarks/store.py`).
ZSTD_LEVEL = 1


@dataclass(frozen=True)
class Compression:
    """A way to pack.

    Attributes
    ----------
    codecs
        What Zarr calls it.
    pack
        Returns a chunk packed.
    unpack
        Returns what was packed, of so many bytes; for anything else a `ValueError` or `RuntimeError`.
    most
        Returns the bytes that so many take at most.
    """

    codecs: tuple[dict[str, Any], ...]
    pack: Callable[[Any], Any]
    unpack: Callable[[memoryview, int], Any]
    most: Callable[[int], int]


def _zstd(chunk: Any) -> bytes:
    from numcodecs import zstd

    packed: bytes = zstd.compress(chunk, ZSTD_LEVEL)
    return packed


def _of_zstd(packed: memoryview, size: int) -> np.ndarray:
    from numcodecs import zstd

    content = np.zeros(size, np.uint8)  # never as much as a stranger's file says
    zstd.decompress(packed, content)
    return content


#: By the name that the option has.
COMPRESSIONS = {
    "none": Compression((), lambda chunk: chunk, lambda packed, size: packed, lambda size: size),
    "zstd": Compression(
        ({"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": False}},),
        _zstd,
        _of_zstd,
        lambda size: size + size // 128 + 512,  # as ZSTD_compressBound has it, and a little more
    ),
}
