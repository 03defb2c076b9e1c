"""The experiment file: a measurement written down in TOML, so that it can be read, shared and repeated."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import Field, ValidationError

from differentia.errors import InputError, unknown_name, warn
from differentia.experiment.checks import counts_of
from differentia.experiment.options import MeasureOptions, measure_and_record
from differentia.networks.specs import absolute_spec
from differentia.neurons.options import RecordingOptions
from differentia.recording.options import MAP_IMAGES, RecordOptions
from differentia.stimuli.base import Stimuli
from differentia.stimuli.sources import absolute_source, is_made_of_others
from differentia.stimuli.tables import sets_from
from differentia.system.choices import DTYPE, PREPROCESS
from differentia.system.fields import (
    DISTINCT,
    SEVERAL,
    Count,
    Problem,
    Strict,
    Text,
    as_toml,
    model_of,
    options_of,
    problems,
)
from differentia.system.files import absolute_path, read_text, user_path, written_whole

_AnyExperiment = TypeVar("_AnyExperiment", bound=Strict)

#: The keywords of `measure` that a file may give.
IN_FILE = {
    name: option for name, option in options_of(MeasureOptions, RecordOptions).items() if option.in_file
}


#: Those of `measure_responses`.
OF_RESPONSES = {name: IN_FILE[name] for name in (*options_of(MeasureOptions), "pool", "seed")}


class NetworkSection(Strict):
    """The table ``[network]``: a spec, and keywords of `load_network`."""

    spec: Text
    preprocess: Annotated[str, PREPROCESS] | None = None
    input_shape: Annotated[tuple[Count, ...], SEVERAL, Field(min_length=3, max_length=3)] | None = None
    classes: Text | None = None
    device: str = "auto"
    dtype: Annotated[str, DTYPE] | None = None

    def options(self) -> dict[str, Any]:
        return {name: value for name, value in self if name != "spec" and value is not None}

    def with_absolute_paths(self, folder: Path) -> NetworkSection:
        """Return the same with its paths, relative to a folder, absolute."""
        classes = None if self.classes is None else absolute_path(self.classes, folder)
        return self.model_copy(update={"spec": absolute_spec(self.spec, folder), "classes": classes})


class MeasureSection(model_of(IN_FILE.values())):  # type: ignore[misc]
    """The table ``[measure]``: keywords of `measure`; what is left out has its default."""


class Experiment(Strict):
    """A measurement; its sets are name -> source, as on the command line, and those of a folder or table."""

    network: NetworkSection
    sets: dict[Text, Text]
    sets_from: Text | None = None
    measure: MeasureSection = MeasureSection()
    out: Text | None = None
    differentia: str | None = None

    def options(self, **machine: Any) -> tuple[MeasureOptions, RecordOptions]:
        """Return the options, with those that depend on the machine."""
        return measure_and_record({**self.measure.model_dump(), **machine})

    def set_names(self) -> set[str]:
        """Return the names of all sets that others can be made of; no table is read where none are."""
        made = any(map(is_made_of_others, self.sets.values()))
        found = self.found_sets(self.measure.follow_links) if made and self.sets_from is not None else {}
        return {*(name.strip() for name in self.sets), *found}

    def found_sets(self, follow_links: bool) -> dict[str, Stimuli]:
        """Return the sets of a folder or a table; none of them may be named by ``[sets]`` too."""
        found = {} if self.sets_from is None else sets_from(self.sets_from, follow_links=follow_links)
        for name in self.sets:
            if name.strip() in found:
                raise InputError(
                    f"two sets have the name {name.strip()!r}: one of its own (--set), and one of "
                    f"{self.sets_from} (--sets-from); give each its own"
                )
        return found


class ResponsesSection(Strict):
    """The table ``[responses]``: what `read_responses` takes."""

    file: Text


class MeasureResponsesSection(model_of(OF_RESPONSES.values())):  # type: ignore[misc]
    """The table ``[measure]`` where responses are at hand: keywords of `measure_responses`."""


class ResponsesExperiment(Strict):
    """A measurement of responses that are in a file."""

    responses: ResponsesSection
    measure: MeasureResponsesSection = MeasureResponsesSection()
    out: Text | None = None
    differentia: str | None = None


class RecordingSection(model_of(options_of(RecordingOptions).values())):  # type: ignore[misc]
    """The table ``[recording]``: files of recordings, and what is taken of each."""

    files: Annotated[tuple[Text, ...], SEVERAL, Field(min_length=1), DISTINCT]

    def options(self) -> RecordingOptions:
        return RecordingOptions(**{name: value for name, value in self if name != "files"})


class RecordingExperiment(Strict):
    """A measurement of recordings in files, one of each session."""

    recording: RecordingSection
    measure: MeasureResponsesSection = MeasureResponsesSection()
    out: Text | None = None
    differentia: str | None = None


#: An experiment of any kind.
AnyExperiment: TypeAlias = Experiment | ResponsesExperiment | RecordingExperiment


def read_experiment(path: str | os.PathLike[str]) -> AnyExperiment:
    """Read an experiment file, or a folder's; its paths, relative to its folder, are absolute afterwards."""
    file = user_path(path)
    if file.is_dir():
        file = file / "experiment.toml"
        if not file.is_file():
            raise InputError(
                f"{path}: holds no experiment.toml; name an experiment file, or the folder of one"
            )
    try:
        content = tomllib.loads(read_text(file))
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; give an experiment file, or the folder of one") from None
    except (OSError, ValueError, RecursionError) as error:  # no permission, no UTF-8, no TOML
        raise InputError(f"{path}: can't be read as TOML: {error}") from error
    try:
        experiment = next((of for name, of in BY_SECTION.items() if name in content), experiment_of)(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if experiment.differentia not in (None, version("differentia")):
        warn(
            "other",
            f"{path}: was written by differentia {experiment.differentia}; this is {version('differentia')}, "
            "whose numbers may differ",
        )
    folder = file.absolute().parent
    if isinstance(experiment, ResponsesExperiment):
        experiment.responses.file = absolute_path(experiment.responses.file, folder)
    elif isinstance(experiment, RecordingExperiment):
        experiment.recording.files = tuple(absolute_path(file, folder) for file in experiment.recording.files)
    else:
        experiment.network = experiment.network.with_absolute_paths(folder)
        if experiment.sets_from is not None:
            experiment.sets_from = absolute_source(experiment.sets_from, folder)
        names = experiment.set_names()
        experiment.sets = {
            name: absolute_source(source, folder, names) for name, source in experiment.sets.items()
        }
    if experiment.out is not None:
        experiment.out = absolute_path(experiment.out, folder)
    return experiment


def experiment_of(content: Experiment | Mapping[str, Any]) -> Experiment:
    """Return an experiment of the content of a file."""
    if isinstance(content, Mapping) and "sets_from" in content:
        content = {"sets": {}, **content}
    return _validated(Experiment, content)


def responses_experiment_of(content: ResponsesExperiment | Mapping[str, Any]) -> ResponsesExperiment:
    """Return an experiment of responses at hand, of the content of a file."""
    _require_alone("responses", content, "the responses that are at hand")
    return _validated(ResponsesExperiment, content)


def recording_experiment_of(content: RecordingExperiment | Mapping[str, Any]) -> RecordingExperiment:
    """Return an experiment of recordings, of the content of a file."""
    _require_alone("recording", content, "the files of recordings")
    return _validated(RecordingExperiment, content)


#: By the table that a file of its kind has: what makes an experiment of its content.
BY_SECTION: dict[str, Callable[[Any], AnyExperiment]] = {
    "responses": responses_experiment_of,
    "recording": recording_experiment_of,
}


def _require_alone(section: str, content: Any, what: str) -> None:
    """Raise an error where a file has the tables of another kind of experiment beside its own."""
    if not isinstance(content, Mapping):
        return
    for name, other in (("network", "sets"), ("sets", "network")):
        if name in content:
            raise InputError(
                f"{name}: goes with [{other}], beside which there can be no [{section}]; give a network and "
                f"sets of images, or {what}"
            )
    for name in {*BY_SECTION} & {*content} - {section}:
        raise InputError(f"{name}: there can be no [{section}] beside it; give one of the two")


def _validated(kind: type[_AnyExperiment], content: _AnyExperiment | Mapping[str, Any]) -> _AnyExperiment:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise InputError("; ".join(_described(problem, kind) for problem in problems(error))) from None


def _described(problem: Problem, kind: type[Strict]) -> str:
    *sections, name = problem.place
    field = ".".join(problem.place)
    if problem.kind == "extra_forbidden":
        section: Any = kind.model_fields[sections[0]].annotation if sections else kind
        return f"{field}: {unknown_name('field', name, section.model_fields)}"
    if problem.kind == "missing":
        return f"{field}: is missing"
    if problem.kind in ("model_type", "dict_type"):
        return f"{field}: is {problem.given}; expected a table, [{field}]"
    return f"{field}: {'' if problem.given is None else f'is {problem.given}; '}{problem.reason}"


def write_experiment(path: Path, experiment: Experiment, sets: Mapping[str, str]) -> None:
    """Write the file that repeats a measurement; its paths are absolute, its defaults spelled out."""
    folder = Path.cwd()
    network = experiment.network.with_absolute_paths(folder)
    options, recording = experiment.options()
    full = {**vars(options), **vars(recording), "n_units": counts_of(options, recording)}
    if full["maps"] and full["map_images"] is None:
        full["map_images"] = MAP_IMAGES
    measure = {name: as_toml(full[name]) for name in IN_FILE if full[name] is not None}
    names = {*sets, *experiment.set_names()}
    many = (
        {} if experiment.sets_from is None else {"sets_from": absolute_source(experiment.sets_from, folder)}
    )
    content = {
        **many,
        "network": {"spec": network.spec, **as_toml(network.options())},
        "sets": {name: absolute_source(source, folder, names) for name, source in sets.items()},
        "measure": measure,
    }
    _write(path, content)


def write_responses_experiment(path: Path, experiment: ResponsesExperiment) -> None:
    """Write the file that repeats a measurement of responses at hand, in the same way."""
    measure = {name: as_toml(value) for name, value in experiment.measure if value is not None}
    _write(
        path,
        {"responses": {"file": absolute_path(experiment.responses.file, Path.cwd())}, "measure": measure},
    )


def write_recording_experiment(path: Path, experiment: RecordingExperiment, files: Sequence[str]) -> None:
    """Write the file that repeats a measurement of recordings, or of some of them, in the same way."""
    section, measure = (
        {name: as_toml(value) for name, value in table if value is not None}
        for table in (experiment.recording, experiment.measure)
    )
    section["files"] = [absolute_path(file, Path.cwd()) for file in files]
    _write(path, {"recording": section, "measure": measure})


def _write(path: Path, content: Mapping[str, Any]) -> None:
    import tomli_w

    with written_whole(path) as beside:
        beside.write_text(tomli_w.dumps({"differentia": version("differentia"), **content}), encoding="utf-8")
