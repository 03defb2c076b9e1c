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
from pathlib import Path
from typing import Any

from differentia.errors import InputError
from differentia.system.hdf5 import SMALL, require_plain_hdf5

#: What a ``.keras`` file holds.
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = frozenset({"metadata.json", CONFIG, WEIGHTS})

#: In bytes: ten thousand layers take some ten million.
MOST_CONFIG = 64_000_000

#: How many times larger a file may become that was compressed; weights shrink by less than two.
MOST_GROWTH = 100

#: Layers that run code of the file, unpickle, or read other files; and what is made from them.
REFUSED = (
    "FeatureSpace",
    "FlaxLayer",
    "IndexLookup",
    "IntegerLookup",
    "JaxLayer",
    "Lambda",
    "StringLookup",
    "TFSMLayer",
    "TextVectorization",
    "TorchModuleWrapper",
)

#: What an object of a configuration may be; names in ``keras``, some of which not every version has.
ALLOWED = (
    "Operation",
    "Initializer",
    "DTypePolicy",
    "dtype_policies.DTypePolicyMap",
    "Regularizer",
    "Quantizer",
    "constraints.Constraint",
    "Optimizer",
    "optimizers.schedules.LearningRateSchedule",
    "Loss",
    "Metric",
    "random.SeedGenerator",
)

#: Where functions are that a configuration may name.
FUNCTIONS = ("activations", "losses", "metrics", "ops")

#: Values that Keras writes as an object; ``__lambda__`` and ``__typespec__`` are not among them.
VALUES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"})


def require_harmless_model(path: Path) -> None:
    """Raise an error unless a ``.keras`` file holds plain weights, and layers of Keras or registered ones."""
    with _archive(path) as archive:
        _require_plain_weights(archive, path)
        try:
            config = json.loads(archive.read(CONFIG))
        except (ValueError, RecursionError, OSError, RuntimeError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: can't be read as a Keras model: {CONFIG}: {error}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: can't be read as a Keras model: {CONFIG} holds no object")
    config.pop("compile_config", None)  # which is not read
    _require_known_objects(config, path)


def require_harmless_weights(path: Path) -> None:
    """Raise an error unless a file is of a kind of Keras's weights that can hold nothing else."""
    if path.name.endswith(".keras"):
        with _archive(path) as archive:
            _require_plain_weights(archive, path)
    elif path.name.endswith((".h5", ".hdf5")):
        require_plain_hdf5(path, str(path))
    else:
        raise InputError(f"{path}: is no file of Keras weights; expected a name that ends in .h5 or .keras")


def _archive(path: Path) -> zipfile.ZipFile:
    """Return the archive of a ``.keras`` file, once its table of contents is as Keras writes it."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: can't be read as a Keras model: {error}; it may be cut off") from error
    try:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if odd := sorted(set(names) - MEMBERS) or [name for name in names if names.count(name) > 1]:
            raise InputError(
                f"{path}: can't be read as a Keras model: it holds {odd[0]!r}, which it should not, or "
                f"twice; expected {', '.join(sorted(MEMBERS))}. Save the model again with model.save"
            )
        if lacking := sorted({CONFIG, WEIGHTS} - set(names)):
            raise InputError(f"{path}: can't be read as a Keras model: it holds no {lacking[0]}")
        size = sum(entry.file_size for entry in entries)
        if (
            archive.getinfo(CONFIG).file_size > MOST_CONFIG
            or size > MOST_GROWTH * os.path.getsize(path) + SMALL
        ):
            raise InputError(
                f"{path}: can't be read as a Keras model: it would grow to {size:,} bytes; it is damaged, or "
                "made to fill the memory: don't use it"
            )
    except BaseException:
        archive.close()
        raise
    return archive


def _require_plain_weights(archive: zipfile.ZipFile, path: Path) -> None:
    entry = archive.getinfo(WEIGHTS)
    try:
        with archive.open(entry) as file:
            require_plain_hdf5(file, f"{path}: {WEIGHTS}", size=entry.file_size)
    except (RuntimeError, OSError, zipfile.BadZipFile) as error:  # the first of a password
        raise InputError(f"{path}: can't be read as a Keras model: {WEIGHTS}: {error}") from error


def _require_known_objects(config: Any, path: Path) -> None:
    """Raise an error where a configuration names what Keras would import, call or unpickle."""
    parts = [config]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if "class_name" in part and (problem := _what_is_refused(part)):
                raise InputError(
                    f"{path}: can't be read as a Keras model: it names {problem}. If you trust it, load it "
                    "by your own code, and name that: package.module:factory"
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
        return f"an object in a way that Keras does not, {name!r}"
    if name in VALUES:
        return ""
    if name == "function":
        if isinstance(config, str) and (_is_registered(config, module) or _is_function(config, module)):
            return ""
        return f"the function {config!r} ({module}), which is no activation, loss or operation of Keras"
    if _is_registered(registered, module):
        return ""
    if name in REFUSED or name.startswith("__"):
        return f"{name!r}, which can run code that the file holds, or read other files"
    if _is_harmless_class(name, module):
        return ""
    whole = f"{module}.{name}" if module else registered or name
    return f"{whole!r}, which is no layer of Keras, nor registered by code that was imported"


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
    keras = sys.modules["keras"]
    found = _item_of_keras(f"{module or 'keras.layers'}.{name}")
    allowed = tuple(
        base for base in (_item_of_keras(f"keras.{base}") for base in ALLOWED) if isinstance(base, type)
    )
    refused = tuple(
        base for base in (getattr(keras.layers, base, None) for base in REFUSED) if isinstance(base, type)
    )
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
