"""How much memory a large measurement takes: 10,000 images x 10,000 units x 21 layers of a small network.

The responses, 8.4 GB, go to a store and are read from it, layer by layer. The peak is of the whole process,
with all that it imports.

    python benchmarks/memory.py [--images 10000] [--units 10000] [--sets 1] [--memory 1GB] [--folder DIR]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from harness import peak_memory, size_of
from torch import nn

import differentia as dif

#: With the input, 21 layers of at least 10,000 units.
CONVOLUTIONS = 20


def small_network() -> dif.Network:
    """Return a chain of convolutions of 64 x 64 pixels, with random weights."""
    torch.manual_seed(0)
    chain: list[nn.Module] = [nn.Conv2d(3, 4, 3, padding=1)]
    chain += [nn.Conv2d(4, 4, 3, padding=1) for _ in range(CONVOLUTIONS - 1)]
    return dif.load_network(nn.Sequential(*chain), preprocess="unit", input_shape=(3, 64, 64))


def main() -> None:
    """Print the times and the peak of the memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--sets", type=int, default=1)
    parser.add_argument("--memory", help="the budget")
    parser.add_argument("--folder", help="on a disk with room for the responses")
    given = parser.parse_args()
    each = given.images // given.sets
    sets = {f"noise_{number}": f"noise:{each}?seed={number}" for number in range(given.sets)}
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        store = Path(folder) / "responses.zarr"
        options = {"seed": 0, "memory": given.memory}
        started = time.perf_counter()
        responses = dif.record(small_network(), sets, pool=given.units, store=store, **options)
        recorded = time.perf_counter()
        peak = peak_memory()
        size = size_of(store)
        files = sum(file.is_file() for file in store.rglob("*"))
        result = dif.measure_responses(responses, n_units=given.units, draws=1, memory=given.memory)
        measured = time.perf_counter()
    print(
        f"{given.images:,} images in {given.sets} sets, {given.units:,} units, {result.sizes['layer']} layers"
    )
    print(f"recorded in {recorded - started:,.0f} s, {size:.2f} GB in {files:,} files; peak {peak:.2f} GB")
    print(f"measured in {measured - recorded:,.0f} s; peak of all {peak_memory():.2f} GB")


if __name__ == "__main__":
    main()
