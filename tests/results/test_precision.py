"""How many images and units are enough: what is foretold, against what more of them give."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.responses import contrast_varying, gaussian
from scipy.spatial.distance import pdist, squareform

import differentia as dif
from differentia.results import precision as module
from differentia.results.confidence import Sample
from differentia.results.precision import FAR, MANY, STRENGTH, WIDE, half_width, images_to_halve


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


def test_in_words() -> None:
    """Each set where it is known least: the layer, half the interval, and the number that would halve it."""
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(43, 8)) @ rng.normal(size=(8, 60))
    result = dif.measure_responses(
        {"cats": {"wide": wide, "narrow": rng.normal(size=(43, 60))}}, n_units=(20, 60)
    )
    found = dif.precision(result)
    half = found["half_width"].sel(source="images", n_units=60, set="cats")
    assert int(half.argmax("layer")) == 0
    more = found["images_to_halve"].sel(set="cats", layer="wide").item()
    assert 86 < more < 172
    reach, about = f"±{half.sel(layer='wide').item():.2g}", f"{float(f'{more:.2g}'):.0f}"
    assert dif.say_precision(result) == [
        f"With 43 images, cats in wide, the least certain layer, is known to {reach} (95 %); "
        f"about {about} images would halve that."
    ]


def test_units_where_they_matter_more() -> None:
    """Of a draw of few units, more units help most, and images are not named."""
    rng = np.random.default_rng(2)
    arrays = {"a": {"x": rng.normal(size=(40, 400)) * np.exp(rng.normal(size=400))}}
    said = dif.say_precision(dif.measure_responses(arrays, n_units=20, pool=400, draws=50))
    assert len(said) == 1
    assert said[0].startswith("With 20 units, a draw of a in x lies within ±")
    assert said[0].endswith(" (95 %); 70 units would halve that.")
    whole = dif.say_precision(dif.measure_responses(arrays, n_units=400))
    assert whole[0].startswith("With 40 images, a in x is known to ±")


def test_what_cannot_be_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number is promised without distances, of strong images, and where an interval is wide."""
    rng = np.random.default_rng(4)
    result = dif.measure_responses({"a": {"x": gaussian(rng, 43)}})
    assert "images would halve that." in dif.say_precision(result)[0]
    without = result.drop_vars("distance")
    assert dif.precision(without)["unknown"].item() == "no distances"
    assert dif.say_precision(without)[0].endswith(
        "(95 %); how many would halve that can't be told without the distances of this measure."
    )
    other = dif.measure_responses({"a": {"x": gaussian(rng, 43)}}, metric="cityblock")
    assert dif.precision(other)["unknown"].item() == "no distances"
    strong = np.exp(0.5 * rng.normal(size=(43, 1))) * rng.normal(size=(43, 60))
    assert dif.say_precision(dif.measure_responses({"a": {"x": strong}}))[0].endswith(
        "(95 %), which rests on the strongest of them; how many would halve that can't be told, as stronger "
        "ones may follow: show more."
    )
    monkeypatch.setattr(module, "_WIDEST", 0.001)
    assert dif.say_precision(result)[0].endswith(
        "(95 %), too little to tell how many would be enough: show more."
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
    assert dif.say_precision(result)[0].startswith("With 43 images, a in even, the least certain layer,")
    assert dif.say_precision(result.isel(layer=[0])) == []


def test_where_nothing_is_known() -> None:
    """Neither of results without limits, nor where limits are NaN."""
    rng = np.random.default_rng(2)
    result = dif.measure_responses({"a": {"x": gaussian(rng, 5)}})
    assert dif.say_precision(result) == []
    assert dif.precision(result)["images_to_halve"].isnull().all()
    old = result.drop_vars(["differentiation_low", "differentiation_high", "source"])
    assert dif.say_precision(old) == []
    with pytest.raises(dif.InputError, match="no differentiation_low; measure again, or add them"):
        dif.precision(old)
