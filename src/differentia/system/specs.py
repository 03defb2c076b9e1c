"""The written form ``NAME?option=value&option=value`` that networks and stimuli share."""

from __future__ import annotations

import ast
from collections.abc import Container
from typing import Any

from differentia.errors import InputError


def parse_spec(spec: str, *, texts: Container[str] = ()) -> tuple[str, dict[str, Any]]:
    """Split a spec, such as ``keras:MobileNet?alpha=0.25&weights=none``, into its name and its options.

    A value that is a Python literal (a number, a tuple, a quoted string) becomes that literal, and true,
    false and none (in any case) become ``True``, ``False`` and ``None``; anything else, and the values of
    options in `texts`, which may hold ``&``, stay strings.
    """
    name, _, query = spec.partition("?")
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
    return name, options


def _parse_value(text: str) -> Any:
    words = {"true": "True", "false": "False", "none": "None"}
    try:
        return ast.literal_eval(words.get(text.lower(), text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two of many brackets
        return text
