"""Measuring into a folder, and what a folder holds afterwards."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from differentia.cli.output import print_json, print_result, say, told_by_the_library
from differentia.errors import InputError
from differentia.system.choices import UNITS
from differentia.system.files import require_free, require_writable, user_path
from differentia.system.locking import held
from differentia.system.progress import shown_progress

if TYPE_CHECKING:
    import xarray as xr

    from differentia.experiment.file import Experiment, ResponsesExperiment

#: The name of the page that explains a folder's result.
REPORT = "report.html"

#: The name of the folder with the responses, from which another run goes on.
STORE = "responses.zarr"

#: What is written into a folder, beside the results of further kinds of units: files, and pictures.
FILES = ("experiment.toml", "result.nc", "predictions.csv", REPORT)
FIGURES = "figures"


def measure_into(
    context: typer.Context,
    out: str | None,
    experiment: Experiment | Mapping[str, Any],
    *,
    store: bool,
    fresh: bool,
    memory: str | None,
    as_json: bool,
) -> None:
    """Measure, write all that belongs into the folder, and print the numbers."""
    from differentia.cli.loading import check_named_network, load_named_network
    from differentia.experiment.checks import check_measurement
    from differentia.experiment.file import experiment_of, write_experiment
    from differentia.recording.store.disk import require_store

    # All that can be told before PyTorch and Keras are imported, and a network may have to be downloaded.
    folder = _folder_to_write(out)
    if fresh and not store:
        raise InputError("--fresh and --no-store do not go together; leave one of them out")
    experiment = experiment_of(experiment)
    options, recording = experiment.options(fresh=fresh, memory=memory)
    check_named_network(experiment.network.spec, **experiment.network.options())
    stimuli = check_measurement(options, recording, experiment.sets)
    if store:
        require_store(folder / STORE)
    from differentia.experiment.measure import measure_with

    network = load_named_network(experiment.network.spec, **experiment.network.options())
    require_writable(folder, f"--out {folder}")
    context.with_resource(held(folder))
    with shown_progress() as progress, told_by_the_library():
        kept = replace(recording, store=folder / STORE if store else None, progress=progress)
        measured = measure_with(network, stimuli, options, kept)
    sources = {name: stimulus.source for name, stimulus in stimuli.items()}
    write_experiment(folder / "experiment.toml", experiment, sources)
    _write_results(context, folder, measured, as_json=as_json)


def measure_responses_into(
    context: typer.Context,
    out: str | None,
    experiment: ResponsesExperiment | Mapping[str, Any],
    *,
    memory: str | None,
    as_json: bool,
) -> None:
    """Measure the responses of a file, and do the same with the numbers."""
    from differentia.experiment.file import responses_experiment_of, write_responses_experiment
    from differentia.experiment.measure import measure_responses
    from differentia.recording.response_files import read_responses
    from differentia.results.dataset import with_provenance

    folder = _folder_to_write(out)
    experiment = responses_experiment_of(experiment)
    file, options = experiment.responses.file, experiment.measure.model_dump()
    responses = read_responses(file)
    require_writable(folder, f"--out {folder}")
    context.with_resource(held(folder))
    with told_by_the_library():
        result = measure_responses(responses, memory=memory, **options)
    result = with_provenance(result, responses=file)
    write_responses_experiment(folder / "experiment.toml", experiment)
    _write_results(context, folder, {str(result["units"].item()): result}, as_json=as_json)


def _folder_to_write(out: str | None) -> Path:
    """Return the folder that --out names, in which nothing is in the way."""
    if not out:
        raise InputError("--out is missing; name the folder to write to: --out DIR")
    folder = user_path(out)
    files = (*FILES, *(path.name for path in _kind_paths(folder).values()))
    require_free(folder, f"--out {folder}", files=files, folders=[FIGURES, STORE])
    return folder


def _write_results(
    context: typer.Context, folder: Path, measured: Mapping[str, xr.Dataset], *, as_json: bool
) -> None:
    """Write results by kind of units with all that shows them, and print the numbers."""
    from differentia.results.dataset import with_provenance
    from differentia.results.tables import table_rows

    command = shlex.join(["differentia", *context.obj])
    results = {kind: with_provenance(result, command=command) for kind, result in measured.items()}
    _save_results(results, folder)
    write_views(results, folder)
    if as_json:
        print_json([row for result in results.values() for row in table_rows(result)])
    else:
        for result in results.values():
            print_result(result)
    written = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir() if path.name[0] != ".")
    say(f"Written to {folder}: {', '.join(written)}")
    name_report(folder)


def _save_results(results: Mapping[str, xr.Dataset], folder: Path) -> None:
    from differentia.results.files import save
    from differentia.results.tables import save_predictions

    paths = _kind_paths(folder)
    for place, (kind, result) in enumerate(results.items()):
        save(result, paths.pop(kind) if place else folder / "result.nc")
    for stale in paths.values():
        stale.unlink(missing_ok=True)
    save_predictions(next(iter(results.values())), folder / "predictions.csv")


def write_views(results: Mapping[str, xr.Dataset], folder: Path) -> list[Path]:
    """Write the figures and the report of a folder's results, and return their paths."""
    from differentia.output.figures.save import save_figures, save_kinds
    from differentia.output.report.page import write_report
    from differentia.results.contrasts import contrasts_between_sets

    first = next(iter(results.values()))
    contrasts = contrasts_between_sets(first)
    written = save_figures(first, folder / FIGURES, contrasts)
    written += save_kinds(results, folder / FIGURES) if len(results) > 1 else []
    return [*written, write_report(results, folder / REPORT, contrasts=contrasts)]


def name_report(folder: Path) -> None:
    say(f"Open {folder / REPORT} in a browser")


def _kind_paths(folder: Path) -> dict[str, Path]:
    """Return where the results of further kinds of units lie in a folder, by kind."""
    return {kind: folder / f"result_{kind}.nc" for kind in UNITS.names}


def read_results(folder: Path) -> dict[str, xr.Dataset]:
    """Return the results of a folder by their kind of units, that of result.nc first."""
    from differentia.results.files import load_result

    first = load_result(folder / "result.nc")
    results = {str(first["units"].item()): first}
    for kind, path in _kind_paths(folder).items():
        if path.is_file():
            other = load_result(path)
            if str(other["units"].item()) != kind or kind in results:
                raise InputError(
                    f"{path}: is of units {other['units'].item()!r}, beside a result.nc of "
                    f"{first['units'].item()!r}; take the file that does not belong here away"
                )
            results[kind] = other
    return results
