"""A result as tables: one row for each value, and the most probable classes of each image."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError, require_known, short_tracebacks, users_level, warn
from differentia.results.between import BETWEEN_VALUES
from differentia.results.convergence import convergence_known, not_converged
from differentia.results.dataset import provenance, require_variables
from differentia.results.doubts import doubts
from differentia.results.draws import draw_mean, draw_spread
from differentia.results.references import references_of
from differentia.results.relative import relative, relative_interval
from differentia.results.schema import (
    LEFT_OUT,
    LIMITS,
    POINT,
    SOURCES,
    TRIAL_VALUES,
    attribute_names,
    checked,
)
from differentia.system.files import user_path, written_whole

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: The columns of values, and of their SDs over draws.
SPREADS = {"differentiation": "sd_over_draws", "relative": "relative_sd_over_draws"}


@short_tracebacks
def to_dataframe(result: xr.Dataset) -> pd.DataFrame:
    """Return a table with one row for each set, layer and number of units.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned; or `statistics`, `depth`, `compare_trials`,
        `mixed_model` or `measure_repeats`.

    Returns
    -------
    pandas.DataFrame
        Of a result: ``units``, ``set``, ``layer``, ``n_units``, ``units_used``, ``reference`` (the set that
        is divided by; empty where there is none), and ``differentiation`` and ``relative``, means over draws,
        each with its SD over draws (``sd_over_draws``, ``relative_sd_over_draws``) and its limits of units,
        of images and of both (``differentiation_units_low``, and so on). What is not known is NaN, and so is
        all that is relative where there is no reference. ``doubt`` says why there are no limits of images,
        where they can't be trusted (`doubts`). ``not_converged`` (boolean) says where more units give another
        value, as `differentia.not_converged` does, but is `pandas.NA` where that can't be said and
        `differentia.not_converged` is False: at the largest number of units that were looked at, there are
        none to compare with.

        Of `statistics`: one row for each set and layer, and then one for each two sets and layer, which
        ``set`` and ``other`` name (``other`` is empty in a row of one set). Quantiles are columns,
        ``quantile_0.05`` and so on. What is of the other kind of row is NaN.

        Of `depth` and `measure_repeats`: one row for each set and layer; what is of the layer alone is the
        same for all sets.

        Of `compare_trials`: one row for each session and group, then one for each animal and group, if these
        were compared, and one for each group (``level`` says which), whose ``difference`` is the mean and
        whose ``p`` is across sessions or animals. Of `mixed_model`: one row for each group, then one for each
        two groups (``group`` and ``other``), whose ``difference`` is the interaction.

        Every column is of numbers, text, or ``boolean``, as CSV and Parquet hold them.

    Raises
    ------
    InputError
        It is none of these.
    """
    kind = str(getattr(result, "attrs", {}).get("differentia", ""))
    return FRAMES.get(kind, _of_result)(result)


@checked
def _of_result(result: xr.Dataset) -> pd.DataFrame:
    import pandas as pd

    if LEFT_OUT in result.attrs:
        to_it = " to it" if any(references_of(result).values()) else ""
        left_out = f"the reference, the set {result.attrs[LEFT_OUT]!r}, was left out"
        warn("other", f"{left_out}: no value is relative{to_it}")
    columns = {name: np.nan if values is None else values for name, values in _columns_of(result).items()}
    return pd.DataFrame(columns).astype({"not_converged": "boolean"})


@checked
def trial_values(result: xr.Dataset) -> pd.DataFrame:
    """Return a table with one row for each trial, area and number of neurons.

    Parameters
    ----------
    result
        What `measure_states` returned.

    Returns
    -------
    pandas.DataFrame
        ``session`` (empty where it is not known), ``set``, ``trial``, ``start`` and ``stop`` (in seconds; NaN
        where they are not known), ``states`` (how many there are), ``layer``, ``n_units``, ``units_used``,
        and ``differentiation``, the mean over draws; NaN where the trial has no value.

    Raises
    ------
    InputError
        It is no result of trials.
    """
    import pandas as pd

    if TRIAL_VALUES not in result:
        raise InputError("the result has no values of trials; expected what measure_states() returned")
    values = draw_mean(result[TRIAL_VALUES], result).transpose("image", "layer", "n_units")
    n_trials, *others = values.shape
    unknown = np.full(n_trials, np.nan)
    of_trials = {
        "set": result["image_set"].values,
        "trial": result["image_name"].values,
        **{
            name: result[f"image_{name}"].values if f"image_{name}" in result else unknown
            for name in ("start", "stop", "states")
        },
    }
    each = int(np.prod(others))
    columns: dict[str, Any] = {"session": str(provenance(result).get("session", ""))}
    columns |= {name: np.repeat(of, each) for name, of in of_trials.items()}
    columns |= {
        name: result[name].broadcast_like(values).transpose(*values.dims).values.ravel()
        for name in ("layer", "n_units", "units_used")
    }
    columns["differentiation"] = values.values.ravel()
    table = pd.DataFrame(columns)
    known = columns["states"].dtype.kind == "f" and bool(np.isfinite(columns["states"]).all())
    return table.astype({"states": np.int64}) if known else table


def _of_statistics(found: xr.Dataset) -> pd.DataFrame:
    """Return the rows of sets, and below them those of pairs of sets."""
    import pandas as pd

    counts = dict(
        zip(found["set"].values.astype(str).tolist(), found["n_images"].values.tolist(), strict=True)
    )
    parts = []
    for rows, (first, second) in (("set", ("set", None)), ("pair", ("first", "second"))):
        one = found[first].values.astype(str)
        other = np.full(len(one), "") if second is None else found[second].values.astype(str)
        repeated, layers = found.sizes["layer"], found["layer"].values.astype(str)
        columns: dict[str, Any] = {
            "units": found.attrs["units"],
            "set": np.repeat(one, repeated),
            "other": np.repeat(other, repeated),
            "layer": np.tile(layers, len(one)),
            "n_units": np.tile(found["n_units"].values, len(one)),
            "n_images": np.repeat([counts[name] for name in one], repeated),
            "n_images_other": np.repeat([float(counts.get(name, np.nan)) for name in other], repeated),
        }
        for name in ("median", "mean", "quantile", "dimensionality", "dimensionality_unbiased"):
            of = found[name]
            if name == "quantile":
                for place, share in enumerate(found["quantile_of"].values):
                    column = of.transpose("set", "layer", "quantile_of").values[..., place].ravel()
                    columns[f"quantile_{share:g}"] = column if rows == "set" else np.nan
            else:
                columns[name] = of.transpose("set", "layer").values.ravel() if rows == "set" else np.nan
        for name in BETWEEN_VALUES:
            columns[name] = (
                found[name].transpose("pair", "layer").values.ravel() if rows == "pair" else np.nan
            )
        parts.append(pd.DataFrame(columns, index=range(len(one) * repeated)))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def statistics_rows(found: xr.Dataset) -> list[dict[str, Any]]:
    """Return the rows of the table of statistics, with None for what is not known, as JSON can hold them."""
    table = _of_statistics(found)
    return [
        {str(name): None if value != value else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _by_set_and_layer(found: xr.Dataset) -> pd.DataFrame:
    """Return a row for each set and layer, in which stands what is of the layer, of the set, and of both."""
    names = [name for name, of in found.data_vars.items() if of.dims and {*of.dims} <= {"set", "layer"}]
    return found[names].reset_coords(drop=True).to_dataframe(dim_order=["set", "layer"]).reset_index()


def _of_trials(found: xr.Dataset) -> pd.DataFrame:
    """Return the rows of sessions in each group, then those of animals, and below them those of groups."""
    import pandas as pd

    sessions = _stacked(found, ("group", "session"))
    parts = [sessions[sessions["n_first"] > 0].assign(level="session")]
    if "subject" in found.dims:
        animals = dict(zip(found["session"].values, found["session_subject"].values, strict=True))
        parts[0]["subject"] = parts[0]["session"].map(animals)
        subjects = _stacked(found, ("group", "subject")).rename(columns={"subject_difference": "difference"})
        parts.append(subjects.dropna().assign(level="subject"))
    groups = _stacked(found, ("group",)).rename(columns={"mean": "difference", "p_across": "p"})
    table = pd.concat([*parts, groups.assign(level="group")], ignore_index=True)
    labels = [name for name in ("level", "group", "subject", "session") if name in table]
    return table[[*labels, *(name for name in table if name not in labels)]].fillna(dict.fromkeys(labels, ""))


def _of_mixed_model(found: xr.Dataset) -> pd.DataFrame:
    """Return the rows of groups, and below them those of pairs of groups: interactions."""
    import pandas as pd

    groups = _stacked(found, ("group",))
    columns = {f"interaction_{name}": name for name in groups} | {"interaction": "difference"}
    pairs = _stacked(found, ("pair",)).rename(columns=columns)
    for name, which in (("group", "first"), ("other", "second")):
        pairs[name] = found[f"group_{which}"].values
    table = pd.concat([part for part in (groups.assign(other=""), pairs) if len(part)], ignore_index=True)
    return table[["group", "other", *(name for name in groups if name != "group")]]


def _stacked(found: xr.Dataset, dims: tuple[str, ...]) -> pd.DataFrame:
    """Return the variables of some dimensions, as columns, with a row for each place."""
    names = [name for name, of in found.data_vars.items() if {*of.dims} == {*dims}]
    return found[names].reset_coords(drop=True).to_dataframe(dim_order=[*dims]).reset_index()


#: By what a dataset says it is, in its attribute ``differentia``, for all but results: its table.
FRAMES: dict[str, Callable[[xr.Dataset], pd.DataFrame]] = {
    "statistics": _of_statistics,
    "trials": _of_trials,
    "mixed model": _of_mixed_model,
    "depth": _by_set_and_layer,
    "repeats": _by_set_and_layer,
}


@short_tracebacks
def save_table(table: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Save a table, such as that of `to_dataframe`, as CSV or Parquet.

    Parameters
    ----------
    table
        Columns of numbers, text, or booleans.
    path
        Of the file, which ends in ``.csv`` or ``.parquet``; an existing one is replaced, at once or not at
        all. Parquet needs ``differentia[parquet]``.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    InputError
        It is no DataFrame, the path has another ending or can't be written to, or Parquet is not installed.
    StorageError
        The disk is full.
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        kind = type(table).__name__
        raise InputError(f"the table is of type {kind}; expected a DataFrame, such as to_dataframe(result)")
    place, write = user_path(path), WRITERS[require_ending(path)]
    with written_whole(place) as beside:
        write(table, beside)
    return place


def require_ending(path: str | os.PathLike[str]) -> str:
    """Return the ending of a file that a table is to be saved in, or raise an error."""
    ending = user_path(path).suffix.lower()
    require_known("ending of a table", ending, WRITERS)
    return ending


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    try:
        table.to_parquet(path, index=False, engine="pyarrow")
    except ImportError as error:
        raise InputError(
            'to write Parquet, pyarrow is needed: pip install "differentia[parquet]"; or save as .csv'
        ) from error


#: By the ending of a file: how a table is written into it.
WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {".csv": _write_csv, ".parquet": _write_parquet}


@checked
def records(result: xr.Dataset) -> list[dict[str, Any]]:
    """Return the rows of `to_dataframe`, which replaces this function; it goes with the next version.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    list of dict
        By column. None stands for all that is relative where there is no reference, and for a
        ``not_converged`` that can't be said; what else is not known is NaN.

    Raises
    ------
    InputError
        It is not a result.
    """
    warnings.warn(
        "dif.records() goes with the next version; use dif.to_dataframe()",
        FutureWarning,
        stacklevel=users_level(),
    )
    return table_rows(result)


def table_rows(result: xr.Dataset) -> list[dict[str, Any]]:
    """Return the rows of `to_dataframe`, with None for what it does not have, as JSON can hold them."""
    columns = _columns_of(result)
    nothing = [None] * len(columns["set"])
    values = [nothing if column is None else column.tolist() for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _columns_of(result: xr.Dataset) -> dict[str, Any]:
    """Return the columns of `to_dataframe`, each an array; None for those that are relative to nothing."""
    flags = not_converged(result).astype(object).where(convergence_known(result), None)
    columns: dict[str, Any] = {name: result[name] for name in ("units", *POINT, "units_used")}
    columns["reference"] = result["set"].copy(data=[*references_of(result).values()])
    limits = value_limits(result)
    for name, spread in SPREADS.items():
        ends = [f"{name}_{source}_{end}" for source in SOURCES for end in ("low", "high")]
        columns |= dict.fromkeys((name, spread, *ends))
        if name in limits:
            values = result["differentiation"] if name == "differentiation" else relative(result)
            columns |= {name: draw_mean(values, result), spread: draw_spread(values, result)}
            known = [limit.reindex(source=list(SOURCES)) for limit in limits[name]]  # older ones have two
            of_ends = [limit.sel(source=source, drop=True) for source in SOURCES for limit in known]
            columns |= dict(zip(ends, of_ends, strict=True))
    columns |= {"doubt": doubts(result), "not_converged": flags}
    return {
        name: None if column is None else column.broadcast_like(flags).transpose(*POINT).values.ravel()
        for name, column in columns.items()
    }


def value_limits(result: xr.Dataset) -> dict[str, tuple[xr.DataArray, xr.DataArray]]:
    """Return between which limits values lie, (set, layer, n_units, source), by their column.

    Those of "relative" are there where there is a reference; NaN stands for what is not known.
    """
    related = any(references_of(result).values())
    names = [name for name in SPREADS if name == "differentiation" or related]
    if not set(LIMITS) <= set(result):
        unknown = draw_mean(result["differentiation"], result).expand_dims(source=list(SOURCES)) * np.nan
        return dict.fromkeys(names, (unknown, unknown))
    found = {"differentiation": (result[LIMITS[0]], result[LIMITS[1]])}
    if "relative" in names:
        found["relative"] = relative_interval(result)
    return found


@checked
def top_classes(result: xr.Dataset, count: int = 5) -> xr.Dataset:
    """Return the classes that the network finds most probable in each image.

    Parameters
    ----------
    result
        What `measure` returned for a classifier, with its views.
    count
        How many classes of each image.

    Returns
    -------
    xarray.Dataset
        ``class_name``, ``class_number`` and ``probability`` (image, place), the most probable first, ties
        by number.

    Raises
    ------
    InputError
        The result holds no predictions.
    """
    import xarray as xr

    require_variables(result, "prediction")
    probabilities = result["prediction"].values
    number = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return xr.Dataset(
        {
            "class_name": (("image", "place"), result["class_name"].values[number]),
            "class_number": (("image", "place"), number),
            "probability": (("image", "place"), np.take_along_axis(probabilities, number, axis=1)),
        },
        coords={name: ("image", result[name].values) for name in ("image_set", "image_name")},
    )


def save_predictions(result: xr.Dataset, path: Path) -> None:
    """Write the five most probable classes of each image as CSV, or remove the file where there are none.

    What else is known of the images, such as the time of a frame, follows in columns of its own.
    """
    # Names stand in it as they are, for programs to read; a spreadsheet may take one that begins with = for a
    # formula.
    if "prediction" not in result:
        path.unlink(missing_ok=True)  # of an earlier result
        return
    best = top_classes(result)
    columns: dict[str, Any] = {"set": best["image_set"].values, "image": best["image_name"].values}
    for place, number in enumerate(range(1, best.sizes["place"] + 1)):
        columns[f"class_{number}"] = best["class_name"].values[:, place]
        columns[f"probability_{number}"] = [f"{value:.6f}" for value in best["probability"].values[:, place]]
    for name in attribute_names(result):
        columns[name] = ["" if value != value else value for value in result[name].values.tolist()]
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(zip(*columns.values(), strict=True))
