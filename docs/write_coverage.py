"""Write docs/coverage.md: how often intervals hold the truth, and what contrasts find.

python docs/write_coverage.py [--simulations 1000] [--tests 300]

What was counted is kept in docs/coverage.json; the page is written from it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import coverage_across
import coverage_contrasts
import coverage_intervals
import coverage_precision
import numpy as np
from coverage_battery import (
    KINDS,
    LAYERS,
    LISTED,
    MANY,
    STRONG_SHARE,
    K,
    measure_population,
    read_population,
    real,
    true_log_value,
)
from coverage_intervals import DOUBTS, LEAST_COVERAGE, NEEDLESS, SIZES, TOLD, WIDEST, covered, told
from markdown_tables import table

from differentia.system.machine import usable_cores

HERE = Path(__file__).parent
#: Simulations of limits over networks, animals or sessions, which take no time.
ACROSS = 10_000

#: Sets of each kind whose needed number of images is named and tried.
FORETOLD = 200

PAGE, COUNTED, BEFORE = HERE / "coverage.md", HERE / "coverage.json", HERE / "coverage_before.json"

HEAD = """# Intervals and contrasts, tried on responses whose truth is known

How often does a nominal 95 % interval over images hold the true value? How often does a contrast find a
difference that is none, and how often one that there is? Both were tried on the responses below. What this
page claims is as wide as this battery, and no wider: your responses may be of a kind that is not in it.
(`make coverage` writes this page; the numbers are also in `coverage.json`, beside its scripts.)

## What was simulated

There are {units} units unless said otherwise. The true value of responses that are made up is that of
{many:,} images. Real ones are those of MobileNet (alpha 0.25) to {population:,} images: photographs, each
of them whole, mirrored, and in five crops. Sets are drawn from these with replacement, and the true value
is that of all of them.

"""

CRITERION = """
The last {n_more} kinds are there to show limits, and no claim is made of them.

## Intervals over images

This is asked of the method:

- Of sets of 43 images and more, 93 % of the intervals hold the true value (of 20 images, 90 %), within two
  standard errors of the simulation. Otherwise `doubts` tells of {told:.0f} % of the sets why their limits
  are not to be trusted; such limits are left out of results.
- Of sets of 43 images and more without such a diagnosis, the median half width is at most {widest} times
  1.96 SD of the value over sets.
- Where intervals hold the truth as often as asked, a diagnosis is told of fewer than {needless:.0f} % of
  sets of that kind.

There were {simulations:,} sets of each kind and number of images; a coverage of 93 % is then known to ±
{error:.1f} % (two standard errors). The table has how many per cent of the intervals hold the true value
and, in brackets, how many lie wholly below and wholly above it, with sets that have a diagnosis. **Bold**
is what misses the first criterion. *Of 1.96 SD*: the median half width of sets without a diagnosis ("-"
where almost all have one). *Half width*: its median over all sets, in per cent of the value, and *before*,
that of the method before (a studentised bootstrap, on {before} of the same sets). *Diagnosis*: in how many
per cent of the sets, and which: strong images, a long tail, a gap between distances.

"""

RARE = """
Sets of rare strong images are those that hold one such image at least. Of all sets, {without} hold none: no
method can know of such images then, so that a diagnosis of the others is not counted as one too many.

Kinds that show limits:

"""

CONTRASTS = """
## Contrasts

Two sets of different kinds differ. In how many per cent of pairs does the 95 % interval of the difference
leave out the true difference? Every two kinds of the criterion were compared, {simulations:,} pairs of sets
of each, with equal and with unequal numbers of images. Here are pairs in which neither set has a diagnosis
(a contrast of others has no limits), and, in the last columns, the others. Pairs of kinds are left out where
nine tenths of the pairs of sets have a diagnosis. Where most sets of a kind have one, the few others are
those that by chance do not show what is diagnosed: the truth of these is left out often.

"""

BY_KIND = """
The same by the kind of the first set: the mean over kinds of the second, in brackets the worst ("-" where
almost all sets have a diagnosis).

"""

SAME = """
### No difference

How often do two sets of one kind seem to differ, at p < 0.05? *Paired*: 43 pairs of images, half of which
are the same in both sets, so that errors have a correlation of about 0.5 ({tests:,} pairs of sets).

"""

POWER = """
### A difference

The second set differs because each image adds a number of its own to the responses of all units. How much
it adds was chosen so that a permutation test finds the difference in about {power:.0f} % of pairs of sets
of 43 images. It is a test of the studentised difference of logarithms, of sets with their means at one
place (Chung and Romano 2013), which was the contrast of the version before. The table has in how many per
cent of {tests:,} pairs each finds the difference at p < 0.05, whatever the diagnosis; 80 % is then known to
± {error:.0f} % (two standard errors). *Paired* is the same difference where half of the images are the same.

"""

FAMILY = """
### Many layers

How often do two sets of 43 images of one kind seem to differ in any of {layers} layers, which are mixtures
of the same responses, in {tests:,} pairs of sets? By the corrected p of a contrast, and by the p of each
layer alone. Layers in which a set has a diagnosis are left out.

"""

ACROSS_HEAD = """
## Across networks, animals or sessions

How often do 95 % limits of a mean over n networks, animals or sessions hold the true mean, by how their
values are distributed? Per cent; in brackets how many lie wholly below and above; then the median width, in
SDs of the values ({simulations:,} simulations).

"""

PRECISION_HEAD = """
## How many images are enough

`precision` says how many images would halve an interval. Of {simulations:,} sets of each kind, in how many it
did; how many images it named (the median); and how much of the width new sets of so many images had: the
median, which is to be 50 % within 15 % of that, and the middle half. Beside it, what was left with four times
as many images.

"""

MISSES = """
## What does not hold

Of the kinds of the criterion, this misses it:

"""

CONTRAST_MISSES = """
These contrasts leave out the true difference in more than {most:.0f} % of the pairs without a diagnosis and
two standard errors (of so many comparisons, a few do by chance), or find a difference less often than the
permutation test, by more than {lost:.0f} %:

"""


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as it stands in a table."""
    return "-" if share is None else f"{100 * share:.{digits}f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    return "\n".join(table(head, rows, texts=texts)) + "\n"


def _interval_table(rows: Iterable[Mapping[str, Any]], simulations: int) -> str:
    before = json.loads(BEFORE.read_text(encoding="utf-8"))["half_width"]

    def cells(row: Mapping[str, Any]) -> list[str]:
        name, n = row["kind"], row["images"]
        holds = percent(row["coverage"])
        if not covered(row, simulations) and told(row) < TOLD:
            holds = f"**{holds}**"
        kinds = [f"{word} {percent(row['doubts'][doubt], 0)}" for doubt, word in DOUBTS.items()]
        kinds = [kind for kind in kinds if not kind.endswith(" 0")]
        return [
            name,
            str(n),
            f"{holds} ({percent(row['below'])}, {percent(row['above'])})",
            "-" if row["of_normal"] is None else f"{row['of_normal']:.2f}",
            percent(row["half_width"]),
            percent(before[name][str(n)]),
            percent(told(row), 0) + (f" ({', '.join(kinds)})" if kinds else ""),
        ]

    head = ["responses", "N", "hold the truth", "of 1.96 SD", "half width", "before", "diagnosis"]
    return _table(head, map(cells, rows))


def _intervals(counted: Mapping[str, Any]) -> str:
    simulations, rows = counted["simulations"], counted["intervals"]
    settled = json.loads(BEFORE.read_text(encoding="utf-8"))
    least = min(LEAST_COVERAGE[n] for n in SIZES if n >= 43)
    text = CRITERION.format(
        n_more=len(KINDS) - len(LISTED),
        told=100 * TOLD,
        widest=WIDEST,
        needless=100 * NEEDLESS,
        simulations=simulations,
        error=200 * np.sqrt(least * (1 - least) / simulations),
        before=settled["sets"],
    )
    text += _interval_table([row for row in rows if KINDS[row["kind"]].listed], simulations)
    without = [f"{percent((1 - STRONG_SHARE) ** n, 0)} % of those of {n}" for n in SIZES]
    text += RARE.format(without=f"{', '.join(without[:-1])} and {without[-1]} images")
    return text + _interval_table([row for row in rows if not KINDS[row["kind"]].listed], simulations)


def _contrasts(counted: Mapping[str, Any]) -> str:
    text = CONTRASTS.format(simulations=counted["simulations"])
    lines = [
        [
            one["images"],
            str(one["pairs"]),
            percent(one["mean"]),
            f"{percent(one['worst'])} ({one['which']})",
            str(one["beyond"]),
            percent(one["told_of"], 0),
            percent(one["told"]),
        ]
        for one in counted["between"]
    ]
    head = ["images", "pairs of kinds", "left out, mean", "worst", "too often"]
    text += _table([*head, "with a diagnosis, %", "left out then"], lines)
    kinds = {(one["kind"], one["images"]): one for one in counted["by_kind"]}
    numbers = list(dict.fromkeys(one["images"] for one in counted["by_kind"]))

    def cell(name: str, images: str) -> str:
        one = kinds[name, images]
        return "-" if one["mean"] is None else f"{percent(one['mean'])} ({percent(one['worst'])})"

    text += BY_KIND
    text += _table(["responses", *numbers], [[name, *(cell(name, n) for n in numbers)] for name in LISTED])
    text += SAME.format(tests=counted["tests"])
    same = {(one["kind"], _images(one)): one for one in counted["same"]}
    numbers = list(dict.fromkeys(images for _, images in same))
    power = {one["kind"]: one for one in counted["power"]}
    lines = [
        [name, *(percent(same[name, n]["quiet"]) for n in numbers), percent(power[name]["paired_same"])]
        for name in LISTED
    ]
    text += _table(["responses", *numbers, "43/43, paired"], lines)
    text += POWER.format(
        power=100 * coverage_contrasts.POWER,
        tests=counted["tests"],
        error=200 * np.sqrt(coverage_contrasts.POWER * (1 - coverage_contrasts.POWER) / counted["tests"]),
    )
    names = ("difference", "permutation", "ours", "paired", "told_of")
    lines = [[name, *(percent(power[name][what]) for what in names)] for name in LISTED]
    head = ["responses", "difference, %", "permutation test", "contrast", "paired", "with a diagnosis, %"]
    text += _table(head, lines)
    text += FAMILY.format(layers=coverage_contrasts.N_LAYERS, tests=counted["tests"])
    lines = [
        [one["kind"], *(percent(one[what]) for what in ("corrected", "alone", "told_of"))]
        for one in counted["family"]
    ]
    return text + _table(["responses", "corrected", "alone", "with a diagnosis, %"], lines)


def _images(row: Mapping[str, Any]) -> str:
    return "/".join(map(str, row["images"]))


def _across(rows: Sequence[Mapping[str, Any]]) -> str:
    return ACROSS_HEAD.format(simulations=ACROSS) + "\n".join(coverage_across.markdown(rows)) + "\n"


def _precision(rows: Sequence[dict[str, Any]]) -> str:
    return PRECISION_HEAD.format(simulations=FORETOLD) + "\n".join(coverage_precision.lines(rows)) + "\n"


def _contrast_misses(counted: Mapping[str, Any]) -> list[str]:
    return coverage_contrasts.misses(counted["contrast_misses"], counted["power"])


def page(counted: Mapping[str, Any]) -> str:
    """Return the page from what was counted."""
    text = HEAD.format(units=K, many=MANY, population=counted["population"])
    text += _table(["responses", "what they are"], [[name, kind.words] for name, kind in KINDS.items()], 2)
    text += _intervals(counted) + _contrasts(counted) + _across(counted["across"])
    text += _precision(counted["precision"])
    missed = coverage_intervals.misses(counted["intervals"], counted["simulations"])
    text += MISSES + "".join(f"- {line}\n" for line in missed or ["nothing"])
    text += CONTRAST_MISSES.format(
        most=100 * coverage_contrasts.MOST_LEFT_OUT, lost=100 * coverage_contrasts.MOST_LOST
    )
    return text + "".join(f"- {line}\n" for line in _contrast_misses(counted) or ["none"])


def count(simulations: int, tests: int) -> dict[str, Any]:
    """Simulate, and return what was counted."""
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "population.npz"
        with ProcessPoolExecutor(1) as alone:  # no process that is copied later should have loaded Keras
            alone.submit(measure_population, kept).result()
        read_population(kept)
    with ProcessPoolExecutor(usable_cores()) as processes:
        many, few = partial(processes.map, chunksize=10), partial(processes.map, chunksize=1)
        simulated, rows = {}, []
        truths = dict(zip(KINDS, few(true_log_value, KINDS), strict=True))
        tell("true values")
        for name in KINDS:
            sizes = {*SIZES} | ({*coverage_contrasts.SIZES} if name in LISTED else set())
            for n in sorted(sizes):
                found = coverage_intervals.simulate(name, n, truths[name], simulations, many)
                if n in SIZES:
                    rows.append(coverage_intervals.row(name, n, found, simulations))
                if n in coverage_contrasts.SIZES:
                    simulated[name, n] = found
            tell(name)
        between = coverage_contrasts.left_out(simulated, few)
        same = coverage_contrasts.false_positives(simulated, few)
        tell("pairs")
        power = []
        for name in LISTED:
            images = coverage_contrasts.POWER_IMAGES
            power.append(coverage_contrasts.power_row(name, simulated[name, images], tests, few))
            tell(f"power: {name}")
        made_up = [name for name in LISTED if KINDS[name].generate is not None]
        family = [coverage_contrasts.family_row(name, tests, few) for name in made_up]
        tell("many layers")
        foretold = coverage_precision.rows(FORETOLD, run=many)
        tell("how many images are enough")
    counted = {
        "simulations": simulations,
        "tests": tests,
        "population": len(real(LAYERS[0]).means),
        "intervals": rows,
        "between": coverage_contrasts.by_numbers(between),
        "by_kind": coverage_contrasts.by_kind(between),
        "same": same,
        "power": power,
        "family": family,
        "contrast_misses": coverage_contrasts.too_often(between, same),
        "across": coverage_across.rows(ACROSS),
        "precision": foretold,
    }
    tell("all")
    return counted


def main() -> None:
    """Simulate, write the page, and print what misses the criterion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000, help="sets of each kind and size")
    parser.add_argument("--tests", type=int, default=300, help="pairs of sets that are drawn for power")
    given = parser.parse_args()
    counted = rounded(count(given.simulations, given.tests))
    COUNTED.write_text(as_text(counted), encoding="utf-8")
    PAGE.write_text(page(counted), encoding="utf-8")
    for line in (
        *coverage_intervals.misses(counted["intervals"], counted["simulations"]),
        *_contrast_misses(counted),
    ):
        print(f"missed: {line}")
    print(PAGE)


def rounded(counted: Any) -> Any:
    """Return the same with numbers as short as a page needs."""
    if isinstance(counted, dict):
        return {name: rounded(value) for name, value in counted.items()}
    if isinstance(counted, list):
        return [rounded(value) for value in counted]
    return round(counted, 5) if isinstance(counted, float) else counted


def as_text(counted: Mapping[str, Any]) -> str:
    """Return what was counted as JSON, with a line for each row."""
    parts = []
    for name, value in counted.items():
        rows = value if isinstance(value, list) else []
        text = "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]" if rows else json.dumps(value)
        parts.append(f"{json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
