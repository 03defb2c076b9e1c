"""Write docs/fmri.md: fMRI of nine conditions, measured by volumes and by blocks, and what limits need.

python docs/write_neurons.py [--simulations 500]

It draws docs/images/fmri.png, too. The numbers are kept in docs/fmri.json; the page is written from them. It
needs the real data (see ``real_data.py``), and takes some minutes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from markdown_tables import table
from matplotlib.figure import Figure
from real_data import data_folder
from scipy.spatial.distance import pdist, squareform

import differentia as dif
from differentia.results.confidence import Sample, limits

if TYPE_CHECKING:
    import xarray as xr

HERE = Path(__file__).parent
PAGE, COUNTED, PICTURE = HERE / "fmri.md", HERE / "fmri.json", HERE / "images" / "fmri.png"

REST = "rest"

#: Seconds from volume to volume, and of each block that are averaged: the shortest have five volumes.
REPETITION, WINDOW = 2.5, 12.5

#: What is done to volumes before they are measured.
DETRENDED = {"by": "category", "detrend": "linear", "runs": "run"}

#: Of simulations: blocks, volumes of each, and units; how a volume correlates with the one before; what of
#: its response a block has in common, in SD of the rest; and the SD of the logarithm of its size.
BLOCKS, VOLUMES, UNITS = (12, 50), 9, 40
CORRELATIONS, IN_COMMON, SIZES = (0.0, 0.5, 0.9), (0.0, 0.7), (0.0, 0.3)

LEVEL, LEAST_HELD = 0.95, 0.90

HEAD = """# Volumes and blocks: fMRI of nine conditions

One subject saw eight categories of pictures, in blocks of nine volumes, with rest between them (part of one
slice, 530 voxels; Haxby et al. 2001). `make figures` writes this page, with `docs/write_neurons.py`; the
numbers are also in `fmri.json`.

```python
data = np.load("haxby_slice.npz")  # bold (volume, voxel); the label and run of each volume
recording = dif.as_recording(data["bold"], rate=1 / 2.5, intervals={"blocks": blocks})
```

`blocks` is a table with a row for each block: `start_time`, `stop_time`, `category` and `run`. The signal of
a voxel drifts within each run of the scanner, so that a linear trend is taken away run by run. Voxels differ
in scale: with `normalize="unit"` each is divided by its SD over the responses of all conditions.
"""

VOLUMES_HEAD = """
## Each volume is a response

```python
responses = dif.stimulus_responses(
    recording, by="category", value="samples", detrend="linear", runs="run"
)
result = dif.measure_responses(responses, normalize="unit", reference="rest")
```

Without detrending, what drifts within runs and differs between them adds to the distances.

"""

BLOCKS_HEAD = """
## Each block is a response

```python
responses = dif.stimulus_responses(
    recording, by="category", window=(0, 12.5), detrend="linear", runs="run"
)
result = dif.measure_responses(responses, normalize="unit", reference="rest")
dif.contrast(result, "house", "rest")
```

The mean of the first five volumes of each block: some of rest have no more, and means of fewer volumes are
noisier, so that they differ more. Limits of the difference, and p, are those of `dif.contrast`, of each
condition alone; with eight of them, a p below 0.006 is one below 0.05 of all (Bonferroni).

![Points with intervals, and the same relative to rest: all conditions lie below rest.](images/fmri.png)

"""

LIMITS_HEAD = """
## Why volumes have no limits

Limits over stimuli take responses as independent. The volumes of one block are not: noise lasts longer than
a volume, and what a block evokes, or how strongly, is the same for all of them. So a result of samples has no
limits, and says so (`dif.doubts`).

In how many per cent of {simulations} simulated sets 95 % limits hold the value of all blocks of the kind: if
volumes are taken as independent, and with the mean of each block as one response. Each block has {volumes}
volumes of {units} units: Gaussian noise that correlates from volume to volume, and a pattern that is common
to the block (its SD, where the noise's is 1), times a strength that differs from block to block (the SD of
its logarithm). **Bold** is less than {least:.0f} %.

"""


def read_blocks(path: Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the volumes, and a table of the blocks: those that follow one another with one label and run."""
    with np.load(path) as data:
        bold, label, run = data["bold"], data["label"], data["run"]
    begins = np.flatnonzero(np.r_[True, (label[1:] != label[:-1]) | (run[1:] != run[:-1])])
    ends = np.r_[begins[1:], len(label)]
    columns = {"category": label[begins], "run": run[begins]}
    return bold, pd.DataFrame({"start_time": begins * REPETITION, "stop_time": ends * REPETITION, **columns})


def measured(recording: dif.Recording, **options: Any) -> xr.Dataset:
    """Return the differentiation of the conditions."""
    responses = dif.stimulus_responses(recording, **options)
    return dif.measure_responses(responses, normalize="unit", reference=REST)


def by_set(values: xr.DataArray) -> dict[str, float]:
    """Return the value of each condition."""
    return dict(zip(values["set"].values.tolist(), values.values.ravel().tolist(), strict=True))


def of_volumes(recording: dif.Recording) -> list[dict[str, Any]]:
    """Return the rows of the table of volumes."""
    known = {
        name: by_set(measured(recording, value="samples", **options)["differentiation"])
        for name, options in (("detrended", DETRENDED), ("raw", {"by": "category"}))
    }
    counts = dif.stimulus_responses(recording, value="samples", by="category")
    return [
        {
            "condition": name,
            "volumes": counts[name]["all"].sizes["presentation"],
            **{kind: values[name] for kind, values in known.items()},
        }
        for name in known["detrended"]
    ]


def of_blocks(result: xr.Dataset) -> list[dict[str, Any]]:
    """Return the rows of the table of blocks, with differences from rest."""
    low, high = (by_set(result[f"differentiation_{end}"].sel(source="images")) for end in ("low", "high"))
    rows = []
    for name, value in by_set(result["differentiation"]).items():
        count = int(result["set_size"].sel(set=name))
        row = {"condition": name, "blocks": count, "value": value, "low": low[name], "high": high[name]}
        if name != REST:
            contrast = dif.contrast(result, name, REST)
            for what in ("difference", "difference_low", "difference_high", "p"):
                row[what] = float(contrast[what].item())
        rows.append(row)
    return rows


def draw(result: xr.Dataset) -> None:
    """Draw the values of blocks, and the same relative to rest."""
    figure = Figure(figsize=(7.2, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, 1)
    dif.plot(result, ax=upper)
    dif.plot_relative(result, ax=lower)
    legend = lower.get_legend()
    assert legend is not None
    legend.remove()
    for ax in (upper, lower):
        ax.set_xlabel("")
        ax.set_xticks([])
    figure.savefig(PICTURE, dpi=150)


def simulated(
    rng: np.random.Generator, blocks: int, correlation: float, in_common: float, size: float
) -> Float[np.ndarray, "block volume unit"]:
    """Return the responses to the volumes of blocks."""
    noise = rng.standard_normal((blocks, VOLUMES, UNITS))
    for volume in range(1, VOLUMES):
        fresh = np.sqrt(1 - correlation**2) * noise[:, volume]
        noise[:, volume] = correlation * noise[:, volume - 1] + fresh
    pattern = in_common * rng.standard_normal((blocks, 1, UNITS))
    responses: Float[np.ndarray, "block volume unit"] = np.exp(size * rng.standard_normal((blocks, 1, 1))) * (
        pattern + noise
    )
    return responses


#: What is taken as a response.
RESPONSES: dict[str, Callable[[Any], Any]] = {
    "volumes": lambda responses: responses.reshape(-1, UNITS),
    "blocks": lambda responses: responses.mean(axis=1),
}


def held(kind: str, case: tuple[float, float, float], blocks: int, simulations: int) -> float:
    """Return the share of sets whose limits hold the value of many blocks, of those that have limits."""
    taken, seed = RESPONSES[kind], [round(100 * one) for one in case]
    many = 300 if kind == "volumes" else 1500
    truths = [
        dif.differentiation(taken(simulated(np.random.default_rng([0, *seed, draw]), many, *case)))
        for draw in range(3)
    ]
    inside = []
    for number in range(simulations):
        rng = np.random.default_rng([1, *seed, blocks, number])
        responses = taken(simulated(rng, blocks, *case))
        sample = Sample(squareform(pdist(responses)), responses.mean(axis=1), (responses**2).mean(axis=1))
        found = sample.confidence()
        if found is not None and not found.doubt:
            low, high = limits(found.log_limit, found.freedom, LEVEL)
            apart = np.log(np.mean(truths) / dif.differentiation(responses))
            inside.append(low <= apart <= high)
    return float(np.mean(inside))


def count(simulations: int) -> dict[str, Any]:
    """Return all numbers of the page, and draw its picture."""
    bold, blocks = read_blocks(data_folder() / "neurons" / "haxby_slice.npz")
    recording = dif.as_recording(bold, rate=1 / REPETITION, intervals={"blocks": blocks})
    result = measured(recording, window=(0, WINDOW), **DETRENDED)
    draw(result)
    coverage = []
    for case in product(CORRELATIONS, IN_COMMON, SIZES):
        row = dict(zip(("correlation", "in_common", "size"), case, strict=True))
        for blocks_of_set in BLOCKS:
            shares = {kind: held(kind, case, blocks_of_set, simulations) for kind in RESPONSES}
            coverage.append({**row, "blocks_of_set": blocks_of_set, **shares})
            print(coverage[-1], flush=True)
    return {
        "simulations": simulations,
        "volumes": of_volumes(recording),
        "blocks": of_blocks(result),
        "coverage": coverage,
    }


def _share(value: float) -> str:
    return f"**{100 * value:.0f}**" if value < LEAST_HELD else f"{100 * value:.0f}"


def page(counted: Mapping[str, Any]) -> str:
    """Return the page."""
    volumes = [
        [row["condition"], f"{row['volumes']:,}", f"{row['detrended']:.3f}", f"{row['raw']:.3f}"]
        for row in counted["volumes"]
    ]
    blocks = []
    for row in counted["blocks"]:
        cells = [row["condition"], str(row["blocks"]), f"{row['value']:.3f}"]
        cells.append(f"{row['low']:.3f} to {row['high']:.3f}")
        if row["condition"] == REST:
            cells += ["", "", ""]
        else:
            cells.append(f"{row['difference']:.3f}")
            cells.append(f"{row['difference_low']:.3f} to {row['difference_high']:.3f}")
            cells.append(f"{row['p']:.2g}")
        blocks.append(cells)
    coverage = [
        [
            *(f"{row[name]:g}" for name in ("correlation", "in_common", "size")),
            str(row["blocks_of_set"]),
            *(_share(row[kind]) for kind in RESPONSES),
        ]
        for row in counted["coverage"]
    ]
    told = LIMITS_HEAD.format(
        simulations=counted["simulations"], volumes=VOLUMES, units=UNITS, least=100 * LEAST_HELD
    )
    parts = [
        HEAD,
        VOLUMES_HEAD,
        *_lines(["condition", "volumes", "differentiation", "without detrending"], volumes),
        BLOCKS_HEAD,
        *_lines(
            ["condition", "blocks", "differentiation", "95 %", "less rest", "95 %", "p"],
            blocks,
        ),
        told,
        *_lines(
            [
                "correlation of noise",
                "in common",
                "strength",
                "blocks",
                "volumes as responses",
                "blocks as responses",
            ],
            coverage,
        ),
    ]
    return "".join(parts)


def _lines(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"{line}\n" for line in table(head, rows)]


def main() -> None:
    """Count, keep what was counted, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--simulations", type=int, default=500)
    counted = count(parser.parse_args().simulations)
    COUNTED.write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(counted), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
