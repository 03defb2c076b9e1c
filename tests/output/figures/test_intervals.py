"""Bands and bars show the limits: read back from the axes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.figures import (
    bands_of,
    bars_of,
    crossed_marks_of,
    legend_entries,
    of_network,
    open_marks_of,
    require_readable,
)
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

import differentia as dif
from differentia.output.colours import set_colours

RNG = np.random.default_rng(0)
COUNTS = (5, 20, 60)
IMAGES, UNITS = "95 %: other images", "95 %: other units"


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def neurons(layers: int = 4, names: tuple[str, ...] = ("noise", "cats", "dogs")) -> xr.Dataset:
    """Return a result with both kinds of intervals; of 60 of 80 units there is one draw, without bars."""
    arrays = {
        name: {f"L{n}": RNG.gamma(1 + place, 1.0, (12, 80)) for n in range(layers)}
        for place, name in enumerate(names)
    }
    result = dif.measure_responses(arrays, n_units=COUNTS, pool=60, draws=6, reference=names[0])
    return trusted(of_network(result))


def trusted(result: xr.Dataset) -> xr.Dataset:
    """Return a result without doubts, whose limits over images are therefore known."""
    nothing = result["doubt"].copy(data=np.full(result["doubt"].shape, ""))
    return dif.with_intervals(result.assign(doubt=nothing))


def with_limits(result: xr.Dataset, low: xr.DataArray, high: xr.DataArray) -> xr.Dataset:
    return result.assign(
        differentiation_low=low.assign_attrs(result["differentiation_low"].attrs),
        differentiation_high=high.assign_attrs(result["differentiation_high"].attrs),
    )


def limits_of(result: xr.Dataset, kind: str) -> tuple[xr.DataArray, xr.DataArray]:
    if kind == "plot_relative":
        return dif.relative_interval(result)
    return result["differentiation_low"], result["differentiation_high"]


@pytest.mark.parametrize("kind", ["plot", "plot_relative"])
def test_bands_are_the_limits_of_images(kind: str) -> None:
    """One for each set, at the largest number of units, though others are known too."""
    result = neurons()
    known = result["differentiation_low"].sel(source="images").notnull()
    assert known.sel(n_units=[20, 60]).all()
    bands = bands_of(getattr(dif, kind)(result))
    low, high = (limit.sel(source="images", n_units=60) for limit in limits_of(result, kind))
    assert list(bands) == [to_hex(colour) for colour in set_colours(result).values()]
    for name, band in zip(set_colours(result), bands.values(), strict=True):
        expected = np.stack([low.sel(set=name), high.sel(set=name)], axis=1)
        np.testing.assert_allclose(band, expected)
    assert (high - low).sel(set="cats").min() > 0.01  # else any line would do


@pytest.mark.parametrize("kind", ["plot", "plot_relative"])
def test_bars_are_the_limits_of_units(kind: str) -> None:
    """One for each set, layer and number of units where they are known."""
    result = neurons()
    bars = bars_of(getattr(dif, kind)(result))
    low, high = (limit.sel(source="units") for limit in limits_of(result, kind))
    known = (high > low).any(["layer"])
    assert known.sel(n_units=[5, 20]).all()
    drawn = iter(bars)
    for name, colour in set_colours(result).items():
        for count in COUNTS:
            if known.sel(set=name, n_units=count):
                of_colour, segments = next(drawn)
                assert of_colour == to_hex(colour)
                at = {"set": name, "n_units": count}
                np.testing.assert_allclose(segments[:, 0, 1], low.sel(at))
                np.testing.assert_allclose(segments[:, 1, 1], high.sel(at))
                np.testing.assert_allclose(np.round(segments[:, 0, 0]), range(4))
    assert not list(drawn)


def test_bars_pass_through_their_points() -> None:
    """And those of different sets stand beside each other."""
    result = neurons()
    ax = dif.plot(result)
    lines = [line for line in ax.get_lines() if len(np.asarray(line.get_xdata())) == 4]
    places = {to_hex(line.get_color()): np.asarray(line.get_xdata(), dtype=float) for line in lines}
    for colour, segments in bars_of(ax):
        np.testing.assert_allclose(segments[:, 0, 0], places[colour])
    noise, cats, dogs = places.values()
    assert (noise < cats).all()
    assert (cats < dogs).all()
    assert (np.abs(np.concatenate([noise, dogs]) - [*range(4), *range(4)]) < 0.25).all()


def test_legend_names_the_kinds_that_are_there() -> None:
    """With their confidence; a kind that is unknown, or has no width, is not named."""
    result = neurons()
    entries = legend_entries(dif.plot(result))
    assert entries[entries.index(IMAGES) + 1] == UNITS
    other = dif.with_intervals(result, confidence=0.8)
    assert {"80 %: other images", "80 %: other units"} <= set(legend_entries(dif.plot(other)))
    low, high = limits_of(result, "plot")
    for source, words in {"images": IMAGES, "units": UNITS}.items():
        kept = low["source"] != source
        for changed in (
            with_limits(result, low.where(kept), high.where(kept)),
            with_limits(result, low.where(kept, 1.0), high.where(kept, 1.0)),
        ):
            shown = legend_entries(dif.plot(changed))
            assert words not in shown
            assert {IMAGES, UNITS} - {words} <= set(shown)


@pytest.mark.parametrize("source", ["images", "units"])
def test_an_immense_interval_does_not_flatten_the_curves(source: str) -> None:
    """The axis ends at twice the highest value; where nothing is immense it ends above all limits."""
    result = neurons()
    low, high = limits_of(result, "plot")
    highest = float(dif.draw_mean(result["differentiation"], result).max())
    usual = dif.plot(result).get_ylim()[1]
    drawn = [high.sel(source="units"), high.sel(source="images", n_units=60)]
    assert max(float(limit.max()) for limit in drawn) < usual < 2 * highest
    immense = high.copy()
    immense.loc[{"set": "cats", "layer": "L1", "source": source}] *= 50
    assert dif.plot(with_limits(result, low, immense)).get_ylim()[1] == pytest.approx(2 * highest)


def test_few_images_have_no_band() -> None:
    """Limits that are NaN in all layers leave nothing; the bars stay."""
    result = neurons()
    low, high = limits_of(result, "plot")
    unknown = (low["source"] == "images") & (low["set"] == "cats")
    ax = dif.plot(with_limits(result, low.where(~unknown), high.where(~unknown)))
    assert set(bands_of(ax)) == {to_hex(set_colours(result)[name]) for name in ("noise", "dogs")}
    assert to_hex(set_colours(result)["cats"]) in {colour for colour, _ in bars_of(ax)}


def test_a_layer_that_stands_alone_has_a_band() -> None:
    """Between layers without limits, and where there is one layer: a box, which has a width."""
    result = neurons(5)
    low, high = limits_of(result, "plot")
    gaps = low["layer"].isin(["L1", "L4"])
    ax = dif.plot(with_limits(result, low.where(~gaps), high.where(~gaps)))
    for name, stretches in zip(set_colours(result), bands_of(ax, whole=True).values(), strict=True):
        alone, pair = stretches
        at = {"set": name, "n_units": 60, "source": "images", "layer": "L0"}
        assert alone[2:] == pytest.approx([low.sel(at).item(), high.sel(at).item()])
        assert 0.01 < alone[1] - alone[0] < 0.2
        assert pair[1] - pair[0] == pytest.approx(1.0)
    (one, *_) = bands_of(dif.plot(neurons(1)), whole=True).values()
    ((x_low, x_high, lowest, highest),) = one
    assert 0.01 < x_high - x_low < 0.2
    assert lowest < highest


@pytest.mark.parametrize("kind", ["plot", "plot_relative"])
def test_results_of_before_there_were_intervals(kind: str) -> None:
    """Bars are one SD over draws either side of the mean, and the legend says so; there are no bands."""
    result = neurons().drop_vars(["differentiation_low", "differentiation_high", "source"])
    values = result["differentiation"] if kind == "plot" else dif.relative(result)
    ax = getattr(dif, kind)(result)
    mean, spread = (
        found(values, result).sel(set="noise", n_units=5) for found in (dif.draw_mean, dif.draw_spread)
    )
    assert (spread > 0.01).all()
    colour, segments = bars_of(ax)[0]
    assert colour == to_hex(set_colours(result)["noise"])
    np.testing.assert_allclose(segments[:, 0, 1], mean - spread)
    np.testing.assert_allclose(segments[:, 1, 1], mean + spread)
    assert not bands_of(ax)
    assert "\N{PLUS-MINUS SIGN} 1 SD: other units" in legend_entries(ax)
    assert not {IMAGES, UNITS} & set(legend_entries(ax))


@pytest.mark.parametrize("kind", ["plot", "plot_relative"])
def test_open_marks_have_not_converged(kind: str) -> None:
    """Those points, and no others; the legend names them only where there are some."""
    result = neurons()
    draws = result["differentiation"].copy()
    draws.loc[{"set": "cats", "layer": ["L1", "L3"], "n_units": 5}] *= 0.5
    changed = result.assign(differentiation=draws)
    expected = dif.not_converged(changed)
    assert bool(expected.sel(set="cats", layer="L1", n_units=5))
    assert not expected.all("layer").any()
    ax = getattr(dif, kind)(changed)
    values = draws if kind == "plot" else dif.relative(changed)
    means = dif.draw_mean(values, changed)
    at = np.argwhere(expected.transpose("set", "n_units", "layer").values)
    marks = open_marks_of(ax)
    shown = [(colour, round(x), y) for colour, points in marks for x, y in points]
    colours = [to_hex(colour) for colour in set_colours(changed).values()]
    assert shown == [
        (colours[of_set], layer, pytest.approx(means.isel(set=of_set, layer=layer, n_units=count).item()))
        for of_set, count, layer in at
    ]
    assert "not converged" in legend_entries(ax)
    settled = getattr(dif, kind)(result.isel(n_units=[-1]))
    assert not open_marks_of(settled)
    assert "not converged" not in legend_entries(settled)


def test_open_marks_can_be_seen() -> None:
    """Nothing lies over them, also not the line of the most units; converged points are filled."""
    result = neurons().isel(n_units=[-1])
    changed = result.assign(layer_sd=result["layer_sd"] * xr.DataArray([1, 2, 1, 1], dims="layer"))
    expected = dif.not_converged(changed).squeeze("n_units")
    assert expected.sel(layer="L1").all()
    assert not expected.sel(layer="L3").any()
    for ax in (dif.plot(changed), dif.plot_kinds({"random": changed})[0]):
        figure: Any = ax.figure
        figure.set_dpi(600)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[::-1, :, :3]
        for line, opened in zip(ax.get_lines(), expected.values, strict=True):
            across, up = line.get_transform().transform(line.get_xydata()).astype(int).T
            assert (pixels[up, across] == 255).all(axis=1).tolist() == opened.tolist()


CROSSED = "not to be trusted: see report"


def doubted(result: xr.Dataset, *places: dict[str, Any]) -> xr.Dataset:
    """Return a result whose limits over images are not to be trusted at some places."""
    doubt = trusted(result)["doubt"].astype("U32")
    for place in places:
        doubt.loc[place] = "gap"
    return dif.with_intervals(result.assign(doubt=doubt))


@pytest.mark.parametrize("kind", ["plot", "plot_relative"])
def test_crossed_marks_are_not_to_be_trusted(kind: str) -> None:
    """Those points, and no others, have no band; relative ones also where the reference is not."""
    places: list[dict[str, Any]] = [
        {"set": "cats", "layer": "L1"},
        {"set": "noise", "layer": "L3", "n_units": 60},
    ]
    of_cats, of_noise = places
    result = doubted(neurons(), of_cats, of_noise)
    ax = getattr(dif, kind)(result)
    values = result["differentiation"] if kind == "plot" else dif.relative(result)
    means = dif.draw_mean(values, result)
    colours = {name: to_hex(colour) for name, colour in set_colours(result).items()}
    expected = {(colours["cats"], 1, means.sel(of_cats | {"n_units": count}).item()) for count in COUNTS}
    inheriting = ["noise"] if kind == "plot" else ["noise", "cats", "dogs"]
    counts = {"noise": [60], "cats": COUNTS, "dogs": COUNTS}
    for name in inheriting:
        expected |= {
            (colours[name], 3, means.sel(set=name, layer="L3", n_units=count).item())
            for count in counts[name]
        }
    marks = crossed_marks_of(ax)
    shown = {(colour, round(x), y) for colour, points in marks for x, y in points}
    assert sum(len(points) for _, points in marks) == len(expected)
    assert {one[:2] for one in shown} == {one[:2] for one in expected}
    assert sorted(y for *_, y in shown) == pytest.approx(sorted(y for *_, y in expected))
    open_ones = {(colour, round(x), y) for colour, points in open_marks_of(ax) for x, y in points}
    assert not open_ones & shown
    cats = bands_of(ax, whole=True)[colours["cats"]]
    assert not ((cats[:, 0] < 0.9) & (cats[:, 1] > 1.1)).any()
    assert legend_entries(ax)[-1] == CROSSED
    require_readable(ax.figure)
    assert not crossed_marks_of(getattr(dif, kind)(trusted(result)))
    assert CROSSED not in legend_entries(getattr(dif, kind)(trusted(result)))


def test_results_of_before_there_were_doubts() -> None:
    """Two sources, limits by resampling, and no doubt: drawn as they are."""
    result = neurons()
    low, high = (limit.sel(source=["units", "images"]) for limit in limits_of(result, "plot"))
    rest = result.drop_vars(["doubt", "log_limit", "freedom", "influence"]).drop_dims(["source", "score"])
    old = {"confidence": 0.95, "method": "studentized", "resamples": 2000}
    result = rest.assign(
        differentiation_low=low.assign_attrs(old), differentiation_high=high.assign_attrs(old)
    )
    ax = dif.plot(result)
    assert {IMAGES, UNITS} <= set(legend_entries(ax))
    assert len(bands_of(ax)) == 3
    assert not crossed_marks_of(ax)


def test_kinds_have_their_own_intervals() -> None:
    """Each panel has those of its result, and one legend says what they are."""
    first = neurons(names=("noise", "cats"))
    low, high = limits_of(first, "plot")
    second = with_limits(first, low / 2, high * 2).assign_coords(units="top")
    axes = dif.plot_kinds({"random": first, "top": second})
    bands: list[dict[str, np.ndarray]] = [bands_of(ax) for ax in axes]
    for one, other in zip(*(panel.values() for panel in bands), strict=True):
        np.testing.assert_allclose(other, one * [0.5, 2.0])
    entries = legend_entries(axes[0].figure)
    assert entries[:7] == ["noise", "cats", "", "60 units", "20 units", "5 units", ""]
    assert entries[7:9] == [IMAGES, UNITS]


@pytest.mark.parametrize(("layers", "sets"), [(1, 3), (2, 1), (21, 3), (6, 8)])
def test_readable(layers: int, sets: int) -> None:
    """With one and with many layers and sets."""
    result = neurons(layers, tuple(f"set_{n}" for n in range(sets)))
    for ax in (dif.plot(result), dif.plot_relative(result)):
        assert isinstance(ax, Axes)
        require_readable(ax.figure)
        assert ax.get_window_extent().height > 0.3 * ax.figure.bbox.height
