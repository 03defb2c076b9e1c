"""What was measured and how, in words."""

from __future__ import annotations

import re

import numpy as np
from helpers.reports import kinds, published
from helpers.results import neurons, over_time

import differentia as dif
from differentia.definition.measure import METRICS, NORMALIZATIONS
from differentia.output.report.contents import contents
from differentia.output.report.facts import facts, warnings_of, yardstick
from differentia.results.dataset import with_provenance
from differentia.results.schema import LIMITS
from differentia.results.summaries import extreme_layers

RNG = np.random.default_rng(0)


def test_facts_and_overview_of_recorded_responses() -> None:
    """What is not known is left out; a set without any value has no highest and lowest layer."""
    known = dict(facts({"random": neurons()}))
    assert "Network" not in known
    (kind,) = contents({"sketch": neurons().assign_coords(units="sketch")})["kinds"]
    assert (kind["noun"], kind["counted"]) == ("sums", True)
    assert known["Draws"] == "6 of 5 neurons, 6 of 20 neurons, 1 of 50 neurons"
    assert "torch" not in known["Versions"]
    assert known["Reference"] == "spontaneous"
    assert known["Intervals"] == "95 %; of stimuli: jackknifed test"
    several = neurons().assign_coords(set_reference=("set", ["spontaneous", "stimulus"]))
    crossed = "spontaneous for stimulus; stimulus for spontaneous"
    assert dict(facts({"random": several}))["Reference"] == crossed
    old = neurons()
    for name in LIMITS:
        old[name].attrs |= {"method": "studentized", "resamples": 2000}
    of_old = dict(facts({"random": old}))["Intervals"]
    assert of_old == "95 %; of stimuli: bootstrap (studentized), 2,000 resamples"
    assert dict(facts({"random": neurons().assign_attrs(reference="")}))["Reference"] == "none"
    nothing = neurons()
    nothing["differentiation"] = nothing["differentiation"] * np.nan
    assert [set(extremes) for extremes in extreme_layers(nothing).values()] == [{None}, {None}]
    (first, *_) = extreme_layers(published()).values()
    assert first.first is not None
    assert first.first[0] == "input"


def test_threads_are_told() -> None:
    """All numbers of them that images were shown with; of recorded responses none are known."""
    assert "Threads of PyTorch" not in dict(facts({"random": neurons()}))
    known = dict(facts({"random": with_provenance(neurons(), threads=[1, 2])}))
    assert known["Threads of PyTorch"] == "1 and 2"


def test_what_states_are_made_of() -> None:
    """Over what time, and how intervals are made; what was not asked for is not listed."""
    known = dict(facts({"all": over_time()}))
    assert (known["States"], known["Length of a state, in seconds"]) == ("spectral", "0.5")
    assert known["Samples in a second"] == "20.0"
    assert known["Intervals"] == "95 %; of trials: Student's t of the mean over trials, on a scale of ratios"
    assert "Overlap of states" not in known
    assert "Frequencies in equal ratios" not in known
    assert dict(facts({"all": over_time(overlap=0.5)}))["Overlap of states"] == "0.5"
    assert "States" not in dict(facts({"random": neurons()}))
    assert yardstick(over_time()) == "0 where all states are equal"
    assert "1.414" in yardstick(neurons())


def test_what_was_left_out_as_a_copy() -> None:
    """By set; nothing where nothing was."""
    dropped = [{"set": name, "name": "x"} for name in ("cats", "dogs", "cats")]
    known = dict(facts({"random": with_provenance(neurons(), dropped=dropped)}))
    assert known["Left out as copies"] == "2 of cats, 1 of dogs"
    assert "Left out as copies" not in dict(facts({"random": with_provenance(neurons(), dropped=[])}))


def test_tokens_that_count() -> None:
    """Where not all of them do."""
    label = "Tokens that count"
    assert dict(facts({"random": with_provenance(neurons(), tokens="class")}))[label] == "class"
    assert label not in dict(facts({"random": neurons()}))


def test_weights() -> None:
    """Those that were taken; of older results, what the network's name says."""
    for facts_known, expected in (
        ({"network": "torchvision:resnet18", "weights": "IMAGENET1K_V1"}, "IMAGENET1K_V1"),
        ({"network": "torchvision:resnet18?weights=none"}, "random"),
        ({"network": "hf:some/net"}, None),
        ({}, None),
    ):
        known = dict(facts({"random": with_provenance(neurons(), **facts_known)}))
        assert known.get("Weights") == expected


def test_warnings_of_every_kind() -> None:
    """Each once; none are known of results that were written before they were kept."""
    results = kinds()
    texts = {"random": ["one"], "top": ["one", "two"], "filter_mean": []}
    warned = {
        kind: with_provenance(result, warnings=texts[kind])
        for kind, result in results.items()
        if kind in texts
    }
    assert warnings_of(warned) == ["one", "two"]
    assert warnings_of({"top": results["top"].assign_attrs(provenance="")}) is None


def test_what_independent_responses_give() -> None:
    """It is said only where it holds whatever their distribution, and then it does."""
    for normalize in NORMALIZATIONS:
        for metric in METRICS:
            said = yardstick(neurons().assign_attrs(normalize=normalize, metric=metric))
            found = re.search(r"([\d.]+) where they are independent", said)
            values = []
            for responses in (RNG.gamma(2.0, 1.0, (30, 4_000)), RNG.normal(5, 2, (30, 4_000))):
                scale = responses.std(axis=0) if normalize == "unit" else None
                value = dif.differentiation(responses, normalize=normalize, metric=metric, scale=scale)
                values.append(value)
            known = metric != "cityblock" and normalize in ("layer", "response")
            assert (found is not None) == known, said
            if found:
                np.testing.assert_allclose(
                    values, float(found[1]), rtol=0.03, err_msg=f"{normalize}, {metric}"
                )
