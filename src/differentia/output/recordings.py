"""What was taken of a recording, in sentences: of which intervals and units, when, and as what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from differentia.output.words import DETREND_WORDS, VALUE_WORDS
from differentia.results.dataset import provenance
from differentia.results.subject import subject_of

if TYPE_CHECKING:
    import xarray as xr

#: Where a result keeps how its responses, or its trials, were taken of a recording.
TAKEN = ("stimulus_responses", "trials")


def taken_of(result: xr.Dataset) -> Mapping[str, Any]:
    """Return how responses, or trials, were taken of a recording; nothing where they were at hand."""
    known = provenance(result)
    return next((known[name] for name in TAKEN if known.get(name)), {})


def taken_in_words(result: xr.Dataset) -> list[str]:
    """Return in sentences what was taken of a recording; none where responses were at hand."""
    if not (taken := taken_of(result)):
        return []
    return [
        *_sets(taken),
        *_area(result, taken),
        *_window(result, taken),
        *_spontaneous(taken),
        *_bins(taken),
        *_preprocessed(taken),
    ]


def left_out_of(result: xr.Dataset) -> list[str]:
    """Return what was left out of a recording and why, as it was told."""
    known = provenance(result)
    warned = [one["text"] for one in known.get("warnings", ()) if one["kind"] == "left_out"]
    return list(dict.fromkeys([*known.get("left_out", ()), *warned]))


def _sets(taken: Mapping[str, Any]) -> list[str]:
    if not taken["by"]:
        return []
    tables = [taken["table"]] if isinstance(taken["table"], str) else taken["table"] or []
    of = f" of the intervals {' and '.join(map(_quoted, tables))}" if tables else " of the intervals"
    chosen = f", of which those were taken where {taken['where']}" if taken["where"] else ""
    return [f"Sets are the values of {_quoted(taken['by'])}{of}{chosen}"]


def _area(result: xr.Dataset, taken: Mapping[str, Any]) -> list[str]:
    if result["layer"].values.tolist() == ["all"]:
        return []
    subject = subject_of(result)
    return [
        f"{subject.place.many.capitalize()} are the values of {_quoted(taken['area'])} of the "
        f"{subject.unit.many}"
    ]


def _window(result: xr.Dataset, taken: Mapping[str, Any]) -> list[str]:
    subject, when = subject_of(result), "the whole presentation"
    if window := taken["window"]:
        when = f"the window from {window[0]:.9g} to {window[1]:.9g} s after its onset"
    if "value" in taken:
        response = VALUE_WORDS[taken["value"]].format(when=when)
        return [f"The response of a {subject.unit.one} to a {subject.item.one} is {response}"]
    within = when if taken["by"] else "the whole recording"
    if not taken["length"]:
        return [f"A {subject.item.one} is {within}"]
    step = f"one every {taken['step']:.9g} s" if taken["step"] else "one after the other"
    items = subject.item.many.capitalize()
    return [f"{items} of {taken['length']:.9g} s were taken of {within}, {step}"]


def _spontaneous(taken: Mapping[str, Any]) -> list[str]:
    if not taken["spontaneous"]:
        return []
    length = "the same length" if taken["window"] else "the median length of the others"
    return [f"The intervals of {_quoted(taken['spontaneous'])} were cut into consecutive windows of {length}"]


def _bins(taken: Mapping[str, Any]) -> list[str]:
    if not taken.get("bin"):
        return []
    step = f", one every {taken['bin_step']:.9g} s" if taken["bin_step"] else ""
    return [f"Spikes were counted in bins of {taken['bin']:.9g} s{step}"]


def _preprocessed(taken: Mapping[str, Any]) -> list[str]:
    done = [DETREND_WORDS[taken["detrend"]]]
    if taken["standardize"]:
        done.append("each trace was given mean 0 and SD 1")
    if not any(done):
        return []
    within = f"each run ({_quoted(taken['runs'])})" if taken["runs"] else "the whole recording"
    return [f"Within {within}, {', and '.join(filter(None, done))}"]


def _quoted(name: object) -> str:
    return f'"{name}"'
