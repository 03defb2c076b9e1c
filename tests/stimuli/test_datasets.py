"""Data sets of other libraries, as these make them: the same images as elsewhere, one item at a time."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import datasets as hugging_face
import helpers.zoo  # noqa: F401 - before torchvision is imported
import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch
import xarray as xr
from helpers.image_files import RGB
from torch.utils import data as torch_data
from torchvision import datasets as vision, transforms

import differentia as dif
from differentia.errors import UnreadableImageError
from differentia.stimuli.base import Fit

ARRAY = np.random.default_rng(3).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
PICTURES = [PIL.Image.fromarray(one) for one in ARRAY]
TENSORS = torch.from_numpy(ARRAY).permute(0, 3, 1, 2)
LABELS = torch.arange(len(ARRAY))


def shown(source: Any, fit: Fit = RGB) -> list[tuple[list[Any], str]]:
    stimuli = dif.images(source)
    return [
        (image.pixels.tolist(), image.hash) for image in (stimuli.load(n, fit) for n in range(len(stimuli)))
    ]


class Items(torch_data.Dataset[Any]):
    """A data set of PyTorch whose items `make` makes, and that knows which were asked for."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self.make, self.asked = make, list[int]()

    def __len__(self) -> int:
        return len(ARRAY)

    def __getitem__(self, index: int) -> Any:
        self.asked.append(index)
        return self.make(index)


def encoded(image: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def of_images(pictures: Any = PICTURES, decode: bool = True, **others: Any) -> hugging_face.Dataset:
    """Return Hugging Face's data set with a column of images."""
    features = hugging_face.Features(
        picture=hugging_face.Image(decode=decode),
        **dict.fromkeys(others, hugging_face.Value("string")),
    )
    return hugging_face.Dataset.from_dict({"picture": pictures, **others}, features=features)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda n: PICTURES[n], id="picture"),
        pytest.param(lambda n: (PICTURES[n], n), id="with a label"),
        pytest.param(lambda n: (n, LABELS[n], TENSORS[n]), id="behind labels"),
        pytest.param(lambda n: {"label": LABELS[n], "image": ARRAY[n], "mask": ARRAY[n, ..., 0]}, id="dict"),
        pytest.param(lambda n: ((ARRAY[n], {}), None), id="nested"),
        pytest.param(lambda n: {"bytes": encoded(PICTURES[n]), "path": None}, id="encoded"),
    ],
)
def test_items_of_pytorch(make: Callable[[int], Any]) -> None:
    """Whatever stands beside the image; grey ones are not taken for RGB."""
    assert shown(Items(make)) == shown(ARRAY)
    assert shown(Items(lambda n: ARRAY[n, ..., 0])) == shown(ARRAY[..., 0]) != shown(ARRAY)


def test_what_is_made_of_data_sets() -> None:
    """Those of PyTorch itself, and loaders that keep the order, however many items they give at once."""
    tensors = torch_data.TensorDataset(TENSORS, LABELS)
    assert shown(tensors) == shown(ARRAY)
    assert shown(torch_data.Subset(tensors, [3, 1])) == [shown(ARRAY)[3], shown(ARRAY)[1]]
    assert shown(torch_data.ConcatDataset([tensors, tensors])) == shown(ARRAY) * 2
    for size, drop_last in ((1, False), (3, False), (5, True), (None, False)):
        loader = torch_data.DataLoader(tensors, batch_size=size, drop_last=drop_last)
        assert shown(loader) == shown(ARRAY)


def test_the_same_image_as_of_a_file(tmp_path: Path) -> None:
    """A folder of classes shows what the same files show; turned, transparent ones too."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    for place, one in enumerate(PICTURES):
        (tmp_path / f"class {place % 2}").mkdir(exist_ok=True)
        one.save(tmp_path / f"class {place % 2}" / f"{place}.png", exif=exif)
    found = shown(vision.ImageFolder(tmp_path, loader=PIL.Image.open))
    assert found == shown([PIL.Image.open(path) for path in sorted(tmp_path.glob("*/*.png"))])
    assert [pixels for pixels, _ in found] == [pixels for pixels, _ in shown(f"{tmp_path}/*/*.png")]


def test_columns_of_hugging_face() -> None:
    """The only column of images, or one by name; decoded or not, of some rows, as tensors; and paths."""
    data = of_images(label=list("abcde"))
    raw = of_images(decode=False)
    for source in (data, data["picture"], raw, raw["picture"], data.with_format("torch"), [*data["picture"]]):
        assert shown(source) == shown(ARRAY)
    assert shown(data.select([4, 0])) == [shown(ARRAY)[4], shown(ARRAY)[0]]
    assert shown(data.select([4, 0])["picture"]) == [shown(ARRAY)[4], shown(ARRAY)[0]]
    flipped = data.with_transform(lambda rows: {"picture": [one.rotate(180) for one in rows["picture"]]})
    assert shown(flipped) == shown(ARRAY[:, ::-1, ::-1])


def test_bytes_on_disk_and_columns_of_paths(tmp_path: Path) -> None:
    """What is not decoded may name a file; a column of text is a list of paths."""
    paths = [str(tmp_path / f"{place}.png") for place in range(len(ARRAY))]
    for path, one in zip(paths, PICTURES, strict=True):
        one.save(path)
    raw = of_images(paths, decode=False, path=paths)
    assert raw[0]["picture"] == {"bytes": None, "path": paths[0]}
    assert shown(raw) == shown(ARRAY)
    assert dif.images(raw["path"]).paths == tuple(map(Path, paths))


@pytest.mark.parametrize("dims", [("image", "y", "x", "channel"), ("Frame", "height", "width", "rgb")])
def test_dimensions_by_their_names(dims: tuple[str, ...]) -> None:
    """In whatever order; without names that are known, as an array."""
    array = xr.DataArray(ARRAY, dims=dims)
    assert shown(array) == shown(array.transpose(*dims[::-1])) == shown(ARRAY)
    assert shown(array[..., 0]) == shown(ARRAY[..., 0])
    assert dif.images(array).in_time == (dims[0] == "Frame")
    assert shown(xr.DataArray(ARRAY)) == shown(ARRAY)
    with pytest.raises(dif.InputError, match="shape"):
        dif.images(array[0])
    named = array.assign_coords({dims[0]: list("edcba")})
    assert (dif.images(named).names, dif.images(array).names) == (tuple("edcba"), tuple("01234"))


def test_labels_of_images_are_attributes() -> None:
    """Times are names and numbers; what is of pixels is neither."""
    film = xr.DataArray(
        ARRAY,
        {"time": [0.0, 0.04, 0.08, 0.12, 1], "scene": ("time", list("aabbb")), "y": [4, 3, 2, 1]},
        ("time", "y", "x", "channel"),
    )
    stimuli = dif.images(film)
    assert stimuli.names == ("0", "0.04", "0.08", "0.12", "1")
    assert stimuli.attributes == {"time": [0.0, 0.04, 0.08, 0.12, 1.0], "scene": list("aabbb")}
    assert stimuli.in_time
    other = dif.images(film.rename(time="image"))
    assert (other.in_time, [*other.attributes]) == (False, ["scene"])


def test_one_item_is_read_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every library; and by one thread, even where two sets are parts of one data set."""
    items = Items(lambda n: PICTURES[n])
    stimuli = dif.images(items)
    assert items.asked == []
    stimuli.load(3, RGB)
    assert items.asked == [3]
    decoded: list[int] = []
    feature = hugging_face.Image
    whole = feature.decode_example

    def counted(*given: Any, **options: Any) -> Any:
        decoded.append(1)
        return whole(*given, **options)

    monkeypatch.setattr(feature, "decode_example", counted)
    data = of_images()
    for source in (data, data["picture"]):
        dif.images(source).load(3, RGB)
        assert len(decoded) == 1
        decoded.clear()

    at_once = threading.Semaphore(1)
    clashes: list[int] = []

    def alone(index: int) -> Any:
        if not at_once.acquire(blocking=False):
            clashes.append(index)
            return ARRAY[index]
        threading.Event().wait(0.002)
        at_once.release()
        return ARRAY[index]

    shared = Items(alone)
    parts = [dif.images(torch_data.Subset(shared, [*places])) for places in ((0, 1), (2, 3, 4))]

    def load_all(_: int) -> None:
        for part in parts:
            part.load(0, RGB)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(load_all, range(8)))
    assert clashes == []
    with ThreadPoolExecutor(8) as threads:  # the check itself can fail
        list(threads.map(shared.__getitem__, [0] * 16))
    assert clashes


class Endless(torch_data.IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield from ARRAY


class Uncounted(torch_data.Dataset[Any]):
    def __getitem__(self, index: int) -> Any:
        return ARRAY[index]


def in_batches_of_its_own() -> torch_data.DataLoader[Any]:
    return torch_data.DataLoader(Items(ARRAY.__getitem__), batch_sampler=[[4, 2], [0]])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Endless(), r"a stream \(Endless\).* give a list of the first: \[item\[0\] for"),
        (lambda: torch_data.DataLoader(Endless()), r"a stream \(Endless\)"),
        (lambda: Uncounted(), r"\(Uncounted\) does not say how many"),
        (lambda: torch_data.TensorDataset(TENSORS[:0]), r"\(TensorDataset\) is empty"),
        (
            lambda: torch_data.DataLoader(Items(ARRAY.__getitem__), shuffle=True),
            r"has an order of its own \(RandomSampler\); give its data set, loader\.dataset",
        ),
        (in_batches_of_its_own, r"has an order of its own \(list\)"),
        (
            lambda: torch_data.DataLoader(Items(ARRAY.__getitem__), 2, drop_last=True),
            "leaves the last batch out",
        ),
        (
            lambda: torch_data.DataLoader(Items(ARRAY.__getitem__), collate_fn=len),
            "has a collate_fn of its own",
        ),
        (lambda: of_images().remove_columns("picture"), "no column of images. None is known"),
        (lambda: of_images(path=["a"] * 5).remove_columns("picture"), "Known: path; cast one"),
        (
            lambda: (
                of_images()
                .add_column("other", [{"bytes": b"", "path": None}] * 5)
                .cast_column("other", hugging_face.Image())
            ),
            r"2 columns of images, picture, other; give one: dataset\['picture'\]",
        ),
        (lambda: of_images().to_iterable_dataset(), r"a stream \(IterableDataset\).*dataset\.take\(100\)"),
        (lambda: of_images().to_iterable_dataset()["picture"], r"a stream \(IterableColumn\)"),
        (
            lambda: hugging_face.DatasetDict(train=of_images(), test=of_images()),
            r"several data sets \(DatasetDict\)\. Known: train, test; give one: dataset\['train'\]",
        ),
        (lambda: xr.Dataset({"a": 1, "b": 2}), r"xarray's Dataset\. Known: a, b; give one of its variables"),
        (
            lambda: pd.DataFrame({"file": ["a"], "label": ["b"]}),
            r"one column of paths: .*sets_from\(table\)\. Known: file, label",
        ),
    ],
)
def test_what_has_no_order_or_no_images(make: Callable[[], Any], told: str) -> None:
    """Each is an error that says what to give in its stead."""
    with pytest.raises(dif.InputError, match=told):
        dif.images(make())


@pytest.mark.parametrize(
    ("make", "told", "kind"),
    [
        (
            lambda n: transforms.ToTensor()(PICTURES[n]),
            "float32, from .*; of torchvision's.*PILToTensor",
            "misfit",
        ),
        (
            lambda n: ARRAY[n].astype(int),
            r"from 0 to 250; expected uint8, 0\.\.255: write x\.astype[^;]*$",
            "misfit",
        ),
        (lambda n: n, "holds no image: it is of type int; expected an image of Pillow", "misfit"),
        (lambda n: (n, "b"), "it is a tuple of int, str", "misfit"),
        (lambda n: {"label": n}, "it is a dict of label", "misfit"),
        (lambda n: ARRAY[n, 0, 0], r"it is of type ndarray and shape \(3,\)", "misfit"),
        (lambda n: ARRAY[[n, n]], r"has the shape \(2, 4, 6, 3\)", "misfit"),
        (lambda n: Path("nowhere.png").read_bytes(), r"can't be read \(FileNotFoundError: .*nowhere", "disk"),
        (lambda n: [][n], r"can't be read \(IndexError: list index out of range\)", "broken"),
        (
            lambda n: {"bytes": b"no image", "path": "a.png"},
            r"can't be read \(UnidentifiedImageError: .*PNG",
            "broken",
        ),
        (lambda n: PIL.Image.new("F", (4, 4)), "Pillow's mode F", "broken"),
    ],
)
def test_broken_items_are_named(make: Callable[[int], Any], told: str, kind: str) -> None:
    """What can't be decoded can be left out; what is no image, or the disk can't give, can't."""
    with pytest.raises(dif.InputError, match=rf"^item 2 of a data set \(Items\): .*{told}") as error:
        dif.images(Items(make)).load(2, RGB)
    assert isinstance(error.value, UnreadableImageError) == (kind == "broken")


def test_a_column_that_names_its_rows() -> None:
    """Of Hugging Face's, the row and the column."""
    data = of_images([{"bytes": b"no image", "path": None}] * 2, decode=False)
    with pytest.raises(
        UnreadableImageError, match=r"^item 1 of a data set \(column 'picture'\): can't be read"
    ):
        dif.images(data).load(1, RGB)


def test_colour_profiles_that_can_not_be_used_are_told() -> None:
    """As of files."""
    odd = PICTURES[0].copy()
    odd.info["icc_profile"] = b"no profile"
    stimuli = dif.images(Items(lambda n: odd if n == 1 else PICTURES[n]))
    for index in range(3):
        stimuli.load(index, RGB)
    assert list(stimuli.caveats()) == [1]
    assert "item 1 of a data set (Items): its colour profile" in stimuli.caveats()[1]


def test_no_library_is_imported_for_the_question() -> None:
    """A user's own module may be called as theirs is."""
    code = (
        "import sys, types, differentia as dif\n"
        "sys.modules['datasets'] = types.ModuleType('datasets')\n"
        "import numpy as np\n"
        "dif.images(np.zeros((2, 4, 6), np.uint8))\n"
        "print({'torch', 'pandas', 'xarray', 'datasets.arrow_dataset'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


def test_columns_that_nobody_asked_for_are_not_read() -> None:
    """Of a second column of images none is decoded, which may be slow, or damaged."""
    features = hugging_face.Features({"one": hugging_face.Image(), "other": hugging_face.Image()})
    damaged = [{"bytes": b"no image", "path": None}] * len(PICTURES)
    given = hugging_face.Dataset.from_dict({"one": PICTURES, "other": damaged}, features=features)
    with pytest.raises(OSError, match="cannot identify"):
        given[0]
    sets = dif.sets_from(given.add_column("set", ["a", "a", "b", "b", "b"]), path="one", set="set")
    assert [len(stimuli) for stimuli in sets.values()] == [2, 3]
    assert [sets["b"].load(n, RGB).pixels.tolist() for n in range(3)] == [one for one, _ in shown(PICTURES)][
        2:
    ]
