"""The errors and the warning of this package.

Every message says what was given, what was expected, where, and what to do about it.
"""

from __future__ import annotations

import difflib
import itertools
import json
import os
import re
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from numbers import Integral
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

_Public = TypeVar("_Public", bound=Callable[..., Any])

_PACKAGE = f"{Path(__file__).parent}{os.sep}"

#: Whether this package's own errors keep their whole traceback.
whole_tracebacks: ContextVar[bool] = ContextVar(
    "whole_tracebacks", default=os.environ.get("DIFFERENTIA_TRACEBACKS") == "1"
)

#: Whether warnings are given in this thread.
_warns: ContextVar[bool] = ContextVar("_warns", default=True)

#: What a warning is about, whatever its words: the measure has no value, stimuli were left out, stimuli of
#: one set are the same, modules can't be recorded, responses depend on more than the image, values of images
#: that were made were clipped, only rounding moves some units; "other" is whatever nobody has to tell apart.
WarningKind = Literal[
    "undefined", "left_out", "same_content", "unrecorded", "unsteady", "clipped", "rounding", "other"
]

#: In characters: what a message lists of known names, and repeats of what was given, so that it is read.
MOST_LISTED, MOST_REPEATED = 120, 100

NO_SYNONYMS: Mapping[str, str] = MappingProxyType({})


class DifferentiaError(Exception):
    """Base of every error that this package raises on purpose."""

    def __str__(self) -> str:
        """Return the message, in which no name can steer a terminal."""
        return printable(super().__str__())


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
        modules that can't be recorded), "unsteady" (responses that depend on chance or on other images),
        "clipped" (values of noise or scrambled images beyond 0..255), "rounding" (units that only rounding
        moves, which count as constant), or "other".
    """

    def __init__(self, text: str = "", kind: WarningKind = "other") -> None:
        super().__init__(text)
        self.kind = kind

    def __str__(self) -> str:
        """Return the text, in which no name can steer a terminal."""
        return printable(super().__str__())


def warn(kind: WarningKind, text: str) -> dict[str, str]:
    """Give a warning at the user's line, and return it as a result's provenance keeps it."""
    if _warns.get():
        warnings.warn(DifferentiaWarning(text, kind), stacklevel=users_level())
    return {"kind": kind, "text": text}


@contextmanager
def without_warnings() -> Iterator[None]:
    """Give none of this package's warnings in this thread meanwhile: somebody else gives them."""
    before = _warns.set(False)
    try:
        yield
    finally:
        _warns.reset(before)


def users_level() -> int:
    """Return the ``stacklevel`` at which the caller warns of the user's line, which called this package.

    That line called the outermost frame of the package: other libraries may lie between its frames.
    """
    frame, level, found = sys._getframe(1), 1, 1
    while (caller := frame.f_back) is not None:
        if frame.f_code.co_filename.startswith(_PACKAGE):
            found = level + 1
        frame, level = caller, level + 1
    return found


def short_tracebacks(function: _Public) -> _Public:
    """Make a public function raise this package's own errors without the frames within the package.

    They say all that there is to say; DIFFERENTIA_TRACEBACKS=1 in the environment keeps the frames. What
    another library raised, also as the cause of such an error, keeps its traceback.
    """

    @wraps(function)
    def entry(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except DifferentiaError as error:
            if whole_tracebacks.get():
                raise
            raise error.with_traceback(None)  # noqa: B904 - its cause, if it has one, is its own

    return cast(_Public, entry)


def require_distinct_names(what: str, given: Iterable[object]) -> list[str]:
    """Return names as text, without blanks around them, or raise an error where two are then the same."""
    names = []
    for name in map(str, given):
        if has_control_characters(name):
            raise InputError(f"a {what} has the name {name!r}, with control characters; give it another")
        if not name.strip():
            raise InputError(f"a {what} has an empty name; give it one")
        names.append(name.strip())
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
    """Return whether a name holds what a terminal may obey, or can't show, or a file can't hold."""
    return any(map(is_control_character, name))


def is_control_character(character: str) -> bool:
    """Return whether a character is a line's end, a null, a mark of direction, or a private one.

    Those that join letters are none of them.
    """
    category = unicodedata.category(character)
    return category in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp") and character not in "\u200c\u200d"


def printable(text: str) -> str:
    """Return a text with its control characters, but for the ends of lines, as escapes of JSON and Python."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        escaped(character) if character != "\n" and is_control_character(character) else character
        for character in text
    )


def escaped(character: str) -> str:
    """Return a character as JSON and Python write it in ASCII."""
    return json.dumps(character)[1:-1]


def in_one_line(error: Exception) -> str:
    """Return what another library's error says, without its line breaks."""
    return " ".join(str(error).split())


def unknown_name(
    what: str,
    given: str,
    known: Iterable[str],
    synonyms: Mapping[str, str] = NO_SYNONYMS,
    *,
    form: str = "{}",
    meant: str = "",
) -> InputError:
    """Return the error for a name that is not among the known ones; `what` says what it names ("metric").

    Synonyms are what known names are called elsewhere, in small letters, without blanks and hyphens; `form`
    is how a name is written where it is asked for ("keras:{}"); `meant` is told before a name that is near.
    """
    names = list(known)
    close = nearest_names(given, names, synonyms)
    best = meant or (form.format(close[0]) if close else "")
    guess = f" Did you mean {best!r}?" if best else ""
    return InputError(f"unknown {what} {form.format(shortened(given))!r}.{guess}{listed_names(names, close)}")


def nearest_names(
    given: str, known: Iterable[str], synonyms: Mapping[str, str] = NO_SYNONYMS, *, cutoff: float = 0.5
) -> list[str]:
    """Return the known names that may be meant, the nearest first; case and what parts words do not count."""
    names, plain = list(known), _plain(given)
    likeness = {name: difflib.SequenceMatcher(None, _plain(name), plain).ratio() for name in names}
    if (meant := synonyms.get(plain)) in likeness:
        likeness[str(meant)] = 2.0
    return sorted(
        (name for name in names if likeness[name] >= cutoff), key=likeness.__getitem__, reverse=True
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]+", "", name.casefold())


def listed_names(names: Sequence[str], close: Sequence[str]) -> str:
    """Return the end of a message: the known names, or of many the nearest."""
    if not names:
        return " None is known"
    if len(", ".join(names)) <= MOST_LISTED:
        return f" Known: {', '.join(names)}"
    ordered = [*close, *(name for name in names if name not in close)]
    widths = itertools.accumulate(len(name) + 2 for name in ordered)
    shown = sum(width <= MOST_LISTED for width in widths) or 1
    return f" Known: {', '.join(map(shortened, ordered[:shown]))}, ... ({len(names):,} in all)"


def shortened(text: str) -> str:
    """Return a text that a message repeats, without the middle of one that would fill the screen."""
    return text if len(text) <= MOST_REPEATED else f"{text[:60]} ... {text[-30:]}"


def require_known(
    what: str, given: str, known: Iterable[str], synonyms: Mapping[str, str] = NO_SYNONYMS
) -> None:
    """Raise the error of `unknown_name` unless `given` is one of `known`."""
    names = list(known)
    if given not in names:
        raise unknown_name(what, given, names, synonyms)


def require_count(name: str, value: object, *, least: int = 1) -> int:
    """Return a number, or raise an error unless it is whole, and no larger than random generators take."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) < 2**63:
        raise InputError(f"{name} is {value!r}; expected a whole number >= {least} (and less than 2**63)")
    return int(value)
