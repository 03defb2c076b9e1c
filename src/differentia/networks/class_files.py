"""The names of classes, as files have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from differentia.errors import InputError
from differentia.system.files import read_text


class ClassIndex(NamedTuple):
    """The WordNet identifier and the name of each class, where they are known."""

    ids: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None


def read_class_index(path: Path, spec: str) -> ClassIndex:
    """Return the classes from JSON in the format of Keras's class index: number -> [WordNet id, name]."""
    try:
        index = json.loads(read_text(path))
        pairs = [index[str(number)] for number in range(len(index))]
        if not all(isinstance(pair, list) and [*map(type, pair)] == [str, str] for pair in pairs):
            raise ValueError("a class is not an identifier and a name")
        return ClassIndex(*zip(*pairs, strict=True))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{spec}: {path} is not a class index ({type(error).__name__}: {error}); "
            'expected JSON such as {"0": ["n01440764", "tench"], ...}'
        ) from error
