"""What was measured, with what and how, as labels and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from differentia.output.recordings import taken_of
from differentia.output.words import METRIC_WORDS, NORMALIZATION_WORDS, RESAMPLING_WORDS
from differentia.results.dataset import kind_of, provenance
from differentia.results.references import in_words, references_of
from differentia.results.schema import LEFT_OUT, LIMITS, TRIAL_VALUES
from differentia.results.subject import subject_of, unit_noun
from differentia.results.summaries import confidence_of, draws_made, percent
from differentia.results.weights import weights_of

if TYPE_CHECKING:
    import xarray as xr

#: By fact of the provenance: what it is called on the page.
FACT_LABELS = {
    "responses": "File",
    "recording": "File",
    "session": "Session",
    "subject": "Animal",
    "network": "Network",
    "weights": "Weights",
    "fingerprint": "Fingerprint of architecture and weights (SHA-256)",
    "preprocessing": "Preprocessing",
    "forward": "Called with what is returned by",
    "input_shape": "Input (height x width x channels)",
    "resize": "Resize filter",
    "crop": "Where proportions differ",
    "resized_to": "Resized, before its middle is cut out, to (shorter side, or height x width)",
    "tokens": "Tokens that count",
    "resized_by": "Resized by",
    "batch_size": "Images in a batch",
    "device": "Device",
    "dtype": "Computed in",
}

#: The same of what was taken of a recording; what was not asked for is not listed.
TAKEN_LABELS = {
    "by": "Sets by the column",
    "table": "Tables of intervals",
    "where": "Intervals where",
    "window": "Window after onset, in seconds",
    "length": "Length of moving windows, in seconds",
    "step": "Step of moving windows, in seconds",
    "value": "Response",
    "bin": "Bins of spikes, in seconds",
    "bin_step": "Step of bins, in seconds",
    "area": "Areas by the column",
    "spontaneous": "Cut into windows",
    "detrend": "Detrending",
    "standardize": "Standardised",
    "runs": "Runs",
}

#: The same of what states over time are made of.
STATE_LABELS = {
    "states": "States",
    "length": "Length of a state, in seconds",
    "overlap": "Overlap of states",
    "taper": "Taper",
    "frequencies": "Frequencies in equal ratios",
    "rate": "Samples in a second",
    "scale": "Scale",
}


def facts(results: Mapping[str, xr.Dataset]) -> list[tuple[str, str]]:
    """Return what was measured and how as labels and texts; what is not known is left out."""
    result = next(iter(results.values()))
    known, subject = provenance(result), subject_of(result)
    known["weights"] = weights_of(known)
    found = []
    for key, label in FACT_LABELS.items():
        if known.get(key) not in (None, ""):
            value = known[key]
            found.append((label, " x ".join(map(str, value)) if isinstance(value, list) else str(value)))
    if threads := known.get("threads"):
        found.append(("Threads of PyTorch", " and ".join(map(str, threads))))
    if dropped := Counter(image["set"] for image in known.get("dropped", ())):
        left_out = ", ".join(f"{number:,} of {name}" for name, number in dropped.items())
        found.append(("Left out as copies", left_out))
    found.append((subject.unit.many.capitalize(), ", ".join(results)))
    for kind, one in results.items():
        if kind_of(one).counted:
            numbers = zip(draws_made(one), one["n_units"].values.tolist(), strict=True)
            made = ", ".join(f"{draws:,} of {unit_noun(one).count(count)}" for draws, count in numbers)
            found.append((f"Draws, {kind}" if len(results) > 1 else "Draws", made))
    for name, label in TAKEN_LABELS.items():
        if (given := taken_of(result).get(name)) not in (None, False, "none"):
            found.append((label, _written(given)))
    if made_of := known.get("states"):
        found += [(label, str(made_of[name])) for name, label in STATE_LABELS.items() if made_of[name]]
    found += [
        ("Normalisation", str(result.attrs["normalize"])),
        ("Metric", str(result.attrs["metric"])),
        ("Reference", in_words(references_of(result)) or _no_reference(result)),
        ("Intervals", _intervals(result)),
        ("Seed", str(result.attrs["seed"])),
        (subject.place.many.capitalize(), f"{result.sizes['layer']:,}"),
    ]
    unused = {"keras", "torch", "pillow"} if subject.recorded else set()
    versions = sorted(known.get("versions", {}).items())
    written = [f"{name} {number}" for name, number in versions if name not in unused]
    found.append(("Versions", ", ".join(written)))
    return [(label, text) for label, text in found if text]


def _written(given: object) -> str:
    if isinstance(given, list):
        return " to ".join(map(str, given)) if isinstance(given[0], float) else ", ".join(map(str, given))
    return "yes" if given is True else str(given)


def _no_reference(result: xr.Dataset) -> str:
    left_out = result.attrs.get(LEFT_OUT)
    return "none" if left_out is None else f"none: {left_out} was left out of the result"


def _intervals(result: xr.Dataset) -> str:
    """Return how the limits of values were found; "" where there are none."""
    share = confidence_of(result)
    if share is None:
        return ""
    about = result[LIMITS[0]].attrs
    how = str(about["method"])
    if how in RESAMPLING_WORDS:
        how = f"bootstrap ({how}), {about['resamples']:,} resamples"
    return f"{percent(share)}; of {subject_of(result).item.many}: {how}"


def warnings_of(results: Mapping[str, xr.Dataset]) -> list[str] | None:
    """Return the warnings that were given for any of the results, or None where they were not kept."""
    given = [provenance(result) for result in results.values()]
    if not all("warnings" in known for known in given):
        return None
    return list(dict.fromkeys(warned["text"] for known in given for warned in known["warnings"]))


def yardstick(result: xr.Dataset) -> str:
    """Return what independent responses give, where that does not depend on how they are distributed."""
    given = METRIC_WORDS[result.attrs["metric"]].independent
    # Powers and rates of states are no independent numbers, whatever the signals are.
    fixed = NORMALIZATION_WORDS[result.attrs["normalize"]].fixes_independent and TRIAL_VALUES not in result
    independent = f", {given} where they are independent" if given and fixed else ""
    things = "states" if TRIAL_VALUES in result else "responses"
    return f"0 where all {things} are equal{independent}"
