"""What Zarr has to know of groups and arrays: ``zarr.json``, which is written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from differentia.recording.store import writers
from differentia.system.regular import opened

#: The file with the metadata of a group or an array.
METADATA = "zarr.json"

#: In bytes: neither metadata nor a division of ten million images have as many.
MOST_JSON = 2**24

#: What reading metadata raises that are not there, or are none. A disk that fails is another matter.
JUNK = (
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError),
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError),
)


def read_json(path: Path) -> Any:
    """Return what a file of JSON holds; one that is none, or larger than ours are, is a `ValueError`."""
    with opened(path) as file:
        if file is None or os.fstat(file.fileno()).st_size > MOST_JSON:
            raise ValueError(f"{path.name} is no file, or a very large one")
        return json.loads(file.read())


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a group or an array."""
    content: dict[str, Any] = read_json(path / METADATA)
    return content


def is_lost(path: Path) -> bool:
    """Return whether metadata are gone, empty or zeros, as a power failure leaves what was just written."""
    try:
        with opened(path / METADATA) as file:
            return file is not None and not file.read(MOST_JSON).strip(b"\0")
    except FileNotFoundError:
        return path.is_dir()
    except NotADirectoryError:
        return False


def write_metadata(path: Path, content: Mapping[str, Any]) -> None:
    """Write the metadata of a group or an array, whole or not at all."""
    path.mkdir(parents=True, exist_ok=True)
    writers.write_whole(path / METADATA, json.dumps(content, indent=1).encode())


def read_attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of a group; none where its metadata can't be read."""
    try:
        attributes = read_metadata(path)["attributes"]
    except JUNK:
        return {}
    return attributes if isinstance(attributes, dict) else {}


def write_group(path: Path, attributes: Mapping[str, Any]) -> None:
    """Write the metadata of a group."""
    write_metadata(path, {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)})


def make_group(path: Path, attributes: Mapping[str, Any]) -> None:
    """Write the metadata of a group that has none."""
    if not (path / METADATA).exists():
        write_group(path, attributes)
