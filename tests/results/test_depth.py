"""How layers follow the stimulus: against SciPy, with what is known to be there, and with what is not."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from helpers.figures import of_network
from helpers.following import LAYERS, films, measured
from scipy import stats
from scipy.spatial.distance import pdist

import differentia as dif
from differentia.results.correlations import COEFFICIENTS
from differentia.results.depth import (
    LEAST_SETS,
    depth_rows,
    names_told,
    pair_rows,
    require_depth,
)


@cache
def found() -> xr.Dataset:
    """Return what `depth` says of it; no test changes it."""
    return dif.depth(measured())


def test_across_sets_as_scipy_has_it() -> None:
    """Pearson, Spearman and the line are SciPy's, over all sets but the reference."""
    values = dif.draw_mean(measured()["differentiation"], measured()).isel(n_units=-1)
    names = [f"film {number}" for number in range(12)]
    assert found()["set"].values.tolist() == names
    x = values.sel(set=names, layer="input").values
    np.testing.assert_array_equal(found()["stimulus"], x)
    for layer in LAYERS[1:]:
        y = values.sel(set=names, layer=layer).values
        at = found().sel(layer=layer)
        np.testing.assert_array_equal(at["value"], y)
        pearson, spearman, line = stats.pearsonr(x, y), stats.spearmanr(x, y), stats.linregress(x, y)
        assert at["pearson"] == pytest.approx(pearson.statistic)
        assert at["spearman"] == pytest.approx(spearman.statistic)
        assert at["slope"] == pytest.approx(line.slope)
        assert at["intercept"] == pytest.approx(line.intercept)
        assert at["r_squared"] == pytest.approx(line.rvalue**2)
        assert at["n_sets"] == 12
        for what in ("pearson", "spearman", "slope", "r_squared"):
            assert at[f"{what}_low"] <= at[what] <= at[f"{what}_high"]
        by_permutation = stats.permutation_test(
            (x,),
            lambda one, y=y: abs(stats.pearsonr(one, y).statistic),
            permutation_type="pairings",
            alternative="greater",
            n_resamples=499,
            rng=np.random.default_rng(0),
        )
        assert at["pearson_p"] == pytest.approx(by_permutation.pvalue, abs=0.07)
        assert at["pearson_p_corrected"] >= at["pearson_p"]


def test_what_is_there_is_found() -> None:
    """Layers that pass the films on follow them; one of noise does not."""
    corrected = found()["pearson_p_corrected"]
    assert (corrected.sel(layer=["early", "late"]) < 0.01).all()
    assert corrected.sel(layer="noise") > 0.1
    assert (found()["pearson_low"].sel(layer=["early", "late"]) > 0).all()
    assert found()["pearson_low"].sel(layer="noise") < 0 < found()["pearson_high"].sel(layer="noise")


def test_the_base_itself() -> None:
    """It goes with itself, which needs no test, and counts for none of the others'."""
    own = found().sel(layer="input")
    for what in ("pearson", "spearman", "slope", "r_squared"):
        assert own[what] == pytest.approx(1.0)
        assert np.isnan(own[f"{what}_low"])
    assert np.isnan([own["pearson_p"], own["pearson_p_corrected"]]).all()
    assert (own["mantel_spearman"] == 1).all()
    assert own["mantel_spearman_p"].isnull().all()
    without = dif.depth(measured().sel(layer=["input", "noise"]))
    assert without["pearson_p"].sel(layer="noise") == without["pearson_p_corrected"].sel(layer="noise")


def test_the_reference_decides_nothing() -> None:
    """Unless it is asked for: one set far from all else then has most of the spread, which is told."""
    assert (found()["lone_set"] == "").all()
    names = measured()["set"].values.tolist()
    with_noise = dif.depth(measured(), sets=names)
    assert with_noise["set"].values.tolist() == names
    assert with_noise["lone_set"].values.tolist() == ["white_noise"] * 4
    assert with_noise["pearson"].sel(layer="early") > 0.99


def test_within_sets_as_scipy_has_it() -> None:
    """The pairs' distances in two layers, set by set."""
    arrays = films()
    for name in ("film 0", "film 7"):
        of_set = {layer: pdist(values) for layer, values in arrays[name].items()}
        at = found().sel(set=name)
        for layer in LAYERS:
            for other in LAYERS:
                expected = stats.spearmanr(of_set[layer], of_set[other]).statistic
                assert at["similarity"].sel(layer=layer, layer_other=other) == pytest.approx(
                    expected, abs=1e-9
                )
            pearson = stats.pearsonr(of_set["input"], of_set[layer]).statistic
            assert at["mantel_pearson"].sel(layer=layer) == pytest.approx(pearson, abs=1e-5)
            expected = at["similarity"].sel(layer="input", layer_other=layer)
            assert at["mantel_spearman"].sel(layer=layer) == pytest.approx(float(expected))
    assert (found()["mantel_pearson_p_corrected"] >= found()["mantel_pearson_p"]).sum() == 12 * 3
    early, noise = (found()["mantel_pearson_p"].sel(layer=layer) for layer in ("early", "noise"))
    assert early.median() < 0.01 < 0.2 < noise.median()


def recording(**names: str) -> xr.Dataset:
    """Return what neurons respond to the films, some of which have other names there."""
    arrays = films()
    shown = {names.get(name.replace(" ", "_"), name): {"V1": one["late"]} for name, one in arrays.items()}
    rest = {"V1": np.random.default_rng(1).normal(size=(8, 30))}
    return dif.measure_responses({"rest": rest, **shown}, normalize="none")


def test_the_stimulus_of_another_result() -> None:
    """Sets are matched by name, whatever their order; those without a partner are told."""
    neurons = recording(film_3="another")
    given = dif.depth(neurons, stimulus=measured())
    assert given["set"].values.tolist() == [f"film {n}" for n in range(12) if n != 3]
    assert names_told(given, "left_out") == ["rest", "another"]
    x = measured()["differentiation"].sel(layer="input", set=given["set"]).isel(n_units=-1, draw=0)
    y = neurons["differentiation"].sel(layer="V1", set=given["set"]).isel(n_units=-1, draw=0)
    assert given["pearson"].sel(layer="V1") == pytest.approx(stats.pearsonr(x, y).statistic)
    assert given["mantel_spearman"].isnull().all()
    assert given["similarity"].sel(layer="V1", layer_other="V1").notnull().all()
    turned = dif.depth(neurons, stimulus=measured(), sets=given["set"].values.tolist()[::-1])
    assert turned["pearson"].sel(layer="V1") == pytest.approx(float(given["pearson"].sel(layer="V1")))
    said = " ".join(dif.say_depth(given))
    assert "Left out, since the stimulus has no such set: rest, another." in said
    assert "It can be told from chance (corrected p < 0.05) in V1." in said
    assert "not compared with those of the stimulus, which is of another result" in said


def test_the_stimulus_of_several_results() -> None:
    """Of the result that it comes from, it is the base; of one with another input it is another's."""
    xr.testing.assert_identical(dif.depth(measured(), stimulus=measured()), found())
    other = measured().copy(deep=True)
    other["differentiation"] = other["differentiation"] + 0.01
    given = dif.depth(other, stimulus=measured(), pairs=False)
    assert not given.attrs["has_base"]
    assert given["pearson_p"].sel(layer="input") < 0.01
    assert found()["pearson_p"].sel(layer="input").isnull()


def test_what_can_not_be_compared() -> None:
    """No layer, no set, too few sets in common; options that can't be used."""
    result, neurons = measured(), recording()
    for given, options, message in (
        (neurons, {}, r"has no layer 'input' to compare with; .*stimulus= \(--stimulus\)"),
        (result, {"base": "erly"}, r"unknown layer in base= \(--base\) 'erly'. Did you mean 'early'\?"),
        (result, {"sets": ["film 1", "film 99"]}, "unknown set 'film 99'"),
        (result, {"sets": "film 1"}, "expected a list of names"),
        (result, {"sets": 3}, "sets= is 3; expected a list of names"),
        (result, {"base": 3}, "base is 3; expected the name of a layer"),
        (result, {"pairs": 1}, "pairs is 1; expected True or False"),
        (result, {"sets": ["film 1", "film 1"]}, r"sets= \(--sets\) names 'film 1' twice"),
        (result, {"confidence": 2}, "confidence"),
        (result, {"permutations": 0}, "permutations is 0"),
        (result, {"seed": -1}, "seed is -1"),
        (neurons, {"stimulus": neurons}, r"unknown layer in base= \(--base\) 'input'"),
        (neurons, {"stimulus": result, "sets": ["rest", "film 1"]}, "1 set in common .*expected 4 at least"),
        (neurons, {"stimulus": 3}, "the stimulus is of type int"),
        (3, {}, "the result is of type int"),
    ):
        with pytest.raises(dif.InputError, match=message):
            dif.depth(given, **options)  # type: ignore[arg-type]
    with pytest.raises(dif.InputError, match=r"not what depth\(result\) returned"):
        require_depth(result)


def test_few_sets_and_few_images() -> None:
    """Three sets have no correlation across them, and sets of four images none within; both are told."""
    few = dif.depth(measured(), sets=["film 1", "film 2", "film 3"])
    assert few["pearson"].isnull().all()
    assert few["slope"].isnull().all()
    assert (few["n_sets"] == 3).all()
    assert few["mantel_spearman"].notnull().all()
    assert dif.say_depth(few)[0] == (
        "No correlation across sets: there are 3 sets, and at least 4 are needed."
    )
    four = dif.depth(measured(), sets=[f"film {n}" for n in range(LEAST_SETS)])
    assert np.isfinite(four["pearson"]).all()
    small = dif.depth(of_network(dif.measure_responses(films(5, images=4))))
    assert small["mantel_spearman"].isnull().all()
    assert small["similarity"].isnull().all()
    assert "Pairs were not compared in sets of fewer than 5 images: film 0, film 1, film 2 and 2" in " ".join(
        dif.say_depth(small)
    )


def test_values_that_are_not_known() -> None:
    """A set is left out where a layer has no value, and of all layers where the stimulus has none."""
    values = measured()["differentiation"].copy()
    values.loc[{"set": "film 2", "layer": "early"}] = np.nan
    values.loc[{"set": "film 5", "layer": "input"}] = np.nan
    given = dif.depth(measured().assign(differentiation=values))
    assert given["n_sets"].values.tolist() == [11, 10, 11, 11]
    x, y = (
        values.sel(layer=layer).isel(n_units=-1, draw=0).drop_sel(set=["white_noise", "film 2", "film 5"])
        for layer in ("input", "early")
    )
    assert given["pearson"].sel(layer="early") == pytest.approx(stats.pearsonr(x, y).statistic)
    assert np.isfinite(given["pearson_p_corrected"].values[1:]).all()
    said = " ".join(dif.say_depth(given))
    assert "Left out, since the stimulus has no value: film 5." in said
    assert "Left out where a layer has no value: film 2." in said
    flat = measured()["differentiation"].copy()
    flat.loc[{"layer": ["early", "late", "noise"]}] = 0.5
    constant = dif.depth(measured().assign(differentiation=flat))
    assert constant["pearson"].sel(layer=["early", "late", "noise"]).isnull().all()
    assert constant["pearson_p"].isnull().all()
    assert "No correlation across sets: values do not vary." in dif.say_depth(constant)


def test_without_distances() -> None:
    """Sets can be compared, their pairs can't."""
    given = dif.depth(measured().drop_vars("distance"))
    xr.testing.assert_identical(given["pearson"], found()["pearson"])
    assert given["similarity"].isnull().all()
    assert "Pairs were not compared: the result holds no distances" in " ".join(dif.say_depth(given))
    assert pair_rows(given) == []


def test_the_same_seed_gives_the_same_p() -> None:
    """And another seed another, near it."""
    names = [f"film {n}" for n in range(6)]
    some = [dif.depth(measured(), sets=names, permutations=499, seed=seed) for seed in (3, 3, 4)]
    xr.testing.assert_identical(some[0], some[1])
    assert not some[0]["pearson_p"].equals(some[2]["pearson_p"])
    np.testing.assert_allclose(some[0]["pearson_p"], some[2]["pearson_p"], atol=0.1)


def test_false_positives() -> None:
    """Over all layers at most 6 % find what is not there; without the correction far more do."""
    rng, count = np.random.default_rng(0), 120
    template = of_network(
        dif.measure_responses(
            {f"s{n}": {f"l{k}": rng.normal(size=(3, 4)) for k in range(6)} for n in range(8)}
        )
    ).drop_vars("distance")
    corrected = alone = 0
    for seed in range(count):
        values = np.random.default_rng(seed).lognormal(size=template["differentiation"].shape)
        result = template.assign(differentiation=template["differentiation"].copy(data=values))
        given = dif.depth(result, base="l0", permutations=99, seed=seed)
        corrected += int((given["pearson_p_corrected"] < 0.05).any())
        alone += int((given["pearson_p"] < 0.05).any())
    assert corrected / count <= 0.06
    assert alone / count > 0.12


def test_sentences() -> None:
    """Where the stimulus is followed most, how far, and how pairs go with it; and what lies opposite."""
    said = dif.say_depth(found())
    assert said[0].startswith("Differentiation follows that of the stimulus most in early: r = 0.9")
    assert said[0].endswith("over 12 sets.")
    assert said[1] == "After late it can't be told from chance in any layer (corrected p < 0.05)."
    assert said[-1].startswith(
        "Within sets, the distances of pairs have a rank correlation with those in input"
    )
    short = dif.say_depth(dif.depth(measured().sel(layer=["input", "early"])))
    assert short[1] == "It can be told from chance (corrected p < 0.05) up to the last layer, early."
    values = measured()["differentiation"].copy()
    values.loc[{"layer": "late"}] = 100 - values.sel(layer="input")
    opposite = dif.say_depth(dif.depth(measured().assign(differentiation=values)))
    assert "It falls where that of the stimulus rises in late." in opposite
    none = dif.say_depth(dif.depth(measured().sel(layer=["input", "noise"])))
    assert none[0].startswith(
        "In no layer can it be told from chance that differentiation follows that of the stimulus (corrected "
        "p < 0.05); the highest correlation is that of noise: r = "
    )


def test_doubts_are_told() -> None:
    """Values that are in doubt are compared all the same."""
    doubt = measured()["doubt"].copy(data=np.full(measured()["doubt"].shape, "", dtype="U32"))
    doubt.loc[{"set": ["film 3", "white_noise"], "layer": "late"}] = "gap"
    given = dif.depth(measured().assign(doubt=doubt), pairs=False)
    assert given["doubt"].sel(set="film 3", layer="late") == "gap"
    assert given["n_sets"].values.tolist() == [12] * 4
    said = "Of film 3, values in some layers are not to be trusted (doubts)."
    assert said in dif.say_depth(given)
    assert said not in dif.say_depth(found())
    assert "similarity" not in given
    assert pair_rows(given) == []


def test_images_that_are_no_independent_sample_have_no_p() -> None:
    """Within sets, where images would change places; correlations and p across sets are as they were."""
    doubt = measured()["doubt"].copy(data=np.full(measured()["doubt"].shape, "windows"))
    given, plain = dif.depth(measured().assign(doubt=doubt)), found()
    for name in ("mantel_pearson", "mantel_spearman"):
        assert bool(given[f"{name}_p"].isnull().all())
        assert bool(given[f"{name}_p_corrected"].isnull().all())
        assert bool(plain[f"{name}_p"].notnull().any())
        np.testing.assert_array_equal(given[name], plain[name])
    np.testing.assert_array_equal(given["pearson_p"], plain["pearson_p"])
    said = "the correlations of pairs have no p: images of one stretch of time follow one another"
    assert said in " ".join(dif.say_depth(given))
    assert said not in " ".join(dif.say_depth(plain))
    assert dif.say_depth(plain)[-1] in dif.say_depth(given)


def test_it_can_be_saved(tmp_path: Path) -> None:
    """As netCDF, and says the same when it is read."""
    given = dif.depth(recording(), stimulus=measured())
    given.to_netcdf(tmp_path / "depth.nc")
    with xr.open_dataset(tmp_path / "depth.nc") as read:
        assert names_told(read, "left_out") == ["rest"]
        assert dif.say_depth(read) == dif.say_depth(given)


def test_sets_that_share_images_are_told() -> None:
    """They are no independent observations; the reference, which is left out, may share what it will."""
    hashes = np.array([f"{at}" for at in range(measured().sizes["image"])])
    said = "Some images are in several sets (film 2, film 5): these are not independent"
    assert said not in " ".join(dif.say_depth(dif.depth(measured(), pairs=False)))
    rows = [
        np.flatnonzero(measured()["image_set"].values == name) for name in ("film 2", "film 5", "white_noise")
    ]
    hashes[rows[1][3]] = hashes[rows[0][0]]
    hashes[rows[2][0]] = hashes[rows[0][1]]
    given = dif.depth(measured().assign_coords(image_hash=("image", hashes)), pairs=False)
    assert said in " ".join(dif.say_depth(given))


def test_rows() -> None:
    """Each number of each layer, and of each set and layer."""
    rows = depth_rows(found())
    assert [row["layer"] for row in rows] == list(LAYERS)
    assert rows[1]["pearson"] == float(found()["pearson"].sel(layer="early"))
    pairs = pair_rows(found())
    assert len(pairs) == 12 * 4
    assert {*pairs[0]} == {"set", "layer"} | {
        f"mantel_{name}{end}" for name in COEFFICIENTS for end in ("", "_p", "_p_corrected")
    }
