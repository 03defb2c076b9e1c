"""The responses on which docs/coverage.md tries intervals and contrasts: made up, and of real layers."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import pdist, squareform

#: Units of the responses that are made up, unless said otherwise.
K = 100

#: Images from which a true value is taken, and pairs of them.
MANY, PAIRS = 200_000, 2_000_000

#: What the rare strong images are: so many of all, so many times as strong.
STRONG_SHARE, STRENGTH = 0.02, 5.0

Responses = Float[np.ndarray, "n k"]
Generator = Callable[[np.random.Generator, int], Responses]

_FIXED = np.random.default_rng(0)
#: The SD of each unit, and its mean; the centres of clusters; loadings of factors; rates of neurons.
_SCALES = 1 / np.sqrt(np.arange(1, K + 1))
_MEANS = 0.5 * _FIXED.normal(size=K) * _SCALES
_CENTRES = _FIXED.normal(size=(10, K))
_TWO_CENTRES = _FIXED.normal(size=(2, K))
_LOADINGS = _FIXED.normal(size=(5, K))
_HEAVY_LOADINGS = _FIXED.standard_t(3, size=(10, K))
_RATES, _RATE_LOADINGS = _FIXED.gamma(1.0, 2.0, size=60), _FIXED.normal(size=(3, 60))
_PROBABILITIES = _FIXED.uniform(0.05, 0.5, size=40)


class Drawn(NamedTuple):
    """A set of images: distances over the root of the number of units, and two means over units."""

    distances: Float[np.ndarray, "n n"]
    means: Float[np.ndarray, " n"]
    square_means: Float[np.ndarray, " n"]

    @property
    def log_value(self) -> float:
        """The logarithm of the differentiation."""
        median = np.median(self.distances[np.triu_indices(len(self.distances), k=1)])
        variance = self.square_means.mean() - self.means.mean() ** 2
        return float(np.log(median) - np.log(variance) / 2)

    def take(self, images: Int[np.ndarray, " m"]) -> Drawn:
        """Return the same for some of the images, in this order."""
        return Drawn(self.distances[np.ix_(images, images)], self.means[images], self.square_means[images])


@dataclass(frozen=True)
class Kind:
    """A kind of responses: how sets of it are made, and whether the criterion is meant for it."""

    name: str
    #: What the page says of it.
    words: str
    generate: Generator | None = None
    #: Where the responses are real: the layer.
    layer: str = ""
    listed: bool = True
    #: The share of images one of which a set has to hold, to be counted.
    rare: float = 1.0

    def counted(self, n: int) -> float:
        """Return the share of sets of `n` images that hold one of the rare images."""
        return 1 - (1 - self.rare) ** n

    def draw(self, rng: np.random.Generator, n: int) -> Drawn:
        """Return a set of `n` images."""
        if self.generate is not None:
            return measured(self.generate(rng, n))
        population = real(self.layer)
        return population.take(rng.integers(0, len(population.means), n))

    def true_log_value(self) -> float:
        """Return the logarithm of the differentiation of all images there are, or of very many."""
        if self.generate is None:
            population = real(self.layer)
            # An image that is drawn twice makes a pair of distance 0: so pairs of one image count.
            variance = population.square_means.mean() - population.means.mean() ** 2
            return float(np.log(np.median(population.distances)) - np.log(variance) / 2)
        rng = np.random.default_rng(1)
        responses = self.generate(rng, MANY)
        first, second = rng.integers(0, MANY, (2, PAIRS))
        other = first != second
        squares = [
            ((responses[one] - responses[two]) ** 2).mean(axis=1)
            for one, two in zip(
                np.array_split(first[other], 200), np.array_split(second[other], 200), strict=True
            )
        ]
        return float(np.log(np.median(np.concatenate(squares))) / 2 - np.log(responses.std()))


def rng_of(*parts: object) -> np.random.Generator:
    """Return random numbers that are the same for the same parts."""
    return np.random.default_rng([zlib.crc32(str(part).encode()) for part in parts])


def measured(responses: Responses) -> Drawn:
    """Return what the measure of responses depends on."""
    distances = squareform(pdist(responses)) / np.sqrt(responses.shape[1])
    return Drawn(distances, responses.mean(axis=1), (responses**2).mean(axis=1))


def with_common(drawn: Drawn, common: Float[np.ndarray, " n"]) -> Drawn:
    """Return a set as it is when each image adds a number of its own to the responses of all units."""
    further = common[:, np.newaxis] - common
    apart = drawn.means[:, np.newaxis] - drawn.means
    squares = drawn.distances.astype(np.float64) ** 2 + further**2 + 2 * further * apart
    return Drawn(
        np.sqrt(np.maximum(squares, 0.0)),
        drawn.means + common,
        drawn.square_means + 2 * common * drawn.means + common**2,
    )


def _gaussian(rng: np.random.Generator, n: int) -> Responses:
    return _MEANS + rng.normal(size=(n, K)) * _SCALES


def _contrast(rng: np.random.Generator, n: int) -> Responses:
    return np.exp(0.5 * rng.normal(size=(n, 1))) * rng.normal(size=(n, K)) * _SCALES


def _clusters(rng: np.random.Generator, n: int) -> Responses:
    return _CENTRES[rng.integers(0, len(_CENTRES), n)] + 0.5 * rng.normal(size=(n, K))


def _two_clusters(rng: np.random.Generator, n: int) -> Responses:
    return _TWO_CENTRES[(rng.random(n) < 0.2).astype(int)] + 0.5 * rng.normal(size=(n, K))


def _softmax(rng: np.random.Generator, n: int) -> Responses:
    certain = rng.beta(1, 1, size=(n, 1))
    responses = (1 - certain) * rng.dirichlet(np.full(K, 0.1), size=n)
    responses[np.arange(n), rng.integers(0, K, n)] += certain[:, 0]
    return responses


def _low_rank(rng: np.random.Generator, n: int) -> Responses:
    return rng.normal(size=(n, 5)) @ _LOADINGS + 0.1 * rng.normal(size=(n, K))


def _sparse(rng: np.random.Generator, n: int) -> Responses:
    return (rng.random((n, K)) < 0.1) * np.exp(1.5 * rng.normal(size=(n, K)))


def _two_contrasts(rng: np.random.Generator, n: int) -> Responses:
    return np.where(rng.random((n, 1)) < 0.5, 0.3, 1.0) * rng.normal(size=(n, K))


def _heavy_loadings(rng: np.random.Generator, n: int) -> Responses:
    return rng.normal(size=(n, 10)) @ _HEAVY_LOADINGS + 0.3 * rng.normal(size=(n, K))


def _poisson(rng: np.random.Generator, n: int) -> Responses:
    shared = np.exp(0.15 * rng.normal(size=(n, 3)) @ _RATE_LOADINGS)
    return rng.poisson(_RATES * shared).astype(float)


def _binary(rng: np.random.Generator, n: int) -> Responses:
    return (rng.random((n, 40)) < _PROBABILITIES).astype(float)


def _rare_strong(rng: np.random.Generator, n: int) -> Responses:
    while not (strong := rng.random((n, 1)) < STRONG_SHARE).any():
        pass  # no method can know of images that are not there: the page tells how often none is
    return np.where(strong, STRENGTH, 1.0) * rng.normal(size=(n, K))


def _heavy_entries(rng: np.random.Generator, n: int) -> Responses:
    return rng.standard_t(3, size=(n, K))


def _heavy_factors(rng: np.random.Generator, n: int) -> Responses:
    return rng.standard_t(3, size=(n, 5)) @ _LOADINGS + 0.3 * rng.normal(size=(n, K))


def _exponential_contrast(rng: np.random.Generator, n: int) -> Responses:
    return rng.exponential(size=(n, 1)) * rng.normal(size=(n, K))


def _one_dimension(rng: np.random.Generator, n: int) -> Responses:
    return rng.normal(size=(n, 1)) * _SCALES + 0.05 * rng.normal(size=(n, K))


def _white_noise(rng: np.random.Generator, n: int) -> Responses:
    return rng.normal(size=(n, K))


def _dead_images(rng: np.random.Generator, n: int) -> Responses:
    return (rng.random((n, 1)) < 0.7) * np.maximum(0.0, rng.normal(size=(n, K)))


#: MobileNet's layers, from its input to its output.
LAYERS = ("input", "conv_pw_3_relu", "conv_pw_9_relu", "global_average_pooling2d", "predictions")


def _further(name: str, words: str, generate: Generator) -> Kind:
    return Kind(name, words, generate, listed=False)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("Gaussian", "units differ in variance and mean", _gaussian),
        Kind("log-normal contrast", "Gaussian times a contrast, whose logarithm has an SD of 0.5", _contrast),
        Kind("ten clusters", "each as likely as the others", _clusters),
        Kind("clusters 80/20", "two clusters, of four fifths and one fifth of the images", _two_clusters),
        Kind("softmax-like", "one class with a share from Beta(1, 1), the rest Dirichlet (0.1)", _softmax),
        Kind("low rank", "five Gaussian factors and a little noise", _low_rank),
        Kind("sparse log-normal", "a tenth of the responses active, as exp(1.5 normal)", _sparse),
        Kind("two contrasts", "Gaussian times 0.3 or 1, which are equally likely", _two_contrasts),
        Kind("heavy loadings", "ten Gaussian factors with t3 loadings", _heavy_loadings),
        Kind("Poisson neurons", "60 of them, with three factors that they share", _poisson),
        Kind("binary neurons", "40 of them, each with a probability of its own", _binary),
        Kind(
            "rare strong images",
            "2 % are five times as strong; the set holds one at least",
            _rare_strong,
            rare=STRONG_SHARE,
        ),
        *(Kind(f"MobileNet {layer}", "photographs", layer=layer) for layer in LAYERS),
        _further("t3 entries", "all responses independent, with 3 degrees of freedom", _heavy_entries),
        _further("t3 factors", "five factors of each image, with 3 degrees of freedom", _heavy_factors),
        _further("exponential contrast", "Gaussian times an exponential number", _exponential_contrast),
        _further("one dimension", "one Gaussian factor and a little noise", _one_dimension),
        _further("white noise", "independent Gaussian units of one variance", _white_noise),
        _further("dead images", "rectified Gaussian; 30 % of the images have no response", _dead_images),
    )
}
LISTED = tuple(name for name, kind in KINDS.items() if kind.listed)


def _photographs() -> Float[np.ndarray, "n height width 3"]:
    """Return every photograph there is: whole, mirrored, and five crops of three quarters."""
    from PIL import Image
    from real_data import data_folder

    found = []
    for folder in ("cats", "random"):
        for path in sorted((data_folder() / folder).iterdir()):
            with Image.open(path) as opened:
                image = opened.convert("RGB")
            width, height = image.size
            across, down = int(0.75 * width), int(0.75 * height)
            corners = [(0, 0), (width - across, 0), (0, height - down), (width - across, height - down)]
            corners.append(((width - across) // 2, (height - down) // 2))
            boxes = [(0, 0, width, height), *((x, y, x + across, y + down) for x, y in corners)]
            crops = [np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR, box)) for box in boxes]
            found += [*crops, crops[0][:, ::-1]]
    return np.stack(found)


def measure_population(path: Path) -> None:
    """Keep in a file what the measure of all photographs in MobileNet's layers depends on."""
    from real_data import data_folder

    import differentia as dif

    data = data_folder()
    weights, classes = data / "mobilenet_025_224_imagenet.weights.h5", data / "imagenet_class_index.json"
    network = dif.load_network(f"keras:MobileNet?alpha=0.25&weights={weights}&classes={classes}")
    result = dif.measure(network, {"all": _photographs()}, layers=LAYERS, units="all", views=False)
    units = result["layer_size"].values.astype(float)
    np.savez(
        path,
        distances=(result["distance"].values / np.sqrt(units)[:, np.newaxis, np.newaxis]).astype(np.float32),
        means=result["image_sum"].values / units,
        square_means=result["image_sumsq"].values / units,
    )


_population: dict[str, Drawn] = {}


def read_population(path: Path) -> None:
    """Have the layers' distances at hand in this process."""
    with np.load(path) as kept:
        distances, means, squares = (kept[name] for name in ("distances", "means", "square_means"))
    for layer, name in enumerate(LAYERS):
        _population[name] = Drawn(distances[layer], means[:, layer], squares[:, layer])


def real(layer: str) -> Drawn:
    """Return the responses of a layer to all photographs."""
    return _population[layer]


def true_log_value(name: str) -> float:
    """Return the true value of a kind."""
    return KINDS[name].true_log_value()
