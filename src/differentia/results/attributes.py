"""What is known of the images beside their names, as coordinates of a result: ``image_NAME``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from differentia.results.schema import ATTRIBUTE, SPECS


def attribute_coordinates(known: Mapping[str, Sequence[str | float]]) -> dict[str, Any]:
    """Return coordinates of what is known of each image, by their labels; `long_name` is the name given."""
    labels = attribute_labels(known)
    return {
        labels[name]: ("image", _as_array(values), {"long_name": _storable(name)})
        for name, values in known.items()
    }


def attribute_labels(names: Iterable[str]) -> dict[str, str]:
    """Return what attributes are called in a result: a name of Python's, and none that the schema has."""
    labels: dict[str, str] = {}
    for name in names:
        label = plain = _plain(name)
        number = 1
        while label in SPECS or label in labels.values() or label == "image_other":  # which is a dimension
            number += 1
            label = f"{plain}_{number}"
        labels[name] = label
    return labels


def renamed_in_words(names: Iterable[str]) -> str:
    """Return which attributes could not keep their name in the result; "" if all could."""
    renamed = [
        f"{name!r} is {label}" for name, label in attribute_labels(names).items() if label != _plain(name)
    ]
    return (
        f"what is known of the images has other names in the result: {', '.join(renamed)}" if renamed else ""
    )


def _plain(name: str) -> str:
    return ATTRIBUTE + (re.sub(r"\W+", "_", name).strip("_") or "attribute")


def _as_array(values: Sequence[str | float]) -> np.ndarray:
    if any(isinstance(value, str) for value in values):
        # As objects: in an array of text, each would take as much memory as the longest.
        return np.array([_storable(str(value)) for value in values], dtype=object)
    return np.array(values, dtype=np.float64)


def _storable(text: str) -> str:
    """Return a text without what netCDF can't hold."""
    return text.replace("\0", "").encode(errors="replace").decode()
