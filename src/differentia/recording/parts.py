"""Parts: several processes, on one machine or many, record one network's responses to the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from differentia.errors import InputError
from differentia.recording.division import part_of
from differentia.recording.options import PartKeywords, RecordOptions
from differentia.recording.passes import PartRecorded, Passes
from differentia.recording.record import held_store, make_ready
from differentia.stimuli.presentation import warn_of_caveats
from differentia.system.fields import accept, takes
from differentia.system.progress import shown_progress


@takes(RecordOptions, keywords=PartKeywords)
def record_part(
    network: Any, sets: Mapping[str, Any], part: str | Sequence[int], **options: Unpack[PartKeywords]
) -> PartRecorded:
    """Record one of several parts of a network's responses to images, into a store that all parts share.

    Parts may be recorded at the same time, in any order, and again; what was recorded of one is not recorded
    again. Then `record` or `measure` with the same store goes on from them, as from a run of its own. A part
    decodes its own images only, and two to look at the network. Which images it has is fixed by their names
    when the first part begins. Units that are ranked (``"top"``, ``"top_variance"``) take two rounds: when
    all parts are recorded, all are run again. The pass is compiled with ``compile="always"`` only.

    Parameters
    ----------
    network, sets
        As for `record`.
    part
        ``"3/10"``, or (3, 10): the third of ten.
    {options}

    Returns
    -------
    PartRecorded
        How many images were recorded, and how many were there already.

    Raises
    ------
    InputError
        Something that was given can't be used; an image has changed since a part was recorded.
    RecordingError
        The pass failed, or gave a NaN or an infinity; units are to be ranked, and some part has yet to be
        recorded for it.
    StorageError
        The store can't be written or read.
    FolderInUseError
        A run that is no part writes to the store.
    """
    return record_part_with(network, sets, part, accept(RecordOptions, options))


def record_part_with(
    network: Any, sets: Mapping[str, Any], part: str | Sequence[int], options: RecordOptions
) -> PartRecorded:
    """Record a part, with options that were accepted."""
    wanted = part_of(part)
    if options.store is None:
        raise InputError(f"{wanted} is recorded into a store, but no store= was named; name one")
    if options.client is not None:
        raise InputError(
            f"the workers of client= record all parts, and not {wanted} alone; leave one of them out"
        )
    if options.fresh:
        raise InputError(
            "fresh=True (--fresh) does not go with a part: other parts may be recorded already; remove the "
            "store, and then begin the parts"
        )
    if not options.record:
        raise InputError(
            "record=False (--no-record) does not go with a part, which only records; leave one out"
        )
    with shown_progress(options.progress) as progress:
        ready = make_ready(network, sets, replace(options, progress=progress))
        with held_store(ready, wanted) as store:
            recorded = Passes(ready.show, ready.plan, store, ready.budget, part=wanted).record_part(wanted)
    warn_of_caveats(ready.show.stimuli)
    return recorded
