"""Selection: exactly the images of a class, ranked, and written as copies, links or a table."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from helpers.digit_files import DigitFiles
from helpers.odd_networks import CLASSES, IMAGES, heads, inputs, loaded, outputs_of
from torch import nn

import differentia as dif
from differentia.recording.selection import (
    TABLE,
    SelectedImage,
    Selection,
    select,
    selection_csv,
    write_selection,
)


def selected(*names: str) -> Selection:
    """Return a selection of files that need not exist, or of none where a name is empty."""
    chosen = [SelectedImage(name, Path("/x") / name, 0.75, "3, three", 0.8) for name in names]
    return Selection("3, three", tuple(chosen), len(names), ())


def rows(text: str) -> list[dict[str, str]]:
    """Return a table's rows by their headings."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("least", [0.5, 0.001])
def test_exactly_the_images_of_a_plain_pass(digit_files: DigitFiles, least: float) -> None:
    """Those that Pillow and PyTorch alone find at least so probable, in that order."""
    found = select("digits", digit_files.folder, "3", min_probability=least)
    expected = digit_files.of(3, least)
    assert 0 < len(expected) < len(digit_files.names)
    assert [image.name for image in found.images] == list(expected)
    given = [image.probability for image in found.images]
    np.testing.assert_allclose(given, list(expected.values()), atol=1e-6)
    assert (found.class_name, found.looked_at, found.skipped) == ("3", len(digit_files.names), ())
    for image in found.images:
        row = digit_files.probabilities[digit_files.names.index(image.name)]
        assert image.best_class == str(row.argmax())
        assert image.best_probability == pytest.approx(row.max(), abs=1e-6)
        assert image.path == digit_files.folder / image.name
    assert len(digit_files.of(3, 0.001)) > len(digit_files.of(3))


def test_another_class_may_be_more_probable(digit_files: DigitFiles) -> None:
    """Below one half an image may be selected for a class that is not its best."""
    found = select("digits", digit_files.folder, 3, min_probability=1e-6)
    others = [image for image in found.images if image.best_class != "3"]
    assert others
    assert all(image.best_probability > image.probability for image in others)


@pytest.mark.parametrize("batch_size", [3, 32])
def test_count_stops_early(digit_files: DigitFiles, batch_size: int) -> None:
    """The first of the source, ranked, whatever the batch; the batches after the last needed are not seen."""
    expected = [name for name in digit_files.names if name in digit_files.of(3)][:2]
    last = digit_files.names.index(expected[-1])
    batches: list[int] = []
    found = select(
        "digits",
        digit_files.folder,
        "3",
        count=2,
        batch_size=batch_size,
        progress=lambda done, total, stage: batches.append(done),
    )
    assert sorted(image.name for image in found.images) == sorted(expected)
    assert found.images[0].probability >= found.images[1].probability
    assert found.looked_at == last + 1 == batches[-1]
    assert len(batches) == -(-(last + 1) // batch_size)
    assert last + 1 < len(digit_files.names)


def test_unreadable_images(digit_files: DigitFiles, tmp_path: Path) -> None:
    """An error that names the file and no set, or left out and told; links out of a folder likewise."""
    for name in digit_files.names[:6]:
        shutil.copy(digit_files.folder / name, tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(dif.InputError, match=rf"^{tmp_path}/broken.png: can't be read as an image"):
        select("digits", tmp_path, "3", min_probability=0)
    with pytest.warns(dif.DifferentiaWarning, match=rf"what can't be read \(1\): {tmp_path}/broken.png"):
        found = select("digits", tmp_path, "3", min_probability=0, skip_unreadable=True)
    assert sorted(image.name for image in found.images) == sorted(digit_files.names[:6])
    assert [image.name for image in found.skipped] == ["broken.png"]
    assert found.looked_at == 6
    (tmp_path / "broken.png").unlink()
    (tmp_path / "linked.png").symlink_to(digit_files.folder / digit_files.names[9])
    with pytest.raises(dif.InputError, match=r"linked\.png: a link that leads out of"):
        select("digits", tmp_path, "3")
    linked = select("digits", tmp_path, "3", min_probability=0, follow_links=True)
    assert "linked.png" in {image.name for image in linked.images}


def test_duplicates_are_told(digit_files: DigitFiles, tmp_path: Path) -> None:
    """Files of the same content among those that are in the class."""
    first = next(iter(digit_files.of(3)))
    for name in ("a.png", "b.png"):
        shutil.copy(digit_files.folder / first, tmp_path / name)
    with pytest.warns(dif.DifferentiaWarning, match=r"have the same content, .*: a\.png, b\.png; drop"):
        assert len(select("digits", tmp_path, "3").images) == 2
    found = select("digits", tmp_path, "3", drop_duplicates=True, count=2)
    assert [image.name for image in found.images] == ["a.png"]
    assert [image.name for image in found.dropped] == ["b.png"]
    assert found.looked_at == 2


def test_features_are_no_classes() -> None:
    """A network that ends in pooling or a flattening has none; with names for its units it has."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    options: dict[str, Any] = {"preprocess": "unit", "input_shape": (8, 8, 3)}
    with pytest.raises(dif.InputError, match="the last layer gives no classes"):
        select(dif.load_network(module, **options), "noise:3", 1, min_probability=0)
    named = dif.load_network(module, class_names=("a", "b", "c", "d"), **options)
    assert len(select(named, "noise:3", "b", min_probability=0).images) == 3


@pytest.mark.parametrize(
    ("options", "layer"), [({}, "places"), ({"class_layer": "classes"}, "classes")], ids=["last", "named"]
)
def test_the_layer_of_the_classes_can_be_named(options: dict[str, Any], layer: str) -> None:
    """Of a network of two heads; the last one otherwise. Its own probabilities, by plain hooks."""
    pixels = np.concatenate(list(IMAGES.values()))
    found = select(loaded(heads()), pixels, 2, min_probability=0, **options)
    logits = outputs_of(heads(), inputs())[layer]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = (powers / powers.sum(axis=1, keepdims=True))[:, 2]
    np.testing.assert_allclose(
        [image.probability for image in found.images], sorted(expected, reverse=True), atol=1e-6
    )


def test_names_of_classes_choose_their_layer() -> None:
    """Of four names it is the head of four numbers, though another comes last."""
    found = select(
        loaded(heads(), class_names=CLASSES), np.concatenate(list(IMAGES.values())), "dog", min_probability=0
    )
    logits = outputs_of(heads(), inputs())["classes"]
    assert {image.best_class for image in found.images} == {CLASSES[row.argmax()] for row in logits}
    assert len(found.images) == len(logits)


def test_fitting_reaches_the_network(digit_files: DigitFiles) -> None:
    """Another resize filter gives other probabilities."""
    given = {
        resize: [image.probability for image in select("digits", digit_files.folder, 3, resize=resize).images]
        for resize in ("bilinear", "nearest")
    }
    assert given["bilinear"] != given["nearest"]


def test_arrays_have_no_files(tmp_path: Path) -> None:
    """Generated images and arrays are ranked, but can't be copied."""
    found = select("digits", "noise:3", 3, min_probability=0)
    assert [image.path for image in found.images] == [None] * 3
    names = {f"uniform_noise_{number}" for number in range(3)}
    assert {row["source"] for row in rows(selection_csv(found))} == names
    with pytest.raises(dif.InputError, match="these images are not files and can't be copied or linked"):
        write_selection(found, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert len(rows((write_selection(found, tmp_path / "out", how="list") / TABLE).read_text())) == 3


class Nan(nn.Module):
    """Gives a NaN for one of two classes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return NaN and 1 for each image."""
        return torch.stack([x.sum((1, 2, 3)) * float("nan"), x.sum((1, 2, 3)) * 0 + 1], dim=1)


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        ("digits", {"min_probability": 1.5}, "min_probability is 1.5; expected a number from 0 to 1"),
        ("digits", {"min_probability": float("nan")}, "min_probability is nan; expected a number"),
        ("digits", {"count": 0}, "count is 0; expected a whole number >= 1"),
        ("digits", {"batch_size": 0}, "batch_size is 0; expected a whole number >= 1"),
        ("digits", {"wanted": "ten"}, "unknown class 'ten'"),
        ("digits", {"resize": "linear"}, "unknown resize filter 'linear'"),
        (nn.ReLU(), {}, "^ReLU: the last layer gives no classes; give a classifier, or name the layer"),
        (
            "digits",
            {"class_layer": "logit"},
            "unknown layer for class_layer .*'logit'. Did you mean 'logits'",
        ),
        ("digits", {"class_layer": "block1_pool"}, "'block1_pool' has the shape .* expected a vector"),
        (Nan(), {}, "^layer 'Nan', image 'uniform_noise_0': 1 of 2 units are nan"),
    ],
)
def test_what_can_not_be_selected(network: Any, options: dict[str, Any], message: str) -> None:
    """Wrong options, a network without classes, and one that gives a NaN."""
    if not isinstance(network, str):
        network = dif.load_network(network, preprocess="unit", input_shape=(8, 8, 3))
    arguments: dict[str, Any] = {"wanted": 1, **options}
    with pytest.raises(dif.DifferentiaError, match=message):
        select(network, "noise:2", arguments.pop("wanted"), **arguments)


def test_copies_links_and_the_table(digit_files: DigitFiles, tmp_path: Path) -> None:
    """Copies have the files' bytes, links lead to them, ``list`` leaves the table alone."""
    found = select("digits", digit_files.folder, "3")
    names = sorted(digit_files.of(3))
    for how in ("copy", "link", "list"):
        folder = write_selection(found, tmp_path / how, how=how)
        assert folder == tmp_path / how
        expected = [*(names if how != "list" else []), TABLE]
        assert sorted(path.name for path in folder.iterdir()) == sorted(expected)
        files = [image.name for image in found.images] if how != "list" else []
        assert (folder / TABLE).read_text(encoding="utf-8") == selection_csv(found, files)
    for name in names:
        original = digit_files.folder / name
        assert (tmp_path / "copy" / name).read_bytes() == original.read_bytes()
        assert not (tmp_path / "copy" / name).is_symlink()
        assert (tmp_path / "link" / name).is_symlink()
        assert (tmp_path / "link" / name).resolve() == original.resolve()
    again = select("digits", tmp_path / "link", "3", follow_links=True)
    assert [image.probability for image in again.images] == [image.probability for image in found.images]
    with pytest.raises(
        dif.InputError, match=r"unknown way to keep images 'move'\. .*Known: copy, link, list"
    ):
        write_selection(found, tmp_path / "move", how="move")
    with pytest.raises(dif.InputError, match="copy: already exists"):
        write_selection(found, tmp_path / "copy")


def test_the_table_says_what_was_found(digit_files: DigitFiles) -> None:
    """Parsed back it is what was selected."""
    found = select("digits", digit_files.folder, "3", min_probability=0.01)
    table = rows(selection_csv(found))
    assert [int(row["rank"]) for row in table] == list(range(1, len(found.images) + 1))
    for row, image in zip(table, found.images, strict=True):
        assert row["file"] == ""  # there is no copy yet
        assert row["source"] == str(digit_files.folder / image.name)
        assert (row["class"], row["best_class"]) == ("3", image.best_class)
        assert float(row["probability"]) == pytest.approx(image.probability, abs=5e-7)
        assert float(row["best_probability"]) == pytest.approx(image.best_probability, abs=5e-7)


def test_odd_names_in_the_table() -> None:
    """Commas, quotes and line ends in names do not break it."""
    names = ('a,"b".png', "line\nend.png", "名 é.png")
    table = rows(selection_csv(selected(*names), names))
    assert tuple(row["file"] for row in table) == names
    assert [row["class"] for row in table] == ["3, three"] * 3


def test_images_of_several_folders(tmp_path: Path) -> None:
    """Subfolders become a part of the name; no file takes another's place, nor that of the table."""
    names = ("3__a__b.png", "a__b.png", "a/b.png", "c/selection.csv", "selection.csv")
    source = tmp_path / "source"
    for number, name in enumerate(names):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(np.full((4, 4), 10 * number, np.uint8)).save(source / name, format="PNG")
    found = select("digits", sorted(source.rglob("*.*")), 3, min_probability=0)
    assert sorted(image.name for image in found.images) == sorted(names)
    folder = write_selection(found, tmp_path / "out")
    table = rows((folder / TABLE).read_text(encoding="utf-8"))
    assert len({row["file"] for row in table}) == len(names)
    assert TABLE not in {row["file"] for row in table}
    assert "c__selection.csv" in {row["file"] for row in table}
    for row in table:
        assert (folder / row["file"]).read_bytes() == Path(row["source"]).read_bytes()


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    """A file that is gone in the meantime: one error, and no folder."""
    with pytest.raises(dif.InputError, match=r"gone\.png: no longer exists; select again"):
        write_selection(selected("gone.png"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_images_at_hand_are_looked_at() -> None:
    """A network that takes another way for dark images has the layers of that way."""

    class TwoWays(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flat = torch.nn.Flatten()
            self.bright, self.dark = torch.nn.Linear(48, 3), torch.nn.Linear(48, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (self.bright if x.mean() > 0.3 else self.dark)(self.flat(x))

    network = dif.load_network(TwoWays(), preprocess="unit", input_shape=(3, 4, 4))
    assert network.layers[-2].name == "bright"
    pixels = np.random.default_rng(0).integers(0, 60, (4, 4, 4, 3), np.uint8)
    found = dif.select(network, pixels, 3, min_probability=0.0)
    assert found.looked_at == 4
