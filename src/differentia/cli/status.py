"""What a folder's recordings hold, what is missing of them, and who writes to them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from differentia.cli.measuring import STORE
from differentia.cli.output import print_json, print_paragraph, print_table, print_text
from differentia.cli.tables import Column
from differentia.errors import InputError, in_one_line
from differentia.system.files import user_path
from differentia.system.locking import Holder, holders
from differentia.system.machine import written_size
from differentia.system.showing import counted

if TYPE_CHECKING:
    from differentia.recording.store.contents import QuantityContents, RecordingContents


def print_status(given: str, *, as_json: bool) -> None:
    """Print what is known of an output folder, or of a store itself, without writing to it."""
    try:
        _print_status(given, as_json=as_json)
    except OSError as error:
        reason = error.strerror or in_one_line(error)
        raise InputError(
            f"{error.filename or given}: can't be read ({reason}); ask its owner, or name another folder"
        ) from error


def _print_status(given: str, *, as_json: bool) -> None:
    from differentia.recording.store.contents import contents_of
    from differentia.recording.store.disk import is_store

    folder = user_path(given)
    if folder.is_file():
        raise InputError(f"{given}: is a file; name the folder of a run, or its {STORE}")
    if not folder.is_dir():
        raise InputError(f"{given}: no such folder; name the folder of a run, or its {STORE}")
    store = folder if is_store(folder) else folder / STORE
    who = [holder for place in dict.fromkeys((folder, store)) for holder in holders(place)]
    if not is_store(store) and not who:
        raise InputError(f"{given}: holds no {STORE}, and is none; name the folder of a run that keeps one")
    found = contents_of(store)
    if as_json:
        recordings, users = [_recording_facts(one) for one in found], [_holder_facts(one) for one in who]
        print_json({"store": str(store), "recordings": recordings, "holders": users})
        return
    size = written_size(sum(one.size for one in found))
    files = counted(sum(one.files for one in found), "file")
    print_text(f"{store}: {counted(len(found), 'recording')}, {size} in {files}")
    for one in found:
        print_text()
        _print_recording(one)
    for line in _in_use(who):
        print_text(line)


def _recording_facts(one: RecordingContents) -> dict[str, Any]:
    facts = asdict(one)
    times = {name: _time(facts[name]).isoformat(timespec="seconds") for name in ("begun", "changed")}
    unfinished = [{**asdict(of), "path": str(of.path)} for of in one.unfinished]
    return {**facts, **times, "path": str(one.path), "about": _about(one), "unfinished": unfinished}


def _about(one: RecordingContents) -> dict[str, Any]:
    """Return what a recording says of itself, but not its network's responses to fixed images."""
    return {name: value for name, value in one.about.items() if name != "behaviour"}


def _holder_facts(one: Holder) -> dict[str, Any]:
    times = {name: getattr(one, name).isoformat(timespec="seconds") for name in ("since", "renewed")}
    return {**asdict(one), **times}


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds).astimezone()


def _print_recording(one: RecordingContents) -> None:
    if not one.about:
        print_paragraph(f"{one.path}: is damaged, or of another version; it is not used.")
        return
    name, key = one.about.get("name", "a network"), one.path.name
    print_table(
        f"{name} ({key}): images",
        Column(["set"], [of.name for of in one.sets], text=True),
        [
            Column(["recorded"], [f"{of.kept:,}" for of in one.sets]),
            Column(["missing"], [f"{of.missing:,}" for of in one.sets]),
            Column(["unreadable"], [f"{of.unreadable:,}" for of in one.sets]),
        ],
    )
    print_text()
    if one.quantities:
        _print_layers(one)
        print_text()
    print_paragraph(*_sentences(one))


def _print_layers(one: RecordingContents) -> None:
    """Print how many units there are of each layer, by kind, and of how many images."""
    kinds = list(dict.fromkeys(map(_kind, one.quantities)))
    layers = list(dict.fromkeys(of.layer for of in one.quantities))
    held = {(of.layer, _kind(of)): of for of in one.quantities}

    def numbers(layer: str, kind: str) -> str:
        of = held.get((layer, kind))
        return f"{of.columns:,}" if of else "-"

    def least(layer: str) -> int:
        of_layer = [of for of in one.quantities if of.layer == layer]
        return min(of.images for of in [of for of in of_layer if of.of_all] or of_layer)

    print_table(
        "Numbers of each image, and how many images have all of them",
        Column(["layer"], [layer or "-" for layer in layers], text=True),
        [
            *(Column([kind], [numbers(layer, kind) for layer in layers]) for kind in kinds),
            Column(["images"], [f"{least(layer):,}" for layer in layers]),
        ],
    )


def _kind(of: QuantityContents) -> str:
    """Return what a column is called: one for all maps, one for units whoever ranked them."""
    return of.what if of.of_all else of.what.partition("-")[0]


def _sentences(one: RecordingContents) -> Iterator[str]:
    missing = sum(of.missing for of in one.sets)
    partly = one.images - min(
        (of.images for of in one.quantities if of.of_all), default=one.images * bool(one.quantities)
    )
    if missing or partly:
        parts = [f"{counted(missing, 'image')} to be recorded"] * bool(missing)
        parts += [f"{counted(partly, 'image')} of which something is missing"] * bool(partly)
        yield f"There are {' and '.join(parts)}."
    else:
        yield "Nothing is missing."
    if earlier := sum(of.earlier for of in one.sets):
        yield (
            f"{counted(earlier, 'image')} of sets that grew count as there, as they were recorded before: "
            "the next part that has them looks whether they have changed."
        )
    if one.tasks > 1:
        yield f"{one.tasks_begun:,} of {counted(one.tasks, 'task')} are begun or done."
    if left := [of.size for of in one.unfinished if of.left]:
        files = f"{counted(len(left), 'file')} ({written_size(sum(left))})"
        yield f"Killed runs left {files}, which whoever goes on takes over."
    yield f"Last written {_time(one.changed):%Y-%m-%d %H:%M}."


def _in_use(who: Sequence[Holder]) -> Iterator[str]:
    """Yield who writes, and what others have left."""
    yield ""
    if not any(one.alive for one in who):
        yield "Nobody writes to it."
    each = {(one.host, one.pid, one.share, one.alive): one for one in who}  # a run holds folder and store
    for one in sorted(each.values(), key=lambda one: not one.alive):
        does = f"{one.share}, " if one.share else ""
        said = f"last sign of life {_ago(one.renewed)}"
        state = said if one.alive else f"has ended, its lease is left ({said})"
        yield f"Process {one.pid} on host {one.host}: {does}since {one.since:%Y-%m-%d %H:%M}; {state}"


def _ago(when: datetime) -> str:
    seconds = max(0, round(time.time() - when.timestamp()))
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"
