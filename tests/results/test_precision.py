"""How many images and units are enough: what is foretold, against what more of them give."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from helpers.responses import contrast_varying, gaussian
from scipy.spatial.distance import pdist, squareform

import differentia as dif
from differentia.results import precision as module
from differentia.results.confidence import Sample, TrialSample
from differentia.results.precision import FAR, MANY, STRENGTH, WIDE, half_width, images_to_halve, say_missing


def sample(responses: np.ndarray) -> Sample:
    """Return a set of responses as its confidence depends on it."""
    return Sample(squareform(pdist(responses)), responses.mean(axis=1), (responses**2).mean(axis=1))


def of_pairs(n: int, seed: int) -> Sample:
    """Return a set whose distances are each on their own, and are not divided by an SD."""
    distances = np.triu(np.exp(0.1 * np.random.default_rng(seed).normal(size=(n, n))), k=1)
    return Sample(distances + distances.T)


def of_images(n: int, seed: int) -> Sample:
    """Return a set whose distances are nothing but what each image adds."""
    added = np.random.default_rng(seed).normal(1.0, 0.1, size=n)
    distances = added[:, np.newaxis] + added
    np.fill_diagonal(distances, 0.0)
    return Sample(distances)


def left(n: int, count: int, seed: int) -> float:
    """Return what so many new images leave of the width of the interval of n."""
    first, second = (
        sample(gaussian(np.random.default_rng([seed, at]), size)) for at, size in enumerate((n, count))
    )
    return half_width(second.confidence(), 0.95) / half_width(first.confidence(), 0.95)


def test_so_many_new_images_halve_the_interval() -> None:
    """As many as were named do; four times as many, as by the root of their number, do far more."""
    named, fourfold = [], []
    for seed in range(40):
        more, unknown = images_to_halve(sample(gaussian(np.random.default_rng([seed, 0]), 20)), 0.95)
        assert not unknown
        named.append(left(20, int(more), seed))
        fourfold.append(left(20, 80, seed))
    assert np.median(named) == pytest.approx(0.5, rel=0.15)
    assert np.median(fourfold) < 0.425


def test_pairs_and_images_by_hand() -> None:
    """Errors of pairs fall with the number of images, those of images with its root, and t quantiles too."""
    pairs = [images_to_halve(of_pairs(100, seed), 0.95)[0] for seed in range(15)]
    images = [images_to_halve(of_images(100, seed), 0.95)[0] for seed in range(15)]
    # 4 H (1 - H) / (N (N - 2)) falls to a quarter at about 2 N.
    assert np.median(pairs) == pytest.approx(200, rel=0.1)
    assert np.median(images) == pytest.approx(400, rel=0.1)


def test_as_many_images_as_there_are_change_nothing() -> None:
    """The distribution that is expected of as many is that of those; of more, narrower."""
    of_set = sample(gaussian(np.random.default_rng(3), 30))
    known, same, more = of_set.confidence(), of_set.expected(30), of_set.expected(60)
    assert known is not None
    assert same is not None
    np.testing.assert_array_equal(known.log_limit, same.log_limit)
    assert known.freedom == same.freedom
    widths = [half_width(each, 0.95) for each in (known, more)]
    assert widths[1] < 0.8 * widths[0]


@pytest.mark.parametrize("n", [20, 43])
def test_strong_images_promise_nothing(n: int) -> None:
    """Where stronger images may follow, it is not told how many are enough; of others it is."""

    def told(generate: object) -> float:
        sets = [sample(generate(np.random.default_rng([seed, n]), n)) for seed in range(40)]  # type: ignore[operator]
        return float(np.mean([np.isfinite(images_to_halve(each, 0.95)[0]) for each in sets]))

    assert told(contrast_varying) <= 0.1
    assert told(gaussian) >= 0.9


def test_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is given where it holds, and nowhere else."""
    rng = np.random.default_rng(0)
    of_few = of_images(40, 0)
    assert images_to_halve(of_few, 0.95)[1] == ""
    assert images_to_halve(of_images(600, 0), 0.95)[1] == MANY
    # Distances of very different sizes, of few images, which are not divided by their SD.
    wide = of_images(12, 0).distances ** 30
    assert images_to_halve(Sample(wide), 0.95)[1] == WIDE
    steep = np.exp(0.5 * np.sort(rng.normal(size=(43, 1)), axis=0)) * rng.normal(size=(43, 60))
    assert images_to_halve(sample(steep), 0.95)[1] == STRENGTH
    monkeypatch.setattr(module, "_FURTHEST", 2)
    assert images_to_halve(of_few, 0.95)[1] == FAR


def test_more_units_halve_the_interval() -> None:
    """By the root of 1/K - 1/L, as draws from the whole layer show; at most all units."""
    rng = np.random.default_rng(0)
    arrays = {"a": {"x": rng.normal(size=(12, 400)) * np.exp(rng.normal(size=400))}}
    few = dif.measure_responses(arrays, n_units=20, pool=400, draws=200)
    found = dif.precision(few)
    more = int(found["units_to_halve"].item())
    assert more == np.ceil(1 / ((1 / 20 - 1 / 400) / 4 + 1 / 400)) == 70
    many = dif.measure_responses(arrays, n_units=more, pool=400, draws=200)
    halved, half = (each["half_width"].sel(source="units").item() for each in (dif.precision(many), found))
    assert halved / half == pytest.approx(0.5, abs=0.1)


def told(result: xr.Dataset) -> str:
    """Return all that is said, as one text."""
    return " ".join(dif.say_precision(result))


def test_in_words() -> None:
    """In the median, and where it is known least: half the interval, and the number that would halve it."""
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(43, 8)) @ rng.normal(size=(8, 60))
    layers = {"wide": wide, "narrow": rng.normal(size=(43, 60)), "other": rng.normal(size=(43, 60))}
    result = dif.measure_responses({"cats": layers}, n_units=(20, 60))
    found = dif.precision(result)
    half = found["half_width"].sel(source="images", n_units=60, set="cats")
    assert int(half.argmax("layer")) == 0
    more = found["images_to_halve"].sel(set="cats", layer="wide").item()
    assert 86 < more < 172
    median, most = float(half.median()), half.sel(layer="wide").item()
    assert dif.say_precision(result) == [
        f"With 43 stimuli, values are known to ±{median:.2g} in the median and ±{most:.2g} for cats in wide "
        f"(95 %); about {float(f'{more:.2g}'):.0f} stimuli would halve that."
    ]
    one = told(result.sel(layer=["wide"]))
    assert one.startswith(f"With 43 stimuli, cats in wide is known to ±{most:.2g} (95 %); about ")


def test_sets_of_different_sizes() -> None:
    """All are counted, and the set is named whose stimuli would help."""
    rng = np.random.default_rng(1)
    sets = {"few": {"x": gaussian(rng, 12)}, "many": {"x": gaussian(rng, 80)}}
    said = told(dif.measure_responses(sets))
    assert said.startswith("With 12 to 80 stimuli of each set, values are known to ±")
    assert " for few in x (95 %); about " in said
    assert said.endswith(" stimuli of few would halve that.")


def test_units_where_they_matter() -> None:
    """How far another draw of few units lies, and how many would halve that; nothing of the whole layer."""
    rng = np.random.default_rng(2)
    arrays = {"a": {"x": rng.normal(size=(40, 400)) * np.exp(rng.normal(size=400))}}
    result = dif.measure_responses(arrays, n_units=20, pool=400, draws=50)
    images, units = dif.say_precision(result)
    reach = dif.precision(result)["half_width"].sel(source="units").item()
    # Of so few, more units are named before more images.
    assert images.endswith(" (95 %); look at more than 20 neurons of x before you show more stimuli.")
    assert units == (
        f"Another draw of 20 neurons, of a in x, lies within ±{reach:.2g} (95 %); 70 neurons "
        "would halve that."
    )
    (whole,) = dif.say_precision(dif.measure_responses(arrays, n_units=400))
    assert whole.startswith("With 40 stimuli, a in x is known to ±")
    assert whole.endswith(" stimuli would halve that.")
    # A spread far below that of images is not worth a word.
    level = arrays["a"]["x"][:, :10].repeat(40, axis=1)
    (even,) = dif.say_precision(dif.measure_responses({"a": {"x": level}}, n_units=390, pool=400, draws=5))
    assert "Another draw" not in even


def test_one_draw_tells_nothing_of_others() -> None:
    """Then it says so, and which options would tell; not where there are draws, nor of the whole layer."""
    rng = np.random.default_rng(2)
    arrays = {"a": {"x": rng.normal(size=(40, 400)), "y": rng.normal(size=(40, 60))}}
    few = "no more were kept than are looked at"
    for options, reason, cure in (
        ({"n_units": 50, "pool": 50}, few, "a larger pool would tell (--pool 400; in Python, pool=400)"),
        ({"n_units": 20, "pool": 20}, few, "a larger pool would tell (--pool 200; in Python, pool=200)"),
        (
            {"n_units": 20, "pool": 200, "draws": 1},
            "there is one draw",
            "more draws would tell (--draws 20; in Python, draws=20)",
        ),
        (
            {"n_units": (10, 20), "pool": 20, "draws": 1},
            f"there is one draw and {few}",
            "more draws and a larger pool would tell (--draws 20 --pool 200; in Python, draws=20, pool=200)",
        ),
    ):
        assert told(dif.measure_responses(arrays, **options)).endswith(
            f"How much depends on which neurons were drawn is not known, as {reason}: {cure}."
        )
    with_pool = dif.measure_responses(arrays, n_units=20)
    assert np.isfinite(dif.precision(with_pool)["half_width"].sel(source="units")).all()
    for options in ({"n_units": 20}, {"n_units": (20, 50), "pool": 50}, {"n_units": 400, "draws": 1}, {}):
        assert "How much depends" not in told(dif.measure_responses(arrays, **options))


def test_intervals_that_say_little() -> None:
    """From where to where, and what would help: more units of few, else more images; no number of them."""
    rng = np.random.default_rng(2)
    uneven = {"a": {"x": np.exp(1.2 * rng.normal(size=(12, 1))) * rng.normal(size=(12, 60))}}
    few = dif.measure_responses(uneven, n_units=30, normalize="none")
    whole = dif.measure_responses(uneven, normalize="none")
    for result, cure in (
        (few, "look at more than 30 neurons of x before you show more stimuli."),
        (whole, "12 stimuli of its kind are too few."),
    ):
        limits = [result[f"differentiation_{end}"].sel(source="images").item() for end in ("low", "high")]
        assert limits[1] - limits[0] > result["differentiation"].sel(draw=0).item()
        said = f"The interval of a in x says little, from {limits[0]:.1f} to {limits[1]:.1f}: {cure}"
        assert dif.say_precision(result)[0] == said
        assert dif.precision(result)["unknown"].item() == "wide"
    bounded = dif.measure_responses({"a": {"x": gaussian(rng, 20), "y": gaussian(rng, 20)}})
    of_images = {"source": "images"}
    bounded["differentiation_low"].loc[of_images] = 0.0
    bounded["differentiation_high"].loc[of_images] = 2 * np.sqrt(20 / 19)
    assert dif.say_precision(bounded) == [
        "The interval of a in x says little, from 0.0 to 2.1, the largest value there can be "
        "(so does 1 other): 20 stimuli of its kind are too few."
    ]


def test_small_values_are_left_out() -> None:
    """A wide interval of a value that hardly counts beside the others is not worth a word."""
    rng = np.random.default_rng(4)
    result = dif.measure_responses({"a": {"x": gaussian(rng, 43), "silent": gaussian(rng, 43)}})
    silent = result.sel(layer="silent", drop=True)
    assert "says little" not in told(result)
    for scale, said in ((0.001, False), (1.0, True)):
        changed = result.copy(deep=True)
        of_images = {"layer": "silent", "source": "images"}
        for name, factor in (("differentiation_low", 0.2), ("differentiation_high", 3.0)):
            changed[name].loc[of_images] = silent[name].sel(source="images") * factor * scale
        changed["differentiation"].loc[{"layer": "silent"}] = silent["differentiation"] * scale
        assert ("The interval of a in silent says little" in told(changed)) == said


def test_what_cannot_be_told_in_words() -> None:
    """No number is promised without distances, and of strong images."""
    rng = np.random.default_rng(4)
    result = dif.measure_responses({"a": {"x": gaussian(rng, 43)}})
    assert "stimuli would halve that." in told(result)
    without = result.drop_vars("distance")
    assert dif.precision(without)["unknown"].item() == "no distances"
    assert told(without).endswith("(95 %).")
    other = dif.measure_responses({"a": {"x": gaussian(rng, 43)}}, metric="cityblock")
    assert dif.precision(other)["unknown"].item() == "no distances"
    strong = np.exp(0.5 * rng.normal(size=(43, 1))) * rng.normal(size=(43, 60))
    assert told(dif.measure_responses({"a": {"x": strong}})).endswith(
        "(95 %); how many stimuli would halve that can't be told, as the few with the strongest responses "
        "count most, and others may have stronger ones: show more."
    )


def test_doubtful_layers_promise_nothing() -> None:
    """A layer with a doubt is left out, however uncertain it is; a set that has no other says nothing."""
    rng = np.random.default_rng(5)
    strong = gaussian(rng, 43)
    strong[0] *= 30
    result = dif.measure_responses({"a": {"strong": strong, "even": gaussian(rng, 43)}})
    assert dif.doubts(result).values.ravel().tolist() == ["strong images", ""]
    found = dif.precision(result)
    assert found["unknown"].values.tolist() == [["no interval", ""]]
    assert found["images_to_halve"].isnull().values.tolist() == [[True, False]]
    assert dif.say_precision(result)[0].startswith("With 43 stimuli, a in even is known to ±")
    assert dif.say_precision(result.isel(layer=[0])) == []


def test_where_nothing_is_known() -> None:
    """The number of images where it is why; nothing of results without limits, nor where a value is NaN."""
    rng = np.random.default_rng(2)
    sets = {name: {"x": gaussian(rng, count)} for name, count in (("a", 5), ("b", 9), ("c", 10))}
    result = dif.measure_responses(sets)
    missing = "No interval for a (5 stimuli), b (9 stimuli): there are intervals for 10 to 2,048 stimuli."
    assert dif.say_precision(result)[1:] == say_missing(result) == [missing]
    assert dif.say_precision(result.sel(set=["a", "b"])) == [missing]
    assert dif.precision(result.sel(set=["a"]))["images_to_halve"].isnull().all()
    old = result.drop_vars(["differentiation_low", "differentiation_high", "source"])
    assert dif.say_precision(old) == []
    with pytest.raises(dif.InputError, match="no differentiation_low; measure again, or add them"):
        dif.precision(old)


def test_it_stays_a_few_sentences() -> None:
    """However many sets and layers there are, and of a network in its own words."""
    sets = {f"set_{at}": f"noise:10?seed={at}" for at in range(12)} | {"two": "noise:2?seed=20"}
    result = dif.measure("digits", sets, n_units=5, pool=20, draws=3, views=False)
    said = dif.say_precision(result) + dif.say_doubts(result)
    assert 3 <= len(said) <= 8
    assert sum(map(len, said)) < 1800
    assert not re.search(r"stimul|neuron", " ".join(said))


def test_trials_that_halve_an_interval() -> None:
    """As many as are named do, of which the interval is made anew; one fewer do not."""
    for n in (3, 4, 9, 40):
        values = np.random.default_rng(n).normal(1.0, 0.05, n)
        sample = TrialSample(values)
        more, unknown = images_to_halve(sample, 0.95, np.inf)
        assert not unknown
        now = half_width(sample.confidence(), 0.95)
        widths = [half_width(sample.expected(int(more) - less), 0.95) for less in (0, 1)]
        assert widths[0] <= now / 2 < widths[1]
        assert n < more <= 4 * n
        assert half_width(sample.expected(n), 0.95) == pytest.approx(now)
    # what so many new ones do give, in the median
    halved = []
    for seed in range(300):
        few = TrialSample(np.random.default_rng([seed, 0]).normal(1.0, 0.2, 10))
        more, _ = images_to_halve(few, 0.95, np.inf)
        new = TrialSample(np.random.default_rng([seed, 1]).normal(1.0, 0.2, int(more)))
        halved.append(half_width(new.confidence(), 0.95) / half_width(few.confidence(), 0.95))
    assert np.median(halved) == pytest.approx(0.5, rel=0.1)


def test_how_many_trials_are_told() -> None:
    """Of a result of trials; of values that trials at hand do not give it is unknown."""
    rng = np.random.default_rng(0)
    given = {"a": rng.gamma(2.0, 1.0, (9, 40, 6)), "b": rng.gamma(2.0, 1.0, (4, 40, 6))}
    result = dif.measure_states(given, rate=20, length=0.5)
    values = result["trial_differentiation"].values[9:, 0, 0, 0]
    found = dif.precision(result)
    assert found["unknown"].values.tolist() == [[""], [""]]
    expected, _ = images_to_halve(TrialSample(values), 0.95)
    assert found["images_to_halve"].values[1, 0] == expected
    assert f"about {expected:.0f} trials of b would halve that." in dif.say_precision(result)[0]
    other = result.assign(trial_differentiation=result["trial_differentiation"] * 1.1)
    assert dif.precision(other)["unknown"].values.tolist() == [["no distances"], ["no distances"]]
