"""Draw every figure of the gallery with the code beside it, and write the page: docs/gallery.md.

A figure is an entry of `ENTRIES`. Its code runs after `BEGINNING`, in names of its own; what it drew last is
saved.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = Path(__file__).resolve().parent / "gallery.md"
FIGURES = PAGE.parent / "images" / "gallery"
DPI = 110
WIDTH = 110  # of lines of text


class Entry(NamedTuple):
    """A figure of the page: the name of its file, what stands above it, what it shows, and its code."""

    name: str
    title: str
    text: str
    alt: str
    code: str


HEAD = """# Gallery

Figures with the code that draws them. Each runs offline, as it stands, after these lines, which measure the
embedded network (it reads handwritten digits). For figures of your own, name another network and sets.

"""

BEGINNING = """
import matplotlib.pyplot as plt
import numpy as np

import differentia as dif

sets = {
    "white_noise": "noise:43",
    "threes": "digits:43?digit=3",
    "all_digits": "digits:43",
}
layers = ["input", "block*_relu*", "block*_pool", "predictions"]
result = dif.measure("digits", sets, layers=layers, n_units=(20, 20_000))
"""

ENTRIES = (
    Entry(
        "curves",
        "Differentiation against depth",
        "Lines are means over draws of units, one style for each number of units. Bands are 95 % "
        "intervals for other images, bars for other units. Open marks have not converged: more units "
        "give another value.",
        "Three curves over the layers of the network. White noise falls with depth, the threes fall to "
        "nearly zero in the last layer, and all digits stay high.",
        """
dif.plot(result)
""",
    ),
    Entry(
        "relative",
        "Relative to white noise",
        "Divided by the reference, here the only set of generated noise. Intervals carry the "
        "reference's own uncertainty.",
        "The curves of the threes and of all digits, divided by that of white noise, which is a line at 1.",
        """
dif.plot_relative(result)
""",
    ),
    Entry(
        "contrast",
        "Where two sets differ",
        "The band is the interval of each layer alone, the upright lines hold for all layers together, "
        'and marks are filled where the sets differ (p < 0.05, corrected). `what="ratio"` draws the '
        "ratio.",
        "The difference between all digits and threes against depth, with a band around it and a line "
        "at zero.",
        """
contrast = dif.contrast(result, "all_digits", "threes")
dif.plot_contrast(contrast)
""",
    ),
    Entry(
        "dimensionality",
        "In how many dimensions responses vary",
        "Solid lines are of the images at hand, which can't reach the dotted line; dashed ones estimate the "
        "value of all images of the kind.",
        "The dimensionality of three sets against depth on a logarithmic axis: that of white noise falls "
        "from about 1000 to 1.",
        """
found = dif.statistics(result)
dif.plot_dimensionality(found)
""",
    ),
    Entry(
        "between",
        "How far two sets lie apart",
        "The median distance between images of two sets, against those within each. Marks are filled where "
        "the sets are not of one kind (permutation p < 0.05, corrected).",
        "Three lines against depth: the distances within threes fall to 0 at the last layer, those between "
        "threes and all digits rise.",
        """
found = dif.statistics(result)
dif.plot_between(found, "threes", "all_digits")
""",
    ),
    Entry(
        "marked",
        "Marks above the curves",
        "Up to six contrasts become rows above the curves, with a mark at each layer where the two sets "
        "differ.",
        "The three curves, with three rows of marks above them, one for each pair of sets.",
        """
pairs = [("white_noise", "threes"), ("white_noise", "all_digits"), ("threes", "all_digits")]
contrasts = [dif.contrast(result, *pair) for pair in pairs]
dif.plot(result, contrasts=contrasts)
""",
    ),
    Entry(
        "kinds",
        "Kinds of units side by side",
        "Measured in one go. [Which kind to choose](guides/units.md#choose-a-kind).",
        "Three panels of curves with a shared axis: random units, units of highest variance, and means "
        "of channels.",
        """
kinds = dif.measure_kinds(
    "digits", sets, kinds=("random", "top_variance", "filter_mean"), layers=layers, n_units=200
)
dif.plot_kinds(kinds)
""",
    ),
    Entry(
        "networks",
        "Several networks",
        "A thin line is a network, a thick one the mean of a group, and the band its interval over "
        "networks. These networks have random weights, each from its own seed.",
        "Thin curves of ten networks for noise and digits, and thick ones for the means of two groups: "
        "networks with ReLU and with tanh.",
        """
from collections import OrderedDict

import torch
from torch import nn


def build(activation, seed):
    torch.manual_seed(seed)
    parts = OrderedDict()
    for depth in range(1, 5):
        parts[f"conv{depth}"] = nn.Conv2d(1 if depth == 1 else 16, 16, 5, padding=2)
        parts[f"activation{depth}"] = activation()
    return dif.load_network(nn.Sequential(parts), preprocess="signed", input_shape=(1, 32, 32))


results = {
    f"{activation.__name__} {seed}": dif.measure(
        build(activation, seed), {"noise": "noise:20", "digits": "digits:20"}, n_units=1_000
    )
    for activation in (nn.ReLU, nn.Tanh)
    for seed in range(5)
}
groups = [name.split()[0] for name in results]
dif.plot_across(dif.across(results, group=groups))
""",
    ),
    Entry(
        "depth",
        "How layers follow the stimulus",
        "Each point is a set, here one of the ten digits: what the images differ by, the first layers pass "
        "on, and the last ones do not. The band is the interval over sets. [How to ask](guides/depth.md).",
        "Points and lines of three layers against the differentiation of the stimulus, and the correlation "
        "of each layer, which falls from nearly 1 to about 0.",
        """
by_digit = {f"digit {digit}": f"digits:20?digit={digit}" for digit in range(10)}
of_digits = dif.measure("digits", by_digit, layers=layers, units="all")
dif.plot_depth(dif.depth(of_digits))
""",
    ),
    Entry(
        "trials",
        "Trials and sessions",
        "Two conditions in simulated sessions of two areas. Each point is a session, filled where its trials "
        "differ; the diamond is the mean over sessions, with its interval for others. "
        "[How often such tests err](trials.md).",
        "Points of twelve sessions in two areas: most are filled and above 0 in V1, and lie around 0 in LM; "
        "beside each a diamond with its interval.",
        """
import pandas as pd

rng = np.random.default_rng(2)
effects = {("film", "V1"): 0.8}
rows = [
    (session, area, condition, level + effects.get((condition, area), 0.0) + rng.normal())
    for session, level in enumerate(rng.normal(5, 1, 12))
    for area in ("V1", "LM")
    for condition in ("film", "scrambled")
    for trial in range(20)
]
table = pd.DataFrame(rows, columns=["session", "area", "set", "differentiation"])
compared = dif.compare_trials(table, "film", "scrambled", group="area")
dif.plot_trials(compared)
""",
    ),
    Entry(
        "repeats",
        "With and without the noise of trials",
        "Responses to repeated stimuli in two simulated areas. Noise makes single repeats (open) differ more "
        "than the stimuli make them; filled marks are without it. Bars are intervals for other stimuli. "
        "[Repeated stimuli](guides/recordings.md#repeated-stimuli).",
        "Three marks for each of two sets in two areas: those of single repeats lie higher, and those "
        "without noise far lower for gratings than for films.",
        """
rng = np.random.default_rng(1)
loadings = rng.normal(size=(5, 80)) / 5**0.5
strengths = {"films": 0.5, "gratings": 0.2}
repeats = {
    name: {
        area: rng.poisson(rate * np.exp(strength * rng.normal(size=(40, 5)) @ loadings), (8, 40, 80))
        for area, rate in {"V1": 2.0, "LM": 1.0}.items()
    }
    for name, strength in strengths.items()
}
found = dif.measure_repeats(repeats, normalize="unit")
dif.plot_repeats(found)
""",
    ),
    Entry(
        "time_courses",
        "Differentiation over time",
        "A window of three seconds moves through each trial of two films; lines are means over trials, bands "
        "one standard error. Spikes are simulated: the film drives units of V1 more and more. "
        "[From an NWB file to a figure](guides/neurons.md).",
        "Two panels of lines against seconds: in V1 the film's rises far above that of its scrambled twin, "
        "in LM the two stay together.",
        """
import pandas as pd

onsets = 12.0 * np.arange(16)
shown = ["film", "scrambled"] * 8
rng = np.random.default_rng(3)
units = pd.DataFrame({"location": ["V1"] * 20 + ["LM"] * 20})
spikes = []
for area in units["location"]:
    parts = [rng.uniform(0, 192, 800)]
    for onset, name in zip(onsets, shown):
        for second in range(10):
            drive = 2.0 * second if (name, area) == ("film", "V1") else 4.0
            count = rng.poisson(rng.gamma(1.0, drive)) if drive else 0
            parts.append(onset + second + rng.uniform(0, 1, count))
    spikes.append(np.sort(np.concatenate(parts)))
table = pd.DataFrame({"start_time": onsets, "stop_time": onsets + 10.0, "shown": shown})
recording = dif.as_recording(spikes, units=units, intervals={"trials": table})
trials = dif.trials(recording, by="shown", bin=0.1, length=3.0, step=1.0)
dif.plot_time_courses(dif.measure_states(trials, states="rate", length=0.5, normalize="unit"))
""",
    ),
    Entry(
        "sets",
        "Many sets",
        "One row for each set, here each of the ten digits as it is, and scrambled in two ways; in the order "
        "of their means over layers. [Controls](guides/images.md#controls).",
        "A heat map of 30 sets and all layers: digits whose blocks were put in random order at the top, "
        "digits as they are, whose values fall to 0 in the last layer, at the bottom.",
        """
many = {}
for digit in range(10):
    source = f"digits:12?digit={digit}"
    many[f"digit {digit}"] = source
    for kind in ("pixels", "blocks"):
        many[f"{digit}, scrambled {kind}"] = dif.scramble(source, kind=kind)
dif.plot_sets(dif.measure("digits", many, layers=layers, n_units=2_000), order="value")
""",
    ),
    Entry(
        "tokens",
        "Class token and patches",
        "A transformer's blocks by their class token, by all patches, and by the mean of the patches. The "
        "network has random weights. [Which tokens](guides/layers.md).",
        "Three panels of curves over six blocks of a transformer: by the class token, by the patches, and by "
        "their mean.",
        """
import torch
from torch import nn


class SmallViT(nn.Module):
    def __init__(self, width=48, depth=6):
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, stride=4)
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn(1, 65, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 2 * width, batch_first=True) for _ in range(depth)
        )

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.places
        for block in self.blocks:
            x = block(x)
        return x[:, 0]


torch.manual_seed(0)
network = dif.load_network(SmallViT(), preprocess="signed", input_shape=(1, 32, 32))
by_tokens = {
    tokens: dif.measure(network, sets, layers=":blocks", tokens=tokens, n_units=1_000)
    for tokens in ("class", "patches", "mean")
}
dif.plot_kinds(by_tokens)
""",
    ),
    Entry(
        "operations",
        "Activations that are functions",
        "Operations that are no modules are layers where they are asked for, named by the module that calls "
        "them. The network has random weights.",
        "Three curves over the input and seven activations of a residual network.",
        """
import torch
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):
    def __init__(self, depth=6):
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(depth))

    def forward(self, x):
        x = F.relu(self.first(x))
        for conv in self.convs:
            x = F.relu(x + conv(x))
        return x


torch.manual_seed(0)
network = dif.load_network(Residual(), preprocess="signed", input_shape=(1, 32, 32))
dif.plot(dif.measure(network, sets, layers=["input", "*/relu*"], n_units=1_000))
""",
    ),
    Entry(
        "distances",
        "Matrices of distances",
        "The distances of all pairs of images; differentiation is the median of what is above the diagonal.",
        "Six matrices of distances: two layers in rows, three sets in columns.",
        """
dif.plot_distances(result, ["block2_relu2", "predictions"])
""",
    ),
    Entry(
        "scaling",
        "Images as points",
        "The same distances, between images of all sets, scaled to two dimensions (classical scaling).",
        "Images as points of a plane. White noise lies close together, the threes in a group of their "
        "own, and all digits are spread out.",
        """
distances = result.distance.sel(layer="block4_relu2").values
centring = np.eye(len(distances)) - 1 / len(distances)
variances, axes = np.linalg.eigh(-centring @ distances**2 @ centring / 2)
points = axes[:, -2:] * np.sqrt(variances[-2:])

figure, ax = plt.subplots(figsize=(4.5, 4), layout="constrained")
for name, colour, marker in zip(sets, ["gray", "tab:blue", "tab:orange"], "os^"):
    of_set = points[result.image_set.values == name]
    ax.plot(*of_set.T, marker, color=colour, markersize=4, label=name)
ax.set(title="block4_relu2", aspect="equal", xticks=[], yticks=[])
ax.legend()
""",
    ),
    Entry(
        "maps",
        "Maps of a channel",
        "Choose layers, channels and images before you measure: whole maps are kept only of these.",
        "The responses of one channel at each place of the image, for two images of each of the three sets.",
        """
with_maps = dif.measure(
    "digits", sets, layers=["block1_relu2"], draws=1, maps={"block1_relu2": [3]}, map_images=(0, 1)
)
dif.plot_maps(with_maps)
""",
    ),
    Entry(
        "channels",
        "Channels",
        "The mean response of each channel to each image, over places. Where differentiation is low, "
        "channels respond to all images alike.",
        "Three heat maps of images and channels. White noise gives upright stripes, since all its "
        "images excite the same channels; rows of all digits differ.",
        """
dif.plot_filters(result, "block4_relu2")
""",
    ),
    Entry(
        "predictions",
        "Predictions",
        "What the network says of each image. It explains where the curves end.",
        "Three heat maps of images and classes. White noise excites two classes, the threes one, all "
        "digits all ten.",
        """
dif.plot_predictions(result)
""",
    ),
    Entry(
        "column",
        "One column of a journal",
        "The functions draw into a figure of yours, keep its width, and fit their text into it. Letters "
        'keep their size, in the font of your settings. `dif.save_figures(result, formats="pdf", '
        "width=85)` saves all figures so.",
        "The curves in a figure of 85 mm, with serif letters and the legend below.",
        """
with plt.rc_context({"font.family": "serif", "axes.linewidth": 0.5}):
    figure = plt.figure(figsize=(85 / 25.4, 2.6), layout="constrained")
    dif.plot(result.isel(n_units=[-1]), ax=figure)
    figure.savefig("curves.pdf")
""",
    ),
    Entry(
        "restyled",
        "Change it afterwards",
        "What is returned are Matplotlib's axes, with all its means.",
        "The curves with a title, a shaded block of layers, and a dashed line at the value of "
        "independent responses.",
        """
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
dif.plot(result.isel(n_units=[-1]), ax=ax)
names = [str(layer) for layer in result.layer.values]
ax.axvspan(names.index("block4_relu1"), names.index("block4_pool"), color="gold", alpha=0.2)
ax.axhline(np.sqrt(2), color="black", linewidth=0.8, linestyle="--")
ax.text(4, 1.46, "independent responses", fontsize=8)
ax.set(title="A network that reads digits", ylim=(-0.1, 1.8))
""",
    ),
    Entry(
        "neurons",
        "Recorded neurons",
        "Populations have no order, so that no lines join them. Boxes are intervals for other stimuli, "
        "bars for other neurons. The rates are simulated here; [your own](guides/recordings.md) may be "
        "in a file.",
        "Values of two areas as points with boxes and bars: a film is more differentiated than "
        "spontaneous activity, more so in V1.",
        """
rng = np.random.default_rng(0)
rates = {
    "film": {"V1": rng.gamma(2, 1, (40, 120)), "LM": rng.gamma(2, 1, (40, 80))},
    "spontaneous": {"V1": rng.gamma(2, 0.6, (40, 120)), "LM": rng.gamma(2, 0.8, (40, 80))},
}
recorded = dif.measure_responses(rates, n_units=(20, 60), normalize="unit", reference="spontaneous")
dif.plot(recorded)
""",
    ),
)

TAIL = """## The interactive report

`dif.write_report(result, "report.html")` writes one page that needs no internet connection: the same curves,
with what is behind each point. In a notebook `dif.show(result)` shows its main view. [How to read
it](guides/report.md).

![The report of the demo: the curves, and the distances behind the layer block3_relu2](images/report.png)

## All of them at once

`dif.save_figures(result, "figures")` saves every figure that a result has data for, and `differentia measure`
does so on the command line, with `--figures svg,pdf --figure-width 85` for a paper.
"""


def draw(entry: Entry, names: dict[str, Any]) -> Figure:
    """Return the figure that an entry's code draws, given the names of the lines above it."""
    from matplotlib import pyplot as plt

    plt.close("all")
    exec(compile(entry.code, f"<{entry.name}>", "exec", dont_inherit=True), {**names})
    return plt.gcf()


def begin() -> dict[str, Any]:
    """Return the names that every entry's code may use."""
    names: dict[str, Any] = {"__name__": "gallery"}
    exec(compile(BEGINNING, "<beginning>", "exec", dont_inherit=True), names)
    return names


def page() -> str:
    """Return the page as Markdown."""
    sections = [
        f"## {entry.title}\n\n{textwrap.fill(entry.text, WIDTH)}\n\n{_fenced(entry.code)}\n\n"
        f"![{entry.alt}](images/{FIGURES.name}/{entry.name}.png)\n"
        for entry in ENTRIES
    ]
    return "\n".join([HEAD + _fenced(BEGINNING) + "\n", *sections, TAIL])


def _fenced(code: str) -> str:
    return f"```python\n{code.strip()}\n```"


def main() -> None:
    mpl.use("agg")
    names = begin()
    FIGURES.mkdir(exist_ok=True)
    for stale in FIGURES.glob("*.png"):
        stale.unlink()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # for what the code saves
        for entry in ENTRIES:
            draw(entry, names).savefig(FIGURES / f"{entry.name}.png", dpi=DPI)
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(ENTRIES)} figures\n")


if __name__ == "__main__":
    main()
