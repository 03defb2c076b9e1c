"""Configurations of networks in JSON, looked over before a library makes anything of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from differentia.errors import InputError
from differentia.networks.misfits import brief, shown
from differentia.system.files import read_text

#: Libraries make lists and dictionaries as long as a configuration says, before there is any tensor.
MOST = 2**20

#: Of whole numbers that count nothing: an angle's base, how long a text may be.
NO_COUNT = re.compile("theta|position|length|seed")


def read_config(spec: str, path: Path) -> dict[str, Any]:
    """Return what a configuration says; nothing, where there is no file.

    Raises
    ------
    InputError
        It is no file or no JSON object, or a count in it is larger than any network's.
    """
    if not path.exists():
        return {}
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        read = json.loads(read_text(path))
        if not isinstance(read, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{spec}: {path} is damaged ({brief(error)}); fetch it again") from error
    parts: list[tuple[str, Any]] = [("", read)]
    while parts:
        key, value = parts.pop()
        if isinstance(value, dict):
            parts += value.items()
        elif isinstance(value, list):
            parts += [(key, one) for one in value]
        elif type(value) is int and abs(value) > MOST and not NO_COUNT.search(key):
            raise InputError(
                f"{spec}: {path} says that {shown(key)} is {shown(str(value))}; expected at most {MOST:,}"
            )
    return read
