"""What a result is: its variables, labels and attributes, and what must hold of them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar, cast

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from differentia.definition.measure import METRICS, NORMALIZATIONS
from differentia.errors import (
    InputError,
    WarningKind,
    has_control_characters,
    printable,
    short_tracebacks,
    unknown_name,
)
from differentia.recording.units import UNIT_KINDS
from differentia.results.confidence import SCORES
from differentia.results.references import SET_REFERENCE
from differentia.system.choices import DETREND, SCALE, VALUE

if TYPE_CHECKING:
    import xarray as xr

_Public = TypeVar("_Public", bound=Callable[..., Any])

#: Raised by one when a reader of the old schema could misread a new file; and those that can be read.
SCHEMA_VERSION = 3
_READABLE = (1, 2, 3)

#: What variables and labels hold, by NumPy's kinds of types; "U" stands for text of any type.
FLOATS, INTEGERS, BYTES, NUMBERS, TEXT = "f", "iu", "u", "iuf", "U"
_IN_WORDS = {
    FLOATS: "floating numbers",
    INTEGERS: "whole numbers",
    BYTES: "bytes, 0..255",
    NUMBERS: "numbers or text",  # text is checked as text
    TEXT: "text",
}


class Spec(NamedTuple):
    """What a variable or label must be; one that is ``with_`` another is there only where that is."""

    dimensions: tuple[str, ...]
    kind: str = FLOATS
    least: float = -np.inf
    most: float = np.inf
    optional: bool = False
    with_: str = "differentiation"


#: Rounding may leave so little less than nothing, or more than all.
_ROUNDING = 1e-6
_LARGEST, _LARGEST_SINGLE = (float(np.finfo(kind).max) for kind in (np.float64, np.float32))
_LARGEST_INTEGER = 2**63 - 1

#: The attribute that names the reference of a result that its set was taken out of.
LEFT_OUT = "reference_left_out"

#: The two limits of the measure, and the sources of uncertainty; older results have the first two.
LIMITS = ("differentiation_low", "differentiation_high")
SOURCES = ("units", "images", "both")

#: What a value is of.
POINT = ("set", "layer", "n_units")

#: The variable that a result of trials has: the value of each, whose mean over a set's is the set's.
TRIAL_VALUES = "trial_differentiation"

#: Where the result of trials says how many states each has.
TRIAL_STATES = "image_states"

_THUMBNAIL = ("image", "thumbnail_y", "thumbnail_x", "thumbnail_channel")

#: A NaN stands for what is not known, but in `_KNOWN`.
VARIABLES: dict[str, Spec] = {
    "differentiation": Spec((*POINT, "draw"), least=-_ROUNDING, most=_LARGEST),
    **dict.fromkeys(LIMITS, Spec((*POINT, "source"), least=0, most=_LARGEST, optional=True)),
    "log_limit": Spec((*POINT, "score"), optional=True),
    "freedom": Spec(POINT, least=0, most=_LARGEST, with_="log_limit"),
    "influence": Spec(("image", "layer", "n_units"), with_="log_limit"),
    "doubt": Spec(POINT, TEXT, with_="log_limit"),
    TRIAL_VALUES: Spec(("image", "layer", "n_units", "draw"), least=-_ROUNDING, most=_LARGEST, optional=True),
    "units_used": Spec(("layer", "n_units"), INTEGERS, least=1, most=_LARGEST_INTEGER),
    "pool_size": Spec(("layer",), INTEGERS),
    "layer_size": Spec(("layer",), INTEGERS),
    "units_at_hand": Spec(("layer",), INTEGERS, least=1, most=_LARGEST_INTEGER, optional=True),
    "set_size": Spec(("set",), INTEGERS, least=1, most=_LARGEST_INTEGER, optional=True),
    "layer_mean": Spec(("set", "layer"), optional=True),
    "layer_sd": Spec(("set", "layer"), least=0, optional=True),
    "filter_mean": Spec(("image", "filter"), optional=True),
    "prediction": Spec(("image", "class"), least=-_ROUNDING, most=1 + _ROUNDING, optional=True),
    "thumbnail": Spec(_THUMBNAIL, BYTES, optional=True),
    "unit": Spec(("layer", "rank"), INTEGERS, optional=True),
    "image_sum": Spec(("image", "layer")),
    "image_sumsq": Spec(("image", "layer"), least=0),
    "distance": Spec(("layer", "image", "image_other"), least=0, most=_LARGEST_SINGLE, optional=True),
}
_KNOWN = ("prediction", "distance")

#: Coordinates that are not dimensions.
LABELS: dict[str, Spec] = {
    **dict.fromkeys(("layer_kind", "layer_shape"), Spec(("layer",), TEXT)),
    **dict.fromkeys(("image_set", "image_name", "image_hash"), Spec(("image",), TEXT)),
    "filter_layer": Spec(("filter",), TEXT, with_="filter_mean"),
    "filter_index": Spec(("filter",), INTEGERS, least=0, most=_LARGEST_INTEGER, with_="filter_mean"),
    "class_name": Spec(("class",), TEXT, with_="prediction"),
    "map_image": Spec(("map_image",), INTEGERS, with_="map_0"),
    SET_REFERENCE: Spec(("set",), TEXT, optional=True),
    "units": Spec((), TEXT),
}

#: Coordinates that are dimensions.
_DIMENSIONS: dict[str, Spec] = {
    "set": Spec(("set",), TEXT),
    "layer": Spec(("layer",), TEXT),
    "n_units": Spec(("n_units",), INTEGERS, least=1, most=_LARGEST_INTEGER),
    "draw": Spec(("draw",), INTEGERS),
    "rank": Spec(("rank",), INTEGERS, with_="unit"),
    "source": Spec(("source",), TEXT, with_="differentiation_low"),
    "score": Spec(("score",), with_="log_limit"),
}

SPECS = {**VARIABLES, **LABELS, **_DIMENSIONS}

#: How further coordinates begin that say what is known of each image, such as columns of a table.
ATTRIBUTE = "image_"

ATTRIBUTES = ("schema_version", "normalize", "metric", "reference", "seed", "provenance")

#: The attributes of variables that describe them; others are facts that are read.
DESCRIBING = ("long_name", "units", "description")

#: Attributes that say how numbers are stored: who reads the file takes them off, and changes the numbers.
_INSTRUCTIONS = frozenset(
    (
        *("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "dtype", "coordinates"),
        *("grid_mapping", "CLASS", "NAME", "DIMENSION_LIST", "DIMENSION_LABELS", "REFERENCE_LIST"),
        *("_Netcdf4Dimid", "_Netcdf4Coordinates", "_nc3_strict", "_NCProperties"),
    )
)

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


class _Image(BaseModel):
    """An image that was left out, or is one of several copies; more may be said of it."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, str]

    set: str
    name: str


class _States(BaseModel):
    """What the states of a result of values over time are made of; more may be said of them."""

    model_config = ConfigDict(extra="allow", strict=True)

    states: Literal["rate", "spectral"]
    scale: str
    length: float
    overlap: float
    taper: str
    frequencies: int | None
    rate: float
    samples: int
    values_per_unit: int


class _Taken(BaseModel):
    """What was taken of a recording; more may be said of it."""

    model_config = ConfigDict(extra="allow", strict=True)

    by: str | None
    table: str | Annotated[list[str], Field(min_length=1)] | None
    where: str | None
    window: Annotated[list[float], Field(min_length=2, max_length=2)] | None
    area: str
    spontaneous: str | None
    detrend: Literal[*DETREND.names]  # type: ignore[valid-type]
    standardize: bool
    runs: str | None


#: Where responses were at hand, nothing was taken: {}.
_NOTHING = BeforeValidator(lambda given: given or None)


class _Responses(_Taken):
    """The same, as responses."""

    value: Literal[*VALUE.names]  # type: ignore[valid-type]


class _Trials(_Taken):
    """The same, as trials."""

    length: float | None
    step: float | None
    bin: float | None
    bin_step: float | None


class _Provenance(BaseModel):
    """What a provenance may say that this package reads; there can be more."""

    model_config = ConfigDict(extra="allow", strict=True)

    network: str = ""
    fingerprint: str = ""
    frameworks: list[str] = []
    package: str = ""
    weights: str = ""
    preprocessing: str = ""
    input_shape: Annotated[list[int], Field(min_length=3, max_length=3)] = [1, 1, 1]
    resize: str = ""
    crop: str = ""
    resized_by: str = "Pillow"
    resized_to: int | Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    tokens: str = ""
    token_layers: list[str] = []
    batch_size: int = 1
    device: str = ""
    dtype: str = ""
    forward: str = ""
    command: str = ""
    threads: list[int] = []
    states: _States | None = None
    items: str = ""
    session: str = ""
    subject: str = ""
    stimulus_responses: Annotated[_Responses | None, _NOTHING] = None
    trials: Annotated[_Trials | None, _NOTHING] = None
    left_out: list[str] = []
    sets: dict[str, str] = {}
    skipped: list[_Image] = []
    dropped: list[_Image] = []
    duplicates: list[Annotated[list[_Image], Field(min_length=1)]] = []
    warnings: list[str | _Warned] = []
    versions: dict[str, str] = {}


def map_dimensions(number: int) -> tuple[str, str, str]:
    """Return the dimensions of a channel's map; each has its own height and width."""
    return "map_image", f"map_{number}_y", f"map_{number}_x"


def map_names(result: xr.Dataset) -> list[str]:
    """Return the variables of a result that are maps of channels, in the order in which they were chosen."""
    names: list[str] = []
    while f"map_{len(names)}" in result:
        names.append(f"map_{len(names)}")
    return names


def attribute_names(result: xr.Dataset) -> list[str]:
    """Return the coordinates of a result that say what else is known of its images."""
    others = (str(name) for name in result.coords if name not in SPECS and name not in result.dims)
    return [name for name in others if name.startswith(ATTRIBUTE)]


#: Whether a public function that has checked its result is running; what it calls trusts the result.
_checked: ContextVar[bool] = ContextVar("_checked", default=False)


def checked(function: _Public) -> _Public:
    """Make a public function check its argument `result` or `results`, unless one that called it has.

    It is given `what_is_left` of a selection. Several results are a mapping: kind of units -> result.
    """
    signature = inspect.signature(function)
    (name,) = {"result", "results"} & set(signature.parameters)
    several = "Mapping" in str(signature.parameters[name].annotation)

    @wraps(function)
    def entry(*args: Any, **options: Any) -> Any:
        if _checked.get():
            return function(*args, **options)
        try:
            bound = signature.bind(*args, **options)
        except TypeError as error:  # which does not say of which function
            raise TypeError(f"{function.__name__}() {error}") from None
        given = bound.arguments[name]
        if several and isinstance(given, Mapping) and not _is_dataset(given):
            bound.arguments[name] = {one: _usable(given[one], f"the result of kind {one!r}") for one in given}
        else:
            bound.arguments[name] = _usable(given)
        token = _checked.set(True)
        try:
            return function(*bound.args, **bound.kwargs)
        finally:
            _checked.reset(token)

    return short_tracebacks(cast(_Public, entry))


def _usable(given: Any, where: str = "the result") -> xr.Dataset:
    """Return a result, or a selection of one, as public functions take it."""
    result = validate_result(given, where)
    _require_all_images(result)
    return what_is_left(result)


def _is_dataset(given: Any) -> bool:  # which is a Mapping, too
    import xarray as xr

    return isinstance(given, xr.Dataset)


def validate_result(result: Any, where: str = "the result") -> xr.Dataset:
    """Return a result that follows the schema, or raise an error that names it `where`."""
    if not _is_dataset(result):
        raise InputError(
            f"{where} is of type {type(result).__name__}; expected the Dataset that measure() returned"
        )
    missing = [name for name in ATTRIBUTES if name not in result.attrs]
    due = [name for name, spec in LABELS.items() if spec.with_ in result and not spec.optional]
    due += [*POINT, "draw"]
    missing += [name for name in due if name not in result.coords]
    missing += [
        name
        for name, spec in VARIABLES.items()
        if name not in result and spec.with_ in (*result, "differentiation") and not spec.optional
    ]
    lost = [name for name in (*POINT, "draw") if name in missing]
    if lost and "differentiation" in result and "image_name" in result.coords:
        raise InputError(
            f"{where} has lost its dimension {lost[0]!r}: it was averaged, or selected with drop=True; give "
            f"the whole result{', and for numbers use dif.draw_mean(result)' * (lost[0] == 'draw')}"
        )
    if missing:
        raise InputError(f"{where} is not a result of differentia: {', '.join(missing)} missing")
    require_lists(result, where)
    if _is_integer(version := result.attrs["schema_version"]) and version not in _READABLE:
        raise InputError(
            f"{where} has the schema version {version}; "
            f"this version of differentia reads up to {SCHEMA_VERSION}: update differentia"
        )
    checks = (_attributes, _variables, _pictures, _distinct_names, _unit_counts, _labels, _both_limits, _maps)
    for check in (*checks, _kept_attributes):
        for what, expected in check(result):
            raise _wrong(where, what, expected)
    for what, name, known in (
        ("normalization", result.attrs["normalize"], NORMALIZATIONS),
        ("metric", result.attrs["metric"], METRICS),
        ("kind of units", str(result["units"].item()), UNIT_KINDS),
        ("scale", str(result.attrs.get("scale", SCALE.names[0])), SCALE.names),
    ):
        if name not in known:
            raise InputError(f"{where} is not a result of differentia: {unknown_name(what, name, known)}")
    read_provenance(result.attrs["provenance"], where)
    return cast("xr.Dataset", result)


def require_lists(result: xr.Dataset, where: str = "the result") -> None:
    """Raise an error where one label was selected of a result, and its dimension is gone."""
    for name in (*POINT, "draw", "source"):
        if name in result.coords and not result[name].dims:
            one = result[name].item()
            raise InputError(
                f"{where} has lost its dimension {name!r}: {one!r} alone was selected of it; select with a "
                f"list, .sel({name}=[{one!r}])"
            )


def require_whole(result: xr.Dataset, where: str = "the result") -> None:
    """Raise an error unless a result has the images, channels and maps of just its sets and layers.

    It need not where sets or layers were selected (``result.sel(set=[...])``).
    """
    for what, expected in _parts_of_others(result):
        raise _wrong(where, what, expected)


def what_is_left(result: xr.Dataset) -> xr.Dataset:
    """Return a result without what belongs to sets and layers that were taken out of it, in their order."""
    for name in (*POINT, "draw"):
        if not result.sizes[name]:
            raise InputError(f"the result has no {name} left; select at least one")
    n_images = result.sizes["image"]
    if (n_others := result.sizes.get("image_other", n_images)) != n_images:
        raise InputError(
            f"the result holds distances of {n_others} images but only {n_images} images; its values are of "
            "all images: select sets or layers instead"
        )
    sets, layers, of_images = (result[name].values.astype(str) for name in ("set", "layer", "image_set"))
    rows = np.concatenate([np.flatnonzero(of_images == name) for name in sets])
    kept = {"image": rows, "image_other": rows}
    if "filter" in result.sizes:
        kept["filter"] = np.flatnonzero(np.isin(result["filter_layer"].values.astype(str), layers))
    kept |= {name: np.argsort(result[name].values) for name in ("n_units", "draw")}
    kept = {
        name: places
        for name, places in kept.items()
        if name in result.sizes and not np.array_equal(places, np.arange(result.sizes[name]))
    }
    left = result.isel(kept) if kept else result
    if left.sizes.get("filter") == 0:  # the layers that are left have no channels that are known
        left = left.drop_dims("filter")
    left = _with_references_left(left, set(sets.tolist()))
    maps = map_names(result)
    left_maps = [result[name] for name in maps if result[name].attrs["layer"] in layers]
    if "image" not in kept and len(left_maps) == len(maps):
        return left
    place = np.full(n_images, -1)
    place[rows] = np.arange(len(rows))
    places = place[result["map_image"].values] if maps else place
    left = left.drop_vars([*maps, "map_image"]) if maps else left
    if not left_maps or not (shows := places >= 0).any():
        return left
    left = left.assign_coords(map_image=("map_image", places[shows]))
    for number, shown in enumerate(left_maps):
        left[f"map_{number}"] = (map_dimensions(number), shown.values[shows], shown.attrs)
    return left


def _with_references_left(result: xr.Dataset, sets: set[str]) -> xr.Dataset:
    """Return a result that names no set as a reference that was taken out of it, but says which were."""
    reference, several = result.attrs["reference"], SET_REFERENCE in result.coords
    named = result[SET_REFERENCE].values.astype(str).tolist() if several else [reference]
    if gone := [name for name in dict.fromkeys(named) if name and name not in sets]:
        result = result.assign_attrs({LEFT_OUT: ", ".join(gone)})
    if several and gone:
        kept = [name if name in sets else "" for name in named]
        result = result.assign_coords({SET_REFERENCE: ("set", kept, result[SET_REFERENCE].attrs)})
    return result.assign_attrs(reference="") if reference and reference not in sets else result


def _require_all_images(result: xr.Dataset) -> None:
    """Raise an error where images of a set were taken out of a result, or its set got another name."""
    of_images = result["image_set"].values.astype(str)
    counts = {name: int((of_images == name).sum()) for name in result["set"].values.astype(str).tolist()}
    measured = result["set_size"].values.tolist() if "set_size" in result else [1] * len(counts)
    for (name, count), size in zip(counts.items(), measured, strict=True):
        if not count and name not in of_images:
            known = ", ".join(dict.fromkeys(of_images.tolist()))
            raise InputError(
                f"the set {name!r} has none of the result's images, which are of {known}; to give a set "
                f"another name, use dif.rename(result, sets={{old: new}})"
            )
        if count < size:
            raise InputError(
                f"the set {name!r} has {count} of its {size} images; its values are of all of them: select "
                "sets or layers instead"
            )


def _wrong(where: str, what: str, expected: str) -> InputError:
    return InputError(
        f"{where} is not a result of differentia: {_in_one_line(what)}; expected {_in_one_line(expected)}. "
        "It may be damaged, or made by another program: take the one that measure wrote, or measure again"
    )


def _in_one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n")


def _as_shown(value: Any) -> str:
    """Return a value as an error shows it, however long it is."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_)


def read_provenance(text: str, where: str = "the result") -> dict[str, Any]:
    """Return the facts that a result's attribute ``provenance`` holds as JSON."""
    if not text:
        return {}
    if len(text) > MOST_PROVENANCE:
        raise _wrong(where, f"the provenance has {len(text):,} characters", f"at most {MOST_PROVENANCE:,}")
    try:
        facts = json.loads(text)
        if isinstance(facts, dict):
            _Provenance.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        missing = first["type"] == "missing"
        what = f"{field} in the provenance is {'missing' if missing else _as_shown(first['input'])}"
        raise _wrong(where, what, "a value" if missing else first["msg"]) from None
    except (ValueError, RecursionError) as error:
        raise _wrong(where, f"the provenance can't be read ({error})", "JSON") from error
    if not isinstance(facts, dict):
        raise _wrong(where, f"the provenance is {_as_shown(facts)}", "a JSON object")
    if "warnings" in facts:
        facts["warnings"] = [_with_kind(warned) for warned in facts["warnings"]]
    return facts


def _with_kind(warned: str | dict[str, str]) -> dict[str, str]:
    if not isinstance(warned, str):
        return warned
    kinds = (kind for beginning, kind in _OLD_WARNINGS.items() if warned.startswith(beginning))
    return {"kind": next(kinds, "other"), "text": warned}


# Each check yields what is wrong, and what was expected. The first is an error, so that a check can rely on
# those before it.

_Wrong = Iterator[tuple[str, str]]


def _attributes(result: xr.Dataset) -> _Wrong:
    for name in ("schema_version", "seed"):
        if not _is_integer(value := result.attrs[name]):
            yield f"the attribute {name} is {_as_shown(value)}", "a whole number"
    if not 0 <= (seed := int(result.attrs["seed"])) < 2**63:
        yield f"the attribute seed is {seed}", "a whole number from 0 to 2**63 - 1"
    for name in ("normalize", "metric", "reference", "provenance"):
        if not isinstance(value := result.attrs[name], str):
            yield f"the attribute {name} is {_as_shown(value)}", "text"


def _kept_attributes(result: xr.Dataset) -> _Wrong:
    """Of the result and its variables: what netCDF can hold, and gives back as it was."""
    places = [("the result", result.attrs)]
    places += [(str(name), variable.attrs) for name, variable in result.variables.items()]
    for where, attributes in places:
        for name, value in attributes.items():
            if not isinstance(name, str) or has_control_characters(name) or name in _INSTRUCTIONS:
                expected = "none of this name, which says how numbers are stored"
                yield f"{where} has the attribute {_as_shown(name)}", expected
            if not _can_be_kept(value):
                what = f"the attribute {name} of {where} is {_as_shown(value)}"
                yield what, "a number, text, or a list of either"


def _can_be_kept(value: Any) -> bool:
    values = np.asarray(value if isinstance(value, np.ndarray | list | tuple) else [value], dtype=object)
    return values.ndim == 1 and values.size > 0 and all(map(_is_number_or_text, values.tolist()))


def _is_number_or_text(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value and value.encode(errors="replace").decode() == value
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _labels(result: xr.Dataset) -> _Wrong:
    """Of dimensions, also those that are no names; of what is known of images, what that is called."""
    for name, index in result.indexes.items():
        if not index.is_unique:
            yield f"{name} holds {_as_shown(index[index.duplicated()][0])} twice", "each label once"
    for name in attribute_names(result):
        if has_control_characters(name):
            yield f"there is {_as_shown(name)}", "names without control characters"
    scores = result["score"].values if "score" in result.coords else SCORES
    if scores.shape != SCORES.shape or not np.allclose(scores, SCORES):
        expected = f"the {len(SCORES)} from {SCORES[0]:g} to {SCORES[-1]:g}"
        yield f"score is {_as_shown(scores.tolist())}", expected


def _pictures(result: xr.Dataset) -> _Wrong:
    """Of what is drawn, what has no height or width; and ranks, classes and scores, where there are none."""
    within = [dim for number in range(len(map_names(result))) for dim in map_dimensions(number)]
    for name in (*_THUMBNAIL[1:], "class", "rank", "score", *within):
        if not result.sizes.get(name, 1):
            yield f"the dimension {name} is empty", "at least one"
    if (colours := result.sizes.get(_THUMBNAIL[-1], 1)) not in (1, 3):
        yield f"thumbnail has {colours} channels", "1 (grey) or 3 (red, green and blue)"


def _variables(result: xr.Dataset) -> _Wrong:
    maps = {name: Spec(map_dimensions(number)) for number, name in enumerate(map_names(result))}
    others = [str(name) for name in result.variables if name not in SPECS and name not in result.dims]
    # Whether they are coordinates or not: some are read by their names.
    attributes = {name: _attribute_spec(result[name]) for name in others if name.startswith(ATTRIBUTE)}
    for name, spec in {**SPECS, **maps, **attributes}.items():
        if name not in result.variables:
            continue
        dimensions, values = result.variables[name].dims, result.variables[name].values
        if dimensions != spec.dimensions:
            yield f"{name} has the dimensions {dimensions}", str(spec.dimensions)
        fits = values.dtype.kind in spec.kind and (spec.kind != BYTES or values.dtype.itemsize == 1)
        if spec.kind == TEXT:
            objects = values.dtype.kind == "O" and all(isinstance(value, str) for value in values.ravel())
            fits = values.dtype.kind in "UT" or objects
        if not fits:
            yield f"{name} is of type {values.dtype}", _IN_WORDS[spec.kind]
        if (spec.least, spec.most) != (-np.inf, np.inf):
            outside = ~((values >= spec.least) & (values <= spec.most))
            if name not in _KNOWN:
                outside &= ~np.isnan(values)
            if outside.any():
                limits = f"to {round(spec.most)}" if spec.most < 2 else "or more"
                expected = f"{max(spec.least, 0):g} {limits}, and no infinity"
                yield f"{name} holds {values[outside][0].item()!r}", expected


def _attribute_spec(found: xr.DataArray) -> Spec:
    return Spec(("image",), TEXT if found.dtype.kind in "UTO" else NUMBERS)


def _distinct_names(result: xr.Dataset) -> _Wrong:
    for coordinate in ("set", "layer"):
        names = [str(name) for name in result[coordinate].values]
        for name in names:
            if names.count(name) > 1:
                yield f"{coordinate} holds {_as_shown(name)} twice", "each name once"
            if not name.strip() or has_control_characters(name):
                yield f"{coordinate} holds the name {_as_shown(name)}", "text without control characters"


def _unit_counts(result: xr.Dataset) -> _Wrong:
    for name in ("n_units", "draw"):
        numbers = result[name].values.tolist()
        if len(set(numbers)) < len(numbers):
            yield f"{name} is {_as_shown(numbers)}", "each number once"
    used, pool, size = (result[name].values for name in ("units_used", "pool_size", "layer_size"))
    if (used > pool[:, np.newaxis]).any() or (pool > size).any():
        expected = "no more units used than recorded, and no more recorded than the layer has"
        yield "units_used, pool_size and layer_size contradict each other", expected
    if "unit" in result:
        units = result["unit"].values
        recorded = np.arange(units.shape[1]) < pool[:, np.newaxis]
        outside = np.where(recorded, (units < 0) | (units >= size[:, np.newaxis]), units != -1)
        if outside.any():
            expected = "the recorded units' places in their layers, and -1 beyond them"
            yield f"unit holds {units[outside][0]}", expected


def _both_limits(result: xr.Dataset) -> _Wrong:
    given = [name for name in LIMITS if name in result]
    if not given:
        return
    if len(given) != len(LIMITS):
        yield f"there is {given[0]} alone", f"both {' and '.join(LIMITS)}"
    sources = [str(name) for name in result["source"].values] if "source" in result.coords else []
    if sources not in (list(SOURCES), list(SOURCES[:2])):
        yield f"source names {_as_shown(sources)}", _as_shown(list(SOURCES))
    if (result[LIMITS[0]] > result[LIMITS[1]]).any():
        yield f"{LIMITS[0]} lies above {LIMITS[1]}", "the lower limit below the upper one"
    for name in LIMITS:
        about = dict(result[name].attrs)
        confidence, method, resamples = map(about.get, ("confidence", "method", "resamples"))
        share = isinstance(confidence, float | np.floating) and 0 < float(confidence) < 1
        if not (share and isinstance(method, str) and (resamples is None or _is_integer(resamples))):
            expected = "the confidence and the method, and of resamples their number"
            yield f"the attributes of {name} are {_as_shown(about)}", expected


def _maps(result: xr.Dataset) -> _Wrong:
    for name in map_names(result):
        rows = result["map_image"].values
        if ((rows < 0) | (rows >= result.sizes["image"])).any():
            expected = f"places of images, 0 to {result.sizes['image'] - 1}"
            yield f"map_image is {_as_shown(rows.tolist())}", expected
        about = {key: fact for key, fact in result[name].attrs.items() if key not in DESCRIBING}
        named = set(about) == {"layer", "filter"} and isinstance(about["layer"], str)
        if not (named and _is_integer(about["filter"]) and about["filter"] >= 0):
            expected = "a layer's name and a channel's number"
            yield f"the attributes of {name} are {_as_shown(about)}", expected


def _parts_of_others(result: xr.Dataset) -> _Wrong:
    for name in (*POINT, "draw", "image"):
        if not result.sizes[name]:
            yield f"the dimension {name} is empty", "at least one"
    for name in ("n_units", "draw"):
        if not (np.diff(result[name].values) > 0).all():
            yield f"{name} is {_as_shown(result[name].values.tolist())}", "numbers in ascending order"
    sets, layers = (result[name].values.astype(str).tolist() for name in ("set", "layer"))
    of_images = result["image_set"].values.astype(str)
    starts = of_images[np.concatenate([[True], of_images[1:] != of_images[:-1]])].tolist()
    if starts != sets:
        what = f"image_set names the sets {_as_shown(starts)}, one after the other"
        yield what, f"each set's images together: {_as_shown(sets)}"
    if SET_REFERENCE in result.coords:
        for name in result[SET_REFERENCE].values.astype(str).tolist():
            if name and name not in sets:
                yield f"{SET_REFERENCE} names the set {_as_shown(name)}", "one that the result has"
    n_images = result.sizes["image"]
    if (n_others := result.sizes.get("image_other", n_images)) != n_images:
        yield f"distance is of {n_others} images", str(n_images)
    named = {name: {result[name].attrs["layer"]} for name in map_names(result)}
    if "filter_layer" in result:
        named["filter_layer"] = set(np.unique(result["filter_layer"].values.astype(str)).tolist())
    for name, given in named.items():
        if unknown := given.difference(layers):
            yield f"{name} names the layer {_as_shown(min(unknown))}", "one that the result has"
