"""What of a file's weights does not fit a network, in one line that is short enough to be read."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence

from differentia.errors import InputError
from differentia.system.machine import written_size

#: In characters, of a name out of a file, and of another library's error.
LONGEST_NAME, LONGEST_REASON = 50, 160

#: How PyTorch says on a CPU that there is no memory, and NumPy.
_NO_MEMORY = re.compile(r"you tried to allocate (?P<bytes>\d+) bytes|Unable to allocate (?P<size>[\d.]+ \w+)")


def misfit(missing: Sequence[str], unexpected: Sequence[str], reshaped: Mapping[str, str]) -> str:
    """Return how many tensors do not fit, and the first of each kind; "" if all fit.

    Those of another shape come with both shapes in words.
    """
    kinds = {
        "missing": [*map(shown, missing)],
        "unexpected": [*map(shown, unexpected)],
        "of another shape": [f"{shown(name)} is {both}" for name, both in reshaped.items()],
    }
    parts = []
    for kind, names in kinds.items():
        if names:
            are, first = ("are", f"{names[0]}, ...") if len(names) > 1 else ("is", names[0])
            parts.append(f"{len(names):,} {are} {kind} ({first})")
    return f"of the tensors, {', '.join(parts)}" if parts else ""


def unfitting(spec: str, problem: str) -> InputError:
    """Return the error for weights that are not those of the network that a spec names."""
    return InputError(
        f"{spec}: the weights do not fit: {problem}; name its own weights, or change its options"
    )


def shown(name: str) -> str:
    """Return a name out of a file, so that a terminal can show it."""
    name = name if len(name) <= LONGEST_NAME else f"{name[:30]}...{name[-17:]}"
    return name if name.isprintable() else ascii(name)


def lack_of_memory(error: BaseException) -> str:
    """Return in words that there was too little memory, where that is what an error says; "" elsewhere."""
    found = _NO_MEMORY.search(str(error))
    if not isinstance(error, MemoryError) and (found is None or not isinstance(error, RuntimeError)):
        return ""
    asked = found and (found["size"] or written_size(int(found["bytes"])))
    return "there is not enough memory" + (f" for {asked} more" if asked else "")


def brief(error: BaseException) -> str:
    """Return what another library's error says, in one line, without what would fill the screen.

    PyTorch's error for a pickle says how to run the code in it, which is not passed on.
    """
    if isinstance(error, pickle.UnpicklingError):
        return "a pickle of more than tensors, which could run code, is not read"
    if lacking := lack_of_memory(error):
        return lacking
    text = " ".join(str(error).split()) or type(error).__name__
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."
