"""Draw the README's pictures: MobileNet's curves and predictions for noise, tabby cats and photographs.

Run ``make figures``; it needs the real data (see ``real_data.py``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from real_data import ROOT, mobilenet_and_sets

import differentia as dif

if TYPE_CHECKING:
    import xarray as xr

CURVES = ROOT / "docs" / "images" / "mobilenet.png"
PREDICTIONS = ROOT / "docs" / "images" / "predictions.png"


def draw_curves(result: xr.Dataset, path: Path) -> None:
    """Draw both line plots one above the other: the values, and the same relative to noise."""
    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    dif.plot(result, ax=upper)
    dif.plot_relative(result, ax=lower)
    upper.set_xlabel("")
    upper.tick_params(labelbottom=False)
    legend = lower.get_legend()
    assert legend is not None
    legend.remove()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=200)
    print(f"{path}: {result.sizes['image']} images, {result.sizes['layer']} layers")


def main() -> None:
    """Measure, and draw the curves and the predictions."""
    network, sets = mobilenet_and_sets()
    layers = ["input", "conv1_relu", "conv_pw_*_relu", "global_average_pooling2d", "predictions"]
    result = dif.measure(network, sets, layers=layers)
    draw_curves(result, CURVES)
    dif.plot_predictions(result)[0].figure.savefig(PREDICTIONS, bbox_inches="tight")
    print(PREDICTIONS)


if __name__ == "__main__":
    main()
