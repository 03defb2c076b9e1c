"""What each named choice is called: a row for each, with its words, its formula and its unit.

A choice that has no row is an error as soon as this module is imported, and not after hours of measuring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from differentia.definition.measure import METRICS, NORMALIZATIONS
from differentia.networks.preprocessing import PREPROCESSINGS
from differentia.output.mathml import EQUALS, MINUS, over, symbol
from differentia.recording.units import UNIT_KINDS
from differentia.results.dataset import is_squared, provenance
from differentia.results.subject import subject_of
from differentia.results.summaries import layer_names
from differentia.stimuli.base import CROPS
from differentia.stimuli.noise import NOISE_KINDS
from differentia.stimuli.scrambling import SCRAMBLES
from differentia.system.choices import AXIS, DETREND, SCALE, STATES, TOKENS, VALUE

if TYPE_CHECKING:
    import xarray as xr

_A, _Z, _D = symbol("A", "i"), symbol("z", "i"), symbol("d", "ij")
_SIGMA, _MU = "&#x3C3;", "&#x3BC;"
_BOTH = f"{symbol('z', 'i')}<mo>,</mo>{symbol('z', 'j')}"


@dataclass(frozen=True)
class NormalizationWords:
    """What is done to the responses of a set before they are compared."""

    #: "In each set of N {items} and each layer, ...", with the nouns `item`, `unit` and `units`.
    clause: str
    #: MathML, and what its symbols mean, with the nouns `place`, `unit` and `units`.
    formula: str
    note: str
    #: The same clause of states over time: "In each {item} of N states of K values and each {place}, ...".
    of_states: str
    #: Whether differentiation has the unit of the responses, given a metric that keeps it.
    keeps_unit: bool = False
    #: Whether it fixes what independent responses give, however they are distributed.
    fixes_independent: bool = False
    #: Whether one SD of all entries divides them, to which each image adds; for sketches it is of all units.
    one_sd: bool = False


NORMALIZATION_WORDS = {
    "layer": NormalizationWords(
        "the N x K responses of K {units} were centred on their mean and divided by their SD "
        "(with the denominator N K), with one mean and one SD for all of them",
        f"{_Z}{EQUALS}{over(_A, symbol(_SIGMA))}",
        "\u03c3 is the standard deviation of all N K entries of A.",
        "the N x K values were centred on their mean and divided by their SD (with the denominator N K), "
        "with one mean and one SD for all of them",
        fixes_independent=True,
        one_sd=True,
    ),
    "response": NormalizationWords(
        "the responses of K {units} to each {item} were given mean 0 and SD 1 (with the denominator K)",
        f"{_Z}{EQUALS}{over(_A + MINUS + symbol(_MU, 'i'), symbol(_SIGMA, 'i'))}",
        "\u03bc and \u03c3 with index i are the mean and the standard deviation of response i over {units}.",
        "the values of each state were given mean 0 and SD 1 (with the denominator K)",
        fixes_independent=True,
    ),
    "unit": NormalizationWords(
        "the responses of each of K {units} were divided by that {unit}'s SD over the {items} of all sets "
        "(with their number as the denominator), or set to 0 where the {unit} never varies",
        f"{symbol('z', 'ik')}{EQUALS}{over(symbol('A', 'ik'), symbol(_SIGMA, 'k'))}",
        "\u03c3 with index k is the standard deviation of {unit} k over the responses of all sets.",
        "each of the K values was divided by its SD over all states of all {items} and sets (with their "
        "number as the denominator), or set to 0 where it never varies",
    ),
    "none": NormalizationWords(
        "the responses of K {units} were compared as they are",
        f"{_Z}{EQUALS}{_A}",
        "The responses are taken as they are.",
        "the states were compared as they are",
        keeps_unit=True,
    ),
}


@dataclass(frozen=True)
class MetricWords:
    """The distance between two normalised responses."""

    #: "The distance between two responses is ...".
    clause: str
    #: MathML, and what needs saying of it, with the same nouns.
    formula: str
    note: str = ""
    #: What independent responses give, where the normalisation fixes it; "" where it depends on more.
    independent: str = ""


METRIC_WORDS = {
    "euclidean": MetricWords(
        "their Euclidean distance divided by the square root of K",
        _D
        + EQUALS
        + over(
            f"<mo>&#x2016;</mo>{symbol('z', 'i')}{MINUS}{symbol('z', 'j')}<mo>&#x2016;</mo>",
            "<msqrt><mi>K</mi></msqrt>",
        ),
        independent="1.414",
    ),
    "cityblock": MetricWords(
        "their mean absolute difference over the K {units}",
        f"{_D}{EQUALS}{over('<mn>1</mn>', symbol('K'))}<munder><mo>&#x2211;</mo><mi>k</mi></munder>"
        f"<mo>|</mo>{symbol('z', 'ik')}{MINUS}{symbol('z', 'jk')}<mo>|</mo>",
    ),
    "correlation": MetricWords(
        "one minus their Pearson correlation over the K {units}",
        f"{_D}{EQUALS}<mn>1</mn>{MINUS}{symbol('r')}<mo>(</mo>{_BOTH}<mo>)</mo>",
        " r is Pearson's correlation over {units}.",
        independent="1",
    ),
    "cosine": MetricWords(
        "one minus the cosine of the angle between them",
        f"{_D}{EQUALS}<mn>1</mn>{MINUS}{symbol('cos')}<mo>(</mo>{_BOTH}<mo>)</mo>",
        " Where responses are normalised by {place}, the mean of A is subtracted first.",
        independent="1",
    ),
}


#: The same of the scale of values: the distance where it is not the metric's.
SCALE_WORDS = {
    "differentiation": None,
    "published": MetricWords(
        "their Euclidean distance divided by the square root of the number of {units}",
        METRIC_WORDS["euclidean"].formula.replace("<mi>K</mi>", "<mi>U</mi>"),
        " U is the number of {units}.",
    ),
}


#: What a response to a presentation is, with `when` it was.
VALUE_WORDS = {
    "count": "its number of spikes in {when}",
    "rate": "its number of spikes in {when}, divided by how long that lasts",
    "mean": "the mean of its trace over the samples in {when}",
    "samples": "a sample of its trace in {when}, each of which is a response of its own",
}

#: What was taken away from traces; nothing is said where it was nothing.
DETREND_WORDS = {
    "none": "",
    "mean": "the mean of each trace was taken away",
    "linear": "the mean and the linear trend of each trace were taken away",
}

#: What a state over time holds, with the noun `unit`.
STATE_WORDS = {
    "rate": "each {unit}'s mean over the samples",
    "spectral": "each {unit}'s power spectrum, the squared magnitudes of the one-sided Fourier transform of "
    "its samples{tapered}, {at}",
}


@dataclass(frozen=True)
class UnitWords:
    """Which units of a layer are measured."""

    #: How they were chosen, with the facts that `paper.paragraph` gives: `of_each` (layer), `items`,
    #: `units`, `counted` (the numbers of them that were asked for), `were`, `used` (how many each layer
    #: gave), `seed`, `pool`, `draws`, and a work to cite, as ``{cite[charikar2002]}``.
    clause: str
    #: Of a table, at `count` units, or neurons.
    title: str
    #: Part of the clause where draws were made from a pool that is smaller than the layer.
    pool: str = ""
    #: How many of a layer's units were used, as the report writes it.
    used: str = "{used} of {size} {units}"


UNIT_WORDS = {
    "random": UnitWords(
        "{units} {of_each} were drawn at random (seed {seed}{pool}), {draws}",
        "{count:,} {units}",
        pool=", from a random pool of at most {pool}",
    ),
    "top": UnitWords(
        "the {counted} {of_each} with the highest mean response over all {items} {were} used",
        "{count:,} {units} (top)",
    ),
    "top_variance": UnitWords(
        "the {counted} {of_each} with the highest variance over all {items} {were} used",
        "{count:,} {units} (top_variance)",
    ),
    "per_filter": UnitWords(
        "{units} {of_each} were drawn at random (seed {seed}{pool}), the same number from every channel, "
        "{draws}, rounded down to a multiple of the number of channels, with at least one unit of each",
        "{count:,} {units} (per_filter)",
        pool=", from a random pool of at most {pool}",
    ),
    "filter_mean": UnitWords(
        "each channel's mean over positions was taken as a unit ({used} {of_each})",
        "channel means",
        used="{used} channel means",
    ),
    "all": UnitWords("all {units} {of_each} were used", "all {units}"),
    "sketch": UnitWords(
        "all {units} {of_each} were added up in count sketches {cite[charikar2002]} with random signs "
        "(seed {seed}{pool}), {draws}",
        "{count:,} sums (sketch)",
        pool=", by way of at most {pool}",
        used="{used} sums of {size} {units}",
    ),
}

#: "Of the tokens of each layer, ..."; nothing is said where all were used.
TOKEN_WORDS = {
    "all": "",
    "class": "the class token was used",
    "patches": "those of patches were used (without class, distillation and register tokens)",
    "mean": "the mean of those of patches was used (without class, distillation and register tokens)",
}

#: The same in short, for labels.
TOKEN_LABELS = {
    "all": "",
    "class": "class token",
    "patches": "patch tokens",
    "mean": "mean of patch tokens",
}

#: How pixel values of 0 to 255 become a network's input.
PREPROCESSING_WORDS = {
    "none": "left unchanged",
    "unit": "divided by 255",
    "signed": "scaled to -1 to 1",
    "imagenet": "divided by 255 and standardised by ImageNet's mean and SD of each channel",
    "caffe": "reordered to BGR, minus ImageNet's mean of each channel",
}

#: How an image gets the proportions of a network's input.
CROP_WORDS = {
    "squash": "resized with {by}'s {resize} filter, without keeping their proportions",
    "center": "cropped around their centre to these proportions and resized with {by}'s {resize} filter",
}

#: The same where the middle is cut out of what every image was resized to: by how many sides that names.
MARGIN_WORDS = {
    1: "resized so that the shorter side has {to} pixels, with {by}'s {resize} filter, and the central "
    "{size} pixels were cut out",
    2: "resized to {to} pixels with {by}'s {resize} filter, without keeping their proportions, and the "
    "central {size} pixels were cut out",
}

#: With `cite`, as in `UNIT_WORDS`.
NOISE_WORDS = {
    "uniform": "uniform white noise",
    "gaussian": "Gaussian white noise",
    "pink": "pink noise {cite[field1987]}",
}

#: How images were scrambled, with the words of the axis.
SCRAMBLE_WORDS = {
    "phase": "adding the phases of white noise to those of their Fourier transform over {over}",
    "pixels": "putting {pixels} in random order",
    "blocks": "putting {blocks} in random order",
}


@dataclass(frozen=True)
class AxisWords:
    """What is scrambled over an axis, and the work to cite for phases."""

    over: str
    pixels: str
    blocks: str
    cited: str = "prichard1994"


AXIS_WORDS = {
    "space": AxisWords("space", "their pixels", "square blocks of their pixels", cited=""),
    "time": AxisWords("time", "them", "stretches of them"),
    "both": AxisWords(
        "space and time",
        "them, and the pixels of each,",
        "stretches of them, and square blocks of the pixels of each,",
    ),
}

#: The ways to an interval by resampled stimuli, which older results have.
RESAMPLING_WORDS = {
    "studentized": "studentised (bootstrap-t) intervals",
    "bca": "bias-corrected and accelerated bootstrap intervals",
    "percentile": "percentile bootstrap intervals",
}


def require_rows(what: str, choices: Iterable[str], rows: Mapping[str, object]) -> None:
    """Raise an error unless every choice has its row, and every row its choice."""
    for name in sorted({*choices} ^ {*rows}):
        missing = "choice" if name in rows else f"row in {__name__}"
        raise LookupError(f"the {what} {name!r} has no {missing}; add it")


for _what, _choices, _rows in (
    ("normalization", NORMALIZATIONS, NORMALIZATION_WORDS),
    ("metric", METRICS, METRIC_WORDS),
    ("scale", SCALE.names, SCALE_WORDS),
    ("value of a response", VALUE.names, VALUE_WORDS),
    ("detrending", DETREND.names, DETREND_WORDS),
    ("kind of states", STATES.names, STATE_WORDS),
    ("kind of units", UNIT_KINDS, UNIT_WORDS),
    ("choice of tokens", TOKENS.names, TOKEN_WORDS),
    ("choice of tokens", TOKENS.names, TOKEN_LABELS),
    ("preprocessing", PREPROCESSINGS, PREPROCESSING_WORDS),
    ("crop", CROPS, CROP_WORDS),
    ("kind of noise", NOISE_KINDS, NOISE_WORDS),
    ("kind of scrambling", SCRAMBLES, SCRAMBLE_WORDS),
    ("axis to scramble", AXIS.names, AXIS_WORDS),
):
    require_rows(_what, _choices, _rows)


def input_in_words(preprocessing: str, forward: str = "") -> str:
    """Return how pixel values become what a network is called with."""
    called = f"made into the network's arguments by {forward}" if forward else ""
    return ", and ".join(filter(None, [preprocessing_in_words(preprocessing), called]))


def preprocessing_in_words(preprocessing: str) -> str:
    """Return how pixel values become a network's input: by a name's meaning, a formula of x, a function."""
    if preprocessing in PREPROCESSING_WORDS:
        return f"with pixel values of 0 to 255 {PREPROCESSING_WORDS[preprocessing]}"
    if preprocessing.startswith("(x / 255"):
        return f"with pixel values x of 0 to 255 transformed, channel by channel, to {preprocessing}"
    public = preprocessing.replace("keras.src.applications.", "keras.applications.")
    return public and f"preprocessed by {public}"


def unit_of(result: xr.Dataset) -> str:
    """Return the unit of a result's differentiation; "" where it is dimensionless."""
    keeps_unit = NORMALIZATION_WORDS[result.attrs["normalize"]].keeps_unit
    if not (keeps_unit and METRICS[result.attrs["metric"]].in_units):
        return ""
    return f"{'squared ' if is_squared(result) else ''}unit of the responses"


def metric_words(result: xr.Dataset) -> MetricWords:
    """Return the distance of a result between two responses, or two states."""
    return SCALE_WORDS[str(result.attrs.get("scale", SCALE.names[0]))] or METRIC_WORDS[result.attrs["metric"]]


def states_in_words(result: xr.Dataset) -> str:
    """Return in sentences what the states of a result of values over time are; "" of others."""
    made_of = provenance(result).get("states")
    if not made_of:
        return ""
    subject = subject_of(result)
    tapered = f", multiplied by the window {made_of['taper']}" if made_of["taper"] != "none" else ""
    at = "the constant term among them"
    if count := made_of["frequencies"]:
        at = (
            f"summed up to {count:,} frequencies in equal ratios from the lowest above 0 to the highest, the "
            "constant term to the first"
        )
    clause = STATE_WORDS[made_of["states"]].format(unit=subject.unit.one, tapered=tapered, at=at)
    overlap = f"an overlap of {100 * made_of['overlap']:.6g} %" if made_of["overlap"] else "no overlap"
    return (
        f"Each {subject.item.one} was cut into states of {made_of['length']:.9g} s ({made_of['samples']:,} "
        f"samples at {made_of['rate']:.9g} a second) with {overlap}; what was left at its end was left out. "
        f"A state holds {clause}: K values, {made_of['values_per_unit']:,} of each {subject.unit.one}"
    )


def layers_of_tokens(result: xr.Dataset) -> tuple[int, int]:
    """Return of how many layers only some tokens count, and how many others there are."""
    names = layer_names(result)
    cut = len({*provenance(result).get("token_layers", ())} & {*names})
    return cut, len(names) - cut


def tokens_label(result: xr.Dataset) -> str:
    """Return which tokens count, as "class token of 13 layers; 3 whole"; "" where all do."""
    label = TOKEN_LABELS.get(str(provenance(result).get("tokens", "")), "")
    cut, whole = layers_of_tokens(result)
    if not (label and cut):
        return ""
    return f"{label} of {subject_of(result).place.count(cut)}; {whole:,} whole" if whole else label


def computed_label(result: xr.Dataset) -> str:
    """Return what a network computed in; "" where that needs no saying."""
    dtype = str(provenance(result).get("dtype", ""))
    return f"computed in {dtype}" if dtype not in ("", "float32") else ""


def units_title(kind: str, count: int, units: str = "units") -> str:
    """Return what a table says of a number of units of a kind."""
    return UNIT_WORDS[kind].title.format(count=count, units=units)


def corrected_over(contrast: xr.Dataset, place: str = "layer") -> str:
    """Return for how many tests the corrected p of a contrast allows, and of what they are."""
    number = int(contrast.attrs["n_tests"])
    pairs = " and pairs of sets" if "pairs" in str(contrast.attrs["corrected_over"]) else ""
    return f"{number:,} {place}{'' if number == 1 else 's'}{pairs}"
