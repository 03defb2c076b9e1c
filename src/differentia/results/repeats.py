"""Repeated presentations: differentiation with and without the noise of trials, and how far repeats agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from statistics import mode
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from differentia.definition.deviations import deviations, rounded_in_words
from differentia.definition.measure import NORMALIZATIONS, Differentiation
from differentia.definition.repeats import Squares, noise_free, squares_of, without_noise
from differentia.errors import InputError, require_count, require_known, short_tracebacks, warn
from differentia.recording.labelled import Labelled
from differentia.recording.repeated import repeated_responses_from
from differentia.recording.responses import ALL
from differentia.results.confidence import WINDOWS, Confidence, Sample, freedom_of, limits
from differentia.results.doubts import DOUBT_WORDS
from differentia.results.intervals import CONFIDENCE, MOST_IMAGES, require_confidence
from differentia.results.reliability import Split, spearman_brown, split_half, splits_of
from differentia.results.subject import RECORDED_FACT, subject_of
from differentia.system.choices import NORMALIZE

if TYPE_CHECKING:
    import xarray as xr

#: What a dataset that `measure_repeats` returned says it is.
KIND = "repeats"

#: The values of each set and layer, and what warnings call them.
VALUES = {
    "plain": "that of single repeats",
    "of_mean": "that of the mean response",
    "noise_free": "that without noise",
}

#: Ways to halve the repeats, at most; and parts of the repeats that tell of the bias.
SPLITS, _PARTS = 20, 20

#: How responses are divided; the rows of "response" have no SD without noise.
_NORMALIZATIONS = ("layer", "unit", "none")

#: Why limits without noise are not to be trusted, beside what `doubts` has.
NOISE, TWO_REPEATS = "noise", "two repeats"

#: What each doubt says, of {items}.
REPEAT_DOUBTS = {
    **DOUBT_WORDS,
    NOISE: "noise biases the value by more than half the interval: more repeats, or units, are needed",
    TWO_REPEATS: "two repeats do not tell how far noise biases the value: three are needed",
}

#: A bias by noise that is a larger share of half the interval makes it doubtful; limits are widened by so
#: many times the bias and its standard error. Both are those of docs/repeats.md.
_MOST_BIASED, _WIDENED = 1.0, 1.5


@short_tracebacks
def measure_repeats(
    repeats: Any,
    *,
    normalize: str = "layer",
    confidence: float = CONFIDENCE,
    splits: int = SPLITS,
    seed: int = 0,
) -> xr.Dataset:
    """Measure the differentiation of responses to repeated stimuli, with and without the noise of trials.

    Parameters
    ----------
    repeats
        set -> layer (or area) -> array (n_repeats, n_stimuli, n_units); or set -> array, of one layer "all";
        or one array, of one set "all". The units of a layer are the same in every set. Of xarray's
        DataArrays the names of dimensions say which is which (``repeat``, ``stimulus``, ``unit``), in any
        order, and labels of stimuli and units are brought into one order.
    normalize : {"layer", "unit", "none"}
        ``layer`` divides by one SD of all entries: of the repeat, of the mean response, or without noise.
        ``unit`` divides each unit by its SD over all responses of all sets, with the noise that these have:
        so single units of noise can't be divided by nearly nothing, and the three values have one scale.
    confidence
        Of the limits, from 0.5 to below 1.
    splits
        In how many ways, at most, the repeats are halved.
    seed
        Of the halves, where there are more ways.

    Returns
    -------
    xarray.Dataset
        By (set, layer): ``plain``, the mean differentiation of single repeats, as from stimuli that are shown
        once; ``of_mean``, that of the mean response; and ``noise_free``, from products across repeats, that
        of responses without noise. Each has limits over stimuli (``plain_low``, ``plain_high``, and so on);
        NaN for sets of fewer than 10 stimuli, and where they can't be trusted.

        ``noise_bias``: by how much noise is estimated to make ``noise_free`` too large, from parts of the
        repeats; NaN with two repeats; ``noise_bias_error`` is its standard error over parts. The limits are
        widened by 1.5 times the bias and its error, on each side that it may have moved the value from.
        ``doubt`` says why there are no limits of ``noise_free``: "noise" (the bias is estimated to be more
        than half of the interval), "two repeats" (from which it can't be estimated), or a reason of `doubts`,
        among them "windows", of those that overlap, which have no limits at all; else empty.

        ``reliability_pearson`` and ``reliability_spearman``: the correlation of the pairs' distances between
        the mean responses of two halves of the repeats, the mean over ways to halve them, with limits over
        stimuli (``_low``, ``_high``); ``_corrected``, by the formula of Spearman and Brown, is what all
        repeats would have; NaN where it is negative.

        ``n_repeats`` and ``n_stimuli`` (set, layer), ``n_units`` (layer).

    Raises
    ------
    InputError
        There are fewer than two repeats or stimuli, a response is not finite, sets or layers do not fit each
        other, or an option can't be used.

    Warns
    -----
    DifferentiaWarning
        A value is NaN: the median of the squared distances, or the variance, is not positive.

    Notes
    -----
    The squared distance ``mean over r != s of (a_i^r - a_j^r) . (a_i^s - a_j^s) / n_units`` is unbiased
    if the noise of different repeats is independent (Walther et al. 2016), however units share it within one;
    it may be negative. The variance is made of such products too. The median of squares that are unbiased,
    and its root, are not quite unbiased: see docs/repeats.md, which also has how often the limits hold.
    """
    _require_normalization(normalize)
    require_confidence(confidence)
    require_count("splits", splits)
    require_count("seed", seed, least=0)
    given = repeated_responses_from(repeats)
    scales = _unit_scales(given) if normalize == "unit" else {}
    measuring = _Measuring(normalize == "layer", float(confidence), splits, seed)
    found, undefined = {}, []
    for (name, of_set), layer in product(given.items(), next(iter(given.values()))):
        array = of_set[layer].values.transpose(2, 0, 1).astype(np.float64)
        found[name, layer] = measuring.look(array * scales.get(layer, 1.0))
        undefined += [
            f"{VALUES[what]} of set {name!r}, layer {layer!r} ({one.undefined})"
            for what, one in found[name, layer][0].items()
            if one.undefined
        ]
    if undefined:
        warn("undefined", f"differentiation is NaN, {'; '.join(undefined)}")
    attributes: dict[str, str | int | float] = {
        "normalize": normalize,
        "metric": "euclidean",
        "reference": "",
        "confidence": float(confidence),
        "splits": int(splits),
        "seed": int(seed),
    }
    dataset = _dataset(given, found, attributes)
    return dataset if getattr(repeats, "independent", True) else _without_limits(dataset)


def _without_limits(dataset: xr.Dataset) -> xr.Dataset:
    """Return the same of stimuli that are no independent sample: windows that overlap."""
    limited = [str(name) for name in dataset if str(name).endswith(("_low", "_high"))]
    doubt = dataset["doubt"].copy(data=np.full(dataset["doubt"].shape, WINDOWS))
    return dataset.assign({name: dataset[name] * np.nan for name in limited} | {"doubt": doubt})


def _require_normalization(normalize: str) -> None:
    require_known("normalization", normalize, NORMALIZATIONS, NORMALIZE.synonyms)
    if normalize not in _NORMALIZATIONS:
        raise InputError(
            f"normalize is {normalize!r}, which divides each response by its own SD, of which there is no "
            f"estimate without noise; expected one of {', '.join(_NORMALIZATIONS)}"
        )


def _unit_scales(given: Mapping[str, Mapping[str, Labelled]]) -> dict[str, Float[np.ndarray, " k"]]:
    """Return by layer what each unit is multiplied by: one over its SD over all sets; 0 if it is constant."""
    scales, rounded, sizes = {}, {}, {}
    for layer in next(iter(given.values())):
        every = [of_set[layer].values.swapaxes(1, 2) for of_set in given.values()]
        whole = np.concatenate([values.reshape(-1, values.shape[2]) for values in every])
        sd, rounded[layer] = deviations(whole)
        sizes[layer] = len(sd)
        scales[layer] = np.divide(1.0, sd, out=np.zeros(len(sd)), where=sd > 0)
    if any(rounded.values()):
        warn("rounding", rounded_in_words(rounded, sizes))
    return scales


class _Known(NamedTuple):
    """A value, its limits, why these can't be told (or ""), and why there is no value (or None)."""

    value: float
    low: float = np.nan
    high: float = np.nan
    doubt: str = ""
    undefined: str | None = None


@dataclass(frozen=True)
class _Measuring:
    """How the responses of each set and layer are measured."""

    divided: bool
    confidence: float
    splits: int
    seed: int

    def look(self, repeats: Float[np.ndarray, "repeat n k"]) -> tuple[dict[str, _Known], dict[str, float]]:
        """Return the three values, and all other numbers, of responses to the stimuli of a set in a layer."""
        splits = splits_of(len(repeats), self.splits, self.seed)
        plain, total = [], None
        for repeat in repeats:  # one after the other: there is one matrix of distances for all of them
            squares = squares_of(repeat)
            plain.append((squares.differentiation(divided=self.divided), self._confidence(squares)))
            total = squares if total is None else total + squares
        assert total is not None
        of_mean = squares_of(repeats.mean(axis=0))
        free = without_noise(of_mean, total, len(repeats))
        bias, error = self.bias(repeats, splits, free.differentiation(divided=self.divided).value)
        known = {
            "plain": self._plain(*zip(*plain, strict=True)),
            "of_mean": self._known(of_mean.differentiation(divided=self.divided), self._confidence(of_mean)),
            "noise_free": self.noise_free(free, bias, error, len(repeats)),
        }
        numbers = {"noise_bias": bias, "noise_bias_error": error}
        for name, (value, low, high) in split_half(repeats, splits, self.confidence).items():
            ends = {"": value, "_low": low, "_high": high, "_corrected": spearman_brown(value)}
            numbers |= {f"reliability_{name}{end}": number for end, number in ends.items()}
        return known, numbers

    def _confidence(self, squares: Squares) -> Confidence | None:
        distances = np.sqrt(np.maximum(squares.distances, 0.0))
        if len(distances) > MOST_IMAGES:
            return None
        return Sample(distances, *((squares.means, squares.powers) if self.divided else ())).confidence()

    def _known(self, of: Differentiation, confidence: Confidence | None) -> _Known:
        if of.undefined or confidence is None:
            return _Known(of.value, undefined=of.undefined)
        if confidence.doubt:
            return _Known(of.value, doubt=confidence.doubt)
        ends = np.exp(limits(confidence.log_limit, confidence.freedom, self.confidence)) * of.value
        return _Known(of.value, *ends.tolist())

    def _plain(self, values: Sequence[Differentiation], confidences: Sequence[Confidence | None]) -> _Known:
        """Return the mean over repeats; all have the same stimuli, so their errors do not average out."""
        mean = float(np.mean([one.value for one in values]))
        undefined = next((one.undefined for one in values if one.undefined), None)
        told = [one for one in confidences if one is not None]
        if undefined or len(told) < len(confidences):
            return self._known(Differentiation(mean, undefined), None)
        shares = np.array([one.value for one in values]) / (mean * len(values))
        influence = shares @ np.array([one.influence for one in told])
        # What noise adds to the errors of single repeats does average out.
        apart = shares @ [one.influence.std() for one in told]
        narrower = influence.std() / apart if apart > 0 else 1.0
        log_limit = shares @ np.array([one.log_limit for one in told]) * narrower
        doubt = mode(one.doubt for one in told)
        return self._known(
            Differentiation(mean), Confidence(log_limit, freedom_of(influence), influence, doubt)
        )

    def bias(
        self, repeats: Float[np.ndarray, "repeat n k"], splits: Sequence[Split], value: float
    ) -> tuple[float, float]:
        """Return by how much noise makes a value too large, as the values of parts tell, and its error."""
        halves = [half.tolist() for split in splits[:: -(-len(splits) // (_PARTS // 2))] for half in split]
        of_all = len(repeats)
        parts = halves if of_all > 3 else [[*pair] for pair in combinations(range(of_all), 2)]
        few = len(parts[0])
        if few == of_all:
            return np.nan, np.nan
        of_parts = [noise_free(repeats[part]).differentiation(divided=self.divided).value for part in parts]
        factor = few / (of_all - few)  # It falls as one over the number of repeats.
        error = factor * np.std(of_parts, ddof=1) / np.sqrt(len(parts))
        return float(factor * (np.mean(of_parts) - value)), float(error)

    def noise_free(self, squares: Squares, bias: float, error: float, repeats: int) -> _Known:
        """Return the value without noise; its limits are widened by its bias, as far as that may reach."""
        known = self._known(squares.differentiation(divided=self.divided), self._confidence(squares))
        if np.isnan(known.low):
            return known
        if repeats == 2:
            return _Known(known.value, doubt=TWO_REPEATS)
        if not abs(bias) <= _MOST_BIASED * (known.high - known.low) / 2:
            return _Known(known.value, doubt=NOISE)
        low = known.low - _WIDENED * max(bias + error, 0.0)
        high = known.high - _WIDENED * min(bias - error, 0.0)
        return known._replace(low=max(low, 0.0), high=high)


def _dataset(
    given: Mapping[str, Mapping[str, Labelled]],
    found: Mapping[tuple[str, str], tuple[dict[str, _Known], dict[str, float]]],
    attributes: Mapping[str, str | int | float],
) -> xr.Dataset:
    """Return the values of every set and layer with their labels."""
    import xarray as xr

    sets, layers = list(given), list(next(iter(given.values())))
    shape = len(sets), len(layers)

    def variable(values: Iterable[Any]) -> tuple[tuple[str, str], np.ndarray]:
        return ("set", "layer"), np.array([*values]).reshape(shape)

    variables: dict[str, Any] = {}
    for name in VALUES:
        known = [one[name] for one, _ in found.values()]
        variables[name] = variable(one.value for one in known)
        variables[f"{name}_low"] = variable(one.low for one in known)
        variables[f"{name}_high"] = variable(one.high for one in known)
    variables["doubt"] = variable(one["noise_free"].doubt for one, _ in found.values())
    for name in next(iter(found.values()))[1]:
        variables[name] = variable(numbers[name] for _, numbers in found.values())
    for axis, name in ((2, "n_repeats"), (0, "n_stimuli")):
        variables[name] = variable(given[of][layer].values.shape[axis] for of, layer in found)
    variables["n_units"] = "layer", [given[sets[0]][layer].values.shape[1] for layer in layers]
    attrs = {"differentia": KIND, **attributes, RECORDED_FACT: 1}
    return xr.Dataset(variables, coords={"set": sets, "layer": layers}, attrs=attrs)


def require_repeats(given: Any) -> None:
    """Raise an error for what `measure_repeats` has not returned."""
    if getattr(given, "attrs", {}).get("differentia") != KIND or not {"set", "layer"} <= {*given.dims}:
        raise InputError(
            f"this {type(given).__name__} is not what measure_repeats(repeats) returned; expected that, or "
            "some of its sets and layers, as of found.sel(set=[name])"
        )


@short_tracebacks
def say_repeats(found: xr.Dataset) -> list[str]:
    """Return in words how far noise moves the differentiation of each set and layer, and how repeats agree.

    Parameters
    ----------
    found
        What `measure_repeats` returned, or a selection of its sets and layers.

    Returns
    -------
    list of str
        Two sentences for each set and layer, as one text: the value without noise, how far that of single
        repeats lies from it, and why there are no limits; and the reliability of the pairs' distances.

    Raises
    ------
    InputError
        It is not what `measure_repeats` returned.
    """
    require_repeats(found)
    places = product(found["set"].values, found["layer"].values)
    items = subject_of(found).item.many
    return [_say_place(found.sel(set=name, layer=layer), items) for name, layer in places]


def _say_place(one: xr.Dataset, items: str) -> str:
    where = ", ".join(part for part in (one["set"].item(), one["layer"].item()) if part != ALL)
    said = f"{where}: " if where else ""  # of one array alone there is nothing to name
    plain, free = one["plain"].item(), one["noise_free"].item()
    low, high = one["noise_free_low"].item(), one["noise_free_high"].item()
    if np.isnan(plain):
        return f"{said}no differentiation is known, as responses do not vary in every repeat."
    if np.isnan(free):
        said += f"noise hides how the responses differ; single repeats have a differentiation of {plain:.3g}."
    else:
        interval = f" [{low:.3g}, {high:.3g}]" if np.isfinite(low) else ""
        said += f"differentiation without noise is {free:.3g}{interval}, and {_say_noise(plain, free)}"
        doubt = one["doubt"].item()
        said += f"; there are no limits, as {REPEAT_DOUBTS[doubt].format(items=items)}." if doubt else "."
    return said + _say_reliability(one, items)


def _say_noise(plain: float, free: float) -> str:
    """Return how far noise moves the value of single repeats."""
    percent = 100 * (plain / free - 1)
    if abs(percent) < 1:
        return f"noise moves that of single repeats by less than 1 % ({plain:.3g})"
    side = "larger" if percent > 0 else "smaller"
    return f"noise makes that of single repeats {abs(percent):.0f} % {side} ({plain:.3g})"


def _say_reliability(one: xr.Dataset, items: str) -> str:
    halves, corrected = (one[f"reliability_spearman{end}"].item() for end in ("", "_corrected"))
    if np.isnan(halves):
        return ""
    both = f"{halves:.2f}; of all, about {corrected:.2f}" if np.isfinite(corrected) else f"{halves:.2f}"
    repeats = int(one["n_repeats"])
    return f" Halves of the {repeats} repeats agree on how far {items} lie apart (rank correlation {both})."
