"""From what a user names to stimuli, or an error that says what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import xarray as xr
from helpers.image_files import RGB

import differentia as dif
from differentia.stimuli.base import Fit
from differentia.stimuli.sources import stimuli_from


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((3, 4, 6), np.float32), "float32, from 0 to 0; expected uint8, 0..255: write"),
        (np.repeat([0, 1000], [150, 1])[:, None, None], r"from 0 to 1000; .*: write \(x / 257\)"),
        (np.zeros((224, 224, 3), np.uint8), r"shape \(224, 224, 3\); expected \(images, height"),
        (np.zeros((2, 3, 4, 6), np.uint8), r"shape \(2, 3, 4, 6\)"),
        (np.zeros((64, 48, 1), np.uint8), r"shape \(64, 48, 1\); expected \(images, height"),
        (np.ma.masked_equal(np.zeros((2, 4, 6), np.uint8), 0), "masked pixels"),
        (np.zeros((0, 4, 6), np.uint8), "holds no image"),
        (7, "of type int; expected"),
        (iter([]), "empty list"),
        ([], "empty list"),
        ([7], r"item 0 of the list of images is 7 \(int\); a list must hold paths, or images"),
    ],
)
def test_what_is_no_image_is_refused(source: Any, message: str) -> None:
    """Wrong types and shapes are told apart from images."""
    with pytest.raises(dif.InputError, match=message):
        dif.images(source)


def test_files_that_can_not_be_used_are_named(tmp_path: Path) -> None:
    """Each error names the path."""
    with pytest.raises(dif.InputError, match=r"nowhere: no such file or folder"):
        dif.images(tmp_path / "nowhere")
    with pytest.raises(dif.InputError, match=r"\*\.jpg: no file matches"):
        dif.images(f"{tmp_path}/*.jpg")
    with pytest.raises(dif.InputError, match=r"gone\.png: no such image file"):
        dif.images([tmp_path / "gone.png"])
    (tmp_path / "sub").mkdir()
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not an image")
    with pytest.raises(dif.InputError, match=r"broken\.jpg: can't be read as an image"):
        dif.images(broken).load(0, RGB)
    whole = tmp_path / "whole.jpg"
    PIL.Image.effect_noise((64, 64), 50).save(whole)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:600])
    with pytest.raises(dif.InputError, match=r"cut\.jpg: can't be read as an image .*truncated"):
        dif.images(tmp_path / "cut.jpg").load(0, RGB)
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(dif.InputError, match=r"pickled\.npy: can't be read as a NumPy array"):
        dif.images(tmp_path / "pickled.npy")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("noise:many", "number of images is 'many'"),
        ("noise:3?kind=brown", "unknown kind of noise 'brown'"),
        ("noise:3?colour=red", "unknown option of 'noise' 'colour'"),
        ("noise:3?kind", "'kind' has no value"),
        ("noise:3?seed=1&seed=2", "'seed' is given twice"),
        ("noise:3?kind=gaussian&sd=-1", "sd is -1"),
        ("noise:3?seed=x", "seed is 'x'"),
        ("noise:3?seed=99999999999999999999", "seed is 99999999999999999999; expected a whole number"),
        ("noise:3?sd=20", "sd goes with kind='gaussian' or kind='pink' only; add kind=gaussian"),
        ("noise:3?kind=gaussian&exponent=2", "exponent goes with kind='pink' only; add kind=pink"),
        ("noise:3?kind=pink&exponent=11", "exponent is 11; expected a number from 0 to 10"),
        ("noise:3?kind=pink&sd=1e999", "sd is inf; expected a number from 0 to 255"),
        ("digits:3?digit=11", "digit is 11; expected 0 to 9"),
        ("digits:100?digit=3", "100 images asked for; expected 1 to "),
    ],
)
def test_generated_stimuli_refuse_wrong_options(source: str, message: str) -> None:
    """Each wrong option is named."""
    for take in (stimuli_from, dif.images):
        with pytest.raises(dif.InputError, match=message):
            take(source)


def test_images_opens_what_is_generated() -> None:
    """As a set of that source does; a path of that name is no such source."""
    for source in ("digits:5?digit=3", "noise:5?kind=gaussian"):
        opened, taken = dif.images(source), stimuli_from(source)
        assert opened.source == taken.source
        fit = Fit((8, 8, 1))
        assert [opened.load(n, fit).hash for n in range(5)] == [taken.load(n, fit).hash for n in range(5)]
    with pytest.raises(dif.InputError, match=r"^digits:5: no such file or folder; did you mean digits:5"):
        dif.images(Path("digits:5"))


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("noise", "did you mean noise:43?"),
        ("Noise:9", "did you mean noise:9?"),
        ("white-noise:9", "did you mean noise:9?"),
        ("MNIST", "did you mean digits:43?"),
        ("Cat", "did you mean cats?"),
        ("lab/dosg", "did you mean lab/dogs?"),
        ("lab/quagga", "check the path"),
        ("nowhere/cats", "check the path"),
    ],
)
def test_what_a_source_may_be_meant_for(
    source: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise and digits by other names, and what lies beside a path that is not there."""
    (tmp_path / "lab" / "dogs").mkdir(parents=True)
    (tmp_path / "cats").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(dif.InputError) as caught:
        stimuli_from(source)
    assert str(caught.value) == f"{source}: no such file or folder; {meant}"


def test_a_file_with_options_that_is_not_there(tmp_path: Path) -> None:
    """It is a file that is missing, and no pattern that nothing matches."""
    (tmp_path / "clip.mp4").touch()
    for name, meant in (("clop.mp4", r"did you mean .*/clip\.mp4\?"), ("x.h5", "check the path")):
        with pytest.raises(dif.InputError, match=rf"/{name}: no such file; {meant}$"):
            dif.images(f"{tmp_path}/{name}?every=2")
    with pytest.raises(dif.InputError, match=r"\*\.mp4\?every=2: no file matches"):
        dif.images(f"{tmp_path}/*.mp4?every=2")


def test_an_empty_path_is_no_folder() -> None:
    """It is not taken for the working folder."""
    with pytest.raises(dif.InputError, match=r"^an empty path was given; name a folder, a glob or a file$"):
        dif.images("")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, which is the home too: photographs in sub-folders, brackets, other files."""
    for name in ("photos/cats/1.JPEG", "photos/cats/2.JPEG", "photos/dogs/3.png", "im[1]/4.jpg", "im1/5.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("L", (6, 4), 40 * int(path.stem)).save(path)
    for name, content in {
        "list.txt": b"a.jpg",
        "film.m4v": b"\0\0\0\x18ftypisom",
        "film.mkv.1": b"\x1a\x45\xdf\xa3",
        "all.zip.1": b"PK\x03\x04",
        "all.tgz.1": b"\x1f\x8b",
        "data.mat": b"\x89HDF\r\n\x1a\n",
        "sound": b"ID3\x04",
        "films/clip 10.mp4": b"x",
        "films/clip 9.mp4": b"x",
        "h/a.heic": b"x",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.csv").write_text("a")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


CATS = ["photos/cats/1.JPEG", "photos/cats/2.JPEG"]


@pytest.mark.parametrize(
    "given",
    [
        tuple(CATS),
        map(Path, CATS),
        np.array(CATS),
        np.array(CATS, object),
        pd.Series(CATS, index=[7, 3]),
        pd.Series(CATS, dtype="string"),
        pd.DataFrame({"path": CATS})["path"],
        pd.Index(CATS),
        dict.fromkeys(CATS).keys(),
        xr.DataArray(CATS, dims="image"),
        [f"~/{path}" for path in CATS],
        "photos/cats/",
        "~/photos/cats",
        "photos/cats/*.JPEG",
    ],
)
def test_paths_in_whatever_holds_them(tree: Path, given: Any) -> None:
    """In their order, by their names."""
    stimuli = dif.images(given)
    assert stimuli.names == ("1.JPEG", "2.JPEG")
    assert [stimuli.load(index, RGB).pixels[0, 0, 0] for index in (0, 1)] == [40, 80]


def test_addresses_of_files(tree: Path) -> None:
    """As a file manager copies them, with what is escaped in them; those of other machines are told."""
    for source in (
        f"file://{tree}/im%5B1%5D",
        f"FILE://localhost{tree}/im[1]",
        [f"file://{tree}/im%5B1%5D/4.jpg"],
    ):
        assert dif.images(source).load(0, RGB).pixels[0, 0, 0] == 160
    PIL.Image.new("L", (1, 1), 160).save(tree / "a#1.png")
    assert dif.images(f"file://{tree}/a#1.png").load(0, RGB).pixels[0, 0, 0] == 160
    (tree / "plain").write_bytes(b"P2 2 1 255 0 255")
    assert dif.images("plain").load(0, Fit((1, 2, 1))).pixels.tolist() == [[[0], [255]]]
    for source, told in {
        "file://host/x.jpg": "file://host/x.jpg: lies on another machine",
        "~no_such_user/x": "~no_such_user/x: can't be looked into",
        "https://example.org/x.jpg": "https://example.org/x.jpg: is a web address; download",
    }.items():
        with pytest.raises(dif.InputError, match=f"^{told}"):
            dif.images(source)
        with pytest.raises(dif.InputError, match=f"^{told}"):
            dif.images([source])


@pytest.mark.parametrize("pattern", ["im[1]/*.jpg", "{}/im[1]/*.jpg", "photos/../im[1]/*", "im[1]/[4].jpg"])
def test_what_exists_is_no_pattern(tree: Path, pattern: str) -> None:
    """A folder of that name is taken before those that its brackets would match; only then they are."""
    pattern = pattern.format(tree)
    assert dif.images(pattern).names == ("4.jpg",)
    (tree / "im[1]" / "4.jpg").unlink()
    (tree / "im[1]").rmdir()
    if pattern != "im[1]/[4].jpg":
        assert dif.images(pattern).names == ("5.jpg",)


BOTH, END = ".JPEG and .png", "the images there end in"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            "photos",
            rf"no images in this folder; its subfolders hold {BOTH}: did you mean 'photos/\*\*/\*'\?$",
        ),
        ("empty", "no images in this folder: it is empty; name another$"),
        ("texts", r"no images in this folder \(looked for .bmp, .*\); it holds .csv$"),
        ("h", "no images in this folder in a format that is read; it holds .heic: convert them to one of"),
        ("photos/*/*.jpg", rf"no file matches; {END} {BOTH}: did you mean 'photos/\*/\*'\?$"),
        ("photos/cats/*.jpg", rf"no file matches; {END} .JPEG: did you mean 'photos/cats/\*.JPEG'\?$"),
        ("photo/*.jpg", "no file matches: there is no folder photo; check the path$"),
        ("texts/*.jpg", "no file matches; check the folder and the pattern$"),
        ("nothing", "no such file or folder; check the path$"),
        ("list.txt", "is text; expected a folder, a glob, a list of paths or images, or a NumPy array of"),
        ("sound", "is an audio file; expected a folder"),
        (
            "film.m4v",
            "is a video; to read its images, give it a name that ends in .avi or .mkv or .mov or .mp4",
        ),
        ("film.mkv.1", "is a video; to read its images"),
        ("all.zip.1", "is a zip archive; to read its images, give it a name that ends in .zip or .npz$"),
        ("all.tgz.1", "is a compressed file; to read its images, give it a name that ends in .tar.bz2 or"),
        ("data.mat", "is an HDF5 file; to read its images, give it a name that ends in .h5 or .hdf5$"),
        (
            "films",
            "no images in this folder, but files that hold several; name one of them: films/clip 9.mp4, "
            "or take each as a set: --sets-from films$",
        ),
        (
            ["films/clip 9.mp4"],
            r"is no file of one image \(in a list of 1 file\); name films, arrays and arch",
        ),
        (["photos"], r"a folder, not an image file \(in a list of 1 file\)"),
    ],
)
def test_hints(tree: Path, source: Any, told: str) -> None:
    """What is there instead, as it is written there."""
    where = source if isinstance(source, str) else source[0]
    with pytest.raises(dif.InputError, match=f"^{re.escape(where)}: {told}"):
        dif.images(source)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (pd.Series(["a.jpg", np.nan]), r"item 1 of the list of images is nan \(float\); a list must hold"),
        ([np.zeros((4, 6), np.uint8), "a.jpg"], r"item 1 of the list of images is 'a.jpg' \(str\)"),
        (["a.jpg", np.zeros((4, 6), np.uint8)], "item 1 of the list of images is of type ndarray"),
        ([b"\x89PNG"], "item 0 of the list of images is of type bytes"),
        ([[1, 2]], "item 0 of the list of images is of type list"),
        (
            pd.DataFrame({"path": ["a"], "label": ["b"]}),
            r"a table of shape \(1, 2\); expected one column",
        ),
        ({"a.jpg"}, r"of type set; .* A set has no order: write sorted\(\.\.\.\)$"),
        ({"a": "a.jpg"}, "of type dict; .* Give a dict of sets to measure, or here one of its sets$"),
        (b"\x89PNG", r"of type bytes; .* Open encoded images with PIL.Image.open\(io.BytesIO\(\.\.\.\)\)$"),
        (None, "of type NoneType; expected a folder"),
    ],
)
def test_what_holds_no_images(source: Any, told: str) -> None:
    """The odd one among many is named."""
    with pytest.raises(dif.InputError, match=told):
        dif.images(source)
