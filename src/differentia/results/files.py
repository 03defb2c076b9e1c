"""A result as a file, netCDF-4, and back: whole or absent, and nothing in it is run."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError, in_one_line, short_tracebacks
from differentia.results.descriptions import described
from differentia.results.schema import (
    ATTRIBUTES,
    DESCRIBING,
    LIMITS,
    SPECS,
    TEXT,
    VARIABLES,
    attribute_names,
    checked,
    map_names,
    require_whole,
    validate_result,
)
from differentia.system.files import user_path, written_whole
from differentia.system.hdf5 import require_plain_hdf5

if TYPE_CHECKING:
    import xarray as xr

#: The attribute that a file has beside those of the schema.
RESULT_CHECKSUM = "checksum"


@checked
def save(result: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a result as netCDF-4; the file is whole or absent.

    Of a selection of sets or layers, what belongs to the others is left out.

    Parameters
    ----------
    result
        What `measure` returned.
    path
        Of the file, by custom ``.nc``; an existing one is replaced.

    Raises
    ------
    InputError
        It is not a result, or the folder can't be written to.
    StorageError
        The disk is full.
    """
    require_whole(result)
    # Texts can't be compressed, nor have a checksum of their own.
    numeric = [name for name, spec in VARIABLES.items() if spec.kind != TEXT]
    arrays = [name for name in (*numeric, *map_names(result)) if name in result]
    # The checksums let any reader find a byte that has changed on the disk.
    encoding = {name: {"zlib": True, "complevel": 4, "fletcher32": True} for name in arrays}
    with written_whole(path) as beside:
        whole = result.drop_encoding().assign_attrs({RESULT_CHECKSUM: content_checksum(result)})
        beside.write_bytes(_as_netcdf(whole, encoding))


def _as_netcdf(result: xr.Dataset, encoding: Mapping[str, Any]) -> memoryview:
    """Return a netCDF-4 file, made in memory: the HDF5 library ends the process where a disk is full."""
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    file = io.BytesIO()
    with h5netcdf.File(file, "w") as opened:
        result.dump_to_store(H5NetCDFStore(opened), encoding=encoding)
    return file.getbuffer()


@short_tracebacks
def load_result(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a result that `save` wrote, wholly into memory.

    Parameters
    ----------
    path
        Of the file.

    Raises
    ------
    InputError
        There is no such file, it is no netCDF-4 file, no result, or not what was saved. It is checked before
        it is used, so that a file from anywhere can be read: nothing in it is run, and no other file is read.
    """
    file = user_path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "no such file"
        raise InputError(f"{path}: {what}; give the result.nc that measure wrote")
    require_plain_hdf5(file, str(path), form="netCDF-4")

    import xarray as xr

    try:
        with xr.open_dataset(
            file, engine="h5netcdf", decode_times=False, decode_timedelta=False, mask_and_scale=False
        ) as opened:
            result = opened.load()
    except MemoryError:
        raise
    except Exception as error:  # h5py raises many kinds on broken files
        raise InputError(
            f"{path}: can't be read as netCDF-4 ({in_one_line(error)}); it may be cut off or damaged: "
            "measure again"
        ) from error
    for variable in result.variables.values():
        variable.attrs.pop("_FillValue", None)  # which xarray writes of numbers that may be NaN
    checksum = result.attrs.pop(RESULT_CHECKSUM, None)
    validate_result(result, str(path))
    require_whole(result, str(path))
    if checksum not in (None, content_checksum(result)):
        raise InputError(
            f"{path}: its content is not what was saved: it was damaged, or changed by another program; "
            "measure again, or use another copy of it"
        )
    return described(result)


def content_checksum(result: xr.Dataset) -> str:
    """Return the SHA-256 of all that the schema knows of a result; HDF5's own guard numbers only."""
    digest = hashlib.sha256()
    attributes_of_images = attribute_names(result)
    for name in sorted({*SPECS, *map_names(result), *attributes_of_images} & set(result.variables)):
        variable = result.variables[name]
        values = variable.values
        if values.dtype.kind == "f":
            values = np.where(np.isnan(values), values.dtype.type(np.nan), values)  # there are many NaNs
        text = SPECS[name].kind == TEXT if name in SPECS else values.dtype.kind in "UTO"
        content = json.dumps(values.ravel().tolist()).encode() if text else values.tobytes()
        digest.update(json.dumps([name, variable.dims, variable.shape, len(content)]).encode())
        digest.update(content)
    attributes = {name: result.attrs[name] for name in ATTRIBUTES}
    # Descriptions are made anew when a file is read.
    attributes |= {
        name: {key: about for key, about in result[name].attrs.items() if key not in DESCRIBING}
        for name in (*map_names(result), *LIMITS)
        if name in result
    }
    digest.update(json.dumps(attributes, sort_keys=True, default=methodcaller("item")).encode())
    return digest.hexdigest()
