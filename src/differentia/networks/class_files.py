"""The names of classes, as files have them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from differentia.errors import InputError, has_control_characters, in_one_line
from differentia.system.file_kinds import head_of, kind_of
from differentia.system.files import read_text

#: What a file of classes may be.
FORMS = 'a name per line, or JSON: ["tench", ...], {"0": "tench", ...} or {"0": ["n01440764", "tench"], ...}'


class ClassIndex(NamedTuple):
    """The WordNet identifier and the name of each class, where they are known."""

    ids: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None

    @property
    def shown(self) -> ClassIndex:
        """The same, or nothing where a name or an identifier has control characters: classes have numbers."""
        return (
            ClassIndex()
            if any(map(has_control_characters, (*(self.ids or ()), *(self.names or ()))))
            else self
        )


def read_class_index(path: Path, spec: str) -> ClassIndex:
    """Return the classes of a file: their names by line, or JSON, also as Keras has it with WordNet ids."""
    if not path.exists():
        raise InputError(f"{spec}: there is no file {path}; expected one of the names of classes")
    try:
        if not path.is_file():
            raise ValueError("it is a folder, a pipe or a device")
        text = _text_of(path)
        if path.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "["):
            return _of_json(json.loads(text))
        return ClassIndex(names=_checked(_lines(text)))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        reason = f"{kind}{in_one_line(error)}"
        raise InputError(f"{spec}: {path} is not a class index ({reason}); expected {FORMS}") from error


def _text_of(path: Path) -> str:
    try:
        return read_text(path)
    except UnicodeDecodeError:
        raise ValueError(f"it is {kind_of(head_of(path))}, and no text in UTF-8") from None


def _lines(text: str) -> list[str]:
    """Return the lines of a text, of which only the last may be empty."""
    lines = text.rstrip().splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise ValueError(f"line {number} is empty")
    return lines


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
    return ClassIndex(_checked(ids), _checked(names))


def _checked(names: Any) -> tuple[str, ...]:
    found = tuple(name.strip() for name in names)
    if not found:
        raise ValueError("it names no class")
    if "" in found:
        raise ValueError(f"class {found.index('')} has no name")
    if any(map(has_control_characters, found)):
        raise ValueError("a name has control characters")
    return found
