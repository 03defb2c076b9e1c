"""Each set relative to a reference of its own: in numbers, tables, files, selections and words."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import differentia as dif
from differentia.results.between import default_pairs
from differentia.results.dataset import provenance
from differentia.results.references import (
    compared_sets,
    in_words,
    references_of,
    resolved,
    short_name,
    the_reference,
)
from differentia.results.schema import require_whole

SETS = ("cats", "cats_scrambled", "dogs", "dogs_scrambled", "noise")
OWN = {"cats": "cats_scrambled", "dogs": "dogs_scrambled", "*": "noise"}


def arrays() -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return {
        name: {"x": rng.gamma(2.0 + place, size=(20, 40)), "y": rng.normal(size=(20, 10)) + place}
        for place, name in enumerate(SETS)
    }


@cache
def measured(reference: Any = None) -> xr.Dataset:
    """Return a result, which no test may change; the reference of sets as pairs."""
    given = dict(reference) if isinstance(reference, tuple) else reference
    return dif.measure_responses(arrays(), n_units=(5, 20), draws=4, pool=30, reference=given)


def own() -> xr.Dataset:
    return measured(tuple(OWN.items()))


def test_each_set_is_divided_by_its_reference() -> None:
    """By that one's mean over draws at the largest number of units; limits are those of that division."""
    result, references = own(), OWN | {"cats_scrambled": "noise", "dogs_scrambled": "noise", "noise": "noise"}
    values = result["differentiation"]
    relative, (low, high) = dif.relative(result), dif.relative_interval(result)
    matched = dif.relative(result, matched=True)
    for name in SETS:
        divisor = values.sel(set=references[name])
        by_hand = values.sel(set=name) / divisor.sel(n_units=20).mean("draw")
        np.testing.assert_allclose(relative.sel(set=name), by_hand.transpose("layer", "n_units", "draw"))
        np.testing.assert_allclose(matched.sel(set=name), values.sel(set=name) / divisor)
        alone = dif.relative_interval(result, references[name])
        for limit, of_alone in zip((low, high), alone, strict=True):
            np.testing.assert_allclose(limit.sel(set=name), of_alone.sel(set=name))
    assert not np.allclose(relative.sel(set="cats"), dif.relative(result, "noise").sel(set="cats"))
    for found in (relative, low, high):
        assert found.attrs["reference"] == ""
        assert dict(zip(SETS, found["set_reference"].values.tolist(), strict=True)) == {
            name: references[name] for name in SETS
        }
    assert relative.dims == values.dims


def test_what_a_result_says() -> None:
    """The reference of all others, and of each set; one for all says no more than it did."""
    result = own()
    assert result.attrs["reference"] == "noise"
    assert result["set_reference"].values.tolist() == [
        "cats_scrambled",
        "noise",
        "dogs_scrambled",
        "noise",
        "noise",
    ]
    plain = measured("noise")
    assert "set_reference" not in plain.coords
    assert references_of(plain) == dict.fromkeys(SETS, "noise")
    assert "set_reference" not in dif.relative(plain).coords
    none = measured()
    assert not any(references_of(none).values())


def test_sets_without_a_reference() -> None:
    """They have no relative value, but for those that others are divided by."""
    result = measured((("cats", "cats_scrambled"),))
    assert references_of(result) == {
        "cats": "cats_scrambled",
        "cats_scrambled": "cats_scrambled",
        "dogs": "",
        "dogs_scrambled": "",
        "noise": "",
    }
    relative, (low, _) = dif.relative(result), dif.relative_interval(result)
    known = relative.notnull().any(["layer", "n_units", "draw"])
    assert known.values.tolist() == [True, True, False, False, False]
    of_images = low.sel(source="images", n_units=20)
    assert of_images.sel(set="cats_scrambled").values == pytest.approx(1.0)
    assert of_images.sel(set="dogs").isnull().all()
    again = dif.relative(result, references_of(result))
    xr.testing.assert_identical(again, relative)
    assert dif.relative(measured("noise"), {"cats": ""}).sel(set="cats").isnull().all()
    table = dif.to_dataframe(result).set_index(["set", "layer", "n_units"])
    assert table["relative"].notna().groupby("set").all().to_dict() == dict(
        zip(SETS, known.values, strict=True)
    )


def test_references_that_are_named_later() -> None:
    """They take the place of the result's own for the sets that are named; others keep theirs."""
    result = measured("noise")
    named = dif.relative(result, {"cats": "dogs"})
    np.testing.assert_array_equal(named.sel(set="cats"), dif.relative(result, "dogs").sel(set="cats"))
    np.testing.assert_array_equal(named.sel(set="dogs"), dif.relative(result).sel(set="dogs"))
    others = dif.relative(result, {"cats": "dogs", "*": "cats_scrambled"})
    np.testing.assert_array_equal(
        others.sel(set="noise"), dif.relative(result, "cats_scrambled").sel(set="noise")
    )
    same = dif.relative(own(), {"cats": "noise", "dogs": "noise"})
    assert same.attrs["reference"] == "noise"
    np.testing.assert_array_equal(same, dif.relative(result))
    for wrong, message in (
        ({"cat": "noise"}, r"unknown set to have a reference \(--reference\) 'cat'. Did you mean 'cats'"),
        ({"cats": "nois"}, r"unknown set for reference \(--reference\) 'nois'. Did you mean 'noise'"),
        (["noise"], "reference is of type list; expected the name of a set, or those of sets by name"),
    ):
        with pytest.raises(dif.InputError, match=message):
            dif.relative(result, wrong)  # type: ignore[arg-type]
    with pytest.raises(dif.InputError, match="unknown set to have a reference"):
        measured((("cat", "noise"),))


def test_the_only_noise_is_the_reference_of_others() -> None:
    """Scrambled sets do not count as noise, also where they are made of it."""
    sets = {
        "digits": "digits:4",
        "mixed": "scramble:digits?kind=pixels",
        "noise": "noise:4",
        "mixed_noise": "scramble:noise?kind=pixels",
    }
    plain = dif.measure("digits", sets, n_units=20, draws=1, layers=["input"])
    assert plain.attrs["reference"] == "noise"
    result = dif.measure("digits", sets, n_units=20, draws=1, layers=["input"], reference={"digits": "mixed"})
    assert result.attrs["reference"] == "noise"
    assert references_of(result) == {
        "digits": "mixed",
        "mixed": "noise",
        "noise": "noise",
        "mixed_noise": "noise",
    }
    without = {name: source for name, source in sets.items() if name != "noise"} | {"mixed_noise": "noise:4"}
    assert dif.measure("digits", without, n_units=20, layers=["input"]).attrs["reference"] == "mixed_noise"


def test_scrambled_images_are_paired_with_their_originals() -> None:
    """By name, which those of noise are not; their errors are correlated, so that the interval is another."""
    sets = {"digits": "digits:16", "mixed": "scramble:digits?kind=pixels", "noise": "noise:16"}
    result = dif.measure("digits", sets, n_units=64, draws=1, layers=["input"])
    paired, apart = (dif.contrast(result, "digits", "mixed", paired=pairs) for pairs in (True, False))
    assert paired["difference"].item() == pytest.approx(apart["difference"].item())
    assert paired["difference_low"].item() != pytest.approx(apart["difference_low"].item(), rel=1e-3)
    with pytest.raises(dif.InputError, match="name"):
        dif.contrast(result, "digits", "noise", paired=True)


def test_references_are_not_compared_unasked() -> None:
    """What others are divided by is left out, be it the reference of one set or of all the others."""
    result = own()
    assert compared_sets(result) == ["cats", "dogs"]
    found = dif.contrasts_between_sets(result)
    assert [(one.attrs["first"], one.attrs["second"]) for one in found] == [("cats", "dogs")]
    assert default_pairs(result) == [("cats", "dogs")]
    assert compared_sets(measured("noise")) == [name for name in SETS if name != "noise"]
    assert compared_sets(measured()) == list(SETS)
    one = result.sel(set=["cats", "cats_scrambled", "noise"])
    assert [tuple(compared_sets(one))] == default_pairs(one) == [("cats", "cats_scrambled")]
    each_other = measured((("cats", "dogs"), ("dogs", "cats"), ("*", "dogs")))
    assert compared_sets(each_other) == ["cats_scrambled", "dogs_scrambled", "noise"]
    assert compared_sets(each_other.sel(set=["cats", "dogs"])) == ["cats", "dogs"]


def test_depth_leaves_references_out() -> None:
    """Unless they are named: what was scrambled is no set of its own."""
    rng = np.random.default_rng(0)
    names = [f"{kind}{place}" for place in range(4) for kind in ("film", "control")]
    sets = {name: {layer: rng.gamma(2, size=(6, 30)) for layer in ("input", "x")} for name in names}
    references = {name: name.replace("film", "control") for name in names if name.startswith("film")}
    result = dif.measure_responses(sets, n_units=20, draws=1, reference=references)
    assert dif.depth(result, pairs=False)["set"].values.tolist() == [*references]
    assert dif.depth(result, sets=names, pairs=False).sizes["set"] == 8


def test_tables_name_the_reference() -> None:
    """Of each row, as `relative` divides it; nothing where there is none."""
    table = dif.to_dataframe(own())
    of_sets = table.groupby("set")["reference"].unique()
    assert {name: [*of] for name, of in of_sets.items()} == {
        name: [reference] for name, reference in references_of(own()).items()
    }
    assert set(dif.to_dataframe(measured())["reference"]) == {""}
    assert set(dif.to_dataframe(measured("dogs"))["reference"]) == {"dogs"}


def test_renamed_sets_of_which_others_are_made() -> None:
    """The sources follow, however deep the name stands, and the methods paragraph with them."""
    sets = {
        "digits": "digits:4",
        "mixed": "scramble:digits?kind=pixels",
        "twice": "scramble:(scramble:digits?kind=pixels)?kind=blocks&size=2",
        "other": "scramble:(digits:4?digit=3)?kind=pixels",
    }
    result = dif.measure("digits", sets, n_units=20, draws=1, layers=["input"])
    renamed = dif.rename(result, sets={"digits": "zahlen?", "mixed": "digits"})
    sources = provenance(renamed)["sets"]
    assert sources["digits"] == "scramble:(zahlen?)?kind=pixels&axis=space&seed=0"
    assert sources["twice"].startswith("scramble:(scramble:(zahlen?)?kind=pixels&axis=space&seed=0)?kind=bl")
    assert sources["other"] == provenance(result)["sets"]["other"]
    assert 'made of "zahlen?" by putting their pixels' in dif.describe_methods(renamed).text
    back = dif.rename(renamed, sets={"zahlen?": "digits", "digits": "mixed"})
    xr.testing.assert_identical(back, result)


def test_kept_in_a_file_and_under_other_names(tmp_path: Path) -> None:
    """A result comes back as it was; names change there too."""
    dif.save(own(), tmp_path / "r.nc")
    loaded = dif.load_result(tmp_path / "r.nc")
    xr.testing.assert_identical(loaded, own())
    assert "divided by" in loaded["set_reference"].attrs["description"]
    renamed = dif.rename(loaded, sets={"cats_scrambled": "control", "noise": "white"})
    assert references_of(renamed)["cats"] == "control"
    assert references_of(renamed)["dogs_scrambled"] == "white"
    assert renamed.attrs["reference"] == "white"
    odd = own().assign_coords(set_reference=("set", ["gone", *own()["set_reference"].values[1:]]))
    with pytest.raises(dif.InputError, match="set_reference names the set 'gone'; expected one that the re"):
        require_whole(odd)


def test_a_reference_that_was_left_out(tmp_path: Path) -> None:
    """What is divided by it has no relative value, and that is told; others stay, in files too."""
    left = own().sel(set=["cats", "dogs", "dogs_scrambled"])
    dif.save(left, tmp_path / "left.nc")
    saved = dif.load_result(tmp_path / "left.nc")
    assert saved["set_reference"].values.tolist() == ["", "dogs_scrambled", ""]
    xr.testing.assert_identical(dif.relative(saved), dif.relative(left))
    relative = dif.relative(left)
    np.testing.assert_array_equal(relative.sel(set="dogs"), dif.relative(own()).sel(set="dogs"))
    assert relative.sel(set="cats").isnull().all()
    told = "the reference, the set 'cats_scrambled, noise', was left out: no value is relative to it"
    with pytest.warns(dif.DifferentiaWarning, match=told):
        table = dif.to_dataframe(left)
    assert table.groupby("set")["relative"].count().to_dict() == {"cats": 0, "dogs": 4, "dogs_scrambled": 4}
    with pytest.raises(dif.InputError, match=r"the set 'cats_scrambled', was left out of it: select it too"):
        dif.relative(own().sel(set=["cats"]))
    assert references_of(measured("noise").sel(set=["cats", "dogs"])) == {"cats": "", "dogs": ""}
    pair = own().sel(set=["cats", "cats_scrambled"])
    assert dif.relative(pair).sel(set="cats").notnull().any()


def test_several_results_of_one_reference() -> None:
    """Results whose sets have other references are not averaged."""
    results = {"a": own(), "c": measured("noise")}
    values = own()["differentiation"].copy()
    values.loc[{"set": "dogs_scrambled"}] *= 2.0
    results["b"] = own().assign(differentiation=values)
    found = dif.across({name: results[name] for name in ("a", "b")}, value="relative")
    assert found.attrs["reference"] == "each set's reference"
    expected = dif.draw_mean(dif.relative(own()), own()).sel(n_units=20).transpose("set", "layer")
    of_dogs = found["mean"].sel(group="all", set="dogs") / expected.sel(set="dogs")
    np.testing.assert_allclose(of_dogs, 0.75)  # the mean of 1 and 1/2
    np.testing.assert_allclose(found["mean"].sel(group="all", set="cats"), expected.sel(set="cats"))
    with pytest.raises(dif.InputError, match="differ in their reference: 'cats_scrambled for cats; noise fo"):
        dif.across({name: results[name] for name in ("a", "c")}, value="relative")


def test_words() -> None:
    """One reference goes by its name; several are listed, each with its sets."""
    assert the_reference({"a": "r", "b": "r"}) == the_reference("r") == short_name("r") == "r"
    assert the_reference({"a": "r", "b": "s"}) == the_reference(None) == short_name(None) == ""
    assert short_name({"a": "r", "b": ""}) == "each set's reference"
    assert short_name({"a": "", "b": ""}) == in_words({"a": "", "b": ""}) == ""
    assert in_words({"a": "r", "r": "r"}) == "r"
    assert in_words({"a": "r", "b": "s", "c": "r", "r": "r"}, '"{}"') == '"r" for "a", "c"; "s" for "b"'
    many = {f"s{place}": "r" for place in range(9)} | {f"t{place}": f"u{place}" for place in range(8)}
    assert in_words(many).startswith("r for s0, s1, s2, s3, s4, s5 and 3 more; u0 for t0; ")
    assert in_words(many).endswith("; and 3 more")


def test_resolved_references() -> None:
    """What is named comes before what stands for all others, and that before what was known."""
    assert resolved(None, "ab", {"a": "b"}) == {"a": "b", "b": "b"}
    assert resolved({"a": "c", "*": "b"}, "abc", {"a": "b"}) == {"a": "c", "b": "b", "c": "b"}
    assert resolved("a", "ab", {"a": "b"}) == {"a": "a", "b": "a"}
    assert resolved({}, "ab", {}) == {"a": "", "b": ""}
    assert resolved({"a": "", "*": "b"}, "abc", {"a": "b"}) == {"a": "", "b": "b", "c": "b"}


def test_doubts_and_copies_are_those_of_the_own_reference() -> None:
    """A value has the doubt of the set that it is divided by; images are shared with that set or not."""
    from differentia.output.doubts import told_doubts

    result = own()
    doubt = result["doubt"].copy()
    doubt.loc[{"set": "cats_scrambled", "layer": "x", "n_units": 20}] = "long tail"
    result = result.assign(doubt=doubt)
    told = told_doubts(result, "stimuli", references_of(result)).sel(layer="x", n_units=5)
    assert told.sel(set="cats").item().startswith("of cats_scrambled: ")
    assert told.sel(set="dogs").item() == ""
    assert told.sel(set="cats_scrambled").item() == ""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)
    sets = {"a": pixels[:4], "b": pixels[2:], "c": "noise:3"}
    for reference, ending in (({"a": "b"}, "; intervals relative to b do not."), ({"a": "c"}, "agree.")):
        found = dif.measure("digits", sets, n_units=20, layers=["input"], reference=reference)
        assert dif.say_copies(found)[0].endswith(ending)


def test_no_value_of_a_reference_is_told() -> None:
    """Of each that is 0 somewhere."""
    result = own()
    values = result["differentiation"].copy()
    values.loc[{"set": "dogs_scrambled", "layer": "y"}] = 0.0
    values.loc[{"set": "cats", "layer": "x"}] = 0.0  # which divides nothing
    from differentia.results.doubts import say_undefined

    told = [
        sentence
        for sentence in say_undefined(result.assign(differentiation=values))
        if "relative" in sentence
    ]
    assert told == [
        "No relative value in y: the differentiation of the reference, dogs_scrambled, is 0 there."
    ]
