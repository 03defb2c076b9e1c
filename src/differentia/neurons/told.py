"""What is told of a recording: what was left out of it and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from differentia.errors import warn

if TYPE_CHECKING:
    from differentia.neurons.recording import Recording


class Told(NamedTuple):
    """What was left out, and whether that was asked for: then there is no warning."""

    text: str
    asked: bool = False


def sentences(recording: Recording, told: Iterable[Told]) -> tuple[str, ...]:
    """Return all that was left out of a recording, and warn of what was so unasked."""
    told = tuple(told)
    if unasked := [one.text for one in told if not one.asked]:
        warn("left_out", "; ".join(unasked))
    return (*recording.told, *(one.text for one in told))
