"""The methods paragraph of a paper: what a result says of how it was measured, put into a template."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError
from differentia.networks.hubs.names import RANDOM
from differentia.networks.layers import INPUT
from differentia.output import words
from differentia.output.doubts import told_doubts
from differentia.output.paper.references import REFERENCES, Reference, architecture_key
from differentia.output.recordings import left_out_of, taken_in_words
from differentia.results.contrasts import require_contrasts
from differentia.results.copies import in_two_sets
from differentia.results.dataset import as_kinds, kind_of, provenance
from differentia.results.draws import draw_mean
from differentia.results.references import in_words, references_of, the_reference
from differentia.results.schema import LIMITS, SOURCES, checked
from differentia.results.subject import Noun, subject_of, unit_noun
from differentia.results.summaries import layer_names, percent
from differentia.results.weights import IMAGENET, file_name, is_file, is_of_hub, weights_of
from differentia.system.showing import Shown, listed
from differentia.system.specs import parse_options, parse_spec, split_nested

if TYPE_CHECKING:
    import xarray as xr
    from jinja2 import Template

#: More layers, or sets, than this are counted and not named.
MOST_LAYERS_NAMED = 6
MOST_SETS_NAMED = 12

#: How much of a network's fingerprint tells it apart.
FINGERPRINT_DIGITS = 12

_NOISE_OPTIONS = {
    "mean": "mean {}",
    "sd": "SD {}",
    "exponent": "amplitudes as 1/f^{}",
    "seed": "seed {}",
}

_COLOURS = {1: " in greyscale", 3: " in RGB"}

#: By package: what it is called, and the work that it asks to cite.
_SOFTWARE = {
    "python": ("Python",),
    "torch": ("PyTorch", "paszke2019"),
    "torchvision": ("torchvision",),
    "timm": ("timm",),
    "transformers": ("transformers",),
    "open_clip_torch": ("open_clip",),
    "keras": ("Keras", "chollet2015"),
    "pillow": ("Pillow",),
    "numpy": ("NumPy", "harris2020"),
    "xarray": ("xarray", "hoyer2017"),
}

#: The kinds of warnings that the paragraph tells in its own words.
_TOLD_OTHERWISE = ("undefined", "left_out", "same_content")


@dataclass(frozen=True, repr=False)
class Methods(Shown):
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

    def _shown(self) -> tuple[str, dict[str, str]]:
        cited = listed([f"({reference.citation})" for reference in self.references])
        return "Methods, of which print() gives all", {"text": self.text, "references": cited}

    def _repr_html_(self) -> str:
        paragraphs = "".join(f"<p>{escape(part)}</p>" for part in self.text.split("\n") if part)
        return f"<div>{paragraphs}{''.join(map(Reference._repr_html_, self.references))}</div>"

    def __str__(self) -> str:
        """Return the text, and below it the references, one a line."""
        return "\n".join([self.text, "", *map(str, self.references)])


@checked
def describe_methods(
    result: xr.Dataset | Mapping[str, xr.Dataset], *, contrasts: Sequence[xr.Dataset] = ()
) -> Methods:
    """Return the methods paragraph of a result, ready for a paper, with its references.

    It says what the result itself holds of how it was measured, and nothing of what is not known (such as
    what the images show).

    Parameters
    ----------
    result
        What `measure`, `measure_responses` or `load_result` returned, or kind of units -> result, as
        `measure_kinds` returned them.
    contrasts
        What `contrast` returned for pairs of sets, to be described too.

    Returns
    -------
    differentia.Methods
        A `Methods`; `str` of it is the text with its references.

    Raises
    ------
    InputError
        It is no result, or several that were not measured together; a contrast is not of it.
    """
    cite = _Citations()
    kinds = as_kinds(result)
    require_contrasts(kinds, contrasts)
    facts = _MethodsFacts(list(kinds.values()), contrasts, cite)
    text = _paragraph_template().render(facts.all())
    paragraphs = (" ".join(paragraph.split("\n")).strip() for paragraph in text.split("\n\n"))
    return Methods("\n\n".join(paragraphs), cite.sorted())


class _Citations:
    """Hands out citations, and keeps what was cited."""

    def __init__(self) -> None:
        self.cited: dict[str, Reference] = {}

    def __call__(self, *keys: str, version: str = "") -> str:
        """Return the citation of some works in parentheses."""
        works = [replace(REFERENCES[key], version=version) for key in keys]
        self.cited |= {work.key: work for work in works}
        return f"({'; '.join(work.citation for work in works)})"

    def __getitem__(self, key: str) -> str:
        """Return the same of one work, for `str.format`."""
        return self(key)

    def sorted(self) -> tuple[Reference, ...]:
        works = self.cited.values()
        return tuple(sorted(works, key=lambda work: (str(work).casefold(), work.key)))


class _MethodsFacts:
    """What results that were measured together say of how they were measured."""

    def __init__(
        self, results: Sequence[xr.Dataset], compared: Sequence[xr.Dataset], cite: _Citations
    ) -> None:
        self.results, self.result, self.cite = results, results[0], cite
        self.compared = compared
        self.known = provenance(self.result)
        self.network = str(self.known.get("network", ""))
        self.sources: Mapping[str, str] = self.known.get("sets", {})
        kinds = self.result["layer_kind"].values.tolist()
        subject = subject_of(self.result)
        self.recorded = subject.recorded
        self.item, self.layer, self.unit = subject.item, subject.place, subject.unit
        self.layers = layer_names(self.result)
        self.layer_sizes: list[int] = self.result["layer_size"].values.tolist()
        self.has_input = (INPUT, "Input") in zip(self.layers, kinds, strict=True)
        self.sets = [str(name) for name in self.result["set"].values]
        sizes = Counter(self.result["image_set"].values.tolist())
        self.set_sizes = [sizes[name] for name in self.sets]

    def all(self) -> dict[str, Any]:
        """Return every fact that the template names."""
        return {
            **vars(self),
            "most_layers_named": MOST_LAYERS_NAMED,
            "most_sets_named": MOST_SETS_NAMED,
            **self._shown(),
            **self._analysed(),
            **self._uncertainty(),
            "undefined": [where for result in self.results if (where := self._undefined(result))],
            "warnings": self._warnings(),
            "software": self._software(),
            "device": str(self.known.get("device", "")),
            "dtype": str(self.known.get("dtype", "")).removeprefix("float32"),  # which needs no saying
        }

    # What was shown to what.

    def _shown(self) -> dict[str, Any]:
        populations = zip(self.layers, self.layer_sizes, strict=True)
        made = [self._made(name) for name in self.sets]
        sets = [
            f"{_quoted(name)} ({self.item.count(size)}{how})"
            for name, size, how in zip(self.sets, self.set_sizes, made, strict=True)
        ]
        shows_digits = any(self._origin(str(one)).startswith("digits:") for one in self.sources.values())
        skipped = Counter(str(image["set"]) for image in self.known.get("skipped", ()))
        dropped = Counter(str(image["set"]) for image in self.known.get("dropped", ()))
        twice: Counter[str] = Counter()
        for group in self.known.get("duplicates", ()):
            twice[str(group[0]["set"])] += len(group)
        return {
            "populations": [f"{_quoted(name)} ({self.unit.count(size)})" for name, size in populations],
            "network": _network_in_words(self.network, weights_of(self.known), self.cite),
            "fingerprint": str(self.known.get("fingerprint", ""))[:FINGERPRINT_DIGITS],
            "sets": sets,
            "made_sets": [text for text, how in zip(sets, made, strict=True) if how],
            "taken": taken_in_words(self.result),
            "left_out_of_recording": left_out_of(self.result) if self.recorded else [],
            "digits": shows_digits and ("held out" if self.network == "digits" else "of scikit-learn"),
            "left_out": [f"{number:,} of {_quoted(name)}" for name, number in skipped.items()],
            "n_left_out": skipped.total(),
            "dropped": [f"{number:,} of {_quoted(name)}" for name, number in dropped.items()],
            "n_dropped": dropped.total(),
            "duplicates": [f"{_count(number, 'image')} of {_quoted(name)}" for name, number in twice.items()],
            **self._input(),
            "tokens": self._tokens(),
        }

    def _made(self, name: str) -> str:
        """Return what the images of a set are where they are made or bundled, else ""."""
        return self._made_from(str(self.sources.get(name, "")))

    def _made_from(self, source: str) -> str:
        if source.startswith("scramble:"):
            return self._scrambled(source)
        if not re.fullmatch(r"(digits|noise):\d+(\?.*)?", source):
            return ""
        spec, options = parse_spec(source)
        if spec.startswith("digits"):
            return (
                f" of the handwritten digit {options['digit']}"
                if "digit" in options
                else " of handwritten digits"
            )
        if options.get("kind") not in words.NOISE_WORDS:
            return ""
        details = [
            _NOISE_OPTIONS[key].format(value) for key, value in options.items() if key in _NOISE_OPTIONS
        ]
        kind = words.NOISE_WORDS[options["kind"]].format(cite=self.cite)
        return ", ".join([f" of {kind}", *details])

    def _scrambled(self, source: str) -> str:
        """Return of what scrambled images were made, and how."""
        try:
            _, inner, query = split_nested(source)
            options = parse_options(query, source)
        except InputError:  # of a later version
            return ""
        kind, axis = (str(options.get(name)) for name in ("kind", "axis"))
        if kind not in words.SCRAMBLE_WORDS or axis not in words.AXIS_WORDS:
            return ""
        over = words.AXIS_WORDS[axis]
        how = words.SCRAMBLE_WORDS[kind].format(over=over.over, pixels=over.pixels, blocks=over.blocks)
        if kind == "phase" and over.cited:
            how += f" {self.cite(over.cited)}"
        given = _quoted(inner) if inner in self.sources else f"images{self._made_from(inner)}"
        details = [f"{name} {options[name]}" for name in ("size", "seed") if name in options]
        return ", ".join([f" made of {given} by {how}", *details])

    def _origin(self, source: str) -> str:
        """Return the source of what was scrambled, or the source itself."""
        while source.startswith("scramble:"):
            try:
                _, inner, _ = split_nested(source)
            except InputError:
                return source
            source = str(self.sources.get(inner, inner))
        return source

    def _input(self) -> dict[str, str]:
        if "input_shape" not in self.known:
            return {"input": ""}
        height, width, channels = self.known["input_shape"]
        return {
            "input": f"{height:,} x {width:,} pixels{_COLOURS.get(channels, '')}",
            "preprocessing": words.input_in_words(
                str(self.known.get("preprocessing", "")), str(self.known.get("forward", ""))
            ),
            "fitted": self._fit_in_words(f"{height:,} x {width:,}") if self._fitted else "",
        }

    def _fit_in_words(self, size: str) -> str:
        """Return which images were fitted to the size, and how."""
        to = self.known.get("resized_to")
        how = {"resize": self.known["resize"], "by": self.known.get("resized_by", "Pillow")}
        if to is None:
            return f"images of another size were {words.CROP_WORDS[self.known['crop']].format(**how)}"
        sides = [to] if isinstance(to, int) else to
        resized_to = " x ".join(f"{side:,}" for side in sides)
        told = words.MARGIN_WORDS[len(sides)].format(to=resized_to, size=size, **how)
        return f"images{' other than noise' if any(self._made_to_size) else ''} were {told}"

    @property
    def _made_to_size(self) -> list[bool]:
        """Whether the images of each set were made at the size of the network's input."""
        return [self._origin(str(self.sources.get(name, ""))).startswith("noise:") for name in self.sets]

    def _tokens(self) -> str:
        """Return which tokens were used, and of how many layers; "" where all were."""
        used = words.TOKEN_WORDS.get(str(self.known.get("tokens", "")))
        cut, whole = words.layers_of_tokens(self.result)
        if not used or not cut:
            return ""
        if not whole:
            return f"Of the tokens of {'each' if cut > 1 else 'this'} layer, {used}"
        were = "was" if whole == 1 else "were"
        return f"Of the tokens of {_count(cut, 'layer')}, {used}; {_count(whole, 'layer')} {were} used whole"

    @property
    def _fitted(self) -> bool:
        """Whether some images were not made at the size of the network's input."""
        known = self.known.get("crop") in words.CROP_WORDS and "resize" in self.known
        return known and not all(self._made_to_size)

    @property
    def _nouns(self) -> dict[str, str]:
        """Return what clauses call what was shown, and what responded."""
        return {
            "item": self.item.one,
            "items": self.item.many,
            "unit": self.unit.one,
            "units": self.unit.many,
        }

    # What was computed.

    def _analysed(self) -> dict[str, Any]:
        normalized = words.NORMALIZATION_WORDS[str(self.result.attrs["normalize"])]
        states = words.states_in_words(self.result)
        return {
            "choices": [self._choice(result) for result in self.results],
            "counted": [unit_noun(result).many for result in self.results if _is_counted(result)],
            "used_whole": self._used_whole(),
            "one_sd": normalized.one_sd,
            "normalized": (normalized.of_states if states else normalized.clause).format(**self._nouns),
            "states": states,
            "distance": words.metric_words(self.result).clause.format(**self._nouns),
            "unit_of_values": words.unit_of(self.result),
        }

    def _choice(self, result: xr.Dataset) -> str:
        """Return how the units of one kind were chosen, without the capital and the full stop."""
        name, kind = str(result["units"].item()), kind_of(result)
        told = words.UNIT_WORDS["all" if kind.counted and not _is_counted(result) else name]
        counts, noun = result["n_units"].values.tolist(), unit_noun(result)
        pool = told.pool.format(pool=noun.count(int(result["pool_size"].max())))
        return told.clause.format(
            **self._nouns,
            of_each=f"of {'each' if len(self.layers) > 1 else 'the'} {self.layer.one}",
            counted=_counts(counts, self.unit),
            were="was" if counts == [1] else "were",
            used=_span(result["units_used"].values[:, 0].tolist()),
            seed=int(result.attrs["seed"]),
            pool=pool if _draws_from_pools(result) else "",
            draws=_draws_in_words(result, noun),
            cite=self.cite,
        )

    def _used_whole(self) -> list[str]:
        """Return how many layers gave all that they have, at which numbers of units."""
        ways: dict[tuple[tuple[int, int], ...], list[int]] = {}
        for way, result in enumerate(self.results, start=1):
            whole = (result["units_used"] == result["layer_size"]).sum("layer").values.tolist()
            counts = result["n_units"].values.tolist()
            cases = tuple((some, count) for some, count in zip(whole, counts, strict=True) if some)
            if _is_counted(result) and cases:
                ways.setdefault(cases, []).append(way)
        texts = []
        for cases, numbers in ways.items():
            several = len(self.layers) > 1
            which = f"with {_counts([count for _, count in cases], self.unit)}"
            if several:
                (some, count), *others = cases
                of_all = f"{some:,} of the {self.layer.count(len(self.layers))}"
                first = f"{of_all} with {self.unit.count(count)}"
                which = _listed([first, *(f"{some:,} with {count:,}" for some, count in others)])
            of_ways = f" in {_listed(f'({number})' for number in numbers)}" if len(ways) > 1 else ""
            random = any(bool(_has_draws(self.results[number - 1]).any()) for number in numbers)
            once = ", in one draw" if random else ""
            texts.append(f"{of_ways}{once}{':' if several else ',' * random} {which}")
        return texts

    def _uncertainty(self) -> dict[str, Any]:
        at_most = [_has_draws(result).sel(n_units=result["n_units"].max()) for result in self.results]
        largest = {int(result["n_units"].max()) for result in self.results if result.sizes["n_units"] > 1}
        about = self.result[LIMITS[0]].attrs if LIMITS[0] in self.result else {}
        references = references_of(self.result)
        return {
            "drawn": any(bool(_has_draws(result).any()) for result in self.results),
            "drawn_of_pools": [unit_noun(one).many for one in self.results if _draws_from_pools(one)],
            "averaged": any(bool(draws.any()) for draws in at_most),
            "reference": the_reference(references),
            "references": in_words(references, '"{}"'),
            "largest": largest.pop() if len(largest) == 1 else None,
            "intervals": self._intervals(),
            "level": percent(about["confidence"]) if about else "",
            "resampled": words.RESAMPLING_WORDS.get(about.get("method", "")),
            "resamples": about.get("resamples"),
            "contrasts": self._contrasts(),
            "shared": self._shared(),
            **self._doubts(),
        }

    def _doubts(self) -> dict[str, Any]:
        """Return how many values have no interval since none can be told, of how many, and why."""
        told = [told_doubts(result, self.item.many).values.ravel() for result in self.results]
        reasons = [reason for of_kind in told for reason in of_kind.tolist() if reason]
        return {
            "doubtful": len(reasons),
            "values": sum(map(len, told)),
            "doubts": list(dict.fromkeys(reasons)),
        }

    def _contrasts(self) -> list[dict[str, Any]]:
        """Return which sets were compared, those that were compared in one way together."""
        ways: dict[tuple[bool, bool, str], list[str]] = {}
        for one in self.compared:
            about = one.attrs
            pair = f"{_quoted(about['first'])} with {_quoted(about['second'])}"
            over = words.corrected_over(one, self.layer.one)
            ways.setdefault((bool(about["paired"]), about["n_tests"] > 1, over), []).append(pair)
        names = ("paired", "several", "over")
        return [{**dict(zip(names, way, strict=True)), "pairs": pairs} for way, pairs in ways.items()]

    def _shared(self) -> list[str]:
        """Return how many images, known by their content, sets share that were compared without pairs."""
        compared = [
            {one.attrs["first"], one.attrs["second"]} for one in self.compared if not one.attrs["paired"]
        ]
        if self.recorded or not compared:
            return []
        shared = in_two_sets(self.result).items()
        return [
            f"{count:,} of {_quoted(first)} and {_quoted(second)}"
            for (first, second), count in shared
            if {first, second} in compared
        ]

    def _intervals(self) -> list[str]:
        """Return of which sources there are intervals, and not only of whole layers, which have no width."""
        limits = [[result[name] for name in LIMITS] for result in self.results if LIMITS[0] in result]
        return [
            source
            for source in SOURCES
            if any(bool(((high > low) & (low["source"] == source)).any()) for low, high in limits)
        ]

    def _undefined(self, result: xr.Dataset) -> str:
        """Return where a result has no value, with the space before it; "" if it has all."""
        missing = draw_mean(result["differentiation"], result).isnull().transpose("layer", "set", ...)
        layers = [name for name, bad in zip(self.layers, missing.values, strict=True) if bad.any()]
        if not layers:
            return ""
        where = f"{len(layers):,} of the {self.layer.count(len(self.layers))}"
        if len(layers) <= MOST_LAYERS_NAMED:
            bad_sets = (missing.sel(layer=name).any("n_units").values for name in layers)
            cases = zip(layers, bad_sets, strict=True)
            where = _listed(f"{_quoted(name)} for {self._named_sets(bad)}" for name, bad in cases)
        of_kind = (
            f" for {self.unit.many} of the kind {_quoted(result['units'].item())}"
            if len(self.results) > 1
            else ""
        )
        at_counts = missing.any("set").values
        everywhere = bool((at_counts.any(axis=1) == at_counts.all(axis=1)).all())
        return f"{of_kind}{'' if everywhere else ' with some numbers of units'} in {where}"

    def _named_sets(self, chosen: np.ndarray) -> str:
        names = [_quoted(name) for name, bad in zip(self.sets, chosen, strict=True) if bad]
        return _listed(names) if len(names) <= MOST_SETS_NAMED else f"{len(names):,} sets"

    def _warnings(self) -> list[str]:
        """Return the warnings that nothing else tells, each once."""
        given = [warned for result in self.results for warned in provenance(result).get("warnings", ())]
        texts = (warned["text"] for warned in given if warned["kind"] not in _TOLD_OTHERWISE)
        return list(dict.fromkeys(texts))

    def _software(self) -> list[str]:
        versions: Mapping[str, str] = self.known.get("versions", {})
        frameworks = self._frameworks()
        own = str(versions.get("differentia", ""))
        software = [" ".join(filter(None, ["differentia", own, self.cite("differentia", version=own)]))]
        used = {"torch": "torch" in frameworks, "keras": "keras" in frameworks, "pillow": self._fitted}
        for package, (name, *works) in _SOFTWARE.items():
            if used.get(package, True) and package in versions:
                software.append(" ".join([name, str(versions[package]), *map(self.cite, works)]))
            if package == "keras":
                backend = "Keras's backend " if used["keras"] else ""
                others = [name for name in frameworks if name not in _SOFTWARE]
                software += [f"{backend}{name} {versions.get(name, '')}".rstrip() for name in others]
        return software

    def _frameworks(self) -> Sequence[str]:
        """Return the packages that computed the network, as far as they are known."""
        if "frameworks" in self.known:
            return self.known["frameworks"]
        if self.network == "digits":
            return ("torch",)
        return ("keras",) if self.network.startswith("keras:") or self.network.endswith(".keras") else ()


def _network_in_words(network: str, weights: str, cite: _Citations) -> str:
    """Return a network in words, with its weights; never a folder of the user's."""
    if network == "digits":
        return (
            "the embedded network of differentia, a convolutional network with four blocks of two "
            "convolutions and a linear classifier, trained on one half of the handwritten digits of "
            f"scikit-learn {cite('alpaydin1998', 'pedregosa2011')}"
        )
    of_keras = network.startswith("keras:")
    if network.endswith(".keras") and not of_keras:
        return f"the Keras model of the file {_quoted(file_name(network))}"
    of_hub = is_of_hub(network)
    if not (of_keras or of_hub or re.fullmatch(r"[\w.]+:[\w.]+(\?.*)?", network)):
        return f"the network {_quoted(network)}" if network else ""
    spec, options = parse_spec(network)
    text = _of_hub_in_words(spec) if of_hub else f"the network {_quoted(spec)}"
    if of_keras:
        name = spec.removeprefix("keras:")
        key = architecture_key(name)
        text = f"{name}{f' {cite(key)}' if key else ''} of Keras Applications"
        if isinstance(options.get("classes"), str):  # a class index, which only names the classes
            del options["classes"]
    told = ("weights", "pretrained") if of_hub else ("weights",)
    details = [f"{name}={value}" for name, value in options.items() if name not in told]
    if weights == RANDOM:
        details += ["random weights"]
    elif of_keras and weights == IMAGENET:
        details += [f"Keras's weights, trained on ImageNet {cite('russakovsky2015')}"]
    elif weights:
        of_file = "of the file " if not of_hub or is_file(weights) else ""
        details += [f"the weights {of_file}{_quoted(file_name(weights))}"]
    elif of_hub:
        details += ["its own weights"]
    return text + (f" with {_listed(details)}" if details else "")


#: By what a spec calls a library of networks: what a network of it is called.
_OF_HUBS = {
    "torchvision": "the network {} of torchvision",
    "timm": "the network {} of timm",
    "hf": "the network {} of transformers",
    "open_clip": "the image tower of {} of open_clip",
}


def _of_hub_in_words(spec: str) -> str:
    """Return a library's network by the name that it has there, without weights and folders."""
    hub, _, name = spec.partition(":")
    source, colon, place = name.partition(":")
    if colon:  # of a repository, or a folder
        name = place if source.startswith("hf") else file_name(place.rstrip("/"))
    elif hub == "timm":
        name = name.partition(".")[0]
    elif not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", name):
        name = file_name(name.rstrip("/"))
    return _OF_HUBS[hub].format(_quoted(name))


def _draws_in_words(result: xr.Dataset, noun: Noun) -> str:
    """Return how many draws there were of each number of units."""
    drawn = _has_draws(result)
    several: list[int] = []
    one: list[int] = []
    for count, more in zip(result["n_units"].values.tolist(), drawn.any("layer").values, strict=True):
        (several if more else one).append(count)
    parts = []
    if several:
        # Channels may leave a layer no other draw of a number that is not all it has.
        whole = result["units_used"] == result["layer_size"]
        most = "at most " if bool((~drawn & ~whole).sel(n_units=several).any()) else ""
        each = " each" if len(several) > 1 else ""
        parts.append(f"{most}{_count(result.sizes['draw'], 'draw')}{each} of {_counts(several, noun)}")
    if one:
        parts.append(f"1 draw{' each' if len(one) > 1 else ''} of {_counts(one, noun)}")
    return " and ".join(parts)


def _is_counted(result: xr.Dataset) -> bool:
    """Return whether a number of units was asked for, and not all that there are."""
    whole = result["units_used"] == result["layer_size"]
    return kind_of(result).counted and not bool(whole.all())


def _has_draws(result: xr.Dataset) -> xr.DataArray:
    """Return at which (layer, n_units) there is more than one draw."""
    several = kind_of(result).random and result.sizes["draw"] > 1
    return (result["units_used"] < result["pool_size"]) & several


def _draws_from_pools(result: xr.Dataset) -> bool:
    """Return whether some draws were made from a pool that is smaller than the layer."""
    return bool((_has_draws(result) & (result["pool_size"] < result["layer_size"])).any())


def _quoted(name: object) -> str:
    return f'"{" ".join(str(name).splitlines())}"'


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _counts(numbers: Sequence[int], noun: Noun) -> str:
    return f"{_listed(f'{number:,}' for number in numbers)} {noun.one if list(numbers) == [1] else noun.many}"


def _span(numbers: Iterable[int]) -> str:
    least, *_, most = sorted(numbers) * 2
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _listed(items: Iterable[str]) -> str:
    *others, last = items
    return f"{', '.join(others)} and {last}" if others else last


@cache
def _paragraph_template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    environment.filters |= {"count": _count, "listed": _listed, "quoted": _quoted, "span": _span}
    environment.filters["number"] = "{:,}".format
    return environment.from_string(files(__package__).joinpath("paragraph.jinja").read_text(encoding="utf-8"))
