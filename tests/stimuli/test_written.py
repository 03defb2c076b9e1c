"""Stimuli written down: opened again, the images are the same; what can't be opened is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import differentia as dif
from differentia.stimuli.base import Fit, Stimuli
from differentia.stimuli.presentation import as_sets
from differentia.stimuli.written import written_sets

FIT = Fit((8, 8, 3))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with images in folders, files of several, and a table of some."""
    rng = np.random.default_rng(3)
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for number in range(3):
            pixels = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
            PIL.Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    np.save(tmp_path / "film.npy", rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8))
    rows = [f"{name}/{number}.png,{name},1" for name in ("cats", "dogs") for number in (2, 0)]
    (tmp_path / "table.csv").write_text("\n".join(["file,set,size", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hashes(given: Stimuli) -> list[str]:
    return [given.content_hash(number, FIT) for number in range(len(given))]


def test_opened_again_they_are_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From JSON, and another folder: every kind of source, what is made of others, and rows of a table."""
    table = dif.sets_from("table.csv?path=file&set=set")
    sets = as_sets(
        {
            "cats": "cats",
            "some": ["dogs/2.png", "cats/0.png"],
            "glob": "*/1.png",
            "film": "film.npy?every=2",
            "noise": "noise:3",
            "made": "scramble:cats?kind=pixels",
            **{f"{name} of the table": given for name, given in table.items()},
        },
        seed=7,
    )
    written = json.loads(json.dumps(written_sets(sets, follow_links=False)))
    assert written["cats"] == str(folder / "cats")  # and not a list that grows with the images
    assert written["some"] == [str(folder / "dogs" / "2.png"), str(folder / "cats" / "0.png")]
    assert written["dogs of the table"] == [str(folder / "dogs" / name) for name in ("2.png", "0.png")]
    assert written["noise"].endswith("seed=7")
    expected = {name: hashes(given) for name, given in sets.items()}
    monkeypatch.chdir("/")
    assert {name: hashes(given) for name, given in as_sets(written, seed=0).items()} == expected
    assert {**expected, "cats": expected["some"]} != expected


def test_what_is_in_this_process_only(folder: Path) -> None:
    """Arrays, pictures and what is made of them can't travel, nor can a file that changed its images."""
    pixels = np.zeros((2, 8, 8, 3), np.uint8)
    own = (pixels, [PIL.Image.new("RGB", (9, 9))] * 2, dif.scramble(pixels))
    for given in own:
        with pytest.raises(dif.InputError, match=r"set 'a' \(.*\) can't be opened by other processes; save"):
            written_sets(as_sets({"a": given}, seed=0), follow_links=False)
    sets = as_sets({"cats": "cats"}, seed=0)
    (folder / "cats" / "0.png").rename(folder / "cats" / "7.png")
    with pytest.raises(dif.InputError, match="can't be opened"):
        written_sets(sets, follow_links=False)
