"""The methods paragraph: exact sentences, nothing but what the result says, and what it cites."""

from __future__ import annotations

import functools
import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers.networks import tricky

import differentia as dif
from differentia.definition.measure import METRICS, NORMALIZATIONS
from differentia.networks.preprocessing import PREPROCESSINGS
from differentia.output.paper.paragraph import describe_methods
from differentia.output.paper.references import REFERENCES
from differentia.recording.units import UNIT_KINDS
from differentia.results.schema import LIMITS
from differentia.stimuli.base import CROPS
from differentia.stimuli.noise import NOISE_KINDS

RNG = np.random.default_rng(0)
NEURONS = {
    name: {"V1": RNG.gamma(2.0, 3.0, (n, 1200)), "LM": RNG.gamma(1.0, 1.0, (n, 25))}
    for name, n in {"movie": 12, "spontaneous": 9}.items()
}
SETS = {
    "white noise & <i>more</i>": dif.noise(6, seed=4),
    "few": RNG.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8),
}
LAYERS = ["input", "conv", "act", "head"]
STUDIES = "(Mensen et al., 2017; Mayner et al., 2022; Gandhi et al., 2023)"


def of_neurons(arrays: Any = None, **options: Any) -> xr.Dataset:
    return dif.measure_responses(NEURONS if arrays is None else arrays, **options)


@functools.cache
def load() -> dif.Network:
    return dif.load_network(tricky(), preprocess="unit", input_shape=(3, 16, 16))


def of_images(sets: Any = None, **options: Any) -> xr.Dataset:
    given = {"n_units": (10, 100, 1000), "draws": 3, "layers": LAYERS, "seed": 2}
    return dif.measure(load(), SETS if sets is None else sets, views=False, **{**given, **options})


def text(result: Any) -> str:
    return describe_methods(result).text


def with_facts(result: xr.Dataset, **facts: Any) -> xr.Dataset:
    """Return a result with other facts in its provenance; those that are None are taken out."""
    provenance = {**json.loads(result.attrs["provenance"]), **facts}
    known = {name: fact for name, fact in provenance.items() if fact is not None}
    return result.assign_attrs(provenance=json.dumps(known))


@pytest.fixture(scope="module")
def measured() -> xr.Dataset:
    """A result of a network of which everything is known."""
    return of_images()


def test_a_network_in_full(measured: xr.Dataset) -> None:
    """Every sentence of an ordinary measurement, with its numbers."""
    provenance = json.loads(measured.attrs["provenance"])
    versions = provenance["versions"]
    assert text(measured) == (
        'Differentiation was measured in the network "Tricky". The SHA-256 fingerprint of its architecture '
        f"and weights begins with {load().fingerprint[:12]}. There were 2 sets of images: "
        '"white noise & <i>more</i>" (6 images of uniform white noise, seed 4) and "few" (5 images). '
        "Images were shown at 16 x 16 pixels in RGB, with pixel values of 0 to 255 divided by 255; images of "
        "another size were resized with Pillow's bilinear filter, without keeping their proportions. "
        'Responses were analysed in the layers "input", "conv", "act" and "head" (5 to 2,048 units each), '
        '"input" being the preprocessed image.\n\n'
        "Units of each layer were drawn at random (seed 2, from a random pool of at most 1,000 units), 3 "
        "draws each of 10 and 100 units and 1 draw of 1,000 units. Small layers were used whole, in one "
        "draw: 1 of the 4 layers with 10 units, 1 with 100 and 2 with 1,000. The same units were used for "
        "all images and sets. In each set of N images and each layer, the N x K responses of K units were "
        "centred on their mean and divided by their SD (with the denominator N K), with one mean and one "
        "SD for all of them. The distance between the responses to two images is their Euclidean distance "
        "divided by the square root of K. Differentiation, a measure adapted from the study of neural "
        f"activity {STUDIES}, is the "
        "median distance over all N(N - 1)/2 pairs of images. Values are means over draws; their spread is "
        "the sample SD over draws multiplied by the square root of (1 - K/L)/(1 - K/M), for draws of K of "
        "the M units in the pool of a layer of L units, which estimates the SD over draws from the whole "
        "layer. Intervals over units say where 95 % of new draws of units from the layer would lie. "
        'Relative differentiation is differentiation divided by that of "white noise & <i>more</i>" '
        "in the same layer at the largest number of units, 1,000; its intervals combine those of both "
        "(Zou & Donner, 2008). "
        f"The analysis was done with differentia {dif.__version__} (The differentia developers, n.d.), "
        f"Python {versions['python']}, PyTorch {versions['torch']} (Paszke et al., 2019), Pillow "
        f"{versions['pillow']}, NumPy {versions['numpy']} (Harris et al., 2020) and xarray "
        f"{versions['xarray']} (Hoyer & Hamman, 2017); the network ran on the CPU."
    )


def test_recorded_neurons_in_full() -> None:
    """No network, no images, no layers, no units: populations, stimuli and neurons."""
    result = of_neurons(normalize="unit", reference="spontaneous")
    versions = json.loads(result.attrs["provenance"])["versions"]
    assert text(result) == (
        'Differentiation was measured in recorded responses of 2 populations of neurons: "V1" (1,200 '
        'neurons) and "LM" (25 neurons). There were 2 sets of stimuli: "movie" (12 stimuli) and '
        '"spontaneous" (9 stimuli).\n\n'
        "All neurons of each population were used. In each set of N stimuli and each population, the "
        "responses of each of K neurons were divided by that neuron's SD over the stimuli of all sets (with "
        "their number as the denominator), or set to 0 where the neuron never varies. The distance between "
        "the responses to two stimuli is their Euclidean distance "
        f"divided by the square root of K. Differentiation, a measure adapted from the study of neural "
        f"activity {STUDIES}, is the median distance over all N(N - 1)/2 pairs of stimuli. "
        "Intervals (95 %) over stimuli invert a test of the median distance (Woodruff, 1952) whose "
        "standard error is that of a U-statistic by the jackknife (Arvesen, 1969); they are quantiles of the "
        "confidence distribution that this gives (Xie & Singh, 2013), with those of Student's t for normal "
        'ones. Relative differentiation is differentiation divided by that of "spontaneous" in the same '
        "population; its intervals combine those of both (Zou & Donner, 2008). "
        f"The analysis was done with differentia {dif.__version__} (The differentia developers, n.d.), "
        f"Python {versions['python']}, NumPy {versions['numpy']} (Harris et al., 2020) and xarray "
        f"{versions['xarray']} (Hoyer & Hamman, 2017)."
    )


def test_a_reference_of_each_set() -> None:
    """Each is named, with the sets that are divided by it."""
    arrays = {**NEURONS, "control": NEURONS["spontaneous"]}
    said = text(of_neurons(arrays, n_units=20, reference={"movie": "control", "*": "spontaneous"}))
    assert (
        'divided by the mean over draws of that of each set\'s reference ("control" for "movie"; '
        '"spontaneous" for "control") in the same population'
    ) in said


def test_nothing_is_said_of_what_is_unknown(measured: xr.Dataset) -> None:
    """Without provenance there are only sets, layers, units and the measure; no software but the own."""
    bare = text(measured.assign_attrs(provenance="{}", reference=""))
    assert bare.startswith(
        'There were 2 sets of images: "white noise & <i>more</i>" (6 images) and "few" (5 images). Responses'
    )
    assert bare.endswith("The analysis was done with differentia (The differentia developers, n.d.).")
    known = text(measured)
    for word in ("Tricky", "SHA-256", "noise,", "pixels", "Pillow", "PyTorch", "NumPy", "Relative", "ran on"):
        assert word not in bare
    for word in ("Tricky", "SHA-256", "noise,", "pixels", "Pillow", "PyTorch", "NumPy", "Relative", "ran on"):
        assert word in known
    assert text(measured.assign_attrs(provenance="", reference="")) == bare


def numbers_in(given: str) -> set[str]:
    """Return the numbers of a text that do not belong to its fixed wording."""
    fixed = (r"SHA-256", r"\(1 - K/L\)/\(1 - K/M\)", r"N\(N - 1\)/2", r"of 0 to 255 divided by 255")
    for pattern in fixed:
        given = re.sub(pattern, "", given)
    given = re.sub(r"begins with \w+|\([A-Z][^()]*\d{4}[^()]*\)", "", given)  # fingerprint, citations
    given = given[: given.index("The analysis was done")]
    return set(re.findall(r"\d[\d,]*(?<!,)", given))


def test_every_number_comes_from_the_result(measured: xr.Dataset) -> None:
    """They are the numbers of this measurement, and another one has others."""
    assert numbers_in(text(measured)) == {
        *("2", "6", "4", "5", "16", "2,048", "1,000", "3", "10", "100", "1", "95"),
    }
    other = of_images(
        {"a": dif.noise(7, seed=77), "b": SETS["few"]},
        n_units=(11, 99),
        draws=8,
        seed=55,
        layers=LAYERS[:3],
        confidence=0.9,
    )
    assert numbers_in(text(other)) == {
        *("2", "7", "77", "5", "16", "768", "2,048", "55", "99", "8", "11", "1", "90"),
    }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"seed": 7}, "drawn at random (seed 7, "),
        ({"draws": 5}, "5 draws each of 10 and 100 units"),
        ({"draws": 1}, "drawn at random (seed 2), 1 draw each of 10, 100 and 1,000 units."),
        ({"n_units": 10}, "drawn at random (seed 2), 1 draw of 10 units."),
        ({"n_units": 10, "pool": 50}, "from a random pool of at most 50 units), 3 draws of 10 units."),
        ({"n_units": 1, "pool": 5, "layers": ["input"]}, "pool of at most 5 units), 3 draws of 1 unit."),
        ({"n_units": 5000}, "All units of each layer were used. In each"),
        ({"layers": ["conv"]}, 'analysed in the layer "conv" of 2,048 units.'),
        ({"layers": ["conv"]}, "Units of the layer were drawn"),
        ({"layers": ["head"], "n_units": (2, 9)}, "The layer was used whole, in one draw, with 9 units."),
        ({"resize": "nearest"}, "images of another size were resized with Pillow's nearest filter"),
        (
            {"crop": "center"},
            "images of another size were cropped around their centre to these proportions and resized with",
        ),
        ({"reference": "few"}, 'divided by that of "few" in the same layer at the largest number of units'),
        ({"n_units": (10, 100), "pool": 500}, 'divided by the mean over draws of that of "white noise'),
        ({"n_units": 10}, '<i>more</i>" in the same layer. The'),
        (
            {"units": "top", "n_units": 10},
            "The 10 units of each layer with the highest mean response over all",
        ),
        ({"units": "top", "n_units": 1}, "The 1 unit of each layer with the highest mean response over all "),
        ({"units": "top", "n_units": 1}, "over all images was used. The same units"),
        (
            {"units": "top_variance", "n_units": (9, 20)},
            "The 9 and 20 units of each layer with the highest var",
        ),
        (
            {"units": "top", "n_units": 10},
            "Small layers were used whole: 1 of the 4 layers with 10 units. The same",
        ),
        (
            {"units": "per_filter", "n_units": 16, "pool": 80},
            "pool of at most 80 units), the same number from every channel, 3 draws of 16 units, rounded "
            "down to a multiple of the number of channels, with at least one unit of each.",
        ),
        (  # a pool of 20 holds two of each of 8 channels: the layer has no other draw of 17, but is not whole
            {"units": "per_filter", "n_units": 17, "pool": 20},
            "at most 3 draws of 17 units, rounded down",
        ),
        (
            {"units": "filter_mean", "n_units": None},
            "Each channel's mean over positions was taken as a unit (3 to 8 of each layer). In each",
        ),
        ({"units": "all", "n_units": None}, "All units of each layer were used. In each"),
    ],
)
def test_sentences(options: dict[str, Any], sentence: str) -> None:
    """Each choice is told as it was made, in singular and plural."""
    assert sentence in text(of_images(**options))


@pytest.mark.parametrize(
    ("facts", "layers", "sentence"),
    [
        (
            {"tokens": "class", "token_layers": ["conv", "act"]},
            *(4, "of 2 layers, the class token was used; 2 layers were used whole."),
        ),
        (
            {"tokens": "mean", "token_layers": LAYERS[1:]},
            4,
            "of 3 layers, the mean of those of patches was used (without class, distillation and register "
            "tokens); 1 layer was used whole.",
        ),
        (
            {"tokens": "patches", "token_layers": LAYERS},
            *(4, "of each layer, those of patches were used (without class, distillation and register tok"),
        ),
        ({"tokens": "class", "token_layers": LAYERS}, 1, "of this layer, the class token was used."),
        ({"tokens": "class", "token_layers": ["head"]}, 1, ""),
        ({}, 4, ""),
    ],
)
def test_tokens_in_words(facts: dict[str, Any], layers: int, sentence: str) -> None:
    """Which were used, of how many layers; nothing where all were."""
    told = text(with_facts(of_images(layers=LAYERS[:layers]), **facts))
    assert f"Of the tokens {sentence}" in told if sentence else "tokens" not in told


@pytest.mark.parametrize("normalize", list(NORMALIZATIONS))
@pytest.mark.parametrize("metric", list(METRICS))
def test_the_measure_in_words(normalize: str, metric: str) -> None:
    """Each normalisation and metric has its own words, of images and of recorded responses."""
    recorded = text(of_neurons(normalize=normalize, metric=metric))
    shown = text(of_images(n_units=10, draws=1, normalize=normalize, metric=metric, layers=["input", "conv"]))
    normalized = {
        "layer": "the N x K responses of K {units} were centred on their mean and divided by their SD (with",
        "response": "the responses of K {units} to each {item} were given mean 0 and SD 1 (with the denom",
        "unit": "each of K {units} were divided by that {unit}'s SD over the {items} of all sets",
        "none": "the responses of K {units} were compared as they are.",
    }
    compared = {
        "euclidean": "is their Euclidean distance divided by the square root of K.",
        "cityblock": "is their mean absolute difference over the K {units}.",
        "correlation": "is one minus their Pearson correlation over the K {units}.",
        "cosine": "is one minus the cosine of the angle between them.",
    }
    of_images_told = {"item": "image", "items": "images", "unit": "unit", "units": "units"}
    of_stimuli_told = {"item": "stimulus", "items": "stimuli", "unit": "neuron", "units": "neurons"}
    for said, nouns in ((shown, of_images_told), (recorded, of_stimuli_told)):
        assert f"over all N(N - 1)/2 pairs of {nouns['items']}" in said
        for other, words in normalized.items():
            assert (words.format(**nouns) in said) == (other == normalize)
        for other, word in compared.items():
            assert (word.format(**nouns) in said) == (other == metric)
        in_units = normalize == "none" and metric in ("euclidean", "cityblock")
        assert ("it has the unit of the responses" in said) == in_units


def test_pairs_are_counted_where_all_sets_have_as_many() -> None:
    """43 images make 903 pairs, two make one; sets of different sizes have no one number."""
    for size, pairs in ((43, "(903 pairs of N = 43)"), (2, "(1 pair of N = 2)")):
        rates = {name: {"V1": RNG.normal(size=(size, 5))} for name in ("a", "b")}
        assert f"pairs of stimuli {pairs}." in text(of_neurons(rates))
    assert "pairs of stimuli." in text(of_neurons())


def test_one_set_and_one_population() -> None:
    """Singular where there is one of a thing."""
    said = text(of_neurons({"only": {"V1": RNG.normal(size=(4, 1))}}))
    assert (
        'recorded responses of 1 population of neurons: "V1" (1 neuron). There was one set of stimuli, '
        in said
    )
    assert 'stimuli, "only" (4 stimuli).' in said
    assert "All neurons of the population were used." in said
    assert "The same neurons were used for all stimuli." in text(
        of_neurons({"only": {"V1": RNG.normal(size=(4, 9))}}, n_units=3)
    )


def test_many_layers_and_sets_are_counted() -> None:
    """More than a few are not named, but for the noise; their ranges are told."""
    rates = {f"s{n}": {f"area{a}": RNG.normal(size=(3 + n, 4 + a)) for a in range(7)} for n in range(13)}
    said = text(of_neurons(rates))
    assert "recorded responses of 7 populations of neurons (4 to 10 neurons each)." in said
    assert "There were 13 sets of stimuli (3 to 15 stimuli each)." in said
    assert "area" not in said
    sets = {f"set {n}": SETS["few"] for n in range(12)} | {"noise": dif.noise(3)}
    result = of_images(sets, layers=None, n_units=5, draws=1)
    said = text(result)
    assert "There were 13 sets of images (3 to 5 images each), among them " in said
    assert 'among them "noise" (3 images of uniform white noise, seed 0). ' in said
    assert f"analysed in {result.sizes['layer']} layers (5 to 2,048 units each), " in said


def test_kinds_of_noise() -> None:
    """Each kind with its seed, and the Gaussian's mean and SD; noise alone is never resized."""
    assert set(NOISE_KINDS) == {"uniform", "gaussian", "pink"}
    sets = {
        "a": dif.noise(2, seed=9),
        "b": dif.noise(3, kind="gaussian", mean=100.5, sd=20, seed=1),
        "c": dif.noise(3, kind="pink", sd=10, exponent=1.5),
    }
    said = text(of_images(sets, layers=["input"]))
    assert '"a" (2 images of uniform white noise, seed 9)' in said
    assert '"b" (3 images of Gaussian white noise, mean 100.5, SD 20, seed 1)' in said
    assert (
        '"c" (3 images of pink noise (Field, 1987), mean 127.5, SD 10, amplitudes as 1/f^1.5, seed 0)' in said
    )
    assert "Relative" not in said  # two sets of noise: neither is the reference by itself
    assert "resized" not in said
    assert "Pillow" not in said


def test_scrambled_images() -> None:
    """Of which set or images, how, with the size of blocks and the seed; phases over time are cited."""
    film = dif.images(np.random.default_rng(0).integers(90, 160, (6, 8, 8), np.uint8))
    film.in_time = True
    sets = {
        "few": SETS["few"],
        "phases": "scramble:few",
        "blocks": "scramble:few?kind=blocks&size=4&seed=5",
        "digits": "scramble:(digits:3?digit=4)?kind=pixels",
        "film": film,
        "time": "scramble:film?kind=pixels&axis=time",
        "both": "scramble:film?axis=both",
        "twice": "scramble:blocks?kind=pixels",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what was clipped
        said = text(of_images(sets, layers=["input"]))
        of_noise = of_images({"a": "noise:2", "b": "scramble:a"}, layers=["input"])
    phases = "adding the phases of white noise to those of their Fourier transform over space"
    blocks = "putting square blocks of their pixels in random order, size 4, seed 5"
    for part in (
        f'"phases" (5 images made of "few" by {phases}, seed 2)',
        f'"blocks" (5 images made of "few" by {blocks})',
        '"digits" (3 images made of images of the handwritten digit 4 by putting their pixels in random',
        '"time" (6 images made of "film" by putting them in random order, seed 2)',
        f'"both" (6 images made of "film" by {phases} and time (Prichard & Theiler, 1994), seed 2)',
        '"twice" (5 images made of "blocks" by putting their pixels in random order, seed 2)',
        "The digits are those of scikit-learn",
    ):
        assert part in said
    assert '"few" (5 images)' in said
    assert "images of another size were resized" in said
    assert "resized" not in text(of_noise)


def test_names_are_verbatim() -> None:
    """Markup, quotes, percent signs and braces of the user's names are neither escaped nor read."""
    odd = ["<img src=x onerror=alert(1)>", 'a "b" {c} %s', "naïve 图"]
    said = text(of_neurons(dict.fromkeys(odd, NEURONS["movie"]), reference=odd[0]))
    for name in odd:
        assert f'"{name}" (12 stimuli)' in said
    assert f'divided by that of "{odd[0]}" in' in said


def test_preprocessings(measured: xr.Dataset) -> None:
    """Each named one has its words; a function is named, Keras's by its public path."""
    words = {
        "none": "with pixel values of 0 to 255 left unchanged;",
        "unit": "with pixel values of 0 to 255 divided by 255;",
        "signed": "with pixel values of 0 to 255 scaled to -1 to 1;",
        "imagenet": "divided by 255 and standardised by ImageNet's mean and SD of each channel;",
        "caffe": "reordered to BGR, minus ImageNet's mean of each channel;",
        "keras.src.applications.vgg16.preprocess_input": "by keras.applications.vgg16.preprocess_input;",
        "my.module.function": "preprocessed by my.module.function;",
    }
    assert set(PREPROCESSINGS) < set(words)
    for preprocessing, said in words.items():
        assert said in text(with_facts(measured, preprocessing=preprocessing))
    assert "Russakovsky" not in text(with_facts(measured, preprocessing="imagenet"))
    for crop in CROPS:
        assert "Pillow's bilinear filter" in text(with_facts(measured, crop=crop))
        assert "PyTorch's bilinear filter" in text(with_facts(measured, crop=crop, resized_by="PyTorch"))
    said = "; the network ran on the CPU, computing in bfloat16."
    assert text(with_facts(measured, dtype="bfloat16")).endswith(said)
    assert text(with_facts(measured, dtype=None)) == text(measured)
    said = "to 255 divided by 255, and made into the network's arguments by mine.call; images of another"
    assert said in text(with_facts(measured, forward="mine.call"))
    formula = "(x / 255 - [0.5, 0.5, 0.5]) / [0.25, 0.25, 0.25]"
    said = f"with pixel values x of 0 to 255 transformed, channel by channel, to {formula};"
    assert said in text(with_facts(measured, preprocessing=formula))
    assert (
        "; images other than noise were resized so that the shorter side has 1,024 pixels, with Pillow's "
        "bilinear filter, and the central 16 x 16 pixels were cut out. "
    ) in text(with_facts(measured, resized_to=1024))
    few = {"sets": dict.fromkeys(SETS, "an array")}
    assert (
        "; images were resized to 18 x 20 pixels with Pillow's bilinear filter, without keeping their "
        "proportions, and the central 16 x 16 pixels were cut out. "
    ) in text(with_facts(measured, resized_to=[18, 20], **few))
    grey = text(with_facts(measured, input_shape=[1000, 20, 1]))
    assert "shown at 1,000 x 20 pixels in greyscale," in grey


IMAGENET = "Keras's weights, trained on ImageNet (Russakovsky et al., 2015)"
HOME = "/home/me/secret"


@pytest.mark.parametrize(
    ("network", "words", "cited"),
    [
        ("keras:VGG16", f"VGG16 (Simonyan & Zisserman, 2015) of Keras Applications with {IMAGENET}.", True),
        (
            f"keras:MobileNet?alpha=0.25&weights={HOME}/m.weights.h5&classes={HOME}/index.json",
            "MobileNet (Howard et al., 2017) of Keras Applications with alpha=0.25 and the weights of the "
            'file "m.weights.h5".',
            False,
        ),
        (
            "keras:ResNet50V2?weights=none&classes=10",
            "ResNet50V2 (He et al., 2016) of Keras Applications with classes=10 and random weights.",
            False,
        ),
        ("keras:Unheard", f"in Unheard of Keras Applications with {IMAGENET}.", True),
        (f"{HOME}/model.keras", 'in the Keras model of the file "model.keras".', False),
        ("C:\\me\\model.keras", 'in the Keras model of the file "model.keras".', False),
        (
            f"my.nets:make?width=3&weights={HOME}/x.safetensors",
            'the network "my.nets:make" with width=3 and the weights of the file "x.safetensors".',
            False,
        ),
        (
            "torchvision:resnet18?weights=IMAGENET1K_V2",
            'in the network "resnet18" of torchvision with the weights "IMAGENET1K_V2".',
            False,
        ),
        ("torchvision:resnet18?weights=none", '"resnet18" of torchvision with random weights.', False),
        (
            f"torchvision:vgg11?weights={HOME}/x.pth&num_classes=7",
            '"vgg11" of torchvision with num_classes=7 and the weights of the file "x.pth".',
            False,
        ),
        ("timm:vit_tiny", 'in the network "vit_tiny" of timm with its own weights.', False),
        ("timm:vit_tiny.augreg_in1k", '"vit_tiny" of timm with the weights "augreg_in1k".', False),
        ("timm:hf-hub:some/net", 'in the network "some/net" of timm with its own weights.', False),
        (f"timm:local-dir:{HOME}/net", 'in the network "net" of timm with its own weights.', False),
        (
            "open_clip:ViT-B-32?pretrained=laion2b_s34b_b79k",
            'in the image tower of "ViT-B-32" of open_clip with the weights "laion2b_s34b_b79k".',
            False,
        ),
        ("open_clip:ViT-B-32?pretrained=none", '"ViT-B-32" of open_clip with random weights.', False),
        (
            "hf:google/vit-base-patch16-224",
            '"google/vit-base-patch16-224" of transformers with its own weights.',
            False,
        ),
        (f"hf:{HOME}/vit?weights=none", '"vit" of transformers with random weights.', False),
        ("torchvision:resnet18", 'the network "resnet18" of torchvision with its own weights.', False),
        (
            "torchvision:resnet18?weights=IMAGENET1K_V1",
            'the network "resnet18" of torchvision with the weights "IMAGENET1K_V1".',
            False,
        ),
        (
            "timm:vit_tiny.augreg?img_size=96&weights=none",
            'the network "vit_tiny" of timm with img_size=96 and random weights.',
            False,
        ),
        ("timm:local-dir:nets/own/", 'the network "own" of timm with its own weights.', False),
        (
            f"hf:{HOME}/vit?weights={HOME}/x.pt",
            'the network "vit" of transformers with the weights of the file "x.pt".',
            False,
        ),
        ("hf:google/vit", 'the network "google/vit" of transformers with its own weights.', False),
        (
            "open_clip:ViT-B-32?pretrained=openai",
            'the image tower of "ViT-B-32" of open_clip with the weights "openai".',
            False,
        ),
        ("my.nets:make", 'in the network "my.nets:make".', False),
        ("Is it ok?", 'in the network "Is it ok?".', False),
    ],
)
def test_networks(measured: xr.Dataset, network: str, words: str, cited: bool) -> None:
    """The network, its source and its weights as they are known; never a folder of the user's."""
    methods = describe_methods(with_facts(measured, network=network))
    assert words in methods.text
    assert HOME not in str(methods)
    assert (REFERENCES["russakovsky2015"] in methods.references) == cited


@pytest.mark.parametrize(
    ("network", "weights", "words"),
    [
        ("torchvision:resnet18", "IMAGENET1K_V1", 'of torchvision with the weights "IMAGENET1K_V1".'),
        ("timm:vit_tiny?weights=DEFAULT", "augreg_in1k", 'of timm with the weights "augreg_in1k".'),
        ("timm:vit_tiny.augreg_in1k?weights=none", "random", '"vit_tiny" of timm with random weights.'),
        (f"timm:vit_tiny?weights={HOME}/w", f"{HOME}/w", 'of timm with the weights of the file "w".'),
    ],
)
def test_weights_that_were_taken(measured: xr.Dataset, network: str, weights: str, words: str) -> None:
    """They go before what the network's name says."""
    methods = describe_methods(with_facts(measured, network=network, weights=weights))
    assert words in methods.text
    assert HOME not in str(methods)


def test_libraries_of_networks(measured: xr.Dataset) -> None:
    """Each with its version, where it made the network; no other."""
    versions = json.loads(measured.attrs["provenance"])["versions"]
    for package, told in (
        ("timm", "timm"),
        ("transformers", "transformers"),
        ("open_clip_torch", "open_clip"),
    ):
        text_of = text(with_facts(measured, versions={**versions, package: "1.2.3"}))
        assert f"(Paszke et al., 2019), {told} 1.2.3, Pillow" in text_of
        assert f"{told} " not in text(measured)


def test_frameworks(measured: xr.Dataset) -> None:
    """What ran the network is cited, and no other; for older results, only what its name makes certain."""
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"frameworks": ["torch"]}, ["PyTorch"]),
        ({"frameworks": ["keras", "torch"]}, ["PyTorch", "Keras"]),
        ({"frameworks": ["keras", "jax"]}, ["Keras", "Keras's backend jax"]),
        ({"frameworks": ["jax"]}, ["jax"]),
        ({"frameworks": []}, []),
        ({"frameworks": None}, []),
        ({"frameworks": None, "network": "digits"}, ["PyTorch"]),
        ({"frameworks": None, "network": "keras:VGG16"}, ["Keras"]),
        ({"frameworks": None, "network": "a.keras"}, ["Keras"]),
    ]
    for facts, expected in cases:
        methods = describe_methods(with_facts(measured, **facts))
        software = methods.text[methods.text.index("The analysis was done") :]
        assert re.findall(r"PyTorch|Keras's backend jax|Keras|jax", software) == expected
        assert (REFERENCES["paszke2019"] in methods.references) == ("PyTorch" in expected)
        assert (REFERENCES["chollet2015"] in methods.references) == ("Keras" in expected)
    assert 'the network ran on the device "cuda:0".' in text(with_facts(measured, device="cuda:0"))


def test_a_keras_model_names_its_backend() -> None:
    """What ran it is kept by the measurement itself."""
    import keras

    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Dense(3, name="out")(keras.layers.Flatten()(image)))
    network = dif.load_network(model, preprocess="unit")
    result = dif.measure(network, {"a": dif.noise(2)}, n_units=5, draws=1)
    assert json.loads(result.attrs["provenance"])["frameworks"] == ["keras", keras.backend.backend()]
    assert f"Keras {keras.__version__} (Chollet et al., 2015)" in text(result)


def test_the_embedded_network() -> None:
    """It says what it is, whose digits they are, and that they were held out; other networks say less."""
    sets = {"threes": "digits:3?digit=3", "all": "digits:4"}
    result = dif.measure("digits", sets, n_units=10, draws=1, layers=["logits"])
    methods = describe_methods(result)
    assert (
        "in the embedded network of differentia, a convolutional network with four blocks of two "
        "convolutions and a linear classifier, trained on one half of the handwritten digits of scikit-learn "
        "(Alpaydin & Kaynak, 1998; Pedregosa et al., 2011). "
    ) in methods.text
    assert (
        '"threes" (3 images of the handwritten digit 3) and "all" (4 images of handwritten digits). The '
        in (methods.text)
    )
    assert "The digits shown were of the other half, which the network was not trained on." in methods.text
    elsewhere = text(with_facts(result, network="Tricky"))
    assert (
        "The digits are those of scikit-learn (Alpaydin & Kaynak, 1998; Pedregosa et al., 2011)." in elsewhere
    )
    assert "trained" not in elsewhere


def test_images_that_were_left_out_or_there_twice(tmp_path: Path) -> None:
    """Their numbers, by set, in singular and plural; nothing where there are none."""
    folder = dif.save_images(dif.noise(4), tmp_path / "noise", size=(16, 16, 3))
    first, *_ = folder.glob("*.png")
    (folder / "copy.png").write_bytes(first.read_bytes())
    (folder / "broken.png").write_bytes(b"nothing")
    with pytest.warns(dif.DifferentiaWarning):
        result = of_images({"some": folder, "few": SETS["few"]}, skip_unreadable=True)
    said = text(result)
    assert '"some" (5 images)' in said
    assert '1 image that could not be read was left out (1 of "some").' in said
    assert '2 images of "some" had the same content as another of their set, and were kept.' in said
    assert str(tmp_path) not in said
    skipped = [{"set": name, "name": "x", "reason": ""} for name in ("some", "some", "few")]
    assert '3 images that could not be read were left out (2 of "some" and 1 of "few").' in text(
        with_facts(result, skipped=skipped)
    )
    copies = [{"set": name, "name": "x"} for name in ("some", "few", "some")]
    assert "3 images with the same content as another of their set were left out (2 of " in text(
        with_facts(result, dropped=copies)
    )
    assert '1 image with the same content as another of its set was left out (1 of "few").' in text(
        with_facts(result, dropped=copies[1:2])
    )
    clean = text(with_facts(result, skipped=[], duplicates=[]))
    assert "left out" not in clean
    assert "same content" not in clean


def test_values_that_are_undefined() -> None:
    """Where the measure has no value is told, for which sets, and whether at all numbers of units."""
    arrays = {name: dict(areas) for name, areas in NEURONS.items()}
    arrays["movie"]["LM"] = np.zeros((12, 25))
    with pytest.warns(dif.DifferentiaWarning, match="NaN"):
        assert 'Differentiation is undefined in "LM" for "movie".' in text(of_neurons(arrays))
    silent = np.zeros((12, 25))
    silent[:, 0] = RNG.normal(size=12)
    arrays["movie"]["LM"] = silent
    with pytest.warns(dif.DifferentiaWarning, match="NaN"):
        result = of_neurons(arrays, n_units=(2, 25), draws=3)
    assert 'Differentiation is undefined with some numbers of units in "LM" for "movie".' in text(result)
    assert "undefined" not in text(of_neurons())
    many = {name: {f"a{n}": np.zeros((3, 2)) for n in range(7)} for name in ("x", "y")}
    with pytest.warns(dif.DifferentiaWarning, match="NaN"):
        assert "Differentiation is undefined in 7 of the 7 populations." in text(of_neurons(many))


#: How the warnings began that results of version 0.1.0 hold as texts, without their kinds.
OLD_WARNINGS = {
    "undefined": "differentiation is NaN for 3 values: ...",
    "left_out": "left out what can't be read (2): set 'a': ...",
    "same_content": "images of one set have the same content, and no distance from each other: ...",
}


def test_other_warnings(measured: xr.Dataset) -> None:
    """A warning that no sentence tells is quoted, once; others are not, however worded."""
    odd = [{"kind": "other", "text": text} for text in ("odd", "odd", "even")]
    for kind, old in OLD_WARNINGS.items():
        told = {"kind": kind, "text": "in words that were never used before"}
        assert text(with_facts(measured, warnings=[told])) == text(measured)
        assert 'The software warned: "odd"; "even".' in text(with_facts(measured, warnings=[told, *odd]))
        quoted = text(with_facts(measured, warnings=[{"kind": "other", "text": old}]))
        assert f'The software warned: "{old}".' in quoted
    assert "warned" not in text(measured)


def test_warnings_of_older_results(measured: xr.Dataset) -> None:
    """They are texts alone, and known by how they began; what is not known is quoted."""
    for old in OLD_WARNINGS.values():
        assert text(with_facts(measured, warnings=[old])) == text(measured)
    said = text(with_facts(measured, warnings=[*OLD_WARNINGS.values(), "odd", "odd"]))
    assert 'The software warned: "odd".' in said


def test_several_kinds_of_units() -> None:
    """One text for all: each way in turn, with what is common said once."""
    results = dif.measure_kinds(
        load(), SETS, kinds=list(UNIT_KINDS), n_units=(16, 80), draws=3, layers=LAYERS
    )
    said = text(results)
    assert (
        "Units were chosen in 7 ways: (1) units of each layer were drawn at random (seed 0, from a random "
        "pool of at most 80 units), 3 draws of 16 units and 1 draw of 80 units; (2) the 16 and 80 units of "
        "each layer with the highest mean response over all images were used; (3) the 16 and 80 units of "
        "each layer with the highest variance over all images were used; (4) units of each layer were drawn"
    ) in said
    assert (
        "; (5) each channel's mean over positions was taken as a unit (3 to 8 of each layer); (6) all units"
        in said
    )
    assert "(6) all units of each layer were used; (7) all" in said
    assert "Small layers were used whole, in one draw: 1 of the" in said
    assert (
        "(7) all units of each layer were added up in count sketches (Charikar et al., 2002) with random "
        "signs (seed 0), 3 draws each of 16 and 80 sums. Small layers"
    ) in said
    assert "The same units and sums were used for all images and sets." in said
    assert "The sums stand for all units of a layer: the distance between them is divided by" in said
    assert said.count("Small layers") == 1
    assert text({"top": results["top"]}) == text(results["top"])
    with pytest.raises(dif.InputError, match="a result, or results as"):
        describe_methods({})
    with pytest.raises(dif.InputError, match="'random' is of the kind 'top'"):
        describe_methods({"random": results["top"]})
    other = with_facts(results["top"], fingerprint="0" * 64)
    with pytest.raises(dif.InputError, match="'random' and 'top' differ in their fingerprint"):
        describe_methods({"random": results["random"], "top": other})
    apart = results["top"].assign_attrs(seed=1)
    with pytest.raises(dif.InputError, match="differ in their seed"):
        describe_methods({"random": results["random"], "top": apart})
    own_warning = with_facts(results["top"], warnings=["of top"], command="x")
    assert '"of top"' in text({"random": results["random"], "top": own_warning})


def test_what_is_no_result() -> None:
    """It is refused as elsewhere."""
    with pytest.raises(dif.InputError, match="list; expected the Dataset"):
        describe_methods([])  # type: ignore[arg-type]
    with pytest.raises(dif.InputError, match="the result of kind 'top' is of type int"):
        describe_methods({"top": 1})  # type: ignore[dict-item]
    with pytest.raises(dif.InputError, match="is not a result of differentia"):
        describe_methods(xr.Dataset())
    with pytest.raises(dif.InputError, match="unknown metric 'euclid'"):
        describe_methods(of_neurons().assign_attrs(metric="euclid"))


def test_what_is_cited_is_in_the_references_and_nothing_else(measured: xr.Dataset) -> None:
    """Both ways, for results that cite different works; as text and as BibTeX."""
    results = [
        measured,
        of_neurons(),
        with_facts(measured, network="keras:VGG16", frameworks=["keras", "torch"]),
        with_facts(measured, network="digits"),
        measured.assign_attrs(provenance="{}"),
    ]
    cited = []
    for result in results:
        methods = describe_methods(result)
        in_text = re.findall(r"(?<=[(;])\s?([^();]+?, (?:\d{4}|n\.d\.))(?=[;)])", methods.text)
        assert sorted(in_text) == sorted(reference.citation for reference in methods.references)
        lines = [str(reference) for reference in methods.references]
        assert lines == sorted(lines, key=str.casefold)
        assert str(methods) == "\n".join([methods.text, "", *lines])
        assert methods.bibtex.count("\n@") == len(lines) - 1
        cited.append(len(lines))
    assert cited == [8, 9, 11, 10, 5]
    own = [reference for reference in describe_methods(measured).references if reference.key == "differentia"]
    assert f"(Version {dif.__version__}) [Computer software]." in str(own[0])


def test_a_saved_result_says_the_same(measured: xr.Dataset, tmp_path: Path) -> None:
    """What was saved and loaded, also as NumPy's types, gives the same text."""
    dif.save(measured, tmp_path / "result.nc")
    assert describe_methods(dif.load_result(tmp_path / "result.nc")) == describe_methods(measured)


def test_intervals_over_images_are_told() -> None:
    """How they were made, of the result's own attributes; nothing where there are none."""
    rng = np.random.default_rng(0)
    arrays = {"movie": {"V1": rng.gamma(2.0, size=(12, 30))}}
    result = dif.measure_responses(arrays, confidence=0.9)
    way = (
        "Intervals (90 %) over stimuli invert a test of the median distance (Woodruff, 1952) whose "
        "standard error is that of a U-statistic by the jackknife (Arvesen, 1969)"
    )
    ending = (
        "; they are quantiles of the confidence distribution that this gives (Xie & Singh, 2013), with those "
        "of Student's t for normal ones."
    )
    assert f"{way}, with the SD left out with each stimulus{ending}" in text(result)
    drawn = dif.measure_responses(arrays, n_units=10, draws=3, pool=30)
    nothing = drawn["doubt"].copy(data=np.full(drawn["doubt"].shape, ""))
    drawn = dif.with_intervals(drawn.assign(doubt=nothing))
    assert "Intervals over both combine the two (Zou & Donner, 2008)." in text(drawn)
    assert "over both" not in text(result)
    raw = dif.measure_responses(arrays, confidence=0.9, normalize="none")
    assert way + ending in text(raw)
    old = result.copy()
    for name in LIMITS:
        old[name].attrs |= {"method": "studentized", "resamples": 300}
    assert (
        "Intervals (90 %) over stimuli are studentised (bootstrap-t) intervals of the logarithm of "
        "differentiation, from 300 resamples of the stimuli of each set, with which the SD was resampled "
        "(Efron & Tibshirani, 1993)."
    ) in text(old)
    for name in LIMITS:
        old[name].attrs["method"] = "percentile"
    assert "percentile bootstrap intervals" in text(old)
    assert "jackknife" not in text(old)
    few = dif.measure_responses({"movie": {"V1": arrays["movie"]["V1"][:9]}})
    assert "ntervals" not in text(few)


def test_what_is_not_to_be_trusted_is_told() -> None:
    """How many values there are, and why; of several kinds of units together."""
    rng = np.random.default_rng(0)
    arrays = {name: {"V1": rng.gamma(2.0, size=(12, 30))} for name in ("movie", "rest")}
    result = dif.measure_responses(arrays, n_units=(20, 30))
    nothing = result["doubt"].copy(data=np.full(result["doubt"].shape, "", dtype="U32"))
    trusted = dif.with_intervals(result.assign(doubt=nothing))
    assert "since those at hand" not in text(trusted)
    one, two = nothing.copy(deep=True), nothing.copy(deep=True)
    one.loc[{"set": "movie", "n_units": 20}] = "gap"
    two.loc[{"set": "rest"}] = "strong images"
    doubtful = [dif.with_intervals(result.assign(doubt=doubt)) for doubt in (one, two)]
    gap = "the median distance lies beside a gap between two kinds of pairs, on a side that is left to chance"
    strong = "the SD rests on few stimuli, with far stronger responses than the others"
    assert (
        f"1 of the 4 values has no interval over stimuli, since those at hand can't tell it ({gap})."
        in text(doubtful[0])
    )
    both = {"random": doubtful[0], "top": doubtful[1].assign_coords(units="top")}
    assert (
        "3 of the 8 values have no interval over stimuli, since those at hand can't tell it "
        f"({gap}; {strong})."
    ) in text(both)


def test_contrasts_are_told() -> None:
    """Which sets were compared, in which way, and for what their p allow; only those of the result."""
    rng = np.random.default_rng(0)
    arrays = {
        name: {layer: rng.gamma(2.0, size=(12, 30)) for layer in ("V1", "LM")} for name in ("a", "b", "c")
    }
    result = dif.measure_responses(arrays)
    nothing = result["doubt"].copy(data=np.full(result["doubt"].shape, ""))
    result = dif.with_intervals(result.assign(doubt=nothing))
    begins = "by the confidence distribution of their difference"
    p = "p is 1 less the confidence at which its interval just holds 0"
    ends = "together, whose correlation is kept (Hothorn et al., 2008)."
    corrected = "and the corrected p is the same of simultaneous intervals for all"
    told = dif.describe_methods(result, contrasts=dif.contrasts_between_sets(result))
    assert (
        'Sets were compared in each population ("a" with "b"; "a" with "c"; "b" with "c") '
        f"{begins}: {p}, {corrected} 6 populations and pairs of sets {ends}"
    ) in told.text
    assert "hothorn2008" in told.bibtex
    one = dif.contrast(result, "a", "c").assign_attrs(paired=1)
    of_one = dif.describe_methods(result, contrasts=[one]).text
    assert (
        f'Sets were compared in each population ("a" with "c") {begins}, with paired stimuli: {p}, '
        f"{corrected} 2 populations {ends}"
    ) in of_one
    alone = dif.contrast(result.isel(layer=[0]), "a", "c")
    assert f'("a" with "c") {begins}: {p}.' in dif.describe_methods(result, contrasts=[alone]).text
    assert "were compared" not in text(result)
    with pytest.raises(dif.InputError, match="has the set 'a', which the result does not have"):
        dif.describe_methods(result.sel(set=["b", "c"]), contrasts=[one])


def test_images_of_both_compared_sets() -> None:
    """Of the sets that were compared, and not by pairs; recorded stimuli are not known."""
    pixels = RNG.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    sets = {"a": pixels[:12], "b": pixels[8:20], "c": pixels[11:24]}
    result = of_images(sets, n_units=10, draws=1, layers=["input"])
    found = [dif.contrast(result, "a", "b"), dif.contrast(result, "b", "c")]
    sentence = '(4 of "a" and "b" and 9 of "b" and "c") counted as one in comparisons.'
    assert f"Images of both sets {sentence}" in dif.describe_methods(result, contrasts=found).text
    (first, _) = found
    said = dif.describe_methods(result, contrasts=[first]).text
    assert 'Images of both sets (4 of "a" and "b") counted as one in comparisons.' in said
    paired = dif.describe_methods(result, contrasts=[one.assign_attrs(paired=1) for one in found])
    assert "counted as one" not in paired.text
    assert "counted as one" not in text(result)
