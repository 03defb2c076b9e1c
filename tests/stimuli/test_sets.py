"""Stimuli: the right pixels from every source, in the right order, or an error that names the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import differentia as dif
from differentia.stimuli.base import Fit
from differentia.stimuli.digits import load_digits
from differentia.stimuli.saving import save_images
from differentia.stimuli.sources import stimuli_from

RGB = Fit((4, 6, 3))


def write(path: Path, array: np.ndarray | None = None, mode: str | None = None) -> Path:
    """Write a PNG of random pixels, or of `array`."""
    if array is None:
        array = np.random.default_rng(len(path.name)).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    PIL.Image.fromarray(array).convert(mode).save(path)
    return path


def read(path: Path) -> np.ndarray:
    """Return the pixels of a file as RGB, by Pillow alone."""
    with PIL.Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_folder_in_natural_order(tmp_path: Path) -> None:
    """Numbers in names count as numbers; other files, hidden files and folders are passed over."""
    for name in ("cat10.png", "cat2.png", "cat1.PNG", "b.png"):
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    write(tmp_path / ".hidden.png")
    (tmp_path / "folder.png").mkdir()
    stimuli = dif.images(tmp_path)
    assert stimuli.names == ("b.png", "cat1.PNG", "cat2.png", "cat10.png")
    assert dif.images(str(tmp_path / "cat*.png")).names == ("cat2.png", "cat10.png")


def test_glob_through_folders_and_literal_brackets(tmp_path: Path) -> None:
    """``**`` goes down; a path that exists is never taken for a pattern; names stay distinct."""
    for name in ("a", "b", "c [1]"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "x.png")
    assert dif.images(f"{tmp_path}/**/*.png").names == ("a/x.png", "b/x.png", "c [1]/x.png")
    assert dif.images(tmp_path / "c [1]").names == ("x.png",)


def test_list_keeps_its_order(tmp_path: Path) -> None:
    """A list is shown as it was given."""
    paths = [write(tmp_path / name) for name in ("z.png", "a.png")]
    stimuli = dif.images(paths)
    assert stimuli.names == ("z.png", "a.png")
    assert np.array_equal(stimuli.load(0, RGB).pixels, read(paths[0]))


def test_modes_come_out_as_rgb(tmp_path: Path) -> None:
    """Grey, palette and bilevel images have three channels; transparency is laid on white."""
    grey = np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8)
    write(tmp_path / "L.png", grey)
    loaded = dif.images(tmp_path / "L.png").load(0, RGB).pixels
    assert np.array_equal(loaded, np.repeat(grey[..., None], 3, axis=2))

    colours = np.zeros((4, 6, 3), np.uint8)
    colours[:2] = (255, 0, 0)
    colours[2:] = (0, 10, 250)
    write(tmp_path / "P.png", colours, "P")
    with PIL.Image.open(tmp_path / "P.png") as written:
        assert written.mode == "P"
    palette = dif.images(tmp_path / "P.png").load(0, RGB).pixels
    assert np.array_equal(palette, read(tmp_path / "P.png"))
    assert palette[0, 0, 0] > 200 > 60 > palette[3, 0, 0]

    rgba = np.dstack([colours, np.full((4, 6), 255, np.uint8)])
    rgba[0, 0, 3] = 0
    rgba[0, 1, 3] = 128
    write(tmp_path / "RGBA.png", rgba)
    flat = dif.images(tmp_path / "RGBA.png").load(0, RGB).pixels
    assert flat[0, 0].tolist() == [255, 255, 255]
    assert flat[0, 1].tolist() == [255, 127, 127]
    assert flat[0, 2].tolist() == [255, 0, 0]

    transparent = PIL.Image.fromarray(colours).convert("P")
    transparent.save(tmp_path / "PA.png", transparency=transparent.getpixel((0, 0)))
    assert dif.images(tmp_path / "PA.png").load(0, RGB).pixels[0, 0].tolist() == [255, 255, 255]

    write(tmp_path / "1.png", np.where(grey > 127, 255, 0).astype(np.uint8), "1")
    assert set(np.unique(dif.images(tmp_path / "1.png").load(0, RGB).pixels)) == {0, 255}


def test_exif_orientation(tmp_path: Path) -> None:
    """A photograph taken upright on a turned camera is shown upright."""
    array = np.random.default_rng(4).integers(0, 256, (6, 4, 3), dtype=np.uint8)
    image = PIL.Image.fromarray(array)
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    image.save(tmp_path / "turned.png", exif=exif)
    image.save(tmp_path / "plain.png")
    turned = dif.images(tmp_path / "turned.png").load(0, RGB).pixels
    assert np.array_equal(turned, np.rot90(array, -1))
    assert np.array_equal(dif.images(tmp_path / "plain.png").load(0, Fit((6, 4, 3))).pixels, array)


def test_resize_and_crop(tmp_path: Path) -> None:
    """``squash`` is Pillow's resize; ``center`` keeps proportions; the filters differ."""
    array = np.random.default_rng(1).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    write(tmp_path / "wide.png", array)
    stimuli = dif.images(tmp_path / "wide.png")
    image = PIL.Image.fromarray(array)
    shape = (10, 10, 3)
    squashed = np.asarray(image.resize((10, 10), PIL.Image.Resampling.BILINEAR))
    assert np.array_equal(stimuli.load(0, Fit(shape)).pixels, squashed)
    shrunk = image.resize((20, 10), PIL.Image.Resampling.BILINEAR)
    middle = np.asarray(shrunk.crop((5, 0, 15, 10)))
    assert np.array_equal(stimuli.load(0, Fit(shape, crop="center")).pixels, middle)
    assert not np.array_equal(squashed, middle)
    nearest = stimuli.load(0, Fit(shape, resize="nearest")).pixels
    assert np.array_equal(nearest, np.asarray(image.resize((10, 10), PIL.Image.Resampling.NEAREST)))
    with pytest.raises(dif.InputError, match="Did you mean 'bilinear'"):
        Fit(shape, resize="bilinar")
    with pytest.raises(dif.InputError, match=r"unknown crop 'centre'. Did you mean 'center'"):
        Fit(shape, crop="centre")
    with pytest.raises(dif.InputError, match="5 channels"):
        Fit((10, 10, 5))


def test_grey_input() -> None:
    """A network of one channel gets one."""
    array = np.random.default_rng(2).integers(0, 256, (3, 4, 6), dtype=np.uint8)
    assert np.array_equal(dif.images(array).load(1, Fit((4, 6, 1))).pixels[..., 0], array[1])


def test_arrays_and_npy(tmp_path: Path) -> None:
    """Arrays and ``.npy`` files give the same images and hashes."""
    array = np.random.default_rng(3).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", array)
    for stimuli in (dif.images(array), dif.images(tmp_path / "images.npy")):
        assert len(stimuli) == 5
        loaded = [stimuli.load(index, RGB) for index in range(5)]
        assert np.array_equal([image.pixels for image in loaded], array)
        assert len({image.hash for image in loaded}) == 5
    assert dif.images(array).load(2, RGB).hash == dif.images(tmp_path / "images.npy").load(2, RGB).hash
    one_channel = dif.images(array[..., :1]).load(0, RGB).pixels
    assert np.array_equal(one_channel, np.repeat(array[0, ..., :1], 3, axis=2))


def test_hash_is_of_the_content(tmp_path: Path) -> None:
    """The same file under another name has the same hash; another image has another."""
    first = write(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(first.read_bytes())
    write(tmp_path / "longer.png")
    hashes = [dif.images(tmp_path).load(index, RGB).hash for index in range(3)]
    assert hashes[0] == hashes[1] != hashes[2]


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
        ([7], "has to hold paths"),
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


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder of one image and a link within it, beside a folder of another image."""
    for folder in ("inside", "outside"):
        (tmp_path / folder / "sub").mkdir(parents=True)
        write(tmp_path / folder / "sub" / "own.png")
    (tmp_path / "inside" / "linked.png").symlink_to(Path("sub") / "own.png")
    return tmp_path / "inside"


def test_links_within_a_folder_are_taken(linked: Path) -> None:
    """Links that stay in the folder, and a folder that is itself a link, bring in nothing from elsewhere."""
    assert dif.images(linked).names == ("linked.png",)
    assert dif.images(f"{linked}/**/*.png").names == ("linked.png", "sub/own.png")
    folder = linked.parent / "folder"
    folder.symlink_to(linked)
    assert dif.images(folder).names == ("linked.png",)
    assert dif.images(f"{folder}/**/*.png").names == ("linked.png", "sub/own.png")


@pytest.mark.parametrize("pattern", ["", "/*.png", "/**/*.png", "/s*/../*.png"])
def test_links_out_of_a_folder_are_refused(linked: Path, pattern: str) -> None:
    """The error names the link, where it leads and what to do; asked for, it is followed."""
    target = linked.parent / "outside" / "sub" / "own.png"
    (linked / "astray.png").symlink_to(target)
    source = f"{linked}{pattern}"
    for read in (dif.images, stimuli_from):
        with pytest.raises(
            dif.InputError, match=r"astray\.png: a link that leads out of .*/inside, to "
        ) as caught:
            read(source)
        assert f"to {target.resolve()}; take it out" in str(caught.value)
        assert str(caught.value).endswith("follow_links=True (--follow-links)")
        assert any("astray" in name for name in read(source, follow_links=True).names)


def test_linked_folders_are_links_too(linked: Path) -> None:
    """A glob that goes through a link to another folder has left its own."""
    (linked / "more").symlink_to(linked.parent / "outside", target_is_directory=True)
    with pytest.raises(dif.InputError, match=r"more/sub/own\.png: a link that leads out of .*/inside, to "):
        dif.images(f"{linked}/**/*.png")
    names = dif.images(f"{linked}/**/*.png", follow_links=True).names
    assert names == ("linked.png", "more/sub/own.png", "sub/own.png")
    assert dif.images(f"{linked}/more/**/*.png").names == (
        "own.png",
    )  # the folder itself, as it was asked for


def test_listed_links_are_taken(linked: Path) -> None:
    """Who names a link means it."""
    astray = linked / "astray.png"
    astray.symlink_to(linked.parent / "outside" / "sub" / "own.png")
    assert dif.images(astray).names == ("astray.png",)
    assert dif.images([astray]).names == ("astray.png",)


@pytest.mark.parametrize("follow_links", [False, True])
@pytest.mark.parametrize("target", ["nowhere.png", "loop.png"])
def test_broken_links_are_named(linked: Path, target: str, follow_links: bool) -> None:
    """A link to nothing, or to itself, is an image that is missing: never passed over."""
    (linked / "loop.png").symlink_to(target)
    for source in (linked, f"{linked}/*.png"):
        with pytest.raises(dif.InputError, match=rf"loop\.png: a broken link to {target} \(in "):
            dif.images(source, follow_links=follow_links)


def test_uniform_noise() -> None:
    """Every level is as likely as any other, in every pixel and channel, independently."""
    stimuli = dif.noise(20, seed=0)
    fit = Fit((64, 64, 3))
    pixels = np.stack([stimuli.load(index, fit).pixels for index in range(20)]).astype(float)
    assert pixels.mean() == pytest.approx(127.5, abs=0.5)
    assert pixels.std() == pytest.approx(np.sqrt((256**2 - 1) / 12), abs=0.3)  # 73.9
    assert abs(np.corrcoef(pixels[..., 0].ravel(), pixels[..., 1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(pixels[:10].ravel(), pixels[10:].ravel())[0, 1]) < 0.02
    assert pixels.min() == 0
    assert pixels.max() == 255


def test_gaussian_noise() -> None:
    """Mean and SD are as asked, where nothing is clipped."""
    stimuli = stimuli_from("noise:10?kind=gaussian&mean=120&sd=20&seed=5")
    pixels = np.stack([stimuli.load(index, Fit((64, 64, 3))).pixels for index in range(10)]).astype(float)
    assert pixels.mean() == pytest.approx(120, abs=0.5)
    assert pixels.std() == pytest.approx(20, abs=0.5)


def test_noise_is_seeded() -> None:
    """The same seed gives the same images, whatever the count; another seed gives others."""
    few, many, other = dif.noise(2, seed=1), dif.noise(9, seed=1), dif.noise(2, seed=2)
    assert np.array_equal(few.load(1, RGB).pixels, many.load(1, RGB).pixels)
    assert not np.array_equal(few.load(1, RGB).pixels, other.load(1, RGB).pixels)
    assert not np.array_equal(few.load(0, RGB).pixels, few.load(1, RGB).pixels)
    from_text = stimuli_from("noise:2", seed=1)
    assert np.array_equal(from_text.load(1, RGB).pixels, few.load(1, RGB).pixels)
    assert few.load(0, Fit((3, 3, 1))).pixels.shape == (3, 3, 1)
    of_numpy = dif.noise(2, seed=np.int64(1))  # type: ignore[arg-type]
    assert np.array_equal(of_numpy.load(1, RGB).pixels, few.load(1, RGB).pixels)


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
        ("noise:3?seed=99999999999999999999", "expected a whole number >= 0"),
        ("noise:3?sd=20", "sd goes with kind='gaussian' only"),
        ("digits:3?digit=11", "digit is 11; expected 0 to 9"),
        ("digits:100?digit=3", "100 images asked for; expected 1 to "),
    ],
)
def test_generated_stimuli_refuse_wrong_options(source: str, message: str) -> None:
    """Each wrong option is named."""
    with pytest.raises(dif.InputError, match=message):
        stimuli_from(source)


def test_digits_are_held_out() -> None:
    """The digits that are shown are those that did not train the network."""
    shown, labels = load_digits(held_out=True)
    trained, _ = load_digits(held_out=False)
    assert len(shown) + len(trained) == 1797
    threes = stimuli_from("digits:43?digit=3")
    fit = Fit((8, 8, 1))
    for index in range(43):
        pixels = threes.load(index, fit).pixels[..., 0]
        assert any(np.array_equal(pixels, image) for image in shown[labels == 3])
        assert not any(np.array_equal(pixels, image) for image in trained)


@pytest.mark.parametrize("shape", [(5, 7, 3), (6, 4, 1)])
def test_saved_images_are_the_stimuli(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """Pixel by pixel, in the stimuli's names, RGB or grey; and they come back as they were."""
    stimuli = dif.noise(12, seed=3)
    folder = save_images(stimuli, tmp_path / "new", size=shape)
    assert folder == tmp_path / "new"
    back = dif.images(folder)
    assert back.names == tuple(f"uniform_noise_{index}.png" for index in range(12))
    for index in range(12):
        pixels = stimuli.load(index, Fit(shape)).pixels
        with PIL.Image.open(folder / back.names[index]) as written:
            assert written.mode == {1: "L", 3: "RGB"}[shape[2]]
            assert np.array_equal(np.asarray(written).reshape(shape), pixels)
        assert np.array_equal(back.load(index, Fit(shape)).pixels, pixels)
    assert not np.array_equal(back.load(0, Fit(shape)).pixels, back.load(1, Fit(shape)).pixels)


def test_saved_images_do_not_overwrite_each_other(tmp_path: Path) -> None:
    """Files that differ in their folder or ending alone are all written; dots in names stay."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for number, name in enumerate(("a.v1.png", "a.v1.bmp", "deep/a.v1.png")):
        write(tmp_path / "in" / name, np.full((4, 6, 3), 50 * number, np.uint8))
    stimuli = dif.images(tmp_path / "in" / "**" / "*")
    folder = save_images(stimuli, tmp_path / "out", size=(4, 6, 3))
    assert sorted(path.name for path in folder.iterdir()) == [
        "2__a.v1.png",
        "a.v1.png",
        "deep__a.v1.png",
    ]
    assert {int(read(path)[0, 0, 0]) for path in folder.iterdir()} == {0, 50, 100}


def test_images_are_saved_into_a_new_folder(tmp_path: Path) -> None:
    """A folder with something in it stays as it is; an unreadable image leaves nothing behind."""
    write(tmp_path / "mine.png")
    with pytest.raises(dif.InputError, match=rf"^{tmp_path}: already exists; name a new folder"):
        save_images(dif.noise(2), tmp_path, size=(4, 4, 3))
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(dif.InputError, match=r"broken\.png: can't be read as an image"):
        save_images(dif.images(tmp_path), tmp_path / "out", size=(4, 4, 3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.png", "mine.png"]


def test_an_empty_path_is_no_folder() -> None:
    """It is not taken for the working folder."""
    with pytest.raises(dif.InputError, match=r"^an empty path was given; name a folder, a glob or a file$"):
        dif.images("")


def test_formats_that_are_not_read_are_told(tmp_path: Path) -> None:
    """A phone's folder: a JPEG of another ending is taken, the rest is not passed over in silence."""
    PIL.Image.new("RGB", (4, 4), "red").save(tmp_path / "a.jfif", format="JPEG")
    assert dif.images(tmp_path).names == ("a.jfif",)
    for name in ("b.heic", "c.AVIF", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.warns(
        dif.DifferentiaWarning, match=r"2 images are of formats that are not read, such as 'b\.heic'"
    ):
        assert dif.images(tmp_path).names == ("a.jfif",)
