"""From results to what stands on the page: plain data, with no markup in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from differentia.contrasts import SIGNIFICANT
from differentia.dataset import REMEDIES, provenance, set_rows
from differentia.report.contrasts import contrasts
from differentia.report.curves import curves, without_nan
from differentia.report.heatmaps import filters, predictions
from differentia.report.marks import marks
from differentia.report.packing import spread_out
from differentia.report.pairs import MATRIX_ENTRIES, pairs
from differentia.report.pictures import filter_maps, thumbnail
from differentia.tables import top_classes

if TYPE_CHECKING:
    import xarray as xr

#: Images with thumbnails; of more, some of each set.
MOST_IMAGES = 1_000

#: Classes that are named with an image.
TOP_CLASSES = 5


def contents(
    results: Mapping[str, xr.Dataset], compared: Sequence[xr.Dataset] = (), *, main_view: bool = False
) -> dict[str, Any]:
    """Return all that the page's scripts draw, as JSON can hold it.

    Parameters
    ----------
    results
        By kind of units; the first one is shown first, and what all have alike is taken from it.
    compared
        Their contrasts.
    main_view
        Leave out the predictions and the gallery.

    Returns
    -------
    dict
        ``sets``, ``layers``, ``kinds`` (`differentia.report.curves.curves` with ``pairs``), ``contrasts``
        (`differentia.report.contrasts.contrasts`), ``level`` (sets differ where p is below), ``filters``,
        ``maps``, ``predictions``, ``images`` (by row), ``gallery`` (its rows), ``n_images``, ``recorded``
        (whether they are responses at hand, of no network), ``reference``, ``normalize``, ``metric``,
        ``missing`` (what is not there, and how to get it).
    """
    first = next(iter(results.values()))
    kinds = [
        {**curves(result), "pairs": pairs(result, MATRIX_ENTRIES // len(results))}
        for result in results.values()
    ]
    shown: dict[str, Any] = {
        "filters": filters(first),
        "predictions": None if main_view else predictions(first),
        "maps": filter_maps(first),
    }
    of_sets = [set_rows(first, str(name)) for name in first["set"].values]
    gallery = [] if main_view else spread_out(of_sets, MOST_IMAGES).tolist()
    needed = set(gallery)
    for kind in kinds:
        if kind["pairs"]:
            needed |= {*kind["pairs"]["images"], *_extremes(kind["pairs"])}
    for name in ("filters", "predictions"):
        needed |= set(shown[name]["images"] if shown[name] else ())
    needed |= {row for one in shown["maps"] for row, _ in one["pictures"]}
    pictured = set(gallery) | {row for kind in kinds if kind["pairs"] for row in _extremes(kind["pairs"])}
    return {
        "sets": _sets(first),
        "layers": _layers(first),
        "kinds": kinds,
        "contrasts": contrasts(results, compared),
        "level": SIGNIFICANT,
        **shown,
        "images": _images(first, sorted(needed), pictured),
        "gallery": gallery,
        "n_images": first.sizes["image"],
        "recorded": not provenance(first).get("network"),
        "reference": first.attrs["reference"],
        "normalize": first.attrs["normalize"],
        "metric": first.attrs["metric"],
        "missing": {name: remedy for name, remedy in REMEDIES.items() if name not in first},
    }


def _extremes(of_pairs: Mapping[str, Any]) -> set[int]:
    """Return the rows of the images whose pair is the nearest or the farthest somewhere."""
    return {
        row
        for layer in of_pairs["layers"]
        for found in layer["sets"]
        if found
        for end in ("nearest", "farthest")
        for row in found[end][:2]
    }


def _sets(result: xr.Dataset) -> list[dict[str, Any]]:
    sources = provenance(result).get("sets", {})
    return [
        {
            "name": name,
            "images": len(set_rows(result, name)),
            **mark,
            "reference": name == result.attrs["reference"],
            "source": str(sources.get(name, "")),
        }
        for name, mark in marks(result).items()
    ]


def _layers(result: xr.Dataset) -> list[dict[str, Any]]:
    moments = {
        name: without_nan(result[name].transpose("layer", "set").values) if name in result else None
        for name in ("layer_mean", "layer_sd")
    }
    return [
        {
            "name": str(result["layer"].values[place]),
            "kind": str(result["layer_kind"].values[place]),
            "shape": str(result["layer_shape"].values[place]),
            "size": int(result["layer_size"].values[place]),
            "mean": moments["layer_mean"] and moments["layer_mean"][place],
            "sd": moments["layer_sd"] and moments["layer_sd"][place],
        }
        for place in range(result.sizes["layer"])
    ]


def _images(result: xr.Dataset, rows: list[int], pictured: set[int]) -> dict[str, dict[str, Any]]:
    names = [str(name) for name in result["set"].values]
    of_set = {name: place for place, name in enumerate(names)}
    best = top_classes(result, TOP_CLASSES) if "prediction" in result else None
    found = {}
    for row in rows:
        image: dict[str, Any] = {
            "name": str(result["image_name"].values[row]),
            "set": of_set[str(result["image_set"].values[row])],
        }
        if row in pictured and "thumbnail" in result:
            image["picture"] = thumbnail(result["thumbnail"].values[row])
        if row in pictured and best is not None:
            image["classes"] = [
                [str(name), round(float(probability), 6)]
                for name, probability in zip(
                    best["class_name"].values[row], best["probability"].values[row], strict=True
                )
            ]
        found[str(row)] = image
    return found
