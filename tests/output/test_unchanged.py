"""What lies in a folder is made again where something has changed, and only there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import differentia as dif
from differentia.output import unchanged
from differentia.output.options import FigureOptions
from differentia.output.unchanged import RECORD, make_unless_unchanged, origin_of_figures, origin_of_report
from differentia.results.dataset import with_provenance


class Making:
    """Makes a page, and a folder with two files; counts how often."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.times = folder, 0

    def page(self) -> None:
        self.times += 1
        (self.folder / "page.html").write_text("page")

    def pictures(self) -> None:
        self.times += 1
        (self.folder / "pictures").mkdir(exist_ok=True)
        for name in ("a.png", "b.png"):
            (self.folder / "pictures" / name).write_text(name)


def test_what_is_there_is_left(tmp_path: Path) -> None:
    """Until it is to be made from something else; each thing in the folder for itself."""
    making = Making(tmp_path)
    for origin, made in (("one", True), ("one", False), ("two", True), ("two", False), ("one", True)):
        assert make_unless_unchanged(tmp_path / "page.html", origin, making.page) is made
        assert make_unless_unchanged(tmp_path / "pictures", origin, making.pictures) is made
    assert making.times == 6


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda folder: (folder / "pictures" / "a.png").unlink(),
    "changed": lambda folder: (folder / "pictures" / "b.png").write_text("B"),
    "renamed": lambda folder: (folder / "pictures" / "b.png").rename(folder / "pictures" / "c.png"),
    "more": lambda folder: (folder / "pictures" / "c.png").touch(),
    "no record": lambda folder: (folder / RECORD).unlink(),
    "damaged record": lambda folder: (folder / RECORD).write_text("{"),
    "other record": lambda folder: (folder / RECORD).write_text('["pictures"]'),
    "binary record": lambda folder: (folder / RECORD).write_bytes(b"\xff\xfe"),
    "deep record": lambda folder: (folder / RECORD).write_text("[" * 100_000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_as_it_was_made_is_made_again(damage: str, tmp_path: Path) -> None:
    """Files that are missing or were changed; and where it is not known what they were made from."""
    making = Making(tmp_path)
    assert make_unless_unchanged(tmp_path / "pictures", "one", making.pictures)
    DAMAGES[damage](tmp_path)
    assert make_unless_unchanged(tmp_path / "pictures", "one", making.pictures)
    assert not make_unless_unchanged(tmp_path / "pictures", "one", making.pictures)


def test_what_failed_is_made_again(tmp_path: Path) -> None:
    """It is written down only once it is there."""

    def fail() -> None:
        (tmp_path / "page.html").write_text("half")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        make_unless_unchanged(tmp_path / "page.html", "one", fail)
    assert make_unless_unchanged(tmp_path / "page.html", "one", Making(tmp_path).page)


@pytest.fixture(scope="module")
def result() -> xr.Dataset:
    """A result of recordings."""
    rng = np.random.default_rng(0)
    return dif.measure_responses({name: {"V1": rng.normal(size=(5, 9))} for name in ("a", "b")})


def test_what_figures_and_reports_are_made_from(result: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, options and code, not the time; the report shows the command that measured, figures do not."""
    usual = FigureOptions()

    def origins(result: xr.Dataset, options: FigureOptions = usual) -> tuple[str, str]:
        kinds = {"random": result}
        return origin_of_figures(kinds, options), origin_of_report(kinds)

    figures, report = origins(result)
    assert origins(result.copy(deep=True)) == (figures, report)
    commanded = origins(with_provenance(result, command="differentia run again"))
    assert commanded[0] == origins(with_provenance(result, command="differentia measure"))[0]
    assert commanded[1] not in (report, origins(with_provenance(result, command="differentia measure"))[1])
    other = result.copy(deep=True)
    other["differentiation"][0, 0, 0, 0] += 1e-6
    seeded = with_provenance(result, seed_of_noise=2)
    for changed in (origins(other), origins(seeded), origins(result.assign_attrs(reference="a"))):
        assert changed[0] != figures
        assert changed[1] != report
    for options in (FigureOptions(("pdf",)), FigureOptions(width=85), FigureOptions(dpi=300)):
        drawn, page = origins(result, options)
        assert drawn != figures
        assert page == report
    monkeypatch.setattr(unchanged, "_code", lambda: "of another version")
    assert set(origins(result)).isdisjoint({figures, report})
