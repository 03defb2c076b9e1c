"""The command `neurons`: recordings of one or several sessions into a folder."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from differentia.cli import measuring
from differentia.cli.measuring import EXPERIMENT, FIGURES, REPORT, STORE, Shown
from differentia.cli.output import print_json, print_paragraph, print_table, print_text, say, written_value
from differentia.cli.tables import Column, aligned
from differentia.errors import InputError
from differentia.system.files import folder_within, names_in_one_folder, require_writable
from differentia.system.locking import held

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from differentia.experiment.file import RecordingExperiment
    from differentia.neurons.recording import Recording
    from differentia.output.options import FigureOptions
    from differentia.system.progress import Progress

#: Which units were used, and the value of each trial.
UNITS, TRIALS = "units.csv", "trials.csv"

#: The means over sessions; how two sets differ in their trials, within sessions and across them.
ACROSS, COMPARISON = "across.csv", "comparison.csv"

#: Pictures of the same, which `save_figures` does not know.
PICTURES = ("across", "across_relative", "trials")


class Together(NamedTuple):
    """What is said of several sessions together."""

    across: xr.Dataset | None
    compared: xr.Dataset | None
    said: list[str]


def measure_recordings_into(
    context: typer.Context,
    out: str | None,
    experiment: RecordingExperiment | Mapping[str, Any],
    *,
    memory: str | None,
    shown: Shown,
) -> None:
    """Measure the recordings of files, and write all that belongs into the folder."""
    from differentia.experiment.file import recording_experiment_of
    from differentia.neurons.options import require_together

    folder = measuring.folder_to_write(out, files=(UNITS, TRIALS, ACROSS, COMPARISON))
    experiment = recording_experiment_of(experiment)
    require_together(experiment.recording.options(), pool=experiment.measure.pool)
    recordings = _read(experiment)  # all of them, before any is measured
    require_writable(folder, f"--out {folder}")
    context.with_resource(held(folder))
    told: dict[str, Any] = {"memory": memory, "figures": shown.figures, "quiet": shown.quiet}
    with measuring.seen(shown.quiet) as progress:
        if len(recordings) == 1:
            ((name, recording),) = recordings.items()
            result, written = _measure_session(
                context, experiment, folder, name, recording, progress=progress, **told
            )
        else:
            results = {}
            places = {name: folder_within(folder, name) for name in recordings}
            for name, recording in recordings.items():
                if not shown.quiet:
                    say(f"differentia: session {name}")
                results[name], _ = _measure_session(
                    context, experiment, places[name], name, recording, progress=progress, **told
                )
            together = _write_sessions(folder, experiment, recordings, results, shown.figures)
    if len(recordings) == 1:
        measuring.tell(folder, {str(result["units"].item()): result}, written, shown)
    else:
        _tell_sessions(folder, results, together, shown)


def _read(experiment: RecordingExperiment) -> dict[str, Recording]:
    """Return what the files hold by the names of the sessions' folders; spikes are not read yet."""
    from differentia.experiment.recordings import require_sets
    from differentia.neurons.nwb import read_recording

    files, options = experiment.recording.files, experiment.recording.options()
    paths = [Path(file) for file in files]
    stems = [path.stem for path in paths]
    if len({*stems}) < len(stems):
        stems = [f"{path.absolute().parent.name}/{path.stem}" for path in paths]
    names = names_in_one_folder(stems, taken=[FIGURES, STORE])
    recordings = {}
    for name, file in zip(names, files, strict=True):
        with _named(file):
            recordings[name] = read_recording(file, units=options.units_where, traces=options.traces)
            require_sets(recordings[name], options, experiment.measure.reference)
    return recordings


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Let errors say of which file they are, where they have not said it already."""
    try:
        yield
    except InputError as error:
        told = str(error)
        raise InputError(told if told.startswith(source) else f"{source}: {told}") from error


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Give the list of the warnings that are shown meanwhile."""
    show, heard = warnings.showwarning, list[str]()

    def listen(message: Warning | str, *where: Any, **more: Any) -> None:
        heard.append(str(message))
        show(message, *where, **more)

    warnings.showwarning = listen
    try:
        yield heard
    finally:
        warnings.showwarning = show


def _measure_session(
    context: typer.Context,
    experiment: RecordingExperiment,
    folder: Path,
    name: str,
    recording: Recording,
    *,
    memory: str | None,
    figures: FigureOptions,
    quiet: bool,
    progress: Progress,
) -> tuple[xr.Dataset, dict[Path, bool]]:
    """Measure one recording into a folder; return the result, and what of the folder has changed."""
    from differentia.experiment.file import write_recording_experiment
    from differentia.experiment.recordings import measure_recording
    from differentia.output.recordings import left_out_of

    options, given = experiment.recording.options(), experiment.measure.model_dump()
    with _named(recording.source), _heard() as warned:
        result = measure_recording(recording, options, given, memory=memory, progress=progress)
    if not quiet:
        for text in left_out_of(result):
            if not any(text in heard for heard in warned):
                say(f"differentia: {text}")
    folder.mkdir(parents=True, exist_ok=True)
    write_recording_experiment(folder / EXPERIMENT, experiment, [recording.source])
    tables = {UNITS: recording.units.reset_index()}
    tables |= _of_trials(folder, experiment, {name: recording}, {name: result}, figures)[0]
    results = {str(result["units"].item()): result}
    written, changed = measuring.write_results(context, folder, results, figures, progress)
    changed |= _save_tables(folder, tables, (UNITS, TRIALS, COMPARISON))
    return next(iter(written.values())), changed


def _of_trials(
    folder: Path,
    experiment: RecordingExperiment,
    recordings: Mapping[str, Recording],
    results: Mapping[str, xr.Dataset],
    figures: FigureOptions,
) -> tuple[dict[str, pd.DataFrame], xr.Dataset | None]:
    """Return the tables of the trials of sessions, and how two sets differ in them, which is drawn, too."""
    import pandas as pd

    from differentia.output.figures.trials import plot_trials
    from differentia.results.tables import to_dataframe, trial_values
    from differentia.results.trials import compare_trials

    _remove_pictures(folder)
    options = experiment.recording.options()
    if options.states is None:
        return {}, None
    of_sessions = [trial_values(one).assign(session=name) for name, one in results.items()]
    tables = {TRIALS: pd.concat(of_sessions, ignore_index=True)}
    if options.compare is None:
        return tables, None
    animals = {name: recording.subject for name, recording in recordings.items()}
    repeated = all(animals.values()) and len({*animals.values()}) < len(animals)
    found = compare_trials(
        results,
        *options.compare,
        subject=animals if repeated else None,
        log=options.log,
        alternative=options.alternative,
        seed=experiment.measure.seed,
        confidence=experiment.measure.confidence,
    )
    _draw(folder, {"trials": partial(plot_trials, found)}, figures)
    return tables | {COMPARISON: to_dataframe(found)}, found


def _write_sessions(
    folder: Path,
    experiment: RecordingExperiment,
    recordings: Mapping[str, Recording],
    results: Mapping[str, xr.Dataset],
    figures: FigureOptions,
) -> Together:
    """Write what is said of all sessions together."""
    from differentia.experiment.file import write_recording_experiment
    from differentia.output.figures.across import plot_across
    from differentia.output.report.sessions import write_sessions
    from differentia.results.across import across, across_frame, in_common
    from differentia.results.references import references_of
    from differentia.results.trials import say_trials

    write_recording_experiment(folder / EXPERIMENT, experiment, experiment.recording.files)
    tables, compared = _of_trials(folder, experiment, recordings, results, figures)
    alike, said = in_common(results)
    said += _say_animals(recordings)
    found = None
    if alike:
        confidence = experiment.measure.confidence
        found = across(alike, confidence=confidence)
        tables[ACROSS] = across_frame(found)
        pictures = {"across": partial(plot_across, found)}
        if all(any(references_of(one).values()) for one in alike.values()):
            relative = across(alike, value="relative", confidence=confidence)
            pictures["across_relative"] = partial(plot_across, relative)
        _draw(folder, pictures, figures)
    if compared is not None:
        said += say_trials(compared)
    _save_tables(folder, tables, (ACROSS, TRIALS, COMPARISON))
    write_sessions(
        folder / REPORT,
        results,
        found,
        reports={name: f"{name}/{REPORT}" for name in results},
        pictures=sorted(path for path in (folder / FIGURES).glob("*.*") if path.stem in PICTURES),
        said=said,
    )
    return Together(found, compared, said)


def _say_animals(recordings: Mapping[str, Recording]) -> list[str]:
    """Say which sessions are of one animal, since the means over sessions count each."""
    counts = Counter(recording.subject for recording in recordings.values() if recording.subject)
    several = [f"{count} of {animal}" for animal, count in counts.items() if count > 1]
    if not several:
        return []
    return [
        f"Some sessions are of one animal ({', '.join(several)}): the intervals of means over sessions take "
        "them as independent, and say nothing of other animals."
    ]


def _draw(folder: Path, pictures: Mapping[str, Callable[[Any], Any]], figures: FigureOptions) -> None:
    """Save pictures beside those of a result."""
    from differentia.output.figures.panels import RESOLUTION
    from differentia.output.figures.save import Picture, save_picture

    place = folder_within(folder, FIGURES)
    if figures.formats:
        require_writable(place, str(place))
    for name, draw in pictures.items():
        save_picture(Picture(name, RESOLUTION, draw), figures, place)


def _remove_pictures(folder: Path) -> None:
    """Remove what an earlier run has drawn of sessions and trials."""
    for name in PICTURES:
        for path in folder_within(folder, FIGURES).glob(f"{name}.*"):
            path.unlink()


def _save_tables(folder: Path, tables: Mapping[str, pd.DataFrame], names: Sequence[str]) -> dict[Path, bool]:
    """Write tables by the names of their files; those that an earlier run alone had are removed."""
    from differentia.results.tables import save_table

    for name in names:
        if name in tables:
            save_table(tables[name], folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    return {folder / name: True for name in tables}


def _tell_sessions(folder: Path, results: Mapping[str, xr.Dataset], together: Together, shown: Shown) -> None:
    """Print the means over sessions, and what was written."""
    from differentia.results.across import across_frame
    from differentia.results.tables import table_rows, to_dataframe

    if shown.as_json:
        rows = {
            "sessions": {name: table_rows(one) for name, one in results.items()},
            "across": [] if together.across is None else across_frame(together.across).to_dict("records"),
            "comparison": (
                [] if together.compared is None else to_dataframe(together.compared).to_dict("records")
            ),
        }
        print_json(rows)
    elif not shown.quiet:
        if together.across is not None:
            _print_across(together.across)
            print_text()
        print_paragraph(*together.said)
    if not shown.quiet:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        say(f"Written to {folder}: {', '.join(names)}")
        say(f"Open {folder / REPORT} in a browser")


def _print_across(found: xr.Dataset) -> None:
    """Print a table of the means over sessions: a row for each population, a column for each set."""
    from differentia.results.subject import subject_of
    from differentia.results.summaries import layer_names, percent

    means = found.isel(group=0)
    columns = []
    for name in found["set"].values.astype(str).tolist():
        numbers = (means[what].sel(set=name).values.tolist() for what in ("mean", "low", "high"))
        cells = [written_value(*three)[::2] for three in zip(*numbers, strict=True)]
        columns.append(Column([name], aligned(cells)))
    confidence = percent(found.attrs["confidence"])
    print_table(
        f"Differentiation, means over {found.sizes['result']} sessions [{confidence}: other sessions]",
        Column([subject_of(found).place.one], layer_names(found), text=True),
        columns,
    )
