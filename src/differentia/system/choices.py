"""The names of what can be chosen, here because the tables of what they stand for are slow to import.

A test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from differentia.errors import InputError, require_known


@dataclass(frozen=True, eq=False)
class Choice:
    """One of some names: what it is called in an error, the names, and what some of them mean.

    Synonyms are what others call them; where a number is given, the error says what takes numbers.
    """

    what: str
    names: tuple[str, ...]
    meanings: Mapping[str, str] = field(default_factory=dict)
    synonyms: Mapping[str, str] = field(default_factory=dict)
    numbers: str = ""

    @property
    def listed(self) -> str:
        """The names as a help text shows them."""
        meant = {name: f" ({meaning})" for name, meaning in self.meanings.items()}
        return " | ".join(name + meant.get(name, "") for name in self.names)

    def checked(self, given: str) -> str:
        name = str(given).strip()
        if self.numbers and name and all(part.strip().isdecimal() for part in name.split(",")):
            raise InputError(f"{name!r} is a number, no {self.what}; {self.numbers} {name}")
        require_known(self.what, name, self.names, self.synonyms)
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core.core_schema import no_info_plain_validator_function

        return no_info_plain_validator_function(self._validated)

    def _validated(self, given: Any) -> str:
        from pydantic_core import PydanticCustomError

        if isinstance(given, str):
            return self.checked(given)
        raise PydanticCustomError("choice", "expected one of {names}", {"names": ", ".join(self.names)})


def _by_synonym(**called: str) -> dict[str, str]:
    """Return names by what they are called elsewhere, which is written in one text, with blanks between."""
    return {other: name for name, others in called.items() for other in others.split()}


UNITS = Choice(
    "kind of units",
    ("random", "top", "top_variance", "per_filter", "filter_mean", "all", "sketch"),
    synonyms=_by_synonym(
        random="sample sampled subset",
        top="max best highest mostactive strongest",
        top_variance="variance var highvariance topvar",
        per_filter="perchannel channel channels filter filters stratified",
        filter_mean="mean means channelmean gap averagepooling globalaveragepooling",
        all="whole full every everything",
        sketch="projection randomprojection sparseprojection jl countsketch",
    ),
    numbers="how many is said by --n-units",
)
NORMALIZE = Choice(
    "normalization",
    ("layer", "response", "unit", "none"),
    synonyms=_by_synonym(
        layer="global sd std",
        response="image stimulus row perresponse instance",
        unit="zscore zscored z standardize standardized standard column neuron perunit",
        none="no off false raw",
    ),
)
METRIC = Choice(
    "metric",
    ("euclidean", "cityblock", "correlation", "cosine"),
    synonyms=_by_synonym(
        euclidean="euclid l2 rms rmse sqeuclidean",
        cityblock="manhattan l1 taxicab mae absolute",
        correlation="pearson pearsonr corr",
        cosine="cos angle",
    ),
)
TOKENS = Choice(
    "choice of tokens",
    ("all", "class", "patches", "mean"),
    {"patches": "without class, distillation and register tokens", "mean": "that of the patches"},
    _by_synonym(
        all="whole full every everything none",
        **{"class": "cls clstoken classtoken token first"},
        patches="patch patchtokens spatial nocls",
        mean="avg average averagepooling avgpool gap meanpatch pooled",
    ),
)
RESIZE = Choice(
    "resize filter",
    ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"),
    synonyms=_by_synonym(nearest="nn", box="area", bilinear="linear", bicubic="cubic"),
)
CROP = Choice(
    "crop",
    ("squash", "center"),
    {"squash": "change the proportions", "center": "cut the ends off"},
    _by_synonym(squash="stretch resize none no off", center="centercrop middle"),
)
COMPILE = Choice(
    "compile",
    ("auto", "always", "never"),
    {"auto": "where one process records, and enough images are left to repay it"},
    _by_synonym(always="yes true on 1", never="no false off 0"),
)
COMPRESS = Choice(
    "compression",
    ("none", "zstd"),
    {"none": "the fastest", "zstd": "takes less of the disk where many responses are 0"},
    _by_synonym(none="no false off 0", zstd="yes true on 1 zstandard"),
)
PREPROCESS = Choice(
    "preprocessing",
    ("none", "unit", "signed", "imagenet", "caffe"),
    {"none": "0..255", "unit": "0..1", "signed": "-1..1"},
    _by_synonym(
        none="no raw 0255",
        unit="01 scale rescale totensor",
        signed="tf tensorflow inception mobilenet 11",
        imagenet="torch pytorch torchvision timm",
        caffe="vgg vgg16 bgr",
    ),
)
DTYPE = Choice(
    "dtype",
    ("float32", "bfloat16"),
    synonyms=_by_synonym(float32="fp32 f32 float single full", bfloat16="bf16 half float16 fp16 f16 brain"),
)
NOISE = Choice(
    "kind of noise",
    ("uniform", "gaussian", "pink"),
    synonyms=_by_synonym(uniform="white", gaussian="normal gauss", pink="1/f onef fractal flicker"),
)
SCRAMBLE = Choice(
    "kind of scrambling",
    ("phase", "pixels", "blocks"),
    synonyms=_by_synonym(
        phase="phases fourier spectrum powerspectrum phaserandomized surrogate",
        pixels="pixel shuffle shuffled permute permuted permutation histogram frames",
        blocks="block patches patch tiles tile mosaic box",
    ),
)
AXIS = Choice(
    "axis to scramble",
    ("space", "time", "both"),
    synonyms=_by_synonym(
        space="spatial image images xy", time="temporal frames t", both="spacetime spatiotemporal xyt 3d all"
    ),
)
HOW = Choice("way to keep images", ("copy", "link", "list"), synonyms=_by_synonym(link="symlink", list="csv"))
FORMAT = Choice(
    "format", ("png", "svg", "pdf", "none"), synonyms=_by_synonym(svg="vector", png="jpg jpeg", none="no")
)
STATES = Choice(
    "kind of states",
    ("rate", "spectral"),
    {"rate": "each unit's mean", "spectral": "its power spectrum"},
    _by_synonym(
        rate="rates mean means average firingrate count counts",
        spectral="spectrum spectra power powerspectrum fft psd frequency",
    ),
)
ALTERNATIVE = Choice(
    "alternative",
    ("two-sided", "greater", "less"),
    {"greater": "the first is higher", "less": "it is lower"},
    _by_synonym(
        greater="larger higher more above", less="smaller lower below", **{"two-sided": "both two twosided"}
    ),
)
SCALE = Choice(
    "scale",
    ("differentiation", "published"),
    {"published": "the median distance divided by the root of the number of units, and by no SD"},
    _by_synonym(differentiation="ours default normalized", published="mayner mayner2022 authors paper raw"),
)
VALUE = Choice(
    "value of a response",
    ("count", "rate", "mean", "samples"),
    {"count": "spikes", "rate": "spikes/s", "mean": "of traces", "samples": "of traces, each a response"},
    _by_synonym(
        count="counts spikes spikecount spikecounts number sum",
        rate="rates firingrate hz spikespersecond",
        mean="average avg",
        samples="sample volumes volume frames",
    ),
)
DETREND = Choice(
    "detrending",
    ("none", "mean", "linear"),
    synonyms=_by_synonym(none="no off false", mean="constant offset demean center", linear="line slope"),
)
