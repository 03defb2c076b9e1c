"""HDF5 files of strangers, looked over before anything is read: weights, results, images."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from differentia.errors import InputError, has_control_characters, in_one_line
from differentia.system.file_kinds import HDF5, HEAD, head_of, kind_of
from differentia.system.hdf5_heaps import HeapsLookedAt, require_whole_heaps
from differentia.system.machine import free_memory, is_bomb, written_size
from differentia.system.regular import NotRegularError

#: Deflate shrinks nothing by more than about 1032 times (https://zlib.net/zlib_tech.html).
MOST_DEFLATED = 1100

#: In bytes: so much may be declared in a file of any size.
SMALL = 10_000_000


def open_hdf5(file: str | os.PathLike[str] | bytes, where: str, **options: Any) -> Any:
    """Open an HDF5 file, or its bytes, in which no heap can keep the library busy for ever.

    Raises
    ------
    OSError
        It is no HDF5 file, or, as `NotRegularError`, no regular file; h5py raises other kinds on broken ones.
    InputError
        One of its heaps is damaged, which may be found when it is read.
    """
    import h5py

    return h5py.File(HeapsLookedAt(file, where), "r", **options)


def require_plain_hdf5(file: str | os.PathLike[str] | bytes, where: str, *, form: str = "HDF5") -> int:
    """Return the bytes that an HDF5 file declares, where it holds all its data itself, and memory suffices.

    Its groups, datasets, links and heaps are looked at; no data is read. HDF5 can have a dataset lie in
    another file, anywhere on the machine, and can declare one of any size that takes no room in the file.
    """
    size = len(file) if isinstance(file, bytes) else os.path.getsize(file)
    limit = MOST_DEFLATED * size + SMALL
    try:
        with open_hdf5(file, where) as opened:
            declared = _declared(opened, where)
        require_whole_heaps(file, where)  # whatever opens it next
    except (InputError, MemoryError):
        raise
    except NotRegularError as error:
        raise InputError(f"{where}: can't be read as {form} ({error}); name a file") from error
    except Exception as error:  # h5py raises many kinds on broken files
        raise unreadable_hdf5(file, where, error, form=form) from error
    if declared > limit:
        raise _too_much_declared(declared, where)
    free = free_memory()
    if declared > free:
        raise InputError(
            f"{where}: needs {declared / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free; "
            "end other programs, or read it on a larger machine"
        )
    return declared


def unreadable_hdf5(
    file: str | os.PathLike[str] | bytes, where: str, error: Exception, *, form: str = "HDF5"
) -> InputError:
    """Return the error for a file that h5py can't read: it is something else, or it is damaged."""
    head = file[:HEAD] if isinstance(file, bytes) else head_of(Path(file))
    if head.startswith(HDF5):
        reason = f"({in_one_line(error)}); it may be cut off or damaged"
    else:
        reason = f"(it is {kind_of(head)})"
    return InputError(f"{where}: can't be read as {form} {reason}")


def _too_much_declared(declared: int, where: str) -> InputError:
    return InputError(
        f"{where}: declares {declared:,} bytes of data, far more than a file of its size can hold; "
        "it is damaged, or made to fill the memory: don't use it"
    )


def require_own_data(opened: Any, where: str) -> None:
    """Raise an error where anything of an open file lies elsewhere, or a link in it leads nowhere.

    Its links are looked at, and no data is read. Soft links, which name another place of the same file, are
    allowed: where no link leads to another file, none of them can.
    """
    import h5py

    soft: list[str] = []
    for place, found in _walked(opened):
        if has_control_characters(place):
            raise InputError(
                f"{where}: holds {place!r}, a name with control characters; don't use it, or have it renamed"
            )
        if found is None and isinstance(opened.get(place, getlink=True), h5py.SoftLink):
            soft.append(place)
        elif found is None:
            raise InputError(
                f"{where}: {place} is a link to another file, which is not followed; "
                "use a file that holds all its data itself"
            )
        elif _is_dataset(found):
            _require_inside(found, place, where)
    for place in soft:
        try:
            _ = opened[place]
        except (KeyError, OSError, RuntimeError, ValueError) as error:
            target = opened.get(place, getlink=True).path
            raise InputError(
                f"{where}: {place} is a link to {target!r}, where nothing is found; the file is damaged, or "
                "is a part of another: use a whole one"
            ) from error


def plain_datasets(opened: Any) -> dict[str, Any]:
    """Return the datasets of an open file by their paths, without those that lie elsewhere."""
    return {
        place.removeprefix("/"): found
        for place, found in _walked(opened)
        if _is_dataset(found) and not (found.external or found.is_virtual)
    }


def require_plausible_size(dataset: Any, path: Path, where: str) -> None:
    """Raise an error for a dataset that a file of its size can't hold, or that can't be read in parts."""
    declared = _size(dataset.shape, dataset)
    if declared > MOST_DEFLATED * os.path.getsize(path) + SMALL:
        raise _too_much_declared(declared, where)
    chunk, free = _size(dataset.chunks or (), dataset), free_memory()
    if is_bomb(chunk, os.path.getsize(path)):
        raise InputError(
            f"{where}: is stored in chunks of {written_size(chunk)}, in a file of "
            f"{written_size(os.path.getsize(path))}; if you trust it, write it in smaller chunks"
        )
    if chunk > free:
        raise InputError(
            f"{where}: is stored in chunks of {written_size(chunk)}, which have to be read whole, and "
            f"{written_size(free)} of memory are free; write it in smaller chunks"
        )


def _size(shape: Sequence[int] | None, dataset: Any) -> int:
    return math.prod(shape or ()) * int(dataset.dtype.itemsize)


def _is_dataset(found: Any) -> bool:
    import h5py

    return isinstance(found, h5py.Dataset)


def _declared(root: Any, where: str) -> int:
    """Return the bytes that a file declares, by every name under which they can be read."""
    import h5py

    total = 0
    for place, found in _walked(root):
        if found is None:
            raise InputError(
                f"{where}: {place} is a link to another place or file, which is not followed; "
                "use a file that holds all its data itself"
            )
        if _is_dataset(found):
            _require_inside(found, place, where)
            if found.dtype.hasobject and h5py.check_string_dtype(found.dtype) is None:
                raise InputError(
                    f"{where}: {place} holds objects ({found.dtype}); expected numbers or text: "
                    "use a file that was written by the program that you expect it from"
                )
            total += _size(found.shape, found)
    return total


def _require_inside(dataset: Any, place: str, where: str) -> None:
    if dataset.external or dataset.is_virtual:
        raise InputError(
            f"{where}: {place} lies in another file, which is not read; "
            "use a file that holds all its data itself"
        )


def _walked(root: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a file holds, by its path; None for a link, which is not followed."""
    import h5py

    groups, seen = [("", root)], {h5py.h5o.get_info(root.id).addr}
    while groups:
        path, group = groups.pop()
        for name in group:
            place = f"{path}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                yield place, None
                continue
            found = group[name]
            if isinstance(found, h5py.Group):
                address = h5py.h5o.get_info(found.id).addr
                if address not in seen:
                    seen.add(address)
                    groups.append((place, found))
            yield place, found
