"""The measure as mathematics, for the normalisation and the metric that were used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    import xarray as xr


def _name(name: str) -> str:
    return f"<mi>{name}</mi>"


def _indexed(name: str, index: str) -> str:
    return f"<msub><mi>{name}</mi><mrow>{''.join(f'<mi>{letter}</mi>' for letter in index)}</mrow></msub>"


def _over(top: str, bottom: str) -> str:
    return f"<mfrac><mrow>{top}</mrow><mrow>{bottom}</mrow></mfrac>"


_Z, _A, _D = _indexed("z", "i"), _indexed("A", "i"), _indexed("d", "ij")
_MEAN = _indexed("&#x3BC;", "i")
_APART = "<mspace width='2em'/>"
_ZI, _ZJ = _indexed("z", "i"), _indexed("z", "j")
_NORM = f"<mo>&#x2016;</mo>{_ZI}<mo>&#x2212;</mo>{_ZJ}<mo>&#x2016;</mo>"
_BOTH = f"<mo>(</mo>{_ZI}<mo>,</mo>{_ZJ}<mo>)</mo>"
_ONE_MINUS = "<mn>1</mn><mo>&#x2212;</mo>"

#: By normalisation: how a normalised response is written, and what its symbols mean.
NORMALIZED = {
    "layer": (
        f"{_Z}<mo>=</mo>{_over(_A, _name('&#x3C3;'))}",
        "\u03c3 is the standard deviation of all N K entries of A.",
    ),
    "response": (
        f"{_Z}<mo>=</mo>{_over(f'{_A}<mo>&#x2212;</mo>{_MEAN}', _indexed('&#x3C3;', 'i'))}",
        "\u03bc and \u03c3 with index i are the mean and the standard deviation of response i over units.",
    ),
    "unit": (
        f"{_indexed('z', 'ik')}<mo>=</mo>{_over(_indexed('A', 'ik'), _indexed('&#x3C3;', 'k'))}",
        "\u03c3 with index k is the standard deviation of unit k over the responses of all sets.",
    ),
    "none": (f"{_Z}<mo>=</mo>{_A}", "The responses are taken as they are."),
}

#: By metric: the distance of two normalised responses.
DISTANCES = {
    "euclidean": f"{_D}<mo>=</mo>{_over(_NORM, '<msqrt><mi>K</mi></msqrt>')}",
    "cityblock": (
        f"{_D}<mo>=</mo>{_over('<mn>1</mn>', _name('K'))}<munder><mo>&#x2211;</mo><mi>k</mi></munder>"
        f"<mo>|</mo>{_indexed('z', 'ik')}<mo>&#x2212;</mo>{_indexed('z', 'jk')}<mo>|</mo>"
    ),
    "correlation": f"{_D}<mo>=</mo>{_ONE_MINUS}{_name('r')}{_BOTH}",
    "cosine": f"{_D}<mo>=</mo>{_ONE_MINUS}{_name('cos')}{_BOTH}",
}

#: By metric: what needs saying.
SAID_OF_METRIC = {
    "correlation": " r is Pearson's correlation over units.",
    "cosine": " Where responses are normalised by layer, the mean of A is subtracted first.",
}

_MEDIAN = (
    "<mi>D</mi><mo>=</mo><munder><mi>median</mi><mrow><mi>i</mi><mo>&lt;</mo><mi>j</mi></mrow></munder>" + _D
)


def formula(result: xr.Dataset) -> tuple[Markup, str]:
    """Return the measure as MathML, and what its symbols mean.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    """
    normalize, metric = str(result.attrs["normalize"]), str(result.attrs["metric"])
    normalized, said = NORMALIZED[normalize]
    lines = f"{normalized}{_APART}{DISTANCES[metric]}{_APART}{_MEDIAN}"
    return Markup(f'<math display="block"><mrow>{lines}</mrow></math>'), said + SAID_OF_METRIC.get(metric, "")
