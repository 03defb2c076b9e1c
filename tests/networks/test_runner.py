"""A pass that costs less gives what the network's own pass gives, or is not done."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from helpers.passes import (
    NETWORKS,
    PIXELS,
    Noisy,
    every_kind_of_layer,
    load,
    own_pass,
    probes,
    report_outputs,
)
from helpers.small_memory import OfSmallMemory

import differentia as dif
from differentia.networks import graph
from differentia.networks.graph import PassGraph
from differentia.networks.probes import UnitMoments, UnitProbe
from differentia.networks.runner import Runner


def test_a_rewritten_pass_gives_the_same_of_every_layer() -> None:
    """Also of a second batch, of another size, and of what is computed in place."""
    network = load()
    runner = Runner(network, compile="never", batch_size=5)
    for pixels in (PIXELS, PIXELS[::-1].copy(), PIXELS[:2]):
        expected, looks = own_pass(network, pixels), probes(network)
        found = runner.record(pixels, looks)
        assert list(found) == [layer.name for layer in network.layers]
        for name, values in expected.items():
            np.testing.assert_allclose(found[name]["all"], values, rtol=1e-5, atol=1e-6, err_msg=name)
            np.testing.assert_allclose(found[name]["sums"].mean, values.mean(axis=1), rtol=1e-5, atol=1e-6)
    assert (
        len(
            {
                tuple(values["all"][0])
                for values in (runner.record(PIXELS[[at]], probes(network))["dense"] for at in range(3))
            }
        )
        == 3
    )


def test_a_network_that_is_changed_is_run_as_it_is() -> None:
    """Nothing of an earlier recording's graph stays: neither weights nor code."""
    model = every_kind_of_layer()
    network = load(model)
    sets = {"a": PIXELS}

    def dense(of: dif.Network) -> np.ndarray:
        return np.asarray(dif.record(of, sets, pool=50).values["dense"])

    before = dense(network)
    model.get_layer("same").bias.assign(np.full(8, 3.0))
    biased = dense(network)
    assert np.abs(biased - before).max() > 0.01
    np.testing.assert_allclose(dense(load(model)), biased, rtol=1e-5)
    model.get_layer("dense").activation = keras.activations.relu
    assert dense(network).min() == 0 > biased.min()


def test_a_graph_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Were a rewriting wrong for some network, its own pass would be done, with the right numbers."""
    network = load()
    expected, looks = own_pass(network, PIXELS), probes(network)
    moments = UnitMoments()
    looks["dense"]["ranking"] = moments

    def lose_a_bias(module: Any) -> None:
        for node in module.graph.nodes:
            if node.target == torch.ops.aten.convolution.default and node.args[2] is not None:
                node.update_arg(2, None)
                return

    rewrite = graph._give_bias_to_convolutions

    def wrongly(module: Any) -> None:
        rewrite(module)
        lose_a_bias(module)

    monkeypatch.setattr(graph, "_give_bias_to_convolutions", wrongly)
    with caplog.at_level(logging.DEBUG, "differentia"):
        found = Runner(network, compile="never", batch_size=5).record(PIXELS, looks)
    assert "layer 'same' differs from the network's own pass" in caplog.text
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name]["all"], values)
    np.testing.assert_allclose(moments.mean, expected["dense"].mean(axis=0), rtol=1e-6)
    pass_graph = PassGraph(report_outputs(network), network.prepare(PIXELS))
    wrong = pass_graph.reading({"same": looks["same"]["all"]}, len(PIXELS))
    assert np.abs(wrong(network.prepare(PIXELS))["same"] - expected["same"]).max() > 0.01


def test_a_model_that_is_no_graph_is_recorded(caplog: pytest.LogCaptureFixture) -> None:
    """By its own pass."""
    inputs = keras.Input((24, 24, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="conv")(Noisy(name="noisy")(inputs)))
    network = load(model)
    with caplog.at_level(logging.DEBUG, "differentia"):
        found = dif.record(network, {"a": PIXELS}, units="all", layers=["conv"]).values["conv"]
    assert "Functional: its own pass is done: its pass can't be written as a graph" in caplog.text
    np.testing.assert_array_equal(np.asarray(found), own_pass(network, PIXELS)["conv"])


@pytest.fixture
def fresh_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found compiled already."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))


# Keras's modules are compiled as PyTorch's own are: a second proof, which takes as long.
@pytest.mark.parametrize("kind", ["torch", pytest.param("keras", marks=pytest.mark.soak)])
# What is compiled is imported in ways that PyTorch itself warns of.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.slow
def test_a_compiled_pass_gives_the_same(
    kind: str, fresh_compiler: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of every layer; the store remembers that it is compiled, so that a run that goes on is, too."""
    caplog.set_level(logging.INFO, "differentia")
    network = NETWORKS[kind]()
    sets = {"a": PIXELS, "b": PIXELS[:3]}
    options: dict[str, Any] = {"units": "all", "batch_size": 2, "store": tmp_path / "r.zarr"}
    plain = dif.record(network, sets, units="all", batch_size=2, compile="never")
    compiled = dif.record(network, {"a": PIXELS}, compile="always", **options)
    assert "its pass was compiled in" in caplog.text
    assert compiled.provenance["compiled"] is True
    assert plain.provenance["compiled"] is False
    for name, values in compiled.values.items():
        np.testing.assert_allclose(
            values[:, :], np.asarray(plain.values[name])[:5], rtol=1e-4, atol=1e-5, err_msg=name
        )
    assert compiled.moments is not None
    assert plain.moments is not None
    np.testing.assert_allclose(compiled.moments.variance, plain.moments.variance[:5], rtol=1e-4, atol=1e-9)
    caplog.clear()
    further = dif.record(network, sets, compile="never", **options)
    assert "goes on compiled, as it was begun" in caplog.text
    assert further.provenance["compiled"] is True


@pytest.mark.parametrize("wrong", [False, True])
def test_a_compiled_pass_beside_the_own(wrong: bool, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Ranked units gather over compiled batches and over others; one that is wrong is not used."""

    def compiled(module: Any, **options: Any) -> Any:
        return (lambda batch: module(batch * 1.01)) if wrong else module

    monkeypatch.setattr(torch, "compile", compiled)
    network = NETWORKS["torch"]()
    sets = {"a": PIXELS, "b": PIXELS[:3]}
    options: dict[str, Any] = {"units": "top", "pool": 20, "batch_size": 2}
    with caplog.at_level(logging.INFO, "differentia"):
        found = dif.record(network, sets, compile="always", **options)
    expected = dif.record(network, sets, compile="never", **options)
    assert found.provenance["compiled"] is not wrong
    assert ("differs from the network's own pass" in caplog.text) is wrong
    for name, values in expected.values.items():
        np.testing.assert_array_equal(found.units[name], expected.units[name])
        np.testing.assert_allclose(np.asarray(found.values[name]), np.asarray(values), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.slow
def test_without_a_compiler(fresh_compiler: None, caplog: pytest.LogCaptureFixture) -> None:
    """One line says so, and the numbers are those of a pass that is not compiled."""
    import torch._inductor.config as inductor

    network = NETWORKS["torch"]()
    plain = dif.record(network, {"a": PIXELS}, units="all", batch_size=2, compile="never")
    torch.compiler.reset()
    with (
        caplog.at_level(logging.INFO, "differentia"),
        inductor.patch({"cpp.cxx": (None, "/no/such/compiler"), "force_disable_caches": True}),
    ):
        found = dif.record(network, {"a": PIXELS}, units="all", batch_size=2, compile="always")
    (said,) = [record.message for record in caplog.records if "compiled" in record.message]
    assert said.startswith("Tricky is not compiled: ")
    assert "\n" not in said
    assert found.provenance["compiled"] is False
    for name, values in plain.values.items():
        np.testing.assert_array_equal(found.values[name], values)


def test_other_backends_are_not_compiled(caplog: pytest.LogCaptureFixture) -> None:
    """One line says so."""
    network = load()
    network.traceable = False
    with caplog.at_level(logging.INFO, "differentia"):
        runner = Runner(network, compile="always", batch_size=2)
    assert runner.compiled is False
    assert "is not compiled: only what PyTorch computes can be" in caplog.text


@pytest.mark.parametrize(("left", "pays"), [(2_000, False), (20_000, True)])
def test_where_compiling_pays(left: int, pays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is decided once three full batches were shown, by how many images are left."""
    clock = iter(np.arange(0.0, 100.0, 0.1))
    monkeypatch.setattr("differentia.networks.runner.time.perf_counter", lambda: float(next(clock)))
    network = NETWORKS["torch"]()
    runner = Runner(network, compile="auto", batch_size=5)  # 0.02 s an image
    runner.expect(left)
    looks = {"head": {"all": UnitProbe(np.arange(5), (5,))}}
    for _ in range(2):
        runner.record(PIXELS, looks)
        runner.record(PIXELS[:1], looks)  # no full batch
        assert runner.compiled is None
    runner.record(PIXELS, looks)
    assert runner.compiled is pays  # 8 % of 40 s against 10.5 s, and of 400 s


def test_a_decision_that_was_made_stays() -> None:
    """A run that goes on does not decide again; what it is told counts only where nothing is decided."""
    network = NETWORKS["torch"]()
    for was in (True, False):
        for told in ("auto", "always", "never"):
            assert Runner(network, compile=told, batch_size=2, compiled=was).compiled is was
    assert Runner(network, compile="auto", batch_size=2).compiled is None


@pytest.mark.parametrize("kind", NETWORKS)
def test_without_graphs(kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """One variable turns them off: the same layers, and the same numbers but for rounding."""
    sets = {"a": PIXELS, "b": PIXELS[::-1].copy()}
    options: dict[str, Any] = {"n_units": (50,), "draws": 2, "seed": 1}
    expected = dif.measure(NETWORKS[kind](), sets, **options)
    monkeypatch.setenv("DIFFERENTIA_GRAPHS", "0")
    monkeypatch.setattr(graph.PassGraph, "__init__", None)  # neither is used
    monkeypatch.setattr("differentia.networks.flow.ChannelFlow", None)
    with caplog.at_level(logging.INFO, "differentia"):
        found = dif.measure(NETWORKS[kind](), sets, compile="always", **options)
    assert "is not compiled: DIFFERENTIA_GRAPHS=0 turns that off" in caplog.text
    assert list(found.layer.values) == list(expected.layer.values)
    np.testing.assert_allclose(found.differentiation, expected.differentiation, rtol=1e-4, atol=1e-6)


def test_without_graphs_nothing_private_is_imported() -> None:
    """A version of PyTorch that has changed its private API can still be measured with."""
    script = (
        "import os, sys, numpy as np, differentia as dif\n"
        "sys.modules['differentia.networks.graph'] = None\n"  # importing it is an error
        "sys.modules['differentia.networks.flow'] = None\n"
        "images = np.random.default_rng(0).integers(0, 256, (4, 32, 32), dtype=np.uint8)\n"
        "for graphs in ('0', '1'):\n"  # nor is an import that fails an error
        "    os.environ['DIFFERENTIA_GRAPHS'] = graphs\n"
        "    result = dif.measure('digits', {'a': images}, n_units=20)\n"
        "    assert float(result.differentiation.max()) > 0\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def small_memory(most: int) -> Any:
    return dif.load_network(OfSmallMemory(most), preprocess="unit", input_shape=(24, 24, 3))


MANY = np.random.default_rng(5).integers(0, 256, (16, 24, 24, 3), dtype=np.uint8)


def looks(network: dif.Network) -> tuple[dict[str, Any], dict[str, UnitMoments]]:
    """Return probes of every kind for each layer, and those among them that gather over batches."""
    moments = {layer.name: UnitMoments() for layer in network.layers}
    return {name: {**by, "moments": moments[name]} for name, by in probes(network).items()}, moments


def test_a_batch_that_does_not_fit_is_shown_in_parts(caplog: pytest.LogCaptureFixture) -> None:
    """All is what passes of that many images give; it is said once, and so it stays."""
    network, roomy = small_memory(4), small_memory(99)
    runner = Runner(network, compile="never", batch_size=16)
    by_probe, moments = looks(network)
    with caplog.at_level("INFO", "differentia"):
        found = [runner.record(pixels, by_probe) for pixels in (MANY, MANY[::-1], MANY[:7])]
    assert [record.message for record in caplog.records] == [
        "OfSmallMemory: passes of 16 images do not fit into the memory of cpu; from now on there are 4 in one"
    ]
    assert runner.at_once == 4
    assert network.module.full.failed == {16: 1, 8: 1}
    small = Runner(roomy, compile="never", batch_size=4)
    others, expected_moments = looks(roomy)
    parts = [small.record(MANY[start : start + 4], others) for start in (0, 4, 8, 12)]
    assert list(found[0]) == [layer.name for layer in network.layers]
    for name, kept in found[0].items():
        expected = [part[name] for part in parts]
        np.testing.assert_array_equal(kept["all"], np.concatenate([each["all"] for each in expected]))
        for field in ("filter_mean", "mean", "variance"):
            values = np.concatenate([getattr(each["sums"], field) for each in expected])
            np.testing.assert_array_equal(getattr(kept["sums"], field), values)
        np.testing.assert_array_equal(found[1][name]["all"], kept["all"][::-1])
        assert len(found[2][name]["all"]) == 7
        assert kept["moments"] is None
    for start in (*range(15, -1, -4),):
        small.record(MANY[start - 3 : start + 1][::-1], others)
    for pixels in (MANY[:4], MANY[4:7]):
        small.record(pixels, others)
    for name, gathered in moments.items():
        assert gathered.shown == 16 + 16 + 7
        # Of the pass that failed first, what came before was taken in with 16 images at once.
        for one, other in zip(gathered.state, expected_moments[name].state, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, err_msg=name)


def test_no_image_is_taken_in_twice() -> None:
    """Without the way back, what came before the failure would count the images again."""
    network = small_memory(4)
    by_probe, moments = looks(network)
    Runner(network, compile="never", batch_size=16).record(MANY, by_probe)
    values = np.concatenate([own_pass(network, MANY[start : start + 4])["conv"] for start in (0, 4, 8, 12)])
    np.testing.assert_allclose(moments["conv"].mean, values.astype(float).mean(0), atol=1e-6)
    np.testing.assert_allclose(moments["conv"].variance, values.astype(float).var(0), atol=1e-6)
    twice = UnitMoments()
    twice(torch.from_numpy(values))
    twice(torch.from_numpy(values[:8]))
    assert not np.allclose(twice.mean, moments["conv"].mean, atol=1e-3)


def test_one_image_that_does_not_fit() -> None:
    """Is an error, and so is any other failure, without another try."""
    network = small_memory(2)
    network.layers  # noqa: B018 - looked at while there is memory
    network.module.full.most = 0
    runner = Runner(network, compile="never", batch_size=16)
    with pytest.raises(dif.RecordingError, match=r"pass of \(1, 3, 24, 24\) failed: CUDA out of memory"):
        runner.record(MANY, probes(network))
    assert list(network.module.full.failed) == [16, 8, 4, 2, 1]
    network.module.full.most = 99
    with pytest.raises(dif.RecordingError, match="one image does not fit into the memory: of a probe"):
        runner.record(MANY, {"conv": {"failing": failing_probe}})
    network.module.head = torch.nn.Linear(5, 3)
    other = Runner(network, compile="never", batch_size=16)
    with pytest.raises(dif.RecordingError, match="shapes cannot be multiplied"):
        other.record(MANY, probes(network))
    assert other.at_once == 16


def failing_probe(output: torch.Tensor) -> None:
    raise torch.OutOfMemoryError("of a probe")


def test_parts_are_compiled(caplog: pytest.LogCaptureFixture) -> None:
    """A compiled pass that does not fit is compiled for as many as do, whatever PyTorch warns of."""
    network = small_memory(1000)  # a pass is followed with some hundred
    runner = Runner(network, compile="always", batch_size=16)
    whole = runner._run

    def full(read: Any, batch: torch.Tensor) -> Any:
        if len(batch) > 8:
            raise dif.RecordingError("full") from torch.OutOfMemoryError("full")
        if runner.compiled and not runner._compared:
            warnings.warn("PyTorch's own", DeprecationWarning, stacklevel=1)  # an error in these tests
        return whole(read, batch)

    runner._run = full  # type: ignore[method-assign]
    with caplog.at_level("INFO", "differentia"):
        found = runner.record(MANY, probes(network))
    assert (runner.compiled, runner.at_once) == (True, 8)
    assert sum("was compiled in" in record.message for record in caplog.records) == 1
    for name, values in own_pass(network, MANY).items():
        np.testing.assert_allclose(found[name]["all"], values, rtol=1e-4, atol=1e-5)


def test_a_keras_model_that_does_not_fit() -> None:
    """On PyTorch it fails, and is shown in parts, alike."""
    most = 99

    class Filled(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            if len(x) > most:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return x

    image = keras.Input((24, 24, 3))
    network = load(keras.Model(image, keras.layers.Conv2D(2, 3, name="conv")(Filled()(image))))
    expected = own_pass(network, PIXELS)
    most = 2
    runner = Runner(network, compile="never", batch_size=5)
    found = runner.record(PIXELS, probes(network))
    assert runner.at_once == 2
    for name, values in expected.items():
        np.testing.assert_allclose(found[name]["all"], values, rtol=1e-5, atol=1e-6)


def test_a_rewritten_pass_in_bfloat16() -> None:
    """Is taken as the network's own, though it rounds elsewhere."""
    network = dif.load_network(every_kind_of_layer(), preprocess="signed", dtype="bfloat16")
    runner = Runner(network, compile="never", batch_size=5)
    found, own = runner.record(PIXELS, probes(network)), own_pass(network, PIXELS)
    assert runner._graph is not None
    for name, values in own.items():
        close = 0.02 * np.abs(values).max()
        np.testing.assert_allclose(found[name]["all"], values, rtol=0, atol=close, err_msg=name)
