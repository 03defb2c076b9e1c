"""What each variable and label of a result is, as its attributes say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from differentia.definition.measure import METRICS
from differentia.results.dataset import is_squared
from differentia.results.schema import ATTRIBUTE, LIMITS, TRIAL_VALUES, attribute_names, map_names
from differentia.results.subject import subject_of, unit_noun

if TYPE_CHECKING:
    import xarray as xr

#: What numbers are in; that of values depends on how they were normalised, and text is in nothing.
_RESPONSES, _SQUARED = "unit of the responses", "squared unit of the responses"
_PLAIN, _VALUES, _TEXT = "1", "values", ""


class Description(NamedTuple):
    """A name for axes, and a sentence; both may name `Subject`'s nouns in braces."""

    name: str
    text: str
    units: str = _PLAIN


DESCRIPTIONS: dict[str, Description] = {
    "differentiation": Description(
        "differentiation",
        "Median distance over all pairs of a set's {items}. NaN where the measure has no value, and where "
        "there is no such draw: where all recorded {units} of a {place} are used, there is draw 0 alone. "
        "draw_mean(result) is the mean over draws.",
        _VALUES,
    ),
    LIMITS[0]: Description(
        "differentiation, lower limit",
        "Of where the value may lie, by source of uncertainty. NaN where it is unknown.",
        _VALUES,
    ),
    LIMITS[1]: Description(
        "differentiation, upper limit",
        "Of where the value may lie, by source of uncertainty. NaN where it is unknown.",
        _VALUES,
    ),
    TRIAL_VALUES: Description(
        "differentiation of the {item}", "Median distance over all pairs of its states.", _VALUES
    ),
    "log_limit": Description(
        "logarithmic limit",
        "Quantile of the confidence distribution over {items} of the logarithm of the value of draw 0, less "
        "that logarithm.",
    ),
    "freedom": Description("degrees of freedom", "Of the standard error over {items}."),
    "influence": Description(
        "influence",
        "Of each of a set's {items} on the logarithm of its value: their SD over the root of their number is "
        "the standard error.",
    ),
    "doubt": Description(
        "doubt",
        "Why the limits over {items} can't be trusted; empty where nothing is known against them.",
        _TEXT,
    ),
    "units_used": Description(
        "number of {units} used", "Of each {place}: n_units, or all where it has fewer."
    ),
    "pool_size": Description("number of {units} recorded", "Of each {place}; draws are made of them."),
    "layer_size": Description("size of the {place}", "How many {units} it has."),
    "units_at_hand": Description(
        "number of {units} at hand", "Over which distance, image_sum and image_sumsq are."
    ),
    "set_size": Description("number of {items}", "Of each set."),
    "layer_mean": Description(
        "mean response", "Of all units of the {place}, to all of a set's {items}.", _RESPONSES
    ),
    "layer_sd": Description(
        "SD of responses",
        "Population SD over all units of the {place} and all of a set's {items}.",
        _RESPONSES,
    ),
    "filter_mean": Description("mean response of the channel", "Over its whole map.", _RESPONSES),
    "prediction": Description("probability of the class", "As the network gives it."),
    "thumbnail": Description("thumbnail", "The image as the network was shown it, made small; 0 to 255."),
    "unit": Description(
        "place of the unit",
        "In the {place}'s output, in C order: the units recorded, in the order drawn from; -1 beyond them.",
    ),
    "image_sum": Description("sum of responses", "Over the units at hand.", _RESPONSES),
    "image_sumsq": Description("sum of squared responses", "Over the units at hand.", _SQUARED),
    "distance": Description(
        "Euclidean distance",
        "Between the responses of the units at hand to two {items}, as they are.",
        _RESPONSES,
    ),
    "layer_kind": Description(
        "kind of {place}", "The class of its module; Recorded of responses that were at hand.", _TEXT
    ),
    "layer_shape": Description("shape of the {place}", "Of its output for one of the {items}.", _TEXT),
    "image_set": Description("set", "Of each of the {items}.", _TEXT),
    "image_name": Description("name of the {item}", "Its file within its folder, or its number.", _TEXT),
    "image_hash": Description(
        "hash of the {item}", "SHA-256 of its content; empty where it is unknown.", _TEXT
    ),
    "filter_layer": Description("layer of the channel", "Its name.", _TEXT),
    "filter_index": Description("number of the channel", "In its layer, from 0."),
    "set_reference": Description(
        "reference of the set", "The set whose values those of this one are divided by; may be empty.", _TEXT
    ),
    "class_name": Description("class", "Its name, or its number where that is unknown.", _TEXT),
    "map_image": Description("place of the {item}", "That a map is of, among all {items}, from 0."),
    "units": Description("kind of units", "How the units that are looked at were chosen.", _TEXT),
    "set": Description("set", "A set of {items}.", _TEXT),
    "layer": Description("{place}", "In the order in which they were measured.", _TEXT),
    "n_units": Description("number of {units}", "Asked for; units_used tells how many a {place} gave."),
    "draw": Description("draw of {units}", "Draw 0 comes first, and is the only one where all are used."),
    "rank": Description("rank in the pool", "Smaller numbers of units are its beginning."),
    "source": Description("source of uncertainty", "A fresh draw of units, other {items}, or both.", _TEXT),
    "score": Description("normal score", "At which the confidence distribution is kept."),
}

#: What is another thing in a result of values over time.
_OVER_TIME: dict[str, Description] = {
    "differentiation": Description(
        "differentiation",
        "Mean over a set's {items} of the median distance over all pairs of the states of each. NaN where "
        "one has no value, and where there is no such draw: where all {units} of a {place} are used, there "
        "is draw 0 alone. draw_mean(result) is the mean over draws.",
        _VALUES,
    ),
    "log_limit": Description(
        "logarithmic limit",
        "Quantile of the confidence distribution over {items} of the logarithm of the mean over draws, less "
        "that logarithm.",
    ),
}

_ATTRIBUTE = "Of each of the {items}, as a table or a film says it; empty or NaN where it says nothing."

_MAP = Description("response", "Whole map of the channel `filter` of the layer `layer`.", _RESPONSES)


def described(result: xr.Dataset) -> xr.Dataset:
    """Return a result whose variables and labels say what they are."""
    subject, units = subject_of(result), unit_noun(result)
    nouns = {
        "item": subject.item.one,
        "items": subject.item.many,
        "place": subject.place.one,
        "units": units.many,
    }
    dimensioned = result.attrs["normalize"] == "none" and METRICS[result.attrs["metric"]].in_units
    of_values = _RESPONSES if dimensioned else _PLAIN
    if dimensioned and is_squared(result):
        of_values = _SQUARED
    result = result.copy()
    known = {**DESCRIPTIONS, **dict.fromkeys(map_names(result), _MAP)}
    known |= _OVER_TIME if TRIAL_VALUES in result else {}
    for name, (short, text, unit) in known.items():
        if name in result.variables:
            about = {"long_name": short.format(**nouns), "description": text.format(**nouns)}
            if unit != _TEXT:
                about["units"] = of_values if unit == _VALUES else unit
            result[name].attrs.update(about)
    for name in attribute_names(result):
        about = {"long_name": name.removeprefix(ATTRIBUTE), "description": _ATTRIBUTE.format(**nouns)}
        result[name].attrs.update({**about, **result[name].attrs})
    return result
