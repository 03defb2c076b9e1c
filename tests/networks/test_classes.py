"""Classes: where a network says them, their probabilities, and one by number, name or WordNet identifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
import torch
from torch import nn

import differentia as dif
from differentia.networks.classes import class_layer, class_names, class_probabilities, find_class
from differentia.networks.torch import TorchNetwork

NAMES = ("tench", "crane", "tiger_cat", "Egyptian_cat", "crane", "sea-lion", "6", "3")
IDS = tuple(f"n0{number}" for number in range(len(NAMES)))


def network(
    names: tuple[str, ...] | None = NAMES, ids: tuple[str, ...] | None = IDS, *more: nn.Module
) -> TorchNetwork:
    """Return a classifier of 8 classes, followed by `more`."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), *more)
    about: dict[str, Any] = {"class_names": names, "class_ids": ids}
    return TorchNetwork(module, name="net", preprocess="unit", input_shape=(4, 4, 3), **about)


def test_the_layer_of_the_classes() -> None:
    """The last layer, where it is a vector of at least two; containers are passed over."""
    layer = class_layer(network())
    assert layer is not None
    assert (layer.name, layer.size) == ("1", 8)
    assert class_layer(network(None, None, nn.Linear(8, 1))) is None
    assert class_layer(network(None, None, nn.Unflatten(1, (2, 2, 2)))) is None
    inner = network(None, None, nn.Sequential(nn.ReLU(), nn.Linear(8, 3)))
    last = class_layer(inner)
    assert last is not None
    assert (last.name, last.size) == ("2.1", 3)


def test_names_of_classes() -> None:
    """The network's, or numbers where it has none or another number of them."""
    assert class_names(network(), 8) == NAMES
    assert class_names(network(), 7) == ("0", "1", "2", "3", "4", "5", "6")
    assert class_names(network(None), 3) == ("0", "1", "2")


def test_probabilities() -> None:
    """What sums to 1 is taken as it is; anything else goes through a softmax, however large."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 400, (5, 8)).astype(np.float32)
    expected = scipy.special.softmax(logits.astype(np.float64), axis=1)
    found = class_probabilities(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(class_probabilities(found), found)
    positive = np.abs(logits)  # not negative, but no probabilities
    np.testing.assert_allclose(class_probabilities(positive).sum(axis=1), 1.0, rtol=1e-6)
    one_off = found.copy()
    one_off[3] *= 1.03
    assert not np.allclose(class_probabilities(one_off), one_off, atol=0.01)
    assert np.allclose(class_probabilities(one_off)[:3], one_off[:3])  # the other images are as they were
    rounded = (5 * torch.from_numpy(rng.normal(size=(50, 1000)))).softmax(1).bfloat16().float().numpy()
    assert np.abs(rounded.sum(axis=1) - 1).max() > 1e-3
    np.testing.assert_allclose(class_probabilities(rounded), rounded, rtol=0.01)
    sums_to_1 = np.array([[2.0, -1.0], [0.5, 0.5]])
    np.testing.assert_allclose(
        class_probabilities(sums_to_1), torch.tensor(sums_to_1).softmax(1).numpy(), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        ("tench", 0),
        ("TENCH ", 0),
        ("tiger cat", 2),
        ("Tiger-Cat", 2),
        ("egyptian_cat", 3),
        ("sea lion", 5),
        ("n03", 3),
        ("1", 1),
        (4, 4),
        (np.int64(0), 0),
        ("6", 6),
        ("3", 7),  # a class of that name comes before the number
        (3, 3),  # but a number is a number
    ],
)
def test_a_class_by_number_name_or_identifier(wanted: Any, number: int) -> None:
    """Spelling of the gaps and case do not matter."""
    assert find_class(network(), wanted, 8) == number


@pytest.mark.parametrize(
    ("made", "wanted", "message"),
    [
        (
            network(),
            "crane",
            r"^net has several classes called 'crane'; give the number of one: 1 \(n01\), 4 \(n04\)$",
        ),
        (
            network(NAMES, None),
            "Crane",
            r"^net has several classes called 'Crane'; give the number of one: 1, 4$",
        ),
        (network(), "tensh", r"^unknown class 'tensh'\. Did you mean 'tench'\? Known: "),
        (network(), "cat", r"^unknown class 'cat'\. Did you mean 'tiger_cat' or 'Egyptian_cat'\?$"),
        (
            network(("oystercatcher", *NAMES[1:])),
            "Cat",
            r"^unknown class 'Cat'\. Did you mean 'tiger_cat' or 'Egyptian_cat' or 'oystercatcher'\?$",
        ),
        (network(), "", r"^unknown class ''\. Known: 3, 6, crane"),
        (network(), "8", r"^net has no class 8; its 8 classes are 0 to 7$"),
        (network(), -1, r"^net has no class -1; its 8 classes are 0 to 7$"),
        (network(), "-1", r"^unknown class '-1'"),
        (
            network(None, None),
            "tabby",
            r"^the names of the classes of net are not known; give the number of one, from 0 to 7, or a "
            r"file of their names \(--classes FILE\)$",
        ),
        (
            network(NAMES[:3], IDS[:3]),
            IDS[1],  # of which class nobody can know
            r"^the names of the classes of net are not those of its 8 units, but 3; give the number of one",
        ),
    ],
)
def test_a_class_that_is_not_there(made: TorchNetwork, wanted: Any, message: str) -> None:
    """The error lists the numbers, or the names that are like it."""
    with pytest.raises(dif.InputError, match=message):
        find_class(made, wanted, 8)


def test_a_long_list_is_cut() -> None:
    """Of a thousand names those that hold the text are shown, or a few of all."""
    names = (*(f"class_{number}" for number in range(999)), "zebra finch")
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 1000))
    made = TorchNetwork(module, name="net", preprocess="unit", input_shape=(4, 4, 3), class_names=names)
    with pytest.raises(dif.InputError, match=r"^unknown class 'zebra'\. Did you mean 'zebra finch'\?$"):
        find_class(made, "zebra", 1000)
    with pytest.raises(dif.InputError, match=r"unknown class 'quagga'\. .*Known: class_0, ") as caught:
        find_class(made, "quagga", 1000)
    assert "... (1,000 in all)" in str(caught.value)
    assert len(str(caught.value)) < 300
