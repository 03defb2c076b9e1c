"""What many sets cost: the same images in one set, in a few and in many, recorded, measured and reported.

Random images through the embedded network, with its views. The ways take turns, each in a process of its own.
The measure of one set looks at all pairs of its images, that of many at those within each set; the distances
between all images are kept in any case. Recording shows the images of one set together, so that sets of few
images make small batches.

    python benchmarks/sets.py [--images 1000] [--repeats 5]
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from harness import Benchmark, Way, Work, options_of, peak_memory

import differentia as dif

#: Sets that the images are divided into.
COUNTS = (1, 10, 100)

N_UNITS = (100, 500)


def prepare(images: int, count: int) -> Work:
    """Return a measurement of so many sets, and the seconds and memory of its stages."""
    pictures = np.random.default_rng(0).integers(0, 256, (images, 32, 32), dtype=np.uint8)
    sets = {f"set {number}": part for number, part in enumerate(np.array_split(pictures, count))}
    network = dif.load_network("digits")

    def work() -> dict[str, float]:
        begun = time.perf_counter()
        responses = dif.record(network, sets, pool=max(N_UNITS))
        recorded = time.perf_counter()
        result = dif.measure_responses(responses, n_units=N_UNITS, draws=5)
        measured = time.perf_counter()
        with TemporaryDirectory() as folder:
            size = dif.write_report(result, Path(folder) / "report.html").stat().st_size
        return {
            "recording": recorded - begun,
            "measuring": measured - recorded,
            "report": time.perf_counter() - measured,
            "report_mb": size / 1e6,
            "peak_gb": peak_memory(),
        }

    return work


def main() -> None:
    """Print the medians, and the ratio of each turn."""
    parser = options_of(__doc__, "sets.json", repeats=5)
    parser.add_argument("--images", type=int, default=1_000)
    given = parser.parse_args()
    benchmark = Benchmark.of("sets", {"images": given.images, "n_units": list(N_UNITS)}, given)
    names = {count: "one set" if count == 1 else f"{count} sets" for count in COUNTS}
    benchmark.take_turns(
        [Way(name, partial(prepare, given.images, count)) for count, name in names.items()], given.repeats
    )
    benchmark.print_table()
    for count in COUNTS[1:]:
        benchmark.print_ratio(names[count], names[1])


if __name__ == "__main__":
    main()
