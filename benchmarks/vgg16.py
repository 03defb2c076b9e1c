"""VGG16, 21 layers, three numbers of units: the bare pass, recording, measuring, and the plain way.

The weights are random, the images 224 x 224, in three sets, and shown in batches of 32. ``bare`` and
``record`` get them decoded, in memory; ``measure`` and ``plain`` read JPEG files. The ways, for a PyTorch
module and for the Keras model:

- ``bare-eager``, ``bare-compiled``: the forward pass alone, in the batches that `record` forms; channels-last
  for PyTorch, Keras's own for Keras. ``bare-engine``: as differentia computes a Keras model.
- ``record-never``, ``record-always``: `dif.record` without views, with compile="never" and "always";
  ``record-views-...``: with them; ``record-sketch-...``: with units="sketch", which reads all units.
- ``measure-never``, ``-always``, ``-auto``: `dif.measure` from files to numbers, with views and 20 draws.
- ``plain``: what one would write in a notebook: keep every output of the 21 layers, in float32, then NumPy
  for the normalisation, SciPy's `pdist` and the median; of *one* draw of units.
- ``plain-1/3``, ``plain-2/3``, ``measure-1/3``: the same of fewer images, to tell how both go on.
- ``large``, with ``--large``: `dif.measure` of many images, once. Their responses do not fit into memory and
  go to a store, some 20 GB: ``--folder`` says where.

    python benchmarks/vgg16.py [--network keras] [--images 129] [--repeats 7] [--ways 'bare*' plain] [--large]
"""

from __future__ import annotations

import argparse
import fnmatch
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import PIL.Image
from harness import Benchmark, Spread, Way, Work, options_of
from jpegs import source_of_jpegs, write_jpegs

import differentia as dif

LAYERS = ("input", "block*", "flatten", "predictions")
N_UNITS = (200, 10_000, 100_000)
DRAWS = 20
BATCH = 32
SIDE = 224

#: Convolutions and filters of each block.
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
KINDS = ("torch", "keras")


@dataclass(frozen=True)
class Setting:
    """What a way works with."""

    kind: str  # of the network: "torch" or "keras"
    sets: tuple[tuple[Path, ...], ...]
    scratch: Path  # for what compilers keep, and for stores

    def network(self) -> dif.Network:
        """Return the network; what is compiled from now on is compiled anew."""
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp(dir=self.scratch)
        if self.kind == "keras":
            return dif.load_network("keras:VGG16?weights=none")
        return dif.load_network(
            torch_vgg16(), preprocess="imagenet", input_shape=(3, SIDE, SIDE), device="cpu"
        )

    def files(self) -> dict[str, list[Path]]:
        """Return the sets by name."""
        return {f"set_{number}": list(paths) for number, paths in enumerate(self.sets, start=1)}

    def pixels(self) -> dict[str, np.ndarray]:
        """Return the sets decoded: (images, height, width, channels), 0..255."""
        return {name: np.stack([decoded(path) for path in paths]) for name, paths in self.files().items()}


def torch_vgg16() -> Any:
    """Return VGG16 as a PyTorch module; its modules have the names and outputs of Keras's layers."""
    import torch
    from torch import nn
    from torch.nn import functional

    class ConvReLU(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.relu_(super().forward(x))

    class LinearReLU(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.relu_(super().forward(x))

    class LinearSoftmax(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.softmax(super().forward(x), dim=1)

    torch.manual_seed(0)
    module = nn.Sequential()
    channels = 3
    for block, (convolutions, filters) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            module.add_module(f"block{block}_conv{number}", ConvReLU(channels, filters, 3, padding=1))
            channels = filters
        module.add_module(f"block{block}_pool", nn.MaxPool2d(2))
    module.add_module("flatten", nn.Flatten())
    module.add_module("fc1", LinearReLU(channels * (SIDE // 2 ** len(BLOCKS)) ** 2, 4096))
    module.add_module("fc2", LinearReLU(4096, 4096))
    module.add_module("predictions", LinearSoftmax(4096, 1000))
    for layer in module:
        if isinstance(layer, nn.Conv2d | nn.Linear):  # PyTorch's own would let the responses die away
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return module.eval()


def decoded(path: Path) -> np.ndarray:
    """Return an image's pixels, as the network takes them."""
    with PIL.Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR))


def in_batches(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield batches of the images of one set."""
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]


# ------------------------------------------------------------------------------------------- the bare pass


def engine_pass(network: Any) -> Callable[[Any], Any]:
    """Return the pass that differentia does for a Keras model: a graph, of which the last layer is kept."""
    import torch

    from differentia.networks.graph import PassGraph

    last = network.layers[-1].name
    reads: dict[int, Callable[[Any], Any]] = {}

    def run(batch: Any, report: Callable[[str, Any], None]) -> None:
        network.observe_outputs(batch, lambda name, call, output: report(name, output))

    def forward(batch: Any) -> Any:
        if len(batch) not in reads:
            with torch.inference_mode(mode=False):
                reads[len(batch)] = PassGraph(run, batch).reading({last: torch.clone}, len(batch))
        return reads[len(batch)](batch)

    return forward


def prepare_bare(setting: Setting, how: str) -> Work:
    """Return the forward pass alone, over preprocessed images in memory."""
    import torch

    network: Any = setting.network()
    batches = [network.prepare(part) for pixels in setting.pixels().values() for part in in_batches(pixels)]
    without_gradients: Callable[[], AbstractContextManager[Any]] = torch.no_grad
    forward: Callable[[Any], Any]
    if setting.kind == "torch":
        forward = network.module.to(memory_format=torch.channels_last)
        batches = [batch.contiguous(memory_format=torch.channels_last) for batch in batches]
        without_gradients = torch.inference_mode
    else:
        forward = engine_pass(network) if how == "engine" else partial(network.model, training=False)
    if how == "compiled":  # once for each size of a batch, which gives the fastest pass
        forward = torch.compile(forward, dynamic=False)

    def work() -> None:
        with without_gradients():
            for batch in batches:
                forward(batch)

    return work


# -------------------------------------------------------------------------------------------- differentia


def prepare_record(setting: Setting, compile_: str, views: bool, units: str = "random") -> Work:
    """Return `dif.record` of images in memory."""
    network, sets = setting.network(), setting.pixels()

    def work() -> dict[str, float]:
        with compile_seconds() as compiling:
            started = perf_counter()
            dif.record(
                network, sets, pool=max(N_UNITS), units=units, views=views, layers=LAYERS, compile=compile_
            )
            seconds = perf_counter() - started
        return {"seconds": seconds - sum(compiling), "compile_s": sum(compiling)}

    return work


@contextmanager
def compile_seconds() -> Iterator[list[float]]:
    """Give a list that gets the seconds of each compilation, of which differentia tells.

    Every recording compiles anew, from the second on out of PyTorch's cache. That is done once, however many
    images there are; so the ratio to the bare pass is told without it.
    """
    found: list[float] = []
    handler = logging.Handler()

    def emit(record: logging.LogRecord) -> None:
        if "was compiled" in record.msg and isinstance(record.args, tuple):
            found.append(float(str(record.args[1])))

    handler.emit = emit  # type: ignore[method-assign]
    logger = logging.getLogger("differentia")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def prepare_measure(setting: Setting, compile_: str, stored: bool = False) -> Work:
    """Return `dif.measure` of files; their responses are in memory, or in a store of the scratch folder."""
    network, sets = setting.network(), setting.files()
    store = setting.scratch / "responses.zarr" if stored else None

    def work() -> None:
        dif.measure(
            network,
            sets,
            n_units=N_UNITS,
            draws=DRAWS,
            layers=LAYERS,
            compile=compile_,
            store=store,
            fresh=stored,
        )
        if store is not None:
            shutil.rmtree(store)

    return work


# ------------------------------------------------------------------------------------------ the plain way


def prepare_plain(setting: Setting) -> Work:
    """Return the plain way: all outputs, NumPy and SciPy."""
    from scipy.spatial.distance import pdist

    network: Any = setting.network()
    outputs = keras_outputs(network) if setting.kind == "keras" else torch_outputs(network)
    outputs(network.prepare(np.zeros((2, SIDE, SIDE, 3), dtype=np.uint8)))  # what is done once

    def work() -> dict[str, float]:
        seconds = dict.fromkeys(("read_s", "pass_s", "normalise_s", "pairs_s"), 0.0)
        of_sets: list[list[np.ndarray]] = []
        for paths in setting.sets:
            started = perf_counter()
            images = network.prepare(np.stack([decoded(path) for path in paths]))
            seconds["read_s"] += perf_counter() - started
            started = perf_counter()
            of_sets.append(outputs(images))
            seconds["pass_s"] += perf_counter() - started
        generator = np.random.default_rng(0)
        for of_layer in zip(*of_sets, strict=True):
            size = of_layer[0][0].size
            for count in N_UNITS:
                k = min(count, size)
                units = generator.choice(size, k, replace=False)  # the same in every set
                for values in of_layer:
                    started = perf_counter()
                    chosen = values.reshape(len(values), -1)[:, units]
                    z = (chosen - chosen.mean()) / chosen.std()
                    seconds["normalise_s"] += perf_counter() - started
                    started = perf_counter()
                    np.median(pdist(z) / np.sqrt(k))
                    seconds["pairs_s"] += perf_counter() - started
        return seconds

    return work


def is_looked_at(layer: str) -> bool:
    """Return whether a layer is one of the 21."""
    return any(fnmatch.fnmatch(layer, pattern) for pattern in LAYERS)


def keras_outputs(network: Any) -> Callable[[Any], list[np.ndarray]]:
    """Return `predict` of a model whose outputs are the 21 layers."""
    import keras

    model = network.model
    chosen = [layer.output for layer in model.layers if is_looked_at(layer.name)]
    whole = keras.Model(model.inputs, [model.inputs[0], *chosen])

    def outputs(images: Any) -> list[np.ndarray]:
        return list(whole.predict(np.asarray(images), batch_size=BATCH, verbose=0))

    return outputs


def torch_outputs(network: Any) -> Callable[[Any], list[np.ndarray]]:
    """Return a pass whose hooks keep the outputs of the 21 layers."""
    import torch

    module = network.module
    kept: dict[str, list[Any]] = {}

    def keep(name: str, module: Any, args: Any, output: Any) -> None:
        kept.setdefault(name, []).append(output)

    for name, child in module.named_children():
        if is_looked_at(name):
            child.register_forward_hook(partial(keep, name))

    def outputs(images: Any) -> list[np.ndarray]:
        kept.clear()
        with torch.inference_mode():
            for batch in torch.split(images, BATCH):
                module(batch)
        return [images.numpy(), *(torch.cat(kept.pop(name)).numpy() for name in list(kept))]

    return outputs


# ---------------------------------------------------------------------------------------------- the ways


def ways_of(kind: str, setting_of: Callable[[int], Setting], given: argparse.Namespace) -> list[Way]:
    """Return those ways of one kind of network that were asked for."""
    whole, third = setting_of(given.images), setting_of(given.images // 3)
    lasting: dict[str, Callable[[], Work]] = {}
    for how in ("eager", "compiled", "engine") if kind == "keras" else ("eager", "compiled"):
        lasting[f"bare-{how}"] = partial(prepare_bare, whole, how)
    for when in ("never", "always"):
        lasting[f"record-{when}"] = partial(prepare_record, whole, when, views=False)
        lasting[f"record-views-{when}"] = partial(prepare_record, whole, when, views=True)
        lasting[f"record-sketch-{when}"] = partial(prepare_record, whole, when, views=False, units="sketch")
    for when in ("never", "always", "auto"):
        lasting[f"measure-{when}"] = partial(prepare_measure, whole, when)
    lasting["measure-stored"] = partial(prepare_measure, whole, "auto", stored=True)
    lasting["measure-1/3"] = partial(prepare_measure, third, "auto")
    # These hold much memory, and so have a new process for each turn.
    passing = {
        "plain": partial(prepare_plain, whole),
        "plain-1/3": partial(prepare_plain, third),
        "plain-2/3": partial(prepare_plain, setting_of(2 * given.images // 3)),
    }
    ways = [Way(name, prepare) for name, prepare in lasting.items()]
    ways += [Way(name, prepare, lasting=False, warm_up=False) for name, prepare in passing.items()]
    if given.large:
        prepare = partial(prepare_measure, setting_of(given.large_images), "auto", stored=True)
        ways.append(Way("large", prepare, lasting=False, warm_up=False, repeats=1))
    known = [way.name for way in ways]
    for pattern in given.ways:
        if not fnmatch.filter(known, pattern):
            raise SystemExit(f"no way {pattern!r} for {kind}; there are: {', '.join(known)}")
    return [
        replace(way, name=f"{kind} {way.name}")
        for way in ways
        if any(fnmatch.fnmatch(way.name, pattern) for pattern in given.ways)
    ]


#: Those of a group take turns; the processes of all of them would hold too much memory at once.
GROUPS = (("bare-*", "record-*"), ("bare-*", "measure-*", "plain*", "large"))


def in_groups(ways: Sequence[Way]) -> Iterator[list[Way]]:
    """Yield the ways of each group; none that has nothing new."""
    seen: set[str] = set()
    for patterns in GROUPS:
        group = [way for way in ways if any(fnmatch.fnmatch(way.name, f"* {each}") for each in patterns)]
        names = {way.name for way in group}
        if not names <= seen:
            yield group
        seen |= names


#: What is compared: the name of the ratio's upper way, and of its lower one.
RATIOS = (
    ("bare-compiled", "bare-eager"),
    ("bare-engine", "bare-eager"),
    ("record-never", "bare-eager"),
    ("record-never", "bare-engine"),
    ("record-always", "bare-compiled"),
    ("record-views-never", "record-never"),
    ("record-views-always", "record-always"),
    ("record-sketch-never", "record-never"),
    ("record-sketch-always", "record-always"),
    ("measure-never", "bare-eager"),
    ("measure-never", "bare-engine"),
    ("measure-always", "bare-compiled"),
    ("measure-auto", "bare-eager"),
    ("measure-auto", "bare-compiled"),
    ("measure-stored", "bare-eager"),
    ("plain", "measure-never"),
    ("plain", "measure-always"),
    ("plain", "measure-auto"),
    ("plain", "measure-stored"),
)


def go_on(benchmark: Benchmark, kind: str, images: int) -> dict[str, Any] | None:
    """Return time and memory of the plain way and of `measure` for more images; None if a part was not run.

    Both were run with all images, and with fewer. Of the plain way, reading, the pass and the normalisation
    are linear in the images, and the distances in the pairs. `measure` was run with that many images
    (``large``), or else is taken for linear in them, which ignores that it, too, has more pairs.
    """
    few = benchmark.options["images"]
    at = np.array([few // 3, 2 * few // 3, few])
    plain = [f"{kind} plain{part}" for part in ("-1/3", "-2/3", "")]
    measured = next((w for w in ("auto", "never") if benchmark.both(f"{kind} measure-{w}")), "")
    own = [f"{kind} measure-1/3", f"{kind} measure-{measured}"]
    if not benchmark.both(*plain, *own):
        return None

    def linear(ways: Sequence[str], key: str, x: np.ndarray, there: float) -> float:
        medians = [Spread.of(benchmark.ways[way].column(key)).median for way in ways]
        slope, start = np.polyfit(x, medians, 1)
        return float(start + slope * there)

    stages = ("read_s", "pass_s", "normalise_s")
    seconds = sum(linear(plain, key, at, images) for key in stages)
    seconds += linear(plain, "pairs_s", np.array([pairs(n) for n in at]), pairs(images))
    found = {
        "images": images,
        "plain_s": seconds,
        "plain_gb": linear(plain, "peak_gb", at, images),
        "measured": benchmark.both(f"{kind} large"),
    }
    if found["measured"]:
        large = benchmark.ways[f"{kind} large"]
        return {**found, "measure_s": large.column()[0], "measure_gb": large.peak()}
    ends = at[[0, -1]]
    return {
        **found,
        "measure_s": linear(own, "seconds", ends, images),
        "measure_gb": linear(own, "peak_gb", ends, images),
    }


def split(images: int) -> list[int]:
    """Return how many images each of the three sets has."""
    return [images // 3 + (number < images % 3) for number in range(3)]


def pairs(images: int) -> int:
    """Return how many pairs there are within three sets."""
    return sum(n * (n - 1) // 2 for n in split(images))


def main() -> None:
    """Let the ways of each network take turns, and print what came of it."""
    parser = options_of(__doc__, "vgg16.json")
    parser.add_argument("--network", choices=(*KINDS, "both"), default="both")
    parser.add_argument("--images", type=int, default=129, help="of all three sets")
    parser.add_argument("--ways", nargs="+", default=["*"], help="names and shell patterns")
    parser.add_argument("--large", action="store_true", help="measure many images too, once")
    parser.add_argument("--large-images", type=int, default=3000, help="of all three sets")
    parser.add_argument("--folder", help="for files that are made, on a disk with room for a store")
    given = parser.parse_args()
    kinds = KINDS if given.network == "both" else (given.network,)
    stated = {"images": given.images, "large_images": given.large_images, "images_are": source_of_jpegs()}
    benchmark = Benchmark.of("vgg16", stated, given)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        most = max(given.images, given.large_images if given.large else 0)
        paths = write_jpegs(Path(folder) / "images", most)

        def setting_of(kind: str, images: int) -> Setting:
            ends = np.cumsum([0, *split(images)])
            sets = (tuple(paths[start:stop]) for start, stop in pairwise(ends))
            return Setting(kind, tuple(sets), Path(folder))

        for kind in kinds:
            for group in in_groups(ways_of(kind, partial(setting_of, kind), given)):
                benchmark.take_turns(group, given.repeats)
    for kind in kinds:
        found = go_on(benchmark, kind, given.large_images)
        if found:
            benchmark.facts[f"{kind} large"] = found
    benchmark.write()
    benchmark.print_table()
    print()
    for kind in kinds:
        for first, second in RATIOS:
            benchmark.print_ratio(f"{kind} {first}", f"{kind} {second}")
        benchmark.print_ratio(f"{kind} plain", f"{kind} measure-auto", "peak_gb")
        benchmark.print_ratio(f"{kind} plain", f"{kind} measure-never", "peak_gb")
    for name, found in benchmark.facts.items():
        how = "measured" if found["measured"] else "extrapolated, linear in the images"
        print(
            f"{name}, {found['images']:,} images: plain {found['plain_s']:,.0f} s and "
            f"{found['plain_gb']:,.0f} GB (extrapolated); measure {found['measure_s']:,.0f} s and "
            f"{found['measure_gb']:,.1f} GB ({how})"
        )


if __name__ == "__main__":
    main()
