"""The experiment file: a measurement written down in TOML, so that it can be read, shared and repeated."""

from __future__ import annotations

import glob
import inspect
import os
import tomllib
import warnings
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)

from differentia.definition import METRICS, NORMALIZATIONS
from differentia.errors import DifferentiaWarning, InputError, require_known, unknown_name
from differentia.experiment import N_UNITS, measure
from differentia.folders import read_text, user_path, written_whole
from differentia.intervals import LEAST_RESAMPLES, MOST_RESAMPLES
from differentia.networks import COMPILE, PREPROCESSINGS
from differentia.planning import MAP_IMAGES
from differentia.stimuli import CROPS, RESIZES, is_generated
from differentia.units import UNIT_KINDS


def _known(what: str, names: Iterable[str]) -> AfterValidator:
    def check(given: str) -> str:
        require_known(what, given, names)
        return given

    return AfterValidator(check)


#: One of something, or a list of them.
_AS_LIST = BeforeValidator(lambda given: [given] if isinstance(given, str | int) else given)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


#: A text that says something: an empty path would be the file's own folder.
_Text = Annotated[str, Field(min_length=1)]


_UnitKind = Annotated[str, _known("kind of units", UNIT_KINDS)]


class NetworkSection(_Section):
    """The table ``[network]``: a spec, and keywords of `load_network`."""

    spec: _Text
    preprocess: Annotated[str, _known("preprocessing", PREPROCESSINGS)] | None = None
    input_shape: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)] | None = None
    device: str = "auto"


class MeasureSection(_Section):
    """The table ``[measure]``: keywords of `measure`; what is left out has its default."""

    n_units: Annotated[list[PositiveInt], _AS_LIST, Field(min_length=1)] | None = None
    draws: PositiveInt | None = None
    units: Annotated[
        list[Annotated[str, _known("kind of units", UNIT_KINDS)]], _AS_LIST, Field(min_length=1)
    ] = ["random"]
    pool: PositiveInt | None = None
    layers: Annotated[list[str], _AS_LIST, Field(min_length=1)] | None = None
    normalize: Annotated[str, _known("normalization", NORMALIZATIONS)] | None = None
    metric: Annotated[str, _known("metric", METRICS)] | None = None
    reference: str | None = None
    confidence: Annotated[float, Field(ge=0.5, lt=1)] | None = None
    resamples: Annotated[int, Field(ge=LEAST_RESAMPLES, le=MOST_RESAMPLES)] | None = None
    seed: NonNegativeInt | None = None
    resize: Annotated[str, _known("resize filter", RESIZES)] | None = None
    crop: Annotated[str, _known("crop", CROPS)] | None = None
    batch_size: PositiveInt | None = None
    compile: Annotated[str, _known("compile", COMPILE)] | None = None
    views: bool | None = None
    maps: dict[str, Annotated[list[NonNegativeInt], _AS_LIST]] | None = None
    map_images: Annotated[list[NonNegativeInt], _AS_LIST] | None = None
    skip_unreadable: bool | None = None
    follow_links: bool | None = None


#: What `measure` does unless it is told otherwise.
MEASURE_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(measure).parameters.items()
    if name in MeasureSection.model_fields
}


class Experiment(_Section):
    """A measurement.

    Attributes
    ----------
    network
        What is shown the images.
    sets
        Name -> source, as on the command line.
    measure
        How it is measured.
    out
        The folder to write to.
    differentia
        The version that wrote the file.
    """

    network: NetworkSection
    sets: Annotated[dict[_Text, _Text], Field(min_length=1)]
    measure: MeasureSection = MeasureSection()
    out: _Text | None = None
    differentia: str | None = None


def read_experiment(path: str | os.PathLike[str]) -> Experiment:
    """Read an experiment file; paths in it are relative to its folder, and are absolute afterwards.

    Parameters
    ----------
    path
        Of the file, or of a folder that holds ``experiment.toml``.

    Raises
    ------
    InputError
        There is no such file, it is no TOML, or a field is missing, unknown or wrong: the error names the
        file, the field and the reason.
    """
    file = user_path(path)
    if file.is_dir():
        file = file / "experiment.toml"
    try:
        content = tomllib.loads(read_text(file))
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; give an experiment file, or the folder of one") from None
    except (OSError, ValueError, RecursionError) as error:  # no permission, no UTF-8, no TOML
        raise InputError(f"{path}: can't be read as TOML: {error}") from error
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_problem(dict(detail)) for detail in error.errors())
        raise InputError(f"{path}: {problems}") from None
    if experiment.differentia not in (None, version("differentia")):
        warnings.warn(
            f"{path}: was written by differentia {experiment.differentia}; this is {version('differentia')}, "
            "whose numbers may differ",
            DifferentiaWarning,
            stacklevel=2,
        )
    folder = file.absolute().parent
    experiment.network.spec = _absolute_spec(experiment.network.spec, folder)
    experiment.sets = {name: _absolute_source(source, folder) for name, source in experiment.sets.items()}
    if experiment.out is not None:
        experiment.out = _absolute(experiment.out, folder)
    return experiment


def _problem(detail: Mapping[str, Any]) -> str:
    """Return the field and the reason of one of Pydantic's errors."""
    place = [str(part) for part in detail["loc"]]
    field = ".".join(place)
    if detail["type"] == "extra_forbidden":
        sections: dict[str, type[BaseModel]] = {"network": NetworkSection, "measure": MeasureSection}
        section = sections.get(place[0], Experiment) if len(place) > 1 else Experiment
        return f"{field}: {unknown_name('field', place[-1], section.model_fields)}"
    if detail["type"] == "missing":
        return f"{field}: is missing"
    if detail["type"] in ("model_type", "dict_type"):
        return f"{field}: is {detail['input']!r}; expected a table, [{field}]"
    reason = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return f"{field}: {reason}"
    return f"{field}: is {detail['input']!r}; {reason[0].lower()}{reason[1:]}"


def write_experiment(
    path: Path,
    *,
    network: str,
    network_options: Mapping[str, Any],
    sets: Mapping[str, str],
    options: Mapping[str, Any],
) -> None:
    """Write the experiment file that repeats a measurement; its paths are absolute, its defaults spelled out.

    Parameters
    ----------
    path
        Of the file; it is whole or absent.
    network
        A network's spec.
    network_options
        Keywords of `load_network`; what is None is left out.
    sets
        Name -> source, as on the command line.
    options
        Keywords of `measure`; what is None is left out.

    Raises
    ------
    InputError, StorageError
        It can't be written.
    """
    import tomli_w

    folder = Path.cwd()
    content = {
        "differentia": version("differentia"),
        "network": {"spec": _absolute_spec(network, folder), **_given(network_options)},
        "sets": {name: _absolute_source(source, folder) for name, source in sets.items()},
        "measure": _given(_in_full(options)),
    }
    with written_whole(path) as beside:
        beside.write_text(tomli_w.dumps(content), encoding="utf-8")


def _in_full(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a measurement with the defaults of today, in the order of the fields."""
    full = {name: default for name, default in MEASURE_DEFAULTS.items() if options.get(name) is None}
    full |= {name: value for name, value in options.items() if value is not None}
    kinds = full["units"] if not isinstance(full["units"], str) else [full["units"]]
    if full["n_units"] is None and any(UNIT_KINDS[kind].counted for kind in kinds):
        full["n_units"] = N_UNITS
    if full["maps"] and full["map_images"] is None:
        full["map_images"] = MAP_IMAGES
    return {name: full[name] for name in MeasureSection.model_fields}


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not None, as TOML has it: lists and not tuples."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: plain(item) for name, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, tuple | list) else value

    return {name: plain(value) for name, value in options.items() if value is not None}


def _absolute(path: str, folder: Path) -> str:
    return os.path.abspath(folder / os.path.expanduser(path))


def _absolute_source(source: str, folder: Path) -> str:
    if is_generated(source):
        return source
    path = _absolute(source, folder)
    if not glob.has_magic(source) or os.path.exists(path):
        return path
    return _absolute(source, Path(glob.escape(str(folder))))  # a pattern below a folder of any name


def _absolute_spec(spec: str, folder: Path) -> str:
    """Return a network's spec with the paths in it absolute."""
    name, _, query = spec.partition("?")
    if name.endswith(".keras"):
        name = _absolute(name, folder)
    parts = []
    for part in query.split("&") if query else []:
        key, _, value = part.partition("=")
        weights = key == "weights" and value.lower() not in ("imagenet", "none")
        if weights or (key == "classes" and Path(_absolute(value, folder)).is_file()):
            part = f"{key}={_absolute(value, folder)}"
        parts.append(part)
    return f"{name}?{'&'.join(parts)}" if parts else name
