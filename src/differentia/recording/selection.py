"""Selection: the images that a network puts in a class, ranked, and copied, linked or listed."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from differentia.errors import InputError, require_count, short_tracebacks
from differentia.networks.classes import (
    class_layer as layer_of_classes,
    class_names,
    class_probabilities,
    find_class,
)
from differentia.networks.layers import wants_operations
from differentia.networks.load import load_network
from differentia.networks.probes import UnitProbe
from differentia.networks.runner import Runner
from differentia.recording.fitting import fit_of
from differentia.recording.responses import require_finite
from differentia.stimuli.copies import find_duplicates
from differentia.stimuli.presentation import (
    ImageLabel,
    SkippedImage,
    first_images,
    in_batches,
    labels_of,
    present,
    warn_of_images,
)
from differentia.stimuli.sources import stimuli_from
from differentia.system.choices import HOW
from differentia.system.files import names_in_one_folder, new_folder
from differentia.system.progress import Progress, require_progress, shown_progress
from differentia.system.showing import as_html, as_text, listed

#: The table in the folder of the selected images.
TABLE = "selection.csv"


class SelectedImage(NamedTuple):
    """An image that is in the class, and the class that the network finds most probable."""

    name: str
    path: Path | None
    probability: float
    best_class: str
    best_probability: float


class Selection(NamedTuple):
    """The images that a network puts in a class.

    Attributes
    ----------
    class_name
        Of the class.
    images
        Those in it, the most probable first.
    looked_at
        How many images were shown to the network.
    skipped
        Those that could not be read.
    dropped
        Those in the class that have the same content as an earlier one, where they are left out.
    """

    class_name: str
    images: tuple[SelectedImage, ...]
    looked_at: int
    skipped: tuple[SkippedImage, ...]
    dropped: tuple[ImageLabel, ...] = ()

    def _shown(self) -> tuple[str, dict[str, str]]:
        images = [f"{image.name} ({image.probability:.2f})" for image in self.images]
        skipped = {"skipped": listed([image.name for image in self.skipped])} if self.skipped else {}
        title = f"Selection of {len(images):,} of {self.looked_at:,} images: {self.class_name}"
        return title, {"images (probability)": listed(images), **skipped}

    def __repr__(self) -> str:
        """Return which images were selected as text."""
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        return as_html(*self._shown())


@short_tracebacks
def select(
    network: Any,
    source: Any,
    wanted: str | int,
    *,
    min_probability: float = 0.5,
    count: int | None = None,
    resize: str | None = None,
    crop: str | None = None,
    class_layer: str | None = None,
    batch_size: int = 32,
    skip_unreadable: bool = False,
    drop_duplicates: bool = False,
    follow_links: bool = False,
    progress: Progress | bool | None = None,
) -> Selection:
    """Return the images to which a network gives at least some probability of a class.

    Parameters
    ----------
    network
        What `load_network` takes: a classifier. Its last layer, or the one that `class_layer` names, gives
        the probabilities, through a softmax where they do not sum to 1.
    source
        What `images` takes.
    wanted
        The class: its number, its WordNet identifier or its name.
    min_probability
        Images below it are left out. Above 0.5 no other class can be more probable.
    count
        Stop when so many are found; they are then the first of the source, not the best of it. All images
        are looked at where it is left out.
    resize, crop, class_layer, batch_size, skip_unreadable, drop_duplicates, follow_links
        As for `record`.
    progress
        As for `record`; there is one stage, ``selecting images``, which counts the images looked at.

    Returns
    -------
    Selection
        Ranked by probability.

    Raises
    ------
    InputError
        No such class, a network without classes, or something else that can't be used.
    RecordingError
        The pass failed, or gave a NaN or an infinity.
    """
    require_progress(progress)
    number_given = isinstance(min_probability, Real) and not isinstance(min_probability, bool)
    if not number_given or not 0 <= min_probability <= 1:
        raise InputError(f"min_probability is {min_probability!r}; expected a number from 0 to 1")
    count = None if count is None else require_count("count", count)
    batch_size = require_count("batch_size", batch_size)
    stimuli = stimuli_from(source, follow_links=follow_links)
    network = load_network(network)
    fit = fit_of(network, resize, crop)
    if (pixels := first_images({"": stimuli}, fit, skip_unreadable=skip_unreadable)) is not None:
        network.look(pixels, operations=wants_operations(filter(None, [class_layer])))
    layer = layer_of_classes(network, class_layer)
    if layer is None:
        raise InputError(
            f"{network.name}: the last layer gives no classes; give a classifier, or name the layer whose "
            "units are the classes with class_layer= (--class-layer)"
        )
    number = find_class(network, wanted, layer.size)
    names = class_names(network, layer.size)
    probe = UnitProbe(np.arange(layer.size), layer.shape)
    found: list[SelectedImage] = []
    chosen: list[ImageLabel] = []
    skipped: list[SkippedImage] = []
    dropped: list[ImageLabel] = []
    contents: set[str] = set()
    looked_at = 0
    runner = Runner(network, compile="never", batch_size=batch_size)
    batches = in_batches(labels_of("", stimuli), batch_size)
    with shown_progress(progress) as report:
        for batch in present({"": stimuli}, batches, fit, skip_unreadable=skip_unreadable):
            skipped += batch.skipped
            outputs = np.zeros((0, layer.size), np.float32)
            if batch.images:
                outputs = runner.record(batch.pixels, {layer.name: {"classes": probe}})[layer.name]["classes"]
                require_finite(outputs, layer.name, batch.images)
                outputs = class_probabilities(outputs)
            for image, row in zip(batch.images, outputs, strict=True):
                looked_at += 1
                if row[number] < min_probability:
                    continue
                if drop_duplicates and image.hash in contents:
                    dropped.append(image)
                    continue
                contents.add(image.hash)
                best = int(np.argmax(row))
                path = stimuli.paths[image.number] if stimuli.paths else None
                found.append(
                    SelectedImage(image.name, path, float(row[number]), names[best], float(row[best]))
                )
                chosen.append(image)
                if len(found) == count:
                    break
            report(looked_at + len(skipped), len(stimuli), "selecting images")
            if len(found) == count:
                break
    warn_of_images({"": stimuli}, skipped, find_duplicates(chosen))
    ranked = sorted(found, key=lambda image: -image.probability)
    return Selection(names[number], tuple(ranked), looked_at, tuple(skipped), tuple(dropped))


#: What is done with each selected file, and its place in the new folder.
WAYS: dict[str, Callable[[Path, Path], object]] = {
    "copy": shutil.copy2,
    "link": lambda source, target: target.symlink_to(source.resolve()),
    "list": lambda source, target: None,
}


@short_tracebacks
def write_selection(selection: Selection, folder: str | os.PathLike[str], *, how: str = "copy") -> Path:
    """Write the selected images and ``selection.csv`` into a new folder.

    Parameters
    ----------
    selection
        What `select` returned, of image files.
    folder
        Does not exist yet, or is empty.
    how : {"copy", "link", "list"}
        Copies of the files, symbolic links to them, or the table alone.

    Returns
    -------
    Path
        Of the folder.

    Raises
    ------
    InputError
        The folder is not empty or can't be written, or the images are no files.
    """
    how = HOW.checked(how)
    if how != "list" and any(image.path is None for image in selection.images):
        raise InputError("these images are not files and can't be copied or linked; --how list lists them")
    images = [image.name for image in selection.images]
    names = [] if how == "list" else names_in_one_folder(images, taken=[TABLE])
    with new_folder(folder) as beside:
        for image, name in zip(selection.images, names, strict=False):
            try:
                WAYS[how](Path(str(image.path)), beside / name)
            except FileNotFoundError as error:
                raise InputError(f"{image.path}: no longer exists; select again") from error
        (beside / TABLE).write_text(selection_csv(selection, names), encoding="utf-8", newline="")
    return Path(folder).expanduser()


def selection_csv(selection: Selection, files: Sequence[str] = ()) -> str:
    """Return the ranked images as CSV, with the names of their copies or links, where there are any."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["rank", "file", "source", "class", "probability", "best_class", "best_probability"])
    files = files or [""] * len(selection.images)
    for rank, (image, file) in enumerate(zip(selection.images, files, strict=True), start=1):
        source = image.name if image.path is None else os.path.abspath(image.path)
        best = f"{image.best_probability:.6f}"
        row = [rank, file, source, selection.class_name, f"{image.probability:.6f}", image.best_class, best]
        table.writerow(row)
    return text.getvalue()
