"""The measure itself: responses in, one number out.

For responses ``A`` of shape (n_responses, n_units), the rows being stimuli::

    sigma = population standard deviation of all entries of A
    d_ij  = || A_i - A_j ||_2 / (sigma * sqrt(n_units))     for i < j
    D     = median of d_ij over all pairs

Independent entries of one variance give ``D -> sqrt(2)``, equal responses give 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Num
from numpy.typing import ArrayLike

from differentia.definition.deviations import rounded_in_words
from differentia.definition.matrix import ResponseMatrix, Rows, extremes
from differentia.definition.medians import middle, middle_of_few
from differentia.definition.pairs import PRECISION, by_blocks, squared_euclidean
from differentia.definition.rounding import moved_by_rounding, only_rounding
from differentia.definition.tiles import ByBlocks, DoubtError, SquaredEuclidean, Tiles
from differentia.errors import InputError, require_known, short_tracebacks, warn
from differentia.system.choices import METRIC, NORMALIZE
from differentia.system.tasks import Workers

#: The largest number of responses for which all pairs are held while their median is found.
FEW_RESPONSES = 512


class Differentiation(NamedTuple):
    """A value of the measure, or NaN and why."""

    value: float
    undefined: str | None = None  # the predicate of a sentence
    response: int | None = None  # the row to blame, where it is one row


class _UndefinedError(Exception):
    """The measure has no value, because of one response."""

    def __init__(self, response: int, reason: str) -> None:
        super().__init__(reason)
        self.response = response


def _by_layer(rows: Rows, scale: np.ndarray | None) -> Rows:
    rows = rows.minus(float(rows.means().mean()))
    return rows.over(math.sqrt(rows.square_sums().sum() / (rows.n_responses * rows.n_units)))


def _by_response(rows: Rows, scale: np.ndarray | None) -> Rows:
    constant = rows.constant()
    if constant.any():
        raise _UndefinedError(int(np.argmax(constant)), "is constant and has no correlation")
    rows = rows.minus(rows.means())
    return rows.over(np.sqrt(rows.square_sums() / rows.n_units))


def _by_unit(rows: Rows, scale: np.ndarray | None) -> Rows:
    if scale is None:
        raise InputError(
            "normalize='unit' needs scale=: each unit's SD over the responses of all sets together, "
            f"shape ({rows.n_units},)"
        )
    weight = np.divide(1.0, scale, out=np.zeros(len(scale)), where=scale > 0)
    return replace(rows, weight=weight)


def _as_is(rows: Rows, scale: np.ndarray | None = None) -> Rows:
    return rows


#: What is done to the responses before they are compared.
NORMALIZATIONS: dict[str, Callable[[Rows, np.ndarray | None], Rows]] = {
    "layer": _by_layer,
    "response": _by_response,
    "unit": _by_unit,
    "none": _as_is,
}


def _of_length_one(rows: Rows) -> Rows:
    # |u - v|^2 = 2 (1 - cos) for unit vectors: exact also where the angle is small.
    lengths = np.sqrt(rows.square_sums())
    if not lengths.all():
        raise _UndefinedError(int(np.argmin(lengths)), "is zero in every unit and has no direction")
    return rows.over(lengths)


@dataclass(frozen=True)
class Metric:
    """How two normalised responses are compared.

    `scipy` names SciPy's metric, and `join` says how its values over blocks of units make the value over all;
    without a name pairs are compared by their squared Euclidean distance. Of that number and the number of
    units `distance` makes the distance.
    """

    distance: Callable[[Any, int], Any]
    prepare: Callable[[Rows], Rows] = _as_is
    scipy: str | None = None
    join: np.ufunc = np.add
    in_units: bool = False  # whether distances have the unit of what is compared

    def pairs(self, rows: Rows) -> Float[np.ndarray, " pairs"]:
        """Return what `distance` takes, of every pair of a few responses."""
        return by_blocks(rows, self.scipy, self.join) if self.scipy else squared_euclidean(rows)

    def tiles(self, rows: Rows) -> Tiles:
        """Return the same of many responses."""
        return ByBlocks(rows, self.scipy, self.join) if self.scipy else SquaredEuclidean(rows, "float64")


#: Every metric is a mean over units, or free of their number.
METRICS: dict[str, Metric] = {
    "euclidean": Metric(lambda square, k: np.sqrt(square / k), in_units=True),
    "cityblock": Metric(lambda total, k: total / k, scipy="cityblock", in_units=True),
    "correlation": Metric(
        lambda square, k: square / 2, prepare=lambda rows: _of_length_one(_by_response(rows, None))
    ),
    "cosine": Metric(lambda square, k: square / 2, prepare=_of_length_one),
}


def is_raw_euclidean(normalize: str, metric: str) -> bool:
    """Return whether distances are Euclidean ones of the responses as they are, at most divided by one SD.

    Only then inner products, sketches and the distances that are kept with a result tell the measure.
    """
    return metric == "euclidean" and normalize in ("layer", "none")


def _power_near_peak(lowest: float, highest: float) -> float:
    """Return what keeps the squares of extreme values finite: 1, or a power of two, which divides exactly."""
    exponent = math.frexp(max(abs(lowest), abs(highest)))[1]
    return 1.0 if abs(exponent) < 300 else math.ldexp(1.0, exponent - 1)


def evaluate(
    responses: ResponseMatrix,
    *,
    normalize: str = "layer",
    metric: str = "euclidean",
    scale: Float[np.ndarray, " k"] | None = None,
    workers: Workers | None = None,
) -> Differentiation:
    """Return the differentiation of responses that are known to be valid: finite, and at least two.

    Of many responses, which are no array but lie where all can read them, what takes long is done by
    `workers`, and the value is the same to the last bit.
    """
    lowest, highest = extremes(responses, workers)
    if lowest == highest:
        return Differentiation(math.nan, gives_the_same(lowest))
    if normalize == "layer" and only_rounding(lowest, highest, responses.dtype):
        return Differentiation(math.nan, f"{gives_the_same(lowest)}, but for rounding")
    few = responses.shape[0] <= FEW_RESPONSES
    if is_raw_euclidean(normalize, metric) and not few:
        value = _from_float32(
            Rows(responses, workers=workers), normalize, max(abs(float(lowest)), abs(float(highest)))
        )
        if value is not None:
            return Differentiation(value)
    how = METRICS[metric]
    try:
        rows = _as_compared(responses, (lowest, highest), normalize, metric, scale, workers)
    except _UndefinedError as undefined:
        return Differentiation(math.nan, str(undefined), undefined.response)
    middle_two = middle_of_few(how.pairs(rows)).tolist() if few else middle(how.tiles(rows))
    value = sum(float(how.distance(of_pair, rows.n_units)) for of_pair in middle_two) / 2
    return Differentiation(value * rows.power if normalize == "none" and how.in_units else value)


def _as_compared(
    responses: ResponseMatrix,
    ends: tuple[Any, Any],
    normalize: str,
    metric: str,
    scale: Float[np.ndarray, " k"] | None,
    workers: Workers | None = None,
) -> Rows:
    """Return responses as the metric compares them; their smallest and largest number are known."""
    power = _power_near_peak(*map(float, ends))
    if scale is not None and power != 1.0:
        scale = scale / power
    return METRICS[metric].prepare(NORMALIZATIONS[normalize](Rows(responses, power, workers=workers), scale))


def pair_distances(
    responses: ResponseMatrix,
    *,
    normalize: str,
    metric: str,
    scale: Float[np.ndarray, " k"] | None = None,
) -> Float[np.ndarray, " pairs"] | None:
    """Return the distance of every pair of a few responses, in ``pdist``'s order and up to a factor.

    It is None where the measure has no value.
    """
    ends = extremes(responses)
    if ends[0] == ends[1] or (normalize == "layer" and only_rounding(*ends, responses.dtype)):
        return None
    try:
        rows = _as_compared(responses, ends, normalize, metric, scale)
    except _UndefinedError:
        return None
    distances: Float[np.ndarray, " pairs"] = METRICS[metric].distance(
        METRICS[metric].pairs(rows), rows.n_units
    )
    return distances


def gives_the_same(response: float) -> str:
    """Return why there is no value where all responses are the same, as `Differentiation` has it."""
    return f"gives {float(response):.6g} in every unit for every stimulus"


def _from_float32(rows: Rows, normalize: str, peak: float) -> float | None:
    """Return the differentiation of many responses from products in float32; None where these do not do."""
    least, most = PRECISION["float32"].safe
    if not (np.can_cast(rows.values.dtype, np.float32) and least < peak * peak < most):
        return None
    tiles = SquaredEuclidean(rows, "float32")
    try:
        middle_two = middle(tiles)
    except DoubtError:
        return None
    if middle_two[0] < least:  # what vanished may be nearly 0, or not
        return None
    value = sum(math.sqrt(square / tiles.n_units) for square in middle_two) / 2
    return value / tiles.sd() if normalize == "layer" else value


@short_tracebacks
def differentiation(
    A: ArrayLike, *, normalize: str = "layer", metric: str = "euclidean", scale: ArrayLike | None = None
) -> float:
    """Return the differentiation of one set of responses: the median distance over all pairs.

    Parameters
    ----------
    A : (n_responses, n_units)
        One response (to one stimulus) a row; a network's units or recorded neurons are the columns.
    normalize : {"layer", "response", "unit", "none"}
        ``layer`` divides by one SD of all entries; ``response`` gives each row mean 0 and SD 1;
        ``unit`` divides each column by `scale`; ``none`` compares the responses as they are.
    metric : {"euclidean", "cityblock", "correlation", "cosine"}
        ``euclidean`` is the root mean square difference over units, ``cityblock`` the mean absolute
        difference, ``correlation`` and ``cosine`` are one minus the similarity.
    scale : (n_units,), optional
        For ``normalize="unit"`` only: each unit's SD over the responses of *all* sets (0 for a unit
        that never changes: it contributes nothing). A unit that only rounding moves counts as one, with a
        `DifferentiaWarning`.

    Returns
    -------
    float
        Dimensionless for every normalisation but ``none``, which keeps the unit of `A`. NaN, with a
        `DifferentiaWarning`, where all entries of `A` are equal, or where the normalisation or metric
        has no value for a row.

    Raises
    ------
    InputError
        `A` is not a matrix of at least 2 x 1 finite real numbers, an option is unknown, or `scale`
        does not fit.

    Notes
    -----
    With ``normalize="response"`` the euclidean distance is ``sqrt(2 (1 - r))``, r being Pearson's
    correlation of the two responses.

    Examples
    --------
    >>> differentiation([[0.0, 2.0], [2.0, 0.0]])
    2.0
    """
    require_known("normalization", normalize, NORMALIZATIONS, NORMALIZE.synonyms)
    require_known("metric", metric, METRICS, METRIC.synonyms)
    responses = as_responses(A, "A")
    value, undefined, response = evaluate(
        responses, normalize=normalize, metric=metric, scale=_checked_scale(scale, responses, normalize)
    )
    if undefined:
        culprit = "A" if response is None else f"response {response}"
        warn("undefined", f"differentiation is NaN: {culprit} {undefined}")
    return value


def as_responses(values: Any, where: str) -> Num[np.ndarray, "n k"]:
    """Return values as a matrix that the measure is defined for; errors call it `where`."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists; tensors that need gradients
        raise InputError(f"{where} is not a matrix of responses x units: {error}") from None
    if np.ma.is_masked(values):
        raise InputError(f"{where} has masked entries; leave those responses or units out, or fill them")
    if array.dtype == bool:
        array = array.astype(np.float64)
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise InputError(f"{where} has the type {array.dtype}; expected real numbers (responses x units)")
    if array.ndim != 2:
        raise InputError(f"{where} has the shape {array.shape}; expected two dimensions, responses x units")
    if array.shape[0] < 2 or array.shape[1] < 1:
        raise InputError(
            f"{where} has {array.shape[0]} responses of {array.shape[1]} units; "
            "expected at least 2 responses (a pair to compare) of at least 1 unit"
        )
    if not (np.isfinite(array.min()) and np.isfinite(array.max())):  # which takes no memory
        bad = ~np.isfinite(array)
        row, column = (int(index) for index in np.argwhere(bad)[0])
        raise InputError(
            f"{where} holds {array[row, column]} in response {row}, unit {column}; "
            "expected finite numbers: leave that response or unit out"
        )
    return array


def _checked_scale(scale: ArrayLike | None, responses: np.ndarray, normalize: str) -> np.ndarray | None:
    if scale is None:
        return None
    if normalize != "unit":
        raise InputError(f"scale= goes with normalize='unit' only, not with {normalize!r}")
    try:
        array = np.asarray(scale, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"scale is not a list of SDs: {error}") from None
    if array.shape != (responses.shape[1],) or not (array >= 0).all() or np.isinf(array).any():
        raise InputError(
            f"scale has the shape {array.shape}; expected ({responses.shape[1]},): "
            "one finite SD >= 0 for each unit"
        )
    lowest, highest = responses.min(axis=0), responses.max(axis=0)
    constant = moved_by_rounding(responses, lowest, highest, responses.dtype)
    wrong = (array == 0) & ~constant
    if wrong.any():
        unit = int(np.argmax(wrong))
        raise InputError(f"scale is 0 for unit {unit}, which varies in A; expected its SD")
    # An SD is at most half of what lies between the lowest and the highest response of all sets.
    reach = moved_by_rounding(responses, highest - 2 * array, highest.astype(np.float64), responses.dtype)
    rounded = constant & reach & (array > 0)
    if rounded.any():
        array = np.where(rounded, 0.0, array)
        warn("rounding", rounded_in_words({"A": int(rounded.sum())}, {"A": len(array)}))
    return array
