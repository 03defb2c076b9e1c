"""Files of results that somebody has changed: bytes, or what they hold, in ways that no checksum tells."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from helpers.results import neurons, over_time, viewed

import differentia as dif
from differentia.results.dataset import with_provenance
from differentia.results.files import RESULT_CHECKSUM

#: What would move a terminal's cursor, or name its window.
ESCAPE = "\x1b]0;title\x07\x1b[2J"


#: What was taken of a recording.
TAKEN = {
    "by": "kind",
    "table": ["a", "b"],
    "where": "c < 2",
    "window": [0.0, 0.5],
    "area": "area",
    "spontaneous": "grey",
    "detrend": "linear",
    "standardize": True,
    "runs": "runs",
}


@cache
def originals() -> tuple[xr.Dataset, ...]:
    """Return results of a network with all views, of neurons, and of values over time."""
    network = viewed(maps={"conv": [3, 0]})
    notes = ["", "a", "b", "<b>", "d", "e", "f"]
    network = network.assign_coords(
        image_weight=("image", np.arange(7.0)), image_note=("image", np.array(notes, dtype=object))
    )
    return (
        network,
        with_provenance(neurons(), stimulus_responses={**TAKEN, "value": "rate"}, left_out=["3 units"]),
        with_provenance(
            over_time(), trials={**TAKEN, "length": 1.0, "step": 0.5, "bin": 0.1, "bin_step": None}
        ),
    )


# Each change is given a result and random numbers. What is in several, it does to a random one.

Change = Callable[[xr.Dataset, np.random.Generator], xr.Dataset]


def _name(result: xr.Dataset, random: np.random.Generator) -> str:
    return str(random.choice([str(name) for name in result.variables]))


def _with(result: xr.Dataset, name: str, dims: Any, values: Any) -> xr.Dataset:
    """Return a result with another variable in the place of one; a label stays a label."""
    label, attributes = name in result.coords, dict(result[name].attrs)
    changed = result.drop_vars(name).assign({name: xr.Variable(dims, values, attributes)})
    return changed.set_coords(name) if label else changed


def _of_another_type(result: xr.Dataset, random: np.random.Generator) -> xr.Dataset:
    name = _name(result, random)
    types = ["f4", "f2", "f8", "i1", "u1", "i8", "u8", "U", "O", "c16", "bool", "S5", "datetime64[ns]", ">f8"]
    variable = result.variables[name]
    values = variable.values
    kind = str(random.choice(types))
    if values.dtype.kind in "UTO" and kind not in ("U", "O", "S5"):
        values = np.arange(values.size).reshape(values.shape)
    return _with(result, name, variable.dims, values.astype(str if kind == "U" else kind))


def _of_other_values(result: xr.Dataset, random: np.random.Generator) -> xr.Dataset:
    name = _name(result, random)
    values = result.variables[name].values.copy()
    if values.dtype.kind in "UTO":
        texts = [
            "",
            " ",
            "\0",
            "x" * 70_000,
            ESCAPE,
            "\n",
            "../../up",
            "<script>",
            "\u202e",
            "ä" * 300,
            "%s {0}",
        ]
        new: Any = str(random.choice(texts))
        values = values.astype(object)
    elif values.dtype.kind == "f":
        new = random.choice([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e308, 1e38, 1e-320, -0.0])
    else:
        limits = np.iinfo(values.dtype)
        new = random.choice(np.array([0, 1, limits.max, limits.min, limits.max // 2], values.dtype))
    if values.size:
        if random.random() < 0.5:
            values.flat[random.integers(values.size)] = new
        else:
            values[...] = new
    return _with(result, name, result.variables[name].dims, values)


def _scaled(result: xr.Dataset, random: np.random.Generator) -> xr.Dataset:
    name = _name(result, random)
    values = result.variables[name].values
    if values.dtype.kind not in "iuf":
        return _of_other_values(result, random)
    with np.errstate(all="ignore"):
        return _with(
            result, name, result.variables[name].dims, values * values.dtype.type(random.choice([0, 2, 100]))
        )


def _of_another_shape(result: xr.Dataset, random: np.random.Generator) -> xr.Dataset:
    """Alone: its dimensions get other names, or it loses one, or has one more."""
    name = _name(result, random)
    variable = result.variables[name]
    values, how = variable.values, random.integers(4)
    if how == 0 and values.ndim:
        values = values.take(np.arange(random.integers(values.shape[-1] + 1)), axis=-1)
        return _with(result, name, [*variable.dims[:-1], f"other_{name}"], values)
    if how == 1 and values.ndim:
        return _with(result, name, variable.dims[1:], values[0])
    if how == 2:
        return _with(result, name, [*variable.dims, "more"], np.stack([values] * 2, axis=-1))
    return _with(result, name, [f"{dim}_" for dim in variable.dims], values)


def _in_another_order(result: xr.Dataset, random: np.random.Generator) -> xr.Dataset:
    name = _name(result, random)
    variable = result.variables[name]
    dims = list(random.permutation(list(map(str, variable.dims))))
    return _with(result, name, dims, variable.transpose(*dims).values)


def _other_rows(result: xr.Dataset, random: np.random.Generator) -> xr.Dataset:
    """Of a whole dimension: none, one, some twice, or in another order."""
    dim = str(random.choice([str(dim) for dim in result.sizes]))
    size = result.sizes[dim]
    rows = [[], [0], [0, *range(size)], list(range(size))[::-1], list(range(size // 2)), [0, 0]]
    return result.isel({dim: rows[random.integers(len(rows))]})


def _without(result: xr.Dataset, random: np.random.Generator) -> xr.Dataset:
    return result.drop_vars(_name(result, random))


def _with_more(result: xr.Dataset, random: np.random.Generator) -> xr.Dataset:
    """A further variable or label, of a name that may mean something."""
    names: tuple[str, ...] = (
        "map_0",
        "map_1",
        "map_2",
        "image_x",
        "image_other",
        "filter_mean",
        "distance",
        "unit",
        "rank",
    )
    names += ("prediction", "class_name", "thumbnail", "doubt", "influence", "freedom", "log_limit", "source")
    names += (
        "layer_mean",
        "set_reference",
        "units_at_hand",
        "score",
        "trial_differentiation",
        "image_states",
    )
    names += ("image_" + ESCAPE.replace("/", ""), "x" * 200, "differentiation_low", "set_size")
    name = str(random.choice(names))
    dims = [str(dim) for dim in random.permutation(list(map(str, result.sizes)))[: random.integers(4)]]
    shape = [result.sizes[dim] for dim in dims]
    if np.prod(shape, dtype=float) > 1e6:
        return result
    kinds: list[Any] = [
        np.zeros(shape),
        np.ones(shape, np.int64),
        np.full(shape, "text"),
        np.full(shape, np.nan),
    ]
    kinds += [np.zeros(shape, np.uint8), np.full(shape, ESCAPE, dtype=object)]
    result = result.drop_vars(name, errors="ignore")
    variable = xr.Variable(dims, kinds[random.integers(len(kinds))])
    return (
        result.assign_coords({name: variable}) if random.random() < 0.5 else result.assign({name: variable})
    )


def _other_facts(result: xr.Dataset, random: np.random.Generator) -> xr.Dataset:
    """Another value of a fact of the provenance."""
    import json

    facts = json.loads(result.attrs["provenance"])
    values: list[Any] = [
        None,
        0,
        -1,
        1.5,
        1e308,
        10**30,
        "",
        ESCAPE,
        "x" * 70_000,
        [],
        {},
        [[]],
        {"a": 1},
        True,
        ["a"],
        "\ud800",
    ]
    places: list[tuple[Any, Any]] = []

    def walk(at: Any) -> None:
        items = at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
        for key, value in items:
            places.append((at, key))
            walk(value)

    walk(facts)
    at, key = places[random.integers(len(places))]
    if random.random() < 0.2 and isinstance(at, dict):
        del at[key]
    else:
        at[key] = values[random.integers(len(values))]
    return result.assign_attrs(provenance=json.dumps(facts))


def _other_names(result: xr.Dataset, random: np.random.Generator) -> xr.Dataset:
    """A dimension's labels, everywhere they stand."""
    texts = [
        "../../up",
        "<script>alert(1)</script>",
        "$\\frac{",
        "x" * 3000,
        "=1+1",
        ESCAPE,
        "a\0b",
        "\u202eab",
        "/",
    ]
    new = str(random.choice(texts))
    name, others = [("set", ["image_set"]), ("layer", ["filter_layer"])][random.integers(2)]
    old = str(result[name].values[0])
    for where in (name, *(other for other in others if other in result)):
        values = result[where].values.astype(object)
        values[values == old] = new
        result = result.assign_coords({where: (result[where].dims, values, result[where].attrs)})
    return result


CHANGES: tuple[Change, ...] = (
    *(_of_another_type, _of_other_values, _of_other_values, _scaled, _of_another_shape, _in_another_order),
    *(_other_rows, _other_rows, _without, _with_more, _with_more, _other_facts, _other_names),
)

#: What netCDF's conventions, or xarray, take for instructions; and what results have.
ATTRIBUTES = (
    *("scale_factor", "add_offset", "_FillValue", "missing_value", "units", "calendar", "coordinates"),
    *(
        "dtype",
        "_Unsigned",
        "grid_mapping",
        "bounds",
        "valid_min",
        "valid_range",
        "compress",
        "_NCProperties",
    ),
    *(
        "long_name",
        "description",
        "confidence",
        "method",
        "resamples",
        "layer",
        "filter",
        "reference",
        "seed",
    ),
    *("scale", "reference_left_out", "normalize", "metric", "schema_version", "note", "DIMENSION_LABELS"),
    *("_Netcdf4Dimid", "_Netcdf4Coordinates", "_nc3_strict", "ancillary_variables", "cell_measures", "CLASS"),
)
VALUES = (
    *(0.0, 2.0, -1, np.nan, np.inf, 10**18, "", "text", "days since 2000-01-01", "image_name set", "true"),
    *(ESCAPE, "x" * 60_000, np.zeros(0), np.arange(3.0), np.array([["a"]], dtype="S1"), np.float16(1), True),
    *(np.array(["a", "b"], dtype=object), b"\xff\xfe", h5py.Empty("f8"), np.uint8(7), "seconds", "bool"),
)


def _attribute(path: Path, random: np.random.Generator) -> None:
    """Give a variable, or the file, an attribute of any name and type."""
    name, value = str(random.choice(ATTRIBUTES)), VALUES[random.integers(len(VALUES))]
    with h5py.File(path, "r+") as file:
        places = [file, *(file[key] for key in file)]
        where = places[0] if random.random() < 0.25 else places[random.integers(len(places))]
        where.attrs.pop(name, None)
        where.attrs[name] = value


def _bytes(path: Path, random: np.random.Generator) -> None:
    """Change some bytes."""
    content = bytearray(path.read_bytes())
    start = int(random.integers(len(content)))
    how = random.integers(5)
    if how == 0:
        content[start] ^= 1 << int(random.integers(8))
    elif how == 1:
        length = int(random.integers(1, 64))
        content[start : start + length] = random.bytes(length)
    elif how == 2:
        content[start : start + 512] = bytes(len(content[start : start + 512]))
    elif how == 3:
        del content[start:]
    else:
        content[start:start] = random.bytes(int(random.integers(1, 64)))
    path.write_bytes(content)


def write_changed(path: Path, nth: int) -> str:
    """Write the nth changed result, without a checksum, which whoever changes it could make; say how."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _write_changed(path, nth)


def _write_changed(path: Path, nth: int) -> str:
    random = np.random.default_rng([24, nth])
    base = nth % len(originals())
    result = originals()[base]
    told = [f"{base}"]
    kind = ("bytes", "attribute", "content", "content", "content")[nth // len(originals()) % 5]
    if kind == "content":
        for _ in range(random.integers(1, 3)):
            change = CHANGES[random.integers(len(CHANGES))]
            try:
                result = change(result, random)
                told.append(change.__name__)
            except (ValueError, TypeError, KeyError, IndexError, OverflowError):  # not of this variable
                told.append(f"not {change.__name__}")
    try:
        result.to_netcdf(path, engine="h5netcdf")
    except Exception:  # which can't be written
        told.append("not written")
        path.unlink(missing_ok=True)
        dif.save(originals()[base], path)
        kind = "attribute"
    if kind == "attribute":
        for _ in range(random.integers(1, 3)):
            try:
                _attribute(path, random)
            except (TypeError, ValueError, OSError, KeyError, RuntimeError):  # HDF5 has no such attribute
                told.append("not given")
    if kind == "bytes":
        _bytes(path, random)
    elif RESULT_CHECKSUM in (file := h5py.File(path, "r+")).attrs:
        del file.attrs[RESULT_CHECKSUM]
        file.close()
    return f"{nth} {kind}: {', '.join(told)}"
