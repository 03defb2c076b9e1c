"""From results to what stands on the page: plain data, with no markup in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import shortened
from differentia.output.chosen import are_many, spread_sets
from differentia.output.colours import set_looks
from differentia.output.report.breaks import PART
from differentia.output.report.contrasts import tested_contrasts
from differentia.output.report.correlations import followed
from differentia.output.report.curves import curves, without_nan
from differentia.output.report.heatmaps import FILTER_ENTRIES, filters, predictions
from differentia.output.report.maps_of_images import image_maps
from differentia.output.report.packing import spread_out
from differentia.output.report.pairs import MATRIX_ENTRIES, pairs
from differentia.output.report.pictures import filter_maps, thumbnail
from differentia.output.report.statistics import ENDS, beside, between
from differentia.output.report.time_courses import courses
from differentia.output.words import tokens_label, unit_of
from differentia.results.contrasts import SIGNIFICANT
from differentia.results.dataset import provenance, remedies
from differentia.results.references import references_of, short_name, the_reference
from differentia.results.schema import ATTRIBUTE, TRIAL_VALUES, attribute_names
from differentia.results.statistics import look
from differentia.results.subject import subject_of
from differentia.results.summaries import layer_names, rows_by_set
from differentia.results.tables import top_classes

if TYPE_CHECKING:
    import xarray as xr

#: Images in the gallery; of more, some of each set.
MOST_IN_GALLERY = 1_000

#: Columns of a table that are told of an image.
MOST_KNOWN = 8

#: Pictures that a page has in full size: of more, each is smaller.
MOST_LARGE = 500

#: Classes that are named with an image.
TOP_CLASSES = 5

#: How intervals are drawn: where places have no order, a band between neighbours would say nothing.
_BANDS = {"intervals": "Bands", "of_items": "Filled bands", "of_units": "Dotted bands"}
_BARS = {"intervals": "Bars", "of_items": "Thin bars", "of_units": "Thick bars"}


def contents(
    results: Mapping[str, xr.Dataset], compared: Sequence[xr.Dataset] = (), *, main_view: bool = False
) -> dict[str, Any]:
    """Return all that the page's scripts draw, as JSON can hold it; the first of the results is shown first.

    The main view has no predictions and no gallery.
    """
    first = next(iter(results.values()))
    # The curves of many sets take the room of some of the images.
    share = 2 if are_many(first) else 1
    entries = MATRIX_ENTRIES // len(results) // share
    # Two sets are compared in the first result alone.
    unasked = {kind: None if result is first and not main_view else () for kind, result in results.items()}
    statistics = {
        kind: look(result, quantiles=ENDS, pairs=unasked[kind], every=False)
        for kind, result in results.items()
    }
    kinds = [
        {**curves(results, kind), **_of_distances(result, entries), "beside": beside(statistics[kind])}
        for kind, result in results.items()
    ]
    heat_maps = {
        "filters": filters(first, FILTER_ENTRIES // share),
        "predictions": None if main_view else predictions(first),
    }
    maps = filter_maps(first)
    gallery = [] if main_view else spread_out(list(rows_by_set(first).values()), MOST_IN_GALLERY).tolist()
    of_pairs = [kind["pairs"] for kind in kinds if kind["pairs"]]
    pictured = {*gallery, *(row for one in of_pairs for row in _extremes(one))}
    named = {row for one in [*of_pairs, *heat_maps.values()] if one for row in one["images"]}
    named |= {row for one in maps for row, _ in one["pictures"]}
    return {
        "sets": _sets(first),
        # At first; of many a few, in the colours that they have in figures.
        "shown": [place for place, name in enumerate(rows_by_set(first)) if name in spread_sets(first)],
        "layers": _layers(first),
        "kinds": kinds,
        "contrasts": tested_contrasts(results, compared),
        "depth": followed(results),
        "courses": courses(first),
        "between": between(next(iter(statistics.values()))),
        "level": SIGNIFICANT,
        **heat_maps,
        "maps": maps,
        "images": _images(first, sorted(named | pictured), pictured),
        "gallery": gallery,
        "n_images": first.sizes["image"],
        "words": words(first),
        "part": PART,
        "recorded": subject_of(first).recorded,
        "over_time": TRIAL_VALUES in first,
        "tokens": tokens_label(first),
        "reference": short_name(references_of(first)),
        "normalize": first.attrs["normalize"],
        "unit": unit_of(first),
        "metric": first.attrs["metric"],
        "missing": {name: remedy for name, remedy in remedies(first).items() if name not in first},
    }


def _of_distances(result: xr.Dataset, entries: int) -> dict[str, Any]:
    """Return the distances of pairs and the images' maps; None where there are none."""
    found = pairs(result, entries)
    maps = None if found is None else image_maps(result, np.array(found["images"], dtype=np.int64))
    return {"pairs": found, "map": maps}


def words(result: xr.Dataset) -> dict[str, str]:
    """Return what the page calls what was shown, what responds, what that is made of, and its marks."""
    subject = subject_of(result)
    nouns = {"item": subject.item, "place": subject.place, "unit": subject.unit}
    return {
        **{name: noun.one for name, noun in nouns.items()},
        **{f"{name}s": noun.many for name, noun in nouns.items()},
        **(_BARS if subject.recorded else _BANDS),
    }


def _extremes(of_pairs: Mapping[str, Any]) -> set[int]:
    """Return the rows of the images whose pair is the nearest or the farthest somewhere."""
    found = [of_set for layer in of_pairs["layers"] for of_set in layer["sets"] if of_set]
    return {row for of_set in found for end in ("nearest", "farthest") for row in of_set[end][:2]}


def _sets(result: xr.Dataset) -> list[dict[str, Any]]:
    sources, rows = provenance(result).get("sets", {}), rows_by_set(result)
    references = references_of(result)
    several = not the_reference(references)
    return [
        {
            "name": name,
            "images": len(rows[name]),
            "colour": {"light": colour.light, "dark": colour.dark},
            "symbol": {"text": symbol.text, "plotly": symbol.plotly},
            "reference": name == references[name],
            "divided_by": references[name] if several else "",
            "source": str(sources.get(name, "")),
        }
        for name, (colour, symbol) in {**set_looks(result), **set_looks(result, spread_sets(result))}.items()
    ]


def _layers(result: xr.Dataset) -> list[dict[str, Any]]:
    facts: dict[str, list[Any]] = {"name": layer_names(result)}
    for name in ("kind", "shape", "size"):
        facts[name] = result[f"layer_{name}"].values.tolist()
    for name in ("mean", "sd"):  # of each set
        found = result.get(f"layer_{name}")
        facts[name] = [None] * result.sizes["layer"]
        if found is not None:
            facts[name] = without_nan(found.transpose("layer", "set").values)
    return [dict(zip(facts, values, strict=True)) for values in zip(*facts.values(), strict=True)]


def _shown(value: Any) -> str:
    """Return what is known of an image, shortened; "" if nothing is."""
    if not isinstance(value, str):
        return "" if np.isnan(value) else f"{value:.6g}"
    return shortened(" ".join(value.split()))


def _images(result: xr.Dataset, rows: list[int], pictured: set[int]) -> dict[str, dict[str, Any]]:
    """Return each image by its row, with its picture and its most probable classes where they are shown."""
    places = {name: place for place, name in enumerate(rows_by_set(result))}
    names, sets = (result[name].values.astype(str).tolist() for name in ("image_name", "image_set"))
    images: dict[str, dict[str, Any]] = {
        str(row): {"name": names[row], "set": places[sets[row]]} for row in rows
    }
    for name in attribute_names(result)[:MOST_KNOWN]:
        label, values = (
            str(result[name].attrs.get("long_name", name.removeprefix(ATTRIBUTE))),
            result[name].values,
        )
        for row in pictured:
            if shown := _shown(values[row]):
                images[str(row)].setdefault("known", []).append([label, shown])
    if "thumbnail" in result:
        for row in pictured:
            small = len(pictured) > MOST_LARGE
            images[str(row)]["picture"] = thumbnail(result["thumbnail"].values[row], small=small)
    if "prediction" in result:
        best = top_classes(result, TOP_CLASSES)
        classes, probabilities = best["class_name"].values, best["probability"].values.astype(float)
        for row in pictured:
            both = zip(classes[row].tolist(), probabilities[row].round(6).tolist(), strict=True)
            images[str(row)]["classes"] = [[str(name), probability] for name, probability in both]
    return images
