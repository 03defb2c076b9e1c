"""The errors and the warning of this package.

Every message says what was given, what was expected, where, and what to do about it.
"""

from __future__ import annotations

import difflib
import unicodedata
import warnings
from collections.abc import Iterable
from numbers import Integral
from typing import Literal

#: What a warning is about, whatever its words: the measure has no value, stimuli were left out, stimuli of
#: one set are the same, modules can't be recorded, responses depend on more than the image; "other" is
#: whatever nobody has to tell apart.
WarningKind = Literal["undefined", "left_out", "same_content", "unrecorded", "unsteady", "other"]


class DifferentiaError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(DifferentiaError, ValueError):
    """What was given can't be used: an argument, a file, a network, a layer's name."""


class UnreadableImageError(InputError):
    """An image file that can't be decoded, or is refused."""


class RecordingError(DifferentiaError, RuntimeError):
    """What was given was fine, but recording failed: a network gave a NaN, memory ran out."""


class StorageError(DifferentiaError, RuntimeError):
    """The disk is full or can't be written to, or a file on it is damaged."""


class FolderInUseError(DifferentiaError, RuntimeError):
    """Another run is using the folder; the message says which run."""


class DifferentiaWarning(UserWarning):
    """Something about a result that should be looked at before the result is believed.

    Attributes
    ----------
    kind
        What it is about, however it is worded: "undefined" (the measure has no value), "left_out" (images
        that can't be read), "same_content" (images of one set that are the same), "unrecorded" (calls of
        modules that can't be recorded), "unsteady" (responses that depend on chance or on other images), or
        "other".
    """

    def __init__(self, text: str = "", kind: WarningKind = "other") -> None:
        super().__init__(text)
        self.kind = kind


def warn(kind: WarningKind, text: str, *, stacklevel: int) -> dict[str, str]:
    """Give a warning, and return it as a result's provenance keeps it."""
    warnings.warn(DifferentiaWarning(text, kind), stacklevel=stacklevel + 1)
    return {"kind": kind, "text": text}


def require_distinct_names(what: str, given: Iterable[object]) -> list[str]:
    """Return names as text, or raise an error where two of them are then the same, as 1 and "1" are."""
    names = [str(name) for name in given]
    if not all(name.strip() for name in names):
        raise InputError(f"a {what} has an empty name; give it one")
    for name in names:
        if has_control_characters(name):
            raise InputError(f"a {what} has the name {name!r}, with control characters; give it another")
    seen: dict[str, str] = {}
    for name in names:
        look = _as_seen(name)
        if look in seen:
            raise InputError(f"two {what}s have the name {_told_apart(seen[look], name)}; give each its own")
        seen[look] = name
    return names


def _as_seen(name: str) -> str:
    """Return what can be seen of a name: not how many characters an accent or a blank is written with."""
    visible = "".join(character for character in name if unicodedata.category(character) != "Cf")
    return " ".join(unicodedata.normalize("NFC", visible).split())


def _told_apart(one: str, other: str) -> str:
    return repr(one) if one == other else f"{one!a}, or one that looks the same, {other!a}"


def has_control_characters(name: str) -> bool:
    """Return whether a name holds what a terminal may obey, or can't show, or a file can't hold.

    A line's end, a null, marks of direction, private characters; those that join letters are none of them.
    """
    joiners = "\u200c\u200d"
    return any(
        unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp") and character not in joiners
        for character in name
    )


def in_one_line(error: Exception) -> str:
    """Return what another library's error says, without its line breaks."""
    return " ".join(str(error).split())


def unknown_name(what: str, given: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not among the known ones; `what` says what it names ("metric")."""
    names = list(known)
    close = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(names[:30]) + (f", ... ({len(names)} in all)" if len(names) > 30 else "")
    return InputError(f"unknown {what} {given!r}.{guess} Known: {listed}")


def require_known(what: str, given: str, known: Iterable[str]) -> None:
    """Raise the error of `unknown_name` unless `given` is one of `known`."""
    names = list(known)
    if given not in names:
        raise unknown_name(what, given, names)


def require_count(name: str, value: object, *, least: int = 1) -> int:
    """Return a number, or raise an error unless it is whole, and no larger than random generators take."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) < 2**63:
        raise InputError(f"{name} is {value!r}; expected a whole number >= {least} (and less than 2**63)")
    return int(value)
