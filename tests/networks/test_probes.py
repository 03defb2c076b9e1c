"""What is kept of a layer is right in every memory layout and type, and a copy."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from helpers import oracles

from differentia.networks.layers import Layer
from differentia.networks.probes import MapProbe, SummaryProbe, UnitMoments, UnitProbe, memory_order, together

RNG = np.random.default_rng(0)

SHAPE = (6, 5, 4)
UNITS = np.array([119, 0, 7, 64, 63, 20])


def outputs() -> torch.Tensor:
    return torch.arange(3 * 120, dtype=torch.float32).reshape(3, *SHAPE)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2), (0, 3, 2, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_units_in_any_layout(axes: tuple[int, ...], dtype: torch.dtype) -> None:
    """A unit's index is its place in the logical shape, whatever the layout in memory."""
    output = outputs().to(dtype)
    laid_out = output.permute(axes).contiguous().permute(tuple(np.argsort(axes)))
    assert laid_out.stride() != output.stride() or axes == (0, 1, 2, 3)
    expected = output.float().reshape(3, -1).numpy()[:, UNITS]
    kept = UnitProbe(UNITS, SHAPE)(laid_out)
    assert kept.dtype == (np.float64 if dtype == torch.float64 else np.float32)
    np.testing.assert_array_equal(kept, expected)
    whole = UnitProbe(np.arange(120), SHAPE)(laid_out)
    np.testing.assert_array_equal(whole, output.float().reshape(3, -1).numpy())


def test_one_probe_sees_several_layouts() -> None:
    """What a probe remembers of one layout is not used for another."""
    probe = UnitProbe(UNITS, SHAPE)
    plain = probe(outputs())
    np.testing.assert_array_equal(probe(outputs().to(memory_format=torch.channels_last)), plain)
    np.testing.assert_array_equal(probe(outputs()), plain)


@pytest.mark.parametrize("units", [UNITS, np.arange(120)])
def test_what_is_kept_is_a_copy(units: np.ndarray) -> None:
    """An operation in place after the probe does not reach what it kept."""
    output = outputs()
    kept = UnitProbe(units, SHAPE)(output)
    output.neg_()
    np.testing.assert_array_equal(kept, -output.reshape(3, -1).numpy()[:, units])


def test_scalars_views_and_arrays_of_other_frameworks() -> None:
    """A layer of one number, an expanded tensor, and what NumPy can view."""
    np.testing.assert_array_equal(UnitProbe(np.array([0]), ())(torch.arange(3.0)), [[0], [1], [2]])
    expanded = torch.arange(3.0).reshape(3, 1, 1).expand(3, 2, 2)
    np.testing.assert_array_equal(UnitProbe(np.array([3, 1]), (2, 2))(expanded), [[0, 0], [1, 1], [2, 2]])
    array = outputs().numpy()
    np.testing.assert_array_equal(UnitProbe(UNITS, SHAPE)(array), array.reshape(3, -1)[:, UNITS])


def test_memory_order() -> None:
    """The axis with the largest stride comes first."""
    assert memory_order(outputs()) == (1, 2, 3)
    assert memory_order(outputs().to(memory_format=torch.channels_last)) == (2, 3, 1)


#: Layers of each number of axes of space, the filters first and last.
LAYERS = {
    "first": Layer("a", "Conv2d", (6, 5, 4), "a", channel_axis=0),
    "last": Layer("a", "Conv2D", (5, 4, 6), "a", channel_axis=2),
    "volume": Layer("a", "Conv3d", (3, 2, 4, 5), "a", channel_axis=0),
    "tokens": Layer("a", "LayerNorm", (7, 6), "a", channel_axis=1),
    "vector": Layer("a", "Linear", (9,), "a"),
    "number": Layer("a", "Linear", (), "a"),
}
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def layouts(output: torch.Tensor) -> list[torch.Tensor]:
    """Return the same numbers in every order of axes in memory, with gaps, and in another's memory."""
    orders = list(itertools.permutations(range(output.ndim)))
    same = [output.permute(order).contiguous().permute(tuple(np.argsort(order))) for order in orders]
    gaps = torch.stack([output, -output], dim=-1)[..., 0]
    assert len({each.stride() for each in [*same, gaps]}) > 1 or output.ndim == 1
    return [*same, gaps]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_summary_in_any_layout(name: str, dtype: torch.dtype) -> None:
    """Filter means, mean and variance are those of float64 loops over the units by their index."""
    layer = LAYERS[name]
    output = torch.from_numpy(RNG.normal(0.7, 1.0, (3, *layer.shape))).to(dtype)
    exact = output.double().numpy()
    filter_means = oracles.filter_means(exact, layer.channel_axis)
    mean, variance = oracles.moments(exact)
    for laid_out in layouts(output):
        summary = SummaryProbe(layer)(laid_out)
        assert summary.filter_mean.shape == (3, layer.n_filters)
        np.testing.assert_allclose(summary.filter_mean, filter_means, rtol=1e-6, atol=2e-7)
        np.testing.assert_allclose(summary.mean, mean, rtol=1e-6, atol=2e-7)
        np.testing.assert_allclose(summary.variance, variance, rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("offset", [0.0, 1.0, 2.9, 3.1, 100.0, 1e4, -1e4])
def test_variance_beside_a_large_mean(offset: float) -> None:
    """A layer of several blocks whose mean is many SDs, on both sides of where the sums change."""
    layer = Layer("a", "Conv2d", (16, 30, 31), "a", channel_axis=0)
    output = torch.from_numpy((RNG.normal(size=(3, *layer.shape)) + offset).astype(np.float32))
    mean, variance = oracles.moments(output.double().numpy())
    summary = SummaryProbe(layer)(output)
    np.testing.assert_allclose(summary.variance, variance, rtol=1e-6)
    np.testing.assert_allclose(summary.mean, mean, rtol=1e-6, atol=1e-7)
    if abs(offset) >= 100:  # what the care is for: the same sums in float32, as one would write them
        flat = output.reshape(3, -1)
        naive = (flat.square().mean(1) - flat.mean(1).square()).numpy()
        assert (np.abs(naive / variance - 1) > 1e-4).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.0, 0.1, -0.7, 1234.5678])
def test_constant_layers_have_no_variance(value: float, dtype: torch.dtype) -> None:
    """Exactly 0, and the mean is the value; one unit that differs is seen."""
    layer = Layer("a", "Conv2d", (7, 27, 29), "a", channel_axis=0)
    output = torch.full((2, *layer.shape), value, dtype=dtype)
    summary = SummaryProbe(layer)(output)
    assert summary.variance.tolist() == [0.0, 0.0]
    assert summary.mean.tolist() == [float(output[0, 0, 0, 0])] * 2
    output[1, 3, 2, 1] = 2 * value + 1
    assert SummaryProbe(layer)(output).variance[0] == 0.0
    assert SummaryProbe(layer)(output).variance[1] > 0.0


@pytest.mark.parametrize("scale", [1e25, 2e38])
def test_large_numbers(scale: float) -> None:
    """Finite responses have finite moments, also where squares and sums leave the range of float32."""
    layer = LAYERS["first"]
    output = torch.from_numpy((RNG.uniform(0.5, 1.5, (3, *layer.shape)) * scale).astype(np.float32))
    exact = output.double().numpy()
    assert torch.isinf(output.square().sum())
    summary = SummaryProbe(layer)(output)
    mean, variance = oracles.moments(exact)
    np.testing.assert_allclose(summary.filter_mean, oracles.filter_means(exact, 0), rtol=1e-6)
    np.testing.assert_allclose(summary.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(summary.variance, variance, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("name", ["first", "vector"])
def test_one_unit_that_is_not_finite_is_seen(name: str, bad: float) -> None:
    """It shows in the means of its filter and its image, without a warning of NumPy, and nowhere else."""
    layer = LAYERS[name]
    output = torch.ones((3, *layer.shape))
    output.reshape(3, -1)[1, -1] = bad
    summary = SummaryProbe(layer)(output)
    expected = np.ones((3, layer.n_filters), dtype=bool)
    expected[1, -1] = False
    np.testing.assert_array_equal(np.isfinite(summary.filter_mean), expected)
    assert np.isfinite(summary.mean).tolist() == [True, False, True]
    assert np.isfinite(summary.variance).tolist() == [True, False, True]


def test_summaries_and_maps_of_other_frameworks() -> None:
    """JAX's arrays, whole and half precision, and NumPy's, also read-only, in reverse, and in bfloat16."""
    layer = LAYERS["last"]
    values = RNG.normal(size=(3, *layer.shape)).astype(np.float32)
    backwards = np.ascontiguousarray(values[:, ::-1, :, ::-1])[:, ::-1, :, ::-1]
    assert min(backwards.strides) < 0
    frozen = values.copy()
    frozen.flags.writeable = False
    half = jnp.asarray(values, dtype=jnp.bfloat16)
    for output in (jnp.asarray(values), half, np.asarray(half), values, backwards, frozen):
        exact = np.asarray(output).astype(np.float64)
        summary = SummaryProbe(layer)(output)
        np.testing.assert_allclose(summary.filter_mean, oracles.filter_means(exact, 2), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(summary.variance, oracles.moments(exact)[1], rtol=1e-6)
        np.testing.assert_array_equal(MapProbe(layer, [4])(output), np.moveaxis(exact[..., [4]], -1, 1))
        moments = UnitMoments()
        moments(output)
        np.testing.assert_allclose(moments.mean, exact.mean(axis=0).ravel(), rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["first", "last"])
def test_maps(name: str, dtype: torch.dtype) -> None:
    """The filters asked for, in that order, height before width, in any layout."""
    layer, filters = LAYERS[name], [5, 0, 3]
    output = torch.from_numpy(RNG.normal(size=(3, *layer.shape))).to(dtype)
    exact = output.double().numpy()
    expected = np.array(
        [[image[number] if name == "first" else image[:, :, number] for number in filters] for image in exact]
    )
    for laid_out in layouts(output):
        maps = MapProbe(layer, filters)(laid_out)
        assert maps.dtype == (np.float64 if dtype == torch.float64 else np.float32)
        np.testing.assert_array_equal(maps, expected)


def test_what_is_kept_of_maps_and_moments_is_a_copy() -> None:
    """Operations in place after the probes do not reach what they kept."""
    layer = LAYERS["vector"]
    maps_of = LAYERS["first"]
    output, vectors = torch.ones((2, *maps_of.shape)), torch.ones((2, *layer.shape))
    maps, summary, moments = MapProbe(maps_of, range(6))(output), SummaryProbe(layer)(vectors), UnitMoments()
    moments(vectors)
    output.fill_(7.0)
    vectors.fill_(7.0)
    assert (maps == 1.0).all()
    assert (summary.filter_mean == 1.0).all()
    assert (moments.mean == 1.0).all()
    assert (moments.variance == 0.0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_moments_of_units(offset: float, dtype: torch.dtype) -> None:
    """Over several batches of different sizes, equal to NumPy's over all images, in the order of units."""
    output = torch.from_numpy(RNG.normal(offset, 1.0, (11, 6, 5, 4))).to(dtype)
    output[:, 0, 0, 1] = 0.1  # never changes
    output[:, 2, 3, 1] = output[:, 5, 4, 3]  # a tie
    exact = output.double().numpy().reshape(11, -1)
    moments = UnitMoments()
    for start, stop in ((0, 4), (4, 5), (5, 11)):
        moments(output[start:stop].contiguous(memory_format=torch.channels_last))
    np.testing.assert_allclose(moments.mean, exact.mean(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(moments.variance, exact.var(axis=0), rtol=1e-9, atol=1e-24)
    assert moments.variance[1] == 0.0
    assert offset or np.count_nonzero(moments.variance == 0.0) == 1
    first, second = np.ravel_multi_index(([2, 5], [3, 4], [1, 3]), (6, 5, 4))
    assert moments.mean[first] == moments.mean[second]
    assert moments.variance[first] == moments.variance[second]


def test_sums_of_squares_would_give_constant_units_a_variance() -> None:
    """The control for the exact 0: without the first image subtracted it is lost, and with it a ranking."""
    values = np.tile(RNG.normal(size=50), (7, 1))
    naive = (values**2).sum(axis=0) / 7 - (values.sum(axis=0) / 7) ** 2
    moments = UnitMoments()
    moments(values)
    assert (naive != 0.0).any()
    assert (moments.variance == 0.0).all()


def test_several_probes_together() -> None:
    """Each sees the output, and what it kept goes by its name."""
    layer = LAYERS["first"]
    both = together({"units": UnitProbe(UNITS, SHAPE), "maps": MapProbe(layer, [2])})(outputs())
    assert list(both) == ["units", "maps"]
    np.testing.assert_array_equal(both["units"], UnitProbe(UNITS, SHAPE)(outputs()))
    np.testing.assert_array_equal(both["maps"][:, 0], outputs().numpy()[:, 2])


def test_moments_of_parts_are_those_of_all() -> None:
    """Gathered apart and put together, also with other first images; a unit that never changes keeps 0."""
    generator = np.random.default_rng(0)
    values = generator.normal(1e4, 1.0, (20, 6)).astype(np.float32)
    values[:, 2] = 0.1
    gathering, total = UnitMoments(), UnitMoments()
    for start, stop in ((0, 1), (1, 9), (9, 20)):
        gathering(torch.from_numpy(values[start:stop]))
        total.add(gathering.take())
    assert (gathering.shown, total.shown) == (0, 20)
    exact = values.astype(np.float64)
    np.testing.assert_allclose(total.mean, exact.mean(0), rtol=1e-14)
    np.testing.assert_allclose(total.variance, exact.var(0), rtol=1e-10)
    assert total.variance[2] == 0
    assert total.variance[0] > 0
