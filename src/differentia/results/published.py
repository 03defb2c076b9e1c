"""The published curves of VGG16, and how far a result of the same network is from them."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError, require_known, short_tracebacks
from differentia.results.dataset import provenance
from differentia.results.draws import draw_mean, draw_spread
from differentia.results.references import References
from differentia.results.schema import checked
from differentia.system.specs import parse_spec

if TYPE_CHECKING:
    import xarray as xr

#: The two published figures, read off as numbers.
CURVES = Path(__file__).with_name("curves")

#: The network's spec, without its options.
VGG16 = "keras:VGG16"

#: The values that these options have for the published network; an option that is not here is unset.
NETWORK_OPTIONS = {
    "weights": "imagenet",
    "include_top": True,
    "classes": 1000,
    "classifier_activation": "softmax",
}

#: The end of its name: where Keras keeps its applications (``keras.src``) is its own affair.
OWN_PREPROCESSING = "applications.vgg16.preprocess_input"

#: How the published values were measured.
MEASURED_WITH = {"units": "random", "normalize": "layer", "metric": "euclidean"}


def _layer_sizes() -> dict[str, int]:
    sizes = {"input": 224 * 224 * 3}
    blocks = ((224, 64, 2), (112, 128, 2), (56, 256, 3), (28, 512, 3), (14, 512, 3))
    for block, (side, channels, convolutions) in enumerate(blocks, start=1):
        sizes |= {f"block{block}_conv{at}": side**2 * channels for at in range(1, convolutions + 1)}
        sizes[f"block{block}_pool"] = (side // 2) ** 2 * channels
    return {**sizes, "flatten": 7 * 7 * 512, "predictions": 1000}


#: Units of the layers that were looked at (fc1 and fc2 were not), in the order of computation.
LAYER_SIZES = _layer_sizes()


@short_tracebacks
def published_curves() -> xr.Dataset:
    """Return the published differentiation of VGG16 for white noise, tabby cats and random images.

    The values are facts about two published figures, read off as numbers. They come from one draw of
    units each, so that those of 200 units scatter.

    Returns
    -------
    xarray.Dataset
        ``differentiation`` and ``relative_differentiation`` (set, layer, n_units), the latter relative to
        white noise at 100,000 units; ``reading_error`` and ``relative_reading_error``, the error of
        reading each off its figure. All are dimensionless.
    """
    curves, relative_curves = _read_curves("vgg16.csv"), _read_curves("vgg16_relative.csv")
    as_relative = {f"relative_{name}": values for name, values in relative_curves.items()}
    return curves.assign(as_relative).assign_attrs(
        network="VGG16, ImageNet weights",
        images_per_set=43,
        reference="white_noise",
        reading_error="the error of reading a value off the published figure, not a spread over draws "
        "of units or over images",
    )


def _read_curves(name: str) -> xr.Dataset:
    import xarray as xr

    with (CURVES / name).open(encoding="ascii", newline="") as file:
        rows = {(row["set"], row["layer"], int(row["n_units"])): row for row in csv.DictReader(file)}
    coords: dict[str, list[Any]] = {
        "set": list(dict.fromkeys(set_name for set_name, _, _ in rows)),
        "layer": list(LAYER_SIZES),
        "n_units": sorted({count for _, _, count in rows}),
    }
    in_order = [rows[place] for place in itertools.product(*coords.values())]
    shape = [len(labels) for labels in coords.values()]
    columns = {
        column: (tuple(coords), np.array([float(row[column]) for row in in_order]).reshape(shape))
        for column in ("differentiation", "reading_error")
    }
    return xr.Dataset(columns, coords=coords)


@checked
def compare_with_published(result: xr.Dataset, sets: Mapping[str, str] | None = None) -> xr.Dataset:
    """Compare a result of VGG16 with the published curves.

    Parameters
    ----------
    result
        What `measure` returned for VGG16 at 224 x 224.
    sets
        The result's set -> the published set that it stands for (``{"cats": "tabby_cats"}``); the other
        sets are left out. By default every set that has a published set's name.

    Returns
    -------
    xarray.Dataset
        Over the result's sets, and the layers and numbers of units that both have, all dimensionless:
        ``measured``, the mean over draws; ``published``; ``difference``, measured minus published; and
        ``spread``, the SD over draws of units, which says how far one draw (such as the published one) lies
        from the mean; see `draw_spread` for where it is NaN. ``published_set`` (set) says what each set was
        compared with.

    Raises
    ------
    InputError
        It is not a result, not of VGG16 at 224 x 224 or with random weights, measured otherwise than the
        published curves, or has no set or number of units in common with them.
    """
    import xarray as xr

    _require_vgg16(result)
    _require_method(result)
    curves = published_curves()
    pairs = _matched_sets(result, curves, sets)
    counts, published_counts = (each["n_units"].values.tolist() for each in (result, curves))
    if not (common := [count for count in counts if count in published_counts]):
        raise InputError(
            f"the result has n_units {counts}, the published curves {published_counts}; "
            f"measure again with some of the latter (--n-units {','.join(map(str, published_counts))})"
        )
    at = {
        "set": list(pairs),
        "layer": [layer for layer in LAYER_SIZES if layer in result["layer"].values],
        "n_units": common,
    }
    values = result["differentiation"]
    measured = draw_mean(values, result).sel(at)
    published = curves["differentiation"].sel({**at, "set": list(pairs.values())})
    published = published.assign_coords(set=list(pairs))
    compared = {
        "measured": measured,
        "published": published,
        "difference": measured - published,
        "spread": draw_spread(values, result).sel(at),
    }
    plain = xr.Dataset(compared).reset_coords(drop=True).drop_attrs()
    return plain.assign_coords(published_set=("set", list(pairs.values())))


@checked
def is_published_network(result: xr.Dataset) -> bool:
    """Return whether a result is certainly of the published network, measured as its curves were."""
    name, options = _spec_of(result)  # the weights of a file may be any
    if isinstance(options.get("classes"), str):  # a class index, which only names the classes
        del options["classes"]
    return (
        name == VGG16
        and all(NETWORK_OPTIONS.get(option) == value for option, value in options.items())
        and _preprocessing(result).endswith(OWN_PREPROCESSING)
        and _measured_with(result) == MEASURED_WITH
    )


def published_lines(
    result: xr.Dataset, variable: str, *, wanted: bool | None = None, reference: References = None
) -> xr.DataArray | None:
    """Return the published curves (set, layer, n_units) that go with a result's, or None for none.

    By default there are some where a result `is_published_network`; if they are `wanted`, there have to be.
    """
    if wanted is False or (wanted is None and not is_published_network(result)):
        return None
    curves = published_curves()
    common = {
        name: [label for label in curves[name].values.tolist() if label in result[name].values]
        for name in ("set", "layer", "n_units")
    }
    if reference not in (None, curves.attrs["reference"]):
        common["reference"] = []
    missing = [name for name, labels in common.items() if not labels]
    if not missing:
        return curves[variable].sel(common)
    if wanted:
        have = curves.assign_coords(reference=[curves.attrs["reference"]])
        listed = "; ".join(f"{name} {', '.join(map(str, have[name].values))}" for name in missing)
        raise InputError(
            "published=True: the result has nothing in common with the published curves, which have "
            f"{listed}; leave published= out, or measure with these"
        )
    return None


def _spec_of(result: xr.Dataset) -> tuple[str, dict[str, Any]]:
    """Return a network's name and, for one of ``keras.applications``, the options of its spec."""
    spec = str(provenance(result).get("network", ""))
    return parse_spec(spec) if spec.startswith("keras:") else (spec, {})


def _preprocessing(result: xr.Dataset) -> str:
    return str(provenance(result).get("preprocessing", OWN_PREPROCESSING))


def _measured_with(result: xr.Dataset) -> dict[str, str]:
    return {
        "units": str(result["units"].item()),
        "normalize": str(result.attrs["normalize"]),
        "metric": str(result.attrs["metric"]),
    }


def _require_method(result: xr.Dataset) -> None:
    for option, given in _measured_with(result).items():
        if given != MEASURED_WITH[option]:
            raise InputError(
                f"the result was measured with {option}={given!r}, the published curves with "
                f"{MEASURED_WITH[option]!r}, and other values can't be compared; measure again with "
                f"{option}={MEASURED_WITH[option]!r} (--{option} {MEASURED_WITH[option]})"
            )


def _require_vgg16(result: xr.Dataset) -> None:
    name, options = _spec_of(result)
    if problem := _difference_from_vgg16(result):
        raise InputError(
            f"the result is of {name or 'another network'}, not of VGG16 at 224 x 224: {problem}; "
            "measure keras:VGG16 with --layers 'input,block*,flatten,predictions'"
        )
    preprocessing = _preprocessing(result)
    if not preprocessing.endswith((OWN_PREPROCESSING, "caffe")):
        raise InputError(
            f"the result was measured with the preprocessing {preprocessing!r}, the published curves with "
            "VGG16's own; measure again with --preprocess caffe, or keras:VGG16 and no --preprocess"
        )
    if name == VGG16 and options.get("weights", "imagenet") is None:
        raise InputError(
            "the result is of VGG16 with random weights (weights=none), the published curves of VGG16 "
            "with ImageNet weights; measure keras:VGG16, or keras:VGG16?weights=PATH"
        )


def _difference_from_vgg16(result: xr.Dataset) -> str | None:
    """Return what tells a result from one of VGG16; an input, blocks and predictions others have too."""
    network, _ = _spec_of(result)
    if network.startswith("keras:") and network != VGG16:
        return "published are the curves of keras:VGG16"
    names = [str(name) for name in result["layer"].values]
    blocks = [name for name in names if name.startswith("block")]
    if not {*blocks} & {*LAYER_SIZES}:
        found = ", ".join(names[:4]) + ", ..." * (len(names) > 4)
        return f"expected some of the layers block1_conv1 to block5_pool, found {found}"
    if others := [name for name in blocks if name not in LAYER_SIZES]:
        return f"it has the layer {others[0]!r}, which VGG16 does not have"
    for name, size in zip(names, result["layer_size"].values.tolist(), strict=True):
        if size != (expected := LAYER_SIZES.get(name, size)):
            return f"its layer {name!r} has {size:,} units, expected {expected:,}"
    return None


def _matched_sets(result: xr.Dataset, curves: xr.Dataset, sets: Mapping[str, str] | None) -> dict[str, str]:
    """Return the published set that each of the result's sets is to be compared with."""
    measured, published = ([str(name) for name in each["set"].values] for each in (result, curves))
    pairs = {name: name for name in measured if name in published} if sets is None else dict(sets)
    for name, stands_for in pairs.items():
        require_known("set of the result", name, measured)
        require_known("published set", stands_for, published)
    if not pairs:
        raise InputError(
            f"no set of the result ({', '.join(measured)}) is matched with a published one "
            f"({', '.join(published)}); say which stands for which: "
            f"sets={{{measured[0]!r}: {published[0]!r}}} (--set {measured[0]}={published[0]})"
        )
    return pairs
