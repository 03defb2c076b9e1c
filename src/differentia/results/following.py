"""What `depth` found, in words: where responses follow the stimulus, and what can't be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from differentia.errors import short_tracebacks
from differentia.results.confidence import WINDOWS
from differentia.results.contrasts import SIGNIFICANT
from differentia.results.depth import LEAST_SETS, names_told, require_depth
from differentia.results.doubts import DOUBT_WORDS
from differentia.results.mantel import LEAST_IMAGES
from differentia.results.subject import RECORDED_FACT, SETS, subject_of
from differentia.results.summaries import layer_names

if TYPE_CHECKING:
    import xarray as xr


@short_tracebacks
def say_depth(found: xr.Dataset) -> list[str]:
    """Return in words what `depth` found: where responses follow the stimulus, and what can't be told.

    Parameters
    ----------
    found
        What `depth` returned.

    Returns
    -------
    list of str
        Sentences.

    Raises
    ------
    InputError
        It is not what `depth` returned.
    """
    require_depth(found)
    return [*_say_across(found), *_say_left_out(found), *_say_within(found)]


def _tested(found: xr.Dataset) -> xr.Dataset:
    """Return the layers whose correlation was tested."""
    return found.isel(layer=np.flatnonzero(np.isfinite(found["pearson_p"].values)))


def _say_across(found: xr.Dataset) -> list[str]:
    """Return where differentiation follows that of the stimulus most, from where on it does not, and why."""
    place, tested = subject_of(found).place, _tested(found)
    if not tested.sizes["layer"]:
        few = f"{SETS.count(found.sizes['set'])}, and at least {LEAST_SETS} are needed"
        enough = int(found["n_sets"].max()) >= LEAST_SETS
        return [f"No correlation across sets: {'values do not vary' if enough else f'there are {few}'}."]
    most = tested.isel(layer=int(np.argmax(tested["pearson"].values)))
    names = layer_names(tested)
    significant = tested["pearson_p_corrected"].values < SIGNIFICANT
    falls = significant & (tested["pearson"].values < 0)
    level = f"corrected p < {SIGNIFICANT:g}"
    low, high = (most[f"pearson_{end}"].item() for end in ("low", "high"))
    interval = f" [{low:.2f}, {high:.2f}]" if np.isfinite(low) else ""
    highest = (
        f"{most['layer'].item()}: r = {most['pearson'].item():.2f}{interval} "
        f"over {SETS.count(int(most['n_sets']))}."
    )
    if not significant.any():
        return [
            f"In no {place.one} can it be told from chance that differentiation follows that of the stimulus "
            f"({level}); the highest correlation is that of {highest}"
        ]
    said = [f"Differentiation follows that of the stimulus most in {highest}"]
    if found.attrs[RECORDED_FACT]:
        told = [name for name, mark in zip(names, significant, strict=True) if mark]
        said.append(f"It can be told from chance ({level}) in {place.listed(told)}.")
    else:
        last = int(np.flatnonzero(significant)[-1])
        said.append(
            f"It can be told from chance ({level}) up to the last {place.one}, {names[-1]}."
            if last == len(names) - 1
            else f"After {names[last]} it can't be told from chance in any {place.one} ({level})."
        )
    if falls.any():
        opposite = [name for name, mark in zip(names, falls, strict=True) if mark]
        said.append(f"It falls where that of the stimulus rises in {place.listed(opposite)}.")
    return said


def _say_left_out(found: xr.Dataset) -> list[str]:
    """Return which sets are not among those compared, which decide alone, and which are doubtful."""
    place, names, said = subject_of(found).place, found["set"].values.astype(str), []
    if missing := names_told(found, "left_out"):
        said.append(f"Left out, since the stimulus has no such set: {SETS.listed(missing)}.")
    if sharing := names_told(found, "sharing"):
        said.append(
            f"Some images are in several sets ({SETS.listed(sharing)}): these are not independent, and "
            "intervals and p do not allow for that."
        )
    unknown = ~np.isfinite(found["stimulus"].values)
    if unknown.any():
        said.append(f"Left out, since the stimulus has no value: {SETS.listed(names[unknown].tolist())}.")
    gaps = (~np.isfinite(found["value"].values) & ~unknown[:, np.newaxis]).any(axis=1)
    if gaps.any():
        said.append(f"Left out where a {place.one} has no value: {SETS.listed(names[gaps].tolist())}.")
    tested = _tested(found)
    for lone in dict.fromkeys(filter(None, tested["lone_set"].values.tolist())):
        layers = [
            name
            for name, one in zip(layer_names(tested), tested["lone_set"].values, strict=True)
            if one == lone
        ]
        said.append(
            f"In {place.listed(layers)} the correlation rests on one set, {lone}, which has more than half "
            "of the spread of all."
        )
    doubted = (found["doubt"].values != "").any(axis=1)
    if doubted.any():
        said.append(
            f"Of {SETS.listed(names[doubted].tolist())}, values in some {place.many} are not to be trusted "
            "(doubts)."
        )
    return said


def _say_within(found: xr.Dataset) -> list[str]:
    """Return how far the pairs of each set follow the stimulus, or why that is not known."""
    if "similarity" not in found:
        return []
    subject = subject_of(found)
    if not found.attrs["has_distances"]:
        return [
            f"Pairs were not compared: the result holds no distances (of at most 2,000 {subject.item.many})."
        ]
    if not found.attrs["has_base"]:
        return ["Pairs were not compared with those of the stimulus, which is of another result."]
    said, names = [], found["set"].values.astype(str)
    small = found["set_size"].values < LEAST_IMAGES
    if small.any():
        said.append(
            f"Pairs were not compared in sets of fewer than {LEAST_IMAGES} {subject.item.many}: "
            f"{SETS.listed(names[small].tolist())}."
        )
    dependent = (found["doubt"].values == WINDOWS).any(axis=1)
    if dependent.any():
        said.append(
            f"Of {SETS.listed(names[dependent].tolist())}, the correlations of pairs have no p: "
            f"{DOUBT_WORDS[WINDOWS].format(items=subject.item.many)}."
        )
    others = found["layer"] != found.attrs["base"]
    values = found["mantel_spearman"].where(others).median("set", skipna=True)
    if bool(values.notnull().any()):
        ends = values.dropna("layer")
        first, last = ends.isel(layer=0), ends.isel(layer=-1)
        at = " and ".join(
            dict.fromkeys(f"{end.item():.2f} in {end['layer'].item()}" for end in (first, last))
        )
        said.append(
            "Within sets, the distances of pairs have a rank correlation with those in "
            f"{found.attrs['base']} of {at} (median over sets)."
        )
    return said
