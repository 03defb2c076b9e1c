"""Images in data sets of other libraries, of which one item is read at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import PIL.Image

from differentia.errors import InputError, UnreadableImageError, in_one_line, listed_names, require_known
from differentia.stimuli.arrays import hash_of, is_tensor
from differentia.stimuli.base import Fit, Image, Numbers, Stimuli
from differentia.stimuli.columns import texts_of, values_of
from differentia.stimuli.guarded import opened
from differentia.stimuli.pictures import as_picture, seen
from differentia.system import turns
from differentia.system.regular import open_regular

#: Stimuli are loaded on several threads, and data sets, of which several sets may be parts, know of none.
_ONE_AT_A_TIME = turns.lock()

#: What xarray's dimensions are, in the order of an array of images, by their names in small letters.
_AXES = {
    **dict.fromkeys(("image", "images", "sample", "frame", "time"), 0),
    **dict.fromkeys(("y", "height"), 1),
    **dict.fromkeys(("x", "width"), 2),
    **dict.fromkeys(("channel", "channels", "rgb"), 3),
}


class DatasetStimuli(Stimuli):
    """Images of a data set, of which `item` returns what is at a place; `source` is how errors call it."""

    def __init__(self, item: Callable[[int], Any], places: Sequence[int], source: str) -> None:
        if not len(places):
            raise InputError(f"{source} is empty; expected at least one image")
        self._item, self._places = item, places
        self.source = source
        self.names = Numbers(places)
        self._caveats: dict[int, str] = {}

    def load(self, index: int, fit: Fit) -> Image:
        """Return one image, fitted to a network's input."""
        what = f"item {self._places[index]} of {self.source}"
        try:
            with _ONE_AT_A_TIME:
                shown, caveat = seen(_picture_in(self._item(self._places[index]), what))
        except (InputError, MemoryError):
            raise
        except Exception as error:  # data sets, and Pillow's decoders, raise any kind
            reason = f"{type(error).__name__}: {in_one_line(error)}".removesuffix(": ")
            # As of files, one that the disk can't give is no fault of the image.
            kind = UnreadableImageError if getattr(error, "errno", None) is None else InputError
            remedy = "mend it, or take it out of the data set"
            raise kind(f"{what}: can't be read ({reason}); {remedy}") from error
        if caveat:
            self._caveats[index] = f"{what}: {caveat}"
        return Image(fit(shown), hash_of(np.asarray(shown)))

    def caveats(self) -> dict[int, str]:
        """Return what is to be said of colour profiles that can't be used."""
        return dict(self._caveats)


def _picture_in(item: Any, what: str) -> PIL.Image.Image | np.ndarray:
    """Return the image in an item of a data set."""
    found = _first_image(item)
    if found is None:
        raise InputError(
            f"{what}: holds no image: it is {_described(item)}; expected an image of Pillow, a uint8 array "
            "or tensor, or a tuple or dict that holds one"
        )
    try:
        return as_picture(found, what)
    except InputError as error:
        if not str(found.dtype).removeprefix("torch.").startswith(("float", "bfloat")):
            raise
        raise InputError(
            f"{error}; of torchvision's transforms, leave out Normalize, and put PILToTensor for ToTensor"
        ) from None


def _first_image(item: Any) -> Any:
    """Return the first image in an item, which may be a tuple or a dict with labels beside it; else None."""
    if isinstance(item, PIL.Image.Image):
        return item
    if isinstance(item, np.ndarray) or is_tensor(item):
        return item if len(item.shape) >= 2 else None
    if not isinstance(item, Mapping | tuple | list):
        return None
    if isinstance(item, Mapping) and {*item} == {"bytes", "path"}:  # of Hugging Face's, not decoded
        return opened(_content_of(item["path"]) if item["bytes"] is None else item["bytes"])
    parts = item.values() if isinstance(item, Mapping) else item
    return next((found for found in map(_first_image, parts) if found is not None), None)


def _content_of(path: str) -> bytes:
    with open_regular(path) as file:
        return file.read()


def _described(item: Any) -> str:
    kind = type(item).__name__
    if isinstance(item, Mapping):
        return f"a {kind} of {', '.join(map(str, item))}"
    if isinstance(item, tuple | list):
        return f"a {kind} of {', '.join(type(part).__name__ for part in item) or 'nothing'}"
    shape = getattr(item, "shape", None)
    return f"of type {kind}" + (f" and shape {tuple(shape)}" if shape is not None else "")


def is_of(source: object, module: str, name: str) -> bool:
    """Return whether an object is of a library's class, without importing the library for the question."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(source, kind)


def from_other_library(source: Any) -> Stimuli | None:
    """Return the images of what another library calls a data set; None of what is none."""
    reader = next((read for module, name, read in _READERS if is_of(source, module, name)), None)
    return None if reader is None else reader(source)


def _of_torch(dataset: Any) -> Stimuli:
    source = f"a data set ({type(dataset).__name__})"
    try:
        count = len(dataset)
    except (TypeError, NotImplementedError):
        raise InputError(
            f"{source} does not say how many images it has; give it a length (__len__), or give "
            "[dataset[n] for n in range(...)]"
        ) from None
    return DatasetStimuli(dataset.__getitem__, range(count), source)


def _of_loader(loader: Any) -> Stimuli:
    from torch.utils import data as torch_data

    if isinstance(loader.dataset, torch_data.IterableDataset):
        return _of_stream(loader.dataset)
    batches = loader.batch_sampler
    in_batches = type(batches) is torch_data.BatchSampler
    order = batches.sampler if in_batches else batches or loader.sampler
    if type(order) is not torch_data.SequentialSampler:
        problem = f"has an order of its own ({type(order).__name__})"
    elif loader.collate_fn not in (torch_data.default_collate, torch_data.default_convert):
        problem = "has a collate_fn of its own, which is for whole batches"
    elif loader.drop_last and len(loader.dataset) % loader.batch_size:
        problem = "leaves the last batch out (drop_last=True)"
    else:
        return _of_torch(loader.dataset)
    raise InputError(f"the DataLoader {problem}; give its data set, loader.dataset, or a Subset of it")


def _of_stream(dataset: Any) -> Stimuli:
    raise InputError(
        f"the images are a stream ({type(dataset).__name__}), which can't be read twice in one order; give a "
        "list of the first: [item[0] for item in itertools.islice(dataset, 100)]"
    )


def image_column(dataset: Any, name: str | None = None) -> str:
    """Return the name of the column of images of Hugging Face's data set: its only one, unless named."""
    from datasets import Image as ImageFeature

    known = list(dataset.column_names)
    if name is not None:
        require_known("column of the data set", name, known)
        return name
    found = [one for one, feature in (dataset.features or {}).items() if isinstance(feature, ImageFeature)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(
            f"the data set has no column of images.{listed_names(known, ())}; cast one to datasets.Image(), "
            "or give one that holds paths: dataset['path']"
        )
    columns = f"{len(found)} columns of images, {', '.join(found)}"
    raise InputError(f"the data set has {columns}; give one: dataset[{found[0]!r}]")


def of_hugging_face(
    dataset: Any, column: str | None = None, places: Sequence[int] | None = None
) -> DatasetStimuli:
    """Return the images in a column of Hugging Face's data set, all or some."""
    name = image_column(dataset, column)
    # A transform of the user's own may need the other columns; else these are not even read.
    rows = dataset if dataset.format["type"] == "custom" else dataset.select_columns([name])
    places = range(len(dataset)) if places is None else places
    return DatasetStimuli(lambda place: rows[place][name], places, f"a data set (column {name!r})")


def _of_column(column: Any) -> Stimuli | None:
    """Return the images in a column of Hugging Face's; None of one that holds text, such as paths."""
    if getattr(column.features, "dtype", "") in ("string", "large_string"):
        return None
    source = f"a data set (column {column.column_name!r})"
    return DatasetStimuli(column.__getitem__, range(len(column)), source)


def _of_splits(splits: Any) -> Stimuli:
    raise InputError(
        f"the images are several data sets ({type(splits).__name__}).{listed_names([*splits], ())}; give "
        f"one: dataset[{next(iter(splits), 'train')!r}]"
    )


def _of_hugging_face_stream(dataset: Any) -> Stimuli:
    raise InputError(
        f"the images are a stream ({type(dataset).__name__}), which can't be read twice in one order; give a "
        "list of the first: [row['image'] for row in dataset.take(100)]"
    )


def _of_data_array(array: Any) -> Stimuli | None:
    """Return the images in xarray's array, whose dimensions go by their names; None without these."""
    axes = {name: _AXES.get(str(name).lower(), -1) for name in array.dims}
    if sorted(axes.values()) not in ([0, 1, 2], [0, 1, 2, 3]):
        return None
    first, *others = sorted(axes, key=axes.__getitem__)
    ordered = array.transpose(first, *others)
    stimuli = DatasetStimuli(
        lambda place: ordered[place].values, range(len(ordered)), f"a DataArray ({array.name or 'no name'})"
    )
    stimuli.in_time = str(first).lower() in ("frame", "time")
    along = {name: label.to_series() for name, label in array.coords.items() if label.dims == (first,)}
    if first in along:
        stimuli.names = tuple(texts_of(along[first]))
        if str(first).lower() != "time":  # which is more than a name
            del along[first]
    stimuli.attributes = {str(name): values_of(column) for name, column in along.items()}
    return stimuli


def _of_variables(dataset: Any) -> Stimuli:
    raise InputError(
        f"the images are xarray's Dataset.{listed_names([*map(str, dataset.data_vars)], ())}; give one of "
        "its variables: dataset['images']"
    )


def _of_frame(table: Any) -> Stimuli:
    raise InputError(
        f"the images are a table of shape {table.shape}; expected one column of paths: table['path'], or for "
        f"sets that a column names, sets_from(table).{listed_names([*map(str, table.columns)], ())}"
    )


#: What other libraries' objects are read by: the module that has a class, its name, the reader. The first
#: that fits is taken.
_READERS: tuple[tuple[str, str, Callable[[Any], Stimuli | None]], ...] = (
    ("datasets.dataset_dict", "DatasetDict", _of_splits),
    ("datasets.dataset_dict", "IterableDatasetDict", _of_splits),
    ("datasets.iterable_dataset", "IterableDataset", _of_hugging_face_stream),
    ("datasets.iterable_dataset", "IterableColumn", _of_hugging_face_stream),
    ("datasets.arrow_dataset", "Dataset", of_hugging_face),
    ("datasets.arrow_dataset", "Column", _of_column),
    ("torch.utils.data", "IterableDataset", _of_stream),
    ("torch.utils.data", "Dataset", _of_torch),
    ("torch.utils.data", "DataLoader", _of_loader),
    ("xarray", "DataArray", _of_data_array),
    ("xarray", "Dataset", _of_variables),
    ("pandas", "DataFrame", _of_frame),
)
