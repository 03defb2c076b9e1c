"""How responses follow the stimulus with depth: across sets, and pair by pair within each set."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from differentia.errors import InputError, require_count, require_known, unknown_name
from differentia.results.across import at_largest, p_of_permuted
from differentia.results.confidence import WINDOWS
from differentia.results.correlations import (
    COEFFICIENTS,
    correlations,
    jackknifed,
    line_through,
    permuted_correlations,
    squared_limits,
)
from differentia.results.dataset import set_rows
from differentia.results.doubts import doubts
from differentia.results.intervals import CONFIDENCE, require_confidence
from differentia.results.mantel import LEAST_IMAGES, mantel, pairs_of, similarities
from differentia.results.references import compared_sets
from differentia.results.schema import checked, validate_result, what_is_left
from differentia.results.subject import RECORDED_FACT, SETS, subject_of
from differentia.results.summaries import layer_names
from differentia.system.random import generator_of

if TYPE_CHECKING:
    import xarray as xr

#: What a dataset that `depth` returned says it is.
KIND = "depth"

#: The layer that is the stimulus itself.
BASE = "input"

#: Permutations: of sets, and of the images of a set.
PERMUTATIONS = 9_999
MANTEL_PERMUTATIONS = 999

#: Sets, at least, for a correlation across them.
LEAST_SETS = 4

#: A set that has more than this share of the spread of all sets decides a correlation alone.
LONE_SHARE = 0.5

#: Correlations that differ by less are ties, whatever rounding says.
_TIE = 1e-9

_OF_LAYER = tuple(
    f"{name}{end}" for name in COEFFICIENTS for end in ("", "_low", "_high", "_p", "_p_corrected")
)
_OF_LINE = ("intercept", "slope", "slope_low", "slope_high")
_OF_SQUARE = ("r_squared", "r_squared_low", "r_squared_high")
_OF_PAIRS = tuple(f"mantel_{name}{end}" for name in COEFFICIENTS for end in ("", "_p", "_p_corrected"))

#: What is known of each layer across sets.
DEPTH_COLUMNS = (*_OF_LAYER, *_OF_LINE, *_OF_SQUARE, "n_sets", "lone_set")

DEPTH_FACTS = ("base", "confidence", "permutations", "units", "n_units", "reference", "left_out", "sharing")


@checked
def depth(
    result: xr.Dataset,
    *,
    stimulus: xr.Dataset | None = None,
    sets: Sequence[str] | None = None,
    base: str = BASE,
    pairs: bool = True,
    confidence: float = CONFIDENCE,
    permutations: int = PERMUTATIONS,
    mantel_permutations: int = MANTEL_PERMUTATIONS,
    seed: int = 0,
) -> xr.Dataset:
    """Compare each layer with the stimulus: does it respond more differently to what differs more?

    Across sets: the correlation of a layer's differentiation with that of the stimulus, each set one
    observation, by its mean over draws at the largest number of units. Within each set: the correlation of
    the distances of its pairs of images in a layer with those in the stimulus (Mantel 1967), and of each
    layer with each other.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    stimulus
        The result whose layer `base` is the stimulus; by default the same, as which counts one whose layer
        has the same values. A recording, which has no such layer, needs one; sets are matched by name.
    sets
        Those that are compared, four at least; by default all but references: noise lies far from all else
        and would decide alone, and what was scrambled is no set of its own.
    base
        The layer that is the stimulus.
    pairs
        Whether the pairs of each set are compared, too; of a set of 2,000 images that takes minutes.
    confidence
        Of the limits, from 0.5 to below 1.
    permutations
        Of sets, for p across them.
    mantel_permutations
        Of each set's images, for p within it.
    seed
        Of the permutations.

    Returns
    -------
    xarray.Dataset
        ``value`` (set, layer) and ``stimulus`` (set), the differentiation that is compared; ``doubt`` (set,
        layer), as of `doubts`.

        By layer, across sets: ``pearson`` and ``spearman``, each with limits (``_low``, ``_high``), ``_p``
        and ``_p_corrected``, over the layers; ``intercept`` and ``slope`` of the least-squares line of the
        layer on the stimulus, ``slope`` in the unit of ``value`` over that of ``stimulus``, with limits;
        ``r_squared``, Pearson's squared, with limits; ``n_sets``, of how many sets; and ``lone_set``, which
        set has more than half of the spread of all, so that the correlation rests on it alone; else empty.
        NaN with fewer than four sets, and where nothing varies; the base itself has no limits and no p, and
        ``spearman`` of 1 or -1 no limits.

        Within sets, by set and layer: ``mantel_pearson`` and ``mantel_spearman``, each with ``_p`` and
        ``_p_corrected``, over the layers of the set; by set, layer and ``layer_other``: ``similarity``,
        Spearman's correlation of the pairs' distances in two layers. The distances are Euclidean ones between
        responses as they are, whatever the metric. NaN where the result holds none (of more than 2,000
        images), of sets of fewer than five images, and of ``mantel`` where the base is of another
        result; its p also where images are no independent sample (`doubts`: "windows").

    Raises
    ------
    InputError
        There is no such layer or set; the two results have fewer than four sets in common; or an option can't
        be used.

    Notes
    -----
    Limits of correlations are those of Fisher's z with a jackknifed error, of slopes those of HC4 errors. p
    says how often a correlation is as strong if the sets (the images) of the stimulus change places; it is
    corrected by the strongest correlation of all layers. Where the differentiation of a set is not well
    known, because it has few images, correlations are weaker than those of the true values.
    """
    import xarray as xr

    require_confidence(confidence)
    require_count("permutations", permutations)
    require_count("mantel_permutations", mantel_permutations)
    require_count("seed", seed, least=0)
    if not isinstance(base, str):
        raise InputError(f"base is {base!r}; expected the name of a layer, such as {BASE!r}")
    if not isinstance(pairs, bool | np.bool_):
        raise InputError(f"pairs is {pairs!r}; expected True or False")
    source = result if stimulus is None else what_is_left(validate_result(stimulus, "the stimulus"))
    _require_base(source, base, other=stimulus is not None)
    names, left_out = _sets(result, source, sets)
    values = at_largest(result["differentiation"], result).sel(set=names).transpose("set", "layer")
    given = at_largest(source["differentiation"], source).sel(layer=base, set=names)
    own = base if _is_of(values, base, given) else None
    of_layers = _across_sets(given, values, own, confidence, (permutations, seed))
    doubted = doubts(result).sel(set=names, n_units=result["n_units"].max()).transpose("set", "layer")
    layers = layer_names(result)
    found = xr.Dataset(
        {
            "value": (("set", "layer"), values.values.astype(np.float64)),
            "stimulus": ("set", given.values.astype(np.float64)),
            "doubt": (("set", "layer"), doubted.values.astype(str)),
            **{name: ("layer", column) for name, column in of_layers.items()},
            **(
                _within_sets(result, doubted.values, names, own, (mantel_permutations, seed)) if pairs else {}
            ),
        },
        coords={"set": names, "layer": layers, **({"layer_other": layers} if pairs else {})},
        attrs={
            "differentia": KIND,
            "base": base,
            "confidence": float(confidence),
            "permutations": int(permutations),
            "mantel_permutations": int(mantel_permutations),
            "seed": int(seed),
            "units": str(result["units"].item()),
            "n_units": int(result["n_units"].max()),
            **{name: result.attrs[name] for name in ("normalize", "metric", "reference")},
            "left_out": json.dumps(left_out),  # since a file makes a text of a list of one
            "sharing": json.dumps(_sharing(result, names)),
            "has_base": int(own is not None),
            "has_distances": int("distance" in result),
            RECORDED_FACT: int(subject_of(result).recorded),
        },
    )
    return found.assign(set_size=("set", [len(set_rows(result, name)) for name in names]))


def _is_of(values: xr.DataArray, base: str, given: xr.DataArray) -> bool:
    """Whether the stimulus is a layer of the result itself, also where the same one was given for several."""
    has_base = base in values["layer"].values
    return has_base and np.array_equal(values.sel(layer=base).values, given.values, equal_nan=True)


def _require_base(source: xr.Dataset, base: str, *, other: bool) -> None:
    """Raise an error unless a result has the layer that is the stimulus."""
    known = layer_names(source)
    if base in known:
        return
    if base == BASE and not other:
        raise InputError(
            f"the result has no layer {BASE!r} to compare with; measure the network with it (layers="
            f"[{BASE!r}, ...]), name another layer with base= (--base), or give the result of the stimulus, "
            "which has sets of the same names, with stimulus= (--stimulus)"
        )
    raise unknown_name("layer in base= (--base)", base, known)


def _sets(
    result: xr.Dataset, source: xr.Dataset, wanted: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Return the sets that are compared, and those that the stimulus has not."""
    known = [str(name) for name in result["set"].values]
    if wanted is None:
        chosen = compared_sets(result)
    else:
        if isinstance(wanted, str) or not isinstance(wanted, Iterable):
            raise InputError(f"sets= is {wanted!r}; expected a list of names: sets=[{wanted!r}, ...]")
        chosen = [str(name).strip() for name in wanted]
        for name in chosen:
            require_known("set", name, known)
            if chosen.count(name) > 1:
                raise InputError(f"sets= (--sets) names {name!r} twice; name each set once")
    others = {str(name) for name in source["set"].values}
    common = [name for name in chosen if name in others]
    if source is not result and len(common) < LEAST_SETS:
        raise InputError(
            f"the result and the stimulus have {SETS.count(len(common))} in common "
            f"({SETS.listed(common) or 'none'}); expected {LEAST_SETS} at least, of the same names "
            f"(the result's: {SETS.listed(chosen)}; the stimulus': {SETS.listed(sorted(others))}): "
            "rename(result, sets={...}) gives them others"
        )
    return common, [name for name in chosen if name not in others]


def _sharing(result: xr.Dataset, names: Sequence[str]) -> list[str]:
    """Return the sets that show an image which another of them shows, too."""
    of_sets = {name: {*result["image_hash"].values[set_rows(result, name)].tolist()} - {""} for name in names}
    seen = Counter(image for images in of_sets.values() for image in images)
    return [name for name, images in of_sets.items() if any(seen[image] > 1 for image in images)]


def _across_sets(
    given: xr.DataArray,
    values: xr.DataArray,
    own: str | None,
    confidence: float,
    drawn: tuple[int, int],
) -> dict[str, Any]:
    """Return what is known of each layer across sets; the base itself has no limits and no p."""
    x, y = given.values.astype(np.float64), values.values.astype(np.float64)
    permutations, seed = drawn
    names = [str(name) for name in values["set"].values]
    keys = generator_of("depth", seed, len(x)).random((permutations, len(x)))
    found: dict[str, Any] = {
        name: np.full(y.shape[1], np.nan) for name in (*_OF_LAYER, *_OF_LINE, *_OF_SQUARE)
    }
    found["lone_set"] = np.full(y.shape[1], "", dtype=f"U{max(map(len, names), default=1)}")
    permuted = {name: np.full((y.shape[1], permutations), np.nan) for name in COEFFICIENTS}
    known = np.isfinite(y) & np.isfinite(x)[:, np.newaxis]
    found["n_sets"] = known.sum(axis=0)
    itself = np.array([str(name) == own for name in values["layer"].values])
    for pattern in np.unique(known, axis=1).T:
        if pattern.sum() < LEAST_SETS:
            continue
        at = np.flatnonzero((known == pattern[:, np.newaxis]).all(axis=0))
        one, several = x[pattern], y[np.ix_(pattern, at)]
        line = line_through(one, several, confidence)
        for name, column in zip(_OF_LINE, line, strict=True):
            found[name][at] = column
        found["lone_set"][at] = _lone_sets(one, several, np.array(names)[pattern])
        orders = np.argsort(keys[:, pattern], axis=1)
        for name in COEFFICIENTS:
            found[name][at] = correlations(one, several, name)
            low, high = jackknifed(one, several, name, confidence)
            found[f"{name}_low"][at], found[f"{name}_high"][at] = low, high
            permuted[name][at] = np.abs(permuted_correlations(one, several, name, orders))
    for name in COEFFICIENTS:
        permuted[name][itself] = np.nan
        observed = np.where(itself, np.nan, np.abs(found[name]) - _TIE)
        found[f"{name}_p"], found[f"{name}_p_corrected"] = p_of_permuted(observed, permuted[name])
    for name in [name for name in found if name.endswith(("_low", "_high"))]:
        found[name][itself] = np.nan
    found["r_squared"] = found["pearson"] ** 2
    found["r_squared_low"], found["r_squared_high"] = squared_limits(
        found["pearson_low"], found["pearson_high"]
    )
    return found


def _lone_sets(x: Float[np.ndarray, " n"], y: Float[np.ndarray, "n layer"], names: np.ndarray) -> np.ndarray:
    """Return the set that has most of the spread of the stimulus, or else of each layer; else nothing."""
    found = np.full(y.shape[1], "", dtype=names.dtype)
    for of in (y, np.broadcast_to(x[:, np.newaxis], y.shape)):
        squares = (of - of.mean(axis=0)) ** 2
        lone = squares.max(axis=0) > LONE_SHARE * squares.sum(axis=0)
        found = np.where(lone, names[squares.argmax(axis=0)], found)
    return found


def _within_sets(
    result: xr.Dataset,
    doubted: np.ndarray,
    names: Sequence[str],
    base: str | None,
    drawn: tuple[int, int],
) -> dict[str, Any]:
    """Return how the distances of pairs of each set go with those in the base, and in other layers."""
    layers = layer_names(result)
    shape = (len(names), len(layers))
    found = {name: np.full(shape, np.nan) for name in _OF_PAIRS}
    similarity = np.full((*shape, len(layers)), np.nan)
    place = layers.index(base) if base is not None else -1
    others = [at for at in range(len(layers)) if at != place]
    for at, name in enumerate(names):
        rows = set_rows(result, name)
        if "distance" not in result or len(rows) < LEAST_IMAGES:
            continue
        pairs = pairs_of(result["distance"].values[:, rows[:, np.newaxis], rows])
        similarity[at] = similarities(pairs, "spearman")
        if base is None or not others:
            continue
        for coefficient in COEFFICIENTS:
            tested = mantel(pairs[:, others], pairs[:, place], coefficient, *drawn, name)
            for end, column in zip(("", "_p", "_p_corrected"), tested, strict=True):
                # Images that are no independent sample can't change places.
                known = column if not end or WINDOWS not in doubted[at] else np.nan
                found[f"mantel_{coefficient}{end}"][at, others] = known
            varies = not np.isnan(similarity[at, place, place])
            found[f"mantel_{coefficient}"][at, place] = 1.0 if varies else np.nan
    columns = {name: (("set", "layer"), column) for name, column in found.items()}
    return {**columns, "similarity": (("set", "layer", "layer_other"), similarity)}


def depth_to_show(results: Mapping[str, xr.Dataset]) -> xr.Dataset | None:
    """Return how the layers of the first of several results follow the stimulus, if that can be told."""
    first = next(iter(results.values()))
    if BASE not in layer_names(first) or len(compared_sets(first)) < LEAST_SETS:
        return None
    found = depth(first, pairs=False)
    return found if bool(found["pearson_p"].notnull().any()) else None


def require_depth(given: Any) -> None:
    """Raise an error for what `depth` has not returned."""
    facts = getattr(given, "attrs", {})  # which a Dataset has
    if not ({*DEPTH_FACTS} <= {*facts} and {*DEPTH_COLUMNS, "value", "stimulus"} <= {*given}):
        raise InputError(f"this {type(given).__name__} is not what depth(result) returned; expected that")


def names_told(found: xr.Dataset, what: str) -> list[str]:
    """Return the sets that are "left_out", or "sharing" images with others."""
    names: list[str] = json.loads(found.attrs[what])
    return names


def depth_rows(found: xr.Dataset) -> list[dict[str, Any]]:
    """Return the numbers of each layer across sets, as a table has them."""
    columns = {name: found[name].values.tolist() for name in ("layer", *DEPTH_COLUMNS)}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def pair_rows(found: xr.Dataset) -> list[dict[str, Any]]:
    """Return the numbers of each set and layer within sets, where they are known."""
    if _OF_PAIRS[0] not in found:
        return []
    table = found[[*_OF_PAIRS]].to_dataframe().dropna(how="all").reset_index()
    rows: list[dict[str, Any]] = table.to_dict("records")
    return rows
