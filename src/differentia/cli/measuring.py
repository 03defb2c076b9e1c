"""Measuring into a folder, and what a folder holds afterwards."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from differentia.cli.output import print_json, print_result, progress_bar, say, told_by_the_library
from differentia.errors import InputError
from differentia.output.options import FigureOptions
from differentia.system.choices import UNITS
from differentia.system.files import require_free, require_writable, user_path
from differentia.system.locking import held

if TYPE_CHECKING:
    import xarray as xr

    from differentia.experiment.file import Experiment
    from differentia.recording.options import Progress

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
    figures: FigureOptions,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure, write all that belongs into the folder, and print the numbers."""
    from differentia.cli.loading import load_named_network
    from differentia.experiment.file import experiment_of, write_experiment
    from differentia.experiment.measure import measure_with
    from differentia.output.unchanged import RECORD
    from differentia.recording.store.disk import RECORDINGS, require_store
    from differentia.results.dataset import with_provenance
    from differentia.results.tables import table_rows
    from differentia.stimuli.presentation import as_sets

    # All that can be told before a network may have to be downloaded.
    if not out:
        raise InputError("--out is missing; name the folder to write to: --out DIR")
    if fresh and not store:
        raise InputError("--fresh and --no-store do not go together; leave one of them out")
    folder = user_path(out)
    experiment = experiment_of(experiment)
    options, recording = experiment.options(fresh=fresh, memory=memory)
    stimuli = as_sets(experiment.sets, seed=recording.seed, follow_links=recording.follow_links)
    files = (*FILES, RECORD, *(path.name for path in _kind_paths(folder).values()))
    require_free(folder, f"--out {folder}", files=files, folders=[FIGURES, STORE])
    if store:
        require_store(folder / STORE)
    network = load_named_network(experiment.network.spec, **experiment.network.options())
    require_writable(folder, f"--out {folder}")
    context.with_resource(held(folder))
    recordings = folder / STORE / RECORDINGS
    before = _times(recordings)
    with nullcontext() if quiet else told_by_the_library(), progress_bar(shown=not quiet) as progress:
        kept = replace(recording, store=folder / STORE if store else None, progress=progress)
        measured = measure_with(network, stimuli, options, kept)
        command = shlex.join(["differentia", *context.obj])
        results = {kind: with_provenance(result, command=command) for kind, result in measured.items()}
        sources = {name: stimulus.source for name, stimulus in stimuli.items()}
        write_experiment(folder / "experiment.toml", experiment, sources)
        written = dict.fromkeys([folder / "experiment.toml", *_save_results(results, folder)], True)
        written |= write_views(results, folder, figures, progress)
    if as_json:
        print_json([row for result in results.values() for row in table_rows(result)])
    elif not quiet:
        for result in results.values():
            print_result(result)
    written[folder / STORE] = _times(recordings) != before
    if not quiet:
        say_written(folder, written)


def _times(recordings: Path) -> dict[str, int]:
    """Return when the folders of each recording in a store last got or lost a file."""
    return {
        place: os.stat(place).st_mtime_ns for one in recordings.glob("*/") for place, _, _ in os.walk(one)
    }


def _save_results(results: Mapping[str, xr.Dataset], folder: Path) -> list[Path]:
    """Write the results and the predictions, and return their paths; those of an earlier run are removed."""
    from differentia.results.files import save
    from differentia.results.tables import save_predictions

    paths, written = _kind_paths(folder), []
    for place, (kind, result) in enumerate(results.items()):
        written.append(paths.pop(kind) if place else folder / "result.nc")
        save(result, written[-1])
    for stale in paths.values():
        stale.unlink(missing_ok=True)
    predictions = folder / "predictions.csv"
    save_predictions(next(iter(results.values())), predictions)
    return [*written, predictions] if predictions.exists() else written


def write_views(
    results: Mapping[str, xr.Dataset],
    folder: Path,
    figures: FigureOptions,
    progress: Progress | None = None,
) -> dict[Path, bool]:
    """Write the figures and the report of a folder's results; return for each whether it had changed.

    Progress is told of each figure, and of the report as one.
    """
    from differentia.output.figures.save import save_figures
    from differentia.output.report.page import write_report
    from differentia.output.unchanged import make_unless_unchanged, origin_of_figures, origin_of_report
    from differentia.results.contrasts import contrasts_between_sets

    tell = progress or (lambda done, total, what: None)
    contrasts = cache(lambda: contrasts_between_sets(next(iter(results.values()))))

    def draw() -> None:
        compared = contrasts() if figures.formats else []
        save_figures(results, folder / FIGURES, compared, progress=progress, **vars(figures))

    def explain() -> None:
        tell(0, 1, "report")
        write_report(results, folder / REPORT, contrasts=contrasts())
        tell(1, 1, "report")

    return {
        folder / FIGURES: make_unless_unchanged(folder / FIGURES, origin_of_figures(results, figures), draw),
        folder / REPORT: make_unless_unchanged(folder / REPORT, origin_of_report(results), explain),
    }


def say_written(folder: Path, written: Mapping[Path, bool]) -> None:
    """Say what a run has written into a folder, what it has left as it was, and what to open."""
    there = {path: path.name + "/" * path.is_dir() for path in sorted(written) if path.exists()}
    new, old = (
        ", ".join(name for path, name in there.items() if written[path] is made) for made in (True, False)
    )
    say(f"Written to {folder}: {new or 'nothing'}" + (f"; unchanged: {old}" if old else ""))
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
