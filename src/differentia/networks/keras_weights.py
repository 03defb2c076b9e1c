"""Weights of a file, put into a Keras model."""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

from differentia.networks.keras_files import WEIGHTS_MEMBER
from differentia.networks.misfits import brief, misfit, unfitting
from differentia.system.turns import in_turn

#: Groups of variables in Keras's format that are no weights.
NO_WEIGHTS = frozenset(("optimizer", "seed_generator"))


def load_keras_weights(model: Any, path: Path, spec: str) -> None:
    """Put the weights of a harmless file into a model; all of them, and nothing else.

    Keras itself passes over what a file holds beyond the model's own weights.

    Raises
    ------
    InputError
        The weights do not fit.
    """
    problem = ""
    try:
        with in_turn(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping nested container", UserWarning)
            model.load_weights(path)
        if len(_shapes_in(path)) not in (0, len(model.weights)):
            problem = _misfit(model, path)
    except Exception as error:  # Keras raises many kinds
        problem = _misfit(model, path) or brief(error)
        raise unfitting(spec, problem) from error
    if problem:
        raise unfitting(spec, problem)


def _misfit(model: Any, path: Path) -> str:
    """Return what of a file does not fit a model; "" where that can't be known, or all fits."""
    given = _shapes_in(path)
    if not given or not model.built:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        model.save_weights(file := Path(folder) / "own.weights.h5")
        own = _shapes_in(file)
    return misfit(
        [name for name in own if name not in given],
        [name for name in given if name not in own],
        {
            name: f"{given[name]}, not {shape}"
            for name, shape in own.items()
            if given.get(name, shape) != shape
        },
    )


def _shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight in a file; nothing of files in the format of Keras 2."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive, archive.open(WEIGHTS_MEMBER) as file:
            return _shapes(file)
    return _shapes(path)


def _shapes(file: Path | IO[bytes]) -> dict[str, tuple[int, ...]]:
    import h5py

    found = {}

    def note(name: str, item: Any) -> None:
        *groups, variables, number = name.split("/") if "/" in name else ["", name]
        if isinstance(item, h5py.Dataset) and variables == "vars" and not NO_WEIGHTS.intersection(groups):
            found["/".join([*groups, number])] = item.shape

    with h5py.File(file, "r") as opened:
        opened.visititems(note)
    return found
