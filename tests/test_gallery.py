"""The gallery's page is what its script writes, and each figure is what the code beside it draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.documents import fenced, script
from helpers.figures import require_readable, require_still
from PIL import Image

gallery = script("write_gallery")
ENTRIES = {entry.name: entry for entry in gallery.ENTRIES}


def committed(name: str) -> Image.Image:
    """Return a figure of the page, in grey."""
    return Image.open(gallery.FIGURES / f"{name}.png").convert("L")


def likeness(one: Image.Image, other: Image.Image) -> float:
    """Return how alike two pictures are, made small: the correlation of their pixels."""
    small = [np.asarray(picture.resize((96, 64))).ravel() for picture in (one, other)]
    return float(np.corrcoef(small)[0, 1])


def test_the_page_is_what_the_script_writes() -> None:
    """With all its code, which is not empty."""
    written = gallery.PAGE.read_text(encoding="utf-8")
    assert written == gallery.page()
    code = fenced(written, "python")
    codes = (gallery.BEGINNING, *(entry.code for entry in ENTRIES.values()))
    assert code == [text.lstrip() for text in codes]
    assert max(len(line) for block in code for line in block.splitlines()) <= gallery.WIDTH


def test_every_entry_has_its_figure() -> None:
    """And there is no other; each shows something, says what, and all together are small."""
    files = {path.stem: path for path in gallery.FIGURES.iterdir()}
    assert list(ENTRIES) == [entry.name for entry in gallery.ENTRIES]
    assert set(files) == set(ENTRIES)
    for name in ENTRIES:
        picture = committed(name)
        assert min(picture.size) > 150, name
        assert np.asarray(picture).std() > 10, name
    assert sum(path.stat().st_size for path in files.values()) < 1.5e6
    described = [entry.alt for entry in ENTRIES.values()]
    assert len(set(described)) == len(described)
    assert min(map(len, described)) > 40


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the lines at the beginning of the page name."""
    found: dict[str, Any] = gallery.begin()
    return found


@pytest.mark.soak
@pytest.mark.parametrize("name", ENTRIES)
def test_code_draws_its_figure(
    name: str, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be read, has the size of the committed one, and looks like it, more than any other does."""
    monkeypatch.chdir(tmp_path)  # for what the code saves
    figure = gallery.draw(ENTRIES[name], names)
    require_readable(figure)
    require_still(figure)
    figure.savefig("drawn.png", dpi=gallery.DPI)
    drawn = Image.open("drawn.png").convert("L")
    assert drawn.size == pytest.approx(committed(name).size, abs=3)
    assert likeness(drawn, committed(name)) > 0.95
    others = [likeness(drawn, committed(other)) for other in ENTRIES if other != name]
    assert max(others) < 0.8
