"""A folder as a user of the command line has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two folders of images, an empty one, and files that are none."""
    rng = np.random.default_rng(0)
    for name, count in {"cats": 4, "dogs": 3, "lonely": 1}.items():
        (tmp_path / name).mkdir()
        for index in range(count):
            pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            PIL.Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    for index in range(2):
        (tmp_path / "broken" / f"{index}.jpg").write_bytes(b"no image")
    return tmp_path
