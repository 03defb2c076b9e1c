"""Measuring into a folder, and what a folder holds afterwards."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from differentia.cli.output import print_json, print_result, say, told_by_the_library
from differentia.errors import InputError
from differentia.output.options import FigureOptions
from differentia.system.choices import UNITS
from differentia.system.files import folder_within, require_free, require_writable, user_path
from differentia.system.locking import held
from differentia.system.progress import shown_progress
from differentia.system.showing import counted

if TYPE_CHECKING:
    import xarray as xr

    from differentia.experiment.file import Experiment, ResponsesExperiment
    from differentia.recording.division import Part
    from differentia.recording.passes import PartRecorded
    from differentia.system.progress import Progress

#: The name of the page that explains a folder's result.
REPORT = "report.html"

#: The name of the folder with the responses, from which another run goes on.
STORE = "responses.zarr"

#: The file that repeats the measurement.
EXPERIMENT = "experiment.toml"

#: What is written into a folder, beside the results of further kinds of units: files, and pictures.
FILES = (EXPERIMENT, "result.nc", "predictions.csv", REPORT)
FIGURES = "figures"


@dataclass(frozen=True)
class Shown:
    """What is to be seen of the numbers."""

    figures: FigureOptions
    as_json: bool
    quiet: bool


@dataclass(frozen=True)
class Where:
    """Which processes record and measure, where this one does not."""

    workers: int | None = None
    scheduler: str | None = None

    def check(self, store: bool, part: Part | None) -> None:
        """Raise the errors that can be told before anything is begun."""
        from differentia.system.machine import usable_cores

        given = self._given
        if len(given) > 1:
            raise InputError(
                "--workers are of this machine, --scheduler is of a cluster; leave one of them out"
            )
        if self.workers is not None and self.workers > (cores := usable_cores()):
            raise InputError(
                f"--workers {self.workers}: there are {counted(cores, 'core')} to use; name at most as many"
            )
        if given and part is not None:
            raise InputError(f"--{given[0]} records all parts, --part one; leave one of them out")
        if given and not store:
            raise InputError(
                f"--{given[0]} needs responses on disk, which workers write; leave --no-store out"
            )

    def require_none(self, what: str) -> None:
        """Raise an error where processes were named for what this one measures itself."""
        if self._given:
            raise InputError(f"{what} are measured by this process; leave --{self._given[0]} out")

    @property
    def _given(self) -> list[str]:
        return [name for name in ("workers", "scheduler") if getattr(self, name) is not None]

    def client(self, *, debug: bool) -> AbstractContextManager[Any]:
        """Return the context of a client of these processes; it gives None where there are none."""
        from differentia.recording.cluster import local_workers, scheduler_at

        if self.workers is not None:
            return local_workers(self.workers, debug=debug)
        return nullcontext() if self.scheduler is None else scheduler_at(self.scheduler, debug=debug)


HERE = Where()


def measure_into(
    context: typer.Context,
    out: str | None,
    experiment: Experiment | Mapping[str, Any],
    *,
    store: bool,
    fresh: bool,
    memory: str | None,
    shown: Shown,
    where: Where = HERE,
    part: Part | None = None,
    record: bool = True,
) -> None:
    """Measure, write all that belongs into the folder, and print the numbers; or record a part."""
    from differentia.cli.loading import check_named_network, load_named_network
    from differentia.experiment.checks import check_measurement
    from differentia.experiment.file import experiment_of, write_experiment
    from differentia.recording.store.disk import RECORDINGS, require_store

    # All that can be told before PyTorch and Keras are imported, and a network may have to be downloaded.
    folder = folder_to_write(out)
    if fresh and not store:
        raise InputError("--fresh and --no-store do not go together; leave one of them out")
    where.check(store, part)
    if not (store or record):
        raise InputError(
            "--no-record reads what is kept, and --no-store keeps nothing; leave one of them out"
        )
    if part is not None:
        require_a_store(part, store=store, fresh=fresh, record=record)
    experiment = experiment_of(experiment)
    options, recording = experiment.options(fresh=fresh, memory=memory, record=record)
    check_named_network(experiment.network.spec, **experiment.network.options())
    found = experiment.found_sets(recording.follow_links)
    stimuli = check_measurement(options, recording, {**experiment.sets, **found})
    if store:
        require_store(folder / STORE)
    from differentia.experiment.measure import measure_with, with_pool
    from differentia.recording.cluster import cluster_of
    from differentia.recording.parts import record_part_with

    client = context.with_resource(where.client(debug="--debug" in context.obj))
    cluster = None if client is None else cluster_of(client)
    recordings = folder / STORE / RECORDINGS
    network = load_named_network(
        experiment.network.spec,
        quiet=shown.quiet,
        loaded_by=cluster if record and (fresh or not recordings.exists()) else None,
        **experiment.network.options(),
    )
    if record or (folder / STORE).exists():  # else there is nothing to be measured, and nothing is written
        require_writable(folder, f"--out {folder}")
        context.with_resource(held(folder, share=None if part is None else str(part)))
    before = _times(recordings)
    sources = {name: stimulus.source for name, stimulus in stimuli.items() if name not in found}
    with seen(shown.quiet) as progress:
        kept = replace(recording, store=folder / STORE if store else None, client=cluster, progress=progress)
        if part is not None:
            recorded = record_part_with(network, stimuli, part, with_pool(options, kept))
            if not (folder / EXPERIMENT).exists():
                write_experiment(folder / EXPERIMENT, experiment, sources)
            tell_part(recorded, shown)
            return
        measured = measure_with(network, stimuli, options, kept)
        write_experiment(folder / EXPERIMENT, experiment, sources)
        results, written = write_results(context, folder, measured, shown.figures, progress)
    written[folder / STORE] = _times(recordings) != before
    tell(folder, results, written, shown)


def measure_responses_into(
    context: typer.Context,
    out: str | None,
    experiment: ResponsesExperiment | Mapping[str, Any],
    *,
    memory: str | None,
    shown: Shown,
    where: Where = HERE,
) -> None:
    """Measure the responses of a file, and do the same with the numbers."""
    from differentia.experiment.file import responses_experiment_of, write_responses_experiment

    folder = folder_to_write(out)
    where.check(store=True, part=None)
    experiment = responses_experiment_of(experiment)
    file, options = experiment.responses.file, experiment.measure.model_dump()

    from differentia.experiment.measure import measure_responses
    from differentia.results.dataset import with_provenance

    client = context.with_resource(where.client(debug="--debug" in context.obj))
    context.with_resource(_made_and_held(folder))
    with seen(shown.quiet) as progress:
        result = measure_responses(file, memory=memory, client=client, progress=progress, **options)
        result = with_provenance(result, responses=file)
        write_responses_experiment(folder / EXPERIMENT, experiment)
        measured = {str(result["units"].item()): result}
        results, written = write_results(context, folder, measured, shown.figures, progress)
    tell(folder, results, written, shown)


@contextmanager
def _made_and_held(folder: Path) -> Iterator[None]:
    """Hold a folder alone; one that was made for this is removed again where nothing was written into it."""
    is_new = not folder.exists()
    require_writable(folder, f"--out {folder}")
    try:
        with held(folder):
            yield
    finally:
        if is_new:
            with suppress(OSError):  # it holds something
                folder.rmdir()


def require_a_store(part: Part, *, store: bool, fresh: bool, record: bool) -> None:
    """Raise an error where a part does not go with other options."""
    advice = {
        "--no-store": (not store, "a part goes to a store, which all parts share; leave one of them out"),
        "--fresh": (fresh, "other parts may be recorded already; remove the store, and then begin the parts"),
        "--no-record": (not record, "a part does nothing but record; leave one of them out"),
    }
    for option, (is_given, why) in advice.items():
        if is_given:
            raise InputError(f"--part {part.number}/{part.of} and {option} do not go together: {why}")


def tell_part(recorded: PartRecorded, shown: Shown) -> None:
    """Print what was recorded of a part, and what comes next."""
    part = recorded.part
    if shown.as_json:
        numbers = {name: value for name, value in vars(recorded).items() if name != "part"}
        print_json({"part": part.number, "of": part.of, **numbers})
    if shown.quiet:
        return
    name = str(part).capitalize()
    if not recorded.tasks:
        say(f"{name} has no images, since there are fewer tasks than parts")
        return
    name += f", round {recorded.round} of {recorded.rounds}" if recorded.rounds > 1 else ""
    there = f"{recorded.there:,} {'was' if recorded.there == 1 else 'were'} there"
    left_out = f"{counted(recorded.left_out, 'image')} could not be read"
    done = [
        f"{counted(recorded.images, 'image')} recorded",
        there,
        *([left_out] if recorded.left_out else []),
    ]
    then = "run the same without --part to measure"
    if recorded.round < recorded.rounds:
        then = "run them all again, to record the units that rank highest"
    say(f"{name}: {', '.join(done)}; once all parts are done, {then}")


def folder_to_write(out: str | None, files: Sequence[str] = ()) -> Path:
    """Return the folder that --out names, in which nothing is in the way, of these files neither."""
    from differentia.output.unchanged import RECORD

    if not out:
        raise InputError("--out is missing; name the folder to write to: --out DIR")
    folder = user_path(out)
    files = (*FILES, *files, RECORD, *(path.name for path in _kind_paths(folder).values()))
    require_free(folder, f"--out {folder}", files=files, folders=[FIGURES, STORE])
    return folder


@contextmanager
def seen(quiet: bool) -> Iterator[Progress]:
    """Let be seen how far it is, and what the library has to tell."""
    with (
        nullcontext() if quiet else told_by_the_library(),
        shown_progress(False if quiet else None) as progress,
    ):
        yield progress


def write_results(
    context: typer.Context,
    folder: Path,
    measured: Mapping[str, xr.Dataset],
    figures: FigureOptions,
    progress: Progress,
) -> tuple[dict[str, xr.Dataset], dict[Path, bool]]:
    """Write results by kind of units with all that shows them; return them, and whether each had changed."""
    from differentia.results.dataset import with_provenance

    command = shlex.join(["differentia", *context.obj])
    results = {kind: with_provenance(result, command=command) for kind, result in measured.items()}
    written = dict.fromkeys([folder / EXPERIMENT, *_save_results(results, folder)], True)
    return results, written | write_views(results, folder, figures, progress)


def tell(
    folder: Path,
    results: Mapping[str, xr.Dataset],
    written: Mapping[Path, bool],
    shown: Shown,
) -> None:
    """Print the numbers, and what was written."""
    from differentia.results.tables import table_rows

    if shown.as_json:
        print_json([row for result in results.values() for row in table_rows(result)])
    elif not shown.quiet:
        for result in results.values():
            print_result(result)
    if not shown.quiet:
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

    Earlier figures that were removed are among them. Progress is told of each figure, and of the report.
    """
    from differentia.output.figures.save import save_figures, saved_figures
    from differentia.output.report.page import write_report
    from differentia.output.unchanged import make_unless_unchanged, origin_of_figures, origin_of_report
    from differentia.results.contrasts import contrasts_between_sets

    tell = progress or (lambda done, total, what: None)
    pictures = folder_within(folder, FIGURES)
    contrasts = cache(
        lambda: contrasts_between_sets(next(iter(results.values())), progress=progress or False)
    )

    def draw() -> None:
        compared = contrasts() if figures.formats else []
        save_figures(results, pictures, compared, progress=progress or False, **vars(figures))

    def explain() -> None:
        tell(0, 1, "report")
        write_report(results, folder / REPORT, contrasts=contrasts())
        tell(1, 1, "report")

    before = saved_figures(pictures)
    views = {
        pictures: make_unless_unchanged(pictures, origin_of_figures(results, figures), draw),
        folder / REPORT: make_unless_unchanged(folder / REPORT, origin_of_report(results), explain),
    }
    return views | {figure: True for figure in before if not figure.exists()}


def say_written(folder: Path, written: Mapping[Path, bool]) -> None:
    """Say what a run has written into a folder, what it has left as it was, and what to open."""
    there = {path: path.name + "/" * path.is_dir() for path in sorted(written) if path.exists()}
    new, old = (
        ", ".join(name for path, name in there.items() if written[path] is made) for made in (True, False)
    )
    removed = sum(path.parent == folder / FIGURES for path in written if not path.exists())
    say(
        f"Written to {folder}: {new or 'nothing'}"
        + (f"; unchanged: {old}" if old else "")
        + (f"; removed: {removed} earlier figure{'s' * (removed > 1)}" if removed else "")
    )
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
