"""Zarr folders of strangers, looked over before anything is read."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from differentia.errors import InputError, in_one_line
from differentia.system.regular import opened

#: Files that describe arrays and groups, of both formats.
METADATA = (".zarray", ".zgroup", ".zmetadata", "zarr.json")

#: What numbers and text are packed with; all else could run code, or read from elsewhere.
CODECS = (
    *("adler32", "bitround", "bitshuffle", "blosc", "bytes", "bz2", "crc32", "crc32c", "delta"),
    *("fixedscaleoffset", "fletcher32", "gzip", "lz4", "lzma", "packbits", "quantize", "sharding_indexed"),
    *("shuffle", "transpose", "vlen-utf8", "zlib", "zstd"),
)

#: Types of numbers and text, as formats 2 and 3 name them.
_DATA_TYPE = re.compile(
    r"[<>|=]?[?biufcSUmM]\d*(\[\d*[a-zA-Zμ]+\])?"
    r"|bool|u?int\d+|b?float\d+|complex\d+|string|fixed_length_utf32|null_terminated_bytes"
    r"|numpy\.(datetime|timedelta)64"
)


def require_plain_zarr(folder: Path, where: str) -> None:
    """Raise an error unless a Zarr folder holds all its data itself, numbers and text in known codecs."""
    described = False
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            inside = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise InputError(
                    f"{where}: {inside!r} is a link to another place, or a device, which is not read; use a "
                    "folder that holds all its data itself"
                )
            if name.lower() in METADATA:  # of which a disk may ignore the case
                described = True
                for facts in _described(path, inside, where):
                    _require_plain(facts, inside, where)
    if not described:
        raise InputError(
            f"{where}: is no Zarr folder: there is none of {', '.join(METADATA)} in it; xarray's "
            "data.to_zarr(path) writes one"
        )


def _described(path: Path, inside: str, where: str) -> Iterator[dict[str, Any]]:
    """Yield what a file says of an array or group, and of those inside it."""
    try:
        with opened(path) as file:
            if file is None:
                raise ValueError("it is no file any more")
            facts = json.loads(file.read())
        consolidated = (facts.get("consolidated_metadata") or {}).get("metadata") or {}
        within = {**(facts.get("metadata") or {}), **consolidated}
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(
            f"{where}: can't be read as Zarr ({inside!r} is no description of an array: "
            f"{in_one_line(error)}); it may be cut off or damaged: write it again"
        ) from error
    yield facts
    for name, one in within.items():
        if not name.endswith(".zattrs"):  # which hold what they like
            yield one if isinstance(one, dict) else {"data_type": one}


def _require_plain(facts: dict[str, Any], inside: str, where: str) -> None:
    codecs = [*_listed(facts.get("filters")), *_listed(facts.get("codecs"))]
    codecs += [facts["compressor"]] if facts.get("compressor") is not None else []
    codecs += _listed(facts.get("storage_transformers"))
    names = [_require_known(codec, inside, where) for codec in codecs]
    for key in ("dtype", "data_type"):
        if key in facts and not (facts[key] == "|O" and "vlen-utf8" in names):  # which is text
            _require_numbers_or_text(facts[key], inside, where)


def _require_known(codec: Any, inside: str, where: str) -> str:
    """Return the name of a codec, once it and those inside it are known to do no harm."""
    facts = codec if isinstance(codec, dict) else {"name": codec}
    given = facts.get("id", facts.get("name"))
    name = given.removeprefix("numcodecs.") if isinstance(given, str) else ""
    if name not in CODECS or ("id" in facts and facts.get("name", given) != given):
        raise InputError(
            f"{where}: {inside!r} names the codec {_as_shown(given)}, which is not read; expected one of "
            f"{', '.join(CODECS)}: write numbers as xarray's to_zarr does"
        )
    settings = facts.get("configuration")
    settings = {**facts, **(settings if isinstance(settings, dict) else {})}
    for key in ("dtype", "astype"):
        if key in settings:
            _require_numbers_or_text(settings[key], inside, where)
    for key in ("codecs", "index_codecs"):
        for one in _listed(settings.get(key)):
            _require_known(one, inside, where)
    return name


def _require_numbers_or_text(data_type: Any, inside: str, where: str) -> None:
    name = data_type.get("name") if isinstance(data_type, dict) else data_type
    if not (isinstance(name, str) and _DATA_TYPE.fullmatch(name)):
        raise InputError(
            f"{where}: {inside!r} has the type {_as_shown(data_type)}; expected numbers or text: objects are "
            "not read"
        )


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _as_shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
