"""A store as earlier versions wrote them, with a file for each chunk and a group for each batch, by zarr."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from helpers.stores import BEHAVIOUR, COLUMNS, IDENTITY, SIZES, values_of
from zarr.codecs import BytesCodec, Crc32cCodec

#: Rows of a chunk and of a batch, and columns of a chunk.
CHUNK_ROWS, BATCH_ROWS, CHUNK_COLUMNS = 16, 32, 8242


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_older(path: Path, dtype: Any = np.float32) -> Path:
    """Write what `fill` writes into an older store; return the folder of its array."""
    store = zarr.create_group(path, attributes={"differentia": "responses"})
    about: dict[str, Any] = {
        "name": "net",
        "identity": {**IDENTITY, "recording_format": 2},
        "batch_size": BATCH_ROWS,
        "chunk_rows": CHUNK_ROWS,
        "behaviour": BEHAVIOUR,
    }
    key = f"{_short(json.dumps(about['identity'], sort_keys=True))}-0123abcd"
    recording = store.create_group("recordings").create_group(key, attributes=about)
    batches = recording.create_group("batches")
    units = recording.create_group("layers").create_group(_short("conv"), attributes={"layer": "conv"})
    array = units.create_group("random-0", attributes={"what": "random-0"}).create_array(
        f"0-{COLUMNS}",
        shape=(len(SIZES) * BATCH_ROWS, COLUMNS),
        chunks=(CHUNK_ROWS, CHUNK_COLUMNS),
        dtype=dtype,
        serializer=BytesCodec(),
        compressors=[Crc32cCodec()],
        filters=None,
        fill_value=np.nan,
        chunk_key_encoding={"name": "default", "separator": "."},
    )
    for number, size in enumerate(SIZES):
        facts = {"set": "a", "images": [f"{number}/{row}" for row in range(size)], "skipped": []}
        batches.create_group(str(number), attributes={**facts, "digest": _short(json.dumps(facts))})
        start = number * BATCH_ROWS
        array[start : start + size] = values_of(number, dtype)
    return path / array.path
