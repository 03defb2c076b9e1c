"""Weights of a file, put into a network that was built."""

from __future__ import annotations

import logging
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch.nn.parameter import is_lazy

from differentia.errors import InputError, in_one_line, warn
from differentia.networks.keras import is_keras_model
from differentia.networks.keras_files import MOST_GROWTH, require_harmless_weights
from differentia.networks.keras_weights import load_keras_weights
from differentia.networks.misfits import brief, misfit, shown, unfitting
from differentia.networks.weight_files import require_tensors, weights_path
from differentia.system.file_kinds import ZIP, head_of, kind_of
from differentia.system.hdf5 import SMALL

logger = logging.getLogger(__name__)

SAVE = "save them with torch.save(model.state_dict(), 'weights.pt')"
DAMAGED = "it is cut off or damaged; download or save it again"

#: How deep in a checkpoint its state dict may lie, how many it may hold, and how many parts of their names
#: may come before the network's own.
DEEPEST, MOST_DICTS, LONGEST_PREFIX = 3, 10_000, 10

#: How a pickle names the one type of Python's that is of any length that it says, without having its bytes.
BYTE_ARRAY = b"\nbytearray\n"

#: What PyTorch's wrappers add: `torch.compile` anywhere, `AveragedModel` beside the weights.
COMPILED, AVERAGED = "_orig_mod", "n_averaged"


class StateDict(NamedTuple):
    """Tensors by name, the keys in a checkpoint where they lie, and what was taken out of their names."""

    tensors: Mapping[str, Any]
    keys: tuple[str, ...] = ()
    without: str = ""

    @property
    def place(self) -> str:
        """Where they lie, in words: "'net' in 'checkpoint'"."""
        return " in ".join(shown(key) for key in reversed(self.keys)) or "the file itself"

    def in_words(self) -> str:
        """Return where they lie, and what was taken out of their names."""
        of_part = f" of {self.place}" if self.keys else ""
        return of_part + (f", without {shown(self.without)!r} in their names" if self.without else "")


def load_weights(
    spec: str, network: Any, weights: str, *, part: str = "", spare: tuple[str, ...] = ()
) -> None:
    """Put the weights of a file into a network; all of them, and nothing else.

    Parameters
    ----------
    part
        What the network is in a larger one, of which the file may hold the weights.
    spare
        How the names of tensors begin that the file may hold beside those of the network.

    Raises
    ------
    InputError
        There is no such file, nothing of it can be taken without running code, or it does not fit.
    """
    path = weights_path(spec, weights)
    if is_keras_model(network):
        require_harmless_weights(path)
        load_keras_weights(network, path, spec)
        return
    if not isinstance(network, torch.nn.Module):
        raise InputError(
            f"{spec}: this is of type {type(network).__name__}; "
            "weights= goes with a torch.nn.Module or a keras.Model"
        )
    found = [_of_part(one, part) for one in _state_dicts(read_weights(spec, path))]
    try:
        chosen = _chosen(found, network, spec)
        problem = _load(network, chosen.tensors, spare)
    except Exception as error:  # many kinds, of tensors that do not fit
        raise _unloadable(spec, error) from error
    if problem:
        raise unfitting(spec, problem)
    if chosen.keys or chosen.without:
        logger.info("%s: took the weights%s", weights, chosen.in_words())


def read_tensors(spec: str, weights: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a file by their names in it, for a library that knows what they are for."""
    found = next(_state_dicts(read_weights(spec, weights_path(spec, weights))), None)
    if found is None:
        raise _unloadable(spec, InputError(f"it holds no tensors by name; {SAVE}"))
    return {name: tensor for name, tensor in found.tensors.items() if isinstance(tensor, torch.Tensor)}


def read_weights(spec: str, path: Path) -> Any:
    """Return what a file of `torch.save` or safetensors holds; nothing in it is run.

    Raises
    ------
    InputError
        It is of another kind, or nothing of it can be taken without running code.
    """
    require_tensors(spec, path)
    try:
        read = _read(path)
        _require_compact(read, path)
        return read
    except Exception as error:
        raise _unloadable(spec, error) from error


def _unloadable(spec: str, error: Exception) -> InputError:
    reason = error if isinstance(error, InputError) else brief(error)
    return InputError(f"{spec}: the weights can't be loaded: {reason}")


def _read(path: Path) -> Any:
    head = head_of(path)
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        try:
            return load(path.read_bytes())  # not mapped: it may be cut off, or written to, meanwhile
        except (SafetensorError, ValueError) as error:
            kind = kind_of(head)
            found = "cut off or damaged" if kind == "of an unknown kind" else kind
            raise InputError(f"it is {found}; expected safetensors ({in_one_line(error)})") from error
    if head.startswith(ZIP):
        _require_archive(path)
    elif BYTE_ARRAY in path.read_bytes():
        raise InputError(f"it holds a bytearray, which no weights are; {SAVE}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own text says how to run the code that a file holds.
        raise InputError(
            f"it is a pickle of more than tensors{_what_it_names(path)}, which could run code and is not "
            f"read; if you trust it, load it with your own code, and {SAVE}"
        ) from error
    except Exception as error:  # many kinds, on files that are cut off
        raise InputError(DAMAGED) from error


def _require_compact(read: Any, path: Path) -> None:
    """Raise an error where tensors are far larger than their file: one number that is repeated can be."""
    values = (value for found in _state_dicts(read) for value in found.tensors.values())
    tensors = (value for value in values if isinstance(value, torch.Tensor))
    held = sum(tensor.nbytes for tensor in tensors if tensor.layout == torch.strided and not tensor.is_nested)
    size = os.path.getsize(path)
    if held > MOST_GROWTH * size + SMALL:
        raise InputError(
            f"it declares {held:,} bytes of tensors in {size:,}: it is damaged, or made to fill the memory; "
            "don't use it"
        )


def _require_archive(path: Path) -> None:
    """Raise an error unless a zip archive is one that `torch.save` writes, and no larger than its file."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            held, size = sum(entry.file_size for entry in entries), os.path.getsize(path)
            found = _other_archive(archive.namelist())
            pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
            named = held <= size and any(BYTE_ARRAY in archive.read(entry) for entry in pickles)
    except Exception as error:  # zipfile raises many kinds on broken archives
        raise InputError(f"{DAMAGED} ({in_one_line(error)})") from error
    if found:
        raise InputError(f"it is {found}; {SAVE}")
    if held > size:
        raise InputError(
            f"it is an archive of {held:,} bytes in {size:,}, and torch.save compresses nothing: it is "
            f"damaged, or was packed again; if you trust it, unpack it with your own code, and {SAVE}"
        )
    if named:
        raise InputError(f"it holds a bytearray, which no weights are; {SAVE}")


def _other_archive(names: list[str]) -> str:
    """Return what a zip archive is that `torch.save` did not write; "" for one that it wrote."""
    if any(name.endswith("constants.pkl") for name in names):
        return "a TorchScript archive, which holds code"
    if any(name.endswith("data.pkl") for name in names):
        return ""
    if "config.json" in names:
        return "a Keras model"
    return "a NumPy archive" if any(name.endswith(".npy") for name in names) else "a zip archive"


def _what_it_names(path: Path) -> str:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # many kinds, on what is no zip archive
        return ""
    return f" ({shown(names[0])})" if names else ""


def _state_dicts(read: Any) -> Iterator[StateDict]:
    """Yield the mappings of names to tensors in what a file holds, the outermost first."""
    return islice(_mappings(read, (), set()), MOST_DICTS)


def _mappings(read: Any, keys: tuple[str, ...], seen: set[int]) -> Iterator[StateDict]:
    """Yield each such mapping once, by whichever keys a file leads to it."""
    if not isinstance(read, Mapping) or len(keys) > DEEPEST or id(read) in seen:
        return
    seen.add(id(read))
    if all(isinstance(key, str) for key in read) and any(isinstance(v, torch.Tensor) for v in read.values()):
        yield StateDict(read, keys)
    for key, value in read.items():
        yield from _mappings(value, (*keys, repr(key)), seen)


def _of_part(found: StateDict, part: str) -> StateDict:
    """Return the tensors of a part of a network by their names in it; all, where none is of such a part."""
    inside = {
        behind: tensor
        for name, tensor in found.tensors.items()
        if part and (behind := f".{name}".partition(f".{part}.")[2])
    }
    return found._replace(tensors=inside) if inside else found


def _chosen(found: list[StateDict], network: torch.nn.Module, spec: str) -> StateDict:
    """Return the state dict whose names are nearest to those of a network, under the network's names."""
    if not found:
        raise InputError(f"it holds no tensors by name; {SAVE}")
    own = {_plain(name): name for name in network.state_dict()}
    modules = {_plain(name): name for name, _ in network.named_modules()}
    candidates = [named for one in found for named in _named(one, own, modules)]
    strangers = [len(own.keys() ^ {_plain(name) for name in one.tensors}) for one in candidates]
    best = candidates[strangers.index(min(strangers))]
    alike = dict.fromkeys(one.place for one in candidates if one.tensors.keys() == best.tensors.keys())
    if len(alike) > 1:
        others = ", ".join(place for place in alike if place != best.place)
        text = (
            f"{spec}: took the weights of {best.place}; those of {others} fit too: save the ones you mean in "
            "a file of their own"
        )
        warn("other", text)
    return best


def _named(found: StateDict, own: Mapping[str, str], modules: Mapping[str, str]) -> Iterator[StateDict]:
    """Yield a state dict as it is, and without what its names have in common at their start."""
    tensors = {name: tensor for name, tensor in found.tensors.items() if name != AVERAGED}
    columns = islice(zip(*(name.split(".")[:-1] for name in tensors), strict=False), LONGEST_PREFIX)
    common = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, columns)]
    for length in range(len(common) + 1):
        prefix = "".join(f"{part}." for part in common[:length])
        given = tensors if length else found.tensors
        renamed = OrderedDict(
            (own.get(_plain(name[len(prefix) :]), name[len(prefix) :]), given[name]) for name in given
        )
        _keep_versions(renamed, found.tensors, prefix, modules)
        if len(renamed) == len(given):
            compiled = f"{COMPILED}." if any(f"{COMPILED}." in name for name in given) else ""
            yield StateDict(renamed, found.keys, prefix + compiled * (compiled not in prefix))


def _keep_versions(
    renamed: OrderedDict[str, Any], given: Mapping[str, Any], prefix: str, modules: Mapping[str, str]
) -> None:
    """Give a state dict the versions of modules that PyTorch wrote beside another, under the new names."""
    versions = getattr(given, "_metadata", None)
    if isinstance(versions, Mapping):
        below = {
            f"{name}."[len(prefix) :]: kept
            for name, kept in versions.items()
            if f"{name}.".startswith(prefix)
        }
        plain = {_plain(name.removesuffix(".")): kept for name, kept in below.items()}
        renamed._metadata = OrderedDict(  # type: ignore[attr-defined]
            (modules.get(name, name), kept) for name, kept in plain.items()
        )


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != COMPILED)


def _load(network: torch.nn.Module, given: Mapping[str, Any], spare: tuple[str, ...]) -> str:
    """Put tensors into a network, and return what does not fit; "" if all does."""
    own, reshaped = network.state_dict(), {}
    try:
        outcome = network.load_state_dict(given, strict=False)
    except RuntimeError:
        reshaped = _reshaped(own, given)
        if not reshaped:
            raise
        rest = OrderedDict((name, tensor) for name, tensor in given.items() if name not in reshaped)
        _keep_versions(rest, given, "", {})
        outcome = network.load_state_dict(rest, strict=False)
    missing = [
        name for name in outcome.missing_keys if name not in reshaped and not _is_filled(name, own, given)
    ]
    unexpected = [name for name in outcome.unexpected_keys if not name.startswith(spare)]
    return misfit(missing, unexpected, reshaped)


def _reshaped(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Return the tensors of another shape than the network's, and both shapes."""
    return {
        name: f"{tuple(given[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if isinstance(given.get(name), torch.Tensor)
        and not is_lazy(tensor)
        and given[name].shape != tensor.shape
    }


def _is_filled(name: str, own: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Return whether a tensor lies in the memory of one that was given: of tied ones, a file may hold one."""
    if not isinstance(own[name], torch.Tensor) or is_lazy(own[name]):
        return False
    storage = own[name].untyped_storage()
    return storage.data_ptr() != 0 and any(
        other in given
        and tensor.untyped_storage().data_ptr() == storage.data_ptr()
        and tensor.nbytes == storage.nbytes()
        for other, tensor in own.items()
        if isinstance(tensor, torch.Tensor) and not is_lazy(tensor)
    )
