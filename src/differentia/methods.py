"""The methods paragraph of a paper, written from what a result says of how it was measured."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from differentia.dataset import as_kinds, provenance
from differentia.definition import UNDEFINED
from differentia.draws import draw_mean
from differentia.errors import require_known
from differentia.layers import INPUT
from differentia.presentation import LEFT_OUT, SAME_CONTENT
from differentia.references import REFERENCES, Reference, architecture_key
from differentia.schema import LIMITS, SOURCES, checked
from differentia.specs import parse_spec
from differentia.units import unit_kind

if TYPE_CHECKING:
    import xarray as xr

#: More layers, or sets, than this are counted and not named.
MOST_LAYERS_NAMED = 6
MOST_SETS_NAMED = 12

#: How much of a network's fingerprint tells it apart.
FINGERPRINT_DIGITS = 12

#: What is done to the responses of a set (items: images, or responses) before they are compared.
_NORMALIZATIONS = {
    "layer": "the N x K responses of K units were centred on their mean and divided by their population SD, "
    "with one mean and one SD for all of them",
    "response": "the responses of K units to each {item} were given mean 0 and population SD 1",
    "unit": "the responses of each of K units were divided by that unit's population SD over the {item}s of "
    "all sets, or set to 0 where the unit never varies",
    "none": "the responses of K units were compared as they are",
}

_RECORDED_NORMALIZATIONS = {
    **_NORMALIZATIONS,
    "response": "each response of K units was given mean 0 and population SD 1",
    "unit": "the values of each of K units were divided by that unit's population SD over the responses of "
    "all sets, or set to 0 where the unit never varies",
}

#: The distance of two responses.
_METRICS = {
    "euclidean": "their Euclidean distance divided by the square root of K",
    "cityblock": "their mean absolute difference over the K units",
    "correlation": "one minus their Pearson correlation over the K units",
    "cosine": "one minus the cosine of the angle between them",
}

#: The metrics whose values have the unit of what they compare.
_IN_UNITS = ("euclidean", "cityblock")

#: How pixel values of 0 to 255 become a network's input.
_PREPROCESSINGS = {
    "none": "left as they are",
    "unit": "divided by 255",
    "signed": "scaled to -1 to 1",
    "imagenet": "divided by 255 and standardised by ImageNet's mean and SD of each channel",
    "caffe": "put into the order BGR, less ImageNet's mean of each channel",
}

#: How an image gets the proportions of a network's input.
_CROPS = {
    "squash": "resized with Pillow's {resize} filter, whatever their proportions",
    "center": "cropped around their centre to these proportions and resized with Pillow's {resize} filter",
}

_NOISES = {"uniform": "uniform", "gaussian": "Gaussian"}

_NOISE_OPTIONS = {"mean": "mean", "sd": "SD", "seed": "seed"}

_COLOURS = {1: "greyscale", 3: "RGB"}

#: The ways to an interval from resampled images.
_INTERVALS = {
    "studentized": "studentised (bootstrap-t) intervals",
    "bca": "bias-corrected and accelerated bootstrap intervals",
    "percentile": "percentile bootstrap intervals",
}

#: Warnings that the text tells in its own words, by how they begin.
_TOLD_OTHERWISE = (UNDEFINED, LEFT_OUT, SAME_CONTENT)


@dataclass(frozen=True)
class Methods:
    """How a result was measured, as a paper tells it.

    Attributes
    ----------
    text
        The paragraphs, with citations as "(Author et al., year)".
    references
        The works that the text cites, each a `Reference`, in the order of the alphabet.
    """

    text: str
    references: tuple[Reference, ...]

    @property
    def bibtex(self) -> str:
        """The references as a BibTeX file."""
        return "\n\n".join(reference.bibtex for reference in self.references)

    def __str__(self) -> str:
        """Return the text, and below it the references, one a line."""
        return "\n".join([self.text, "", *map(str, self.references)])


class _Citations:
    """Hands out citations, and keeps what was cited."""

    def __init__(self) -> None:
        self.cited: dict[str, Reference] = {}

    def __call__(self, *keys: str, version: str = "") -> str:
        """Return the citation of some works in parentheses."""
        works = [replace(REFERENCES[key], version=version) for key in keys]
        self.cited |= {work.key: work for work in works}
        return f"({'; '.join(work.citation for work in works)})"

    def sorted(self) -> tuple[Reference, ...]:
        """Return what was cited, in the order of the alphabet."""
        works = self.cited.values()
        return tuple(sorted(works, key=lambda work: (str(work).casefold(), work.key)))


@checked
def describe_methods(result: xr.Dataset | Mapping[str, xr.Dataset]) -> Methods:
    """Return the methods paragraph of a result, ready for a paper, with its references.

    It says what the result itself holds of how it was measured, and nothing of what is not known (such as
    what the images show).

    Parameters
    ----------
    result
        What `measure`, `measure_responses` or `load_result` returned, or kind of units -> result, as
        `measure_kinds` returned them.

    Returns
    -------
    differentia.Methods
        A `Methods`; `str` of it is the text with its references.

    Raises
    ------
    InputError
        It is no result, or several that were not measured together.
    """
    return _Writer(list(as_kinds(result).values())).write()


class _Writer:
    """Writes the sentences; each is empty where there is nothing to say."""

    def __init__(self, results: Sequence[xr.Dataset]) -> None:
        self.results = results
        self.result = results[0]
        self.provenance = provenance(self.result)
        self.cite = _Citations()
        self.network = str(self.provenance.get("network", ""))
        self.sources: Mapping[str, str] = self.provenance.get("sets", {})
        kinds = {str(kind) for kind in self.result["layer_kind"].values}
        #: Whether the responses were at hand, and no network was shown anything.
        self.recorded = not self.network and kinds == {"Recorded"}
        self.item = "response" if self.recorded else "image"
        self.layer = "population" if self.recorded else "layer"
        self.layers = [str(name) for name in self.result["layer"].values]
        self.sets = [str(name) for name in self.result["set"].values]
        counts = Counter(self.result["image_set"].values.tolist())
        self.set_sizes = [counts[name] for name in self.sets]

    def write(self) -> Methods:
        """Return the text and what it cites."""
        material = [
            self._what_responded(),
            self._sets(),
            self._digits(),
            self._input(),
            self._left_out(),
            self._duplicates(),
            self._layers(),
        ]
        analysis = [
            self._units(),
            self._measure(),
            self._spread(),
            self._intervals(),
            self._relative(),
            self._undefined(),
            self._warnings(),
            self._software(),
        ]
        paragraphs = [" ".join(sentence for sentence in part if sentence) for part in (material, analysis)]
        return Methods("\n\n".join(paragraphs), self.cite.sorted())

    # What was shown to what.

    def _what_responded(self) -> str:
        if self.recorded:
            sizes = self.result["layer_size"].values.tolist()
            if len(sizes) <= MOST_LAYERS_NAMED:
                each = [
                    f"{_quoted(name)} ({_count(size, 'unit')})"
                    for name, size in zip(self.layers, sizes, strict=True)
                ]
                what = f"{_count(len(sizes), 'population')} of units: {_listed(each)}"
            else:
                what = f"{len(sizes):,} populations of units ({_range(sizes)} units each)"
            return f"Differentiation was measured in recorded responses of {what}."
        if not self.network:
            return ""
        fingerprint = str(self.provenance.get("fingerprint", ""))[:FINGERPRINT_DIGITS]
        text = f"Differentiation was measured in {self._network()}."
        if fingerprint:
            text += f" The SHA-256 fingerprint of its architecture and weights begins with {fingerprint}."
        return text

    def _network(self) -> str:
        """Return the network in words, with its weights."""
        if self.network == "digits":
            return (
                "the embedded network of differentia, a convolutional network with four blocks of two "
                "convolutions and a linear classifier, trained on one half of the handwritten digits of "
                f"scikit-learn {self.cite('alpaydin1998', 'pedregosa2011')}"
            )
        if self.network.startswith("keras:"):
            spec, options = parse_spec(self.network)
            name = spec.removeprefix("keras:")
            key = architecture_key(name)
            text = f"{name} {self.cite(key)}" if key else name
            text += " of Keras Applications"
            options.setdefault("weights", "imagenet")
            if isinstance(options.get("classes"), str):  # a class index, which only names the classes
                del options["classes"]
        elif self.network.endswith(".keras"):
            return f"the Keras model of the file {_quoted(_file_name(self.network))}"
        elif re.fullmatch(r"[\w.]+:[\w.]+(\?.*)?", self.network):
            spec, options = parse_spec(self.network)
            text = f"the network {_quoted(spec)}"
        else:
            return f"the network {_quoted(self.network)}"
        has_weights, weights = "weights" in options, options.pop("weights", None)
        details = [f"{name}={value}" for name, value in options.items()]
        if not has_weights:
            pass
        elif weights is None:
            details += ["random weights"] if self.network.startswith("keras:") else []
        elif weights == "imagenet" and self.network.startswith("keras:"):
            details += [f"Keras's weights, trained on ImageNet {self.cite('russakovsky2015')}"]
        else:
            details += [f"the weights of the file {_quoted(_file_name(str(weights)))}"]
        return text + (f" with {_listed(details)}" if details else "")

    def _sets(self) -> str:
        described = [self._described_set(at) for at in range(len(self.sets))]
        what = "set of responses" if self.recorded else "set of images"
        if len(self.sets) == 1:
            return f"There was one {what}, {described[0]}."
        what = what.replace("set", "sets")
        if len(self.sets) <= MOST_SETS_NAMED:
            return f"There were {len(self.sets)} {what}: {_listed(described)}."
        generated = [text for at, text in enumerate(described) if self._generated(at) is not None]
        among = f", among them {_listed(generated)}" if generated else ""
        return f"There were {len(self.sets):,} {what} ({_range(self.set_sizes)} {self.item}s each){among}."

    def _described_set(self, at: int) -> str:
        size = self.set_sizes[at]
        kind = self._generated(at)
        return f"{_quoted(self.sets[at])} ({_count(size, self.item)}{kind or ''})"

    def _generated(self, at: int) -> str | None:
        """Return what the images of a set are where they are made or bundled, else None."""
        source = str(self.sources.get(self.sets[at], ""))
        if re.fullmatch(r"digits:\d+(\?.*)?", source):
            _, options = parse_spec(source)
            which = (
                f"the handwritten digit {options['digit']}" if "digit" in options else "handwritten digits"
            )
            return f" of {which}"
        if not re.fullmatch(r"noise:\d+\?.*", source):
            return None
        _, options = parse_spec(source)
        kind = str(options.pop("kind", ""))
        details = [
            f"{_NOISE_OPTIONS[name]} {value}" for name, value in options.items() if name in _NOISE_OPTIONS
        ]
        return ", ".join([f" of {_NOISES.get(kind, kind)} white noise".replace("  ", " "), *details])

    def _digits(self) -> str:
        if not any(str(source).startswith("digits:") for source in self.sources.values()):
            return ""
        if self.network == "digits":
            return "The digits shown were of the other half, which the network was not trained on."
        return f"The digits are those of scikit-learn {self.cite('alpaydin1998', 'pedregosa2011')}."

    def _input(self) -> str:
        if "input_shape" not in self.provenance:
            return ""
        height, width, channels = self.provenance["input_shape"]
        text = f"Images were shown at {height:,} x {width:,} pixels"
        text += f" in {_COLOURS[channels]}" if channels in _COLOURS else ""
        preprocessing = str(self.provenance.get("preprocessing", ""))
        if preprocessing in _PREPROCESSINGS:
            text += f", with pixel values of 0 to 255 {_PREPROCESSINGS[preprocessing]}"
        elif preprocessing:
            public = preprocessing.replace("keras.src.applications.", "keras.applications.")
            text += f", preprocessed by {public}"
        if not self._were_resized():
            return text + "."
        fitted = _CROPS[self.provenance["crop"]].format(resize=self.provenance["resize"])
        return f"{text}; images of another size were {fitted}."

    def _were_resized(self) -> bool:
        """Return whether some images were not made at the size of the network's input."""
        noise = [str(self.sources.get(name, "")).startswith("noise:") for name in self.sets]
        return self.provenance.get("crop") in _CROPS and "resize" in self.provenance and not all(noise)

    def _left_out(self) -> str:
        counts = Counter(str(image["set"]) for image in self.provenance.get("skipped", ()))
        if not counts:
            return ""
        total = sum(counts.values())
        which = _listed([f"{count:,} of {_quoted(name)}" for name, count in counts.items()])
        be = "was" if total == 1 else "were"
        return f"{_count(total, 'image')} that could not be read {be} left out ({which})."

    def _duplicates(self) -> str:
        counts: Counter[str] = Counter()
        for group in self.provenance.get("duplicates", ()):
            counts[str(group[0]["set"])] += len(group)
        if not counts:
            return ""
        which = _listed([f"{_count(count, 'image')} of {_quoted(name)}" for name, count in counts.items()])
        return f"{which} had the same content as another of their set, and were kept."

    def _layers(self) -> str:
        if self.recorded:
            return ""
        sizes = self.result["layer_size"].values.tolist()
        kinds = self.result["layer_kind"].values.tolist()
        has_input = (INPUT, "Input") in zip(self.layers, kinds, strict=True)
        if len(self.layers) == 1:
            text = f"the layer {_quoted(self.layers[0])} of {_count(sizes[0], 'unit')}"
        elif len(self.layers) <= MOST_LAYERS_NAMED:
            text = f"the layers {_listed(map(_quoted, self.layers))} ({_range(sizes)} units each)"
        else:
            text = f"{len(self.layers):,} layers ({_range(sizes)} units each)"
        if has_input:
            text += f", {_quoted(INPUT)} being the preprocessed image"
        return f"Responses were analysed in {text}."

    # What was computed.

    def _units(self) -> str:
        clauses = [self._unit_clause(result) for result in self.results]
        if len(clauses) == 1:
            text = f"{clauses[0][0].upper()}{clauses[0][1:]}."
        else:
            numbered = [f"({number}) {clause}" for number, clause in enumerate(clauses, start=1)]
            text = f"Units were chosen in {len(clauses)} ways: {'; '.join(numbered)}."
        if not any(_is_counted(result) for result in self.results):
            return text
        text += self._whole_layers()
        everywhere = f"{self.item}s and sets" if len(self.sets) > 1 else f"{self.item}s"
        sketched = {_is_sketched(result) for result in self.results if _is_counted(result)}
        used = "units and sums" if len(sketched) > 1 else "sums" if True in sketched else "units"
        return f"{text} The same {used} were used for all {everywhere}."

    def _unit_clause(self, result: xr.Dataset) -> str:
        """Return how the units of one kind were chosen, without the capital and the full stop."""
        name = str(result["units"].item())
        kind = unit_kind(name)
        counts = [int(count) for count in result["n_units"].values]
        of_each = f"of {'each' if len(self.layers) > 1 else 'the'} {self.layer}"
        if name == "filter_mean":
            filters = result["units_used"].values[:, 0].tolist()
            return f"each filter's mean over space was taken as a unit ({_range(filters)} {of_each})"
        if not _is_counted(result):
            return f"all units {of_each} were used"
        units = _counts(counts, "unit")
        if kind.ranked_by == "mean":
            clause = f"the {units} {of_each} with the highest mean response over all {self.item}s were used"
        elif kind.ranked_by == "variance":
            clause = f"the {units} {of_each} with the highest variance over all {self.item}s were used"
        else:
            clause = self._drawing(result, of_each)
        if counts == [1] and kind.ranked_by:
            clause = clause.removesuffix("were used") + "was used"
        return clause

    def _drawing(self, result: xr.Dataset, of_each: str) -> str:
        """Return how units were drawn at random, or summed up with random signs."""
        kind = unit_kind(str(result["units"].item()))
        by_filter, noun = kind.per_filter, "sum" if kind.sketched else "unit"
        draws, drawn = result.sizes["draw"], _has_draws(result)
        pools = result["pool_size"]
        pooled = bool((drawn & (pools < result["layer_size"])).any())
        seed = f"(seed {int(result.attrs['seed'])}"
        if kind.sketched:
            work = self.cite("charikar2002")
            clause = f"all units {of_each} were added up in count sketches {work} with random signs {seed}"
            clause += f", by way of at most {_count(int(pools.max()), noun)}" if pooled else ""
        else:
            clause = f"units {of_each} were drawn at random {seed}"
            clause += f", from a random pool of at most {_count(int(pools.max()), noun)}" if pooled else ""
        clause += "), the same number from every filter, " if by_filter else "), "
        several: list[int] = []
        one: list[int] = []
        for count, more in zip(result["n_units"].values, drawn.any("layer").values, strict=True):
            (several if more else one).append(int(count))
        parts = []
        if several:
            # Filters may leave a layer no other draw of a number that is not all it has.
            whole = result["units_used"] == result["layer_size"]
            most = "at most " if bool((~drawn & ~whole).sel(n_units=several).any()) else ""
            each = " each" if len(several) > 1 else ""
            parts.append(f"{most}{_count(draws, 'draw')}{each} of {_counts(several, noun)}")
        if one:
            parts.append(f"1 draw{' each' if len(one) > 1 else ''} of {_counts(one, noun)}")
        clause += " and ".join(parts)
        if by_filter:
            clause += ", rounded down to a multiple of the number of filters, with at least one unit of each"
        return clause

    def _whole_layers(self) -> str:
        """Return how many layers gave all that they have, at which numbers of units."""
        ways: dict[tuple[tuple[int, int], ...], list[int]] = {}
        for way, result in enumerate(self.results, start=1):
            whole = (result["units_used"] == result["layer_size"]).sum("layer").values.tolist()
            counts = result["n_units"].values.tolist()
            cases = tuple((some, count) for some, count in zip(whole, counts, strict=True) if some)
            if _is_counted(result) and cases:
                ways.setdefault(cases, []).append(way)
        text = ""
        for cases, numbers in ways.items():
            if len(self.layers) == 1:
                text += f" The {self.layer} was"
                which = f"with {_counts([count for _, count in cases], 'unit')}"
            else:
                text += f" Small {self.layer}s were"
                some, count = cases[0]
                first = f"{some:,} of the {len(self.layers):,} {self.layer}s with {_count(count, 'unit')}"
                which = _listed([first, *(f"{some:,} with {count:,}" for some, count in cases[1:])])
            text += " used whole"
            if len(ways) > 1:
                text += f" in {_listed(f'({number})' for number in numbers)}"
            random = any(bool(_has_draws(self.results[number - 1]).any()) for number in numbers)
            once = ", in one draw" if random else ""
            link = ":" if len(self.layers) > 1 else "," * random
            text += f"{once}{link} {which}."
        return text

    def _measure(self) -> str:
        normalize, metric = (str(self.result.attrs[name]) for name in ("normalize", "metric"))
        table = _RECORDED_NORMALIZATIONS if self.recorded else _NORMALIZATIONS
        require_known("normalization", normalize, table)
        require_known("metric", metric, _METRICS)
        normalized = table[normalize].format(item=self.item)
        source = self.cite("mensen2017", "mayner2022", "gandhi2023")
        compared = "two responses" if self.recorded else "the responses to two images"
        pairs = f"N(N - 1)/2 pairs of {self.item}s"
        if len(set(self.set_sizes)) == 1:
            size = self.set_sizes[0]
            pairs += f" ({_count(size * (size - 1) // 2, 'pair')} of N = {size:,})"
        stand_for = ""
        if any(_is_sketched(result) and _is_counted(result) for result in self.results):
            apart = ", and the population SD is that of all units" if normalize == "layer" else ""
            stand_for = (
                f" The sums stand for all units of a {self.layer}: the distance between them is divided by "
                f"the square root of the number of units{apart}; in each set it is scaled to the mean square "
                "that all recorded sums give."
            )
        unit = ""
        if normalize == "none" and metric in _IN_UNITS:
            unit = "; it has the unit of the responses"
        return (
            f"In each set of N {self.item}s and each {self.layer}, {normalized}. "
            f"The distance between {compared} is {_METRICS[metric]}.{stand_for} "
            f"Differentiation, a measure adapted from the study of neural activity {source}, "
            f"is the median distance over all {pairs}{unit}."
        )

    def _spread(self) -> str:
        drawn = [_has_draws(result) for result in self.results]
        if not any(bool(draws.any()) for draws in drawn):
            return ""
        text = "Values are means over draws; their spread is the sample SD over draws"
        smaller = [
            bool((draws & (result["pool_size"] < result["layer_size"])).any())
            for result, draws in zip(self.results, drawn, strict=True)
        ]
        if any(smaller):
            sketched = any(
                _is_sketched(result) for result, few in zip(self.results, smaller, strict=True) if few
            )
            sums = " (or of K sums by way of M)" if sketched else ""
            text += (
                " multiplied by the square root of (1 - K/L)/(1 - K/M), for draws of K of the M units in the "
                f"pool{sums} of a {self.layer} of L units, which estimates the SD over draws from the whole "
                f"{self.layer}"
            )
        return text + "."

    def _intervals(self) -> str:
        """Return how the limits were found, where a result has any that are known."""
        if LIMITS[0] not in self.result:
            return ""
        about = self.result[LIMITS[0]].attrs
        level = f"{100 * about['confidence']:g} %"
        known = self._known_intervals()
        text = ""
        sd = ", with which the SD was resampled" if self.result.attrs["normalize"] == "layer" else ""
        if known["images"]:
            text += (
                f"Intervals ({level}) over {self.item}s are {_INTERVALS[about['method']]} of the logarithm "
                f"of differentiation, from {about['resamples']:,} resamples of the {self.item}s of each set"
                f"{sd} {self.cite('efron1993')}."
            )
        if known["units"]:
            text += f" Intervals over units say where {level} of fresh draws from the {self.layer} would lie."
        return text.strip()

    def _known_intervals(self) -> dict[str, bool]:
        """Return of which sources there are intervals, and not only of whole layers, which have no width."""
        limits = [[result[name] for name in LIMITS] for result in self.results if LIMITS[0] in result]
        return {
            source: any(bool((high > low).sel(source=source).any()) for low, high in limits)
            for source in SOURCES
        }

    def _relative(self) -> str:
        reference = str(self.result.attrs["reference"])
        if not reference:
            return ""
        averaged = any(
            bool(_has_draws(result).sel(n_units=result["n_units"].max()).any()) for result in self.results
        )
        mean = "the mean over draws of " if averaged else ""
        most = [int(result["n_units"].max()) for result in self.results if result.sizes["n_units"] > 1]
        at = f" at the largest number of units, {most[0]:,}" if len(set(most)) == 1 else ""
        return (
            f"Relative differentiation is differentiation divided by {mean}that of {_quoted(reference)} "
            f"in the same {self.layer}{at}{self._relative_interval()}."
        )

    def _relative_interval(self) -> str:
        """Return how the uncertainty of both goes into a ratio."""
        if not any(self._known_intervals().values()):
            return ""
        return f"; its intervals combine those of both {self.cite('zou2008')}"

    def _undefined(self) -> str:
        sentences = []
        for result in self.results:
            missing = draw_mean(result["differentiation"], result).isnull().transpose("layer", "set", ...)
            if not bool(missing.any()):
                continue
            layers = [name for name, bad in zip(self.layers, missing.values, strict=True) if bad.any()]
            if len(layers) <= MOST_LAYERS_NAMED:
                cases = []
                for name in layers:
                    bad = missing.sel(layer=name).any("n_units").values
                    cases.append(f"{_quoted(name)} for {self._named_sets(bad)}")
                where = f"in {_listed(cases)}"
            else:
                where = f"in {len(layers):,} of the {len(self.layers):,} {self.layer}s"
            kind = (
                f" for units of the kind {_quoted(result['units'].item())}" if len(self.results) > 1 else ""
            )
            some = "" if _all_or_none(missing.any("set").values) else " with some numbers of units"
            sentences.append(f"Differentiation is undefined{kind}{some} {where}.")
        return " ".join(sentences)

    def _named_sets(self, chosen: np.ndarray) -> str:
        names = [_quoted(name) for name, bad in zip(self.sets, chosen, strict=True) if bad]
        return _listed(names) if len(names) <= MOST_SETS_NAMED else f"{len(names):,} sets"

    def _warnings(self) -> str:
        texts = [str(text) for result in self.results for text in provenance(result).get("warnings", ())]
        untold = [text for text in dict.fromkeys(texts) if not text.startswith(_TOLD_OTHERWISE)]
        if not untold:
            return ""
        return f"The software warned: {'; '.join(map(_quoted, untold))}."

    def _software(self) -> str:
        versions: Mapping[str, str] = self.provenance.get("versions", {})

        def written(name: str, package: str, *keys: str) -> list[str]:
            if package not in versions:
                return []
            return [" ".join([name, str(versions[package]), *([self.cite(*keys)] if keys else [])])]

        own = str(versions.get("differentia", ""))
        software = [" ".join(filter(None, ["differentia", own, self.cite("differentia", version=own)]))]
        software += written("Python", "python")
        frameworks = self._frameworks()
        if "torch" in frameworks:
            software += written("PyTorch", "torch", "paszke2019")
        if "keras" in frameworks:
            software += written("Keras", "keras", "chollet2015")
            backends = [name for name in frameworks if name not in ("keras", "torch")]
            software += [f"Keras's backend {name}" for name in backends]
        if self._were_resized():
            software += written("Pillow", "pillow")
        software += written("NumPy", "numpy", "harris2020") + written("xarray", "xarray", "hoyer2017")
        text = f"The analysis was done with {_listed(software)}"
        device = str(self.provenance.get("device", ""))
        if device:
            text += (
                f"; the network ran on {'the CPU' if device == 'cpu' else f'the device {_quoted(device)}'}"
            )
        return text + "."

    def _frameworks(self) -> Sequence[str]:
        """Return the packages that computed the network, as far as they are known."""
        if "frameworks" in self.provenance:
            return self.provenance["frameworks"]
        if self.network == "digits":
            return ("torch",)
        return ("keras",) if self.network.startswith("keras:") or self.network.endswith(".keras") else ()


def _is_counted(result: xr.Dataset) -> bool:
    """Return whether a number of units was asked for, and not all that there are."""
    return unit_kind(str(result["units"].item())).counted and not bool(
        (result["units_used"] == result["layer_size"]).all()
    )


def _is_sketched(result: xr.Dataset) -> bool:
    """Return whether sums of all units stand for them."""
    return unit_kind(str(result["units"].item())).sketched


def _has_draws(result: xr.Dataset) -> xr.DataArray:
    """Return at which (layer, n_units) there is more than one draw."""
    random = unit_kind(str(result["units"].item())).random and result.sizes["draw"] > 1
    return (result["units_used"] < result["pool_size"]) & random


def _all_or_none(missing: np.ndarray) -> bool:
    """Return whether what lacks a value (layer, n_units) does so at every number of units."""
    return bool((missing.any(axis=1) == missing.all(axis=1)).all())


def _quoted(name: object) -> str:
    return f'"{name}"'


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _counts(numbers: Sequence[int], noun: str) -> str:
    return f"{_listed(f'{number:,}' for number in numbers)} {noun}{'' if list(numbers) == [1] else 's'}"


def _range(numbers: Iterable[int]) -> str:
    least, *_, most = sorted(numbers) * 2
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _listed(items: Iterable[str]) -> str:
    *others, last = items
    return f"{', '.join(others)} and {last}" if others else last


def _file_name(path: str) -> str:
    """Return a file's name without its folder, also of a path from another system."""
    return re.split(r"[\\/]", path)[-1]
