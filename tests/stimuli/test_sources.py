"""From what a user names to stimuli, or an error that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from helpers.image_files import RGB

import differentia as dif
from differentia.stimuli.sources import stimuli_from


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((3, 4, 6), np.float32), "float32; expected a NumPy array of uint8"),
        (np.zeros((224, 224, 3), np.uint8), r"shape \(224, 224, 3\); expected \(images, height"),
        (np.zeros((2, 3, 4, 6), np.uint8), r"shape \(2, 3, 4, 6\)"),
        (np.zeros((64, 48, 1), np.uint8), r"shape \(64, 48, 1\); expected \(images, height"),
        (np.ma.masked_equal(np.zeros((2, 4, 6), np.uint8), 0), "masked pixels"),
        (np.zeros((0, 4, 6), np.uint8), "holds no image"),
        (7, "int; expected"),
        (iter([]), "empty list"),
        ([], "empty list"),
        ([7], "must hold paths"),
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
    with pytest.raises(dif.InputError, match=r"no images in this folder .* did you mean '.*/\*\*/\*\.jpg'"):
        dif.images(tmp_path)
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
        ("noise:3?kind=pink", "unknown kind of noise 'pink'"),
        ("noise:3?colour=red", "unknown option of 'noise' 'colour'"),
        ("noise:3?kind", "'kind' has no value"),
        ("noise:3?seed=1&seed=2", "'seed' is given twice"),
        ("noise:3?kind=gaussian&sd=-1", "sd is -1"),
        ("noise:3?seed=x", "seed is 'x'"),
        ("noise:3?seed=99999999999999999999", "seed is 99999999999999999999; expected a whole number"),
        ("noise:3?sd=20", "sd goes with kind='gaussian' only"),
        ("digits:3?digit=11", "digit is 11; expected 0 to 9"),
        ("digits:100?digit=3", "100 images asked for; expected 1 to "),
    ],
)
def test_generated_stimuli_refuse_wrong_options(source: str, message: str) -> None:
    """Each wrong option is named."""
    with pytest.raises(dif.InputError, match=message):
        stimuli_from(source)


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


def test_an_empty_path_is_no_folder() -> None:
    """It is not taken for the working folder."""
    with pytest.raises(dif.InputError, match=r"^an empty path was given; name a folder, a glob or a file$"):
        dif.images("")
