"""What has to be said beside a network's responses: what is missing, and what is not the image's own."""

from __future__ import annotations

from collections.abc import Sequence

from differentia.errors import InputError, warn
from differentia.networks.base import Network
from differentia.networks.classes import class_layer
from differentia.networks.layers import Layer, missed
from differentia.networks.tokens import ALL, CLASS
from differentia.recording.options import RecordOptions

#: Names that are listed in a warning, of however many.
MOST_NAMED = 3


def warn_of_network(
    network: Network, chosen: Sequence[Layer], options: RecordOptions
) -> list[dict[str, str]]:
    """Say what can't be recorded, what depends on more than the image, and which classes have no names."""
    warned = []
    if left_out := missed(network.unrecorded, network.layers, options.layers):
        first, calls = left_out[0], "1 call" if len(left_out) == 1 else f"{len(left_out):,} calls"
        of_modules = "" if any(call.operation for call in left_out) else " of modules"
        text = (
            f"{calls}{of_modules} can't be recorded, first {first.name!r} ({first.kind}): {first.reason} "
            "(`differentia layers` lists all)"
        )
        warned.append(warn("unrecorded", text))
    for text in unsteady_in_words(network, chosen):
        warned.append(warn("unsteady", text))
    if lacking := lacking_in_words(network, chosen, options.tokens):
        warned.append(warn("other", lacking))
    class_names = network.class_names
    classes = class_layer(network, options.class_layer) if options.views else None
    if classes is not None and class_names is not None and len(class_names) != classes.size:
        text = (
            f"there are {len(class_names):,} names of classes, but layer {classes.name!r} gives "
            f"{classes.size:,} numbers: classes go by their numbers; name the right layer with class_layer= "
            "(--class-layer)"
        )
        warned.append(warn("other", text))
    return warned


def unsteady_in_words(network: Network, chosen: Sequence[Layer]) -> list[str]:
    """Return what responses depend on beside the image, and of which layers."""
    names, found = {layer.name for layer in chosen}, network.found
    unsteady = {
        "chance, or on what was shown before: the same image gave others the second time": found.by_chance,
        "the other images in the batch: the same image gave others alone": found.by_company,
    }
    return [
        f"responses of {_listed(of_chosen)} depend on {what}"
        for what, layers in unsteady.items()
        if (of_chosen := [name for name in layers if name in names])
    ]


def require_tokens(network: Network, chosen: Sequence[Layer], tokens: str) -> None:
    """Raise an error where only some tokens count, and no layer to record holds any of them."""
    if tokens != ALL and not any(layer.tokens for layer in chosen):
        holding = [layer.name for layer in network.layers if layer.tokens]
        raise InputError(
            f"tokens={tokens!r} (--tokens): none of the layers to record holds such tokens; leave it out, or "
            f"name layers that do with layers= (--layers): {_listed(holding)}"
        )


def whole_in_words(network: Network, chosen: Sequence[Layer]) -> str:
    """Return which layers have no tokens, where only some count; "" where there are none."""
    lacking = network.found.lacking
    whole = [layer.name for layer in chosen if not layer.tokens and layer.name not in lacking]
    cut = len(whole) < len(chosen)
    return f"recorded whole, since no tokens are known in them: {_listed(whole)}" if cut and whole else ""


def lacking_in_words(network: Network, chosen: Sequence[Layer], tokens: str) -> str:
    """Return which layers have tokens, but none that count; "" where there are none."""
    names = [layer.name for layer in chosen if layer.name in network.found.lacking]
    if not names:
        return ""
    known = "no class token is" if tokens == CLASS else "no patches are"
    return (
        f"recorded whole, since {known} known among their tokens: {_listed(names)}; leave out what should "
        f"not stand beside other layers with layers= (--layers '!{names[0]}')"
    )


def warn_of_later_calls(modules: Sequence[str]) -> list[dict[str, str]]:
    """Say which modules were called for some images, but not for those that were looked at."""
    if not modules:
        return []
    text = (
        "modules were called, or called more often, for some images but not for the first: "
        f"{_listed(modules)}; what they gave there is not recorded"
    )
    return [warn("unrecorded", text)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(repr, names[:MOST_NAMED])) + more
