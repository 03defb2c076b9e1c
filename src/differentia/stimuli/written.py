"""Stimuli written down: the sources from which another process opens the same images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from differentia.errors import InputError
from differentia.stimuli.base import Stimuli
from differentia.stimuli.sources import absolute_source, stimuli_from

#: What `images` takes: a source as on the command line, or paths, one for each image.
Written = str | list[str]


def written_sets(sets: Mapping[str, Stimuli], *, follow_links: bool) -> dict[str, Written]:
    """Return the source of each set, with absolute paths; the paths themselves where a source is not enough.

    Raises
    ------
    InputError
        Images that are in this process only.
    """
    return {name: _written(name, sets, follow_links) for name in sets}


def _written(name: str, sets: Mapping[str, Stimuli], follow_links: bool) -> Written:
    given = sets[name]
    paths = [str(path.absolute()) for path in given.paths or ()]
    others = {other: stimuli for other, stimuli in sets.items() if other != name}
    ways: list[Written] = [absolute_source(given.source, Path.cwd(), others)]
    for way in [*ways, paths] if paths else ways:
        try:
            again = stimuli_from(way, follow_links=follow_links, sets=others)
        except InputError:
            continue
        if again.names == given.names and [str(path) for path in again.paths or ()] == paths:
            return way
    raise InputError(
        f"set {name!r} ({given.source}) can't be opened by other processes; save its images, and name the "
        "folder or the file"
    )
