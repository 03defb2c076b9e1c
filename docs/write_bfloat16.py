"""Write docs/bfloat16.md: how far networks that compute in bfloat16 are from the same in float32.

Run ``make figures``; it needs the real data (see ``real_data.py``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from markdown_tables import table
from real_data import ROOT, data_folder, load_mobilenet, mobilenet_and_sets

import differentia as dif

sys.path.insert(0, str(ROOT / "tests"))

from helpers.resnet20 import load_resnet20

PAGE = ROOT / "docs" / "bfloat16.md"
N_UNITS, DRAWS = 1_000, 5
NETWORKS: dict[str, Callable[..., dif.Network]] = {
    "digits": partial(dif.load_network, "digits"),
    "ResNet-20, on CIFAR-10": lambda **options: load_resnet20(data_folder(), **options),
    "MobileNet, width 0.25, on ImageNet": load_mobilenet,
}
COLUMNS = ("network, with trained weights", "layers", "responses", "differentiation")

HEAD = f"""# bfloat16, compared with float32

How far are responses and differentiation of a network that computes in bfloat16 (`--dtype bfloat16`) from
those in float32? Sets of 43 images are shown to each network: white noise, cats and other photographs; to the
network of the demo white noise and its own digits. Each cell has the median and the largest.

- **responses**, of all layers: the root mean square of the differences of all units and images, in SDs of the
  layer's responses
- **differentiation**, of all layers, sets and {DRAWS} draws of {N_UNITS:,} units: the relative difference, in
  per cent

The pass is done on a CPU; other devices round otherwise. (`make figures` writes this page.)

"""


def differences(load: Callable[..., dif.Network], sets: Mapping[str, Any]) -> list[str]:
    """Return how many layers a network has, and how far it is from float32 in bfloat16, as text."""
    exact, rounded = (load(dtype=dtype) for dtype in ("float32", "bfloat16"))
    wanted, found = (dif.record(network, sets, units="all", views=False) for network in (exact, rounded))
    errors = [
        np.sqrt(np.mean((np.asarray(found.values[layer.name]) - values) ** 2)) / values.std()
        for layer in wanted.layers
        for values in [np.asarray(wanted.values[layer.name], dtype=np.float64)]
    ]
    true, other = (
        dif.measure(network, sets, n_units=N_UNITS, draws=DRAWS, views=False)["differentiation"].values
        for network in (exact, rounded)
    )
    relative = 100 * np.abs(other / true - 1)
    relative = relative[np.isfinite(relative)]  # a layer that is looked at whole has one draw
    return [
        f"{len(errors)}",
        f"{np.median(errors):.3f} / {max(errors):.3f}",
        f"{np.median(relative):.2f} / {relative.max():.2f}",
    ]


def main() -> None:
    """Record and measure each network in both, and write the table."""
    _, sets = mobilenet_and_sets()
    of_demo = {"white_noise": dif.noise(43), "digits": "digits:43"}
    rows = [
        [name, *differences(load, of_demo if name == "digits" else sets)] for name, load in NETWORKS.items()
    ]
    PAGE.write_text(HEAD + "\n".join([*table(COLUMNS, rows), ""]), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
