"""Write docs/depth.md: how often limits of `depth` hold the truth, and how MobileNet follows its images.

python docs/write_depth.py [--simulations 4000]

What was counted is kept in docs/depth.json; the page is written from it. It needs the real data (see
``real_data.py``), and takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import textwrap
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from markdown_tables import table
from real_data import data_folder, load_mobilenet
from scipy import stats
from scipy.special import ndtr

import differentia as dif
from differentia.results.correlations import COEFFICIENTS, correlations, jackknifed, line_through
from differentia.results.depth import LONE_SHARE

HERE = Path(__file__).parent
PAGE, COUNTED, PICTURE = HERE / "depth.md", HERE / "depth.json", HERE / "images" / "depth.png"

#: Sets; of the first no claim is made.
SIZES = (6, 12, 50)

LEVEL = 0.95
WANTED = (0.93, 0.97)

#: Values of a generator from which its truth is computed, where it is not known.
MANY = 2_000_000

Pair = tuple[np.ndarray, np.ndarray]
Generator = Callable[[np.random.Generator, tuple[int, ...]], Pair]


def _normal(rho: float, rng: np.random.Generator, shape: tuple[int, ...]) -> Pair:
    x, noise = rng.normal(size=shape), rng.normal(size=shape)
    return x, rho * x + np.sqrt(1 - rho**2) * noise


def _log_normal(rho: float, sd: float, rng: np.random.Generator, shape: tuple[int, ...]) -> Pair:
    x, y = _normal(rho, rng, shape)
    return np.exp(sd * x), np.exp(sd * y)


def _heavy(rho: float, rng: np.random.Generator, shape: tuple[int, ...]) -> Pair:
    x, y = _normal(rho, rng, shape)
    scale = np.sqrt(rng.chisquare(5, size=shape) / 5)
    return x / scale, y / scale


def _bounded(rho: float, rng: np.random.Generator, shape: tuple[int, ...]) -> Pair:
    x, y = _normal(rho, rng, shape)
    return ndtr(x), ndtr(y)


def _uneven(rng: np.random.Generator, shape: tuple[int, ...]) -> Pair:
    x, noise = rng.normal(size=shape), rng.normal(size=shape)
    return x, 0.6 * x + 0.8 * noise * (0.4 + 0.6 * np.abs(x))


def _saturating(rng: np.random.Generator, shape: tuple[int, ...]) -> Pair:
    x = rng.uniform(size=shape)
    return x, np.tanh(3 * x) + 0.15 * rng.normal(size=shape)


def _drawn_from(pool: Callable[[], Pair], rng: np.random.Generator, shape: tuple[int, ...]) -> Pair:
    """Draw sets from a pool, which is all that there are of their kind."""
    x, y = pool()
    at = rng.integers(0, len(x), size=shape)
    return x[at], y[at]


@cache
def openscope() -> Pair:
    """Return the films of each session: their mean over the other sessions, and their value in it.

    Both relative to the session's mean over films.
    """
    import pandas as pd

    given = pd.read_csv(data_folder() / "neurons" / "openscope_differentiation.csv.gz")
    values = given.groupby(["session", "stimulus"])["normalized_differentiation"].mean().unstack().to_numpy()
    values = values / values.mean(axis=1, keepdims=True)
    others = (values.sum(axis=0) - values) / (len(values) - 1)
    return others.ravel(), values.ravel()


#: Of MobileNet: the layers, and those whose sets are drawn from.
LAYERS = ("input", "conv1_relu", "conv_pw_*_relu", "global_average_pooling2d", "predictions")
POOLED = ("conv_pw_1_relu", "conv_pw_6_relu", "conv_pw_12_relu")

#: Sets of the pool, images of each, and among how many of neighbouring contrast they are chosen.
POOL, OF_POOL, NEIGHBOURS = 2000, 10, 40

#: The sets of the example, and the layers that its picture has at the left.
EXAMPLE, SHOWN = 13, ("conv1_relu", "conv_pw_9_relu", "conv_pw_13_relu")


def photographs() -> dict[str, list[Path]]:
    """Return the cats and the other photographs."""
    data = data_folder()
    return {name: sorted((data / name).glob("*.jpg")) for name in ("cats", "random")}


def by_contrast() -> list[Path]:
    """Return all images in the order of their contrast: the SD of all pixel values, at 224 x 224."""
    from PIL import Image

    def contrast(path: Path) -> float:
        with Image.open(path) as image:
            return float(np.asarray(image.convert("RGB").resize((224, 224)), dtype=np.float64).std())

    files = [path for paths in photographs().values() for path in paths]
    return sorted(files, key=contrast)


def mixtures() -> dict[str, list[Path]]:
    """Return 13 sets of 11 images: 0 to 7 photographs each, the others cats."""
    files, used = photographs(), {"cats": 0, "random": 0}
    sets: dict[str, list[Path]] = {}
    for number, photos in enumerate((0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7), start=1):
        sets[f"mixture {number}"] = []
        for name, count in (("random", photos), ("cats", 11 - photos)):
            sets[f"mixture {number}"] += files[name][used[name] : used[name] + count]
            used[name] += count
    return sets


def measure(sets: Mapping[str, Sequence[Path]], normalize: str) -> Any:
    """Measure MobileNet with all its units."""
    given = {name: [str(path) for path in paths] for name, paths in sets.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "images of one set have the same content")
        return dif.measure(
            load_mobilenet(), given, layers=LAYERS, units="all", normalize=normalize, views=False
        )


@cache
def _distances() -> tuple[dict[str, int], np.ndarray]:
    """Return each layer's place, and the distances between all images in the order of their contrast."""
    result = measure({"all": by_contrast()}, "none")
    units = np.sqrt(result["units_at_hand"].values.astype(np.float64))
    names = [str(name) for name in result["layer"].values]
    return {name: at for at, name in enumerate(names)}, result["distance"].values / units[:, None, None]


@cache
def mobilenet(layer: str) -> Pair:
    """Return the differentiation of many sets in the input and in a layer."""
    places, distances = _distances()
    rng = np.random.default_rng(0)
    first, second = np.triu_indices(OF_POOL, k=1)
    found = np.empty((POOL, 2))
    for one in range(POOL):
        start = rng.integers(0, distances.shape[1] - NEIGHBOURS + 1)
        images = start + rng.choice(NEIGHBOURS, OF_POOL, replace=False)
        of_pairs = distances[[places["input"], places[layer]]][:, images[first], images[second]]
        found[one] = np.median(of_pairs, axis=1)
    return found[:, 0], found[:, 1]


#: By name: what draws the stimulus' value and a layer's, and what it is.
GENERATORS: dict[str, tuple[Generator, str]] = {
    **{
        f"normal, {rho:g}": (partial(_normal, rho), f"normal, correlation {rho:g}")
        for rho in (0, 0.3, 0.6, 0.9, 0.98)
    },
    **{
        f"log-normal, {rho:g}": (
            partial(_log_normal, rho, 0.5),
            f"exp(z / 2) of such with {rho:g}: skewness 1.75",
        )
        for rho in (0, 0.3, 0.6, 0.9)
    },
    **{
        f"heavy tails, {rho:g}": (partial(_heavy, rho), f"t with 5 degrees of freedom in both, {rho:g}")
        for rho in (0, 0.6, 0.9)
    },
    **{
        f"bounded, {rho:g}": (partial(_bounded, rho), f"normal ranks ({rho:g}) as uniform values")
        for rho in (0, 0.6, 0.9)
    },
    "uneven": (_uneven, "the spread around the line grows away from the middle"),
    "saturating": (_saturating, "a uniform stimulus, and a response that saturates"),
    "OpenScope": (
        partial(_drawn_from, openscope),
        "films in 44 sessions of mice (Mayner et al. 2022), against their mean over the other sessions",
    ),
    **{
        f"MobileNet, {layer}": (
            partial(_drawn_from, partial(mobilenet, layer)),
            f"{POOL:,} sets of {OF_POOL} images of neighbouring contrast",
        )
        for layer in POOLED
    },
    "log-normal, SD 1, 0.6": (
        partial(_log_normal, 0.6, 1.0),
        "exp(z): skewness 6.2; it is there to show limits",
    ),
}

#: No claim is made of them.
LIMITS_SHOWN = ("log-normal, SD 1, 0.6",)


def truth_of(name: str) -> dict[str, float]:
    """Return the correlations and the slope of all values of a kind."""
    draw, _ = GENERATORS[name]
    pool = getattr(draw, "func", None) is _drawn_from
    x, y = draw.args[0]() if pool else draw(np.random.default_rng(1), (MANY,))  # type: ignore[attr-defined]
    found = {what: float(correlations(x, y[:, None], what)[0]) for what in COEFFICIENTS}
    return {**found, "slope": float(line_through(x, y[:, None], LEVEL).slope[0])}


def coverage(name: str, n: int, truth: Mapping[str, float], simulations: int) -> dict[str, Any]:
    """Return how often known limits hold the truth, and lie below and above it, also without lone sets."""
    draw, _ = GENERATORS[name]
    x, y = draw(np.random.default_rng([zlib.crc32(name.encode()), n]), (n, simulations))
    limits = {what: jackknifed(x, y, what, LEVEL) for what in COEFFICIENTS}
    line = line_through(x, y, LEVEL)
    limits["slope"] = (line.low, line.high)
    z = np.arctanh(np.clip(correlations(x, y, "pearson"), -1 + 1e-12, 1 - 1e-12))
    reach = 1.959964 / np.sqrt(n - 3)
    limits["fisher"] = (np.tanh(z - reach), np.tanh(z + reach))
    truths = {**truth, "fisher": truth["pearson"]}
    shares = [
        ((of - of.mean(axis=0)) ** 2).max(axis=0) / ((of - of.mean(axis=0)) ** 2).sum(axis=0) for of in (x, y)
    ]
    lone = np.maximum(*shares) > LONE_SHARE
    row: dict[str, Any] = {"kind": name, "sets": n, "lone": float(lone.mean())}
    for what, (low, high) in limits.items():
        known = np.isfinite(low)  # not where all ranks agree
        below, above = high[known] < truths[what], low[known] > truths[what]
        held = ~(below | above)
        row[what] = {"held": float(held.mean()), "below": float(below.mean()), "above": float(above.mean())}
        row[what]["without_lone"] = float(held[~lone[known]].mean()) if (~lone[known]).any() else None
    return row


def example(name: str, sets: Mapping[str, Sequence[Path]], normalize: str) -> tuple[Any, dict[str, Any]]:
    """Compare MobileNet's layers with its images; fail unless the numbers are SciPy's."""
    found = dif.depth(measure(sets, normalize))
    x = found["stimulus"].values
    rows = []
    for layer in found["layer"].values[1:]:
        at, y = found.sel(layer=layer), found["value"].sel(layer=layer).values
        expected = {
            "pearson": stats.pearsonr(x, y).statistic,
            "spearman": stats.spearmanr(x, y).statistic,
            "slope": stats.linregress(x, y).slope,
            "r_squared": stats.linregress(x, y).rvalue ** 2,
        }
        for what, value in expected.items():
            np.testing.assert_allclose(at[what], value, atol=1e-9)
        names = ("pearson", "spearman", "slope")
        rows.append(
            {
                "layer": str(layer),
                **{
                    f"{what}{end}": at[f"{what}{end}"].item()
                    for what in names
                    for end in ("", "_low", "_high")
                },
                "r_squared": at["r_squared"].item(),
                "p": at["pearson_p"].item(),
                "p_corrected": at["pearson_p_corrected"].item(),
                "pairs": float(at["mantel_spearman"].median()),
                "pairs_found": int((at["mantel_spearman_p"] < 0.05).sum()),
            }
        )
    about = {
        "name": name,
        "stimulus": [float(x.min()), float(x.max())],
        "rows": rows,
        "said": dif.say_depth(found),
    }
    return found, about


def count(simulations: int) -> dict[str, Any]:
    """Simulate, measure, draw, and return what was counted."""
    truths = {name: truth_of(name) for name in GENERATORS}
    rows = []
    for name, n in product(GENERATORS, SIZES):
        rows.append(coverage(name, n, truths[name], simulations))
        print(
            name,
            n,
            {what: round(rows[-1][what]["held"], 3) for what in ("pearson", "spearman", "slope")},
            flush=True,
        )
    parts = np.array_split(np.arange(143), EXAMPLE)
    ordered = by_contrast()
    sets = {f"contrast {number}": [ordered[at] for at in part] for number, part in enumerate(parts, start=1)}
    found, contrast = example("contrast", sets, "none")
    draw(found)
    _, mixed = example("mixtures", mixtures(), "layer")
    return {"simulations": simulations, "truths": truths, "coverage": rows, "examples": [contrast, mixed]}


def draw(found: Any) -> None:
    """Draw the example."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "differentia"}):
        figure = Figure(dpi=150)
        dif.plot_depth(found, figure, layers=SHOWN)
        figure.savefig(PICTURE)


HEAD = """# How responses follow the stimulus

Does a layer respond more differently to sets that differ more themselves, and how deep into the network?
This page has the numbers behind `dif.depth` ([the guide](guides/depth.md)): how often its intervals hold
the truth, and what it says of a real network. (`make figures` writes it, with `docs/write_depth.py`; the
numbers are also in `depth.json`.)

## How often the intervals hold the truth

What is claimed here is as wide as the generators and the data below, and no wider. Each draws sets: the
differentiation of the stimulus, and that of a layer. The truth is that of all values of the kind; of real
data, that of all sets at hand, from which sets are drawn with replacement.

"""

METHOD = """
In how many per cent of {simulations:,} simulations do nominal 95 % limits hold the truth (in brackets: lie
wholly below, above)? It is known to ± {error:.1f} % (two standard errors). Asked is 93 to 97 % at 12 and at
50 sets; **bold** is what misses that. *Fisher*: Pearson's with Fisher's own error, 1 / sqrt(n - 3), which
is not used. *Lone set*: in how many per cent one set has more than half of the spread of the stimulus or of
the layer, which `depth` tells; then how often limits of *r* hold the truth in the others. R squared has the
limits of *r*, squared, without a claim. Where all ranks agree there are no limits of the rank correlation;
those that there are count.

"""

MISSED = """
What misses: {missed}. With 6 sets nothing is claimed. Limits of *r* are too narrow where values are
strongly skewed, and too few sets are at hand to tell; those of the rank correlation do not mind.
"""

EXAMPLE_TEXT = """
## MobileNet

MobileNet (alpha 0.25) was shown 100 cats and 43 other photographs, cut into 13 sets of 11 in the order of
their contrast (the SD of an image's pixels), with `normalize="none"`: the differentiation of the stimulus
is then between {low:.2f} and {high:.2f}. All numbers are those of SciPy (`pearsonr`, `spearmanr`,
`linregress`), which the script asserts. *Pairs*: within a set, the rank correlation of the distances of
pairs with those in the input, its median over sets, and in how many of the 13 sets p < 0.05 (Mantel).

![The differentiation of three layers against that of the stimulus, and the correlation of each layer
against depth, which falls from 0.9 to below 0](images/depth.png)

"""

SAID = """
What `dif.say_depth` says of it:

{said}

The same images were also cut into mixtures (0 to 7 photographs, the others cats), and measured in the usual
unit, the SD of all responses of a layer, in which contrast does not count. The sets then hardly differ:

{mixed}

Thirteen sets are few, and each interval is wide.
"""

#: In characters.
WIDTH = 110


def quoted(sentences: Sequence[str]) -> str:
    """Return sentences as a quotation, on lines of a width."""
    return textwrap.fill(" ".join(sentences), WIDTH, initial_indent="> ", subsequent_indent="> ")


def shares(row: Mapping[str, float], *, bold: bool) -> str:
    """Return a coverage as it stands in the table."""
    held = f"{100 * row['held']:.1f}"
    return f"{f'**{held}**' if bold else held} ({100 * row['below']:.1f}, {100 * row['above']:.1f})"


def misses(row: Mapping[str, Any], what: str) -> bool:
    """Return whether a coverage is not what is asked."""
    return row["sets"] in SIZES[1:] and not WANTED[0] <= round(row[what]["held"], 3) <= WANTED[1]


def page(counted: Mapping[str, Any]) -> str:
    """Return the page from what was counted."""
    truths, simulations = counted["truths"], counted["simulations"]
    lines = [
        [name, words, *(f"{truths[name][what]:.2f}" for what in ("pearson", "spearman"))]
        for name, (_, words) in GENERATORS.items()
    ]
    text = HEAD + "\n".join(table(["values", "what they are", "r", "rank"], lines, texts=2)) + "\n"
    text += METHOD.format(simulations=simulations, error=200 * np.sqrt(0.95 * 0.05 / simulations))
    tried = ("pearson", "spearman", "slope")
    lines = [
        [
            row["kind"],
            str(row["sets"]),
            *(shares(row[what], bold=misses(row, what)) for what in tried),
            f"{100 * row['fisher']['held']:.1f}",
            f"{100 * row['lone']:.0f}",
            "-" if row["pearson"]["without_lone"] is None else f"{100 * row['pearson']['without_lone']:.1f}",
        ]
        for row in counted["coverage"]
    ]
    head = ["values", "sets", "r", "rank correlation", "slope", "Fisher", "lone set", "r without"]
    text += "\n".join(table(head, lines)) + "\n"
    words = {"pearson": "r", "spearman": "rank correlation", "slope": "slope"}
    missed = [
        f"{words[what]} of {row['kind']} with {row['sets']} sets ({100 * row[what]['held']:.1f} %)"
        for row in counted["coverage"]
        for what in tried
        if misses(row, what)
    ]
    paragraph = MISSED.format(missed="; ".join(missed) or "nothing")
    text += f"\n{textwrap.fill(paragraph.strip(), WIDTH)}\n"
    contrast, mixed = counted["examples"]
    low, high = contrast["stimulus"]
    text += EXAMPLE_TEXT.format(low=low, high=high)
    lines = [
        [
            row["layer"],
            *(f"{row[what]:.2f} [{row[f'{what}_low']:.2f}, {row[f'{what}_high']:.2f}]" for what in tried),
            f"{row['r_squared']:.2f}",
            f"{row['p_corrected']:.4f}",
            f"{row['pairs']:.2f}",
            str(row["pairs_found"]),
        ]
        for row in contrast["rows"]
    ]
    head = ["layer", "r", "rank correlation", "slope", "R²", "corrected p", "pairs", "of 13"]
    text += "\n".join(table(head, lines)) + "\n"
    return text + SAID.format(said=quoted(contrast["said"]), mixed=quoted(mixed["said"][:1]))


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=4000)
    counted = count(parser.parse_args().simulations)
    COUNTED.write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(counted), encoding="utf-8")


if __name__ == "__main__":
    main()
