"""Links in the place of what a command writes: nothing is written, or removed, where they lead."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.tries import Rows, bounded

import differentia as dif
from differentia.cli import main
from differentia.output.figures.save import Picture
from differentia.system import files
from differentia.system.files import written_whole

ROWS = Rows("Links and places to write")

Capture = pytest.CaptureFixture[str]

MEASURE = (
    *("measure", "digits", "--set", "a=noise:4", "--set", "b=digits:4", "--layers", "predictions"),
    *("--n-units", "5", "--draws", "1", "--no-views", "-q"),
)

#: What is a folder in a folder that `measure` writes; all else there is a file.
FOLDERS = ("figures", "responses.zarr", ".in-use")
FILES = ("experiment.toml", "result.nc", "predictions.csv", "report.html", ".made.json")


@pytest.fixture(scope="module", autouse=True)
def little_drawn() -> Iterator[None]:
    """One small figure, and a short page: where they are written is what counts."""
    with pytest.MonkeyPatch.context() as patch:
        picture = Picture("differentiation", 20, lambda figure: figure.add_subplot())
        patch.setattr("differentia.output.figures.save._pictures", lambda *_: [picture])
        patch.setattr("differentia.output.report.page._page", lambda *_, **__: "a page")
        yield


@pytest.fixture(scope="module")
def measured(little_drawn: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `measure` leaves it, which no test may change."""
    folder = tmp_path_factory.mktemp("links") / "out"
    assert main([*MEASURE, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def sent(measured: Path, tmp_path: Path) -> Path:
    """A copy of it, as it was sent, beside a folder with files of the user's."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("precious", "differentiation.png", "relative.png", "trials.png", *FILES):
        (outside / name).write_text("mine")
    return Path(shutil.copytree(measured, tmp_path / "sent"))


def contents(folder: Path) -> dict[str, object]:
    """Return all that lies in a folder, with what files hold."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def replace(path: Path, target: Path) -> None:
    """Put a link in the place of a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


def commands(folder: Path) -> list[list[str]]:
    """Return what writes into a folder."""
    return [
        [*MEASURE, "--out", str(folder)],
        [*MEASURE, "--fresh", "--out", str(folder)],
        [*MEASURE, "--no-store", "--figures", "png,svg", "--out", str(folder)],
        [*MEASURE, "--figures", "none", "--out", str(folder)],
        ["report", str(folder), "--figures", "pdf"],
        ["report", str(folder), "--figures", "none"],
    ]


@ROWS.row(
    "`figures/`, `responses.zarr`, `.in-use` as links in a folder that was sent, to a folder, to nothing, or "
    "to each other, and any command that writes there",
    "Refused in one line that names the link; nothing is written or removed behind it",
)
@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize(
    "target", bounded(["../outside", "../new", "figures_of", "/proc/self/cwd"], every_time=2)
)
def test_folders_that_are_links(
    name: str, target: str, sent: Path, capsys: Capture, tried: Callable[..., None]
) -> None:
    """Where figures would be removed, too."""
    outside = sent.parent / "outside"
    (sent / "figures_of").mkdir()
    replace(sent / name, Path(target))
    before = contents(outside)
    for arguments in commands(sent):
        if name == "responses.zarr" and (arguments[0] == "report" or "--no-store" in arguments):
            continue  # which have nothing to do with it
        assert main(arguments) == 2, arguments
        (line,) = capsys.readouterr().err.splitlines()
        assert name in line
        assert "remove it" in line
        assert contents(outside) == before
        assert sorted(path.name for path in sent.parent.iterdir()) == ["outside", "sent"]
        assert list((sent / "figures_of").iterdir()) == []
        tried()


@ROWS.row(
    "`experiment.toml`, `result.nc`, `predictions.csv`, `report.html`, `.made.json` as links in such a "
    "folder",
    "The link is replaced by the file; what it led to stays as it was",
)
@pytest.mark.parametrize("nth", bounded(6, every_time=1))
def test_files_that_are_links(nth: int, sent: Path, measured: Path, tried: Callable[..., None]) -> None:
    """All of them at once, to files or to nothing; result.nc is read through its link by `report`."""
    outside, arguments = sent.parent / "outside", commands(sent)[nth]
    shutil.copy(measured / "result.nc", outside / "result.nc")
    before = contents(outside)
    (sent / "predictions.csv").write_text("of an earlier run")
    names = FILES if arguments[0] == "measure" else FILES[3:]
    for name in names:
        replace(sent / name, outside / name if nth % 2 else outside / f"new_{name}")
    assert main(arguments) == 0
    assert contents(outside) == before
    assert not any(path.is_symlink() for path in sent.rglob("*"))
    assert (sent / "report.html").read_text() == "a page"
    tried(len(names))


@ROWS.row(
    "Pictures in `figures/` that are links, to be drawn anew or removed",
    "The link is replaced, or removed; what it led to stays as it was",
)
def test_figures_that_are_links(sent: Path, tried: Callable[..., None]) -> None:
    """Of names of figures, which `--figures none` removes."""
    outside = sent.parent / "outside"
    before = contents(outside)
    for figures in ("png", "none"):
        (sent / "figures").mkdir(exist_ok=True)
        for name in ("differentiation.png", "relative.png", "kinds.svg"):
            replace(sent / "figures" / name, outside / name)
        assert main(["report", str(sent), "--figures", figures]) == 0
        assert contents(outside) == before
        assert not any(path.is_symlink() for path in sent.rglob("*"))
        tried(3)


@ROWS.row(
    "Links anywhere in a store that was sent: for a folder, a chunk, metadata, a job, a lock",
    "Refused in one line that names the link; nothing is written behind it",
)
@pytest.mark.parametrize("share", bounded(10, every_time=1))
def test_stores_with_links(
    share: int, sent: Path, measured: Path, capsys: Capture, tried: Callable[..., None]
) -> None:
    """Each folder and file of it in turn."""
    outside, store = sent.parent / "outside", sent / "responses.zarr"
    before = contents(outside)
    places = [path.relative_to(store) for path in sorted(store.rglob("*"))]
    places += [Path("jobs"), Path(".lock.json"), Path("recordings/other"), Path(".in-use")]
    for nth, place in enumerate(places[share::10]):
        shutil.rmtree(store)
        shutil.copytree(measured / "responses.zarr", store)
        of_folder = not place.suffix and (store / place).is_dir()
        replace(store / place, outside if of_folder or nth % 2 else outside / "precious")
        assert main([*MEASURE, "--out", str(sent)]) == 2, place
        (line,) = capsys.readouterr().err.splitlines()
        of_root = place == Path("zarr.json")  # without which it is no store
        assert "is no store of responses" in line if of_root else f"{place}" in line and "remove it" in line
        assert contents(outside) == before
        tried()


@ROWS.row(
    "The folder that you name is a link itself, or lies below one, as on a cluster's scratch disk",
    "Written to: it is yours",
)
@pytest.mark.parametrize(
    ("given", "lies"),
    bounded([("home/data/new", "scratch/new"), ("home/out", "scratch/below")], every_time=1),
)
def test_the_users_own_links(given: str, lies: str, tmp_path: Path, tried: Callable[..., None]) -> None:
    """With all that goes into it."""
    (tmp_path / "scratch" / "below").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "data").symlink_to(tmp_path / "scratch")
    (tmp_path / "home" / "out").symlink_to(tmp_path / "scratch" / "below")
    assert main([*MEASURE, "--out", str(tmp_path / given)]) == 0
    made = {path.name for path in (tmp_path / lies).iterdir()}
    assert {"experiment.toml", "result.nc", "report.html", "figures", "responses.zarr"} <= made
    assert main(["noise", str(tmp_path / "home/data/images"), "--count", "2", "--size", "8"]) == 0
    assert len(list((tmp_path / "scratch" / "images").iterdir())) == 2
    tried(2)


@ROWS.row(
    "A link in the place of a new folder (`noise`, `scramble`, `select`), also one that leads nowhere",
    "Refused: it exists already",
)
def test_new_folders(tmp_path: Path, capsys: Capture, tried: Callable[..., None]) -> None:
    """Nothing is made where it leads."""
    (tmp_path / "empty").mkdir()
    for target in ("empty", "nowhere"):
        replace(tmp_path / "link", tmp_path / target)
        for arguments in (
            ["noise", "{}", "--count", "2", "--size", "8"],
            ["scramble", "noise:2", "{}", "--size", "8"],
        ):
            assert main([part.format(tmp_path / "link") for part in arguments]) == 2
            assert "link: already exists; name a new folder" in capsys.readouterr().err
            tried()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "link"]
    assert list((tmp_path / "empty").iterdir()) == []


@ROWS.row(
    "Links laid beforehand under the hidden names that files and folders have until they are whole",
    "Another name is taken; what they lead to stays as it was",
)
def test_hidden_names_that_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried: Callable[..., None]
) -> None:
    """Also of the next names, as somebody who guesses the process's number would lay them."""
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out").mkdir()
    for wanted in ("result.nc", "report.html"):
        monkeypatch.setattr(files, "_SERIAL", iter(range(100)))
        names = [files._beside(tmp_path / "out" / wanted) for _ in range(20)]
        for nth, name in enumerate(names):
            name.symlink_to(tmp_path / ("precious" if nth % 2 else "new"))
        monkeypatch.setattr(files, "_SERIAL", iter(range(100)))
        with written_whole(tmp_path / "out" / wanted) as beside:
            assert beside not in names
            beside.write_text("whole")
        assert (tmp_path / "out" / wanted).read_text() == "whole"
        assert (tmp_path / "precious").read_text() == "mine"
        assert not (tmp_path / "new").exists()
        tried(20)


@ROWS.row(
    "Names of images that lead upwards or elsewhere (`../../x`, `/etc/x`), to be written as files",
    "Written into the new folder, under a name without folders",
)
def test_names_of_images(tmp_path: Path, tried: Callable[..., None]) -> None:
    """As names in a table or an archive may be."""
    names = ("../../x.png", "/etc/x.png", "..", "a/../../b", "con\\..\\x", "x" * 400, ".hidden", "~/x")
    stimuli = dif.noise(len(names), seed=0)
    stimuli.names = names
    dif.save_images(stimuli, tmp_path / "deep" / "new", size=(8, 8, 3))
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["new"]
    written = list((tmp_path / "deep" / "new").iterdir())
    assert len(written) == len(names)
    assert all(path.is_file() and not path.is_symlink() for path in written)
    assert not os.path.exists("/etc/x.png")
    tried(len(names))
