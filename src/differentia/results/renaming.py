"""A result whose sets and layers have other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from differentia.errors import InputError, require_distinct_names, require_known
from differentia.results.dataset import provenance, with_provenance
from differentia.results.references import SET_REFERENCE
from differentia.results.schema import checked, map_names
from differentia.stimuli.sources import source_of_renamed

if TYPE_CHECKING:
    import xarray as xr


@checked
def rename(
    result: xr.Dataset, *, sets: Mapping[str, str] | None = None, layers: Mapping[str, str] | None = None
) -> xr.Dataset:
    """Return a result whose sets and layers have other names, wherever these stand in it.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    sets, layers
        Name -> new name, of those that get one.

    Returns
    -------
    xarray.Dataset
        With the same values. Sources have the new names too (``scramble:NAME``); texts of warnings that were
        given keep the old ones.

    Raises
    ------
    InputError
        It is not a result, there is no such set or layer, or two would have one name.
    """
    new_sets, new_layers = (
        _new_names(result, what, {} if names is None else names)
        for what, names in (("set", sets), ("layer", layers))
    )
    labels = {"set": new_sets, "image_set": new_sets, "layer": new_layers, "filter_layer": new_layers}
    renamed = result.assign_coords(
        {
            name: (result[name].dims, [new[str(old)] for old in result[name].values], result[name].attrs)
            for name, new in labels.items()
            if name in result
        }
    )
    for name in map_names(result):
        renamed[name] = renamed[name].assign_attrs(layer=new_layers[result[name].attrs["layer"]])
    reference = result.attrs["reference"]
    renamed = renamed.assign_attrs(reference=new_sets.get(reference, reference))
    if SET_REFERENCE in result.coords:
        references = [new_sets.get(name, name) for name in map(str, result[SET_REFERENCE].values)]
        renamed = renamed.assign_coords({SET_REFERENCE: ("set", references, result[SET_REFERENCE].attrs)})
    facts = provenance(result)
    of_images: dict[str, Any] = {
        "sets": {
            new_sets.get(name, name): source_of_renamed(str(source), new_sets)
            for name, source in facts.get("sets", {}).items()
        },
        "skipped": [_in_set(image, new_sets) for image in facts.get("skipped", ())],
        "dropped": [_in_set(image, new_sets) for image in facts.get("dropped", ())],
        "duplicates": [[_in_set(one, new_sets) for one in group] for group in facts.get("duplicates", ())],
    }
    return with_provenance(renamed, **{name: fact for name, fact in of_images.items() if name in facts})


def _new_names(result: xr.Dataset, what: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the new name of each set, or layer."""
    if not isinstance(given, Mapping):
        raise InputError(f"{what}s= is {given!r}; expected {{name: new name}}")
    old = [str(name) for name in result[what].values]
    for name in given:
        require_known(what, name, old)
    return dict(zip(old, require_distinct_names(what, [given.get(name, name) for name in old]), strict=True))


def _in_set(image: dict[str, str], new: Mapping[str, str]) -> dict[str, str]:
    return {**image, "set": new.get(image["set"], image["set"])}
