"""Recorded responses in files: NumPy archives, netCDF and Zarr, as the arrays that are measured."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from differentia.errors import InputError, in_one_line
from differentia.recording.labelled import Labelled
from differentia.recording.responses import ALL, Matrices, labelled_matrices, values_of
from differentia.system.file_kinds import ZIP, head_of, kind_of
from differentia.system.files import user_path
from differentia.system.hdf5 import require_plain_hdf5
from differentia.system.machine import free_memory, written_size
from differentia.system.turns import in_turn
from differentia.system.zarr_folders import require_plain_zarr

if TYPE_CHECKING:
    import xarray as xr

    #: A path, or what xarray holds.
    ResponsesSource: TypeAlias = str | os.PathLike[str] | xr.Dataset | xr.DataTree

#: Dimensions of a variable, and what names the parts of it: a dimension of its own, or a coordinate along one
#: of these two.
STIMULUS, NEURON = "stimulus", "neuron"
SET, POPULATION = "set", "population"

#: How an archive of no arrays begins.
EMPTY_ZIP = b"PK\x05\x06"

#: What is yielded of a file: set, population, values (stimulus, neuron).
_Parts = Iterator[tuple[str, str, Any]]


def read_responses(source: ResponsesSource) -> Matrices:
    """Return recorded responses as arrays, {set: {population: (n_stimuli, n_neurons)}}.

    Parameters
    ----------
    source
        The path of a NumPy archive (``.npz``), a netCDF file (``.nc``) or a Zarr folder (``.zarr``); or a
        Dataset or DataTree of xarray.

    Raises
    ------
    InputError
        There is no such file, it is damaged, or what it holds are no responses: dimensions of other names, a
        NaN, other neurons in another set. Nothing in a file is run.

    Notes
    -----
    An ``.npz`` holds one array (stimulus, neuron) for each set, named ``movie``, or for each set and
    population, named ``movie/V1``.

    NetCDF, Zarr and xarray hold variables with the dimensions ``stimulus`` and ``neuron``, in either order;
    ``stimulus_movie`` and ``neuron_V1`` are taken for them too, since one dimension has one length. A group
    is a set; or a dimension ``set``, or a coordinate ``set`` along the stimuli, names the sets; else each
    variable is one. A coordinate ``population`` along the neurons, or a dimension, names the populations;
    else each variable is one, unless variables are the sets: then there is one population, "all". Files of
    netCDF and Zarr give groups and variables in the order of their names. Neurons with labels, a coordinate
    along their dimension, are in one order in all sets; so are the stimuli of a set in all populations.
    """
    return values_of(read_labelled_responses(source))


def read_labelled_responses(source: ResponsesSource) -> dict[str, dict[str, Labelled]]:
    """Return recorded responses as `read_responses` does, with the labels of stimuli and neurons."""
    if isinstance(source, str | os.PathLike):
        where, parts = str(source), _read(user_path(source), str(source))
    else:
        where, parts = f"the {type(source).__name__}", _of_groups(_groups_of(source))
    arrays: dict[str, dict[str, Any]] = {}
    try:
        for set_name, population, values in parts:
            if population in arrays.setdefault(set_name, {}):
                raise InputError(f"set {set_name!r} has population {population!r} twice; give each once")
            arrays[set_name][population] = values
        return labelled_matrices(arrays, place=POPULATION)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _read(path: Path, where: str) -> _Parts:
    """Return what a file or folder holds, which the ending of its name tells how to read."""
    suffix = path.suffix.lower()
    if suffix == ".nwb":
        raise InputError(
            f"{where}: is a recording, and no responses; measure it with differentia neurons, or cut them "
            "out of it: stimulus_responses(read_recording(path), by=...)"
        )
    if suffix not in READERS:
        raise InputError(
            f"{where}: is in no format that is read; expected {', '.join(READERS)}: "
            "numpy.savez(path, **arrays) writes the first"
        )
    what = "folder" if suffix == ".zarr" else "file"
    if not (path.is_dir() if what == "folder" else path.is_file()):
        other = "file" if what == "folder" else "folder"
        found = f"is a {other}" if path.exists() else f"no such {what}"
        raise InputError(f"{where}: {found}; expected a {what} of responses")
    return READERS[suffix](path, where)


def _unreadable(where: str, form: str, error: Exception) -> InputError:
    return InputError(
        f"{where}: can't be read as {form} ({in_one_line(error) or type(error).__name__}); it may be cut off "
        "or damaged: write it again"
    )


def _require_memory(size: int, where: str) -> None:
    if size > (free := free_memory()):
        raise InputError(
            f"{where}: its responses take {written_size(size)} of memory, and {written_size(free)} are free; "
            "leave some out, or use a larger machine"
        )


def _read_archive(path: Path, where: str) -> _Parts:
    """Return the arrays of a NumPy archive; none is unpickled."""
    if not (head := head_of(path)).startswith((ZIP, EMPTY_ZIP)):
        raise InputError(
            f"{where}: is no NumPy archive (it is {kind_of(head)}); numpy.savez(path, movie=array) writes one"
        )
    try:
        with zipfile.ZipFile(path) as members:
            size = sum(member.file_size for member in members.infolist())
        _require_memory(size, where)
        with np.load(path, allow_pickle=False) as opened:
            return _of_arrays({name: _member(opened, name, where) for name in opened.files})
    except InputError:
        raise
    except Exception as error:  # NumPy raises many kinds on broken files
        raise _unreadable(where, "NumPy's .npz", error) from error


def _member(archive: Any, name: str, where: str) -> np.ndarray:
    try:
        return np.asarray(archive[name])
    except Exception as error:
        raise InputError(
            f"{where}: array {name!r} can't be read ({in_one_line(error)}); expected numbers: write it again"
        ) from error


def _read_netcdf(path: Path, where: str) -> _Parts:
    with path.open("rb") as file:
        classic = file.read(3) == b"CDF"  # netCDF-3, which is no HDF5 and has no groups
    if classic:
        return _of_groups(_opened(path, where, "scipy", "netCDF-3"))
    require_plain_hdf5(path, where, form="netCDF-4")
    return _of_groups(_opened(path, where, "h5netcdf", "netCDF-4"))


def _read_zarr(path: Path, where: str) -> _Parts:
    require_plain_zarr(path, where)
    groups = _opened(path, where, "zarr", "Zarr", consolidated=False)
    if "differentia" in groups["/"].attrs:
        raise InputError(
            f"{where}: holds what was recorded of a network, which `differentia measure` measures; expected "
            "responses of your own"
        )
    return _of_groups(groups)


#: By the ending of a name: what reads such a file or folder.
READERS: dict[str, Callable[[Path, str], _Parts]] = {
    ".npz": _read_archive,
    ".nc": _read_netcdf,
    ".zarr": _read_zarr,
}


def _opened(path: Path, where: str, engine: Any, form: str, **options: Any) -> dict[str, xr.Dataset]:
    """Return what xarray finds in a file, by group, in the order of names: a folder has none."""
    import xarray as xr

    plain = {"decode_times": False, "decode_timedelta": False, **options}
    try:
        with in_turn(), warnings.catch_warnings():  # of formats that are new, or not yet a standard
            warnings.simplefilter("ignore")
            if engine == "scipy":
                _require_memory(_declared_in_netcdf3(path), where)
                # Not mapped: a file that became shorter would end the process.
                groups = {"/": xr.open_dataset(path, engine=engine, mmap=False, **plain)}
            else:
                groups = dict(xr.open_groups(path, engine=engine, **plain))
            try:
                _require_memory(sum(group.nbytes for group in groups.values()), where)
                return {name: groups[name][sorted(map(str, groups[name]))].load() for name in sorted(groups)}
            finally:
                for group in groups.values():
                    group.close()
    except InputError:
        raise
    except Exception as error:  # the libraries raise many kinds on broken files
        raise _unreadable(where, form, error) from error


def _declared_in_netcdf3(path: Path) -> int:
    """Return the bytes of all variables, which may lie in the same place."""
    from scipy.io import netcdf_file

    with netcdf_file(path, mmap=True) as file:
        return sum(variable.data.nbytes for variable in file.variables.values())


def _of_arrays(arrays: Mapping[str, np.ndarray]) -> _Parts:
    """Yield the responses of arrays that are named as sets, or as set/population."""
    alone = [name for name in arrays if "/" not in name]
    if not arrays:
        raise InputError("holds no array; expected one for each set, such as numpy.savez(path, movie=array)")
    if alone and len(alone) < len(arrays):
        other = next(name for name in arrays if "/" in name)
        raise InputError(
            f"holds arrays of the names {alone[0]!r} and {other!r}; expected one for each set ('movie'), or "
            "one for each set and population ('movie/V1')"
        )
    for name, values in arrays.items():
        set_name, slash, population = name.partition("/")
        yield set_name, population if slash else ALL, values


def _groups_of(given: Any) -> dict[str, xr.Dataset]:
    import xarray as xr

    if isinstance(given, xr.DataTree):
        return {node.path: node.to_dataset() for node in given.subtree}
    if isinstance(given, xr.Dataset):
        return {"/": given}
    raise InputError(
        f"the responses are of type {type(given).__name__}; expected a path, or xarray's Dataset or DataTree"
    )


def _of_groups(groups: Mapping[str, xr.Dataset]) -> _Parts:
    """Yield the responses of Datasets by the groups that they are of."""
    if not any(group.data_vars for group in groups.values()):
        raise InputError("holds no variable; expected variables with the dimensions stimulus and neuron")
    if groups.get("/", {}) and any(group.data_vars for path, group in groups.items() if path != "/"):
        raise InputError("holds variables both in groups and outside; expected one group for each set")
    for path, group in groups.items():
        if path.strip("/").count("/"):
            raise InputError(
                f"group {path!r} lies in another; expected one group for each set, with variables"
            )
        # What other programs write has no coordinates that are not dimensions.
        names = [name for name in (SET, POPULATION) if name in group.data_vars]
        variables = group.set_coords(names).data_vars
        for name, variable in variables.items():
            yield from _of_variable(str(name), variable, path.strip("/"))


def _of_variable(name: str, variable: xr.DataArray, group: str) -> _Parts:
    stimulus, neuron = (_dimension(name, variable, what) for what in (STIMULUS, NEURON))
    others = [str(one) for one in variable.dims if one not in (stimulus, neuron, SET, POPULATION)]
    if others:
        raise InputError(
            f"variable {name!r} has the dimension {others[0]!r} beside {stimulus} and {neuron}; expected "
            "these, and set or population: take a mean over the others, or select one of each"
        )
    for set_name, of_set in _split(variable, SET, stimulus):
        if set_name and group:
            raise InputError(
                f"group {group!r} and the {SET} of variable {name!r} both name sets; expected one of the two"
            )
        for population, values in _split(of_set, POPULATION, neuron):
            own = name if set_name or group else ALL
            yield set_name or group or name, population or own, _matrix(values, stimulus, neuron)


def _matrix(values: xr.DataArray, stimulus: str, neuron: str) -> xr.DataArray:
    """Return responses (stimulus, neuron) with the labels of both, and nothing else."""
    plain = values.transpose(stimulus, neuron).reset_coords(drop=True)
    return plain.rename({stimulus: STIMULUS, neuron: NEURON})


def _dimension(name: str, variable: xr.DataArray, what: str) -> str:
    """Return the dimension of a variable that is of stimuli, or of neurons."""
    found = [str(one) for one in variable.dims if one == what or str(one).startswith(f"{what}_")]
    if len(found) != 1:
        dimensions = ", ".join(map(str, variable.dims)) or "none"
        raise InputError(
            f"variable {name!r} has the dimensions {dimensions}; expected {STIMULUS} and {NEURON}, in either "
            f'order: rename them, such as data.rename({{"trial": "{STIMULUS}", "unit": "{NEURON}"}})'
        )
    return found[0]


def _split(variable: xr.DataArray, what: str, along: str) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield the parts of a variable that a dimension or a coordinate names; the whole under "" without."""
    if what in variable.dims and what not in variable.coords:
        raise InputError(
            f"the dimension {what} of variable {variable.name!r} has no coordinate; expected the name of each"
        )
    if what not in variable.coords or not variable[what].dims:
        yield "", variable
        return
    labels = variable[what]
    if labels.dims not in ((what,), (along,)):
        raise InputError(
            f"the coordinate {what} has the dimensions {', '.join(map(str, labels.dims))}; expected {along}"
        )
    texts = np.array([_text(label) for label in labels.values.tolist()])
    for text in dict.fromkeys(texts.tolist()):
        places = np.flatnonzero(texts == text)
        if labels.dims == (along,):
            yield text, variable.isel({along: places})
        elif len(places) == 1:
            yield text, variable.isel({what: int(places[0])})
        else:
            raise InputError(f"two {what}s have the name {text!r}; give each its own")


def _text(label: Any) -> str:
    return label.decode(errors="replace") if isinstance(label, bytes) else str(label)
