"""What a result is: its variables, labels and attributes, and what must hold of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from differentia.definition import METRICS, NORMALIZATIONS
from differentia.errors import InputError, WarningKind, has_control_characters, unknown_name
from differentia.units import UNIT_KINDS

if TYPE_CHECKING:
    import xarray as xr

#: Raised by one when a reader of the old schema could misread a new file.
SCHEMA_VERSION = 1

#: Every variable of the schema, with its dimensions.
VARIABLES: dict[str, tuple[str, ...]] = {
    "differentiation": ("set", "layer", "n_units", "draw"),
    "differentiation_low": ("set", "layer", "n_units", "source"),
    "differentiation_high": ("set", "layer", "n_units", "source"),
    "units_used": ("layer", "n_units"),
    "pool_size": ("layer",),
    "layer_size": ("layer",),
    "layer_mean": ("set", "layer"),
    "layer_sd": ("set", "layer"),
    "filter_mean": ("image", "filter"),
    "prediction": ("image", "class"),
    "thumbnail": ("image", "thumbnail_y", "thumbnail_x", "thumbnail_channel"),
    "unit": ("layer", "rank"),
    "image_sum": ("image", "layer"),
    "image_sumsq": ("image", "layer"),
    "distance": ("layer", "image", "image_other"),
}

#: Variables that a result has only where they say something and are not too large.
OPTIONAL = frozenset(
    {
        "differentiation_low",
        "differentiation_high",
        "layer_mean",
        "layer_sd",
        "filter_mean",
        "prediction",
        "thumbnail",
        "unit",
        "distance",
    }
)

#: The two limits of the measure, and what they say of themselves.
LIMITS = ("differentiation_low", "differentiation_high")
ABOUT_LIMITS = ("confidence", "method", "resamples")

#: What a value may owe its uncertainty to.
SOURCES = ("units", "images")

#: Coordinates of the schema that are not dimensions, with theirs.
LABELS: dict[str, tuple[str, ...]] = {
    "layer_kind": ("layer",),
    "layer_shape": ("layer",),
    "image_set": ("image",),
    "image_name": ("image",),
    "image_hash": ("image",),
    "filter_layer": ("filter",),
    "filter_index": ("filter",),
    "class_name": ("class",),
    "map_image": ("map_image",),
    "units": (),
}

#: The coordinates that a result has only with the variable that they label.
LABELS_OF = {
    "filter_layer": "filter_mean",
    "filter_index": "filter_mean",
    "class_name": "prediction",
    "map_image": "map_0",
}

#: The attributes of the schema.
ATTRIBUTES = ("schema_version", "normalize", "metric", "reference", "seed", "provenance")

#: What the variables and labels hold, by NumPy's kinds of types; "U" stands for text of any type.
FLOATS, WHOLE, BYTES, TEXT = "f", "iu", "u", "U"
TYPES: dict[str, str] = {
    **dict.fromkeys(VARIABLES, FLOATS),
    **dict.fromkeys(("units_used", "pool_size", "layer_size", "unit"), WHOLE),
    "thumbnail": BYTES,
    **dict.fromkeys(LABELS, TEXT),
    **dict.fromkeys(("filter_index", "map_image", "n_units", "draw", "rank"), WHOLE),
    **dict.fromkeys(("set", "layer", "source"), TEXT),
}

_IN_WORDS = {
    FLOATS: "floating numbers",
    WHOLE: "whole numbers",
    BYTES: "bytes, 0..255",
    TEXT: "text",
}

#: Rounding may leave so little less than nothing, or more than all.
_ROUNDING = 1e-6

#: By variable: the least and the most that it can be. A NaN stands for what is not known.
_RANGES: dict[str, tuple[float, float]] = {
    "differentiation": (-_ROUNDING, np.finfo(np.float64).max),
    "differentiation_low": (0.0, np.finfo(np.float64).max),
    "differentiation_high": (0.0, np.finfo(np.float64).max),
    "layer_sd": (0.0, np.inf),
    "prediction": (-_ROUNDING, 1 + _ROUNDING),
    "image_sumsq": (0.0, np.inf),
    "distance": (0.0, float(np.finfo(np.float32).max)),
    "n_units": (1, 2**63 - 1),
    "units_used": (1, 2**63 - 1),
    "filter_index": (0, 2**63 - 1),
}

#: Of these everything is known.
_KNOWN = ("prediction", "distance")

#: In characters, as JSON: some hundred times as much as a result of a thousand sets says.
MOST_PROVENANCE = 64_000_000


#: How the warnings of older results begin, which hold their texts alone: the kind of each.
_OLD_WARNINGS: dict[str, WarningKind] = {
    "differentiation is NaN": "undefined",
    "left out what can't be read": "left_out",
    "images of one set have the same content": "same_content",
}


class _Warned(BaseModel):
    """A warning that was given; its kind says what it is about, whatever its words."""

    kind: str
    text: str


class _Facts(BaseModel):
    """What a provenance may say that this package reads; there can be more."""

    model_config = ConfigDict(extra="allow", strict=True)

    network: str = ""
    fingerprint: str = ""
    frameworks: list[str] = []
    preprocessing: str = ""
    input_shape: Annotated[list[int], Field(min_length=3, max_length=3)] = [1, 1, 1]
    resize: str = ""
    crop: str = ""
    batch_size: int = 1
    device: str = ""
    command: str = ""
    sets: dict[str, str] = {}
    skipped: list[dict[str, str]] = []
    duplicates: list[Annotated[list[dict[str, str]], Field(min_length=1)]] = []
    warnings: list[str | _Warned] = []
    versions: dict[str, str] = {}


def map_dimensions(number: int) -> tuple[str, str, str]:
    """Return the dimensions of a filter's map; each has its own height and width."""
    return "map_image", f"map_{number}_y", f"map_{number}_x"


def map_names(result: xr.Dataset) -> list[str]:
    """Return the variables of a result that are maps of filters, in the order in which they were chosen."""
    names: list[str] = []
    while f"map_{len(names)}" in result:
        names.append(f"map_{len(names)}")
    return names


def validate_result(result: Any, where: str = "the result", *, whole: bool = False) -> xr.Dataset:
    """Return a result after making sure that it follows the schema.

    Parameters
    ----------
    result
        What should be a result.
    where
        What the error calls it.
    whole
        Whether its images, filters and maps must be those of its sets and layers, too. They need not where
        sets or layers were selected (``result.sel(set=[...])``).

    Raises
    ------
    InputError
        It is no dataset, of a newer schema, or a variable, coordinate or attribute is missing, has other
        dimensions, is of another type or out of range: the error names it.
    """
    import xarray as xr

    if not isinstance(result, xr.Dataset):
        raise InputError(
            f"{where} is a {type(result).__name__}; expected the Dataset that measure() returned"
        )
    missing = [name for name in ATTRIBUTES if name not in result.attrs]
    labels = [name for name in LABELS if LABELS_OF.get(name, "differentiation") in result]
    missing += [name for name in labels if name not in result.coords]
    missing += [name for name in VARIABLES if name not in result and name not in OPTIONAL]
    missing += [name for name in VARIABLES["differentiation"] if name not in result.coords]
    if missing:
        raise InputError(f"{where} is no result of differentia: {', '.join(missing)} missing")
    version = _whole_attribute(result, "schema_version", where)
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{where} has the schema version {version}; "
            f"this version of differentia reads {SCHEMA_VERSION}: update differentia"
        )
    maps = {name: map_dimensions(number) for number, name in enumerate(map_names(result))}
    for name, dimensions in {**VARIABLES, **LABELS, **maps}.items():
        if name in result and result[name].dims != dimensions:
            raise InputError(
                f"{where} is no result of differentia: {name} has the dimensions "
                f"{result[name].dims}; expected {dimensions}"
            )
    for name, kind in {**TYPES, **dict.fromkeys(maps, FLOATS)}.items():
        if name in result.variables:
            _require_type(result.variables[name].values, name, kind, where)
    _check_attributes(result, where)
    for name, (least, most) in _RANGES.items():
        if name in result.variables:
            _require_range(result.variables[name].values, name, least, most, where)
    _check_names(result, where)
    _check_units(result, where)
    _check_limits(result, where)
    _check_maps(result, list(maps), where)
    if whole:
        _check_whole(result, list(maps), where)
    return result


def _wrong(where: str, what: str, expected: str) -> InputError:
    return InputError(
        f"{where} is no result of differentia: {what}; expected {expected}. It may be damaged, or made by "
        "another program: take the one that measure wrote, or measure again"
    )


def _shown(value: Any) -> str:
    """Return a value as an error shows it, however long it is."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _require_type(values: np.ndarray, name: str, kind: str, where: str) -> None:
    if kind == TEXT:
        fits = values.dtype.kind in "UT" or (
            values.dtype.kind == "O" and all(isinstance(value, str) for value in values.ravel())
        )
    else:
        fits = values.dtype.kind in kind and (kind != BYTES or values.dtype.itemsize == 1)
    if not fits:
        raise _wrong(where, f"{name} is of type {values.dtype}", _IN_WORDS[kind])


def _require_range(values: np.ndarray, name: str, least: float, most: float, where: str) -> None:
    outside = (values < least) | (values > most)
    if name in _KNOWN:
        outside |= np.isnan(values)
    if outside.any():
        bounds = f"{max(least, 0):g} or more" if most > 2 else f"{max(least, 0):g} to {round(most):g}"
        first = values[outside][0].item()
        raise _wrong(where, f"{name} holds {first!r}", f"{bounds}, and no infinity")


def _whole_attribute(result: xr.Dataset, name: str, where: str) -> int:
    value = result.attrs[name]
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise _wrong(where, f"the attribute {name} is {_shown(value)}", "a whole number")
    return int(value)


def _check_attributes(result: xr.Dataset, where: str) -> None:
    if not 0 <= (seed := _whole_attribute(result, "seed", where)) < 2**63:
        raise _wrong(where, f"the attribute seed is {seed}", "a whole number from 0 to 2**63 - 1")
    for name in ("normalize", "metric", "reference", "provenance"):
        if not isinstance(result.attrs[name], str):
            raise _wrong(where, f"the attribute {name} is {_shown(result.attrs[name])}", "text")
    known: dict[str, tuple[str, Mapping[str, Any]]] = {
        "normalization": (result.attrs["normalize"], NORMALIZATIONS),
        "metric": (result.attrs["metric"], METRICS),
        "kind of units": (str(result["units"].item()), UNIT_KINDS),
    }
    for name, (value, names) in known.items():
        if value not in names:
            raise InputError(f"{where} is no result of differentia: {unknown_name(name, value, names)}")
    read_provenance(result.attrs["provenance"], where)


def read_provenance(text: str, where: str = "the result") -> dict[str, Any]:
    """Return the facts that a result's attribute ``provenance`` holds as JSON.

    Raises
    ------
    InputError
        It is no JSON object, or a fact in it is of another type than `measure` writes.
    """
    if not text:
        return {}
    if len(text) > MOST_PROVENANCE:
        raise _wrong(where, f"the provenance has {len(text):,} characters", f"at most {MOST_PROVENANCE:,}")
    try:
        facts = json.loads(text)
        if isinstance(facts, dict):
            _Facts.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise _wrong(where, f"{field} in the provenance is {_shown(first['input'])}", first["msg"]) from None
    except (ValueError, RecursionError) as error:
        raise _wrong(where, f"the provenance can't be read ({error})", "JSON") from error
    if not isinstance(facts, dict):
        raise _wrong(where, f"the provenance is {_shown(facts)}", "a JSON object")
    if "warnings" in facts:
        facts["warnings"] = [_with_kind(warned) for warned in facts["warnings"]]
    return facts


def _with_kind(warned: str | dict[str, str]) -> dict[str, str]:
    if not isinstance(warned, str):
        return warned
    kinds = (kind for beginning, kind in _OLD_WARNINGS.items() if warned.startswith(beginning))
    return {"kind": next(kinds, "other"), "text": warned}


def _check_names(result: xr.Dataset, where: str) -> None:
    for coordinate in ("set", "layer"):
        names = [str(name) for name in result[coordinate].values]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise _wrong(
                where, f"{coordinate} holds {_shown(twice)} twice", "names of which each is there once"
            )
        for name in names:
            if not name.strip() or has_control_characters(name):
                expected = "text without control characters"
                raise _wrong(where, f"{coordinate} holds the name {_shown(name)}", expected)


def _check_units(result: xr.Dataset, where: str) -> None:
    counts = result["n_units"].values
    if not (np.diff(counts) > 0).all():
        raise _wrong(where, f"n_units is {_shown(counts.tolist())}", "numbers in ascending order")
    used, pool, size = (result[name].values for name in ("units_used", "pool_size", "layer_size"))
    if (used > pool[:, np.newaxis]).any() or (pool > size).any():
        what = "units_used, pool_size and layer_size do not go together"
        raise _wrong(where, what, "no more units used than recorded, and no more recorded than the layer has")
    if "unit" in result:
        units = result["unit"].values
        recorded = np.arange(units.shape[1]) < pool[:, np.newaxis]
        outside = np.where(recorded, (units < 0) | (units >= size[:, np.newaxis]), units != -1)
        if outside.any():
            expected = "the recorded units' places in their layers, and -1 beyond them"
            raise _wrong(where, f"unit holds {units[outside][0]}", expected)


def _check_limits(result: xr.Dataset, where: str) -> None:
    given = [name for name in LIMITS if name in result]
    if not given:
        return
    if len(given) != len(LIMITS):
        raise _wrong(where, f"there is {given[0]} alone", f"both {' and '.join(LIMITS)}")
    sources = [str(name) for name in result["source"].values] if "source" in result.coords else []
    if sources != list(SOURCES):
        raise _wrong(where, f"source names {_shown(sources)}", f"{_shown(list(SOURCES))}")
    if (result[LIMITS[0]] > result[LIMITS[1]]).any():
        raise _wrong(where, f"{LIMITS[0]} lies above {LIMITS[1]}", "limits in their order")
    for name in LIMITS:
        about = result[name].attrs
        confidence, method, resamples = (about.get(key) for key in ABOUT_LIMITS)
        number = isinstance(confidence, float | np.floating) and 0 < float(confidence) < 1
        whole = isinstance(resamples, int | np.integer) and not isinstance(resamples, bool | np.bool_)
        if not (number and whole and isinstance(method, str)):
            raise _wrong(
                where,
                f"the attributes of {name} are {_shown(dict(about))}",
                "the confidence, the method and the number of resamples",
            )


def _check_maps(result: xr.Dataset, maps: list[str], where: str) -> None:
    if maps:
        rows = result["map_image"].values
        if ((rows < 0) | (rows >= result.sizes["image"])).any():
            expected = f"places of images, 0 to {result.sizes['image'] - 1}"
            raise _wrong(where, f"map_image is {_shown(rows.tolist())}", expected)
    for name in maps:
        about = result[name].attrs
        number = about.get("filter", -1)
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool | np.bool_)
        named = set(about) == {"layer", "filter"} and isinstance(about["layer"], str)
        if not (named and whole and number >= 0):
            expected = "a layer's name and a filter's number"
            raise _wrong(where, f"the attributes of {name} are {_shown(about)}", expected)


def _check_whole(result: xr.Dataset, maps: list[str], where: str) -> None:
    """Raise an error where images, filters or maps are not those of the result's sets and layers."""
    for name in ("set", "layer", "n_units", "draw", "image"):
        if not result.sizes[name]:
            raise _wrong(where, f"the dimension {name} is empty", "at least one")
    sets, layers = (result[name].values.astype(str) for name in ("set", "layer"))
    of_images = result["image_set"].values.astype(str)
    starts = np.concatenate([[True], of_images[1:] != of_images[:-1]])
    if of_images[starts].tolist() != sets.tolist():
        what = f"image_set names the sets {_shown(of_images[starts].tolist())}, one after the other"
        raise _wrong(where, what, f"each set's images together: {_shown(sets.tolist())}")
    if result.sizes.get("image_other", result.sizes["image"]) != result.sizes["image"]:
        raise _wrong(
            where, f"distance is of {result.sizes['image_other']} images", str(result.sizes["image"])
        )
    named = {name: {result[name].attrs["layer"]} for name in maps}
    if "filter_layer" in result:
        named["filter_layer"] = set(np.unique(result["filter_layer"].values.astype(str)).tolist())
    for name, given in named.items():
        if unknown := given - set(layers.tolist()):
            raise _wrong(where, f"{name} names the layer {_shown(min(unknown))}", "one that the result has")
