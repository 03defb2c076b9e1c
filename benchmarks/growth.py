"""How the time and the memory of `dif.measure` grow with images, layers and units, for MobileNet and noise.

From one case (129 images in sets of 43, 21 layers, 1,000 units, 20 draws) one number is changed at a time.
What is done once (imports, finding the layers) is done before; the process of each case then measures it in
each turn. Sets stay of one size, since pairs are compared within a set: the images grow by more sets. Above
2,000 images a result holds no distance matrices, thumbnails and filters' means.

    python benchmarks/growth.py [--images 129 1290 10019] [--layers 3 21 0] [--units 200 1000 10000 100000]
                                [--repeats 7] [--large-repeats 3]
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
from harness import Benchmark, Spread, Taken, Way, Work, options_of, ratios
from photographs import mobilenet, weights

import differentia as dif

SET = 43
DRAWS = 20

#: The process of more images warms up with a few, and takes fewer turns.
LARGE = 5000


@dataclass(frozen=True)
class Case:
    """What is measured: how many images, layers (0: all) and units of each layer."""

    images: int = 3 * SET
    layers: int = 21
    units: int = 1000

    @property
    def name(self) -> str:
        """In words."""
        layers = f"{self.layers} layers" if self.layers else "all layers"
        return f"{self.images:,} images, {layers}, {self.units:,} units"

    @property
    def is_large(self) -> bool:
        """Whether it takes long."""
        return self.images > LARGE


def prepare(case: Case) -> Work:
    """Return the measurement of a case."""
    network = mobilenet()
    names = [layer.name for layer in network.layers if not (layer.container or layer.inert)]
    places = np.linspace(0, len(names) - 1, case.layers or len(names)).round().astype(int)
    layers = [names[place] for place in places]

    def measure(images: int) -> None:
        counts = [min(SET, images - start) for start in range(0, images, SET)]
        sets = {f"noise_{at}": dif.noise(count, seed=at) for at, count in enumerate(counts)}
        dif.measure(network, sets, n_units=case.units, draws=DRAWS, layers=layers)

    if case.is_large:
        measure(2 * SET)

    def work() -> dict[str, float]:
        measure(case.images)
        return {"layers": len(layers)}

    return work


def relative_speed(taken: Taken, images: int, base: Taken, base_images: int) -> list[float]:
    """Return the images per second of a case, divided by those of the base, turn by turn."""
    return [images / base_images / ratio for ratio in ratios(taken, base)]


def main() -> None:
    """Let the cases take turns, and print what came of it."""
    base = Case()
    parser = options_of(__doc__, "growth.json")
    parser.add_argument("--images", type=int, nargs="+", default=[base.images, 30 * SET, 233 * SET])
    parser.add_argument("--layers", type=int, nargs="+", default=[3, base.layers, 0], help="0: all")
    parser.add_argument("--units", type=int, nargs="+", default=[200, base.units, 10_000, 100_000])
    parser.add_argument(
        "--large-repeats", type=int, default=3, help=f"turns of more than {LARGE:,} images: they take minutes"
    )
    given = parser.parse_args()
    cases = [base]
    cases += [replace(base, images=images) for images in given.images]
    cases += [replace(base, layers=layers) for layers in given.layers]
    cases += [replace(base, units=units) for units in given.units]
    cases = list(dict.fromkeys(cases))
    stated = {"base": asdict(base), "cases": {case.name: asdict(case) for case in cases}, "draws": DRAWS}
    stated |= {"per_set": SET, "weights": weights()}
    benchmark = Benchmark.of("growth", stated, given)
    ways = [
        Way(
            case.name,
            partial(prepare, case),
            warm_up=not case.is_large,
            repeats=given.large_repeats if case.is_large else None,
        )
        for case in cases
    ]
    benchmark.take_turns(ways, given.repeats)
    benchmark.print_table()
    print()
    for case in cases[1:]:
        benchmark.print_ratio(case.name, base.name)
    for case in cases[1:]:
        if case.images != base.images:
            taken = benchmark.ways
            speed = relative_speed(taken[case.name], case.images, taken[base.name], base.images)
            print(f"images a second, {case.images:,} / {base.images}: {Spread.of(speed).told('.3f')}")


if __name__ == "__main__":
    main()
