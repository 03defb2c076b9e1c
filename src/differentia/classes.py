"""The classes that a network tells apart: where it says so, how sure it is, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from numbers import Integral

import numpy as np
from jaxtyping import Float

from differentia.errors import InputError, unknown_name
from differentia.layers import Layer
from differentia.networks import Network


def class_layer(network: Network) -> Layer | None:
    """Return the layer whose units are the classes: the last one, where it is a vector.

    Parameters
    ----------
    network
        Any network; a classifier has such a layer.
    """
    last = [layer for layer in network.layers if not layer.container][-1]
    return last if len(last.shape) == 1 and last.size > 1 else None


def class_names(network: Network, count: int) -> tuple[str, ...]:
    """Return the names of a network's classes, or their numbers where they have none.

    Parameters
    ----------
    network
        Whose classes they are.
    count
        The number of classes.
    """
    names = network.class_names
    return names if names and len(names) == count else tuple(str(number) for number in range(count))


def class_probabilities(outputs: Float[np.ndarray, "n class"]) -> Float[np.ndarray, "n class"]:
    """Return the last layer's output as probabilities: as it is, or through a softmax.

    Parameters
    ----------
    outputs : (n_images, n_classes)
        Taken as probabilities where none is negative and every row sums to 1.
    """
    values = outputs.astype(np.float64)
    if values.min() >= 0 and np.allclose(values.sum(axis=1), 1.0, atol=1e-3):
        return outputs
    values = np.exp(values - values.max(axis=1, keepdims=True))
    return (values / values.sum(axis=1, keepdims=True)).astype(outputs.dtype)


def find_class(network: Network, wanted: str | int, count: int) -> int:
    """Return the number of a class that is given by its number, its WordNet identifier or its name.

    Parameters
    ----------
    network
        Whose classes they are.
    wanted
        ``281``, ``"n02123045"`` or ``"tabby"``; case does not matter, nor whether words are joined by
        spaces, hyphens or underscores.
    count
        The number of classes.

    Raises
    ------
    InputError
        There is no such class, or there are several of the name.
    """
    text = str(wanted)
    names, ids = class_names(network, count), network.class_ids or ()
    if isinstance(wanted, Integral):  # a class may be called by another's number
        return _checked_number(network, int(wanted), count)
    if text in ids:
        return ids.index(text)
    matches = [number for number, name in enumerate(names) if _plain(name) == _plain(text)]
    if len(matches) > 1:
        listed = ", ".join(f"{number}" + (f" ({ids[number]})" if ids else "") for number in matches)
        raise InputError(f"{network.name} has several classes {text!r}; give the number of one: {listed}")
    if matches:
        return matches[0]
    if text.isdecimal():
        return _checked_number(network, int(text), count)
    if network.class_names is None:
        raise InputError(
            f"the names of the classes of {network.name} are not known; give the number of one, from 0 to "
            f"{count - 1}, or a class index (keras:NAME?classes=PATH)"
        )
    raise unknown_name("class", text, _by_likeness(text, names))


def _checked_number(network: Network, number: int, count: int) -> int:
    if not 0 <= number < count:
        raise InputError(f"{network.name} has no class {number}; it has {count}, from 0 to {count - 1}")
    return number


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _by_likeness(text: str, names: Sequence[str]) -> list[str]:
    """Return the names in lower case, those that hold the text first: ImageNet's list is long."""
    plain = _plain(text)
    return sorted(map(_plain, names), key=lambda name: (plain not in name, name))
