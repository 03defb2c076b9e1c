"""Write docs/sketch_accuracy.md: how far sketches and random units are from all units, on photographs.

Run ``make figures``; it needs the real data (see ``real_data.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from markdown_tables import table
from real_data import ROOT, mobilenet_and_sets

import differentia as dif
from differentia.recording.units import SKETCH_WIDTH

PAGE = ROOT / "docs" / "sketch_accuracy.md"
SEEDS = 20
FEW, MANY, KEPT = 200, 1_000, SKETCH_WIDTH
#: What is compared with all units: the kind of units and their number.
COLUMNS = (("random", FEW), ("sketch", FEW), ("sketch", MANY), ("sketch", KEPT))
#: The farthest that sketches may be from all units, at each number.
LIMITS = {FEW: 0.05, MANY: 0.025}

HEAD = f"""# Sketches and random units, compared

How far is differentiation by {FEW} random units from differentiation by all units, and how far are sketches
(`--units sketch`) of {FEW} and {MANY:,} sums? The tables give it for every layer of MobileNet (width 0.25,
trained on ImageNet). Each cell has the median and the largest error of {SEEDS} draws, each with a seed of its
own, in per cent of the value by all units. {KEPT:,} sums are kept, and the smaller numbers of sums are made
from them. Layers that have no more units than there are sums are measured by all units.
(`make figures` writes this page.)

"""


def percent(errors: np.ndarray) -> str:
    """Return the median and the largest of some errors."""
    return f"{100 * np.median(errors):.1f} / {100 * errors.max():.1f}"


def main() -> None:
    """Measure with every seed, and write a table for each set."""
    network, sets = mobilenet_and_sets()
    sets["white_noise"] = dif.noise(43, seed=0)  # the same images, whatever the seed of the units
    exact = dif.measure(network, sets, units="all")["differentiation"].isel(n_units=0, draw=0)
    of_seeds: list[list[Any]] = []
    for seed in range(SEEDS):
        found = dif.measure_kinds(
            network,
            sets,
            kinds=("random", "sketch"),
            n_units=(FEW, MANY, KEPT),
            draws=1,
            seed=seed,
            views=False,
        )
        values = [found[kind]["differentiation"].sel(n_units=count, draw=0) for kind, count in COLUMNS]
        of_seeds.append([abs(value / exact - 1).transpose("set", "layer").values for value in values])
        sizes = found["sketch"]["layer_size"].values
    errors = np.array(of_seeds)  # (seed, column, set, layer)
    page = [summary(errors, sizes)]
    titles = [f"{kind}, {count:,}" for kind, count in COLUMNS]
    for at_set, name in enumerate(sets):
        rows = []
        for at_layer, layer in enumerate(exact["layer"].values):
            of_layer = errors[:, :, at_set, at_layer]
            cells = [percent(of_layer[:, column]) for column in range(len(COLUMNS))]
            value = float(exact.sel(set=name, layer=layer))
            rows.append([layer, f"{sizes[at_layer]:,}", f"{value:.3f}", *cells])
        page += [f"## {name}", "", *table(["layer", "units", "all", *titles], rows), ""]
    PAGE.write_text(HEAD + "\n".join(page), encoding="utf-8")
    print(page[0])
    print(PAGE)


def summary(errors: np.ndarray, sizes: np.ndarray) -> str:
    """Return the first table, from errors (seed, column, set, layer) and how many units layers have."""
    by_column = {column: errors[:, at] for at, column in enumerate(COLUMNS)}
    rows = []
    for title, chosen, count in (
        (f"at most {MANY:,} units", sizes <= MANY, FEW),
        (f"more than {MANY:,} units", sizes > MANY, MANY),
    ):
        for kind, number in (("random", FEW), ("sketch", count)):
            of_kind = by_column[kind, number][..., chosen]
            limit = LIMITS[count]
            above = f"{(of_kind > limit).sum():,} of {of_kind.size:,} above {100 * limit:g} %"
            median, largest = 100 * np.median(of_kind), 100 * of_kind.max()
            rows.append([title, f"{kind}, {number:,}", f"{median:.2f} %", f"{largest:.2f} %", above])
    return "\n".join(
        [*table(["layers", "", "median", "largest", "errors above the limit"], rows, texts=2), ""]
    )


if __name__ == "__main__":
    main()
