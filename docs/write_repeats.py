"""Write docs/repeats.md and its picture: what noise does to differentiation, and whether limits hold.

python docs/write_repeats.py [--simulations 300]

What was counted is kept in docs/repeats.json; the page is written from it. It takes ten minutes
on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from markdown_tables import table

from differentia.definition.repeats import noise_free, squares_of
from differentia.results.reliability import splits_of
from differentia.results.repeats import SPLITS, VALUES, _Measuring
from differentia.system.random import generator_of

HERE = Path(__file__).parent
PAGE, COUNTED, PICTURE = HERE / "repeats.md", HERE / "repeats.json", HERE / "images" / "repeats.png"

#: Stimuli and repeats.
SIZES = ((20, 4), (50, 3), (50, 10), (100, 4), (100, 20))

#: Repeats, and stimuli, of the table and the picture of repeats.
REPEATS, STIMULI = (2, 3, 4, 6, 10, 20), 50

LEVEL = 0.95

#: What is asked of limits, and of the value against what noise would make of it.
LEAST_HELD, MOST_HELD, MOST_BIASED = 0.93, 0.97, 0.02

#: From which on the bias by noise is small.
MANY_REPEATS = 10

#: Stimuli, and pairs of each, from which the truth is taken.
MANY, PARTNERS = 20_000, 60

#: Simulations of the squared distances.
SQUARES = 2_000

Rates = Float[np.ndarray, "n k"]
Repeats = Float[np.ndarray, "repeat n k"]


class Kind(NamedTuple):
    """A kind of stimuli and noise: its words, and how the units are made, the responses, and the noise."""

    words: str
    #: Of a generator: a function that gives the expected responses to new stimuli.
    units: Callable[[np.random.Generator], Callable[[np.random.Generator, int], Rates]]
    noise: Callable[[np.random.Generator, Rates, int], Repeats]


def _tuned(units: int, rng: np.random.Generator) -> Any:
    preferred, peak = rng.uniform(0, 2 * np.pi, units), 2 * rng.lognormal(0, 0.7, units)

    def responses(rng: np.random.Generator, n: int) -> Rates:
        angle = rng.uniform(0, 2 * np.pi, (n, 1))
        return 0.5 + peak * np.exp(2 * (np.cos(angle - preferred) - 1))

    return responses


def _factors(count: int, rate: float, rng: np.random.Generator) -> Any:
    loadings, levels = rng.normal(size=(count, 100)) / np.sqrt(count), rng.normal(size=100) / 2

    def responses(rng: np.random.Generator, n: int) -> Rates:
        return rate * np.exp(0.4 * rng.normal(size=(n, count)) @ loadings + levels)

    return responses


def _contrast(rng: np.random.Generator) -> Any:
    slopes = rng.lognormal(0, 0.7, 100)
    return lambda rng, n: 0.3 + slopes * rng.uniform(0, 2, (n, 1))


def _categories(rng: np.random.Generator) -> Any:
    means = 0.7 * rng.gamma(1.0, size=(10, 100))
    return lambda rng, n: means[rng.integers(10, size=n)] * rng.gamma(8, 1 / 8, (n, 100))


def _independent(rng: np.random.Generator) -> Any:
    means = rng.lognormal(0, 0.7, 100) / 2
    return lambda rng, n: means * rng.gamma(1.0, size=(n, 100))


def _few_kinds(rng: np.random.Generator) -> Any:
    means = 0.2 * rng.gamma(1.0, size=(6, 50))
    return lambda rng, n: means[rng.integers(6, size=n)] * rng.gamma(8, 1 / 8, (n, 50))


def _rectified(rng: np.random.Generator) -> Any:
    loadings = rng.normal(size=(20, 60)) / np.sqrt(20)
    return lambda rng, n: 0.2 + 2 * np.maximum(rng.normal(size=(n, 20)) @ loadings, 0.0)


def _two_angles(rng: np.random.Generator) -> Any:
    preferred, peak = rng.uniform(0, 2 * np.pi, (40, 2)), 3 * rng.lognormal(0, 0.5, 40)

    def responses(rng: np.random.Generator, n: int) -> Rates:
        angles = rng.uniform(0, 2 * np.pi, (n, 1, 2))
        return 0.3 + peak * np.exp((np.cos(angles - preferred) - 1).sum(axis=2))

    return responses


def _linear(rng: np.random.Generator) -> Any:
    loadings = rng.normal(size=(5, 100)) / np.sqrt(5)
    return lambda rng, n: rng.normal(size=(n, 5)) @ loadings


def _poisson(rng: np.random.Generator, rates: Rates, repeats: int) -> Repeats:
    return rng.poisson(rates, (repeats, *rates.shape)).astype(np.float64)


def _gaussian(rng: np.random.Generator, rates: Rates, repeats: int) -> Repeats:
    return rates + 2 * rng.normal(size=(repeats, *rates.shape))


def _with_gain(rng: np.random.Generator, rates: Rates, repeats: int, *, of_repeat: bool = False) -> Repeats:
    """Multiply all units of a presentation, or of a whole repeat, by one number."""
    normal = rng.normal(size=(repeats, 1 if of_repeat else len(rates), 1))
    return rng.poisson(np.exp(0.3 * normal - 0.045) * rates).astype(np.float64)


def _overdispersed(rng: np.random.Generator, rates: Rates, repeats: int) -> Repeats:
    """Give each unit a gain of its own in each presentation, of variance 1."""
    return _poisson(rng, rates * rng.gamma(1.0, size=(repeats, *rates.shape)), 1)[0]


def _with_drift(rng: np.random.Generator, rates: Rates, repeats: int) -> Repeats:
    """Add to each unit a number of its own in each repeat."""
    return _poisson(rng, rates, repeats) + 0.5 * rng.normal(size=(repeats, 1, rates.shape[1]))


KINDS: dict[str, Kind] = {
    "tuning curves": Kind("von Mises curves of one angle, peaks log-normal", partial(_tuned, 100), _poisson),
    "tuning, 20 units": Kind("the same, fewer units", partial(_tuned, 20), _poisson),
    "tuning, shared gain": Kind(
        "the same 100, and a gain (SD 0.3) that all units of a presentation share",
        partial(_tuned, 100),
        _with_gain,
    ),
    "five factors": Kind("rates as the exponential of five factors", partial(_factors, 5, 1.0), _poisson),
    "two factors, low rates": Kind("of two, at half the rate", partial(_factors, 2, 0.5), _poisson),
    "shared gain": Kind("five factors, and such a gain", partial(_factors, 5, 1.0), _with_gain),
    "gain of a repeat": Kind(
        "five factors, and a gain that a whole repeat shares",
        partial(_factors, 5, 1.0),
        partial(_with_gain, of_repeat=True),
    ),
    "drift": Kind(
        "five factors, and a level of each unit that changes from repeat to repeat",
        partial(_factors, 5, 1.0),
        _with_drift,
    ),
    "contrast": Kind("all units follow one number, with slopes of their own", _contrast, _poisson),
    "categories": Kind("ten, with differences within them", _categories, _poisson),
    "Gaussian noise": Kind("five linear factors; noise of twice their SD", _linear, _gaussian),
    "independent rates": Kind("each unit's rates are exponential, and its own", _independent, _poisson),
    "few spikes": Kind("six categories of a fifth of a spike; 50 units", _few_kinds, _poisson),
    "rectified": Kind("20 linear factors without what is below 0; 60 units", _rectified, _poisson),
    "two angles": Kind("tuning to two angles, and a gain (SD 0.3); 40 units", _two_angles, _with_gain),
    "overdispersed": Kind(
        "five factors, each unit with a gain of its own (gamma, variance 1)",
        partial(_factors, 5, 1.0),
        _overdispersed,
    ),
}

#: Of which no limits were seen before all bounds were chosen.
FRESH = ("rectified", "two angles", "overdispersed")

#: What the page shows how many repeats are needed of, and what the picture is of.
SHOWN, DRAWN = (
    ("five factors", "two factors, low rates", "tuning, 20 units", "tuning, shared gain"),
    "five factors",
)


@cache
def responses_of(kind: str) -> Callable[[np.random.Generator, int], Rates]:
    """Return what gives the expected responses of the units of a kind, which are always the same."""
    return KINDS[kind].units(generator_of("units", kind))


def one_set(kind: str, n: int, repeats: int, number: int) -> tuple[Rates, Repeats]:
    """Return the expected responses to new stimuli, and what was recorded of them."""
    rng = generator_of("repeats", kind, n, repeats, number)
    rates = responses_of(kind)(rng, n)
    return rates, KINDS[kind].noise(rng, rates, repeats)


def value_of(responses: Rates) -> float:
    """Return the differentiation of responses."""
    return squares_of(responses).differentiation(divided=True).value


@cache
def truth(kind: str) -> float:
    """Return the differentiation of very many stimuli without noise."""
    rates = responses_of(kind)(generator_of("truth", kind), MANY)
    distances = [((rates - np.roll(rates, by, axis=0)) ** 2).mean(axis=1) for by in range(1, PARTNERS + 1)]
    return float(np.sqrt(np.median(distances) / rates.var()))


class Found(NamedTuple):
    """What is found in one set; numbers, of which some are NaN."""

    plain: float
    of_mean: float
    noise_free: float
    low: float
    high: float
    bias: float
    noise: float  # whether it is doubted for noise, and at all
    doubt: float
    clean_low: float  # the limits of the same responses without noise
    clean_high: float


def look(kind: str, size: tuple[int, int], number: int) -> Found:
    """Return the values of a set, and its limits."""
    rates, recorded = one_set(kind, *size, number)
    measuring, splits = _Measuring(True, LEVEL, SPLITS, 0), splits_of(size[1], SPLITS, 0)
    squares = noise_free(recorded)
    bias, error = measuring.bias(recorded, splits, squares.differentiation(divided=True).value)
    free = measuring.noise_free(squares, bias, error, size[1])
    clean = measuring.noise_free(squares_of(rates), 0.0, 0.0, size[1])
    plain = float(np.mean([value_of(one) for one in recorded]))
    values = plain, value_of(recorded.mean(axis=0)), free.value
    doubts = float(free.doubt == "noise"), float(free.doubt != "")
    return Found(*values, free.low, free.high, bias, *doubts, clean.low, clean.high)


def row(kind: str, size: tuple[int, int], simulations: int, run: Any) -> dict[str, Any]:
    """Return the means of the values over the truth, and how often limits that are told hold it."""
    true = truth(kind)
    values = np.array(list(run(partial(look, kind, size), range(simulations)))).T
    found = dict(zip(Found._fields, values, strict=True))
    low, high = found["low"], found["high"]
    told, clean = np.isfinite(low), np.isfinite(found["clean_low"])
    below, above = high[told] < true, low[told] > true
    without = (found["clean_low"][clean] <= true) & (true <= found["clean_high"][clean])
    return {
        "kind": kind,
        "size": list(size),
        "truth": true,
        **{name: float(np.nanmean(found[name]) / true) for name in VALUES},
        "undefined": float(np.isnan(found["noise_free"]).mean()),
        "bias": float(np.nanmean(found["bias"]) / true),
        "noise": float(found["noise"].mean()),
        "doubt": float(found["doubt"].mean()),
        "held": float(1 - (below | above).mean()) if told.any() else None,
        "below": float(below.mean()) if told.any() else None,
        "above": float(above.mean()) if told.any() else None,
        "half_width": float(np.median((high - low)[told]) / 2 / true) if told.any() else None,
        "clean": float(without.mean()) if clean.any() else None,
    }


def of_same(kind: str, repeats: int, number: int) -> list[float]:
    """Return the three values of a set over that of the same stimuli without noise."""
    rates, recorded = one_set(kind, STIMULI, repeats, number)
    free = noise_free(recorded).differentiation(divided=True).value
    values = [np.mean([value_of(one) for one in recorded]), value_of(recorded.mean(axis=0)), free]
    return (np.array(values) / value_of(rates)).tolist()


def squares(kind: str, number: int) -> float:
    """Return the mean squared distance without noise, over the true one, of always the same 20 stimuli."""
    rates, _ = one_set(kind, 20, 2, 0)
    recorded = KINDS[kind].noise(generator_of("squares", kind, number), rates, 4)
    return float(noise_free(recorded).distances.sum() / squares_of(rates).distances.sum())


def count(simulations: int) -> dict[str, Any]:
    """Simulate, and return what was counted."""
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        run = partial(pool.map, chunksize=20)
        unbiased = []
        for kind in KINDS:
            ratios = np.array(list(run(partial(squares, kind), range(SQUARES))))
            error = ratios.std(ddof=1) / np.sqrt(SQUARES)
            unbiased.append({"kind": kind, "ratio": float(ratios.mean()), "error": float(error)})
        needed = []
        for kind in SHOWN:
            for repeats in REPEATS:
                found = np.array(list(run(partial(of_same, kind, repeats), range(simulations))))
                spread = (np.nanstd(found, axis=0) / np.sqrt(simulations)).tolist()
                needed.append(
                    {
                        "kind": kind,
                        "repeats": repeats,
                        "ratios": np.nanmean(found, axis=0).tolist(),
                        "errors": spread,
                    }
                )
        rows = []
        for kind in KINDS:
            for size in SIZES:
                rows.append(row(kind, size, simulations, run))
                print(
                    {what: rows[-1][what] for what in ("kind", "size", "noise_free", "held", "doubt")},
                    flush=True,
                )
    return {"simulations": simulations, "squares": unbiased, "needed": needed, "rows": rows}


HEAD = """# Repeats, tried on responses whose truth is known

`dif.measure_repeats` has three values of the responses to repeated stimuli: that of single repeats
(*plain*), that of the mean response (*of the mean*), and that *without noise*, from products across
repeats. How far is each from what responses without noise would give, and how often do the limits hold
that? What this page claims is as wide as the kinds below, and no wider. (`python docs/write_repeats.py`
writes it; the numbers are also in `repeats.json`.)

There are 100 units unless said otherwise, which are always the same; stimuli and noise are new in each
simulation. The truth is the value of 20,000 stimuli without noise. Spikes are Poisson, but where a Gaussian
is named. No limits of {fresh} were seen before all bounds of the method
were chosen.

"""

SQUARED = """
## Squared distances

The mean over all pairs of the squared distance without noise, over the true one: of 20 stimuli, always the
same, and 4 repeats, {squares:,} times. It is unbiased where it lies within three standard errors of 1.

"""

VALUE = """
## The value itself

The mean over {simulations:,} sets, in per cent above (+) or below (-) the truth. **Bold**: the value without
noise is not within 2 % of it. The *estimated bias* is the mean of `noise_bias`. (Where either is unknown in
some sets, it is that of the others.)

"""

REASON = """
Why not all is within 2 %: squared distances are unbiased, but their median is not. Noise smears the squared
distances of pairs, which moves their median to where more of them lie, mostly towards the mean; and it
smears larger ones more. The median is then divided by a variance, and its root is taken. Each of that is of
second order: it falls as one over the number of repeats, and with more units. At few stimuli all three
values also have the bias of few stimuli, which noise has no part in.

## How many repeats are enough

Of {stimuli} stimuli, each value over that of the *same* stimuli without noise, in per cent above or below:
what noise alone does. **Bold** is what is beyond 2 %.

"""

LIMITS = """
![Three curves against the number of repeats: that of single repeats stays far above the truth, that of the
mean falls towards it, and that without noise lies on it](images/repeats.png)

The same of *{drawn}*, as it is; the line is the truth.

## Limits

How many of the limits without noise that are told hold the truth, at 95 %; in brackets, how many lie wholly
below and above it. *Expected responses*: the same of limits from these stimuli's expected responses, which no
noise was added to. *Doubt*: of how many sets they are not told, and of these for noise. *Half width*: the
median, in per cent of the truth. **Bold** is what lies outside 93 to 97 %, by more than two standard errors
of the simulation.

"""

SUMMARY = """
{within} of {cells} cells lie within 93 to 97 %, {higher} higher and {lower} lower. By more than two standard
errors of the simulation, {above} hold more, as limits are wider than they had to be, and {below} less:
{named}.

{table}

- Limits are too wide where all stimuli have like distances to others, as those of one angle, of linear
  factors, or of categories: leaving out a stimulus counts twice what a pair of stimuli has of its own, which
  is then most of what there is.
- They are widened by 1.5 times the estimated bias and its error, which are large with three or four repeats
  and known roughly: the bias is overestimated where noise is far more than the signal (*five factors*), and
  underestimated where units are few, or share a gain. So these limits are rather wide than wrong.
- Rates of *two factors* have a long tail, and the strongest stimuli may be missing, with noise or without
  ([more of that](coverage.md)). A part of their sets has a doubt for it; more repeats do not help.
- Where little is left beside noise (*few spikes*), parts of the repeats tell less of how large the bias is.
  `reliability_spearman` tells of such sets.
- Limits are over stimuli, which are left out with all of their repeats, so that the noise of presentations is
  within them. Noise that all stimuli of a repeat share, as *drift*, is not.
- Nothing is claimed of two repeats, of which there are no limits, nor of the limits of the other two values.
"""


def _percent(ratio: float, *, bold: bool = False) -> str:
    text = f"{100 * (ratio - 1):+.1f}"
    return f"**{text}**" if bold else text


def _is_far(ratio: float, error: float = 0.0) -> bool:
    """Return whether a value is beyond what is asked of it, by more than its error."""
    return abs(ratio - 1) > MOST_BIASED + 2 * error


def misses(one: Mapping[str, Any], simulations: int) -> int:
    """Return -1 where limits hold the truth too rarely, 1 where too often, and 0 elsewhere."""
    if one["held"] is None:
        return 0
    told = max(1.0, simulations * (1 - one["doubt"]))
    error = 2 * np.sqrt(LEVEL * (1 - LEVEL) / told)
    return int(one["held"] > MOST_HELD + error) - int(one["held"] < LEAST_HELD - error)


def _limits_row(one: Mapping[str, Any], simulations: int) -> list[str]:
    cells = [one["kind"], str(one["size"][0]), str(one["size"][1])]
    if one["held"] is None:
        cells += ["-", "-", "-"]
    else:
        held = f"{100 * one['held']:.1f}"
        held = f"**{held}**" if misses(one, simulations) else held
        cells += [
            f"{held} ({100 * one['below']:.1f}, {100 * one['above']:.1f})",
            f"{100 * one['clean']:.1f}",
            f"{100 * one['half_width']:.0f}",
        ]
    return [*cells, f"{100 * one['doubt']:.0f}, {100 * one['noise']:.0f}"]


def page(counted: Mapping[str, Any]) -> str:
    """Return the page."""
    rows, simulations = counted["rows"], counted["simulations"]
    lines = table(
        ["responses", "what they are"], [[name, kind.words] for name, kind in KINDS.items()], texts=2
    )
    text = (
        HEAD.format(fresh=f"*{'*, *'.join(FRESH[:-1])}* and *{FRESH[-1]}*")
        + "\n".join(lines)
        + "\n"
        + SQUARED.format(squares=SQUARES)
    )
    cells = [
        [
            one["kind"],
            f"{one['ratio']:.4f}",
            f"{one['error']:.4f}",
            f"{(one['ratio'] - 1) / one['error']:+.1f}",
        ]
        for one in counted["squares"]
    ]
    text += "\n".join(table(["responses", "mean", "standard error", "standard errors from 1"], cells)) + "\n"
    cells = [
        [
            one["kind"],
            *map(str, one["size"]),
            f"{one['truth']:.3f}",
            _percent(one["plain"]),
            _percent(one["of_mean"]),
            _percent(one["noise_free"], bold=_is_far(one["noise_free"])),
            _percent(1 + one["bias"]),
        ]
        for one in rows
    ]
    head = [
        "responses",
        "stimuli",
        "repeats",
        "truth",
        "plain",
        "of the mean",
        "without noise",
        "estimated bias",
    ]
    text += VALUE.format(simulations=simulations) + "\n".join(table(head, cells)) + "\n"
    cells = [
        [
            one["kind"],
            str(one["repeats"]),
            *(
                _percent(ratio, bold=_is_far(ratio, error))
                for ratio, error in zip(one["ratios"], one["errors"], strict=True)
            ),
        ]
        for one in counted["needed"]
    ]
    head = ["responses", "repeats", "plain", "of the mean", "without noise"]
    text += REASON.format(stimuli=STIMULI) + "\n".join(table(head, cells)) + "\n"
    head = [
        "responses",
        "stimuli",
        "repeats",
        "held (below, above)",
        "expected responses",
        "half width",
        "doubt, noise",
    ]
    text += LIMITS.format(drawn=DRAWN)
    text += "\n".join(table(head, [_limits_row(one, simulations) for one in rows])) + "\n"
    told = [one for one in rows if one["held"] is not None]
    missed = {sign: [one for one in told if misses(one, simulations) == sign] for sign in (-1, 0, 1)}
    named = "; ".join(
        f"{one['kind']}, {one['size'][0]} stimuli, {one['size'][1]} repeats ({100 * one['held']:.1f} %)"
        for one in missed[-1]
    )
    within, higher, lower = _spread(told, "held")
    counts = {"within": within, "higher": higher, "lower": lower, "cells": len(told)}
    counts |= {"above": len(missed[1]), "below": len(missed[-1])}
    shares = [
        ["expected responses, no noise", *map(str, _spread(told, "clean"))],
        *(
            [
                words,
                *map(str, _spread([one for one in told if few == (one["size"][1] < MANY_REPEATS)], "held")),
            ]
            for words, few in (("three or four repeats", True), ("ten or twenty", False))
        ),
    ]
    lines = table(["cells of", "within 93 to 97 %", "higher", "lower"], shares)
    return text + SUMMARY.format(**counts, named=named or "none", table="\n".join(lines))


def _spread(rows: Sequence[Mapping[str, Any]], what: str) -> tuple[int, int, int]:
    """Return how many lie within what is asked of limits, higher, and lower."""
    held = np.array([one[what] for one in rows])
    higher, lower = int((held > MOST_HELD).sum()), int((held < LEAST_HELD).sum())
    return len(held) - higher - lower, higher, lower


def draw(counted: Mapping[str, Any]) -> None:
    """Draw the three values against the number of repeats."""
    import matplotlib.pyplot as plt

    shown = [one for one in counted["needed"] if one["kind"] == DRAWN]
    true = next(one["truth"] for one in counted["rows"] if one["kind"] == DRAWN)
    figure, ax = plt.subplots(figsize=(4.6, 3.0), layout="constrained")
    ax.axhline(true, color="#7A7A7A", linewidth=0.8, label="truth")
    repeats = [one["repeats"] for one in shown]
    for place, (label, fill) in enumerate(
        (("single repeats", "none"), ("mean response", "left"), ("without noise", "full"))
    ):
        values = [true * one["ratios"][place] for one in shown]
        ax.plot(
            repeats,
            values,
            color="#0072B2",
            marker="o",
            markersize=4,
            fillstyle=fill,
            label=label,
            linewidth=1,
        )
    ax.set_xscale("log")
    ax.set_xticks(repeats, [str(one) for one in repeats])
    ax.minorticks_off()
    ax.set_ylim(0, 1.5)
    ax.set_xlabel("Repeats", fontsize=8)
    ax.set_ylabel("Differentiation", fontsize=8)
    ax.tick_params(labelsize=7)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=7, frameon=False, loc="lower right")
    figure.savefig(PICTURE, dpi=150)
    plt.close(figure)


def main() -> None:
    """Simulate, draw and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=300)
    counted = count(parser.parse_args().simulations)
    COUNTED.write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(counted), encoding="utf-8")
    draw(counted)


if __name__ == "__main__":
    main()
