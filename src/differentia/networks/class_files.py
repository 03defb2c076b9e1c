"""The names of classes, as files have them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from differentia.errors import InputError, has_control_characters, in_one_line
from differentia.system.files import read_text

#: What a file of classes may be.
FORMS = 'a name per line, or JSON: ["tench", ...], {"0": "tench", ...} or {"0": ["n01440764", "tench"], ...}'


class ClassIndex(NamedTuple):
    """The WordNet identifier and the name of each class, where they are known."""

    ids: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None


def read_class_index(path: Path, spec: str) -> ClassIndex:
    """Return the classes of a file: their names by line, or JSON, also as Keras has it with WordNet ids."""
    try:
        text = read_text(path)
        if path.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "["):
            return _of_json(json.loads(text))
        return ClassIndex(names=_checked(text.rstrip().splitlines()))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {in_one_line(error)}"
        raise InputError(f"{spec}: {path} is not a class index ({reason}); expected {FORMS}") from error


def _of_json(index: Any) -> ClassIndex:
    """Return the classes of a list, or of what goes by the numbers of the classes."""
    classes = index
    if isinstance(index, Mapping):
        numbers = [str(number) for number in range(len(index))]
        if missing := [number for number in numbers if number not in index]:
            raise ValueError(f"of {len(index):,} classes none has the number {missing[0]}")
        classes = [index[number] for number in numbers]
    if not isinstance(classes, list):
        raise ValueError("neither a list nor an object")
    if all(isinstance(one, str) for one in classes):
        return ClassIndex(names=_checked(classes))
    if not all(isinstance(one, list) and [*map(type, one)] == [str, str] for one in classes):
        raise ValueError("a class is not an identifier and a name")
    ids, names = zip(*classes, strict=True)
    return ClassIndex(ids, _checked(names))


def _checked(names: Any) -> tuple[str, ...]:
    found = tuple(name.strip() for name in names)
    if not found:
        raise ValueError("it names no class")
    if "" in found:
        raise ValueError(f"class {found.index('')} has no name")
    if any(map(has_control_characters, found)):
        raise ValueError("a name has control characters")
    return found
