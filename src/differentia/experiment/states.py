"""Trials over time to a labelled result: the differentiation of the states of each trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Unpack

import numpy as np
from jaxtyping import Float, Int

from differentia.definition.deviations import rounded_in_words
from differentia.definition.measure import Differentiation, evaluate
from differentia.definition.rounding import only_rounding
from differentia.errors import InputError, require_count, warn
from differentia.experiment.measure import references_for, versions_of
from differentia.experiment.options import MeasureKeywords, MeasureOptions, measure_options
from differentia.networks.layers import Layer
from differentia.neurons.recording import Recording
from differentia.neurons.responses import StimulusResponses
from differentia.neurons.states import StateMaker, StatesKeywords, StatesOptions
from differentia.neurons.trials import Trials, trials_from_arrays
from differentia.recording.responses import Responses
from differentia.recording.units import unit_kind
from differentia.results.confidence import WINDOWS, Confidence, confidence_of_mean
from differentia.results.dataset import build_result
from differentia.results.intervals import add_intervals
from differentia.results.references import require_references
from differentia.results.schema import SPECS, TRIAL_VALUES
from differentia.stimuli.presentation import ImageLabel
from differentia.system.choices import SCALE
from differentia.system.fields import accept, option, takes
from differentia.system.progress import Progress, require_progress, shown_progress

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class MeasureStatesOptions(StatesOptions):
    """What states are made of, and on which scale their differentiation is told."""

    scale: Annotated[str, SCALE] = option(
        "differentiation",
        "The scale of values",
        doc=": that of `differentiation`, or the published one, the median Euclidean distance of states "
        "divided by the square root of the number of neurons, and by no SD (Mayner et al. 2022), which sets "
        'normalize="none"',
    )


class MeasureStatesKeywords(StatesKeywords, MeasureKeywords, total=False):
    """What `measure_states` takes."""

    scale: str


@takes(MeasureStatesOptions, MeasureOptions, keywords=MeasureStatesKeywords)
def measure_states(
    trials: Trials | Mapping[str, Any],
    *,
    rate: float | None = None,
    seed: int = 0,
    progress: Progress | bool | None = None,
    **options: Unpack[MeasureStatesKeywords],
) -> xr.Dataset:
    """Measure the differentiation of states over time, one value for each trial; trials are never averaged.

    Parameters
    ----------
    trials
        What `differentia.trials` returned, or set -> area -> array (trial, time, unit), or a list of arrays
        (time, unit), with the same units of an area in every trial; or set -> array of one area, "all".
    rate
        Samples in a second; arrays only.
    seed
        Seed of the choice of neurons.
    progress
        As for `measure`; there is one stage, ``measuring``, which counts trials in areas.
    {options}

    Returns
    -------
    xarray.Dataset
        As `measure`, with areas as layers and trials as images. ``trial_differentiation`` (image, layer,
        n_units, draw) is the value of each trial: the median distance over all pairs of its states;
        ``differentiation`` is its mean over the trials of each set. Draws are of neurons, with all
        frequencies of each. ``image_start`` and ``image_stop`` say when each trial was, in seconds, and
        ``image_states`` how many states it has. Intervals over trials are those of Student's t on a scale of
        ratios, of three trials or more; those of windows of one stretch, which are no independent sample, are
        NaN (`doubts`). It holds no distances. `trial_values` makes a table of it.

    Raises
    ------
    InputError
        Something that was given can't be used: a NaN among the signals, a trial that is too short for two
        states, a length that is not a whole number of samples.

    Notes
    -----
    With the published scale a value is ``sqrt(k)`` times that of ``normalize="none"``, k being the number of
    values that a state has of each neuron: n // 2 + 1 for a spectral one of n samples, or the number of
    `frequencies`; 1 for a rate. States are those of Mayner et al. (2022), eNeuro 9(1), and Gandhi et al.
    (2023).
    """
    made_of = accept(MeasureStatesOptions, options, MeasureOptions)
    if made_of.scale == "published":
        options = {**options, "normalize": _of_published(options)}
    given = measure_options(options, MeasureStatesOptions)
    require_progress(progress)
    seed = require_count("seed", seed, least=0)
    if isinstance(trials, Recording | StimulusResponses):
        raise InputError(
            f"expected trials over time, and not a {type(trials).__name__}; cut them out of a recording: "
            "trials(recording, by=...)"
        )
    if not isinstance(trials, Trials):
        if rate is None:
            raise InputError("signals as arrays need rate=, how many samples there are in a second")
        trials = trials_from_arrays(trials, rate)
    elif rate is not None:
        raise InputError("trials already have a rate; leave rate= out")
    require_references(given.reference, trials.sets)
    with shown_progress(progress) as report:
        return _Measurement(trials, made_of, given, seed).result(report)


def _of_published(options: Mapping[str, Any]) -> str:
    """Return the normalisation of the published scale, or raise an error where another was asked for."""
    for name, only in (("normalize", "none"), ("metric", "euclidean")):
        if (given := options.get(name, only)) != only:
            raise InputError(
                f"scale='published' is of Euclidean distances that are not normalised: leave "
                f"{name}={given!r} out, or use scale='differentiation'"
            )
    return "none"


#: Of a unit's largest power, a share that is nothing but rounding: the square of that of the transform.
_ROUNDING = 1e-26


class _Undefined(NamedTuple):
    """A value that a trial does not have, and why."""

    area: str
    set: str
    trial: str
    reason: str


class _Measurement:
    """The measurement of trials, one area after the other, of which one trial is in memory at a time."""

    def __init__(
        self, trials: Trials, made_of: MeasureStatesOptions, options: MeasureOptions, seed: int
    ) -> None:
        self.trials, self.made_of, self.options = trials, made_of, options
        self.make = StateMaker(made_of, trials.rate)
        self.published = made_of.scale == "published"
        first = next(iter(trials.signals.values()))
        sizes = {area: of_area[0].shape[1] for area, of_area in first.items()}
        layers = tuple(Layer(area, "Recorded", (size,), area) for area, size in sizes.items())
        kind = "all" if options.n_units is None else "random"
        self.counts: Sequence[int] = options.n_units or (max(sizes.values()),)
        self.images = tuple(
            ImageLabel(name, at, trial, "")
            for name, names in trials.names.items()
            for at, trial in enumerate(names)
        )
        self.responses = Responses(
            layers,
            self.images,
            {},
            {layer.name: unit_kind(kind).choose(layer, layer.size, seed, None) for layer in layers},
            kind,
            seed,
        )
        if all(self.responses.units_used(layer, min(self.counts)) == layer.size for layer in layers):
            self.options = replace(options, draws=1)  # of all units there is no other

    def result(self, progress: Progress) -> xr.Dataset:
        layers, n_trials = self.responses.layers, len(self.images)
        values = np.full((n_trials, len(layers), len(self.counts), self.options.draws), np.nan)
        n_states = np.zeros(n_trials)
        undefined: list[_Undefined] = []
        self.rounded: dict[str, int] = {}
        total = n_trials * len(layers)
        progress(0, total, "measuring")
        for at, layer in enumerate(layers):
            scale = self._scale(layer) if self.options.normalize == "unit" else None
            for row, found in enumerate(self._states(layer)):
                n_states[row] = len(found)
                values[row, at], reason = self._values(layer, found, scale)
                if reason:
                    image = self.images[row]
                    undefined.append(_Undefined(layer.name, image.set, image.name, reason))
                progress(at * n_trials + row + 1, total, "measuring")
        return self._labelled(values, n_states, [*self._warn(undefined)])

    def _states(self, layer: Layer) -> Iterator[Float[np.ndarray, "state unit k"]]:
        """Yield the states of each trial."""
        for name, by_area in self.trials.signals.items():
            for trial, signal in zip(self.trials.names[name], by_area[layer.name], strict=True):
                if self.make.count(len(signal)) < 2:
                    raise InputError(
                        f"set {name!r}, trial {trial!r} has {len(signal):,} samples, and states of "
                        f"{self.make.n:,}; expected at least two states in each trial: use a shorter length= "
                        "(--state), or leave the trial out"
                    )
                yield self.make(signal)

    def _scale(self, layer: Layer) -> Float[np.ndarray, "unit k"]:
        """Return the SD of each value over the states of all trials and sets; 0 where it is but rounding."""
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        lowest, highest = np.full((), np.inf), np.full((), -np.inf)
        for found in self._states(layer):
            own, n = found.mean(axis=0), len(found)
            lowest, highest = np.minimum(lowest, found.min(axis=0)), np.maximum(highest, found.max(axis=0))
            shift = own - mean
            # The sums of squares of two parts, joined (Chan, Golub and LeVeque 1983).
            squares = (
                squares + np.square(found - own).sum(axis=0) + np.square(shift) * (count * n / (count + n))
            )
            count, mean = count + n, mean + shift * (n / (count + n))
        scale = np.sqrt(squares / count)
        constant = only_rounding(lowest, highest, scale.dtype)
        constant |= scale < _ROUNDING * np.abs(mean).max(axis=-1, keepdims=True)
        moved = constant.all(axis=-1) & (lowest < highest).any(axis=-1)
        self.rounded[layer.name] = int(np.count_nonzero(moved))
        return np.where(constant, 0.0, scale)

    def _values(
        self,
        layer: Layer,
        found: Float[np.ndarray, "state unit k"],
        scale: Float[np.ndarray, "unit k"] | None,
    ) -> tuple[Float[np.ndarray, "n draw"], str]:
        """Return a trial's value for each number of neurons and draw, and why there is none of some."""
        values, reason = np.full((len(self.counts), self.options.draws), np.nan), ""
        units = self.responses.units[layer.name]
        for place, count in enumerate(self.counts):
            for draw in range(self.options.draws):
                positions = self.responses.drawn(layer, count, draw)
                if positions is None:
                    break
                value, undefined, _ = self._value(found, np.sort(units[positions]), scale)
                values[place, draw], reason = value, reason or undefined or ""
        return values, reason

    def _value(
        self,
        found: Float[np.ndarray, "state unit k"],
        units: Int[np.ndarray, " u"],
        scale: Float[np.ndarray, "unit k"] | None,
    ) -> Differentiation:
        value = evaluate(
            found[:, units].reshape(len(found), -1),
            normalize=self.options.normalize,
            metric=self.options.metric,
            scale=None if scale is None else scale[units].ravel(),
        )
        if not self.published:
            return value
        # States that are all the same have a distance here, since no SD divides it.
        return Differentiation(0.0 if value.undefined else value.value * np.sqrt(self.make.values_per_unit))

    def _warn(self, undefined: Sequence[_Undefined]) -> Iterator[dict[str, str]]:
        if undefined:
            first = {(case.area, case.set): case for case in reversed(undefined)}
            listed = "; ".join(
                f"area {case.area!r}, set {case.set!r}, trial {case.trial!r}: {case.reason}"
                for case in reversed(first.values())
            ).replace("for every stimulus", "in every state")
            yield warn(
                "undefined",
                f"differentiation is NaN for {len(undefined)} trials, and so for their sets: {listed}; leave "
                "those trials out (where=, --where), or take longer ones",
            )
        if any(self.rounded.values()):
            sizes = {layer.name: layer.size for layer in self.responses.layers}
            yield warn("rounding", rounded_in_words(self.rounded, sizes))
        if self.options.normalize == "none" and (told := [*self._what_differs_too()]):
            yield warn("other", "; ".join(told))

    def _what_differs_too(self) -> Iterator[str]:
        """Yield in words by what values that nothing normalises differ between areas, as the authors warn."""
        if self.make.kind.squared:
            yield (
                "spectral states hold squared magnitudes: a signal twice as strong gives four times the "
                "value, so areas, animals and conditions that differ in rate differ in value too; compare "
                "with normalize='unit', relative to a reference, or with states='rate'"
            )
        sizes = {layer.size for layer in self.responses.layers}
        if self.options.n_units is None and len(sizes) > 1:
            yield (
                f"areas have {min(sizes):,} to {max(sizes):,} neurons, and values depend on their number: to "
                f"compare areas, draw equal numbers, n_units={min(sizes)} (--n-units {min(sizes)})"
            )

    def _labelled(
        self,
        values: Float[np.ndarray, "trial layer n draw"],
        n_states: Float[np.ndarray, " trial"],
        warned: list[dict[str, str]],
    ) -> xr.Dataset:
        rows = self.responses.sets
        trials, made_of = self.trials, asdict(self.made_of)
        known: dict[str, Any] = {"states": n_states.tolist()}
        if trials.spans is not None:
            spans = np.concatenate([trials.spans[name] for name in rows])
            known |= {"start": spans[:, 0].tolist(), "stop": spans[:, 1].tolist()}
        told: dict[str, Any] = {
            "recording": trials.source,
            "session": trials.session,
            "left_out": list(trials.told),
            "trials": dict(trials.how),
        }
        provenance: dict[str, Any] = {
            **{name: fact for name, fact in told.items() if fact},
            "states": {
                **made_of,
                "rate": trials.rate,
                "samples": self.make.n,
                "values_per_unit": self.make.values_per_unit,
            },
            "items": "windows" if trials.windows else "trials",
            "warnings": warned,
            "versions": versions_of(self.responses),
        }
        of_mean = [
            [
                [self._confidence(values[at, layer, place]) for place in range(len(self.counts))]
                for at in rows.values()
            ]
            for layer in range(values.shape[1])
        ]
        reference, set_references = references_for(self.responses, self.options.reference)
        unknown = np.full(values.shape[:2], np.nan)
        result = build_result(
            replace(self.responses, attributes=known),
            differentiation=np.stack([values[at].mean(axis=0) for at in rows.values()]),
            n_units=self.counts,
            image_sum=unknown,
            image_sumsq=unknown,
            distance=None,
            confidences=of_mean,
            normalize=self.options.normalize,
            metric=self.options.metric,
            reference=reference,
            set_references=set_references,
            provenance=provenance,
        )
        if trials.windows:
            result["doubt"] = result["doubt"].copy(data=np.full(result["doubt"].shape, WINDOWS))
        result[TRIAL_VALUES] = (SPECS[TRIAL_VALUES].dimensions, values)
        return add_intervals(result.assign_attrs(scale=made_of["scale"]), confidence=self.options.confidence)

    def _confidence(self, values: Float[np.ndarray, "trial draw"]) -> Confidence | None:
        made = ~np.isnan(values).all(axis=0)
        if not made.any():
            return None
        return confidence_of_mean(values[:, made].mean(axis=1))
