"""NWB files as the Allen Institute lays them out, and such as are malformed or could do harm."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pynwb

START = dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC)

#: The areas of the electrodes that are written, in the order of their ids, 850, 851, ...
AREAS = ("VISp", "VISp", "VISl", "LGd", "unknown")


def new_file(**more: Any) -> pynwb.NWBFile:
    """Return a file without data, of session 715093703 and mouse 699733573."""
    subject = pynwb.file.Subject(subject_id="699733573", species="Mus musculus", age="P90D")
    return pynwb.NWBFile("made", "715093703", START, subject=subject, **more)


def write(file: pynwb.NWBFile, path: Path) -> Path:
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


def add_presentations(
    file: pynwb.NWBFile, name: str, starts: Sequence[float], length: float, **columns: Sequence[Any]
) -> None:
    """Add a table of presentations, each of one length in seconds, with columns of its own."""
    table = pynwb.epoch.TimeIntervals(name=name, description=name)
    for column in columns:
        table.add_column(column, column)
    for row, start in enumerate(starts):
        values = {column: given[row] for column, given in columns.items()}
        table.add_interval(start_time=float(start), stop_time=float(start + length), **values)
    file.add_time_intervals(table)


def presentations(n_per_set: int = 20) -> dict[str, Any]:
    """Return the columns of presentations of a film, gratings and grey, by turns, for 0.25 s each."""
    names = ["natural_movie_one", "static_gratings", "spontaneous"]
    stimulus_name = [name for _ in range(n_per_set) for name in names]
    return {
        "starts": 1.0 + 0.25 * np.arange(len(stimulus_name)),
        "length": 0.25,
        "stimulus_name": stimulus_name,
        "stimulus_block": [float(row // 6) for row in range(len(stimulus_name))],
        "frame": [float(row // 3) if name == "natural_movie_one" else np.nan
                  for row, name in enumerate(stimulus_name)],
    }  # fmt: skip


def allen_ephys(
    trains: Sequence[Any] | None = None,
    *,
    locations: Sequence[str] | None = None,
    intervals: Mapping[str, Mapping[str, Any]] | None = None,
    observed: Sequence[Any] | None = None,
    region: bool = False,
    seed: int = 0,
) -> pynwb.NWBFile:
    """Return a session of Neuropixels as AllenSDK writes it: areas by ``peak_channel_id``, presentations.

    Without `trains`, ten units of Poisson spikes over the presentations. `locations` are those of the units'
    channels. `intervals` are arguments of `add_presentations` by name. With `region`, the units name rows of
    the table of electrodes, as PyNWB does, and not a channel.
    """
    rng = np.random.default_rng(seed)
    intervals = {"stimulus_presentations": presentations()} if intervals is None else intervals
    end = max((max(one["starts"]) + one["length"] for one in intervals.values()), default=10.0) + 1
    if trains is None:
        trains = [np.sort(rng.uniform(0, end, rng.poisson(8 * end))) for _ in range(10)]
    if locations is None:
        locations = [AREAS[unit % len(AREAS)] for unit in range(len(trains))]
    file = new_file()
    probe = file.create_electrode_group("probeA", "a probe", "", file.create_device("Neuropixels"))
    file.add_electrode_column("local_index", "of the probe")
    for channel, area in enumerate(locations):
        file.add_electrode(id=850 + channel, location=area, group=probe, local_index=channel)
    for name in ("quality", "snr", "firing_rate", *(() if region else ("peak_channel_id",))):
        file.add_unit_column(name, name)
    for unit, train in enumerate(trains):
        place = {"electrodes": [unit]} if region else {"peak_channel_id": 850 + unit}
        file.add_unit(
            id=950_900_000 + 7 * unit,
            spike_times=np.asarray(train, np.float64),
            quality="noise" if unit % 4 == 3 else "good",
            snr=np.nan if unit == 1 else 0.5 + 0.5 * unit,
            firing_rate=len(train) / end,
            waveform_mean=rng.normal(size=(4, 3)),
            obs_intervals=[[0.0, end]] if observed is None else observed[unit],
            **place,
        )
    for name, given in intervals.items():
        add_presentations(file, name, **given)
    file.add_invalid_time_interval(start_time=end - 0.5, stop_time=end, tags=["probeA", "all"])
    return file


def write_allen_ephys(path: Path, trains: Sequence[Any] | None = None, **options: Any) -> Path:
    """Write what `allen_ephys` makes."""
    return write(allen_ephys(trains, **options), path)


def allen_ophys(
    traces: Any = None,
    *,
    rate: float = 30.0,
    locations: Sequence[str] | None = None,
    intervals: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
) -> pynwb.NWBFile:
    """Return a session of two-photon imaging as AllenSDK writes it, with the series ``dff/traces``.

    `traces` are (sample, unit), six units over the presentations without. Their timestamps are those of the
    corrected fluorescence, which lies beside them and is linked to; the wheel's speed lies there too.
    """
    rng = np.random.default_rng(seed)
    intervals = {"stimulus_presentations": presentations()} if intervals is None else intervals
    end = max((max(one["starts"]) + one["length"] for one in intervals.values()), default=10.0) + 1
    values = rng.normal(size=(int(end * rate), 6)) if traces is None else np.asarray(traces, np.float64)
    count = values.shape[1]
    file = new_file()
    channel = pynwb.ophys.OpticalChannel(name="channel", description="emission", emission_lambda=520.0)
    plane = file.create_imaging_plane(
        name="plane", optical_channel=channel, description="", device=file.create_device("two-photon"),
        excitation_lambda=910.0, indicator="GCaMP6f", location="VISp", imaging_rate=rate,
    )  # fmt: skip
    cells = pynwb.ophys.PlaneSegmentation(
        description="cells", imaging_plane=plane, name="cell_specimen_table"
    )
    for name in ("cell_specimen_id", "valid_roi", "location"):
        cells.add_column(name, name)
    for unit in range(count):
        cells.add_roi(
            id=1000 + unit, image_mask=np.eye(4), cell_specimen_id=517_000_000 + unit, valid_roi=unit != 2,
            location="VISp" if locations is None else locations[unit],
        )  # fmt: skip
    module = file.create_processing_module("ophys", "made")
    module.add(pynwb.ophys.ImageSegmentation(plane_segmentations=[cells], name="image_segmentation"))
    named = {"name": "traces", "unit": "au"}
    fluorescence = pynwb.ophys.Fluorescence(name="corrected_fluorescence")
    dff = pynwb.ophys.DfOverF(name="dff")
    module.add([fluorescence, dff])
    corrected = fluorescence.create_roi_response_series(
        data=values + 100, timestamps=0.5 + np.arange(len(values)) / rate, **named,
        rois=cells.create_roi_table_region("all cells", region=list(range(count))),
    )  # fmt: skip
    dff.create_roi_response_series(
        data=values, timestamps=corrected, conversion=2.0, offset=0.25, **named,
        rois=cells.create_roi_table_region("all cells", region=list(range(count))),
    )  # fmt: skip
    running = file.create_processing_module("running", "made")
    speed = rng.normal(size=50)
    running.add(pynwb.TimeSeries(name="speed", data=speed, unit="cm/s", rate=10.0, starting_time=1.5))
    for name, given in intervals.items():
        add_presentations(file, name, **given)
    return file


def write_allen_ophys(path: Path, traces: Any = None, **options: Any) -> Path:
    """Write what `allen_ophys` makes."""
    return write(allen_ophys(traces, **options), path)
