"""The written forms ``NAME?option=value&option=value`` and ``SCHEME:(NAME?option=value)?option=value``."""

from __future__ import annotations

import ast
import re
from collections.abc import Container
from itertools import accumulate
from typing import Any

from differentia.errors import InputError


def parse_spec(spec: str, *, texts: Container[str] = ()) -> tuple[str, dict[str, Any]]:
    """Split a spec, such as ``keras:MobileNet?alpha=0.25&weights=none``, into its name and its options.

    A value that is a Python literal (a number, a tuple, a quoted string) becomes that literal, and true,
    false and none (in any case) become ``True``, ``False`` and ``None``; anything else, and the values of
    options in `texts`, which may hold ``&``, stay strings.
    """
    name, _, query = spec.partition("?")
    return name, parse_options(query, spec, texts=texts)


def parse_options(query: str, spec: str, *, texts: Container[str] = ()) -> dict[str, Any]:
    """Return the options of a spec, which stand behind its ``?``."""
    options: dict[str, Any] = {}
    for part in query.split("&") if query else []:
        key, equals, text = part.partition("=")
        if not equals and options and (last := [*options][-1]) in texts:
            options[last] += f"&{part}"
            continue
        if not equals or not key:
            raise InputError(
                f"in {spec!r}: the option {part!r} has no value; "
                "write options as NAME?option=value&option=value"
            )
        if key in options:
            raise InputError(f"in {spec!r}: the option {key!r} is given twice; keep one")
        options[key] = text if key in texts else _parse_value(text)
    return options


def split_nested(spec: str) -> tuple[str, str, str]:
    """Split a spec that holds another, ``SCHEME:INNER?options``, into the scheme, the other and the options.

    What stands before the first ``?`` is the other, unless it is in parentheses, as one with options of its
    own has to be: ``SCHEME:(INNER?its=own)?options``.
    """
    scheme, _, rest = spec.partition(":")
    if rest.startswith("("):
        depth = list(accumulate((character == "(") - (character == ")") for character in rest))
        end = depth.index(0) if 0 in depth else None
        if end is not None and rest[end + 1 : end + 2] in ("", "?"):
            return scheme, rest[1:end], rest[end + 2 :]
        if end is not None and "?" in rest[:end] and (behind := re.fullmatch(r"&?(\w+=.*)", rest[end + 1 :])):
            raise InputError(
                f"{spec}: options behind a parenthesis begin with ?; write "
                f"{scheme}:{rest[: end + 1]}?{behind[1]}"
            )
        # Of a path that has one parenthesis itself, the last is meant.
        outer = re.fullmatch(r"\((?P<inner>.*)\)(\?(?P<query>[^()]*))?", rest) if end is None else None
        if outer:
            return scheme, outer["inner"], outer["query"] or ""
        if end is None:
            raise InputError(
                f"{spec}: a parenthesis is not closed; write {scheme}:(SOURCE?option=value)?option=value, or "
                f"{scheme}:./{rest} for a path that begins with one"
            )
    inner, _, query = rest.partition("?")
    return scheme, inner, query


def in_parentheses(spec: str) -> str:
    """Return a spec as it stands within another."""
    return f"({spec})" if "?" in spec or spec.startswith("(") else spec


def _parse_value(text: str) -> Any:
    words = {"true": "True", "false": "False", "none": "None"}
    try:
        return ast.literal_eval(words.get(text.lower(), text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two of many brackets
        return text
