"""Metadata of groups: as Zarr reads them, and none where they are junk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import zarr

from differentia.recording.store.metadata import METADATA, is_lost, make_group, read_attributes, write_group


def test_groups_are_those_of_zarr(tmp_path: Path) -> None:
    """One that is there is not made again."""
    write_group(tmp_path / "a" / "b", {"layer": "conv", "sizes": [1, 2]})
    assert zarr.open_group(tmp_path / "a" / "b", mode="r").attrs.asdict() == {
        "layer": "conv",
        "sizes": [1, 2],
    }
    make_group(tmp_path / "a" / "b", {"layer": "other"})
    assert read_attributes(tmp_path / "a" / "b") == {"layer": "conv", "sizes": [1, 2]}


@pytest.mark.parametrize("junk", [b"", b"junk", b"{}", b"[]", b"[" * 100_000, b'{"attributes": 3}', b"\xff"])
def test_junk_has_no_attributes(junk: bytes, tmp_path: Path) -> None:
    """Nor has what is not there."""
    assert read_attributes(tmp_path) == {}
    (tmp_path / "zarr.json").write_bytes(junk)
    assert read_attributes(tmp_path) == {}


def test_metadata_that_a_power_failure_left(tmp_path: Path) -> None:
    """Gone, empty or zeros; not what says something else, a pipe, or what is in no folder."""
    assert is_lost(tmp_path)
    for content in (b"", bytes(100)):
        (tmp_path / METADATA).write_bytes(content)
        assert is_lost(tmp_path)
    for content in (b"{}", b"junk", bytes(10) + b"x"):
        (tmp_path / METADATA).write_bytes(content)
        assert not is_lost(tmp_path)
    assert not is_lost(tmp_path / METADATA)
    assert not is_lost(tmp_path / "gone")
    (tmp_path / METADATA).unlink()
    os.mkfifo(tmp_path / METADATA)
    assert not is_lost(tmp_path)
