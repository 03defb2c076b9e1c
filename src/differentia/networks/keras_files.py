"""Keras's files of strangers, looked over before Keras reads them.

Keras's safe mode refuses lambdas; it has been got around more than once: by a module or function that the
configuration names and that Keras imports or calls (CVE-2025-1550, CVE-2025-8747), by layers that unpickle or
read files (``TorchModuleWrapper``, ``StringLookup``), by data of a weights file that lies in another file. So
nothing is left to the version of Keras that is installed: what is not known to be harmless is refused.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from differentia.errors import InputError, in_one_line
from differentia.system.file_kinds import ZIP, head_of, kind_of
from differentia.system.hdf5 import SMALL, require_plain_hdf5

#: What a ``.keras`` file holds.
CONFIG_MEMBER, WEIGHTS_MEMBER = "config.json", "model.weights.h5"
MEMBERS = frozenset({"metadata.json", CONFIG_MEMBER, WEIGHTS_MEMBER})

#: In bytes: ten thousand layers take some ten million.
MOST_CONFIG = 64_000_000

#: How many times larger weights may be than their file; compressed, they shrink by less than two.
MOST_GROWTH = 10

#: Layers that run code of the file, unpickle, or read other files; and what is made from them.
REFUSED = (
    *("FeatureSpace", "FlaxLayer", "IndexLookup", "IntegerLookup", "JaxLayer", "Lambda", "StringLookup"),
    *("TFSMLayer", "TextVectorization", "TorchModuleWrapper"),
)

#: What an object of a configuration may be; names in ``keras``, some of which not every version has.
ALLOWED = (
    *("Operation", "Initializer", "DTypePolicy", "dtype_policies.DTypePolicyMap", "Regularizer", "Quantizer"),
    *("constraints.Constraint", "Optimizer", "optimizers.schedules.LearningRateSchedule", "Loss", "Metric"),
    "random.SeedGenerator",
)

#: Where functions are that a configuration may name.
FUNCTIONS = ("activations", "losses", "metrics", "ops")

#: Values that Keras writes as an object; ``__lambda__`` and ``__typespec__`` are not among them.
VALUES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"})


def require_harmless_model(path: Path) -> int:
    """Return the bytes of weights in a ``.keras`` file, which are plain, with layers of Keras or registered.

    Raises
    ------
    InputError
        It is something else, or holds more.
    """
    with _plain_archive(path) as (archive, held):
        try:
            config = json.loads(archive.read(CONFIG_MEMBER))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{CONFIG_MEMBER}: {error}; save the model again with model.save") from error
        if not isinstance(config, dict):
            raise ValueError(f"{CONFIG_MEMBER} is not a JSON object; save the model again with model.save")
        config.pop("compile_config", None)  # which is not read
        _require_known_objects(config)
        return held


def require_harmless_weights(path: Path) -> None:
    """Raise an error unless a file is of a kind of Keras's weights that can hold nothing else."""
    if path.name.endswith(".keras"):
        with _plain_archive(path):
            pass
    elif path.name.endswith((".h5", ".hdf5")):
        _require_compact(require_plain_hdf5(path, str(path)), path)
    else:
        raise InputError(
            f"{path}: is not a file of Keras weights (it is {kind_of(head_of(path))}); "
            "expected a name that ends in .h5 or .keras"
        )


@contextmanager
def _plain_archive(path: Path) -> Iterator[tuple[zipfile.ZipFile, int]]:
    """Give the archive of a ``.keras`` file that holds what Keras writes, and the bytes of its weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            _require_known_members(archive, os.path.getsize(path))
            held = require_plain_hdf5(archive.read(WEIGHTS_MEMBER), f"{path}: {WEIGHTS_MEMBER}")
            _require_compact(held, path)
            yield archive, held
    except (InputError, MemoryError):
        raise
    except ValueError as error:
        raise InputError(f"{path}: can't be read as a Keras model: {error}") from error
    except Exception as error:  # zipfile raises many kinds on broken archives, and on those with a password
        head = head_of(path)
        reason = f"{in_one_line(error)}; it may be cut off or damaged"
        raise InputError(
            f"{path}: can't be read as a Keras model: "
            f"{reason if head.startswith(ZIP) else f'it is {kind_of(head)}'}; save the model with model.save"
        ) from error


def _require_known_members(archive: zipfile.ZipFile, size: int) -> None:
    """Raise an error unless the table of contents of an archive of `size` bytes is as Keras writes it."""
    sizes: dict[str, int] = {}
    for entry in archive.infolist():
        name = entry.filename
        if name not in MEMBERS or name in sizes:
            raise ValueError(
                f"it holds {name!r}{' twice' * (name in sizes)}; expected {', '.join(sorted(MEMBERS))}, each "
                "once: save the model again with model.save"
            )
        sizes[name] = entry.file_size
    for name in (CONFIG_MEMBER, WEIGHTS_MEMBER):
        if name not in sizes:
            raise ValueError(f"it holds no {name}; save the model again with model.save")
    total = sum(sizes.values())
    if sizes[CONFIG_MEMBER] > MOST_CONFIG or total > MOST_GROWTH * size + SMALL:
        raise ValueError(
            f"it would grow to {total:,} bytes: it is damaged, or made to fill the memory; don't use it"
        )


def _require_compact(held: int, path: Path) -> None:
    """Raise an error for weights that are far larger than the file that they are in."""
    size = os.path.getsize(path)
    if held > MOST_GROWTH * size + SMALL:
        raise InputError(
            f"{path}: declares {held:,} bytes of data in a file of {size:,}: it is damaged, or made to fill "
            "the memory; don't use it"
        )


def _require_known_objects(config: Any) -> None:
    """Raise an error where a configuration names what Keras would import, call or unpickle."""
    parts = [config]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if "class_name" in part and (problem := _what_is_refused(part)):
                raise ValueError(
                    f"it names {problem}. If you trust the file, load it with your own code, and name that "
                    "code: package.module:factory"
                )
            parts += part.values()
        elif isinstance(part, list):
            parts += part


def _what_is_refused(part: dict[str, Any]) -> str:
    """Return what is wrong with an object of a configuration; "" if nothing is."""
    name, module = part["class_name"], part.get("module")
    registered = part.get("registered_name", name) or ""
    config = part.get("config")
    if not all(isinstance(text, str) for text in (name, module or "", registered)):
        return f"an object as Keras never does, {name!r}"
    if name in VALUES:
        return ""
    if name == "function":
        if isinstance(config, str) and (_is_registered(config, module) or _is_function(config, module)):
            return ""
        return f"the function {config!r} ({module}), which is not an activation, loss or operation of Keras"
    if _is_registered(registered, module):
        return ""
    if name in REFUSED or name.startswith("__"):
        return f"{name!r}, which can run code that the file holds, or read other files"
    if _is_harmless_class(name, module):
        return ""
    whole = f"{module}.{name}" if module else registered or name
    return f"{whole!r}, which is neither a layer of Keras nor registered by code that was imported"


def _is_registered(name: str, module: str | None) -> bool:
    """Return whether code that the user imported has registered an object of this name, and is named."""
    found = sys.modules["keras"].saving.get_registered_object(name) if name else None
    return found is not None and module in (None, "builtins", found.__module__)


def _is_function(name: str, module: str | None) -> bool:
    """Return whether a function is one of Keras that computes, and nothing else would be imported for it."""
    keras = sys.modules["keras"]
    known = [vars(getattr(keras, holder)).get(name) for holder in FUNCTIONS]
    return (
        (module or "builtins").partition(".")[0] in ("builtins", "keras")
        and name not in ("get", "deserialize", "serialize")
        and any(callable(item) and not isinstance(item, type) for item in known)
    )


def _is_harmless_class(name: str, module: str | None) -> bool:
    """Return whether a class is one of Keras that computes and does nothing else; imports nothing."""

    def classes(paths: Iterable[str]) -> tuple[type, ...]:
        return tuple(item for item in map(_item_of_keras, paths) if isinstance(item, type))

    found = _item_of_keras(f"{module or 'keras.layers'}.{name}")
    allowed = classes(f"keras.{base}" for base in ALLOWED)
    refused = classes(f"keras.layers.{base}" for base in REFUSED)
    return isinstance(found, type) and issubclass(found, allowed) and not issubclass(found, refused)


def _item_of_keras(path: str) -> Any:
    """Return what a dotted path below ``keras`` names, of the modules that are imported; None if nothing."""
    module, _, name = path.rpartition(".")
    root, *parts = module.split(".")
    if root != "keras":
        return None
    if module in sys.modules:
        return vars(sys.modules[module]).get(name)
    holder: Any = sys.modules["keras"]
    for part in parts:
        holder = getattr(holder, part, None)
    return getattr(holder, name, None)
