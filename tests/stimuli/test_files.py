"""Images in files: in the right order, with the right pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from helpers.image_files import RGB, read, write

import differentia as dif
from differentia.stimuli.base import Fit
from differentia.stimuli.files import natural_key
from differentia.stimuli.sources import stimuli_from


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


def test_numbers_of_any_length() -> None:
    """Longer than Python reads, and with noughts before them; two that are the same number are one."""
    names = ["a9", "a" + "1" * 5000, "a" + "0" * 5000 + "10", "a", "a0", "b", "a" + "1" * 4999 + "2", "a1b"]
    assert [names.index(name) for name in sorted(names, key=natural_key)] == [3, 4, 7, 0, 2, 1, 6, 5]
    assert natural_key("a007b") == natural_key("a7b")


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


def test_hash_is_of_the_content(tmp_path: Path) -> None:
    """The same file under another name has the same hash; another image has another."""
    first = write(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(first.read_bytes())
    write(tmp_path / "longer.png")
    hashes = [dif.images(tmp_path).load(index, RGB).hash for index in range(3)]
    assert hashes[0] == hashes[1] != hashes[2]


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
    for take in (dif.images, stimuli_from):
        with pytest.raises(
            dif.InputError, match=r"astray\.png: a link that leads out of .*/inside, to "
        ) as caught:
            take(source)
        assert f"to {target.resolve()}; take it out" in str(caught.value)
        assert str(caught.value).endswith("follow_links=True (--follow-links)")
        assert any("astray" in name for name in take(source, follow_links=True).names)


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


def test_formats_that_are_not_read_are_told(tmp_path: Path) -> None:
    """A phone's folder: a JPEG of another ending is taken, the rest is not passed over in silence."""
    PIL.Image.new("RGB", (4, 4), "red").save(tmp_path / "a.jfif", format="JPEG")
    assert dif.images(tmp_path).names == ("a.jfif",)
    for name in ("b.heic", "c.AVIF", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.warns(
        dif.DifferentiaWarning, match=r"left out images in formats that are not read \(2\), such as 'b\.heic'"
    ):
        assert dif.images(tmp_path).names == ("a.jfif",)


def test_a_glob_of_everything_takes_the_images(tmp_path: Path) -> None:
    """As a folder does, of any ending, and the others are told; of none that ends as an image's, all are."""
    for name in ("b/1.JPEG", "a/2.jpg", "3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        PIL.Image.new("RGB", (4, 4), "red").save(tmp_path / name)
    assert dif.images(f"{tmp_path}/**/*").names == ("3.png", "a/2.jpg", "b/1.JPEG")
    for name in ("a/list.csv", "b/list.csv", "a/img"):
        (tmp_path / name).write_bytes(b"")
    told = r"\*: left out files that do not end as images do \(3\), such as 'img'; if they are images, rename"
    with pytest.warns(dif.DifferentiaWarning, match=told):
        assert dif.images(f"{tmp_path}/**/*").names == ("3.png", "a/2.jpg", "b/1.JPEG")
    assert dif.images(f"{tmp_path}/a/im*").names == ("img",)
