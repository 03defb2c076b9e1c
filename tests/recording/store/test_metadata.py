"""Metadata of groups: as Zarr reads them, and none where they are junk."""

from __future__ import annotations

from pathlib import Path

import pytest
import zarr

from differentia.recording.store.metadata import make_group, read_attributes, write_group


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
