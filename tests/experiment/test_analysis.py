"""A layer measured: what products tell and what they do not come to the same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from helpers import oracles
from scipy.spatial.distance import pdist, squareform

from differentia.definition.measure import evaluate
from differentia.experiment import analysis, layers
from differentia.experiment.layers import LayerMeasures, measure_layers
from differentia.experiment.options import MeasureOptions
from differentia.recording.responses import responses_from_arrays
from differentia.recording.units import draw_units

RNG = np.random.default_rng(0)


def nasty() -> dict[str, dict[str, np.ndarray]]:
    """Return sets with near and equal responses, a large common part, a layer dead for one of them."""
    sets = {}
    for name, n in {"a": 12, "b": 9}.items():
        plain = RNG.gamma(1.0, 1.0, (n, 300)).astype(np.float32)
        near = plain + np.float32(1e4)
        near[3], near[5] = near[2], near[2] + np.float32(0.01) * (np.arange(300) == 7)
        clusters = RNG.standard_normal((n, 300)) + 1e3 * (np.arange(n) % 2)[:, None]
        sets[name] = {
            "plain": plain,
            "near": near,
            "clusters": clusters.astype(np.float32),
            "dead": plain * (name == "b"),
            "large": plain * np.float32(1e30),
            "doubles": clusters,
        }
    return sets


def measure(
    sets: dict[str, dict[str, np.ndarray]], *, distances: bool = True, **options: Any
) -> dict[str, LayerMeasures]:
    responses = responses_from_arrays(sets, kind="random")
    given = MeasureOptions(draws=4, **options)
    measures = list(measure_layers(responses, (20, 200), given, distances=distances, budget=2**30))
    return {layer.name: found for layer, found in zip(responses.layers, measures, strict=True)}


@pytest.mark.parametrize("normalize", ["layer", "none"])
def test_products_change_no_value(normalize: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With them, and with each draw evaluated by itself, everything is the same; but not to the last bit."""
    sets = nasty()
    fast = measure(sets, normalize=normalize)
    monkeypatch.setattr(analysis, "MOST_TOGETHER", 1)
    slow = measure(sets, normalize=normalize)
    for layer, found in slow.items():
        np.testing.assert_allclose(fast[layer].values, found.values, rtol=2e-6)
        np.testing.assert_allclose(fast[layer].sums, found.sums, rtol=1e-6, atol=1e-4)
        np.testing.assert_allclose(fast[layer].square_sums, found.square_sums, rtol=1e-6)
        assert fast[layer].undefined == found.undefined
        one, other = fast[layer].distances, found.distances
        assert one is not None
        assert other is not None
        np.testing.assert_allclose(one, other, rtol=1e-5)
    assert (fast["plain"].values != slow["plain"].values).any()
    assert [case.set for case in fast["dead"].undefined] == ["a"] * 8
    values = fast["near"].values
    responses = responses_from_arrays(sets, kind="random")
    for draw in range(4):
        chosen = draw_units("near", 300, 20, draw, seed=0)
        expected = oracles.differentiation(np.asarray(responses.values["near"])[:12][:, chosen], normalize)
        assert values[0, 0, draw] == pytest.approx(expected, rel=1e-6)


def test_distances_of_all_images() -> None:
    """Of images that are equal, nearly equal, and far apart, within a set and between sets."""
    sets = nasty()
    sets["b"]["near"][4] = sets["a"]["near"][2]
    found = measure(sets)
    responses = responses_from_arrays(sets, kind="random")
    for layer in ("plain", "near", "clusters"):
        chosen = draw_units(layer, 300, 200, 0, seed=0)
        values = np.asarray(responses.values[layer])[:, chosen].astype(float)
        distances = found[layer].distances
        assert distances is not None
        np.testing.assert_allclose(distances, squareform(pdist(values)), rtol=1e-5)
        assert (distances[2, 12 + 4] == 0) == (layer == "near")
    assert measure(sets, distances=False)["near"].distances is None


def threads_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(torch.get_num_threads).result()


def test_other_threads_are_left_as_they_are() -> None:
    """PyTorch has as many threads as before, also in threads to come: afterwards, after an error, and between
    two layers.
    """
    cores = torch.get_num_threads()
    torch.set_num_threads(3)  # each layer is measured on one
    try:
        measure(nasty())
        assert (torch.get_num_threads(), threads_of_a_new_thread()) == (3, 3)
        with pytest.raises(KeyError):
            measure(nasty(), normalize="unknown")
        assert (torch.get_num_threads(), threads_of_a_new_thread()) == (3, 3)
        responses = responses_from_arrays(nasty(), kind="random")
        options = MeasureOptions(draws=4)
        suspended = measure_layers(responses, (20, 200), options, distances=True, budget=2**30)
        next(suspended)
        assert (torch.get_num_threads(), threads_of_a_new_thread()) == (3, 3)
        assert len(list(suspended)) == len(responses.layers) - 1
    finally:
        torch.set_num_threads(cores)


def test_layers_are_measured_on_one_core_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever threads there were before, and in each of several at once."""
    cores, seen = torch.get_num_threads(), set()

    def noted(*args: Any, **options: Any) -> Any:
        seen.add((threading.get_ident(), torch.get_num_threads()))
        return evaluate(*args, **options)

    monkeypatch.setattr(analysis, "evaluate", noted)
    monkeypatch.setattr(analysis, "MOST_TOGETHER", 1)
    torch.set_num_threads(3)
    try:
        measure(nasty())
    finally:
        torch.set_num_threads(cores)
    assert {count for _, count in seen} == {1}
    assert threading.get_ident() not in {thread for thread, _ in seen}


def test_a_thread_that_can_not_begin_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have begun do not wait for it, and the number of PyTorch's threads is what it was."""
    begin = threading.Thread.start
    begun: list[threading.Thread] = []

    def only_once(thread: threading.Thread) -> None:
        if begun:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        begin(thread)

    before = torch.get_num_threads()
    monkeypatch.setattr(threading.Thread, "start", only_once)
    with (
        pytest.raises((RuntimeError, threading.BrokenBarrierError)),
        layers.threads_of_one_core(2),
    ):
        pass
    assert torch.get_num_threads() == before
