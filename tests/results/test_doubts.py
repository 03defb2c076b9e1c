"""Where limits over images can't be trusted, in words: one sentence for each reason, however many sets."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.responses import gaussian

import differentia as dif
from differentia.results.confidence import GAP, LONG_TAIL, STRONG_IMAGES, WINDOWS
from differentia.results.doubts import DOUBT_WORDS, say_undefined


def doubtful(n_sets: int, doubt: str) -> tuple[list[str], object]:
    """Return the names of sets, and a result in which all of them are doubted in some layers."""
    rng = np.random.default_rng(0)
    names = [f"set_{at}" for at in range(n_sets)]
    layers = [f"layer_{at}" for at in range(5)]
    arrays = {}
    for name in names:
        arrays[name] = {layer: gaussian(rng, 12) for layer in layers}
        for layer in layers:
            arrays[name][layer][4] *= 20
    result = dif.measure_responses(arrays)
    told = result["doubt"].copy(data=np.full(result["doubt"].shape, "", dtype="U32"))
    told.loc[{"layer": layers[:4]}] = doubt
    return names, result.assign(doubt=told)


@pytest.mark.parametrize("doubt", [STRONG_IMAGES, LONG_TAIL])
def test_one_set(doubt: str) -> None:
    """The layers, the reason, and the strongest image in the first of them."""
    _, result = doubtful(1, doubt)
    assert dif.say_doubts(result) == [  # type: ignore[arg-type]
        f"No interval for set_0 in layer_0, layer_1, layer_2 and 1 more population: "
        f"{DOUBT_WORDS[doubt].format(items='stimuli')} (the strongest in layer_0: 4)."
    ]


def test_many_sets() -> None:
    """The first are named, with their strongest images, and the others counted; a gap names no image."""
    _, result = doubtful(5, STRONG_IMAGES)
    (said,) = dif.say_doubts(result)  # type: ignore[arg-type]
    assert said.count("layer_0") == 3
    assert "set_3" not in said
    assert said.endswith(
        "(the strongest of set_0: 4, the strongest of set_1: 4, the strongest of set_2: 4 and 2 more sets)."
    )
    _, result = doubtful(2, GAP)
    (said,) = dif.say_doubts(result)  # type: ignore[arg-type]
    assert said.endswith("on a side that is left to chance.")


def test_nothing_to_doubt() -> None:
    """Nothing is said; nor of the images of a set that is not doubted."""
    _, result = doubtful(2, "")
    assert dif.say_doubts(result) == []  # type: ignore[arg-type]


def test_where_there_is_no_value() -> None:
    """The sets and layers are named, and why; nothing is said of others, nor of draws that do not exist."""
    rng = np.random.default_rng(0)
    still, sparse = np.full((12, 60), 0.1), np.zeros((12, 60))
    sparse[:, 0] = rng.normal(size=12)
    layers = {"still": still, "sparse": sparse, "even": gaussian(rng, 12)}
    arrays = {"a": layers, "b": {name: gaussian(rng, 12) for name in layers}}
    with pytest.warns(dif.DifferentiaWarning):
        result = dif.measure_responses(arrays, n_units=30, draws=8)
    assert say_undefined(result) == [
        "No value for a in still: all responses are equal.",
        "No value for a in sparse: all responses are equal in some draws.",
    ]
    assert say_undefined(result.sel(set=["b"])) == []
    arrays["a"]["even"][3] = 2.0
    with pytest.warns(dif.DifferentiaWarning):
        result = dif.measure_responses(arrays, metric="correlation")
    assert say_undefined(result) == ["No value for a in still, even: a response is the same in every unit."]


def test_where_the_reference_is_zero() -> None:
    """There is no value relative to it, as of a class token before the first block; others have theirs."""
    rng = np.random.default_rng(0)
    constant = np.tile(rng.normal(size=60), (12, 1))
    arrays = {
        name: {"first": constant, "last": gaussian(rng, 12), "other": gaussian(rng, 12)} for name in "ab"
    }
    arrays["a"]["other"] = constant
    result = dif.measure_responses(arrays, reference="b")
    assert dif.relative(result).sel(layer="first").isnull().all()
    assert dif.relative(result).sel(layer=["last", "other"]).notnull().all()
    said = ["No relative value in first: the differentiation of the reference, b, is 0 there."]
    assert say_undefined(result) == said
    assert say_undefined(result.sel(layer=["last", "other"])) == []
    assert say_undefined(dif.measure_responses(arrays)) == []


def test_each_reason_has_its_words() -> None:
    """Of their own."""
    assert set(DOUBT_WORDS) == {STRONG_IMAGES, LONG_TAIL, GAP, WINDOWS}
    assert len({*DOUBT_WORDS.values()}) == 4
