"""Draw the README's picture: MobileNet's curves for noise, tabby cats and photographs of many things.

Run ``make figures``. The real data (a trained MobileNet 0.25 and photographs) are looked for in
DIFFERENTIA_TEST_DATA, else in ``../shared/data`` beside the checkout.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import differentia as dif
from differentia.probes import UnitProbe
from differentia.stimuli import Fit

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "mobilenet.png"
TABBY = 281


def find_data() -> Path:
    """Return the folder of the real data, or say where it should be."""
    folder = Path(os.environ.get("DIFFERENTIA_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        sys.exit(f"no real data in {folder}: set DIFFERENTIA_TEST_DATA to its folder")
    return folder


def tabby_cats(network: dif.Network, folder: Path) -> list[Path]:
    """Return the photographs that the network calls tabby with more than 0.5."""
    cats = dif.images(folder)
    fit = Fit(network.input_shape)
    probe = UnitProbe(np.array([TABBY]), (1000,))
    pixels = np.stack([cats.load(index, fit).pixels for index in range(len(cats))])
    probabilities = network.record(pixels, {"predictions": probe})["predictions"][:, 0]
    return [folder / name for name, p in zip(cats.names, probabilities, strict=True) if p > 0.5]


def main() -> None:
    """Measure, and draw both line plots one above the other."""
    data = find_data()
    weights = data / "mobilenet_025_224_imagenet.weights.h5"
    network = dif.load_network(f"keras:MobileNet?alpha=0.25&weights={weights}")
    sets = {
        "white_noise": dif.noise(43),
        "tabby_cats": tabby_cats(network, data / "cats"),
        "random_images": data / "random",
    }
    layers = ["input", "conv1_relu", "conv_pw_*_relu", "global_average_pooling2d", "predictions"]
    result = dif.measure(network, sets, layers=layers)
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    dif.plot(result, ax=upper)
    dif.plot_relative(result, ax=lower)
    upper.set_xlabel("")
    upper.tick_params(labelbottom=False)
    legend = lower.get_legend()
    assert legend is not None
    legend.remove()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=130)
    print(f"{PICTURE}: {result.sizes['image']} images, {result.sizes['layer']} layers")


if __name__ == "__main__":
    main()
