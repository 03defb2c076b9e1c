"""What a recording of an hour costs: 600 units, 70,000 presentations, read from an NWB file.

Poisson neurons of 10 spikes a second, 21.6 million spikes, in files as NWB lays them out, plain and
compressed; presentations of 50 ms in two sets, each in a table of its own. The ways take turns, each in a
process of its own. What is asked for: less than 30 s, and less than 1 GB beyond what the imports take.

    python benchmarks/neurons.py [--units 600] [--presentations 70000] [--hours 1] [--repeats 5]
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from harness import Benchmark, Way, Work, options_of, peak_memory

#: Spikes per second of each unit, and from onset to onset, as a share of a presentation, in seconds.
RATE, LASTING = 10.0, 0.05

SETS = ("natural_movie_one", "static_gratings")

AREAS = ("VISp", "VISl", "VISal", "LGd")

MOST_SECONDS, MOST_GB = 30.0, 1.0


def write(path: Path, units: int, presentations: int, hours: float, compression: str | None) -> None:
    """Write a recording as NWB 2 holds it."""
    import h5py
    import numpy as np

    rng = np.random.default_rng(0)
    seconds = 3600 * hours
    options: dict[str, Any] = {"compression": compression, "chunks": True} if compression else {}

    def table(group: Any, **columns: Any) -> None:
        group.attrs.update(
            {
                "namespace": "core",
                "neurodata_type": "DynamicTable",
                "colnames": [*columns],
                "description": "made",
            }
        )
        group.create_dataset("id", data=np.arange(len(next(iter(columns.values())))))
        for name, values in columns.items():
            text = isinstance(values[0], str)
            kind = h5py.string_dtype() if text else None
            column = group.create_dataset(name, data=[*values] if text else values, dtype=kind)
            column.attrs.update(
                {"namespace": "hdmf-common", "neurodata_type": "VectorData", "description": name}
            )

    with h5py.File(path, "w") as file:
        file.attrs.update({"nwb_version": "2.7.0", "namespace": "core", "neurodata_type": "NWBFile"})
        file["identifier"] = "made"
        trains = [np.sort(rng.uniform(0, seconds, rng.poisson(RATE * seconds))) for _ in range(units)]
        group = file.create_group("units")
        table(
            group,
            location=[AREAS[unit % len(AREAS)] for unit in range(units)],
            spike_times_index=np.cumsum([len(times) for times in trains]),
        )
        group.attrs["neurodata_type"] = "Units"
        group.attrs["colnames"] = ["location", "spike_times"]
        group["spike_times_index"].attrs["neurodata_type"] = "VectorIndex"
        group["spike_times_index"].attrs["target"] = group.create_dataset(
            "spike_times", data=np.concatenate(trains), **options
        ).ref
        group["spike_times"].attrs.update(
            {"namespace": "hdmf-common", "neurodata_type": "VectorData", "description": "times"}
        )
        onsets = np.sort(rng.permutation(int(seconds / LASTING) - 1)[:presentations]) * LASTING + LASTING / 2
        of_set = rng.permutation(presentations) % len(SETS)
        for number, name in enumerate(SETS):
            starts = onsets[of_set == number]
            table(
                file.create_group(f"intervals/{name}_presentations"),
                start_time=starts,
                stop_time=starts + LASTING,
                stimulus_name=[name] * len(starts),
                frame=np.arange(len(starts)) % 900.0,
            )
            file[f"intervals/{name}_presentations"].attrs["neurodata_type"] = "TimeIntervals"


def prepare(path: Path) -> Work:
    """Return the making of responses from a file, and the memory that it takes beyond the imports."""
    import numpy as np
    import pandas as pd
    import xarray as xr

    import differentia as dif
    from differentia.neurons.nwb import read_recording

    # What is imported on the way is not the work's.
    xr.DataArray(np.zeros((2, 2)), coords={"a": [0, 1]}, dims=("a", "b"))
    pd.DataFrame({"a": ["b"]})
    before = peak_memory()

    def work() -> dict[str, float]:
        begun = time.perf_counter()
        recording = read_recording(path)
        opened = time.perf_counter()
        responses = dif.stimulus_responses(recording, by="stimulus_name", window=(0, LASTING))
        held = sum(one.nbytes for areas in responses.values() for one in areas.values())
        return {
            "reading": opened - begun,
            "responses": time.perf_counter() - opened,
            "beyond_gb": peak_memory() - before,
            "held_gb": held / 1e9,
        }

    return work


def main() -> None:
    """Print the medians; fail where an hour takes more time or memory than it may."""
    parser = options_of(__doc__, "neurons.json", repeats=5)
    parser.add_argument("--units", type=int, default=600)
    parser.add_argument("--presentations", type=int, default=70_000)
    parser.add_argument("--hours", type=float, default=1.0)
    given = parser.parse_args()
    size = (given.units, given.presentations, given.hours)
    benchmark = Benchmark.of(
        "neurons", dict(zip(("units", "presentations", "hours"), size, strict=True)), given
    )
    with tempfile.TemporaryDirectory() as folder:
        files = {"plain": None, "gzip": "gzip"}
        for name, compression in files.items():
            write(Path(folder) / f"{name}.nwb", *size, compression)
        ways = [
            Way(f"{name} file", partial(prepare, Path(folder) / f"{name}.nwb"), lasting=False, warm_up=False)
            for name in files
        ]
        benchmark.take_turns(ways, given.repeats)
    benchmark.print_table()
    worst = {
        what: max(turn[what] for way in benchmark.ways.values() for turn in way.turns)
        for what in ("seconds", "beyond_gb")
    }
    print(
        f"at most {worst['seconds']:.1f} s (less than {MOST_SECONDS:g} s are asked for), and "
        f"{worst['beyond_gb']:.2f} GB beyond the imports (less than {MOST_GB:g} GB)"
    )
    if worst["seconds"] > MOST_SECONDS or worst["beyond_gb"] > MOST_GB:
        sys.exit("too much")


if __name__ == "__main__":
    main()
