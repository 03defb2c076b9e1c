"""The classes that a network tells apart: where it says so, how sure it is, and what they are called."""

from __future__ import annotations

import re
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from differentia.errors import InputError, require_known, unknown_name
from differentia.networks.layers import Layer, without_operations

if TYPE_CHECKING:
    from differentia.networks.base import Network

#: Parts of the names of modules whose units are no classes, though they may come last.
NO_CLASSIFIERS = ("Pool", "Norm", "Flatten", "Dropout", "Identity", "Reshape", "Embedding")

#: How far probabilities may be from summing to 1: bfloat16 rounds each of them by up to 0.4 %.
ROUNDING = 0.01


def class_layer(network: Network, wanted: str | None = None) -> Layer | None:
    """Return the layer whose units are the classes: what is asked for, or the last, where it is a vector.

    Where names of classes are known, it is the last that gives as many numbers. A network that ends in
    pooling or normalisation gives features otherwise. An operation has to be asked for.
    """
    if wanted is not None:
        vectors = [layer for layer in network.layers if _is_vector(layer)]
        named = {layer.name: layer for layer in network.layers}
        require_known("layer for class_layer (--class-layer)", wanted, named)
        if named[wanted] not in vectors:
            raise InputError(
                f"class_layer (--class-layer): layer {wanted!r} has the shape {named[wanted].whole}; "
                "expected a vector, with a number for each class"
            )
        return named[wanted]
    names, modules = network.class_names, without_operations(network.layers)
    vectors = [layer for layer in modules if _is_vector(layer)]
    if names is not None:
        fitting = [layer for layer in vectors if layer.size == len(names)]
        if fitting:
            return next((layer for layer in reversed(fitting) if not layer.container), fitting[-1])
    last = [layer for layer in modules if not layer.container][-1]
    features = any(part in last.kind for part in NO_CLASSIFIERS)
    return last if last in vectors and not features else None


def _is_vector(layer: Layer) -> bool:
    return len(layer.whole) == 1 and layer.size > 1


def class_names(network: Network, count: int) -> tuple[str, ...]:
    """Return the names of a network's classes, or their numbers where they have none."""
    names = network.class_names
    return names if names and len(names) == count else tuple(str(number) for number in range(count))


def class_probabilities(outputs: Float[np.ndarray, "n class"]) -> Float[np.ndarray, "n class"]:
    """Return the last layer's output as probabilities, image by image: as it is, or through a softmax.

    A row is taken as probabilities where none is negative and they sum to 1 but for rounding.
    """
    values = outputs.astype(np.float64)
    given = (values.min(axis=1) >= 0) & (np.abs(values.sum(axis=1) - 1) < ROUNDING)
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    values = np.where(given[:, np.newaxis], values, powers)
    return (values / values.sum(axis=1, keepdims=True)).astype(outputs.dtype)


def find_class(network: Network, wanted: str | int, count: int) -> int:
    """Return the number of a class that is given by its number, its WordNet identifier or its name.

    Case does not matter, nor whether words are joined by spaces, hyphens or underscores.
    """
    text = str(wanted)
    asked = network.name.partition("?")[0]
    known = network.class_names
    fit = known is not None and len(known) == count
    names, ids = class_names(network, count), (network.class_ids or ()) if fit else ()
    if isinstance(wanted, Integral) and not isinstance(wanted, bool):
        return _checked_number(asked, int(wanted), count)  # a class may be called by another's number
    if text in ids:
        return ids.index(text)
    matches = [number for number, name in enumerate(names) if _comparable(name) == _comparable(text)]
    if len(matches) > 1:
        listed = ", ".join(f"{number}" + (f" ({ids[number]})" if ids else "") for number in matches)
        raise InputError(f"{asked} has several classes called {text!r}; give the number of one: {listed}")
    if matches:
        return matches[0]
    if text.isdecimal():
        return _checked_number(asked, int(text), count)
    if not fit:
        of = "are not known" if known is None else f"are not those of its {count:,} units, but {len(known):,}"
        raise InputError(
            f"the names of the classes of {asked} {of}; give the number of one, from 0 to "
            f"{count - 1}, or a file of their names (--classes FILE)"
        )
    holders = [name for name in names if text and _comparable(text) in _comparable(name)]
    if holders:
        words = _comparable(text)
        holders.sort(key=lambda name: f"_{words}_" not in f"_{re.sub(r'[^a-z0-9]+', '_', name.lower())}_")
        raise InputError(f"unknown class {text!r}. Did you mean {' or '.join(map(repr, holders[:5]))}?")
    raise unknown_name("class", text, sorted(map(_comparable, names)))


def _checked_number(network: str, number: int, count: int) -> int:
    if not 0 <= number < count:
        raise InputError(f"{network} has no class {number}; its {count} classes are 0 to {count - 1}")
    return number


def _comparable(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())
