"""Zarr folders of strangers: numbers and text are read, what could run code or reach out is refused."""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import differentia as dif
from differentia.system.zarr_folders import require_plain_zarr

DATA = xr.Dataset(
    {"m": (("stimulus", "neuron"), np.ones((4, 3)))},
    coords={
        "stimulus": list("abcd"),
        "area": ("neuron", np.array(["V1", "V1", "LM"], dtype=object)),
        "raw": ("neuron", np.array([b"a", b"b", b"c"])),
        "day": ("neuron", np.array(["2020", "2021", "2022"], dtype="datetime64[ns]")),
        "good": ("neuron", np.array([True, False, True])),
    },
)


def written(folder: Path, **options: Any) -> Path:
    with warnings.catch_warnings():  # of texts, which are not yet a part of format 3
        warnings.simplefilter("ignore")
        DATA.to_zarr(folder, **options)
    return folder


@pytest.mark.parametrize("version", [2, 3])
def test_numbers_and_text_are_read(tmp_path: Path, version: int) -> None:
    """Whatever xarray writes, in shards too."""
    require_plain_zarr(written(tmp_path / "a.zarr", zarr_format=version, consolidated=True), "x")
    if version == 3:
        shards = {"m": {"chunks": (2, 3), "shards": (4, 3)}}
        require_plain_zarr(written(tmp_path / "b.zarr", zarr_format=3, encoding=shards), "x")


TEXT, PICKLE = '{"id": "vlen-utf8"}', '{"id": "pickle"}'
ESCAPED = '{"id": "pick\\u006ce"}'
OBJECTS = '{"dtype": "|O", "compressor": null, "filters": [%s]}'
SHARDED = '{"name": "sharding_indexed", "configuration": {"%s": [{"name": "numcodecs.pickle"}]}}'

#: Descriptions of an array: the name of the file, what it holds, and what is said.
HOSTILE: dict[str, tuple[str, str, str]] = {
    "literal": (".zarray", OBJECTS % f"{TEXT}, {PICKLE}", "names the codec 'pickle', which is not read"),
    "escaped": (".zarray", OBJECTS % f"{TEXT}, {ESCAPED}", "names the codec 'pickle'"),
    "compressor": (
        ".zarray",
        f'{{"dtype": "|O", "filters": [{TEXT}], "compressor": {ESCAPED}}}',
        "codec 'pi",
    ),
    "other case": (".ZARRAY", OBJECTS % PICKLE, "names the codec 'pickle'"),
    "no filter": (".zarray", OBJECTS % "", "has the type '|O'; expected numbers or text"),
    "records": (".zarray", '{"dtype": [["a", "|O"]]}', "has the type [['a', '|O']]"),
    "a type within": (".zarray", '{"dtype": "<f8", "filters": [{"id": "delta", "dtype": "O"}]}', "type 'O'"),
    "two names": (".zarray", OBJECTS % '{"id": "vlen-utf8", "name": "pickle"}', "names the codec"),
    "format 3": (
        "zarr.json",
        '{"data_type": "float64", "codecs": ["numcodecs.pickle"]}',
        "codec 'numcodecs.",
    ),
    "shards": ("zarr.json", f'{{"codecs": [{SHARDED % "codecs"}]}}', "codec 'numcodecs.pickle'"),
    "index": ("zarr.json", f'{{"codecs": [{SHARDED % "index_codecs"}]}}', "codec 'numcodecs.pickle'"),
    "transformer": ("zarr.json", '{"storage_transformers": [{"name": "x"}]}', "names the codec 'x'"),
    "type 3": ("zarr.json", '{"data_type": {"name": "struct"}}', "has the type {'name': 'struct'}"),
    "together": (".zmetadata", f'{{"metadata": {{"m/.zarray": {OBJECTS % PICKLE}}}}}', "codec 'pickle'"),
    "together 3": (
        "zarr.json",
        f'{{"consolidated_metadata": {{"metadata": {{"m": {{"codecs": [{PICKLE}]}}}}}}}}',
        "names the codec 'pickle'",
    ),
    "no description": ("zarr.json", "[1]", "is no description of an array"),
    "no JSON": (".zarray", "{", "is no description of an array"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_could_run_code_is_refused(tmp_path: Path, case: str) -> None:
    """By its meaning, however it is spelled; attributes may say what they like."""
    name, text, line = HOSTILE[case]
    folder = written(tmp_path / "a.zarr", zarr_format=2)
    (folder / "m" / ".zattrs").write_text(text if text.startswith('{"') else "{}")
    require_plain_zarr(folder, "x")
    (folder / "deep" / "m").mkdir(parents=True)
    (folder / "deep" / "m" / name).write_text(text)
    with pytest.raises(dif.InputError) as caught:
        require_plain_zarr(folder, "x")
    assert re.match(r"x: .*'deep/m/\.?\w+", said := str(caught.value))
    assert line in said
    assert "\n" not in said


def test_links_are_refused(tmp_path: Path) -> None:
    """Of a folder, of a chunk, and of a description; the folder itself may be reached by one."""
    outside = written(tmp_path / "outside.zarr", zarr_format=2)
    for target in ("m", "m/.zarray", "m/0.0"):
        folder = tmp_path / f"{target.replace('/', '')}.zarr"
        folder.mkdir()
        (folder / ".zgroup").write_text(json.dumps({"zarr_format": 2}))
        require_plain_zarr(folder, "x")
        (folder / target).parent.mkdir(exist_ok=True)
        os.symlink(outside / target, folder / target)
        with pytest.raises(dif.InputError, match=f"^x: '{target}' is a link to another place"):
            require_plain_zarr(folder, "x")
    os.symlink(outside, tmp_path / "link.zarr")
    require_plain_zarr(tmp_path / "link.zarr", "x")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    """It is said that it is no Zarr folder, not that it is damaged."""
    (tmp_path / "a.png").touch()
    with pytest.raises(dif.InputError, match=r"^x: is no Zarr folder: there is none of \.zarray, "):
        require_plain_zarr(tmp_path, "x")
