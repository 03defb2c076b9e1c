"""MobileNet on photographs in files: is the whole as fast as decoding and the pass together allow?

All cores can decode or compute; so the least time for the whole is the CPU time of decoding and of the pass,
divided by the number of cores. The ways:

- ``decode``: every file with differentia's own stimuli, on one thread.
- ``model``: the model alone, in batches of 32, of images in memory; ``pass``: the same with differentia's
  network (`Network.record` without probes), which prepares the images too.
- ``record``, ``measure``: `dif.record` and `dif.measure` of the files, with all they do by default.

    python benchmarks/photographs.py [--images 1000] [--sets 10] [--units 200] [--repeats 7]
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from harness import Benchmark, Spread, Taken, Way, Work, options_of
from jpegs import DATA, source_of_jpegs, write_jpegs

import differentia as dif

WEIGHTS = DATA / "mobilenet_025_224_imagenet.weights.h5"
BATCH = 32


@dataclass(frozen=True)
class Setting:
    """What a way works with: files, in sets, and how many units of each layer are looked at."""

    sets: tuple[tuple[Path, ...], ...]
    units: int

    def files(self) -> dict[str, list[Path]]:
        """Return the sets by name."""
        return {f"set_{number}": list(paths) for number, paths in enumerate(self.sets, start=1)}

    def decoded(self, network: Any) -> Iterator[np.ndarray]:
        """Yield the pixels of every image, fitted to the network's input."""
        from differentia.stimuli.base import Fit

        fit = Fit(network.input_shape)
        for paths in self.sets:
            stimuli = dif.images(paths)
            for at in range(len(stimuli)):
                yield stimuli.load(at, fit).pixels

    def batches(self, network: Any) -> list[np.ndarray]:
        """Return all images in batches."""
        pixels = np.stack(list(self.decoded(network)))
        return [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]


def weights() -> str:
    """Return which weights MobileNet has, in words."""
    return "trained on ImageNet" if WEIGHTS.is_file() else "random"


def mobilenet() -> Any:
    """Return MobileNet of width 0.25, trained where its weights are at hand."""
    file = WEIGHTS if WEIGHTS.is_file() else "none"
    return dif.load_network(f"keras:MobileNet?alpha=0.25&weights={file}")


def prepare_decode(setting: Setting) -> Work:
    """Return the decoding of all files."""
    network = mobilenet()

    def work() -> None:
        for _ in setting.decoded(network):
            pass

    return work


def prepare_model(setting: Setting) -> Work:
    """Return the pass of the model alone."""
    import torch

    network = mobilenet()
    batches = [network.prepare(batch) for batch in setting.batches(network)]

    def work() -> None:
        with torch.no_grad():
            for batch in batches:
                network.model(batch, training=False)

    return work


def prepare_pass(setting: Setting) -> Work:
    """Return the pass of differentia's network, with no probe in it."""
    network = mobilenet()
    batches = setting.batches(network)

    def work() -> None:
        for batch in batches:
            network.record(batch, {})

    return work


def prepare_record(setting: Setting) -> Work:
    """Return the recording of all files."""
    network, files = mobilenet(), setting.files()

    def work() -> None:
        dif.record(network, files, pool=setting.units)

    return work


def prepare_measure(setting: Setting) -> Work:
    """Return the measurement of all files."""
    network, files = mobilenet(), setting.files()

    def work() -> None:
        dif.measure(network, files, n_units=setting.units)

    return work


WAYS = {
    "decode": prepare_decode,
    "model": prepare_model,
    "pass": prepare_pass,
    "record": prepare_record,
    "measure": prepare_measure,
}


def over_least(whole: Taken, forward: Taken, decode: Taken, cores: int) -> list[float]:
    """Return how many times the least possible time the whole takes, turn by turn."""
    each = zip(whole.column(), forward.column("cpu_s"), decode.column("cpu_s"), strict=True)
    return [seconds / ((a + b) / cores) for seconds, a, b in each]


def main() -> None:
    """Let the ways take turns, and print what came of it."""
    parser = options_of(__doc__, "photographs.json")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--sets", type=int, default=10, help="that the images are in")
    parser.add_argument("--units", type=int, default=200)
    given = parser.parse_args()
    stated = {
        "images": given.images,
        "sets": given.sets,
        "units": given.units,
        "weights": weights(),
        "images_are": source_of_jpegs(),
    }
    benchmark = Benchmark.of("photographs", stated, given)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_jpegs(Path(folder), given.images)
        sets = tuple(tuple(paths[number :: given.sets]) for number in range(given.sets))
        setting = Setting(sets, given.units)
        ways = [Way(name, partial(prepare, setting)) for name, prepare in WAYS.items()]
        benchmark.take_turns(ways, given.repeats)
    benchmark.print_table()
    taken, cores = benchmark.ways, benchmark.machine["cores"]
    print()
    for whole in ("record", "measure"):
        for forward in ("model", "pass"):
            values = over_least(taken[whole], taken[forward], taken["decode"], cores)
            told = Spread.of(values).told(".3f")
            print(f"{whole}, seconds / ((decode + {forward}, CPU seconds) / {cores} cores): {told}")


if __name__ == "__main__":
    main()
